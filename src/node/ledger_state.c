#include "node/ledger_state.h"

#include <assert.h>
#include <stdlib.h>

#include "adapter/clock.h"
#include "adapter/durable_name.h"
#include "node/ledger_state_internal.h"

enum { TICK_MS = 1000 /* while something waits for its time */ };

/* ---- time ---- */

static void on_timer(uv_timer_t *timer)
{
    struct osr_ledger_state *state = timer->data;
    uint64_t now_ms = osr_monotonic_ms();

    osr_ledger_giving_sweep(state, now_ms);
    osr_ledger_taking_sweep(state, now_ms);
    if (now_ms >= state->retry_ms) {
        state->retry_ms = 0;
    }
    osr_ledger_making_review(state);
    osr_ledger_state_wait(state);
}

void osr_ledger_state_wait(struct osr_ledger_state *state)
{
    bool is_needed =
        state->reader_count > 1 || state->is_taking || state->is_checked || state->retry_ms != 0;

    if (is_needed && !state->is_closing && !uv_is_active((uv_handle_t *)&state->timer)) {
        uv_timer_start(&state->timer, on_timer, TICK_MS, 0);
    }
}

/* ---- the values' file ---- */

void osr_ledger_state_fail(struct osr_ledger_state *state, const struct osr_err *err)
{
    if (!state->has_failed && !state->is_closing) {
        state->has_failed = true;
        state->handler.on_failure(state->handler.context, err);
    }
}

static void on_flushed(void *context, uint64_t index)
{
    struct osr_ledger_state *state = context;

    state->flushed = index;
    osr_ledger_history_forget(&state->history, index);
    osr_ledger_making_review(state);
}

static void on_room(void *context)
{
    struct osr_ledger_state *state = context;

    if (!state->is_closing) {
        osr_ledger_apply_continue(state);
    }
}

static void on_values_failure(void *context, const struct osr_err *err)
{
    osr_ledger_state_fail(context, err);
}

/* ---- opening ---- */

static int open_snapshot(struct osr_ledger_state *state, struct osr_raft_snapshot *snapshot,
                         struct osr_err *err)
{
    struct osr_snapshot_reader *reader;
    uint64_t index;
    int code = osr_durable_folder(state->disk, state->folder, err);

    if (code == 0) {
        code = osr_snapshot_find(state->disk, state->snapshots, &index, err);
    }
    if (code != 0 || index == 0) {
        return code;
    }
    code = osr_snapshot_reader_open(state->disk, state->snapshots, index, &reader, err);
    if (code != 0) {
        return code;
    }
    osr_ledger_giving_add(state, reader);
    const struct osr_snapshot_about *about = osr_snapshot_reader_about(reader);
    snapshot->index = about->index;
    snapshot->term = about->term;
    snapshot->size = about->size;
    snapshot->checksum = about->checksum;
    state->snapshot = about->index;
    state->snapshot_size = about->size;
    code = osr_raft_configuration_decode(about->configuration, &snapshot->configuration, err);
    if (code != 0) {
        err->code = OSR_CORRUPT; /* whatever it is in a message, on a disk it is damage */
        return (int)osr_err_prefix(err, "%s: the snapshot's configuration", state->snapshots);
    }
    return 0;
}

/* Where the values stand, against the snapshot and the log. */
static int check_places(const struct osr_ledger_state *state,
                        const struct osr_ledger_state_options *options, struct osr_err *err)
{
    if (state->snapshot < options->base) {
        return (int)osr_err_set(err, OSR_CORRUPT,
                                "%s: the ledger's log begins behind entry %llu, and the newest "
                                "snapshot stands at %llu",
                                state->snapshots, (unsigned long long)options->base,
                                (unsigned long long)state->snapshot);
    }
    if (state->applied > options->last && state->applied > state->snapshot) {
        return (int)osr_err_set(err, OSR_CORRUPT,
                                "%s: the values stand at entry %llu, and the ledger's log ends at "
                                "%llu: one of them is of another time, or of another member",
                                state->folder, (unsigned long long)state->applied,
                                (unsigned long long)options->last);
    }
    return 0;
}

static int open_values(struct osr_ledger_state *state, uv_loop_t *loop,
                       const struct osr_ledger_state_options *options, struct osr_err *err)
{
    const struct osr_values_file_handler handler = {
        .on_flushed = on_flushed,
        .on_room = on_room,
        .on_failure = on_values_failure,
        .context = state,
    };
    int code = osr_values_file_open(loop, state->folder, &handler, &state->trace, &state->values,
                                    &state->applied, err);

    if (code == 0) {
        code = check_places(state, options, err);
    }
    if (code == 0 && state->applied < state->snapshot) {
        osr_trace(&state->trace, OSR_LEVEL_INFO,
                  "ledger: the values stand at %llu, they are loaded from the snapshot at %llu",
                  (unsigned long long)state->applied, (unsigned long long)state->snapshot);
        code = osr_ledger_taking_load_now(state, err);
        state->applied = state->snapshot;
    }
    state->flushed = state->applied;
    return code;
}

