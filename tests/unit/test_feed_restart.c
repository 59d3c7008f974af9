/* The feed core after a restart: what it makes of the feeds that the log gives back. */
#include "lib/feed_puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/limits.h"

/* A restored feed is verified, shown once, and asked for from its end. */
static void feed_continues_where_the_log_ends(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_make(2, 5);
    struct restored_batches batches = restored_two(&puppet);
    rig_start(rig, &batches.feed, 1);
    assert_commit(rig, 0, osr_feed_instance(rig->core), 0, 0);
    assert_commit(rig, 1, puppet.id, 0, 4);
    puppet_join(rig, &puppet, 6);
    assert_fetched(rig, 5, 5);
    puppet_send_next(rig, &puppet, 2);
    assert_commit(rig, 2, puppet.id, 5, 6);
    restored_done(&batches);
}

/* A log that is full of feeds, none of which is our own because the key was replaced, is taken as
 * it is, with the own feed beside it. HELLO names as many as it may, the own first; the rest is
 * said once the link is up. Of more feeds than that nobody may tell. */
static void feed_has_room_for_its_own_beside_a_full_log(void **state)
{
    struct rig *rig = *state;
    struct puppet origin = puppet_make(2, 5);
    struct restored_batches batches = restored_two(&origin);
    struct osr_feed_restored *feeds = osr_alloc(OSR_FEEDS_MAX * sizeof(feeds[0]));
    for (size_t i = 0; i < OSR_FEEDS_MAX - 1; i++) {
        feeds[i].id = made_up_feed(i);
    }
    feeds[OSR_FEEDS_MAX - 1] = batches.feed;
    rig_start(rig, feeds, OSR_FEEDS_MAX);
    assert_int_equal(osr_feed_count(rig->core), OSR_FEEDS_MAX + 1);
    assert_int_equal(rig_count(rig, OSR_FEED_OUT_COMMIT), OSR_FEEDS_MAX + 1);
    rig_forget(rig);
    rig_write_one(rig, 1);
    assert_written(rig, 0, OSR_OK, 1);

    puppet_joined(rig, 3, 6, 1);
    const Osr__Hello *hello = rig_find_frame(rig, 6, OSR__FRAME__BODY_HELLO)->hello;
    assert_int_equal(hello->n_held, OSR_FEEDS_MAX);
    assert_string_equal(hello->held[0]->origin, osr_feed_instance(rig->core));
    const Osr__Ack *ack = rig_find_frame(rig, 6, OSR__FRAME__BODY_ACK)->ack;
    assert_string_equal(ack->origin, origin.id);
    assert_int_equal(ack->sequence, 4);
    assert_int_equal(osr_feed_count(rig->core), OSR_FEEDS_MAX + 1);
    assert_open(rig);
    free(feeds);
    restored_done(&batches);
}

/* A foreign tail without a signature is cut off. */
static void feed_cuts_an_unsigned_tail(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_make(2, 5);
    struct restored_batches batches = restored_two(&puppet);
    batches.feed.head_sequence = 2;
    batches.feed.head_chain = batches.older->chain;
    batches.feed.head_signature = batches.older->signature;
    rig_start(rig, &batches.feed, 1);
    const struct seen *truncate = rig_find(rig, OSR_FEED_OUT_TRUNCATE, 0);
    assert_non_null(truncate);
    assert_int_equal(truncate->output.truncate.sequence, 2);
    assert_commit(rig, 1, puppet.id, 0, 2);
    restored_done(&batches);
}

/* A crash may come between a forged batch and its being cut off: what was good before it is kept,
 * for it was acknowledged. */
static void feed_falls_back_to_the_last_good_head(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_make(2, 5);
    struct restored_batches batches = restored_two(&puppet);
    batches.feed.head_signature.bytes[0] ^= 1;
    batches.feed.older_heads = &batches.older_head;
    batches.feed.older_head_count = 1;
    rig_start(rig, &batches.feed, 1);
    assert_int_equal(rig_find(rig, OSR_FEED_OUT_TRUNCATE, 0)->output.truncate.sequence, 2);
    assert_commit(rig, 1, puppet.id, 0, 2);
    restored_done(&batches);
}

/* The own tail is signed again after a crash, and only then offered. */
static void feed_signs_its_own_tail_again(void **state)
{
    struct rig *rig = *state;
    struct puppet self = puppet_make(OWN_NUMBER, 5);
    struct restored_batches batches = restored_two(&self);
    batches.feed.head_sequence = 0;
    rig->hold_signs = true;
    rig_start(rig, &batches.feed, 1);
    assert_none(rig, OSR_FEED_OUT_COMMIT);
    assert_non_null(rig_find(rig, OSR_FEED_OUT_SIGN, 0));
    rig->hold_signs = false;
    rig_write_one(rig, 1);
    assert_none(rig, OSR_FEED_OUT_STORE);
    rig->record_count = 4;
    rig_release_sign(rig, 0);
    assert_commit(rig, 0, self.id, 0, 4);
    assert_commit(rig, 1, self.id, 5, 5);
    const struct seen *store = rig_find(rig, OSR_FEED_OUT_STORE, 0);
    assert_int_equal(store->output.store.head_sequence, 4);
    const struct seen *written = rig_find(rig, OSR_FEED_OUT_WRITTEN, 0);
    struct osr_time last = {TIME_MS, 4};
    assert_true(osr_time_compare(written->output.written.first_time, last) > 0);
    restored_done(&batches);
}

#define RESTART_TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up_stopped, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RESTART_TEST(feed_continues_where_the_log_ends),
        RESTART_TEST(feed_has_room_for_its_own_beside_a_full_log),
        RESTART_TEST(feed_cuts_an_unsigned_tail),
        RESTART_TEST(feed_falls_back_to_the_last_good_head),
        RESTART_TEST(feed_signs_its_own_tail_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
