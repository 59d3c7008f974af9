/* What is committed, given to the state machines, and what became of the proposals made here. */
#include "core/raft_internal.h"

#include <assert.h>

/* ---- commit index ---- */

static void set_commit(struct osr_raft *raft, uint64_t index)
{
    raft->commit = index;
    osr_raft_commit_apply(raft);
    osr_raft_members_committed(raft);
    if (raft->role == OSR_RAFT_LEADER) {
        osr_raft_read_review(raft);
        osr_raft_lead_send_all(raft);
    }
}

static uint64_t matched_of(const struct osr_raft *raft, const struct peer *peer)
{
    (void)raft;
    return peer->matched;
}

void osr_raft_commit_count(struct osr_raft *raft)
{
    if (raft->role != OSR_RAFT_LEADER) {
        return;
    }
    uint64_t own = OSR_RAFT_GUARD(OWN_MATCH_DURABLE) ? raft->log.durable : raft->log.last;
    uint64_t index = osr_raft_min(osr_raft_majority(raft, own, matched_of), own);
    bool is_own_term = index >= raft->term_first || !OSR_RAFT_GUARD(OWN_TERM_COMMIT);
    if (index > raft->commit && is_own_term) {
        set_commit(raft, index);
    }
}

void osr_raft_commit_follow(struct osr_raft *raft)
{
    uint64_t matched = OSR_RAFT_GUARD(COMMIT_MATCHED) ? raft->matched : raft->log.last;
    uint64_t index = osr_raft_min(raft->leader_commit, osr_raft_min(matched, raft->log.durable));
    if (index > raft->commit) {
        set_commit(raft, index);
    }
}

/* ---- proposals ---- */

static void pop_pending(struct osr_raft *raft)
{
    const struct pending *pending = osr_queue_front(&raft->pending);
    raft->pending_bytes -= pending->bytes;
    raft->pending_entries--;
    osr_queue_pop(&raft->pending);
}

/* The token of the proposal that made this committed entry; 0: none of ours. Proposals of older
 * terms that have not been committed before can be no more. */
static uint64_t take_token(struct osr_raft *raft, uint64_t index, uint64_t term)
{
    const struct pending *front;
    while ((front = osr_queue_front(&raft->pending)) != NULL && front->term < term) {
        osr_raft_put_out_failed(raft, front->token, OSR_CANCELLED,
                                "another entry was committed in its place");
        pop_pending(raft);
    }
    if (front == NULL || front->term != term || front->index != index) {
        return 0;
    }
    uint64_t token = front->token;
    pop_pending(raft);
    return token;
}

void osr_raft_commit_forget(struct osr_raft *raft, uint64_t after)
{
    const struct pending *back;
    while ((back = osr_queue_back(&raft->pending)) != NULL && back->index > after &&
           back->index > raft->sent_last && back->term == raft->vote.term) {
        osr_raft_put_out_failed(raft, back->token, OSR_DISK_FULL, "the disk is full");
        raft->pending_bytes -= back->bytes;
        raft->pending_entries--;
        osr_queue_pop_back(&raft->pending);
    }
}

void osr_raft_commit_jump(struct osr_raft *raft, uint64_t index, uint64_t term)
{
    const struct pending *front;
    while ((front = osr_queue_front(&raft->pending)) != NULL &&
           (front->index <= index || front->term < term)) {
        bool is_unknown = front->index <= index;
        osr_raft_put_out_failed(raft, front->token, is_unknown ? OSR_TIMEOUT : OSR_CANCELLED,
                                is_unknown ? "a snapshot came over it"
                                           : "another entry was committed in its place");
        pop_pending(raft);
    }
    raft->commit = osr_raft_max(raft->commit, index);
    if (index > raft->given) {
        raft->given = index;
        raft->applied = index;
        osr_queue_clear(&raft->applying);
        raft->applying_bytes = 0;
        raft->apply_ticket = 0;
    }
    osr_raft_commit_apply(raft);
    osr_raft_read_applied(raft);
}

/* ---- applying ---- */

/* Entries as they are in memory, or with the tokens of those that were proposed here. */
static const struct osr_raft_entry *with_tokens(struct osr_raft *raft,
                                                const struct osr_raft_entry *entries, size_t count)
{
    if (raft->pending.count == 0) {
        return entries;
    }
    struct osr_raft_entry *copies = osr_raft_take(raft, count * sizeof(*copies));
    for (size_t i = 0; i < count; i++) {
        copies[i] = entries[i];
        copies[i].token = take_token(raft, entries[i].index, entries[i].term);
    }
    return copies;
}

static void give(struct osr_raft *raft, const struct osr_raft_entry *entries, size_t count,
                 size_t bytes)
{
    const struct osr_raft_entry *given = with_tokens(raft, entries, count);
    raft->given += count;
    struct given *note = osr_queue_push(&raft->applying);
    *note = (struct given){.last = raft->given, .bytes = bytes + count * sizeof(*entries)};
    raft->applying_bytes += note->bytes;
    struct osr_raft_output *output = osr_raft_put_out(raft, OSR_RAFT_OUT_APPLY);
    output->apply.entries = given;
    output->apply.count = count;
}

static void put_out_fetch(struct osr_raft *raft, uint64_t last)
{
    struct osr_raft_output *output = osr_raft_put_out(raft, OSR_RAFT_OUT_FETCH);
    raft->apply_ticket = osr_raft_ticket(raft);
    output->fetch.ticket = raft->apply_ticket;
    output->fetch.first = raft->given + 1;
    output->fetch.last = last;
    output->fetch.bytes_max = raft->options.message_bytes_max;
}

void osr_raft_commit_apply(struct osr_raft *raft)
{
    while (raft->given < raft->commit && raft->applying_bytes < raft->options.apply_bytes &&
           raft->apply_ticket == 0 && raft->now_ms >= raft->apply_retry_ms &&
           !osr_raft_is_installing(raft)) {
        const struct osr_raft_entry *entries = NULL;
        uint64_t last = osr_raft_min(raft->commit, raft->given + OSR_RAFT_APPEND_ENTRIES_MAX);
        size_t count;
        size_t bytes =
            osr_raft_log_read(raft, raft->given + 1, last,
                              raft->options.apply_bytes - raft->applying_bytes, &entries, &count);
        if (count == 0) {
            put_out_fetch(raft, last);
            return;
        }
        give(raft, entries, count, bytes);
    }
}

void osr_raft_commit_applied(struct osr_raft *raft, uint64_t index)
{
    const struct given *front;
    if (index <= raft->applied) {
        return; /* a snapshot came over it */
    }
    assert(index <= raft->given);
    while ((front = osr_queue_front(&raft->applying)) != NULL && front->last <= index) {
        raft->applying_bytes -= front->bytes;
        osr_queue_pop(&raft->applying);
    }
    raft->applied = index;
    osr_raft_read_applied(raft);
    osr_raft_commit_apply(raft);
}

void osr_raft_commit_fetched(struct osr_raft *raft, const struct osr_raft_entry *entries,
                             size_t count)
{
    raft->apply_ticket = 0;
    if (count == 0) {
        raft->apply_retry_ms = raft->now_ms + raft->options.heartbeat_ms;
        return;
    }
    if (osr_raft_is_installing(raft)) {
        return;
    }
    assert(entries[0].index == raft->given + 1);
    count = (size_t)osr_raft_min(count, raft->commit - raft->given);
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += entries[i].payload.size;
    }
    const struct piece piece = osr_raft_piece_create(raft, entries, count);
    give(raft, piece.entries, count, bytes);
    osr_raft_block_release(raft, piece.block);
    osr_raft_commit_apply(raft);
}
