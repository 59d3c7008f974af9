/* JSON frames: the forms that are taken, and those that are not. */
#include "lib/codec_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_json_refused(struct codec_fixture *fixture, const char *text, int code)
{
    int got = codec_decode(fixture, OSR_CODEC_JSON, osr_slice_text(text));
    if (got != code) {
        fail_msg("%s gives %s, not %s", text, osr_code_info((enum osr_code)got)->name,
                 osr_code_info((enum osr_code)code)->name);
    }
}

/* The forms that other programs write: any order, white space, escapes, numbers as text. */
static void json_accepts_what_others_write(void **state)
{
    struct codec_fixture *fixture = *state;
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
        int code = codec_decode(fixture, OSR_CODEC_JSON, osr_slice_text(accepted[i].text));
        if (code != 0) {
            fail_msg("%s: %s", accepted[i].text, fixture->err.message);
        }
        assert_encodes_as(fixture, accepted[i].expected);
    }
}

/* What is not a frame, and why. */
static void json_refuses_what_is_no_frame(void **state)
{
    struct codec_fixture *fixture = *state;
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, codec_set_up, codec_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(json_accepts_what_others_write),
        TEST(json_refuses_what_is_no_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
