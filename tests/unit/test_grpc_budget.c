/* What peers may make a server hold: calls count as well as their messages, and who asks for
 * little is not refused because of those who ask for much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/http2_peer.h"

enum {
    OWN_CALLS = OSR_GRPC_OWN_BYTES / OSR_GRPC_CALL_BYTES,
    BUDGET_CALLS = 100,
};

/* So many calls that nobody ends. */
static void open_calls(struct grpc_pair *pair, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        grpc_send_text(grpc_side_call(pair->client), "x");
    }
    grpc_pair_run(pair);
}

static struct grpc_pair pair_with(struct osr_grpc_budget *budget)
{
    struct osr_grpc_options options = {.budget = budget};
    struct grpc_pair pair = grpc_pair_create(&options, NULL);
    pair.server->service = (struct grpc_service){0};
    grpc_pair_run(&pair);
    return pair;
}

/* Past the budget calls are refused before anybody has looked at them, and what they held comes
 * back when they end. */
static void calls_share_a_budget(void **state)
{
    (void)state;
    struct osr_grpc_budget budget = {.bytes_max = (size_t)BUDGET_CALLS * OSR_GRPC_CALL_BYTES};
    struct grpc_pair pair = pair_with(&budget);
    open_calls(&pair, 2 * BUDGET_CALLS);
    size_t refused = 0;
    for (size_t i = 0; i < 2 * BUDGET_CALLS; i++) {
        const struct grpc_heard *call = &pair.client->heard[i];
        if (call->ends > 0) {
            assert_int_equal(call->end.code, OSR_GRPC_UNAVAILABLE);
            assert_true(call->end.is_unprocessed);
            refused++;
        }
    }
    assert_in_range(refused, BUDGET_CALLS - 2, BUDGET_CALLS);
    assert_int_equal(pair.server->count, 2 * BUDGET_CALLS - refused);
    for (size_t i = 0; i < pair.server->count; i++) {
        grpc_finish_ok(&pair.server->heard[i]);
    }
    grpc_pair_run(&pair);
    assert_int_equal(budget.bytes, 0);
    open_calls(&pair, 1);
    assert_int_equal(pair.client->heard[2 * BUDGET_CALLS].ends, 0);
    grpc_pair_destroy(&pair);
    osr_grpc_budget_done(&budget);
}

/* Where others have taken all of it, a connection still has what is its own. */
static void connection_has_calls_of_its_own(void **state)
{
    (void)state;
    struct osr_grpc_budget budget = {.bytes_max = (size_t)BUDGET_CALLS * OSR_GRPC_CALL_BYTES};
    struct grpc_pair greedy = pair_with(&budget);
    struct grpc_pair modest = pair_with(&budget);
    open_calls(&greedy, 2 * BUDGET_CALLS);
    open_calls(&modest, 2 * OWN_CALLS);
    assert_in_range(modest.server->count, OWN_CALLS, OWN_CALLS + 1);
    grpc_pair_destroy(&greedy);
    grpc_pair_destroy(&modest);
    osr_grpc_budget_done(&budget);
    assert_int_equal(budget.bytes, 0);
}

static uint32_t stream_of(uint32_t number)
{
    return 2 * number + 1;
}

/* Calls that are refused, however many, do not end their connection: who sent them may try again,
 * and those under way go on. */
static void refused_calls_are_no_resets(void **state)
{
    (void)state;
    enum { REFUSED_STREAM = 0x7, CALLS = OSR_GRPC_RESETS_BURST + 200 };
    struct osr_grpc_budget budget = {.bytes_max = 0};
    struct osr_grpc_options options = {.is_server = true, .budget = &budget};
    struct http2_peer peer = {.side = grpc_side_create(&options), .now_ms = GRPC_SIDE_NOW_MS};
    http2_peer_greet(&peer);
    for (uint32_t i = 0; i < CALLS; i++) {
        http2_add_headers(&peer.frames, HTTP2_END_HEADERS, stream_of(i), http2_grpc_request);
        http2_peer_give(&peer);
    }
    assert_int_equal(http2_peer_goaway(&peer), HTTP2_NO_ERROR_SEEN);
    assert_int_equal(peer.side->count, OWN_CALLS + 1);
    assert_int_equal(http2_peer_count(&peer, HTTP2_RST_STREAM), CALLS - OWN_CALLS - 1);
    assert_int_equal(http2_peer_reset(&peer, stream_of(CALLS - 1)), REFUSED_STREAM);
    grpc_finish_ok(&peer.side->heard[0]);
    http2_peer_give(&peer);
    assert_true(http2_peer_find(&peer, HTTP2_HEADERS, stream_of(0), &(struct http2_frame){0}));
    http2_peer_destroy(&peer);
    osr_grpc_budget_done(&budget);
}

/* What is queued is told, by the connection and by each call. */
static void queue_has_its_own_count(void **state)
{
    (void)state;
    enum { MESSAGE_BYTES = 1 << 20 };
    struct osr_grpc_budget budget = {.bytes_max = 1 << 20};
    struct grpc_pair pair = pair_with(&budget);
    open_calls(&pair, 2);
    size_t before = budget.bytes;
    struct osr_grpc_call *call = pair.server->heard[0].call;
    struct osr_buffer *buffer = osr_grpc_message_begin(call);
    memset(osr_buffer_reserve(buffer, MESSAGE_BYTES), 'x', MESSAGE_BYTES);
    buffer->size += MESSAGE_BYTES;
    osr_grpc_message_end(call);
    assert_true(osr_grpc_call_queue_memory(call) >= MESSAGE_BYTES);
    assert_int_equal(osr_grpc_queue_memory(pair.server->grpc), osr_grpc_call_queue_memory(call));
    assert_int_equal(budget.bytes, before); /* not the peer's doing alone */
    grpc_finish_ok(&pair.server->heard[0]);
    grpc_finish_ok(&pair.server->heard[1]);
    grpc_pair_run(&pair);
    assert_int_equal(osr_grpc_queue_memory(pair.server->grpc), 0);
    grpc_pair_destroy(&pair);
    osr_grpc_budget_done(&budget);
}

/* What ended calls leave to later ones is shared: connections that have been busy hold none of it
 * themselves, however many they are. */
static void ended_calls_are_kept_once_for_all(void **state)
{
    (void)state;
    enum { CONNECTIONS = 8, CALLS = 200, POOL_CALLS_MAX = 512 };
    struct osr_grpc_budget budget = {.bytes_max = 64 << 20};
    struct grpc_pair pairs[CONNECTIONS];
    for (size_t i = 0; i < CONNECTIONS; i++) {
        pairs[i] = pair_with(&budget);
        open_calls(&pairs[i], CALLS);
    }
    for (size_t i = 0; i < CONNECTIONS; i++) {
        for (size_t call = 0; call < CALLS; call++) {
            grpc_finish_ok(&pairs[i].server->heard[call]);
        }
        grpc_pair_run(&pairs[i]);
    }
    assert_int_equal(budget.bytes, 0);
    assert_int_equal(budget.pool_count, POOL_CALLS_MAX);
    open_calls(&pairs[0], 1);
    assert_int_equal(budget.pool_count, POOL_CALLS_MAX - 1);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        grpc_pair_destroy(&pairs[i]);
    }
    osr_grpc_budget_done(&budget);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_share_a_budget),
        cmocka_unit_test(connection_has_calls_of_its_own),
        cmocka_unit_test(refused_calls_are_no_resets),
        cmocka_unit_test(queue_has_its_own_count),
        cmocka_unit_test(ended_calls_are_kept_once_for_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
