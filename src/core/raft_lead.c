/* Leading: what is proposed is stored and sent, to each follower as much as its window has room
 * for. A follower whose log's end is not known is probed, a message at a time; one that needs what
 * the log has no more gets the snapshot. */
#include "core/raft_internal.h"

#include <assert.h>

/* ---- sending ---- */

static void put_out_append(struct osr_raft *raft, struct peer *peer,
                           const struct osr_raft_entry *entries, size_t count)
{
    struct osr_raft_message *message = osr_raft_message(raft, OSR_RAFT_APPEND, peer->id);
    message->append.previous_index = peer->next - 1;
    message->append.previous_term = osr_raft_log_term(&raft->log, peer->next - 1);
    message->append.commit = raft->commit;
    message->append.round = raft->round;
    message->append.entries = entries;
    message->append.count = count;
    osr_raft_send(raft, message);
    peer->sent_ms = raft->now_ms;
    peer->commit_sent = raft->commit;
    peer->round_sent = raft->round;
}

static void send_entries(struct osr_raft *raft, struct peer *peer,
                         const struct osr_raft_entry *entries, size_t count, size_t bytes)
{
    put_out_append(raft, peer, entries, count);
    uint64_t last = peer->next + count - 1;
    raft->sent_last = osr_raft_max(raft->sent_last, last);
    if (peer->progress == OSR_RAFT_PROBING) {
        peer->is_probe_sent = true;
        return;
    }
    if (count > 0) {
        struct sent *sent = osr_queue_push(&peer->flight);
        *sent = (struct sent){.last = last, .bytes = bytes};
        peer->flight_bytes += bytes;
        peer->next = last + 1;
    }
}

static void put_out_fetch(struct osr_raft *raft, struct peer *peer)
{
    struct osr_raft_output *output = osr_raft_put_out(raft, OSR_RAFT_OUT_FETCH);
    peer->fetch_ticket = osr_raft_ticket(raft);
    output->fetch.ticket = peer->fetch_ticket;
    output->fetch.first = peer->next;
    output->fetch.last =
        osr_raft_min(raft->log.durable, peer->next + OSR_RAFT_APPEND_ENTRIES_MAX - 1);
    output->fetch.bytes_max = raft->options.message_bytes_max;
}

static bool has_room(const struct osr_raft *raft, const struct peer *peer)
{
    if (peer->progress == OSR_RAFT_PROBING) {
        return !peer->is_probe_sent;
    }
    return peer->progress == OSR_RAFT_REPLICATING && peer->fetch_ticket == 0 &&
           peer->next <= raft->log.last && peer->flight.count < raft->options.window_messages &&
           peer->flight_bytes < raft->options.window_bytes;
}

/* One message. */
static void send_next(struct osr_raft *raft, struct peer *peer)
{
    const struct osr_raft_entry *entries = NULL;
    bool is_limited = OSR_RAFT_GUARD(MESSAGE_LIMIT);
    uint64_t last = is_limited ? peer->next + OSR_RAFT_APPEND_ENTRIES_MAX - 1 : raft->log.last;
    size_t count = 0;
    size_t bytes = 0;
    if (peer->next - 1 < raft->log.base) {
        osr_raft_snapshot_begin(raft, peer);
        return;
    }
    if (peer->next <= raft->log.last) {
        bytes = osr_raft_log_read(raft, peer->next, last,
                                  is_limited ? raft->options.message_bytes_max : SIZE_MAX, &entries,
                                  &count);
        if (count == 0 && peer->progress == OSR_RAFT_REPLICATING) {
            put_out_fetch(raft, peer);
            return;
        }
    }
    send_entries(raft, peer, entries, count, bytes);
}

/* An APPEND without entries: its answer says whether all before it has come. */
static void send_nothing(struct osr_raft *raft, struct peer *peer)
{
    if (peer->next - 1 < raft->log.base) {
        osr_raft_snapshot_begin(raft, peer);
    } else {
        put_out_append(raft, peer, NULL, 0);
    }
}

