/* What a leader sends, when, and how much of it. Member 1 is the core and leads, others are played
 * by the test. */
#include "lib/raft_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* It leads, and knows that the log of member 2 is as long as its own. */
static struct raft_rig *leading(size_t voters)
{
    struct raft_rig *rig = raft_rig_create(voters, 1);
    raft_rig_elect(rig, 1);
    raft_rig_appended(rig, 2, 1, raft_rig_info(rig, 1).last);
    raft_rig_forget(rig);
    return rig;
}

/* The bytes of the commands in the last APPEND to a member. */
static size_t bytes_of(const struct osr_raft_message *append)
{
    size_t bytes = 0;
    for (size_t i = 0; i < append->append.count; i++) {
        bytes += append->append.entries[i].payload.size;
    }
    return bytes;
}

/* A new leader does not know where the logs of others end: it sends them one message, and the next
 * when that is answered or a heartbeat's time has passed. */
static void a_probe_is_alone(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    raft_rig_elect(rig, 1);
    assert_int_equal(raft_rig_count_said(rig, 3, OSR_RAFT_APPEND), 1);
    raft_rig_propose_many(rig, 1, 10, 20, 50);
    assert_int_equal(raft_rig_count_said(rig, 3, OSR_RAFT_APPEND), 1);
    raft_rig_advance(rig, RIG_HEARTBEAT_MS);
    assert_int_equal(raft_rig_count_said(rig, 3, OSR_RAFT_APPEND), 2);
    assert_int_equal(raft_rig_peer(rig, 1, 3).progress, OSR_RAFT_PROBING);
    raft_rig_destroy(rig);
}

/* What is proposed before one FLUSH is stored at once and goes out in messages of a limited size,
 * and a window of them; what is acknowledged makes room for more. */
static void a_window_bounds_what_is_under_way(void **state)
{
    (void)state;
    struct raft_rig *rig = leading(3);
    raft_rig_propose_many(rig, 1, 10, 20, 30);
    assert_int_equal(raft_rig_count(rig, 1, OSR_RAFT_OUT_STORE), 1);
    assert_int_equal(raft_rig_count_said(rig, 2, OSR_RAFT_APPEND), RIG_WINDOW_MESSAGES);
    const struct osr_raft_message *append = raft_rig_said(rig, 2, OSR_RAFT_APPEND);
    assert_int_equal(append->append.count, 3); /* 30 bytes each, 100 in a message */
    assert_int_equal(append->append.previous_index, 2 + 9);
    raft_rig_appended(rig, 2, 1, 2 + 3);
    assert_int_equal(raft_rig_count_said(rig, 2, OSR_RAFT_APPEND), RIG_WINDOW_MESSAGES + 1);
    assert_int_equal(raft_rig_peer(rig, 1, 2).in_flight, RIG_WINDOW_MESSAGES);
    raft_rig_destroy(rig);
}

/* The window has a limit of bytes, too: it is passed by one message at most. */
static void a_window_bounds_bytes(void **state)
{
    (void)state;
    struct raft_rig *rig = leading(3);
    raft_rig_propose_many(rig, 1, 10, 4, 200);
    assert_int_equal(raft_rig_count_said(rig, 2, OSR_RAFT_APPEND), 2);
    raft_rig_destroy(rig);
}

/* While the window is full more gathers, for fewer and larger messages. */
static void what_waits_gathers(void **state)
{
    (void)state;
    struct raft_rig *rig = leading(3);
    for (uint64_t i = 0; i < 14; i++) {
        raft_rig_propose(rig, 1, 10 + i, 10);
    }
    assert_int_equal(raft_rig_count_said(rig, 2, OSR_RAFT_APPEND), 4);
    raft_rig_appended(rig, 2, 1, 3);
    assert_int_equal(raft_rig_count_said(rig, 2, OSR_RAFT_APPEND), 5);
    assert_int_equal(raft_rig_said(rig, 2, OSR_RAFT_APPEND)->append.count, 10);
    raft_rig_destroy(rig);
}

