/* What a document may be: each limit passes, and one more is refused. */
#include "lib/full_document.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/limits.h"

static int check(const Osr__Document *document)
{
    struct osr_err err;
    return osr_document_check(document, OSR__OPERATION__PUT, true, &err);
}

/* Text fields: their limit passes, a byte more does not; nor do control characters and
 * what is not UTF-8. */
static void document_check_holds_texts(void **state)
{
    (void)state;
    struct full_document full;
    full_document_init(&full);
    Osr__Document *document = &full.document;
    const struct {
        char **field;
        size_t size_max;
    } texts[] = {
        {&document->id, OSR_ID_BYTES_MAX},     {&document->collection, OSR_COLLECTION_BYTES_MAX},
        {&document->kind, OSR_KIND_BYTES_MAX}, {&document->author, OSR_AUTHOR_BYTES_MAX},
        {&full.tags[1], OSR_TAG_BYTES_MAX},    {&full.source.name, OSR_SOURCE_NAME_BYTES_MAX},
    };
    char long_text[300];
    memset(long_text, 'x', sizeof(long_text));
    assert_int_equal(check(document), 0);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char *kept = *texts[i].field;
        *texts[i].field = long_text;
        long_text[texts[i].size_max] = '\0';
        assert_int_equal(check(document), 0);
        long_text[texts[i].size_max] = 'x';
        long_text[texts[i].size_max + 1] = '\0';
        assert_int_equal(check(document), OSR_TOO_LARGE);
        long_text[texts[i].size_max + 1] = 'x';
        *texts[i].field = "ab\xff";
        assert_int_equal(check(document), OSR_MALFORMED);
        *texts[i].field = "a\nb";
        assert_int_equal(check(document), OSR_INVALID_ARGUMENT);
        *texts[i].field = kept;
        assert_int_equal(check(document), 0);
    }
}

/* An empty id passes only where Osiris makes one. */
static void document_check_needs_an_id(void **state)
{
    (void)state;
    struct full_document full;
    full_document_init(&full);
    full.document.id = "";
    struct osr_err err;
    assert_int_equal(osr_document_check(&full.document, OSR__OPERATION__PUT, false, &err), 0);
    assert_int_equal(osr_document_check(&full.document, OSR__OPERATION__PUT, true, &err),
                     OSR_INVALID_ARGUMENT);
}

/* As many tags and superseded versions as allowed pass, one more does not. */
static void document_check_counts(void **state)
{
    (void)state;
    struct full_document full;
    full_document_init(&full);
    char *tags[OSR_TAGS_MAX + 1];
    for (size_t i = 0; i <= OSR_TAGS_MAX; i++) {
        tags[i] = "tag";
    }
    full.document.tags = tags;
    full.document.n_tags = OSR_TAGS_MAX;
    assert_int_equal(check(&full.document), 0);
    full.document.n_tags++;
    assert_int_equal(check(&full.document), OSR_TOO_LARGE);
    full.document.n_tags = 0;

    Osr__Version *supersedes[OSR_SUPERSEDES_MAX + 1];
    for (size_t i = 0; i <= OSR_SUPERSEDES_MAX; i++) {
        supersedes[i] = &full.version;
    }
    full.document.supersedes = supersedes;
    full.document.n_supersedes = OSR_SUPERSEDES_MAX;
    assert_int_equal(check(&full.document), 0);
    full.document.n_supersedes++;
    assert_int_equal(check(&full.document), OSR_TOO_LARGE);
    full.document.n_supersedes = 1;
    full.version.origin = "nobody";
    assert_int_equal(check(&full.document), OSR_INVALID_ARGUMENT);
}

/* A source has a digest of 32 bytes, and counts from 1. */
static void document_check_holds_source(void **state)
{
    (void)state;
    struct full_document full;
    full_document_init(&full);
    full.source.digest.len = OSR_SHA256_SIZE - 1;
    assert_int_equal(check(&full.document), OSR_INVALID_ARGUMENT);
    full.source.digest.len = OSR_SHA256_SIZE;
    full.source.occurrence = 0;
    assert_int_equal(check(&full.document), OSR_INVALID_ARGUMENT);
}

