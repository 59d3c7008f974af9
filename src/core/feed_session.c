/* Links. Each side sends HELLO at once, signs both nonces when it has the other's, and is up
 * when its own proof is sent and the other's verified. Only then anything about feeds
 * is believed or sent.
 *
 * Two links to one instance are one too many. If it is the same process (boot), both sides
 * must close the same one: the link that the smaller id dialled stays, and of two that
 * the same side dialled the newer. A link on which nothing was heard for two heartbeats
 * does not count: it is replaced. */
#include "core/feed_internal.h"

#include "base/text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct peer *osr_feed_session_find(const struct osr_feed *core, uint32_t number)
{
    for (uint32_t i = 0; i < core->options.peers_max; i++) {
        if (core->peers[i] != NULL && core->peers[i]->number == number) {
            return core->peers[i];
        }
    }
    return NULL;
}

struct peer *osr_feed_session_by_serial(const struct osr_feed *core, uint64_t serial)
{
    for (uint32_t i = 0; i < core->options.peers_max; i++) {
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

/* ---- HELLO ---- */

static Osr__FeedHead *held_head(struct osr_feed *core, struct replica *replica)
{
    Osr__FeedHead *head = osr_feed_take(core, sizeof(*head));
    osr__feed_head__init(head);
    head->origin = replica->id.origin;
    head->stream = replica->id.stream;
    head->epoch = replica->id.epoch;
    head->sequence = replica->head.sequence;
    head->chain = osr_feed_binary(replica->head.chain.bytes, sizeof(replica->head.chain.bytes));
    return head;
}

static void send_hello(struct osr_feed *core, struct peer *peer)
{
    static char *wanted[] = {"kb"};
    Osr__Hello *hello = osr_feed_take(core, sizeof(*hello));
    osr__hello__init(hello);
    hello->protocol = OSR_FEED_PROTOCOL;
    hello->entry_format = OSR_ENTRY_FORMAT;
    hello->cluster = core->cluster;
    hello->instance = core->instance;
    hello->name = core->name;
    hello->nonce = osr_feed_binary(peer->nonce, sizeof(peer->nonce));
    hello->boot = osr_feed_binary(core->options.boot, sizeof(core->options.boot));
    hello->wanted = wanted;
    hello->n_wanted = 1;
    hello->held = osr_feed_take(core, core->replica_count * sizeof(hello->held[0]));
    for (size_t i = 0; i < core->replica_count; i++) {
        struct replica *replica = core->replicas[i];
        if (replica->restoring) {
            continue;
        }
        hello->held[hello->n_held++] = held_head(core, replica);
        osr_feed_channel(replica, peer)->told = replica->head.sequence;
    }
    Osr__Frame *frame = osr_feed_make_frame(core, OSR__FRAME__BODY_HELLO);
    frame->hello = hello;
    osr_feed_send(core, peer, frame);
}

static void refuse_link(struct osr_feed *core, uint32_t number)
{
    struct osr_err err;
    osr_err_set(&err, OSR_BUSY, "already linked to %u instances", core->options.peers_max);
    osr_err_hint(&err, "link to fewer, or let some relay for others");
    osr_feed_send_error(core, number, &err);
    osr_feed_put_out_close(core, number, &err);
}

void osr_feed_session_up(struct osr_feed *core, uint32_t number, bool dialled, const uint8_t *nonce)
{
    assert(osr_feed_session_find(core, number) == NULL);
    uint32_t slot = 0;
    while (slot < core->options.peers_max && core->peers[slot] != NULL) {
        slot++;
    }
    if (slot == core->options.peers_max) {
        refuse_link(core, number);
        return;
    }
    struct peer *peer = osr_alloc(sizeof(*peer));
    peer->number = number;
    peer->slot = slot;
    peer->serial = ++core->peer_serial_last;
    peer->dialled = dialled;
    peer->opened_ms = core->now_ms;
    peer->heard_ms = core->now_ms;
    memcpy(peer->nonce, nonce, sizeof(peer->nonce));
    osr_queue_init(&peer->early, sizeof(struct statement));
    snprintf(peer->label, sizeof(peer->label), "link %u", number);
    core->peers[slot] = peer;
    osr_feed_arm(core, core->now_ms + core->options.silence_ms);
    send_hello(core, peer);
}

static bool is_own_nonce(const struct osr_feed *core, const uint8_t *nonce)
{
    for (uint32_t i = 0; i < core->options.peers_max; i++) {
        if (core->peers[i] != NULL && memcmp(core->peers[i]->nonce, nonce, OSR_NONCE_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

static int check_identity(const struct osr_feed *core, const Osr__Hello *hello, struct osr_err *err)
{
    bool same_boot = memcmp(hello->boot.data, core->options.boot, OSR_BOOT_SIZE) == 0;
    bool same_instance = strcmp(hello->instance, core->instance) == 0;
    if (is_own_nonce(core, hello->nonce.data) || (same_instance && same_boot)) {
        osr_err_set(err, OSR_INVALID_ARGUMENT, "this peer is the instance itself");
        osr_err_hint(err, "take its own address out of the list of peers");
        return err->code;
    }
    if (same_instance) {
        osr_err_set(err, OSR_DUPLICATE_IDENTITY,
                    "instance %s is running here too, under the name %s", core->instance,
                    core->name);
        osr_err_hint(err, "stop one of them, or give one a data folder of its own");
        return err->code;
    }
    return 0;
}

static int check_hello(const struct osr_feed *core, const Osr__Hello *hello, struct osr_err *err)
{
    if (hello->protocol != OSR_FEED_PROTOCOL || hello->entry_format < OSR_ENTRY_FORMAT) {
        return osr_err_set(err, OSR_UNSUPPORTED_VERSION,
                           "HELLO: protocol %u, entry format %u; this side speaks %d and %d",
                           hello->protocol, hello->entry_format, OSR_FEED_PROTOCOL,
                           OSR_ENTRY_FORMAT);
    }
    if (hello->nonce.len != OSR_NONCE_SIZE || hello->boot.len != OSR_BOOT_SIZE) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "HELLO: nonce has %d bytes, boot %d",
                           OSR_NONCE_SIZE, OSR_BOOT_SIZE);
    }
    if (!osr_instance_id_is_valid(hello->instance)) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "HELLO: instance is not an instance id");
    }
    size_t name_size = strlen(hello->name);
    if (name_size > OSR_NAME_BYTES_MAX || !osr_text_is_plain(osr_slice(hello->name, name_size))) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "HELLO: name: at most %d plain bytes",
                           OSR_NAME_BYTES_MAX);
    }
    if (hello->n_held > OSR_FEEDS_MAX) {
        return osr_err_set(err, OSR_TOO_LARGE, "HELLO: holds %zu feeds, at most %d can be named",
                           hello->n_held, OSR_FEEDS_MAX);
    }
    if (strcmp(hello->cluster, core->cluster) != 0) {
        osr_err_set(err, OSR_WRONG_CLUSTER, "HELLO: from another cluster than \"%s\"",
                    core->cluster);
        osr_err_hint(err, "instances of one cluster are given the same cluster name");
        return err->code;
    }
    return check_identity(core, hello, err);
}

