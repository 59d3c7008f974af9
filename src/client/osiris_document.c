/* Everyday operations with documents as structs: the public ones become messages of the contract,
 * which point into them, and the other way round, copied into an arena. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json_scan.h"
#include "base/sha256.h"
#include "client/osiris_internal.h"
#include "model/limits.h"
#include "wire/codec.h"

_Static_assert(sizeof(((struct osiris_written *)NULL)->id) == OSR_ID_BYTES_MAX + 1, "ids fit");

enum {
    WAIT_MAX_MS = 3600 * 1000, /* an instance waits no longer for followers */
    ACKS_GRACE_MS = 5000,      /* for the reply to come back, after the followers' time */
};

/* ---- documents that are written ---- */

/* A document as a message, with what the message points to. */
struct outgoing {
    Osr__Document document;
    Osr__Json data;
    Osr__Source source;
    struct osr_buffer text; /* the data, compact */
    struct osr_hash digest; /* of that */
};

static char *text_or_empty(const char *text)
{
    return (char *)(text != NULL ? text : protobuf_c_empty_string);
}

static void set_source(struct outgoing *outgoing, const struct osiris_document *document)
{
    const struct osr_slice data = osr_buffer_slice(&outgoing->text);
    outgoing->digest = osr_sha256(&data, 1);
    osr__source__init(&outgoing->source);
    outgoing->source.name = (char *)document->source;
    outgoing->source.digest.data = outgoing->digest.bytes;
    outgoing->source.digest.len = sizeof(outgoing->digest.bytes);
    outgoing->source.occurrence = document->occurrence > 0 ? document->occurrence : 1;
    outgoing->document.source = &outgoing->source;
}

/* On success outgoing->text is to be freed. */
static int make_outgoing(const struct osiris_document *document, struct outgoing *outgoing,
                         struct osr_err *err)
{
    if (document == NULL || document->data == NULL) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "no data was given");
    }
    if (document->tag_count > 0 && document->tags == NULL) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "no tags were given, only their count");
    }
    outgoing->text = (struct osr_buffer){0};
    int code = osr_json_compact(&outgoing->text, osr_slice_text(document->data), err);
    if (code != OSR_OK) {
        osr_buffer_done(&outgoing->text);
        return (int)osr_err_prefix(err, "the document's data");
    }
    osr__json__init(&outgoing->data);
    outgoing->data.text.data = outgoing->text.data;
    outgoing->data.text.len = outgoing->text.size;
    Osr__Document *message = &outgoing->document;
    osr__document__init(message);
    message->id = text_or_empty(document->id);
    message->collection = text_or_empty(document->collection);
    message->kind = text_or_empty(document->kind);
    message->data = &outgoing->data;
    message->n_tags = document->tag_count;
    message->tags = (char **)document->tags;
    message->author = text_or_empty(document->author);
    message->time_ms = document->time_ms;
    message->expires_ms = document->expires_ms;
    if (document->source != NULL && document->source[0] != '\0') {
        set_source(outgoing, document);
    }
    return OSR_OK;
}

static int on_written(void *context, const ProtobufCMessage *reply)
{
    /* The reply of each write is a PutResponse. */
    const Osr__PutResponse *response = (const Osr__PutResponse *)reply;
    struct osiris_written *written = context;
    snprintf(written->id, sizeof(written->id), "%s", response->id);
    written->existed = response->existed;
    written->sequence = response->sequence;
    return 0;
}

static uint32_t acks_timeout_ms(const struct osiris_client *client)
{
    uint32_t timeout_ms = client->limits.timeout_ms;
    return timeout_ms > 0 && timeout_ms < WAIT_MAX_MS ? timeout_ms : WAIT_MAX_MS;
}

static int call_write(struct osiris_client *client, const char *method,
                      const ProtobufCMessage *request, struct osiris_written *ret_written,
                      struct osiris_error *error)
{
    struct osiris_written written = {0};
    uint32_t grace_ms = client->acks > 0 ? ACKS_GRACE_MS : 0;
    int code = osr_face_call(client, method, request, grace_ms, on_written, &written, error);
    if (code == OSIRIS_OK && written.id[0] == '\0') {
        struct osr_err err;
        osr_err_set(&err, OSR_INTERNAL, "the instance gave no id");
        return osr_face_error(&err, error);
    }
    if (code == OSIRIS_OK && ret_written != NULL) {
        *ret_written = written;
    }
    return code;
}

static int call_put(struct osiris_client *client, struct outgoing *outgoing,
                    struct osiris_written *ret_written, struct osiris_error *error)
{
    Osr__PutRequest request = OSR__PUT_REQUEST__INIT;
    request.document = &outgoing->document;
    request.acks = client->acks;
    request.timeout_ms = acks_timeout_ms(client);
    return call_write(client, "kb_put", &request.base, ret_written, error);
}

