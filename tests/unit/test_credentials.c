/* Tokens, users, invitations and revocations: what gives a right waits for the disk, what takes one
 * away does not, and all of it is there again after a restart. */
#include "node/credentials.h"

#include "adapter/password.h"
#include "base/random.h"
#include "model/limits.h"
#include "node/facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NOW          1700000000000ull
#define HOUR         (60ull * 60 * 1000)
#define HASH         "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"
#define OTHER_HASH   "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$b3RoZXI"
#define SERIAL       "0A1B2C"

/* ---- an instance whose disk is slow ---- */

struct write {
    struct write *next;
    char *key;
    struct osr_buffer value;
    void (*written)(void *context, enum osr_code code);
    void *context;
};

struct instance {
    struct osr_credentials *credentials;
    struct osr_facts *disk;
    struct write *first; /* not yet on the disk */
    struct write **last;
    size_t done_count;
    enum osr_code done_code; /* of the last one */
    struct osr_err err;
};

static struct osr_random secrets;

static void fill_secret(void *data, size_t size)
{
    osr_random_fill(&secrets, data, size);
}

static void write_fact(void *context, const char *key, struct osr_slice value,
                       void (*written)(void *context, enum osr_code code), void *written_context)
{
    struct instance *instance = context;
    struct write *write = osr_alloc(sizeof(*write));
    write->key = osr_strdup(key);
    osr_buffer_add(&write->value, value.data, value.size);
    write->written = written;
    write->context = written_context;
    *instance->last = write;
    instance->last = &write->next;
}

