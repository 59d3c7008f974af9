/* The client's side of frames over a byte stream (wire/stream.h): requests and replies meet by
 * their request_id, which is the call's number. */
#include <stdlib.h>

#include "adapter/authority.h"
#include "client/client_internal.h"
#include "model/limits.h"
#include "wire/stream.h"

enum { ARENA_KEEP_BYTES = 1 << 20 };

struct frames {
    struct osr_client *client;
    enum osr_codec codec;
    struct osr_stream received;
    struct osr_buffer greeting; /* goes before all else */
    uint64_t authenticate_id;   /* what the token's answer repeats; 0: it has come, or none will */
    struct osr_buffer unsent;
    struct osr_arena *arena; /* of the frame being handled */
    struct osr_buffer reply; /* its body */
};

static int codec_of(const struct osr_url *url, enum osr_codec *ret_codec, struct osr_err *err)
{
    const char *name = osr_url_parameter(url, "codec");
    *ret_codec = OSR_CODEC_PROTOBUF;
    if (name != NULL && !osr_codec_parse(name, ret_codec)) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "%s: codec is json, protobuf or yaml",
                           url->text);
    }
    return OSR_OK;
}

/* ---- who we are ---- */

/* Goes out alone: what is asked for before the answer would be asked by somebody else, where the
 * token turns out not to be good. */
static void write_authenticate(struct frames *frames, const char *token)
{
    Osr__AuthenticateRequest request = OSR__AUTHENTICATE_REQUEST__INIT;
    request.token = (char *)token;
    Osr__Frame frame = OSR__FRAME__INIT;
    frames->authenticate_id = ++frames->client->last_number;
    frame.request_id = frames->authenticate_id;
    frame.body_case = OSR__FRAME__BODY_AUTHENTICATE;
    frame.authenticate = &request;
    osr_stream_write(frames->codec, &frame, &frames->greeting);
}

/* An answer that is none of the token's ends the connection: nothing is known of it. */
static int handle_authenticated(struct frames *frames, const Osr__Frame *frame)
{
    struct osr_err *err = &frames->client->failure.err;
    if (frame->body_case == OSR__FRAME__BODY_AUTHENTICATE_REPLY) {
        frames->authenticate_id = 0;
        return OSR_OK;
    }
    if (frame->body_case == OSR__FRAME__BODY_ERROR) {
        osr_error_read(frame->error, err);
        return (int)err->code;
    }
    return (int)osr_err_set(err, OSR_INTERNAL, "the instance answered a token with %s",
                            osr_frame_type(frame));
}

static bool is_ready(const void *state)
{
    const struct frames *frames = state;
    return frames->authenticate_id == 0;
}

/* ---- its life ---- */

static int create(struct osr_client *client, void **ret_state, struct osr_err *err)
{
    const char *token = osr_client_trust_token(client->target->trust);
    enum osr_codec codec = OSR_CODEC_PROTOBUF;
    int code = codec_of(&client->target->url, &codec, err);
    if (code != OSR_OK) {
        return code;
    }
    struct frames *frames = osr_alloc(sizeof(*frames));
    frames->client = client;
    frames->codec = codec;
    osr_stream_init(&frames->received, codec, true, OSR_FRAME_BYTES_MAX);
    frames->arena = osr_arena_create(ARENA_KEEP_BYTES, OSR_DECODE_BYTES_MAX);
    if (token != NULL) {
        write_authenticate(frames, token);
    }
    *ret_state = frames;
    return OSR_OK;
}

static void destroy(void *state)
{
    struct frames *frames = state;
    osr_arena_destroy(frames->arena);
    osr_stream_done(&frames->received);
    osr_secret_buffer_done(&frames->greeting);
    osr_buffer_wipe(&frames->unsent);
    osr_buffer_wipe(&frames->reply);
    free(frames);
}

static int send_request(void *state, struct osr_client_call *call, struct osr_slice request,
                        struct osr_err *err)
{
    struct frames *frames = state;
    ProtobufCMessage *message;
    osr_arena_reset(frames->arena);
    int code = osr_message_decode(OSR_CODEC_PROTOBUF, call->method->request_descriptor, request,
                                  frames->arena, &message, err);
    if (code != OSR_OK) {
        return code;
    }
    Osr__Frame frame = OSR__FRAME__INIT;
    frame.request_id = call->number;
    osr_frame_set_body(&frame, call->method->request, message);
    osr_stream_write(frames->codec, &frame, &frames->unsent);
    osr_arena_wipe(frames->arena);
    return OSR_OK;
}

