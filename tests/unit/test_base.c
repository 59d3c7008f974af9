/* Memory, errors, text encodings, map, random numbers, hashes, addresses. */
#include "base/bytes.h"
#include "base/error.h"
#include "base/map.h"
#include "base/random.h"
#include "base/sha256.h"
#include "base/text.h"
#include "base/trace.h"
#include "base/url.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- bytes ---- */

/* What is added comes back in order, and consuming takes from the front. */
static void buffer_gives_back_what_was_added(void **state)
{
    (void)state;
    struct osr_buffer buffer = {0};
    osr_buffer_add_text(&buffer, "ab");
    osr_buffer_add_u8(&buffer, 'c');
    osr_buffer_add_u32(&buffer, 0x01020304);
    osr_buffer_add_u64(&buffer, 0x05060708090a0b0c);
    osr_buffer_add_u16(&buffer, 0x0d0e);
    osr_buffer_add(&buffer, NULL, 0);
    assert_int_equal(buffer.size, 17);
    assert_memory_equal(buffer.data, "abc\1\2\3\4\5\6\7\10\11\12\13\14\15\16", 17);
    assert_int_equal(osr_get_u64(buffer.data + 7), 0x05060708090a0b0c);
    assert_int_equal(osr_get_u16(buffer.data + 15), 0x0d0e);
    osr_buffer_consume(&buffer, 3);
    assert_int_equal(buffer.size, 14);
    assert_int_equal(osr_get_u32(buffer.data), 0x01020304);
    osr_buffer_done(&buffer);
    assert_true(buffer.data == NULL && buffer.capacity == 0);
}

/* Formatted text of any length is added whole, without its NUL. */
static void buffer_formats_short_and_long_text(void **state)
{
    (void)state;
    struct osr_buffer buffer = {0};
    size_t expected = 0;
    for (int width = 120; width < 136; width++) {
        osr_buffer_add_format(&buffer, "%*d", width, 7);
        expected += (size_t)width;
        assert_int_equal(buffer.size, expected);
        assert_int_equal(buffer.data[buffer.size - 1], '7');
    }
    osr_buffer_add_format(&buffer, "%5000d", 1);
    assert_int_equal(buffer.size, expected + 5000);
    osr_buffer_done(&buffer);
}

/* Pieces are aligned, do not overlap, and outlive later ones. */
static void arena_pieces_are_apart(void **state)
{
    (void)state;
    struct osr_arena *arena = osr_arena_create(1 << 16, 1 << 20);
    uint8_t *pieces[200];
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT(pieces); i++) {
            pieces[i] = osr_arena_take(arena, i * 7);
            assert_non_null(pieces[i]);
            assert_int_equal((uintptr_t)pieces[i] % 16, 0);
            memset(pieces[i], (int)i, i * 7);
        }
        for (size_t i = 0; i < COUNT(pieces); i++) {
            for (size_t k = 0; k < i * 7; k++) {
                assert_int_equal(pieces[i][k], i);
            }
        }
        osr_arena_reset(arena);
        assert_int_equal(osr_arena_used(arena), 0);
    }
    osr_arena_destroy(arena);
    osr_arena_destroy(NULL);
}

/* The cap counts all pieces since the last reset, and only those. */
static void arena_refuses_beyond_its_cap(void **state)
{
    (void)state;
    struct osr_arena *arena = osr_arena_create(0, 1000);
    assert_int_equal(osr_arena_left(arena), 1000);
    assert_null(osr_arena_take(arena, 1001));
    assert_null(osr_arena_take(arena, SIZE_MAX));
    assert_non_null(osr_arena_take(arena, 500));
    assert_null(osr_arena_take(arena, 500)); /* 500 rounds up to 512 */
    assert_non_null(osr_arena_take(arena, 480));
    assert_true(osr_arena_used(arena) <= 1000);
    osr_arena_reset(arena);
    assert_non_null(osr_arena_take(arena, 900));
    osr_arena_destroy(arena);
}

