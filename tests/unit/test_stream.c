/* Frames found in streams of bytes, however these are cut. */
#include "model/limits.h"
#include "wire/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

enum { FRAMES = 5 };

static Osr__Frame *ping(Osr__Frame *frame, Osr__Ping *body, uint64_t nonce)
{
    osr__frame__init(frame);
    osr__ping__init(body);
    body->nonce = nonce;
    osr_frame_set_body(frame, OSR__FRAME__BODY_PING, &body->base);
    return frame;
}

static void write_pings(enum osr_codec codec, struct osr_buffer *bytes)
{
    for (uint64_t i = 1; i <= FRAMES; i++) {
        Osr__Frame frame;
        Osr__Ping body;
        osr_stream_write(codec, ping(&frame, &body, i * 1000), bytes);
    }
}

/* Takes all whole frames out of the stream; they must be pings numbered on from *count. */
static void read_pings(struct osr_stream *stream, uint64_t *count)
{
    for (;;) {
        struct osr_slice bytes;
        assert_int_equal(osr_stream_next(stream, &bytes, NULL), 0);
        if (bytes.size == 0) {
            return;
        }
        struct osr_arena *arena = osr_arena_create(0, 10000);
        Osr__Frame *frame;
        uint64_t request_id;
        assert_int_equal(osr_frame_decode(stream->codec, bytes, arena, &frame, &request_id, NULL),
                         0);
        assert_int_equal(frame->body_case, OSR__FRAME__BODY_PING);
        assert_int_equal(frame->ping->nonce, ++*count * 1000);
        osr_arena_destroy(arena);
    }
}

static void assert_found_in_pieces(struct osr_slice bytes, size_t first, size_t step)
{
    struct osr_stream stream;
    osr_stream_init(&stream, OSR_CODEC_JSON, false, 0);
    uint64_t count = 0;
    for (size_t at = 0; at < bytes.size;) {
        size_t wanted = at == 0 ? first : step;
        size_t size = wanted < bytes.size - at ? wanted : bytes.size - at;
        osr_stream_add(&stream, bytes.data + at, size);
        at += size;
        read_pings(&stream, &count);
    }
    assert_int_equal(count, FRAMES);
    assert_false(osr_stream_is_partial(&stream));
    osr_stream_done(&stream);
}

/* Cut in two at every byte, or into pieces of every size, the same frames come out, and the codec
 * is told by the first byte. */
static void stream_finds_frames_at_every_split(void **state)
{
    (void)state;
    for (int codec = 0; codec < OSR_CODEC_COUNT; codec++) {
        struct osr_buffer bytes = {0};
        write_pings((enum osr_codec)codec, &bytes);
        for (size_t cut = 1; cut <= bytes.size; cut++) {
            assert_found_in_pieces(osr_buffer_slice(&bytes), cut, bytes.size);
            assert_found_in_pieces(osr_buffer_slice(&bytes), cut, cut);
        }
        osr_buffer_done(&bytes);
    }
}

/* JSON objects may stand back to back, or with any white space between them. */
static void stream_takes_json_with_and_without_newlines(void **state)
{
    (void)state;
    struct osr_slice bytes = osr_slice_text(
        "\n {\"type\":\"PING\",\"nonce\":1000}{\"type\":\"PING\",\"nonce\":2000} \t\r\n\n"
        "{ \"nonce\" : 3000, \"x\":\"}{\\\"\", \"type\" : \"PING\" }\n"
        "{\"type\":\"PING\",\n\"nonce\":4000}{\"type\":\"PING\",\"nonce\":5000}  ");
    for (size_t cut = 1; cut <= bytes.size; cut++) {
        assert_found_in_pieces(bytes, cut, 7);
    }
}

/* YAML documents end with "..." or where the next begins; what is empty is passed over. */
static void stream_takes_yaml_documents(void **state)
{
    (void)state;
    struct osr_slice bytes = osr_slice_text(
        "%YAML 1.1\n# first\n--- # here\ntype: PING\nnonce: 1000\n---\n\n  type: PING\n  nonce: "
        "2000\n"
        "...\n...\n---\n# nothing\n---\r\n...\r\n\r\n--- {type: PING, nonce: 3000}\n... # done\n"
        "---\ntype: PING\nnonce: 4000\n---x: 1\n....: 2\n--: 3\n...\n"
        "---\t# a tab\ntype: PING\nnonce: 5000\n...\n\n");
    for (size_t cut = 1; cut <= bytes.size; cut++) {
        assert_found_in_pieces(bytes, cut, 1);
        assert_found_in_pieces(bytes, cut, 7);
    }
}

