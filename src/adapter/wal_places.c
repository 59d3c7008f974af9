#include "adapter/wal_places.h"

#include <assert.h>
#include <stdlib.h>

#include "adapter/wal_segment.h"

enum { OFFSETS_LEAST = 8 };

void osr_wal_places_init(struct osr_wal_places *places, uint64_t first)
{
    *places = (struct osr_wal_places){
        .first = first,
        .next = first,
        .end = OSR_SEGMENT_FIRST_OFFSET,
    };
}

void osr_wal_places_done(struct osr_wal_places *places)
{
    free(places->offsets);
    free(places->voids);
}

static void add_offset(struct osr_wal_places *places, uint64_t begin, uint64_t end)
{
    if (places->count == places->capacity) {
        places->capacity = places->capacity == 0 ? OFFSETS_LEAST : places->capacity * 2;
        places->offsets = osr_realloc(places->offsets, places->capacity * sizeof(*places->offsets));
    }
    places->offsets[places->count++] = (uint32_t)(begin / OSR_SEGMENT_UNIT_BYTES);
    places->end = end;
}

void osr_wal_places_add(struct osr_wal_places *places, uint64_t begin, uint64_t end)
{
    add_offset(places, begin, end);
    places->next++;
}

void osr_wal_places_add_void(struct osr_wal_places *places, uint64_t count, uint64_t begin,
                             uint64_t end)
{
    places->voids = osr_realloc(places->voids, (places->void_count + 1) * sizeof(*places->voids));
    places->voids[places->void_count++] = (struct osr_wal_void){
        .first = places->next,
        .count = count,
        .position = places->count,
    };
    add_offset(places, begin, end);
    places->next += count;
}

void osr_wal_places_complete(struct osr_wal_places *places)
{
    if (places->count > 0) {
        places->offsets = osr_realloc(places->offsets, places->count * sizeof(*places->offsets));
    }
    places->capacity = places->count;
}

struct osr_wal_place osr_wal_places_at(const struct osr_wal_places *places, size_t position)
{
    assert(position < places->count);
    return (struct osr_wal_place){
        .begin = (uint64_t)places->offsets[position] * OSR_SEGMENT_UNIT_BYTES,
        .end = position + 1 < places->count
                   ? (uint64_t)places->offsets[position + 1] * OSR_SEGMENT_UNIT_BYTES
                   : places->end,
    };
}

/* How many voids begin at or before an ordinal. */
static size_t voids_up_to(const struct osr_wal_places *places, uint64_t ordinal)
{
    size_t low = 0;
    size_t high = places->void_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (places->voids[middle].first <= ordinal) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The void that an ordinal is in, or NULL. */
static const struct osr_wal_void *void_of(const struct osr_wal_places *places, uint64_t ordinal)
{
    size_t count = voids_up_to(places, ordinal);
    const struct osr_wal_void *last = count > 0 ? &places->voids[count - 1] : NULL;

    return last != NULL && ordinal - last->first < last->count ? last : NULL;
}

static size_t position_of(const struct osr_wal_places *places, uint64_t ordinal)
{
    size_t count = voids_up_to(places, ordinal);
    const struct osr_wal_void *last;

    assert(ordinal >= places->first && ordinal < places->next);
    if (count == 0) {
        return (size_t)(ordinal - places->first);
    }
    last = &places->voids[count - 1];
    if (ordinal - last->first < last->count) {
        return last->position;
    }
    return last->position + 1 + (size_t)(ordinal - (last->first + last->count));
}

struct osr_wal_place osr_wal_places_locate(const struct osr_wal_places *places, uint64_t ordinal)
{
    return osr_wal_places_at(places, position_of(places, ordinal));
}

uint64_t osr_wal_places_skip_voids(const struct osr_wal_places *places, uint64_t ordinal)
{
    const struct osr_wal_void *in = void_of(places, ordinal);

    while (in != NULL) {
        ordinal = in->first + in->count;
        in = void_of(places, ordinal);
    }
    return ordinal;
}

bool osr_wal_places_has_void(const struct osr_wal_places *places, uint64_t ordinal, uint64_t count)
{
    size_t up_to = voids_up_to(places, ordinal + count - 1);
    const struct osr_wal_void *last = up_to > 0 ? &places->voids[up_to - 1] : NULL;

    return last != NULL && last->first + last->count > ordinal;
}

uint64_t osr_wal_places_bytes(const struct osr_wal_places *places, uint64_t ordinal, uint64_t count)
{
    size_t first = position_of(places, ordinal);
    size_t last = position_of(places, ordinal + count - 1);
    uint64_t bytes = osr_wal_places_at(places, last).end - osr_wal_places_at(places, first).begin;

    for (size_t i = voids_up_to(places, ordinal + count - 1); i > 0; i--) {
        size_t position = places->voids[i - 1].position;
        struct osr_wal_place place;
        if (position < first) {
            break;
        }
        place = osr_wal_places_at(places, position);
        bytes -= place.end - place.begin;
    }
    return bytes;
}
