/* A socket of ZeroMQ's that listens: where, how many may connect, and who of them has gone.
 *
 * libzmq knows no limit to the number of its connections: they are counted here, by its monitor,
 * and those that are too many turned away. (Unbinding would end all of them.) */
#include <errno.h>
#include <stdlib.h>
#include <zmq.h>

#include "adapter/address.h"
#include "adapter/keys.h"
#include "adapter/zmq_bus.h"

/* -- binding -- */

int osr_zmq_listen_start(struct osr_zmq_bus *bus, const struct osr_url *url, struct osr_err *err)
{
    struct osr_zmq_listen *listen = &bus->listen;
    char bound[OSR_URL_TEXT_MAX];
    size_t size = sizeof(bound);
    struct sockaddr_storage address;
    socklen_t address_size;
    uint64_t seed;
    int code = osr_address_to_listen(url, &address, &address_size, err);

    if (code != 0) {
        return code;
    }
    char *endpoint = osr_address_url((const struct sockaddr *)&address);
    int result = zmq_bind(bus->socket, endpoint);
    free(endpoint);
    if (result != 0) {
        return (int)osr_address_bind_error(err, errno, url);
    }
    zmq_getsockopt(bus->socket, ZMQ_LAST_ENDPOINT, bound, &size);
    listen->port = (uint16_t)strtoul(strrchr(bound, ':') + 1, NULL, 10);
    osr_secret_random(&seed, sizeof(seed));
    listen->peers = osr_map_create(seed);
    bus->base.url = osr_format("zmq%s", strchr(bound, ':'));
    return 0;
}

/* -- how many -- */

/* libzmq has no function that ends a connection; one whose socket is shut down ends by itself. By
 * now libzmq may have closed the descriptor, and another socket have it: where that is at our port
 * as well, it is one of those that are too many; where it is not, it is left alone. */
static void turn_away(const struct osr_zmq_bus *bus, int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);

    if (getsockname(fd, (struct sockaddr *)&address, &size) == 0 &&
        (address.ss_family == AF_INET || address.ss_family == AF_INET6) &&
        osr_address_port((const struct sockaddr *)&address) == bus->listen.port) {
        shutdown(fd, SHUT_RDWR);
    }
}

static void count_connection(struct osr_zmq_bus *bus, int fd)
{
    struct osr_zmq_listen *listen = &bus->listen;

    listen->connection_count++;
    if (listen->connection_count <= OSR_ZMQ_CONNECTIONS_MAX) {
        return;
    }
    turn_away(bus, fd);
    if (!listen->is_crowded) {
        listen->is_crowded = true;
        osr_trace(&bus->trace, OSR_LEVEL_WARNING,
                  "%s: %d connections are open: no more are taken until one ends", bus->base.url,
                  OSR_ZMQ_CONNECTIONS_MAX);
    }
}

/* -- who -- */

void osr_zmq_listen_peer(struct osr_zmq_bus *bus, int fd, const char *address)
{
    struct osr_slice key = osr_slice(&fd, sizeof(fd));
    const char *known = osr_map_get(bus->listen.peers, key);

    if (fd >= 0 && (known == NULL || strcmp(known, address) != 0)) {
        free(osr_map_put(bus->listen.peers, key, osr_strdup(address)));
    }
}

static void connection_ended(struct osr_zmq_bus *bus, int fd)
{
    struct osr_zmq_listen *listen = &bus->listen;

    osr_zmq_bus_receive_all(bus);
    char *address = osr_map_remove(listen->peers, osr_slice(&fd, sizeof(fd)));
    if (listen->connection_count > 0) {
        listen->connection_count--;
    }
    if (listen->connection_count < OSR_ZMQ_CONNECTIONS_MAX / 2) {
        listen->is_crowded = false;
    }
    if (address != NULL) {
        osr_zmq_bus_gone(bus, address);
        free(address);
    }
}

void osr_zmq_listen_event(struct osr_zmq_bus *bus, const struct osr_zmq_event *event)
{
    if (event->what == ZMQ_EVENT_ACCEPTED) {
        count_connection(bus, event->value);
    } else if (event->what == ZMQ_EVENT_DISCONNECTED) {
        connection_ended(bus, event->value);
    }
}

void osr_zmq_listen_done(struct osr_zmq_bus *bus)
{
    size_t cursor = 0;
    struct osr_slice key;
    void *address;

    while (bus->listen.peers != NULL && osr_map_next(bus->listen.peers, &cursor, &key, &address)) {
        free(address);
    }
    osr_map_destroy(bus->listen.peers);
}
