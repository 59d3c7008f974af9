#include "node/query.h"

#include <assert.h>
#include <stdlib.h>

enum {
    ARENA_CAP = 16 << 20, /* of a chunk, decoded */
    /* A row may be copied once more before the chunk goes: into what is queued for its reader. */
    COPIES = 2,
    /* What is reserved for a document, and for a chunk, before they are there. */
    LOOKUP_BYTES = COPIES * (OSR_DATA_BYTES_MAX + OSR_DATA_BYTES_MAX / 8),
    CHUNK_BYTES = LOOKUP_BYTES + COPIES * OSR_CHUNK_BYTES,
};

struct osr_queries {
    struct osr_query *first;
    size_t count;
    size_t idle_count;
};

static void go_on(struct osr_query *query);

/* ---- memory ---- */

static void hold(struct osr_query *query, size_t bytes)
{
    osr_reply_memory_hold(query->knowledge->replies, &query->part, bytes);
}

static size_t arena_used(const struct osr_arena *arena)
{
    return arena != NULL ? osr_arena_used(arena) : 0;
}

/* What the thread has made of the query. */
static void count_memory(struct osr_query *query)
{
    size_t chunk = arena_used(query->arena) + query->row_capacity * sizeof(query->rows[0]);
    size_t places =
        arena_used(query->place_arena) + query->place_capacity * sizeof(query->places[0]);
    hold(query, COPIES * chunk + places);
}

/* Its rows are all told. */
static void drop_chunk(struct osr_query *query)
{
    osr_arena_destroy(query->arena);
    free(query->rows);
    query->arena = NULL;
    query->rows = NULL;
    query->row_count = query->row_next = query->row_capacity = 0;
    count_memory(query);
}

/* ---- life ---- */

struct osr_queries *osr_queries_create(void)
{
    return osr_alloc(sizeof(struct osr_queries));
}

static void link_query(struct osr_queries *queries, struct osr_query *query)
{
    query->next = queries->first;
    if (query->next != NULL) {
        query->next->previous = query;
    }
    queries->first = query;
    queries->count++;
}

static void unlink_query(struct osr_queries *queries, struct osr_query *query)
{
    *(query->previous != NULL ? &query->previous->next : &queries->first) = query->next;
    if (query->next != NULL) {
        query->next->previous = query->previous;
    }
    queries->count--;
    queries->idle_count -= query->is_idle;
}

static void destroy(struct osr_query *query)
{
    assert(!query->is_on_thread && !query->is_waiting);
    unlink_query(query->knowledge->queries, query);
    if (query->is_in_line) {
        osr_reply_memory_leave(query->knowledge->replies, &query->room_wait);
    }
    hold(query, 0);
    if (query->told_by != NULL) {
        *query->told_by = NULL;
    }
    osr_buffer_done(&query->text);
    osr_lookup_done(&query->lookup);
    osr_arena_destroy(query->arena);
    osr_arena_destroy(query->place_arena);
    free(query->rows);
    free(query->places);
    osr_grant_release(query->grant);
    free(query->feeds);
    free(query->collection);
    free(query);
}

/* ---- replies ---- */

/* Tells the last thing; the query is gone after. */
static void end(struct osr_query *query, const struct osr_query_reply *reply)
{
    query->is_replying = true;
    query->on_reply(query->context, reply);
    destroy(query);
}

static void fail(struct osr_query *query, const struct osr_err *err)
{
    struct osr_err kept = *err;
    struct osr_query_reply reply = {.err = &kept, .last = true};
    end(query, &reply);
}

/* Gives rows until there are no more, or the receiver has enough. False: the query is gone. */
static bool reply_rows(struct osr_query *query)
{
    query->is_replying = true;
    while (query->row_next < query->row_count && !query->is_paused) {
        struct osr_query_reply *row = &query->rows[query->row_next++];
        row->more_later = query->row_next == query->row_count;
        if (row->more_later && query->is_at_end) {
            row->last = true;
            end(query, row);
            return false;
        }
        query->on_reply(query->context, row);
        if (query->is_cancelled) {
            destroy(query);
            return false;
        }
    }
    query->is_replying = false;
    if (query->row_next == query->row_count) {
        drop_chunk(query);
    }
    return true;
}

