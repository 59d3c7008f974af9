/* Messages there and back in both encodings, and what decoding refuses. */
#include "base/json_scan.h"
#include "base/random.h"
#include "model/limits.h"
#include "wire/codec.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define TEXT(literal) osr_slice(literal, sizeof(literal) - 1)
#define ARENA_CAP     ((size_t)OSR_DECODE_BYTES_MAX)

/* ---- random messages ---- */

struct maker {
    struct osr_random random;
    struct osr_arena *arena;
};

static ProtobufCMessage *make_message(struct maker *maker,
                                      const ProtobufCMessageDescriptor *descriptor);

static uint64_t below(struct maker *maker, uint64_t limit)
{
    return osr_random_below(&maker->random, limit);
}

static uint64_t make_number(struct maker *maker)
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

static double make_double(struct maker *maker)
{
    static const double edges[] = {0, 1, -1.5, 0.1, 1e300, -1e-300, 1.0 / 3, INFINITY, -INFINITY};
    return edges[below(maker, COUNT(edges))];
}

static char *make_text(struct maker *maker)
{
    static const char *const pieces[] = {
        "a",          "Z9", "\"",       "\\",           "\n",
        "\x01",       "/",  "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
        "some words "};
    struct osr_buffer text = {0};
    for (uint64_t n = below(maker, 8); n > 0; n--) {
        osr_buffer_add_text(&text, pieces[below(maker, COUNT(pieces))]);
    }
    char *copy = osr_arena_text(maker->arena, osr_buffer_slice(&text));
    osr_buffer_done(&text);
    return copy;
}

static ProtobufCBinaryData make_bytes(struct maker *maker)
{
    ProtobufCBinaryData bytes = {.len = below(maker, 40)};
    if (bytes.len > 0) {
        bytes.data = osr_arena_take(maker->arena, bytes.len);
        osr_random_fill(&maker->random, bytes.data, bytes.len);
    }
    return bytes;
}

static ProtobufCBinaryData make_json_text(struct maker *maker)
{
    static const char *const texts[] = {"null",
                                        "12345678901234567890",
                                        "1.10",
                                        "\"\\u0000 \\ud83d\"",
                                        "{\"a\":1,\"a\":[true,{}]}",
                                        "\"caf\xc3\xa9 \\/\"",
                                        "[]"};
    const char *text = texts[below(maker, COUNT(texts))];
    return (ProtobufCBinaryData){strlen(text),
                                 (uint8_t *)osr_arena_text(maker->arena, osr_slice_text(text))};
}

static void make_value(struct maker *maker, const ProtobufCMessageDescriptor *descriptor,
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
        *(ProtobufCMessage **)at = make_message(maker, field->descriptor);
        break;
    default:
        fail_msg("field type %d is new: make values of it", field->type);
    }
}

static void make_array(struct maker *maker, ProtobufCMessage *message,
                       const ProtobufCFieldDescriptor *field)
{
    bool is_pointer =
        field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE;
    assert_true(is_pointer); /* no other arrays in the contract so far */
    size_t count = below(maker, 20) == 0 ? below(maker, 100) : below(maker, 4);
    void **elements = osr_arena_take(maker->arena, count * sizeof(void *));
    for (size_t i = 0; i < count; i++) {
        make_value(maker, message->descriptor, field, &elements[i]);
    }
    *(size_t *)(void *)((char *)message + field->quantifier_offset) = count;
    *(void ***)(void *)((char *)message + field->offset) = elements;
}