/* Keeps what is claimed to be held until the proof is there. Feeds that this build does not
 * know are left out: the peer may be newer. */
static void keep_claims(struct peer *peer, const Osr__Hello *hello)
{
    peer->claims = osr_alloc((hello->n_held + 1) * sizeof(peer->claims[0]));
    for (size_t i = 0; i < hello->n_held; i++) {
        const Osr__FeedHead *held = hello->held[i];
        struct claim *claim = &peer->claims[peer->claim_count];
        if (osr_feed_id_make(&claim->feed, held->origin, held->stream, held->epoch, NULL) != 0) {
            continue;
        }
        claim->sequence = held->sequence;
        claim->has_chain = held->chain.len == sizeof(claim->chain.bytes);
        if (claim->has_chain) {
            memcpy(claim->chain.bytes, held->chain.data, sizeof(claim->chain.bytes));
        }
        peer->claim_count++;
    }
}

static void sign_proof(struct osr_feed *core, struct peer *peer)
{
    core->scratch.size = 0;
    osr_proof_message(&core->scratch, core->instance, peer->nonce, peer->instance,
                      peer->their_nonce, osr_slice(NULL, 0));
    struct operation *operation;
    uint64_t ticket = osr_feed_operation_begin(core, OPERATION_SIGN_PROOF, &operation);
    operation->peer_serial = peer->serial;
    struct osr_feed_output *output = osr_feed_put_out(core, OSR_FEED_OUT_SIGN);
    output->sign.ticket = ticket;
    output->sign.message = osr_feed_keep_scratch(core);
}

