/* What RFC 9113 requires of frames and a peer can break: real bytes, and the error that the RFC
 * names. After a stream error the connection serves the next call; after a connection error it is
 * over. */
#include "lib/http2_literals.h"
#include "lib/http2_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* How far the connection is when the bytes come. */
enum stage {
    AT_START,      /* nothing was sent */
    AFTER_PREFACE, /* no stream yet */
    OPEN,          /* stream 1 is: its request has come, its end has not */
    HALF_CLOSED,   /* stream 1's request has ended, its answer has not */
    CLOSED,        /* stream 1 is answered and closed */
};

struct frame_case {
    const char *what;
    const char *section;
    enum stage stage;
    int64_t error; /* HTTP2_NO_ERROR_SEEN: these bytes are allowed */
    const char *bytes;
    size_t size;
};

static const struct frame_case connection_cases[] = {
    {"another protocol's first bytes", "3.4", AT_START, HTTP2_PROTOCOL_ERROR,
     BYTES("GET / HTTP/1.1\r\nHost: osiris\r\n\r\n")},
    {"a preface without SETTINGS", "3.4", AT_START, HTTP2_PROTOCOL_ERROR,
     BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
           "\x00\x00\x08\x06\x00" ON_0 "12345678")},
    {"a frame over SETTINGS_MAX_FRAME_SIZE", "4.2", AFTER_PREFACE, HTTP2_FRAME_SIZE_ERROR,
     BYTES("\x00\x40\x01\x01\x05" ON_1)},
    {"HPACK that names no entry", "4.3", AFTER_PREFACE, HTTP2_COMPRESSION_ERROR,
     BYTES("\x00\x00\x01\x01\x05" ON_1 "\xff")},
    {"HPACK with index 0", "4.3", AFTER_PREFACE, HTTP2_COMPRESSION_ERROR,
     BYTES("\x00\x00\x01\x01\x05" ON_1 "\x80")},
    {"HPACK that enlarges the table past the setting", "4.3.1", AFTER_PREFACE,
     HTTP2_COMPRESSION_ERROR, BYTES("\x00\x00\x04\x01\x05" ON_1 "\x3f\xe2\x1f\x83")},
    {"HPACK with a broken Huffman string", "4.3", AFTER_PREFACE, HTTP2_COMPRESSION_ERROR,
     BYTES("\x00\x00\x07\x01\x05" ON_1 "\x04\x84\xff\xff\xff\xff\x83")},
    {"DATA on an idle stream", "5.1", AFTER_PREFACE, HTTP2_PROTOCOL_ERROR,
     BYTES("\x00\x00\x01\x00\x00" ON_1 "x")},
    {"RST_STREAM on an idle stream", "5.1", AFTER_PREFACE, HTTP2_PROTOCOL_ERROR,
     BYTES("\x00\x00\x04\x03\x00" ON_1 "\x00\x00\x00\x08")},
    {"WINDOW_UPDATE on an idle stream", "5.1", AFTER_PREFACE, HTTP2_PROTOCOL_ERROR,
     BYTES("\x00\x00\x04\x08\x00" ON_1 "\x00\x00\x00\x01")},
    {"DATA after END_STREAM", "5.1", HALF_CLOSED, HTTP2_STREAM_CLOSED,
     BYTES("\x00\x00\x01\x00\x00" ON_1 "x")},
    {"HEADERS after END_STREAM", "5.1", HALF_CLOSED, HTTP2_STREAM_CLOSED,
     BYTES("\x00\x00\x02\x01\x05" ON_1 POST_HTTP)},
    {"a client's stream with an even number", "5.1.1", AFTER_PREFACE, HTTP2_PROTOCOL_ERROR,
     BYTES("\x00\x00\x02\x01\x05\x00\x00\x00\x02" POST_HTTP)},
    {"DATA on stream 0", "6.1", AFTER_PREFACE, HTTP2_PROTOCOL_ERROR,
     BYTES("\x00\x00\x01\x00\x00" ON_0 "x")},
    {"DATA with more padding than payload", "6.1", OPEN, HTTP2_PROTOCOL_ERROR,
     BYTES("\x00\x00\x02\x00\x08" ON_1 "\x02x")},
    {"HEADERS on stream 0", "6.2", AFTER_PREFACE, HTTP2_PROTOCOL_ERROR,
     BYTES("\x00\x00\x02\x01\x05" ON_0 POST_HTTP)},
    {"HEADERS with more padding than payload", "6.2", AFTER_PREFACE, HTTP2_PROTOCOL_ERROR,
     BYTES("\x00\x00\x02\x01\x0c" ON_1 "\x02\x83")},
    {"PRIORITY on stream 0", "6.3", AFTER_PREFACE, HTTP2_PROTOCOL_ERROR,
     BYTES("\x00\x00\x05\x02\x00" ON_0 "\x00\x00\x00\x00\x10")},
    {"PRIORITY of four bytes", "6.3", AFTER_PREFACE, HTTP2_FRAME_SIZE_ERROR,
     BYTES("\x00\x00\x04\x02\x00" ON_1 "\x00\x00\x00\x00")},
    {"RST_STREAM on stream 0", "6.4", AFTER_PREFACE, HTTP2_PROTOCOL_ERROR,
     BYTES("\x00\x00\x04\x03\x00" ON_0 "\x00\x00\x00\x08")},
    {"RST_STREAM of three bytes", "6.4", OPEN, HTTP2_FRAME_SIZE_ERROR,
     BYTES("\x00\x00\x03\x03\x00" ON_1 "\x00\x00\x00")},
    {"SETTINGS on a stream", "6.5", AFTER_PREFACE, HTTP2_PROTOCOL_ERROR,
     BYTES("\x00\x00\x00\x04\x00" ON_1)},
    {"SETTINGS of five bytes", "6.5", AFTER_PREFACE, HTTP2_FRAME_SIZE_ERROR,
     BYTES("\x00\x00\x05\x04\x00" ON_0 "\x00\x03\x00\x00\x00")},
    {"an acknowledgement of SETTINGS with values", "6.5", AFTER_PREFACE, HTTP2_FRAME_SIZE_ERROR,
     BYTES("\x00\x00\x06\x04\x01" ON_0 "\x00\x03\x00\x00\x00\x01")},
    {"SETTINGS_ENABLE_PUSH of 2", "6.5.2", AFTER_PREFACE, HTTP2_PROTOCOL_ERROR,
     BYTES("\x00\x00\x06\x04\x00" ON_0 "\x00\x02\x00\x00\x00\x02")},
    {"SETTINGS_INITIAL_WINDOW_SIZE of 2^31", "6.5.2", AFTER_PREFACE, HTTP2_FLOW_CONTROL_ERROR,
     BYTES("\x00\x00\x06\x04\x00" ON_0 "\x00\x04\x80\x00\x00\x00")},
    {"SETTINGS_MAX_FRAME_SIZE of 16,383", "6.5.2", AFTER_PREFACE, HTTP2_PROTOCOL_ERROR,
     BYTES("\x00\x00\x06\x04\x00" ON_0 "\x00\x05\x00\x00\x3f\xff")},
    {"SETTINGS_MAX_FRAME_SIZE of 2^24", "6.5.2", AFTER_PREFACE, HTTP2_PROTOCOL_ERROR,
     BYTES("\x00\x00\x06\x04\x00" ON_0 "\x00\x05\x01\x00\x00\x00")},
    {"a client's PUSH_PROMISE", "8.4", OPEN, HTTP2_PROTOCOL_ERROR,
     BYTES("\x00\x00\x06\x05\x04" ON_1 "\x00\x00\x00\x02" POST_HTTP)},
    {"PING on a stream", "6.7", AFTER_PREFACE, HTTP2_PROTOCOL_ERROR,
     BYTES("\x00\x00\x08\x06\x00" ON_1 "12345678")},
    {"PING of seven bytes", "6.7", AFTER_PREFACE, HTTP2_FRAME_SIZE_ERROR,
     BYTES("\x00\x00\x07\x06\x00" ON_0 "1234567")},
    {"GOAWAY on a stream", "6.8", AFTER_PREFACE, HTTP2_PROTOCOL_ERROR,
     BYTES("\x00\x00\x08\x07\x00" ON_1 "\x00\x00\x00\x00\x00\x00\x00\x00")},
    {"GOAWAY of seven bytes", "6.8", AFTER_PREFACE, HTTP2_FRAME_SIZE_ERROR,
     BYTES("\x00\x00\x07\x07\x00" ON_0 "\x00\x00\x00\x00\x00\x00\x00")},
    {"WINDOW_UPDATE of the connection by 0", "6.9", AFTER_PREFACE, HTTP2_PROTOCOL_ERROR,
     BYTES("\x00\x00\x04\x08\x00" ON_0 "\x00\x00\x00\x00")},
    /* A stream error, which may be treated as one of the connection (5.4.1). */
    {"WINDOW_UPDATE of a stream by 0", "6.9", OPEN, HTTP2_PROTOCOL_ERROR,
     BYTES("\x00\x00\x04\x08\x00" ON_1 "\x00\x00\x00\x00")},
    {"WINDOW_UPDATE of three bytes", "6.9", AFTER_PREFACE, HTTP2_FRAME_SIZE_ERROR,
     BYTES("\x00\x00\x03\x08\x00" ON_0 "\x00\x00\x01")},
    {"the connection's window past 2^31-1", "6.9.1", AFTER_PREFACE, HTTP2_FLOW_CONTROL_ERROR,
     BYTES("\x00\x00\x04\x08\x00" ON_0 "\x7f\xff\xff\xff")},
    {"CONTINUATION without HEADERS", "6.10", AFTER_PREFACE, HTTP2_PROTOCOL_ERROR,
     BYTES("\x00\x00\x02\x09\x04" ON_1 POST_HTTP)},
    {"CONTINUATION of another stream", "6.10", AFTER_PREFACE, HTTP2_PROTOCOL_ERROR,
     BYTES("\x00\x00\x01\x01\x01" ON_1 "\x83"
           "\x00\x00\x01\x09\x04" ON_3 "\x86")},
    {"another frame within a header block", "6.2", AFTER_PREFACE, HTTP2_PROTOCOL_ERROR,
     BYTES("\x00\x00\x01\x01\x01" ON_1 "\x83"
           "\x00\x00\x08\x06\x00" ON_0 "12345678")},
};

