/* journal_internal.h -- what the journal's files share: its state (journal.c), the reads of
 * followers (journal_reads.c), and the ledger's part (journal_ledger.c). Private to them. */
#ifndef OSR_NODE_JOURNAL_INTERNAL_H
#define OSR_NODE_JOURNAL_INTERNAL_H

#include "node/journal.h"
#include "node/log_keeper.h"
#include "node/log_reader.h"
#include "node/log_writer.h"
#include "node/recovery.h"
#include "node/signer.h"
#include "node/tail.h"

struct pending_read;

struct osr_journal {
    struct osr_journal_handler handler;
    struct osr_trace trace;
    struct osr_wal *wal;
    struct osr_logs *logs;
    struct osr_facts *facts;
    struct osr_recovered recovered;
    struct osr_ledger_recovered ledger;
    size_t restoring; /* of these feeds, not committed yet */
    struct osr_tail *tail;

    struct osr_log_writer *writer;
    struct osr_signer *signer;
    struct osr_log_reader *reader;
    struct osr_log_keeper *keeper;

    struct pending_read *reads;
    struct pending_read **reads_end;
    uv_idle_t *awake; /* keeps the loop from waiting while there are pending reads */

    uint64_t ledger_refusals; /* of more than a vote, that were answered */
    uint64_t opened_at;       /* last ordinal found at open */
    uint64_t released;
    bool is_full;
    bool is_releasing; /* on_release may lead back here */
    bool has_failed;
    bool is_closing;
};

/* Sends it on its way. */
void osr_journal_submit(struct osr_journal *journal, struct osr_append *append);

/* ---- journal_reads.c ---- */

void osr_journal_reads_init(struct osr_journal *journal, uv_loop_t *loop);
void osr_journal_reads_drop(struct osr_journal *journal);
/* READ: answered at the end of the turn. */
void osr_journal_reads_add(struct osr_journal *journal, const struct osr_feed_output *output);

/* ---- journal_ledger.c ---- */

/* The log thread is done with what a ledger stores: OK or DISK_FULL. */
void osr_journal_ledger_stored(struct osr_journal *journal, struct osr_append *append);

#endif
