/* Who is at the other end by what they show, and what follows when that on which it rests changes:
 * tokens, certificates, the policy. */
#include "node/access.h"
#include "node/listener_methods.h"

#include "adapter/connection.h"
#include "adapter/keys.h"
#include "lib/sim_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NOW          1700000000000ull
#define HOUR         (60ull * 60 * 1000)
#define INSTANCE     "fcws6pwb6d5eyh6daeqs345cl2yobs6r"
#define OTHER        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define TOKENS       (1u << OSR_METHOD_TOKEN)
#define PASSWORDS    (1u << OSR_METHOD_PASSWORD)

struct fixture {
    struct osr_credentials *credentials;
    struct osr_access *access;
    struct osr_identity identity;
    uint64_t now_ms;
    const char *approved;  /* instance; NULL: none */
    const char *authority; /* the same */
    unsigned methods;      /* of the listener */
    struct osr_err err;
    /* With an audit log. */
    uv_loop_t loop;
    struct osr_sim_disk *sim;
    struct osr_audit *audit;
};

/* ---- what the access stands on ---- */

static void write_fact(void *context, const char *key, struct osr_slice value,
                       void (*written)(void *context, enum osr_code code), void *written_context)
{
    (void)context;
    (void)key;
    (void)value;
    written(written_context, OSR_OK);
}

static uint64_t on_time(void *context)
{
    return ((struct fixture *)context)->now_ms;
}

static bool is_approved(void *context, const char *instance)
{
    const struct fixture *fixture = context;
    return fixture->approved != NULL && strcmp(fixture->approved, instance) == 0;
}

static bool is_authority(void *context, const char *instance)
{
    const struct fixture *fixture = context;
    return fixture->authority != NULL && strcmp(fixture->authority, instance) == 0;
}

static bool knows_members(void *context)
{
    return ((struct fixture *)context)->authority != NULL;
}

/* The defaults, and a role "clerk" that may `action` on notes; "user:ana" has it. */
static struct osr_policy *make_policy(enum osr_action action)
{
    struct osr_policy_builder *builder = osr_policy_builder_create();
    osr_policy_add_defaults(builder);
    assert_int_equal(osr_policy_add_role(builder, "clerk", NULL), 0);
    assert_int_equal(osr_policy_add_rule(builder, "clerk", true, 1u << action, "collection:notes*",
                                         "test:1", NULL),
                     0);
    assert_int_equal(osr_policy_add_member(builder, "user:ana", NULL), 0);
    assert_int_equal(osr_policy_give_role(builder, "user:ana", "clerk", "test:2", NULL), 0);
    return osr_policy_build(builder);
}

static void make_access(struct fixture *fixture)
{
    const struct osr_access_options options = {
        .cluster = "home",
        .policy = make_policy(OSR_ACTION_READ),
        .credentials = fixture->credentials,
        .audit = fixture->audit,
        .time_ms = on_time,
        .is_approved = is_approved,
        .is_authority = is_authority,
        .knows_members = knows_members,
        .context = fixture,
    };
    fixture->access = osr_access_create(&options);
}