/* ---- the way of a query ---- */

static void work(struct osr_reading_job *job, struct osr_reading *reading)
{
    struct osr_query *query = (struct osr_query *)job;
    if (query->err.code != OSR_OK) {
        return; /* it only waits for its turn to say so */
    }
    query->arena = osr_arena_create(0, ARENA_CAP);
    struct osr_err err;
    if (query->kind->fill(query, reading, &err) != 0) {
        query->err = err;
    }
}

static void done(struct osr_reading_job *job)
{
    struct osr_query *query = (struct osr_query *)job;
    query->is_on_thread = false;
    count_memory(query);
    if (query->kind->filled != NULL) {
        query->kind->filled(query);
    }
    if (query->is_cancelled) {
        destroy(query);
    } else {
        go_on(query);
    }
}

static void submit(struct osr_query *query)
{
    struct osr_knowledge *knowledge = query->knowledge;
    query->is_on_thread = true;
    osr_reading_submit(query->kind->is_lookup ? knowledge->lookups : knowledge->scans, &query->job);
}

static void submit_with_room(struct osr_query *query)
{
    hold(query, query->part.bytes + query->room_wait.bytes);
    submit(query);
}

static void on_room(struct osr_reply_wait *wait)
{
    struct osr_query *query =
        (struct osr_query *)((char *)wait - offsetof(struct osr_query, room_wait));
    query->is_in_line = false;
    submit_with_room(query);
}

/* Submits what will bring documents once there is room for them. */
static void submit_in_turn(struct osr_query *query)
{
    const struct osr_query_kind *kind = query->kind;
    query->room_wait.part = &query->part;
    query->room_wait.ready = on_room;
    if (query->err.code != OSR_OK || !(kind->is_lookup || kind->is_stream)) {
        submit(query);
        return;
    }
    query->room_wait.line = kind->is_lookup ? OSR_REPLY_LOOKUPS : OSR_REPLY_STREAMS;
    query->room_wait.bytes = kind->is_lookup ? LOOKUP_BYTES : CHUNK_BYTES;
    if (osr_reply_memory_take(query->knowledge->replies, &query->room_wait)) {
        submit_with_room(query);
    } else {
        query->is_in_line = true;
    }
}

static void await(struct osr_query *query, uint64_t ordinal)
{
    query->wait.ordinal = ordinal;
    query->is_waiting = true;
    osr_projection_await(query->knowledge->projection, &query->wait);
}

/* Writes down what the projection lacks; false where it must catch up first. */
static bool note_recent(struct osr_query *query)
{
    const struct osr_knowledge *knowledge = query->knowledge;
    uint64_t applied = osr_projection_applied(knowledge->projection);
    return applied >= query->asked_at ||
           (applied >= knowledge->recent_from &&
            osr_lookup_note(&query->lookup, knowledge->recent, osr_buffer_slice(&query->text)));
}

static void set_idle(struct osr_query *query, bool is_idle)
{
    struct osr_queries *queries = query->knowledge->queries;
    if (query->is_idle != is_idle) {
        query->is_idle = is_idle;
        queries->idle_count += is_idle;
        queries->idle_count -= !is_idle;
    }
}

static void on_ready(struct osr_projection_wait *wait, const struct osr_err *err)
{
    struct osr_query *query = (struct osr_query *)((char *)wait - offsetof(struct osr_query, wait));
    query->is_waiting = false;
    if (err != NULL && !(query->kind->may_lag && err->code == OSR_DISK_FULL)) {
        query->err = *err;
    }
    if (query->err.code == OSR_OK && query->kind->is_lookup && !note_recent(query)) {
        await(query, query->asked_at);
        return;
    }
    submit_in_turn(query);
}

/* What the asker may read by now. False: he is nobody any more. */
static bool renew_grant(struct osr_query *query)
{
    struct osr_grant *grant;
    if (query->asker == NULL) {
        return true;
    }
    if (osr_identity_grant(query->asker, &grant, &query->err) != 0) {
        return false;
    }
    osr_grant_hold(grant);
    osr_grant_release(query->grant);
    query->grant = grant;
    return true;
}

