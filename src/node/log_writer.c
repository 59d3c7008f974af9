#include "node/log_writer.h"

#include <assert.h>
#include <stdlib.h>

#include "node/facts.h"
#include "node/ledger_record.h"

enum {
    /* Appends that share one sync: more would only delay the first of them. */
    APPENDS_MAX = 256,
    /* Beside its entries a batch brings a LOG record and a head. */
    RECORDS_MORE = 2,
    RECORD_BYTES = 32, /* about what the log adds to each */
    /* What an unusually large STORE of a ledger needed is given back after it. */
    PAYLOAD_BYTES_KEPT = 8 << 20,
};

struct osr_log_writer {
    struct osr_worker *worker;
    struct osr_wal *wal;
    void (*done)(void *context, struct osr_append *append);
    void *context;

    /* The thread's, but `failure` is read by the loop once a job came back with it. */
    struct osr_err failure;
    struct osr_wal_record *records;
    size_t record_count;
    size_t record_capacity;
    struct osr_buffer payloads; /* of the records of a ledger */
    uint64_t refusals;          /* of what a ledger stores beside votes, so far */
};

static struct osr_wal_record *add_record(struct osr_log_writer *writer)
{
    assert(writer->record_count < writer->record_capacity);
    return &writer->records[writer->record_count++];
}

static void add_head(struct osr_log_writer *writer, const struct osr_append *append)
{
    *add_record(writer) = (struct osr_wal_record){
        .type = OSR_WAL_HEAD,
        .format = OSR_ENTRY_FORMAT,
        .log_id = append->log->id,
        .index = append->head_sequence,
        .payload = osr_slice(append->head_signature.bytes, OSR_SIGNATURE_SIZE),
    };
}

static void add_entries(struct osr_log_writer *writer, const struct osr_append *append)
{
    for (size_t i = 0; i < append->batch.count; i++) {
        *add_record(writer) = (struct osr_wal_record){
            .type = OSR_WAL_ENTRY,
            .format = OSR_ENTRY_FORMAT,
            .log_id = append->log->id,
            .index = append->batch.first + i,
            .payload = osr_batch_record(&append->batch, i),
        };
    }
}

static void make_room(struct osr_log_writer *writer, size_t count)
{
    writer->record_count = 0;
    if (writer->record_capacity < count) {
        writer->records = osr_realloc(writer->records, count * sizeof(writer->records[0]));
        writer->record_capacity = count;
    }
}

static size_t count_bytes(const struct osr_log_writer *writer)
{
    size_t bytes = writer->record_count * RECORD_BYTES;
    for (size_t i = 0; i < writer->record_count; i++) {
        bytes += writer->records[i].payload.size;
    }
    return bytes;
}

static int append_records(struct osr_log_writer *writer, struct osr_append *append,
                          struct osr_err *err)
{
    if (writer->record_count == 0) {
        return 0;
    }
    int code = osr_wal_append(writer->wal, writer->records, writer->record_count, err);
    if (code == 0) {
        append->last_ordinal = writer->records[writer->record_count - 1].ordinal;
        append->bytes = count_bytes(writer);
    }
    return code;
}

static int append_batch(struct osr_log_writer *writer, struct osr_append *append,
                        struct osr_err *err)
{
    struct osr_log *log = append->log;
    const struct osr_batch *batch = &append->batch;
    if (batch->count > 0 && batch->first != osr_wal_last_index(writer->wal, log->id) + 1) {
        /* The core sent it before it knew that there was no room for the one before. */
        assert(log->is_refused);
        return osr_err_set(err, OSR_DISK_FULL, "the batch before found no room");
    }

    uint8_t declaration[OSR_LOG_PAYLOAD_SIZE];
    make_room(writer, batch->count + RECORDS_MORE);
    if (!log->is_declared) {
        osr_log_encode(log, declaration);
        *add_record(writer) = (struct osr_wal_record){
            .type = OSR_WAL_LOG,
            .format = OSR_LOG_FORMAT,
            .log_id = log->id,
            .payload = osr_slice(declaration, sizeof(declaration)),
        };
    }
    bool head_is_older = append->head_sequence < batch->first;
    if (append->head_sequence > 0 && head_is_older) {
        add_head(writer, append);
    }
    add_entries(writer, append);
    if (append->head_sequence > 0 && !head_is_older) {
        add_head(writer, append);
    }

    int code = append_records(writer, append, err);
    log->is_refused = code != 0;
    log->is_declared = log->is_declared || code == 0;
    return code;
}

static int append_truncate(struct osr_log_writer *writer, struct osr_append *append,
                           struct osr_err *err)
{
    make_room(writer, 1);
    *add_record(writer) = (struct osr_wal_record){
        .type = OSR_WAL_TRUNCATE,
        .format = OSR_ENTRY_FORMAT,
        .log_id = append->log->id,
        .index = append->sequence,
    };
    return append_records(writer, append, err);
}

static int append_fact(struct osr_log_writer *writer, struct osr_append *append,
                       struct osr_err *err)
{
    struct osr_buffer payload = {0};
    osr_fact_encode(&payload, osr_slice_text(append->fact_key),
                    osr_buffer_slice(&append->fact_value));
    make_room(writer, 1);
    *add_record(writer) = (struct osr_wal_record){
        .type = OSR_WAL_FACT,
        .format = OSR_FACT_FORMAT,
        .payload = osr_buffer_slice(&payload),
    };
    int code = append_records(writer, append, err);
    osr_buffer_done(&payload);
    return code;
}

