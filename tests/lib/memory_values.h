/* memory_values.h -- the values of one machine, in memory: the twin of adapter/values.h. */
#ifndef OSR_TESTS_MEMORY_VALUES_H
#define OSR_TESTS_MEMORY_VALUES_H

#include "core/agreement.h"

struct memory_value;

struct memory_values {
    struct osr_values values;      /* first */
    struct memory_value **entries; /* in the order of their keys */
    size_t count;
    size_t capacity;
};

/* Empty. It must not move. */
void memory_values_init(struct memory_values *memory);
void memory_values_done(struct memory_values *memory); /* empty and valid after */

#endif
