/* What RFC 8259 says must be accepted and refused, as a table, and what the scanner makes of
 * it. */
#include "base/json_scan.h"
#include "base/random.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* Text that may contain NUL. */
#define TEXT(literal)                                                                              \
    {                                                                                              \
        (const uint8_t *)(literal), sizeof(literal) - 1                                            \
    }

struct json_case {
    const char *what;
    struct osr_slice text;
    bool is_valid;
};

static const struct json_case cases[] = {
    /* values */
    {"an object", TEXT("{}"), true},
    {"an array", TEXT("[]"), true},
    {"a bare string", TEXT("\"x\""), true},
    {"a bare empty string", TEXT("\"\""), true},
    {"a bare number", TEXT("42"), true},
    {"bare true", TEXT("true"), true},
    {"bare false", TEXT("false"), true},
    {"bare null", TEXT("null"), true},
    {"members and elements", TEXT("{\"a\":[1,{\"b\":null}],\"c\":\"d\"}"), true},
    {"a member given twice", TEXT("{\"a\":1,\"a\":2}"), true},
    {"an empty name", TEXT("{\"\":0}"), true},
    {"nothing", TEXT(""), false},
    {"only white space", TEXT(" \n"), false},
    {"two values", TEXT("1 2"), false},
    {"two objects", TEXT("{}{}"), false},
    {"a cut literal", TEXT("tru"), false},
    {"a longer literal", TEXT("truex"), false},
    {"a literal in capitals", TEXT("True"), false},
    {"NaN", TEXT("NaN"), false},
    {"infinity", TEXT("-Infinity"), false},
    {"a name without quotes", TEXT("{a:1}"), false},
    {"a string in single quotes", TEXT("['a']"), false},
    {"a number as a name", TEXT("{1:1}"), false},
    {"a comment", TEXT("[1/*2*/]"), false},
    {"a line comment", TEXT("// no\n1"), false},

    /* punctuation */
    {"a comma behind the last element", TEXT("[1,]"), false},
    {"a comma behind the last member", TEXT("{\"a\":1,}"), false},
    {"a comma before the first element", TEXT("[,1]"), false},
    {"a comma alone", TEXT("[,]"), false},
    {"two commas", TEXT("[1,,2]"), false},
    {"no comma", TEXT("[1 2]"), false},
    {"no comma between members", TEXT("{\"a\":1 \"b\":2}"), false},
    {"no colon", TEXT("{\"a\" 1}"), false},
    {"two colons", TEXT("{\"a\"::1}"), false},
    {"a colon in an array", TEXT("[\"a\":1]"), false},
    {"a comma for a colon", TEXT("{\"a\",1}"), false},
    {"no value", TEXT("{\"a\":}"), false},
    {"only a name", TEXT("{\"a\"}"), false},
    {"an array ended as an object", TEXT("[1}"), false},
    {"an object ended as an array", TEXT("{\"a\":1]"), false},
    {"an end too many", TEXT("[]]"), false},
    {"an end alone", TEXT("}"), false},

    /* white space */
    {"all four kinds everywhere", TEXT(" \t\r\n{ \"a\" : [ 1 , 2 ] , \"b\" : { } }\n"), true},
    {"a form feed", TEXT("[\f1]"), false},
    {"a vertical tab", TEXT("[\v1]"), false},
    {"a no-break space",
     TEXT("[\xc2\xa0"
          "1]"),
     false},
    {"a byte order mark", TEXT("\xef\xbb\xbf{}"), false},
    {"NUL behind the value", TEXT("1\0"), false},

    /* numbers */
    {"zero", TEXT("0"), true},
    {"minus zero", TEXT("-0"), true},
    {"a negative number", TEXT("-12"), true},
    {"a fraction", TEXT("0.5"), true},
    {"a long fraction", TEXT("1.10"), true},
    {"an exponent", TEXT("1e3"), true},
    {"an exponent with signs and a fraction", TEXT("[-1.5E+10,2e-0,0e00]"), true},
    {"more digits than any type has", TEXT("123456789012345678901234567890.12345678901e999"), true},
    {"a leading zero", TEXT("01"), false},
    {"a leading zero behind minus", TEXT("-01"), false},
    {"two zeros", TEXT("00"), false},
    {"a plus", TEXT("+1"), false},
    {"only a minus", TEXT("-"), false},
    {"two minuses", TEXT("--1"), false},
    {"no digit before the point", TEXT(".5"), false},
    {"no digit behind the point", TEXT("1."), false},
    {"no digit between point and exponent", TEXT("1.e5"), false},
    {"no digit in the exponent", TEXT("1e"), false},
    {"only a sign in the exponent", TEXT("1e+"), false},
    {"a fraction in the exponent", TEXT("1e1.5"), false},
    {"hexadecimal", TEXT("0x10"), false},
    {"a thousands' mark", TEXT("1_000"), false},
    {"a full-width digit", TEXT("\xef\xbc\x91"), false},

    /* strings */
    {"every short escape", TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), true},
    {"a numbered escape in both cases", TEXT("\"\\u00e9\\u00E9\""), true},
    {"a surrogate pair", TEXT("\"\\ud83d\\ude00\""), true},
    {"a high surrogate alone", TEXT("\"\\ud83d\""), true},
    {"a low surrogate alone", TEXT("\"\\ude00\""), true},
    {"a pair the wrong way round", TEXT("\"\\ude00\\ud83d\""), true},
    {"an escaped NUL", TEXT("\"\\u0000\""), true},
    {"DEL as it is", TEXT("\"\x7f\""), true},
    {"U+2028 as it is", TEXT("\"\xe2\x80\xa8\""), true},
    {"a non-character", TEXT("\"\xef\xbf\xbf\""), true},
    {"UTF-8 of each length", TEXT("\"a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""), true},
    {"an unknown escape", TEXT("\"\\x41\""), false},
    {"an escape in capitals", TEXT("\"\\N\""), false},
    {"an escaped apostrophe", TEXT("\"\\'\""), false},
    {"three hex digits", TEXT("\"\\u00e\""), false},
    {"a numbered escape in capitals", TEXT("\"\\U00e9\""), false},
    {"no hex digit", TEXT("\"\\u00g0\""), false},
    {"a cut escape behind half a pair", TEXT("\"\\ud83d\\u12\""), false},
    {"a line feed", TEXT("\"a\nb\""), false},
    {"a tab", TEXT("\"a\tb\""), false},
    {"NUL", TEXT("\"a\0b\""), false},
    {"the last control character", TEXT("\"\x1f\""), false},
    {"no end", TEXT("\"abc"), false},
    {"an escaped end", TEXT("\"abc\\\""), false},
    {"only a backslash", TEXT("\"\\"), false},

    /* UTF-8 */
    {"a continuation byte alone", TEXT("\"\x80\""), false},
    {"a cut character", TEXT("\"\xe2\x82\""), false},
    {"an overlong slash", TEXT("\"\xc0\xaf\""), false},
    {"an overlong form of three bytes", TEXT("\"\xe0\x80\xaf\""), false},
    {"an overlong form of four bytes", TEXT("\"\xf0\x80\x80\xaf\""), false},
    {"a surrogate as UTF-8", TEXT("\"\xed\xa0\x80\""), false},
    {"a pair of surrogates as UTF-8", TEXT("\"\xed\xa0\xbd\xed\xb8\x80\""), false},
    {"beyond U+10FFFF", TEXT("\"\xf4\x90\x80\x80\""), false},
    {"Latin-1", TEXT("\"\xe9\""), false},
    {"UTF-16", TEXT("\xff\xfe\"\0a\0\"\0"), false},
    {"bad UTF-8 in a name", TEXT("{\"\xff\":1}"), false},
};

/* Reads a whole text; the last token is END or ERROR. */
static enum osr_json_token scan(struct osr_slice text, struct osr_err *err)
{
    struct osr_json json;
    osr_json_init(&json, text);
    enum osr_json_token token;
    do {
        token = osr_json_next(&json, err);
    } while (token != OSR_JSON_END && token != OSR_JSON_ERROR);
    return token;
}

static bool is_valid(struct osr_slice text)
{
    struct osr_err err;
    return scan(text, &err) == OSR_JSON_END;
}

/* The table, each text also surrounded by white space and within an array and an object. */
static void json_accepts_and_refuses_what_the_rfc_says(void **state)
{
    (void)state;
    static const struct {
        const char *before, *behind;
    } places[] = {{"", ""}, {" \n", "\t\r"}, {"[", "]"}, {"[0, ", " ,1]"}, {"{\"x\":", "}"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t place = 0; place < COUNT(places); place++) {
            struct osr_buffer text = {0};
            osr_buffer_add_text(&text, places[place].before);
            osr_buffer_add(&text, cases[i].text.data, cases[i].text.size);
            osr_buffer_add_text(&text, places[place].behind);
            /* What is empty by itself is not within "[" and "]"; the table has that as "[]". */
            bool is_blank = cases[i].text.size <= 2 && cases[i].text.data[0] <= ' ' && place == 2;
            if (!is_blank && is_valid(osr_buffer_slice(&text)) != cases[i].is_valid) {
                fail_msg("%s: %s", cases[i].what, cases[i].is_valid ? "refused" : "accepted");
            }
            osr_buffer_done(&text);
        }
    }
}

/* A text that ends early is refused, wherever it ends. */
static void json_refuses_truncation_at_each_byte(void **state)
{
    (void)state;
    struct osr_slice whole = osr_slice_text(
        "{\"name\":[1,-2.5e+3,true,false,null],\"t\\u00e9\\ud83d\\ude00xt\":\"a\\n\xc3\xa9\","
        "\"deep\":[[{\"a\":{}}]]}");
    assert_true(is_valid(whole));
    for (size_t size = 0; size < whole.size; size++) {
        uint8_t *exact = malloc(size > 0 ? size : 1); /* so that reading past it is noticed */
        memcpy(exact, whole.data, size);
        struct osr_err err;
        assert_int_equal(scan(osr_slice(exact, size), &err), OSR_JSON_ERROR);
        assert_int_equal(err.code, OSR_MALFORMED);
        free(exact);
    }
}

static struct osr_slice nested(struct osr_buffer *buffer, size_t depth, bool is_closed)
{
    buffer->size = 0;
    for (size_t i = 0; i < depth; i++) {
        osr_buffer_add_text(buffer, i % 2 == 0 ? "[" : "{\"a\":");
    }
    osr_buffer_add_text(buffer, "0");
    for (size_t i = depth; is_closed && i > 0; i--) {
        osr_buffer_add_text(buffer, i % 2 == 1 ? "]" : "}");
    }
    return osr_buffer_slice(buffer);
}

/* Depth is limited, and the limit is reached exactly; 100,000 levels cost nothing. */
static void json_depth_is_limited(void **state)
{
    (void)state;
    struct osr_buffer buffer = {0};
    struct osr_err err;
    assert_int_equal(scan(nested(&buffer, OSR_JSON_DEPTH_MAX, true), &err), OSR_JSON_END);
    assert_int_equal(scan(nested(&buffer, OSR_JSON_DEPTH_MAX + 1, true), &err), OSR_JSON_ERROR);
    assert_int_equal(err.code, OSR_TOO_LARGE);
    assert_int_equal(scan(nested(&buffer, 100000, false), &err), OSR_JSON_ERROR);
    assert_int_equal(err.code, OSR_TOO_LARGE);
    assert_int_equal(osr_json_check(nested(&buffer, 12, true), 12, &err), 0);
    assert_int_equal(osr_json_check(nested(&buffer, 13, true), 12, &err), OSR_TOO_LARGE);
    osr_buffer_done(&buffer);
}

/* Tokens come with their text as written; white space and commas are passed over. */
static void json_gives_tokens_as_written(void **state)
{
    (void)state;
    static const struct {
        enum osr_json_token token;
        const char *text;
        bool escaped, odd;
    } expected[] = {
        {OSR_JSON_OBJECT, NULL, false, false},
        {OSR_JSON_NAME, "a", false, false},
        {OSR_JSON_ARRAY, NULL, false, false},
        {OSR_JSON_NUMBER, "1.10", false, false},
        {OSR_JSON_NUMBER, "12345678901234567890", false, false},
        {OSR_JSON_TRUE, NULL, false, false},
        {OSR_JSON_FALSE, NULL, false, false},
        {OSR_JSON_NULL, NULL, false, false},
        {OSR_JSON_ARRAY_END, NULL, false, false},
        {OSR_JSON_NAME, "\\u0000", true, true},
        {OSR_JSON_STRING, "", false, false},
        {OSR_JSON_NAME, "p", false, false},
        {OSR_JSON_STRING, "\\ud83d\\ude00", true, false},
        {OSR_JSON_NAME, "l", false, false},
        {OSR_JSON_STRING, "\\ud83d\\n", true, true},
        {OSR_JSON_OBJECT_END, NULL, false, false},
        {OSR_JSON_END, NULL, false, false},
        {OSR_JSON_END, NULL, false, false},
    };
    struct osr_json json;
    osr_json_init(
        &json, osr_slice_text("{ \"a\" : [1.10, 12345678901234567890,true ,false,null],\"\\u0000\":"
                              "\"\",\"p\":\"\\ud83d\\ude00\",\"l\":\"\\ud83d\\n\"}"));
    for (size_t i = 0; i < COUNT(expected); i++) {
        assert_int_equal(osr_json_next(&json, NULL), expected[i].token);
        if (expected[i].text != NULL) {
            assert_true(osr_slice_equal(json.text, osr_slice_text(expected[i].text)));
        }
        if (expected[i].token == OSR_JSON_NAME || expected[i].token == OSR_JSON_STRING) {
            assert_int_equal(json.escaped, expected[i].escaped);
            assert_int_equal(json.odd, expected[i].odd);
        }
    }
}

/* An error stays: the scanner does not go on behind it. */
static void json_error_is_repeated(void **state)
{
    (void)state;
    struct osr_json json;
    struct osr_err first, again;
    osr_json_init(&json, osr_slice_text("[1, x, 2]"));
    assert_int_equal(osr_json_next(&json, NULL), OSR_JSON_ARRAY);
    assert_int_equal(osr_json_next(&json, NULL), OSR_JSON_NUMBER);
    assert_int_equal(osr_json_next(&json, &first), OSR_JSON_ERROR);
    assert_non_null(strstr(first.message, "byte 4"));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(osr_json_next(&json, &again), OSR_JSON_ERROR);
        assert_string_equal(again.message, first.message);
    }
}

