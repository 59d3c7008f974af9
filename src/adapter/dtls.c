#include <assert.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

#include "adapter/dtls_internal.h"

enum {
    RECORD_HEADER_BYTES = 13,
    RECORD_NUMBER_AT = 3, /* epoch and sequence number, 8 bytes together */
    /* Until what was said is said again, at first, and at most after doubling: a lost datagram of
     * a handshake shall not cost a second. */
    RETRY_FIRST_US = 200 * 1000,
    RETRY_MAX_US = 1000 * 1000,
    /* What a peer may send before the handshake is done, what it sends again included. */
    HANDSHAKE_BYTES_MAX = 4 * OSR_DTLS_CERTIFICATES_BYTES_MAX,
    TARGET_BYTES_MAX = OSR_DTLS_RECORD_BYTES_MAX + 256,
};

/* -- the carrier: where OpenSSL reads and writes -- */

/* One datagram each time; OpenSSL has room for the largest record. */
static int carrier_read(BIO *bio, char *data, size_t size_max, size_t *ret_size)
{
    struct osr_dtls *dtls = BIO_get_data(bio);
    struct osr_slice *input = &dtls->session.input;

    BIO_clear_retry_flags(bio);
    if (input->size == 0 || input->size > size_max) {
        *input = osr_slice(NULL, 0);
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(data, input->data, input->size);
    *ret_size = input->size;
    *input = osr_slice(NULL, 0);
    return 1;
}

static int carrier_write(BIO *bio, const char *data, size_t size, size_t *ret_size)
{
    struct osr_dtls *dtls = BIO_get_data(bio);

    *ret_size = size;
    if (dtls->target != NULL) {
        assert(size <= TARGET_BYTES_MAX);
        memcpy(dtls->target, data, size);
        dtls->target_size = size;
        return 1;
    }
    osr_buffer_add_u32(&dtls->output, (uint32_t)size);
    osr_buffer_add(&dtls->output, data, size);
    return 1;
}

static long carrier_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD *osr_dtls_carrier_create(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "osiris datagrams");
    bool is_made = method != NULL && BIO_meth_set_read_ex(method, carrier_read) == 1 &&
                   BIO_meth_set_write_ex(method, carrier_write) == 1 &&
                   BIO_meth_set_ctrl(method, carrier_control) == 1;
    assert(is_made);
    return method;
}

/* -- a session -- */

static unsigned next_retry_us(SSL *ssl, unsigned last_us)
{
    (void)ssl;
    if (last_us == 0) {
        return RETRY_FIRST_US;
    }
    return last_us < RETRY_MAX_US / 2 ? 2 * last_us : RETRY_MAX_US;
}

struct osr_dtls *osr_dtls_make(struct osr_tls_context *context)
{
    assert(context->is_datagram);
    struct osr_dtls *dtls = osr_alloc(sizeof(*dtls));
    dtls->session.context = osr_tls_context_hold(context);
    dtls->session.ssl = SSL_new(context->ssl);
    BIO *carrier = BIO_new(context->carrier);
    assert(dtls->session.ssl != NULL && carrier != NULL);

    BIO_set_data(carrier, dtls);
    BIO_set_init(carrier, 1);
    SSL_set_bio(dtls->session.ssl, carrier, carrier);
    SSL_set_app_data(dtls->session.ssl, &dtls->session);
    SSL_set_mtu(dtls->session.ssl, OSR_DTLS_DATAGRAM_BYTES);
    DTLS_set_timer_cb(dtls->session.ssl, next_retry_us);
    ERR_clear_error();
    if (context->is_server) {
        SSL_set_accept_state(dtls->session.ssl);
    } else {
        SSL_set_connect_state(dtls->session.ssl);
    }
    return dtls;
}

struct osr_dtls *osr_dtls_create(struct osr_tls_context *context)
{
    struct osr_dtls *dtls = osr_dtls_make(context);
    assert(!context->is_server);

    if (context->server_name != NULL && !context->server_name_is_address) {
        long is_set = SSL_set_tlsext_host_name(dtls->session.ssl, context->server_name);
        assert(is_set == 1);
    }
    int result = SSL_do_handshake(dtls->session.ssl); /* says hello */
    assert(SSL_get_error(dtls->session.ssl, result) == SSL_ERROR_WANT_READ);
    ERR_clear_error();
    return dtls;
}

void osr_dtls_destroy(struct osr_dtls *dtls)
{
    if (dtls == NULL) {
        return;
    }
    SSL_free(dtls->session.ssl); /* and its carrier */
    osr_tls_context_release(dtls->session.context);
    osr_buffer_done(&dtls->output);
    free(dtls->session.refusal);
    free(dtls);
}

