/* What one side has and whom it believes, out of options: set once, shared by its sessions. */
#include "adapter/tls_internal.h"

#include <assert.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "adapter/certificate.h"
#include "adapter/dtls_internal.h"

enum {
    /* 112 bits, as Debian's own default: no RSA below 2048 bits, no SHA-1 in signatures. */
    SECURITY_LEVEL = 2,
    /* CAs between a certificate and one that is believed: stops long chains, each link of which
     * costs the verification of a signature. */
    INTERMEDIATE_CAS_MAX = 3,
    CERTIFICATES_MAX = 256, /* in one PEM text: stops a wrong file, such as that of a browser */
    PEM_BYTES_MAX = 1 << 20,
};

/* -- certificates and keys -- */

static bool is_end_of_pem(void)
{
    return ERR_GET_LIB(ERR_peek_last_error()) == ERR_LIB_PEM &&
           ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

/* Pushes all certificates of the text. `what` names the text for people. */
static int read_pem(BIO *text, const char *what, STACK_OF(X509) * certificates, struct osr_err *err)
{
    ERR_clear_error();
    for (;;) {
        X509 *certificate = PEM_read_bio_X509(text, NULL, osr_pem_no_password, NULL);
        if (certificate == NULL) {
            break;
        }
        if (sk_X509_num(certificates) == CERTIFICATES_MAX ||
            sk_X509_push(certificates, certificate) == 0) {
            X509_free(certificate);
            return osr_err_set(err, OSR_CONFIG, "%s: over %d certificates", what, CERTIFICATES_MAX);
        }
    }
    if (!is_end_of_pem()) {
        return osr_err_set(err, OSR_CONFIG, "%s: number %d is damaged", what,
                           sk_X509_num(certificates) + 1);
    }
    if (sk_X509_num(certificates) == 0) {
        return osr_err_set(err, OSR_CONFIG, "%s: there is no certificate in PEM form", what);
    }
    return 0;
}

static int read_certificates(struct osr_slice pem, const char *what,
                             STACK_OF(X509) * *ret_certificates, struct osr_err *err)
{
    if (pem.size > PEM_BYTES_MAX) {
        return osr_err_set(err, OSR_CONFIG, "%s: over %d bytes", what, PEM_BYTES_MAX);
    }
    BIO *text = BIO_new_mem_buf(pem.data, (int)pem.size);
    STACK_OF(X509) *certificates = sk_X509_new_null();
    assert(text != NULL && certificates != NULL);

    int code = read_pem(text, what, certificates, err);
    BIO_free(text);
    if (code != 0) {
        sk_X509_pop_free(certificates, X509_free);
        return code;
    }
    *ret_certificates = certificates;
    return 0;
}

static int use_key(SSL_CTX *ssl, X509 *certificate, struct osr_slice key_pem, struct osr_err *err)
{
    EVP_PKEY *key = osr_key_parse(key_pem);
    int code = 0;

    if (key == NULL) {
        code = (int)osr_err_set(err, OSR_CONFIG,
                                "the certificate's key: there is no unencrypted private key in "
                                "PEM form");
    } else if (X509_check_private_key(certificate, key) != 1) {
        code = (int)osr_err_set(err, OSR_CONFIG,
                                "the certificate and the private key do not belong together");
    } else if (SSL_CTX_use_certificate(ssl, certificate) != 1 ||
               SSL_CTX_use_PrivateKey(ssl, key) != 1) {
        code = (int)osr_err_set(err, OSR_CONFIG, "the certificate is too weak for TLS: %s",
                                ERR_reason_error_string(ERR_peek_last_error()));
    }
    EVP_PKEY_free(key);
    return code;
}

static int use_certificate(SSL_CTX *ssl, const struct osr_tls_options *options, struct osr_err *err)
{
    STACK_OF(X509) *chain = NULL;
    int code = read_certificates(options->certificate_pem, "the certificate", &chain, err);
    if (code != 0) {
        return code;
    }
    code = use_key(ssl, sk_X509_value(chain, 0), options->key_pem, err);
    for (int i = 1; code == 0 && i < sk_X509_num(chain); i++) {
        if (SSL_CTX_add1_chain_cert(ssl, sk_X509_value(chain, i)) != 1) {
            code = (int)osr_err_set(err, OSR_CONFIG, "the certificate's chain: number %d: %s",
                                    i + 1, ERR_reason_error_string(ERR_peek_last_error()));
        }
    }
    sk_X509_pop_free(chain, X509_free);
    return code;
}

static int believe(SSL_CTX *ssl, struct osr_slice authorities_pem, struct osr_err *err)
{
    STACK_OF(X509) *authorities = NULL;
    int code = read_certificates(authorities_pem, "the CAs", &authorities, err);
    if (code != 0) {
        return code;
    }
    for (int i = 0; code == 0 && i < sk_X509_num(authorities); i++) {
        X509 *authority = sk_X509_value(authorities, i);
        if (X509_check_ca(authority) != 1) {
            code = (int)osr_err_set(err, OSR_CONFIG, "the CAs: number %d is no CA's certificate",
                                    i + 1);
        } else {
            int added = X509_STORE_add_cert(SSL_CTX_get_cert_store(ssl), authority);
            assert(added == 1);
        }
    }
    sk_X509_pop_free(authorities, X509_free);
    return code;
}

static int share_keys(struct osr_tls_context *context, const struct osr_tls_options *options,
                      struct osr_err *err)
{
    static const unsigned char name[] = "osiris";
    int code =
        osr_tls_keys_create(options->shared_keys, options->shared_key_count, &context->keys, err);
    if (code != 0) {
        return code;
    }
    if (context->is_datagram) {
        SSL_CTX_set_psk_server_callback(context->ssl, osr_dtls_find_key);
        SSL_CTX_set_psk_client_callback(context->ssl, osr_dtls_offer_key);
    } else if (context->is_server) {
        /* Without it, keys beside certificates are an internal error; with it, a client refuses
         * its own key. */
        int is_set = SSL_CTX_set_session_id_context(context->ssl, name, sizeof(name) - 1);
        assert(is_set == 1);
        SSL_CTX_set_psk_find_session_callback(context->ssl, osr_tls_find_key);
    } else {
        SSL_CTX_set_psk_use_session_callback(context->ssl, osr_tls_offer_key);
    }
    return 0;
}

/* -- application protocols -- */

static int choose_protocol(SSL *ssl, const unsigned char **ret_protocol, unsigned char *ret_size,
                           const unsigned char *named, unsigned named_size, void *opaque)
{
    const struct osr_tls_context *context = opaque;
    unsigned char *chosen = NULL;
    (void)ssl;

    int found = SSL_select_next_proto(&chosen, ret_size, context->protocols.data,
                                      (unsigned)context->protocols.size, named, named_size);
    if (found != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *ret_protocol = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static void name_protocols(struct osr_tls_context *context, const char *const *protocols)
{
    for (; *protocols != NULL; protocols++) {
        size_t size = strlen(*protocols);
        assert(size > 0 && size <= OSR_TLS_PROTOCOL_BYTES_MAX);
        osr_buffer_add_u8(&context->protocols, (uint8_t)size);
        osr_buffer_add(&context->protocols, *protocols, size);
    }
    if (context->is_server) {
        SSL_CTX_set_alpn_select_cb(context->ssl, choose_protocol, context);
    } else {
        int failed = SSL_CTX_set_alpn_protos(context->ssl, context->protocols.data,
                                             (unsigned)context->protocols.size);
        assert(failed == 0);
    }
}

/* -- whom to believe -- */

static int expect_name(struct osr_tls_context *context, const char *name, struct osr_err *err)
{
    if (name[0] == '\0' || strlen(name) > TLSEXT_MAXLEN_host_name) {
        return osr_err_set(err, OSR_CONFIG, "\"%s\" is no name of a server", name);
    }
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(name);
    context->server_name = osr_strdup(name);
    context->server_name_is_address = address != NULL;
    ASN1_OCTET_STRING_free(address);
    return 0;
}

static void set_verification(const struct osr_tls_context *context)
{
    int mode = SSL_VERIFY_PEER;

    if (context->is_server && !osr_tls_lets_in(context, OSR_TLS_PROOF_CERTIFICATE) &&
        !osr_tls_lets_in(context, OSR_TLS_PROOF_PINNED)) {
        mode = SSL_VERIFY_NONE; /* nobody is asked for a certificate */
    } else if (context->is_server && !osr_tls_lets_in(context, OSR_TLS_PROOF_NONE)) {
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    }
    SSL_CTX_set_verify(context->ssl, mode, NULL);
    SSL_CTX_set_cert_verify_callback(context->ssl, osr_tls_verify_certificate, NULL);
    SSL_CTX_set_verify_depth(context->ssl, INTERMEDIATE_CAS_MAX);
    /* A CA that is believed need not be a root: an existing CA often gives out an intermediate. */
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context->ssl), X509_V_FLAG_PARTIAL_CHAIN);
}

/* -- a context -- */

/* Counts what may follow a handshake (tls.c): OpenSSL itself takes any number of it. */
static void count_message(int is_ours, int version, int kind, const void *data, size_t size,
                          SSL *ssl, void *unused)
{
    struct osr_tls *tls = SSL_get_app_data(ssl);
    (void)version, (void)data, (void)size, (void)unused;

    if (!is_ours && kind == SSL3_RT_HANDSHAKE && tls->is_up) {
        tls->messages++;
    }
}

/* The key exchange is worth 128 bits: a cipher that is worth more adds nothing to it, and takes a
 * fifth longer. A shared key may be worth 256, and goes with that suite alone, by its hash. */
static const char *ciphers_of(const struct osr_tls_context *context)
{
    return osr_tls_lets_in(context, OSR_TLS_PROOF_KEY)
               ? "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"
               : "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
}

/* Of the suites for shared keys that exchange keys, too, OpenSSL has one with authenticated
 * encryption. */
static const char *datagram_ciphers_of(const struct osr_tls_context *context)
{
#define BY_KEY "ECDHE-PSK-CHACHA20-POLY1305"
#define BY_CERTIFICATE                                                                             \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                   \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                                   \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
    if (osr_tls_takes_keys_alone(context)) {
        return BY_KEY;
    }
    return osr_tls_lets_in(context, OSR_TLS_PROOF_KEY) ? BY_KEY ":" BY_CERTIFICATE : BY_CERTIFICATE;
}

static bool choose_version(const struct osr_tls_context *context)
{
    SSL_CTX *ssl = context->ssl;

    if (context->is_datagram) {
        SSL_CTX_set_options(ssl,
                            SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_QUERY_MTU);
        SSL_CTX_set_cookie_generate_cb(ssl, osr_dtls_make_cookie);
        SSL_CTX_set_cookie_verify_cb(ssl, osr_dtls_check_cookie);
        return SSL_CTX_set_min_proto_version(ssl, DTLS1_2_VERSION) == 1 &&
               SSL_CTX_set_max_proto_version(ssl, DTLS1_2_VERSION) == 1 &&
               SSL_CTX_set_cipher_list(ssl, datagram_ciphers_of(context)) == 1;
    }
    return SSL_CTX_set_min_proto_version(ssl, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_ciphersuites(ssl, ciphers_of(context)) == 1 &&
           SSL_CTX_set_num_tickets(ssl, 0) == 1;
}

static void set_protocol(const struct osr_tls_context *context)
{
    SSL_CTX *ssl = context->ssl;
    bool is_set = choose_version(context) && SSL_CTX_set1_groups_list(ssl, "X25519:P-256") == 1;
    assert(is_set);
    SSL_CTX_set_security_level(ssl, SECURITY_LEVEL);
    SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_CLEANSE_PLAINTEXT); /* passwords are among it */
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    /* No chain is made out of the CAs that are believed: it would be verified for each handshake,
     * and sent with its root. */
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_max_cert_list(ssl, context->is_datagram ? OSR_DTLS_CERTIFICATES_BYTES_MAX
                                                        : OSR_TLS_HANDSHAKE_BYTES_MAX);
    SSL_CTX_set_msg_callback(ssl, count_message);
}

static void check_options(const struct osr_tls_options *options)
{
    assert(options->proofs != 0 && options->proofs >> (OSR_TLS_PROOF_PINNED + 1) == 0);
    assert(options->is_server || (options->proofs & 1u << OSR_TLS_PROOF_NONE) == 0);
    assert(!options->is_server || options->server_name == NULL);
    assert(options->authority_fingerprint == NULL ||
           (!options->is_server && options->authorities_pem.size == 0));
}

/* A server that lets in shared keys alone does not even have its certificate at hand: for one that
 * is unknown there is nothing to fall back to. */
static bool shows_certificate(const struct osr_tls_context *context)
{
    return !context->is_server || !osr_tls_takes_keys_alone(context);
}

static int fill(struct osr_tls_context *context, const struct osr_tls_options *options,
                struct osr_err *err)
{
    bool has_keys = options->shared_key_count > 0;
    int code = 0;

    if (has_keys != osr_tls_lets_in(context, OSR_TLS_PROOF_KEY)) {
        return osr_err_set(err, OSR_CONFIG,
                           has_keys ? "there are shared keys, but they are not let in"
                                    : "shared keys are let in, but there is none");
    }
    if (options->is_server && options->certificate_pem.size == 0 && shows_certificate(context)) {
        return osr_err_set(err, OSR_CONFIG, "a TLS server needs a certificate or shared keys");
    }
    if (options->certificate_pem.size > 0 && shows_certificate(context)) {
        code = use_certificate(context->ssl, options, err);
    }
    if (code == 0 && options->authorities_pem.size > 0) {
        code = believe(context->ssl, options->authorities_pem, err);
    }
    if (options->authority_fingerprint != NULL) {
        context->has_authority_fingerprint = true;
        context->authority_fingerprint = *options->authority_fingerprint;
    }
    if (code == 0 && has_keys) {
        code = share_keys(context, options, err);
    }
    if (code == 0 && options->server_name != NULL) {
        code = expect_name(context, options->server_name, err);
    }
    return code;
}

static const SSL_METHOD *method_of(const struct osr_tls_options *options)
{
    if (options->is_datagram) {
        return options->is_server ? DTLS_server_method() : DTLS_client_method();
    }
    return options->is_server ? TLS_server_method() : TLS_client_method();
}

int osr_tls_context_create(const struct osr_tls_options *options, struct osr_tls_context **ret,
                           struct osr_err *err)
{
    check_options(options);
    struct osr_tls_context *context = osr_alloc(sizeof(*context));
    context->holders = 1;
    context->is_server = options->is_server;
    context->proofs = options->proofs;
    context->is_revoked = options->is_revoked;
    context->context = options->context;
    context->time_s = options->time_s;
    context->is_datagram = options->is_datagram;
    context->ssl = SSL_CTX_new(method_of(options));
    context->carrier = options->is_datagram ? osr_dtls_carrier_create() : osr_tls_carrier_create();
    assert(context->ssl != NULL && context->carrier != NULL);

    set_protocol(context);
    set_verification(context);
    int code = fill(context, options, err);
    if (code == 0 && options->protocols != NULL && options->protocols[0] != NULL) {
        name_protocols(context, options->protocols);
    }
    ERR_clear_error();
    if (code != 0) {
        osr_tls_context_release(context);
        return code;
    }
    *ret = context;
    return 0;
}

struct osr_tls_context *osr_tls_context_hold(struct osr_tls_context *context)
{
    if (context != NULL) {
        context->holders++;
    }
    return context;
}

void osr_tls_context_release(struct osr_tls_context *context)
{
    if (context == NULL || --context->holders > 0) {
        return;
    }
    osr_tls_keys_destroy(context->keys);
    free(context->server_name);
    osr_buffer_done(&context->protocols);
    SSL_CTX_free(context->ssl);
    BIO_meth_free(context->carrier);
    free(context);
}
