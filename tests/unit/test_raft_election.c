/* Who leads: terms, votes, and when somebody stands. Member 1 is the core, others are played by the
 * test, unless a test says otherwise. */
#include "lib/raft_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct osr_raft_message vote_request(uint64_t from, uint64_t term, uint64_t last_index,
                                            uint64_t last_term)
{
    struct osr_raft_message request = rig_message(OSR_RAFT_VOTE_REQUEST, from, 1, term);
    request.vote_request.last_index = last_index;
    request.vote_request.last_term = last_term;
    return request;
}

static struct osr_raft_message heartbeat(uint64_t from, uint64_t term)
{
    struct osr_raft_message append = rig_message(OSR_RAFT_APPEND, from, 1, term);
    append.append.previous_index = 1;
    append.append.previous_term = 1;
    return append;
}

static bool has_granted(struct raft_rig *rig, uint64_t to)
{
    const struct osr_raft_message *reply = raft_rig_said(rig, to, OSR_RAFT_VOTE_REPLY);
    return reply != NULL && reply->vote_reply.is_granted;
}

/* An instance alone is its own ledger, from the first moment on. */
static void a_founder_leads_at_once(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create_stopped(1);
    raft_rig_start_empty(rig, 1, true);
    struct osr_raft_info info = raft_rig_info(rig, 1);
    assert_int_equal(info.role, OSR_RAFT_LEADER);
    assert_int_equal(info.leader, 1);
    const struct osr_raft_member *founder = osr_raft_members(rig->members[1].core)->members;
    assert_int_equal(founder->context_size, strlen("founder"));
    raft_rig_propose(rig, 1, 7, 10);
    assert_true(raft_rig_has_applied(rig, 1, 7));
    raft_rig_start(rig, 1); /* after a crash it leads again, without waiting */
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_LEADER);
    assert_true(raft_rig_info(rig, 1).term > info.term);
    raft_rig_destroy(rig);
}

/* A member that waits to be added stands for nothing, however long nobody talks to it. */
static void who_was_not_added_waits(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create_stopped(1);
    raft_rig_start_empty(rig, 1, false);
    assert_true(osr_raft_deadline_ms(rig->members[1].core) == UINT64_MAX);
    raft_rig_tick(rig, 1, 10 * RIG_TIMEOUT_MS);
    assert_int_equal(raft_rig_info(rig, 1).term, 0);
    assert_int_equal(raft_rig_count(rig, 1, OSR_RAFT_OUT_SEND), 0);
    raft_rig_destroy(rig);
}

/* Without word of a leader a member asks, between one and two time-outs after the last, whether
 * others would vote; nobody's term changes by that. */
static void a_pre_vote_changes_no_term(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    raft_rig_advance(rig, RIG_TIMEOUT_MS - 1);
    assert_int_equal(raft_rig_count(rig, 1, OSR_RAFT_OUT_SEND), 0);
    raft_rig_advance(rig, RIG_TIMEOUT_MS + 1);
    const struct osr_raft_message *request = raft_rig_said(rig, 2, OSR_RAFT_VOTE_REQUEST);
    assert_non_null(request);
    assert_true(request->vote_request.is_pre);
    assert_int_equal(request->term, 2);
    assert_int_equal(raft_rig_info(rig, 1).term, 1);
    raft_rig_advance(rig, 20 * RIG_TIMEOUT_MS);
    assert_int_equal(raft_rig_info(rig, 1).term, 1);
    struct osr_raft_message pre = vote_request(2, 9, 1, 1);
    pre.vote_request.is_pre = true;
    raft_rig_deliver(rig, &pre);
    assert_true(has_granted(rig, 2));
    assert_int_equal(raft_rig_said(rig, 2, OSR_RAFT_VOTE_REPLY)->term, 9);
    assert_int_equal(raft_rig_info(rig, 1).term, 1);
    raft_rig_destroy(rig);
}

/* A refused pre-vote says the voter's own term: else a candidate that has all entries, and a term
 * too low, asks for ever. */
static void a_refused_pre_vote_says_the_own_term(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create_stopped(3);
    rig->members[1].disk.vote.term = 8;
    raft_rig_start(rig, 1);
    struct osr_raft_message pre = vote_request(2, 5, 1, 1);
    pre.vote_request.is_pre = true;
    raft_rig_deliver(rig, &pre);
    assert_false(has_granted(rig, 2));
    assert_int_equal(raft_rig_said(rig, 2, OSR_RAFT_VOTE_REPLY)->term, 8);
    struct osr_raft_message refusal = rig_message(OSR_RAFT_VOTE_REPLY, 2, 1, 12);
    refusal.vote_reply.is_pre = true;
    raft_rig_deliver(rig, &refusal); /* and whoever hears one, follows */
    assert_int_equal(raft_rig_info(rig, 1).term, 12);
    raft_rig_destroy(rig);
}

