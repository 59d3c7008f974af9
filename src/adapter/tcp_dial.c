/* Dialling TCP: a name is looked up, its addresses are tried in turn, within one time-out. */
#include <errno.h>
#include <stdlib.h>

#include "adapter/address.h"
#include "adapter/addresses.h"
#include "adapter/tcp.h"

/* Happy path: look up -> connect -> up. A name may have several addresses: each is tried in
 * turn, on a new socket, until one answers or the time is over. */
struct osr_tcp_dial {
    struct osr_addresses addresses; /* none of a Unix socket */
    uv_connect_t connect;
};

void osr_tcp_dial_free(struct osr_tcp_dial *dial)
{
    if (dial != NULL) {
        osr_addresses_done(&dial->addresses);
        free(dial);
    }
}

static void fail_connect(struct osr_tcp *connection, int errno_value)
{
    struct osr_err err;

    osr_address_connect_error(&err, errno_value, connection->base.url, connection->is_unix);
    osr_tcp_fail(connection, &err);
}

static void on_dial_timeout(uv_timer_t *timer)
{
    fail_connect(timer->data, ETIMEDOUT);
}

static void finish_dial(struct osr_tcp *connection)
{
    osr_tcp_dial_free(connection->dial);
    connection->dial = NULL;
    osr_tcp_up(connection);
    connection->base.handler->on_open(connection->base.context, &connection->base);
}

static void connect_next(struct osr_tcp *connection);

static void on_attempt_closed(uv_handle_t *handle)
{
    struct osr_tcp *connection = handle->data;

    if (connection->gone) {
        osr_tcp_handle_closed(handle);
        return;
    }
    connection->handles_open--;
    osr_tcp_open_stream(connection);
    connect_next(connection);
}

static void attempt_failed(struct osr_tcp *connection, int errno_value)
{
    if (osr_addresses_left(&connection->dial->addresses) == 0) {
        fail_connect(connection, errno_value);
    } else {
        uv_close(&connection->handle, on_attempt_closed);
    }
}

static bool is_connected_to_itself(const struct osr_tcp *connection)
{
    uv_os_fd_t fd;
    return uv_fileno(&connection->handle, &fd) == 0 && osr_address_is_own(fd);
}

static void on_connect(uv_connect_t *request, int status)
{
    struct osr_tcp *connection = request->handle->data;

    if (connection->gone) {
        return;
    }
    if (status == 0 && is_connected_to_itself(connection)) {
        status = UV_ECONNREFUSED;
    }
    if (status == 0) {
        finish_dial(connection);
    } else {
        attempt_failed(connection, -status);
    }
}

static void connect_next(struct osr_tcp *connection)
{
    struct osr_tcp_dial *dial = connection->dial;
    const struct addrinfo *address = osr_addresses_next(&dial->addresses);
    int result = uv_tcp_connect(&dial->connect, &connection->tcp, address->ai_addr, on_connect);
    if (result < 0) {
        attempt_failed(connection, -result);
    }
}

static void on_found(void *context, const struct osr_err *err)
{
    struct osr_tcp *connection = context;

    if (connection->gone) {
        return;
    }
    if (err != NULL) {
        osr_tcp_fail(connection, err);
    } else {
        connect_next(connection);
    }
}

static int dial_tcp(struct osr_tcp *connection, const struct osr_url *url, struct osr_err *err)
{
    return osr_addresses_look_up(&connection->dial->addresses, connection->loop, url->host,
                                 url->port, on_found, connection, err);
}

static int dial_unix(struct osr_tcp *connection, const struct osr_url *url, struct osr_err *err)
{
    struct sockaddr_un address;
    int code = osr_address_unix(url->host, &address, err);
    if (code == 0) {
        uv_pipe_connect(&connection->dial->connect, &connection->pipe, url->host, on_connect);
    }
    return code;
}

int osr_tcp_dial(uv_loop_t *loop, const struct osr_url *url, uint32_t timeout_ms,
                 const struct osr_connection_handler *handler, void *context,
                 struct osr_connection **ret_connection, struct osr_err *err)
{
    bool is_unix = strcmp(url->scheme, "unix") == 0;
    struct osr_tcp *connection = osr_tcp_make(loop, is_unix, url->text);

    connection->base.is_local = osr_url_is_loopback(url);
    connection->dial = osr_alloc(sizeof *connection->dial);
    int code = is_unix ? dial_unix(connection, url, err) : dial_tcp(connection, url, err);
    if (code != 0) {
        osr_connection_close(&connection->base, true); /* without a handler yet: nobody is called */
        return code;
    }
    connection->base.handler = handler;
    connection->base.context = context;
    uv_timer_start(&connection->timer, on_dial_timeout, timeout_ms, 0);
    *ret_connection = &connection->base;
    return 0;
}
