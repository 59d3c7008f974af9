/* Calls between a server and a client of ours, joined by bytes instead of a socket, under an
 * invented clock. */
#include "lib/grpc_side.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct osr_grpc_head head_of(const char *path)
{
    return (struct osr_grpc_head){.path = osr_slice_text(path), .deadline_ms = UINT64_MAX};
}

static void assert_ended(const struct grpc_heard *heard, enum osr_grpc_code code)
{
    assert_int_equal(heard->ends, 1);
    assert_int_equal(heard->end.code, code);
}

/* One call with one message each way. */
static void assert_echoes(struct grpc_pair *pair, const char *text)
{
    struct grpc_heard *call = grpc_side_call(pair->client);
    assert_non_null(call);
    grpc_send_text(call, text);
    osr_grpc_half_close(call->call);
    grpc_pair_run(pair);
    assert_ended(call, OSR_GRPC_OK);
    assert_int_equal(call->messages, 1);
    assert_int_equal(call->last_message.size, strlen(text));
    assert_memory_equal(call->last_message.data, text, strlen(text));
}

/* ---- the four kinds ---- */

/* A unary call: the message comes back, both sides hear of its end once. */
static void unary_call_is_answered(void **state)
{
    (void)state;
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    assert_echoes(&pair, "hello");
    const struct grpc_heard *served = &pair.server->heard[0];
    assert_string_equal(served->path, "/test.Echo/Call");
    assert_int_equal(served->half_closes, 1);
    assert_ended(served, OSR_GRPC_OK);
    assert_false(served->end.is_local);
    assert_false(pair.client->heard[0].end.is_local);
    assert_int_equal(osr_grpc_call_count(pair.server->grpc), 0);
    assert_int_equal(osr_grpc_call_count(pair.client->grpc), 0);
    grpc_pair_destroy(&pair);
}

enum { STREAMED = 2000, STREAMED_BYTES = 1000 };

/* Sends as many as there is room for, then waits for on_room: pull-based, as services do. */
static void stream_on(struct grpc_heard *heard)
{
    static const uint8_t message[STREAMED_BYTES] = {0};
    while (heard->number < STREAMED && !osr_grpc_is_full(heard->call)) {
        heard->number++;
        grpc_send(heard, osr_slice(message, sizeof(message)));
    }
    if (heard->number == STREAMED) {
        heard->number++;
        grpc_finish_ok(heard);
    }
}

/* A server stream of 2,000 messages: all arrive, pulled through a queue that stays short. */
static void server_stream_is_pulled(void **state)
{
    (void)state;
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    pair.server->service = (struct grpc_service){.on_half_close = stream_on, .on_room = stream_on};
    struct grpc_heard *call = grpc_side_call(pair.client);
    grpc_send_text(call, "all");
    osr_grpc_half_close(call->call);
    grpc_pair_run(&pair);
    assert_ended(call, OSR_GRPC_OK);
    assert_int_equal(call->messages, STREAMED);
    assert_true(pair.server->heard[0].rooms >=
                STREAMED * STREAMED_BYTES / (2 * OSR_GRPC_CALL_QUEUE_BYTES));
    grpc_pair_destroy(&pair);
}

