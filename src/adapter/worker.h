/* worker.h -- a thread that does jobs for the loop, in order, and hands them back.
 *
 * Used for the log, the projection, queries and signatures. The loop submits, the thread runs
 * `work`, the loop gets `done` in the order of submission. A worker may take several
 * waiting jobs in one go (group commit): `work` gets a list. */
#ifndef OSR_ADAPTER_WORKER_H
#define OSR_ADAPTER_WORKER_H

#include <uv.h>

#include "base/bytes.h"
#include "base/error.h"

struct osr_job {
    struct osr_job *next; /* owned by the worker between submit and done */
};

struct osr_worker;

struct osr_worker_options {
    const char *name; /* of the thread, at most 15 bytes */
    /* On the thread: does all jobs of the list, in order. The list may be as long as
     * batch_max. */
    void (*work)(void *context, struct osr_job *jobs);
    /* On the loop's thread, once for each job. */
    void (*done)(void *context, struct osr_job *job);
    /* On the thread, when it has nothing to do; may be NULL. Called once after each time work
     * was done. */
    void (*idle)(void *context);
    void *context;
    uint32_t batch_max; /* jobs given to `work` at a time; 1.. */
};

int osr_worker_create(uv_loop_t *loop, const struct osr_worker_options *options,
                      struct osr_worker **ret_worker, struct osr_err *err);
void osr_worker_submit(struct osr_worker *worker, struct osr_job *job);
uint32_t osr_worker_waiting(const struct osr_worker *worker); /* submitted and not done */
/* Finishes all jobs (their `done` is called), joins the thread, closes the handle. Call before
 * the loop is closed, then let the loop run once more. NULL is a no-op. */
void osr_worker_destroy(struct osr_worker *worker);

#endif
