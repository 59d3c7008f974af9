/* mqtt_internal.h -- what the files of the MQTT bus share.
 *
 * mqtt_bus.c          opening, coming up, going down, coming back, closing
 * mqtt_requests.c     the role CLIENTS: two buses, for requests and for replies
 * mqtt_messages.c     messages, and the broker's answers to ours
 * mqtt_client.c       one connection, polled by the loop; mqtt_library.c makes its libmosquitto
 * mqtt_tls.c          whom we believe to be the broker
 * mqtt_topics.c       topics by role
 * mqtt_unconfirmed.c  what the broker has not confirmed yet
 * mqtt_failure.c      libmosquitto's and the broker's refusals, in people's words */
#ifndef OSR_ADAPTER_MQTT_INTERNAL_H
#define OSR_ADAPTER_MQTT_INTERNAL_H

#include "adapter/addresses.h"
#include "adapter/bus.h"
#include "adapter/bus_retry.h"
#include "adapter/mqtt_client.h"
#include "adapter/mqtt_topics.h"
#include "adapter/mqtt_unconfirmed.h"

enum { OSR_MQTT_CLIENT_ID_CHARS = 512 };

/* Which part of its role a bus plays. */
enum osr_mqtt_part { OSR_MQTT_WHOLE, OSR_MQTT_REQUESTS, OSR_MQTT_REPLIES };

struct osr_mqtt_bus {
    struct osr_bus base;
    enum osr_mqtt_part part;
    uv_loop_t *loop;
    struct osr_url url;
    char client_id[OSR_MQTT_CLIENT_ID_CHARS];
    struct osr_trace trace; /* zeroed: silent */
    struct osr_broker_login login;
    SSL_CTX *tls; /* NULL: without */
    struct osr_mqtt_topics topics;
    struct osr_mqtt_topic end_topic;

    struct osr_addresses addresses; /* of the broker; none between two tries */
    struct osr_mqtt_client *client; /* NULL: between two tries */
    uv_timer_t timer; /* the time-out of a try, the pause between two, or of the end */
    struct osr_bus_retry retry;
    uint64_t up_ms;        /* the loop's time when it came up last */
    struct osr_err reason; /* that on_down has told since it was up */
    bool is_closing;

    bool is_reading;       /* as osr_bus_read says */
    uint64_t delivered;    /* requests, ever: the last one's number */
    uint64_t before_up;    /* up to this number they came before the last on_up */
    size_t unacknowledged; /* of those after */

    struct osr_mqtt_unconfirmed sent;
    bool is_full;
    size_t dropped;   /* ever */
    bool has_refused; /* a refusal of somebody's address has been logged since it came up */
};

static inline struct osr_mqtt_bus *osr_mqtt_bus_of(const struct osr_bus *base)
{
    return (struct osr_mqtt_bus *)base;
}

/* mqtt_bus.c. Promises as osr_bus_open; the handler is the caller's to set. */
int osr_mqtt_bus_open(const struct osr_bus_options *options, enum osr_mqtt_part part,
                      struct osr_bus **ret_bus, struct osr_err *err);
void osr_mqtt_go_up(struct osr_mqtt_bus *bus); /* a no-op where it is up */

/* mqtt_messages.c: as struct osr_mqtt_client_handler and struct osr_bus_kind want them. */
void osr_mqtt_take_message(void *context, const char *topic, struct osr_bus_message *message);
void osr_mqtt_take_answer(void *context, uint16_t id, int reason);
uint64_t osr_mqtt_send(struct osr_bus *base, const struct osr_bus_message *message);
void osr_mqtt_acknowledge(struct osr_bus *base, uint64_t delivery);
void osr_mqtt_update_reading(struct osr_mqtt_bus *bus);

#endif
