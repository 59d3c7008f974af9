/* Lines of JSON whose members are all texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/fields.h"

/* What was written is read as it was, whatever stands in the values; NULL is left out. */
static void line_comes_back_as_written(void **state)
{
    (void)state;
    struct osr_buffer line = {0};
    struct osr_fields fields;
    osr_fields_begin(&line);
    osr_fields_add(&line, "plain", "text");
    osr_fields_add(&line, "odd", "a \"quote\", a \\ and\na line's end: \xc3\xbc");
    osr_fields_add(&line, "none", NULL);
    osr_fields_add(&line, "empty", "");
    osr_fields_end(&line);
    assert_int_equal(osr_fields_read(osr_buffer_slice(&line), &fields, NULL), OSR_OK);
    assert_int_equal(fields.count, 3);
    assert_string_equal(osr_fields_get(&fields, "plain"), "text");
    assert_string_equal(osr_fields_get(&fields, "odd"),
                        "a \"quote\", a \\ and\na line's end: \xc3\xbc");
    assert_string_equal(osr_fields_get(&fields, "none"), "");
    osr_fields_done(&fields);
    osr_buffer_done(&line);
}

/* Anything else than one object of texts is refused, and nothing is left behind. */
static void other_lines_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "text",
                                        "[]",
                                        "{",
                                        "{\"a\":1}",
                                        "{\"a\":{}}",
                                        "{\"a\":\"b\",\"c\":null}",
                                        "{\"a\":\"b\"} {}",
                                        "{\"a\":\"\\ud800\"}",
                                        "{\"a\":\"b\","};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct osr_fields fields = {.count = 77};
        struct osr_err err;
        assert_int_equal(osr_fields_read(osr_slice_text(wrong[i]), &fields, &err), OSR_MALFORMED);
        assert_int_equal(fields.count, 77);
    }
}

/* More members than there is room for are refused, not written past the end. */
static void too_many_members_are_refused(void **state)
{
    (void)state;
    struct osr_buffer line = {0};
    struct osr_fields fields;
    osr_fields_begin(&line);
    for (int i = 0; i <= OSR_FIELDS_MAX; i++) {
        osr_fields_add(&line, "name", "value");
    }
    osr_fields_end(&line);
    assert_int_equal(osr_fields_read(osr_buffer_slice(&line), &fields, NULL), OSR_MALFORMED);
    osr_buffer_done(&line);
}

/* Lines are taken one by one, the last one without its end as well. */
static void lines_are_taken_one_by_one(void **state)
{
    (void)state;
    struct osr_slice rest = osr_slice_text("one\n\ntwo"), line;
    assert_true(osr_fields_next_line(&rest, &line));
    assert_true(osr_slice_equal(line, osr_slice_text("one")));
    assert_true(osr_fields_next_line(&rest, &line));
    assert_int_equal(line.size, 0);
    assert_true(osr_fields_next_line(&rest, &line));
    assert_true(osr_slice_equal(line, osr_slice_text("two")));
    assert_false(osr_fields_next_line(&rest, &line));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_comes_back_as_written),
        cmocka_unit_test(other_lines_are_refused),
        cmocka_unit_test(too_many_members_are_refused),
        cmocka_unit_test(lines_are_taken_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
