/* What can be asked of the knowledge base: one kind of query each. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/ledger_log.h"
#include "node/query.h"

/* Of the texts that belong to places: ids of one chunk, or snippets of one search. */
enum { PLACES_KEEP = 64 << 10, PLACES_CAP = 8 << 20 };

/* ---- get ---- */

static int not_found(struct osr_slice id, struct osr_err *err)
{
    return (int)osr_err_set(err, OSR_NOT_FOUND, "no document has the id %.*s", (int)id.size,
                            (const char *)id.data);
}

static int fill_get(struct osr_query *query, struct osr_reading *reading, struct osr_err *err)
{
    struct osr_journal *journal = query->knowledge->options.journal;
    struct osr_slice id = osr_buffer_slice(&query->text);
    struct osr_version_set set = {0};
    int code = osr_lookup_versions(&query->lookup, id, reading, journal, &set, err);
    const struct osr_store_version *winner = code == 0 ? osr_version_set_winner(&set) : NULL;
    query->has_no_version = code == 0 && winner == NULL;
    if (code == 0 && (winner == NULL || !osr_store_version_is_visible(winner, query->now_ms))) {
        code = not_found(id, err);
    }
    Osr__Entry *entry;
    if (code == 0) {
        struct osr_position position = {winner->log_id, winner->index};
        code = osr_lookup_entry(journal, position, query->arena, &entry, err);
    }
    if (code == 0 && !osr_query_may_show(query, osr_slice_text(entry->document->collection))) {
        code = not_found(id, err);
    }
    if (code == 0) {
        osr_query_set_document(query, osr_query_add_row(query), entry, &winner->state.version);
    }
    osr_version_set_done(&set);
    query->is_at_end = true;
    return code;
}

static void keep_get(struct osr_query *query)
{
    struct osr_document_cache *cache = query->knowledge->cache;
    struct osr_slice id = osr_buffer_slice(&query->text);
    if (query->row_count > 0) {
        osr_document_cache_keep(cache, id, query->ticket, query->rows[0].document);
    } else if (query->has_no_version) {
        osr_document_cache_keep(cache, id, query->ticket, NULL);
    }
}

static bool may_read(struct osr_identity *asker, const Osr__Document *document)
{
    return asker == NULL || osr_access_allows(asker->access, asker, OSR_ACTION_READ,
                                              osr_part(OSR_PART_COLLECTION, document->collection));
}

bool osr_knowledge_get_cached(struct osr_knowledge *knowledge, struct osr_identity *asker,
                              const char *id, struct osr_query_reply *ret_reply,
                              struct osr_err *err)
{
    struct osr_slice key = osr_slice_text(id);
    uint64_t now_ms = knowledge->options.time_ms(knowledge->options.context);
    if (!osr_reply_memory_has_room(knowledge->replies, OSR_REPLY_LOOKUPS, OSR_DATA_BYTES_MAX)) {
        return false; /* it waits in line like others */
    }
    *ret_reply = (struct osr_query_reply){.last = true};
    switch (osr_document_cache_find(knowledge->cache, key, now_ms, &ret_reply->document)) {
    case OSR_CACHED_NOTHING:
        return false;
    case OSR_CACHED_DOCUMENT:
        if (may_read(asker, ret_reply->document)) {
            return true;
        }
        break;
    case OSR_CACHED_ABSENCE:
        break;
    }
    not_found(key, err);
    ret_reply->err = err;
    return true;
}

struct osr_query *osr_knowledge_get(struct osr_knowledge *knowledge, struct osr_identity *asker,
                                    const char *id, osr_query_reply_fn *on_reply, void *context)
{
    static const struct osr_query_kind kind = {
        .name = "get", .is_lookup = true, .fill = fill_get, .filled = keep_get};
    struct osr_query *query = osr_query_create(knowledge, asker, &kind, on_reply, context);
    osr_buffer_add_text(&query->text, id);
    query->ticket = osr_document_cache_expect(knowledge->cache, osr_buffer_slice(&query->text));
    return osr_query_ask(query);
}

