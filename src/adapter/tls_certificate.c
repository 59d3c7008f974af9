/* Whether the other side's certificate is let in, and whom it names: the chain and its dates by
 * OpenSSL, then what only we know (revocation, identities, self-signed ones). What is refused is
 * said in people's words, and by the alert that fits. */
#include <assert.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "adapter/certificate.h"
#include "adapter/tls_internal.h"
#include "base/text.h"

enum {
    NAME_SHOWN_BYTES = 128, /* of an X.509 name in a message */
    TIME_SHOWN_BYTES = 32,
};

/* What OpenSSL's callback returns. */
enum { REFUSED = 0, TAKEN = 1 };

_Static_assert((int)OSR_TLS_NAME_BYTES_MAX == (int)OSR_CERTIFICATE_NAME_BYTES_MAX &&
                   sizeof(((struct osr_tls_peer *)NULL)->serial) == (size_t)OSR_SERIAL_TEXT_MAX,
               "a certificate's facts fit a peer");

/* -- in people's words -- */

static void show_name(const X509_NAME *name, char *text)
{
    BIO *shown = BIO_new(BIO_s_mem());
    assert(shown != NULL);

    X509_NAME_print_ex(shown, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
    int size = BIO_read(shown, text, NAME_SHOWN_BYTES);
    text[size > 0 ? size : 0] = '\0';
    BIO_free(shown);
}

static void show_time(const ASN1_TIME *time, char *text)
{
    struct tm date;

    if (ASN1_TIME_to_tm(time, &date) != 1 ||
        strftime(text, TIME_SHOWN_BYTES, "%Y-%m-%d %H:%M:%S UTC", &date) == 0) {
        snprintf(text, TIME_SHOWN_BYTES, "a time that is none");
    }
}

/* Refuses the handshake for this certificate in the chain, 0 being the other side's own; `error`
 * chooses the alert. */
static __attribute__((format(printf, 5, 6))) int refuse(struct osr_tls *tls, X509_STORE_CTX *chain,
                                                        X509 *certificate, int error,
                                                        const char *format, ...)
{
    char name[NAME_SHOWN_BYTES + 1];
    char why[OSR_ERR_MESSAGE_MAX];
    va_list arguments;

    show_name(X509_get_subject_name(certificate), name);
    va_start(arguments, format);
    vsnprintf(why, sizeof(why), format, arguments);
    va_end(arguments);
    osr_err_set(osr_tls_refusal(tls), OSR_UNAUTHENTICATED, "%s's %s \"%s\" %s",
                osr_tls_other_side(tls),
                certificate == X509_STORE_CTX_get0_cert(chain) ? "certificate" : "CA", name, why);
    X509_STORE_CTX_set_error(chain, error);
    return REFUSED;
}

static int refuse_expired(struct osr_tls *tls, X509_STORE_CTX *chain, X509 *certificate)
{
    char time[TIME_SHOWN_BYTES];

    show_time(X509_get0_notAfter(certificate), time);
    refuse(tls, chain, certificate, X509_V_ERR_CERT_HAS_EXPIRED, "expired at %s", time);
    osr_err_hint(tls->refusal, "renew it there, or set the clocks right");
    return REFUSED;
}

static int refuse_early(struct osr_tls *tls, X509_STORE_CTX *chain, X509 *certificate)
{
    char time[TIME_SHOWN_BYTES];

    show_time(X509_get0_notBefore(certificate), time);
    refuse(tls, chain, certificate, X509_V_ERR_CERT_NOT_YET_VALID, "is not valid before %s", time);
    osr_err_hint(tls->refusal, "compare the clocks of both machines");
    return REFUSED;
}

static int refuse_unknown_authority(struct osr_tls *tls, X509_STORE_CTX *chain, X509 *certificate)
{
    char issuer[NAME_SHOWN_BYTES + 1];

    show_name(X509_get_issuer_name(certificate), issuer);
    refuse(tls, chain, certificate, X509_STORE_CTX_get_error(chain),
           "is of a CA that is not believed here: \"%s\"", issuer);
    osr_err_hint(tls->refusal, "if it may come in, put that CA's certificate beside those that "
                               "are believed here");
    return REFUSED;
}

/* OpenSSL has found an error. */
static int refuse_by_error(struct osr_tls *tls, X509_STORE_CTX *chain)
{
    int error = X509_STORE_CTX_get_error(chain);
    X509 *certificate = X509_STORE_CTX_get_current_cert(chain);

    if (certificate == NULL) {
        certificate = X509_STORE_CTX_get0_cert(chain);
    }
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return refuse_expired(tls, chain, certificate);
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return refuse_early(tls, chain, certificate);
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return refuse_unknown_authority(tls, chain, certificate);
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return refuse(tls, chain, certificate, error,
                      "is signed by itself, and such are not let in here");
    case X509_V_ERR_INVALID_PURPOSE:
        return refuse(tls, chain, certificate, error, "may not be used as a TLS %s's",
                      tls->context->is_server ? "client" : "server");
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        return refuse(tls, chain, certificate, error,
                      "was altered, or is of another CA with the name of one believed here");
    default:
        return refuse(tls, chain, certificate, error, "cannot be believed: %s",
                      X509_verify_cert_error_string(error));
    }
}

