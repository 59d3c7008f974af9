/* How a ledger stands, put together from its records. While the log is walked, entries that a
 * compaction took away leave a gap, which is a span of term 0: no entry has that term. */
#include "node/ledger_log.h"

#include <assert.h>
#include <stdlib.h>

#include "node/ledger_record.h"
#include "node/logs.h"

static_assert((int)OSR_LEDGER_LOG_FIRST > (int)OSR_LOGS_MAX, "no feed has a ledger's log id");

enum { GAP = 0 };

/* ---- entries ---- */

static uint64_t last_term(const struct osr_ledger_recovered *recovered)
{
    for (size_t i = recovered->span_count; i > 0; i--) {
        if (recovered->spans[i - 1].term != GAP) {
            return recovered->spans[i - 1].term;
        }
    }
    return recovered->base_term;
}

/* Entries of this term from behind the last one up to and including `last`. */
static void extend(struct osr_ledger_recovered *recovered, uint64_t term, uint64_t last)
{
    size_t count = recovered->span_count;
    if (count == 0 || recovered->spans[count - 1].term != term) {
        recovered->spans = osr_realloc(recovered->spans, (count + 1) * sizeof(recovered->spans[0]));
        recovered->spans[count] = (struct osr_raft_span){recovered->last + 1, term};
        recovered->span_count++;
    }
    recovered->last = last;
}

static void keep_configuration(struct osr_ledger_recovered *recovered,
                               const struct osr_raft_entry *entry)
{
    size_t count = recovered->configuration_count++;
    recovered->configurations =
        osr_realloc(recovered->configurations, (count + 1) * sizeof(*entry));
    uint8_t *payload = osr_alloc(entry->payload.size + 1); /* never NULL, nor of no bytes */
    memcpy(payload, entry->payload.data, entry->payload.size);
    recovered->configurations[count] = *entry;
    recovered->configurations[count].payload.data = payload;
}

static int visit_entry(struct osr_ledger_recovered *recovered, const struct osr_wal_record *record,
                       struct osr_err *err)
{
    struct osr_raft_entry entry;
    int code = osr_ledger_entry_decode(record, &entry, err);
    if (code != 0) {
        return code;
    }
    if (entry.index <= recovered->last || entry.term < last_term(recovered)) {
        return osr_ledger_record_refuse(record, "not the entry that was expected", err);
    }
    if (entry.index > recovered->last + 1) {
        extend(recovered, GAP, entry.index - 1);
    }
    extend(recovered, entry.term, entry.index);
    recovered->bytes += entry.payload.size;
    if (entry.kind == OSR_RAFT_CONFIGURATION) {
        keep_configuration(recovered, &entry);
    }
    return 0;
}

/* ---- what voids them ---- */

static void free_payload(const struct osr_raft_entry *configuration)
{
    free((void *)configuration->payload.data);
}

static void visit_truncate(struct osr_ledger_recovered *recovered, uint64_t index)
{
    while (recovered->span_count > 0 && recovered->spans[recovered->span_count - 1].first > index) {
        recovered->span_count--;
    }
    while (recovered->configuration_count > 0 &&
           recovered->configurations[recovered->configuration_count - 1].index > index) {
        free_payload(&recovered->configurations[--recovered->configuration_count]);
    }
    if (recovered->span_count == 0) {
        recovered->last = recovered->base;
    } else if (recovered->last > index) {
        recovered->last = index;
    }
}

static void drop_spans(struct osr_ledger_recovered *recovered)
{
    size_t dropped = 0;
    if (recovered->last <= recovered->base) {
        recovered->last = recovered->base;
        recovered->span_count = 0;
        return;
    }
    while (dropped + 1 < recovered->span_count &&
           recovered->spans[dropped + 1].first <= recovered->base + 1) {
        dropped++;
    }
    recovered->span_count -= dropped;
    memmove(recovered->spans, recovered->spans + dropped,
            recovered->span_count * sizeof(recovered->spans[0]));
    recovered->spans[0].first = recovered->base + 1;
}

static void drop_configurations(struct osr_ledger_recovered *recovered)
{
    size_t dropped = 0;
    while (dropped < recovered->configuration_count &&
           recovered->configurations[dropped].index <= recovered->base) {
        free_payload(&recovered->configurations[dropped]);
        dropped++;
    }
    recovered->configuration_count -= dropped;
    if (dropped > 0) {
        memmove(recovered->configurations, recovered->configurations + dropped,
                recovered->configuration_count * sizeof(recovered->configurations[0]));
    }
}

static int visit_base(struct osr_ledger_recovered *recovered, const struct osr_wal_record *record,
                      struct osr_err *err)
{
    uint64_t term;
    int code = osr_ledger_base_decode(record, &term, err);
    if (code == 0 && record->index > recovered->base) {
        recovered->base = record->index;
        recovered->base_term = term;
        recovered->bytes = 0;
        drop_spans(recovered);
        drop_configurations(recovered);
    }
    return code;
}

static int visit_vote(struct osr_ledger_recovered *recovered, const struct osr_wal_record *record,
                      struct osr_err *err)
{
    struct osr_raft_vote vote;
    int code = osr_ledger_vote_decode(record, &vote, err);
    if (code == 0 && vote.term < recovered->vote.term) {
        code = osr_ledger_record_refuse(record, "a vote of an earlier term than the last", err);
    }
    if (code == 0) {
        recovered->vote = vote;
    }
    return code;
}

/* ---- for recovery ---- */

int osr_ledger_recovered_visit(struct osr_ledger_recovered *recovered,
                               const struct osr_wal_record *record, struct osr_err *err)
{
    if (record->log_id > OSR_LEDGER_LOG_LAST) {
        return osr_err_set(err, OSR_UNSUPPORTED_VERSION, "record %llu of the log: of ledger %u",
                           (unsigned long long)record->ordinal,
                           record->log_id - OSR_LEDGER_LOG_FIRST);
    }
    if (record->log_id < recovered->log_id) {
        return 0; /* given up */
    }
    if (record->log_id > recovered->log_id) {
        osr_ledger_recovered_done(recovered);
        recovered->log_id = record->log_id;
    }
    switch (record->type) {
    case OSR_WAL_ENTRY:
        return visit_entry(recovered, record, err);
    case OSR_WAL_TRUNCATE:
        visit_truncate(recovered, record->index);
        return 0;
    case OSR_WAL_BASE:
        return visit_base(recovered, record, err);
    case OSR_WAL_VOTE:
        return visit_vote(recovered, record, err);
    default:
        return osr_ledger_record_refuse(record, "of a type that no ledger has", err);
    }
}

int osr_ledger_recovered_check(const struct osr_ledger_recovered *recovered, struct osr_err *err)
{
    for (size_t i = 0; i < recovered->span_count; i++) {
        if (recovered->spans[i].term == GAP) {
            osr_err_set(err, OSR_CORRUPT, "the ledger's entries from %llu on are missing",
                        (unsigned long long)recovered->spans[i].first);
            osr_wal_hint(err);
            return OSR_CORRUPT;
        }
    }
    return 0;
}

void osr_ledger_recovered_done(struct osr_ledger_recovered *recovered)
{
    for (size_t i = 0; i < recovered->configuration_count; i++) {
        free_payload(&recovered->configurations[i]);
    }
    free(recovered->configurations);
    free(recovered->spans);
    memset(recovered, 0, sizeof(*recovered));
}
