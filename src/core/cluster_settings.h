/* cluster_settings.h -- what Osiris itself has agreed on by its ledger, as a state machine
 * (core/agreement.h): a map as core/kv.h has it, whose keys are known and whose values are checked.
 *
 *     "setting/NAME"      a setting that all members obey; NAME and value by the table below
 *     "access"            who may do what: the text of a config file's section `access`
 *     "credential/KEY"    a revocation, as its fact is written: "credential:KEY"
 * (node/credential.h)
 *
 * Of credentials revocations alone: what one member says to all others by this way takes rights
 * away, and never gives any; who is a member, the CA's instance alone says. Nor is a revocation
 * ever taken back.
 *
 * Checked is what every member at every time sees alike, whichever version it has: neither whether
 * a policy's words are known nor what a revocation says, which is for who proposes it and for who
 * obeys it. New words in either raise OSR_CLUSTER_VERSION, and are proposed with that: so they wait
 * until all members understand them.
 *
 * Commands, replies and what is stored are those of core/kv.h. */
#ifndef OSR_CORE_CLUSTER_SETTINGS_H
#define OSR_CORE_CLUSTER_SETTINGS_H

#include "core/kv.h"

#define OSR_CLUSTER_ACCESS_KEY        "access"
#define OSR_CLUSTER_SETTING_PREFIX    "setting/"
#define OSR_CLUSTER_CREDENTIAL_PREFIX "credential/"

enum {
    OSR_CLUSTER_VERSION = 1,
    /* Of one value: stop a member from filling the memory and the disk of all. */
    OSR_CLUSTER_ACCESS_BYTES_MAX = 64 << 10,
    OSR_CLUSTER_CREDENTIAL_BYTES_MAX = 4 << 10,
};

/* X(NAME, how it is written, what holds where nobody has set it, what it is) */
#define OSR_CLUSTER_SETTINGS(X)                                                                    \
    X(JOIN, "join", "automatic", "automatic: who joins is added; by-hand: by osiris cluster add")  \
    X(VOTERS_MAX, "voters-max", "7", "1 to 7: who is added past so many voters stays a learner")

enum osr_cluster_setting {
#define OSR_CLUSTER_SETTING_ENUM(name, text, value, meaning) OSR_CLUSTER_SETTING_##name,
    OSR_CLUSTER_SETTINGS(OSR_CLUSTER_SETTING_ENUM)
#undef OSR_CLUSTER_SETTING_ENUM
        OSR_CLUSTER_SETTING_COUNT,
};

struct osr_cluster_setting_info {
    const char *name;
    const char *by_default;
    const char *meaning;
};
const struct osr_cluster_setting_info *osr_cluster_setting_info(enum osr_cluster_setting setting);

/* ---- the machine ---- */

/* Who is told what has changed. From within apply and restored: only to be noted there, and acted
 * on later. */
struct osr_cluster_handler {
    void (*changed)(void *context, struct osr_slice key); /* written or removed */
    void (*restored)(void *context);                      /* all may be others */
    void *context;
};
/* The handler outlives it. */
struct osr_machine osr_cluster_machine(const struct osr_cluster_handler *handler);

/* As osr_kv_encode; INVALID_ARGUMENT and TOO_LARGE for what the machine would refuse, with the word
 * that was probably meant. */
int osr_cluster_encode(const struct osr_kv_write *write, struct osr_buffer *command,
                       struct osr_err *err);

/* ---- what there is; values that are NULL are those of a ledger without this machine ---- */

/* Appends the value in force; false: nobody has set it. */
bool osr_cluster_setting_get(struct osr_values *values, enum osr_cluster_setting setting,
                             struct osr_buffer *value);
bool osr_cluster_joins_by_hand(struct osr_values *values);
size_t osr_cluster_voters_max(struct osr_values *values);

#endif