/* A command larger than a message's limit goes alone. */
static void a_large_command_goes_alone(void **state)
{
    (void)state;
    struct raft_rig *rig = leading(3);
    raft_rig_propose_many(rig, 1, 10, 2, RIG_MESSAGE_BYTES_MAX + 10);
    assert_int_equal(raft_rig_said(rig, 2, OSR_RAFT_APPEND)->append.count, 1);
    assert_int_equal(bytes_of(raft_rig_said(rig, 2, OSR_RAFT_APPEND)), RIG_MESSAGE_BYTES_MAX + 10);
    raft_rig_destroy(rig);
}

/* One that does not answer is sent a heartbeat, from which it knows what it lacks; a refusal begins
 * anew behind what it has. */
static void what_was_lost_is_sent_again(void **state)
{
    (void)state;
    struct raft_rig *rig = leading(3);
    raft_rig_propose_many(rig, 1, 10, 4, 30);
    raft_rig_forget(rig);
    raft_rig_advance(rig, RIG_HEARTBEAT_MS);
    const struct osr_raft_message *append = raft_rig_said(rig, 2, OSR_RAFT_APPEND);
    assert_int_equal(append->append.count, 0);
    assert_int_equal(append->append.previous_index, 6);
    struct osr_raft_message refusal =
        rig_message(OSR_RAFT_APPENDED, 2, 1, raft_rig_info(rig, 1).term);
    refusal.appended.is_refused = true;
    refusal.appended.index = 6;
    refusal.appended.hint_index = 2;
    refusal.appended.hint_term = raft_rig_info(rig, 1).term;
    raft_rig_deliver(rig, &refusal);
    append = raft_rig_said(rig, 2, OSR_RAFT_APPEND);
    assert_int_equal(append->append.previous_index, 2);
    assert_int_equal(append->append.count, 3);
    raft_rig_deliver(rig, &refusal); /* again: it was answered */
    assert_int_equal(raft_rig_peer(rig, 1, 2).next, 3);
    raft_rig_destroy(rig);
}

/* Two logs that parted long ago meet in as many messages as they have terms, not entries. */
static void a_hint_skips_terms(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create_stopped(2);
    for (uint64_t id = 1; id <= 2; id++) {
        struct rig_disk *disk = &rig->members[id].disk;
        for (uint64_t index = 2; index <= 1000; index++) {
            uint64_t term = index < 500 ? 2 : (id == 1 ? 5 : 3 + (index > 700));
            disk->entries[index] =
                (struct osr_raft_entry){.index = index, .term = term, .kind = OSR_RAFT_NOTHING};
        }
        disk->last = 1000;
        disk->vote.term = 5;
    }
    raft_rig_start(rig, 1);
    raft_rig_start(rig, 2);
    raft_rig_elect(rig, 1);
    raft_rig_settle(rig);
    size_t refusals = 0;
    for (size_t i = 0; i < rig->seen_count; i++) {
        const struct osr_raft_output *output = &rig->seen[i].output;
        refusals += output->type == OSR_RAFT_OUT_SEND && output->send->type == OSR_RAFT_APPENDED &&
                    output->send->appended.is_refused;
    }
    assert_true(refusals <= 4);
    assert_int_equal(raft_rig_info(rig, 2).commit, 1001);
    assert_int_equal(rig->members[2].disk.entries[800].term, 5);
    raft_rig_destroy(rig);
}

/* What was committed is told at once where nothing else is under way. */
static void a_commit_is_told_at_once(void **state)
{
    (void)state;
    struct raft_rig *rig = leading(3);
    raft_rig_propose(rig, 1, 10, 30);
    raft_rig_appended(rig, 2, 1, 3);
    const struct osr_raft_message *append = raft_rig_said(rig, 2, OSR_RAFT_APPEND);
    assert_int_equal(append->append.commit, 3);
    assert_int_equal(append->append.count, 0);
    raft_rig_destroy(rig);
}

