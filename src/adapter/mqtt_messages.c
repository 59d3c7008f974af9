/* Messages of an MQTT bus: those that come, those that go, and what the broker says about these. */
#include <mqtt_protocol.h>
#include <stdio.h>

#include "adapter/mqtt_failure.h"
#include "adapter/mqtt_internal.h"
#include "base/text.h"

enum {
    /* On the way to the broker: past this the bus is full, too. The library reads as many packets
     * in one go as there are messages unconfirmed, so that this also bounds what still comes after
     * osr_bus_read(false). */
    UNCONFIRMED = OSR_BUS_UNACKNOWLEDGED_MAX,
    UNCONFIRMED_MAX = 1 << 15, /* half of the protocol's ids: stops one from being given twice */
};

/* -- from the broker -- */

/* The first, the second, the fourth, ...: stops others from filling the log. */
static void log_dropped(struct osr_mqtt_bus *bus, const char *why, const char *topic)
{
    char text[OSR_MQTT_TOPIC_BYTES];

    bus->dropped++;
    if ((bus->dropped & (bus->dropped - 1)) != 0) {
        return;
    }
    (void)snprintf(text, sizeof(text), "%s", topic);
    osr_text_make_plain(text, sizeof(text));
    osr_trace(&bus->trace, OSR_LEVEL_WARNING, "%s: dropped a message, number %zu: %s: %s",
              bus->base.url, bus->dropped, why, text);
}

/* What is wrong with a message that came; NULL: nothing. */
static const char *find_fault(const struct osr_bus_message *message)
{
    if (message->body.size > OSR_BUS_MESSAGE_BYTES_MAX) {
        return "too large";
    }
    if (message->reply_to != NULL && strlen(message->reply_to) > OSR_BUS_ADDRESS_BYTES_MAX) {
        return "its response topic is too long";
    }
    if (message->correlation.size > OSR_BUS_CORRELATION_BYTES_MAX) {
        return "its correlation data is too long";
    }
    return NULL;
}

/* Confirmations come between the messages, so a full bus is read whoever wants to. (Links are
 * bounded by their windows, and requests come over a bus that sends nothing.) */
void osr_mqtt_update_reading(struct osr_mqtt_bus *bus)
{
    bool has_room = bus->unacknowledged < OSR_BUS_UNACKNOWLEDGED_MAX;
    bool must_read = !bus->base.is_up || bus->is_full;

    if (bus->client != NULL && !bus->is_closing) {
        osr_mqtt_client_read(bus->client, must_read || (bus->is_reading && has_room));
    }
}

static void take_request(struct osr_mqtt_bus *bus, struct osr_bus_message *request)
{
    bus->delivered++;
    bus->unacknowledged++;
    request->delivery = bus->delivered;
    osr_mqtt_update_reading(bus);
}

void osr_mqtt_take_message(void *context, const char *topic, struct osr_bus_message *message)
{
    struct osr_mqtt_bus *bus = context;
    const struct osr_bus_handler *handler = bus->base.handler;
    const char *fault = find_fault(message);
    enum osr_mqtt_sense sense =
        osr_mqtt_topics_read(&bus->topics, topic, message->content_type, &message->address);

    /* A kept session gives what came meanwhile before it confirms the subscription. */
    osr_mqtt_go_up(bus);
    if (bus->is_closing) {
        return;
    }
    if (sense == OSR_MQTT_UNEXPECTED || fault != NULL) {
        log_dropped(bus, fault != NULL ? fault : "nobody asked for its topic", topic);
    } else if (sense == OSR_MQTT_MESSAGE) {
        if (bus->topics.role == OSR_BUS_CLIENTS) {
            take_request(bus, message);
        }
        handler->on_message(bus->base.context, &bus->base, message);
    } else if (handler->on_gone != NULL) {
        handler->on_gone(bus->base.context, &bus->base, message->address);
    }
}

static bool is_over(const struct osr_mqtt_bus *bus, size_t bytes, size_t messages)
{
    return bus->sent.bytes >= bytes || bus->sent.count >= messages;
}

/* Tells what the broker has taken over. */
static void report_confirmed(struct osr_mqtt_bus *bus)
{
    const struct osr_bus_handler *handler = bus->base.handler;

    if (handler->on_confirmed != NULL && !bus->is_closing) {
        handler->on_confirmed(bus->base.context, &bus->base, bus->sent.confirmed);
    }
    if (bus->is_full && !is_over(bus, OSR_BUS_QUEUE_BYTES / 2, UNCONFIRMED / 2)) {
        bus->is_full = false;
        osr_mqtt_update_reading(bus);
        if (handler->on_drain != NULL && !bus->is_closing) {
            handler->on_drain(bus->base.context, &bus->base);
        }
    }
    if (bus->is_closing && bus->sent.count == 0) {
        osr_mqtt_client_end(bus->client);
    }
}

static void report_gone(struct osr_mqtt_bus *bus, const char *address)
{
    const struct osr_bus_handler *handler = bus->base.handler;
    bool is_link = bus->topics.role == OSR_BUS_LISTENER || bus->topics.role == OSR_BUS_DIALLER;

    if (is_link && handler->on_gone != NULL && !bus->is_closing) {
        handler->on_gone(bus->base.context, &bus->base, address);
    }
}