/* The disk answers what has waited longest. */
static void answer_one(struct instance *instance, enum osr_code code)
{
    struct write *write = instance->first;
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

static void answer(struct instance *instance, enum osr_code code)
{
    while (instance->first != NULL) {
        answer_one(instance, code);
    }
}

static void on_done(void *context, enum osr_code code)
{
    struct instance *instance = context;
    instance->done_count++;
    instance->done_code = code;
}

static struct osr_credential_done done(struct instance *instance)
{
    return (struct osr_credential_done){on_done, instance};
}

static void load(void *context, const char *key, struct osr_slice value)
{
    struct instance *instance = context;
    assert_int_equal(osr_credentials_load(instance->credentials, key, value, &instance->err), 0);
}

static void start(struct instance *instance, const char *cluster)
{
    const struct osr_credentials_options options = {
        .cluster = cluster, .hash_seed = 7, .random = fill_secret, .port = {write_fact, instance}};
    instance->credentials = osr_credentials_create(&options);
    osr_facts_walk(instance->disk, OSR_CREDENTIAL_PREFIX, load, instance);
}

static void restart(struct instance *instance)
{
    osr_credentials_destroy(instance->credentials);
    start(instance, "main");
}

static int set_up(void **state)
{
    struct instance *instance = osr_alloc(sizeof(*instance));
    osr_random_init(&secrets, 1);
    instance->disk = osr_facts_create(3);
    instance->last = &instance->first;
    start(instance, "main");
    *state = instance;
    return 0;
}

static int tear_down(void **state)
{
    struct instance *instance = *state;
    answer(instance, OSR_OK);
    osr_credentials_destroy(instance->credentials);
    osr_facts_destroy(instance->disk);
    free(instance);
    return 0;
}

/* ---- what is done with it ---- */

static const struct osr_token_order ci_order = {
    .name = "ci",
    .roles = {.names = {"editor", "reader"}, .count = 2},
    .expires_ms = NOW + HOUR,
    .created_by = "user:ana",
};

static void create_token(struct instance *instance, const struct osr_token_order *order, char *text)
{
    assert_int_equal(osr_credentials_create_token(instance->credentials, order, NOW, text,
                                                  done(instance), &instance->err),
                     0);
}

/* One that is on the disk; its id. */
static void make_token(struct instance *instance, char *text, char *id)
{
    struct osr_token token;
    create_token(instance, &ci_order, text);
    answer(instance, OSR_OK);
    assert_int_equal(osr_token_read(osr_slice_text(text), NULL, &token, NULL), 0);
    osr_token_id_text(id, &token);
}

static int check_at(struct instance *instance, const char *text, uint64_t now_ms)
{
    struct osr_credential_identity identity;
    return osr_credentials_check(instance->credentials, osr_slice_text(text), now_ms, &identity,
                                 &instance->err);
}

static void assert_refused_at(struct instance *instance, const char *text, uint64_t now_ms,
                              const char *why)
{
    assert_int_equal(check_at(instance, text, now_ms), OSR_UNAUTHENTICATED);
    if (strstr(instance->err.message, why) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", instance->err.message, why);
    }
    assert_null(strstr(instance->err.message, text + 5));
}

static void assert_refused(struct instance *instance, const char *text, const char *why)
{
    assert_refused_at(instance, text, NOW, why);
}

static void assert_identity(struct instance *instance, const char *text, const char *who,
                            const char *role)
{
    struct osr_credential_identity identity;
    assert_int_equal(osr_credentials_check(instance->credentials, osr_slice_text(text), NOW,
                                           &identity, &instance->err),
                     0);
    assert_string_equal(identity.who, who);
    assert_string_equal(identity.roles->names[0], role);
    assert_int_equal(
        osr_credentials_check_again(instance->credentials, identity.id, NOW, &identity, NULL), 0);
    assert_string_equal(identity.who, who);
}

static void revoke_token(struct instance *instance, const char *id, const char *by, uint64_t now_ms)
{
    assert_int_equal(osr_credentials_revoke_token(instance->credentials, id, by, now_ms,
                                                  done(instance), &instance->err),
                     0);
}

static struct osr_user_record sample_user(const char *name)
{
    return (struct osr_user_record){
        .name = name, .password_hash = HASH, .roles = {.names = {"editor"}, .count = 1}};
}

static void put_user(struct instance *instance, const struct osr_user_record *user)
{
    assert_int_equal(
        osr_credentials_put_user(instance->credentials, user, NOW, done(instance), &instance->err),
        0);
}

static void make_user(struct instance *instance, const char *name)
{
    struct osr_user_record user = sample_user(name);
    put_user(instance, &user);
    answer(instance, OSR_OK);
}

static int try_login(struct instance *instance, const char *name, const char *hash, char *text)
{
    uint64_t expires_ms = 0;
    int code = osr_credentials_login(instance->credentials, name, hash, NOW, text, &expires_ms,
                                     &instance->err);
    assert_int_equal(expires_ms, code == 0 ? NOW + OSR_LOGIN_MS : 0);
    return code;
}

static void login(struct instance *instance, const char *name, char *text)
{
    assert_int_equal(try_login(instance, name, HASH, text), 0);
}

static struct osr_token make_invitation(struct instance *instance, char *id)
{
    static const struct osr_invitation_order order = {
        .role = "peer", .expires_ms = NOW + HOUR, .created_by = "admin"};
    struct osr_token token;
    assert_int_equal(osr_credentials_create_invitation(instance->credentials, &order, NOW, &token,
                                                       done(instance), &instance->err),
                     0);
    osr_token_id_text(id, &token);
    answer(instance, OSR_OK);
    return token;
}

static int use_at(struct instance *instance, const struct osr_token *token, const char *who,
                  uint64_t now_ms)
{
    char role[OSR_POLICY_NAME_BYTES_MAX + 1] = "";
    int code = osr_credentials_use_invitation(instance->credentials, token, who, now_ms, role,
                                              done(instance), &instance->err);
    assert_string_equal(role, code == 0 ? "peer" : "");
    return code;
}

static void assert_unusable(struct instance *instance, const struct osr_token *token,
                            uint64_t now_ms, const char *why)
{
    assert_int_equal(use_at(instance, token, "instance:late", now_ms), OSR_UNAUTHENTICATED);
    if (strstr(instance->err.message, why) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", instance->err.message, why);
    }
}

static struct osr_hash authority_of(uint8_t byte)
{
    struct osr_hash hash;
    memset(hash.bytes, byte, sizeof(hash.bytes));
    return hash;
}

static int revoke_serial(struct instance *instance, const char *serial, uint64_t expires_ms)
{
    struct osr_revocation_record revocation = {.serial = serial,
                                               .authority = authority_of(1),
                                               .who = "instance:lost",
                                               .revoked_by = "admin",
                                               .expires_ms = expires_ms};
    return osr_credentials_revoke_certificate(instance->credentials, &revocation, NOW,
                                              done(instance), &instance->err);
}

static bool is_revoked(struct instance *instance, const char *serial, uint8_t authority)
{
    struct osr_hash hash = authority_of(authority);
    return osr_credentials_is_revoked(instance->credentials, serial, &hash);
}

static void count_one(void *context, const struct osr_credential *credential)
{
    (void)credential;
    *(size_t *)context += 1;
}

static size_t count_of(struct instance *instance, enum osr_credential_kind kind)
{
    size_t count = 0;
    osr_credentials_walk(instance->credentials, kind, count_one, &count);
    return count;
}

/* ---- tokens ---- */

/* A token opens nothing before it is on the disk; then it is its name, with its roles. */
static void token_is_good_once_it_is_durable(void **state)
{
    struct instance *instance = *state;
    char text[OSR_TOKEN_TEXT_MAX];
    create_token(instance, &ci_order, text);
    assert_refused(instance, text, "unknown");
    assert_int_equal(instance->done_count, 0);
    answer(instance, OSR_OK);
    assert_int_equal(instance->done_count, 1);
    assert_int_equal(instance->done_code, OSR_OK);
    assert_identity(instance, text, "token:ci", "editor");
}

/* One that could not be stored never was. */
static void token_that_is_not_stored_opens_nothing(void **state)
{
    struct instance *instance = *state;
    char text[OSR_TOKEN_TEXT_MAX];
    create_token(instance, &ci_order, text);
    answer(instance, OSR_DISK_FULL);
    assert_int_equal(instance->done_code, OSR_DISK_FULL);
    assert_refused(instance, text, "unknown");
    assert_int_equal(count_of(instance, OSR_CREDENTIAL_TOKEN), 0);
}

/* Why a token is refused, each reason by itself. */
static void token_is_refused_with_the_reason(void **state)
{
    struct instance *instance = *state;
    char text[OSR_TOKEN_TEXT_MAX], id[OSR_SECRET_ID_CHARS + 1];
    make_token(instance, text, id);

    assert_int_equal(check_at(instance, text, NOW + HOUR - 1), 0);
    assert_refused_at(instance, text, NOW + HOUR, "expired at 2023-11-14 23:13:20 UTC");
    char mistyped[OSR_TOKEN_TEXT_MAX];
    snprintf(mistyped, sizeof(mistyped), "%s", text);
    mistyped[20] = mistyped[20] == 'a' ? 'b' : 'a';
    assert_refused(instance, mistyped, "mistyped");
    assert_refused(instance, "osrt_abc", "cut short");
    revoke_token(instance, id, "user:ana", NOW + 1000);
    assert_refused(instance, text, "revoked at 2023-11-14 22:13:21 UTC");
}

/* Who knows an id, but not the secret, learns nothing: not even that the token is revoked. */
static void token_with_a_wrong_secret_is_unknown(void **state)
{
    struct instance *instance = *state;
    char text[OSR_TOKEN_TEXT_MAX], id[OSR_SECRET_ID_CHARS + 1], forged[OSR_TOKEN_TEXT_MAX];
    struct osr_token token;
    make_token(instance, text, id);
    assert_int_equal(osr_token_read(osr_slice_text(text), NULL, &token, NULL), 0);
    token.secret[OSR_SECRET_SIZE - 1] ^= 1;
    osr_token_write(forged, &token);
    assert_refused(instance, forged, "unknown");
    assert_refused_at(instance, forged, NOW + HOUR, "unknown");
    revoke_token(instance, id, "user:ana", NOW);
    assert_refused(instance, forged, "unknown");
}

/* Another cluster's is told so, whether it is known there or not. */
static void token_of_another_cluster_is_told(void **state)
{
    struct instance *instance = *state;
    char text[OSR_TOKEN_TEXT_MAX], id[OSR_SECRET_ID_CHARS + 1];
    make_token(instance, text, id);
    osr_credentials_destroy(instance->credentials);
    start(instance, "other");
    assert_int_equal(check_at(instance, text, NOW), OSR_WRONG_CLUSTER);
}

/* Revoked, it is refused at once: before the disk knows, and even if it never does. */
static void token_revocation_does_not_wait_for_the_disk(void **state)
{
    struct instance *instance = *state;
    char text[OSR_TOKEN_TEXT_MAX], id[OSR_SECRET_ID_CHARS + 1];
    make_token(instance, text, id);
    revoke_token(instance, id, "user:ana", NOW);
    assert_refused(instance, text, "revoked");
    answer(instance, OSR_DISK_FULL);
    assert_int_equal(instance->done_code, OSR_DISK_FULL);
    assert_refused(instance, text, "revoked");
    restart(instance);
    assert_int_equal(check_at(instance, text, NOW), 0); /* as `done` has said */
}

/* Revoking again writes again, for the first time may have failed, and keeps who was first. */
static void token_revoked_twice_keeps_the_first(void **state)
{
    struct instance *instance = *state;
    char text[OSR_TOKEN_TEXT_MAX], id[OSR_SECRET_ID_CHARS + 1];
    make_token(instance, text, id);
    revoke_token(instance, id, "user:ana", NOW + 1);
    answer(instance, OSR_DISK_FULL);
    revoke_token(instance, id, "user:bea", NOW + 2);
    answer(instance, OSR_OK);
    restart(instance);
    const struct osr_credential *token =
        osr_credentials_find(instance->credentials, OSR_CREDENTIAL_TOKEN, id);
    assert_string_equal(token->token.revoked_by, "user:ana");
    assert_int_equal(token->token.revoked_ms, NOW + 1);
    assert_refused(instance, text, "revoked");
    assert_int_equal(osr_credentials_revoke_token(instance->credentials, "0123456789abcdef",
                                                  "admin", NOW, done(instance), &instance->err),
                     OSR_NOT_FOUND);
}

/* A token without an end has none. */
static void token_may_never_expire(void **state)
{
    struct instance *instance = *state;
    struct osr_token_order order = ci_order;
    char text[OSR_TOKEN_TEXT_MAX];
    order.expires_ms = 0;
    create_token(instance, &order, text);
    answer(instance, OSR_OK);
    assert_int_equal(check_at(instance, text, OSR_TIME_MS_MAX), 0);
}

/* Orders that make no sense are refused before anything is written. */
static void token_orders_are_checked(void **state)
{
    struct instance *instance = *state;
    static const char *const names[] = {"",  "a b",  "*",     "ana*",       "a:b",
                                        "é", "a\nb", "\"a\"", "/etc/passwd"};
    char text[OSR_TOKEN_TEXT_MAX], long_name[OSR_CREDENTIAL_NAME_BYTES_MAX + 2] = "";
    struct osr_token_order orders[COUNT(names) + 5];
    size_t count = 0;
    for (; count < COUNT(names); count++) {
        orders[count] = ci_order;
        orders[count].name = names[count];
    }
    memset(long_name, 'a', sizeof(long_name) - 1);
    orders[count] = ci_order;
    orders[count++].name = long_name;
    orders[count] = ci_order;
    orders[count++].expires_ms = NOW;
    orders[count] = ci_order;
    orders[count++].roles.names[1] = "no role";
    orders[count] = ci_order;
    orders[count++].roles.count = OSR_CREDENTIAL_ROLES_MAX + 1;
    orders[count] = ci_order;
    orders[count++].created_by = "a\tb";
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(osr_credentials_create_token(instance->credentials, &orders[i], NOW, text,
                                                      done(instance), &instance->err),
                         OSR_INVALID_ARGUMENT);
    }
    assert_null(instance->first);
    assert_int_equal(instance->done_count, 0);
    long_name[OSR_CREDENTIAL_NAME_BYTES_MAX] = '\0';
    orders[0].name = long_name;
    create_token(instance, &orders[0], text);
}

