/* client_trust.h -- whom the client believes behind TLS, and what it shows of itself. Made for one
 * URL; never changed. */
#ifndef OSR_CLIENT_CLIENT_TRUST_H
#define OSR_CLIENT_CLIENT_TRUST_H

#include "adapter/tls.h"
#include "base/url.h"
#include "wire/method.h"

enum { OSR_CLIENT_TOKEN_BYTES_MAX = 4096 }; /* stops a file that is none from being sent */

/* Empty or NULL: not given. Everything is copied. */
struct osr_client_trust_options {
    struct osr_slice authorities_pem;
    const struct osr_hash *authority_fingerprint; /* instead of them */
    const struct osr_tls_shared_key *shared_key;
    struct osr_slice certificate_pem; /* ours, with its chain */
    struct osr_slice key_pem;
    struct osr_slice token; /* blanks and line ends around it do not matter */
};

struct osr_client_trust;

/* What concerns TLS does not matter to URLs without it. CONFIG: nobody would be believed, or what
 * tls.h finds wrong; INVALID_ARGUMENT: options that exclude one another, a token that is none, or
 * one that would go to another machine in plaintext. */
int osr_client_trust_create(const struct osr_url *url,
                            const struct osr_client_trust_options *options,
                            struct osr_client_trust **ret_trust, struct osr_err *err);
void osr_client_trust_destroy(struct osr_client_trust *trust); /* NULL is a no-op; wipes */

/* The TLS to speak with the URL, NULL for plaintext. CONFIG where it wants TLS and `trust` is NULL:
 * nobody is believed. */
int osr_client_trust_security(const struct osr_client_trust *trust, const struct osr_url *url,
                              struct osr_tls_context **ret_security, struct osr_err *err);
/* NULL: none. Lives as long as the trust, which may be NULL. */
const char *osr_client_trust_token(const struct osr_client_trust *trust);

/* INVALID_ARGUMENT where the method's request or reply has a secret in it, which would go to
 * another machine in plaintext. */
int osr_client_trust_check_method(const struct osr_url *url, const struct osr_method *method,
                                  struct osr_err *err);
/* UNAUTHENTICATED where the server, which is believed, is no instance, or another than the URL's
 * `id` says. */
int osr_client_trust_check_server(const struct osr_url *url, const struct osr_tls_peer *peer,
                                  struct osr_err *err);

#endif
