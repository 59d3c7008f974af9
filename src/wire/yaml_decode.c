/* YAML to messages: to JSON text, event by event, and on from there.
 *
 * Nothing is resolved that readers of YAML resolve differently, and nothing that refers to
 * something else: aliases, merge keys and foreign tags are refused where they stand, so that a text
 * costs what it is long. */
#include "base/json_scan.h"
#include "base/yaml_events.h"
#include "model/limits.h"
#include "wire/encoding.h"
#include "wire/yaml_names.h"
#include "wire/yaml_scalar.h"

#include <stdarg.h>
#include <stdio.h>

enum { SHOWN_CHARS = 40 }; /* of a name in a message */

struct reader {
    struct osr_yaml_events events;
    struct osr_buffer *json;
    size_t json_max; /* of its size: stops short text from unfolding */
    struct osr_yaml_names names;
    int depth;
    struct osr_err *err;
};

static int read_value(struct reader *reader);

/* ---- refusals ---- */

/* At the current event. */
__attribute__((format(printf, 3, 4))) static int refuse(struct reader *reader, enum osr_code code,
                                                        const char *format, ...)
{
    char why[OSR_ERR_MESSAGE_MAX];
    struct osr_yaml_place place = osr_yaml_events_place(&reader->events);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof(why), format, arguments);
    va_end(arguments);
    return (int)osr_err_set(reader->err, code, "line %zu, column %zu: %s", place.line, place.column,
                            why);
}

/* What the scalar says stays out of the message, which may be logged: it may be a password. */
static int refuse_scalar(struct reader *reader, const char *why, const char *remedy)
{
    int code = refuse(reader, OSR_MALFORMED, "%s", why);
    osr_err_hint(reader->err, "%s", remedy);
    return code;
}

static int refuse_doubled(struct reader *reader, const struct osr_yaml_name *name)
{
    int shown = (int)(name->size < SHOWN_CHARS ? name->size : SHOWN_CHARS);
    return (int)osr_err_set(reader->err, OSR_MALFORMED,
                            "line %u, column %u: %.*s is given twice in one mapping", name->line,
                            name->column, shown, (const char *)reader->json->data + name->offset);
}

/* ---- events ---- */

static int next_event(struct reader *reader)
{
    struct osr_yaml_problem problem;
    if (!osr_yaml_events_next(&reader->events, &problem)) {
        return (int)osr_err_set(reader->err, OSR_MALFORMED,
                                "line %zu, column %zu: not YAML: %s%s%s", problem.place.line,
                                problem.place.column, problem.what,
                                problem.context[0] != '\0' ? " " : "", problem.context);
    }
    if (osr_yaml_events_anchor(&reader->events) != NULL) {
        return refuse(reader, OSR_MALFORMED, "anchors and aliases are not taken");
    }
    return 0;
}

static yaml_event_type_t type_of(const struct reader *reader)
{
    return reader->events.event.type;
}

/* Behind each piece that is appended. */
static int check_size(struct reader *reader)
{
    return reader->json->size <= reader->json_max
               ? 0
               : refuse(reader, OSR_TOO_LARGE, "the document is too large");
}

/* ---- scalars ---- */

static bool has_tag(const struct reader *reader, const char *name)
{
    static const char prefix[] = "tag:yaml.org,2002:";
    const char *tag = osr_yaml_events_tag(&reader->events);
    return tag != NULL && strncmp(tag, prefix, sizeof(prefix) - 1) == 0 &&
           strcmp(tag + sizeof(prefix) - 1, name) == 0;
}

static int refuse_tag(struct reader *reader)
{
    return refuse(reader, OSR_MALFORMED, "the tag '%.40s' is not taken here",
                  osr_yaml_events_tag(&reader->events));
}

/* Of a scalar that has a tag: it must be what the tag says. */
static int read_tagged(struct reader *reader, enum osr_yaml_meaning *ret_meaning)
{
    struct osr_slice text = osr_yaml_events_text(&reader->events);
    enum osr_yaml_meaning meaning = osr_yaml_plain_meaning(text);
    bool is_whole = strpbrk((const char *)text.data, ".eE") == NULL;
    bool is_number = meaning == OSR_YAML_NUMBER;
    bool is_truth = meaning == OSR_YAML_TRUE || meaning == OSR_YAML_FALSE;
    if (has_tag(reader, "str")) {
        meaning = OSR_YAML_TEXT;
    } else if (!((has_tag(reader, "int") && is_number && is_whole) ||
                 (has_tag(reader, "float") && is_number) || (has_tag(reader, "bool") && is_truth) ||
                 (has_tag(reader, "null") && meaning == OSR_YAML_NULL))) {
        return refuse_tag(reader);
    }
    *ret_meaning = meaning;
    return 0;
}