/* A full store takes no more while all are good, also counting those on their way. */
static void tokens_are_bounded(void **state)
{
    struct instance *instance = *state;
    char text[OSR_TOKEN_TEXT_MAX];
    for (size_t i = 0; i < OSR_TOKENS_MAX; i++) {
        create_token(instance, &ci_order, text);
    }
    assert_int_equal(osr_credentials_create_token(instance->credentials, &ci_order, NOW, text,
                                                  done(instance), &instance->err),
                     OSR_TOO_LARGE);
    answer(instance, OSR_OK);
    assert_int_equal(count_of(instance, OSR_CREDENTIAL_TOKEN), OSR_TOKENS_MAX);
    assert_int_equal(osr_credentials_create_token(instance->credentials, &ci_order, NOW, text,
                                                  done(instance), &instance->err),
                     OSR_TOO_LARGE);
}

/* Where some have ended, a full store forgets the one that ended first, on the disk, too. */
static void tokens_that_ended_make_room(void **state)
{
    enum { ENDED = 10 };
    struct instance *instance = *state;
    struct osr_token_order order = ci_order;
    char ended[ENDED][OSR_TOKEN_TEXT_MAX], text[OSR_TOKEN_TEXT_MAX];
    char id[OSR_SECRET_ID_CHARS + 1];
    for (size_t i = 0; i + 1 < ENDED; i++) {
        order.expires_ms = NOW + 1 + i;
        create_token(instance, &order, ended[i]);
    }
    make_token(instance, ended[ENDED - 1], id);
    revoke_token(instance, id, "admin", NOW + ENDED);
    order.expires_ms = 0;
    for (size_t i = ENDED; i < OSR_TOKENS_MAX; i++) {
        create_token(instance, &order, text);
    }
    answer(instance, OSR_OK);
    for (size_t i = 0; i < ENDED; i++) {
        uint64_t now_ms = NOW + HOUR / 2;
        assert_refused_at(instance, ended[i], now_ms, i + 1 < ENDED ? "expired" : "revoked");
        assert_int_equal(osr_credentials_create_token(instance->credentials, &order, now_ms, text,
                                                      done(instance), &instance->err),
                         0);
        answer(instance, OSR_OK);
        assert_refused_at(instance, ended[i], now_ms, "unknown");
        assert_identity(instance, text, "token:ci", "editor");
    }
    restart(instance);
    assert_int_equal(count_of(instance, OSR_CREDENTIAL_TOKEN), OSR_TOKENS_MAX);
}

