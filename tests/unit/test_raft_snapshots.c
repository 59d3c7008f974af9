/* Snapshots: what of the log goes when there is one, and giving it to a member that needs what is
 * gone. */
#include "lib/raft_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { SIZE = 35 };

static void propose_some(struct raft_rig *rig, uint64_t leader, uint64_t token, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        raft_rig_propose(rig, leader, token + i, 10);
        raft_rig_settle(rig);
    }
}

/* Member 1 leads; member 3 has missed so much that the log of 1 does not have it any more. */
static struct raft_rig *with_one_behind(void)
{
    struct raft_rig *rig = raft_rig_create(3, 3);
    raft_rig_elect(rig, 1);
    raft_rig_settle(rig);
    rig->members[3].is_cut_off = true;
    propose_some(rig, 1, 100, 10);
    raft_rig_snapshot(rig, 1, SIZE);
    propose_some(rig, 1, 120, 10);
    raft_rig_snapshot(rig, 1, SIZE);
    propose_some(rig, 1, 140, 5);
    assert_true(raft_rig_info(rig, 1).base > raft_rig_info(rig, 3).last);
    raft_rig_forget(rig);
    return rig;
}

/* What lies between the last two snapshots stays for those that lag a little; what all have goes
 * with the first. */
static void the_log_goes_with_snapshots(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 3);
    raft_rig_elect(rig, 1);
    propose_some(rig, 1, 100, 5);
    rig->members[3].is_cut_off = true;
    propose_some(rig, 1, 110, 5);
    uint64_t had = raft_rig_info(rig, 3).last;
    raft_rig_snapshot(rig, 1, SIZE);
    uint64_t first = raft_rig_info(rig, 1).snapshot;
    assert_int_equal(first, raft_rig_info(rig, 1).last);
    assert_int_equal(raft_rig_info(rig, 1).base, had);
    assert_int_equal(raft_rig_last(rig, 1, OSR_RAFT_OUT_DISCARD)->discard.index, had);
    propose_some(rig, 1, 120, 5);
    raft_rig_snapshot(rig, 1, SIZE);
    assert_int_equal(raft_rig_info(rig, 1).base, first);
    raft_rig_snapshot(rig, 1, SIZE); /* of the same index: nothing new */
    assert_int_equal(raft_rig_info(rig, 1).base, first);
    raft_rig_destroy(rig);
}

/* A member that needs what is gone gets the snapshot, in chunks, and then the entries behind. */
static void who_is_far_behind_gets_the_snapshot(void **state)
{
    (void)state;
    struct raft_rig *rig = with_one_behind();
    rig->members[3].is_cut_off = false;
    raft_rig_advance(rig, RIG_TIMEOUT_MS);
    assert_int_equal(raft_rig_count(rig, 3, OSR_RAFT_OUT_INSTALL), 1);
    assert_int_equal(raft_rig_count(rig, 3, OSR_RAFT_OUT_WRITE_CHUNK), 4);
    assert_int_equal(raft_rig_info(rig, 3).applied, raft_rig_info(rig, 1).last);
    assert_int_equal(raft_rig_info(rig, 3).snapshot, raft_rig_info(rig, 1).snapshot);
    assert_int_equal(raft_rig_peer(rig, 1, 3).progress, OSR_RAFT_REPLICATING);
    raft_rig_start(rig, 3); /* the log begins behind the snapshot now */
    raft_rig_advance(rig, RIG_TIMEOUT_MS);
    assert_int_equal(raft_rig_info(rig, 3).base, raft_rig_info(rig, 3).snapshot);
    assert_int_equal(raft_rig_info(rig, 3).applied, raft_rig_info(rig, 1).last);
    raft_rig_destroy(rig);
}

/* Of the snapshot the first chunk has come, and is being written. */
static struct raft_rig *with_one_being_given(void)
{
    struct raft_rig *rig = with_one_behind();
    rig->members[3].is_cut_off = false;
    rig->members[3].holds_chunks = true;
    raft_rig_advance(rig, RIG_TIMEOUT_MS / 2);
    assert_int_equal(raft_rig_count(rig, 3, OSR_RAFT_OUT_WRITE_CHUNK), 1);
    return rig;
}

