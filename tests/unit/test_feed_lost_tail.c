/* The feed core whose own feed is shorter than a peer says: it waits for what is missing before it
 * writes on, but not for long where that is not shown. In each stream alike. */
#include "lib/feed_puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static enum osr_feed_stream stream_in_hand;

static struct rig *make_rig(void)
{
    struct rig *rig = rig_create();
    rig->stream = stream_in_hand;
    rig->log_stream = stream_in_hand;
    return rig;
}

static int choose_kb(void **state)
{
    (void)state;
    stream_in_hand = OSR_STREAM_KB;
    return 0;
}

static int choose_trust(void **state)
{
    (void)state;
    stream_in_hand = OSR_STREAM_TRUST;
    return 0;
}

static int set_up_kb(void **state)
{
    choose_kb(state);
    *state = make_rig();
    return 0;
}

static int set_up_trust(void **state)
{
    choose_trust(state);
    *state = make_rig();
    return 0;
}

static struct puppet make_puppet(uint8_t number, uint32_t link)
{
    struct puppet puppet = puppet_make(number, link);
    puppet.stream = osr_feed_stream_name(stream_in_hand);
    return puppet;
}

/* An instance whose folder was restored from a backup takes back from a peer what it had written
 * since, before it writes on: no sequence is used twice. */
static void feed_fetches_its_own_lost_tail_before_it_writes(void **state)
{
    struct rig *rig = *state;
    struct puppet self = make_puppet(OWN_NUMBER, 5);
    struct restored_batches batches = restored_two(&self);
    struct puppet peer = make_puppet(3, 6);
    puppet_join_claiming(rig, &peer, 4);
    assert_fetched(rig, 6, 1);
    rig_write_one(rig, 1);
    assert_none(rig, OSR_FEED_OUT_STORE);
    for (int i = 0; i < 2; i++) { /* slowly, but surely */
        rig_advance(rig, SILENCE_MS / 2);
        puppet_ack(rig, &peer, 4);
        assert_none(rig, OSR_FEED_OUT_WRITTEN);
        puppet_send_batch(rig, 6, i == 0 ? batches.older : batches.newer);
        rig_advance(rig, SILENCE_MS / 2 - 1);
        puppet_ack(rig, &peer, 4);
    }
    assert_written(rig, 0, OSR_OK, 5);
    restored_done(&batches);
}

/* Writes one entry, and says how long it waits to be stored while the peer is linked. */
static uint64_t time_a_write(struct rig *rig, const struct puppet *peer)
{
    const uint64_t pace_ms = HEARTBEAT_MS / 4;
    uint64_t begin_ms = rig->now_ms;
    rig_forget(rig);
    rig_write_one(rig, 1);
    while (rig_find(rig, OSR_FEED_OUT_STORE, 0) == NULL) {
        assert_true(rig->now_ms < begin_ms + 10 * SILENCE_MS);
        rig_advance(rig, pace_ms);
        puppet_ack(rig, peer, 0); /* it is not silent */
    }
    return rig->now_ms - begin_ms;
}

/* Writes wait once for a peer that claims more of our own feed than there is and does not show
 * it, not again whenever it links anew. */
static void feed_waits_once_for_a_claim_that_is_not_shown(void **state)
{
    struct rig *rig = *state;
    struct puppet liar = make_puppet(2, 5);
    puppet_join_claiming(rig, &liar, 1000);
    assert_fetched(rig, 5, 1);
    assert_in_range(time_a_write(rig, &liar), SILENCE_MS, SILENCE_MS + HEARTBEAT_MS);
    for (int i = 0; i < 3; i++) {
        rig_link_down(rig, liar.link);
        liar.link++;
        rig_forget(rig);
        puppet_join_claiming(rig, &liar, 1000 - (uint64_t)i);
        assert_not_sent(rig, liar.link, OSR__FRAME__BODY_FETCH);
        assert_int_equal(time_a_write(rig, &liar), 0);
    }
}

/* Who links anew before its time is up gets no more time by that. */
static void feed_counts_the_wait_for_a_claim_across_links(void **state)
{
    struct rig *rig = *state;
    struct puppet liar = make_puppet(2, 5);
    for (int i = 0; i < 2; i++) {
        puppet_join_claiming(rig, &liar, 1000);
        rig_advance(rig, SILENCE_MS / 2 - 1);
        assert_false(rig_has_said(rig, "going on without"));
        rig_link_down(rig, liar.link);
        rig_advance(rig, SILENCE_MS); /* does not count: nothing waits for who is gone */
        liar.link++;
    }
    puppet_join_claiming(rig, &liar, 1000);
    assert_true(time_a_write(rig, &liar) < HEARTBEAT_MS);
    assert_true(rig_has_said(rig, "going on without"));
}

/* A larger claim than the one that was not shown may be true: it is waited for again, and what is
 * shown of it is taken. */
static void feed_takes_a_larger_claim_after_one_that_was_not_shown(void **state)
{
    struct rig *rig = *state;
    struct puppet self = make_puppet(OWN_NUMBER, 5);
    struct restored_batches batches = restored_two(&self);
    struct puppet peer = make_puppet(3, 6);
    puppet_join_claiming(rig, &peer, 2);
    rig_advance(rig, SILENCE_MS / 2);
    puppet_ack(rig, &peer, 2);
    rig_advance(rig, SILENCE_MS / 2);
    assert_true(rig_has_said(rig, "going on without"));
    rig_forget(rig);
    puppet_ack(rig, &peer, 4);
    assert_fetched(rig, 6, 1);
    rig_write_one(rig, 1);
    assert_none(rig, OSR_FEED_OUT_STORE);
    puppet_send_batch(rig, 6, batches.older);
    puppet_send_batch(rig, 6, batches.newer);
    assert_written(rig, 0, OSR_OK, 5);
    restored_done(&batches);
}

