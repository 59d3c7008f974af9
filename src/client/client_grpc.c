/* The client's side of gRPC (wire/grpc.h): requests and replies are its messages as they are. */
#include <stdio.h>
#include <stdlib.h>

#include "adapter/authority.h"
#include "adapter/clock.h"
#include "client/client_internal.h"
#include "model/limits.h"
#include "wire/grpc.h"

#define BEARER "Bearer " /* RFC 6750 */

enum { PRODUCE_BYTES = 256 << 10 };

struct rpc_state {
    struct osr_client *client;
    struct osr_grpc *grpc;
    char authority[300];
    struct osr_buffer authorization; /* empty: none */
    struct osr_buffer input;
};

/* One call, as long as gRPC knows it. */
struct rpc {
    struct osr_grpc_call *call;
    uint64_t number;
    bool has_reply;
};

/* ---- what the server says ---- */

static void on_message(void *context, struct osr_grpc_call *grpc_call, struct osr_slice bytes)
{
    struct rpc_state *state = context;
    struct rpc *rpc = osr_grpc_call_user(grpc_call);
    struct osr_client_call *call =
        rpc == NULL ? NULL : osr_client_find_call(state->client, rpc->number);
    if (call != NULL) {
        rpc->has_reply = true;
        osr_client_tell_reply(state->client, call, bytes);
    }
}

static void read_failure(const struct osr_grpc_end *end, struct osr_client_failure *ret_failure)
{
    *ret_failure = (struct osr_client_failure){.is_unprocessed = end->is_unprocessed};
    if (end->code == OSR_GRPC_DEADLINE_EXCEEDED && end->details.size == 0) {
        osr_client_err_late(&ret_failure->err); /* gRPC's own words, of either side */
    } else {
        osr_grpc_error_read((int)end->code, end->message, end->details, &ret_failure->err);
        ret_failure->retry_after_ms = osr_grpc_retry_read(end->details);
    }
}

static void end_call(struct rpc_state *state, struct osr_client_call *call, bool has_reply,
                     const struct osr_grpc_end *end)
{
    struct osr_client_failure failure;
    if (end->code != OSR_GRPC_OK) {
        read_failure(end, &failure);
        osr_client_tell_end(state->client, call, &failure);
    } else if (!call->method->server_streams && !has_reply) {
        osr_err_set(&failure.err, OSR_INTERNAL, "%s: the instance gave no reply",
                    call->method->path);
        osr_client_tell_error(state->client, call, &failure.err);
    } else {
        osr_client_tell_end(state->client, call, NULL);
    }
}

static void on_end(void *context, struct osr_grpc_call *grpc_call, const struct osr_grpc_end *end)
{
    struct rpc_state *state = context;
    struct rpc *rpc = osr_grpc_call_user(grpc_call);
    if (rpc == NULL) {
        return; /* its caller has cancelled it */
    }
    struct osr_client_call *call = osr_client_find_call(state->client, rpc->number);
    if (call != NULL) {
        call->protocol_call = NULL;
        if (state->client->failure.err.code == OSR_OK) {
            end_call(state, call, rpc->has_reply, end);
        }
    }
    free(rpc);
}

/* ---- requests ---- */

/* Time-outs of streams run from reply to reply, which gRPC's deadline of a whole call is not. */
static uint64_t deadline_of(const struct osr_client_call *call)
{
    return call->method->server_streams ? UINT64_MAX : call->deadline_ms;
}

static int send_request(void *context, struct osr_client_call *call, struct osr_slice request,
                        struct osr_err *err)
{
    struct rpc_state *state = context;
    struct rpc *rpc = osr_alloc(sizeof(*rpc));
    rpc->number = call->number;
    const struct osr_grpc_metadata authorization = {osr_slice_text("authorization"),
                                                    osr_buffer_slice(&state->authorization)};
    const struct osr_grpc_head head = {
        .path = osr_slice_text(call->method->path),
        .authority = osr_slice_text(state->authority),
        .deadline_ms = deadline_of(call),
        .metadata = &authorization,
        .metadata_count = state->authorization.size > 0 ? 1 : 0,
    };
    osr_grpc_tick(state->grpc, osr_monotonic_ms()); /* deadlines travel as what is left of them */
    int code = osr_grpc_start(state->grpc, &head, rpc, &rpc->call, err);
    if (code != OSR_OK) {
        free(rpc);
        return code;
    }
    call->protocol_call = rpc;
    struct osr_buffer *message = osr_grpc_message_begin(rpc->call);
    osr_buffer_add(message, request.data, request.size);
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
    free(rpc);
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
        return client->failure.err.code;
    }
    int code =
        osr_grpc_receive(state->grpc, osr_buffer_slice(&state->input), osr_monotonic_ms(), &err);
    osr_buffer_clear(&state->input);
    if (code != OSR_OK && client->failure.err.code == OSR_OK) {
        client->failure.err = err;
    }
    return client->failure.err.code;
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

/* Each call shows who we are by itself. */
static bool is_ready(const void *context)
{
    (void)context;
    return true;
}

static void copy_token(struct rpc_state *state, const char *token)
{
    if (token != NULL) {
        osr_buffer_reserve(&state->authorization, strlen(BEARER) + strlen(token));
        osr_buffer_add_text(&state->authorization, BEARER);
        osr_buffer_add_text(&state->authorization, token);
    }
}

static int create(struct osr_client *client, void **ret_state, struct osr_err *err)
{
    static const struct osr_grpc_handler callbacks = {.on_message = on_message, .on_end = on_end};
    const struct osr_url *url = &client->target->url;
    const struct osr_grpc_options options = {.message_bytes_max = OSR_FRAME_BYTES_MAX,
                                             .is_secure = osr_url_is_secure(url)};
    struct osr_grpc_handler handler = callbacks;
    struct rpc_state *state = osr_alloc(sizeof(*state));
    (void)err;
    state->client = client;
    handler.context = state;
    bool is_unix = strcmp(url->scheme, "unix") == 0;
    snprintf(state->authority, sizeof(state->authority), "%s", is_unix ? "localhost" : url->host);
    copy_token(state, osr_client_trust_token(client->target->trust));
    state->grpc = osr_grpc_create(&options, &handler, osr_monotonic_ms());
    *ret_state = state;
    return OSR_OK;
}

static void destroy(void *context)
{
    struct rpc_state *state = context;
    osr_grpc_destroy(state->grpc);
    osr_secret_buffer_done(&state->authorization);
    osr_buffer_wipe(&state->input);
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
    .is_ready = is_ready,
};
