/* The cache of documents: what it says is what a look-up would say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/document_cache.h"

#define ORIGIN "0123456789abcdef0123456789abcdef"

struct sample {
    Osr__Json data;
    Osr__Version version;
    Osr__Document document;
};

static Osr__Document *sample(struct sample *sample, char *id, struct osr_slice data)
{
    osr__json__init(&sample->data);
    sample->data.text.data = (uint8_t *)data.data;
    sample->data.text.len = data.size;
    osr__version__init(&sample->version);
    sample->version.time_ms = 7;
    sample->version.origin = ORIGIN;
    osr__document__init(&sample->document);
    sample->document.id = id;
    sample->document.data = &sample->data;
    sample->document.version = &sample->version;
    return &sample->document;
}

/* Releases one entry, as the log would. */
static void release(struct osr_document_cache *cache, char *id, Osr__Operation operation,
                    const char *data)
{
    struct sample entry;
    struct osr_batch batch = {.first = 1};
    static const uint8_t chain[OSR_SHA256_SIZE];
    sample(&entry, id, osr_slice_text(data));
    if (operation == OSR__OPERATION__DELETE) {
        entry.document.data = NULL;
    }
    snprintf(batch.feed.origin, sizeof(batch.feed.origin), "%s", ORIGIN);
    osr_buffer_add(&batch.bytes, chain, sizeof(chain));
    osr_entry_encode(&batch.bytes, (struct osr_time){9, 1}, operation, &entry.document);
    osr_batch_close_entry(&batch);
    osr_document_cache_released(cache, &batch);
    osr_batch_done(&batch);
}

static enum osr_cached find(struct osr_document_cache *cache, const char *id,
                            Osr__Document **ret_document)
{
    return osr_document_cache_find(cache, osr_slice_text(id), 1000, ret_document);
}

static void keep(struct osr_document_cache *cache, char *id, const char *data)
{
    struct sample answer;
    uint64_t ticket = osr_document_cache_expect(cache, osr_slice_text(id));
    osr_document_cache_keep(cache, osr_slice_text(id), ticket,
                            data != NULL ? sample(&answer, id, osr_slice_text(data)) : NULL);
}

static void assert_document(struct osr_document_cache *cache, const char *id, const char *data,
                            uint64_t time_ms)
{
    Osr__Document *document = NULL;
    assert_int_equal(find(cache, id, &document), OSR_CACHED_DOCUMENT);
    assert_string_equal(document->id, id);
    assert_int_equal(document->data->text.len, strlen(data));
    assert_memory_equal(document->data->text.data, data, strlen(data));
    assert_int_equal(document->version->time_ms, time_ms);
    assert_string_equal(document->version->origin, ORIGIN);
}

static int set_up(void **state)
{
    *state = osr_document_cache_create(1);
    return 0;
}

static int tear_down(void **state)
{
    osr_document_cache_destroy(*state);
    return 0;
}

/* What was looked up is known until a new version is released. */
static void cache_knows_until_a_release(void **state)
{
    struct osr_document_cache *cache = *state;
    Osr__Document *document;
    assert_int_equal(find(cache, "a", &document), OSR_CACHED_NOTHING);
    keep(cache, "a", "\"one\"");
    assert_document(cache, "a", "\"one\"", 7);
    release(cache, "b", OSR__OPERATION__PUT, "1");
    assert_document(cache, "a", "\"one\"", 7);
    release(cache, "a", OSR__OPERATION__PUT, "\"two\"");
    assert_int_equal(find(cache, "a", &document), OSR_CACHED_NOTHING);
}

/* An answer that a release has overtaken is out of date, also where somebody else asks already. */
static void cache_drops_an_overtaken_answer(void **state)
{
    struct osr_document_cache *cache = *state;
    struct sample answer;
    Osr__Document *document;
    struct osr_slice id = osr_slice_text("a");
    sample(&answer, "a", osr_slice_text("1"));

    uint64_t before = osr_document_cache_expect(cache, id);
    release(cache, "a", OSR__OPERATION__PUT, "2");
    osr_document_cache_keep(cache, id, before, &answer.document);
    assert_int_equal(find(cache, "a", &document), OSR_CACHED_NOTHING);

    uint64_t after = osr_document_cache_expect(cache, id);
    osr_document_cache_keep(cache, id, before, NULL);
    assert_int_equal(find(cache, "a", &document), OSR_CACHED_NOTHING);
    osr_document_cache_keep(cache, id, after, &answer.document);
    assert_document(cache, "a", "1", 7);
}

/* Where there was nothing, the first version is the document; a deletion says nothing. */
static void cache_takes_the_first_version(void **state)
{
    struct osr_document_cache *cache = *state;
    Osr__Document *document;
    keep(cache, "a", NULL);
    assert_int_equal(find(cache, "a", &document), OSR_CACHED_ABSENCE);
    release(cache, "a", OSR__OPERATION__PUT, "[1]");
    assert_document(cache, "a", "[1]", 9);

    keep(cache, "b", NULL);
    release(cache, "b", OSR__OPERATION__DELETE, "");
    assert_int_equal(find(cache, "b", &document), OSR_CACHED_NOTHING);
}

/* An expired document is not given. */
static void cache_forgets_what_expires(void **state)
{
    struct osr_document_cache *cache = *state;
    struct sample answer;
    Osr__Document *document;
    struct osr_slice id = osr_slice_text("a");
    sample(&answer, "a", osr_slice_text("1"))->expires_ms = 1001;
    osr_document_cache_keep(cache, id, osr_document_cache_expect(cache, id), &answer.document);
    assert_int_equal(osr_document_cache_find(cache, id, 1000, &document), OSR_CACHED_DOCUMENT);
    assert_int_equal(osr_document_cache_find(cache, id, 1001, &document), OSR_CACHED_NOTHING);
    assert_int_equal(osr_document_cache_find(cache, id, 1000, &document), OSR_CACHED_NOTHING);
}

/* Documents of 64 KiB: more than fit. Those last asked for stay. */
static void cache_has_a_limit(void **state)
{
    enum { SIZE = 64 << 10, COUNT = 2 * OSR_DOCUMENT_CACHE_BYTES / SIZE };
    struct osr_document_cache *cache = *state;
    Osr__Document *document;
    char *data = osr_alloc(SIZE + 1);
    char id[16];
    size_t known = 0;
    memset(data, '1', SIZE);
    for (int i = 0; i < COUNT; i++) {
        snprintf(id, sizeof(id), "%d", i);
        keep(cache, id, data);
        assert_int_equal(find(cache, "0", &document), OSR_CACHED_DOCUMENT);
    }
    for (int i = 0; i < COUNT; i++) {
        snprintf(id, sizeof(id), "%d", i);
        known += find(cache, id, &document) == OSR_CACHED_DOCUMENT;
    }
    assert_in_range(known, COUNT / 8, COUNT / 2);
    assert_int_equal(find(cache, "1", &document), OSR_CACHED_NOTHING);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cache_knows_until_a_release, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cache_drops_an_overtaken_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cache_takes_the_first_version, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cache_forgets_what_expires, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cache_has_a_limit, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
