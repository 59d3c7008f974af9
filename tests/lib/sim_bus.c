#include "lib/sim_bus.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/sim_broker.h"

enum {
    MOVED_BYTES = 1 << 20, /* taken over from one bus in one turn of the loop */
    RETRY_MS = 5,
};

/* One of ours, connected or trying to be. */
struct sim_connection {
    struct osr_bus base; /* first */
    struct sim_connection *next;
    enum osr_bus_role role;
    char *address; /* the URL's */
    char *peer;    /* a dialler's own */
    char *takes;   /* the queue; NULL: none */
    struct osr_sim_list out;
    struct osr_sim_list unacknowledged;
    uint64_t sent, confirmed;
    uv_idle_t pump;
    uv_timer_t timer; /* goes up or down, tries again, ends waiting for the close */
    int handles_open;
    bool is_broken; /* it was up, and has not been told otherwise yet */
    bool is_reading;
    bool was_full;
    bool is_closing;
    bool is_down_told;
    bool is_gone_told; /* where nobody takes what a dialler sends */
};

struct osr_sim_bus {
    struct osr_sim_broker queues;
    struct sim_connection *connections;
    uint64_t last_peer;
    uint64_t last_delivery;
    void (*see)(void *context, const char *queue, const struct osr_bus_message *message);
    void *see_context;
    bool is_down;
    bool is_stalled;
};

static struct osr_sim_bus *current;

static struct sim_connection *of(struct osr_bus *bus)
{
    return (struct sim_connection *)bus;
}

/* ---- the pump: a turn's worth of messages out and in ---- */

static bool is_held_back(const struct sim_connection *connection)
{
    return !current->queues.faults.loses_when_full &&
           osr_sim_broker_is_over(&current->queues, connection->out.first->queue);
}

static void tell_gone(struct sim_connection *connection, const char *address)
{
    if (!current->queues.faults.hides_gone && connection->base.is_up && !connection->is_closing &&
        connection->base.handler->on_gone != NULL) {
        connection->base.handler->on_gone(connection->base.context, &connection->base, address);
    }
}

static void tell_nobody_takes(struct sim_connection *connection, const char *address)
{
    bool is_dialler = connection->role == OSR_BUS_DIALLER;
    if (is_dialler && !connection->is_gone_told) {
        connection->is_gone_told = true;
        tell_gone(connection, "");
    } else if (connection->role == OSR_BUS_LISTENER) {
        tell_gone(connection, address);
    }
}

static void move_out(struct sim_connection *connection)
{
    size_t moved = 0;
    while (connection->out.first != NULL && moved < MOVED_BYTES && !is_held_back(connection)) {
        struct osr_sim_stored *stored = osr_sim_list_take_first(&connection->out);
        char *queue = osr_strdup(stored->queue);
        moved += stored->message.body.size + 1;
        connection->confirmed++;
        if (!osr_sim_broker_take_over(&current->queues, stored)) {
            tell_nobody_takes(connection, strrchr(queue, '/') + 1);
        }
        free(queue);
    }
    const struct osr_bus_handler *handler = connection->base.handler;
    if (moved > 0 && !connection->is_closing && handler->on_confirmed != NULL) {
        handler->on_confirmed(connection->base.context, &connection->base, connection->confirmed);
    }
}

static bool may_deliver(const struct sim_connection *connection)
{
    return connection->takes != NULL && connection->base.is_up && connection->is_reading &&
           !connection->is_closing && !connection->is_broken &&
           connection->unacknowledged.count < OSR_BUS_UNACKNOWLEDGED_MAX;
}

static void deliver(struct sim_connection *connection, struct osr_sim_stored *stored)
{
    bool is_dropped = stored->message.body.size > OSR_BUS_MESSAGE_BYTES_MAX;
    bool is_request = connection->role == OSR_BUS_CLIENTS;
    struct osr_sim_stored *kept = NULL;
    if (is_request && !is_dropped) {
        stored->message.delivery = ++current->last_delivery;
        kept = osr_sim_store(stored->queue, &stored->message);
        osr_sim_list_put_last(&connection->unacknowledged, kept);
    }
    if (!is_dropped) {
        connection->base.handler->on_message(connection->base.context, &connection->base,
                                             &stored->message);
    }
    osr_sim_discard(stored);
}

static void move_in(struct sim_connection *connection)
{
    for (size_t moved = 0; moved < MOVED_BYTES && may_deliver(connection);) {
        struct osr_sim_queue *queue = osr_sim_broker_find(&current->queues, connection->takes);
        if (queue->waiting.first == NULL) {
            return;
        }
        struct osr_sim_stored *stored = osr_sim_list_take_first(&queue->waiting);
        moved += stored->message.body.size + 1;
        deliver(connection, stored);
    }
}

