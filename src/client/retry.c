#include "client/retry.h"

#include <assert.h>

static bool is_put_idempotent(const Osr__PutRequest *put)
{
    const Osr__Document *document = put->document;
    return document != NULL && document->source != NULL && document->id[0] == '\0';
}

static bool is_import_idempotent(const Osr__ImportRequest *import)
{
    for (size_t i = 0; i < import->n_documents; i++) {
        const Osr__Document *document = import->documents[i];
        if (document->source == NULL && document->id[0] == '\0') {
            return false;
        }
    }
    return true;
}

bool osr_retry_is_idempotent(const Osr__Frame *request)
{
    switch (request->body_case) {
    case OSR__FRAME__BODY_KB_GET:
    case OSR__FRAME__BODY_KB_LIST:
    case OSR__FRAME__BODY_KB_SEARCH:
    case OSR__FRAME__BODY_KB_HISTORY:
    case OSR__FRAME__BODY_KB_DIGEST:
    case OSR__FRAME__BODY_STATUS:
    case OSR__FRAME__BODY_FEEDS:
    case OSR__FRAME__BODY_FEEDS_FOLLOWERS:
        return true;
    case OSR__FRAME__BODY_KB_WATCH:
        /* One for what is new would silently lack what came in between. */
        return request->kb_watch->from_position > 0;
    case OSR__FRAME__BODY_KB_PUT:
        return is_put_idempotent(request->kb_put);
    case OSR__FRAME__BODY_KB_IMPORT:
        return is_import_idempotent(request->kb_import);
    default:
        return false;
    }
}

bool osr_retry_is_allowed(const Osr__Frame *request, enum osr_code code, bool is_unsent)
{
    if (code != OSR_BUSY && code != OSR_UNAVAILABLE) {
        return false;
    }
    /* BUSY is said before anything is done; but an import may be cut by it. */
    bool is_undone = code == OSR_BUSY && request->body_case != OSR__FRAME__BODY_KB_IMPORT;
    return is_unsent || is_undone || osr_retry_is_idempotent(request);
}

uint32_t osr_retry_delay_ms(uint32_t attempts, struct osr_random *random)
{
    assert(attempts > 0);
    uint32_t delay_ms = OSR_RETRY_FIRST_MS;
    for (uint32_t i = 1; i < attempts && delay_ms < OSR_RETRY_MAX_MS; i++) {
        delay_ms *= 2;
    }
    delay_ms = delay_ms < OSR_RETRY_MAX_MS ? delay_ms : OSR_RETRY_MAX_MS;
    uint32_t half_ms = delay_ms / 2;
    return half_ms + (uint32_t)osr_random_below(random, delay_ms - half_ms + 1);
}
