/* A ledger's part of the log: what is stored comes back after a restart, and feeds are released
 * past it. */
#include "lib/journal_fixture.h"
#include "lib/loop.h"
#include "node/identity_key.h"
#include "node/tail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- storing and reading ---- */

/* Votes and entries are there again after a restart, and read as they were written. */
static void ledger_comes_back(void **state)
{
    struct journal_fixture *fixture = *state;
    const struct osr_raft_vote vote = {2, 7};
    const struct osr_ledger_store first = {.vote = &vote, .truncate_after = UINT64_MAX};
    ledger_vote(&fixture->ledger, 1, 9);
    fixture->ledger.term = 2;
    ledger_put_with(&fixture->ledger, &first, 10);
    fixture->ledger.term = 3;
    ledger_put(&fixture->ledger, 20);
    ledger_await(&fixture->ledger);
    journal_reopen(fixture);

    assert_int_equal(osr_journal_ledger(fixture->journal)->vote.term, 2);
    assert_int_equal(osr_journal_ledger(fixture->journal)->vote.candidate, 7);
    assert_int_equal(osr_journal_ledger(fixture->journal)->base, 0);
    assert_int_equal(osr_journal_ledger(fixture->journal)->last, 30);
    assert_int_equal(osr_journal_ledger(fixture->journal)->span_count, 2);
    assert_int_equal(osr_journal_ledger(fixture->journal)->spans[1].first, 11);
    assert_int_equal(osr_journal_ledger(fixture->journal)->spans[1].term, 3);
    ledger_read_all(&fixture->ledger, 1);
    ledger_store(&fixture->ledger, 5);
    ledger_read_all(&fixture->ledger, 30);
    assert_int_equal(fixture->restored_count, 0); /* it is no feed */
    assert_int_equal(fixture->warnings, 0);
}

/* What is answered is durable: a copy of the log, as a crash leaves it, has it. */
static void ledger_has_what_was_answered_after_a_crash(void **state)
{
    struct journal_fixture *fixture = *state;
    ledger_vote(&fixture->ledger, 4, 2);
    fixture->ledger.kind = OSR_RAFT_CONFIGURATION;
    ledger_store(&fixture->ledger, 2);
    scratch_run(fixture->folder, "cp -r log copy");
    ledger_store(&fixture->ledger, 3);
    journal_close(fixture);
    scratch_run(fixture->folder, "rm -r log && mv copy log");
    journal_reopen(fixture);

    assert_int_equal(osr_journal_ledger(fixture->journal)->vote.term, 4);
    assert_int_equal(osr_journal_ledger(fixture->journal)->last, 2);
    assert_int_equal(osr_journal_ledger(fixture->journal)->configuration_count, 2);
    assert_int_equal(osr_journal_ledger(fixture->journal)->configurations[1].index, 2);
    assert_int_equal(osr_journal_ledger(fixture->journal)->configurations[1].payload.size,
                     fixture->ledger.payload_size);
    fixture->ledger.last = 2;
    ledger_store(&fixture->ledger, 1);
    ledger_read_all(&fixture->ledger, 1);
}

/* A cut and the entries in its place are one store. */
static void ledger_is_cut_and_goes_on(void **state)
{
    struct journal_fixture *fixture = *state;
    ledger_store(&fixture->ledger, 20);
    fixture->ledger.term = 2;
    ledger_truncate(&fixture->ledger, 12, 3);
    ledger_await(&fixture->ledger);
    ledger_read(&fixture->ledger, 1, 20, 1 << 20);
    assert_int_equal(fixture->ledger.read_count, 15);
    assert_int_equal(fixture->ledger.read[11].term, 1);
    assert_int_equal(fixture->ledger.read[12].term, 2);
    journal_reopen(fixture);
    assert_int_equal(osr_journal_ledger(fixture->journal)->last, 15);
    ledger_read_all(&fixture->ledger, 1);
}

