/* gRPC's codes, its texts in header fields, and errors there and back. */
#include "wire/grpc_status.h"

#include "base/text.h"
#include "error_details.pb-c.h"
#include "status.pb-c.h"
#include "wire/encoding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define TEXT(literal) osr_slice(literal, sizeof(literal) - 1)

static void assert_text(struct osr_buffer *actual, const char *expected)
{
    osr_buffer_add_u8(actual, '\0');
    assert_string_equal((const char *)actual->data, expected);
    actual->size = 0;
}

/* ---- codes ---- */

/* The names are those of gRPC, at its numbers. */
static void grpc_codes_have_names(void **state)
{
    (void)state;
    assert_string_equal(osr_grpc_code_name(0), "OK");
    assert_string_equal(osr_grpc_code_name(5), "NOT_FOUND");
    assert_string_equal(osr_grpc_code_name(9), "FAILED_PRECONDITION");
    assert_string_equal(osr_grpc_code_name(16), "UNAUTHENTICATED");
    assert_string_equal(osr_grpc_code_name(17), "UNKNOWN");
    assert_string_equal(osr_grpc_code_name(-1), "UNKNOWN");
    assert_int_equal(OSR_GRPC_CODE_COUNT, 17);
}

/* Digits of a code are that code, all else is UNKNOWN, never OK. */
static void grpc_status_field_is_parsed(void **state)
{
    (void)state;
    char digits[16];
    for (int code = 0; code < OSR_GRPC_CODE_COUNT; code++) {
        snprintf(digits, sizeof(digits), "%d", code);
        assert_int_equal(osr_grpc_code_parse(osr_slice_text(digits)), code);
    }
    static const char *const others[] = {
        "",   "17",  "99", "18446744073709551616", "-1", "+0", " 0", "0 ", "0x1", "OK",
        "1.", "4,5", "0\n"};
    for (size_t i = 0; i < COUNT(others); i++) {
        assert_int_equal(osr_grpc_code_parse(osr_slice_text(others[i])), OSR_GRPC_UNKNOWN);
    }
    assert_int_equal(osr_grpc_code_parse(TEXT("0\0")), OSR_GRPC_UNKNOWN);
}

/* An answer of plain HTTP, as from a proxy, gets the code that gRPC's table names. */
static void grpc_code_follows_from_http_status(void **state)
{
    (void)state;
    static const struct {
        int http_status;
        enum osr_grpc_code code;
    } cases[] = {
        {400, OSR_GRPC_INTERNAL},
        {401, OSR_GRPC_UNAUTHENTICATED},
        {403, OSR_GRPC_PERMISSION_DENIED},
        {404, OSR_GRPC_UNIMPLEMENTED},
        {429, OSR_GRPC_UNAVAILABLE},
        {502, OSR_GRPC_UNAVAILABLE},
        {503, OSR_GRPC_UNAVAILABLE},
        {504, OSR_GRPC_UNAVAILABLE},
        {200, OSR_GRPC_UNKNOWN},
        {302, OSR_GRPC_UNKNOWN},
        {415, OSR_GRPC_UNKNOWN},
        {500, OSR_GRPC_UNKNOWN},
        {0, OSR_GRPC_UNKNOWN},
        {-1, OSR_GRPC_UNKNOWN},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(osr_grpc_code_from_http(cases[i].http_status), cases[i].code);
    }
}

/* So does a reset, by its HTTP/2 error code. */
static void grpc_code_follows_from_reset(void **state)
{
    (void)state;
    for (uint32_t error = 0; error < 20; error++) {
        enum osr_grpc_code expected = error == 7    ? OSR_GRPC_UNAVAILABLE
                                      : error == 8  ? OSR_GRPC_CANCELLED
                                      : error == 11 ? OSR_GRPC_RESOURCE_EXHAUSTED
                                      : error == 12 ? OSR_GRPC_PERMISSION_DENIED
                                                    : OSR_GRPC_INTERNAL;
        assert_int_equal(osr_grpc_code_from_reset(error), expected);
    }
    assert_int_equal(osr_grpc_code_from_reset(UINT32_MAX), OSR_GRPC_INTERNAL);
}

/* ---- grpc-timeout ---- */

