/* queue.h -- first in, first out, of items of one size; a ring that grows.
 * Invariants: the n-th item from the front is at (head + n) modulo capacity; capacity is 0 or
 * a power of two. A pointer to an item lives until the next push. */
#ifndef OSR_CORE_QUEUE_H
#define OSR_CORE_QUEUE_H

#include "base/bytes.h"

#include <assert.h>

struct osr_queue {
    uint8_t *items;
    size_t item_size;
    size_t head;
    size_t count;
    size_t capacity;
};

void osr_queue_init(struct osr_queue *queue, size_t item_size);
void osr_queue_done(struct osr_queue *queue);  /* frees; a zeroed one is fine */
void *osr_queue_push(struct osr_queue *queue); /* a zeroed item at the back */
void osr_queue_pop(struct osr_queue *queue);   /* drops the front */
void osr_queue_pop_back(struct osr_queue *queue);

/* 0 is the front. */
static inline void *osr_queue_at(const struct osr_queue *queue, size_t index)
{
    assert(index < queue->count);
    return queue->items + ((queue->head + index) & (queue->capacity - 1)) * queue->item_size;
}

static inline void *osr_queue_front(const struct osr_queue *queue)
{
    return queue->count > 0 ? osr_queue_at(queue, 0) : NULL;
}

static inline void *osr_queue_back(const struct osr_queue *queue)
{
    return queue->count > 0 ? osr_queue_at(queue, queue->count - 1) : NULL;
}

static inline void osr_queue_clear(struct osr_queue *queue)
{
    queue->head = 0;
    queue->count = 0;
}

#endif
