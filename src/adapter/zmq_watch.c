#include "adapter/zmq_watch.h"

#include <assert.h>
#include <zmq.h>

#define MONITOR_ADDRESS "inproc://monitor"

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct osr_zmq_watch *watch = (struct osr_zmq_watch *)poll;

    (void)status, (void)events; /* libzmq is asked, whatever it is */
    watch->look(watch->context);
}

void osr_zmq_watch_start(struct osr_zmq_watch *watch, uv_loop_t *loop, void *socket,
                         void (*look)(void *context), void *context)
{
    int fd = -1;
    size_t size = sizeof(fd);
    int result = zmq_getsockopt(socket, ZMQ_FD, &fd, &size);

    assert(result == 0);
    watch->look = look;
    watch->context = context;
    watch->poll.data = context;
    result = uv_poll_init(loop, &watch->poll, fd);
    assert(result == 0);
    uv_poll_start(&watch->poll, UV_READABLE, on_poll);
}

void osr_zmq_watch_stop(struct osr_zmq_watch *watch, uv_close_cb on_closed)
{
    uv_poll_stop(&watch->poll);
    uv_close((uv_handle_t *)&watch->poll, on_closed);
}

/* -- monitors -- */

void *osr_zmq_monitor_open(void *library, void *socket)
{
    void *monitor = zmq_socket(library, ZMQ_PAIR);

    assert(monitor != NULL);
    zmq_setsockopt(monitor, ZMQ_LINGER, &(int){0}, sizeof(int));
    /* libzmq's thread waits where a monitor is full, and with it all connections. */
    zmq_setsockopt(monitor, ZMQ_RCVHWM, &(int){0}, sizeof(int));
    int result = zmq_socket_monitor(socket, MONITOR_ADDRESS, ZMQ_EVENT_ALL);
    assert(result == 0);
    result = zmq_connect(monitor, MONITOR_ADDRESS);
    assert(result == 0);
    return monitor;
}

void osr_zmq_monitor_close(void *monitor, void *socket)
{
    if (monitor != NULL) {
        zmq_socket_monitor(socket, NULL, 0);
        zmq_close(monitor);
    }
}

bool osr_zmq_monitor_next(void *monitor, struct osr_zmq_event *ret_event)
{
    uint8_t event[6]; /* in this machine's order */
    char address[256];
    int32_t value;

    if (zmq_recv(monitor, event, sizeof(event), ZMQ_DONTWAIT) != (int)sizeof(event)) {
        return false;
    }
    zmq_recv(monitor, address, sizeof(address), ZMQ_DONTWAIT); /* cut; nobody reads it */
    memcpy(&ret_event->what, event, sizeof(ret_event->what));
    memcpy(&value, event + sizeof(ret_event->what), sizeof(value));
    ret_event->value = value;
    return true;
}