/* A majority of pre-votes begins a term; a majority of votes leads it. Votes for another term, and
 * of those who have no vote, do not count. */
static void a_majority_elects(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(5, 1);
    raft_rig_tick(rig, 1, 2 * RIG_TIMEOUT_MS);
    struct osr_raft_message reply = rig_message(OSR_RAFT_VOTE_REPLY, 2, 1, 2);
    reply.vote_reply.is_pre = true;
    reply.vote_reply.is_granted = true;
    raft_rig_deliver(rig, &reply);
    raft_rig_deliver(rig, &reply); /* the same voter again */
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_PRE_CANDIDATE);
    reply.from = 3;
    raft_rig_deliver(rig, &reply);
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_CANDIDATE);
    assert_int_equal(raft_rig_info(rig, 1).term, 2);
    reply.from = 4;
    raft_rig_deliver(rig, &reply); /* a pre-vote is no vote */
    reply.vote_reply.is_pre = false;
    reply.from = 2;
    raft_rig_deliver(rig, &reply);
    reply.from = 6; /* a stranger's */
    raft_rig_deliver(rig, &reply);
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_CANDIDATE);
    reply.from = 5;
    raft_rig_deliver(rig, &reply);
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_LEADER);
    const struct osr_raft_message *append = raft_rig_said(rig, 3, OSR_RAFT_APPEND);
    assert_int_equal(append->append.count, 1);
    assert_int_equal(append->append.entries[0].kind, OSR_RAFT_NOTHING);
    raft_rig_destroy(rig);
}

/* Neither a vote nor a request for votes is said before the own vote is durable. */
static void votes_wait_for_the_disk(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    rig->members[1].holds_stores = true;
    struct osr_raft_message request = vote_request(2, 5, 1, 1);
    raft_rig_deliver(rig, &request);
    assert_null(raft_rig_said(rig, 2, OSR_RAFT_VOTE_REPLY));
    raft_rig_release(rig, 1, OSR_OK);
    assert_true(has_granted(rig, 2));
    assert_int_equal(rig->members[1].disk.vote.candidate, 2);
    raft_rig_destroy(rig);
}

/* A sole voter does not lead before its own vote is durable. */
static void the_own_vote_waits_for_the_disk(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create_stopped(1);
    rig->members[1].holds_stores = true;
    raft_rig_start(rig, 1);
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_CANDIDATE);
    raft_rig_release(rig, 1, OSR_OK);
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_LEADER);
    raft_rig_destroy(rig);
}

/* A vote that found no room is stored again after a while, and said only then. */
static void a_vote_without_room_is_tried_again(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    rig->members[1].is_full = true;
    struct osr_raft_message request = vote_request(2, 5, 1, 1);
    raft_rig_deliver(rig, &request);
    raft_rig_advance(rig, RIG_HEARTBEAT_MS);
    assert_null(raft_rig_said(rig, 2, OSR_RAFT_VOTE_REPLY));
    rig->members[1].is_full = false;
    raft_rig_advance(rig, RIG_HEARTBEAT_MS);
    assert_true(has_granted(rig, 2));
    raft_rig_destroy(rig);
}

/* One vote a term, also for who stands because the leader wants it, and after a crash. */
static void a_vote_is_given_once(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    struct osr_raft_message first = vote_request(2, 5, 1, 1);
    raft_rig_deliver(rig, &first);
    struct osr_raft_message second = vote_request(3, 5, 9, 5);
    second.vote_request.is_transfer = true;
    raft_rig_deliver(rig, &second);
    assert_false(has_granted(rig, 3));
    raft_rig_forget(rig);
    raft_rig_deliver(rig, &first); /* its answer was lost */
    assert_true(has_granted(rig, 2));
    raft_rig_start(rig, 1);
    raft_rig_forget(rig);
    raft_rig_deliver(rig, &second);
    assert_false(has_granted(rig, 3));
    raft_rig_destroy(rig);
}

