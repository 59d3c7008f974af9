/* knowledge.h -- the knowledge base of one instance: documents, as its users see them.
 *
 * Writing. Puts that name an id (or carry a source, which makes one) are resolved first: which
 * versions exist, so that the new one supersedes them or an import is passed over. One group
 * of such writes is under way at a time, everything that comes meanwhile is the next group, so
 * that two writes to one id see each other and the pace is that of the disk, not of a round
 * trip. Puts without an id need none of this.
 *
 * Reading. A document can be got as soon as it is committed: an index in memory holds what the
 * projection does not have yet, and a cache what was got before. `list`, `search`, `history` and
 * `digest` wait until the projection has caught up with what was released when they were asked.
 *
 * The projection thread walks the log from where it stopped, always: after a write, a start
 * or a rebuild, the same way. Its lag is bounded: past OSR_KNOWLEDGE_LAG_MAX entries
 * osr_knowledge_is_busy says so, and the node reads no further requests or updates.
 *
 * A damaged projection does not keep the instance from starting: what needs it answers CORRUPT
 * and says what to do (a rebuild), while writes of new documents and replication go on. On
 * DISK_FULL list, search, history and count answer from what is projected.
 *
 * Limits: at most OSR_QUERIES_MAX queries are under way (query.h), and 32 MiB of writes wait to be
 * resolved; more get BUSY. Queries read documents only while replies have room for them
 * (reply_memory.h).
 *
 * Permission. Who asks sees of an answer what he may read, as his identity stands when a part of it
 * is read; who writes needs leave for the collection of what he replaces, too. Whether he may read
 * or write at all, and what he writes, was checked before. Nobody (NULL) is the instance itself.
 *
 * Threads: "project" applies, "lookup" finds single documents, "scan" does what takes
 * longer. Calls and callbacks are on the loop's. */
#ifndef OSR_NODE_KNOWLEDGE_H
#define OSR_NODE_KNOWLEDGE_H

#include "adapter/store.h"
#include "node/access.h"
#include "node/journal.h"

#define OSR_KNOWLEDGE_LAG_MAX 262144u

/* Source name of documents that arrive by wire from seed peers, and of the entries of a followed
 * file: one name, so that the nth of equal data is one document whichever way it came first. */
#define OSR_SEED_SOURCE "seed"

struct osr_knowledge;
struct osr_reply_memory;
struct osr_reply_reader;

struct osr_knowledge_options {
    const char *folder; /* of the store */
    const char *instance;
    struct osr_journal *journal;
    /* Hands a WRITE to the core; osr_knowledge_written answers with the same token, once, perhaps
     * from within. The puts live until the return. */
    void (*write)(void *context, uint64_t token, const struct osr_feed_put *puts, size_t count,
                  uint32_t acks, uint32_t timeout_ms);
    /* The projection has halted (DISK_FULL, CORRUPT), or goes on again (OK). May come from within
     * osr_knowledge_open. */
    void (*on_state)(void *context, const struct osr_err *err);
    uint64_t (*time_ms)(void *context); /* wall clock */
    void *context;
    struct osr_trace trace;
};

/* After a failure the loop must run once more, as after a close. */
int osr_knowledge_open(uv_loop_t *loop, const struct osr_knowledge_options *options,
                       struct osr_knowledge **ret_knowledge, struct osr_err *err);
/* Ends all queries and writes under way with CANCELLED; no new ones may be made meanwhile. Before
 * the journal's close; then run the loop once more. NULL is a no-op. */
void osr_knowledge_close(struct osr_knowledge *knowledge);

/* What documents that are read for replies count in; outlives the knowledge base. Without one there
 * is no limit. */
void osr_knowledge_limit_replies(struct osr_knowledge *knowledge, struct osr_reply_memory *replies);

/* From the journal's on_release. */
void osr_knowledge_released(struct osr_knowledge *knowledge, const struct osr_batch *batch,
                            uint32_t log_id, uint64_t last_ordinal);
/* From the core's WRITTEN. */
void osr_knowledge_written(struct osr_knowledge *knowledge, uint64_t token, enum osr_code code,
                           uint64_t first_sequence, struct osr_time first_time, uint32_t acks);
bool osr_knowledge_is_busy(const struct osr_knowledge *knowledge);
uint64_t osr_knowledge_lag(const struct osr_knowledge *knowledge); /* entries not yet projected */

enum osr_write_mode {
    OSR_WRITE_PUT,    /* new, or a new version */
    OSR_WRITE_UPDATE, /* NOT_FOUND where there is none */
    OSR_WRITE_DELETE, /* NOT_FOUND where there is none */
    OSR_WRITE_IMPORT, /* those that exist are passed over */
};

/* After a revocation, or another policy: queries that wait for more are told where their asker may
 * have it no longer. */
void osr_knowledge_review(struct osr_knowledge *knowledge);

struct osr_write_result {
    /* OK; TIMEOUT: written, but not held by `acks` followers; else not written. PERMISSION_DENIED:
     * not what it would have replaced; NOT_FOUND: nor may he know that it is there. */
    enum osr_code code;
    const char *id;             /* of the (only, or last) document */
    struct osr_version version; /* where one was written */
    uint64_t sequence;          /* of the last one written */
    uint64_t written;
    uint64_t existed;
};