void osr_raft_lead_send(struct osr_raft *raft, struct peer *peer)
{
    while (has_room(raft, peer)) {
        send_next(raft, peer);
    }
    /* What was committed is said with the next entries, and at once where none are under way. */
    bool has_news =
        peer->commit_sent < raft->commit || (peer->is_voter && peer->round_sent < raft->round);
    if (peer->progress == OSR_RAFT_REPLICATING && peer->flight.count == 0 &&
        peer->fetch_ticket == 0 && has_news) {
        send_nothing(raft, peer);
    }
}

void osr_raft_lead_send_all(struct osr_raft *raft)
{
    for (size_t i = 0; i < raft->peer_count; i++) {
        osr_raft_lead_send(raft, &raft->peers[i]);
    }
}

static void send_heartbeat(struct osr_raft *raft, struct peer *peer)
{
    if (peer->progress == OSR_RAFT_SNAPSHOTTING) {
        osr_raft_snapshot_ask(raft, peer);
    } else if (peer->progress == OSR_RAFT_PROBING) {
        peer->is_probe_sent = false;
        osr_raft_lead_send(raft, peer);
    } else {
        send_nothing(raft, peer);
    }
}

void osr_raft_lead_ask_all(struct osr_raft *raft)
{
    for (size_t i = 0; i < raft->peer_count; i++) {
        struct peer *peer = &raft->peers[i];
        osr_raft_lead_send(raft, peer);
        if (peer->is_voter && peer->progress == OSR_RAFT_REPLICATING &&
            peer->round_sent < raft->round) {
            send_nothing(raft, peer);
        }
    }
}

/* ---- beginning ---- */

void osr_raft_lead_begin(struct osr_raft *raft)
{
    raft->role = OSR_RAFT_LEADER;
    raft->leader = raft->options.member;
    raft->has_heard = false;
    raft->led_ms = raft->now_ms;
    raft->term_first = raft->log.last + 1;
    raft->sent_last = 0;
    raft->round = 0;
    for (size_t i = 0; i < raft->peer_count; i++) {
        osr_raft_peer_begin(raft, &raft->peers[i]);
    }
    osr_raft_transfer_observe(raft);
    osr_raft_say(raft, OSR_LEVEL_INFO, "leads term %llu from entry %llu on",
                 (unsigned long long)raft->vote.term, (unsigned long long)raft->term_first);
    if (OSR_RAFT_GUARD(LEADER_NOTHING)) {
        osr_raft_lead_append(raft, OSR_RAFT_NOTHING, 0, osr_slice(NULL, 0));
    } else {
        osr_raft_lead_send_all(raft);
    }
}

/* ---- proposals ---- */

static void fail_elsewhere(struct osr_raft *raft, uint64_t token)
{
    if (raft->is_full && raft->leader == 0) {
        osr_raft_put_out_failed(raft, token, OSR_DISK_FULL, "no leader, and the disk is full");
    } else {
        osr_raft_put_out_failed(raft, token, OSR_UNAVAILABLE, "this member does not lead");
    }
}

void osr_raft_lead_propose(struct osr_raft *raft, uint64_t token, struct osr_slice command)
{
    const struct osr_raft_options *options = &raft->options;
    assert(token != 0);
    if (raft->role != OSR_RAFT_LEADER) {
        fail_elsewhere(raft, token);
    } else if (command.size > options->command_bytes_max) {
        osr_raft_put_out_failed(raft, token, OSR_TOO_LARGE, "the command is over the limit");
    } else if (raft->transfer.token != 0) {
        osr_raft_put_out_failed(raft, token, OSR_BUSY, "leadership is being handed over");
    } else if (raft->pending_entries >= options->pending_entries_max ||
               raft->pending_bytes + command.size > options->pending_bytes_max) {
        osr_raft_put_out_failed(raft, token, OSR_BUSY, "too much waits to be committed");
    } else {
        struct draft_entry *entry = osr_queue_push(&raft->draft.entries);
        *entry = (struct draft_entry){token, raft->draft.bytes.size, command.size};
        osr_buffer_add(&raft->draft.bytes, command.data, command.size);
        raft->pending_bytes += command.size;
        raft->pending_entries++;
    }
}

