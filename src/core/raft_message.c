/* Who may say what, and what a message's term means: a newer term is followed, whoever is in an
 * older one is told. */
#include "core/raft_internal.h"

static const char *type_names[] = {
    [OSR_RAFT_VOTE_REQUEST] = "VOTE_REQUEST",
    [OSR_RAFT_VOTE_REPLY] = "VOTE_REPLY",
    [OSR_RAFT_APPEND] = "APPEND",
    [OSR_RAFT_APPENDED] = "APPENDED",
    [OSR_RAFT_SNAPSHOT] = "SNAPSHOT",
    [OSR_RAFT_SNAPSHOT_TAKEN] = "SNAPSHOT_TAKEN",
    [OSR_RAFT_READ_REQUEST] = "READ_REQUEST",
    [OSR_RAFT_READ_REPLY] = "READ_REPLY",
    [OSR_RAFT_ELECT_NOW] = "ELECT_NOW",
};

static bool is_known_type(const struct osr_raft_message *message)
{
    return message->type >= OSR_RAFT_VOTE_REQUEST && message->type <= OSR_RAFT_ELECT_NOW;
}

/* Said now and then: a flood of nonsense must not become a flood of lines. */
void osr_raft_refuse(struct osr_raft *raft, const struct osr_raft_message *message, const char *why)
{
    if (raft->refused == 0 ||
        raft->now_ms >= raft->refused_ms + raft->options.election_timeout_ms) {
        raft->refused_ms = raft->now_ms;
        osr_raft_say(raft, OSR_LEVEL_WARNING, "%s of %llu refused: %s; %llu before",
                     is_known_type(message) ? type_names[message->type] : "a message",
                     (unsigned long long)message->from, why, (unsigned long long)raft->refused);
    }
    raft->refused++;
}

/* Whoever is in no configuration that is known here may be in a newer one, and stand or lead; the
 * others answer to nobody but members. */
static bool may_say(const struct osr_raft *raft, const struct osr_raft_message *message,
                    const struct peer *peer)
{
    return peer != NULL || message->from == raft->leader || raft->configuration.count == 0 ||
           message->type == OSR_RAFT_VOTE_REQUEST || message->type == OSR_RAFT_APPEND ||
           message->type == OSR_RAFT_SNAPSHOT;
}

/* ---- terms ---- */

/* How high others may raise the own term within this heartbeat. */
static uint64_t highest_term(struct osr_raft *raft)
{
    if (raft->now_ms >= raft->term_ms + raft->options.heartbeat_ms) {
        raft->term_ms = raft->now_ms;
        raft->term_before = raft->vote.term;
    }
    return osr_raft_min(raft->term_before, OSR_RAFT_TERM_MAX - OSR_RAFT_TERM_JUMP_MAX) +
           OSR_RAFT_TERM_JUMP_MAX;
}

bool osr_raft_message_follow(struct osr_raft *raft, const struct osr_raft_message *message,
                             uint64_t leader)
{
    uint64_t highest = highest_term(raft);
    if (message->term <= highest) {
        osr_raft_follow_term(raft, message->term, leader);
        return true;
    }
    osr_raft_refuse(raft, message, "its term is too far ahead");
    if (highest > raft->vote.term) {
        osr_raft_follow_term(raft, highest, 0);
    }
    return false;
}

static bool is_from_leader(const struct osr_raft_message *message)
{
    return message->type == OSR_RAFT_APPEND || message->type == OSR_RAFT_SNAPSHOT;
}

/* Who thinks it leads, or that this member does, is shown the newer term. */
static void correct(struct osr_raft *raft, const struct osr_raft_message *message)
{
    if (is_from_leader(message)) {
        struct osr_raft_message *reply = osr_raft_message(raft, OSR_RAFT_APPENDED, message->from);
        reply->appended.is_refused = true;
        osr_raft_send(raft, reply);
    } else if (message->type == OSR_RAFT_READ_REQUEST) {
        struct osr_raft_message *reply = osr_raft_message(raft, OSR_RAFT_READ_REPLY, message->from);
        reply->read_reply.request = message->read_request.request;
        osr_raft_send(raft, reply);
    }
}

