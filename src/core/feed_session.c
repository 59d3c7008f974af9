/* Links from their first to their last moment: who is on the other side, once or twice, whether it
 * is still there, and what is done with each frame. Only once both sides have proved who they are
 * (feed_greeting.c) anything about feeds is believed or sent.
 *
 * Two links to one instance are one too many, but for one of each purpose. If it is the same
 * process (boot), both sides must close the same one: the link that the smaller id dialled stays,
 * and of two that the same side dialled the newer. A link on which nothing was heard for two
 * heartbeats does not count: it is replaced. */
#include "core/feed_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct peer *osr_feed_session_find(const struct osr_feed *core, uint32_t number)
{
    for (uint32_t i = 0; i < core->slot_count; i++) {
        if (core->peers[i] != NULL && core->peers[i]->number == number) {
            return core->peers[i];
        }
    }
    return NULL;
}

struct peer *osr_feed_session_by_serial(const struct osr_feed *core, uint64_t serial)
{
    for (uint32_t i = 0; i < core->slot_count; i++) {
        if (core->peers[i] != NULL && core->peers[i]->serial == serial) {
            return core->peers[i];
        }
    }
    return NULL;
}

void osr_feed_session_close(struct osr_feed *core, struct peer *peer, const struct osr_err *err)
{
    if (peer->state == PEER_CLOSING) {
        return;
    }
    osr_feed_say(core, OSR_LEVEL_WARNING, "%s: closing: %s: %s", peer->label,
                 osr_code_info(err->code)->name, err->message);
    osr_feed_send_error(core, peer->number, err);
    osr_feed_put_out_close(core, peer->number, err);
    peer->state = PEER_CLOSING;
}

/* ---- a link comes and goes ---- */

static void refuse_link(struct osr_feed *core, uint32_t number, uint32_t linked)
{
    struct osr_err err;
    osr_err_set(&err, OSR_BUSY, "already linked to %u instances", linked);
    osr_err_hint(&err, "link to fewer, or let some relay for others");
    osr_feed_send_error(core, number, &err);
    osr_feed_put_out_close(core, number, &err);
}

static struct peer *make_peer(struct osr_feed *core, const struct osr_feed_event *event,
                              uint32_t slot)
{
    struct osr_slice binding = event->peer_up.binding;
    struct peer *peer = osr_alloc(sizeof(*peer));
    peer->number = event->peer_up.peer;
    peer->slot = slot;
    peer->serial = ++core->peer_serial_last;
    peer->purpose = event->peer_up.purpose;
    peer->dialled = event->peer_up.dialled;
    peer->opened_ms = core->now_ms;
    peer->heard_ms = core->now_ms;
    memcpy(peer->nonce, event->peer_up.nonce, sizeof(peer->nonce));
    assert(binding.size <= OSR_BINDING_BYTES_MAX);
    if (binding.size > 0) {
        memcpy(peer->binding, binding.data, binding.size);
        peer->binding_size = binding.size;
    }
    osr_queue_init(&peer->early, sizeof(struct statement));
    snprintf(peer->label, sizeof(peer->label), "link %u", peer->number);
    return peer;
}

void osr_feed_session_up(struct osr_feed *core, const struct osr_feed_event *event)
{
    assert(osr_feed_session_find(core, event->peer_up.peer) == NULL);
    bool is_for_feeds = event->peer_up.purpose == OSR__LINK_PURPOSE__FOR_FEEDS;
    uint32_t first = is_for_feeds ? 0 : core->options.peers_max;
    uint32_t end = is_for_feeds ? core->options.peers_max : core->slot_count;
    uint32_t slot = first;
    while (slot < end && core->peers[slot] != NULL) {
        slot++;
    }
    if (slot == end) {
        refuse_link(core, event->peer_up.peer, end - first);
        return;
    }
    core->peers[slot] = make_peer(core, event, slot);
    osr_feed_arm(core, core->now_ms + core->options.silence_ms);
    osr_feed_greeting_begin(core, core->peers[slot]);
}

static void leave_feeds(struct osr_feed *core, struct peer *peer)
{
    if (peer->party != NULL && peer->party->peer == peer) {
        osr_feed_own_claims_pause(core, peer->party);
        peer->party->peer = NULL;
        peer->party->gone_ms = core->now_ms;
    }
    for (size_t i = 0; i < core->replica_count; i++) {
        osr_feed_channel_reset(osr_feed_channel(core->replicas[i], peer));
        osr_feed_follow_peer_down(core, core->replicas[i], peer);
    }
    osr_feed_replica_forget_rumours(core);
}

