#include <assert.h>
#include <stdlib.h>

#include "adapter/address.h"
#include "adapter/keys.h"
#include "adapter/udp_internal.h"

enum { ROOM_BYTES = 64 << 10 };

static struct osr_udp *of(struct osr_connection *base)
{
    return (struct osr_udp *)base;
}

static uint64_t now_us(void)
{
    return uv_hrtime() / 1000;
}

/* ---- sending ---- */

/* A dialled one names its id until it knows the other side's, an accepted one until that is used.
 */
size_t osr_udp_write_header(const struct osr_udp *connection, uint8_t *datagram)
{
    bool is_later = connection->is_up || connection->peer_knows_id;
    return osr_udp_header(datagram, is_later ? OSR_UDP_LATER : OSR_UDP_FIRST, connection->peer_id,
                          connection->own_id);
}

/* What the session has to say: its handshake, alerts. */
void osr_udp_send_handshake(struct osr_udp *connection)
{
    uint8_t records[OSR_DTLS_DATAGRAM_BYTES];
    size_t size;
    if (connection->port == NULL || connection->dtls == NULL) {
        return;
    }
    struct osr_udp_socket *udp = osr_udp_port_socket(connection->port);
    while ((size = osr_dtls_produce(connection->dtls, records)) > 0) {
        uint8_t *datagram = osr_udp_socket_room(udp);
        size_t header = osr_udp_write_header(connection, datagram);
        memcpy(datagram + header, records, size);
        osr_udp_socket_put(udp, &connection->peer, header + size);
    }
    osr_udp_socket_flush(udp);
}

void osr_udp_send_record(struct osr_udp *connection, const struct osr_udp_address *to,
                         struct osr_slice packet)
{
    struct osr_udp_socket *udp = osr_udp_port_socket(connection->port);
    uint8_t *datagram = osr_udp_socket_room(udp);
    size_t header = osr_udp_write_header(connection, datagram);
    size_t size = osr_dtls_seal(connection->dtls, packet, datagram + header);
    if (size > 0) {
        osr_udp_socket_put(udp, to, header + size);
    }
}

/* Returns false where there may be more to send, and others have their turn first. */
bool osr_udp_send_packets(struct osr_udp *connection)
{
    uint8_t packet[OSR_DATAGRAM_BYTES_MAX];
    struct osr_udp_socket *udp = osr_udp_port_socket(connection->port);
    enum osr_pipe_path to;
    size_t size = 0;
    int sent = 0;

    while (sent < OSR_UDP_SENT_A_TURN && !osr_udp_socket_is_blocked(udp) &&
           !osr_dtls_is_used_up(connection->dtls) &&
           (size = osr_datagram_pipe_produce(connection->pipe, now_us(), packet, &to)) > 0) {
        osr_udp_send_record(connection,
                            to == OSR_PIPE_PRESENT ? &connection->peer : &connection->tried,
                            osr_slice(packet, size));
        sent++;
    }
    osr_udp_socket_flush(udp);
    return sent < OSR_UDP_SENT_A_TURN;
}

/* ---- time ---- */

static void on_pump(uv_idle_t *pump)
{
    uv_idle_stop(pump);
    osr_udp_settle(pump->data);
}