/* Each unit, rounded up to milliseconds, up to the largest. */
static void grpc_timeout_is_parsed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t timeout_ms;
    } cases[] = {
        {"0m", 0},       {"0n", 0},          {"1n", 1},          {"1000000n", 1},
        {"1000001n", 2}, {"99999999n", 100}, {"1u", 1},          {"1000u", 1},
        {"1001u", 2},    {"1m", 1},          {"00000250m", 250}, {"99999999m", 99999999},
        {"1S", 1000},    {"2M", 120000},     {"3H", 10800000},   {"99999999H", 359999996400000},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t timeout_ms = UINT64_MAX;
        assert_true(osr_grpc_timeout_parse(osr_slice_text(cases[i].text), &timeout_ms));
        assert_int_equal(timeout_ms, cases[i].timeout_ms);
    }
}

/* What is no time-out is refused, and nothing is given. */
static void grpc_timeout_refuses_other_text(void **state)
{
    (void)state;
    static const char *const refused[] = {"",    "m",    "1",   "123456789m", "1s",   "1h",
                                          "1N",  "1ms",  "-1m", "+1m",        " 1m",  "1 m",
                                          "1m ", "1.5S", "mm",  "1U",         "0x1m", "1mm"};
    for (size_t i = 0; i < COUNT(refused); i++) {
        uint64_t timeout_ms = 4711;
        assert_false(osr_grpc_timeout_parse(osr_slice_text(refused[i]), &timeout_ms));
        assert_int_equal(timeout_ms, 4711);
    }
    uint64_t timeout_ms;
    assert_false(osr_grpc_timeout_parse(osr_slice(NULL, 0), &timeout_ms));
    assert_false(osr_grpc_timeout_parse(TEXT("1\0m"), &timeout_ms));
}

/* What is written has eight digits at most, is never shorter than what was meant, and is exact as
 * long as milliseconds suffice. */
static void grpc_timeout_is_written(void **state)
{
    (void)state;
    static const struct {
        uint64_t timeout_ms;
        const char *text;
    } cases[] = {
        {0, "0m"},
        {1, "1m"},
        {99999999, "99999999m"},
        {100000000, "100000S"},
        {100000001, "100001S"},
        {99999999000, "99999999S"},
        {99999999001, "1666667M"},
        {5999999940001, "1666667H"},
        {359999996400001, "99999999H"},
        {UINT64_MAX, "99999999H"},
    };
    struct osr_buffer text = {0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        osr_grpc_timeout_write(&text, cases[i].timeout_ms);
        uint64_t again_ms;
        assert_true(osr_grpc_timeout_parse(osr_buffer_slice(&text), &again_ms));
        assert_true(again_ms >= cases[i].timeout_ms || again_ms == 359999996400000);
        assert_text(&text, cases[i].text);
    }
    osr_buffer_done(&text);
}

/* ---- grpc-message ---- */

/* What is not printable ASCII is escaped, and comes back. */
static void grpc_message_text_goes_there_and_back(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *field;
    } cases[] = {
        {"", ""},
        {"no such document ~", "no such document ~"},
        {"100 %", "100 %25"},
        {"caf\xc3\xa9", "caf%C3%A9"},
        {"a\r\nb\x7f", "a%0D%0Ab%7F"},
        {"\t\x01\xff", "%09%01%FF"},
    };
    struct osr_buffer field = {0};
    struct osr_buffer text = {0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        osr_grpc_message_text_write(&field, osr_slice_text(cases[i].text));
        osr_grpc_message_text_parse(&text, osr_buffer_slice(&field));
        assert_text(&field, cases[i].field);
        assert_text(&text, cases[i].text);
    }
    uint8_t all[256];
    for (size_t i = 0; i < sizeof(all); i++) {
        all[i] = (uint8_t)i;
    }
    osr_grpc_message_text_write(&field, osr_slice(all, sizeof(all)));
    osr_grpc_message_text_parse(&text, osr_buffer_slice(&field));
    assert_true(osr_slice_equal(osr_buffer_slice(&text), osr_slice(all, sizeof(all))));
    osr_buffer_done(&field);
    osr_buffer_done(&text);
}

