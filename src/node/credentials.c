#include "node/credentials.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "adapter/password.h"
#include "base/text.h"
#include "model/identity.h"

enum { TIME_CHARS = 32 };

struct osr_credentials {
    struct osr_cluster_tag cluster;
    void (*random)(void *data, size_t size);
    struct osr_credential_store *store;
    struct osr_logins *logins;
    uint64_t revision;
};

/* A user who is gone, disabled or has another password has no logins. */
static void end_logins(struct osr_credentials *credentials, const struct osr_user_record *before,
                       const struct osr_user_record *after)
{
    if (after == NULL || after->is_disabled ||
        strcmp(after->password_hash, before->password_hash) != 0) {
        osr_logins_end_user(credentials->logins, before->name);
    }
}

static void on_change(void *context, const struct osr_credential *before,
                      const struct osr_credential *after)
{
    struct osr_credentials *credentials = context;
    if (before != NULL && before->kind == OSR_CREDENTIAL_USER) {
        end_logins(credentials, &before->user, after != NULL ? &after->user : NULL);
    }
    credentials->revision++;
}

struct osr_credentials *osr_credentials_create(const struct osr_credentials_options *options)
{
    struct osr_credentials *credentials = osr_alloc(sizeof(*credentials));
    credentials->cluster = osr_cluster_tag(options->cluster);
    credentials->random = options->random;
    credentials->store =
        osr_credential_store_create(options->hash_seed, &options->port, on_change, credentials);
    credentials->logins = osr_logins_create(options->hash_seed);
    return credentials;
}

void osr_credentials_destroy(struct osr_credentials *credentials)
{
    if (credentials != NULL) {
        osr_credential_store_destroy(credentials->store);
        osr_logins_destroy(credentials->logins);
        free(credentials);
    }
}

int osr_credentials_load(struct osr_credentials *credentials, const char *key,
                         struct osr_slice value, struct osr_err *err)
{
    return osr_credential_store_load(credentials->store, key, value, err);
}

int osr_credentials_adopt(struct osr_credentials *credentials, const char *key,
                          struct osr_slice value, uint64_t now_ms, struct osr_err *err)
{
    enum osr_credential_kind kind;
    int code = osr_credential_kind_of_key(key, &kind, err);
    if (code != 0) {
        return code;
    }
    /* Where there is no room it counts all the same: whoever wrote it has the same limits. */
    osr_credential_store_make_room(credentials->store, kind, now_ms, NULL);
    return osr_credential_store_load(credentials->store, key, value, err);
}

const struct osr_credential *osr_credentials_find(const struct osr_credentials *credentials,
                                                  enum osr_credential_kind kind, const char *name)
{
    return osr_credential_store_find(credentials->store, kind, name);
}

void osr_credentials_walk(const struct osr_credentials *credentials, enum osr_credential_kind kind,
                          void (*visit)(void *context, const struct osr_credential *credential),
                          void *context)
{
    osr_credential_store_walk(credentials->store, kind, visit, context);
}

uint64_t osr_credentials_revision(const struct osr_credentials *credentials)
{
    return credentials->revision;
}

/* ---- what is asked for ---- */

static bool is_name_character(char character)
{
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9') ||
           (character != '\0' && strchr("._@+-", character) != NULL);
}

/* `what`: "token", "role". */
static int check_name(const char *what, const char *name, size_t size_max, struct osr_err *err)
{
    size_t size = 0;
    while (is_name_character(name[size])) {
        size++;
    }
    if (size == 0 || size > size_max || name[size] != '\0') {
        return osr_err_set(err, OSR_INVALID_ARGUMENT,
                           "'%.80s': the name of a %s is 1 to %zu letters, digits and ._@+-", name,
                           what, size_max);
    }
    return 0;
}

static int check_roles(const struct osr_role_names *roles, struct osr_err *err)
{
    if (roles->count > OSR_CREDENTIAL_ROLES_MAX) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "%zu roles, and there can be no more than %d",
                           roles->count, OSR_CREDENTIAL_ROLES_MAX);
    }
    for (size_t i = 0; i < roles->count; i++) {
        int code = check_name("role", roles->names[i], OSR_POLICY_NAME_BYTES_MAX, err);
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

static int check_who(const char *who, struct osr_err *err)
{
    if (strlen(who) > OSR_CREDENTIAL_WHO_BYTES_MAX || !osr_text_is_plain(osr_slice_text(who))) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "'%.80s': no identity is called so", who);
    }
    return 0;
}

