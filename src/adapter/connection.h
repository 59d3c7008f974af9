/* connection.h -- what every kind of connection and of listener is made of. For the carriers behind
 * transport.h alone. */
#ifndef OSR_ADAPTER_CONNECTION_H
#define OSR_ADAPTER_CONNECTION_H

#include "adapter/transport.h"

/* Each does what the function of transport.h promises. */
struct osr_connection_kind {
    void (*accept)(struct osr_connection *connection); /* the handler is set: go on */
    void (*write)(struct osr_connection *connection, struct osr_buffer *buffer);
    void (*flush)(struct osr_connection *connection);
    size_t (*queued)(const struct osr_connection *connection);
    void (*read)(struct osr_connection *connection, bool on);
    void (*end)(struct osr_connection *connection);
    void (*close)(struct osr_connection *connection, bool reset);
    /* NULL: plaintext. */
    const struct osr_tls_peer *(*peer)(const struct osr_connection *connection);
    struct osr_slice (*binding)(const struct osr_connection *connection);
};

struct osr_connection {
    const struct osr_connection_kind *kind;
    const struct osr_connection_handler *handler; /* NULL: never accepted */
    void *context;
    char *url; /* of the other end; the kind frees it */
    bool is_local;
    bool is_secure;     /* `peer` is there once the handshake is done, and nothing is read before */
    const char *client; /* osr_connection_client */
    struct osr_socket_owner owner;
};

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
