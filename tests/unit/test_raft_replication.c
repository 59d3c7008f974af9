/* Entries on their way into the log: at followers, which compare, store and acknowledge, and at a
 * leader, which commits. Member 1 is the core, others are played by the test. */
#include "lib/raft_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { ENTRIES_MAX = 16 };

/* An APPEND to member 1 with one entry for each of `terms`, which ends with 0. */
struct append {
    struct osr_raft_message message;
    struct osr_raft_entry entries[ENTRIES_MAX];
};

static void deliver(struct raft_rig *rig, uint64_t from, uint64_t term, uint64_t previous_index,
                    uint64_t previous_term, const uint64_t *terms, uint64_t commit)
{
    struct append append = {.message = rig_message(OSR_RAFT_APPEND, from, 1, term)};
    append.message.append.previous_index = previous_index;
    append.message.append.previous_term = previous_term;
    append.message.append.commit = commit;
    append.message.append.entries = append.entries;
    for (size_t i = 0; terms[i] != 0; i++) {
        append.entries[i] = (struct osr_raft_entry){.index = previous_index + 1 + i,
                                                    .term = terms[i],
                                                    .kind = OSR_RAFT_COMMAND,
                                                    .payload = osr_slice_text("command")};
        append.message.append.count = i + 1;
    }
    raft_rig_deliver(rig, &append.message);
}

#define TERMS(...) ((const uint64_t[]){__VA_ARGS__, 0})

static void assert_acked(struct raft_rig *rig, uint64_t to, uint64_t index)
{
    const struct osr_raft_message *reply = raft_rig_said(rig, to, OSR_RAFT_APPENDED);
    assert_non_null(reply);
    assert_false(reply->appended.is_refused);
    assert_int_equal(reply->appended.index, index);
}

/* ---- at a follower ---- */

/* What comes is stored, and acknowledged once it is durable; then what the leader says is committed
 * is applied. */
static void a_follower_acknowledges_what_is_durable(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    deliver(rig, 2, 3, 1, 1, TERMS(0), 0);
    raft_rig_forget(rig);
    rig->members[1].holds_stores = true;
    deliver(rig, 2, 3, 1, 1, TERMS(3, 3), 3);
    assert_null(raft_rig_said(rig, 2, OSR_RAFT_APPENDED));
    assert_int_equal(raft_rig_info(rig, 1).commit, 1);
    deliver(rig, 2, 3, 3, 3, TERMS(0), 3); /* a heartbeat is answered, and says no more */
    assert_acked(rig, 2, 1);
    raft_rig_release(rig, 1, OSR_OK);
    assert_acked(rig, 2, 3);
    assert_int_equal(raft_rig_info(rig, 1).applied, 3);
    raft_rig_destroy(rig);
}

/* Entries of an older leader behind what was compared are not acknowledged to a new one. */
static void a_follower_acknowledges_what_was_compared(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    deliver(rig, 2, 2, 1, 1, TERMS(2, 2, 2), 0);
    assert_acked(rig, 2, 4);
    deliver(rig, 3, 5, 2, 2, TERMS(0), 4);
    assert_acked(rig, 3, 2);
    assert_int_equal(raft_rig_info(rig, 1).commit, 2); /* nor are they committed */
    deliver(rig, 3, 5, 2, 2, TERMS(2), 4);
    assert_acked(rig, 3, 3);
    assert_int_equal(raft_rig_info(rig, 1).commit, 3);
    raft_rig_destroy(rig);
}

