#include "adapter/amqp_topology.h"

#include <assert.h>
#include <stdio.h>

#include "adapter/amqp_failure.h"

/* After a call that gave NULL, or may have. */
static int check(amqp_connection_state_t connection, const struct osr_url *url, const char *doing,
                 struct osr_err *err)
{
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(connection);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        return osr_amqp_reply_failure(url, doing, &reply, err);
    }
    return 0;
}

static int open_channel(amqp_connection_state_t connection, const struct osr_url *url,
                        struct osr_err *err)
{
    amqp_channel_open(connection, OSR_AMQP_CHANNEL);
    int code = check(connection, url, "cannot open a channel", err);
    if (code != 0) {
        return code;
    }
    amqp_confirm_select(connection, OSR_AMQP_CHANNEL);
    return check(connection, url, "cannot have messages confirmed", err);
}

static int declare_exchange(amqp_connection_state_t connection, const struct osr_url *url,
                            struct osr_err *err)
{
    amqp_exchange_declare(connection, OSR_AMQP_CHANNEL, amqp_cstring_bytes(url->address),
                          amqp_cstring_bytes("topic"), 0, 1, 0, 0, amqp_empty_table);
    return check(connection, url, "cannot declare the exchange", err);
}

/* The broker tells its name for a queue declared without one. */
static int declare_queue(amqp_connection_state_t connection, const struct osr_url *url,
                         bool is_durable, amqp_table_entry_t *argument,
                         struct osr_amqp_topology *topology, struct osr_err *err)
{
    const amqp_table_t arguments = {.num_entries = 1, .entries = argument};
    amqp_queue_declare_ok_t *queue =
        amqp_queue_declare(connection, OSR_AMQP_CHANNEL, amqp_cstring_bytes(topology->queue), 0,
                           is_durable, !is_durable, !is_durable, arguments);
    int code = check(connection, url, "cannot declare the queue", err);
    if (code != 0) {
        return code;
    }
    if (queue == NULL || queue->queue.len > OSR_BUS_ADDRESS_BYTES_MAX) {
        return osr_amqp_status_failure(url, "cannot declare the queue", AMQP_STATUS_BAD_AMQP_DATA,
                                       err);
    }
    memcpy(topology->queue, queue->queue.bytes, queue->queue.len);
    topology->queue[queue->queue.len] = '\0';
    return 0;
}

static int declare_link_queue(amqp_connection_state_t connection, const struct osr_url *url,
                              struct osr_amqp_topology *topology, struct osr_err *err)
{
    amqp_table_entry_t argument = {
        amqp_cstring_bytes("x-max-length-bytes"),
        {.kind = AMQP_FIELD_KIND_I64, .value = {.i64 = OSR_AMQP_LINK_QUEUE_BYTES_MAX}},
    };
    return declare_queue(connection, url, false, &argument, topology, err);
}

static int declare_quorum_queue(amqp_connection_state_t connection, const struct osr_url *url,
                                struct osr_amqp_topology *topology, struct osr_err *err)
{
    amqp_table_entry_t argument = {
        amqp_cstring_bytes("x-queue-type"),
        {.kind = AMQP_FIELD_KIND_UTF8, .value = {.bytes = amqp_cstring_bytes("quorum")}},
    };
    return declare_queue(connection, url, true, &argument, topology, err);
}

static int consume(amqp_connection_state_t connection, const struct osr_url *url, bool is_alone,
                   const struct osr_amqp_topology *topology, struct osr_err *err)
{
    amqp_basic_qos(connection, OSR_AMQP_CHANNEL, 0, OSR_BUS_UNACKNOWLEDGED_MAX, 0);
    int code = check(connection, url, "cannot limit what comes", err);
    if (code != 0) {
        return code;
    }
    amqp_basic_consume(connection, OSR_AMQP_CHANNEL, amqp_cstring_bytes(topology->queue),
                       amqp_empty_bytes, 0, 0, is_alone, amqp_empty_table);
    return check(connection, url, "cannot take from the queue", err);
}

static void format_listener_queue(char *text, const struct osr_url *url)
{
    static_assert(sizeof(url->address) + 3 <= OSR_BUS_ADDRESS_BYTES_MAX, "A.in fits");
    snprintf(text, OSR_BUS_ADDRESS_BYTES_MAX + 1, "%s.in", url->address);
}

int osr_amqp_topology_declare(amqp_connection_state_t connection, const struct osr_url *url,
                              enum osr_bus_role role, struct osr_amqp_topology *ret_topology,
                              struct osr_err *err)
{
    struct osr_amqp_topology topology = {0};
    int code = open_channel(connection, url, err);
    if (code != 0) {
        return code;
    }
    switch (role) {
    case OSR_BUS_EVENTS:
        code = declare_exchange(connection, url, err);
        break;
    case OSR_BUS_LISTENER:
        format_listener_queue(topology.queue, url);
        code = declare_link_queue(connection, url, &topology, err);
        break;
    case OSR_BUS_DIALLER:
        format_listener_queue(topology.target, url);
        code = declare_link_queue(connection, url, &topology, err);
        break;
    case OSR_BUS_CLIENTS:
        snprintf(topology.queue, sizeof(topology.queue), "%s", url->address);
        code = declare_quorum_queue(connection, url, &topology, err);
        break;
    }
    if (code == 0 && role != OSR_BUS_EVENTS) {
        code = consume(connection, url, role != OSR_BUS_CLIENTS, &topology, err);
    }
    if (code == 0) {
        *ret_topology = topology;
    }
    return code;
}
