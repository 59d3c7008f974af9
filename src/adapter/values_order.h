/* values_order.h -- entries that are not written yet, in the order of their keys.
 *
 * Entries are added as they come, at next to no cost. They are sorted in runs, and a run that is
 * not much smaller than the one in front is merged into it: so runs are few, each entry moves a
 * few times only, and no single addition has to sort all. */
#ifndef OSR_ADAPTER_VALUES_ORDER_H
#define OSR_ADAPTER_VALUES_ORDER_H

#include "base/bytes.h"

struct osr_values_entry;

enum {
    /* Each run is at least twice as long as the next: more entries than that no memory holds. */
    OSR_VALUES_RUNS_MAX = 40,
};

struct osr_values_place {
    uint64_t prefix; /* of the key: most comparisons need no more of it */
    const struct osr_values_entry *entry;
};

/* A zeroed one is empty and valid. */
struct osr_values_order {
    struct osr_values_place *places;
    size_t count;
    size_t capacity;
    size_t run_ends[OSR_VALUES_RUNS_MAX]; /* behind the last one: what came since, unsorted */
    size_t run_count;
    struct osr_values_place *merging; /* room for the shorter one of two runs */
    size_t merging_capacity;
};

void osr_values_order_done(struct osr_values_order *order);
void osr_values_order_clear(struct osr_values_order *order); /* keeps what memory a few need */
/* Its key is none of those that are there. */
void osr_values_order_add(struct osr_values_order *order, const struct osr_values_entry *entry);
/* Sorts what came since. */
void osr_values_order_seal(struct osr_values_order *order);
size_t osr_values_order_bytes(const struct osr_values_order *order);

/* The rest needs all to be sealed, and changes nothing. */

/* The first entry that is not below `from`; NULL: there is none. */
const struct osr_values_entry *osr_values_order_seek(const struct osr_values_order *order,
                                                     struct osr_slice from);

struct osr_values_walk {
    const struct osr_values_order *order;
    size_t at[OSR_VALUES_RUNS_MAX]; /* in each run */
};

void osr_values_walk_begin(struct osr_values_walk *walk, const struct osr_values_order *order);
const struct osr_values_entry *osr_values_walk_next(struct osr_values_walk *walk); /* NULL: done */

#endif
