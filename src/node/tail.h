/* tail.h -- the end of the log, in memory: what is not released yet, in the order of the log,
 * and the newest batches that are.
 *
 * Release: the front of the queue leaves it once it is durable and, a batch, committed; what
 * was refused or cut off is passed over. So whoever follows the releases sees the log's order
 * and no entry that may still be taken back.
 *
 * Memory: released batches stay, newest first to go last, while all batches together hold at
 * most cache_bytes. The loop's only. */
#ifndef OSR_NODE_TAIL_H
#define OSR_NODE_TAIL_H

#include "node/append.h"
#include "node/excerpt.h"

struct osr_tail;

struct osr_tail *osr_tail_create(size_t cache_bytes);
void osr_tail_destroy(struct osr_tail *tail); /* NULL is a no-op; frees what it holds */

/* In the order in which they go into the log. A TRUNCATE takes what it cuts out of the
 * readers' sight at once. */
void osr_tail_add(struct osr_tail *tail, struct osr_append *append);
/* The log thread is done with it: append->code and last_ordinal say how. It may be freed. */
void osr_tail_stored(struct osr_tail *tail, struct osr_append *append);
/* Stored batches of a feed that count now. */
void osr_tail_commit(struct osr_tail *tail, struct osr_log *log, uint64_t first, uint64_t last);
/* The next one to be released, or NULL; it lives until the next call. Facts, cuts and a ledger's
 * come too: they have an ordinal. */
const struct osr_append *osr_tail_release(struct osr_tail *tail);

/* Offers the excerpt what is wanted of this log; false where its beginning is not in memory. */
bool osr_tail_read(const struct osr_log *log, uint64_t first, struct osr_excerpt *excerpt);

#endif
