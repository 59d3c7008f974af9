/* Taking a snapshot: chunk by chunk, whether it is needed at all, and what must not move while it
 * is being installed. Member 1 is the core, others are played by the test, and lead. */
#include "lib/raft_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SIZE = 35, TERM = 5 };

static struct osr_raft_snapshot *snapshot_at(uint64_t index, uint64_t term)
{
    struct osr_raft_snapshot *snapshot = osr_alloc(sizeof(*snapshot));
    snapshot->index = index;
    snapshot->term = term;
    snapshot->size = SIZE;
    snapshot->checksum = index * 10;
    snapshot->configuration.count = 3;
    for (size_t i = 0; i < 3; i++) {
        snapshot->configuration.members[i] =
            (struct osr_raft_member){.id = i + 1, .standing = OSR_RAFT_VOTER};
    }
    return snapshot;
}

static void give(struct raft_rig *rig, uint64_t from, uint64_t term,
                 const struct osr_raft_snapshot *snapshot, uint64_t offset, size_t size)
{
    uint8_t bytes[SIZE];
    struct osr_raft_message message = rig_message(OSR_RAFT_SNAPSHOT, from, 1, term);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = raft_rig_snapshot_byte(snapshot->index, offset + i);
    }
    message.snapshot.snapshot = snapshot;
    message.snapshot.offset = offset;
    message.snapshot.chunk = osr_slice(bytes, size);
    raft_rig_deliver(rig, &message);
}

static void assert_wanted(struct raft_rig *rig, uint64_t from, uint64_t offset)
{
    const struct osr_raft_message *reply = raft_rig_said(rig, from, OSR_RAFT_SNAPSHOT_TAKEN);
    assert_non_null(reply);
    assert_int_equal(reply->snapshot_taken.offset, offset);
}

static void assert_acked(struct raft_rig *rig, uint64_t index)
{
    const struct osr_raft_message *reply = raft_rig_said(rig, 2, OSR_RAFT_APPENDED);
    assert_non_null(reply);
    assert_false(reply->appended.is_refused);
    assert_int_equal(reply->appended.index, index);
}

/* An APPEND of member 2 with entries of term TERM up to `last`. */
static void append(struct raft_rig *rig, uint64_t previous, uint64_t previous_term, uint64_t last,
                   uint64_t commit)
{
    struct osr_raft_entry entries[32];
    struct osr_raft_message message = rig_message(OSR_RAFT_APPEND, 2, 1, TERM);
    for (uint64_t index = previous + 1; index <= last; index++) {
        entries[index - previous - 1] = (struct osr_raft_entry){
            .index = index, .term = TERM, .kind = OSR_RAFT_COMMAND, .payload = osr_slice_text("a")};
    }
    message.append.previous_index = previous;
    message.append.previous_term = previous_term;
    message.append.commit = commit;
    message.append.entries = entries;
    message.append.count = (size_t)(last - previous);
    raft_rig_deliver(rig, &message);
}

/* Each chunk is answered with what is wanted next; one that is not wanted likewise. */
static void chunks_are_taken_in_order(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    struct osr_raft_snapshot *snapshot = snapshot_at(10, 4);
    give(rig, 2, TERM, snapshot, 10, 10);
    assert_wanted(rig, 2, 0);
    give(rig, 2, TERM, snapshot, 0, 0);
    assert_wanted(rig, 2, 0);
    give(rig, 2, TERM, snapshot, 0, 10);
    assert_wanted(rig, 2, 10);
    give(rig, 2, TERM, snapshot, 0, 10); /* again */
    give(rig, 2, TERM, snapshot, 20, 10);
    assert_wanted(rig, 2, 10);
    give(rig, 3, TERM + 1, snapshot, 10, 20); /* another leader has the same one */
    assert_wanted(rig, 3, 30);
    give(rig, 3, TERM + 1, snapshot, 30, 5);
    assert_wanted(rig, 3, SIZE);
    assert_int_equal(raft_rig_info(rig, 1).applied, 10);
    assert_int_equal(raft_rig_info(rig, 1).configured_at, 10);
    free(snapshot);
    raft_rig_destroy(rig);
}

