#include "node/tail.h"

#include <assert.h>
#include <stdlib.h>

struct osr_tail {
    /* All in the order of the log: released batches, then from `waiting` on what is not. */
    struct osr_append *first;
    struct osr_append *last;
    struct osr_append *waiting;
    struct osr_append *passed; /* the last one that was released and is not kept */
    size_t bytes;              /* of all batches */
    size_t cache_bytes;
};

void osr_append_destroy(struct osr_append *append)
{
    if (append != NULL) {
        assert(!append->is_listed);
        osr_batch_done(&append->batch);
        osr_buffer_done(&append->fact_value);
        free(append->fact_key);
        free(append);
    }
}

struct osr_tail *osr_tail_create(size_t cache_bytes)
{
    struct osr_tail *tail = osr_alloc(sizeof(*tail));
    tail->cache_bytes = cache_bytes;
    return tail;
}

static size_t bytes_of(const struct osr_append *append)
{
    return sizeof(*append) + append->batch.bytes.capacity +
           append->batch.capacity * sizeof(append->batch.ends[0]);
}

static void list_in_log(struct osr_append *append)
{
    struct osr_log *log = append->log;
    append->log_previous = log->last;
    append->log_next = NULL;
    *(log->last != NULL ? &log->last->log_next : &log->first) = append;
    log->last = append;
    append->is_listed = true;
}

static void unlist_in_log(struct osr_append *append)
{
    if (!append->is_listed) {
        return;
    }
    struct osr_log *log = append->log;
    *(append->log_previous != NULL ? &append->log_previous->log_next : &log->first) =
        append->log_next;
    *(append->log_next != NULL ? &append->log_next->log_previous : &log->last) =
        append->log_previous;
    append->is_listed = false;
}

/* Takes it out of everything; it is the caller's then. */
static void take_out(struct osr_tail *tail, struct osr_append *append)
{
    unlist_in_log(append);
    if (tail->waiting == append) {
        tail->waiting = append->next;
    }
    *(append->previous != NULL ? &append->previous->next : &tail->first) = append->next;
    *(append->next != NULL ? &append->next->previous : &tail->last) = append->previous;
    tail->bytes -= bytes_of(append);
}

void osr_tail_destroy(struct osr_tail *tail)
{
    if (tail == NULL) {
        return;
    }
    while (tail->first != NULL) {
        struct osr_append *append = tail->first;
        take_out(tail, append);
        osr_append_destroy(append);
    }
    osr_append_destroy(tail->passed);
    free(tail);
}

/* The own feed's signatures come one batch late: the batch before gets its head here. */
static void place_head(struct osr_append *append)
{
    for (struct osr_append *batch = append->log->last; batch != NULL; batch = batch->log_previous) {
        uint64_t last = osr_batch_last(&batch->batch);
        if (last <= append->head_sequence) {
            if (last == append->head_sequence) {
                batch->has_head = true;
                batch->head = append->head_signature;
            }
            return;
        }
    }
}

static void cut(struct osr_tail *tail, const struct osr_append *truncate)
{
    for (struct osr_append *append = tail->waiting; append != truncate; append = append->next) {
        if (append->log == truncate->log && append->batch.count > 0 && !append->is_committed &&
            osr_batch_last(&append->batch) > truncate->sequence) {
            assert(append->batch.first > truncate->sequence);
            append->cut_by = truncate;
            unlist_in_log(append);
        }
    }
}

void osr_tail_add(struct osr_tail *tail, struct osr_append *append)
{
    append->previous = tail->last;
    append->next = NULL;
    *(tail->last != NULL ? &tail->last->next : &tail->first) = append;
    tail->last = append;
    if (tail->waiting == NULL) {
        tail->waiting = append;
    }
    tail->bytes += bytes_of(append);

    if (append->kind == OSR_APPEND_TRUNCATE) {
        cut(tail, append);
    } else if (append->kind == OSR_APPEND_BATCH) {
        if (append->batch.count > 0) {
            list_in_log(append);
        }
        if (append->head_sequence > 0) {
            place_head(append);
        }
    }
}

