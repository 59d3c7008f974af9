/* log_writer.h -- the thread that appends to the log: everything that waits, then one sync.
 *
 * Failures: no room fails one append with DISK_FULL and leaves the others alone; what builds
 * on the refused batch is refused with it, and so are all entries of a ledger that were submitted
 * before whoever stores them knew of the refusal (osr_append.refusals_known). A failed write or
 * sync is for good: nothing is appended after it, and osr_log_writer_failure says what happened. */
#ifndef OSR_NODE_LOG_WRITER_H
#define OSR_NODE_LOG_WRITER_H

#include "node/append.h"

struct osr_log_writer;

/* `done` is called on the loop's thread with append->code set: OK, DISK_FULL or the failure. */
int osr_log_writer_create(uv_loop_t *loop, struct osr_wal *wal,
                          void (*done)(void *context, struct osr_append *append), void *context,
                          struct osr_log_writer **ret_writer, struct osr_err *err);
void osr_log_writer_submit(struct osr_log_writer *writer, struct osr_append *append);
/* What happened, once an append came back with neither OK nor DISK_FULL. */
const struct osr_err *osr_log_writer_failure(const struct osr_log_writer *writer);
/* As osr_worker_destroy: finishes what was submitted. */
void osr_log_writer_destroy(struct osr_log_writer *writer); /* NULL is a no-op */

#endif
