/* A socket of ZeroMQ's that listens: where, how many may connect, who of them has gone, and who
 * sends a message without an end.
 *
 * libzmq knows no limit to the number of its connections: they are counted here, by its monitor,
 * and those that are too many turned away. (Unbinding would end all of them.) */
#include <errno.h>
#include <stdlib.h>
#include <zmq.h>

#include "adapter/address.h"
#include "adapter/keys.h"
#include "adapter/received_bytes.h"
#include "adapter/zmq_bus.h"

enum {
    /* Of a message that is not whole yet, with what the kernel holds: of one connection, and of all
     * together. libzmq keeps a message's frames until the last one has come, and its own limits
     * count whole messages and single frames: this stops one without an end from taking the
     * memory. */
    UNFINISHED_BYTES_MAX = 32 << 20,
    UNFINISHED_BYTES_OF_ALL_MAX = 128 << 20,
};

struct connection {
    char *address;       /* whose messages come by it; NULL: none has come */
    bool has_told;       /* one has, since the last check */
    uint64_t received;   /* bytes, at the last check before which one had */
    uint64_t unfinished; /* bytes since then */
};

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
    listen->connections = osr_map_create(seed);
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

static struct connection *connection_of(struct osr_zmq_bus *bus, int fd)
{
    struct osr_slice key = osr_slice(&fd, sizeof(fd));
    struct connection *connection = osr_map_get(bus->listen.connections, key);

    if (connection == NULL) {
        connection = osr_alloc(sizeof(*connection));
        osr_map_put(bus->listen.connections, key, connection);
    }
    return connection;
}

static void free_connection(struct connection *connection)
{
    if (connection != NULL) {
        free(connection->address);
        free(connection);
    }
}

void osr_zmq_listen_peer(struct osr_zmq_bus *bus, int fd, const char *address)
{
    if (fd < 0) {
        return;
    }
    struct connection *connection = connection_of(bus, fd);
    connection->has_told = true;
    if (connection->address == NULL || strcmp(connection->address, address) != 0) {
        free(connection->address);
        connection->address = osr_strdup(address);
    }
}

static void connection_ended(struct osr_zmq_bus *bus, int fd)
{
    struct osr_zmq_listen *listen = &bus->listen;

    osr_zmq_bus_receive_all(bus);
    struct connection *connection = osr_map_remove(listen->connections, osr_slice(&fd, sizeof(fd)));
    if (listen->connection_count > 0) {
        listen->connection_count--;
    }
    if (listen->connection_count < OSR_ZMQ_CONNECTIONS_MAX / 2) {
        listen->is_crowded = false;
    }
    if (connection != NULL && connection->address != NULL) {
        osr_zmq_bus_gone(bus, connection->address);
    }
    free_connection(connection);
}

/* -- how much -- */

static void measure(struct connection *connection, int fd)
{
    uint64_t received = osr_received_bytes(fd);

    if (connection->has_told || received < connection->received) {
        connection->has_told = false;
        connection->received = received;
    }
    connection->unfinished = received - connection->received;
}

/* The one with the most, or NULL; *ret_of_all: what all have. */
static struct connection *find_largest(const struct osr_zmq_bus *bus, uint64_t *ret_of_all,
                                       int *ret_fd)
{
    struct connection *largest = NULL;
    size_t cursor = 0;
    struct osr_slice key;
    void *value;

    *ret_of_all = 0;
    while (osr_map_next(bus->listen.connections, &cursor, &key, &value)) {
        struct connection *connection = value;
        *ret_of_all += connection->unfinished;
        if (largest == NULL || connection->unfinished > largest->unfinished) {
            largest = connection;
            memcpy(ret_fd, key.data, sizeof(*ret_fd));
        }
    }
    return largest;
}

static void measure_all(struct osr_zmq_bus *bus)
{
    size_t cursor = 0;
    struct osr_slice key;
    void *connection;
    int fd;

    while (osr_map_next(bus->listen.connections, &cursor, &key, &connection)) {
        memcpy(&fd, key.data, sizeof(fd));
        measure(connection, fd);
    }
}

void osr_zmq_listen_check(struct osr_zmq_bus *bus)
{
    struct connection *largest;
    uint64_t of_all;
    int fd;

    if (!bus->is_reading) {
        return; /* whole ones wait, too */
    }
    osr_zmq_bus_receive_all(bus);
    measure_all(bus);
    while ((largest = find_largest(bus, &of_all, &fd)) != NULL &&
           (largest->unfinished > UNFINISHED_BYTES_MAX || of_all > UNFINISHED_BYTES_OF_ALL_MAX)) {
        osr_trace(&bus->trace, OSR_LEVEL_WARNING,
                  "%s: closed a connection: %llu bytes have come of a message without an end",
                  bus->base.url, (unsigned long long)largest->unfinished);
        turn_away(bus, fd);
        largest->unfinished = 0;
    }
}

void osr_zmq_listen_event(struct osr_zmq_bus *bus, const struct osr_zmq_event *event)
{
    if (event->what == ZMQ_EVENT_ACCEPTED) {
        (void)connection_of(bus, event->value);
        count_connection(bus, event->value);
    } else if (event->what == ZMQ_EVENT_DISCONNECTED) {
        connection_ended(bus, event->value);
    }
}

void osr_zmq_listen_done(struct osr_zmq_bus *bus)
{
    size_t cursor = 0;
    struct osr_slice key;
    void *connection;

    while (bus->listen.connections != NULL &&
           osr_map_next(bus->listen.connections, &cursor, &key, &connection)) {
        free_connection(connection);
    }
    osr_map_destroy(bus->listen.connections);
}