static bool has_work(const struct sim_connection *connection)
{
    bool has_out = connection->out.first != NULL && !is_held_back(connection);
    bool has_in = may_deliver(connection) &&
                  osr_sim_broker_find(&current->queues, connection->takes)->waiting.first != NULL;
    return has_out || has_in;
}

static void tell_drained(struct sim_connection *connection)
{
    const struct osr_bus_handler *handler = connection->base.handler;
    if (connection->was_full && connection->out.bytes <= OSR_BUS_QUEUE_BYTES &&
        !connection->is_closing) {
        connection->was_full = false;
        if (handler->on_drain != NULL) {
            handler->on_drain(connection->base.context, &connection->base);
        }
    }
}

static void finish_closing(struct sim_connection *connection);
static void wake(struct sim_connection *connection);

static void on_pump(uv_idle_t *pump)
{
    struct sim_connection *connection = pump->data;
    if (current->is_stalled || !connection->base.is_up || connection->is_broken) {
        uv_idle_stop(pump);
        return;
    }
    move_out(connection);
    tell_drained(connection);
    move_in(connection);
    if (connection->is_closing && connection->out.first == NULL) {
        finish_closing(connection);
    } else if (!connection->base.is_up || !has_work(connection)) {
        uv_idle_stop(pump);
    }
    for (struct sim_connection *at = current->connections; at != NULL; at = at->next) {
        if (at->out.first != NULL) { /* it may have been held back by what was taken just now */
            wake(at);
        }
    }
}

static void wake(struct sim_connection *connection)
{
    if (!uv_is_closing((uv_handle_t *)&connection->pump)) {
        uv_idle_start(&connection->pump, on_pump);
    }
}

/* What waits in a queue is for who takes from it. */
static void wake_takers(const char *queue)
{
    for (struct sim_connection *at = current->connections; at != NULL; at = at->next) {
        if (at->takes != NULL && strcmp(at->takes, queue) == 0) {
            wake(at);
        }
    }
}

/* ---- up and down ---- */

/* Of a listener: all its diallers hear that it is gone; of a dialler: its listener. */
static void leave_will(const struct sim_connection *gone)
{
    if (gone->role > OSR_BUS_DIALLER) {
        return;
    }
    for (struct sim_connection *at = current->connections; at != NULL; at = at->next) {
        bool is_other_end = at != gone && at->role <= OSR_BUS_DIALLER && at->role != gone->role &&
                            strcmp(at->address, gone->address) == 0;
        if (is_other_end) {
            tell_gone(at, gone->role == OSR_BUS_DIALLER ? gone->peer : "");
        }
    }
}

/* In its old order, before what came later. */
static void give_back(struct sim_connection *connection)
{
    if (connection->takes == NULL) {
        return;
    }
    struct osr_sim_queue *queue = osr_sim_broker_find(&current->queues, connection->takes);
    assert(queue != NULL);
    struct osr_sim_list back = {0};
    while (connection->unacknowledged.first != NULL) {
        osr_sim_list_put_first(&back, osr_sim_list_take_first(&connection->unacknowledged));
    }
    while (back.first != NULL) {
        osr_sim_list_put_first(&queue->waiting, osr_sim_list_take_first(&back));
    }
    if (!queue->is_durable) {
        osr_sim_broker_remove(&current->queues, connection->takes);
    }
}

static void on_timer(uv_timer_t *timer);

static void go_down(struct sim_connection *connection, enum osr_code code, const char *why)
{
    struct osr_err err;
    bool is_new = connection->base.is_up || !connection->is_down_told;
    if (connection->base.is_up) {
        give_back(connection);
    }
    connection->base.is_up = false;
    connection->is_broken = false;
    connection->is_down_told = true;
    osr_sim_list_empty(&connection->out);
    uv_idle_stop(&connection->pump);
    if (connection->role != OSR_BUS_DIALLER) {
        uv_timer_start(&connection->timer, on_timer, RETRY_MS, 0);
    }
    osr_err_set(&err, code, "%s: %s", connection->base.url, why);
    if (is_new) {
        connection->base.handler->on_down(connection->base.context, &connection->base, &err);
    }
}

static void go_up(struct sim_connection *connection)
{
    bool is_durable = connection->role == OSR_BUS_CLIENTS;
    if (connection->takes != NULL && !is_durable &&
        osr_sim_broker_find(&current->queues, connection->takes) != NULL) {
        go_down(connection, OSR_IN_USE, "somebody else takes from there");
        return;
    }
    if (connection->takes != NULL) {
        osr_sim_broker_make(&current->queues, connection->takes, is_durable);
    }
    connection->base.is_up = true;
    connection->is_down_told = false;
    connection->is_gone_told = false;
    connection->was_full = false;
    connection->sent = 0;
    connection->confirmed = 0;
    wake(connection);
    connection->base.handler->on_up(connection->base.context, &connection->base);
}

