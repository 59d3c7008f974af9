/* Tokens: what they open and when, why they are refused, how many there are. */
#include "lib/credentials_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* A token opens nothing before it is on the disk; then it is its name, with its roles. */
static void token_is_good_once_it_is_durable(void **state)
{
    struct cred_fixture *instance = *state;
    char text[OSR_TOKEN_TEXT_MAX];
    cred_create_token(instance, &cred_ci_order, text);
    assert_refused(instance, text, "unknown");
    assert_int_equal(instance->done_count, 0);
    cred_answer(instance, OSR_OK);
    assert_int_equal(instance->done_count, 1);
    assert_int_equal(instance->done_code, OSR_OK);
    assert_identity(instance, text, "token:ci", "editor");
}

/* One that could not be stored never was. */
static void token_that_is_not_stored_opens_nothing(void **state)
{
    struct cred_fixture *instance = *state;
    char text[OSR_TOKEN_TEXT_MAX];
    cred_create_token(instance, &cred_ci_order, text);
    cred_answer(instance, OSR_DISK_FULL);
    assert_int_equal(instance->done_code, OSR_DISK_FULL);
    assert_refused(instance, text, "unknown");
    assert_int_equal(cred_count_of(instance, OSR_CREDENTIAL_TOKEN), 0);
}

/* Why a token is refused, each reason by itself. */
static void token_is_refused_with_the_reason(void **state)
{
    struct cred_fixture *instance = *state;
    char text[OSR_TOKEN_TEXT_MAX], id[OSR_SECRET_ID_CHARS + 1];
    cred_make_token(instance, text, id);

    assert_int_equal(cred_check_at(instance, text, CRED_NOW + CRED_HOUR - 1), 0);
    assert_refused_at(instance, text, CRED_NOW + CRED_HOUR, "expired at 2023-11-14 23:13:20 UTC");
    char mistyped[OSR_TOKEN_TEXT_MAX];
    snprintf(mistyped, sizeof(mistyped), "%s", text);
    mistyped[20] = mistyped[20] == 'a' ? 'b' : 'a';
    assert_refused(instance, mistyped, "mistyped");
    assert_refused(instance, "osrt_abc", "cut short");
    cred_revoke_token(instance, id, "user:ana", CRED_NOW + 1000);
    assert_refused(instance, text, "revoked at 2023-11-14 22:13:21 UTC");
}

/* Who knows an id, but not the secret, learns nothing: not even that the token is revoked. */
static void token_with_a_wrong_secret_is_unknown(void **state)
{
    struct cred_fixture *instance = *state;
    char text[OSR_TOKEN_TEXT_MAX], id[OSR_SECRET_ID_CHARS + 1], forged[OSR_TOKEN_TEXT_MAX];
    struct osr_token token;
    cred_make_token(instance, text, id);
    assert_int_equal(osr_token_read(osr_slice_text(text), NULL, &token, NULL), 0);
    token.secret[OSR_SECRET_SIZE - 1] ^= 1;
    osr_token_write(forged, &token);
    assert_refused(instance, forged, "unknown");
    assert_refused_at(instance, forged, CRED_NOW + CRED_HOUR, "unknown");
    cred_revoke_token(instance, id, "user:ana", CRED_NOW);
    assert_refused(instance, forged, "unknown");
}

/* Another cluster's is told so, whether it is known there or not. */
static void token_of_another_cluster_is_told(void **state)
{
    struct cred_fixture *instance = *state;
    char text[OSR_TOKEN_TEXT_MAX], id[OSR_SECRET_ID_CHARS + 1];
    cred_make_token(instance, text, id);
    osr_credentials_destroy(instance->credentials);
    cred_start(instance, "other");
    assert_int_equal(cred_check_at(instance, text, CRED_NOW), OSR_WRONG_CLUSTER);
}

/* Revoked, it is refused at once: before the disk knows, and even if it never does. */
static void token_revocation_does_not_wait_for_the_disk(void **state)
{
    struct cred_fixture *instance = *state;
    char text[OSR_TOKEN_TEXT_MAX], id[OSR_SECRET_ID_CHARS + 1];
    cred_make_token(instance, text, id);
    cred_revoke_token(instance, id, "user:ana", CRED_NOW);
    assert_refused(instance, text, "revoked");
    cred_answer(instance, OSR_DISK_FULL);
    assert_int_equal(instance->done_code, OSR_DISK_FULL);
    assert_refused(instance, text, "revoked");
    cred_restart(instance);
    assert_int_equal(cred_check_at(instance, text, CRED_NOW), 0); /* as `done` has said */
}

/* Revoking again writes again, for the first time may have failed, and keeps who was first. */
static void token_revoked_twice_keeps_the_first(void **state)
{
    struct cred_fixture *instance = *state;
    char text[OSR_TOKEN_TEXT_MAX], id[OSR_SECRET_ID_CHARS + 1];
    cred_make_token(instance, text, id);
    cred_revoke_token(instance, id, "user:ana", CRED_NOW + 1);
    cred_answer(instance, OSR_DISK_FULL);
    cred_revoke_token(instance, id, "user:bea", CRED_NOW + 2);
    cred_answer(instance, OSR_OK);
    cred_restart(instance);
    const struct osr_credential *token =
        osr_credentials_find(instance->credentials, OSR_CREDENTIAL_TOKEN, id);
    assert_string_equal(token->token.revoked_by, "user:ana");
    assert_int_equal(token->token.revoked_ms, CRED_NOW + 1);
    assert_refused(instance, text, "revoked");
    assert_int_equal(osr_credentials_revoke_token(instance->credentials, "0123456789abcdef",
                                                  "admin", CRED_NOW, cred_done(instance),
                                                  &instance->err),
                     OSR_NOT_FOUND);
}

