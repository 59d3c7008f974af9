/* Errors in grpc-status-details-bin: a google.rpc.Status, there and back. */
#include "wire/grpc_status.h"

#include "error_details.pb-c.h"
#include "status.pb-c.h"
#include "wire/encoding.h"

#include <assert.h>

/* What reading a peer's details may allocate, for all of them together: stops many small ones
 * from unfolding into much. Ours take less than 2 kB. */
enum { DETAILS_DECODE_BYTES_MAX = 256 << 10 };

static const char domain_ours[] = "osiris";
static const char key_hint[] = "hint";
static const char type_url_prefix[] = "type.googleapis.com/";

/* ---- writing ---- */

/* A message wrapped into an Any. */
struct detail {
    GoogleProtobuf__Any any;
    struct osr_buffer type_url;
    struct osr_buffer value;
};

static void wrap(struct detail *detail, const ProtobufCMessage *message)
{
    *detail = (struct detail){.any = GOOGLE_PROTOBUF__ANY__INIT};
    osr_buffer_add_text(&detail->type_url, type_url_prefix);
    osr_buffer_add_text(&detail->type_url, message->descriptor->name);
    osr_buffer_add_u8(&detail->type_url, '\0');
    osr_protobuf_encode(message, &detail->value);
    detail->any.type_url = (char *)detail->type_url.data;
    detail->any.value = (ProtobufCBinaryData){detail->value.size, detail->value.data};
}

static void unwrap(struct detail *detail)
{
    osr_buffer_done(&detail->type_url);
    osr_buffer_done(&detail->value);
}

static void wrap_error_info(struct detail *detail, const struct osr_err *err)
{
    GoogleRpc__ErrorInfo__MetadataEntry hint = GOOGLE_RPC__ERROR_INFO__METADATA_ENTRY__INIT;
    hint.key = (char *)key_hint;
    hint.value = (char *)err->hint;
    GoogleRpc__ErrorInfo__MetadataEntry *metadata[] = {&hint};

    GoogleRpc__ErrorInfo info = GOOGLE_RPC__ERROR_INFO__INIT;
    info.reason = (char *)osr_code_info(err->code)->name;
    info.domain = (char *)domain_ours;
    info.metadata = metadata;
    info.n_metadata = err->hint[0] != '\0' ? 1 : 0;
    wrap(detail, &info.base);
}

static void wrap_retry_info(struct detail *detail)
{
    GoogleProtobuf__Duration delay = GOOGLE_PROTOBUF__DURATION__INIT;
    delay.seconds = OSR_GRPC_RETRY_DELAY_MS / 1000;
    delay.nanos = OSR_GRPC_RETRY_DELAY_MS % 1000 * 1000000;
    GoogleRpc__RetryInfo retry = GOOGLE_RPC__RETRY_INFO__INIT;
    retry.retry_delay = &delay;
    wrap(detail, &retry.base);
}

void osr_grpc_details_write(struct osr_buffer *buffer, const struct osr_err *err)
{
    const struct osr_code_info *code = osr_code_info(err->code);
    struct detail info;
    struct detail retry;
    wrap_error_info(&info, err);
    wrap_retry_info(&retry);
    GoogleProtobuf__Any *details[] = {&info.any, &retry.any};

    GoogleRpc__Status status = GOOGLE_RPC__STATUS__INIT;
    status.code = code->grpc_status;
    status.message = (char *)err->message;
    status.details = details;
    status.n_details = code->class == OSR_CLASS_RETRY ? 2 : 1;
    osr_protobuf_encode(&status.base, buffer);
    unwrap(&info);
    unwrap(&retry);
}

/* ---- reading ---- */

/* The nearest of our codes for a server that does not give ours. */
static enum osr_code code_of_status(int grpc_code)
{
    switch (grpc_code) {
    case OSR_GRPC_CANCELLED:
        return OSR_CANCELLED;
    case OSR_GRPC_INVALID_ARGUMENT:
    case OSR_GRPC_FAILED_PRECONDITION:
    case OSR_GRPC_OUT_OF_RANGE:
        return OSR_INVALID_ARGUMENT;
    case OSR_GRPC_DEADLINE_EXCEEDED:
        return OSR_TIMEOUT;
    case OSR_GRPC_NOT_FOUND:
        return OSR_NOT_FOUND;
    case OSR_GRPC_ALREADY_EXISTS:
        return OSR_ALREADY_EXISTS;
    case OSR_GRPC_PERMISSION_DENIED:
        return OSR_PERMISSION_DENIED;
    case OSR_GRPC_RESOURCE_EXHAUSTED:
        return OSR_TOO_LARGE;
    case OSR_GRPC_ABORTED:
        return OSR_BUSY;
    case OSR_GRPC_UNIMPLEMENTED:
        return OSR_UNKNOWN_TYPE;
    case OSR_GRPC_UNAVAILABLE:
        return OSR_UNAVAILABLE;
    case OSR_GRPC_DATA_LOSS:
        return OSR_CORRUPT;
    case OSR_GRPC_UNAUTHENTICATED:
        return OSR_UNAUTHENTICATED;
    default:
        return OSR_INTERNAL;
    }
}

