/* Dialling over a bus: one of its own, which goes with the connection. */
#include <assert.h>

#include "adapter/keys.h"
#include "adapter/message_connection_internal.h"

static void on_up(void *context, struct osr_bus *bus)
{
    (void)bus;
    osr_message_connection_wake(context);
}

/* A broker that forgets us may have forgotten what was under way: it is dialled anew. */
static void on_down(void *context, struct osr_bus *bus, const struct osr_err *err)
{
    (void)bus;
    osr_message_connection_fail(context, err);
}

static void on_message(void *context, struct osr_bus *bus, const struct osr_bus_message *message)
{
    struct osr_message_connection *connection = context;
    struct osr_message_packet packet;
    struct osr_err err;
    (void)bus;
    /* What is not for this connection is another time's, or nobody knows whose. */
    if (osr_message_packet_decode(message->body, &packet, &err) == 0 &&
        memcmp(packet.id, connection->id, sizeof(packet.id)) == 0) {
        osr_message_connection_receive(connection, &packet);
    }
}

static void on_gone(void *context, struct osr_bus *bus, const char *address)
{
    (void)bus;
    (void)address;
    osr_message_connection_doubt(context);
}

static void on_drain(void *context, struct osr_bus *bus)
{
    (void)bus;
    osr_message_connection_wake(context);
}

static void on_close(void *context, struct osr_bus *bus)
{
    (void)bus;
    osr_message_connection_part_closed(context);
}

static const struct osr_bus_handler bus_handler = {
    .on_up = on_up,
    .on_down = on_down,
    .on_message = on_message,
    .on_gone = on_gone,
    .on_drain = on_drain,
    .on_close = on_close,
};

static void on_deadline(uv_timer_t *timer)
{
    struct osr_message_connection *connection = timer->data;
    struct osr_err err;
    osr_err_set(&err, OSR_TIMEOUT, "%s",
                osr_bus_is_up(connection->bus) ? "nobody has answered there; is somebody listening?"
                                               : "the broker has not answered");
    osr_message_connection_fail(connection, &err);
}

int osr_message_dial(uv_loop_t *loop, const struct osr_url *url, uint32_t timeout_ms,
                     const struct osr_connection_handler *handler, void *context,
                     struct osr_connection **ret_connection, struct osr_err *err)
{
    /* Silent: on_down says all there is. */
    const struct osr_bus_options options = {.loop = loop, .url = url, .role = OSR_BUS_DIALLER};
    uint8_t id[OSR_MESSAGE_ID_BYTES];
    osr_secret_random(id, sizeof(id));
    struct osr_message_connection *connection =
        osr_message_connection_make(loop, id, NULL, osr_strdup(url->text));
    int code = osr_bus_open(&options, &bus_handler, connection, &connection->bus, err);
    if (code != 0) {
        osr_message_connection_discard(connection); /* without a handler yet: nobody is called */
        return code;
    }
    connection->parts_open++;
    connection->base.handler = handler;
    connection->base.context = context;
    uv_timer_start(&connection->timer, on_deadline, timeout_ms, 0);
    *ret_connection = &connection->base;
    return 0;
}
