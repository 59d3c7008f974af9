/* session_internal.h -- what one session (session.c; what makes it a link is in session_link.c,
 * what makes it gRPC in session_rpc.c and rpc_*.c) and all of them (sessions.c) share. For these
 * alone. */
#ifndef OSR_NODE_SESSION_INTERNAL_H
#define OSR_NODE_SESSION_INTERNAL_H

#include "adapter/gate.h"
#include "model/identity.h"
#include "model/limits.h"
#include "node/reply_memory.h"
#include "node/session.h"
#include "wire/grpc.h"
#include "wire/stream.h"

enum osr_session_state {
    SESSION_DIALLING,
    SESSION_FRESH, /* accepted; its first frame has not come */
    SESSION_LINK,
    SESSION_CLIENT,
    SESSION_RPC, /* a client that speaks gRPC */
    SESSION_SEED,
    SESSION_CLOSED, /* on_close is to come */
};

struct osr_session {
    struct osr_session *next, *previous;
    struct osr_session *next_dirty;
    struct osr_sessions *sessions;
    struct osr_connection *connection;
    enum osr_session_state state;
    Osr__LinkPurpose purpose; /* of a link */
    struct osr_identity identity;
    uint32_t number;
    void *user;
    char url[OSR_URL_TEXT_MAX];
    char instance[OSR_INSTANCE_CHARS + 1];
    char name[OSR_NAME_BYTES_MAX + 1];
    bool seeds_allowed;    /* its listener has ?peer=seed */
    bool begins_otherwise; /* a fresh one's first frame was looked at, and is no HELLO for the
                              ledger: it is not looked at again while it waits */
    bool is_message;       /* osr_session_is_message */
    unsigned methods;      /* that its listener takes (listener_methods.h) */
    bool is_dirty;         /* listed for the next flush */
    bool is_reading;
    bool is_ended; /* the other end has ended its direction */
    struct osr_stream stream;
    size_t input; /* its part of sessions->input */
    struct osr_buffer output;
    struct osr_reply_part unread;   /* memory of what is queued to it, unless it is a link */
    struct osr_reply_reader reader; /* with its queries */
    uint64_t handed_over;           /* bytes given to the connection since its start */
    uint64_t taken;                 /* of these, taken by the other end at the last look */
    uint32_t stalled_ms;            /* since that grew, or nothing was queued */
    uint32_t patience_ms;           /* left for the frame that is awaited; 0: none is */
    uint32_t requests;
    uint32_t queries; /* of these */
    size_t request_bytes;
    struct osr_call *calls;
    /* Of a connection that speaks gRPC: its layer, calls of operations, and the line of those whose
     * requests wait. */
    struct osr_grpc *grpc;
    /* Whose token the last call with one showed, so that the next one costs no hash. */
    struct osr_buffer bearer_token;
    struct osr_identity bearer;
    struct osr_rpc_operation *operations;
    struct osr_rpc_operation *line, *line_last;
    size_t line_bytes;
    struct osr_session *child; /* the link for which it was dialled */
    /* Of a link on a call of such a connection, which has none of its own: the call (NULL before
     * there is one), and where it was dialled the connection. */
    struct osr_rpc *carrier;
    struct osr_session *parent;
};

struct osr_sessions {
    uv_loop_t *loop;
    uv_timer_t sweep;
    struct osr_session_handler handler;
    struct osr_access *access;
    const struct osr_trace *trace;
    struct osr_arena *arena; /* for the frame at hand, whichever connection it came by */
    struct osr_buffer room;  /* what is read lies in here first, whichever connection it came by */
    bool room_has_secret;    /* of what was read last */
    struct osr_session *first;
    struct osr_session *first_dirty;
    struct osr_session *links[OSR_LINKS_MAX];
    size_t link_count;
    size_t count;
    size_t message_count; /* of these, requests that came as messages */
    uint32_t connections_max;
    uint32_t last_number;
    uint32_t turned_away;  /* connections over the limit since the last sweep */
    struct osr_gate *gate; /* of the listeners with TLS */
    const struct osr_trace *sums;
    uint32_t gate_quiet_ms;           /* left until its refusals are told of again */
    size_t input;                     /* memory held for frames that are incomplete or wait */
    size_t request_bytes;             /* of requests under way */
    size_t unread;                    /* memory of what is queued to clients */
    struct osr_reply_memory *replies; /* of `unread`, and of queries */
    bool hold_clients, hold_links;
    struct osr_grpc_budget rpc_budget;      /* of all gRPC connections */
    struct osr_grpc_health *health;         /* NULL: not asked for yet */
    struct osr_grpc_reflection *reflection; /* likewise */
    bool is_shut;
    bool resume_wanted; /* somebody may be read again, or has been answered and may go */
};

