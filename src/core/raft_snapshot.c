/* Own snapshots, what of the log goes when there is one, and giving it to a follower: chunk by
 * chunk, each from the offset that the follower says it has. */
#include "core/raft_internal.h"

#include <assert.h>
#include <stdlib.h>

/* ---- own ones ---- */

static bool is_given_one(const struct osr_raft *raft, const struct peer *peer)
{
    return peer->snapshot != NULL &&
           raft->now_ms < peer->acked_ms + raft->options.election_timeout_ms;
}

/* How much of the log may go. What lies between the last two snapshots stays for members that lag
 * a little, unless all are known to have it; what is behind one that is being given stays, so that
 * its receiver need not begin anew. */
static uint64_t discarded_up_to(const struct osr_raft *raft, uint64_t before)
{
    uint64_t index = raft->snapshot.index;
    for (size_t i = 0; i < raft->peer_count; i++) {
        uint64_t matched = raft->role == OSR_RAFT_LEADER ? raft->peers[i].matched : 0;
        index = osr_raft_min(index, osr_raft_max(matched, before));
    }
    for (size_t i = 0; i < raft->peer_count; i++) {
        const struct peer *peer = &raft->peers[i];
        index = is_given_one(raft, peer) ? osr_raft_min(index, peer->snapshot->index) : index;
    }
    return osr_raft_min(index, raft->log.durable);
}

void osr_raft_snapshot_made(struct osr_raft *raft, const struct osr_raft_snapshot *made)
{
    uint64_t before = raft->snapshot.index;
    if (made->index <= before) {
        return; /* another was installed meanwhile */
    }
    assert(made->index <= raft->given && made->size > 0);
    struct osr_raft_configuration *configuration = osr_raft_take(raft, sizeof(*configuration));
    osr_raft_members_at(raft, made->index, configuration);
    raft->snapshot = (struct osr_raft_snapshot){
        .index = made->index,
        .term = osr_raft_log_term(&raft->log, made->index),
        .size = made->size,
        .checksum = made->checksum,
        .configuration = *configuration,
    };
    osr_raft_members_forget(raft, made->index);
    uint64_t index = discarded_up_to(raft, before);
    if (index > raft->log.base) {
        osr_raft_log_forget(raft, index);
        struct osr_raft_output *output = osr_raft_put_out(raft, OSR_RAFT_OUT_DISCARD);
        output->discard.index = index;
        output->discard.term = raft->log.base_term;
    }
}

/* ---- giving one ---- */

void osr_raft_snapshot_end(struct peer *peer)
{
    free(peer->snapshot);
    peer->snapshot = NULL;
    peer->chunk_ticket = 0;
}

void osr_raft_snapshot_begin(struct osr_raft *raft, struct peer *peer)
{
    assert(raft->snapshot.index >= raft->log.base && raft->snapshot.index > 0);
    osr_raft_peer_probe(peer, peer->next);
    peer->progress = OSR_RAFT_SNAPSHOTTING;
    peer->snapshot = osr_alloc(sizeof(*peer->snapshot));
    *peer->snapshot = raft->snapshot;
    peer->offset = 0;
    peer->chunk_end = 0;
    osr_raft_say(raft, OSR_LEVEL_INFO, "%llu needs the snapshot at %llu",
                 (unsigned long long)peer->id, (unsigned long long)raft->snapshot.index);
    osr_raft_snapshot_ask(raft, peer);
}

static void send_chunk(struct osr_raft *raft, struct peer *peer, struct osr_slice chunk)
{
    struct osr_raft_snapshot *snapshot = osr_raft_take(raft, sizeof(*snapshot));
    *snapshot = *peer->snapshot;
    struct osr_raft_message *message = osr_raft_message(raft, OSR_RAFT_SNAPSHOT, peer->id);
    message->snapshot.snapshot = snapshot;
    message->snapshot.offset = peer->offset;
    message->snapshot.round = raft->round;
    message->snapshot.chunk = chunk;
    osr_raft_send(raft, message);
    peer->sent_ms = raft->now_ms;
    peer->round_sent = raft->round;
}

void osr_raft_snapshot_ask(struct osr_raft *raft, struct peer *peer)
{
    send_chunk(raft, peer, osr_slice(NULL, 0));
}

static void read_chunk(struct osr_raft *raft, struct peer *peer)
{
    struct osr_raft_output *output = osr_raft_put_out(raft, OSR_RAFT_OUT_READ_CHUNK);
    peer->chunk_ticket = osr_raft_ticket(raft);
    output->read_chunk.ticket = peer->chunk_ticket;
    output->read_chunk.index = peer->snapshot->index;
    output->read_chunk.offset = peer->offset;
    output->read_chunk.size =
        (size_t)osr_raft_min(raft->options.chunk_bytes, peer->snapshot->size - peer->offset);
}

static struct peer *find_by_ticket(struct osr_raft *raft, uint64_t ticket)
{
    for (size_t i = 0; i < raft->peer_count; i++) {
        if (raft->peers[i].chunk_ticket == ticket) {
            return &raft->peers[i];
        }
    }
    return NULL;
}

void osr_raft_snapshot_read(struct osr_raft *raft, uint64_t ticket, struct osr_slice chunk)
{
    struct peer *peer = find_by_ticket(raft, ticket);
    if (peer == NULL) {
        return; /* not wanted any more */
    }
    peer->chunk_ticket = 0;
    if (chunk.size > 0) {
        assert(chunk.size <= peer->snapshot->size - peer->offset);
        send_chunk(raft, peer, chunk);
        peer->chunk_end = peer->offset + chunk.size;
        peer->chunk_ms = raft->now_ms;
    } else if (raft->snapshot.index > peer->snapshot->index) {
        osr_raft_snapshot_begin(raft, peer); /* that one is gone */
    }                                        /* else the next heartbeat tries */
}

/* ---- what the follower says ---- */

/* A chunk from there on is under way, and has not been for long. */
static bool is_under_way(const struct osr_raft *raft, const struct peer *peer, uint64_t offset)
{
    return peer->chunk_ticket != 0 || (offset == peer->offset && offset < peer->chunk_end &&
                                       raft->now_ms < peer->chunk_ms + raft->options.heartbeat_ms);
}

void osr_raft_snapshot_taken(struct osr_raft *raft, struct peer *peer,
                             const struct osr_raft_message *message)
{
    uint64_t offset = message->snapshot_taken.offset;
    if (message->snapshot_taken.round > raft->round) {
        osr_raft_refuse(raft, message, "answers what was not sent");
        return;
    }
    peer->acked_ms = raft->now_ms;
    peer->round = osr_raft_max(peer->round, message->snapshot_taken.round);
    const struct osr_raft_snapshot *snapshot = peer->snapshot;
    if (snapshot != NULL && snapshot->index == message->snapshot_taken.index &&
        snapshot->checksum == message->snapshot_taken.checksum) {
        if (offset > snapshot->size) {
            osr_raft_refuse(raft, message, "has more than there is");
            return;
        }
        if (offset == snapshot->size) {
            osr_raft_lead_matched(raft, peer, snapshot->index);
        } else if (!is_under_way(raft, peer, offset)) {
            peer->offset = offset;
            read_chunk(raft, peer);
        }
    }
    osr_raft_read_review(raft);
}
