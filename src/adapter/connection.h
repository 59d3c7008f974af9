/* connection.h -- what every kind of connection is made of. For the carriers behind transport.h
 * alone. */
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
    struct osr_socket_owner owner;
};

#endif
