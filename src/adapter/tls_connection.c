#include "adapter/tls_connection.h"

#include <assert.h>
#include <stdlib.h>

#include "base/thread_room.h"

/* Ciphertext read at a time, by one connection after the other. */
enum { ROOM_BYTES = 64 << 10 };

struct osr_tls_connection {
    struct osr_connection base;     /* first */
    struct osr_connection *carrier; /* NULL: gone */
    struct osr_tls_context *security;
    struct osr_tls *tls;   /* NULL: waits at the gate */
    struct osr_gate *gate; /* NULL: there is none */
    struct osr_visitor visitor;
    uint64_t address;
    uint64_t wait_ms;
    uv_timer_t timer; /* of waiting, then of the handshake */
    uint32_t handshake_ms;
    uv_idle_t pump; /* hands on what was decrypted while nobody wanted to read */
    int handles_open;
    struct osr_buffer early; /* written before the handshake was done */
    bool is_dialled;
    bool is_up;
    bool read_wanted;
    bool end_wanted;
    bool is_end_told;
    bool is_closing; /* the handler gets on_close alone */
};

static struct osr_tls_connection *of(struct osr_connection *base)
{
    return (struct osr_tls_connection *)base;
}

/* ---- life ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct osr_tls_connection *connection = handle->data;
    if (--connection->handles_open > 0) {
        return;
    }
    osr_connection_finish(&connection->base);
    osr_tls_destroy(connection->tls);
    osr_tls_context_release(connection->security);
    osr_buffer_done(&connection->early);
    free(connection);
}

/* What the session has to say goes to the carrier. */
static void send_output(struct osr_tls_connection *connection)
{
    struct osr_buffer output = {0};
    if (connection->carrier != NULL && connection->tls != NULL &&
        osr_tls_produce(connection->tls, &output)) {
        osr_connection_write(connection->carrier, &output);
    }
}

/* Nothing more is heard or awaited. */
static void begin_closing(struct osr_tls_connection *connection)
{
    connection->is_closing = true;
    uv_idle_stop(&connection->pump);
    uv_timer_stop(&connection->timer);
    osr_gate_leave(connection->gate, &connection->visitor);
}

/* The alert, if there is one, goes out first. */
static void fail(struct osr_tls_connection *connection, struct osr_err *err)
{
    osr_err_prefix(err, "%s", connection->base.url);
    osr_connection_note_failure(&connection->base, err);
    begin_closing(connection);
    send_output(connection);
    osr_connection_close(connection->carrier, false);
}

static void on_handshake_timeout(uv_timer_t *timer)
{
    struct osr_tls_connection *connection = timer->data;
    struct osr_err err;
    osr_err_set(&err, OSR_TIMEOUT, "no TLS handshake within %u ms", connection->handshake_ms);
    fail(connection, &err);
}

static void await_handshake(struct osr_tls_connection *connection)
{
    connection->tls = osr_tls_create(connection->security);
    uv_timer_start(&connection->timer, on_handshake_timeout, connection->handshake_ms, 0);
    send_output(connection);
}

/* It has not shown who it is, and is not waited for: no time to close in good order. */
static void crowd_out(struct osr_visitor *visitor)
{
    struct osr_tls_connection *connection =
        (struct osr_tls_connection *)((char *)visitor -
                                      offsetof(struct osr_tls_connection, visitor));
    struct osr_err err;
    osr_err_set(&err, OSR_BUSY, "%s: %d TLS handshakes are under way", connection->base.url,
                OSR_GATE_UNDER_WAY_MAX);
    osr_connection_note_failure(&connection->base, &err);
    begin_closing(connection);
    osr_connection_close(connection->carrier, true);
}

static void enter(struct osr_tls_connection *connection)
{
    struct osr_visitor *leaves =
        osr_gate_begin(connection->gate, &connection->visitor, connection->address);
    if (leaves != NULL) {
        crowd_out(leaves);
    }
    await_handshake(connection);
}

/* It was read no further meanwhile. */
static void on_waited(uv_timer_t *timer)
{
    struct osr_tls_connection *connection = timer->data;
    enter(connection);
    osr_connection_read(connection->carrier, true);
}

/* ---- reading ---- */

static bool may_deliver(const struct osr_tls_connection *connection)
{
    return connection->is_up && connection->read_wanted && !connection->is_closing;
}

/* Both sides have said all: who keeps the carrier open all the same is not waited for for long. */
static void close_if_both_ended(struct osr_tls_connection *connection)
{
    if (connection->is_end_told && connection->end_wanted && !connection->is_closing) {
        begin_closing(connection);
        osr_connection_close(connection->carrier, false);
    }
}

static void tell_end(struct osr_tls_connection *connection)
{
    connection->is_end_told = true;
    osr_connection_tell_end(&connection->base);
    close_if_both_ended(connection);
}