/* The documents (1..OSR_IMPORT_DOCUMENTS_MAX, checked by the caller) are copied as needed.
 * `done` is called exactly once, perhaps from within; its result lives until its return. When
 * it says OK the documents can be got. */
void osr_knowledge_write(struct osr_knowledge *knowledge, struct osr_identity *writer,
                         enum osr_write_mode mode, Osr__Document *const *documents, size_t count,
                         uint32_t acks, uint32_t timeout_ms,
                         void (*done)(void *context, const struct osr_write_result *result),
                         void *context);

/* One that arrived by wire from a seed peer: its occurrence is counted durably, and it is
 * passed over if a followed file brought it already (proto/protocol.md, "Seed peers"). */
void osr_knowledge_write_arrival(struct osr_knowledge *knowledge, struct osr_slice data,
                                 void (*done)(void *context, const struct osr_write_result *result),
                                 void *context);

/* A query under way; replies come one by one, `last` with the last (document may be NULL then). */
struct osr_query;

struct osr_query_reply {
    const struct osr_err *err;      /* not NULL: it failed, and this is the last */
    Osr__Document *document;        /* with `version`; lives until the return */
    Osr__Operation operation;       /* history, watch */
    bool winner, superseded;        /* history */
    double rank;                    /* search */
    const char *snippet;            /* search */
    uint64_t position;              /* watch, of an origin: ordinal */
    const struct osr_feed_id *feed; /* watch, of an origin; lives as long as the journal */
    uint64_t sequence;              /* watch, of an origin */
    const struct osr_hash *digest;  /* digest */
    uint64_t count;                 /* digest, count: visible documents */
    bool more_later; /* the next one takes a while: pass on what was collected so far */
    bool last;
};

typedef void osr_query_reply_fn(void *context, const struct osr_query_reply *reply);

/* What a get would answer, where it is known at once; the reply lives until the next call of any
 * function here, `err` holds its failure. False: ask with osr_knowledge_get. */
bool osr_knowledge_get_cached(struct osr_knowledge *knowledge, struct osr_identity *asker,
                              const char *id, struct osr_query_reply *ret_reply,
                              struct osr_err *err);

/* Each returns the query, valid until the reply with `last`. NOT_FOUND where there is none, or none
 * that the asker may read. No reply comes before they return; the asker lives as long as the
 * query, or until it is cancelled. */
struct osr_query *osr_knowledge_get(struct osr_knowledge *knowledge, struct osr_identity *asker,
                                    const char *id, osr_query_reply_fn *on_reply, void *context);
struct osr_query *osr_knowledge_history(struct osr_knowledge *knowledge, struct osr_identity *asker,
                                        const char *id, osr_query_reply_fn *on_reply,
                                        void *context);
struct osr_query *osr_knowledge_list(struct osr_knowledge *knowledge, struct osr_identity *asker,
                                     const char *after_id, const char *collection, uint64_t limit,
                                     osr_query_reply_fn *on_reply, void *context);
struct osr_query *osr_knowledge_search(struct osr_knowledge *knowledge, struct osr_identity *asker,
                                       const char *query, uint32_t limit,
                                       osr_query_reply_fn *on_reply, void *context);
/* From a position on, then live, until cancelled. */
struct osr_query *osr_knowledge_watch(struct osr_knowledge *knowledge, struct osr_identity *asker,
                                      uint64_t from_position, const char *collection,
                                      osr_query_reply_fn *on_reply, void *context);
/* What an origin wrote, in the order of the log up to now, also what is superseded and what is no
 * document. All of it: whether the asker may audit was checked before. */
struct osr_origin_wanted {
    const char *origin;
    uint64_t from_position;
    uint64_t from_ms; /* by the origin's clock */
    uint64_t limit;   /* 0: none */
};
struct osr_query *osr_knowledge_of_origin(struct osr_knowledge *knowledge,
                                          struct osr_identity *asker,
                                          const struct osr_origin_wanted *wanted,
                                          osr_query_reply_fn *on_reply, void *context);
struct osr_query *osr_knowledge_count(struct osr_knowledge *knowledge, osr_query_reply_fn *on_reply,
                                      void *context);
/* `feeds` as osr_feed_info gave them at the time of the call. While entries keep coming the
 * documents may be ahead of them, and the digest equals nobody's. */
struct osr_query *osr_knowledge_digest(struct osr_knowledge *knowledge,
                                       struct osr_digest_feed *feeds, size_t count,
                                       osr_query_reply_fn *on_reply, void *context);
/* Makes the projection anew. Replies carry position (done) and sequence (total). */
struct osr_query *osr_knowledge_rebuild(struct osr_knowledge *knowledge,
                                        osr_query_reply_fn *on_reply, void *context);

/* Flow control of list and watch: while paused no reply comes, and little is read ahead. Replies
 * may come from within the end of a pause. Both calls are allowed within a reply. */
void osr_query_pause(struct osr_query *query, bool pause);
/* Of a watch: it has told all that there is, and waits for more. */
bool osr_query_is_idle(const struct osr_query *query);
void osr_query_cancel(struct osr_query *query); /* no further reply; the query is gone */
/* For whom it is asked, until it ends or is cancelled. */
void osr_query_set_reader(struct osr_query *query, struct osr_reply_reader *reader);

#endif
