/* ZeroMQ behind bus.h: libzmq's sockets, polled from the loop; what is in the messages is
 * zmq_messages.c's.
 *
 * Links: ROUTER and DEALER, in clear, as TLS goes inside. Clients: ROUTER, events: PUB, both with
 * CURVE, and with a ZAP handler, so that only keys that are known are let in.
 *
 * A look sends what waits, hands over what has come, and is repeated until it finds nothing to do:
 * then libzmq's descriptors say when there is something again (zmq_watch.h). A timer runs while
 * something is to happen at a time.
 *
 * EVENTS: a subscriber who takes nothing holds all up for SUBSCRIBER_WAIT_MS, and then loses what
 * is over its high-water mark, for SUBSCRIBER_LOSES_MS: the others go on. */
#include "adapter/zmq_bus.h"

#include <errno.h>
#include <stdlib.h>
#include <zmq.h>

enum {
    RECEIVED_AT_ONCE = 64, /* then the loop's others have a turn */
    SUBSCRIBER_WAIT_MS = 1000,
    SUBSCRIBER_LOSES_MS = 30 * 1000,
};

static void look(void *context);
static void look_at_monitor(void *context);
static void look_at_zap(void *context);

/* -- going on -- */

/* All three, as libzmq tells of a socket's first message only who has found none before. */
static void on_again(uv_idle_t *again)
{
    struct osr_zmq_bus *bus = again->data;

    look_at_monitor(bus);
    look_at_zap(bus);
    look(bus);
}

void osr_zmq_bus_soon(struct osr_zmq_bus *bus)
{
    uv_idle_start(&bus->again, on_again);
}

static void on_tick(uv_timer_t *tick);

static void start_tick(struct osr_zmq_bus *bus)
{
    if (!uv_is_active((const uv_handle_t *)&bus->tick)) {
        uv_timer_start(&bus->tick, on_tick, OSR_ZMQ_TICK_MS, OSR_ZMQ_TICK_MS);
    }
}

void osr_zmq_bus_up(struct osr_zmq_bus *bus)
{
    bus->base.is_up = true;
    bus->sent = 0;
    bus->confirmed = 0;
    osr_zmq_bus_soon(bus);
    bus->base.handler->on_up(bus->base.context, &bus->base);
}

void osr_zmq_bus_down(struct osr_zmq_bus *bus, const struct osr_err *err)
{
    bus->base.is_up = false;
    if (!bus->is_closing) {
        bus->base.handler->on_down(bus->base.context, &bus->base, err);
    }
}

void osr_zmq_bus_gone(struct osr_zmq_bus *bus, const char *address)
{
    if (!bus->is_closing && bus->base.handler->on_gone != NULL) {
        bus->base.handler->on_gone(bus->base.context, &bus->base, address);
    }
}

/* -- sending -- */

/* Libzmq drops what a subscriber has no room for, or refuses it for all. */
static void choose_loss(struct osr_zmq_bus *bus, uint64_t now_ms)
{
    struct osr_zmq_listen *listen = &bus->listen;
    uint64_t stalled_ms = osr_zmq_outbox_stalled_ms(bus->outbox, now_ms);

    if (stalled_ms >= SUBSCRIBER_WAIT_MS && now_ms >= listen->lossy_until_ms) {
        listen->lossy_until_ms = now_ms + SUBSCRIBER_LOSES_MS;
        osr_trace(&bus->trace, OSR_LEVEL_WARNING,
                  "%s: a subscriber is too slow, and misses events from now on", bus->base.url);
    }
    int no_drop = now_ms >= listen->lossy_until_ms;
    zmq_setsockopt(bus->socket, ZMQ_XPUB_NODROP, &no_drop, sizeof(no_drop));
}

static bool send_some(struct osr_zmq_bus *bus)
{
    uint64_t now_ms = uv_now(bus->loop);

    if (osr_zmq_outbox_count(bus->outbox) == 0) {
        return false;
    }
    if (bus->role == OSR_BUS_EVENTS) {
        choose_loss(bus, now_ms);
    }
    bool has_moved = osr_zmq_outbox_send(bus->outbox, bus->socket, now_ms, &bus->gone);
    if (osr_zmq_outbox_count(bus->outbox) > 0) {
        start_tick(bus);
    }
    return has_moved;
}

