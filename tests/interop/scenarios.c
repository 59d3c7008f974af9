/* scenarios.c -- what the published cases leave out: limits, compression both ways, slow readers,
 * connections that end, and reports of what became of calls, for scripted servers. */
#include <stdio.h>

#include "cases.h"

enum { MEBIBYTE = 1 << 20 };

/* ---- limits and flow control ---- */

static void oversize_request(struct channel *channel)
{
    struct rpc rpc;
    start_unary(&rpc, channel, &(struct simple_request){.payload_size = ANSWER_BYTES_MAX + 1},
                false);
    expect_end(&rpc, OSR_GRPC_RESOURCE_EXHAUSTED);
    start_unary(&rpc, channel, &(struct simple_request){.response_size = 1}, false);
    expect_payload(&rpc, 1); /* the connection has not suffered */
    expect_good_end(&rpc);
}

static void oversize_response(struct channel *channel)
{
    struct rpc rpc;
    start_unary(&rpc, channel, &(struct simple_request){.response_size = ANSWER_BYTES_MAX + 1},
                false);
    rpc_wait_end(&rpc);
    CHECK(rpc.is_local && rpc.message_count == 0);
    expect_end(&rpc, OSR_GRPC_RESOURCE_EXHAUSTED);
    start_unary(&rpc, channel, &(struct simple_request){.response_size = 1}, false);
    expect_payload(&rpc, 1);
    expect_good_end(&rpc);
}

static void gzip_both_ways(struct channel *channel)
{
    struct rpc rpc;
    start_unary(&rpc, channel,
                &(struct simple_request){.payload_size = MEBIBYTE,
                                         .response_size = MEBIBYTE,
                                         .expect_compressed = YES,
                                         .response_compressed = YES},
                true);
    expect_payload(&rpc, MEBIBYTE);
    CHECK(rpc.messages[0].was_compressed);
    expect_good_end(&rpc);
}

/* Ten messages of 1 MiB, each left lying for a while. */
static void slow_reader(struct channel *channel)
{
    enum { COUNT = 10, PAUSE_MS = 30 };
    struct wanted_response wanted[COUNT] = {0};
    for (int i = 0; i < COUNT; i++) {
        wanted[i].size = MEBIBYTE;
    }
    struct rpc rpc;
    start(&rpc, channel, TEST_SERVICE "StreamingOutputCall");
    send_output(&rpc, &(struct output_request){.wanted = wanted, .wanted_count = COUNT});
    rpc_half_close(&rpc);
    for (int i = 0; i < COUNT; i++) {
        expect_payload(&rpc, MEBIBYTE);
        if (i + 1 < COUNT) {
            osr_grpc_hold(rpc.call, true);
            channel_idle(channel, PAUSE_MS);
            CHECK(rpc.message_count <= (size_t)i + 2); /* one may have been complete already */
            osr_grpc_hold(rpc.call, false);
        }
    }
    expect_good_end(&rpc);
}

/* ---- connections ---- */

static void reopen(struct channel *channel, uint32_t keepalive_ms)
{
    const char *url = channel->url;
    channel_close(channel);
    channel_open(channel, url, ANSWER_BYTES_MAX, keepalive_ms);
}

/* A call in which nothing happens for long is kept: the server answers our PINGs. */
static void keepalive(struct channel *channel)
{
    enum { KEEPALIVE_MS = 200 };
    static const struct wanted_response wanted[] = {
        {.size = 1, .interval_us = 700 * 1000},
        {.size = 1, .interval_us = 700 * 1000},
    };
    reopen(channel, KEEPALIVE_MS);
    struct rpc rpc;
    start(&rpc, channel, TEST_SERVICE "StreamingOutputCall");
    send_output(&rpc, &(struct output_request){.wanted = wanted, .wanted_count = 2});
    rpc_half_close(&rpc);
    expect_payload(&rpc, 1);
    expect_payload(&rpc, 1);
    expect_good_end(&rpc);
    CHECK(channel->link != NULL && !channel->is_going_away);
}

/* The server ends connections again and again: each call is answered, or was surely not begun and
 * is made again. */
static void goaway_under_load(struct channel *channel)
{
    enum { AT_ONCE = 8, CONNECTIONS = 4 };
    for (int connections = 1; connections < CONNECTIONS;) {
        struct rpc rpcs[AT_ONCE];
        for (int i = 0; i < AT_ONCE; i++) {
            start_unary(&rpcs[i], channel, &(struct simple_request){.response_size = 100}, false);
        }
        for (int i = 0; i < AT_ONCE; i++) {
            rpc_wait_end(&rpcs[i]);
            if (!rpcs[i].is_unprocessed) {
                expect_payload(&rpcs[i], 100);
                expect_good_end(&rpcs[i]);
            } else {
                expect_end(&rpcs[i], OSR_GRPC_UNAVAILABLE);
            }
        }
        if (channel->link == NULL || channel->is_going_away) {
            reopen(channel, 0);
            connections++;
        }
    }
}

