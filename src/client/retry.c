#include "client/retry.h"

#include <assert.h>

#include "model/limits.h"
#include "wire/codec.h"

static bool is_watch_idempotent(const ProtobufCMessage *message)
{
    /* One for what is new would silently lack what came in between. */
    return ((const Osr__WatchRequest *)message)->from_position > 0;
}

static bool is_put_idempotent(const ProtobufCMessage *message)
{
    const Osr__Document *document = ((const Osr__PutRequest *)message)->document;
    return document != NULL && document->source != NULL && document->id[0] == '\0';
}

static bool is_import_idempotent(const ProtobufCMessage *message)
{
    const Osr__ImportRequest *import = (const Osr__ImportRequest *)message;
    for (size_t i = 0; i < import->n_documents; i++) {
        const Osr__Document *document = import->documents[i];
        if (document->source == NULL && document->id[0] == '\0') {
            return false;
        }
    }
    return true;
}

/* Where what is in the request decides. */
static bool ask_request(const struct osr_method *method, struct osr_slice request,
                        bool (*is_idempotent)(const ProtobufCMessage *message))
{
    struct osr_arena *arena = osr_arena_create(0, OSR_DECODE_BYTES_MAX);
    ProtobufCMessage *message;
    bool answer = osr_message_decode(OSR_CODEC_PROTOBUF, method->request_descriptor, request, arena,
                                     &message, NULL) == OSR_OK &&
                  is_idempotent(message);
    osr_arena_destroy(arena);
    return answer;
}

bool osr_retry_is_idempotent(const struct osr_method *method, struct osr_slice request)
{
    switch (method->request) {
    case OSR__FRAME__BODY_KB_GET:
    case OSR__FRAME__BODY_KB_LIST:
    case OSR__FRAME__BODY_KB_SEARCH:
    case OSR__FRAME__BODY_KB_HISTORY:
    case OSR__FRAME__BODY_KB_DIGEST:
    case OSR__FRAME__BODY_STATUS:
    case OSR__FRAME__BODY_FEEDS:
    case OSR__FRAME__BODY_FEEDS_FOLLOWERS:
    case OSR__FRAME__BODY_AUTHENTICATE:
    case OSR__FRAME__BODY_CREDENTIALS:
    case OSR__FRAME__BODY_ACCESS_CHECK:
    case OSR__FRAME__BODY_AUDIT:
    case OSR__FRAME__BODY_KV_GET:
    case OSR__FRAME__BODY_CLUSTER_STATUS:
        return true;
    case OSR__FRAME__BODY_KB_WATCH:
        return ask_request(method, request, is_watch_idempotent);
    case OSR__FRAME__BODY_KB_PUT:
        return ask_request(method, request, is_put_idempotent);
    case OSR__FRAME__BODY_KB_IMPORT:
        return ask_request(method, request, is_import_idempotent);
    default:
        return false;
    }
}

bool osr_retry_is_allowed(const struct osr_method *method, struct osr_slice request,
                          enum osr_code code, bool is_unsent)
{
    if (code != OSR_BUSY && code != OSR_UNAVAILABLE) {
        return false;
    }
    /* BUSY is said before anything is done; but an import may be cut by it. */
    bool is_undone = code == OSR_BUSY && method->request != OSR__FRAME__BODY_KB_IMPORT;
    return is_unsent || is_undone || osr_retry_is_idempotent(method, request);
}

uint32_t osr_retry_delay_ms(uint32_t attempts, uint32_t asked_ms, struct osr_random *random)
{
    assert(attempts > 0);
    uint32_t delay_ms = OSR_RETRY_FIRST_MS;
    for (uint32_t i = 1; i < attempts && delay_ms < OSR_RETRY_MAX_MS; i++) {
        delay_ms *= 2;
    }
    delay_ms = delay_ms < OSR_RETRY_MAX_MS ? delay_ms : OSR_RETRY_MAX_MS;
    uint32_t half_ms = delay_ms / 2;
    delay_ms = half_ms + (uint32_t)osr_random_below(random, delay_ms - half_ms + 1);
    asked_ms = asked_ms < OSR_RETRY_ASKED_MAX_MS ? asked_ms : OSR_RETRY_ASKED_MAX_MS;
    return delay_ms > asked_ms ? delay_ms : asked_ms;
}
