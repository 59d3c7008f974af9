/* What the journal makes of the core's outputs: in which order they are released, what follows a
 * fault of the disk, and what is read back for followers. */
#include "lib/journal_fixture.h"
#include "lib/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* A batch that waits for its signature holds back those behind it in the log. */
static void journal_releases_in_the_order_of_the_log(void **state)
{
    struct journal_fixture *fixture = *state;
    journal_store(fixture, &fixture->own, 2, 0, 0);
    journal_put_fact(fixture, "pin:a", "1");
    journal_store(fixture, &fixture->other, 3, 3, 1);
    journal_run(fixture, 2);
    journal_commit(fixture, &fixture->other, 1, 3);
    assert_int_equal(fixture->release_count, 0);
    journal_commit(fixture, &fixture->own, 1, 2);

    assert_int_equal(fixture->release_count, 2);
    assert_int_equal(fixture->releases[0].log_id, 1);
    assert_int_equal(fixture->releases[0].count, 2);
    assert_int_equal(fixture->releases[0].ordinal, 3); /* LOG and two entries */
    assert_int_equal(fixture->releases[1].log_id, 2);
    assert_int_equal(fixture->releases[1].first, 1);
    assert_int_equal(fixture->releases[1].count, 3);
    assert_int_equal(fixture->releases[1].ordinal, 9); /* fact, LOG, three entries, HEAD */
}

/* A fact with nothing before it is released as soon as it is durable. */
static void journal_releases_a_fact_alone(void **state)
{
    struct journal_fixture *fixture = *state;
    journal_put_fact(fixture, "pin:a", "1");
    while (fixture->release_count == 0) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    assert_int_equal(fixture->releases[0].count, 0);
    assert_int_equal(fixture->releases[0].ordinal, 1);
}

/* Entries that are cut off are never shown, and what is behind them only once the cut is in
 * the log. */
static void journal_passes_over_what_is_cut(void **state)
{
    struct journal_fixture *fixture = *state;
    journal_store(fixture, &fixture->own, 2, 0, 0);
    journal_store(fixture, &fixture->other, 3, 3, 1);
    journal_run(fixture, 2);
    journal_commit(fixture, &fixture->other, 1, 3);
    journal_truncate(fixture, &fixture->own, 0, 2);
    assert_int_equal(fixture->release_count, 0);
    journal_run(fixture, 1);
    while (fixture->release_count < 2) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    assert_int_equal(fixture->release_count, 2);
    assert_int_equal(fixture->releases[0].log_id, 2);
    assert_int_equal(fixture->releases[0].count, 3);
    assert_int_equal(fixture->releases[1].count, 0);
    assert_int_equal(fixture->releases[1].ordinal, 9); /* TRUNCATE */
}

/* What the log held at open counts when the core has checked every feed of it; new entries wait. */
static void journal_releases_restored_entries_when_all_are_committed(void **state)
{
    struct journal_fixture *fixture = *state;
    journal_store(fixture, &fixture->own, 2, 0, 0);
    journal_store(fixture, &fixture->other, 3, 3, 1);
    journal_run(fixture, 2);
    journal_reopen(fixture);
    assert_int_equal(osr_journal_released(fixture->journal), 0);

    journal_store(fixture, &fixture->own, 1, 0, 0);
    journal_run(fixture, 1);
    journal_commit(fixture, &fixture->own, 0, 2);
    journal_commit(fixture, &fixture->own, 3, 3);
    assert_int_equal(fixture->release_count, 0);
    journal_commit(fixture, &fixture->other, 0, 3);
    assert_int_equal(fixture->release_count, 2);
    assert_int_equal(fixture->releases[0].count, 0);
    assert_int_equal(fixture->releases[0].ordinal, 8);
    assert_int_equal(fixture->releases[1].first, 3);
    assert_int_equal(fixture->releases[1].ordinal, 9);
}

/* Many batches that come at once share a few syncs. */
static void journal_groups_commits(void **state)
{
    struct journal_fixture *fixture = *state;
    enum { COUNT = 200 };
    for (size_t i = 0; i < COUNT; i++) {
        journal_store(fixture, &fixture->own, 1, i, i);
    }
    journal_run(fixture, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(fixture->stored[i], OSR_OK);
    }
    assert_in_range(fixture->disk.syncs, 1, COUNT / 4);
}

