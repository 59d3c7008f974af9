#include "adapter/wal_facts.h"

#include <stdlib.h>

#include "base/map.h"

struct osr_wal_facts {
    struct osr_map *ordinals; /* key -> uint64_t */
};

struct osr_wal_facts *osr_wal_facts_create(uint64_t seed)
{
    struct osr_wal_facts *facts = osr_alloc(sizeof(*facts));

    facts->ordinals = osr_map_create(seed);
    return facts;
}

void osr_wal_facts_destroy(struct osr_wal_facts *facts)
{
    struct osr_slice key;
    size_t cursor = 0;
    void *ordinal;

    if (facts == NULL) {
        return;
    }
    while (osr_map_next(facts->ordinals, &cursor, &key, &ordinal)) {
        free(ordinal);
    }
    osr_map_destroy(facts->ordinals);
    free(facts);
}

uint64_t osr_wal_facts_put(struct osr_wal_facts *facts, struct osr_slice key, uint64_t ordinal)
{
    uint64_t *newest = osr_map_get(facts->ordinals, key);
    uint64_t before = 0;

    if (newest == NULL) {
        newest = osr_alloc(sizeof(*newest));
        osr_map_put(facts->ordinals, key, newest);
    } else {
        before = *newest;
    }
    *newest = ordinal;
    return before;
}

uint64_t osr_wal_facts_newest(const struct osr_wal_facts *facts, struct osr_slice key)
{
    const uint64_t *newest = osr_map_get(facts->ordinals, key);

    return newest == NULL ? 0 : *newest;
}
