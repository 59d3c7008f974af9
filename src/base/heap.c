#include "base/heap.h"

#include <assert.h>
#include <stdlib.h>

void osr_heap_done(struct osr_heap *heap)
{
    free(heap->items);
    *heap = (struct osr_heap){0};
}

/* Places count from 1, so that the parent of `place` is place / 2. */
static struct osr_heap_item *at(const struct osr_heap *heap, size_t place)
{
    return heap->items[place - 1];
}

static void set(struct osr_heap *heap, size_t place, struct osr_heap_item *item)
{
    heap->items[place - 1] = item;
    item->place = place;
}

static void rise(struct osr_heap *heap, struct osr_heap_item *item, size_t place)
{
    while (place > 1 && at(heap, place / 2)->key > item->key) {
        set(heap, place, at(heap, place / 2));
        place /= 2;
    }
    set(heap, place, item);
}

static void sink(struct osr_heap *heap, struct osr_heap_item *item, size_t place)
{
    for (;;) {
        size_t child = 2 * place;
        if (child < heap->count && at(heap, child + 1)->key < at(heap, child)->key) {
            child++;
        }
        if (child > heap->count || at(heap, child)->key >= item->key) {
            break;
        }
        set(heap, place, at(heap, child));
        place = child;
    }
    set(heap, place, item);
}

void osr_heap_put(struct osr_heap *heap, struct osr_heap_item *item, uint64_t key)
{
    assert(item->place == 0);
    if (heap->count == heap->capacity) {
        enum { CAPACITY_MIN = 8 };
        heap->capacity = heap->capacity > 0 ? 2 * heap->capacity : CAPACITY_MIN;
        heap->items = osr_realloc(heap->items, heap->capacity * sizeof(struct osr_heap_item *));
    }
    heap->count++;
    item->key = key;
    rise(heap, item, heap->count);
}

void osr_heap_remove(struct osr_heap *heap, struct osr_heap_item *item)
{
    if (item->place == 0) {
        return;
    }
    assert(item->place <= heap->count && at(heap, item->place) == item);
    size_t place = item->place;
    struct osr_heap_item *last = at(heap, heap->count);
    heap->count--;
    item->place = 0;
    if (last == item) {
        return;
    }
    if (last->key < item->key) {
        rise(heap, last, place);
    } else {
        sink(heap, last, place);
    }
}
