/* A ledger whose disk is full, or fails: what builds on what was refused is refused, and votes are
 * not. And what is discarded gives its room back. */
#include "lib/journal_fixture.h"
#include "lib/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

/* Enough for several of the fixture's segments. */
enum { MANY = 3000, BIG_BYTES = 60000, SEQUENCES_MAX = 1000 /* of segments; far fewer are made */ };

/* ---- no room ---- */

/* Fills what is left of the log's segments, with room for small things at the end. */
static void fill_disk(struct journal_fixture *fixture)
{
    fixture->ledger.payload_size = BIG_BYTES;
    fixture->disk.is_full = true;
    do {
        ledger_put(&fixture->ledger, 1);
        ledger_await(&fixture->ledger);
    } while (fixture->ledger.codes[fixture->ledger.answered - 1] == OSR_OK);
    fixture->ledger.last--;
}

/* No room refuses a store whole, and what was put behind it before that was known, even where it
 * would fit and follow; afterwards what fits goes in. */
static void ledger_refuses_what_builds_on_what_found_no_room(void **state)
{
    struct journal_fixture *fixture = *state;
    fill_disk(fixture);
    uint64_t last = fixture->ledger.last;
    size_t before = fixture->ledger.answered;

    ledger_put(&fixture->ledger, 1); /* too large */
    fixture->ledger.payload_size = 10;
    ledger_put(&fixture->ledger, 1); /* small, but behind it */
    fixture->ledger.term = 2;
    ledger_truncate(&fixture->ledger, last,
                    2); /* follows what is stored, yet was put out in ignorance */
    ledger_vote(&fixture->ledger, 3, 1);
    ledger_await(&fixture->ledger);
    assert_int_equal(fixture->ledger.codes[before], OSR_DISK_FULL);
    assert_int_equal(fixture->ledger.codes[before + 1], OSR_DISK_FULL);
    assert_int_equal(fixture->ledger.codes[before + 2], OSR_DISK_FULL);
    assert_int_equal(fixture->ledger.codes[before + 3], OSR_OK);
    assert_int_equal(osr_wal_last_index(osr_journal_wal(fixture->journal), OSR_LEDGER_LOG_FIRST),
                     last);

    ledger_truncate(&fixture->ledger, last, 2);
    ledger_await(&fixture->ledger);
    assert_int_equal(fixture->ledger.codes[before + 4], OSR_OK);
    assert_int_equal(fixture->failures, 0);
    journal_reopen(fixture);
    assert_int_equal(osr_journal_ledger(fixture->journal)->last, last + 2);
    assert_int_equal(osr_journal_ledger(fixture->journal)->vote.term, 3);
}

/* Once, from within the answer of a refusal: small, and right behind what is stored. */
static void put_small(struct ledger_writer *answered, enum osr_code code)
{
    assert_int_equal(code, OSR_DISK_FULL);
    answered->on_answer = NULL;
    answered->payload_size = 10;
    ledger_put(answered, 1);
}

/* What is put out when one refusal is known, and another is still to be heard of, is refused, for
 * that other one would take it back; once all are known, it is not. */
static void ledger_refuses_until_all_refusals_are_known(void **state)
{
    struct journal_fixture *fixture = *state;
    fill_disk(fixture);
    size_t before = fixture->ledger.answered;
    uint64_t last = fixture->ledger.last;
    ledger_put(&fixture->ledger, 1);
    ledger_put(&fixture->ledger, 1);
    fixture->ledger.last = last;
    fixture->ledger.on_answer = put_small;
    ledger_await(&fixture->ledger);
    assert_int_equal(fixture->ledger.answered, before + 3);
    assert_int_equal(fixture->ledger.codes[before + 1], OSR_DISK_FULL);
    assert_int_equal(fixture->ledger.codes[before + 2], OSR_DISK_FULL);
    fixture->ledger.last = last;
    ledger_store(&fixture->ledger, 1);
    assert_int_equal(fixture->failures, 0);
}

