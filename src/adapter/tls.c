#include "adapter/tls_internal.h"

#include <assert.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    RECORD_BYTES_MAX = 16 << 10,  /* of plaintext in one */
    RECORD_OVERHEAD = 5 + 1 + 16, /* header, kind, tag */
    FIRST_READ_BYTES = 512,       /* room for a short record; a longer one says how long it is */
    /* AES-GCM's proofs hold for 2^24.5 records a key (RFC 8446, 5.5), and links live for months. */
    RECORDS_PER_KEY_MAX = 1 << 18,
    /* Messages of the handshake's kind after it: new keys, which cost far more to make than to ask
     * for, and a server's tickets. So many, and one more for each so many bytes that came. */
    LATE_MESSAGES_MAX = 16,
    BYTES_PER_LATE_MESSAGE = 1 << 20,
};

/* -- the carrier: where OpenSSL reads and writes -- */

static int carrier_read(BIO *bio, char *data, size_t size_max, size_t *ret_size)
{
    struct osr_tls *tls = BIO_get_data(bio);
    size_t size = tls->input.size < size_max ? tls->input.size : size_max;

    BIO_clear_retry_flags(bio);
    if (!tls->is_up && size > OSR_TLS_HANDSHAKE_BYTES_MAX - tls->handshake_bytes) {
        size = OSR_TLS_HANDSHAKE_BYTES_MAX - tls->handshake_bytes;
    }
    if (size == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(data, tls->input.data, size);
    tls->input = osr_slice(tls->input.data + size, tls->input.size - size);
    if (tls->is_up) {
        tls->received_bytes += size;
    } else {
        tls->handshake_bytes += size;
    }
    *ret_size = size;
    return 1;
}

static int carrier_write(BIO *bio, const char *data, size_t size, size_t *ret_size)
{
    struct osr_tls *tls = BIO_get_data(bio);

    osr_buffer_add(&tls->output, data, size);
    *ret_size = size;
    return 1;
}

static long carrier_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD *osr_tls_carrier_create(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "osiris carrier");
    bool is_made = method != NULL && BIO_meth_set_read_ex(method, carrier_read) == 1 &&
                   BIO_meth_set_write_ex(method, carrier_write) == 1 &&
                   BIO_meth_set_ctrl(method, carrier_control) == 1;
    assert(is_made);
    return method;
}

/* -- a session -- */

static void begin_as_client(struct osr_tls *tls)
{
    const struct osr_tls_context *context = tls->context;

    if (context->server_name != NULL && !context->server_name_is_address) {
        long is_set = SSL_set_tlsext_host_name(tls->ssl, context->server_name);
        assert(is_set == 1);
    }
    SSL_set_connect_state(tls->ssl);
    int result = SSL_do_handshake(tls->ssl); /* says hello */
    assert(SSL_get_error(tls->ssl, result) == SSL_ERROR_WANT_READ);
}

struct osr_tls *osr_tls_create(struct osr_tls_context *context)
{
    struct osr_tls *tls = osr_alloc(sizeof(*tls));
    tls->context = osr_tls_context_hold(context);
    tls->ssl = SSL_new(context->ssl);
    BIO *carrier = BIO_new(context->carrier);
    assert(tls->ssl != NULL && carrier != NULL);

    BIO_set_data(carrier, tls);
    BIO_set_init(carrier, 1);
    SSL_set_bio(tls->ssl, carrier, carrier);
    SSL_set_app_data(tls->ssl, tls);
    ERR_clear_error();
    if (context->is_server) {
        SSL_set_accept_state(tls->ssl);
    } else {
        begin_as_client(tls);
    }
    return tls;
}

void osr_tls_destroy(struct osr_tls *tls)
{
    if (tls == NULL) {
        return;
    }
    SSL_free(tls->ssl); /* and its carrier */
    osr_tls_context_release(tls->context);
    osr_buffer_done(&tls->output);
    osr_buffer_wipe(&tls->plaintext);
    free(tls->refusal);
    free(tls);
}

/* -- the handshake -- */

struct osr_err *osr_tls_refusal(struct osr_tls *tls)
{
    if (tls->refusal == NULL) {
        tls->refusal = osr_alloc(sizeof(*tls->refusal));
    }
    return tls->refusal;
}

/* A certificate has been looked at when it came (tls_certificate.c). */
static void settle_proof(struct osr_tls *tls)
{
    /* Nothing else can be resumed: so it was the shared key. One that is unknown to the server
     * has not been used, whatever was offered. */
    if (SSL_session_reused(tls->ssl)) {
        assert(tls->key != NULL);
        tls->peer = (struct osr_tls_peer){.proof = OSR_TLS_PROOF_KEY};
        snprintf(tls->peer.who, sizeof(tls->peer.who), "%s", osr_tls_key_name(tls->key));
    }
    assert(osr_tls_lets_in(tls->context, tls->peer.proof));
}

