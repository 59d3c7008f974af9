/* What RFC 9113 requires and a peer can break: real bytes, and the error that the RFC names. After
 * a stream error the connection serves the next call; after a connection error it is over. */
#include "lib/http2_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Error codes (section 7). */
enum {
    NO_ERROR = 0x0,
    PROTOCOL_ERROR = 0x1,
    FLOW_CONTROL_ERROR = 0x3,
    STREAM_CLOSED = 0x5,
    FRAME_SIZE_ERROR = 0x6,
    REFUSED_STREAM = 0x7,
    CANCEL = 0x8,
    COMPRESSION_ERROR = 0x9,
    ENHANCE_YOUR_CALM = 0xb,
    INADEQUATE_SECURITY = 0xc,
};

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

/* A frame: its length (three bytes), type, flags and stream as they stand on the wire; the
 * payload follows as another literal. */
#define ON_0           "\x00\x00\x00\x00"
#define ON_1           "\x00\x00\x00\x01"
#define ON_3           "\x00\x00\x00\x03"
#define BYTES(literal) literal, sizeof(literal) - 1

/* HPACK: :method POST, :scheme http from the static table (RFC 7541, appendix A). */
#define POST_HTTP "\x83\x86"

static const struct frame_case connection_cases[] = {
    {"another protocol's first bytes", "3.4", AT_START, PROTOCOL_ERROR,
     BYTES("GET / HTTP/1.1\r\nHost: osiris\r\n\r\n")},
    {"a preface without SETTINGS", "3.4", AT_START, PROTOCOL_ERROR,
     BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
           "\x00\x00\x08\x06\x00" ON_0 "12345678")},
    {"a frame over SETTINGS_MAX_FRAME_SIZE", "4.2", AFTER_PREFACE, FRAME_SIZE_ERROR,
     BYTES("\x00\x40\x01\x01\x05" ON_1)},
    {"HPACK that names no entry", "4.3", AFTER_PREFACE, COMPRESSION_ERROR,
     BYTES("\x00\x00\x01\x01\x05" ON_1 "\xff")},
    {"HPACK with index 0", "4.3", AFTER_PREFACE, COMPRESSION_ERROR,
     BYTES("\x00\x00\x01\x01\x05" ON_1 "\x80")},
    {"HPACK that enlarges the table past the setting", "4.3.1", AFTER_PREFACE, COMPRESSION_ERROR,
     BYTES("\x00\x00\x04\x01\x05" ON_1 "\x3f\xe2\x1f\x83")},
    {"HPACK with a broken Huffman string", "4.3", AFTER_PREFACE, COMPRESSION_ERROR,
     BYTES("\x00\x00\x07\x01\x05" ON_1 "\x04\x84\xff\xff\xff\xff\x83")},
    {"DATA on an idle stream", "5.1", AFTER_PREFACE, PROTOCOL_ERROR,
     BYTES("\x00\x00\x01\x00\x00" ON_1 "x")},
    {"RST_STREAM on an idle stream", "5.1", AFTER_PREFACE, PROTOCOL_ERROR,
     BYTES("\x00\x00\x04\x03\x00" ON_1 "\x00\x00\x00\x08")},
    {"WINDOW_UPDATE on an idle stream", "5.1", AFTER_PREFACE, PROTOCOL_ERROR,
     BYTES("\x00\x00\x04\x08\x00" ON_1 "\x00\x00\x00\x01")},
    {"DATA after END_STREAM", "5.1", HALF_CLOSED, STREAM_CLOSED,
     BYTES("\x00\x00\x01\x00\x00" ON_1 "x")},
    {"HEADERS after END_STREAM", "5.1", HALF_CLOSED, STREAM_CLOSED,
     BYTES("\x00\x00\x02\x01\x05" ON_1 POST_HTTP)},
    {"a client's stream with an even number", "5.1.1", AFTER_PREFACE, PROTOCOL_ERROR,
     BYTES("\x00\x00\x02\x01\x05\x00\x00\x00\x02" POST_HTTP)},
    {"DATA on stream 0", "6.1", AFTER_PREFACE, PROTOCOL_ERROR,
     BYTES("\x00\x00\x01\x00\x00" ON_0 "x")},
    {"DATA with more padding than payload", "6.1", OPEN, PROTOCOL_ERROR,
     BYTES("\x00\x00\x02\x00\x08" ON_1 "\x02x")},
    {"HEADERS on stream 0", "6.2", AFTER_PREFACE, PROTOCOL_ERROR,
     BYTES("\x00\x00\x02\x01\x05" ON_0 POST_HTTP)},
    {"HEADERS with more padding than payload", "6.2", AFTER_PREFACE, PROTOCOL_ERROR,
     BYTES("\x00\x00\x02\x01\x0c" ON_1 "\x02\x83")},
    {"PRIORITY on stream 0", "6.3", AFTER_PREFACE, PROTOCOL_ERROR,
     BYTES("\x00\x00\x05\x02\x00" ON_0 "\x00\x00\x00\x00\x10")},
    {"PRIORITY of four bytes", "6.3", AFTER_PREFACE, FRAME_SIZE_ERROR,
     BYTES("\x00\x00\x04\x02\x00" ON_1 "\x00\x00\x00\x00")},
    {"RST_STREAM on stream 0", "6.4", AFTER_PREFACE, PROTOCOL_ERROR,
     BYTES("\x00\x00\x04\x03\x00" ON_0 "\x00\x00\x00\x08")},
    {"RST_STREAM of three bytes", "6.4", OPEN, FRAME_SIZE_ERROR,
     BYTES("\x00\x00\x03\x03\x00" ON_1 "\x00\x00\x00")},
    {"SETTINGS on a stream", "6.5", AFTER_PREFACE, PROTOCOL_ERROR,
     BYTES("\x00\x00\x00\x04\x00" ON_1)},
    {"SETTINGS of five bytes", "6.5", AFTER_PREFACE, FRAME_SIZE_ERROR,
     BYTES("\x00\x00\x05\x04\x00" ON_0 "\x00\x03\x00\x00\x00")},
    {"an acknowledgement of SETTINGS with values", "6.5", AFTER_PREFACE, FRAME_SIZE_ERROR,
     BYTES("\x00\x00\x06\x04\x01" ON_0 "\x00\x03\x00\x00\x00\x01")},
    {"SETTINGS_ENABLE_PUSH of 2", "6.5.2", AFTER_PREFACE, PROTOCOL_ERROR,
     BYTES("\x00\x00\x06\x04\x00" ON_0 "\x00\x02\x00\x00\x00\x02")},
    {"SETTINGS_INITIAL_WINDOW_SIZE of 2^31", "6.5.2", AFTER_PREFACE, FLOW_CONTROL_ERROR,
     BYTES("\x00\x00\x06\x04\x00" ON_0 "\x00\x04\x80\x00\x00\x00")},
    {"SETTINGS_MAX_FRAME_SIZE of 16,383", "6.5.2", AFTER_PREFACE, PROTOCOL_ERROR,
     BYTES("\x00\x00\x06\x04\x00" ON_0 "\x00\x05\x00\x00\x3f\xff")},
    {"SETTINGS_MAX_FRAME_SIZE of 2^24", "6.5.2", AFTER_PREFACE, PROTOCOL_ERROR,
     BYTES("\x00\x00\x06\x04\x00" ON_0 "\x00\x05\x01\x00\x00\x00")},
    {"a client's PUSH_PROMISE", "8.4", OPEN, PROTOCOL_ERROR,
     BYTES("\x00\x00\x06\x05\x04" ON_1 "\x00\x00\x00\x02" POST_HTTP)},
    {"PING on a stream", "6.7", AFTER_PREFACE, PROTOCOL_ERROR,
     BYTES("\x00\x00\x08\x06\x00" ON_1 "12345678")},
    {"PING of seven bytes", "6.7", AFTER_PREFACE, FRAME_SIZE_ERROR,
     BYTES("\x00\x00\x07\x06\x00" ON_0 "1234567")},
    {"GOAWAY on a stream", "6.8", AFTER_PREFACE, PROTOCOL_ERROR,
     BYTES("\x00\x00\x08\x07\x00" ON_1 "\x00\x00\x00\x00\x00\x00\x00\x00")},
    {"GOAWAY of seven bytes", "6.8", AFTER_PREFACE, FRAME_SIZE_ERROR,
     BYTES("\x00\x00\x07\x07\x00" ON_0 "\x00\x00\x00\x00\x00\x00\x00")},
    {"WINDOW_UPDATE of the connection by 0", "6.9", AFTER_PREFACE, PROTOCOL_ERROR,
     BYTES("\x00\x00\x04\x08\x00" ON_0 "\x00\x00\x00\x00")},
    /* A stream error, which may be treated as one of the connection (5.4.1). */
    {"WINDOW_UPDATE of a stream by 0", "6.9", OPEN, PROTOCOL_ERROR,
     BYTES("\x00\x00\x04\x08\x00" ON_1 "\x00\x00\x00\x00")},
    {"WINDOW_UPDATE of three bytes", "6.9", AFTER_PREFACE, FRAME_SIZE_ERROR,
     BYTES("\x00\x00\x03\x08\x00" ON_0 "\x00\x00\x01")},
    {"the connection's window past 2^31-1", "6.9.1", AFTER_PREFACE, FLOW_CONTROL_ERROR,
     BYTES("\x00\x00\x04\x08\x00" ON_0 "\x7f\xff\xff\xff")},
    {"CONTINUATION without HEADERS", "6.10", AFTER_PREFACE, PROTOCOL_ERROR,
     BYTES("\x00\x00\x02\x09\x04" ON_1 POST_HTTP)},
    {"CONTINUATION of another stream", "6.10", AFTER_PREFACE, PROTOCOL_ERROR,
     BYTES("\x00\x00\x01\x01\x01" ON_1 "\x83"
           "\x00\x00\x01\x09\x04" ON_3 "\x86")},
    {"another frame within a header block", "6.2", AFTER_PREFACE, PROTOCOL_ERROR,
     BYTES("\x00\x00\x01\x01\x01" ON_1 "\x83"
           "\x00\x00\x08\x06\x00" ON_0 "12345678")},
};