/* Whether it is another who says where ours go. */
static bool is_sent_where_told(const struct osr_mqtt_bus *bus)
{
    return bus->topics.role == OSR_BUS_LISTENER || bus->topics.role == OSR_BUS_CLIENTS;
}

/* An event that is too large for the broker always will be: all behind it would wait for ever, and
 * whoever may write a document could have that. What libmosquitto refuses is dropped likewise. */
static bool is_fatal(const struct osr_mqtt_bus *bus, int reason)
{
    bool is_event_too_large =
        bus->topics.role == OSR_BUS_EVENTS && reason == MQTT_RC_PACKET_TOO_LARGE;
    return !is_sent_where_told(bus) && !is_event_too_large;
}

/* One line a connection: stops others from filling the log. */
static void log_refused(struct osr_mqtt_bus *bus, const struct osr_err *err)
{
    if (!bus->has_refused) {
        bus->has_refused = true;
        osr_trace(&bus->trace, OSR_LEVEL_WARNING, "%s: a message is lost (%s)", err->message,
                  err->hint);
    }
}

void osr_mqtt_take_answer(void *context, uint16_t id, int reason)
{
    struct osr_mqtt_bus *bus = context;
    struct osr_err err;
    char address[OSR_BUS_ADDRESS_BYTES_MAX + 1];
    const char *known = osr_mqtt_unconfirmed_address(&bus->sent, id);

    (void)snprintf(address, sizeof(address), "%s", known != NULL ? known : "");
    if (reason >= OSR_MQTT_REFUSED) {
        osr_mqtt_reason_error(&err, bus->url.text, reason, "publishing");
        if (is_fatal(bus, reason)) {
            osr_mqtt_client_fail(bus->client, &err);
            return;
        }
        log_refused(bus, &err);
    }
    if (osr_mqtt_unconfirmed_confirm(&bus->sent, id)) {
        report_confirmed(bus);
    }
    if (reason == MQTT_RC_NO_MATCHING_SUBSCRIBERS || reason >= OSR_MQTT_REFUSED) {
        report_gone(bus, address);
    }
}

void osr_mqtt_acknowledge(struct osr_bus *base, uint64_t delivery)
{
    struct osr_mqtt_bus *bus = osr_mqtt_bus_of(base);

    if (delivery > bus->before_up && delivery <= bus->delivered && bus->unacknowledged > 0) {
        bus->unacknowledged--;
        osr_mqtt_update_reading(bus);
    }
}

/* -- to the broker -- */

/* The id of those that never came as far as the library. */
enum { DROPPED = 0 };

static void confirm_dropped(uv_timer_t *timer)
{
    struct osr_mqtt_bus *bus = timer->data;
    uint64_t before = bus->sent.confirmed;

    while (osr_mqtt_unconfirmed_has(&bus->sent, DROPPED)) {
        osr_mqtt_unconfirmed_confirm(&bus->sent, DROPPED);
    }
    if (bus->sent.confirmed > before) {
        report_confirmed(bus);
    }
}

/* Where no message can be: nobody will ever take it, so that it is done with. */
static void drop_unsendable(struct osr_mqtt_bus *bus, const char *why, const char *address)
{
    struct osr_err err;

    if (bus->topics.role == OSR_BUS_CLIENTS || bus->topics.role == OSR_BUS_EVENTS) {
        log_dropped(bus, why, address);
        uv_timer_start(&bus->timer, confirm_dropped, 0, 0);
        return;
    }
    osr_err_set(&err, OSR_TOO_LARGE, "%s: cannot send a message: %s", bus->url.text, why);
    osr_mqtt_client_fail(bus->client, &err);
}

static void check_queue(struct osr_mqtt_bus *bus)
{
    struct osr_err err;

    if (!bus->is_full && is_over(bus, OSR_BUS_QUEUE_BYTES, UNCONFIRMED)) {
        bus->is_full = true;
        osr_mqtt_update_reading(bus);
    }
    if (is_over(bus, OSR_BUS_QUEUE_BYTES_MAX, UNCONFIRMED_MAX)) {
        osr_err_set(&err, OSR_UNAVAILABLE, "%s: the broker takes messages too slowly",
                    bus->url.text);
        osr_err_hint(&err, "%zu messages wait for it: look at its load and its disk",
                     bus->sent.count);
        osr_mqtt_client_fail(bus->client, &err);
    }
}

uint64_t osr_mqtt_send(struct osr_bus *base, const struct osr_bus_message *message)
{
    struct osr_mqtt_bus *bus = osr_mqtt_bus_of(base);
    struct osr_mqtt_topic topic = {0};
    struct osr_err err;
    uint16_t id = DROPPED;
    const char *address = message->address != NULL ? message->address : "";

    if (!osr_mqtt_topics_to(&bus->topics, message->address, &topic)) {
        drop_unsendable(bus, "no topic can have this name", address);
    } else if (osr_mqtt_client_publish(bus->client, &topic, message, &id, &err) != 0) {
        drop_unsendable(bus, err.message, topic.text);
    }
    uint64_t number =
        osr_mqtt_unconfirmed_add(&bus->sent, id, strlen(topic.text) + message->body.size,
                                 bus->topics.role == OSR_BUS_LISTENER ? address : NULL);
    check_queue(bus);
    return number;
}
