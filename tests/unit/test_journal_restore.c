/* What the journal gives back to the core after a restart. */
#include "lib/journal_fixture.h"
#include "lib/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* After a restart the core is told where each feed stands, and facts have their newest value. */
static void journal_restores_feeds_and_facts(void **state)
{
    struct journal_fixture *fixture = *state;
    journal_store(fixture, &fixture->own, 3, 0, 0);
    struct osr_hash chain_at_3 = fixture->own.chain;
    journal_store(fixture, &fixture->own, 2, 3, 1);
    journal_store(fixture, &fixture->other, 4, 4, 2);
    journal_put_fact(fixture, "pin:a", "old");
    journal_put_fact(fixture, "pin:a", "new");
    journal_put_fact(fixture, "pin:b", "gone");
    journal_put_fact(fixture, "pin:b", "");
    journal_put_fact(fixture, "seen:0", "7");
    journal_run(fixture, 3);
    journal_reopen(fixture);

    assert_int_equal(fixture->restored_count, 2);
    const struct osr_feed_restored *own = &fixture->restored[0];
    assert_true(osr_feed_id_equal(&own->id, &fixture->own.id));
    assert_memory_equal(&own->public_key, &fixture->own.key, sizeof(own->public_key));
    assert_int_equal(own->sequence, 5);
    assert_true(osr_hash_equal(&own->chain, &fixture->own.chain));
    assert_int_equal(own->time.ms, 1005);
    assert_int_equal(own->time.logical, 5);
    assert_int_equal(own->head_sequence, 3);
    assert_true(osr_hash_equal(&own->head_chain, &chain_at_3));
    struct osr_signature expected = journal_signature(3);
    assert_memory_equal(&own->head_signature, &expected, sizeof(expected));
    const struct osr_feed_restored *other = &fixture->restored[1];
    assert_int_equal(other->sequence, 4);
    assert_int_equal(other->head_sequence, 4);
    assert_true(osr_hash_equal(&other->head_chain, &fixture->other.chain));

    assert_string_equal(journal_facts(fixture, "pin:"), "pin:a=new ");
    assert_string_equal(journal_facts(fixture, "seen:"), ""); /* the projection has them */
}

/* What was cut off before the restart is not there after it; the head before it counts again. */
static void journal_restores_the_head_before_a_cut(void **state)
{
    struct journal_fixture *fixture = *state;
    journal_store(fixture, &fixture->other, 2, 2, 0);
    struct osr_hash chain_at_2 = fixture->other.chain;
    journal_store(fixture, &fixture->other, 3, 5, 1);
    journal_truncate(fixture, &fixture->other, 2, 2);
    journal_run(fixture, 3);
    journal_reopen(fixture);

    assert_int_equal(fixture->restored_count, 1);
    const struct osr_feed_restored *restored = &fixture->restored[0];
    assert_int_equal(restored->sequence, 2);
    assert_true(osr_hash_equal(&restored->chain, &chain_at_2));
    assert_int_equal(restored->time.ms, 1002);
    assert_int_equal(restored->head_sequence, 2);
    assert_true(osr_hash_equal(&restored->head_chain, &chain_at_2));
}

/* The same while the journal writes one segment after the other anew, without what was cut off. */
static void journal_restores_a_compacted_log(void **state)
{
    enum { BATCHES = 30, BATCH = 10, KEPT = 2 * BATCH, ENTRY_BYTES = 4000 };
    struct journal_fixture *fixture = *state;
    struct osr_hash chain = {0};
    for (size_t i = 0; i < BATCHES; i++) {
        journal_store_sized(fixture, &fixture->other, BATCH, (i + 1) * BATCH, i, ENTRY_BYTES);
        if (fixture->other.sequence == KEPT) {
            chain = fixture->other.chain;
        }
    }
    journal_truncate(fixture, &fixture->other, KEPT, BATCHES);
    journal_run(fixture, BATCHES + 1);
    size_t compactions = 0;
    bool is_compactable = true;
    uint64_t bytes = osr_wal_bytes(osr_journal_wal(fixture->journal));
    while (is_compactable) {
        journal_reopen(fixture);
        assert_int_equal(fixture->restored_count, 1);
        const struct osr_feed_restored *restored = &fixture->restored[0];
        assert_int_equal(restored->sequence, KEPT);
        assert_true(osr_hash_equal(&restored->chain, &chain));
        assert_int_equal(restored->head_sequence, KEPT);
        struct osr_wal *wal = osr_journal_wal(fixture->journal);
        while (osr_wal_bytes(wal) == bytes && osr_wal_is_compactable(wal)) {
            loop_idle(&fixture->loop, 1);
        }
        compactions += osr_wal_bytes(wal) < bytes ? 1 : 0;
        bytes = osr_wal_bytes(wal);
        is_compactable = osr_wal_is_compactable(wal);
    }
    assert_in_range(compactions, 1, 6);
    assert_in_range(bytes, 1, BATCHES * BATCH * ENTRY_BYTES / 2);
}

/* Where the last head turns out to be forged those before it count: they are restored too, newest
 * first, as many as may stand unverified in the log, and none that was cut off. */
