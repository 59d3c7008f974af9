/* The feed core as leader: what followers are sent, when, and how much of it at a time. */
#include "lib/feed_puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* What a follower asked for is read, sent with the origin's key, and goes on as the feed grows. */
static void feed_sends_what_was_fetched(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_make(2, 5);
    rig_write_one(rig, 1);
    puppet_join(rig, &puppet, 0);
    puppet_fetch(rig, &puppet, 1);
    const Osr__Frame *frame = rig_find_frame(rig, 5, OSR__FRAME__BODY_UPDATE);
    assert_non_null(frame);
    assert_int_equal(frame->update->first_sequence, 1);
    assert_string_equal(frame->update->origin, osr_feed_instance(rig->core));
    assert_memory_equal(frame->update->public_key.data, rig->key.bytes, sizeof(rig->key.bytes));
    puppet_ack(rig, &puppet, 1);
    rig_write_one(rig, 2);
    assert_sent_from(rig, 5, 2);
}

/* What is not acknowledged is sent again from the first entry that is missing. */
static void feed_sends_again_what_is_not_acknowledged(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_following(rig, 2, 5);
    rig_write_one(rig, 1);
    rig_write_one(rig, 2);
    puppet_ack(rig, &puppet, 1);
    rig_forget(rig);
    rig_advance(rig, RETRY_MS - 1);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_UPDATE);
    rig_advance(rig, 2);
    assert_sent_from(rig, 5, 2);
    assert_true(rig_has_said(rig, "sending again from 2"));
}

/* A follower that acknowledges nothing is sent a window and no more, however much is written. */
static void feed_keeps_within_the_window(void **state)
{
    struct rig *rig = *state;
    puppet_following(rig, 2, 5);
    for (uint64_t i = 0; i < 20; i++) {
        rig_write(rig, i, 1, 900, 0);
        rig_flush(rig);
    }
    size_t sent = 0;
    for (size_t i = 0; i < rig->seen_count; i++) {
        sent +=
            rig->seen[i].frame != NULL && rig->seen[i].frame->body_case == OSR__FRAME__BODY_UPDATE;
    }
    assert_int_equal(sent, 5); /* the window is passed by at most one batch */
}

/* FETCH after FETCH does not queue up reads. */
static void feed_bounds_reads_under_way(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_make(2, 5);
    rig_write_one(rig, 1);
    puppet_join(rig, &puppet, 0);
    rig->hold_reads = true;
    for (int i = 0; i < 50; i++) {
        puppet_fetch(rig, &puppet, 1);
    }
    assert_int_equal(rig_count(rig, OSR_FEED_OUT_READ), 2);
}

/* Nobody is sent what he did not ask for, and what he wants no more. */
static void feed_sends_nothing_unasked(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_joined(rig, 2, 5, 0);
    rig_write_one(rig, 1);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_UPDATE);
    assert_acked(rig, 5, 1);
    puppet_fetch(rig, &puppet, 2);
    puppet_fetch(rig, &puppet, 0);
    rig_write_one(rig, 2);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_UPDATE);
}

/* A feed that is not held cannot be had; the link stays. */
static void feed_says_what_it_does_not_hold(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_make(2, 5);
    struct puppet stranger = puppet_make(3, 6);
    puppet_join(rig, &puppet, 0);
    puppet_fetch_of(rig, &puppet, stranger.id, 1);
    assert_error_sent(rig, 5, OSR_NOT_FOUND);
    assert_open(rig);
}

/* On demand a follower is sent again what it has acknowledged long ago. */
static void feed_rewinds_on_demand(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_following(rig, 2, 5);
    rig_write_one(rig, 1);
    puppet_ack(rig, &puppet, 1);
    rig_forget(rig);
    rig_step(rig, &(struct osr_feed_event){.type = OSR_FEED_RESEND,
                                           .resend = {.peer = 5, .from_sequence = 1}});
    assert_sent_from(rig, 5, 1);
}

