#include "lib/sim_broker.h"

#include <stdlib.h>

struct osr_sim_queue *osr_sim_broker_find(const struct osr_sim_broker *broker, const char *name)
{
    for (struct osr_sim_queue *queue = broker->queues; queue != NULL; queue = queue->next) {
        if (strcmp(queue->name, name) == 0) {
            return queue;
        }
    }
    return NULL;
}

void osr_sim_broker_make(struct osr_sim_broker *broker, const char *name, bool is_durable)
{
    if (osr_sim_broker_find(broker, name) != NULL) {
        return;
    }
    struct osr_sim_queue *queue = osr_alloc(sizeof(*queue));
    queue->name = osr_strdup(name);
    queue->is_durable = is_durable;
    queue->next = broker->queues;
    broker->queues = queue;
}

static void destroy_queue(struct osr_sim_queue *queue)
{
    osr_sim_list_empty(&queue->waiting);
    free(queue->name);
    free(queue);
}

void osr_sim_broker_remove(struct osr_sim_broker *broker, const char *name)
{
    for (struct osr_sim_queue **at = &broker->queues; *at != NULL; at = &(*at)->next) {
        if (strcmp((*at)->name, name) == 0) {
            struct osr_sim_queue *queue = *at;
            *at = queue->next;
            destroy_queue(queue);
            return;
        }
    }
}

/* At the end, or where the broker mixes up the order before all others. */
static void enqueue(struct osr_sim_broker *broker, struct osr_sim_queue *queue,
                    struct osr_sim_stored *stored)
{
    if (osr_random_chance(&broker->random, broker->faults.reorders)) {
        osr_sim_list_put_first(&queue->waiting, stored);
    } else {
        osr_sim_list_put_last(&queue->waiting, stored);
    }
    if (queue->waiting.bytes > broker->bytes_max) {
        broker->bytes_max = queue->waiting.bytes;
    }
    if (queue->waiting.count > broker->messages_max) {
        broker->messages_max = queue->waiting.count;
    }
    broker->on_arrival(queue->name);
}

static void remember(struct osr_sim_broker *broker, const struct osr_sim_stored *stored)
{
    size_t place = broker->old_count++ % OSR_SIM_OLD_MESSAGES;
    osr_sim_discard(broker->old[place]);
    broker->old[place] = osr_sim_store(stored->queue, &stored->message);
}

static void repeat_old(struct osr_sim_broker *broker)
{
    size_t count =
        broker->old_count < OSR_SIM_OLD_MESSAGES ? broker->old_count : OSR_SIM_OLD_MESSAGES;
    if (count == 0 || !osr_random_chance(&broker->random, broker->faults.repeats_old)) {
        return;
    }
    const struct osr_sim_stored *old = broker->old[osr_random_below(&broker->random, count)];
    struct osr_sim_queue *queue = osr_sim_broker_find(broker, old->queue);
    if (queue != NULL) {
        enqueue(broker, queue, osr_sim_store(old->queue, &old->message));
    }
}

static bool is_over(const struct osr_sim_broker *broker, const struct osr_sim_queue *queue)
{
    return queue != NULL && broker->faults.queue_bytes > 0 &&
           queue->waiting.bytes > broker->faults.queue_bytes;
}

bool osr_sim_broker_take_over(struct osr_sim_broker *broker, struct osr_sim_stored *stored)
{
    struct osr_sim_queue *queue = osr_sim_broker_find(broker, stored->queue);
    if (queue == NULL || is_over(broker, queue) ||
        osr_random_chance(&broker->random, broker->faults.loses)) {
        osr_sim_discard(stored);
        return queue != NULL;
    }
    if (osr_random_chance(&broker->random, broker->faults.doubles)) {
        enqueue(broker, queue, osr_sim_store(stored->queue, &stored->message));
    }
    repeat_old(broker);
    remember(broker, stored);
    enqueue(broker, queue, stored);
    return true;
}

bool osr_sim_broker_is_over(const struct osr_sim_broker *broker, const char *name)
{
    return is_over(broker, osr_sim_broker_find(broker, name));
}

void osr_sim_broker_done(struct osr_sim_broker *broker)
{
    for (size_t i = 0; i < OSR_SIM_OLD_MESSAGES; i++) {
        osr_sim_discard(broker->old[i]);
    }
    while (broker->queues != NULL) {
        struct osr_sim_queue *queue = broker->queues;
        broker->queues = queue->next;
        destroy_queue(queue);
    }
}