/* A text is copied with a NUL behind it; an empty one is a text too. */
static void arena_copies_text(void **state)
{
    (void)state;
    struct osr_arena *arena = osr_arena_create(0, 100);
    assert_string_equal(osr_arena_text(arena, osr_slice_text("hello")), "hello");
    assert_string_equal(osr_arena_text(arena, osr_slice(NULL, 0)), "");
    assert_null(osr_arena_text(arena, osr_slice("x", SIZE_MAX)));
    osr_arena_destroy(arena);
}

/* ---- errors ---- */

/* Every code has its row; a number that is none is our own fault. */
static void error_codes_are_described(void **state)
{
    (void)state;
    for (int code = 0; code < OSR_CODE_COUNT; code++) {
        assert_non_null(osr_code_info((enum osr_code)code)->name);
    }
    assert_string_equal(osr_code_info(OSR_DISK_FULL)->name, "DISK_FULL");
    assert_string_equal(osr_code_info((enum osr_code)4711)->name, "INTERNAL");
}

/* Layers put what they were doing in front; a too long message is cut, not lost. */
static void error_prefix_goes_in_front(void **state)
{
    (void)state;
    struct osr_err err;
    assert_int_equal(osr_err_set(&err, OSR_BUSY, "queue %d", 3), OSR_BUSY);
    osr_err_hint(&err, "try later");
    assert_int_equal(osr_err_prefix(&err, "peer %s", "x"), OSR_BUSY);
    assert_string_equal(err.message, "peer x: queue 3");
    assert_string_equal(err.hint, "try later");
    for (int i = 0; i < 100; i++) {
        osr_err_prefix(&err, "layer %d", i);
    }
    assert_int_equal(strlen(err.message), OSR_ERR_MESSAGE_MAX - 1);
    assert_int_equal(strncmp(err.message, "layer 99: layer 98: ", 20), 0);
    assert_int_equal(osr_err_set(NULL, OSR_IO, "nobody listens"), OSR_IO);
    assert_int_not_equal(osr_err_prefix(NULL, "nobody listens"), OSR_OK);
}

/* A full disk and a taken address have codes of their own, whatever was being done. */
static void error_from_errno_has_the_right_code(void **state)
{
    (void)state;
    struct osr_err err;
    assert_int_equal(osr_err_errno(&err, OSR_IO, ENOSPC, "write"), OSR_DISK_FULL);
    assert_int_equal(osr_err_errno(&err, OSR_IO, EADDRINUSE, "bind"), OSR_IN_USE);
    assert_int_equal(osr_err_errno(&err, OSR_IO, EIO, "read %s", "f"), OSR_IO);
    assert_string_equal(err.message, "read f: Input/output error");
}

/* Whatever bytes are quoted, the message is a line of UTF-8, also where it is cut. */
static void error_message_is_always_plain_utf8(void **state)
{
    (void)state;
    struct osr_err err;
    osr_err_set(&err, OSR_MALFORMED, "a\nb\xff\xc3\xa9\x1b[31m");
    assert_string_equal(err.message, "a?b?\xc3\xa9?[31m");
    osr_err_set(&err, OSR_MALFORMED,
                "\xc2\x9b"
                "31m\xc2\xa0\xc2\x80");
    assert_string_equal(err.message, "??31m\xc2\xa0??"); /* a terminal may obey U+009B as well */
    for (size_t before = OSR_ERR_MESSAGE_MAX - 10; before < OSR_ERR_MESSAGE_MAX; before++) {
        osr_err_set(&err, OSR_MALFORMED, "%*s\xf0\x9f\x98\x80\xf0\x9f\x98\x80", (int)before, "");
        assert_true(osr_utf8_is_valid(osr_slice_text(err.message)));
        assert_null(strchr(err.message, '?'));
    }
}

/* ---- text ---- */