/* A member whose disk is full still votes, and that is no sign of room. */
static void ledger_votes_while_the_disk_is_full(void **state)
{
    struct journal_fixture *fixture = *state;
    fill_disk(fixture);
    fixture->ledger.payload_size = 100;
    do { /* until small ones find no room either */
        ledger_put(&fixture->ledger, 1);
        ledger_await(&fixture->ledger);
    } while (fixture->ledger.codes[fixture->ledger.answered - 1] == OSR_OK);
    fixture->ledger.last--;
    uint64_t last = fixture->ledger.last;
    size_t before = fixture->ledger.answered;
    size_t warnings = fixture->warnings;
    for (uint64_t term = 2; term < 52; term++) {
        ledger_vote(&fixture->ledger, term, 1);
    }
    ledger_truncate(&fixture->ledger, last - 1, 0);
    ledger_base(&fixture->ledger, 1, 1);
    ledger_await(&fixture->ledger);
    for (size_t i = before; i < before + 52; i++) {
        assert_int_equal(fixture->ledger.codes[i], OSR_OK);
    }
    assert_true(osr_journal_is_full(fixture->journal));
    assert_int_equal(fixture->warnings, warnings);
    fixture->disk.is_full = false;
    ledger_store(&fixture->ledger, 1);
    assert_false(osr_journal_is_full(fixture->journal));
    assert_int_equal(fixture->warnings, warnings + 1);
    journal_reopen(fixture);
    assert_int_equal(osr_journal_ledger(fixture->journal)->vote.term, 51);
    assert_int_equal(osr_journal_ledger(fixture->journal)->last, last);
}

/* A failed write comes to nobody: the process must end. */
static void ledger_ends_with_a_failed_write(void **state)
{
    struct journal_fixture *fixture = *state;
    fixture->disk.fails = true;
    ledger_put(&fixture->ledger, 1);
    ledger_put(&fixture->ledger, 1);
    journal_run(fixture, 1);
    loop_idle(&fixture->loop, 20);
    assert_int_equal(fixture->failures, 1);
    assert_int_equal(fixture->ledger.answered, 0);
}

/* ---- room given back ---- */

static uint64_t folder_bytes(const struct journal_fixture *fixture)
{
    uint64_t bytes = 0;
    for (int sequence = 1; sequence < SEQUENCES_MAX; sequence++) {
        char *path = osr_format("%s/log/%010d.seg", fixture->folder, sequence);
        struct stat status;
        if (stat(path, &status) == 0) { /* another one may stand for it */
            bytes += (uint64_t)status.st_blocks * 512;
        }
        free(path);
    }
    return bytes;
}

/* Runs the loop until the folder is no larger; that it never gets so small ends in a time-out. */
static void await_folder_bytes(struct journal_fixture *fixture, uint64_t bytes)
{
    while (folder_bytes(fixture) > bytes) {
        loop_idle(&fixture->loop, 5);
    }
}

/* What a snapshot stands for gives its room back, with nobody asking; what counts stays, also over
 * restarts, in which entries are met that jump ahead. */
static void ledger_gives_room_back(void **state)
{
    enum { SEGMENT = 256 << 10 };
    struct journal_fixture *fixture = *state;
    ledger_vote(&fixture->ledger, 1, 1);
    for (size_t i = 0; i < MANY / 100; i++) {
        ledger_put(&fixture->ledger, 100);
        journal_store(fixture, &fixture->own, 1, 0, i);
    }
    journal_run(fixture, MANY / 100);
    ledger_await(&fixture->ledger);
    assert_in_range(folder_bytes(fixture), 4 * SEGMENT, 8 * SEGMENT);
    uint64_t bytes = osr_wal_bytes(osr_journal_wal(fixture->journal));

    ledger_base(&fixture->ledger, MANY / 2, 1);
    ledger_await(&fixture->ledger);
    while (osr_wal_bytes(osr_journal_wal(fixture->journal)) > bytes - SEGMENT) {
        loop_idle(&fixture->loop, 5);
    }
    journal_reopen(fixture);
    ledger_base(&fixture->ledger, MANY - 10, 1);
    ledger_await(&fixture->ledger);
    await_folder_bytes(fixture, 2 * SEGMENT + 64 * 1024); /* the last one, and one that is ready */
    for (size_t i = 0; i < 2; i++) {
        journal_reopen(fixture);
        assert_int_equal(osr_journal_ledger(fixture->journal)->base, MANY - 10);
        assert_int_equal(osr_journal_ledger(fixture->journal)->last, MANY);
        assert_int_equal(osr_journal_ledger(fixture->journal)->vote.term, 1);
        ledger_read_all(&fixture->ledger, MANY - 9);
        assert_int_equal(fixture->restored[0].sequence, MANY / 100);
    }
    ledger_store(&fixture->ledger, 10);
    assert_int_equal(fixture->warnings, 0);
}

