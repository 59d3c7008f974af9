/* Members that come and go: a change is an entry, holds from the moment it is in a log, and is
 * taken back with it. Member 1 is the core, others are played by the test, unless a test says
 * otherwise. */
#include "lib/raft_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* Member 1 leads, and has committed an entry of its term. */
static struct raft_rig *leading(size_t voters)
{
    struct raft_rig *rig = raft_rig_create(voters, 1);
    raft_rig_elect(rig, 1);
    for (uint64_t id = 2; id <= voters; id++) {
        raft_rig_appended(rig, id, 1, raft_rig_info(rig, 1).last);
    }
    raft_rig_forget(rig);
    return rig;
}

static uint64_t last_of(struct raft_rig *rig)
{
    return raft_rig_info(rig, 1).last;
}

static const struct osr_raft_member *member_of(struct raft_rig *rig, uint64_t core, uint64_t id)
{
    return osr_raft_configuration_find(osr_raft_members(rig->members[core].core), id);
}

/* Whether it is known here at all, in the configuration or until it can know that it was removed.
 */
static bool is_peer(struct raft_rig *rig, uint64_t core, uint64_t id)
{
    const struct osr_raft *raft = rig->members[core].core;
    for (size_t i = 0; i < osr_raft_peer_count(raft); i++) {
        struct osr_raft_peer_info info;
        osr_raft_peer_info(raft, i, &info);
        if (info.id == id) {
            return true;
        }
    }
    return false;
}

/* An APPEND of member 2 behind entry 1, in that term, with one entry: everybody but `removed`
 * votes. */
static void append_removal(struct raft_rig *rig, uint64_t term, uint64_t removed, uint64_t commit)
{
    struct osr_raft_configuration *rest = osr_alloc(sizeof(*rest));
    struct osr_buffer bytes = {0};
    for (uint64_t id = 1; id <= rig->voters; id++) {
        if (id != removed) {
            rest->members[rest->count++] =
                (struct osr_raft_member){.id = id, .standing = OSR_RAFT_VOTER};
        }
    }
    osr_raft_configuration_encode(rest, &bytes);
    const struct osr_raft_entry entry = {.index = 2,
                                         .term = term,
                                         .kind = OSR_RAFT_CONFIGURATION,
                                         .payload = osr_buffer_slice(&bytes)};
    struct osr_raft_message append = rig_message(OSR_RAFT_APPEND, 2, 1, term);
    append.append.previous_index = 1;
    append.append.previous_term = 1;
    append.append.commit = commit;
    append.append.entries = &entry;
    append.append.count = 1;
    raft_rig_deliver(rig, &append);
    osr_buffer_done(&bytes);
    free(rest);
}

/* ---- changes ---- */

/* A change holds from the moment it is in the log, and the next one waits until it is committed. */
static void one_change_at_a_time(void **state)
{
    (void)state;
    struct raft_rig *rig = leading(3);
    raft_rig_add(rig, 1, 7, 4, false);
    assert_int_equal(member_of(rig, 1, 4)->standing, OSR_RAFT_LEARNER);
    assert_true(raft_rig_info(rig, 1).is_changing);
    assert_true(is_peer(rig, 1, 4));
    raft_rig_change(rig, 1, 8, OSR_RAFT_REMOVE, 3);
    assert_int_equal(raft_rig_failure(rig, 1, 8), OSR_BUSY);
    raft_rig_appended(rig, 2, 1, last_of(rig));
    assert_true(raft_rig_has_applied(rig, 1, 7));
    assert_false(raft_rig_info(rig, 1).is_changing);
    raft_rig_change(rig, 1, 9, OSR_RAFT_REMOVE, 3);
    assert_int_equal(raft_rig_failure(rig, 1, 9), OSR_OK);
    assert_null(member_of(rig, 1, 3));
    raft_rig_destroy(rig);
}

/* A new leader may not know of a change that is committed: it changes nothing before an entry of
 * its own term is. */
static void a_new_leader_commits_before_it_changes(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    raft_rig_elect(rig, 1);
    raft_rig_add(rig, 1, 7, 4, false);
    assert_int_equal(raft_rig_failure(rig, 1, 7), OSR_BUSY);
    raft_rig_appended(rig, 2, 1, last_of(rig));
    raft_rig_add(rig, 1, 8, 4, false);
    assert_int_equal(raft_rig_failure(rig, 1, 8), OSR_OK);
    raft_rig_destroy(rig);
}

