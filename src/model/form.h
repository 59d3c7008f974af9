/* form.h -- the fixed binary form of what is hashed, signed and stored: integers are
 * big-endian, a text is its length (u32) and its bytes, and a tag, NUL included, stands
 * in front of all that is hashed, so that no hash can be taken for another. */
#ifndef OSR_MODEL_FORM_H
#define OSR_MODEL_FORM_H

#include "base/bytes.h"

/* A tag as a slice: the NUL is part of it. */
#define OSR_FORM_TAG(tag) osr_slice(tag, sizeof(tag))

/* These write at `at`, where the caller has made room, and return where they ended. */
static inline uint8_t *osr_form_bytes(uint8_t *at, const void *data, size_t size)
{
    if (size > 0) {
        memcpy(at, data, size);
    }
    return at + size;
}

static inline uint8_t *osr_form_u32(uint8_t *at, uint32_t value)
{
    osr_put_u32(at, value);
    return at + 4;
}

static inline uint8_t *osr_form_u64(uint8_t *at, uint64_t value)
{
    osr_put_u64(at, value);
    return at + 8;
}

static inline uint8_t *osr_form_text(uint8_t *at, const char *text)
{
    size_t size = strlen(text);
    return osr_form_bytes(osr_form_u32(at, (uint32_t)size), text, size);
}

/* The same at the end of a buffer that grows. */
static inline void osr_form_add_slice(struct osr_buffer *buffer, struct osr_slice text)
{
    uint8_t *at = osr_buffer_reserve(buffer, 4 + text.size);
    osr_form_bytes(osr_form_u32(at, (uint32_t)text.size), text.data, text.size);
    buffer->size += 4 + text.size;
}

static inline void osr_form_add_text(struct osr_buffer *buffer, const char *text)
{
    osr_form_add_slice(buffer, osr_slice_text(text));
}

#endif
