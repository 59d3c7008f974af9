/* By which an instance is reached, and whom it dials: its doors. */
#include <stdlib.h>

#include "adapter/folder.h"
#include "adapter/message_calls.h"
#include "node/client_keys.h"
#include "node/instance_internal.h"
#include "node/listener_methods.h"

static void on_accept(void *context, struct osr_connection *connection)
{
    const struct osr_instance_door *door = context;
    osr_sessions_accept(door->instance->sessions, connection, door->seeds_allowed, door->methods);
}

/* Of ZeroMQ's clients; the instance keeps them, because its sockets use them. */
static int read_client_keys(struct osr_instance *instance, struct osr_err *err)
{
    return instance->client_keys != NULL
               ? 0
               : osr_client_keys_read(instance->config->data, &instance->client_keys, err);
}

static int listen_for_clients(struct osr_instance *instance, const struct osr_url *url,
                              struct osr_instance_door *door, struct osr_listener **ret_listener,
                              struct osr_err *err)
{
    int code = osr_url_is_broker(url) ? 0 : read_client_keys(instance, err);
    if (code != 0) {
        return code;
    }
    return osr_message_calls_listen(instance->loop, url, instance->services.instance,
                                    instance->client_keys, instance->trace, on_accept, door,
                                    ret_listener, err);
}

/* At once where it cannot go away; one at a broker may go and come back. */
static void on_change(void *context, struct osr_listener *listener, const struct osr_err *err)
{
    const struct osr_instance *instance = context;
    if (err == NULL) {
        osr_trace(instance->trace, OSR_LEVEL_INFO, "listening at %s", osr_listener_url(listener));
    } else {
        osr_trace(instance->trace, OSR_LEVEL_WARNING, "not listening there now: %s%s%s",
                  err->message, err->hint[0] != '\0' ? "; " : "", err->hint);
    }
}

static int listen_for_connections(struct osr_instance *instance, const struct osr_url *url,
                                  struct osr_instance_door *door,
                                  struct osr_listener **ret_listener, struct osr_err *err)
{
    int code =
        osr_transport_listen(instance->loop, url, osr_security_listener(instance->security, url),
                             on_accept, door, ret_listener, err);
    if (code == 0) {
        osr_listener_guard(*ret_listener, osr_sessions_gate(instance->sessions));
        osr_listener_watch(*ret_listener, on_change, instance);
    }
    return code;
}

static int listen_at(struct osr_instance *instance, const struct osr_url *url, struct osr_err *err)
{
    struct osr_listener **listener = &instance->listeners[instance->listener_count];
    struct osr_instance_door *door = &instance->doors[instance->listener_count];
    *door = (struct osr_instance_door){instance, osr_config_is_seed(url), osr_methods_of(url)};
    int code = osr_url_is_for_clients(url)
                   ? listen_for_clients(instance, url, door, listener, err)
                   : listen_for_connections(instance, url, door, listener, err);
    if (code != 0) {
        return code;
    }
    instance->services.listener_count = ++instance->listener_count;
    if (osr_listener_down(*listener) == NULL) {
        on_change(instance, *listener, NULL);
    }
    return 0;
}

static int listen_in_folder(struct osr_instance *instance, struct osr_err *err)
{
    struct osr_url url;
    char *text = osr_format("unix://%s/%s", instance->config->data, OSR_SOCKET_NAME);
    int code = osr_url_parse(text, &url, err);
    if (code == 0) {
        code = listen_at(instance, &url, err);
    }
    free(text);
    return code;
}

int osr_instance_open_doors(struct osr_instance *instance, struct osr_err *err)
{
    const struct osr_config *config = instance->config;
    int code = listen_in_folder(instance, err);
    for (size_t i = 0; code == 0 && i < config->listen_count; i++) {
        code = listen_at(instance, &config->listen[i], err);
    }
    for (size_t i = 0; code == 0 && i < config->peer_count; i++) {
        if (!osr_config_is_seed(&config->peer[i])) {
            code = osr_peers_add(instance->peers, &config->peer[i], err);
        }
    }
    return code;
}
