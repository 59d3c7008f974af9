/* Taking another's snapshot: each chunk goes into a file and, as values, into a second values file,
 * so that nothing is left to be done once it is checked but to put that in its place. */
#include <assert.h>
#include <stdlib.h>

#include "adapter/clock.h"
#include "node/ledger_state_internal.h"

struct taking {
    struct osr_file_job job; /* first */
    struct osr_ledger_state *state;
    uint64_t ticket;
    struct osr_raft_snapshot snapshot;
    uint64_t offset;
    struct osr_buffer chunk;
    int code;
    struct osr_err err;
    struct osr_snapshot_reader *reader; /* of what was checked */
    struct osr_values_load *load;       /* its values, when they are to be used */
};

static struct taking *create(struct osr_ledger_state *state, uint64_t ticket,
                             const struct osr_raft_snapshot *snapshot,
                             void (*work)(struct osr_file_job *job),
                             void (*done)(struct osr_file_job *job))
{
    struct taking *taking = osr_alloc(sizeof(*taking));

    taking->job.work = work;
    taking->job.done = done;
    taking->state = state;
    taking->ticket = ticket;
    if (snapshot != NULL) {
        taking->snapshot = *snapshot;
    }
    return taking;
}

static void free_taking(struct taking *taking)
{
    osr_buffer_done(&taking->chunk);
    free(taking);
}

/* ---- on the thread: chunks ---- */

static void drop(struct osr_ledger_taken *taken)
{
    osr_snapshot_writer_destroy(taken->writer);
    osr_values_load_destroy(taken->load);
    *taken = (struct osr_ledger_taken){0};
}

static int begin(struct osr_ledger_state *state, const struct osr_raft_snapshot *snapshot,
                 struct osr_err *err)
{
    struct osr_ledger_taken *taken = &state->taken;

    drop(taken);
    taken->index = snapshot->index;
    taken->term = snapshot->term;
    taken->size = snapshot->size;
    taken->checksum = snapshot->checksum;
    int code = osr_snapshot_writer_create(state->disk, state->snapshots, snapshot->index,
                                          &taken->writer, err);
    return code != 0 ? code : osr_values_load_create(state->folder, &taken->load, err);
}

/* What was taken so far is of this one. */
static bool is_of(const struct osr_ledger_taken *taken, const struct osr_raft_snapshot *snapshot)
{
    return taken->load != NULL && taken->index == snapshot->index &&
           taken->term == snapshot->term && taken->size == snapshot->size &&
           taken->checksum == snapshot->checksum;
}

static int load_bytes(struct osr_values_load *load, uint64_t offset, struct osr_slice bytes,
                      struct osr_err *err)
{
    if (offset == 0 && bytes.size > 0) {
        if (bytes.data[0] != OSR_LEDGER_STATE_FORMAT) {
            return (int)osr_err_set(err, OSR_UNSUPPORTED_VERSION,
                                    "a snapshot of the ledger has format %u, known: %d",
                                    bytes.data[0], OSR_LEDGER_STATE_FORMAT);
        }
        bytes = osr_slice(bytes.data + 1, bytes.size - 1);
    }
    return osr_values_load_add(load, bytes, err);
}

/* What is wrong with the content is said when all has come: then the leader begins anew. */
static int load_chunk(struct osr_ledger_taken *taken, const struct taking *taking,
                      struct osr_err *err)
{
    if (taken->content_code != 0) {
        return 0;
    }
    int code = load_bytes(taken->load, taking->offset, osr_buffer_slice(&taking->chunk), err);
    if (code == OSR_CORRUPT || code == OSR_UNSUPPORTED_VERSION) {
        taken->content_code = code;
        taken->content_err = *err;
        return 0;
    }
    return code;
}

static int take_chunk(struct osr_ledger_state *state, const struct taking *taking,
                      struct osr_err *err)
{
    struct osr_ledger_taken *taken = &state->taken;
    int code = taking->offset == 0 ? begin(state, &taking->snapshot, err) : 0;

    if (code == 0 &&
        (!is_of(taken, &taking->snapshot) || taken->is_checked || taking->offset != taken->offset ||
         taking->chunk.size > taken->size - taken->offset)) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "not the chunk that comes next");
    }
    if (code == 0) {
        code = osr_snapshot_writer_add(taken->writer, osr_buffer_slice(&taking->chunk), err);
    }
    if (code == 0) {
        code = load_chunk(taken, taking, err);
    }
    if (code != 0) {
        drop(taken);
        return code;
    }
    taken->offset += taking->chunk.size;
    return 0;
}

