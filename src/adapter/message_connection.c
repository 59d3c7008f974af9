#include "adapter/message_connection_internal.h"

#include <assert.h>
#include <stdlib.h>

enum {
    /* After so long it is asked whether what was sent has come; where nothing at all is heard of it
     * for as long as the second, it is given up. */
    ASK_MS = 3000,
    SILENCE_MS = 15 * 1000,
    ROOM_BYTES = 64 << 10,
    IGNORED_AT_ONCE = 16 << 10,
};

static struct osr_message_connection *of(struct osr_connection *base)
{
    return (struct osr_message_connection *)base;
}

/* ---- life ---- */

void osr_message_connection_part_closed(struct osr_message_connection *connection)
{
    struct osr_message_listener *listener = connection->listener;
    if (--connection->parts_open > 0) {
        return;
    }
    osr_connection_finish(&connection->base);
    osr_message_link_destroy(connection->link);
    free(connection->peer);
    free(connection);
    if (listener != NULL) {
        osr_message_listener_release(listener);
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    osr_message_connection_part_closed(handle->data);
}

void osr_message_connection_discard(struct osr_message_connection *connection)
{
    if (connection->is_gone) {
        return;
    }
    connection->is_gone = true;
    uv_close((uv_handle_t *)&connection->pump, on_handle_closed);
    uv_close((uv_handle_t *)&connection->timer, on_handle_closed);
    uv_close((uv_handle_t *)&connection->watch, on_handle_closed);
    if (connection->listener != NULL) {
        osr_message_listener_forget(connection->listener, connection);
    } else if (connection->bus != NULL) {
        osr_bus_close(connection->bus);
    }
}

void osr_message_send_reset(struct osr_bus *bus, const char *peer, const uint8_t *id,
                            enum osr_code code)
{
    struct osr_message_packet packet = {.type = OSR_MESSAGE_RESET, .code = (uint32_t)code};
    struct osr_buffer message = {0};
    memcpy(packet.id, id, sizeof(packet.id));
    osr_message_packet_encode(&packet, &message);
    osr_bus_send(bus,
                 &(struct osr_bus_message){.address = peer, .body = osr_buffer_slice(&message)});
    osr_buffer_done(&message);
}

/* The other side does not wait for what does not come any more. */
static void give_up(struct osr_message_connection *connection, enum osr_code code)
{
    if (!connection->is_gone) {
        osr_message_send_reset(connection->bus, connection->peer, connection->id, code);
    }
    osr_message_connection_discard(connection);
}

void osr_message_connection_fail(struct osr_message_connection *connection,
                                 const struct osr_err *err)
{
    struct osr_err told = *err;
    if (strncmp(told.message, connection->base.url, strlen(connection->base.url)) != 0) {
        osr_err_prefix(&told, "%s", connection->base.url);
    }
    osr_connection_note_failure(&connection->base, &told);
    give_up(connection, err->code);
}

static void fail_with(struct osr_message_connection *connection, enum osr_code code,
                      const char *what)
{
    struct osr_err err;
    osr_err_set(&err, code, "%s", what);
    osr_message_connection_fail(connection, &err);
}

/* ---- whether the other side has what was sent ---- */

static void on_watch(uv_timer_t *timer);

static void ask(struct osr_message_connection *connection, uint64_t patience_ms)
{
    osr_message_link_probe(connection->link);
    connection->patience_ms = patience_ms;
    uv_timer_start(&connection->watch, on_watch, patience_ms, 0);
    osr_message_connection_wake(connection);
}

static void on_watch(uv_timer_t *timer)
{
    struct osr_message_connection *connection = timer->data;
    if (osr_message_link_is_probing(connection->link)) {
        fail_with(connection, OSR_UNAVAILABLE, "the other side does not answer");
    } else if (!osr_message_link_is_acknowledged(connection->link)) {
        ask(connection, SILENCE_MS);
    }
}

static void watch(struct osr_message_connection *connection)
{
    bool is_probing = osr_message_link_is_probing(connection->link);
    bool is_due = osr_message_link_is_up(connection->link) && !is_probing &&
                  !osr_message_link_is_acknowledged(connection->link);
    if (is_due && !uv_is_active((uv_handle_t *)&connection->watch)) {
        uv_timer_start(&connection->watch, on_watch, ASK_MS, 0);
    }
}

/* Whatever comes shows that the other side is there, though the reply may stand behind it. */
static void note_heard(struct osr_message_connection *connection, bool was_probing)
{
    if (osr_message_link_is_probing(connection->link)) {
        uv_timer_start(&connection->watch, on_watch, connection->patience_ms, 0);
    } else if (was_probing) {
        uv_timer_stop(&connection->watch);
    }
    watch(connection);
}

void osr_message_connection_doubt(struct osr_message_connection *connection)
{
    bool is_asked = osr_message_link_is_probing(connection->link) &&
                    connection->patience_ms == OSR_MESSAGE_PROBE_MS;
    if (connection->is_gone || is_asked) {
        return;
    }
    if (!osr_message_link_is_up(connection->link)) {
        fail_with(connection, OSR_UNAVAILABLE, "nobody listens there");
    } else if (osr_bus_sees_peers(connection->bus)) {
        fail_with(connection, OSR_UNAVAILABLE, "the other side is gone");
    } else {
        ask(connection, OSR_MESSAGE_PROBE_MS);
    }
}

/* ---- sending ---- */

static void send_output(struct osr_message_connection *connection)
{
    struct osr_buffer message = {0};
    size_t queued = osr_message_link_queued(connection->link);
    while (osr_bus_is_up(connection->bus) && !osr_bus_is_full(connection->bus) &&
           osr_message_link_produce(connection->link, &message)) {
        osr_bus_send(connection->bus,
                     &(struct osr_bus_message){.address = connection->peer,
                                               .body = osr_buffer_slice(&message)});
        osr_buffer_clear(&message);
    }
    osr_buffer_done(&message);
    watch(connection);
    const struct osr_connection_handler *handler = connection->base.handler;
    if (queued > 0 && osr_message_link_queued(connection->link) == 0 && !connection->is_closing &&
        handler->on_drain != NULL) {
        handler->on_drain(connection->base.context, &connection->base);
    }
}

static void deliver(struct osr_message_connection *connection);

static void on_pump(uv_idle_t *pump)
{
    struct osr_message_connection *connection = pump->data;
    uv_idle_stop(pump);
    deliver(connection);
    if (!connection->is_gone) {
        send_output(connection);
    }
    if (!connection->is_gone) { /* whose last word has gone out just now */
        deliver(connection);
    }
}

void osr_message_connection_wake(struct osr_message_connection *connection)
{
    if (!connection->is_gone) {
        uv_idle_start(&connection->pump, on_pump);
    }
}

/* ---- reading ---- */

/* After the close: read and thrown away until the other side ends, too. */
static void ignore(struct osr_message_connection *connection)
{
    uint8_t ignored[IGNORED_AT_ONCE];
    size_t size;
    while ((size = osr_message_link_read(connection->link, ignored, sizeof(ignored))) > 0) {
        connection->ignored += size;
    }
    if (connection->ignored > OSR_CONNECTION_CLOSE_BYTES) {
        give_up(connection, OSR_CANCELLED);
    }
}

static bool may_deliver(const struct osr_message_connection *connection)
{
    return connection->base.handler != NULL && connection->read_wanted && !connection->is_closing &&
           !connection->is_gone;
}

static void tell_end(struct osr_message_connection *connection)
{
    connection->is_end_told = true;
    osr_connection_tell_end(&connection->base);
}

static void deliver(struct osr_message_connection *connection)
{
    struct osr_connection *base = &connection->base;
    while (may_deliver(connection) && osr_message_link_unread(connection->link) > 0) {
        size_t room_size = 0;
        uint8_t *room = base->handler->on_room(base->context, ROOM_BYTES, &room_size);
        size_t size = osr_message_link_read(connection->link, room, room_size);
        base->handler->on_read(base->context, base, size);
    }
    if (connection->is_closing && !connection->is_gone) {
        ignore(connection);
    }
    bool has_ended = osr_message_link_peer_has_ended(connection->link);
    if (has_ended && !connection->is_end_told && may_deliver(connection)) {
        tell_end(connection);
    }
    bool is_heard = connection->is_end_told || connection->is_closing;
    if (has_ended && is_heard && osr_message_link_has_ended(connection->link)) {
        osr_message_connection_discard(connection); /* both have said all */
    }
}

void osr_message_connection_receive(struct osr_message_connection *connection,
                                    const struct osr_message_packet *packet)
{
    struct osr_connection *base = &connection->base;
    struct osr_err err;
    if (connection->is_gone) {
        return;
    }
    bool was_up = osr_message_link_is_up(connection->link);
    bool was_probing = osr_message_link_is_probing(connection->link);
    if (osr_message_link_receive(connection->link, packet, &err) != 0) {
        osr_message_connection_fail(connection, &err);
        return;
    }
    note_heard(connection, was_probing);
    if (!was_up && osr_message_link_is_up(connection->link)) {
        uv_timer_stop(&connection->timer);
        base->handler->on_open(base->context, base);
    }
    if (!connection->is_gone) {
        deliver(connection);
    }
    osr_message_connection_wake(connection);
}

/* ---- as a connection ---- */

static void message_accept(struct osr_connection *base)
{
    osr_message_connection_wake(of(base));
}

static void message_write(struct osr_connection *base, struct osr_buffer *buffer)
{
    struct osr_message_connection *connection = of(base);
    if (connection->is_gone || connection->is_closing || buffer->size == 0) {
        osr_buffer_done(buffer);
        return;
    }
    osr_message_link_write(connection->link, buffer);
    osr_message_connection_wake(connection);
}

static void message_flush(struct osr_connection *base)
{
    struct osr_message_connection *connection = of(base);
    if (!connection->is_gone && osr_message_link_queued(connection->link) > 0) {
        send_output(connection);
    }
}

static size_t message_queued(const struct osr_connection *base)
{
    const struct osr_message_connection *connection = (const struct osr_message_connection *)base;
    return connection->is_gone ? 0 : osr_message_link_queued(connection->link);
}

static void message_read(struct osr_connection *base, bool on)
{
    of(base)->read_wanted = on;
    osr_message_connection_wake(of(base));
}

static void message_end(struct osr_connection *base)
{
    struct osr_message_connection *connection = of(base);
    if (!connection->is_gone && !connection->end_wanted) {
        connection->end_wanted = true;
        osr_message_link_end(connection->link);
        osr_message_connection_wake(connection);
    }
}

static void on_close_deadline(uv_timer_t *timer)
{
    struct osr_message_connection *connection = timer->data;
    size_t queued = osr_message_link_queued(connection->link);
    if (queued > 0) {
        struct osr_err err;
        osr_err_set(&err, OSR_TIMEOUT, "%s: %zu bytes were not taken in time", connection->base.url,
                    queued);
        osr_connection_note_failure(&connection->base, &err);
    }
    give_up(connection, OSR_CANCELLED);
}

static void message_close(struct osr_connection *base, bool reset)
{
    struct osr_message_connection *connection = of(base);
    if (connection->is_gone || (connection->is_closing && !reset)) {
        return;
    }
    connection->is_closing = true;
    if (reset || !osr_message_link_is_up(connection->link)) {
        fail_with(connection, OSR_CANCELLED, "closed from this side");
        return;
    }
    message_end(base);
    uv_timer_start(&connection->timer, on_close_deadline, OSR_CONNECTION_CLOSE_MS, 0);
}

static void message_vouch(struct osr_connection *base)
{
    struct osr_message_connection *connection = of(base);
    if (!connection->is_gone) {
        osr_bus_vouch(connection->bus, connection->peer);
    }
}

static const struct osr_connection_kind message_kind = {
    .accept = message_accept,
    .write = message_write,
    .flush = message_flush,
    .queued = message_queued,
    .read = message_read,
    .end = message_end,
    .close = message_close,
    .vouch = message_vouch,
};

struct osr_message_connection *osr_message_connection_make(uv_loop_t *loop, const uint8_t *id,
                                                           const struct osr_message_packet *open,
                                                           char *url)
{
    struct osr_message_connection *connection = osr_alloc(sizeof(*connection));
    connection->base.kind = &message_kind;
    connection->base.url = url;
    connection->loop = loop;
    memcpy(connection->id, id, sizeof(connection->id));
    connection->link = osr_message_link_create(id, open);
    connection->read_wanted = true;
    uv_idle_init(loop, &connection->pump);
    uv_timer_init(loop, &connection->timer);
    uv_timer_init(loop, &connection->watch);
    connection->pump.data = connection->timer.data = connection->watch.data = connection;
    connection->parts_open = 3;
    return connection;
}
