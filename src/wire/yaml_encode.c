/* Messages to YAML: their JSON, walked beside the descriptors for the sake of Json members.
 *
 * Block style, one member a line, as people write it. What is nested deep or long is in flow style,
 * in which YAML takes hardly more bytes than JSON: indentation must not make a frame that is within
 * the limits too large. */
#include "base/json_scan.h"
#include "wire/encoding.h"
#include "wire/yaml_native.h"
#include "wire/yaml_scalar.h"

#include <assert.h>

enum {
    BLOCK_DEPTH_MAX = 8,        /* collections around a line of its own */
    BLOCK_BYTES_MAX = 64 << 10, /* of JSON; longer documents are in flow style */
    INDENT = 2,
    FIELD_NAME_CHARS_MAX = 63,
};

struct writer {
    struct osr_json json; /* has just read the token that is written next */
    struct osr_buffer *out;
    struct osr_buffer scratch; /* a string without its escapes */
    bool is_flow;              /* all of it */
};

/* What stands before a value on its line. */
enum place { AT_BEGIN, BEHIND_NAME, BEHIND_DASH };

static void write_value(struct writer *writer, const ProtobufCMessageDescriptor *descriptor,
                        enum osr_json_token token, enum place place, size_t indent);
static void write_flow(struct writer *writer, const ProtobufCMessageDescriptor *descriptor,
                       enum osr_json_token token);

static enum osr_json_token next_token(struct writer *writer)
{
    enum osr_json_token token = osr_json_next(&writer->json, NULL);
    assert(token != OSR_JSON_ERROR); /* it is our own, or was checked where it came in */
    return token;
}

/* ---- scalars ---- */

static struct osr_slice current_text(struct writer *writer)
{
    if (!writer->json.escaped) {
        return writer->json.text;
    }
    writer->scratch.size = 0;
    int code = osr_json_unescape(&writer->scratch, writer->json.text, NULL);
    assert(code == 0); /* only data has escapes that stand for no text, and is not native then */
    (void)code;
    return osr_buffer_slice(&writer->scratch);
}

/* Readers of YAML 1.1 know an exponent behind a point alone, and with a sign. */
static void write_number(struct osr_buffer *out, struct osr_slice number)
{
    size_t mantissa = 0;
    bool has_point = false;
    while (mantissa < number.size && (number.data[mantissa] | 0x20) != 'e') {
        has_point = has_point || number.data[mantissa] == '.';
        mantissa++;
    }
    osr_buffer_add(out, number.data, mantissa);
    if (mantissa == number.size) {
        return;
    }
    uint8_t sign = number.data[mantissa + 1];
    osr_buffer_add_text(out, has_point ? "e" : ".0e");
    if (sign != '-' && sign != '+') {
        osr_buffer_add_u8(out, '+');
    }
    osr_buffer_add(out, number.data + mantissa + 1, number.size - mantissa - 1);
}

static void write_scalar(struct writer *writer, enum osr_json_token token, bool is_flow)
{
    switch (token) {
    case OSR_JSON_STRING:
        osr_yaml_write_text(writer->out, current_text(writer), is_flow);
        break;
    case OSR_JSON_NUMBER:
        write_number(writer->out, writer->json.text);
        break;
    default:
        osr_buffer_add_text(writer->out, token == OSR_JSON_TRUE    ? "true"
                                         : token == OSR_JSON_FALSE ? "false"
                                                                   : "null");
    }
}

/* ---- members ---- */

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *descriptor,
                                                  struct osr_slice name)
{
    char text[FIELD_NAME_CHARS_MAX + 1];
    if (descriptor == NULL || name.size > FIELD_NAME_CHARS_MAX) {
        return NULL;
    }
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    return protobuf_c_message_descriptor_get_field_by_name(descriptor, text);
}

