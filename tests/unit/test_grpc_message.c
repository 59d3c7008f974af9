/* Messages found in a call's DATA, however it is cut, and what is refused there. */
#include "wire/grpc_message.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zlib.h>

#include <cmocka.h>

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define TEXT(literal) osr_slice(literal, sizeof(literal) - 1)

enum { BYTES_MAX = 10000 };

/* ---- writing what is to be read ---- */

static void write_message(struct osr_buffer *data, struct osr_slice message,
                          enum osr_grpc_encoding encoding)
{
    size_t begin = osr_grpc_prefix_begin(data);
    osr_buffer_add(data, message.data, message.size);
    osr_grpc_prefix_end(data, begin, encoding);
}

/* A prefix by hand, which may be wrong. */
static void write_prefix(struct osr_buffer *data, uint8_t flag, size_t size)
{
    osr_buffer_add_u8(data, flag);
    osr_buffer_add_u32(data, (uint32_t)size);
}

/* Zeros, compressed as a peer's own zlib would do it. */
static void compress_zeros(struct osr_buffer *compressed, size_t size, int window_bits)
{
    uint8_t *zeros = osr_alloc(size);
    uint8_t *output = osr_buffer_reserve(compressed, size / 100 + 100);
    z_stream stream = {
        .next_in = zeros,
        .avail_in = (uInt)size,
        .next_out = output,
        .avail_out = (uInt)(size / 100 + 100),
    };
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), 0);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    compressed->size += stream.total_out;
    deflateEnd(&stream);
    free(zeros);
}

/* Messages of many sizes, empty ones too. */
static void write_messages(struct osr_buffer *data, enum osr_grpc_encoding encoding)
{
    static const size_t sizes[] = {0, 1, 0, 0, 5, 300, 4, 2000, 0};
    char text[2000];
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = (char)('a' + i % 7);
    }
    for (size_t i = 0; i < COUNT(sizes); i++) {
        text[0] = (char)('A' + i);
        write_message(data, osr_slice(text, sizes[i]), encoding);
    }
}

/* ---- reading ---- */

/* Reads a piece; its messages are put down one behind the other. */
static enum osr_grpc_code read_piece(struct osr_grpc_reader *reader, struct osr_slice piece,
                                     struct osr_buffer *messages)
{
    for (;;) {
        struct osr_slice message;
        bool found = false;
        const char *why = NULL;
        enum osr_grpc_code code = osr_grpc_reader_next(reader, &piece, &message, &found, &why);
        if (code != OSR_GRPC_OK) {
            assert_non_null(why);
            assert_false(found);
            return code;
        }
        if (!found) {
            assert_int_equal(piece.size, 0);
            return OSR_GRPC_OK;
        }
        assert_false(osr_grpc_reader_is_partial(reader));
        osr_buffer_add_format(messages, "%zu:", message.size);
        osr_buffer_add(messages, message.data, message.size);
    }
}

static enum osr_grpc_code read_in_pieces(struct osr_grpc_reader *reader, struct osr_slice data,
                                         size_t first, size_t step, struct osr_buffer *messages)
{
    enum osr_grpc_code code = OSR_GRPC_OK;
    for (size_t at = 0; at < data.size && code == OSR_GRPC_OK;) {
        size_t wanted = at == 0 ? first : step;
        size_t size = wanted < data.size - at ? wanted : data.size - at;
        /* A copy of its own, so that the sanitizer sees who reads what is no longer there. */
        uint8_t *piece = memcpy(osr_alloc(size), data.data + at, size);
        code = read_piece(reader, osr_slice(piece, size), messages);
        free(piece);
        at += size;
    }
    return code;
}

static void assert_read_as(struct osr_slice data, enum osr_grpc_encoding encoding, size_t first,
                           size_t step, const struct osr_buffer *expected)
{
    struct osr_grpc_reader reader;
    osr_grpc_reader_init(&reader, BYTES_MAX);
    reader.encoding = encoding;
    struct osr_buffer messages = {0};
    assert_int_equal(read_in_pieces(&reader, data, first, step, &messages), OSR_GRPC_OK);
    assert_true(osr_slice_equal(osr_buffer_slice(&messages), osr_buffer_slice(expected)));
    assert_false(osr_grpc_reader_is_partial(&reader));
    osr_buffer_done(&messages);
    osr_grpc_reader_done(&reader);
}

