/* log_finder.h -- the thread that finds single entries in the log for operations: when an entry
 * was made, and where it stands. The loop does not wait for the disk. */
#ifndef OSR_NODE_LOG_FINDER_H
#define OSR_NODE_LOG_FINDER_H

#include "node/journal.h"

struct osr_log_finder;

/* One entry, and what was found out about it. */
struct osr_log_place {
    const struct osr_feed_id *feed;
    uint64_t sequence;
    uint64_t time_ms; /* when it was made; 0: it cannot be read */
    uint64_t ordinal; /* where it stands in the log; 0: it cannot be read */
};

/* What is asked for is the thread's from submit to done. */
struct osr_log_search {
    struct osr_job job; /* first */
    struct osr_log_place *places;
    size_t count;
    void (*done)(struct osr_log_search *search); /* on the loop's thread */
};

int osr_log_finder_create(uv_loop_t *loop, struct osr_journal *journal,
                          struct osr_log_finder **ret_finder, struct osr_err *err);
void osr_log_finder_submit(struct osr_log_finder *finder, struct osr_log_search *search);
/* As osr_worker_destroy: finishes what was submitted. */
void osr_log_finder_destroy(struct osr_log_finder *finder); /* NULL is a no-op */

#endif