static const struct frame_case stream_cases[] = {
    {"a stream's window past 2^31-1", "6.9.1", OPEN, HTTP2_FLOW_CONTROL_ERROR,
     BYTES("\x00\x00\x04\x08\x00" ON_1 "\x7f\xff\xff\xff")},
    /* The RFC ends the connection for it; nghttp2 the streams whose windows overflow. */
    {"a stream's window past 2^31-1 by SETTINGS", "6.9.2", OPEN, HTTP2_FLOW_CONTROL_ERROR,
     BYTES("\x00\x00\x04\x08\x00" ON_1 "\x7f\xff\x00\x00"
           "\x00\x00\x06\x04\x00" ON_0 "\x00\x04\x7f\xff\xff\xff")},
    {"trailers that do not end the stream", "8.1", OPEN, HTTP2_PROTOCOL_ERROR,
     BYTES("\x00\x00\x05\x01\x04" ON_1 "\x00\x01x\x01y")},
    {"a pseudo-header in trailers", "8.1", OPEN, HTTP2_PROTOCOL_ERROR,
     BYTES("\x00\x00\x01\x01\x05" ON_1 "\x83")},
};

/* Allowed, and to be ignored or answered: the call that follows succeeds. */
static const struct frame_case harmless_cases[] = {
    {"a frame of unknown type", "4.1", AFTER_PREFACE, HTTP2_NO_ERROR_SEEN,
     BYTES("\x00\x00\x03\xbe\xff" ON_0 "abc")},
    {"a frame of unknown type on a stream", "5.5", OPEN, HTTP2_NO_ERROR_SEEN,
     BYTES("\x00\x00\x03\xbe\xff" ON_1 "abc")},
    {"the reserved bit of a stream's number", "4.1", AFTER_PREFACE, HTTP2_NO_ERROR_SEEN,
     BYTES("\x00\x00\x08\x06\x00\x80\x00\x00\x00"
           "12345678")},
    {"flags without a meaning", "4.1", AFTER_PREFACE, HTTP2_NO_ERROR_SEEN,
     BYTES("\x00\x00\x08\x06\xf0" ON_0 "12345678")},
    {"an unknown setting", "6.5.2", AFTER_PREFACE, HTTP2_NO_ERROR_SEEN,
     BYTES("\x00\x00\x06\x04\x00" ON_0 "\xff\xff\x00\x00\x00\x01")},
    {"PRIORITY of an idle stream", "5.1", AFTER_PREFACE, HTTP2_NO_ERROR_SEEN,
     BYTES("\x00\x00\x05\x02\x00" ON_3 "\x00\x00\x00\x00\x10")},
    {"WINDOW_UPDATE of a closed stream", "5.1", CLOSED, HTTP2_NO_ERROR_SEEN,
     BYTES("\x00\x00\x04\x08\x00" ON_1 "\x00\x00\x00\x01")},
    {"RST_STREAM of a closed stream", "5.1", CLOSED, HTTP2_NO_ERROR_SEEN,
     BYTES("\x00\x00\x04\x03\x00" ON_1 "\x00\x00\x00\x08")},
    {"an empty DATA frame", "6.1", OPEN, HTTP2_NO_ERROR_SEEN, BYTES("\x00\x00\x00\x00\x00" ON_1)},
    {"DATA that is all padding", "6.1", OPEN, HTTP2_NO_ERROR_SEEN,
     BYTES("\x00\x00\x03\x00\x08" ON_1 "\x02\x00\x00")},
    {"an acknowledgement of no PING", "6.7", AFTER_PREFACE, HTTP2_NO_ERROR_SEEN,
     BYTES("\x00\x00\x08\x06\x01" ON_0 "12345678")},
    {"a window of 0 by SETTINGS, opened again", "6.9.2", AFTER_PREFACE, HTTP2_NO_ERROR_SEEN,
     BYTES("\x00\x00\x06\x04\x00" ON_0 "\x00\x04\x00\x00\x00\x00"
           "\x00\x00\x06\x04\x00" ON_0 "\x00\x04\x00\x00\xff\xff")},
};

