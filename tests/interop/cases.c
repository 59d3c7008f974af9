/* cases.c -- the cases of gRPC's published interoperability descriptions, by their names there. */
#include "cases.h"

#include "adapter/clock.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Sizes that the descriptions name. */
enum { LARGE_RESPONSE = 314159, LARGE_REQUEST = 271828 };
static const int32_t response_sizes[] = {31415, 9, 2653, 58979};
static const size_t request_sizes[] = {27182, 8, 1828, 45904};
enum { REQUEST_SIZES_SUM = 27182 + 8 + 1828 + 45904 };

/* ---- one message each way ---- */

static void empty_unary(struct channel *channel)
{
    struct rpc rpc;
    start(&rpc, channel, TEST_SERVICE "EmptyCall");
    send_empty(&rpc);
    const struct rpc_message *answer = rpc_receive(&rpc);
    CHECK(answer != NULL && answer->bytes.size == 0);
    expect_good_end(&rpc);
}

static void large_unary(struct channel *channel)
{
    struct rpc rpc;
    start_unary(
        &rpc, channel,
        &(struct simple_request){.payload_size = LARGE_REQUEST, .response_size = LARGE_RESPONSE},
        false);
    expect_payload(&rpc, LARGE_RESPONSE);
    expect_good_end(&rpc);
}

static void client_compressed_unary(struct channel *channel)
{
    struct simple_request request = {
        .payload_size = LARGE_REQUEST, .response_size = LARGE_RESPONSE, .expect_compressed = YES};
    struct rpc rpc;
    start_unary(&rpc, channel, &request, false); /* does the server notice? */
    expect_end(&rpc, OSR_GRPC_INVALID_ARGUMENT);
    start_unary(&rpc, channel, &request, true);
    expect_payload(&rpc, LARGE_RESPONSE);
    expect_good_end(&rpc);
    request.expect_compressed = NO;
    start_unary(&rpc, channel, &request, false);
    expect_payload(&rpc, LARGE_RESPONSE);
    expect_good_end(&rpc);
}

static void server_compressed_unary(struct channel *channel)
{
    static const enum choice choices[] = {YES, NO};
    for (size_t i = 0; i < COUNT_OF(choices); i++) {
        struct rpc rpc;
        start_unary(&rpc, channel,
                    &(struct simple_request){.payload_size = LARGE_REQUEST,
                                             .response_size = LARGE_RESPONSE,
                                             .response_compressed = choices[i]},
                    false);
        expect_payload(&rpc, LARGE_RESPONSE);
        CHECK(rpc.messages[0].was_compressed == (choices[i] == YES));
        expect_good_end(&rpc);
    }
}

/* ---- streams ---- */

static void expect_aggregated(struct rpc *rpc, int64_t size)
{
    rpc_half_close(rpc);
    const struct rpc_message *answer = rpc_receive(rpc);
    CHECK(answer != NULL && aggregated_size_of(osr_buffer_slice(&answer->bytes)) == size);
    expect_good_end(rpc);
}

static void client_streaming(struct channel *channel)
{
    struct rpc rpc;
    start(&rpc, channel, TEST_SERVICE "StreamingInputCall");
    for (size_t i = 0; i < COUNT_OF(request_sizes); i++) {
        send_input(&rpc, request_sizes[i], NOT_SAID, false);
    }
    expect_aggregated(&rpc, REQUEST_SIZES_SUM);
}

static void client_compressed_streaming(struct channel *channel)
{
    enum { COMPRESSED_SIZE = 27182, PLAIN_SIZE = 45904 };
    struct rpc rpc;
    start(&rpc, channel, TEST_SERVICE "StreamingInputCall");
    send_input(&rpc, COMPRESSED_SIZE, YES, false); /* does the server notice? */
    expect_end(&rpc, OSR_GRPC_INVALID_ARGUMENT);
    start(&rpc, channel, TEST_SERVICE "StreamingInputCall");
    send_input(&rpc, COMPRESSED_SIZE, YES, true);
    send_input(&rpc, PLAIN_SIZE, NO, false);
    expect_aggregated(&rpc, COMPRESSED_SIZE + PLAIN_SIZE);
}