void osr_feed_session_down(struct osr_feed *core, struct peer *peer)
{
    core->peers[peer->slot] = NULL;
    osr_feed_say(core, OSR_LEVEL_INFO, "%s: link is down", peer->label);
    if (peer->purpose == OSR__LINK_PURPOSE__FOR_FEEDS) {
        leave_feeds(core, peer);
    }
    osr_feed_session_destroy(peer);
}

void osr_feed_session_destroy(struct peer *peer)
{
    osr_queue_done(&peer->early);
    free(peer->claims);
    free(peer);
}

/* ---- ACK and FETCH ---- */

/* Reads an ACK or a FETCH: which feed, and how far. */
static int read_statement(const Osr__Frame *frame, struct statement *ret_statement,
                          struct osr_err *err)
{
    struct claim *claim = &ret_statement->claim;
    *ret_statement = (struct statement){.is_fetch = frame->body_case == OSR__FRAME__BODY_FETCH};
    if (ret_statement->is_fetch) {
        const Osr__Fetch *fetch = frame->fetch;
        claim->sequence = fetch->from_sequence;
        return osr_feed_id_make(&claim->feed, fetch->origin, fetch->stream, fetch->epoch, err);
    }
    const Osr__Ack *ack = frame->ack;
    claim->sequence = ack->sequence;
    return osr_feed_id_make(&claim->feed, ack->origin, ack->stream, ack->epoch, err);
}

static void take_statement(struct osr_feed *core, struct peer *peer,
                           const struct statement *statement)
{
    if (statement->is_fetch) {
        osr_feed_lead_fetch(core, peer, &statement->claim.feed, statement->claim.sequence);
    } else {
        osr_feed_follow_claim(core, peer, &statement->claim);
    }
}

static void on_statement(struct osr_feed *core, struct peer *peer, const Osr__Frame *frame)
{
    struct statement statement;
    struct osr_err err;
    if (read_statement(frame, &statement, &err) != 0) {
        osr_err_prefix(&err, "%s", statement.is_fetch ? "FETCH" : "ACK");
        osr_feed_session_close(core, peer, &err);
    } else if (peer->state == PEER_UP) {
        take_statement(core, peer, &statement);
    } else if (peer->early.count < OSR_FEED_EARLY_MAX) {
        *(struct statement *)osr_queue_push(&peer->early) = statement;
    }
}

/* ---- both proofs are there ---- */

/* Of two links to the same process, whether the newer one stays: both sides come to the
 * same answer, for they see the same dialler. */
static bool newer_stays(const struct osr_feed *core, const struct peer *newer,
                        const struct peer *older)
{
    if (newer->dialled == older->dialled) {
        return true;
    }
    bool we_are_smaller = strcmp(core->instance, newer->instance) < 0;
    return newer->dialled == we_are_smaller;
}

/* False where the newer one must not come up. */
static bool settle_with(struct osr_feed *core, struct peer *peer, struct peer *older)
{
    struct osr_err err;
    bool older_is_silent = core->now_ms - older->heard_ms > 2ull * core->options.heartbeat_ms;
    bool same_process = memcmp(older->boot, peer->boot, OSR_BOOT_SIZE) == 0;
    if (same_process && older->purpose != peer->purpose) {
        return true;
    }
    if (!older_is_silent && !same_process) {
        osr_err_set(&err, OSR_DUPLICATE_IDENTITY,
                    "instance %s is already linked here, from another process", peer->instance);
        osr_err_hint(&err, "if it was just restarted, try again when the old link has timed out");
        osr_feed_session_close(core, peer, &err);
        return false;
    }
    osr_err_set(&err, OSR_CANCELLED, "another link to instance %s stays", peer->instance);
    if (older_is_silent || newer_stays(core, peer, older)) {
        osr_feed_session_close(core, older, &err);
        return true;
    }
    osr_feed_session_close(core, peer, &err);
    return false;
}

/* False where this link must not come up. */
static bool settle_with_older_links(struct osr_feed *core, struct peer *peer)
{
    bool may_stay = true;
    for (uint32_t i = 0; may_stay && i < core->slot_count; i++) {
        struct peer *older = core->peers[i];
        if (older != NULL && older->state == PEER_UP &&
            strcmp(older->instance, peer->instance) == 0) {
            may_stay = settle_with(core, peer, older);
        }
    }
    return may_stay;
}

