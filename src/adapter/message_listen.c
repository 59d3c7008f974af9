/* Listening over a bus, which all that come share. */
#include <assert.h>
#include <stdlib.h>

#include "adapter/keys.h"
#include "adapter/message_connection_internal.h"
#include "adapter/tls_connection.h"
#include "base/map.h"
#include "base/text.h"

struct osr_message_listener {
    struct osr_listener base; /* first */
    uv_loop_t *loop;
    struct osr_bus *bus;              /* stays until the last connection is gone */
    struct osr_map *connections;      /* by their ids */
    size_t connection_count;          /* those not yet freed; the map has less */
    struct osr_tls_context *security; /* NULL: plaintext */
    struct osr_gate *gate;            /* NULL: none */
    void (*on_accept)(void *context, struct osr_connection *connection);
    void *context;
    uint64_t hash_key[2];
    uint64_t resets_second; /* in which `resets` were sent */
    uint32_t resets;
    bool is_closed;
};

/* ---- connections ---- */

static struct osr_slice key_of(const uint8_t *id)
{
    return osr_slice(id, OSR_MESSAGE_ID_BYTES);
}

/* Stops made-up connections from making us send as much as they do. */
static void refuse(struct osr_message_listener *listener, const char *peer,
                   const struct osr_message_packet *packet, enum osr_code code)
{
    uint64_t second = uv_now(listener->loop) / 1000;
    if (second != listener->resets_second) {
        listener->resets_second = second;
        listener->resets = 0;
    }
    if (listener->resets++ < OSR_MESSAGE_RESETS_RATE && !osr_bus_is_full(listener->bus)) {
        osr_message_send_reset(listener->bus, peer, packet->id, code);
    }
}

/* For people: whoever may send there chooses the address. */
static char *url_of(const struct osr_message_listener *listener, const char *peer)
{
    size_t size = strcspn(listener->base.url, "?");
    char *url = osr_format("%.*s/%s", (int)size, listener->base.url, peer);
    osr_text_make_plain(url, strlen(url) + 2);
    return url;
}

static struct osr_message_connection *make(struct osr_message_listener *listener, const char *peer,
                                           const struct osr_message_packet *packet)
{
    struct osr_message_connection *connection =
        osr_message_connection_make(listener->loop, packet->id, packet, url_of(listener, peer));
    connection->bus = listener->bus;
    connection->listener = listener;
    connection->peer = osr_strdup(peer);
    osr_map_put(listener->connections, key_of(connection->id), connection);
    listener->connection_count++;
    return connection;
}

/* False: too many come. Nothing is made for it then, and no more said than to others. */
static bool may_shake_hands(struct osr_message_listener *listener, const char *peer,
                            struct osr_admission *ret_admission)
{
    struct osr_gate *gate = listener->gate;
    struct osr_admission admission = {
        .gate = gate,
        .address = osr_siphash(listener->hash_key, osr_slice_text(peer)),
    };
    admission.wait_ms = osr_gate_knock(gate, admission.address, uv_now(listener->loop));
    *ret_admission = admission;
    return admission.wait_ms != OSR_GATE_CLOSED;
}

static void accept_one(struct osr_message_listener *listener, const char *peer,
                       const struct osr_message_packet *packet)
{
    struct osr_admission admission;
    if (listener->is_closed) {
        refuse(listener, peer, packet, OSR_UNAVAILABLE);
        return;
    }
    if (osr_map_count(listener->connections) >= OSR_MESSAGE_CONNECTIONS_MAX ||
        (listener->security != NULL && !may_shake_hands(listener, peer, &admission))) {
        refuse(listener, peer, packet, OSR_BUSY);
        return;
    }
    struct osr_message_connection *connection = make(listener, peer, packet);
    struct osr_connection *accepted = &connection->base;
    if (listener->security != NULL) {
        accepted = osr_tls_connection_accept(&connection->base, listener->loop, listener->security,
                                             &admission);
    } else {
        osr_connection_vouch(&connection->base); /* nothing more will be shown */
    }
    listener->on_accept(listener->context, accepted);
    assert(accepted->handler != NULL || connection->is_gone);
}

void osr_message_listener_forget(struct osr_message_listener *listener,
                                 struct osr_message_connection *connection)
{
    osr_map_remove(listener->connections, key_of(connection->id));
}

static void close_bus_if_done(struct osr_message_listener *listener)
{
    if (listener->is_closed && listener->connection_count == 0) {
        osr_bus_close(listener->bus);
    }
}

void osr_message_listener_release(struct osr_message_listener *listener)
{
    listener->connection_count--;
    close_bus_if_done(listener);
}

/* ---- the bus ---- */

static void on_up(void *context, struct osr_bus *bus)
{
    struct osr_message_listener *listener = context;
    (void)bus;
    osr_listener_report(&listener->base, NULL);
}

static void on_down(void *context, struct osr_bus *bus, const struct osr_err *err)
{
    struct osr_message_listener *listener = context;
    struct osr_slice id;
    size_t cursor = 0;
    void *connection;
    (void)bus;
    while (osr_map_next(listener->connections, &cursor, &id, &connection)) {
        osr_message_connection_fail(connection, err); /* which removes it */
    }
    osr_listener_report(&listener->base, err);
}

