/* How calls end before their time: by deadlines, under an invented clock, and by cancellation from
 * either side. */
#include "lib/grpc_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* ---- deadlines ---- */

/* The deadline travels with the call; past it both sides end it. */
static void deadline_ends_both_sides(void **state)
{
    struct grpc_pair *pair = *state;
    pair->server->service = (struct grpc_service){0}; /* never answers */
    struct osr_grpc_head head = grpc_head("/a/b");
    head.deadline_ms = pair->now_ms + 250;
    struct grpc_heard *call = grpc_side_start(pair->client, &head);
    grpc_send_text(call, "x");
    grpc_pair_run(pair);
    assert_int_equal(pair->server->heard[0].deadline_ms, pair->now_ms + 250);
    assert_int_equal(osr_grpc_deadline_ms(pair->client->grpc), pair->now_ms + 250);
    grpc_pair_pass(pair, 249);
    assert_int_equal(call->ends, 0);
    grpc_pair_pass(pair, 1);
    assert_ended(call, OSR_GRPC_DEADLINE_EXCEEDED);
    assert_ended(&pair->server->heard[0], OSR_GRPC_DEADLINE_EXCEEDED);
    assert_true(pair->server->heard[0].end.is_local);
}

/* A server whose clock is ahead says DEADLINE_EXCEEDED itself. */
static void server_tells_that_the_deadline_is_past(void **state)
{
    struct grpc_pair *pair = *state;
    pair->server->service = (struct grpc_service){0};
    struct osr_grpc_head head = grpc_head("/a/b");
    head.deadline_ms = pair->now_ms + 250;
    struct grpc_heard *call = grpc_side_start(pair->client, &head);
    grpc_pair_run(pair);
    osr_grpc_tick(pair->server->grpc, pair->now_ms + 251);
    assert_ended(&pair->server->heard[0], OSR_GRPC_DEADLINE_EXCEEDED);
    grpc_pair_run(pair);
    assert_ended(call, OSR_GRPC_DEADLINE_EXCEEDED);
    assert_false(call->end.is_local);
}

/* Of many calls each ends at its own time, in whatever order they began. */
static void deadlines_come_in_their_order(void **state)
{
    struct grpc_pair *pair = *state;
    enum { CALLS = 50 };
    pair->server->service = (struct grpc_service){0};
    for (uint64_t i = 0; i < CALLS; i++) {
        struct osr_grpc_head head = grpc_head("/a/b");
        head.deadline_ms = pair->now_ms + 1 + (i * 7) % CALLS;
        assert_non_null(grpc_side_start(pair->client, &head));
    }
    grpc_pair_run(pair);
    for (size_t passed = 1; passed <= CALLS; passed++) {
        grpc_pair_pass(pair, 1);
        assert_int_equal(pair->client->ends, passed);
        assert_int_equal(pair->server->ends, passed);
    }
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

/* A server cancels a stream that its reader has stopped: RST_STREAM, as no status can pass. */
static void server_cancels_a_stopped_stream(void **state)
{
    struct grpc_pair *pair = *state;
    pair->server->service = grpc_streaming;
    struct grpc_heard *call = grpc_side_call(pair->client);
    osr_grpc_hold(call->call, true);
    osr_grpc_half_close(call->call);
    grpc_pair_run(pair);
    assert_true(osr_grpc_is_full(pair->server->heard[0].call));
    osr_grpc_cancel(pair->server->heard[0].call, OSR_GRPC_ABORTED, "no more");
    grpc_pair_run(pair);
    assert_ended(&pair->server->heard[0], OSR_GRPC_ABORTED);
    assert_ended(call, OSR_GRPC_CANCELLED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, grpc_pair_set_up, grpc_pair_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(deadline_ends_both_sides),
        TEST(server_tells_that_the_deadline_is_past),
        TEST(deadlines_come_in_their_order),
        cmocka_unit_test(cancelled_at_any_point),
        cmocka_unit_test(server_cancels_from_within),
        TEST(server_cancels_a_stopped_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
