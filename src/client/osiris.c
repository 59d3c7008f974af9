/* The public face of caller.h: errors in the form of the public header, calls by name in JSON. */
#include <stdlib.h>

#include "client/osiris_internal.h"
#include "model/limits.h"
#include "wire/codec.h"
#include "wire/method.h"

enum {
    TIMEOUT_DEFAULT_MS = 60000,
    ATTEMPTS_DEFAULT = 6,
    RETRY_DEFAULT_MS = 15000,
    /* For the reply to come back, after the followers' time. */
    ACKS_GRACE_MS = 5000,
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

int osr_face_check(const struct osiris_client *client, struct osr_err *err)
{
    if (client == NULL) {
        osr_err_set(err, OSR_INVALID_ARGUMENT, "no client was given");
        return OSR_INVALID_ARGUMENT;
    }
    if (osr_caller_is_telling(client->caller)) {
        osr_err_set(err, OSR_INVALID_ARGUMENT, "within a callback nothing can be waited for");
        osr_err_hint(err, "begin the call with osiris_start, or return first");
        return OSR_INVALID_ARGUMENT;
    }
    return OSR_OK;
}

/* ---- clients ---- */

static int find_target(const char *where, struct osr_target *ret_target, struct osr_err *err)
{
    bool is_url = where != NULL && strstr(where, "://") != NULL;
    return is_url ? osr_target_url(where, ret_target, err)
                  : osr_target_folder(where, ret_target, err);
}

int osiris_connect(const char *where, struct osiris_client **ret_client, struct osiris_error *error)
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
    *ret_client = client;
    return OSIRIS_OK;
}