static void settle_protocol(struct osr_tls *tls)
{
    const unsigned char *name;
    unsigned size;

    SSL_get0_alpn_selected(tls->ssl, &name, &size);
    if (size > 0 && size <= OSR_TLS_PROTOCOL_BYTES_MAX) { /* longer ones are none of ours */
        memcpy(tls->protocol, name, size);
    }
}

static void come_up(struct osr_tls *tls)
{
    settle_proof(tls);
    settle_protocol(tls);
    free(tls->refusal); /* of a key that the other side then did without */
    tls->refusal = NULL;
    tls->is_up = true;
}

static int shake_hands(struct osr_tls *tls, struct osr_err *err)
{
    int result = SSL_do_handshake(tls->ssl);

    if (result == 1) {
        come_up(tls);
        return 0;
    }
    if (SSL_get_error(tls->ssl, result) != SSL_ERROR_WANT_READ) {
        return (int)osr_tls_explain(tls, err);
    }
    if (tls->input.size > 0) {
        return (int)osr_err_set(err, OSR_TOO_LARGE, "%s sent over %d bytes of TLS handshake",
                                osr_tls_other_side(tls), OSR_TLS_HANDSHAKE_BYTES_MAX);
    }
    return 0;
}

/* -- bytes from the other side -- */

static int check_late_messages(const struct osr_tls *tls, struct osr_err *err)
{
    if (tls->messages <= LATE_MESSAGES_MAX + tls->received_bytes / BYTES_PER_LATE_MESSAGE) {
        return 0;
    }
    return (int)osr_err_set(err, OSR_TOO_LARGE,
                            "%s asks for new keys over and over, and sends nothing",
                            osr_tls_other_side(tls));
}

/* It may have held a password. */
static void drop_plaintext(struct osr_tls *tls)
{
    if (tls->plaintext.size > 0) {
        explicit_bzero(tls->plaintext.data, tls->plaintext.size);
    }
    osr_buffer_done(&tls->plaintext);
    tls->plaintext_at = 0;
}

static void drop_read(struct osr_tls *tls)
{
    struct osr_buffer *plaintext = &tls->plaintext;
    if (tls->plaintext_at > 0) {
        osr_buffer_consume(plaintext, tls->plaintext_at);
        explicit_bzero(plaintext->data + plaintext->size, tls->plaintext_at);
        tls->plaintext_at = 0;
    }
}

/* Decrypts one record, or what of it fits. False: there is none. */
static bool read_record(struct osr_tls *tls)
{
    struct osr_buffer *plaintext = &tls->plaintext;
    size_t waiting = (size_t)SSL_pending(tls->ssl);
    size_t size;

    uint8_t *room =
        osr_buffer_reserve(plaintext, waiting > 0 ? waiting : tls->input.size + FIRST_READ_BYTES);
    if (SSL_read_ex(tls->ssl, room, plaintext->capacity - plaintext->size, &size) != 1) {
        return false;
    }
    plaintext->size += size;
    return true;
}

/* All of the input, at once: so that a record that was altered is told here. */
static int decrypt(struct osr_tls *tls, struct osr_err *err)
{
    drop_read(tls);
    while (read_record(tls)) {
    }
    int reason = SSL_get_error(tls->ssl, 0);
    if (tls->plaintext.size == 0) {
        drop_plaintext(tls);
    }
    if (reason == SSL_ERROR_ZERO_RETURN) {
        tls->peer_has_ended = true; /* what comes behind it means nothing (RFC 8446, 6.1) */
        return 0;
    }
    if (reason != SSL_ERROR_WANT_READ) {
        return (int)osr_tls_explain(tls, err);
    }
    assert(tls->input.size == 0);
    if (SSL_in_init(tls->ssl)) { /* nothing could be written until the rest has come */
        return (int)osr_err_set(err, OSR_MALFORMED,
                                "%s sent a message of the handshake in pieces after its end",
                                osr_tls_other_side(tls));
    }
    return check_late_messages(tls, err);
}