static void deliver(struct osr_tls_connection *connection)
{
    struct osr_connection *base = &connection->base;
    while (may_deliver(connection)) {
        size_t room_size = 0;
        uint8_t *room = base->handler->on_room(base->context, ROOM_BYTES, &room_size);
        size_t size = osr_tls_read(connection->tls, room, room_size);
        if (size == 0) {
            break;
        }
        base->handler->on_read(base->context, base, size);
    }
    if (may_deliver(connection) && !connection->is_end_told &&
        osr_tls_peer_has_ended(connection->tls)) {
        tell_end(connection);
    }
}

static void on_pump(uv_idle_t *pump)
{
    uv_idle_stop(pump);
    deliver(pump->data);
}

static void say_end(struct osr_tls_connection *connection)
{
    osr_tls_end(connection->tls);
    send_output(connection);
    osr_connection_end(connection->carrier);
}

static void go_up(struct osr_tls_connection *connection)
{
    struct osr_connection *base = &connection->base;
    connection->is_up = true;
    uv_timer_stop(&connection->timer);
    base->peer = osr_tls_peer(connection->tls);
    osr_tls_binding(connection->tls, base->binding);
    bool is_known = osr_tls_peer_is_known(base->peer);
    osr_gate_pass(connection->gate, &connection->visitor, is_known);
    if (is_known) {
        osr_connection_vouch(connection->carrier);
    }
    osr_connection_read(connection->carrier, connection->read_wanted);
    if (connection->early.size > 0) {
        osr_tls_write(connection->tls, osr_buffer_slice(&connection->early));
        osr_buffer_done(&connection->early);
        send_output(connection);
    }
    if (connection->end_wanted) {
        say_end(connection);
    }
    if (connection->is_dialled) {
        base->handler->on_open(base->context, base);
    }
}

/* ---- the carrier's events ---- */

static void on_carrier_open(void *context, struct osr_connection *carrier)
{
    (void)carrier;
    await_handshake(context);
}

static uint8_t *shared_room(void)
{
    static _Thread_local uint8_t *room;
    return osr_thread_room(&room, ROOM_BYTES);
}

static uint8_t *on_carrier_room(void *context, size_t suggested, size_t *ret_size)
{
    (void)context;
    (void)suggested;
    *ret_size = ROOM_BYTES;
    return shared_room();
}

static void on_carrier_read(void *context, struct osr_connection *carrier, size_t size)
{
    struct osr_tls_connection *connection = context;
    (void)carrier;
    if (connection->is_closing) {
        return;
    }
    struct osr_err err;
    int code = osr_tls_receive(connection->tls, osr_slice(shared_room(), size), &err);
    if (code != 0) {
        fail(connection, &err);
        return;
    }
    send_output(connection);
    if (!connection->is_up && osr_tls_is_up(connection->tls)) {
        go_up(connection);
    }
    deliver(connection);
}

static void on_carrier_end(void *context, struct osr_connection *carrier)
{
    struct osr_tls_connection *connection = context;
    struct osr_err err;
    (void)carrier;
    deliver(connection); /* what came before, where reading was resumed a moment ago */
    if (!connection->is_closing && osr_tls_receive_end(connection->tls, &err) != 0) {
        fail(connection, &err);
    }
}

static void on_carrier_drain(void *context, struct osr_connection *carrier)
{
    struct osr_tls_connection *connection = context;
    struct osr_connection *base = &connection->base;
    (void)carrier;
    if (connection->is_up && !connection->is_closing && base->handler->on_drain != NULL) {
        base->handler->on_drain(base->context, base);
    }
}

static void on_carrier_close(void *context, struct osr_connection *carrier,
                             const struct osr_err *err)
{
    struct osr_tls_connection *connection = context;
    (void)carrier;
    osr_connection_note_failure(&connection->base, err);
    connection->carrier = NULL;
    begin_closing(connection);
    uv_close((uv_handle_t *)&connection->timer, on_handle_closed);
    uv_close((uv_handle_t *)&connection->pump, on_handle_closed);
}

static const struct osr_connection_handler carrier_handler = {
    .on_open = on_carrier_open,
    .on_room = on_carrier_room,
    .on_read = on_carrier_read,
    .on_end = on_carrier_end,
    .on_drain = on_carrier_drain,
    .on_close = on_carrier_close,
};

/* ---- as a connection ---- */

static void tls_accept(struct osr_connection *base)
{
    struct osr_tls_connection *connection = of(base);
    osr_connection_accept(connection->carrier, &carrier_handler, connection);
    if (connection->wait_ms == 0) {
        enter(connection);
        return;
    }
    osr_connection_read(connection->carrier, false);
    uv_timer_start(&connection->timer, on_waited, connection->wait_ms, 0);
}

static void tls_write(struct osr_connection *base, struct osr_buffer *buffer)
{
    struct osr_tls_connection *connection = of(base);
    bool is_open = connection->carrier != NULL && !connection->is_closing;
    assert(!is_open || !connection->end_wanted);
    if (is_open && connection->is_up && buffer->size > 0) {
        osr_tls_write(connection->tls, osr_buffer_slice(buffer));
        send_output(connection);
    } else if (is_open) {
        osr_buffer_add(&connection->early, buffer->data, buffer->size);
    }
    osr_buffer_done(buffer);
}