/* Half of one snapshot is not finished with half of another of the same index. */
static void two_snapshots_are_not_mixed(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    struct osr_raft_snapshot *one = snapshot_at(10, 4);
    struct osr_raft_snapshot *other = snapshot_at(10, 4);
    other->checksum++;
    give(rig, 2, TERM, one, 0, 20);
    give(rig, 3, TERM + 1, other, 20, 15);
    assert_wanted(rig, 3, 0);
    assert_int_equal(raft_rig_count(rig, 1, OSR_RAFT_OUT_INSTALL), 0);
    give(rig, 3, TERM + 1, other, 0, SIZE);
    assert_int_equal(rig->members[1].disk.snapshot.checksum, other->checksum);
    free(one);
    free(other);
    raft_rig_destroy(rig);
}

/* A snapshot of what is committed here is not taken, and the leader is told how far this member
 * is. */
static void an_old_snapshot_is_not_taken(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    struct osr_raft_snapshot *snapshot = snapshot_at(4, TERM);
    append(rig, 1, 1, 6, 5);
    raft_rig_forget(rig);
    give(rig, 2, TERM, snapshot, 0, SIZE);
    assert_acked(rig, 6);
    assert_int_equal(raft_rig_count(rig, 1, OSR_RAFT_OUT_WRITE_CHUNK), 0);
    free(snapshot);
    raft_rig_destroy(rig);
}

/* Nor is one whose last entry is in the log: all before it is the same, and committed. */
static void a_snapshot_of_what_the_log_has_commits_it(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    struct osr_raft_snapshot *snapshot = snapshot_at(5, TERM);
    append(rig, 1, 1, 6, 0);
    raft_rig_start(rig, 1); /* nothing of it is in memory, nor known to be matched */
    raft_rig_forget(rig);
    give(rig, 2, TERM, snapshot, 0, SIZE);
    assert_acked(rig, 5);
    assert_int_equal(raft_rig_info(rig, 1).applied, 5);
    assert_int_equal(raft_rig_info(rig, 1).last, 6);
    assert_int_equal(raft_rig_count(rig, 1, OSR_RAFT_OUT_WRITE_CHUNK), 0);
    free(snapshot);
    raft_rig_destroy(rig);
}

/* While that entry is on its way to the disk, neither is said. */
static void a_snapshot_of_what_is_being_stored_waits_for_it(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    struct osr_raft_snapshot *snapshot = snapshot_at(5, TERM);
    append(rig, 1, 1, 1, 0);
    rig->members[1].holds_stores = true;
    append(rig, 1, 1, 6, 0);
    raft_rig_forget(rig);
    give(rig, 2, TERM, snapshot, 0, SIZE);
    assert_acked(rig, 1);
    assert_int_equal(raft_rig_info(rig, 1).commit, 1);
    raft_rig_release(rig, 1, OSR_OK);
    assert_acked(rig, 6);
    assert_int_equal(raft_rig_info(rig, 1).commit, 5);
    free(snapshot);
    raft_rig_destroy(rig);
}

/* The entries came while the chunks did: the snapshot is dropped, and the leader told. */
static void entries_overtake_a_snapshot(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    struct osr_raft_snapshot *snapshot = snapshot_at(5, TERM);
    give(rig, 2, TERM, snapshot, 0, 20);
    rig->members[1].holds_chunks = true;
    give(rig, 2, TERM, snapshot, 20, 15);
    append(rig, 1, 1, 6, 2);
    raft_rig_forget(rig);
    raft_rig_release(rig, 1, OSR_OK);
    assert_int_equal(raft_rig_count(rig, 1, OSR_RAFT_OUT_INSTALL), 0);
    assert_int_equal(raft_rig_info(rig, 1).applied, 5);
    assert_acked(rig, 6);
    free(snapshot);
    raft_rig_destroy(rig);
}

/* A log that has another entry where the snapshot ends is void as a whole. */
static void another_log_is_void(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    struct osr_raft_snapshot *snapshot = snapshot_at(5, TERM + 1);
    append(rig, 1, 1, 9, 1);
    give(rig, 3, TERM + 2, snapshot, 0, SIZE);
    struct osr_raft_info info = raft_rig_info(rig, 1);
    assert_int_equal(info.base, 5);
    assert_int_equal(info.last, 5);
    assert_int_equal(info.durable, 5);
    assert_int_equal(info.commit, 5);
    raft_rig_start(rig, 1);
    info = raft_rig_info(rig, 1);
    assert_int_equal(info.last, 5);
    assert_int_equal(info.applied, 5);
    free(snapshot);
    raft_rig_destroy(rig);
}

/* Of proposals made here those that the snapshot covers may have been done. Those behind its end
 * surely have not, as their term is older. */
