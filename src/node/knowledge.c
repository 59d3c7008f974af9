#include "node/knowledge_internal.h"

#include <stdlib.h>

#include "node/ledger_log.h"

static int read_body(void *context, uint32_t log_id, uint64_t index, struct osr_buffer *stored,
                     struct osr_err *err)
{
    return osr_journal_read_stored(context, log_id, index, stored, err);
}

static void on_applied(void *context, uint64_t ordinal)
{
    struct osr_knowledge *knowledge = context;
    osr_recent_evict(knowledge->recent, ordinal);
    if (!knowledge->is_closing) {
        osr_arrivals_applied(knowledge->arrivals, ordinal);
        osr_rebuild_applied(knowledge);
    }
}

static void on_state(void *context, const struct osr_err *err)
{
    struct osr_knowledge *knowledge = context;
    knowledge->options.on_state(knowledge->options.context, err);
    osr_rebuild_state(knowledge, err);
}

static int start_threads(struct osr_knowledge *knowledge, struct osr_err *err)
{
    const struct osr_knowledge_options *options = &knowledge->options;
    struct osr_projection_options projection_options = {
        .folder = options->folder,
        .bodies = {read_body, options->journal},
        .journal = options->journal,
        .on_applied = on_applied,
        .on_state = on_state,
        .context = knowledge,
        .trace = options->trace,
    };
    int code =
        osr_projection_open(knowledge->loop, &projection_options, &knowledge->projection, err);
    if (code == 0) {
        code = osr_reading_create(knowledge->loop, "lookup", options->folder,
                                  &projection_options.bodies, &knowledge->lookups, err);
    }
    if (code == 0) {
        code = osr_reading_create(knowledge->loop, "scan", options->folder,
                                  &projection_options.bodies, &knowledge->scans, err);
    }
    return code;
}

int osr_knowledge_open(uv_loop_t *loop, const struct osr_knowledge_options *options,
                       struct osr_knowledge **ret_knowledge, struct osr_err *err)
{
    struct osr_knowledge *knowledge = osr_alloc(sizeof(*knowledge));
    knowledge->options = *options;
    knowledge->instance = osr_strdup(options->instance);
    knowledge->loop = loop;
    osr_secret_random(knowledge->hash_key, sizeof(knowledge->hash_key));
    knowledge->recent = osr_recent_create(knowledge->hash_key);
    knowledge->cache = osr_document_cache_create(knowledge->hash_key[1]);
    knowledge->opened_at = osr_wal_last_ordinal(osr_journal_wal(options->journal));
    knowledge->recent_from = knowledge->opened_at;
    knowledge->queries = osr_queries_create();
    knowledge->writes = osr_writes_create(knowledge);
    knowledge->arrivals = osr_arrivals_create(knowledge);

    int code = start_threads(knowledge, err);
    if (code != 0) {
        osr_knowledge_close(knowledge);
        return code;
    }
    if (osr_projection_state(knowledge->projection)->code != OSR_OK) {
        on_state(knowledge, osr_projection_state(knowledge->projection));
    }
    knowledge->released = osr_journal_released(options->journal);
    osr_projection_advance(knowledge->projection, knowledge->released);
    *ret_knowledge = knowledge;
    return 0;
}

void osr_knowledge_close(struct osr_knowledge *knowledge)
{
    if (knowledge == NULL) {
        return;
    }
    knowledge->is_closing = true;
    if (knowledge->projection != NULL) {
        osr_projection_stop(knowledge->projection);
    }
    osr_reading_destroy(knowledge->lookups);
    osr_reading_destroy(knowledge->scans);
    osr_projection_destroy(knowledge->projection);
    osr_rebuild_cancel(knowledge);
    osr_queries_destroy(knowledge->queries);
    osr_writes_destroy(knowledge->writes);
    osr_arrivals_destroy(knowledge->arrivals);
    osr_recent_destroy(knowledge->recent);
    osr_document_cache_destroy(knowledge->cache);
    free(knowledge->instance);
    free(knowledge);
}

void osr_knowledge_limit_replies(struct osr_knowledge *knowledge, struct osr_reply_memory *replies)
{
    knowledge->replies = replies;
}

/* Where nobody can be served from it anyway, or it has grown too long, the index begins anew:
 * those who ask wait for the projection then. */
static void restart_recent(struct osr_knowledge *knowledge, uint64_t from)
{
    osr_recent_clear(knowledge->recent);
    knowledge->recent_from = from;
}

static void add_recent(struct osr_knowledge *knowledge, const struct osr_batch *batch,
                       uint32_t log_id, uint64_t ordinal)
{
    bool has_room = !osr_projection_is_broken(knowledge->projection);
    for (size_t i = 0; i < batch->count && has_room; i++) {
        struct osr_slice id = osr_stored_id(osr_record_stored(osr_batch_record(batch, i)));
        struct osr_position position = {log_id, batch->first + i};
        has_room = osr_recent_add(knowledge->recent, id, position, ordinal);
    }
    if (!has_room) {
        restart_recent(knowledge, ordinal);
    }
}

void osr_knowledge_released(struct osr_knowledge *knowledge, const struct osr_batch *batch,
                            uint32_t log_id, uint64_t last_ordinal)
{
    if (knowledge->is_closing) {
        return;
    }
    if (log_id == OSR_LEDGER_LOG_FIRST) {
        osr_projection_skip(knowledge->projection, last_ordinal); /* nobody waits for it */
        return;
    }
    knowledge->released = last_ordinal;
    if (batch != NULL) {
        add_recent(knowledge, batch, log_id, last_ordinal);
        osr_document_cache_released(knowledge->cache, batch);
    }
    osr_projection_advance(knowledge->projection, last_ordinal);
    if (batch != NULL && strcmp(batch->feed.origin, knowledge->instance) == 0) {
        osr_writes_released(knowledge->writes, batch, log_id);
    }
    osr_queries_released(knowledge->queries);
}

void osr_knowledge_review(struct osr_knowledge *knowledge)
{
    if (!knowledge->is_closing) {
        osr_queries_released(knowledge->queries); /* each looks first who asks */
    }
}

bool osr_knowledge_is_busy(const struct osr_knowledge *knowledge)
{
    bool is_running = osr_projection_state(knowledge->projection)->code == OSR_OK;
    return osr_writes_are_many(knowledge->writes) || osr_arrivals_are_many(knowledge->arrivals) ||
           (is_running && osr_recent_count(knowledge->recent) > OSR_KNOWLEDGE_LAG_MAX);
}

uint64_t osr_knowledge_lag(const struct osr_knowledge *knowledge)
{
    uint64_t applied = osr_projection_applied(knowledge->projection);
    return knowledge->released > applied ? knowledge->released - applied : 0;
}
