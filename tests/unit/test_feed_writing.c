/* The feed core as writer: how writes become batches, and when they are answered. */
#include "lib/feed_puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/limits.h"

/* A write is answered once its batch is stored, signed and committed, not before. */
static void feed_answers_write_after_store_and_signature(void **state)
{
    struct rig *rig = *state;
    rig->hold_signs = true;
    rig_write_one(rig, 7);
    assert_non_null(rig_find(rig, OSR_FEED_OUT_STORE, 0));
    assert_none(rig, OSR_FEED_OUT_WRITTEN);
    rig_release_sign(rig, 0);
    assert_commit(rig, 0, osr_feed_instance(rig->core), 1, 1);
    const struct seen *written = rig_find(rig, OSR_FEED_OUT_WRITTEN, 0);
    assert_int_equal(written->output.written.token, 7);
    assert_int_equal(written->code, OSR_OK);
    assert_int_equal(written->output.written.first, 1);
}

/* A write larger than a batch becomes several, and is answered once, at the last. */
static void feed_spreads_a_large_write_over_batches(void **state)
{
    struct rig *rig = *state;
    rig_write(rig, 7, 8, 300, 0);
    rig_flush(rig);
    assert_true(rig_count(rig, OSR_FEED_OUT_STORE) > 2);
    assert_int_equal(rig_count(rig, OSR_FEED_OUT_WRITTEN), 1);
    assert_written(rig, 0, OSR_OK, 1);
    assert_int_equal(rig->record_count, 8);
}

/* An entry larger than a batch is alone in its batch. */
static void feed_gives_a_huge_entry_a_batch_of_its_own(void **state)
{
    struct rig *rig = *state;
    rig_write(rig, 1, 1, 10, 0);
    rig_write(rig, 2, 1, 3 * BATCH_BYTES, 0);
    rig_write(rig, 3, 1, 10, 0);
    rig_flush(rig);
    assert_commit(rig, 0, osr_feed_instance(rig->core), 1, 1);
    assert_commit(rig, 1, osr_feed_instance(rig->core), 2, 2);
    assert_commit(rig, 2, osr_feed_instance(rig->core), 3, 3);
}

/* Writes beyond the limit of what may be pending are refused, and accepted again later. */
static void feed_refuses_writes_over_the_backlog(void **state)
{
    struct rig *rig = *state;
    rig_write(rig, 1, 1, 5 * BATCH_BYTES, 0);
    rig_write(rig, 2, 1, 10, 0);
    assert_written(rig, 0, OSR_BUSY, 0);
    rig_flush(rig);
    assert_int_equal(osr_feed_backlog(rig->core), 0);
    rig_forget(rig);
    rig_write_one(rig, 3);
    assert_written(rig, 0, OSR_OK, 2);
}

/* With the disk full every write that is not stored is told so, and the next entry that can be
 * stored gets the sequence that the first of them would have had. */
static void feed_stands_where_it_stood_when_the_disk_is_full(void **state)
{
    struct rig *rig = *state;
    rig_write_one(rig, 1);
    rig->store_code = OSR_DISK_FULL;
    rig_forget(rig);
    rig_write(rig, 2, 2, 10, 0);
    rig_write(rig, 3, 1, 10, 0);
    rig_flush(rig);
    assert_int_equal(rig_count(rig, OSR_FEED_OUT_WRITTEN), 2);
    assert_written(rig, 0, OSR_DISK_FULL, 0);
    assert_written(rig, 1, OSR_DISK_FULL, 0);
    rig->store_code = OSR_OK;
    rig_forget(rig);
    rig_write_one(rig, 4);
    assert_written(rig, 0, OSR_OK, 2);
}

/* ---- waiting for followers ---- */

/* A write that wants a follower is answered by the ACK that reaches it, not by an earlier one. */
static void feed_waits_for_the_ack_that_reaches_the_write(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_joined(rig, 2, 5, 0);
    rig_write(rig, 1, 2, 10, 1);
    rig_flush(rig);
    puppet_ack(rig, &puppet, 1);
    assert_none(rig, OSR_FEED_OUT_WRITTEN);
    puppet_ack(rig, &puppet, 2);
    assert_written(rig, 0, OSR_OK, 1);
    assert_int_equal(rig_find(rig, OSR_FEED_OUT_WRITTEN, 0)->output.written.acks, 1);
}

/* One follower that says it twice is one follower. */
static void feed_counts_each_follower_once(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_joined(rig, 2, 5, 0);
    rig_write(rig, 1, 1, 10, 2);
    rig_flush(rig);
    puppet_ack(rig, &puppet, 1);
    rig_link_down(rig, 5);
    puppet.link = 6;
    puppet_join(rig, &puppet, 0);
    puppet_ack(rig, &puppet, 1);
    assert_none(rig, OSR_FEED_OUT_WRITTEN);
    rig_advance(rig, 1000);
    assert_written(rig, 0, OSR_TIMEOUT, 1);
}

/* An ACK beyond the end of the own feed counts for nothing, not even for later writes; the peer
 * is asked to show what it claims, and when it cannot the feed goes on without. */
static void feed_counts_no_ack_beyond_the_end(void **state)
{
    struct rig *rig = *state;
    struct puppet liar = puppet_joined(rig, 2, 5, 0);
    rig_write_one(rig, 1);
    puppet_ack(rig, &liar, 1000);
    assert_fetched(rig, 5, 2);
    rig_forget(rig);
    rig_write(rig, 2, 1, 10, 1);
    rig_flush(rig);
    assert_none(rig, OSR_FEED_OUT_STORE); /* it may be true */
    for (uint64_t ms = 0; ms < SILENCE_MS; ms += HEARTBEAT_MS) {
        puppet_ack(rig, &liar, 1001);
        rig_advance(rig, HEARTBEAT_MS);
    }
    assert_true(rig_has_said(rig, "going on without"));
    assert_written(rig, 0, OSR_TIMEOUT, 2);
    assert_int_equal(rig_find(rig, OSR_FEED_OUT_WRITTEN, 0)->output.written.acks, 0);
}

/* Options that cannot work are refused where they are given. */
static void feed_refuses_options_that_cannot_work(void **state)
{
    (void)state;
    struct osr_feed_options good;
    osr_feed_options_init(&good);
    good.cluster = "test";
    good.name = "subject";
    struct osr_feed_options cases[] = {good, good, good, good, good};
    cases[0].peers_max = 0;
    cases[1].batch_bytes = OSR_BATCH_BYTES_MAX + 1;
    cases[2].window_bytes = good.batch_bytes - 1;
    cases[3].silence_ms = 2 * good.heartbeat_ms;
    char name[OSR_NAME_BYTES_MAX + 2] = {0};
    memset(name, 'n', sizeof(name) - 1);
    cases[4].name = name;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct osr_feed *core = NULL;
        struct osr_err err;
        assert_int_equal(osr_feed_create(&cases[i], &core, &err), OSR_CONFIG);
        assert_null(core);
    }
    osr_feed_destroy(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(feed_answers_write_after_store_and_signature),
        TEST(feed_spreads_a_large_write_over_batches),
        TEST(feed_gives_a_huge_entry_a_batch_of_its_own),
        TEST(feed_refuses_writes_over_the_backlog),
        TEST(feed_stands_where_it_stood_when_the_disk_is_full),
        TEST(feed_waits_for_the_ack_that_reaches_the_write),
        TEST(feed_counts_each_follower_once),
        TEST(feed_counts_no_ack_beyond_the_end),
        cmocka_unit_test(feed_refuses_options_that_cannot_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