/* ---- users ---- */

/* A login is its user, with the roles that the user has now, for as long as it says. */
static void login_is_its_user(void **state)
{
    struct instance *instance = *state;
    char text[OSR_TOKEN_TEXT_MAX];
    make_user(instance, "ana");
    login(instance, "ana", text);
    assert_identity(instance, text, "user:ana", "editor");
    assert_int_equal(check_at(instance, text, NOW + OSR_LOGIN_MS - 1), 0);
    assert_refused_at(instance, text, NOW + OSR_LOGIN_MS, "expired");

    struct osr_user_record user = sample_user("ana");
    user.roles.names[0] = "reader";
    put_user(instance, &user);
    answer(instance, OSR_OK);
    assert_identity(instance, text, "user:ana", "reader");
}

/* Nobody logs in as nobody, with a password that was changed meanwhile, or disabled. */
static void login_is_refused(void **state)
{
    struct instance *instance = *state;
    struct osr_user_record user = sample_user("ana");
    char text[OSR_TOKEN_TEXT_MAX];
    make_user(instance, "ana");
    assert_int_equal(try_login(instance, "bea", HASH, text), OSR_UNAUTHENTICATED);
    assert_int_equal(try_login(instance, "ana", OTHER_HASH, text), OSR_UNAUTHENTICATED);
    user.is_disabled = true;
    put_user(instance, &user);
    assert_int_equal(try_login(instance, "ana", HASH, text), OSR_UNAUTHENTICATED);
    assert_non_null(strstr(instance->err.message, "disabled"));
}

