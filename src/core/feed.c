/* Life of the core, and which part an event goes to. */
#include "core/feed_internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    RETRY_MS_DEFAULT = 500,
    HEARTBEAT_MS_DEFAULT = 2000,
    SILENCE_MS_DEFAULT = 10000,
    BATCH_BYTES_DEFAULT = 256 << 10,
    /* Of the outputs of one step: enough to restate every feed to every peer. */
    ARENA_KEEP_BYTES = 64 << 10,
    ARENA_BYTES_MAX = 256 << 20,
};

void osr_feed_options_init(struct osr_feed_options *options)
{
    *options = (struct osr_feed_options){
        .peers_max = OSR_PEERS_MAX,
        .window_bytes = OSR_WINDOW_BYTES,
        .batch_bytes = BATCH_BYTES_DEFAULT,
        .pending_bytes_max = OSR_PENDING_BYTES_MAX,
        .retry_ms = RETRY_MS_DEFAULT,
        .heartbeat_ms = HEARTBEAT_MS_DEFAULT,
        .silence_ms = SILENCE_MS_DEFAULT,
    };
}

static int check_options(const struct osr_feed_options *options, struct osr_err *err)
{
    if (strlen(options->cluster) > OSR_CLUSTER_BYTES_MAX) {
        return osr_err_set(err, OSR_CONFIG, "cluster: longer than %d bytes", OSR_CLUSTER_BYTES_MAX);
    }
    if (strlen(options->name) > OSR_NAME_BYTES_MAX) {
        return osr_err_set(err, OSR_CONFIG, "name: longer than %d bytes", OSR_NAME_BYTES_MAX);
    }
    if (options->peers_max == 0 || options->peers_max > OSR_PEERS_MAX) {
        return osr_err_set(err, OSR_CONFIG, "peers_max: %u is not in 1 to %d", options->peers_max,
                           OSR_PEERS_MAX);
    }
    if (options->batch_bytes == 0 || options->batch_bytes > OSR_BATCH_BYTES_MAX) {
        return osr_err_set(err, OSR_CONFIG, "batch_bytes: %u is not in 1 to %d",
                           options->batch_bytes, OSR_BATCH_BYTES_MAX);
    }
    if (options->window_bytes < options->batch_bytes) {
        return osr_err_set(err, OSR_CONFIG, "window_bytes: %u is less than one batch",
                           options->window_bytes);
    }
    if (options->retry_ms == 0 || options->heartbeat_ms == 0 ||
        options->silence_ms <= 2 * options->heartbeat_ms) {
        return osr_err_set(err, OSR_CONFIG,
                           "silence_ms: %u is not more than two heartbeats of %u ms",
                           options->silence_ms, options->heartbeat_ms);
    }
    return 0;
}

int osr_feed_create(const struct osr_feed_options *options, struct osr_feed **ret_feed,
                    struct osr_err *err)
{
    if (check_options(options, err) != 0) {
        return osr_err_prefix(err, "feed");
    }
    struct osr_feed *core = osr_alloc(sizeof(*core));
    core->options = *options;
    snprintf(core->cluster, sizeof(core->cluster), "%s", options->cluster);
    snprintf(core->name, sizeof(core->name), "%s", options->name);
    osr_instance_id(core->instance, &options->public_key);
    core->options.cluster = core->cluster;
    core->options.name = core->name;
    core->deadline_ms = UINT64_MAX;
    /* The boot is random and known to linked peers alone, who are trusted not to slow us. */
    core->replica_by_id = osr_map_create(osr_get_u64(options->boot));
    core->slot_count = options->peers_max + OSR_LEDGER_LINKS_MAX;
    core->peers = osr_alloc(core->slot_count * sizeof(core->peers[0]));
    core->parties = osr_alloc(OSR_FEED_PARTIES_MAX * sizeof(core->parties[0]));
    core->arena = osr_arena_create(ARENA_KEEP_BYTES, ARENA_BYTES_MAX);
    osr_feed_own_init(core);
    *ret_feed = core;
    return 0;
}

void osr_feed_destroy(struct osr_feed *core)
{
    if (core == NULL) {
        return;
    }
    for (size_t i = 0; i < core->replica_count; i++) {
        osr_feed_replica_destroy(core, core->replicas[i]);
    }
    for (uint32_t i = 0; i < core->slot_count; i++) {
        if (core->peers[i] != NULL) {
            osr_feed_session_destroy(core->peers[i]);
        }
    }
    osr_feed_own_done(core);
    osr_batch_done(&core->incoming);
    osr_buffer_done(&core->scratch);
    osr_map_destroy(core->replica_by_id);
    osr_arena_destroy(core->arena);
    free(core->replicas);
    free(core->peers);
    free(core->parties);
    free(core->operations);
    free(core->outputs);
    free(core);
}

