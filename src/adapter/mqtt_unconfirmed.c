#include "adapter/mqtt_unconfirmed.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 64 };

static struct osr_mqtt_sent *at(const struct osr_mqtt_unconfirmed *sent, size_t index)
{
    return &sent->ring[(sent->first + index) & (sent->capacity - 1)];
}

void osr_mqtt_unconfirmed_clear(struct osr_mqtt_unconfirmed *sent)
{
    for (size_t i = 0; i < sent->count; i++) {
        free(at(sent, i)->address);
    }
    free(sent->ring);
    *sent = (struct osr_mqtt_unconfirmed){0};
}

static void grow(struct osr_mqtt_unconfirmed *sent)
{
    size_t capacity = sent->capacity == 0 ? FIRST_CAPACITY : 2 * sent->capacity;
    struct osr_mqtt_sent *ring = osr_alloc(capacity * sizeof(*ring));

    for (size_t i = 0; i < sent->count; i++) {
        ring[i] = *at(sent, i);
    }
    free(sent->ring);
    sent->ring = ring;
    sent->capacity = capacity;
    sent->first = 0;
}

uint64_t osr_mqtt_unconfirmed_add(struct osr_mqtt_unconfirmed *sent, uint16_t id, size_t bytes,
                                  const char *address)
{
    if (sent->count == sent->capacity) {
        grow(sent);
    }
    *at(sent, sent->count) = (struct osr_mqtt_sent){
        .id = id,
        .bytes = bytes,
        .address = address != NULL ? osr_strdup(address) : NULL,
    };
    sent->count++;
    sent->bytes += bytes;
    return sent->confirmed + sent->count;
}

/* A broker confirms in order, so that it is nearly always the first. */
static struct osr_mqtt_sent *find(const struct osr_mqtt_unconfirmed *sent, uint16_t id)
{
    for (size_t i = 0; i < sent->count; i++) {
        struct osr_mqtt_sent *message = at(sent, i);
        if (message->id == id && !message->is_confirmed) {
            return message;
        }
    }
    return NULL;
}

bool osr_mqtt_unconfirmed_has(const struct osr_mqtt_unconfirmed *sent, uint16_t id)
{
    return find(sent, id) != NULL;
}

const char *osr_mqtt_unconfirmed_address(const struct osr_mqtt_unconfirmed *sent, uint16_t id)
{
    const struct osr_mqtt_sent *message = find(sent, id);
    return message != NULL ? message->address : NULL;
}

bool osr_mqtt_unconfirmed_confirm(struct osr_mqtt_unconfirmed *sent, uint16_t id)
{
    uint64_t before = sent->confirmed;
    struct osr_mqtt_sent *message = find(sent, id);

    if (message == NULL) {
        return false;
    }
    message->is_confirmed = true;
    sent->bytes -= message->bytes;
    while (sent->count > 0 && at(sent, 0)->is_confirmed) {
        free(at(sent, 0)->address);
        sent->first = (sent->first + 1) & (sent->capacity - 1);
        sent->count--;
        sent->confirmed++;
    }
    return sent->confirmed > before;
}
