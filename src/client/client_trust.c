#include "client/client_trust.h"

#include <stdlib.h>

#include "client/target.h"

#define INSTANCE "instance:" /* as identities in certificates name instances */

struct osr_client_trust {
    struct osr_tls_context *security; /* NULL: plaintext */
    char *token;                      /* NULL: none */
};

/* ---- TLS ---- */

static int set_nobody_believed(const struct osr_url *url, struct osr_err *err)
{
    osr_err_set(err, OSR_CONFIG, "%s: it is not said whom to believe there", url->text);
    osr_err_hint(err, "give the CA's certificate (--ca FILE), or a shared key (--shared-key FILE)");
    return OSR_CONFIG;
}

static unsigned proofs_of(const struct osr_client_trust_options *options)
{
    unsigned proofs = 0;
    if (options->authorities_pem.size > 0 || options->authority_fingerprint != NULL) {
        proofs |= 1u << OSR_TLS_PROOF_CERTIFICATE;
    }
    if (options->shared_key != NULL) {
        proofs |= 1u << OSR_TLS_PROOF_KEY;
    }
    return proofs;
}

static int create_security(const struct osr_url *url,
                           const struct osr_client_trust_options *options,
                           struct osr_tls_context **ret_security, struct osr_err *err)
{
    static const char *const rpc_protocols[] = {"h2", NULL};
    static const char *const frame_protocols[] = {"osiris/1", NULL};
    const struct osr_tls_options security = {
        .certificate_pem = options->certificate_pem,
        .key_pem = options->key_pem,
        .authorities_pem = options->authorities_pem,
        .authority_fingerprint = options->authority_fingerprint,
        .shared_keys = options->shared_key,
        .shared_key_count = options->shared_key != NULL ? 1 : 0,
        .proofs = proofs_of(options),
        .protocols = osr_target_speaks_frames(url) ? frame_protocols : rpc_protocols,
        .server_name = url->host,
    };
    return security.proofs == 0 ? set_nobody_believed(url, err)
                                : osr_tls_context_create(&security, ret_security, err);
}

/* ---- tokens ---- */

static bool is_blank(uint8_t character)
{
    return character == ' ' || character == '\t' || character == '\r' || character == '\n';
}

static struct osr_slice trim(struct osr_slice text)
{
    while (text.size > 0 && is_blank(text.data[0])) {
        text = osr_slice(text.data + 1, text.size - 1);
    }
    while (text.size > 0 && is_blank(text.data[text.size - 1])) {
        text.size--;
    }
    return text;
}

/* What can stand in a header field as it is. */
static bool is_token(struct osr_slice token)
{
    for (size_t i = 0; i < token.size; i++) {
        if (token.data[i] <= ' ' || token.data[i] > '~') {
            return false;
        }
    }
    return token.size > 0 && token.size <= OSR_CLIENT_TOKEN_BYTES_MAX;
}

static bool may_carry_secrets(const struct osr_url *url)
{
    return osr_url_is_secure(url) || osr_url_is_loopback(url);
}

static int copy_token(const struct osr_url *url, struct osr_slice text, char **ret_token,
                      struct osr_err *err)
{
    struct osr_slice token = trim(text);
    if (!is_token(token)) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                                "the token is none: it has no, too many or foreign characters");
    }
    if (!may_carry_secrets(url)) {
        osr_err_set(err, OSR_INVALID_ARGUMENT,
                    "%s: a token is not sent in plaintext to another machine", url->text);
        osr_err_hint(err, "use grpcs:// or tls://");
        return OSR_INVALID_ARGUMENT;
    }
    *ret_token = osr_alloc(token.size + 1);
    memcpy(*ret_token, token.data, token.size);
    return OSR_OK;
}

/* ---- both ---- */

static int check_options(const struct osr_client_trust_options *options, struct osr_err *err)
{
    if (options->authorities_pem.size > 0 && options->authority_fingerprint != NULL) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                                "believed are either CAs or the one with a fingerprint, not both");
    }
    if ((options->certificate_pem.size > 0) != (options->key_pem.size > 0)) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                                "a certificate is of no use without its key, nor the other way");
    }
    return OSR_OK;
}