static void half_close_when_sent(struct grpc_heard *heard)
{
    static const uint8_t message[STREAMED_BYTES] = {0};
    while (heard->number < STREAMED && !osr_grpc_is_full(heard->call)) {
        heard->number++;
        grpc_send(heard, osr_slice(message, sizeof(message)));
    }
    if (heard->number == STREAMED) {
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
    (void)state;
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    pair.server->service = (struct grpc_service){.on_half_close = answer_count};
    pair.client->service = (struct grpc_service){.on_room = half_close_when_sent};
    struct grpc_heard *call = grpc_side_call(pair.client);
    half_close_when_sent(call);
    grpc_pair_run(&pair);
    assert_ended(call, OSR_GRPC_OK);
    assert_int_equal(call->messages, 1);
    assert_memory_equal(call->last_message.data, "2000", 4);
    grpc_pair_destroy(&pair);
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
    (void)state;
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    pair.client->service.on_message = ping_again;
    struct grpc_heard *call = grpc_side_call(pair.client);
    grpc_send_text(call, "ball");
    grpc_pair_run(&pair);
    assert_ended(call, OSR_GRPC_OK);
    assert_int_equal(call->messages, 1000);
    grpc_pair_destroy(&pair);
}

static void greet_first(struct grpc_heard *heard)
{
    grpc_send_text(heard, "welcome");
}

/* A server may speak first: HEADERS go out although the client has sent no message yet. */
static void server_may_speak_first(void **state)
{
    (void)state;
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    pair.server->service.on_call = greet_first;
    struct grpc_heard *call = grpc_side_call(pair.client);
    grpc_pair_run(&pair);
    assert_int_equal(call->messages, 1);
    assert_int_equal(call->ends, 0);
    osr_grpc_half_close(call->call);
    grpc_pair_run(&pair);
    assert_ended(call, OSR_GRPC_OK);
    grpc_pair_destroy(&pair);
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
    (void)state;
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    pair.server->service = (struct grpc_service){.on_half_close = answer_with_metadata};
    struct osr_grpc_head head = head_of("/a/b");
    head.metadata = some_metadata;
    head.metadata_count = 3;
    struct grpc_heard *call = grpc_side_start(pair.client, &head);
    osr_grpc_half_close(call->call);
    grpc_pair_run(&pair);
    assert_ended(call, OSR_GRPC_OK);
    assert_string_equal(pair.server->heard[0].headers, SOME_METADATA_TEXT);
    assert_string_equal(call->headers, SOME_METADATA_TEXT);
    assert_string_equal(call->trailers, SOME_METADATA_TEXT);
    grpc_pair_destroy(&pair);
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
    (void)state;
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    pair.server->service = (struct grpc_service){.on_call = refuse};
    struct grpc_heard *call = grpc_side_call(pair.client);
    grpc_pair_run(&pair);
    assert_ended(call, OSR_GRPC_NOT_FOUND);
    assert_false(call->end.is_local);
    assert_string_equal(call->message, "100% n\xc3\xb6\n");
    assert_int_equal(call->end.details.size, 2);
    assert_string_equal(call->trailers, "x-text=one;");
    grpc_pair_destroy(&pair);
}

/* Ended before the client had said all: the server's RST_STREAM ends the stream, and the client
 * may still write without harm. */
static void early_end_leaves_nothing_behind(void **state)
{
    (void)state;
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    pair.server->service = (struct grpc_service){.on_call = refuse};
    struct grpc_heard *call = grpc_side_call(pair.client);
    grpc_pair_move(&pair, pair.client, pair.server);
    grpc_send_text(call, "late");
    grpc_pair_run(&pair);
    assert_ended(call, OSR_GRPC_NOT_FOUND);
    assert_ended(&pair.server->heard[0], OSR_GRPC_NOT_FOUND);
    assert_int_equal(osr_grpc_call_count(pair.server->grpc), 0);
    grpc_pair_destroy(&pair);
}

/* OK without a message: a stream that had nothing to tell. */
static void empty_stream_is_ok(void **state)
{
    (void)state;
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    struct grpc_heard *call = grpc_side_call(pair.client);
    osr_grpc_half_close(call->call);
    grpc_pair_run(&pair);
    assert_ended(call, OSR_GRPC_OK);
    assert_int_equal(call->messages, 0);
    grpc_pair_destroy(&pair);
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
    (void)state;
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    char large[200] = {0};
    struct grpc_heard *mine = grpc_side_call(pair.client);
    osr_grpc_call_limit(mine->call, 100);
    grpc_send(mine, osr_slice(large, sizeof(large)));
    grpc_pair_run(&pair);
    assert_ended(mine, OSR_GRPC_RESOURCE_EXHAUSTED);
    assert_true(mine->end.is_local);
    pair.server->service.on_call = set_small_limit;
    struct grpc_heard *theirs = grpc_side_call(pair.client);
    grpc_send(theirs, osr_slice(large, sizeof(large)));
    grpc_pair_run(&pair);
    assert_ended(theirs, OSR_GRPC_RESOURCE_EXHAUSTED);
    assert_ended(&pair.server->heard[1], OSR_GRPC_RESOURCE_EXHAUSTED);
    assert_true(pair.server->heard[1].end.is_local);
    assert_int_equal(pair.server->heard[1].messages, 0);
    grpc_pair_destroy(&pair);
}

/* ---- deadlines ---- */

/* The deadline travels with the call; past it both sides end it. */
static void deadline_ends_both_sides(void **state)
{
    (void)state;
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    pair.server->service = (struct grpc_service){0}; /* never answers */
    struct osr_grpc_head head = head_of("/a/b");
    head.deadline_ms = pair.now_ms + 250;
    struct grpc_heard *call = grpc_side_start(pair.client, &head);
    grpc_send_text(call, "x");
    grpc_pair_run(&pair);
    assert_int_equal(pair.server->heard[0].deadline_ms, pair.now_ms + 250);
    assert_int_equal(osr_grpc_deadline_ms(pair.client->grpc), pair.now_ms + 250);
    grpc_pair_pass(&pair, 249);
    assert_int_equal(call->ends, 0);
    grpc_pair_pass(&pair, 1);
    assert_ended(call, OSR_GRPC_DEADLINE_EXCEEDED);
    assert_ended(&pair.server->heard[0], OSR_GRPC_DEADLINE_EXCEEDED);
    assert_true(pair.server->heard[0].end.is_local);
    grpc_pair_destroy(&pair);
}

/* A server whose clock is ahead says DEADLINE_EXCEEDED itself. */
static void server_tells_that_the_deadline_is_past(void **state)
{
    (void)state;
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    pair.server->service = (struct grpc_service){0};
    struct osr_grpc_head head = head_of("/a/b");
    head.deadline_ms = pair.now_ms + 250;
    struct grpc_heard *call = grpc_side_start(pair.client, &head);
    grpc_pair_run(&pair);
    osr_grpc_tick(pair.server->grpc, pair.now_ms + 251);
    assert_ended(&pair.server->heard[0], OSR_GRPC_DEADLINE_EXCEEDED);
    grpc_pair_run(&pair);
    assert_ended(call, OSR_GRPC_DEADLINE_EXCEEDED);
    assert_false(call->end.is_local);
    grpc_pair_destroy(&pair);
}

/* Of many calls each ends at its own time, in whatever order they began. */
static void deadlines_come_in_their_order(void **state)
{
    (void)state;
    enum { CALLS = 50 };
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    pair.server->service = (struct grpc_service){0};
    for (uint64_t i = 0; i < CALLS; i++) {
        struct osr_grpc_head head = head_of("/a/b");
        head.deadline_ms = pair.now_ms + 1 + (i * 7) % CALLS;
        assert_non_null(grpc_side_start(pair.client, &head));
    }
    grpc_pair_run(&pair);
    for (size_t passed = 1; passed <= CALLS; passed++) {
        grpc_pair_pass(&pair, 1);
        assert_int_equal(pair.client->ends, passed);
        assert_int_equal(pair.server->ends, passed);
    }
    grpc_pair_destroy(&pair);
}

/* ---- cancellation ---- */

/* The client cancels after so many moves of bytes: wherever that is, each side hears once of the
 * end, nothing stays, and the connection goes on. */
static void cancelled_at_any_point(void **state)
{
    (void)state;
    for (int point = 0; point < 12; point++) {
        struct grpc_pair pair = grpc_pair_create(NULL, NULL);
        pair.portion = 20;
        pair.piece = 7;
        struct grpc_heard *call = grpc_side_call(pair.client);
        grpc_send_text(call, "a message that needs several DATA frames");
        for (int i = 0; i < point; i++) {
            grpc_pair_move(&pair, pair.client, pair.server);
            grpc_pair_move(&pair, pair.server, pair.client);
        }
        osr_grpc_cancel(call->call, OSR_GRPC_CANCELLED, "enough");
        assert_int_equal(call->ends, 0); /* never from within */
        grpc_pair_run(&pair);
        assert_ended(call, OSR_GRPC_CANCELLED);
        assert_string_equal(call->message, "enough");
        if (pair.server->count > 0) {
            assert_ended(&pair.server->heard[0], OSR_GRPC_CANCELLED);
        }
        assert_echoes(&pair, "still here");
        grpc_pair_destroy(&pair);
    }
}

static void cancel_it(struct grpc_heard *heard)
{
    osr_grpc_cancel(heard->call, OSR_GRPC_ABORTED, "no more");
    /* Dead, but still there: nothing of this may harm. */
    grpc_send_text(heard, "to nobody");
    assert_false(osr_grpc_is_full(heard->call));
    osr_grpc_hold(heard->call, true);
    osr_grpc_hold(heard->call, false);
}

static void cancel_at_message(struct grpc_heard *heard, struct osr_slice message)
{
    grpc_echo(heard, message);
    cancel_it(heard);
}

/* A server cancels from within each of its handlers: the client hears the status. */
static void server_cancels_from_within(void **state)
{
    (void)state;
    const struct grpc_service services[] = {
        {.on_call = cancel_it},
        {.on_message = cancel_at_message},
        {.on_half_close = cancel_it},
    };
    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
        struct grpc_pair pair = grpc_pair_create(NULL, NULL);
        pair.server->service = services[i];
        struct grpc_heard *call = grpc_side_call(pair.client);
        grpc_send_text(call, "x");
        grpc_send_text(call, "y");
        osr_grpc_half_close(call->call);
        grpc_pair_run(&pair);
        assert_ended(call, OSR_GRPC_ABORTED);
        assert_string_equal(call->message, "no more");
        assert_ended(&pair.server->heard[0], OSR_GRPC_ABORTED);
        grpc_pair_destroy(&pair);
    }
}