/* An installed snapshot voids all that was there; the log goes on behind it. */
static void ledger_goes_on_behind_a_snapshot(void **state)
{
    struct journal_fixture *fixture = *state;
    const struct osr_ledger_store installed = {.truncate_after = 0, .base = 500, .base_term = 4};
    ledger_store(&fixture->ledger, 20);
    ledger_put_with(&fixture->ledger, &installed, 0);
    fixture->ledger.term = 5;
    ledger_put(&fixture->ledger, 3);
    ledger_await(&fixture->ledger);
    ledger_read(&fixture->ledger, 20, 500, 1 << 20);
    assert_int_equal(fixture->ledger.read_count, 0);
    ledger_read_all(&fixture->ledger, 501);
    journal_reopen(fixture);
    assert_int_equal(osr_journal_ledger(fixture->journal)->base, 500);
    assert_int_equal(osr_journal_ledger(fixture->journal)->base_term, 4);
    assert_int_equal(osr_journal_ledger(fixture->journal)->last, 503);
}

/* A read gives what fits, at least one, no more than is asked for, and nothing where nothing is. */
static void ledger_reads_what_fits(void **state)
{
    struct journal_fixture *fixture = *state;
    ledger_store(&fixture->ledger, 100);
    ledger_read(&fixture->ledger, 1, 100, 10 * 256);
    assert_int_equal(fixture->ledger.read_count, 10);
    ledger_read(&fixture->ledger, 1, 100, 10 * 256 + 255);
    assert_int_equal(fixture->ledger.read_count, 10);
    ledger_read(&fixture->ledger, 50, 100, 0);
    assert_int_equal(fixture->ledger.read_count, 1);
    ledger_read(&fixture->ledger, 50, 52, 1 << 20);
    assert_int_equal(fixture->ledger.read_count, 3);
    ledger_read(&fixture->ledger, 99, 200, 1 << 20);
    assert_int_equal(fixture->ledger.read_count, 2);
    ledger_read(&fixture->ledger, 101, 200, 1 << 20);
    assert_int_equal(fixture->ledger.read_count, 0);
    fixture->ledger.payload_size = 0;
    ledger_store(&fixture->ledger, 100);
    ledger_read(&fixture->ledger, 101, 200, 1 << 20);
    assert_int_equal(fixture->ledger.read_count, 100);
}

/* Stores of the ledger, batches of feeds and facts that come together share a few syncs. */
static void ledger_shares_syncs_with_feeds(void **state)
{
    enum { COUNT = 100 };
    struct journal_fixture *fixture = *state;
    for (size_t i = 0; i < COUNT; i++) {
        ledger_put(&fixture->ledger, 1);
        journal_store(fixture, &fixture->own, 1, i, i);
        journal_put_fact(fixture, "pin:a", "1");
    }
    journal_run(fixture, COUNT);
    ledger_await(&fixture->ledger);
    assert_in_range(fixture->disk.syncs, 1, COUNT / 2);
}

/* Closing answers what was stored: whoever stores waits for nothing that never comes. */
static void ledger_is_answered_when_the_journal_closes(void **state)
{
    struct journal_fixture *fixture = *state;
    ledger_put(&fixture->ledger, 100);
    ledger_put(&fixture->ledger, 100);
    journal_close(fixture);
    assert_int_equal(fixture->ledger.answered, 2);
    assert_int_equal(fixture->ledger.codes[1], OSR_OK);
    journal_reopen(fixture);
    assert_int_equal(osr_journal_ledger(fixture->journal)->last, 200);
}

/* When nothing more is to be done, a vote gets somebody to vouch for it: without that, damage to it
 * would be taken for a torn tail, and it would be given twice. */
