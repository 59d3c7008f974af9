/* JSON to messages: objects and arrays, walked beside the descriptors. */
#include "wire/json_reader.h"

#include "model/limits.h"

#include <assert.h>

/* A message that is being filled. */
struct target {
    ProtobufCMessage *message;
    bool is_strict; /* an Entry, or within one */
    struct osr_field_set seen;
    size_t next_field; /* index of the field that is likely to come next */
};

static int read_message(struct osr_json_reader *reader,
                        const ProtobufCMessageDescriptor *descriptor, enum osr_json_token token,
                        bool is_strict, ProtobufCMessage **ret_message);

/* ---- fields ---- */

static int read_value(struct osr_json_reader *reader, const struct target *target,
                      const ProtobufCFieldDescriptor *field, enum osr_json_token token, void *at)
{
    return field->type == PROTOBUF_C_TYPE_MESSAGE
               ? read_message(reader, field->descriptor, token, target->is_strict, at)
               : osr_json_read_scalar(reader, field, token, at);
}

/* Reads elements onto the scratch stack up to the array's end. */
static int read_elements(struct osr_json_reader *reader, const struct target *target,
                         const ProtobufCFieldDescriptor *field)
{
    size_t value_size = osr_field_value_size(field);
    for (;;) {
        enum osr_json_token token;
        int code = osr_json_reader_next(reader, &token);
        if (code != 0 || token == OSR_JSON_ARRAY_END) {
            return code;
        }
        union {
            uint64_t number;
            void *pointer;
            ProtobufCBinaryData bytes;
        } value = {0};
        code = read_value(reader, target, field, token, &value);
        if (code != 0) {
            return code;
        }
        osr_buffer_add(&reader->scratch, &value, value_size);
        if (reader->scratch.size > osr_arena_left(reader->arena)) {
            return osr_json_reader_refuse_memory(
                reader); /* before the stack outgrows what the arena may hold */
        }
    }
}

static int read_array(struct osr_json_reader *reader, const struct target *target,
                      const ProtobufCFieldDescriptor *field, enum osr_json_token token)
{
    if (token != OSR_JSON_ARRAY) {
        return osr_json_reader_refuse(reader, field, "must be an array");
    }
    size_t mark = reader->scratch.size;
    int code = read_elements(reader, target, field);
    if (code != 0) {
        return code;
    }
    struct osr_slice elements = osr_json_reader_scratch(reader, mark);
    *osr_field_count(target->message, field) = elements.size / osr_field_value_size(field);
    code = osr_json_reader_copy(reader, elements, osr_field_at(target->message, field));
    reader->scratch.size = mark;
    return code;
}

static int mark_seen(const struct osr_json_reader *reader, struct target *target,
                     const ProtobufCFieldDescriptor *field)
{
    size_t index = (size_t)(field - target->message->descriptor->fields);
    if (osr_field_set_has(&target->seen, index)) {
        return osr_err_set(reader->err, OSR_MALFORMED, "field '%s' is given twice", field->name);
    }
    osr_field_set_add(&target->seen, index);
    if (osr_field_is_in_oneof(field)) {
        uint32_t *which = osr_field_case(target->message, field);
        if (*which != 0) {
            return osr_err_set(reader->err, OSR_MALFORMED, "field '%s' excludes another one",
                               field->name);
        }
    }
    return 0;
}

static bool is_json(const ProtobufCFieldDescriptor *field)
{
    return field->descriptor == &osr__json__descriptor;
}

/* Reads the value that follows the name of a known field. */
static int read_field(struct osr_json_reader *reader, struct target *target,
                      const ProtobufCFieldDescriptor *field)
{
    enum osr_json_token token;
    int code = mark_seen(reader, target, field);
    if (code == 0) {
        code = osr_json_reader_next(reader, &token);
    }
    if (code != 0 || (token == OSR_JSON_NULL && !is_json(field))) {
        return code; /* null is as good as absent, but of any JSON value it is one */
    }
    if (osr_field_is_repeated(field)) {
        return read_array(reader, target, field, token);
    }
    if (osr_field_is_in_oneof(field)) {
        *osr_field_case(target->message, field) = field->id;
    }
    return read_value(reader, target, field, token, osr_field_at(target->message, field));
}

/* Passes the value behind an unknown name, which the scanner has just read. */
static int pass_unknown(struct osr_json_reader *reader, const struct target *target)
{
    if (target->is_strict) {
        struct osr_slice name = reader->json.text;
        return osr_err_set(reader->err, OSR_MALFORMED, "unknown field '%.*s' within an entry",
                           (int)(name.size < 64 ? name.size : 64), (const char *)name.data);
    }
    enum osr_json_token token;
    int code = osr_json_reader_next(reader, &token);
    return code != 0 ? code : osr_json_skip(&reader->json, token, reader->err);
}