static int check_data(const char *text)
{
    struct full_document full;
    full_document_init(&full);
    full.data.text = text_bytes(text);
    return check(&full.document);
}

/* Data is one JSON value; white space stands within strings alone, and it is not too deep. */
static void document_check_wants_compact_json(void **state)
{
    (void)state;
    const char *const good[] = {"1",
                                "null",
                                "\"\"",
                                "\" a b \"",
                                "[]",
                                "{\"a b\":[1,\"c d\",{}]}",
                                "[\" \\\" \",\" \"]",
                                "{\"a\":1,\"a\":1.10}",
                                "\"\\u0000\\ud800\""};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(check_data(good[i]), 0);
    }
    const char *const spaced[] = {" 1",       "1 ",          "1\n",        "[ ]",
                                  "[1, 2]",   "{\"a\": 1}",  "{\"a\" :1}", "{ \"a\":1}",
                                  "[\"a\" ]", "[\"a\",\t1]", "{\"a\":1 }", "[\"a\" ,\" \"]"};
    for (size_t i = 0; i < sizeof(spaced) / sizeof(spaced[0]); i++) {
        assert_int_equal(check_data(spaced[i]), OSR_MALFORMED);
    }
    const char *const bad[] = {"", "{", "[1,]", "1 2", "tru", "\"\xff\"", "\"\n\"", "01"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(check_data(bad[i]), OSR_MALFORMED);
    }
    char deep[2 * (OSR_DATA_DEPTH_MAX + 1) + 1] = {0};
    memset(deep, '[', OSR_DATA_DEPTH_MAX);
    memset(deep + OSR_DATA_DEPTH_MAX, ']', OSR_DATA_DEPTH_MAX);
    assert_int_equal(check_data(deep), 0);
    memset(deep, '[', OSR_DATA_DEPTH_MAX + 1);
    memset(deep + OSR_DATA_DEPTH_MAX + 1, ']', OSR_DATA_DEPTH_MAX + 1);
    assert_int_equal(check_data(deep), OSR_TOO_LARGE);
}

/* One MiB of data passes, a byte more does not. */
static void document_check_limits_data(void **state)
{
    (void)state;
    struct full_document full;
    full_document_init(&full);
    uint8_t *text = osr_alloc(OSR_DATA_BYTES_MAX + 1);
    memset(text, '7', OSR_DATA_BYTES_MAX + 1);
    full.data.text = (ProtobufCBinaryData){OSR_DATA_BYTES_MAX, text};
    assert_int_equal(check(&full.document), 0);
    full.data.text.len++;
    assert_int_equal(check(&full.document), OSR_TOO_LARGE);
    free(text);
}

/* A put has data, a delete has none. */
static void document_check_wants_data_in_puts_only(void **state)
{
    (void)state;
    struct full_document full;
    full_document_init(&full);
    struct osr_err err;
    assert_int_equal(osr_document_check(&full.document, OSR__OPERATION__DELETE, true, &err),
                     OSR_INVALID_ARGUMENT);
    full.document.data = NULL;
    assert_int_equal(osr_document_check(&full.document, OSR__OPERATION__DELETE, true, &err), 0);
    assert_int_equal(osr_document_check(&full.document, OSR__OPERATION__PUT, true, &err),
                     OSR_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(document_check_holds_texts),
        cmocka_unit_test(document_check_needs_an_id),
        cmocka_unit_test(document_check_counts),
        cmocka_unit_test(document_check_holds_source),
        cmocka_unit_test(document_check_wants_compact_json),
        cmocka_unit_test(document_check_limits_data),
        cmocka_unit_test(document_check_wants_data_in_puts_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
