/* byte_ring.h -- a part of a stream, found by its offsets: bytes come in at any offset and go out
 * at any, and it moves along. Which of its bytes are set is its owner's knowledge. */
#ifndef OSR_BASE_BYTE_RING_H
#define OSR_BASE_BYTE_RING_H

#include "base/bytes.h"

/* A zeroed one is empty and valid. */
struct osr_byte_ring {
    uint8_t *data;
    size_t capacity; /* 0 or a power of two */
    size_t needed;   /* the most that was reserved since it rested the last time */
};

void osr_byte_ring_done(struct osr_byte_ring *ring); /* frees; empty and valid after */
/* Makes room for all offsets in begin..end. What was there in begin..old_end stays. */
void osr_byte_ring_reserve(struct osr_byte_ring *ring, uint64_t begin, uint64_t old_end,
                           uint64_t end);
/* Nothing lies in it: a large one is given back if it is larger than `kept_max`, or if little of it
 * was needed since it rested the last time. */
void osr_byte_ring_rest(struct osr_byte_ring *ring, size_t kept_max);
/* Within what was reserved last. */
void osr_byte_ring_put(struct osr_byte_ring *ring, uint64_t offset, struct osr_slice bytes);
void osr_byte_ring_get(const struct osr_byte_ring *ring, uint64_t offset, void *data, size_t size);

#endif
