/* Linearizable reads: at the leader, and at others that ask it. */
#include "lib/raft_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Member 1 leads, and has committed all it has. */
static struct raft_rig *leading(size_t voters, size_t cores)
{
    struct raft_rig *rig = raft_rig_create(voters, cores);
    raft_rig_elect(rig, 1);
    raft_rig_settle(rig);
    for (uint64_t id = cores + 1; id <= voters; id++) {
        raft_rig_appended(rig, id, 1, raft_rig_info(rig, 1).last);
    }
    raft_rig_forget(rig);
    return rig;
}

/* Who leads alone need not ask. */
static void a_sole_voter_reads_at_once(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(1, 1);
    raft_rig_read(rig, 1, 7);
    assert_true(raft_rig_is_readable(rig, 1, 7));
    raft_rig_destroy(rig);
}

/* A leader asks whether it still leads; a majority has to say so, after the read came. */
static void a_leader_hears_a_majority_first(void **state)
{
    (void)state;
    struct raft_rig *rig = leading(5, 1);
    struct osr_raft_message early =
        rig_message(OSR_RAFT_APPENDED, 4, 1, raft_rig_info(rig, 1).term);
    early.appended.index = 2; /* of a message from before the read */
    raft_rig_read(rig, 1, 7);
    raft_rig_deliver(rig, &early);
    raft_rig_appended(rig, 2, 1, 2);
    assert_false(raft_rig_is_readable(rig, 1, 7));
    raft_rig_appended(rig, 3, 1, 2);
    assert_true(raft_rig_is_readable(rig, 1, 7));
    raft_rig_destroy(rig);
}

/* Reads that come together are asked for together, and one answer serves them all. */
static void reads_share_a_round(void **state)
{
    (void)state;
    struct raft_rig *rig = leading(3, 1);
    struct osr_raft_outputs outputs;
    for (uint64_t token = 1; token <= 50; token++) {
        struct osr_raft_event read = {
            .type = OSR_RAFT_READ, .now_ms = rig->now_ms, .read = {.token = token}};
        osr_raft_step(rig->members[1].core, &read, &outputs);
        assert_int_equal(outputs.count, 0);
    }
    raft_rig_step(rig, 1, &(struct osr_raft_event){.type = OSR_RAFT_FLUSH});
    assert_int_equal(raft_rig_count_said(rig, 2, OSR_RAFT_APPEND), 1);
    raft_rig_appended(rig, 2, 1, 2);
    assert_true(raft_rig_is_readable(rig, 1, 1));
    assert_true(raft_rig_is_readable(rig, 1, 50));
    raft_rig_destroy(rig);
}

/* A new leader does not know how much is committed until an entry of its own term is. */
static void a_new_leader_commits_first(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    raft_rig_elect(rig, 1);
    raft_rig_read(rig, 1, 7);
    raft_rig_appended(rig, 2, 1, 1);
    raft_rig_appended(rig, 3, 1, 1);
    assert_false(raft_rig_is_readable(rig, 1, 7));
    raft_rig_appended(rig, 2, 1, 2);
    raft_rig_step(rig, 1, &(struct osr_raft_event){.type = OSR_RAFT_FLUSH});
    raft_rig_appended(rig, 2, 1, 2);
    assert_true(raft_rig_is_readable(rig, 1, 7));
    raft_rig_destroy(rig);
}

/* A read looks when the state machines have come as far as it must see. */
static void a_read_waits_for_what_is_applied(void **state)
{
    (void)state;
    struct raft_rig *rig = leading(3, 1);
    rig->members[1].holds_applies = true;
    raft_rig_propose(rig, 1, 5, 10);
    raft_rig_appended(rig, 2, 1, 3);
    raft_rig_read(rig, 1, 7);
    raft_rig_appended(rig, 2, 1, 3);
    assert_false(raft_rig_is_readable(rig, 1, 7));
    raft_rig_release(rig, 1, OSR_OK);
    assert_true(raft_rig_is_readable(rig, 1, 7));
    raft_rig_destroy(rig);
}

