/* security_contexts.h -- the TLS of an instance: a context for each listener and each peer of its
 * config that is reached by TLS, made of what the trust folder holds (trust.h); where there are
 * such, also for addresses that members of the ledger are dialled at.
 *
 * A server shows its certificate, or one signed by itself where it has none, and lets in what the
 * URL's `auth` lists. A client expects of the server a certificate from a CA that is believed,
 * where there are such; else a shared key, where there are such; and, where the URL has an `id` or
 * the config approves instances, also a certificate that nobody vouches for: HELLO_PROOF has to
 * show whose it is then. So it has to at a member's address, where one certain instance is
 * expected.
 *
 * Made whole or not at all; never changed. Any thread may make one, the loop's uses it. */
#ifndef OSR_NODE_SECURITY_CONTEXTS_H
#define OSR_NODE_SECURITY_CONTEXTS_H

#include "node/config.h"
#include "node/trust.h"

struct osr_security_contexts;

struct osr_security_source {
    const struct osr_config *config; /* its URLs; they live as long as the contexts */
    const struct osr_trust *trust;   /* copied from */
    bool has_approved;               /* instances are let in by their ids */
    const char *instance;
    uint64_t now_s;
    bool (*is_revoked)(void *context, const char *serial, const struct osr_hash *authority);
    void *context;
};

/* CONFIG: what the trust folder holds does not serve a URL of the config, or is another instance's
 * (says which, and what to do). */
int osr_security_contexts_create(const struct osr_security_source *source,
                                 struct osr_security_contexts **ret_contexts, struct osr_err *err);
void osr_security_contexts_destroy(struct osr_security_contexts *contexts); /* NULL is a no-op */

/* NULL for URLs without TLS, and for those that are not the config's. */
struct osr_tls_context *osr_security_contexts_listener(const struct osr_security_contexts *contexts,
                                                       const struct osr_url *url);
/* What is not the config's is a member's. NULL for URLs without TLS, and for all where the config
 * has none with it. */
struct osr_tls_context *osr_security_contexts_dialler(const struct osr_security_contexts *contexts,
                                                      const struct osr_url *url);

/* Whether any URL of the config wants TLS. */
bool osr_security_is_wanted(const struct osr_config *config);

#endif
