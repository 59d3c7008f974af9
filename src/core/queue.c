#include "core/queue.h"

#include <stdlib.h>

enum { CAPACITY_MIN = 8 };

void osr_queue_init(struct osr_queue *queue, size_t item_size)
{
    *queue = (struct osr_queue){.item_size = item_size};
}

void osr_queue_done(struct osr_queue *queue)
{
    free(queue->items);
    *queue = (struct osr_queue){.item_size = queue->item_size};
}

static void grow(struct osr_queue *queue)
{
    size_t capacity = queue->capacity > 0 ? 2 * queue->capacity : CAPACITY_MIN;
    uint8_t *items = osr_alloc(capacity * queue->item_size);
    for (size_t i = 0; i < queue->count; i++) {
        memcpy(items + i * queue->item_size, osr_queue_at(queue, i), queue->item_size);
    }
    free(queue->items);
    queue->items = items;
    queue->head = 0;
    queue->capacity = capacity;
}

void *osr_queue_push(struct osr_queue *queue)
{
    if (queue->count == queue->capacity) {
        grow(queue);
    }
    queue->count++;
    void *item = osr_queue_back(queue);
    memset(item, 0, queue->item_size);
    return item;
}

void osr_queue_pop(struct osr_queue *queue)
{
    assert(queue->count > 0);
    queue->head = (queue->head + 1) & (queue->capacity - 1);
    queue->count--;
}

void osr_queue_pop_back(struct osr_queue *queue)
{
    assert(queue->count > 0);
    queue->count--;
}