/* Who lacks what the voter has durably is not elected: not by its index, not by its term. */
static void a_voter_compares_logs(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    struct osr_raft_message append = heartbeat(2, 3);
    const struct osr_raft_entry entries[] = {{.index = 2, .term = 3, .kind = OSR_RAFT_COMMAND},
                                             {.index = 3, .term = 3, .kind = OSR_RAFT_COMMAND}};
    append.append.entries = entries;
    append.append.count = 2;
    raft_rig_deliver(rig, &append);
    raft_rig_tick(rig, 1, 2 * RIG_TIMEOUT_MS); /* it gives that leader up */
    static const struct {
        uint64_t index, term;
        bool is_granted;
    } logs[] = {{2, 3, false}, {9, 2, false}, {3, 3, true}, {2, 4, true}};
    for (size_t i = 0; i < sizeof(logs) / sizeof(logs[0]); i++) {
        struct osr_raft_message request = vote_request(3, 10 + i, logs[i].index, logs[i].term);
        raft_rig_forget(rig);
        raft_rig_deliver(rig, &request);
        assert_int_equal(has_granted(rig, 3), logs[i].is_granted);
    }
    raft_rig_destroy(rig);
}

/* A candidate says what it has durably, not what is on its way to the disk. */
static void a_candidate_says_what_is_durable(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    struct osr_raft_message append = heartbeat(2, 3);
    const struct osr_raft_entry entry = {.index = 2, .term = 3, .kind = OSR_RAFT_COMMAND};
    raft_rig_deliver(rig, &append);
    rig->members[1].holds_stores = true;
    append.append.entries = &entry;
    append.append.count = 1;
    raft_rig_deliver(rig, &append);
    assert_int_equal(raft_rig_info(rig, 1).last, 2);
    raft_rig_tick(rig, 1, 2 * RIG_TIMEOUT_MS);
    const struct osr_raft_message *request = raft_rig_said(rig, 3, OSR_RAFT_VOTE_REQUEST);
    assert_int_equal(request->vote_request.last_index, 1);
    assert_int_equal(request->vote_request.last_term, 1);
    raft_rig_destroy(rig);
}

/* Appends entries of this term from index 2 on, as member 2 leads. */
static void follow(struct raft_rig *rig, uint64_t term, size_t count)
{
    struct osr_raft_entry entries[2] = {{2, term, OSR_RAFT_COMMAND, 0, {0}},
                                        {3, term, OSR_RAFT_COMMAND, 0, {0}}};
    struct osr_raft_message append = heartbeat(2, term);
    append.append.entries = entries;
    append.append.count = count;
    raft_rig_deliver(rig, &append);
}

/* A question that waited for the disk says how far the log goes when it is asked: it may have been
 * cut since (seed 604211 of the simulation). */
static void a_question_that_waited_says_what_is_durable(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    follow(rig, 2, 2);
    raft_rig_tick(rig, 1, 2 * RIG_TIMEOUT_MS);
    rig->members[1].holds_stores = true;
    struct osr_raft_message request = vote_request(3, 5, 1, 1);
    raft_rig_deliver(rig, &request);
    raft_rig_tick(rig, 1, 2 * RIG_TIMEOUT_MS);
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_PRE_CANDIDATE);
    follow(rig, 5, 1); /* cuts both */
    assert_int_equal(raft_rig_info(rig, 1).durable, 1);
    raft_rig_tick(rig, 1, 2 * RIG_TIMEOUT_MS);
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_PRE_CANDIDATE);
    raft_rig_forget(rig);
    raft_rig_release(rig, 1, OSR_OK);
    assert_true(raft_rig_count_said(rig, 2, OSR_RAFT_VOTE_REQUEST) > 1);
    for (size_t i = 0; i < rig->seen_count; i++) {
        const struct osr_raft_output *output = &rig->seen[i].output;
        if (output->type == OSR_RAFT_OUT_SEND && output->send->type == OSR_RAFT_VOTE_REQUEST) {
            assert_int_equal(output->send->vote_request.last_index, 1);
            assert_int_equal(output->send->vote_request.last_term, 1);
        }
    }
    raft_rig_destroy(rig);
}

/* Whoever hears a leader votes for nobody, and takes over no term, for as long as a time-out; it
 * does where the leader itself wants another. */
