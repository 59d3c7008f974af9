/* Entries out of files: which form a file has, where its entries end, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/occurrences.h"
#include "bin/entry_reader.h"
#include "model/limits.h"

/* What is read from `input`, given in pieces of `piece` bytes: entries with '|' between them. */
static int read_entries(const char *input, size_t size, size_t piece, enum osr_entry_form form,
                        struct osr_buffer *entries, struct osr_err *err)
{
    struct osr_entry_reader reader;
    osr_entry_reader_init(&reader, form);
    size_t at = 0;
    int code = OSR_OK;
    while (code == OSR_OK) {
        struct osr_slice data;
        code = osr_entry_reader_next(&reader, &data, err);
        if (code == OSR_OK && data.size > 0) {
            osr_buffer_add_text(entries, entries->size > 0 ? "|" : "");
            osr_buffer_add(entries, data.data, data.size);
        } else if (code == OSR_OK && reader.ended) {
            break;
        } else if (at == size) {
            osr_entry_reader_end(&reader);
        } else {
            size_t part = size - at < piece ? size - at : piece;
            memcpy(osr_entry_reader_room(&reader, part), input + at, part);
            osr_entry_reader_added(&reader, part);
            at += part;
        }
    }
    osr_entry_reader_done(&reader);
    osr_buffer_add_u8(entries, '\0');
    return code;
}

static void expect_entries(const char *input, enum osr_entry_form form, const char *expected)
{
    static const size_t pieces[] = {1, 2, 7, SIZE_MAX};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        struct osr_buffer entries = {0};
        struct osr_err err = {0};
        int code = read_entries(input, strlen(input), pieces[i], form, &entries, &err);
        if (code != OSR_OK)
            fail_msg("%s: %s", input, err.message);
        assert_string_equal((const char *)entries.data, expected);
        osr_buffer_done(&entries);
    }
}

/* The entries in front of the mistake come all the same. */
static void expect_refused(const char *input, enum osr_entry_form form, const char *before,
                           const char *message)
{
    static const size_t pieces[] = {1, SIZE_MAX};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        struct osr_buffer entries = {0};
        struct osr_err err = {0};
        int code = read_entries(input, strlen(input), pieces[i], form, &entries, &err);
        assert_int_equal(code, OSR_MALFORMED);
        assert_string_equal((const char *)entries.data, before);
        if (strstr(err.message, message) == NULL)
            fail_msg("'%s' is not in: %s", message, err.message);
        osr_buffer_done(&entries);
    }
}

/* The elements of an array are entries, whatever they are and however they are laid out. */
static void array_gives_its_elements(void **state)
{
    (void)state;
    expect_entries("[1, \"a,]\", {\"b\": [2, \"]\"]},\n true ,[ [] ],null]\n", OSR_ENTRY_DETECT,
                   "1|\"a,]\"|{\"b\":[2,\"]\"]}|true|[[]]|null");
    expect_entries("[]", OSR_ENTRY_DETECT, "");
    expect_entries(" \n[ ] ", OSR_ENTRY_DETECT, "");
    expect_entries("[\n\"\\\\\",\n\"\\\"\"\n]", OSR_ENTRY_DETECT, "\"\\\\\"|\"\\\"\"");
}

/* JSON values stand one a line, or spread over lines, or back to back. */
static void values_are_told_apart(void **state)
{
    (void)state;
    expect_entries("{\"a\": 1}\n\n{\"a\": 2}\r\n", OSR_ENTRY_DETECT, "{\"a\":1}|{\"a\":2}");
    expect_entries("{\n \"a\": 1\n}{\"b\": \"}\"}", OSR_ENTRY_DETECT, "{\"a\":1}|{\"b\":\"}\"}");
    expect_entries("\"x\"\n5\n[1, 2]\n", OSR_ENTRY_DETECT, "\"x\"|5|[1,2]");
    expect_entries("1\n-2.50\ntrue", OSR_ENTRY_DETECT, "1|-2.50|true");
    expect_entries("[1]\n[2]\n", OSR_ENTRY_DETECT, "[1]|[2]");
}

/* Everything else is text: a string a line, blank lines left out. */
static void text_gives_its_lines(void **state)
{
    (void)state;
    expect_entries("one\r\n\n  \n two \"quoted\"\nlast", OSR_ENTRY_DETECT,
                   "\"one\"|\" two \\\"quoted\\\"\"|\"last\"");
    expect_entries("\"Hello,\" she said.\n", OSR_ENTRY_DETECT, "\"\\\"Hello,\\\" she said.\"");
    expect_entries("1\n2\nthree\n", OSR_ENTRY_DETECT, "\"1\"|\"2\"|\"three\"");
    expect_entries("", OSR_ENTRY_DETECT, "");
    expect_entries("\n \n", OSR_ENTRY_DETECT, "");
}

/* Who names the form gets it, also where the input looks like another one. */
static void named_form_is_taken(void **state)
{
    (void)state;
    expect_entries("[note] x\n{\n", OSR_ENTRY_LINES, "\"[note] x\"|\"{\"");
    expect_entries("[1,2]", OSR_ENTRY_VALUES, "[1,2]");
    expect_refused("1\n2\n", OSR_ENTRY_ARRAY, "", "no array begins here");
    expect_refused("]", OSR_ENTRY_ARRAY, "", "no array begins here");
}

/* A byte order mark is no part of the first entry. */
static void byte_order_mark_is_passed_over(void **state)
{
    (void)state;
    expect_entries("\xef\xbb\xbf[1]", OSR_ENTRY_DETECT, "1");
    expect_entries("\xef\xbb\xbfone\n", OSR_ENTRY_LINES, "\"one\"");
}

