/* A socket of ZeroMQ's that listens: where, how many may connect, who of them has gone, and who
 * sends more than can be kept.
 *
 * libzmq knows no limit to the number of its connections: they are counted here, by its monitor,
 * and those that are too many turned away. (Unbinding would end all of them.) Those who have not
 * shown who they are crowd out each other, as at the gate of handshakes (gate.h): a link's peer has
 * when its session's handshake is done (osr_bus_vouch); with CURVE, libzmq itself ends those with
 * an unknown key. */
#include <errno.h>
#include <stdlib.h>
#include <zmq.h>

#include "adapter/address.h"
#include "adapter/keys.h"
#include "adapter/zmq_bus.h"

enum {
    /* Of those who have shown who they are; besides OSR_GATE_UNDER_WAY_MAX others. Stops
     * connections from taking all descriptors. */
    KNOWN_MAX = 512,
    /* With CURVE: who is still there has. */
    HANDSHAKE_OVER_MS = OSR_ZMQ_HANDSHAKE_MS + 4 * OSR_ZMQ_TICK_MS,
    /* As OSR_ZMQ_UNFINISHED_BYTES_MAX and OSR_ZMQ_UNPROVEN_BYTES_MAX: of all such connections
     * together. */
    UNFINISHED_BYTES_OF_ALL_MAX = 128 << 20,
    UNPROVEN_BYTES_OF_ALL_MAX = 4 * OSR_ZMQ_UNPROVEN_BYTES_MAX,
    /* While nothing is read whole messages wait, too: as many as libzmq takes, which a client that
     * keeps to the rules may have sent; then its connection stands still. Of one, and of all. */
    WAITING_BYTES_MAX =
        OSR_ZMQ_UNFINISHED_BYTES_MAX + OSR_ZMQ_CLIENT_MESSAGES_MAX * OSR_BUS_MESSAGE_BYTES_MAX,
    WAITING_BYTES_OF_ALL_MAX = 2 * WAITING_BYTES_MAX,
};

struct connection {
    struct osr_visitor visitor; /* first: whom the gate lets go is one of these */
    int fd;
    enum {
        UNSEEN, /* the monitor has not told of it, or tells no more */
        UNKNOWN,
        KNOWN, /* has shown who it is */
        TURNED_AWAY,
    } standing;
    uint64_t accepted_ms;
    char *address; /* whose messages come by it; NULL: none has come */
    struct osr_zmq_unread unread;
    uint64_t unread_bytes; /* at the last check */
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
    listen->gate = osr_gate_create(seed);
    bus->base.url = osr_format("zmq%s", strchr(bound, ':'));
    return 0;
}

/* -- how many -- */

/* By now libzmq may have closed a descriptor of its own, and another socket have it. */
static bool is_internet(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET || address->ss_family == AF_INET6;
}

/* libzmq has no function that ends a connection; one whose socket is shut down ends by itself.
 * Where another has the descriptor by now, and is at our port as well, it is one that comes again;
 * where it is not, it is left alone. */
static void turn_away(struct osr_zmq_bus *bus, struct connection *connection)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);

    if (getsockname(connection->fd, (struct sockaddr *)&address, &size) == 0 &&
        is_internet(&address) &&
        osr_address_port((const struct sockaddr *)&address) == bus->listen.port) {
        shutdown(connection->fd, SHUT_RDWR);
    }
    osr_gate_leave(bus->listen.gate, &connection->visitor);
    bus->listen.known_count -= connection->standing == KNOWN;
    connection->standing = TURNED_AWAY;
}

static void report_crowd(struct osr_zmq_bus *bus, const char *what)
{
    if (!bus->listen.is_crowded) {
        bus->listen.is_crowded = true;
        osr_trace(&bus->trace, OSR_LEVEL_WARNING, "%s: %s", bus->base.url, what);
    }
}

/* As the gate wants it, which has those who hold most places give way first; 0 where the connection
 * has ended by now. */
