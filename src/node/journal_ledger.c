/* The journal's part for a ledger: what its core wants stored and read. */
#include <assert.h>
#include <stdlib.h>

#include "node/journal_internal.h"
#include "node/ledger_record.h"

/* Read at once: stops entries of no bytes from making one answer endless. */
enum { READ_ENTRIES_MAX = 16 << 10 };

const struct osr_ledger_recovered *osr_journal_ledger(const struct osr_journal *journal)
{
    return &journal->ledger;
}

static uint32_t log_in_use(const struct osr_journal *journal)
{
    return journal->ledger.log_id != 0 ? journal->ledger.log_id : OSR_LEDGER_LOG_FIRST;
}

/* ---- storing ---- */

void osr_journal_ledger_store(struct osr_journal *journal, const struct osr_ledger_store *store)
{
    struct osr_append *append = osr_alloc(sizeof(*append));
    append->kind = OSR_APPEND_LEDGER;
    append->ledger = *store;
    append->ledger.log_id = log_in_use(journal);
    if (store->vote != NULL) {
        append->vote = *store->vote;
        append->ledger.vote = &append->vote;
    }
    append->refusals_known = journal->ledger_refusals;
    osr_journal_submit(journal, append);
}

void osr_journal_ledger_stored(struct osr_journal *journal, struct osr_append *append)
{
    struct osr_ledger_store *store = &append->ledger;
    if (append->code == OSR_DISK_FULL && !osr_ledger_store_is_vote(store)) {
        journal->ledger_refusals++;
    }
    store->done(store->context, store->ticket, append->code);
    store->entries = NULL; /* they were lent until now */
    store->count = 0;
}

static void ignore(void *context, uint64_t ticket, enum osr_code code)
{
    (void)context;
    (void)ticket;
    (void)code; /* what stays is passed over at later starts, and takes room */
}

uint32_t osr_journal_ledger_give_up(struct osr_journal *journal, uint32_t log_id)
{
    struct osr_ledger_recovered *ledger = &journal->ledger;
    uint32_t present = log_in_use(journal);
    if (log_id != 0 && log_id <= present) {
        return present;
    }
    const struct osr_ledger_store nothing = {
        .truncate_after = UINT64_MAX,
        .base = ledger->last + 1,
        .base_term = ledger->vote.term + 1,
        .done = ignore,
    };
    if (ledger->log_id != 0) {
        osr_journal_ledger_store(journal, &nothing);
    }
    osr_ledger_recovered_done(ledger);
    ledger->log_id = log_id != 0 ? log_id : present + 1;
    return ledger->log_id;
}

/* ---- reading ---- */

struct ledger_reading {
    struct osr_log_reading reading; /* first */
    const struct osr_journal *journal;
    struct osr_ledger_read wanted;
    uint32_t log_id;
    struct osr_raft_entry *entries; /* while it goes on, of payloads just the sizes */
    size_t count;
    size_t capacity;
    struct osr_buffer payloads; /* one behind the other */
    struct osr_err err;         /* why it ended early */
};

enum { ENOUGH = -1 };

static bool has_room(const struct ledger_reading *reading, size_t payload_size)
{
    return reading->count == 0 ||
           (reading->count < READ_ENTRIES_MAX &&
            reading->payloads.size + payload_size <= reading->wanted.bytes_max);
}

static void add(struct ledger_reading *reading, const struct osr_raft_entry *entry)
{
    if (reading->count == reading->capacity) {
        reading->capacity = reading->capacity == 0 ? 64 : 2 * reading->capacity;
        reading->entries =
            osr_realloc(reading->entries, reading->capacity * sizeof(reading->entries[0]));
    }
    reading->entries[reading->count] = *entry;
    reading->entries[reading->count++].payload.data = NULL;
    osr_buffer_add(&reading->payloads, entry->payload.data, entry->payload.size);
}

static int visit(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    struct ledger_reading *reading = context;
    uint64_t next = reading->wanted.first + reading->count;
    if (record->index != next || next > reading->wanted.last) {
        return ENOUGH; /* all of it, or cut meanwhile, or discarded */
    }
    struct osr_raft_entry entry;
    int code = osr_ledger_entry_decode(record, &entry, err);
    if (code != 0 || !has_room(reading, entry.payload.size)) {
        return code != 0 ? code : ENOUGH;
    }
    add(reading, &entry);
    return 0;
}

static void set_payloads(struct ledger_reading *reading)
{
    const uint8_t *payload = reading->payloads.data;
    for (size_t i = 0; i < reading->count; i++) {
        reading->entries[i].payload.data = payload;
        payload += reading->entries[i].payload.size;
    }
}

static void read_log(struct osr_log_reading *job, struct osr_wal *wal)
{
    struct ledger_reading *reading = (struct ledger_reading *)job;
    int code =
        osr_wal_read(wal, reading->log_id, reading->wanted.first, visit, reading, &reading->err);
    if (code == 0 || code == ENOUGH) {
        reading->err.code = OSR_OK;
    }
    set_payloads(reading);
}

static void on_log_read(struct osr_log_reading *job)
{
    struct ledger_reading *reading = (struct ledger_reading *)job;
    if (reading->err.code != OSR_OK) {
        unsigned long long next = reading->wanted.first + reading->count;
        osr_trace(&reading->journal->trace, OSR_LEVEL_WARNING,
                  "log: the ledger's entries from %llu on cannot be read: %s", next,
                  reading->err.message);
    }
    reading->wanted.done(reading->wanted.context, reading->wanted.ticket, reading->entries,
                         reading->count);
    free(reading->entries);
    osr_buffer_done(&reading->payloads);
    free(reading);
}

void osr_journal_ledger_read(struct osr_journal *journal, const struct osr_ledger_read *read)
{
    struct ledger_reading *reading = osr_alloc(sizeof(*reading));
    assert(!journal->is_closing && read->first <= read->last);
    reading->reading.read = read_log;
    reading->reading.done = on_log_read;
    reading->journal = journal;
    reading->wanted = *read;
    reading->log_id = log_in_use(journal);
    osr_log_reader_submit(journal->reader, &reading->reading);
}
