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

/* The same read back, from the front of `left`. What is read past its end is zero or empty, and
 * `is_damaged` stays set: one look at it, at the end, is enough. */
struct osr_form_reader {
    struct osr_slice left;
    bool is_damaged;
};

/* NULL where so many are not left. */
static inline const uint8_t *osr_form_read_bytes(struct osr_form_reader *reader, size_t size)
{
    if (reader->is_damaged || size > reader->left.size) {
        reader->is_damaged = true;
        return NULL;
    }
    const uint8_t *bytes = reader->left.data;
    reader->left = osr_slice(bytes + size, reader->left.size - size);
    return bytes;
}

static inline uint8_t osr_form_read_u8(struct osr_form_reader *reader)
{
    const uint8_t *bytes = osr_form_read_bytes(reader, 1);
    return bytes != NULL ? bytes[0] : 0;
}

static inline uint32_t osr_form_read_u32(struct osr_form_reader *reader)
{
    const uint8_t *bytes = osr_form_read_bytes(reader, 4);
    return bytes != NULL ? osr_get_u32(bytes) : 0;
}

static inline uint64_t osr_form_read_u64(struct osr_form_reader *reader)
{
    const uint8_t *bytes = osr_form_read_bytes(reader, 8);
    return bytes != NULL ? osr_get_u64(bytes) : 0;
}

/* A byte that is 0 or 1. */
static inline bool osr_form_read_flag(struct osr_form_reader *reader)
{
    uint8_t flag = osr_form_read_u8(reader);
    reader->is_damaged |= flag > 1;
    return flag == 1;
}

/* A u32 that is at most `count_max`. */
static inline uint32_t osr_form_read_count(struct osr_form_reader *reader, uint32_t count_max)
{
    uint32_t count = osr_form_read_u32(reader);
    reader->is_damaged |= count > count_max;
    return reader->is_damaged ? 0 : count;
}

static inline struct osr_slice osr_form_read_slice(struct osr_form_reader *reader)
{
    size_t size = osr_form_read_u32(reader);
    const uint8_t *bytes = osr_form_read_bytes(reader, size);
    return bytes != NULL ? osr_slice(bytes, size) : osr_slice(NULL, 0);
}

#endif