/* A read that gives nothing is tried again after a while. */
static void feed_reads_again_what_could_not_be_read(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_make(2, 5);
    rig_write_one(rig, 1);
    puppet_join(rig, &puppet, 0);
    rig->hold_reads = true;
    puppet_fetch(rig, &puppet, 1);
    const struct seen *read = rig_find(rig, OSR_FEED_OUT_READ, 0);
    rig_step(rig, &(struct osr_feed_event){.type = OSR_FEED_READ_DONE,
                                           .read_done = {.ticket = read->output.read.ticket}});
    assert_int_equal(rig_count(rig, OSR_FEED_OUT_READ), 1);
    rig->hold_reads = false;
    rig_advance(rig, RETRY_MS);
    assert_non_null(rig_find_frame(rig, 5, OSR__FRAME__BODY_UPDATE));
}

/* What comes for a read that was overtaken by a FETCH is not sent. */
static void feed_drops_a_read_that_was_rewound(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_make(2, 5);
    rig_write_one(rig, 1);
    rig_write_one(rig, 2);
    puppet_join(rig, &puppet, 0);
    rig->hold_reads = true;
    puppet_fetch(rig, &puppet, 2);
    struct osr_feed_output read = rig_find(rig, OSR_FEED_OUT_READ, 0)->output;
    puppet_fetch(rig, &puppet, 1);
    rig_answer_read(rig, &read);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_UPDATE);
}

/* Instances that come and go are forgotten, the longest gone first. */
static void feed_bounds_the_instances_it_remembers(void **state)
{
    struct rig *rig = *state;
    uint32_t link = 10;
    for (int i = 0; i < 300; i++, link++) {
        struct puppet puppet = puppet_make(0, link);
        puppet.key.bytes[0] = (uint8_t)i;
        puppet.key.bytes[1] = (uint8_t)(i >> 8);
        osr_instance_id(puppet.id, &puppet.key);
        puppet_join(rig, &puppet, 0);
        puppet_ack(rig, &puppet, 0);
        rig->now_ms++;
        rig_link_down(rig, link);
        rig_forget(rig);
    }
    assert_int_equal(osr_feed_follower_count(rig->core, 0), 256);
}

/* Feeds and followers as `feeds` and `status` show them. */
static void feed_tells_who_holds_what(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_joined(rig, 2, 5, 7);
    puppet_fetch(rig, &puppet, 1);
    rig_write_one(rig, 1);
    rig_write_one(rig, 2);
    puppet_ack(rig, &puppet, 1);
    struct osr_feed_info info;
    osr_feed_info(rig->core, 0, &info);
    assert_true(info.own);
    assert_int_equal(info.sequence, 2);
    osr_feed_info(rig->core, 1, &info);
    assert_string_equal(info.id.origin, puppet.id);
    assert_int_equal(info.sequence, 0);
    assert_int_equal(info.known, 7);
    assert_int_equal(osr_feed_follower_count(rig->core, 0), 1);
    struct osr_follower_info follower;
    osr_feed_follower_info(rig->core, 0, 0, &follower);
    assert_string_equal(follower.instance, puppet.id);
    assert_string_equal(follower.name, "puppet");
    assert_int_equal(follower.peer, 5);
    assert_int_equal(follower.acked, 1);
    assert_int_equal(follower.sent, 2);
    rig_link_down(rig, 5);
    osr_feed_follower_info(rig->core, 0, 0, &follower);
    assert_int_equal(follower.peer, UINT32_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(feed_sends_what_was_fetched),
        TEST(feed_sends_again_what_is_not_acknowledged),
        TEST(feed_keeps_within_the_window),
        TEST(feed_bounds_reads_under_way),
        TEST(feed_sends_nothing_unasked),
        TEST(feed_says_what_it_does_not_hold),
        TEST(feed_rewinds_on_demand),
        TEST(feed_reads_again_what_could_not_be_read),
        TEST(feed_drops_a_read_that_was_rewound),
        TEST(feed_bounds_the_instances_it_remembers),
        TEST(feed_tells_who_holds_what),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
