/* Snapshots of another member's state: taken, and everything that may come in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/ledger_state_fixture.h"
#include "lib/loop.h"

enum {
    SNAPSHOT_BYTES = 40 << 10,
    ENTRIES = 500, /* enough for one; about 97 values are left of them */
    /* Of values, where a snapshot is to have several chunks and be made in several pieces. */
    LARGE_VALUE = 40 << 10,
    CHUNK = 10 << 10,
};

static int set_up(void **state)
{
    ledger_pair_set_up(state);
    ((struct ledger_pair *)*state)->giver.snapshot_bytes = SNAPSHOT_BYTES;
    return 0;
}

/* A member that was behind; its log ends at 30. */
static void open_behind(struct ledger_member *member)
{
    ledger_member_open(member, 0, 0);
    ledger_member_apply(member, 30);
}

/* ---- taking ---- */

static void take(struct ledger_pair *pair)
{
    const struct osr_raft_snapshot *snapshot = &pair->giver.snapshot;

    assert_int_equal(ledger_member_give(&pair->giver, &pair->taker), OSR_OK);
    assert_int_equal(ledger_member_check(&pair->taker, snapshot), OSR_OK);
    ledger_member_load(&pair->taker, snapshot);
}

/* A member that was behind has the giver's values, and goes on from there, as it does after a
 * restart. */
static void snapshot_is_given_and_taken(void **state)
{
    struct ledger_pair *pair = *state;
    struct ledger_member *taker = &pair->taker;

    pair->giver.value_size = taker->value_size = LARGE_VALUE;
    pair->giver.snapshot_bytes = 1;
    ledger_member_make(&pair->giver, 300);
    open_behind(taker);
    size_t restored = taker->restored;
    take(pair);
    assert_int_equal(taker->restored, restored + LEDGER_MACHINES);
    ledger_member_assert_at(taker, pair->giver.snapshot.index);
    uint64_t last = taker->applied + 55;
    ledger_member_apply(taker, last);
    ledger_member_close(taker);
    ledger_member_open(taker, pair->giver.snapshot.index, last);
    assert_memory_equal(&taker->snapshot, &pair->giver.snapshot, sizeof(taker->snapshot));
    ledger_member_assert_at(taker, last);
}

/* Whom it was given to can make one of its own, and give it to others. */
static void snapshot_that_was_taken_is_given_on(void **state)
{
    struct ledger_pair *pair = *state;
    struct ledger_member *taker = &pair->taker;

    taker->snapshot_bytes = SNAPSHOT_BYTES;
    ledger_member_make(&pair->giver, ENTRIES);
    ledger_member_open(taker, 0, 0);
    take(pair);
    assert_true(ledger_member_read(taker, pair->giver.snapshot.index, 0, CHUNK));
    ledger_member_make_another(taker, ENTRIES);
    assert_true(taker->snapshot.index > pair->giver.snapshot.index);
    assert_int_equal(taker->snapshot.term, ledger_term_at(taker->snapshot.index));
}

/* Closed when some of it had come, or all: nothing has changed, and nothing is left of it. */
static void snapshot_that_was_not_checked_leaves_nothing(void **state)
{
    struct ledger_pair *pair = *state;
    struct ledger_member *taker = &pair->taker;
    const struct osr_raft_snapshot *snapshot = &pair->giver.snapshot;

    ledger_member_make(&pair->giver, ENTRIES);
    for (int i = 0; i < 2; i++) {
        if (i == 0) {
            open_behind(taker);
            assert_true(ledger_member_read(&pair->giver, snapshot->index, 0, 1000));
            assert_int_equal(
                ledger_member_write(taker, snapshot, 0, osr_buffer_slice(&pair->giver.chunk)),
                OSR_OK);
        } else {
            assert_int_equal(ledger_member_give(&pair->giver, taker), OSR_OK);
        }
        ledger_member_close(taker);
        ledger_member_open(taker, 0, 30);
        assert_int_equal(taker->snapshot.index, 0);
        scratch_run(taker->folder, "test $(ls ledger/snapshots | wc -l) = 0");
        ledger_member_assert_at(taker, 30);
    }
    take(pair);
    ledger_member_assert_at(taker, snapshot->index);
}

