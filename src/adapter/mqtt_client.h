/* mqtt_client.h -- one connection to an MQTT 5 broker: libmosquitto, polled by a loop.
 *
 * Happy path: connect -> on_login -> subscribe -> on_subscribed; publish -> on_answer, on_message;
 * end -> on_end.
 *
 * Failures: on_end says why, once, whatever went wrong since connect; nothing is called after. It
 * does not come back: the next connection is another client.
 *
 * libmosquitto runs without a thread of its own, and never blocks the loop (mqtt_library.h). It
 * acknowledges a message by itself before we see it: received, not stored.
 *
 * Threads: the loop's. */
#ifndef OSR_ADAPTER_MQTT_CLIENT_H
#define OSR_ADAPTER_MQTT_CLIENT_H

#include <openssl/ssl.h>
#include <sys/socket.h>
#include <uv.h>

#include "adapter/broker_login.h"
#include "adapter/bus.h"
#include "adapter/mqtt_topics.h"

struct osr_mqtt_client;

struct osr_mqtt_client_handler {
    void (*on_login)(void *context);
    void (*on_subscribed)(void *context);
    /* A message's `address` is left to the receiver; all lives until the return. */
    void (*on_message)(void *context, const char *topic, struct osr_bus_message *message);
    /* The broker has answered the message with this id: a reason code, refused from
     * OSR_MQTT_REFUSED on. */
    void (*on_answer)(void *context, uint16_t id, int reason);
    /* NULL: as osr_mqtt_client_end wanted. The only one that may destroy the client. */
    void (*on_end)(void *context, const struct osr_err *err);
};

/* All but `loop` must outlive the client or is copied by the library. */
struct osr_mqtt_client_options {
    uv_loop_t *loop;
    const char *url; /* for people */
    const struct sockaddr *address;
    socklen_t address_size;
    const struct osr_broker_login *login;
    SSL_CTX *tls; /* NULL: without */
    const char *id;
    bool keeps_session; /* the broker keeps what comes while we are away */
    const struct osr_mqtt_topic
        *end_topic; /* is told when we go (OSR_MQTT_END_TYPE); NULL: nobody */
};

/* Nothing is called before the return. Fails where the system refuses at once. */
int osr_mqtt_client_connect(const struct osr_mqtt_client_options *options,
                            const struct osr_mqtt_client_handler *handler, void *context,
                            struct osr_mqtt_client **ret_client, struct osr_err *err);
/* NULL is a no-op. Run the loop once more. Not from within a callback, but for on_end. */
void osr_mqtt_client_destroy(struct osr_mqtt_client *client);

void osr_mqtt_client_subscribe(struct osr_mqtt_client *client, struct osr_mqtt_topic *filters,
                               size_t count);
/* Copies. Fails where the message can never be sent: its topic, its size. */
int osr_mqtt_client_publish(struct osr_mqtt_client *client, const struct osr_mqtt_topic *topic,
                            const struct osr_bus_message *message, uint16_t *ret_id,
                            struct osr_err *err);
void osr_mqtt_client_read(struct osr_mqtt_client *client, bool on);
/* Says good-bye, so that the broker tells end_topic. */
void osr_mqtt_client_end(struct osr_mqtt_client *client);
/* Ends it with this error, by on_end and later: for what its owner finds wrong. */
void osr_mqtt_client_fail(struct osr_mqtt_client *client, const struct osr_err *err);

#endif