/* What makes no sense, or is asked of another than the leader, is not done. */
static void silly_changes_fail(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    raft_rig_add(rig, 1, 6, 4, false);
    assert_int_equal(raft_rig_failure(rig, 1, 6), OSR_UNAVAILABLE);
    raft_rig_elect(rig, 1);
    raft_rig_appended(rig, 2, 1, last_of(rig));
    uint64_t last = last_of(rig);
    raft_rig_add(rig, 1, 7, 2, false);
    raft_rig_change(rig, 1, 8, OSR_RAFT_PROMOTE, 9);
    assert_int_equal(raft_rig_failure(rig, 1, 7), OSR_ALREADY_EXISTS);
    assert_int_equal(raft_rig_failure(rig, 1, 8), OSR_NOT_FOUND);
    assert_int_equal(last_of(rig), last);
    raft_rig_destroy(rig);
}

/* An entry that is cut off takes its configuration with it, also after a restart. */
static void a_change_is_taken_back_with_its_entry(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    append_removal(rig, 2, 3, 0);
    assert_null(member_of(rig, 1, 3));
    raft_rig_start(rig, 1);
    assert_null(member_of(rig, 1, 3));
    assert_int_equal(raft_rig_info(rig, 1).configured_at, 2);
    const struct osr_raft_entry nothing = {.index = 2, .term = 3, .kind = OSR_RAFT_NOTHING};
    struct osr_raft_message append = rig_message(OSR_RAFT_APPEND, 3, 1, 3);
    append.append.previous_index = 1;
    append.append.previous_term = 1;
    append.append.entries = &nothing;
    append.append.count = 1;
    raft_rig_deliver(rig, &append);
    assert_int_equal(member_of(rig, 1, 3)->standing, OSR_RAFT_VOTER);
    assert_int_equal(raft_rig_info(rig, 1).configured_at, 1);
    raft_rig_destroy(rig);
}

/* A learner's acknowledgement commits nothing. */
static void learners_do_not_count(void **state)
{
    (void)state;
    struct raft_rig *rig = leading(3);
    raft_rig_add(rig, 1, 7, 4, false);
    raft_rig_appended(rig, 2, 1, last_of(rig));
    raft_rig_propose(rig, 1, 8, 10);
    raft_rig_appended(rig, 4, 1, last_of(rig));
    assert_false(raft_rig_has_applied(rig, 1, 8));
    raft_rig_appended(rig, 3, 1, last_of(rig));
    assert_true(raft_rig_has_applied(rig, 1, 8));
    raft_rig_destroy(rig);
}

/* ---- learners that become voters ---- */

/* A new member gets all there is, and votes once it has kept up for a time-out. */
static void who_has_caught_up_votes(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 3);
    raft_rig_elect(rig, 1);
    raft_rig_settle(rig);
    raft_rig_start_empty(rig, 4, false);
    raft_rig_add(rig, 1, 7, 4, true);
    raft_rig_settle(rig);
    assert_int_equal(raft_rig_info(rig, 4).leader, 1);
    assert_int_equal(member_of(rig, 1, 4)->standing, OSR_RAFT_LEARNER);
    raft_rig_advance(rig, RIG_TIMEOUT_MS - RIG_HEARTBEAT_MS);
    assert_int_equal(member_of(rig, 1, 4)->standing, OSR_RAFT_LEARNER);
    raft_rig_advance(rig, 2 * RIG_HEARTBEAT_MS);
    assert_int_equal(member_of(rig, 4, 4)->standing, OSR_RAFT_VOTER);
    assert_false(member_of(rig, 4, 4)->is_promoted);
    assert_int_equal(raft_rig_info(rig, 4).applied, last_of(rig));
    raft_rig_destroy(rig);
}

