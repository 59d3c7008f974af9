/* The projection made anew: stop it, close it for everybody who reads it, replace its files,
 * and let it walk the log from the beginning. Meanwhile those who ask wait. */
#include <stdlib.h>

#include "node/query.h"

struct osr_rebuild;

struct closing {
    struct osr_reading_job job; /* first */
    struct osr_rebuild *rebuild;
};

struct osr_rebuild {
    struct osr_knowledge *knowledge;
    struct osr_query *query; /* NULL: nobody asks any more */
    uint64_t total;          /* ordinal that was released at the beginning */
    bool is_reset;           /* the files are new */
    struct closing closings[2];
    size_t open_readers;
};

/* The query of a rebuild is not run by the readings' threads, but told how far it is. */
static int fill_nothing(struct osr_query *query, struct osr_reading *reading, struct osr_err *err)
{
    (void)query;
    (void)reading;
    return osr_err_set(err, OSR_IN_USE, "a rebuild is under way");
}

static const struct osr_query_kind kind = {
    .name = "rebuild", .is_told = true, .fill = fill_nothing};

static void forget(struct osr_rebuild *rebuild)
{
    rebuild->knowledge->rebuild = NULL;
    free(rebuild);
}

static void on_reset(void *context, const struct osr_err *err)
{
    struct osr_rebuild *rebuild = context;
    struct osr_knowledge *knowledge = rebuild->knowledge;
    if (err->code != OSR_OK) {
        struct osr_query *query = rebuild->query;
        forget(rebuild);
        osr_query_tell_failure(query, err);
        return;
    }
    rebuild->is_reset = true;
    osr_recent_clear(knowledge->recent);
    knowledge->recent_from = knowledge->released;
    osr_rebuild_applied(knowledge);
}

static void work_close(struct osr_reading_job *job, struct osr_reading *reading)
{
    (void)job;
    osr_reading_close_store(reading);
}

static void on_closed(struct osr_reading_job *job)
{
    struct osr_rebuild *rebuild = ((struct closing *)job)->rebuild;
    struct osr_knowledge *knowledge = rebuild->knowledge;
    if (--rebuild->open_readers == 0 && !knowledge->is_closing) {
        osr_projection_reset(knowledge->projection, on_reset, rebuild);
    }
}

static void close_reader(struct osr_rebuild *rebuild, struct closing *closing,
                         struct osr_reading *reading)
{
    closing->job.work = work_close;
    closing->job.done = on_closed;
    closing->rebuild = rebuild;
    rebuild->open_readers++;
    osr_reading_submit(reading, &closing->job);
}

static void on_paused(void *context)
{
    struct osr_rebuild *rebuild = context;
    close_reader(rebuild, &rebuild->closings[0], rebuild->knowledge->lookups);
    close_reader(rebuild, &rebuild->closings[1], rebuild->knowledge->scans);
}

struct osr_query *osr_knowledge_rebuild(struct osr_knowledge *knowledge,
                                        osr_query_reply_fn *on_reply, void *context)
{
    struct osr_query *query = osr_query_create(knowledge, NULL, &kind, on_reply, context);
    if (knowledge->rebuild != NULL) {
        osr_err_set(&query->err, OSR_IN_USE, "a rebuild is under way");
    }
    if (query->err.code != OSR_OK) {
        return osr_query_ask(query);
    }
    struct osr_rebuild *rebuild = osr_alloc(sizeof(*rebuild));
    rebuild->knowledge = knowledge;
    rebuild->query = query;
    rebuild->total = knowledge->released;
    query->told_by = &rebuild->query;
    knowledge->rebuild = rebuild;
    osr_projection_pause(knowledge->projection, on_paused, rebuild);
    return query;
}

void osr_rebuild_applied(struct osr_knowledge *knowledge)
{
    struct osr_rebuild *rebuild = knowledge->rebuild;
    if (rebuild == NULL || !rebuild->is_reset) {
        return;
    }
    uint64_t applied = osr_projection_applied(knowledge->projection);
    bool is_done = applied >= rebuild->total;
    struct osr_query_reply reply = {
        .position = is_done ? rebuild->total : applied,
        .sequence = rebuild->total,
        .last = is_done,
    };
    struct osr_query *query = rebuild->query;
    if (is_done) {
        forget(rebuild);
    }
    osr_query_tell(query, &reply);
}

void osr_rebuild_state(struct osr_knowledge *knowledge, const struct osr_err *err)
{
    struct osr_rebuild *rebuild = knowledge->rebuild;
    if (rebuild != NULL && rebuild->is_reset && err->code != OSR_OK) {
        struct osr_query *query = rebuild->query;
        forget(rebuild);
        osr_query_tell_failure(query, err);
    }
}

void osr_rebuild_cancel(struct osr_knowledge *knowledge)
{
    if (knowledge->rebuild != NULL) {
        if (knowledge->rebuild->query != NULL) {
            knowledge->rebuild->query->told_by = NULL;
        }
        forget(knowledge->rebuild);
    }
}
