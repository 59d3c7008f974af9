/* recent.h -- where the newest entries of each document are: what has been released and is
 * not in the projection yet, so that a document can be got as soon as it is committed.
 *
 * A ring of positions in the order of release, chained by the hash of their document's id; an
 * entry costs 32 bytes and is forgotten by moving the ring's beginning. What is found is to be
 * checked against the entry itself, for two ids may have one hash. The loop's only. */
#ifndef OSR_NODE_RECENT_H
#define OSR_NODE_RECENT_H

#include "base/bytes.h"

enum {
    OSR_RECENT_ENTRIES_MAX = 1 << 19
}; /* 16 MiB: a projection that stands still costs no more */

struct osr_position {
    uint32_t log_id;
    uint64_t index;
};

struct osr_recent;

struct osr_recent *osr_recent_create(const uint64_t hash_key[2]);
void osr_recent_destroy(struct osr_recent *recent); /* NULL is a no-op */
size_t osr_recent_count(const struct osr_recent *recent);

/* False where it is full: then it is no use any more, and is to be cleared. */
bool osr_recent_add(struct osr_recent *recent, struct osr_slice id, struct osr_position position,
                    uint64_t ordinal);
/* Forgets entries up to an ordinal, which ascend. */
void osr_recent_evict(struct osr_recent *recent, uint64_t ordinal);
void osr_recent_clear(struct osr_recent *recent);

/* Positions of entries that may be of this document, newest first; at most `max` are written,
 * the count of all is returned, or max + 1 where there are more. */
size_t osr_recent_find(const struct osr_recent *recent, struct osr_slice id,
                       struct osr_position *positions, size_t max);

#endif
