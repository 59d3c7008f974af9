/* agreed_internal.h -- what agreed.c and agreed_access.c share. For these alone. */
#ifndef OSR_NODE_AGREED_INTERNAL_H
#define OSR_NODE_AGREED_INTERNAL_H

#include "node/agreed.h"

struct osr_agreed_state {
    struct osr_agreed_options options;
    struct osr_cluster_handler handler;
    struct osr_agreement *agreement; /* NULL: not started */

    /* News of this turn. */
    struct osr_buffer keys; /* of revocations, each with a byte 0 behind it */
    bool has_all;           /* any of them may be new, ... */
    bool has_access;        /* ... and so may be the policy */

    enum osr_policy_source source; /* of the policy in force */
    uint64_t policy_index;         /* of the agreed one in force */
};

/* Of the machine; NULL before the start. */
struct osr_values *osr_agreed_values(const struct osr_agreed_state *state);

#endif
