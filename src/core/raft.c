/* Life of the core, and which part an event goes to. */
#include "core/raft_internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ELECTION_TIMEOUT_MS_DEFAULT = 1000,
    HEARTBEAT_MS_DEFAULT = 100,
    COMMAND_BYTES_DEFAULT = OSR_RAFT_COMMAND_BYTES_MAX,
    MESSAGE_BYTES_DEFAULT = 256 << 10,
    WINDOW_MESSAGES_DEFAULT = 64,
    WINDOW_BYTES_DEFAULT = 4 << 20,
    PENDING_BYTES_DEFAULT = 32 << 20,
    PENDING_ENTRIES_DEFAULT = 64 << 10,
    READS_DEFAULT = 16 << 10,
    APPLY_BYTES_DEFAULT = 4 << 20,
    CACHE_BYTES_DEFAULT = 8 << 20, /* twice a window */
    CHUNK_BYTES_DEFAULT = 256 << 10,
    CAUGHT_UP_ENTRIES_DEFAULT = 4096,
    /* Of the outputs of one step: copies of entries for APPLY and for each member. */
    ARENA_KEEP_BYTES = 1 << 20,
    ARENA_BYTES_MAX = 1 << 30,
};

void osr_raft_options_init(struct osr_raft_options *options)
{
    *options = (struct osr_raft_options){
        .election_timeout_ms = ELECTION_TIMEOUT_MS_DEFAULT,
        .heartbeat_ms = HEARTBEAT_MS_DEFAULT,
        .command_bytes_max = COMMAND_BYTES_DEFAULT,
        .message_bytes_max = MESSAGE_BYTES_DEFAULT,
        .window_messages = WINDOW_MESSAGES_DEFAULT,
        .window_bytes = WINDOW_BYTES_DEFAULT,
        .pending_bytes_max = PENDING_BYTES_DEFAULT,
        .pending_entries_max = PENDING_ENTRIES_DEFAULT,
        .reads_max = READS_DEFAULT,
        .apply_bytes = APPLY_BYTES_DEFAULT,
        .cache_bytes = CACHE_BYTES_DEFAULT,
        .chunk_bytes = CHUNK_BYTES_DEFAULT,
        .caught_up_entries = CAUGHT_UP_ENTRIES_DEFAULT,
    };
}

static int check_options(const struct osr_raft_options *options, struct osr_err *err)
{
    if (options->member == 0) {
        return osr_err_set(err, OSR_CONFIG, "member: 0 is nobody's id");
    }
    if (options->heartbeat_ms == 0 || options->election_timeout_ms / 2 < options->heartbeat_ms) {
        return osr_err_set(err, OSR_CONFIG,
                           "election_timeout_ms: %u is less than two heartbeats of %u ms",
                           options->election_timeout_ms, options->heartbeat_ms);
    }
    if (options->message_bytes_max == 0 || options->window_messages == 0 ||
        options->window_bytes == 0 || options->chunk_bytes == 0 || options->apply_bytes == 0) {
        return osr_err_set(err, OSR_CONFIG, "a message, window, chunk or batch of nothing");
    }
    if (options->command_bytes_max > OSR_RAFT_COMMAND_BYTES_MAX ||
        options->message_bytes_max > OSR_RAFT_MESSAGE_BYTES_MAX ||
        options->chunk_bytes > OSR_RAFT_MESSAGE_BYTES_MAX) {
        return osr_err_set(err, OSR_CONFIG,
                           "a command over %d bytes, a message or chunk over %d bytes",
                           OSR_RAFT_COMMAND_BYTES_MAX, OSR_RAFT_MESSAGE_BYTES_MAX);
    }
    if (options->command_bytes_max > options->pending_bytes_max ||
        options->pending_entries_max == 0) {
        return osr_err_set(err, OSR_CONFIG, "pending_bytes_max: %u is less than one command",
                           options->pending_bytes_max);
    }
    return 0;
}

static void init_queues(struct osr_raft *raft)
{
    osr_queue_init(&raft->held, sizeof(struct osr_raft_message));
    osr_queue_init(&raft->stores, sizeof(struct store));
    osr_queue_init(&raft->applying, sizeof(struct given));
    osr_queue_init(&raft->draft.entries, sizeof(struct draft_entry));
    osr_queue_init(&raft->pending, sizeof(struct pending));
    osr_queue_init(&raft->configured, sizeof(struct configured));
    osr_queue_init(&raft->reads, sizeof(struct read));
    osr_queue_init(&raft->remote_reads, sizeof(struct remote_read));
    osr_raft_log_init(&raft->log);
}

