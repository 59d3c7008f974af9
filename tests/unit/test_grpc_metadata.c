/* Metadata of calls: what may be sent, and what header fields hold. */
#include "wire/grpc_metadata.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define TEXT(literal) osr_slice(literal, sizeof(literal) - 1)

static void assert_item(const struct osr_grpc_metadata_list *list, size_t index, const char *name,
                        struct osr_slice value)
{
    assert_true(index < list->count);
    assert_true(osr_slice_equal(list->items[index].name, osr_slice_text(name)));
    assert_true(osr_slice_equal(list->items[index].value, value));
}

/* What is gRPC's or HTTP's own is no metadata. */
static void metadata_names_of_grpc_and_http_are_not_custom(void **state)
{
    (void)state;
    static const char *const custom[] = {
        "x", "authorization", "x-trace-bin", "grpc",   "tea",
        "t", "content-typed", "user-agents", "a:path", "grpcx-timeout"};
    static const char *const own[] = {"",
                                      ":path",
                                      ":x",
                                      "te",
                                      "content-type",
                                      "content-length",
                                      "user-agent",
                                      "host",
                                      "connection",
                                      "transfer-encoding",
                                      "grpc-timeout",
                                      "grpc-status-details-bin",
                                      "grpc-"};
    for (size_t i = 0; i < COUNT(custom); i++) {
        assert_true(osr_grpc_metadata_is_custom(osr_slice_text(custom[i])));
    }
    for (size_t i = 0; i < COUNT(own); i++) {
        assert_false(osr_grpc_metadata_is_custom(osr_slice_text(own[i])));
    }
    assert_false(osr_grpc_metadata_is_custom(osr_slice(NULL, 0)));
}

/* Names are lower case; values printable ASCII, or anything under a "-bin" name. */
static void metadata_is_checked_before_it_is_sent(void **state)
{
    (void)state;
    const struct {
        struct osr_slice name;
        struct osr_slice value;
        bool is_valid;
    } cases[] = {
        {TEXT("x-0_9.z"), TEXT("a ~!"), true},
        {TEXT("x"), TEXT(""), true},
        {TEXT("x-bin"), TEXT("\0\xff\r\n"), true},
        {TEXT("-bin"), TEXT("\0"), true},
        {TEXT("x-Bin"), TEXT("a"), false},
        {TEXT("X"), TEXT("a"), false},
        {TEXT("x y"), TEXT("a"), false},
        {TEXT("x\0"), TEXT("a"), false},
        {TEXT("x:"), TEXT("a"), false},
        {TEXT("\xc3\xa9"), TEXT("a"), false},
        {TEXT(""), TEXT("a"), false},
        {TEXT("te"), TEXT("trailers"), false},
        {TEXT("grpc-x"), TEXT("a"), false},
        {TEXT("grpc-x-bin"), TEXT("a"), false},
        {TEXT("x"), TEXT("a\n"), false},
        {TEXT("x"), TEXT("a\0b"), false},
        {TEXT("x"), TEXT("a\tb"), false},
        {TEXT("x"), TEXT("caf\xc3\xa9"), false},
        {TEXT("x"), TEXT("\x7f"), false},
        {TEXT("x"), TEXT(" a"), false},
        {TEXT("x"), TEXT("a "), false},
        {TEXT("x"), TEXT(" "), false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct osr_grpc_metadata metadata = {cases[i].name, cases[i].value};
        assert_int_equal(osr_grpc_metadata_is_valid(&metadata), cases[i].is_valid);
    }
}

/* The list owns copies, which stay right while it grows. */
static void metadata_list_owns_what_was_added(void **state)
{
    (void)state;
    struct osr_grpc_metadata_list list = {0};
    char name[32];
    char value[32];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 500; i++) {
            snprintf(name, sizeof(name), "name-%d", i);
            snprintf(value, sizeof(value), "%.*s", i % 30, "what is the value of this, really?");
            osr_grpc_metadata_list_add(&list, osr_slice_text(name), osr_slice_text(value));
        }
        assert_int_equal(list.count, 500);
        for (int i = 0; i < 500; i++) {
            snprintf(name, sizeof(name), "name-%d", i);
            snprintf(value, sizeof(value), "%.*s", i % 30, "what is the value of this, really?");
            assert_item(&list, (size_t)i, name, osr_slice_text(value));
        }
        osr_grpc_metadata_list_clear(&list);
        assert_int_equal(list.count, 0);
    }
    osr_grpc_metadata_list_done(&list);
    osr_grpc_metadata_list_done(&list); /* empty and valid after the first */
    osr_grpc_metadata_list_add(&list, osr_slice(NULL, 0), osr_slice(NULL, 0));
    assert_item(&list, 0, "", TEXT(""));
    osr_grpc_metadata_list_done(&list);
}

