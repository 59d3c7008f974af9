/* append.h -- one thing to append to the log: a batch, a cut, a fact, or what a ledger stores.
 *
 * Its way: made by the journal, done by the log thread (log_writer.h), then it waits in the
 * order of the log until it may be released (tail.h). A batch stays in memory after that, for
 * the readers of what is newest. */
#ifndef OSR_NODE_APPEND_H
#define OSR_NODE_APPEND_H

#include "adapter/worker.h"
#include "model/entry.h"
#include "node/ledger_log.h"
#include "node/logs.h"

enum osr_append_kind {
    OSR_APPEND_BATCH,    /* entries of one feed, or none, and perhaps a head */
    OSR_APPEND_TRUNCATE, /* the feed's entries behind `sequence` are void */
    OSR_APPEND_FACT,
    OSR_APPEND_LEDGER, /* a ledger's vote, cut, base, entries: what there is of them */
};

struct osr_append {
    struct osr_job job; /* first: the log thread's from submit to done */
    enum osr_append_kind kind;
    struct osr_log *log; /* NULL for a fact and a ledger's */

    struct osr_batch batch;
    uint64_t head_sequence; /* a head to store behind the batch, or of one before it; 0: none */
    struct osr_signature head_signature;
    uint64_t sequence; /* last to keep */
    char *fact_key;
    struct osr_buffer fact_value;
    struct osr_ledger_store ledger; /* who waits for it, too */
    struct osr_raft_vote vote;      /* ledger.vote, if there is one */
    uint64_t refusals_known;        /* of more than votes, to whoever stores this */

    /* Who waits. */
    uint64_t ticket;
    void (*done)(void *context, enum osr_code code); /* of a fact; may be NULL */
    void *context;

    /* The log thread's answer. */
    enum osr_code code;
    uint64_t last_ordinal;
    size_t bytes; /* of what went into the log */

    /* The tail's. */
    struct osr_append *next; /* of all, in the order of the log */
    struct osr_append *previous;
    struct osr_append *log_next; /* of the batches of one log */
    struct osr_append *log_previous;
    bool is_durable;
    bool is_committed;
    bool is_released;
    bool is_listed;                  /* in its log's list */
    const struct osr_append *cut_by; /* a TRUNCATE behind it, not durable yet */
    bool has_head;                   /* its last entry has a head: `head` */
    struct osr_signature head;
};

void osr_append_destroy(struct osr_append *append); /* NULL is a no-op; not while listed */

#endif