static uint64_t network_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);

    return getpeername(fd, (struct sockaddr *)&address, &size) == 0 && is_internet(&address)
               ? osr_address_network((const struct sockaddr *)&address)
               : 0;
}

static void count_unknown(struct osr_zmq_bus *bus, struct connection *connection)
{
    connection->standing = UNKNOWN;
    connection->accepted_ms = uv_now(bus->loop);
    struct osr_visitor *leaves =
        osr_gate_begin(bus->listen.gate, &connection->visitor, network_of(connection->fd));
    if (leaves != NULL) {
        turn_away(bus, (struct connection *)leaves);
        report_crowd(bus, "too many are connected who have not shown who they are: each that "
                          "comes ends an older one");
    }
}

static void count_known(struct osr_zmq_bus *bus, struct connection *connection)
{
    if (connection->standing != UNKNOWN) {
        return;
    }
    connection->standing = KNOWN;
    osr_gate_pass(bus->listen.gate, &connection->visitor, false);
    bus->listen.known_count++;
    if (bus->listen.known_count > KNOWN_MAX) {
        turn_away(bus, connection);
        report_crowd(bus, "too many are connected: no more are taken until one ends");
    }
}

/* -- who -- */

static struct connection *connection_of(struct osr_zmq_bus *bus, int fd)
{
    struct osr_slice key = osr_slice(&fd, sizeof(fd));
    struct connection *connection = osr_map_get(bus->listen.connections, key);

    if (connection == NULL) {
        connection = osr_alloc(sizeof(*connection));
        connection->fd = fd;
        osr_map_put(bus->listen.connections, key, connection);
    }
    return connection;
}

static void free_connection(struct osr_zmq_bus *bus, struct connection *connection)
{
    osr_gate_leave(bus->listen.gate, &connection->visitor);
    bus->listen.known_count -= connection->standing == KNOWN;
    free(connection->address);
    free(connection);
}

void osr_zmq_listen_taken(struct osr_zmq_bus *bus, int fd, const char *address, uint64_t bytes)
{
    if (fd < 0) {
        return;
    }
    struct connection *connection = connection_of(bus, fd);
    osr_zmq_unread_take(&connection->unread, bytes);
    if (bus->zap != NULL) {
        count_known(bus, connection);
    }
    if (address[0] != '\0' &&
        (connection->address == NULL || strcmp(connection->address, address) != 0)) {
        free(connection->address);
        connection->address = osr_strdup(address);
    }
}

void osr_zmq_listen_vouch(struct osr_zmq_bus *bus, const char *address)
{
    size_t cursor = 0;
    struct osr_slice key;
    void *value;

    while (osr_map_next(bus->listen.connections, &cursor, &key, &value)) {
        struct connection *connection = value;
        if (connection->address != NULL && strcmp(connection->address, address) == 0) {
            count_known(bus, connection);
        }
    }
}

static void connection_begins(struct osr_zmq_bus *bus, int fd)
{
    struct connection *connection = connection_of(bus, fd);

    if (connection->standing == UNSEEN) {
        count_unknown(bus, connection);
    }
}

static void connection_ended(struct osr_zmq_bus *bus, int fd)
{
    struct osr_zmq_listen *listen = &bus->listen;

    osr_zmq_bus_receive_all(bus);
    struct connection *connection = osr_map_remove(listen->connections, osr_slice(&fd, sizeof(fd)));
    if (osr_map_count(listen->connections) < OSR_GATE_UNDER_WAY_MAX / 2) {
        listen->is_crowded = false;
    }
    if (connection == NULL) {
        return;
    }
    if (connection->address != NULL) {
        osr_zmq_bus_gone(bus, connection->address);
    }
    free_connection(bus, connection);
}

