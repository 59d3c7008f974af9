#include "adapter/bus.h"

#include <assert.h>

const struct osr_bus_kind *osr_bus_kind_in_tests;

static const struct osr_bus_kind *kind_of(const struct osr_url *url)
{
    if (osr_bus_kind_in_tests != NULL) {
        return osr_bus_kind_in_tests;
    }
    if (strcmp(url->scheme, "zmq") == 0) {
        return &osr_zmq_bus_kind;
    }
    return strncmp(url->scheme, "mqtt", 4) == 0 ? &osr_mqtt_bus_kind : &osr_amqp_bus_kind;
}

int osr_bus_open(const struct osr_bus_options *options, const struct osr_bus_handler *handler,
                 void *context, struct osr_bus **ret_bus, struct osr_err *err)
{
    struct osr_bus *bus = NULL;
    assert(osr_url_is_bus(options->url));
    int code = kind_of(options->url)->open(options, &bus, err);
    if (code != 0) {
        return code;
    }
    bus->handler = handler;
    bus->context = context;
    *ret_bus = bus;
    return 0;
}

void osr_bus_close(struct osr_bus *bus)
{
    bus->kind->close(bus);
}

uint64_t osr_bus_send(struct osr_bus *bus, const struct osr_bus_message *message)
{
    return bus->is_up ? bus->kind->send(bus, message) : 0;
}

bool osr_bus_is_up(const struct osr_bus *bus)
{
    return bus->is_up;
}

bool osr_bus_is_full(const struct osr_bus *bus)
{
    return bus->kind->is_full(bus);
}

void osr_bus_read(struct osr_bus *bus, bool on)
{
    bus->kind->read(bus, on);
}

void osr_bus_acknowledge(struct osr_bus *bus, uint64_t delivery)
{
    bus->kind->acknowledge(bus, delivery);
}

void osr_bus_vouch(struct osr_bus *bus, const char *address)
{
    if (bus->kind->vouch != NULL) {
        bus->kind->vouch(bus, address);
    }
}

bool osr_bus_sees_peers(const struct osr_bus *bus)
{
    return bus->sees_peers;
}

const char *osr_bus_url(const struct osr_bus *bus)
{
    return bus->url;
}
