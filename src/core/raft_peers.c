/* The table of other members: those of the newest configuration. One that was removed stays until
 * it can know that, so that its owner sees why nobody talks to it any more. */
#include "core/raft_internal.h"

#include <assert.h>
#include <stdlib.h>

static void end_peer(struct peer *peer)
{
    osr_raft_snapshot_end(peer);
    osr_queue_done(&peer->flight);
}

static void drop_peer(struct osr_raft *raft, size_t place)
{
    end_peer(&raft->peers[place]);
    size_t behind = --raft->peer_count - place;
    memmove(&raft->peers[place], &raft->peers[place + 1], behind * sizeof(raft->peers[0]));
}

void osr_raft_peers_done(struct osr_raft *raft)
{
    while (raft->peer_count > 0) {
        end_peer(&raft->peers[--raft->peer_count]);
    }
}

struct peer *osr_raft_peer_find(struct osr_raft *raft, uint64_t id)
{
    for (size_t i = 0; i < raft->peer_count; i++) {
        if (raft->peers[i].id == id) {
            return &raft->peers[i];
        }
    }
    return NULL;
}

bool osr_raft_peer_is_there(const struct osr_raft *raft, const struct peer *peer)
{
    return peer->acked_ms != 0 && raft->now_ms < peer->acked_ms + raft->options.election_timeout_ms;
}

/* ---- who is in it ---- */

/* All that a removed member has to be told, or it is not there to be told. */
static bool is_dismissed(const struct osr_raft *raft, const struct peer *peer)
{
    if (raft->role != OSR_RAFT_LEADER) {
        return true;
    }
    bool can_know = peer->matched >= peer->left_at && peer->commit_sent >= peer->left_at;
    uint64_t heard_ms = osr_raft_max(peer->acked_ms, raft->led_ms);
    bool is_silent = raft->now_ms >= heard_ms + raft->options.election_timeout_ms;
    return raft->commit >= peer->left_at && (can_know || is_silent);
}

void osr_raft_peers_dismiss(struct osr_raft *raft)
{
    for (size_t i = raft->peer_count; i > 0; i--) {
        const struct peer *peer = &raft->peers[i - 1];
        if (peer->is_leaving && is_dismissed(raft, peer)) {
            drop_peer(raft, i - 1);
        }
    }
}

static struct peer *add_peer(struct osr_raft *raft, uint64_t id)
{
    assert(raft->peer_count < sizeof(raft->peers) / sizeof(raft->peers[0]));
    struct peer *peer = &raft->peers[raft->peer_count++];
    *peer = (struct peer){.id = id};
    osr_queue_init(&peer->flight, sizeof(struct sent));
    if (raft->role == OSR_RAFT_LEADER) {
        osr_raft_peer_begin(raft, peer);
    }
    return peer;
}

static void leave(struct osr_raft *raft)
{
    for (size_t i = raft->peer_count; i > 0; i--) {
        struct peer *peer = &raft->peers[i - 1];
        bool is_member = osr_raft_configuration_find(&raft->configuration, peer->id) != NULL;
        peer->is_voter = osr_raft_configuration_is_voter(&raft->configuration, peer->id);
        if (!is_member && !peer->is_leaving) {
            peer->is_leaving = true;
            peer->is_promoted = false;
            peer->left_at = raft->configured_at;
        }
        peer->is_leaving = !is_member;
        peer->is_promoted = peer->is_promoted && is_member;
    }
    osr_raft_peers_dismiss(raft);
}

/* The first that is leaving makes room: there always is one, as half the table is for them. */
static void make_room(struct osr_raft *raft)
{
    for (size_t i = 0; i < raft->peer_count; i++) {
        if (raft->peers[i].is_leaving) {
            drop_peer(raft, i);
            return;
        }
    }
}

void osr_raft_peers_update(struct osr_raft *raft)
{
    leave(raft);
    for (size_t i = 0; i < raft->configuration.count; i++) {
        const struct osr_raft_member *member = &raft->configuration.members[i];
        if (member->id == raft->options.member) {
            continue;
        }
        struct peer *peer = osr_raft_peer_find(raft, member->id);
        if (peer == NULL) {
            if (raft->peer_count == sizeof(raft->peers) / sizeof(raft->peers[0])) {
                make_room(raft);
            }
            peer = add_peer(raft, member->id);
        }
        peer->is_voter = member->standing == OSR_RAFT_VOTER;
        peer->is_promoted = member->is_promoted;
    }
}

/* ---- how far it is ---- */

void osr_raft_peer_probe(struct peer *peer, uint64_t next)
{
    osr_raft_snapshot_end(peer);
    osr_queue_clear(&peer->flight);
    peer->flight_bytes = 0;
    peer->progress = OSR_RAFT_PROBING;
    peer->next = next;
    peer->is_probe_sent = false;
    peer->fetch_ticket = 0;
}

void osr_raft_peer_begin(struct osr_raft *raft, struct peer *peer)
{
    osr_raft_peer_probe(peer, raft->log.last + 1);
    peer->matched = 0;
    peer->commit_sent = 0;
    peer->round_sent = 0;
    peer->round = 0;
    peer->requests = 0;
    peer->acked_ms = 0;
    peer->sent_ms = 0;
    peer->caught_up_ms = 0;
}

uint64_t osr_raft_majority(const struct osr_raft *raft, uint64_t own,
                           uint64_t (*number_of)(const struct osr_raft *raft,
                                                 const struct peer *peer))
{
    uint64_t numbers[OSR_RAFT_VOTERS_MAX + 1]; /* sorted, the largest first */
    size_t count = 0;
    for (size_t i = 0; i <= raft->peer_count; i++) {
        bool is_own = i == raft->peer_count;
        if (is_own ? !osr_raft_is_voter(raft) : !raft->peers[i].is_voter) {
            continue;
        }
        uint64_t number = is_own ? own : number_of(raft, &raft->peers[i]);
        size_t place = count++;
        for (; place > 0 && numbers[place - 1] < number; place--) {
            numbers[place] = numbers[place - 1];
        }
        numbers[place] = number;
    }
    return count > 0 ? numbers[count / 2] : 0;
}