/* ---- messages ---- */

static int compare_name(struct osr_slice name, const char *field_name)
{
    size_t length = strlen(field_name);
    int order = memcmp(name.data, field_name, name.size < length ? name.size : length);
    return order != 0 ? order : (name.size > length) - (name.size < length);
}

static const ProtobufCFieldDescriptor *search_field(const ProtobufCMessageDescriptor *descriptor,
                                                    struct osr_slice name)
{
    size_t low = 0;
    size_t high = descriptor->n_fields;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const ProtobufCFieldDescriptor *field =
            &descriptor->fields[descriptor->fields_sorted_by_name[middle]];
        int order = compare_name(name, field->name);
        if (order == 0) {
            return field;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

/* "data_json" for the field data. */
static const ProtobufCFieldDescriptor *search_text_field(
    const ProtobufCMessageDescriptor *descriptor, struct osr_slice name)
{
    static const char suffix[] = OSR_YAML_TEXT_SUFFIX;
    size_t suffix_size = sizeof(suffix) - 1;
    if (name.size <= suffix_size ||
        memcmp(name.data + name.size - suffix_size, suffix, suffix_size) != 0) {
        return NULL;
    }
    const ProtobufCFieldDescriptor *field =
        search_field(descriptor, osr_slice(name.data, name.size - suffix_size));
    return field != NULL && is_json(field) ? field : NULL;
}

/* The field that has the name just read, or NULL. Fields mostly come in their order. */
static int find_field(struct osr_json_reader *reader, struct target *target,
                      const ProtobufCFieldDescriptor **ret_field)
{
    const ProtobufCMessageDescriptor *descriptor = target->message->descriptor;
    const ProtobufCFieldDescriptor *field = NULL;
    size_t mark = reader->scratch.size;
    struct osr_slice name;
    int code = osr_json_reader_text(reader, &name);
    if (code != 0) {
        return code;
    }
    if (target->next_field < descriptor->n_fields) {
        field = &descriptor->fields[target->next_field];
    }
    if (field == NULL || compare_name(name, field->name) != 0) {
        field = search_field(descriptor, name);
    }
    reader->is_text = false;
    if (field == NULL && reader->from_yaml) {
        field = search_text_field(descriptor, name);
        reader->is_text = field != NULL;
    }
    if (field != NULL) {
        target->next_field = (size_t)(field - descriptor->fields) + 1;
    }
    reader->scratch.size = mark;
    *ret_field = field;
    return 0;
}

static int message_begin(struct osr_json_reader *reader,
                         const ProtobufCMessageDescriptor *descriptor, bool is_strict,
                         struct target *ret_target)
{
    assert(descriptor->n_fields <= OSR_FIELDS_MAX);
    ProtobufCMessage *message = osr_arena_take(reader->arena, descriptor->sizeof_message);
    if (message == NULL) {
        return osr_json_reader_refuse_memory(reader);
    }
    protobuf_c_message_init(descriptor, message);
    *ret_target = (struct target){
        .message = message,
        .is_strict = is_strict || osr_descriptor_is_strict(descriptor),
    };
    return 0;
}

static int read_members(struct osr_json_reader *reader, struct target *target)
{
    for (;;) {
        enum osr_json_token token;
        int code = osr_json_reader_next(reader, &token);
        if (code != 0 || token == OSR_JSON_OBJECT_END) {
            return code;
        }
        const ProtobufCFieldDescriptor *field;
        code = find_field(reader, target, &field);
        if (code == 0) {
            code = field != NULL ? read_field(reader, target, field) : pass_unknown(reader, target);
        }
        if (code != 0) {
            return code;
        }
    }
}

/* Whether a Json that stands alone is {"data_json":"..."} and nothing else; then its string has
 * just been read. */
static bool is_text_alone(struct osr_json_reader *reader, enum osr_json_token token)
{
    struct osr_json ahead = reader->json;
    if (!reader->from_yaml || !reader->is_alone || token != OSR_JSON_OBJECT ||
        osr_json_next(&ahead, NULL) != OSR_JSON_NAME ||
        !osr_slice_equal(ahead.text, osr_slice_text(OSR_YAML_TEXT_MEMBER)) ||
        osr_json_next(&ahead, NULL) != OSR_JSON_STRING) {
        return false;
    }
    struct osr_json string = ahead;
    if (osr_json_next(&ahead, NULL) != OSR_JSON_OBJECT_END) {
        return false;
    }
    reader->json = string;
    return true;
}

static int read_json(struct osr_json_reader *reader, enum osr_json_token token, Osr__Json *json)
{
    if (reader->is_text) {
        return osr_json_read_any_text(reader, token, json);
    }
    if (!is_text_alone(reader, token)) {
        return osr_json_read_any(reader, token, json);
    }
    int code = osr_json_read_any_text(reader, OSR_JSON_STRING, json);
    return code == 0 ? osr_json_reader_next(reader, &token) : code; /* the object's end */
}

static int read_message(struct osr_json_reader *reader,
                        const ProtobufCMessageDescriptor *descriptor, enum osr_json_token token,
                        bool is_strict, ProtobufCMessage **ret_message)
{
    if (reader->depth == OSR_DECODE_DEPTH_MAX) {
        return osr_err_set(reader->err, OSR_TOO_LARGE, "%s is nested too deeply",
                           descriptor->short_name);
    }
    struct target target;
    int code = message_begin(reader, descriptor, is_strict, &target);
    if (code != 0) {
        return code;
    }
    if (descriptor == &osr__json__descriptor) {
        code = read_json(reader, token, (Osr__Json *)target.message);
    } else if (token == OSR_JSON_OBJECT) {
        reader->depth++;
        code = read_members(reader, &target);
        reader->depth--;
    } else {
        code = osr_err_set(reader->err, OSR_INVALID_ARGUMENT, "%s must be a JSON object",
                           descriptor->short_name);
    }
    if (code == 0) {
        *ret_message = target.message;
    }
    return code;
}

static int expect_end(struct osr_json_reader *reader)
{
    enum osr_json_token token;
    return osr_json_reader_next(reader,
                                &token); /* behind a whole value anything but the end is an error */
}

int osr_json_decode(const ProtobufCMessageDescriptor *descriptor, struct osr_slice bytes,
                    bool from_yaml, struct osr_arena *arena, ProtobufCMessage **ret_message,
                    struct osr_err *err)
{
    struct osr_err own_err;
    struct osr_json_reader reader = {
        .arena = arena, .from_yaml = from_yaml, .err = err != NULL ? err : &own_err};
    reader.is_alone = descriptor == &osr__json__descriptor;
    osr_json_init(&reader.json, bytes);
    enum osr_json_token token;
    int code = osr_json_reader_next(&reader, &token);
    if (code == 0) {
        code = read_message(&reader, descriptor, token, false, ret_message);
    }
    if (code == 0) {
        code = expect_end(&reader);
    }
    osr_buffer_done(&reader.scratch);
    return code;
}

/* ---- frames ---- */

/* Begins the input anew and looks for a member of its outermost object; when found, the token of
 * its value has just been read. */
static int find_member(struct osr_json_reader *reader, const char *name, bool *ret_found,
                       enum osr_json_token *ret_token)
{
    *ret_found = false;
    osr_json_init(&reader->json, reader->json.input);
    int code = osr_json_reader_next(reader, ret_token);
    if (code == 0 && *ret_token != OSR_JSON_OBJECT) {
        return osr_err_set(reader->err, OSR_MALFORMED, "a frame must be a JSON object");
    }
    while (code == 0 && !*ret_found) {
        code = osr_json_reader_next(reader, ret_token);
        if (code != 0 || *ret_token == OSR_JSON_OBJECT_END) {
            return code;
        }
        code = osr_json_reader_text_is(reader, name, ret_found);
        if (code == 0) {
            code = osr_json_reader_next(reader, ret_token);
        }
        if (code == 0 && !*ret_found) {
            code = osr_json_skip(&reader->json, *ret_token, reader->err);
        }
    }
    return code;
}

/* The member of Frame's oneof that "KB_PUT" names, or NULL. */
static const ProtobufCFieldDescriptor *body_of_type(struct osr_slice type)
{
    char name[64];
    if (type.size >= sizeof(name)) {
        return NULL;
    }
    for (size_t i = 0; i < type.size; i++) {
        uint8_t character = type.data[i];
        if (character >= 'a' && character <= 'z') {
            return NULL;
        }
        bool is_upper = character >= 'A' && character <= 'Z';
        name[i] = (char)(is_upper ? character - 'A' + 'a' : character);
    }
    const ProtobufCFieldDescriptor *field =
        search_field(&osr__frame__descriptor, osr_slice(name, type.size));
    return field != NULL && osr_field_is_in_oneof(field) ? field : NULL;
}

static int refuse_type(struct osr_json_reader *reader, struct osr_slice type)
{
    osr_err_set(reader->err, OSR_UNKNOWN_TYPE, "unknown type '%.*s'",
                (int)(type.size < 64 ? type.size : 64), (const char *)type.data);
    return OSR_UNKNOWN_TYPE;
}

/* A type may stand anywhere in its frame, but says what the other members mean. */
static int find_body(struct osr_json_reader *reader, const ProtobufCFieldDescriptor **ret_body)
{
    bool is_found;
    enum osr_json_token token;
    int code = find_member(reader, "type", &is_found, &token);
    if (code != 0) {
        return code;
    }
    if (!is_found) {
        osr_err_set(reader->err, OSR_UNKNOWN_TYPE, "frame has no type");
        return OSR_UNKNOWN_TYPE;
    }
    if (token != OSR_JSON_STRING) {
        osr_err_set(reader->err, OSR_INVALID_ARGUMENT, "field 'type' must be a string");
        return OSR_INVALID_ARGUMENT;
    }
    size_t mark = reader->scratch.size;
    struct osr_slice type;
    code = osr_json_reader_text(reader, &type);
    if (code == 0) {
        *ret_body = body_of_type(type);
        code = *ret_body != NULL ? 0 : refuse_type(reader, type);
        reader->scratch.size = mark;
    }
    return code;
}

/* What find_body has read already. */
static int read_type_again(struct osr_json_reader *reader, bool *type_seen)
{
    if (*type_seen) {
        return osr_err_set(reader->err, OSR_MALFORMED, "field 'type' is given twice");
    }
    *type_seen = true;
    enum osr_json_token token;
    return osr_json_reader_next(reader, &token);
}

/* Members of the frame itself stand beside those of its body. */
static int read_frame_member(struct osr_json_reader *reader, struct target *frame,
                             struct target *body, bool *type_seen)
{
    bool is_type;
    int code = osr_json_reader_text_is(reader, "type", &is_type);
    if (code == 0 && is_type) {
        return read_type_again(reader, type_seen);
    }
    const ProtobufCFieldDescriptor *field = NULL;
    if (code == 0) {
        code = find_field(reader, body, &field);
    }
    if (code == 0 && field != NULL) {
        return read_field(reader, body, field);
    }
    if (code == 0) {
        code = find_field(reader, frame, &field);
    }
    if (code == 0 && field != NULL && !osr_field_is_in_oneof(field)) {
        return read_field(reader, frame, field);
    }
    return code != 0 ? code : pass_unknown(reader, body);
}

static int read_frame(struct osr_json_reader *reader, Osr__Frame **ret_frame)
{
    const ProtobufCFieldDescriptor *body_field = NULL;
    struct target frame;
    struct target body;
    int code = find_body(reader, &body_field);
    if (code == 0) {
        code = message_begin(reader, &osr__frame__descriptor, false, &frame);
    }
    if (code == 0) {
        code = message_begin(reader, body_field->descriptor, false, &body);
    }
    osr_json_init(&reader->json, reader->json.input);
    enum osr_json_token token = OSR_JSON_ERROR;
    bool type_seen = false;
    while (code == 0 && token != OSR_JSON_OBJECT_END) {
        code = osr_json_reader_next(reader, &token);
        if (code == 0 && token == OSR_JSON_NAME) {
            code = read_frame_member(reader, &frame, &body, &type_seen);
        }
    }
    if (code == 0) {
        code = expect_end(reader);
    }
    if (code == 0) {
        *ret_frame = (Osr__Frame *)frame.message;
        osr_frame_set_body(*ret_frame, (Osr__Frame__BodyCase)body_field->id, body.message);
    }
    return code;
}

int osr_json_decode_frame(struct osr_slice bytes, bool from_yaml, struct osr_arena *arena,
                          Osr__Frame **ret_frame, struct osr_err *err)
{
    struct osr_err own_err;
    struct osr_json_reader reader = {
        .arena = arena, .from_yaml = from_yaml, .err = err != NULL ? err : &own_err};
    osr_json_init(&reader.json, bytes);
    int code = read_frame(&reader, ret_frame);
    osr_buffer_done(&reader.scratch);
    return code;
}

uint64_t osr_json_find_request_id(struct osr_slice bytes)
{
    struct osr_err err;
    struct osr_json_reader reader = {.err = &err};
    osr_json_init(&reader.json, bytes);
    bool is_found;
    enum osr_json_token token;
    uint64_t request_id = 0;
    if (find_member(&reader, "request_id", &is_found, &token) == 0 && is_found) {
        const ProtobufCFieldDescriptor *field = &osr__frame__descriptor.fields[0];
        (void)osr_json_read_scalar(&reader, field, token, &request_id);
    }
    osr_buffer_done(&reader.scratch);
    return request_id;
}
