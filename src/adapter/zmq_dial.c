/* A dialler of ZeroMQ's: its name is looked up, its addresses are tried in turn, within one
 * time-out; it is up from ZMTP's handshake until the connection ends. libzmq would go on trying for
 * ever, and say nothing: so it may try each address once, and its monitor tells how that went. */
#include <zmq.h>

#include <stdlib.h>

#include "adapter/address.h"
#include "adapter/zmq_bus.h"

static void fail(struct osr_zmq_bus *bus, enum osr_code code, const char *what, const char *hint)
{
    struct osr_err err;

    bus->dial.is_under_way = false;
    osr_err_set(&err, code, "%s", what);
    osr_err_hint(&err, "%s", hint);
    osr_zmq_bus_down(bus, &err);
}

static void connect_next(struct osr_zmq_bus *bus)
{
    while (bus->dial.next != NULL) {
        const struct addrinfo *address = bus->dial.next;
        bus->dial.next = address->ai_next;
        char *endpoint = osr_address_url(address->ai_addr);
        int result = zmq_connect(bus->socket, endpoint);
        free(endpoint);
        if (result == 0) {
            return; /* the monitor says more */
        }
    }
    if (bus->dial.is_foreign) {
        fail(bus, OSR_UNAVAILABLE,
             "what answers there does not speak ZeroMQ, or not as instances do",
             "is it the port of a zmq:// listener, and not one with for=clients?");
    } else {
        fail(bus, OSR_UNAVAILABLE, "nobody answers there",
             "is the other instance running, and does it listen there? A firewall may be between");
    }
}

static void on_looked_up(void *context, struct addrinfo *addresses, const struct osr_err *err)
{
    struct osr_zmq_bus *bus = context;

    bus->dial.lookup = NULL;
    bus->dial.addresses = addresses;
    bus->dial.next = addresses;
    if (!bus->dial.is_under_way) {
        return;
    }
    if (addresses == NULL) {
        bus->dial.is_under_way = false;
        osr_zmq_bus_down(bus, err);
    } else {
        connect_next(bus);
    }
}

int osr_zmq_dial_start(struct osr_zmq_bus *bus, const struct osr_url *url, struct osr_err *err)
{
    bus->base.url = osr_url_place(url);
    bus->end_ms = uv_now(bus->loop) + OSR_BUS_CONNECT_MS;
    bus->dial.is_under_way = true;
    return osr_name_lookup_start(bus->loop, url->host, url->port, on_looked_up, bus,
                                 &bus->dial.lookup, err);
}

static void connection_ended(struct osr_zmq_bus *bus)
{
    if (bus->dial.is_under_way) {
        connect_next(bus);
    } else if (bus->base.is_up) {
        osr_zmq_bus_receive_all(bus); /* what came before the end */
        if (bus->base.is_up && !bus->is_closing) {
            fail(bus, OSR_UNAVAILABLE, "the connection has ended", "");
        }
    }
}

void osr_zmq_dial_event(struct osr_zmq_bus *bus, const struct osr_zmq_event *event)
{
    switch (event->what) {
    case ZMQ_EVENT_CONNECTED:
        bus->dial.fd = event->value;
        bus->dial.unread = (struct osr_zmq_unread){0};
        break;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        if (bus->dial.is_under_way) {
            bus->dial.is_under_way = false;
            osr_zmq_bus_up(bus);
        }
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        bus->dial.is_foreign = true;
        break;
    case ZMQ_EVENT_CLOSED: /* an attempt */
    case ZMQ_EVENT_DISCONNECTED:
        connection_ended(bus);
        break;
    default:
        break;
    }
}

/* The other side may be anybody until the link's handshake is done. */
static void check_unfinished(struct osr_zmq_bus *bus)
{
    osr_zmq_bus_receive_all(bus);
    uint64_t bytes_max =
        bus->dial.is_known ? OSR_ZMQ_UNFINISHED_BYTES_MAX : OSR_ZMQ_UNPROVEN_BYTES_MAX;
    if (bus->base.is_up && osr_zmq_unread_measure(&bus->dial.unread, bus->dial.fd) > bytes_max) {
        fail(bus, OSR_TOO_LARGE, "a message without an end comes from there",
             "is it an instance that listens there?");
    }
}

void osr_zmq_dial_tick(struct osr_zmq_bus *bus, uint64_t now_ms)
{
    if (bus->base.is_up && bus->is_reading && !bus->is_closing) {
        check_unfinished(bus);
    }
    if (bus->dial.is_under_way && now_ms >= bus->end_ms) {
        fail(bus, OSR_TIMEOUT, "no answer in time",
             "is the other instance running, and does it listen there with ZeroMQ?");
    }
}

void osr_zmq_dial_done(struct osr_zmq_bus *bus)
{
    osr_name_lookup_cancel(bus->dial.lookup);
    bus->dial.lookup = NULL;
    bus->dial.is_under_way = false;
    if (bus->dial.addresses != NULL) {
        freeaddrinfo(bus->dial.addresses);
        bus->dial.addresses = NULL;
    }
}
