/* YAML frames: the forms that are taken, those that are not, and how text and data are written so
 * that nobody reads something else. */
#include "base/json_scan.h"
#include "lib/codec_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static int decode(struct codec_fixture *fixture, const char *text)
{
    return codec_decode(fixture, OSR_CODEC_YAML, osr_slice_text(text));
}

/* A value that stands alone, as kb import reads it: its JSON text, or "CODE: message". */
static const char *read_value(struct codec_fixture *fixture, struct osr_slice text)
{
    ProtobufCMessage *message;
    struct osr_err err;
    osr_arena_reset(fixture->arena);
    fixture->again.size = 0;
    if (osr_message_decode(OSR_CODEC_YAML, &osr__json__descriptor, text, fixture->arena, &message,
                           &err) != 0) {
        osr_buffer_add_format(&fixture->again, "%s: %s", osr_code_info(err.code)->name,
                              err.message);
    } else {
        osr_message_encode(OSR_CODEC_JSON, message, &fixture->again);
    }
    osr_buffer_add_u8(&fixture->again, '\0');
    return (const char *)fixture->again.data;
}

static void assert_reads(struct codec_fixture *fixture, const char *text, const char *expected)
{
    const char *got = read_value(fixture, osr_slice_text(text));
    if (strcmp(got, expected) != 0) {
        fail_msg("%s\nis read as\n%s\nand not as\n%s", text, got, expected);
    }
}

/* How JSON text is written, without the newline behind it. */
static const char *write_value(struct codec_fixture *fixture, struct osr_slice text)
{
    Osr__Json json = OSR__JSON__INIT;
    json.text.data = (uint8_t *)text.data;
    json.text.len = text.size;
    fixture->bytes.size = 0;
    osr_message_encode(OSR_CODEC_YAML, &json.base, &fixture->bytes);
    assert_int_equal(fixture->bytes.data[fixture->bytes.size - 1], '\n');
    fixture->bytes.data[fixture->bytes.size - 1] = '\0';
    return (const char *)fixture->bytes.data;
}

/* Written as expected, and read back as the very text. */
static void assert_writes(struct codec_fixture *fixture, const char *json, const char *expected)
{
    const char *got = write_value(fixture, osr_slice_text(json));
    if (strcmp(got, expected) != 0) {
        fail_msg("%s\nis written as\n%s\nand not as\n%s", json, got, expected);
    }
    assert_reads(fixture, expected, json);
}

/* ---- frames ---- */

/* The forms that other programs write: any order, styles, indentation, tags of the core. */
static void yaml_accepts_what_others_write(void **state)
{
    struct codec_fixture *fixture = *state;
    static const struct {
        const char *text, *expected;
    } accepted[] = {
        {"type: PING\nnonce: 7\n", "{\"type\":\"PING\",\"nonce\":7}"},
        {"--- \n%YAML", NULL},
        {"%YAML 1.1\n---\nnonce: 7\nrequest_id: 3\ntype: PING\n...\n",
         "{\"type\":\"PING\",\"request_id\":3,\"nonce\":7}"},
        {"%YAML 1.2\n--- {type: PING, nonce: 7}", "{\"type\":\"PING\",\"nonce\":7}"},
        {"\xef\xbb\xbftype: PING\nnonce: 7\n", "{\"type\":\"PING\",\"nonce\":7}"},
        {"{\"type\":\"PING\",\"nonce\":7}", "{\"type\":\"PING\",\"nonce\":7}"},
        {"type: PING\r\nnonce: 7\r\n", "{\"type\":\"PING\",\"nonce\":7}"},
        {"type: !!str PING\nnonce: !!int 7\nend: !!bool true",
         "{\"type\":\"PING\",\"end\":true,\"nonce\":7}"},
        {"type: PING\nnonce: '18446744073709551615'",
         "{\"type\":\"PING\",\"nonce\":\"18446744073709551615\"}"},
        {"type: PING\nnonce: 18446744073709551615",
         "{\"type\":\"PING\",\"nonce\":\"18446744073709551615\"}"},
        {"type: PING\nnonce: ~\nunknown: {a: [b]}\n", "{\"type\":\"PING\"}"},
        {"type: PING # said\n# more\nnonce:\n", "{\"type\":\"PING\"}"},
        {"type: ERROR\ncode: DISK_FULL\nmessage: >\n  two\n  lines\n\n  and one\n",
         "{\"type\":\"ERROR\",\"code\":\"DISK_FULL\",\"message\":\"two lines\\nand one\\n\"}"},
        {"type: ERROR\nmessage: |\n  as\n   written\nhint: \"\\x41\\u00e9\\U0001F600\\\n  b\"\n",
         "{\"type\":\"ERROR\",\"message\":\"as\\n "
         "written\\n\",\"hint\":\"A\xc3\xa9\xf0\x9f\x98\x80"
         "b\"}"},
        {"type: KB_SEARCH_REPLY\nhits:\n- rank: 1.0e+300\n- rank: -0.5\n- rank: 1\n",
         "{\"type\":\"KB_SEARCH_REPLY\",\"hits\":[{\"rank\":1e+300},{\"rank\":-0.5},{\"rank\":1}]"
         "}"},
        {"type: HELLO_PROOF\npublic_key: Zm9v\nsignature: ''\n",
         "{\"type\":\"HELLO_PROOF\",\"public_key\":\"Zm9v\"}"},
        {"data: {port: 7400, hosts: [a, 'b']}\ntype: UPDATE_KB\n",
         "{\"type\":\"UPDATE_KB\",\"data\":{\"port\":7400,\"hosts\":[\"a\",\"b\"]}}"},
        {"data_json: '{\"a\": 1.10, \"a\": 1e5}'\ntype: UPDATE_KB\n",
         "{\"type\":\"UPDATE_KB\",\"data\":{\"a\":1.10,\"a\":1e5}}"},
        {"type: UPDATE_KB\ndata: {data_json: '1'}\n",
         "{\"type\":\"UPDATE_KB\",\"data\":{\"data_json\":\"1\"}}"},
        {"type: UPDATE_KB\ndata:\n", "{\"type\":\"UPDATE_KB\",\"data\":null}"},
        {"type: UPDATE_KB\ncollection_json: '1'\n", "{\"type\":\"UPDATE_KB\"}"},
    };
    for (size_t i = 0; i < COUNT(accepted); i++) {
        int code = decode(fixture, accepted[i].text);
        if (accepted[i].expected == NULL) {
            assert_int_equal(code, OSR_MALFORMED);
            continue;
        }
        if (code != 0) {
            fail_msg("%s: %s", accepted[i].text, fixture->err.message);
        }
        assert_encodes_as(fixture, accepted[i].expected);
    }
}

