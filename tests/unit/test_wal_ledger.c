/* What the log does for a ledger: votes, and bases that a snapshot stands behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/log_fixture.h"

/* Of the votes of a log only the newest is read; others' are not touched. At open all are told. */
static void wal_keeps_the_newest_vote(void **state)
{
    struct log_fixture *fixture = *state;

    log_open(fixture);
    log_append(fixture, OSR_WAL_VOTE, 1, 1, "one");
    log_append(fixture, OSR_WAL_VOTE, 2, 7, "other");
    log_append(fixture, OSR_WAL_ENTRY, 1, 1, "a");
    log_append(fixture, OSR_WAL_VOTE, 1, 2, "two");
    log_sync(fixture);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(log_read_from(fixture, 1), "V2.7=other E1.1=a V1.2=two ");
        assert_string_equal(log_read(fixture, 1, 1), "E1.1=a ");
        assert_int_equal(osr_wal_last_index(fixture->wal, 1), 1);
        log_reopen(fixture);
        assert_string_equal(log_seen(fixture), "V1.1=one V2.7=other E1.1=a V1.2=two ");
    }
}

/* A base hides entries and heads up to its index at once and after open; the others stay. */
static void wal_base_voids_what_is_below_it(void **state)
{
    struct log_fixture *fixture = *state;

    log_open(fixture);
    log_append(fixture, OSR_WAL_ENTRY, 1, 1, "a");
    log_append(fixture, OSR_WAL_ENTRY, 1, 2, "b");
    log_append(fixture, OSR_WAL_HEAD, 1, 2, "of b");
    log_append(fixture, OSR_WAL_ENTRY, 2, 1, "other");
    log_append(fixture, OSR_WAL_ENTRY, 1, 3, "c");
    log_append(fixture, OSR_WAL_HEAD, 1, 3, "of c");
    log_append(fixture, OSR_WAL_BASE, 1, 2, "snapshot");
    log_append(fixture, OSR_WAL_ENTRY, 1, 4, "next");
    log_append(fixture, OSR_WAL_BASE, 1, 1, "late"); /* changes nothing */
    log_sync(fixture);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(osr_wal_base_index(fixture->wal, 1), 2);
        assert_int_equal(osr_wal_last_index(fixture->wal, 1), 4);
        assert_string_equal(log_read(fixture, 1, 3), "E1.3=c H1.3=of c E1.4=next ");
        assert_int_equal(osr_wal_read(fixture->wal, 1, 2, log_see, fixture, &fixture->err),
                         OSR_NOT_FOUND);
        assert_string_equal(log_read(fixture, 2, 1), "E2.1=other ");
        assert_int_equal(osr_wal_base_index(fixture->wal, 2), 0);
        assert_string_equal(log_read_from(fixture, 2), "E2.1=other E1.3=c H1.3=of c "
                                                       "B1.2=snapshot E1.4=next ");
        log_reopen(fixture);
    }
}

/* A base above the last entry leaves no entry; the next one stands right behind it. */
static void wal_base_may_be_above_the_last_entry(void **state)
{
    struct log_fixture *fixture = *state;

    log_open(fixture);
    log_append(fixture, OSR_WAL_ENTRY, 1, 1, "a");
    log_append(fixture, OSR_WAL_ENTRY, 1, 2, "b");
    log_append(fixture, OSR_WAL_HEAD, 1, 2, "of b");
    log_append(fixture, OSR_WAL_BASE, 1, 10, "");
    log_append(fixture, OSR_WAL_BASE, 3, 5, ""); /* of a log without entries */
    log_sync(fixture);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(osr_wal_last_index(fixture->wal, 1), 10);
        assert_int_equal(osr_wal_last_index(fixture->wal, 3), 5);
        assert_string_equal(log_read_from(fixture, 1), "B1.10= B3.5= ");
        assert_int_equal(osr_wal_read(fixture->wal, 1, 10, log_see, fixture, &fixture->err),
                         OSR_NOT_FOUND);
        log_reopen(fixture);
    }
    log_append(fixture, OSR_WAL_ENTRY, 1, 11, "eleven");
    log_append(fixture, OSR_WAL_ENTRY, 3, 6, "six");
    assert_string_equal(log_read(fixture, 1, 11), "E1.11=eleven ");
    assert_string_equal(log_read(fixture, 3, 6), "E3.6=six ");
}