void osr_raft_lead_drop_draft(struct osr_raft *raft)
{
    struct draft *draft = &raft->draft;
    for (size_t i = 0; i < draft->entries.count; i++) {
        const struct draft_entry *entry = osr_queue_at(&draft->entries, i);
        raft->pending_bytes -= entry->size;
        raft->pending_entries--;
        fail_elsewhere(raft, entry->token);
    }
    osr_queue_clear(&draft->entries);
    osr_buffer_clear(&draft->bytes);
}

static void add_pending(struct osr_raft *raft, uint64_t index, uint64_t token, size_t bytes)
{
    struct pending *pending = osr_queue_push(&raft->pending);
    *pending = (struct pending){index, raft->vote.term, token, bytes};
}

static void store_draft(struct osr_raft *raft)
{
    struct draft *draft = &raft->draft;
    uint64_t first = raft->log.last + 1;
    if (draft->entries.count == 0) {
        return;
    }
    for (size_t i = 0; i < draft->entries.count; i++) {
        const struct draft_entry *entry = osr_queue_at(&draft->entries, i);
        add_pending(raft, first + i, entry->token, entry->size);
    }
    const struct piece piece = osr_raft_piece_create_from_draft(raft, first);
    osr_queue_clear(&draft->entries);
    osr_buffer_clear(&draft->bytes);
    osr_raft_log_append(raft, &piece);
    osr_raft_store_piece(raft, &piece, false);
}

void osr_raft_lead_flush(struct osr_raft *raft)
{
    store_draft(raft);
    osr_raft_lead_send_all(raft);
}

void osr_raft_lead_append(struct osr_raft *raft, enum osr_raft_kind kind, uint64_t token,
                          struct osr_slice payload)
{
    store_draft(raft); /* was proposed before */
    const struct osr_raft_entry entry = {
        .index = raft->log.last + 1, .term = raft->vote.term, .kind = kind, .payload = payload};
    if (token != 0) {
        add_pending(raft, entry.index, token, payload.size);
        raft->pending_bytes += payload.size;
        raft->pending_entries++;
    }
    const struct piece piece = osr_raft_piece_create(raft, &entry, 1);
    osr_raft_log_append(raft, &piece);
    osr_raft_store_piece(raft, &piece, false);
    osr_raft_lead_send_all(raft);
}

/* ---- answers ---- */

static void refused(struct osr_raft *raft, struct peer *peer,
                    const struct osr_raft_message *message)
{
    uint64_t index = message->appended.index;
    bool is_awaited =
        peer->progress == OSR_RAFT_PROBING ? index == peer->next - 1 : index < peer->next;
    if (peer->progress == OSR_RAFT_SNAPSHOTTING || !is_awaited || index <= peer->matched) {
        return; /* answers what was sent before */
    }
    uint64_t hint = osr_raft_min(message->appended.hint_index, index - 1);
    if (hint > raft->log.base) {
        hint = osr_raft_log_last_up_to(&raft->log, hint, message->appended.hint_term);
    }
    osr_raft_peer_probe(peer, osr_raft_max(hint, peer->matched) + 1);
    osr_raft_lead_send(raft, peer);
}

static void land(struct peer *peer)
{
    const struct sent *sent;
    while ((sent = osr_queue_front(&peer->flight)) != NULL && sent->last <= peer->matched) {
        peer->flight_bytes -= sent->bytes;
        osr_queue_pop(&peer->flight);
    }
}

void osr_raft_lead_matched(struct osr_raft *raft, struct peer *peer, uint64_t index)
{
    peer->matched = osr_raft_max(peer->matched, index);
    peer->next = osr_raft_max(peer->next, peer->matched + 1);
    land(peer);
    if (peer->progress == OSR_RAFT_SNAPSHOTTING && peer->matched >= peer->snapshot->index) {
        osr_raft_peer_probe(peer, peer->matched + 1);
    }
    if (peer->progress == OSR_RAFT_PROBING) {
        peer->progress = OSR_RAFT_REPLICATING;
    }
    osr_raft_members_watch(raft, peer);
    if (peer->matched > raft->commit) {
        osr_raft_commit_count(raft);
    }
    if (raft->role == OSR_RAFT_LEADER) {
        osr_raft_transfer_review(raft);
        osr_raft_lead_send(raft, peer);
    }
}