static void ledger_has_its_last_vote_vouched_for(void **state)
{
    struct journal_fixture *fixture = *state;
    ledger_vote(&fixture->ledger, 3, 1);
    ledger_await(&fixture->ledger);
    loop_idle(&fixture->loop, 20);
    scratch_run(fixture->folder, "cp -r log copy");
    journal_close(fixture);
    /* The vote is the first record behind START: 4096 bytes of header, and 32. */
    scratch_run(fixture->folder,
                "rm -r log && mv copy log && printf x | "
                "dd of=log/0000000001.seg bs=1 seek=4170 conv=notrunc status=none");
    struct osr_err err;
    assert_int_equal(journal_try_open(fixture, &err), OSR_CORRUPT);
}

/* ---- release ---- */

/* A feed's batch that waits for its signature holds back the ledger's ordinals, and nobody's
 * answers. */
static void ledger_is_passed_over_in_the_order_of_the_log(void **state)
{
    struct journal_fixture *fixture = *state;
    ledger_store(&fixture->ledger, 3);
    assert_int_equal(fixture->passed, 3);
    journal_store(fixture, &fixture->own, 2, 0, 0);
    journal_run(fixture, 1);
    for (size_t i = 0; i < 50; i++) {
        ledger_store(&fixture->ledger, 2);
    }
    assert_int_equal(fixture->passed, 3);
    journal_commit(fixture, &fixture->own, 1, 2);
    assert_int_equal(fixture->release_count, 1);
    assert_int_equal(fixture->releases[0].count, 2);
    assert_int_equal(fixture->releases[0].ordinal, 3 + 3); /* LOG and two entries */
    assert_int_equal(fixture->passed, 6 + 100);
    assert_int_equal(osr_journal_released(fixture->journal), 106);

    ledger_put(&fixture->ledger, 1);
    journal_put_fact(fixture, "pin:a", "1");
    ledger_await(&fixture->ledger);
    while (fixture->release_count < 2) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    assert_int_equal(fixture->releases[1].count, 0);
    assert_int_equal(fixture->releases[1].ordinal, 108); /* the fact's: that is something to show */
}

/* While feeds are restored, too, the ledger goes on, and is passed over when they are. */
static void ledger_does_not_wait_for_feeds_to_be_restored(void **state)
{
    struct journal_fixture *fixture = *state;
    journal_store(fixture, &fixture->own, 2, 0, 0);
    journal_run(fixture, 1);
    ledger_store(&fixture->ledger, 10);
    journal_reopen(fixture);
    ledger_store(&fixture->ledger, 10);
    assert_int_equal(fixture->passed, 0);
    journal_commit(fixture, &fixture->own, 0, 2);
    assert_int_equal(fixture->release_count, 1);
    assert_int_equal(fixture->releases[0].ordinal, 13);
    assert_int_equal(fixture->passed, 23);
}

static struct osr_append *add_append(struct osr_tail *tail, enum osr_append_kind kind,
                                     uint64_t ordinal)
{
    struct osr_append *append = osr_alloc(sizeof(*append));
    append->kind = kind;
    append->last_ordinal = ordinal;
    osr_tail_add(tail, append);
    return append;
}

/* Behind something that waits long, what the ledger stored takes no more memory than one. */
static void tail_joins_what_a_ledger_stored(void **state)
{
    (void)state;
    struct osr_tail *tail = osr_tail_create(0);
    struct osr_append *fact = add_append(tail, OSR_APPEND_FACT, 1);
    struct osr_append *stores[8];
    for (uint64_t i = 0; i < 8; i++) {
        stores[i] = add_append(tail, OSR_APPEND_LEDGER, 2 + i);
    }
    stores[6]->code = OSR_DISK_FULL;
    for (size_t i = 0; i < 8; i++) {
        osr_tail_stored(tail, stores[i]);
    }
    assert_null(osr_tail_release(tail));
    osr_tail_stored(tail, fact);
    assert_int_equal(osr_tail_release(tail)->last_ordinal, 1);
    assert_int_equal(osr_tail_release(tail)->last_ordinal, 9);
    assert_null(osr_tail_release(tail));
    osr_tail_destroy(tail);
}

/* ---- at open ---- */