/* Escapes of either case are resolved; what is broken stays as it is, and so do raw bytes. */
static void grpc_message_text_leaves_broken_escapes(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"%c3%A9", "\xc3\xa9"}, {"%", "%"},     {"a%2", "a%2"},   {"%zz", "%zz"},
        {"%2z%41", "%2zA"},     {"%%41", "%A"}, {"%4%41", "%4A"}, {"caf\xc3\xa9", "caf\xc3\xa9"},
        {"%25%34%31", "%41"},   {"%+1", "%+1"}, {"% 1", "% 1"},   {"%-1", "%-1"},
    };
    struct osr_buffer text = {0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t size = strlen(cases[i][0]);
        char *field = memcpy(osr_alloc(size), cases[i][0], size); /* nothing to read behind it */
        osr_grpc_message_text_parse(&text, osr_slice(field, size));
        assert_text(&text, cases[i][1]);
        free(field);
    }
    osr_buffer_done(&text);
}

/* ---- details ---- */

static struct osr_err read_error(int grpc_code, const char *message,
                                 const struct osr_buffer *details)
{
    struct osr_err err;
    osr_grpc_error_read(grpc_code, osr_slice_text(message), osr_buffer_slice(details), &err);
    return err;
}

/* Each of our errors comes out at the other side as it went in: code, message and hint. */
static void grpc_error_goes_there_and_back(void **state)
{
    (void)state;
    for (int code = OSR_OK + 1; code < OSR_CODE_COUNT; code++) {
        for (int has_hint = 0; has_hint < 2; has_hint++) {
            struct osr_err err;
            osr_err_set(&err, (enum osr_code)code, "document '%s': code %d", "caf\xc3\xa9", code);
            if (has_hint) {
                osr_err_hint(&err, "look for %d", code);
            }
            struct osr_buffer details = {0};
            osr_grpc_details_write(&details, &err);
            int grpc_code = osr_code_info(err.code)->grpc_status;
            struct osr_err again = read_error(grpc_code, err.message, &details);
            assert_int_equal(again.code, err.code);
            assert_string_equal(again.message, err.message);
            assert_string_equal(again.hint, err.hint);
            osr_buffer_done(&details);
        }
    }
}

static const ProtobufCMessage *unpack(const ProtobufCMessageDescriptor *descriptor,
                                      struct osr_slice bytes, struct osr_arena *arena)
{
    ProtobufCMessage *message = NULL;
    assert_int_equal(osr_protobuf_decode(descriptor, bytes, arena, &message, NULL), 0);
    return message;
}

static const ProtobufCMessage *unpack_any(const ProtobufCMessageDescriptor *descriptor,
                                          const GoogleProtobuf__Any *any, struct osr_arena *arena)
{
    return unpack(descriptor, osr_slice(any->value.data, any->value.len), arena);
}

/* The details are what other clients know: a google.rpc.Status with ErrorInfo, and RetryInfo
 * where trying again may help. */
static void grpc_details_are_google_rpc_status(void **state)
{
    (void)state;
    struct osr_arena *arena = osr_arena_create(0, 100000);
    struct osr_err err;
    osr_err_set(&err, OSR_BUSY, "too much to do");
    osr_err_hint(&err, "wait");
    struct osr_buffer details = {0};
    osr_buffer_add_text(&details, "x"); /* appended, not put in place */
    osr_grpc_details_write(&details, &err);
    const GoogleRpc__Status *status = (const GoogleRpc__Status *)unpack(
        &google_rpc__status__descriptor, osr_slice(details.data + 1, details.size - 1), arena);
    assert_int_equal(status->code, OSR_GRPC_UNAVAILABLE);
    assert_string_equal(status->message, "too much to do");
    assert_int_equal(status->n_details, 2);

    assert_string_equal(status->details[0]->type_url, "type.googleapis.com/google.rpc.ErrorInfo");
    const GoogleRpc__ErrorInfo *info = (const GoogleRpc__ErrorInfo *)unpack_any(
        &google_rpc__error_info__descriptor, status->details[0], arena);
    assert_string_equal(info->reason, "BUSY");
    assert_string_equal(info->domain, "osiris");
    assert_int_equal(info->n_metadata, 1);
    assert_string_equal(info->metadata[0]->key, "hint");
    assert_string_equal(info->metadata[0]->value, "wait");

    assert_string_equal(status->details[1]->type_url, "type.googleapis.com/google.rpc.RetryInfo");
    const GoogleRpc__RetryInfo *retry = (const GoogleRpc__RetryInfo *)unpack_any(
        &google_rpc__retry_info__descriptor, status->details[1], arena);
    assert_int_equal(retry->retry_delay->seconds * 1000 + retry->retry_delay->nanos / 1000000,
                     OSR_GRPC_RETRY_DELAY_MS);

    osr_err_set(&err, OSR_NOT_FOUND, "gone");
    details.size = 0;
    osr_grpc_details_write(&details, &err);
    status = (const GoogleRpc__Status *)unpack(&google_rpc__status__descriptor,
                                               osr_buffer_slice(&details), arena);
    assert_int_equal(status->n_details, 1);
    info = (const GoogleRpc__ErrorInfo *)unpack_any(&google_rpc__error_info__descriptor,
                                                    status->details[0], arena);
    assert_int_equal(info->n_metadata, 0);
    osr_buffer_done(&details);
    osr_arena_destroy(arena);
}

