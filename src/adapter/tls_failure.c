/* OpenSSL's errors and the other side's alerts, in people's words. */
#include <openssl/err.h>
#include <openssl/sslerr.h>

#include "adapter/tls_internal.h"

/* Bytes that a TLS session can begin with. */
enum { RECORD_ALERT = 21, RECORD_HANDSHAKE = 22 };

struct word {
    int reason; /* of OpenSSL's SSL library */
    enum osr_code code;
    const char *text; /* behind "the client" or "the server", and before the version that we speak
                       * where is_about_version */
};

/* What we found wrong, then (SSL_R_..._ALERT_...) what the other side did. */
static const struct word words[] = {
    {SSL_R_UNSUPPORTED_PROTOCOL, OSR_UNSUPPORTED_VERSION, "does not speak"},
    {SSL_R_WRONG_SSL_VERSION, OSR_UNSUPPORTED_VERSION, "does not speak"},
    {SSL_R_NO_SHARED_CIPHER, OSR_UNSUPPORTED_VERSION, "has none of our ciphers of"},
    {SSL_R_NO_SUITABLE_KEY_SHARE, OSR_UNSUPPORTED_VERSION, "takes neither X25519 nor P-256"},
    {SSL_R_NO_SHARED_GROUPS, OSR_UNSUPPORTED_VERSION, "takes neither X25519 nor P-256"},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, OSR_UNAUTHENTICATED,
     "takes no signature that our certificate can make"},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, OSR_UNAUTHENTICATED, "has shown no certificate"},
    {SSL_R_NO_APPLICATION_PROTOCOL, OSR_UNSUPPORTED_VERSION,
     "speaks none of the protocols that are spoken here"},
    {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, OSR_MALFORMED,
     "sent a record that was altered, doubled or lost on the way"},
    {SSL_R_BAD_SIGNATURE, OSR_UNAUTHENTICATED, "does not have the key of its certificate"},
    {SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, OSR_UNSUPPORTED_VERSION, "does not take"},
    {SSL_R_TLSV1_ALERT_UNKNOWN_CA, OSR_UNAUTHENTICATED,
     "does not believe the CA of our certificate"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, OSR_UNAUTHENTICATED,
     "says that our certificate has expired, or is not valid yet"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, OSR_UNAUTHENTICATED,
     "says that our certificate has been revoked"},
    {SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, OSR_UNAUTHENTICATED,
     "says that our certificate is not for this use"},
    {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, OSR_UNAUTHENTICATED, "does not let our certificate in"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, OSR_UNAUTHENTICATED, "does not let our certificate in"},
    {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, OSR_UNAUTHENTICATED,
     "wants a certificate, and we have none"},
    {SSL_R_TLSV1_ALERT_ACCESS_DENIED, OSR_PERMISSION_DENIED, "denies us access"},
    {SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL, OSR_UNSUPPORTED_VERSION,
     "speaks none of our protocols"},
    {SSL_R_TLSV1_UNRECOGNIZED_NAME, OSR_NOT_FOUND, "does not have the name that was dialled"},
    {SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, OSR_UNAUTHENTICATED,
     "finds nothing in common: it may want a shared key"},
    {SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER, OSR_MALFORMED, "calls our part of the handshake wrong"},
    {SSL_R_TLSV1_ALERT_DECRYPT_ERROR, OSR_MALFORMED, "calls our part of the handshake wrong"},
    {SSL_R_SSLV3_ALERT_BAD_RECORD_MAC, OSR_MALFORMED,
     "received a record that was altered, doubled or lost on the way"},
    {SSL_R_TLSV1_ALERT_INTERNAL_ERROR, OSR_UNAVAILABLE, "has an error of its own"},
};

static const struct word *find_word(int reason)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (words[i].reason == reason) {
            return &words[i];
        }
    }
    return NULL;
}

/* OpenSSL reports from the inside out: the first error that we have a word for says most, else the
 * last one, which sums up. 0: the queue is empty. */
static int take_reason(void)
{
    int reason = 0;
    unsigned long error;

    while ((error = ERR_get_error()) != 0) {
        if (find_word(reason) == NULL && reason != SSL_R_BINDER_DOES_NOT_VERIFY &&
            ERR_GET_LIB(error) == ERR_LIB_SSL) {
            reason = ERR_GET_REASON(error);
        }
    }
    return reason;
}

/* What servers send that do not know the key, or another one of that name: there is no alert for
 * it that all of them use. */