static void fetch(struct osr_query *query)
{
    const struct osr_knowledge *knowledge = query->knowledge;
    if (!renew_grant(query)) {
        submit(query); /* only to say so: nothing is answered from within */
        return;
    }
    if (query->kind->is_of_log) {
        query->released = knowledge->released;
        bool has_all = !query->kind->is_live && query->from > query->asked_at;
        if (query->from > query->released && !has_all) {
            set_idle(query, true);
        } else {
            submit_in_turn(query);
        }
        return;
    }
    bool is_noted = query->kind->is_lookup && knowledge->recent_from < query->asked_at;
    query->wait.is_search = query->kind->is_search;
    query->wait.ready = on_ready;
    await(query, is_noted ? knowledge->recent_from : query->asked_at);
}

static void go_on(struct osr_query *query)
{
    if (query->err.code != OSR_OK) {
        fail(query, &query->err);
        return;
    }
    if (!reply_rows(query) || query->is_paused) {
        return;
    }
    if (query->is_at_end) {
        struct osr_query_reply nothing = {.last = true};
        end(query, &nothing);
    } else if (query->knowledge->is_closing) {
        struct osr_err err;
        osr_err_set(&err, OSR_CANCELLED, "the instance is closing");
        fail(query, &err);
    } else {
        fetch(query);
    }
}

struct osr_query *osr_query_create(struct osr_knowledge *knowledge, struct osr_identity *asker,
                                   const struct osr_query_kind *kind, osr_query_reply_fn *on_reply,
                                   void *context)
{
    assert(!knowledge->is_closing);
    struct osr_queries *queries = knowledge->queries;
    struct osr_query *query = osr_alloc(sizeof(*query));
    query->job.work = work;
    query->job.done = done;
    query->kind = kind;
    query->knowledge = knowledge;
    query->on_reply = on_reply;
    query->context = context;
    query->asker = asker;
    query->asked_at = osr_knowledge_now(knowledge);
    query->now_ms = knowledge->options.time_ms(knowledge->options.context);
    query->limit = UINT64_MAX;
    if (queries->count >= OSR_QUERIES_MAX) {
        osr_err_set(&query->err, OSR_BUSY, "%s: too many queries are under way", kind->name);
    }
    link_query(queries, query);
    return query;
}

struct osr_query *osr_query_ask(struct osr_query *query)
{
    if (query->err.code != OSR_OK) {
        submit(query); /* the answer must not come before the caller has the query */
    } else {
        fetch(query);
    }
    return query;
}

void osr_query_set_reader(struct osr_query *query, struct osr_reply_reader *reader)
{
    osr_reply_part_set_reader(&query->part, reader);
}

void osr_query_pause(struct osr_query *query, bool pause)
{
    bool goes_on = query->is_paused && !pause;
    query->is_paused = pause;
    if (goes_on && !query->is_replying && !query->is_on_thread && !query->is_waiting &&
        !query->is_in_line && !query->is_idle && !query->kind->is_told) {
        go_on(query);
    }
}

bool osr_query_is_idle(const struct osr_query *query)
{
    return query->is_idle;
}

void osr_query_cancel(struct osr_query *query)
{
    query->is_cancelled = true;
    osr_query_set_reader(query, NULL);
    if (query->is_waiting) {
        query->is_waiting = false;
        osr_projection_forget(query->knowledge->projection, &query->wait);
    }
    if (!query->is_on_thread && !query->is_replying) {
        destroy(query);
    }
}

void osr_query_tell(struct osr_query *query, const struct osr_query_reply *reply)
{
    if (query == NULL) {
        return;
    }
    if (reply->last) {
        query->told_by = NULL; /* the teller is gone already */
        end(query, reply);
    } else if (!query->is_paused) {
        query->is_replying = true;
        query->on_reply(query->context, reply);
        query->is_replying = false;
        if (query->is_cancelled) {
            destroy(query);
        }
    }
}