/* After an interruption it goes on where it was. */
static void an_interrupted_snapshot_goes_on(void **state)
{
    (void)state;
    struct raft_rig *rig = with_one_being_given();
    rig->members[3].holds_chunks = false;
    rig->members[3].is_cut_off = true;
    raft_rig_release(rig, 3, OSR_OK);
    assert_int_equal(raft_rig_said(rig, 1, OSR_RAFT_SNAPSHOT_TAKEN)->snapshot_taken.offset,
                     RIG_CHUNK_BYTES);
    raft_rig_advance(rig, RIG_TIMEOUT_MS / 2);
    rig->members[3].is_cut_off = false;
    raft_rig_advance(rig, RIG_TIMEOUT_MS);
    assert_int_equal(raft_rig_count(rig, 3, OSR_RAFT_OUT_WRITE_CHUNK), 4); /* none twice */
    assert_int_equal(raft_rig_count(rig, 3, OSR_RAFT_OUT_INSTALL), 1);
    raft_rig_destroy(rig);
}

/* What turns out to be damaged when it is whole is taken anew. */
static void a_damaged_snapshot_is_taken_again(void **state)
{
    (void)state;
    struct raft_rig *rig = with_one_behind();
    rig->members[3].is_cut_off = false;
    rig->members[3].is_corrupt = true;
    rig->members[3].holds_installs = true;
    raft_rig_advance(rig, 2 * RIG_HEARTBEAT_MS);
    assert_int_equal(raft_rig_count(rig, 3, OSR_RAFT_OUT_INSTALL), 1);
    rig->members[3].is_corrupt = false;
    rig->members[3].holds_installs = false;
    raft_rig_release(rig, 3, OSR_OK);
    raft_rig_advance(rig, RIG_TIMEOUT_MS);
    assert_int_equal(raft_rig_count(rig, 3, OSR_RAFT_OUT_INSTALL), 2);
    assert_int_equal(raft_rig_info(rig, 3).applied, raft_rig_info(rig, 1).last);
    raft_rig_destroy(rig);
}

/* A snapshot that was replaced while it was given is begun anew with the newer one. */
static void a_newer_snapshot_takes_its_place(void **state)
{
    (void)state;
    struct raft_rig *rig = with_one_being_given();
    raft_rig_snapshot(rig, 1, SIZE + 1); /* the caller has no other any more */
    rig->members[3].holds_chunks = false;
    raft_rig_release(rig, 3, OSR_OK);
    raft_rig_advance(rig, 2 * RIG_TIMEOUT_MS);
    assert_int_equal(raft_rig_info(rig, 3).snapshot, raft_rig_info(rig, 1).snapshot);
    assert_int_equal(raft_rig_info(rig, 3).applied, raft_rig_info(rig, 1).last);
    raft_rig_destroy(rig);
}

/* What stands behind a snapshot that is being given stays in the log meanwhile: else its receiver
 * would need the next snapshot at once. */
static void the_log_behind_a_given_snapshot_stays(void **state)
{
    (void)state;
    struct raft_rig *rig = with_one_being_given();
    uint64_t given = raft_rig_info(rig, 1).snapshot;
    propose_some(rig, 1, 200, 5);
    raft_rig_snapshot(rig, 1, SIZE);
    propose_some(rig, 1, 210, 5);
    raft_rig_snapshot(rig, 1, SIZE);
    assert_true(raft_rig_info(rig, 1).base <= given);
    raft_rig_destroy(rig);
}