static int set_up(void **state)
{
    struct fixture *fixture = osr_alloc(sizeof(*fixture));
    const struct osr_credentials_options options = {.cluster = "home",
                                                    .hash_seed = 7,
                                                    .random = osr_secret_random,
                                                    .port = {write_fact, fixture}};
    fixture->credentials = osr_credentials_create(&options);
    fixture->now_ms = NOW;
    fixture->methods = TOKENS | PASSWORDS;
    make_access(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    osr_identity_done(&fixture->identity);
    osr_access_destroy(fixture->access);
    osr_credentials_destroy(fixture->credentials);
    free(fixture);
    return 0;
}

/* ---- connections ---- */

static struct osr_tls_peer shown_peer;

static char remote_url[] = "tcp://203.0.113.7:4711";
static char socket_url[] = "unix:///tmp/a:1/osiris.sock";

static const struct osr_connection remote = {.url = remote_url};
static const struct osr_connection local = {.url = remote_url, .is_local = true};
static const struct osr_connection over_tls = {.url = remote_url, .peer = &shown_peer};

static struct osr_connection at_socket(uint32_t uid)
{
    return (struct osr_connection){
        .url = socket_url, .is_local = true, .owner = {.known = true, .uid = uid}};
}

static void show(enum osr_tls_proof proof, const char *cluster, const char *who,
                 const char *subject)
{
    shown_peer = (struct osr_tls_peer){.proof = proof};
    snprintf(shown_peer.cluster, sizeof(shown_peer.cluster), "%s", cluster);
    snprintf(shown_peer.who, sizeof(shown_peer.who), "%s", who);
    snprintf(shown_peer.subject, sizeof(shown_peer.subject), "%s", subject);
    if (proof == OSR_TLS_PROOF_CERTIFICATE) {
        snprintf(shown_peer.serial, sizeof(shown_peer.serial), "0A1B2C");
    }
}

static int identify(struct fixture *fixture, const struct osr_connection *connection)
{
    osr_identity_done(&fixture->identity);
    return osr_access_identify(fixture->access, connection, fixture->methods, &fixture->identity,
                               &fixture->err);
}

static void assert_is(struct fixture *fixture, const struct osr_connection *connection,
                      const char *who)
{
    assert_int_equal(identify(fixture, connection), 0);
    assert_string_equal(fixture->identity.who, who);
}

static bool may(struct fixture *fixture, enum osr_action action, const char *part_text)
{
    struct osr_part part;
    assert_int_equal(osr_part_parse(part_text, &part, NULL), 0);
    bool allows = osr_access_allows(fixture->access, &fixture->identity, action, part);
    int code =
        osr_access_check(fixture->access, &fixture->identity, action, part, "THIS", &fixture->err);
    assert_int_equal(code == 0, allows); /* one answer, whichever way it is asked */
    return allows;
}

/* ---- who somebody is ---- */

/* In plaintext it is the socket's credentials and the address that count. */
static void access_identifies_in_plaintext(void **state)
{
    struct fixture *fixture = *state;
    struct osr_connection root = at_socket(0);
    struct osr_connection own = at_socket(geteuid());
    struct osr_connection stranger = at_socket(geteuid() + 4711);
    assert_is(fixture, &root, "admin");
    assert_string_equal(fixture->identity.from, socket_url);
    assert_is(fixture, &own, "admin");
    assert_true(may(fixture, OSR_ACTION_TRUST, "instance:"));
    assert_is(fixture, &stranger, "");
    assert_false(may(fixture, OSR_ACTION_LINK, "instance:"));
    assert_is(fixture, &local, "local");
    assert_is(fixture, &remote, "anonymous");
    assert_string_equal(fixture->identity.from, "tcp://203.0.113.7");
    assert_false(may(fixture, OSR_ACTION_READ, "collection:x"));
}

/* With TLS it is the proof; nobody is "local" or "admin" by a certificate. */
static void access_identifies_by_proof(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        enum osr_tls_proof proof;
        const char *cluster, *who, *subject, *expected;
        enum osr_code code;
    } cases[] = {
        {OSR_TLS_PROOF_NONE, "", "", "", "anonymous", OSR_OK},
        {OSR_TLS_PROOF_PINNED, "", "", "", "anonymous", OSR_OK},
        {OSR_TLS_PROOF_KEY, "", "blue", "", "key:blue", OSR_OK},
        {OSR_TLS_PROOF_CERTIFICATE, "home", "user:ana", "", "user:ana", OSR_OK},
        {OSR_TLS_PROOF_CERTIFICATE, "home", "instance:" INSTANCE, "", "instance:" INSTANCE, OSR_OK},
        {OSR_TLS_PROOF_CERTIFICATE, "", "", "build.example", "subject:build.example", OSR_OK},
        {OSR_TLS_PROOF_CERTIFICATE, "away", "user:ana", "", "", OSR_WRONG_CLUSTER},
        {OSR_TLS_PROOF_CERTIFICATE, "home", "admin", "", "", OSR_UNAUTHENTICATED},
        {OSR_TLS_PROOF_CERTIFICATE, "home", "local", "", "", OSR_UNAUTHENTICATED},
        {OSR_TLS_PROOF_CERTIFICATE, "home", "token:ci", "", "", OSR_UNAUTHENTICATED},
        {OSR_TLS_PROOF_CERTIFICATE, "", "", "", "", OSR_UNAUTHENTICATED},
        {OSR_TLS_PROOF_KEY, "", "", "", "", OSR_UNAUTHENTICATED},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        show(cases[i].proof, cases[i].cluster, cases[i].who, cases[i].subject);
        assert_int_equal(identify(fixture, &over_tls), cases[i].code);
        assert_string_equal(fixture->identity.who, cases[i].expected);
        assert_int_equal(osr_identity_has_certificate(&fixture->identity),
                         cases[i].code == OSR_OK && cases[i].proof == OSR_TLS_PROOF_CERTIFICATE);
    }
}

/* A name that a policy could not have is nobody's, not the one that it is cut to. */
static void access_refuses_names_that_are_too_long(void **state)
{
    struct fixture *fixture = *state;
    char name[OSR_TLS_NAME_BYTES_MAX + 1];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    show(OSR_TLS_PROOF_CERTIFICATE, "", "", name);
    assert_int_equal(identify(fixture, &over_tls), OSR_UNAUTHENTICATED);
    assert_string_equal(fixture->identity.who, "");
    assert_false(may(fixture, OSR_ACTION_LINK, "instance:"));
}

/* An identity that was never looked up may do nothing. */
static void access_denies_the_empty_identity(void **state)
{
    struct fixture *fixture = *state;
    fixture->identity = (struct osr_identity){0};
    assert_false(may(fixture, OSR_ACTION_LINK, "instance:"));
    assert_false(osr_grant_allows(NULL, OSR_ACTION_READ, osr_part(OSR_PART_COLLECTION, "x")));
    assert_false(osr_grant_reads_all(NULL));
}

/* ---- tokens ---- */

