#include "node/raft_message.h"

#include <stdlib.h>

#include "wire/codec.h"

/* ---- room ---- */

/* At least twice as much as before, so that a message that is a little larger than those before it
 * costs nothing. */
static void reserve(struct osr_raft_room *room, size_t count)
{
    if (count <= room->capacity) {
        return;
    }
    size_t capacity = count > 2 * room->capacity ? count : 2 * room->capacity;
    room->entries = osr_realloc(room->entries, capacity * sizeof(*room->entries));
    room->messages = osr_realloc(room->messages, capacity * sizeof(*room->messages));
    room->pointers = osr_realloc(room->pointers, capacity * sizeof(Osr__RaftEntry *));
    room->capacity = capacity;
}

void osr_raft_room_done(struct osr_raft_room *room)
{
    free(room->entries);
    free(room->messages);
    free(room->pointers);
    osr_buffer_done(&room->bytes);
    *room = (struct osr_raft_room){0};
}

/* ---- writing ---- */

union body {
    Osr__RaftVoteRequest vote_request;
    Osr__RaftVoteReply vote_reply;
    Osr__RaftAppend append;
    Osr__RaftAppended appended;
    Osr__RaftSnapshot snapshot;
    Osr__RaftSnapshotTaken snapshot_taken;
    Osr__RaftReadRequest read_request;
    Osr__RaftReadReply read_reply;
    Osr__RaftElectNow elect_now;
};

/* The frame is only read. */
static ProtobufCBinaryData borrow(struct osr_slice bytes)
{
    return (ProtobufCBinaryData){.len = bytes.size, .data = (uint8_t *)bytes.data};
}

static void write_vote_request(const struct osr_raft_message *message, Osr__RaftVoteRequest *body)
{
    osr__raft_vote_request__init(body);
    body->pre = message->vote_request.is_pre;
    body->transfer = message->vote_request.is_transfer;
    body->last_index = message->vote_request.last_index;
    body->last_term = message->vote_request.last_term;
}

static void write_vote_reply(const struct osr_raft_message *message, Osr__RaftVoteReply *body)
{
    osr__raft_vote_reply__init(body);
    body->pre = message->vote_reply.is_pre;
    body->granted = message->vote_reply.is_granted;
}

static void write_append(struct osr_raft_room *room, const struct osr_raft_message *message,
                         Osr__RaftAppend *body)
{
    size_t count = message->append.count;
    reserve(room, count);
    for (size_t i = 0; i < count; i++) {
        const struct osr_raft_entry *entry = &message->append.entries[i];
        Osr__RaftEntry *written = &room->messages[i];
        osr__raft_entry__init(written);
        written->term = entry->term;
        written->kind = (uint32_t)entry->kind;
        written->payload = borrow(entry->payload);
        room->pointers[i] = written;
    }
    osr__raft_append__init(body);
    body->previous_index = message->append.previous_index;
    body->previous_term = message->append.previous_term;
    body->commit = message->append.commit;
    body->round = message->append.round;
    body->entries = room->pointers;
    body->n_entries = count;
}

static void write_appended(const struct osr_raft_message *message, Osr__RaftAppended *body)
{
    osr__raft_appended__init(body);
    body->refused = message->appended.is_refused;
    body->index = message->appended.index;
    body->hint_index = message->appended.hint_index;
    body->hint_term = message->appended.hint_term;
    body->round = message->appended.round;
}

static void write_snapshot(struct osr_raft_room *room, const struct osr_raft_message *message,
                           Osr__RaftSnapshot *body)
{
    const struct osr_raft_snapshot *snapshot = message->snapshot.snapshot;
    osr__raft_snapshot__init(body);
    body->index = snapshot->index;
    body->term = snapshot->term;
    body->size = snapshot->size;
    body->checksum = snapshot->checksum;
    body->offset = message->snapshot.offset;
    body->round = message->snapshot.round;
    body->chunk = borrow(message->snapshot.chunk);
    if (message->snapshot.offset == 0) {
        osr_buffer_clear(&room->bytes);
        osr_raft_configuration_encode(&snapshot->configuration, &room->bytes);
        body->configuration = borrow(osr_buffer_slice(&room->bytes));
    }
}

static void write_snapshot_taken(const struct osr_raft_message *message,
                                 Osr__RaftSnapshotTaken *body)
{
    osr__raft_snapshot_taken__init(body);
    body->index = message->snapshot_taken.index;
    body->checksum = message->snapshot_taken.checksum;
    body->offset = message->snapshot_taken.offset;
    body->round = message->snapshot_taken.round;
}