/* Whoever waits for an answer from a connection that is not there begins anew at once. */
static bool wants_answer(const struct osr_message_packet *packet)
{
    return packet->type == OSR_MESSAGE_DATA || packet->type == OSR_MESSAGE_END ||
           packet->type == OSR_MESSAGE_PROBE;
}

static void on_message(void *context, struct osr_bus *bus, const struct osr_bus_message *message)
{
    struct osr_message_listener *listener = context;
    struct osr_message_packet packet;
    struct osr_err err;
    (void)bus;
    bool is_over = listener->is_closed && listener->connection_count == 0;
    if (is_over || message->address == NULL ||
        osr_message_packet_decode(message->body, &packet, &err) != 0) {
        return; /* whatever it is, it is not for us */
    }
    struct osr_message_connection *connection =
        osr_map_get(listener->connections, key_of(packet.id));
    if (connection == NULL && packet.type == OSR_MESSAGE_OPEN) {
        accept_one(listener, message->address, &packet);
    } else if (connection == NULL && wants_answer(&packet)) {
        refuse(listener, message->address, &packet, OSR_NOT_FOUND);
    } else if (connection != NULL && strcmp(connection->peer, message->address) == 0) {
        osr_message_connection_receive(connection, &packet);
    }
}

static void on_gone(void *context, struct osr_bus *bus, const char *address)
{
    struct osr_message_listener *listener = context;
    struct osr_slice id;
    size_t cursor = 0;
    void *value;
    (void)bus;
    while (osr_map_next(listener->connections, &cursor, &id, &value)) {
        struct osr_message_connection *connection = value;
        if (strcmp(connection->peer, address) == 0) {
            osr_message_connection_doubt(connection);
        }
    }
}

static void on_drain(void *context, struct osr_bus *bus)
{
    struct osr_message_listener *listener = context;
    struct osr_slice id;
    size_t cursor = 0;
    void *connection;
    (void)bus;
    while (osr_map_next(listener->connections, &cursor, &id, &connection)) {
        osr_message_connection_wake(connection);
    }
}

static void on_close(void *context, struct osr_bus *bus)
{
    struct osr_message_listener *listener = context;
    (void)bus;
    osr_map_destroy(listener->connections);
    osr_tls_context_release(listener->security);
    free(listener->base.url);
    free(listener);
}

static const struct osr_bus_handler bus_handler = {
    .on_up = on_up,
    .on_down = on_down,
    .on_message = on_message,
    .on_gone = on_gone,
    .on_drain = on_drain,
    .on_close = on_close,
};

/* ---- as a listener ---- */

static void listener_close(struct osr_listener *base)
{
    struct osr_message_listener *listener = (struct osr_message_listener *)base;
    listener->is_closed = true;
    close_bus_if_done(listener);
}

static void listener_secure(struct osr_listener *base, struct osr_tls_context *security)
{
    struct osr_message_listener *listener = (struct osr_message_listener *)base;
    assert(listener->security != NULL);
    osr_tls_context_hold(security);
    osr_tls_context_release(listener->security);
    listener->security = security;
}

static void listener_guard(struct osr_listener *base, struct osr_gate *gate)
{
    ((struct osr_message_listener *)base)->gate = gate;
}

static const struct osr_listener_kind listener_kind = {
    .close = listener_close,
    .secure = listener_secure,
    .guard = listener_guard,
};

/* As it was given, or with the port that a socket of ours was really bound to. */
static char *bound_url(const struct osr_bus *bus, const struct osr_url *url)
{
    return osr_url_is_broker(url) ? osr_strdup(url->text)
                                  : osr_format("%s%s", osr_bus_url(bus), strchrnul(url->text, '?'));
}

int osr_message_listen(uv_loop_t *loop, const struct osr_url *url, struct osr_tls_context *security,
                       void (*on_accept)(void *context, struct osr_connection *connection),
                       void *context, struct osr_listener **ret_listener, struct osr_err *err)
{
    /* Silent: osr_listener_watch says what people are to know. */
    const struct osr_bus_options options = {.loop = loop, .url = url, .role = OSR_BUS_LISTENER};
    struct osr_message_listener *listener = osr_alloc(sizeof(*listener));
    int code = osr_bus_open(&options, &bus_handler, listener, &listener->bus, err);
    if (code != 0) {
        free(listener);
        return code;
    }
    uint64_t seed;
    osr_secret_random(&seed, sizeof(seed));
    osr_secret_random(listener->hash_key, sizeof(listener->hash_key));
    listener->base.kind = &listener_kind;
    listener->base.url = bound_url(listener->bus, url);
    listener->loop = loop;
    listener->connections = osr_map_create(seed);
    listener->security = osr_tls_context_hold(security);
    listener->on_accept = on_accept;
    listener->context = context;
    osr_err_set(&listener->base.down, OSR_UNAVAILABLE, "%s: not yet there", url->text);
    *ret_listener = &listener->base;
    return 0;
}