/* What would be dangerous, ambiguous or no frame is refused where it stands. */
static void yaml_refuses_with_line_and_column(void **state)
{
    struct codec_fixture *fixture = *state;
    static const struct {
        const char *text;
        int code;
        const char *message;
    } refused[] = {
        {"type: &a PING\n", OSR_MALFORMED, "line 1, column 7: anchors and aliases"},
        {"type: PING\nnonce: *a\n", OSR_MALFORMED, "line 2, column 8: anchors and aliases"},
        {"&a {type: PING}", OSR_MALFORMED, "line 1, column 1: anchors and aliases"},
        {"type: PING\n<<: {nonce: 1}\n", OSR_MALFORMED, "line 2, column 1: merge keys"},
        {"type: !mine PING\n", OSR_MALFORMED, "line 1, column 7: the tag '!mine'"},
        {"type: ! PING\n", OSR_MALFORMED, "line 1, column 7: the tag '!'"},
        {"type: !<x> PING\n", OSR_MALFORMED, "line 1, column 7: the tag 'x'"},
        {"type: !!binary UElORw==\n", OSR_MALFORMED, "column 7: the tag"},
        {"type: !!python/object:os.system PING\n", OSR_MALFORMED, "column 7: the tag"},
        {"!!set {type: PING}\n", OSR_MALFORMED, "line 1, column 1: the tag"},
        {"!!seq {type: PING}\n", OSR_MALFORMED, "line 1, column 1: the tag"},
        {"type: PING\nnonce: !!int 1.5\n", OSR_MALFORMED, "line 2, column 8: the tag"},
        {"type: PING\nnonce: !!int x\n", OSR_MALFORMED, "line 2, column 8: the tag"},
        {"type: PING\nend: !!bool 1\n", OSR_MALFORMED, "line 2, column 6: the tag"},
        {"%TAG !a! !b\n---\ntype: PING\n", OSR_MALFORMED,
         "line 1, column 1: not YAML: no directive"},
        {"type: PING\n...\n%TAG !a! !b\n--- {}", OSR_MALFORMED,
         "line 3, column 1: not YAML: no directive"},
        {"a: 1\xc2\x85%TAG !a! !b\n", OSR_MALFORMED, "no directive"},
        {"%YAML 2.0\n---\ntype: PING\n", OSR_MALFORMED, "not YAML: found incompatible"},
        {"type: PING\n---\ntype: PING\n", OSR_MALFORMED, "line 2, column 1: only one document"},
        {"type: PING\n...\n---\n", OSR_MALFORMED, "line 3, column 1: only one document"},
        {"", OSR_MALFORMED, "there is no document"},
        {"# nothing\n", OSR_MALFORMED, "there is no document"},
        {"type: PING\nnonce: 1\nnonce: 1\n", OSR_MALFORMED,
         "line 3, column 1: \"nonce\" is given twice"},
        {"type: PING\n\"t\\x79pe\": PING\n", OSR_MALFORMED, "line 2, column 1: \"type\" is given"},
        {"type: UPDATE_KB\ndata: {a: {b: 1, c: 2, b: 3}}\n", OSR_MALFORMED,
         "line 2, column 24: \"b\" is given twice"},
        {"type: UPDATE_KB\ndata: 1\ndata_json: '1'\n", OSR_MALFORMED, "'data' is given twice"},
        {"type: UPDATE_KB\ndata_json: 1\n", OSR_INVALID_ARGUMENT, "must be a string"},
        {"type: UPDATE_KB\ndata_json:\n", OSR_INVALID_ARGUMENT, "must be a string"},
        {"type: UPDATE_KB\ndata_json: '{'\n", OSR_MALFORMED, "JSON as text"},
        {"type: UPDATE_KB\ndata_json: '1 2'\n", OSR_MALFORMED, "JSON as text"},
        {"type: UPDATE_KB\ndata_json: ''\n", OSR_MALFORMED, "JSON as text"},
        {"type: \xff\n", OSR_MALFORMED, "line 1, column 7: not YAML: invalid leading UTF-8"},
        {"type: PING\nhint: \"caf\xc3\xa9\xed\xa0\x80\"\n", OSR_MALFORMED,
         "line 2, column 12: not YAML"},
        {"type: PING\nhint: \xc0\xaf\n", OSR_MALFORMED, "line 2, column 7: not YAML"},
        {"\xff\xfet\0y\0", OSR_MALFORMED, "not YAML"}, /* UTF-16 */
        {"type: a\x7f\n", OSR_MALFORMED, "control characters are not allowed"},
        {"type: \"a\x01\"\n", OSR_MALFORMED, "control characters are not allowed"},
        {"type: \"\\ud83d\\ude00\"\n", OSR_MALFORMED, "invalid Unicode character escape"},
        {"type: PING\nnonce: \"\\x0\"\n", OSR_MALFORMED, "not YAML"},
        {"? [a]\n: b\n", OSR_MALFORMED, "line 1, column 3: a member's name must be a string"},
        {"1: a\n", OSR_MALFORMED, "line 1, column 1: this is no name"},
        {"true: a\n", OSR_MALFORMED, "this is no name"},
        {"on: a\n", OSR_MALFORMED, "this is no name"},
        {"type: PING\nend: yes\n", OSR_MALFORMED, "line 2, column 6: this is one thing"},
        {"type: PING\nnonce: 010\n", OSR_MALFORMED, "this is one thing"},
        {"type: PING\nnonce: 0x10\n", OSR_MALFORMED, "this is a number that JSON"},
        {"type: PING\nnonce: 1.0\n", OSR_INVALID_ARGUMENT, "field 'nonce' must be an integer"},
        {"type: PING\nnonce: [1]\n", OSR_INVALID_ARGUMENT, "field 'nonce'"},
        {"type: 7\n", OSR_INVALID_ARGUMENT, "field 'type' must be a string"},
        {"type: ERROR\nmessage: 7\n", OSR_INVALID_ARGUMENT, "field 'message' must be a string"},
        {"type: ERROR\nmessage: \"a\\0b\"\n", OSR_MALFORMED, "NUL"},
        {"type: ERROR\ncode: DANCING\n", OSR_INVALID_ARGUMENT, "field 'code'"},
        {"type: HELLO_PROOF\npublic_key: Zm9\n", OSR_INVALID_ARGUMENT, "is not base64"},
        {"type: UPDATE\nentries: [{colour: red}]\n", OSR_MALFORMED, "unknown field 'colour'"},
        {"- type: PING\n", OSR_MALFORMED, "a frame must be a JSON object"},
        {"PING", OSR_MALFORMED, "a frame must be a JSON object"},
        {"type: DANCE\n", OSR_UNKNOWN_TYPE, "unknown type 'DANCE'"},
        {"nonce: 1\n", OSR_UNKNOWN_TYPE, "frame has no type"},
    };
    for (size_t i = 0; i < COUNT(refused); i++) {
        int code = decode(fixture, refused[i].text);
        if (code != refused[i].code || strstr(fixture->err.message, refused[i].message) == NULL) {
            fail_msg("%s\ngives %s: %s", refused[i].text, osr_code_info((enum osr_code)code)->name,
                     code != 0 ? fixture->err.message : "");
        }
    }
}

