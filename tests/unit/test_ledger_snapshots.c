/* Snapshots of a ledger's own state: made, and read for others. Taking them is in
 * test_ledger_taking.c. */
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

/* ---- making ---- */

/* One is made when the log has grown, and says which term and configuration hold there. */
static void snapshot_is_made_when_the_log_has_grown(void **state)
{
    struct ledger_pair *pair = *state;
    struct ledger_member *member = &pair->giver;
    struct osr_raft_configuration configuration;

    ledger_member_open(member, 0, 0);
    assert_int_equal(member->snapshot.index, 0);
    ledger_member_apply(member, 100);
    loop_idle(&pair->loop, 100);
    assert_int_equal(member->snapshots, 0);
    ledger_member_apply(member, ENTRIES);
    ledger_member_wait(member, &member->snapshots, 1);
    assert_in_range(member->snapshot.index, 101, ENTRIES);
    assert_int_equal(member->snapshot.term, ledger_term_at(member->snapshot.index));
    ledger_configuration_at(member->snapshot.index, &configuration);
    assert_memory_equal(&member->snapshot.configuration, &configuration, sizeof(configuration));
    loop_idle(&pair->loop, 100);
    assert_int_equal(member->snapshots, 1);
}

/* A state larger than that: no other before the log is as large as it. */
static void snapshot_waits_for_a_log_as_large_as_it(void **state)
{
    struct ledger_pair *pair = *state;
    struct ledger_member *member = &pair->giver;

    member->value_size = 2000; /* 97 values, of which some are removed */
    ledger_member_make(member, 40);
    while (member->snapshot.size < (uint64_t)3 * SNAPSHOT_BYTES) {
        ledger_member_make_another(member, ENTRIES);
    }
    size_t snapshots = member->snapshots;
    ledger_member_apply(member, member->applied + 25); /* 50 KB */
    loop_idle(&pair->loop, 200);
    assert_int_equal(member->snapshots, snapshots);
    ledger_member_make_another(member, ENTRIES);
}

/* What is in the log at the start counts. */
static void snapshot_is_made_of_what_was_in_the_log(void **state)
{
    struct ledger_pair *pair = *state;
    struct ledger_member *member = &pair->giver;

    ledger_member_open(member, 0, 0);
    ledger_member_apply(member, 100);
    ledger_member_close(member);
    member->log_bytes = SNAPSHOT_BYTES;
    ledger_member_open(member, 0, 100);
    ledger_member_apply(member, 102);
    ledger_member_wait(member, &member->snapshots, 1);
    assert_in_range(member->snapshot.index, 101, 102);
}

/* It is there again at the next start, with all that was said of it. */
static void snapshot_is_found_at_the_next_start(void **state)
{
    struct ledger_pair *pair = *state;
    struct ledger_member *member = &pair->giver;

    ledger_member_make(member, ENTRIES);
    struct osr_raft_snapshot made = member->snapshot;
    ledger_member_close(member);
    scratch_run(member->folder, "touch ledger/snapshots/00000000000000009999.snapshot.tmp");
    ledger_member_open(member, made.index, ENTRIES);
    assert_memory_equal(&member->snapshot, &made, sizeof(made));
    assert_int_equal(member->applied, ENTRIES);
    assert_true(ledger_member_read(member, made.index, 0, CHUNK));
    scratch_run(member->folder, "test $(ls ledger/snapshots | wc -l) = 1");
}

/* With no room for it nothing is lost, and it is made once there is. */
static void snapshot_is_tried_again_on_a_full_disk(void **state)
{
    struct ledger_pair *pair = *state;
    struct ledger_member *member = &pair->giver;
    struct osr_ledger_state_info info;

    ledger_member_open(member, 0, 0);
    member->disk.has_no_room = true;
    ledger_member_apply(member, ENTRIES);
    do {
        loop_idle(&pair->loop, 10);
        osr_ledger_state_info(member->state, &info);
    } while (!info.is_busy);
    assert_int_equal(member->snapshots, 0);
    scratch_run(member->folder, "test $(ls ledger/snapshots | wc -l) = 0");
    ledger_member_apply(member, ENTRIES + 1);
    member->disk.has_no_room = false;
    ledger_member_wait(member, &member->snapshots, 1);
    assert_int_equal(member->failures, 0);
    ledger_member_assert_at(member, ENTRIES + 1);
}

