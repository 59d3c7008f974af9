/* Floods of frames that are each allowed, with real bytes: each ends with GOAWAY at its limit, what
 * it makes the server hold stays small, and clients that use the same frames as they are meant
 * are not hit. */
#include "lib/http2_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { FRAMES_MAX = 200 * 1000 }; /* a flood must have ended long before */

/* One step of a flood: adds frames; `step` counts from 0. */
typedef void add_step(struct osr_buffer *frames, uint32_t step);

static uint32_t stream_of(uint32_t step)
{
    return 2 * step + 1;
}

/* Steps until GOAWAY; a few at a time, as reads from a socket would bring them. */
static uint32_t flood(struct http2_peer *peer, add_step *add)
{
    enum { STEPS_A_READ = 100 };
    uint32_t step = 0;
    while (http2_peer_goaway(peer) == HTTP2_NO_ERROR_SEEN && step < FRAMES_MAX) {
        peer->got.size = 0;
        for (uint32_t i = 0; i < STEPS_A_READ; i++) {
            add(&peer->frames, step++);
        }
        http2_peer_give(peer);
    }
    return step;
}

struct flood_case {
    const char *what;
    add_step *add;
    const char *words; /* of GOAWAY */
    uint32_t steps_min;
    uint32_t steps_max;
};

static void add_rapid_reset(struct osr_buffer *frames, uint32_t step)
{
    http2_add_headers(frames, 0, stream_of(step), http2_grpc_request);
    http2_add_u32_frame(frames, HTTP2_RST_STREAM, stream_of(step), HTTP2_CANCEL);
}

/* The four forms of MadeYouReset: each has us send RST_STREAM. */
static void add_window_overflow(struct osr_buffer *frames, uint32_t step)
{
    http2_add_headers(frames, 0, stream_of(step), http2_grpc_request);
    http2_add_u32_frame(frames, HTTP2_WINDOW_UPDATE, stream_of(step), 0x7fffffff);
}

static void add_length_mismatch(struct osr_buffer *frames, uint32_t step)
{
    const char *const fields[] = {
        ":method",         "POST",       ":scheme", "http",         ":path",
        "/test.Echo/Call", ":authority", "test",    "content-type", "application/grpc",
        "content-length",  "1",          NULL,
    };
    http2_add_headers(frames, 0, stream_of(step), fields);
    http2_add_message(frames, HTTP2_END_STREAM, stream_of(step), "longer than one");
}

static void add_upper_case(struct osr_buffer *frames, uint32_t step)
{
    const char *const fields[] = {"X-Upper", "x", NULL};
    http2_add_headers(frames, HTTP2_END_STREAM, stream_of(step), fields);
}

static void add_connection_header(struct osr_buffer *frames, uint32_t step)
{
    const char *const fields[] = {":method", "POST", "connection", "close", NULL};
    http2_add_headers(frames, HTTP2_END_STREAM, stream_of(step), fields);
}

static void add_ping(struct osr_buffer *frames, uint32_t step)
{
    (void)step;
    http2_add_ping(frames, 0);
}

static void add_settings(struct osr_buffer *frames, uint32_t step)
{
    (void)step;
    http2_add_frame(frames, HTTP2_SETTINGS, 0, 0, osr_slice(NULL, 0));
}

static void open_first(struct osr_buffer *frames, uint32_t step)
{
    if (step == 0) {
        http2_add_headers(frames, 0, 1, http2_grpc_request);
    }
}

static void add_empty_data(struct osr_buffer *frames, uint32_t step)
{
    open_first(frames, step);
    http2_add_frame(frames, HTTP2_DATA, 0, 1, osr_slice(NULL, 0));
}

static void add_padding(struct osr_buffer *frames, uint32_t step)
{
    open_first(frames, step);
    http2_add_frame(frames, HTTP2_DATA, HTTP2_PADDED, 1, osr_slice("\3\0\0\0", 4));
}

static void add_priority(struct osr_buffer *frames, uint32_t step)
{
    http2_add_frame(frames, HTTP2_PRIORITY, 0, stream_of(step), osr_slice("\0\0\0\0\x10", 5));
}

