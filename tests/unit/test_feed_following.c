/* The feed core as follower of honest peers: what it takes, acknowledges and asks for, also with a
 * disk that is full. */
#include "lib/feed_puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/limits.h"

/* A batch is acknowledged after it is stored and verified, whichever comes last. */
static void feed_acknowledges_after_store_and_verification(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_joined(rig, 2, 5, 1);
    rig_forget(rig);
    rig->hold_stores = true;
    puppet_send_next(rig, &puppet, 1);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_ACK);
    rig_release_store(rig, 0);
    assert_acked(rig, 5, 1);
    assert_commit(rig, 0, puppet.id, 1, 1);
    rig->hold_stores = false;
    rig->hold_verifies = true;
    rig_forget(rig);
    puppet_send_next(rig, &puppet, 1);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_ACK);
    rig_release_verify(rig, 0);
    assert_acked(rig, 5, 2);
}

/* A batch that comes again is stored once, and acknowledged again. */
static void feed_drops_a_replayed_batch(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_joined(rig, 2, 5, 2);
    struct sent *sent = puppet_next_batch(&puppet, 2, 10);
    puppet_send_batch(rig, 5, sent);
    rig_forget(rig);
    puppet_send_batch(rig, 5, sent);
    assert_none(rig, OSR_FEED_OUT_STORE);
    assert_acked(rig, 5, 2);
    assert_open(rig);
    free(sent);
}

/* Of a batch that overlaps what is held only the new part is stored. */
static void feed_takes_the_new_part_of_a_batch(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_joined(rig, 2, 5, 4);
    puppet_send_next(rig, &puppet, 2);
    rig_forget(rig);
    struct puppet again = puppet_make(2, 5);
    struct sent *sent = puppet_next_batch(&again, 4, 10);
    puppet_send_batch(rig, 5, sent);
    assert_commit(rig, 0, puppet.id, 3, 4);
    free(sent);
}

/* Where entries are missing nothing is stored, and what is missing is asked for. */
static void feed_asks_again_at_a_gap(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_joined(rig, 2, 5, 9);
    puppet_send_next(rig, &puppet, 2);
    free(puppet_next_batch(&puppet, 2, 10)); /* lost */
    rig_forget(rig);
    puppet_send_next(rig, &puppet, 2);
    assert_none(rig, OSR_FEED_OUT_STORE);
    rig_advance(rig, RETRY_MS);
    assert_fetched(rig, 5, 3);
    assert_open(rig);
}

/* A FETCH that was lost is sent again while the peer is known to hold more. */
static void feed_asks_again_when_nothing_comes(void **state)
{
    struct rig *rig = *state;
    puppet_joined(rig, 2, 5, 3);
    assert_fetched(rig, 5, 1);
    rig_forget(rig);
    rig_advance(rig, RETRY_MS + 1);
    assert_fetched(rig, 5, 1);
}

/* When the provider delivers nothing, another that holds more is asked; the first is told. */
static void feed_changes_a_provider_that_delivers_nothing(void **state)
{
    struct rig *rig = *state;
    struct puppet origin = puppet_joined(rig, 2, 5, 3);
    struct puppet relay = puppet_joined(rig, 3, 6, 0);
    puppet_ack_of(rig, &relay, origin.id, "kb", 3);
    rig_forget(rig);
    rig_advance(rig, RETRY_MS + 1);
    assert_fetched(rig, 6, 1);
    assert_fetched(rig, 5, 0);
}

/* What a relay sends is taken like what the origin sends. */
static void feed_follows_through_a_relay(void **state)
{
    struct rig *rig = *state;
    struct puppet origin = puppet_make(2, 5);
    struct puppet relay = puppet_joined(rig, 3, 6, 0);
    puppet_ack_of(rig, &relay, origin.id, "kb", 2);
    assert_fetched(rig, 6, 1);
    origin.link = relay.link;
    puppet_send_next(rig, &origin, 2);
    assert_commit(rig, 0, origin.id, 1, 2);
}

/* With the disk full a follower goes back to what is durable, and asks for the rest later. */
static void feed_asks_from_the_durable_cursor_after_disk_full(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_joined(rig, 2, 5, 4);
    puppet_send_next(rig, &puppet, 2);
    rig->store_code = OSR_DISK_FULL;
    rig_forget(rig);
    puppet_send_next(rig, &puppet, 2);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_FETCH);
    rig->store_code = OSR_OK;
    rig_advance(rig, RETRY_MS);
    assert_fetched(rig, 5, 3);
}

/* A batch that is in the log already stays there when the one behind it finds no room. */
static void feed_keeps_what_was_stored_before_disk_full(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_joined(rig, 2, 5, 4);
    rig->hold_verifies = true;
    puppet_send_next(rig, &puppet, 2);
    rig->store_code = OSR_DISK_FULL;
    puppet_send_next(rig, &puppet, 2);
    rig->store_code = OSR_OK;
    size_t verifies = rig_count(rig, OSR_FEED_OUT_VERIFY);
    for (size_t i = 0; i < verifies; i++) {
        rig_release_verify(rig, i);
    }
    assert_commit(rig, 0, puppet.id, 1, 2);
    rig_forget(rig);
    rig->hold_verifies = false;
    rig_advance(rig, RETRY_MS);
    assert_fetched(rig, 5, 3);
}

/* An entry from far in the future is kept, but moves our clock by five minutes at most. */
static void feed_clock_is_not_dragged_into_the_future(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_joined(rig, 2, 5, 1);
    struct sent *sent = sent_make(&puppet.key, "kb", 1, 1, 10, TIME_MS + 86400000, puppet.chain);
    puppet_send_batch(rig, 5, sent);
    assert_commit(rig, 0, puppet.id, 1, 1);
    rig_write_one(rig, 1);
    const struct seen *written = rig_find(rig, OSR_FEED_OUT_WRITTEN, 0);
    assert_true(written->output.written.first_time.ms <= TIME_MS + OSR_CLOCK_DRIFT_MAX_MS);
    assert_true(written->output.written.first_time.ms > TIME_MS);
    free(sent);
}

/* Batches whose signatures are not verified yet are bounded in number, so that a restart can look
 * behind all of them; what is over is asked for again. */
static void feed_bounds_unverified_batches(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_joined(rig, 2, 5, OSR_FEED_UNVERIFIED_MAX + 1);
    rig->hold_verifies = true;
    for (int i = 0; i <= OSR_FEED_UNVERIFIED_MAX; i++) {
        puppet_send_next(rig, &puppet, 1);
    }
    assert_int_equal(rig_count(rig, OSR_FEED_OUT_STORE), OSR_FEED_UNVERIFIED_MAX);
    assert_open(rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(feed_acknowledges_after_store_and_verification),
        TEST(feed_drops_a_replayed_batch),
        TEST(feed_takes_the_new_part_of_a_batch),
        TEST(feed_asks_again_at_a_gap),
        TEST(feed_asks_again_when_nothing_comes),
        TEST(feed_changes_a_provider_that_delivers_nothing),
        TEST(feed_follows_through_a_relay),
        TEST(feed_asks_from_the_durable_cursor_after_disk_full),
        TEST(feed_keeps_what_was_stored_before_disk_full),
        TEST(feed_clock_is_not_dragged_into_the_future),
        TEST(feed_bounds_unverified_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