static void write_body(struct osr_raft_room *room, const struct osr_raft_message *message,
                       Osr__Raft *raft, union body *body)
{
    switch (message->type) {
    case OSR_RAFT_VOTE_REQUEST:
        write_vote_request(message, &body->vote_request);
        raft->vote_request = &body->vote_request;
        return;
    case OSR_RAFT_VOTE_REPLY:
        write_vote_reply(message, &body->vote_reply);
        raft->vote_reply = &body->vote_reply;
        return;
    case OSR_RAFT_APPEND:
        write_append(room, message, &body->append);
        raft->append = &body->append;
        return;
    case OSR_RAFT_APPENDED:
        write_appended(message, &body->appended);
        raft->appended = &body->appended;
        return;
    case OSR_RAFT_SNAPSHOT:
        write_snapshot(room, message, &body->snapshot);
        raft->snapshot = &body->snapshot;
        return;
    case OSR_RAFT_SNAPSHOT_TAKEN:
        write_snapshot_taken(message, &body->snapshot_taken);
        raft->snapshot_taken = &body->snapshot_taken;
        return;
    case OSR_RAFT_READ_REQUEST:
        osr__raft_read_request__init(&body->read_request);
        body->read_request.request = message->read_request.request;
        raft->read_request = &body->read_request;
        return;
    case OSR_RAFT_READ_REPLY:
        osr__raft_read_reply__init(&body->read_reply);
        body->read_reply.request = message->read_reply.request;
        body->read_reply.index = message->read_reply.index;
        raft->read_reply = &body->read_reply;
        return;
    case OSR_RAFT_ELECT_NOW:
        osr__raft_elect_now__init(&body->elect_now);
        raft->elect_now = &body->elect_now;
        return;
    }
    abort(); /* the core sends nothing else */
}

void osr_raft_message_write(struct osr_raft_room *room, const char *ledger,
                            const struct osr_raft_message *message,
                            void (*take)(void *context, const Osr__Frame *frame), void *context)
{
    Osr__Frame frame = OSR__FRAME__INIT;
    Osr__Raft raft = OSR__RAFT__INIT;
    union body body;
    raft.ledger = (char *)ledger;
    raft.from = message->from;
    raft.to = message->to;
    raft.term = message->term;
    write_body(room, message, &raft, &body);
    osr_frame_set_body(&frame, OSR__FRAME__BODY_RAFT, &raft.base);
    take(context, &frame);
}

/* ---- reading ---- */

static struct osr_slice slice_of(ProtobufCBinaryData bytes)
{
    return osr_slice(bytes.data, bytes.len);
}

static void read_vote_request(const Osr__RaftVoteRequest *body,
                              struct osr_raft_message *ret_message)
{
    ret_message->vote_request.is_pre = body->pre;
    ret_message->vote_request.is_transfer = body->transfer;
    ret_message->vote_request.last_index = body->last_index;
    ret_message->vote_request.last_term = body->last_term;
}

static void read_vote_reply(const Osr__RaftVoteReply *body, struct osr_raft_message *ret_message)
{
    ret_message->vote_reply.is_pre = body->pre;
    ret_message->vote_reply.is_granted = body->granted;
}

static int read_entry(const Osr__RaftEntry *written, uint64_t index,
                      struct osr_raft_entry *ret_entry, struct osr_err *err)
{
    if (written->kind < OSR_RAFT_COMMAND || written->kind > OSR_RAFT_CONFIGURATION) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "an entry of unknown kind %u",
                                written->kind);
    }
    *ret_entry = (struct osr_raft_entry){
        .index = index,
        .term = written->term,
        .kind = (enum osr_raft_kind)written->kind,
        .payload = slice_of(written->payload),
    };
    return 0;
}

static int read_append(struct osr_raft_room *room, const Osr__RaftAppend *body,
                       struct osr_raft_message *ret_message, struct osr_err *err)
{
    if (body->n_entries > OSR_RAFT_APPEND_ENTRIES_MAX) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "more than %d entries",
                                OSR_RAFT_APPEND_ENTRIES_MAX);
    }
    reserve(room, body->n_entries);
    for (size_t i = 0; i < body->n_entries; i++) {
        int code =
            read_entry(body->entries[i], body->previous_index + 1 + i, &room->entries[i], err);
        if (code != 0) {
            return code;
        }
    }
    ret_message->append.previous_index = body->previous_index;
    ret_message->append.previous_term = body->previous_term;
    ret_message->append.commit = body->commit;
    ret_message->append.round = body->round;
    ret_message->append.entries = room->entries;
    ret_message->append.count = body->n_entries;
    return 0;
}

