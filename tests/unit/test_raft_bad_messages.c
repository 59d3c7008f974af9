/* Messages that nobody should send: from members and strangers that err, lie, or are somebody
 * else's. They are dropped and counted, and change nothing. Member 1 is the core, others are
 * played by the test, unless a test says otherwise. */
#include "lib/raft_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { TERM = 5, STRANGER = 9, JUMP = 1 << 24 };

static void step(struct raft_rig *rig, const struct osr_raft_message *message)
{
    raft_rig_step(rig, 1, &(struct osr_raft_event){.type = OSR_RAFT_MESSAGE, .message = message});
}

/* It is counted, nothing is put out, and all is as before. */
static void assert_refused(struct raft_rig *rig, const struct osr_raft_message *message)
{
    struct osr_raft_info before = raft_rig_info(rig, 1);
    uint64_t deadline_ms = osr_raft_deadline_ms(rig->members[1].core);
    raft_rig_forget(rig);
    step(rig, message);
    struct osr_raft_info after = raft_rig_info(rig, 1);
    assert_int_equal(after.refused, before.refused + 1);
    assert_int_equal(rig->seen_count, 0);
    assert_int_equal(after.role, before.role);
    assert_int_equal(after.term, before.term);
    assert_int_equal(after.leader, before.leader);
    assert_int_equal(after.last, before.last);
    assert_int_equal(after.commit, before.commit);
    assert_int_equal(after.snapshot, before.snapshot);
    assert_int_equal(after.configured_at, before.configured_at);
    assert_int_equal(osr_raft_deadline_ms(rig->members[1].core), deadline_ms);
}

/* An APPEND of member 2, with two commands behind entry 1. */
struct append {
    struct osr_raft_message message;
    struct osr_raft_entry entries[2];
};

static struct append *good_append(uint64_t term)
{
    struct append *append = osr_alloc(sizeof(*append));
    append->message = rig_message(OSR_RAFT_APPEND, 2, 1, term);
    append->message.append.previous_index = 1;
    append->message.append.previous_term = 1;
    append->message.append.entries = append->entries;
    append->message.append.count = 2;
    for (size_t i = 0; i < 2; i++) {
        append->entries[i] = (struct osr_raft_entry){.index = 2 + i,
                                                     .term = term,
                                                     .kind = OSR_RAFT_COMMAND,
                                                     .payload = osr_slice_text("command")};
    }
    return append;
}

/* Follows member 2, with three entries of which two are committed. */
static struct raft_rig *following(void)
{
    struct raft_rig *rig = raft_rig_create(3, 1);
    struct append *append = good_append(TERM);
    append->message.append.commit = 2;
    step(rig, &append->message);
    assert_int_equal(raft_rig_info(rig, 1).commit, 2);
    assert_int_equal(raft_rig_info(rig, 1).last, 3);
    free(append);
    return rig;
}

static struct raft_rig *leading(void)
{
    struct raft_rig *rig = raft_rig_create(3, 1);
    raft_rig_elect(rig, 1);
    raft_rig_appended(rig, 2, 1, raft_rig_info(rig, 1).last);
    return rig;
}

/* ---- envelopes ---- */

/* Not from anybody, from this member itself, for another, of no type there is, of no term there
 * is. */
static void envelopes_are_looked_at(void **state)
{
    (void)state;
    struct raft_rig *rigs[] = {following(), leading()};
    for (size_t i = 0; i < 2; i++) {
        for (unsigned type = OSR_RAFT_VOTE_REQUEST; type <= OSR_RAFT_ELECT_NOW; type++) {
            struct osr_raft_message good =
                rig_message((enum osr_raft_message_type)type, 2, 1, TERM);
            struct osr_raft_message bad[] = {good, good, good, good, good, good};
            bad[0].from = 0;
            bad[1].from = 1;
            bad[2].to = 3;
            bad[3].term = 0;
            bad[4].term = UINT64_MAX;
            bad[5].type = (enum osr_raft_message_type)(type % 2 == 0 ? 0 : 99);
            for (size_t j = 0; j < sizeof(bad) / sizeof(bad[0]); j++) {
                assert_refused(rigs[i], &bad[j]);
            }
        }
        raft_rig_destroy(rigs[i]);
    }
}

/* Who is no member may ask for votes, or lead: it may be in a configuration that is not known here
 * yet. It has nothing to answer, whatever its term. */
