/* journal.h -- carries out what the feed core wants of the disk and of the keys, and gives
 * the log back to everybody else.
 *
 * Threads: "log" appends and syncs (group commit: all waiting jobs, one sync), "keys" signs
 * and verifies beside it, "reader" reads what is not in memory, "segments" makes ready the
 * log's next one and gives back the room of void ones (log_keeper.h). All calls here and all
 * callbacks are on the loop's.
 *
 * Release: entries are shown (to the projection, watchers, the memory index) in the order of
 * the log, and only once the core has committed them or cut them off; so an ordinal is a
 * position to resume from. A batch that waits for its signature holds back those behind it. A
 * ledger's records (ledger_log.h) have ordinals too, and are nothing to show.
 *
 * Memory: the newest batches stay in memory, up to OSR_JOURNAL_CACHE_BYTES, so that followers
 * that are up to date are served without touching the log; others are read from it.
 *
 * Facts: small local truths by key (pins, cursors, import positions, settings), in the same
 * log: one sync serves all. The newest value of a key counts. */
#ifndef OSR_NODE_JOURNAL_H
#define OSR_NODE_JOURNAL_H

#include "adapter/keys.h"
#include "adapter/wal.h"
#include "adapter/worker.h"
#include "core/feed.h"

#define OSR_JOURNAL_CACHE_BYTES (16u << 20)

struct osr_journal;

/* None is called from within a function of this header, but on_release, and on_read from
 * osr_journal_end_turn. */
struct osr_journal_handler {
    /* Answers to what the core put out; each becomes an event of the core. */
    void (*on_stored)(void *context, uint64_t ticket, enum osr_code code);
    void (*on_signed)(void *context, uint64_t ticket, const struct osr_signature *signature);
    void (*on_verified)(void *context, uint64_t ticket, bool valid);
    /* update lives until the return; NULL where nothing could be read. */
    void (*on_read)(void *context, uint64_t ticket, Osr__Update *update, size_t bytes);
    /* Entries of one batch are released; batch NULL: only what was in the log at open, or facts; if
     * log_id is OSR_LEDGER_LOG_FIRST, nothing but a ledger's records since the last release.
     * last_ordinal: everything up to it may be shown now. Entry i has the record
     * osr_batch_record(batch, i). May come from within osr_journal_carry_out. */
    void (*on_release)(void *context, const struct osr_batch *batch, uint32_t log_id,
                       uint64_t last_ordinal);
    /* A write or sync failed inside a segment: the process must end with this. */
    void (*on_failure)(void *context, const struct osr_err *err);
    void *context;
};

struct osr_journal_options {
    const char *folder;    /* of the log */
    struct osr_disk *disk; /* NULL: the system's */
    const struct osr_keys *keys;
    struct osr_wal_options wal; /* seed 0: a random one */
    struct osr_trace trace;
};

/* Opens the log and walks it. *ret_restored (count in *ret_count) is what START wants; it
 * lives as long as the journal. After a failure, too, the loop must run once more. */
int osr_journal_open(uv_loop_t *loop, const struct osr_journal_options *options,
                     const struct osr_journal_handler *handler, struct osr_journal **ret_journal,
                     const struct osr_feed_restored **ret_restored, size_t *ret_count,
                     struct osr_err *err);
/* Finishes what was submitted, joins the threads; of the callbacks only a fact's `done` and a
 * ledger's are still called. Then run the loop once more. */
void osr_journal_close(struct osr_journal *journal); /* NULL is a no-op */

/* Carries out STORE, TRUNCATE, SIGN, VERIFY, READ or COMMIT. STORE takes the batch's memory. */
void osr_journal_carry_out(struct osr_journal *journal, struct osr_feed_output *output);

/* At the end of a turn of the loop: answers READs from memory where it can. */
void osr_journal_end_turn(struct osr_journal *journal);

/* Writes a fact (an empty value takes it away); `done` (may be NULL) is called when it is
 * durable, or not stored: DISK_FULL, or what ended the log. */
void osr_journal_fact(struct osr_journal *journal, const char *key, struct osr_slice value,
                      void (*done)(void *context, enum osr_code code), void *context);
/* Walks the newest values whose keys begin with prefix, as the log gave them back at open and
 * as written since. Keys that begin with "seen:" are not kept in memory: ask the store. */
void osr_journal_facts(struct osr_journal *journal, const char *prefix,
                       void (*visit)(void *context, const char *key, struct osr_slice value),
                       void *context);

/* For jobs on other threads: the log itself, and what a log id stands for (NULL: unknown). The
 * id lives as long as the journal. Thread-safe. */
struct osr_wal *osr_journal_wal(struct osr_journal *journal);
const struct osr_feed_id *osr_journal_feed(struct osr_journal *journal, uint32_t log_id);
/* The log id of a feed; 0: the log has nothing of it. */
uint32_t osr_journal_find_log(struct osr_journal *journal, const struct osr_feed_id *feed);

/* Appends an entry's stored form, without its chain value. Thread-safe. */
int osr_journal_read_stored(struct osr_journal *journal, uint32_t log_id, uint64_t index,
                            struct osr_buffer *stored, struct osr_err *err);

uint64_t osr_journal_released(const struct osr_journal *journal); /* ordinal */
/* Whether the core has found good, or cut off, all that was in the log at open. */
bool osr_journal_is_restored(const struct osr_journal *journal);
bool osr_journal_is_full(const struct osr_journal *journal); /* the last append was DISK_FULL */

#endif
