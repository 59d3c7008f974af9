/* bytes.h -- memory that is owned by nobody here (slice), grows (buffer), is given
 * back all at once (arena), or must be there (osr_alloc).
 *
 * Running out of memory ends the process: every amount that a peer can drive has a
 * limit far below what a machine has, so it is no condition that code can mend. */
#ifndef OSR_BASE_BYTES_H
#define OSR_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Never return NULL; a failed allocation aborts. Free with free(). */
void *osr_alloc(size_t size);       /* zeroed */
void *osr_alloc_unset(size_t size); /* to be written to at once */
void *osr_realloc(void *old, size_t size);
char *osr_strdup(const char *text);
char *osr_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Bytes somebody else owns. */
struct osr_slice {
    const uint8_t *data;
    size_t size;
};

static inline struct osr_slice osr_slice(const void *data, size_t size)
{
    return (struct osr_slice){data, size};
}

static inline struct osr_slice osr_slice_text(const char *text)
{
    return osr_slice(text, strlen(text));
}

static inline bool osr_slice_equal(struct osr_slice a, struct osr_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* In the order of their bytes, which are numbers without a sign, a shorter one first where it is
 * the other's beginning: below 0, 0, above 0. */
static inline int osr_slice_compare(struct osr_slice a, struct osr_slice b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size > 0 ? memcmp(a.data, b.data, size) : 0;

    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* Bytes that grow. Invariant: size <= capacity; data is NULL only while capacity is 0.
 * A zeroed one is empty and valid.
 *
 * Passwords and tokens pass through many of them, so that what a small one held is wiped when it
 * grows, is cleared or done with (OSR_BUFFER_WIPED_BYTES_MAX). For larger ones there is
 * osr_buffer_wipe. */
enum { OSR_BUFFER_WIPED_BYTES_MAX = 4 << 10 };

struct osr_buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

void osr_buffer_done(struct osr_buffer *buffer); /* frees; empty and valid after */
/* Wipes all its memory, also behind size, and frees it: it held, or may have held, a secret. */
void osr_buffer_wipe(struct osr_buffer *buffer);
void osr_buffer_clear(struct osr_buffer *buffer); /* empty; the memory is kept for the next bytes */
uint8_t *osr_buffer_reserve(struct osr_buffer *buffer, size_t more); /* room behind size */
void osr_buffer_add(struct osr_buffer *buffer, const void *data, size_t size);
void osr_buffer_add_text(struct osr_buffer *buffer, const char *text);
void osr_buffer_add_format(struct osr_buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void osr_buffer_consume(struct osr_buffer *buffer, size_t size); /* drops from the front */

static inline struct osr_slice osr_buffer_slice(const struct osr_buffer *buffer)
{
    return osr_slice(buffer->data, buffer->size);
}

/* Big-endian integers, as in the entry form and in frames. */
void osr_buffer_add_u8(struct osr_buffer *buffer, uint8_t value);
void osr_buffer_add_u16(struct osr_buffer *buffer, uint16_t value);
void osr_buffer_add_u32(struct osr_buffer *buffer, uint32_t value);
void osr_buffer_add_u64(struct osr_buffer *buffer, uint64_t value);
static inline uint16_t osr_get_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t osr_get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline uint64_t osr_get_u64(const uint8_t *p)
{
    return (uint64_t)osr_get_u32(p) << 32 | osr_get_u32(p + 4);
}
static inline void osr_put_u16(uint8_t *p, uint16_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}
static inline void osr_put_u32(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 24);
    p[1] = (uint8_t)(value >> 16);
    p[2] = (uint8_t)(value >> 8);
    p[3] = (uint8_t)value;
}
static inline void osr_put_u64(uint8_t *p, uint64_t value)
{
    osr_put_u32(p, (uint32_t)(value >> 32));
    osr_put_u32(p + 4, (uint32_t)value);
}

/* A bump allocator: many small pieces, one reset. Chunks are kept over a reset, up to
 * `keep`. Invariant: the pieces given since the last reset sum up to at most `cap`. */
struct osr_arena;

struct osr_arena *osr_arena_create(size_t keep, size_t cap);
void osr_arena_destroy(struct osr_arena *arena); /* NULL is a no-op */
void osr_arena_reset(struct osr_arena *arena);
void osr_arena_wipe(struct osr_arena *arena); /* wipes all pieces, then resets */
/* Aligned to 16, not zeroed. NULL when the cap would be passed. */
void *osr_arena_take(struct osr_arena *arena, size_t size);
/* A copy with a NUL behind it. NULL when the cap would be passed. */
char *osr_arena_text(struct osr_arena *arena, struct osr_slice text);
size_t osr_arena_used(const struct osr_arena *arena);
size_t osr_arena_left(const struct osr_arena *arena); /* up to the cap; pieces round up to 16 */

#endif
