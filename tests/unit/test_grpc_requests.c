/* Requests that a server of ours does not take: malformed by RFC 9113, which resets their streams,
 * or none of gRPC's, which is answered. */
#include "lib/http2_literals.h"
#include "lib/http2_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

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
        struct http2_peer peer = http2_peer_greeted();
        http2_add_headers(&peer.frames, HTTP2_END_STREAM, 1, at->fields);
        http2_peer_give(&peer);
        assert_int_equal(http2_peer_reset(&peer, 1), HTTP2_PROTOCOL_ERROR);
        assert_int_equal(peer.side->count, 0);
        assert_serves(&peer);
        http2_peer_destroy(&peer);
    }
}

/* A value with a NUL, which no C string can show (8.2.1). */
static void nul_in_a_value_is_reset(void **state)
{
    struct http2_peer *peer = *state;
    struct osr_buffer block = {0};
    http2_add_fields(&block, http2_grpc_request);
    http2_add_field(&block, "x-name", osr_slice("a\0b", 3));
    http2_add_frame(&peer->frames, HTTP2_HEADERS, HTTP2_END_HEADERS | HTTP2_END_STREAM, 1,
                    osr_buffer_slice(&block));
    http2_peer_give(peer);
    assert_int_equal(http2_peer_reset(peer, 1), HTTP2_PROTOCOL_ERROR);
    assert_serves(peer);
    osr_buffer_done(&block);
}

/* content-length that DATA does not keep to is a stream error, too little as well as too much
 * (8.1.1). */
static void content_length_is_kept(void **state)
{
    (void)state;
    const char *const fields[] = {POST, HTTP, PATH, OTHERS, "content-length", "10", NULL};
    const char *const messages[] = {"too long by far", "short"};
    for (size_t i = 0; i < 2; i++) {
        struct http2_peer peer = http2_peer_greeted();
        http2_add_headers(&peer.frames, 0, 1, fields);
        http2_add_message(&peer.frames, i == 0 ? 0 : HTTP2_END_STREAM, 1, messages[i] + i);
        http2_peer_give(&peer);
        assert_int_equal(http2_peer_reset(&peer, 1), HTTP2_PROTOCOL_ERROR);
        assert_int_equal(peer.side->ends, 1);
        assert_serves(&peer);
        http2_peer_destroy(&peer);
    }
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
        struct http2_peer peer = http2_peer_greeted();
        peer.side->service = (struct grpc_service){.on_call = grpc_finish_ok};
        http2_add_headers(&peer.frames, is_ended ? HTTP2_END_STREAM : 0, 1, at->fields);
        http2_peer_give(&peer);
        assert_non_null(strstr(http2_peer_fields(&peer, 1, &text), at->answer));
        assert_int_equal(http2_peer_reset(&peer, 1),
                         is_ended ? HTTP2_NO_ERROR_SEEN : HTTP2_NO_ERROR);
        assert_serves(&peer);
        http2_peer_destroy(&peer);
    }
    osr_buffer_done(&text);
}

static void assert_status_of_data(const char *bytes, size_t size, unsigned flags,
                                  const char *status)
{
    struct osr_buffer text = {0};
    struct http2_peer peer = http2_peer_greeted();
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, http2_peer_set_up, http2_peer_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_requests_are_reset),
        TEST(nul_in_a_value_is_reset),
        cmocka_unit_test(content_length_is_kept),
        cmocka_unit_test(foreign_requests_are_answered),
        cmocka_unit_test(broken_messages_end_the_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
