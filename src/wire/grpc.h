/* grpc.h -- gRPC over HTTP/2: one connection, either side. Bytes in, calls and messages out, and
 * the other way round; no socket, no clock, no thread. HTTP/2's frames, HPACK and stream states
 * are nghttp2's; the gRPC protocol, its limits and the defence against floods are ours.
 *
 * Happy path of a server: osr_grpc_receive(bytes) -> on_call -> on_message ... -> on_half_close;
 * osr_grpc_message_begin/_end for each reply, osr_grpc_finish(status) -> osr_grpc_produce gives
 * the bytes to write -> on_end. Of a client: osr_grpc_start -> messages, osr_grpc_half_close ->
 * on_headers -> on_message ... -> on_end(status).
 *
 * Back-pressure, both ways. Sending is pull-based: osr_grpc_is_full says that enough is queued
 * for a call, on_room that there is room again. Receiving: while a call is held
 * (osr_grpc_hold) its stream's flow-control window is not given back; the connection's always is.
 * osr_grpc_produce gives no more than asked for, so the caller stops at its own mark.
 *
 * After anything that is done to a connection or a call, osr_grpc_produce may have something to
 * give and osr_grpc_deadline_ms may be earlier. Time is that of the last receive or tick: tick
 * before osr_grpc_start where that is long ago, as deadlines travel as what is left of them.
 *
 * Failures: of a call, it ends with a status, and on_end says so on both sides; of the connection,
 * osr_grpc_receive fails from then on, the last words (GOAWAY) are still produced, all calls end.
 * What breaks HTTP/2's rules may show only while GOAWAY is produced: ask osr_grpc_is_over.
 *
 * Sources: gRPC over HTTP2 (github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md), RFC 9113.
 *
 * Re-entrancy: all functions on calls may be called from within handlers, but osr_grpc_receive,
 * osr_grpc_produce, osr_grpc_tick and osr_grpc_destroy may not. */
#ifndef OSR_WIRE_GRPC_H
#define OSR_WIRE_GRPC_H

#include "wire/grpc_metadata.h"
#include "wire/grpc_status.h"

enum {
    OSR_GRPC_CALLS_MAX = 1024, /* at a time on one connection: what it may make us remember */
    /* Name, value and 32 for each field (RFC 9113, 10.5.1): past the first the call ends with
     * RESOURCE_EXHAUSTED, past the second its stream is reset. */
    OSR_GRPC_HEADERS_SOFT_BYTES = 16 << 10,
    OSR_GRPC_HEADERS_HARD_BYTES = 64 << 10,
    OSR_GRPC_PATH_BYTES_MAX = 256,
    /* Flow control: what may come unasked, for one call and for all of a connection. */
    OSR_GRPC_CALL_WINDOW_BYTES = 256 << 10,
    OSR_GRPC_WINDOW_BYTES = 1 << 20,
    /* Queued for one call: past it osr_grpc_is_full. One message more may be queued. */
    OSR_GRPC_CALL_QUEUE_BYTES = 64 << 10,
    /* Queued for all calls of a connection: past it a call is full that has anything queued. */
    OSR_GRPC_QUEUE_BYTES = 4 << 20,
    /* Calls, and their messages that are begun or held, on one connection: past it the call that
     * wants more ends with RESOURCE_EXHAUSTED. */
    OSR_GRPC_BYTES_MAX = 32 << 20,
    /* What a call counts for by itself: ours, nghttp2's stream, its owner's. */
    OSR_GRPC_CALL_BYTES = 1 << 10,
    /* A connection may have so much whatever the others have: who asks for little is not refused
     * because of those who ask for much. */
    OSR_GRPC_OWN_BYTES = 16 << 10,
    /* Until client preface and SETTINGS must be there. */
    OSR_GRPC_PREFACE_MS = 10 * 1000,
    /* A server's connection on which nothing comes gets PING, then GOAWAY. */
    OSR_GRPC_KEEPALIVE_MS = 60 * 1000,
    /* A client's, only while calls are under way: other servers end connections that send PING
     * every five minutes or more often. */
    OSR_GRPC_CLIENT_KEEPALIVE_MS = 6 * 60 * 1000,
    OSR_GRPC_KEEPALIVE_WAIT_MS = 20 * 1000,
    /* Calls under way at osr_grpc_drain may take so long. */
    OSR_GRPC_DRAIN_MS = 10 * 1000,