/* A truncation never cuts below the base: there the log goes on, not anywhere. */
static void wal_truncation_stops_at_the_base(void **state)
{
    struct log_fixture *fixture = *state;

    log_open(fixture);
    log_append_many(fixture, 9, 10);
    log_append(fixture, OSR_WAL_BASE, 1, 4, "");
    log_append(fixture, OSR_WAL_TRUNCATE, 1, 7, "");
    assert_int_equal(osr_wal_last_index(fixture->wal, 1), 7);
    log_append(fixture, OSR_WAL_TRUNCATE, 1, 3, "");
    log_sync(fixture);
    log_reopen(fixture);
    assert_int_equal(osr_wal_last_index(fixture->wal, 1), 4);
    log_append(fixture, OSR_WAL_ENTRY, 1, 5, "anew");
    assert_string_equal(log_read(fixture, 1, 5), "E1.5=anew ");
}

/* Entries `first` to 12 of log 1, in runs of four between which another log has one. */
static const char *expected_runs(uint64_t first, struct osr_buffer *text)
{
    text->size = 0;
    for (uint64_t index = first; index <= 12; index++)
        osr_buffer_add_format(text, "E1.%u=x ", (unsigned)index);
    osr_buffer_add(text, "", 1);
    return (const char *)text->data;
}

static void append_runs(struct log_fixture *fixture)
{
    for (uint64_t index = 1; index <= 12; index++) {
        log_append(fixture, OSR_WAL_ENTRY, 1, index, "x");
        if (index % 4 == 0)
            log_append(fixture, OSR_WAL_ENTRY, 2, index / 4, "y");
    }
}

/* Wherever a base cuts, within a run or between two, what is above it stays as it was. */
static void wal_base_cuts_anywhere(void **state)
{
    struct log_fixture *fixture = *state;
    struct osr_buffer text = {0};

    log_open(fixture);
    append_runs(fixture);
    for (uint64_t base = 1; base < 12; base++) {
        log_append(fixture, OSR_WAL_BASE, 1, base, "");
        log_sync(fixture);
        for (int i = 0; i < 2; i++) {
            assert_string_equal(log_read(fixture, 1, base + 1), expected_runs(base + 1, &text));
            assert_string_equal(log_read(fixture, 1, 12), "E1.12=x ");
            assert_string_equal(log_read(fixture, 2, 1), "E2.1=y E2.2=y E2.3=y ");
            log_reopen(fixture);
        }
    }
    osr_buffer_done(&text);
}

/* What a member of a ledger does in its life, a group of records after the other. */
struct group {
    struct osr_wal_record records[3];
    size_t count;
};

static size_t make_groups(struct group *groups)
{
    const struct group made[] = {
        {{log_record(OSR_WAL_VOTE, 1, 1, "one")}, 1},
        {{log_record(OSR_WAL_ENTRY, 1, 1, "a"), log_record(OSR_WAL_ENTRY, 1, 2, "b"),
          log_record(OSR_WAL_ENTRY, 1, 3, "c")},
         3},
        {{log_record(OSR_WAL_VOTE, 1, 2, "two"), log_record(OSR_WAL_TRUNCATE, 1, 2, ""),
          log_record(OSR_WAL_ENTRY, 1, 3, "d")},
         3},
        {{log_record(OSR_WAL_BASE, 1, 2, "snapshot")}, 1},
        {{log_record(OSR_WAL_ENTRY, 1, 4, "e")}, 1},
        {{log_record(OSR_WAL_TRUNCATE, 1, 9, ""), log_record(OSR_WAL_BASE, 1, 9, "received")}, 2},
        {{log_record(OSR_WAL_ENTRY, 1, 10, "f")}, 1},
    };
    memcpy(groups, made, sizeof(made));
    return sizeof(made) / sizeof(made[0]);
}