/* Who lacks more than a little stays a learner: as a voter it would hold everybody up. */
static void who_lags_does_not_vote(void **state)
{
    (void)state;
    struct raft_rig *rig = leading(3);
    raft_rig_add(rig, 1, 7, 4, true);
    raft_rig_appended(rig, 2, 1, last_of(rig));
    raft_rig_appended(rig, 4, 1, 1);
    for (uint64_t i = 0; i < 3 * RIG_TIMEOUT_MS / RIG_HEARTBEAT_MS; i++) {
        raft_rig_propose(rig, 1, 10 + i, 10);
        raft_rig_appended(rig, 2, 1, last_of(rig));
        raft_rig_appended(rig, 4, 1, last_of(rig) - RIG_CAUGHT_UP_ENTRIES - 1);
        raft_rig_advance(rig, RIG_HEARTBEAT_MS);
    }
    assert_int_equal(member_of(rig, 1, 4)->standing, OSR_RAFT_LEARNER);
    raft_rig_destroy(rig);
}

/* Nor who has caught up and then fell silent: beside a sole voter nothing would be agreed on again.
 */
static void who_fell_silent_does_not_vote(void **state)
{
    (void)state;
    struct raft_rig *rig = leading(1);
    raft_rig_add(rig, 1, 7, 4, true);
    raft_rig_appended(rig, 4, 1, last_of(rig));
    raft_rig_advance(rig, 3 * RIG_TIMEOUT_MS);
    assert_int_equal(member_of(rig, 1, 4)->standing, OSR_RAFT_LEARNER);
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_LEADER);
    for (uint64_t i = 0; i < 2 * RIG_TIMEOUT_MS / RIG_HEARTBEAT_MS; i++) {
        raft_rig_appended(rig, 4, 1, last_of(rig));
        raft_rig_advance(rig, RIG_HEARTBEAT_MS);
    }
    assert_int_equal(member_of(rig, 1, 4)->standing, OSR_RAFT_VOTER);
    raft_rig_destroy(rig);
}

/* Nor is it made one by hand then, or while it is silent: with a sole voter it would be the end. */
static void only_who_is_there_and_keeps_up_is_promoted(void **state)
{
    (void)state;
    struct raft_rig *rig = leading(1);
    raft_rig_add(rig, 1, 7, 4, false);
    raft_rig_change(rig, 1, 8, OSR_RAFT_PROMOTE, 4);
    assert_int_equal(raft_rig_failure(rig, 1, 8), OSR_BUSY);
    for (uint64_t i = 0; i <= RIG_CAUGHT_UP_ENTRIES; i++) {
        raft_rig_propose(rig, 1, 10 + i, 10);
    }
    raft_rig_appended(rig, 4, 1, 1);
    raft_rig_change(rig, 1, 9, OSR_RAFT_PROMOTE, 4);
    assert_int_equal(raft_rig_failure(rig, 1, 9), OSR_BUSY);
    raft_rig_appended(rig, 4, 1, last_of(rig));
    raft_rig_advance(rig, RIG_TIMEOUT_MS);
    raft_rig_change(rig, 1, 100, OSR_RAFT_PROMOTE, 4);
    assert_int_equal(raft_rig_failure(rig, 1, 100), OSR_BUSY);
    raft_rig_appended(rig, 4, 1, last_of(rig));
    raft_rig_change(rig, 1, 101, OSR_RAFT_PROMOTE, 4);
    assert_int_equal(raft_rig_failure(rig, 1, 101), OSR_OK);
    assert_int_equal(member_of(rig, 1, 4)->standing, OSR_RAFT_VOTER);
    raft_rig_destroy(rig);
}

/* Beside seven voters it waits, without being tried again and again, until one of them goes. */
static void a_learner_beside_seven_voters_waits(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(OSR_RAFT_VOTERS_MAX, OSR_RAFT_VOTERS_MAX);
    raft_rig_elect(rig, 1);
    raft_rig_settle(rig);
    raft_rig_start_empty(rig, 8, false);
    raft_rig_add(rig, 1, 7, 8, true);
    raft_rig_settle(rig);
    uint64_t last = last_of(rig);
    raft_rig_forget(rig);
    raft_rig_advance(rig, 2 * RIG_TIMEOUT_MS); /* fails where TICK is due at once again */
    assert_int_equal(last_of(rig), last);
    assert_int_equal(raft_rig_count(rig, 1, OSR_RAFT_OUT_STORE), 0);
    raft_rig_change(rig, 1, 8, OSR_RAFT_REMOVE, 7);
    raft_rig_advance(rig, RIG_TIMEOUT_MS);
    assert_int_equal(member_of(rig, 1, 8)->standing, OSR_RAFT_VOTER);
    raft_rig_destroy(rig);
}

