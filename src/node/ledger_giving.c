/* Reading own snapshots for others: the newest, and older ones as long as somebody reads them. */
#include <stdlib.h>

#include "adapter/clock.h"
#include "node/ledger_state_internal.h"

/* ---- readers ---- */

/* Closing one may free a large file, so the thread does it, after all that was asked of it. */
struct closing {
    struct osr_file_job job; /* first */
    struct osr_snapshot_reader *file;
};

static void work_close(struct osr_file_job *job)
{
    osr_snapshot_reader_close(((struct closing *)job)->file);
}

static void done_close(struct osr_file_job *job)
{
    free(job);
}

static void close_reader(struct osr_ledger_state *state, size_t place)
{
    struct closing *closing = osr_alloc(sizeof(*closing));

    closing->job.work = work_close;
    closing->job.done = done_close;
    closing->file = state->readers[place].file;
    osr_file_worker_submit(state->worker, &closing->job);
    state->reader_count--;
    memmove(&state->readers[place], &state->readers[place + 1],
            (state->reader_count - place) * sizeof(state->readers[0]));
}

/* Of the older ones, the one that nobody has asked for longest. */
static size_t find_idlest(const struct osr_ledger_state *state)
{
    size_t idlest = 1;

    for (size_t i = 2; i < state->reader_count; i++) {
        if (state->readers[i].asked_ms < state->readers[idlest].asked_ms) {
            idlest = i;
        }
    }
    return idlest;
}

void osr_ledger_giving_add(struct osr_ledger_state *state, struct osr_snapshot_reader *file)
{
    if (state->reader_count == OSR_LEDGER_READERS_MAX) {
        close_reader(state, find_idlest(state));
    }
    memmove(&state->readers[1], &state->readers[0],
            state->reader_count * sizeof(state->readers[0]));
    state->readers[0] = (struct osr_ledger_reader){
        .file = file,
        .index = osr_snapshot_reader_about(file)->index,
        .asked_ms = osr_monotonic_ms(),
    };
    state->reader_count++;
    osr_ledger_state_wait(state);
}

void osr_ledger_giving_sweep(struct osr_ledger_state *state, uint64_t now_ms)
{
    for (size_t i = state->reader_count; i > 1; i--) {
        if (now_ms - state->readers[i - 1].asked_ms >= OSR_LEDGER_CHUNK_IDLE_MS) {
            close_reader(state, i - 1);
        }
    }
}

void osr_ledger_giving_done(struct osr_ledger_state *state)
{
    for (size_t i = 0; i < state->reader_count; i++) {
        osr_snapshot_reader_close(state->readers[i].file);
    }
    state->reader_count = 0;
}

/* ---- chunks ---- */

struct giving {
    struct osr_file_job job; /* first */
    struct osr_ledger_state *state;
    struct osr_snapshot_reader *file; /* NULL: it is not there any more */
    uint64_t ticket;
    uint64_t index;
    uint64_t offset;
    size_t size;
    struct osr_buffer chunk;
    int code;
    struct osr_err err;
};

static void work_read(struct osr_file_job *job)
{
    struct giving *giving = (struct giving *)job;

    if (giving->file != NULL) {
        giving->code = osr_snapshot_reader_read(giving->file, giving->offset, giving->size,
                                                &giving->chunk, &giving->err);
    }
}

/* The values are whole, so another can be made in its place. */
static void note_damage(struct giving *giving)
{
    struct osr_ledger_state *state = giving->state;

    giving->chunk.size = 0;
    osr_trace(&state->trace, OSR_LEVEL_ERROR, "a snapshot of the ledger: %s", giving->err.message);
    if (giving->index == state->snapshot) {
        state->is_snapshot_damaged = true;
        osr_ledger_making_review(state);
    }
}

static void done_read(struct osr_file_job *job)
{
    struct giving *giving = (struct giving *)job;
    struct osr_ledger_state *state = giving->state;

    if (giving->code != 0) {
        note_damage(giving);
    }
    if (!state->is_closing) {
        state->handler.on_chunk_read(state->handler.context, giving->ticket,
                                     osr_buffer_slice(&giving->chunk));
    }
    osr_buffer_done(&giving->chunk);
    free(giving);
}

static struct osr_ledger_reader *find_reader(struct osr_ledger_state *state, uint64_t index)
{
    for (size_t i = 0; i < state->reader_count; i++) {
        if (state->readers[i].index == index) {
            return &state->readers[i];
        }
    }
    return NULL;
}

void osr_ledger_state_read_chunk(struct osr_ledger_state *state, uint64_t ticket, uint64_t index,
                                 uint64_t offset, size_t size)
{
    struct osr_ledger_reader *reader = find_reader(state, index);
    struct giving *giving = osr_alloc(sizeof(*giving));

    *giving = (struct giving){
        .job = {.work = work_read, .done = done_read},
        .state = state,
        .ticket = ticket,
        .index = index,
        .offset = offset,
        .size = size,
    };
    if (reader != NULL) {
        reader->asked_ms = osr_monotonic_ms();
        giving->file = reader->file;
    }
    osr_file_worker_submit(state->worker, &giving->job);
}
