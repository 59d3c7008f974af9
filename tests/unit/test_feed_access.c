/* The feed core and leave: whose feeds are taken, who is given them, and proofs that are tied to
 * their channel. */
#include "lib/feed_puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LONG_MS = 10 * RETRY_MS }; /* whatever is to be tried again has been */

/* ---- leading ---- */

/* A leader that has no leave is not asked, whatever it says it holds; its link stays. */
static void feed_does_not_ask_a_leader_without_leave(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_make(2, 5);
    rig_bar_leader(rig, puppet.id);
    puppet_join(rig, &puppet, 7);
    puppet_ack_of(rig, &puppet, puppet.id, "kb", 9);
    rig_advance(rig, LONG_MS);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_FETCH);
    assert_int_equal(osr_feed_count(rig->core), 1); /* the own one: it is not even known */
    assert_open(rig);
}

/* What a leader without leave sends is dropped: neither stored nor verified; the link stays. */
static void feed_drops_entries_of_a_leader_without_leave(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_make(2, 5);
    rig_bar_leader(rig, puppet.id);
    puppet_join(rig, &puppet, 0);
    rig_forget(rig); /* its proof was verified */
    puppet_send_next(rig, &puppet, 2);
    assert_none(rig, OSR_FEED_OUT_STORE);
    assert_none(rig, OSR_FEED_OUT_VERIFY);
    assert_none(rig, OSR_FEED_OUT_COMMIT);
    assert_open(rig);
    assert_true(rig_has_said(rig, "may not write"));
}

/* A relay may not have heard of it yet: it is asked for no more of that feed, is not accused, and
 * its own feed goes on. */
static void feed_keeps_the_relay_of_a_leader_without_leave(void **state)
{
    struct rig *rig = *state;
    struct puppet relay = puppet_joined(rig, 3, 6, 0);
    struct puppet leader = puppet_make(2, 6); /* comes over the relay's link */
    puppet_ack_of(rig, &relay, leader.id, "kb", 4);
    puppet_send_next(rig, &leader, 2);
    assert_commit(rig, 0, leader.id, 1, 2);
    rig_bar_leader(rig, leader.id);
    assert_fetched(rig, 6, 0); /* no more, please */
    rig_forget(rig);

    puppet_send_next(rig, &leader, 2); /* was on its way */
    assert_none(rig, OSR_FEED_OUT_STORE);
    puppet_send_next(rig, &relay, 1);
    assert_commit(rig, 0, relay.id, 1, 1);
    assert_open(rig);
}

/* Who sends entries unasked over and over is not answered each time. */
static void feed_says_stop_once_in_a_while(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_joined(rig, 2, 5, 0);
    puppet_send_next(rig, &puppet, 1);
    rig_bar_leader(rig, puppet.id);
    rig_forget(rig);
    for (int i = 0; i < 20; i++) {
        puppet_send_next(rig, &puppet, 1);
    }
    assert_in_range(rig_count(rig, OSR_FEED_OUT_SEND), 0, 1);
    assert_open(rig);
}

/* Leave that is withdrawn in the middle and given again loses nothing: what was committed stays,
 * and the feed goes on where it stood. */
static void feed_goes_on_when_a_leader_has_leave_again(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_joined(rig, 2, 5, 4);
    struct sent *lost;
    puppet_send_next(rig, &puppet, 2);
    assert_commit(rig, 0, puppet.id, 1, 2);
    rig_bar_leader(rig, puppet.id);
    rig_forget(rig);
    lost = puppet_next_batch(&puppet, 2, 10);
    puppet_send_batch(rig, 5, lost);
    rig_advance(rig, LONG_MS);
    assert_none(rig, OSR_FEED_OUT_STORE);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_FETCH);

    rig_bar_leader(rig, NULL);
    assert_fetched(rig, 5, 3);
    puppet_send_batch(rig, 5, lost);
    assert_commit(rig, 0, puppet.id, 3, 4);
    assert_acked(rig, 5, 4);
    free(lost);
}

/* A batch that was taken while its leader had leave is finished after that has gone. */
static void feed_finishes_what_was_taken_with_leave(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_joined(rig, 2, 5, 0);
    rig->hold_stores = true;
    puppet_send_next(rig, &puppet, 2);
    rig_bar_leader(rig, puppet.id);
    assert_none(rig, OSR_FEED_OUT_COMMIT);
    rig_release_store(rig, 0);
    assert_commit(rig, 0, puppet.id, 1, 2);
}

/* What is held of a leader that has lost its leave is still given to those who may follow. */
static void feed_gives_on_what_was_written_with_leave(void **state)
{
    struct rig *rig = *state;
    struct puppet leader = puppet_make(2, 5);
    memcpy(rig->log_feed, leader.id, sizeof(rig->log_feed));
    puppet_join(rig, &leader, 0);
    puppet_send_next(rig, &leader, 2);
    rig_bar_leader(rig, leader.id);
    struct puppet follower = puppet_joined(rig, 3, 6, 0);
    puppet_fetch_of(rig, &follower, leader.id, 1);
    const Osr__Frame *frame = rig_find_frame(rig, 6, OSR__FRAME__BODY_UPDATE);
    assert_non_null(frame);
    assert_int_equal(frame->update->n_entries, 2);
}