/* Skipping a value of any kind leaves the scanner right behind it. */
static void json_skip_passes_one_value(void **state)
{
    (void)state;
    static const char *const values[] = {"1", "\"[\"", "{}", "[[],{\"a\":[1,2]}]", "null"};
    for (size_t i = 0; i < COUNT(values); i++) {
        char text[64];
        snprintf(text, sizeof(text), "[%s,7]", values[i]);
        struct osr_json json;
        osr_json_init(&json, osr_slice_text(text));
        assert_int_equal(osr_json_next(&json, NULL), OSR_JSON_ARRAY);
        assert_int_equal(osr_json_skip(&json, osr_json_next(&json, NULL), NULL), 0);
        assert_int_equal(json.at, 1 + strlen(values[i]));
        assert_int_equal(osr_json_next(&json, NULL), OSR_JSON_NUMBER);
        assert_true(osr_slice_equal(json.text, osr_slice_text("7")));
    }
    struct osr_json json;
    osr_json_init(&json, osr_slice_text("[1,[2,}"));
    assert_int_equal(osr_json_skip(&json, osr_json_next(&json, NULL), NULL), OSR_MALFORMED);
}

/* ---- text within strings ---- */

/* Escapes are resolved; what no text may hold is refused and leaves nothing behind. */
static void json_unescape_resolves_or_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *escaped, *text; /* NULL: refused */
    } unescapes[] = {
        {"", ""},
        {"plain \xc3\xa9", "plain \xc3\xa9"},
        {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t"},
        {"\\u0041\\u00e9\\u20AC\\ud83d\\ude00!", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80!"},
        {"\\u007f\\u0080\\u07ff\\u0800\\uffff\\ud800\\udc00\\udbff\\udfff",
         "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
        {"a\\u0000", NULL},
        {"a\\ud83d", NULL},
        {"a\\ude00b", NULL},
        {"\\ud83d\\ud83d\\ude00", NULL},
        {"\\ud83dx\\ude00", NULL},
    };
    struct osr_buffer buffer = {0};
    for (size_t i = 0; i < COUNT(unescapes); i++) {
        buffer.size = 0;
        osr_buffer_add_text(&buffer, "<");
        int code = osr_json_unescape(&buffer, osr_slice_text(unescapes[i].escaped), NULL);
        assert_int_equal(code, unescapes[i].text != NULL ? 0 : OSR_MALFORMED);
        const char *text = unescapes[i].text != NULL ? unescapes[i].text : "";
        assert_int_equal(buffer.size, 1 + strlen(text));
        assert_memory_equal(buffer.data + 1, text, strlen(text));
    }
    osr_buffer_done(&buffer);
}

static void assert_quoted(struct osr_slice text, bool ascii, const char *expected)
{
    struct osr_buffer buffer = {0};
    osr_json_quote(&buffer, text, ascii);
    osr_buffer_add_u8(&buffer, 0);
    assert_string_equal((char *)buffer.data, expected);
    osr_buffer_done(&buffer);
}

/* Only what must be escaped is, or all beyond ASCII. */
static void json_quote_escapes_what_it_must(void **state)
{
    (void)state;
    struct osr_slice text = osr_slice_text("a\"\\/\n\x01\x7f\xc3\xa9\xf0\x9f\x98\x80 more than 8");
    assert_quoted(text, false, "\"a\\\"\\\\/\\n\\u0001\x7f\xc3\xa9\xf0\x9f\x98\x80 more than 8\"");
    assert_quoted(text, true, "\"a\\\"\\\\/\\n\\u0001\\u007f\\u00e9\\ud83d\\ude00 more than 8\"");
    assert_quoted(osr_slice("\0", 1), false, "\"\\u0000\"");
    assert_quoted(osr_slice_text("x\xff"), false, "\"x\xef\xbf\xbd\"");
    assert_quoted(osr_slice_text("x\xff"), true, "\"x\\ufffd\"");
    assert_quoted(osr_slice(NULL, 0), true, "\"\"");
}

/* Any text survives being quoted, scanned and unescaped, in both forms. */
static void json_quote_and_unescape_are_inverse(void **state)
{
    (void)state;
    struct osr_random random;
    osr_random_init(&random, 11);
    struct osr_buffer text = {0}, quoted = {0}, again = {0};
    for (int round = 0; round < 2000; round++) {
        text.size = quoted.size = again.size = 0;
        static const char *const pieces[] = {"a",          "\"",           "\\",
                                             "\n",         "\x1f",         "\x7f",
                                             "\xc3\xa9",   "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                                             "some words "};
        for (uint64_t n = osr_random_below(&random, 12); n > 0; n--) {
            osr_buffer_add_text(&text, pieces[osr_random_below(&random, COUNT(pieces))]);
        }
        osr_json_quote(&quoted, osr_buffer_slice(&text), osr_random_chance(&random, 0.5));
        struct osr_json json;
        osr_json_init(&json, osr_buffer_slice(&quoted));
        assert_int_equal(osr_json_next(&json, NULL), OSR_JSON_STRING);
        assert_int_equal(osr_json_unescape(&again, json.text, NULL), 0);
        assert_true(osr_slice_equal(osr_buffer_slice(&again), osr_buffer_slice(&text)));
        assert_int_equal(osr_json_next(&json, NULL), OSR_JSON_END);
    }
    osr_buffer_done(&text);
    osr_buffer_done(&quoted);
    osr_buffer_done(&again);
}

/* The ASCII form of a text is the same value, and escapes already there stay. */
static void json_to_ascii_escapes_all_beyond_it(void **state)
{
    (void)state;
    struct osr_buffer buffer = {0};
    osr_json_to_ascii(&buffer, osr_slice_text("{\"\xc3\xa9\":\"\\u00e9\xf0\x9f\x98\x80\x7f\"}"));
    osr_buffer_add_u8(&buffer, 0);
    assert_string_equal((char *)buffer.data, "{\"\\u00e9\":\"\\u00e9\\ud83d\\ude00\\u007f\"}");
    osr_buffer_done(&buffer);
}

/* ---- compacting ---- */

/* White space between tokens goes, all else stays as written. */
static void json_compact_drops_only_white_space(void **state)
{
    (void)state;
    static const struct {
        const char *text, *compact;
    } compacts[] = {
        {" { \"a b\" : [ 1.10 , -0 ,\t12345678901234567890 ] ,\n\"a b\":\"\\u0000 \\ud83d\" } ",
         "{\"a b\":[1.10,-0,12345678901234567890],\"a b\":\"\\u0000 \\ud83d\"}"},
        {"{\"a\":1,\"a\":2}", "{\"a\":1,\"a\":2}"},
        {"\n\"  x  \"\n", "\"  x  \""},
        {"[ ]", "[]"},
        {"{ }", "{}"},
        {" 7 ", "7"},
    };
    struct osr_buffer buffer = {0};
    for (size_t i = 0; i < COUNT(compacts); i++) {
        buffer.size = 0;
        osr_buffer_add_text(&buffer, "<");
        assert_int_equal(osr_json_compact(&buffer, osr_slice_text(compacts[i].text), NULL), 0);
        osr_buffer_add_u8(&buffer, 0);
        assert_string_equal((char *)buffer.data + 1, compacts[i].compact);
        struct osr_slice compact = osr_slice_text(compacts[i].compact);
        assert_int_equal(osr_json_check(compact, OSR_JSON_DEPTH_MAX, NULL), 0);
        if (strcmp(compacts[i].text, compacts[i].compact) != 0) {
            assert_int_equal(
                osr_json_check(osr_slice_text(compacts[i].text), OSR_JSON_DEPTH_MAX, NULL),
                OSR_MALFORMED);
        }
    }
    buffer.size = 0;
    assert_int_equal(osr_json_compact(&buffer, osr_slice_text("[1, 2"), NULL), OSR_MALFORMED);
    assert_int_equal(buffer.size, 0);
    osr_buffer_done(&buffer);
}

/* ---- splitting ---- */

/* Values back to back, with or without white space, are told apart wherever the input is cut. */
static void json_split_finds_ends_at_every_cut(void **state)
{
    (void)state;
    static const char *const values[] = {"{\"a\":\"}\\\"]\\\\\"}", "[]", "\n {\"b\":[{}]}", " [1]"};
    struct osr_buffer text = {0};
    for (size_t i = 0; i < COUNT(values); i++) {
        osr_buffer_add_text(&text, values[i]);
    }
    for (size_t step = 1; step <= text.size; step++) {
        struct osr_json_split split = {0};
        size_t begin = 0, found = 0;
        for (size_t end = 0; found < COUNT(values);) {
            size_t length;
            struct osr_slice input = osr_slice(text.data + begin, end - begin);
            assert_int_equal(osr_json_split(&split, input, &length, NULL), 0);
            if (length > 0) {
                assert_true(osr_slice_equal(osr_slice(text.data + begin, length),
                                            osr_slice_text(values[found])));
                begin += length;
                found++;
            } else {
                assert_true(end < text.size);
                end = end + step < text.size ? end + step : text.size;
            }
        }
        assert_int_equal(begin, text.size);
    }
    osr_buffer_done(&text);
}

/* What is neither object nor array, or too deep, is refused at once, and again. */
static void json_split_refuses_early(void **state)
{
    (void)state;
    static const char *const refused[] = {"1", "\"a\"", "]", "}", " x", "{}1", "\xef\xbb\xbf{}"};
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct osr_json_split split = {0};
        struct osr_slice input = osr_slice_text(refused[i]);
        size_t length = 0;
        int code = osr_json_split(&split, input, &length, NULL);
        if (code == 0 && length > 0) { /* the second value is the bad one */
            input = osr_slice(input.data + length, input.size - length);
            code = osr_json_split(&split, input, &length, NULL);
        }
        assert_int_equal(code, OSR_MALFORMED);
        assert_int_equal(osr_json_split(&split, input, &length, NULL), OSR_MALFORMED);
    }
    struct osr_buffer deep = {0};
    struct osr_json_split split = {0};
    size_t length;
    nested(&deep, 100000, false);
    assert_int_equal(osr_json_split(&split, osr_buffer_slice(&deep), &length, NULL), OSR_TOO_LARGE);
    osr_buffer_done(&deep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_accepts_and_refuses_what_the_rfc_says),
        cmocka_unit_test(json_refuses_truncation_at_each_byte),
        cmocka_unit_test(json_depth_is_limited),
        cmocka_unit_test(json_gives_tokens_as_written),
        cmocka_unit_test(json_error_is_repeated),
        cmocka_unit_test(json_skip_passes_one_value),
        cmocka_unit_test(json_unescape_resolves_or_refuses),
        cmocka_unit_test(json_quote_escapes_what_it_must),
        cmocka_unit_test(json_quote_and_unescape_are_inverse),
        cmocka_unit_test(json_to_ascii_escapes_all_beyond_it),
        cmocka_unit_test(json_compact_drops_only_white_space),
        cmocka_unit_test(json_split_finds_ends_at_every_cut),
        cmocka_unit_test(json_split_refuses_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
