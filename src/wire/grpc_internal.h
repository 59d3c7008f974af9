/* grpc_internal.h -- what the parts of grpc.h's implementation know of one another.
 *
 * grpc_connection.c: bytes in and out, time, the end of the connection.
 * grpc_session.c: nghttp2's session and what it tells: frames that came and went, floods.
 * grpc_call.c: one call's memory and its end; grpc_sending.c and grpc_receiving.c: its two sides.
 * grpc_fields.c: header blocks, from and to gRPC's words.
 *
 * Handlers are called from within nghttp2's receiving callbacks (on_call, on_message, ...), where
 * sending functions only queue; or from osr_grpc_settle, for what a handler itself has brought
 * about: the end of a call that it cancelled, messages of one that it no longer holds.
 *
 * A call's memory is freed when both are through with it: the handler (on_end) and nghttp2 (the
 * stream is closed). */
#ifndef OSR_WIRE_GRPC_INTERNAL_H
#define OSR_WIRE_GRPC_INTERNAL_H

#include "base/heap.h"
#include "wire/grpc.h"
#include "wire/grpc_guard.h"
#include "wire/grpc_message.h"

#include <nghttp2/nghttp2.h>

/* ---- header blocks ---- */

/* The header block that is being received: HTTP/2 never mixes two of them. */
struct osr_grpc_block {
    size_t bytes; /* names, values and 32 for each field */
    struct osr_buffer path;
    struct osr_buffer authority;
    struct osr_buffer message; /* decoded */
    struct osr_buffer details;
    struct osr_grpc_metadata_list metadata;
    uint64_t timeout_ms; /* UINT64_MAX: none */
    int http_status;
    enum osr_grpc_code code;
    enum osr_grpc_encoding encoding;
    bool is_post : 1;
    bool is_grpc : 1; /* by its content-type */
    bool has_code : 1;
    bool has_accept : 1;
    bool accepts_gzip : 1;
    bool has_bad_timeout : 1;
    bool has_bad_metadata : 1;
    bool has_long_path : 1;
};

void osr_grpc_block_reset(struct osr_grpc_block *block);
void osr_grpc_block_done(struct osr_grpc_block *block);
void osr_grpc_block_add(struct osr_grpc_block *block, struct osr_slice name,
                        struct osr_slice value);

/* A header block to be sent. */
struct osr_grpc_fields {
    nghttp2_nv *items;
    size_t count;
    size_t capacity;
};

void osr_grpc_fields_done(struct osr_grpc_fields *fields);
/* Both texts outlive the connection. */
void osr_grpc_fields_add_static(struct osr_grpc_fields *fields, const char *name,
                                const char *value);
/* The value is copied when the fields are submitted, and kept out of the peer's table where it
 * is unlikely to come again. */
void osr_grpc_fields_add(struct osr_grpc_fields *fields, const char *name, struct osr_slice value,
                         bool is_indexed);
/* Fields as they stand in the list: "-bin" values are base64 already. */
void osr_grpc_fields_add_list(struct osr_grpc_fields *fields,
                              const struct osr_grpc_metadata_list *list);
void osr_grpc_fields_add_code(struct osr_grpc_fields *fields, enum osr_grpc_code code);

/* ---- calls ---- */

/* A list in order of arrival; each call may stand once in it. */
enum osr_grpc_queue_kind {
    OSR_GRPC_QUEUE_DUE,  /* osr_grpc_settle has something to do */
    OSR_GRPC_QUEUE_ROOM, /* on_room is due, once all else is written */
    OSR_GRPC_QUEUE_COUNT,
};

struct osr_grpc_queue {
    struct osr_grpc_call *first;
    struct osr_grpc_call *last;
};

/* How a call ends, or ended. */
struct osr_grpc_ending {
    enum osr_grpc_code code;
    struct osr_buffer message;
    struct osr_buffer details;
    struct osr_grpc_metadata_list metadata;
    bool is_local;
    bool is_unprocessed;
};

struct osr_grpc_call {
    struct osr_grpc *grpc;
    struct osr_grpc_call *previous; /* all of the connection, or the pool by `next` */
    struct osr_grpc_call *next;
    struct osr_grpc_call *queue_next[OSR_GRPC_QUEUE_COUNT];
    struct osr_heap_item deadline; /* in the connection's heap, where there is one */
    void *user;
    int32_t stream_id; /* 0: a client's that is not submitted yet */