/* A late message with entries that are known cuts off nothing. */
static void a_late_append_cuts_nothing(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    deliver(rig, 2, 2, 1, 1, TERMS(2, 2, 2), 0);
    raft_rig_forget(rig);
    deliver(rig, 2, 2, 1, 1, TERMS(2), 0);
    assert_int_equal(raft_rig_info(rig, 1).last, 4);
    assert_int_equal(raft_rig_count(rig, 1, OSR_RAFT_OUT_STORE), 0);
    deliver(rig, 2, 2, 2, 2, TERMS(2, 2, 2), 0); /* half known */
    const struct osr_raft_output *store = raft_rig_last(rig, 1, OSR_RAFT_OUT_STORE);
    assert_int_equal(store->store.count, 1);
    assert_true(store->store.truncate_after == UINT64_MAX);
    assert_acked(rig, 2, 5);
    raft_rig_destroy(rig);
}

/* What conflicts is cut off, on the disk too, together with all behind it. */
static void a_conflict_is_cut_off(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    deliver(rig, 2, 2, 1, 1, TERMS(2, 2, 2), 0);
    deliver(rig, 3, 4, 1, 1, TERMS(2, 4), 0);
    assert_int_equal(raft_rig_last(rig, 1, OSR_RAFT_OUT_STORE)->store.truncate_after, 2);
    assert_int_equal(raft_rig_info(rig, 1).last, 3);
    assert_int_equal(rig->members[1].disk.last, 3);
    assert_int_equal(rig->members[1].disk.entries[3].term, 4);
    raft_rig_destroy(rig);
}

/* Entries cut off while they are being stored are not durable when that is done. */
static void what_was_cut_off_on_its_way_is_not_durable(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    deliver(rig, 3, 4, 1, 1, TERMS(0), 0);
    rig->members[1].holds_stores = true;
    deliver(rig, 3, 4, 1, 1, TERMS(2, 2, 2), 0);
    deliver(rig, 3, 4, 2, 2, TERMS(4), 0);
    raft_rig_forget(rig);
    raft_rig_release(rig, 1, OSR_OK);
    assert_int_equal(raft_rig_info(rig, 1).durable, 2);
    assert_acked(rig, 3, 2);
    raft_rig_release(rig, 1, OSR_OK);
    assert_acked(rig, 3, 3);
    raft_rig_destroy(rig);
}

/* A refusal says where to try next: not an index at a time, but a term. */
static void a_refusal_says_where_to_try(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    deliver(rig, 2, 3, 1, 1, TERMS(2, 2, 3, 3, 3), 0);
    deliver(rig, 3, 9, 8, 8, TERMS(9), 0); /* beyond the end */
    const struct osr_raft_message *reply = raft_rig_said(rig, 3, OSR_RAFT_APPENDED);
    assert_true(reply->appended.is_refused);
    assert_int_equal(reply->appended.index, 8);
    assert_int_equal(reply->appended.hint_index, 6);
    assert_int_equal(reply->appended.hint_term, 3);
    deliver(rig, 3, 9, 5, 2, TERMS(9), 0); /* another term there: no entry of term 3 can match */
    reply = raft_rig_said(rig, 3, OSR_RAFT_APPENDED);
    assert_int_equal(reply->appended.hint_index, 3);
    assert_int_equal(reply->appended.hint_term, 2);
    raft_rig_destroy(rig);
}

/* ---- at a leader ---- */

/* A majority commits, the leader's own disk counting only once it has the entry. */
static void a_majority_commits(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(5, 1);
    raft_rig_elect(rig, 1);
    rig->members[1].holds_stores = true;
    raft_rig_propose(rig, 1, 7, 10);
    raft_rig_appended(rig, 2, 1, 3);
    raft_rig_appended(rig, 3, 1, 3);
    assert_int_equal(raft_rig_info(rig, 1).commit, 2); /* two of five have it, and one on its way */
    raft_rig_release(rig, 1, OSR_OK);
    assert_int_equal(raft_rig_info(rig, 1).commit, 3);
    assert_true(raft_rig_has_applied(rig, 1, 7));
    raft_rig_destroy(rig);
}

/* A majority of the others would do to commit; but a member applies, and says to be committed, only
 * what its own disk has: so it never has to forget what its state machines did. */
