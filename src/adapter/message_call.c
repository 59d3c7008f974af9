#include "adapter/message_call.h"

#include <stdlib.h>

static struct osr_message_call *call_of(struct osr_connection *base)
{
    return (struct osr_message_call *)base;
}

/* ---- lists ---- */

void osr_message_list_append(struct osr_message_list *list, struct osr_message_call *call)
{
    call->next = NULL;
    call->previous = list->last;
    if (list->last != NULL) {
        list->last->next = call;
    } else {
        list->first = call;
    }
    list->last = call;
    list->count++;
}

void osr_message_list_remove(struct osr_message_list *list, struct osr_message_call *call)
{
    if (call->previous != NULL) {
        call->previous->next = call->next;
    } else {
        list->first = call->next;
    }
    if (call->next != NULL) {
        call->next->previous = call->previous;
    } else {
        list->last = call->previous;
    }
    list->count--;
}

/* ---- replies ---- */

void osr_message_call_drop_replies(struct osr_message_call *call)
{
    while (call->first_reply != NULL) {
        struct osr_message_reply *reply = call->first_reply;
        call->first_reply = reply->next;
        osr_buffer_done(&reply->body);
        free(reply);
    }
    call->last_reply = NULL;
    call->queued = 0;
}

/* By what tells the codecs of a stream apart, too. */
static const char *media_type(struct osr_slice bytes)
{
    switch (bytes.data[0]) {
    case 0:
        return "application/x-protobuf";
    case '-':
        return "application/yaml";
    default:
        return "application/json";
    }
}

bool osr_message_call_is_past(const struct osr_message_call *call)
{
    return call->delivery != 0 && call->times_down != call->calls->times_down;
}

static bool has_reader(const struct osr_message_call *call)
{
    const struct osr_message_calls *calls = call->calls;
    return call->reply_to != NULL && !calls->is_closing && osr_bus_is_up(calls->bus) &&
           !osr_message_call_is_past(call);
}

static void send_reply(const struct osr_message_call *call, struct osr_slice body)
{
    osr_bus_send(call->calls->bus,
                 &(struct osr_bus_message){.address = call->reply_to,
                                           .body = body,
                                           .content_type = media_type(body),
                                           .correlation = osr_buffer_slice(&call->correlation)});
}

static void keep_reply(struct osr_message_call *call, struct osr_buffer *body)
{
    struct osr_message_reply *reply = osr_alloc(sizeof(*reply));
    reply->body = *body;
    *body = (struct osr_buffer){0};
    if (call->last_reply != NULL) {
        call->last_reply->next = reply;
    } else {
        call->first_reply = reply;
    }
    call->last_reply = reply;
    call->queued += reply->body.size;
}

static void call_write(struct osr_connection *base, struct osr_buffer *buffer)
{
    struct osr_message_call *call = call_of(base);
    if (buffer->size > 0 && !call->is_closing && has_reader(call)) {
        if (call->first_reply != NULL || osr_bus_is_full(call->calls->bus)) {
            keep_reply(call, buffer);
        } else {
            send_reply(call, osr_buffer_slice(buffer));
        }
    }
    osr_buffer_done(buffer);
}

static void send_kept(struct osr_message_call *call)
{
    while (call->first_reply != NULL && !osr_bus_is_full(call->calls->bus)) {
        struct osr_message_reply *reply = call->first_reply;
        send_reply(call, osr_buffer_slice(&reply->body));
        call->queued -= reply->body.size;
        call->first_reply = reply->next;
        call->last_reply = reply->next != NULL ? call->last_reply : NULL;
        osr_buffer_done(&reply->body);
        free(reply);
    }
}

void osr_message_call_go_on(struct osr_message_call *call)
{
    if (has_reader(call)) {
        send_kept(call);
    } else {
        osr_message_call_drop_replies(call);
    }
    if (call->first_reply != NULL) {
        return;
    }
    if (call->is_closing) {
        osr_message_calls_schedule(call->calls);
    } else if (call->base.handler->on_drain != NULL) {
        call->base.handler->on_drain(call->base.context, &call->base);
    }
}

