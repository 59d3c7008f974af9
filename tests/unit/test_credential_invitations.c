/* Invitations: good once, and what is told whom they do not let in. */
#include "lib/credentials_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_unusable(struct cred_fixture *instance, const struct osr_token *token,
                            uint64_t now_ms, const char *why)
{
    assert_int_equal(cred_use_at(instance, token, "instance:late", now_ms), OSR_UNAUTHENTICATED);
    if (strstr(instance->err.message, why) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", instance->err.message, why);
    }
}

/* It is used once; whoever comes second is told who was first, and when. */
static void invitation_is_used_once(void **state)
{
    struct cred_fixture *instance = *state;
    char id[OSR_SECRET_ID_CHARS + 1];
    struct osr_token token = cred_make_invitation(instance, id);
    size_t done_before = instance->done_count;
    assert_int_equal(cred_use_at(instance, &token, "instance:first", CRED_NOW + 1000), 0);
    assert_int_equal(instance->done_count, done_before);
    assert_unusable(instance, &token, CRED_NOW + 1000, "is being used");
    cred_answer(instance, OSR_OK);
    assert_int_equal(instance->done_count, done_before + 1);
    assert_unusable(instance, &token, CRED_NOW + 1000,
                    "was used by instance:first at 2023-11-14 22:13:21 UTC");
    assert_unusable(instance, &token, CRED_NOW + 2 * CRED_HOUR, "was used by instance:first");
    cred_restart(instance);
    assert_unusable(instance, &token, CRED_NOW, "was used by instance:first");
}

/* A use that could not be stored was none. */
static void invitation_whose_use_fails_can_be_used(void **state)
{
    struct cred_fixture *instance = *state;
    char id[OSR_SECRET_ID_CHARS + 1];
    struct osr_token token = cred_make_invitation(instance, id);
    assert_int_equal(cred_use_at(instance, &token, "instance:first", CRED_NOW), 0);
    cred_answer(instance, OSR_DISK_FULL);
    assert_int_equal(instance->done_code, OSR_DISK_FULL);
    assert_int_equal(cred_use_at(instance, &token, "instance:first", CRED_NOW), 0);
    cred_answer(instance, OSR_OK);
    assert_int_equal(instance->done_code, OSR_OK);
}

/* Expired, revoked, unknown, wrong or of another cluster: each is told. */
static void invitation_is_refused_with_the_reason(void **state)
{
    struct cred_fixture *instance = *state;
    char id[OSR_SECRET_ID_CHARS + 1];
    struct osr_token token = cred_make_invitation(instance, id);
    struct osr_token other = token;
    assert_unusable(instance, &token, CRED_NOW + CRED_HOUR, "expired at 2023-11-14 23:13:20 UTC");
    other.secret[0] ^= 1;
    assert_unusable(instance, &other, CRED_NOW, "unknown");
    other = token;
    other.id[0] ^= 1;
    assert_unusable(instance, &other, CRED_NOW, "unknown");
    other = token;
    other.cluster.bytes[0] ^= 1;
    assert_int_equal(cred_use_at(instance, &other, "instance:late", CRED_NOW), OSR_WRONG_CLUSTER);

    assert_int_equal(osr_credentials_revoke_invitation(instance->credentials, id, "admin", CRED_NOW,
                                                       cred_done(instance), &instance->err),
                     0);
    assert_unusable(instance, &token, CRED_NOW, "revoked at");
    cred_answer(instance, OSR_OK);
    assert_unusable(instance, &token, CRED_NOW, "revoked at");
    cred_restart(instance);
    assert_unusable(instance, &token, CRED_NOW, "revoked at");
}

/* Once it is being used it is too late to revoke it. */
static void invitation_in_use_is_not_revoked(void **state)
{
    struct cred_fixture *instance = *state;
    char id[OSR_SECRET_ID_CHARS + 1];
    struct osr_token token = cred_make_invitation(instance, id);
    assert_int_equal(cred_use_at(instance, &token, "instance:first", CRED_NOW), 0);
    assert_int_equal(osr_credentials_revoke_invitation(instance->credentials, id, "admin", CRED_NOW,
                                                       cred_done(instance), &instance->err),
                     OSR_BUSY);
    cred_answer(instance, OSR_OK);
    assert_int_equal(osr_credentials_revoke_invitation(instance->credentials, id, "admin", CRED_NOW,
                                                       cred_done(instance), &instance->err),
                     OSR_INVALID_ARGUMENT);
    assert_non_null(strstr(instance->err.message, "used by instance:first"));
    assert_int_equal(osr_credentials_revoke_invitation(instance->credentials, "0123456789abcdef",
                                                       "admin", CRED_NOW, cred_done(instance),
                                                       NULL),
                     OSR_NOT_FOUND);
}

/* An invitation's secret is no token, and a token's no invitation. */
static void invitation_is_no_token(void **state)
{
    struct cred_fixture *instance = *state;
    char text[OSR_TOKEN_TEXT_MAX], id[OSR_SECRET_ID_CHARS + 1];
    struct osr_token token = cred_make_invitation(instance, id);
    osr_token_write(text, &token);
    assert_refused(instance, text, "unknown");
    cred_make_token(instance, text, id);
    assert_int_equal(osr_token_read(osr_slice_text(text), NULL, &token, NULL), 0);
    assert_unusable(instance, &token, CRED_NOW, "unknown");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, cred_set_up, cred_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(invitation_is_used_once),
        TEST(invitation_whose_use_fails_can_be_used),
        TEST(invitation_is_refused_with_the_reason),
        TEST(invitation_in_use_is_not_revoked),
        TEST(invitation_is_no_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
