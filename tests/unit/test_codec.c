/* Messages there and back in each encoding. */
#include "lib/codec_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json_scan.h"

static void assert_goes_there_and_back(struct codec_fixture *fixture, enum osr_codec codec,
                                       const Osr__Frame *frame, struct osr_slice expected)
{
    fixture->again.size = 0;
    osr_frame_encode(codec, frame, &fixture->again);
    assert_int_equal(codec_decode(fixture, codec, osr_buffer_slice(&fixture->again)), 0);
    assert_int_equal(fixture->request_id, frame->request_id);
    assert_int_equal(fixture->frame->body_case, frame->body_case);
    fixture->again.size = 0;
    osr_frame_encode(OSR_CODEC_PROTOBUF, fixture->frame, &fixture->again);
    assert_true(osr_slice_equal(osr_buffer_slice(&fixture->again), expected));
}

/* Every type of frame, with random fields, is the same after a journey in any encoding. */
static void codec_every_frame_goes_there_and_back(void **state)
{
    struct codec_fixture *fixture = *state;
    for (size_t i = 0; i < osr__frame__descriptor.n_fields; i++) {
        const ProtobufCFieldDescriptor *body = &osr__frame__descriptor.fields[i];
        for (int round = 0; is_frame_body(body) && round < 50; round++) {
            osr_arena_reset(fixture->maker.arena);
            const Osr__Frame *frame = random_frame(&fixture->maker, body);
            fixture->bytes.size = 0;
            osr_frame_encode(OSR_CODEC_PROTOBUF, frame, &fixture->bytes);
            struct osr_slice expected = osr_buffer_slice(&fixture->bytes);
            assert_goes_there_and_back(fixture, OSR_CODEC_PROTOBUF, frame, expected);
            assert_goes_there_and_back(fixture, OSR_CODEC_JSON, frame, expected);
            assert_goes_there_and_back(fixture, OSR_CODEC_YAML, frame, expected);
        }
    }
}

/* JSON frames are one line without white space between tokens: what a stream relies on. */
static void codec_json_frames_are_compact_lines(void **state)
{
    struct codec_fixture *fixture = *state;
    for (size_t i = 0; i < osr__frame__descriptor.n_fields; i++) {
        const ProtobufCFieldDescriptor *body = &osr__frame__descriptor.fields[i];
        if (is_frame_body(body)) {
            fixture->bytes.size = 0;
            osr_frame_encode(OSR_CODEC_JSON, random_frame(&fixture->maker, body), &fixture->bytes);
            struct osr_slice text = osr_buffer_slice(&fixture->bytes);
            assert_int_equal(osr_json_check(text, OSR_JSON_DEPTH_MAX, NULL), 0);
            assert_null(memchr(text.data, '\n', text.size));
        }
    }
}

/* A frame's type is its body's name in capitals; no body's field hides one of the frame's. */
static void codec_frame_types_are_unambiguous(void **state)
{
    (void)state;
    Osr__Frame frame = OSR__FRAME__INIT;
    assert_string_equal(osr_frame_type(&frame), "");
    assert_null(osr_frame_body(&frame));
    Osr__PutRequest put = OSR__PUT_REQUEST__INIT;
    osr_frame_set_body(&frame, OSR__FRAME__BODY_KB_PUT, &put.base);
    assert_string_equal(osr_frame_type(&frame), "KB_PUT");
    assert_ptr_equal(osr_frame_body(&frame), &put);
    for (size_t i = 0; i < osr__frame__descriptor.n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &osr__frame__descriptor.fields[i];
        const ProtobufCMessageDescriptor *body = field->descriptor;
        for (size_t k = 0; is_frame_body(field) && k < body->n_fields; k++) {
            assert_string_not_equal(body->fields[k].name, "type");
            assert_string_not_equal(body->fields[k].name, "request_id");
            assert_string_not_equal(body->fields[k].name, "end");
        }
    }
}