/* With a queue for each peer it is all or nothing: those of one may be behind those of another. */
static uint64_t confirmed_now(const struct osr_zmq_bus *bus)
{
    size_t waiting = osr_zmq_outbox_count(bus->outbox);

    if (bus->role == OSR_BUS_DIALLER || bus->role == OSR_BUS_EVENTS) {
        return bus->sent - waiting;
    }
    return waiting == 0 ? bus->sent : bus->confirmed;
}

static void tell_confirmed(struct osr_zmq_bus *bus)
{
    const struct osr_bus_handler *handler = bus->base.handler;
    uint64_t now = confirmed_now(bus);

    if (bus->base.is_up && now != bus->confirmed) {
        bus->confirmed = now;
        if (handler->on_confirmed != NULL) {
            handler->on_confirmed(bus->base.context, &bus->base, now);
        }
    }
}

static void tell_drained(struct osr_zmq_bus *bus)
{
    const struct osr_bus_handler *handler = bus->base.handler;

    if (bus->is_full && osr_zmq_outbox_bytes(bus->outbox) < OSR_BUS_QUEUE_BYTES / 2) {
        bus->is_full = false;
        if (handler->on_drain != NULL) {
            handler->on_drain(bus->base.context, &bus->base);
        }
    }
}

static void tell_gone(struct osr_zmq_bus *bus)
{
    struct osr_buffer gone = bus->gone;
    struct osr_slice head = osr_buffer_slice(&gone);
    char address[OSR_BUS_ADDRESS_BYTES_MAX + 1];

    bus->gone = (struct osr_buffer){0}; /* who is told may send, and more be gone */
    while (!bus->is_closing && osr_zmq_read_peer(&head, address)) {
        osr_zmq_bus_gone(bus, address);
    }
    osr_buffer_done(&gone);
}

static void tell(struct osr_zmq_bus *bus)
{
    void (*const news[])(struct osr_zmq_bus *) = {tell_gone, tell_confirmed, tell_drained};

    for (size_t i = 0; i < sizeof(news) / sizeof(news[0]) && !bus->is_closing; i++) {
        news[i](bus);
    }
}

static bool zmq_bus_is_full(const struct osr_bus *base)
{
    return ((const struct osr_zmq_bus *)base)->is_full;
}

static void zmq_bus_read(struct osr_bus *base, bool on)
{
    struct osr_zmq_bus *bus = (struct osr_zmq_bus *)base;

    bus->is_reading = on;
    osr_zmq_bus_soon(bus);
}

static void zmq_bus_acknowledge(struct osr_bus *base, uint64_t delivery)
{
    (void)base, (void)delivery; /* ZeroMQ keeps nothing that it has delivered */
}

static void zmq_bus_vouch(struct osr_bus *base, const char *address)
{
    struct osr_zmq_bus *bus = (struct osr_zmq_bus *)base;

    if (bus->role == OSR_BUS_DIALLER) {
        bus->dial.is_known = true;
    } else {
        osr_zmq_listen_vouch(bus, address);
    }
}

/* -- looking -- */

static void end(struct osr_zmq_bus *bus);

/* More than the queue may hold: a dialler and a publisher have one queue alone, and end with it; a
 * peer of the others ends alone (zmq_outbox.h). */
static void check_queue(struct osr_zmq_bus *bus)
{
    if (!osr_zmq_bus_is_router(bus) &&
        osr_zmq_outbox_bytes(bus->outbox) > OSR_BUS_QUEUE_BYTES_MAX) {
        struct osr_err err;
        osr_zmq_outbox_destroy(bus->outbox);
        bus->outbox = osr_zmq_outbox_create();
        osr_err_set(&err, OSR_UNAVAILABLE, "%s: over %d bytes wait to be sent", bus->base.url,
                    OSR_BUS_QUEUE_BYTES_MAX);
        osr_zmq_bus_down(bus, &err);
    }
}

