/* How two instances show each other who they are. Each side sends HELLO at once, signs both nonces
 * when it has the other's, and is up when its own proof is sent and the other's verified. What
 * HELLO says of feeds is kept until then. */
#include "core/feed_internal.h"

#include "base/text.h"

#include <stdio.h>

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

static void name_held(struct osr_feed *core, struct peer *peer, Osr__Hello *hello)
{
    hello->held = osr_feed_take(core, core->replica_count * sizeof(hello->held[0]));
    /* Those that find no place in it are stated with ACK as soon as the link is up. */
    for (size_t i = 0; i < core->replica_count && hello->n_held < OSR_FEEDS_MAX; i++) {
        struct replica *replica = core->replicas[i];
        if (replica->restoring) {
            continue;
        }
        hello->held[hello->n_held++] = held_head(core, replica);
        osr_feed_channel(replica, peer)->told = replica->head.sequence;
    }
}

void osr_feed_greeting_begin(struct osr_feed *core, struct peer *peer)
{
    Osr__Hello *hello = osr_feed_take(core, sizeof(*hello));
    osr__hello__init(hello);
    hello->protocol = OSR_FEED_PROTOCOL;
    hello->entry_format = OSR_ENTRY_FORMAT;
    hello->cluster = core->cluster;
    hello->instance = core->instance;
    hello->name = core->name;
    hello->nonce = osr_feed_binary(peer->nonce, sizeof(peer->nonce));
    hello->boot = osr_feed_binary(core->options.boot, sizeof(core->options.boot));
    hello->purpose = peer->purpose;
    if (peer->purpose == OSR__LINK_PURPOSE__FOR_FEEDS) {
        name_held(core, peer, hello);
    }
    Osr__Frame *frame = osr_feed_make_frame(core, OSR__FRAME__BODY_HELLO);
    frame->hello = hello;
    osr_feed_send(core, peer, frame);
}

static bool is_own_nonce(const struct osr_feed *core, const uint8_t *nonce)
{
    for (uint32_t i = 0; i < core->slot_count; i++) {
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

/* What this side dialled for is what it gets. An instance that knows of no links for the ledger
 * takes each for one for feeds. */
static int check_purpose(const struct peer *peer, const Osr__Hello *hello, struct osr_err *err)
{
    if (hello->purpose == peer->purpose) {
        return 0;
    }
    if (peer->purpose == OSR__LINK_PURPOSE__FOR_FEEDS) {
        return osr_err_set(err, OSR_UNSUPPORTED_VERSION, "HELLO: this link was dialled for feeds");
    }
    osr_err_set(err, OSR_UNSUPPORTED_VERSION, "HELLO: it has no links for the ledger alone");
    osr_err_hint(err, "what members agree on goes over the other link; an upgrade there helps");
    return err->code;
}

static int check_hello(const struct osr_feed *core, const struct peer *peer,
                       const Osr__Hello *hello, struct osr_err *err)
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
    int code = check_identity(core, hello, err);
    return code != 0 ? code : check_purpose(peer, hello, err);
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
                      peer->their_nonce, osr_slice(peer->binding, peer->binding_size));
    struct operation *operation;
    uint64_t ticket = osr_feed_operation_begin(core, OPERATION_SIGN_PROOF, &operation);
    operation->peer_serial = peer->serial;
    struct osr_feed_output *output = osr_feed_put_out(core, OSR_FEED_OUT_SIGN);
    output->sign.ticket = ticket;
    output->sign.message = osr_feed_keep_scratch(core);
}

void osr_feed_greeting_hello(struct osr_feed *core, struct peer *peer, const Osr__Hello *hello)
{
    if (peer->state != PEER_GREETING) {
        return; /* doubled on the way */
    }
    struct osr_err err;
    if (check_hello(core, peer, hello, &err) != 0) {
        osr_feed_session_close(core, peer, &err);
        return;
    }
    snprintf(peer->instance, sizeof(peer->instance), "%s", hello->instance);
    snprintf(peer->name, sizeof(peer->name), "%s", hello->name);
    snprintf(peer->label, sizeof(peer->label), "%.32s%s",
             hello->name[0] != '\0' ? hello->name : hello->instance,
             peer->purpose == OSR__LINK_PURPOSE__FOR_LEDGER ? " (ledger)" : "");
    memcpy(peer->their_nonce, hello->nonce.data, sizeof(peer->their_nonce));
    memcpy(peer->boot, hello->boot.data, sizeof(peer->boot));
    if (peer->purpose == OSR__LINK_PURPOSE__FOR_FEEDS) {
        keep_claims(peer, hello);
    }
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

void osr_feed_greeting_proof(struct osr_feed *core, struct peer *peer, const Osr__HelloProof *proof)
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
                      peer->nonce, osr_slice(peer->binding, peer->binding_size));
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

/* ---- both proofs ---- */

static void finish(struct osr_feed *core, struct peer *peer)
{
    if (peer->proven && peer->proof_sent && peer->state == PEER_PROVING) {
        osr_feed_session_greeted(core, peer);
    }
}

void osr_feed_greeting_signed(struct osr_feed *core, struct peer *peer,
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
    finish(core, peer);
}

void osr_feed_greeting_verified(struct osr_feed *core, struct peer *peer, bool valid)
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
    finish(core, peer);
}
