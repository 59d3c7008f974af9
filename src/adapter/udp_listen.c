/* How an accepted connection comes to its handshake: the stranger shows a cookie, and the gate
 * says when it may begin. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "adapter/address.h"
#include "adapter/udp_internal.h"

struct osr_udp_listener {
    struct osr_listener base; /* first */
    uv_loop_t *loop;
    struct osr_udp_port *port;
    struct osr_dtls_door *door;
    struct osr_tls_context *security;
    struct osr_gate *gate; /* NULL: none */
    void (*on_accept)(void *context, struct osr_connection *connection);
    void *context;
};

static struct osr_udp_listener *of(struct osr_listener *base)
{
    return (struct osr_udp_listener *)base;
}

/* ---- strangers ---- */

static void answer(const struct osr_udp_listener *listener, const struct osr_udp_address *to,
                   const struct osr_udp_datagram *datagram, struct osr_slice records)
{
    static const uint8_t unknown[OSR_UDP_ID_BYTES];
    struct osr_udp_socket *udp = osr_udp_port_socket(listener->port);
    uint8_t *room = osr_udp_socket_room(udp);
    size_t header = osr_udp_header(room, OSR_UDP_FIRST, datagram->sender, unknown);
    memcpy(room + header, records.data, records.size);
    osr_udp_socket_put(udp, to, header + records.size);
}

static char *url_of(const struct osr_udp_address *address)
{
    char *text = osr_address_url(&address->any);
    char *url = osr_format("udp%s", strchr(text, ':'));
    free(text);
    return url;
}

static void hand_over(struct osr_udp_listener *listener, const struct osr_udp_address *from,
                      struct osr_slice stranger, const struct osr_udp_datagram *datagram,
                      struct osr_dtls *dtls, uint64_t wait_ms)
{
    struct osr_udp *connection = osr_udp_make(listener->loop, listener->security, url_of(from));
    connection->dtls = dtls;
    connection->peer = *from;
    memcpy(connection->peer_id, datagram->sender, OSR_UDP_ID_BYTES);
    memcpy(connection->stranger, stranger.data, stranger.size);
    connection->stranger_size = stranger.size;
    connection->base.is_local = osr_address_is_loopback(&from->any);
    connection->gate = listener->gate;
    connection->network = osr_address_network(&from->any);
    connection->wait_ms = wait_ms;
    connection->is_waiting = true;
    osr_udp_port_add(listener->port, connection);
    listener->on_accept(listener->context, &connection->base);
    assert(connection->base.handler != NULL || connection->is_closing);
}

void osr_udp_listener_meet(struct osr_udp_listener *listener, const struct osr_udp_address *from,
                           struct osr_slice stranger, const struct osr_udp_datagram *datagram)
{
    uint8_t said[OSR_DTLS_DATAGRAM_BYTES];
    size_t said_size = 0;
    struct osr_dtls *dtls = osr_dtls_door_receive(listener->door, uv_now(listener->loop), stranger,
                                                  datagram->records, said, &said_size);
    if (said_size > 0) {
        answer(listener, from, datagram, osr_slice(said, said_size));
    }
    if (dtls == NULL) {
        return;
    }
    uint64_t wait_ms =
        osr_gate_knock(listener->gate, osr_address_network(&from->any), uv_now(listener->loop));
    if (wait_ms == OSR_GATE_CLOSED) {
        osr_dtls_destroy(dtls);
        return;
    }
    osr_udp_socket_flush(osr_udp_port_socket(listener->port));
    hand_over(listener, from, stranger, datagram, dtls, wait_ms);
}

/* ---- the gate ---- */

/* It has not shown who it is, and is not waited for. */
static void crowd_out(struct osr_visitor *visitor)
{
    struct osr_udp *connection =
        (struct osr_udp *)((char *)visitor - offsetof(struct osr_udp, visitor));
    struct osr_err err;
    osr_err_set(&err, OSR_BUSY, "%d handshakes are under way", OSR_GATE_UNDER_WAY_MAX);
    osr_udp_fail(connection, &err);
}

static void begin(struct osr_udp *connection)
{
    struct osr_err err;
    connection->is_waiting = false;
    struct osr_visitor *leaves =
        osr_gate_begin(connection->gate, &connection->visitor, connection->network);
    if (leaves != NULL) {
        crowd_out(leaves);
    }
    uv_timer_start(&connection->limit, osr_udp_on_handshake_limit, OSR_CONNECTION_HANDSHAKE_MS, 0);
    if (osr_dtls_begin(connection->dtls, &err) != 0) {
        osr_udp_fail(connection, &err);
    }
    osr_udp_settle(connection);
}

static void on_waited(uv_timer_t *limit)
{
    begin(limit->data);
}

/* In a later turn, as it may fail at once. */
void osr_udp_enter(struct osr_udp *connection)
{
    uv_timer_start(&connection->limit, on_waited, connection->wait_ms, 0);
}

/* ---- as a listener ---- */

static void udp_listener_close(struct osr_listener *base)
{
    struct osr_udp_listener *listener = of(base);
    if (listener->port != NULL) {
        osr_udp_port_listen(listener->port, NULL);
    }
    osr_udp_port_release(listener->port);
    osr_dtls_door_destroy(listener->door);
    osr_tls_context_release(listener->security);
    free(base->url);
    free(listener);
}

static void udp_listener_secure(struct osr_listener *base, struct osr_tls_context *security)
{
    struct osr_udp_listener *listener = of(base);
    osr_tls_context_hold(security);
    osr_tls_context_release(listener->security);
    listener->security = security;
    osr_dtls_door_secure(listener->door, security);
}

static void udp_listener_guard(struct osr_listener *base, struct osr_gate *gate)
{
    of(base)->gate = gate;
}

static const struct osr_listener_kind udp_listener_kind = {
    .close = udp_listener_close,
    .secure = udp_listener_secure,
    .guard = udp_listener_guard,
};

int osr_udp_listen(uv_loop_t *loop, const struct osr_url *url, struct osr_tls_context *security,
                   void (*on_accept)(void *context, struct osr_connection *connection),
                   void *context, struct osr_listener **ret_listener, struct osr_err *err)
{
    struct osr_udp_port *port;
    struct sockaddr_storage found;
    socklen_t found_size;
    int code = osr_address_to_listen(url, &found, &found_size, err);
    if (code != 0) {
        return code;
    }
    struct osr_udp_address address = osr_udp_address((const struct sockaddr *)&found);
    int errno_value = osr_udp_port_open(loop, address.any.sa_family, &address, &port);
    if (errno_value != 0) {
        return (int)osr_address_bind_error(err, errno_value, url);
    }
    struct osr_udp_listener *listener = osr_alloc(sizeof(*listener));
    address = osr_udp_socket_address(osr_udp_port_socket(port));
    listener->base.kind = &udp_listener_kind;
    listener->base.url = osr_address_bound_url(url, &address.any);
    listener->loop = loop;
    listener->port = port;
    listener->security = osr_tls_context_hold(security);
    listener->door = osr_dtls_door_create(security);
    listener->on_accept = on_accept;
    listener->context = context;
    osr_udp_port_listen(port, listener);
    *ret_listener = &listener->base;
    return 0;
}