static int check_expiry(uint64_t expires_ms, uint64_t now_ms, struct osr_err *err)
{
    if (expires_ms <= now_ms) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "it would have expired before it began");
    }
    return 0;
}

static void make_token(const struct osr_credentials *credentials, struct osr_token *token)
{
    token->cluster = credentials->cluster;
    credentials->random(token->id, sizeof(token->id));
    credentials->random(token->secret, sizeof(token->secret));
}

static const char *time_text(char *text, uint64_t time_ms)
{
    struct tm utc = {0};
    time_t time_s = (time_t)(time_ms / 1000);
    gmtime_r(&time_s, &utc);
    strftime(text, TIME_CHARS, "%Y-%m-%d %H:%M:%S UTC", &utc);
    return text;
}

static int refuse_unknown_id(const char *what, const char *id, struct osr_err *err)
{
    return osr_err_set(err, OSR_NOT_FOUND, "there is no %s with the id %.40s", what, id);
}

/* ---- who shows a token ---- */

static const struct osr_hash *hash_of(const struct osr_credentials *credentials, const char *id)
{
    const struct osr_credential *credential =
        osr_credentials_find(credentials, OSR_CREDENTIAL_TOKEN, id);
    if (credential != NULL) {
        return &credential->token.hash;
    }
    const struct osr_login *login = osr_logins_find(credentials->logins, id);
    return login != NULL ? &login->hash : NULL;
}

/* Also where the id is known and the secret is not: nobody learns which ids there are. */
static int refuse_unknown(const char *id, struct osr_err *err)
{
    return osr_err_set(err, OSR_UNAUTHENTICATED, "the token %.40s is unknown here", id);
}

static int refuse_expired(const char *what, const char *id, uint64_t expires_ms,
                          struct osr_err *err)
{
    char time[TIME_CHARS];
    return osr_err_set(err, OSR_UNAUTHENTICATED, "the %s %.40s expired at %s", what, id,
                       time_text(time, expires_ms));
}

static int refuse_revoked(const char *what, const char *id, uint64_t revoked_ms,
                          struct osr_err *err)
{
    char time[TIME_CHARS];
    return osr_err_set(err, OSR_UNAUTHENTICATED, "the %s %.40s was revoked at %s", what, id,
                       time_text(time, revoked_ms));
}

static void set_identity(struct osr_credential_identity *identity, const char *kind,
                         const char *name, const char *id)
{
    _Static_assert(sizeof("token:") + OSR_CREDENTIAL_NAME_BYTES_MAX <= sizeof(identity->who),
                   "room for every name");
    snprintf(identity->who, sizeof(identity->who), "%s:%s", kind, name);
    snprintf(identity->id, sizeof(identity->id), "%s", id);
}

static int identify_token(const struct osr_token_record *token, uint64_t now_ms,
                          struct osr_credential_identity *ret_identity, struct osr_err *err)
{
    if (token->revoked_ms != 0) {
        return refuse_revoked("token", token->id, token->revoked_ms, err);
    }
    if (token->expires_ms != 0 && token->expires_ms <= now_ms) {
        return refuse_expired("token", token->id, token->expires_ms, err);
    }
    set_identity(ret_identity, "token", token->name, token->id);
    ret_identity->roles = &token->roles;
    ret_identity->expires_ms = token->expires_ms;
    ret_identity->is_login = false;
    return 0;
}

static int identify_login(const struct osr_credentials *credentials, const struct osr_login *login,
                          uint64_t now_ms, struct osr_credential_identity *ret_identity,
                          struct osr_err *err)
{
    if (login->expires_ms <= now_ms) {
        return refuse_expired("login", login->id, login->expires_ms, err);
    }
    const struct osr_credential *user =
        osr_credentials_find(credentials, OSR_CREDENTIAL_USER, login->user);
    assert(user != NULL && !user->user.is_disabled); /* else its logins had ended */
    set_identity(ret_identity, "user", login->user, login->id);
    ret_identity->roles = &user->user.roles;
    ret_identity->expires_ms = login->expires_ms;
    ret_identity->is_login = true;
    return 0;
}

