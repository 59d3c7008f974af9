/* The socket of a ZeroMQ bus, by its role: limits, time-outs, and CURVE for ordinary clients. */
#include <assert.h>
#include <errno.h>
#include <zmq.h>

#include "adapter/zmq_bus.h"

enum {
    HEARTBEAT_MS = 5000,
    HEARTBEAT_TIMEOUT_MS = 15 * 1000,
    BACKLOG = 128,
};

static void set_number(void *socket, int option, int value)
{
    int result = zmq_setsockopt(socket, option, &value, sizeof(value));
    assert(result == 0);
}

static void set_limits(struct osr_zmq_bus *bus)
{
    static const int messages_max[] = {
        [OSR_BUS_LISTENER] = OSR_ZMQ_LINK_MESSAGES_MAX,
        [OSR_BUS_DIALLER] = OSR_ZMQ_LINK_MESSAGES_MAX,
        [OSR_BUS_CLIENTS] = OSR_ZMQ_CLIENT_MESSAGES_MAX,
        [OSR_BUS_EVENTS] = OSR_ZMQ_EVENTS_MAX,
    };
    int64_t bytes_max = OSR_BUS_MESSAGE_BYTES_MAX;

    zmq_setsockopt(bus->socket, ZMQ_MAXMSGSIZE, &bytes_max, sizeof(bytes_max));
    set_number(bus->socket, ZMQ_SNDHWM, messages_max[bus->role]);
    set_number(bus->socket, ZMQ_RCVHWM, messages_max[bus->role]);
    set_number(bus->socket, ZMQ_HANDSHAKE_IVL, OSR_ZMQ_HANDSHAKE_MS);
    set_number(bus->socket, ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS);
    set_number(bus->socket, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS);
    set_number(bus->socket, ZMQ_TCP_KEEPALIVE, 1);
    set_number(bus->socket, ZMQ_BACKLOG, BACKLOG);
    set_number(bus->socket, ZMQ_LINGER, 0);
}

static void set_role(struct osr_zmq_bus *bus, const struct osr_url *url)
{
    if (bus->role == OSR_BUS_DIALLER) {
        set_number(bus->socket, ZMQ_IPV6, 1);
        set_number(bus->socket, ZMQ_IMMEDIATE, 1);      /* no queue for who is not there */
        set_number(bus->socket, ZMQ_RECONNECT_IVL, -1); /* zmq_dial.c */
    } else {
        set_number(bus->socket, ZMQ_IPV6, strchr(url->host, ':') != NULL);
    }
    if (osr_zmq_bus_is_router(bus)) {
        set_number(bus->socket, ZMQ_ROUTER_MANDATORY, 1);
    }
}

static void set_keys(struct osr_zmq_bus *bus, const struct osr_bus_keys *keys)
{
    static const char domain[] = "osiris"; /* without one libzmq asks nobody */

    bus->zap = osr_zmq_zap_create(bus->library, keys, &bus->trace);
    set_number(bus->socket, ZMQ_CURVE_SERVER, 1);
    zmq_setsockopt(bus->socket, ZMQ_CURVE_SECRETKEY, keys->secret, OSR_BUS_KEY_BYTES);
    zmq_setsockopt(bus->socket, ZMQ_ZAP_DOMAIN, domain, sizeof(domain) - 1);
}

int osr_zmq_socket_open(struct osr_zmq_bus *bus, const struct osr_bus_options *options,
                        struct osr_err *err)
{
    static const int types[] = {
        [OSR_BUS_LISTENER] = ZMQ_ROUTER,
        [OSR_BUS_DIALLER] = ZMQ_DEALER,
        [OSR_BUS_CLIENTS] = ZMQ_ROUTER,
        [OSR_BUS_EVENTS] = ZMQ_PUB,
    };

    bus->library = zmq_ctx_new();
    bus->socket = bus->library == NULL ? NULL : zmq_socket(bus->library, types[bus->role]);
    if (bus->socket == NULL) {
        return (int)osr_err_errno(err, OSR_UNAVAILABLE, errno, "%s: no socket of ZeroMQ's",
                                  options->url->text);
    }
    set_limits(bus);
    set_role(bus, options->url);
    if (bus->role == OSR_BUS_CLIENTS || bus->role == OSR_BUS_EVENTS) {
        assert(options->keys != NULL);
        set_keys(bus, options->keys);
    }
    bus->monitor = osr_zmq_monitor_open(bus->library, bus->socket);
    return 0;
}