int osr_raft_create(const struct osr_raft_options *options, struct osr_raft **ret_raft,
                    struct osr_err *err)
{
    if (check_options(options, err) != 0) {
        return osr_err_prefix(err, "raft");
    }
    struct osr_raft *raft = osr_alloc(sizeof(*raft));
    raft->options = *options;
    osr_random_init(&raft->random, options->seed);
    /* Not what an earlier life of this member asked: an answer to that would be too old. */
    raft->request_first = osr_random_u64(&raft->random) / 2;
    raft->request_last = raft->request_first;
    raft->request_answered = raft->request_first;
    raft->arena = osr_arena_create(ARENA_KEEP_BYTES, ARENA_BYTES_MAX);
    init_queues(raft);
    *ret_raft = raft;
    return 0;
}

static void release_stores(struct osr_raft *raft)
{
    for (size_t i = 0; i < raft->stores.count; i++) {
        const struct store *store = osr_queue_at(&raft->stores, i);
        if (store->block != NULL) {
            osr_raft_block_release(raft, store->block);
        }
    }
    osr_queue_done(&raft->stores);
}

void osr_raft_destroy(struct osr_raft *raft)
{
    if (raft == NULL) {
        return;
    }
    release_stores(raft);
    osr_raft_log_done(raft);
    osr_raft_block_close(raft);
    osr_raft_block_free_released(raft);
    osr_raft_peers_done(raft);
    osr_raft_members_done(raft);
    osr_queue_done(&raft->held);
    osr_queue_done(&raft->applying);
    osr_queue_done(&raft->draft.entries);
    osr_buffer_done(&raft->draft.bytes);
    osr_queue_done(&raft->pending);
    osr_queue_done(&raft->reads);
    osr_queue_done(&raft->remote_reads);
    osr_arena_destroy(raft->arena);
    free(raft->outputs);
    free(raft);
}

