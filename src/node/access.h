/* access.h -- who is at the other end of a connection, and the one check of what they may do.
 *
 * An identity is a name (model/policy.h) and what the policy in force gives to it: its grant. It
 * begins with what listener, socket and handshake show, and changes only by proof: a token,
 * HELLO_PROOF. What it rests on may change under it: a reload brings another policy or approves its
 * id no longer, a token or a certificate is revoked, a user disabled, a token expires. So each
 * check looks first whether it still stands as it was looked up (two numbers compared), and looks
 * it up anew where it does not.
 *
 * An instance that the config does not name exactly has the roles that its member record brings
 * (trust_feed.h) and may link, if it brings any; else those that the policy gives to what covers
 * it.
 *
 * Deny by default. Every refusal goes to the audit log, and what was allowed where it changes who
 * may do what; where the log cannot take it, the answer is BUSY instead.
 *
 * Threads: the loop's. A grant (grant.h) may be asked by any. */
#ifndef OSR_NODE_ACCESS_H
#define OSR_NODE_ACCESS_H

#include "adapter/transport.h"
#include "model/policy.h"
#include "node/audit.h"
#include "node/credentials.h"
#include "node/grant.h"

struct osr_access; /* the policy in force, and on what identities rest */

struct osr_access_options {
    const char *cluster;
    struct osr_policy *policy;                 /* becomes the access's */
    const struct osr_credentials *credentials; /* NULL: no token is known, nothing revoked */
    struct osr_audit *audit;                   /* NULL: nothing is noted (tests) */
    uint64_t (*time_ms)(void *context);        /* since 1970 */
    /* Whether a link that shows no certificate that is believed may be of this instance: for
     * osr_security_is_approved. NULL: none. */
    bool (*is_approved)(void *context, const char *instance);
    /* Whether it leads the stream "trust" whatever its roles are: for osr_security_is_authority.
     * NULL: none does. */
    bool (*is_authority)(void *context, const char *instance);
    /* Whether there is a CA that tells of all members: for osr_security_knows_members. NULL: no. */
    bool (*knows_members)(void *context);
    void *context;
};

struct osr_access *osr_access_create(const struct osr_access_options *options);
/* When no identity is left. NULL is a no-op. */
void osr_access_destroy(struct osr_access *access);
/* A reload. Then let sessions and core look again: osr_sessions_review, OSR_FEED_ACCESS_CHANGED. */
void osr_access_replace_policy(struct osr_access *access, struct osr_policy *policy);
const struct osr_policy *osr_access_policy(const struct osr_access *access);

/* ---- who somebody is ---- */

struct osr_identity {
    struct osr_access *access;               /* NULL: empty */
    char who[OSR_POLICY_NAME_BYTES_MAX + 1]; /* "": nobody, who may do nothing */
    char from[64];                           /* address without a port, for the audit log */
    unsigned methods;                        /* that its listener takes (listener_methods.h) */
    /* On what it rests: a token (its id), a certificate (serial number and CA); "": none. */
    char credential_id[OSR_SECRET_ID_CHARS + 1];
    char serial[2 * 20 + 1];
    struct osr_hash authority;
    uint64_t expires_ms; /* 0: never */
    bool needs_approval; /* TLS without a certificate that is believed, and without a key */
    struct osr_grant *grant;
    uint64_t policy_revision;
    uint64_t credentials_revision;
};

/* Of a new connection, by what it shows: the daemon's user or root on the Unix socket is "admin",
 * another user there nobody; a certificate of this cluster is who it says, of an outside CA
 * "subject:<name>"; a shared key is "key:<name>"; a request that came as a message is
 * "client:<name>", where it has a name; plaintext from this machine is "local"; all else is
 * "anonymous". With TLS only once the handshake is done. `methods` are its listener's, 0 where
 * it was dialled. WRONG_CLUSTER; UNAUTHENTICATED: the certificate says nobody's name, or was
 * revoked. On failure *ret_identity is nobody's. */
int osr_access_identify(struct osr_access *access, const struct osr_connection *connection,
                        unsigned methods, struct osr_identity *ret_identity, struct osr_err *err);