/* What must fail by the YAML specification fails here, whatever else could be made of it. */
static void yaml_refuses_what_is_no_yaml(void **state)
{
    struct codec_fixture *fixture = *state;
    static const char *const refused[] = {
        "a: b: c\n",           /* a mapping in a line's value */
        "a:\n  b: 1\n c: 2\n", /* indentation between two levels */
        "a:\n\t- b\n",         /* a tab as indentation */
        "- a\nb: c\n",         /* a mapping behind a sequence */
        "a: b\n- c\n",         /* a sequence behind a mapping */
        "a: - b\n",            /* a sequence that begins in a line's value */
        "[a, b\n",             /* flow that does not end */
        "[a]]\n",              /* and that ends twice */
        "{a: 1, b: 2\n---\n",  /* or where a document begins */
        "{a, b}: [c\n",        /* a name that is no string, and no end */
        "[,]\n",               /* nothing before a comma */
        "[a,,b]\n",            /* nor between two */
        "a: \"b\n",            /* quotes that do not end */
        "a: 'b\n",
        "a: \"b\" c\n", /* something behind them */
        "a: 'b' 'c'\n",
        "a: \"\\q\"\n", /* an escape that there is not */
        "a: \"\\'\"\n",
        "a: @b\n", /* characters kept for later */
        "a: `b\n",
        "a: %b\n",
        "a: |x\n  b\n", /* a block scalar's header */
        "a: |10\n  b\n",
        "a: |0\n  b\n",
        "a: > b\n  c\n",
        "a: |\n    b\n  c: d\n e\n",
        "a: !<b c\n", /* a tag that does not end */
        "a: !!str!x b\n",
        "a: !e!x b\n", /* a handle nobody declared */
        "a: & b\n",    /* an anchor without a name */
        "a: *\n",
        "a: *nobody\n", /* an alias of nothing */
        "*a : b\n",
        "&a *b\n",
        "a: &b &c d\n",
        "a: !!str !!str b\n",
        "%YAML\n---\na: 1\n",
        "%YAML 1\n---\na: 1\n",
        "%YAML 1.1 1.2\n---\na: 1\n",
        "%YAML 1.1\n%YAML 1.1\n---\na: 1\n",
        "%YAML 1.1\na: 1\n", /* a directive without a document */
        "%YAML 1.1\n",
        "a: 1\n... b\n", /* something behind a document's end */
        "--- a: 1\nb: 2\n... c: 3\n",
        "a\nb: c\n", /* a name over two lines */
        "\"a\nb\": c\n",
        "a: b\n c: d\n",
        "? a\n? b : c : d\n",
        "a: [b]c\n",
        "a: {b}c\n",
        "a: [\nb\n]\nc\n",
        "a: \"\n---\n\"\n", /* a document's marker within quotes */
        "a: [\n...\n]\n",
    };
    for (size_t i = 0; i < COUNT(refused); i++) {
        const char *got = read_value(fixture, osr_slice_text(refused[i]));
        if (strncmp(got, "MALFORMED: line ", strlen("MALFORMED: line ")) != 0) {
            fail_msg("%s\ngives %s", refused[i], got);
        }
    }
}

