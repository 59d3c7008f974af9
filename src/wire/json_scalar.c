/* JSON to the scalar fields of messages: numbers, text, bytes, enums. */
#include "wire/json_reader.h"

#include "base/text.h"
#include "model/limits.h"

#include <assert.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

/* ---- tokens, memory ---- */

int osr_json_reader_next(struct osr_json_reader *reader, enum osr_json_token *ret_token)
{
    *ret_token = osr_json_next(&reader->json, reader->err);
    return *ret_token == OSR_JSON_ERROR ? (int)reader->err->code : 0;
}

int osr_json_reader_copy(struct osr_json_reader *reader, struct osr_slice bytes, void *ret_copy)
{
    if (bytes.size == 0) {
        return 0;
    }
    void *copy = osr_arena_take(reader->arena, bytes.size);
    if (copy == NULL) {
        return osr_json_reader_refuse_memory(reader);
    }
    memcpy(copy, bytes.data, bytes.size);
    memcpy(ret_copy, &copy, sizeof(copy));
    return 0;
}

struct osr_slice osr_json_reader_scratch(const struct osr_json_reader *reader, size_t mark)
{
    size_t size = reader->scratch.size - mark;
    return osr_slice(size > 0 ? reader->scratch.data + mark : NULL, size);
}

int osr_json_reader_text(struct osr_json_reader *reader, struct osr_slice *ret_text)
{
    if (!reader->json.escaped) {
        *ret_text = reader->json.text;
        return 0;
    }
    size_t mark = reader->scratch.size;
    int code = osr_json_unescape(&reader->scratch, reader->json.text, reader->err);
    if (code == 0) {
        *ret_text = osr_json_reader_scratch(reader, mark);
    }
    return code;
}

int osr_json_reader_text_is(struct osr_json_reader *reader, const char *name, bool *ret_is)
{
    size_t mark = reader->scratch.size;
    struct osr_slice text;
    int code = osr_json_reader_text(reader, &text);
    *ret_is = code == 0 && osr_slice_equal(text, osr_slice_text(name));
    reader->scratch.size = mark;
    return code;
}

/* ---- numbers ---- */

/* [-]DIGITS without leading zeros. */
static bool parse_integer(struct osr_slice text, bool *ret_is_negative, uint64_t *ret_magnitude)
{
    bool is_negative = text.size > 0 && text.data[0] == '-';
    size_t first = is_negative ? 1 : 0;
    uint64_t magnitude = 0;
    if (text.size == first || (text.data[first] == '0' && text.size > first + 1)) {
        return false;
    }
    for (size_t i = first; i < text.size; i++) {
        unsigned digit = (unsigned)text.data[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(magnitude, 10, &magnitude) ||
            __builtin_add_overflow(magnitude, digit, &magnitude)) {
            return false;
        }
    }
    *ret_is_negative = is_negative;
    *ret_magnitude = magnitude;
    return true;
}

/* A number, or the same as a string. */
static int read_integer(struct osr_json_reader *reader, const ProtobufCFieldDescriptor *field,
                        enum osr_json_token token, uint64_t min_magnitude, uint64_t max,
                        uint64_t *ret_number)
{
    static const char expected[] = "must be an integer within its range";
    bool is_negative;
    uint64_t magnitude;
    if ((token != OSR_JSON_NUMBER && token != OSR_JSON_STRING) ||
        !parse_integer(reader->json.text, &is_negative, &magnitude) ||
        magnitude > (is_negative ? min_magnitude : max)) {
        return osr_json_reader_refuse(reader, field, expected);
    }
    *ret_number = is_negative ? 0 - magnitude : magnitude;
    return 0;
}

static int read_int32(struct osr_json_reader *reader, const ProtobufCFieldDescriptor *field,
                      enum osr_json_token token, int32_t *ret_number)
{
    uint64_t number = 0;
    int code = read_integer(reader, field, token, UINT64_C(1) << 31, INT32_MAX, &number);
    if (code == 0) {
        *ret_number = (int32_t)(int64_t)number;
    }
    return code;
}

static int read_int64(struct osr_json_reader *reader, const ProtobufCFieldDescriptor *field,
                      enum osr_json_token token, int64_t *ret_number)
{
    uint64_t number = 0;
    int code = read_integer(reader, field, token, UINT64_C(1) << 63, INT64_MAX, &number);
    if (code == 0) {
        *ret_number = (int64_t)number;
    }
    return code;
}

