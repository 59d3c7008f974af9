#include "node/log_keeper.h"

#include <stdlib.h>

/* Written since the last look: often enough for the smallest segment. */
enum { LOOK_EVERY_BYTES = 512 << 10 };

struct osr_log_keeper {
    struct osr_worker *worker;
    struct osr_wal *wal;
    struct osr_trace trace;
    struct osr_job job;
    size_t written; /* bytes, since the last look */
    bool is_looking;
    bool is_wanted; /* to look again, after this time */
    bool is_closing;

    /* The thread's while it looks. */
    bool is_broken;      /* a segment could not be rewritten */
    bool has_more;       /* there is another to rewrite */
    struct osr_err news; /* what went wrong this time */
};

static void compact(struct osr_log_keeper *keeper)
{
    if (keeper->is_broken || !osr_wal_is_compactable(keeper->wal)) {
        return;
    }
    int code = osr_wal_compact(keeper->wal, &keeper->news);
    if (code == 0) {
        keeper->has_more = osr_wal_is_compactable(keeper->wal);
    } else if (code == OSR_DISK_FULL) {
        keeper->news.code = OSR_OK;
    } else {
        keeper->is_broken = true;
    }
}

static void work(void *context, struct osr_job *jobs)
{
    struct osr_log_keeper *keeper = context;
    (void)jobs;
    keeper->has_more = false;
    keeper->news.code = OSR_OK;
    osr_wal_prepare(keeper->wal, NULL);
    compact(keeper);
}

static void look_if_wanted(struct osr_log_keeper *keeper)
{
    if (keeper->is_wanted && !keeper->is_looking && !keeper->is_closing) {
        keeper->is_wanted = false;
        keeper->is_looking = true;
        keeper->written = 0;
        osr_worker_submit(keeper->worker, &keeper->job);
    }
}

static void done(void *context, struct osr_job *job)
{
    struct osr_log_keeper *keeper = context;
    (void)job;
    keeper->is_looking = false;
    keeper->is_wanted = keeper->is_wanted || keeper->has_more;
    if (keeper->news.code != OSR_OK) {
        osr_trace(&keeper->trace, OSR_LEVEL_ERROR,
                  "log: its room is not given back any more, until the next start: %s",
                  keeper->news.message);
    }
    look_if_wanted(keeper);
}

int osr_log_keeper_create(uv_loop_t *loop, struct osr_wal *wal, const struct osr_trace *trace,
                          struct osr_log_keeper **ret_keeper, struct osr_err *err)
{
    struct osr_log_keeper *keeper = osr_alloc(sizeof(*keeper));
    keeper->wal = wal;
    keeper->trace = *trace;
    struct osr_worker_options options = {
        .name = "segments", .work = work, .done = done, .context = keeper, .batch_max = 1};
    int code = osr_worker_create(loop, &options, &keeper->worker, err);
    if (code != 0) {
        free(keeper);
        return code;
    }
    *ret_keeper = keeper;
    return 0;
}

void osr_log_keeper_look(struct osr_log_keeper *keeper)
{
    keeper->is_wanted = true;
    look_if_wanted(keeper);
}

void osr_log_keeper_wrote(struct osr_log_keeper *keeper, size_t bytes)
{
    keeper->written += bytes;
    if (keeper->written >= LOOK_EVERY_BYTES) {
        osr_log_keeper_look(keeper);
    }
}

void osr_log_keeper_destroy(struct osr_log_keeper *keeper)
{
    if (keeper != NULL) {
        keeper->is_closing = true;
        osr_worker_destroy(keeper->worker);
        free(keeper);
    }
}
