/* document_cache.h -- documents that were asked for, as they are now: what is asked again is
 * answered on the loop, without a thread and without the projection.
 *
 * Filled by answers: who begins to look a document up leaves a place, and the answer is kept
 * if nothing of that document was released meanwhile. Emptied by releases: a new version takes
 * its document out; only where there was none at all it is the document from then on. What is
 * deleted or expired is not kept.
 *
 * Memory: at most OSR_DOCUMENT_CACHE_BYTES; what was not asked for longest goes first. The
 * loop's only. */
#ifndef OSR_NODE_DOCUMENT_CACHE_H
#define OSR_NODE_DOCUMENT_CACHE_H

#include "model/entry.h"

enum { OSR_DOCUMENT_CACHE_BYTES = 16 << 20 };

struct osr_document_cache;

struct osr_document_cache *osr_document_cache_create(uint64_t hash_seed);
void osr_document_cache_destroy(struct osr_document_cache *cache); /* NULL is a no-op */

enum osr_cached { OSR_CACHED_NOTHING, OSR_CACHED_DOCUMENT, OSR_CACHED_ABSENCE };

/* The document, with its version, lives until the next call; no more than a DOCUMENT sets it. */
enum osr_cached osr_document_cache_find(struct osr_document_cache *cache, struct osr_slice id,
                                        uint64_t now_ms, Osr__Document **ret_document);
/* Leaves a place for an answer that is looked for from now on. */
uint64_t osr_document_cache_expect(struct osr_document_cache *cache, struct osr_slice id);
/* The answer: a visible document with its version, or NULL where no version of any kind is known.
 */
void osr_document_cache_keep(struct osr_document_cache *cache, struct osr_slice id, uint64_t ticket,
                             const Osr__Document *document);
void osr_document_cache_released(struct osr_document_cache *cache, const struct osr_batch *batch);

#endif