static void create_token(struct fixture *fixture, const char *role, uint64_t expires_ms, char *text)
{
    const struct osr_token_order order = {.name = "ci",
                                          .roles = {.names = {role}, .count = 1},
                                          .expires_ms = expires_ms,
                                          .created_by = "admin"};
    assert_int_equal(osr_credentials_create_token(fixture->credentials, &order, fixture->now_ms,
                                                  text, (struct osr_credential_done){0},
                                                  &fixture->err),
                     0);
}

static int take(struct fixture *fixture, const char *text)
{
    return osr_access_take_token(fixture->access, &fixture->identity, osr_slice_text(text),
                                 &fixture->err);
}

/* Whoever it was before, it is the token's from then on, with its roles alone. */
static void access_takes_token(void **state)
{
    struct fixture *fixture = *state;
    char text[OSR_TOKEN_TEXT_MAX];
    create_token(fixture, "reader", 0, text);
    assert_is(fixture, &local, "local");
    assert_true(may(fixture, OSR_ACTION_WRITE, "collection:x"));
    assert_int_equal(take(fixture, text), 0);
    assert_string_equal(fixture->identity.who, "token:ci");
    assert_string_equal(fixture->identity.from, "tcp://203.0.113.7");
    assert_true(may(fixture, OSR_ACTION_READ, "collection:x"));
    assert_false(may(fixture, OSR_ACTION_WRITE, "collection:x"));
    assert_int_equal(fixture->err.code, OSR_PERMISSION_DENIED);
}

static void log_in(struct fixture *fixture, char *text)
{
    static const char hash[] = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g";
    const struct osr_user_record user = {
        .name = "ana",
        .password_hash = hash,
        .roles = {.names = {"reader"}, .count = 1},
        .created_ms = NOW,
    };
    uint64_t expires_ms;
    assert_int_equal(osr_credentials_put_user(fixture->credentials, &user, NOW,
                                              (struct osr_credential_done){0}, &fixture->err),
                     0);
    assert_int_equal(osr_credentials_login(fixture->credentials, "ana", hash, NOW, text,
                                           &expires_ms, &fixture->err),
                     0);
}

static void assert_taken(struct fixture *fixture, unsigned methods, const char *text,
                         const char *message)
{
    fixture->methods = methods;
    assert_is(fixture, &remote, "anonymous");
    assert_int_equal(take(fixture, text), message == NULL ? 0 : OSR_UNAUTHENTICATED);
    if (message != NULL) {
        assert_string_equal(fixture->err.message, message);
        assert_string_equal(fixture->identity.who, "anonymous");
    }
}

/* A listener takes the secrets that its methods name: a login's token came of a password. */
static void access_listener_takes_what_its_methods_name(void **state)
{
    struct fixture *fixture = *state;
    char token[OSR_TOKEN_TEXT_MAX];
    char login[OSR_TOKEN_TEXT_MAX];
    create_token(fixture, "reader", 0, token);
    log_in(fixture, login);

    assert_taken(fixture, TOKENS, token, NULL);
    assert_taken(fixture, TOKENS, login, "this listener takes no passwords: it takes tokens");
    assert_taken(fixture, PASSWORDS, token, "this listener takes no tokens: it takes passwords");
    assert_taken(fixture, PASSWORDS, login, NULL);
    assert_taken(fixture, TOKENS | PASSWORDS, token, NULL);
    assert_taken(fixture, TOKENS | PASSWORDS, login, NULL);
    assert_taken(fixture, 1u << OSR_METHOD_CERTIFICATE | 1u << OSR_METHOD_KEY | PASSWORDS, token,
                 "this listener takes no tokens: it takes certificates, shared keys and passwords");
    assert_taken(fixture, 1u << OSR_METHOD_CERTIFICATE, login,
                 "this listener takes no passwords: it takes certificates");
}

/* Who has come in by one secret shows the next one to the same listener. */
static void access_listener_is_the_same_for_the_next_token(void **state)
{
    struct fixture *fixture = *state;
    char token[OSR_TOKEN_TEXT_MAX];
    char login[OSR_TOKEN_TEXT_MAX];
    create_token(fixture, "reader", 0, token);
    log_in(fixture, login);

    assert_taken(fixture, PASSWORDS, login, NULL);
    assert_int_equal(take(fixture, token), OSR_UNAUTHENTICATED);
    assert_string_equal(fixture->identity.who, "user:ana");
    assert_int_equal(take(fixture, login), 0);
}

/* A bad one changes nothing. */
static void access_bad_token_leaves_identity(void **state)
{
    struct fixture *fixture = *state;
    char text[OSR_TOKEN_TEXT_MAX];
    create_token(fixture, "administrator", 0, text);
    text[20] = text[20] == 'a' ? 'b' : 'a';
    assert_is(fixture, &remote, "anonymous");
    assert_int_equal(take(fixture, text), OSR_UNAUTHENTICATED);
    assert_int_equal(take(fixture, ""), OSR_UNAUTHENTICATED);
    assert_int_equal(take(fixture, "osrt_x"), OSR_UNAUTHENTICATED);
    assert_string_equal(fixture->identity.who, "anonymous");
    assert_false(may(fixture, OSR_ACTION_READ, "collection:x"));
}

