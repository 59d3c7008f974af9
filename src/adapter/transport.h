/* transport.h -- byte streams between processes, as a port.
 *
 * A transport makes connections: by dialling a URL or by listening at one. What comes over a
 * connection is bytes; frames are wire's business. Carriers stand behind it as kinds
 * (connection.h), of three sorts: streams (tcp.c: TCP and Unix sockets on libuv), datagrams (udp.c:
 * DTLS, with a pipe in it that repairs loss, datagram_pipe.h), and messages (message_connection.c:
 * numbered messages over a bus, bus.h). tls_connection.c is TLS over a stream or over messages.
 * What each carrier itself promises is in one table: osr_transport_promises.
 *
 * Promises of all connections: bytes arrive in order or the connection closes; on_close is the last
 * call for a connection, and comes exactly once, also after a failed dial or an
 * osr_connection_close; no callback is called from within a function of this header.
 *
 * Threads: the loop's only. */
#ifndef OSR_ADAPTER_TRANSPORT_H
#define OSR_ADAPTER_TRANSPORT_H

#include <uv.h>

#include "adapter/tls.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/url.h"

struct osr_connection;
struct osr_gate;
struct osr_listener;

struct osr_connection_handler {
    /* The connection is up (dialled ones; accepted ones are up when they are handed over). */
    void (*on_open)(void *context, struct osr_connection *connection);
    /* Room for bytes, about `suggested`, which then come with on_read; never NULL. Where there
     * turns out to be nothing to read, no on_read follows. */
    uint8_t *(*on_room)(void *context, size_t suggested, size_t *ret_size);
    void (*on_read)(void *context, struct osr_connection *connection, size_t size);
    /* The other side has ended its direction in good order. May be NULL: then it closes. */
    void (*on_end)(void *context, struct osr_connection *connection);
    /* The write queue has become empty. May be NULL. */
    void (*on_drain)(void *context, struct osr_connection *connection);
    /* err->code is OK where both sides closed in good order. The connection is gone after. */
    void (*on_close)(void *context, struct osr_connection *connection, const struct osr_err *err);
};

/* What a carrier promises by itself, before we do anything about it. */
struct osr_promises {
    const char *scheme;
    enum osr_carrier { OSR_CARRIER_STREAM, OSR_CARRIER_DATAGRAMS, OSR_CARRIER_MESSAGES } carrier;
    bool keeps_order;
    bool loses;                /* something in the middle, with no sign of it */
    bool doubles;              /* delivers again what was delivered */
    size_t piece_max;          /* bytes of a datagram or message; 0: a stream has none */
    bool pushes_back;          /* by itself a fast sender is held up by a slow receiver */
    bool is_through_other;     /* somebody else's process sees all of it, and may keep it */
    const char *authenticates; /* who shows the other end who it is */
};

/* NULL: no carrier has this scheme. */
const struct osr_promises *osr_transport_promises(const char *scheme);

/* Who is at the other end of a Unix socket. */
struct osr_socket_owner {
    bool known; /* false for TCP */
    uint32_t uid;
    int32_t pid;
};

/* Begins to dial; at once a connection, not yet up. Fails only on a URL it cannot use. `security`
 * is held, and NULL for the schemes without TLS. */
int osr_transport_dial(uv_loop_t *loop, const struct osr_url *url, struct osr_tls_context *security,
                       uint32_t timeout_ms, const struct osr_connection_handler *handler,
                       void *context, struct osr_connection **ret_connection, struct osr_err *err);

/* `on_accept` gives handler and context of each new connection through osr_connection_accept, or
 * closes it. With TLS a connection is handed over at once, and its first on_read comes after the
 * handshake; until then it has no osr_connection_peer. */
int osr_transport_listen(uv_loop_t *loop, const struct osr_url *url,
                         struct osr_tls_context *security,
                         void (*on_accept)(void *context, struct osr_connection *connection),
                         void *context, struct osr_listener **ret_listener, struct osr_err *err);
void osr_listener_close(struct osr_listener *listener); /* NULL is a no-op; unlinks a Unix socket */
/* Those who connect from now on. */
void osr_listener_secure(struct osr_listener *listener, struct osr_tls_context *security);
/* Handshakes of those who connect from now on are dealt out by the gate (gate.h), which outlives
 * the listener; whom it turns away on_accept never sees. Without one all begin at once. */
void osr_listener_guard(struct osr_listener *listener, struct osr_gate *gate);
const char *osr_listener_url(const struct osr_listener *listener); /* with the port really bound */
/* A listener at a broker stays open while the broker is away, and is there again when it is.
 * `on_change` hears of both (`err` NULL: it is there), later than this call. */
void osr_listener_watch(struct osr_listener *listener,
                        void (*on_change)(void *context, struct osr_listener *listener,
                                          const struct osr_err *err),
                        void *context);
/* NULL: whoever is let in can come in; else why they cannot, until the next change. */
const struct osr_err *osr_listener_down(const struct osr_listener *listener);

void osr_connection_accept(struct osr_connection *connection,
                           const struct osr_connection_handler *handler, void *context);
/* Queues bytes and takes the buffer's memory (it is empty after). Written as one piece. */
void osr_connection_write(struct osr_connection *connection, struct osr_buffer *buffer);
/* Writes what the socket takes at once, not in the loop's next turn. on_drain may come from
 * within. */
void osr_connection_flush(struct osr_connection *connection);
size_t osr_connection_queued(const struct osr_connection *connection); /* bytes not yet written */
/* Stops and resumes reading: back-pressure. */
void osr_connection_read(struct osr_connection *connection, bool on);
void osr_connection_end(struct osr_connection *connection); /* half-close after what is queued */
/* Closes after what is queued (at most a few seconds), or at once with RST if `reset`. */
void osr_connection_close(struct osr_connection *connection, bool reset);
const char *osr_connection_url(const struct osr_connection *connection); /* of the other end */
struct osr_socket_owner osr_connection_owner(const struct osr_connection *connection);
bool osr_connection_is_local(const struct osr_connection *connection); /* loopback or Unix */
/* The other end shows who it is in a handshake, before the first on_read. */
bool osr_connection_is_secure(const struct osr_connection *connection);
/* Who the other end has shown to be; NULL in plaintext, and before the handshake is done. */
const struct osr_tls_peer *osr_connection_peer(const struct osr_connection *connection);
/* Of a request that came as a message (message_calls.h): the client's name, "" where it has none;
 * NULL for all other connections. */
const char *osr_connection_client(const struct osr_connection *connection);
/* The channel binding (tls.h): OSR_TLS_BINDING_SIZE bytes, or none in plaintext. */
struct osr_slice osr_connection_binding(const struct osr_connection *connection);

#endif