static void hold_at_headers(struct grpc_heard *heard)
{
    osr_grpc_hold(heard->call, true);
}

/* A server cancels a stream that its reader has stopped: RST_STREAM, as no status can pass. */
static void server_cancels_a_stopped_stream(void **state)
{
    (void)state;
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    pair.server->service = (struct grpc_service){.on_half_close = stream_on, .on_room = stream_on};
    struct grpc_heard *call = grpc_side_call(pair.client);
    hold_at_headers(call);
    osr_grpc_half_close(call->call);
    grpc_pair_run(&pair);
    assert_true(osr_grpc_is_full(pair.server->heard[0].call));
    osr_grpc_cancel(pair.server->heard[0].call, OSR_GRPC_ABORTED, "no more");
    grpc_pair_run(&pair);
    assert_ended(&pair.server->heard[0], OSR_GRPC_ABORTED);
    assert_ended(call, OSR_GRPC_CANCELLED);
    grpc_pair_destroy(&pair);
}

/* ---- flow control ---- */

/* A reader that holds its call stops the writer: what is under way is a window and a queue, and
 * other calls go on. When it takes again, all comes. */
static void slow_reader_stops_the_writer(void **state)
{
    (void)state;
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    pair.server->service = (struct grpc_service){
        .on_message = grpc_echo, .on_half_close = stream_on, .on_room = stream_on};
    struct grpc_heard *slow = grpc_side_call(pair.client);
    osr_grpc_hold(slow->call, true);
    osr_grpc_half_close(slow->call);
    grpc_pair_run(&pair);
    uint64_t sent = pair.server->heard[0].number * STREAMED_BYTES;
    assert_true(sent > OSR_GRPC_CALL_WINDOW_BYTES);
    assert_true(sent <= OSR_GRPC_CALL_WINDOW_BYTES + 2 * OSR_GRPC_CALL_QUEUE_BYTES);
    assert_int_equal(slow->messages, 0);
    struct grpc_heard *other = grpc_side_call(pair.client);
    grpc_send_text(other, "meanwhile");
    grpc_pair_run(&pair);
    assert_int_equal(other->messages, 1);
    osr_grpc_hold(slow->call, false);
    grpc_pair_run(&pair);
    assert_ended(slow, OSR_GRPC_OK);
    assert_int_equal(slow->messages, STREAMED);
    grpc_pair_destroy(&pair);
}

