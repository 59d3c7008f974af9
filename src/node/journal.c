#include <assert.h>
#include <stdlib.h>

#include "node/journal_internal.h"

/* ---- release ---- */

static void release_ordinal(struct osr_journal *journal, uint32_t log_id, uint64_t ordinal)
{
    journal->released = ordinal;
    journal->handler.on_release(journal->handler.context, NULL, log_id, ordinal);
}

static bool has_entries(const struct osr_append *append)
{
    return append->kind == OSR_APPEND_BATCH && append->batch.count > 0;
}

/* Shows what may be shown. What has no entries is shown together with what follows it. */
static void release_all(struct osr_journal *journal)
{
    uint64_t ordinal = 0;
    bool is_ledger = true; /* all since the last entries shown */
    const struct osr_append *append;
    while ((append = osr_tail_release(journal->tail)) != NULL) {
        if (append->last_ordinal == 0) {
            continue; /* an empty STORE */
        }
        ordinal = append->last_ordinal;
        is_ledger = is_ledger && append->kind == OSR_APPEND_LEDGER;
        if (has_entries(append)) {
            is_ledger = true;
            journal->released = ordinal;
            journal->handler.on_release(journal->handler.context, &append->batch, append->log->id,
                                        ordinal);
        }
    }
    if (ordinal > journal->released) {
        release_ordinal(journal, is_ledger ? OSR_LEDGER_LOG_FIRST : 0, ordinal);
    }
}

static void release(struct osr_journal *journal)
{
    if (journal->restoring > 0 || journal->is_releasing || journal->has_failed ||
        journal->is_closing) {
        return;
    }
    journal->is_releasing = true;
    release_all(journal);
    journal->is_releasing = false;
}

static void settle_restored(struct osr_journal *journal, struct osr_log *log)
{
    if (log == NULL || !log->is_restoring) {
        return;
    }
    log->is_restoring = false;
    if (--journal->restoring == 0) {
        release_ordinal(journal, 0, journal->opened_at);
        release(journal);
    }
}

/* ---- the log thread's answers ---- */

static void fail(struct osr_journal *journal)
{
    if (!journal->has_failed && !journal->is_closing) {
        journal->handler.on_failure(journal->handler.context,
                                    osr_log_writer_failure(journal->writer));
    }
    journal->has_failed = true;
}

static void answer(struct osr_journal *journal, struct osr_append *append)
{
    enum osr_code code = append->code;
    if (append->kind == OSR_APPEND_LEDGER) {
        osr_journal_ledger_stored(journal, append);
    } else if (append->kind == OSR_APPEND_FACT) {
        if (code == OSR_OK) {
            osr_facts_put(journal->facts, osr_slice_text(append->fact_key),
                          osr_buffer_slice(&append->fact_value));
        }
        if (append->done != NULL) {
            append->done(append->context, code);
        }
    } else if (!journal->is_closing) {
        journal->handler.on_stored(journal->handler.context, append->ticket, code);
    }
}

/* Votes, cuts and bases have room in reserve. */
static bool needs_room(const struct osr_append *append)
{
    return append->kind == OSR_APPEND_LEDGER ? append->ledger.count > 0
                                             : append->kind != OSR_APPEND_TRUNCATE;
}

static void tell_keeper(struct osr_journal *journal, const struct osr_append *append)
{
    bool makes_void = append->kind == OSR_APPEND_TRUNCATE || append->ledger.base > 0;
    if (journal->is_closing) {
        return;
    }
    osr_log_keeper_wrote(journal->keeper, append->bytes);
    if (append->code == OSR_OK && makes_void) {
        osr_log_keeper_look(journal->keeper);
    }
}

static void note_room(struct osr_journal *journal, const struct osr_append *append)
{
    bool is_full = append->code == OSR_DISK_FULL;
    if (is_full != journal->is_full && (is_full || needs_room(append))) {
        journal->is_full = is_full;
        osr_trace(&journal->trace, OSR_LEVEL_WARNING, "log: %s",
                  is_full ? "no room: writes are refused" : "there is room again");
    }
}

static void on_appended(void *context, struct osr_append *append)
{
    struct osr_journal *journal = context;
    if (append->code != OSR_OK && append->code != OSR_DISK_FULL) {
        fail(journal);
        if (append->kind == OSR_APPEND_FACT) {
            answer(journal, append);
        }
        return; /* it stays in the tail, which is never released any more */
    }
    note_room(journal, append);
    tell_keeper(journal, append);

    struct osr_log *cut_log =
        append->kind == OSR_APPEND_TRUNCATE && append->code == OSR_OK && append->sequence == 0
            ? append->log
            : NULL;
    answer(journal, append);
    osr_tail_stored(journal->tail, append);
    settle_restored(journal, cut_log);
    release(journal);
}

