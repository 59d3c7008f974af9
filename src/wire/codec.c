#include "wire/encoding.h"

#include <assert.h>
#include <pthread.h>

size_t osr_field_value_size(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return sizeof(uint64_t);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return sizeof(uint32_t);
    }
}

bool osr_codec_parse(const char *name, enum osr_codec *ret_codec)
{
    static const char *const names[] = {"json", "protobuf", "yaml"};
    _Static_assert(sizeof(names) / sizeof(names[0]) == OSR_CODEC_COUNT, "a name for each");
    for (size_t i = 0; i < OSR_CODEC_COUNT; i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret_codec = (enum osr_codec)i;
            return true;
        }
    }
    return false;
}

/* ---- messages ---- */

void osr_message_encode(enum osr_codec codec, const ProtobufCMessage *message,
                        struct osr_buffer *buffer)
{
    switch (codec) {
    case OSR_CODEC_JSON:
        osr_json_encode(message, buffer);
        break;
    case OSR_CODEC_PROTOBUF:
        osr_protobuf_encode(message, buffer);
        break;
    case OSR_CODEC_YAML:
        osr_yaml_encode(message, buffer);
        break;
    }
}

int osr_message_decode(enum osr_codec codec, const ProtobufCMessageDescriptor *descriptor,
                       struct osr_slice bytes, struct osr_arena *arena,
                       ProtobufCMessage **ret_message, struct osr_err *err)
{
    switch (codec) {
    case OSR_CODEC_JSON:
        return osr_json_decode(descriptor, bytes, false, arena, ret_message, err);
    case OSR_CODEC_PROTOBUF:
        return osr_protobuf_decode(descriptor, bytes, arena, ret_message, err);
    case OSR_CODEC_YAML:
        return osr_yaml_decode(descriptor, bytes, arena, ret_message, err);
    }
    return (int)osr_err_set(err, OSR_INTERNAL, "no such encoding");
}

/* ---- frames ---- */

void osr_frame_encode(enum osr_codec codec, const Osr__Frame *frame, struct osr_buffer *buffer)
{
    assert(osr_frame_body(frame) != NULL);
    switch (codec) {
    case OSR_CODEC_JSON:
        osr_json_encode_frame(frame, buffer);
        break;
    case OSR_CODEC_PROTOBUF:
        osr_protobuf_encode(&frame->base, buffer);
        break;
    case OSR_CODEC_YAML:
        osr_yaml_encode_frame(frame, buffer);
        break;
    }
}

static int decode_protobuf_frame(struct osr_slice bytes, struct osr_arena *arena,
                                 Osr__Frame **ret_frame, uint64_t *ret_request_id,
                                 struct osr_err *err)
{
    ProtobufCMessage *message = NULL;
    int code = osr_protobuf_decode(&osr__frame__descriptor, bytes, arena, &message, err);
    if (code == 0 && osr_frame_body((Osr__Frame *)message) == NULL) {
        code = (int)osr_err_set(err, OSR_UNKNOWN_TYPE, "frame has no body that is known here");
    }
    if (code != 0) {
        *ret_request_id = osr_protobuf_find_request_id(bytes);
        return code;
    }
    *ret_frame = (Osr__Frame *)message;
    *ret_request_id = (*ret_frame)->request_id;
    return 0;
}

static int decode_json_frame(struct osr_slice bytes, struct osr_arena *arena,
                             Osr__Frame **ret_frame, uint64_t *ret_request_id, struct osr_err *err)
{
    int code = osr_json_decode_frame(bytes, false, arena, ret_frame, err);
    *ret_request_id = code == 0 ? (*ret_frame)->request_id : osr_json_find_request_id(bytes);
    return code;
}

int osr_frame_decode(enum osr_codec codec, struct osr_slice bytes, struct osr_arena *arena,
                     Osr__Frame **ret_frame, uint64_t *ret_request_id, struct osr_err *err)
{
    switch (codec) {
    case OSR_CODEC_JSON:
        return decode_json_frame(bytes, arena, ret_frame, ret_request_id, err);
    case OSR_CODEC_PROTOBUF:
        return decode_protobuf_frame(bytes, arena, ret_frame, ret_request_id, err);
    case OSR_CODEC_YAML:
        return osr_yaml_decode_frame(bytes, arena, ret_frame, ret_request_id, err);
    }
    return (int)osr_err_set(err, OSR_INTERNAL, "no such encoding");
}

enum { TYPE_CHARS_MAX = 31 };

static char frame_types[OSR_FIELDS_MAX][TYPE_CHARS_MAX + 1]; /* by index of Frame's field */

static void make_frame_types(void)
{
    assert(osr__frame__descriptor.n_fields <= OSR_FIELDS_MAX);
    for (size_t i = 0; i < osr__frame__descriptor.n_fields; i++) {
        const char *name = osr__frame__descriptor.fields[i].name;
        assert(strlen(name) <= TYPE_CHARS_MAX);
        for (size_t k = 0; name[k] != '\0'; k++) {
            bool is_lower = name[k] >= 'a' && name[k] <= 'z';
            frame_types[i][k] = (char)(is_lower ? name[k] - 'a' + 'A' : name[k]);
        }
    }
}

const char *osr_frame_type(const Osr__Frame *frame)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_frame_types);
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(&osr__frame__descriptor, frame->body_case);
    return field != NULL ? frame_types[field - osr__frame__descriptor.fields] : "";
}

ProtobufCMessage *osr_frame_body(const Osr__Frame *frame)
{
    /* All members of the union are pointers to messages. */
    return frame->body_case != OSR__FRAME__BODY__NOT_SET ? (ProtobufCMessage *)frame->hello : NULL;
}

void osr_frame_set_body(Osr__Frame *frame, Osr__Frame__BodyCase body, ProtobufCMessage *message)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(&osr__frame__descriptor, body);
    assert(field != NULL && field->descriptor == message->descriptor);
    frame->body_case = body;
    frame->hello = (Osr__Hello *)message;
}

void osr_error_message(Osr__Error *message, const struct osr_err *err)
{
    osr__error__init(message);
    message->code = (Osr__Code)err->code;
    message->message = (char *)err->message;
    message->hint = (char *)err->hint;
}

void osr_error_read(const Osr__Error *message, struct osr_err *ret_err)
{
    bool is_code = message->code != OSR__CODE__OK;
    osr_err_set(ret_err, is_code ? (enum osr_code)message->code : OSR_INTERNAL, "%s",
                message->message);
    if (message->hint[0] != '\0') {
        osr_err_hint(ret_err, "%s", message->hint);
    }
}
