#include "node/ledger_record.h"

enum {
    VOTE_SIZE = 8 + 8,
    BASE_SIZE = 8,
    ENTRY_HEAD_SIZE = 8 + 1, /* term, kind; the entry's payload stands behind */
};

bool osr_ledger_store_is_vote(const struct osr_ledger_store *store)
{
    return store->count == 0 && store->truncate_after == UINT64_MAX && store->base == 0;
}

/* ---- making ---- */

static struct osr_wal_record record_of(const struct osr_ledger_store *store, enum osr_wal_type type,
                                       uint64_t index, struct osr_slice payload)
{
    return (struct osr_wal_record){
        .type = type,
        .format = OSR_LEDGER_FORMAT,
        .log_id = store->log_id,
        .index = index,
        .payload = payload,
    };
}

static size_t payload_bytes(const struct osr_ledger_store *store)
{
    size_t bytes = VOTE_SIZE + BASE_SIZE;
    for (size_t i = 0; i < store->count; i++) {
        bytes += ENTRY_HEAD_SIZE + store->entries[i].payload.size;
    }
    return bytes;
}

static struct osr_slice put_vote(uint8_t *payload, const struct osr_raft_vote *vote)
{
    osr_put_u64(payload, vote->term);
    osr_put_u64(payload + 8, vote->candidate);
    return osr_slice(payload, VOTE_SIZE);
}

static struct osr_slice put_entry(uint8_t *payload, const struct osr_raft_entry *entry)
{
    osr_put_u64(payload, entry->term);
    payload[8] = (uint8_t)entry->kind;
    if (entry->payload.size > 0) {
        memcpy(payload + ENTRY_HEAD_SIZE, entry->payload.data, entry->payload.size);
    }
    return osr_slice(payload, ENTRY_HEAD_SIZE + entry->payload.size);
}

size_t osr_ledger_records_make(const struct osr_ledger_store *store, struct osr_wal_record *records,
                               struct osr_buffer *payloads)
{
    payloads->size = 0;
    uint8_t *payload = osr_buffer_reserve(payloads, payload_bytes(store));
    size_t count = 0;
    if (store->vote != NULL) {
        records[count++] = record_of(store, OSR_WAL_VOTE, 0, put_vote(payload, store->vote));
        payload += VOTE_SIZE;
    }
    if (store->truncate_after != UINT64_MAX) {
        records[count++] =
            record_of(store, OSR_WAL_TRUNCATE, store->truncate_after, osr_slice(payload, 0));
    }
    if (store->base > 0) {
        osr_put_u64(payload, store->base_term);
        records[count++] =
            record_of(store, OSR_WAL_BASE, store->base, osr_slice(payload, BASE_SIZE));
        payload += BASE_SIZE;
    }
    for (size_t i = 0; i < store->count; i++) {
        struct osr_slice bytes = put_entry(payload, &store->entries[i]);
        records[count++] = record_of(store, OSR_WAL_ENTRY, store->entries[i].index, bytes);
        payload += bytes.size;
    }
    return count;
}

/* ---- reading ---- */

int osr_ledger_record_refuse(const struct osr_wal_record *record, const char *what,
                             struct osr_err *err)
{
    osr_err_set(err, OSR_CORRUPT, "record %llu of the log: %s", (unsigned long long)record->ordinal,
                what);
    osr_wal_hint(err);
    return OSR_CORRUPT;
}

static int check_format(const struct osr_wal_record *record, struct osr_err *err)
{
    if (record->format == OSR_LEDGER_FORMAT) {
        return 0;
    }
    osr_err_set(err, OSR_UNSUPPORTED_VERSION, "record %llu of the log: a ledger's, of format %u",
                (unsigned long long)record->ordinal, record->format);
    osr_err_hint(err, "it was written by a newer osirisd: start that one");
    return OSR_UNSUPPORTED_VERSION;
}

int osr_ledger_vote_decode(const struct osr_wal_record *record, struct osr_raft_vote *ret_vote,
                           struct osr_err *err)
{
    int code = check_format(record, err);
    if (code != 0) {
        return code;
    }
    if (record->payload.size != VOTE_SIZE) {
        return osr_ledger_record_refuse(record, "no vote", err);
    }
    *ret_vote = (struct osr_raft_vote){osr_get_u64(record->payload.data),
                                       osr_get_u64(record->payload.data + 8)};
    return 0;
}

int osr_ledger_base_decode(const struct osr_wal_record *record, uint64_t *ret_term,
                           struct osr_err *err)
{
    int code = check_format(record, err);
    if (code != 0) {
        return code;
    }
    if (record->payload.size != BASE_SIZE || osr_get_u64(record->payload.data) == 0) {
        return osr_ledger_record_refuse(record, "no base of a ledger", err);
    }
    *ret_term = osr_get_u64(record->payload.data);
    return 0;
}

static bool is_entry(struct osr_slice payload)
{
    return payload.size >= ENTRY_HEAD_SIZE && osr_get_u64(payload.data) > 0 &&
           payload.data[8] >= OSR_RAFT_COMMAND && payload.data[8] <= OSR_RAFT_CONFIGURATION;
}

int osr_ledger_entry_decode(const struct osr_wal_record *record, struct osr_raft_entry *ret_entry,
                            struct osr_err *err)
{
    int code = check_format(record, err);
    if (code != 0) {
        return code;
    }
    if (!is_entry(record->payload)) {
        return osr_ledger_record_refuse(record, "no entry of a ledger", err);
    }
    *ret_entry = (struct osr_raft_entry){
        .index = record->index,
        .term = osr_get_u64(record->payload.data),
        .kind = (enum osr_raft_kind)record->payload.data[8],
        .payload = osr_slice(record->payload.data + ENTRY_HEAD_SIZE,
                             record->payload.size - ENTRY_HEAD_SIZE),
    };
    return 0;
}