static void hold_after_each(struct grpc_heard *heard, struct osr_slice message)
{
    (void)message;
    osr_grpc_hold(heard->call, true);
}

/* A handler that holds after each message gets exactly one for each time it lets go, and hears of
 * the half-close after the last. */
static void held_call_takes_one_at_a_time(void **state)
{
    (void)state;
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    pair.server->service =
        (struct grpc_service){.on_message = hold_after_each, .on_half_close = grpc_finish_ok};
    struct grpc_heard *call = grpc_side_call(pair.client);
    for (int i = 0; i < 5; i++) {
        grpc_send_text(call, "one");
    }
    osr_grpc_half_close(call->call);
    grpc_pair_run(&pair);
    struct grpc_heard *served = &pair.server->heard[0];
    for (size_t taken = 1; taken <= 5; taken++) {
        assert_int_equal(served->messages, taken);
        assert_int_equal(served->half_closes, 0);
        osr_grpc_hold(served->call, false);
        assert_int_equal(served->messages, taken);
        grpc_pair_run(&pair);
    }
    assert_int_equal(served->half_closes, 1);
    assert_ended(call, OSR_GRPC_OK);
    grpc_pair_destroy(&pair);
}

/* A client that holds hears of the end only after the messages before it. */
static void end_waits_for_held_messages(void **state)
{
    (void)state;
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    struct grpc_heard *call = grpc_side_call(pair.client);
    osr_grpc_hold(call->call, true);
    grpc_send_text(call, "kept");
    osr_grpc_half_close(call->call);
    grpc_pair_run(&pair);
    assert_int_equal(pair.server->heard[0].ends, 1);
    assert_int_equal(call->messages, 0);
    assert_int_equal(call->ends, 0);
    osr_grpc_hold(call->call, false);
    grpc_pair_run(&pair);
    assert_int_equal(call->messages, 1);
    assert_ended(call, OSR_GRPC_OK);
    grpc_pair_destroy(&pair);
}