static void start_output(struct rpc *rpc, struct channel *channel,
                         const struct wanted_response *wanted, size_t count)
{
    start(rpc, channel, TEST_SERVICE "StreamingOutputCall");
    send_output(rpc, &(struct output_request){.wanted = wanted, .wanted_count = count});
    rpc_half_close(rpc);
}

static void server_streaming(struct channel *channel)
{
    struct wanted_response wanted[COUNT_OF(response_sizes)] = {0};
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        wanted[i].size = response_sizes[i];
    }
    struct rpc rpc;
    start_output(&rpc, channel, wanted, COUNT_OF(wanted));
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        expect_payload(&rpc, wanted[i].size);
    }
    expect_good_end(&rpc);
}

static void server_compressed_streaming(struct channel *channel)
{
    static const struct wanted_response wanted[] = {
        {.size = 31415, .compressed = YES},
        {.size = 92653, .compressed = NO},
    };
    struct rpc rpc;
    start_output(&rpc, channel, wanted, COUNT_OF(wanted));
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        expect_payload(&rpc, wanted[i].size);
        CHECK(rpc.messages[i].was_compressed == (wanted[i].compressed == YES));
    }
    expect_good_end(&rpc);
}

static void ping_pong(struct channel *channel)
{
    struct rpc rpc;
    start(&rpc, channel, TEST_SERVICE "FullDuplexCall");
    for (size_t i = 0; i < COUNT_OF(request_sizes); i++) {
        ping(&rpc, request_sizes[i], response_sizes[i]);
        expect_payload(&rpc, response_sizes[i]);
    }
    rpc_half_close(&rpc);
    expect_good_end(&rpc);
}

static void empty_stream(struct channel *channel)
{
    struct rpc rpc;
    start(&rpc, channel, TEST_SERVICE "FullDuplexCall");
    rpc_half_close(&rpc);
    expect_good_end(&rpc);
}

/* ---- metadata and status ---- */

#define ECHO_INITIAL  "x-grpc-test-echo-initial"
#define ECHO_TRAILING "x-grpc-test-echo-trailing-bin"

static void start_with_metadata(struct rpc *rpc, struct channel *channel, const char *path)
{
    struct osr_grpc_metadata metadata[] = {
        {osr_slice_text(ECHO_INITIAL), osr_slice_text("test_initial_metadata_value")},
        {osr_slice_text(ECHO_TRAILING), osr_slice("\xab\xab\xab", 3)},
    };
    rpc_start(rpc, channel, path, 0, metadata, COUNT_OF(metadata));
}

static void expect_metadata(struct rpc *rpc)
{
    rpc_half_close(rpc);
    expect_payload(rpc, LARGE_RESPONSE);
    rpc_wait_end(rpc);
    const struct osr_grpc_metadata *initial =
        osr_grpc_metadata_find(rpc->headers.items, rpc->headers.count, ECHO_INITIAL);
    CHECK(initial != NULL);
    CHECK(osr_slice_equal(initial->value, osr_slice_text("test_initial_metadata_value")));
    const struct osr_grpc_metadata *trailing =
        osr_grpc_metadata_find(rpc->trailers.items, rpc->trailers.count, ECHO_TRAILING);
    CHECK(trailing != NULL);
    CHECK(osr_slice_equal(trailing->value, osr_slice("\xab\xab\xab", 3)));
    expect_good_end(rpc);
}

static void custom_metadata(struct channel *channel)
{
    struct rpc rpc;
    start_with_metadata(&rpc, channel, TEST_SERVICE "UnaryCall");
    send_simple(
        &rpc,
        &(struct simple_request){.payload_size = LARGE_REQUEST, .response_size = LARGE_RESPONSE},
        false);
    expect_metadata(&rpc);
    start_with_metadata(&rpc, channel, TEST_SERVICE "FullDuplexCall");
    ping(&rpc, LARGE_REQUEST, LARGE_RESPONSE);
    expect_metadata(&rpc);
}

static void expect_status(struct rpc *rpc, const char *message)
{
    rpc_wait_end(rpc);
    CHECK(strcmp(rpc->message, message) == 0);
    CHECK(!rpc->is_local);
    expect_end(rpc, OSR_GRPC_UNKNOWN);
}

