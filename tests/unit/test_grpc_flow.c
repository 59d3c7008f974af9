/* Flow control: readers that do not take stop those who write to them, and nobody else. */
#include "lib/grpc_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A reader that holds its call stops the writer: what is under way is a window and a queue, and
 * other calls go on. When it takes again, all comes. */
static void slow_reader_stops_the_writer(void **state)
{
    struct grpc_pair *pair = *state;
    pair->server->service = (struct grpc_service){
        .on_message = grpc_echo, .on_half_close = grpc_stream_on, .on_room = grpc_stream_on};
    struct grpc_heard *slow = grpc_side_call(pair->client);
    osr_grpc_hold(slow->call, true);
    osr_grpc_half_close(slow->call);
    grpc_pair_run(pair);
    uint64_t sent = pair->server->heard[0].number * GRPC_STREAMED_BYTES;
    assert_true(sent > OSR_GRPC_CALL_WINDOW_BYTES);
    assert_true(sent <= OSR_GRPC_CALL_WINDOW_BYTES + 2 * OSR_GRPC_CALL_QUEUE_BYTES);
    assert_int_equal(slow->messages, 0);
    struct grpc_heard *other = grpc_side_call(pair->client);
    grpc_send_text(other, "meanwhile");
    grpc_pair_run(pair);
    assert_int_equal(other->messages, 1);
    osr_grpc_hold(slow->call, false);
    grpc_pair_run(pair);
    assert_ended(slow, OSR_GRPC_OK);
    assert_int_equal(slow->messages, GRPC_STREAMED);
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
    struct grpc_pair *pair = *state;
    pair->server->service =
        (struct grpc_service){.on_message = hold_after_each, .on_half_close = grpc_finish_ok};
    struct grpc_heard *call = grpc_side_call(pair->client);
    for (int i = 0; i < 5; i++) {
        grpc_send_text(call, "one");
    }
    osr_grpc_half_close(call->call);
    grpc_pair_run(pair);
    struct grpc_heard *served = &pair->server->heard[0];
    for (size_t taken = 1; taken <= 5; taken++) {
        assert_int_equal(served->messages, taken);
        assert_int_equal(served->half_closes, 0);
        osr_grpc_hold(served->call, false);
        assert_int_equal(served->messages, taken);
        grpc_pair_run(pair);
    }
    assert_int_equal(served->half_closes, 1);
    assert_ended(call, OSR_GRPC_OK);
}

/* A call that the server has answered and ended, of which its client has taken nothing. */
static struct grpc_heard *hold_an_answer(struct grpc_pair *pair)
{
    struct grpc_heard *call = grpc_side_call(pair->client);
    osr_grpc_hold(call->call, true);
    grpc_send_text(call, "kept");
    osr_grpc_half_close(call->call);
    grpc_pair_run(pair);
    assert_int_equal(pair->server->heard[0].ends, 1);
    assert_int_equal(call->messages, 0);
    return call;
}

/* A client that holds hears of the end only after the messages before it. */
static void end_waits_for_held_messages(void **state)
{
    struct grpc_pair *pair = *state;
    struct grpc_heard *call = hold_an_answer(pair);
    assert_int_equal(call->ends, 0);
    osr_grpc_hold(call->call, false);
    grpc_pair_run(pair);
    assert_int_equal(call->messages, 1);
    assert_ended(call, OSR_GRPC_OK);
}

/* ... and if the connection is destroyed before they are taken, the call ends without them. */
static void held_messages_go_with_the_connection(void **state)
{
    struct grpc_pair *pair = *state;
    struct grpc_heard *call = hold_an_answer(pair);
    osr_grpc_destroy(pair->client->grpc);
    pair->client->grpc = NULL;
    assert_int_equal(call->messages, 0);
    assert_ended(call, OSR_GRPC_UNAVAILABLE);
    assert_true(call->end.is_local);
}

/* Many calls whose readers have stopped share the connection's limit. */
static void stopped_calls_share_a_limit(void **state)
{
    struct grpc_pair *pair = *state;
    enum { CALLS = 200 };
    pair->server->service = grpc_streaming;
    grpc_pair_run(pair);
    for (int i = 0; i < CALLS; i++) {
        struct grpc_heard *call = grpc_side_call(pair->client);
        osr_grpc_half_close(call->call);
    }
    struct osr_buffer requests = {0};
    while (osr_grpc_produce(pair->client->grpc, &requests, 1 << 20)) {
    }
    (void)osr_grpc_receive(pair->server->grpc, osr_buffer_slice(&requests), pair->now_ms, NULL);
    osr_buffer_done(&requests);
    uint64_t queued = 0;
    for (int i = 0; i < CALLS; i++) {
        queued += pair->server->heard[i].number * GRPC_STREAMED_BYTES;
        assert_true(pair->server->heard[i].number > 0);
    }
    assert_true(queued <= OSR_GRPC_QUEUE_BYTES + (uint64_t)CALLS * 2 * GRPC_STREAMED_BYTES);
    grpc_pair_run(pair);
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(pair->client->heard[i].messages, GRPC_STREAMED);
    }
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
    pair.server->service.on_call = grpc_hold;
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
    osr_grpc_budget_done(&budget);
    assert_int_equal(budget.bytes, 0);
}

/* osr_grpc_produce gives about what it is asked for, not all that it has. */
static void produce_keeps_to_its_portion(void **state)
{
    struct grpc_pair *pair = *state;
    enum { PORTION = 10000, DATA_FRAME_BYTES = 16384 + 9 };
    pair->server->service = grpc_streaming;
    struct grpc_heard *call = grpc_side_call(pair->client);
    osr_grpc_half_close(call->call);
    grpc_pair_move(pair, pair->client, pair->server);
    for (int i = 0; i < 10; i++) {
        struct osr_buffer bytes = {0};
        assert_true(osr_grpc_produce(pair->server->grpc, &bytes, PORTION));
        assert_true(bytes.size <= PORTION + DATA_FRAME_BYTES);
        (void)osr_grpc_receive(pair->client->grpc, osr_buffer_slice(&bytes), pair->now_ms, NULL);
        osr_buffer_done(&bytes);
    }
    grpc_pair_run(pair);
    assert_int_equal(call->messages, GRPC_STREAMED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, grpc_pair_set_up, grpc_pair_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(slow_reader_stops_the_writer), TEST(held_call_takes_one_at_a_time),
        TEST(end_waits_for_held_messages),  TEST(held_messages_go_with_the_connection),
        TEST(stopped_calls_share_a_limit),  cmocka_unit_test(begun_messages_share_a_budget),
        TEST(produce_keeps_to_its_portion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
