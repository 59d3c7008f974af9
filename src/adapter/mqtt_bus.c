/* MQTT 5 behind bus.h, by libmosquitto (mqtt_client.h). QoS 1: at least once as far as the broker;
 * on_confirmed is its PUBACK.
 *
 * Happy path: look up the broker's name -> connect -> log in -> subscribe (mqtt_topics.h) -> up.
 * Each try is a client of its own; a name's addresses are tried in turn.
 *
 * CLIENTS (mqtt_requests.h) has a session that the broker keeps for a week, under `name` and the
 * address. The library acknowledges a request before we see it: PUBACK means received, not stored.
 * Who needs more waits for the reply; osr_bus_acknowledge only makes room for the next request.
 *
 * Who goes tells the other end by a message (mqtt_topics.h), which is the connection's last
 * will as well; and a PUBACK says when nobody is subscribed to where a message went. Both are
 * hints.
 *
 * A refusal by the broker brings the bus down, with its reason: publishing where we may not,
 * subscribing, too large a message. Except where another decides about it, who could bring us down
 * so: a request's reply_to, a dialler's P, and how large an event is. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapter/keys.h"
#include "adapter/mqtt_internal.h"
#include "adapter/mqtt_requests.h"
#include "adapter/mqtt_tls.h"
#include "base/text.h"

/* -- going down, and coming back -- */

static void begin_try(uv_timer_t *timer);
static void connect_next(struct osr_mqtt_bus *bus, const struct osr_err *err);

static void drop_client(struct osr_mqtt_bus *bus)
{
    osr_mqtt_client_destroy(bus->client);
    bus->client = NULL;
    osr_mqtt_unconfirmed_clear(&bus->sent);
    bus->is_full = false;
    bus->base.is_up = false;
}

static void go_down(struct osr_mqtt_bus *bus, const struct osr_err *err)
{
    bool was_up = bus->base.is_up;
    bool is_news = was_up || strcmp(err->message, bus->reason.message) != 0;
    uint64_t up_ms = was_up ? uv_now(bus->loop) - bus->up_ms : 0;

    uv_timer_stop(&bus->timer);
    drop_client(bus);
    osr_addresses_done(&bus->addresses);
    bus->reason = *err;
    if (was_up && bus->part == OSR_MQTT_REQUESTS && err->code == OSR_UNAVAILABLE) {
        /* Not every broker says that it is this. */
        osr_err_hint(&bus->reason, "if it comes and goes: is a copy of this instance running, so "
                                   "that each pushes the other out? The broker's log says more");
    }
    if (bus->topics.role != OSR_BUS_DIALLER) {
        uv_timer_start(&bus->timer, begin_try, osr_bus_retry_next_ms(&bus->retry, up_ms), 0);
    }
    if (is_news) {
        bus->base.handler->on_down(bus->base.context, &bus->base, &bus->reason);
    }
}

static void on_try_timeout(uv_timer_t *timer)
{
    struct osr_mqtt_bus *bus = timer->data;
    struct osr_err err;

    osr_err_set(&err, OSR_TIMEOUT, "no answer from %s in time", bus->url.text);
    osr_err_hint(&err, "check host, port and firewall, and that a broker is there");
    drop_client(bus);
    connect_next(bus, &err);
}

void osr_mqtt_go_up(struct osr_mqtt_bus *bus)
{
    if (bus->base.is_up || bus->is_closing) {
        return;
    }
    uv_timer_stop(&bus->timer);
    osr_addresses_done(&bus->addresses);
    bus->base.is_up = true;
    bus->up_ms = uv_now(bus->loop);
    bus->reason = (struct osr_err){0};
    bus->has_refused = false;
    bus->before_up = bus->delivered;
    bus->unacknowledged = 0;
    osr_mqtt_update_reading(bus);
    bus->base.handler->on_up(bus->base.context, &bus->base);
}

/* -- what the client tells -- */

static void on_login(void *context)
{
    struct osr_mqtt_bus *bus = context;
    struct osr_mqtt_topic filters[OSR_MQTT_FILTERS_MAX];
    size_t count =
        bus->part == OSR_MQTT_REPLIES ? 0 : osr_mqtt_topics_filters(&bus->topics, filters);

    if (count == 0) {
        osr_mqtt_go_up(bus);
    } else {
        osr_mqtt_client_subscribe(bus->client, filters, count);
    }
}

static void on_subscribed(void *context)
{
    osr_mqtt_go_up(context);
}

static void finish_close(struct osr_mqtt_bus *bus);

static void on_end(void *context, const struct osr_err *err)
{
    struct osr_mqtt_bus *bus = context;

    if (bus->is_closing) {
        finish_close(bus);
    } else if (bus->base.is_up) {
        go_down(bus, err);
    } else {
        drop_client(bus);
        connect_next(bus, err);
    }
}

static const struct osr_mqtt_client_handler client_handler = {
    .on_login = on_login,
    .on_subscribed = on_subscribed,
    .on_message = osr_mqtt_take_message,
    .on_answer = osr_mqtt_take_answer,
    .on_end = on_end,
};

/* -- trying -- */