static void work_chunk(struct osr_file_job *job)
{
    struct taking *taking = (struct taking *)job;
    uint64_t began_ns = osr_monotonic_ns();

    taking->code = take_chunk(taking->state, taking, &taking->err);
    osr_rest_since(began_ns, OSR_LEDGER_PIECE_REST_NS_MAX);
}

static void work_drop(struct osr_file_job *job)
{
    drop(&((struct taking *)job)->state->taken);
}

/* ---- on the thread: the whole ---- */

static int finish_file(const struct osr_ledger_taken *taken,
                       const struct osr_raft_snapshot *snapshot, struct osr_err *err)
{
    struct osr_buffer configuration = {0};

    osr_raft_configuration_encode(&snapshot->configuration, &configuration);
    const struct osr_snapshot_about about = {
        .index = snapshot->index,
        .term = snapshot->term,
        .size = snapshot->size,
        .checksum = snapshot->checksum,
        .configuration = osr_buffer_slice(&configuration),
    };
    int code = osr_snapshot_writer_finish(taken->writer, &about, err);
    osr_buffer_done(&configuration);
    return code;
}

/* Once the file is the newest snapshot there is no way back, so it comes behind the values. Again,
 * where the log had no room for it: it is still good. */
static int check(struct osr_ledger_state *state, struct taking *taking, struct osr_err *err)
{
    struct osr_ledger_taken *taken = &state->taken;

    if (!is_of(taken, &taking->snapshot)) {
        return (int)osr_err_set(err, OSR_CORRUPT, "nothing of this snapshot has come");
    }
    if (taken->is_checked) {
        return 0;
    }
    if (taken->content_code != 0) {
        *err = taken->content_err;
        return taken->content_code;
    }
    int code = osr_values_load_finish(taken->load, taken->index, err);
    if (code == 0) {
        code = finish_file(taken, &taking->snapshot, err);
    }
    if (code == 0) {
        code = osr_snapshot_reader_open(state->disk, state->snapshots, taken->index,
                                        &taking->reader, err);
    }
    return code;
}

static void work_check(struct osr_file_job *job)
{
    struct taking *taking = (struct taking *)job;
    struct osr_ledger_taken *taken = &taking->state->taken;

    taking->code = check(taking->state, taking, &taking->err);
    if (taking->code == 0) {
        taken->is_checked = true;
        osr_snapshot_writer_destroy(taken->writer);
        taken->writer = NULL;
    } else {
        drop(taken);
    }
}

static void work_load(struct osr_file_job *job)
{
    struct taking *taking = (struct taking *)job;
    struct osr_ledger_taken *taken = &taking->state->taken;

    assert(is_of(taken, &taking->snapshot) && taken->is_checked);
    taking->load = taken->load;
    taken->load = NULL;
    drop(taken);
}

/* ---- on the loop ---- */

/* What mends itself, or begins anew; all else is the end. */
static bool is_passing(int code)
{
    return code == OSR_DISK_FULL || code == OSR_CORRUPT || code == OSR_UNSUPPORTED_VERSION ||
           code == OSR_INVALID_ARGUMENT;
}

static bool is_over(struct osr_ledger_state *state, struct taking *taking)
{
    if (taking->code != 0 && !is_passing(taking->code)) {
        osr_err_prefix(&taking->err, "a snapshot of another member");
        osr_ledger_state_fail(state, &taking->err);
    }
    return state->is_closing || state->has_failed;
}

static void done_chunk(struct osr_file_job *job)
{
    struct taking *taking = (struct taking *)job;
    struct osr_ledger_state *state = taking->state;

    if (!is_over(state, taking)) {
        state->handler.on_chunk_written(state->handler.context, taking->ticket,
                                        (enum osr_code)taking->code);
    }
    free_taking(taking);
}

static void done_drop(struct osr_file_job *job)
{
    free_taking((struct taking *)job);
}

static void note_checked(struct osr_ledger_state *state, const struct taking *taking)
{
    state->is_installing = false;
    state->is_checked = taking->code == 0;
    if (taking->code != 0) {
        osr_trace(&state->trace, OSR_LEVEL_WARNING, "ledger: the snapshot at %llu is not taken: %s",
                  (unsigned long long)taking->snapshot.index, taking->err.message);
    } else if (taking->reader != NULL) {
        state->snapshot = taking->snapshot.index;
        state->snapshot_size = taking->snapshot.size;
        state->is_snapshot_damaged = false;
        osr_ledger_giving_add(state, taking->reader);
    }
}