/* Reads the data whole and byte by byte: both end with that code. */
static void assert_refused(const struct osr_buffer *data, enum osr_grpc_encoding encoding,
                           size_t bytes_max, enum osr_grpc_code expected)
{
    const size_t steps[] = {1, data->size};
    for (size_t i = 0; i < COUNT(steps); i++) {
        struct osr_grpc_reader reader;
        osr_grpc_reader_init(&reader, bytes_max);
        reader.encoding = encoding;
        struct osr_buffer messages = {0};
        enum osr_grpc_code code =
            read_in_pieces(&reader, osr_buffer_slice(data), steps[i], steps[i], &messages);
        assert_int_equal(code, expected);
        assert_int_equal(messages.size, 0);
        osr_buffer_done(&messages);
        osr_grpc_reader_done(&reader);
    }
}

/* Cut in two at every byte, or into pieces of every size, the same messages come out. */
static void message_is_found_at_every_split(void **state)
{
    (void)state;
    struct osr_buffer expected = {0};
    for (int encoding = 0; encoding < OSR_GRPC_ENCODING_UNKNOWN; encoding++) {
        struct osr_buffer data = {0};
        write_messages(&data, (enum osr_grpc_encoding)encoding);
        if (encoding == OSR_GRPC_IDENTITY) {
            struct osr_grpc_reader reader;
            osr_grpc_reader_init(&reader, BYTES_MAX);
            assert_int_equal(read_piece(&reader, osr_buffer_slice(&data), &expected), OSR_GRPC_OK);
            osr_grpc_reader_done(&reader);
            assert_memory_equal(expected.data, "0:1:B0:0:5:Ebcde300:F", 21);
        }
        for (size_t cut = 1; cut <= data.size; cut++) {
            struct osr_slice bytes = osr_buffer_slice(&data);
            assert_read_as(bytes, (enum osr_grpc_encoding)encoding, cut, data.size, &expected);
            assert_read_as(bytes, (enum osr_grpc_encoding)encoding, cut, cut, &expected);
        }
        osr_buffer_done(&data);
    }
    osr_buffer_done(&expected);
}

/* Messages that are whole are given from where they came, and nothing is allocated. */
static void message_that_is_whole_is_not_copied(void **state)
{
    (void)state;
    struct osr_buffer data = {0};
    write_messages(&data, OSR_GRPC_IDENTITY);
    struct osr_grpc_reader reader;
    osr_grpc_reader_init(&reader, BYTES_MAX);
    struct osr_slice left = osr_buffer_slice(&data);
    size_t count = 0;
    while (left.size > 0) {
        struct osr_slice message;
        bool found;
        const char *why;
        const uint8_t *begin = left.data;
        assert_int_equal(osr_grpc_reader_next(&reader, &left, &message, &found, &why), 0);
        assert_true(found);
        assert_ptr_equal(message.data, begin + OSR_GRPC_PREFIX_BYTES);
        assert_ptr_equal(left.data, message.data + message.size);
        count++;
    }
    assert_int_equal(count, 9);
    assert_null(reader.partial.data);
    assert_null(reader.inflated.data);
    osr_grpc_reader_done(&reader);
    osr_buffer_done(&data);
}

/* Nothing at all is no message, and no partial one. */
static void message_reader_takes_empty_data(void **state)
{
    (void)state;
    struct osr_grpc_reader reader;
    osr_grpc_reader_init(&reader, BYTES_MAX);
    struct osr_buffer messages = {0};
    assert_int_equal(read_piece(&reader, osr_slice(NULL, 0), &messages), OSR_GRPC_OK);
    assert_int_equal(read_piece(&reader, TEXT(""), &messages), OSR_GRPC_OK);
    assert_false(osr_grpc_reader_is_partial(&reader));
    assert_int_equal(read_piece(&reader, TEXT("\0\0\0"), &messages), OSR_GRPC_OK);
    assert_true(osr_grpc_reader_is_partial(&reader));
    assert_int_equal(read_piece(&reader, osr_slice(NULL, 0), &messages), OSR_GRPC_OK);
    assert_int_equal(read_piece(&reader, TEXT("\0\2x"), &messages), OSR_GRPC_OK);
    assert_true(osr_grpc_reader_is_partial(&reader));
    assert_int_equal(messages.size, 0);
    assert_int_equal(read_piece(&reader, TEXT("y"), &messages), OSR_GRPC_OK);
    assert_false(osr_grpc_reader_is_partial(&reader));
    assert_memory_equal(messages.data, "2:xy", 4);
    osr_buffer_done(&messages);
    osr_grpc_reader_done(&reader);
}