static int read_uint32(struct osr_json_reader *reader, const ProtobufCFieldDescriptor *field,
                       enum osr_json_token token, uint32_t *ret_number)
{
    uint64_t number = 0;
    int code = read_integer(reader, field, token, 0, UINT32_MAX, &number);
    if (code == 0) {
        *ret_number = (uint32_t)number;
    }
    return code;
}

static double parse_double(struct osr_json_reader *reader, struct osr_slice text)
{
    size_t mark = reader->scratch.size;
    osr_buffer_add(&reader->scratch, text.data, text.size);
    osr_buffer_add_u8(&reader->scratch, '\0');
    locale_t before = uselocale(osr_json_locale());
    double number = strtod((const char *)reader->scratch.data + mark, NULL);
    uselocale(before);
    reader->scratch.size = mark;
    return number;
}

static int read_double(struct osr_json_reader *reader, const ProtobufCFieldDescriptor *field,
                       enum osr_json_token token, double *ret_number)
{
    static const struct {
        const char *name;
        double number;
    } names[] = {{"NaN", NAN}, {"Infinity", INFINITY}, {"-Infinity", -INFINITY}};

    if (token == OSR_JSON_NUMBER) {
        *ret_number = parse_double(reader, reader->json.text);
        return isinf(*ret_number) ? osr_json_reader_refuse(reader, field, "is out of range") : 0;
    }
    for (size_t i = 0; token == OSR_JSON_STRING && i < 3; i++) {
        if (osr_slice_equal(reader->json.text, osr_slice_text(names[i].name))) {
            *ret_number = names[i].number;
            return 0;
        }
    }
    return osr_json_reader_refuse(reader, field, "must be a number");
}

/* By name; by number, so that names added later can pass. */
static int read_enum(struct osr_json_reader *reader, const ProtobufCFieldDescriptor *field,
                     enum osr_json_token token, int32_t *ret_number)
{
    if (token == OSR_JSON_NUMBER) {
        return read_int32(reader, field, token, ret_number);
    }
    const ProtobufCEnumDescriptor *descriptor = field->descriptor;
    for (size_t i = 0; token == OSR_JSON_STRING && i < descriptor->n_values; i++) {
        if (osr_slice_equal(reader->json.text, osr_slice_text(descriptor->values[i].name))) {
            *ret_number = descriptor->values[i].value;
            return 0;
        }
    }
    return osr_json_reader_refuse(reader, field, "must be one of its names");
}

static int read_bool(struct osr_json_reader *reader, const ProtobufCFieldDescriptor *field,
                     enum osr_json_token token, protobuf_c_boolean *ret_value)
{
    if (token != OSR_JSON_TRUE && token != OSR_JSON_FALSE) {
        return osr_json_reader_refuse(reader, field, "must be true or false");
    }
    *ret_value = token == OSR_JSON_TRUE;
    return 0;
}

/* ---- text, bytes, JSON ---- */

static int read_string(struct osr_json_reader *reader, const ProtobufCFieldDescriptor *field,
                       enum osr_json_token token, char **ret_text)
{
    if (token != OSR_JSON_STRING) {
        return osr_json_reader_refuse(reader, field, "must be a string");
    }
    size_t mark = reader->scratch.size;
    struct osr_slice text;
    int code = osr_json_reader_text(reader, &text);
    if (code != 0) {
        return code;
    }
    *ret_text = osr_arena_text(reader->arena, text);
    reader->scratch.size = mark;
    return *ret_text != NULL ? 0 : osr_json_reader_refuse_memory(reader);
}

static int read_bytes(struct osr_json_reader *reader, const ProtobufCFieldDescriptor *field,
                      enum osr_json_token token, ProtobufCBinaryData *ret_bytes)
{
    if (token != OSR_JSON_STRING) {
        return osr_json_reader_refuse(reader, field, "must be a base64 string");
    }
    size_t mark = reader->scratch.size;
    /* Room for the text without escapes and for its bytes: the one must not move while the other is
     * written. */
    osr_buffer_reserve(&reader->scratch, 2 * reader->json.text.size);
    struct osr_slice text;
    int code = osr_json_reader_text(reader, &text);
    if (code != 0) {
        return code;
    }
    size_t decoded = reader->scratch.size;
    if (osr_base64_decode(&reader->scratch, text)) {
        struct osr_slice bytes = osr_json_reader_scratch(reader, decoded);
        ret_bytes->len = bytes.size;
        code = osr_json_reader_copy(reader, bytes, &ret_bytes->data);
    } else {
        code = osr_json_reader_refuse(reader, field, "is not base64");
    }
    reader->scratch.size = mark;
    return code;
}