/* ---- what the core wants ---- */

void osr_journal_submit(struct osr_journal *journal, struct osr_append *append)
{
    assert(!journal->is_closing);
    osr_tail_add(journal->tail, append);
    osr_log_writer_submit(journal->writer, append);
}

static void store(struct osr_journal *journal, struct osr_feed_output *output)
{
    struct osr_batch *batch = output->store.batch;
    struct osr_log *log = osr_logs_find(journal->logs, &batch->feed);
    if (log == NULL) {
        log = osr_logs_add(journal->logs, &batch->feed, &output->store.public_key);
    }
    struct osr_append *append = osr_alloc(sizeof(*append));
    append->kind = OSR_APPEND_BATCH;
    append->log = log;
    append->ticket = output->store.ticket;
    append->batch = *batch;
    *batch = (struct osr_batch){0};
    append->head_sequence = output->store.head_sequence;
    append->head_signature = output->store.head_signature;
    osr_journal_submit(journal, append);
}

static void truncate_log(struct osr_journal *journal, const struct osr_feed_output *output)
{
    struct osr_append *append = osr_alloc(sizeof(*append));
    append->kind = OSR_APPEND_TRUNCATE;
    append->log = osr_logs_find(journal->logs, output->truncate.feed);
    assert(append->log != NULL); /* only what was stored is cut */
    append->ticket = output->truncate.ticket;
    append->sequence = output->truncate.sequence;
    osr_journal_submit(journal, append);
}

static void commit(struct osr_journal *journal, const struct osr_feed_output *output)
{
    struct osr_log *log = osr_logs_find(journal->logs, output->commit.feed);
    if (output->commit.first == 0) {
        settle_restored(journal, log);
        return;
    }
    assert(log != NULL);
    osr_tail_commit(journal->tail, log, output->commit.first, output->commit.last);
    release(journal);
}

void osr_journal_carry_out(struct osr_journal *journal, struct osr_feed_output *output)
{
    switch (output->type) {
    case OSR_FEED_OUT_STORE:
        store(journal, output);
        break;
    case OSR_FEED_OUT_TRUNCATE:
        truncate_log(journal, output);
        break;
    case OSR_FEED_OUT_SIGN:
        osr_signer_sign(journal->signer, output->sign.ticket, output->sign.message);
        break;
    case OSR_FEED_OUT_VERIFY:
        osr_signer_verify(journal->signer, output->verify.ticket, output->verify.message,
                          &output->verify.public_key, &output->verify.signature);
        break;
    case OSR_FEED_OUT_READ:
        osr_journal_reads_add(journal, output);
        break;
    case OSR_FEED_OUT_COMMIT:
        commit(journal, output);
        break;
    default:
        assert(false); /* not the journal's */
    }
}

void osr_journal_fact(struct osr_journal *journal, const char *key, struct osr_slice value,
                      void (*done)(void *context, enum osr_code code), void *context)
{
    struct osr_append *append = osr_alloc(sizeof(*append));
    append->kind = OSR_APPEND_FACT;
    append->fact_key = osr_strdup(key);
    osr_buffer_add(&append->fact_value, value.data, value.size);
    append->done = done;
    append->context = context;
    osr_journal_submit(journal, append);
}

void osr_journal_facts(struct osr_journal *journal, const char *prefix,
                       void (*visit)(void *context, const char *key, struct osr_slice value),
                       void *context)
{
    osr_facts_walk(journal->facts, prefix, visit, context);
}

/* ---- for others ---- */

struct osr_wal *osr_journal_wal(struct osr_journal *journal)
{
    return journal->wal;
}

const struct osr_feed_id *osr_journal_feed(struct osr_journal *journal, uint32_t log_id)
{
    const struct osr_log *log = osr_logs_get(journal->logs, log_id);
    return log != NULL ? &log->feed : NULL;
}

uint32_t osr_journal_find_log(struct osr_journal *journal, const struct osr_feed_id *feed)
{
    const struct osr_feed_id *found;
    for (uint32_t log_id = 1; (found = osr_journal_feed(journal, log_id)) != NULL; log_id++) {
        if (osr_feed_id_equal(found, feed)) {
            return log_id;
        }
    }
    return 0;
}

int osr_journal_read_stored(struct osr_journal *journal, uint32_t log_id, uint64_t index,
                            struct osr_buffer *stored, struct osr_err *err)
{
    size_t before = stored->size;
    int code = osr_wal_read_one(journal->wal, log_id, index, stored, err);
    if (code != 0) {
        return code;
    }
    if (stored->size - before < OSR_SHA256_SIZE) {
        stored->size = before;
        return osr_err_set(err, OSR_CORRUPT, "entry %llu of log %u is too short",
                           (unsigned long long)index, log_id);
    }
    uint8_t *record = stored->data + before;
    stored->size -= OSR_SHA256_SIZE;
    memmove(record, record + OSR_SHA256_SIZE, stored->size - before);
    return 0;
}