/* On a connection that is up a token ends with its time ... */
static void access_token_expires_under_way(void **state)
{
    struct fixture *fixture = *state;
    char text[OSR_TOKEN_TEXT_MAX];
    create_token(fixture, "reader", NOW + HOUR, text);
    assert_is(fixture, &local, "local");
    assert_int_equal(take(fixture, text), 0);
    fixture->now_ms = NOW + HOUR - 1;
    assert_true(may(fixture, OSR_ACTION_READ, "collection:x"));
    fixture->now_ms = NOW + HOUR;
    assert_false(may(fixture, OSR_ACTION_READ, "collection:x"));
    assert_int_equal(fixture->err.code, OSR_UNAUTHENTICATED);
    struct osr_grant *grant;
    assert_int_equal(osr_identity_grant(&fixture->identity, &grant, &fixture->err),
                     OSR_UNAUTHENTICATED);
}

/* ... or with its revocation, and never falls back to what the connection was. */
static void access_token_is_revoked_under_way(void **state)
{
    struct fixture *fixture = *state;
    char text[OSR_TOKEN_TEXT_MAX];
    create_token(fixture, "reader", 0, text);
    assert_is(fixture, &local, "local");
    assert_int_equal(take(fixture, text), 0);
    assert_true(may(fixture, OSR_ACTION_READ, "collection:x"));
    assert_int_equal(osr_credentials_revoke_token(fixture->credentials,
                                                  fixture->identity.credential_id, "admin", NOW,
                                                  (struct osr_credential_done){0}, &fixture->err),
                     0);
    assert_false(may(fixture, OSR_ACTION_READ, "collection:x"));
    assert_int_equal(fixture->err.code, OSR_UNAUTHENTICATED);
    assert_false(may(fixture, OSR_ACTION_LINK, "instance:"));
}

/* What others are given or lose leaves a token as it is. */
static void access_token_outlives_others(void **state)
{
    struct fixture *fixture = *state;
    char text[OSR_TOKEN_TEXT_MAX];
    char other[OSR_TOKEN_TEXT_MAX];
    create_token(fixture, "reader", 0, text);
    assert_is(fixture, &local, "local");
    assert_int_equal(take(fixture, text), 0);
    create_token(fixture, "reader", 0, other);
    assert_true(may(fixture, OSR_ACTION_READ, "collection:x"));
}

/* ---- the policy ---- */

/* A new one is in force with the next question; who holds a grant of the old one may ask it. */
static void access_policy_is_replaced(void **state)
{
    struct fixture *fixture = *state;
    struct osr_part notes = osr_part(OSR_PART_COLLECTION, "notes-1");
    struct osr_grant *old;
    struct osr_grant *grant;
    show(OSR_TLS_PROOF_CERTIFICATE, "home", "user:ana", "");
    assert_is(fixture, &over_tls, "user:ana");
    assert_int_equal(osr_identity_grant(&fixture->identity, &old, &fixture->err), 0);
    osr_grant_hold(old);
    osr_access_replace_policy(fixture->access, make_policy(OSR_ACTION_WRITE));
    assert_true(may(fixture, OSR_ACTION_WRITE, "collection:notes-1"));
    assert_false(may(fixture, OSR_ACTION_READ, "collection:notes-1"));
    assert_int_equal(osr_identity_grant(&fixture->identity, &grant, &fixture->err), 0);
    assert_ptr_not_equal(grant, old);
    assert_true(osr_grant_allows(old, OSR_ACTION_READ, notes));
    assert_false(osr_grant_allows(old, OSR_ACTION_WRITE, notes));
    osr_access_replace_policy(fixture->access, make_policy(OSR_ACTION_READ));
    osr_grant_release(old);
    assert_true(may(fixture, OSR_ACTION_READ, "collection:notes-1"));
}

/* A role that is gone with the old policy gives nothing, and says so. */
static void access_token_loses_its_role(void **state)
{
    struct fixture *fixture = *state;
    char text[OSR_TOKEN_TEXT_MAX];
    create_token(fixture, "clerk", 0, text);
    assert_is(fixture, &local, "local");
    assert_int_equal(take(fixture, text), 0);
    assert_true(may(fixture, OSR_ACTION_READ, "collection:notes"));
    struct osr_policy_builder *builder = osr_policy_builder_create();
    osr_policy_add_defaults(builder);
    osr_access_replace_policy(fixture->access, osr_policy_build(builder));
    assert_false(may(fixture, OSR_ACTION_READ, "collection:notes"));
    assert_int_equal(fixture->err.code, OSR_PERMISSION_DENIED);
    assert_non_null(strstr(fixture->err.message, "clerk"));
}

/* Who may read everything is not asked row by row; who may read all but one thing is. */
static void access_grant_knows_whether_it_is_everything(void **state)
{
    struct fixture *fixture = *state;
    struct osr_grant *grant;
    assert_is(fixture, &local, "local");
    assert_int_equal(osr_identity_grant(&fixture->identity, &grant, &fixture->err), 0);
    assert_true(osr_grant_reads_all(grant));
    assert_true(osr_grant_writes_all(grant));
    show(OSR_TLS_PROOF_CERTIFICATE, "home", "user:ana", "");
    assert_is(fixture, &over_tls, "user:ana");
    assert_int_equal(osr_identity_grant(&fixture->identity, &grant, &fixture->err), 0);
    assert_false(osr_grant_reads_all(grant));
    assert_false(osr_grant_writes_all(grant));
}