/* ---- feeds of one that is up ---- */

static struct party *find_party(const struct osr_feed *core, const char *instance)
{
    for (size_t i = 0; i < core->party_count; i++) {
        if (strcmp(core->parties[i].instance, instance) == 0) {
            return &core->parties[i];
        }
    }
    return NULL;
}

/* Room for one more party: that of the one longest gone, if the table is full. */
static struct party *make_party(struct osr_feed *core)
{
    if (core->party_count < OSR_FEED_PARTIES_MAX) {
        return &core->parties[core->party_count++];
    }
    struct party *oldest = NULL;
    for (size_t i = 0; i < core->party_count; i++) {
        struct party *party = &core->parties[i];
        if (party->peer == NULL && (oldest == NULL || party->gone_ms < oldest->gone_ms)) {
            oldest = party;
        }
    }
    assert(oldest != NULL); /* more parties than links */
    for (size_t i = 0; i < core->replica_count; i++) {
        core->replicas[i]->holdings[oldest - core->parties] = (struct holding){0};
    }
    *oldest = (struct party){0};
    return oldest;
}

static void join_party(struct osr_feed *core, struct peer *peer)
{
    struct party *party = find_party(core, peer->instance);
    if (party == NULL) {
        party = make_party(core);
        snprintf(party->instance, sizeof(party->instance), "%s", peer->instance);
        osr_feed_own_claims_init(core, party);
    }
    /* What was claimed on an older link: this one speaks for itself. */
    osr_feed_own_claims_pause(core, party);
    snprintf(party->name, sizeof(party->name), "%s", peer->name);
    party->peer = peer;
    peer->party = party;
}

static void take_claims(struct osr_feed *core, struct peer *peer)
{
    /* What HELLO says counts even if it is less than before: its folder may have been restored. */
    for (size_t i = 0; i < core->replica_count; i++) {
        *osr_feed_holding(core, core->replicas[i], peer) = (struct holding){0};
    }
    for (size_t i = 0; i < peer->claim_count; i++) {
        osr_feed_follow_claim(core, peer, &peer->claims[i]);
    }
    free(peer->claims);
    peer->claims = NULL;
    peer->claim_count = 0;
}

static void join_feeds(struct osr_feed *core, struct peer *peer)
{
    peer->restated_ms = core->now_ms;
    take_claims(core, peer);
    for (size_t i = 0; i < core->replica_count; i++) {
        core->replicas[i]->unannounced = true;
        osr_feed_follow_review(core, core->replicas[i]);
    }
    core->unannounced = true;
    for (; peer->early.count > 0 && peer->state == PEER_UP; osr_queue_pop(&peer->early)) {
        struct statement statement = *(struct statement *)osr_queue_front(&peer->early);
        take_statement(core, peer, &statement);
    }
    osr_queue_done(&peer->early);
}

void osr_feed_session_greeted(struct osr_feed *core, struct peer *peer)
{
    /* Also of a link that must not come up: who dials then knows whom it has reached. */
    struct osr_feed_output *output = osr_feed_put_out(core, OSR_FEED_OUT_IDENTIFIED);
    output->identified.peer = peer->number;
    output->identified.instance = peer->instance;
    output->identified.name = peer->name;
    if (!settle_with_older_links(core, peer)) {
        return;
    }
    peer->state = PEER_UP;
    osr_feed_arm(core, core->now_ms + core->options.heartbeat_ms);
    osr_feed_say(core, OSR_LEVEL_INFO, "%s: linked, instance %s", peer->label, peer->instance);
    if (peer->purpose == OSR__LINK_PURPOSE__FOR_FEEDS) {
        join_party(core, peer);
        join_feeds(core, peer);
    }
}

/* ---- frames and time ---- */

static void send_ping(struct osr_feed *core, struct peer *peer)
{
    Osr__Ping *ping = osr_feed_take(core, sizeof(*ping));
    osr__ping__init(ping);
    ping->nonce = core->now_ms;
    Osr__Frame *frame = osr_feed_make_frame(core, OSR__FRAME__BODY_PING);
    frame->ping = ping;
    osr_feed_send(core, peer, frame);
    peer->pinged_ms = core->now_ms;
}

