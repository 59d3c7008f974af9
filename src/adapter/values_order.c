#include "adapter/values_order.h"

#include <assert.h>
#include <stdlib.h>

#include "adapter/values_pending.h"

enum {
    TAIL_MAX = 256,            /* entries that wait unsorted */
    KEPT_PLACES_MAX = 64 << 10 /* over a clear */
};

/* The first bytes as a number, which compares as they do. */
static uint64_t prefix_of(struct osr_slice key)
{
    uint8_t bytes[8] = {0};

    memcpy(bytes, key.data, key.size < sizeof(bytes) ? key.size : sizeof(bytes));
    return osr_get_u64(bytes);
}

static struct osr_values_place place_of(const struct osr_values_entry *entry)
{
    return (struct osr_values_place){prefix_of(osr_values_entry_key(entry)), entry};
}

static int compare_with_key(const struct osr_values_place *place, uint64_t prefix,
                            struct osr_slice key)
{
    if (place->prefix != prefix) {
        return place->prefix < prefix ? -1 : 1;
    }
    return osr_slice_compare(osr_values_entry_key(place->entry), key);
}

static int compare_places(const void *a, const void *b)
{
    const struct osr_values_place *other = b;

    return compare_with_key(a, other->prefix, osr_values_entry_key(other->entry));
}

/* ---- runs ---- */

static size_t run_begin(const struct osr_values_order *order, size_t run)
{
    return run == 0 ? 0 : order->run_ends[run - 1];
}

static size_t run_size(const struct osr_values_order *order, size_t run)
{
    return order->run_ends[run] - run_begin(order, run);
}

static struct osr_values_place *room_to_merge(struct osr_values_order *order, size_t count)
{
    if (count > order->merging_capacity) {
        order->merging = osr_realloc(order->merging, count * sizeof(order->merging[0]));
        order->merging_capacity = count;
    }
    return order->merging;
}

/* Merges the last run, which steps aside, into the one in front, from the back. */
static void merge_last(struct osr_values_order *order)
{
    size_t last = order->run_count - 1;
    size_t right = run_size(order, last);
    struct osr_values_place *aside = room_to_merge(order, right);
    struct osr_values_place *into = order->places + order->run_ends[last];
    struct osr_values_place *begin = order->places + run_begin(order, last - 1);
    struct osr_values_place *left = order->places + order->run_ends[last - 1];

    memcpy(aside, left, right * sizeof(aside[0]));
    while (right > 0) {
        bool is_left = left > begin && compare_places(left - 1, aside + right - 1) > 0;
        *--into = is_left ? *--left : aside[--right];
    }
    order->run_ends[last - 1] = order->run_ends[last];
    order->run_count--;
}

void osr_values_order_seal(struct osr_values_order *order)
{
    size_t begin = order->run_count == 0 ? 0 : order->run_ends[order->run_count - 1];

    if (begin == order->count) {
        return;
    }
    qsort(order->places + begin, order->count - begin, sizeof(order->places[0]), compare_places);
    assert(order->run_count < OSR_VALUES_RUNS_MAX);
    order->run_ends[order->run_count++] = order->count;
    while (order->run_count > 1 &&
           run_size(order, order->run_count - 2) < 2 * run_size(order, order->run_count - 1)) {
        merge_last(order);
    }
}

void osr_values_order_add(struct osr_values_order *order, const struct osr_values_entry *entry)
{
    size_t sealed = order->run_count == 0 ? 0 : order->run_ends[order->run_count - 1];

    if (order->count == order->capacity) {
        order->capacity = order->capacity * 2 + TAIL_MAX;
        order->places = osr_realloc(order->places, order->capacity * sizeof(order->places[0]));
    }
    order->places[order->count++] = place_of(entry);
    if (order->count - sealed >= TAIL_MAX) {
        osr_values_order_seal(order);
    }
}

/* ---- life ---- */

void osr_values_order_done(struct osr_values_order *order)
{
    free(order->places);
    free(order->merging);
    *order = (struct osr_values_order){0};
}

void osr_values_order_clear(struct osr_values_order *order)
{
    if (order->capacity > KEPT_PLACES_MAX) {
        osr_values_order_done(order);
    }
    order->count = 0;
    order->run_count = 0;
}

size_t osr_values_order_bytes(const struct osr_values_order *order)
{
    return (order->capacity + order->merging_capacity) * sizeof(order->places[0]);
}

/* ---- readers ---- */

/* The place in a run of the first that is not below. */
static size_t seek_in_run(const struct osr_values_order *order, size_t run, uint64_t prefix,
                          struct osr_slice from)
{
    size_t low = run_begin(order, run);
    size_t high = order->run_ends[run];

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_with_key(&order->places[middle], prefix, from) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct osr_values_entry *osr_values_order_seek(const struct osr_values_order *order,
                                                     struct osr_slice from)
{
    const struct osr_values_place *first = NULL;
    uint64_t prefix = prefix_of(from);

    for (size_t run = 0; run < order->run_count; run++) {
        size_t at = seek_in_run(order, run, prefix, from);
        if (at < order->run_ends[run] &&
            (first == NULL || compare_places(&order->places[at], first) < 0)) {
            first = &order->places[at];
        }
    }
    return first != NULL ? first->entry : NULL;
}

void osr_values_walk_begin(struct osr_values_walk *walk, const struct osr_values_order *order)
{
    walk->order = order;
    for (size_t run = 0; run < order->run_count; run++) {
        walk->at[run] = run_begin(order, run);
    }
}

const struct osr_values_entry *osr_values_walk_next(struct osr_values_walk *walk)
{
    const struct osr_values_order *order = walk->order;
    const struct osr_values_place *first = NULL;
    size_t its_run = 0;

    for (size_t run = 0; run < order->run_count; run++) {
        const struct osr_values_place *place = &order->places[walk->at[run]];
        if (walk->at[run] < order->run_ends[run] &&
            (first == NULL || compare_places(place, first) < 0)) {
            first = place;
            its_run = run;
        }
    }
    if (first == NULL) {
        return NULL;
    }
    walk->at[its_run]++;
    return first->entry;
}