static void add_window_update(struct osr_buffer *frames, uint32_t step)
{
    (void)step;
    http2_add_u32_frame(frames, HTTP2_WINDOW_UPDATE, 0, 1);
}

static void add_ping_answer(struct osr_buffer *frames, uint32_t step)
{
    (void)step;
    http2_add_ping(frames, HTTP2_ACK);
}

enum { READ_SLACK = 100 };

static const struct flood_case floods[] = {
    {"rapid reset", add_rapid_reset, "too_many_resets", OSR_GRPC_RESETS_BURST,
     OSR_GRPC_RESETS_BURST + READ_SLACK},
    {"window overflow", add_window_overflow, "too_many_resets", OSR_GRPC_RESETS_BURST,
     OSR_GRPC_RESETS_BURST + READ_SLACK},
    {"content-length", add_length_mismatch, "too_many_resets", OSR_GRPC_RESETS_BURST,
     OSR_GRPC_RESETS_BURST + READ_SLACK},
    {"upper case", add_upper_case, "too_many_resets", OSR_GRPC_RESETS_BURST,
     OSR_GRPC_RESETS_BURST + READ_SLACK},
    {"connection header", add_connection_header, "too_many_resets", OSR_GRPC_RESETS_BURST,
     OSR_GRPC_RESETS_BURST + READ_SLACK},
    {"PING", add_ping, "too_many_pings", OSR_GRPC_PINGS_MAX, OSR_GRPC_PINGS_MAX + READ_SLACK},
    {"SETTINGS", add_settings, "too_many_acks", 1, 2 * OSR_GRPC_ACKS_QUEUED_MAX},
    {"empty DATA", add_empty_data, "too_many_empty_frames", OSR_GRPC_EMPTY_FRAMES_BURST - 10,
     OSR_GRPC_EMPTY_FRAMES_BURST + READ_SLACK},
    {"padding", add_padding, "too_many_empty_frames", OSR_GRPC_EMPTY_FRAMES_BURST - 10,
     OSR_GRPC_EMPTY_FRAMES_BURST + READ_SLACK},
    {"PRIORITY", add_priority, "too_many_empty_frames", OSR_GRPC_EMPTY_FRAMES_BURST - 10,
     OSR_GRPC_EMPTY_FRAMES_BURST + READ_SLACK},
    {"WINDOW_UPDATE", add_window_update, "too_many_empty_frames", OSR_GRPC_EMPTY_FRAMES_BURST - 10,
     OSR_GRPC_EMPTY_FRAMES_BURST + READ_SLACK},
    {"answers to no PING", add_ping_answer, "too_many_empty_frames",
     OSR_GRPC_EMPTY_FRAMES_BURST - 10, OSR_GRPC_EMPTY_FRAMES_BURST + READ_SLACK},
};

/* Each flood ends at its limit, not before and not long after, with words that say which; all calls
 * that it began are ended. */
static void floods_end_at_their_limits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
        struct http2_peer peer = http2_peer_greeted();
        peer.side->service = (struct grpc_service){0};
        uint32_t steps = flood(&peer, floods[i].add);
        print_message("# %s: GOAWAY after %u\n", floods[i].what, steps);
        assert_int_equal(http2_peer_goaway(&peer), HTTP2_ENHANCE_YOUR_CALM);
        assert_true(http2_peer_goaway_says(&peer, floods[i].words));
        assert_in_range(steps, floods[i].steps_min, floods[i].steps_max);
        assert_int_equal(peer.side->ends, peer.side->count);
        assert_true(osr_grpc_is_over(peer.side->grpc));
        http2_peer_destroy(&peer);
    }
}

/* A header block of more CONTINUATION frames than its limit, empty ones as well. */
static void continuations_have_a_limit(void **state)
{
    (void)state;
    for (size_t size = 0; size < 2; size++) {
        struct http2_peer peer = http2_peer_greeted();
        http2_add_frame(&peer.frames, HTTP2_HEADERS, 0, 1, osr_slice("\x83", 1));
        for (int i = 0; i <= OSR_GRPC_CONTINUATIONS_MAX; i++) {
            http2_add_frame(&peer.frames, HTTP2_CONTINUATION, 0, 1, osr_slice("\x86", size));
        }
        http2_peer_give(&peer);
        assert_int_equal(http2_peer_goaway(&peer), HTTP2_ENHANCE_YOUR_CALM);
        assert_int_equal(peer.side->count, 0);
        http2_peer_destroy(&peer);
    }
}