/* A million messages in one piece, and cut into odd ones, cost what their bytes cost. */
static void message_million_is_linear(void **state)
{
    (void)state;
    enum { MESSAGES = 1000 * 1000, SECONDS_MAX = 20 };
    struct osr_buffer data = {0};
    for (int i = 0; i < MESSAGES; i++) {
        osr_buffer_add(&data, "\0\0\0\0\1x", 6);
    }
    clock_t begin = clock();
    const size_t steps[] = {data.size, 16384, 7};
    for (size_t i = 0; i < COUNT(steps); i++) {
        struct osr_grpc_reader reader;
        osr_grpc_reader_init(&reader, BYTES_MAX);
        size_t count = 0;
        for (size_t at = 0; at < data.size; at += steps[i]) {
            size_t left = data.size - at;
            struct osr_slice piece = osr_slice(data.data + at, left < steps[i] ? left : steps[i]);
            struct osr_slice message;
            bool found = true;
            const char *why;
            while (found) {
                assert_true(osr_grpc_reader_next(&reader, &piece, &message, &found, &why) == 0);
                count += found;
            }
        }
        assert_int_equal(count, MESSAGES);
        osr_grpc_reader_done(&reader);
    }
    assert_true((clock() - begin) / CLOCKS_PER_SEC < SECONDS_MAX);
    osr_buffer_done(&data);
}

/* A length over the limit is refused as soon as it is there, before memory is taken for it. */
static void message_over_the_limit_is_refused_by_its_prefix(void **state)
{
    (void)state;
    struct osr_grpc_reader reader;
    osr_grpc_reader_init(&reader, BYTES_MAX);
    struct osr_slice prefix = TEXT("\0\xff\xff\xff\xff");
    struct osr_slice message;
    bool found;
    const char *why = NULL;
    assert_int_equal(osr_grpc_reader_next(&reader, &prefix, &message, &found, &why),
                     OSR_GRPC_RESOURCE_EXHAUSTED);
    assert_non_null(why);
    assert_null(reader.partial.data);
    osr_grpc_reader_done(&reader);

    struct osr_buffer data = {0};
    write_prefix(&data, 0, BYTES_MAX + 1);
    assert_refused(&data, OSR_GRPC_IDENTITY, BYTES_MAX, OSR_GRPC_RESOURCE_EXHAUSTED);
    data.size = 0;
    write_prefix(&data, 1, BYTES_MAX + 1);
    assert_refused(&data, OSR_GRPC_GZIP, BYTES_MAX, OSR_GRPC_RESOURCE_EXHAUSTED);
    data.size = 0;
    write_prefix(&data, 0, 1);
    assert_refused(&data, OSR_GRPC_IDENTITY, 0, OSR_GRPC_RESOURCE_EXHAUSTED);
    osr_buffer_done(&data);
}

/* A message just as large as the limit is taken. */
static void message_of_the_largest_size_is_taken(void **state)
{
    (void)state;
    char text[BYTES_MAX] = "x";
    struct osr_buffer data = {0};
    struct osr_buffer expected = {0};
    osr_buffer_add_format(&expected, "%d:", BYTES_MAX);
    osr_buffer_add(&expected, text, sizeof(text));
    for (int encoding = 0; encoding < OSR_GRPC_ENCODING_UNKNOWN; encoding++) {
        data.size = 0;
        write_message(&data, osr_slice(text, sizeof(text)), (enum osr_grpc_encoding)encoding);
        struct osr_slice bytes = osr_buffer_slice(&data);
        assert_read_as(bytes, (enum osr_grpc_encoding)encoding, data.size, 1, &expected);
        assert_read_as(bytes, (enum osr_grpc_encoding)encoding, 6, 1000, &expected);
    }
    osr_buffer_done(&data);
    osr_buffer_done(&expected);
}

