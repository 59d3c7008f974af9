/* query.h -- how a query runs, whatever it asks.
 *
 * It waits for the projection where its kind needs that, and for room among what replies may take
 * (node/reply_memory.h), then its thread fills a chunk of rows, then the loop replies row by row,
 * unless paused, and when the chunk is empty asks for the next one. So a query holds one chunk,
 * however long its answer and however slow its reader, and none while it waits for the next. */
#ifndef OSR_NODE_QUERY_H
#define OSR_NODE_QUERY_H

#include "node/knowledge_internal.h"
#include "node/lookup.h"

enum {
    OSR_CHUNK_ROWS = 200,        /* two frames of list items */
    OSR_CHUNK_BYTES = 256 << 10, /* of entries, and one more that passes it */
    /* Under way; more get BUSY. Stops clients from queueing up work without end. */
    OSR_QUERIES_MAX = 4096,
};

/* Where a document that belongs to the answer is, and what is said of it. */
struct osr_place {
    struct osr_position position;
    struct osr_version version;
    bool is_winner;
    bool is_superseded;
    double rank;
    const char *snippet; /* this and the id: in the query's arena for places; may be NULL */
    const char *id;
};

struct osr_query_kind {
    const char *name;
    bool is_stream; /* of as many documents as there are */
    bool is_lookup; /* of one document: by the lookups' thread, without waiting */
    bool is_search; /* waits for the full-text index */
    bool is_of_log; /* reads the log alone: does not wait for the projection */
    bool is_live;   /* of the log, and goes on with what comes */
    bool is_told;   /* not run, but told its replies by others */
    bool may_lag;   /* answers from what is projected while the disk is full */
    /* On the thread: fills rows, sets is_at_end. A failure ends the query. */
    int (*fill)(struct osr_query *query, struct osr_reading *reading, struct osr_err *err);
    /* Then, on the loop; may be NULL. */
    void (*filled)(struct osr_query *query);
};

struct osr_query {
    struct osr_reading_job job; /* first */
    struct osr_projection_wait wait;
    struct osr_reply_wait room_wait;
    const struct osr_query_kind *kind;
    struct osr_knowledge *knowledge;
    struct osr_query *next;
    struct osr_query *previous;
    osr_query_reply_fn *on_reply;
    void *context;
    struct osr_identity *asker; /* the loop's; NULL: the instance itself */
    struct osr_grant *grant;    /* of the asker, when the chunk was asked for; held */

    /* The loop's. */
    bool is_on_thread; /* then all from `text` on is the thread's */
    bool is_waiting;   /* for the projection */
    bool is_in_line;   /* for room */
    bool is_idle;      /* it watches, and there is nothing new */
    bool is_replying;
    bool is_paused;
    bool is_cancelled;
    uint64_t asked_at;          /* ordinal up to which it must see everything */
    struct osr_query **told_by; /* where those who tell it have it; NULL when it is gone */

    /* What is asked. */
    struct osr_buffer text; /* id, query, or the id behind which to go on */
    char *collection;
    uint64_t limit; /* left; UINT64_MAX: none */
    uint64_t now_ms;
    struct osr_lookup lookup;
    uint64_t ticket;     /* get: of the cache */
    bool has_no_version; /* get: none at all, not even a deleted one */
    uint64_t from;       /* of the log: ordinal of the next record to read */
    uint64_t released;   /* of the log: up to here */
    uint64_t from_ms;    /* of an origin: leaves out what was written before */
    char origin[OSR_INSTANCE_CHARS + 1];
    struct osr_digest_feed *feeds;
    size_t feed_count;

    /* The chunk. */
    struct osr_arena *arena; /* of rows */
    struct osr_query_reply *rows;
    size_t row_count;
    size_t row_capacity;
    size_t row_next;
    bool is_at_end;             /* no chunk after this one */
    bool has_shown;             /* history: some version was shown */
    bool has_hidden;            /* a place whose document the asker may not read */
    struct osr_reply_part part; /* of the replies' memory; the loop's */
    struct osr_err err;

    /* What is to be read, where it is known at once. */
    struct osr_arena *place_arena;
    struct osr_place *places;
    size_t place_count;
    size_t place_next;
    size_t place_capacity;
    bool has_places;
    struct osr_hash digest;
};

/* A new query, or where there are too many one that will end with BUSY. Asking starts it. */
struct osr_query *osr_query_create(struct osr_knowledge *knowledge, struct osr_identity *asker,
                                   const struct osr_query_kind *kind, osr_query_reply_fn *on_reply,
                                   void *context);
struct osr_query *osr_query_ask(struct osr_query *query);

/* A reply to a query that is told; a NULL one has gone, and a paused one misses what is not the
 * last. */
void osr_query_tell(struct osr_query *query, const struct osr_query_reply *reply);
void osr_query_tell_failure(struct osr_query *query, const struct osr_err *err);

/* For `fill`, on the thread. */
struct osr_place *osr_query_add_place(struct osr_query *query);
struct osr_query_reply *osr_query_add_row(struct osr_query *query); /* asserts that there is room */
bool osr_query_has_room(const struct osr_query *query);
/* Whether the asker may read what is in this collection. */
bool osr_query_may_show(const struct osr_query *query, struct osr_slice collection);
/* Sets the row's document, with its version, out of an entry in the query's arena. */
void osr_query_set_document(struct osr_query *query, struct osr_query_reply *row, Osr__Entry *entry,
                            const struct osr_version *version);
/* Reads documents at the places into rows, until the chunk is full. */
int osr_query_fill_from_places(struct osr_query *query, struct osr_err *err);

#endif