/* One that is being probed learns it with the next probe, though its answers do not come. */
static void who_is_probed_learns_what_is_committed(void **state)
{
    (void)state;
    struct raft_rig *rig = leading(3);
    raft_rig_propose(rig, 1, 10, 30);
    raft_rig_appended(rig, 2, 1, 3);
    assert_int_equal(raft_rig_info(rig, 1).commit, 3);
    raft_rig_advance(rig, RIG_HEARTBEAT_MS);
    assert_int_equal(raft_rig_peer(rig, 1, 3).progress, OSR_RAFT_PROBING);
    assert_int_equal(raft_rig_said(rig, 3, OSR_RAFT_APPEND)->append.commit, 3);
    raft_rig_destroy(rig);
}

/* A follower that is far behind is given what the disk has, a message at a time. */
static void what_left_memory_is_fetched(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create_stopped(3);
    rig->options.cache_bytes = 300;
    raft_rig_start(rig, 1);
    raft_rig_elect(rig, 1);
    raft_rig_appended(rig, 2, 1, 2);
    for (uint64_t i = 0; i < 50; i++) {
        raft_rig_propose(rig, 1, 10 + i, 30);
        raft_rig_appended(rig, 2, 1, 3 + i);
    }
    assert_int_equal(raft_rig_info(rig, 1).commit, 52);
    raft_rig_forget(rig);
    raft_rig_appended(rig, 3, 1, 2);
    assert_true(raft_rig_count(rig, 1, OSR_RAFT_OUT_FETCH) > 0);
    const struct osr_raft_message *append = raft_rig_said(rig, 3, OSR_RAFT_APPEND);
    assert_true(append->append.count > 0 && bytes_of(append) <= RIG_MESSAGE_BYTES_MAX);
    assert_int_equal(append->append.entries[0].payload.size, 30);
    for (uint64_t index = 3; index <= 52; index++) {
        raft_rig_appended(rig, 3, 1, index);
    }
    append = raft_rig_said(rig, 3, OSR_RAFT_APPEND);
    assert_int_equal(append->append.previous_index + append->append.count, 52);
    raft_rig_destroy(rig);
}

/* To one that cannot be reached nothing more is sent than a probe each heartbeat. */
static void who_cannot_be_reached_is_probed(void **state)
{
    (void)state;
    struct raft_rig *rig = leading(3);
    raft_rig_propose(rig, 1, 10, 30);
    raft_rig_step(
        rig, 1,
        &(struct osr_raft_event){.type = OSR_RAFT_UNREACHABLE, .unreachable = {.member = 2}});
    raft_rig_forget(rig);
    raft_rig_propose(rig, 1, 11, 30);
    assert_int_equal(raft_rig_count_said(rig, 2, OSR_RAFT_APPEND), 0);
    raft_rig_advance(rig, RIG_HEARTBEAT_MS);
    assert_int_equal(raft_rig_count_said(rig, 2, OSR_RAFT_APPEND), 1);
    assert_int_equal(raft_rig_said(rig, 2, OSR_RAFT_APPEND)->append.previous_index, 2);
    raft_rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_probe_is_alone),
        cmocka_unit_test(a_window_bounds_what_is_under_way),
        cmocka_unit_test(a_window_bounds_bytes),
        cmocka_unit_test(what_waits_gathers),
        cmocka_unit_test(a_large_command_goes_alone),
        cmocka_unit_test(what_was_lost_is_sent_again),
        cmocka_unit_test(a_hint_skips_terms),
        cmocka_unit_test(a_commit_is_told_at_once),
        cmocka_unit_test(who_is_probed_learns_what_is_committed),
        cmocka_unit_test(what_left_memory_is_fetched),
        cmocka_unit_test(who_cannot_be_reached_is_probed),
    };
    return cmocka_run_group_tests_name("raft_sending", tests, NULL, NULL);
}
