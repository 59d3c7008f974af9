#include "adapter/amqp_failure.h"

#include <stdlib.h>

static int prefix(const struct osr_url *url, struct osr_err *err)
{
    char *text = osr_url_place(url);
    int code = (int)osr_err_prefix(err, "%s", text);
    free(text);
    return code;
}

int osr_amqp_status_failure(const struct osr_url *url, const char *doing, int status,
                            struct osr_err *err)
{
    osr_err_set(err, OSR_UNAVAILABLE, "%s: %s", doing, amqp_error_string2(status));
    switch (status) {
    case AMQP_STATUS_HOSTNAME_RESOLUTION_FAILED:
        osr_err_hint(err, "look at the broker's name: %s", url->host);
        break;
    case AMQP_STATUS_SOCKET_ERROR:
        osr_err_hint(err, "is the broker running, and does it listen at port %u?", url->port);
        break;
    case AMQP_STATUS_SSL_CONNECTION_FAILED:
        osr_err_hint(err, "does port %u of the broker speak TLS? Without it: amqp://", url->port);
        break;
    default:
        break;
    }
    return prefix(url, err);
}

static const char *user_of(const struct osr_url *url)
{
    return url->user[0] != '\0' ? url->user : "guest";
}

static const char *vhost_of(const struct osr_url *url)
{
    const char *vhost = osr_url_parameter(url, "vhost");
    return vhost != NULL ? vhost : "/";
}

static void explain_connection_close(const struct osr_url *url, uint16_t reply_code,
                                     struct osr_err *err)
{
    switch (reply_code) {
    case AMQP_ACCESS_REFUSED:
        err->code = OSR_UNAUTHENTICATED;
        osr_err_hint(err,
                     "the broker knows no user '%s' with this password: look at "
                     "password_file, or rabbitmqctl change_password",
                     user_of(url));
        break;
    case AMQP_NOT_ALLOWED:
        err->code = OSR_PERMISSION_DENIED;
        osr_err_hint(err,
                     "choose another with ?vhost=, or give it: rabbitmqctl add_vhost '%s'; "
                     "rabbitmqctl set_permissions -p '%s' %s ...",
                     vhost_of(url), vhost_of(url), user_of(url));
        break;
    default:
        break;
    }
}

static void explain_channel_close(const struct osr_url *url, uint16_t reply_code,
                                  struct osr_err *err)
{
    switch (reply_code) {
    case AMQP_ACCESS_REFUSED:
        err->code = OSR_PERMISSION_DENIED;
        osr_err_hint(err,
                     "rabbitmqctl set_permissions -p '%s' %s, to configure, write and read "
                     "what it names (docs/protocols.md)",
                     vhost_of(url), user_of(url));
        break;
    case AMQP_RESOURCE_LOCKED:
        err->code = OSR_IN_USE;
        osr_err_hint(err, "another instance listens at this address (or this one did, and the "
                          "broker has not noticed that it left: some seconds); choose another");
        break;
    case AMQP_PRECONDITION_FAILED:
        err->code = OSR_CONFIG;
        osr_err_hint(err, "something else of this name is at the broker: delete it there, or "
                          "choose another address");
        break;
    default:
        break;
    }
}

static void set_refusal(struct osr_err *err, const char *doing, amqp_bytes_t reply_text)
{
    osr_err_set(err, OSR_UNAVAILABLE, "%s: %.*s", doing, (int)reply_text.len,
                (const char *)reply_text.bytes);
}

int osr_amqp_close_failure(const struct osr_url *url, const char *doing,
                           const amqp_method_t *method, struct osr_err *err)
{
    if (method->id == AMQP_CONNECTION_CLOSE_METHOD) {
        const amqp_connection_close_t *close = method->decoded;
        set_refusal(err, doing, close->reply_text);
        explain_connection_close(url, close->reply_code, err);
    } else if (method->id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *close = method->decoded;
        set_refusal(err, doing, close->reply_text);
        explain_channel_close(url, close->reply_code, err);
    } else {
        osr_err_set(err, OSR_UNAVAILABLE, "%s: unexpected %s from the broker", doing,
                    amqp_method_name(method->id));
    }
    return prefix(url, err);
}

int osr_amqp_reply_failure(const struct osr_url *url, const char *doing,
                           const amqp_rpc_reply_t *reply, struct osr_err *err)
{
    if (reply->reply_type == AMQP_RESPONSE_SERVER_EXCEPTION) {
        return osr_amqp_close_failure(url, doing, &reply->reply, err);
    }
    int status = reply->reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION
                     ? reply->library_error
                     : AMQP_STATUS_CONNECTION_CLOSED;
    return osr_amqp_status_failure(url, doing, status, err);
}
