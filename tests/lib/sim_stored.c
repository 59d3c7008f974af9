#include "lib/sim_stored.h"

#include <stdlib.h>

static char *copy_text(const char *text)
{
    return text != NULL ? osr_strdup(text) : NULL;
}

static struct osr_slice copy_bytes(struct osr_slice bytes)
{
    uint8_t *copy = osr_alloc_unset(bytes.size + 1);
    if (bytes.size > 0) {
        memcpy(copy, bytes.data, bytes.size);
    }
    return osr_slice(copy, bytes.size);
}

struct osr_sim_stored *osr_sim_store(const char *queue, const struct osr_bus_message *message)
{
    struct osr_sim_stored *stored = osr_alloc(sizeof(*stored));
    stored->queue = osr_strdup(queue);
    stored->message = (struct osr_bus_message){
        .address = copy_text(message->address),
        .body = copy_bytes(message->body),
        .content_type = copy_text(message->content_type),
        .reply_to = copy_text(message->reply_to),
        .correlation = copy_bytes(message->correlation),
        .sender = copy_text(message->sender),
        .delivery = message->delivery,
    };
    return stored;
}

void osr_sim_discard(struct osr_sim_stored *stored)
{
    if (stored == NULL) {
        return;
    }
    free((void *)stored->message.address);
    free((void *)stored->message.body.data);
    free((void *)stored->message.content_type);
    free((void *)stored->message.reply_to);
    free((void *)stored->message.correlation.data);
    free((void *)stored->message.sender);
    free(stored->queue);
    free(stored);
}

static void count_in(struct osr_sim_list *list, const struct osr_sim_stored *stored)
{
    list->count++;
    list->bytes += stored->message.body.size;
}

void osr_sim_list_put_last(struct osr_sim_list *list, struct osr_sim_stored *stored)
{
    stored->next = NULL;
    if (list->last != NULL) {
        list->last->next = stored;
    } else {
        list->first = stored;
    }
    list->last = stored;
    count_in(list, stored);
}

void osr_sim_list_put_first(struct osr_sim_list *list, struct osr_sim_stored *stored)
{
    stored->next = list->first;
    list->first = stored;
    if (list->last == NULL) {
        list->last = stored;
    }
    count_in(list, stored);
}

struct osr_sim_stored *osr_sim_list_take_first(struct osr_sim_list *list)
{
    struct osr_sim_stored *stored = list->first;
    list->first = stored->next;
    if (list->first == NULL) {
        list->last = NULL;
    }
    list->count--;
    list->bytes -= stored->message.body.size;
    return stored;
}

void osr_sim_list_empty(struct osr_sim_list *list)
{
    while (list->first != NULL) {
        osr_sim_discard(osr_sim_list_take_first(list));
    }
}