int osr_credentials_check_again(const struct osr_credentials *credentials, const char *id,
                                uint64_t now_ms, struct osr_credential_identity *ret_identity,
                                struct osr_err *err)
{
    const struct osr_credential *token =
        osr_credentials_find(credentials, OSR_CREDENTIAL_TOKEN, id);
    if (token != NULL) {
        return identify_token(&token->token, now_ms, ret_identity, err);
    }
    const struct osr_login *login = osr_logins_find(credentials->logins, id);
    if (login != NULL) {
        return identify_login(credentials, login, now_ms, ret_identity, err);
    }
    return refuse_unknown(id, err);
}

int osr_credentials_check(const struct osr_credentials *credentials, struct osr_slice text,
                          uint64_t now_ms, struct osr_credential_identity *ret_identity,
                          struct osr_err *err)
{
    struct osr_token token;
    struct osr_err reason;
    int code = osr_token_read(text, &credentials->cluster, &token, &reason);
    if (code != 0) {
        code = code == OSR_WRONG_CLUSTER ? OSR_WRONG_CLUSTER : OSR_UNAUTHENTICATED;
        return osr_err_set(err, (enum osr_code)code, "%s", reason.message);
    }
    char id[OSR_SECRET_ID_CHARS + 1];
    osr_token_id_text(id, &token);
    const struct osr_hash *hash = hash_of(credentials, id);
    bool is_known = hash != NULL && osr_token_matches(&token, hash);
    explicit_bzero(&token, sizeof(token));
    return is_known ? osr_credentials_check_again(credentials, id, now_ms, ret_identity, err)
                    : refuse_unknown(id, err);
}

/* ---- tokens ---- */

static int check_token_order(const struct osr_token_order *order, uint64_t now_ms,
                             struct osr_err *err)
{
    int code = check_name("token", order->name, OSR_CREDENTIAL_NAME_BYTES_MAX, err);
    if (code == 0) {
        code = check_roles(&order->roles, err);
    }
    if (code == 0) {
        code = check_who(order->created_by, err);
    }
    if (code == 0 && order->expires_ms != 0) {
        code = check_expiry(order->expires_ms, now_ms, err);
    }
    return code;
}

int osr_credentials_create_token(struct osr_credentials *credentials,
                                 const struct osr_token_order *order, uint64_t now_ms, char *text,
                                 struct osr_credential_done done, struct osr_err *err)
{
    int code = check_token_order(order, now_ms, err);
    if (code == 0) {
        code =
            osr_credential_store_make_room(credentials->store, OSR_CREDENTIAL_TOKEN, now_ms, err);
    }
    if (code != 0) {
        return code;
    }
    struct osr_token token;
    char id[OSR_SECRET_ID_CHARS + 1];
    make_token(credentials, &token);
    osr_token_id_text(id, &token);
    osr_token_write(text, &token);
    struct osr_credential credential = {
        .kind = OSR_CREDENTIAL_TOKEN,
        .token = {.id = id,
                  .hash = osr_token_hash(&token),
                  .name = order->name,
                  .roles = order->roles,
                  .created_by = order->created_by,
                  .created_ms = now_ms,
                  .expires_ms = order->expires_ms,
                  .revoked_by = ""},
    };
    explicit_bzero(&token, sizeof(token));
    osr_credential_store_put(credentials->store, &credential, OSR_WHEN_DURABLE, done);
    return 0;
}

static void tell_done(struct osr_credential_done done)
{
    if (done.call != NULL) {
        done.call(done.context, OSR_OK);
    }
}

int osr_credentials_revoke_token(struct osr_credentials *credentials, const char *id,
                                 const char *revoked_by, uint64_t now_ms,
                                 struct osr_credential_done done, struct osr_err *err)
{
    int code = check_who(revoked_by, err);
    if (code != 0) {
        return code;
    }
    if (osr_logins_end(credentials->logins, id)) {
        credentials->revision++;
        tell_done(done);
        return 0;
    }
    const struct osr_credential *token =
        osr_credentials_find(credentials, OSR_CREDENTIAL_TOKEN, id);
    if (token == NULL) {
        return refuse_unknown_id("token", id, err);
    }
    struct osr_credential revoked = *token;
    if (revoked.token.revoked_ms == 0) {
        revoked.token.revoked_by = revoked_by;
        revoked.token.revoked_ms = now_ms;
    }
    osr_credential_store_put(credentials->store, &revoked, OSR_AT_ONCE, done);
    return 0;
}

/* ---- users ---- */