int osr_tls_receive(struct osr_tls *tls, struct osr_slice bytes, struct osr_err *err)
{
    int code = 0;

    if (tls->failure != OSR_OK) {
        return (int)osr_err_set(err, tls->failure, "this TLS session has failed before");
    }
    if (bytes.size == 0) {
        return 0;
    }
    if (tls->handshake_bytes == 0) {
        tls->first_byte = bytes.data[0];
    }
    tls->input = bytes;
    ERR_clear_error();
    if (!tls->is_up) {
        code = shake_hands(tls, err);
    }
    if (code == 0 && tls->is_up) {
        code = decrypt(tls, err);
    }
    ERR_clear_error();
    tls->input = osr_slice(NULL, 0);
    tls->failure = (enum osr_code)code;
    return code;
}

int osr_tls_receive_end(struct osr_tls *tls, struct osr_err *err)
{
    if (tls->failure != OSR_OK) {
        return (int)osr_err_set(err, tls->failure, "this TLS session has failed before");
    }
    if (tls->peer_has_ended) {
        return 0;
    }
    tls->failure =
        osr_err_set(err, OSR_MALFORMED,
                    tls->is_up ? "the connection was cut off: %s did not end the TLS session"
                               : "the connection ended in the middle of the TLS handshake with %s",
                    osr_tls_other_side(tls));
    return (int)tls->failure;
}

bool osr_tls_is_up(const struct osr_tls *tls)
{
    return tls->is_up;
}

bool osr_tls_peer_has_ended(const struct osr_tls *tls)
{
    return tls->peer_has_ended && tls->plaintext.size == 0;
}

size_t osr_tls_read(struct osr_tls *tls, void *data, size_t bytes_max)
{
    size_t left = tls->plaintext.size - tls->plaintext_at;
    size_t size = left < bytes_max ? left : bytes_max;

    if (size > 0) {
        memcpy(data, tls->plaintext.data + tls->plaintext_at, size);
    }
    tls->plaintext_at += size;
    if (tls->plaintext_at == tls->plaintext.size) {
        drop_plaintext(tls); /* a session at rest keeps no buffer */
    }
    return size;
}

/* -- bytes to the other side -- */

/* The other side follows by itself. Where OpenSSL is about to answer the other side's own change,
 * it is done the next time. */
static void change_key(struct osr_tls *tls)
{
    if (SSL_key_update(tls->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1) {
        tls->records = 0;
    }
}

void osr_tls_write(struct osr_tls *tls, struct osr_slice bytes)
{
    assert(tls->is_up && !tls->has_ended);
    if (bytes.size == 0 || tls->failure != OSR_OK) {
        return;
    }
    size_t records = bytes.size / RECORD_BYTES_MAX + 1;
    size_t written;
    ERR_clear_error();
    if (tls->records >= RECORDS_PER_KEY_MAX) {
        change_key(tls);
    }
    osr_buffer_reserve(&tls->output, bytes.size + records * RECORD_OVERHEAD);
    int result = SSL_write_ex(tls->ssl, bytes.data, bytes.size, &written);
    assert(result == 1 && written == bytes.size); /* the carrier takes everything */
    ERR_clear_error();
    tls->records += records;
}

void osr_tls_end(struct osr_tls *tls)
{
    if (tls->is_up && !tls->has_ended && tls->failure == OSR_OK) {
        ERR_clear_error();
        SSL_shutdown(tls->ssl); /* 0: the other side has not ended yet */
        ERR_clear_error();
    }
    tls->has_ended = true;
}

bool osr_tls_produce(struct osr_tls *tls, struct osr_buffer *output)
{
    if (tls->output.size == 0) {
        return false;
    }
    if (output->size == 0) {
        osr_buffer_done(output);
        *output = tls->output;
        tls->output = (struct osr_buffer){0};
        return true;
    }
    osr_buffer_add(output, tls->output.data, tls->output.size);
    osr_buffer_done(&tls->output);
    return true;
}

/* -- what the handshake has shown -- */

bool osr_tls_peer_is_known(const struct osr_tls_peer *peer)
{
    return peer->proof == OSR_TLS_PROOF_CERTIFICATE || peer->proof == OSR_TLS_PROOF_KEY;
}

const struct osr_tls_peer *osr_tls_peer(const struct osr_tls *tls)
{
    assert(tls->is_up);
    return &tls->peer;
}

const char *osr_tls_protocol(const struct osr_tls *tls)
{
    assert(tls->is_up);
    return tls->protocol;
}

void osr_tls_binding(const struct osr_tls *tls, uint8_t *binding)
{
    static const char label[] = "EXPORTER-Channel-Binding";

    assert(tls->is_up);
    /* TLS 1.3 takes no context for an empty one. */
    int is_made = SSL_export_keying_material(tls->ssl, binding, OSR_TLS_BINDING_SIZE, label,
                                             sizeof(label) - 1, NULL, 0, 0);
    assert(is_made == 1);
}
