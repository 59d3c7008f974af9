/* store.h -- the projection: what can be asked of the documents, kept behind the log.
 *
 * folder/documents.db holds, for each document id, the winning version's position in the
 * log, its collection and expiry, further versions where there are any, and local facts by
 * key; folder/search.db the full-text index. Both are SQLite in WAL mode, have a schema
 * version (user_version, application_id) with migrations, and can be made anew from the
 * log at any time: nothing is in them that the log cannot give back. The ordinal of the last
 * record applied stands in the same transaction as its rows.
 *
 * Happy path: the projection thread applies committed records in large batches, sorted by
 * id; the query thread reads through its own connection. Bodies are read from the log.
 *
 * Failures: a file that is not ours is FOREIGN_FILE, a damaged one CORRUPT with the hint
 * `osiris rebuild`; neither is overwritten. DISK_FULL halts the projection alone: the
 * transaction is rolled back, and apply may be called again later.
 *
 * Threads: one osr_store on one thread, any number of osr_store_reader each on one thread. */
#ifndef OSR_ADAPTER_STORE_H
#define OSR_ADAPTER_STORE_H

#include "model/digest.h"
#include "model/entry.h"
#include "model/version.h"

/* Reads an entry's stored form (without chain) from the log; from any thread. */
struct osr_bodies {
    int (*read)(void *context, uint32_t log_id, uint64_t index, struct osr_buffer *stored,
                struct osr_err *err);
    void *context;
};

/* One record to project: a committed entry, or a fact. */
struct osr_store_item {
    uint64_t ordinal; /* in the log; ascending */
    uint32_t log_id;  /* 1..; one log has entries of one origin alone */
    uint64_t index;
    const char *origin;      /* of an entry; NULL: a fact */
    const Osr__Entry *entry; /* its document's data and source are not looked at */
    struct osr_slice key;    /* of a fact */
    struct osr_slice value;  /* empty: the fact is gone */
};

struct osr_store;

/* Opens or creates both files. */
int osr_store_open(const char *folder, const struct osr_bodies *bodies,
                   struct osr_store **ret_store, struct osr_err *err);
void osr_store_close(struct osr_store *store); /* NULL is a no-op */
/* All or nothing, in one transaction; applied becomes the last item's ordinal. Items at or
 * below `applied` are passed over. */
int osr_store_apply(struct osr_store *store, const struct osr_store_item *items, size_t count,
                    struct osr_err *err);
uint64_t osr_store_applied(const struct osr_store *store);
/* Brings the full-text index forward by at most `count` documents; *ret_left says how many
 * still lack. */
int osr_store_index(struct osr_store *store, size_t count, uint64_t *ret_left, struct osr_err *err);
/* Makes way for new files: renames both to *.old, whatever their state, and the next
 * osr_store_open begins anew with applied 0 and then removes them. Foreign files stay where they
 * are (FOREIGN_FILE). No store may be open; readers may, and turn to the new files by themselves.
 */
int osr_store_set_aside(const char *folder, struct osr_err *err);

/* Where a version of a document is. */
struct osr_store_version {
    struct osr_version_state state;
    uint32_t log_id;
    uint64_t index;
    Osr__Operation operation;
    uint64_t expires_ms;
};

/* Neither deleted nor expired. */
static inline bool osr_store_version_is_visible(const struct osr_store_version *version,
                                                uint64_t now_ms)
{
    return version->operation == OSR__OPERATION__PUT &&
           (version->expires_ms == 0 || version->expires_ms > now_ms);
}

/* A winning version that is visible. */
struct osr_store_row {
    struct osr_slice id;
    uint32_t log_id;
    uint64_t index;
    struct osr_version version;
    struct osr_slice collection;
};

/* What to do after a row. */
enum osr_store_next {
    OSR_STORE_GO_ON,
    OSR_STORE_PASS_OVER, /* go on, and the row does not count against the limit */
    OSR_STORE_STOP,      /* which is no failure */
};
typedef enum osr_store_next osr_store_visit_row(void *context, const struct osr_store_row *row);
typedef enum osr_store_next osr_store_visit_hit(void *context, const struct osr_store_row *row,
                                                double rank, struct osr_slice snippet);

struct osr_store_reader;

int osr_store_reader_open(const char *folder, const struct osr_bodies *bodies,
                          struct osr_store_reader **ret_reader, struct osr_err *err);
void osr_store_reader_close(struct osr_store_reader *reader); /* NULL is a no-op */

/* Which versions of a document are wanted: a question costs what it asks for, however many
 * there are. One head is enough to know the winner, and where there is none one of the others. */
struct osr_store_wanted {
    size_t heads_max;               /* of those that none supersedes, the newest */
    size_t superseded_max;          /* of the others that are known, the newest */
    const struct osr_version *also; /* and these, if there are any, known or only named */
    size_t also_count;
};

/* In no order, perhaps twice where it is in `also`; the only version of a document is given
 * whatever is wanted. *ret_versions (to be freed) is NULL and *ret_count 0 where there is none. */
int osr_store_versions(struct osr_store_reader *reader, struct osr_slice id,
                       const struct osr_store_wanted *wanted,
                       struct osr_store_version **ret_versions, size_t *ret_count,
                       struct osr_err *err);
int osr_store_fact(struct osr_store_reader *reader, struct osr_slice key, struct osr_buffer *value,
                   bool *ret_found, struct osr_err *err);
/* Rows with ids behind after_id, ascending, at most limit (0: all), of one collection unless
 * that is empty. Read page by page: what is written meanwhile may show or not. */
int osr_store_list(struct osr_store_reader *reader, struct osr_slice after_id,
                   struct osr_slice collection, uint64_t now_ms, uint64_t limit,
                   osr_store_visit_row *visit, void *context, struct osr_err *err);
/* Best first, at most limit; rank is higher for better ones. A query that FTS5 cannot read is
 * taken as plain words. The snippet has the matches between ** **. */
int osr_store_search(struct osr_store_reader *reader, struct osr_slice query, uint64_t now_ms,
                     uint32_t limit, osr_store_visit_hit *visit, void *context,
                     struct osr_err *err);
int osr_store_count(struct osr_store_reader *reader, uint64_t now_ms, uint64_t *ret_count,
                    struct osr_err *err);
/* Adds every document, deleted ones too, with its winner, in the order of ids. */
int osr_store_digest(struct osr_store_reader *reader, struct osr_digest *digest,
                     struct osr_err *err);

#endif