static int check_user(const struct osr_user_record *user, struct osr_err *err)
{
    int code = check_name("user", user->name, OSR_CREDENTIAL_NAME_BYTES_MAX, err);
    if (code == 0) {
        code = check_roles(&user->roles, err);
    }
    size_t size = strlen(user->password_hash);
    if (code == 0 && (size == 0 || size >= OSR_PASSWORD_HASH_TEXT_MAX)) {
        code = osr_err_set(err, OSR_INVALID_ARGUMENT, "%s: a user needs the hash of a password",
                           user->name);
    }
    return code;
}

int osr_credentials_put_user(struct osr_credentials *credentials,
                             const struct osr_user_record *user, uint64_t now_ms,
                             struct osr_credential_done done, struct osr_err *err)
{
    int code = check_user(user, err);
    if (code != 0) {
        return code;
    }
    struct osr_credential credential = {.kind = OSR_CREDENTIAL_USER, .user = *user};
    const struct osr_credential *before =
        osr_credentials_find(credentials, OSR_CREDENTIAL_USER, user->name);
    if (before != NULL) {
        credential.user.created_ms = before->user.created_ms;
    } else {
        credential.user.created_ms = now_ms;
        code = osr_credential_store_make_room(credentials->store, OSR_CREDENTIAL_USER, now_ms, err);
    }
    if (code == 0) {
        osr_credential_store_put(credentials->store, &credential,
                                 user->is_disabled ? OSR_AT_ONCE : OSR_WHEN_DURABLE, done);
    }
    return code;
}

int osr_credentials_remove_user(struct osr_credentials *credentials, const char *name,
                                struct osr_credential_done done, struct osr_err *err)
{
    const struct osr_credential *user =
        osr_credentials_find(credentials, OSR_CREDENTIAL_USER, name);
    if (user == NULL) {
        return osr_err_set(err, OSR_NOT_FOUND, "there is no user called '%.80s'", name);
    }
    osr_credential_store_remove(credentials->store, user, done);
    return 0;
}

int osr_credentials_login(struct osr_credentials *credentials, const char *user,
                          const char *password_hash, uint64_t now_ms, char *text,
                          uint64_t *ret_expires_ms, struct osr_err *err)
{
    const struct osr_credential *found =
        osr_credentials_find(credentials, OSR_CREDENTIAL_USER, user);
    if (found == NULL || strcmp(found->user.password_hash, password_hash) != 0) {
        return osr_err_set(err, OSR_UNAUTHENTICATED, "the user or the password is wrong");
    }
    if (found->user.is_disabled) {
        return osr_err_set(err, OSR_UNAUTHENTICATED, "the user %.80s is disabled", user);
    }
    struct osr_token token;
    make_token(credentials, &token);
    osr_token_write(text, &token);
    osr_logins_add(credentials->logins, &token, user, now_ms + OSR_LOGIN_MS);
    explicit_bzero(&token, sizeof(token));
    credentials->revision++; /* it may have taken the place of another one */
    *ret_expires_ms = now_ms + OSR_LOGIN_MS;
    return 0;
}

/* ---- invitations ---- */

int osr_credentials_create_invitation(struct osr_credentials *credentials,
                                      const struct osr_invitation_order *order, uint64_t now_ms,
                                      struct osr_token *ret_token, struct osr_credential_done done,
                                      struct osr_err *err)
{
    int code = check_name("role", order->role, OSR_POLICY_NAME_BYTES_MAX, err);
    if (code == 0) {
        code = check_who(order->created_by, err);
    }
    if (code == 0) {
        code = check_expiry(order->expires_ms, now_ms, err);
    }
    if (code == 0) {
        code = osr_credential_store_make_room(credentials->store, OSR_CREDENTIAL_INVITATION, now_ms,
                                              err);
    }
    if (code != 0) {
        return code;
    }
    char id[OSR_SECRET_ID_CHARS + 1];
    make_token(credentials, ret_token);
    osr_token_id_text(id, ret_token);
    struct osr_credential credential = {
        .kind = OSR_CREDENTIAL_INVITATION,
        .invitation = {.id = id,
                       .hash = osr_token_hash(ret_token),
                       .role = order->role,
                       .created_by = order->created_by,
                       .created_ms = now_ms,
                       .expires_ms = order->expires_ms,
                       .used_by = "",
                       .revoked_by = ""},
    };
    osr_credential_store_put(credentials->store, &credential, OSR_WHEN_DURABLE, done);
    return 0;
}

