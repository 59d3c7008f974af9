/* security.h -- what an instance shows of itself and whom it lets in, as it stands now: the trust
 * folder (trust_folder.h) and the config made into TLS contexts (security_contexts.h); renewed
 * ahead of expiry, read anew by a reload, all or nothing.
 *
 * Happy path: osr_security_open -> a context for each listener and each peer that is dialled ->
 * on_changed (a reload, a renewal) -> new contexts for who connects from now on; links that are up
 * stay up, unless they are no longer let in.
 *
 * An instance without certificates is good for plaintext on loopback and for pinned ids: it has a
 * TLS key, where a URL wants TLS, and a certificate signed by itself.
 *
 * How listeners let others in is said by their URL's `auth`, a list of: certificate, key, token,
 * password, pin (those approved by id in the config's `approved`); default: certificate, token,
 * password.
 *
 * Renewal: the CA's instance issues itself a new certificate when two thirds of the time of the
 * present one are over. Others ask it for theirs (renewal.h).
 *
 * A reload puts into force: certificates, keys, CAs, shared keys, the rules of `access`,
 * `approved`. Other keys of the config want a restart, and are named.
 *
 * Threads: the loop's; files are read and written, and passwords hashed, on one thread of its own,
 * one thing at a time. */
#ifndef OSR_NODE_SECURITY_H
#define OSR_NODE_SECURITY_H

#include "base/trace.h"
#include "node/config.h"
#include "node/credentials.h"
#include "node/file_worker.h"
#include "node/trust_folder.h"

struct osr_security;

/* What a reload has found. */
struct osr_security_changes {
    const char **changed; /* what is different now, for people */
    size_t changed_count;
    const char **restart; /* keys of the config that have changed and want a restart */
    size_t restart_count;
};

struct osr_security_options {
    uv_loop_t *loop;
    const struct osr_config *config; /* of the start; a reload reads it again */
    struct osr_disk *disk;
    const char *instance;                      /* its id */
    const struct osr_credentials *credentials; /* for what was revoked */
    uint64_t (*time_ms)(void *context);        /* since 1970 */
    const struct osr_trace *trace;
    /* Contexts and approved ids are others now; `policy` becomes the callee's, and is NULL where it
     * stays. */
    void (*on_changed)(void *context, struct osr_policy *policy);
    void *context;
};

/* CONFIG: what is in the trust folder does not fit together, or does not serve a URL of the config
 * (says which, and what to do). On failure let the loop run once more, too. */
int osr_security_open(const struct osr_security_options *options, struct osr_security **ret,
                      struct osr_err *err);
/* Finishes what is under way; no reload's `done` is left out. Then let the loop run once more. NULL
 * is a no-op. */
void osr_security_close(struct osr_security *security);

/* NULL for the schemes without TLS. Live until on_changed. */
struct osr_tls_context *osr_security_listener(const struct osr_security *security,
                                              const struct osr_url *url);
struct osr_tls_context *osr_security_dialler(const struct osr_security *security,
                                             const struct osr_url *url);
/* Whether links that show no certificate may be of this instance: `?id=` of a peer's URL, or the
 * config's `approved`. */
bool osr_security_is_approved(const struct osr_security *security, const char *instance);
/* Whether a CA of this cluster that is believed is this instance's: each names it in its
 * certificate. Then its word on members and revocations counts (trust_feed.h). */
bool osr_security_is_authority(const struct osr_security *security, const char *instance);
/* Whether there is such a CA: then its instance tells of each member. */
bool osr_security_knows_members(const struct osr_security *security);
/* What the folder held when it was read last. Lives until on_changed. */
/* Whether the config file, as it was read last, has a section `access`. */
bool osr_security_has_policy(const struct osr_security *security);
const struct osr_trust *osr_security_trust(const struct osr_security *security);
/* The thread: for what takes long and has to do with secrets. */
struct osr_file_worker *osr_security_worker(const struct osr_security *security);

/* `changes` live until the return, and are NULL where err->code is not 0. */
typedef void osr_security_reloaded(void *context, const struct osr_security_changes *changes,
                                   const struct osr_err *err);
/* Reads config and folder again. `done` with what changed, or with what is wrong: then all is as it
 * was. One at a time: BUSY. */
int osr_security_reload(struct osr_security *security, osr_security_reloaded *done, void *context,
                        struct osr_err *err);

/* Into the folder and into force, as by a reload that finds nothing else: what the CA's instance
 * has given. The slices are copied. BUSY as above. */
int osr_security_take_certificate(struct osr_security *security,
                                  const struct osr_trust_certificate *certificate,
                                  osr_security_reloaded *done, void *context, struct osr_err *err);
/* Issues itself a certificate now, where osr_security_renews_itself. BUSY as above. */
int osr_security_issue_certificate(struct osr_security *security, osr_security_reloaded *done,
                                   void *context, struct osr_err *err);

struct osr_security_info {
    struct osr_certificate_facts certificate; /* expires_s 0: signed by itself or none */
    bool has_authority;                       /* it is the CA's instance */
    uint64_t renew_at_s;                      /* 0: never */
    /* Why it has not issued itself a certificate though it is time; code 0: it has. */
    struct osr_err renewal;
};
/* Its certificate is of the CA that it has. */
static inline bool osr_security_renews_itself(const struct osr_security_info *info)
{
    return info->has_authority && info->certificate.cluster[0] != '\0';
}
void osr_security_get_info(const struct osr_security *security, struct osr_security_info *ret_info);
/* Looks whether it is time to issue itself a certificate: called by a timer, and by tests that
 * cannot wait. */
void osr_security_look_after_certificate(struct osr_security *security);

#endif
