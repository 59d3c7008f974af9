/* ledger_history.h -- which term and configuration hold at an index: of those that a snapshot may
 * still be made at, which are at most as old as the values on disk. So it is short.
 * A zeroed one is empty and valid; the loop's only. */
#ifndef OSR_NODE_LEDGER_HISTORY_H
#define OSR_NODE_LEDGER_HISTORY_H

#include "core/queue.h"
#include "core/raft.h"

struct osr_ledger_history {
    struct osr_queue marks; /* by index, upwards; each holds up to the next */
};

void osr_ledger_history_done(struct osr_ledger_history *history); /* empty and valid after */
/* Begins anew with what holds from an index on. */
void osr_ledger_history_set(struct osr_ledger_history *history, uint64_t index, uint64_t term,
                            const struct osr_raft_configuration *configuration);
/* One of the entries, which come in their order; those that change nothing cost nothing. */
void osr_ledger_history_note(struct osr_ledger_history *history,
                             const struct osr_raft_entry *entry);
/* Nobody will ask for what held before. */
void osr_ledger_history_forget(struct osr_ledger_history *history, uint64_t index);
/* Fills in index, term and configuration. False where it was not told what held then. */
bool osr_ledger_history_find(const struct osr_ledger_history *history, uint64_t index,
                             struct osr_raft_snapshot *snapshot);

#endif
