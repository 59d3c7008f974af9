/* Terms, votes and who stands for election.
 *
 * Whoever hears no leader asks first whether others would vote for it (pre-vote), which changes
 * nobody's term; members that hear a leader would not. So a member that was cut off, or was
 * removed and does not know it, disturbs nobody. Then it stands: a new term, the own vote made
 * durable, and requests to all other voters. */
#include "core/raft_internal.h"

void osr_raft_election_rest(struct osr_raft *raft)
{
    uint32_t timeout = raft->options.election_timeout_ms;
    raft->heard_ms = raft->now_ms;
    raft->patience_ms = timeout + (uint32_t)osr_random_below(&raft->random, timeout);
    if (raft->is_full) {
        raft->patience_ms += 2 * timeout; /* others can do more */
    }
}

static bool may_stand(const struct osr_raft *raft)
{
    return raft->role != OSR_RAFT_LEADER && osr_raft_members_needs_own(raft) &&
           !osr_raft_is_installing(raft) && raft->vote.term < OSR_RAFT_TERM_MAX;
}

uint64_t osr_raft_election_deadline(const struct osr_raft *raft)
{
    return may_stand(raft) ? raft->heard_ms + raft->patience_ms : UINT64_MAX;
}

/* ---- terms ---- */

static void set_leader(struct osr_raft *raft, uint64_t leader)
{
    raft->leader = leader;
    raft->has_heard = leader != 0;
    raft->matched = raft->commit;
    raft->leader_commit = raft->commit;
    raft->leader_round = 0;
    osr_raft_read_drop(raft);
    osr_raft_transfer_observe(raft);
}

static void stop_leading(struct osr_raft *raft)
{
    osr_raft_lead_drop_draft(raft);
    for (size_t i = 0; i < raft->peer_count; i++) {
        osr_raft_peer_begin(raft, &raft->peers[i]);
    }
    osr_raft_peers_dismiss(raft);
}

void osr_raft_follow_term(struct osr_raft *raft, uint64_t term, uint64_t leader)
{
    bool was_leader = raft->role == OSR_RAFT_LEADER;
    if (term > raft->vote.term) {
        raft->vote = (struct osr_raft_vote){.term = term};
        raft->is_vote_unstored = true;
    }
    raft->role = OSR_RAFT_FOLLOWER;
    set_leader(raft, leader);
    if (was_leader) {
        stop_leading(raft);
    }
    osr_raft_election_rest(raft);
    if (leader == 0) {
        osr_raft_say(raft, OSR_LEVEL_INFO, "term %llu, nobody leads",
                     (unsigned long long)raft->vote.term);
    } else {
        osr_raft_say(raft, OSR_LEVEL_INFO, "term %llu, led by %llu",
                     (unsigned long long)raft->vote.term, (unsigned long long)leader);
    }
}

void osr_raft_step_down(struct osr_raft *raft, const char *why)
{
    osr_raft_say(raft, OSR_LEVEL_WARNING, "leads no more: %s", why);
    osr_raft_follow_term(raft, raft->vote.term, 0);
}

/* ---- standing ---- */

/* What is durable counts, on both sides: what was not acknowledged need not be kept. */
static uint64_t last_that_counts(const struct osr_raft *raft)
{
    return OSR_RAFT_GUARD(ELECTION_DURABLE) ? raft->log.durable : raft->log.last;
}

void osr_raft_election_claim(const struct osr_raft *raft, struct osr_raft_message *request)
{
    request->vote_request.last_index = last_that_counts(raft);
    request->vote_request.last_term = osr_raft_log_term(&raft->log, last_that_counts(raft));
}

static void ask_for_votes(struct osr_raft *raft)
{
    bool is_pre = raft->role == OSR_RAFT_PRE_CANDIDATE;
    for (size_t i = 0; i < raft->peer_count; i++) {
        struct peer *peer = &raft->peers[i];
        peer->has_granted = false;
        if (!peer->is_voter) {
            continue;
        }
        struct osr_raft_message *request = osr_raft_message(raft, OSR_RAFT_VOTE_REQUEST, peer->id);
        request->term += is_pre;
        request->vote_request.is_pre = is_pre;
        request->vote_request.is_transfer = raft->is_transfer;
        osr_raft_election_claim(raft, request);
        osr_raft_send(raft, request);
    }
}

static void count_votes(struct osr_raft *raft)
{
    size_t votes = osr_raft_is_voter(raft);
    for (size_t i = 0; i < raft->peer_count; i++) {
        votes += raft->peers[i].is_voter && raft->peers[i].has_granted;
    }
    bool is_own_durable = osr_raft_vote_is_durable(raft) || !OSR_RAFT_GUARD(VOTE_DURABLE);
    if (2 * votes <= osr_raft_configuration_voters(&raft->configuration)) {
        return;
    }
    if (raft->role == OSR_RAFT_PRE_CANDIDATE) {
        osr_raft_election_stand(raft, false);
    } else if (raft->role == OSR_RAFT_CANDIDATE && is_own_durable) {
        osr_raft_lead_begin(raft);
    }
}