static ProtobufCMessage *make_message(struct maker *maker,
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

static Osr__Frame *make_frame(struct maker *maker, const ProtobufCFieldDescriptor *body)
{
    Osr__Frame *frame = osr_arena_take(maker->arena, sizeof(*frame));
    osr__frame__init(frame);
    frame->request_id = below(maker, 3) == 0 ? 0 : make_number(maker);
    frame->end = (protobuf_c_boolean)below(maker, 2);
    osr_frame_set_body(frame, (Osr__Frame__BodyCase)body->id,
                       make_message(maker, body->descriptor));
    return frame;
}

static bool is_body(const ProtobufCFieldDescriptor *field)
{
    return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
}

/* ---- fixture ---- */

struct fixture {
    struct maker maker;
    struct osr_arena *arena; /* for what is decoded */
    struct osr_buffer bytes;
    struct osr_buffer again;
    struct osr_err err;
    Osr__Frame *frame; /* decoded */
    uint64_t request_id;
};

static int set_up(void **state)
{
    struct fixture *fixture = osr_alloc(sizeof(*fixture));
    osr_random_init(&fixture->maker.random, 2024);
    fixture->maker.arena = osr_arena_create(1 << 20, ARENA_CAP);
    fixture->arena = osr_arena_create(1 << 20, ARENA_CAP);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    osr_arena_destroy(fixture->maker.arena);
    osr_arena_destroy(fixture->arena);
    osr_buffer_done(&fixture->bytes);
    osr_buffer_done(&fixture->again);
    free(fixture);
    return 0;
}

static int decode(struct fixture *fixture, enum osr_codec codec, struct osr_slice bytes)
{
    osr_arena_reset(fixture->arena);
    fixture->frame = NULL;
    fixture->request_id = 4711;
    /* A copy of just that size, so that reading past it is noticed. */
    uint8_t *exact = malloc(bytes.size > 0 ? bytes.size : 1);
    memcpy(exact, bytes.size > 0 ? bytes.data : (const uint8_t *)"", bytes.size);
    int code = osr_frame_decode(codec, osr_slice(exact, bytes.size), fixture->arena,
                                &fixture->frame, &fixture->request_id, &fixture->err);
    free(exact); /* what was decoded does not point into the input */
    if (code != 0) {
        assert_int_equal(fixture->err.code, code);
    }
    return code;
}

static void assert_json_refused(struct fixture *fixture, const char *text, int code)
{
    int got = decode(fixture, OSR_CODEC_JSON, osr_slice_text(text));
    if (got != code) {
        fail_msg("%s gives %s, not %s", text, osr_code_info((enum osr_code)got)->name,
                 osr_code_info((enum osr_code)code)->name);
    }
}

/* Encodes the decoded frame and expects this text. */
static void assert_encodes_as(struct fixture *fixture, const char *text)
{
    fixture->again.size = 0;
    osr_frame_encode(OSR_CODEC_JSON, fixture->frame, &fixture->again);
    osr_buffer_add_u8(&fixture->again, 0);
    assert_string_equal((char *)fixture->again.data, text);
}

/* ---- there and back ---- */

static void assert_goes_there_and_back(struct fixture *fixture, enum osr_codec codec,
                                       const Osr__Frame *frame, struct osr_slice expected)
{
    fixture->again.size = 0;
    osr_frame_encode(codec, frame, &fixture->again);
    assert_int_equal(decode(fixture, codec, osr_buffer_slice(&fixture->again)), 0);
    assert_int_equal(fixture->request_id, frame->request_id);
    assert_int_equal(fixture->frame->body_case, frame->body_case);
    fixture->again.size = 0;
    osr_frame_encode(OSR_CODEC_PROTOBUF, fixture->frame, &fixture->again);
    assert_true(osr_slice_equal(osr_buffer_slice(&fixture->again), expected));
}

/* Every type of frame, with random fields, is the same after a journey in either encoding. */
static void codec_every_frame_goes_there_and_back(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < osr__frame__descriptor.n_fields; i++) {
        const ProtobufCFieldDescriptor *body = &osr__frame__descriptor.fields[i];
        for (int round = 0; is_body(body) && round < 50; round++) {
            osr_arena_reset(fixture->maker.arena);
            const Osr__Frame *frame = make_frame(&fixture->maker, body);
            fixture->bytes.size = 0;
            osr_frame_encode(OSR_CODEC_PROTOBUF, frame, &fixture->bytes);
            struct osr_slice expected = osr_buffer_slice(&fixture->bytes);
            assert_goes_there_and_back(fixture, OSR_CODEC_PROTOBUF, frame, expected);
            assert_goes_there_and_back(fixture, OSR_CODEC_JSON, frame, expected);
        }
    }
}