/* -- the handshake -- */

/* A certificate has been looked at when it came (tls_certificate.c). */
static void settle_proof(struct osr_tls *session, const SSL_CIPHER *cipher)
{
    if (SSL_CIPHER_get_auth_nid(cipher) == NID_auth_psk) {
        assert(session->key != NULL);
        session->peer = (struct osr_tls_peer){.proof = OSR_TLS_PROOF_KEY};
        snprintf(session->peer.who, sizeof(session->peer.who), "%s",
                 osr_tls_key_name(session->key));
    }
    assert(osr_tls_lets_in(session->context, session->peer.proof));
}

/* Header and tag, and for AES-GCM the part of its nonce that is sent (RFC 5288). */
static size_t overhead_of(const SSL_CIPHER *cipher)
{
    enum { TAG_BYTES = 16, NONCE_BYTES = 8 };
    bool sends_nonce = SSL_CIPHER_get_cipher_nid(cipher) != NID_chacha20_poly1305;
    return RECORD_HEADER_BYTES + TAG_BYTES + (sends_nonce ? NONCE_BYTES : 0);
}

/* Without the extended master secret the binding could be shared by two sessions (RFC 7627). */
static int come_up(struct osr_dtls *dtls, struct osr_err *err)
{
    struct osr_tls *session = &dtls->session;
    const SSL_CIPHER *cipher = SSL_get_current_cipher(session->ssl);

    if (SSL_get_extms_support(session->ssl) != 1) {
        return (int)osr_err_set(err, OSR_UNSUPPORTED_VERSION,
                                "%s does not use the extended master secret",
                                osr_tls_other_side(session));
    }
    settle_proof(session, cipher);
    dtls->overhead = overhead_of(cipher);
    free(session->refusal);
    session->refusal = NULL;
    session->is_up = true;
    return 0;
}

static int shake_hands(struct osr_dtls *dtls, struct osr_err *err)
{
    struct osr_tls *session = &dtls->session;
    int result = SSL_do_handshake(session->ssl);

    if (result == 1) {
        return come_up(dtls, err);
    }
    if (SSL_get_error(session->ssl, result) != SSL_ERROR_WANT_READ) {
        return (int)osr_tls_explain(session, err);
    }
    return 0;
}

static int check_failure(const struct osr_tls *session, struct osr_err *err)
{
    return session->failure == OSR_OK
               ? 0
               : (int)osr_err_set(err, session->failure, "this DTLS session has failed before");
}

static int go_on(struct osr_dtls *dtls, struct osr_err *err)
{
    ERR_clear_error();
    int code = shake_hands(dtls, err);
    ERR_clear_error();
    dtls->session.failure = (enum osr_code)code;
    return code;
}

int osr_dtls_begin(struct osr_dtls *dtls, struct osr_err *err)
{
    return go_on(dtls, err);
}

int osr_dtls_receive(struct osr_dtls *dtls, struct osr_slice datagram, struct osr_err *err)
{
    struct osr_tls *session = &dtls->session;
    int code = check_failure(session, err);

    if (code != 0 || datagram.size < RECORD_HEADER_BYTES) {
        return code;
    }
    if (session->first_byte == 0) {
        session->first_byte = datagram.data[0];
    }
    dtls->record_number = osr_get_u64(datagram.data + RECORD_NUMBER_AT);
    session->input = datagram;
    if (session->is_up) {
        return 0;
    }
    session->handshake_bytes += datagram.size;
    if (session->handshake_bytes > HANDSHAKE_BYTES_MAX) {
        session->failure =
            osr_err_set(err, OSR_TOO_LARGE, "%s sent over %d bytes of DTLS handshake",
                        osr_tls_other_side(session), HANDSHAKE_BYTES_MAX);
        return (int)session->failure;
    }
    code = go_on(dtls, err);
    if (code == 0) {
        code = osr_dtls_check_key(dtls, datagram, err);
        session->failure = (enum osr_code)code;
    }
    return code;
}

/* -- packets -- */

static int explain_read(struct osr_dtls *dtls, struct osr_err *err)
{
    struct osr_tls *session = &dtls->session;
    int reason = SSL_get_error(session->ssl, 0);
    int code = 0;

    if (reason == SSL_ERROR_ZERO_RETURN) {
        session->peer_has_ended = true;
    } else if (reason != SSL_ERROR_WANT_READ) {
        code = (int)osr_tls_explain(session, err);
    }
    session->failure = (enum osr_code)code;
    return code;
}