void osr_raft_lead_appended(struct osr_raft *raft, struct peer *peer,
                            const struct osr_raft_message *message)
{
    if (message->appended.index > raft->log.last || message->appended.round > raft->round) {
        osr_raft_refuse(raft, message, "answers what was not sent");
        return;
    }
    peer->acked_ms = raft->now_ms;
    peer->round = osr_raft_max(peer->round, message->appended.round);
    if (message->appended.is_refused) {
        refused(raft, peer, message);
    } else {
        osr_raft_lead_matched(raft, peer, message->appended.index);
    }
    osr_raft_read_review(raft);
}

void osr_raft_lead_unreachable(struct osr_raft *raft, uint64_t member)
{
    struct peer *peer = osr_raft_peer_find(raft, member);
    if (raft->role == OSR_RAFT_LEADER && peer != NULL && peer->progress == OSR_RAFT_REPLICATING) {
        osr_raft_peer_probe(peer, peer->matched + 1);
        peer->is_probe_sent = true; /* the next heartbeat tries */
    }
}

void osr_raft_lead_fetched(struct osr_raft *raft, struct peer *peer,
                           const struct osr_raft_entry *entries, size_t count)
{
    peer->fetch_ticket = 0;
    if (count == 0) {
        osr_raft_peer_probe(peer, peer->next);
        peer->is_probe_sent = true; /* the next heartbeat tries */
        return;
    }
    /* Or it has them by now, or the log begins behind them. */
    if (entries[0].index == peer->next && peer->next - 1 >= raft->log.base) {
        count = (size_t)osr_raft_min(count, OSR_RAFT_APPEND_ENTRIES_MAX);
        const struct piece piece = osr_raft_piece_create(raft, entries, count);
        size_t bytes = 0;
        for (size_t i = 0; i < count; i++) {
            bytes += entries[i].payload.size;
        }
        send_entries(raft, peer, piece.entries, count, bytes);
        osr_raft_block_release(raft, piece.block);
    }
    osr_raft_lead_send(raft, peer);
}

/* ---- time ---- */

static uint64_t acked_of(const struct osr_raft *raft, const struct peer *peer)
{
    return osr_raft_max(peer->acked_ms, raft->led_ms);
}

/* Until when it may lead without another word. */
static uint64_t quorum_deadline(const struct osr_raft *raft)
{
    uint64_t never = UINT64_MAX - raft->options.election_timeout_ms;
    if (!OSR_RAFT_GUARD(CHECK_QUORUM)) {
        return UINT64_MAX;
    }
    return osr_raft_majority(raft, never, acked_of) + raft->options.election_timeout_ms;
}

uint64_t osr_raft_lead_deadline(const struct osr_raft *raft)
{
    if (raft->role != OSR_RAFT_LEADER) {
        return UINT64_MAX;
    }
    uint64_t deadline = quorum_deadline(raft);
    for (size_t i = 0; i < raft->peer_count; i++) {
        const struct peer *peer = &raft->peers[i];
        deadline = osr_raft_min(deadline, peer->sent_ms + raft->options.heartbeat_ms);
        deadline = osr_raft_min(deadline, osr_raft_members_deadline(raft, peer));
    }
    return deadline;
}

void osr_raft_lead_tick(struct osr_raft *raft)
{
    if (raft->role != OSR_RAFT_LEADER) {
        return;
    }
    if (raft->now_ms >= quorum_deadline(raft)) {
        osr_raft_step_down(raft, "no majority is heard");
        return;
    }
    osr_raft_peers_dismiss(raft);
    for (size_t i = 0; i < raft->peer_count; i++) {
        struct peer *peer = &raft->peers[i];
        if (raft->now_ms >= peer->sent_ms + raft->options.heartbeat_ms) {
            send_heartbeat(raft, peer);
        }
    }
    osr_raft_members_tick(raft);
}