    /* Sending. The queue: [sent | ready to be sent | a message being built]. */
    struct osr_buffer queue;
    size_t queue_sent;
    size_t queue_ready;
    size_t message_begin;
    struct osr_grpc_metadata_list headers;  /* fields as they will be sent */
    struct osr_grpc_metadata_list trailers; /* a server's, likewise */
    struct osr_buffer path;                 /* a client's */
    struct osr_buffer authority;
    enum osr_grpc_code code; /* a server's status, once is_finished */
    enum osr_grpc_encoding send_encoding;

    /* Receiving. */
    struct osr_grpc_reader reader;
    struct osr_buffer kept; /* DATA that came while held */
    size_t kept_taken;
    size_t unconsumed; /* of the stream's window, not given back */
    int http_status;

    struct osr_grpc_ending ending;
    size_t bytes;        /* as counted in the connection's memory, and in the budget */
    size_t queue_memory; /* as counted in the connection's */

    bool is_queued[OSR_GRPC_QUEUE_COUNT];
    bool is_told : 1;          /* the handler knows of it */
    bool is_begun : 1;         /* request or response HEADERS are submitted */
    bool is_open : 1;          /* ... and written */
    bool is_building : 1;      /* between message_begin and message_end */
    bool is_cut : 1;           /* the queue's front may be the middle of a message */
    bool is_deferred : 1;      /* nghttp2 waits for more of the queue */
    bool is_finished : 1;      /* nothing more will be queued */
    bool is_sent : 1;          /* END_STREAM is written */
    bool was_full : 1;         /* on_room is owed */
    bool is_held : 1;          /* by osr_grpc_hold */
    bool is_remote_closed : 1; /* the peer has sent END_STREAM */
    bool is_half_close_told : 1;
    bool has_headers : 1;  /* a client's: the initial ones have come */
    bool is_ending : 1;    /* `ending` is filled in */
    bool is_ended : 1;     /* on_end is through */
    bool is_closed : 1;    /* nghttp2 has forgotten the stream */
    bool accepts_gzip : 1; /* the peer does */
    bool compresses : 1;
    bool is_compress_set : 1; /* by osr_grpc_call_compress */
};

/* grpc_call.c: memory, and the end. */

/* Neither told nor submitted yet. */
struct osr_grpc_call *osr_grpc_call_create(struct osr_grpc *grpc);
void osr_grpc_call_destroy(struct osr_grpc_call *call); /* may go to the pool */
void osr_grpc_call_destroy_if_unused(struct osr_grpc_call *call);
/* Keeps the connection's sums of what peers make its calls hold. */
void osr_grpc_call_count_bytes(struct osr_grpc_call *call);
bool osr_grpc_is_over_budget(const struct osr_grpc *grpc);
void osr_grpc_call_set_deadline(struct osr_grpc_call *call, uint64_t deadline_ms);
/* Ends it from our side: the handler is told at the next settling, the peer by trailers where
 * they can still be sent, else by RST_STREAM. */
void osr_grpc_call_fail(struct osr_grpc_call *call, enum osr_grpc_code code, const char *message);
/* The end is known, and nothing is told to the peer. Only the first one counts. */
void osr_grpc_call_end(struct osr_grpc_call *call, enum osr_grpc_code code, const char *message,
                       bool is_unprocessed);
/* The end in the server's words; the rest of `ending` is the caller's to fill in. */
void osr_grpc_call_set_ending(struct osr_grpc_call *call, enum osr_grpc_code code);
/* ... which are not all: its last messages are broken or cannot be taken. */
void osr_grpc_call_override_ending(struct osr_grpc_call *call, enum osr_grpc_code code,
                                   const char *why);
/* nghttp2 is through with the stream; the call may be gone after. */
void osr_grpc_call_close(struct osr_grpc_call *call, uint32_t http2_error);
/* Tells the handler what is due; the call may be gone after. */
void osr_grpc_call_settle(struct osr_grpc_call *call);

/* grpc_sending.c: what this side says. */

