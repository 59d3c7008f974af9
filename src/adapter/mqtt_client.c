#include "adapter/mqtt_client.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <mqtt_protocol.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "adapter/address.h"
#include "adapter/mqtt_failure.h"
#include "adapter/mqtt_library.h"
#include "adapter/mqtt_tls.h"

enum {
    /* How often the library may look whether it is time for a PING. */
    TICK_MS = 1000,
    /* While its owner does not want to read, a packet is read this often all the same: the answers
     * to PINGs stand behind the messages, and without them the library gives the broker up. */
    TRICKLE_MS = OSR_MQTT_KEEP_ALIVE_S * 1000 / 3,
    /* Calls of the library's read in one turn of the loop: others want their turn. */
    READS_MAX = 64,
};

struct osr_mqtt_client {
    struct mosquitto *library;
    const struct osr_mqtt_client_handler *handler;
    void *context;
    char *url;
    const struct osr_broker_login *login;
    SSL_CTX *tls;
    uv_loop_t *loop;
    uv_poll_t poll;
    uv_timer_t timer;
    size_t handles_open;
    int fd;     /* our own of the library's socket, which that closes as it likes; -1: none */
    int events; /* that are polled for now */
    bool is_connected;  /* TCP */
    bool has_logged_in; /* and on_login has not been called yet */
    bool is_reading;
    bool is_ending; /* osr_mqtt_client_end */
    bool has_failed;
    bool has_ended; /* on_end has been called */
    struct osr_err failure;
    size_t packets;   /* received that we were told of */
    uint64_t read_ms; /* the loop's time of the last read */
};

/* -- failing -- */

static void on_timer(uv_timer_t *timer);

void osr_mqtt_client_fail(struct osr_mqtt_client *client, const struct osr_err *err)
{
    if (!client->has_failed) {
        client->has_failed = true;
        client->failure = *err;
        uv_timer_start(&client->timer, on_timer, 0, TICK_MS);
    }
}

static void fail_result(struct osr_mqtt_client *client, int result, int errno_value)
{
    struct osr_err err;

    if (result == MOSQ_ERR_TLS) {
        osr_mqtt_tls_error(&err, client->url, mosquitto_ssl_get(client->library));
    } else {
        osr_mqtt_result_error(&err, client->url, result, errno_value);
    }
    osr_mqtt_client_fail(client, &err);
}

/* -- polling -- */

static void on_poll(uv_poll_t *poll, int status, int events);

static bool is_in_handshake(const struct osr_mqtt_client *client)
{
    SSL *ssl = client->tls != NULL ? mosquitto_ssl_get(client->library) : NULL;
    return ssl != NULL && SSL_in_init(ssl);
}

static int wanted_events(const struct osr_mqtt_client *client)
{
    if (!client->is_connected) {
        return UV_WRITABLE;
    }
    if (is_in_handshake(client)) {
        bool wants_write = SSL_want_write((SSL *)mosquitto_ssl_get(client->library));
        return wants_write ? UV_READABLE | UV_WRITABLE : UV_READABLE;
    }
    int events = client->is_reading ? UV_READABLE : UV_DISCONNECT;
    return mosquitto_want_write(client->library) ? events | UV_WRITABLE : events;
}

static void poll_again(struct osr_mqtt_client *client)
{
    int events = wanted_events(client);
    if (events != client->events && !client->has_failed && !client->has_ended) {
        client->events = events;
        uv_poll_start(&client->poll, events, on_poll);
    }
}

static void end(struct osr_mqtt_client *client, const struct osr_err *err)
{
    client->has_ended = true;
    uv_poll_stop(&client->poll);
    uv_timer_stop(&client->timer);
    client->handler->on_end(client->context, err);
}

/* Behind every call of the library from the loop: tells what has happened meanwhile, outside of the
 * library's own callbacks. Nothing may be done with the client after it. */
static void settle(struct osr_mqtt_client *client)
{
    if (mosquitto_socket(client->library) == -1 && !client->has_failed) {
        if (client->is_ending) {
            end(client, NULL);
            return;
        }
        fail_result(client, MOSQ_ERR_CONN_LOST, 0);
    }
    if (client->has_failed) {
        end(client, &client->failure);
        return;
    }
    if (client->has_logged_in) {
        client->has_logged_in = false;
        client->handler->on_login(client->context);
    }
    poll_again(client);
}