int osr_json_read_any(struct osr_json_reader *reader, enum osr_json_token token, Osr__Json *json)
{
    struct osr_json *scanner = &reader->json;
    size_t begin = scanner->token_at;
    bool is_nested = token == OSR_JSON_OBJECT || token == OSR_JSON_ARRAY;
    int depth_before = scanner->depth - (is_nested ? 1 : 0);
    scanner->deepest = scanner->depth;
    scanner->spaced = false;
    int code = osr_json_skip(scanner, token, reader->err);
    if (code != 0) {
        return code;
    }
    if (scanner->deepest - depth_before > OSR_DATA_DEPTH_MAX) {
        return osr_err_set(reader->err, OSR_TOO_LARGE, "data is nested deeper than %d",
                           OSR_DATA_DEPTH_MAX);
    }
    struct osr_slice text = osr_slice(scanner->input.data + begin, scanner->at - begin);
    size_t mark = reader->scratch.size;
    if (scanner->spaced) {
        code = osr_json_compact(&reader->scratch, text, reader->err);
        assert(code == 0); /* it has just been read */
        text = osr_json_reader_scratch(reader, mark);
    }
    json->text.len = text.size;
    code = osr_json_reader_copy(reader, text, &json->text.data);
    reader->scratch.size = mark;
    return code;
}

/* The text that the JSON string stands for is scanned in place of the message's own for a while. */
static int read_inner(struct osr_json_reader *reader, struct osr_slice text, Osr__Json *json)
{
    struct osr_json outer = reader->json;
    enum osr_json_token token;
    osr_json_init(&reader->json, text);
    int code = osr_json_reader_next(reader, &token);
    if (code == 0) {
        code = osr_json_read_any(reader, token, json);
    }
    if (code == 0) {
        code = osr_json_reader_next(reader, &token); /* the end, or an error */
    }
    reader->json = outer;
    return code;
}

int osr_json_read_any_text(struct osr_json_reader *reader, enum osr_json_token token,
                           Osr__Json *json)
{
    if (token != OSR_JSON_STRING) {
        osr_err_set(reader->err, OSR_INVALID_ARGUMENT, "JSON as text must be a string");
        return OSR_INVALID_ARGUMENT;
    }
    struct osr_buffer text = {0};
    int code = osr_json_unescape(&text, reader->json.text, reader->err);
    if (code == 0) {
        code = read_inner(reader, osr_buffer_slice(&text), json);
        osr_err_prefix(code != 0 ? reader->err : NULL, "JSON as text");
    }
    osr_buffer_wipe(&text);
    return code;
}

int osr_json_read_scalar(struct osr_json_reader *reader, const ProtobufCFieldDescriptor *field,
                         enum osr_json_token token, void *at)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return read_int32(reader, field, token, at);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return read_int64(reader, field, token, at);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return read_uint32(reader, field, token, at);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return read_integer(reader, field, token, 0, UINT64_MAX, at);
    case PROTOBUF_C_TYPE_FLOAT: {
        double number = 0;
        int code = read_double(reader, field, token, &number);
        *(float *)at = (float)number;
        return code;
    }
    case PROTOBUF_C_TYPE_DOUBLE:
        return read_double(reader, field, token, at);
    case PROTOBUF_C_TYPE_BOOL:
        return read_bool(reader, field, token, at);
    case PROTOBUF_C_TYPE_ENUM:
        return read_enum(reader, field, token, at);
    case PROTOBUF_C_TYPE_STRING:
        return read_string(reader, field, token, at);
    case PROTOBUF_C_TYPE_BYTES:
        return read_bytes(reader, field, token, at);
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    }
    assert(false); /* messages are no scalars, and other types there are none */
    return OSR_INTERNAL;
}
