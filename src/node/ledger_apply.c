/* Applying committed entries to the machines' values, while there is memory for them. */
#include <assert.h>
#include <stdlib.h>

#include "node/ledger_state_internal.h"

enum { ENTRY_BYTES = 48 /* that the log needs besides a payload, about */ };

static int apply_command(struct osr_ledger_state *state, const struct osr_raft_entry *entry,
                         struct osr_err *err)
{
    struct osr_ledger_command command;
    enum osr_code said;
    int code = osr_ledger_command_decode(entry->payload, &command, err);

    if (code == OSR_MALFORMED) {
        osr_trace(&state->trace, OSR_LEVEL_WARNING, "ledger: entry %llu is passed over: %s",
                  (unsigned long long)entry->index, err->message);
        return 0;
    }
    if (code == 0) {
        osr_buffer_clear(&state->reply);
        code = osr_ledger_machines_apply(state->machines, entry->index, &command, &state->reply,
                                         &said, err);
    }
    if (code == 0 && !state->has_failed) { /* else its values could not be read, and it has erred */
        osr_values_file_advance(state->values, entry->index);
        state->applied = entry->index;
        state->handler.on_command(state->handler.context, entry, &command, said,
                                  osr_buffer_slice(&state->reply));
    }
    return code;
}

static void apply_entry(struct osr_ledger_state *state, const struct osr_raft_entry *entry)
{
    struct osr_err err;
    int code = 0;

    assert(entry->index == state->applied + 1);
    osr_ledger_history_note(&state->history, entry);
    state->behind_bytes += ENTRY_BYTES + entry->payload.size;
    if (entry->kind == OSR_RAFT_COMMAND) {
        code = apply_command(state, entry, &err);
    }
    if (code != 0) {
        osr_err_hint(&err, "upgrade this member: its values stay as they are until then");
        osr_ledger_state_fail(state, &err);
        return;
    }
    if (state->applied < entry->index && !state->has_failed) {
        osr_values_file_advance(state->values, entry->index);
        state->applied = entry->index;
    }
}

static bool can_apply(const struct osr_ledger_state *state)
{
    return !state->has_failed && !osr_values_file_is_busy(state->values);
}

static void keep(struct osr_ledger_state *state, const struct osr_raft_entry *entry)
{
    struct osr_raft_entry *kept = osr_queue_push(&state->waiting);
    uint8_t *payload = osr_alloc_unset(entry->payload.size);

    if (entry->payload.size > 0) {
        memcpy(payload, entry->payload.data, entry->payload.size);
    }
    *kept = *entry;
    kept->payload.data = payload;
}

static void drop_first(struct osr_ledger_state *state)
{
    struct osr_raft_entry *first = osr_queue_front(&state->waiting);
    free((void *)first->payload.data);
    osr_queue_pop(&state->waiting);
}

void osr_ledger_apply_clear(struct osr_ledger_state *state)
{
    while (state->waiting.count > 0) {
        drop_first(state);
    }
}

/* Last, as the owner may come back with more at once. */
static void say_applied(struct osr_ledger_state *state, uint64_t before)
{
    if (state->applied > before && !state->has_failed) {
        osr_ledger_making_review(state);
        state->handler.on_applied(state->handler.context, state->applied);
    }
}

void osr_ledger_state_apply(struct osr_ledger_state *state, const struct osr_raft_entry *entries,
                            size_t count)
{
    uint64_t before = state->applied;

    for (size_t i = 0; i < count && !state->has_failed; i++) {
        if (state->waiting.count == 0 && can_apply(state)) {
            apply_entry(state, &entries[i]);
        } else {
            keep(state, &entries[i]);
        }
    }
    say_applied(state, before);
}

void osr_ledger_apply_continue(struct osr_ledger_state *state)
{
    uint64_t before = state->applied;

    while (state->waiting.count > 0 && can_apply(state)) {
        /* A copy, as more may come to wait while the owner hears of it. */
        const struct osr_raft_entry entry =
            *(struct osr_raft_entry *)osr_queue_front(&state->waiting);
        apply_entry(state, &entry);
        drop_first(state);
    }
    say_applied(state, before);
}
