#include "node/reading.h"

#include <stdlib.h>

enum {
    JOBS_MAX = 16, /* handed over at a time; short ones come back together */
    /* The thread's, or done and not yet told: each may hold a large document. */
    JOBS_UNDER_WAY_MAX = 32,
};

struct osr_reading {
    struct osr_worker *worker;
    struct osr_job *waiting;      /* for their turn, in order */
    struct osr_job **waiting_end; /* where the next one is put */
    char *folder;
    struct osr_bodies bodies;
    struct osr_store_reader *store; /* the thread's; NULL: not open */
};

static void work(void *context, struct osr_job *jobs)
{
    struct osr_reading *reading = context;
    for (struct osr_job *next = jobs; next != NULL; next = next->next) {
        struct osr_reading_job *job = (struct osr_reading_job *)next;
        job->work(job, reading);
    }
}

/* Hands over as many as may be under way. */
static void hand_over(struct osr_reading *reading)
{
    while (reading->waiting != NULL && osr_worker_waiting(reading->worker) < JOBS_UNDER_WAY_MAX) {
        struct osr_job *job = reading->waiting;
        reading->waiting = job->next;
        if (reading->waiting == NULL) {
            reading->waiting_end = &reading->waiting;
        }
        osr_worker_submit(reading->worker, job);
    }
}

static void done(void *context, struct osr_job *next)
{
    struct osr_reading_job *job = (struct osr_reading_job *)next;
    job->done(job);
    hand_over(context);
}

int osr_reading_create(uv_loop_t *loop, const char *name, const char *folder,
                       const struct osr_bodies *bodies, struct osr_reading **ret_reading,
                       struct osr_err *err)
{
    struct osr_reading *reading = osr_alloc(sizeof(*reading));
    reading->bodies = *bodies;
    reading->waiting_end = &reading->waiting;
    struct osr_worker_options options = {
        .name = name, .work = work, .done = done, .context = reading, .batch_max = JOBS_MAX};
    int code = osr_worker_create(loop, &options, &reading->worker, err);
    if (code != 0) {
        free(reading);
        return code;
    }
    reading->folder = osr_strdup(folder);
    *ret_reading = reading;
    return 0;
}

void osr_reading_submit(struct osr_reading *reading, struct osr_reading_job *job)
{
    job->job.next = NULL;
    *reading->waiting_end = &job->job;
    reading->waiting_end = &job->job.next;
    hand_over(reading);
}

void osr_reading_destroy(struct osr_reading *reading)
{
    if (reading != NULL) {
        osr_worker_destroy(reading->worker);
        osr_store_reader_close(reading->store);
        free(reading->folder);
        free(reading);
    }
}

int osr_reading_store(struct osr_reading *reading, struct osr_store_reader **ret_store,
                      struct osr_err *err)
{
    if (reading->store == NULL) {
        int code = osr_store_reader_open(reading->folder, &reading->bodies, &reading->store, err);
        if (code != 0) {
            return code;
        }
    }
    *ret_store = reading->store;
    return 0;
}

void osr_reading_close_store(struct osr_reading *reading)
{
    osr_store_reader_close(reading->store);
    reading->store = NULL;
}