/* ---- history ---- */

static int newest_first(const void *a, const void *b)
{
    const struct osr_place *first = a;
    const struct osr_place *second = b;
    return osr_version_compare(&second->version, &first->version);
}

static int find_versions(struct osr_query *query, struct osr_reading *reading, struct osr_err *err)
{
    static const struct osr_store_wanted wanted = {
        .heads_max = OSR_HISTORY_MAX,
        .superseded_max = OSR_HISTORY_MAX,
    };
    struct osr_slice id = osr_buffer_slice(&query->text);
    struct osr_version_set set = {0};
    struct osr_store_reader *store;
    struct osr_store_version *versions;
    size_t count;
    int code = osr_reading_store(reading, &store, err);
    if (code == 0) {
        code = osr_store_versions(store, id, &wanted, &versions, &count, err);
    }
    if (code == 0) {
        osr_version_set_take(&set, versions, count);
    }
    const struct osr_store_version *winner = osr_version_set_winner(&set);
    if (code == 0 && winner == NULL) {
        code = not_found(id, err);
    }
    for (size_t i = 0; i < set.count && code == 0; i++) {
        const struct osr_store_version *version = &set.items[i];
        if (version->state.known) {
            struct osr_place *place = osr_query_add_place(query);
            place->position = (struct osr_position){version->log_id, version->index};
            place->version = version->state.version;
            place->is_winner = version == winner;
            place->is_superseded = version->state.superseded;
        }
    }
    osr_version_set_done(&set);
    if (query->place_count > 0) {
        qsort(query->places, query->place_count, sizeof(query->places[0]), newest_first);
    }
    if (query->place_count > OSR_HISTORY_MAX) {
        query->place_count = OSR_HISTORY_MAX;
    }
    return code;
}

static int fill_history(struct osr_query *query, struct osr_reading *reading, struct osr_err *err)
{
    int code = query->has_places ? 0 : find_versions(query, reading, err);
    query->has_places = true;
    if (code == 0) {
        code = osr_query_fill_from_places(query, err);
    }
    query->is_at_end = query->place_next == query->place_count;
    query->has_shown |= query->row_count > 0;
    if (code == 0 && query->is_at_end && query->has_hidden && !query->has_shown) {
        code = not_found(osr_buffer_slice(&query->text), err);
    }
    return code;
}

struct osr_query *osr_knowledge_history(struct osr_knowledge *knowledge, struct osr_identity *asker,
                                        const char *id, osr_query_reply_fn *on_reply, void *context)
{
    static const struct osr_query_kind kind = {
        .name = "history", .is_stream = true, .may_lag = true, .fill = fill_history};
    struct osr_query *query = osr_query_create(knowledge, asker, &kind, on_reply, context);
    osr_buffer_add_text(&query->text, id);
    return osr_query_ask(query);
}

/* ---- list ---- */

static enum osr_store_next note_row(void *context, const struct osr_store_row *row)
{
    struct osr_query *query = context;
    if (!osr_query_may_show(query, row->collection)) {
        return OSR_STORE_PASS_OVER;
    }
    struct osr_place *place = osr_query_add_place(query);
    place->position = (struct osr_position){row->log_id, row->index};
    place->version = row->version;
    place->id = osr_arena_text(query->place_arena, row->id);
    return OSR_STORE_GO_ON;
}

/* Reads a few rows more than may fit into a chunk of bytes; those that did not fit are read again
 * with the next one, for no read transaction may stay open while a reader takes its time. */