/* ---- links ---- */

static int take_instance(struct fixture *fixture, const char *instance)
{
    return osr_access_take_instance(fixture->access, &fixture->identity, instance, &fixture->err);
}

/* HELLO_PROOF says who it is; a connection that has said something else is not believed. */
static void access_link_becomes_its_instance(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        enum osr_tls_proof proof;
        const char *cluster, *who, *subject;
        bool is_approved;
        enum osr_code code;
    } cases[] = {
        {OSR_TLS_PROOF_CERTIFICATE, "home", "instance:" INSTANCE, "", false, OSR_OK},
        {OSR_TLS_PROOF_CERTIFICATE, "home", "instance:" OTHER, "", false, OSR_UNAUTHENTICATED},
        {OSR_TLS_PROOF_CERTIFICATE, "home", "instance:" OTHER, "", true, OSR_UNAUTHENTICATED},
        {OSR_TLS_PROOF_CERTIFICATE, "home", "user:ana", "", true, OSR_UNAUTHENTICATED},
        {OSR_TLS_PROOF_CERTIFICATE, "", "", "build.example", false, OSR_OK},
        {OSR_TLS_PROOF_KEY, "", "blue", "", false, OSR_OK},
        {OSR_TLS_PROOF_PINNED, "", "", "", true, OSR_OK},
        {OSR_TLS_PROOF_PINNED, "", "", "", false, OSR_UNAUTHENTICATED},
        {OSR_TLS_PROOF_NONE, "", "", "", true, OSR_OK},
        {OSR_TLS_PROOF_NONE, "", "", "", false, OSR_UNAUTHENTICATED},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        show(cases[i].proof, cases[i].cluster, cases[i].who, cases[i].subject);
        fixture->approved = cases[i].is_approved ? INSTANCE : NULL;
        assert_int_equal(identify(fixture, &over_tls), 0);
        assert_int_equal(take_instance(fixture, INSTANCE), cases[i].code);
        if (cases[i].code == OSR_OK) {
            assert_string_equal(fixture->identity.who, "instance:" INSTANCE);
            assert_true(may(fixture, OSR_ACTION_LINK, "instance:"));
            assert_false(may(fixture, OSR_ACTION_READ, "collection:x"));
        }
    }
    assert_int_equal(identify(fixture, &remote), 0); /* plaintext, where that is let in at all */
    assert_int_equal(take_instance(fixture, INSTANCE), 0);
}

/* A link is refused as the instance that it is, too. */
static void access_link_needs_permission(void **state)
{
    struct fixture *fixture = *state;
    struct osr_policy_builder *builder = osr_policy_builder_create();
    osr_policy_add_defaults(builder);
    assert_int_equal(osr_policy_add_member(builder, "instance:*", NULL), 0);
    osr_access_replace_policy(fixture->access, osr_policy_build(builder));
    assert_is(fixture, &local, "local");
    assert_true(may(fixture, OSR_ACTION_LINK, "instance:"));
    assert_int_equal(take_instance(fixture, INSTANCE), OSR_PERMISSION_DENIED);
    assert_false(osr_access_instance_may(fixture->access, INSTANCE, OSR_ACTION_LEAD, "kb"));
}

static void revoke_certificate(struct fixture *fixture, const char *serial, const char *who)
{
    const struct osr_revocation_record record = {
        .serial = serial, .who = who, .revoked_by = "admin"};
    assert_int_equal(osr_credentials_revoke_certificate(fixture->credentials, &record, NOW,
                                                        (struct osr_credential_done){0},
                                                        &fixture->err),
                     0);
}

/* A member that is noted with this role. */
static void note_member(struct fixture *fixture, const char *role)
{
    const struct osr_member_record member = {.instance = INSTANCE,
                                             .name = "",
                                             .roles = {.names = {role}, .count = 1},
                                             .serial = "0A",
                                             .invited_by = ""};
    assert_int_equal(osr_credentials_put_member(fixture->credentials, &member, NOW,
                                                (struct osr_credential_done){0}, &fixture->err),
                     0);
}

/* A member has the roles that it was invited to, on its link and in its feeds; others have those of
 * all instances. */
static void access_member_has_its_own_roles(void **state)
{
    struct fixture *fixture = *state;
    show(OSR_TLS_PROOF_CERTIFICATE, "home", "instance:" INSTANCE, "");
    assert_int_equal(identify(fixture, &over_tls), 0);
    assert_int_equal(take_instance(fixture, INSTANCE), 0);
    note_member(fixture, "reader");
    assert_true(may(fixture, OSR_ACTION_LINK, "instance:"));
    assert_false(osr_access_instance_may(fixture->access, INSTANCE, OSR_ACTION_LEAD, "kb"));
    assert_true(osr_access_instance_may(fixture->access, INSTANCE, OSR_ACTION_FOLLOW, "kb"));
    assert_true(osr_access_instance_may(fixture->access, OTHER, OSR_ACTION_LEAD, "kb"));
    note_member(fixture, "clerk");
    assert_true(may(fixture, OSR_ACTION_LINK, "instance:")); /* as every member */
    assert_false(osr_access_instance_may(fixture->access, INSTANCE, OSR_ACTION_FOLLOW, "kb"));
    note_member(fixture, "of-another-policy"); /* and so it may do nothing */
    assert_false(osr_access_instance_may(fixture->access, INSTANCE, OSR_ACTION_FOLLOW, "kb"));
    assert_false(may(fixture, OSR_ACTION_LINK, "instance:"));
}

