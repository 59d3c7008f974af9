#include "base/occurrences.h"

#include <stdlib.h>

void osr_occurrences_done(struct osr_occurrences *occurrences)
{
    free(occurrences->slots);
    *occurrences = (struct osr_occurrences){0};
}

/* The slot with this key, or the free one where it belongs. A digest's bytes are as good as random,
 * so they are their own hash. */
static struct osr_occurrence *find(const struct osr_occurrences *occurrences, const uint8_t *key)
{
    size_t mask = occurrences->slot_count - 1;
    size_t at = (size_t)osr_get_u64(key) & mask;
    while (occurrences->slots[at].count > 0 &&
           memcmp(occurrences->slots[at].key, key, OSR_OCCURRENCES_KEY_BYTES) != 0) {
        at = (at + 1) & mask;
    }
    return &occurrences->slots[at];
}

static void grow(struct osr_occurrences *occurrences)
{
    enum { SLOTS_MIN = 1024 };
    struct osr_occurrences larger = {
        .slot_count = occurrences->slot_count > 0 ? occurrences->slot_count * 2 : SLOTS_MIN,
        .taken = occurrences->taken};
    larger.slots = osr_alloc(larger.slot_count * sizeof(*larger.slots));
    for (size_t i = 0; i < occurrences->slot_count; i++) {
        if (occurrences->slots[i].count > 0) {
            *find(&larger, occurrences->slots[i].key) = occurrences->slots[i];
        }
    }
    free(occurrences->slots);
    *occurrences = larger;
}

uint64_t osr_occurrences_next(struct osr_occurrences *occurrences, const struct osr_hash *digest)
{
    if ((occurrences->taken + 1) * 4 > occurrences->slot_count * 3) {
        grow(occurrences);
    }
    struct osr_occurrence *slot = find(occurrences, digest->bytes);
    if (slot->count == 0) {
        memcpy(slot->key, digest->bytes, OSR_OCCURRENCES_KEY_BYTES);
        occurrences->taken++;
    }
    return ++slot->count;
}