static int fill_list(struct osr_query *query, struct osr_reading *reading, struct osr_err *err)
{
    uint64_t wanted = query->limit < OSR_CHUNK_ROWS ? query->limit : OSR_CHUNK_ROWS;
    struct osr_store_reader *store;
    int code = osr_reading_store(reading, &store, err);
    if (query->place_arena == NULL) {
        query->place_arena = osr_arena_create(PLACES_KEEP, PLACES_CAP);
    }
    osr_arena_reset(query->place_arena);
    query->place_count = 0;
    query->place_next = 0;
    if (code == 0) {
        code =
            osr_store_list(store, osr_buffer_slice(&query->text), osr_slice_text(query->collection),
                           query->now_ms, wanted, note_row, query, err);
    }
    if (code == 0) {
        code = osr_query_fill_from_places(query, err);
    }
    if (code != 0) {
        return code;
    }
    query->limit -= query->limit == UINT64_MAX ? 0 : query->place_next;
    query->is_at_end = query->limit == 0 ||
                       (query->place_count < wanted && query->place_next == query->place_count);
    if (query->place_next > 0) {
        query->text.size = 0;
        osr_buffer_add_text(&query->text, query->places[query->place_next - 1].id);
    }
    return 0;
}

struct osr_query *osr_knowledge_list(struct osr_knowledge *knowledge, struct osr_identity *asker,
                                     const char *after_id, const char *collection, uint64_t limit,
                                     osr_query_reply_fn *on_reply, void *context)
{
    static const struct osr_query_kind kind = {
        .name = "list", .is_stream = true, .may_lag = true, .fill = fill_list};
    struct osr_query *query = osr_query_create(knowledge, asker, &kind, on_reply, context);
    osr_buffer_add_text(&query->text, after_id);
    query->collection = osr_strdup(collection);
    query->limit = limit > 0 ? limit : UINT64_MAX;
    return osr_query_ask(query);
}

/* ---- search ---- */

static enum osr_store_next note_hit(void *context, const struct osr_store_row *row, double rank,
                                    struct osr_slice snippet)
{
    struct osr_query *query = context;
    if (!osr_query_may_show(query, row->collection)) {
        return OSR_STORE_PASS_OVER;
    }
    struct osr_place *place = osr_query_add_place(query);
    place->position = (struct osr_position){row->log_id, row->index};
    place->version = row->version;
    place->rank = rank;
    place->snippet = osr_arena_text(query->place_arena, snippet);
    return OSR_STORE_GO_ON;
}

static int find_hits(struct osr_query *query, struct osr_reading *reading, struct osr_err *err)
{
    struct osr_store_reader *store;
    int code = osr_reading_store(reading, &store, err);
    query->place_arena = osr_arena_create(PLACES_KEEP, PLACES_CAP);
    if (code == 0) {
        code = osr_store_search(store, osr_buffer_slice(&query->text), query->now_ms,
                                (uint32_t)query->limit, note_hit, query, err);
    }
    return code;
}

static int fill_search(struct osr_query *query, struct osr_reading *reading, struct osr_err *err)
{
    int code = query->has_places ? 0 : find_hits(query, reading, err);
    query->has_places = true;
    if (code == 0) {
        code = osr_query_fill_from_places(query, err);
    }
    query->is_at_end = query->place_next == query->place_count;
    return code;
}

struct osr_query *osr_knowledge_search(struct osr_knowledge *knowledge, struct osr_identity *asker,
                                       const char *text, uint32_t limit,
                                       osr_query_reply_fn *on_reply, void *context)
{
    static const struct osr_query_kind kind = {.name = "search",
                                               .is_stream = true,
                                               .is_search = true,
                                               .may_lag = true,
                                               .fill = fill_search};
    struct osr_query *query = osr_query_create(knowledge, asker, &kind, on_reply, context);
    osr_buffer_add_text(&query->text, text);
    query->limit = limit < OSR_SEARCH_HITS_MAX ? limit : OSR_SEARCH_HITS_MAX;
    return osr_query_ask(query);
}

/* ---- of the log ---- */

/* Records looked at for one chunk: stops who wants little of a long log from holding the thread. */
enum { LOG_RECORDS_MAX = 8192 };

/* Adds a row for an entry of this feed, if it belongs to the answer. */
typedef int take_entry(struct osr_query *query, const struct osr_wal_record *record,
                       const struct osr_feed_id *feed, struct osr_err *err);