/* ... and if the connection is destroyed before they are taken, the call ends without them. */
static void held_messages_go_with_the_connection(void **state)
{
    (void)state;
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    struct grpc_heard *call = grpc_side_call(pair.client);
    osr_grpc_hold(call->call, true);
    grpc_send_text(call, "kept");
    osr_grpc_half_close(call->call);
    grpc_pair_run(&pair);
    osr_grpc_destroy(pair.client->grpc);
    pair.client->grpc = NULL;
    assert_int_equal(call->messages, 0);
    assert_ended(call, OSR_GRPC_UNAVAILABLE);
    assert_true(call->end.is_local);
    grpc_pair_destroy(&pair);
}

/* Many calls whose readers have stopped share the connection's limit. */
static void stopped_calls_share_a_limit(void **state)
{
    (void)state;
    enum { CALLS = 200 };
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    pair.server->service = (struct grpc_service){.on_half_close = stream_on, .on_room = stream_on};
    grpc_pair_run(&pair);
    for (int i = 0; i < CALLS; i++) {
        struct grpc_heard *call = grpc_side_call(pair.client);
        osr_grpc_half_close(call->call);
    }
    struct osr_buffer requests = {0};
    while (osr_grpc_produce(pair.client->grpc, &requests, 1 << 20)) {
    }
    (void)osr_grpc_receive(pair.server->grpc, osr_buffer_slice(&requests), pair.now_ms, NULL);
    osr_buffer_done(&requests);
    uint64_t queued = 0;
    for (int i = 0; i < CALLS; i++) {
        queued += pair.server->heard[i].number * STREAMED_BYTES;
        assert_true(pair.server->heard[i].number > 0);
    }
    assert_true(queued <= OSR_GRPC_QUEUE_BYTES + (uint64_t)CALLS * 2 * STREAMED_BYTES);
    grpc_pair_run(&pair);
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(pair.client->heard[i].messages, STREAMED);
    }
    grpc_pair_destroy(&pair);
}

/* Messages that are begun and never end are counted together: past the limit calls are refused,
 * and what was held is given back. */
static void begun_messages_share_a_budget(void **state)
{
    (void)state;
    struct osr_grpc_budget budget = {.bytes_max = 1 << 20};
    struct osr_grpc_options options = {.budget = &budget};
    struct grpc_pair pair = grpc_pair_create(&options, NULL);
    pair.server->service.on_message = NULL;
    pair.server->service.on_call = hold_at_headers;
    static const uint8_t message[150 << 10] = {0};
    for (int i = 0; i < 20; i++) {
        grpc_send(grpc_side_call(pair.client), osr_slice(message, sizeof(message)));
        grpc_pair_run(&pair);
        assert_true(budget.bytes <= budget.bytes_max + 2 * sizeof(message));
    }
    size_t refused = 0;
    for (int i = 0; i < 20; i++) {
        refused += pair.client->heard[i].ends == 1;
        assert_true(pair.client->heard[i].ends == 0 ||
                    pair.client->heard[i].end.code == OSR_GRPC_RESOURCE_EXHAUSTED);
    }
    assert_true(refused >= 12 && refused < 20);
    grpc_pair_destroy(&pair);
    assert_int_equal(budget.bytes, 0);
}

/* ---- many calls, the end of connections ---- */