/* Where the ledger's log ends once it is cut and based as a store wants it. */
static uint64_t last_index_for(struct osr_wal *wal, const struct osr_ledger_store *store)
{
    uint64_t base = osr_wal_base_index(wal, store->log_id);
    uint64_t last = osr_wal_last_index(wal, store->log_id);
    if (store->truncate_after < last) {
        last = store->truncate_after > base ? store->truncate_after : base;
    }
    return last > store->base ? last : store->base;
}

/* The core put it out before it knew of a refusal: it has forgotten these entries meanwhile, or
 * will, even if they happen to follow what is stored. Or it never heard of one. */
static bool builds_on_refused(const struct osr_log_writer *writer, const struct osr_append *append)
{
    const struct osr_ledger_store *store = &append->ledger;
    return store->count > 0 && (append->refusals_known < writer->refusals ||
                                store->entries[0].index != last_index_for(writer->wal, store) + 1);
}

static int append_ledger(struct osr_log_writer *writer, struct osr_append *append,
                         struct osr_err *err)
{
    const struct osr_ledger_store *store = &append->ledger;
    if (builds_on_refused(writer, append)) {
        assert(writer->refusals > 0);
        writer->refusals++;
        return osr_err_set(err, OSR_DISK_FULL, "what it builds on found no room");
    }
    make_room(writer, store->count + OSR_LEDGER_RECORDS_MORE);
    writer->record_count = osr_ledger_records_make(store, writer->records, &writer->payloads);
    int code = append_records(writer, append, err);
    writer->refusals += code == OSR_DISK_FULL && !osr_ledger_store_is_vote(store);
    if (writer->payloads.capacity > PAYLOAD_BYTES_KEPT) {
        osr_buffer_done(&writer->payloads);
    }
    return code;
}

static int append_one(struct osr_log_writer *writer, struct osr_append *append, struct osr_err *err)
{
    switch (append->kind) {
    case OSR_APPEND_BATCH:
        return append_batch(writer, append, err);
    case OSR_APPEND_TRUNCATE:
        return append_truncate(writer, append, err);
    case OSR_APPEND_FACT:
        return append_fact(writer, append, err);
    case OSR_APPEND_LEDGER:
        return append_ledger(writer, append, err);
    }
    abort();
}

/* Appends all; true if any of them now needs a sync. */
static bool append_all(struct osr_log_writer *writer, struct osr_job *jobs)
{
    bool is_anything_new = false;
    for (struct osr_job *job = jobs; job != NULL; job = job->next) {
        struct osr_append *append = (struct osr_append *)job;
        struct osr_err err;
        if (writer->failure.code == OSR_OK) {
            append->code = (enum osr_code)append_one(writer, append, &err);
            if (append->code != OSR_OK && append->code != OSR_DISK_FULL) {
                writer->failure = err;
            }
        }
        is_anything_new = is_anything_new || append->code == OSR_OK;
    }
    return is_anything_new;
}

static void work(void *context, struct osr_job *jobs)
{
    struct osr_log_writer *writer = context;
    bool needs_sync = append_all(writer, jobs);
    if (needs_sync && writer->failure.code == OSR_OK) {
        osr_wal_sync(writer->wal, &writer->failure);
    }
    if (writer->failure.code != OSR_OK) {
        /* Nobody knows what the disk holds now. */
        for (struct osr_job *job = jobs; job != NULL; job = job->next) {
            ((struct osr_append *)job)->code = writer->failure.code;
        }
    }
}

static void done(void *context, struct osr_job *job)
{
    struct osr_log_writer *writer = context;
    writer->done(writer->context, (struct osr_append *)job);
}

static void idle(void *context)
{
    struct osr_log_writer *writer = context;
    if (writer->failure.code == OSR_OK) {
        /* It only helps to find damage; a disk that fails will say so at the next append. */
        osr_wal_mark(writer->wal, NULL);
    }
}

int osr_log_writer_create(uv_loop_t *loop, struct osr_wal *wal,
                          void (*on_done)(void *context, struct osr_append *append), void *context,
                          struct osr_log_writer **ret_writer, struct osr_err *err)
{
    struct osr_log_writer *writer = osr_alloc(sizeof(*writer));
    writer->wal = wal;
    writer->done = on_done;
    writer->context = context;
    struct osr_worker_options options = {
        .name = "log",
        .work = work,
        .done = done,
        .idle = idle,
        .context = writer,
        .batch_max = APPENDS_MAX,
    };
    int code = osr_worker_create(loop, &options, &writer->worker, err);
    if (code != 0) {
        free(writer);
        return code;
    }
    *ret_writer = writer;
    return 0;
}

void osr_log_writer_submit(struct osr_log_writer *writer, struct osr_append *append)
{
    osr_worker_submit(writer->worker, &append->job);
}

const struct osr_err *osr_log_writer_failure(const struct osr_log_writer *writer)
{
    return &writer->failure;
}

void osr_log_writer_destroy(struct osr_log_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    osr_worker_destroy(writer->worker);
    osr_buffer_done(&writer->payloads);
    free(writer->records);
    free(writer);
}