/* -- what is asked beyond OpenSSL's own checks -- */

static uint64_t now_s(const struct osr_tls_context *context)
{
    return context->time_s != NULL ? context->time_s(context->context) : (uint64_t)time(NULL);
}

static int describe(struct osr_tls *tls, X509_STORE_CTX *chain, X509 *certificate,
                    struct osr_certificate_facts *facts)
{
    struct osr_err err = {0};

    if (osr_certificate_describe(certificate, facts, &err) != 0) {
        return refuse(tls, chain, certificate, X509_V_ERR_CERT_REJECTED, "is refused: %s",
                      err.message);
    }
    return TAKEN;
}

/* Each certificate was issued by the next one; the last is one that we believe. */
static int check_revocation(struct osr_tls *tls, X509_STORE_CTX *chain)
{
    const struct osr_tls_context *context = tls->context;
    STACK_OF(X509) *certificates = X509_STORE_CTX_get0_chain(chain);

    for (int i = 0; i + 1 < sk_X509_num(certificates); i++) {
        X509 *certificate = sk_X509_value(certificates, i);
        struct osr_certificate_facts facts;
        struct osr_certificate_facts issuer;
        if (describe(tls, chain, certificate, &facts) == REFUSED ||
            describe(tls, chain, sk_X509_value(certificates, i + 1), &issuer) == REFUSED) {
            return REFUSED;
        }
        if (context->is_revoked(context->context, facts.serial, &issuer.fingerprint)) {
            return refuse(tls, chain, certificate, X509_V_ERR_CERT_REVOKED,
                          "has been revoked (serial %s)", facts.serial);
        }
    }
    return TAKEN;
}

/* Among its alternative names: the common name is for people. */
static bool bears_name(X509 *certificate, const struct osr_tls_context *context)
{
    static const unsigned flags =
        X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;

    if (context->server_name_is_address) {
        return X509_check_ip_asc(certificate, context->server_name, 0) == 1;
    }
    return X509_check_host(certificate, context->server_name, 0, flags, NULL) == 1;
}

/* An outside CA's servers often have no common name any more. */
static void name_by_dns(X509 *certificate, char *subject)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

    for (int i = 0; subject[0] == '\0' && i < sk_GENERAL_NAME_num(names); i++) {
        int kind;
        const ASN1_STRING *name = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &kind);
        struct osr_slice text = kind == GEN_DNS ? osr_slice(ASN1_STRING_get0_data(name),
                                                            (size_t)ASN1_STRING_length(name))
                                                : osr_slice(NULL, 0);
        if (text.size <= OSR_TLS_NAME_BYTES_MAX && osr_utf8_is_valid(text) &&
            osr_text_is_plain(text)) {
            snprintf(subject, OSR_TLS_NAME_BYTES_MAX + 1, "%.*s", (int)text.size,
                     (const char *)text.data);
        }
    }
    GENERAL_NAMES_free(names);
}

static void fill_peer(struct osr_tls_peer *peer, enum osr_tls_proof proof,
                      const struct osr_certificate_facts *facts)
{
    peer->proof = proof;
    memcpy(peer->subject, facts->subject, sizeof(peer->subject));
    memcpy(peer->serial, facts->serial, sizeof(peer->serial));
    peer->fingerprint = facts->fingerprint;
    peer->expires_s = facts->expires_s;
}

static int take_issued(struct osr_tls *tls, X509_STORE_CTX *chain)
{
    X509 *certificate = X509_STORE_CTX_get0_cert(chain);
    STACK_OF(X509) *certificates = X509_STORE_CTX_get0_chain(chain);
    struct osr_certificate_facts facts;
    struct osr_certificate_facts authority;

    if (!osr_tls_lets_in(tls->context, OSR_TLS_PROOF_CERTIFICATE)) {
        return refuse(tls, chain, certificate, X509_V_ERR_CERT_REJECTED,
                      "is of a CA, and such are not let in here");
    }
    if (describe(tls, chain, certificate, &facts) == REFUSED ||
        describe(tls, chain, sk_X509_value(certificates, sk_X509_num(certificates) - 1),
                 &authority) == REFUSED) {
        return REFUSED;
    }
    if (facts.is_authority) {
        return refuse(tls, chain, certificate, X509_V_ERR_CERT_REJECTED,
                      "is a CA's own: it may issue certificates, and not be used as one");
    }
    if (facts.who[0] == '\0' && tls->context->server_name != NULL &&
        !bears_name(certificate, tls->context)) {
        return refuse(tls, chain, certificate, X509_V_ERR_HOSTNAME_MISMATCH,
                      "is not for \"%s\", which was dialled", tls->context->server_name);
    }
    if (tls->context->is_revoked != NULL && check_revocation(tls, chain) == REFUSED) {
        return REFUSED;
    }
    fill_peer(&tls->peer, OSR_TLS_PROOF_CERTIFICATE, &facts);
    memcpy(tls->peer.cluster, facts.cluster, sizeof(tls->peer.cluster));
    memcpy(tls->peer.who, facts.who, sizeof(tls->peer.who));
    tls->peer.authority = authority.fingerprint;
    if (facts.subject[0] == '\0') {
        name_by_dns(certificate, tls->peer.subject);
    }
    return TAKEN;
}