/* No room refuses a batch and those built on it, and nothing else; with room it goes on. */
static void journal_refuses_what_finds_no_room(void **state)
{
    struct journal_fixture *fixture = *state;
    journal_store(fixture, &fixture->own, 1, 0, 0);
    journal_run(fixture, 1);
    fixture->disk.is_full = true;
    struct journal_feed before = fixture->own;
    for (size_t i = 1; i < 16; i++) { /* a segment holds four of them, and one may be ready */
        journal_store_sized(fixture, &fixture->own, 1, 0, i, 60000);
    }
    journal_store(fixture, &fixture->other, 1, 1, 16);
    journal_run(fixture, 16);
    size_t stored = 1;
    while (fixture->stored[stored] == OSR_OK) {
        stored++;
    }
    assert_in_range(stored, 4, 9);
    for (size_t i = stored; i < 16; i++) {
        assert_int_equal(fixture->stored[i], OSR_DISK_FULL);
    }
    assert_int_equal(fixture->stored[16], OSR_OK); /* the small one still fits */
    assert_false(osr_journal_is_full(fixture->journal));
    assert_int_equal(osr_wal_last_index(osr_journal_wal(fixture->journal), 1), stored);
    assert_int_equal(fixture->failures, 0);

    fixture->disk.is_full = false;
    fixture->own = before;
    fixture->own.sequence = stored;
    journal_store_sized(fixture, &fixture->own, 1, 0, 17, 60000);
    journal_run(fixture, 1);
    assert_int_equal(fixture->stored[17], OSR_OK);
}

/* A write that fails inside a segment is the end: it is said once, and nothing is answered. */
static void journal_ends_with_a_failed_write(void **state)
{
    struct journal_fixture *fixture = *state;
    fixture->disk.fails = true;
    journal_store(fixture, &fixture->own, 1, 0, 0);
    journal_store(fixture, &fixture->own, 1, 0, 1);
    journal_run(fixture, 1);
    loop_idle(&fixture->loop, 20);
    assert_int_equal(fixture->failures, 1);
    assert_int_equal(fixture->stored_count, 0);
    assert_int_equal(fixture->release_count, 0);
}

/* Signatures are made with the instance's key, and verified. */
static void journal_signs_and_verifies(void **state)
{
    struct journal_fixture *fixture = *state;
    struct osr_feed_output sign = {.type = OSR_FEED_OUT_SIGN};
    sign.sign.message = osr_slice_text("message");
    osr_journal_carry_out(fixture->journal, &sign);
    journal_run(fixture, 1);

    struct osr_feed_output verify = {.type = OSR_FEED_OUT_VERIFY};
    verify.verify.message = osr_slice_text("message");
    verify.verify.public_key = *osr_keys_public(fixture->keys);
    verify.verify.signature = fixture->signature;
    osr_journal_carry_out(fixture->journal, &verify);
    journal_run(fixture, 1);
    assert_true(fixture->is_valid);

    verify.verify.message = osr_slice_text("another");
    osr_journal_carry_out(fixture->journal, &verify);
    journal_run(fixture, 1);
    assert_false(fixture->is_valid);
}

static void read_feed(struct journal_fixture *fixture, const struct journal_feed *feed,
                      uint64_t first, size_t bytes_max)
{
    struct osr_feed_output output = {.type = OSR_FEED_OUT_READ};
    output.read.feed = &feed->id;
    output.read.first = first;
    output.read.last = feed->sequence;
    output.read.bytes_max = bytes_max;
    output.read.last_chain = feed->chain;
    output.read.last_signature = journal_signature(feed->sequence);
    osr_journal_carry_out(fixture->journal, &output);
    size_t before = fixture->update_count;
    osr_journal_end_turn(fixture->journal);
    journal_run(fixture, 1);
    assert_int_equal(fixture->update_count, before + 1);
}

static Osr__Update *update_at(const struct journal_fixture *fixture, size_t i)
{
    return osr__update__unpack(NULL, fixture->updates[i].size, fixture->updates[i].data);
}

/* A follower gets whole groups up to a signed head; one that is larger than asked is given whole,
 * and the newest head comes from the core. */