/* What the specification refuses and libyaml takes: there is one thing only that it can mean. */
static void yaml_takes_what_libyaml_is_mild_about(void **state)
{
    struct codec_fixture *fixture = *state;
    assert_reads(fixture, "a: \"b\"# no space before\n", "{\"a\":\"b\"}");
    assert_reads(fixture, "a: ># no space before\n  b\n", "{\"a\":\"b\\n\"}");
    assert_reads(fixture, "[a,b]#c\n", "[\"a\",\"b\"]");
    assert_reads(fixture, "[a,#c\n]\n", "[\"a\"]");
    assert_reads(fixture, "a: [b,\nc]\n", "{\"a\":[\"b\",\"c\"]}"); /* not indented */
    assert_reads(fixture, "---\na: \"b\nc\"\n", "{\"a\":\"b c\"}"); /* nor here */
    assert_reads(fixture, "a: \"b\n\tc\"\n", "{\"a\":\"b c\"}");    /* by a tab alone */
    assert_reads(fixture, "a: >\n \n  \n # b\n", "{\"a\":\"\"}");   /* lines of blanks grow */
    assert_reads(fixture, "[-, -]\n", "[\"-\",\"-\"]");
    assert_reads(fixture, "%YAML 1.1# no space before\n---\na\n", "\"a\"");
}

/* An error can be answered: the request's number is found if it came before what is wrong. */
static void yaml_gives_request_id_of_refused_frames(void **state)
{
    struct codec_fixture *fixture = *state;
    static const struct {
        const char *text;
        uint64_t request_id;
    } refused[] = {
        {"type: DANCE\nrequest_id: 77\n", 77},
        {"request_id: '78'\ntype: DANCE\n", 78},
        {"request_id: 79\ntype: &a PING\n", 79},
        {"type: PING\nrequest_id: 80\nnonce: yes\n", 80},
        {"type: &a PING\nrequest_id: 81\n", 0},
        {"type: DANCE\na: {request_id: 1}\n", 0},
        {"nonsense", 0},
    };
    for (size_t i = 0; i < COUNT(refused); i++) {
        assert_int_not_equal(decode(fixture, refused[i].text), 0);
        assert_int_equal(fixture->request_id, refused[i].request_id);
    }
}