static const ProtobufCMessageDescriptor *message_of(const ProtobufCFieldDescriptor *field)
{
    bool is_message = field != NULL && field->type == PROTOBUF_C_TYPE_MESSAGE;
    return is_message ? field->descriptor : NULL;
}

/* The text of the value that follows the name just read. */
static struct osr_slice value_ahead(const struct writer *writer)
{
    struct osr_json ahead = writer->json;
    enum osr_json_token token = osr_json_next(&ahead, NULL);
    size_t begin = ahead.token_at;
    osr_json_skip(&ahead, token, NULL);
    return osr_slice(ahead.input.data + begin, ahead.at - begin);
}

/* Writes a member's name with its colon, and gives what its value is. Where that cannot be YAML, it
 * is written as text, and true returned. */
static bool write_name(struct writer *writer, const ProtobufCMessageDescriptor *descriptor,
                       bool is_flow, const ProtobufCMessageDescriptor **ret_descriptor)
{
    struct osr_slice name = current_text(writer);
    const ProtobufCMessageDescriptor *value = message_of(find_field(descriptor, name));
    bool is_json = value == &osr__json__descriptor;
    struct osr_slice text = is_json ? value_ahead(writer) : osr_slice(NULL, 0);
    *ret_descriptor = is_json ? NULL : value;
    if (!is_json || osr_yaml_is_native(text)) {
        osr_yaml_write_text(writer->out, name, is_flow);
        osr_buffer_add_u8(writer->out, ':');
        return false;
    }
    osr_buffer_add(writer->out, name.data, name.size);
    osr_buffer_add_text(writer->out, OSR_YAML_TEXT_SUFFIX ": ");
    osr_yaml_write_verbatim(writer->out, text);
    osr_json_skip(&writer->json, next_token(writer), NULL);
    return true;
}

/* ---- flow style ---- */

static void write_flow_member(struct writer *writer, const ProtobufCMessageDescriptor *descriptor)
{
    const ProtobufCMessageDescriptor *value;
    if (!write_name(writer, descriptor, true, &value)) {
        osr_buffer_add_u8(writer->out, ' ');
        write_flow(writer, value, next_token(writer));
    }
}

static void write_flow(struct writer *writer, const ProtobufCMessageDescriptor *descriptor,
                       enum osr_json_token token)
{
    if (token != OSR_JSON_OBJECT && token != OSR_JSON_ARRAY) {
        write_scalar(writer, token, true);
        return;
    }
    bool is_object = token == OSR_JSON_OBJECT;
    enum osr_json_token end = is_object ? OSR_JSON_OBJECT_END : OSR_JSON_ARRAY_END;
    osr_buffer_add_u8(writer->out, is_object ? '{' : '[');
    bool is_first = true;
    for (token = next_token(writer); token != end; token = next_token(writer)) {
        if (!is_first) {
            osr_buffer_add_text(writer->out, ", ");
        }
        is_first = false;
        if (is_object) {
            write_flow_member(writer, descriptor);
        } else {
            write_flow(writer, descriptor, token);
        }
    }
    osr_buffer_add_u8(writer->out, is_object ? '}' : ']');
}

/* ---- block style ---- */

static void begin_line(struct writer *writer, size_t indent)
{
    osr_buffer_add_u8(writer->out, '\n');
    memset(osr_buffer_reserve(writer->out, indent), ' ', indent);
    writer->out->size += indent;
}

static void write_block_member(struct writer *writer, const ProtobufCMessageDescriptor *descriptor,
                               size_t indent)
{
    const ProtobufCMessageDescriptor *value;
    if (!write_name(writer, descriptor, false, &value)) {
        write_value(writer, value, next_token(writer), BEHIND_NAME, indent);
    }
}