/* At another member: the leader says which index it must have applied. */
static void a_follower_asks_the_leader(void **state)
{
    (void)state;
    struct raft_rig *rig = leading(3, 3);
    raft_rig_propose(rig, 1, 5, 10);
    raft_rig_settle(rig);
    raft_rig_read(rig, 2, 7);
    assert_false(raft_rig_is_readable(rig, 2, 7));
    raft_rig_settle(rig);
    assert_true(raft_rig_is_readable(rig, 2, 7));
    assert_int_equal(raft_rig_said(rig, 2, OSR_RAFT_READ_REPLY)->read_reply.index, 3);
    raft_rig_destroy(rig);
}

/* A lost question is asked again; without an answer for a time-out the read fails. */
static void a_follower_asks_again_and_gives_up(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    struct osr_raft_message append = rig_message(OSR_RAFT_APPEND, 2, 1, 5);
    append.append.previous_index = 1;
    append.append.previous_term = 1;
    raft_rig_deliver(rig, &append);
    raft_rig_read(rig, 1, 7);
    raft_rig_advance(rig, RIG_HEARTBEAT_MS);
    assert_int_equal(raft_rig_count_said(rig, 2, OSR_RAFT_READ_REQUEST), 2);
    for (int i = 1; i < RIG_TIMEOUT_MS / RIG_HEARTBEAT_MS; i++) {
        assert_int_equal(raft_rig_failure(rig, 1, 7), OSR_OK);
        raft_rig_deliver(rig, &append); /* the leader is there, and does not answer */
        raft_rig_advance(rig, RIG_HEARTBEAT_MS);
    }
    assert_int_equal(raft_rig_failure(rig, 1, 7), OSR_UNAVAILABLE);
    raft_rig_destroy(rig);
}

/* An answer to what an earlier life of this member asked is too old; so is one of another. */
static void answers_to_others_do_not_count(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    struct osr_raft_message append = rig_message(OSR_RAFT_APPEND, 2, 1, 5);
    append.append.previous_index = 1;
    append.append.previous_term = 1;
    append.append.commit = 1;
    raft_rig_deliver(rig, &append);
    raft_rig_read(rig, 1, 7);
    uint64_t request = raft_rig_said(rig, 2, OSR_RAFT_READ_REQUEST)->read_request.request;
    struct osr_raft_message reply = rig_message(OSR_RAFT_READ_REPLY, 2, 1, 5);
    reply.read_reply.index = 1;
    reply.read_reply.request = request - 1;
    raft_rig_deliver(rig, &reply);
    reply.read_reply.request = request;
    reply.from = 3;
    raft_rig_deliver(rig, &reply);
    assert_false(raft_rig_is_readable(rig, 1, 7));
    reply.from = 2;
    raft_rig_deliver(rig, &reply);
    assert_true(raft_rig_is_readable(rig, 1, 7));
    raft_rig_destroy(rig);
}

/* Without a leader there is nobody to ask; with another than was asked the answer is void; and
 * there is a limit. */
static void reads_fail_where_they_must(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create_stopped(3);
    rig->options.reads_max = 2;
    raft_rig_start(rig, 1);
    raft_rig_read(rig, 1, 1);
    assert_int_equal(raft_rig_failure(rig, 1, 1), OSR_UNAVAILABLE);
    raft_rig_elect(rig, 1);
    raft_rig_read(rig, 1, 2);
    raft_rig_read(rig, 1, 3);
    raft_rig_read(rig, 1, 4);
    assert_int_equal(raft_rig_failure(rig, 1, 4), OSR_BUSY);
    raft_rig_advance(rig, 2 * RIG_TIMEOUT_MS); /* it steps down */
    assert_int_equal(raft_rig_failure(rig, 1, 2), OSR_UNAVAILABLE);
    assert_int_equal(raft_rig_failure(rig, 1, 3), OSR_UNAVAILABLE);
    raft_rig_destroy(rig);
}