/* What the config says of exactly this instance goes before what it was invited to. */
static void access_config_goes_before_member(void **state)
{
    struct fixture *fixture = *state;
    struct osr_policy_builder *builder = osr_policy_builder_create();
    osr_policy_add_defaults(builder);
    assert_int_equal(osr_policy_add_member(builder, "instance:" INSTANCE, NULL), 0);
    note_member(fixture, "peer");
    assert_true(osr_access_instance_may(fixture->access, INSTANCE, OSR_ACTION_LEAD, "kb"));
    osr_access_replace_policy(fixture->access, osr_policy_build(builder));
    assert_false(osr_access_instance_may(fixture->access, INSTANCE, OSR_ACTION_LEAD, "kb"));
    struct osr_policy_subject *subject = NULL;
    assert_int_equal(
        osr_access_member_subject(fixture->access, "instance:" INSTANCE, &subject, &fixture->err),
        0);
    assert_null(subject);
}

/* The stream of trust is the CA's instance's, and nobody else's by default. */
static void access_authority_leads_trust(void **state)
{
    struct fixture *fixture = *state;
    fixture->authority = INSTANCE;
    assert_true(osr_access_instance_may(fixture->access, INSTANCE, OSR_ACTION_LEAD, "trust"));
    assert_false(osr_access_instance_may(fixture->access, OTHER, OSR_ACTION_LEAD, "trust"));
    assert_true(osr_access_instance_may(fixture->access, OTHER, OSR_ACTION_FOLLOW, "trust"));
    revoke_certificate(fixture, "0A1B2C", "instance:" INSTANCE);
    assert_false(osr_access_instance_may(fixture->access, INSTANCE, OSR_ACTION_LEAD, "trust"));
}

/* Where a CA tells of its members, an origin that nobody tells of may have been made up: it leads
 * nothing, though all instances may. */
static void access_unknown_origin_leads_nothing(void **state)
{
    struct fixture *fixture = *state;
    fixture->authority = OTHER;
    assert_false(osr_access_instance_may(fixture->access, INSTANCE, OSR_ACTION_LEAD, "kb"));
    assert_true(osr_access_instance_may(fixture->access, INSTANCE, OSR_ACTION_FOLLOW, "kb"));
    assert_true(osr_access_instance_may(fixture->access, OTHER, OSR_ACTION_LEAD, "kb"));
    assert_false(osr_access_is_unknown(fixture->access, "user:ana"));
    fixture->approved = INSTANCE;
    assert_true(osr_access_instance_may(fixture->access, INSTANCE, OSR_ACTION_LEAD, "kb"));
    fixture->approved = NULL;
    note_member(fixture, "peer");
    assert_true(osr_access_instance_may(fixture->access, INSTANCE, OSR_ACTION_LEAD, "kb"));
}

/* All certificates of an instance at once: also those that nobody has seen. */
static void access_revoked_identity_is_cut_off(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(osr_credentials_revoke_instance(fixture->credentials, INSTANCE, "admin", NOW,
                                                     (struct osr_credential_done){0},
                                                     &fixture->err),
                     0);
    assert_true(osr_access_is_revoked(fixture->access, "instance:" INSTANCE));
    assert_false(osr_access_is_revoked(fixture->access, "instance:" OTHER));
    show(OSR_TLS_PROOF_CERTIFICATE, "home", "instance:" INSTANCE, "");
    assert_int_equal(identify(fixture, &over_tls), OSR_UNAUTHENTICATED);
    assert_false(osr_access_instance_may(fixture->access, INSTANCE, OSR_ACTION_FOLLOW, "kb"));
}

/* With its certificate an instance loses its link, what it leads and what it follows. */
static void access_revoked_instance_is_cut_off(void **state)
{
    struct fixture *fixture = *state;
    show(OSR_TLS_PROOF_CERTIFICATE, "home", "instance:" INSTANCE, "");
    assert_int_equal(identify(fixture, &over_tls), 0);
    assert_int_equal(take_instance(fixture, INSTANCE), 0);
    assert_true(osr_access_instance_may(fixture->access, INSTANCE, OSR_ACTION_LEAD, "kb"));
    revoke_certificate(fixture, "0A1B2C", "instance:" INSTANCE);
    assert_false(may(fixture, OSR_ACTION_LINK, "instance:"));
    assert_int_equal(fixture->err.code, OSR_UNAUTHENTICATED);
    assert_false(osr_access_instance_may(fixture->access, INSTANCE, OSR_ACTION_LEAD, "kb"));
    assert_false(osr_access_instance_may(fixture->access, INSTANCE, OSR_ACTION_FOLLOW, "kb"));
    assert_true(osr_access_instance_may(fixture->access, OTHER, OSR_ACTION_LEAD, "kb"));
    assert_int_equal(identify(fixture, &local), 0); /* nor does another way in help */
    assert_int_equal(take_instance(fixture, INSTANCE), OSR_UNAUTHENTICATED);
}

