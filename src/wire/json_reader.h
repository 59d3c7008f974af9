/* json_reader.h -- what decoding JSON works with, and how it reads what is no message. Private to
 * the room; functions return 0 or a code, and reader->err says why. */
#ifndef OSR_WIRE_JSON_READER_H
#define OSR_WIRE_JSON_READER_H

#include "base/json_scan.h"
#include "wire/encoding.h"

struct osr_json_reader {
    struct osr_json json;
    struct osr_arena *arena;
    /* A stack: elements of arrays that are not yet complete, and text on its way. Whoever puts
     * something on it takes it off again. */
    struct osr_buffer scratch;
    int depth; /* messages around the current one */
    bool from_yaml;
    bool is_alone;       /* what is read is a Json and no message */
    bool is_text;        /* the value of the field found last, a Json, is given as text */
    struct osr_err *err; /* not NULL */
};

int osr_json_reader_next(struct osr_json_reader *reader, enum osr_json_token *ret_token);

static inline int osr_json_reader_refuse_memory(const struct osr_json_reader *reader)
{
    osr_err_set(reader->err, OSR_TOO_LARGE, "message would unfold into too much memory");
    return OSR_TOO_LARGE;
}

static inline int osr_json_reader_refuse(const struct osr_json_reader *reader,
                                         const ProtobufCFieldDescriptor *field, const char *why)
{
    osr_err_set(reader->err, OSR_INVALID_ARGUMENT, "field '%s' %s", field->name, why);
    return OSR_INVALID_ARGUMENT;
}

/* A pointer to a copy; *ret_copy is untouched where there are no bytes. */
int osr_json_reader_copy(struct osr_json_reader *reader, struct osr_slice bytes, void *ret_copy);
/* What lies on the stack from `mark` on. */
struct osr_slice osr_json_reader_scratch(const struct osr_json_reader *reader, size_t mark);
/* The text of the current NAME or STRING, with its escapes resolved, if need be on the scratch
 * stack: the caller takes it off. */
int osr_json_reader_text(struct osr_json_reader *reader, struct osr_slice *ret_text);
int osr_json_reader_text_is(struct osr_json_reader *reader, const char *text, bool *ret_is);

/* The value that `token` has begun, of any type but a message, to where it stands in C. */
int osr_json_read_scalar(struct osr_json_reader *reader, const ProtobufCFieldDescriptor *field,
                         enum osr_json_token token, void *at);
/* Any value, as written except for white space between its tokens. */
int osr_json_read_any(struct osr_json_reader *reader, enum osr_json_token token, Osr__Json *json);
/* JSON text in a string, as any value. */
int osr_json_read_any_text(struct osr_json_reader *reader, enum osr_json_token token,
                           Osr__Json *json);

#endif
