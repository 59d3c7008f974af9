/* Handing leadership over: nothing new is taken, the target gets all there is, and is told to stand
 * at once. If nobody else leads by then, this member goes on. */
#include "core/raft_internal.h"

#include <assert.h>

static void finish(struct osr_raft *raft, enum osr_code code)
{
    struct osr_raft_output *output = osr_raft_put_out(raft, OSR_RAFT_OUT_TRANSFERRED);
    output->transferred.token = raft->transfer.token;
    output->transferred.code = code;
    raft->transfer.token = 0;
}

static void elect(struct osr_raft *raft, uint64_t target)
{
    osr_raft_send(raft, osr_raft_message(raft, OSR_RAFT_ELECT_NOW, target));
}

/* The voter that has most, of those that are there; NULL: none is. */
static struct peer *best_successor(struct osr_raft *raft)
{
    struct peer *best = NULL;
    for (size_t i = 0; i < raft->peer_count; i++) {
        struct peer *peer = &raft->peers[i];
        if (peer->is_voter && osr_raft_peer_is_there(raft, peer) &&
            (best == NULL || peer->matched > best->matched)) {
            best = peer;
        }
    }
    return best;
}

void osr_raft_transfer_hand_over(struct osr_raft *raft)
{
    const struct peer *successor = best_successor(raft);
    if (successor != NULL) {
        elect(raft, successor->id);
    }
}

/* ---- at the leader ---- */

/* OK: to *target, which was 0 if it was not said. */
static enum osr_code choose_target(struct osr_raft *raft, uint64_t *target)
{
    if (raft->role != OSR_RAFT_LEADER) {
        return OSR_UNAVAILABLE;
    }
    if (raft->transfer.token != 0) {
        return OSR_BUSY;
    }
    const struct peer *peer =
        *target != 0 ? osr_raft_peer_find(raft, *target) : best_successor(raft);
    if (peer == NULL || !peer->is_voter) {
        return *target != 0 ? OSR_INVALID_ARGUMENT : OSR_UNAVAILABLE;
    }
    *target = peer->id;
    return OSR_OK;
}

void osr_raft_transfer(struct osr_raft *raft, uint64_t token, uint64_t target)
{
    assert(token != 0);
    enum osr_code code = choose_target(raft, &target);
    if (code != OSR_OK) {
        struct osr_raft_output *output = osr_raft_put_out(raft, OSR_RAFT_OUT_TRANSFERRED);
        output->transferred.token = token;
        output->transferred.code = code;
        return;
    }
    osr_raft_lead_flush(raft); /* was proposed before */
    raft->transfer.token = token;
    raft->transfer.target = target;
    raft->transfer.term = raft->vote.term;
    raft->transfer.until_ms = raft->now_ms + raft->options.election_timeout_ms;
    raft->transfer.is_asked = false;
    osr_raft_transfer_review(raft);
}

void osr_raft_transfer_review(struct osr_raft *raft)
{
    if (raft->transfer.token == 0 || raft->transfer.is_asked || raft->role != OSR_RAFT_LEADER) {
        return;
    }
    const struct peer *target = osr_raft_peer_find(raft, raft->transfer.target);
    if (target != NULL && target->is_voter && target->matched == raft->log.last) {
        raft->transfer.is_asked = true;
        elect(raft, target->id);
    }
}

void osr_raft_transfer_observe(struct osr_raft *raft)
{
    if (raft->transfer.token == 0 || raft->leader == 0) {
        return;
    }
    if (raft->leader != raft->options.member) {
        finish(raft, OSR_OK);
    } else if (raft->vote.term != raft->transfer.term) {
        finish(raft, OSR_TIMEOUT);
    }
}

void osr_raft_transfer_tick(struct osr_raft *raft)
{
    if (raft->transfer.token != 0 && raft->now_ms >= raft->transfer.until_ms) {
        finish(raft, OSR_TIMEOUT);
    }
}

/* ---- at the target ---- */

void osr_raft_transfer_elect(struct osr_raft *raft, const struct osr_raft_message *message)
{
    if (message->from == raft->leader && raft->role == OSR_RAFT_FOLLOWER &&
        osr_raft_is_voter(raft) && !osr_raft_is_installing(raft) &&
        raft->vote.term < OSR_RAFT_TERM_MAX) {
        osr_raft_election_stand(raft, true);
    }
}
