/* log_limit.h -- a trace for what connections cause: whoever connects, talks nonsense and comes
 * again does not fill the disk with our log.
 *
 * Of errors, warnings and news at most OSR_LOG_LINES_MAX go through in a second; behind them comes
 * one line that says how many more there were. TRACE lines go through: who asks for them wants
 * them all.
 *
 * Threads: the loop's only. */
#ifndef OSR_NODE_LOG_LIMIT_H
#define OSR_NODE_LOG_LIMIT_H

#include <uv.h>

#include "base/trace.h"

enum {
    OSR_LOG_LINES_MAX = 10, /* in a second: stops a hostile peer from filling the disk */
};

struct osr_log_limit;

/* `trace` gets the lines; it must outlive the limit. */
struct osr_log_limit *osr_log_limit_create(uv_loop_t *loop, const struct osr_trace *trace);
/* What to write to; lives as long as the limit. */
const struct osr_trace *osr_log_limit_trace(const struct osr_log_limit *limit);
/* Says what it still has to say. Then run the loop once more. NULL is a no-op. */
void osr_log_limit_destroy(struct osr_log_limit *limit);

#endif
