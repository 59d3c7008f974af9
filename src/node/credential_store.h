/* credential_store.h -- the credentials of an instance: in memory as their facts in the log say,
 * and the changes on their way there.
 *
 * A change is handed to write_fact, and applied once that is durable: by the very code that reads
 * the fact at the next start. One that takes a right away is applied at once, and again when it is
 * durable, so that what was under way before it does not outlive it.
 *
 * Full: what has ended (expired, used, revoked) longest ago is forgotten; where nothing has,
 * nothing new is taken. The loop's only. */
#ifndef OSR_NODE_CREDENTIAL_STORE_H
#define OSR_NODE_CREDENTIAL_STORE_H

#include "node/credential.h"

enum {
    /* All are in memory, and read at each start: stop a script from filling both. */
    OSR_TOKENS_MAX = 4096,
    OSR_USERS_MAX = 1024,
    OSR_INVITATIONS_MAX = 1024,
    OSR_REVOCATIONS_MAX = 16384,
    OSR_MEMBERS_MAX = 4096,
};

struct osr_credential_port {
    /* As osr_journal_fact; may call `written` before it returns. Changes become durable in the
     * order of the calls. */
    void (*write_fact)(void *context, const char *key, struct osr_slice value,
                       void (*written)(void *context, enum osr_code code), void *written_context);
    void *context;
};

/* Who wants to know what became of a change. */
struct osr_credential_done {
    void (*call)(void *context, enum osr_code code); /* NULL: nobody */
    void *context;
};

enum osr_credential_timing {
    OSR_WHEN_DURABLE, /* what gives a right */
    OSR_AT_ONCE,      /* what takes one away, whether it can be stored or not */
};

struct osr_credential_store;

/* on_change is told what a change replaced (NULL: nothing) and by what (NULL: nothing). */
struct osr_credential_store *osr_credential_store_create(
    uint64_t hash_seed, const struct osr_credential_port *port,
    void (*on_change)(void *context, const struct osr_credential *before,
                      const struct osr_credential *after),
    void *context);
/* NULL is a no-op. No change is under way any more. */
void osr_credential_store_destroy(struct osr_credential_store *store);
/* A fact of the log, at start. Failures: osr_credential_decode's. */
int osr_credential_store_load(struct osr_credential_store *store, const char *key,
                              struct osr_slice value, struct osr_err *err);

/* What is found lives until the next change. NULL: there is none. `name`: a token's or an
 * invitation's id, a user's name. */
const struct osr_credential *osr_credential_store_find(const struct osr_credential_store *store,
                                                       enum osr_credential_kind kind,
                                                       const char *name);
const struct osr_credential *osr_credential_store_find_revocation(
    const struct osr_credential_store *store, const char *serial, const struct osr_hash *authority);
/* In no particular order. */
void osr_credential_store_walk(
    const struct osr_credential_store *store, enum osr_credential_kind kind,
    void (*visit)(void *context, const struct osr_credential *credential), void *context);
/* Whether a change of it is on its way. */
bool osr_credential_store_is_changing(const struct osr_credential_store *store,
                                      const struct osr_credential *credential);

/* New, or instead of the one with its key. The credential is copied. */
void osr_credential_store_put(struct osr_credential_store *store,
                              const struct osr_credential *credential,
                              enum osr_credential_timing timing, struct osr_credential_done done);
/* At once. */
void osr_credential_store_remove(struct osr_credential_store *store,
                                 const struct osr_credential *credential,
                                 struct osr_credential_done done);
/* For one more of a kind. TOO_LARGE. */
int osr_credential_store_make_room(struct osr_credential_store *store,
                                   enum osr_credential_kind kind, uint64_t now_ms,
                                   struct osr_err *err);

#endif