static void on_hello(struct osr_feed *core, struct peer *peer, const Osr__Hello *hello)
{
    if (peer->state != PEER_GREETING) {
        return; /* doubled on the way */
    }
    struct osr_err err;
    if (check_hello(core, hello, &err) != 0) {
        osr_feed_session_close(core, peer, &err);
        return;
    }
    snprintf(peer->instance, sizeof(peer->instance), "%s", hello->instance);
    snprintf(peer->name, sizeof(peer->name), "%s", hello->name);
    snprintf(peer->label, sizeof(peer->label), "%.40s",
             hello->name[0] != '\0' ? hello->name : hello->instance);
    memcpy(peer->their_nonce, hello->nonce.data, sizeof(peer->their_nonce));
    memcpy(peer->boot, hello->boot.data, sizeof(peer->boot));
    keep_claims(peer, hello);
    peer->state = PEER_PROVING;
    sign_proof(core, peer);
}

/* ---- HELLO_PROOF ---- */

static int check_proof(const struct peer *peer, const Osr__HelloProof *proof, struct osr_err *err)
{
    struct osr_public_key key;
    if (proof->public_key.len != sizeof(key.bytes) || proof->signature.len != OSR_SIGNATURE_SIZE) {
        return osr_err_set(err, OSR_UNAUTHENTICATED, "HELLO_PROOF: key has %d bytes, signature %d",
                           OSR_PUBLIC_KEY_SIZE, OSR_SIGNATURE_SIZE);
    }
    memcpy(key.bytes, proof->public_key.data, sizeof(key.bytes));
    char id[OSR_INSTANCE_CHARS + 1];
    osr_instance_id(id, &key);
    if (strcmp(id, peer->instance) != 0) {
        return osr_err_set(err, OSR_UNAUTHENTICATED,
                           "HELLO_PROOF: the key is not that of instance %s", peer->instance);
    }
    return 0;
}