/* ---- scalars ---- */

/* Plain scalars are what they are to readers of YAML 1.1 and of 1.2, or are refused. */
static void yaml_reads_plain_scalars(void **state)
{
    struct codec_fixture *fixture = *state;
    static const struct {
        const char *text, *expected;
    } texts[] = {
        {"null", "null"},
        {"~", "null"},
        {"Null", "null"},
        {"true", "true"},
        {"FALSE", "false"},
        {"0", "0"},
        {"-0", "-0"},
        {"12345678901234567890", "12345678901234567890"},
        {"1.10", "1.10"},
        {"-1.5", "-1.5"},
        {"1.0e+5", "1.0e+5"},
        {"1.0E-5", "1.0E-5"},
        {"nULL", "\"nULL\""},
        {"yEs", "\"yEs\""},
        {"y", "\"y\""},
        {"N", "\"N\""},
        {"2026-11-23", "\"2026-11-23\""},
        {"2026-11-23T04:05:06Z", "\"2026-11-23T04:05:06Z\""},
        {"1.2.3", "\"1.2.3\""},
        {"10.0.0.7", "\"10.0.0.7\""},
        {"1a", "\"1a\""},
        {"-", "[null]"},
        {"- -", "[[null]]"},
        {"-x", "\"-x\""},
        {".", "\".\""},
        {"..", "\"..\""},
        {"+", "\"+\""},
        {"e5", "\"e5\""},
        {"0x", "\"0x\""},
        {"0xg", "\"0xg\""},
        {"0b12", "\"0b12\""},
        {"1e", "\"1e\""},
        {"1:", "MALFORMED: line 1, column 1: this is no name: it reads as something other than "
               "text"},
        {"a:b", "\"a:b\""},
        {"tcp://h:1", "\"tcp://h:1\""},
        {"a #b", "\"a\""},
        {"a#b", "\"a#b\""},
        {"''", "\"\""},
        {"'yes'", "\"yes\""},
        {"\"1\"", "\"1\""},
        {"!!str 1", "\"1\""},
        {"!!float 1", "1"},
        {"!!null ''", "null"},
        {"!!map {}", "{}"},
        {"!!seq [a]", "[\"a\"]"},
        {"\"\\0\"", "\"\\u0000\""},
        {"\"\\x7f\"", "\"\x7f\""},
        {"\"\\u0085\"", "\"\xc2\x85\""},
        {"\"\\uFEFF\"", "\"\xef\xbb\xbf\""},
        {"\"\\N\\_\\L\\P\"", "\"\xc2\x85\xc2\xa0\xe2\x80\xa8\xe2\x80\xa9\""},
        {"|\n  a\n\n", "\"a\\n\""},
        {"|-\n  a\n", "\"a\""},
        {"|+\n  a\n\n", "\"a\\n\\n\""},
        {"a\n b\n\n c", "\"a b\\nc\""},
        {"{a, b: }", "{\"a\":null,\"b\":null}"},
        {"[a: b, c]", "[{\"a\":\"b\"},\"c\"]"},
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_reads(fixture, texts[i].text, texts[i].expected);
    }
    static const char *const refused[] = {
        "yes",       "No",     "ON",   "off",   "=",     "<<",    "1e5",   "1E5",
        "1.5e5",     "1e+5",   "010",  "-012",  "1_000", "1_0.5", "12:30", "1:30.5",
        "190:20:30", "0x1F",   "+1",   "-0x1f", "0o17",  "0b101", "1.",    ".5",
        "+.5",       "-1.e+3", ".inf", "-.Inf", ".NaN",  "+.INF",
    };
    for (size_t i = 0; i < COUNT(refused); i++) {
        const char *got = read_value(fixture, osr_slice_text(refused[i]));
        if (strncmp(got, "MALFORMED: line 1, column 1: this is", 36) != 0) {
            fail_msg("%s is read as %s", refused[i], got);
        }
    }
}

