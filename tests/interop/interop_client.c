/* interop_client.c -- our gRPC client, put to the test by servers of others.
 *
 * usage: interop_client CASE URL
 *
 * Ends with status 0 where the server did what the case asks for. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "cases.h"

enum { EXIT_USAGE = 64 };

_Noreturn void check_failed(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
    exit(EXIT_FAILURE);
}

void start(struct rpc *rpc, struct channel *channel, const char *path)
{
    rpc_start(rpc, channel, path, 0, NULL, 0);
}

void send_simple(struct rpc *rpc, const struct simple_request *request, bool is_compressed)
{
    struct osr_buffer buffer = {0};
    pack_simple_request(&buffer, request);
    rpc_send(rpc, osr_buffer_slice(&buffer), is_compressed);
    osr_buffer_done(&buffer);
}

void send_output(struct rpc *rpc, const struct output_request *request)
{
    struct osr_buffer buffer = {0};
    pack_output_request(&buffer, request);
    rpc_send(rpc, osr_buffer_slice(&buffer), false);
    osr_buffer_done(&buffer);
}

void send_input(struct rpc *rpc, size_t payload_size, enum choice expect_compressed,
                bool is_compressed)
{
    struct osr_buffer buffer = {0};
    pack_input_request(&buffer, payload_size, expect_compressed);
    rpc_send(rpc, osr_buffer_slice(&buffer), is_compressed);
    osr_buffer_done(&buffer);
}

void send_empty(struct rpc *rpc)
{
    rpc_send(rpc, osr_slice(NULL, 0), false);
    rpc_half_close(rpc);
}

void start_unary(struct rpc *rpc, struct channel *channel, const struct simple_request *request,
                 bool is_compressed)
{
    start(rpc, channel, TEST_SERVICE "UnaryCall");
    send_simple(rpc, request, is_compressed);
    rpc_half_close(rpc);
}

void ping(struct rpc *rpc, size_t payload_size, int32_t response_size)
{
    struct wanted_response wanted = {.size = response_size};
    send_output(rpc, &(struct output_request){
                         .payload_size = payload_size, .wanted = &wanted, .wanted_count = 1});
}

void expect_end(struct rpc *rpc, enum osr_grpc_code code)
{
    rpc_wait_end(rpc);
    if (rpc->code != code) {
        fprintf(stderr, "%s instead of %s: %s\n", osr_grpc_code_name((int)rpc->code),
                osr_grpc_code_name((int)code), rpc->message);
        exit(EXIT_FAILURE);
    }
    rpc_done(rpc);
}

void expect_payload(struct rpc *rpc, int64_t size)
{
    const struct rpc_message *message = rpc_receive(rpc);
    if (message == NULL) {
        expect_end(rpc, OSR_GRPC_OK);
    }
    CHECK(message != NULL);
    CHECK(payload_size_of(osr_buffer_slice(&message->bytes)) == size);
}

void expect_good_end(struct rpc *rpc)
{
    CHECK(rpc_receive(rpc) == NULL);
    expect_end(rpc, OSR_GRPC_OK);
}

static const struct test_case *find_case(const struct test_case *cases, const char *name)
{
    while (cases->name != NULL && strcmp(cases->name, name) != 0) {
        cases++;
    }
    return cases->name != NULL ? cases : NULL;
}

int main(int count, char **arguments)
{
    if (count != 3) {
        fprintf(stderr, "usage: interop_client CASE URL\n");
        return EXIT_USAGE;
    }
    const struct test_case *test = find_case(published_cases, arguments[1]);
    if (test == NULL) {
        test = find_case(further_cases, arguments[1]);
    }
    if (test == NULL) {
        fprintf(stderr, "there is no case '%s'\n", arguments[1]);
        return EXIT_USAGE;
    }
    signal(SIGPIPE, SIG_IGN);
    struct channel channel;
    channel_open(&channel, arguments[2], ANSWER_BYTES_MAX, 0);
    test->run(&channel);
    channel_close(&channel);
    return EXIT_SUCCESS;
}
