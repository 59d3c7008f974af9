/* zmq_watch.h -- a socket of libzmq's on a loop, and what happens to its connections.
 *
 * The descriptor of such a socket says only that libzmq has something for us, and only once: who
 * has been called must look until there is nothing left, and again after whatever it did itself. */
#ifndef OSR_ADAPTER_ZMQ_WATCH_H
#define OSR_ADAPTER_ZMQ_WATCH_H

#include <uv.h>

#include "base/bytes.h"

struct osr_zmq_watch {
    uv_poll_t poll;
    void (*look)(void *context);
    void *context;
};

void osr_zmq_watch_start(struct osr_zmq_watch *watch, uv_loop_t *loop, void *socket,
                         void (*look)(void *context), void *context);
/* Before the socket is closed. on_closed gets the handle, whose data is `context`. */
void osr_zmq_watch_stop(struct osr_zmq_watch *watch, uv_close_cb on_closed);

struct osr_zmq_event {
    uint16_t what; /* ZMQ_EVENT_... */
    int value;     /* a descriptor, or what the event says */
};

/* A socket from which the events of another one come; close it after that one's monitor has been
 * stopped. */
void *osr_zmq_monitor_open(void *library, void *socket);
void osr_zmq_monitor_close(void *monitor, void *socket); /* NULL is a no-op */
bool osr_zmq_monitor_next(void *monitor, struct osr_zmq_event *ret_event);

#endif