/* ---- the body ---- */

static void give_piece(struct osr_message_call *call)
{
    const struct osr_connection_handler *handler = call->base.handler;
    size_t size = call->body.size - call->taken;
    size_t room;
    uint8_t *bytes = handler->on_room(call->base.context, size, &room);
    size = size < room ? size : room;
    memcpy(bytes, call->body.data + call->taken, size);
    call->taken += size;
    handler->on_read(call->base.context, &call->base, size);
}

static void give_end(struct osr_message_call *call)
{
    call->calls->at_hand = NULL;
    osr_connection_tell_end(&call->base);
}

void osr_message_call_give(struct osr_message_call *call)
{
    if (call->taken < call->body.size) {
        give_piece(call);
    } else {
        give_end(call);
    }
}

static void call_read(struct osr_connection *base, bool on)
{
    struct osr_message_call *call = call_of(base);
    call->read_wanted = on;
    if (on && call->calls->at_hand == call) {
        osr_message_calls_schedule(call->calls);
    }
}

/* ---- the end ---- */

static void call_close(struct osr_connection *base, bool reset)
{
    struct osr_message_call *call = call_of(base);
    struct osr_message_calls *calls = call->calls;
    if (!call->is_closing) {
        call->is_closing = true;
        osr_message_list_remove(&calls->running, call);
        osr_message_list_append(&calls->ending, call);
        calls->at_hand = calls->at_hand != call ? calls->at_hand : NULL;
    }
    if (reset) {
        osr_err_set(&call->result, OSR_CANCELLED, "%s: closed from this side", base->url);
        osr_message_call_drop_replies(call);
    }
    osr_message_calls_schedule(calls);
}

void osr_message_call_rewind(struct osr_message_call *call)
{
    call->base.handler = NULL;
    call->base.context = NULL;
    call->taken = 0;
    call->read_wanted = true;
    call->is_closing = false;
    call->result = (struct osr_err){.code = OSR_OK};
}

/* ---- as a kind of connection ---- */

static void call_accept(struct osr_connection *base)
{
    (void)base; /* its body comes when on_accept has returned */
}

static void call_flush(struct osr_connection *base)
{
    (void)base; /* nothing is put off */
}

static size_t call_queued(const struct osr_connection *base)
{
    return ((const struct osr_message_call *)base)->queued;
}

static void call_end(struct osr_connection *base)
{
    (void)base; /* replies have no end but the last one's own */
}

static const struct osr_connection_kind call_kind = {
    .accept = call_accept,
    .write = call_write,
    .flush = call_flush,
    .queued = call_queued,
    .read = call_read,
    .end = call_end,
    .close = call_close,
};

/* ---- life ---- */

struct osr_message_call *osr_message_call_create(struct osr_message_calls *calls,
                                                 const struct osr_bus_message *message)
{
    struct osr_message_call *call = osr_alloc(sizeof(*call));
    const char *shown = message->sender != NULL ? message->sender : "";
    call->client = osr_strdup(calls->as != NULL ? calls->as : shown);
    call->base.kind = &call_kind;
    call->base.url = osr_strdup(calls->base.url);
    call->base.client = call->client;
    call->calls = calls;
    call->delivery = message->delivery;
    call->times_down = calls->times_down;
    osr_buffer_add(&call->body, message->body.data, message->body.size);
    if (message->reply_to != NULL && message->reply_to[0] != '\0') {
        call->reply_to = osr_strdup(message->reply_to);
        osr_buffer_add(&call->correlation, message->correlation.data, message->correlation.size);
    }
    calls->body_bytes += call->body.size;
    osr_message_call_rewind(call);
    return call;
}

void osr_message_call_destroy(struct osr_message_call *call)
{
    call->calls->body_bytes -= call->body.size;
    osr_message_call_drop_replies(call);
    osr_buffer_wipe(&call->body); /* a token, perhaps */
    osr_buffer_done(&call->correlation);
    free(call->reply_to);
    free(call->client);
    free(call->base.url);
    free(call);
}
