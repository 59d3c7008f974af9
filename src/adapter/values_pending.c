#include "adapter/values_pending.h"

#include <assert.h>
#include <stdlib.h>

#include "adapter/keys.h"
#include "base/map.h"

enum {
    SLOTS_MIN = 1 << 10, /* a power of two */
    /* Kept over a clear: enough for one flush of small values. */
    KEPT_SLOTS_MAX = 64 << 10,
    KEPT_BYTES_MAX = 4 << 20,
};

/* The hash stands here, so that a look past other keys reads one line of memory, and no entries. */
struct slot {
    uint64_t hash;
    struct osr_values_entry *entry; /* NULL: free */
};

/* Open addressing with linear probing; at most half of the slots are used. */
struct osr_values_pending {
    struct slot *slots;
    size_t slot_count; /* a power of two */
    size_t count;
    uint64_t hash_key[2];    /* secret: keys are chosen by clients */
    struct osr_arena *arena; /* entries and their values */
    struct osr_values_order order;
    bool is_frozen;
};

static void set_slots(struct osr_values_pending *pending, size_t slot_count)
{
    free(pending->slots);
    pending->slots = osr_alloc(slot_count * sizeof(struct slot));
    pending->slot_count = slot_count;
}

struct osr_values_pending *osr_values_pending_create(void)
{
    struct osr_values_pending *pending = osr_alloc(sizeof(*pending));

    osr_secret_random(pending->hash_key, sizeof(pending->hash_key));
    pending->arena = osr_arena_create(KEPT_BYTES_MAX, SIZE_MAX);
    set_slots(pending, SLOTS_MIN);
    return pending;
}

void osr_values_pending_destroy(struct osr_values_pending *pending)
{
    if (pending == NULL) {
        return;
    }
    osr_values_order_done(&pending->order);
    osr_arena_destroy(pending->arena);
    free(pending->slots);
    free(pending);
}

void osr_values_pending_clear(struct osr_values_pending *pending)
{
    pending->is_frozen = false;
    if (pending->count == 0) {
        return;
    }
    pending->count = 0;
    osr_values_order_clear(&pending->order);
    osr_arena_reset(pending->arena);
    set_slots(pending,
              pending->slot_count <= KEPT_SLOTS_MAX ? pending->slot_count : (size_t)SLOTS_MIN);
}

void osr_values_pending_freeze(struct osr_values_pending *pending)
{
    osr_values_order_seal(&pending->order);
    pending->is_frozen = true;
}

/* ---- table ---- */

/* Where the key stands, or would. */
static struct slot *find(const struct osr_values_pending *pending, struct osr_slice key,
                         uint64_t hash)
{
    size_t mask = pending->slot_count - 1;
    struct slot *slot = &pending->slots[hash & mask];

    while (slot->entry != NULL &&
           (slot->hash != hash || !osr_slice_equal(osr_values_entry_key(slot->entry), key))) {
        slot = &pending->slots[(size_t)(slot - pending->slots + 1) & mask];
    }
    return slot;
}

static void grow(struct osr_values_pending *pending)
{
    struct slot *old = pending->slots;
    size_t old_count = pending->slot_count;

    pending->slots = NULL;
    set_slots(pending, old_count * 2);
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].entry != NULL) {
            *find(pending, osr_values_entry_key(old[i].entry), old[i].hash) = old[i];
        }
    }
    free(old);
}

static struct osr_values_entry *add(struct osr_values_pending *pending, struct osr_slice key,
                                    uint64_t hash)
{
    struct osr_values_entry *entry = osr_arena_take(pending->arena, sizeof(*entry) + key.size);

    *entry = (struct osr_values_entry){.key_size = (uint16_t)key.size};
    memcpy(entry->key, key.data, key.size);
    if ((pending->count + 1) * 2 > pending->slot_count) {
        grow(pending);
    }
    *find(pending, key, hash) = (struct slot){hash, entry};
    pending->count++;
    osr_values_order_add(&pending->order, entry);
    return entry;
}

static struct osr_values_entry *find_or_add(struct osr_values_pending *pending,
                                            struct osr_slice key)
{
    uint64_t hash = osr_siphash(pending->hash_key, key);
    struct osr_values_entry *entry = find(pending, key, hash)->entry;

    assert(!pending->is_frozen);
    return entry != NULL ? entry : add(pending, key, hash);
}

/* ---- values ---- */

void osr_values_pending_put(struct osr_values_pending *pending, struct osr_slice key,
                            struct osr_slice value)
{
    struct osr_values_entry *entry = find_or_add(pending, key);

    if (value.size > entry->value_room) {
        /* What stood there is given back with all else. */
        entry->value = osr_arena_take(pending->arena, value.size);
        entry->value_room = (uint32_t)value.size;
    }
    if (value.size > 0) {
        memcpy(entry->value, value.data, value.size);
    }
    entry->value_size = (uint32_t)value.size;
    entry->is_removed = false;
}

void osr_values_pending_remove(struct osr_values_pending *pending, struct osr_slice key)
{
    struct osr_values_entry *entry = find_or_add(pending, key);

    entry->value_size = 0;
    entry->is_removed = true;
}

const struct osr_values_entry *osr_values_pending_get(const struct osr_values_pending *pending,
                                                      struct osr_slice key)
{
    return pending->count == 0 ? NULL
                               : find(pending, key, osr_siphash(pending->hash_key, key))->entry;
}

const struct osr_values_entry *osr_values_pending_seek(struct osr_values_pending *pending,
                                                       struct osr_slice from)
{
    if (!pending->is_frozen) {
        osr_values_order_seal(&pending->order);
    }
    return osr_values_order_seek(&pending->order, from);
}

void osr_values_pending_walk(const struct osr_values_pending *pending,
                             struct osr_values_walk *ret_walk)
{
    assert(pending->is_frozen);
    osr_values_walk_begin(ret_walk, &pending->order);
}

size_t osr_values_pending_count(const struct osr_values_pending *pending)
{
    return pending->count;
}

size_t osr_values_pending_used(const struct osr_values_pending *pending)
{
    return osr_arena_used(pending->arena);
}

size_t osr_values_pending_bytes(const struct osr_values_pending *pending)
{
    return osr_values_pending_used(pending) + pending->slot_count * sizeof(struct slot) +
           osr_values_order_bytes(&pending->order);
}
