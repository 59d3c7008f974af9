#include "adapter/connection.h"

#include <assert.h>

#include "adapter/tcp.h"
#include "adapter/tls_connection.h"

int osr_transport_dial(uv_loop_t *loop, const struct osr_url *url, struct osr_tls_context *security,
                       uint32_t timeout_ms, const struct osr_connection_handler *handler,
                       void *context, struct osr_connection **ret_connection, struct osr_err *err)
{
    assert((security != NULL) == osr_url_is_secure(url));
    if (security != NULL) {
        return osr_tls_connection_dial(loop, url, security, timeout_ms, handler, context,
                                       ret_connection, err);
    }
    return osr_tcp_dial(loop, url, timeout_ms, handler, context, ret_connection, err);
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

const struct osr_tls_peer *osr_connection_peer(const struct osr_connection *connection)
{
    return connection->kind->peer != NULL ? connection->kind->peer(connection) : NULL;
}

struct osr_slice osr_connection_binding(const struct osr_connection *connection)
{
    return connection->kind->binding != NULL ? connection->kind->binding(connection)
                                             : osr_slice(NULL, 0);
}
