/* connection.h -- what every kind of connection and of listener is made of, and what they do alike:
 * how one comes to its end, and who is at the other end of a secured one. For the carriers behind
 * transport.h alone.
 *
 * The end of a connection: why it ends is noted (the first reason of several counts) -> its handles
 * are closed -> osr_connection_finish -> the kind frees what is its own. */
#ifndef OSR_ADAPTER_CONNECTION_H
#define OSR_ADAPTER_CONNECTION_H

#include "adapter/transport.h"

enum {
    /* After a close: what is queued gets this long to go out, and the other side as long to read it
     * and to close, lest its unread bytes turn our close into a reset. */
    OSR_CONNECTION_CLOSE_MS = 2000,
    /* What is read and thrown away meanwhile: stops one that never ends from costing more than
     * what may have been on its way. */
    OSR_CONNECTION_CLOSE_BYTES = 32 << 20,
    /* Of accepted ones, from the handshake's begin: stops half-open handshakes from being kept. */
    OSR_CONNECTION_HANDSHAKE_MS = 10 * 1000,
};

/* Each does what the function of transport.h promises. */
struct osr_connection_kind {
    void (*accept)(struct osr_connection *connection); /* the handler is set: go on */
    void (*write)(struct osr_connection *connection, struct osr_buffer *buffer);
    void (*flush)(struct osr_connection *connection);
    size_t (*queued)(const struct osr_connection *connection);
    void (*read)(struct osr_connection *connection, bool on);
    void (*end)(struct osr_connection *connection);
    void (*close)(struct osr_connection *connection, bool reset);
    void (*vouch)(struct osr_connection *connection); /* osr_connection_vouch; NULL: no matter */
};

struct osr_connection {
    const struct osr_connection_kind *kind;
    const struct osr_connection_handler *handler; /* NULL: never accepted */
    void *context;
    char *url;               /* of the other end */
    struct osr_err *failure; /* why it ends; NULL: nothing has failed so far */
    bool is_local;
    bool is_secure; /* `peer` is there once the handshake is done, and nothing is read before */
    const struct osr_tls_peer *peer; /* in the session, which stays until osr_connection_finish */
    uint8_t binding[OSR_TLS_BINDING_SIZE]; /* with `peer` */
    const char *client;                    /* osr_connection_client */
    struct osr_socket_owner owner;
};

/* Why it ends, for on_close: the first reason stays, and OK is none. */
void osr_connection_note_failure(struct osr_connection *connection, const struct osr_err *err);
/* Who is at the other end has shown who they are, in a session that goes over it. */
void osr_connection_vouch(struct osr_connection *connection);
/* The other side has ended its direction: the handler hears of it, or else it is closed. */
void osr_connection_tell_end(struct osr_connection *connection);
/* Its handles are closed: on_close, unless it never had a handler; then URL and failure are freed.
 */
void osr_connection_finish(struct osr_connection *connection);

/* Begins to dial a stream or messages, as they are: promises as osr_transport_dial. */
typedef int osr_dial_carrier(uv_loop_t *loop, const struct osr_url *url, uint32_t timeout_ms,
                             const struct osr_connection_handler *handler, void *context,
                             struct osr_connection **ret_connection, struct osr_err *err);

struct osr_listener_kind {
    void (*close)(struct osr_listener *listener);
    void (*secure)(struct osr_listener *listener, struct osr_tls_context *security);
    void (*guard)(struct osr_listener *listener, struct osr_gate *gate);
};

struct osr_listener {
    const struct osr_listener_kind *kind;
    char *url;           /* as it was bound; the kind frees it */
    struct osr_err down; /* why nobody can come in now; OK: they can */
    void (*on_change)(void *context, struct osr_listener *listener, const struct osr_err *err);
    void *change_context;
};

/* Of a kind that cannot be reached at times: NULL, it can now; else why not. Tells who watches. */
void osr_listener_report(struct osr_listener *listener, const struct osr_err *err);

#endif
