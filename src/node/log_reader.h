/* log_reader.h -- the thread that reads from the log what a follower lacks and memory does not
 * hold any more. */
#ifndef OSR_NODE_LOG_READER_H
#define OSR_NODE_LOG_READER_H

#include "adapter/wal.h"
#include "adapter/worker.h"
#include "node/excerpt.h"

struct osr_log_reader;

/* `done` is called on the loop's thread with each excerpt that was submitted, filled; it is the
 * receiver's then. */
int osr_log_reader_create(uv_loop_t *loop, struct osr_wal *wal,
                          void (*done)(void *context, uint64_t ticket, struct osr_excerpt *excerpt),
                          void *context, struct osr_log_reader **ret_reader, struct osr_err *err);
/* Takes the excerpt. */
void osr_log_reader_submit(struct osr_log_reader *reader, uint64_t ticket, uint32_t log_id,
                           uint64_t first, struct osr_excerpt *excerpt);
/* As osr_worker_destroy: finishes what was submitted. */
void osr_log_reader_destroy(struct osr_log_reader *reader); /* NULL is a no-op */

#endif