/* session.c */
extern const struct osr_connection_handler osr_session_connection_handler;
/* Handles the whole frames at hand, as far as back-pressure allows. */
void osr_session_process(struct osr_session *session);
/* Whether this request shows a password or a token. */
bool osr_session_is_secret(Osr__Frame__BodyCase request);
/* Wipes what a request with a secret was read and decoded in. */
void osr_session_wipe_request(struct osr_session *session, struct osr_slice bytes);
/* Hands what was collected to the connection. */
void osr_session_flush(struct osr_session *session);
/* Tells that it is gone, and destroys it. */
void osr_session_gone(struct osr_session *session, const struct osr_err *err);
/* Closes without a last word. */
void osr_session_drop(struct osr_session *session, bool reset);
size_t osr_session_queued(const struct osr_session *session); /* bytes, not yet taken */
/* Accepted with TLS, and its handshake is not done. */
bool osr_session_shakes_hands(const struct osr_session *session);
/* What it has to say is not wanted now. */
bool osr_session_is_held(const struct osr_session *session);
/* Forgets what was received and not handled. */
void osr_session_release_input(struct osr_session *session);
/* Keeps no more memory than what was received and not handled needs. */
void osr_session_trim_input(struct osr_session *session);

/* session_link.c */
/* A dialled session is open, or an accepted one has said HELLO. */
void osr_session_become_link(struct osr_session *session);
/* A fresh one begins a link for the ledger, which waits for nobody: its whole HELLO is at hand, in
 * protobuf, which instances speak. */
bool osr_session_begins_for_ledger(struct osr_session *session);
/* Of one that was accepted. False where it is refused. */
bool osr_session_accept_link(struct osr_session *session, const Osr__Frame *hello);
/* Whether what comes over a link may. */
int osr_session_check_link(struct osr_session *session, struct osr_err *err);
/* Whether the frame is one of links alone; ERROR is, too. */
bool osr_session_is_of_link(const struct osr_session *session, const Osr__Frame *frame);
/* Such a frame; the session is refused where it is no link. */
void osr_session_handle_link(struct osr_session *session, const Osr__Frame *frame);
/* A link takes one request, of who has shown which instance it is: its certificate renewed. */
int osr_session_check_link_request(struct osr_session *session, const Osr__Frame *frame,
                                   struct osr_err *err);

/* session_rpc.c */
bool osr_session_begins_rpc(struct osr_slice bytes);
void osr_session_rpc_begin(struct osr_session *session, bool is_server);
void osr_session_rpc_read(struct osr_session *session, struct osr_slice bytes);
void osr_session_rpc_flush(struct osr_session *session);
void osr_session_rpc_tick(struct osr_session *session);
/* Lets calls under way end, then closes. */
void osr_session_rpc_drain(struct osr_session *session);
void osr_session_rpc_refuse(struct osr_session *session, const struct osr_err *error);
void osr_session_rpc_end(struct osr_session *session); /* its connection is gone */

/* rpc_operation.c. Request ids of gRPC's sessions are made here, and valid until the last reply. */
void osr_session_rpc_process(struct osr_session *session); /* requests that wait in line */
void osr_session_rpc_send(const Osr__Frame *frame);
void osr_session_rpc_error(uint64_t request_id, const struct osr_err *error);
bool osr_session_rpc_is_full(uint64_t request_id);
void osr_rpc_operations_drain(struct osr_session *session); /* those without an end are ended */
void osr_rpc_operations_abandon(struct osr_session *session);

/* rpc_service.c */
void osr_rpc_services_shut(struct osr_sessions *sessions); /* nothing is served any more */
void osr_rpc_services_done(struct osr_sessions *sessions);

/* rpc_link.c */
void osr_rpc_link_send(struct osr_session *session, const Osr__Frame *frame);
struct osr_slice osr_rpc_link_binding(const struct osr_session *session); /* of what carries it */
size_t osr_rpc_link_queued(const struct osr_session *session);
size_t osr_rpc_links_memory(const struct osr_session *connection); /* of those that stand on it */
void osr_rpc_link_read(struct osr_session *session, bool on);
void osr_rpc_link_close(struct osr_session *session, bool reset);
/* Of one that is closed: the other end's answer is not waited for very long. */
void osr_rpc_link_pass_time(struct osr_session *session, uint32_t passed_ms);
/* Makes the connection for a link that is dialled; `dial` begins to dial it. */
int osr_rpc_link_dial(struct osr_session *session, const struct osr_url *url,
                      struct osr_tls_context *security,
                      int (*dial)(struct osr_session *connection, const struct osr_url *url,
                                  struct osr_tls_context *security, struct osr_err *err),
                      struct osr_err *err);
void osr_rpc_link_open(struct osr_session *connection);
void osr_rpc_link_gone(struct osr_session *connection, const struct osr_err *err);

/* sessions.c */
struct osr_session *osr_session_create(struct osr_sessions *sessions, enum osr_session_state state,
                                       enum osr_codec codec);
void osr_session_destroy(struct osr_session *session); /* its connection is gone */
void osr_session_mark_dirty(struct osr_session *session);
/* Where the incomplete frames of all take too much memory, the largest goes. */
void osr_sessions_spare_memory(struct osr_sessions *sessions);

#endif