/* Announcing much and sending little takes little memory; a large message's is given back. */
static void message_takes_memory_as_it_comes(void **state)
{
    (void)state;
    enum { LARGE = 10 << 20 };
    struct osr_grpc_reader reader;
    osr_grpc_reader_init(&reader, LARGE);
    struct osr_buffer data = {0};
    struct osr_buffer messages = {0};
    write_prefix(&data, 0, LARGE);
    assert_int_equal(read_piece(&reader, osr_buffer_slice(&data), &messages), OSR_GRPC_OK);
    assert_true(osr_grpc_reader_is_partial(&reader));
    assert_true(reader.partial.capacity < 1000);
    uint8_t *piece = osr_alloc(LARGE);
    assert_int_equal(read_piece(&reader, osr_slice(piece, LARGE), &messages), OSR_GRPC_OK);
    free(piece);
    assert_true(messages.size > LARGE);
    assert_true(reader.partial.capacity < 100000);

    data.size = messages.size = 0;
    reader.encoding = OSR_GRPC_GZIP;
    struct osr_buffer zeros = {0};
    compress_zeros(&zeros, LARGE, 31);
    write_prefix(&data, 1, zeros.size);
    osr_buffer_add(&data, zeros.data, zeros.size);
    assert_int_equal(read_piece(&reader, osr_buffer_slice(&data), &messages), OSR_GRPC_OK);
    assert_true(messages.size > LARGE);
    assert_true(reader.inflated.capacity < 100000);
    osr_buffer_done(&zeros);
    osr_buffer_done(&messages);
    osr_buffer_done(&data);
    osr_grpc_reader_done(&reader);
}

/* Any flag but 0 and 1 is broken. */
static void message_flag_is_checked(void **state)
{
    (void)state;
    struct osr_buffer data = {0};
    for (int flag = 2; flag < 256; flag++) {
        data.size = 0;
        write_prefix(&data, (uint8_t)flag, 0);
        assert_refused(&data, OSR_GRPC_GZIP, BYTES_MAX, OSR_GRPC_INTERNAL);
    }
    osr_buffer_done(&data);
}

/* A compressed message needs an encoding, and one that is known; a plain one does not. */
static void message_encoding_is_checked(void **state)
{
    (void)state;
    struct osr_buffer data = {0};
    struct osr_buffer plain = {0};
    struct osr_buffer expected = {0};
    compress_zeros(&plain, 1000, 31);
    write_prefix(&data, 1, plain.size);
    osr_buffer_add(&data, plain.data, plain.size);
    assert_refused(&data, OSR_GRPC_IDENTITY, BYTES_MAX, OSR_GRPC_INTERNAL);
    assert_refused(&data, OSR_GRPC_ENCODING_UNKNOWN, BYTES_MAX, OSR_GRPC_UNIMPLEMENTED);
    assert_refused(&data, OSR_GRPC_DEFLATE, BYTES_MAX, OSR_GRPC_INTERNAL);
    osr_buffer_add_text(&expected, "1:x");
    assert_read_as(TEXT("\0\0\0\0\1x"), OSR_GRPC_ENCODING_UNKNOWN, 6, 6, &expected);
    assert_read_as(TEXT("\0\0\0\0\1x"), OSR_GRPC_GZIP, 6, 6, &expected);
    osr_buffer_done(&data);
    osr_buffer_done(&plain);
    osr_buffer_done(&expected);
}

