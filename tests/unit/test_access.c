#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "node/access.h"

/* What each role may do, in the order LINK, APPEND, READ, WRITE, OBSERVE, OPERATE: written down a
 * second time, so that a change of the table is a change of two places. */
static const char *const expected[OSR_ROLE_COUNT] = {
    [OSR_ROLE_STRANGER] = "------", [OSR_ROLE_ADMIN] = "l-rwop", [OSR_ROLE_LOCAL] = "l-rwo-",
    [OSR_ROLE_REMOTE] = "l-----",   [OSR_ROLE_SEED] = "-a----",  [OSR_ROLE_PEER] = "l-----",
};

/* Every role may do what is listed for it and nothing else. */
static void access_allows_what_is_listed(void **state)
{
    (void)state;
    for (int role = 0; role < OSR_ROLE_COUNT; role++) {
        assert_int_equal(strlen(expected[role]), OSR_MAY_COUNT);
        for (int permission = 0; permission < OSR_MAY_COUNT; permission++) {
            struct osr_err err;
            int code = osr_access_check((enum osr_role)role, (enum osr_permission)permission,
                                        "THIS", &err);
            assert_int_equal(code, expected[role][permission] == '-' ? OSR_PERMISSION_DENIED : 0);
        }
    }
}

/* A refusal names who, what, and what to do instead. */
static void access_refusal_says_why(void **state)
{
    (void)state;
    struct osr_err err;
    assert_int_equal(osr_access_check(OSR_ROLE_LOCAL, OSR_MAY_OPERATE, "REBUILD", &err),
                     OSR_PERMISSION_DENIED);
    assert_int_equal(err.code, OSR_PERMISSION_DENIED);
    assert_non_null(strstr(err.message, osr_role_name(OSR_ROLE_LOCAL)));
    assert_non_null(strstr(err.message, "REBUILD"));
    assert_true(strlen(err.hint) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(access_allows_what_is_listed),
        cmocka_unit_test(access_refusal_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
