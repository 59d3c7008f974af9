/* Health: Check and Watch over a set of services. */
#include "wire/grpc_health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "health.pb-c.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define STATUS(NAME) GRPC_HEALTH_V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##NAME

static const char *const services[] = {"osiris.v1.Knowledge", "osiris.v1.Replication"};

static int open_health(void **state)
{
    *state = osr_grpc_health_create(services, COUNT(services));
    return 0;
}

static int close_health(void **state)
{
    osr_grpc_health_destroy(*state);
    return 0;
}

static void write_request(struct osr_buffer *request, const char *service)
{
    GrpcHealthV1__HealthCheckRequest message = GRPC_HEALTH_V1__HEALTH_CHECK_REQUEST__INIT;
    message.service = (char *)service;
    size_t size = grpc_health_v1__health_check_request__get_packed_size(&message);
    grpc_health_v1__health_check_request__pack(&message, osr_buffer_reserve(request, size));
    request->size += size;
}

/* Frees it, too. */
static int status_of(struct osr_buffer *response)
{
    GrpcHealthV1__HealthCheckResponse *message =
        grpc_health_v1__health_check_response__unpack(NULL, response->size, response->data);
    assert_non_null(message);
    int status = message->status;
    grpc_health_v1__health_check_response__free_unpacked(message, NULL);
    osr_buffer_done(response);
    return status;
}

static int check(struct osr_grpc_health *health, const char *service)
{
    struct osr_buffer request = {0};
    struct osr_buffer response = {0};
    struct osr_err err;
    write_request(&request, service);
    assert_int_equal(osr_grpc_health_check(health, osr_buffer_slice(&request), &response, &err), 0);
    osr_buffer_done(&request);
    return status_of(&response);
}

static void count_news(void *context, struct osr_grpc_health_watch *watch)
{
    (void)watch;
    ++*(size_t *)context;
}

static struct osr_grpc_health_watch *watch_service(struct osr_grpc_health *health,
                                                   const char *service, size_t *news)
{
    struct osr_buffer request = {0};
    struct osr_grpc_health_watch *watch = NULL;
    struct osr_err err;
    write_request(&request, service);
    assert_int_equal(osr_grpc_health_watch_create(health, osr_buffer_slice(&request), count_news,
                                                  news, &watch, &err),
                     0);
    osr_buffer_done(&request);
    return watch;
}

static void assert_takes(struct osr_grpc_health_watch *watch, int status)
{
    struct osr_buffer response = {0};
    assert_true(osr_grpc_health_watch_take(watch, &response));
    assert_int_equal(status_of(&response), status);
}

static void assert_takes_nothing(struct osr_grpc_health_watch *watch)
{
    struct osr_buffer response = {0};
    assert_false(osr_grpc_health_watch_take(watch, &response));
    assert_int_equal(response.size, 0);
}

/* Nothing serves until it is said to; each service has a state of its own. */
static void health_checks_each_service(void **state)
{
    struct osr_grpc_health *health = *state;
    assert_int_equal(check(health, ""), STATUS(NOT_SERVING));
    assert_int_equal(check(health, services[0]), STATUS(NOT_SERVING));
    osr_grpc_health_set(health, services[0], true);
    assert_int_equal(check(health, services[0]), STATUS(SERVING));
    assert_int_equal(check(health, services[1]), STATUS(NOT_SERVING));
    assert_int_equal(check(health, ""), STATUS(NOT_SERVING));
    osr_grpc_health_set(health, "", true);
    assert_int_equal(check(health, ""), STATUS(SERVING));
    osr_grpc_health_set_all(health, false);
    assert_int_equal(check(health, ""), STATUS(NOT_SERVING));
    assert_int_equal(check(health, services[0]), STATUS(NOT_SERVING));
}

/* A check of a service that is not there is NOT_FOUND; no bytes at all ask for the server. */
static void health_check_of_unknown_service(void **state)
{
    struct osr_buffer request = {0};
    struct osr_buffer response = {0};
    struct osr_err err;
    write_request(&request, "osiris.v1.Nothing");
    assert_int_equal(osr_grpc_health_check(*state, osr_buffer_slice(&request), &response, &err),
                     OSR_NOT_FOUND);
    assert_int_equal(response.size, 0);
    osr_buffer_done(&request);
    assert_int_equal(osr_grpc_health_check(*state, osr_slice(NULL, 0), &response, &err), 0);
    assert_int_equal(status_of(&response), STATUS(NOT_SERVING));
}

/* A watch gives the state at once, then each change, and nothing where nothing changed. */
static void health_watch_tells_changes(void **state)
{
    struct osr_grpc_health *health = *state;
    size_t news = 0;
    struct osr_grpc_health_watch *watch = watch_service(health, services[0], &news);
    assert_takes(watch, STATUS(NOT_SERVING));
    assert_takes_nothing(watch);
    osr_grpc_health_set(health, services[0], true);
    assert_int_equal(news, 1);
    assert_takes(watch, STATUS(SERVING));
    osr_grpc_health_set(health, services[0], true);
    osr_grpc_health_set(health, services[1], true);
    osr_grpc_health_set(health, "", true);
    assert_int_equal(news, 1);
    assert_takes_nothing(watch);
    osr_grpc_health_set_all(health, false);
    assert_int_equal(news, 2);
    assert_takes(watch, STATUS(NOT_SERVING));
    osr_grpc_health_watch_destroy(watch);
}