static void strangers_have_nothing_to_answer(void **state)
{
    (void)state;
    static const enum osr_raft_message_type types[] = {
        OSR_RAFT_VOTE_REPLY,   OSR_RAFT_APPENDED,   OSR_RAFT_SNAPSHOT_TAKEN,
        OSR_RAFT_READ_REQUEST, OSR_RAFT_READ_REPLY, OSR_RAFT_ELECT_NOW,
    };
    struct raft_rig *rigs[] = {following(), leading()};
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < sizeof(types) / sizeof(types[0]); j++) {
            struct osr_raft_message message =
                rig_message(types[j], STRANGER, 1, raft_rig_info(rigs[i], 1).term);
            assert_refused(rigs[i], &message);
            message.term += 7;
            assert_refused(rigs[i], &message);
        }
        raft_rig_destroy(rigs[i]);
    }
}

/* Nor does a leader want one of them to lead: who hears the leader does not listen to that. */
static void strangers_are_no_successors(void **state)
{
    (void)state;
    struct raft_rig *rigs[] = {following(), leading()};
    for (size_t i = 0; i < 2; i++) {
        struct osr_raft_info before = raft_rig_info(rigs[i], 1);
        struct osr_raft_message request =
            rig_message(OSR_RAFT_VOTE_REQUEST, STRANGER, 1, before.term + 1);
        request.vote_request.is_transfer = true;
        request.vote_request.last_index = 90;
        request.vote_request.last_term = before.term;
        step(rigs[i], &request);
        assert_int_equal(raft_rig_info(rigs[i], 1).term, before.term);
        assert_int_equal(raft_rig_info(rigs[i], 1).role, before.role);
        request.from = 3;
        step(rigs[i], &request);
        assert_int_equal(raft_rig_info(rigs[i], 1).term, before.term + 1);
        raft_rig_destroy(rigs[i]);
    }
}

/* ---- terms ---- */

/* An absurd term is not taken over: the own one rises by so much within a heartbeat's time, however
 * often it is said, and by whatever message. */
static void absurd_terms_use_up_nothing(void **state)
{
    (void)state;
    struct raft_rig *rig = following();
    rig->now_ms += 2 * RIG_TIMEOUT_MS; /* nobody is heard any more */
    struct osr_raft_message message = rig_message(OSR_RAFT_APPENDED, 3, 1, UINT64_MAX - 1);
    struct osr_raft_message request = rig_message(OSR_RAFT_VOTE_REQUEST, 3, 1, UINT64_MAX - 1);
    for (int i = 0; i < 100; i++) {
        step(rig, &message);
        step(rig, &request);
    }
    assert_int_equal(raft_rig_info(rig, 1).term, TERM + JUMP);
    assert_int_equal(raft_rig_info(rig, 1).refused, 200);
    rig->now_ms += RIG_HEARTBEAT_MS;
    step(rig, &request);
    step(rig, &request);
    assert_int_equal(raft_rig_info(rig, 1).term, TERM + 2 * JUMP);
    assert_int_equal(raft_rig_info(rig, 1).leader, 0);
    raft_rig_destroy(rig);
}

/* A member that was driven far ahead is not cut off from the others for ever: they come nearer. */
static void members_that_were_driven_apart_meet(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 2);
    struct osr_raft_message message = rig_message(OSR_RAFT_APPENDED, 3, 1, UINT64_MAX - 1);
    for (int i = 0; i < 5; i++) {
        step(rig, &message);
        rig->now_ms += RIG_HEARTBEAT_MS;
    }
    uint64_t ahead = raft_rig_info(rig, 1).term;
    assert_int_equal(ahead, 1 + 5 * (uint64_t)JUMP);
    raft_rig_advance(rig, 60 * RIG_TIMEOUT_MS);
    uint64_t leader = raft_rig_info(rig, 1).leader;
    assert_true(leader != 0 && leader == raft_rig_info(rig, 2).leader);
    assert_true(raft_rig_info(rig, 2).term > ahead);
    raft_rig_propose(rig, leader, 7, 10);
    raft_rig_settle(rig);
    assert_true(raft_rig_has_applied(rig, leader, 7));
    raft_rig_destroy(rig);
}

/* ---- entries ---- */

/* Places that cannot be, entries that do not follow one another, sizes over all limits, members
 * that make no sense: none of it comes into the log. */