    /* Floods. Each is a token bucket: so many at once, refilled by so many a second; an empty
     * one ends the connection with ENHANCE_YOUR_CALM. */
    OSR_GRPC_RESETS_BURST = 1000, /* RST_STREAM that the peer sends ("rapid reset"), or makes */
    OSR_GRPC_RESETS_RATE = 100,   /* us send by breaking rules ("MadeYouReset") */
    /* PINGs without a call's HEADERS or DATA from us between them: two, as gRPC clients probe
     * their bandwidth, and some slack. Past it GOAWAY says too_many_pings. */
    OSR_GRPC_PINGS_MAX = 64,
    OSR_GRPC_PINGS_RATE = 1, /* so that keepalive on a quiet stream may go on for ever */
    /* Frames that carry nothing: empty DATA, PRIORITY, WINDOW_UPDATE, SETTINGS. Each HEADERS or
     * DATA that we send earns some, as a reader's windows must be updated. */
    OSR_GRPC_EMPTY_FRAMES_BURST = 10 * 1000,
    OSR_GRPC_EMPTY_FRAMES_RATE = 1000,
    OSR_GRPC_CONTINUATIONS_MAX = 8, /* frames of one header block */
    OSR_GRPC_SETTINGS_MAX = 32,     /* values in one SETTINGS frame */
    OSR_GRPC_ACKS_QUEUED_MAX = 64,  /* of SETTINGS and PING, not yet taken by the peer */

    OSR_GRPC_WHY_BYTES_MAX = 127, /* of osr_grpc_why, and of what a GOAWAY says */
};

struct osr_grpc;      /* a connection */
struct osr_grpc_call; /* one call of it: an HTTP/2 stream */

/* What peers may make several connections hold together: calls, and their messages that are begun
 * or held. Past it new calls are refused (REFUSED_STREAM, so the peer knows that it may repeat
 * them), and the call that wants more ends with RESOURCE_EXHAUSTED; but OSR_GRPC_OWN_BYTES are
 * each connection's own. What ended calls leave to later ones lies here, too, so that it is the
 * same little however many connections there are. The owner keeps it alive. */
struct osr_grpc_budget {
    size_t bytes_max;
    size_t bytes;
    struct osr_grpc_call *pool; /* calls that have ended, by their own link */
    size_t pool_count;
};
/* When all its connections are destroyed. */
void osr_grpc_budget_done(struct osr_grpc_budget *budget);

/* What begins a call. As given to on_call it lives until the return. */
struct osr_grpc_head {
    struct osr_slice path;                    /* "/osiris.v1.Knowledge/Get" */
    struct osr_slice authority;               /* may be empty */
    uint64_t deadline_ms;                     /* on the scale of now_ms; UINT64_MAX: none */
    const struct osr_grpc_metadata *metadata; /* without what is gRPC's own */
    size_t metadata_count;
};

/* How a call ended. */
struct osr_grpc_end {
    enum osr_grpc_code code;
    struct osr_slice message; /* decoded */
    struct osr_slice details; /* of grpc-status-details-bin, decoded; may be empty */
    const struct osr_grpc_metadata *metadata; /* trailing */
    size_t metadata_count;
    /* A server's: the call ended before osr_grpc_finish: cancelled by the peer, past its deadline,
     * or with the connection. A client's: the status was not the server's own words. */
    bool is_local;
    bool is_unprocessed; /* a client's: the server has surely not looked at it: safe to repeat */
};

/* All but on_message, on_end and a server's on_call may be NULL. A slice lives until the return. */
struct osr_grpc_handler {
    /* Server. Answer at once or later; osr_grpc_call_set_user says whose it is. */
    void (*on_call)(void *context, struct osr_grpc_call *call, const struct osr_grpc_head *head);
    /* Client: the server's initial metadata. */
    void (*on_headers)(void *context, struct osr_grpc_call *call,
                       const struct osr_grpc_metadata *metadata, size_t count);
    /* One whole message, decompressed. */
    void (*on_message)(void *context, struct osr_grpc_call *call, struct osr_slice message);
    /* Server: no further message will come. */
    void (*on_half_close)(void *context, struct osr_grpc_call *call);
    /* osr_grpc_is_full is false again. */
    void (*on_room)(void *context, struct osr_grpc_call *call);
    /* Exactly once for each call that on_call or osr_grpc_start told of; the call is gone after. */
    void (*on_end)(void *context, struct osr_grpc_call *call, const struct osr_grpc_end *end);
    /* Client: the server takes no new calls; those under way go on. */
    void (*on_going_away)(void *context);
    void *context;
};

struct osr_grpc_options {
    bool is_server;
    size_t message_bytes_max;   /* decompressed; a call may have its own: osr_grpc_call_limit */
    uint32_t calls_max;         /* 0: OSR_GRPC_CALLS_MAX */
    bool compresses;            /* messages of some size, where the peer accepts gzip */
    uint32_t keepalive_ms;      /* 0: OSR_GRPC_KEEPALIVE_MS, or _CLIENT_KEEPALIVE_MS */
    uint32_t keepalive_wait_ms; /* 0: OSR_GRPC_KEEPALIVE_WAIT_MS */
    const char *user_agent;     /* of a client; NULL: "osiris/VERSION"; outlives the connection */
    bool is_secure;             /* of a client: over TLS, where the scheme is "https" */
    struct osr_grpc_budget *budget; /* shared with other connections; NULL: none */
};

