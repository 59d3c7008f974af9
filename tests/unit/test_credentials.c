/* Revocations; and that all credentials are there again after a restart. What is done with the
 * other kinds is in test_credential_tokens.c, test_credential_users.c and
 * test_credential_invitations.c. */
#include "lib/credentials_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MEMBER "abcdefghijklmnopqrstuvwxyz234567"

static struct osr_hash authority_of(uint8_t byte)
{
    struct osr_hash hash;
    memset(hash.bytes, byte, sizeof(hash.bytes));
    return hash;
}

static int revoke_serial(struct cred_fixture *instance, const char *serial, uint64_t expires_ms)
{
    struct osr_revocation_record revocation = {.serial = serial,
                                               .authority = authority_of(1),
                                               .who = "instance:lost",
                                               .revoked_by = "admin",
                                               .expires_ms = expires_ms};
    return osr_credentials_revoke_certificate(instance->credentials, &revocation, CRED_NOW,
                                              cred_done(instance), &instance->err);
}

static bool is_revoked(struct cred_fixture *instance, const char *serial, uint8_t authority)
{
    struct osr_hash hash = authority_of(authority);
    return osr_credentials_is_revoked(instance->credentials, serial, &hash);
}

/* ---- certificates ---- */

/* A serial is revoked at once, at its own authority alone. */
static void certificate_is_revoked_at_once(void **state)
{
    struct cred_fixture *instance = *state;
    assert_false(is_revoked(instance, CRED_SERIAL, 1));
    assert_int_equal(revoke_serial(instance, CRED_SERIAL, 0), 0);
    assert_true(is_revoked(instance, CRED_SERIAL, 1));
    assert_false(is_revoked(instance, CRED_SERIAL, 2));
    assert_false(is_revoked(instance, "0A1B2C0D", 1));
    cred_answer(instance, OSR_DISK_FULL);
    assert_true(is_revoked(instance, CRED_SERIAL, 1));
    assert_int_equal(revoke_serial(instance, CRED_SERIAL, 0), 0);
    cred_answer(instance, OSR_OK);
    assert_int_equal(cred_count_of(instance, OSR_CREDENTIAL_REVOCATION), 1);
    cred_restart(instance);
    assert_true(is_revoked(instance, CRED_SERIAL, 1));
}

/* A serial in another writing would be looked for in vain: it is refused. */
static void certificate_serials_are_checked(void **state)
{
    struct cred_fixture *instance = *state;
    static const char *const refused[] = {
        "",    "0a1b2c", "A1B2C", "0A:1B",
        " 0A", "0A ",    "0x0A",  "000102030405060708090A0B0C0D0E0F1011121314"};
    for (size_t i = 0; i < COUNT(refused); i++) {
        assert_int_equal(revoke_serial(instance, refused[i], 0), OSR_INVALID_ARGUMENT);
    }
    assert_int_equal(revoke_serial(instance, "000102030405060708090A0B0C0D0E0F10111213", 0), 0);
}

/* All certificates of an instance at once: it is in force before the disk has it, and after a
 * restart. */
static void instance_is_revoked(void **state)
{
    struct cred_fixture *instance = *state;
    assert_int_equal(osr_credentials_revoke_instance(instance->credentials, "desk", "admin",
                                                     CRED_NOW, cred_done(instance), &instance->err),
                     OSR_INVALID_ARGUMENT);
    assert_int_equal(osr_credentials_revoke_instance(instance->credentials, MEMBER, "admin",
                                                     CRED_NOW, cred_done(instance), &instance->err),
                     0);
    for (int i = 0; i < 2; i++) {
        const struct osr_credential *found = osr_credentials_find(
            instance->credentials, OSR_CREDENTIAL_REVOCATION, "instance:" MEMBER);
        assert_non_null(found);
        assert_string_equal(found->revocation.serial, "");
        assert_string_equal(found->revocation.who, "instance:" MEMBER);
        if (i == 0) {
            cred_answer(instance, OSR_OK);
            cred_restart(instance);
        }
    }
}

/* No revocation is forgotten before its certificate has expired. */
static void revocations_are_bounded(void **state)
{
    struct cred_fixture *instance = *state;
    char serial[16];
    for (uint32_t i = 0; i < OSR_REVOCATIONS_MAX; i++) {
        snprintf(serial, sizeof(serial), "%08X", i);
        assert_int_equal(revoke_serial(instance, serial,
                                       i == 5   ? CRED_NOW
                                       : i == 6 ? CRED_NOW + 1
                                                : 0),
                         0);
        cred_answer(instance, OSR_OK);
    }
    assert_int_equal(revoke_serial(instance, CRED_SERIAL, 0), 0);
    assert_false(is_revoked(instance, "00000005", 1));
    assert_int_equal(revoke_serial(instance, "FF", 0), OSR_TOO_LARGE);
    assert_true(is_revoked(instance, "00000006", 1));
    assert_true(is_revoked(instance, CRED_SERIAL, 1));
}