/* A thousand calls at once on one connection; past calls_max the client says BUSY. */
static void thousand_calls_at_once(void **state)
{
    (void)state;
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    grpc_pair_run(&pair);
    for (size_t i = 0; i < OSR_GRPC_CALLS_MAX; i++) {
        struct grpc_heard *call = grpc_side_call(pair.client);
        grpc_send_text(call, "x");
    }
    struct osr_grpc_head head = head_of("/a/b");
    struct osr_grpc_call *call = NULL;
    struct osr_err err;
    assert_int_equal(osr_grpc_start(pair.client->grpc, &head, NULL, &call, &err), OSR_BUSY);
    grpc_pair_run(&pair);
    assert_int_equal(osr_grpc_call_count(pair.server->grpc), OSR_GRPC_CALLS_MAX);
    for (size_t i = 0; i < OSR_GRPC_CALLS_MAX; i++) {
        assert_int_equal(pair.client->heard[i].messages, 1);
        osr_grpc_half_close(pair.client->heard[i].call);
    }
    grpc_pair_run(&pair);
    assert_int_equal(pair.client->ends, OSR_GRPC_CALLS_MAX);
    assert_echoes(&pair, "again");
    grpc_pair_destroy(&pair);
}

/* A server that takes one call at a time: the client's others wait their turn, and a deadline ends
 * one that waits. */
static void calls_wait_for_the_servers_limit(void **state)
{
    (void)state;
    struct osr_grpc_options options = {.calls_max = 1};
    struct grpc_pair pair = grpc_pair_create(&options, NULL);
    grpc_pair_run(&pair);
    struct grpc_heard *first = grpc_side_call(pair.client);
    struct grpc_heard *second = grpc_side_call(pair.client);
    struct osr_grpc_head head = head_of("/a/b");
    head.deadline_ms = pair.now_ms + 10;
    struct grpc_heard *third = grpc_side_start(pair.client, &head);
    grpc_pair_run(&pair);
    assert_int_equal(pair.server->count, 1);
    grpc_pair_pass(&pair, 10);
    assert_ended(third, OSR_GRPC_DEADLINE_EXCEEDED);
    osr_grpc_half_close(second->call);
    osr_grpc_half_close(first->call);
    grpc_pair_run(&pair);
    assert_ended(first, OSR_GRPC_OK);
    assert_ended(second, OSR_GRPC_OK);
    assert_int_equal(pair.server->count, 2);
    grpc_pair_destroy(&pair);
}

/* Draining: calls under way end well, new ones are not begun, then both sides are over. */
static void drain_lets_calls_end(void **state)
{
    (void)state;
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    struct grpc_heard *call = grpc_side_call(pair.client);
    grpc_pair_run(&pair);
    osr_grpc_drain(pair.server->grpc, pair.now_ms);
    grpc_pair_run(&pair);
    assert_int_equal(pair.client->going_away, 1);
    assert_null(grpc_side_call(pair.client));
    assert_false(osr_grpc_is_over(pair.server->grpc));
    grpc_send_text(call, "last");
    osr_grpc_half_close(call->call);
    grpc_pair_run(&pair);
    assert_ended(call, OSR_GRPC_OK);
    assert_true(osr_grpc_is_over(pair.server->grpc));
    assert_true(osr_grpc_is_over(pair.client->grpc));
    grpc_pair_destroy(&pair);
}

/* A call that does not end while draining is ended when the time is up. */
static void drain_has_an_end(void **state)
{
    (void)state;
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    struct grpc_heard *call = grpc_side_call(pair.client);
    grpc_pair_run(&pair);
    osr_grpc_drain(pair.server->grpc, pair.now_ms);
    grpc_pair_pass(&pair, OSR_GRPC_DRAIN_MS - 1);
    assert_int_equal(call->ends, 0);
    pair.now_ms += 1;
    osr_grpc_tick(pair.server->grpc, pair.now_ms);
    assert_ended(&pair.server->heard[0], OSR_GRPC_UNAVAILABLE);
    grpc_pair_move(&pair, pair.server, pair.client);
    assert_true(osr_grpc_is_over(pair.server->grpc));
    grpc_pair_destroy(&pair);
    (void)call;
}

/* A client that drains begins no call, and is over after the last. */
static void client_drains(void **state)
{
    (void)state;
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    struct grpc_heard *call = grpc_side_call(pair.client);
    grpc_pair_run(&pair);
    osr_grpc_drain(pair.client->grpc, pair.now_ms);
    assert_null(grpc_side_call(pair.client));
    osr_grpc_half_close(call->call);
    grpc_pair_run(&pair);
    assert_ended(call, OSR_GRPC_OK);
    assert_true(osr_grpc_is_over(pair.client->grpc));
    assert_true(osr_grpc_is_over(pair.server->grpc));
    grpc_pair_destroy(&pair);
}