/* A disk that fails ends the process. */
static void snapshot_ends_all_on_a_failing_disk(void **state)
{
    struct ledger_pair *pair = *state;
    struct ledger_member *member = &pair->giver;

    ledger_member_open(member, 0, 0);
    member->disk.fails = true;
    ledger_member_apply(member, ENTRIES);
    ledger_member_wait(member, &member->failures, 1);
    assert_int_equal(member->err.code, OSR_IO);
}

/* ---- giving ---- */

/* Who reads one goes on when another has been made; who comes later does not find it. */
static void snapshot_is_read_on_when_another_is_made(void **state)
{
    struct ledger_pair *pair = *state;
    struct ledger_member *giver = &pair->giver;
    struct osr_buffer before = {0};

    ledger_member_make(giver, ENTRIES);
    uint64_t index = giver->snapshot.index;
    assert_true(ledger_member_read(giver, index, 100, CHUNK));
    osr_buffer_add(&before, giver->chunk.data, giver->chunk.size);
    ledger_member_make_another(giver, ENTRIES);
    assert_true(giver->snapshot.index > index);
    assert_true(ledger_member_read(giver, index, 100, CHUNK));
    assert_true(osr_slice_equal(osr_buffer_slice(&giver->chunk), osr_buffer_slice(&before)));
    assert_true(ledger_member_read(giver, giver->snapshot.index, 0, CHUNK));
    assert_false(ledger_member_read(giver, index + 1, 0, CHUNK));
    ledger_member_close(giver);
    ledger_member_open(giver, giver->snapshot.index, giver->applied);
    assert_false(ledger_member_read(giver, index, 0, CHUNK));
    osr_buffer_done(&before);
}

/* However many are made, few are kept open; the newest always. */
static void snapshot_readers_are_few(void **state)
{
    struct ledger_pair *pair = *state;
    struct ledger_member *giver = &pair->giver;
    size_t found = 0;

    ledger_member_make(giver, ENTRIES);
    uint64_t indices[8] = {giver->snapshot.index};
    for (size_t i = 1; i < 8; i++) {
        ledger_member_make_another(giver, ENTRIES);
        indices[i] = giver->snapshot.index;
    }
    for (size_t i = 0; i < 8; i++) {
        found += ledger_member_read(giver, indices[i], 0, CHUNK) ? 1 : 0;
    }
    assert_in_range(found, 2, 4);
    assert_true(ledger_member_read(giver, giver->snapshot.index, 0, CHUNK));
}

/* One that turns out to be damaged is not given, and another is made in its place. */
static void snapshot_that_is_damaged_is_made_anew(void **state)
{
    struct ledger_pair *pair = *state;
    struct ledger_member *giver = &pair->giver;

    ledger_member_make(giver, ENTRIES);
    loop_idle(&pair->loop, 50);
    scratch_run(giver->folder, "printf x | dd of=$(ls ledger/snapshots/*) bs=1 seek=17000 "
                               "conv=notrunc status=none");
    size_t snapshots = giver->snapshots;
    assert_false(ledger_member_read(giver, giver->snapshot.index, 0, CHUNK));
    ledger_member_wait(giver, &giver->snapshots, snapshots + 1);
    ledger_member_open(&pair->taker, 0, 0);
    assert_int_equal(ledger_member_give(giver, &pair->taker), OSR_OK);
    assert_int_equal(ledger_member_check(&pair->taker, &giver->snapshot), OSR_OK);
}

#define SNAPSHOT_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, ledger_pair_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SNAPSHOT_TEST(snapshot_is_made_when_the_log_has_grown),
        SNAPSHOT_TEST(snapshot_waits_for_a_log_as_large_as_it),
        SNAPSHOT_TEST(snapshot_is_made_of_what_was_in_the_log),
        SNAPSHOT_TEST(snapshot_is_found_at_the_next_start),
        SNAPSHOT_TEST(snapshot_is_tried_again_on_a_full_disk),
        SNAPSHOT_TEST(snapshot_ends_all_on_a_failing_disk),
        SNAPSHOT_TEST(snapshot_is_read_on_when_another_is_made),
        SNAPSHOT_TEST(snapshot_readers_are_few),
        SNAPSHOT_TEST(snapshot_that_is_damaged_is_made_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
