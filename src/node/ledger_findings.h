/* ledger_findings.h -- what `osiris cluster why` says: how the ledger stands as seen from this
 * member, why, and what is safe to do next, in sentences. Made of the numbers of a status alone. */
#ifndef OSR_NODE_LEDGER_FINDINGS_H
#define OSR_NODE_LEDGER_FINDINGS_H

#include <stdbool.h>

#include "base/bytes.h"
#include "model/message.h"

enum { OSR_LEDGER_FINDINGS_MAX = 48 }; /* two for each of 16 members, and the rest */

/* What a status does not have. */
struct osr_ledger_circumstances {
    const char *stopped; /* why this member takes no part any more; NULL: it does */
    const char *hint;    /* what to do about that; may be empty */
    const char *refusal; /* what a member said last that takes nothing of this one; NULL: nothing */
    const char *refusal_hint; /* what to do about that; may be empty */
    bool is_disk_slow;        /* the disk is full, or does not keep up */
    bool is_loading;          /* a snapshot that came is being taken in */
};

/* Fills in status->findings, from `arena`. */
void osr_ledger_findings(struct osr_arena *arena,
                         const struct osr_ledger_circumstances *circumstances,
                         Osr__ClusterStatusResponse *status);

#endif