/* ---- those that go ---- */

/* A leader that is removed leads until that is committed, without counting itself; then it hands
 * over. */
static void a_removed_leader_leads_until_that_is_committed(void **state)
{
    (void)state;
    struct raft_rig *rig = leading(3);
    raft_rig_change(rig, 1, 7, OSR_RAFT_REMOVE, 1);
    raft_rig_propose(rig, 1, 8, 10);
    raft_rig_appended(rig, 2, 1, last_of(rig));
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_LEADER); /* one of two */
    assert_false(raft_rig_has_applied(rig, 1, 7));
    raft_rig_appended(rig, 3, 1, last_of(rig));
    assert_true(raft_rig_has_applied(rig, 1, 7));
    assert_true(raft_rig_has_applied(rig, 1, 8));
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_FOLLOWER);
    assert_int_equal(raft_rig_count_said(rig, 2, OSR_RAFT_ELECT_NOW) +
                         raft_rig_count_said(rig, 3, OSR_RAFT_ELECT_NOW),
                     1);
    assert_true(osr_raft_deadline_ms(rig->members[1].core) == UINT64_MAX); /* and never stands */
    raft_rig_destroy(rig);
}

/* Whose removal is not known to be committed may be the only one that can still lead: it stands,
 * and leads until that is committed (dissertation, 4.2.2). */
static void who_may_be_removed_stands(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    append_removal(rig, 2, 1, 0);
    assert_null(member_of(rig, 1, 1));
    raft_rig_elect(rig, 1);
    raft_rig_appended(rig, 2, 1, 3);
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_LEADER);
    raft_rig_propose(rig, 1, 7, 10);
    assert_int_equal(raft_rig_failure(rig, 1, 7), OSR_OK);
    raft_rig_appended(rig, 3, 1, 3);
    assert_int_equal(raft_rig_info(rig, 1).commit, 3);
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_FOLLOWER);
    raft_rig_destroy(rig);
}

/* Its own vote does not count there, neither before nor in the election. */
static void who_may_be_removed_needs_a_majority_of_the_others(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    append_removal(rig, 2, 1, 0);
    raft_rig_tick(rig, 1, 2 * RIG_TIMEOUT_MS);
    struct osr_raft_message reply = rig_message(OSR_RAFT_VOTE_REPLY, 2, 1, 3);
    reply.vote_reply.is_pre = true;
    reply.vote_reply.is_granted = true;
    raft_rig_deliver(rig, &reply);
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_PRE_CANDIDATE);
    reply.from = 3;
    raft_rig_deliver(rig, &reply);
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_CANDIDATE);
    reply.vote_reply.is_pre = false;
    raft_rig_deliver(rig, &reply);
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_CANDIDATE);
    raft_rig_destroy(rig);
}

/* Who knows that it was removed disturbs nobody any more, also after a restart. */
static void who_was_removed_stands_no_more(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    append_removal(rig, 2, 1, 2);
    assert_int_equal(raft_rig_info(rig, 1).commit, 2);
    assert_true(osr_raft_deadline_ms(rig->members[1].core) == UINT64_MAX);
    raft_rig_start(rig, 1);
    assert_true(osr_raft_deadline_ms(rig->members[1].core) == UINT64_MAX);
    raft_rig_destroy(rig);
}

/* A removed member is told that this is committed, and then not talked to any more. */
static void who_was_removed_is_told(void **state)
{
    (void)state;
    struct raft_rig *rig = leading(3);
    raft_rig_change(rig, 1, 7, OSR_RAFT_REMOVE, 3);
    raft_rig_appended(rig, 3, 1, last_of(rig));
    assert_true(is_peer(rig, 1, 3));
    raft_rig_appended(rig, 2, 1, last_of(rig));
    assert_int_equal(raft_rig_said(rig, 3, OSR_RAFT_APPEND)->append.commit, last_of(rig));
    raft_rig_appended(rig, 3, 1, last_of(rig));
    raft_rig_forget(rig);
    raft_rig_advance(rig, RIG_HEARTBEAT_MS);
    assert_false(is_peer(rig, 1, 3));
    raft_rig_propose(rig, 1, 8, 10);
    assert_null(raft_rig_said(rig, 3, OSR_RAFT_APPEND));
    raft_rig_destroy(rig);
}

