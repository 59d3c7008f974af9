/* Linearizable reads (ReadIndex, Raft dissertation, 6.4): the leader notes its commit index and
 * hears from a majority, after that, that it still leads; whoever has applied so much may look.
 *
 * At the leader, a round that is sent along with APPEND and echoed shows who has heard it since. At
 * another member a request goes to the leader; its answer also answers those before it. */
#include "core/raft_internal.h"

#include <assert.h>

static struct read *read_at(const struct osr_raft *raft, size_t place)
{
    return osr_queue_at(&raft->reads, place);
}

static struct remote_read *remote_at(const struct osr_raft *raft, size_t place)
{
    return osr_queue_at(&raft->remote_reads, place);
}

void osr_raft_read_applied(struct osr_raft *raft)
{
    const struct read *front;
    while ((front = osr_queue_front(&raft->reads)) != NULL && front->state == READ_INDEXED &&
           front->index <= raft->applied) {
        osr_raft_put_out(raft, OSR_RAFT_OUT_READABLE)->readable.token = front->token;
        osr_queue_pop(&raft->reads);
    }
}

static void reply(struct osr_raft *raft, uint64_t to, uint64_t request, uint64_t index)
{
    struct osr_raft_message *message = osr_raft_message(raft, OSR_RAFT_READ_REPLY, to);
    message->read_reply.request = request;
    message->read_reply.index = index;
    osr_raft_send(raft, message);
}

/* The first of other members' is answered. */
static void pop_remote(struct osr_raft *raft, uint64_t index)
{
    const struct remote_read *front = remote_at(raft, 0);
    struct peer *peer = osr_raft_peer_find(raft, front->from);
    reply(raft, front->from, front->request, index);
    if (peer != NULL && peer->requests > 0) { /* else it was removed meanwhile */
        peer->requests--;
    }
    osr_queue_pop(&raft->remote_reads);
}

/* ---- asking ---- */

void osr_raft_read(struct osr_raft *raft, uint64_t token)
{
    assert(token != 0);
    if (raft->reads.count >= raft->options.reads_max) {
        osr_raft_put_out_failed(raft, token, OSR_BUSY, "too many reads wait");
    } else if (raft->leader == 0) {
        osr_raft_put_out_failed(raft, token, OSR_UNAVAILABLE, "no leader is known");
    } else {
        struct read *read = osr_queue_push(&raft->reads);
        *read = (struct read){.state = READ_GATHERED, .token = token};
    }
}

void osr_raft_read_request(struct osr_raft *raft, const struct osr_raft_message *message)
{
    uint64_t request = message->read_request.request;
    struct peer *peer = osr_raft_peer_find(raft, message->from);
    if (raft->role != OSR_RAFT_LEADER || peer == NULL || peer->requests >= OSR_RAFT_REQUESTS_MAX) {
        reply(raft, message->from, request, 0);
        return;
    }
    peer->requests++;
    struct remote_read *read = osr_queue_push(&raft->remote_reads);
    *read = (struct remote_read){.state = READ_GATHERED, .from = message->from, .request = request};
}

/* ---- at the leader ---- */

/* Of those that wait, each with the commit index of now; false: there are none. */
static bool begin_round(struct osr_raft *raft, uint64_t round)
{
    bool is_any = false;
    for (size_t i = raft->reads.count; i > 0; i--) {
        struct read *read = read_at(raft, i - 1);
        if (read->state != READ_GATHERED) {
            break;
        }
        *read = (struct read){READ_ASKED, read->token, round, raft->commit, raft->now_ms};
        is_any = true;
    }
    for (size_t i = raft->remote_reads.count; i > 0; i--) {
        struct remote_read *read = remote_at(raft, i - 1);
        if (read->state != READ_GATHERED) {
            break;
        }
        read->state = READ_ASKED;
        read->round = round;
        read->index = raft->commit;
        is_any = true;
    }
    return is_any;
}

static void lead_reads(struct osr_raft *raft)
{
    bool is_commit_known = raft->commit >= raft->term_first || !OSR_RAFT_GUARD(READ_OWN_TERM);
    if (is_commit_known && begin_round(raft, raft->round + 1)) {
        raft->round++;
        osr_raft_lead_ask_all(raft);
        osr_raft_read_review(raft);
    }
}

static uint64_t round_of(const struct osr_raft *raft, const struct peer *peer)
{
    (void)raft;
    return peer->round;
}

static void confirm(struct osr_raft *raft, uint64_t round)
{
    for (size_t i = 0; i < raft->reads.count; i++) {
        struct read *read = read_at(raft, i);
        if (read->state == READ_GATHERED || (read->state == READ_ASKED && read->number > round)) {
            break;
        }
        read->state = READ_INDEXED;
    }
    const struct remote_read *front;
    while ((front = osr_queue_front(&raft->remote_reads)) != NULL && front->state == READ_ASKED &&
           front->round <= round) {
        pop_remote(raft, front->index);
    }
    osr_raft_read_applied(raft);
}