/* Text is in quotes wherever somebody could take it for something else. */
static void yaml_quotes_what_reads_as_something_else(void **state)
{
    struct codec_fixture *fixture = *state;
    static const char *const plain[] = {
        "a",         "Ana likes tea",
        "UPDATE_KB", "caf\xc3\xa9",
        "/tmp/a.b",  "x_1",
        "e5",        "_",
        "Zm9v+/",    "\xe2\x82\xac is no letter" + 4,
        "a-b@c.d",   "a (b)",
    };
    static const char *const quoted[] = {
        "",           " ",
        " a",         "a ",
        "a  b",       "null",
        "Null",       "~",
        "true",       "TRUE",
        "yes",        "No",
        "on",         "OFF",
        "y",          "n",
        "Y",          "N",
        ".nan",       "nan",
        "inf",        ".inf",
        "1",          "-1",
        "+1",         "1.0",
        "0x1F",       "0o7",
        "010",        "1e5",
        "1_000",      "12:30",
        "2026-11-23", "2026-11-23 04:05:06",
        "- a",        "-",
        "--",         "---",
        "--- a",      "...",
        ".",          "a: b",
        "a:",         ":",
        "a #b",       "#",
        "# a",        "&a",
        "*a",         "!a",
        "!!str",      "|",
        ">",          "%a",
        "@a",         "`a",
        "\"a\"",      "'a'",
        "[a]",        "{a}",
        "a, b",       "a]",
        "?",          "? a",
        "=",          "<<",
        "a\\b",       "Ana's",
    };
    struct osr_buffer json = {0};
    for (size_t i = 0; i < COUNT(plain); i++) {
        json.size = 0;
        osr_json_quote(&json, osr_slice_text(plain[i]), false);
        assert_string_equal(write_value(fixture, osr_buffer_slice(&json)), plain[i]);
    }
    for (size_t i = 0; i < COUNT(quoted); i++) {
        json.size = 0;
        osr_json_quote(&json, osr_slice_text(quoted[i]), false);
        osr_buffer_add_u8(&json, '\0');
        json.size--;
        assert_writes(fixture, (const char *)json.data, (const char *)json.data);
    }
    osr_buffer_done(&json);
}

/* Characters that YAML forbids, folds or drops are escaped. */
static void yaml_escapes_characters(void **state)
{
    struct codec_fixture *fixture = *state;
    assert_writes(fixture, "\"a\\nb\\tc\\r\\b\\f\"", "\"a\\nb\\tc\\r\\b\\f\"");
    assert_writes(fixture, "\"\\u0001\\u001f\x7f\"", "\"\\x01\\x1F\\x7F\"");
    assert_writes(fixture, "\"\xc2\x80\xc2\x85\xc2\x9f\xc2\xa0\"", "\"\\x80\\x85\\x9F\\xA0\"");
    assert_writes(fixture, "\"\xe2\x80\xa8\xe2\x80\xa9\xef\xbb\xbf\"", "\"\\u2028\\u2029\\uFEFF\"");
    assert_writes(fixture, "\"\xef\xbf\xbe\xef\xbf\xbf\"", "\"\\uFFFE\\uFFFF\"");
    assert_writes(fixture, "\"\xf0\x9f\x98\x80 \xc3\xa9\"", "\"\xf0\x9f\x98\x80 \xc3\xa9\"");
}

/* ---- data ---- */

/* Data is native YAML where that brings the same text back, else JSON text. */
static void yaml_writes_data_natively_or_as_text(void **state)
{
    struct codec_fixture *fixture = *state;
    static const struct {
        const char *json, *yaml;
    } natives[] = {
        {"null", "null"},
        {"[]", "[]"},
        {"{}", "{}"},
        {"7", "7"},
        {"-9007199254740991", "-9007199254740991"},
        {"1.5", "1.5"},
        {"-0.0001", "-0.0001"},
        {"123456789012.125", "123456789012.125"},
        {"\"yes\"", "\"yes\""},
        {"{\"b\":1,\"a\":[true,false,null],\"y\":\"x\"}",
         "b: 1\na:\n  - true\n  - false\n  - null\n\"y\": x"},
        {"[[1,[2]],{\"a\":{\"b\":[]}},[],{\"c\":{},\"d\":2}]",
         "- - 1\n  - - 2\n- a:\n    b: []\n- []\n- c: {}\n  d: 2"},
        {"{\"\":{\"a b\":\"c: d\",\"1\":\"\"}}", "\"\":\n  a b: \"c: d\"\n  \"1\": \"\""},
        {"{\"a\":{\"a\":1}}", "a:\n  a: 1"},
    };
    static const struct {
        const char *json, *yaml;
    } texts[] = {
        {"12345678901234567890", "data_json: '12345678901234567890'"},
        {"9007199254740992", "data_json: '9007199254740992'"},
        {"1.10", "data_json: '1.10'"},
        {"1.0", "data_json: '1.0'"},
        {"0.00001", "data_json: '0.00001'"},
        {"1234567890.1234567", "data_json: '1234567890.1234567'"},
        {"1e5", "data_json: '1e5'"},
        {"-0", "data_json: '-0'"},
        {"{\"a\":1,\"b\":{},\"a\":1}", "data_json: '{\"a\":1,\"b\":{},\"a\":1}'"},
        {"[{\"a\":1,\"a\":2}]", "data_json: '[{\"a\":1,\"a\":2}]'"},
        {"\"\\/\"", "data_json: '\"\\/\"'"},
        {"\"\\u00e9\"", "data_json: '\"\\u00e9\"'"},
        {"\"\\ud83d\"", "data_json: '\"\\ud83d\"'"},
        {"\"\\u0000\"", "data_json: '\"\\u0000\"'"},
        {"\"it's \\/\"", "data_json: '\"it''s \\/\"'"},
        {"\"\x7f\\/\xc2\x85\"", "data_json: \"\\\"\\x7F\\\\/\\x85\\\"\""},
        {"{\"data_json\":\"1\"}", "data_json: '{\"data_json\":\"1\"}'"},
        {"{\"data_json\":1,\"a\":2}", "data_json: '{\"data_json\":1,\"a\":2}'"},
    };
    for (size_t i = 0; i < COUNT(natives); i++) {
        assert_writes(fixture, natives[i].json, natives[i].yaml);
    }
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_writes(fixture, texts[i].json, texts[i].yaml);
    }
}