/* What a client is told of the time to wait; untrue times are none. */
static void retry_delay_is_read(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        int32_t nanos;
        uint32_t delay_ms;
    } cases[] = {
        {1, 0, 1000}, {2, 500 * 1000000, 2500},   {0, 999999, 0},    {-1, 0, 0},
        {1, -1, 0},   {INT64_MAX, 0, UINT32_MAX}, {INT64_MIN, 0, 0}, {0, INT32_MAX, 2147},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        GoogleProtobuf__Duration delay = GOOGLE_PROTOBUF__DURATION__INIT;
        delay.seconds = cases[i].seconds;
        delay.nanos = cases[i].nanos;
        GoogleRpc__RetryInfo retry = GOOGLE_RPC__RETRY_INFO__INIT;
        retry.retry_delay = &delay;
        struct osr_buffer value = {0}, details = {0};
        osr_protobuf_encode(&retry.base, &value);
        GoogleProtobuf__Any empty = GOOGLE_PROTOBUF__ANY__INIT;
        GoogleProtobuf__Any any = GOOGLE_PROTOBUF__ANY__INIT;
        any.type_url = (char *)"type.googleapis.com/google.rpc.RetryInfo";
        any.value = (ProtobufCBinaryData){value.size, value.data};
        GoogleProtobuf__Any *anys[] = {&empty, &any};
        GoogleRpc__Status status = GOOGLE_RPC__STATUS__INIT;
        status.n_details = COUNT(anys);
        status.details = anys;
        osr_protobuf_encode(&status.base, &details);
        assert_int_equal(osr_grpc_retry_read(osr_buffer_slice(&details)), cases[i].delay_ms);
        osr_buffer_done(&value);
        osr_buffer_done(&details);
    }
}

/* Our own errors say when to try again where that makes sense; noise says nothing. */
static void retry_delay_is_of_errors_that_pass(void **state)
{
    (void)state;
    static const struct {
        enum osr_code code;
        uint32_t delay_ms;
    } cases[] = {{OSR_BUSY, OSR_GRPC_RETRY_DELAY_MS}, {OSR_NOT_FOUND, 0}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct osr_buffer details = {0};
        struct osr_err err;
        osr_err_set(&err, cases[i].code, "as wanted");
        osr_grpc_details_write(&details, &err);
        assert_int_equal(osr_grpc_retry_read(osr_buffer_slice(&details)), cases[i].delay_ms);
        osr_buffer_done(&details);
    }
    assert_int_equal(osr_grpc_retry_read(osr_slice("", 0)), 0);
    assert_int_equal(osr_grpc_retry_read(osr_slice("\xff\xff\xff", 3)), 0);
}