static void bring_to(struct http2_peer *peer, enum stage stage)
{
    if (stage == AT_START) {
        return;
    }
    http2_peer_greet(peer);
    switch (stage) {
    case OPEN:
        http2_add_headers(&peer->frames, 0, 1, http2_grpc_request);
        break;
    case HALF_CLOSED:
        peer->side->service.on_half_close = NULL;
        http2_add_headers(&peer->frames, HTTP2_END_STREAM, 1, http2_grpc_request);
        break;
    case CLOSED:
        http2_add_headers(&peer->frames, HTTP2_END_STREAM, 1, http2_grpc_request);
        break;
    default:
        break;
    }
    http2_peer_give(peer);
}

static void give_case(struct http2_peer *peer, const struct frame_case *at)
{
    printf("# RFC 9113, %s: %s\n", at->section, at->what);
    bring_to(peer, at->stage);
    osr_buffer_add(&peer->frames, at->bytes, at->size);
    http2_peer_give(peer);
}

/* A broken connection gets GOAWAY with the RFC's error, is over, and takes nothing more. */
static void connection_errors_are_the_rfcs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(connection_cases) / sizeof(connection_cases[0]); i++) {
        struct http2_peer peer = http2_peer_create(true);
        give_case(&peer, &connection_cases[i]);
        assert_int_equal(http2_peer_goaway(&peer), connection_cases[i].error);
        assert_true(osr_grpc_is_over(peer.side->grpc));
        size_t calls = peer.side->count;
        http2_add_headers(&peer.frames, HTTP2_END_STREAM, 7, http2_grpc_request);
        http2_peer_give(&peer);
        assert_true(peer.side->has_failed);
        assert_int_equal(peer.side->count, calls);
        assert_int_equal(peer.side->ends, calls);
        http2_peer_destroy(&peer);
    }
}

/* A broken stream is reset with the RFC's error; the connection goes on. */
static void stream_errors_are_the_rfcs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(stream_cases) / sizeof(stream_cases[0]); i++) {
        struct http2_peer peer = http2_peer_create(true);
        give_case(&peer, &stream_cases[i]);
        assert_int_equal(http2_peer_reset(&peer, 1), stream_cases[i].error);
        assert_int_equal(peer.side->ends, 1);
        assert_serves(&peer);
        http2_peer_destroy(&peer);
    }
}

/* What is allowed harms nothing. */
static void harmless_frames_are_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(harmless_cases) / sizeof(harmless_cases[0]); i++) {
        struct http2_peer peer = http2_peer_create(true);
        give_case(&peer, &harmless_cases[i]);
        assert_int_equal(http2_peer_reset(&peer, 1), HTTP2_NO_ERROR_SEEN);
        assert_serves(&peer);
        http2_peer_destroy(&peer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connection_errors_are_the_rfcs),
        cmocka_unit_test(stream_errors_are_the_rfcs),
        cmocka_unit_test(harmless_frames_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
