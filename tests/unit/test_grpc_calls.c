/* Calls between a server and a client of ours, joined by bytes instead of a socket: the four kinds,
 * and what they carry. */
#include "lib/grpc_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* ---- the four kinds ---- */

/* A unary call: the message comes back, both sides hear of its end once. */
static void unary_call_is_answered(void **state)
{
    struct grpc_pair *pair = *state;
    assert_echoes(pair, "hello");
    const struct grpc_heard *served = &pair->server->heard[0];
    assert_string_equal(served->path, "/test.Echo/Call");
    assert_int_equal(served->half_closes, 1);
    assert_ended(served, OSR_GRPC_OK);
    assert_false(served->end.is_local);
    assert_false(pair->client->heard[0].end.is_local);
    assert_int_equal(osr_grpc_call_count(pair->server->grpc), 0);
    assert_int_equal(osr_grpc_call_count(pair->client->grpc), 0);
}

/* A server stream of 2,000 messages: all arrive, pulled through a queue that stays short. */
static void server_stream_is_pulled(void **state)
{
    struct grpc_pair *pair = *state;
    pair->server->service = grpc_streaming;
    struct grpc_heard *call = grpc_side_call(pair->client);
    grpc_send_text(call, "all");
    osr_grpc_half_close(call->call);
    grpc_pair_run(pair);
    assert_ended(call, OSR_GRPC_OK);
    assert_int_equal(call->messages, GRPC_STREAMED);
    assert_true(pair->server->heard[0].rooms >=
                GRPC_STREAMED * GRPC_STREAMED_BYTES / (2 * OSR_GRPC_CALL_QUEUE_BYTES));
}

static void half_close_when_sent(struct grpc_heard *heard)
{
    static const uint8_t message[GRPC_STREAMED_BYTES] = {0};
    while (heard->number < GRPC_STREAMED && !osr_grpc_is_full(heard->call)) {
        heard->number++;
        grpc_send(heard, osr_slice(message, sizeof(message)));
    }
    if (heard->number == GRPC_STREAMED) {
        osr_grpc_half_close(heard->call);
    }
}

static void answer_count(struct grpc_heard *heard)
{
    struct osr_buffer *message = osr_grpc_message_begin(heard->call);
    osr_buffer_add_format(message, "%zu", heard->messages);
    osr_grpc_message_end(heard->call);
    grpc_finish_ok(heard);
}

/* A client stream: the server counts 2,000 messages and answers with one. */
static void client_stream_is_counted(void **state)
{
    struct grpc_pair *pair = *state;
    pair->server->service = (struct grpc_service){.on_half_close = answer_count};
    pair->client->service = (struct grpc_service){.on_room = half_close_when_sent};
    struct grpc_heard *call = grpc_side_call(pair->client);
    half_close_when_sent(call);
    grpc_pair_run(pair);
    assert_ended(call, OSR_GRPC_OK);
    assert_int_equal(call->messages, 1);
    assert_memory_equal(call->last_message.data, "2000", 4);
}

static void ping_again(struct grpc_heard *heard, struct osr_slice message)
{
    if (heard->messages < 1000) {
        grpc_send(heard, message);
    } else {
        osr_grpc_half_close(heard->call);
    }
}

/* A bidirectional stream: a thousand times to and fro. */
static void bidirectional_stream_goes_to_and_fro(void **state)
{
    struct grpc_pair *pair = *state;
    pair->client->service.on_message = ping_again;
    struct grpc_heard *call = grpc_side_call(pair->client);
    grpc_send_text(call, "ball");
    grpc_pair_run(pair);
    assert_ended(call, OSR_GRPC_OK);
    assert_int_equal(call->messages, 1000);
}

static void greet_first(struct grpc_heard *heard)
{
    grpc_send_text(heard, "welcome");
}

/* A server may speak first: HEADERS go out although the client has sent no message yet. */
static void server_may_speak_first(void **state)
{
    struct grpc_pair *pair = *state;
    pair->server->service.on_call = greet_first;
    struct grpc_heard *call = grpc_side_call(pair->client);
    grpc_pair_run(pair);
    assert_int_equal(call->messages, 1);
    assert_int_equal(call->ends, 0);
    osr_grpc_half_close(call->call);
    grpc_pair_run(pair);
    assert_ended(call, OSR_GRPC_OK);
}

/* ---- metadata, status, compression ---- */

