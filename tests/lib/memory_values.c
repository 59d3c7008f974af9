#include "lib/memory_values.h"

#include <assert.h>
#include <stdlib.h>

struct memory_value {
    size_t key_size;
    size_t value_size;
    uint8_t bytes[]; /* key, value */
};

static struct osr_slice key_of(const struct memory_value *entry)
{
    return osr_slice(entry->bytes, entry->key_size);
}

static struct osr_slice value_of(const struct memory_value *entry)
{
    return osr_slice(entry->bytes + entry->key_size, entry->value_size);
}

/* The place of the first key that is not below this one. */
static size_t find(const struct memory_values *memory, struct osr_slice key)
{
    size_t low = 0;
    size_t high = memory->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (osr_slice_compare(key_of(memory->entries[middle]), key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool stands_at(const struct memory_values *memory, size_t at, struct osr_slice key)
{
    return at < memory->count && osr_slice_equal(key_of(memory->entries[at]), key);
}

static bool memory_get(struct osr_values *values, struct osr_slice key, struct osr_buffer *value)
{
    struct memory_values *memory = (struct memory_values *)values;
    size_t at = find(memory, key);
    struct osr_slice found;

    if (!stands_at(memory, at, key)) {
        return false;
    }
    found = value_of(memory->entries[at]);
    osr_buffer_add(value, found.data, found.size);
    return true;
}

static struct memory_value *create_entry(struct osr_slice key, struct osr_slice value)
{
    struct memory_value *entry = osr_alloc(sizeof(*entry) + key.size + value.size);

    entry->key_size = key.size;
    entry->value_size = value.size;
    memcpy(entry->bytes, key.data, key.size);
    if (value.size > 0) {
        memcpy(entry->bytes + key.size, value.data, value.size);
    }
    return entry;
}

static void insert(struct memory_values *memory, size_t at, struct memory_value *entry)
{
    if (memory->count == memory->capacity) {
        memory->capacity = memory->capacity * 2 + 16;
        memory->entries =
            osr_realloc(memory->entries, memory->capacity * sizeof(memory->entries[0]));
    }
    memmove(memory->entries + at + 1, memory->entries + at,
            (memory->count - at) * sizeof(memory->entries[0]));
    memory->entries[at] = entry;
    memory->count++;
}

static void memory_put(struct osr_values *values, struct osr_slice key, struct osr_slice value)
{
    struct memory_values *memory = (struct memory_values *)values;
    size_t at = find(memory, key);
    struct memory_value *entry;

    assert(key.size > 0 && key.size <= OSR_VALUE_KEY_BYTES_MAX &&
           value.size <= OSR_VALUE_BYTES_MAX);
    entry = create_entry(key, value); /* before the old one goes: the value may lie in it */
    if (stands_at(memory, at, key)) {
        free(memory->entries[at]);
        memory->entries[at] = entry;
    } else {
        insert(memory, at, entry);
    }
}

static void memory_remove(struct osr_values *values, struct osr_slice key)
{
    struct memory_values *memory = (struct memory_values *)values;
    size_t at = find(memory, key);

    if (!stands_at(memory, at, key)) {
        return;
    }
    free(memory->entries[at]);
    memory->count--;
    memmove(memory->entries + at, memory->entries + at + 1,
            (memory->count - at) * sizeof(memory->entries[0]));
}

static bool memory_next(struct osr_values *values, struct osr_slice from, struct osr_buffer *key,
                        struct osr_buffer *value)
{
    struct memory_values *memory = (struct memory_values *)values;
    size_t at = find(memory, from);
    struct osr_slice found_key;
    struct osr_slice found;

    if (at == memory->count) {
        return false;
    }
    found_key = key_of(memory->entries[at]);
    found = value_of(memory->entries[at]);
    osr_buffer_add(key, found_key.data, found_key.size);
    osr_buffer_add(value, found.data, found.size);
    return true;
}

void memory_values_init(struct memory_values *memory)
{
    *memory = (struct memory_values){.values = {
                                         .get = memory_get,
                                         .put = memory_put,
                                         .remove = memory_remove,
                                         .next = memory_next,
                                     }};
}

void memory_values_done(struct memory_values *memory)
{
    for (size_t i = 0; i < memory->count; i++) {
        free(memory->entries[i]);
    }
    free(memory->entries);
    memory_values_init(memory);
}
