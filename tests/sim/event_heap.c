#include "sim/event_heap.h"

#include <assert.h>
#include <stdlib.h>

void event_heap_done(struct event_heap *heap)
{
    for (size_t i = 0; i < heap->count; i++) {
        free(heap->items[i].bytes);
    }
    free(heap->items);
}

static bool is_earlier(const struct world_event *a, const struct world_event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void swap_events(struct world_event *a, struct world_event *b)
{
    struct world_event kept = *a;
    *a = *b;
    *b = kept;
}

void event_heap_add(struct event_heap *heap, const struct world_event *event)
{
    if (heap->count == heap->capacity) {
        heap->capacity = heap->capacity > 0 ? 2 * heap->capacity : 256;
        heap->items = osr_realloc(heap->items, heap->capacity * sizeof(heap->items[0]));
    }
    size_t i = heap->count++;
    heap->items[i] = *event;
    for (; i > 0 && is_earlier(&heap->items[i], &heap->items[(i - 1) / 2]); i = (i - 1) / 2) {
        swap_events(&heap->items[i], &heap->items[(i - 1) / 2]);
    }
}

struct world_event event_heap_take(struct event_heap *heap)
{
    assert(heap->count > 0);
    struct world_event first = heap->items[0];
    heap->items[0] = heap->items[--heap->count];
    size_t i = 0;
    while (true) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2; child++) {
            if (child < heap->count && is_earlier(&heap->items[child], &heap->items[least])) {
                least = child;
            }
        }
        if (least == i) {
            return first;
        }
        swap_events(&heap->items[i], &heap->items[least]);
        i = least;
    }
}