/* Single messages, outside of frames, go the same way; a Json is the value itself. */
static void codec_encodes_single_messages(void **state)
{
    struct codec_fixture *fixture = *state;
    ProtobufCMessage *message = NULL;
    struct osr_slice text = TEXT(" {\"a\" : [1.10, null]} ");
    assert_int_equal(osr_message_decode(OSR_CODEC_JSON, &osr__json__descriptor, text,
                                        fixture->arena, &message, NULL),
                     0);
    osr_message_encode(OSR_CODEC_JSON, message, &fixture->bytes);
    assert_true(osr_slice_equal(osr_buffer_slice(&fixture->bytes), TEXT("{\"a\":[1.10,null]}")));
    text = TEXT("{\"id\":\"x\",\"data\":null} 1");
    assert_int_equal(osr_message_decode(OSR_CODEC_JSON, &osr__document__descriptor, text,
                                        fixture->arena, &message, NULL),
                     OSR_MALFORMED);
}

/* An error can be answered: the request's number is found if it can be read at all. */
static void codec_gives_request_id_of_refused_frames(void **state)
{
    struct codec_fixture *fixture = *state;
    static const struct {
        const char *text;
        uint64_t request_id;
    } refused[] = {
        {"{\"type\":\"DANCE\",\"a\":[{}],\"request_id\":77}", 77},
        {"{\"request_id\":\"78\",\"type\":\"DANCE\"}", 78},
        {"{\"type\":\"PING\",\"request_id\":79,\"nonce\":[]}", 79},
        {"{\"type\":\"PING\",\"request_id\":-1}", 0},
        {"{\"type\":\"DANCE\",\"a\":{\"request_id\":1}}", 0},
        {"{\"type\":\"DANCE\",\"request_id\":", 0},
        {"nonsense", 0},
    };
    for (size_t i = 0; i < COUNT(refused); i++) {
        assert_int_not_equal(codec_decode(fixture, OSR_CODEC_JSON, osr_slice_text(refused[i].text)),
                             0);
        assert_int_equal(fixture->request_id, refused[i].request_id);
    }
    /* request_id 80, and a body that only the future knows */
    struct osr_slice unknown = TEXT("\x08\x50\xc2\x3e\x00");
    assert_int_equal(codec_decode(fixture, OSR_CODEC_PROTOBUF, unknown), OSR_UNKNOWN_TYPE);
    assert_int_equal(fixture->request_id, 80);
    assert_int_equal(codec_decode(fixture, OSR_CODEC_PROTOBUF, TEXT("")), OSR_UNKNOWN_TYPE);
    assert_int_equal(fixture->request_id, 0);
    assert_int_equal(codec_decode(fixture, OSR_CODEC_PROTOBUF, TEXT("\x08\x50\x7b")),
                     OSR_MALFORMED);
    assert_int_equal(fixture->request_id, 80);
}

/* An error becomes a frame without copies of its text. */
static void codec_error_message_shows_the_error(void **state)
{
    struct codec_fixture *fixture = *state;
    osr_err_set(&fixture->err, OSR_BUSY, "too many");
    osr_err_hint(&fixture->err, "wait");
    Osr__Error error;
    osr_error_message(&error, &fixture->err);
    Osr__Frame frame = OSR__FRAME__INIT;
    osr_frame_set_body(&frame, OSR__FRAME__BODY_ERROR, &error.base);
    fixture->frame = &frame;
    assert_encodes_as(fixture, "{\"type\":\"ERROR\",\"code\":\"BUSY\",\"message\":\"too many\","
                               "\"hint\":\"wait\"}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, codec_set_up, codec_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(codec_every_frame_goes_there_and_back),    TEST(codec_json_frames_are_compact_lines),
        TEST(codec_frame_types_are_unambiguous),        TEST(codec_encodes_single_messages),
        TEST(codec_gives_request_id_of_refused_frames), TEST(codec_error_message_shows_the_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
