#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/issue_limit.h"

static int create(void **state)
{
    *state = osr_issue_limit_create(1);
    return 0;
}

static int destroy(void **state)
{
    osr_issue_limit_destroy(*state);
    return 0;
}

/* Somebody may have a few at once, and is then told how long to wait; who waits so long is let. */
static void limit_says_how_long_to_wait(void **state)
{
    struct osr_issue_limit *limit = *state;
    for (int i = 0; i < OSR_ISSUE_AHEAD_MS / OSR_ISSUE_CERTIFICATE_MS; i++) {
        assert_int_equal(osr_issue_limit_take(limit, "ana", OSR_ISSUE_CERTIFICATE_MS, 1000), 0);
    }
    uint64_t wait_ms = osr_issue_limit_take(limit, "ana", OSR_ISSUE_CERTIFICATE_MS, 1000);
    assert_int_equal(wait_ms, OSR_ISSUE_CERTIFICATE_MS);
    assert_int_equal(
        osr_issue_limit_take(limit, "ana", OSR_ISSUE_CERTIFICATE_MS, 1000 + wait_ms - 1), 1);
    assert_int_equal(osr_issue_limit_take(limit, "ana", OSR_ISSUE_CERTIFICATE_MS, 1000 + wait_ms),
                     0);
}

/* One who asks without end does not keep others from being let. */
static void limit_is_of_each_alone(void **state)
{
    struct osr_issue_limit *limit = *state;
    for (int i = 0; i < 1000; i++) {
        osr_issue_limit_take(limit, "ana", OSR_ISSUE_QUESTION_MS, 0);
    }
    assert_true(osr_issue_limit_take(limit, "ana", OSR_ISSUE_QUESTION_MS, 0) > 0);
    assert_int_equal(osr_issue_limit_take(limit, "ben", OSR_ISSUE_QUESTION_MS, 0), 0);
}

/* What was refused costs nothing: the wait does not grow with tries. */
static void limit_does_not_punish_tries(void **state)
{
    struct osr_issue_limit *limit = *state;
    uint64_t wait_ms = 0;
    while (wait_ms == 0) {
        wait_ms = osr_issue_limit_take(limit, "ana", OSR_ISSUE_CERTIFICATE_MS, 0);
    }
    for (int i = 0; i < 100; i++) {
        assert_int_equal(osr_issue_limit_take(limit, "ana", OSR_ISSUE_CERTIFICATE_MS, 0), wait_ms);
    }
}

int main(void)
{
#define LIMIT_TEST(name) cmocka_unit_test_setup_teardown(name, create, destroy)
    const struct CMUnitTest tests[] = {
        LIMIT_TEST(limit_says_how_long_to_wait),
        LIMIT_TEST(limit_is_of_each_alone),
        LIMIT_TEST(limit_does_not_punish_tries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
