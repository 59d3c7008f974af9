/* ranges.h -- a set of whole numbers, kept as sorted ranges that neither touch nor overlap: offsets
 * of a stream, numbers of packets. For sets of few ranges: finding one is O(log n), adding and
 * removing moves those behind it. */
#ifndef OSR_BASE_RANGES_H
#define OSR_BASE_RANGES_H

#include "base/bytes.h"

struct osr_range {
    uint64_t begin;
    uint64_t end; /* behind the last; end > begin */
};

/* A zeroed one is empty and valid. */
struct osr_ranges {
    struct osr_range *items;
    size_t count;
    size_t capacity;
};

void osr_ranges_done(struct osr_ranges *ranges); /* frees; empty and valid after */
/* Both do nothing where begin == end. */
void osr_ranges_add(struct osr_ranges *ranges, uint64_t begin, uint64_t end);
void osr_ranges_remove(struct osr_ranges *ranges, uint64_t begin, uint64_t end);
/* The first item that ends behind `at`, which may hold it; ranges->count where there is none. */
size_t osr_ranges_find(const struct osr_ranges *ranges, uint64_t at);
bool osr_ranges_has(const struct osr_ranges *ranges, uint64_t number);
/* The next range within *at..end that is not in the set; moves *at behind it. False at the end. */
bool osr_ranges_next_gap(const struct osr_ranges *ranges, uint64_t *at, uint64_t end,
                         struct osr_range *ret_gap);

#endif
