/* security.h -- what an instance shows of itself and whom it lets in, as it stands now: the trust
 * folder (trust_folder.h) and the config made into TLS contexts, credentials loaded from the log;
 * renewed ahead of expiry, read anew by a reload, all or nothing.
 *
 * Happy path: osr_security_open -> a context for each listener and each peer that is dialled ->
 * on_changed (a reload, a renewal, a revocation) -> new contexts for who connects from now on;
 * links that are up stay up, unless they are no longer let in.
 *
 * An instance without certificates is good for plaintext on loopback and for pinned ids: it has a
 * TLS key and a certificate signed by itself.
 *
 * How listeners let others in is said by their URL's `auth`, a list of: certificate, key, token,
 * password, pin (those approved by id in the config's `approved`); default: certificate, token,
 * password.
 *
 * Threads: the loop's; files are read and written, and passwords hashed, on one thread of its own,
 * one thing at a time. */
#ifndef OSR_NODE_SECURITY_H
#define OSR_NODE_SECURITY_H

#include "core/attempts.h"
#include "node/access.h"
#include "node/config.h"
#include "node/journal.h"
#include "node/trust_folder.h"

struct osr_security;

struct osr_security_options {
    uv_loop_t *loop;
    const struct osr_config *config; /* of the start; a reload reads it again */
    struct osr_disk *disk;
    const char *instance; /* its id */
    struct osr_journal *journal;
    struct osr_credentials *credentials;
    struct osr_access *access;
    struct osr_audit *audit;
    const struct osr_trace *trace;
    /* Contexts, policy or revocations are others now. */
    void (*on_changed)(void *context);
    void *context;
};

/* CONFIG: what is in the trust folder does not fit together, or does not serve a listener of the
 * config (says which, and what to do). */
int osr_security_open(const struct osr_security_options *options, struct osr_security **ret,
                      struct osr_err *err);
/* Ends what is under way. Then let the loop run once more. NULL is a no-op. */
void osr_security_close(struct osr_security *security);

/* NULL for the schemes without TLS. Live until on_changed. */
struct osr_tls_context *osr_security_listener(const struct osr_security *security,
                                              const struct osr_url *url);
struct osr_tls_context *osr_security_dialler(const struct osr_security *security,
                                             const struct osr_url *url);
/* Whether links that show no certificate may be of this instance: `?id=` of a peer's URL, or the
 * config's `approved`. */
bool osr_security_is_approved(const struct osr_security *security, const char *instance);

/* Reads config and folder again. `done` with what changed, one line each, or with CONFIG: all is as
 * it was. One at a time: BUSY. */
int osr_security_reload(struct osr_security *security,
                        void (*done)(void *context, const char *const *changed, size_t count,
                                     const struct osr_err *err),
                        void *context, struct osr_err *err);

/* For `status` and `doctor`. */
struct osr_security_info {
    struct osr_certificate_facts certificate; /* expires_s 0: signed by itself or none */
    bool has_authority;                       /* it is the CA's instance */
    uint64_t renew_at_s;
    struct osr_err renewal; /* why the last one failed; code 0: it did not */
};
void osr_security_get_info(const struct osr_security *security, struct osr_security_info *ret_info);

#endif