/* What inflates past the limit is refused, at the limit. */
static void message_gzip_bomb_is_refused(void **state)
{
    (void)state;
    static const int window_bits[] = {[OSR_GRPC_GZIP] = 31, [OSR_GRPC_DEFLATE] = 15};
    for (int encoding = OSR_GRPC_GZIP; encoding <= OSR_GRPC_DEFLATE; encoding++) {
        struct osr_buffer zeros = {0};
        struct osr_buffer data = {0};
        compress_zeros(&zeros, 8 << 20, window_bits[encoding]);
        assert_true(zeros.size < BYTES_MAX); /* so that its prefix says nothing */
        write_prefix(&data, 1, zeros.size);
        osr_buffer_add(&data, zeros.data, zeros.size);
        assert_refused(&data, (enum osr_grpc_encoding)encoding, BYTES_MAX,
                       OSR_GRPC_RESOURCE_EXHAUSTED);

        struct osr_grpc_reader reader;
        osr_grpc_reader_init(&reader, BYTES_MAX);
        reader.encoding = (enum osr_grpc_encoding)encoding;
        struct osr_buffer messages = {0};
        assert_int_equal(read_piece(&reader, osr_buffer_slice(&data), &messages),
                         OSR_GRPC_RESOURCE_EXHAUSTED);
        assert_int_equal(reader.inflated.size, BYTES_MAX + 1);
        osr_grpc_reader_done(&reader);

        data.size = zeros.size = 0; /* one byte over the limit is as much too large */
        compress_zeros(&zeros, BYTES_MAX + 1, window_bits[encoding]);
        write_prefix(&data, 1, zeros.size);
        osr_buffer_add(&data, zeros.data, zeros.size);
        assert_refused(&data, (enum osr_grpc_encoding)encoding, BYTES_MAX,
                       OSR_GRPC_RESOURCE_EXHAUSTED);
        osr_buffer_done(&zeros);
        osr_buffer_done(&data);
    }
}

/* Compressed bytes that are cut, changed, or followed by others are refused. */
static void message_broken_gzip_is_refused(void **state)
{
    (void)state;
    struct osr_buffer zeros = {0};
    struct osr_buffer data = {0};
    compress_zeros(&zeros, 1000, 31);
    for (size_t size = 0; size < zeros.size; size++) {
        data.size = 0;
        write_prefix(&data, 1, size);
        osr_buffer_add(&data, zeros.data, size);
        assert_refused(&data, OSR_GRPC_GZIP, BYTES_MAX, OSR_GRPC_INTERNAL);
    }
    size_t crc = OSR_GRPC_PREFIX_BYTES + zeros.size - 8;
    data.size = 0;
    write_prefix(&data, 1, zeros.size);
    osr_buffer_add(&data, zeros.data, zeros.size);
    data.data[crc] ^= 1;
    assert_refused(&data, OSR_GRPC_GZIP, BYTES_MAX, OSR_GRPC_INTERNAL);
    data.data[crc] ^= 1;
    osr_buffer_add_text(&data, "x");
    osr_put_u32(data.data + 1, (uint32_t)zeros.size + 1);
    assert_refused(&data, OSR_GRPC_GZIP, BYTES_MAX, OSR_GRPC_INTERNAL);
    osr_buffer_done(&zeros);
    osr_buffer_done(&data);
}

/* ---- writing ---- */

/* The prefix is filled in where it begins, behind what stands there already. */
static void message_prefix_is_filled_in(void **state)
{
    (void)state;
    struct osr_buffer data = {0};
    osr_buffer_add_text(&data, "before");
    write_message(&data, TEXT("abc"), OSR_GRPC_IDENTITY);
    write_message(&data, TEXT(""), OSR_GRPC_GZIP);
    assert_true(osr_slice_equal(osr_buffer_slice(&data), TEXT("before\0\0\0\0\3abc\0\0\0\0\0")));
    osr_buffer_done(&data);
}

static uint8_t flag_of(struct osr_slice message, enum osr_grpc_encoding encoding)
{
    struct osr_buffer data = {0};
    write_message(&data, message, encoding);
    uint8_t flag = data.data[0];
    if (flag == 0) {
        assert_int_equal(data.size, OSR_GRPC_PREFIX_BYTES + message.size);
        assert_memory_equal(data.data + OSR_GRPC_PREFIX_BYTES, message.data, message.size);
    } else {
        assert_true(data.size < OSR_GRPC_PREFIX_BYTES + message.size);
    }
    osr_buffer_done(&data);
    return flag;
}