static void journal_restores_the_heads_before_the_last(void **state)
{
    enum { BATCHES = OSR_FEED_UNVERIFIED_MAX + 10, CUT = 5 };
    struct journal_fixture *fixture = *state;
    struct osr_hash chains[BATCHES + 2];
    for (size_t i = 1; i <= BATCHES; i++) {
        journal_store(fixture, &fixture->other, 1, i, i - 1);
        chains[i] = fixture->other.chain;
    }
    journal_truncate(fixture, &fixture->other, BATCHES - CUT, BATCHES);
    fixture->other.sequence = BATCHES - CUT;
    fixture->other.chain = chains[BATCHES - CUT];
    journal_store(fixture, &fixture->other, 1, BATCHES - CUT + 1, BATCHES + 1);
    journal_run(fixture, BATCHES + 2);
    journal_reopen(fixture);

    const struct osr_feed_restored *restored = &fixture->restored[0];
    assert_int_equal(restored->head_sequence, BATCHES - CUT + 1);
    assert_int_equal(restored->older_head_count, OSR_FEED_UNVERIFIED_MAX);
    for (size_t i = 0; i < restored->older_head_count; i++) {
        const struct osr_feed_head *head = &restored->older_heads[i];
        struct osr_signature signature = journal_signature(head->sequence);
        assert_int_equal(head->sequence, BATCHES - CUT - i);
        assert_true(osr_hash_equal(&head->chain, &chains[head->sequence]));
        assert_memory_equal(&head->signature, &signature, sizeof(signature));
    }
}

static struct osr_feed *create_core(void)
{
    struct osr_feed_options options;
    struct osr_feed *core;
    struct osr_err err;
    osr_feed_options_init(&options);
    options.cluster = "test";
    options.name = "test";
    assert_int_equal(osr_feed_create(&options, &core, &err), 0);
    return core;
}

/* Steps the core, which says that it wants one signature verified, or one feed cut. */
static struct osr_feed_output step_core(struct osr_feed *core, struct osr_feed_event *event)
{
    struct osr_feed_outputs outputs;
    struct osr_feed_output wanted = {.type = OSR_FEED_OUT_COMMIT};
    osr_feed_step(core, event, &outputs);
    for (size_t i = 0; i < outputs.count; i++) {
        const struct osr_feed_output *output = &outputs.items[i];
        if (output->type == OSR_FEED_OUT_VERIFY || output->type == OSR_FEED_OUT_TRUNCATE) {
            assert_int_equal(wanted.type, OSR_FEED_OUT_COMMIT);
            wanted = *output;
        }
    }
    return wanted;
}

/* A crash before a forged batch was cut off costs what is behind the head before it, no more. */
static void journal_restores_what_a_forged_head_leaves(void **state)
{
    struct journal_fixture *fixture = *state;
    journal_store(fixture, &fixture->other, 3, 3, 0);
    journal_store(fixture, &fixture->other, 2, 5, 1);
    journal_store(fixture, &fixture->other, 4, 9, 2);
    journal_run(fixture, 3);
    journal_reopen(fixture);

    struct osr_feed *core = create_core();
    struct osr_feed_event start = {.type = OSR_FEED_START,
                                   .start = {fixture->restored, fixture->restored_count}};
    struct osr_feed_output wanted = step_core(core, &start);
    for (uint64_t head = 9; head >= 5; head -= 4) {
        struct osr_signature signature = journal_signature(head);
        assert_int_equal(wanted.type, OSR_FEED_OUT_VERIFY);
        assert_memory_equal(&wanted.verify.signature, &signature, sizeof(signature));
        bool is_forged = head == 9;
        struct osr_feed_event verified = {.type = OSR_FEED_VERIFIED,
                                          .verified = {wanted.verify.ticket, !is_forged}};
        wanted = step_core(core, &verified);
    }
    assert_int_equal(wanted.type, OSR_FEED_OUT_TRUNCATE);
    assert_int_equal(wanted.truncate.sequence, 5);
    osr_feed_destroy(core);
}

/* A feed of which nothing is left is none to the core, but its log id stays its own. */
static void journal_forgets_a_feed_that_was_cut_whole(void **state)
{
    struct journal_fixture *fixture = *state;
    journal_store(fixture, &fixture->other, 2, 2, 0);
    journal_truncate(fixture, &fixture->other, 0, 1);
    journal_run(fixture, 2);
    journal_reopen(fixture);
    assert_int_equal(fixture->restored_count, 0);

    journal_feed_init(&fixture->other, "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", 2);
    journal_store(fixture, &fixture->other, 1, 1, 0);
    journal_run(fixture, 1);
    assert_int_equal(fixture->stored[0], OSR_OK);
    assert_string_equal(osr_journal_feed(fixture->journal, 1)->origin, fixture->other.id.origin);
    assert_null(osr_journal_feed(fixture->journal, 2));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, journal_set_up, journal_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(journal_restores_feeds_and_facts),
        TEST(journal_restores_the_head_before_a_cut),
        TEST(journal_restores_a_compacted_log),
        TEST(journal_restores_the_heads_before_the_last),
        TEST(journal_restores_what_a_forged_head_leaves),
        TEST(journal_forgets_a_feed_that_was_cut_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
