#include "sim/raft_store.h"

#include "sim/raft_wal.h"
#include "sim/violation.h"

#include <assert.h>
#include <stdlib.h>

#define ROT_TAIL 0.1 /* chance that a tail rots */

enum record_type { RECORD_VOTE, RECORD_TRUNCATE, RECORD_ENTRY, RECORD_BASE };

struct record {
    enum record_type type;
    struct osr_raft_vote vote;
    uint64_t index; /* of TRUNCATE: the last that stays */
    uint64_t term;
    uint64_t chain;
    enum osr_raft_kind kind;
    struct raft_block *payload;
};

struct raft_store {
    struct raft_wal *wal; /* NULL: there is none */
    struct raft_image seen;
    struct raft_image durable;
    struct record *records; /* what lies between the two */
    size_t record_count;
    size_t record_capacity;
    struct raft_snapshot snapshot;
    struct raft_state state;
    /* What raft_store_open gave. */
    struct osr_raft_restored restored;
    struct osr_raft_span *spans;
    struct osr_raft_entry *configurations;
};

struct raft_store *raft_store_create(struct raft_wal *wal)
{
    struct raft_store *store = osr_alloc(sizeof(*store));
    store->wal = wal;
    return store;
}

static void forget_records(struct raft_store *store)
{
    for (size_t i = 0; i < store->record_count; i++) {
        raft_block_release(store->records[i].payload);
    }
    store->record_count = 0;
}

void raft_store_destroy(struct raft_store *store)
{
    if (store == NULL) {
        return;
    }
    raft_wal_destroy(store->wal);
    forget_records(store);
    free(store->records);
    raft_log_done(&store->seen.log);
    raft_log_done(&store->durable.log);
    raft_snapshot_done(&store->snapshot);
    free(store->spans);
    free(store->configurations);
    free(store);
}

const struct raft_image *raft_store_seen(const struct raft_store *store)
{
    return &store->seen;
}

const struct raft_image *raft_store_durable(const struct raft_store *store)
{
    return &store->durable;
}

/* ---- writing ---- */

static void apply_record(struct raft_image *image, const struct record *record)
{
    switch (record->type) {
    case RECORD_VOTE:
        image->vote = record->vote;
        break;
    case RECORD_TRUNCATE:
        raft_log_truncate(&image->log, record->index);
        break;
    case RECORD_ENTRY: {
        const struct osr_raft_entry entry = {
            .index = record->index,
            .term = record->term,
            .kind = record->kind,
            .payload = osr_slice(record->payload->bytes, record->payload->size),
        };
        raft_log_append(&image->log, &entry, record->payload);
        break;
    }
    case RECORD_BASE:
        raft_log_rebase(&image->log, record->index, record->term, record->chain);
        break;
    }
}

/* Takes over the record's payload. */
static void add_record(struct raft_store *store, const struct record *record)
{
    if (store->record_count == store->record_capacity) {
        store->record_capacity = 2 * store->record_capacity + 32;
        store->records =
            osr_realloc(store->records, store->record_capacity * sizeof(store->records[0]));
    }
    store->records[store->record_count++] = *record;
    apply_record(&store->seen, record);
}

static void check_write(const struct raft_store *store, const struct raft_write *write)
{
    const struct raft_log *log = &store->seen.log;
    uint64_t last = raft_log_last(log);
    if (write->truncate_after != UINT64_MAX) {
        if (write->truncate_after < log->base) {
            sim_violation("what is to be cut off begins at %llu, but the log at %llu",
                          (unsigned long long)write->truncate_after + 1,
                          (unsigned long long)log->base + 1);
        }
        last = write->truncate_after < last ? write->truncate_after : last;
    }
    if (write->count > 0 && write->entries[0].index != last + 1) {
        sim_violation("memory and disk differ: entry %llu is stored behind %llu",
                      (unsigned long long)write->entries[0].index, (unsigned long long)last);
    }
}

enum osr_code raft_store_write(struct raft_store *store, const struct raft_write *write)
{
    check_write(store, write);
    if (store->wal != NULL && raft_wal_write(store->wal, write) != OSR_OK) {
        return OSR_DISK_FULL;
    }
    if (write->has_vote) {
        add_record(store, &(struct record){.type = RECORD_VOTE, .vote = write->vote});
    }
    if (write->truncate_after != UINT64_MAX) {
        add_record(store,
                   &(struct record){.type = RECORD_TRUNCATE, .index = write->truncate_after});
    }
    for (size_t i = 0; i < write->count; i++) {
        const struct osr_raft_entry *entry = &write->entries[i];
        add_record(store, &(struct record){.type = RECORD_ENTRY,
                                           .index = entry->index,
                                           .term = entry->term,
                                           .kind = entry->kind,
                                           .payload = raft_block_create(entry->payload)});
    }
    return OSR_OK;
}