static void what_became_of_proposals_under_a_snapshot(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    struct osr_raft_snapshot *snapshot = snapshot_at(5, TERM);
    raft_rig_elect(rig, 1);
    raft_rig_propose_many(rig, 1, 103, 6, 10); /* entries 3 to 8 */
    give(rig, 2, TERM, snapshot, 0, SIZE);
    assert_int_equal(raft_rig_failure(rig, 1, 103), OSR_TIMEOUT);
    assert_int_equal(raft_rig_failure(rig, 1, 105), OSR_TIMEOUT);
    assert_int_equal(raft_rig_failure(rig, 1, 106), OSR_CANCELLED);
    assert_int_equal(raft_rig_failure(rig, 1, 108), OSR_CANCELLED);
    assert_int_equal(osr_raft_backlog(rig->members[1].core), 0);
    free(snapshot);
    raft_rig_destroy(rig);
}

/* While it is being installed the log is about to begin elsewhere: nothing is stored but a vote,
 * nothing cut off, nothing learned to be committed; and this member does not stand. */
static void nothing_moves_during_an_install(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    struct osr_raft_snapshot *snapshot = snapshot_at(10, 4);
    append(rig, 1, 1, 6, 3);
    rig->members[1].holds_installs = true;
    give(rig, 2, TERM, snapshot, 0, SIZE);
    assert_int_equal(raft_rig_count(rig, 1, OSR_RAFT_OUT_INSTALL), 1);
    raft_rig_forget(rig);
    append(rig, 6, TERM, 12, 12);
    append(rig, 2, TERM, 4, 6);
    assert_true(osr_raft_deadline_ms(rig->members[1].core) == UINT64_MAX);
    rig->now_ms += 3 * RIG_TIMEOUT_MS;
    struct osr_raft_message request = rig_message(OSR_RAFT_VOTE_REQUEST, 3, 1, TERM + 1);
    request.vote_request.last_index = 20;
    request.vote_request.last_term = TERM;
    raft_rig_deliver(rig, &request);
    assert_true(raft_rig_said(rig, 3, OSR_RAFT_VOTE_REPLY)->vote_reply.is_granted);
    assert_int_equal(raft_rig_count(rig, 1, OSR_RAFT_OUT_STORE), 1);
    const struct osr_raft_output *store = raft_rig_last(rig, 1, OSR_RAFT_OUT_STORE);
    assert_true(store->store.has_vote && store->store.count == 0);
    assert_true(store->store.truncate_after == UINT64_MAX);
    assert_int_equal(raft_rig_info(rig, 1).commit, 3);
    raft_rig_release(rig, 1, OSR_OK);
    assert_int_equal(raft_rig_info(rig, 1).applied, 10);
    assert_int_equal(raft_rig_info(rig, 1).last, 10);
    free(snapshot);
    raft_rig_destroy(rig);
}

/* What is being stored is waited for: INSTALL makes void what the disk has by then. */
static void an_install_waits_for_the_disk(void **state)
{
    (void)state;
    struct raft_rig *rig = raft_rig_create(3, 1);
    struct osr_raft_snapshot *snapshot = snapshot_at(10, 4);
    append(rig, 1, 1, 1, 1);
    rig->members[1].holds_stores = true;
    append(rig, 1, 1, 6, 1);
    give(rig, 2, TERM, snapshot, 0, SIZE);
    assert_int_equal(raft_rig_count(rig, 1, OSR_RAFT_OUT_INSTALL), 0);
    raft_rig_release(rig, 1, OSR_OK);
    assert_int_equal(raft_rig_count(rig, 1, OSR_RAFT_OUT_INSTALL), 1);
    assert_int_equal(raft_rig_info(rig, 1).applied, 10);
    free(snapshot);
    raft_rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_are_taken_in_order),
        cmocka_unit_test(two_snapshots_are_not_mixed),
        cmocka_unit_test(an_old_snapshot_is_not_taken),
        cmocka_unit_test(a_snapshot_of_what_the_log_has_commits_it),
        cmocka_unit_test(a_snapshot_of_what_is_being_stored_waits_for_it),
        cmocka_unit_test(entries_overtake_a_snapshot),
        cmocka_unit_test(another_log_is_void),
        cmocka_unit_test(what_became_of_proposals_under_a_snapshot),
        cmocka_unit_test(nothing_moves_during_an_install),
        cmocka_unit_test(an_install_waits_for_the_disk),
    };
    return cmocka_run_group_tests_name("raft_install", tests, NULL, NULL);
}