static void read_appended(const Osr__RaftAppended *body, struct osr_raft_message *ret_message)
{
    ret_message->appended.is_refused = body->refused;
    ret_message->appended.index = body->index;
    ret_message->appended.hint_index = body->hint_index;
    ret_message->appended.hint_term = body->hint_term;
    ret_message->appended.round = body->round;
}

static int read_snapshot(struct osr_raft_room *room, const Osr__RaftSnapshot *body,
                         struct osr_raft_message *ret_message, struct osr_err *err)
{
    struct osr_raft_snapshot *snapshot = &room->snapshot;
    snapshot->index = body->index;
    snapshot->term = body->term;
    snapshot->size = body->size;
    snapshot->checksum = body->checksum;
    snapshot->configuration.count = 0;
    if (body->offset == 0) {
        int code = osr_raft_configuration_decode(slice_of(body->configuration),
                                                 &snapshot->configuration, err);
        if (code != 0) {
            return code;
        }
    }
    ret_message->snapshot.snapshot = snapshot;
    ret_message->snapshot.offset = body->offset;
    ret_message->snapshot.round = body->round;
    ret_message->snapshot.chunk = slice_of(body->chunk);
    return 0;
}

static void read_snapshot_taken(const Osr__RaftSnapshotTaken *body,
                                struct osr_raft_message *ret_message)
{
    ret_message->snapshot_taken.index = body->index;
    ret_message->snapshot_taken.checksum = body->checksum;
    ret_message->snapshot_taken.offset = body->offset;
    ret_message->snapshot_taken.round = body->round;
}

static int read_body(struct osr_raft_room *room, const Osr__Raft *raft,
                     struct osr_raft_message *ret_message, struct osr_err *err)
{
    switch (ret_message->type) {
    case OSR_RAFT_VOTE_REQUEST:
        read_vote_request(raft->vote_request, ret_message);
        return 0;
    case OSR_RAFT_VOTE_REPLY:
        read_vote_reply(raft->vote_reply, ret_message);
        return 0;
    case OSR_RAFT_APPEND:
        return read_append(room, raft->append, ret_message, err);
    case OSR_RAFT_APPENDED:
        read_appended(raft->appended, ret_message);
        return 0;
    case OSR_RAFT_SNAPSHOT:
        return read_snapshot(room, raft->snapshot, ret_message, err);
    case OSR_RAFT_SNAPSHOT_TAKEN:
        read_snapshot_taken(raft->snapshot_taken, ret_message);
        return 0;
    case OSR_RAFT_READ_REQUEST:
        ret_message->read_request.request = raft->read_request->request;
        return 0;
    case OSR_RAFT_READ_REPLY:
        ret_message->read_reply.request = raft->read_reply->request;
        ret_message->read_reply.index = raft->read_reply->index;
        return 0;
    case OSR_RAFT_ELECT_NOW:
        return 0;
    }
    abort(); /* find_body knows no other */
}

/* False unless exactly one body is there. */
static bool find_body(const Osr__Raft *raft, enum osr_raft_message_type *ret_type)
{
    const struct {
        enum osr_raft_message_type type;
        bool is_there;
    } bodies[] = {
        {OSR_RAFT_VOTE_REQUEST, raft->vote_request != NULL},
        {OSR_RAFT_VOTE_REPLY, raft->vote_reply != NULL},
        {OSR_RAFT_APPEND, raft->append != NULL},
        {OSR_RAFT_APPENDED, raft->appended != NULL},
        {OSR_RAFT_SNAPSHOT, raft->snapshot != NULL},
        {OSR_RAFT_SNAPSHOT_TAKEN, raft->snapshot_taken != NULL},
        {OSR_RAFT_READ_REQUEST, raft->read_request != NULL},
        {OSR_RAFT_READ_REPLY, raft->read_reply != NULL},
        {OSR_RAFT_ELECT_NOW, raft->elect_now != NULL},
    };
    _Static_assert(sizeof(bodies) / sizeof(bodies[0]) == OSR_RAFT_ELECT_NOW,
                   "each message of the core can be read");
    size_t count = 0;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        if (bodies[i].is_there) {
            *ret_type = bodies[i].type;
            count++;
        }
    }
    return count == 1;
}

int osr_raft_message_read(struct osr_raft_room *room, const Osr__Raft *raft,
                          struct osr_raft_message *ret_message, struct osr_err *err)
{
    if (!find_body(raft, &ret_message->type)) {
        return (int)osr_err_set(err, OSR_MALFORMED, "RAFT without exactly one message in it");
    }
    ret_message->from = raft->from;
    ret_message->to = raft->to;
    ret_message->term = raft->term;
    return read_body(room, raft, ret_message, err);
}