enum osr_code raft_store_rebase(struct raft_store *store, uint64_t index, uint64_t term,
                                uint64_t chain, bool is_void)
{
    uint64_t base = store->seen.log.base;
    if (is_void) {
        if (store->wal != NULL && raft_wal_truncate(store->wal, base) != OSR_OK) {
            return OSR_DISK_FULL;
        }
        add_record(store, &(struct record){.type = RECORD_TRUNCATE, .index = base});
    }
    if (store->wal != NULL && raft_wal_rebase(store->wal, index, term, chain) != OSR_OK) {
        return OSR_DISK_FULL;
    }
    add_record(store,
               &(struct record){.type = RECORD_BASE, .index = index, .term = term, .chain = chain});
    return OSR_OK;
}

void raft_store_sync(struct raft_store *store)
{
    if (store->wal != NULL) {
        raft_wal_sync(store->wal);
    }
    for (size_t i = 0; i < store->record_count; i++) {
        apply_record(&store->durable, &store->records[i]);
    }
    forget_records(store);
}

void raft_store_compare(struct raft_store *store, uint64_t first)
{
    if (store->wal != NULL) {
        raft_wal_compare(store->wal, &store->seen.log, first);
    }
}

void raft_store_set_full(struct raft_store *store, bool is_full)
{
    if (store->wal != NULL) {
        raft_wal_set_full(store->wal, is_full);
    }
}

/* ---- crashes ---- */

static bool is_same(const struct raft_image *a, const struct raft_image *b)
{
    return a->vote.term == b->vote.term && a->vote.candidate == b->vote.candidate &&
           a->log.base == b->log.base && a->log.base_term == b->log.base_term &&
           a->log.base_chain == b->log.base_chain && a->log.count == b->log.count &&
           raft_log_chain(&a->log, raft_log_last(&a->log)) ==
               raft_log_chain(&b->log, raft_log_last(&b->log));
}

/* What the real log gives back is what was durable and, of the records behind, the first few:
 * `least` of them at least. They are durable now. False: it is corrupt. */
static bool reopen(struct raft_store *store, size_t least, size_t *ret_kept)
{
    struct raft_image found = {0};
    if (raft_wal_open(store->wal, &found) != OSR_OK) {
        raft_log_done(&found.log);
        return false;
    }
    size_t kept = 0;
    while (kept < least || !is_same(&store->durable, &found)) {
        if (kept == store->record_count) {
            sim_violation("the log gives back what nobody has written, or not all: up to %llu",
                          (unsigned long long)raft_log_last(&found.log));
        }
        apply_record(&store->durable, &store->records[kept++]);
    }
    raft_log_done(&found.log);
    *ret_kept = kept;
    return true;
}

static void see_durable(struct raft_store *store)
{
    forget_records(store);
    store->seen.vote = store->durable.vote;
    raft_log_copy(&store->seen.log, &store->durable.log, true);
}

/* Keeps `least` of the records that were not synced, or a few more. False: all of them. */
static bool keep_some(struct raft_store *store, size_t least, struct osr_random *random)
{
    size_t kept = least;
    if (store->wal == NULL) {
        kept += osr_random_below(random, store->record_count - least + 1);
        for (size_t i = 0; i < kept; i++) {
            apply_record(&store->durable, &store->records[i]);
        }
    } else if (!reopen(store, least, &kept)) {
        sim_violation("the log is corrupt after a crash");
    }
    bool is_any_lost = kept < store->record_count;
    see_durable(store);
    return is_any_lost;
}

bool raft_store_kill(struct raft_store *store, struct osr_random *random)
{
    bool has_rotten = store->record_count > 0 && osr_random_chance(random, ROT_TAIL);
    if (store->wal != NULL) {
        raft_wal_crash(store->wal, false);
        if (has_rotten) {
            raft_wal_rot_tail(store->wal, random);
        }
    }
    return keep_some(store, has_rotten ? 0 : store->record_count, random);
}

bool raft_store_cut_power(struct raft_store *store, struct osr_random *random)
{
    if (store->wal != NULL) {
        raft_wal_crash(store->wal, true);
    }
    return keep_some(store, 0, random);
}

