/* bench_bare_amqp.c -- librabbitmq's own rate through a broker: published with confirms, into a
 * queue that goes with its connection, acknowledged by who takes them; bench_bare.h says how it is
 * called. PLACE: the broker's port on this machine. */
#include <amqp.h>
#include <amqp_tcp_socket.h>

#include "bench_bare.h"

enum { CHANNEL = 1, FRAME_BYTES = 131072, PREFETCH = 1024, LOOK_EVERY = 32 };

static const char queue[] = "osiris.bench.bare";
static amqp_connection_state_t publisher, consumer;

static void check(amqp_connection_state_t connection, const char *what)
{
    if (amqp_get_rpc_reply(connection).reply_type != AMQP_RESPONSE_NORMAL) {
        fprintf(stderr, "amqp: %s\n", what);
        exit(1);
    }
}

static amqp_connection_state_t connect_to(int port)
{
    amqp_connection_state_t connection = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(connection);
    bare_check(socket != NULL && amqp_socket_open(socket, "127.0.0.1", port) == 0, "amqp");
    amqp_rpc_reply_t reply =
        amqp_login(connection, "/", 0, FRAME_BYTES, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest");
    bare_check(reply.reply_type == AMQP_RESPONSE_NORMAL, "login");
    amqp_channel_open(connection, CHANNEL);
    check(connection, "channel");
    return connection;
}

static void open_connections(const char *place)
{
    consumer = connect_to(atoi(place));
    amqp_queue_declare(consumer, CHANNEL, amqp_cstring_bytes(queue), 0, 0, 1, 1, amqp_empty_table);
    check(consumer, "queue");
    amqp_basic_qos(consumer, CHANNEL, 0, PREFETCH, 0);
    amqp_basic_consume(consumer, CHANNEL, amqp_cstring_bytes(queue), amqp_empty_bytes, 0, 0, 1,
                       amqp_empty_table);
    check(consumer, "consume");
    publisher = connect_to(atoi(place));
    amqp_confirm_select(publisher, CHANNEL);
    check(publisher, "confirm");
}

static void take_confirms(void)
{
    amqp_frame_t frame;
    struct timeval now = {0};
    while (amqp_simple_wait_frame_noblock(publisher, &frame, &now) == AMQP_STATUS_OK) {
        bare_check(frame.frame_type == AMQP_FRAME_METHOD &&
                       frame.payload.method.id == AMQP_BASIC_ACK_METHOD,
                   "not confirmed");
        amqp_maybe_release_buffers(publisher);
    }
}

static void send_message(const void *message, size_t size)
{
    static unsigned sent;
    const amqp_bytes_t body = {size, (void *)(uintptr_t)message};
    int code = amqp_basic_publish(publisher, CHANNEL, amqp_empty_bytes, amqp_cstring_bytes(queue),
                                  0, 0, NULL, body);
    bare_check(code == AMQP_STATUS_OK, "publish");
    if (++sent % LOOK_EVERY == 0) {
        take_confirms();
    }
}

static void receive(void)
{
    unsigned count = 0;
    for (;;) {
        amqp_envelope_t envelope;
        amqp_maybe_release_buffers(consumer);
        amqp_rpc_reply_t reply = amqp_consume_message(consumer, &envelope, NULL, 0);
        bare_check(reply.reply_type == AMQP_RESPONSE_NORMAL, "consume");
        bare_received(envelope.message.body.bytes, envelope.message.body.len);
        if (++count % LOOK_EVERY == 0) {
            amqp_basic_ack(consumer, CHANNEL, envelope.delivery_tag, 1);
        }
        amqp_destroy_envelope(&envelope);
    }
}

int main(int argc, char **argv)
{
    static const struct bare_carrier carrier = {open_connections, send_message, receive};
    return bare_main(argc, argv, &carrier);
}