static void send_pong(struct osr_feed *core, struct peer *peer, uint64_t nonce)
{
    Osr__Pong *pong = osr_feed_take(core, sizeof(*pong));
    osr__pong__init(pong);
    pong->nonce = nonce;
    Osr__Frame *frame = osr_feed_make_frame(core, OSR__FRAME__BODY_PONG);
    frame->pong = pong;
    osr_feed_send(core, peer, frame);
}

static void on_replication(struct osr_feed *core, struct peer *peer, const Osr__Frame *frame)
{
    struct osr_err err;
    if (peer->purpose != OSR__LINK_PURPOSE__FOR_FEEDS) {
        osr_err_set(&err, OSR_INVALID_ARGUMENT, "about feeds on a link for the ledger");
        osr_feed_session_close(core, peer, &err);
        /* A peer that has verified our proof may begin while its own is still being verified. */
    } else if (peer->state != PEER_UP && !peer->proof_pending && !peer->proven) {
        osr_err_set(&err, OSR_UNAUTHENTICATED, "about feeds only after HELLO_PROOF");
        osr_feed_session_close(core, peer, &err);
    } else if (frame->body_case != OSR__FRAME__BODY_UPDATE) {
        on_statement(core, peer, frame);
    } else if (peer->state == PEER_UP) {
        osr_feed_receive_update(core, peer, frame->update);
    }
}

void osr_feed_session_frame(struct osr_feed *core, struct peer *peer, const Osr__Frame *frame)
{
    if (peer->state == PEER_CLOSING) {
        return;
    }
    peer->heard_ms = core->now_ms;
    struct osr_err err;
    switch (frame->body_case) {
    case OSR__FRAME__BODY_HELLO:
        osr_feed_greeting_hello(core, peer, frame->hello);
        break;
    case OSR__FRAME__BODY_HELLO_PROOF:
        osr_feed_greeting_proof(core, peer, frame->hello_proof);
        break;
    case OSR__FRAME__BODY_UPDATE:
    case OSR__FRAME__BODY_ACK:
    case OSR__FRAME__BODY_FETCH:
        on_replication(core, peer, frame);
        break;
    case OSR__FRAME__BODY_PING:
        send_pong(core, peer, frame->ping->nonce);
        break;
    case OSR__FRAME__BODY_PONG:
        break;
    case OSR__FRAME__BODY_ERROR:
        osr_feed_say(core, OSR_LEVEL_WARNING, "%s: says %s: %.200s", peer->label,
                     osr_code_info((enum osr_code)frame->error->code)->name, frame->error->message);
        break;
    default:
        osr_err_set(&err, OSR_UNKNOWN_TYPE, "frame type %d has no place between instances",
                    (int)frame->body_case);
        osr_feed_session_close(core, peer, &err);
        break;
    }
}

static void check_silence(struct osr_feed *core, struct peer *peer)
{
    uint64_t ping_at_ms = peer->heard_ms + core->options.heartbeat_ms;
    if (peer->pinged_ms >= peer->heard_ms) {
        ping_at_ms = peer->pinged_ms + core->options.heartbeat_ms;
    }
    if (core->now_ms >= ping_at_ms) {
        send_ping(core, peer);
        ping_at_ms = core->now_ms + core->options.heartbeat_ms;
    }
    osr_feed_arm(core, ping_at_ms);
}

static void restate(struct osr_feed *core, struct peer *peer)
{
    if (core->now_ms >= peer->restated_ms + core->options.heartbeat_ms) {
        osr_feed_lead_restate(core, peer);
        peer->restated_ms = core->now_ms;
    }
    osr_feed_arm(core, peer->restated_ms + core->options.heartbeat_ms);
}

void osr_feed_session_tick(struct osr_feed *core, struct peer *peer)
{
    if (peer->state == PEER_CLOSING) {
        return;
    }
    bool up = peer->state == PEER_UP;
    uint64_t close_at_ms = (up ? peer->heard_ms : peer->opened_ms) + core->options.silence_ms;
    if (core->now_ms >= close_at_ms) {
        struct osr_err err;
        osr_err_set(&err, OSR_TIMEOUT, "%s for %u ms", up ? "nothing was heard" : "no proof",
                    core->options.silence_ms);
        osr_feed_session_close(core, peer, &err);
        return;
    }
    osr_feed_arm(core, close_at_ms);
    if (up) {
        check_silence(core, peer);
    }
    if (up && peer->purpose == OSR__LINK_PURPOSE__FOR_FEEDS) {
        restate(core, peer);
    }
}