static void who_hears_a_leader_does_not_vote(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    struct osr_raft_message append = heartbeat(2, 3);
    raft_rig_deliver(rig, &append);
    rig->now_ms += RIG_TIMEOUT_MS - 1;
    struct osr_raft_message request = vote_request(3, 9, 1, 1);
    raft_rig_deliver(rig, &request);
    assert_int_equal(raft_rig_info(rig, 1).term, 3);
    request.vote_request.is_pre = true;
    raft_rig_deliver(rig, &request);
    assert_false(has_granted(rig, 3));
    request.vote_request.is_pre = false;
    request.vote_request.is_transfer = true;
    raft_rig_deliver(rig, &request);
    assert_true(has_granted(rig, 3));
    assert_int_equal(raft_rig_info(rig, 1).term, 9);
    raft_rig_destroy(rig);
}

/* A leader that hears no majority leads no more after a time-out: a client must not wait for it. */
static void a_leader_without_majority_steps_down(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    raft_rig_elect(rig, 1);
    raft_rig_advance(rig, RIG_TIMEOUT_MS / 2);
    raft_rig_appended(rig, 3, 1, 1);
    raft_rig_advance(rig, RIG_TIMEOUT_MS - 1);
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_LEADER);
    raft_rig_advance(rig, 2);
    assert_int_not_equal(raft_rig_info(rig, 1).role, OSR_RAFT_LEADER);
    assert_int_equal(raft_rig_info(rig, 1).leader, 0);
    osr_buffer_add_u8(&rig->said, '\0');
    assert_non_null(strstr((const char *)rig->said.data, "nobody leads\n"));
    assert_null(strstr((const char *)rig->said.data, "led by 0"));
    raft_rig_destroy(rig);
}

/* A leader whose term is over is told so by whoever knows. */
static void an_old_leader_is_shown_the_new_term(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    struct osr_raft_message append = heartbeat(2, 5);
    raft_rig_deliver(rig, &append);
    append = heartbeat(3, 4);
    raft_rig_deliver(rig, &append);
    assert_int_equal(raft_rig_said(rig, 3, OSR_RAFT_APPENDED)->term, 5);
    assert_int_equal(raft_rig_info(rig, 1).leader, 2);
    raft_rig_elect(rig, 1);
    struct osr_raft_message correction = rig_message(OSR_RAFT_APPENDED, 3, 1, 50);
    correction.appended.is_refused = true;
    raft_rig_deliver(rig, &correction);
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_FOLLOWER);
    assert_int_equal(raft_rig_info(rig, 1).term, 50);
    raft_rig_destroy(rig);
}

/* Three cores: one leads, and when it is gone another does, with all that was committed. */
static void three_members_go_on_with_two(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 3);
    raft_rig_elect(rig, 1);
    raft_rig_propose(rig, 1, 7, 10);
    raft_rig_settle(rig);
    assert_true(raft_rig_has_applied(rig, 1, 7));
    raft_rig_crash(rig, 1);
    raft_rig_advance(rig, 5 * RIG_TIMEOUT_MS);
    uint64_t leader = raft_rig_info(rig, 2).leader;
    assert_true(leader == 2 || leader == 3);
    assert_int_equal(raft_rig_info(rig, leader).commit, raft_rig_info(rig, leader).last);
    raft_rig_start(rig, 1);
    raft_rig_advance(rig, RIG_TIMEOUT_MS);
    assert_int_equal(raft_rig_info(rig, 1).leader, leader);
    assert_int_equal(raft_rig_info(rig, 1).applied, raft_rig_info(rig, leader).applied);
    raft_rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_founder_leads_at_once),
        cmocka_unit_test(who_was_not_added_waits),
        cmocka_unit_test(a_pre_vote_changes_no_term),
        cmocka_unit_test(a_refused_pre_vote_says_the_own_term),
        cmocka_unit_test(a_majority_elects),
        cmocka_unit_test(votes_wait_for_the_disk),
        cmocka_unit_test(the_own_vote_waits_for_the_disk),
        cmocka_unit_test(a_vote_without_room_is_tried_again),
        cmocka_unit_test(a_vote_is_given_once),
        cmocka_unit_test(a_voter_compares_logs),
        cmocka_unit_test(a_candidate_says_what_is_durable),
        cmocka_unit_test(a_question_that_waited_says_what_is_durable),
        cmocka_unit_test(who_hears_a_leader_does_not_vote),
        cmocka_unit_test(a_leader_without_majority_steps_down),
        cmocka_unit_test(an_old_leader_is_shown_the_new_term),
        cmocka_unit_test(three_members_go_on_with_two),
    };
    return cmocka_run_group_tests_name("raft_election", tests, NULL, NULL);
}