/* JSON frames are one line without white space between tokens: what a stream relies on. */
static void codec_json_frames_are_compact_lines(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < osr__frame__descriptor.n_fields; i++) {
        const ProtobufCFieldDescriptor *body = &osr__frame__descriptor.fields[i];
        if (is_body(body)) {
            fixture->bytes.size = 0;
            osr_frame_encode(OSR_CODEC_JSON, make_frame(&fixture->maker, body), &fixture->bytes);
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
        for (size_t k = 0; is_body(field) && k < body->n_fields; k++) {
            assert_string_not_equal(body->fields[k].name, "type");
            assert_string_not_equal(body->fields[k].name, "request_id");
            assert_string_not_equal(body->fields[k].name, "end");
        }
    }
}

/* Single messages, outside of frames, go the same way; a Json is the value itself. */
static void codec_encodes_single_messages(void **state)
{
    struct fixture *fixture = *state;
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

/* ---- JSON ---- */

/* The forms that other programs write: any order, white space, escapes, numbers as text. */
static void json_accepts_what_others_write(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *text, *expected;
    } accepted[] = {
        {"{\"type\": \"UPDATE_KB\", \"data\": \"x\"}", "{\"type\":\"UPDATE_KB\",\"data\":\"x\"}"},
        {"{\"nonce\":7,\"end\":true,\"request_id\":3,\"type\":\"PING\"}",
         "{\"type\":\"PING\",\"request_id\":3,\"end\":true,\"nonce\":7}"},
        {"{\"\\u0074ype\":\"P\\u0049NG\",\"n\\u006fnce\":1}", "{\"type\":\"PING\",\"nonce\":1}"},
        {"{\"type\":\"PING\",\"nonce\":\"18446744073709551615\"}",
         "{\"type\":\"PING\",\"nonce\":\"18446744073709551615\"}"},
        {"{\"type\":\"PING\",\"nonce\":18446744073709551615}",
         "{\"type\":\"PING\",\"nonce\":\"18446744073709551615\"}"},
        {"{\"type\":\"PING\",\"nonce\":9007199254740991}",
         "{\"type\":\"PING\",\"nonce\":9007199254740991}"},
        {"{\"type\":\"PING\",\"nonce\":9007199254740992}",
         "{\"type\":\"PING\",\"nonce\":\"9007199254740992\"}"},
        {"{\"type\":\"PING\",\"nonce\":\"5\"}", "{\"type\":\"PING\",\"nonce\":5}"},
        {"{\"type\":\"PING\",\"nonce\":-0}", "{\"type\":\"PING\"}"},
        {"{\"type\":\"PING\",\"nonce\":null}", "{\"type\":\"PING\"}"},
        {"{\"type\":\"PING\",\"colour\":{\"a\":[1]},\"colour\":2}", "{\"type\":\"PING\"}"},
        {"{\"type\":\"ERROR\",\"code\":\"DISK_FULL\"}",
         "{\"type\":\"ERROR\",\"code\":\"DISK_FULL\"}"},
        {"{\"type\":\"ERROR\",\"code\":20}", "{\"type\":\"ERROR\",\"code\":\"DISK_FULL\"}"},
        {"{\"type\":\"ERROR\",\"code\":4711}", "{\"type\":\"ERROR\",\"code\":4711}"},
        {"{\"type\":\"UPDATE_KB\",\"data\":null}", "{\"type\":\"UPDATE_KB\",\"data\":null}"},
        {"{\"type\":\"UPDATE_KB\",\"data\":{\"a\": 1, \"a\" :1.10},\"tags\":[ ]}",
         "{\"type\":\"UPDATE_KB\",\"data\":{\"a\":1,\"a\":1.10}}"},
        {"{\"type\":\"UPDATE_KB\",\"data\":\"\\u0000\\ud83d\\/\"}",
         "{\"type\":\"UPDATE_KB\",\"data\":\"\\u0000\\ud83d\\/\"}"},
        {"{\"type\":\"UPDATE_KB\",\"collection\":\"\\u00e9\\ud83d\\ude00\\n\"}",
         "{\"type\":\"UPDATE_KB\",\"collection\":\"\xc3\xa9\xf0\x9f\x98\x80\\n\"}"},
        {"{\"type\":\"KB_PUT\",\"document\":{}}", "{\"type\":\"KB_PUT\",\"document\":{}}"},
        {"{\"type\":\"KB_SEARCH_REPLY\",\"hits\":[{\"rank\":0.1},{\"rank\":-2E-3},{\"rank\":1}]}",
         "{\"type\":\"KB_SEARCH_REPLY\",\"hits\":[{\"rank\":0.1},{\"rank\":-0.002},{\"rank\":1}]}"},
        {"{\"type\":\"HELLO_PROOF\",\"public_key\":\"Zm9v\",\"signature\":\"\"}",
         "{\"type\":\"HELLO_PROOF\",\"public_key\":\"Zm9v\"}"},
        {"{\"type\":\"HELLO_PROOF\",\"public_key\":\"\\/"
         "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
         "{\"type\":\"HELLO_PROOF\",\"public_key\":\"/"
         "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}"},
    };
    for (size_t i = 0; i < COUNT(accepted); i++) {
        int code = decode(fixture, OSR_CODEC_JSON, osr_slice_text(accepted[i].text));
        if (code != 0) {
            fail_msg("%s: %s", accepted[i].text, fixture->err.message);
        }
        assert_encodes_as(fixture, accepted[i].expected);
    }
}

