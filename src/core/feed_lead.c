/* Sending committed entries of any feed held to those who asked for it, and saying to everybody
 * else how far it is held.
 *
 * For each feed and follower: one READ at a time from the log, what was read is sent, up to
 * window_bytes are in flight. If nothing is acknowledged for retry_ms everything from the last
 * acknowledged entry is sent again, first one batch as a probe. A FETCH says where the
 * follower's durable copy ends, whatever was sent before. */
#include "core/feed_internal.h"

#include <assert.h>

/* ---- sending ---- */

static void forget_in_flight(struct channel *channel)
{
    osr_queue_clear(&channel->in_flight);
    channel->in_flight_bytes = 0;
    channel->read_ticket = 0; /* what it brings is not wanted any more */
}

/* Whether the follower may be sent more now. */
static bool may_read(const struct osr_feed *core, const struct replica *replica,
                     const struct channel *channel)
{
    return channel->subscribed && !replica->restoring && channel->read_ticket == 0 &&
           channel->reads < OSR_FEED_READS_MAX && channel->sent < replica->head.sequence &&
           channel->in_flight_bytes < core->options.window_bytes &&
           !(channel->probing && channel->in_flight.count > 0) &&
           core->now_ms >= channel->blocked_until_ms;
}

static void pump(struct osr_feed *core, struct replica *replica, struct peer *peer)
{
    struct channel *channel = osr_feed_channel(replica, peer);
    if (peer->state != PEER_UP || !may_read(core, replica, channel)) {
        return;
    }
    struct operation *operation;
    channel->read_ticket = osr_feed_operation_begin(core, OPERATION_READ, &operation);
    operation->replica = replica;
    operation->peer_serial = peer->serial;
    channel->reads++;
    size_t room = core->options.window_bytes - channel->in_flight_bytes;
    struct osr_feed_output *output = osr_feed_put_out(core, OSR_FEED_OUT_READ);
    output->read.ticket = channel->read_ticket;
    output->read.feed = &replica->id;
    output->read.first = channel->sent + 1;
    output->read.last = replica->head.sequence;
    output->read.bytes_max = room < OSR_BATCH_BYTES_MAX ? room : OSR_BATCH_BYTES_MAX;
    output->read.last_chain = replica->head.chain;
    output->read.last_signature = replica->head.signature;
}

static void send_update(struct osr_feed *core, struct replica *replica, struct peer *peer,
                        Osr__Update *update)
{
    update->origin = replica->id.origin;
    update->stream = replica->id.stream;
    update->epoch = replica->id.epoch;
    update->first_sequence = update->entries[0]->sequence;
    update->public_key =
        osr_feed_binary(replica->public_key.bytes, sizeof(replica->public_key.bytes));
    Osr__Frame *frame = osr_feed_make_frame(core, OSR__FRAME__BODY_UPDATE);
    frame->update = update;
    osr_feed_send(core, peer, frame);
}

void osr_feed_lead_read_done(struct osr_feed *core, struct replica *replica, struct peer *peer,
                             uint64_t ticket, Osr__Update *update, size_t bytes)
{
    struct channel *channel = osr_feed_channel(replica, peer);
    channel->reads--;
    if (channel->read_ticket != ticket) {
        pump(core, replica, peer); /* it was rewound since */
        return;
    }
    channel->read_ticket = 0;
    if (update == NULL || update->n_entries == 0) {
        osr_feed_say(core, OSR_LEVEL_ERROR, "%s: nothing could be read from %llu on",
                     replica->label, (unsigned long long)channel->sent + 1);
        channel->blocked_until_ms = core->now_ms + core->options.retry_ms;
        osr_feed_arm(core, channel->blocked_until_ms);
        return;
    }
    assert(update->entries[0]->sequence == channel->sent + 1);
    if (channel->in_flight.count == 0) {
        channel->progress_ms = core->now_ms;
        osr_feed_arm(core, core->now_ms + osr_feed_retry_ms(core, channel->attempts));
    }
    channel->sent += update->n_entries;
    struct sent_batch *batch = osr_queue_push(&channel->in_flight);
    *batch = (struct sent_batch){.last = channel->sent, .bytes = bytes};
    channel->in_flight_bytes += bytes;
    osr_feed_say(core, OSR_LEVEL_TRACE, "%s: send %llu..%llu to %s, %zu bytes in flight",
                 replica->label, (unsigned long long)update->entries[0]->sequence,
                 (unsigned long long)channel->sent, peer->label, channel->in_flight_bytes);
    send_update(core, replica, peer, update);
    pump(core, replica, peer);
}