static void forget(void *state, struct osr_client_call *call)
{
    (void)state; /* replies that still come find no call */
    (void)call;
}

static uint8_t *room(void *state, size_t size)
{
    struct frames *frames = state;
    return osr_buffer_reserve(&frames->received.input, size);
}

static void received(void *state, size_t size)
{
    struct frames *frames = state;
    frames->received.input.size += size;
}

static void produce(void *state, struct osr_buffer *unsent)
{
    struct frames *frames = state;
    osr_buffer_add(unsent, frames->greeting.data, frames->greeting.size);
    osr_secret_buffer_done(&frames->greeting);
    if (is_ready(frames)) {
        osr_buffer_add(unsent, frames->unsent.data, frames->unsent.size);
        osr_buffer_clear(&frames->unsent);
    }
}

static uint64_t deadline_ms(const void *state)
{
    (void)state;
    return UINT64_MAX;
}

static void answer_ping(struct frames *frames, const Osr__Ping *ping)
{
    Osr__Pong pong = OSR__PONG__INIT;
    pong.nonce = ping->nonce;
    Osr__Frame frame = OSR__FRAME__INIT;
    frame.body_case = OSR__FRAME__BODY_PONG;
    frame.pong = &pong;
    osr_stream_write(frames->codec, &frame, &frames->unsent);
}

static void handle_reply(struct frames *frames, struct osr_client_call *call,
                         const Osr__Frame *frame)
{
    struct osr_client *client = frames->client;
    if (frame->body_case != call->method->reply) {
        struct osr_err err;
        osr_err_set(&err, OSR_INTERNAL, "the instance answered with %s", osr_frame_type(frame));
        osr_client_tell_error(client, call, &err);
        return;
    }
    frames->reply.size = 0;
    osr_message_encode(OSR_CODEC_PROTOBUF, osr_frame_body(frame), &frames->reply);
    if (osr_client_tell_reply(client, call, osr_buffer_slice(&frames->reply)) && frame->end) {
        osr_client_tell_end(client, call, NULL);
    }
}

static int handle_frame(struct frames *frames, const Osr__Frame *frame)
{
    struct osr_client *client = frames->client;
    if (frame->body_case == OSR__FRAME__BODY_PING) {
        answer_ping(frames, frame->ping);
        return OSR_OK;
    }
    bool is_error = frame->body_case == OSR__FRAME__BODY_ERROR;
    if (is_error && frame->request_id == 0) {
        osr_error_read(frame->error, &client->failure.err);
        return client->failure.err.code;
    }
    if (!is_ready(frames) && frame->request_id == frames->authenticate_id) {
        return handle_authenticated(frames, frame);
    }
    struct osr_client_call *call = osr_client_find_call(client, frame->request_id);
    if (call == NULL) {
        return OSR_OK; /* cancelled, or nothing that a caller asked for */
    }
    if (is_error) {
        struct osr_err err;
        osr_error_read(frame->error, &err);
        osr_client_tell_error(client, call, &err);
    } else {
        handle_reply(frames, call, frame);
    }
    return OSR_OK;
}

/* An instance newer than this client may send types that it does not know: that ends the one
 * call which it answers, if it answers one. */
static void handle_unknown_type(struct osr_client *client, uint64_t request_id,
                                const struct osr_err *err)
{
    struct osr_client_call *call = osr_client_find_call(client, request_id);
    if (call != NULL) {
        osr_client_tell_error(client, call, err);
    }
}

static int handle(void *state, bool *ret_any)
{
    struct frames *frames = state;
    struct osr_client *client = frames->client;
    struct osr_slice bytes;
    int code = osr_stream_next(&frames->received, &bytes, &client->failure.err);
    *ret_any = code == OSR_OK && bytes.size > 0;
    if (!*ret_any) {
        return code;
    }
    osr_arena_reset(frames->arena);
    Osr__Frame *frame;
    uint64_t request_id = 0;
    struct osr_err err;
    code = osr_frame_decode(frames->codec, bytes, frames->arena, &frame, &request_id, &err);
    if (code == OSR_UNKNOWN_TYPE) {
        handle_unknown_type(client, request_id, &err);
        return OSR_OK;
    }
    if (code != OSR_OK) {
        osr_err_prefix(&err, "a reply of the instance");
        client->failure.err = err;
        return code;
    }
    return handle_frame(frames, frame);
}

const struct osr_client_protocol osr_client_frames = {
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