/* Adds a request with so many bytes of metadata, by entries of HPACK's table: one long field is
 * put in it, and then named again and again by one byte ("HPACK bomb"). */
static void add_large_request(struct http2_peer *peer, uint32_t stream_id, size_t bytes)
{
    enum { VALUE_BYTES = 3000, INDEXED_NEW_NAME = 0x40, FIRST_DYNAMIC = 0x80 | 62 };
    struct osr_buffer block = {0};
    http2_add_fields(&block, http2_grpc_request);
    size_t begin = block.size;
    char value[VALUE_BYTES];
    memset(value, 'v', sizeof(value));
    http2_add_field(&block, "x-bomb", osr_slice(value, sizeof(value)));
    block.data[begin] = INDEXED_NEW_NAME;
    for (size_t sent = VALUE_BYTES; sent < bytes; sent += VALUE_BYTES) {
        osr_buffer_add_u8(&block, FIRST_DYNAMIC);
    }
    http2_add_frame(&peer->frames, HTTP2_HEADERS, HTTP2_END_HEADERS | HTTP2_END_STREAM, stream_id,
                    osr_buffer_slice(&block));
    osr_buffer_done(&block);
}

/* A header list over the soft limit is answered, over the hard one reset: as counted after
 * decompression, whatever its size on the wire. */