/* A broker that collects small packets (mosquitto does by default) sends the next ones when the
 * last is acknowledged, for which the kernel would take up to 40 ms. */
static void acknowledge_at_once(const struct osr_mqtt_client *client)
{
    const int on = 1;
    (void)setsockopt(client->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on)); /* else it is slow */
}

static void read_packets(struct osr_mqtt_client *client, size_t reads_max)
{
    client->read_ms = uv_now(client->loop);
    for (size_t i = 0; i < reads_max && !client->has_failed; i++) {
        size_t before = client->packets;
        int result = mosquitto_loop_read(client->library, 1);
        if (result != MOSQ_ERR_SUCCESS) {
            fail_result(client, result, errno);
        }
        if (client->packets == before || !client->is_reading || client->has_logged_in) {
            return;
        }
    }
}

static void write_packets(struct osr_mqtt_client *client)
{
    int result = mosquitto_loop_write(client->library, 1);
    if (result != MOSQ_ERR_SUCCESS) {
        fail_result(client, result, errno);
    }
}

static void finish_connect(struct osr_mqtt_client *client)
{
    int errno_value = 0;
    socklen_t size = sizeof(errno_value);
    struct osr_err err;

    client->is_connected = true;
    if (getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &errno_value, &size) != 0) {
        errno_value = errno;
    }
    if (errno_value == 0 && osr_address_is_own(client->fd)) {
        errno_value = ECONNREFUSED;
    }
    if (errno_value != 0) {
        osr_mqtt_connect_error(&err, errno_value, client->url);
        osr_mqtt_client_fail(client, &err);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct osr_mqtt_client *client = poll->data;

    if (!client->is_connected) {
        finish_connect(client);
    }
    if (status < 0 && !client->has_failed) {
        fail_result(client, MOSQ_ERR_CONN_LOST, 0);
    }
    bool is_in_tls = is_in_handshake(client); /* which the library goes on with as it reads */
    if (((events & UV_READABLE) != 0 || is_in_tls) && !client->has_failed) {
        read_packets(client, READS_MAX);
        acknowledge_at_once(client);
    } else if ((events & UV_DISCONNECT) != 0 && !client->has_failed) {
        fail_result(client, MOSQ_ERR_CONN_LOST, 0);
    }
    if ((events & UV_WRITABLE) != 0 && !is_in_tls && !client->has_failed) {
        write_packets(client);
    }
    settle(client);
}

static void on_timer(uv_timer_t *timer)
{
    struct osr_mqtt_client *client = timer->data;

    if (client->is_connected && !client->has_failed) {
        if (!client->is_reading && uv_now(client->loop) - client->read_ms >= TRICKLE_MS) {
            read_packets(client, 1);
        }
        int result = mosquitto_loop_misc(client->library);
        if (result != MOSQ_ERR_SUCCESS) {
            fail_result(client, result, errno);
        }
    }
    settle(client);
}

/* -- what the library tells, from within its calls -- */

static void on_connack(struct mosquitto *library, void *context, int reason, int flags,
                       const mosquitto_property *properties)
{
    struct osr_mqtt_client *client = context;
    struct osr_err err;

    (void)library;
    (void)flags;
    (void)properties;
    client->packets++;
    if (reason == 0) {
        client->has_logged_in = true;
    } else {
        osr_mqtt_login_error(&err, client->url, reason, client->login);
        osr_mqtt_client_fail(client, &err);
    }
}

/* The broker's DISCONNECT. A connection that breaks is seen by the result of what the library was
 * doing. */
static void on_disconnect(struct mosquitto *library, void *context, int reason,
                          const mosquitto_property *properties)
{
    struct osr_mqtt_client *client = context;
    struct osr_err err;

    (void)library;
    (void)properties;
    if (reason >= OSR_MQTT_REFUSED) {
        osr_mqtt_reason_error(&err, client->url, reason, "the broker sends us away");
        osr_mqtt_client_fail(client, &err);
    }
}