static void on_proof(struct osr_feed *core, struct peer *peer, const Osr__HelloProof *proof)
{
    struct osr_err err;
    if (peer->state == PEER_GREETING) {
        osr_err_set(&err, OSR_UNAUTHENTICATED, "HELLO_PROOF came before HELLO");
        osr_feed_session_close(core, peer, &err);
        return;
    }
    if (peer->proven || peer->proof_pending) {
        return; /* doubled on the way */
    }
    if (check_proof(peer, proof, &err) != 0) {
        osr_feed_session_close(core, peer, &err);
        return;
    }
    core->scratch.size = 0;
    osr_proof_message(&core->scratch, peer->instance, peer->their_nonce, core->instance,
                      peer->nonce, osr_slice(NULL, 0));
    struct operation *operation;
    uint64_t ticket = osr_feed_operation_begin(core, OPERATION_VERIFY_PROOF, &operation);
    operation->peer_serial = peer->serial;
    struct osr_feed_output *output = osr_feed_put_out(core, OSR_FEED_OUT_VERIFY);
    output->verify.ticket = ticket;
    output->verify.message = osr_feed_keep_scratch(core);
    memcpy(output->verify.public_key.bytes, proof->public_key.data, OSR_PUBLIC_KEY_SIZE);
    memcpy(output->verify.signature.bytes, proof->signature.data, OSR_SIGNATURE_SIZE);
    peer->proof_pending = true;
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

/* False where this link must not come up. */
static bool settle_with_older_link(struct osr_feed *core, struct peer *peer, struct peer *older)
{
    struct osr_err err;
    bool older_is_silent = core->now_ms - older->heard_ms > 2ull * core->options.heartbeat_ms;
    bool same_process = memcmp(older->boot, peer->boot, OSR_BOOT_SIZE) == 0;
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
    }
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

static void come_up(struct osr_feed *core, struct peer *peer)
{
    if (!peer->proven || !peer->proof_sent || peer->state != PEER_PROVING) {
        return;
    }
    /* Also of a link that must not come up: who dials then knows whom it has reached. */
    struct osr_feed_output *output = osr_feed_put_out(core, OSR_FEED_OUT_IDENTIFIED);
    output->identified.peer = peer->number;
    output->identified.instance = peer->instance;
    output->identified.name = peer->name;
    struct party *party = find_party(core, peer->instance);
    if (party != NULL && party->peer != NULL && party->peer->state == PEER_UP &&
        !settle_with_older_link(core, peer, party->peer)) {
        return;
    }
    join_party(core, peer);
    peer->state = PEER_UP;
    peer->restated_ms = core->now_ms;
    osr_feed_arm(core, core->now_ms + core->options.heartbeat_ms);
    osr_feed_say(core, OSR_LEVEL_INFO, "%s: linked, instance %s", peer->label, peer->instance);
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

void osr_feed_session_signed(struct osr_feed *core, struct peer *peer,
                             const struct osr_signature *signature)
{
    if (peer->state == PEER_CLOSING) {
        return;
    }
    Osr__HelloProof *proof = osr_feed_take(core, sizeof(*proof));
    osr__hello_proof__init(proof);
    proof->public_key = osr_feed_binary(core->options.public_key.bytes, OSR_PUBLIC_KEY_SIZE);
    struct osr_signature *kept = osr_feed_take(core, sizeof(*kept));
    *kept = *signature;
    proof->signature = osr_feed_binary(kept->bytes, sizeof(kept->bytes));
    Osr__Frame *frame = osr_feed_make_frame(core, OSR__FRAME__BODY_HELLO_PROOF);
    frame->hello_proof = proof;
    osr_feed_send(core, peer, frame);
    peer->proof_sent = true;
    come_up(core, peer);
}

void osr_feed_session_verified(struct osr_feed *core, struct peer *peer, bool valid)
{
    peer->proof_pending = false;
    if (!valid) {
        struct osr_err err;
        osr_err_set(&err, OSR_UNAUTHENTICATED,
                    "HELLO_PROOF: the signature is not that of instance %s", peer->instance);
        osr_feed_session_close(core, peer, &err);
        return;
    }
    peer->proven = true;
    come_up(core, peer);
}

void osr_feed_session_down(struct osr_feed *core, struct peer *peer)
{
    if (peer->party != NULL && peer->party->peer == peer) {
        peer->party->peer = NULL;
        peer->party->gone_ms = core->now_ms;
    }
    core->peers[peer->slot] = NULL;
    osr_feed_say(core, OSR_LEVEL_INFO, "%s: link is down", peer->label);
    for (size_t i = 0; i < core->replica_count; i++) {
        osr_feed_channel_reset(osr_feed_channel(core->replicas[i], peer));
        osr_feed_follow_peer_down(core, core->replicas[i], peer);
    }
    osr_feed_replica_forget_rumours(core);
    osr_feed_session_destroy(peer);
}

void osr_feed_session_destroy(struct peer *peer)
{
    osr_queue_done(&peer->early);
    free(peer->claims);
    free(peer);
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

static void on_replication(struct osr_feed *core, struct peer *peer, const Osr__Frame *frame)
{
    /* A peer that has verified our proof may begin while its own is still being verified. */
    if (peer->state != PEER_UP && !peer->proof_pending && !peer->proven) {
        struct osr_err err;
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
        on_hello(core, peer, frame->hello);
        break;
    case OSR__FRAME__BODY_HELLO_PROOF:
        on_proof(core, peer, frame->hello_proof);
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
}