void osr_raft_election_stand(struct osr_raft *raft, bool is_transfer)
{
    raft->vote.term++;
    raft->vote.candidate = raft->options.member;
    raft->is_vote_unstored = true;
    raft->role = OSR_RAFT_CANDIDATE;
    raft->is_transfer = is_transfer;
    set_leader(raft, 0);
    osr_raft_election_rest(raft);
    osr_raft_say(raft, OSR_LEVEL_INFO, "stands in term %llu", (unsigned long long)raft->vote.term);
    ask_for_votes(raft);
    count_votes(raft);
}

void osr_raft_election_voted(struct osr_raft *raft)
{
    if (raft->role == OSR_RAFT_CANDIDATE) {
        count_votes(raft);
    }
}

static void ask_beforehand(struct osr_raft *raft)
{
    raft->role = OSR_RAFT_PRE_CANDIDATE;
    raft->is_transfer = false;
    set_leader(raft, 0);
    osr_raft_election_rest(raft);
    ask_for_votes(raft);
    count_votes(raft);
}

void osr_raft_election_tick(struct osr_raft *raft)
{
    if (raft->now_ms < osr_raft_election_deadline(raft)) {
        return;
    }
    if (raft->role == OSR_RAFT_CANDIDATE && !osr_raft_vote_is_durable(raft)) {
        osr_raft_election_rest(raft); /* not even the own vote is known yet */
        return;
    }
    ask_beforehand(raft);
}

/* ---- voting ---- */

static bool is_up_to_date(const struct osr_raft *raft, const struct osr_raft_message *request)
{
    uint64_t own_last = last_that_counts(raft);
    uint64_t own_term = osr_raft_log_term(&raft->log, own_last);
    uint64_t term = request->vote_request.last_term;
    return term > own_term || (term == own_term && request->vote_request.last_index >= own_last);
}

/* A leader hears itself: it would have stepped down without a majority. */
static bool hears_leader(const struct osr_raft *raft)
{
    return raft->role == OSR_RAFT_LEADER ||
           (raft->has_heard && raft->now_ms < raft->heard_ms + raft->options.election_timeout_ms);
}

static bool is_vote_free(const struct osr_raft *raft, const struct osr_raft_message *request)
{
    if (!OSR_RAFT_GUARD(ONE_VOTE) && request->vote_request.is_transfer) {
        return true;
    }
    return raft->vote.candidate == request->from ||
           (raft->vote.candidate == 0 && raft->leader == 0);
}

static void answer(struct osr_raft *raft, const struct osr_raft_message *request, bool is_granted)
{
    bool is_pre = request->vote_request.is_pre;
    struct osr_raft_message *reply = osr_raft_message(raft, OSR_RAFT_VOTE_REPLY, request->from);
    reply->vote_reply.is_pre = is_pre;
    reply->vote_reply.is_granted = is_granted;
    if (is_pre && is_granted) {
        reply->term = request->term;
    } else if (is_pre && !OSR_RAFT_GUARD(PRE_VOTE_TERM)) {
        reply->term = request->term - 1;
    }
    osr_raft_send(raft, reply);
}

static void request_vote(struct osr_raft *raft, const struct osr_raft_message *request,
                         bool is_welcome)
{
    if (request->term > raft->vote.term) {
        if (!is_welcome || !osr_raft_message_follow(raft, request, 0)) {
            return;
        }
    }
    bool is_granted = request->term == raft->vote.term && is_welcome &&
                      is_vote_free(raft, request) &&
                      (is_up_to_date(raft, request) || !OSR_RAFT_GUARD(LOG_UP_TO_DATE));
    if (is_granted && raft->vote.candidate != request->from) {
        raft->vote.candidate = request->from;
        raft->is_vote_unstored = true;
        osr_raft_election_rest(raft);
    }
    answer(raft, request, is_granted);
}

void osr_raft_election_request(struct osr_raft *raft, const struct osr_raft_message *message)
{
    /* One that was removed, and says that its leader wants it, is not believed. */
    bool is_transfer = message->vote_request.is_transfer &&
                       osr_raft_configuration_is_voter(&raft->configuration, message->from);
    bool is_welcome = !hears_leader(raft) || is_transfer || !OSR_RAFT_GUARD(LEASE);
    if (!message->vote_request.is_pre) {
        request_vote(raft, message, is_welcome);
        return;
    }
    bool is_granted = message->term > raft->vote.term && is_welcome &&
                      (is_up_to_date(raft, message) || !OSR_RAFT_GUARD(LOG_UP_TO_DATE));
    answer(raft, message, is_granted);
}

void osr_raft_election_reply(struct osr_raft *raft, const struct osr_raft_message *message)
{
    bool is_pre = message->vote_reply.is_pre;
    struct peer *peer = osr_raft_peer_find(raft, message->from);
    if (peer == NULL || !message->vote_reply.is_granted ||
        raft->role != (is_pre ? OSR_RAFT_PRE_CANDIDATE : OSR_RAFT_CANDIDATE) ||
        message->term != raft->vote.term + is_pre) {
        return;
    }
    peer->has_granted = true;
    count_votes(raft);
}