static void tls_flush(struct osr_connection *base)
{
    if (of(base)->carrier != NULL) {
        osr_connection_flush(of(base)->carrier);
    }
}

static size_t tls_queued(const struct osr_connection *base)
{
    const struct osr_tls_connection *connection = (const struct osr_tls_connection *)base;
    return connection->carrier == NULL
               ? 0
               : connection->early.size + osr_connection_queued(connection->carrier);
}

/* During the handshake the carrier is read whatever the handler wants. */
static void tls_read(struct osr_connection *base, bool on)
{
    struct osr_tls_connection *connection = of(base);
    connection->read_wanted = on;
    if (!connection->is_up || connection->is_closing) {
        return;
    }
    osr_connection_read(connection->carrier, on);
    if (on) {
        uv_idle_start(&connection->pump, on_pump);
    }
}

static void tls_end(struct osr_connection *base)
{
    struct osr_tls_connection *connection = of(base);
    if (connection->is_closing || connection->end_wanted) {
        return;
    }
    connection->end_wanted = true;
    if (connection->is_up) {
        say_end(connection);
        close_if_both_ended(connection);
    }
}

/* What was written is lost, and the other side has never been heard. */
static void note_called_off(struct osr_tls_connection *connection)
{
    struct osr_err err;
    osr_err_set(&err, OSR_CANCELLED, "%s: closed from this side during the TLS handshake",
                connection->base.url);
    osr_connection_note_failure(&connection->base, &err);
}

static void tls_close(struct osr_connection *base, bool reset)
{
    struct osr_tls_connection *connection = of(base);
    if (connection->carrier == NULL || (connection->is_closing && !reset)) {
        return;
    }
    begin_closing(connection);
    if (!connection->is_up) {
        note_called_off(connection);
    } else if (!connection->end_wanted && !reset) {
        osr_tls_end(connection->tls);
        send_output(connection);
    }
    if (connection->carrier->handler == NULL) { /* was never accepted: who is to hear of the end? */
        osr_connection_accept(connection->carrier, &carrier_handler, connection);
    }
    osr_connection_close(connection->carrier, reset);
}

static const struct osr_connection_kind tls_kind = {
    .accept = tls_accept,
    .write = tls_write,
    .flush = tls_flush,
    .queued = tls_queued,
    .read = tls_read,
    .end = tls_end,
    .close = tls_close,
};

/* The URL becomes the connection's. */
static struct osr_tls_connection *make(uv_loop_t *loop, struct osr_tls_context *security, char *url)
{
    struct osr_tls_connection *connection = osr_alloc(sizeof(*connection));
    connection->base.kind = &tls_kind;
    connection->base.url = url;
    connection->base.is_secure = true;
    connection->security = osr_tls_context_hold(security);
    connection->read_wanted = true;
    connection->handshake_ms = OSR_CONNECTION_HANDSHAKE_MS;
    uv_timer_init(loop, &connection->timer);
    connection->timer.data = connection;
    uv_idle_init(loop, &connection->pump);
    connection->pump.data = connection;
    connection->handles_open = 2;
    return connection;
}

struct osr_connection *osr_tls_connection_accept(struct osr_connection *carrier, uv_loop_t *loop,
                                                 struct osr_tls_context *security,
                                                 const struct osr_admission *admission)
{
    const char *url = osr_connection_url(carrier);
    bool is_tcp = strncmp(url, "tcp:", 4) == 0;
    struct osr_tls_connection *connection =
        make(loop, security, is_tcp ? osr_format("tls%s", url + 3) : osr_strdup(url));
    connection->carrier = carrier;
    connection->gate = admission->gate;
    connection->address = admission->address;
    connection->wait_ms = admission->wait_ms;
    connection->base.is_local = carrier->is_local;
    connection->base.owner = carrier->owner;
    return &connection->base;
}

int osr_tls_connection_dial(uv_loop_t *loop, const struct osr_url *url, osr_dial_carrier *dial,
                            struct osr_tls_context *security, uint32_t timeout_ms,
                            const struct osr_connection_handler *handler, void *context,
                            struct osr_connection **ret_connection, struct osr_err *err)
{
    struct osr_tls_connection *connection = make(loop, security, osr_strdup(url->text));
    connection->handshake_ms = timeout_ms;
    int code = dial(loop, url, timeout_ms, &carrier_handler, connection, &connection->carrier, err);
    if (code != 0) {
        on_carrier_close(connection, NULL, err); /* without a handler yet: nobody is called */
        return code;
    }
    connection->is_dialled = true;
    connection->base.is_local = connection->carrier->is_local;
    connection->base.handler = handler;
    connection->base.context = context;
    *ret_connection = &connection->base;
    return 0;
}