int osr_dtls_read(struct osr_dtls *dtls, uint8_t *packet, size_t *ret_size, struct osr_err *err)
{
    struct osr_tls *session = &dtls->session;

    *ret_size = 0;
    int code = check_failure(session, err);
    if (code != 0 || !session->is_up || session->peer_has_ended) {
        return code;
    }
    ERR_clear_error();
    if (SSL_read_ex(session->ssl, packet, OSR_DTLS_RECORD_BYTES_MAX, ret_size) != 1) {
        *ret_size = 0;
        code = explain_read(dtls, err);
    } else {
        dtls->is_newest = dtls->record_number > dtls->newest_record;
        dtls->newest_record = dtls->is_newest ? dtls->record_number : dtls->newest_record;
    }
    ERR_clear_error();
    return code;
}

bool osr_dtls_is_newest(const struct osr_dtls *dtls)
{
    return dtls->is_newest;
}

size_t osr_dtls_produce(struct osr_dtls *dtls, uint8_t *datagram)
{
    struct osr_buffer *output = &dtls->output;
    if (output->size == 0) {
        return 0;
    }
    size_t size = osr_get_u32(output->data);
    assert(size <= OSR_DTLS_DATAGRAM_BYTES);
    memcpy(datagram, output->data + sizeof(uint32_t), size);
    osr_buffer_consume(output, sizeof(uint32_t) + size);
    if (output->size == 0) {
        osr_buffer_done(output); /* a session at rest keeps none */
    }
    return size;
}

size_t osr_dtls_seal(struct osr_dtls *dtls, struct osr_slice packet, uint8_t *datagram)
{
    struct osr_tls *session = &dtls->session;
    size_t written;

    assert(session->is_up && !session->has_ended && packet.size > 0);
    if (session->failure != OSR_OK) {
        return 0;
    }
    assert(session->records < OSR_DTLS_RECORDS_MAX);
    session->records++;
    ERR_clear_error();
    dtls->target = datagram;
    int result = SSL_write_ex(session->ssl, packet.data, packet.size, &written);
    dtls->target = NULL;
    ERR_clear_error();
    assert(result == 1 && written == packet.size);
    return dtls->target_size;
}

size_t osr_dtls_overhead(const struct osr_dtls *dtls)
{
    assert(dtls->session.is_up);
    return dtls->overhead;
}

bool osr_dtls_is_used_up(const struct osr_dtls *dtls)
{
    return dtls->session.records >= OSR_DTLS_RECORDS_MAX;
}

void osr_dtls_end(struct osr_dtls *dtls)
{
    struct osr_tls *session = &dtls->session;
    if (session->is_up && !session->has_ended && session->failure == OSR_OK) {
        ERR_clear_error();
        SSL_shutdown(session->ssl);
        ERR_clear_error();
    }
    session->has_ended = true;
}

/* -- time -- */

uint64_t osr_dtls_wait_ms(const struct osr_dtls *dtls)
{
    struct timeval left;
    if (DTLSv1_get_timeout(dtls->session.ssl, &left) != 1) {
        return UINT64_MAX;
    }
    return (uint64_t)left.tv_sec * 1000 + (uint64_t)(left.tv_usec + 999) / 1000;
}

int osr_dtls_pass_time(struct osr_dtls *dtls, struct osr_err *err)
{
    struct osr_tls *session = &dtls->session;
    int code = check_failure(session, err);
    if (code != 0) {
        return code;
    }
    ERR_clear_error();
    if (DTLSv1_handle_timeout(session->ssl) < 0) {
        session->failure = osr_err_set(err, OSR_TIMEOUT, "%s does not answer in the DTLS handshake",
                                       osr_tls_other_side(session));
    }
    ERR_clear_error();
    return (int)session->failure;
}

/* -- what the handshake has shown -- */

bool osr_dtls_is_up(const struct osr_dtls *dtls)
{
    return dtls->session.is_up;
}

bool osr_dtls_peer_has_ended(const struct osr_dtls *dtls)
{
    return dtls->session.peer_has_ended;
}

const char *osr_dtls_key_name(const struct osr_dtls *dtls)
{
    return dtls->session.key != NULL ? osr_tls_key_name(dtls->session.key) : NULL;
}

const struct osr_tls_peer *osr_dtls_peer(const struct osr_dtls *dtls)
{
    return osr_tls_peer(&dtls->session);
}

void osr_dtls_binding(const struct osr_dtls *dtls, uint8_t *binding)
{
    osr_tls_binding(&dtls->session, binding);
}