/* Silence: the server asks with PING, a living client answers and stays. */
static void keepalive_keeps_the_living(void **state)
{
    (void)state;
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    assert_echoes(&pair, "x");
    for (int i = 0; i < 200; i++) {
        assert_true(osr_grpc_deadline_ms(pair.server->grpc) <= pair.now_ms + OSR_GRPC_KEEPALIVE_MS);
        grpc_pair_pass(&pair, OSR_GRPC_KEEPALIVE_MS);
    }
    assert_echoes(&pair, "y");
    grpc_pair_destroy(&pair);
}

/* Whoever does not answer is let go, with GOAWAY, and its calls end. */
static void keepalive_ends_the_dead(void **state)
{
    (void)state;
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    struct grpc_heard *call = grpc_side_call(pair.client);
    grpc_pair_run(&pair);
    osr_grpc_tick(pair.server->grpc, pair.now_ms + OSR_GRPC_KEEPALIVE_MS);
    struct osr_buffer lost = {0};
    assert_true(osr_grpc_produce(pair.server->grpc, &lost, 1 << 20));
    osr_grpc_tick(pair.server->grpc,
                  pair.now_ms + OSR_GRPC_KEEPALIVE_MS + OSR_GRPC_KEEPALIVE_WAIT_MS);
    assert_ended(&pair.server->heard[0], OSR_GRPC_UNAVAILABLE);
    grpc_pair_move(&pair, pair.server, pair.client);
    assert_true(osr_grpc_is_over(pair.server->grpc));
    assert_int_equal(pair.client->going_away, 1);
    osr_buffer_done(&lost);
    grpc_pair_destroy(&pair);
    (void)call;
}

/* A client asks only while calls are under way, and not sooner than foreign servers allow. */
static void client_keepalive_needs_calls(void **state)
{
    (void)state;
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    assert_echoes(&pair, "x");
    assert_int_equal(osr_grpc_deadline_ms(pair.client->grpc), UINT64_MAX);
    grpc_side_call(pair.client);
    grpc_pair_run(&pair);
    assert_int_equal(osr_grpc_deadline_ms(pair.client->grpc),
                     pair.now_ms + OSR_GRPC_CLIENT_KEEPALIVE_MS);
    grpc_pair_destroy(&pair);
}

/* No preface within its time, however slowly its bytes drip in: the connection ends. */
static void half_open_preface_is_let_go(void **state)
{
    (void)state;
    struct osr_grpc_options options = {.is_server = true};
    struct grpc_side *server = grpc_side_create(&options);
    const char *magic = "PRI * HTTP/2.0\r\n";
    for (uint64_t i = 0; i < 10; i++) {
        assert_int_equal(osr_grpc_receive(server->grpc, osr_slice(magic + i, 1),
                                          GRPC_SIDE_NOW_MS + i * 900, NULL),
                         0);
    }
    assert_int_equal(osr_grpc_deadline_ms(server->grpc), GRPC_SIDE_NOW_MS + OSR_GRPC_PREFACE_MS);
    osr_grpc_tick(server->grpc, GRPC_SIDE_NOW_MS + OSR_GRPC_PREFACE_MS);
    struct osr_buffer last_words = {0};
    assert_true(osr_grpc_produce(server->grpc, &last_words, 1 << 20));
    assert_true(osr_grpc_is_over(server->grpc));
    osr_buffer_done(&last_words);
    grpc_side_destroy(server);
}

/* osr_grpc_shut ends all at once, on both sides; what had not left is safe to repeat. */
static void shut_ends_all(void **state)
{
    (void)state;
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    struct grpc_heard *sent = grpc_side_call(pair.client);
    grpc_pair_run(&pair);
    osr_grpc_shut(pair.server->grpc, OSR_GRPC_RESOURCE_EXHAUSTED, "too many connections");
    grpc_pair_move(&pair, pair.server, pair.client);
    assert_ended(&pair.server->heard[0], OSR_GRPC_UNAVAILABLE);
    assert_true(osr_grpc_is_over(pair.server->grpc));
    assert_int_equal(osr_grpc_receive(pair.server->grpc, osr_slice("x", 1), 1, NULL),
                     OSR_UNAVAILABLE);
    assert_int_equal(sent->ends, 0); /* until its owner sees the connection's end */
    grpc_pair_destroy(&pair);
}