/* Only what gains by it is compressed: not small messages, and not noise. */
static void message_is_compressed_where_that_helps(void **state)
{
    (void)state;
    uint8_t bytes[5000] = {0};
    struct osr_slice small = osr_slice(bytes, OSR_GRPC_COMPRESS_BYTES_MIN - 1);
    struct osr_slice large = osr_slice(bytes, OSR_GRPC_COMPRESS_BYTES_MIN);
    assert_int_equal(flag_of(small, OSR_GRPC_GZIP), 0);
    assert_int_equal(flag_of(large, OSR_GRPC_GZIP), 1);
    assert_int_equal(flag_of(large, OSR_GRPC_DEFLATE), 1);
    assert_int_equal(flag_of(large, OSR_GRPC_IDENTITY), 0);
    struct osr_random random;
    osr_random_init(&random, 1);
    osr_random_fill(&random, bytes, sizeof(bytes));
    assert_int_equal(flag_of(osr_slice(bytes, sizeof(bytes)), OSR_GRPC_GZIP), 0);
    assert_int_equal(flag_of(osr_slice(bytes, sizeof(bytes)), OSR_GRPC_DEFLATE), 0);
}

/* ---- names ---- */

/* Encodings by their names in header fields. */
static void message_encodings_have_names(void **state)
{
    (void)state;
    for (int encoding = 0; encoding < OSR_GRPC_ENCODING_UNKNOWN; encoding++) {
        const char *name = osr_grpc_encoding_name((enum osr_grpc_encoding)encoding);
        assert_int_equal(osr_grpc_encoding_parse(osr_slice_text(name)), encoding);
        assert_true(osr_grpc_encoding_is_accepted(TEXT(OSR_GRPC_ACCEPT_ENCODING),
                                                  (enum osr_grpc_encoding)encoding));
    }
    assert_int_equal(osr_grpc_encoding_parse(TEXT("gzip")), OSR_GRPC_GZIP);
    assert_int_equal(osr_grpc_encoding_parse(TEXT("snappy")), OSR_GRPC_ENCODING_UNKNOWN);
    assert_int_equal(osr_grpc_encoding_parse(TEXT("")), OSR_GRPC_ENCODING_UNKNOWN);
    assert_int_equal(osr_grpc_encoding_parse(TEXT("gzip,")), OSR_GRPC_ENCODING_UNKNOWN);
}

/* Whole names are looked for in the list; plain messages are always accepted. */
static void message_encodings_accepted_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        bool gzip;
        bool deflate;
    } cases[] = {
        {"", false, false},
        {"identity", false, false},
        {"gzip", true, false},
        {"deflate", false, true},
        {"identity, gzip", true, false},
        {"br,gzip ,deflate", true, true},
        {"gzipped", false, false},
        {"x-gzip,gz", false, false},
        {"snappy,", false, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct osr_slice accept = osr_slice_text(cases[i].accept);
        assert_true(osr_grpc_encoding_is_accepted(accept, OSR_GRPC_IDENTITY));
        assert_int_equal(osr_grpc_encoding_is_accepted(accept, OSR_GRPC_GZIP), cases[i].gzip);
        assert_int_equal(osr_grpc_encoding_is_accepted(accept, OSR_GRPC_DEFLATE), cases[i].deflate);
        assert_false(osr_grpc_encoding_is_accepted(accept, OSR_GRPC_ENCODING_UNKNOWN));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_is_found_at_every_split),
        cmocka_unit_test(message_that_is_whole_is_not_copied),
        cmocka_unit_test(message_reader_takes_empty_data),
        cmocka_unit_test(message_million_is_linear),
        cmocka_unit_test(message_over_the_limit_is_refused_by_its_prefix),
        cmocka_unit_test(message_of_the_largest_size_is_taken),
        cmocka_unit_test(message_takes_memory_as_it_comes),
        cmocka_unit_test(message_flag_is_checked),
        cmocka_unit_test(message_encoding_is_checked),
        cmocka_unit_test(message_gzip_bomb_is_refused),
        cmocka_unit_test(message_broken_gzip_is_refused),
        cmocka_unit_test(message_prefix_is_filled_in),
        cmocka_unit_test(message_is_compressed_where_that_helps),
        cmocka_unit_test(message_encodings_have_names),
        cmocka_unit_test(message_encodings_accepted_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
