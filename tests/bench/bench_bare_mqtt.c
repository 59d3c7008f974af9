/* bench_bare_mqtt.c -- libmosquitto's own rate through a broker: MQTT 5, QoS 1 from publisher to
 * subscriber; bench_bare.h says how it is called. PLACE: the broker's port on this machine. */
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <semaphore.h>

#include "bench_bare.h"

enum { QOS = 1, INFLIGHT_MAX = 65535, KEEPALIVE_S = 60 };

static const char topic[] = "osiris/bench/bare";
static struct mosquitto *publisher, *subscriber;
static sem_t ready;

static void check(int code)
{
    if (code != MOSQ_ERR_SUCCESS) {
        fprintf(stderr, "mqtt: %s\n", mosquitto_strerror(code));
        exit(1);
    }
}

static void on_connect(struct mosquitto *client, void *context, int code)
{
    (void)context;
    check(code);
    if (client == subscriber) {
        check(mosquitto_subscribe(client, NULL, topic, QOS));
    } else {
        sem_post(&ready);
    }
}

static void on_subscribe(struct mosquitto *client, void *context, int id, int count,
                         const int *granted)
{
    (void)client, (void)context, (void)id, (void)count, (void)granted;
    sem_post(&ready);
}

static void on_message(struct mosquitto *client, void *context,
                       const struct mosquitto_message *message)
{
    (void)client, (void)context;
    bare_received(message->payload, (size_t)message->payloadlen);
}

static struct mosquitto *connect_to(int port)
{
    struct mosquitto *client = mosquitto_new(NULL, true, NULL);
    bare_check(client != NULL, "mosquitto_new");
    mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    mosquitto_int_option(client, MOSQ_OPT_SEND_MAXIMUM, INFLIGHT_MAX);
    mosquitto_int_option(client, MOSQ_OPT_RECEIVE_MAXIMUM, INFLIGHT_MAX);
    mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_connect_callback_set(client, on_connect);
    mosquitto_subscribe_callback_set(client, on_subscribe);
    mosquitto_message_callback_set(client, on_message);
    check(mosquitto_connect(client, "127.0.0.1", port, KEEPALIVE_S));
    return client;
}

static void open_clients(const char *place)
{
    mosquitto_lib_init();
    sem_init(&ready, 0, 0);
    subscriber = connect_to(atoi(place));
    check(mosquitto_loop_start(subscriber));
    sem_wait(&ready);
    publisher = connect_to(atoi(place));
    check(mosquitto_loop_start(publisher));
    sem_wait(&ready);
}

static void send_message(const void *message, size_t size)
{
    check(mosquitto_publish(publisher, NULL, topic, (int)size, message, QOS, false));
}

int main(int argc, char **argv)
{
    static const struct bare_carrier carrier = {open_clients, send_message, NULL};
    return bare_main(argc, argv, &carrier);
}