static void on_suback(struct mosquitto *library, void *context, int id, int count,
                      const int *granted, const mosquitto_property *properties)
{
    struct osr_mqtt_client *client = context;
    struct osr_err err;

    (void)library;
    (void)id;
    (void)properties;
    client->packets++;
    for (int i = 0; i < count; i++) {
        if (granted[i] >= OSR_MQTT_REFUSED) {
            osr_mqtt_reason_error(&err, client->url, granted[i],
                                  "the broker does not let us subscribe");
            osr_mqtt_client_fail(client, &err);
            return;
        }
    }
    client->handler->on_subscribed(client->context);
}

static void on_puback(struct mosquitto *library, void *context, int id, int reason,
                      const mosquitto_property *properties)
{
    struct osr_mqtt_client *client = context;

    (void)library;
    (void)properties;
    client->packets++;
    client->handler->on_answer(client->context, (uint16_t)id, reason);
}

static void on_message(struct mosquitto *library, void *context,
                       const struct mosquitto_message *received,
                       const mosquitto_property *properties)
{
    struct osr_mqtt_client *client = context;
    struct osr_bus_message message = {
        .body = osr_slice(received->payload, (size_t)received->payloadlen)};
    char *content_type = NULL;
    char *reply_to = NULL;
    void *correlation = NULL;
    uint16_t correlation_size = 0;

    (void)library;
    mosquitto_property_read_string(properties, MQTT_PROP_CONTENT_TYPE, &content_type, false);
    mosquitto_property_read_string(properties, MQTT_PROP_RESPONSE_TOPIC, &reply_to, false);
    mosquitto_property_read_binary(properties, MQTT_PROP_CORRELATION_DATA, &correlation,
                                   &correlation_size, false);
    message.content_type = content_type;
    message.reply_to = reply_to;
    message.correlation = osr_slice(correlation, correlation_size);
    client->packets++;
    client->handler->on_message(client->context, received->topic, &message);
    free(content_type);
    free(reply_to);
    free(correlation);
}

/* -- connecting -- */

static void set_callbacks(struct mosquitto *library)
{
    mosquitto_connect_v5_callback_set(library, on_connack);
    mosquitto_disconnect_v5_callback_set(library, on_disconnect);
    mosquitto_subscribe_v5_callback_set(library, on_suback);
    mosquitto_publish_v5_callback_set(library, on_puback);
    mosquitto_message_v5_callback_set(library, on_message);
}

/* Our own descriptor of the library's socket. */
static int copy_descriptor(struct osr_mqtt_client *client, struct osr_err *err)
{
    int fd = mosquitto_socket(client->library);

    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    client->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return client->fd >= 0 ? 0 : osr_err_errno(err, OSR_UNAVAILABLE, errno, "%s", client->url);
}

static void open_handles(struct osr_mqtt_client *client)
{
    int result = uv_poll_init(client->loop, &client->poll, client->fd);
    assert(result == 0);
    (void)result;
    uv_timer_init(client->loop, &client->timer);
    client->poll.data = client;
    client->timer.data = client;
    client->handles_open = 2;
    client->read_ms = uv_now(client->loop);
    uv_timer_start(&client->timer, on_timer, TICK_MS, TICK_MS);
    poll_again(client);
}

int osr_mqtt_client_connect(const struct osr_mqtt_client_options *options,
                            const struct osr_mqtt_client_handler *handler, void *context,
                            struct osr_mqtt_client **ret_client, struct osr_err *err)
{
    struct osr_mqtt_client *client = osr_alloc(sizeof(*client));

    client->handler = handler;
    client->context = context;
    client->url = osr_strdup(options->url);
    client->login = options->login;
    client->tls = options->tls;
    client->loop = options->loop;
    client->fd = -1;
    client->is_reading = true;
    client->library = osr_mqtt_library_create(options, client);
    set_callbacks(client->library);
    if (osr_mqtt_library_connect(client->library, options, err) != 0 ||
        copy_descriptor(client, err) != 0) {
        osr_mqtt_client_destroy(client);
        return err->code;
    }
    open_handles(client);
    *ret_client = client;
    return 0;
}

