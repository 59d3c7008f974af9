/* Taking entries from the leader: compared, stored, and acknowledged once they are durable. */
#include "core/raft_internal.h"

/* ---- whether it is taken ---- */

/* Stops a leader that does not keep to its window, or that begins term after term, from growing
 * memory. */
static bool is_too_much(const struct osr_raft *raft, const struct osr_raft_message *message)
{
    const struct osr_raft_options *options = &raft->options;
    size_t unstored_max = (size_t)options->window_bytes + options->message_bytes_max +
                          options->command_bytes_max +
                          (size_t)OSR_RAFT_APPEND_ENTRIES_MAX * sizeof(struct osr_raft_entry);
    return raft->log.unstored_bytes > unstored_max ||
           raft->log.spans.count + message->append.count > OSR_RAFT_SPANS_MAX ||
           raft->configured.count > OSR_RAFT_CONFIGURATIONS_MAX;
}

static bool is_other_committed(const struct osr_raft *raft, uint64_t index, uint64_t term)
{
    return index >= raft->log.base && index <= raft->commit &&
           osr_raft_log_term(&raft->log, index) != term;
}

/* No leader that was elected says so. */
static bool contradicts_committed(const struct osr_raft *raft,
                                  const struct osr_raft_message *message)
{
    uint64_t previous = message->append.previous_index;
    if (is_other_committed(raft, previous, message->append.previous_term)) {
        return true;
    }
    for (size_t i = 0; i < message->append.count && previous + 1 + i <= raft->commit; i++) {
        if (is_other_committed(raft, previous + 1 + i, message->append.entries[i].term)) {
            return true;
        }
    }
    return false;
}

/* ---- answers ---- */

void osr_raft_follow_report(struct osr_raft *raft)
{
    if (raft->leader == 0 || raft->leader == raft->options.member) {
        return;
    }
    uint64_t durable = OSR_RAFT_GUARD(ACK_DURABLE) ? raft->log.durable : raft->log.last;
    uint64_t matched = OSR_RAFT_GUARD(ACK_MATCHED) ? raft->matched : raft->log.last;
    struct osr_raft_message *reply = osr_raft_message(raft, OSR_RAFT_APPENDED, raft->leader);
    reply->appended.index = osr_raft_min(matched, durable);
    reply->appended.round = raft->leader_round;
    osr_raft_send(raft, reply);
}

static void refuse(struct osr_raft *raft, const struct osr_raft_message *message)
{
    uint64_t hint = osr_raft_log_last_up_to(&raft->log, message->append.previous_index,
                                            message->append.previous_term);
    hint = osr_raft_max(hint, raft->commit);
    struct osr_raft_message *reply = osr_raft_message(raft, OSR_RAFT_APPENDED, message->from);
    reply->appended.is_refused = true;
    reply->appended.index = message->append.previous_index;
    reply->appended.hint_index = hint;
    reply->appended.hint_term = osr_raft_log_term(&raft->log, hint);
    reply->appended.round = raft->leader_round;
    osr_raft_send(raft, reply);
}

/* ---- entries ---- */

/* How many of its entries are in the log, or are committed and so the same. */
static size_t count_known(const struct osr_raft *raft, const struct osr_raft_message *message)
{
    uint64_t previous = message->append.previous_index;
    size_t known = raft->commit > previous
                       ? (size_t)osr_raft_min(raft->commit - previous, message->append.count)
                       : 0;
    if (!OSR_RAFT_GUARD(TRUNCATE_CONFLICT_ONLY)) {
        return known;
    }
    while (known < message->append.count && osr_raft_log_has(&raft->log, previous + 1 + known,
                                                             message->append.entries[known].term)) {
        known++;
    }
    return known;
}

/* The entries from `known` on are new. */
static void take_entries(struct osr_raft *raft, const struct osr_raft_message *message,
                         size_t known)
{
    const struct osr_raft_entry *entries = message->append.entries + known;
    uint64_t after = message->append.previous_index + known;
    bool is_cut = after < raft->log.last;
    if (is_cut) {
        osr_raft_say(raft, OSR_LEVEL_INFO, "entries %llu to %llu are cut off",
                     (unsigned long long)after + 1, (unsigned long long)raft->log.last);
        osr_raft_log_cut(raft, after);
    }
    const struct piece piece = osr_raft_piece_create(raft, entries, message->append.count - known);
    osr_raft_log_append(raft, &piece);
    osr_raft_store_piece(raft, &piece, is_cut);
}

static bool is_previous_known(const struct osr_raft *raft, const struct osr_raft_message *message)
{
    uint64_t previous = message->append.previous_index;
    return previous < raft->commit ||
           osr_raft_log_has(&raft->log, previous, message->append.previous_term);
}

void osr_raft_follow_append(struct osr_raft *raft, const struct osr_raft_message *message)
{
    if (osr_raft_is_installing(raft)) {
        return; /* the log is about to begin elsewhere */
    }
    if (contradicts_committed(raft, message)) {
        osr_raft_refuse(raft, message, "another entry is committed there");
        return;
    }
    raft->leader_round = osr_raft_max(raft->leader_round, message->append.round);
    if (!is_previous_known(raft, message)) {
        refuse(raft, message);
        return;
    }
    size_t known = count_known(raft, message);
    bool has_more = known < message->append.count;
    if (has_more && is_too_much(raft, message)) {
        return;
    }
    if (has_more) {
        take_entries(raft, message, known);
    }
    raft->matched =
        osr_raft_max(raft->matched, message->append.previous_index + message->append.count);
    raft->leader_commit = osr_raft_max(raft->leader_commit, message->append.commit);
    osr_raft_commit_follow(raft);
    if (!has_more || !OSR_RAFT_GUARD(ACK_DURABLE)) {
        osr_raft_follow_report(raft);
    }
}
