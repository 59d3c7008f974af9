/* A server's faults, as a client of ours sees them: whatever it does, the call ends, with the
 * status that gRPC makes of it. */
#include "lib/http2_literals.h"
#include "lib/http2_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

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

static const struct client_case client_cases[] = {
    {"PUSH_PROMISE although it is off", HTTP2_PROTOCOL_ERROR, HTTP2_NO_ERROR_SEEN,
     OSR_GRPC_UNAVAILABLE, BYTES("\x00\x00\x06\x05\x04" ON_1 "\x00\x00\x00\x02" POST_HTTP)},
    {"a server's SETTINGS_ENABLE_PUSH of 1", HTTP2_PROTOCOL_ERROR, HTTP2_NO_ERROR_SEEN,
     OSR_GRPC_UNAVAILABLE, BYTES("\x00\x00\x06\x04\x00" ON_0 "\x00\x02\x00\x00\x00\x01")},
    {"HEADERS on a stream of the server's own", HTTP2_PROTOCOL_ERROR, HTTP2_NO_ERROR_SEEN,
     OSR_GRPC_UNAVAILABLE, BYTES("\x00\x00\x01\x01\x05\x00\x00\x00\x02" STATUS_200)},
    {"DATA before HEADERS", HTTP2_PROTOCOL_ERROR, HTTP2_NO_ERROR_SEEN, OSR_GRPC_UNAVAILABLE,
     BYTES("\x00\x00\x05\x00\x00" ON_1 "\x00\x00\x00\x00\x00")},
    {"no :status", HTTP2_NO_ERROR_SEEN, HTTP2_PROTOCOL_ERROR, OSR_GRPC_INTERNAL,
     BYTES("\x00\x00\x05\x01\x04" ON_1 "\x00\x01x\x01y")},
    {"a request's pseudo-header", HTTP2_NO_ERROR_SEEN, HTTP2_PROTOCOL_ERROR, OSR_GRPC_INTERNAL,
     BYTES("\x00\x00\x02\x01\x04" ON_1 STATUS_200 "\x83")},
    {"an answer that is not gRPC's", HTTP2_NO_ERROR_SEEN, HTTP2_CANCEL, OSR_GRPC_UNKNOWN,
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
    http2_add_goaway(&peer.frames, 1, HTTP2_NO_ERROR);
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
        cmocka_unit_test(servers_faults_end_the_call),
        cmocka_unit_test(interim_answers_are_passed_over),
        cmocka_unit_test(goaway_tells_what_is_unprocessed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
