#include "adapter/mqtt_library.h"

#include <assert.h>
#include <errno.h>
#include <mqtt_protocol.h>
#include <netdb.h>

#include "adapter/address.h"
#include "adapter/mqtt_failure.h"

enum {
    SESSION_S = 7 * 24 * 60 * 60,
    /* Around a body: the topic and the properties of a request. */
    PACKET_BYTES_MAX = OSR_BUS_MESSAGE_BYTES_MAX + (64 << 10),
    ADDRESS_CHARS = 64 + 1,
};

static void init_library(void)
{
    int result = mosquitto_lib_init();
    assert(result == MOSQ_ERR_SUCCESS);
    (void)result;
}

/* The last will: the broker tells for us that we are gone, however we go. */
static void set_will(struct mosquitto *library, const struct osr_mqtt_topic *topic)
{
    mosquitto_property *properties = NULL;

    mosquitto_property_add_string(&properties, MQTT_PROP_CONTENT_TYPE, OSR_MQTT_END_TYPE);
    int result =
        mosquitto_will_set_v5(library, topic->text, 0, NULL, OSR_MQTT_QOS, false, properties);
    assert(result == MOSQ_ERR_SUCCESS); /* the properties are the library's now */
    (void)result;
}

struct mosquitto *osr_mqtt_library_create(const struct osr_mqtt_client_options *options,
                                          void *context)
{
    static uv_once_t once = UV_ONCE_INIT;
    const struct osr_broker_login *login = options->login;

    uv_once(&once, init_library);
    struct mosquitto *library = mosquitto_new(options->id, !options->keeps_session, context);
    assert(library != NULL);
    mosquitto_int_option(library, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    mosquitto_int_option(library, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_int_option(library, MOSQ_OPT_RECEIVE_MAXIMUM, OSR_BUS_UNACKNOWLEDGED_MAX);
    mosquitto_int_option(library, MOSQ_OPT_SEND_MAXIMUM, UINT16_MAX); /* the broker has the say */
    mosquitto_username_pw_set(library, login->user,
                              login->password.size > 0 ? (char *)login->password.data : NULL);
    if (options->tls != NULL) {
        mosquitto_void_option(library, MOSQ_OPT_SSL_CTX, options->tls);
        mosquitto_int_option(library, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0); /* ours as it is */
    }
    if (options->end_topic != NULL) {
        set_will(library, options->end_topic);
    }
    return library;
}

/* Gives the library what CONNECT is to say beyond what it has options for. It takes properties only
 * where it connects at once, and blocks: a keep-alive that is out of range stops it before that,
 * and after it has kept them for the next try. */
static void set_properties(struct mosquitto *library, bool keeps_session)
{
    mosquitto_property *properties = NULL;
    int keep_alive_refused_s = 1;

    mosquitto_property_add_int32(&properties, MQTT_PROP_MAXIMUM_PACKET_SIZE, PACKET_BYTES_MAX);
    if (keeps_session) {
        mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, SESSION_S);
    }
    int result = mosquitto_connect_bind_v5(library, "", 0, keep_alive_refused_s, NULL, properties);
    assert(result == MOSQ_ERR_INVAL);
    (void)result;
    mosquitto_property_free_all(&properties);
}

void osr_mqtt_connect_error(struct osr_err *err, int errno_value, const char *url)
{
    osr_address_connect_error(err, errno_value, url, false);
    if (errno_value == ECONNREFUSED) {
        osr_err_errno(err, OSR_UNAVAILABLE, errno_value, "%s: cannot reach the broker", url);
        osr_err_hint(err, "is the broker running, and is this its port?");
    }
}

int osr_mqtt_library_connect(struct mosquitto *library,
                             const struct osr_mqtt_client_options *options, struct osr_err *err)
{
    char address[ADDRESS_CHARS];

    if (getnameinfo(options->address, options->address_size, address, sizeof(address), NULL, 0,
                    NI_NUMERICHOST) != 0) {
        return osr_err_set(err, OSR_UNAVAILABLE, "%s: an address of no use", options->url);
    }
    set_properties(library, options->keeps_session);
    int result = mosquitto_connect_bind_async(library, address, osr_address_port(options->address),
                                              OSR_MQTT_KEEP_ALIVE_S, NULL);
    if (result == MOSQ_ERR_ERRNO) {
        osr_mqtt_connect_error(err, errno, options->url);
        return err->code;
    }
    return result > 0 ? osr_mqtt_result_error(err, options->url, result, 0) : 0;
}
