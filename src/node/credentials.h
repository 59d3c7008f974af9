/* credentials.h -- who may come in by a secret, who is a member, and by which certificates nobody
 * may come any more: tokens, users with their logins, invitations, members, revocations.
 *
 * Each is a fact in the log and in memory (credential_store.h); logins are in memory alone
 * (logins.h). Of a secret its hash is kept, so the one time to show it is when it is made.
 *
 * Changes: each goes to write_fact and is in force once that is durable. But revoking, removing and
 * disabling are in force at once, and stay so until a restart even if they cannot be stored. `done`
 * is called once for each change that began, with OK, DISK_FULL or what ended the log; not if the
 * function itself failed. Users have their passwords hashed elsewhere (adapter/password.h).
 *
 * Full stores (see there) refuse what is new with TOO_LARGE once nothing can be forgotten; what was
 * forgotten is unknown, and so refused as before.
 *
 * The loop's only. Times are in ms since 1970, given by the caller. */
#ifndef OSR_NODE_CREDENTIALS_H
#define OSR_NODE_CREDENTIALS_H

#include "model/policy.h"
#include "node/credential_store.h"
#include "node/logins.h"

enum { OSR_LOGIN_MS = 12 * 60 * 60 * 1000 }; /* a working day */

struct osr_credentials;

struct osr_credentials_options {
    const char *cluster;
    uint64_t hash_seed;
    void (*random)(void *data, size_t size); /* osr_secret_random */
    struct osr_credential_port port;         /* osr_trust_feed_write */
};

struct osr_credentials *osr_credentials_create(const struct osr_credentials_options *options);
/* NULL is a no-op. Every fact's `written` has been called before: after osr_journal_close. */
void osr_credentials_destroy(struct osr_credentials *credentials);
/* At start, for each fact whose key begins with OSR_CREDENTIAL_PREFIX. Failures (see
 * osr_credential_decode) are to end the start: what is not understood may be a revocation. */
int osr_credentials_load(struct osr_credentials *credentials, const char *key,
                         struct osr_slice value, struct osr_err *err);

/* A fact that was written elsewhere and is true here, too (trust_feed.h): in force at once; the
 * caller writes it down. Failures: osr_credential_decode's. */
int osr_credentials_adopt(struct osr_credentials *credentials, const char *key,
                          struct osr_slice value, uint64_t now_ms, struct osr_err *err);

/* ---- who shows a token ---- */

struct osr_credential_identity {
    char who[OSR_POLICY_NAME_BYTES_MAX + 1]; /* "token:<name>", "user:<name>" */
    char id[OSR_SECRET_ID_CHARS + 1];        /* of the token */
    const struct osr_role_names *roles;      /* live until the next change */
    uint64_t expires_ms;                     /* 0: never */
    bool is_login;                           /* it was got by a password */
};

/* Of a token or a login. UNAUTHENTICATED: mistyped, unknown, expired or revoked (err says
 * which; the last two only to those who know the secret); WRONG_CLUSTER. */
int osr_credentials_check(const struct osr_credentials *credentials, struct osr_slice text,
                          uint64_t now_ms, struct osr_credential_identity *ret_identity,
                          struct osr_err *err);
/* The same for a connection that has shown the secret before. Needed when the time of its
 * identity is over or the revision is another one: it grows with every change. */
int osr_credentials_check_again(const struct osr_credentials *credentials, const char *id,
                                uint64_t now_ms, struct osr_credential_identity *ret_identity,
                                struct osr_err *err);
uint64_t osr_credentials_revision(const struct osr_credentials *credentials);

/* ---- tokens ---- */

/* Names: letters, digits and "._@+-", OSR_CREDENTIAL_NAME_BYTES_MAX at most; several tokens may
 * share one, while they are rotated. */
struct osr_token_order {
    const char *name;
    struct osr_role_names roles;
    uint64_t expires_ms; /* 0: never */
    const char *created_by;
};

/* Writes OSR_TOKEN_TEXT_MAX bytes: the one time that the secret is shown. INVALID_ARGUMENT,
 * TOO_LARGE. */
int osr_credentials_create_token(struct osr_credentials *credentials,
                                 const struct osr_token_order *order, uint64_t now_ms, char *text,
                                 struct osr_credential_done done, struct osr_err *err);
/* A token, or a login (`done` is called before the return then). NOT_FOUND. Again: who and when
 * stay those of the first time. */
int osr_credentials_revoke_token(struct osr_credentials *credentials, const char *id,
                                 const char *revoked_by, uint64_t now_ms,
                                 struct osr_credential_done done, struct osr_err *err);

