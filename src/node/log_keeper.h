/* log_keeper.h -- the thread "segments": makes ready the log's next segment, writes anew those in
 * which most is void, so that what is discarded gives its room back, and joins those of which
 * little is left.
 *
 * No append waits for it: the next segment is ready, or most of the current one is free, before
 * another is rewritten, and the next is looked after again before a second one is.
 *
 * Failures: no room is no news here, for the append that needs it will say so. What else keeps a
 * segment from being rewritten is said once, and the log then grows until the next start. */
#ifndef OSR_NODE_LOG_KEEPER_H
#define OSR_NODE_LOG_KEEPER_H

#include "adapter/wal.h"
#include "adapter/worker.h"

struct osr_log_keeper;

int osr_log_keeper_create(uv_loop_t *loop, struct osr_wal *wal, const struct osr_trace *trace,
                          struct osr_log_keeper **ret_keeper, struct osr_err *err);
/* So many bytes went into the log: every now and then that is a reason to look. */
void osr_log_keeper_wrote(struct osr_log_keeper *keeper, size_t bytes);
void osr_log_keeper_look(struct osr_log_keeper *keeper); /* much may be void now */
/* As osr_worker_destroy: finishes what is under way. NULL is a no-op. */
void osr_log_keeper_destroy(struct osr_log_keeper *keeper);

#endif