/* The sender leads this term. False: that cannot be. */
static bool accept_leader(struct osr_raft *raft, const struct osr_raft_message *message)
{
    bool is_other = raft->leader != 0 && raft->leader != message->from;
    if (raft->role == OSR_RAFT_LEADER || is_other) {
        osr_raft_refuse(raft, message, "another member leads this term");
        return false;
    }
    if (raft->leader == 0) {
        osr_raft_follow_term(raft, message->term, message->from);
    } else {
        osr_raft_election_rest(raft);
    }
    return true;
}

/* ---- whom it concerns ---- */

static void take_answer(struct osr_raft *raft, const struct osr_raft_message *message)
{
    struct peer *peer = osr_raft_peer_find(raft, message->from);
    if (raft->role != OSR_RAFT_LEADER || peer == NULL) {
        return;
    }
    if (message->type == OSR_RAFT_APPENDED) {
        osr_raft_lead_appended(raft, peer, message);
    } else {
        osr_raft_snapshot_taken(raft, peer, message);
    }
}

static void dispatch(struct osr_raft *raft, const struct osr_raft_message *message)
{
    switch (message->type) {
    case OSR_RAFT_VOTE_REQUEST:
        osr_raft_election_request(raft, message);
        break;
    case OSR_RAFT_VOTE_REPLY:
        osr_raft_election_reply(raft, message);
        break;
    case OSR_RAFT_APPEND:
        if (accept_leader(raft, message)) {
            osr_raft_follow_append(raft, message);
        }
        break;
    case OSR_RAFT_SNAPSHOT:
        if (accept_leader(raft, message)) {
            osr_raft_install_chunk(raft, message);
        }
        break;
    case OSR_RAFT_APPENDED:
    case OSR_RAFT_SNAPSHOT_TAKEN:
        take_answer(raft, message);
        break;
    case OSR_RAFT_READ_REQUEST:
        osr_raft_read_request(raft, message);
        break;
    case OSR_RAFT_READ_REPLY:
        osr_raft_read_reply(raft, message);
        break;
    case OSR_RAFT_ELECT_NOW:
        osr_raft_transfer_elect(raft, message);
        break;
    }
}

/* A request has a rule of its own, and a granted pre-vote is of a term that nobody is in yet. */
static bool has_own_rule(const struct osr_raft_message *message)
{
    return message->type == OSR_RAFT_VOTE_REQUEST ||
           (message->type == OSR_RAFT_VOTE_REPLY && message->vote_reply.is_pre &&
            message->vote_reply.is_granted);
}

void osr_raft_take_message(struct osr_raft *raft, const struct osr_raft_message *message)
{
    struct peer *peer = osr_raft_peer_find(raft, message->from);
    const char *why_not = osr_raft_check(raft, message);
    if (why_not == NULL && !may_say(raft, message, peer)) {
        why_not = "its sender is no member";
    }
    if (why_not != NULL) {
        osr_raft_refuse(raft, message, why_not);
        return;
    }
    if (peer != NULL) {
        peer->heard_ms = osr_raft_max(raft->now_ms, 1);
    }
    if (has_own_rule(message)) {
        dispatch(raft, message);
        return;
    }
    if (message->term > raft->vote.term) {
        uint64_t leader = is_from_leader(message) ? message->from : 0;
        if (!osr_raft_message_follow(raft, message, leader)) {
            return;
        }
    } else if (message->term < raft->vote.term) {
        correct(raft, message);
        if (OSR_RAFT_GUARD(STALE_REPLY) || message->type != OSR_RAFT_APPENDED) {
            return;
        }
    }
    dispatch(raft, message);
}
