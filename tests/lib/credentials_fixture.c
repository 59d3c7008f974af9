#include "lib/credentials_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"

static struct osr_random secrets;

static void fill_secret(void *data, size_t size)
{
    osr_random_fill(&secrets, data, size);
}

static void write_fact(void *context, const char *key, struct osr_slice value,
                       void (*written)(void *context, enum osr_code code), void *written_context)
{
    struct cred_fixture *instance = context;
    struct cred_write *write = osr_alloc(sizeof(*write));
    write->key = osr_strdup(key);
    osr_buffer_add(&write->value, value.data, value.size);
    write->written = written;
    write->context = written_context;
    *instance->last = write;
    instance->last = &write->next;
}

void cred_answer_one(struct cred_fixture *instance, enum osr_code code)
{
    struct cred_write *write = instance->first;
    instance->first = write->next;
    if (instance->first == NULL) {
        instance->last = &instance->first;
    }
    if (code == OSR_OK) {
        osr_facts_put(instance->disk, osr_slice_text(write->key), osr_buffer_slice(&write->value));
    }
    write->written(write->context, code);
    osr_buffer_done(&write->value);
    free(write->key);
    free(write);
}

void cred_answer(struct cred_fixture *instance, enum osr_code code)
{
    while (instance->first != NULL) {
        cred_answer_one(instance, code);
    }
}

static void on_done(void *context, enum osr_code code)
{
    struct cred_fixture *instance = context;
    instance->done_count++;
    instance->done_code = code;
}

struct osr_credential_done cred_done(struct cred_fixture *instance)
{
    return (struct osr_credential_done){on_done, instance};
}

static void load(void *context, const char *key, struct osr_slice value)
{
    struct cred_fixture *instance = context;
    assert_int_equal(osr_credentials_load(instance->credentials, key, value, &instance->err), 0);
}

void cred_start(struct cred_fixture *instance, const char *cluster)
{
    const struct osr_credentials_options options = {
        .cluster = cluster, .hash_seed = 7, .random = fill_secret, .port = {write_fact, instance}};
    instance->credentials = osr_credentials_create(&options);
    osr_facts_walk(instance->disk, OSR_CREDENTIAL_PREFIX, load, instance);
}

void cred_restart(struct cred_fixture *instance)
{
    osr_credentials_destroy(instance->credentials);
    cred_start(instance, "main");
}

int cred_set_up(void **state)
{
    struct cred_fixture *instance = osr_alloc(sizeof(*instance));
    osr_random_init(&secrets, 1);
    instance->disk = osr_facts_create(3);
    instance->last = &instance->first;
    cred_start(instance, "main");
    *state = instance;
    return 0;
}

int cred_tear_down(void **state)
{
    struct cred_fixture *instance = *state;
    cred_answer(instance, OSR_OK);
    osr_credentials_destroy(instance->credentials);
    osr_facts_destroy(instance->disk);
    free(instance);
    return 0;
}

const struct osr_token_order cred_ci_order = {
    .name = "ci",
    .roles = {.names = {"editor", "reader"}, .count = 2},
    .expires_ms = CRED_NOW + CRED_HOUR,
    .created_by = "user:ana",
};

void cred_create_token(struct cred_fixture *instance, const struct osr_token_order *order,
                       char *text)
{
    assert_int_equal(osr_credentials_create_token(instance->credentials, order, CRED_NOW, text,
                                                  cred_done(instance), &instance->err),
                     0);
}

void cred_make_token(struct cred_fixture *instance, char *text, char *id)
{
    struct osr_token token;
    cred_create_token(instance, &cred_ci_order, text);
    cred_answer(instance, OSR_OK);
    assert_int_equal(osr_token_read(osr_slice_text(text), NULL, &token, NULL), 0);
    osr_token_id_text(id, &token);
}

int cred_check_at(struct cred_fixture *instance, const char *text, uint64_t now_ms)
{
    struct osr_credential_identity identity;
    return osr_credentials_check(instance->credentials, osr_slice_text(text), now_ms, &identity,
                                 &instance->err);
}

