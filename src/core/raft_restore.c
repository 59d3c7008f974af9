/* What the disk gave back, or the founding of a ledger. */
#include "core/raft_internal.h"

#include <assert.h>

static void restore_log(struct osr_raft *raft, const struct osr_raft_restored *restored)
{
    struct log *log = &raft->log;
    log->base = restored->base;
    log->base_term = restored->base_term;
    log->last = restored->last;
    log->durable = restored->last;
    for (size_t i = 0; i < restored->span_count; i++) {
        struct osr_raft_span *span = osr_queue_push(&log->spans);
        *span = restored->spans[i];
    }
}

static void restore_members(struct osr_raft *raft, const struct osr_raft_restored *restored)
{
    raft->snapshot = restored->snapshot;
    raft->configuration = restored->snapshot.configuration;
    raft->configured_at = restored->snapshot.index;
    for (size_t i = 0; i < restored->configuration_count; i++) {
        const struct osr_raft_entry *entry = &restored->configurations[i];
        osr_raft_members_entered(raft, entry->index, entry->payload);
    }
    osr_raft_peers_update(raft);
}

/* The ledger begins with an entry that says who votes: this member alone. */
static void found(struct osr_raft *raft, struct osr_slice context)
{
    assert(context.size <= OSR_RAFT_CONTEXT_BYTES_MAX);
    struct osr_raft_configuration *founding = osr_raft_take(raft, sizeof(*founding));
    founding->count = 1;
    struct osr_raft_member *founder = &founding->members[0];
    founder->id = raft->options.member;
    founder->standing = OSR_RAFT_VOTER;
    founder->context_size = (uint16_t)context.size;
    if (context.size > 0) {
        memcpy(founder->context, context.data, context.size);
    }
    raft->vote.term = osr_raft_max(raft->vote.term, 1);
    raft->is_vote_unstored = true;
    struct osr_buffer bytes = {0};
    osr_raft_configuration_encode(founding, &bytes);
    osr_raft_lead_append(raft, OSR_RAFT_CONFIGURATION, 0, osr_buffer_slice(&bytes));
    osr_buffer_done(&bytes);
}

void osr_raft_restore(struct osr_raft *raft, const struct osr_raft_restored *restored)
{
    assert(restored->base <= restored->snapshot.index && restored->base <= restored->last);
    assert(restored->applied >= restored->snapshot.index && restored->applied <= restored->last);
    raft->vote = restored->vote;
    raft->durable_vote = restored->vote;
    raft->term_before = restored->vote.term;
    restore_log(raft, restored);
    restore_members(raft, restored);
    raft->commit = restored->applied;
    raft->given = restored->applied;
    raft->applied = restored->applied;
    osr_raft_election_rest(raft);
    if (restored->is_founder && raft->log.last == 0) {
        found(raft, restored->context);
    }
    if (osr_raft_is_voter(raft) && osr_raft_configuration_voters(&raft->configuration) == 1) {
        osr_raft_election_stand(raft, false); /* there is nobody to wait for */
    }
}
