/* A connection's life: how many calls it carries, how it is drained, kept alive and ended. */
#include "lib/grpc_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A thousand calls at once on one connection; past calls_max the client says BUSY. */
static void thousand_calls_at_once(void **state)
{
    struct grpc_pair *pair = *state;
    grpc_pair_run(pair);
    for (size_t i = 0; i < OSR_GRPC_CALLS_MAX; i++) {
        struct grpc_heard *call = grpc_side_call(pair->client);
        grpc_send_text(call, "x");
    }
    struct osr_grpc_head head = grpc_head("/a/b");
    struct osr_grpc_call *call = NULL;
    struct osr_err err;
    assert_int_equal(osr_grpc_start(pair->client->grpc, &head, NULL, &call, &err), OSR_BUSY);
    grpc_pair_run(pair);
    assert_int_equal(osr_grpc_call_count(pair->server->grpc), OSR_GRPC_CALLS_MAX);
    for (size_t i = 0; i < OSR_GRPC_CALLS_MAX; i++) {
        assert_int_equal(pair->client->heard[i].messages, 1);
        osr_grpc_half_close(pair->client->heard[i].call);
    }
    grpc_pair_run(pair);
    assert_int_equal(pair->client->ends, OSR_GRPC_CALLS_MAX);
    assert_echoes(pair, "again");
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
    struct osr_grpc_head head = grpc_head("/a/b");
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
    struct grpc_pair *pair = *state;
    struct grpc_heard *call = grpc_side_call(pair->client);
    grpc_pair_run(pair);
    osr_grpc_drain(pair->server->grpc, pair->now_ms);
    grpc_pair_run(pair);
    assert_int_equal(pair->client->going_away, 1);
    assert_null(grpc_side_call(pair->client));
    assert_false(osr_grpc_is_over(pair->server->grpc));
    grpc_send_text(call, "last");
    osr_grpc_half_close(call->call);
    grpc_pair_run(pair);
    assert_ended(call, OSR_GRPC_OK);
    assert_true(osr_grpc_is_over(pair->server->grpc));
    assert_true(osr_grpc_is_over(pair->client->grpc));
}

/* A server without a call under way need not wait for a client that may not be listening. */
static void idle_server_drains_at_once(void **state)
{
    struct grpc_pair *pair = *state;
    grpc_pair_run(pair);
    osr_grpc_drain(pair->server->grpc, pair->now_ms);
    grpc_pair_move(pair, pair->server, pair->client);
    assert_true(osr_grpc_is_over(pair->server->grpc));
    assert_int_equal(pair->client->going_away, 1);
    assert_null(grpc_side_call(pair->client));
}

/* A call that does not end while draining is ended when the time is up. */
static void drain_has_an_end(void **state)
{
    struct grpc_pair *pair = *state;
    struct grpc_heard *call = grpc_side_call(pair->client);
    grpc_pair_run(pair);
    osr_grpc_drain(pair->server->grpc, pair->now_ms);
    grpc_pair_pass(pair, OSR_GRPC_DRAIN_MS - 1);
    assert_int_equal(call->ends, 0);
    pair->now_ms += 1;
    osr_grpc_tick(pair->server->grpc, pair->now_ms);
    assert_ended(&pair->server->heard[0], OSR_GRPC_UNAVAILABLE);
    grpc_pair_move(pair, pair->server, pair->client);
    assert_true(osr_grpc_is_over(pair->server->grpc));
    (void)call;
}

/* A client that drains begins no call, and is over after the last. */
static void client_drains(void **state)
{
    struct grpc_pair *pair = *state;
    struct grpc_heard *call = grpc_side_call(pair->client);
    grpc_pair_run(pair);
    osr_grpc_drain(pair->client->grpc, pair->now_ms);
    assert_null(grpc_side_call(pair->client));
    osr_grpc_half_close(call->call);
    grpc_pair_run(pair);
    assert_ended(call, OSR_GRPC_OK);
    assert_true(osr_grpc_is_over(pair->client->grpc));
    assert_true(osr_grpc_is_over(pair->server->grpc));
}

/* Silence: the server asks with PING, a living client answers and stays. */
static void keepalive_keeps_the_living(void **state)
{
    struct grpc_pair *pair = *state;
    assert_echoes(pair, "x");
    for (int i = 0; i < 200; i++) {
        assert_true(osr_grpc_deadline_ms(pair->server->grpc) <=
                    pair->now_ms + OSR_GRPC_KEEPALIVE_MS);
        grpc_pair_pass(pair, OSR_GRPC_KEEPALIVE_MS);
    }
    assert_echoes(pair, "y");
}

/* Whoever does not answer is let go, with GOAWAY, and its calls end. */
static void keepalive_ends_the_dead(void **state)
{
    struct grpc_pair *pair = *state;
    struct grpc_heard *call = grpc_side_call(pair->client);
    grpc_pair_run(pair);
    osr_grpc_tick(pair->server->grpc, pair->now_ms + OSR_GRPC_KEEPALIVE_MS);
    struct osr_buffer lost = {0};
    assert_true(osr_grpc_produce(pair->server->grpc, &lost, 1 << 20));
    osr_grpc_tick(pair->server->grpc,
                  pair->now_ms + OSR_GRPC_KEEPALIVE_MS + OSR_GRPC_KEEPALIVE_WAIT_MS);
    assert_ended(&pair->server->heard[0], OSR_GRPC_UNAVAILABLE);
    grpc_pair_move(pair, pair->server, pair->client);
    assert_true(osr_grpc_is_over(pair->server->grpc));
    assert_int_equal(pair->client->going_away, 1);
    osr_buffer_done(&lost);
    (void)call;
}

/* A client asks only while calls are under way, and not sooner than foreign servers allow. */
static void client_keepalive_needs_calls(void **state)
{
    struct grpc_pair *pair = *state;
    assert_echoes(pair, "x");
    assert_int_equal(osr_grpc_deadline_ms(pair->client->grpc), UINT64_MAX);
    grpc_side_call(pair->client);
    grpc_pair_run(pair);
    assert_int_equal(osr_grpc_deadline_ms(pair->client->grpc),
                     pair->now_ms + OSR_GRPC_CLIENT_KEEPALIVE_MS);
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
    struct grpc_pair *pair = *state;
    struct grpc_heard *sent = grpc_side_call(pair->client);
    grpc_pair_run(pair);
    osr_grpc_shut(pair->server->grpc, OSR_GRPC_RESOURCE_EXHAUSTED, "too many connections");
    grpc_pair_move(pair, pair->server, pair->client);
    assert_ended(&pair->server->heard[0], OSR_GRPC_UNAVAILABLE);
    assert_true(osr_grpc_is_over(pair->server->grpc));
    assert_int_equal(osr_grpc_receive(pair->server->grpc, osr_slice("x", 1), 1, NULL),
                     OSR_UNAVAILABLE);
    assert_int_equal(sent->ends, 0); /* until its owner sees the connection's end */
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, grpc_pair_set_up, grpc_pair_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(thousand_calls_at_once),
        cmocka_unit_test(calls_wait_for_the_servers_limit),
        TEST(drain_lets_calls_end),
        TEST(idle_server_drains_at_once),
        TEST(drain_has_an_end),
        TEST(client_drains),
        TEST(keepalive_keeps_the_living),
        TEST(keepalive_ends_the_dead),
        TEST(client_keepalive_needs_calls),
        cmocka_unit_test(half_open_preface_is_let_go),
        TEST(shut_ends_all),
        cmocka_unit_test(destroy_ends_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