static void remember_unprocessed(struct grpc_heard *heard)
{
    heard->side->going_away += heard->end.is_unprocessed ? 100 : 1;
}

/* The connection is gone: calls end as UNAVAILABLE, and only what was never written is known to
 * be unprocessed. */
static void destroy_ends_all(void **state)
{
    (void)state;
    struct osr_grpc_options options = {0};
    struct grpc_side *client = grpc_side_create(&options);
    client->service.on_end = remember_unprocessed;
    grpc_side_call(client);
    struct osr_buffer lost = {0};
    osr_grpc_produce(client->grpc, &lost, 1 << 20);
    grpc_side_call(client);
    osr_grpc_shut(client->grpc, OSR_GRPC_UNAVAILABLE, "");
    osr_grpc_tick(client->grpc, GRPC_SIDE_NOW_MS);
    assert_int_equal(client->ends, 2);
    assert_int_equal(client->going_away, 101);
    osr_buffer_done(&lost);
    grpc_side_destroy(client);
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

/* osr_grpc_produce gives about what it is asked for, not all that it has. */
static void produce_keeps_to_its_portion(void **state)
{
    (void)state;
    enum { PORTION = 10000, DATA_FRAME_BYTES = 16384 + 9 };
    struct grpc_pair pair = grpc_pair_create(NULL, NULL);
    pair.server->service = (struct grpc_service){.on_half_close = stream_on, .on_room = stream_on};
    struct grpc_heard *call = grpc_side_call(pair.client);
    osr_grpc_half_close(call->call);
    grpc_pair_move(&pair, pair.client, pair.server);
    for (int i = 0; i < 10; i++) {
        struct osr_buffer bytes = {0};
        assert_true(osr_grpc_produce(pair.server->grpc, &bytes, PORTION));
        assert_true(bytes.size <= PORTION + DATA_FRAME_BYTES);
        (void)osr_grpc_receive(pair.client->grpc, osr_buffer_slice(&bytes), pair.now_ms, NULL);
        osr_buffer_done(&bytes);
    }
    grpc_pair_run(&pair);
    assert_int_equal(call->messages, STREAMED);
    grpc_pair_destroy(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unary_call_is_answered),
        cmocka_unit_test(server_stream_is_pulled),
        cmocka_unit_test(client_stream_is_counted),
        cmocka_unit_test(bidirectional_stream_goes_to_and_fro),
        cmocka_unit_test(server_may_speak_first),
        cmocka_unit_test(metadata_goes_all_ways),
        cmocka_unit_test(status_carries_message_and_details),
        cmocka_unit_test(early_end_leaves_nothing_behind),
        cmocka_unit_test(empty_stream_is_ok),
        cmocka_unit_test(gzip_both_ways),
        cmocka_unit_test(oversize_ends_the_call),
        cmocka_unit_test(deadline_ends_both_sides),
        cmocka_unit_test(server_tells_that_the_deadline_is_past),
        cmocka_unit_test(deadlines_come_in_their_order),
        cmocka_unit_test(cancelled_at_any_point),
        cmocka_unit_test(server_cancels_from_within),
        cmocka_unit_test(server_cancels_a_stopped_stream),
        cmocka_unit_test(slow_reader_stops_the_writer),
        cmocka_unit_test(held_call_takes_one_at_a_time),
        cmocka_unit_test(end_waits_for_held_messages),
        cmocka_unit_test(held_messages_go_with_the_connection),
        cmocka_unit_test(stopped_calls_share_a_limit),
        cmocka_unit_test(begun_messages_share_a_budget),
        cmocka_unit_test(thousand_calls_at_once),
        cmocka_unit_test(calls_wait_for_the_servers_limit),
        cmocka_unit_test(drain_lets_calls_end),
        cmocka_unit_test(drain_has_an_end),
        cmocka_unit_test(client_drains),
        cmocka_unit_test(keepalive_keeps_the_living),
        cmocka_unit_test(keepalive_ends_the_dead),
        cmocka_unit_test(client_keepalive_needs_calls),
        cmocka_unit_test(half_open_preface_is_let_go),
        cmocka_unit_test(shut_ends_all),
        cmocka_unit_test(destroy_ends_all),
        cmocka_unit_test(pieces_of_any_size),
        cmocka_unit_test(produce_keeps_to_its_portion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