/* Who takes late gets the newest state alone, and nothing if it is what was taken before. */
static void health_watch_skips_what_was_missed(void **state)
{
    struct osr_grpc_health *health = *state;
    size_t news = 0;
    struct osr_grpc_health_watch *watch = watch_service(health, "", &news);
    osr_grpc_health_set(health, "", true);
    assert_takes(watch, STATUS(SERVING));
    osr_grpc_health_set(health, "", false);
    osr_grpc_health_set(health, "", true);
    assert_int_equal(news, 3);
    assert_takes_nothing(watch);
    osr_grpc_health_watch_destroy(watch);
}

/* A watch of a service that is not there says so once and stays. */
static void health_watch_of_unknown_service(void **state)
{
    struct osr_grpc_health *health = *state;
    size_t news = 0;
    struct osr_grpc_health_watch *watch = watch_service(health, "osiris.v1.Nothing", &news);
    assert_takes(watch, STATUS(SERVICE_UNKNOWN));
    osr_grpc_health_set_all(health, true);
    assert_int_equal(news, 0);
    assert_takes_nothing(watch);
    osr_grpc_health_watch_destroy(watch);
}

/* Watches end in any order, and those that are left are told. */
static void health_watches_end_in_any_order(void **state)
{
    struct osr_grpc_health *health = *state;
    struct osr_grpc_health_watch *watches[3];
    size_t news[3] = {0};
    for (size_t i = 0; i < COUNT(watches); i++) {
        watches[i] = watch_service(health, "", &news[i]);
    }
    osr_grpc_health_watch_destroy(watches[1]);
    osr_grpc_health_set(health, "", true);
    osr_grpc_health_watch_destroy(watches[2]);
    osr_grpc_health_set(health, "", false);
    osr_grpc_health_watch_destroy(watches[0]);
    osr_grpc_health_set(health, "", true);
    assert_int_equal(news[0], 2);
    assert_int_equal(news[1], 0);
    assert_int_equal(news[2], 1);
    osr_grpc_health_watch_destroy(NULL);
}

/* Watches are limited; where one ends there is room for another. */
static void health_watches_are_limited(void **state)
{
    struct osr_grpc_health *health = *state;
    struct osr_grpc_health_watch *watches[OSR_GRPC_HEALTH_WATCHES_MAX];
    size_t news = 0;
    for (size_t i = 0; i < COUNT(watches); i++) {
        watches[i] = watch_service(health, "", &news);
    }
    struct osr_grpc_health_watch *one_more = NULL;
    struct osr_err err;
    assert_int_equal(osr_grpc_health_watch_create(health, osr_slice(NULL, 0), count_news, &news,
                                                  &one_more, &err),
                     OSR_BUSY);
    assert_null(one_more);
    osr_grpc_health_watch_destroy(watches[0]);
    watches[0] = watch_service(health, "", &news);
    for (size_t i = 0; i < COUNT(watches); i++) {
        osr_grpc_health_watch_destroy(watches[i]);
    }
}

/* What cannot be read, or is far too long, is neither checked nor watched. */
static void health_fails_on_hostile_requests(void **state)
{
    static const uint8_t cut[] = {0x0a, 0x10, 'x'};
    struct osr_buffer response = {0};
    struct osr_grpc_health_watch *watch = NULL;
    size_t news = 0;
    struct osr_err err;
    struct osr_slice request = osr_slice(cut, sizeof(cut));
    assert_int_equal(osr_grpc_health_check(*state, request, &response, &err), OSR_MALFORMED);
    assert_int_equal(osr_grpc_health_watch_create(*state, request, count_news, &news, &watch, &err),
                     OSR_MALFORMED);
    assert_null(watch);

    char *name = osr_format("%0*d", OSR_GRPC_HEALTH_REQUEST_BYTES_MAX, 0);
    struct osr_buffer long_request = {0};
    write_request(&long_request, name);
    assert_int_equal(
        osr_grpc_health_check(*state, osr_buffer_slice(&long_request), &response, &err),
        OSR_TOO_LARGE);
    osr_buffer_done(&long_request);
    free(name);
}

int main(void)
{
#define HEALTH_TEST(name) cmocka_unit_test_setup_teardown(name, open_health, close_health)
    const struct CMUnitTest tests[] = {
        HEALTH_TEST(health_checks_each_service),
        HEALTH_TEST(health_check_of_unknown_service),
        HEALTH_TEST(health_watch_tells_changes),
        HEALTH_TEST(health_watch_skips_what_was_missed),
        HEALTH_TEST(health_watch_of_unknown_service),
        HEALTH_TEST(health_watches_end_in_any_order),
        HEALTH_TEST(health_watches_are_limited),
        HEALTH_TEST(health_fails_on_hostile_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