static void the_own_disk_has_what_is_committed(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    raft_rig_elect(rig, 1);
    rig->members[1].holds_stores = true;
    raft_rig_propose(rig, 1, 7, 10);
    raft_rig_appended(rig, 2, 1, 3);
    raft_rig_appended(rig, 3, 1, 3);
    assert_int_equal(raft_rig_info(rig, 1).commit, 2);
    assert_false(raft_rig_has_applied(rig, 1, 7));
    raft_rig_release(rig, 1, OSR_OK);
    assert_int_equal(raft_rig_info(rig, 1).commit, 3);
    assert_true(raft_rig_has_applied(rig, 1, 7));
    raft_rig_destroy(rig);
}

/* Figure 8 of the paper: an entry of an older term on a majority is not committed by that; it is
 * with the first of the own term. */
static void entries_of_older_terms_are_not_counted(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    deliver(rig, 2, 2, 1, 1, TERMS(2, 2), 0);
    raft_rig_elect(rig, 1);
    uint64_t nothing = raft_rig_info(rig, 1).last;
    raft_rig_appended(rig, 2, 1, nothing - 1);
    assert_int_equal(raft_rig_info(rig, 1).commit, 0);
    raft_rig_appended(rig, 2, 1, nothing);
    assert_int_equal(raft_rig_info(rig, 1).commit, nothing);
    raft_rig_destroy(rig);
}

/* What was said to this member as the leader of an older term does not count. */
static void answers_of_an_older_term_do_not_count(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    raft_rig_elect(rig, 1);
    struct osr_raft_message late =
        rig_message(OSR_RAFT_APPENDED, 2, 1, raft_rig_info(rig, 1).term - 1);
    late.appended.index = 2;
    raft_rig_deliver(rig, &late);
    assert_int_equal(raft_rig_info(rig, 1).commit, 0);
    assert_int_equal(raft_rig_peer(rig, 1, 2).matched, 0);
    raft_rig_destroy(rig);
}

/* ---- proposals ---- */

/* What cannot be taken is answered at once, and not done. */
static void proposals_have_limits(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create_stopped(3);
    rig->options.pending_bytes_max = RIG_COMMAND_BYTES_MAX;
    rig->options.pending_entries_max = 3;
    raft_rig_start(rig, 1);
    raft_rig_propose(rig, 1, 1, 10);
    assert_int_equal(raft_rig_failure(rig, 1, 1), OSR_UNAVAILABLE);
    raft_rig_elect(rig, 1);
    raft_rig_propose(rig, 1, 2, RIG_COMMAND_BYTES_MAX + 1);
    assert_int_equal(raft_rig_failure(rig, 1, 2), OSR_TOO_LARGE);
    raft_rig_propose(rig, 1, 3, RIG_COMMAND_BYTES_MAX - 10);
    raft_rig_propose(rig, 1, 4, 11);
    assert_int_equal(raft_rig_failure(rig, 1, 4), OSR_BUSY);
    raft_rig_propose(rig, 1, 5, 0);
    raft_rig_propose(rig, 1, 6, 0);
    raft_rig_propose(rig, 1, 7, 0);
    assert_int_equal(raft_rig_failure(rig, 1, 7), OSR_BUSY);
    assert_true(osr_raft_backlog(rig->members[1].core) >= RIG_COMMAND_BYTES_MAX - 10);
    raft_rig_appended(rig, 2, 1, raft_rig_info(rig, 1).last);
    assert_true(raft_rig_has_applied(rig, 1, 6));
    assert_int_equal(osr_raft_backlog(rig->members[1].core), 0);
    raft_rig_propose(rig, 1, 8, 10);
    assert_int_equal(raft_rig_failure(rig, 1, 8), OSR_OK);
    raft_rig_destroy(rig);
}