/* Closed when it was checked, whether the log says so yet or not: its values are loaded at the next
 * start. */
static void snapshot_that_was_checked_is_loaded_at_the_next_start(void **state)
{
    struct ledger_pair *pair = *state;
    struct ledger_member *taker = &pair->taker;
    const struct osr_raft_snapshot *snapshot = &pair->giver.snapshot;

    ledger_member_make(&pair->giver, ENTRIES);
    open_behind(taker);
    assert_int_equal(ledger_member_give(&pair->giver, taker), OSR_OK);
    assert_int_equal(ledger_member_check(taker, snapshot), OSR_OK);
    ledger_member_close(taker);
    scratch_run(taker->folder, "cp -r ledger copy");
    ledger_member_open(taker, 0, 30);
    assert_int_equal(taker->applied, snapshot->index);
    ledger_member_assert_at(taker, snapshot->index);
    ledger_member_close(taker);
    scratch_run(taker->folder, "rm -r ledger && mv copy ledger");
    ledger_member_open(taker, snapshot->index, snapshot->index);
    assert_memory_equal(&taker->snapshot, snapshot, sizeof(*snapshot));
    ledger_member_assert_at(taker, snapshot->index);
}

/* Values that were lost, snapshot that was not: the same. */
static void snapshot_replaces_lost_values(void **state)
{
    struct ledger_pair *pair = *state;
    struct ledger_member *member = &pair->giver;

    ledger_member_make(member, ENTRIES);
    uint64_t index = member->snapshot.index;
    ledger_member_close(member);
    scratch_run(member->folder, "rm ledger/values.mdb*");
    ledger_member_open(member, 0, ENTRIES);
    assert_int_equal(member->applied, index);
    ledger_member_assert_at(member, index);
    ledger_member_apply(member, ENTRIES);
    ledger_member_assert_at(member, ENTRIES);
}

/* A snapshot that is damaged and is needed: the message says how to come back. */
static void snapshot_that_is_damaged_stops_the_start(void **state)
{
    struct ledger_pair *pair = *state;
    struct ledger_member *member = &pair->giver;

    ledger_member_make(member, ENTRIES);
    ledger_member_close(member);
    scratch_run(member->folder, "rm ledger/values.mdb* && printf x | dd of=$(ls "
                                "ledger/snapshots/*) bs=1 seek=17000 conv=notrunc status=none");
    assert_int_equal(ledger_member_open_code(member, member->snapshot.index, ENTRIES), OSR_CORRUPT);
    assert_non_null(strstr(member->err.hint, "osiris cluster remove"));
}

/* ---- taking what is not right ---- */

/* Other bytes than were announced are refused, nothing changes, and the right ones are taken. */
static void snapshot_with_another_checksum_is_refused(void **state)
{
    struct ledger_pair *pair = *state;
    struct ledger_member *taker = &pair->taker;
    const struct osr_raft_snapshot *snapshot = &pair->giver.snapshot;

    ledger_member_make(&pair->giver, ENTRIES);
    open_behind(taker);
    pair->giver.snapshot.checksum ^= 1;
    assert_int_equal(ledger_member_give(&pair->giver, taker), OSR_OK);
    assert_int_equal(ledger_member_check(taker, snapshot), OSR_CORRUPT);
    assert_int_equal(ledger_member_check(taker, snapshot), OSR_CORRUPT);
    ledger_member_assert_at(taker, 30);
    pair->giver.snapshot.checksum ^= 1;
    take(pair);
    ledger_member_assert_at(taker, snapshot->index);
    assert_int_equal(taker->failures, 0);
}

/* The first bytes of one and the last of another make none, nor do those that are not the next;
 * what is refused changes nothing. */
