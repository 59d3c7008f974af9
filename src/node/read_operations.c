/* Operations that read the knowledge base, and `rebuild`. */
#include <stdlib.h>

#include "model/limits.h"
#include "node/operation_handlers.h"

static int check_length(const char *field, const char *text, size_t bytes_min, size_t bytes_max,
                        struct osr_err *err)
{
    size_t size = strlen(text);
    if (size >= bytes_min && size <= bytes_max) {
        return 0;
    }
    return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "%s has %zu bytes; %zu to %zu are taken",
                            field, size, bytes_min, bytes_max);
}

static int check_id(const char *id, struct osr_err *err)
{
    return check_length("id", id, 1, OSR_ID_BYTES_MAX, err);
}

static void on_get(void *context, const struct osr_query_reply *reply)
{
    struct osr_call *call = context;
    if (osr_call_query_failed(call, reply)) {
        return;
    }
    Osr__GetResponse response = OSR__GET_RESPONSE__INIT;
    response.document = reply->document;
    call->query = NULL;
    osr_call_reply(call, &response.base);
}

void osr_operation_kb_get(struct osr_operations *operations, struct osr_call *call,
                          const Osr__Frame *frame)
{
    struct osr_knowledge *knowledge = operations->services->knowledge;
    const char *id = frame->kb_get->id;
    struct osr_query_reply reply;
    struct osr_err err;
    if (check_id(id, &err) != 0) {
        osr_call_fail(call, &err);
    } else if (osr_knowledge_get_cached(knowledge, &call->identity, id, &reply, &err)) {
        on_get(call, &reply);
    } else {
        osr_call_await(call, osr_knowledge_get(knowledge, &call->identity, id, on_get, call));
    }
}

static void wrap_documents(struct osr_call *call, bool last)
{
    Osr__ListResponse response = OSR__LIST_RESPONSE__INIT;
    response.documents = (Osr__Document **)call->items;
    response.n_documents = call->item_count;
    osr_call_send_items(call, &response.base, last);
}

static void on_list(void *context, const struct osr_query_reply *reply)
{
    struct osr_call *call = context;
    if (osr_call_query_failed(call, reply)) {
        return;
    }
    osr_call_collect(call, reply->document == NULL ? NULL : &reply->document->base, reply,
                     wrap_documents);
}

void osr_operation_kb_list(struct osr_operations *operations, struct osr_call *call,
                           const Osr__Frame *frame)
{
    const Osr__ListRequest *request = frame->kb_list;
    struct osr_err err;
    if (check_length("after_id", request->after_id, 0, OSR_ID_BYTES_MAX, &err) != 0 ||
        check_length("collection", request->collection, 0, OSR_COLLECTION_BYTES_MAX, &err) != 0) {
        osr_call_fail(call, &err);
    } else {
        osr_call_await(call, osr_knowledge_list(operations->services->knowledge, &call->identity,
                                                request->after_id, request->collection,
                                                request->limit, on_list, call));
    }
}

static void wrap_hits(struct osr_call *call, bool last)
{
    Osr__SearchResponse response = OSR__SEARCH_RESPONSE__INIT;
    response.hits = (Osr__SearchHit **)call->items;
    response.n_hits = call->item_count;
    osr_call_send_items(call, &response.base, last);
}

static void on_search(void *context, const struct osr_query_reply *reply)
{
    struct osr_call *call = context;
    if (osr_call_query_failed(call, reply)) {
        return;
    }
    Osr__SearchHit hit = OSR__SEARCH_HIT__INIT;
    hit.document = reply->document;
    hit.rank = reply->rank;
    if (reply->snippet != NULL) {
        hit.snippet = (char *)reply->snippet;
    }
    osr_call_collect(call, reply->document == NULL ? NULL : &hit.base, reply, wrap_hits);
}

void osr_operation_kb_search(struct osr_operations *operations, struct osr_call *call,
                             const Osr__Frame *frame)
{
    enum { HITS_DEFAULT = 20 };
    const Osr__SearchRequest *request = frame->kb_search;
    struct osr_err err;
    int code = check_length("query", request->query, 1, OSR_QUERY_BYTES_MAX, &err);
    if (code == 0 && request->limit > OSR_SEARCH_HITS_MAX) {
        code =
            (int)osr_err_set(&err, OSR_INVALID_ARGUMENT, "limit is %u; at most %d hits are given",
                             request->limit, OSR_SEARCH_HITS_MAX);
    }
    if (code != 0) {
        osr_call_fail(call, &err);
    } else {
        osr_call_await(call,
                       osr_knowledge_search(
                           operations->services->knowledge, &call->identity, request->query,
                           request->limit != 0 ? request->limit : HITS_DEFAULT, on_search, call));
    }
}

static void wrap_versions(struct osr_call *call, bool last)
{
    Osr__HistoryResponse response = OSR__HISTORY_RESPONSE__INIT;
    response.versions = (Osr__HistoryItem **)call->items;
    response.n_versions = call->item_count;
    osr_call_send_items(call, &response.base, last);
}

static void on_history(void *context, const struct osr_query_reply *reply)
{
    struct osr_call *call = context;
    if (osr_call_query_failed(call, reply)) {
        return;
    }
    Osr__HistoryItem item = OSR__HISTORY_ITEM__INIT;
    item.operation = reply->operation;
    item.document = reply->document;
    item.winner = reply->winner;
    item.superseded = reply->superseded;
    osr_call_collect(call, reply->document == NULL ? NULL : &item.base, reply, wrap_versions);
}

