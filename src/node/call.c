#include "node/call.h"

#include <assert.h>
#include <stdlib.h>

#include "core/agreement.h"
#include "model/limits.h"
#include "node/operations.h"
#include "node/reply_memory.h"

/* In line for memory. */
struct osr_call_room {
    struct osr_reply_wait wait; /* first */
    struct osr_reply_part part;
    struct osr_call *call;
    void (*ready)(struct osr_call *call);
};

struct osr_call *osr_call_create(struct osr_session *session, const struct osr_identity *identity,
                                 const Osr__Frame *request, Osr__Frame__BodyCase reply,
                                 size_t bytes)
{
    struct osr_call *call = osr_alloc(sizeof(*call));
    call->session = session;
    osr_identity_copy(&call->identity, identity);
    call->request_id = request->request_id;
    call->reply = reply;
    call->bytes = bytes;
    struct osr_call **first = osr_session_calls(session);
    call->next = *first;
    if (call->next != NULL) {
        call->next->previous = call;
    }
    *first = call;
    osr_session_request_begins(session, bytes);
    return call;
}

static void set_query(struct osr_call *call, struct osr_query *query)
{
    call->query = query;
    if (query != NULL) {
        osr_query_set_reader(query, osr_session_reader(call->session));
    }
}

void osr_call_await(struct osr_call *call, struct osr_query *query)
{
    set_query(call, query);
    call->is_counted = true;
    osr_session_query_begins(call->session);
}

void osr_call_await_for_ever(struct osr_call *call, struct osr_query *query)
{
    set_query(call, query);
    call->is_endless = true;
}

void osr_call_await_agreed(struct osr_call *call, uint64_t number)
{
    call->agreed = number;
}

static void on_room(struct osr_reply_wait *wait)
{
    struct osr_call_room *room = (struct osr_call_room *)wait;
    struct osr_call *call = room->call;
    void (*ready)(struct osr_call * call) = room->ready;
    call->room = NULL;
    free(room);
    ready(call);
}

void osr_call_await_room(struct osr_call *call, size_t bytes, void (*ready)(struct osr_call *call))
{
    struct osr_reply_memory *replies = osr_sessions_replies(call->services->sessions);
    if (osr_reply_memory_has_room(replies, OSR_REPLY_LOOKUPS, bytes)) {
        ready(call);
        return;
    }
    struct osr_call_room *room = osr_alloc(sizeof(*room));
    room->call = call;
    room->ready = ready;
    room->part.reader = osr_session_reader(call->session);
    room->wait = (struct osr_reply_wait){
        .line = OSR_REPLY_LOOKUPS, .bytes = bytes, .part = &room->part, .ready = on_room};
    call->room = room;
    osr_reply_memory_take(replies, &room->wait);
}

/* False: what it waits for cannot be stopped, and ends it. */
static bool stop_waiting(struct osr_call *call)
{
    if (call->query != NULL) {
        osr_query_cancel(call->query);
        return true;
    }
    if (call->room != NULL) {
        osr_reply_memory_leave(osr_sessions_replies(call->services->sessions), &call->room->wait);
        free(call->room);
        call->room = NULL;
        return true;
    }
    if (call->agreed != 0) {
        struct osr_agreement *agreement = call->services->agreement;
        agreement->forget(agreement, call->agreed);
        return true;
    }
    return false;
}

void osr_call_pass_on(struct osr_call *call)
{
    osr_session_request_shrinks(call->session, call->bytes);
    call->bytes = 0;
}

/* The session no longer knows the call. */
static void detach(struct osr_call *call)
{
    if (call->session == NULL) {
        return;
    }
    if (call->is_counted) {
        osr_session_query_ends(call->session);
    }
    osr_session_request_ends(call->session, call->bytes);
    if (call->previous != NULL) {
        call->previous->next = call->next;
    } else {
        *osr_session_calls(call->session) = call->next;
    }
    if (call->next != NULL) {
        call->next->previous = call->previous;
    }
    call->next = call->previous = NULL;
    call->session = NULL;
}

static void destroy(struct osr_call *call)
{
    detach(call);
    osr_arena_destroy(call->arena);
    free(call->items);
    free(call->operation);
    osr_identity_done(&call->identity);
    free(call);
}

static void send_reply(struct osr_call *call, ProtobufCMessage *message, bool end)
{
    if (call->session == NULL) {
        return;
    }
    Osr__Frame frame = OSR__FRAME__INIT;
    frame.request_id = call->request_id;
    frame.end = end;
    osr_frame_set_body(&frame, call->reply, message);
    osr_session_send(call->session, &frame);
}

