/* Disks without room: a leader steps down, a follower forgets what it could not store, and both go
 * on when there is room again. Member 1 is the core, others are played by the test, unless a test
 * says otherwise. */
#include "lib/raft_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { TERM = 5 };

/* Member 1 leads, and knows that the log of member 2 is as long as its own. */
static struct raft_rig *leading(size_t voters)
{
    struct raft_rig *rig = raft_rig_create(voters, 1);
    raft_rig_elect(rig, 1);
    raft_rig_appended(rig, 2, 1, raft_rig_info(rig, 1).last);
    raft_rig_forget(rig);
    return rig;
}

/* An APPEND of member 2 with entries of that term up to `last`. */
static void append(struct raft_rig *rig, uint64_t term, uint64_t previous, uint64_t previous_term,
                   uint64_t last)
{
    struct osr_raft_entry entries[8];
    struct osr_raft_message message = rig_message(OSR_RAFT_APPEND, 2, 1, term);
    for (uint64_t index = previous + 1; index <= last; index++) {
        entries[index - previous - 1] = (struct osr_raft_entry){
            .index = index, .term = term, .kind = OSR_RAFT_COMMAND, .payload = osr_slice_text("a")};
    }
    message.append.previous_index = previous;
    message.append.previous_term = previous_term;
    message.append.entries = entries;
    message.append.count = (size_t)(last - previous);
    raft_rig_deliver(rig, &message);
}

static uint64_t acked(struct raft_rig *rig)
{
    const struct osr_raft_message *reply = raft_rig_said(rig, 2, OSR_RAFT_APPENDED);
    assert_non_null(reply);
    return reply->appended.index;
}

/* ---- a leader ---- */

/* A leader that could not store hands over to whoever has most, and says where nothing was done;
 * what others were sent may still come to be. */
static void a_leader_without_room_hands_over(void **state)
{
    (void)state;
    struct raft_rig *rig = leading(3);
    rig->members[1].holds_stores = true;
    raft_rig_propose_many(rig, 1, 100, 5, 90); /* a window has room for four */
    assert_int_equal(raft_rig_count_said(rig, 2, OSR_RAFT_APPEND), RIG_WINDOW_MESSAGES);
    rig->members[1].is_full = true;
    raft_rig_release(rig, 1, OSR_DISK_FULL);
    struct osr_raft_info info = raft_rig_info(rig, 1);
    assert_int_equal(info.role, OSR_RAFT_FOLLOWER);
    assert_int_equal(raft_rig_count_said(rig, 2, OSR_RAFT_ELECT_NOW), 1);
    assert_int_equal(info.last, 2);
    assert_int_equal(info.last, rig->members[1].disk.last);
    assert_int_equal(raft_rig_failure(rig, 1, 103), OSR_OK);
    assert_int_equal(raft_rig_failure(rig, 1, 104), OSR_DISK_FULL);
    raft_rig_propose(rig, 1, 200, 10);
    assert_int_equal(raft_rig_failure(rig, 1, 200), OSR_DISK_FULL);
    raft_rig_destroy(rig);
}

/* Three cores: the others go on with what they were sent, and the full one follows. */
static void others_go_on(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 3);
    raft_rig_elect(rig, 1);
    raft_rig_settle(rig);
    rig->members[1].is_full = true;
    raft_rig_propose(rig, 1, 7, 10);
    raft_rig_advance(rig, 2 * RIG_TIMEOUT_MS);
    uint64_t leader = raft_rig_info(rig, 2).leader;
    assert_true(leader == 2 || leader == 3);
    assert_int_equal(raft_rig_info(rig, leader).commit, 4); /* the proposal, and NOTHING */
    assert_int_equal(raft_rig_info(rig, 1).applied, 2);
    rig->members[1].is_full = false;
    raft_rig_advance(rig, RIG_TIMEOUT_MS);
    assert_true(raft_rig_has_applied(rig, 1, 7));
    assert_int_equal(raft_rig_failure(rig, 1, 7), OSR_OK);
    raft_rig_destroy(rig);
}

