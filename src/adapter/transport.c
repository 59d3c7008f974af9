#include "adapter/connection.h"

#include <assert.h>

#include "adapter/datagram_pipe.h"
#include "adapter/message_connection.h"
#include "adapter/tcp.h"
#include "adapter/tls_connection.h"
#include "adapter/udp.h"

typedef int osr_listen_at(uv_loop_t *loop, const struct osr_url *url,
                          struct osr_tls_context *security,
                          void (*on_accept)(void *context, struct osr_connection *connection),
                          void *context, struct osr_listener **ret_listener, struct osr_err *err);

#define STREAM                                                                                     \
    .promises.carrier = OSR_CARRIER_STREAM, .promises.keeps_order = true,                          \
    .promises.pushes_back = true, .dial = osr_tcp_dial, .listen = osr_tcp_listen
#define MESSAGES                                                                                   \
    .promises.carrier = OSR_CARRIER_MESSAGES, .promises.piece_max = OSR_BUS_MESSAGE_BYTES_MAX,     \
    .dial = osr_message_dial, .listen = osr_message_listen
#define BROKER                                                                                     \
    MESSAGES,                                                                                      \
        .promises.keeps_order = true, .promises.loses = true, .promises.doubles = true,            \
        .promises.is_through_other = true,                                                         \
        .promises.authenticates = "the broker its users; TLS between the two ends each other"

static const struct carrier {
    struct osr_promises promises;
    osr_dial_carrier *dial; /* NULL: has its own security, and dials with it */
    osr_listen_at *listen;
} carriers[] = {
    {.promises.scheme = "tcp", .promises.authenticates = "nobody", STREAM},
    {.promises.scheme = "grpc", .promises.authenticates = "nobody", STREAM},
    {.promises.scheme = "tls", .promises.authenticates = "TLS", STREAM},
    {.promises.scheme = "grpcs", .promises.authenticates = "TLS", STREAM},
    {.promises.scheme = "unix", .promises.authenticates = "the system, by user", STREAM},
    {.promises = {.scheme = "udp",
                  .carrier = OSR_CARRIER_DATAGRAMS,
                  .loses = true,
                  .doubles = true,
                  .piece_max = OSR_DATAGRAM_BYTES_MAX,
                  .authenticates = "DTLS"},
     .listen = osr_udp_listen},
    {.promises.scheme = "zmq",
     .promises.keeps_order = true,
     .promises.pushes_back = true,
     .promises.loses = true,
     .promises.authenticates = "TLS between the two ends",
     MESSAGES},
    {.promises.scheme = "mqtt", BROKER},
    {.promises.scheme = "mqtts", BROKER},
    {.promises.scheme = "amqp", BROKER},
    {.promises.scheme = "amqps", BROKER},
};

static const struct carrier *find_carrier(const char *scheme)
{
    for (size_t i = 0; i < sizeof(carriers) / sizeof(carriers[0]); i++) {
        if (strcmp(carriers[i].promises.scheme, scheme) == 0) {
            return &carriers[i];
        }
    }
    return NULL;
}

const struct osr_promises *osr_transport_promises(const char *scheme)
{
    const struct carrier *carrier = find_carrier(scheme);
    return carrier != NULL ? &carrier->promises : NULL;
}

int osr_transport_dial(uv_loop_t *loop, const struct osr_url *url, struct osr_tls_context *security,
                       uint32_t timeout_ms, const struct osr_connection_handler *handler,
                       void *context, struct osr_connection **ret_connection, struct osr_err *err)
{
    const struct carrier *carrier = find_carrier(url->scheme);
    assert((security != NULL) == osr_url_is_secure(url));
    if (carrier->dial == NULL) {
        return osr_udp_dial(loop, url, security, timeout_ms, handler, context, ret_connection, err);
    }
    if (security == NULL) {
        return carrier->dial(loop, url, timeout_ms, handler, context, ret_connection, err);
    }
    return osr_tls_connection_dial(loop, url, carrier->dial, security, timeout_ms, handler, context,
                                   ret_connection, err);
}

int osr_transport_listen(uv_loop_t *loop, const struct osr_url *url,
                         struct osr_tls_context *security,
                         void (*on_accept)(void *context, struct osr_connection *connection),
                         void *context, struct osr_listener **ret_listener, struct osr_err *err)
{
    assert((security != NULL) == osr_url_is_secure(url));
    return find_carrier(url->scheme)
        ->listen(loop, url, security, on_accept, context, ret_listener, err);
}

void osr_listener_close(struct osr_listener *listener)
{
    if (listener != NULL) {
        listener->kind->close(listener);
    }
}

void osr_listener_secure(struct osr_listener *listener, struct osr_tls_context *security)
{
    listener->kind->secure(listener, security);
}

void osr_listener_guard(struct osr_listener *listener, struct osr_gate *gate)
{
    listener->kind->guard(listener, gate);
}

const char *osr_listener_url(const struct osr_listener *listener)
{
    return listener->url;
}

void osr_listener_watch(struct osr_listener *listener,
                        void (*on_change)(void *context, struct osr_listener *listener,
                                          const struct osr_err *err),
                        void *context)
{
    listener->on_change = on_change;
    listener->change_context = context;
}

const struct osr_err *osr_listener_down(const struct osr_listener *listener)
{
    return listener->down.code != OSR_OK ? &listener->down : NULL;
}

void osr_connection_accept(struct osr_connection *connection,
                           const struct osr_connection_handler *handler, void *context)
{
    assert(connection->handler == NULL);
    connection->handler = handler;
    connection->context = context;
    connection->kind->accept(connection);
}

void osr_connection_write(struct osr_connection *connection, struct osr_buffer *buffer)
{
    connection->kind->write(connection, buffer);
}

void osr_connection_flush(struct osr_connection *connection)
{
    connection->kind->flush(connection);
}

size_t osr_connection_queued(const struct osr_connection *connection)
{
    return connection->kind->queued(connection);
}

void osr_connection_read(struct osr_connection *connection, bool on)
{
    connection->kind->read(connection, on);
}

void osr_connection_end(struct osr_connection *connection)
{
    connection->kind->end(connection);
}

void osr_connection_close(struct osr_connection *connection, bool reset)
{
    connection->kind->close(connection, reset);
}

const char *osr_connection_url(const struct osr_connection *connection)
{
    return connection->url;
}

struct osr_socket_owner osr_connection_owner(const struct osr_connection *connection)
{
    return connection->owner;
}

bool osr_connection_is_local(const struct osr_connection *connection)
{
    return connection->is_local;
}

bool osr_connection_is_secure(const struct osr_connection *connection)
{
    return connection->is_secure;
}

const struct osr_tls_peer *osr_connection_peer(const struct osr_connection *connection)
{
    return connection->peer;
}

const char *osr_connection_client(const struct osr_connection *connection)
{
    return connection->client;
}

struct osr_slice osr_connection_binding(const struct osr_connection *connection)
{
    return connection->peer != NULL ? osr_slice(connection->binding, sizeof(connection->binding))
                                    : osr_slice(NULL, 0);
}
