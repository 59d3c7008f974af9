/* reading.h -- a thread that reads the projection through a connection of its own. There are
 * two: one for single documents, one for what takes longer.
 *
 * The connection is opened at the first use, and again after osr_reading_close_store: before
 * the projection's files are replaced nobody may have them open. */
#ifndef OSR_NODE_READING_H
#define OSR_NODE_READING_H

#include "adapter/store.h"
#include "adapter/worker.h"

struct osr_reading;

struct osr_reading_job {
    struct osr_job job; /* first; the thread's from submit to done */
    void (*work)(struct osr_reading_job *job, struct osr_reading *reading);
    void (*done)(struct osr_reading_job *job); /* on the loop's thread */
};

int osr_reading_create(uv_loop_t *loop, const char *name, const char *folder,
                       const struct osr_bodies *bodies, struct osr_reading **ret_reading,
                       struct osr_err *err);
void osr_reading_submit(struct osr_reading *reading, struct osr_reading_job *job);
/* As osr_worker_destroy: finishes what was submitted. */
void osr_reading_destroy(struct osr_reading *reading); /* NULL is a no-op */

/* For `work`, on the thread. */
int osr_reading_store(struct osr_reading *reading, struct osr_store_reader **ret_store,
                      struct osr_err *err);
void osr_reading_close_store(struct osr_reading *reading);

#endif