/* What is not a frame, and why. */
static void json_refuses_what_is_no_frame(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *text;
        int code;
    } refused[] = {
        {"", OSR_MALFORMED},
        {"PING", OSR_MALFORMED},
        {"[]", OSR_MALFORMED},
        {"\"PING\"", OSR_MALFORMED},
        {"{\"type\":\"PING\"", OSR_MALFORMED},
        {"{\"type\":\"PING\"}}", OSR_MALFORMED},
        {"{\"type\":\"PING\"}{}", OSR_MALFORMED},
        {"{\"type\":\"PING\",}", OSR_MALFORMED},
        {"\xef\xbb\xbf{\"type\":\"PING\"}", OSR_MALFORMED},
        {"{}", OSR_UNKNOWN_TYPE},
        {"{\"type\":\"DANCE\"}", OSR_UNKNOWN_TYPE},
        {"{\"type\":\"ping\"}", OSR_UNKNOWN_TYPE},
        {"{\"type\":\"\"}", OSR_UNKNOWN_TYPE},
        {"{\"type\":\"REQUEST_ID\"}", OSR_UNKNOWN_TYPE},
        {"{\"type\":\"AN_EXCEEDINGLY_LONG_TYPE_THAT_DOES_NOT_FIT_INTO_SIXTY_FOUR_BYTES\"}",
         OSR_UNKNOWN_TYPE},
        {"{\"type\":1}", OSR_INVALID_ARGUMENT},
        {"{\"type\":\"PI\\u0000NG\"}", OSR_MALFORMED},
        /* doubled members */
        {"{\"type\":\"PING\",\"type\":\"PING\"}", OSR_MALFORMED},
        {"{\"type\":\"PING\",\"\\u0074ype\":\"PONG\"}", OSR_MALFORMED},
        {"{\"type\":\"PING\",\"nonce\":1,\"nonce\":1}", OSR_MALFORMED},
        {"{\"type\":\"PING\",\"nonce\":null,\"nonce\":1}", OSR_MALFORMED},
        {"{\"type\":\"PING\",\"end\":true,\"end\":true}", OSR_MALFORMED},
        {"{\"type\":\"KB_PUT\",\"document\":{\"id\":\"a\",\"id\":\"a\"}}", OSR_MALFORMED},
        /* wrong types, numbers out of range */
        {"{\"type\":\"PING\",\"nonce\":-1}", OSR_INVALID_ARGUMENT},
        {"{\"type\":\"PING\",\"nonce\":1.0}", OSR_INVALID_ARGUMENT},
        {"{\"type\":\"PING\",\"nonce\":1e3}", OSR_INVALID_ARGUMENT},
        {"{\"type\":\"PING\",\"nonce\":18446744073709551616}", OSR_INVALID_ARGUMENT},
        {"{\"type\":\"PING\",\"nonce\":\"\"}", OSR_INVALID_ARGUMENT},
        {"{\"type\":\"PING\",\"nonce\":\"-\"}", OSR_INVALID_ARGUMENT},
        {"{\"type\":\"PING\",\"nonce\":\" 1\"}", OSR_INVALID_ARGUMENT},
        {"{\"type\":\"PING\",\"nonce\":\"01\"}", OSR_INVALID_ARGUMENT},
        {"{\"type\":\"PING\",\"nonce\":\"+1\"}", OSR_INVALID_ARGUMENT},
        {"{\"type\":\"PING\",\"nonce\":true}", OSR_INVALID_ARGUMENT},
        {"{\"type\":\"PING\",\"nonce\":[1]}", OSR_INVALID_ARGUMENT},
        {"{\"type\":\"PING\",\"end\":1}", OSR_INVALID_ARGUMENT},
        {"{\"type\":\"KB_PUT\",\"acks\":4294967296}", OSR_INVALID_ARGUMENT},
        {"{\"type\":\"KB_PUT\",\"document\":[]}", OSR_INVALID_ARGUMENT},
        {"{\"type\":\"KB_PUT\",\"document\":\"x\"}", OSR_INVALID_ARGUMENT},
        {"{\"type\":\"UPDATE_KB\",\"tags\":\"x\"}", OSR_INVALID_ARGUMENT},
        {"{\"type\":\"UPDATE_KB\",\"tags\":[null]}", OSR_INVALID_ARGUMENT},
        {"{\"type\":\"UPDATE_KB\",\"tags\":[\"x\",1]}", OSR_INVALID_ARGUMENT},
        {"{\"type\":\"UPDATE_KB\",\"kind\":7}", OSR_INVALID_ARGUMENT},
        {"{\"type\":\"ERROR\",\"code\":\"SORRY\"}", OSR_INVALID_ARGUMENT},
        {"{\"type\":\"ERROR\",\"code\":2147483648}", OSR_INVALID_ARGUMENT},
        {"{\"type\":\"HELLO_PROOF\",\"public_key\":\"Zm9\"}", OSR_INVALID_ARGUMENT},
        {"{\"type\":\"HELLO_PROOF\",\"public_key\":7}", OSR_INVALID_ARGUMENT},
        {"{\"type\":\"KB_SEARCH_REPLY\",\"hits\":[{\"rank\":1e999}]}", OSR_INVALID_ARGUMENT},
        {"{\"type\":\"KB_SEARCH_REPLY\",\"hits\":[{\"rank\":\"1\"}]}", OSR_INVALID_ARGUMENT},
        /* text */
        {"{\"type\":\"UPDATE_KB\",\"kind\":\"\\u0000\"}", OSR_MALFORMED},
        {"{\"type\":\"UPDATE_KB\",\"kind\":\"\\ud83d\"}", OSR_MALFORMED},
        {"{\"type\":\"UPDATE_KB\",\"kind\":\"\xff\"}", OSR_MALFORMED},
        {"{\"type\":\"UPDATE_KB\",\"data\":\"\xff\"}", OSR_MALFORMED},
        {"{\"type\":\"PING\",\"\\ud83d\":1}", OSR_MALFORMED},
        /* entries are hashed: nothing in them may be ignored */
        {"{\"type\":\"UPDATE\",\"entries\":[{\"colour\":1}]}", OSR_MALFORMED},
        {"{\"type\":\"UPDATE\",\"entries\":[{\"document\":{\"colour\":1}}]}", OSR_MALFORMED},
        {"{\"type\":\"UPDATE\",\"entries\":[{\"document\":{\"source\":{\"colour\":1}}}]}",
         OSR_MALFORMED},
    };
    for (size_t i = 0; i < COUNT(refused); i++) {
        assert_json_refused(fixture, refused[i].text, refused[i].code);
        assert_null(fixture->frame);
    }
}

