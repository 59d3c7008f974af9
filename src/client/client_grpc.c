/* The client's side of gRPC (wire/grpc.h): each request is a call of the method that stands for its
 * frame (wire/method.h), its messages become reply frames.
 *
 * A reply is told when it is known whether it is the last one: with the next, or with the end of
 * the call. Those of a watch, which has no end, are told at once. */
#include <stdio.h>
#include <stdlib.h>

#include "adapter/clock.h"
#include "client/client_internal.h"
#include "model/limits.h"
#include "wire/codec.h"
#include "wire/grpc.h"
#include "wire/method.h"

enum { ARENA_KEEP_BYTES = 1 << 20, PRODUCE_BYTES = 256 << 10 };

struct rpc_state {
    struct osr_client *client;
    struct osr_grpc *grpc;
    char authority[300];
    struct osr_buffer input;
    struct osr_arena *arena; /* of the message being delivered */
};

struct rpc {
    struct osr_grpc_call *call;
    const struct osr_method *method;
    uint64_t request_id;
    struct osr_buffer reply; /* not told yet */
    bool has_reply;
};

/* ---- what the server says ---- */

static void deliver_message(struct rpc_state *state, struct osr_client_call *call,
                            const struct osr_method *method, struct osr_slice bytes, bool end)
{
    ProtobufCMessage *message;
    struct osr_err err;
    osr_arena_reset(state->arena);
    int code = osr_message_decode(OSR_CODEC_PROTOBUF, method->reply_descriptor, bytes, state->arena,
                                  &message, &err);
    if (code != OSR_OK) {
        osr_err_prefix(&err, "a reply of the instance");
        osr_client_deliver(state->client, call, NULL, &err);
        return;
    }
    Osr__Frame frame = OSR__FRAME__INIT;
    frame.request_id = call->request_id;
    frame.end = end;
    osr_frame_set_body(&frame, method->reply, message);
    osr_client_deliver(state->client, call, &frame, NULL);
}

static void on_message(void *context, struct osr_grpc_call *grpc_call, struct osr_slice bytes)
{
    struct rpc_state *state = context;
    struct rpc *rpc = osr_grpc_call_user(grpc_call);
    struct osr_client_call *call =
        rpc == NULL ? NULL : osr_client_find_call(state->client, rpc->request_id);
    if (call == NULL) {
        return;
    }
    if (rpc->method->request == OSR__FRAME__BODY_KB_WATCH) {
        deliver_message(state, call, rpc->method, bytes, false);
        return;
    }
    struct osr_buffer before = rpc->reply;
    rpc->reply = (struct osr_buffer){0};
    osr_buffer_add(&rpc->reply, bytes.data, bytes.size);
    if (rpc->has_reply) {
        deliver_message(state, call, rpc->method, osr_buffer_slice(&before), false);
    } else {
        rpc->has_reply = true;
    }
    osr_buffer_done(&before);
}

static void end_call(struct rpc_state *state, struct osr_client_call *call, const struct rpc *rpc,
                     const struct osr_grpc_end *end)
{
    struct osr_err err;
    if (end->code != OSR_GRPC_OK) {
        if (rpc->method->server_streams && rpc->has_reply) {
            deliver_message(state, call, rpc->method, osr_buffer_slice(&rpc->reply), false);
            call = osr_client_find_call(state->client, rpc->request_id);
        }
        osr_grpc_error_read((int)end->code, end->message, end->details, &err);
        if (call != NULL) {
            state->client->is_unprocessed = end->is_unprocessed;
            osr_client_deliver(state->client, call, NULL, &err);
        }
    } else if (!rpc->method->server_streams && !rpc->has_reply) {
        osr_err_set(&err, OSR_INTERNAL, "%s: the instance gave no reply", rpc->method->path);
        osr_client_deliver(state->client, call, NULL, &err);
    } else {
        deliver_message(state, call, rpc->method, osr_buffer_slice(&rpc->reply), true);
    }
}

static void destroy_rpc(struct rpc *rpc)
{
    osr_buffer_done(&rpc->reply);
    free(rpc);
}

static void on_end(void *context, struct osr_grpc_call *grpc_call, const struct osr_grpc_end *end)
{
    struct rpc_state *state = context;
    struct rpc *rpc = osr_grpc_call_user(grpc_call);
    if (rpc == NULL) {
        return; /* its caller has cancelled it */
    }
    struct osr_client_call *call = osr_client_find_call(state->client, rpc->request_id);
    if (call != NULL) {
        call->protocol_call = NULL;
        if (state->client->failure.code == OSR_OK) {
            end_call(state, call, rpc, end);
        }
    }
    destroy_rpc(rpc);
}