static struct osr_ledger_state *create(uv_loop_t *loop,
                                       const struct osr_ledger_state_options *options,
                                       const struct osr_ledger_state_handler *handler)
{
    struct osr_ledger_state *state = osr_alloc(sizeof(*state));

    state->handler = *handler;
    state->trace = options->trace != NULL ? *options->trace : (struct osr_trace){0};
    state->disk = options->disk != NULL ? options->disk : osr_disk_system();
    state->folder = osr_strdup(options->folder);
    state->snapshots = osr_format("%s/snapshots", options->folder);
    state->snapshot_bytes =
        options->snapshot_bytes > 0 ? options->snapshot_bytes : OSR_LEDGER_SNAPSHOT_BYTES;
    state->behind_bytes = options->log_bytes;
    osr_queue_init(&state->waiting, sizeof(struct osr_raft_entry));
    uv_timer_init(loop, &state->timer);
    uv_unref((uv_handle_t *)&state->timer);
    state->timer.data = state;
    return state;
}

int osr_ledger_state_open(uv_loop_t *loop, const struct osr_ledger_state_options *options,
                          const struct osr_ledger_state_handler *handler,
                          struct osr_ledger_state **ret_state,
                          struct osr_raft_snapshot *ret_snapshot, uint64_t *ret_applied,
                          struct osr_err *err)
{
    struct osr_raft_snapshot *snapshot = osr_alloc(sizeof(*snapshot));
    struct osr_ledger_state *state = create(loop, options, handler);
    int code = open_snapshot(state, snapshot, err);

    if (code == 0) {
        code = open_values(state, loop, options, err);
    }
    if (code == 0) {
        code = osr_file_worker_create(loop, "snapshot", &state->worker, err);
    }
    if (code == 0) {
        state->machines =
            osr_ledger_machines_create(options->machines, options->machine_count, state->values);
        osr_ledger_machines_restored(state->machines);
        *ret_state = state;
        *ret_snapshot = *snapshot;
        *ret_applied = state->applied;
    } else {
        if (code == OSR_CORRUPT) {
            osr_err_hint(err,
                         "on another member run `osiris cluster remove NAME` for this one, then "
                         "start it once with --ledger rejoin");
        }
        osr_ledger_state_close(state);
    }
    free(snapshot);
    return code;
}

/* ---- closing ---- */

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void osr_ledger_state_close(struct osr_ledger_state *state)
{
    if (state == NULL) {
        return;
    }
    state->is_closing = true;
    osr_ledger_making_abandon(state);
    osr_file_worker_destroy(state->worker);
    osr_ledger_giving_done(state);
    osr_ledger_taking_done(state);
    osr_values_file_close(state->values);
    osr_ledger_machines_destroy(state->machines);
    osr_ledger_apply_clear(state);
    osr_queue_done(&state->waiting);
    osr_ledger_history_done(&state->history);
    osr_buffer_done(&state->reply);
    free(state->snapshots);
    free(state->folder);
    uv_close((uv_handle_t *)&state->timer, on_timer_closed);
}

/* ---- asking ---- */

void osr_ledger_state_set_configuration(struct osr_ledger_state *state, uint64_t index,
                                        uint64_t term,
                                        const struct osr_raft_configuration *configuration)
{
    osr_ledger_history_set(&state->history, index, term, configuration);
}

struct osr_values *osr_ledger_state_values(struct osr_ledger_state *state,
                                           enum osr_machine_id machine)
{
    return osr_ledger_machines_values(state->machines, machine);
}

uint64_t osr_ledger_state_applied(const struct osr_ledger_state *state)
{
    return state->applied;
}

void osr_ledger_state_info(const struct osr_ledger_state *state,
                           struct osr_ledger_state_info *ret_info)
{
    *ret_info = (struct osr_ledger_state_info){
        .applied = state->applied,
        .flushed = state->flushed,
        .snapshot = state->snapshot,
        .snapshot_size = state->snapshot_size,
        .is_making = state->making != NULL || state->flush_wanted != 0,
        .is_loading = state->is_installing,
        .is_busy = osr_values_file_is_busy(state->values) || state->retry_ms != 0,
    };
}