/* An error can be answered: the request's number is found if it can be read at all. */
static void codec_gives_request_id_of_refused_frames(void **state)
{
    struct fixture *fixture = *state;
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
        assert_int_not_equal(decode(fixture, OSR_CODEC_JSON, osr_slice_text(refused[i].text)), 0);
        assert_int_equal(fixture->request_id, refused[i].request_id);
    }
    /* request_id 80, and a body that only the future knows */
    struct osr_slice unknown = TEXT("\x08\x50\xc2\x3e\x00");
    assert_int_equal(decode(fixture, OSR_CODEC_PROTOBUF, unknown), OSR_UNKNOWN_TYPE);
    assert_int_equal(fixture->request_id, 80);
    assert_int_equal(decode(fixture, OSR_CODEC_PROTOBUF, TEXT("")), OSR_UNKNOWN_TYPE);
    assert_int_equal(fixture->request_id, 0);
    assert_int_equal(decode(fixture, OSR_CODEC_PROTOBUF, TEXT("\x08\x50\x7b")), OSR_MALFORMED);
    assert_int_equal(fixture->request_id, 80);
}

/* Deep data passes up to its limit, wherever in a frame it stands; beyond it is TOO_LARGE. */
static void codec_depth_of_data_is_limited(void **state)
{
    struct fixture *fixture = *state;
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
            int code = decode(fixture, OSR_CODEC_JSON, osr_buffer_slice(&fixture->bytes));
            assert_int_equal(code, beyond == 0 ? 0 : OSR_TOO_LARGE);
        }
    }
    fixture->bytes.size = 0;
    for (int i = 0; i < 100000; i++) {
        osr_buffer_add_text(&fixture->bytes, "{\"type\":");
    }
    assert_int_equal(decode(fixture, OSR_CODEC_JSON, osr_buffer_slice(&fixture->bytes)),
                     OSR_INVALID_ARGUMENT); /* a type is no object: it is not even looked into */
}

