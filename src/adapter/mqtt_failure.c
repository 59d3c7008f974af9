#include "adapter/mqtt_failure.h"

#include <mosquitto.h>
#include <mqtt_protocol.h>

/* Codes and hints for what people can do something about; for the rest the library has words. */
static const struct hint {
    int reason;
    enum osr_code code;
    const char *text;
} hints[] = {
    {MQTT_RC_NOT_AUTHORIZED, OSR_PERMISSION_DENIED,
     "let our user do that in the broker's access list (mosquitto: acl_file)"},
    {MQTT_RC_QUOTA_EXCEEDED, OSR_BUSY, "the broker's own limits for our user are used up"},
    {MQTT_RC_PACKET_TOO_LARGE, OSR_TOO_LARGE,
     "raise the broker's limit (mosquitto: max_packet_size, message_size_limit)"},
    {MQTT_RC_SESSION_TAKEN_OVER, OSR_DUPLICATE_IDENTITY,
     "another program is connected with our client id: is a copy of this instance running?"},
    {MQTT_RC_SERVER_SHUTTING_DOWN, OSR_UNAVAILABLE, "it is tried again until the broker is back"},
    {MQTT_RC_TOPIC_NAME_INVALID, OSR_PERMISSION_DENIED,
     "the broker does not take this topic: choose another address in the URL"},
};

enum osr_code osr_mqtt_reason_error(struct osr_err *err, const char *url, int reason,
                                    const char *what)
{
    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
        if (hints[i].reason == reason) {
            osr_err_set(err, hints[i].code, "%s: %s: %s", url, what,
                        mosquitto_reason_string(reason));
            osr_err_hint(err, "%s", hints[i].text);
            return hints[i].code;
        }
    }
    osr_err_set(err, OSR_UNAVAILABLE, "%s: %s: %s", url, what, mosquitto_reason_string(reason));
    osr_err_hint(err, "the broker's log says more");
    return OSR_UNAVAILABLE;
}

static bool is_about_who_we_are(int reason)
{
    return reason == MQTT_RC_NOT_AUTHORIZED || reason == MQTT_RC_BANNED ||
           reason == MQTT_RC_BAD_USERNAME_OR_PASSWORD;
}

enum osr_code osr_mqtt_login_error(struct osr_err *err, const char *url, int reason,
                                   const struct osr_broker_login *login)
{
    if (reason == MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION) {
        osr_err_set(err, OSR_UNSUPPORTED_VERSION, "%s: the broker does not speak MQTT 5", url);
        osr_err_hint(err, "mosquitto does from version 1.6 on");
        return OSR_UNSUPPORTED_VERSION;
    }
    if (!is_about_who_we_are(reason)) {
        return osr_mqtt_reason_error(err, url, reason, "the broker does not let us in");
    }
    osr_err_set(err, OSR_UNAUTHENTICATED, "%s: the broker refuses our login: %s", url,
                mosquitto_reason_string(reason));
    if (login->user == NULL) {
        osr_err_hint(err, "name a user before the broker, and ?password_file=PATH behind");
    } else {
        osr_err_hint(err,
                     "check what the broker knows of user '%s', and the password in "
                     "password_file",
                     login->user);
    }
    return OSR_UNAUTHENTICATED;
}

enum osr_code osr_mqtt_result_error(struct osr_err *err, const char *url, int result,
                                    int errno_value)
{
    switch (result) {
    case MOSQ_ERR_ERRNO:
        return osr_err_errno(err, OSR_UNAVAILABLE, errno_value, "%s: the connection broke", url);
    case MOSQ_ERR_CONN_LOST:
    case MOSQ_ERR_NO_CONN:
        osr_err_set(err, OSR_UNAVAILABLE, "%s: the broker has closed the connection", url);
        osr_err_hint(err, "the broker's log may say why");
        return OSR_UNAVAILABLE;
    case MOSQ_ERR_KEEPALIVE:
        osr_err_set(err, OSR_TIMEOUT, "%s: the broker does not answer any more", url);
        osr_err_hint(err, "check the broker and the network to it");
        return OSR_TIMEOUT;
    case MOSQ_ERR_PROTOCOL:
    case MOSQ_ERR_MALFORMED_PACKET:
        osr_err_set(err, OSR_MALFORMED, "%s: the answer is not MQTT 5", url);
        osr_err_hint(err, "is this the port of an MQTT broker, and is TLS (mqtts) wanted there?");
        return OSR_MALFORMED;
    case MOSQ_ERR_OVERSIZE_PACKET:
    case MOSQ_ERR_PAYLOAD_SIZE:
        return osr_mqtt_reason_error(err, url, MQTT_RC_PACKET_TOO_LARGE, "a message is too large");
    case MOSQ_ERR_QOS_NOT_SUPPORTED:
        return osr_mqtt_reason_error(err, url, MQTT_RC_QOS_NOT_SUPPORTED, "publishing");
    default:
        return osr_err_set(err, OSR_UNAVAILABLE, "%s: %s", url, mosquitto_strerror(result));
    }
}
