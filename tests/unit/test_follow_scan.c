#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/limits.h"
#include "node/follow_scan.h"

static const struct osr_follow_mark beginning = {0};

static struct osr_follow_scan scan_text(const char *text, const struct osr_follow_mark *mark)
{
    struct osr_follow_scan scan = {0};
    struct osr_err err;

    assert_int_equal(osr_follow_scan(osr_slice_text(text), mark, &scan, &err), 0);
    return scan;
}

static struct osr_follow_mark mark_behind(const char *text)
{
    struct osr_follow_scan scan = scan_text(text, &beginning);
    struct osr_follow_mark mark = scan.end;

    osr_follow_scan_done(&scan);
    return mark;
}

static void assert_item(const struct osr_follow_scan *scan, size_t index, const char *data,
                        uint64_t occurrence)
{
    struct osr_slice found = osr_follow_scan_data(scan, index);

    assert_true(osr_slice_equal(found, osr_slice_text(data)));
    assert_int_equal(scan->items[index].occurrence, occurrence);
    struct osr_hash digest = osr_sha256(&found, 1);
    assert_memory_equal(&scan->items[index].digest, &digest, sizeof digest);
}

/* Each element becomes an item: compact, with its digest, and which of its equals it is. */
static void scan_gives_all_of_a_new_file(void **state)
{
    (void)state;
    struct osr_follow_scan scan =
        scan_text(" [\"a\", {\"b\": [1, 2]} ,\"a\",\n-0.50,\"a\"]\n", &beginning);

    assert_int_equal(scan.count, 5);
    assert_item(&scan, 0, "\"a\"", 1);
    assert_item(&scan, 1, "{\"b\":[1,2]}", 1);
    assert_item(&scan, 2, "\"a\"", 2);
    assert_item(&scan, 3, "-0.50", 1);
    assert_item(&scan, 4, "\"a\"", 3);
    assert_int_equal(scan.items[4].mark.count, 5);
    assert_int_equal(scan.end.count, 5);
    assert_false(scan.restarted);
    osr_follow_scan_done(&scan);
}

/* Behind a mark only what was added counts, numbered as if all had been read. */
static void scan_goes_on_behind_a_mark(void **state)
{
    (void)state;
    struct osr_follow_mark mark = mark_behind("[\"a\",\"b\"]");
    struct osr_follow_scan scan = scan_text("[\"a\", \"b\", \"a\", \"c\"]", &mark);

    assert_false(scan.restarted);
    assert_int_equal(scan.count, 2);
    assert_item(&scan, 0, "\"a\"", 2);
    assert_item(&scan, 1, "\"c\"", 1);
    assert_int_equal(scan.items[0].mark.count, 3);
    osr_follow_scan_done(&scan);
}

/* The mark of any item is as good as that of the last. */
static void scan_goes_on_behind_any_item(void **state)
{
    (void)state;
    struct osr_follow_scan first = scan_text("[1,2,3]", &beginning);
    struct osr_follow_mark mark = first.items[0].mark;
    struct osr_follow_scan rest = scan_text("[1,2,3]", &mark);

    assert_int_equal(rest.count, 2);
    assert_item(&rest, 0, "2", 1);
    osr_follow_scan_done(&first);
    osr_follow_scan_done(&rest);
}

/* Nothing new gives nothing. */
static void scan_of_an_unchanged_file_gives_nothing(void **state)
{
    (void)state;
    struct osr_follow_mark mark = mark_behind("[1]");
    struct osr_follow_scan scan = scan_text("[ 1 ]", &mark);

    assert_int_equal(scan.count, 0);
    assert_false(scan.restarted);
    osr_follow_scan_done(&scan);
}

/* A file that shrank, was begun anew or was changed in the middle is given whole. */
static void scan_begins_anew_where_the_file_did(void **state)
{
    (void)state;
    static const char *const others[] = {"[]", "[1]", "[1,3]", "[4,5,6,7]"};
    struct osr_follow_mark mark = mark_behind("[1,2]");

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct osr_follow_scan scan = scan_text(others[i], &mark);
        assert_true(scan.restarted);
        assert_int_equal(scan.count, scan.end.count);
        osr_follow_scan_done(&scan);
    }
}