/* Of a ledger's appends only the ordinal counts from now on. So those that follow each other, and
 * wait behind a batch, become one: a ledger may write much while a feed's signature is awaited. */
static void join_with_previous(struct osr_tail *tail, struct osr_append *append)
{
    struct osr_append *previous = append->previous;
    if (append->kind != OSR_APPEND_LEDGER || previous == NULL ||
        previous->kind != OSR_APPEND_LEDGER || !previous->is_durable) {
        return;
    }
    if (append->last_ordinal > 0) {
        previous->last_ordinal = append->last_ordinal;
    }
    take_out(tail, append);
    osr_append_destroy(append);
}

void osr_tail_stored(struct osr_tail *tail, struct osr_append *append)
{
    if (append->code == OSR_OK) {
        append->is_durable = true;
        join_with_previous(tail, append);
        return;
    }
    for (struct osr_append *other = tail->waiting; other != NULL; other = other->next) {
        if (other->cut_by == append) {
            other->cut_by = NULL; /* still there; the core will cut again */
        }
    }
    take_out(tail, append);
    osr_append_destroy(append);
}

void osr_tail_commit(struct osr_tail *tail, struct osr_log *log, uint64_t first, uint64_t last)
{
    for (struct osr_append *append = tail->waiting; append != NULL; append = append->next) {
        if (append->log == log && append->batch.count > 0 && append->cut_by == NULL &&
            append->batch.first >= first && osr_batch_last(&append->batch) <= last) {
            append->is_committed = true;
        }
    }
}

/* A cut must be in the log before anything behind it is shown: only then does the log leave
 * out what was cut. */
static bool is_cut(const struct osr_append *append)
{
    return append->cut_by != NULL && append->cut_by->is_durable;
}

static bool needs_commit(const struct osr_append *append)
{
    return append->kind == OSR_APPEND_BATCH && append->batch.count > 0;
}

static void evict(struct osr_tail *tail)
{
    while (tail->bytes > tail->cache_bytes && tail->first != NULL && tail->first->is_released) {
        struct osr_append *oldest = tail->first;
        take_out(tail, oldest);
        osr_append_destroy(oldest);
    }
}

static void forget_passed(struct osr_tail *tail)
{
    osr_append_destroy(tail->passed);
    tail->passed = NULL;
}

const struct osr_append *osr_tail_release(struct osr_tail *tail)
{
    forget_passed(tail);
    evict(tail);
    struct osr_append *append = tail->waiting;
    while (append != NULL && append->is_durable && is_cut(append)) {
        take_out(tail, append);
        osr_append_destroy(append);
        append = tail->waiting;
    }
    if (append == NULL || !append->is_durable || (needs_commit(append) && !append->is_committed)) {
        return NULL;
    }
    append->is_released = true;
    if (needs_commit(append)) {
        tail->waiting = append->next; /* it stays for the readers */
    } else {
        take_out(tail, append);
        tail->passed = append;
    }
    return append;
}

bool osr_tail_read(const struct osr_log *log, uint64_t first, struct osr_excerpt *excerpt)
{
    const struct osr_append *append = log->last;
    while (append != NULL && append->batch.first > first) {
        append = append->log_previous;
    }
    if (append == NULL || osr_batch_last(&append->batch) < first) {
        return false;
    }
    bool wants_more = true;
    for (size_t i = (size_t)(first - append->batch.first); append != NULL && wants_more; i = 0) {
        for (; i < append->batch.count && wants_more; i++) {
            wants_more = osr_excerpt_add_entry(excerpt, osr_batch_record(&append->batch, i), false);
        }
        if (append->has_head && i == append->batch.count) {
            wants_more =
                osr_excerpt_add_head(excerpt, osr_batch_last(&append->batch), &append->head) &&
                wants_more;
        }
        append = append->log_next;
    }
    return true;
}