/* A user's certificate that is revoked while its connection is up is good for nothing. */
static void access_revoked_certificate_ends_under_way(void **state)
{
    struct fixture *fixture = *state;
    show(OSR_TLS_PROOF_CERTIFICATE, "home", "user:ana", "");
    assert_int_equal(identify(fixture, &over_tls), 0);
    assert_true(may(fixture, OSR_ACTION_READ, "collection:notes"));
    revoke_certificate(fixture, "FFFF", "user:ana"); /* an earlier one */
    assert_true(may(fixture, OSR_ACTION_READ, "collection:notes"));
    revoke_certificate(fixture, "0A1B2C", "user:ana");
    assert_false(may(fixture, OSR_ACTION_READ, "collection:notes"));
    assert_int_equal(identify(fixture, &over_tls), OSR_UNAUTHENTICATED);
}

/* A client goes with its certificate; a link does not: it has shown the instance's own key. */
static void access_certificate_expires_under_way(void **state)
{
    struct fixture *fixture = *state;
    show(OSR_TLS_PROOF_CERTIFICATE, "home", "user:ana", "");
    shown_peer.expires_s = NOW / 1000 + 60;
    assert_int_equal(identify(fixture, &over_tls), 0);
    fixture->now_ms += 59999;
    assert_true(may(fixture, OSR_ACTION_READ, "collection:notes"));
    fixture->now_ms++;
    assert_false(may(fixture, OSR_ACTION_READ, "collection:notes"));
    fixture->now_ms = NOW;
    show(OSR_TLS_PROOF_CERTIFICATE, "home", "instance:" INSTANCE, "");
    shown_peer.expires_s = NOW / 1000 + 60;
    assert_int_equal(identify(fixture, &over_tls), 0);
    assert_int_equal(take_instance(fixture, INSTANCE), 0);
    fixture->now_ms += 60000;
    assert_true(may(fixture, OSR_ACTION_LINK, "instance:"));
}

/* Who was let in by an approved id alone is let go when that is taken out, at the reload that says
 * so. */
static void access_approval_ends_under_way(void **state)
{
    struct fixture *fixture = *state;
    show(OSR_TLS_PROOF_PINNED, "", "", "");
    fixture->approved = INSTANCE;
    assert_int_equal(identify(fixture, &over_tls), 0);
    assert_int_equal(take_instance(fixture, INSTANCE), 0);
    osr_access_replace_policy(fixture->access, make_policy(OSR_ACTION_READ));
    assert_true(may(fixture, OSR_ACTION_LINK, "instance:"));
    fixture->approved = OTHER;
    osr_access_replace_policy(fixture->access, make_policy(OSR_ACTION_READ));
    assert_false(may(fixture, OSR_ACTION_LINK, "instance:"));
    assert_int_equal(fixture->err.code, OSR_UNAUTHENTICATED);
}

static void put_user(struct fixture *fixture, const char *name, bool is_disabled)
{
    const struct osr_user_record user = {
        .name = name, .password_hash = "$argon2id$test", .is_disabled = is_disabled};
    assert_int_equal(osr_credentials_put_user(fixture->credentials, &user, NOW,
                                              (struct osr_credential_done){0}, &fixture->err),
                     0);
}

/* A user who is disabled is out with certificates, too, and comes back with them. */
static void access_disabled_user_is_out_with_certificates(void **state)
{
    struct fixture *fixture = *state;
    show(OSR_TLS_PROOF_CERTIFICATE, "home", "user:ana", "");
    put_user(fixture, "ana", false);
    assert_int_equal(identify(fixture, &over_tls), 0);
    put_user(fixture, "ben", true);
    assert_true(may(fixture, OSR_ACTION_READ, "collection:notes"));
    put_user(fixture, "ana", true);
    assert_false(may(fixture, OSR_ACTION_READ, "collection:notes"));
    assert_int_equal(fixture->err.code, OSR_UNAUTHENTICATED);
    assert_int_equal(identify(fixture, &over_tls), OSR_UNAUTHENTICATED);
    put_user(fixture, "ana", false);
    assert_int_equal(identify(fixture, &over_tls), 0);
    assert_true(may(fixture, OSR_ACTION_READ, "collection:notes"));
}

/* ---- refusals ---- */

