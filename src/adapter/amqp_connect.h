/* amqp_connect.h -- from a URL to an AMQP connection that is logged in. Blocks up to
 * OSR_BUS_CONNECT_MS for each of its steps, and as long as the system looks for the name: for the
 * thread of amqp_thread.h. */
#ifndef OSR_ADAPTER_AMQP_CONNECT_H
#define OSR_ADAPTER_AMQP_CONNECT_H

#include <amqp.h>

#include "adapter/broker_login.h"
#include "base/error.h"
#include "base/url.h"

enum { OSR_AMQP_HEARTBEAT_S = 10 };

/* Without a user it is RabbitMQ's own default, guest, which may come from the same machine only. */
int osr_amqp_connect(const struct osr_url *url, const struct osr_broker_login *login,
                     amqp_connection_state_t *ret_connection, struct osr_err *err);

#endif