/* A token without an end has none. */
static void token_may_never_expire(void **state)
{
    struct cred_fixture *instance = *state;
    struct osr_token_order order = cred_ci_order;
    char text[OSR_TOKEN_TEXT_MAX];
    order.expires_ms = 0;
    cred_create_token(instance, &order, text);
    cred_answer(instance, OSR_OK);
    assert_int_equal(cred_check_at(instance, text, OSR_TIME_MS_MAX), 0);
}

/* Orders that make no sense are refused before anything is written. */
static void token_orders_are_checked(void **state)
{
    struct cred_fixture *instance = *state;
    static const char *const names[] = {"",  "a b",  "*",     "ana*",       "a:b",
                                        "é", "a\nb", "\"a\"", "/etc/passwd"};
    char text[OSR_TOKEN_TEXT_MAX], long_name[OSR_CREDENTIAL_NAME_BYTES_MAX + 2] = "";
    struct osr_token_order orders[COUNT(names) + 5];
    size_t count = 0;
    for (; count < COUNT(names); count++) {
        orders[count] = cred_ci_order;
        orders[count].name = names[count];
    }
    memset(long_name, 'a', sizeof(long_name) - 1);
    orders[count] = cred_ci_order;
    orders[count++].name = long_name;
    orders[count] = cred_ci_order;
    orders[count++].expires_ms = CRED_NOW;
    orders[count] = cred_ci_order;
    orders[count++].roles.names[1] = "no role";
    orders[count] = cred_ci_order;
    orders[count++].roles.count = OSR_CREDENTIAL_ROLES_MAX + 1;
    orders[count] = cred_ci_order;
    orders[count++].created_by = "a\tb";
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(osr_credentials_create_token(instance->credentials, &orders[i], CRED_NOW,
                                                      text, cred_done(instance), &instance->err),
                         OSR_INVALID_ARGUMENT);
    }
    assert_null(instance->first);
    assert_int_equal(instance->done_count, 0);
    long_name[OSR_CREDENTIAL_NAME_BYTES_MAX] = '\0';
    orders[0].name = long_name;
    cred_create_token(instance, &orders[0], text);
}

/* A full store takes no more while all are good, also counting those on their way. */
static void tokens_are_bounded(void **state)
{
    struct cred_fixture *instance = *state;
    char text[OSR_TOKEN_TEXT_MAX];
    for (size_t i = 0; i < OSR_TOKENS_MAX; i++) {
        cred_create_token(instance, &cred_ci_order, text);
    }
    assert_int_equal(osr_credentials_create_token(instance->credentials, &cred_ci_order, CRED_NOW,
                                                  text, cred_done(instance), &instance->err),
                     OSR_TOO_LARGE);
    cred_answer(instance, OSR_OK);
    assert_int_equal(cred_count_of(instance, OSR_CREDENTIAL_TOKEN), OSR_TOKENS_MAX);
    assert_int_equal(osr_credentials_create_token(instance->credentials, &cred_ci_order, CRED_NOW,
                                                  text, cred_done(instance), &instance->err),
                     OSR_TOO_LARGE);
}

/* Where some have ended, a full store forgets the one that ended first, on the disk, too. */
static void tokens_that_ended_make_room(void **state)
{
    enum { ENDED = 10 };
    struct cred_fixture *instance = *state;
    struct osr_token_order order = cred_ci_order;
    char ended[ENDED][OSR_TOKEN_TEXT_MAX], text[OSR_TOKEN_TEXT_MAX];
    char id[OSR_SECRET_ID_CHARS + 1];
    for (size_t i = 0; i + 1 < ENDED; i++) {
        order.expires_ms = CRED_NOW + 1 + i;
        cred_create_token(instance, &order, ended[i]);
    }
    cred_make_token(instance, ended[ENDED - 1], id);
    cred_revoke_token(instance, id, "admin", CRED_NOW + ENDED);
    order.expires_ms = 0;
    for (size_t i = ENDED; i < OSR_TOKENS_MAX; i++) {
        cred_create_token(instance, &order, text);
    }
    cred_answer(instance, OSR_OK);
    for (size_t i = 0; i < ENDED; i++) {
        uint64_t now_ms = CRED_NOW + CRED_HOUR / 2;
        assert_refused_at(instance, ended[i], now_ms, i + 1 < ENDED ? "expired" : "revoked");
        assert_int_equal(osr_credentials_create_token(instance->credentials, &order, now_ms, text,
                                                      cred_done(instance), &instance->err),
                         0);
        cred_answer(instance, OSR_OK);
        assert_refused_at(instance, ended[i], now_ms, "unknown");
        assert_identity(instance, text, "token:ci", "editor");
    }
    cred_restart(instance);
    assert_int_equal(cred_count_of(instance, OSR_CREDENTIAL_TOKEN), OSR_TOKENS_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, cred_set_up, cred_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(token_is_good_once_it_is_durable),
        TEST(token_that_is_not_stored_opens_nothing),
        TEST(token_is_refused_with_the_reason),
        TEST(token_with_a_wrong_secret_is_unknown),
        TEST(token_of_another_cluster_is_told),
        TEST(token_revocation_does_not_wait_for_the_disk),
        TEST(token_revoked_twice_keeps_the_first),
        TEST(token_may_never_expire),
        TEST(token_orders_are_checked),
        TEST(tokens_are_bounded),
        TEST(tokens_that_ended_make_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