/* ---- users ---- */

/* New, or instead of the one of that name. Ends the user's logins when the password is another one
 * or the user is disabled. */
int osr_credentials_put_user(struct osr_credentials *credentials,
                             const struct osr_user_record *user, uint64_t now_ms,
                             struct osr_credential_done done, struct osr_err *err);
int osr_credentials_remove_user(struct osr_credentials *credentials, const char *name,
                                struct osr_credential_done done, struct osr_err *err);
/* Once a password was verified with `password_hash` on its thread: whether a login may come of it.
 * UNAUTHENTICATED: that is not the user's any more, or the user is disabled. */
int osr_credentials_check_login(const struct osr_credentials *credentials, const char *user,
                                const char *password_hash, struct osr_err *err);
/* A short-lived token. Fails as the one above. */
int osr_credentials_login(struct osr_credentials *credentials, const char *user,
                          const char *password_hash, uint64_t now_ms, char *text,
                          uint64_t *ret_expires_ms, struct osr_err *err);

/* ---- invitations ---- */

struct osr_invitation_order {
    const char *role;
    uint64_t expires_ms;
    const char *created_by;
};

/* The caller makes the text, as it knows the addresses, and wipes the token. */
int osr_credentials_create_invitation(struct osr_credentials *credentials,
                                      const struct osr_invitation_order *order, uint64_t now_ms,
                                      struct osr_token *ret_token, struct osr_credential_done done,
                                      struct osr_err *err);
/* Whether it could be used now; else fails as osr_credentials_use_invitation. */
int osr_credentials_check_invitation(const struct osr_credentials *credentials,
                                     const struct osr_token *token, uint64_t now_ms,
                                     struct osr_err *err);
/* Once: whoever comes second is refused at once, but nothing may be given for it before `done`
 * says OK; after another code it can be used again. `role` gets OSR_POLICY_NAME_BYTES_MAX + 1
 * bytes at most. WRONG_CLUSTER, or UNAUTHENTICATED: unknown, expired, revoked or used (by whom,
 * when). */
int osr_credentials_use_invitation(struct osr_credentials *credentials,
                                   const struct osr_token *token, const char *used_by,
                                   uint64_t now_ms, char *role, struct osr_credential_done done,
                                   struct osr_err *err);
/* NOT_FOUND; INVALID_ARGUMENT: it was used (the certificate is what to revoke); BUSY: it is being
 * used. Again: as with tokens. */
int osr_credentials_revoke_invitation(struct osr_credentials *credentials, const char *id,
                                      const char *revoked_by, uint64_t now_ms,
                                      struct osr_credential_done done, struct osr_err *err);

/* ---- certificates ---- */

/* New, or instead of the one of that instance: it has a new certificate. INVALID_ARGUMENT,
 * TOO_LARGE. */
int osr_credentials_put_member(struct osr_credentials *credentials,
                               const struct osr_member_record *member, uint64_t now_ms,
                               struct osr_credential_done done, struct osr_err *err);
/* revoked_ms is set to now. Again: the first one stays. INVALID_ARGUMENT, TOO_LARGE. */
int osr_credentials_revoke_certificate(struct osr_credentials *credentials,
                                       const struct osr_revocation_record *revocation,
                                       uint64_t now_ms, struct osr_credential_done done,
                                       struct osr_err *err);
/* All certificates of an instance, those to come as well: its identity. The same for the rest. */
int osr_credentials_revoke_instance(struct osr_credentials *credentials, const char *instance,
                                    const char *revoked_by, uint64_t now_ms,
                                    struct osr_credential_done done, struct osr_err *err);
bool osr_credentials_is_revoked(const struct osr_credentials *credentials, const char *serial,
                                const struct osr_hash *authority);

/* The one of the same certificate, or of the same identity; NULL: there is none. */
const struct osr_credential *osr_credentials_find_revocation(
    const struct osr_credentials *credentials, const struct osr_revocation_record *revocation);

/* ---- all of them ---- */

/* By a token's, invitation's or member's id, or a user's name. NULL: there is none. Lives until the
 * next change. */
const struct osr_credential *osr_credentials_find(const struct osr_credentials *credentials,
                                                  enum osr_credential_kind kind, const char *name);
/* In no particular order. */
void osr_credentials_walk(const struct osr_credentials *credentials, enum osr_credential_kind kind,
                          void (*visit)(void *context, const struct osr_credential *credential),
                          void *context);

#endif
