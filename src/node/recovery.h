/* recovery.h -- walks the log at open and says how each feed stands, and the ledger. */
#ifndef OSR_NODE_RECOVERY_H
#define OSR_NODE_RECOVERY_H

#include "core/feed.h"
#include "node/facts.h"
#include "node/ledger_log.h"
#include "node/logs.h"

struct osr_recovery;

/* How the feeds stand that have entries. A zeroed one is empty and valid. */
struct osr_recovered {
    struct osr_feed_restored *feeds;
    size_t count;
    struct osr_feed_head *older_heads; /* that the feeds point to */
};
void osr_recovered_done(struct osr_recovered *recovered); /* frees; empty and valid after */

/* Fills `logs`, `facts` and `ledger`, which stay the caller's. */
struct osr_recovery *osr_recovery_create(struct osr_logs *logs, struct osr_facts *facts,
                                         struct osr_ledger_recovered *ledger);
void osr_recovery_destroy(struct osr_recovery *recovery); /* NULL is a no-op */
osr_wal_visit osr_recovery_visit;                         /* context: the recovery */
/* After the walk. Marks the logs of the feeds as restoring. */
int osr_recovery_finish(struct osr_recovery *recovery, struct osr_wal *wal,
                        struct osr_recovered *ret_recovered, struct osr_err *err);

#endif