/* Nobody vouches for it, so whatever identity it bears is not even told. */
static int take_self_signed(struct osr_tls *tls, X509_STORE_CTX *chain)
{
    X509 *certificate = X509_STORE_CTX_get0_cert(chain);
    struct osr_certificate_facts facts;
    uint64_t now = now_s(tls->context);

    if (describe(tls, chain, certificate, &facts) == REFUSED) {
        return REFUSED;
    }
    if (now > facts.expires_s) {
        return refuse_expired(tls, chain, certificate);
    }
    if (now < facts.begins_s) {
        return refuse_early(tls, chain, certificate);
    }
    fill_peer(&tls->peer, OSR_TLS_PROOF_PINNED, &facts);
    X509_STORE_CTX_set_error(chain, X509_V_OK);
    return TAKEN;
}

static bool has_fingerprint(const X509 *certificate, const struct osr_hash *fingerprint)
{
    struct osr_hash hash;

    return X509_digest(certificate, EVP_sha256(), hash.bytes, NULL) == 1 &&
           memcmp(hash.bytes, fingerprint->bytes, sizeof(hash.bytes)) == 0;
}

/* Nobody is believed but the CA with the fingerprint, if it is shown: `believed` becomes that one
 * alone, and has to live as long as the verification. */
static int believe_shown(struct osr_tls *tls, X509_STORE_CTX *chain, STACK_OF(X509) * believed)
{
    STACK_OF(X509) *shown = X509_STORE_CTX_get0_untrusted(chain);

    for (int i = 0; i < sk_X509_num(shown); i++) {
        X509 *certificate = sk_X509_value(shown, i);
        if (has_fingerprint(certificate, &tls->context->authority_fingerprint) &&
            X509_check_ca(certificate) == 1) {
            int pushed = sk_X509_push(believed, certificate);
            assert(pushed > 0);
            X509_STORE_CTX_set0_trusted_stack(chain, believed);
            return TAKEN;
        }
    }
    refuse(tls, chain, X509_STORE_CTX_get0_cert(chain), X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT,
           "is not of the CA with the fingerprint that was expected");
    osr_err_hint(tls->refusal,
                 "it is another cluster's server, or the fingerprint is of another CA");
    return REFUSED;
}

static int verify_chain(struct osr_tls *tls, X509_STORE_CTX *chain)
{
    if (X509_verify_cert(chain) == 1) {
        return take_issued(tls, chain);
    }
    if (X509_STORE_CTX_get_error(chain) == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT &&
        osr_tls_lets_in(tls->context, OSR_TLS_PROOF_PINNED)) {
        return take_self_signed(tls, chain);
    }
    return refuse_by_error(tls, chain);
}

static int verify_by_fingerprint(struct osr_tls *tls, X509_STORE_CTX *chain)
{
    STACK_OF(X509) *believed = sk_X509_new_null();
    assert(believed != NULL);

    int result = believe_shown(tls, chain, believed);
    if (result == TAKEN) {
        result = verify_chain(tls, chain);
    }
    X509_STORE_CTX_set0_trusted_stack(chain, NULL);
    sk_X509_free(believed);
    return result;
}

int osr_tls_verify_certificate(X509_STORE_CTX *chain, void *unused)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct osr_tls *tls = SSL_get_app_data(ssl);
    (void)unused;

    if (osr_tls_takes_keys_alone(tls->context)) { /* a client; a server has not even asked */
        return refuse(tls, chain, X509_STORE_CTX_get0_cert(chain), X509_V_ERR_CERT_REJECTED,
                      "is no answer to the shared key \"%s\", which the server does not know",
                      osr_tls_key_name(tls->key));
    }
    X509_STORE_CTX_set_time(chain, 0, (time_t)now_s(tls->context));
    return tls->context->has_authority_fingerprint ? verify_by_fingerprint(tls, chain)
                                                   : verify_chain(tls, chain);
}
