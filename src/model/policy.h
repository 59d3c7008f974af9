/* policy.h -- who may do what, on which part: rules, and the answer to one question.
 *
 * A policy gives roles to members and rules to roles. A rule allows or denies actions on parts. The
 * answer to "may WHO do ACTION on PART": denied, unless some rule of some role of WHO allows it and
 * none of any of them denies it. No order among rules, so no surprise by where one stands.
 *
 * Who: one of OSR_IDENTITIES, or "<kind>:<name>" of a kind of OSR_IDENTITY_KINDS. The name of a
 * member may end in '*' and so stand for all identities that begin so. Of several members that
 * cover an identity the most specific alone counts: its exact name, else the longest of those that
 * end in '*'. So a member without roles shuts out whom a wider one lets in. "anonymous" is no
 * fallback: its roles are not everybody's, so that showing who one is never lends what was meant
 * for those who do not.
 *
 * Part: "<kind>:<name>" of a kind of OSR_PART_KINDS: "stream:kb", "collection:notes",
 * "key:/config/x", "task:image", "instance:" (no name). In a rule the name may end in '*', which
 * stands for any rest, none included; "*" alone is every part of every kind; a '*' elsewhere is
 * itself. Names of questions are any bytes, of which none means anything.
 *
 * Built once and never changed: a reload builds a new one. Lookups touch nothing that changes and
 * are safe from any thread. Cost: a question takes one binary search among the names of all rules
 * (under 200 ns with 1,000), however many roles there are (model/patterns.h). */
#ifndef OSR_MODEL_POLICY_H
#define OSR_MODEL_POLICY_H

#include "base/bytes.h"
#include "base/error.h"

/* X(NAME, name in a policy, whether parts of it have names, what it is) */
#define OSR_PART_KINDS(X)                                                                          \
    X(INSTANCE, "instance", false, "this instance itself")                                         \
    X(STREAM, "stream", true, "what feeds carry: kb, trust, ...")                                  \
    X(COLLECTION, "collection", true, "documents of the knowledge base")                           \
    X(KEY, "key", true, "keys of the ledger")                                                      \
    X(TASK, "task", true, "tasks, by their type")

enum osr_part_kind {
#define OSR_PART_KIND_ENUM(name, text, has_names, meaning) OSR_PART_##name,
    OSR_PART_KINDS(OSR_PART_KIND_ENUM)
#undef OSR_PART_KIND_ENUM
        OSR_PART_KIND_COUNT,
};

#define OSR_ON(kind) (1u << OSR_PART_##kind)
/* X(NAME, name in a policy, kinds of parts that it is asked about, what it lets one do) */
#define OSR_ACTIONS(X)                                                                             \
    X(LINK, "link", OSR_ON(INSTANCE), "greet as an instance and exchange replication messages")    \
    X(FOLLOW, "follow", OSR_ON(STREAM), "be sent the entries of a stream")                         \
    X(LEAD, "lead", OSR_ON(STREAM), "write a stream of one's own that others store")               \
    X(APPEND, "append", OSR_ON(COLLECTION), "hand in an UPDATE_KB that is not answered")           \
    X(READ, "read", OSR_ON(COLLECTION) | OSR_ON(KEY) | OSR_ON(TASK),                               \
      "get, list, search and watch documents, keys and tasks")                                     \
    X(WRITE, "write", OSR_ON(COLLECTION) | OSR_ON(KEY) | OSR_ON(TASK),                             \
      "put, update, delete and import them")                                                       \
    X(VOTE, "vote", OSR_ON(INSTANCE), "be a member of the ledger")                                 \
    X(OBSERVE, "observe", OSR_ON(INSTANCE) | OSR_ON(STREAM), "see status, feeds and followers")    \
    X(OPERATE, "operate", OSR_ON(INSTANCE) | OSR_ON(STREAM), "rebuild, resend, reload")            \
    X(TRUST, "trust", OSR_ON(INSTANCE),                                                            \
      "issue, renew and revoke certificates, tokens, users and invitations")                       \
    X(AUDIT, "audit", OSR_ON(INSTANCE), "read the audit log, and list what an instance wrote")

enum osr_action {
#define OSR_ACTION_ENUM(name, text, kinds, meaning) OSR_ACTION_##name,
    OSR_ACTIONS(OSR_ACTION_ENUM)
#undef OSR_ACTION_ENUM
        OSR_ACTION_COUNT,
};

/* X(NAME, how it is written, who that is) */
#define OSR_IDENTITIES(X)                                                                          \
    X(ADMIN, "admin", "the daemon's user, or root, on the Unix socket")                            \
    X(LOCAL, "local", "a program of this machine that has not shown who it is")                    \
    X(SEED, "seed", "a program that knows UPDATE_KB alone")                                        \
    X(ANONYMOUS, "anonymous", "who comes from elsewhere and has not shown who that is")

/* X(how it is written in front of the ':', who that is) */
#define OSR_IDENTITY_KINDS(X)                                                                      \
    X("user", "by password, or a certificate of the cluster's CA")                                 \
    X("instance", "by its id")                                                                     \
    X("key", "by the name of a shared key")                                                        \
    X("token", "by the name of a bearer token")                                                    \
    X("subject", "by the name in a certificate of an outside CA")                                  \
    X("client", "by a key of ZeroMQ's, or as the config names who writes to a broker's address")

#define OSR_WHO_ADMIN     "admin"
#define OSR_WHO_LOCAL     "local"
#define OSR_WHO_SEED      "seed"
#define OSR_WHO_ANONYMOUS "anonymous"