static void done_check(struct osr_file_job *job)
{
    struct taking *taking = (struct taking *)job;
    struct osr_ledger_state *state = taking->state;

    note_checked(state, taking);
    if (!is_over(state, taking)) {
        state->handler.on_checked(state->handler.context, taking->ticket,
                                  (enum osr_code)taking->code);
    }
    free_taking(taking);
}

void osr_ledger_state_write_chunk(struct osr_ledger_state *state, uint64_t ticket,
                                  const struct osr_raft_snapshot *snapshot, uint64_t offset,
                                  struct osr_slice chunk)
{
    struct taking *taking = create(state, ticket, snapshot, work_chunk, done_chunk);

    taking->offset = offset;
    osr_buffer_add(&taking->chunk, chunk.data, chunk.size);
    state->is_taking = true;
    state->is_checked = false;
    state->taken_ms = osr_monotonic_ms();
    osr_ledger_state_wait(state);
    osr_file_worker_submit(state->worker, &taking->job);
}

void osr_ledger_state_check(struct osr_ledger_state *state, uint64_t ticket,
                            const struct osr_raft_snapshot *snapshot)
{
    struct taking *taking = create(state, ticket, snapshot, work_check, done_check);

    assert(!state->is_installing);
    state->is_installing = true;
    state->is_taking = false;
    osr_ledger_making_abandon(state);
    osr_file_worker_submit(state->worker, &taking->job);
}

void osr_ledger_taking_sweep(struct osr_ledger_state *state, uint64_t now_ms)
{
    bool is_idle = state->is_taking && now_ms - state->taken_ms >= OSR_LEDGER_CHUNK_IDLE_MS;
    bool is_overtaken =
        state->is_checked && !state->is_installing && state->applied >= state->snapshot;

    if (!is_idle && !is_overtaken) {
        return;
    }
    state->is_taking = false;
    state->is_checked = false;
    osr_file_worker_submit(state->worker, &create(state, 0, NULL, work_drop, done_drop)->job);
}

void osr_ledger_taking_done(struct osr_ledger_state *state)
{
    drop(&state->taken);
}

/* ---- the values ---- */

static void use(struct osr_ledger_state *state, const struct osr_raft_snapshot *snapshot)
{
    osr_ledger_apply_clear(state);
    state->applied = snapshot->index;
    state->flushed = snapshot->index;
    state->behind_bytes = 0;
    state->is_installing = false;
    osr_ledger_state_set_configuration(state, snapshot->index, snapshot->term,
                                       &snapshot->configuration);
    osr_ledger_machines_restored(state->machines);
}

static void done_load(struct osr_file_job *job)
{
    struct taking *taking = (struct taking *)job;
    struct osr_ledger_state *state = taking->state;

    if (state->is_closing || state->has_failed) {
        osr_values_load_destroy(taking->load);
    } else if (osr_values_file_replace(state->values, taking->load, &taking->err) != 0) {
        osr_ledger_state_fail(state, &taking->err);
    } else {
        use(state, &taking->snapshot);
        state->handler.on_loaded(state->handler.context, taking->ticket);
    }
    free_taking(taking);
}

void osr_ledger_state_load(struct osr_ledger_state *state, uint64_t ticket,
                           const struct osr_raft_snapshot *snapshot)
{
    assert(state->is_checked && !state->is_installing && state->snapshot == snapshot->index);
    state->is_installing = true;
    state->is_checked = false;
    osr_file_worker_submit(state->worker,
                           &create(state, ticket, snapshot, work_load, done_load)->job);
}

static int load_all(struct osr_snapshot_reader *reader, struct osr_values_load *load,
                    struct osr_err *err)
{
    const struct osr_snapshot_about *about = osr_snapshot_reader_about(reader);
    struct osr_buffer piece = {0};
    uint64_t offset = 0;
    int code = 0;

    while (code == 0 && offset < about->size) {
        osr_buffer_clear(&piece);
        code = osr_snapshot_reader_read(reader, offset, OSR_LEDGER_PIECE_BYTES, &piece, err);
        if (code == 0) {
            code = load_bytes(load, offset, osr_buffer_slice(&piece), err);
        }
        offset += piece.size;
    }
    osr_buffer_done(&piece);
    return code != 0 ? code : osr_values_load_finish(load, about->index, err);
}

int osr_ledger_taking_load_now(struct osr_ledger_state *state, struct osr_err *err)
{
    struct osr_values_load *load;
    int code = osr_values_load_create(state->folder, &load, err);

    if (code != 0) {
        return code;
    }
    code = load_all(state->readers[0].file, load, err);
    if (code != 0) {
        osr_values_load_destroy(load);
        return code;
    }
    return osr_values_file_replace(state->values, load, err);
}
