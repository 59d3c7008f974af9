#include "node/credentials_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapter/password.h"

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

void osr_credentials_make_token(const struct osr_credentials *credentials, struct osr_token *token)
{
    token->cluster = credentials->cluster;
    credentials->random(token->id, sizeof(token->id));
    credentials->random(token->secret, sizeof(token->secret));
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
        return osr_credential_refuse_revoked("token", token->id, token->revoked_ms, err);
    }
    if (token->expires_ms != 0 && token->expires_ms <= now_ms) {
        return osr_credential_refuse_expired("token", token->id, token->expires_ms, err);
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
        return osr_credential_refuse_expired("login", login->id, login->expires_ms, err);
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
    return osr_credential_refuse_unknown_token(id, err);
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
                    : osr_credential_refuse_unknown_token(id, err);
}

/* ---- tokens ---- */

static int check_token_order(const struct osr_token_order *order, uint64_t now_ms,
                             struct osr_err *err)
{
    int code = osr_credential_check_name("token", order->name, OSR_CREDENTIAL_NAME_BYTES_MAX, err);
    if (code == 0) {
        code = osr_credential_check_roles(&order->roles, err);
    }
    if (code == 0) {
        code = osr_credential_check_who(order->created_by, err);
    }
    if (code == 0 && order->expires_ms != 0) {
        code = osr_credential_check_expiry(order->expires_ms, now_ms, err);
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
    osr_credentials_make_token(credentials, &token);
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
    int code = osr_credential_check_who(revoked_by, err);
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
        return osr_credential_refuse_unknown_id("token", id, err);
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
    int code = osr_credential_check_name("user", user->name, OSR_CREDENTIAL_NAME_BYTES_MAX, err);
    if (code == 0) {
        code = osr_credential_check_roles(&user->roles, err);
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

int osr_credentials_check_login(const struct osr_credentials *credentials, const char *user,
                                const char *password_hash, struct osr_err *err)
{
    const struct osr_credential *found =
        osr_credentials_find(credentials, OSR_CREDENTIAL_USER, user);
    if (found == NULL || strcmp(found->user.password_hash, password_hash) != 0) {
        return osr_err_set(err, OSR_UNAUTHENTICATED, "the user or the password is wrong");
    }
    if (found->user.is_disabled) {
        return osr_err_set(err, OSR_UNAUTHENTICATED, "the user %.80s is disabled", user);
    }
    return 0;
}

int osr_credentials_login(struct osr_credentials *credentials, const char *user,
                          const char *password_hash, uint64_t now_ms, char *text,
                          uint64_t *ret_expires_ms, struct osr_err *err)
{
    struct osr_token token;
    int code = osr_credentials_check_login(credentials, user, password_hash, err);
    if (code != 0) {
        return code;
    }
    osr_credentials_make_token(credentials, &token);
    osr_token_write(text, &token);
    osr_logins_add(credentials->logins, &token, user, now_ms + OSR_LOGIN_MS);
    explicit_bzero(&token, sizeof(token));
    credentials->revision++; /* it may have taken the place of another one */
    *ret_expires_ms = now_ms + OSR_LOGIN_MS;
    return 0;
}
