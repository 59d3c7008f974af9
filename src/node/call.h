/* call.h -- one request under way, from its frame to its last reply.
 *
 * A call is made when a request has passed its checks, and goes with its last reply
 * (osr_call_reply, osr_call_fail, or osr_call_finish after streamed ones). A caller that goes away
 * cancels its queries and is waited for by no agreement; what is being written is written all the
 * same, and answered to nobody.
 *
 * Streamed replies pause their query while the caller does not read. Items of lists are
 * collected into frames of a good size.
 *
 * Threads: the loop's only. */
#ifndef OSR_NODE_CALL_H
#define OSR_NODE_CALL_H

#include "node/knowledge.h"
#include "node/session.h"

enum {
    /* Of one caller; the next is refused with BUSY. They would keep places of queries for ever. */
    OSR_CALLER_WATCHES_MAX = 16,
    /* A frame of list items is sent when it holds so many, or so many bytes of them: few enough
     * to show at once, enough to cost little each. */
    OSR_REPLY_ITEMS_MAX = 100,
    OSR_REPLY_ITEMS_BYTES = 64 << 10,
};

struct osr_call {
    struct osr_call *next, *previous;    /* of the same session */
    struct osr_session *session;         /* NULL: the caller has gone */
    const struct osr_services *services; /* node/operations.h; set for its handler */
    uint64_t request_id;
    struct osr_identity identity; /* whose it is */
    Osr__Frame__BodyCase reply;   /* what answers it */
    size_t bytes;                 /* of the request on the wire */
    struct osr_query *query;      /* NULL: none, or it has come to its end */
    struct osr_call_room *room;   /* NULL: it does not wait for any */
    uint64_t agreed;              /* number of its request to the agreement; 0: none */
    bool is_endless;              /* answers until the caller goes */
    bool is_counted;              /* osr_call_await was called */
    void *operation;              /* the handler's own memory; freed with the call */
    /* Items collected for the next frame; each lives in `arena`. NULL: there are none. */
    struct osr_arena *arena;
    ProtobufCMessage **items;
    size_t item_count;
};

struct osr_call *osr_call_create(struct osr_session *session, const struct osr_identity *identity,
                                 const Osr__Frame *request, Osr__Frame__BodyCase reply,
                                 size_t bytes);
/* What answers it, and ends by itself: it counts against OSR_SESSION_QUERIES_MAX. NULL: something
 * that cannot be cancelled, and answers a caller that has gone, too. */
void osr_call_await(struct osr_call *call, struct osr_query *query);
/* What answers it until the caller goes. */
void osr_call_await_for_ever(struct osr_call *call, struct osr_query *query);
/* What answers it, by its number at the agreement (core/agreement.h), where nobody waits for it
 * once the caller has gone. */
void osr_call_await_agreed(struct osr_call *call, uint64_t number);
/* Calls `ready`, perhaps at once, when there is memory for an answer of so many bytes (one of
 * node/reply_memory.h's look-ups). Until then it can be cancelled, and ends with its caller. */
void osr_call_await_room(struct osr_call *call, size_t bytes, void (*ready)(struct osr_call *call));
/* What was asked for has been handed on, and who has it now has limits of its own: it counts no
 * longer among the bytes under way, however long the answer takes. */
void osr_call_pass_on(struct osr_call *call);
/* The last reply. The message stays the caller's; the call is gone. */
void osr_call_reply(struct osr_call *call, ProtobufCMessage *message);
void osr_call_fail(struct osr_call *call, const struct osr_err *err);
/* One of several replies. */
void osr_call_stream(struct osr_call *call, ProtobufCMessage *message);

/* For a query's on_reply: ends the call where the query has failed; true if so. */
bool osr_call_query_failed(struct osr_call *call, const struct osr_query_reply *reply);
/* Makes a message of `items`, and gives that to osr_call_send_items. */
typedef void osr_call_wrap_items(struct osr_call *call, bool last);
/* Keeps a copy of an item (NULL: there is none) that a query's reply brought, and sends what was
 * kept when a frame is full, the query takes its time, or it has ended. */
void osr_call_collect(struct osr_call *call, const ProtobufCMessage *item,
                      const struct osr_query_reply *reply, osr_call_wrap_items *wrap);
void osr_call_send_items(struct osr_call *call, ProtobufCMessage *message, bool last);

uint32_t osr_calls_endless(struct osr_session *session); /* how many of its calls are */

/* What a session's handler does with its calls. */
void osr_calls_end(struct osr_session *session);    /* on_end: those without an end stop */
void osr_calls_resume(struct osr_session *session); /* on_drain */
void osr_calls_resume_one(struct osr_session *session, uint64_t request_id); /* on_room */
/* on_cancelled; false: it is being written, and answers when it is. */
bool osr_calls_cancel(struct osr_session *session, uint64_t request_id);
void osr_calls_abandon(struct osr_session *session); /* on_closed */

#endif
