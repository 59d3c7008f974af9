/* mqtt_tls.h -- TLS to an MQTT broker (broker_tls.h), by OpenSSL under libmosquitto.
 *
 * libmosquitto would look for the name that it was told to connect to, which here is an address
 * that was looked up before; so the context itself knows the name. */
#ifndef OSR_ADAPTER_MQTT_TLS_H
#define OSR_ADAPTER_MQTT_TLS_H

#include <openssl/ssl.h>

#include "adapter/broker_login.h"

/* `url` must outlive the context. CONFIG: a ca_file without certificates. */
int osr_mqtt_tls_create(const struct osr_url *url, const struct osr_broker_login *login,
                        SSL_CTX **ret_tls, struct osr_err *err);
/* Why a handshake has failed; `ssl` may be NULL. */
enum osr_code osr_mqtt_tls_error(struct osr_err *err, const char *url, SSL *ssl);

#endif
