/* event_heap.h -- events that wait, the earliest first; of two at the same time the one with the
 * lower order. */
#ifndef OSR_TESTS_EVENT_HEAP_H
#define OSR_TESTS_EVENT_HEAP_H

#include "sim/world.h"

/* A zeroed one is empty and valid. */
struct event_heap {
    struct world_event *items;
    size_t count;
    size_t capacity;
};

void event_heap_done(struct event_heap *heap); /* with the events that still wait */
void event_heap_add(struct event_heap *heap, const struct world_event *event);
/* The earliest one. There must be one. */
struct world_event event_heap_take(struct event_heap *heap);

#endif