/* ---- what the follower says ---- */

void osr_feed_lead_acked(struct osr_feed *core, struct replica *replica, struct peer *peer,
                         uint64_t sequence)
{
    struct channel *channel = osr_feed_channel(replica, peer);
    if (!channel->subscribed || sequence <= channel->acked) {
        return;
    }
    channel->acked = sequence;
    channel->attempts = 0;
    channel->probing = false;
    channel->progress_ms = core->now_ms;
    while (channel->in_flight.count > 0) {
        const struct sent_batch *batch = osr_queue_front(&channel->in_flight);
        if (batch->last > sequence) {
            break;
        }
        channel->in_flight_bytes -= batch->bytes;
        osr_queue_pop(&channel->in_flight);
    }
    if (channel->sent < sequence) {
        channel->sent = sequence; /* it had them from elsewhere */
        forget_in_flight(channel);
    }
    pump(core, replica, peer);
}

static void rewind_to(struct osr_feed *core, struct channel *channel, uint64_t acked)
{
    forget_in_flight(channel);
    channel->acked = acked;
    channel->sent = acked;
    channel->progress_ms = core->now_ms;
}

static void say_refused(struct osr_feed *core, struct peer *peer, const struct osr_feed_id *id)
{
    struct osr_err err;
    osr_err_set(&err, OSR_PERMISSION_DENIED, "%s may not follow the stream %s", peer->instance,
                id->stream);
    osr_err_hint(&err,
                 "an administrator of this instance can allow it: action follow, part "
                 "stream:%s",
                 id->stream);
    osr_feed_send_error(core, peer->number, &err);
}

void osr_feed_lead_refuse(struct osr_feed *core, struct replica *replica, struct peer *peer)
{
    struct channel *channel = osr_feed_channel(replica, peer);
    if (channel->subscribed) {
        forget_in_flight(channel);
        channel->subscribed = false;
        say_refused(core, peer, &replica->id);
    }
}

void osr_feed_lead_fetch(struct osr_feed *core, struct peer *peer, const struct osr_feed_id *id,
                         uint64_t from_sequence)
{
    if (from_sequence > 0 && !osr_feed_access_may_follow(core, peer, id)) {
        say_refused(core, peer, id);
        return;
    }
    struct replica *replica = osr_feed_replica_find(core, id);
    if (replica == NULL) {
        struct osr_err err;
        osr_err_set(&err, OSR_NOT_FOUND, "FETCH: feed %s/%s is not held here", id->stream,
                    id->origin);
        osr_feed_send_error(core, peer->number, &err);
        return;
    }
    struct channel *channel = osr_feed_channel(replica, peer);
    if (from_sequence == 0) {
        osr_feed_say(core, OSR_LEVEL_TRACE, "%s: %s wants no more", replica->label, peer->label);
        forget_in_flight(channel);
        channel->subscribed = false;
        return;
    }
    osr_feed_say(core, OSR_LEVEL_TRACE, "%s: %s asks from %llu on", replica->label, peer->label,
                 (unsigned long long)from_sequence);
    rewind_to(core, channel, from_sequence - 1);
    channel->subscribed = true;
    channel->probing = false;
    channel->attempts = 0;
    const struct claim claim = {.feed = *id, .sequence = from_sequence - 1};
    osr_feed_follow_claim(core, peer, &claim);
    pump(core, replica, peer);
}

void osr_feed_lead_rewind(struct osr_feed *core, struct peer *peer, uint64_t from_sequence)
{
    struct replica *replica = core->own[OSR_STREAM_KB].replica;
    struct channel *channel = osr_feed_channel(replica, peer);
    if (peer->state != PEER_UP || !channel->subscribed || from_sequence == 0) {
        return;
    }
    osr_feed_say(core, OSR_LEVEL_INFO, "%s: sending %s everything from %llu on again",
                 replica->label, peer->label, (unsigned long long)from_sequence);
    rewind_to(core, channel, from_sequence - 1);
    pump(core, replica, peer);
}

