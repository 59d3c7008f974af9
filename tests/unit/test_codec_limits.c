/* How deep and how large frames may be, in both encodings. */
#include "lib/codec_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Deep data passes up to its limit, wherever in a frame it stands; beyond it is TOO_LARGE. */
static void codec_depth_of_data_is_limited(void **state)
{
    struct codec_fixture *fixture = *state;
    static const struct {
        const char *before, *behind;
    } places[] = {
        {"{\"type\":\"UPDATE_KB\",\"data\":", "}"},
        {"{\"type\":\"UPDATE\",\"entries\":[{\"document\":{\"data\":", "}}]}"},
        {"{\"type\":\"KB_HISTORY_REPLY\",\"versions\":[{\"document\":{\"data\":", "}}]}"},
    };
    for (size_t i = 0; i < COUNT(places); i++) {
        for (int beyond = 0; beyond <= 1; beyond++) {
            size_t depth = OSR_DATA_DEPTH_MAX + (size_t)beyond;
            fixture->bytes.size = 0;
            osr_buffer_add_text(&fixture->bytes, places[i].before);
            memset(osr_buffer_reserve(&fixture->bytes, depth), '[', depth);
            fixture->bytes.size += depth;
            memset(osr_buffer_reserve(&fixture->bytes, depth), ']', depth);
            fixture->bytes.size += depth;
            osr_buffer_add_text(&fixture->bytes, places[i].behind);
            int code = codec_decode(fixture, OSR_CODEC_JSON, osr_buffer_slice(&fixture->bytes));
            assert_int_equal(code, beyond == 0 ? 0 : OSR_TOO_LARGE);
        }
    }
    fixture->bytes.size = 0;
    for (int i = 0; i < 100000; i++) {
        osr_buffer_add_text(&fixture->bytes, "{\"type\":");
    }
    assert_int_equal(codec_decode(fixture, OSR_CODEC_JSON, osr_buffer_slice(&fixture->bytes)),
                     OSR_INVALID_ARGUMENT); /* a type is no object: it is not even looked into */
}

/* Millions of empty submessages are refused before anything is allocated for them. */
static void codec_refuses_what_unfolds_into_too_much(void **state)
{
    struct codec_fixture *fixture = *state;
    struct osr_buffer bytes = {0};
    for (int i = 0; i < 2000000; i++) {
        codec_add_field(&bytes, LIST_DOCUMENTS, osr_slice(NULL, 0));
    }
    struct osr_slice frame = WRAPPED(osr_buffer_slice(&bytes), KB_LIST_REPLY);
    assert_int_equal(codec_decode(fixture, OSR_CODEC_PROTOBUF, frame), OSR_TOO_LARGE);
    assert_int_equal(osr_arena_used(fixture->arena), 0);

    bytes.size = 0;
    osr_buffer_add_text(&bytes, "{\"type\":\"KB_LIST_REPLY\",\"documents\":[{}");
    for (int i = 0; i < 2000000; i++) {
        osr_buffer_add_text(&bytes, ",{}");
    }
    osr_buffer_add_text(&bytes, "]}");
    assert_int_equal(codec_decode(fixture, OSR_CODEC_JSON, osr_buffer_slice(&bytes)),
                     OSR_TOO_LARGE);

    bytes.size = 0;
    for (int i = 0; i < 2000000; i++) {
        osr_buffer_add_text(&bytes, "\x80\x7d\x01"); /* unknown field 2000, a varint */
    }
    frame = WRAPPED(osr_buffer_slice(&bytes), PING);
    assert_int_equal(codec_decode(fixture, OSR_CODEC_PROTOBUF, frame), OSR_TOO_LARGE);
    osr_buffer_done(&bytes);
}

/* With any cap decoding either fits or is TOO_LARGE: the pre-scan never counts too little, else
 * unpacking would fail half way, as MALFORMED. */
static void codec_respects_any_cap(void **state)
{
    struct codec_fixture *fixture = *state;
    for (size_t i = 0; i < osr__frame__descriptor.n_fields; i++) {
        const ProtobufCFieldDescriptor *body = &osr__frame__descriptor.fields[i];
        for (int codec = 0; is_frame_body(body) && codec < OSR_CODEC_COUNT; codec++) {
            osr_arena_reset(fixture->maker.arena);
            fixture->bytes.size = 0;
            osr_frame_encode((enum osr_codec)codec, random_frame(&fixture->maker, body),
                             &fixture->bytes);
            bool fits = false;
            for (size_t cap = 0; !fits; cap += 48) {
                struct osr_arena *arena = osr_arena_create(0, cap);
                Osr__Frame *frame;
                uint64_t request_id;
                int code =
                    osr_frame_decode((enum osr_codec)codec, osr_buffer_slice(&fixture->bytes),
                                     arena, &frame, &request_id, &fixture->err);
                assert_true(code == 0 || code == OSR_TOO_LARGE);
                assert_true(osr_arena_used(arena) <= cap);
                fits = code == 0;
                osr_arena_destroy(arena);
            }
        }
    }
}

