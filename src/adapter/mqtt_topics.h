/* mqtt_topics.h -- which topics an MQTT bus takes messages from and sends them to, by its role.
 * Text alone: no broker, no library.
 *
 *            takes from          sends to       its own end is told at
 * LISTENER   A/in/+              A/out/P        A/gone
 * DIALLER    A/out/P, A/gone     A/in/P         A/in/P, by its content type
 * CLIENTS    A                   reply_to       nowhere
 * EVENTS     nothing             A/T            nowhere
 *
 * A is the URL's address, which has no wildcards in it; P is one level, so that '+' takes all. */
#ifndef OSR_ADAPTER_MQTT_TOPICS_H
#define OSR_ADAPTER_MQTT_TOPICS_H

#include "adapter/bus.h"

enum {
    OSR_MQTT_FILTERS_MAX = 2,
    /* A (127 characters), a fixed level, and P or T (OSR_BUS_ADDRESS_BYTES_MAX). */
    OSR_MQTT_TOPIC_BYTES = 127 + 8 + OSR_BUS_ADDRESS_BYTES_MAX,
    OSR_MQTT_PEER_CHARS = 32, /* 16 random bytes: nobody meets another's by chance */
};

/* The content type of the message that tells an end. */
#define OSR_MQTT_END_TYPE "application/vnd.osiris.gone"

struct osr_mqtt_topic {
    char text[OSR_MQTT_TOPIC_BYTES];
};

struct osr_mqtt_topics {
    enum osr_bus_role role;
    const char *address;                /* A; must outlive it */
    char peer[OSR_MQTT_PEER_CHARS + 1]; /* a DIALLER's own P; "" for others */
};

/* What a message is for by its topic. */
enum osr_mqtt_sense {
    OSR_MQTT_UNEXPECTED, /* the broker's mistake, or what a kept session was subscribed to once */
    OSR_MQTT_MESSAGE,
    OSR_MQTT_GONE,
};

/* How many filters are to be subscribed to. */
size_t osr_mqtt_topics_filters(const struct osr_mqtt_topics *topics,
                               struct osr_mqtt_topic filters[OSR_MQTT_FILTERS_MAX]);
/* False: this role tells nobody. */
bool osr_mqtt_topics_end(const struct osr_mqtt_topics *topics, struct osr_mqtt_topic *ret_topic);
/* Where a message for `address` goes. False: no topic can be made of that. */
bool osr_mqtt_topics_to(const struct osr_mqtt_topics *topics, const char *address,
                        struct osr_mqtt_topic *ret_topic);
/* `content_type` may be NULL. *ret_address: whose message it is: of a LISTENER P, a part of
 * `topic`; else "". */
enum osr_mqtt_sense osr_mqtt_topics_read(const struct osr_mqtt_topics *topics, const char *topic,
                                         const char *content_type, const char **ret_address);

#endif