static void free_client(struct osr_mqtt_client *client)
{
    if (client->fd >= 0) {
        close(client->fd);
    }
    free(client->url);
    free(client);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct osr_mqtt_client *client = handle->data;

    client->handles_open--;
    if (client->handles_open == 0) {
        free_client(client);
    }
}

void osr_mqtt_client_destroy(struct osr_mqtt_client *client)
{
    if (client == NULL) {
        return;
    }
    client->has_ended = true;
    mosquitto_destroy(client->library);
    if (client->handles_open == 0) {
        free_client(client);
        return;
    }
    uv_close((uv_handle_t *)&client->poll, on_handle_closed);
    uv_close((uv_handle_t *)&client->timer, on_handle_closed);
}

/* -- for its owner -- */

void osr_mqtt_client_subscribe(struct osr_mqtt_client *client, struct osr_mqtt_topic *filters,
                               size_t count)
{
    char *texts[OSR_MQTT_FILTERS_MAX];

    assert(count > 0 && count <= OSR_MQTT_FILTERS_MAX);
    for (size_t i = 0; i < count; i++) {
        texts[i] = filters[i].text;
    }
    /* Neither what we send ourselves, nor what somebody had the broker retain before. */
    int options = MQTT_SUB_OPT_NO_LOCAL | MQTT_SUB_OPT_SEND_RETAIN_NEVER;
    int result = mosquitto_subscribe_multiple(client->library, NULL, (int)count, texts,
                                              OSR_MQTT_QOS, options, NULL);
    if (result != MOSQ_ERR_SUCCESS) {
        fail_result(client, result, errno);
    }
}

static mosquitto_property *properties_of(const struct osr_bus_message *message)
{
    mosquitto_property *properties = NULL;

    if (message->content_type != NULL) {
        mosquitto_property_add_string(&properties, MQTT_PROP_CONTENT_TYPE, message->content_type);
    }
    if (message->reply_to != NULL) {
        mosquitto_property_add_string(&properties, MQTT_PROP_RESPONSE_TOPIC, message->reply_to);
    }
    if (message->correlation.size > 0) {
        mosquitto_property_add_binary(&properties, MQTT_PROP_CORRELATION_DATA,
                                      message->correlation.data,
                                      (uint16_t)message->correlation.size);
    }
    return properties;
}

/* Whether the message is at fault, not the connection. */
static bool is_about_message(int result)
{
    return result == MOSQ_ERR_INVAL || result == MOSQ_ERR_MALFORMED_UTF8 ||
           result == MOSQ_ERR_PAYLOAD_SIZE || result == MOSQ_ERR_OVERSIZE_PACKET ||
           result == MOSQ_ERR_QOS_NOT_SUPPORTED;
}

int osr_mqtt_client_publish(struct osr_mqtt_client *client, const struct osr_mqtt_topic *topic,
                            const struct osr_bus_message *message, uint16_t *ret_id,
                            struct osr_err *err)
{
    mosquitto_property *properties = properties_of(message);
    int id = 0;
    int result = mosquitto_publish_v5(client->library, &id, topic->text, (int)message->body.size,
                                      message->body.data, OSR_MQTT_QOS, false, properties);
    int errno_value = errno;

    mosquitto_property_free_all(&properties);
    if (is_about_message(result)) {
        return osr_mqtt_result_error(err, client->url, result, errno_value);
    }
    if (result != MOSQ_ERR_SUCCESS) {
        fail_result(client, result, errno_value);
    }
    poll_again(client);
    *ret_id = (uint16_t)id;
    return 0;
}

void osr_mqtt_client_read(struct osr_mqtt_client *client, bool on)
{
    client->is_reading = on;
    poll_again(client);
}

void osr_mqtt_client_end(struct osr_mqtt_client *client)
{
    if (client->is_ending) {
        return;
    }
    client->is_ending = true;
    mosquitto_disconnect_v5(client->library, MQTT_RC_DISCONNECT_WITH_WILL_MSG, NULL);
    uv_timer_start(&client->timer, on_timer, 0, TICK_MS); /* it may be out already */
}