/* ---- facts ---- */

struct fact {
    char *key;
    struct osr_buffer value;
};

static void take_fact(void *context, const char *key, struct osr_slice value)
{
    struct fact **at = context;
    (*at)->key = osr_strdup(key);
    osr_buffer_add(&(*at)->value, value.data, value.size);
    (*at)++;
}

static void put_member(struct cred_fixture *instance, const char *role)
{
    const struct osr_member_record member = {.instance = MEMBER,
                                             .name = "desk",
                                             .roles = {.names = {role}, .count = 1},
                                             .serial = CRED_SERIAL,
                                             .authority = authority_of(1),
                                             .invited_by = "user:ana",
                                             .joined_ms = CRED_NOW,
                                             .expires_ms = CRED_NOW + CRED_HOUR};
    assert_int_equal(osr_credentials_put_member(instance->credentials, &member, CRED_NOW,
                                                cred_done(instance), &instance->err),
                     0);
    cred_answer(instance, OSR_OK);
}

/* One of each kind, as the log has them. */
static void make_facts(struct cred_fixture *instance, struct fact *facts)
{
    char text[OSR_TOKEN_TEXT_MAX], id[OSR_SECRET_ID_CHARS + 1];
    cred_make_token(instance, text, id);
    cred_revoke_token(instance, id, "user:ana", CRED_NOW + 9);
    cred_make_user(instance, "ana");
    struct osr_token token = cred_make_invitation(instance, id);
    assert_int_equal(cred_use_at(instance, &token, "instance:first", CRED_NOW + 8), 0);
    assert_int_equal(revoke_serial(instance, CRED_SERIAL, CRED_NOW + 7), 0);
    cred_answer(instance, OSR_OK);
    put_member(instance, "reader");
    struct fact *at = facts;
    osr_facts_walk(instance->disk, OSR_CREDENTIAL_PREFIX, take_fact, &at);
    assert_int_equal(at - facts, OSR_CREDENTIAL_KIND_COUNT);
}

static void free_facts(struct fact *facts)
{
    for (size_t i = 0; i < OSR_CREDENTIAL_KIND_COUNT; i++) {
        free(facts[i].key);
        osr_buffer_done(&facts[i].value);
    }
}

static int load_fact(struct cred_fixture *instance, const char *key, struct osr_slice value)
{
    return osr_credentials_load(instance->credentials, key, value, &instance->err);
}

/* Each kind comes back from its fact with all that it had. */
static void facts_bring_everything_back(void **state)
{
    struct cred_fixture *instance = *state;
    struct fact facts[OSR_CREDENTIAL_KIND_COUNT] = {{0}};
    make_facts(instance, facts);
    cred_restart(instance);
    for (size_t i = 0; i < COUNT(facts); i++) {
        struct osr_credential credential;
        struct osr_buffer again = {0};
        char *texts = osr_alloc(facts[i].value.size);
        assert_int_equal(osr_credential_decode(facts[i].key, osr_buffer_slice(&facts[i].value),
                                               texts, &credential, &instance->err),
                         0);
        osr_credential_encode(&credential, &again);
        assert_true(osr_slice_equal(osr_buffer_slice(&again), osr_buffer_slice(&facts[i].value)));
        assert_int_equal(cred_count_of(instance, credential.kind), 1);
        osr_buffer_done(&again);
        free(texts);
    }
    const struct osr_user_record *user =
        &osr_credentials_find(instance->credentials, OSR_CREDENTIAL_USER, "ana")->user;
    assert_string_equal(user->password_hash, CRED_HASH);
    assert_string_equal(user->roles.names[0], "editor");
    assert_int_equal(user->roles.count, 1);
    assert_int_equal(user->created_ms, CRED_NOW);
    free_facts(facts);
}

