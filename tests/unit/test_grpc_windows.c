/* Windows and the number of streams, as RFC 9113 limits them: what a peer may send, and what it is
 * sent. */
#include "lib/http2_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void add_data(struct http2_peer *peer, uint32_t stream_id, size_t size)
{
    enum { FRAME_BYTES = 16384 };
    static const uint8_t zeros[FRAME_BYTES] = {0};
    while (size > 0) {
        size_t now = size < FRAME_BYTES ? size : FRAME_BYTES;
        http2_add_frame(&peer->frames, HTTP2_DATA, 0, stream_id, osr_slice(zeros, now));
        size -= now;
    }
}

/* A held stream takes its window and not a byte more (6.9.1). */
static void stream_window_is_kept(void **state)
{
    struct http2_peer *peer = *state;
    peer->side->service = (struct grpc_service){.on_call = grpc_hold};
    http2_add_headers(&peer->frames, 0, 1, http2_grpc_request);
    add_data(peer, 1, OSR_GRPC_CALL_WINDOW_BYTES);
    http2_peer_give(peer);
    assert_int_equal(http2_peer_goaway(peer), HTTP2_NO_ERROR_SEEN);
    assert_int_equal(http2_peer_reset(peer, 1), HTTP2_NO_ERROR_SEEN);
    add_data(peer, 1, 1);
    http2_peer_give(peer);
    bool is_refused = http2_peer_goaway(peer) == HTTP2_FLOW_CONTROL_ERROR ||
                      http2_peer_reset(peer, 1) == HTTP2_FLOW_CONTROL_ERROR;
    assert_true(is_refused);
}

/* The connection's window is given back although the streams' are held: others go on (6.9). */
static void connection_window_is_given_back(void **state)
{
    struct http2_peer *peer = *state;
    peer->side->service = (struct grpc_service){.on_call = grpc_hold};
    size_t sent = 0;
    for (uint32_t id = 1; sent <= (size_t)4 * OSR_GRPC_WINDOW_BYTES; id += 2) {
        http2_add_headers(&peer->frames, 0, id, http2_grpc_request);
        add_data(peer, id, OSR_GRPC_CALL_WINDOW_BYTES);
        http2_peer_give(peer);
        sent += OSR_GRPC_CALL_WINDOW_BYTES;
    }
    assert_int_equal(http2_peer_goaway(peer), HTTP2_NO_ERROR_SEEN);
    struct http2_frame update;
    assert_true(http2_peer_find(peer, HTTP2_WINDOW_UPDATE, 0, &update));
    assert_false(http2_peer_find(peer, HTTP2_WINDOW_UPDATE, 1, &update));
}

/* Nothing is sent past the windows that the peer gives (6.9.1, 6.9.2). */
static void peers_windows_are_kept(void **state)
{
    struct http2_peer *peer = *state;
    enum { INITIAL_WINDOW_SIZE = 0x4, WINDOW = 100 };
    http2_add_setting(&peer->frames, INITIAL_WINDOW_SIZE, WINDOW);
    http2_add_headers(&peer->frames, 0, 1, http2_grpc_request);
    add_data(peer, 1, (size_t)200 * 5); /* 200 empty messages, echoed */
    http2_peer_give(peer);
    struct http2_frame frame;
    assert_true(http2_peer_find(peer, HTTP2_DATA, 1, &frame));
    assert_int_equal(frame.payload.size, WINDOW);
    assert_int_equal(http2_peer_count(peer, HTTP2_DATA), 1);
    http2_add_u32_frame(&peer->frames, HTTP2_WINDOW_UPDATE, 1, 1);
    http2_peer_give(peer);
    assert_true(http2_peer_find(peer, HTTP2_DATA, 1, &frame));
    assert_int_equal(frame.payload.size, 1);
    assert_int_equal(http2_peer_count(peer, HTTP2_DATA), 2);
}

/* More streams at once than SETTINGS_MAX_CONCURRENT_STREAMS allows (5.1.2). */
static void stream_limit_is_kept(void **state)
{
    struct http2_peer *peer = *state;
    for (uint32_t i = 0; i <= OSR_GRPC_CALLS_MAX; i++) {
        http2_add_headers(&peer->frames, 0, 2 * i + 1, http2_grpc_request);
    }
    http2_peer_give(peer);
    assert_int_equal(peer->side->count, OSR_GRPC_CALLS_MAX);
    bool is_refused = http2_peer_goaway(peer) == HTTP2_PROTOCOL_ERROR ||
                      http2_peer_reset(peer, 2 * OSR_GRPC_CALLS_MAX + 1) == HTTP2_REFUSED_STREAM;
    assert_true(is_refused);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, http2_peer_set_up, http2_peer_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(stream_window_is_kept),
        TEST(connection_window_is_given_back),
        TEST(peers_windows_are_kept),
        TEST(stream_limit_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
