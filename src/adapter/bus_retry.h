/* bus_retry.h -- how long a bus waits before it tries its broker again: up to OSR_BUS_RETRY_MS_MIN
 * at first, twice as long after each failure, to _MAX; a random part of that, so that the many who
 * lost one broker do not all come back at once. */
#ifndef OSR_ADAPTER_BUS_RETRY_H
#define OSR_ADAPTER_BUS_RETRY_H

#include "base/random.h"

struct osr_bus_retry {
    struct osr_random random;
    uint32_t longest_ms; /* that the next pause may be */
};

void osr_bus_retry_init(struct osr_bus_retry *retry);
/* The next pause. `up_ms`: for how long the bus was up since the last one; 0: it was not. Only one
 * that was up for long begins anew with short pauses: two that push each other out at once, or a
 * broker that refuses each first message, would else be at it ten times a second. */
uint64_t osr_bus_retry_next_ms(struct osr_bus_retry *retry, uint64_t up_ms);

#endif
