#include "base/bytes.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __has_feature /* clang */
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size)   ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

static _Noreturn void die_out_of_memory(size_t size)
{
    fprintf(stderr, "osiris: out of memory, wanted %zu bytes\n", size);
    abort();
}

void *osr_alloc(size_t size)
{
    void *memory = calloc(1, size > 0 ? size : 1);
    if (memory == NULL) {
        die_out_of_memory(size);
    }
    return memory;
}

void *osr_alloc_unset(size_t size)
{
    void *memory = malloc(size > 0 ? size : 1);
    if (memory == NULL) {
        die_out_of_memory(size);
    }
    return memory;
}

void *osr_realloc(void *old, size_t size)
{
    void *memory = realloc(old, size > 0 ? size : 1);
    if (memory == NULL) {
        die_out_of_memory(size);
    }
    return memory;
}

char *osr_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(osr_alloc(size), text, size);
}

char *osr_format(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0) {
        die_out_of_memory(0);
    }
    return text;
}

/* ---- buffer ---- */

static void wipe(const struct osr_buffer *buffer)
{
    if (buffer->data != NULL) {
        explicit_bzero(buffer->data, buffer->capacity);
    }
}

static bool is_small(const struct osr_buffer *buffer)
{
    return buffer->capacity <= OSR_BUFFER_WIPED_BYTES_MAX;
}

void osr_buffer_done(struct osr_buffer *buffer)
{
    if (is_small(buffer)) {
        wipe(buffer);
    }
    free(buffer->data);
    *buffer = (struct osr_buffer){0};
}

void osr_buffer_wipe(struct osr_buffer *buffer)
{
    wipe(buffer);
    free(buffer->data);
    *buffer = (struct osr_buffer){0};
}

void osr_buffer_clear(struct osr_buffer *buffer)
{
    if (buffer->size > 0 && buffer->size <= OSR_BUFFER_WIPED_BYTES_MAX) {
        explicit_bzero(buffer->data, buffer->size);
    }
    buffer->size = 0;
}

static void grow(struct osr_buffer *buffer, size_t more)
{
    enum { CAPACITY_MIN = 64 };
    if (more > SIZE_MAX / 2 - buffer->size) {
        die_out_of_memory(more);
    }
    size_t capacity = buffer->capacity > 0 ? buffer->capacity : CAPACITY_MIN;
    while (capacity < buffer->size + more) {
        capacity *= 2;
    }
    if (is_small(buffer)) {
        struct osr_buffer larger = {osr_alloc_unset(capacity), buffer->size, capacity};
        if (buffer->size > 0) {
            memcpy(larger.data, buffer->data, buffer->size);
        }
        osr_buffer_done(buffer);
        *buffer = larger;
    } else {
        buffer->data = osr_realloc(buffer->data, capacity);
        buffer->capacity = capacity;
    }
}

uint8_t *osr_buffer_reserve(struct osr_buffer *buffer, size_t more)
{
    if (more > buffer->capacity - buffer->size || buffer->data == NULL) {
        grow(buffer, more);
    }
    return buffer->data + buffer->size;
}

void osr_buffer_add(struct osr_buffer *buffer, const void *data, size_t size)
{
    if (size > 0) {
        memcpy(osr_buffer_reserve(buffer, size), data, size);
        buffer->size += size;
    }
}

void osr_buffer_add_text(struct osr_buffer *buffer, const char *text)
{
    osr_buffer_add(buffer, text, strlen(text));
}

void osr_buffer_add_format(struct osr_buffer *buffer, const char *format, ...)
{
    enum { FIRST_TRY = 128 }; /* enough for most, else the second try knows the length */
    size_t room = FIRST_TRY;
    for (;;) {
        va_list arguments;
        va_start(arguments, format);
        int length = vsnprintf((char *)osr_buffer_reserve(buffer, room), room, format, arguments);
        va_end(arguments);
        assert(length >= 0);
        if ((size_t)length < room) {
            buffer->size += (size_t)length;
            return;
        }
        room = (size_t)length + 1;
    }
}

void osr_buffer_consume(struct osr_buffer *buffer, size_t size)
{
    assert(size <= buffer->size);
    if (size > 0) {
        buffer->size -= size;
        memmove(buffer->data, buffer->data + size, buffer->size);
    }
}

void osr_buffer_add_u8(struct osr_buffer *buffer, uint8_t value)
{
    *osr_buffer_reserve(buffer, 1) = value;
    buffer->size += 1;
}

void osr_buffer_add_u16(struct osr_buffer *buffer, uint16_t value)
{
    osr_put_u16(osr_buffer_reserve(buffer, 2), value);
    buffer->size += 2;
}

