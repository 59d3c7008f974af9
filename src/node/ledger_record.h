/* ledger_record.h -- a ledger's records, as they stand in the log: the payloads that ledger_log.h
 * describes, and their order. */
#ifndef OSR_NODE_LEDGER_RECORD_H
#define OSR_NODE_LEDGER_RECORD_H

#include "node/ledger_log.h"

enum {
    OSR_LEDGER_RECORDS_MORE = 3, /* of a store, beside its entries: vote, cut, base */
};

/* Nothing builds on a vote. */
bool osr_ledger_store_is_vote(const struct osr_ledger_store *store);

/* Fills `records`, which has room for as many entries and OSR_LEDGER_RECORDS_MORE; how many they
 * are. Their payloads are in `payloads`, which is emptied first, until it changes. */
size_t osr_ledger_records_make(const struct osr_ledger_store *store, struct osr_wal_record *records,
                               struct osr_buffer *payloads);

/* All: UNSUPPORTED_VERSION or CORRUPT, with what to do about it as the hint. */
int osr_ledger_vote_decode(const struct osr_wal_record *record, struct osr_raft_vote *ret_vote,
                           struct osr_err *err);
int osr_ledger_base_decode(const struct osr_wal_record *record, uint64_t *ret_term,
                           struct osr_err *err);
/* The payload points into the record. */
int osr_ledger_entry_decode(const struct osr_wal_record *record, struct osr_raft_entry *ret_entry,
                            struct osr_err *err);
int osr_ledger_record_refuse(const struct osr_wal_record *record, const char *what,
                             struct osr_err *err); /* CORRUPT, likewise */

#endif