/* A refusal names who, what, what it would have taken, and what to do. */
static void access_refusal_says_why(void **state)
{
    struct fixture *fixture = *state;
    assert_is(fixture, &local, "local");
    assert_int_equal(osr_access_check(fixture->access, &fixture->identity, OSR_ACTION_OPERATE,
                                      osr_part(OSR_PART_INSTANCE, ""), "REBUILD", &fixture->err),
                     OSR_PERMISSION_DENIED);
    assert_string_equal(fixture->err.message,
                        "local may not use REBUILD: it takes 'operate' on instance:");
    assert_non_null(strstr(fixture->err.hint, "socket in the data folder"));
    show(OSR_TLS_PROOF_CERTIFICATE, "home", "user:ana", "");
    assert_is(fixture, &over_tls, "user:ana");
    assert_int_equal(osr_access_check_some(fixture->access, &fixture->identity, OSR_ACTION_WRITE,
                                           OSR_PART_COLLECTION, "KB_DELETE", &fixture->err),
                     OSR_PERMISSION_DENIED);
    assert_non_null(strstr(fixture->err.hint, "osiris access check user:ana write collection:*"));
    assert_int_equal(osr_access_check_some(fixture->access, &fixture->identity, OSR_ACTION_READ,
                                           OSR_PART_COLLECTION, "KB_LIST", &fixture->err),
                     0);
}

struct noted {
    int count;
    bool allowed;
    char line[512]; /* of the last */
};

static int note(void *context, const struct osr_audit_record *record, struct osr_err *err)
{
    struct noted *noted = context;
    (void)err;
    noted->count++;
    noted->allowed = record->allowed;
    snprintf(noted->line, sizeof(noted->line), "%s|%s|%s|%s|%s|%s", record->who, record->from,
             record->action, record->part, record->what, record->why);
    return 0;
}

/* What was refused, and what changes who may do what, can be read afterwards; not what is read. */
static void access_notes_refusals(void **state)
{
    struct fixture *fixture = *state;
    static const struct osr_trace trace;
    const struct osr_audit_wanted ana = {.who = "anonymous"};
    const struct osr_audit_wanted admin = {.who = "admin"};
    struct osr_connection root = at_socket(0);
    struct noted noted = {0};
    struct osr_audit_head head;
    fixture->sim = osr_sim_disk_create(1);
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    const struct osr_audit_options options = {.loop = &fixture->loop,
                                              .disk = osr_sim_disk_port(fixture->sim),
                                              .folder = "data",
                                              .self = "instance:me",
                                              .trace = &trace};
    assert_int_equal(options.disk->ops->make_folder(options.disk, "data", NULL), 0);
    assert_int_equal(osr_audit_create(&options, &fixture->audit, &fixture->err), 0);
    osr_access_destroy(fixture->access);
    make_access(fixture);

    assert_is(fixture, &remote, "anonymous");
    assert_int_equal(osr_access_check(fixture->access, &fixture->identity, OSR_ACTION_READ,
                                      osr_part(OSR_PART_COLLECTION, "x"), "KB_LIST", &fixture->err),
                     OSR_PERMISSION_DENIED);
    assert_is(fixture, &root, "admin");
    assert_true(may(fixture, OSR_ACTION_READ, "collection:x"));
    assert_true(may(fixture, OSR_ACTION_TRUST, "instance:"));
    osr_audit_destroy(fixture->audit);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);

    assert_int_equal(
        osr_audit_log_read(options.disk, "data", &ana, note, &noted, &head, &fixture->err), 0);
    assert_int_equal(noted.count, 1);
    assert_false(noted.allowed);
    assert_string_equal(noted.line, "anonymous|tcp://203.0.113.7|read|collection:x|KB_LIST|"
                                    "anonymous may not use KB_LIST: it takes 'read' on "
                                    "collection:x");
    noted = (struct noted){0};
    assert_int_equal(
        osr_audit_log_read(options.disk, "data", &admin, note, &noted, &head, &fixture->err), 0);
    assert_int_equal(noted.count, 1);
    assert_true(noted.allowed);
    assert_string_equal(noted.line, "admin|unix:///tmp/a:1/osiris.sock|trust|instance:|THIS|");
    osr_sim_disk_destroy(fixture->sim);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(access_identifies_in_plaintext),
        TEST(access_identifies_by_proof),
        TEST(access_refuses_names_that_are_too_long),
        TEST(access_denies_the_empty_identity),
        TEST(access_takes_token),
        TEST(access_listener_takes_what_its_methods_name),
        TEST(access_listener_is_the_same_for_the_next_token),
        TEST(access_bad_token_leaves_identity),
        TEST(access_token_expires_under_way),
        TEST(access_token_is_revoked_under_way),
        TEST(access_token_outlives_others),
        TEST(access_policy_is_replaced),
        TEST(access_token_loses_its_role),
        TEST(access_grant_knows_whether_it_is_everything),
        TEST(access_link_becomes_its_instance),
        TEST(access_link_needs_permission),
        TEST(access_member_has_its_own_roles),
        TEST(access_config_goes_before_member),
        TEST(access_authority_leads_trust),
        TEST(access_unknown_origin_leads_nothing),
        TEST(access_revoked_identity_is_cut_off),
        TEST(access_revoked_instance_is_cut_off),
        TEST(access_revoked_certificate_ends_under_way),
        TEST(access_certificate_expires_under_way),
        TEST(access_approval_ends_under_way),
        TEST(access_disabled_user_is_out_with_certificates),
        TEST(access_refusal_says_why),
        TEST(access_notes_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