/* Proposals under a snapshot: nobody can say any more what became of them. */
static void nobody_knows_what_a_snapshot_covers(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 3);
    raft_rig_elect(rig, 1);
    raft_rig_settle(rig);
    rig->members[1].is_cut_off = true;
    raft_rig_propose(rig, 1, 7, 10);
    raft_rig_settle(rig);
    raft_rig_advance(rig, 5 * RIG_TIMEOUT_MS);
    uint64_t leader = raft_rig_info(rig, 2).leader;
    propose_some(rig, leader, 100, 10);
    raft_rig_snapshot(rig, leader, SIZE);
    propose_some(rig, leader, 120, 10);
    raft_rig_snapshot(rig, leader, SIZE);
    assert_int_equal(raft_rig_failure(rig, 1, 7), OSR_OK);
    rig->members[1].is_cut_off = false;
    raft_rig_advance(rig, 2 * RIG_TIMEOUT_MS);
    assert_int_equal(raft_rig_failure(rig, 1, 7), OSR_TIMEOUT);
    assert_int_equal(raft_rig_info(rig, 1).applied, raft_rig_info(rig, leader).last);
    raft_rig_destroy(rig);
}

/* ---- own ones, and starts ---- */

/* The state machines may have a snapshot before they have said that its entries are applied. */
static void a_snapshot_may_be_made_before_applied_is_said(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(1, 1);
    rig->members[1].holds_applies = true;
    raft_rig_propose_many(rig, 1, 100, 5, 10);
    uint64_t last = raft_rig_info(rig, 1).last;
    assert_int_equal(rig->members[1].disk.applied, last);
    assert_true(raft_rig_info(rig, 1).applied < last);
    raft_rig_snapshot(rig, 1, SIZE);
    assert_int_equal(raft_rig_info(rig, 1).snapshot, last);
    rig->members[1].holds_applies = false;
    while (rig->members[1].held_count > 0) {
        raft_rig_release(rig, 1, OSR_OK);
    }
    assert_int_equal(raft_rig_info(rig, 1).applied, last);
    raft_rig_propose(rig, 1, 200, 10);
    assert_true(raft_rig_has_applied(rig, 1, 200));
    raft_rig_destroy(rig);
}

/* A start finds a snapshot, entries behind it that a base in front of it leaves, and a
 * configuration among them. */
static void a_start_goes_on_behind_the_snapshot(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 3);
    raft_rig_elect(rig, 1);
    propose_some(rig, 1, 100, 5);
    rig->members[3].is_cut_off = true;
    propose_some(rig, 1, 110, 5);
    raft_rig_snapshot(rig, 1, SIZE);
    propose_some(rig, 1, 120, 3);
    raft_rig_add(rig, 1, 130, 4, false);
    raft_rig_settle(rig);
    propose_some(rig, 1, 140, 3);
    struct osr_raft_info before = raft_rig_info(rig, 1);
    assert_true(before.base < before.snapshot && before.snapshot < before.configured_at);
    raft_rig_start(rig, 1);
    struct osr_raft_info after = raft_rig_info(rig, 1);
    assert_int_equal(after.base, before.base);
    assert_int_equal(after.last, before.last);
    assert_int_equal(after.configured_at, before.configured_at);
    assert_int_equal(osr_raft_members(rig->members[1].core)->count, 4);
    rig->members[3].is_cut_off = false;
    raft_rig_advance(rig, 5 * RIG_TIMEOUT_MS);
    uint64_t leader = raft_rig_info(rig, 1).leader;
    propose_some(rig, leader, 200, 1);
    for (uint64_t id = 1; id <= 3; id++) {
        assert_int_equal(raft_rig_info(rig, id).applied, raft_rig_info(rig, leader).last);
    }
    raft_rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_log_goes_with_snapshots),
        cmocka_unit_test(who_is_far_behind_gets_the_snapshot),
        cmocka_unit_test(an_interrupted_snapshot_goes_on),
        cmocka_unit_test(a_damaged_snapshot_is_taken_again),
        cmocka_unit_test(a_newer_snapshot_takes_its_place),
        cmocka_unit_test(the_log_behind_a_given_snapshot_stays),
        cmocka_unit_test(nobody_knows_what_a_snapshot_covers),
        cmocka_unit_test(a_snapshot_may_be_made_before_applied_is_said),
        cmocka_unit_test(a_start_goes_on_behind_the_snapshot),
    };
    return cmocka_run_group_tests_name("raft_snapshots", tests, NULL, NULL);
}