/* Who does not lead says so; and a leader that one member asks too much says so to that one. */
static void requests_are_bounded(void **state)
{
    (void)state;
    enum { REQUESTS_MAX = 64 };
    struct raft_rig *rig = leading(3, 1);
    struct osr_raft_message request =
        rig_message(OSR_RAFT_READ_REQUEST, 2, 1, raft_rig_info(rig, 1).term);
    for (uint64_t i = 0; i <= REQUESTS_MAX; i++) {
        request.read_request.request = 100 + i;
        raft_rig_deliver(rig, &request);
    }
    const struct osr_raft_message *reply = raft_rig_said(rig, 2, OSR_RAFT_READ_REPLY);
    assert_int_equal(reply->read_reply.request, 100 + REQUESTS_MAX);
    assert_int_equal(reply->read_reply.index, 0);
    assert_int_equal(raft_rig_count_said(rig, 2, OSR_RAFT_READ_REPLY), 1);
    request.from = 3;
    raft_rig_deliver(rig, &request);
    assert_null(raft_rig_said(rig, 3, OSR_RAFT_READ_REPLY)); /* it has room of its own */
    raft_rig_appended(rig, 3, 1, raft_rig_info(rig, 1).last);
    assert_int_equal(raft_rig_count_said(rig, 2, OSR_RAFT_READ_REPLY), 1 + REQUESTS_MAX);
    assert_int_equal(raft_rig_said(rig, 3, OSR_RAFT_READ_REPLY)->read_reply.index, 2);
    request.from = 2;
    raft_rig_deliver(rig, &request); /* and the other one again */
    assert_int_equal(raft_rig_count_said(rig, 2, OSR_RAFT_READ_REPLY), 1 + REQUESTS_MAX);
    raft_rig_advance(rig, 2 * RIG_TIMEOUT_MS); /* it steps down, and owes nobody an answer */
    assert_int_equal(raft_rig_count_said(rig, 2, OSR_RAFT_READ_REPLY), 2 + REQUESTS_MAX);
    raft_rig_deliver(rig, &request);
    assert_int_equal(raft_rig_said(rig, 2, OSR_RAFT_READ_REPLY)->read_reply.index, 0);
    raft_rig_destroy(rig);
}

/* A member does not ask without end while nobody answers: what comes gathers, and is asked for
 * together once there is an answer. */
static void a_follower_asks_with_measure(void **state)
{
    (void)state;
    enum { REQUESTS_MAX = 64 };
    struct raft_rig *rig = raft_rig_create(3, 1);
    struct osr_raft_message append = rig_message(OSR_RAFT_APPEND, 2, 1, 5);
    append.append.previous_index = 1;
    append.append.previous_term = 1;
    append.append.commit = 1;
    raft_rig_deliver(rig, &append);
    for (uint64_t i = 0; i < 3 * REQUESTS_MAX; i++) {
        raft_rig_read(rig, 1, 1000 + i);
    }
    assert_int_equal(raft_rig_count_said(rig, 2, OSR_RAFT_READ_REQUEST), REQUESTS_MAX);
    struct osr_raft_message reply = rig_message(OSR_RAFT_READ_REPLY, 2, 1, 5);
    reply.read_reply.index = 1;
    for (int i = 0; i < 2; i++) {
        reply.read_reply.request =
            raft_rig_said(rig, 2, OSR_RAFT_READ_REQUEST)->read_request.request;
        raft_rig_deliver(rig, &reply);
    }
    assert_int_equal(raft_rig_count_said(rig, 2, OSR_RAFT_READ_REQUEST), REQUESTS_MAX + 1);
    assert_int_equal(raft_rig_count(rig, 1, OSR_RAFT_OUT_READABLE), 3 * REQUESTS_MAX);
    raft_rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sole_voter_reads_at_once),
        cmocka_unit_test(a_leader_hears_a_majority_first),
        cmocka_unit_test(reads_share_a_round),
        cmocka_unit_test(a_new_leader_commits_first),
        cmocka_unit_test(a_read_waits_for_what_is_applied),
        cmocka_unit_test(a_follower_asks_the_leader),
        cmocka_unit_test(a_follower_asks_again_and_gives_up),
        cmocka_unit_test(answers_to_others_do_not_count),
        cmocka_unit_test(reads_fail_where_they_must),
        cmocka_unit_test(requests_are_bounded),
        cmocka_unit_test(a_follower_asks_with_measure),
    };
    return cmocka_run_group_tests_name("raft_reads", tests, NULL, NULL);
}
