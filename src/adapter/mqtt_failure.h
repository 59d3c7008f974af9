/* mqtt_failure.h -- what libmosquitto and a broker call wrong, in people's words with a hint. */
#ifndef OSR_ADAPTER_MQTT_FAILURE_H
#define OSR_ADAPTER_MQTT_FAILURE_H

#include "adapter/broker_login.h"
#include "base/error.h"

enum { OSR_MQTT_REFUSED = 0x80 }; /* reason codes from here on are refusals */

/* A result of libmosquitto (MOSQ_ERR_...); errno_value where that is MOSQ_ERR_ERRNO. */
enum osr_code osr_mqtt_result_error(struct osr_err *err, const char *url, int result,
                                    int errno_value);
/* A CONNACK's reason code. */
enum osr_code osr_mqtt_login_error(struct osr_err *err, const char *url, int reason,
                                   const struct osr_broker_login *login);
/* A PUBACK's, SUBACK's or DISCONNECT's; `what` failed: "publishing to osiris/office/gone". */
enum osr_code osr_mqtt_reason_error(struct osr_err *err, const char *url, int reason,
                                    const char *what);

#endif
