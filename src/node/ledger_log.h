/* ledger_log.h -- a ledger's part of the log: what its Raft core wants stored and read, in the
 * same physical log, and under the same syncs, as everything else of the instance.
 *
 * In the log a ledger has an id of its own, from OSR_LEDGER_LOG_FIRST on, which no feed has and no
 * LOG record declares. Payloads, all integers big-endian:
 *     ENTRY     u64 term, u8 kind (enum osr_raft_kind), the entry's payload
 *     VOTE      u64 term, u64 candidate
 *     TRUNCATE  nothing
 *     BASE      u64 term of the entry at its index
 * A walker of the log that is about feeds passes over them (osr_ledger_log_has).
 *
 * Order: one STORE is one batch: vote, cut, base, entries. Entries behind a STORE for which there
 * was no room fail with it, if they were put out before its `done` has said so, and so do those
 * that do not follow what is stored. Votes, cuts and bases alone do not build on entries, and have
 * room in reserve (adapter/wal.h).
 *
 * Threads: the loop's; "log" appends, "reader" reads. */
#ifndef OSR_NODE_LEDGER_LOG_H
#define OSR_NODE_LEDGER_LOG_H

#include "adapter/wal.h"
#include "core/raft.h"

enum {
    OSR_LEDGER_LOG_FIRST = 1 << 16,                      /* the instance's ledger, ... */
    OSR_LEDGER_LOG_LAST = OSR_LEDGER_LOG_FIRST + 0xffff, /* ... or one that it has joined since */
    OSR_LEDGER_FORMAT = 1,                               /* of the payloads */
};

static inline bool osr_ledger_log_has(const struct osr_wal_record *record)
{
    return record->log_id >= OSR_LEDGER_LOG_FIRST;
}

struct osr_journal;

/* ---- at open: what the log gave back ---- */

/* Filled record by record while the journal is opened. Zeroed: empty and valid. */
struct osr_ledger_recovered {
    uint32_t log_id; /* of the newest ledger in the log: older ones were given up; 0: none */
    struct osr_raft_vote vote;
    uint64_t base;
    uint64_t base_term;
    uint64_t last;
    struct osr_raft_span *spans;
    size_t span_count;
    struct osr_raft_entry *configurations; /* with payloads of their own */
    size_t configuration_count;
    uint64_t bytes; /* of payloads of entries, since the newest base was noted */
};
/* CORRUPT, UNSUPPORTED_VERSION. An entry may jump ahead of the one before it; if nothing behind it
 * explains that, osr_ledger_recovered_check says CORRUPT after the walk. */
int osr_ledger_recovered_visit(struct osr_ledger_recovered *recovered,
                               const struct osr_wal_record *record, struct osr_err *err);
int osr_ledger_recovered_check(const struct osr_ledger_recovered *recovered, struct osr_err *err);
void osr_ledger_recovered_done(struct osr_ledger_recovered *recovered);

/* ---- in use: implemented by the journal (node/journal_ledger.c), which calls each `done` once, on
 * the loop, maybe from within osr_journal_close: till then its context must live ---- */

struct osr_ledger_store {
    uint32_t log_id;                  /* set by the journal */
    const struct osr_raft_vote *vote; /* NULL: none */
    uint64_t truncate_after;          /* UINT64_MAX: nothing */
    uint64_t base; /* a snapshot stands for all up to it, behind the cut; 0: none */
    uint64_t base_term;
    const struct osr_raft_entry *entries; /* array and payloads live until `done` */
    size_t count;
    void (*done)(void *context, uint64_t ticket, enum osr_code code); /* OK or DISK_FULL; other
                                         failures of the disk end the process, and come to nobody */
    void *context;
    uint64_t ticket;
};
void osr_journal_ledger_store(struct osr_journal *journal, const struct osr_ledger_store *store);

struct osr_ledger_read {
    uint64_t first;
    uint64_t last;
    size_t bytes_max; /* of payloads; the first entry is given whatever its size */
    /* Count 0: it could not be read. They live until the return. */
    void (*done)(void *context, uint64_t ticket, const struct osr_raft_entry *entries,
                 size_t count);
    void *context;
    uint64_t ticket;
};
void osr_journal_ledger_read(struct osr_journal *journal, const struct osr_ledger_read *read);

/* At open, before anything is stored: gives up what there is of a ledger: all of it is void, and
 * another one is stored from now on, under the next id. Returns that id, to be noted: at later
 * starts it is given here, in case nothing was stored under it yet. 0: there is nothing to compare
 * with, give up in any case. */
uint32_t osr_journal_ledger_give_up(struct osr_journal *journal, uint32_t log_id);

/* As the log had it at open, or empty after osr_journal_ledger_give_up; lives as long as the
 * journal. */
const struct osr_ledger_recovered *osr_journal_ledger(const struct osr_journal *journal);

#endif