struct log_walk {
    struct osr_query *query;
    take_entry *take;
    size_t record_count;
};

enum { ENOUGH = -1 };

static int read_entry(struct osr_query *query, const struct osr_wal_record *record,
                      Osr__Entry **ret_entry, struct osr_err *err)
{
    struct osr_slice stored = osr_record_stored(record->payload);
    uint8_t *copy = osr_arena_take(query->arena, stored.size);
    assert(copy != NULL); /* a chunk ends long before its arena */
    memcpy(copy, stored.data, stored.size);
    return osr_entry_decode(osr_slice(copy, stored.size), record->index, query->arena, ret_entry,
                            err);
}

static void add_entry(struct osr_query *query, const struct osr_wal_record *record,
                      const struct osr_feed_id *feed, Osr__Entry *entry)
{
    struct osr_query_reply *row = osr_query_add_row(query);
    struct osr_version version = {.time = {entry->time_ms, entry->time_logical}};
    memcpy(version.origin, feed->origin, sizeof(version.origin));
    osr_query_set_document(query, row, entry, &version);
    row->position = record->ordinal;
    row->feed = feed;
    row->sequence = record->index;
}

static int visit_record(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    struct log_walk *walk = context;
    struct osr_query *query = walk->query;
    if (record->ordinal > query->released || !osr_query_has_room(query) ||
        query->row_count == query->limit || walk->record_count == LOG_RECORDS_MAX) {
        return ENOUGH;
    }
    walk->record_count++;
    query->from = record->ordinal + 1;
    if (record->type != OSR_WAL_ENTRY || osr_ledger_log_has(record)) {
        return 0;
    }
    const struct osr_feed_id *feed =
        osr_journal_feed(query->knowledge->options.journal, record->log_id);
    if (feed == NULL) {
        return osr_err_set(err, OSR_CORRUPT, "record %llu of the log cannot be shown",
                           (unsigned long long)record->ordinal);
    }
    return walk->take(query, record, feed, err);
}

/* Fills a chunk with what `take` takes of the log from query->from on. */
static int walk_log(struct osr_query *query, take_entry *take, struct osr_err *err)
{
    struct log_walk walk = {.query = query, .take = take};
    struct osr_wal *wal = osr_journal_wal(query->knowledge->options.journal);
    int code = osr_wal_read_from(wal, query->from, visit_record, &walk, err);
    if (code == 0) {
        query->from = query->released + 1; /* what is left out was cut off */
    }
    return code == ENOUGH ? 0 : code;
}

/* ---- watch ---- */

static int watch_entry(struct osr_query *query, const struct osr_wal_record *record,
                       const struct osr_feed_id *feed, struct osr_err *err)
{
    Osr__Entry *entry;
    if (strcmp(feed->stream, osr_feed_stream_name(OSR_STREAM_KB)) != 0) {
        return 0;
    }
    int code = read_entry(query, record, &entry, err);
    if (code != 0) {
        return code;
    }
    const char *collection = entry->document->collection;
    bool is_wanted = query->collection[0] == '\0' || strcmp(query->collection, collection) == 0;
    if (is_wanted && osr_query_may_show(query, osr_slice_text(collection))) {
        add_entry(query, record, feed, entry);
    }
    return 0;
}

static int fill_watch(struct osr_query *query, struct osr_reading *reading, struct osr_err *err)
{
    (void)reading;
    return walk_log(query, watch_entry, err);
}

struct osr_query *osr_knowledge_watch(struct osr_knowledge *knowledge, struct osr_identity *asker,
                                      uint64_t from_position, const char *collection,
                                      osr_query_reply_fn *on_reply, void *context)
{
    static const struct osr_query_kind kind = {
        .name = "watch", .is_stream = true, .is_of_log = true, .is_live = true, .fill = fill_watch};
    struct osr_query *query = osr_query_create(knowledge, asker, &kind, on_reply, context);
    query->from = from_position > 0 ? from_position : query->asked_at + 1;
    query->collection = osr_strdup(collection);
    return osr_query_ask(query);
}