int osr_client_trust_create(const struct osr_url *url,
                            const struct osr_client_trust_options *options,
                            struct osr_client_trust **ret_trust, struct osr_err *err)
{
    int code = check_options(options, err);
    if (code != OSR_OK) {
        return code;
    }
    struct osr_client_trust *trust = osr_alloc(sizeof(*trust));
    if (osr_url_is_secure(url)) {
        code = create_security(url, options, &trust->security, err);
    }
    if (code == OSR_OK && options->token.size > 0) {
        code = copy_token(url, options->token, &trust->token, err);
    }
    if (code != OSR_OK) {
        osr_client_trust_destroy(trust);
        return code;
    }
    *ret_trust = trust;
    return OSR_OK;
}

void osr_client_trust_destroy(struct osr_client_trust *trust)
{
    if (trust == NULL) {
        return;
    }
    osr_tls_context_release(trust->security);
    if (trust->token != NULL) {
        explicit_bzero(trust->token, strlen(trust->token));
    }
    free(trust->token);
    free(trust);
}

int osr_client_trust_security(const struct osr_client_trust *trust, const struct osr_url *url,
                              struct osr_tls_context **ret_security, struct osr_err *err)
{
    if (osr_url_is_secure(url) && trust == NULL) {
        return set_nobody_believed(url, err);
    }
    *ret_security = trust == NULL ? NULL : trust->security;
    return OSR_OK;
}

const char *osr_client_trust_token(const struct osr_client_trust *trust)
{
    return trust == NULL ? NULL : trust->token;
}

/* ---- calls ---- */

/* In the request or in its reply. */
static bool carries_secret(const struct osr_method *method)
{
    switch (method->request) {
    case OSR__FRAME__BODY_LOGIN:
    case OSR__FRAME__BODY_AUTHENTICATE:
    case OSR__FRAME__BODY_JOIN:
    case OSR__FRAME__BODY_INVITE:
    case OSR__FRAME__BODY_TOKEN_CREATE:
    case OSR__FRAME__BODY_USER_PUT:
        return true;
    default:
        return false;
    }
}

int osr_client_trust_check_method(const struct osr_url *url, const struct osr_method *method,
                                  struct osr_err *err)
{
    if (!carries_secret(method) || may_carry_secrets(url)) {
        return OSR_OK;
    }
    osr_err_set(err, OSR_INVALID_ARGUMENT,
                "%s: %s carries a secret, which is not sent in plaintext to another machine",
                url->text, method->path);
    osr_err_hint(err, "use grpcs:// or tls://");
    return OSR_INVALID_ARGUMENT;
}

/* ---- the instance ---- */

/* What the server has shown, for people. */
static int refuse(const struct osr_url *url, const struct osr_tls_peer *peer, const char *wanted,
                  struct osr_err *err)
{
    if (peer->proof == OSR_TLS_PROOF_KEY) {
        return (int)osr_err_set(err, OSR_UNAUTHENTICATED,
                                "%s: by a shared key the server does not show that it is %s",
                                url->text, wanted);
    }
    return (int)osr_err_set(err, OSR_UNAUTHENTICATED,
                            "%s: the server's certificate is that of \"%s\", and not of %s",
                            url->text, peer->who[0] != '\0' ? peer->who : peer->subject, wanted);
}

int osr_client_trust_check_server(const struct osr_url *url, const struct osr_tls_peer *peer,
                                  struct osr_err *err)
{
    const char *id = osr_url_parameter(url, "id");
    bool is_instance = strncmp(peer->who, INSTANCE, strlen(INSTANCE)) == 0;
    bool is_named = peer->proof == OSR_TLS_PROOF_CERTIFICATE && peer->who[0] != '\0';
    if (id != NULL && !(is_named && is_instance && strcmp(peer->who + strlen(INSTANCE), id) == 0)) {
        return refuse(url, peer, id, err);
    }
    /* Users have certificates of the same CA, which must not pass for an instance's. */
    return is_named && !is_instance ? refuse(url, peer, "an instance", err) : OSR_OK;
}
