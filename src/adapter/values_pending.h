/* values_pending.h -- values that are in memory only, because they are not written yet.
 *
 * Looked up through a hash table; in order through values_order.h. A removed key stays as such, to
 * hide what is on disk. Nothing leaves but all at once.
 *
 * Threads: one at a time; once it is frozen, any number may read. */
#ifndef OSR_ADAPTER_VALUES_PENDING_H
#define OSR_ADAPTER_VALUES_PENDING_H

#include "adapter/values_order.h"
#include "base/bytes.h"

/* What stands under a key: machine and key, as on disk. */
struct osr_values_entry {
    uint8_t *value;
    uint32_t value_size;
    uint32_t value_room; /* bytes at `value` that a later value may use */
    uint16_t key_size;
    bool is_removed;
    uint8_t key[];
};

static inline struct osr_slice osr_values_entry_key(const struct osr_values_entry *entry)
{
    return osr_slice(entry->key, entry->key_size);
}

static inline struct osr_slice osr_values_entry_value(const struct osr_values_entry *entry)
{
    return osr_slice(entry->value, entry->value_size);
}

struct osr_values_pending;

struct osr_values_pending *osr_values_pending_create(void);
void osr_values_pending_destroy(struct osr_values_pending *pending); /* NULL is a no-op */
/* Empty, and to be changed again. */
void osr_values_pending_clear(struct osr_values_pending *pending);

void osr_values_pending_put(struct osr_values_pending *pending, struct osr_slice key,
                            struct osr_slice value);
void osr_values_pending_remove(struct osr_values_pending *pending, struct osr_slice key);
/* From now on it is not changed, until it is cleared. */
void osr_values_pending_freeze(struct osr_values_pending *pending);

/* NULL: nothing is known of the key here. An entry lives until the next change. */
const struct osr_values_entry *osr_values_pending_get(const struct osr_values_pending *pending,
                                                      struct osr_slice key);
/* The first that is not below `from`; NULL: there is none. */
const struct osr_values_entry *osr_values_pending_seek(struct osr_values_pending *pending,
                                                       struct osr_slice from);
/* Walks a frozen one. */
void osr_values_pending_walk(const struct osr_values_pending *pending,
                             struct osr_values_walk *ret_walk);

size_t osr_values_pending_count(const struct osr_values_pending *pending);
/* Of entries and values; and of all memory, with what is kept for the next ones. */
size_t osr_values_pending_used(const struct osr_values_pending *pending);
size_t osr_values_pending_bytes(const struct osr_values_pending *pending);

#endif
