/* mqtt_library.h -- makes a handle of libmosquitto as we want it, and lets it begin to connect.
 *
 * It blocks where it looks up a name, and where it connects by those of its functions that take
 * properties of MQTT 5. So it is given an address, connects as mosquitto_connect_bind_async does,
 * and gets its properties before that. */
#ifndef OSR_ADAPTER_MQTT_LIBRARY_H
#define OSR_ADAPTER_MQTT_LIBRARY_H

#include <mosquitto.h>

#include "adapter/mqtt_client.h"

enum { OSR_MQTT_QOS = 1, OSR_MQTT_KEEP_ALIVE_S = 30 };

/* Without callbacks, which get `context`. To be given back by mosquitto_destroy. */
struct mosquitto *osr_mqtt_library_create(const struct osr_mqtt_client_options *options,
                                          void *context);
/* Begins; mosquitto_socket is open then. Fails where the system refuses at once. */
int osr_mqtt_library_connect(struct mosquitto *library,
                             const struct osr_mqtt_client_options *options, struct osr_err *err);
/* Why a connect has failed. */
void osr_mqtt_connect_error(struct osr_err *err, int errno_value, const char *url);

#endif
