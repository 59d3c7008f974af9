/* The public face of caller.h: errors in the form of the public header, calls by name in JSON. */
#include <stdlib.h>

#include "client/osiris_internal.h"
#include "model/limits.h"
#include "wire/codec.h"

enum {
    TIMEOUT_DEFAULT_MS = 60000,
    ATTEMPTS_DEFAULT = 6,
    RETRY_DEFAULT_MS = 15000,
    ARENA_KEEP_BYTES = 64 << 10, /* between replies */
};

#define SAME_NUMBER(name, number, class, grpc, http, exit, text)                                   \
    _Static_assert((int)OSIRIS_##name == (number), "the public number of " #name);
OSR_CODES(SAME_NUMBER)
#undef SAME_NUMBER
_Static_assert((int)OSIRIS_CLASS_OK == (int)OSR_CLASS_OK &&
                   (int)OSIRIS_CLASS_RETRY == (int)OSR_CLASS_RETRY &&
                   (int)OSIRIS_CLASS_CALLER == (int)OSR_CLASS_CALLER &&
                   (int)OSIRIS_CLASS_FATAL == (int)OSR_CLASS_FATAL,
               "the public classes");
_Static_assert(sizeof(((struct osiris_error *)NULL)->message) == OSR_ERR_MESSAGE_MAX &&
                   sizeof(((struct osiris_error *)NULL)->hint) == OSR_ERR_HINT_MAX,
               "texts fit");
_Static_assert((int)OSIRIS_CALLS_MAX == (int)OSR_CALLER_CALLS_MAX, "the public limit");

/* ---- errors ---- */

int osr_face_error(const struct osr_err *err, struct osiris_error *error)
{
    if (error != NULL) {
        const struct osr_code_info *info = osr_code_info(err->code);
        error->code = (enum osiris_code)err->code;
        error->error_class = (enum osiris_error_class)info->class;
        error->name = info->name;
        memcpy(error->message, err->message, sizeof(error->message));
        memcpy(error->hint, err->hint, sizeof(error->hint));
    }
    return (int)err->code;
}

static int check_client(const struct osiris_client *client, struct osr_err *err)
{
    return client == NULL ? (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "no client was given")
                          : OSR_OK;
}

int osr_face_check(const struct osiris_client *client, struct osr_err *err)
{
    int code = check_client(client, err);
    if (code != OSR_OK) {
        return code;
    }
    if (osr_caller_is_telling(client->caller)) {
        osr_err_set(err, OSR_INVALID_ARGUMENT, "within a callback nothing can be waited for");
        osr_err_hint(err, "begin the call with osiris_start, or return first");
        return OSR_INVALID_ARGUMENT;
    }
    return OSR_OK;
}

/* ---- clients ---- */

/* A scheme has letters alone: "/data/a://b" is a folder. */
static bool is_url(const char *where)
{
    size_t size = strspn(where, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    return strncmp(where + size, "://", 3) == 0;
}

static int find_target(const char *where, struct osr_target *ret_target, struct osr_err *err)
{
    return where != NULL && is_url(where) ? osr_target_url(where, ret_target, err)
                                          : osr_target_folder(where, ret_target, err);
}

int osiris_open(const char *where, struct osiris_client **ret_client, struct osiris_error *error)
{
    struct osr_target target = {0};
    struct osr_caller *caller;
    struct osr_err err;
    int code = find_target(where, &target, &err);
    if (code == OSR_OK) {
        code = osr_caller_open(&target, &caller, &err);
    }
    if (code != OSR_OK) {
        osr_target_done(&target);
        return osr_face_error(&err, error);
    }
    struct osiris_client *client = osr_alloc(sizeof(*client));
    client->caller = caller;
    client->limits = (struct osr_caller_limits){
        .timeout_ms = TIMEOUT_DEFAULT_MS,
        .attempts_max = ATTEMPTS_DEFAULT,
        .retry_ms_max = RETRY_DEFAULT_MS,
    };
    client->arena = osr_arena_create(ARENA_KEEP_BYTES, OSR_DECODE_BYTES_MAX);
    *ret_client = client;
    return OSIRIS_OK;
}

int osiris_connect(struct osiris_client *client, struct osiris_error *error)
{
    struct osr_err err;
    int code = osr_face_check(client, &err);
    if (code == OSR_OK) {
        code = osr_caller_connect(client->caller, client->limits.timeout_ms, &err);
    }
    return code == OSR_OK ? OSIRIS_OK : osr_face_error(&err, error);
}

int osiris_close(struct osiris_client *client)
{
    if (client == NULL) {
        return OSIRIS_OK;
    }
    int code = osr_face_check(client, NULL);
    if (code == OSR_OK) {
        osr_caller_close(client->caller);
        osr_arena_destroy(client->arena);
        osr_buffer_done(&client->text);
        free(client);
    }
    return code;
}

void osiris_interrupt(struct osiris_client *client)
{
    osr_caller_interrupt(client->caller);
}

void osiris_set_timeout(struct osiris_client *client, uint32_t timeout_ms)
{
    client->limits.timeout_ms = timeout_ms;
    client->has_timeout = true;
}

void osiris_set_retries(struct osiris_client *client, uint32_t attempts_max, uint32_t time_max_ms)
{
    client->limits.attempts_max = attempts_max > 0 ? attempts_max : 1;
    client->limits.retry_ms_max = time_max_ms;
}

void osiris_set_acks(struct osiris_client *client, uint32_t acks)
{
    client->acks = acks;
}

const char *osiris_version(void)
{
    return OSR_VERSION;
}

/* ---- requests and replies ---- */

static struct osr_caller_limits limits_of(const struct osiris_client *client,
                                          const struct osr_method *method, uint32_t grace_ms)
{
    struct osr_caller_limits limits = client->limits;
    if (method->request == OSR__FRAME__BODY_KB_WATCH && !client->has_timeout) {
        limits.timeout_ms = 0; /* nothing new is nothing wrong */
    } else if (limits.timeout_ms > 0 && limits.timeout_ms < UINT32_MAX - grace_ms) {
        limits.timeout_ms += grace_ms;
    }
    return limits;
}

static int find_method(const char *name, const struct osr_method **ret_method, struct osr_err *err)
{
    const struct osr_method *method = name == NULL ? NULL : osr_method_by_name(name);
    if (method == NULL) {
        osr_err_set(err, OSR_UNKNOWN_TYPE, "no method is named '%s'", name == NULL ? "" : name);
        osr_err_hint(err, "libosiris(3) lists them");
        return OSR_UNKNOWN_TYPE;
    }
    *ret_method = method;
    return OSR_OK;
}

/* ret_request->message is the caller's. */
static int read_request(const char *method_name, const char *text,
                        struct osr_caller_request *ret_request, struct osr_err *err)
{
    struct osr_caller_request request = {0};
    int code = find_method(method_name, &request.method, err);
    if (code != OSR_OK) {
        return code;
    }
    struct osr_arena *arena = osr_arena_create(0, OSR_DECODE_BYTES_MAX);
    ProtobufCMessage *message;
    code = osr_message_decode(OSR_CODEC_JSON, request.method->request_descriptor,
                              osr_slice_text(text == NULL ? "{}" : text), arena, &message, err);
    if (code == OSR_OK) {
        osr_message_encode(OSR_CODEC_PROTOBUF, message, &request.message);
        *ret_request = request;
    } else {
        osr_err_prefix(err, "%s", method_name);
    }
    osr_arena_destroy(arena);
    return code;
}

/* Where the replies of a call go, and in which form. */
struct listener {
    struct osiris_client *client;
    const struct osr_method *method;
    /* One of the three: messages, JSON, protobuf. */
    osr_face_reply *on_message;
    osiris_on_reply *on_json;
    osiris_on_reply *on_protobuf;
    osiris_on_end *on_end; /* of a call that was begun with osiris_start */
    void *context;
    struct osr_err failure; /* a reply that could not be read; code OK: none */
};

static int tell_json(const struct listener *listener, const ProtobufCMessage *message)
{
    struct osr_buffer *text = &listener->client->text;
    text->size = 0;
    osr_message_encode(OSR_CODEC_JSON, message, text);
    osr_buffer_add_u8(text, '\0');
    return listener->on_json(listener->context, (const char *)text->data, text->size - 1);
}

static int tell_listener(void *context, struct osr_slice reply)
{
    struct listener *listener = context;
    struct osr_arena *arena = listener->client->arena;
    ProtobufCMessage *message;
    if (listener->on_protobuf != NULL) {
        return listener->on_protobuf(listener->context, (const char *)reply.data, reply.size);
    }
    if (listener->on_message == NULL && listener->on_json == NULL) {
        return 0;
    }
    osr_arena_reset(arena);
    int code = osr_message_decode(OSR_CODEC_PROTOBUF, listener->method->reply_descriptor, reply,
                                  arena, &message, &listener->failure);
    if (code != OSR_OK) {
        return (int)osr_err_prefix(&listener->failure, "a reply of the instance");
    }
    return listener->on_json != NULL ? tell_json(listener, message)
                                     : listener->on_message(listener->context, message);
}

/* ---- calls that are waited for ---- */

/* The request's message is gone after. */
static int call_and_wait(struct osr_caller_request *request, uint32_t grace_ms,
                         struct listener *listener, struct osiris_error *error)
{
    struct osiris_client *client = listener->client;
    const struct osr_caller_limits limits = limits_of(client, request->method, grace_ms);
    struct osr_err err = {0};
    listener->method = request->method;
    int code = osr_caller_call(client->caller, request, &limits, tell_listener, listener, &err);
    if (listener->failure.code != OSR_OK) {
        err = listener->failure;
    }
    return err.code != OSR_OK ? osr_face_error(&err, error) : code;
}

int osr_face_call(struct osiris_client *client, const char *method, const ProtobufCMessage *request,
                  uint32_t grace_ms, osr_face_reply *on_reply, void *context,
                  struct osiris_error *error)
{
    struct listener listener = {.client = client, .on_message = on_reply, .context = context};
    struct osr_caller_request call = {.method = osr_method_by_name(method)};
    osr_message_encode(OSR_CODEC_PROTOBUF, request, &call.message);
    return call_and_wait(&call, grace_ms, &listener, error);
}

static int keep_text(void *context, const char *reply, size_t size)
{
    char **kept = context;
    *kept = osr_realloc(*kept, size + 1);
    memcpy(*kept, reply, size + 1);
    return 0;
}

int osiris_call(struct osiris_client *client, const char *method, const char *json,
                char **ret_reply, struct osiris_error *error)
{
    char *text = NULL;
    struct listener listener = {.client = client, .on_json = keep_text, .context = &text};
    struct osr_caller_request request = {0};
    struct osr_err err;
    int code = osr_face_check(client, &err);
    if (code == OSR_OK) {
        code = read_request(method, json, &request, &err);
    }
    if (code == OSR_OK && request.method->server_streams) {
        code = osr_err_set(&err, OSR_INVALID_ARGUMENT, "%s has many replies", method);
        osr_err_hint(&err, "call it with osiris_stream or osiris_start");
    }
    if (code != OSR_OK) {
        osr_buffer_wipe(&request.message);
        return osr_face_error(&err, error);
    }
    code = call_and_wait(&request, 0, &listener, error);
    if (code == OSR_OK && ret_reply != NULL) {
        *ret_reply = text;
    } else {
        free(text);
    }
    return code;
}

void osiris_free(void *memory)
{
    free(memory);
}

int osiris_stream(struct osiris_client *client, const char *method, const char *json,
                  osiris_on_reply *on_json, void *context, struct osiris_error *error)
{
    struct listener listener = {.client = client, .on_json = on_json, .context = context};
    struct osr_caller_request request;
    struct osr_err err;
    int code = osr_face_check(client, &err);
    if (code == OSR_OK) {
        code = read_request(method, json, &request, &err);
    }
    return code == OSR_OK ? call_and_wait(&request, 0, &listener, error)
                          : osr_face_error(&err, error);
}

/* ---- several calls at once ---- */

static void on_started_end(void *context, const struct osr_err *err)
{
    struct listener *listener = context;
    struct osiris_error error;
    const struct osr_err *why = listener->failure.code != OSR_OK ? &listener->failure : err;
    if (why != NULL) {
        osr_face_error(why, &error);
    }
    if (listener->on_end != NULL) {
        listener->on_end(listener->context, why != NULL ? &error : NULL);
    }
    free(listener);
}

/* The request's message is gone after. */
static int start(struct osr_caller_request *request, const struct listener *pattern,
                 uint64_t *ret_call, struct osiris_error *error)
{
    struct listener *listener = osr_alloc(sizeof(*listener));
    *listener = *pattern;
    listener->method = request->method;
    const struct osr_caller_handler handler = {tell_listener, on_started_end, listener};
    const struct osr_caller_limits limits = limits_of(listener->client, request->method, 0);
    struct osr_err err;
    uint64_t number;
    int code =
        osr_caller_start(listener->client->caller, request, &limits, &handler, &number, &err);
    if (code != OSR_OK) {
        free(listener);
        return osr_face_error(&err, error);
    }
    if (ret_call != NULL) {
        *ret_call = number;
    }
    return OSIRIS_OK;
}

int osiris_start(struct osiris_client *client, const char *method, const char *json,
                 osiris_on_reply *on_json, osiris_on_end *on_end, void *context, uint64_t *ret_call,
                 struct osiris_error *error)
{
    const struct listener listener = {
        .client = client, .on_json = on_json, .on_end = on_end, .context = context};
    struct osr_caller_request request;
    struct osr_err err;
    int code = check_client(client, &err);
    if (code == OSR_OK) {
        code = read_request(method, json, &request, &err);
    }
    return code == OSR_OK ? start(&request, &listener, ret_call, error)
                          : osr_face_error(&err, error);
}

int osiris_start_protobuf(struct osiris_client *client, const char *method, const void *message,
                          size_t size, osiris_on_reply *on_protobuf, osiris_on_end *on_end,
                          void *context, uint64_t *ret_call, struct osiris_error *error)
{
    const struct listener listener = {
        .client = client, .on_protobuf = on_protobuf, .on_end = on_end, .context = context};
    struct osr_caller_request request = {0};
    struct osr_err err;
    int code = check_client(client, &err);
    if (code == OSR_OK) {
        code = find_method(method, &request.method, &err);
    }
    if (code != OSR_OK) {
        return osr_face_error(&err, error);
    }
    osr_buffer_add(&request.message, message, size);
    return start(&request, &listener, ret_call, error);
}

int osiris_cancel(struct osiris_client *client, uint64_t call, struct osiris_error *error)
{
    struct osr_err err;
    int code = check_client(client, &err);
    if (code == OSR_OK && !osr_caller_cancel(client->caller, call)) {
        code =
            osr_err_set(&err, OSR_NOT_FOUND, "no call %llu is under way", (unsigned long long)call);
    }
    return code == OSR_OK ? OSIRIS_OK : osr_face_error(&err, error);
}

int osiris_run(struct osiris_client *client, size_t calls, uint32_t timeout_ms,
               struct osiris_error *error)
{
    struct osr_err err;
    int code = osr_face_check(client, &err);
    if (code == OSR_OK) {
        code = osr_caller_run(client->caller, calls, timeout_ms, &err);
    }
    return code == OSR_OK ? OSIRIS_OK : osr_face_error(&err, error);
}

int osiris_run_until_readable(struct osiris_client *client, int fd, uint32_t timeout_ms,
                              struct osiris_error *error)
{
    struct osr_err err;
    int code = osr_face_check(client, &err);
    if (code == OSR_OK) {
        code = osr_caller_run_until_readable(client->caller, fd, timeout_ms, &err);
    }
    return code == OSR_OK ? OSIRIS_OK : osr_face_error(&err, error);
}

size_t osiris_calls(const struct osiris_client *client)
{
    return osr_caller_count(client->caller);
}