/* The same verdict wherever it stands in longer text, which is looked at by the word. */
static void assert_utf8(const char *text, bool is_valid)
{
    static const char filling[] = "0123456789012345678901234567890123456789"
                                  "0123456789012345678901234567890123456789";
    enum { AROUND_MAX = 70 };
    for (size_t around = 0; around <= AROUND_MAX; around++) {
        char *surrounded = osr_format("%.*s%s%.*s", (int)around, filling, text,
                                      (int)(AROUND_MAX - around), filling);
        assert_int_equal(osr_utf8_is_valid(osr_slice_text(surrounded)), is_valid);
        free(surrounded);
    }
    assert_int_equal(osr_utf8_is_valid(osr_slice_text(text)), is_valid);
}

/* RFC 3629: neither overlong forms nor surrogates nor numbers beyond U+10FFFF. */
static void utf8_is_checked_strictly(void **state)
{
    (void)state;
    static const char *const valid[] = {"",
                                        "a",
                                        "\x7f",
                                        "\xc2\x80",
                                        "\xdf\xbf",
                                        "\xe0\xa0\x80",
                                        "\xed\x9f\xbf",
                                        "\xee\x80\x80",
                                        "\xf0\x90\x80\x80",
                                        "\xf4\x8f\xbf\xbf",
                                        "12345678\xc3\xa9 and more text"};
    static const char *const invalid[] = {"\x80",         "\xc0\x80",         "\xc1\xbf",
                                          "\xc3",         "\xe0\x9f\xbf",     "\xe2\x82",
                                          "\xed\xa0\x80", "\xed\xbf\xbf",     "\xf0\x8f\xbf\xbf",
                                          "\xf0\x9f\x98", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
                                          "\xff",         "12345678\xc3(",    "1234567\xc3"};
    for (size_t i = 0; i < COUNT(valid); i++) {
        assert_utf8(valid[i], true);
    }
    for (size_t i = 0; i < COUNT(invalid); i++) {
        assert_utf8(invalid[i], false);
    }
    assert_true(osr_text_is_plain(osr_slice_text("caf\xc3\xa9 ~")));
    assert_false(osr_text_is_plain(osr_slice_text("a\tb")));
    assert_false(osr_text_is_plain(osr_slice_text("\x7f")));
    assert_false(osr_text_is_plain(osr_slice("a\0b", 3)));
}

/* The examples of RFC 4648, and all lengths of random bytes there and back. */
static void base64_goes_there_and_back(void **state)
{
    (void)state;
    static const char *const texts[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                        "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    struct osr_buffer encoded = {0};
    struct osr_buffer decoded = {0};
    for (size_t i = 0; i < COUNT(texts); i++) {
        encoded.size = 0;
        osr_base64_encode(&encoded, osr_slice("foobar", i));
        assert_true(osr_slice_equal(osr_buffer_slice(&encoded), osr_slice_text(texts[i])));
    }
    uint8_t bytes[100];
    struct osr_random random;
    osr_random_init(&random, 1);
    osr_random_fill(&random, bytes, sizeof(bytes));
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        encoded.size = decoded.size = 0;
        osr_base64_encode(&encoded, osr_slice(bytes, size));
        assert_true(osr_base64_decode(&decoded, osr_buffer_slice(&encoded)));
        assert_true(osr_slice_equal(osr_buffer_slice(&decoded), osr_slice(bytes, size)));
    }
    osr_buffer_done(&encoded);
    osr_buffer_done(&decoded);
}

/* What is not exactly one encoding of some bytes is refused, and nothing is left behind. */
static void base64_refuses_other_forms(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "Z",    "Zg",    "Zg=",      "Zh==",     "Zm9=", "=",      "====",
        "Z===", "Zm9v ", "Zg==Zg==", "Zm 9v===", "-_==", "Zm9v\n", "Zg=a"};
    struct osr_buffer decoded = {0};
    osr_buffer_add_text(&decoded, "before");
    for (size_t i = 0; i < COUNT(refused); i++) {
        assert_false(osr_base64_decode(&decoded, osr_slice_text(refused[i])));
        assert_int_equal(decoded.size, 6);
    }
    osr_buffer_done(&decoded);
}

