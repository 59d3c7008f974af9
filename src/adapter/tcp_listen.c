/* Listening at TCP ports and Unix sockets, and handing new connections over. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapter/address.h"
#include "adapter/tcp.h"
#include "adapter/tls_connection.h"

struct tcp_listener {
    struct osr_listener base; /* first */
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    uv_loop_t *loop;
    bool is_unix;
    struct osr_tls_context *security; /* NULL: plaintext */
    struct osr_gate *gate;            /* NULL: none */
    void (*on_accept)(void *context, struct osr_connection *connection);
    void *context;
};

/* -- accepting -- */

static void identify_unix(struct osr_tcp *connection)
{
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    uv_os_fd_t fd;

    connection->base.is_local = true;
    if (uv_fileno(&connection->handle, &fd) == 0 &&
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0) {
        connection->base.owner = (struct osr_socket_owner){
            .known = true, .uid = credentials.uid, .pid = credentials.pid};
    }
}

/* False where the other side is gone already; the first read says so, too. */
static bool identify_tcp(struct osr_tcp *connection, uint64_t *ret_network)
{
    struct sockaddr_storage address = {0};
    int size = sizeof address;

    if (uv_tcp_getpeername(&connection->tcp, (struct sockaddr *)&address, &size) != 0) {
        return false;
    }
    free(connection->base.url);
    connection->base.url = osr_address_url((const struct sockaddr *)&address);
    connection->base.is_local = osr_address_is_loopback((const struct sockaddr *)&address);
    *ret_network = osr_address_network((const struct sockaddr *)&address);
    return true;
}

/* NULL: turned away at the gate. */
static struct osr_connection *secure(struct tcp_listener *listener, struct osr_connection *carrier,
                                     uint64_t network)
{
    struct osr_admission admission = {.gate = listener->gate, .address = network};

    admission.wait_ms = osr_gate_knock(listener->gate, network, uv_now(listener->loop));
    if (admission.wait_ms == OSR_GATE_CLOSED) {
        osr_connection_close(carrier, true);
        return NULL;
    }
    return osr_tls_connection_accept(carrier, listener->loop, listener->security, &admission);
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct tcp_listener *listener = stream->data;
    uint64_t network = 0;
    bool is_there = true;

    if (status < 0) {
        return; /* gone before it was accepted, or no descriptor is free: the next may do */
    }
    struct osr_tcp *connection =
        osr_tcp_make(listener->loop, listener->is_unix, listener->base.url);
    if (uv_accept(stream, &connection->stream) != 0) {
        osr_connection_close(&connection->base, true);
        return;
    }
    if (listener->is_unix) {
        identify_unix(connection);
    } else {
        is_there = identify_tcp(connection, &network);
    }
    struct osr_connection *accepted = &connection->base;
    if (listener->security != NULL && !is_there) { /* nobody's, and not the gate's to count */
        osr_connection_close(accepted, true);
        return;
    }
    if (listener->security != NULL) {
        accepted = secure(listener, accepted, network);
    }
    if (accepted == NULL) {
        return;
    }
    listener->on_accept(listener->context, accepted);
    assert(accepted->handler != NULL || connection->closing);
}

/* -- binding -- */

static int bind_tcp(struct tcp_listener *listener, const struct osr_url *url, struct osr_err *err)
{
    struct sockaddr_storage address;
    socklen_t size;
    int code = osr_address_to_listen(url, &address, &size, err);
    if (code != 0) {
        return code;
    }
    /* Sets SO_REUSEADDR, so that a restart need not wait for old connections to time out. */
    int result = uv_tcp_bind(&listener->tcp, (const struct sockaddr *)&address, 0);
    return result < 0 ? (int)osr_address_bind_error(err, -result, url) : 0;
}

/* True where somebody answers at the socket. */
static bool is_answered(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return true; /* cannot tell: leave it alone */
    }
    bool refused = connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 &&
                   (errno == ECONNREFUSED || errno == ENOENT);
    close(fd);
    return !refused;
}