/* A ledger that is given up gives all its room back; another begins in the same log, and is known
 * at later starts, also where nothing of it was stored yet. */
static void ledger_is_given_up_for_another(void **state)
{
    enum { SEGMENT = 256 << 10 };
    struct journal_fixture *fixture = *state;
    ledger_vote(&fixture->ledger, 7, 1);
    for (size_t i = 0; i < MANY / 100; i++) {
        ledger_store(&fixture->ledger, 100);
    }
    journal_reopen(fixture);
    uint32_t log_id = osr_journal_ledger_give_up(fixture->journal, 0);
    assert_int_equal(log_id, OSR_LEDGER_LOG_FIRST + 1);
    assert_int_equal(osr_journal_ledger(fixture->journal)->last, 0);
    while (osr_wal_bytes(osr_journal_wal(fixture->journal)) > 2 * SEGMENT) {
        loop_idle(&fixture->loop, 5);
    }
    journal_reopen(fixture);
    assert_int_equal(osr_journal_ledger_give_up(fixture->journal, log_id), log_id);
    assert_int_equal(osr_journal_ledger(fixture->journal)->vote.term, 0);
    fixture->ledger.last = 0;
    ledger_vote(&fixture->ledger, 2, 1);
    ledger_store(&fixture->ledger, 10);
    journal_reopen(fixture);
    assert_int_equal(osr_journal_ledger(fixture->journal)->log_id, log_id);
    assert_int_equal(osr_journal_ledger(fixture->journal)->vote.term, 2);
    assert_int_equal(osr_journal_ledger(fixture->journal)->last, 10);
    ledger_read_all(&fixture->ledger, 1);
    assert_int_equal(osr_journal_ledger_give_up(fixture->journal, log_id), log_id);
    assert_int_equal(osr_journal_ledger(fixture->journal)->last, 10);
}

/* Damage that is met while room is given back is said once, and is no reason to end: the log is as
 * it was. */
static void ledger_says_what_keeps_room_from_being_given_back(void **state)
{
    struct journal_fixture *fixture = *state;
    for (size_t i = 0; i < MANY / 100; i++) {
        ledger_store(&fixture->ledger, 100);
    }
    scratch_run(fixture->folder, "printf damage | dd of=log/0000000001.seg bs=1 seek=100000 "
                                 "conv=notrunc status=none");
    ledger_base(&fixture->ledger, MANY - 10, 1);
    ledger_await(&fixture->ledger);
    while (fixture->warnings == 0) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    assert_non_null(strstr(fixture->warning, "0000000001.seg"));
    ledger_base(&fixture->ledger, MANY - 5, 1);
    ledger_await(&fixture->ledger);
    loop_idle(&fixture->loop, 20);
    assert_int_equal(fixture->warnings, 1);
    ledger_read_all(&fixture->ledger, MANY - 4);
    assert_int_equal(fixture->failures, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, journal_set_up, journal_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ledger_refuses_what_builds_on_what_found_no_room),
        TEST(ledger_refuses_until_all_refusals_are_known),
        TEST(ledger_votes_while_the_disk_is_full),
        TEST(ledger_ends_with_a_failed_write),
        TEST(ledger_gives_room_back),
        TEST(ledger_is_given_up_for_another),
        TEST(ledger_says_what_keeps_room_from_being_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
