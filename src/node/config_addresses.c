#include "node/config_addresses.h"

#include <string.h>

/* Whoever comes in plaintext shows a token or a password at most. */
static int check_auth(const char *key, const struct osr_url *url, struct osr_err *err)
{
    if (osr_url_parameter(url, "auth") == NULL || osr_url_is_secure(url)) {
        return 0;
    }
    osr_err_set(err, OSR_CONFIG, "%s: %s: auth goes with all but tcp, grpc, unix and for=clients",
                key, url->text);
    osr_err_hint(err, "take auth out, or listen with TLS");
    return OSR_CONFIG;
}

static int refuse(struct osr_err *err, const char *key, const struct osr_url *url, const char *why,
                  const char *hint)
{
    osr_err_set(err, OSR_CONFIG, "%s: %s: %s", key, url->text, why);
    osr_err_hint(err, "%s", hint);
    return OSR_CONFIG;
}

/* A password that everybody on the way reads is everybody's, whatever is encrypted end to end. */
static int check_password(const struct osr_config *config, const char *key,
                          const struct osr_url *url, struct osr_err *err)
{
    if (osr_url_parameter(url, "password_file") == NULL) {
        return 0;
    }
    if (!osr_url_is_broker(url)) {
        return refuse(err, key, url, "password_file goes with brokers", "take it out");
    }
    if (config->insecure || osr_url_is_broker_secure(url) || osr_url_is_loopback(url)) {
        return 0;
    }
    osr_err_set(err, OSR_CONFIG, "%s: %s: the password would go to the broker unencrypted", key,
                url->text);
    osr_err_hint(err,
                 "use %ss://, or write `insecure: true` (--insecure) if the network is trusted",
                 url->scheme);
    return OSR_CONFIG;
}

int osr_config_check_broker(const struct osr_config *config, const char *key,
                            const struct osr_url *url, struct osr_err *err)
{
    if (osr_url_parameter(url, "ca_file") != NULL && !osr_url_is_broker_secure(url)) {
        return refuse(err, key, url,
                      "ca_file goes with mqtts and amqps, and makes no TLS by itself",
                      "use one of them, or take ca_file out");
    }
    if (osr_url_parameter(url, "vhost") != NULL && strncmp(url->scheme, "amqp", 4) != 0) {
        return refuse(err, key, url, "vhost goes with amqp and amqps", "take it out");
    }
    return check_password(config, key, url, err);
}

/* Who writes there: over ZeroMQ each shows it by a key; at a broker the config says it, or an AMQP
 * broker, which makes sure of user-ids. */
static int check_as(const struct osr_url *url, struct osr_err *err)
{
    bool is_given = osr_url_parameter(url, "as") != NULL;
    if (is_given && !osr_url_is_broker(url)) {
        return refuse(err, "listen", url, "clients of ZeroMQ show who they are by their keys",
                      "take `as` out; `osiris client add NAME` lets one in");
    }
    if (!is_given && strncmp(url->scheme, "mqtt", strlen("mqtt")) == 0) {
        return refuse(err, "listen", url, "an MQTT broker does not say who sends a request",
                      "add &as=NAME: all who may write to the topic are client:NAME");
    }
    return 0;
}

/* Requests and replies go as they are. */
static int check_for_clients(const struct osr_config *config, const struct osr_url *url,
                             struct osr_err *err)
{
    if (!osr_url_is_bus(url)) {
        return refuse(err, "listen", url, "for=clients goes with mqtt, mqtts, amqp, amqps and zmq",
                      "take it out: ordinary clients may come by every other listener");
    }
    if (osr_config_is_seed(url)) {
        return refuse(err, "listen", url, "seed programs come by a stream",
                      "take one of peer=seed and for=clients out");
    }
    int code = check_as(url, err);
    if (code != 0) {
        return code;
    }
    bool is_plaintext = osr_url_is_broker(url) && !osr_url_is_broker_secure(url);
    if (!is_plaintext || config->insecure || osr_url_is_loopback(url)) {
        return 0;
    }
    osr_err_set(err, OSR_CONFIG,
                "listen: %s: everybody on the way to the broker could read what is asked and "
                "answered",
                url->text);
    osr_err_hint(err,
                 "use %ss://, or write `insecure: true` (--insecure) if the network is trusted",
                 url->scheme);
    return OSR_CONFIG;
}

static int check_no_as(const char *key, const struct osr_url *url, struct osr_err *err)
{
    if (osr_url_parameter(url, "as") == NULL) {
        return 0;
    }
    return refuse(err, key, url, "`as` goes with for=clients",
                  "add for=clients to take requests of ordinary clients, or take `as` out");
}

int osr_config_check_listener(const struct osr_config *config, const struct osr_url *url,
                              struct osr_err *err)
{
    int code = check_auth("listen", url, err);
    if (code == 0 && osr_url_is_for_clients(url)) {
        return check_for_clients(config, url, err);
    }
    if (code == 0) {
        code = check_no_as("listen", url, err);
    }
    if (code != 0) {
        return code;
    }
    if (osr_url_is_loopback(url)) {
        return 0;
    }
    if (osr_config_is_seed(url)) {
        osr_err_set(err, OSR_CONFIG,
                    "listen: %s: a listener for seed programs must be on loopback, because they "
                    "cannot say who they are",
                    url->text);
        osr_err_hint(err, "listen at tcp://127.0.0.1:%u?peer=seed", url->port);
        return OSR_CONFIG;
    }
    if (config->insecure || osr_url_is_secure(url)) {
        return 0;
    }
    osr_err_set(err, OSR_CONFIG,
                "listen: %s: everybody who reaches it from another machine could read everything "
                "and add to it, unencrypted",
                url->text);
    osr_err_hint(err,
                 "listen at tcp://127.0.0.1:%u, or write `insecure: true` (--insecure) if "
                 "the network is trusted",
                 url->port);
    return OSR_CONFIG;
}

int osr_config_check_peer(const struct osr_url *url, struct osr_err *err)
{
    int code = check_auth("peer", url, err);
    if (code == 0 && osr_url_is_for_clients(url)) {
        return refuse(err, "peer", url, "for=clients is for listeners",
                      "take it out: an instance is dialled at an address for instances");
    }
    if (code == 0) {
        code = check_no_as("peer", url, err);
    }
    if (code != 0) {
        return code;
    }
    if (osr_config_is_seed(url) && strcmp(url->scheme, "tcp") != 0) {
        return (int)osr_err_set(err, OSR_CONFIG, "peer: %s: seed programs are reached by tcp://",
                                url->text);
    }
    if (osr_url_parameter(url, "settle_ms") != NULL && !osr_config_is_seed(url)) {
        return (int)osr_err_set(err, OSR_CONFIG, "peer: %s: settle_ms goes with peer=seed only",
                                url->text);
    }
    if (strcmp(url->scheme, "unix") != 0 && url->port == 0) {
        return (int)osr_err_set(err, OSR_CONFIG, "peer: %s: port 0 cannot be dialled", url->text);
    }
    return 0;
}
