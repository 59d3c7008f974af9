/* log_reader.h -- the thread that reads from the log what is not in memory any more: what a
 * follower of a feed lacks, and entries of a ledger. */
#ifndef OSR_NODE_LOG_READER_H
#define OSR_NODE_LOG_READER_H

#include "adapter/wal.h"
#include "adapter/worker.h"

struct osr_log_reader;

/* One thing to read: embedded in what knows how. */
struct osr_log_reading {
    struct osr_job job;                                                 /* first */
    void (*read)(struct osr_log_reading *reading, struct osr_wal *wal); /* on the thread */
    void (*done)(struct osr_log_reading *reading); /* on the loop's; it is the receiver's then */
};

int osr_log_reader_create(uv_loop_t *loop, struct osr_wal *wal, struct osr_log_reader **ret_reader,
                          struct osr_err *err);
void osr_log_reader_submit(struct osr_log_reader *reader, struct osr_log_reading *reading);
/* As osr_worker_destroy: finishes what was submitted. */
void osr_log_reader_destroy(struct osr_log_reader *reader); /* NULL is a no-op */

#endif
