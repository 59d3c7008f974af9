/* `written`: what an instance wrote that this one holds, also of one that is not believed any more.
 *
 * For who may audit: he is told of every entry, whatever its collection, that there is one, and
 * never what stands in it. Reading that is another right. */
#include <string.h>

#include "model/speakable.h"
#include "node/operation_handlers.h"

/* ---- who is meant ---- */

/* What is behind "instance:", as `osiris audit` shows instances. */
static const char *id_in(const char *text)
{
    static const char kind[] = "instance:";
    return strncmp(text, kind, sizeof(kind) - 1) == 0 ? text + sizeof(kind) - 1 : text;
}

static int refuse_both(const char *one, const char *other, struct osr_err *err)
{
    osr_err_set(err, OSR_INVALID_ARGUMENT, "origin may be %s or %s", one, other);
    osr_err_hint(err, "give more of the id");
    return OSR_INVALID_ARGUMENT;
}

/* The one instance of those with entries here that is meant. */
static int find_origin(const struct osr_feed *feed, const char *text, char *ret_origin,
                       struct osr_err *err)
{
    const char *id = id_in(text);
    char found[OSR_INSTANCE_CHARS + 1] = "";
    if (id[0] == '\0') {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "origin is missing");
    }
    for (size_t i = 0; i < osr_feed_count(feed); i++) {
        struct osr_feed_info info;
        osr_feed_info(feed, i, &info);
        const char *origin = info.id.origin;
        if (info.sequence == 0 || !osr_speakable_means(id, origin)) {
            continue;
        }
        if (found[0] != '\0' && strcmp(found, origin) != 0) {
            return refuse_both(found, origin, err);
        }
        memcpy(found, origin, sizeof(found));
    }
    if (found[0] == '\0') {
        osr_err_set(err, OSR_NOT_FOUND, "no instance '%s' has written anything that is held here",
                    id);
        osr_err_hint(err, "`osiris -o json feeds` lists those that have");
        return OSR_NOT_FOUND;
    }
    memcpy(ret_origin, found, sizeof(found));
    return 0;
}

/* ---- what it wrote ---- */

static void wrap_entries(struct osr_call *call, bool last)
{
    Osr__WrittenResponse response = OSR__WRITTEN_RESPONSE__INIT;
    response.entries = (Osr__WrittenEntry **)call->items;
    response.n_entries = call->item_count;
    osr_call_send_items(call, &response.base, last);
}

static void on_written(void *context, const struct osr_query_reply *reply)
{
    struct osr_call *call = context;
    if (osr_call_query_failed(call, reply)) {
        return;
    }
    Osr__WrittenEntry entry = OSR__WRITTEN_ENTRY__INIT;
    if (reply->document != NULL) {
        entry.position = reply->position;
        entry.origin = (char *)reply->feed->origin;
        entry.stream = (char *)reply->feed->stream;
        entry.epoch = reply->feed->epoch;
        entry.sequence = reply->sequence;
        entry.time_ms = reply->document->version->time_ms;
        entry.operation = reply->operation;
        entry.collection = reply->document->collection;
        entry.id = reply->document->id;
    }
    osr_call_collect(call, reply->document == NULL ? NULL : &entry.base, reply, wrap_entries);
}

void osr_operation_written(struct osr_operations *operations, struct osr_call *call,
                           const Osr__Frame *frame)
{
    const Osr__WrittenRequest *request = frame->written;
    char origin[OSR_INSTANCE_CHARS + 1];
    struct osr_err err;
    if (find_origin(operations->services->feed, request->origin, origin, &err) != 0) {
        osr_call_fail(call, &err);
        return;
    }
    const struct osr_origin_wanted wanted = {
        .origin = origin,
        .from_position = request->from_position,
        .from_ms = request->from_ms,
        .limit = request->limit,
    };
    osr_call_await(call, osr_knowledge_of_origin(operations->services->knowledge, &call->identity,
                                                 &wanted, on_written, call));
}
