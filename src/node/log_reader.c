#include "node/log_reader.h"

#include <stdlib.h>

enum { JOBS_MAX = 1 }; /* each is long enough to be handed back alone */

struct osr_log_reader {
    struct osr_worker *worker;
    struct osr_wal *wal;
    void (*done)(void *context, uint64_t ticket, struct osr_excerpt *excerpt);
    void *context;
};

struct reading {
    struct osr_job job; /* first */
    uint64_t ticket;
    uint32_t log_id;
    uint64_t next; /* sequence of the entry that must come */
    struct osr_excerpt *excerpt;
};

enum { ENOUGH = -1 };

static int visit(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    struct reading *reading = context;
    bool wants_more = true;
    (void)err;
    if (record->type == OSR_WAL_ENTRY) {
        if (record->index != reading->next) {
            return ENOUGH; /* cut meanwhile; what was asked for was never behind a cut */
        }
        reading->next++;
        wants_more = osr_excerpt_add_entry(reading->excerpt, record->payload, true);
    } else if (record->payload.size == OSR_SIGNATURE_SIZE) {
        struct osr_signature signature;
        memcpy(signature.bytes, record->payload.data, OSR_SIGNATURE_SIZE);
        wants_more = osr_excerpt_add_head(reading->excerpt, record->index, &signature);
    }
    return wants_more ? 0 : ENOUGH;
}

static void work(void *context, struct osr_job *jobs)
{
    const struct osr_log_reader *reader = context;
    for (struct osr_job *job = jobs; job != NULL; job = job->next) {
        struct reading *reading = (struct reading *)job;
        struct osr_err err;
        int code = osr_wal_read(reader->wal, reading->log_id, reading->next, visit, reading, &err);
        if (code != 0 && code != ENOUGH) {
            osr_excerpt_fail(reading->excerpt, &err);
        }
    }
}

static void done(void *context, struct osr_job *job)
{
    struct osr_log_reader *reader = context;
    struct reading *reading = (struct reading *)job;
    reader->done(reader->context, reading->ticket, reading->excerpt);
    free(reading);
}

int osr_log_reader_create(uv_loop_t *loop, struct osr_wal *wal,
                          void (*on_done)(void *context, uint64_t ticket,
                                          struct osr_excerpt *excerpt),
                          void *context, struct osr_log_reader **ret_reader, struct osr_err *err)
{
    struct osr_log_reader *reader = osr_alloc(sizeof(*reader));
    reader->wal = wal;
    reader->done = on_done;
    reader->context = context;
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

void osr_log_reader_submit(struct osr_log_reader *reader, uint64_t ticket, uint32_t log_id,
                           uint64_t first, struct osr_excerpt *excerpt)
{
    struct reading *reading = osr_alloc(sizeof(*reading));
    reading->ticket = ticket;
    reading->log_id = log_id;
    reading->next = first;
    reading->excerpt = excerpt;
    osr_worker_submit(reader->worker, &reading->job);
}

void osr_log_reader_destroy(struct osr_log_reader *reader)
{
    if (reader != NULL) {
        osr_worker_destroy(reader->worker);
        free(reader);
    }
}