static void look(void *context)
{
    struct osr_zmq_bus *bus = context;
    int events;
    size_t size = sizeof(events);

    uv_idle_stop(&bus->again);
    zmq_getsockopt(bus->socket, ZMQ_EVENTS, &events, &size); /* libzmq takes note of its threads */
    bool has_moved = send_some(bus);
    if (bus->is_closing) {
        if (osr_zmq_outbox_count(bus->outbox) == 0 || !bus->base.is_up) {
            end(bus);
        }
        return;
    }
    if (!bus->base.is_up && bus->role != OSR_BUS_DIALLER) {
        osr_zmq_bus_up(bus);
    }
    check_queue(bus);
    tell(bus);
    has_moved |= osr_zmq_bus_receive(bus, RECEIVED_AT_ONCE);
    if (has_moved) {
        osr_zmq_bus_soon(bus);
    }
}

static void look_at_monitor(void *context)
{
    struct osr_zmq_bus *bus = context;
    struct osr_zmq_event event;

    while (osr_zmq_monitor_next(bus->monitor, &event)) {
        if (bus->role == OSR_BUS_DIALLER) {
            osr_zmq_dial_event(bus, &event);
        } else {
            osr_zmq_listen_event(bus, &event);
            start_tick(bus);
        }
    }
}

static void look_at_zap(void *context)
{
    struct osr_zmq_bus *bus = context;

    if (bus->zap != NULL) {
        osr_zmq_zap_answer(bus->zap, uv_now(bus->loop));
    }
}

static bool has_to_wait(const struct osr_zmq_bus *bus)
{
    bool has_connections = bus->role == OSR_BUS_DIALLER
                               ? bus->dial.is_under_way || bus->base.is_up
                               : osr_map_count(bus->listen.connections) > 0;
    return bus->is_closing || has_connections || osr_zmq_outbox_count(bus->outbox) > 0;
}

static void on_tick(uv_timer_t *tick)
{
    struct osr_zmq_bus *bus = tick->data;
    uint64_t now_ms = uv_now(bus->loop);

    if (bus->is_closing && now_ms >= bus->end_ms) {
        end(bus);
        return;
    }
    if (osr_zmq_bus_is_router(bus)) {
        osr_zmq_outbox_check(bus->outbox, now_ms, &bus->gone);
    }
    if (bus->role == OSR_BUS_DIALLER) {
        osr_zmq_dial_tick(bus, now_ms);
    } else {
        osr_zmq_listen_check(bus);
    }
    if (!has_to_wait(bus)) {
        uv_timer_stop(tick);
    }
    osr_zmq_bus_soon(bus);
}

/* -- the end: what is queued, then libzmq's threads, then the handles -- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct osr_zmq_bus *bus = handle->data;

    if (--bus->handles_open > 0) {
        return;
    }
    bus->base.handler->on_close(bus->base.context, &bus->base);
    free(bus->base.url);
    free(bus);
}

static void on_ended(uv_async_t *ended)
{
    struct osr_zmq_bus *bus = ended->data;

    if (bus->has_thread) {
        uv_thread_join(&bus->ending);
    }
    uv_close((uv_handle_t *)ended, on_handle_closed);
}

/* Waits until what libzmq still has to send is out, or its linger is over: not for a loop. */
static void wait_for_library(void *context)
{
    struct osr_zmq_bus *bus = context;

    while (zmq_ctx_term(bus->library) != 0 && errno == EINTR) {
        continue;
    }
    uv_async_send(&bus->ended);
}

static void close_sockets(struct osr_zmq_bus *bus)
{
    uint64_t now_ms = uv_now(bus->loop);
    int linger_ms = bus->end_ms > now_ms && bus->base.is_up ? (int)(bus->end_ms - now_ms) : 0;

    zmq_setsockopt(bus->socket, ZMQ_LINGER, &linger_ms, sizeof(linger_ms));
    osr_zmq_monitor_close(bus->monitor, bus->socket);
    zmq_close(bus->socket);
    osr_zmq_zap_destroy(bus->zap);
}

static void free_parts(struct osr_zmq_bus *bus)
{
    osr_zmq_dial_done(bus);
    osr_zmq_listen_done(bus);
    osr_zmq_outbox_destroy(bus->outbox);
    osr_buffer_done(&bus->gone);
}

