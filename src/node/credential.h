/* credential.h -- one token, user, invitation, revocation or member, as it is kept: a fact.
 *
 * Fact "credential:<kind>:<name>", format 1, in the form of model/form.h: u8 format, then
 *   token:      text id | 32 bytes hash | text name | roles | text created_by | u64 created_ms |
 *               u64 expires_ms | text revoked_by | u64 revoked_ms
 *   user:       text name | text password_hash | roles | u64 created_ms | u8 is_disabled
 *   invitation: text id | 32 bytes hash | text role | text created_by | u64 created_ms |
 *               u64 expires_ms | text used_by | u64 used_ms | text revoked_by | u64 revoked_ms
 *   revocation: text serial | 32 bytes authority | text who | text revoked_by | u64 revoked_ms |
 *               u64 expires_ms
 *   member:     text instance | text name | roles | text serial | 32 bytes authority |
 *               text invited_by | u64 joined_ms | u64 expires_ms
 * where roles is u32 n | n * text. Times are in ms since 1970, UTC. The texts of a credential are
 * somebody else's: `texts` of decode, or whoever made it. */
#ifndef OSR_NODE_CREDENTIAL_H
#define OSR_NODE_CREDENTIAL_H

#include "adapter/authority.h"
#include "base/error.h"
#include "model/token.h"

#define OSR_CREDENTIAL_PREFIX "credential:"

enum {
    OSR_CREDENTIAL_NAME_BYTES_MAX = 64, /* of users and tokens: they stand in lists and policies */
    OSR_CREDENTIAL_ROLES_MAX = 16,      /* of one: stop a record from growing */
    OSR_CREDENTIAL_WHO_BYTES_MAX = OSR_CERTIFICATE_NAME_BYTES_MAX,
};

/* X(NAME, name in keys, for people) */
#define OSR_CREDENTIAL_KINDS(X)                                                                    \
    X(TOKEN, "token", "token")                                                                     \
    X(USER, "user", "user")                                                                        \
    X(INVITATION, "invitation", "invitation")                                                      \
    X(REVOCATION, "revocation", "revoked certificate")                                             \
    X(MEMBER, "member", "member")

enum osr_credential_kind {
#define OSR_CREDENTIAL_ENUM(name, key, text) OSR_CREDENTIAL_##name,
    OSR_CREDENTIAL_KINDS(OSR_CREDENTIAL_ENUM)
#undef OSR_CREDENTIAL_ENUM
        OSR_CREDENTIAL_KIND_COUNT,
};

const char *osr_credential_kind_name(enum osr_credential_kind kind); /* for people */

struct osr_role_names {
    const char *names[OSR_CREDENTIAL_ROLES_MAX];
    size_t count;
};

struct osr_token_record {
    const char *id; /* hexadecimal */
    struct osr_hash hash;
    const char *name; /* who shows it is "token:<name>" */
    struct osr_role_names roles;
    const char *created_by;
    uint64_t created_ms;
    uint64_t expires_ms; /* 0: never */
    const char *revoked_by;
    uint64_t revoked_ms; /* 0: it is not */
};

struct osr_user_record {
    const char *name; /* "user:<name>" */
    const char *password_hash;
    struct osr_role_names roles;
    uint64_t created_ms;
    bool is_disabled;
};

struct osr_invitation_record {
    const char *id;
    struct osr_hash hash;
    const char *role; /* of who joins with it */
    const char *created_by;
    uint64_t created_ms;
    uint64_t expires_ms;
    const char *used_by;
    uint64_t used_ms; /* 0: it is not */
    const char *revoked_by;
    uint64_t revoked_ms; /* 0: it is not */
};

struct osr_revocation_record {
    const char *serial; /* as in struct osr_certificate_facts; "": all certificates of `who` */
    struct osr_hash authority; /* fingerprint of the CA that issued it; zeros where serial is "" */
    const char *who;           /* the identity in it; "": unknown */
    const char *revoked_by;
    uint64_t revoked_ms;
    uint64_t expires_ms; /* of the certificate: then it needs no revocation; 0: unknown */
};

/* An instance with a certificate of the cluster's CA. */
struct osr_member_record {
    const char *instance; /* its id */
    const char *name;
    struct osr_role_names roles; /* none: those that the policy gives to instances */
    const char *serial;          /* of its newest certificate */
    struct osr_hash authority;
    const char *invited_by;
    uint64_t joined_ms;
    uint64_t expires_ms; /* of the certificate */
};

struct osr_credential {
    enum osr_credential_kind kind;
    union {
        struct osr_token_record token;
        struct osr_user_record user;
        struct osr_invitation_record invitation;
        struct osr_revocation_record revocation;
        struct osr_member_record member;
    };
};

/* To be freed. `name`: a token's, an invitation's or a member's id, a user's name, or whose
 * certificates are all revoked. */
char *osr_credential_named_key(enum osr_credential_kind kind, const char *name);
char *osr_credential_key(const struct osr_credential *credential);
char *osr_revocation_key(const char *serial, const struct osr_hash *authority);
void osr_credential_encode(const struct osr_credential *credential, struct osr_buffer *value);

/* UNSUPPORTED_VERSION: a kind or a format that a newer osirisd wrote. */
int osr_credential_kind_of_key(const char *key, enum osr_credential_kind *ret_kind,
                               struct osr_err *err);
/* `texts` gets value.size bytes at most. UNSUPPORTED_VERSION, or CORRUPT: damaged, or not what the
 * key says. */
int osr_credential_decode(const char *key, struct osr_slice value, char *texts,
                          struct osr_credential *ret_credential, struct osr_err *err);

#endif