static const struct osr_grpc_metadata some_metadata[] = {
    {{(const uint8_t *)"x-text", 6}, {(const uint8_t *)"one", 3}},
    {{(const uint8_t *)"x-raw-bin", 9}, {(const uint8_t *)"\xff\x01,", 3}},
    {{(const uint8_t *)"grpc-timeout", 12}, {(const uint8_t *)"1n", 2}}, /* not ours to send */
};

#define SOME_METADATA_TEXT "x-text=one;x-raw-bin=\xff\x01,;"

static void answer_with_metadata(struct grpc_heard *heard)
{
    osr_grpc_set_headers(heard->call, some_metadata, 3);
    grpc_send_text(heard, "x");
    struct osr_grpc_end end = {.metadata = some_metadata, .metadata_count = 3};
    osr_grpc_finish(heard->call, &end);
}

/* Metadata goes three ways: with the request, with the answer, behind it; bytes as they are. */
static void metadata_goes_all_ways(void **state)
{
    struct grpc_pair *pair = *state;
    pair->server->service = (struct grpc_service){.on_half_close = answer_with_metadata};
    struct osr_grpc_head head = grpc_head("/a/b");
    head.metadata = some_metadata;
    head.metadata_count = 3;
    struct grpc_heard *call = grpc_side_start(pair->client, &head);
    osr_grpc_half_close(call->call);
    grpc_pair_run(pair);
    assert_ended(call, OSR_GRPC_OK);
    assert_string_equal(pair->server->heard[0].headers, SOME_METADATA_TEXT);
    assert_string_equal(call->headers, SOME_METADATA_TEXT);
    assert_string_equal(call->trailers, SOME_METADATA_TEXT);
}

static void refuse(struct grpc_heard *heard)
{
    struct osr_grpc_end end = {
        .code = OSR_GRPC_NOT_FOUND,
        .message = osr_slice_text("100% n\xc3\xb6\n"),
        .details = osr_slice("\0\1", 2),
        .metadata = some_metadata,
        .metadata_count = 1,
    };
    osr_grpc_finish(heard->call, &end);
}

/* A refusal before any message carries message, details and metadata. */
static void status_carries_message_and_details(void **state)
{
    struct grpc_pair *pair = *state;
    pair->server->service = (struct grpc_service){.on_call = refuse};
    struct grpc_heard *call = grpc_side_call(pair->client);
    grpc_pair_run(pair);
    assert_ended(call, OSR_GRPC_NOT_FOUND);
    assert_false(call->end.is_local);
    assert_string_equal(call->message, "100% n\xc3\xb6\n");
    assert_int_equal(call->end.details.size, 2);
    assert_string_equal(call->trailers, "x-text=one;");
}

/* Ended before the client had said all: the server's RST_STREAM ends the stream, and the client
 * may still write without harm. */
static void early_end_leaves_nothing_behind(void **state)
{
    struct grpc_pair *pair = *state;
    pair->server->service = (struct grpc_service){.on_call = refuse};
    struct grpc_heard *call = grpc_side_call(pair->client);
    grpc_pair_move(pair, pair->client, pair->server);
    grpc_send_text(call, "late");
    grpc_pair_run(pair);
    assert_ended(call, OSR_GRPC_NOT_FOUND);
    assert_ended(&pair->server->heard[0], OSR_GRPC_NOT_FOUND);
    assert_int_equal(osr_grpc_call_count(pair->server->grpc), 0);
}

/* OK without a message: a stream that had nothing to tell. */
static void empty_stream_is_ok(void **state)
{
    struct grpc_pair *pair = *state;
    struct grpc_heard *call = grpc_side_call(pair->client);
    osr_grpc_half_close(call->call);
    grpc_pair_run(pair);
    assert_ended(call, OSR_GRPC_OK);
    assert_int_equal(call->messages, 0);
}