/* ---- protobuf ---- */

static void add_varint(struct osr_buffer *buffer, uint64_t number)
{
    for (; number >= 0x80; number >>= 7) {
        osr_buffer_add_u8(buffer, (uint8_t)(number | 0x80));
    }
    osr_buffer_add_u8(buffer, (uint8_t)number);
}

static void add_field(struct osr_buffer *buffer, uint32_t id, struct osr_slice bytes)
{
    add_varint(buffer, (uint64_t)id << 3 | PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED);
    add_varint(buffer, bytes.size);
    osr_buffer_add(buffer, bytes.data, bytes.size);
}

/* Wraps the innermost bytes into a field, and that into the next, ...; ids end with 0. */
static struct osr_slice wrapped(struct fixture *fixture, const uint32_t *ids,
                                struct osr_slice inner)
{
    fixture->bytes.size = 0;
    osr_buffer_add(&fixture->bytes, inner.data, inner.size);
    for (; *ids != 0; ids++) {
        fixture->again.size = 0;
        add_field(&fixture->again, *ids, osr_buffer_slice(&fixture->bytes));
        fixture->bytes.size = 0;
        osr_buffer_add(&fixture->bytes, fixture->again.data, fixture->again.size);
    }
    return osr_buffer_slice(&fixture->bytes);
}