void osr_buffer_add_u32(struct osr_buffer *buffer, uint32_t value)
{
    osr_put_u32(osr_buffer_reserve(buffer, 4), value);
    buffer->size += 4;
}

void osr_buffer_add_u64(struct osr_buffer *buffer, uint64_t value)
{
    osr_put_u64(osr_buffer_reserve(buffer, 8), value);
    buffer->size += 8;
}

/* ---- arena ---- */

enum {
    ARENA_ALIGNMENT = 16,
    ARENA_CHUNK_MIN = 16 << 10, /* smaller ones would cost a malloc for every few messages */
};

struct chunk {
    struct chunk *next;
    size_t capacity;
    _Alignas(ARENA_ALIGNMENT) uint8_t bytes[];
};

/* Chunks up to `current` hold pieces, those behind it are kept for later. What is not part of a
 * piece is poisoned, so that AddressSanitizer sees who uses a piece after the reset. */
struct osr_arena {
    struct chunk *first;
    struct chunk *current;
    size_t current_used;
    size_t used; /* pieces since the last reset, each rounded up to the alignment */
    size_t keep;
    size_t cap;
};

struct osr_arena *osr_arena_create(size_t keep, size_t cap)
{
    struct osr_arena *arena = osr_alloc(sizeof(*arena));
    arena->keep = keep;
    arena->cap = cap;
    return arena;
}

static void free_chunks(struct chunk *chunk)
{
    while (chunk != NULL) {
        struct chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void osr_arena_destroy(struct osr_arena *arena)
{
    if (arena != NULL) {
        free_chunks(arena->first);
        free(arena);
    }
}

void osr_arena_reset(struct osr_arena *arena)
{
    size_t kept = 0;
    struct chunk **link = &arena->first;
    while (*link != NULL && kept + (*link)->capacity <= arena->keep) {
        kept += (*link)->capacity;
        ASAN_POISON_MEMORY_REGION((*link)->bytes, (*link)->capacity);
        link = &(*link)->next;
    }
    free_chunks(*link);
    *link = NULL;
    arena->current = arena->first;
    arena->current_used = 0;
    arena->used = 0;
}

void osr_arena_wipe(struct osr_arena *arena)
{
    if (arena->current != NULL) {
        for (struct chunk *chunk = arena->first; chunk != arena->current->next;
             chunk = chunk->next) {
            ASAN_UNPOISON_MEMORY_REGION(chunk->bytes, chunk->capacity);
            explicit_bzero(chunk->bytes, chunk->capacity);
        }
    }
    osr_arena_reset(arena);
}

/* Makes a chunk current that has room for size bytes: the next kept one, or a new one. */
static void advance(struct osr_arena *arena, size_t size)
{
    struct chunk **link = arena->current != NULL ? &arena->current->next : &arena->first;
    if (*link == NULL || (*link)->capacity < size) {
        size_t capacity = size > ARENA_CHUNK_MIN ? size : ARENA_CHUNK_MIN;
        struct chunk *chunk = osr_alloc_unset(sizeof(*chunk) + capacity);
        ASAN_POISON_MEMORY_REGION(chunk->bytes, capacity);
        chunk->capacity = capacity;
        chunk->next = *link;
        *link = chunk;
    }
    arena->current = *link;
    arena->current_used = 0;
}

void *osr_arena_take(struct osr_arena *arena, size_t size)
{
    if (size > arena->cap) {
        return NULL; /* also keeps the rounding below from overflowing */
    }
    size_t rounded = (size + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1);
    if (rounded > arena->cap - arena->used) {
        return NULL;
    }
    if (arena->current == NULL || rounded > arena->current->capacity - arena->current_used) {
        advance(arena, rounded);
    }
    void *piece = arena->current->bytes + arena->current_used;
    ASAN_UNPOISON_MEMORY_REGION(piece, size);
    arena->current_used += rounded;
    arena->used += rounded;
    return piece;
}

char *osr_arena_text(struct osr_arena *arena, struct osr_slice text)
{
    if (text.size == SIZE_MAX) {
        return NULL;
    }
    char *copy = osr_arena_take(arena, text.size + 1);
    if (copy != NULL) {
        if (text.size > 0) {
            memcpy(copy, text.data, text.size);
        }
        copy[text.size] = '\0';
    }
    return copy;
}

size_t osr_arena_used(const struct osr_arena *arena)
{
    return arena->used;
}

size_t osr_arena_left(const struct osr_arena *arena)
{
    return arena->cap - arena->used;
}