static void snapshots_are_not_mixed(void **state)
{
    struct ledger_pair *pair = *state;
    struct ledger_member *taker = &pair->taker;
    struct ledger_member *giver = &pair->giver;

    ledger_member_make(giver, ENTRIES);
    struct osr_raft_snapshot first = giver->snapshot;
    ledger_member_make_another(giver, ENTRIES);
    open_behind(taker);
    assert_true(ledger_member_read(giver, first.index, 0, 1000));
    struct osr_slice chunk = osr_buffer_slice(&giver->chunk);
    assert_int_equal(ledger_member_write(taker, &first, 1000, chunk), OSR_INVALID_ARGUMENT);
    assert_int_equal(ledger_member_write(taker, &first, 0, chunk), OSR_OK);
    assert_int_equal(ledger_member_write(taker, &giver->snapshot, 1000, chunk),
                     OSR_INVALID_ARGUMENT);
    assert_int_equal(ledger_member_write(taker, &first, 999, chunk), OSR_INVALID_ARGUMENT);
    assert_true(ledger_member_read(giver, first.index, 1000, 1000));
    chunk = osr_buffer_slice(&giver->chunk);
    assert_int_equal(ledger_member_write(taker, &first, 1000, chunk), OSR_OK);
    assert_int_equal(ledger_member_check(taker, &giver->snapshot), OSR_CORRUPT);
    take(pair);
    ledger_member_assert_at(taker, giver->snapshot.index);
}

/* Bytes that are what was announced, and no values: refused before the log says anything. */
static void snapshot_without_sense_is_refused(void **state)
{
    struct ledger_pair *pair = *state;
    struct ledger_member *taker = &pair->taker;
    static const char *const bytes[] = {"\001nothing like a value", "\002of a later format"};

    ledger_member_make(&pair->giver, ENTRIES);
    open_behind(taker);
    for (size_t i = 0; i < 2; i++) {
        struct osr_raft_snapshot snapshot = pair->giver.snapshot;
        snapshot.size = strlen(bytes[i]);
        assert_int_equal(ledger_member_write(taker, &snapshot, 0, osr_slice_text(bytes[i])),
                         OSR_OK);
        assert_int_equal(ledger_member_check(taker, &snapshot),
                         i == 0 ? OSR_CORRUPT : OSR_UNSUPPORTED_VERSION);
    }
    ledger_member_assert_at(taker, 30);
    assert_int_equal(taker->failures, 0);
}

/* With no room for it, what came is thrown away: it begins anew once there is. */
static void snapshot_begins_anew_on_a_full_disk(void **state)
{
    struct ledger_pair *pair = *state;
    struct ledger_member *taker = &pair->taker;
    const struct osr_raft_snapshot *snapshot = &pair->giver.snapshot;

    pair->giver.value_size = taker->value_size = LARGE_VALUE;
    pair->giver.snapshot_bytes = 1;
    ledger_member_make(&pair->giver, 100);
    open_behind(taker);
    taker->disk.has_no_room = true;
    assert_int_equal(ledger_member_give(&pair->giver, taker), OSR_DISK_FULL);
    scratch_run(taker->folder, "test $(ls ledger/snapshots | wc -l) = 0");
    taker->disk.has_no_room = false;
    assert_int_equal(ledger_member_give(&pair->giver, taker), OSR_OK);
    taker->disk.has_no_room = true;
    assert_int_equal(ledger_member_check(taker, snapshot), OSR_DISK_FULL);
    taker->disk.has_no_room = false;
    assert_int_equal(ledger_member_check(taker, snapshot), OSR_CORRUPT); /* what came is gone */
    take(pair);
    ledger_member_assert_at(taker, snapshot->index);
    assert_int_equal(taker->failures, 0);
}

/* Where the log had no room to note it, it is checked again, and is still there. */
static void snapshot_may_be_checked_again(void **state)
{
    struct ledger_pair *pair = *state;
    const struct osr_raft_snapshot *snapshot = &pair->giver.snapshot;

    ledger_member_make(&pair->giver, ENTRIES);
    open_behind(&pair->taker);
    assert_int_equal(ledger_member_give(&pair->giver, &pair->taker), OSR_OK);
    assert_int_equal(ledger_member_check(&pair->taker, snapshot), OSR_OK);
    assert_int_equal(ledger_member_check(&pair->taker, snapshot), OSR_OK);
    ledger_member_load(&pair->taker, snapshot);
    ledger_member_assert_at(&pair->taker, snapshot->index);
}

/* Where the entries come after all before it is used, its values are thrown away, and own ones are
 * made again. */