/* ---- of an origin ---- */

static int take_of_origin(struct osr_query *query, const struct osr_wal_record *record,
                          const struct osr_feed_id *feed, struct osr_err *err)
{
    Osr__Entry *entry;
    if (strcmp(feed->origin, query->origin) != 0) {
        return 0;
    }
    int code = read_entry(query, record, &entry, err);
    if (code == 0 && entry->time_ms >= query->from_ms) {
        add_entry(query, record, feed, entry);
    }
    return code;
}

static int fill_of_origin(struct osr_query *query, struct osr_reading *reading, struct osr_err *err)
{
    (void)reading;
    if (query->released > query->asked_at) {
        query->released = query->asked_at; /* it would never end where it writes on */
    }
    int code = query->from <= query->released ? walk_log(query, take_of_origin, err) : 0;
    query->limit -= query->limit == UINT64_MAX ? 0 : query->row_count;
    query->is_at_end = query->limit == 0 || query->from > query->asked_at;
    return code;
}

struct osr_query *osr_knowledge_of_origin(struct osr_knowledge *knowledge,
                                          struct osr_identity *asker,
                                          const struct osr_origin_wanted *wanted,
                                          osr_query_reply_fn *on_reply, void *context)
{
    static const struct osr_query_kind kind = {
        .name = "written", .is_stream = true, .is_of_log = true, .fill = fill_of_origin};
    struct osr_query *query = osr_query_create(knowledge, asker, &kind, on_reply, context);
    snprintf(query->origin, sizeof(query->origin), "%s", wanted->origin);
    query->from = wanted->from_position > 0 ? wanted->from_position : 1;
    query->from_ms = wanted->from_ms;
    query->limit = wanted->limit > 0 ? wanted->limit : UINT64_MAX;
    return osr_query_ask(query);
}

/* ---- count and digest ---- */

static int count_documents(struct osr_query *query, struct osr_reading *reading,
                           struct osr_err *err)
{
    struct osr_store_reader *store;
    int code = osr_reading_store(reading, &store, err);
    uint64_t count = 0;
    if (code == 0) {
        code = osr_store_count(store, query->now_ms, &count, err);
    }
    if (code == 0) {
        osr_query_add_row(query)->count = count;
    }
    query->is_at_end = true;
    return code;
}

struct osr_query *osr_knowledge_count(struct osr_knowledge *knowledge, osr_query_reply_fn *on_reply,
                                      void *context)
{
    static const struct osr_query_kind kind = {
        .name = "count", .may_lag = true, .fill = count_documents};
    return osr_query_ask(osr_query_create(knowledge, NULL, &kind, on_reply, context));
}

static int fill_digest(struct osr_query *query, struct osr_reading *reading, struct osr_err *err)
{
    int code = count_documents(query, reading, err);
    struct osr_store_reader *store;
    if (code == 0) {
        code = osr_reading_store(reading, &store, err);
    }
    if (code != 0) {
        return code;
    }
    struct osr_digest *digest = osr_digest_create(query->feeds, query->feed_count);
    code = osr_store_digest(store, digest, err);
    if (code == 0) {
        query->digest = osr_digest_finish(digest);
        query->rows[0].digest = &query->digest;
    }
    osr_digest_destroy(digest);
    return code;
}

struct osr_query *osr_knowledge_digest(struct osr_knowledge *knowledge,
                                       struct osr_digest_feed *feeds, size_t count,
                                       osr_query_reply_fn *on_reply, void *context)
{
    static const struct osr_query_kind kind = {.name = "digest", .fill = fill_digest};
    struct osr_query *query = osr_query_create(knowledge, NULL, &kind, on_reply, context);
    if (count > 0) {
        query->feeds = osr_alloc(count * sizeof(feeds[0]));
        memcpy(query->feeds, feeds, count * sizeof(feeds[0]));
        query->feed_count = count;
    }
    return osr_query_ask(query);
}
