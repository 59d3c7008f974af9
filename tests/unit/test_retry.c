/* Which calls may be sent again, and after how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/retry.h"

static Osr__Frame put_of(Osr__PutRequest *put, Osr__Document *document)
{
    osr__put_request__init(put);
    put->document = document;
    Osr__Frame frame = OSR__FRAME__INIT;
    frame.body_case = OSR__FRAME__BODY_KB_PUT;
    frame.kb_put = put;
    return frame;
}

/* A put is repeated where the instance knows it again: by its source, not by its id. */
static void put_is_idempotent_by_its_source(void **state)
{
    (void)state;
    Osr__Source source = OSR__SOURCE__INIT;
    Osr__Document document = OSR__DOCUMENT__INIT;
    Osr__PutRequest put;
    Osr__Frame frame = put_of(&put, &document);
    assert_false(osr_retry_is_idempotent(&frame));
    document.source = &source;
    assert_true(osr_retry_is_idempotent(&frame));
    document.id = (char *)"chosen";
    assert_false(osr_retry_is_idempotent(&frame));
    document.source = NULL;
    assert_false(osr_retry_is_idempotent(&frame));
    put.document = NULL;
    assert_false(osr_retry_is_idempotent(&frame));
}

/* An import is repeated where the instance knows each document of it again. */
static void import_is_idempotent_as_a_whole(void **state)
{
    (void)state;
    Osr__Source source = OSR__SOURCE__INIT;
    Osr__Document first = OSR__DOCUMENT__INIT, second = OSR__DOCUMENT__INIT;
    Osr__Document *documents[] = {&first, &second};
    Osr__ImportRequest import = OSR__IMPORT_REQUEST__INIT;
    import.n_documents = 2;
    import.documents = documents;
    Osr__Frame frame = OSR__FRAME__INIT;
    frame.body_case = OSR__FRAME__BODY_KB_IMPORT;
    frame.kb_import = &import;
    first.source = &source;
    assert_false(osr_retry_is_idempotent(&frame));
    /* It may have been written in part: not even BUSY makes it safe. */
    assert_false(osr_retry_is_allowed(&frame, OSR_BUSY, false));
    second.id = (char *)"chosen";
    assert_true(osr_retry_is_idempotent(&frame));
    assert_true(osr_retry_is_allowed(&frame, OSR_BUSY, false));
}

/* A watch for what is new would lack what came in between; one from a position does not. */
static void watch_is_idempotent_from_a_position(void **state)
{
    (void)state;
    Osr__WatchRequest watch = OSR__WATCH_REQUEST__INIT;
    Osr__Frame frame = OSR__FRAME__INIT;
    frame.body_case = OSR__FRAME__BODY_KB_WATCH;
    frame.kb_watch = &watch;
    assert_false(osr_retry_is_idempotent(&frame));
    watch.from_position = 1;
    assert_true(osr_retry_is_idempotent(&frame));
}

/* What the instance has not done may be sent again, whatever it was; else only what is idempotent;
 * and nothing that would fail again. */
static void error_decides(void **state)
{
    (void)state;
    Osr__Document document = OSR__DOCUMENT__INIT;
    Osr__PutRequest put;
    Osr__Frame write = put_of(&put, &document);
    Osr__GetRequest get = OSR__GET_REQUEST__INIT;
    Osr__Frame read = OSR__FRAME__INIT;
    read.body_case = OSR__FRAME__BODY_KB_GET;
    read.kb_get = &get;

    assert_true(osr_retry_is_allowed(&write, OSR_BUSY, false));
    assert_true(osr_retry_is_allowed(&write, OSR_UNAVAILABLE, true));
    assert_false(osr_retry_is_allowed(&write, OSR_UNAVAILABLE, false));
    assert_true(osr_retry_is_allowed(&read, OSR_UNAVAILABLE, false));
    static const enum osr_code lasting[] = {OSR_NOT_FOUND, OSR_TIMEOUT,   OSR_CANCELLED,
                                            OSR_IO,        OSR_DISK_FULL, OSR_PERMISSION_DENIED};
    for (size_t i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++) {
        assert_false(osr_retry_is_allowed(&read, lasting[i], true));
    }
}

/* Pauses double up to a limit, and of each at least half is kept. */
static void pauses_double_with_jitter(void **state)
{
    (void)state;
    struct osr_random random;
    osr_random_init(&random, 1);
    uint32_t whole_ms = OSR_RETRY_FIRST_MS;
    for (uint32_t attempts = 1; attempts < 40; attempts++) {
        uint32_t least_ms = UINT32_MAX, most_ms = 0;
        for (int i = 0; i < 200; i++) {
            uint32_t delay_ms = osr_retry_delay_ms(attempts, &random);
            least_ms = delay_ms < least_ms ? delay_ms : least_ms;
            most_ms = delay_ms > most_ms ? delay_ms : most_ms;
        }
        assert_in_range(least_ms, whole_ms / 2, whole_ms * 6 / 10);
        assert_in_range(most_ms, whole_ms * 9 / 10, whole_ms);
        whole_ms = 2 * whole_ms < OSR_RETRY_MAX_MS ? 2 * whole_ms : OSR_RETRY_MAX_MS;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(put_is_idempotent_by_its_source),
        cmocka_unit_test(import_is_idempotent_as_a_whole),
        cmocka_unit_test(watch_is_idempotent_from_a_position),
        cmocka_unit_test(error_decides),
        cmocka_unit_test(pauses_double_with_jitter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
