#include "node/seed_cursor.h"

#include <stdlib.h>

enum {
    FORMAT = 1,
    HEAD_SIZE = 1 + 3 * 8 + 4,
    HELD_SIZE = OSR_INSTANCE_CHARS + 8,
};

void osr_seed_cursor_done(struct osr_seed_cursor *cursor)
{
    free(cursor->held);
    *cursor = (struct osr_seed_cursor){0};
}

static struct osr_seed_held *find(const struct osr_seed_cursor *cursor, const char *origin)
{
    for (size_t i = 0; i < cursor->held_count; i++) {
        if (strcmp(cursor->held[i].origin, origin) == 0) {
            return &cursor->held[i];
        }
    }
    return NULL;
}

static struct osr_seed_held *find_or_add(struct osr_seed_cursor *cursor, const char *origin)
{
    struct osr_seed_held *held = find(cursor, origin);
    if (held != NULL) {
        return held;
    }
    cursor->held = osr_realloc(cursor->held, (cursor->held_count + 1) * sizeof *cursor->held);
    held = &cursor->held[cursor->held_count++];
    *held = (struct osr_seed_held){0};
    memcpy(held->origin, origin, strnlen(origin, OSR_INSTANCE_CHARS));
    return held;
}

void osr_seed_cursor_advance(struct osr_seed_cursor *cursor, uint64_t position, const char *origin,
                             uint64_t sequence)
{
    cursor->position = position;
    find_or_add(cursor, origin)->sequence = sequence;
}

void osr_seed_cursor_rewind(struct osr_seed_cursor *cursor, uint64_t position, const char *origin,
                            uint64_t sequence)
{
    cursor->position = position - 1;
    if (cursor->position == 0) {
        cursor->held_count = 0;
    } else {
        find_or_add(cursor, origin)->sequence = sequence - 1;
    }
}

uint64_t osr_seed_cursor_held(const struct osr_seed_cursor *cursor, const char *origin)
{
    const struct osr_seed_held *held = find(cursor, origin);
    return held != NULL ? held->sequence : 0;
}

char *osr_seed_cursor_key(const struct osr_url *url)
{
    return osr_format("seed:%s://%s:%u", url->scheme, url->host, url->port);
}

void osr_seed_cursor_encode(const struct osr_seed_cursor *cursor, struct osr_buffer *value)
{
    osr_buffer_add_u8(value, FORMAT);
    osr_buffer_add_u64(value, cursor->position);
    osr_buffer_add_u64(value, cursor->doubles);
    osr_buffer_add_u64(value, cursor->skipped);
    osr_buffer_add_u32(value, (uint32_t)cursor->held_count);
    for (size_t i = 0; i < cursor->held_count; i++) {
        osr_buffer_add(value, cursor->held[i].origin, OSR_INSTANCE_CHARS);
        osr_buffer_add_u64(value, cursor->held[i].sequence);
    }
}

static int check_value(struct osr_slice value, struct osr_err *err)
{
    if (value.size > 0 && value.data[0] > FORMAT) {
        return (int)osr_err_set(err, OSR_UNSUPPORTED_VERSION,
                                "the cursor has format %u, made by a newer osirisd", value.data[0]);
    }
    if (value.size < HEAD_SIZE || value.data[0] != FORMAT ||
        value.size != HEAD_SIZE + (size_t)osr_get_u32(value.data + 25) * HELD_SIZE) {
        return (int)osr_err_set(err, OSR_CORRUPT, "the cursor of %zu bytes is damaged", value.size);
    }
    return 0;
}

int osr_seed_cursor_decode(struct osr_seed_cursor *cursor, struct osr_slice value,
                           struct osr_err *err)
{
    int code = check_value(value, err);
    if (code != 0) {
        return code;
    }
    cursor->position = osr_get_u64(value.data + 1);
    cursor->doubles = osr_get_u64(value.data + 9);
    cursor->skipped = osr_get_u64(value.data + 17);
    for (const uint8_t *at = value.data + HEAD_SIZE; at < value.data + value.size;
         at += HELD_SIZE) {
        char origin[OSR_INSTANCE_CHARS + 1] = "";
        memcpy(origin, at, OSR_INSTANCE_CHARS);
        find_or_add(cursor, origin)->sequence = osr_get_u64(at + OSR_INSTANCE_CHARS);
    }
    return 0;
}
