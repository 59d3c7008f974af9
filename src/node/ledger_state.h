/* ledger_state.h -- a ledger's state: its machines, their values on disk, and snapshots of them.
 *
 * Happy path: committed commands are applied to the machines' values in memory and leave it for
 * disk a little later (adapter/values.h). Once the log behind the newest snapshot has grown past
 * OSR_LEDGER_SNAPSHOT_BYTES, and past that snapshot's size, a snapshot is made in the background:
 * a dump of the values into a file (adapter/snapshot_file.h); when it is durable, entries up to it
 * need not be kept. A follower that is too far behind is sent the file in chunks; it writes them
 * into one of its own, and what they hold into a second file of values, checks both, notes the
 * snapshot in its log as the base, and puts the new values into the old ones' place.
 *
 * Snapshot's bytes: a byte for their format (1), then as a dump gives them. So they are never whole
 * in memory, and the loop never waits for them: the thread makes and takes them in pieces, and
 * rests after each for as long as it took, so that others have half of the disk.
 *
 * At open: if the values stand below the newest snapshot, a crash came between its arrival and its
 * loading, and they are loaded from it now; so they are where the file was lost. CORRUPT where no
 * snapshot reaches the log's base, or where the values stand above the log: this member must be
 * removed and added anew.
 *
 * Command's envelope, the payload of entries of kind COMMAND; integers big-endian:
 *     u8 format (1), u16 machine, u8 version, u64 start, u64 number, the command
 * `start` is a random number of the proposer's process and `number` counts in it: by these the
 * proposer knows its own.
 *
 * Failures: DISK_FULL while a snapshot is made: traced, nothing is lost, tried again every
 * OSR_LEDGER_RETRY_MS. While one is taken: it begins anew from its first chunk. A snapshot that
 * turns out to be damaged when it is read is made anew. What else fails ends the process.
 *
 * Threads: the loop's; "state" (of adapter/values.h) and "snapshot", which reads and writes files.
 */
#ifndef OSR_NODE_LEDGER_STATE_H
#define OSR_NODE_LEDGER_STATE_H

#include <uv.h>

#include "core/agreement.h"
#include "core/raft.h"

enum {
    /* Of log behind the newest snapshot before another is made: small logs are cheap to keep. */
    OSR_LEDGER_SNAPSHOT_BYTES = 128 << 20,
    OSR_LEDGER_ENVELOPE_SIZE = 20,
    OSR_LEDGER_RETRY_MS = 3000, /* after there was no room for a snapshot */
    /* Without a chunk asked for or given, before an older snapshot is closed, or what was taken so
     * far of one that comes is thrown away: neither must keep its room on the disk for ever. */
    OSR_LEDGER_CHUNK_IDLE_MS = 60000,
};

struct osr_ledger_state;

struct osr_ledger_command {
    enum osr_machine_id machine;
    uint8_t version;
    uint64_t start;
    uint64_t number;
    struct osr_slice bytes;
};
void osr_ledger_command_encode(const struct osr_ledger_command *command, struct osr_buffer *buffer);
/* MALFORMED: at every member, so a leader should refuse it; UNSUPPORTED_VERSION: of a later format.
 */
int osr_ledger_command_decode(struct osr_slice payload, struct osr_ledger_command *ret_command,
                              struct osr_err *err);

struct osr_ledger_state_handler {
    /* A command was applied; `code` and `reply` are the machine's. Configurations and leaders'
     * first entries come to nobody. From within osr_ledger_state_apply. */
    void (*on_command)(void *context, const struct osr_raft_entry *entry,
                       const struct osr_ledger_command *command, enum osr_code code,
                       struct osr_slice reply);
    void (*on_applied)(void *context, uint64_t index); /* for OSR_RAFT_APPLIED; may come from
                                                          within osr_ledger_state_apply */
    /* Durable, of the state at an index that is at most what on_applied said last. */
    void (*on_snapshot)(void *context, const struct osr_raft_snapshot *snapshot);
    void (*on_chunk_read)(void *context, uint64_t ticket,
                          struct osr_slice chunk); /* empty: failed */
    void (*on_chunk_written)(void *context, uint64_t ticket, enum osr_code code);
    /* The snapshot's file is durable: now the log must say so, then osr_ledger_state_load. */
    void (*on_checked)(void *context, uint64_t ticket, enum osr_code code);
    /* Not from within osr_ledger_state_load. */
    void (*on_loaded)(void *context, uint64_t ticket);
    void (*on_failure)(void *context, const struct osr_err *err); /* the process must end */
    void *context;
};