static void check_progress(struct osr_feed *core, struct replica *replica, struct peer *peer)
{
    struct channel *channel = osr_feed_channel(replica, peer);
    if (channel->in_flight.count == 0) {
        return;
    }
    uint64_t resend_at_ms = channel->progress_ms + osr_feed_retry_ms(core, channel->attempts);
    if (core->now_ms < resend_at_ms) {
        osr_feed_arm(core, resend_at_ms);
        return;
    }
    channel->attempts++;
    channel->probing = true;
    osr_feed_say(core, OSR_LEVEL_TRACE, "%s: nothing acknowledged by %s: sending again from %llu",
                 replica->label, peer->label, (unsigned long long)channel->acked + 1);
    rewind_to(core, channel, channel->acked);
}

void osr_feed_lead_tick(struct osr_feed *core, struct replica *replica)
{
    for (uint32_t i = 0; i < core->options.peers_max; i++) {
        struct peer *peer = core->peers[i];
        if (peer == NULL || peer->state != PEER_UP) {
            continue;
        }
        const struct channel *channel = osr_feed_channel(replica, peer);
        if (!channel->subscribed) {
            continue;
        }
        check_progress(core, replica, peer);
        if (core->now_ms < channel->blocked_until_ms) {
            osr_feed_arm(core, channel->blocked_until_ms);
        }
        pump(core, replica, peer);
    }
}

/* ---- what we say ---- */

void osr_feed_lead_state(struct osr_feed *core, struct replica *replica, struct peer *peer)
{
    struct channel *channel = osr_feed_channel(replica, peer);
    if (replica->restoring) {
        return;
    }
    uint64_t sequence = OSR_GUARD_ACK_AFTER_DURABLE ? replica->head.sequence : replica->received;
    channel->told = sequence;
    channel->told_ms = core->now_ms;
    osr_feed_say(core, OSR_LEVEL_TRACE, "%s: ack %llu to %s", replica->label,
                 (unsigned long long)sequence, peer->label);
    osr_feed_send_ack(core, peer, replica, sequence);
}

void osr_feed_lead_restate(struct osr_feed *core, struct peer *peer)
{
    size_t count =
        core->replica_count < OSR_FEED_RESTATE_MAX ? core->replica_count : OSR_FEED_RESTATE_MAX;
    for (size_t i = 0; i < count; i++) {
        peer->restate_next = (peer->restate_next + 1) % core->replica_count;
        osr_feed_lead_state(core, core->replicas[peer->restate_next], peer);
    }
}

/* Tells a peer of progress unless it is told by what it is sent; false where it has to
 * wait for its turn. */
static bool announce_to(struct osr_feed *core, struct replica *replica, struct peer *peer)
{
    struct channel *channel = osr_feed_channel(replica, peer);
    bool leads_it = peer == replica->provider || strcmp(peer->instance, replica->id.origin) == 0;
    if (channel->told >= replica->head.sequence || (channel->subscribed && !leads_it)) {
        return true;
    }
    uint64_t due_ms = channel->told_ms + OSR_FEED_STATE_INTERVAL_MS;
    if (!leads_it && channel->told_ms > 0 && core->now_ms < due_ms) {
        osr_feed_arm(core, due_ms);
        return false;
    }
    osr_feed_lead_state(core, replica, peer);
    return true;
}

static bool announce_replica(struct osr_feed *core, struct replica *replica)
{
    bool all_told = true;
    for (uint32_t i = 0; i < core->options.peers_max; i++) {
        struct peer *peer = core->peers[i];
        if (peer != NULL && peer->state == PEER_UP) {
            all_told = announce_to(core, replica, peer) && all_told;
        }
    }
    return all_told;
}

void osr_feed_lead_announce(struct osr_feed *core)
{
    if (!core->unannounced) {
        return;
    }
    core->unannounced = false;
    for (size_t i = 0; i < core->replica_count; i++) {
        struct replica *replica = core->replicas[i];
        if (replica->unannounced && !replica->restoring) {
            /* Who has to wait is told at a TICK. */
            replica->unannounced = !announce_replica(core, replica);
        }
    }
}

void osr_feed_lead_committed(struct osr_feed *core, struct replica *replica)
{
    replica->unannounced = true;
    core->unannounced = true;
    for (uint32_t i = 0; i < core->options.peers_max; i++) {
        if (core->peers[i] != NULL) {
            pump(core, replica, core->peers[i]);
        }
    }
}
