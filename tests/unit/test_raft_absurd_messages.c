/* Whatever a member says, in whatever order, between what makes sense: absurd numbers by the
 * thousand. Member 1 is the core, others are played by the test. */
#include "lib/raft_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { JUMP = 1 << 24, MESSAGES = 1000 };

struct absurd {
    struct osr_random random;
    struct osr_raft_entry entries[3];
    struct osr_raft_snapshot snapshot;
    uint8_t bytes[64];
};

/* A number that somebody may have got wrong by one, or altogether. */
static uint64_t any_number(struct absurd *absurd, const struct osr_raft_info *info)
{
    const uint64_t numbers[] = {0,
                                1,
                                2,
                                3,
                                info->last,
                                info->last + 1,
                                info->commit,
                                info->term,
                                info->term + 1,
                                info->term - 1,
                                JUMP,
                                UINT32_MAX,
                                UINT64_MAX / 4,
                                UINT64_MAX - 1,
                                UINT64_MAX};
    return numbers[osr_random_below(&absurd->random, sizeof(numbers) / sizeof(numbers[0]))];
}

static void make_append(struct absurd *absurd, const struct osr_raft_info *info,
                        struct osr_raft_message *message)
{
    bool is_sound = osr_random_below(&absurd->random, 4) > 0;
    message->append.previous_index = is_sound ? info->last : any_number(absurd, info);
    message->append.previous_term = any_number(absurd, info);
    message->append.commit = any_number(absurd, info);
    message->append.round = any_number(absurd, info);
    message->append.entries = absurd->entries;
    message->append.count = osr_random_below(&absurd->random, 4);
    for (size_t i = 0; i < message->append.count; i++) {
        absurd->entries[i] = (struct osr_raft_entry){
            .index = is_sound ? message->append.previous_index + 1 + i : any_number(absurd, info),
            .term = is_sound ? message->term : any_number(absurd, info),
            .kind = (enum osr_raft_kind)osr_random_below(&absurd->random, 5),
            .payload = osr_slice(absurd->bytes, osr_random_below(&absurd->random, 64))};
    }
}

static void make_snapshot(struct absurd *absurd, const struct osr_raft_info *info,
                          struct osr_raft_message *message)
{
    struct osr_raft_configuration *configuration = &absurd->snapshot.configuration;
    absurd->snapshot.index = any_number(absurd, info);
    absurd->snapshot.term = any_number(absurd, info);
    absurd->snapshot.size = osr_random_below(&absurd->random, 3) * 32;
    configuration->count = osr_random_below(&absurd->random, OSR_RAFT_MEMBERS_MAX + 3);
    for (size_t i = 0; i < OSR_RAFT_MEMBERS_MAX; i++) {
        configuration->members[i].id = i + osr_random_below(&absurd->random, 2);
        configuration->members[i].standing =
            (enum osr_raft_standing)(1 + osr_random_below(&absurd->random, 2));
    }
    message->snapshot.snapshot = &absurd->snapshot;
    message->snapshot.offset = osr_random_below(&absurd->random, 4) * 32;
    message->snapshot.chunk = osr_slice(absurd->bytes, osr_random_below(&absurd->random, 64));
}

static struct osr_raft_message make_absurd(struct absurd *absurd, const struct osr_raft_info *info)
{
    struct osr_raft_message message = rig_message(
        (enum osr_raft_message_type)osr_random_below(&absurd->random, OSR_RAFT_ELECT_NOW + 2),
        osr_random_below(&absurd->random, 6), 1, info->term);
    if (osr_random_below(&absurd->random, 4) == 0) {
        message.term = any_number(absurd, info);
    }
    uint64_t numbers[] = {any_number(absurd, info), any_number(absurd, info),
                          any_number(absurd, info), any_number(absurd, info)};
    bool flags[] = {osr_random_below(&absurd->random, 2) == 0,
                    osr_random_below(&absurd->random, 2) == 0};
    switch (message.type) {
    case OSR_RAFT_VOTE_REQUEST:
        message.vote_request.is_pre = flags[0];
        message.vote_request.is_transfer = flags[1];
        message.vote_request.last_index = numbers[0];
        message.vote_request.last_term = numbers[1];
        break;
    case OSR_RAFT_VOTE_REPLY:
        message.vote_reply.is_pre = flags[0];
        message.vote_reply.is_granted = flags[1];
        break;
    case OSR_RAFT_APPEND:
        make_append(absurd, info, &message);
        break;
    case OSR_RAFT_APPENDED:
        message.appended.is_refused = flags[0];
        message.appended.index = numbers[0];
        message.appended.hint_index = numbers[1];
        message.appended.hint_term = numbers[2];
        message.appended.round = flags[1] ? 0 : numbers[3];
        break;
    case OSR_RAFT_SNAPSHOT:
        make_snapshot(absurd, info, &message);
        break;
    case OSR_RAFT_SNAPSHOT_TAKEN:
        message.snapshot_taken.index = numbers[0];
        message.snapshot_taken.checksum = numbers[1];
        message.snapshot_taken.offset = numbers[2];
        message.snapshot_taken.round = flags[1] ? 0 : numbers[3];
        break;
    default:
        message.read_reply.request = numbers[0];
        message.read_reply.index = numbers[1];
        break;
    }
    return message;
}

