/* Open addressing with linear probing. A removed entry leaves a grave, so that a walk may
 * remove what it has just seen; graves go when the table grows or is full of them. */
#include "base/map.h"

#include "base/random.h"

#include <assert.h>
#include <stdlib.h>

enum { SLOTS_MIN = 16 }; /* a power of two */

struct entry {
    void *value;
    uint64_t hash;
    size_t key_size;
    uint8_t key[];
};

struct osr_map {
    struct entry **slots; /* NULL: free; &grave: was removed */
    size_t slot_count;    /* a power of two */
    size_t count;
    size_t grave_count;
    uint64_t hash_key[2];
};

static struct entry grave;

/* ---- SipHash-1-3 (Aumasson, Bernstein: "SipHash: a fast short-input PRF") ---- */

static uint64_t rotate_left(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate_left(v[1], 13) ^ v[0];
    v[0] = rotate_left(v[0], 32);
    v[2] += v[3];
    v[3] = rotate_left(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate_left(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate_left(v[1], 17) ^ v[2];
    v[2] = rotate_left(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

/* Up to eight bytes, little-endian. */
static uint64_t sip_load(const uint8_t *data, size_t size)
{
    uint64_t word = 0;
    for (size_t i = 0; i < size; i++) {
        word |= (uint64_t)data[i] << 8 * i;
    }
    return word;
}

uint64_t osr_siphash(const uint64_t key[2], struct osr_slice bytes)
{
    uint64_t v[4] = {
        key[0] ^ 0x736f6d6570736575u,
        key[1] ^ 0x646f72616e646f6du,
        key[0] ^ 0x6c7967656e657261u,
        key[1] ^ 0x7465646279746573u,
    };
    size_t whole = bytes.size & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8) {
        sip_word(v, sip_load(bytes.data + i, 8));
    }
    uint64_t rest = bytes.size > whole ? sip_load(bytes.data + whole, bytes.size - whole) : 0;
    sip_word(v, rest | (uint64_t)bytes.size << 56);
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ---- table ---- */

struct osr_map *osr_map_create(uint64_t seed)
{
    struct osr_map *map = osr_alloc(sizeof(*map));
    struct osr_random random;
    osr_random_init(&random, seed);
    map->hash_key[0] = osr_random_u64(&random);
    map->hash_key[1] = osr_random_u64(&random);
    map->slot_count = SLOTS_MIN;
    map->slots = osr_alloc(map->slot_count * sizeof(struct entry *));
    return map;
}

static bool is_live(const struct entry *entry)
{
    return entry != NULL && entry != &grave;
}

void osr_map_destroy(struct osr_map *map)
{
    if (map == NULL) {
        return;
    }
    for (size_t i = 0; i < map->slot_count; i++) {
        if (is_live(map->slots[i])) {
            free(map->slots[i]);
        }
    }
    free(map->slots);
    free(map);
}

size_t osr_map_count(const struct osr_map *map)
{
    return map->count;
}

/* The slot that holds the key, or NULL. Ends because the table is never full. */
static struct entry **find(const struct osr_map *map, struct osr_slice key, uint64_t hash)
{
    size_t mask = map->slot_count - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct entry *entry = map->slots[i];
        if (entry == NULL) {
            return NULL;
        }
        if (entry != &grave && entry->hash == hash &&
            osr_slice_equal(osr_slice(entry->key, entry->key_size), key)) {
            return &map->slots[i];
        }
    }
}

static struct entry **find_free(struct osr_map *map, uint64_t hash)
{
    size_t mask = map->slot_count - 1;
    size_t i = hash & mask;
    while (map->slots[i] != NULL) {
        i = (i + 1) & mask;
    }
    return &map->slots[i];
}

static void rebuild(struct osr_map *map, size_t slot_count)
{
    struct entry **old = map->slots;
    size_t old_count = map->slot_count;
    map->slots = osr_alloc(slot_count * sizeof(struct entry *));
    map->slot_count = slot_count;
    map->grave_count = 0;
    for (size_t i = 0; i < old_count; i++) {
        if (is_live(old[i])) {
            *find_free(map, old[i]->hash) = old[i];
        }
    }
    free(old);
}

/* Keeps a quarter of the slots free, so that searches stay short and end. */
static void make_room(struct osr_map *map)
{
    if ((map->count + map->grave_count + 1) * 4 > map->slot_count * 3) {
        bool is_half_full = map->count * 2 >= map->slot_count;
        rebuild(map, is_half_full ? map->slot_count * 2 : map->slot_count);
    }
}

void *osr_map_get(const struct osr_map *map, struct osr_slice key)
{
    struct entry **slot = find(map, key, osr_siphash(map->hash_key, key));
    return slot != NULL ? (*slot)->value : NULL;
}

void *osr_map_put(struct osr_map *map, struct osr_slice key, void *value)
{
    assert(value != NULL);
    uint64_t hash = osr_siphash(map->hash_key, key);
    struct entry **slot = find(map, key, hash);
    if (slot != NULL) {
        void *old = (*slot)->value;
        (*slot)->value = value;
        return old;
    }
    make_room(map);
    struct entry *entry = osr_alloc(sizeof(*entry) + key.size);
    entry->value = value;
    entry->hash = hash;
    entry->key_size = key.size;
    if (key.size > 0) {
        memcpy(entry->key, key.data, key.size);
    }
    *find_free(map, hash) = entry;
    map->count++;
    return NULL;
}

void *osr_map_remove(struct osr_map *map, struct osr_slice key)
{
    struct entry **slot = find(map, key, osr_siphash(map->hash_key, key));
    if (slot == NULL) {
        return NULL;
    }
    void *value = (*slot)->value;
    free(*slot);
    *slot = &grave;
    map->count--;
    map->grave_count++;
    return value;
}

bool osr_map_next(const struct osr_map *map, size_t *cursor, struct osr_slice *ret_key,
                  void **ret_value)
{
    while (*cursor < map->slot_count) {
        const struct entry *entry = map->slots[(*cursor)++];
        if (is_live(entry)) {
            *ret_key = osr_slice(entry->key, entry->key_size);
            *ret_value = entry->value;
            return true;
        }
    }
    return false;
}