/* Half a file, something else, or text behind the array is no array. */
static void scan_refuses_what_is_no_array(void **state)
{
    (void)state;
    static const char *const texts[] = {"",  "  ",   "[",      "[1,",  "[1",    "[\"a",      "{}",
                                        "1", "[1]x", "[1][2]", "[1,]", "[NaN]", "[\"\xff\"]"};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct osr_follow_scan scan = {0};
        struct osr_err err;
        assert_int_equal(osr_follow_scan(osr_slice_text(texts[i]), &beginning, &scan, &err),
                         OSR_MALFORMED);
        assert_int_equal(err.code, OSR_MALFORMED);
        assert_null(scan.items);
    }
}

/* What can be no document is counted and passed over, and keeps its place. */
static void scan_passes_over_what_is_too_long(void **state)
{
    (void)state;
    struct osr_buffer text = {0};

    osr_buffer_add_text(&text, "[\"a\",\"");
    memset(osr_buffer_reserve(&text, OSR_DATA_BYTES_MAX), 'x', OSR_DATA_BYTES_MAX);
    text.size += OSR_DATA_BYTES_MAX;
    osr_buffer_add_text(&text, "\",\"b\"]");
    osr_buffer_add_u8(&text, 0);
    struct osr_follow_scan scan = scan_text((const char *)text.data, &beginning);
    assert_int_equal(scan.refused, 1);
    assert_int_equal(scan.count, 2);
    assert_item(&scan, 1, "\"b\"", 1);
    assert_int_equal(scan.items[1].mark.count, 3);
    osr_follow_scan_done(&scan);
    osr_buffer_done(&text);
}

/* One scan gives no more than its limit; the next goes on there. */
static void scan_gives_a_long_file_in_parts(void **state)
{
    (void)state;
    struct osr_buffer text = {0};

    osr_buffer_add_text(&text, "[0");
    for (size_t i = 0; i < OSR_FOLLOW_ITEMS_MAX; i++)
        osr_buffer_add_text(&text, ",1");
    osr_buffer_add_text(&text, "]");
    osr_buffer_add_u8(&text, 0);
    struct osr_follow_scan first = scan_text((const char *)text.data, &beginning);
    assert_int_equal(first.count, OSR_FOLLOW_ITEMS_MAX);
    assert_true(first.has_more);
    struct osr_follow_scan second = scan_text((const char *)text.data, &first.end);
    assert_int_equal(second.count, 1);
    assert_false(second.has_more);
    assert_item(&second, 0, "1", OSR_FOLLOW_ITEMS_MAX);
    osr_follow_scan_done(&first);
    osr_follow_scan_done(&second);
    osr_buffer_done(&text);
}

/* A mark that was written down comes back; anything else is not taken for one. */
static void mark_survives_being_written(void **state)
{
    (void)state;
    struct osr_follow_mark mark = mark_behind("[1,2]");
    struct osr_follow_mark read = {0};
    struct osr_buffer value = {0};

    osr_follow_mark_encode(&mark, &value);
    assert_true(osr_follow_mark_decode(&read, osr_buffer_slice(&value)));
    assert_memory_equal(&read, &mark, sizeof mark);
    assert_false(osr_follow_mark_decode(&read, osr_slice(value.data, value.size - 1)));
    osr_buffer_done(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scan_gives_all_of_a_new_file),
        cmocka_unit_test(scan_goes_on_behind_a_mark),
        cmocka_unit_test(scan_goes_on_behind_any_item),
        cmocka_unit_test(scan_of_an_unchanged_file_gives_nothing),
        cmocka_unit_test(scan_begins_anew_where_the_file_did),
        cmocka_unit_test(scan_refuses_what_is_no_array),
        cmocka_unit_test(scan_passes_over_what_is_too_long),
        cmocka_unit_test(scan_gives_a_long_file_in_parts),
        cmocka_unit_test(mark_survives_being_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
