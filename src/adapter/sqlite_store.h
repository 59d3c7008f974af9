/* sqlite_store.h -- the parts of the projection (store.h), among themselves.
 *
 * sqlite_documents.c  documents.db: applies records of the log
 * sqlite_index.c      search.db: learns, behind documents.db, which versions win
 * sqlite_store.c      both together, as store.h has them
 * sqlite_query.c      a reader's questions to documents.db
 * sqlite_search.c     a reader's questions to search.db
 *
 * Crash safety. Either file may, after a power cut, be back at an earlier commit, the
 * other not. documents.db is brought forward again from the log; the changes that it notes
 * for the index depend on the log alone, not on how it was cut into batches, so the
 * index passes over those it knows already. If instead the index is behind what documents.db
 * has trimmed of them, it begins anew by walking all documents. */
#ifndef OSR_ADAPTER_SQLITE_STORE_H
#define OSR_ADAPTER_SQLITE_STORE_H

#include <assert.h>

#include "adapter/sqlite.h"
#include "adapter/store.h"

extern const struct osr_sqlite_schema osr_store_documents_schema;
extern const struct osr_sqlite_schema osr_store_search_schema;

/* Where an entry is in the log. */
struct osr_store_position {
    uint32_t log_id; /* 0: nowhere */
    uint64_t index;
};

/* The row of the full-text index for an entry, and back: one is made from the other, so that
 * neither file needs a table for it. Room for 8 million logs of a million million entries. */
enum { OSR_STORE_TEXT_ROW_INDEX_BITS = 40 };
static inline int64_t osr_store_text_row(struct osr_store_position position)
{
    assert(position.log_id < 1u << (63 - OSR_STORE_TEXT_ROW_INDEX_BITS));
    assert(position.index < 1ull << OSR_STORE_TEXT_ROW_INDEX_BITS);
    return (int64_t)((uint64_t)position.log_id << OSR_STORE_TEXT_ROW_INDEX_BITS | position.index);
}
static inline struct osr_store_position osr_store_text_position(int64_t row)
{
    uint64_t bits = (uint64_t)row;
    return (struct osr_store_position){
        (uint32_t)(bits >> OSR_STORE_TEXT_ROW_INDEX_BITS),
        bits & ((1ull << OSR_STORE_TEXT_ROW_INDEX_BITS) - 1),
    };
}

/* The origin of each log, by log id: rows of documents.db name the log alone. A zeroed one is
 * empty and valid. */
struct osr_store_origins {
    char (*names)[OSR_INSTANCE_CHARS + 1]; /* "": not known */
    size_t count;
};
void osr_store_origins_done(struct osr_store_origins *origins); /* empty and valid after */
/* Replaces all by what stands in documents.db. */
int osr_store_origins_load(struct osr_store_origins *origins, sqlite3 *db, struct osr_err *err);
void osr_store_origins_set(struct osr_store_origins *origins, uint32_t log_id, const char *name);
/* "" where the log is not known. */
const char *osr_store_origins_get(const struct osr_store_origins *origins, uint32_t log_id);

/* ---- documents.db, as its writer sees it ---- */

struct osr_store_documents;

int osr_store_documents_open(const char *folder, struct osr_store_documents **ret_documents,
                             struct osr_err *err);
void osr_store_documents_close(struct osr_store_documents *documents); /* NULL is a no-op */
/* As osr_store_apply. `indexed` is what the index knows: changes up to there are removed.
 * Adds to *changes how many new ones are behind it. */
int osr_store_documents_apply(struct osr_store_documents *documents,
                              const struct osr_store_item *items, size_t count, uint64_t indexed,
                              uint64_t *changes, struct osr_err *err);
uint64_t osr_store_documents_applied(const struct osr_store_documents *documents);
uint64_t osr_store_documents_trimmed(const struct osr_store_documents *documents);
sqlite3 *osr_store_documents_db(struct osr_store_documents *documents);

/* ---- search.db, as its writer sees it ---- */

struct osr_store_index;

/* The documents must outlive the index. */
int osr_store_index_open(const char *folder, const struct osr_bodies *bodies,
                         struct osr_store_documents *documents, struct osr_store_index **ret_index,
                         struct osr_err *err);
void osr_store_index_close(struct osr_store_index *index); /* NULL is a no-op */
/* As osr_store_index. */
int osr_store_index_advance(struct osr_store_index *index, size_t count, uint64_t *ret_left,
                            struct osr_err *err);
uint64_t osr_store_index_applied(const struct osr_store_index *index);
/* Changes that osr_store_documents_apply has added. */
void osr_store_index_expect(struct osr_store_index *index, uint64_t changes);

#endif