/* Disabled, removed, or with another password: the user's logins end, nobody else's do. */
static void logins_end_with_their_user(void **state)
{
    struct instance *instance = *state;
    char text[OSR_TOKEN_TEXT_MAX], others[OSR_TOKEN_TEXT_MAX];
    make_user(instance, "bea");
    login(instance, "bea", others);
    for (int how = 0; how < 3; how++) {
        struct osr_user_record user = sample_user("ana");
        make_user(instance, "ana");
        login(instance, "ana", text);
        if (how == 0) {
            user.is_disabled = true;
            put_user(instance, &user); /* at once */
        } else if (how == 1) {
            assert_int_equal(osr_credentials_remove_user(instance->credentials, "ana",
                                                         done(instance), &instance->err),
                             0); /* at once */
        } else {
            user.password_hash = OTHER_HASH;
            put_user(instance, &user);
            answer(instance, OSR_OK);
        }
        assert_refused(instance, text, "unknown");
        assert_identity(instance, others, "user:bea", "editor");
        answer(instance, OSR_OK);
    }
}

/* A login can be ended by its id; a restart ends all. */
static void logins_end(void **state)
{
    struct instance *instance = *state;
    struct osr_credential_identity identity;
    char one[OSR_TOKEN_TEXT_MAX], other[OSR_TOKEN_TEXT_MAX];
    make_user(instance, "ana");
    login(instance, "ana", one);
    login(instance, "ana", other);
    assert_int_equal(
        osr_credentials_check(instance->credentials, osr_slice_text(one), NOW, &identity, NULL), 0);
    size_t done_before = instance->done_count;
    revoke_token(instance, identity.id, "user:ana", NOW);
    assert_int_equal(instance->done_count, done_before + 1);
    assert_refused(instance, one, "unknown");
    assert_identity(instance, other, "user:ana", "editor");
    restart(instance);
    assert_refused(instance, other, "unknown");
}

