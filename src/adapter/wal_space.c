#include "adapter/wal_space.h"

#include <assert.h>
#include <stdlib.h>

#include "adapter/wal_segment.h"

/* A segment is rewritten for no less than a block of the file system. */
enum { VOID_BYTES_LEAST = 4 << 10 };

void osr_wal_space_done(struct osr_wal_space *space)
{
    for (size_t i = 0; i < space->segment_count; i++) {
        osr_wal_places_done(&space->segments[i].places);
    }
    free(space->segments);
}

/* Growing. */

void osr_wal_space_begin_segment(struct osr_wal_space *space)
{
    if (space->segment_count > 0) {
        osr_wal_places_complete(&space->segments[space->segment_count - 1].places);
    }
    space->segments =
        osr_realloc(space->segments, (space->segment_count + 1) * sizeof(*space->segments));
    space->segments[space->segment_count] = (struct osr_wal_space_segment){0};
    osr_wal_places_init(&space->segments[space->segment_count].places, space->last_ordinal + 1);
    space->segment_count++;
}

uint64_t osr_wal_space_add(struct osr_wal_space *space, uint64_t begin, uint64_t end)
{
    osr_wal_places_add(&space->segments[space->segment_count - 1].places, begin, end);
    return ++space->last_ordinal;
}

uint64_t osr_wal_space_add_void(struct osr_wal_space *space, uint64_t count, uint64_t begin,
                                uint64_t end)
{
    uint64_t ordinal = space->last_ordinal + 1;

    osr_wal_places_add_void(&space->segments[space->segment_count - 1].places, count, begin, end);
    space->last_ordinal += count;
    return ordinal;
}

/* Where things stand. */

/* The last segment that begins at or before the ordinal. */
static size_t segment_of(const struct osr_wal_space *space, uint64_t ordinal)
{
    size_t low = 0;
    size_t high = space->segment_count - 1;

    assert(ordinal > 0 && ordinal <= space->last_ordinal);
    while (low < high) {
        size_t middle = high - (high - low) / 2;
        if (space->segments[middle].places.first <= ordinal) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

void osr_wal_space_note_voided(struct osr_wal_space *space, uint64_t ordinal, uint64_t count)
{
    while (count > 0) {
        struct osr_wal_space_segment *segment = &space->segments[segment_of(space, ordinal)];
        uint64_t rest = segment->places.next - ordinal;
        uint64_t here = count < rest ? count : rest;
        segment->void_bytes += osr_wal_places_bytes(&segment->places, ordinal, here);
        ordinal += here;
        count -= here;
    }
}

struct osr_wal_place osr_wal_space_locate(const struct osr_wal_space *space, uint64_t ordinal,
                                          size_t *ret_segment)
{
    *ret_segment = segment_of(space, ordinal);
    return osr_wal_places_locate(&space->segments[*ret_segment].places, ordinal);
}

uint64_t osr_wal_space_skip_voids(const struct osr_wal_space *space, uint64_t ordinal)
{
    while (ordinal <= space->last_ordinal) {
        const struct osr_wal_places *places = &space->segments[segment_of(space, ordinal)].places;
        ordinal = osr_wal_places_skip_voids(places, ordinal);
        if (ordinal < places->next) {
            break;
        }
    }
    return ordinal;
}

bool osr_wal_space_is_there(const struct osr_wal_space *space, uint64_t ordinal, uint64_t count)
{
    uint64_t end = ordinal + count;

    while (ordinal < end) {
        const struct osr_wal_places *places = &space->segments[segment_of(space, ordinal)].places;
        uint64_t rest = (end < places->next ? end : places->next) - ordinal;
        if (osr_wal_places_has_void(places, ordinal, rest)) {
            return false;
        }
        ordinal += rest;
    }
    return true;
}

/* For compaction. */

/* Bytes of records, also of those that count no more. */
static uint64_t record_bytes(const struct osr_wal_space_segment *segment)
{
    return segment->places.end - OSR_SEGMENT_FIRST_OFFSET;
}

static uint64_t bytes_that_count(const struct osr_wal_space *space, size_t segment)
{
    return record_bytes(&space->segments[segment]) - space->segments[segment].void_bytes;
}

static bool pick_emptiest(const struct osr_wal_space *space, size_t *ret_segment)
{
    uint64_t most = 0;

    for (size_t i = 0; i + 1 < space->segment_count; i++) {
        const struct osr_wal_space_segment *segment = &space->segments[i];
        if (segment->void_bytes >= VOID_BYTES_LEAST &&
            segment->void_bytes >= record_bytes(segment) / 2 && segment->void_bytes > most) {
            most = segment->void_bytes;
            *ret_segment = i;
        }
    }
    return most > 0;
}

/* The range from a segment on that may be joined. */
static struct osr_wal_range extend(const struct osr_wal_space *space, size_t segment,
                                   uint64_t join_bytes)
{
    struct osr_wal_range range = {segment, 0};
    uint64_t bytes = 0;

    while (segment + 1 < space->segment_count &&
           bytes + bytes_that_count(space, segment) <= join_bytes) {
        bytes += bytes_that_count(space, segment++);
        range.count++;
    }
    return range;
}

/* What gives room comes first, and alone: on a full disk there may be room for no more. */
bool osr_wal_space_pick(const struct osr_wal_space *space, uint64_t join_bytes,
                        struct osr_wal_range *ret_range)
{
    size_t segment;

    if (pick_emptiest(space, &segment)) {
        *ret_range = (struct osr_wal_range){segment, 1};
        return true;
    }
    for (segment = 0; join_bytes > 0 && segment + 1 < space->segment_count; segment++) {
        *ret_range = extend(space, segment, join_bytes);
        if (ret_range->count > 1) {
            return true;
        }
    }
    return false;
}

void osr_wal_space_exchange(struct osr_wal_space *space, struct osr_wal_range range,
                            struct osr_wal_places *places)
{
    struct osr_wal_space_segment *first = &space->segments[range.first];
    struct osr_wal_space_segment joined = {.places = *places};

    assert(first->places.first == places->first &&
           first[range.count - 1].places.next == places->next);
    for (size_t i = 0; i < range.count; i++) {
        joined.void_bytes += first[i].void_bytes;
        osr_wal_places_done(&first[i].places);
    }
    *first = joined;
    space->segment_count -= range.count - 1;
    memmove(first + 1, first + range.count,
            (space->segment_count - range.first - 1) * sizeof(*first));
    *places = (struct osr_wal_places){0};
}

void osr_wal_space_write_off(struct osr_wal_space *space, size_t segment, uint64_t bytes)
{
    uint64_t *counted = &space->segments[segment].void_bytes;

    /* Fewer were counted where a MARK came behind a record after that was void. */
    *counted -= bytes < *counted ? bytes : *counted;
}
