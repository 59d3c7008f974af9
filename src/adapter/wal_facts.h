/* wal_facts.h -- which FACT is the newest of its key.
 *
 * Memory: about 100 bytes and the key, for each key.
 *
 * Private to the index. */
#ifndef OSR_ADAPTER_WAL_FACTS_H
#define OSR_ADAPTER_WAL_FACTS_H

#include "base/bytes.h"

struct osr_wal_facts;

struct osr_wal_facts *osr_wal_facts_create(uint64_t seed);
void osr_wal_facts_destroy(struct osr_wal_facts *facts); /* NULL is a no-op */

/* The newest is the one with this ordinal. Gives the ordinal of the one before; 0: there was none.
 */
uint64_t osr_wal_facts_put(struct osr_wal_facts *facts, struct osr_slice key, uint64_t ordinal);
uint64_t osr_wal_facts_newest(const struct osr_wal_facts *facts, struct osr_slice key);

#endif