/* Who logs in again and again ends the user's own oldest login. */
static void logins_of_a_user_are_bounded(void **state)
{
    struct instance *instance = *state;
    char texts[OSR_LOGINS_PER_USER_MAX + 1][OSR_TOKEN_TEXT_MAX], others[OSR_TOKEN_TEXT_MAX];
    make_user(instance, "ana");
    make_user(instance, "bea");
    login(instance, "bea", others);
    for (size_t i = 0; i < COUNT(texts); i++) {
        login(instance, "ana", texts[i]);
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
        osr_logins_add(logins, &token, user, NOW);
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
    struct instance *instance = *state;
    struct osr_user_record user = sample_user("ana");
    make_user(instance, "ana");
    user.password_hash = OTHER_HASH;
    assert_int_equal(osr_credentials_put_user(instance->credentials, &user, NOW + 5, done(instance),
                                              &instance->err),
                     0);
    answer(instance, OSR_OK);
    const struct osr_credential *found =
        osr_credentials_find(instance->credentials, OSR_CREDENTIAL_USER, "ana");
    assert_int_equal(found->user.created_ms, NOW);
    assert_string_equal(found->user.password_hash, OTHER_HASH);

    put_user(instance, &user);
    assert_int_equal(
        osr_credentials_remove_user(instance->credentials, "ana", done(instance), NULL), 0);
    answer(instance, OSR_OK);
    assert_null(osr_credentials_find(instance->credentials, OSR_CREDENTIAL_USER, "ana"));
    assert_int_equal(
        osr_credentials_remove_user(instance->credentials, "ana", done(instance), NULL),
        OSR_NOT_FOUND);
    restart(instance);
    assert_int_equal(count_of(instance, OSR_CREDENTIAL_USER), 0);
}

/* A removal that cannot be stored holds until the restart, also against a change that was under way
 * before it. */
static void user_removal_does_not_wait_for_the_disk(void **state)
{
    struct instance *instance = *state;
    struct osr_user_record user = sample_user("ana");
    make_user(instance, "ana");
    put_user(instance, &user);
    assert_int_equal(
        osr_credentials_remove_user(instance->credentials, "ana", done(instance), NULL), 0);
    assert_null(osr_credentials_find(instance->credentials, OSR_CREDENTIAL_USER, "ana"));
    answer_one(instance, OSR_OK);
    answer_one(instance, OSR_DISK_FULL);
    assert_int_equal(instance->done_code, OSR_DISK_FULL);
    assert_null(osr_credentials_find(instance->credentials, OSR_CREDENTIAL_USER, "ana"));
    restart(instance);
    assert_non_null(osr_credentials_find(instance->credentials, OSR_CREDENTIAL_USER, "ana"));
}

/* Users need a name, and a hash that is one; there can be so many, and no user is forgotten. */
static void users_are_checked_and_bounded(void **state)
{
    struct instance *instance = *state;
    struct osr_user_record user = sample_user("ana ");
    char long_hash[OSR_PASSWORD_HASH_TEXT_MAX + 1] = "";
    assert_int_equal(
        osr_credentials_put_user(instance->credentials, &user, NOW, done(instance), &instance->err),
        OSR_INVALID_ARGUMENT);
    user = sample_user("ana");
    user.password_hash = "";
    assert_int_equal(
        osr_credentials_put_user(instance->credentials, &user, NOW, done(instance), &instance->err),
        OSR_INVALID_ARGUMENT);
    memset(long_hash, '$', sizeof(long_hash) - 1);
    user.password_hash = long_hash;
    assert_int_equal(
        osr_credentials_put_user(instance->credentials, &user, NOW, done(instance), &instance->err),
        OSR_INVALID_ARGUMENT);
    for (size_t i = 0; i < OSR_USERS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof(name), "user%zu", i);
        make_user(instance, name);
    }
    user = sample_user("ana");
    assert_int_equal(
        osr_credentials_put_user(instance->credentials, &user, NOW, done(instance), &instance->err),
        OSR_TOO_LARGE);
    user = sample_user("user7");
    put_user(instance, &user); /* not one more */
}

/* ---- invitations ---- */

/* It is used once; whoever comes second is told who was first, and when. */
static void invitation_is_used_once(void **state)
{
    struct instance *instance = *state;
    char id[OSR_SECRET_ID_CHARS + 1];
    struct osr_token token = make_invitation(instance, id);
    size_t done_before = instance->done_count;
    assert_int_equal(use_at(instance, &token, "instance:first", NOW + 1000), 0);
    assert_int_equal(instance->done_count, done_before);
    assert_unusable(instance, &token, NOW + 1000, "is being used");
    answer(instance, OSR_OK);
    assert_int_equal(instance->done_count, done_before + 1);
    assert_unusable(instance, &token, NOW + 1000,
                    "was used by instance:first at 2023-11-14 22:13:21 UTC");
    assert_unusable(instance, &token, NOW + 2 * HOUR, "was used by instance:first");
    restart(instance);
    assert_unusable(instance, &token, NOW, "was used by instance:first");
}

/* A use that could not be stored was none. */
static void invitation_whose_use_fails_can_be_used(void **state)
{
    struct instance *instance = *state;
    char id[OSR_SECRET_ID_CHARS + 1];
    struct osr_token token = make_invitation(instance, id);
    assert_int_equal(use_at(instance, &token, "instance:first", NOW), 0);
    answer(instance, OSR_DISK_FULL);
    assert_int_equal(instance->done_code, OSR_DISK_FULL);
    assert_int_equal(use_at(instance, &token, "instance:first", NOW), 0);
    answer(instance, OSR_OK);
    assert_int_equal(instance->done_code, OSR_OK);
}

/* Expired, revoked, unknown, wrong or of another cluster: each is told. */
static void invitation_is_refused_with_the_reason(void **state)
{
    struct instance *instance = *state;
    char id[OSR_SECRET_ID_CHARS + 1];
    struct osr_token token = make_invitation(instance, id);
    struct osr_token other = token;
    assert_unusable(instance, &token, NOW + HOUR, "expired at 2023-11-14 23:13:20 UTC");
    other.secret[0] ^= 1;
    assert_unusable(instance, &other, NOW, "unknown");
    other = token;
    other.id[0] ^= 1;
    assert_unusable(instance, &other, NOW, "unknown");
    other = token;
    other.cluster.bytes[0] ^= 1;
    assert_int_equal(use_at(instance, &other, "instance:late", NOW), OSR_WRONG_CLUSTER);

    assert_int_equal(osr_credentials_revoke_invitation(instance->credentials, id, "admin", NOW,
                                                       done(instance), &instance->err),
                     0);
    assert_unusable(instance, &token, NOW, "revoked at");
    answer(instance, OSR_OK);
    assert_unusable(instance, &token, NOW, "revoked at");
    restart(instance);
    assert_unusable(instance, &token, NOW, "revoked at");
}