/* A status with one detail: an ErrorInfo of that domain and reason, under that type. */
static void write_foreign(struct osr_buffer *details, const char *type_url, const char *domain,
                          const char *reason)
{
    GoogleRpc__ErrorInfo__MetadataEntry entry = GOOGLE_RPC__ERROR_INFO__METADATA_ENTRY__INIT;
    entry.key = (char *)"hint";
    entry.value = (char *)"a hint";
    GoogleRpc__ErrorInfo__MetadataEntry *metadata[] = {&entry};
    GoogleRpc__ErrorInfo info = GOOGLE_RPC__ERROR_INFO__INIT;
    info.domain = (char *)domain;
    info.reason = (char *)reason;
    info.n_metadata = 1;
    info.metadata = metadata;
    struct osr_buffer value = {0};
    osr_protobuf_encode(&info.base, &value);

    GoogleProtobuf__Any any = GOOGLE_PROTOBUF__ANY__INIT;
    any.type_url = (char *)type_url;
    any.value = (ProtobufCBinaryData){value.size, value.data};
    GoogleProtobuf__Any empty = GOOGLE_PROTOBUF__ANY__INIT;
    GoogleProtobuf__Any *anys[] = {&empty, &any};
    GoogleRpc__Status status = GOOGLE_RPC__STATUS__INIT;
    status.message = (char *)"from the details";
    status.n_details = COUNT(anys);
    status.details = anys;
    details->size = 0;
    osr_protobuf_encode(&status.base, details);
    osr_buffer_done(&value);
}

/* Without details the code is the nearest to gRPC's, of the same kind: what may be tried again
 * stays so. */
static void grpc_error_of_foreign_server_has_nearest_code(void **state)
{
    (void)state;
    static const enum osr_code codes[] = {
        [OSR_GRPC_CANCELLED] = OSR_CANCELLED,
        [OSR_GRPC_UNKNOWN] = OSR_INTERNAL,
        [OSR_GRPC_INVALID_ARGUMENT] = OSR_INVALID_ARGUMENT,
        [OSR_GRPC_DEADLINE_EXCEEDED] = OSR_TIMEOUT,
        [OSR_GRPC_NOT_FOUND] = OSR_NOT_FOUND,
        [OSR_GRPC_ALREADY_EXISTS] = OSR_ALREADY_EXISTS,
        [OSR_GRPC_PERMISSION_DENIED] = OSR_PERMISSION_DENIED,
        [OSR_GRPC_RESOURCE_EXHAUSTED] = OSR_TOO_LARGE,
        [OSR_GRPC_FAILED_PRECONDITION] = OSR_INVALID_ARGUMENT,
        [OSR_GRPC_ABORTED] = OSR_BUSY,
        [OSR_GRPC_OUT_OF_RANGE] = OSR_INVALID_ARGUMENT,
        [OSR_GRPC_UNIMPLEMENTED] = OSR_UNKNOWN_TYPE,
        [OSR_GRPC_INTERNAL] = OSR_INTERNAL,
        [OSR_GRPC_UNAVAILABLE] = OSR_UNAVAILABLE,
        [OSR_GRPC_DATA_LOSS] = OSR_CORRUPT,
        [OSR_GRPC_UNAUTHENTICATED] = OSR_UNAUTHENTICATED,
        [OSR_GRPC_CODE_COUNT] = OSR_INTERNAL,
    };
    const struct osr_buffer none = {0};
    for (int grpc_code = 1; grpc_code <= OSR_GRPC_CODE_COUNT; grpc_code++) {
        struct osr_err err = read_error(grpc_code, "theirs", &none);
        assert_int_equal(err.code, codes[grpc_code]);
        assert_string_equal(err.message, "theirs");
        assert_string_equal(err.hint, "");
    }
}

/* Only an ErrorInfo of our domain, of a reason that is ours and fits the status, is believed. */
static void grpc_error_believes_only_our_details(void **state)
{
    (void)state;
    static const char type[] = "type.googleapis.com/google.rpc.ErrorInfo";
    static const struct {
        const char *type_url;
        const char *domain;
        const char *reason;
        enum osr_code code;
    } cases[] = {
        {type, "osiris", "DISK_FULL", OSR_DISK_FULL},
        {"example.org/other/google.rpc.ErrorInfo", "osiris", "DISK_FULL", OSR_DISK_FULL},
        {type, "googleapis.com", "DISK_FULL", OSR_TOO_LARGE},
        {type, "osiris", "NO_SUCH_REASON", OSR_TOO_LARGE},
        {type, "osiris", "", OSR_TOO_LARGE},
        {type, "osiris", "OK", OSR_TOO_LARGE},
        {type, "osiris", "NOT_FOUND", OSR_TOO_LARGE}, /* of another status */
        {"type.googleapis.com/google.rpc.BadRequest", "osiris", "DISK_FULL", OSR_TOO_LARGE},
        {"google.rpc.ErrorInfo", "osiris", "DISK_FULL", OSR_TOO_LARGE},
    };
    struct osr_buffer details = {0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        write_foreign(&details, cases[i].type_url, cases[i].domain, cases[i].reason);
        struct osr_err err = read_error(OSR_GRPC_RESOURCE_EXHAUSTED, "theirs", &details);
        assert_int_equal(err.code, cases[i].code);
        assert_string_equal(err.message, "theirs");
        assert_string_equal(err.hint, cases[i].code == OSR_DISK_FULL ? "a hint" : "");
    }
    osr_buffer_done(&details);
}