/* Cut anywhere, with something behind it, or under another key, a fact is damaged. */
static void facts_that_are_damaged_are_refused(void **state)
{
    struct cred_fixture *instance = *state;
    struct fact facts[OSR_CREDENTIAL_KIND_COUNT] = {{0}};
    make_facts(instance, facts);
    for (size_t i = 0; i < COUNT(facts); i++) {
        struct osr_buffer *value = &facts[i].value;
        for (size_t size = 1; size < value->size; size++) {
            struct osr_buffer cut = {0}; /* of just this size, for the sanitizer */
            osr_buffer_add(&cut, value->data, size);
            assert_int_equal(load_fact(instance, facts[i].key, osr_buffer_slice(&cut)),
                             OSR_CORRUPT);
            osr_buffer_done(&cut);
        }
        char *other_key = osr_format("%s0", facts[i].key);
        assert_int_equal(load_fact(instance, other_key, osr_buffer_slice(value)), OSR_CORRUPT);
        free(other_key);
        value->data[0] = 0;
        assert_int_equal(load_fact(instance, facts[i].key, osr_buffer_slice(value)), OSR_CORRUPT);
        value->data[0] = 1;
        osr_buffer_add_u8(value, 0);
        assert_int_equal(load_fact(instance, facts[i].key, osr_buffer_slice(value)), OSR_CORRUPT);
    }
    free_facts(facts);
}

/* What a newer osirisd wrote is refused as that, not taken for damage nor passed over. */
static void facts_of_a_newer_version_are_told(void **state)
{
    struct cred_fixture *instance = *state;
    struct fact facts[OSR_CREDENTIAL_KIND_COUNT] = {{0}};
    make_facts(instance, facts);
    for (size_t i = 0; i < COUNT(facts); i++) {
        facts[i].value.data[0] = 2;
        assert_int_equal(load_fact(instance, facts[i].key, osr_buffer_slice(&facts[i].value)),
                         OSR_UNSUPPORTED_VERSION);
        assert_non_null(strstr(instance->err.message, "format 2"));
    }
    assert_int_equal(load_fact(instance, "credential:tokens:1", osr_slice_text("\x01")),
                     OSR_UNSUPPORTED_VERSION);
    free_facts(facts);
}

static bool has_bytes(const struct osr_buffer *value, const uint8_t *bytes, size_t size)
{
    return memmem(value->data, value->size, bytes, size) != NULL;
}

/* No secret is ever written: neither its bytes nor its text. */
static void facts_hold_no_secret(void **state)
{
    struct cred_fixture *instance = *state;
    char text[OSR_TOKEN_TEXT_MAX], id[OSR_SECRET_ID_CHARS + 1];
    struct osr_token token;
    cred_create_token(instance, &cred_ci_order, text);
    assert_int_equal(osr_token_read(osr_slice_text(text), NULL, &token, NULL), 0);
    const struct osr_buffer *value = &instance->first->value;
    assert_true(has_bytes(value, osr_token_hash(&token).bytes, OSR_SHA256_SIZE));
    assert_false(has_bytes(value, token.secret, 4));
    assert_null(strstr(instance->first->key, text + 40));
    cred_answer(instance, OSR_OK);

    cred_make_user(instance, "ana");
    cred_login(instance, "ana", text);
    assert_null(instance->first); /* nothing at all, of a login */
    token = cred_make_invitation(instance, id);
    assert_int_equal(cred_use_at(instance, &token, "instance:first", CRED_NOW), 0);
    assert_false(has_bytes(&instance->first->value, token.secret, 4));
}

/* Whoever remembers an identity can tell when to look again. */
static void revision_grows_with_every_change(void **state)
{
    struct cred_fixture *instance = *state;
    char text[OSR_TOKEN_TEXT_MAX], id[OSR_SECRET_ID_CHARS + 1];
    struct osr_credential_identity identity;
    uint64_t before = osr_credentials_revision(instance->credentials);
    cred_make_token(instance, text, id);
    uint64_t made = osr_credentials_revision(instance->credentials);
    assert_true(made > before);
    assert_int_equal(cred_check_at(instance, text, CRED_NOW), 0);
    assert_int_equal(osr_credentials_revision(instance->credentials), made);
    cred_revoke_token(instance, id, "admin", CRED_NOW);
    assert_true(osr_credentials_revision(instance->credentials) > made);
    assert_int_equal(
        osr_credentials_check_again(instance->credentials, id, CRED_NOW, &identity, &instance->err),
        OSR_UNAUTHENTICATED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, cred_set_up, cred_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(certificate_is_revoked_at_once),
        TEST(certificate_serials_are_checked),
        TEST(instance_is_revoked),
        TEST(revocations_are_bounded),
        TEST(facts_bring_everything_back),
        TEST(facts_that_are_damaged_are_refused),
        TEST(facts_of_a_newer_version_are_told),
        TEST(facts_hold_no_secret),
        TEST(revision_grows_with_every_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
