/* How a connection ends: it fails, it is closed, both directions have ended, or the other side is
 * there no more. */
#include <assert.h>
#include <stdlib.h>

#include "adapter/udp_internal.h"

static const uint8_t reset_record[OSR_UDP_RESET_BYTES];

enum { IGNORED_AT_ONCE = 16 << 10 };

/* ---- life ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct osr_udp *connection = handle->data;
    if (--connection->handles_open > 0) {
        return;
    }
    osr_connection_finish(&connection->base);
    osr_udp_dial_free(connection->dial);
    osr_dtls_destroy(connection->dtls);
    osr_datagram_pipe_destroy(connection->pipe);
    osr_tls_context_release(connection->security);
    osr_buffer_done(&connection->early);
    free(connection);
}

/* Nothing more comes or goes. */
static void go(struct osr_udp *connection)
{
    if (connection->is_gone) {
        return;
    }
    connection->is_gone = true;
    connection->is_closing = true;
    osr_gate_leave(connection->gate, &connection->visitor);
    osr_udp_port_remove(connection);
    uv_close((uv_handle_t *)&connection->timer, on_handle_closed);
    uv_close((uv_handle_t *)&connection->limit, on_handle_closed);
    uv_close((uv_handle_t *)&connection->pump, on_handle_closed);
}

/* The other side hears at once that it is over, and need not find out by silence. */
static void send_reset(struct osr_udp *connection)
{
    if (!connection->is_up || connection->is_leaving || connection->port == NULL) {
        return;
    }
    for (int i = 0; i < OSR_UDP_LAST_WORDS && !osr_dtls_is_used_up(connection->dtls); i++) {
        osr_udp_send_record(connection, &connection->peer,
                            osr_slice(reset_record, sizeof(reset_record)));
    }
    osr_udp_socket_flush(osr_udp_port_socket(connection->port));
}

void osr_udp_fail(struct osr_udp *connection, struct osr_err *err)
{
    if (connection->is_gone) {
        return;
    }
    osr_err_prefix(err, "%s", connection->base.url);
    osr_connection_note_failure(&connection->base, err);
    osr_udp_send_handshake(connection); /* the alert, if there is one */
    send_reset(connection);
    go(connection);
}

void osr_udp_on_handshake_limit(uv_timer_t *limit)
{
    struct osr_udp *connection = limit->data;
    const char *key = osr_dtls_key_name(connection->dtls);
    struct osr_err err;
    osr_err_set(&err, OSR_TIMEOUT, "the DTLS handshake did not come to its end in time");
    if (key != NULL) {
        osr_err_hint(&err, "the other side may have another shared key \"%s\" than this one", key);
    }
    osr_udp_fail(connection, &err);
}

/* ---- doubt ---- */

static void on_doubt_limit(uv_timer_t *limit)
{
    struct osr_err err;
    osr_err_set(&err, OSR_UNAVAILABLE, "the other side is there no more");
    osr_udp_fail(limit->data, &err);
}

/* Only where it owes an answer, and for as long as that may take. */
void osr_udp_doubt(struct osr_udp *connection)
{
    struct osr_datagram_pipe_state state;
    if (!connection->is_up || connection->is_closing || connection->is_doubted ||
        connection->is_leaving || osr_datagram_pipe_queued(connection->pipe) == 0) {
        return;
    }
    osr_datagram_pipe_state(connection->pipe, &state);
    connection->is_doubted = true;
    uv_timer_start(&connection->limit, on_doubt_limit,
                   OSR_UDP_DOUBT_MS + 3 * state.round_trip_us / 1000, 0);
}

void osr_udp_dispel_doubt(struct osr_udp *connection)
{
    if (connection->is_doubted) {
        connection->is_doubted = false;
        uv_timer_stop(&connection->limit);
    }
}

/* ---- the end ---- */

static void on_leave_limit(uv_timer_t *limit)
{
    go(limit->data);
}

static void write_farewell(struct osr_udp *connection)
{
    uint8_t records[OSR_DTLS_DATAGRAM_BYTES];
    size_t header = osr_udp_write_header(connection, connection->farewell);
    osr_dtls_end(connection->dtls);
    size_t size = osr_dtls_produce(connection->dtls, records);
    assert(header + size <= sizeof(connection->farewell));
    memcpy(connection->farewell + header, records, size);
    connection->farewell_size = header + size;
}