/* The message is the header field's, else the details', else the code's name; always plain. */
static void grpc_error_has_a_message(void **state)
{
    (void)state;
    struct osr_buffer details = {0};
    const struct osr_buffer none = {0};
    write_foreign(&details, "type.googleapis.com/google.rpc.ErrorInfo", "osiris", "NOT_FOUND");
    assert_string_equal(read_error(5, "a\nb", &details).message, "a?b");
    assert_string_equal(read_error(5, "", &details).message, "from the details");
    assert_string_equal(read_error(5, "", &none).message, "NOT_FOUND");
    assert_string_equal(read_error(4711, "", &none).message, "UNKNOWN");
    char longer[2000];
    memset(longer, 'x', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(strlen(read_error(5, longer, &none).message), OSR_ERR_MESSAGE_MAX - 1);
    osr_buffer_done(&details);
}

/* Details that cannot be read take nothing from the error: cut at each byte, made of noise, and
 * such as unfold into too much. */
static void grpc_error_survives_garbage(void **state)
{
    (void)state;
    struct osr_buffer details = {0};
    write_foreign(&details, "type.googleapis.com/google.rpc.ErrorInfo", "osiris", "NOT_FOUND");
    size_t whole = details.size;
    for (details.size = 0; details.size < whole; details.size++) {
        struct osr_err err = read_error(OSR_GRPC_NOT_FOUND, "theirs", &details);
        assert_int_equal(err.code, OSR_NOT_FOUND);
        assert_string_equal(err.message, "theirs");
        assert_string_equal(err.hint, "");
    }
    for (size_t i = 0; i < whole; i++) {
        details.data[i] ^= 0xff;
        assert_string_equal(read_error(OSR_GRPC_NOT_FOUND, "theirs", &details).message, "theirs");
        details.data[i] ^= 0xff;
    }
    details.size = 0;
    for (int i = 0; i < 30000; i++) {
        osr_buffer_add(&details, "\x1a\0", 2); /* an empty Any */
    }
    struct osr_err err = read_error(OSR_GRPC_UNAVAILABLE, "theirs", &details);
    assert_int_equal(err.code, OSR_UNAVAILABLE);
    assert_string_equal(err.message, "theirs");
    osr_buffer_done(&details);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grpc_codes_have_names),
        cmocka_unit_test(grpc_status_field_is_parsed),
        cmocka_unit_test(grpc_code_follows_from_http_status),
        cmocka_unit_test(grpc_code_follows_from_reset),
        cmocka_unit_test(grpc_timeout_is_parsed),
        cmocka_unit_test(grpc_timeout_refuses_other_text),
        cmocka_unit_test(grpc_timeout_is_written),
        cmocka_unit_test(grpc_message_text_goes_there_and_back),
        cmocka_unit_test(grpc_message_text_leaves_broken_escapes),
        cmocka_unit_test(grpc_error_goes_there_and_back),
        cmocka_unit_test(retry_delay_is_read),
        cmocka_unit_test(retry_delay_is_of_errors_that_pass),
        cmocka_unit_test(grpc_details_are_google_rpc_status),
        cmocka_unit_test(grpc_error_of_foreign_server_has_nearest_code),
        cmocka_unit_test(grpc_error_believes_only_our_details),
        cmocka_unit_test(grpc_error_has_a_message),
        cmocka_unit_test(grpc_error_survives_garbage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
