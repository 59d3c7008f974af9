/* message_calls.h -- requests of ordinary clients that come as messages (?for=clients): each
 * becomes a connection of its own behind transport.h, from which its body is read, then its end;
 * each piece that is written to it goes out as one reply to where the message says, with its
 * correlation and the media type of its codec. So what is above knows of no message.
 *
 * Bodies are given in the order in which they came: the next one when the one before was taken
 * whole. Who answers is not waited for, so that many are under way at a time.
 *
 * When the connection closes in good order the message is acknowledged to the bus: its writes are
 * durable then. One whose connection closes otherwise is given once more, after a pause; at the
 * second time it is acknowledged with a line in the log. Of those under way when the bus goes down,
 * or the listener is closed, none is acknowledged: the broker gives them again. So a request may be
 * done twice, and is not lost.
 *
 * Without a reply_to replies are dropped; so are those of a client that is gone, and of a request
 * that the broker will give again. What it asked for is done to its end all the same.
 *
 * Who it is (osr_connection_client): the URL's `as`, else whom the carrier has made sure of, else
 * nobody, "".
 *
 * Limits: below; the bus is not read past them. Replies wait, and with them who gives them, while
 * the bus is full.
 *
 * Threads: the loop's only. */
#ifndef OSR_ADAPTER_MESSAGE_CALLS_H
#define OSR_ADAPTER_MESSAGE_CALLS_H

#include "adapter/bus.h"
#include "adapter/connection.h"

enum {
    /* Of one listener at a time: stops many slow requests from taking the memory. */
    OSR_MESSAGE_CALLS_MAX = OSR_BUS_UNACKNOWLEDGED_MAX,
    OSR_MESSAGE_CALLS_BYTES_MAX = 32 << 20, /* of their bodies: likewise many large ones */
    OSR_MESSAGE_CALLS_RETRY_MS = 1000,      /* until what has failed is given once more */
};

/* A listener; `name` and `keys` as of struct osr_bus_options. Trace and keys outlive it. Fails as
 * osr_bus_open. */
int osr_message_calls_listen(uv_loop_t *loop, const struct osr_url *url, const char *name,
                             const struct osr_bus_keys *keys, const struct osr_trace *trace,
                             void (*on_accept)(void *context, struct osr_connection *connection),
                             void *context, struct osr_listener **ret_listener,
                             struct osr_err *err);

#endif