void assert_refused_at(struct cred_fixture *instance, const char *text, uint64_t now_ms,
                       const char *why)
{
    assert_int_equal(cred_check_at(instance, text, now_ms), OSR_UNAUTHENTICATED);
    if (strstr(instance->err.message, why) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", instance->err.message, why);
    }
    assert_null(strstr(instance->err.message, text + 5));
}

void assert_refused(struct cred_fixture *instance, const char *text, const char *why)
{
    assert_refused_at(instance, text, CRED_NOW, why);
}

void assert_identity(struct cred_fixture *instance, const char *text, const char *who,
                     const char *role)
{
    struct osr_credential_identity identity;
    assert_int_equal(osr_credentials_check(instance->credentials, osr_slice_text(text), CRED_NOW,
                                           &identity, &instance->err),
                     0);
    assert_string_equal(identity.who, who);
    assert_string_equal(identity.roles->names[0], role);
    assert_int_equal(
        osr_credentials_check_again(instance->credentials, identity.id, CRED_NOW, &identity, NULL),
        0);
    assert_string_equal(identity.who, who);
}

void cred_revoke_token(struct cred_fixture *instance, const char *id, const char *by,
                       uint64_t now_ms)
{
    assert_int_equal(osr_credentials_revoke_token(instance->credentials, id, by, now_ms,
                                                  cred_done(instance), &instance->err),
                     0);
}

struct osr_user_record cred_sample_user(const char *name)
{
    return (struct osr_user_record){
        .name = name, .password_hash = CRED_HASH, .roles = {.names = {"editor"}, .count = 1}};
}

void cred_put_user(struct cred_fixture *instance, const struct osr_user_record *user)
{
    assert_int_equal(osr_credentials_put_user(instance->credentials, user, CRED_NOW,
                                              cred_done(instance), &instance->err),
                     0);
}

void cred_make_user(struct cred_fixture *instance, const char *name)
{
    struct osr_user_record user = cred_sample_user(name);
    cred_put_user(instance, &user);
    cred_answer(instance, OSR_OK);
}

int cred_try_login(struct cred_fixture *instance, const char *name, const char *hash, char *text)
{
    uint64_t expires_ms = 0;
    int code = osr_credentials_login(instance->credentials, name, hash, CRED_NOW, text, &expires_ms,
                                     &instance->err);
    assert_int_equal(expires_ms, code == 0 ? CRED_NOW + OSR_LOGIN_MS : 0);
    return code;
}

void cred_login(struct cred_fixture *instance, const char *name, char *text)
{
    assert_int_equal(cred_try_login(instance, name, CRED_HASH, text), 0);
}

struct osr_token cred_make_invitation(struct cred_fixture *instance, char *id)
{
    static const struct osr_invitation_order order = {
        .role = "peer", .expires_ms = CRED_NOW + CRED_HOUR, .created_by = "admin"};
    struct osr_token token;
    assert_int_equal(osr_credentials_create_invitation(instance->credentials, &order, CRED_NOW,
                                                       &token, cred_done(instance), &instance->err),
                     0);
    osr_token_id_text(id, &token);
    cred_answer(instance, OSR_OK);
    return token;
}

int cred_use_at(struct cred_fixture *instance, const struct osr_token *token, const char *who,
                uint64_t now_ms)
{
    char role[OSR_POLICY_NAME_BYTES_MAX + 1] = "";
    int code = osr_credentials_use_invitation(instance->credentials, token, who, now_ms, role,
                                              cred_done(instance), &instance->err);
    assert_string_equal(role, code == 0 ? "peer" : "");
    return code;
}

static void count_one(void *context, const struct osr_credential *credential)
{
    (void)credential;
    *(size_t *)context += 1;
}

size_t cred_count_of(struct cred_fixture *instance, enum osr_credential_kind kind)
{
    size_t count = 0;
    osr_credentials_walk(instance->credentials, kind, count_one, &count);
    return count;
}
