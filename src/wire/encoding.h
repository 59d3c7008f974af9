/* encoding.h -- what each encoding gives to codec.c, and how both reach into messages. Private
 * to the room. */
#ifndef OSR_WIRE_ENCODING_H
#define OSR_WIRE_ENCODING_H

#include "wire/codec.h"

#include <locale.h>

/* ---- protobuf ---- */

void osr_protobuf_encode(const ProtobufCMessage *message, struct osr_buffer *buffer);
int osr_protobuf_decode(const ProtobufCMessageDescriptor *descriptor, struct osr_slice bytes,
                        struct osr_arena *arena, ProtobufCMessage **ret_message,
                        struct osr_err *err);
/* 0 where there is none or it cannot be read. */
uint64_t osr_protobuf_find_request_id(struct osr_slice bytes);

/* Checks encoded bytes before protobuf-c sees them: well-formed, no deeper than
 * OSR_DECODE_DEPTH_MAX, strings of UTF-8 without NUL, no singular field twice, no unknown field
 * within an Entry, every Json one value; and that unpacking them takes at most bytes_max.
 * *ret_has_unknown: whether there were unknown fields, which protobuf-c keeps. */
int osr_protobuf_prescan(const ProtobufCMessageDescriptor *descriptor, struct osr_slice bytes,
                         size_t bytes_max, bool *ret_has_unknown, struct osr_err *err);

/* ---- JSON ---- */

void osr_json_encode(const ProtobufCMessage *message, struct osr_buffer *buffer);
void osr_json_encode_frame(const Osr__Frame *frame, struct osr_buffer *buffer);
/* `from_yaml`: a Json may also come as text, under another name (OSR_YAML_TEXT_SUFFIX). */
int osr_json_decode(const ProtobufCMessageDescriptor *descriptor, struct osr_slice bytes,
                    bool from_yaml, struct osr_arena *arena, ProtobufCMessage **ret_message,
                    struct osr_err *err);
int osr_json_decode_frame(struct osr_slice bytes, bool from_yaml, struct osr_arena *arena,
                          Osr__Frame **ret_frame, struct osr_err *err);
uint64_t osr_json_find_request_id(struct osr_slice bytes);
/* In which numbers have a point, whatever the program's own locale says. */
locale_t osr_json_locale(void);

/* ---- YAML: another way to write the JSON text that the above read and write ---- */

/* A member `data` of type Json whose text YAML would not bring back as it is becomes `data_json`,
 * a string. */
#define OSR_YAML_TEXT_SUFFIX "_json"
#define OSR_YAML_TEXT_MEMBER "data" OSR_YAML_TEXT_SUFFIX /* of a Json that stands alone */

void osr_yaml_encode(const ProtobufCMessage *message, struct osr_buffer *buffer);
void osr_yaml_encode_frame(const Osr__Frame *frame, struct osr_buffer *buffer);
int osr_yaml_decode(const ProtobufCMessageDescriptor *descriptor, struct osr_slice bytes,
                    struct osr_arena *arena, ProtobufCMessage **ret_message, struct osr_err *err);
/* The request_id as far as it can be read, also of what is refused; else 0. */
int osr_yaml_decode_frame(struct osr_slice bytes, struct osr_arena *arena, Osr__Frame **ret_frame,
                          uint64_t *ret_request_id, struct osr_err *err);

/* ---- messages by their descriptors ---- */

/* Where a field stands in the message's C structure. */
static inline void *osr_field_at(const ProtobufCMessage *message,
                                 const ProtobufCFieldDescriptor *field)
{
    return (char *)message + field->offset;
}

/* Of a repeated field: how many; of a member of a oneof: which one is set. */
static inline size_t *osr_field_count(const ProtobufCMessage *message,
                                      const ProtobufCFieldDescriptor *field)
{
    return (size_t *)(void *)((char *)message + field->quantifier_offset);
}
static inline uint32_t *osr_field_case(const ProtobufCMessage *message,
                                       const ProtobufCFieldDescriptor *field)
{
    return (uint32_t *)(void *)((char *)message + field->quantifier_offset);
}

static inline bool osr_field_is_repeated(const ProtobufCFieldDescriptor *field)
{
    return field->label == PROTOBUF_C_LABEL_REPEATED;
}

static inline bool osr_field_is_in_oneof(const ProtobufCFieldDescriptor *field)
{
    return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
}

/* Bytes of one value in C: of a repeated field, one element. */
size_t osr_field_value_size(const ProtobufCFieldDescriptor *field);

/* Within it unknown fields are refused. */
static inline bool osr_descriptor_is_strict(const ProtobufCMessageDescriptor *descriptor)
{
    return descriptor == &osr__entry__descriptor;
}

/* Fields of one message, by their index. */
enum { OSR_FIELDS_MAX = 128 }; /* Frame has most */
struct osr_field_set {
    uint64_t words[OSR_FIELDS_MAX / 64];
};

static inline bool osr_field_set_has(const struct osr_field_set *set, size_t index)
{
    return (set->words[index / 64] >> index % 64 & 1) != 0;
}

static inline void osr_field_set_add(struct osr_field_set *set, size_t index)
{
    set->words[index / 64] |= UINT64_C(1) << index % 64;
}

static inline bool osr_field_set_is_empty(const struct osr_field_set *set)
{
    return (set->words[0] | set->words[1]) == 0;
}

#endif