/* Who claims a little more each time is waited for less each time: in all less than twice. */
static void feed_bounds_the_wait_for_growing_claims(void **state)
{
    struct rig *rig = *state;
    struct puppet liar = make_puppet(2, 5);
    uint64_t waited_ms = 0;
    for (uint64_t i = 0; i < 30; i++, liar.link++) {
        puppet_join_claiming(rig, &liar, 1000 + i);
        uint64_t pace_ms = HEARTBEAT_MS / 4; /* how exactly a wait is measured */
        uint64_t ms = time_a_write(rig, &liar);
        waited_ms += ms > pace_ms ? ms - pace_ms : 0;
        rig_link_down(rig, liar.link);
    }
    assert_in_range(waited_ms, SILENCE_MS, 2 * SILENCE_MS);
}

/* While entries of ours that were lost come from one peer, others that could show them too do not
 * lose their claims: they are asked when that one goes. */
static void feed_keeps_other_claims_while_its_lost_tail_comes(void **state)
{
    (void)state;
    for (uint32_t leaving = 6; leaving <= 7; leaving++) {
        struct rig *rig = make_rig();
        struct puppet self = make_puppet(OWN_NUMBER, 5);
        struct restored_batches batches = restored_two(&self);
        const struct puppet peers[] = {make_puppet(3, 6), make_puppet(4, 7)};
        puppet_join_claiming(rig, &peers[0], 4);
        puppet_join_claiming(rig, &peers[1], 4);
        rig_write_one(rig, 1);
        for (int i = 0; i < 2; i++) {
            rig_advance(rig, SILENCE_MS * 2 / 3);
            puppet_ack(rig, &peers[0], 4);
            puppet_ack(rig, &peers[1], 4);
            puppet_send_batch(rig, leaving, batches.older);
        }
        rig_link_down(rig, leaving);
        rig_forget(rig);
        rig_advance(rig, (uint64_t)RETRY_MS << 4);
        uint32_t staying = 6 + 7 - leaving;
        assert_fetched(rig, staying, 3);
        assert_none(rig, OSR_FEED_OUT_STORE);
        puppet_send_batch(rig, staying, batches.newer);
        assert_written(rig, 0, OSR_OK, 5);
        restored_done(&batches);
        rig_destroy(rig);
    }
}

/* A full disk here is not the fault of a peer that shows what it claims: no time runs. */
static void feed_keeps_claims_while_its_disk_is_full(void **state)
{
    struct rig *rig = *state;
    struct puppet self = make_puppet(OWN_NUMBER, 5);
    struct restored_batches batches = restored_two(&self);
    struct puppet peer = make_puppet(3, 6);
    puppet_join_claiming(rig, &peer, 4);
    rig->store_code = OSR_DISK_FULL;
    for (int i = 0; i < 4; i++) {
        puppet_send_batch(rig, 6, batches.older);
        rig_advance(rig, SILENCE_MS / 2);
    }
    rig->store_code = OSR_OK;
    rig_write_one(rig, 1);
    puppet_send_batch(rig, 6, batches.older);
    puppet_send_batch(rig, 6, batches.newer);
    assert_written(rig, 0, OSR_OK, 5);
    restored_done(&batches);
}

/* A peer that has shown another branch of our own feed need not show it again on each link. */
static void feed_asks_once_for_another_branch_of_its_own(void **state)
{
    struct rig *rig = *state;
    rig_write_one(rig, 1);
    struct puppet self = make_puppet(OWN_NUMBER, 5);
    free(puppet_next_batch(&self, 1, 20)); /* not what the test wrote */
    struct puppet peer = make_puppet(3, 6);
    puppet_join_claiming(rig, &peer, 2);
    assert_fetched(rig, 6, 2);
    struct sent *other = puppet_next_batch(&self, 1, 10);
    puppet_send_batch(rig, 6, other);
    assert_error_sent(rig, 6, OSR_FORKED);
    rig_link_down(rig, 6);
    rig_forget(rig);
    peer.link = 7;
    puppet_join_claiming(rig, &peer, 2);
    assert_not_sent(rig, 7, OSR__FRAME__BODY_FETCH);
    assert_int_equal(time_a_write(rig, &peer), 0);
    free(other);
}

#define TESTS(stream)                                                                              \
    TEST(stream, feed_fetches_its_own_lost_tail_before_it_writes),                                 \
        TEST(stream, feed_waits_once_for_a_claim_that_is_not_shown),                               \
        TEST(stream, feed_counts_the_wait_for_a_claim_across_links),                               \
        TEST(stream, feed_takes_a_larger_claim_after_one_that_was_not_shown),                      \
        TEST(stream, feed_bounds_the_wait_for_growing_claims),                                     \
        {.name = #stream " feed_keeps_other_claims_while_its_lost_tail_comes",                     \
         .test_func = feed_keeps_other_claims_while_its_lost_tail_comes,                           \
         .setup_func = choose_##stream},                                                           \
        TEST(stream, feed_keeps_claims_while_its_disk_is_full),                                    \
        TEST(stream, feed_asks_once_for_another_branch_of_its_own)
#define TEST(stream, test)                                                                         \
    {                                                                                              \
        .name = #stream " " #test, .test_func = test, .setup_func = set_up_##stream,               \
        .teardown_func = rig_tear_down                                                             \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {TESTS(kb), TESTS(trust)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