static void end(struct osr_zmq_bus *bus)
{
    for (size_t i = 0; i < bus->watch_count; i++) {
        osr_zmq_watch_stop(&bus->watches[i], on_handle_closed);
    }
    uv_close((uv_handle_t *)&bus->again, on_handle_closed);
    uv_close((uv_handle_t *)&bus->tick, on_handle_closed);
    close_sockets(bus);
    free_parts(bus);
    bus->base.is_up = false;
    bus->has_thread = uv_thread_create(&bus->ending, wait_for_library, bus) == 0;
    if (!bus->has_thread) {
        wait_for_library(bus); /* the system has no thread for it: at most OSR_BUS_CLOSE_MS */
    }
}

static void zmq_bus_close(struct osr_bus *base)
{
    struct osr_zmq_bus *bus = (struct osr_zmq_bus *)base;

    bus->is_closing = true;
    bus->end_ms = uv_now(bus->loop) + OSR_BUS_CLOSE_MS;
    start_tick(bus);
    osr_zmq_bus_soon(bus);
}

/* -- the beginning -- */

static void watch(struct osr_zmq_bus *bus, void *socket, void (*look_at)(void *context))
{
    osr_zmq_watch_start(&bus->watches[bus->watch_count], bus->loop, socket, look_at, bus);
    bus->watch_count++;
    bus->handles_open++;
}

static void start_handles(struct osr_zmq_bus *bus)
{
    uv_idle_init(bus->loop, &bus->again);
    uv_timer_init(bus->loop, &bus->tick);
    bus->again.data = bus;
    bus->tick.data = bus;
    bus->ended.data = bus;
    bus->handles_open = 3; /* these and `ended`, which is there already */
    watch(bus, bus->socket, look);
    watch(bus, bus->monitor, look_at_monitor);
    if (bus->zap != NULL) {
        watch(bus, osr_zmq_zap_socket(bus->zap), look_at_zap);
    }
    start_tick(bus);
    osr_zmq_bus_soon(bus);
}

static void free_unopened(uv_handle_t *handle)
{
    struct osr_zmq_bus *bus = handle->data;

    free(bus->base.url);
    free(bus);
}

/* Nothing has been sent: libzmq does not wait. */
static void take_back(struct osr_zmq_bus *bus)
{
    if (bus->socket != NULL) {
        close_sockets(bus);
    }
    if (bus->library != NULL) {
        zmq_ctx_term(bus->library);
    }
    free_parts(bus);
    uv_close((uv_handle_t *)&bus->ended, free_unopened);
}

static int zmq_bus_open(const struct osr_bus_options *options, struct osr_bus **ret_bus,
                        struct osr_err *err)
{
    struct osr_zmq_bus *bus = osr_alloc(sizeof(*bus));
    int result = uv_async_init(options->loop, &bus->ended, on_ended);

    if (result != 0) {
        free(bus);
        return (int)osr_err_errno(err, OSR_UNAVAILABLE, -result, "%s", options->url->text);
    }
    bus->base.kind = &osr_zmq_bus_kind;
    bus->base.sees_peers = true;
    bus->ended.data = bus;
    bus->loop = options->loop;
    bus->role = options->role;
    bus->trace = options->trace != NULL ? *options->trace : (struct osr_trace){0};
    bus->is_reading = true;
    bus->outbox = osr_zmq_outbox_create();
    int code = osr_zmq_socket_open(bus, options, err);
    if (code == 0) {
        code = bus->role == OSR_BUS_DIALLER ? osr_zmq_dial_start(bus, options->url, err)
                                            : osr_zmq_listen_start(bus, options->url, err);
    }
    if (code != 0) {
        take_back(bus);
        return code;
    }
    start_handles(bus);
    *ret_bus = &bus->base;
    return 0;
}

const struct osr_bus_kind osr_zmq_bus_kind = {
    .open = zmq_bus_open,
    .close = zmq_bus_close,
    .send = osr_zmq_bus_send,
    .is_full = zmq_bus_is_full,
    .read = zmq_bus_read,
    .acknowledge = zmq_bus_acknowledge,
    .vouch = zmq_bus_vouch,
};