bool osr_grpc_call_may_send(const struct osr_grpc_call *call);
void osr_grpc_call_begin_sending(struct osr_grpc_call *call); /* HEADERS, if not yet */
void osr_grpc_call_drop_queue(struct osr_grpc_call *call);
/* The next bytes of the queue, which nghttp2 has asked for, go out. */
void osr_grpc_call_write(struct osr_grpc_call *call, size_t size, struct osr_buffer *output);
void osr_grpc_call_tell_peer(struct osr_grpc_call *call, enum osr_grpc_code code,
                             const char *message);
void osr_grpc_call_reset(struct osr_grpc_call *call, uint32_t http2_error);
/* on_room, if it is still due; the call may be gone after. */
void osr_grpc_call_settle_room(struct osr_grpc_call *call);

/* grpc_receiving.c: what the peer says: request, response, trailers, bytes and END_STREAM. */

void osr_grpc_call_take_request(struct osr_grpc_call *call);
void osr_grpc_call_take_response(struct osr_grpc_call *call);
void osr_grpc_call_take_trailers(struct osr_grpc_call *call);
void osr_grpc_call_take_data(struct osr_grpc_call *call, struct osr_slice data);
void osr_grpc_call_take_half_close(struct osr_grpc_call *call);
/* Gives the handler what was kept while the call was held; true where nothing is left. */
bool osr_grpc_call_settle_received(struct osr_grpc_call *call);
/* Of a call that is ending: what it keeps, being held, will never be taken. */
void osr_grpc_call_abandon(struct osr_grpc_call *call);

/* ---- the connection ---- */

struct osr_grpc {
    nghttp2_session *session;
    struct osr_grpc_options options;
    struct osr_grpc_handler handler;
    struct osr_grpc_guard guard;
    uint64_t now_ms;

    struct osr_grpc_call *calls;
    size_t call_count; /* in `calls`, also those whose end is told */
    size_t told_count; /* told and not ended */
    struct osr_grpc_queue queues[OSR_GRPC_QUEUE_COUNT];
    struct osr_heap deadlines;

    struct osr_grpc_block block;
    struct osr_grpc_fields fields;
    struct osr_buffer scratch;
    size_t unconsumed;             /* of the connection's window, within one receive */
    size_t queued_bytes;           /* in all calls' queues */
    size_t queue_memory;           /* of these */
    struct osr_grpc_budget memory; /* of calls, and of what came for them */

    struct osr_buffer *output; /* within osr_grpc_produce */
    size_t output_end;
    struct osr_buffer last_words;         /* GOAWAY, written by hand */
    char why[OSR_GRPC_WHY_BYTES_MAX + 1]; /* ... and what it says, or nghttp2's own */

    uint64_t created_ms;
    uint64_t received_ms; /* when something last came */
    uint64_t ping_ms;     /* when keepalive's PING went, if is_ping_out */
    uint64_t drain_ms;    /* when draining began, if is_draining */
    bool has_settings : 1;
    bool is_ping_out : 1;
    bool is_draining : 1;
    bool is_drain_final : 1; /* the real GOAWAY is submitted */
    bool is_going_away : 1;  /* a client: no new calls */
    bool is_shut : 1;        /* the session is used no more */
    bool is_data_empty : 1;  /* the DATA frame at hand has brought nothing yet */
    bool peer_accepts_gzip : 1;
    bool is_peer_accept_known : 1;
};

static inline bool osr_grpc_call_is_server(const struct osr_grpc_call *call)
{
    return call->grpc->options.is_server;
}

/* grpc_session.c */

/* Makes the session, with SETTINGS to be sent. */
void osr_grpc_session_create(struct osr_grpc *grpc);
/* The PING between a drain's two GOAWAYs, and the second of these. */
void osr_grpc_session_ping_to_drain(struct osr_grpc *grpc);
void osr_grpc_session_finish_drain(struct osr_grpc *grpc);

/* grpc_connection.c */

void osr_grpc_enqueue(struct osr_grpc_call *call, enum osr_grpc_queue_kind kind);
/* Ends all calls; nghttp2's session is used no more. The words are cut where they are long. */
void osr_grpc_end_all(struct osr_grpc *grpc, struct osr_slice why);
/* Ends the connection: GOAWAY with these words, then nothing; calls end as UNAVAILABLE. */
void osr_grpc_break(struct osr_grpc *grpc, uint32_t http2_error, const char *words);

#endif