static int refuse_used(const struct osr_invitation_record *invitation, enum osr_code code,
                       struct osr_err *err)
{
    char time[TIME_CHARS];
    return osr_err_set(err, code, "the invitation %s was used by %s at %s", invitation->id,
                       invitation->used_by, time_text(time, invitation->used_ms));
}

/* 0: it can be used. */
static int check_invitation(const struct osr_credentials *credentials,
                            const struct osr_credential *credential, uint64_t now_ms,
                            struct osr_err *err)
{
    const struct osr_invitation_record *invitation = &credential->invitation;
    if (invitation->used_ms != 0) {
        return refuse_used(invitation, OSR_UNAUTHENTICATED, err);
    }
    if (invitation->revoked_ms != 0) {
        return refuse_revoked("invitation", invitation->id, invitation->revoked_ms, err);
    }
    if (osr_credential_store_is_changing(credentials->store, credential)) {
        return osr_err_set(err, OSR_UNAUTHENTICATED, "the invitation %s is being used",
                           invitation->id);
    }
    if (invitation->expires_ms <= now_ms) {
        return refuse_expired("invitation", invitation->id, invitation->expires_ms, err);
    }
    return 0;
}

static int find_invitation(const struct osr_credentials *credentials, const struct osr_token *token,
                           const struct osr_credential **ret_credential, struct osr_err *err)
{
    char id[OSR_SECRET_ID_CHARS + 1];
    osr_token_id_text(id, token);
    if (memcmp(&token->cluster, &credentials->cluster, sizeof(token->cluster)) != 0) {
        osr_err_set(err, OSR_WRONG_CLUSTER, "the invitation %s is one of another cluster", id);
        return OSR_WRONG_CLUSTER;
    }
    const struct osr_credential *found =
        osr_credentials_find(credentials, OSR_CREDENTIAL_INVITATION, id);
    if (found == NULL || !osr_token_matches(token, &found->invitation.hash)) {
        osr_err_set(err, OSR_UNAUTHENTICATED, "the invitation %s is unknown here", id);
        return OSR_UNAUTHENTICATED;
    }
    *ret_credential = found;
    return 0;
}

int osr_credentials_use_invitation(struct osr_credentials *credentials,
                                   const struct osr_token *token, const char *used_by,
                                   uint64_t now_ms, char *role, struct osr_credential_done done,
                                   struct osr_err *err)
{
    const struct osr_credential *credential;
    int code = find_invitation(credentials, token, &credential, err);
    if (code == 0) {
        code = check_who(used_by, err);
    }
    if (code == 0) {
        code = check_invitation(credentials, credential, now_ms, err);
    }
    if (code != 0) {
        return code;
    }
    struct osr_credential used = *credential;
    used.invitation.used_by = used_by;
    used.invitation.used_ms = now_ms;
    snprintf(role, OSR_POLICY_NAME_BYTES_MAX + 1, "%s", used.invitation.role);
    osr_credential_store_put(credentials->store, &used, OSR_WHEN_DURABLE, done);
    return 0;
}

int osr_credentials_revoke_invitation(struct osr_credentials *credentials, const char *id,
                                      const char *revoked_by, uint64_t now_ms,
                                      struct osr_credential_done done, struct osr_err *err)
{
    const struct osr_credential *credential =
        osr_credentials_find(credentials, OSR_CREDENTIAL_INVITATION, id);
    if (credential == NULL) {
        return refuse_unknown_id("invitation", id, err);
    }
    int code = check_who(revoked_by, err);
    if (code != 0) {
        return code;
    }
    struct osr_credential revoked = *credential;
    if (revoked.invitation.used_ms != 0) {
        refuse_used(&revoked.invitation, OSR_INVALID_ARGUMENT, err);
        osr_err_hint(err, "revoke the certificate of who used it");
        return OSR_INVALID_ARGUMENT;
    }
    if (revoked.invitation.revoked_ms == 0) {
        if (osr_credential_store_is_changing(credentials->store, credential)) {
            return osr_err_set(err, OSR_BUSY, "the invitation %s is being used", id);
        }
        revoked.invitation.revoked_by = revoked_by;
        revoked.invitation.revoked_ms = now_ms;
    }
    osr_credential_store_put(credentials->store, &revoked, OSR_AT_ONCE, done);
    return 0;
}

/* ---- members ---- */

static int check_instance(const char *instance, struct osr_err *err)
{
    return osr_instance_id_is_valid(instance)
               ? 0
               : (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "'%.40s' is no instance's id",
                                  instance);
}