static bool refuses_our_key(const struct osr_tls *tls, int reason)
{
    return !tls->context->is_server && tls->key != NULL && !tls->is_up &&
           (reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE ||
            reason == SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER ||
            reason == SSL_R_TLSV1_ALERT_DECRYPT_ERROR ||
            reason == SSL_R_TLSV1_ALERT_UNKNOWN_PSK_IDENTITY);
}

/* Shared keys alone are let in, and no use was made of one; a key that is unknown has been told. */
static enum osr_code explain_missing_key(const struct osr_tls *tls, struct osr_err *err)
{
    if (tls->key == NULL) {
        return osr_err_set(err, OSR_UNAUTHENTICATED,
                           "the client has shown no shared key, and nothing else is let in");
    }
    return osr_err_set(err, OSR_UNSUPPORTED_VERSION,
                       "the client cannot use the shared key \"%s\": it lacks "
                       "TLS_AES_256_GCM_SHA384, the cipher for shared keys",
                       osr_tls_key_name(tls->key));
}

static const char *protocol_of(const struct osr_tls *tls)
{
    return tls->context->is_datagram ? "DTLS" : "TLS";
}

static const char *version_of(const struct osr_tls *tls)
{
    return tls->context->is_datagram ? "DTLS 1.2" : "TLS 1.3";
}

static bool is_about_version(const struct word *word)
{
    return word->reason == SSL_R_UNSUPPORTED_PROTOCOL || word->reason == SSL_R_WRONG_SSL_VERSION ||
           word->reason == SSL_R_NO_SHARED_CIPHER ||
           word->reason == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION;
}

static enum osr_code explain_by_word(const struct osr_tls *tls, const struct word *word,
                                     struct osr_err *err)
{
    bool names_version = is_about_version(word);
    return osr_err_set(err, word->code, "%s %s%s%s", osr_tls_other_side(tls), word->text,
                       names_version ? " " : "", names_version ? version_of(tls) : "");
}

enum osr_code osr_tls_explain_other_key(const struct osr_tls *tls, struct osr_err *err)
{
    return osr_err_set(err, OSR_UNAUTHENTICATED,
                       "the client's shared key \"%s\" is another one than ours of that name",
                       osr_tls_key_name(tls->key));
}

/* Shared keys alone are let in, and the client takes none. */
static bool misses_key(const struct osr_tls *tls, int reason)
{
    int telling =
        tls->context->is_datagram ? SSL_R_NO_SHARED_CIPHER : SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM;
    return reason == telling && osr_tls_takes_keys_alone(tls->context);
}

static bool looks_like_tls(const struct osr_tls *tls)
{
    return tls->first_byte == RECORD_HANDSHAKE || tls->first_byte == RECORD_ALERT;
}

enum osr_code osr_tls_explain(const struct osr_tls *tls, struct osr_err *err)
{
    const char *who = osr_tls_other_side(tls);
    int reason = take_reason();
    const struct word *word = find_word(reason);

    if (!looks_like_tls(tls)) {
        osr_err_set(err, OSR_MALFORMED, "%s does not speak %s", who, protocol_of(tls));
        osr_err_hint(err, "either both sides of a link use TLS, or neither");
        return OSR_MALFORMED;
    }
    if (tls->refusal != NULL) {
        if (err != NULL) {
            *err = *tls->refusal;
        }
        return tls->refusal->code;
    }
    if (reason == SSL_R_BINDER_DOES_NOT_VERIFY) {
        return osr_tls_explain_other_key(tls, err);
    }
    if (refuses_our_key(tls, reason)) {
        return osr_err_set(err, OSR_UNAUTHENTICATED,
                           "the server does not take the shared key \"%s\": it does not know it, "
                           "or has another one of that name",
                           osr_tls_key_name(tls->key));
    }
    if (misses_key(tls, reason)) {
        return explain_missing_key(tls, err);
    }
    if (word != NULL) {
        return explain_by_word(tls, word, err);
    }
    if (reason == 0) { /* an alert that is no error */
        return osr_err_set(err, OSR_MALFORMED, "%s has ended the %s handshake", who,
                           protocol_of(tls));
    }
    const char *text = ERR_reason_error_string(ERR_PACK(ERR_LIB_SSL, 0, reason));
    return osr_err_set(err, OSR_MALFORMED, "%s broke the rules of %s: %s", who, protocol_of(tls),
                       text != NULL ? text : "no word for it");
}