void osr_call_reply(struct osr_call *call, ProtobufCMessage *message)
{
    send_reply(call, message, true);
    destroy(call);
}

void osr_call_fail(struct osr_call *call, const struct osr_err *err)
{
    if (call->session != NULL) {
        osr_session_error(call->session, call->request_id, err);
    }
    destroy(call);
}

void osr_call_stream(struct osr_call *call, ProtobufCMessage *message)
{
    send_reply(call, message, false);
    if (call->query != NULL && osr_session_is_full(call->session, call->request_id)) {
        osr_query_pause(call->query, true);
    }
}

static ProtobufCMessage *copy(struct osr_arena *arena, const ProtobufCMessage *message)
{
    struct osr_buffer bytes = {0};
    ProtobufCMessage *copied;
    struct osr_err err;
    osr_message_encode(OSR_CODEC_PROTOBUF, message, &bytes);
    int code = osr_message_decode(OSR_CODEC_PROTOBUF, message->descriptor, osr_buffer_slice(&bytes),
                                  arena, &copied, &err);
    assert(code == 0); /* what we have encoded we can decode, within any frame's limits */
    osr_buffer_done(&bytes);
    return copied;
}

/* True when the next frame is full. */
static bool keep_item(struct osr_call *call, const ProtobufCMessage *item)
{
    if (call->arena == NULL) {
        call->arena = osr_arena_create(0, OSR_DECODE_BYTES_MAX);
        call->items = osr_alloc(OSR_REPLY_ITEMS_MAX * sizeof(call->items[0]));
    }
    assert(call->item_count < OSR_REPLY_ITEMS_MAX);
    call->items[call->item_count++] = copy(call->arena, item);
    return call->item_count == OSR_REPLY_ITEMS_MAX ||
           osr_arena_used(call->arena) >= OSR_REPLY_ITEMS_BYTES;
}

bool osr_call_query_failed(struct osr_call *call, const struct osr_query_reply *reply)
{
    if (reply->err == NULL) {
        return false;
    }
    call->query = NULL;
    osr_call_fail(call, reply->err);
    return true;
}

void osr_call_collect(struct osr_call *call, const ProtobufCMessage *item,
                      const struct osr_query_reply *reply, osr_call_wrap_items *wrap)
{
    bool is_full = item != NULL && keep_item(call, item);
    if (reply->last) {
        call->query = NULL;
    }
    if (reply->last || reply->more_later || is_full) {
        wrap(call, reply->last);
    }
}

void osr_call_send_items(struct osr_call *call, ProtobufCMessage *message, bool last)
{
    if (last) {
        osr_call_reply(call, message);
        return;
    }
    osr_call_stream(call, message);
    call->item_count = 0;
    osr_arena_destroy(call->arena);
    free(call->items);
    call->arena = NULL;
    call->items = NULL;
}

void osr_calls_resume(struct osr_session *session)
{
    struct osr_call *next;
    for (struct osr_call *call = *osr_session_calls(session); call != NULL; call = next) {
        next = call->next; /* this one may come to its end */
        if (call->query != NULL) {
            osr_query_pause(call->query, false);
        }
    }
}

static struct osr_call *find(struct osr_session *session, uint64_t request_id)
{
    struct osr_call *call = *osr_session_calls(session);
    while (call != NULL && call->request_id != request_id) {
        call = call->next;
    }
    return call;
}

void osr_calls_resume_one(struct osr_session *session, uint64_t request_id)
{
    const struct osr_call *call = find(session, request_id);
    if (call != NULL && call->query != NULL) {
        osr_query_pause(call->query, false);
    }
}

bool osr_calls_cancel(struct osr_session *session, uint64_t request_id)
{
    struct osr_call *call = find(session, request_id);
    if (call == NULL || !stop_waiting(call)) {
        return false;
    }
    destroy(call);
    return true;
}

uint32_t osr_calls_endless(struct osr_session *session)
{
    uint32_t count = 0;
    for (struct osr_call *call = *osr_session_calls(session); call != NULL; call = call->next) {
        count += call->is_endless;
    }
    return count;
}

void osr_calls_end(struct osr_session *session)
{
    struct osr_call *next;
    for (struct osr_call *call = *osr_session_calls(session); call != NULL; call = next) {
        next = call->next;
        if (!call->is_endless) {
            continue;
        }
        osr_query_cancel(call->query);
        destroy(call);
    }
}

void osr_calls_abandon(struct osr_session *session)
{
    struct osr_call *call;
    while ((call = *osr_session_calls(session)) != NULL) {
        bool is_over = stop_waiting(call);
        detach(call);
        if (is_over) {
            destroy(call);
        } /* else its answer finds nobody, and ends it */
    }
}