/* Once it is being used it is too late to revoke it. */
static void invitation_in_use_is_not_revoked(void **state)
{
    struct instance *instance = *state;
    char id[OSR_SECRET_ID_CHARS + 1];
    struct osr_token token = make_invitation(instance, id);
    assert_int_equal(use_at(instance, &token, "instance:first", NOW), 0);
    assert_int_equal(osr_credentials_revoke_invitation(instance->credentials, id, "admin", NOW,
                                                       done(instance), &instance->err),
                     OSR_BUSY);
    answer(instance, OSR_OK);
    assert_int_equal(osr_credentials_revoke_invitation(instance->credentials, id, "admin", NOW,
                                                       done(instance), &instance->err),
                     OSR_INVALID_ARGUMENT);
    assert_non_null(strstr(instance->err.message, "used by instance:first"));
    assert_int_equal(osr_credentials_revoke_invitation(instance->credentials, "0123456789abcdef",
                                                       "admin", NOW, done(instance), NULL),
                     OSR_NOT_FOUND);
}

/* An invitation's secret is no token, and a token's no invitation. */
static void invitation_is_no_token(void **state)
{
    struct instance *instance = *state;
    char text[OSR_TOKEN_TEXT_MAX], id[OSR_SECRET_ID_CHARS + 1];
    struct osr_token token = make_invitation(instance, id);
    osr_token_write(text, &token);
    assert_refused(instance, text, "unknown");
    make_token(instance, text, id);
    assert_int_equal(osr_token_read(osr_slice_text(text), NULL, &token, NULL), 0);
    assert_unusable(instance, &token, NOW, "unknown");
}

/* ---- certificates ---- */

/* A serial is revoked at once, at its own authority alone. */
static void certificate_is_revoked_at_once(void **state)
{
    struct instance *instance = *state;
    assert_false(is_revoked(instance, SERIAL, 1));
    assert_int_equal(revoke_serial(instance, SERIAL, 0), 0);
    assert_true(is_revoked(instance, SERIAL, 1));
    assert_false(is_revoked(instance, SERIAL, 2));
    assert_false(is_revoked(instance, "0A1B2C0D", 1));
    answer(instance, OSR_DISK_FULL);
    assert_true(is_revoked(instance, SERIAL, 1));
    assert_int_equal(revoke_serial(instance, SERIAL, 0), 0);
    answer(instance, OSR_OK);
    assert_int_equal(count_of(instance, OSR_CREDENTIAL_REVOCATION), 1);
    restart(instance);
    assert_true(is_revoked(instance, SERIAL, 1));
}

/* A serial in another writing would be looked for in vain: it is refused. */
static void certificate_serials_are_checked(void **state)
{
    struct instance *instance = *state;
    static const char *const refused[] = {
        "",    "0a1b2c", "A1B2C", "0A:1B",
        " 0A", "0A ",    "0x0A",  "000102030405060708090A0B0C0D0E0F1011121314"};
    for (size_t i = 0; i < COUNT(refused); i++) {
        assert_int_equal(revoke_serial(instance, refused[i], 0), OSR_INVALID_ARGUMENT);
    }
    assert_int_equal(revoke_serial(instance, "000102030405060708090A0B0C0D0E0F10111213", 0), 0);
}