/* Removes a socket that a process left behind when it was killed. */
static int clear_path(const char *path, const struct sockaddr_un *address, struct osr_err *err)
{
    struct stat file;

    if (lstat(path, &file) < 0) {
        return errno == ENOENT ? 0 : (int)osr_err_errno(err, OSR_IO, errno, "cannot use %s", path);
    }
    if (!S_ISSOCK(file.st_mode)) {
        osr_err_set(err, OSR_FOREIGN_FILE, "%s is in the way of the socket and no socket itself",
                    path);
        osr_err_hint(err, "move it away: mv %s %s.foreign", path, path);
        return OSR_FOREIGN_FILE;
    }
    if (is_answered(address)) {
        osr_err_set(err, OSR_IN_USE, "another process listens at %s", path);
        osr_err_hint(err, "stop it; `ss -lxp` shows who it is");
        return OSR_IN_USE;
    }
    if (unlink(path) < 0 && errno != ENOENT) {
        return (int)osr_err_errno(err, OSR_IO, errno, "cannot remove the old socket %s", path);
    }
    return 0;
}

static int bind_unix(struct tcp_listener *listener, const struct osr_url *url, struct osr_err *err)
{
    struct sockaddr_un address;
    int code = osr_address_unix(url->host, &address, err);
    if (code == 0) {
        code = clear_path(url->host, &address, err);
    }
    if (code != 0) {
        return code;
    }
    int result = uv_pipe_bind(&listener->pipe, url->host);
    if (result < 0) {
        return (int)osr_address_bind_error(err, -result, url);
    }
    /* Nobody can connect before listen(), so there is no moment when others could. */
    if (chmod(url->host, 0600) < 0) {
        return (int)osr_err_errno(err, OSR_IO, errno, "cannot protect the socket %s", url->host);
    }
    return 0;
}

static char *bound_url(const struct tcp_listener *listener, const struct osr_url *url)
{
    struct sockaddr_storage address = {0};
    int size = sizeof address;

    if (listener->is_unix ||
        uv_tcp_getsockname(&listener->tcp, (struct sockaddr *)&address, &size) != 0) {
        return osr_strdup(url->text);
    }
    return osr_address_bound_url(url, (const struct sockaddr *)&address);
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct tcp_listener *listener = handle->data;

    osr_tls_context_release(listener->security);
    free(listener->base.url);
    free(listener);
}

static void tcp_listener_close(struct osr_listener *base)
{
    uv_close(&((struct tcp_listener *)base)->handle,
             on_listener_closed); /* unlinks a Unix socket */
}

static void tcp_listener_secure(struct osr_listener *base, struct osr_tls_context *security)
{
    struct tcp_listener *listener = (struct tcp_listener *)base;
    assert(listener->security != NULL);
    osr_tls_context_hold(security);
    osr_tls_context_release(listener->security);
    listener->security = security;
}

static void tcp_listener_guard(struct osr_listener *base, struct osr_gate *gate)
{
    ((struct tcp_listener *)base)->gate = gate;
}

static const struct osr_listener_kind tcp_listener_kind = {
    .close = tcp_listener_close,
    .secure = tcp_listener_secure,
    .guard = tcp_listener_guard,
};

int osr_tcp_listen(uv_loop_t *loop, const struct osr_url *url, struct osr_tls_context *security,
                   void (*on_accept)(void *context, struct osr_connection *connection),
                   void *context, struct osr_listener **ret_listener, struct osr_err *err)
{
    struct tcp_listener *listener = osr_alloc(sizeof *listener);

    listener->base.kind = &tcp_listener_kind;
    listener->loop = loop;
    listener->is_unix = strcmp(url->scheme, "unix") == 0;
    listener->security = osr_tls_context_hold(security);
    listener->on_accept = on_accept;
    listener->context = context;
    int result = listener->is_unix ? uv_pipe_init(loop, &listener->pipe, 0)
                                   : uv_tcp_init(loop, &listener->tcp);
    assert(result == 0); /* no socket is made yet */
    listener->handle.data = listener;

    int code = listener->is_unix ? bind_unix(listener, url, err) : bind_tcp(listener, url, err);
    if (code != 0) {
        goto fail_close;
    }
    result = uv_listen(&listener->stream, OSR_TCP_BACKLOG, on_connection);
    if (result < 0) {
        code = (int)osr_address_bind_error(err, -result, url);
        goto fail_close;
    }
    listener->base.url = bound_url(listener, url);
    *ret_listener = &listener->base;
    return 0;

fail_close:
    tcp_listener_close(&listener->base);
    return code;
}
