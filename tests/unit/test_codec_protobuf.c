/* Protobuf frames: bytes that protobuf-c would read wrongly, or not at all. */
#include "lib/codec_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Bytes that protobuf-c would read wrongly, or not at all. */
static void protobuf_refuses_what_is_no_frame(void **state)
{
    struct codec_fixture *fixture = *state;
    static const struct {
        struct osr_slice ping; /* fields of a Ping */
        int code;
    } pings[] = {
        {{(const uint8_t *)"\x08\x07", 2}, 0},
        {{(const uint8_t *)"\x08", 1}, OSR_MALFORMED},                 /* no value */
        {{(const uint8_t *)"\x08\x80", 2}, OSR_MALFORMED},             /* a cut varint */
        {{(const uint8_t *)"\x08\x07\x08\x07", 4}, OSR_MALFORMED},     /* twice */
        {{(const uint8_t *)"\x09\0\0\0\0\0\0\0\0", 9}, OSR_MALFORMED}, /* as fixed64 */
        {{(const uint8_t *)"\x0a\x01\x07", 3}, OSR_MALFORMED},         /* as bytes */
        {{(const uint8_t *)"\x00\x07", 2}, OSR_MALFORMED},             /* field 0 */
        {{(const uint8_t *)"\x0b\x0c", 2}, OSR_MALFORMED},             /* a group */
        {{(const uint8_t *)"\x13\x14", 2}, OSR_MALFORMED},             /* an unknown group */
        {{(const uint8_t *)"\x0f\x07", 2}, OSR_MALFORMED},             /* wire type 7 */
        {{(const uint8_t *)"\x12\x05xy", 4}, OSR_MALFORMED},           /* longer than the message */
        {{(const uint8_t *)"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}, OSR_MALFORMED},
        {{(const uint8_t *)"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12}, OSR_MALFORMED},
        {{(const uint8_t *)"\x12\x02xy\x1d\0\0\0\0\x21\0\0\0\0\0\0\0\0\x28\x01", 20},
         0}, /* unknown */
    };
    for (size_t i = 0; i < COUNT(pings); i++) {
        assert_int_equal(codec_decode(fixture, OSR_CODEC_PROTOBUF, WRAPPED(pings[i].ping, PING)),
                         pings[i].code);
    }
    /* acks: 4294967296 */
    struct osr_slice large = TEXT("\x10\x80\x80\x80\x80\x10");
    assert_int_equal(codec_decode(fixture, OSR_CODEC_PROTOBUF, WRAPPED(large, KB_PUT)),
                     OSR_INVALID_ARGUMENT);
    /* PING and PONG at once */
    assert_int_equal(codec_decode(fixture, OSR_CODEC_PROTOBUF, TEXT("\x7a\0\x82\x01\0")),
                     OSR_MALFORMED);
}

/* Unknown fields are ignored, and do not travel on; within an entry they are refused. */
static void protobuf_unknown_fields_are_ignored_except_in_entries(void **state)
{
    struct codec_fixture *fixture = *state;
    struct osr_slice any = TEXT("any");
    struct osr_slice frame = WRAPPED(any, UNKNOWN, PUT_DOCUMENT, KB_PUT);
    assert_int_equal(codec_decode(fixture, OSR_CODEC_PROTOBUF, frame), 0);
    fixture->again.size = 0;
    osr_frame_encode(OSR_CODEC_PROTOBUF, fixture->frame, &fixture->again);
    assert_null(memmem(fixture->again.data, fixture->again.size, "any", 3));

    assert_int_equal(codec_decode(fixture, OSR_CODEC_PROTOBUF, WRAPPED(any, UNKNOWN, UPDATE)), 0);
    assert_int_equal(
        codec_decode(fixture, OSR_CODEC_PROTOBUF, WRAPPED(any, UNKNOWN, UPDATE_ENTRIES, UPDATE)),
        OSR_MALFORMED);
    assert_int_equal(codec_decode(fixture, OSR_CODEC_PROTOBUF,
                                  WRAPPED(any, UNKNOWN, ENTRY_DOCUMENT, UPDATE_ENTRIES, UPDATE)),
                     OSR_MALFORMED);
}

/* Strings are UTF-8 without NUL, which protobuf-c would cut; a Json is one compact value. */
static void protobuf_text_is_checked(void **state)
{
    struct codec_fixture *fixture = *state;
    static const struct {
        struct osr_slice text;
        int as_id, as_json;
    } texts[] = {
        {{(const uint8_t *)"true", 4}, 0, 0},
        {{(const uint8_t *)"\"\xc3\xa9\"", 4}, 0, 0},
        {{(const uint8_t *)"\"\xc3\"", 3}, OSR_MALFORMED, OSR_MALFORMED},
        {{(const uint8_t *)"\"\0\"", 3}, OSR_MALFORMED, OSR_MALFORMED},
        {{(const uint8_t *)"\"\xed\xa0\x80\"", 5}, OSR_MALFORMED, OSR_MALFORMED},
        {{(const uint8_t *)"\"\\u0000\"", 8}, 0, 0},
        {{(const uint8_t *)"[1, 2]", 6}, 0, OSR_MALFORMED},
        {{(const uint8_t *)"[1,2", 4}, 0, OSR_MALFORMED},
        {{(const uint8_t *)"", 0}, 0, OSR_MALFORMED},
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_int_equal(codec_decode(fixture, OSR_CODEC_PROTOBUF,
                                      WRAPPED(texts[i].text, DOCUMENT_ID, PUT_DOCUMENT, KB_PUT)),
                         texts[i].as_id);
        assert_int_equal(
            codec_decode(fixture, OSR_CODEC_PROTOBUF,
                         WRAPPED(texts[i].text, JSON_TEXT, DOCUMENT_DATA, PUT_DOCUMENT, KB_PUT)),
            texts[i].as_json);
    }
    assert_int_equal(codec_decode(fixture, OSR_CODEC_PROTOBUF,
                                  WRAPPED(TEXT(""), DOCUMENT_DATA, PUT_DOCUMENT, KB_PUT)),
                     OSR_MALFORMED); /* a Json that is there holds a value */
}

/* A singular submessage given again and again, which protobuf-c merges in quadratic time. */
static void protobuf_refuses_repeated_singular_submessage(void **state)
{
    struct codec_fixture *fixture = *state;
    struct osr_buffer put = {0};
    codec_add_field(&put, PUT_DOCUMENT, TEXT("\x0a\x01x"));
    codec_add_field(&put, PUT_DOCUMENT, TEXT("\x0a\x01x"));
    assert_int_equal(
        codec_decode(fixture, OSR_CODEC_PROTOBUF, WRAPPED(osr_buffer_slice(&put), KB_PUT)),
        OSR_MALFORMED);
    osr_buffer_done(&put);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, codec_set_up, codec_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(protobuf_refuses_what_is_no_frame),
        TEST(protobuf_unknown_fields_are_ignored_except_in_entries),
        TEST(protobuf_text_is_checked),
        TEST(protobuf_refuses_repeated_singular_submessage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