static void header_lists_have_two_limits(void **state)
{
    struct http2_peer *peer = *state;
    struct osr_buffer text = {0};
    add_large_request(peer, 1, OSR_GRPC_HEADERS_SOFT_BYTES - 4000);
    add_large_request(peer, 3, OSR_GRPC_HEADERS_SOFT_BYTES + 4000);
    add_large_request(peer, 5, OSR_GRPC_HEADERS_HARD_BYTES + 4000);
    add_large_request(peer, 7, 30 << 20);
    http2_peer_give(peer);
    assert_non_null(strstr(http2_peer_fields(peer, 1, &text), "grpc-status: 0\n"));
    assert_non_null(strstr(http2_peer_fields(peer, 3, &text), "grpc-status: 8\n"));
    assert_int_equal(http2_peer_reset(peer, 5), HTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(http2_peer_reset(peer, 7), HTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(peer->side->count, 1);
    osr_buffer_done(&text);
}

/* A request's trailers are counted like its headers: the call that was begun ends. */
static void large_trailers_are_reset(void **state)
{
    struct http2_peer *peer = *state;
    enum { VALUE_BYTES = 16000, CONTINUATIONS = 4 };
    http2_add_headers(&peer->frames, 0, 1, http2_grpc_request);
    struct osr_buffer field = {0};
    char value[VALUE_BYTES];
    memset(value, 'v', sizeof(value));
    http2_add_field(&field, "x-name", osr_slice(value, sizeof(value)));
    http2_add_frame(&peer->frames, HTTP2_HEADERS, HTTP2_END_STREAM, 1, osr_buffer_slice(&field));
    for (int i = 0; i < CONTINUATIONS; i++) {
        unsigned flags = i == CONTINUATIONS - 1 ? HTTP2_END_HEADERS : 0;
        http2_add_frame(&peer->frames, HTTP2_CONTINUATION, flags, 1, osr_buffer_slice(&field));
    }
    http2_peer_give(peer);
    assert_int_equal(http2_peer_reset(peer, 1), HTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(peer->side->ends, 1);
    osr_buffer_done(&field);
}

/* A peer that has us answer and never reads: what waits to be written belongs to no more streams
 * than may be open. */
static void unread_answers_are_bounded(void **state)
{
    struct http2_peer *peer = *state;
    for (uint32_t step = 0; step < 20 * OSR_GRPC_CALLS_MAX; step++) {
        add_window_overflow(&peer->frames, step);
        (void)osr_grpc_receive(peer->side->grpc, osr_buffer_slice(&peer->frames), peer->now_ms,
                               NULL);
        peer->frames.size = 0;
    }
    assert_int_equal(peer->side->count, OSR_GRPC_CALLS_MAX);
    http2_peer_give(peer);
    assert_true(http2_peer_goaway(peer) > HTTP2_NO_ERROR);
    assert_in_range(peer->got.size, 0, (size_t)OSR_GRPC_CALLS_MAX * 100);
    assert_int_equal(peer->side->ends, peer->side->count);
}

/* ---- what is ordinary ---- */

/* A client that cancels a hundred calls a second for a minute, after a burst of five hundred. */
static void cancelling_often_is_ordinary(void **state)
{
    struct http2_peer *peer = *state;
    peer->side->service = (struct grpc_service){0};
    uint32_t step = 0;
    for (; step < 500; step++) {
        add_rapid_reset(&peer->frames, step);
    }
    for (int second = 0; second < 15; second++) {
        for (int i = 0; i < OSR_GRPC_RESETS_RATE; i++) {
            add_rapid_reset(&peer->frames, step++);
        }
        peer->now_ms += 1000;
        http2_peer_give(peer);
    }
    assert_int_equal(http2_peer_goaway(peer), HTTP2_NO_ERROR_SEEN);
}

/* Probes of bandwidth: two PINGs and two window updates with each answer, ten thousand times. */
static void bandwidth_probes_are_ordinary(void **state)
{
    struct http2_peer *peer = *state;
    peer->side->service.on_half_close = NULL;
    http2_add_headers(&peer->frames, 0, 1, http2_grpc_request);
    for (int i = 0; i < 10000; i++) {
        http2_add_ping(&peer->frames, 0);
        http2_add_ping(&peer->frames, 0);
        http2_add_u32_frame(&peer->frames, HTTP2_WINDOW_UPDATE, 0, 100);
        http2_add_u32_frame(&peer->frames, HTTP2_WINDOW_UPDATE, 1, 100);
        http2_add_message(&peer->frames, 0, 1, "x");
        http2_peer_give(peer);
        assert_int_equal(http2_peer_goaway(peer), HTTP2_NO_ERROR_SEEN);
        peer->got.size = 0;
    }
    assert_int_equal(peer->side->heard[0].messages, 10000);
}

/* Keepalive on a quiet stream: a PING every ten seconds for a day. */
static void keepalive_on_a_quiet_stream_is_ordinary(void **state)
{
    struct http2_peer *peer = *state;
    http2_add_headers(&peer->frames, 0, 1, http2_grpc_request);
    for (int i = 0; i < 8640; i++) {
        peer->now_ms += 10000;
        http2_add_ping(&peer->frames, 0);
        http2_peer_give(peer);
        assert_int_equal(http2_peer_goaway(peer), HTTP2_NO_ERROR_SEEN);
        peer->got.size = 0;
    }
}

/* Half-closing by an empty DATA frame, as many clients do: once for each of two thousand calls. */
static void empty_data_that_ends_is_ordinary(void **state)
{
    struct http2_peer *peer = *state;
    for (uint32_t step = 0; step < 2000; step++) {
        http2_add_headers(&peer->frames, 0, stream_of(step), http2_grpc_request);
        http2_add_message(&peer->frames, 0, stream_of(step), "x");
        http2_add_frame(&peer->frames, HTTP2_DATA, HTTP2_END_STREAM, stream_of(step),
                        osr_slice(NULL, 0));
        http2_peer_give(peer);
        assert_int_equal(http2_peer_goaway(peer), HTTP2_NO_ERROR_SEEN);
        peer->got.size = 0;
    }
    assert_int_equal(peer->side->ends, 2000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, http2_peer_set_up, http2_peer_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floods_end_at_their_limits),
        cmocka_unit_test(continuations_have_a_limit),
        TEST(header_lists_have_two_limits),
        TEST(large_trailers_are_reset),
        TEST(unread_answers_are_bounded),
        TEST(cancelling_often_is_ordinary),
        TEST(bandwidth_probes_are_ordinary),
        TEST(keepalive_on_a_quiet_stream_is_ordinary),
        TEST(empty_data_that_ends_is_ordinary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