/* Also one whose log's end is not known at that moment. */
static void who_is_probed_is_told_too(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    raft_rig_elect(rig, 1);
    raft_rig_appended(rig, 2, 1, last_of(rig));
    raft_rig_change(rig, 1, 7, OSR_RAFT_REMOVE, 3);
    raft_rig_appended(rig, 2, 1, last_of(rig));
    raft_rig_forget(rig);
    raft_rig_advance(rig, RIG_HEARTBEAT_MS);
    assert_non_null(raft_rig_said(rig, 3, OSR_RAFT_APPEND));
    assert_int_equal(raft_rig_said(rig, 3, OSR_RAFT_APPEND)->append.commit, last_of(rig));
    raft_rig_appended(rig, 3, 1, last_of(rig));
    raft_rig_advance(rig, RIG_HEARTBEAT_MS);
    assert_false(is_peer(rig, 1, 3));
    raft_rig_destroy(rig);
}

/* One that is not there to be told is forgotten after a while. */
static void who_is_gone_is_forgotten(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(4, 4);
    raft_rig_elect(rig, 1);
    raft_rig_settle(rig);
    rig->members[4].is_cut_off = true;
    raft_rig_change(rig, 1, 7, OSR_RAFT_REMOVE, 4);
    raft_rig_settle(rig);
    assert_true(is_peer(rig, 1, 4));
    raft_rig_advance(rig, 2 * RIG_TIMEOUT_MS);
    assert_false(is_peer(rig, 1, 4));
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_LEADER);
    raft_rig_destroy(rig);
}

/* From one member to five and back to one, the founder going too: commands are taken all the
 * time. */
static void a_ledger_moves_house(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create_stopped(1);
    raft_rig_start_empty(rig, 1, true);
    for (uint64_t id = 2; id <= 5; id++) {
        raft_rig_start_empty(rig, id, false);
        raft_rig_add(rig, 1, 10 + id, id, true);
        raft_rig_advance(rig, 2 * RIG_TIMEOUT_MS);
        assert_int_equal(member_of(rig, 1, id)->standing, OSR_RAFT_VOTER);
    }
    for (uint64_t id = 1; id < 5; id++) {
        uint64_t leader = raft_rig_info(rig, 5).leader;
        raft_rig_propose(rig, leader, 20 + id, 10);
        raft_rig_change(rig, leader, 30 + id, OSR_RAFT_REMOVE, id);
        raft_rig_advance(rig, 3 * RIG_TIMEOUT_MS);
        assert_true(raft_rig_has_applied(rig, leader, 20 + id));
    }
    assert_int_equal(raft_rig_info(rig, 5).role, OSR_RAFT_LEADER);
    assert_int_equal(osr_raft_members(rig->members[5].core)->count, 1);
    raft_rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_change_at_a_time),
        cmocka_unit_test(a_new_leader_commits_before_it_changes),
        cmocka_unit_test(silly_changes_fail),
        cmocka_unit_test(a_change_is_taken_back_with_its_entry),
        cmocka_unit_test(learners_do_not_count),
        cmocka_unit_test(who_has_caught_up_votes),
        cmocka_unit_test(who_lags_does_not_vote),
        cmocka_unit_test(who_fell_silent_does_not_vote),
        cmocka_unit_test(only_who_is_there_and_keeps_up_is_promoted),
        cmocka_unit_test(a_learner_beside_seven_voters_waits),
        cmocka_unit_test(a_removed_leader_leads_until_that_is_committed),
        cmocka_unit_test(who_may_be_removed_stands),
        cmocka_unit_test(who_may_be_removed_needs_a_majority_of_the_others),
        cmocka_unit_test(who_was_removed_stands_no_more),
        cmocka_unit_test(who_was_removed_is_told),
        cmocka_unit_test(who_is_probed_is_told_too),
        cmocka_unit_test(who_is_gone_is_forgotten),
        cmocka_unit_test(a_ledger_moves_house),
    };
    return cmocka_run_group_tests_name("raft_members", tests, NULL, NULL);
}
