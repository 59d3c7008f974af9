/* What a member says: nothing that rests on what is not durable, nothing over a limit. */
#include "sim/raft_checks_parts.h"

#include "sim/raft_member.h"
#include "sim/violation.h"

#include <inttypes.h>

static const struct raft_image *durable_image(const struct raft_member *member)
{
    return raft_store_durable(raft_disk_store_of(member->disk));
}

static void check_append(struct raft_checks *checks, const struct raft_member *member,
                         const struct osr_raft_message *message)
{
    const struct osr_raft_options *options = &member->world->settings.core;
    size_t bytes = 0;
    uint64_t term = message->append.previous_term;
    for (size_t i = 0; i < message->append.count; i++) {
        const struct osr_raft_entry *entry = &message->append.entries[i];
        bytes += entry->payload.size;
        if (entry->index != message->append.previous_index + 1 + i || entry->term < term) {
            sim_violation("m%" PRIu64 " sends entry %" PRIu64 " of term %" PRIu64
                          " behind one of term %" PRIu64,
                          member->id, entry->index, entry->term, term);
        }
        term = entry->term;
    }
    if (bytes > options->message_bytes_max && message->append.count > 1) {
        sim_violation("m%" PRIu64 " sends %zu bytes in one message, the limit is %" PRIu32,
                      member->id, bytes, options->message_bytes_max);
    }
    if (raft_checks_term(checks, message->term)->leader != member->id) {
        sim_violation("m%" PRIu64 " sends entries of term %" PRIu64 " and does not lead it",
                      member->id, message->term);
    }
}

static void check_window(const struct raft_member *member, uint64_t to)
{
    for (size_t i = 0; i < osr_raft_peer_count(member->core); i++) {
        struct osr_raft_peer_info peer;
        osr_raft_peer_info(member->core, i, &peer);
        if (peer.id == to && peer.in_flight > member->world->settings.core.window_messages) {
            sim_violation(
                "m%" PRIu64 " has %zu messages under way to m%" PRIu64 ", the limit is %" PRIu32,
                member->id, peer.in_flight, to, member->world->settings.core.window_messages);
        }
    }
}

/* What it acknowledges is what the leader of that term has there. */
static void check_matched(const struct raft_checks *checks, const struct raft_member *member,
                          const struct osr_raft_message *message)
{
    const struct raft_mirror *leader = &checks->mirrors[message->to - 1];
    const struct raft_log *log = &durable_image(member)->log;
    uint64_t index = message->appended.index;
    if (leader->role == OSR_RAFT_LEADER && leader->term == message->term && index > log->base &&
        raft_log_has(&leader->log, index) &&
        raft_log_chain(&leader->log, index) != raft_log_chain(log, index)) {
        sim_violation("m%" PRIu64 " acknowledges entry %" PRIu64
                      ", which is another than its leader m%" PRIu64 " has",
                      member->id, index, message->to);
    }
}

static void check_appended(const struct raft_checks *checks, const struct raft_member *member,
                           const struct osr_raft_message *message)
{
    const struct raft_image *durable = durable_image(member);
    if (message->appended.is_refused) {
        return;
    }
    if (message->appended.index > raft_log_last(&durable->log)) {
        sim_violation("m%" PRIu64 " acknowledges entry %" PRIu64 ", durable are %" PRIu64,
                      member->id, message->appended.index, raft_log_last(&durable->log));
    }
    check_matched(checks, member, message);
}

static void check_vote_request(const struct raft_member *member,
                               const struct osr_raft_message *message)
{
    const struct raft_image *durable = durable_image(member);
    if (message->vote_request.last_index > raft_log_last(&durable->log)) {
        sim_violation("m%" PRIu64 " stands for election with %" PRIu64
                      " entries, durable are %" PRIu64,
                      member->id, message->vote_request.last_index, raft_log_last(&durable->log));
    }
}

/* Whoever hears a leader has no reason to want another, unless the leader asks for it. (What was
 * decided earlier, and waited until it could be said, is not looked at.) */
static void check_lease(const struct raft_mirror *mirror, const struct raft_member *member,
                        const struct osr_raft_message *reply)
{
    const struct osr_raft_message *request = mirror->message;
    if (request == NULL || request->type != OSR_RAFT_VOTE_REQUEST || request->from != reply->to ||
        request->vote_request.is_transfer || mirror->heard_term != mirror->term) {
        return;
    }
    uint64_t silence_ms = raft_member_now_ms(member) - mirror->heard_ms;
    if (silence_ms < member->world->settings.core.election_timeout_ms) {
        sim_violation("m%" PRIu64 " would vote, and has heard its leader %" PRIu64 " ms ago",
                      member->id, silence_ms);
    }
}

static void check_vote_reply(const struct raft_mirror *mirror, const struct raft_member *member,
                             const struct osr_raft_message *message)
{
    if (!message->vote_reply.is_granted) {
        return;
    }
    if (message->vote_reply.is_pre) {
        check_lease(mirror, member, message);
        return;
    }
    const struct osr_raft_vote *vote = &durable_image(member)->vote;
    if (vote->term != message->term || vote->candidate != message->to) {
        sim_violation("m%" PRIu64 " votes for m%" PRIu64 " in term %" PRIu64
                      ", durable is its vote for m%" PRIu64 " in term %" PRIu64,
                      member->id, message->to, message->term, vote->candidate, vote->term);
    }
}

void raft_checks_said(struct raft_checks *checks, const struct raft_member *member,
                      const struct osr_raft_message *message)
{
    const struct osr_raft_options *options = &member->world->settings.core;
    if (message->from != member->id || message->to == member->id || message->to == 0 ||
        message->to > member->world->member_count) {
        sim_violation("m%" PRIu64 " sends a message from m%" PRIu64 " to m%" PRIu64, member->id,
                      message->from, message->to);
    }
    switch (message->type) {
    case OSR_RAFT_APPEND:
        check_append(checks, member, message);
        check_window(member, message->to);
        break;
    case OSR_RAFT_APPENDED:
        check_appended(checks, member, message);
        break;
    case OSR_RAFT_VOTE_REQUEST:
        check_vote_request(member, message);
        break;
    case OSR_RAFT_VOTE_REPLY:
        check_vote_reply(&checks->mirrors[member->place], member, message);
        break;
    case OSR_RAFT_SNAPSHOT:
        if (message->snapshot.chunk.size > options->chunk_bytes) {
            sim_violation("m%" PRIu64 " sends a chunk of %zu bytes, the limit is %" PRIu32,
                          member->id, message->snapshot.chunk.size, options->chunk_bytes);
        }
        break;
    default:
        break;
    }
}