static const struct frame_case stream_cases[] = {
    {"a stream's window past 2^31-1", "6.9.1", OPEN, FLOW_CONTROL_ERROR,
     BYTES("\x00\x00\x04\x08\x00" ON_1 "\x7f\xff\xff\xff")},
    /* The RFC ends the connection for it; nghttp2 the streams whose windows overflow. */
    {"a stream's window past 2^31-1 by SETTINGS", "6.9.2", OPEN, FLOW_CONTROL_ERROR,
     BYTES("\x00\x00\x04\x08\x00" ON_1 "\x7f\xff\x00\x00"
           "\x00\x00\x06\x04\x00" ON_0 "\x00\x04\x7f\xff\xff\xff")},
    {"trailers that do not end the stream", "8.1", OPEN, PROTOCOL_ERROR,
     BYTES("\x00\x00\x05\x01\x04" ON_1 "\x00\x01x\x01y")},
    {"a pseudo-header in trailers", "8.1", OPEN, PROTOCOL_ERROR,
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

/* The connection serves: a call on stream 5 is answered. */
static void assert_serves(struct http2_peer *peer)
{
    struct osr_buffer text = {0};
    http2_add_headers(&peer->frames, 0, 5, http2_grpc_request);
    http2_add_message(&peer->frames, HTTP2_END_STREAM, 5, "hello");
    http2_peer_give(peer);
    assert_int_equal(http2_peer_goaway(peer), HTTP2_NO_ERROR_SEEN);
    assert_non_null(strstr(http2_peer_fields(peer, 5, &text), "grpc-status: 0\n"));
    osr_buffer_done(&text);
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

/* ---- header rules ---- */

enum { FIELDS_MAX = 20 };

struct field_case {
    const char *what;
    const char *section;
    const char *fields[FIELDS_MAX];
};

#define POST   ":method", "POST"
#define HTTP   ":scheme", "http"
#define PATH   ":path", "/test.Echo/Call"
#define OTHERS ":authority", "test", "te", "trailers", "content-type", "application/grpc"

static const struct field_case malformed_requests[] = {
    {"an upper-case name", "8.2.1", {POST, HTTP, PATH, OTHERS, "X-Name", "x"}},
    {"a name with a space", "8.2.1", {POST, HTTP, PATH, OTHERS, "x name", "x"}},
    {"an empty name", "8.2.1", {POST, HTTP, PATH, OTHERS, "", "x"}},
    {"a value with a line feed", "8.2.1", {POST, HTTP, PATH, OTHERS, "x-name", "a\nb"}},
    {"a value with a carriage return", "8.2.1", {POST, HTTP, PATH, OTHERS, "x-name", "a\rb"}},
    {"a value that begins with a space", "8.2.1", {POST, HTTP, PATH, OTHERS, "x-name", " x"}},
    {"a value that ends with a tab", "8.2.1", {POST, HTTP, PATH, OTHERS, "x-name", "x\t"}},
    {"connection", "8.2.2", {POST, HTTP, PATH, OTHERS, "connection", "close"}},
    {"keep-alive", "8.2.2", {POST, HTTP, PATH, OTHERS, "keep-alive", "1"}},
    {"proxy-connection", "8.2.2", {POST, HTTP, PATH, OTHERS, "proxy-connection", "x"}},
    {"transfer-encoding", "8.2.2", {POST, HTTP, PATH, OTHERS, "transfer-encoding", "chunked"}},
    {"upgrade", "8.2.2", {POST, HTTP, PATH, OTHERS, "upgrade", "h2c"}},
    {"te other than trailers", "8.2.2", {POST, HTTP, PATH, "te", "gzip"}},
    {"no :method", "8.3.1", {HTTP, PATH, OTHERS}},
    {"no :scheme", "8.3.1", {POST, PATH, OTHERS}},
    {"no :path", "8.3.1", {POST, HTTP, OTHERS}},
    {"an empty :path", "8.3.1", {POST, HTTP, ":path", "", OTHERS}},
    {"a :path without a slash", "8.3.1", {POST, HTTP, ":path", "x", OTHERS}},
    {":method twice", "8.3", {POST, POST, HTTP, PATH, OTHERS}},
    {":path twice", "8.3", {POST, HTTP, PATH, PATH, OTHERS}},
    {"an unknown pseudo-header", "8.3", {POST, HTTP, PATH, ":x", "y", OTHERS}},
    {"a response's pseudo-header", "8.3", {POST, HTTP, PATH, ":status", "200", OTHERS}},
    {"a pseudo-header after others", "8.3", {POST, HTTP, "x-name", "x", PATH, OTHERS}},
};

/* A malformed request is a stream error (8.1.1), and no handler hears of it. */
static void malformed_requests_are_reset(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(malformed_requests) / sizeof(malformed_requests[0]); i++) {
        const struct field_case *at = &malformed_requests[i];
        printf("# RFC 9113, %s: %s\n", at->section, at->what);
        struct http2_peer peer = http2_peer_create(true);
        http2_peer_greet(&peer);
        http2_add_headers(&peer.frames, HTTP2_END_STREAM, 1, at->fields);
        http2_peer_give(&peer);
        assert_int_equal(http2_peer_reset(&peer, 1), PROTOCOL_ERROR);
        assert_int_equal(peer.side->count, 0);
        assert_serves(&peer);
        http2_peer_destroy(&peer);
    }
}

/* A value with a NUL, which no C string can show (8.2.1). */
static void nul_in_a_value_is_reset(void **state)
{
    (void)state;
    struct http2_peer peer = http2_peer_create(true);
    http2_peer_greet(&peer);
    struct osr_buffer block = {0};
    http2_add_fields(&block, http2_grpc_request);
    http2_add_field(&block, "x-name", osr_slice("a\0b", 3));
    http2_add_frame(&peer.frames, HTTP2_HEADERS, HTTP2_END_HEADERS | HTTP2_END_STREAM, 1,
                    osr_buffer_slice(&block));
    http2_peer_give(&peer);
    assert_int_equal(http2_peer_reset(&peer, 1), PROTOCOL_ERROR);
    assert_serves(&peer);
    osr_buffer_done(&block);
    http2_peer_destroy(&peer);
}

/* content-length that DATA does not keep to is a stream error, too little as well as too much
 * (8.1.1). */
static void content_length_is_kept(void **state)
{
    (void)state;
    const char *const fields[] = {POST, HTTP, PATH, OTHERS, "content-length", "10", NULL};
    const char *const messages[] = {"too long by far", "short"};
    for (size_t i = 0; i < 2; i++) {
        struct http2_peer peer = http2_peer_create(true);
        http2_peer_greet(&peer);
        http2_add_headers(&peer.frames, 0, 1, fields);
        http2_add_message(&peer.frames, i == 0 ? 0 : HTTP2_END_STREAM, 1, messages[i] + i);
        http2_peer_give(&peer);
        assert_int_equal(http2_peer_reset(&peer, 1), PROTOCOL_ERROR);
        assert_int_equal(peer.side->ends, 1);
        assert_serves(&peer);
        http2_peer_destroy(&peer);
    }
}

/* ---- flow control ---- */

static void hold_it(struct grpc_heard *heard)
{
    osr_grpc_hold(heard->call, true);
}

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
    (void)state;
    struct http2_peer peer = http2_peer_create(true);
    peer.side->service = (struct grpc_service){.on_call = hold_it};
    http2_peer_greet(&peer);
    http2_add_headers(&peer.frames, 0, 1, http2_grpc_request);
    add_data(&peer, 1, OSR_GRPC_CALL_WINDOW_BYTES);
    http2_peer_give(&peer);
    assert_int_equal(http2_peer_goaway(&peer), HTTP2_NO_ERROR_SEEN);
    assert_int_equal(http2_peer_reset(&peer, 1), HTTP2_NO_ERROR_SEEN);
    add_data(&peer, 1, 1);
    http2_peer_give(&peer);
    bool is_refused = http2_peer_goaway(&peer) == FLOW_CONTROL_ERROR ||
                      http2_peer_reset(&peer, 1) == FLOW_CONTROL_ERROR;
    assert_true(is_refused);
    http2_peer_destroy(&peer);
}

/* The connection's window is given back although the streams' are held: others go on (6.9). */
static void connection_window_is_given_back(void **state)
{
    (void)state;
    struct http2_peer peer = http2_peer_create(true);
    peer.side->service = (struct grpc_service){.on_call = hold_it};
    http2_peer_greet(&peer);
    size_t sent = 0;
    for (uint32_t id = 1; sent <= (size_t)4 * OSR_GRPC_WINDOW_BYTES; id += 2) {
        http2_add_headers(&peer.frames, 0, id, http2_grpc_request);
        add_data(&peer, id, OSR_GRPC_CALL_WINDOW_BYTES);
        http2_peer_give(&peer);
        sent += OSR_GRPC_CALL_WINDOW_BYTES;
    }
    assert_int_equal(http2_peer_goaway(&peer), HTTP2_NO_ERROR_SEEN);
    struct http2_frame update;
    assert_true(http2_peer_find(&peer, HTTP2_WINDOW_UPDATE, 0, &update));
    assert_false(http2_peer_find(&peer, HTTP2_WINDOW_UPDATE, 1, &update));
    http2_peer_destroy(&peer);
}

/* Nothing is sent past the windows that the peer gives (6.9.1, 6.9.2). */
static void peers_windows_are_kept(void **state)
{
    (void)state;
    enum { INITIAL_WINDOW_SIZE = 0x4, WINDOW = 100 };
    struct http2_peer peer = http2_peer_create(true);
    http2_peer_greet(&peer);
    http2_add_setting(&peer.frames, INITIAL_WINDOW_SIZE, WINDOW);
    http2_add_headers(&peer.frames, 0, 1, http2_grpc_request);
    add_data(&peer, 1, (size_t)200 * 5); /* 200 empty messages, echoed */
    http2_peer_give(&peer);
    struct http2_frame frame;
    assert_true(http2_peer_find(&peer, HTTP2_DATA, 1, &frame));
    assert_int_equal(frame.payload.size, WINDOW);
    assert_int_equal(http2_peer_count(&peer, HTTP2_DATA), 1);
    http2_add_u32_frame(&peer.frames, HTTP2_WINDOW_UPDATE, 1, 1);
    http2_peer_give(&peer);
    assert_true(http2_peer_find(&peer, HTTP2_DATA, 1, &frame));
    assert_int_equal(frame.payload.size, 1);
    assert_int_equal(http2_peer_count(&peer, HTTP2_DATA), 2);
    http2_peer_destroy(&peer);
}

/* More streams at once than SETTINGS_MAX_CONCURRENT_STREAMS allows (5.1.2). */
static void stream_limit_is_kept(void **state)
{
    (void)state;
    struct http2_peer peer = http2_peer_create(true);
    http2_peer_greet(&peer);
    for (uint32_t i = 0; i <= OSR_GRPC_CALLS_MAX; i++) {
        http2_add_headers(&peer.frames, 0, 2 * i + 1, http2_grpc_request);
    }
    http2_peer_give(&peer);
    assert_int_equal(peer.side->count, OSR_GRPC_CALLS_MAX);
    bool is_refused = http2_peer_goaway(&peer) == PROTOCOL_ERROR ||
                      http2_peer_reset(&peer, 2 * OSR_GRPC_CALLS_MAX + 1) == REFUSED_STREAM;
    assert_true(is_refused);
    http2_peer_destroy(&peer);
}

/* ---- what gRPC adds ---- */

struct answer_case {
    const char *what;
    const char *answer; /* stands in the fields of the answer */
    const char *fields[FIELDS_MAX];
};

#define TYPE "content-type", "application/grpc"
#define TO   ":authority", "test"

static const struct answer_case refused_requests[] = {
    {"a plain GET", ":status: 405", {":method", "GET", HTTP, TO, PATH}},
    {"a plain POST", ":status: 415", {POST, HTTP, TO, PATH, "content-type", "application/json"}},
    {"a POST without a type", ":status: 415", {POST, HTTP, TO, PATH}},
    {"a type that only begins like gRPC's",
     ":status: 415",
     {POST, HTTP, TO, PATH, "content-type", "application/grpc-web"}},
    {"a type with another codec",
     "grpc-status: 0",
     {POST, HTTP, TO, PATH, "content-type", "application/grpc+proto"}},
    {"a type with a parameter",
     "grpc-status: 0",
     {POST, HTTP, TO, PATH, "content-type", "application/grpc;charset=utf-8"}},
    {"no te", "grpc-status: 0", {POST, HTTP, TO, PATH, TYPE}},
    {"an unknown encoding", "grpc-status: 12", {POST, HTTP, TO, PATH, TYPE, "grpc-encoding", "br"}},
    {"... is told the known ones",
     "grpc-accept-encoding: identity,deflate,gzip",
     {POST, HTTP, TO, PATH, TYPE, "grpc-encoding", "br"}},
    {"a timeout of nine digits",
     "grpc-status: 13",
     {POST, HTTP, TO, PATH, TYPE, "grpc-timeout", "123456789S"}},
    {"a timeout without a unit",
     "grpc-status: 13",
     {POST, HTTP, TO, PATH, TYPE, "grpc-timeout", "1"}},
    {"an empty timeout", "grpc-status: 13", {POST, HTTP, TO, PATH, TYPE, "grpc-timeout", ""}},
    {"a timeout of 0", "grpc-status: 4", {POST, HTTP, TO, PATH, TYPE, "grpc-timeout", "0m"}},
    {"metadata that is no base64", "grpc-status: 13", {POST, HTTP, TO, PATH, TYPE, "x-bin", "!"}},
};

/* Requests that are none of ours are answered, never left waiting, whether they end or not; the
 * stream is closed after. */
static void foreign_requests_are_answered(void **state)
{
    (void)state;
    struct osr_buffer text = {0};
    for (size_t i = 0; i < 2 * sizeof(refused_requests) / sizeof(refused_requests[0]); i++) {
        const struct answer_case *at = &refused_requests[i / 2];
        bool is_ended = i % 2 == 0;
        printf("# %s%s\n", at->what, is_ended ? "" : ", not ended");
        struct http2_peer peer = http2_peer_create(true);
        peer.side->service = (struct grpc_service){.on_call = grpc_finish_ok};
        http2_peer_greet(&peer);
        http2_add_headers(&peer.frames, is_ended ? HTTP2_END_STREAM : 0, 1, at->fields);
        http2_peer_give(&peer);
        assert_non_null(strstr(http2_peer_fields(&peer, 1, &text), at->answer));
        assert_int_equal(http2_peer_reset(&peer, 1), is_ended ? HTTP2_NO_ERROR_SEEN : NO_ERROR);
        assert_serves(&peer);
        http2_peer_destroy(&peer);
    }
    osr_buffer_done(&text);
}

static void assert_status_of_data(const char *bytes, size_t size, unsigned flags,
                                  const char *status)
{
    struct osr_buffer text = {0};
    struct http2_peer peer = http2_peer_create(true);
    http2_peer_greet(&peer);
    http2_add_headers(&peer.frames, 0, 1, http2_grpc_request);
    http2_add_frame(&peer.frames, HTTP2_DATA, flags, 1, osr_slice(bytes, size));
    http2_peer_give(&peer);
    assert_non_null(strstr(http2_peer_fields(&peer, 1, &text), status));
    assert_int_equal(peer.side->ends, 1);
    assert_serves(&peer);
    osr_buffer_done(&text);
    http2_peer_destroy(&peer);
}

/* Broken framing of messages ends the call, with the status that gRPC names. */
static void broken_messages_end_the_call(void **state)
{
    (void)state;
    assert_status_of_data(BYTES("\x02\x00\x00\x00\x01x"), 0, "grpc-status: 13");
    assert_status_of_data(BYTES("\x01\x00\x00\x00\x01x"), 0, "grpc-status: 13");
    assert_status_of_data(BYTES("\x00\xff\xff\xff\xffx"), 0, "grpc-status: 8");
    assert_status_of_data(BYTES("\x00\x00\x00\x00\x02x"), HTTP2_END_STREAM, "grpc-status: 13");
    assert_status_of_data(BYTES("\x00\x00\x00"), HTTP2_END_STREAM, "grpc-status: 13");
}

/* ---- a server's faults, seen by the client ---- */

static struct http2_peer client_with_call(struct grpc_heard **ret_call)
{
    struct http2_peer peer = http2_peer_create(false);
    http2_peer_greet(&peer);
    *ret_call = grpc_side_call(peer.side);
    osr_grpc_half_close((*ret_call)->call);
    http2_peer_give(&peer);
    return peer;
}

struct client_case {
    const char *what;
    int64_t goaway;
    int64_t reset;
    enum osr_grpc_code code;
    const char *bytes;
    size_t size;
};

/* HPACK: :status 200 from the static table, and content-type (31) application/grpc. */
#define STATUS_200 "\x88"
#define GRPC_TYPE                                                                                  \
    "\x0f\x10\x10"                                                                                 \
    "application/grpc"

static const struct client_case client_cases[] = {
    {"PUSH_PROMISE although it is off", PROTOCOL_ERROR, HTTP2_NO_ERROR_SEEN, OSR_GRPC_UNAVAILABLE,
     BYTES("\x00\x00\x06\x05\x04" ON_1 "\x00\x00\x00\x02" POST_HTTP)},
    {"a server's SETTINGS_ENABLE_PUSH of 1", PROTOCOL_ERROR, HTTP2_NO_ERROR_SEEN,
     OSR_GRPC_UNAVAILABLE, BYTES("\x00\x00\x06\x04\x00" ON_0 "\x00\x02\x00\x00\x00\x01")},
    {"HEADERS on a stream of the server's own", PROTOCOL_ERROR, HTTP2_NO_ERROR_SEEN,
     OSR_GRPC_UNAVAILABLE, BYTES("\x00\x00\x01\x01\x05\x00\x00\x00\x02" STATUS_200)},
    {"DATA before HEADERS", PROTOCOL_ERROR, HTTP2_NO_ERROR_SEEN, OSR_GRPC_UNAVAILABLE,
     BYTES("\x00\x00\x05\x00\x00" ON_1 "\x00\x00\x00\x00\x00")},
    {"no :status", HTTP2_NO_ERROR_SEEN, PROTOCOL_ERROR, OSR_GRPC_INTERNAL,
     BYTES("\x00\x00\x05\x01\x04" ON_1 "\x00\x01x\x01y")},
    {"a request's pseudo-header", HTTP2_NO_ERROR_SEEN, PROTOCOL_ERROR, OSR_GRPC_INTERNAL,
     BYTES("\x00\x00\x02\x01\x04" ON_1 STATUS_200 "\x83")},
    {"an answer that is not gRPC's", HTTP2_NO_ERROR_SEEN, CANCEL, OSR_GRPC_UNKNOWN,
     BYTES("\x00\x00\x01\x01\x04" ON_1 STATUS_200)},
    {"HTTP 404", HTTP2_NO_ERROR_SEEN, HTTP2_NO_ERROR_SEEN, OSR_GRPC_UNIMPLEMENTED,
     BYTES("\x00\x00\x01\x01\x05" ON_1 "\x8d")},
    {"an end without trailers", HTTP2_NO_ERROR_SEEN, HTTP2_NO_ERROR_SEEN, OSR_GRPC_UNKNOWN,
     BYTES("\x00\x00\x14\x01\x04" ON_1 STATUS_200 GRPC_TYPE "\x00\x00\x00\x00\x01" ON_1)},
    {"RST_STREAM: NO_ERROR", HTTP2_NO_ERROR_SEEN, HTTP2_NO_ERROR_SEEN, OSR_GRPC_INTERNAL,
     BYTES("\x00\x00\x04\x03\x00" ON_1 "\x00\x00\x00\x00")},
    {"RST_STREAM: CANCEL", HTTP2_NO_ERROR_SEEN, HTTP2_NO_ERROR_SEEN, OSR_GRPC_CANCELLED,
     BYTES("\x00\x00\x04\x03\x00" ON_1 "\x00\x00\x00\x08")},
    {"RST_STREAM: REFUSED_STREAM", HTTP2_NO_ERROR_SEEN, HTTP2_NO_ERROR_SEEN, OSR_GRPC_UNAVAILABLE,
     BYTES("\x00\x00\x04\x03\x00" ON_1 "\x00\x00\x00\x07")},
    {"RST_STREAM: ENHANCE_YOUR_CALM", HTTP2_NO_ERROR_SEEN, HTTP2_NO_ERROR_SEEN,
     OSR_GRPC_RESOURCE_EXHAUSTED, BYTES("\x00\x00\x04\x03\x00" ON_1 "\x00\x00\x00\x0b")},
    {"RST_STREAM: INADEQUATE_SECURITY", HTTP2_NO_ERROR_SEEN, HTTP2_NO_ERROR_SEEN,
     OSR_GRPC_PERMISSION_DENIED, BYTES("\x00\x00\x04\x03\x00" ON_1 "\x00\x00\x00\x0c")},
    {"a message that is cut by trailers", HTTP2_NO_ERROR_SEEN, HTTP2_NO_ERROR_SEEN,
     OSR_GRPC_INTERNAL,
     BYTES("\x00\x00\x14\x01\x04" ON_1 STATUS_200 GRPC_TYPE "\x00\x00\x06\x00\x00" ON_1
           "\x00\x00\x00\x00\x02x"
           "\x00\x00\x0f\x01\x05" ON_1 "\x00\x0bgrpc-status\x01"
           "0")},
};

/* Whatever a server does, the call ends with the status that gRPC makes of it. */
static void servers_faults_end_the_call(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(client_cases) / sizeof(client_cases[0]); i++) {
        const struct client_case *at = &client_cases[i];
        printf("# %s\n", at->what);
        struct grpc_heard *call = NULL;
        struct http2_peer peer = client_with_call(&call);
        osr_buffer_add(&peer.frames, at->bytes, at->size);
        http2_peer_give(&peer);
        assert_int_equal(http2_peer_goaway(&peer), at->goaway);
        assert_int_equal(http2_peer_reset(&peer, 1), at->reset);
        assert_int_equal(call->ends, 1);
        assert_int_equal(call->end.code, at->code);
        assert_true(call->end.is_local);
        assert_int_equal(call->end.is_unprocessed, strstr(at->what, "REFUSED") != NULL);
        http2_peer_destroy(&peer);
    }
}