/* A server that allows one call at a time gets one at a time: the next one waits. */
static void max_streams_one(struct channel *channel)
{
    enum { ROUNDS = 20 };
    struct rpc first;
    start_unary(&first, channel, &(struct simple_request){.response_size = 1}, false);
    expect_payload(&first, 1); /* the server's SETTINGS are known now */
    expect_good_end(&first);
    for (int i = 0; i < ROUNDS; i++) {
        struct rpc open, second;
        start(&open, channel, TEST_SERVICE "FullDuplexCall");
        ping(&open, 1, 1);
        expect_payload(&open, 1);
        start(&second, channel, TEST_SERVICE "EmptyCall");
        send_empty(&second);
        ping(&open, 1, 1);
        expect_payload(&open, 1);
        CHECK(!second.has_ended);
        rpc_half_close(&open);
        expect_good_end(&open);
        expect_end(&second, OSR_GRPC_OK);
    }
}

/* ---- reports, for scripted servers ---- */

/* STATUS [local] [unprocessed] messages=N: MESSAGE */
static void report(struct rpc *rpc)
{
    rpc_wait_end(rpc);
    printf("%s%s%s messages=%zu: %s\n", osr_grpc_code_name((int)rpc->code),
           rpc->is_local ? " local" : "", rpc->is_unprocessed ? " unprocessed" : "",
           rpc->message_count, rpc->message);
    rpc_done(rpc);
}

static void report_unary(struct channel *channel)
{
    struct rpc rpc;
    start_unary(&rpc, channel, &(struct simple_request){.payload_size = 100}, false);
    report(&rpc);
}

static void report_three(struct channel *channel)
{
    enum { COUNT = 3 };
    struct rpc rpcs[COUNT];
    for (int i = 0; i < COUNT; i++) {
        start_unary(&rpcs[i], channel, &(struct simple_request){.payload_size = 100}, false);
    }
    for (int i = 0; i < COUNT; i++) {
        report(&rpcs[i]);
    }
}

static void report_one_by_one(struct channel *channel)
{
    enum { COUNT = 3 };
    for (int i = 0; i < COUNT; i++) {
        report_unary(channel);
    }
}

/* A call that is still sending when it ends. */
static void report_upload(struct channel *channel)
{
    enum { COUNT = 64, BYTES = 64 << 10 };
    struct rpc rpc;
    start(&rpc, channel, TEST_SERVICE "StreamingInputCall");
    for (int i = 0; i < COUNT; i++) {
        send_input(&rpc, BYTES, NOT_SAID, false);
    }
    rpc_half_close(&rpc);
    report(&rpc);
}

/* A call for which the client waits, its own direction open. */
static void report_duplex(struct channel *channel)
{
    struct rpc rpc;
    start(&rpc, channel, TEST_SERVICE "FullDuplexCall");
    ping(&rpc, 100, 100);
    report(&rpc);
}

/* A call that the client gives up after a while. */
static void report_timeout(struct channel *channel)
{
    enum { TIMEOUT_MS = 300, SENDING_MS = 50 };
    struct rpc rpc;
    rpc_start(&rpc, channel, TEST_SERVICE "FullDuplexCall", TIMEOUT_MS, NULL, 0);
    report(&rpc);
    channel_idle(channel, SENDING_MS);
}

/* A call whose connection is watched: silence is broken by PING. */
static void report_keepalive(struct channel *channel)
{
    enum { KEEPALIVE_MS = 200 };
    reopen(channel, KEEPALIVE_MS);
    report_unary(channel);
}

const struct test_case further_cases[] = {
    {"oversize_request", oversize_request},
    {"oversize_response", oversize_response},
    {"gzip_both_ways", gzip_both_ways},
    {"slow_reader", slow_reader},
    {"keepalive", keepalive},
    {"goaway_under_load", goaway_under_load},
    {"max_streams_one", max_streams_one},
    {"report_unary", report_unary},
    {"report_three", report_three},
    {"report_one_by_one", report_one_by_one},
    {"report_upload", report_upload},
    {"report_duplex", report_duplex},
    {"report_timeout", report_timeout},
    {"report_keepalive", report_keepalive},
    {NULL, NULL},
};