/* Who sends one document and waits has its frame as soon as the line "..." is there. */
static void stream_ends_a_document_at_once(void **state)
{
    (void)state;
    struct osr_stream stream;
    struct osr_slice bytes;
    osr_stream_init(&stream, OSR_CODEC_JSON, false, 0);
    osr_stream_add(&stream, "---\ntype: PING\n...", 18);
    assert_int_equal(osr_stream_next(&stream, &bytes, NULL), 0);
    assert_int_equal(bytes.size, 0); /* it could become "....: 1" */
    osr_stream_add(&stream, "\n", 1);
    assert_int_equal(osr_stream_next(&stream, &bytes, NULL), 0);
    assert_int_equal(bytes.size, 18);
    assert_int_equal(osr_stream_next(&stream, &bytes, NULL), 0);
    assert_int_equal(bytes.size, 0);
    assert_false(osr_stream_is_partial(&stream));
    osr_stream_done(&stream);
}

/* Input that stops inside a frame is partial; white space behind one is not. */
static void stream_knows_when_input_is_partial(void **state)
{
    (void)state;
    struct osr_stream stream;
    osr_stream_init(&stream, OSR_CODEC_JSON, true, 0);
    struct osr_slice bytes;
    assert_int_equal(osr_stream_next(&stream, &bytes, NULL), 0);
    assert_false(osr_stream_is_partial(&stream));
    osr_stream_add(&stream, "{} \n", 4);
    assert_int_equal(osr_stream_next(&stream, &bytes, NULL), 0);
    assert_int_equal(bytes.size, 2);
    assert_int_equal(osr_stream_next(&stream, &bytes, NULL), 0);
    assert_int_equal(bytes.size, 0);
    assert_false(osr_stream_is_partial(&stream));
    osr_stream_add(&stream, "{", 1);
    assert_int_equal(osr_stream_next(&stream, &bytes, NULL), 0);
    assert_true(osr_stream_is_partial(&stream));
    osr_stream_done(&stream);
}

/* What cannot begin a frame is refused at once and for good. */
static void stream_refuses_what_is_no_frame(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "x", "1", "\"a\"", "}", "\"a{}\"", "GET / HTTP/1.1\r\n", "\x16\x03\x01", "\xef\xbb\xbf{}"};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct osr_stream stream;
        struct osr_slice bytes;
        struct osr_err err;
        osr_stream_init(&stream, OSR_CODEC_JSON, false, 0);
        osr_stream_add(&stream, refused[i], strlen(refused[i]));
        assert_int_equal(osr_stream_next(&stream, &bytes, &err), OSR_MALFORMED);
        osr_stream_add(&stream, "{}", 2);
        assert_int_equal(osr_stream_next(&stream, &bytes, &err), OSR_MALFORMED);
        osr_stream_done(&stream);
    }
    static const char *const bare[] = {"-\n",  "%x\ntype: PING\n", "type: PING\n---\n", "--\n---\n",
                                       "{}\n", "---x\n",           "%YAML 1.1\nx"};
    for (size_t i = 0; i < sizeof(bare) / sizeof(bare[0]); i++) {
        struct osr_stream stream;
        struct osr_slice bytes;
        osr_stream_init(&stream, OSR_CODEC_YAML, true, 0);
        osr_stream_add(&stream, bare[i], strlen(bare[i]));
        assert_int_equal(osr_stream_next(&stream, &bytes, NULL), OSR_MALFORMED);
        osr_stream_add(&stream, "\n---\na: b\n...\n", 15);
        assert_int_equal(osr_stream_next(&stream, &bytes, NULL), OSR_MALFORMED);
        osr_stream_done(&stream);
    }
    struct osr_stream stream;
    struct osr_slice bytes;
    osr_stream_init(&stream, OSR_CODEC_PROTOBUF, true, 0);
    osr_stream_add(&stream, "\0\0\0\0", 4); /* no frame is empty */
    assert_int_equal(osr_stream_next(&stream, &bytes, NULL), OSR_MALFORMED);
    osr_stream_done(&stream);
}

