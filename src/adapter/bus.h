/* bus.h -- messages through a broker or a socket library, as a port.
 *
 * A bus is one connection of ours to a broker (MQTT, AMQP), or a socket of its own (ZeroMQ), in one
 * of four roles. What it carries are messages of bytes between addresses; links between instances
 * (message_connection.h), requests of ordinary clients (message_calls.h) and events stand on it.
 *
 * Happy path: osr_bus_open -> on_up (logged in, topology declared) -> osr_bus_send, on_message.
 *
 * Failures: a listener, a taker of requests and a publisher of events come back by themselves:
 * on_down says why it went (once for each time, and again where the reason is another one), it is
 * tried again with a pause that doubles from OSR_BUS_RETRY_MS_MIN to _MAX with full jitter,
 * declares everything anew, and on_up comes again; a broker that is down at the start is no error.
 * A dialler does not come back: after on_down it is to be closed. What was sent and not confirmed
 * when it went down may be lost or not, and is not sent again by the bus.
 *
 * What a broker promises is not believed: messages may be lost, doubled, reordered, or another
 * time's. Addresses, bodies and properties are whoever's who may send there.
 *
 * No callback comes from within a function of this header; on_close is the last one. Threads: the
 * loop's. */
#ifndef OSR_ADAPTER_BUS_H
#define OSR_ADAPTER_BUS_H

#include <uv.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/trace.h"
#include "base/url.h"

enum {
    /* Larger ones are dropped as they come, with a line in the log: stops a message from taking the
     * memory. A whole frame fits (OSR_FRAME_BYTES_MAX). */
    OSR_BUS_MESSAGE_BYTES_MAX = 9 << 20,
    OSR_BUS_ADDRESS_BYTES_MAX = 255, /* AMQP's short strings */
    OSR_BUS_CORRELATION_BYTES_MAX = 255,
    /* Queued to the carrier: past the first, osr_bus_is_full; past the second the bus goes down
     * rather than grow: stops a stalled broker from taking the memory. */
    OSR_BUS_QUEUE_BYTES = 4 << 20,
    OSR_BUS_QUEUE_BYTES_MAX = 32 << 20,
    /* Received and not yet acknowledged (osr_bus_acknowledge). */
    OSR_BUS_UNACKNOWLEDGED_MAX = 256,
    OSR_BUS_CONNECT_MS = 10 * 1000,
    OSR_BUS_RETRY_MS_MIN = 100,
    OSR_BUS_RETRY_MS_MAX = 10 * 1000,
    OSR_BUS_CLOSE_MS = 2000, /* for what is queued to go out */
};

/* Where messages go from and to, by the URL's address A (for ZeroMQ: its endpoint) and a peer's own
 * address P, which the carrier, or the dialler at random, makes.
 *            takes from                            sends to
 * LISTENER   mqtt A/in/+   amqp queue A.in         mqtt A/out/P   amqp queue P    zmq ROUTER, P
 * DIALLER    mqtt A/out/P  amqp queue P            mqtt A/in/P    amqp queue A.in zmq DEALER
 * CLIENTS    mqtt A        amqp queue A            where the message says (reply_to)
 * EVENTS     nothing                               mqtt A/T       amqp topic exchange A, key T
 *                                                  zmq PUB, first frame T
 * AMQP: A.in and P are exclusive, and gone with the connection; A of CLIENTS is a durable quorum
 * queue. MQTT: CLIENTS has a session that the broker keeps (client id from `name`). */
enum osr_bus_role { OSR_BUS_LISTENER, OSR_BUS_DIALLER, OSR_BUS_CLIENTS, OSR_BUS_EVENTS };

struct osr_bus_message {
    /* Received by a LISTENER: whose it is. Sent by one: to whom. To CLIENTS: the message's
     * reply_to. Of EVENTS: T, parts separated by '/' (AMQP: made '.'). A DIALLER's is ignored. */
    const char *address;
    struct osr_slice body;
    /* Properties of requests and their replies, NULL or empty where there are none. */
    const char *content_type;
    const char *reply_to;
    struct osr_slice correlation;
    /* Of a received one: who the carrier says has sent it and has made sure of (a CURVE key's name;
     * the validated user-id of AMQP); NULL: it does not say. */
    const char *sender;
    uint64_t delivery; /* of a received request: for osr_bus_acknowledge. 0: wants none */
};

struct osr_bus;