static void snapshot_that_is_overtaken_is_thrown_away(void **state)
{
    struct ledger_pair *pair = *state;
    struct ledger_member *taker = &pair->taker;

    ledger_member_make(&pair->giver, ENTRIES);
    taker->snapshot_bytes = SNAPSHOT_BYTES;
    open_behind(taker);
    assert_int_equal(ledger_member_give(&pair->giver, taker), OSR_OK);
    assert_int_equal(ledger_member_check(taker, &pair->giver.snapshot), OSR_OK);
    scratch_run(taker->folder, "test -e ledger/values.new.mdb");
    ledger_member_make_another(taker, ENTRIES);
    assert_true(taker->snapshot.index >= pair->giver.snapshot.index);
    loop_idle(&pair->loop, 1500);
    scratch_run(taker->folder, "test ! -e ledger/values.new.mdb");
    ledger_member_assert_at(taker, taker->applied);
}

/* One of its own that is under way gives way to one that is taken. */
static void snapshot_under_way_gives_way(void **state)
{
    struct ledger_pair *pair = *state;
    struct ledger_member *taker = &pair->taker;
    struct osr_ledger_state_info info;

    pair->giver.value_size = taker->value_size = LARGE_VALUE;
    pair->giver.snapshot_bytes = 1;
    ledger_member_make(&pair->giver, 300);
    taker->snapshot_bytes = (uint64_t)6 << 20;
    ledger_member_open(taker, 0, 0);
    ledger_member_apply(taker, 120);
    assert_int_equal(ledger_member_give(&pair->giver, taker), OSR_OK);
    do {
        ledger_member_apply(taker, taker->applied + 1);
        loop_idle(&pair->loop, 1);
        osr_ledger_state_info(taker->state, &info);
    } while (!info.is_making);
    assert_true(taker->applied < pair->giver.snapshot.index);
    assert_int_equal(ledger_member_check(taker, &pair->giver.snapshot), OSR_OK);
    assert_int_equal(taker->snapshots, 0);
    ledger_member_load(taker, &pair->giver.snapshot);
    ledger_member_assert_at(taker, pair->giver.snapshot.index);
}

/* A close in the middle of anything leaves a folder that opens. */
static void snapshot_under_way_does_not_hinder_a_close(void **state)
{
    struct ledger_pair *pair = *state;
    struct ledger_member *giver = &pair->giver;

    giver->value_size = LARGE_VALUE;
    giver->snapshot_bytes = (uint64_t)4 << 20;
    ledger_member_open(giver, 0, 0);
    for (uint64_t last = 120; last < 1200; last += 120) {
        ledger_member_apply(giver, last);
        osr_ledger_state_read_chunk(giver->state, 1, giver->snapshot.index, 0, CHUNK);
        loop_idle(&pair->loop, (int)(last % 70));
        ledger_member_close(giver);
        ledger_member_open(giver, 0, last);
        assert_int_equal(giver->applied, last);
    }
    ledger_member_assert_at(giver, giver->applied);
}

#define SNAPSHOT_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, ledger_pair_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SNAPSHOT_TEST(snapshot_is_given_and_taken),
        SNAPSHOT_TEST(snapshot_that_was_taken_is_given_on),
        SNAPSHOT_TEST(snapshot_that_was_not_checked_leaves_nothing),
        SNAPSHOT_TEST(snapshot_that_was_checked_is_loaded_at_the_next_start),
        SNAPSHOT_TEST(snapshot_replaces_lost_values),
        SNAPSHOT_TEST(snapshot_that_is_damaged_stops_the_start),
        SNAPSHOT_TEST(snapshot_with_another_checksum_is_refused),
        SNAPSHOT_TEST(snapshots_are_not_mixed),
        SNAPSHOT_TEST(snapshot_without_sense_is_refused),
        SNAPSHOT_TEST(snapshot_begins_anew_on_a_full_disk),
        SNAPSHOT_TEST(snapshot_may_be_checked_again),
        SNAPSHOT_TEST(snapshot_that_is_overtaken_is_thrown_away),
        SNAPSHOT_TEST(snapshot_under_way_gives_way),
        SNAPSHOT_TEST(snapshot_under_way_does_not_hinder_a_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