static void journal_reads_up_to_a_head(void **state)
{
    struct journal_fixture *fixture = *state;
    journal_store(fixture, &fixture->own, 10, 0, 0);
    journal_store(fixture, &fixture->own, 10, 10, 1);
    journal_store(fixture, &fixture->own, 10, 20, 2);
    journal_run(fixture, 3);
    journal_commit(fixture, &fixture->own, 1, 30);

    read_feed(fixture, &fixture->own, 1, 1);
    Osr__Update *update = update_at(fixture, 0);
    assert_int_equal(update->n_entries, 10);
    assert_int_equal(update->first_sequence, 1);
    assert_int_equal(update->entries[9]->sequence, 10);
    assert_string_equal(update->entries[9]->document->id, "d10");
    assert_int_equal(update->signature.data[0], 10);
    assert_memory_equal(update->public_key.data, fixture->own.key.bytes, OSR_PUBLIC_KEY_SIZE);
    size_t group_bytes = fixture->update_bytes[0];
    osr__update__free_unpacked(update, NULL);

    read_feed(fixture, &fixture->own, 1, 2 * group_bytes + group_bytes / 2);
    update = update_at(fixture, 1);
    assert_int_equal(update->n_entries, 20);
    assert_int_equal(update->signature.data[0], 20);
    osr__update__free_unpacked(update, NULL);

    read_feed(fixture, &fixture->own, 15, 1 << 20);
    update = update_at(fixture, 2);
    assert_int_equal(update->n_entries, 16);
    assert_int_equal(update->signature.data[0], 30);
    assert_memory_equal(update->chain.data, fixture->own.chain.bytes, OSR_SHA256_SIZE);
    osr__update__free_unpacked(update, NULL);
}

/* What is read from memory and what is read from the log, after a restart, are the same. */
static void journal_reads_alike_from_memory_and_log(void **state)
{
    struct journal_fixture *fixture = *state;
    static const uint64_t firsts[] = {1, 4, 17, 20, 21};
    static const size_t bytes[] = {1, 900, 1 << 20};
    journal_store(fixture, &fixture->own, 10, 0, 0);
    journal_store(fixture, &fixture->other, 5, 5, 1);
    journal_store(fixture, &fixture->own, 10, 10, 2);
    journal_store(fixture, &fixture->own, 4, 20, 3);
    journal_run(fixture, 4);
    journal_commit(fixture, &fixture->own, 1, 24);
    for (size_t i = 0; i < 15; i++) {
        read_feed(fixture, &fixture->own, firsts[i / 3], bytes[i % 3]);
    }
    struct osr_buffer from_memory[15];
    memcpy(from_memory, fixture->updates, sizeof(from_memory));
    memset(fixture->updates, 0, sizeof(fixture->updates));

    journal_reopen(fixture);
    journal_commit(fixture, &fixture->own, 0, 24);
    journal_commit(fixture, &fixture->other, 0, 5);
    for (size_t i = 0; i < 15; i++) {
        read_feed(fixture, &fixture->own, firsts[i / 3], bytes[i % 3]);
        assert_true(from_memory[i].size > 0);
        assert_true(osr_slice_equal(osr_buffer_slice(&from_memory[i]),
                                    osr_buffer_slice(&fixture->updates[i])));
        osr_buffer_done(&from_memory[i]);
    }
}

static void on_fact_done(void *context, enum osr_code code)
{
    struct journal_fixture *fixture = context;
    fixture->fact_code = code;
    fixture->answers++;
}

/* A fact is answered when it is durable, and can be asked for from then on. */
static void journal_answers_a_fact(void **state)
{
    struct journal_fixture *fixture = *state;
    fixture->fact_code = OSR_INTERNAL;
    osr_journal_fact(fixture->journal, "cursor:x", osr_slice_text("12"), on_fact_done, fixture);
    assert_string_equal(journal_facts(fixture, "cursor:"), "");
    journal_run(fixture, 1);
    assert_int_equal(fixture->fact_code, OSR_OK);
    assert_string_equal(journal_facts(fixture, "cursor:"), "cursor:x=12 ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, journal_set_up, journal_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(journal_releases_in_the_order_of_the_log),
        TEST(journal_releases_a_fact_alone),
        TEST(journal_passes_over_what_is_cut),
        TEST(journal_releases_restored_entries_when_all_are_committed),
        TEST(journal_groups_commits),
        TEST(journal_refuses_what_finds_no_room),
        TEST(journal_ends_with_a_failed_write),
        TEST(journal_signs_and_verifies),
        TEST(journal_reads_up_to_a_head),
        TEST(journal_reads_alike_from_memory_and_log),
        TEST(journal_answers_a_fact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
