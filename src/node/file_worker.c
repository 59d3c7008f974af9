#include "node/file_worker.h"

#include <stdlib.h>

struct osr_file_worker {
    struct osr_worker *worker;
};

static void work(void *context, struct osr_job *jobs)
{
    (void)context;
    for (struct osr_job *at = jobs; at != NULL; at = at->next) {
        struct osr_file_job *job = (struct osr_file_job *)at;
        job->work(job);
    }
}

static void done(void *context, struct osr_job *at)
{
    struct osr_file_job *job = (struct osr_file_job *)at;
    (void)context;
    job->done(job);
}

int osr_file_worker_create(uv_loop_t *loop, const char *name, struct osr_file_worker **ret_worker,
                           struct osr_err *err)
{
    const struct osr_worker_options options = {
        .name = name, .work = work, .done = done, .batch_max = 1};
    struct osr_worker *worker;

    int code = osr_worker_create(loop, &options, &worker, err);
    if (code != 0) {
        return code;
    }
    *ret_worker = osr_alloc(sizeof **ret_worker);
    (*ret_worker)->worker = worker;
    return 0;
}

void osr_file_worker_submit(struct osr_file_worker *worker, struct osr_file_job *job)
{
    osr_worker_submit(worker->worker, &job->job);
}

void osr_file_worker_destroy(struct osr_file_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    osr_worker_destroy(worker->worker);
    free(worker);
}