static size_t bytes_of_echo(struct grpc_pair *pair, const struct osr_buffer *text)
{
    struct grpc_heard *call = grpc_side_call(pair->client);
    osr_grpc_call_compress(call->call, true);
    grpc_send(call, osr_buffer_slice(text));
    osr_grpc_half_close(call->call);
    size_t bytes = 0;
    struct osr_buffer wire = {0};
    for (int turn = 0; turn < 20; turn++) {
        struct grpc_side *from = turn % 2 == 0 ? pair->client : pair->server;
        struct grpc_side *to = turn % 2 == 0 ? pair->server : pair->client;
        wire.size = 0;
        osr_grpc_produce(from->grpc, &wire, SIZE_MAX / 2);
        bytes += wire.size;
        (void)osr_grpc_receive(to->grpc, osr_buffer_slice(&wire), pair->now_ms, NULL);
    }
    osr_buffer_done(&wire);
    assert_ended(call, OSR_GRPC_OK);
    assert_int_equal(call->message_bytes, text->size);
    return bytes;
}

/* gzip both ways: 100 kB of text cross as a few kilobytes. */
static void gzip_both_ways(void **state)
{
    (void)state;
    struct osr_grpc_options options = {.compresses = true};
    struct grpc_pair pair = grpc_pair_create(&options, NULL);
    struct osr_buffer text = {0};
    for (int i = 0; i < 10000; i++) {
        osr_buffer_add_text(&text, "0123456789");
    }
    assert_true(bytes_of_echo(&pair, &text) < 4000);
    osr_buffer_done(&text);
    grpc_pair_destroy(&pair);
}

static void set_small_limit(struct grpc_heard *heard)
{
    osr_grpc_call_limit(heard->call, 100);
}

/* A message over the limit ends the call with RESOURCE_EXHAUSTED, the server's and the client's. */
static void oversize_ends_the_call(void **state)
{
    struct grpc_pair *pair = *state;
    char large[200] = {0};
    struct grpc_heard *mine = grpc_side_call(pair->client);
    osr_grpc_call_limit(mine->call, 100);
    grpc_send(mine, osr_slice(large, sizeof(large)));
    grpc_pair_run(pair);
    assert_ended(mine, OSR_GRPC_RESOURCE_EXHAUSTED);
    assert_true(mine->end.is_local);
    pair->server->service.on_call = set_small_limit;
    struct grpc_heard *theirs = grpc_side_call(pair->client);
    grpc_send(theirs, osr_slice(large, sizeof(large)));
    grpc_pair_run(pair);
    assert_ended(theirs, OSR_GRPC_RESOURCE_EXHAUSTED);
    assert_ended(&pair->server->heard[1], OSR_GRPC_RESOURCE_EXHAUSTED);
    assert_true(pair->server->heard[1].end.is_local);
    assert_int_equal(pair->server->heard[1].messages, 0);
}

/* Bytes come in pieces of any size, and leave in portions of any size. */
static void pieces_of_any_size(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 80; piece++) {
        struct grpc_pair pair = grpc_pair_create(NULL, NULL);
        pair.piece = piece;
        pair.portion = 80 - piece;
        assert_echoes(&pair, "a text of some length, so that its frames are cut everywhere");
        assert_echoes(&pair, "");
        grpc_pair_destroy(&pair);
    }
}

/* A request's scheme says whether the connection is encrypted (RFC 9113, 8.3.1). */
static void scheme_tells_of_encryption(void **state)
{
    /* Of HPACK's static table: ":method: POST", then ":scheme", http or https. */
    static const uint8_t heads[2][2] = {{0x83, 0x86}, {0x83, 0x87}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct osr_grpc_options options = {.is_secure = i == 1};
        struct grpc_side *side = grpc_side_create(&options);
        struct osr_buffer output = {0};
        osr_grpc_half_close(grpc_side_call(side)->call);
        while (osr_grpc_produce(side->grpc, &output, 1 << 20)) {
        }
        assert_non_null(memmem(output.data, output.size, heads[i], sizeof(heads[i])));
        assert_null(memmem(output.data, output.size, heads[1 - i], sizeof(heads[i])));
        osr_buffer_done(&output);
        grpc_side_destroy(side);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, grpc_pair_set_up, grpc_pair_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(unary_call_is_answered),
        TEST(server_stream_is_pulled),
        TEST(client_stream_is_counted),
        TEST(bidirectional_stream_goes_to_and_fro),
        TEST(server_may_speak_first),
        TEST(metadata_goes_all_ways),
        cmocka_unit_test(scheme_tells_of_encryption),
        TEST(status_carries_message_and_details),
        TEST(early_end_leaves_nothing_behind),
        TEST(empty_stream_is_ok),
        cmocka_unit_test(gzip_both_ways),
        TEST(oversize_ends_the_call),
        cmocka_unit_test(pieces_of_any_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