/* Adds a record to the closed log, as nobody but a bug or a newer version writes it. */
static void add_record(struct journal_fixture *fixture, struct osr_wal_record *record)
{
    char *folder = osr_format("%s/log", fixture->folder);
    struct osr_wal *wal;
    struct osr_err err;
    assert_int_equal(osr_wal_open(osr_disk_system(), folder, &fixture->wal, NULL, NULL, &wal, &err),
                     0);
    assert_int_equal(osr_wal_append(wal, record, 1, &err), 0);
    assert_int_equal(osr_wal_sync(wal, &err), 0);
    osr_wal_close(wal);
    free(folder);
}

/* A log with a ledger's record that makes no sense is not opened, and it is said what to do. */
static void ledger_refuses_a_damaged_log(void **state)
{
    struct journal_fixture *fixture = *state;
    struct osr_wal_record record = {.type = OSR_WAL_VOTE,
                                    .format = OSR_LEDGER_FORMAT,
                                    .log_id = OSR_LEDGER_LOG_FIRST,
                                    .payload = osr_slice_text("a vote?")};
    ledger_store(&fixture->ledger, 3);
    journal_close(fixture);
    add_record(fixture, &record);
    struct osr_err err;
    assert_int_equal(journal_try_open(fixture, &err), OSR_CORRUPT);
    assert_string_equal(err.message, "record 4 of the log: no vote");
    assert_non_null(strstr(err.hint, "osiris join INVITATION"));
}

/* An entry that jumps ahead with nothing to explain it is refused when the walk is over. */
static void ledger_refuses_a_log_with_a_gap(void **state)
{
    struct journal_fixture *fixture = *state;
    uint8_t payload[9] = {[7] = 1, [8] = OSR_RAFT_COMMAND};
    struct osr_wal_record record = {.type = OSR_WAL_ENTRY,
                                    .format = OSR_LEDGER_FORMAT,
                                    .log_id = OSR_LEDGER_LOG_FIRST,
                                    .index = 7, /* the first that the log sees may have any */
                                    .payload = osr_slice(payload, sizeof(payload))};
    journal_close(fixture);
    add_record(fixture, &record);
    struct osr_err err;
    assert_int_equal(journal_try_open(fixture, &err), OSR_CORRUPT);
    assert_string_equal(err.message, "the ledger's entries from 1 on are missing");
}

/* A member that lost its key is not another member: what its ledger's log says was said by it. */
static void ledger_belongs_to_the_identity(void **state)
{
    struct journal_fixture *fixture = *state;
    ledger_vote(&fixture->ledger, 1, 1);
    ledger_await(&fixture->ledger);
    journal_close(fixture);
    osr_keys_close(fixture->keys);
    fixture->keys = NULL;
    scratch_run(fixture->folder, "mv identity.key elsewhere");
    struct osr_keys *keys = NULL;
    struct osr_err err;
    assert_int_equal(osr_identity_key_open(fixture->folder, &keys, &err), OSR_CONFIG);
    assert_non_null(strstr(err.message, "records of a ledger"));
    scratch_run(fixture->folder, "mv elsewhere identity.key");
    assert_int_equal(osr_identity_key_open(fixture->folder, &fixture->keys, &err), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, journal_set_up, journal_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ledger_comes_back),
        TEST(ledger_has_what_was_answered_after_a_crash),
        TEST(ledger_is_cut_and_goes_on),
        TEST(ledger_goes_on_behind_a_snapshot),
        TEST(ledger_reads_what_fits),
        TEST(ledger_shares_syncs_with_feeds),
        TEST(ledger_is_answered_when_the_journal_closes),
        TEST(ledger_has_its_last_vote_vouched_for),
        TEST(ledger_is_passed_over_in_the_order_of_the_log),
        TEST(ledger_does_not_wait_for_feeds_to_be_restored),
        cmocka_unit_test(tail_joins_what_a_ledger_stored),
        TEST(ledger_refuses_a_damaged_log),
        TEST(ledger_refuses_a_log_with_a_gap),
        TEST(ledger_belongs_to_the_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