enum { GROUPS_MAX = 8 };

/* Lives until all is done or the disk goes down; how many groups were made safe. */
static size_t live_groups(struct log_fixture *fixture)
{
    struct group groups[GROUPS_MAX];
    size_t count = make_groups(groups);
    size_t done = 0;

    if (log_open_code(fixture) != 0)
        return 0;
    while (done < count &&
           osr_wal_append(fixture->wal, groups[done].records, groups[done].count, &fixture->err) ==
               0 &&
           osr_wal_sync(fixture->wal, &fixture->err) == 0)
        done++;
    log_close(fixture);
    return done;
}

/* Opens and compares: the records of the groups that were safe, and maybe some of the next. */
static void check_groups(struct log_fixture *fixture, size_t done)
{
    struct group groups[GROUPS_MAX];
    struct log_fixture all = {0};
    size_t count = make_groups(groups);
    size_t least = 0;

    for (size_t i = 0; i < count && i <= done; i++) {
        for (size_t j = 0; j < groups[i].count; j++)
            log_see(&all, &groups[i].records[j], NULL);
        least = i < done ? all.seen.size : least;
    }
    log_open(fixture);
    assert_in_range(fixture->seen.size, least, all.seen.size);
    assert_memory_equal(log_seen(fixture), log_seen(&all), fixture->seen.size);
    osr_buffer_done(&all.seen);
}

/* Wherever the power is cut, votes, entries, truncations and bases that were synced count. */
static void wal_keeps_a_ledger_when_power_is_cut_at_any_step(void **state)
{
    struct log_fixture *fixture = *state;
    bool is_down = true;

    for (uint64_t step = 1; is_down; step++) {
        size_t done;
        osr_sim_disk_destroy(fixture->sim);
        fixture->sim = osr_sim_disk_create(step);
        fixture->disk = osr_sim_disk_port(fixture->sim);
        osr_sim_disk_crash_at(fixture->sim, step);
        done = live_groups(fixture);
        is_down = osr_sim_disk_is_down(fixture->sim);
        osr_sim_disk_power_cut(fixture->sim);
        check_groups(fixture, done);
        if (done == 7) {
            assert_int_equal(osr_wal_base_index(fixture->wal, 1), 9);
            assert_string_equal(log_read(fixture, 1, 10), "E1.10=f ");
        }
        log_close(fixture);
    }
}

/* Fills a disk that has room for no further segment, to the last byte; the last entry's index. */
static uint64_t fill_disk(struct log_fixture *fixture)
{
    uint64_t index = osr_wal_last_index(fixture->wal, 1);
    int code;

    osr_sim_disk_set_capacity(fixture->sim, osr_sim_disk_used(fixture->sim));
    do
        code = log_append_code(fixture, OSR_WAL_ENTRY, 1, ++index, "");
    while (code == 0);
    assert_int_equal(code, OSR_DISK_FULL);
    log_sync(fixture);
    return index - 1;
}

