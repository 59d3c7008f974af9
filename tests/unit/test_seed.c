/* What seed peers are sent, and what is remembered of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/seed_cursor.h"
#include "node/seed_message.h"

#define HEAD     "{\"type\":\"UPDATE_KB\",\"data\":"
#define ORIGIN_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ORIGIN_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void assert_message(const char *data, const char *message)
{
    struct osr_buffer buffer = {0};

    assert_true(osr_seed_message(&buffer, osr_slice_text(data)));
    assert_true(osr_slice_equal(osr_buffer_slice(&buffer), osr_slice_text(message)));
    osr_buffer_done(&buffer);
}

/* Any JSON value goes as it is, one object on one line. */
static void seed_message_carries_any_value(void **state)
{
    (void)state;
    assert_message("\"a\"", HEAD "\"a\"}");
    assert_message("{\"b\":[1.10,null]}", HEAD "{\"b\":[1.10,null]}}");
    assert_message("12345678901234567890", HEAD "12345678901234567890}");
}

/* The program may cut UTF-8 in two, so nothing beyond ASCII is sent. */
static void seed_message_is_ascii(void **state)
{
    (void)state;
    assert_message("\"\xc3\xb1\"", HEAD "\"\\u00f1\"}");
    assert_message("\"\xf0\x9f\x98\x80\"", HEAD "\"\\ud83d\\ude00\"}");
    assert_message("\"\\u00f1\\ud800\"", HEAD "\"\\u00f1\\ud800\"}");
}

/* A string of this many characters of one byte, quotes included in `size`. */
static struct osr_slice long_string(char *text, size_t size)
{
    memset(text, 'x', size);
    text[0] = '"';
    text[size - 1] = '"';
    return osr_slice(text, size);
}

/* 1,024 bytes fit, one more does not, and then nothing is left behind. */
static void seed_message_has_a_greatest_size(void **state)
{
    (void)state;
    enum { FITS = OSR_SEED_MESSAGE_BYTES_MAX - (sizeof HEAD - 1) - 1 };
    char text[FITS + 1];
    struct osr_buffer buffer = {0};

    assert_true(osr_seed_message(&buffer, long_string(text, FITS)));
    assert_int_equal(buffer.size, OSR_SEED_MESSAGE_BYTES_MAX);
    assert_false(osr_seed_message(&buffer, long_string(text, FITS + 1)));
    assert_int_equal(buffer.size, OSR_SEED_MESSAGE_BYTES_MAX);
    osr_buffer_done(&buffer);
}

/* Characters beyond ASCII count as they are sent: six bytes each. */
static void seed_message_counts_escapes(void **state)
{
    (void)state;
    char text[2 + 2 * 200];
    struct osr_buffer buffer = {0};

    text[0] = '"';
    for (size_t i = 1; i < sizeof text - 1; i += 2) {
        text[i] = '\xc3'; /* U+00F1 */
        text[i + 1] = '\xb1';
    }
    text[sizeof text - 1] = '"';
    assert_false(osr_seed_message(&buffer, osr_slice(text, sizeof text)));
    osr_buffer_done(&buffer);
}

/* What was written down comes back whole. */
static void seed_cursor_survives_being_written(void **state)
{
    (void)state;
    struct osr_seed_cursor cursor = {.doubles = 3, .skipped = 4};
    struct osr_seed_cursor read = {0};
    struct osr_buffer value = {0};
    struct osr_err err;

    osr_seed_cursor_advance(&cursor, 10, ORIGIN_A, 7);
    osr_seed_cursor_advance(&cursor, 12, ORIGIN_B, 1);
    osr_seed_cursor_advance(&cursor, 13, ORIGIN_A, 8);
    osr_seed_cursor_encode(&cursor, &value);
    assert_int_equal(osr_seed_cursor_decode(&read, osr_buffer_slice(&value), &err), 0);
    assert_int_equal(read.position, 13);
    assert_int_equal(read.doubles, 3);
    assert_int_equal(read.skipped, 4);
    assert_int_equal(osr_seed_cursor_held(&read, ORIGIN_A), 8);
    assert_int_equal(osr_seed_cursor_held(&read, ORIGIN_B), 1);
    assert_int_equal(osr_seed_cursor_held(&read, "c"), 0);
    osr_buffer_done(&value);
    osr_seed_cursor_done(&cursor);
    osr_seed_cursor_done(&read);
}

/* Sending again from an entry means that it is the next one; from the first, that all are. */
static void seed_cursor_rewinds(void **state)
{
    (void)state;
    struct osr_seed_cursor cursor = {.doubles = 2};

    osr_seed_cursor_advance(&cursor, 10, ORIGIN_A, 7);
    osr_seed_cursor_advance(&cursor, 12, ORIGIN_B, 1);
    osr_seed_cursor_rewind(&cursor, 5, ORIGIN_A, 3);
    assert_int_equal(cursor.position, 4);
    assert_int_equal(osr_seed_cursor_held(&cursor, ORIGIN_A), 2);
    osr_seed_cursor_rewind(&cursor, 1, ORIGIN_A, 1);
    assert_int_equal(cursor.position, 0);
    assert_int_equal(osr_seed_cursor_held(&cursor, ORIGIN_B), 0);
    assert_int_equal(cursor.doubles, 2);
    osr_seed_cursor_done(&cursor);
}

/* A cursor that was damaged, or made by a newer version, is not taken for the beginning. */
static void seed_cursor_refuses_what_it_cannot_read(void **state)
{
    (void)state;
    struct osr_seed_cursor cursor = {0};
    struct osr_buffer value = {0};
    struct osr_err err;

    osr_seed_cursor_advance(&cursor, 10, ORIGIN_A, 7);
    osr_seed_cursor_encode(&cursor, &value);
    osr_seed_cursor_done(&cursor);
    struct osr_slice cut = osr_slice(value.data, value.size - 1);
    assert_int_equal(osr_seed_cursor_decode(&cursor, cut, &err), OSR_CORRUPT);
    assert_int_equal(osr_seed_cursor_decode(&cursor, osr_slice("", 0), &err), OSR_CORRUPT);
    value.data[0] = 2;
    assert_int_equal(osr_seed_cursor_decode(&cursor, osr_buffer_slice(&value), &err),
                     OSR_UNSUPPORTED_VERSION);
    assert_int_equal(cursor.position, 0);
    osr_buffer_done(&value);
}

/* The parameters of the URL may change without the peer becoming another one. */
static void seed_cursor_key_leaves_parameters_out(void **state)
{
    (void)state;
    struct osr_url url;
    struct osr_err err;

    assert_int_equal(osr_url_parse("tcp://127.0.0.1:9?peer=seed&settle_ms=500", &url, &err), 0);
    char *key = osr_seed_cursor_key(&url);
    assert_string_equal(key, "seed:tcp://127.0.0.1:9");
    free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seed_message_carries_any_value),
        cmocka_unit_test(seed_message_is_ascii),
        cmocka_unit_test(seed_message_has_a_greatest_size),
        cmocka_unit_test(seed_message_counts_escapes),
        cmocka_unit_test(seed_cursor_survives_being_written),
        cmocka_unit_test(seed_cursor_rewinds),
        cmocka_unit_test(seed_cursor_refuses_what_it_cannot_read),
        cmocka_unit_test(seed_cursor_key_leaves_parameters_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