void osr_operation_kb_history(struct osr_operations *operations, struct osr_call *call,
                              const Osr__Frame *frame)
{
    struct osr_err err;
    if (check_id(frame->kb_history->id, &err) != 0) {
        osr_call_fail(call, &err);
    } else {
        osr_call_await(call, osr_knowledge_history(operations->services->knowledge, &call->identity,
                                                   frame->kb_history->id, on_history, call));
    }
}

static void on_watch(void *context, const struct osr_query_reply *reply)
{
    struct osr_call *call = context;
    if (osr_call_query_failed(call, reply)) {
        return;
    }
    Osr__WatchResponse response = OSR__WATCH_RESPONSE__INIT;
    response.position = reply->position;
    response.origin = (char *)reply->feed->origin;
    response.epoch = reply->feed->epoch;
    response.sequence = reply->sequence;
    response.operation = reply->operation;
    response.document = reply->document;
    osr_call_stream(call, &response.base);
}

void osr_operation_kb_watch(struct osr_operations *operations, struct osr_call *call,
                            const Osr__Frame *frame)
{
    const Osr__WatchRequest *request = frame->kb_watch;
    struct osr_err err;
    if (check_length("collection", request->collection, 0, OSR_COLLECTION_BYTES_MAX, &err) != 0) {
        osr_call_fail(call, &err);
        return;
    }
    if (osr_session_is_message(call->session)) {
        osr_err_set(&err, OSR_INVALID_ARGUMENT, "KB_WATCH in a message: it would never end");
        osr_err_hint(&err, "take the events that the instance publishes, or watch over a stream");
        osr_call_fail(call, &err);
        return;
    }
    if (osr_calls_endless(call->session) == OSR_CALLER_WATCHES_MAX) {
        osr_err_set(&err, OSR_BUSY, "no more than %d watches on one connection",
                    OSR_CALLER_WATCHES_MAX);
        osr_err_hint(&err, "watch everything once, and tell it apart by collection");
        osr_call_fail(call, &err);
        return;
    }
    osr_call_await_for_ever(call, osr_knowledge_watch(operations->services->knowledge,
                                                      &call->identity, request->from_position,
                                                      request->collection, on_watch, call));
}

/* The feeds that a digest was asked over; kept until its reply names them. */
struct digest_feeds {
    size_t count;
    struct osr_digest_feed items[];
};

static void on_digest(void *context, const struct osr_query_reply *reply)
{
    struct osr_call *call = context;
    if (osr_call_query_failed(call, reply)) {
        return;
    }
    struct digest_feeds *feeds = call->operation;
    Osr__FeedHead *heads = osr_alloc((feeds->count + 1) * sizeof(*heads));
    Osr__FeedHead **pointers = osr_alloc((feeds->count + 1) * sizeof(*pointers));
    Osr__DigestResponse response = OSR__DIGEST_RESPONSE__INIT;
    for (size_t i = 0; i < feeds->count; i++) {
        struct osr_digest_feed *feed = &feeds->items[i];
        osr__feed_head__init(&heads[i]);
        heads[i].origin = feed->feed.origin;
        heads[i].stream = feed->feed.stream;
        heads[i].epoch = feed->feed.epoch;
        heads[i].sequence = feed->sequence;
        heads[i].chain = (ProtobufCBinaryData){sizeof(feed->chain.bytes), feed->chain.bytes};
        pointers[i] = &heads[i];
    }
    response.feeds = pointers;
    response.n_feeds = feeds->count;
    response.documents = reply->count;
    response.digest =
        (ProtobufCBinaryData){sizeof(reply->digest->bytes), (uint8_t *)reply->digest->bytes};
    call->query = NULL;
    osr_call_reply(call, &response.base);
    free(pointers);
    free(heads);
}

static int compare_feeds(const void *a, const void *b)
{
    const struct osr_digest_feed *left = a;
    const struct osr_digest_feed *right = b;
    return osr_feed_id_compare(&left->feed, &right->feed);
}

/* Those of the knowledge base. In one order everywhere, so that two instances' answers can be
 * compared as text. */
static struct digest_feeds *heads_held(const struct osr_feed *feed)
{
    size_t count = osr_feed_count(feed);
    struct digest_feeds *feeds = osr_alloc(sizeof(*feeds) + count * sizeof(feeds->items[0]));
    for (size_t i = 0; i < count; i++) {
        struct osr_feed_info info;
        osr_feed_info(feed, i, &info);
        if (info.stream == OSR_STREAM_KB) {
            feeds->items[feeds->count++] = (struct osr_digest_feed){
                .feed = info.id, .sequence = info.sequence, .chain = info.chain};
        }
    }
    qsort(feeds->items, feeds->count, sizeof(feeds->items[0]), compare_feeds);
    return feeds;
}

void osr_operation_kb_digest(struct osr_operations *operations, struct osr_call *call,
                             const Osr__Frame *frame)
{
    (void)frame;
    struct digest_feeds *feeds = heads_held(operations->services->feed);
    call->operation = feeds;
    osr_call_await(call, osr_knowledge_digest(operations->services->knowledge, feeds->items,
                                              feeds->count, on_digest, call));
}

static void on_rebuild(void *context, const struct osr_query_reply *reply)
{
    struct osr_call *call = context;
    if (osr_call_query_failed(call, reply)) {
        return;
    }
    Osr__RebuildResponse response = OSR__REBUILD_RESPONSE__INIT;
    response.done = reply->position;
    response.total = reply->sequence;
    if (reply->last) {
        call->query = NULL;
        osr_call_reply(call, &response.base);
    } else {
        osr_call_stream(call, &response.base);
    }
}

void osr_operation_rebuild(struct osr_operations *operations, struct osr_call *call,
                           const Osr__Frame *frame)
{
    (void)frame;
    call->query = osr_knowledge_rebuild(operations->services->knowledge, on_rebuild, call);
}