/* OSR_OK where no code has that name. */
static enum osr_code code_of_name(const char *name)
{
    for (int code = OSR_OK + 1; code < OSR_CODE_COUNT; code++) {
        if (strcmp(osr_code_info((enum osr_code)code)->name, name) == 0) {
            return (enum osr_code)code;
        }
    }
    return OSR_OK;
}

static bool is_of_type(const GoogleProtobuf__Any *any, const ProtobufCMessageDescriptor *descriptor)
{
    const char *slash = strrchr(any->type_url, '/');
    return slash != NULL && strcmp(slash + 1, descriptor->name) == 0;
}

/* The first detail of this type from `*at` on, which moves behind it; NULL where there is none.
 * What cannot be read is passed over. */
static const ProtobufCMessage *next_detail(const GoogleRpc__Status *status,
                                           const ProtobufCMessageDescriptor *descriptor, size_t *at,
                                           struct osr_arena *arena)
{
    while (*at < status->n_details) {
        const GoogleProtobuf__Any *any = status->details[(*at)++];
        ProtobufCMessage *message;
        if (is_of_type(any, descriptor) &&
            osr_protobuf_decode(descriptor, osr_slice(any->value.data, any->value.len), arena,
                                &message, NULL) == 0) {
            return message;
        }
    }
    return NULL;
}

/* The ErrorInfo of an Osiris server among the details; NULL where there is none. */
static const GoogleRpc__ErrorInfo *find_error_info(const GoogleRpc__Status *status,
                                                   struct osr_arena *arena)
{
    const ProtobufCMessage *message;
    size_t at = 0;
    while ((message = next_detail(status, &google_rpc__error_info__descriptor, &at, arena)) !=
           NULL) {
        const GoogleRpc__ErrorInfo *info = (const GoogleRpc__ErrorInfo *)message;
        if (strcmp(info->domain, domain_ours) == 0) {
            return info;
        }
    }
    return NULL;
}

static const char *hint_of(const GoogleRpc__ErrorInfo *info)
{
    for (size_t i = 0; i < info->n_metadata; i++) {
        if (strcmp(info->metadata[i]->key, key_hint) == 0) {
            return info->metadata[i]->value;
        }
    }
    return "";
}

/* NULL where there is none, or it cannot be read: the call has its status all the same. */
static const GoogleRpc__Status *decode_status(struct osr_slice details, struct osr_arena *arena)
{
    ProtobufCMessage *message = NULL;
    if (details.size == 0 ||
        osr_protobuf_decode(&google_rpc__status__descriptor, details, arena, &message, NULL) != 0) {
        return NULL;
    }
    return (const GoogleRpc__Status *)message;
}

static void set_message(struct osr_err *err, int grpc_code, struct osr_slice message,
                        const GoogleRpc__Status *status)
{
    enum osr_code code = code_of_status(grpc_code);
    if (message.size > 0) {
        size_t size = message.size < OSR_ERR_MESSAGE_MAX ? message.size : OSR_ERR_MESSAGE_MAX;
        osr_err_set(err, code, "%.*s", (int)size, (const char *)message.data);
    } else if (status != NULL && status->message[0] != '\0') {
        osr_err_set(err, code, "%s", status->message);
    } else {
        osr_err_set(err, code, "%s", osr_grpc_code_name(grpc_code));
    }
}

/* The code must be one that has this gRPC status: details that contradict what every other client
 * sees are not believed. */
static void set_code(struct osr_err *err, int grpc_code, const GoogleRpc__ErrorInfo *info)
{
    enum osr_code code = code_of_name(info->reason);
    if (code != OSR_OK && osr_code_info(code)->grpc_status == grpc_code) {
        err->code = code;
        osr_err_hint(err, "%s", hint_of(info));
    }
}

void osr_grpc_error_read(int grpc_code, struct osr_slice message, struct osr_slice details,
                         struct osr_err *ret_err)
{
    assert(grpc_code != OSR_GRPC_OK);
    struct osr_arena *arena = osr_arena_create(0, DETAILS_DECODE_BYTES_MAX);
    const GoogleRpc__Status *status = decode_status(details, arena);
    set_message(ret_err, grpc_code, message, status);
    const GoogleRpc__ErrorInfo *info = status != NULL ? find_error_info(status, arena) : NULL;
    if (info != NULL) {
        set_code(ret_err, grpc_code, info);
    }
    osr_arena_destroy(arena);
}

static uint32_t milliseconds_of(const GoogleProtobuf__Duration *duration)
{
    if (duration == NULL || duration->seconds < 0 || duration->nanos < 0) {
        return 0;
    }
    if (duration->seconds >= UINT32_MAX / 1000) {
        return UINT32_MAX;
    }
    return (uint32_t)duration->seconds * 1000 + (uint32_t)duration->nanos / 1000000;
}

uint32_t osr_grpc_retry_read(struct osr_slice details)
{
    struct osr_arena *arena = osr_arena_create(0, DETAILS_DECODE_BYTES_MAX);
    const GoogleRpc__Status *status = decode_status(details, arena);
    const ProtobufCMessage *message = NULL;
    size_t at = 0;
    if (status != NULL) {
        message = next_detail(status, &google_rpc__retry_info__descriptor, &at, arena);
    }
    uint32_t delay_ms =
        message == NULL ? 0 : milliseconds_of(((const GoogleRpc__RetryInfo *)message)->retry_delay);
    osr_arena_destroy(arena);
    return delay_ms;
}