/* Without padding it is written; with and without, it is read, as strictly as ever. */
static void base64_goes_there_and_back_without_padding(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "Zg", "Zm8", "Zm9v", "Zm9vYg", "Zm9vYmE", "Zm9vYmFy"};
    static const char *const refused[] = {"Z",   "Zg=",  "Zg===",  "Zh",    "Zm9", "=",
                                          "Zg ", "====", "Zg==Zg", "Zm9vY", "-_",  "Zm9v="};
    struct osr_buffer text = {0};
    struct osr_buffer decoded = {0};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct osr_slice bytes = osr_slice("foobar", i);
        text.size = decoded.size = 0;
        osr_base64_encode_unpadded(&text, bytes);
        assert_true(osr_slice_equal(osr_buffer_slice(&text), osr_slice_text(texts[i])));
        assert_true(osr_base64_decode_unpadded(&decoded, osr_buffer_slice(&text)));
        assert_true(osr_slice_equal(osr_buffer_slice(&decoded), bytes));
        text.size = decoded.size = 0;
        osr_base64_encode(&text, bytes);
        assert_true(osr_base64_decode_unpadded(&decoded, osr_buffer_slice(&text)));
        assert_true(osr_slice_equal(osr_buffer_slice(&decoded), bytes));
    }
    decoded.size = 0;
    for (size_t i = 0; i < COUNT(refused); i++) {
        assert_false(osr_base64_decode_unpadded(&decoded, osr_slice_text(refused[i])));
        assert_int_equal(decoded.size, 0);
    }
    osr_buffer_done(&text);
    osr_buffer_done(&decoded);
}

/* A list's items come without the blanks around them, empty ones too. */
static void text_list_gives_its_items(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        const char *items[4];
    } cases[] = {
        {"", {""}},
        {" \t", {""}},
        {"gzip", {"gzip"}},
        {"identity, gzip\t,deflate", {"identity", "gzip", "deflate"}},
        {",a b,", {"", "a b", ""}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct osr_slice list = osr_slice_text(cases[i].list);
        size_t count = 0;
        bool more = true;
        while (more) {
            struct osr_slice item;
            more = osr_text_take_item(&list, &item);
            assert_non_null(cases[i].items[count]);
            assert_true(osr_slice_equal(item, osr_slice_text(cases[i].items[count])));
            count++;
        }
        assert_null(cases[i].items[count]);
    }
}

static const char *guess(const char *typed)
{
    static const char *const words[] = {"read", "write", "lead"};
    struct osr_text_guess guess = osr_text_guess(typed);

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        osr_text_guess_offer(&guess, words[i]);
    }
    return guess.nearest;
}

/* The nearest word is guessed, of several the first; none where all are other words. */
static void text_guess_is_the_nearest_word(void **state)
{
    (void)state;
    assert_string_equal(guess("wirte"), "write");
    assert_string_equal(guess("lea"), "lead");
    assert_string_equal(guess("ead"), "read");
    assert_null(guess("fly"));
    assert_null(guess(""));
    assert_null(guess("read-and-write-and-lead-and-more-words"));
}

/* The examples of RFC 4648, in lower case and without padding; and hex. */
static void base32_and_hex_encode(void **state)
{
    (void)state;
    static const char *const texts[] = {"",        "my",       "mzxq",      "mzxw6",
                                        "mzxw6yq", "mzxw6ytb", "mzxw6ytboi"};
    char text[32];
    for (size_t i = 0; i < COUNT(texts); i++) {
        osr_base32_encode(text, osr_slice("foobar", i));
        assert_string_equal(text, texts[i]);
    }
    osr_hex_encode(text, osr_slice("\x00\x9f\xff", 3));
    assert_string_equal(text, "009fff");
}

/* All lengths of random bytes come back from base32. */
static void base32_goes_there_and_back(void **state)
{
    (void)state;
    enum { SIZE_MAX_TRIED = 50 };
    uint8_t bytes[SIZE_MAX_TRIED];
    uint8_t decoded[SIZE_MAX_TRIED];
    char text[2 * SIZE_MAX_TRIED];
    struct osr_random random;
    osr_random_init(&random, 2);
    osr_random_fill(&random, bytes, sizeof(bytes));
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        osr_base32_encode(text, osr_slice(bytes, size));
        assert_int_equal(strlen(text) * 5 / 8, size);
        memset(decoded, 0, sizeof(decoded));
        assert_true(osr_base32_decode(decoded, osr_slice_text(text)));
        assert_memory_equal(decoded, bytes, size);
    }
}

