#include "node/document_cache.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "model/version.h"

enum {
    ARENA_KEEP = 64 << 10,
    ARENA_CAP = 8 << 20, /* of one document */
    KEY_BYTES = 64,      /* what the map needs for one, beside the key */
};

enum state { STATE_EXPECTED, STATE_ABSENT, STATE_PRESENT };

struct item {
    struct item *newer;
    struct item *older;
    enum state state;
    uint64_t ticket; /* of the search that it stands for */
    uint64_t expires_ms;
    struct osr_version version;
    size_t id_size;
    struct osr_buffer stored; /* form of a present document */
    uint8_t id[];
};

struct osr_document_cache {
    struct osr_map *items; /* by id */
    struct item *newest;
    struct item *oldest;
    size_t bytes;
    uint64_t last_ticket;
    struct osr_arena *arena; /* of the document last found */
    Osr__Version version;
};

struct osr_document_cache *osr_document_cache_create(uint64_t hash_seed)
{
    struct osr_document_cache *cache = osr_alloc(sizeof(*cache));
    cache->items = osr_map_create(hash_seed);
    cache->arena = osr_arena_create(ARENA_KEEP, ARENA_CAP);
    return cache;
}

static size_t cost_of(const struct item *item)
{
    return sizeof(*item) + KEY_BYTES + 2 * item->id_size + item->stored.capacity;
}

static struct osr_slice id_of(const struct item *item)
{
    return osr_slice(item->id, item->id_size);
}

static void unlink_item(struct osr_document_cache *cache, struct item *item)
{
    *(item->newer != NULL ? &item->newer->older : &cache->newest) = item->older;
    *(item->older != NULL ? &item->older->newer : &cache->oldest) = item->newer;
}

static void link_newest(struct osr_document_cache *cache, struct item *item)
{
    item->newer = NULL;
    item->older = cache->newest;
    *(item->older != NULL ? &item->older->newer : &cache->oldest) = item;
    cache->newest = item;
}

static void drop(struct osr_document_cache *cache, struct item *item)
{
    osr_map_remove(cache->items, id_of(item));
    unlink_item(cache, item);
    cache->bytes -= cost_of(item);
    osr_buffer_done(&item->stored);
    free(item);
}

void osr_document_cache_destroy(struct osr_document_cache *cache)
{
    if (cache == NULL) {
        return;
    }
    while (cache->newest != NULL) {
        drop(cache, cache->newest);
    }
    osr_map_destroy(cache->items);
    osr_arena_destroy(cache->arena);
    free(cache);
}

static void make_room(struct osr_document_cache *cache)
{
    while (cache->bytes > OSR_DOCUMENT_CACHE_BYTES) {
        drop(cache, cache->oldest);
    }
}

/* ---- asking ---- */

static Osr__Document *decode(struct osr_document_cache *cache, const struct item *item)
{
    Osr__Entry *entry;
    struct osr_err err;
    osr_arena_reset(cache->arena);
    int code = osr_entry_decode(osr_buffer_slice(&item->stored), 0, cache->arena, &entry, &err);
    assert(code == 0); /* a stored form within a document's limits */
    (void)code;
    osr__version__init(&cache->version);
    cache->version.time_ms = item->version.time.ms;
    cache->version.time_logical = item->version.time.logical;
    cache->version.origin = (char *)item->version.origin;
    entry->document->version = &cache->version;
    return entry->document;
}

enum osr_cached osr_document_cache_find(struct osr_document_cache *cache, struct osr_slice id,
                                        uint64_t now_ms, Osr__Document **ret_document)
{
    struct item *item = osr_map_get(cache->items, id);
    if (item == NULL || item->state == STATE_EXPECTED) {
        return OSR_CACHED_NOTHING;
    }
    if (item->state == STATE_PRESENT && item->expires_ms != 0 && item->expires_ms <= now_ms) {
        drop(cache, item);
        return OSR_CACHED_NOTHING;
    }
    unlink_item(cache, item);
    link_newest(cache, item);
    if (item->state == STATE_ABSENT) {
        return OSR_CACHED_ABSENCE;
    }
    *ret_document = decode(cache, item);
    return OSR_CACHED_DOCUMENT;
}

uint64_t osr_document_cache_expect(struct osr_document_cache *cache, struct osr_slice id)
{
    struct item *item = osr_map_get(cache->items, id);
    if (item != NULL) {
        return item->ticket; /* both searches will find the same */
    }
    item = osr_alloc(sizeof(*item) + id.size);
    item->state = STATE_EXPECTED;
    item->ticket = ++cache->last_ticket;
    item->id_size = id.size;
    memcpy(item->id, id.data, id.size);
    osr_map_put(cache->items, id, item);
    link_newest(cache, item);
    cache->bytes += cost_of(item);
    make_room(cache);
    return cache->last_ticket;
}

/* ---- answers ---- */

static void set_present(struct osr_document_cache *cache, struct item *item,
                        const struct osr_buffer *stored, uint64_t expires_ms)
{
    item->state = STATE_PRESENT;
    item->stored = *stored;
    item->expires_ms = expires_ms;
    cache->bytes += stored->capacity;
    make_room(cache);
}

void osr_document_cache_keep(struct osr_document_cache *cache, struct osr_slice id, uint64_t ticket,
                             const Osr__Document *document)
{
    struct item *item = osr_map_get(cache->items, id);
    if (item == NULL || item->state != STATE_EXPECTED || item->ticket != ticket) {
        return; /* something was released since, or it had to make room */
    }
    if (document == NULL) {
        item->state = STATE_ABSENT;
        return;
    }
    const Osr__Version *version = document->version;
    item->version.time = (struct osr_time){version->time_ms, version->time_logical};
    snprintf(item->version.origin, sizeof(item->version.origin), "%s", version->origin);
    struct osr_buffer stored = {0};
    osr_entry_encode(&stored, item->version.time, OSR__OPERATION__PUT, document);
    set_present(cache, item, &stored, document->expires_ms);
}

/* The first version of a document that was asked for before it was there. */
static void take_first(struct osr_document_cache *cache, struct item *item,
                       const struct osr_feed_id *feed, struct osr_slice stored)
{
    Osr__Entry *entry;
    struct osr_err err;
    osr_arena_reset(cache->arena);
    if (osr_entry_decode(stored, 0, cache->arena, &entry, &err) != 0 ||
        entry->operation != OSR__OPERATION__PUT) {
        drop(cache, item);
        return;
    }
    item->version.time = (struct osr_time){entry->time_ms, entry->time_logical};
    snprintf(item->version.origin, sizeof(item->version.origin), "%s", feed->origin);
    struct osr_buffer copy = {0};
    osr_buffer_add(&copy, stored.data, stored.size);
    set_present(cache, item, &copy, entry->document->expires_ms);
}

void osr_document_cache_released(struct osr_document_cache *cache, const struct osr_batch *batch)
{
    for (size_t i = 0; i < batch->count && osr_map_count(cache->items) > 0; i++) {
        struct osr_slice stored = osr_record_stored(osr_batch_record(batch, i));
        struct item *item = osr_map_get(cache->items, osr_stored_id(stored));
        if (item == NULL) {
            continue;
        }
        if (item->state == STATE_ABSENT) {
            take_first(cache, item, &batch->feed, stored);
        } else {
            drop(cache, item);
        }
    }
}