/* "-bin" values are decoded, padded or not, several of them too; others are taken as they are. */
static void metadata_field_is_decoded(void **state)
{
    (void)state;
    struct osr_grpc_metadata_list list = {0};
    assert_true(osr_grpc_metadata_list_add_field(&list, TEXT("x"), TEXT("Zg==,a b")));
    assert_true(osr_grpc_metadata_list_add_field(&list, TEXT("a-bin"), TEXT("AP8")));
    assert_true(osr_grpc_metadata_list_add_field(&list, TEXT("b-bin"), TEXT("AP8=")));
    assert_true(osr_grpc_metadata_list_add_field(&list, TEXT("c-bin"), TEXT("")));
    assert_true(osr_grpc_metadata_list_add_field(&list, TEXT("d-bin"), TEXT("Zg==, Zm8,,Zm9v")));
    assert_int_equal(list.count, 8);
    assert_item(&list, 0, "x", TEXT("Zg==,a b"));
    assert_item(&list, 1, "a-bin", TEXT("\0\xff"));
    assert_item(&list, 2, "b-bin", TEXT("\0\xff"));
    assert_item(&list, 3, "c-bin", TEXT(""));
    assert_item(&list, 4, "d-bin", TEXT("f"));
    assert_item(&list, 5, "d-bin", TEXT("fo"));
    assert_item(&list, 6, "d-bin", TEXT(""));
    assert_item(&list, 7, "d-bin", TEXT("foo"));
    osr_grpc_metadata_list_done(&list);
}

/* A field with something that is no base64 leaves nothing behind. */
static void metadata_field_that_is_no_base64_is_refused(void **state)
{
    (void)state;
    static const char *const refused[] = {"Z",    "Zg=", "Zg===", "Z g", "Zg==x",  "Zm9v,!",
                                          "-_-_", "=",   "Zh",    "Zg;", "Zg=,Zg", "Zg,Z"};
    struct osr_grpc_metadata_list list = {0};
    osr_grpc_metadata_list_add(&list, TEXT("x"), TEXT("y"));
    size_t size = list.bytes.size;
    for (size_t i = 0; i < COUNT(refused); i++) {
        assert_false(
            osr_grpc_metadata_list_add_field(&list, TEXT("x-bin"), osr_slice_text(refused[i])));
        assert_int_equal(list.count, 1);
        assert_int_equal(list.bytes.size, size);
    }
    assert_item(&list, 0, "x", TEXT("y"));
    osr_grpc_metadata_list_done(&list);
}

/* Commas alone make no more items, and no more copies of a long name, than there may be. */
static void metadata_list_is_bounded(void **state)
{
    (void)state;
    struct osr_buffer name = {0};
    struct osr_buffer commas = {0};
    for (int i = 0; i < 1000; i++) {
        osr_buffer_add_text(&name, "long");
        osr_buffer_add_text(&commas, ",");
    }
    osr_buffer_add_text(&name, "-bin");
    struct osr_grpc_metadata_list list = {0};
    assert_true(osr_grpc_metadata_list_add_field(&list, osr_buffer_slice(&name),
                                                 osr_buffer_slice(&commas)));
    assert_int_equal(list.count, 1001);
    assert_true(list.bytes.capacity < 10000);
    assert_false(osr_grpc_metadata_list_add_field(&list, osr_buffer_slice(&name),
                                                  osr_buffer_slice(&commas)));
    assert_int_equal(list.count, 1001);
    while (list.count < OSR_GRPC_METADATA_MAX) {
        assert_true(osr_grpc_metadata_list_add_field(&list, TEXT("x"), TEXT("y")));
    }
    assert_false(osr_grpc_metadata_list_add_field(&list, TEXT("x"), TEXT("y")));
    assert_false(osr_grpc_metadata_list_add_field(&list, TEXT("x-bin"), TEXT("")));
    assert_int_equal(list.count, OSR_GRPC_METADATA_MAX);
    osr_grpc_metadata_list_done(&list);
    osr_buffer_done(&name);
    osr_buffer_done(&commas);
}

/* Written, a "-bin" value is base64 without padding. */
static void metadata_is_written_as_header_field(void **state)
{
    (void)state;
    const struct osr_grpc_metadata text = {TEXT("x"), TEXT("as it is")};
    const struct osr_grpc_metadata binary = {TEXT("x-bin"), TEXT("\0\xff")};
    struct osr_buffer field = {0};
    osr_grpc_metadata_write(&field, &text);
    osr_grpc_metadata_write(&field, &binary);
    assert_true(osr_slice_equal(osr_buffer_slice(&field), TEXT("as it isAP8")));
    osr_buffer_done(&field);
}

/* The first of a name is found, by the whole name. */
static void metadata_is_found_by_name(void **state)
{
    (void)state;
    const struct osr_grpc_metadata items[] = {
        {TEXT("ab"), TEXT("1")}, {TEXT("a"), TEXT("2")}, {TEXT("a"), TEXT("3")}};
    assert_ptr_equal(osr_grpc_metadata_find(items, COUNT(items), "a"), &items[1]);
    assert_null(osr_grpc_metadata_find(items, COUNT(items), "b"));
    assert_null(osr_grpc_metadata_find(NULL, 0, "a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metadata_names_of_grpc_and_http_are_not_custom),
        cmocka_unit_test(metadata_is_checked_before_it_is_sent),
        cmocka_unit_test(metadata_list_owns_what_was_added),
        cmocka_unit_test(metadata_field_is_decoded),
        cmocka_unit_test(metadata_field_that_is_no_base64_is_refused),
        cmocka_unit_test(metadata_list_is_bounded),
        cmocka_unit_test(metadata_is_written_as_header_field),
        cmocka_unit_test(metadata_is_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