/* The identity of this name, which somebody else has made sure of; `from` stays. */
void osr_access_become(struct osr_identity *identity, const char *who);
/* Becomes whose token it is, or fails as osr_credentials_check, or as the listener does not take
 * such; which is noted, and stays. */
int osr_access_take_token(struct osr_access *access, struct osr_identity *identity,
                          struct osr_slice token, struct osr_err *err);
/* Whether the other side of an accepted connection may go on to HELLO_PROOF. UNAUTHENTICATED: it
 * has shown nothing, and its listener approves no ids, so that no proof would let it in; which is
 * noted, and it is neither told what is held here nor takes a link's place. PERMISSION_DENIED: it
 * may not link. */
int osr_access_check_hello(struct osr_access *access, struct osr_identity *identity,
                           struct osr_err *err);
/* A link whose other side has shown its instance by HELLO_PROOF becomes "instance:<id>".
 * UNAUTHENTICATED: what its connection shows is not this one, or is nobody's and this one is not
 * approved, or it was revoked. PERMISSION_DENIED: it may not link. */
int osr_access_take_instance(struct osr_access *access, struct osr_identity *identity,
                             const char *instance, struct osr_err *err);
/* Both are to be done with. *ret_identity held nothing before. */
void osr_identity_copy(struct osr_identity *ret_identity, const struct osr_identity *identity);
void osr_identity_done(struct osr_identity *identity); /* nobody after; a zeroed one is fine */
/* Whether it is one instance's, user's or token's: that of a shared key, or of nobody, is of many.
 */
bool osr_identity_names_one(const struct osr_identity *identity);
/* Whether it is who a certificate says, and not a token's. */
bool osr_identity_has_certificate(const struct osr_identity *identity);

/* ---- what they may do ---- */

/* 0, UNAUTHENTICATED (its token has expired, or that or its certificate was revoked, its user
 * disabled, its id approved no longer), PERMISSION_DENIED, or BUSY; `what` is a message's type. */
int osr_access_check(struct osr_access *access, struct osr_identity *identity,
                     enum osr_action action, struct osr_part part, const char *what,
                     struct osr_err *err);
/* The same for whether there is any such part at all; which ones, is asked one by one. */
int osr_access_check_some(struct osr_access *access, struct osr_identity *identity,
                          enum osr_action action, enum osr_part_kind kind, const char *what,
                          struct osr_err *err);
/* The same answer for one of many rows, which is not noted. */
bool osr_access_allows(struct osr_access *access, struct osr_identity *identity,
                       enum osr_action action, struct osr_part part);
/* Its grant as of now, not held. NULL identity: NULL. Fails as osr_access_check with
 * UNAUTHENTICATED. */
int osr_identity_grant(struct osr_identity *identity, struct osr_grant **ret_grant,
                       struct osr_err *err);
/* Notes a refusal that was decided elsewhere, which `err` says; BUSY instead where the audit log
 * cannot take it. Returns err->code. */
int osr_access_note_refusal(struct osr_access *access, const struct osr_identity *identity,
                            enum osr_action action, struct osr_part part, const char *what,
                            struct osr_err *err);

/* Whether a certificate of this instance ("instance:<id>") was revoked, or all of them: then nobody
 * is let in by that name any more. */
bool osr_access_is_revoked(struct osr_access *access, const char *who);
/* What a member may do by its record, the caller's as of osr_policy_subject_of_roles; NULL where it
 * brings no roles or the config names it exactly: then the policy alone says it. */
int osr_access_member_subject(const struct osr_access *access, const char *who,
                              struct osr_policy_subject **ret_subject, struct osr_err *err);
/* Whether it is an instance of which neither config nor CA tells, though the CA tells of all its
 * members: whoever may link could have made it up, to write in its name. So it leads nothing,
 * whatever "instance:*" may. */
bool osr_access_is_unknown(const struct osr_access *access, const char *who);
/* For struct osr_feed_access: whether others store what this instance writes to the stream, and
 * whether it is sent what they do. An instance whose certificate was revoked is neither. */
bool osr_access_instance_may(struct osr_access *access, const char *instance,
                             enum osr_action action, const char *stream);

#endif