/* Alone there is nobody to hand over to: commands fail until there is room, and then not. */
static void a_sole_voter_comes_back(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(1, 1);
    rig->members[1].is_full = true;
    raft_rig_propose(rig, 1, 7, 10);
    assert_int_equal(raft_rig_failure(rig, 1, 7), OSR_DISK_FULL);
    raft_rig_advance(rig, 10 * RIG_TIMEOUT_MS);
    raft_rig_propose(rig, 1, 8, 10);
    assert_int_equal(raft_rig_failure(rig, 1, 8), OSR_DISK_FULL);
    rig->members[1].is_full = false;
    raft_rig_advance(rig, 5 * RIG_TIMEOUT_MS);
    raft_rig_propose(rig, 1, 9, 10);
    assert_true(raft_rig_has_applied(rig, 1, 9));
    assert_int_equal(raft_rig_info(rig, 1).last, rig->members[1].disk.last);
    raft_rig_destroy(rig);
}

/* Whoever has no room stands later than others would. */
static void who_is_full_stands_late(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    append(rig, TERM, 1, 1, 1);
    rig->members[1].is_full = true;
    append(rig, TERM, 1, 1, 2);
    append(rig, TERM, 1, 1, 1); /* a heartbeat */
    assert_true(osr_raft_deadline_ms(rig->members[1].core) >= rig->now_ms + 3 * RIG_TIMEOUT_MS);
    rig->members[1].is_full = false;
    append(rig, TERM, 1, 1, 2);
    append(rig, TERM, 2, TERM, 2);
    assert_true(osr_raft_deadline_ms(rig->members[1].core) <= rig->now_ms + 2 * RIG_TIMEOUT_MS);
    raft_rig_destroy(rig);
}

/* ---- a follower ---- */

/* What was not stored is not acknowledged, and forgotten: the leader sends it again. */
static void a_follower_forgets_what_was_not_stored(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    append(rig, TERM, 1, 1, 2);
    rig->members[1].is_full = true;
    append(rig, TERM, 2, TERM, 5);
    assert_int_equal(raft_rig_info(rig, 1).last, 2);
    assert_int_equal(acked(rig), 2);
    append(rig, TERM, 5, TERM, 6); /* it does not fit behind what is there */
    assert_true(raft_rig_said(rig, 2, OSR_RAFT_APPENDED)->appended.is_refused);
    assert_int_equal(raft_rig_said(rig, 2, OSR_RAFT_APPENDED)->appended.hint_index, 2);
    rig->members[1].is_full = false;
    append(rig, TERM, 2, TERM, 6);
    assert_int_equal(acked(rig), 6);
    assert_int_equal(rig->members[1].disk.last, 6);
    raft_rig_destroy(rig);
}

/* Nothing is stored behind a gap: what was put out after it is answered likewise. */
static void what_stands_behind_is_forgotten_too(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    append(rig, TERM, 1, 1, 1);
    rig->members[1].holds_stores = true;
    append(rig, TERM, 1, 1, 2);
    append(rig, TERM, 2, TERM, 3);
    raft_rig_release(rig, 1, OSR_DISK_FULL);
    assert_int_equal(raft_rig_info(rig, 1).last, 1);
    append(rig, TERM, 1, 1, 4); /* sent again before the second answer is there */
    raft_rig_release(rig, 1, OSR_DISK_FULL);
    assert_int_equal(raft_rig_info(rig, 1).last, 4);
    raft_rig_release(rig, 1, OSR_OK);
    assert_int_equal(acked(rig), 4);
    assert_int_equal(rig->members[1].disk.last, 4);
    raft_rig_destroy(rig);
}