void osr_query_tell_failure(struct osr_query *query, const struct osr_err *err)
{
    struct osr_query_reply reply = {.err = err, .last = true};
    osr_query_tell(query, &reply);
}

void osr_queries_released(struct osr_queries *queries)
{
    for (struct osr_query *query = queries->first; query != NULL && queries->idle_count > 0;
         query = query->next) {
        if (query->is_idle) {
            set_idle(query, false);
            fetch(query);
        }
    }
}

void osr_queries_destroy(struct osr_queries *queries)
{
    if (queries == NULL) {
        return;
    }
    struct osr_err err;
    osr_err_set(&err, OSR_CANCELLED, "the instance is closing");
    while (queries->first != NULL) {
        fail(queries->first, &err);
    }
    free(queries);
}

/* ---- for fill ---- */

bool osr_query_has_room(const struct osr_query *query)
{
    return query->row_count < OSR_CHUNK_ROWS && osr_arena_used(query->arena) < OSR_CHUNK_BYTES;
}

struct osr_query_reply *osr_query_add_row(struct osr_query *query)
{
    assert(query->row_count < OSR_CHUNK_ROWS);
    if (query->row_count == query->row_capacity) {
        query->row_capacity = query->row_capacity > 0 ? 2 * query->row_capacity : 1;
        query->rows = osr_realloc(query->rows, query->row_capacity * sizeof(query->rows[0]));
    }
    struct osr_query_reply *row = &query->rows[query->row_count++];
    *row = (struct osr_query_reply){0};
    return row;
}

struct osr_place *osr_query_add_place(struct osr_query *query)
{
    if (query->place_count == query->place_capacity) {
        query->place_capacity = query->place_capacity > 0 ? 2 * query->place_capacity : 16;
        query->places =
            osr_realloc(query->places, query->place_capacity * sizeof(query->places[0]));
    }
    struct osr_place *place = &query->places[query->place_count++];
    *place = (struct osr_place){0};
    return place;
}

bool osr_query_may_show(const struct osr_query *query, struct osr_slice collection)
{
    return query->asker == NULL || osr_grant_reads_all(query->grant) ||
           osr_grant_allows(query->grant, OSR_ACTION_READ,
                            (struct osr_part){OSR_PART_COLLECTION, collection});
}

void osr_query_set_document(struct osr_query *query, struct osr_query_reply *row, Osr__Entry *entry,
                            const struct osr_version *version)
{
    /* The entry's own memory is behind it, so the chunk's room is not passed by much. */
    Osr__Version *message = osr_arena_take(query->arena, sizeof(*message));
    char *origin = osr_arena_text(query->arena, osr_slice_text(version->origin));
    assert(message != NULL && origin != NULL);
    osr__version__init(message);
    message->time_ms = version->time.ms;
    message->time_logical = version->time.logical;
    message->origin = origin;
    entry->document->version = message;
    row->document = entry->document;
    row->operation = entry->operation;
}

/* An entry that was cut off the log after all, to be fetched anew, is passed over. */
static int fill_from_place(struct osr_query *query, const struct osr_place *place,
                           struct osr_err *err)
{
    Osr__Entry *entry;
    int code = osr_lookup_entry(query->knowledge->options.journal, place->position, query->arena,
                                &entry, err);
    if (code != 0) {
        return code == OSR_NOT_FOUND ? 0 : code;
    }
    if (!osr_query_may_show(query, osr_slice_text(entry->document->collection))) {
        query->has_hidden = true;
        return 0;
    }
    struct osr_query_reply *row = osr_query_add_row(query);
    osr_query_set_document(query, row, entry, &place->version);
    row->winner = place->is_winner;
    row->superseded = place->is_superseded;
    row->rank = place->rank;
    row->snippet = place->snippet;
    return 0;
}

int osr_query_fill_from_places(struct osr_query *query, struct osr_err *err)
{
    int code = 0;
    while (query->place_next < query->place_count && osr_query_has_room(query) && code == 0) {
        code = fill_from_place(query, &query->places[query->place_next++], err);
    }
    return code;
}