static int call_update(struct osiris_client *client, struct outgoing *outgoing,
                       struct osiris_written *ret_written, struct osiris_error *error)
{
    Osr__UpdateRequest request = OSR__UPDATE_REQUEST__INIT;
    request.document = &outgoing->document;
    request.acks = client->acks;
    request.timeout_ms = acks_timeout_ms(client);
    return call_write(client, "kb_update", &request.base, ret_written, error);
}

typedef int write_call(struct osiris_client *client, struct outgoing *outgoing,
                       struct osiris_written *ret_written, struct osiris_error *error);

static int write_document(struct osiris_client *client, const struct osiris_document *document,
                          write_call *call, struct osiris_written *ret_written,
                          struct osiris_error *error)
{
    struct outgoing outgoing;
    struct osr_err err;
    if (osr_face_check(client, &err) != OSR_OK ||
        make_outgoing(document, &outgoing, &err) != OSR_OK) {
        return osr_face_error(&err, error);
    }
    int code = call(client, &outgoing, ret_written, error);
    osr_buffer_done(&outgoing.text);
    return code;
}

int osiris_put(struct osiris_client *client, const struct osiris_document *document,
               struct osiris_written *ret_written, struct osiris_error *error)
{
    return write_document(client, document, call_put, ret_written, error);
}

int osiris_update(struct osiris_client *client, const struct osiris_document *document,
                  struct osiris_written *ret_written, struct osiris_error *error)
{
    return write_document(client, document, call_update, ret_written, error);
}

int osiris_delete(struct osiris_client *client, const char *id, struct osiris_written *ret_written,
                  struct osiris_error *error)
{
    struct osr_err err;
    if (osr_face_check(client, &err) != OSR_OK) {
        return osr_face_error(&err, error);
    }
    Osr__DeleteRequest request = OSR__DELETE_REQUEST__INIT;
    request.id = text_or_empty(id);
    request.acks = client->acks;
    request.timeout_ms = acks_timeout_ms(client);
    return call_write(client, "kb_delete", &request.base, ret_written, error);
}

/* ---- documents that are read ---- */

/* The reply that a document came in took no more than half of this, so it cannot be passed. */
#define KEPT_BYTES_MAX ((size_t)2 * OSR_DECODE_BYTES_MAX)

static char *keep_text(struct osr_arena *arena, struct osr_slice text)
{
    char *kept = osr_arena_text(arena, text);
    assert(kept != NULL);
    return kept;
}

static const char *const *keep_tags(struct osr_arena *arena, const Osr__Document *document)
{
    const char **tags = osr_arena_take(arena, document->n_tags * sizeof(tags[0]));
    assert(tags != NULL);
    for (size_t i = 0; i < document->n_tags; i++) {
        tags[i] = keep_text(arena, osr_slice_text(document->tags[i]));
    }
    return tags;
}

static void keep_document(struct osr_arena *arena, const Osr__Document *message,
                          struct osiris_document *ret_document)
{
    const Osr__Source *source = message->source;
    const Osr__Version *version = message->version;
    struct osr_slice data = message->data == NULL
                                ? osr_slice_text("")
                                : osr_slice(message->data->text.data, message->data->text.len);
    *ret_document = (struct osiris_document){
        .id = keep_text(arena, osr_slice_text(message->id)),
        .collection = keep_text(arena, osr_slice_text(message->collection)),
        .kind = keep_text(arena, osr_slice_text(message->kind)),
        .data = keep_text(arena, data),
        .tags = keep_tags(arena, message),
        .tag_count = message->n_tags,
        .author = keep_text(arena, osr_slice_text(message->author)),
        .time_ms = message->time_ms,
        .expires_ms = message->expires_ms,
        .source = keep_text(arena, osr_slice_text(source == NULL ? "" : source->name)),
        .occurrence = source == NULL ? 0 : source->occurrence,
        .written_ms = version == NULL ? 0 : version->time_ms,
        .origin = keep_text(arena, osr_slice_text(version == NULL ? "" : version->origin)),
    };
}

/* What osiris_get gives out is the first member of this. */
struct kept_document {
    struct osiris_document document;
    struct osr_arena *arena;
};

static int on_got(void *context, const ProtobufCMessage *reply)
{
    const Osr__Document *document = ((const Osr__GetResponse *)reply)->document;
    struct kept_document **kept = context;
    if (document != NULL && *kept == NULL) {
        *kept = osr_alloc(sizeof(**kept));
        (*kept)->arena = osr_arena_create(0, KEPT_BYTES_MAX);
        keep_document((*kept)->arena, document, &(*kept)->document);
    }
    return 0;
}

int osiris_get(struct osiris_client *client, const char *id, struct osiris_document **ret_document,
               struct osiris_error *error)
{
    struct osr_err err;
    if (osr_face_check(client, &err) != OSR_OK) {
        return osr_face_error(&err, error);
    }
    Osr__GetRequest request = OSR__GET_REQUEST__INIT;
    request.id = text_or_empty(id);
    struct kept_document *kept = NULL;
    int code = osr_face_call(client, "kb_get", &request.base, 0, on_got, &kept, error);
    if (code == OSIRIS_OK && kept == NULL) {
        osr_err_set(&err, OSR_INTERNAL, "the instance gave no document");
        return osr_face_error(&err, error);
    }
    if (code == OSIRIS_OK) {
        *ret_document = &kept->document;
    } else if (kept != NULL) {
        osiris_document_free(&kept->document);
    }
    return code;
}