/* The own feed needs nobody's leave. */
static void feed_always_leads_its_own(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_following(rig, 2, 5);
    rig_bar_leader(rig, osr_feed_instance(rig->core));
    rig_write_one(rig, 1);
    assert_written(rig, 0, OSR_OK, 1);
    assert_sent_from(rig, puppet.link, 1);
}

/* ---- following ---- */

/* A follower without leave is told so, and given nothing; the link stays. */
static void feed_gives_nothing_to_a_follower_without_leave(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_make(2, 5);
    rig_bar_follower(rig, puppet.id);
    rig_write_one(rig, 1);
    puppet_join(rig, &puppet, 0);
    puppet_fetch(rig, &puppet, 1);
    assert_error_sent(rig, 5, OSR_PERMISSION_DENIED);
    assert_none(rig, OSR_FEED_OUT_READ);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_UPDATE);
    rig_write_one(rig, 2);
    rig_advance(rig, LONG_MS);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_UPDATE);
    assert_open(rig);
}

/* It may still say that it wants no more: that asks for nothing. */
static void feed_takes_a_stop_from_a_follower_without_leave(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_make(2, 5);
    rig_bar_follower(rig, puppet.id);
    puppet_join(rig, &puppet, 0);
    puppet_fetch(rig, &puppet, 0);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_ERROR);
    assert_open(rig);
}

/* A follower whose leave goes in the middle is told once and sent no more, not even what is being
 * read; with leave again it gets all from where it stood. */
static void feed_stops_and_starts_with_a_followers_leave(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_following(rig, 2, 5);
    struct puppet other = puppet_following(rig, 3, 6);
    rig_write_one(rig, 1);
    puppet_ack(rig, &puppet, 1);
    rig->hold_reads = true;
    rig_write_one(rig, 2);
    const struct osr_feed_output reads[] = {rig_find(rig, OSR_FEED_OUT_READ, 2)->output,
                                            rig_find(rig, OSR_FEED_OUT_READ, 3)->output};
    rig_bar_follower(rig, puppet.id);
    assert_error_sent(rig, 5, OSR_PERMISSION_DENIED);
    rig->hold_reads = false;
    rig_forget(rig);
    rig_answer_read(rig, &reads[0]); /* were under way */
    rig_answer_read(rig, &reads[1]);
    puppet_ack(rig, &other, 2);
    rig_write_one(rig, 3);
    rig_advance(rig, LONG_MS);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_UPDATE);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_ERROR);
    assert_sent_from(rig, 6, 3);

    rig_bar_follower(rig, NULL);
    rig_forget(rig);
    puppet_fetch(rig, &puppet, 2);
    assert_sent_from(rig, 5, 2);
    assert_open(rig);
}

/* Writes that wait for followers do not count one that is given nothing. */
static void feed_waits_for_followers_with_leave(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_following(rig, 2, 5);
    rig_bar_follower(rig, puppet.id);
    rig_write(rig, 1, 1, 10, 1);
    rig_flush(rig);
    assert_none(rig, OSR_FEED_OUT_WRITTEN);
    rig_advance(rig, 2000);
    assert_written(rig, 0, OSR_TIMEOUT, 1);
}

/* ---- the binding ---- */

/* A proof is made for one channel: where both ends of it see the same binding it holds. */
static void feed_takes_a_proof_for_this_channel(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_make(2, 5);
    rig->binding = osr_slice_text("this very channel");
    puppet.binding = osr_slice_text("this very channel");
    puppet_join(rig, &puppet, 0);
    assert_int_equal(rig_count(rig, OSR_FEED_OUT_IDENTIFIED), 1);
    assert_open(rig);
}

/* One that was made for another, as by a relay in the middle of two channels, is refused; so is one
 * made for a plaintext link. */
static void feed_refuses_a_proof_for_another_channel(void **state)
{
    (void)state;
    const struct osr_slice bindings[] = {osr_slice_text("another channel"), osr_slice(NULL, 0)};
    for (size_t i = 0; i < sizeof(bindings) / sizeof(bindings[0]); i++) {
        struct rig *rig = rig_create();
        struct puppet puppet = puppet_make(2, 5);
        rig->binding = osr_slice_text("this very channel");
        puppet.binding = bindings[i];
        puppet_join(rig, &puppet, 0);
        assert_none(rig, OSR_FEED_OUT_IDENTIFIED);
        assert_closed(rig, 5, OSR_UNAUTHENTICATED);
        rig_destroy(rig);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(feed_does_not_ask_a_leader_without_leave),
        TEST(feed_drops_entries_of_a_leader_without_leave),
        TEST(feed_keeps_the_relay_of_a_leader_without_leave),
        TEST(feed_says_stop_once_in_a_while),
        TEST(feed_goes_on_when_a_leader_has_leave_again),
        TEST(feed_finishes_what_was_taken_with_leave),
        TEST(feed_gives_on_what_was_written_with_leave),
        TEST(feed_always_leads_its_own),
        TEST(feed_gives_nothing_to_a_follower_without_leave),
        TEST(feed_takes_a_stop_from_a_follower_without_leave),
        TEST(feed_stops_and_starts_with_a_followers_leave),
        TEST(feed_waits_for_followers_with_leave),
        TEST(feed_takes_a_proof_for_this_channel),
        cmocka_unit_test(feed_refuses_a_proof_for_another_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