/* No revocation is forgotten before its certificate has expired. */
static void revocations_are_bounded(void **state)
{
    struct instance *instance = *state;
    char serial[16];
    for (uint32_t i = 0; i < OSR_REVOCATIONS_MAX; i++) {
        snprintf(serial, sizeof(serial), "%08X", i);
        assert_int_equal(revoke_serial(instance, serial, i == 5 ? NOW : i == 6 ? NOW + 1 : 0), 0);
        answer(instance, OSR_OK);
    }
    assert_int_equal(revoke_serial(instance, SERIAL, 0), 0);
    assert_false(is_revoked(instance, "00000005", 1));
    assert_int_equal(revoke_serial(instance, "FF", 0), OSR_TOO_LARGE);
    assert_true(is_revoked(instance, "00000006", 1));
    assert_true(is_revoked(instance, SERIAL, 1));
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

/* One of each kind, as the log has them. */
static void make_facts(struct instance *instance, struct fact *facts)
{
    char text[OSR_TOKEN_TEXT_MAX], id[OSR_SECRET_ID_CHARS + 1];
    make_token(instance, text, id);
    revoke_token(instance, id, "user:ana", NOW + 9);
    make_user(instance, "ana");
    struct osr_token token = make_invitation(instance, id);
    assert_int_equal(use_at(instance, &token, "instance:first", NOW + 8), 0);
    assert_int_equal(revoke_serial(instance, SERIAL, NOW + 7), 0);
    answer(instance, OSR_OK);
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

static int load_fact(struct instance *instance, const char *key, struct osr_slice value)
{
    return osr_credentials_load(instance->credentials, key, value, &instance->err);
}

/* Each kind comes back from its fact with all that it had. */
static void facts_bring_everything_back(void **state)
{
    struct instance *instance = *state;
    struct fact facts[OSR_CREDENTIAL_KIND_COUNT] = {{0}};
    make_facts(instance, facts);
    restart(instance);
    for (size_t i = 0; i < COUNT(facts); i++) {
        struct osr_credential credential;
        struct osr_buffer again = {0};
        char *texts = osr_alloc(facts[i].value.size);
        assert_int_equal(osr_credential_decode(facts[i].key, osr_buffer_slice(&facts[i].value),
                                               texts, &credential, &instance->err),
                         0);
        osr_credential_encode(&credential, &again);
        assert_true(osr_slice_equal(osr_buffer_slice(&again), osr_buffer_slice(&facts[i].value)));
        assert_int_equal(count_of(instance, credential.kind), 1);
        osr_buffer_done(&again);
        free(texts);
    }
    const struct osr_user_record *user =
        &osr_credentials_find(instance->credentials, OSR_CREDENTIAL_USER, "ana")->user;
    assert_string_equal(user->password_hash, HASH);
    assert_string_equal(user->roles.names[0], "editor");
    assert_int_equal(user->roles.count, 1);
    assert_int_equal(user->created_ms, NOW);
    free_facts(facts);
}

/* Cut anywhere, with something behind it, or under another key, a fact is damaged. */
static void facts_that_are_damaged_are_refused(void **state)
{
    struct instance *instance = *state;
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
    struct instance *instance = *state;
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
    struct instance *instance = *state;
    char text[OSR_TOKEN_TEXT_MAX], id[OSR_SECRET_ID_CHARS + 1];
    struct osr_token token;
    create_token(instance, &ci_order, text);
    assert_int_equal(osr_token_read(osr_slice_text(text), NULL, &token, NULL), 0);
    const struct osr_buffer *value = &instance->first->value;
    assert_true(has_bytes(value, osr_token_hash(&token).bytes, OSR_SHA256_SIZE));
    assert_false(has_bytes(value, token.secret, 4));
    assert_null(strstr(instance->first->key, text + 40));
    answer(instance, OSR_OK);

    make_user(instance, "ana");
    login(instance, "ana", text);
    assert_null(instance->first); /* nothing at all, of a login */
    token = make_invitation(instance, id);
    assert_int_equal(use_at(instance, &token, "instance:first", NOW), 0);
    assert_false(has_bytes(&instance->first->value, token.secret, 4));
}

/* Whoever remembers an identity can tell when to look again. */
static void revision_grows_with_every_change(void **state)
{
    struct instance *instance = *state;
    char text[OSR_TOKEN_TEXT_MAX], id[OSR_SECRET_ID_CHARS + 1];
    struct osr_credential_identity identity;
    uint64_t before = osr_credentials_revision(instance->credentials);
    make_token(instance, text, id);
    uint64_t made = osr_credentials_revision(instance->credentials);
    assert_true(made > before);
    assert_int_equal(check_at(instance, text, NOW), 0);
    assert_int_equal(osr_credentials_revision(instance->credentials), made);
    revoke_token(instance, id, "admin", NOW);
    assert_true(osr_credentials_revision(instance->credentials) > made);
    assert_int_equal(
        osr_credentials_check_again(instance->credentials, id, NOW, &identity, &instance->err),
        OSR_UNAUTHENTICATED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

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
        TEST(login_is_its_user),
        TEST(login_is_refused),
        TEST(logins_end_with_their_user),
        TEST(logins_end),
        TEST(logins_of_a_user_are_bounded),
        TEST(logins_in_all_are_bounded),
        TEST(users_change_in_order),
        TEST(user_removal_does_not_wait_for_the_disk),
        TEST(users_are_checked_and_bounded),
        TEST(invitation_is_used_once),
        TEST(invitation_whose_use_fails_can_be_used),
        TEST(invitation_is_refused_with_the_reason),
        TEST(invitation_in_use_is_not_revoked),
        TEST(invitation_is_no_token),
        TEST(certificate_is_revoked_at_once),
        TEST(certificate_serials_are_checked),
        TEST(revocations_are_bounded),
        TEST(facts_bring_everything_back),
        TEST(facts_that_are_damaged_are_refused),
        TEST(facts_of_a_newer_version_are_told),
        TEST(facts_hold_no_secret),
        TEST(revision_grows_with_every_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