/* -- words -- */

struct osr_action_info {
    const char *name;
    unsigned kinds; /* bits 1 << enum osr_part_kind that it is asked about */
    const char *meaning;
};

struct osr_part_kind_info {
    const char *name;
    bool has_names;
    const char *meaning;
};

const struct osr_action_info *osr_action_info(enum osr_action action);
const struct osr_part_kind_info *osr_part_kind_info(enum osr_part_kind kind);
/* INVALID_ARGUMENT where no action has the name; the hint is the one probably meant. */
int osr_action_parse(const char *name, enum osr_action *ret_action, struct osr_err *err);

/* What a question is about. */
struct osr_part {
    enum osr_part_kind kind;
    struct osr_slice name;
};

static inline struct osr_part osr_part(enum osr_part_kind kind, const char *name)
{
    return (struct osr_part){kind, osr_slice_text(name)};
}

/* "<kind>:<name>"; its name lies in `text`. INVALID_ARGUMENT as above. */
int osr_part_parse(const char *text, struct osr_part *ret_part, struct osr_err *err);

/* -- making one -- */

enum {
    /* Stop a policy from taking the memory or the start. */
    OSR_POLICY_ROLES_MAX = 256,
    OSR_POLICY_RULES_MAX = 4096, /* the defaults included, as everywhere here */
    OSR_POLICY_MEMBERS_MAX = 4096,
    OSR_POLICY_GRANTS_MAX = 16384,   /* of roles to members */
    OSR_POLICY_NAME_BYTES_MAX = 128, /* of roles, members and parts */
};

struct osr_policy;
struct osr_policy_builder;

/* What is added is copied. Each add fails with INVALID_ARGUMENT (a form that is none, an action
 * that is never asked about such parts), NOT_FOUND (a role or member that is not there),
 * ALREADY_EXISTS or TOO_LARGE, names the culprit, hints at what was probably meant, and leaves the
 * builder as it was. `where` names a line for people ("osirisd.yaml:12"). */
struct osr_policy_builder *osr_policy_builder_create(void);
void osr_policy_builder_destroy(struct osr_policy_builder *builder); /* NULL is a no-op */
/* The roles that every policy has, which nobody may add to or replace, and who has them while
 * nobody says otherwise; in the table in policy_builder.c. Comes first. */
void osr_policy_add_defaults(struct osr_policy_builder *builder);
int osr_policy_add_role(struct osr_policy_builder *builder, const char *role, struct osr_err *err);
/* actions: bits 1 << enum osr_action. */
int osr_policy_add_rule(struct osr_policy_builder *builder, const char *role, bool allows,
                        unsigned actions, const char *part, const char *where, struct osr_err *err);
/* A member, without roles so far; one of the defaults loses those it had. "admin" is an
 * administrator in every policy and cannot be added. */
int osr_policy_add_member(struct osr_policy_builder *builder, const char *who, struct osr_err *err);
int osr_policy_give_role(struct osr_policy_builder *builder, const char *who, const char *role,
                         const char *where, struct osr_err *err);
/* The policy; the builder is destroyed. */
struct osr_policy *osr_policy_build(struct osr_policy_builder *builder);
void osr_policy_destroy(struct osr_policy *policy); /* NULL is a no-op */

/* -- asking it -- */

/* Whether this is an identity at all, or a pattern of some, as members are written;
 * INVALID_ARGUMENT with the word that was probably meant. */
int osr_policy_check_who(const char *text, struct osr_err *err);

/* An identity as questions are asked of it: its roles, found once (at login, not for each call).
 * Valid as long as the policy. NULL: it is no member, and may do nothing. */
struct osr_policy_subject;
const struct osr_policy_subject *osr_policy_subject(const struct osr_policy *policy,
                                                    const char *who);
/* Whether a member is exactly this identity, rather than a pattern that covers it. */
bool osr_policy_names(const struct osr_policy *policy, const char *who);
/* The subject of these roles alone (a token's scope); made on demand, owned by the caller, valid as
 * long as the policy. NOT_FOUND: no role has such a name. */
int osr_policy_subject_of_roles(const struct osr_policy *policy, const char *const *roles,
                                size_t count, struct osr_policy_subject **ret_subject,
                                struct osr_err *err);
void osr_policy_subject_destroy(struct osr_policy_subject *subject); /* NULL is a no-op */

/* A subject that is NULL may do nothing. */
bool osr_policy_allows(const struct osr_policy_subject *subject, enum osr_action action,
                       struct osr_part part);
/* Whether it may do so on any part of this kind at all: for lists, whose rows are then asked for
 * one by one. */
bool osr_policy_allows_some(const struct osr_policy_subject *subject, enum osr_action action,
                            enum osr_part_kind kind);
/* Whether it may do so on every part of this kind, whatever its name: then rows need not be asked
 * for one by one. Cost: all rules. */
bool osr_policy_allows_all(const struct osr_policy_subject *subject, enum osr_action action,
                           enum osr_part_kind kind);

/* The same answer for people: appends a line for each wider member that the one that counts
 * overrides, one for each role that it has and where it was given, then what
 * osr_policy_explain_subject does. True: allowed. */
bool osr_policy_explain(const struct osr_policy *policy, const char *who, enum osr_action action,
                        struct osr_part part, struct osr_buffer *text);
/* Appends a line for each rule that speaks to the question, which role brought it, where it stands,
 * and last what follows from them. The subject is not NULL. */
bool osr_policy_explain_subject(const struct osr_policy_subject *subject, enum osr_action action,
                                struct osr_part part, struct osr_buffer *text);

#endif