/* What is not exactly one encoding of some bytes is refused: a character too many, unused bits
 * set, upper case, padding, and characters of other alphabets. */
static void base32_refuses_other_forms(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "m",       "a",    "mzxw6ytba", "mzx",      "mzxw6y",   "mz",       "mzxx",     "mzxw7",
        "mzxw6yr", "MZXQ", "mzxw6===",  "mzxw ytb", "mzxw0ytb", "mzxw1ytb", "mzxw8ytb", "mzxw9ytb"};
    uint8_t decoded[8];
    for (size_t i = 0; i < COUNT(refused); i++) {
        assert_false(osr_base32_decode(decoded, osr_slice_text(refused[i])));
    }
}

/* ---- map ---- */

static struct osr_slice key_of(char *text, size_t size, size_t number)
{
    int length = snprintf(text, size, "key %zu", number);
    return osr_slice(text, (size_t)length);
}

/* A map agrees with a plain array through many random changes. */
static void map_agrees_with_an_array(void **state)
{
    (void)state;
    enum { KEYS = 300, STEPS = 20000 };
    static char values[STEPS];
    char *expected[KEYS] = {NULL};
    size_t count = 0;
    struct osr_random random;
    osr_random_init(&random, 7);
    struct osr_map *map = osr_map_create(7);
    for (size_t step = 0; step < STEPS; step++) {
        char text[32];
        size_t number = osr_random_below(&random, KEYS);
        struct osr_slice key = key_of(text, sizeof(text), number);
        assert_ptr_equal(osr_map_get(map, key), expected[number]);
        if (osr_random_chance(&random, 0.5)) {
            assert_ptr_equal(osr_map_put(map, key, &values[step]), expected[number]);
            count += expected[number] == NULL;
            expected[number] = &values[step];
        } else {
            assert_ptr_equal(osr_map_remove(map, key), expected[number]);
            count -= expected[number] != NULL;
            expected[number] = NULL;
        }
        assert_int_equal(osr_map_count(map), count);
    }
    osr_map_destroy(map);
    osr_map_destroy(NULL);
}

/* A walk meets every entry once, also where each is removed as it is met. */
static void map_walk_may_remove_what_it_meets(void **state)
{
    (void)state;
    enum { KEYS = 1000 };
    char values[KEYS] = {0};
    struct osr_map *map = osr_map_create(3);
    for (size_t i = 0; i < KEYS; i++) {
        char text[32];
        osr_map_put(map, key_of(text, sizeof(text), i), &values[i]);
    }
    size_t cursor = 0;
    struct osr_slice key;
    void *value;
    while (osr_map_next(map, &cursor, &key, &value)) {
        char text[32];
        size_t index = (size_t)((char *)value - values);
        assert_true(osr_slice_equal(key, key_of(text, sizeof(text), index)));
        values[index]++;
        assert_ptr_equal(osr_map_remove(map, key_of(text, sizeof(text), index)), value);
    }
    for (size_t i = 0; i < KEYS; i++) {
        assert_int_equal(values[i], 1);
    }
    assert_int_equal(osr_map_count(map), 0);
    osr_map_destroy(map);
}

/* Keys are bytes: an empty one and one with NUL are keys like others. */
static void map_keys_are_bytes(void **state)
{
    (void)state;
    char values[3];
    struct osr_map *map = osr_map_create(0);
    osr_map_put(map, osr_slice(NULL, 0), &values[0]);
    osr_map_put(map, osr_slice("a\0b", 3), &values[1]);
    osr_map_put(map, osr_slice("a", 1), &values[2]);
    assert_ptr_equal(osr_map_get(map, osr_slice("", 0)), &values[0]);
    assert_ptr_equal(osr_map_get(map, osr_slice("a\0b", 3)), &values[1]);
    assert_ptr_equal(osr_map_get(map, osr_slice("a", 1)), &values[2]);
    assert_null(osr_map_get(map, osr_slice("a\0c", 3)));
    osr_map_destroy(map);
}

