/* facts.h -- small local truths by key: pins, cursors, import positions, settings.
 *
 * In the log a fact is a FACT record of log id 0; the newest value of a key counts, an empty one
 * takes the fact away. All are kept in memory but those of a prefix that grows with the data:
 * the projection has them. The loop's only, but for encode and decode. */
#ifndef OSR_NODE_FACTS_H
#define OSR_NODE_FACTS_H

#include "adapter/wal.h"

/* Occurrences of what came by wire: one for each distinct value, so not kept in memory. */
#define OSR_FACT_SEEN_PREFIX "seen:"

enum {
    OSR_FACT_FORMAT = 1,
    OSR_FACT_KEY_BYTES_MAX = 1024,
    OSR_FACT_VALUE_BYTES_MAX = 64 << 10, /* facts are small; all of them are read at each start */
};

struct osr_facts;

struct osr_facts *osr_facts_create(uint64_t seed);
void osr_facts_destroy(struct osr_facts *facts); /* NULL is a no-op */
void osr_facts_put(struct osr_facts *facts, struct osr_slice key, struct osr_slice value);
void osr_facts_walk(const struct osr_facts *facts, const char *prefix,
                    void (*visit)(void *context, const char *key, struct osr_slice value),
                    void *context);

/* Payload of a FACT record: u32 length of the key | key | value. */
void osr_fact_encode(struct osr_buffer *buffer, struct osr_slice key, struct osr_slice value);
/* Key and value point into the record. */
int osr_fact_decode(const struct osr_wal_record *record, struct osr_slice *ret_key,
                    struct osr_slice *ret_value, struct osr_err *err);
/* An osr_wal_fact_key: the log lets go of older values. Of what grows with the data it would have
 * to keep the keys in memory, so these have none for it. */
struct osr_slice osr_fact_key(const struct osr_wal_record *record);

#endif
