#include "node/log_reader.h"

#include <stdlib.h>

enum { JOBS_MAX = 1 }; /* each is long enough to be handed back alone */

struct osr_log_reader {
    struct osr_worker *worker;
    struct osr_wal *wal;
};

static void work(void *context, struct osr_job *jobs)
{
    const struct osr_log_reader *reader = context;
    for (struct osr_job *job = jobs; job != NULL; job = job->next) {
        struct osr_log_reading *reading = (struct osr_log_reading *)job;
        reading->read(reading, reader->wal);
    }
}

static void done(void *context, struct osr_job *job)
{
    struct osr_log_reading *reading = (struct osr_log_reading *)job;
    (void)context;
    reading->done(reading);
}

int osr_log_reader_create(uv_loop_t *loop, struct osr_wal *wal, struct osr_log_reader **ret_reader,
                          struct osr_err *err)
{
    struct osr_log_reader *reader = osr_alloc(sizeof(*reader));
    reader->wal = wal;
    struct osr_worker_options options = {
        .name = "reader", .work = work, .done = done, .context = reader, .batch_max = JOBS_MAX};
    int code = osr_worker_create(loop, &options, &reader->worker, err);
    if (code != 0) {
        free(reader);
        return code;
    }
    *ret_reader = reader;
    return 0;
}

void osr_log_reader_submit(struct osr_log_reader *reader, struct osr_log_reading *reading)
{
    osr_worker_submit(reader->worker, &reading->job);
}

void osr_log_reader_destroy(struct osr_log_reader *reader)
{
    if (reader != NULL) {
        osr_worker_destroy(reader->worker);
        free(reader);
    }
}