static int check_member(const struct osr_member_record *member, struct osr_err *err)
{
    int code = check_instance(member->instance, err);
    if (code == 0) {
        code = check_roles(&member->roles, err);
    }
    if (code == 0) {
        code = check_who(member->name, err);
    }
    return code != 0 ? code : check_who(member->invited_by, err);
}

int osr_credentials_put_member(struct osr_credentials *credentials,
                               const struct osr_member_record *member, uint64_t now_ms,
                               struct osr_credential_done done, struct osr_err *err)
{
    const struct osr_credential credential = {.kind = OSR_CREDENTIAL_MEMBER, .member = *member};
    int code = check_member(member, err);
    if (code == 0 &&
        osr_credentials_find(credentials, OSR_CREDENTIAL_MEMBER, member->instance) == NULL) {
        code =
            osr_credential_store_make_room(credentials->store, OSR_CREDENTIAL_MEMBER, now_ms, err);
    }
    if (code == 0) {
        osr_credential_store_put(credentials->store, &credential, OSR_WHEN_DURABLE, done);
    }
    return code;
}

/* ---- certificates ---- */

/* Refused in any other writing: it would revoke nothing, and look as if it did. */
static int check_serial(const char *serial, struct osr_err *err)
{
    size_t size = strspn(serial, "0123456789ABCDEF");
    if (size == 0 || size % 2 != 0 || serial[size] != '\0' || size >= OSR_SERIAL_TEXT_MAX) {
        osr_err_set(err, OSR_INVALID_ARGUMENT, "'%.80s' is no serial number", serial);
        osr_err_hint(err, "write it as `openssl x509 -serial` does: pairs of 0-9 and A-F");
        return OSR_INVALID_ARGUMENT;
    }
    return 0;
}

/* Checked; `before` is the one with its key. */
static int put_revocation(struct osr_credentials *credentials,
                          const struct osr_revocation_record *revocation,
                          const struct osr_credential *before, uint64_t now_ms,
                          struct osr_credential_done done, struct osr_err *err)
{
    if (before != NULL) {
        osr_credential_store_put(credentials->store, before, OSR_AT_ONCE, done);
        return 0;
    }
    int code =
        osr_credential_store_make_room(credentials->store, OSR_CREDENTIAL_REVOCATION, now_ms, err);
    if (code == 0) {
        struct osr_credential credential = {.kind = OSR_CREDENTIAL_REVOCATION,
                                            .revocation = *revocation};
        credential.revocation.revoked_ms = now_ms;
        osr_credential_store_put(credentials->store, &credential, OSR_AT_ONCE, done);
    }
    return code;
}

int osr_credentials_revoke_certificate(struct osr_credentials *credentials,
                                       const struct osr_revocation_record *revocation,
                                       uint64_t now_ms, struct osr_credential_done done,
                                       struct osr_err *err)
{
    int code = check_serial(revocation->serial, err);
    if (code == 0) {
        code = check_who(revocation->who, err);
    }
    if (code == 0) {
        code = check_who(revocation->revoked_by, err);
    }
    if (code != 0) {
        return code;
    }
    const struct osr_credential *before = osr_credential_store_find_revocation(
        credentials->store, revocation->serial, &revocation->authority);
    return put_revocation(credentials, revocation, before, now_ms, done, err);
}

int osr_credentials_revoke_instance(struct osr_credentials *credentials, const char *instance,
                                    const char *revoked_by, uint64_t now_ms,
                                    struct osr_credential_done done, struct osr_err *err)
{
    char who[sizeof("instance:") + OSR_INSTANCE_CHARS];
    int code = check_instance(instance, err);
    if (code == 0) {
        code = check_who(revoked_by, err);
    }
    if (code != 0) {
        return code;
    }
    snprintf(who, sizeof(who), "instance:%s", instance);
    const struct osr_revocation_record revocation = {
        .serial = "", .who = who, .revoked_by = revoked_by};
    const struct osr_credential *before =
        osr_credentials_find(credentials, OSR_CREDENTIAL_REVOCATION, who);
    return put_revocation(credentials, &revocation, before, now_ms, done, err);
}

bool osr_credentials_is_revoked(const struct osr_credentials *credentials, const char *serial,
                                const struct osr_hash *authority)
{
    return osr_credential_store_find_revocation(credentials->store, serial, authority) != NULL;
}