/* ---- random ---- */

/* The same seed gives the same numbers on every machine: xoshiro256** after splitmix64. */
static void random_is_determined_by_its_seed(void **state)
{
    (void)state;
    struct osr_random a, b;
    osr_random_init(&a, 0);
    assert_int_equal(osr_random_u64(&a), UINT64_C(0x99ec5f36cb75f2b4));
    assert_int_equal(osr_random_u64(&a), UINT64_C(0xbf6e1f784956452a));
    osr_random_init(&a, 42);
    osr_random_init(&b, 43);
    assert_int_not_equal(osr_random_u64(&a), osr_random_u64(&b));
    uint8_t whole[16], parts[16];
    osr_random_init(&a, 5);
    osr_random_init(&b, 5);
    osr_random_fill(&a, whole, sizeof(whole));
    osr_random_fill(&b, parts, 8);
    osr_random_fill(&b, parts + 8, 8);
    assert_memory_equal(whole, parts, sizeof(whole));
}

/* Numbers stay below their limit and reach all below it; chances come true that often. */
static void random_numbers_are_spread(void **state)
{
    (void)state;
    struct osr_random random;
    osr_random_init(&random, 9);
    size_t seen[7] = {0};
    size_t hits = 0;
    for (size_t i = 0; i < 7000; i++) {
        seen[osr_random_below(&random, 7)]++;
        hits += osr_random_chance(&random, 0.25);
        assert_false(osr_random_chance(&random, 0));
        assert_true(osr_random_chance(&random, 1));
    }
    for (size_t i = 0; i < COUNT(seen); i++) {
        assert_in_range(seen[i], 850, 1150);
    }
    assert_in_range(hits, 1600, 1900);
    assert_int_equal(osr_random_below(&random, 1), 0);
}

/* ---- SHA-256 ---- */

static void assert_hash(struct osr_hash hash, const char *expected)
{
    char text[2 * OSR_SHA256_SIZE + 1];
    osr_hex_encode(text, osr_slice(hash.bytes, sizeof(hash.bytes)));
    assert_string_equal(text, expected);
}

#define HASH_OF_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void *hash_in_thread(void *unused)
{
    (void)unused;
    struct osr_slice piece = osr_slice_text("abc");
    assert_hash(osr_sha256(&piece, 1), HASH_OF_ABC);
    return NULL;
}

