#include "adapter/mqtt_requests.h"

#include <stdlib.h>

#include "adapter/mqtt_internal.h"

struct mqtt_requests {
    struct osr_bus base;
    struct osr_bus *replies;  /* NULL: closed */
    struct osr_bus *requests; /* NULL: not open */
    struct osr_url url;
    struct osr_bus_options options;
    struct osr_trace trace;
    char *name;
    struct osr_err reason; /* that on_down has told since it was up */
    uint64_t delivered;    /* ever: the last number given */
    uint64_t before_open;  /* up to this number they came over buses that are closed */
    bool are_replies_up;
    bool is_reading; /* as osr_bus_read says */
    bool is_ending;  /* the bus of requests is closed, and not gone yet */
    bool is_closing;
};

static struct mqtt_requests *of(struct osr_bus *base)
{
    return (struct mqtt_requests *)base;
}

static void go_down(struct mqtt_requests *both, const struct osr_err *err)
{
    bool is_news = both->base.is_up || strcmp(err->message, both->reason.message) != 0;
    both->base.is_up = false;
    both->reason = *err;
    if (is_news && !both->is_closing) {
        both->base.handler->on_down(both->base.context, &both->base, err);
    }
}

static void free_both(struct mqtt_requests *both)
{
    free(both->base.url);
    free(both->name);
    free(both);
}

static void finish_close(struct mqtt_requests *both)
{
    if (both->is_closing && both->replies == NULL && both->requests == NULL) {
        both->base.handler->on_close(both->base.context, &both->base);
        free_both(both);
    }
}

/* ---- requests ---- */

static void on_requests_up(void *context, struct osr_bus *bus)
{
    struct mqtt_requests *both = context;
    (void)bus;
    if (!both->is_closing && both->are_replies_up) {
        both->base.is_up = true;
        both->reason = (struct osr_err){0};
        both->base.handler->on_up(both->base.context, &both->base);
    }
}

static void on_requests_down(void *context, struct osr_bus *bus, const struct osr_err *err)
{
    (void)bus;
    go_down(context, err);
}

static void on_request(void *context, struct osr_bus *bus, const struct osr_bus_message *message)
{
    struct mqtt_requests *both = context;
    struct osr_bus_message request = *message;
    (void)bus;
    if (!both->base.is_up) {
        return;
    }
    request.delivery += both->before_open;
    both->delivered = request.delivery;
    both->base.handler->on_message(both->base.context, &both->base, &request);
}

static void open_requests(struct mqtt_requests *both);

static void on_requests_close(void *context, struct osr_bus *bus)
{
    struct mqtt_requests *both = context;
    (void)bus;
    both->requests = NULL;
    both->is_ending = false;
    if (both->are_replies_up && !both->is_closing) {
        open_requests(both);
    }
    finish_close(both);
}

static void open_requests(struct mqtt_requests *both)
{
    static const struct osr_bus_handler handler = {
        .on_up = on_requests_up,
        .on_down = on_requests_down,
        .on_message = on_request,
        .on_close = on_requests_close,
    };
    struct osr_err err;
    int code = osr_mqtt_bus_open(&both->options, OSR_MQTT_REQUESTS, &both->requests, &err);
    if (code != 0) { /* a file that could be read at the start */
        go_down(both, &err);
        return;
    }
    both->requests->handler = &handler;
    both->requests->context = both;
    both->before_open = both->delivered;
    osr_bus_read(both->requests, both->is_reading);
}

static void close_requests(struct mqtt_requests *both)
{
    if (both->requests != NULL && !both->is_ending) {
        both->is_ending = true;
        osr_bus_close(both->requests);
    }
}

/* ---- replies ---- */

static void on_replies_up(void *context, struct osr_bus *bus)
{
    struct mqtt_requests *both = context;
    (void)bus;
    both->are_replies_up = true;
    if (both->requests == NULL) {
        open_requests(both);
    }
}

static void on_replies_down(void *context, struct osr_bus *bus, const struct osr_err *err)
{
    struct mqtt_requests *both = context;
    (void)bus;
    both->are_replies_up = false;
    close_requests(both);
    go_down(both, err);
}

static void on_message(void *context, struct osr_bus *bus, const struct osr_bus_message *message)
{
    (void)context; /* it has subscribed to nothing */
    (void)bus;
    (void)message;
}

static void on_confirmed(void *context, struct osr_bus *bus, uint64_t number)
{
    struct mqtt_requests *both = context;
    (void)bus;
    if (both->base.is_up && both->base.handler->on_confirmed != NULL) {
        both->base.handler->on_confirmed(both->base.context, &both->base, number);
    }
}

static void on_drain(void *context, struct osr_bus *bus)
{
    struct mqtt_requests *both = context;
    (void)bus;
    if (!both->is_closing && both->base.handler->on_drain != NULL) {
        both->base.handler->on_drain(both->base.context, &both->base);
    }
}

static void on_replies_close(void *context, struct osr_bus *bus)
{
    struct mqtt_requests *both = context;
    (void)bus;
    both->replies = NULL;
    finish_close(both);
}

/* ---- as a bus ---- */

static void close_both(struct osr_bus *base)
{
    struct mqtt_requests *both = of(base);
    both->is_closing = true;
    both->base.is_up = false;
    close_requests(both);
    osr_bus_close(both->replies);
}

static uint64_t send_reply(struct osr_bus *base, const struct osr_bus_message *message)
{
    return osr_bus_send(of(base)->replies, message);
}

static bool is_full(const struct osr_bus *base)
{
    const struct mqtt_requests *both = (const struct mqtt_requests *)base;
    return osr_bus_is_full(both->replies);
}

static void read_requests(struct osr_bus *base, bool on)
{
    struct mqtt_requests *both = of(base);
    both->is_reading = on;
    if (both->requests != NULL && !both->is_ending) {
        osr_bus_read(both->requests, on);
    }
}

static void acknowledge(struct osr_bus *base, uint64_t delivery)
{
    struct mqtt_requests *both = of(base);
    if (delivery > both->before_open && both->requests != NULL && !both->is_ending) {
        osr_bus_acknowledge(both->requests, delivery - both->before_open);
    }
}

int osr_mqtt_requests_open(const struct osr_bus_options *options, struct osr_bus **ret_bus,
                           struct osr_err *err)
{
    static const struct osr_bus_kind kind = {
        .close = close_both,
        .send = send_reply,
        .is_full = is_full,
        .read = read_requests,
        .acknowledge = acknowledge,
    };
    static const struct osr_bus_handler handler = {
        .on_up = on_replies_up,
        .on_down = on_replies_down,
        .on_message = on_message,
        .on_confirmed = on_confirmed,
        .on_drain = on_drain,
        .on_close = on_replies_close,
    };
    struct mqtt_requests *both = osr_alloc(sizeof(*both));
    both->base.kind = &kind;
    both->base.url = osr_url_place(options->url);
    both->url = *options->url;
    both->name = osr_strdup(options->name);
    both->options = *options;
    both->options.url = &both->url;
    both->options.name = both->name;
    if (options->trace != NULL) {
        both->trace = *options->trace;
        both->options.trace = &both->trace;
    }
    both->is_reading = true;
    int code = osr_mqtt_bus_open(&both->options, OSR_MQTT_REPLIES, &both->replies, err);
    if (code != 0) {
        free_both(both);
        return code;
    }
    both->replies->handler = &handler;
    both->replies->context = both;
    *ret_bus = &both->base;
    return 0;
}