struct osr_bus_handler {
    void (*on_up)(void *context, struct osr_bus *bus);
    void (*on_down)(void *context, struct osr_bus *bus, const struct osr_err *err);
    /* It and what it points to live until the return. */
    void (*on_message)(void *context, struct osr_bus *bus, const struct osr_bus_message *message);
    /* The carrier has taken over all messages up to this number, counted by osr_bus_send since the
     * last on_up: a broker's confirm, or for ZeroMQ the library's queue. May be NULL. */
    void (*on_confirmed)(void *context, struct osr_bus *bus, uint64_t number);
    /* That peer is probably gone: a hint, which anybody may have forged unless osr_bus_sees_peers.
     * "" to a dialler: the listener is. Where the carrier says that nobody takes what is sent to
     * it, likewise. May be NULL. */
    void (*on_gone)(void *context, struct osr_bus *bus, const char *address);
    /* osr_bus_is_full no longer. May be NULL. */
    void (*on_drain)(void *context, struct osr_bus *bus);
    void (*on_close)(void *context, struct osr_bus *bus);
};

struct osr_bus_options {
    uv_loop_t *loop;
    const struct osr_url *url; /* of a scheme that osr_url_is_bus; copied */
    enum osr_bus_role role;
    /* Of this instance, never another's and always the same: what the broker keeps for it is under
     * this name. NULL for LISTENER and DIALLER, for whom it keeps nothing. */
    const char *name;
    /* ZeroMQ's CURVE, for CLIENTS and EVENTS: our secret key, and whom we know. NULL elsewhere. */
    const struct osr_bus_keys *keys;
    const struct osr_trace *trace; /* NULL: silent */
};

enum { OSR_BUS_KEY_BYTES = 32, OSR_BUS_CLIENTS_MAX = 256 };

struct osr_bus_keys {
    uint8_t secret[OSR_BUS_KEY_BYTES]; /* X25519, as CURVE has it */
    const struct osr_bus_client_key {
        char name[65];
        uint8_t key[OSR_BUS_KEY_BYTES];
    } * clients;
    size_t client_count;
};

/* Fails only on what is wrong here: CONFIG (a password_file or ca_file that cannot be read, or may
 * be read by others), IN_USE and the like of ZeroMQ's own socket. Everything else comes by on_down.
 * A DIALLER must not be opened before its handler is ready: nothing is called before the return. */
int osr_bus_open(const struct osr_bus_options *options, const struct osr_bus_handler *handler,
                 void *context, struct osr_bus **ret_bus, struct osr_err *err);
/* What is queued gets OSR_BUS_CLOSE_MS to go out; then on_close. */
void osr_bus_close(struct osr_bus *bus);
/* Only while it is up: what is sent otherwise is dropped. Copied. The number for on_confirmed. */
uint64_t osr_bus_send(struct osr_bus *bus, const struct osr_bus_message *message);
bool osr_bus_is_up(const struct osr_bus *bus);
bool osr_bus_is_full(const struct osr_bus *bus);
/* Stops and resumes taking messages: back-pressure. What was taken from the carrier already may
 * still come, at most OSR_BUS_UNACKNOWLEDGED_MAX. */
void osr_bus_read(struct osr_bus *bus, bool on);
/* A request has been done, and is durable: the broker may forget it. One that came before the last
 * on_up is a no-op: the broker gives it again. In any order. */
void osr_bus_acknowledge(struct osr_bus *bus, uint64_t delivery);
/* The peer with this address (a DIALLER has one alone: ignored) has shown who it is, behind the
 * bus: a carrier that has places for so many at a time keeps it where it turns away others, and has
 * more patience with what comes from it. */
void osr_bus_vouch(struct osr_bus *bus, const char *address);
/* Nobody is in between: who is said to be gone (on_gone) is gone. */
bool osr_bus_sees_peers(const struct osr_bus *bus);
/* For people: scheme, broker and address; ZeroMQ's with the port that it was really bound to. */
const char *osr_bus_url(const struct osr_bus *bus);

/* ---- for the carriers behind this port ---- */

struct osr_bus_kind {
    int (*open)(const struct osr_bus_options *options, struct osr_bus **ret_bus,
                struct osr_err *err);
    void (*close)(struct osr_bus *bus);
    uint64_t (*send)(struct osr_bus *bus, const struct osr_bus_message *message);
    bool (*is_full)(const struct osr_bus *bus);
    void (*read)(struct osr_bus *bus, bool on);
    void (*acknowledge)(struct osr_bus *bus, uint64_t delivery);
    void (*vouch)(struct osr_bus *bus, const char *address); /* NULL: has no such places */
};

struct osr_bus {
    const struct osr_bus_kind *kind;
    const struct osr_bus_handler *handler;
    void *context;
    char *url; /* the kind frees it */
    bool is_up;
    bool sees_peers;
};

extern const struct osr_bus_kind osr_mqtt_bus_kind; /* mqtt_bus.c */
extern const struct osr_bus_kind osr_amqp_bus_kind; /* amqp_bus.c */
extern const struct osr_bus_kind osr_zmq_bus_kind;  /* zmq_bus.c */
/* Instead of these, for tests: NULL is none. */
extern const struct osr_bus_kind *osr_bus_kind_in_tests;

#endif