static void entries_that_cannot_be_are_refused(void **state)
{
    (void)state;
    enum { CASES = 18 };
    struct raft_rig *rig = following();
    struct append bad[CASES];
    struct append *good = good_append(TERM);
    for (size_t i = 0; i < CASES; i++) {
        bad[i] = *good;
        bad[i].message.append.entries = bad[i].entries;
    }
    bad[0].message.append.previous_index = UINT64_MAX;
    bad[1].message.append.previous_index = UINT64_MAX / 2;
    bad[2].message.append.previous_index = 0;
    bad[3].message.append.previous_term = 0;
    bad[4].message.append.previous_term = TERM + 1;
    bad[5].message.append.count = SIZE_MAX;
    bad[6].message.append.entries = NULL;
    bad[7].entries[0].index = 0;
    bad[8].entries[1].index = 2;
    bad[9].entries[1].index = UINT64_MAX;
    bad[10].entries[0].term = 0;
    bad[11].entries[0].term = TERM + 1;
    bad[12].entries[1].term = TERM - 1;
    bad[13].entries[0].kind = (enum osr_raft_kind)0;
    bad[14].entries[1].kind = (enum osr_raft_kind)99;
    bad[15].entries[1].kind = OSR_RAFT_NOTHING;       /* with a payload */
    bad[16].entries[1].kind = OSR_RAFT_CONFIGURATION; /* that is none */
    bad[17].entries[1].payload.size = OSR_RAFT_COMMAND_BYTES_MAX + 1;
    for (size_t i = 0; i < CASES; i++) {
        assert_refused(rig, &bad[i].message);
    }
    free(good);
    raft_rig_destroy(rig);
}

/* Commands that are small enough, and together too much. */
static void a_message_of_too_much_is_refused(void **state)
{
    (void)state;
    enum { COUNT = OSR_RAFT_MESSAGE_BYTES_MAX / OSR_RAFT_COMMAND_BYTES_MAX + 1 };
    struct raft_rig *rig = following();
    struct osr_raft_entry entries[COUNT];
    uint8_t *bytes = osr_alloc(OSR_RAFT_COMMAND_BYTES_MAX);
    struct osr_raft_message message = rig_message(OSR_RAFT_APPEND, 2, 1, TERM);
    for (size_t i = 0; i < COUNT; i++) {
        entries[i] =
            (struct osr_raft_entry){.index = 4 + i,
                                    .term = TERM,
                                    .kind = OSR_RAFT_COMMAND,
                                    .payload = osr_slice(bytes, OSR_RAFT_COMMAND_BYTES_MAX)};
    }
    message.append.previous_index = 3;
    message.append.previous_term = TERM;
    message.append.entries = entries;
    message.append.count = COUNT;
    assert_refused(rig, &message);
    free(bytes);
    raft_rig_destroy(rig);
}

/* A leader that says otherwise than what is committed was never elected: nothing of it is taken,
 * whatever its term. */
static void what_is_committed_stays(void **state)
{
    (void)state;
    struct raft_rig *rig = following();
    struct append *append = good_append(TERM + 3);
    append->message.from = 3;
    append->message.append.commit = UINT64_MAX;
    step(rig, &append->message);
    append->message.append.previous_index = 2;
    append->message.append.previous_term = TERM + 1;
    append->entries[0].index = 3;
    append->entries[1].index = 4;
    step(rig, &append->message);
    struct osr_raft_info info = raft_rig_info(rig, 1);
    assert_int_equal(info.refused, 2);
    assert_int_equal(info.last, 3);
    assert_int_equal(info.commit, 2);
    assert_int_equal(rig->members[1].disk.entries[2].term, TERM);
    free(append);
    raft_rig_destroy(rig);
}

/* Of two that say they lead one term, the first is believed; and this member itself more than
 * any. */
static void one_leads_a_term(void **state)
{
    (void)state;
    struct raft_rig *rig = following();
    struct append *append = good_append(TERM);
    append->message.from = 3;
    assert_refused(rig, &append->message);
    free(append);
    raft_rig_destroy(rig);
    rig = leading();
    append = good_append(raft_rig_info(rig, 1).term);
    assert_refused(rig, &append->message);
    free(append);
    raft_rig_destroy(rig);
}

/* ---- answers ---- */

