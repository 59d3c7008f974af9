/* Which datagram is whose: by the id that its receiver has chosen, and before there is one by
 * where it comes from. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "adapter/keys.h"
#include "adapter/udp_internal.h"

struct osr_udp_port {
    struct osr_udp_socket *socket;
    size_t holders;
    struct osr_map *connections;       /* by own_id */
    struct osr_map *strangers;         /* accepted ones, by `stranger` */
    struct osr_udp_listener *listener; /* NULL: closed, or the port is a dialled one's */
    struct osr_udp *touched;           /* have received something in this turn */
};

static const uint8_t nobody[OSR_UDP_ID_BYTES];

/* ---- datagrams ---- */

static void touch(struct osr_udp_port *port, struct osr_udp *connection)
{
    if (!connection->is_touched) {
        connection->is_touched = true;
        connection->next_touched = port->touched;
        port->touched = connection;
    }
}

/* A listener, by one whom it has not told its id yet. */
static bool is_for_nobody(const struct osr_udp_datagram *datagram)
{
    return datagram->form == OSR_UDP_FIRST &&
           memcmp(datagram->receiver, nobody, sizeof(nobody)) == 0;
}

/* Whom it comes from, as a cookie and the map of strangers know one. */
static struct osr_slice write_stranger(uint8_t *key, const struct osr_udp_address *from,
                                       const struct osr_udp_datagram *datagram)
{
    memcpy(key, &from->any, from->size);
    if (datagram->sender == NULL) {
        return osr_slice(key, from->size);
    }
    memcpy(key + from->size, datagram->sender, OSR_UDP_ID_BYTES);
    return osr_slice(key, from->size + OSR_UDP_ID_BYTES);
}

static struct osr_udp *find(const struct osr_udp_port *port,
                            const struct osr_udp_datagram *datagram, struct osr_slice stranger)
{
    if (is_for_nobody(datagram)) {
        return osr_map_get(port->strangers, stranger);
    }
    return osr_map_get(port->connections, osr_slice(datagram->receiver, OSR_UDP_ID_BYTES));
}

/* Shorter than any it answers, and never an answer to an answer. */
static void say_unknown(struct osr_udp_port *port, const struct osr_udp_address *to,
                        const struct osr_udp_datagram *datagram)
{
    uint8_t *room = osr_udp_socket_room(port->socket);
    osr_udp_socket_put(port->socket, to,
                       osr_udp_header(room, OSR_UDP_UNKNOWN, datagram->receiver, NULL));
}

/* Who sends and receives through the socket of a dialled one is one connection. */
static struct osr_udp *dialled_one(const struct osr_udp_port *port)
{
    size_t cursor = 0;
    struct osr_slice id;
    void *connection;
    bool is_dialled = port->listener == NULL &&
                      osr_map_next(port->connections, &cursor, &id, &connection) &&
                      ((struct osr_udp *)connection)->is_dialled;
    return is_dialled ? connection : NULL;
}

static void hear_unknown(const struct osr_udp_port *port, const struct osr_udp_datagram *datagram)
{
    struct osr_udp *connection = dialled_one(port);
    if (connection != NULL &&
        memcmp(datagram->receiver, connection->peer_id, OSR_UDP_ID_BYTES) == 0) {
        osr_udp_doubt(connection);
    }
}

static void on_datagram(void *context, const struct osr_udp_address *from, struct osr_slice bytes)
{
    struct osr_udp_port *port = context;
    struct osr_udp_datagram datagram;
    if (!osr_udp_read_header(bytes, &datagram)) {
        return;
    }
    if (datagram.form == OSR_UDP_UNKNOWN) {
        hear_unknown(port, &datagram);
        return;
    }
    uint8_t key[OSR_UDP_STRANGER_BYTES_MAX];
    struct osr_slice stranger = write_stranger(key, from, &datagram);
    struct osr_udp *connection = find(port, &datagram, stranger);
    if (connection != NULL) {
        touch(port, connection);
        osr_udp_receive(connection, from, &datagram);
    } else if (port->listener != NULL && is_for_nobody(&datagram)) {
        osr_udp_listener_meet(port->listener, from, stranger, &datagram);
    } else if (port->listener != NULL) {
        say_unknown(port, from, &datagram);
    }
}

