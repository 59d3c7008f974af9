/* Users and their logins. */
#include "lib/credentials_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "adapter/password.h"

#define OTHER_HASH "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$b3RoZXI"

/* A login is its user, with the roles that the user has now, for as long as it says. */
static void login_is_its_user(void **state)
{
    struct cred_fixture *instance = *state;
    char text[OSR_TOKEN_TEXT_MAX];
    cred_make_user(instance, "ana");
    cred_login(instance, "ana", text);
    assert_identity(instance, text, "user:ana", "editor");
    assert_int_equal(cred_check_at(instance, text, CRED_NOW + OSR_LOGIN_MS - 1), 0);
    assert_refused_at(instance, text, CRED_NOW + OSR_LOGIN_MS, "expired");

    struct osr_user_record user = cred_sample_user("ana");
    user.roles.names[0] = "reader";
    cred_put_user(instance, &user);
    cred_answer(instance, OSR_OK);
    assert_identity(instance, text, "user:ana", "reader");
}

/* Nobody logs in as nobody, with a password that was changed meanwhile, or disabled. */
static void login_is_refused(void **state)
{
    struct cred_fixture *instance = *state;
    struct osr_user_record user = cred_sample_user("ana");
    char text[OSR_TOKEN_TEXT_MAX];
    cred_make_user(instance, "ana");
    assert_int_equal(cred_try_login(instance, "bea", CRED_HASH, text), OSR_UNAUTHENTICATED);
    assert_int_equal(cred_try_login(instance, "ana", OTHER_HASH, text), OSR_UNAUTHENTICATED);
    user.is_disabled = true;
    cred_put_user(instance, &user);
    assert_int_equal(cred_try_login(instance, "ana", CRED_HASH, text), OSR_UNAUTHENTICATED);
    assert_non_null(strstr(instance->err.message, "disabled"));
}

/* Disabled, removed, or with another password: the user's logins end, nobody else's do. */
static void logins_end_with_their_user(void **state)
{
    struct cred_fixture *instance = *state;
    char text[OSR_TOKEN_TEXT_MAX], others[OSR_TOKEN_TEXT_MAX];
    cred_make_user(instance, "bea");
    cred_login(instance, "bea", others);
    for (int how = 0; how < 3; how++) {
        struct osr_user_record user = cred_sample_user("ana");
        cred_make_user(instance, "ana");
        cred_login(instance, "ana", text);
        if (how == 0) {
            user.is_disabled = true;
            cred_put_user(instance, &user); /* at once */
        } else if (how == 1) {
            assert_int_equal(osr_credentials_remove_user(instance->credentials, "ana",
                                                         cred_done(instance), &instance->err),
                             0); /* at once */
        } else {
            user.password_hash = OTHER_HASH;
            cred_put_user(instance, &user);
            cred_answer(instance, OSR_OK);
        }
        assert_refused(instance, text, "unknown");
        assert_identity(instance, others, "user:bea", "editor");
        cred_answer(instance, OSR_OK);
    }
}

/* A login can be ended by its id; a restart ends all. */
static void logins_end(void **state)
{
    struct cred_fixture *instance = *state;
    struct osr_credential_identity identity;
    char one[OSR_TOKEN_TEXT_MAX], other[OSR_TOKEN_TEXT_MAX];
    cred_make_user(instance, "ana");
    cred_login(instance, "ana", one);
    cred_login(instance, "ana", other);
    assert_int_equal(osr_credentials_check(instance->credentials, osr_slice_text(one), CRED_NOW,
                                           &identity, NULL),
                     0);
    size_t done_before = instance->done_count;
    cred_revoke_token(instance, identity.id, "user:ana", CRED_NOW);
    assert_int_equal(instance->done_count, done_before + 1);
    assert_refused(instance, one, "unknown");
    assert_identity(instance, other, "user:ana", "editor");
    cred_restart(instance);
    assert_refused(instance, other, "unknown");
}

/* Who logs in again and again ends the user's own oldest login. */
static void logins_of_a_user_are_bounded(void **state)
{
    struct cred_fixture *instance = *state;
    char texts[OSR_LOGINS_PER_USER_MAX + 1][OSR_TOKEN_TEXT_MAX], others[OSR_TOKEN_TEXT_MAX];
    cred_make_user(instance, "ana");
    cred_make_user(instance, "bea");
    cred_login(instance, "bea", others);
    for (size_t i = 0; i < COUNT(texts); i++) {
        cred_login(instance, "ana", texts[i]);
    }
    assert_refused(instance, texts[0], "unknown");
    for (size_t i = 1; i < COUNT(texts); i++) {
        assert_identity(instance, texts[i], "user:ana", "editor");
    }
    assert_identity(instance, others, "user:bea", "editor");
}