/* The disk keeps a tail that was to be cut off: the next STORE does it. */
static void the_next_store_cuts_what_stayed(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    append(rig, TERM, 1, 1, 6);
    rig->members[1].is_full = true;
    append(rig, TERM + 1, 2, TERM, 3);
    assert_int_equal(raft_rig_info(rig, 1).last, 2);
    assert_int_equal(rig->members[1].disk.last, 6);
    rig->members[1].is_full = false;
    append(rig, TERM + 1, 2, TERM, 3);
    assert_int_equal(raft_rig_last(rig, 1, OSR_RAFT_OUT_STORE)->store.truncate_after, 2);
    assert_int_equal(rig->members[1].disk.last, 3);
    append(rig, TERM + 1, 3, TERM + 1, 4);
    assert_true(raft_rig_last(rig, 1, OSR_RAFT_OUT_STORE)->store.truncate_after == UINT64_MAX);
    raft_rig_destroy(rig);
}

/* Terms that follow each other while the disk is slow make one STORE, not one each; the latest vote
 * is what is stored in the end. */
static void votes_do_not_queue_up(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    rig->members[1].holds_stores = true;
    for (uint64_t term = 10; term < 100; term++) {
        struct osr_raft_message request = rig_message(OSR_RAFT_VOTE_REQUEST, 2, 1, term);
        request.vote_request.last_index = 1;
        request.vote_request.last_term = 1;
        raft_rig_deliver(rig, &request);
    }
    assert_int_equal(raft_rig_count(rig, 1, OSR_RAFT_OUT_STORE), 1);
    assert_null(raft_rig_said(rig, 2, OSR_RAFT_VOTE_REPLY));
    raft_rig_release(rig, 1, OSR_OK);
    assert_null(raft_rig_said(rig, 2, OSR_RAFT_VOTE_REPLY));
    raft_rig_release(rig, 1, OSR_OK);
    assert_int_equal(raft_rig_said(rig, 2, OSR_RAFT_VOTE_REPLY)->term, 99);
    assert_int_equal(rig->members[1].disk.vote.term, 99);
    assert_int_equal(rig->members[1].held_count, 0);
    raft_rig_destroy(rig);
}

/* A chunk of a snapshot without room is asked for again, and the snapshot goes on there. */
static void a_snapshot_waits_for_room(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 3);
    raft_rig_elect(rig, 1);
    raft_rig_settle(rig);
    rig->members[3].is_cut_off = true;
    for (uint64_t round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < 10; i++) {
            raft_rig_propose(rig, 1, 100 * round + i + 1, 10);
            raft_rig_settle(rig);
        }
        raft_rig_snapshot(rig, 1, 25);
    }
    rig->members[3].is_cut_off = false;
    rig->members[3].is_full = true;
    raft_rig_advance(rig, RIG_TIMEOUT_MS);
    assert_int_equal(raft_rig_count(rig, 3, OSR_RAFT_OUT_INSTALL), 0);
    rig->members[3].is_full = false;
    raft_rig_advance(rig, RIG_TIMEOUT_MS);
    assert_int_equal(raft_rig_count(rig, 3, OSR_RAFT_OUT_INSTALL), 1);
    assert_int_equal(raft_rig_info(rig, 3).applied, raft_rig_info(rig, 1).last);
    raft_rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leader_without_room_hands_over),
        cmocka_unit_test(others_go_on),
        cmocka_unit_test(a_sole_voter_comes_back),
        cmocka_unit_test(who_is_full_stands_late),
        cmocka_unit_test(a_follower_forgets_what_was_not_stored),
        cmocka_unit_test(what_stands_behind_is_forgotten_too),
        cmocka_unit_test(the_next_store_cuts_what_stayed),
        cmocka_unit_test(votes_do_not_queue_up),
        cmocka_unit_test(a_snapshot_waits_for_room),
    };
    return cmocka_run_group_tests_name("raft_full_disk", tests, NULL, NULL);
}