static void on_turn(void *context)
{
    struct osr_udp_port *port = context;
    port->holders++;
    osr_udp_socket_flush(port->socket); /* answers to strangers */
    while (port->touched != NULL) {
        struct osr_udp *connection = port->touched;
        port->touched = connection->next_touched;
        connection->is_touched = false;
        osr_udp_settle(connection);
    }
    osr_udp_port_release(port);
}

static void doubt_those_at(const struct osr_udp_port *port, const struct osr_udp_address *address)
{
    size_t cursor = 0;
    struct osr_slice id;
    void *found;
    while (osr_map_next(port->connections, &cursor, &id, &found)) {
        struct osr_udp *connection = found;
        if (osr_udp_address_equal(&connection->peer, address)) {
            osr_udp_doubt(connection);
        }
    }
}

static void on_error(void *context, const struct osr_udp_address *to, int errno_value)
{
    struct osr_udp *connection = dialled_one(context);
    if (connection != NULL) {
        osr_udp_dial_refused(connection, errno_value);
    } else if (errno_value == ECONNREFUSED) {
        doubt_those_at(context, to);
    }
}

static const struct osr_udp_socket_handler socket_handler = {
    .on_datagram = on_datagram, .on_turn = on_turn, .on_error = on_error};

/* ---- life ---- */

int osr_udp_port_open(uv_loop_t *loop, sa_family_t family, const struct osr_udp_address *address,
                      struct osr_udp_port **ret_port)
{
    struct osr_udp_port *port = osr_alloc(sizeof(*port));
    int errno_value =
        osr_udp_socket_open(loop, family, address, &socket_handler, port, &port->socket);
    if (errno_value != 0) {
        free(port);
        return errno_value;
    }
    uint64_t seed;
    osr_secret_random(&seed, sizeof(seed));
    port->connections = osr_map_create(seed);
    port->strangers = osr_map_create(seed);
    port->holders = 1;
    *ret_port = port;
    return 0;
}

void osr_udp_port_release(struct osr_udp_port *port)
{
    if (port == NULL || --port->holders > 0) {
        return;
    }
    assert(osr_map_count(port->connections) == 0 && port->touched == NULL);
    osr_udp_socket_release(port->socket);
    osr_map_destroy(port->connections);
    osr_map_destroy(port->strangers);
    free(port);
}

struct osr_udp_socket *osr_udp_port_socket(const struct osr_udp_port *port)
{
    return port->socket;
}

void osr_udp_port_listen(struct osr_udp_port *port, struct osr_udp_listener *listener)
{
    port->listener = listener;
}

/* ---- connections ---- */

void osr_udp_port_add(struct osr_udp_port *port, struct osr_udp *connection)
{
    struct osr_slice id = osr_slice(connection->own_id, sizeof(connection->own_id));
    do {
        osr_secret_random(connection->own_id, sizeof(connection->own_id));
    } while (osr_map_get(port->connections, id) != NULL ||
             memcmp(connection->own_id, nobody, sizeof(nobody)) == 0);
    osr_map_put(port->connections, id, connection);
    if (connection->stranger_size > 0) {
        osr_map_put(port->strangers, osr_slice(connection->stranger, connection->stranger_size),
                    connection);
    }
    port->holders++;
    connection->port = port;
}

static void untouch(struct osr_udp_port *port, struct osr_udp *connection)
{
    struct osr_udp **at = &port->touched;
    while (connection->is_touched && *at != connection) {
        at = &(*at)->next_touched;
    }
    if (connection->is_touched) {
        *at = connection->next_touched;
        connection->is_touched = false;
    }
}

void osr_udp_port_remove(struct osr_udp *connection)
{
    struct osr_udp_port *port = connection->port;
    if (port == NULL) {
        return;
    }
    untouch(port, connection);
    osr_map_remove(port->connections, osr_slice(connection->own_id, sizeof(connection->own_id)));
    if (connection->stranger_size > 0) {
        osr_map_remove(port->strangers, osr_slice(connection->stranger, connection->stranger_size));
    }
    connection->port = NULL;
    osr_udp_port_release(port);
}