bool raft_store_lose_sync(struct raft_store *store, bool is_power_cut, struct osr_random *random)
{
    if (store->wal != NULL) {
        raft_wal_lose_sync(store->wal);
        raft_wal_crash(store->wal, is_power_cut);
    }
    return keep_some(store, 0, random);
}

bool raft_store_rot(struct raft_store *store, struct osr_random *random)
{
    if (store->wal == NULL) {
        return true;
    }
    raft_wal_crash(store->wal, false);
    raft_wal_rot(store->wal, random);
    size_t kept;
    return !reopen(store, 0, &kept);
}

/* ---- files beside the log ---- */

void raft_store_put_snapshot(struct raft_store *store, const struct raft_snapshot *snapshot)
{
    raft_snapshot_copy(&store->snapshot, snapshot);
}

const struct raft_snapshot *raft_store_snapshot(const struct raft_store *store)
{
    return &store->snapshot;
}

void raft_store_put_state(struct raft_store *store, const struct raft_state *state)
{
    store->state = *state;
}

void raft_store_configuration(const struct raft_store *store,
                              struct osr_raft_configuration *ret_configuration)
{
    const struct raft_log *log = &store->seen.log;
    *ret_configuration = store->snapshot.meta.configuration;
    for (size_t i = log->count; i > 0; i--) {
        const struct raft_log_entry *entry = &log->entries[i - 1];
        if (entry->kind == OSR_RAFT_CONFIGURATION) {
            struct osr_slice payload = osr_slice(entry->payload->bytes, entry->payload->size);
            if (osr_raft_configuration_decode(payload, ret_configuration, NULL) != 0) {
                sim_violation("a stored configuration cannot be read");
            }
            return;
        }
    }
}

/* ---- opening ---- */

/* A snapshot was installed, and the crash came before the log was cut to it. */
static void finish_install(struct raft_store *store)
{
    const struct osr_raft_snapshot *meta = &store->snapshot.meta;
    const struct raft_log *log = &store->seen.log;
    if (meta->index <= log->base) {
        return;
    }
    if (raft_log_has(log, meta->index) && raft_log_term(log, meta->index) == meta->term) {
        return;
    }
    struct raft_state state;
    bool is_whole = raft_state_load(&state, &store->snapshot);
    assert(is_whole);
    enum osr_code code = raft_store_rebase(store, meta->index, meta->term, state.chain, true);
    assert(code == OSR_OK);
    raft_store_sync(store);
}

static void restore_spans(struct raft_store *store)
{
    const struct raft_log *log = &store->seen.log;
    store->spans = osr_realloc(store->spans, (log->count + 1) * sizeof(store->spans[0]));
    size_t count = 0;
    for (size_t i = 0; i < log->count; i++) {
        if (count == 0 || store->spans[count - 1].term != log->entries[i].term) {
            store->spans[count++] =
                (struct osr_raft_span){.first = log->base + 1 + i, .term = log->entries[i].term};
        }
    }
    store->restored.spans = store->spans;
    store->restored.span_count = count;
}

static void restore_configurations(struct raft_store *store)
{
    const struct raft_log *log = &store->seen.log;
    store->configurations =
        osr_realloc(store->configurations, (log->count + 1) * sizeof(store->configurations[0]));
    size_t count = 0;
    for (size_t i = 0; i < log->count; i++) {
        const struct raft_log_entry *entry = &log->entries[i];
        uint64_t index = log->base + 1 + i;
        if (entry->kind == OSR_RAFT_CONFIGURATION && index > store->snapshot.meta.index) {
            store->configurations[count++] = (struct osr_raft_entry){
                .index = index,
                .term = entry->term,
                .kind = entry->kind,
                .payload = osr_slice(entry->payload->bytes, entry->payload->size),
            };
        }
    }
    store->restored.configurations = store->configurations;
    store->restored.configuration_count = count;
}

const struct osr_raft_restored *raft_store_open(struct raft_store *store,
                                                struct raft_state *ret_state)
{
    finish_install(store);
    const struct raft_log *log = &store->seen.log;
    *ret_state = store->state;
    if (store->snapshot.meta.index > store->state.applied) {
        bool is_whole = raft_state_load(ret_state, &store->snapshot);
        assert(is_whole);
    }
    store->restored = (struct osr_raft_restored){
        .vote = store->seen.vote,
        .snapshot = store->snapshot.meta,
        .base = log->base,
        .base_term = log->base_term,
        .last = raft_log_last(log),
        .applied = ret_state->applied,
    };
    restore_spans(store);
    restore_configurations(store);
    return &store->restored;
}