/* Tries the next address; `err` is what was wrong with the last one. */
static void connect_next(struct osr_mqtt_bus *bus, const struct osr_err *err)
{
    struct osr_err failure = *err;

    while (bus->client == NULL) {
        const struct addrinfo *address = osr_addresses_next(&bus->addresses);
        if (address == NULL) {
            go_down(bus, &failure);
            return;
        }
        struct osr_mqtt_client_options options = {
            .loop = bus->loop,
            .url = bus->url.text,
            .address = address->ai_addr,
            .address_size = address->ai_addrlen,
            .login = &bus->login,
            .tls = bus->tls,
            .id = bus->client_id,
            .keeps_session = bus->part == OSR_MQTT_REQUESTS,
            .end_topic = bus->end_topic.text[0] != '\0' ? &bus->end_topic : NULL,
        };
        (void)osr_mqtt_client_connect(&options, &client_handler, bus, &bus->client, &failure);
    }
    uv_timer_start(&bus->timer, on_try_timeout, OSR_BUS_CONNECT_MS, 0);
}

static void on_found(void *context, const struct osr_err *err)
{
    const struct osr_err none = {0};
    connect_next(context, err != NULL ? err : &none);
}

static void begin_try(uv_timer_t *timer)
{
    struct osr_mqtt_bus *bus = timer->data;
    struct osr_err err;

    if (osr_addresses_look_up(&bus->addresses, bus->loop, bus->url.host, bus->url.port, on_found,
                              bus, &err) != 0) {
        go_down(bus, &err);
    }
}

/* -- opening and closing -- */

static void name_client(struct osr_mqtt_bus *bus, const struct osr_bus_options *options)
{
    uint8_t random[OSR_MQTT_PEER_CHARS / 2];
    char text[OSR_MQTT_PEER_CHARS + 1];

    if (bus->part == OSR_MQTT_REQUESTS) {
        assert(options->name != NULL);
        (void)snprintf(bus->client_id, sizeof(bus->client_id), "osiris/%s/%s", options->name,
                       bus->url.address);
        return;
    }
    osr_secret_random(random, sizeof(random));
    osr_hex_encode(text, osr_slice(random, sizeof(random)));
    (void)snprintf(bus->client_id, sizeof(bus->client_id), "osiris/%s", text);
    if (options->role == OSR_BUS_DIALLER) {
        memcpy(bus->topics.peer, text, sizeof(text));
    }
}

static void free_bus(struct osr_mqtt_bus *bus)
{
    SSL_CTX_free(bus->tls);
    osr_broker_login_done(&bus->login);
    free(bus->base.url);
    free(bus);
}

int osr_mqtt_bus_open(const struct osr_bus_options *options, enum osr_mqtt_part part,
                      struct osr_bus **ret_bus, struct osr_err *err)
{
    struct osr_mqtt_bus *bus = osr_alloc(sizeof(*bus));

    bus->part = part;
    bus->base.kind = &osr_mqtt_bus_kind;
    bus->loop = options->loop;
    bus->url = *options->url;
    if (options->trace != NULL) {
        bus->trace = *options->trace;
    }
    osr_bus_retry_init(&bus->retry);
    bus->is_reading = true;
    bus->topics.role = options->role;
    bus->topics.address = bus->url.address;
    int code = osr_broker_login_read(&bus->url, &bus->login, err);
    if (code == 0 && bus->login.is_secure) {
        code = osr_mqtt_tls_create(&bus->url, &bus->login, &bus->tls, err);
    }
    if (code != 0) {
        free_bus(bus);
        return code;
    }
    name_client(bus, options);
    (void)osr_mqtt_topics_end(&bus->topics, &bus->end_topic);
    bus->base.url = osr_url_place(&bus->url);
    uv_timer_init(bus->loop, &bus->timer);
    bus->timer.data = bus;
    uv_timer_start(&bus->timer, begin_try, 0, 0);
    *ret_bus = &bus->base;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct osr_mqtt_bus *bus = handle->data;

    bus->base.handler->on_close(bus->base.context, &bus->base);
    free_bus(bus);
}

static void finish_close(struct osr_mqtt_bus *bus)
{
    drop_client(bus);
    osr_addresses_done(&bus->addresses);
    uv_close((uv_handle_t *)&bus->timer, on_timer_closed);
}

static void on_end_timeout(uv_timer_t *timer)
{
    finish_close(timer->data);
}

static void close_bus(struct osr_bus *base)
{
    struct osr_mqtt_bus *bus = osr_mqtt_bus_of(base);
    bool is_up = bus->base.is_up;

    assert(!bus->is_closing);
    bus->is_closing = true;
    bus->base.is_up = false;
    /* From within a callback of the client's it cannot be destroyed: by the timer, in any case. */
    uv_timer_start(&bus->timer, on_end_timeout, is_up ? OSR_BUS_CLOSE_MS : 0, 0);
    if (is_up && bus->sent.count > 0) {
        osr_mqtt_client_read(bus->client, true); /* for the broker's answers */
    }
    osr_addresses_done(&bus->addresses);
    if (is_up && bus->sent.count == 0) {
        osr_mqtt_client_end(bus->client);
    }
}

static bool is_full(const struct osr_bus *base)
{
    return osr_mqtt_bus_of(base)->is_full;
}

static void read_bus(struct osr_bus *base, bool on)
{
    struct osr_mqtt_bus *bus = osr_mqtt_bus_of(base);

    bus->is_reading = on;
    osr_mqtt_update_reading(bus);
}

static int open_bus(const struct osr_bus_options *options, struct osr_bus **ret_bus,
                    struct osr_err *err)
{
    return options->role == OSR_BUS_CLIENTS
               ? osr_mqtt_requests_open(options, ret_bus, err)
               : osr_mqtt_bus_open(options, OSR_MQTT_WHOLE, ret_bus, err);
}

const struct osr_bus_kind osr_mqtt_bus_kind = {
    .open = open_bus,
    .close = close_bus,
    .send = osr_mqtt_send,
    .is_full = is_full,
    .read = read_bus,
    .acknowledge = osr_mqtt_acknowledge,
};