/* The members or elements, each on a line, the first where the writer stands if `is_begun`. */
static void write_block(struct writer *writer, const ProtobufCMessageDescriptor *descriptor,
                        bool is_object, bool is_begun, size_t indent)
{
    enum osr_json_token end = is_object ? OSR_JSON_OBJECT_END : OSR_JSON_ARRAY_END;
    for (enum osr_json_token token = next_token(writer); token != end; token = next_token(writer)) {
        if (!is_begun) {
            begin_line(writer, indent);
        }
        is_begun = false;
        if (is_object) {
            write_block_member(writer, descriptor, indent);
        } else {
            osr_buffer_add_u8(writer->out, '-');
            write_value(writer, descriptor, token, BEHIND_DASH, indent);
        }
    }
}

static bool is_block(const struct writer *writer, enum osr_json_token token)
{
    struct osr_json ahead = writer->json;
    if (writer->is_flow || (token != OSR_JSON_OBJECT && token != OSR_JSON_ARRAY) ||
        ahead.depth > BLOCK_DEPTH_MAX) {
        return false;
    }
    enum osr_json_token first = osr_json_next(&ahead, NULL);
    return first != OSR_JSON_OBJECT_END && first != OSR_JSON_ARRAY_END;
}

static void write_value(struct writer *writer, const ProtobufCMessageDescriptor *descriptor,
                        enum osr_json_token token, enum place place, size_t indent)
{
    bool is_object = token == OSR_JSON_OBJECT;
    bool is_collection = is_object || token == OSR_JSON_ARRAY;
    bool has_block = is_block(writer, token);
    if (place == BEHIND_DASH || (place == BEHIND_NAME && !has_block)) {
        osr_buffer_add_u8(writer->out, ' ');
    }
    if (has_block) {
        size_t inner = place == AT_BEGIN ? 0 : indent + INDENT;
        write_block(writer, descriptor, is_object, place != BEHIND_NAME, inner);
    } else if (is_collection) {
        write_flow(writer, descriptor, token);
    } else {
        write_scalar(writer, token, false);
    }
}

/* Appends a document with a newline behind it. `json` is what osr_json_encode gives for a message
 * with that descriptor; NULL: any native JSON. */
static void write_text(struct osr_buffer *buffer, const ProtobufCMessageDescriptor *descriptor,
                       struct osr_slice json)
{
    struct writer writer = {.out = buffer, .is_flow = json.size > BLOCK_BYTES_MAX};
    osr_json_init(&writer.json, json);
    write_value(&writer, descriptor, next_token(&writer), AT_BEGIN, 0);
    osr_buffer_add_u8(buffer, '\n');
    osr_buffer_wipe(&writer.scratch);
}

/* ---- messages ---- */

/* A Json alone has no name to which a suffix could be added. */
static void write_json(struct osr_buffer *buffer, struct osr_slice json)
{
    static const char like_text[] = "{\"" OSR_YAML_TEXT_MEMBER "\":";
    size_t size = sizeof(like_text) - 1;
    bool is_like_text = json.size > size && memcmp(json.data, like_text, size) == 0;
    if (!is_like_text && osr_yaml_is_native(json)) {
        write_text(buffer, NULL, json);
        return;
    }
    osr_buffer_add_text(buffer, OSR_YAML_TEXT_MEMBER ": ");
    osr_yaml_write_verbatim(buffer, json);
    osr_buffer_add_u8(buffer, '\n');
}

void osr_yaml_encode(const ProtobufCMessage *message, struct osr_buffer *buffer)
{
    struct osr_buffer json = {0};
    osr_json_encode(message, &json);
    if (message->descriptor == &osr__json__descriptor) {
        write_json(buffer, osr_buffer_slice(&json));
    } else {
        write_text(buffer, message->descriptor, osr_buffer_slice(&json));
    }
    osr_buffer_wipe(&json);
}

void osr_yaml_encode_frame(const Osr__Frame *frame, struct osr_buffer *buffer)
{
    struct osr_buffer json = {0};
    osr_json_encode_frame(frame, &json);
    write_text(buffer, osr_frame_body(frame)->descriptor, osr_buffer_slice(&json));
    osr_buffer_wipe(&json);
}