uint64_t osr_journal_released(const struct osr_journal *journal)
{
    return journal->released;
}

bool osr_journal_is_restored(const struct osr_journal *journal)
{
    return journal->restoring == 0;
}

bool osr_journal_is_full(const struct osr_journal *journal)
{
    return journal->is_full;
}

/* ---- open and close ---- */

static void on_signed(void *context, uint64_t ticket, const struct osr_signature *signature)
{
    struct osr_journal *journal = context;
    if (!journal->is_closing) {
        journal->handler.on_signed(journal->handler.context, ticket, signature);
    }
}

static void on_verified(void *context, uint64_t ticket, bool valid)
{
    struct osr_journal *journal = context;
    if (!journal->is_closing) {
        journal->handler.on_verified(journal->handler.context, ticket, valid);
    }
}

static int recover(struct osr_journal *journal, const struct osr_journal_options *options,
                   struct osr_err *err)
{
    struct osr_recovery *recovery =
        osr_recovery_create(journal->logs, journal->facts, &journal->ledger);
    struct osr_wal_options wal_options = options->wal;
    if (wal_options.seed == 0) {
        osr_secret_random(&wal_options.seed, sizeof(wal_options.seed));
    }
    wal_options.fact_key = osr_fact_key;
    struct osr_disk *disk = options->disk != NULL ? options->disk : osr_disk_system();
    int code = osr_wal_open(disk, options->folder, &wal_options, osr_recovery_visit, recovery,
                            &journal->wal, err);
    if (code == 0) {
        code = osr_recovery_finish(recovery, journal->wal, &journal->recovered, err);
    }
    osr_recovery_destroy(recovery);
    if (code != 0) {
        return code;
    }
    journal->restoring = journal->recovered.count;
    journal->opened_at = osr_wal_last_ordinal(journal->wal);
    journal->released = journal->restoring == 0 ? journal->opened_at : 0;
    return 0;
}

static int start_threads(struct osr_journal *journal, uv_loop_t *loop,
                         const struct osr_journal_options *options, struct osr_err *err)
{
    struct osr_signer_handler signer_handler = {
        .on_signed = on_signed, .on_verified = on_verified, .context = journal};
    int code =
        osr_log_writer_create(loop, journal->wal, on_appended, journal, &journal->writer, err);
    if (code == 0) {
        code = osr_signer_create(loop, options->keys, &signer_handler, &journal->signer, err);
    }
    if (code == 0) {
        code = osr_log_reader_create(loop, journal->wal, &journal->reader, err);
    }
    if (code == 0) {
        code = osr_log_keeper_create(loop, journal->wal, &journal->trace, &journal->keeper, err);
    }
    return code;
}

int osr_journal_open(uv_loop_t *loop, const struct osr_journal_options *options,
                     const struct osr_journal_handler *handler, struct osr_journal **ret_journal,
                     const struct osr_feed_restored **ret_restored, size_t *ret_count,
                     struct osr_err *err)
{
    uint64_t seed;
    osr_secret_random(&seed, sizeof(seed));
    struct osr_journal *journal = osr_alloc(sizeof(*journal));
    journal->handler = *handler;
    journal->trace = options->trace;
    journal->logs = osr_logs_create(seed);
    journal->facts = osr_facts_create(seed);
    journal->tail = osr_tail_create(OSR_JOURNAL_CACHE_BYTES);
    osr_journal_reads_init(journal, loop);

    int code = recover(journal, options, err);
    if (code == 0) {
        code = start_threads(journal, loop, options, err);
    }
    if (code != 0) {
        osr_journal_close(journal);
        return code;
    }
    osr_log_keeper_look(journal->keeper);
    *ret_journal = journal;
    *ret_restored = journal->recovered.feeds;
    *ret_count = journal->recovered.count;
    return 0;
}

void osr_journal_close(struct osr_journal *journal)
{
    if (journal == NULL) {
        return;
    }
    journal->is_closing = true;
    osr_journal_reads_drop(journal);
    osr_signer_destroy(journal->signer);
    osr_log_reader_destroy(journal->reader);
    osr_log_keeper_destroy(journal->keeper);
    osr_log_writer_destroy(journal->writer);
    osr_wal_close(journal->wal);
    osr_tail_destroy(journal->tail);
    osr_facts_destroy(journal->facts);
    osr_logs_destroy(journal->logs);
    osr_recovered_done(&journal->recovered);
    osr_ledger_recovered_done(&journal->ledger);
    free(journal);
}