/* Many users together end the oldest login of all. */
static void logins_in_all_are_bounded(void **state)
{
    (void)state;
    struct osr_logins *logins = osr_logins_create(1);
    struct osr_token token = {.id = {0}};
    char id[OSR_SECRET_ID_CHARS + 1], user[16];
    for (uint32_t i = 0; i <= OSR_LOGINS_MAX; i++) {
        osr_put_u32(token.id, i);
        snprintf(user, sizeof(user), "user%u", i / 2);
        osr_logins_add(logins, &token, user, CRED_NOW);
    }
    assert_int_equal(osr_logins_count(logins), OSR_LOGINS_MAX);
    osr_put_u32(token.id, 0);
    osr_token_id_text(id, &token);
    assert_null(osr_logins_find(logins, id));
    osr_put_u32(token.id, 1);
    osr_token_id_text(id, &token);
    assert_string_equal(osr_logins_find(logins, id)->user, "user0");
    osr_logins_destroy(logins);
}

/* A change keeps when the user came to be; a removal that overtakes nothing leaves nothing. */
static void users_change_in_order(void **state)
{
    struct cred_fixture *instance = *state;
    struct osr_user_record user = cred_sample_user("ana");
    cred_make_user(instance, "ana");
    user.password_hash = OTHER_HASH;
    assert_int_equal(osr_credentials_put_user(instance->credentials, &user, CRED_NOW + 5,
                                              cred_done(instance), &instance->err),
                     0);
    cred_answer(instance, OSR_OK);
    const struct osr_credential *found =
        osr_credentials_find(instance->credentials, OSR_CREDENTIAL_USER, "ana");
    assert_int_equal(found->user.created_ms, CRED_NOW);
    assert_string_equal(found->user.password_hash, OTHER_HASH);

    cred_put_user(instance, &user);
    assert_int_equal(
        osr_credentials_remove_user(instance->credentials, "ana", cred_done(instance), NULL), 0);
    cred_answer(instance, OSR_OK);
    assert_null(osr_credentials_find(instance->credentials, OSR_CREDENTIAL_USER, "ana"));
    assert_int_equal(
        osr_credentials_remove_user(instance->credentials, "ana", cred_done(instance), NULL),
        OSR_NOT_FOUND);
    cred_restart(instance);
    assert_int_equal(cred_count_of(instance, OSR_CREDENTIAL_USER), 0);
}

/* A removal that cannot be stored holds until the restart, also against a change that was under way
 * before it. */
static void user_removal_does_not_wait_for_the_disk(void **state)
{
    struct cred_fixture *instance = *state;
    struct osr_user_record user = cred_sample_user("ana");
    cred_make_user(instance, "ana");
    cred_put_user(instance, &user);
    assert_int_equal(
        osr_credentials_remove_user(instance->credentials, "ana", cred_done(instance), NULL), 0);
    assert_null(osr_credentials_find(instance->credentials, OSR_CREDENTIAL_USER, "ana"));
    cred_answer_one(instance, OSR_OK);
    cred_answer_one(instance, OSR_DISK_FULL);
    assert_int_equal(instance->done_code, OSR_DISK_FULL);
    assert_null(osr_credentials_find(instance->credentials, OSR_CREDENTIAL_USER, "ana"));
    cred_restart(instance);
    assert_non_null(osr_credentials_find(instance->credentials, OSR_CREDENTIAL_USER, "ana"));
}

/* Users need a name, and a hash that is one; there can be so many, and no user is forgotten. */
static void users_are_checked_and_bounded(void **state)
{
    struct cred_fixture *instance = *state;
    struct osr_user_record user = cred_sample_user("ana ");
    char long_hash[OSR_PASSWORD_HASH_TEXT_MAX + 1] = "";
    assert_int_equal(osr_credentials_put_user(instance->credentials, &user, CRED_NOW,
                                              cred_done(instance), &instance->err),
                     OSR_INVALID_ARGUMENT);
    user = cred_sample_user("ana");
    user.password_hash = "";
    assert_int_equal(osr_credentials_put_user(instance->credentials, &user, CRED_NOW,
                                              cred_done(instance), &instance->err),
                     OSR_INVALID_ARGUMENT);
    memset(long_hash, '$', sizeof(long_hash) - 1);
    user.password_hash = long_hash;
    assert_int_equal(osr_credentials_put_user(instance->credentials, &user, CRED_NOW,
                                              cred_done(instance), &instance->err),
                     OSR_INVALID_ARGUMENT);
    for (size_t i = 0; i < OSR_USERS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof(name), "user%zu", i);
        cred_make_user(instance, name);
    }
    user = cred_sample_user("ana");
    assert_int_equal(osr_credentials_put_user(instance->credentials, &user, CRED_NOW,
                                              cred_done(instance), &instance->err),
                     OSR_TOO_LARGE);
    user = cred_sample_user("user7");
    cred_put_user(instance, &user); /* not one more */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, cred_set_up, cred_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(login_is_its_user),
        TEST(login_is_refused),
        TEST(logins_end_with_their_user),
        TEST(logins_end),
        TEST(logins_of_a_user_are_bounded),
        TEST(logins_in_all_are_bounded),
        TEST(users_change_in_order),
        TEST(user_removal_does_not_wait_for_the_disk),
        TEST(users_are_checked_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