/* Feeds zeros, or whatever `fill` is, behind `begin` until the stream refuses; returns how many
 * bytes it took. */
static size_t bytes_until_too_large(struct osr_slice begin, char fill, size_t limit)
{
    enum { PIECE = 1000, ENOUGH = 1 << 30 };
    char piece[PIECE];
    memset(piece, fill, sizeof(piece));
    struct osr_stream stream;
    struct osr_slice bytes;
    osr_stream_init(&stream, OSR_CODEC_JSON, false, limit);
    osr_stream_add(&stream, begin.data, begin.size);
    size_t taken = begin.size;
    int code = osr_stream_next(&stream, &bytes, NULL);
    while (code == 0 && taken < ENOUGH) {
        assert_int_equal(bytes.size, 0);
        osr_stream_add(&stream, piece, PIECE);
        taken += PIECE;
        code = osr_stream_next(&stream, &bytes, NULL);
    }
    assert_int_equal(code, OSR_TOO_LARGE);
    osr_stream_done(&stream);
    return taken;
}

/* A frame without an end is refused as soon as it passes the limit, not when memory is full. */
static void stream_refuses_endless_frames(void **state)
{
    (void)state;
    struct osr_slice text = osr_slice_text("{\"a\":\"");
    assert_in_range(bytes_until_too_large(text, 'x', 5000), 5000, 6100);
    assert_in_range(bytes_until_too_large(text, 'x', 0), OSR_FRAME_BYTES_MAX,
                    OSR_FRAME_BYTES_MAX + 1100);
    assert_in_range(bytes_until_too_large(osr_slice_text("{"), ' ', 5000), 5000, 6100);
    assert_in_range(bytes_until_too_large(osr_slice_text("["), '[', 0), 1, 2000);
    assert_in_range(bytes_until_too_large(osr_slice_text("--- "), 'x', 5000), 5000, 6100);
    assert_in_range(bytes_until_too_large(osr_slice_text("--- "), ' ', 5000), 5000, 6100);
    assert_in_range(bytes_until_too_large(osr_slice_text("---\n#"), '#', 5000), 5000, 6100);
    assert_in_range(bytes_until_too_large(osr_slice_text("---\n"), '\n', 0), OSR_FRAME_BYTES_MAX,
                    OSR_FRAME_BYTES_MAX + 1100);
    /* A protobuf length says it at once. */
    assert_int_equal(bytes_until_too_large(osr_slice("\x00\x80\x00\x01", 4), 'x', 0), 4);
    assert_int_equal(bytes_until_too_large(osr_slice("\x00\x00\x13\x89", 4), 'x', 5000), 4);
}