static void assert_comes_back(struct codec_fixture *fixture, struct osr_slice json)
{
    (void)write_value(fixture, json);
    assert_true(fixture->bytes.size <= OSR_FRAME_BYTES_MAX);
    const char *got = read_value(fixture, osr_slice(fixture->bytes.data, fixture->bytes.size - 1));
    assert_int_equal(strlen(got), json.size);
    assert_memory_equal(got, json.data, json.size);
}

/* Names that are too long for other readers' eyes, and all depths, come back as they are. */
static void yaml_carries_long_names_and_deep_data(void **state)
{
    struct codec_fixture *fixture = *state;
    struct osr_buffer json = {0};
    for (size_t size = 1; size < 3000; size = size * 3 / 2 + 1) {
        json.size = 0;
        osr_buffer_add_text(&json, "{\"");
        for (size_t i = 0; i < size; i++) {
            osr_buffer_add_u8(&json, 0x7f);
        }
        osr_buffer_add_text(&json, "\":[{\"a\":1}]}");
        assert_comes_back(fixture, osr_buffer_slice(&json));
        bool is_native = memcmp(fixture->bytes.data, "data_json", 9) != 0;
        assert_int_equal(is_native, size <= 250);
    }
    for (int depth = 1; depth <= OSR_DATA_DEPTH_MAX; depth++) {
        json.size = 0;
        for (int i = 0; i < depth; i++) {
            osr_buffer_add_text(&json, i % 2 == 0 ? "{\"a\":" : "[");
        }
        osr_buffer_add_text(&json, "\"# b\"");
        for (int i = depth - 1; i >= 0; i--) {
            osr_buffer_add_text(&json, i % 2 == 0 ? "}" : "]");
        }
        assert_comes_back(fixture, osr_buffer_slice(&json));
    }
    osr_buffer_done(&json);
}

/* The largest data that there may be stays within the limit of a frame, whatever it is. */
static void yaml_keeps_large_data_within_a_frame(void **state)
{
    struct codec_fixture *fixture = *state;
    static const char *const parts[] = {
        "\"\x7f\x7f\x7f\x7f\x7f\"", "1",          "[[1]]", "{\"\":0}", "\"\xc2\x85\"",
        "\"'''''''\\/\"",           "\"\\u0001\""};
    struct osr_buffer json = {0};
    for (size_t i = 0; i < COUNT(parts); i++) {
        json.size = 0;
        osr_buffer_add_text(&json, "[[[[[");
        while (json.size < OSR_DATA_BYTES_MAX - 32) {
            osr_buffer_add_text(&json, parts[i]);
            osr_buffer_add_u8(&json, ',');
        }
        osr_buffer_add_text(&json, "0]]]]]");
        assert_comes_back(fixture, osr_buffer_slice(&json));
    }
    osr_buffer_done(&json);
}

/* ---- cost ---- */

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* A billion laughs: nothing is ever unfolded. */
static void yaml_does_not_laugh(void **state)
{
    struct codec_fixture *fixture = *state;
    fixture->bytes.size = 0;
    osr_buffer_add_text(&fixture->bytes, "a: &a [lol,lol,lol,lol,lol,lol,lol,lol,lol]\n");
    for (char name = 'b'; name <= 'z'; name++) {
        osr_buffer_add_format(&fixture->bytes, "%c: &%c [", name, name);
        for (int i = 0; i < 9; i++) {
            osr_buffer_add_format(&fixture->bytes, "*%c,", name - 1);
        }
        osr_buffer_add_text(&fixture->bytes, "]\n");
    }
    osr_buffer_add_u8(&fixture->bytes, '\0');
    assert_int_equal(decode(fixture, (const char *)fixture->bytes.data), OSR_MALFORMED);
    assert_non_null(strstr(fixture->err.message, "line 1, column 4: anchors"));
    assert_int_equal(osr_arena_used(fixture->arena), 0);
}

