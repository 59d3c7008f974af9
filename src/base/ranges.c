#include "base/ranges.h"

#include <assert.h>
#include <stdlib.h>

enum { CAPACITY_MIN = 16 };

void osr_ranges_done(struct osr_ranges *ranges)
{
    free(ranges->items);
    *ranges = (struct osr_ranges){0};
}

size_t osr_ranges_find(const struct osr_ranges *ranges, uint64_t at)
{
    /* Most of what is asked for lies behind all that is there. */
    if (ranges->count == 0 || ranges->items[ranges->count - 1].end <= at) {
        return ranges->count;
    }
    size_t low = 0;
    size_t high = ranges->count - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges->items[middle].end <= at) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool osr_ranges_has(const struct osr_ranges *ranges, uint64_t number)
{
    size_t index = osr_ranges_find(ranges, number);
    return index < ranges->count && ranges->items[index].begin <= number;
}

static void insert_item(struct osr_ranges *ranges, size_t index, struct osr_range item)
{
    if (ranges->count == ranges->capacity) {
        ranges->capacity = ranges->capacity == 0 ? CAPACITY_MIN : ranges->capacity * 2;
        ranges->items = osr_realloc(ranges->items, ranges->capacity * sizeof(ranges->items[0]));
    }
    memmove(&ranges->items[index + 1], &ranges->items[index],
            (ranges->count - index) * sizeof(ranges->items[0]));
    ranges->items[index] = item;
    ranges->count++;
}

static void remove_items(struct osr_ranges *ranges, size_t begin, size_t end)
{
    if (begin == end) {
        return;
    }
    memmove(&ranges->items[begin], &ranges->items[end],
            (ranges->count - end) * sizeof(ranges->items[0]));
    ranges->count -= end - begin;
}

void osr_ranges_add(struct osr_ranges *ranges, uint64_t begin, uint64_t end)
{
    assert(begin <= end);
    if (begin == end) {
        return;
    }
    /* One that ends where the new one begins grows, too. */
    size_t first = begin == 0 ? 0 : osr_ranges_find(ranges, begin - 1);
    size_t behind = first;
    while (behind < ranges->count && ranges->items[behind].begin <= end) {
        behind++;
    }
    if (first == behind) {
        insert_item(ranges, first, (struct osr_range){begin, end});
        return;
    }
    struct osr_range *item = &ranges->items[first];
    uint64_t last_end = ranges->items[behind - 1].end;
    item->begin = begin < item->begin ? begin : item->begin;
    item->end = end > last_end ? end : last_end;
    remove_items(ranges, first + 1, behind);
}

void osr_ranges_remove(struct osr_ranges *ranges, uint64_t begin, uint64_t end)
{
    assert(begin <= end);
    size_t index = osr_ranges_find(ranges, begin);
    if (begin == end || index == ranges->count) {
        return;
    }
    struct osr_range *item = &ranges->items[index];
    if (item->begin < begin) {
        struct osr_range rest = {end, item->end};
        item->end = begin;
        index++;
        if (rest.begin < rest.end) {
            insert_item(ranges, index, rest);
            return;
        }
    }
    size_t behind = index;
    while (behind < ranges->count && ranges->items[behind].end <= end) {
        behind++;
    }
    if (behind < ranges->count && ranges->items[behind].begin < end) {
        ranges->items[behind].begin = end;
    }
    remove_items(ranges, index, behind);
}

bool osr_ranges_next_gap(const struct osr_ranges *ranges, uint64_t *at, uint64_t end,
                         struct osr_range *ret_gap)
{
    size_t index = osr_ranges_find(ranges, *at);
    if (index < ranges->count && ranges->items[index].begin <= *at) {
        *at = ranges->items[index].end;
        index++;
    }
    if (*at >= end) {
        return false;
    }
    uint64_t gap_end = end;
    if (index < ranges->count && ranges->items[index].begin < end) {
        gap_end = ranges->items[index].begin;
    }
    *ret_gap = (struct osr_range){*at, gap_end};
    *at = gap_end;
    return true;
}