/* The contract has no message within itself; this one is: message Node { Node child = 1;
 * repeated uint32 numbers = 2; } */
struct node {
    ProtobufCMessage base;
    struct node *child;
    size_t n_numbers;
    uint32_t *numbers;
};

static const ProtobufCMessageDescriptor node_descriptor;

static const ProtobufCFieldDescriptor node_fields[] = {
    {.name = "child",
     .id = 1,
     .label = PROTOBUF_C_LABEL_NONE,
     .type = PROTOBUF_C_TYPE_MESSAGE,
     .offset = offsetof(struct node, child),
     .descriptor = &node_descriptor},
    {.name = "numbers",
     .id = 2,
     .label = PROTOBUF_C_LABEL_REPEATED,
     .type = PROTOBUF_C_TYPE_UINT32,
     .quantifier_offset = offsetof(struct node, n_numbers),
     .offset = offsetof(struct node, numbers),
     .flags = PROTOBUF_C_FIELD_FLAG_PACKED},
};

static const unsigned node_fields_by_name[] = {0, 1};

static void node_init(ProtobufCMessage *message)
{
    *(struct node *)message = (struct node){.base = PROTOBUF_C_MESSAGE_INIT(&node_descriptor)};
}

static const ProtobufCIntRange node_ranges[] = {{1, 0}, {0, 2}};

static const ProtobufCMessageDescriptor node_descriptor = {
    .magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
    .name = "test.Node",
    .short_name = "Node",
    .c_name = "Node",
    .package_name = "test",
    .sizeof_message = sizeof(struct node),
    .n_fields = COUNT(node_fields),
    .fields = node_fields,
    .fields_sorted_by_name = node_fields_by_name,
    .n_field_ranges = 1,
    .field_ranges = node_ranges,
    .message_init = node_init,
};

/* Messages within messages are limited in depth, in both encodings. */
static void codec_depth_of_messages_is_limited(void **state)
{
    struct codec_fixture *fixture = *state;
    struct osr_buffer json = {0};
    fixture->bytes.size = 0;
    osr_buffer_add_text(&json, "{}");
    for (int depth = 1; depth <= 10000; depth++) {
        ProtobufCMessage *message;
        int expected = depth <= OSR_DECODE_DEPTH_MAX ? 0 : OSR_TOO_LARGE;
        if (depth < 40 || depth == 10000) {
            osr_arena_reset(fixture->arena);
            assert_int_equal(osr_message_decode(OSR_CODEC_PROTOBUF, &node_descriptor,
                                                osr_buffer_slice(&fixture->bytes), fixture->arena,
                                                &message, NULL),
                             expected);
            assert_int_equal(osr_message_decode(OSR_CODEC_JSON, &node_descriptor,
                                                osr_buffer_slice(&json), fixture->arena, &message,
                                                NULL),
                             expected);
        }
        fixture->again.size = 0;
        codec_add_field(&fixture->again, 1, osr_buffer_slice(&fixture->bytes));
        fixture->bytes.size = 0;
        osr_buffer_add(&fixture->bytes, fixture->again.data, fixture->again.size);
        fixture->again.size = 0;
        osr_buffer_add_format(&fixture->again, "{\"child\":%.*s}", (int)json.size,
                              (char *)json.data);
        json.size = 0;
        osr_buffer_add(&json, fixture->again.data, fixture->again.size);
    }
    osr_buffer_done(&json);
}

/* Numbers of a repeated field come alone or packed, and count as memory either way. */
static void codec_reads_arrays_of_numbers(void **state)
{
    struct codec_fixture *fixture = *state;
    ProtobufCMessage *message;
    struct osr_slice packed = TEXT("\x12\x03\x01\x02\x03\x10\x04");
    assert_int_equal(osr_message_decode(OSR_CODEC_PROTOBUF, &node_descriptor, packed,
                                        fixture->arena, &message, NULL),
                     0);
    osr_message_encode(OSR_CODEC_JSON, message, &fixture->bytes);
    assert_true(
        osr_slice_equal(osr_buffer_slice(&fixture->bytes), TEXT("{\"numbers\":[1,2,3,4]}")));
    assert_int_equal(osr_message_decode(OSR_CODEC_JSON, &node_descriptor,
                                        osr_buffer_slice(&fixture->bytes), fixture->arena, &message,
                                        NULL),
                     0);
    const struct node *node = (const struct node *)message;
    assert_int_equal(node->n_numbers, 4);
    assert_int_equal(node->numbers[3], 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, codec_set_up, codec_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(codec_depth_of_data_is_limited), TEST(codec_refuses_what_unfolds_into_too_much),
        TEST(codec_respects_any_cap),         TEST(codec_depth_of_messages_is_limited),
        TEST(codec_reads_arrays_of_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
