/* Messages to JSON, walked by their descriptors. */
#include "wire/encoding.h"

#include "base/json_scan.h"
#include "base/text.h"

#include <assert.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define EXACT_INTEGER_MAX ((UINT64_C(1) << 53) - 1) /* beyond it many readers round */

static void encode_message(struct osr_buffer *buffer, const ProtobufCMessage *message);

/* ---- numbers ---- */

static void add_decimal(struct osr_buffer *buffer, uint64_t number)
{
    char digits[20];
    char *at = digits + sizeof(digits);
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    osr_buffer_add(buffer, at, (size_t)(digits + sizeof(digits) - at));
}

static void encode_integer(struct osr_buffer *buffer, bool is_negative, uint64_t magnitude)
{
    bool is_text = magnitude > EXACT_INTEGER_MAX;
    if (is_text) {
        osr_buffer_add_u8(buffer, '"');
    }
    if (is_negative) {
        osr_buffer_add_u8(buffer, '-');
    }
    add_decimal(buffer, magnitude);
    if (is_text) {
        osr_buffer_add_u8(buffer, '"');
    }
}

static void encode_signed(struct osr_buffer *buffer, int64_t number)
{
    uint64_t magnitude = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    encode_integer(buffer, number < 0, magnitude);
}

static locale_t c_locale;

static void make_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    assert(c_locale != (locale_t)0);
}

locale_t osr_json_locale(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_c_locale);
    return c_locale;
}

/* The shortest of these that reads back as the same number. */
static void encode_double(struct osr_buffer *buffer, double number)
{
    if (isnan(number) || isinf(number)) {
        const char *name = isnan(number) ? "\"NaN\""
                           : number > 0  ? "\"Infinity\""
                                         : "\"-Infinity\"";
        osr_buffer_add_text(buffer, name);
        return;
    }
    char text[32];
    locale_t before = uselocale(osr_json_locale());
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, number);
        if (strtod(text, NULL) == number) { /* NOLINT(clang-diagnostic-float-equal): exactly */
            break;
        }
    }
    uselocale(before);
    osr_buffer_add_text(buffer, text);
}

static void encode_enum(struct osr_buffer *buffer, const ProtobufCEnumDescriptor *descriptor,
                        int number)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(descriptor, number);
    if (value != NULL) {
        osr_json_quote(buffer, osr_slice_text(value->name), false);
    } else {
        encode_signed(buffer, number);
    }
}

/* ---- values ---- */

static void encode_bytes(struct osr_buffer *buffer, const ProtobufCBinaryData *bytes)
{
    osr_buffer_add_u8(buffer, '"');
    osr_base64_encode(buffer, osr_slice(bytes->data, bytes->len));
    osr_buffer_add_u8(buffer, '"');
}

static void encode_string(struct osr_buffer *buffer, const char *text)
{
    osr_json_quote(buffer, osr_slice_text(text != NULL ? text : ""), false);
}

static void encode_value(struct osr_buffer *buffer, const ProtobufCFieldDescriptor *field,
                         const void *at)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        encode_signed(buffer, *(const int32_t *)at);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        encode_signed(buffer, *(const int64_t *)at);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        encode_integer(buffer, false, *(const uint32_t *)at);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        encode_integer(buffer, false, *(const uint64_t *)at);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        encode_double(buffer, (double)*(const float *)at);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        encode_double(buffer, *(const double *)at);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        osr_buffer_add_text(buffer, *(const protobuf_c_boolean *)at ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_ENUM:
        encode_enum(buffer, field->descriptor, *(const int *)at);
        break;
    case PROTOBUF_C_TYPE_STRING:
        encode_string(buffer, *(char *const *)at);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        encode_bytes(buffer, at);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        encode_message(buffer, *(ProtobufCMessage *const *)at);
        break;
    }
}

/* ---- fields ---- */

static bool is_default(const ProtobufCFieldDescriptor *field, const void *at)
{
    static const uint64_t zero = 0;
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING: {
        const char *text = *(char *const *)at;
        return text == NULL || *text == '\0';
    }
    case PROTOBUF_C_TYPE_BYTES:
        return ((const ProtobufCBinaryData *)at)->len == 0;
    case PROTOBUF_C_TYPE_MESSAGE:
        return *(ProtobufCMessage *const *)at == NULL;
    case PROTOBUF_C_TYPE_FLOAT: /* minus zero is left out too, as protobuf-c does */
        return *(const float *)at == 0;
    case PROTOBUF_C_TYPE_DOUBLE:
        return *(const double *)at == 0;
    default:
        return memcmp(at, &zero, osr_field_value_size(field)) == 0;
    }
}

/* Default values are left out, but a member of a oneof and a submessage are there or not. */
static bool is_present(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    if (osr_field_is_repeated(field)) {
        return *osr_field_count(message, field) > 0;
    }
    if (osr_field_is_in_oneof(field)) {
        return *osr_field_case(message, field) == field->id;
    }
    return !is_default(field, osr_field_at(message, field));
}

static void encode_array(struct osr_buffer *buffer, const ProtobufCMessage *message,
                         const ProtobufCFieldDescriptor *field)
{
    const char *elements = *(char **)osr_field_at(message, field);
    size_t count = *osr_field_count(message, field);
    size_t value_size = osr_field_value_size(field);
    osr_buffer_add_u8(buffer, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            osr_buffer_add_u8(buffer, ',');
        }
        encode_value(buffer, field, elements + i * value_size);
    }
    osr_buffer_add_u8(buffer, ']');
}

static void encode_name(struct osr_buffer *buffer, const char *name)
{
    bool is_first = buffer->data[buffer->size - 1] == '{';
    osr_buffer_add_text(buffer, is_first ? "\"" : ",\"");
    osr_buffer_add_text(buffer, name);
    osr_buffer_add_text(buffer, "\":");
}

static void encode_field(struct osr_buffer *buffer, const ProtobufCMessage *message,
                         const ProtobufCFieldDescriptor *field)
{
    encode_name(buffer, field->name);
    if (osr_field_is_repeated(field)) {
        encode_array(buffer, message, field);
    } else {
        encode_value(buffer, field, osr_field_at(message, field));
    }
}

static void encode_fields(struct osr_buffer *buffer, const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    for (size_t i = 0; i < descriptor->n_fields; i++) {
        if (is_present(message, &descriptor->fields[i])) {
            encode_field(buffer, message, &descriptor->fields[i]);
        }
    }
}

static void encode_message(struct osr_buffer *buffer, const ProtobufCMessage *message)
{
    if (message->descriptor == &osr__json__descriptor) {
        const Osr__Json *json = (const Osr__Json *)message;
        osr_buffer_add(buffer, json->text.data, json->text.len);
        return;
    }
    osr_buffer_add_u8(buffer, '{');
    encode_fields(buffer, message);
    osr_buffer_add_u8(buffer, '}');
}

void osr_json_encode(const ProtobufCMessage *message, struct osr_buffer *buffer)
{
    encode_message(buffer, message);
}

void osr_json_encode_frame(const Osr__Frame *frame, struct osr_buffer *buffer)
{
    osr_buffer_add_text(buffer, "{\"type\":\"");
    osr_buffer_add_text(buffer, osr_frame_type(frame));
    osr_buffer_add_u8(buffer, '"');
    if (frame->request_id != 0) {
        encode_name(buffer, "request_id");
        encode_integer(buffer, false, frame->request_id);
    }
    if (frame->end) {
        encode_name(buffer, "end");
        osr_buffer_add_text(buffer, "true");
    }
    encode_fields(buffer, osr_frame_body(frame));
    osr_buffer_add_u8(buffer, '}');
}