/* now_ms: monotonic, here as everywhere. */
struct osr_grpc *osr_grpc_create(const struct osr_grpc_options *options,
                                 const struct osr_grpc_handler *handler, uint64_t now_ms);
/* Ends all calls with on_end (UNAVAILABLE, local). NULL is a no-op. */
void osr_grpc_destroy(struct osr_grpc *grpc);

/* Takes what the peer sent, in any pieces. Fails where the connection cannot go on: produce what
 * is left, write it, close. */
int osr_grpc_receive(struct osr_grpc *grpc, struct osr_slice bytes, uint64_t now_ms,
                     struct osr_err *err);
/* Appends what is to be written, about bytes_max at most; false where there was nothing. */
bool osr_grpc_produce(struct osr_grpc *grpc, struct osr_buffer *output, size_t bytes_max);
/* There is something to produce. */
bool osr_grpc_has_output(const struct osr_grpc *grpc);
/* Nothing more will come of it: close, once all output is written. */
bool osr_grpc_is_over(const struct osr_grpc *grpc);
/* Why it was broken off, by either side's fault: what its GOAWAY says. NULL: it was not. */
const char *osr_grpc_why(const struct osr_grpc *grpc);
/* Carries out what is due: deadlines, preface, keepalive, drain. */
void osr_grpc_tick(struct osr_grpc *grpc, uint64_t now_ms);
uint64_t osr_grpc_deadline_ms(const struct osr_grpc *grpc); /* when that is; UINT64_MAX: never */
size_t osr_grpc_call_count(const struct osr_grpc *grpc);
/* Memory of what is queued for all calls. */
size_t osr_grpc_queue_memory(const struct osr_grpc *grpc);

/* Server: takes no new calls, lets those under way end, then is over. Client: starts none. */
void osr_grpc_drain(struct osr_grpc *grpc, uint64_t now_ms);
/* GOAWAY and the end of all calls, at once. */
void osr_grpc_shut(struct osr_grpc *grpc, enum osr_grpc_code code, const char *message);

/* ---- calls ---- */

/* Client. The head is copied. UNAVAILABLE where the connection takes no more calls, BUSY where
 * calls_max are under way; past the server's own limit a call waits here for its turn. on_end may
 * come as soon as the next osr_grpc_receive, never from within. */
int osr_grpc_start(struct osr_grpc *grpc, const struct osr_grpc_head *head, void *user,
                   struct osr_grpc_call **ret_call, struct osr_err *err);
/* Client: no further message will be sent. */
void osr_grpc_half_close(struct osr_grpc_call *call);
/* Server: the call's end, after what is queued. details: a google.rpc.Status, encoded, or empty. */
void osr_grpc_finish(struct osr_grpc_call *call, const struct osr_grpc_end *end);
/* Either side: the end at once; on_end comes at the next tick, receive or produce. */
void osr_grpc_cancel(struct osr_grpc_call *call, enum osr_grpc_code code, const char *message);

/* Server: metadata of the answer, before its first message. Copied. */
void osr_grpc_set_headers(struct osr_grpc_call *call, const struct osr_grpc_metadata *metadata,
                          size_t count);
/* A message: whatever is appended to the buffer between the two. */
struct osr_buffer *osr_grpc_message_begin(struct osr_grpc_call *call);
void osr_grpc_message_end(struct osr_grpc_call *call);
bool osr_grpc_is_full(const struct osr_grpc_call *call);
/* Bytes of messages that are not yet written, and the memory of them. */
size_t osr_grpc_queued(const struct osr_grpc_call *call);
size_t osr_grpc_call_queue_memory(const struct osr_grpc_call *call);
/* Stops and resumes taking messages, and with them what follows: a server's on_half_close, a
 * client's on_end behind messages not taken. What came meanwhile is given at the next tick,
 * receive or produce after. */
void osr_grpc_hold(struct osr_grpc_call *call, bool hold);

void osr_grpc_call_set_user(struct osr_grpc_call *call, void *user);
void *osr_grpc_call_user(const struct osr_grpc_call *call);
void osr_grpc_call_limit(struct osr_grpc_call *call, size_t message_bytes_max);
/* Compress what this call sends from now on (if the peer accepts it), or not, whatever the options
 * say. */
void osr_grpc_call_compress(struct osr_grpc_call *call, bool on);
/* Within on_message: the message came compressed. */
bool osr_grpc_message_was_compressed(const struct osr_grpc_call *call);
uint64_t osr_grpc_call_deadline_ms(const struct osr_grpc_call *call);

#endif
