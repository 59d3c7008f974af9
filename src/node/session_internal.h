/* session_internal.h -- what one session (session.c) and all of them (sessions.c) share. For
 * these two alone. */
#ifndef OSR_NODE_SESSION_INTERNAL_H
#define OSR_NODE_SESSION_INTERNAL_H

#include "model/identity.h"
#include "model/limits.h"
#include "node/session.h"
#include "wire/stream.h"

enum osr_session_state {
    SESSION_DIALLING,
    SESSION_FRESH, /* accepted; its first frame has not come */
    SESSION_LINK,
    SESSION_CLIENT,
    SESSION_SEED,
    SESSION_CLOSED, /* on_close is to come */
};

struct osr_session {
    struct osr_session *next, *previous;
    struct osr_session *next_dirty;
    struct osr_sessions *sessions;
    struct osr_connection *connection;
    enum osr_session_state state;
    enum osr_role role;
    uint32_t number;
    void *user;
    char url[OSR_URL_TEXT_MAX];
    char instance[OSR_INSTANCE_CHARS + 1];
    char name[OSR_NAME_BYTES_MAX + 1];
    bool seeds_allowed; /* its listener has ?peer=seed */
    bool is_dirty;      /* listed for the next flush */
    bool is_reading;
    bool is_ended; /* the other end has ended its direction */
    struct osr_stream stream;
    size_t input; /* its part of sessions->input */
    struct osr_buffer output;
    uint64_t handed_over; /* bytes given to the connection since its start */
    uint64_t taken;       /* of these, taken by the other end at the last look */
    uint64_t taken_ms;    /* when that grew, or nothing was queued */
    uint64_t deadline_ms; /* for the frame that is awaited; UINT64_MAX: none */
    uint32_t requests;
    uint32_t queries; /* of these */
    size_t request_bytes;
    struct osr_call *calls;
};

struct osr_sessions {
    uv_loop_t *loop;
    uv_timer_t sweep;
    struct osr_session_handler handler;
    const struct osr_trace *trace;
    struct osr_arena *arena; /* for the frame at hand, whichever connection it came by */
    struct osr_session *first;
    struct osr_session *first_dirty;
    struct osr_session *links[OSR_PEERS_MAX];
    size_t link_count;
    size_t count;
    uint32_t connections_max;
    uint32_t last_number;
    uint32_t turned_away; /* connections over the limit since the last sweep */
    size_t input;         /* bytes of incomplete frames */
    size_t request_bytes; /* of requests under way */
    size_t output;        /* bytes sent since the last look at who has how much to read */
    bool hold_clients, hold_links;
    bool resume_wanted; /* somebody may be read again, or has been answered and may go */
};

/* session.c */
extern const struct osr_connection_handler osr_session_connection_handler;
/* Handles the whole frames at hand, as far as back-pressure allows. */
void osr_session_process(struct osr_session *session);
/* Hands what was collected to the connection. */
void osr_session_flush(struct osr_session *session);
/* Closes without a last word. */
void osr_session_drop(struct osr_session *session, bool reset);
size_t osr_session_queued(const struct osr_session *session); /* bytes, not yet taken */
/* Forgets what was received and not handled. */
void osr_session_release_input(struct osr_session *session);

/* sessions.c */
void osr_session_destroy(struct osr_session *session); /* its connection is gone */
void osr_session_mark_dirty(struct osr_session *session);
/* Where the incomplete frames of all take too much memory, the largest goes. */
void osr_sessions_spare_memory(struct osr_sessions *sessions);
/* So many bytes more are to be sent; where too many wait to be read by all, those with the most
 * go, perhaps the sender of these. */
void osr_sessions_spare_output(struct osr_sessions *sessions, size_t grown);

#endif