#define WRAPPED(inner, ...) wrapped(fixture, (const uint32_t[]){__VA_ARGS__, 0}, inner)

enum { /* ids of fields, from the .proto files */
       UPDATE = 12,
       UPDATE_ENTRIES = 5,
       ENTRY_DOCUMENT = 6,
       PING = 15,
       UPDATE_KB = 18,
       KB_PUT = 30,
       PUT_DOCUMENT = 1,
       DOCUMENT_ID = 1,
       DOCUMENT_DATA = 4,
       JSON_TEXT = 1,
       KB_LIST_REPLY = 41,
       LIST_DOCUMENTS = 1,
       UNKNOWN = 2000,
};

/* Bytes that protobuf-c would read wrongly, or not at all. */
static void protobuf_refuses_what_is_no_frame(void **state)
{
    struct fixture *fixture = *state;
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
        assert_int_equal(decode(fixture, OSR_CODEC_PROTOBUF, WRAPPED(pings[i].ping, PING)),
                         pings[i].code);
    }
    /* acks: 4294967296 */
    struct osr_slice large = TEXT("\x10\x80\x80\x80\x80\x10");
    assert_int_equal(decode(fixture, OSR_CODEC_PROTOBUF, WRAPPED(large, KB_PUT)),
                     OSR_INVALID_ARGUMENT);
    /* PING and PONG at once */
    assert_int_equal(decode(fixture, OSR_CODEC_PROTOBUF, TEXT("\x7a\0\x82\x01\0")), OSR_MALFORMED);
}

/* Unknown fields are ignored, and do not travel on; within an entry they are refused. */
static void protobuf_unknown_fields_are_ignored_except_in_entries(void **state)
{
    struct fixture *fixture = *state;
    struct osr_slice any = TEXT("any");
    struct osr_slice frame = WRAPPED(any, UNKNOWN, PUT_DOCUMENT, KB_PUT);
    assert_int_equal(decode(fixture, OSR_CODEC_PROTOBUF, frame), 0);
    fixture->again.size = 0;
    osr_frame_encode(OSR_CODEC_PROTOBUF, fixture->frame, &fixture->again);
    assert_null(memmem(fixture->again.data, fixture->again.size, "any", 3));

    assert_int_equal(decode(fixture, OSR_CODEC_PROTOBUF, WRAPPED(any, UNKNOWN, UPDATE)), 0);
    assert_int_equal(
        decode(fixture, OSR_CODEC_PROTOBUF, WRAPPED(any, UNKNOWN, UPDATE_ENTRIES, UPDATE)),
        OSR_MALFORMED);
    assert_int_equal(decode(fixture, OSR_CODEC_PROTOBUF,
                            WRAPPED(any, UNKNOWN, ENTRY_DOCUMENT, UPDATE_ENTRIES, UPDATE)),
                     OSR_MALFORMED);
}

/* Strings are UTF-8 without NUL, which protobuf-c would cut; a Json is one compact value. */
static void protobuf_text_is_checked(void **state)
{
    struct fixture *fixture = *state;
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
        assert_int_equal(decode(fixture, OSR_CODEC_PROTOBUF,
                                WRAPPED(texts[i].text, DOCUMENT_ID, PUT_DOCUMENT, KB_PUT)),
                         texts[i].as_id);
        assert_int_equal(
            decode(fixture, OSR_CODEC_PROTOBUF,
                   WRAPPED(texts[i].text, JSON_TEXT, DOCUMENT_DATA, PUT_DOCUMENT, KB_PUT)),
            texts[i].as_json);
    }
    assert_int_equal(
        decode(fixture, OSR_CODEC_PROTOBUF, WRAPPED(TEXT(""), DOCUMENT_DATA, PUT_DOCUMENT, KB_PUT)),
        OSR_MALFORMED); /* a Json that is there holds a value */
}

/* ---- bombs ---- */