/* An interim answer (100 to 199) is passed over; then comes the real one. */
static void interim_answers_are_passed_over(void **state)
{
    (void)state;
    const char *const interim[] = {":status", "103", "link", "x", NULL};
    const char *const trailers[] = {"grpc-status", "5", "grpc-message", "a%20b", NULL};
    struct grpc_heard *call = NULL;
    struct http2_peer peer = client_with_call(&call);
    http2_add_headers(&peer.frames, 0, 1, interim);
    http2_add_headers(&peer.frames, 0, 1, http2_grpc_response);
    http2_add_message(&peer.frames, 0, 1, "yes");
    http2_add_headers(&peer.frames, HTTP2_END_STREAM, 1, trailers);
    http2_peer_give(&peer);
    assert_int_equal(call->messages, 1);
    assert_int_equal(call->end.code, OSR_GRPC_NOT_FOUND);
    assert_string_equal(call->message, "a b");
    assert_false(call->end.is_local);
    http2_peer_destroy(&peer);
}

/* GOAWAY: calls above its last stream were surely not looked at, also those not yet sent; those
 * below go on, and no new one begins (6.8). */
static void goaway_tells_what_is_unprocessed(void **state)
{
    (void)state;
    struct grpc_heard *kept = NULL;
    struct http2_peer peer = client_with_call(&kept);
    struct grpc_heard *dropped = grpc_side_call(peer.side);
    http2_peer_give(&peer);
    struct grpc_heard *unsent = grpc_side_call(peer.side);
    http2_add_goaway(&peer.frames, 1, NO_ERROR);
    http2_peer_give(&peer);
    assert_int_equal(dropped->ends, 1);
    assert_int_equal(dropped->end.code, OSR_GRPC_UNAVAILABLE);
    assert_true(dropped->end.is_unprocessed);
    assert_int_equal(unsent->ends, 1);
    assert_true(unsent->end.is_unprocessed);
    assert_int_equal(kept->ends, 0);
    assert_int_equal(peer.side->going_away, 1);
    assert_null(grpc_side_call(peer.side));
    const char *const trailers[] = {
        ":status", "200", "content-type", "application/grpc", "grpc-status", "0", NULL};
    http2_add_headers(&peer.frames, HTTP2_END_STREAM, 1, trailers);
    http2_peer_give(&peer);
    assert_int_equal(kept->end.code, OSR_GRPC_OK);
    assert_true(osr_grpc_is_over(peer.side->grpc));
    http2_peer_destroy(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connection_errors_are_the_rfcs),
        cmocka_unit_test(stream_errors_are_the_rfcs),
        cmocka_unit_test(harmless_frames_are_taken),
        cmocka_unit_test(malformed_requests_are_reset),
        cmocka_unit_test(nul_in_a_value_is_reset),
        cmocka_unit_test(content_length_is_kept),
        cmocka_unit_test(stream_window_is_kept),
        cmocka_unit_test(connection_window_is_given_back),
        cmocka_unit_test(peers_windows_are_kept),
        cmocka_unit_test(stream_limit_is_kept),
        cmocka_unit_test(foreign_requests_are_answered),
        cmocka_unit_test(broken_messages_end_the_call),
        cmocka_unit_test(servers_faults_end_the_call),
        cmocka_unit_test(interim_answers_are_passed_over),
        cmocka_unit_test(goaway_tells_what_is_unprocessed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
