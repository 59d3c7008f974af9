/* ledger_state_internal.h -- what the parts of a ledger's state share: ledger_state.c (open, close,
 * time), ledger_apply.c, ledger_making.c (own snapshots), ledger_giving.c (reading them for
 * others), ledger_taking.c (others').
 *
 * All is the loop's but what the jobs of the thread "snapshot" hold. It does them in their order,
 * one at a time; what takes long is cut into many, so that a chunk for somebody else is soon read.
 */
#ifndef OSR_NODE_LEDGER_STATE_INTERNAL_H
#define OSR_NODE_LEDGER_STATE_INTERNAL_H

#include "adapter/snapshot_file.h"
#include "adapter/values.h"
#include "core/queue.h"
#include "node/file_worker.h"
#include "node/ledger_history.h"
#include "node/ledger_machines.h"
#include "node/ledger_state.h"

enum {
    OSR_LEDGER_STATE_FORMAT = 1, /* a snapshot's first byte */
    /* Read and written in one job, which rests after it (osr_rest_since). */
    OSR_LEDGER_PIECE_BYTES = 1 << 20,
    OSR_LEDGER_PIECE_REST_NS_MAX = 250 * 1000 * 1000,
    /* Open at once: the newest, and older ones that followers still read. Their files are removed,
     * but keep their room on the disk. */
    OSR_LEDGER_READERS_MAX = 4,
};

/* An open snapshot. */
struct osr_ledger_reader {
    struct osr_snapshot_reader *file; /* the thread's */
    uint64_t index;
    uint64_t asked_ms; /* for a chunk, or opened */
};

struct osr_ledger_making;

/* What came of another's snapshot. The thread's. */
struct osr_ledger_taken {
    struct osr_snapshot_writer *writer; /* NULL: nothing came, or it is checked */
    struct osr_values_load *load;       /* its values, as far as they came */
    uint64_t index;
    uint64_t term;
    uint64_t size;
    uint64_t checksum;
    uint64_t offset;  /* of the next chunk */
    bool is_checked;  /* all came, and all is durable */
    int content_code; /* 0, or why its bytes are no values: said when it is checked */
    struct osr_err content_err;
};

struct osr_ledger_state {
    struct osr_ledger_state_handler handler;
    struct osr_trace trace;
    struct osr_disk *disk;
    char *folder;    /* DIR/ledger */
    char *snapshots; /* DIR/ledger/snapshots */
    uint64_t snapshot_bytes;
    struct osr_values_file *values;
    struct osr_ledger_machines *machines;
    struct osr_file_worker *worker; /* "snapshot" */
    uv_timer_t timer;               /* runs while something waits for its time */
    bool is_closing;
    bool has_failed; /* and the owner knows */

    /* Applying. */
    uint64_t applied;
    uint64_t flushed;
    struct osr_queue waiting; /* struct osr_raft_entry with payloads of their own: for memory; the
                                 core's apply_bytes is their limit */
    struct osr_buffer reply;
    struct osr_ledger_history history;

    /* Own snapshots. */
    uint64_t snapshot; /* index of the newest */
    uint64_t snapshot_size;
    bool is_snapshot_damaged;
    uint64_t behind_bytes;            /* of log behind it, about */
    uint64_t flush_wanted;            /* to make one of; 0: none is due */
    uint64_t flush_bytes;             /* behind_bytes when that was wanted */
    uint64_t retry_ms;                /* not before; 0: at once */
    struct osr_ledger_making *making; /* NULL: none under way */
    struct osr_ledger_reader readers[OSR_LEDGER_READERS_MAX]; /* the newest first */
    size_t reader_count;

    /* Others'. */
    struct osr_ledger_taken taken;
    bool is_taking;     /* something came, and is not checked */
    uint64_t taken_ms;  /* it, last */
    bool is_checked;    /* one is, and is not used yet */
    bool is_installing; /* it is being checked, or is about to be used */
};

/* ---- ledger_state.c ---- */
/* The process must end; said once. */
void osr_ledger_state_fail(struct osr_ledger_state *state, const struct osr_err *err);
/* Has the timer run if something waits for it. */
void osr_ledger_state_wait(struct osr_ledger_state *state);

/* ---- ledger_apply.c ---- */
/* There is room again. */
void osr_ledger_apply_continue(struct osr_ledger_state *state);
/* Drops what waits. */
void osr_ledger_apply_clear(struct osr_ledger_state *state);

/* ---- ledger_making.c ---- */
/* Makes a snapshot if one is due and can be made now. */
void osr_ledger_making_review(struct osr_ledger_state *state);
/* None must be made now; the one under way is given up as soon as its job is done. */
void osr_ledger_making_abandon(struct osr_ledger_state *state);

/* ---- ledger_giving.c ---- */
/* A newer snapshot is there; takes its reader. */
void osr_ledger_giving_add(struct osr_ledger_state *state, struct osr_snapshot_reader *file);
/* Closes older ones that nobody reads any more. */
void osr_ledger_giving_sweep(struct osr_ledger_state *state, uint64_t now_ms);
/* After the thread has ended. */
void osr_ledger_giving_done(struct osr_ledger_state *state);

/* ---- ledger_taking.c ---- */
/* At open: the values of the newest snapshot take the place of those that are there. */
int osr_ledger_taking_load_now(struct osr_ledger_state *state, struct osr_err *err);
void osr_ledger_taking_sweep(struct osr_ledger_state *state, uint64_t now_ms);
void osr_ledger_taking_done(struct osr_ledger_state *state); /* after the thread has ended */

#endif
