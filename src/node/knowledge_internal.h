/* knowledge_internal.h -- what the parts of the knowledge base share: knowledge.c (open,
 * close, releases), query.c and its kinds, writes.c, arrivals.c, rebuild.c. All of it is the
 * loop's. */
#ifndef OSR_NODE_KNOWLEDGE_INTERNAL_H
#define OSR_NODE_KNOWLEDGE_INTERNAL_H

#include "model/limits.h"
#include "node/document_cache.h"
#include "node/knowledge.h"
#include "node/projection.h"
#include "node/reading.h"
#include "node/recent.h"
#include "node/reply_memory.h"

struct osr_knowledge {
    struct osr_knowledge_options options;
    char *instance;
    uv_loop_t *loop;
    uint64_t hash_key[2];

    uint64_t released;  /* ordinal */
    uint64_t opened_at; /* last ordinal at open: soon released too */
    /* Entries released behind `recent_from` and not projected are all in `recent`. Who looks a
     * document up waits until the projection has what came before. */
    struct osr_recent *recent;
    uint64_t recent_from;
    struct osr_document_cache *cache;

    struct osr_projection *projection;
    struct osr_reading *lookups; /* single documents */
    struct osr_reading *scans;   /* what takes longer */

    struct osr_writes *writes;
    struct osr_arrivals *arrivals;
    struct osr_queries *queries;
    struct osr_reply_memory *replies; /* NULL: without limit */
    struct osr_rebuild *rebuild;      /* NULL: none under way */
    bool is_closing;
};

/* What somebody who asks now may expect to see: everything up to this ordinal. */
static inline uint64_t osr_knowledge_now(const struct osr_knowledge *knowledge)
{
    return knowledge->released > knowledge->opened_at ? knowledge->released : knowledge->opened_at;
}

/* ---- writes.c ---- */
struct osr_writes *osr_writes_create(struct osr_knowledge *knowledge);
void osr_writes_destroy(struct osr_writes *writes); /* ends what is under way with CANCELLED */
/* Entries of the own feed. */
void osr_writes_released(struct osr_writes *writes, const struct osr_batch *batch, uint32_t log_id);
bool osr_writes_are_many(const struct osr_writes *writes);

/* ---- arrivals.c ---- */
struct osr_arrivals *osr_arrivals_create(struct osr_knowledge *knowledge);
void osr_arrivals_destroy(struct osr_arrivals *arrivals); /* ends what waits with CANCELLED */
void osr_arrivals_applied(struct osr_arrivals *arrivals, uint64_t ordinal);
bool osr_arrivals_are_many(const struct osr_arrivals *arrivals);

/* ---- query.c ---- */
struct osr_queries *osr_queries_create(void);
void osr_queries_destroy(struct osr_queries *queries); /* ends those under way with CANCELLED */
/* More is released: those who watch want to know. */
void osr_queries_released(struct osr_queries *queries);

/* ---- rebuild.c ---- */
void osr_rebuild_applied(struct osr_knowledge *knowledge);
void osr_rebuild_state(struct osr_knowledge *knowledge, const struct osr_err *err);
void osr_rebuild_cancel(struct osr_knowledge *knowledge); /* at close */

#endif