void osr_zmq_listen_event(struct osr_zmq_bus *bus, const struct osr_zmq_event *event)
{
    if (event->what == ZMQ_EVENT_ACCEPTED) {
        connection_begins(bus, event->value);
    } else if (event->what == ZMQ_EVENT_DISCONNECTED) {
        connection_ended(bus, event->value);
    }
}

/* -- how much -- */

/* With CURVE it has, or has sent nothing but its handshake. */
static bool is_proven(const struct osr_zmq_bus *bus, const struct connection *connection)
{
    return bus->zap != NULL || connection->standing == KNOWN;
}

/* Measures all that have shown who they are, or all others; gives the one with the most, or NULL.
 * *ret_of_all: what all of these have. */
static struct connection *find_largest(const struct osr_zmq_bus *bus, bool proven,
                                       uint64_t *ret_of_all)
{
    struct connection *largest = NULL;
    size_t cursor = 0;
    struct osr_slice key;
    void *value;

    *ret_of_all = 0;
    while (osr_map_next(bus->listen.connections, &cursor, &key, &value)) {
        struct connection *connection = value;
        bool is_there = connection->standing == UNKNOWN || connection->standing == KNOWN;
        if (!is_there || is_proven(bus, connection) != proven) {
            continue;
        }
        connection->unread_bytes = osr_zmq_unread_measure(&connection->unread, connection->fd);
        *ret_of_all += connection->unread_bytes;
        if (largest == NULL || connection->unread_bytes > largest->unread_bytes) {
            largest = connection;
        }
    }
    return largest;
}

static void end_largest(struct osr_zmq_bus *bus, bool proven, uint64_t bytes_max,
                        uint64_t of_all_max)
{
    struct connection *largest;
    uint64_t of_all;

    while ((largest = find_largest(bus, proven, &of_all)) != NULL &&
           (largest->unread_bytes > bytes_max || of_all > of_all_max)) {
        osr_trace(
            &bus->trace, OSR_LEVEL_WARNING,
            "%s: closed a connection: %llu bytes have come of a message without an end, or of "
            "requests for which there is no room",
            bus->base.url, (unsigned long long)largest->unread_bytes);
        turn_away(bus, largest);
    }
}

static void check_unread(struct osr_zmq_bus *bus)
{
    osr_zmq_bus_receive_all(bus);
    end_largest(bus, false, OSR_ZMQ_UNPROVEN_BYTES_MAX, UNPROVEN_BYTES_OF_ALL_MAX);
    if (bus->is_reading) {
        end_largest(bus, true, OSR_ZMQ_UNFINISHED_BYTES_MAX, UNFINISHED_BYTES_OF_ALL_MAX);
    } else {
        end_largest(bus, true, WAITING_BYTES_MAX, WAITING_BYTES_OF_ALL_MAX);
    }
}

static void check_handshakes(struct osr_zmq_bus *bus)
{
    uint64_t now_ms = uv_now(bus->loop);
    size_t cursor = 0;
    struct osr_slice key;
    void *value;

    while (osr_map_next(bus->listen.connections, &cursor, &key, &value)) {
        struct connection *connection = value;
        if (now_ms - connection->accepted_ms >= HANDSHAKE_OVER_MS) {
            count_known(bus, connection);
        }
    }
}

void osr_zmq_listen_check(struct osr_zmq_bus *bus)
{
    if (bus->zap != NULL) {
        check_handshakes(bus);
    }
    if (osr_zmq_bus_is_router(bus)) { /* a publisher takes subscriptions alone, by itself */
        check_unread(bus);
    }
}

/* -- the end -- */

void osr_zmq_listen_done(struct osr_zmq_bus *bus)
{
    size_t cursor = 0;
    struct osr_slice key;
    void *connection;

    while (bus->listen.connections != NULL &&
           osr_map_next(bus->listen.connections, &cursor, &key, &connection)) {
        free_connection(bus, connection);
    }
    osr_map_destroy(bus->listen.connections);
    osr_gate_destroy(bus->listen.gate);
}
