/* Making snapshots of the own state: a dump of what is on disk, piece by piece into a file. */
#include <assert.h>
#include <stdlib.h>

#include "adapter/clock.h"
#include "node/ledger_state_internal.h"

struct osr_ledger_making {
    struct osr_file_job job; /* first */
    struct osr_ledger_state *state;
    struct osr_values_dump *dump;       /* closed on the loop's thread */
    struct osr_snapshot_writer *writer; /* the thread's */
    struct osr_snapshot_reader *reader; /* of what is made; NULL: it is not yet */
    struct osr_raft_snapshot snapshot;
    struct osr_buffer piece;
    uint64_t behind_bytes; /* that this one stands for */
    bool is_abandoned;
    int code;
    struct osr_err err;
};

/* ---- on the thread ---- */

static int begin(struct osr_ledger_making *making, struct osr_err *err)
{
    static const uint8_t format = OSR_LEDGER_STATE_FORMAT;
    const struct osr_ledger_state *state = making->state;
    int code = osr_snapshot_writer_create(state->disk, state->snapshots, making->snapshot.index,
                                          &making->writer, err);

    return code != 0 ? code : osr_snapshot_writer_add(making->writer, osr_slice(&format, 1), err);
}

static int finish(struct osr_ledger_making *making, struct osr_err *err)
{
    const struct osr_ledger_state *state = making->state;
    struct osr_raft_snapshot *snapshot = &making->snapshot;
    struct osr_buffer configuration = {0};
    struct osr_snapshot_about about;

    osr_raft_configuration_encode(&snapshot->configuration, &configuration);
    osr_snapshot_writer_about(making->writer, &about);
    about.term = snapshot->term;
    about.configuration = osr_buffer_slice(&configuration);
    snapshot->size = about.size;
    snapshot->checksum = about.checksum;
    int code = osr_snapshot_writer_finish(making->writer, &about, err);
    if (code == 0) {
        code = osr_snapshot_reader_open(state->disk, state->snapshots, snapshot->index,
                                        &making->reader, err);
    }
    osr_buffer_done(&configuration);
    return code;
}

static int make_piece(struct osr_ledger_making *making, struct osr_err *err)
{
    int code = making->writer == NULL ? begin(making, err) : 0;

    osr_buffer_clear(&making->piece);
    if (code == 0) {
        code = osr_values_dump_read(making->dump, OSR_LEDGER_PIECE_BYTES, &making->piece, err);
    }
    if (code == 0) {
        code = osr_snapshot_writer_add(making->writer, osr_buffer_slice(&making->piece), err);
    }
    if (code == 0 && making->piece.size < OSR_LEDGER_PIECE_BYTES) {
        code = finish(making, err);
    }
    return code;
}

static void work_piece(struct osr_file_job *job)
{
    struct osr_ledger_making *making = (struct osr_ledger_making *)job;
    uint64_t began_ns = osr_monotonic_ns();

    making->code = make_piece(making, &making->err);
    osr_rest_since(began_ns, OSR_LEDGER_PIECE_REST_NS_MAX);
}

/* Here, as it may take long to remove a large file. */
static void work_drop(struct osr_file_job *job)
{
    struct osr_ledger_making *making = (struct osr_ledger_making *)job;
    osr_snapshot_writer_destroy(making->writer);
}

/* ---- on the loop ---- */

static void done_drop(struct osr_file_job *job)
{
    struct osr_ledger_making *making = (struct osr_ledger_making *)job;
    osr_buffer_done(&making->piece);
    free(making);
}

static void end(struct osr_ledger_making *making)
{
    osr_values_dump_close(making->dump);
    making->state->making = NULL;
    making->job.work = work_drop;
    making->job.done = done_drop;
    osr_file_worker_submit(making->state->worker, &making->job);
}

static void made(struct osr_ledger_making *making)
{
    struct osr_ledger_state *state = making->state;
    const struct osr_raft_snapshot *snapshot = &making->snapshot;

    osr_trace(&state->trace, OSR_LEVEL_INFO, "ledger: snapshot at %llu, %llu bytes",
              (unsigned long long)snapshot->index, (unsigned long long)snapshot->size);
    state->snapshot = snapshot->index;
    state->snapshot_size = snapshot->size;
    state->is_snapshot_damaged = false;
    state->behind_bytes -= making->behind_bytes;
    osr_ledger_giving_add(state, making->reader);
    if (!state->is_closing) {
        state->handler.on_snapshot(state->handler.context, snapshot);
    }
}

static void failed(struct osr_ledger_making *making)
{
    struct osr_ledger_state *state = making->state;

    osr_err_prefix(&making->err, "a snapshot of the ledger");
    if (making->code != OSR_DISK_FULL) {
        osr_ledger_state_fail(state, &making->err);
        return;
    }
    osr_trace(&state->trace, OSR_LEVEL_WARNING, "%s; it is tried again", making->err.message);
    state->retry_ms = osr_monotonic_ms() + OSR_LEDGER_RETRY_MS;
    osr_ledger_state_wait(state);
}

static void done_piece(struct osr_file_job *job)
{
    struct osr_ledger_making *making = (struct osr_ledger_making *)job;
    struct osr_ledger_state *state = making->state;

    if (making->code == 0 && making->reader == NULL && !making->is_abandoned) {
        osr_file_worker_submit(state->worker, job);
        return;
    }
    end(making); /* it lives on until its last job is done, which is later */
    if (making->reader != NULL) {
        made(making);
    } else if (making->code != 0) {
        failed(making);
    }
    osr_ledger_making_review(state); /* the log may have grown past it meanwhile */
}

static void start(struct osr_ledger_state *state)
{
    struct osr_ledger_making *making = osr_alloc(sizeof(*making));
    uint64_t index;
    struct osr_err err;

    if (osr_values_dump_open(state->values, &making->dump, &index, &err) != 0) {
        free(making);
        osr_ledger_state_fail(state, &err);
        return;
    }
    bool is_known = osr_ledger_history_find(&state->history, index, &making->snapshot);
    assert(is_known);
    making->state = state;
    making->behind_bytes = state->flush_bytes;
    making->job.work = work_piece;
    making->job.done = done_piece;
    state->making = making;
    osr_file_worker_submit(state->worker, &making->job);
}

static bool is_due(const struct osr_ledger_state *state)
{
    bool is_log_long =
        state->behind_bytes > state->snapshot_bytes && state->behind_bytes > state->snapshot_size;
    return is_log_long || state->is_snapshot_damaged;
}

static bool can_make(const struct osr_ledger_state *state)
{
    return state->making == NULL && !state->is_installing && !state->is_closing &&
           !state->has_failed && state->applied >= state->snapshot && state->applied > 0 &&
           osr_monotonic_ms() >= state->retry_ms;
}

void osr_ledger_making_review(struct osr_ledger_state *state)
{
    if (!is_due(state) || !can_make(state)) {
        return;
    }
    if (state->flush_wanted == 0) {
        state->flush_wanted = state->applied;
        state->flush_bytes = state->behind_bytes;
        if (state->flushed < state->applied) {
            osr_values_file_flush(state->values);
        }
    }
    if (state->flushed >= state->flush_wanted) {
        state->flush_wanted = 0;
        start(state);
    }
}

void osr_ledger_making_abandon(struct osr_ledger_state *state)
{
    state->flush_wanted = 0;
    if (state->making != NULL) {
        state->making->is_abandoned = true;
    }
}