/* What was proposed and not flushed when leadership is lost was not done. */
static void what_was_not_flushed_was_not_done(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    struct osr_raft_outputs outputs;
    raft_rig_elect(rig, 1);
    struct osr_raft_event event = {
        .type = OSR_RAFT_PROPOSE,
        .now_ms = rig->now_ms,
        .propose = {.token = 7, .command = osr_slice_text("command")},
    };
    osr_raft_step(rig->members[1].core, &event, &outputs);
    deliver(rig, 2, 9, 1, 1, TERMS(0), 0);
    assert_int_equal(raft_rig_failure(rig, 1, 7), OSR_UNAVAILABLE);
    assert_int_equal(raft_rig_last(rig, 1, OSR_RAFT_OUT_FAILED)->failed.leader, 2);
    raft_rig_destroy(rig);
}

/* An entry cut off may still be committed by another member that has it: it is given up only when
 * another entry is committed in its place. */
static void what_became_of_a_proposal_is_said_when_it_is_known(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    raft_rig_elect(rig, 1);
    uint64_t term = raft_rig_info(rig, 1).term;
    raft_rig_propose(rig, 1, 7, 10);
    raft_rig_propose(rig, 1, 8, 10);
    deliver(rig, 2, term + 1, 1, 1, TERMS(term + 1), 0);
    assert_int_equal(raft_rig_info(rig, 1).last, 2); /* both are cut off */
    assert_int_equal(raft_rig_failure(rig, 1, 7), OSR_OK);
    /* Member 3 had got the first of them, and leads now. */
    deliver(rig, 3, term + 2, 1, 1, TERMS(term, term, term + 2), 4);
    assert_true(raft_rig_has_applied(rig, 1, 7));
    assert_int_equal(raft_rig_failure(rig, 1, 8), OSR_CANCELLED);
    raft_rig_destroy(rig);
}

/* ---- applying ---- */

/* No more is given to the state machines than they are to have in hand; what left memory meanwhile
 * is read from the disk. */
static void applying_waits_for_the_state_machines(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create_stopped(1);
    rig->options.apply_bytes = 200;
    rig->options.cache_bytes = 300;
    raft_rig_start(rig, 1);
    rig->members[1].holds_applies = true;
    for (uint64_t token = 100; token < 130; token++) {
        raft_rig_propose(rig, 1, token, 50);
    }
    assert_int_equal(raft_rig_info(rig, 1).commit, raft_rig_info(rig, 1).last);
    assert_true(rig->members[1].disk.applied < 10);
    assert_false(raft_rig_has_applied(rig, 1, 129));
    rig->members[1].holds_applies = false;
    while (rig->members[1].held_count > 0) {
        raft_rig_release(rig, 1, OSR_OK);
    }
    assert_true(raft_rig_has_applied(rig, 1, 129));
    assert_true(raft_rig_count(rig, 1, OSR_RAFT_OUT_FETCH) > 0);
    assert_int_equal(raft_rig_info(rig, 1).applied, raft_rig_info(rig, 1).last);
    raft_rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_follower_acknowledges_what_is_durable),
        cmocka_unit_test(a_follower_acknowledges_what_was_compared),
        cmocka_unit_test(a_late_append_cuts_nothing),
        cmocka_unit_test(a_conflict_is_cut_off),
        cmocka_unit_test(what_was_cut_off_on_its_way_is_not_durable),
        cmocka_unit_test(a_refusal_says_where_to_try),
        cmocka_unit_test(a_majority_commits),
        cmocka_unit_test(the_own_disk_has_what_is_committed),
        cmocka_unit_test(entries_of_older_terms_are_not_counted),
        cmocka_unit_test(answers_of_an_older_term_do_not_count),
        cmocka_unit_test(proposals_have_limits),
        cmocka_unit_test(what_was_not_flushed_was_not_done),
        cmocka_unit_test(what_became_of_a_proposal_is_said_when_it_is_known),
        cmocka_unit_test(applying_waits_for_the_state_machines),
    };
    return cmocka_run_group_tests_name("raft_replication", tests, NULL, NULL);
}
