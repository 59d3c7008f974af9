/* file_worker.h -- a thread for reading and writing files, which may be large or on a slow disk:
 * one for all who have whole files beside the data folder, and one for a ledger's snapshots. */
#ifndef OSR_NODE_FILE_WORKER_H
#define OSR_NODE_FILE_WORKER_H

#include "adapter/worker.h"

struct osr_file_worker;

struct osr_file_job {
    struct osr_job job;                     /* first; the thread's from submit to done */
    void (*work)(struct osr_file_job *job); /* on the thread */
    void (*done)(struct osr_file_job *job); /* on the loop's */
};

/* `name` of the thread: at most 15 bytes. */
int osr_file_worker_create(uv_loop_t *loop, const char *name, struct osr_file_worker **ret_worker,
                           struct osr_err *err);
void osr_file_worker_submit(struct osr_file_worker *worker, struct osr_file_job *job);
/* As osr_worker_destroy: finishes what was submitted. NULL is a no-op. */
void osr_file_worker_destroy(struct osr_file_worker *worker);

#endif