static int read_meaning(struct reader *reader, enum osr_yaml_meaning *ret_meaning)
{
    if (osr_yaml_events_tag(&reader->events) != NULL) {
        return read_tagged(reader, ret_meaning);
    }
    bool is_plain = reader->events.event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    *ret_meaning =
        is_plain ? osr_yaml_plain_meaning(osr_yaml_events_text(&reader->events)) : OSR_YAML_TEXT;
    return 0;
}

static int read_scalar(struct reader *reader)
{
    enum osr_yaml_meaning meaning = OSR_YAML_TEXT;
    struct osr_slice text = osr_yaml_events_text(&reader->events);
    int code = read_meaning(reader, &meaning);
    if (code != 0) {
        return code;
    }
    switch (meaning) {
    case OSR_YAML_TEXT:
        osr_json_quote(reader->json, text, false);
        break;
    case OSR_YAML_NUMBER:
        osr_buffer_add(reader->json, text.data, text.size);
        break;
    case OSR_YAML_AMBIGUOUS:
        return refuse_scalar(reader, "this is one thing in YAML 1.1 and another in YAML 1.2",
                             "put it in quotes if it is text; else write it as JSON does");
    case OSR_YAML_NO_JSON:
        return refuse_scalar(reader, "this is a number that JSON does not have",
                             "put it in quotes if it is text; else write it in decimal digits");
    default:
        osr_buffer_add_text(reader->json, meaning == OSR_YAML_NULL   ? "null"
                                          : meaning == OSR_YAML_TRUE ? "true"
                                                                     : "false");
    }
    return check_size(reader);
}

/* ---- collections ---- */

static int refuse_name(struct reader *reader)
{
    struct osr_slice text = osr_yaml_events_text(&reader->events);
    if (osr_slice_equal(text, osr_slice_text("<<"))) {
        return refuse(reader, OSR_MALFORMED, "merge keys are not taken");
    }
    return refuse_scalar(reader, "this is no name: it reads as something other than text",
                         "put it in quotes");
}

/* The current event is a member's name. */
static int read_name(struct reader *reader)
{
    enum osr_yaml_meaning meaning = OSR_YAML_TEXT;
    if (type_of(reader) != YAML_SCALAR_EVENT) {
        return refuse(reader, OSR_MALFORMED, "a member's name must be a string");
    }
    int code = read_meaning(reader, &meaning);
    if (code == 0 && meaning != OSR_YAML_TEXT) {
        code = refuse_name(reader);
    }
    if (code != 0) {
        return code;
    }
    size_t offset = reader->json->size;
    struct osr_yaml_place place = osr_yaml_events_place(&reader->events);
    osr_json_quote(reader->json, osr_yaml_events_text(&reader->events), false);
    osr_yaml_names_add(&reader->names, (struct osr_yaml_name){
                                           .offset = (uint32_t)offset,
                                           .size = (uint32_t)(reader->json->size - offset),
                                           .line = (uint32_t)place.line,
                                           .column = (uint32_t)place.column,
                                       });
    osr_buffer_add_u8(reader->json, ':');
    return check_size(reader);
}

static int read_member(struct reader *reader)
{
    int code = read_name(reader);
    if (code == 0) {
        code = next_event(reader);
    }
    return code == 0 ? read_value(reader) : code;
}

/* Everything up to the event that ends the collection. */
static int read_parts(struct reader *reader, bool is_mapping)
{
    yaml_event_type_t end = is_mapping ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
    int code = next_event(reader);
    for (bool is_first = true; code == 0 && type_of(reader) != end; is_first = false) {
        if (!is_first) {
            osr_buffer_add_u8(reader->json, ',');
        }
        code = is_mapping ? read_member(reader) : read_value(reader);
        if (code == 0) {
            code = next_event(reader);
        }
    }
    return code;
}

