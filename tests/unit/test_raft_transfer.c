/* Handing leadership over. */
#include "lib/raft_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static enum osr_code transferred(struct raft_rig *rig, uint64_t member)
{
    const struct osr_raft_output *output = raft_rig_last(rig, member, OSR_RAFT_OUT_TRANSFERRED);
    assert_non_null(output);
    return output->transferred.code;
}

/* The target gets all there is, stands at once, and leads, without a time-out passing and although
 * all hear a leader. */
static void the_target_leads(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 3);
    raft_rig_elect(rig, 1);
    raft_rig_settle(rig);
    raft_rig_propose(rig, 1, 5, 10);
    raft_rig_transfer(rig, 1, 9, 3);
    assert_true(raft_rig_info(rig, 1).is_transferring);
    raft_rig_settle(rig);
    assert_int_equal(raft_rig_info(rig, 3).role, OSR_RAFT_LEADER);
    assert_int_equal(transferred(rig, 1), OSR_OK);
    assert_int_equal(raft_rig_info(rig, 1).leader, 3);
    assert_false(raft_rig_info(rig, 1).is_transferring);
    assert_true(raft_rig_has_applied(rig, 1, 5));
    raft_rig_destroy(rig);
}

/* Nobody said who: the one that has most. */
static void the_best_is_chosen(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    raft_rig_elect(rig, 1);
    raft_rig_appended(rig, 2, 1, 1);
    raft_rig_appended(rig, 3, 1, 2);
    raft_rig_transfer(rig, 1, 9, 0);
    assert_int_equal(raft_rig_count_said(rig, 3, OSR_RAFT_ELECT_NOW), 1);
    assert_int_equal(raft_rig_count_said(rig, 2, OSR_RAFT_ELECT_NOW), 0);
    raft_rig_destroy(rig);
}

/* A target that lacks something is told when it has all; nothing new is taken until then. */
static void the_target_gets_all_first(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    raft_rig_elect(rig, 1);
    raft_rig_appended(rig, 2, 1, 1);
    raft_rig_transfer(rig, 1, 9, 2);
    assert_int_equal(raft_rig_count_said(rig, 2, OSR_RAFT_ELECT_NOW), 0);
    raft_rig_propose(rig, 1, 5, 10);
    assert_int_equal(raft_rig_failure(rig, 1, 5), OSR_BUSY);
    raft_rig_add(rig, 1, 6, 4, false);
    assert_int_equal(raft_rig_failure(rig, 1, 6), OSR_BUSY);
    raft_rig_appended(rig, 2, 1, 2);
    assert_int_equal(raft_rig_count_said(rig, 2, OSR_RAFT_ELECT_NOW), 1);
    raft_rig_destroy(rig);
}

/* If nobody else leads after a time-out, this one goes on, and takes proposals again. */
static void a_transfer_is_given_up(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    raft_rig_elect(rig, 1);
    raft_rig_appended(rig, 3, 1, 2);
    raft_rig_transfer(rig, 1, 9, 2);
    raft_rig_advance(rig, RIG_TIMEOUT_MS / 2);
    raft_rig_appended(rig, 3, 1, 2); /* the other one is there */
    raft_rig_advance(rig, RIG_TIMEOUT_MS / 2);
    assert_int_equal(transferred(rig, 1), OSR_TIMEOUT);
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_LEADER);
    raft_rig_propose(rig, 1, 5, 10);
    assert_int_equal(raft_rig_failure(rig, 1, 5), OSR_OK);
    raft_rig_destroy(rig);
}

/* What cannot be is said at once, each in its own words. */
static void silly_transfers_are_refused(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    raft_rig_transfer(rig, 1, 1, 2);
    assert_int_equal(transferred(rig, 1), OSR_UNAVAILABLE);
    raft_rig_elect(rig, 1);
    raft_rig_transfer(rig, 1, 2, 0); /* nobody has said anything yet */
    assert_int_equal(transferred(rig, 1), OSR_UNAVAILABLE);
    raft_rig_transfer(rig, 1, 3, 9);
    assert_int_equal(transferred(rig, 1), OSR_INVALID_ARGUMENT);
    raft_rig_transfer(rig, 1, 4, 1);
    assert_int_equal(transferred(rig, 1), OSR_INVALID_ARGUMENT);
    raft_rig_transfer(rig, 1, 5, 2);
    raft_rig_transfer(rig, 1, 6, 3);
    assert_int_equal(transferred(rig, 1), OSR_BUSY);
    raft_rig_destroy(rig);
}

/* Only the own leader may say so. */
static void others_cannot_make_one_stand(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    struct osr_raft_message append = rig_message(OSR_RAFT_APPEND, 2, 1, 5);
    append.append.previous_index = 1;
    append.append.previous_term = 1;
    raft_rig_deliver(rig, &append);
    struct osr_raft_message elect = rig_message(OSR_RAFT_ELECT_NOW, 3, 1, 5);
    raft_rig_deliver(rig, &elect);
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_FOLLOWER);
    elect.from = 2;
    elect.term = 4;
    raft_rig_deliver(rig, &elect);
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_FOLLOWER);
    elect.term = 5;
    raft_rig_deliver(rig, &elect);
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_CANDIDATE);
    assert_int_equal(raft_rig_info(rig, 1).term, 6);
    assert_true(raft_rig_said(rig, 3, OSR_RAFT_VOTE_REQUEST)->vote_request.is_transfer);
    raft_rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_target_leads),
        cmocka_unit_test(the_best_is_chosen),
        cmocka_unit_test(the_target_gets_all_first),
        cmocka_unit_test(a_transfer_is_given_up),
        cmocka_unit_test(silly_transfers_are_refused),
        cmocka_unit_test(others_cannot_make_one_stand),
    };
    return cmocka_run_group_tests_name("raft_transfer", tests, NULL, NULL);
}
