/* What followers read of a feed: from memory where it is there, else from the log. */
#include <assert.h>
#include <stdlib.h>

#include "node/journal_internal.h"

/* A READ that is answered at the end of the turn: all batches that were committed by then go
 * out as one, under one signature. */
struct pending_read {
    struct pending_read *next;
    uint64_t ticket;
    const struct osr_log *log;
    struct osr_excerpt_options options;
};

/* ---- answers ---- */

static void hand_over(struct osr_journal *journal, uint64_t ticket, struct osr_excerpt *excerpt)
{
    struct osr_err err;
    size_t bytes = 0;
    Osr__Update *update = osr_excerpt_finish(excerpt, &bytes, &err);
    if (update == NULL) {
        osr_trace(&journal->trace, OSR_LEVEL_WARNING, "log: nothing read for a follower: %s",
                  err.message);
    }
    if (!journal->is_closing) {
        journal->handler.on_read(journal->handler.context, ticket, update, bytes);
    }
    osr_excerpt_destroy(excerpt);
}

/* ---- from the log ---- */

struct feed_reading {
    struct osr_log_reading reading; /* first */
    struct osr_journal *journal;
    uint64_t ticket;
    uint32_t log_id;
    uint64_t next; /* sequence of the entry that must come */
    struct osr_excerpt *excerpt;
};

enum { ENOUGH = -1 };

static int visit(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    struct feed_reading *reading = context;
    bool wants_more = true;
    (void)err;
    if (record->type == OSR_WAL_ENTRY) {
        if (record->index != reading->next) {
            return ENOUGH; /* cut meanwhile; what was asked for was never behind a cut */
        }
        reading->next++;
        wants_more = osr_excerpt_add_entry(reading->excerpt, record->payload, true);
    } else if (record->payload.size == OSR_SIGNATURE_SIZE) {
        struct osr_signature signature;
        memcpy(signature.bytes, record->payload.data, OSR_SIGNATURE_SIZE);
        wants_more = osr_excerpt_add_head(reading->excerpt, record->index, &signature);
    }
    return wants_more ? 0 : ENOUGH;
}

static void read_log(struct osr_log_reading *job, struct osr_wal *wal)
{
    struct feed_reading *reading = (struct feed_reading *)job;
    struct osr_err err;
    int code = osr_wal_read(wal, reading->log_id, reading->next, visit, reading, &err);
    if (code != 0 && code != ENOUGH) {
        osr_excerpt_fail(reading->excerpt, &err);
    }
}

static void on_log_read(struct osr_log_reading *job)
{
    struct feed_reading *reading = (struct feed_reading *)job;
    hand_over(reading->journal, reading->ticket, reading->excerpt);
    free(reading);
}

static void submit_reading(struct osr_journal *journal, const struct pending_read *read,
                           struct osr_excerpt *excerpt)
{
    struct feed_reading *reading = osr_alloc(sizeof(*reading));
    reading->reading.read = read_log;
    reading->reading.done = on_log_read;
    reading->journal = journal;
    reading->ticket = read->ticket;
    reading->log_id = read->log->id;
    reading->next = read->options.first;
    reading->excerpt = excerpt;
    osr_log_reader_submit(journal->reader, &reading->reading);
}

/* ---- the turn's end ---- */

/* From memory, if it is there. */
static void read_now(struct osr_journal *journal, const struct pending_read *read)
{
    struct osr_excerpt *excerpt = osr_excerpt_create(&read->options);
    if (osr_tail_read(read->log, read->options.first, excerpt)) {
        hand_over(journal, read->ticket, excerpt);
    } else {
        submit_reading(journal, read, excerpt);
    }
}

static struct pending_read *take_reads(struct osr_journal *journal)
{
    struct pending_read *reads = journal->reads;
    journal->reads = NULL;
    journal->reads_end = &journal->reads;
    return reads;
}

void osr_journal_end_turn(struct osr_journal *journal)
{
    uv_idle_stop(journal->awake);
    struct pending_read *read = take_reads(journal);
    while (read != NULL) {
        struct pending_read *next = read->next;
        read_now(journal, read);
        free(read);
        read = next;
    }
}

static void on_awake(uv_idle_t *awake)
{
    (void)awake; /* the turn's end does the work */
}

void osr_journal_reads_add(struct osr_journal *journal, const struct osr_feed_output *output)
{
    struct pending_read *read = osr_alloc(sizeof(*read));
    read->ticket = output->read.ticket;
    read->log = osr_logs_find(journal->logs, output->read.feed);
    assert(read->log != NULL); /* only what was committed is read */
    read->options = (struct osr_excerpt_options){
        .feed = &read->log->feed,
        .public_key = &read->log->public_key,
        .first = output->read.first,
        .last = output->read.last,
        .bytes_max = output->read.bytes_max,
        .last_chain = output->read.last_chain,
        .last_signature = output->read.last_signature,
    };
    *journal->reads_end = read;
    journal->reads_end = &read->next;
    uv_idle_start(journal->awake, on_awake);
}

/* ---- for the journal ---- */

void osr_journal_reads_init(struct osr_journal *journal, uv_loop_t *loop)
{
    journal->reads_end = &journal->reads;
    journal->awake = osr_alloc(sizeof(*journal->awake));
    uv_idle_init(loop, journal->awake);
}

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

void osr_journal_reads_drop(struct osr_journal *journal)
{
    struct pending_read *read = take_reads(journal);
    while (read != NULL) {
        struct pending_read *next = read->next;
        free(read);
        read = next;
    }
    uv_close((uv_handle_t *)journal->awake, free_handle);
}