/* A whole frame over the limit is refused too, one at the limit is not. */
static void stream_limit_is_exact(void **state)
{
    (void)state;
    for (size_t size = 99; size <= 101; size++) {
        struct osr_stream stream;
        struct osr_slice bytes;
        char text[128];
        snprintf(text, sizeof(text), "{\"a\":\"%0*d\"}", (int)size - 8, 0);
        assert_int_equal(strlen(text), size);
        osr_stream_init(&stream, OSR_CODEC_JSON, true, 100);
        osr_stream_add(&stream, text, size);
        assert_int_equal(osr_stream_next(&stream, &bytes, NULL), size <= 100 ? 0 : OSR_TOO_LARGE);
        osr_stream_done(&stream);
    }
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void assert_not_quadratic(enum osr_codec codec, const char *frame, const char *large_begin,
                                 const char *large_end)
{
    enum { COUNT = 200000, PIECE = 16 };
    double begin = seconds_now();
    struct osr_stream stream;
    struct osr_slice bytes;
    osr_stream_init(&stream, codec, true, 0);
    for (int i = 0; i < COUNT; i++) {
        osr_stream_add(&stream, frame, strlen(frame));
    }
    int found = 0;
    do {
        assert_int_equal(osr_stream_next(&stream, &bytes, NULL), 0);
        found += bytes.size > 0;
    } while (bytes.size > 0);
    assert_int_equal(found, COUNT);

    osr_stream_add(&stream, large_begin, strlen(large_begin));
    for (int i = 0; i < OSR_FRAME_BYTES_MAX / PIECE - 1; i++) {
        osr_stream_add(&stream, "0123456789abcdef", PIECE);
        assert_int_equal(osr_stream_next(&stream, &bytes, NULL), 0);
        assert_int_equal(bytes.size, 0);
    }
    osr_stream_add(&stream, large_end, strlen(large_end));
    assert_int_equal(osr_stream_next(&stream, &bytes, NULL), 0);
    assert_in_range(bytes.size, OSR_FRAME_BYTES_MAX - PIECE + 1, OSR_FRAME_BYTES_MAX);

    /* What the large frame needed is given back. */
    assert_int_equal(osr_stream_next(&stream, &bytes, NULL), 0);
    assert_true(stream.input.capacity < 1 << 20);
    osr_stream_done(&stream);
    assert_true(seconds_now() - begin < 20);
}

/* Many small frames at once, and one huge frame in small pieces: a stream that moved or scanned
 * its input anew for each would take minutes. */
static void stream_is_not_quadratic(void **state)
{
    (void)state;
    assert_not_quadratic(OSR_CODEC_JSON, "{\"a\":[1,2,3]}\n", "{\"a\":\"", "\"}");
    assert_not_quadratic(OSR_CODEC_YAML, "---\na: 1\n...\n", "---\na: ", "\n...\n");
}

/* Frames that trickle in do not let the buffer grow beyond what is in it. */
static void stream_reuses_its_memory(void **state)
{
    (void)state;
    struct osr_stream stream;
    osr_stream_init(&stream, OSR_CODEC_PROTOBUF, true, 0);
    for (int i = 0; i < 10000; i++) { /* always half a frame ahead */
        struct osr_slice bytes;
        osr_stream_add(&stream, i == 0 ? "\0\0\0\4ab" : "cd\0\0\0\4ab", i == 0 ? 6 : 8);
        assert_int_equal(osr_stream_next(&stream, &bytes, NULL), 0);
        if (bytes.size > 0) {
            assert_memory_equal(bytes.data, "abcd", 4);
            assert_int_equal(osr_stream_next(&stream, &bytes, NULL), 0);
            assert_int_equal(bytes.size, 0);
        }
        assert_true(stream.input.capacity <= 256);
    }
    osr_stream_done(&stream);
}

/* What a large frame needed is given back when it is done, also where the next one has begun. */
static void stream_gives_back_what_a_large_frame_needed(void **state)
{
    enum { LARGE = 4 << 20 };
    (void)state;
    struct osr_stream stream;
    struct osr_slice bytes;
    uint8_t *large = osr_alloc(LARGE);
    osr_stream_init(&stream, OSR_CODEC_PROTOBUF, true, 0);
    osr_stream_add(&stream, "\0\x40\0\0", 4);
    osr_stream_add(&stream, large, LARGE);
    osr_stream_add(&stream, "\0\0\0\4a", 5);
    assert_int_equal(osr_stream_next(&stream, &bytes, NULL), 0);
    assert_int_equal(bytes.size, LARGE);
    assert_int_equal(osr_stream_next(&stream, &bytes, NULL), 0);
    assert_int_equal(bytes.size, 0);
    assert_true(stream.input.capacity <= 512 << 10);
    osr_stream_add(&stream, "bcd", 3);
    assert_int_equal(osr_stream_next(&stream, &bytes, NULL), 0);
    assert_int_equal(bytes.size, 4);
    assert_memory_equal(bytes.data, "abcd", 4);
    osr_stream_done(&stream);
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stream_finds_frames_at_every_split),
        cmocka_unit_test(stream_takes_json_with_and_without_newlines),
        cmocka_unit_test(stream_takes_yaml_documents),
        cmocka_unit_test(stream_ends_a_document_at_once),
        cmocka_unit_test(stream_knows_when_input_is_partial),
        cmocka_unit_test(stream_refuses_what_is_no_frame),
        cmocka_unit_test(stream_refuses_endless_frames),
        cmocka_unit_test(stream_limit_is_exact),
        cmocka_unit_test(stream_is_not_quadratic),
        cmocka_unit_test(stream_reuses_its_memory),
        cmocka_unit_test(stream_gives_back_what_a_large_frame_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