static void assert_in_order(const struct osr_raft_info *before, const struct osr_raft_info *after)
{
    assert_true(after->applied <= after->commit && after->commit <= after->durable &&
                after->durable <= after->last && after->snapshot <= after->applied);
    assert_true(after->commit >= before->commit);
    assert_true(after->term >= before->term && after->term <= before->term + JUMP + 1);
}

/* Leads, or has followed member 2. */
static struct raft_rig *begin(bool is_leader)
{
    struct raft_rig *rig = raft_rig_create(3, 1);
    raft_rig_elect(rig, 1);
    raft_rig_appended(rig, 2, 1, raft_rig_info(rig, 1).last);
    if (!is_leader) {
        struct osr_raft_message append =
            rig_message(OSR_RAFT_APPEND, 2, 1, raft_rig_info(rig, 1).term + 1);
        append.append.previous_index = 1;
        append.append.previous_term = 1;
        raft_rig_deliver(rig, &append);
    }
    rig->members[1].is_corrupt = true; /* what snapshots it is given are none */
    return rig;
}

static void say_absurdly(struct raft_rig *rig, struct absurd *absurd)
{
    struct osr_raft_info before = raft_rig_info(rig, 1);
    struct osr_raft_message message = make_absurd(absurd, &before);
    raft_rig_forget(rig);
    raft_rig_lose(rig);
    raft_rig_step(rig, 1, &(struct osr_raft_event){.type = OSR_RAFT_MESSAGE, .message = &message});
    struct osr_raft_info after = raft_rig_info(rig, 1);
    assert_in_order(&before, &after);
    assert_int_equal(rig->members[1].disk.last, after.last);
}

/* It can still be elected, and commits what it is given. */
static void assert_works(struct raft_rig *rig)
{
    enum { TOKEN = 1000000 };
    raft_rig_lose(rig);
    raft_rig_forget(rig);
    raft_rig_elect(rig, 1);
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_LEADER);
    raft_rig_propose(rig, 1, TOKEN, 10);
    raft_rig_appended(rig, 2, 1, raft_rig_info(rig, 1).last);
    assert_true(raft_rig_has_applied(rig, 1, TOKEN));
}

/* Nothing stumbles, nothing that was committed goes, and no term runs away; what makes no sense is
 * refused, and leaves a member that works. */
static void nothing_stumbles(void **state)
{
    (void)state;
    struct absurd *absurd = osr_alloc(sizeof(*absurd));
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct raft_rig *rig = begin(seed % 2 == 0);
        osr_random_init(&absurd->random, seed);
        for (uint64_t i = 0; i < MESSAGES; i++) {
            say_absurdly(rig, absurd);
            if (i % 10 == 0) {
                raft_rig_tick(rig, 1, osr_random_below(&absurd->random, 2 * RIG_TIMEOUT_MS));
                raft_rig_propose(rig, 1, 1 + i, 10);
                raft_rig_read(rig, 1, 1 + MESSAGES + i);
            }
        }
        assert_true(raft_rig_info(rig, 1).refused > MESSAGES / 10);
        assert_works(rig);
        raft_rig_destroy(rig);
    }
    free(absurd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_stumbles),
    };
    return cmocka_run_group_tests_name("raft_absurd_messages", tests, NULL, NULL);
}
