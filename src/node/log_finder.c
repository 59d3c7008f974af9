#include "node/log_finder.h"

#include <stdlib.h>

enum { SEARCHES_MAX = 1 }; /* each is long enough to be handed back alone */

struct osr_log_finder {
    struct osr_worker *worker;
    struct osr_journal *journal;
};

enum { FOUND = -1 };

static int take(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    struct osr_log_place *place = context;
    (void)err;
    place->ordinal = record->ordinal;
    place->time_ms = osr_get_u64(osr_record_stored(record->payload).data);
    return FOUND;
}

static void find(struct osr_journal *journal, struct osr_log_place *place)
{
    uint32_t log_id = osr_journal_find_log(journal, place->feed);
    struct osr_err err;
    if (log_id != 0) {
        (void)osr_wal_read(osr_journal_wal(journal), log_id, place->sequence, take, place, &err);
    }
}

static void work(void *context, struct osr_job *jobs)
{
    const struct osr_log_finder *finder = context;
    for (struct osr_job *job = jobs; job != NULL; job = job->next) {
        struct osr_log_search *search = (struct osr_log_search *)job;
        for (size_t i = 0; i < search->count; i++) {
            find(finder->journal, &search->places[i]);
        }
    }
}

static void done(void *context, struct osr_job *job)
{
    struct osr_log_search *search = (struct osr_log_search *)job;
    (void)context;
    search->done(search);
}

int osr_log_finder_create(uv_loop_t *loop, struct osr_journal *journal,
                          struct osr_log_finder **ret_finder, struct osr_err *err)
{
    struct osr_log_finder *finder = osr_alloc(sizeof(*finder));
    finder->journal = journal;
    const struct osr_worker_options options = {
        .name = "finder", .work = work, .done = done, .context = finder, .batch_max = SEARCHES_MAX};
    int code = osr_worker_create(loop, &options, &finder->worker, err);
    if (code != 0) {
        free(finder);
        return code;
    }
    *ret_finder = finder;
    return 0;
}

void osr_log_finder_submit(struct osr_log_finder *finder, struct osr_log_search *search)
{
    osr_worker_submit(finder->worker, &search->job);
}

void osr_log_finder_destroy(struct osr_log_finder *finder)
{
    if (finder != NULL) {
        osr_worker_destroy(finder->worker);
        free(finder);
    }
}