static void on_timer(uv_timer_t *timer)
{
    struct sim_connection *connection = timer->data;
    if (connection->is_closing) {
        finish_closing(connection);
    } else if (connection->is_broken) {
        go_down(connection, OSR_UNAVAILABLE, "the broker is gone");
    } else if (current->is_down) {
        go_down(connection, OSR_UNAVAILABLE, "the broker cannot be reached");
    } else if (!connection->base.is_up) {
        go_up(connection);
    }
}

/* ---- as a kind of bus ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct sim_connection *connection = handle->data;
    if (--connection->handles_open > 0) {
        return;
    }
    for (struct sim_connection **at = &current->connections; *at != NULL; at = &(*at)->next) {
        if (*at == connection) {
            *at = connection->next;
            break;
        }
    }
    connection->base.handler->on_close(connection->base.context, &connection->base);
    osr_sim_list_empty(&connection->out);
    free(connection->base.url);
    free(connection->address);
    free(connection->peer);
    free(connection->takes);
    free(connection);
}

static void finish_closing(struct sim_connection *connection)
{
    if (uv_is_closing((uv_handle_t *)&connection->timer)) {
        return;
    }
    if (connection->base.is_up) {
        connection->base.is_up = false;
        give_back(connection);
        leave_will(connection);
    }
    uv_close((uv_handle_t *)&connection->timer, on_handle_closed);
    uv_close((uv_handle_t *)&connection->pump, on_handle_closed);
}

static void sim_close(struct osr_bus *bus)
{
    struct sim_connection *connection = of(bus);
    if (connection->is_closing) {
        return;
    }
    connection->is_closing = true;
    bool waits = bus->is_up && !connection->is_broken && connection->out.first != NULL;
    uv_timer_start(&connection->timer, on_timer, waits ? OSR_BUS_CLOSE_MS : 0, 0);
    if (waits) {
        wake(connection);
    }
}

static char *destination(const struct sim_connection *connection,
                         const struct osr_bus_message *message)
{
    switch (connection->role) {
    case OSR_BUS_LISTENER:
        return osr_format("%s/out/%s", connection->address, message->address);
    case OSR_BUS_DIALLER:
        return osr_format("%s/in", connection->address);
    case OSR_BUS_EVENTS:
        return osr_format("%s/%s", connection->address, message->address);
    default:
        return osr_strdup(message->address);
    }
}

static uint64_t sim_send(struct osr_bus *bus, const struct osr_bus_message *message)
{
    struct sim_connection *connection = of(bus);
    assert(!connection->is_closing);
    if (connection->is_broken) {
        return ++connection->sent;
    }
    char *queue = destination(connection, message);
    if (current->see != NULL) {
        current->see(current->see_context, queue, message);
    }
    struct osr_sim_stored *stored = osr_sim_store(queue, message);
    free(queue);
    if (connection->role == OSR_BUS_DIALLER) {
        free((void *)stored->message.address);
        stored->message.address = osr_strdup(connection->peer);
    }
    osr_sim_list_put_last(&connection->out, stored);
    connection->was_full = connection->was_full || bus->kind->is_full(bus);
    if (connection->out.bytes > OSR_BUS_QUEUE_BYTES_MAX) {
        connection->is_broken = true;
        uv_timer_start(&connection->timer, on_timer, 0, 0);
    }
    wake(connection);
    return ++connection->sent;
}

static bool sim_is_full(const struct osr_bus *bus)
{
    return ((const struct sim_connection *)bus)->out.bytes > OSR_BUS_QUEUE_BYTES;
}

static void sim_read(struct osr_bus *bus, bool on)
{
    of(bus)->is_reading = on;
    wake(of(bus));
}

static void sim_acknowledge(struct osr_bus *bus, uint64_t delivery)
{
    struct sim_connection *connection = of(bus);
    struct osr_sim_list kept = {0};
    while (connection->unacknowledged.first != NULL) {
        struct osr_sim_stored *stored = osr_sim_list_take_first(&connection->unacknowledged);
        if (stored->message.delivery == delivery) {
            osr_sim_discard(stored);
        } else {
            osr_sim_list_put_last(&kept, stored);
        }
    }
    connection->unacknowledged = kept;
    wake(connection);
}

static char *taken_from(const struct sim_connection *connection)
{
    switch (connection->role) {
    case OSR_BUS_LISTENER:
        return osr_format("%s/in", connection->address);
    case OSR_BUS_DIALLER:
        return osr_format("%s/out/%s", connection->address, connection->peer);
    case OSR_BUS_CLIENTS:
        return osr_strdup(connection->address);
    default:
        return NULL;
    }
}

static int sim_open(const struct osr_bus_options *options, struct osr_bus **ret_bus,
                    struct osr_err *err);

static const struct osr_bus_kind sim_kind = {
    .open = sim_open,
    .close = sim_close,
    .send = sim_send,
    .is_full = sim_is_full,
    .read = sim_read,
    .acknowledge = sim_acknowledge,
};

static int sim_open(const struct osr_bus_options *options, struct osr_bus **ret_bus,
                    struct osr_err *err)
{
    (void)err;
    const struct osr_url *url = options->url;
    struct sim_connection *connection = osr_alloc(sizeof(*connection));
    connection->base.kind = &sim_kind;
    connection->base.url = osr_url_place(url);
    connection->role = options->role;
    connection->address = osr_strdup(url->address[0] != '\0' ? url->address : url->host);
    connection->peer = osr_format("p%llu", (unsigned long long)++current->last_peer);
    connection->takes = taken_from(connection);
    connection->is_reading = true;
    uv_idle_init(options->loop, &connection->pump);
    uv_timer_init(options->loop, &connection->timer);
    connection->pump.data = connection;
    connection->timer.data = connection;
    connection->handles_open = 2;
    uv_timer_start(&connection->timer, on_timer, 0, 0);
    connection->next = current->connections;
    current->connections = connection;
    *ret_bus = &connection->base;
    return 0;
}

/* ---- the broker ---- */