/* A full disk stops entries, heads and facts, also in company, but not votes, cuts and bases. */
static void wal_keeps_room_for_votes_on_a_full_disk(void **state)
{
    struct log_fixture *fixture = *state;
    struct osr_wal_record mixed[2];
    uint64_t last;

    log_open(fixture);
    last = fill_disk(fixture);
    for (int i = 0; i < 2; i++) {
        uint64_t before = osr_wal_last_ordinal(fixture->wal);
        mixed[0] = log_record(OSR_WAL_VOTE, 1, 1, "");
        mixed[1] = log_record(OSR_WAL_ENTRY, 1, last + 1, "");
        assert_int_equal(log_append_code(fixture, OSR_WAL_ENTRY, 1, last + 1, ""), OSR_DISK_FULL);
        assert_int_equal(log_append_code(fixture, OSR_WAL_HEAD, 1, last, ""), OSR_DISK_FULL);
        assert_int_equal(log_append_code(fixture, OSR_WAL_FACT, 0, 0, ""), OSR_DISK_FULL);
        assert_int_equal(log_append_code(fixture, OSR_WAL_LOG, 9, 0, ""), OSR_DISK_FULL);
        assert_int_equal(osr_wal_append(fixture->wal, mixed, 2, &fixture->err), OSR_DISK_FULL);
        assert_int_equal(osr_wal_last_ordinal(fixture->wal), before);
        log_append(fixture, OSR_WAL_VOTE, 1, 7, "term and candidate");
        log_append(fixture, OSR_WAL_TRUNCATE, 1, --last, "");
        log_append(fixture, OSR_WAL_BASE, 1, (uint64_t)i + 2, "");
        log_sync(fixture);
        assert_int_equal(osr_wal_last_index(fixture->wal, 1), last);
        assert_int_equal(osr_wal_base_index(fixture->wal, 1), i + 2);
        log_reopen(fixture);
    }
    osr_sim_disk_set_capacity(fixture->sim, UINT64_MAX);
    log_append(fixture, OSR_WAL_ENTRY, 1, last + 1, "there is room again");
}

/* What is kept has its end too, and then takes nothing in part. */
static void wal_room_for_votes_has_an_end(void **state)
{
    struct log_fixture *fixture = *state;
    size_t votes = 0;

    log_open(fixture);
    fill_disk(fixture);
    while (log_append_code(fixture, OSR_WAL_VOTE, 1, 1, "sixteen bytes ..") == 0)
        votes++;
    assert_int_equal(fixture->err.code, OSR_DISK_FULL);
    assert_in_range(votes, LOG_SMALL_BYTES / OSR_WAL_RESERVE_SHARE / 48 - 1,
                    LOG_SMALL_BYTES / OSR_WAL_RESERVE_SHARE / 48 + 2);
    log_sync(fixture);
    log_reopen(fixture);
    assert_int_equal(log_append_code(fixture, OSR_WAL_VOTE, 1, 1, "sixteen bytes .."),
                     OSR_DISK_FULL);
    assert_int_equal(log_segment_bytes(fixture, 2), 0);
}

/* Once there is a next segment, entries take what was kept of the one before. */
static void wal_leaves_no_room_unused_where_there_is_more(void **state)
{
    struct log_fixture *fixture = *state;

    log_open(fixture);
    log_append_many(fixture, 100, 70);
    log_sync(fixture);
    assert_int_equal(osr_wal_prepare(fixture->wal, &fixture->err), 0);
    osr_sim_disk_set_capacity(fixture->sim, osr_sim_disk_used(fixture->sim));
    /* 16 KiB have room for (16384 - 4128) / 104 = 117 of them, up to the last one. */
    log_append_many(fixture, 117, 70);
    assert_int_equal(osr_wal_bytes(fixture->wal), 4128 + 117 * 104);
    log_append_many(fixture, 118, 70);
    assert_int_equal(osr_wal_bytes(fixture->wal), 2 * 4128 + 118 * 104);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, log_set_up, log_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(wal_keeps_the_newest_vote),
        WITH_FIXTURE(wal_base_voids_what_is_below_it),
        WITH_FIXTURE(wal_base_may_be_above_the_last_entry),
        WITH_FIXTURE(wal_base_cuts_anywhere),
        WITH_FIXTURE(wal_truncation_stops_at_the_base),
        WITH_FIXTURE(wal_keeps_a_ledger_when_power_is_cut_at_any_step),
        WITH_FIXTURE(wal_keeps_room_for_votes_on_a_full_disk),
        WITH_FIXTURE(wal_room_for_votes_has_an_end),
        WITH_FIXTURE(wal_leaves_no_room_unused_where_there_is_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
