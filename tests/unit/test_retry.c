/* Which calls may be sent again, and after how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/retry.h"
#include "wire/codec.h"

/* A call as it would be sent. */
struct sample {
    const struct osr_method *method;
    struct osr_buffer message;
};

static struct sample sample_of(const char *method, const ProtobufCMessage *request)
{
    struct sample sample = {.method = osr_method_by_name(method)};
    osr_message_encode(OSR_CODEC_PROTOBUF, request, &sample.message);
    return sample;
}

static bool is_idempotent(const char *method, const ProtobufCMessage *request)
{
    struct sample sample = sample_of(method, request);
    bool answer = osr_retry_is_idempotent(sample.method, osr_buffer_slice(&sample.message));
    osr_buffer_done(&sample.message);
    return answer;
}

static bool is_allowed(const char *method, const ProtobufCMessage *request, enum osr_code code,
                       bool is_unsent)
{
    struct sample sample = sample_of(method, request);
    bool answer =
        osr_retry_is_allowed(sample.method, osr_buffer_slice(&sample.message), code, is_unsent);
    osr_buffer_done(&sample.message);
    return answer;
}

/* A put is repeated where the instance knows it again: by its source, not by its id. */
static void put_is_idempotent_by_its_source(void **state)
{
    (void)state;
    Osr__Source source = OSR__SOURCE__INIT;
    Osr__Document document = OSR__DOCUMENT__INIT;
    Osr__PutRequest put = OSR__PUT_REQUEST__INIT;
    assert_false(is_idempotent("kb_put", &put.base));
    put.document = &document;
    assert_false(is_idempotent("kb_put", &put.base));
    document.source = &source;
    assert_true(is_idempotent("kb_put", &put.base));
    document.id = (char *)"chosen";
    assert_false(is_idempotent("kb_put", &put.base));
    document.source = NULL;
    assert_false(is_idempotent("kb_put", &put.base));
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
    first.source = &source;
    assert_false(is_idempotent("kb_import", &import.base));
    /* It may have been written in part: not even BUSY makes it safe. */
    assert_false(is_allowed("kb_import", &import.base, OSR_BUSY, false));
    second.id = (char *)"chosen";
    assert_true(is_idempotent("kb_import", &import.base));
    assert_true(is_allowed("kb_import", &import.base, OSR_BUSY, false));
}

/* A watch for what is new would lack what came in between; one from a position does not. */
static void watch_is_idempotent_from_a_position(void **state)
{
    (void)state;
    Osr__WatchRequest watch = OSR__WATCH_REQUEST__INIT;
    assert_false(is_idempotent("kb_watch", &watch.base));
    watch.from_position = 1;
    assert_true(is_idempotent("kb_watch", &watch.base));
}

/* What cannot be read is not taken for something that may be repeated. */
static void broken_request_is_not_idempotent(void **state)
{
    (void)state;
    static const char *const asked[] = {"kb_put", "kb_import", "kb_watch"};
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        assert_false(
            osr_retry_is_idempotent(osr_method_by_name(asked[i]), osr_slice("\x0a\x7f", 2)));
    }
}

/* What the instance has not done may be sent again, whatever it was; else only what is idempotent;
 * and nothing that would fail again. */
static void error_decides(void **state)
{
    (void)state;
    Osr__Document document = OSR__DOCUMENT__INIT;
    Osr__PutRequest put = OSR__PUT_REQUEST__INIT;
    Osr__GetRequest get = OSR__GET_REQUEST__INIT;
    put.document = &document;
    assert_true(is_allowed("kb_put", &put.base, OSR_BUSY, false));
    assert_true(is_allowed("kb_put", &put.base, OSR_UNAVAILABLE, true));
    assert_false(is_allowed("kb_put", &put.base, OSR_UNAVAILABLE, false));
    assert_true(is_allowed("kb_get", &get.base, OSR_UNAVAILABLE, false));
    static const enum osr_code lasting[] = {OSR_NOT_FOUND, OSR_TIMEOUT,   OSR_CANCELLED,
                                            OSR_IO,        OSR_DISK_FULL, OSR_PERMISSION_DENIED};
    for (size_t i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++) {
        assert_false(is_allowed("kb_get", &get.base, lasting[i], true));
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
            uint32_t delay_ms = osr_retry_delay_ms(attempts, 0, &random);
            least_ms = delay_ms < least_ms ? delay_ms : least_ms;
            most_ms = delay_ms > most_ms ? delay_ms : most_ms;
        }
        assert_in_range(least_ms, whole_ms / 2, whole_ms * 6 / 10);
        assert_in_range(most_ms, whole_ms * 9 / 10, whole_ms);
        whole_ms = 2 * whole_ms < OSR_RETRY_MAX_MS ? 2 * whole_ms : OSR_RETRY_MAX_MS;
    }
}

/* An instance that asks to be left alone is, but not for ever; a longer pause of ours stays. */
static void pause_is_what_the_instance_asks_for(void **state)
{
    (void)state;
    struct osr_random random;
    osr_random_init(&random, 1);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(osr_retry_delay_ms(1, 1000, &random), 1000);
        assert_int_equal(osr_retry_delay_ms(1, UINT32_MAX, &random), OSR_RETRY_ASKED_MAX_MS);
        assert_in_range(osr_retry_delay_ms(40, 1000, &random), OSR_RETRY_MAX_MS / 2,
                        OSR_RETRY_MAX_MS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(put_is_idempotent_by_its_source),
        cmocka_unit_test(import_is_idempotent_as_a_whole),
        cmocka_unit_test(watch_is_idempotent_from_a_position),
        cmocka_unit_test(broken_request_is_not_idempotent),
        cmocka_unit_test(error_decides),
        cmocka_unit_test(pauses_double_with_jitter),
        cmocka_unit_test(pause_is_what_the_instance_asks_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