/* A follower that says it has what was not sent, or has heard what was not said. */
static void answers_to_nothing_are_refused(void **state)
{
    (void)state;
    struct raft_rig *rig = leading();
    struct osr_raft_message good = rig_message(OSR_RAFT_APPENDED, 3, 1, raft_rig_info(rig, 1).term);
    struct osr_raft_message bad[] = {good, good, good, good, good, good};
    bad[0].appended.index = raft_rig_info(rig, 1).last + 1;
    bad[1].appended.index = UINT64_MAX;
    bad[2].appended.round = UINT64_MAX;
    bad[3].appended.is_refused = true;
    bad[3].appended.index = UINT64_MAX;
    bad[4].appended.hint_index = 1;
    bad[5].appended.hint_term = UINT64_MAX;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_refused(rig, &bad[i]);
    }
    struct osr_raft_message taken = good;
    taken.type = OSR_RAFT_SNAPSHOT_TAKEN;
    taken.snapshot_taken.round = UINT64_MAX;
    assert_refused(rig, &taken);
    assert_int_equal(raft_rig_peer(rig, 1, 3).matched, 0);
    raft_rig_destroy(rig);
}

/* Candidates that have entries of the term that they stand in, or of no place at all. */
static void candidates_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct raft_rig *rig = following();
    struct osr_raft_message good = rig_message(OSR_RAFT_VOTE_REQUEST, 3, 1, TERM + 1);
    struct osr_raft_message bad[] = {good, good, good, good};
    bad[0].vote_request.last_index = 9;
    bad[1].vote_request.last_term = 3;
    bad[2].vote_request.last_index = 9;
    bad[2].vote_request.last_term = TERM + 1;
    bad[3].vote_request.last_index = UINT64_MAX;
    bad[3].vote_request.last_term = 3;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_refused(rig, &bad[i]);
        bad[i].vote_request.is_pre = true;
        assert_refused(rig, &bad[i]);
    }
    raft_rig_destroy(rig);
}

/* Learners and those that were not asked elect nobody. */
static void votes_of_others_do_not_count(void **state)
{
    (void)state;
    struct raft_rig *rig = leading();
    raft_rig_add(rig, 1, 7, 4, false);
    raft_rig_appended(rig, 2, 1, raft_rig_info(rig, 1).last);
    raft_rig_advance(rig, 5 * RIG_TIMEOUT_MS);
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_PRE_CANDIDATE);
    struct osr_raft_message reply =
        rig_message(OSR_RAFT_VOTE_REPLY, 4, 1, raft_rig_info(rig, 1).term + 1);
    reply.vote_reply.is_granted = true;
    reply.vote_reply.is_pre = true;
    step(rig, &reply);
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_PRE_CANDIDATE);
    reply.from = 2;
    reply.term = UINT64_MAX - 1; /* nobody stands there */
    step(rig, &reply);
    assert_int_equal(raft_rig_info(rig, 1).role, OSR_RAFT_PRE_CANDIDATE);
    raft_rig_destroy(rig);
}

/* A leader that says an index that will never be does not stop reads for ever: with the next leader
 * they fail, and new ones are answered. */
static void a_read_does_not_wait_for_ever(void **state)
{
    (void)state;
    struct raft_rig *rig = following();
    raft_rig_read(rig, 1, 7);
    struct osr_raft_message reply = rig_message(OSR_RAFT_READ_REPLY, 2, 1, TERM);
    reply.read_reply.request = raft_rig_said(rig, 2, OSR_RAFT_READ_REQUEST)->read_request.request;
    reply.read_reply.index = UINT64_MAX;
    step(rig, &reply);
    raft_rig_read(rig, 1, 8);
    reply.read_reply.request = raft_rig_said(rig, 2, OSR_RAFT_READ_REQUEST)->read_request.request;
    reply.read_reply.index = 2;
    step(rig, &reply);
    assert_false(raft_rig_is_readable(rig, 1, 8)); /* behind the other */
    struct osr_raft_message next = rig_message(OSR_RAFT_APPEND, 3, 1, TERM + 1);
    next.append.previous_index = 3;
    next.append.previous_term = TERM;
    step(rig, &next);
    assert_int_equal(raft_rig_failure(rig, 1, 7), OSR_UNAVAILABLE);
    assert_int_equal(raft_rig_failure(rig, 1, 8), OSR_UNAVAILABLE);
    raft_rig_read(rig, 1, 9);
    reply.from = 3;
    reply.term = TERM + 1;
    reply.read_reply.request = raft_rig_said(rig, 3, OSR_RAFT_READ_REQUEST)->read_request.request;
    step(rig, &reply);
    assert_true(raft_rig_is_readable(rig, 1, 9));
    raft_rig_destroy(rig);
}