void osr_raft_say(const struct osr_raft *raft, enum osr_level level, const char *format, ...)
{
    const struct osr_trace *trace = &raft->options.trace;
    if (trace->write == NULL || level > trace->level) {
        return;
    }
    char text[OSR_ERR_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    osr_trace(trace, level, "[ledger] %s", text);
}

/* ---- events ---- */

static void on_fetched(struct osr_raft *raft, uint64_t ticket, const struct osr_raft_entry *entries,
                       size_t count)
{
    if (ticket == raft->apply_ticket) {
        osr_raft_commit_fetched(raft, entries, count);
        return;
    }
    for (size_t i = 0; i < raft->peer_count; i++) {
        if (raft->peers[i].fetch_ticket == ticket) {
            osr_raft_lead_fetched(raft, &raft->peers[i], entries, count);
            return;
        }
    }
}

static void on_flush(struct osr_raft *raft)
{
    if (raft->role == OSR_RAFT_LEADER) {
        osr_raft_lead_flush(raft);
    }
    osr_raft_read_flush(raft);
}

static void on_tick(struct osr_raft *raft)
{
    osr_raft_transfer_tick(raft);
    osr_raft_lead_tick(raft);
    osr_raft_election_tick(raft);
    osr_raft_read_tick(raft);
    osr_raft_commit_apply(raft);
}

static void dispatch(struct osr_raft *raft, const struct osr_raft_event *event)
{
    switch (event->type) {
    case OSR_RAFT_START:
        raft->is_started = true;
        osr_raft_restore(raft, event->start);
        break;
    case OSR_RAFT_PROPOSE:
        osr_raft_lead_propose(raft, event->propose.token, event->propose.command);
        break;
    case OSR_RAFT_CHANGE:
        osr_raft_members_change(raft, event->change.token, event->change.change);
        break;
    case OSR_RAFT_READ:
        osr_raft_read(raft, event->read.token);
        break;
    case OSR_RAFT_FLUSH:
        on_flush(raft);
        break;
    case OSR_RAFT_MESSAGE:
        osr_raft_take_message(raft, event->message);
        break;
    case OSR_RAFT_UNREACHABLE:
        osr_raft_lead_unreachable(raft, event->unreachable.member);
        break;
    case OSR_RAFT_STORED:
        osr_raft_stored(raft, event->stored.ticket, event->stored.code);
        break;
    case OSR_RAFT_FETCHED:
        on_fetched(raft, event->fetched.ticket, event->fetched.entries, event->fetched.count);
        break;
    case OSR_RAFT_APPLIED:
        osr_raft_commit_applied(raft, event->applied.index);
        break;
    case OSR_RAFT_SNAPSHOT_MADE:
        osr_raft_snapshot_made(raft, event->snapshot_made);
        break;
    case OSR_RAFT_CHUNK_READ:
        osr_raft_snapshot_read(raft, event->chunk_read.ticket, event->chunk_read.chunk);
        break;
    case OSR_RAFT_CHUNK_WRITTEN:
        osr_raft_install_written(raft, event->chunk_written.ticket, event->chunk_written.code);
        break;
    case OSR_RAFT_INSTALLED:
        osr_raft_installed(raft, event->installed.ticket, event->installed.code);
        break;
    case OSR_RAFT_TRANSFER:
        osr_raft_transfer(raft, event->transfer.token, event->transfer.target);
        break;
    case OSR_RAFT_TICK:
        on_tick(raft);
        break;
    }
}

struct standing {
    enum osr_raft_role role;
    uint64_t term;
    uint64_t leader;
    uint32_t changes;
};

static struct standing standing_of(const struct osr_raft *raft)
{
    return (struct standing){raft->role, raft->vote.term, raft->leader, raft->changes};
}

static void report(struct osr_raft *raft, const struct standing *before)
{
    const struct standing now = standing_of(raft);
    bool is_other =
        now.role != before->role || now.term != before->term || now.leader != before->leader;
    if (is_other) {
        raft->since_ms = raft->now_ms;
    }
    if (is_other || now.changes != before->changes) {
        osr_raft_put_out(raft, OSR_RAFT_OUT_ROLE);
    }
}

void osr_raft_step(struct osr_raft *raft, const struct osr_raft_event *event,
                   struct osr_raft_outputs *outputs)
{
    assert(raft->is_started != (event->type == OSR_RAFT_START));
    raft->now_ms = event->now_ms;
    osr_raft_output_begin(raft);
    const struct standing before = standing_of(raft);
    dispatch(raft, event);
    osr_raft_store_vote(raft);
    osr_raft_log_trim(raft);
    report(raft, &before);
    outputs->items = raft->outputs;
    outputs->count = raft->output_count;
}

uint64_t osr_raft_deadline_ms(const struct osr_raft *raft)
{
    uint64_t deadline =
        osr_raft_min(osr_raft_election_deadline(raft), osr_raft_lead_deadline(raft));
    deadline = osr_raft_min(deadline, osr_raft_read_deadline(raft));
    if (raft->transfer.token != 0) {
        deadline = osr_raft_min(deadline, raft->transfer.until_ms);
    }
    if (raft->is_vote_unstored && raft->vote_stores == 0) {
        deadline = osr_raft_min(deadline, raft->vote_retry_ms);
    }
    if (raft->now_ms < raft->apply_retry_ms) {
        deadline = osr_raft_min(deadline, raft->apply_retry_ms);
    }
    return deadline;
}

/* ---- information ---- */

void osr_raft_info(const struct osr_raft *raft, struct osr_raft_info *ret_info)
{
    *ret_info = (struct osr_raft_info){
        .role = raft->role,
        .term = raft->vote.term,
        .durable_term = raft->durable_vote.term,
        .leader = raft->leader,
        .since_ms = raft->since_ms,
        .base = raft->log.base,
        .last = raft->log.last,
        .durable = raft->log.durable,
        .commit = raft->commit,
        .applied = raft->applied,
        .snapshot = raft->snapshot.index,
        .configured_at = raft->configured_at,
        .is_changing = raft->configured_at > raft->commit,
        .is_transferring = raft->transfer.token != 0,
        .refused = raft->refused,
    };
}

const struct osr_raft_configuration *osr_raft_members(const struct osr_raft *raft)
{
    return &raft->configuration;
}

size_t osr_raft_peer_count(const struct osr_raft *raft)
{
    return raft->peer_count;
}

void osr_raft_peer_info(const struct osr_raft *raft, size_t index,
                        struct osr_raft_peer_info *ret_info)
{
    assert(index < raft->peer_count);
    const struct peer *peer = &raft->peers[index];
    *ret_info = (struct osr_raft_peer_info){
        .id = peer->id,
        .progress = peer->progress,
        .matched = peer->matched,
        .next = peer->next,
        .in_flight = peer->flight.count,
        .heard_ms = peer->heard_ms,
        .chunk_offset = peer->offset,
    };
}

size_t osr_raft_backlog(const struct osr_raft *raft)
{
    const struct osr_raft_options *options = &raft->options;
    size_t entry_share = options->pending_bytes_max / options->pending_entries_max;
    return (size_t)osr_raft_max(raft->pending_bytes, raft->pending_entries * entry_share);
}