struct osr_sim_bus *osr_sim_bus_create(uint64_t seed)
{
    assert(current == NULL);
    current = osr_alloc(sizeof(*current));
    osr_random_init(&current->queues.random, seed);
    current->queues.on_arrival = wake_takers;
    osr_bus_kind_in_tests = &sim_kind;
    return current;
}

void osr_sim_bus_destroy(struct osr_sim_bus *broker)
{
    if (broker == NULL) {
        return;
    }
    assert(broker->connections == NULL);
    osr_sim_broker_done(&broker->queues);
    free(broker);
    current = NULL;
    osr_bus_kind_in_tests = NULL;
}

void osr_sim_bus_set_faults(struct osr_sim_bus *broker, const struct osr_sim_bus_faults *faults)
{
    broker->queues.faults = *faults;
}

void osr_sim_bus_go_down(struct osr_sim_bus *broker)
{
    broker->is_down = true;
    for (struct sim_connection *at = broker->connections; at != NULL; at = at->next) {
        if (at->base.is_up && !at->is_closing) {
            at->is_broken = true;
            uv_timer_start(&at->timer, on_timer, 0, 0);
        }
    }
}

void osr_sim_bus_go_up(struct osr_sim_bus *broker)
{
    broker->is_down = false;
}

static void wake_all(struct osr_sim_bus *broker)
{
    for (struct sim_connection *at = broker->connections; at != NULL; at = at->next) {
        wake(at);
    }
}

void osr_sim_bus_stall(struct osr_sim_bus *broker, bool on)
{
    broker->is_stalled = on;
    wake_all(broker);
}

void osr_sim_bus_forge(struct osr_sim_bus *broker, const char *queue,
                       const struct osr_bus_message *message)
{
    (void)broker;
    struct osr_sim_queue *target = osr_sim_broker_find(&current->queues, queue);
    assert(target != NULL);
    osr_sim_list_put_last(&target->waiting, osr_sim_store(queue, message));
    wake_takers(queue);
}

void osr_sim_bus_forge_gone(struct osr_sim_bus *broker, const char *queue, const char *address)
{
    for (struct sim_connection *at = broker->connections; at != NULL; at = at->next) {
        if (at->takes != NULL && strcmp(at->takes, queue) == 0) {
            tell_gone(at, address);
        }
    }
}

void osr_sim_bus_watch(struct osr_sim_bus *broker,
                       void (*see)(void *context, const char *queue,
                                   const struct osr_bus_message *message),
                       void *context)
{
    broker->see = see;
    broker->see_context = context;
}

size_t osr_sim_bus_queued_bytes_max(const struct osr_sim_bus *broker)
{
    return broker->queues.bytes_max;
}

size_t osr_sim_bus_queued_messages_max(const struct osr_sim_bus *broker)
{
    return broker->queues.messages_max;
}

size_t osr_sim_bus_open_count(const struct osr_sim_bus *broker)
{
    size_t count = 0;
    for (const struct sim_connection *at = broker->connections; at != NULL; at = at->next) {
        count++;
    }
    return count;
}
