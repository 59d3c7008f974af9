/* mqtt_requests.h -- requests that come by MQTT, and their replies: the role CLIENTS of bus.h, made
 * of two buses.
 *
 * The broker's word that it has taken our replies comes in one line with its messages. On a single
 * connection, who takes no further request until replies have gone would never hear that they have.
 * So requests come over one connection and replies go over another.
 *
 * Happy path: the bus of replies comes up -> that of requests is opened, and comes up -> up. Where
 * replies cannot go, no request is taken: that bus is closed, and the broker keeps what comes.
 *
 * Threads: the loop's. */
#ifndef OSR_ADAPTER_MQTT_REQUESTS_H
#define OSR_ADAPTER_MQTT_REQUESTS_H

#include "adapter/bus.h"

/* Promises as osr_bus_open. */
int osr_mqtt_requests_open(const struct osr_bus_options *options, struct osr_bus **ret_bus,
                           struct osr_err *err);

#endif
