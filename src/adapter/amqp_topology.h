/* amqp_topology.h -- declares at a broker what each role of bus.h needs, and begins to take from
 * it: the same at the first connection and at every other one. Blocks: for the thread of
 * amqp_thread.h. */
#ifndef OSR_ADAPTER_AMQP_TOPOLOGY_H
#define OSR_ADAPTER_AMQP_TOPOLOGY_H

#include <amqp.h>

#include "adapter/bus.h"

enum {
    OSR_AMQP_CHANNEL = 1, /* the only one */
    /* Of a queue that goes with its connection; the oldest messages go first. Links keep far below
     * it by themselves: stops whoever may write to it from filling the broker's memory. */
    OSR_AMQP_LINK_QUEUE_BYTES_MAX = 64 << 20,
};

struct osr_amqp_topology {
    char queue[OSR_BUS_ADDRESS_BYTES_MAX + 1];  /* taken from; "": nothing is */
    char target[OSR_BUS_ADDRESS_BYTES_MAX + 1]; /* a DIALLER's listener */
};

/* Where a broker's own names for queues begin: nobody can choose such a name, so that what is sent
 * there reaches only who declared a queue without a name. */
#define OSR_AMQP_SERVER_NAMED "amq.gen-"

/* Opens the channel, with confirms, and declares. */
int osr_amqp_topology_declare(amqp_connection_state_t connection, const struct osr_url *url,
                              enum osr_bus_role role, struct osr_amqp_topology *ret_topology,
                              struct osr_err *err);

#endif