static int read_collection(struct reader *reader, bool is_mapping)
{
    struct osr_yaml_name doubled;
    if (osr_yaml_events_tag(&reader->events) != NULL &&
        !has_tag(reader, is_mapping ? "map" : "seq")) {
        return refuse_tag(reader);
    }
    if (reader->depth == OSR_JSON_DEPTH_MAX) {
        return refuse(reader, OSR_TOO_LARGE, "nested deeper than %d", OSR_JSON_DEPTH_MAX);
    }
    reader->depth++;
    osr_buffer_add_u8(reader->json, is_mapping ? '{' : '[');
    size_t names = osr_yaml_names_begin(&reader->names);
    int code = read_parts(reader, is_mapping);
    if (code == 0 && !osr_yaml_names_end(&reader->names, names, reader->json->data, &doubled)) {
        code = refuse_doubled(reader, &doubled);
    }
    osr_buffer_add_u8(reader->json, is_mapping ? '}' : ']');
    reader->depth--;
    return code == 0 ? check_size(reader) : code;
}

static int read_value(struct reader *reader)
{
    switch (type_of(reader)) {
    case YAML_SCALAR_EVENT:
        return read_scalar(reader);
    case YAML_SEQUENCE_START_EVENT:
        return read_collection(reader, false);
    default: /* all else was refused as an alias, or stands outside of values */
        return read_collection(reader, true);
    }
}

/* ---- documents ---- */

static int read_document(struct reader *reader)
{
    int code = next_event(reader); /* the stream's start */
    if (code == 0) {
        code = next_event(reader);
    }
    if (code == 0 && type_of(reader) == YAML_STREAM_END_EVENT) {
        code = refuse(reader, OSR_MALFORMED, "there is no document");
    }
    if (code == 0) {
        code = next_event(reader); /* behind the document's start */
    }
    if (code == 0) {
        code = read_value(reader);
    }
    if (code == 0) {
        code = next_event(reader); /* the document's end */
    }
    if (code == 0) {
        code = next_event(reader);
    }
    if (code == 0 && type_of(reader) != YAML_STREAM_END_EVENT) {
        code = refuse(reader, OSR_MALFORMED, "only one document is wanted here");
    }
    return code;
}

/* Reads one document and appends it as JSON text, compact, no longer than json_max. What has been
 * appended by the time it fails stays. */
static int read_text(struct osr_buffer *json, struct osr_slice text, size_t json_max,
                     struct osr_err *err)
{
    struct reader reader = {.json = json, .json_max = json_max, .err = err};
    if (text.size > OSR_FRAME_BYTES_MAX) { /* libyaml holds a scalar as a whole */
        return (int)osr_err_set(err, OSR_TOO_LARGE, "a YAML document has at most %d bytes",
                                OSR_FRAME_BYTES_MAX);
    }
    if (!osr_yaml_events_open(&reader.events, text)) {
        return (int)osr_err_set(err, OSR_INTERNAL, "cannot start the YAML parser");
    }
    int code = read_document(&reader);
    osr_yaml_events_close(&reader.events);
    osr_yaml_names_done(&reader.names);
    return code;
}

/* ---- messages ---- */

static size_t json_bytes_max(const struct osr_arena *arena)
{
    size_t left = osr_arena_left(arena);
    return left < OSR_FRAME_BYTES_MAX ? left : OSR_FRAME_BYTES_MAX;
}

int osr_yaml_decode(const ProtobufCMessageDescriptor *descriptor, struct osr_slice bytes,
                    struct osr_arena *arena, ProtobufCMessage **ret_message, struct osr_err *err)
{
    struct osr_buffer json = {0};
    int code = read_text(&json, bytes, json_bytes_max(arena), err);
    if (code == 0) {
        code = osr_json_decode(descriptor, osr_buffer_slice(&json), true, arena, ret_message, err);
    }
    osr_buffer_wipe(&json);
    return code;
}

int osr_yaml_decode_frame(struct osr_slice bytes, struct osr_arena *arena, Osr__Frame **ret_frame,
                          uint64_t *ret_request_id, struct osr_err *err)
{
    struct osr_buffer json = {0};
    int code = read_text(&json, bytes, json_bytes_max(arena), err);
    if (code == 0) {
        code = osr_json_decode_frame(osr_buffer_slice(&json), true, arena, ret_frame, err);
    }
    *ret_request_id =
        code == 0 ? (*ret_frame)->request_id : osr_json_find_request_id(osr_buffer_slice(&json));
    osr_buffer_wipe(&json);
    return code;
}