void osr_raft_read_review(struct osr_raft *raft)
{
    bool is_any = raft->reads.count > 0 || raft->remote_reads.count > 0;
    if (raft->role != OSR_RAFT_LEADER || !is_any) {
        return;
    }
    confirm(raft, OSR_RAFT_GUARD(READ_QUORUM) ? osr_raft_majority(raft, raft->round, round_of)
                                              : raft->round);
}

/* ---- at other members ---- */

static void send_request(struct osr_raft *raft)
{
    struct osr_raft_message *message = osr_raft_message(raft, OSR_RAFT_READ_REQUEST, raft->leader);
    message->read_request.request = raft->request_last;
    raft->request_ms = raft->now_ms;
    osr_raft_send(raft, message);
}

/* With as many under way as there may be, more gathers until one is answered. */
static void ask_leader(struct osr_raft *raft)
{
    const struct read *back = osr_queue_back(&raft->reads);
    if (back == NULL || back->state != READ_GATHERED || raft->leader == 0 ||
        raft->request_last - raft->request_answered >= OSR_RAFT_REQUESTS_MAX) {
        return;
    }
    raft->request_last++;
    for (size_t i = raft->reads.count; i > 0; i--) {
        struct read *read = read_at(raft, i - 1);
        if (read->state != READ_GATHERED) {
            break;
        }
        *read = (struct read){READ_ASKED, read->token, raft->request_last, 0, raft->now_ms};
    }
    send_request(raft);
}

void osr_raft_read_reply(struct osr_raft *raft, const struct osr_raft_message *message)
{
    if (message->from != raft->leader || raft->role == OSR_RAFT_LEADER) {
        return;
    }
    if (message->read_reply.request <= raft->request_first ||
        message->read_reply.request > raft->request_last) {
        return; /* answers an earlier life */
    }
    if (message->read_reply.index == 0) {
        osr_raft_read_drop(raft);
        return;
    }
    uint64_t index = message->read_reply.index;
    for (size_t i = 0; i < raft->reads.count; i++) {
        struct read *read = read_at(raft, i);
        if (read->state == READ_ASKED && read->number <= message->read_reply.request) {
            read->state = READ_INDEXED;
            read->index = index;
        }
        index = osr_raft_max(index, read->index); /* those behind are never further */
    }
    raft->request_answered = osr_raft_max(raft->request_answered, message->read_reply.request);
    osr_raft_read_applied(raft);
    ask_leader(raft);
}

/* ---- both ---- */

void osr_raft_read_flush(struct osr_raft *raft)
{
    if (raft->role == OSR_RAFT_LEADER) {
        lead_reads(raft);
    } else {
        ask_leader(raft);
    }
}

void osr_raft_read_drop(struct osr_raft *raft)
{
    const struct read *back;
    /* What that leader said was committed, and is not known to be, may never be. */
    while ((back = osr_queue_back(&raft->reads)) != NULL &&
           (back->state != READ_INDEXED || back->index > raft->commit)) {
        osr_raft_put_out_failed(raft, back->token, OSR_UNAVAILABLE,
                                "the leader has changed, or does not answer");
        osr_queue_pop_back(&raft->reads);
    }
    raft->request_answered = raft->request_last;
    while (raft->remote_reads.count > 0) {
        pop_remote(raft, 0);
    }
}

/* The first that waits for an answer; NULL: none does. */
static const struct read *first_asked(const struct osr_raft *raft)
{
    for (size_t i = 0; i < raft->reads.count; i++) {
        const struct read *read = read_at(raft, i);
        if (read->state != READ_INDEXED) {
            return read->state == READ_ASKED ? read : NULL;
        }
    }
    return NULL;
}

uint64_t osr_raft_read_deadline(const struct osr_raft *raft)
{
    const struct read *read = raft->role == OSR_RAFT_LEADER ? NULL : first_asked(raft);
    if (read == NULL) {
        return UINT64_MAX;
    }
    return osr_raft_min(read->asked_ms + raft->options.election_timeout_ms,
                        raft->request_ms + raft->options.heartbeat_ms);
}

void osr_raft_read_tick(struct osr_raft *raft)
{
    if (raft->now_ms < osr_raft_read_deadline(raft)) {
        return;
    }
    if (raft->now_ms >= first_asked(raft)->asked_ms + raft->options.election_timeout_ms) {
        osr_raft_read_drop(raft);
    } else {
        send_request(raft);
    }
}
