/* heap.h -- what is due first: a binary heap of items that stand inside their owners, the
 * smallest key on top. */
#ifndef OSR_BASE_HEAP_H
#define OSR_BASE_HEAP_H

#include "base/bytes.h"

/* A zeroed one is in no heap. */
struct osr_heap_item {
    uint64_t key;
    size_t place; /* the heap's: counted from 1, 0 while in none */
};

/* A zeroed one is empty and valid. Invariant: no item's key is below its parent's. */
struct osr_heap {
    struct osr_heap_item **items;
    size_t count;
    size_t capacity;
};

void osr_heap_done(struct osr_heap *heap); /* frees the heap, not what stands in it */
void osr_heap_put(struct osr_heap *heap, struct osr_heap_item *item, uint64_t key);
void osr_heap_remove(struct osr_heap *heap, struct osr_heap_item *item); /* if it is in it */

/* NULL where it is empty. */
static inline struct osr_heap_item *osr_heap_first(const struct osr_heap *heap)
{
    return heap->count > 0 ? heap->items[0] : NULL;
}

#endif
