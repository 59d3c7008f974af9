/* bench_bare_zmq.c -- libzmq's own rate: PUSH to PULL over TCP; bench_bare.h says how it is called.
 * PLACE: tcp://127.0.0.1:PORT. */
#include <zmq.h>

#include "bench_bare.h"

enum { HIGH_WATER_MARK = 1 << 16 }; /* above any window: nothing waits for the library */

static void *sender, *receiver;

static void *make_socket(void *context, int type, int option)
{
    void *socket = zmq_socket(context, type);
    int mark = HIGH_WATER_MARK;
    bare_check(socket != NULL && zmq_setsockopt(socket, option, &mark, sizeof(mark)) == 0, "zmq");
    return socket;
}

static void open_sockets(const char *place)
{
    void *context = zmq_ctx_new();
    receiver = make_socket(context, ZMQ_PULL, ZMQ_RCVHWM);
    sender = make_socket(context, ZMQ_PUSH, ZMQ_SNDHWM);
    bare_check(zmq_bind(receiver, place) == 0, place);
    bare_check(zmq_connect(sender, place) == 0, place);
}

static void send_message(const void *message, size_t size)
{
    bare_check(zmq_send(sender, message, size, 0) >= 0, "zmq_send");
}

static void receive(void)
{
    static char message[BARE_BYTES_MAX];
    for (;;) {
        int size = zmq_recv(receiver, message, sizeof(message), 0);
        bare_check(size >= 0, "zmq_recv");
        bare_received(message, (size_t)size);
    }
}

int main(int argc, char **argv)
{
    static const struct bare_carrier carrier = {open_sockets, send_message, receive};
    return bare_main(argc, argv, &carrier);
}
