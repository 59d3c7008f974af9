/* Taking another's snapshot: chunk by chunk to the disk, each answered with what is wanted next, so
 * that it goes on after an interruption, also from another leader that has the same one. When it
 * is whole, and nothing of the log is being stored, it is installed. */
#include "core/raft_internal.h"

#include <assert.h>

/* What the leader gives is what is being taken. */
static bool is_same(const struct osr_raft_snapshot *one, const struct osr_raft_snapshot *other)
{
    if (!OSR_RAFT_GUARD(SNAPSHOT_IDENTITY)) {
        return one->index == other->index;
    }
    return one->index == other->index && one->term == other->term && one->size == other->size &&
           one->checksum == other->checksum;
}

static void answer(struct osr_raft *raft, const struct osr_raft_snapshot *snapshot, uint64_t offset)
{
    if (raft->leader == 0) {
        return; /* whoever leads next will ask */
    }
    struct osr_raft_message *message =
        osr_raft_message(raft, OSR_RAFT_SNAPSHOT_TAKEN, raft->leader);
    message->snapshot_taken.index = snapshot->index;
    message->snapshot_taken.checksum = snapshot->checksum;
    message->snapshot_taken.offset = offset;
    message->snapshot_taken.round = raft->leader_round;
    osr_raft_send(raft, message);
}

static void write_chunk(struct osr_raft *raft, struct osr_slice chunk)
{
    struct incoming *incoming = &raft->incoming;
    struct osr_raft_output *output = osr_raft_put_out(raft, OSR_RAFT_OUT_WRITE_CHUNK);
    uint8_t *copy = osr_raft_take(raft, chunk.size);
    memcpy(copy, chunk.data, chunk.size);
    incoming->write_ticket = osr_raft_ticket(raft);
    incoming->write_size = chunk.size;
    output->write_chunk.ticket = incoming->write_ticket;
    output->write_chunk.snapshot = &incoming->snapshot;
    output->write_chunk.offset = incoming->written;
    output->write_chunk.chunk = osr_slice(copy, chunk.size);
}

/* ---- whether it is needed ---- */

/* What is in it is applied here, or will be: the log has all of it. */
static bool is_had(const struct osr_raft *raft, const struct osr_raft_snapshot *snapshot)
{
    return (snapshot->index <= raft->commit ||
            osr_raft_log_has(&raft->log, snapshot->index, snapshot->term)) &&
           OSR_RAFT_GUARD(SNAPSHOT_BEHIND);
}

/* What is in a snapshot was committed, so the own log is the leader's up to there. */
static void decline(struct osr_raft *raft, const struct osr_raft_snapshot *snapshot)
{
    raft->matched = osr_raft_max(raft->matched, snapshot->index);
    raft->leader_commit = osr_raft_max(raft->leader_commit, snapshot->index);
    osr_raft_commit_follow(raft);
    osr_raft_follow_report(raft);
}

/* ---- chunks ---- */

static bool is_whole(const struct incoming *incoming)
{
    return incoming->snapshot.index != 0 && incoming->written >= incoming->snapshot.size;
}

static void take_chunk(struct osr_raft *raft, const struct osr_raft_message *message)
{
    struct incoming *incoming = &raft->incoming;
    struct osr_slice chunk = message->snapshot.chunk;
    if (is_whole(incoming)) {
        osr_raft_install_continue(raft);
        osr_raft_follow_report(raft); /* not installed yet */
    } else if (chunk.size > 0 && message->snapshot.offset == incoming->written &&
               incoming->write_ticket == 0) {
        write_chunk(raft, chunk);
    } else {
        answer(raft, message->snapshot.snapshot, incoming->written);
    }
}

void osr_raft_install_chunk(struct osr_raft *raft, const struct osr_raft_message *message)
{
    const struct osr_raft_snapshot *snapshot = message->snapshot.snapshot;
    raft->leader_round = osr_raft_max(raft->leader_round, message->snapshot.round);
    if (osr_raft_is_installing(raft)) {
        osr_raft_follow_report(raft);
        return;
    }
    if (is_had(raft, snapshot)) {
        decline(raft, snapshot);
        return;
    }
    if (!is_same(&raft->incoming.snapshot, snapshot)) {
        if (message->snapshot.offset > 0) {
            answer(raft, snapshot, 0);
            return;
        }
        raft->incoming = (struct incoming){.snapshot = *snapshot};
    }
    take_chunk(raft, message);
}

void osr_raft_install_written(struct osr_raft *raft, uint64_t ticket, enum osr_code code)
{
    struct incoming *incoming = &raft->incoming;
    if (ticket != incoming->write_ticket) {
        return; /* of one that is not wanted any more */
    }
    incoming->write_ticket = 0;
    if (code != OSR_OK) {
        incoming->written = 0; /* no room: what came before is gone too; the leader asks again */
        return;
    }
    incoming->written += incoming->write_size;
    if (is_whole(incoming)) {
        osr_raft_install_continue(raft);
    } else {
        answer(raft, &incoming->snapshot, incoming->written);
    }
}

/* ---- the whole ---- */

void osr_raft_install_continue(struct osr_raft *raft)
{
    struct incoming *incoming = &raft->incoming;
    const struct osr_raft_snapshot *snapshot = &incoming->snapshot;
    if (!is_whole(incoming) || osr_raft_is_installing(raft) || raft->stores.count > 0 ||
        raft->role != OSR_RAFT_FOLLOWER) {
        return;
    }
    if (is_had(raft, snapshot)) { /* the entries have come meanwhile */
        decline(raft, snapshot);
        *incoming = (struct incoming){0};
        return;
    }
    incoming->install_ticket = osr_raft_ticket(raft);
    struct osr_raft_output *output = osr_raft_put_out(raft, OSR_RAFT_OUT_INSTALL);
    output->install.ticket = incoming->install_ticket;
    output->install.snapshot = snapshot;
}

static void use(struct osr_raft *raft)
{
    struct osr_raft_snapshot *snapshot = &raft->snapshot;
    *snapshot = raft->incoming.snapshot;
    raft->incoming = (struct incoming){0};
    osr_raft_say(raft, OSR_LEVEL_INFO, "the snapshot at %llu is installed",
                 (unsigned long long)snapshot->index);
    osr_raft_log_reset(raft, snapshot->index, snapshot->term);
    osr_raft_members_installed(raft);
    osr_raft_commit_jump(raft, snapshot->index, snapshot->term);
    raft->matched = osr_raft_max(raft->matched, snapshot->index);
    answer(raft, snapshot, snapshot->size);
}

void osr_raft_installed(struct osr_raft *raft, uint64_t ticket, enum osr_code code)
{
    struct incoming *incoming = &raft->incoming;
    assert(ticket == incoming->install_ticket);
    incoming->install_ticket = 0;
    osr_raft_election_rest(raft);
    if (code == OSR_OK) {
        use(raft);
        return;
    }
    if (code == OSR_CORRUPT) {
        osr_raft_say(raft, OSR_LEVEL_WARNING, "the snapshot at %llu was damaged on its way",
                     (unsigned long long)incoming->snapshot.index);
        incoming->written = 0;
        answer(raft, &incoming->snapshot, 0);
    }
    osr_raft_commit_apply(raft);
}