void osiris_document_free(struct osiris_document *document)
{
    if (document != NULL) {
        struct kept_document *kept = (struct kept_document *)document;
        osr_arena_destroy(kept->arena);
        free(kept);
    }
}

/* ---- streams of documents ---- */

/* Whom they are told to: one of the three callbacks. */
struct reader {
    struct osr_arena *arena; /* of the document that is being told */
    osiris_on_document *on_document;
    osiris_on_hit *on_hit;
    osiris_on_change *on_change;
    void *context;
};

static void keep_next(struct reader *reader, const Osr__Document *message,
                      struct osiris_document *ret_document)
{
    static const Osr__Document absent = OSR__DOCUMENT__INIT;
    osr_arena_reset(reader->arena);
    keep_document(reader->arena, message == NULL ? &absent : message, ret_document);
}

static int on_listed(void *context, const ProtobufCMessage *reply)
{
    struct reader *reader = context;
    int stop = 0;
    const Osr__ListResponse *response = (const Osr__ListResponse *)reply;
    for (size_t i = 0; i < response->n_documents && stop == 0; i++) {
        struct osiris_document document;
        keep_next(reader, response->documents[i], &document);
        stop = reader->on_document(reader->context, &document);
    }
    return stop;
}

static int on_found(void *context, const ProtobufCMessage *reply)
{
    struct reader *reader = context;
    int stop = 0;
    const Osr__SearchResponse *response = (const Osr__SearchResponse *)reply;
    for (size_t i = 0; i < response->n_hits && stop == 0; i++) {
        struct osiris_document document;
        keep_next(reader, response->hits[i]->document, &document);
        const struct osiris_hit hit = {
            .document = &document,
            .rank = response->hits[i]->rank,
            .snippet = response->hits[i]->snippet,
        };
        stop = reader->on_hit(reader->context, &hit);
    }
    return stop;
}

static int on_changed(void *context, const ProtobufCMessage *reply)
{
    struct reader *reader = context;
    const Osr__WatchResponse *response = (const Osr__WatchResponse *)reply;
    struct osiris_document document;
    keep_next(reader, response->document, &document);
    const struct osiris_change change = {
        .position = response->position,
        .is_deleted = response->operation == OSR__OPERATION__DELETE,
        .document = &document,
        .origin = response->origin,
        .sequence = response->sequence,
    };
    return reader->on_change(reader->context, &change);
}

static int read_all(struct osiris_client *client, const char *method,
                    const ProtobufCMessage *request, osr_face_reply *on_reply,
                    struct reader *reader, struct osiris_error *error)
{
    enum { ARENA_KEEP_BYTES = 64 << 10 };
    struct osr_err err;
    int code = osr_face_check(client, &err);
    bool is_heard =
        reader->on_document != NULL || reader->on_hit != NULL || reader->on_change != NULL;
    if (code == OSR_OK && !is_heard) {
        code = osr_err_set(&err, OSR_INVALID_ARGUMENT, "no callback was given");
    }
    if (code != OSR_OK) {
        return osr_face_error(&err, error);
    }
    reader->arena = osr_arena_create(ARENA_KEEP_BYTES, KEPT_BYTES_MAX);
    code = osr_face_call(client, method, request, 0, on_reply, reader, error);
    osr_arena_destroy(reader->arena);
    return code;
}

int osiris_list(struct osiris_client *client, const char *collection, const char *after_id,
                uint64_t limit, osiris_on_document *on_document, void *context,
                struct osiris_error *error)
{
    struct reader reader = {.on_document = on_document, .context = context};
    Osr__ListRequest request = OSR__LIST_REQUEST__INIT;
    request.collection = text_or_empty(collection);
    request.after_id = text_or_empty(after_id);
    request.limit = limit;
    return read_all(client, "kb_list", &request.base, on_listed, &reader, error);
}

int osiris_search(struct osiris_client *client, const char *query, uint32_t limit,
                  osiris_on_hit *on_hit, void *context, struct osiris_error *error)
{
    struct reader reader = {.on_hit = on_hit, .context = context};
    Osr__SearchRequest request = OSR__SEARCH_REQUEST__INIT;
    request.query = text_or_empty(query);
    request.limit = limit;
    return read_all(client, "kb_search", &request.base, on_found, &reader, error);
}

int osiris_watch(struct osiris_client *client, uint64_t from_position, const char *collection,
                 osiris_on_change *on_change, void *context, struct osiris_error *error)
{
    struct reader reader = {.on_change = on_change, .context = context};
    Osr__WatchRequest request = OSR__WATCH_REQUEST__INIT;
    request.from_position = from_position;
    request.collection = text_or_empty(collection);
    return read_all(client, "kb_watch", &request.base, on_changed, &reader, error);
}