/* What begins like JSON and is none is refused, never taken for text. */
static void broken_json_is_refused(void **state)
{
    (void)state;
    expect_refused("[1,2", OSR_ENTRY_DETECT, "1|2", "entry 3, line 1: the array does not end");
    expect_refused("[1,", OSR_ENTRY_DETECT, "1", "the array does not end");
    expect_refused("[1,,2]", OSR_ENTRY_DETECT, "1", "entry 2, line 1: a value is missing");
    expect_refused("[1,]", OSR_ENTRY_DETECT, "1", "a value is missing");
    expect_refused("[1 2]", OSR_ENTRY_DETECT, "1", "wanted behind a value");
    expect_refused("[1]\n x", OSR_ENTRY_ARRAY, "1", "something stands behind the array");
    expect_refused("[[1}]", OSR_ENTRY_DETECT, "", "entry 1");
    expect_refused("{\"a\":1}\n{\"a\":}\n", OSR_ENTRY_DETECT, "{\"a\":1}", "entry 2, line 2");
    expect_refused("{\"a\":1}\n{\"a\":", OSR_ENTRY_DETECT, "{\"a\":1}", "does not end");
    expect_refused("[note] text\n", OSR_ENTRY_DETECT, "", "entry 1");
    expect_refused("one\n\xff\n", OSR_ENTRY_DETECT, "\"one\"", "line 2: the text is not UTF-8");
}

/* A value without an end is refused when it passes the limit, not when memory is full. */
static void endless_value_is_too_large(void **state)
{
    (void)state;
    static const char *const beginnings[] = {"[\"", "{\"a\":[", "\"", "x"};
    for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
        struct osr_entry_reader reader;
        osr_entry_reader_init(&reader, OSR_ENTRY_DETECT);
        size_t begin = strlen(beginnings[i]);
        memcpy(osr_entry_reader_room(&reader, begin), beginnings[i], begin);
        osr_entry_reader_added(&reader, begin);
        enum { PIECE = 1 << 20 };
        int code = OSR_OK;
        for (size_t given = 0; given < 4u * OSR_FRAME_BYTES_MAX && code == OSR_OK; given += PIECE) {
            memset(osr_entry_reader_room(&reader, PIECE), '1', PIECE);
            osr_entry_reader_added(&reader, PIECE);
            struct osr_slice data;
            code = osr_entry_reader_next(&reader, &data, NULL);
        }
        assert_int_equal(code, OSR_TOO_LARGE);
        assert_true(reader.input.size < 2u * OSR_FRAME_BYTES_MAX);
        osr_entry_reader_done(&reader);
    }
}

/* Data over its limit is refused here, and not first by the instance. */
static void large_data_is_too_large(void **state)
{
    (void)state;
    struct osr_buffer input = {0}, entries = {0};
    size_t size = OSR_DATA_BYTES_MAX + 1;
    memset(osr_buffer_reserve(&input, size), 'x', size);
    input.size = size;
    struct osr_err err;
    assert_int_equal(
        read_entries((const char *)input.data, size, SIZE_MAX, OSR_ENTRY_DETECT, &entries, &err),
        OSR_TOO_LARGE);
    osr_buffer_done(&entries);
    /* The quotes count. */
    assert_int_equal(read_entries((const char *)input.data, OSR_DATA_BYTES_MAX - 2, SIZE_MAX,
                                  OSR_ENTRY_DETECT, &entries, &err),
                     OSR_OK);
    osr_buffer_done(&input);
    osr_buffer_done(&entries);
}

/* Input that pauses has its form told by what is there, so that entries need not wait. */
static void pause_decides_the_form(void **state)
{
    (void)state;
    struct osr_entry_reader reader;
    osr_entry_reader_init(&reader, OSR_ENTRY_DETECT);
    struct osr_slice data;
    memcpy(osr_entry_reader_room(&reader, 8), "one\ntwo\n", 8);
    osr_entry_reader_added(&reader, 8);
    assert_int_equal(osr_entry_reader_next(&reader, &data, NULL), OSR_OK);
    assert_int_equal(data.size, 0);
    osr_entry_reader_decide(&reader);
    assert_int_equal(osr_entry_reader_next(&reader, &data, NULL), OSR_OK);
    assert_true(osr_slice_equal(data, osr_slice_text("\"one\"")));
    osr_entry_reader_done(&reader);
}

/* Each digest has its own count, also after the table has grown many times. */
static void occurrences_count_each_digest(void **state)
{
    (void)state;
    enum { DIGESTS = 20000, ROUNDS = 3 };
    struct osr_occurrences occurrences = {0};
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        for (uint32_t i = 0; i < DIGESTS; i++) {
            struct osr_slice data = osr_slice(&i, sizeof(i));
            struct osr_hash digest = osr_sha256(&data, 1);
            assert_int_equal(osr_occurrences_next(&occurrences, &digest), round);
        }
    }
    osr_occurrences_done(&occurrences);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(array_gives_its_elements),
        cmocka_unit_test(values_are_told_apart),
        cmocka_unit_test(text_gives_its_lines),
        cmocka_unit_test(named_form_is_taken),
        cmocka_unit_test(byte_order_mark_is_passed_over),
        cmocka_unit_test(broken_json_is_refused),
        cmocka_unit_test(endless_value_is_too_large),
        cmocka_unit_test(large_data_is_too_large),
        cmocka_unit_test(pause_decides_the_form),
        cmocka_unit_test(occurrences_count_each_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