/* ---- snapshots ---- */

struct chunk {
    struct osr_raft_message message;
    struct osr_raft_snapshot snapshot;
};

/* The first ten bytes of twenty, of member 2. */
static void set_chunk(struct chunk *chunk)
{
    static const uint8_t bytes[10] = {0};
    struct osr_raft_configuration *configuration = &chunk->snapshot.configuration;
    chunk->message = rig_message(OSR_RAFT_SNAPSHOT, 2, 1, TERM);
    chunk->message.snapshot.snapshot = &chunk->snapshot;
    chunk->message.snapshot.chunk = osr_slice(bytes, sizeof(bytes));
    chunk->snapshot = (struct osr_raft_snapshot){.index = 10, .term = 4, .size = 20, .checksum = 7};
    configuration->count = 2;
    configuration->members[0] = (struct osr_raft_member){.id = 1, .standing = OSR_RAFT_VOTER};
    configuration->members[1] = (struct osr_raft_member){.id = 2, .standing = OSR_RAFT_LEARNER};
}

/* Snapshots of nothing, chunks beyond their end, members that make no sense. */
static void snapshots_that_cannot_be_are_refused(void **state)
{
    (void)state;
    enum { CASES = 16 };
    struct raft_rig *rig = following();
    struct chunk *bad = osr_alloc(CASES * sizeof(*bad));
    for (size_t i = 0; i < CASES; i++) {
        set_chunk(&bad[i]);
    }
    bad[0].message.snapshot.snapshot = NULL;
    bad[1].snapshot.index = 0;
    bad[2].snapshot.index = UINT64_MAX;
    bad[3].snapshot.term = 0;
    bad[4].snapshot.term = TERM + 1;
    bad[5].snapshot.size = 0;
    bad[6].message.snapshot.offset = 21;
    bad[7].message.snapshot.offset = UINT64_MAX;
    bad[8].message.snapshot.offset = 11;
    bad[9].message.snapshot.chunk.size = SIZE_MAX;
    bad[10].snapshot.size = UINT64_MAX;
    bad[10].message.snapshot.chunk.size = OSR_RAFT_MESSAGE_BYTES_MAX + 1;
    bad[11].snapshot.configuration.count = 0;
    bad[12].snapshot.configuration.members[1].context_size = UINT16_MAX;
    bad[13].snapshot.configuration.members[0].standing = OSR_RAFT_LEARNER; /* no voters */
    bad[14].snapshot.configuration.members[1].id = 1;
    bad[15].snapshot.configuration.count = SIZE_MAX;
    for (size_t i = 2; i < OSR_RAFT_MEMBERS_MAX; i++) {
        bad[15].snapshot.configuration.members[i] =
            (struct osr_raft_member){.id = i + 1, .standing = OSR_RAFT_LEARNER};
    }
    for (size_t i = 0; i < CASES; i++) {
        assert_refused(rig, &bad[i].message);
    }
    struct chunk good;
    set_chunk(&good);
    step(rig, &good.message); /* so it was not refused for another reason */
    assert_int_equal(raft_rig_said(rig, 2, OSR_RAFT_SNAPSHOT_TAKEN)->snapshot_taken.offset, 10);
    free(bad);
    raft_rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(envelopes_are_looked_at),
        cmocka_unit_test(strangers_have_nothing_to_answer),
        cmocka_unit_test(strangers_are_no_successors),
        cmocka_unit_test(absurd_terms_use_up_nothing),
        cmocka_unit_test(members_that_were_driven_apart_meet),
        cmocka_unit_test(entries_that_cannot_be_are_refused),
        cmocka_unit_test(a_message_of_too_much_is_refused),
        cmocka_unit_test(what_is_committed_stays),
        cmocka_unit_test(one_leads_a_term),
        cmocka_unit_test(answers_to_nothing_are_refused),
        cmocka_unit_test(candidates_that_cannot_be_are_refused),
        cmocka_unit_test(votes_of_others_do_not_count),
        cmocka_unit_test(a_read_does_not_wait_for_ever),
        cmocka_unit_test(snapshots_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests_name("raft_bad_messages", tests, NULL, NULL);
}