/* ---- requests ---- */

static int send_request(void *context, struct osr_client_call *call, Osr__Frame *request,
                        struct osr_err *err)
{
    struct rpc_state *state = context;
    const struct osr_method *method = osr_method_by_request(request->body_case);
    if (method == NULL) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "%s is no gRPC method",
                           osr_frame_type(request));
    }
    struct rpc *rpc = osr_alloc(sizeof(*rpc));
    rpc->method = method;
    rpc->request_id = call->request_id;
    request->request_id = call->request_id;
    const struct osr_grpc_head head = {
        .path = osr_slice_text(method->path),
        .authority = osr_slice_text(state->authority),
        .deadline_ms = UINT64_MAX,
    };
    int code = osr_grpc_start(state->grpc, &head, rpc, &rpc->call, err);
    if (code != OSR_OK) {
        free(rpc);
        return code;
    }
    call->protocol_call = rpc;
    osr_message_encode(OSR_CODEC_PROTOBUF, osr_frame_body(request),
                       osr_grpc_message_begin(rpc->call));
    osr_grpc_message_end(rpc->call);
    osr_grpc_half_close(rpc->call);
    return OSR_OK;
}

static void forget(void *context, struct osr_client_call *call)
{
    struct rpc *rpc = call->protocol_call;
    (void)context;
    if (rpc == NULL) {
        return;
    }
    call->protocol_call = NULL;
    osr_grpc_call_set_user(rpc->call, NULL);
    osr_grpc_cancel(rpc->call, OSR_GRPC_CANCELLED, "not wanted any more");
    destroy_rpc(rpc);
}

/* ---- bytes ---- */

static uint8_t *room(void *context, size_t size)
{
    struct rpc_state *state = context;
    return osr_buffer_reserve(&state->input, size);
}

static void received(void *context, size_t size)
{
    struct rpc_state *state = context;
    state->input.size += size;
}

static int handle(void *context, bool *ret_any)
{
    struct rpc_state *state = context;
    struct osr_client *client = state->client;
    struct osr_err err;
    *ret_any = state->input.size > 0;
    osr_grpc_tick(state->grpc, osr_monotonic_ms());
    if (!*ret_any) {
        return client->failure.code;
    }
    int code =
        osr_grpc_receive(state->grpc, osr_buffer_slice(&state->input), osr_monotonic_ms(), &err);
    state->input.size = 0;
    if (code != OSR_OK && client->failure.code == OSR_OK) {
        client->failure = err;
    }
    return client->failure.code;
}

static void produce(void *context, struct osr_buffer *unsent)
{
    struct rpc_state *state = context;
    while (unsent->size < PRODUCE_BYTES && osr_grpc_produce(state->grpc, unsent, PRODUCE_BYTES)) {
    }
}

static uint64_t deadline_ms(const void *context)
{
    const struct rpc_state *state = context;
    return osr_grpc_deadline_ms(state->grpc);
}

static int create(struct osr_client *client, const struct osr_url *url, void **ret_state,
                  struct osr_err *err)
{
    static const struct osr_grpc_handler callbacks = {.on_message = on_message, .on_end = on_end};
    static const struct osr_grpc_options options = {.message_bytes_max = OSR_FRAME_BYTES_MAX};
    struct osr_grpc_handler handler = callbacks;
    struct rpc_state *state = osr_alloc(sizeof(*state));
    (void)err;
    state->client = client;
    handler.context = state;
    bool is_unix = strcmp(url->scheme, "unix") == 0;
    snprintf(state->authority, sizeof(state->authority), "%s", is_unix ? "localhost" : url->host);
    state->arena = osr_arena_create(ARENA_KEEP_BYTES, OSR_DECODE_BYTES_MAX);
    state->grpc = osr_grpc_create(&options, &handler, osr_monotonic_ms());
    *ret_state = state;
    return OSR_OK;
}

static void destroy(void *context)
{
    struct rpc_state *state = context;
    osr_grpc_destroy(state->grpc);
    osr_buffer_done(&state->input);
    osr_arena_destroy(state->arena);
    free(state);
}

const struct osr_client_protocol osr_client_grpc = {
    .create = create,
    .destroy = destroy,
    .send = send_request,
    .forget = forget,
    .room = room,
    .received = received,
    .handle = handle,
    .produce = produce,
    .deadline_ms = deadline_ms,
};
