/* zmq_bus.h -- what the parts of the ZeroMQ bus share: zmq_bus.c (its life), zmq_socket.c
 * (libzmq's socket), zmq_messages.c (what is in the messages), zmq_dial.c (a dialler's way up and
 * down), zmq_listen.c (binding, and how many may connect).
 *
 * One context of libzmq's a bus: what answers for its keys (ZAP) belongs to a context, and with it
 * gone, the port is free and nothing of it is left; it costs two threads, which sleep. */
#ifndef OSR_ADAPTER_ZMQ_BUS_H
#define OSR_ADAPTER_ZMQ_BUS_H

#include <netdb.h>

#include "adapter/bus.h"
#include "adapter/gate.h"
#include "adapter/name_lookup.h"
#include "adapter/zmq_outbox.h"
#include "adapter/zmq_unread.h"
#include "adapter/zmq_watch.h"
#include "adapter/zmq_zap.h"
#include "base/map.h"

enum {
    OSR_ZMQ_TICK_MS = 250,
    OSR_ZMQ_HANDSHAKE_MS = 5000, /* libzmq's: stops those who connect and say nothing */
    /* Messages of one peer inside libzmq, in each direction. */
    OSR_ZMQ_LINK_MESSAGES_MAX = 64,
    OSR_ZMQ_CLIENT_MESSAGES_MAX = 16, /* may be large, and may have to wait there */
    OSR_ZMQ_EVENTS_MAX = 1000,
};

struct osr_zmq_bus {
    struct osr_bus base; /* first */
    uv_loop_t *loop;
    enum osr_bus_role role;
    struct osr_trace trace;
    void *library; /* libzmq's context */
    void *socket;
    void *monitor;           /* zmq_watch.h; NULL: not yet open */
    struct osr_zmq_zap *zap; /* NULL without CURVE */
    struct osr_zmq_outbox *outbox;
    struct osr_buffer gone; /* peers of whom nobody has been told yet: a head (zmq_frames.h) */
    uint64_t sent;          /* messages since the last on_up */
    uint64_t confirmed;
    bool is_reading;
    bool is_full; /* has been, and on_drain has not been called since */
    bool is_closing;
    uint64_t end_ms; /* of a dial that is under way, or of a close */

    struct osr_zmq_watch watches[3]; /* of socket, monitor and zap, as far as they are there */
    size_t watch_count;
    uv_idle_t again; /* while there may be more to do at once */
    uv_timer_t tick;
    uv_thread_t ending; /* waits for libzmq's threads to end */
    bool has_thread;
    uv_async_t ended;
    size_t handles_open;

    struct osr_zmq_dial {
        struct osr_name_lookup *lookup; /* under way, or NULL */
        struct addrinfo *addresses;
        const struct addrinfo *next;
        bool is_under_way;
        bool is_foreign;              /* something answers, and it is not what we look for */
        int fd;                       /* of the last connection */
        struct osr_zmq_unread unread; /* of it */
        bool is_known;                /* who is there has shown who it is */
    } dial;

    struct osr_zmq_listen {
        uint16_t port;
        struct osr_map *connections; /* by descriptor */
        struct osr_gate *gate;       /* where those stand who have not shown who they are */
        size_t known_count;          /* of the others */
        bool is_crowded;             /* was, and has been said */
        uint64_t lossy_until_ms;     /* EVENTS: a slow subscriber is not waited for */
    } listen;
};

/* Looks at everything in the loop's next turn. */
void osr_zmq_bus_soon(struct osr_zmq_bus *bus);
void osr_zmq_bus_up(struct osr_zmq_bus *bus);
void osr_zmq_bus_down(struct osr_zmq_bus *bus, const struct osr_err *err);
void osr_zmq_bus_gone(struct osr_zmq_bus *bus, const char *address);
static inline bool osr_zmq_bus_is_router(const struct osr_zmq_bus *bus)
{
    return bus->role == OSR_BUS_LISTENER || bus->role == OSR_BUS_CLIENTS;
}

/* zmq_socket.c */

/* Context, socket, monitor and ZAP; neither bound nor connected yet. What a failure leaves half
 * open the bus closes. */
int osr_zmq_socket_open(struct osr_zmq_bus *bus, const struct osr_bus_options *options,
                        struct osr_err *err);

/* zmq_messages.c */

uint64_t osr_zmq_bus_send(struct osr_bus *base, const struct osr_bus_message *message);
/* Hands over what has been received, at most so many. False: there was nothing. */
bool osr_zmq_bus_receive(struct osr_zmq_bus *bus, size_t most);
/* All of it: before anybody is told that a peer is gone. */
void osr_zmq_bus_receive_all(struct osr_zmq_bus *bus);
/* Takes a head's first frame off, a routing id, as the address of a peer. False: there is none, or
 * it is too long for one. */
bool osr_zmq_read_peer(struct osr_slice *head, char address[OSR_BUS_ADDRESS_BYTES_MAX + 1]);

/* zmq_dial.c */

int osr_zmq_dial_start(struct osr_zmq_bus *bus, const struct osr_url *url, struct osr_err *err);
void osr_zmq_dial_event(struct osr_zmq_bus *bus, const struct osr_zmq_event *event);
void osr_zmq_dial_tick(struct osr_zmq_bus *bus, uint64_t now_ms);
void osr_zmq_dial_done(struct osr_zmq_bus *bus);

/* zmq_listen.c */

int osr_zmq_listen_start(struct osr_zmq_bus *bus, const struct osr_url *url, struct osr_err *err);
void osr_zmq_listen_event(struct osr_zmq_bus *bus, const struct osr_zmq_event *event);
/* A message was taken that came by this descriptor from there ("": from nowhere that makes sense),
 * and is counted for so much: its end will be noticed. */
void osr_zmq_listen_taken(struct osr_zmq_bus *bus, int fd, const char *address, uint64_t bytes);
void osr_zmq_listen_vouch(struct osr_zmq_bus *bus, const char *address);
/* Ends those by which too much has come that cannot be taken. Now and then, while there are
 * connections. */
void osr_zmq_listen_check(struct osr_zmq_bus *bus);
void osr_zmq_listen_done(struct osr_zmq_bus *bus);

#endif