static void status_code_and_message(struct channel *channel)
{
    static const char message[] = "test status message";
    struct rpc rpc;
    start_unary(
        &rpc, channel,
        &(struct simple_request){.status_code = OSR_GRPC_UNKNOWN, .status_message = message},
        false);
    expect_status(&rpc, message);
    start(&rpc, channel, TEST_SERVICE "FullDuplexCall");
    send_output(
        &rpc, &(struct output_request){.status_code = OSR_GRPC_UNKNOWN, .status_message = message});
    rpc_half_close(&rpc);
    expect_status(&rpc, message);
}

static void special_status_message(struct channel *channel)
{
    static const char message[] = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP "
                                  "\U0001F608\t\n";
    struct rpc rpc;
    start_unary(
        &rpc, channel,
        &(struct simple_request){.status_code = OSR_GRPC_UNKNOWN, .status_message = message},
        false);
    expect_status(&rpc, message);
}

static void unimplemented_method(struct channel *channel)
{
    struct rpc rpc;
    start(&rpc, channel, TEST_SERVICE "UnimplementedCall");
    send_empty(&rpc);
    expect_end(&rpc, OSR_GRPC_UNIMPLEMENTED);
}

static void unimplemented_service(struct channel *channel)
{
    struct rpc rpc;
    start(&rpc, channel, "/grpc.testing.UnimplementedService/UnimplementedCall");
    send_empty(&rpc);
    expect_end(&rpc, OSR_GRPC_UNIMPLEMENTED);
}

/* ---- calls that end early ---- */

static void cancel_after_begin(struct channel *channel)
{
    struct rpc rpc;
    start(&rpc, channel, TEST_SERVICE "StreamingInputCall");
    osr_grpc_cancel(rpc.call, OSR_GRPC_CANCELLED, "");
    expect_end(&rpc, OSR_GRPC_CANCELLED);
    empty_unary(channel); /* the connection has not suffered */
}

static void cancel_after_first_response(struct channel *channel)
{
    struct rpc rpc;
    start(&rpc, channel, TEST_SERVICE "FullDuplexCall");
    ping(&rpc, request_sizes[0], response_sizes[0]);
    expect_payload(&rpc, response_sizes[0]);
    osr_grpc_cancel(rpc.call, OSR_GRPC_CANCELLED, "");
    expect_end(&rpc, OSR_GRPC_CANCELLED);
    empty_unary(channel); /* the connection has not suffered */
}

static void timeout_on_sleeping_server(struct channel *channel)
{
    enum { TIMEOUT_MS = 1, NOT_LATER_MS = 5 * 1000 };
    uint64_t begin_ms = osr_monotonic_ms();
    struct rpc rpc;
    rpc_start(&rpc, channel, TEST_SERVICE "FullDuplexCall", TIMEOUT_MS, NULL, 0);
    if (!rpc.has_ended) {
        send_output(&rpc, &(struct output_request){.payload_size = request_sizes[0]});
    }
    expect_end(&rpc, OSR_GRPC_DEADLINE_EXCEEDED);
    CHECK(osr_monotonic_ms() - begin_ms < NOT_LATER_MS);
}

const struct test_case published_cases[] = {
    {"empty_unary", empty_unary},
    {"large_unary", large_unary},
    {"client_compressed_unary", client_compressed_unary},
    {"server_compressed_unary", server_compressed_unary},
    {"client_streaming", client_streaming},
    {"client_compressed_streaming", client_compressed_streaming},
    {"server_streaming", server_streaming},
    {"server_compressed_streaming", server_compressed_streaming},
    {"ping_pong", ping_pong},
    {"empty_stream", empty_stream},
    {"custom_metadata", custom_metadata},
    {"status_code_and_message", status_code_and_message},
    {"special_status_message", special_status_message},
    {"unimplemented_method", unimplemented_method},
    {"unimplemented_service", unimplemented_service},
    {"cancel_after_begin", cancel_after_begin},
    {"cancel_after_first_response", cancel_after_first_response},
    {"timeout_on_sleeping_server", timeout_on_sleeping_server},
    {NULL, NULL},
};
