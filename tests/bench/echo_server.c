/* echo_server.c -- a server on Osiris's gRPC layer that decodes each request and sends it back.
 *
 * usage: echo_server PORT */
#include <stdio.h>
#include <stdlib.h>

#include "bench_loop.h"
#include "echo.pb-c.h"
#include "wire/codec.h"
#include "wire/grpc.h"

enum {
    MESSAGE_BYTES_MAX = 4 << 20,
    PRODUCE_BYTES = 256 << 10,
    QUEUED_BYTES_MAX = 1 << 20,
    ARENA_BYTES = 1 << 20,
    STREAM_MESSAGES = 10000, /* that answer one Stream */
};

struct peer {
    struct osr_connection *connection;
    struct osr_grpc *grpc;
};

static struct osr_arena *arena;

static void write_out(struct peer *peer)
{
    struct osr_buffer output = {0};
    size_t queued = osr_connection_queued(peer->connection);
    while (queued < QUEUED_BYTES_MAX && osr_grpc_produce(peer->grpc, &output, PRODUCE_BYTES)) {
        queued += output.size;
        osr_connection_write(peer->connection, &output);
    }
}

/* ---- calls ---- */

/* What a Stream still has to send. */
struct stream {
    size_t left;
    Osiris__Bench__EchoMessage message;
    char *text;
};

static const struct osr_grpc_end good_end = {.code = OSR_GRPC_OK};

static void on_call(void *context, struct osr_grpc_call *call, const struct osr_grpc_head *head)
{
    (void)context;
    if (osr_slice_equal(head->path, osr_slice_text("/osiris.bench.Echo/Stream"))) {
        osr_grpc_call_set_user(call, osr_alloc(sizeof(struct stream)));
    } else if (!osr_slice_equal(head->path, osr_slice_text("/osiris.bench.Echo/Call"))) {
        osr_grpc_finish(call, &(struct osr_grpc_end){.code = OSR_GRPC_UNIMPLEMENTED});
    }
}

static void send_message(struct osr_grpc_call *call, const ProtobufCMessage *message)
{
    osr_message_encode(OSR_CODEC_PROTOBUF, message, osr_grpc_message_begin(call));
    osr_grpc_message_end(call);
}

static void send_stream(struct osr_grpc_call *call, struct stream *stream)
{
    while (stream->left > 0 && !osr_grpc_is_full(call)) {
        send_message(call, &stream->message.base);
        if (--stream->left == 0) {
            osr_grpc_finish(call, &good_end);
        }
    }
}

static void on_message(void *context, struct osr_grpc_call *call, struct osr_slice bytes)
{
    ProtobufCMessage *message;
    struct osr_err err;
    (void)context;
    osr_arena_reset(arena);
    if (osr_message_decode(OSR_CODEC_PROTOBUF, &osiris__bench__echo_message__descriptor, bytes,
                           arena, &message, &err) != 0) {
        osr_grpc_cancel(call, OSR_GRPC_INVALID_ARGUMENT, err.message);
        return;
    }
    struct stream *stream = osr_grpc_call_user(call);
    if (stream == NULL) {
        send_message(call, message);
        return;
    }
    stream->text = osr_strdup(((const Osiris__Bench__EchoMessage *)message)->text);
    osiris__bench__echo_message__init(&stream->message);
    stream->message.text = stream->text;
    stream->left = STREAM_MESSAGES;
    send_stream(call, stream);
}

static void on_half_close(void *context, struct osr_grpc_call *call)
{
    (void)context;
    if (osr_grpc_call_user(call) == NULL) {
        osr_grpc_finish(call, &good_end);
    }
}

static void on_room(void *context, struct osr_grpc_call *call)
{
    (void)context;
    send_stream(call, osr_grpc_call_user(call));
}

static void on_end(void *context, struct osr_grpc_call *call, const struct osr_grpc_end *end)
{
    struct stream *stream = osr_grpc_call_user(call);
    (void)context;
    (void)end;
    if (stream != NULL) {
        free(stream->text);
        free(stream);
    }
}

/* ---- connections ---- */

static void on_read(void *context, struct osr_connection *connection, size_t size)
{
    struct peer *peer = context;
    struct osr_err err;
    int code =
        osr_grpc_receive(peer->grpc, osr_slice(bench_room, size), uv_now(uv_default_loop()), &err);
    write_out(peer);
    osr_connection_flush(connection);
    if (code != 0 || osr_grpc_is_over(peer->grpc)) {
        osr_connection_close(connection, false);
    }
}

static void on_drain(void *context, struct osr_connection *connection)
{
    (void)connection;
    write_out(context);
}

static void on_close(void *context, struct osr_connection *connection, const struct osr_err *err)
{
    struct peer *peer = context;
    (void)connection;
    (void)err;
    osr_grpc_destroy(peer->grpc);
    free(peer);
}

static void on_accept(void *context, struct osr_connection *connection)
{
    static const struct osr_connection_handler connection_handler = {
        .on_room = bench_give_room, .on_read = on_read, .on_drain = on_drain, .on_close = on_close};
    static const struct osr_grpc_handler handler = {.on_call = on_call,
                                                    .on_message = on_message,
                                                    .on_half_close = on_half_close,
                                                    .on_room = on_room,
                                                    .on_end = on_end};
    const struct osr_grpc_options options = {.is_server = true,
                                             .message_bytes_max = MESSAGE_BYTES_MAX};
    struct peer *peer = osr_alloc(sizeof(*peer));
    (void)context;
    peer->connection = connection;
    peer->grpc = osr_grpc_create(&options, &handler, uv_now(uv_default_loop()));
    osr_connection_accept(connection, &connection_handler, peer);
    osr_connection_read(connection, true);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: echo_server PORT\n");
        return 64;
    }
    arena = osr_arena_create(ARENA_BYTES, ARENA_BYTES);
    return bench_serve("echo_server", argv[1], on_accept);
}
