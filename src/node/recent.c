#include "node/recent.h"

#include <stdlib.h>

#include "base/map.h"

enum { CAPACITY_MIN = 1 << 10 }; /* a power of two */

struct item {
    uint64_t hash;
    uint64_t ordinal;
    uint64_t index;
    uint32_t log_id;
    uint32_t older; /* number of the item before it in its chain */
};

/* Items have numbers, which count up and wrap; item n stands in ring[n & mask]. Chains lead to
 * ever older numbers and end at the first one that is not in the ring any more. So nothing
 * needs mending when old items go. A number so old that it has wrapped leads to some item of
 * another hash, where a search finds nothing. */
struct osr_recent {
    uint64_t hash_key[2];
    struct item *ring;
    uint32_t *newest; /* of each chain; as many as the ring has places */
    uint32_t mask;
    uint32_t first;
    uint32_t count;
};

static void make_tables(struct osr_recent *recent, uint32_t capacity)
{
    recent->ring = osr_alloc(capacity * sizeof(recent->ring[0]));
    recent->newest = osr_alloc(capacity * sizeof(recent->newest[0]));
    recent->mask = capacity - 1;
}

struct osr_recent *osr_recent_create(const uint64_t hash_key[2])
{
    struct osr_recent *recent = osr_alloc(sizeof(*recent));
    memcpy(recent->hash_key, hash_key, sizeof(recent->hash_key));
    make_tables(recent, CAPACITY_MIN);
    return recent;
}

void osr_recent_destroy(struct osr_recent *recent)
{
    if (recent != NULL) {
        free(recent->ring);
        free(recent->newest);
        free(recent);
    }
}

size_t osr_recent_count(const struct osr_recent *recent)
{
    return recent->count;
}

static struct item *item_at(const struct osr_recent *recent, uint32_t number)
{
    return &recent->ring[number & recent->mask];
}

static void push(struct osr_recent *recent, const struct item *item)
{
    uint32_t number = recent->first + recent->count++;
    uint32_t *newest = &recent->newest[item->hash & recent->mask];
    *item_at(recent, number) = *item;
    item_at(recent, number)->older = *newest;
    *newest = number;
}

static void grow(struct osr_recent *recent)
{
    struct osr_recent old = *recent;
    make_tables(recent, 2 * (old.mask + 1));
    recent->count = 0;
    for (uint32_t i = 0; i < old.count; i++) {
        push(recent, item_at(&old, old.first + i));
    }
    free(old.ring);
    free(old.newest);
}

bool osr_recent_add(struct osr_recent *recent, struct osr_slice id, struct osr_position position,
                    uint64_t ordinal)
{
    if (recent->count == OSR_RECENT_ENTRIES_MAX) {
        return false;
    }
    if (recent->count > recent->mask) {
        grow(recent);
    }
    struct item item = {
        .hash = osr_siphash(recent->hash_key, id),
        .ordinal = ordinal,
        .index = position.index,
        .log_id = position.log_id,
    };
    push(recent, &item);
    return true;
}

void osr_recent_evict(struct osr_recent *recent, uint64_t ordinal)
{
    while (recent->count > 0 && item_at(recent, recent->first)->ordinal <= ordinal) {
        recent->first++;
        recent->count--;
    }
}

void osr_recent_clear(struct osr_recent *recent)
{
    recent->first += recent->count;
    recent->count = 0;
}

static bool is_in_ring(const struct osr_recent *recent, uint32_t number)
{
    return number - recent->first < recent->count;
}

size_t osr_recent_find(const struct osr_recent *recent, struct osr_slice id,
                       struct osr_position *positions, size_t max)
{
    uint64_t hash = osr_siphash(recent->hash_key, id);
    uint32_t number = recent->newest[hash & recent->mask];
    size_t found = 0;
    while (is_in_ring(recent, number) && found <= max) {
        const struct item *item = item_at(recent, number);
        if (item->hash == hash) {
            if (found < max) {
                positions[found] = (struct osr_position){item->log_id, item->index};
            }
            found++;
        }
        if (!is_in_ring(recent, item->older) ||
            item->older - recent->first >= number - recent->first) {
            break;
        }
        number = item->older;
    }
    return found;
}