struct osr_ledger_state_options {
    const char *folder; /* DIR/ledger: values.mdb and snapshots/ */
    const struct osr_machine *machines;
    size_t machine_count;
    uint64_t base;           /* of the log */
    uint64_t last;           /* likewise: values that stand above it are of another log: CORRUPT */
    uint64_t log_bytes;      /* of its entries: they count towards the next snapshot */
    uint64_t snapshot_bytes; /* 0: OSR_LEDGER_SNAPSHOT_BYTES */
    struct osr_disk *disk;   /* for snapshots; NULL: the system's */
    const struct osr_trace *trace;
};

/* *ret_snapshot: the newest one, index 0 where there is none; if the log does not have its entry,
 * the owner voids the log. *ret_applied: where the values stand, at least at the snapshot. After a
 * failure, too, the loop has to run once more. */
int osr_ledger_state_open(uv_loop_t *loop, const struct osr_ledger_state_options *options,
                          const struct osr_ledger_state_handler *handler,
                          struct osr_ledger_state **ret_state,
                          struct osr_raft_snapshot *ret_snapshot, uint64_t *ret_applied,
                          struct osr_err *err);
/* Finishes what is under way; then run the loop once more. NULL is a no-op. */
void osr_ledger_state_close(struct osr_ledger_state *state);

/* Committed entries in their order. They are the caller's again on return. Where memory is short
 * (osr_values_file_is_busy) on_applied comes later. An unknown machine or version is a failure:
 * this member is too old for the ledger. A malformed command is passed over, as at all members. */
void osr_ledger_state_apply(struct osr_ledger_state *state, const struct osr_raft_entry *entries,
                            size_t count);
/* The configuration and term that a snapshot at this index has. They are noted as entries come by;
 * this sets those of the start (*ret_applied), before the first of them. */
void osr_ledger_state_set_configuration(struct osr_ledger_state *state, uint64_t index,
                                        uint64_t term,
                                        const struct osr_raft_configuration *configuration);

struct osr_values *osr_ledger_state_values(struct osr_ledger_state *state,
                                           enum osr_machine_id machine);
uint64_t osr_ledger_state_applied(const struct osr_ledger_state *state);

/* READ_CHUNK, WRITE_CHUNK and INSTALL of the core; answered by the handler, later. Chunks are
 * copied.
 */
void osr_ledger_state_read_chunk(struct osr_ledger_state *state, uint64_t ticket, uint64_t index,
                                 uint64_t offset, size_t size);
void osr_ledger_state_write_chunk(struct osr_ledger_state *state, uint64_t ticket,
                                  const struct osr_raft_snapshot *snapshot, uint64_t offset,
                                  struct osr_slice chunk);
void osr_ledger_state_check(struct osr_ledger_state *state, uint64_t ticket,
                            const struct osr_raft_snapshot *snapshot);
void osr_ledger_state_load(struct osr_ledger_state *state, uint64_t ticket,
                           const struct osr_raft_snapshot *snapshot);

/* For status: what is under way with snapshots. */
struct osr_ledger_state_info {
    uint64_t applied;
    uint64_t flushed;  /* the values on disk stand at this */
    uint64_t snapshot; /* index of the newest */
    uint64_t snapshot_size;
    bool is_making;
    bool is_loading;
    bool is_busy; /* the disk does not keep up, or is full */
};
void osr_ledger_state_info(const struct osr_ledger_state *state,
                           struct osr_ledger_state_info *ret_info);

#endif
