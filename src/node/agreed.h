/* agreed.h -- what Osiris itself has agreed on by the ledger (core/cluster_settings.h), put into
 * force at this instance: revocations and the policy. What is set of the ledger itself,
 * ledger_changes.c looks up.
 *
 * Happy path: a command is applied -> the machine says which key has changed, which is noted ->
 * at the end of the turn (osr_agreed_end_turn) a revocation is adopted and written down as a fact,
 * or the policy is made of its text -> on_changed. A start, and a snapshot that comes, are the same
 * for all that there is. Adopting twice changes nothing: of two revocations the first one stays.
 *
 * Revocations: where this instance leads the stream "trust", what it adopts goes to all who follow
 * that as well, whether they are members of the ledger or not (osr_trust_feed_write).
 *
 * Policy: what this instance's own config file says goes first, so that whoever has shut everybody
 * out can mend it on the spot; else what is agreed holds, else the defaults. What cannot be read
 * here changes nothing.
 *
 * Threads: the loop's only. */
#ifndef OSR_NODE_AGREED_H
#define OSR_NODE_AGREED_H

#include "core/cluster_settings.h"
#include "node/access.h"

struct osr_agreed_state;

struct osr_agreed_options {
    struct osr_credentials *credentials;
    struct osr_credential_port port; /* writes down what is adopted: osr_trust_feed_write */
    struct osr_access *access;
    bool (*has_own_policy)(void *context); /* the config file has a section `access` */
    uint64_t (*time_ms)(void *context);    /* since 1970 */
    void (*on_changed)(void *context);     /* credentials or policy are others */
    void *context;
    const struct osr_trace *trace;
};

struct osr_agreed_state *osr_agreed_create(const struct osr_agreed_options *options);
/* When the ledger is gone. NULL is a no-op. */
void osr_agreed_destroy(struct osr_agreed_state *state);

/* For the ledger; the state outlives it. */
struct osr_machine osr_agreed_machine(struct osr_agreed_state *state);
/* The ledger is open: what it holds already comes into force before the return. */
void osr_agreed_start(struct osr_agreed_state *state, struct osr_agreement *agreement);
/* Behind the ledger's end of the turn. */
void osr_agreed_end_turn(struct osr_agreed_state *state);

/* ---- revocations ---- */

/* Proposes one that is in force here. CONFLICT: it is agreed on already. */
void osr_agreed_propose_revocation(struct osr_agreed_state *state,
                                   const struct osr_credential *revocation, uint32_t timeout_ms,
                                   osr_agreed_done *done, void *context);

/* ---- the policy: agreed_access.c ---- */

enum osr_policy_source { OSR_POLICY_DEFAULT, OSR_POLICY_AGREED, OSR_POLICY_OWN_FILE };

/* Puts into force what is to be; true: it is another one now. */
bool osr_agreed_review_policy(struct osr_agreed_state *state);
/* The config's section, or the defaults where it has none, have just been put into force. */
void osr_agreed_config_was_read(struct osr_agreed_state *state);
enum osr_policy_source osr_agreed_policy_source(const struct osr_agreed_state *state);

#endif
