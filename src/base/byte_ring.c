#include "base/byte_ring.h"

#include <assert.h>
#include <stdlib.h>

enum {
    CAPACITY_MIN = 4 << 10,
    LARGE_BYTES = 64 << 10,
};

void osr_byte_ring_done(struct osr_byte_ring *ring)
{
    free(ring->data);
    *ring = (struct osr_byte_ring){0};
}

void osr_byte_ring_rest(struct osr_byte_ring *ring, size_t kept_max)
{
    bool is_oversized = ring->capacity > LARGE_BYTES && ring->needed < ring->capacity / 4;
    if (is_oversized || ring->capacity > kept_max) {
        osr_byte_ring_done(ring);
    }
    ring->needed = 0;
}

static size_t place(const struct osr_byte_ring *ring, uint64_t offset)
{
    return (size_t)(offset & (ring->capacity - 1));
}

/* How many bytes lie at `offset` before the ring's end, of `size`. */
static size_t first_part(const struct osr_byte_ring *ring, uint64_t offset, size_t size)
{
    size_t until_end = ring->capacity - place(ring, offset);
    return size < until_end ? size : until_end;
}

void osr_byte_ring_put(struct osr_byte_ring *ring, uint64_t offset, struct osr_slice bytes)
{
    if (bytes.size == 0) {
        return;
    }
    assert(bytes.size <= ring->capacity);
    size_t first = first_part(ring, offset, bytes.size);
    memcpy(ring->data + place(ring, offset), bytes.data, first);
    memcpy(ring->data, bytes.data + first, bytes.size - first);
}

void osr_byte_ring_get(const struct osr_byte_ring *ring, uint64_t offset, void *data, size_t size)
{
    if (size == 0) {
        return;
    }
    assert(size <= ring->capacity);
    size_t first = first_part(ring, offset, size);
    memcpy(data, ring->data + place(ring, offset), first);
    memcpy((uint8_t *)data + first, ring->data, size - first);
}

void osr_byte_ring_reserve(struct osr_byte_ring *ring, uint64_t begin, uint64_t old_end,
                           uint64_t end)
{
    assert(begin <= old_end && begin <= end);
    ring->needed = end - begin > ring->needed ? (size_t)(end - begin) : ring->needed;
    if (end - begin <= ring->capacity) {
        return;
    }
    struct osr_byte_ring larger = {.capacity = CAPACITY_MIN, .needed = ring->needed};
    while (larger.capacity < end - begin) {
        larger.capacity *= 2;
    }
    /* Set, as the parts of it that a gap leaves open are copied, too, when it grows again. */
    larger.data = osr_alloc(larger.capacity);
    uint64_t at = begin;
    while (at < old_end) {
        size_t size = first_part(ring, at, (size_t)(old_end - at));
        osr_byte_ring_put(&larger, at, osr_slice(ring->data + place(ring, at), size));
        at += size;
    }
    free(ring->data);
    *ring = larger;
}
