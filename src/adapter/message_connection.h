/* message_connection.h -- connections over a bus (bus.h): a kind behind transport.h, which TLS then
 * goes over (tls_connection.h). What goes through is numbered messages (message_link.h).
 *
 * A listener has one bus for all its connections, and stays open while its broker is away
 * (osr_listener_watch); a dialler has one of its own. Who dials makes up 16 random bytes, the
 * connection's id. What comes for a connection that is not there (an old session's, another time's)
 * is answered with a reset, at a limited rate, so that the other side dials anew at once.
 *
 * Failures: a gap or a change in the order of messages, the bus down, a reset: the connection
 * closes (UNAVAILABLE), and the side that dialled dials anew. A hint that the peer is gone (a last
 * will) makes it probe: without an answer within OSR_MESSAGE_PROBE_MS it closes.
 *
 * Threads: the loop's only. */
#ifndef OSR_ADAPTER_MESSAGE_CONNECTION_H
#define OSR_ADAPTER_MESSAGE_CONNECTION_H

#include "adapter/bus.h"
#include "adapter/connection.h"

enum {
    /* Of one listener at a time: the next is reset. More than may wait and shake hands at the gate
     * (gate.h), so that made-up peers, which cost a broker's client nothing, crowd out each other
     * there and not those who have shown who they are. */
    OSR_MESSAGE_CONNECTIONS_MAX = 1024,
    OSR_MESSAGE_PROBE_MS = 3000,
    /* Resets in a second for connections that are not there. */
    OSR_MESSAGE_RESETS_RATE = 100,
};

/* Promises as osr_dial_carrier (connection.h) and osr_transport_listen. */
int osr_message_dial(uv_loop_t *loop, const struct osr_url *url, uint32_t timeout_ms,
                     const struct osr_connection_handler *handler, void *context,
                     struct osr_connection **ret_connection, struct osr_err *err);
int osr_message_listen(uv_loop_t *loop, const struct osr_url *url, struct osr_tls_context *security,
                       void (*on_accept)(void *context, struct osr_connection *connection),
                       void *context, struct osr_listener **ret_listener, struct osr_err *err);

#endif