/* The examples of FIPS 180-4, in pieces, as a stream, and in another thread. */
static void sha256_hashes_pieces_and_streams(void **state)
{
    (void)state;
    assert_hash(osr_sha256(NULL, 0),
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    const struct osr_slice pieces[] = {osr_slice_text("a"), osr_slice(NULL, 0),
                                       osr_slice_text("bc")};
    assert_hash(osr_sha256(pieces, COUNT(pieces)), HASH_OF_ABC);

    struct osr_sha256_stream *stream = osr_sha256_stream_create();
    for (int round = 0; round < 2; round++) {
        osr_sha256_stream_add(stream, "ab", 2);
        osr_sha256_stream_add(stream, "c", 1);
        assert_hash(osr_sha256_stream_finish(stream), HASH_OF_ABC);
    }
    osr_sha256_stream_destroy(stream);
    osr_sha256_stream_destroy(NULL);

    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, hash_in_thread, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* ---- trace ---- */

static void remember_line(void *context, enum osr_level level, const char *line)
{
    (void)level;
    snprintf(context, 64, "%s", line);
}

/* Lines above the level are not written; a zeroed trace is silent. */
static void trace_writes_up_to_its_level(void **state)
{
    (void)state;
    char line[64] = "";
    struct osr_trace trace = {remember_line, line, OSR_LEVEL_INFO};
    osr_trace(&trace, OSR_LEVEL_TRACE, "hidden");
    assert_string_equal(line, "");
    osr_trace(&trace, OSR_LEVEL_INFO, "n%d", 1);
    assert_string_equal(line, "n1");
    osr_trace(&(struct osr_trace){0}, OSR_LEVEL_ERROR, "nobody listens");
}

/* ---- URL ---- */

/* What is accepted, and what it means. */
static void url_parts_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *text, *scheme, *host;
        uint16_t port;
        bool is_loopback;
        const char *codec;
    } cases[] = {
        {"tcp://127.0.0.1:7000", "tcp", "127.0.0.1", 7000, true, NULL},
        {"tcp://host.example", "tcp", "host.example", 12346, false, NULL},
        {"grpc://host.example", "grpc", "host.example", 7400, false, NULL},
        {"tcp://0.0.0.0:0", "tcp", "0.0.0.0", 0, false, NULL},
        {"tcp://[::1]:9", "tcp", "::1", 9, true, NULL},
        {"tcp://[fe80::1]", "tcp", "fe80::1", 12346, false, NULL},
        {"tcp://localhost:65535?codec=protobuf", "tcp", "localhost", 65535, true, "protobuf"},
        {"tcp://localhost:1?codec=yaml", "tcp", "localhost", 1, true, "yaml"},
        {"tcp://127.example:1?settle_ms=50&codec=%6ason", "tcp", "127.example", 1, false, "json"},
        {"unix:///run/osiris/socket", "unix", "/run/osiris/socket", 0, true, NULL},
        {"unix://here", "unix", "here", 0, true, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct osr_url url;
        assert_int_equal(osr_url_parse(cases[i].text, &url, NULL), 0);
        assert_string_equal(url.text, cases[i].text);
        assert_string_equal(url.scheme, cases[i].scheme);
        assert_string_equal(url.host, cases[i].host);
        assert_int_equal(url.port, cases[i].port);
        assert_int_equal(osr_url_is_loopback(&url), cases[i].is_loopback);
        const char *codec = osr_url_parameter(&url, "codec");
        assert_true((codec == NULL) == (cases[i].codec == NULL));
        if (codec != NULL) {
            assert_string_equal(codec, cases[i].codec);
        }
    }
}

/* Brokers have a user and an address; what goes between instances is secure, whatever carries it.
 */
static void url_of_a_broker_is_found(void **state)
{
    (void)state;
    struct osr_url url;
    assert_int_equal(
        osr_url_parse("mqtts://ana@broker.example/osiris/office?ca_file=/a%20b", &url, NULL), 0);
    assert_string_equal(url.user, "ana");
    assert_string_equal(url.host, "broker.example");
    assert_int_equal(url.port, 8883);
    assert_string_equal(url.address, "osiris/office");
    assert_string_equal(osr_url_parameter(&url, "ca_file"), "/a b");
    assert_true(osr_url_is_secure(&url) && osr_url_is_bus(&url) && osr_url_is_broker(&url));
    assert_int_equal(osr_url_parse("amqp://[::1]:9/a?for=clients&as=robot", &url, NULL), 0);
    assert_string_equal(url.user, "");
    assert_string_equal(url.host, "::1");
    assert_int_equal(url.port, 9);
    assert_true(osr_url_is_for_clients(&url) && !osr_url_is_secure(&url));
    char *place = osr_url_place(&url);
    assert_string_equal(place, "amqp://[::1]:9/a");
    free(place);
    assert_int_equal(osr_url_parse("zmq://127.0.0.1", &url, NULL), 0);
    assert_int_equal(url.port, 7401);
    assert_true(osr_url_is_bus(&url) && !osr_url_is_broker(&url) && !osr_url_is_stream(&url));
    assert_int_equal(osr_url_parse("udp://127.0.0.1", &url, NULL), 0);
    assert_true(osr_url_is_secure(&url) && !osr_url_is_bus(&url) && !osr_url_is_stream(&url));
    place = osr_url_place(&url);
    assert_string_equal(place, "udp://127.0.0.1:7400");
    free(place);
}

/* What is refused; an unknown scheme is told from what is no address at all. */
static void url_refuses_what_it_does_not_know(void **state)
{
    (void)state;
    static const char *const refused[] = {"",
                                          "localhost",
                                          "127.0.0.1:80",
                                          "tcp:/x",
                                          "tcp://",
                                          "tcp://:80",
                                          "tcp://bad host:80",
                                          "tcp://user@host",
                                          "tcp://h:",
                                          "tcp://h:x",
                                          "tcp://h:65536",
                                          "tcp://h:-1",
                                          "tcp://h:1:2",
                                          "tcp://[::1",
                                          "tcp://[::1]80",
                                          "tcp://[x]:1",
                                          "tcp://h?",
                                          "tcp://h?codec",
                                          "tcp://h?codec=",
                                          "tcp://h?codec=xml",
                                          "tcp://h?colour=red",
                                          "tcp://h?codec=json&codec=json",
                                          "tcp://h?codec=%6",
                                          "tcp://h?codec=json%00",
                                          "tcp://h?peer=friend",
                                          "tcp://h?settle_ms=soon",
                                          "tcp://h?settle_ms=60001",
                                          "unix://",
                                          "://h",
                                          "mqtt://broker",
                                          "mqtt://broker/",
                                          "mqtt://broker//a",
                                          "mqtt://broker/a/",
                                          "mqtt://broker/a/+",
                                          "mqtt://broker/a/#",
                                          "mqtt://@broker/a",
                                          "mqtt://ana:secret@broker/a",
                                          "amqp://broker/a b",
                                          "mqtt://broker/a?password_file=",
                                          "mqtt://broker/a?for=everybody",
                                          "mqtt://broker/a?as=",
                                          "zmq://ana@host"};
    struct osr_url url = {.port = 4711};
    struct osr_err err;
    for (size_t i = 0; i < COUNT(refused); i++) {
        assert_int_equal(osr_url_parse(refused[i], &url, &err), OSR_INVALID_ARGUMENT);
        assert_int_equal(url.port, 4711);
        assert_int_not_equal(err.hint[0], '\0');
    }
    assert_int_equal(osr_url_parse("ftp://h", &url, &err), OSR_UNSUPPORTED_VERSION);
    assert_non_null(strstr(err.hint, "tcp, "));
    char *host = osr_format("tcp://%0*d", 300, 1);
    assert_int_equal(osr_url_parse(host, &url, &err), OSR_INVALID_ARGUMENT);
    free(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffer_gives_back_what_was_added),
        cmocka_unit_test(buffer_formats_short_and_long_text),
        cmocka_unit_test(arena_pieces_are_apart),
        cmocka_unit_test(arena_refuses_beyond_its_cap),
        cmocka_unit_test(arena_copies_text),
        cmocka_unit_test(error_codes_are_described),
        cmocka_unit_test(error_prefix_goes_in_front),
        cmocka_unit_test(error_from_errno_has_the_right_code),
        cmocka_unit_test(error_message_is_always_plain_utf8),
        cmocka_unit_test(utf8_is_checked_strictly),
        cmocka_unit_test(base64_goes_there_and_back),
        cmocka_unit_test(base64_refuses_other_forms),
        cmocka_unit_test(base64_goes_there_and_back_without_padding),
        cmocka_unit_test(text_list_gives_its_items),
        cmocka_unit_test(text_guess_is_the_nearest_word),
        cmocka_unit_test(base32_and_hex_encode),
        cmocka_unit_test(base32_goes_there_and_back),
        cmocka_unit_test(base32_refuses_other_forms),
        cmocka_unit_test(map_agrees_with_an_array),
        cmocka_unit_test(map_walk_may_remove_what_it_meets),
        cmocka_unit_test(map_keys_are_bytes),
        cmocka_unit_test(random_is_determined_by_its_seed),
        cmocka_unit_test(random_numbers_are_spread),
        cmocka_unit_test(sha256_hashes_pieces_and_streams),
        cmocka_unit_test(trace_writes_up_to_its_level),
        cmocka_unit_test(url_parts_are_found),
        cmocka_unit_test(url_of_a_broker_is_found),
        cmocka_unit_test(url_refuses_what_it_does_not_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
