/* What goes to the disk: entries and votes, in order, and what follows when they are durable or
 * found no room. */
#include "core/raft_internal.h"

#include <assert.h>

static struct osr_raft_output *put_out_store(struct osr_raft *raft, struct store **ret_store)
{
    struct store *store = osr_queue_push(&raft->stores);
    struct osr_raft_output *output = osr_raft_put_out(raft, OSR_RAFT_OUT_STORE);
    *store = (struct store){.ticket = osr_raft_ticket(raft), .first = 1};
    output->store.ticket = store->ticket;
    output->store.truncate_after = UINT64_MAX;
    if (raft->is_vote_unstored) {
        raft->is_vote_unstored = false;
        raft->vote_stores++;
        store->has_vote = true;
        store->vote = raft->vote;
        output->store.has_vote = true;
        output->store.vote = raft->vote;
    }
    *ret_store = store;
    return output;
}

void osr_raft_store_piece(struct osr_raft *raft, const struct piece *piece, bool is_cut)
{
    struct store *store;
    struct osr_raft_output *output = put_out_store(raft, &store);
    store->block = piece->block;
    store->block->references++;
    store->bytes = piece->bytes;
    store->first = piece->first;
    store->last = piece->first + piece->count - 1;
    raft->log.unstored_bytes += piece->bytes;
    output->store.entries = piece->entries;
    output->store.count = piece->count;
    if (is_cut || raft->log.is_disk_longer) {
        output->store.truncate_after = store->first - 1;
        raft->log.is_disk_longer = false;
    }
}

/* One at a time: terms that follow each other quickly do not grow a queue of STOREs. */
void osr_raft_store_vote(struct osr_raft *raft)
{
    if (raft->is_vote_unstored && raft->vote_stores == 0 && raft->now_ms >= raft->vote_retry_ms) {
        struct store *store;
        put_out_store(raft, &store);
    }
}

/* ---- durable ---- */

static void vote_stored(struct osr_raft *raft, const struct osr_raft_vote *vote)
{
    raft->durable_vote = *vote;
    if (osr_raft_vote_is_durable(raft)) {
        osr_raft_send_held(raft);
        osr_raft_election_voted(raft);
    }
}

static void entries_stored(struct osr_raft *raft, const struct store *store)
{
    raft->is_full = false;
    raft->log.durable = osr_raft_max(raft->log.durable, store->last);
    if (raft->role == OSR_RAFT_LEADER) {
        osr_raft_commit_count(raft);
    } else {
        osr_raft_commit_follow(raft);
        osr_raft_follow_report(raft);
    }
}

/* ---- no room ---- */

static void vote_refused(struct osr_raft *raft)
{
    raft->is_vote_unstored = !osr_raft_vote_is_durable(raft);
    raft->vote_retry_ms = raft->now_ms + raft->options.heartbeat_ms;
}

/* The disk has what it had before, which may be a tail that memory has cut off meanwhile. */
static void entries_refused(struct osr_raft *raft, const struct store *store)
{
    bool was_leader = raft->role == OSR_RAFT_LEADER;
    raft->is_full = true;
    raft->log.is_disk_longer = true;
    if (was_leader && OSR_RAFT_GUARD(FULL_STEPS_DOWN)) {
        osr_raft_transfer_hand_over(raft);
        osr_raft_step_down(raft, "its disk is full");
    }
    if (raft->role == OSR_RAFT_LEADER || !OSR_RAFT_GUARD(FULL_FORGETS)) {
        raft->log.is_disk_longer = false;
        return;
    }
    if (store->first <= store->last) {
        osr_raft_say(raft, OSR_LEVEL_WARNING, "no room for entries %llu to %llu: forgotten",
                     (unsigned long long)store->first, (unsigned long long)raft->log.last);
        osr_raft_log_cut(raft, store->first - 1);
        osr_raft_commit_forget(raft, store->first - 1);
    }
}

/* ---- answers ---- */

void osr_raft_stored(struct osr_raft *raft, uint64_t ticket, enum osr_code code)
{
    assert(raft->stores.count > 0);
    struct store *front = osr_queue_front(&raft->stores);
    assert(front->ticket == ticket); /* answered in order */
    const struct store store = *front;
    osr_queue_pop(&raft->stores);
    if (store.block != NULL) {
        raft->log.unstored_bytes -= store.bytes;
        osr_raft_block_release(raft, store.block);
    }
    raft->vote_stores -= store.has_vote;
    if (store.has_vote && code == OSR_OK) {
        vote_stored(raft, &store.vote);
    } else if (store.has_vote) {
        vote_refused(raft);
    }
    if (store.block != NULL && code == OSR_OK && store.first <= store.last) {
        entries_stored(raft, &store);
    } else if (store.block != NULL && code != OSR_OK) {
        entries_refused(raft, &store);
    }
    osr_raft_install_continue(raft);
}