static void send_farewell(struct osr_udp *connection)
{
    struct osr_udp_socket *udp = osr_udp_port_socket(connection->port);
    memcpy(osr_udp_socket_room(udp), connection->farewell, connection->farewell_size);
    osr_udp_socket_put(udp, &connection->peer, connection->farewell_size);
    osr_udp_socket_flush(udp);
}

/* Both directions have ended, and all has arrived: the other side is told, and may ask once more
 * whether its end has. */
static void leave(struct osr_udp *connection)
{
    if (connection->is_leaving) {
        return;
    }
    osr_udp_dispel_doubt(connection);
    osr_udp_send_packets(connection); /* the last acknowledgement goes first */
    connection->is_leaving = true;
    write_farewell(connection);
    for (int i = 0; i < OSR_UDP_LAST_WORDS; i++) {
        send_farewell(connection);
    }
    if (connection->peer_has_left) {
        go(connection);
    } else {
        uv_timer_start(&connection->limit, on_leave_limit, OSR_UDP_LEAVE_MS, 0);
    }
}

void osr_udp_leave_again(struct osr_udp *connection)
{
    if (connection->peer_has_left) {
        go(connection);
    } else {
        send_farewell(connection);
    }
}

static void fail_cut_off(struct osr_udp *connection, const char *why)
{
    struct osr_err err;
    osr_err_set(&err, OSR_UNAVAILABLE, "%s", why);
    osr_udp_fail(connection, &err);
}

/* The other side leaves when it has seen both ends: what it sent is all here. */
void osr_udp_settle_end(struct osr_udp *connection)
{
    bool is_all_sent =
        connection->peer_has_left || osr_datagram_pipe_end_has_arrived(connection->pipe);
    if (connection->is_end_told && connection->end_wanted && is_all_sent) {
        leave(connection);
    } else if (connection->peer_has_left && connection->is_end_told) {
        fail_cut_off(connection, "the other side has left before this one had ended");
    } else if (connection->peer_has_left && (connection->read_wanted || connection->is_closing)) {
        fail_cut_off(connection, "the connection was cut off by the other side");
    } else if (osr_dtls_is_used_up(connection->dtls)) {
        fail_cut_off(connection, "the keys of this connection are used up; a new one has new keys");
    }
}

void osr_udp_ignore_rest(struct osr_udp *connection)
{
    uint8_t ignored[IGNORED_AT_ONCE];
    size_t size;
    while ((size = osr_datagram_pipe_read(connection->pipe, ignored, sizeof(ignored))) > 0) {
        connection->ignored += size;
    }
    if (osr_datagram_pipe_peer_has_ended(connection->pipe)) {
        connection->is_end_told = true;
    } else if (connection->ignored > OSR_CONNECTION_CLOSE_BYTES) {
        send_reset(connection);
        go(connection);
    }
}

void osr_udp_want_end(struct osr_udp *connection)
{
    if (connection->is_up && !connection->end_wanted) {
        osr_datagram_pipe_end(connection->pipe);
        osr_udp_wake(connection);
    }
    connection->end_wanted = true;
}

static void on_close_limit(uv_timer_t *limit)
{
    struct osr_udp *connection = limit->data;
    size_t queued = osr_datagram_pipe_queued(connection->pipe);
    if (queued > 0) {
        struct osr_err err;
        osr_err_set(&err, OSR_TIMEOUT, "%zu bytes were not taken in time", queued);
        osr_udp_fail(connection, &err);
    } else {
        send_reset(connection);
        go(connection);
    }
}

static void close_at_once(struct osr_udp *connection)
{
    struct osr_err err;
    osr_err_set(&err, OSR_CANCELLED, "closed from this side");
    osr_udp_fail(connection, &err);
}

void osr_udp_close(struct osr_connection *base, bool reset)
{
    struct osr_udp *connection = (struct osr_udp *)base;
    if (connection->is_gone || (connection->is_closing && !reset)) {
        return;
    }
    connection->is_closing = true;
    osr_udp_dispel_doubt(connection);
    if (reset || !connection->is_up) {
        close_at_once(connection);
        return;
    }
    osr_udp_want_end(connection);
    if (!connection->is_leaving) {
        uv_timer_start(&connection->limit, on_close_limit, OSR_CONNECTION_CLOSE_MS, 0);
    }
    osr_udp_wake(connection);
}
