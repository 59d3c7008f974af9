#include "lib/random_message.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint64_t below(struct message_maker *maker, uint64_t limit)
{
    return osr_random_below(&maker->random, limit);
}

static uint64_t make_number(struct message_maker *maker)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     127,
                                     128,
                                     INT32_MAX,
                                     UINT32_MAX,
                                     (UINT64_C(1) << 53) - 1,
                                     UINT64_C(1) << 53,
                                     INT64_MAX,
                                     UINT64_MAX};
    return below(maker, 2) == 0 ? edges[below(maker, COUNT(edges))]
                                : osr_random_u64(&maker->random) >> below(maker, 64);
}

static double make_double(struct message_maker *maker)
{
    static const double edges[] = {0, 1, -1.5, 0.1, 1e300, -1e-300, 1.0 / 3, INFINITY, -INFINITY};
    return edges[below(maker, COUNT(edges))];
}

static char *make_text(struct message_maker *maker)
{
    static const char *const pieces[] = {"a",
                                         "Z9",
                                         "\"",
                                         "\\",
                                         "\n",
                                         "\x01",
                                         "/",
                                         "\xc3\xa9",
                                         "\xe2\x82\xac",
                                         "\xf0\x9f\x98\x80",
                                         "some words ",
                                         "yes",
                                         "null",
                                         "1.0",
                                         "0x1F",
                                         "2026-11-23",
                                         " ",
                                         "- ",
                                         ": ",
                                         "#",
                                         "---",
                                         "...",
                                         "%",
                                         "'",
                                         "\t",
                                         "\r",
                                         "\x7f",
                                         "\xc2\x85",
                                         "\xc2\xa0",
                                         "\xe2\x80\xa8",
                                         "\xef\xbb\xbf",
                                         "\xef\xbf\xbf"};
    struct osr_buffer text = {0};
    for (uint64_t n = below(maker, 8); n > 0; n--) {
        osr_buffer_add_text(&text, pieces[below(maker, COUNT(pieces))]);
    }
    char *copy = osr_arena_text(maker->arena, osr_buffer_slice(&text));
    osr_buffer_done(&text);
    return copy;
}

static ProtobufCBinaryData make_bytes(struct message_maker *maker)
{
    ProtobufCBinaryData bytes = {.len = below(maker, 40)};
    if (bytes.len > 0) {
        bytes.data = osr_arena_take(maker->arena, bytes.len);
        osr_random_fill(&maker->random, bytes.data, bytes.len);
    }
    return bytes;
}

static ProtobufCBinaryData make_json_text(struct message_maker *maker)
{
    static const char *const texts[] = {
        "null",
        "12345678901234567890",
        "1.10",
        "\"\\u0000 \\ud83d\"",
        "{\"a\":1,\"a\":[true,{}]}",
        "\"caf\xc3\xa9 \\/\"",
        "[]",
        "1e5",
        "-0",
        "-12.5",
        "\"yes\"",
        "\"\x7f\\n\"",
        "{\"data_json\":\"1\"}",
        "{\"a\":{\"b\":[1,[],\"# x\",{\"\":null}]},\"c\":[[[true]]]}"};
    const char *text = texts[below(maker, COUNT(texts))];
    return (ProtobufCBinaryData){strlen(text),
                                 (uint8_t *)osr_arena_text(maker->arena, osr_slice_text(text))};
}

static void make_value(struct message_maker *maker, const ProtobufCMessageDescriptor *descriptor,
                       const ProtobufCFieldDescriptor *field, void *at)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_UINT32:
        *(uint32_t *)at = (uint32_t)make_number(maker);
        break;
    case PROTOBUF_C_TYPE_UINT64:
        *(uint64_t *)at = make_number(maker);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        *(double *)at = make_double(maker);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)at = (protobuf_c_boolean)below(maker, 2);
        break;
    case PROTOBUF_C_TYPE_ENUM: /* now and then one that nobody knows */
        *(int *)at = (int)below(maker, 40);
        break;
    case PROTOBUF_C_TYPE_STRING:
        *(char **)at = make_text(maker);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        *(ProtobufCBinaryData *)at =
            descriptor == &osr__json__descriptor ? make_json_text(maker) : make_bytes(maker);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **)at = random_message(maker, field->descriptor);
        break;
    default:
        fail_msg("field type %d is new: make values of it", field->type);
    }
}

/* Of the arrays that the contract has so far. */
static size_t element_size(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_UINT32:
        return sizeof(uint32_t);
    default:
        fail_msg("arrays of field type %d are new: make values of them", field->type);
        return 0;
    }
}

static void make_array(struct message_maker *maker, ProtobufCMessage *message,
                       const ProtobufCFieldDescriptor *field)
{
    size_t size = element_size(field);
    size_t count = below(maker, 20) == 0 ? below(maker, 100) : below(maker, 4);
    char *elements = osr_arena_take(maker->arena, count * size);
    for (size_t i = 0; i < count; i++) {
        make_value(maker, message->descriptor, field, elements + i * size);
    }
    *(size_t *)(void *)((char *)message + field->quantifier_offset) = count;
    *(void **)(void *)((char *)message + field->offset) = elements;
}

ProtobufCMessage *random_message(struct message_maker *maker,
                                 const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message = osr_arena_take(maker->arena, descriptor->sizeof_message);
    assert_non_null(message);
    protobuf_c_message_init(descriptor, message);
    for (size_t i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        if (below(maker, 4) == 0 && descriptor != &osr__json__descriptor) {
            continue;
        }
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            make_array(maker, message, field);
        } else {
            make_value(maker, descriptor, field, (char *)message + field->offset);
        }
    }
    return message;
}

Osr__Frame *random_frame(struct message_maker *maker, const ProtobufCFieldDescriptor *body)
{
    Osr__Frame *frame = osr_arena_take(maker->arena, sizeof(*frame));
    osr__frame__init(frame);
    frame->request_id = below(maker, 3) == 0 ? 0 : make_number(maker);
    frame->end = (protobuf_c_boolean)below(maker, 2);
    osr_frame_set_body(frame, (Osr__Frame__BodyCase)body->id,
                       random_message(maker, body->descriptor));
    return frame;
}

bool is_frame_body(const ProtobufCFieldDescriptor *field)
{
    return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
}