void osr_udp_wake(struct osr_udp *connection)
{
    if (!connection->is_gone) {
        uv_idle_start(&connection->pump, on_pump);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct osr_udp *connection = timer->data;
    struct osr_err err;
    if (connection->dial != NULL && osr_udp_dial_begin_anew(connection)) {
        return;
    }
    int code = connection->is_up ? osr_datagram_pipe_pass_time(connection->pipe, now_us(), &err)
                                 : osr_dtls_pass_time(connection->dtls, &err);
    if (code != 0) {
        osr_udp_fail(connection, &err);
    }
    osr_udp_settle(connection);
}

static uint64_t wait_of_pipe_ms(const struct osr_udp *connection)
{
    uint64_t deadline = osr_datagram_pipe_deadline_us(connection->pipe);
    uint64_t now = now_us();
    if (deadline == UINT64_MAX) {
        return UINT64_MAX;
    }
    return deadline > now ? (deadline - now + 999) / 1000 : 1;
}

static void set_timer(struct osr_udp *connection)
{
    uint64_t wait_ms = UINT64_MAX;
    if (connection->is_leaving) {
        wait_ms = UINT64_MAX;
    } else if (connection->is_up) {
        wait_ms = wait_of_pipe_ms(connection);
    } else if (connection->dtls != NULL && !connection->is_waiting) {
        wait_ms = osr_dtls_wait_ms(connection->dtls);
    }
    if (wait_ms == UINT64_MAX) {
        uv_timer_stop(&connection->timer);
    } else {
        uv_timer_start(&connection->timer, on_timer, wait_ms, 0);
    }
}

/* ---- what has come ---- */

static bool may_deliver(const struct osr_udp *connection)
{
    return connection->is_up && !connection->is_gone && connection->read_wanted &&
           !connection->is_closing;
}

static void tell_end(struct osr_udp *connection)
{
    connection->is_end_told = true;
    osr_connection_tell_end(&connection->base);
}

static void deliver(struct osr_udp *connection)
{
    struct osr_connection *base = &connection->base;
    while (may_deliver(connection)) {
        size_t room_size = 0;
        uint8_t *room = base->handler->on_room(base->context, ROOM_BYTES, &room_size);
        size_t size = osr_datagram_pipe_read(connection->pipe, room, room_size);
        if (size == 0) {
            break;
        }
        base->handler->on_read(base->context, base, size);
    }
    if (may_deliver(connection) && !connection->is_end_told &&
        osr_datagram_pipe_peer_has_ended(connection->pipe)) {
        tell_end(connection);
    }
    if (connection->is_closing && !connection->is_gone) {
        osr_udp_ignore_rest(connection);
    }
}

static size_t udp_queued(const struct osr_connection *base)
{
    const struct osr_udp *connection = (const struct osr_udp *)base;
    if (connection->is_gone) {
        return 0;
    }
    if (!connection->is_up) {
        return connection->early.size;
    }
    size_t queued = osr_datagram_pipe_queued(connection->pipe);
    return queued > OSR_UDP_BUFFER_BYTES ? queued - OSR_UDP_BUFFER_BYTES : 0;
}

static void tell_drained(struct osr_udp *connection)
{
    struct osr_connection *base = &connection->base;
    if (connection->is_up && !connection->is_gone && !connection->is_closing &&
        connection->has_written && udp_queued(base) == 0) {
        connection->has_written = false;
        if (base->handler->on_drain != NULL) {
            base->handler->on_drain(base->context, base);
        }
    }
}

static void create_pipe(struct osr_udp *connection)
{
    struct osr_datagram_pipe_options options = {
        .now_us = now_us(),
        .overhead = OSR_UDP_LATER_BYTES + osr_dtls_overhead(connection->dtls),
    };
    osr_secret_random(&options.seed, sizeof(options.seed));
    connection->pipe = osr_datagram_pipe_create(&options);
    if (connection->early.size > 0) {
        osr_datagram_pipe_write(connection->pipe, osr_buffer_slice(&connection->early));
        osr_buffer_done(&connection->early);
    }
    if (connection->end_wanted) {
        osr_datagram_pipe_end(connection->pipe);
    }
}

static void go_up(struct osr_udp *connection)
{
    struct osr_connection *base = &connection->base;
    connection->is_up = true;
    uv_timer_stop(&connection->limit);
    osr_udp_dial_free(connection->dial);
    connection->dial = NULL;
    base->peer = osr_dtls_peer(connection->dtls);
    osr_dtls_binding(connection->dtls, base->binding);
    osr_gate_pass(connection->gate, &connection->visitor, osr_tls_peer_is_known(base->peer));
    create_pipe(connection);
    if (connection->is_dialled) {
        base->handler->on_open(base->context, base);
    }
}

void osr_udp_settle(struct osr_udp *connection)
{
    bool is_all = true;
    if (connection->is_gone) {
        return;
    }
    osr_udp_send_handshake(connection);
    if (!connection->is_up && connection->dtls != NULL && osr_dtls_is_up(connection->dtls)) {
        go_up(connection);
    }
    if (connection->is_up) {
        deliver(connection);
    }
    if (connection->is_up && !connection->is_gone && !connection->is_leaving) {
        is_all = osr_udp_send_packets(connection);
        tell_drained(connection);
    }
    if (connection->is_up && !connection->is_gone) {
        osr_udp_settle_end(connection);
    }
    if (!connection->is_gone) {
        set_timer(connection);
    }
    if (!is_all) {
        osr_udp_wake(connection);
    }
}

/* ---- datagrams ---- */

/* It has moved, as it seems: whether it can be reached there is tried first. */
static void notice_path(struct osr_udp *connection, const struct osr_udp_address *from)
{
    uint8_t nonce[OSR_PIPE_NONCE_BYTES];
    if (osr_udp_address_equal(from, &connection->peer) ||
        osr_udp_address_equal(from, &connection->tried) || !osr_dtls_is_newest(connection->dtls)) {
        return;
    }
    connection->tried = *from;
    osr_secret_random(nonce, sizeof(nonce));
    osr_datagram_pipe_try_path(connection->pipe, now_us(), nonce);
}

static int take_packet(struct osr_udp *connection, const struct osr_udp_address *from,
                       struct osr_slice packet, struct osr_err *err)
{
    if (packet.size == OSR_UDP_RESET_BYTES) {
        return (int)osr_err_set(err, OSR_UNAVAILABLE, "reset by the other side");
    }
    osr_udp_dispel_doubt(connection);
    notice_path(connection, from);
    enum osr_pipe_path path =
        osr_udp_address_equal(from, &connection->tried) ? OSR_PIPE_TRIED : OSR_PIPE_PRESENT;
    int code = osr_datagram_pipe_receive(connection->pipe, now_us(), path, packet, err);
    if (code == 0 && osr_datagram_pipe_take_path(connection->pipe)) {
        connection->peer = connection->tried;
        connection->tried = (struct osr_udp_address){0};
    }
    return code;
}

static int take_packets(struct osr_udp *connection, const struct osr_udp_address *from,
                        struct osr_err *err)
{
    uint8_t packet[OSR_DTLS_RECORD_BYTES_MAX];
    for (;;) {
        size_t size;
        int code = osr_dtls_read(connection->dtls, packet, &size, err);
        if (code == 0 && size > 0) {
            code = take_packet(connection, from, osr_slice(packet, size), err);
        }
        if (code != 0 || size == 0) {
            connection->peer_has_left = osr_dtls_peer_has_ended(connection->dtls);
            return code;
        }
    }
}

static void learn_id(struct osr_udp *connection, const struct osr_udp_datagram *datagram)
{
    static const uint8_t unknown[OSR_UDP_ID_BYTES];
    if (datagram->form == OSR_UDP_LATER) {
        connection->peer_knows_id = true;
    } else if (!connection->is_up && connection->is_dialled &&
               memcmp(datagram->sender, unknown, sizeof(unknown)) != 0) {
        memcpy(connection->peer_id, datagram->sender, OSR_UDP_ID_BYTES);
        connection->peer_knows_id = true;
    }
}

/* Until it is up it is heard from one address alone. */
static bool is_heard(const struct osr_udp *connection, const struct osr_udp_address *from)
{
    return !connection->is_gone && !connection->is_waiting && connection->dtls != NULL &&
           (connection->is_up || osr_udp_address_equal(from, &connection->peer));
}

void osr_udp_receive(struct osr_udp *connection, const struct osr_udp_address *from,
                     const struct osr_udp_datagram *datagram)
{
    struct osr_err err;
    if (!is_heard(connection, from)) {
        return;
    }
    learn_id(connection, datagram);
    if (connection->dial != NULL) {
        osr_udp_dial_note_heard(connection);
    }
    int code = osr_dtls_receive(connection->dtls, datagram->records, &err);
    if (code == 0 && connection->is_up) {
        code = take_packets(connection, from, &err);
    }
    if (code != 0) {
        osr_udp_fail(connection, &err);
    } else if (connection->is_leaving) {
        osr_udp_leave_again(connection);
    }
}

/* ---- as a connection ---- */

static void udp_accept(struct osr_connection *base)
{
    osr_udp_enter(of(base));
}

static void udp_write(struct osr_connection *base, struct osr_buffer *buffer)
{
    struct osr_udp *connection = of(base);
    bool is_open = !connection->is_gone && !connection->is_closing;
    assert(!is_open || !connection->end_wanted);
    if (is_open && buffer->size > 0) {
        connection->has_written = true;
        if (connection->is_up) {
            osr_datagram_pipe_write(connection->pipe, osr_buffer_slice(buffer));
            osr_udp_wake(connection);
        } else {
            osr_buffer_add(&connection->early, buffer->data, buffer->size);
        }
    }
    osr_buffer_done(buffer);
}

static void udp_flush(struct osr_connection *base)
{
    struct osr_udp *connection = of(base);
    if (connection->is_up && !connection->is_gone && !connection->is_leaving &&
        uv_is_active((uv_handle_t *)&connection->pump)) {
        osr_udp_send_packets(connection);
        tell_drained(connection);
    }
}

static void udp_read(struct osr_connection *base, bool on)
{
    of(base)->read_wanted = on;
    if (on) {
        osr_udp_wake(of(base));
    }
}

static void udp_end(struct osr_connection *base)
{
    if (!of(base)->is_gone && !of(base)->is_closing) {
        osr_udp_want_end(of(base));
    }
}

static const struct osr_connection_kind udp_kind = {
    .accept = udp_accept,
    .write = udp_write,
    .flush = udp_flush,
    .queued = udp_queued,
    .read = udp_read,
    .end = udp_end,
    .close = osr_udp_close,
};

struct osr_udp *osr_udp_make(uv_loop_t *loop, struct osr_tls_context *security, char *url)
{
    struct osr_udp *connection = osr_alloc(sizeof(*connection));
    connection->base.kind = &udp_kind;
    connection->base.url = url;
    connection->base.is_secure = true;
    connection->loop = loop;
    connection->security = osr_tls_context_hold(security);
    connection->read_wanted = true;
    uv_timer_init(loop, &connection->timer);
    uv_timer_init(loop, &connection->limit);
    uv_idle_init(loop, &connection->pump);
    connection->timer.data = connection->limit.data = connection->pump.data = connection;
    connection->handles_open = 3;
    return connection;
}