/* A singular submessage given again and again, which protobuf-c merges in quadratic time. */
static void protobuf_refuses_repeated_singular_submessage(void **state)
{
    struct fixture *fixture = *state;
    struct osr_buffer put = {0};
    add_field(&put, PUT_DOCUMENT, TEXT("\x0a\x01x"));
    add_field(&put, PUT_DOCUMENT, TEXT("\x0a\x01x"));
    assert_int_equal(decode(fixture, OSR_CODEC_PROTOBUF, WRAPPED(osr_buffer_slice(&put), KB_PUT)),
                     OSR_MALFORMED);
    osr_buffer_done(&put);
}

/* Millions of empty submessages are refused before anything is allocated for them. */
static void codec_refuses_what_unfolds_into_too_much(void **state)
{
    struct fixture *fixture = *state;
    struct osr_buffer bytes = {0};
    for (int i = 0; i < 2000000; i++) {
        add_field(&bytes, LIST_DOCUMENTS, osr_slice(NULL, 0));
    }
    struct osr_slice frame = WRAPPED(osr_buffer_slice(&bytes), KB_LIST_REPLY);
    assert_int_equal(decode(fixture, OSR_CODEC_PROTOBUF, frame), OSR_TOO_LARGE);
    assert_int_equal(osr_arena_used(fixture->arena), 0);

    bytes.size = 0;
    osr_buffer_add_text(&bytes, "{\"type\":\"KB_LIST_REPLY\",\"documents\":[{}");
    for (int i = 0; i < 2000000; i++) {
        osr_buffer_add_text(&bytes, ",{}");
    }
    osr_buffer_add_text(&bytes, "]}");
    assert_int_equal(decode(fixture, OSR_CODEC_JSON, osr_buffer_slice(&bytes)), OSR_TOO_LARGE);

    bytes.size = 0;
    for (int i = 0; i < 2000000; i++) {
        osr_buffer_add_text(&bytes, "\x80\x7d\x01"); /* unknown field 2000, a varint */
    }
    frame = WRAPPED(osr_buffer_slice(&bytes), PING);
    assert_int_equal(decode(fixture, OSR_CODEC_PROTOBUF, frame), OSR_TOO_LARGE);
    osr_buffer_done(&bytes);
}

/* With any cap decoding either fits or is TOO_LARGE: the pre-scan never counts too little, else
 * unpacking would fail half way, as MALFORMED. */
static void codec_respects_any_cap(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < osr__frame__descriptor.n_fields; i++) {
        const ProtobufCFieldDescriptor *body = &osr__frame__descriptor.fields[i];
        for (int codec = 0; is_body(body) && codec < 2; codec++) {
            osr_arena_reset(fixture->maker.arena);
            fixture->bytes.size = 0;
            osr_frame_encode((enum osr_codec)codec, make_frame(&fixture->maker, body),
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
    struct fixture *fixture = *state;
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
        add_field(&fixture->again, 1, osr_buffer_slice(&fixture->bytes));
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
    struct fixture *fixture = *state;
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

/* An error becomes a frame without copies of its text. */
static void codec_error_message_shows_the_error(void **state)
{
    struct fixture *fixture = *state;
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(codec_every_frame_goes_there_and_back),
        TEST(codec_json_frames_are_compact_lines),
        TEST(codec_frame_types_are_unambiguous),
        TEST(codec_encodes_single_messages),
        TEST(json_accepts_what_others_write),
        TEST(json_refuses_what_is_no_frame),
        TEST(codec_gives_request_id_of_refused_frames),
        TEST(codec_depth_of_data_is_limited),
        TEST(protobuf_refuses_what_is_no_frame),
        TEST(protobuf_unknown_fields_are_ignored_except_in_entries),
        TEST(protobuf_text_is_checked),
        TEST(protobuf_refuses_repeated_singular_submessage),
        TEST(codec_refuses_what_unfolds_into_too_much),
        TEST(codec_respects_any_cap),
        TEST(codec_depth_of_messages_is_limited),
        TEST(codec_reads_arrays_of_numbers),
        TEST(codec_error_message_shows_the_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