int osiris_close(struct osiris_client *client)
{
    if (client == NULL) {
        return OSIRIS_OK;
    }
    int code = osr_face_check(client, NULL);
    if (code == OSR_OK) {
        osr_caller_close(client->caller);
        osr_buffer_done(&client->reply);
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

/* ---- calls ---- */

static bool waits_for_acks(const Osr__Frame *request)
{
    switch (request->body_case) {
    case OSR__FRAME__BODY_KB_PUT:
        return request->kb_put->acks > 0;
    case OSR__FRAME__BODY_KB_UPDATE:
        return request->kb_update->acks > 0;
    case OSR__FRAME__BODY_KB_DELETE:
        return request->kb_delete->acks > 0;
    case OSR__FRAME__BODY_KB_IMPORT:
        return request->kb_import->acks > 0;
    default:
        return false;
    }
}

static struct osr_caller_limits limits_of(const struct osiris_client *client,
                                          const Osr__Frame *request)
{
    struct osr_caller_limits limits = client->limits;
    if (request->body_case == OSR__FRAME__BODY_KB_WATCH && !client->has_timeout) {
        limits.timeout_ms = 0; /* nothing new is nothing wrong */
    } else if (limits.timeout_ms > 0 && waits_for_acks(request)) {
        limits.timeout_ms += limits.timeout_ms < UINT32_MAX - ACKS_GRACE_MS ? ACKS_GRACE_MS : 0;
    }
    return limits;
}

int osr_face_call(struct osiris_client *client, const Osr__Frame *request,
                  int (*on_frame)(void *context, const Osr__Frame *frame), void *context,
                  struct osiris_error *error)
{
    const struct osr_caller_limits limits = limits_of(client, request);
    struct osr_err err = {0};
    int code = osr_caller_call(client->caller, request, &limits, on_frame, context, &err);
    return err.code != OSR_OK ? osr_face_error(&err, error) : code;
}

static const struct osr_method *find_method(const char *name, struct osr_err *err)
{
    const ProtobufCFieldDescriptor *field =
        name == NULL
            ? NULL
            : protobuf_c_message_descriptor_get_field_by_name(&osr__frame__descriptor, name);
    const struct osr_method *method =
        field == NULL ? NULL : osr_method_by_request((Osr__Frame__BodyCase)field->id);
    if (method == NULL) {
        osr_err_set(err, OSR_UNKNOWN_TYPE, "no method is named '%s'", name == NULL ? "" : name);
        osr_err_hint(err, "libosiris(3) lists them");
    }
    return method;
}

/* The frame's body lives in the arena, which is the caller's to destroy. */
static int read_request(const char *method_name, const char *text, Osr__Frame *ret_frame,
                        const struct osr_method **ret_method, struct osr_arena **ret_arena,
                        struct osr_err *err)
{
    const struct osr_method *method = find_method(method_name, err);
    if (method == NULL) {
        return OSR_UNKNOWN_TYPE;
    }
    struct osr_arena *arena = osr_arena_create(0, OSR_DECODE_BYTES_MAX);
    ProtobufCMessage *message;
    int code = osr_message_decode(OSR_CODEC_JSON, method->request_descriptor,
                                  osr_slice_text(text == NULL ? "{}" : text), arena, &message, err);
    if (code != OSR_OK) {
        osr_arena_destroy(arena);
        osr_err_prefix(err, "%s", method_name);
        return code;
    }
    osr__frame__init(ret_frame);
    osr_frame_set_body(ret_frame, method->request, message);
    *ret_method = method;
    *ret_arena = arena;
    return OSR_OK;
}

static void write_reply(const Osr__Frame *frame, struct osr_buffer *buffer)
{
    osr_message_encode(OSR_CODEC_JSON, osr_frame_body(frame), buffer);
    osr_buffer_add_u8(buffer, '\0');
    buffer->size--;
}

static int on_single_frame(void *context, const Osr__Frame *frame)
{
    struct osr_buffer *text = context;
    text->size = 0;
    write_reply(frame, text);
    return 0;
}

int osiris_call(struct osiris_client *client, const char *method_name, const char *request,
                char **ret_reply, struct osiris_error *error)
{
    const struct osr_method *method;
    struct osr_arena *arena = NULL;
    struct osr_buffer text = {0};
    Osr__Frame frame;
    struct osr_err err;
    int code = osr_face_check(client, &err);
    if (code == OSR_OK) {
        code = read_request(method_name, request, &frame, &method, &arena, &err);
    }
    if (code == OSR_OK && method->server_streams) {
        code = osr_err_set(&err, OSR_INVALID_ARGUMENT, "%s has many replies", method_name);
        osr_err_hint(&err, "call it with osiris_stream or osiris_start");
    }
    code = code == OSR_OK ? osr_face_call(client, &frame, on_single_frame, &text, error)
                          : osr_face_error(&err, error);
    osr_arena_destroy(arena);
    if (code == OSR_OK && ret_reply != NULL) {
        *ret_reply = (char *)text.data;
    } else {
        osr_buffer_done(&text);
    }
    return code;
}

void osiris_free(void *memory)
{
    free(memory);
}

/* Whom the replies of a call go to. */
struct listener {
    struct osiris_client *client;
    osiris_on_reply *on_reply;
    osiris_on_end *on_end; /* of a call that was begun with osiris_start */
    void *context;
};

static int on_streamed_frame(void *context, const Osr__Frame *frame)
{
    const struct listener *listener = context;
    struct osr_buffer *reply = &listener->client->reply;
    if (listener->on_reply == NULL) {
        return 0;
    }
    reply->size = 0;
    write_reply(frame, reply);
    return listener->on_reply(listener->context, (const char *)reply->data, reply->size);
}

int osiris_stream(struct osiris_client *client, const char *method_name, const char *request,
                  osiris_on_reply *on_reply, void *context, struct osiris_error *error)
{
    struct listener listener = {.client = client, .on_reply = on_reply, .context = context};
    const struct osr_method *method;
    struct osr_arena *arena;
    Osr__Frame frame;
    struct osr_err err;
    int code = osr_face_check(client, &err);
    if (code == OSR_OK) {
        code = read_request(method_name, request, &frame, &method, &arena, &err);
    }
    if (code != OSR_OK) {
        return osr_face_error(&err, error);
    }
    code = osr_face_call(client, &frame, on_streamed_frame, &listener, error);
    osr_arena_destroy(arena);
    return code;
}

static void on_started_end(void *context, const struct osr_err *err)
{
    struct listener *listener = context;
    struct osiris_error error;
    if (err != NULL) {
        osr_face_error(err, &error);
    }
    if (listener->on_end != NULL) {
        listener->on_end(listener->context, err != NULL ? &error : NULL);
    }
    free(listener);
}

int osiris_start(struct osiris_client *client, const char *method_name, const char *request,
                 osiris_on_reply *on_reply, osiris_on_end *on_end, void *context,
                 uint64_t *ret_call, struct osiris_error *error)
{
    const struct osr_method *method;
    struct osr_arena *arena;
    Osr__Frame frame;
    struct osr_err err;
    int code = client == NULL ? osr_face_check(client, &err) : OSR_OK;
    if (code == OSR_OK) {
        code = read_request(method_name, request, &frame, &method, &arena, &err);
    }
    if (code != OSR_OK) {
        return osr_face_error(&err, error);
    }
    struct listener *listener = osr_alloc(sizeof(*listener));
    *listener = (struct listener){client, on_reply, on_end, context};
    const struct osr_caller_handler handler = {on_streamed_frame, on_started_end, listener};
    const struct osr_caller_limits limits = limits_of(client, &frame);
    uint64_t number;
    code = osr_caller_start(client->caller, &frame, arena, &limits, &handler, &number, &err);
    if (code != OSR_OK) {
        free(listener);
        return osr_face_error(&err, error);
    }
    if (ret_call != NULL) {
        *ret_call = number;
    }
    return OSIRIS_OK;
}

int osiris_cancel(struct osiris_client *client, uint64_t call, struct osiris_error *error)
{
    struct osr_err err;
    if (client == NULL) {
        osr_face_check(client, &err);
        return osr_face_error(&err, error);
    }
    if (!osr_caller_cancel(client->caller, call)) {
        osr_err_set(&err, OSR_NOT_FOUND, "no call %llu is under way", (unsigned long long)call);
        return osr_face_error(&err, error);
    }
    return OSIRIS_OK;
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

size_t osiris_calls(const struct osiris_client *client)
{
    return osr_caller_count(client->caller);
}