void osr_feed_arm(struct osr_feed *core, uint64_t at_ms)
{
    if (at_ms < core->deadline_ms) {
        core->deadline_ms = at_ms;
    }
}

uint64_t osr_feed_retry_ms(const struct osr_feed *core, uint32_t attempts)
{
    uint32_t doublings = attempts < OSR_FEED_ATTEMPTS_MAX ? attempts : OSR_FEED_ATTEMPTS_MAX;
    return (uint64_t)core->options.retry_ms << doublings;
}

void osr_feed_say(const struct osr_feed *core, enum osr_level level, const char *format, ...)
{
    const struct osr_trace *trace = &core->options.trace;
    if (trace->write == NULL || level > trace->level) {
        return;
    }
    char text[OSR_ERR_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    osr_trace(trace, level, "[%s] %s", core->name, text);
}

/* ---- events ---- */

static void on_stored(struct osr_feed *core, uint64_t ticket, enum osr_code code)
{
    struct operation operation;
    if (!osr_feed_operation_end(core, ticket, &operation) ||
        operation.era != operation.replica->era) {
        return;
    }
    switch (operation.kind) {
    case OPERATION_STORE_OWN:
        osr_feed_own_stored(core, operation.replica->own, code);
        break;
    case OPERATION_STORE:
        osr_feed_receive_stored(core, operation.replica, operation.receipt_id, code);
        break;
    default:
        assert(operation.kind == OPERATION_TRUNCATE);
        osr_feed_receive_truncated(core, operation.replica, code);
        break;
    }
}

static void on_signed(struct osr_feed *core, uint64_t ticket, const struct osr_signature *signature)
{
    struct operation operation;
    if (!osr_feed_operation_end(core, ticket, &operation)) {
        return;
    }
    if (operation.kind == OPERATION_SIGN_PROOF) {
        struct peer *peer = osr_feed_session_by_serial(core, operation.peer_serial);
        if (peer != NULL) {
            osr_feed_greeting_signed(core, peer, signature);
        }
    } else if (operation.kind == OPERATION_SIGN_RESTORED) {
        osr_feed_restore_signed(core, operation.replica, signature);
    } else if (operation.era == operation.replica->era) {
        assert(operation.kind == OPERATION_SIGN_OWN);
        osr_feed_own_signed(core, operation.replica->own, signature);
    }
}

static void on_verified(struct osr_feed *core, uint64_t ticket, bool valid)
{
    struct operation operation;
    if (!osr_feed_operation_end(core, ticket, &operation)) {
        return;
    }
    struct peer *peer = osr_feed_session_by_serial(core, operation.peer_serial);
    if (operation.kind == OPERATION_VERIFY_PROOF) {
        if (peer != NULL) {
            osr_feed_greeting_verified(core, peer, valid);
        }
    } else if (operation.kind == OPERATION_VERIFY_FORK) {
        if (peer != NULL) {
            osr_feed_receive_fork_verified(core, operation.replica, peer, valid);
        }
    } else if (operation.kind == OPERATION_VERIFY_RESTORED) {
        osr_feed_restore_verified(core, operation.replica, valid);
    } else if (operation.era == operation.replica->era) {
        assert(operation.kind == OPERATION_VERIFY);
        osr_feed_receive_verified(core, operation.replica, operation.receipt_id, valid);
    }
}

static void on_read_done(struct osr_feed *core, uint64_t ticket, Osr__Update *update, size_t bytes)
{
    struct operation operation;
    if (!osr_feed_operation_end(core, ticket, &operation)) {
        return;
    }
    assert(operation.kind == OPERATION_READ);
    struct peer *peer = osr_feed_session_by_serial(core, operation.peer_serial);
    if (peer != NULL && peer->state == PEER_UP) {
        osr_feed_lead_read_done(core, operation.replica, peer, ticket, update, bytes);
    }
}

static void on_tick(struct osr_feed *core)
{
    core->deadline_ms = UINT64_MAX;
    core->unannounced = true; /* who had to wait may be told now */
    for (uint32_t i = 0; i < core->slot_count; i++) {
        if (core->peers[i] != NULL) {
            osr_feed_session_tick(core, core->peers[i]);
        }
    }
    for (size_t i = 0; i < core->replica_count; i++) {
        struct replica *replica = core->replicas[i];
        osr_feed_receive_tick(core, replica);
        osr_feed_follow_review(core, replica);
        osr_feed_lead_tick(core, replica);
    }
    osr_feed_own_tick(core);
}

static void dispatch(struct osr_feed *core, const struct osr_feed_event *event)
{
    struct peer *peer;
    switch (event->type) {
    case OSR_FEED_START:
        core->started = true;
        osr_feed_restore(core, event->start.feeds, event->start.count);
        break;
    case OSR_FEED_WRITE:
        osr_feed_own_write(core, &event->write);
        break;
    case OSR_FEED_FLUSH:
        osr_feed_own_flush(core);
        break;
    case OSR_FEED_STORED:
        on_stored(core, event->stored.ticket, event->stored.code);
        break;
    case OSR_FEED_SIGNED:
        on_signed(core, event->is_signed.ticket, &event->is_signed.signature);
        break;
    case OSR_FEED_VERIFIED:
        on_verified(core, event->verified.ticket, event->verified.valid);
        break;
    case OSR_FEED_READ_DONE:
        on_read_done(core, event->read_done.ticket, event->read_done.update,
                     event->read_done.bytes);
        break;
    case OSR_FEED_PEER_UP:
        osr_feed_session_up(core, event);
        break;
    case OSR_FEED_PEER_DOWN:
        if ((peer = osr_feed_session_find(core, event->peer_down.peer)) != NULL) {
            osr_feed_session_down(core, peer);
        }
        break;
    case OSR_FEED_FRAME:
        if ((peer = osr_feed_session_find(core, event->frame.peer)) != NULL) {
            osr_feed_session_frame(core, peer, event->frame.frame);
        }
        break;
    case OSR_FEED_RESEND:
        peer = osr_feed_session_find(core, event->resend.peer);
        if (peer != NULL && peer->purpose == OSR__LINK_PURPOSE__FOR_FEEDS) {
            osr_feed_lead_rewind(core, peer, event->resend.from_sequence);
        }
        break;
    case OSR_FEED_ACCESS_CHANGED:
        osr_feed_access_review(core);
        break;
    case OSR_FEED_TICK:
        on_tick(core);
        break;
    }
}

void osr_feed_step(struct osr_feed *core, const struct osr_feed_event *event,
                   struct osr_feed_outputs *outputs)
{
    assert(core->started != (event->type == OSR_FEED_START));
    core->now_ms = event->now_ms;
    core->time_ms = event->time_ms;
    core->output_count = 0;
    osr_arena_reset(core->arena);
    dispatch(core, event);
    osr_feed_own_seal(core);
    osr_feed_lead_announce(core);
    outputs->items = core->outputs;
    outputs->count = core->output_count;
}

/* ---- information ---- */

uint64_t osr_feed_deadline_ms(const struct osr_feed *core)
{
    return core->deadline_ms;
}

size_t osr_feed_backlog(const struct osr_feed *core)
{
    size_t bytes = 0;
    for (size_t i = 0; i < OSR_STREAM_COUNT; i++) {
        bytes += core->own[i].pending_bytes;
    }
    return bytes;
}

const char *osr_feed_instance(const struct osr_feed *core)
{
    return core->instance;
}

size_t osr_feed_count(const struct osr_feed *core)
{
    return core->replica_count;
}

void osr_feed_info(const struct osr_feed *core, size_t index, struct osr_feed_info *ret_info)
{
    assert(index < core->replica_count);
    const struct replica *replica = core->replicas[index];
    *ret_info = (struct osr_feed_info){.id = replica->id,
                                       .sequence = replica->head.sequence,
                                       .received = replica->received,
                                       .known = replica->received,
                                       .chain = replica->head.chain,
                                       .stream = replica->stream,
                                       .own = replica->own != NULL};
    for (size_t i = 0; i < core->party_count; i++) {
        if (replica->holdings[i].sequence > ret_info->known) {
            ret_info->known = replica->holdings[i].sequence;
        }
    }
}

size_t osr_feed_follower_count(const struct osr_feed *core, size_t index)
{
    assert(index < core->replica_count);
    size_t count = 0;
    for (size_t i = 0; i < core->party_count; i++) {
        count += core->replicas[index]->holdings[i].stated;
    }
    return count;
}

void osr_feed_follower_info(const struct osr_feed *core, size_t index, size_t follower,
                            struct osr_follower_info *ret_info)
{
    assert(index < core->replica_count);
    const struct replica *replica = core->replicas[index];
    size_t i = 0;
    for (; i < core->party_count; i++) {
        if (replica->holdings[i].stated && follower-- == 0) {
            break;
        }
    }
    assert(i < core->party_count);
    const struct party *party = &core->parties[i];
    *ret_info = (struct osr_follower_info){.peer = UINT32_MAX,
                                           .acked = replica->holdings[i].sequence,
                                           .sent = replica->holdings[i].sequence};
    memcpy(ret_info->instance, party->instance, sizeof(ret_info->instance));
    memcpy(ret_info->name, party->name, sizeof(ret_info->name));
    if (party->peer != NULL) {
        ret_info->peer = party->peer->number;
        uint64_t sent = osr_feed_channel(replica, party->peer)->sent;
        ret_info->sent = sent > ret_info->sent ? sent : ret_info->sent;
    }
}