/* Text that makes others think long costs what it is long: all of these are as large as may be. */
static void yaml_cost_is_linear(void **state)
{
    struct codec_fixture *fixture = *state;
    static const char *const parts[] = {
        "[",        "{",    "- ",      "? ",    "a: ",    "%TAG !a! b\n", "%YAML 1.1\n",
        "# a\n",    "\n",   " ",       "'",     "\"",     "a ",           "a\n ",
        "&a ",      "!a ",  "*a ",     "---\n", "...\n",  "-\n",          "a: b\n",
        "\"a\": ",  "{a, ", "[[],",    "|\n",   ">\n \n", "\xc2\x85",     "\xe2\x80\xa8%",
        "a\n\n\n ", "\\",   "\t",      "[a]: ", ",",      ": ",           "\xef\xbb\xbf",
        "! ",       "? - ", "\"\\x41", "''",    "{? ",    "- - - -\n",
    };
    double begin = seconds_now();
    for (size_t i = 0; i < COUNT(parts); i++) {
        static const char *const fronts[] = {"", "a: ", "\"", "[", "a: |\n  "};
        for (size_t k = 0; k < COUNT(fronts); k++) {
            double before = seconds_now();
            fixture->bytes.size = 0;
            osr_buffer_add_text(&fixture->bytes, fronts[k]);
            while (fixture->bytes.size < OSR_FRAME_BYTES_MAX / 8) {
                osr_buffer_add_text(&fixture->bytes, parts[i]);
            }
            (void)codec_decode(fixture, OSR_CODEC_YAML, osr_buffer_slice(&fixture->bytes));
            if (seconds_now() - before > 10) {
                fail_msg("%s, again and again behind %s, takes %f s", parts[i], fronts[k],
                         seconds_now() - before);
            }
        }
    }
    assert_true(seconds_now() - begin < 120);
}

/* libyaml holds a scalar as a whole: what is over the limit of a frame never gets there. */
static void yaml_refuses_scalars_beyond_a_frame(void **state)
{
    struct codec_fixture *fixture = *state;
    fixture->bytes.size = 0;
    osr_buffer_add_text(&fixture->bytes, "type: UPDATE_KB\ndata: ");
    size_t size = OSR_FRAME_BYTES_MAX - fixture->bytes.size;
    memset(osr_buffer_reserve(&fixture->bytes, size + 1), 'x', size + 1);
    fixture->bytes.size += size;
    assert_int_equal(codec_decode(fixture, OSR_CODEC_YAML, osr_buffer_slice(&fixture->bytes)),
                     OSR_TOO_LARGE); /* as JSON it has its quotes besides */
    assert_non_null(strstr(fixture->err.message, "line 2, column 7"));
    fixture->bytes.size++;
    assert_int_equal(codec_decode(fixture, OSR_CODEC_YAML, osr_buffer_slice(&fixture->bytes)),
                     OSR_TOO_LARGE);
    assert_non_null(strstr(fixture->err.message, "a YAML document has at most 8388608 bytes"));
}

/* Short text that unfolds is stopped, and so is what is nested too deep. */
static void yaml_refuses_what_unfolds(void **state)
{
    struct codec_fixture *fixture = *state;
    fixture->bytes.size = 0;
    osr_buffer_add_text(&fixture->bytes, "{");
    for (int i = 0; i < 2000000; i++) {
        osr_buffer_add_text(&fixture->bytes, "a,");
    }
    osr_buffer_add_text(&fixture->bytes, "}");
    assert_int_equal(codec_decode(fixture, OSR_CODEC_YAML, osr_buffer_slice(&fixture->bytes)),
                     OSR_TOO_LARGE);
    fixture->bytes.size = 0;
    for (int i = 0; i < 129; i++) {
        osr_buffer_add_text(&fixture->bytes, "- ");
    }
    assert_int_equal(codec_decode(fixture, OSR_CODEC_YAML, osr_buffer_slice(&fixture->bytes)),
                     OSR_TOO_LARGE);
    assert_non_null(strstr(fixture->err.message, "line 1, column 257: nested deeper than 128"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, codec_set_up, codec_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(yaml_accepts_what_others_write),
        TEST(yaml_refuses_with_line_and_column),
        TEST(yaml_refuses_what_is_no_yaml),
        TEST(yaml_takes_what_libyaml_is_mild_about),
        TEST(yaml_gives_request_id_of_refused_frames),
        TEST(yaml_reads_plain_scalars),
        TEST(yaml_quotes_what_reads_as_something_else),
        TEST(yaml_escapes_characters),
        TEST(yaml_writes_data_natively_or_as_text),
        TEST(yaml_carries_long_names_and_deep_data),
        TEST(yaml_keeps_large_data_within_a_frame),
        TEST(yaml_does_not_laugh),
        TEST(yaml_cost_is_linear),
        TEST(yaml_refuses_scalars_beyond_a_frame),
        TEST(yaml_refuses_what_unfolds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
