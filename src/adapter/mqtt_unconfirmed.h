/* mqtt_unconfirmed.h -- what was given to a broker and has not been confirmed by it yet.
 *
 * Messages are numbered from 1 as they are added. The broker confirms by its own 16-bit ids, in
 * order as the protocol wants it, or not; who asks is told up to which number all are confirmed.
 * No I/O. */
#ifndef OSR_ADAPTER_MQTT_UNCONFIRMED_H
#define OSR_ADAPTER_MQTT_UNCONFIRMED_H

#include "base/bytes.h"

struct osr_mqtt_sent {
    uint16_t id; /* the library's; several may have the same only where that is 0 */
    bool is_confirmed;
    size_t bytes;
    char *address; /* to whom, where somebody wants to know; else NULL */
};

/* A zeroed one is empty and valid. Invariant: the message at `first` is not confirmed. */
struct osr_mqtt_unconfirmed {
    struct osr_mqtt_sent *ring;
    size_t capacity; /* a power of two, or 0 */
    size_t first;
    size_t count;
    size_t bytes;       /* of all that are not confirmed */
    uint64_t confirmed; /* up to this number all are */
};

void osr_mqtt_unconfirmed_clear(struct osr_mqtt_unconfirmed *sent); /* frees; counts from 1 again */
/* Returns its number. `address` (NULL: none) is copied. */
uint64_t osr_mqtt_unconfirmed_add(struct osr_mqtt_unconfirmed *sent, uint16_t id, size_t bytes,
                                  const char *address);
bool osr_mqtt_unconfirmed_has(const struct osr_mqtt_unconfirmed *sent, uint16_t id);
/* Where it went to, until the next add or confirm; NULL: no such message, or none was given. */
const char *osr_mqtt_unconfirmed_address(const struct osr_mqtt_unconfirmed *sent, uint16_t id);
/* True where sent->confirmed has grown. An id that is not there is a no-op. */
bool osr_mqtt_unconfirmed_confirm(struct osr_mqtt_unconfirmed *sent, uint16_t id);

#endif
