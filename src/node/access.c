#include "node/access.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adapter/keys.h"
#include "base/map.h"
#include "model/identity.h"
#include "node/listener_methods.h"

/* A policy, until nobody holds a grant of it. */
struct counted_policy {
    struct osr_policy *policy;
    size_t uses;
};

struct osr_grant {
    size_t uses;
    struct counted_policy *of;
    const struct osr_policy_subject *subject;
    struct osr_policy_subject *own_subject; /* of a token's or a user's roles; NULL: a member's */
    bool reads_all;
    bool writes_all;
};

struct osr_access {
    struct osr_access_options options;
    char *cluster;
    struct counted_policy *policy;
    uint64_t policy_revision; /* from 1 on, so that a zeroed identity is looked up */
    /* Instances with a certificate that was revoked, as of a revision of the credentials. */
    struct osr_map *revoked;
    uint64_t revoked_revision;
    /* What instances may do that have roles of their own, by who they are, as of these revisions.
     */
    struct osr_map *members;
    uint64_t members_policy_revision;
    uint64_t members_credentials_revision;
};

static const char instance_kind[] = "instance:";

static bool begins_with(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

/* ---- policies and grants ---- */

static struct counted_policy *count_policy(struct osr_policy *policy)
{
    struct counted_policy *counted = osr_alloc(sizeof(*counted));
    *counted = (struct counted_policy){policy, 1};
    return counted;
}

static void release_policy(struct counted_policy *counted)
{
    if (--counted->uses == 0) {
        osr_policy_destroy(counted->policy);
        free(counted);
    }
}

/* Takes `own_subject`, which is NULL for what `who` has as a member. */
static struct osr_grant *make_grant(struct osr_access *access, const char *who,
                                    struct osr_policy_subject *own_subject)
{
    struct osr_grant *grant = osr_alloc(sizeof(*grant));
    grant->uses = 1;
    grant->of = access->policy;
    grant->of->uses++;
    grant->own_subject = own_subject;
    grant->subject = own_subject != NULL ? own_subject : osr_policy_subject(grant->of->policy, who);
    grant->reads_all = osr_policy_allows_all(grant->subject, OSR_ACTION_READ, OSR_PART_COLLECTION);
    grant->writes_all =
        osr_policy_allows_all(grant->subject, OSR_ACTION_WRITE, OSR_PART_COLLECTION);
    return grant;
}

struct osr_grant *osr_grant_hold(struct osr_grant *grant)
{
    if (grant != NULL) {
        grant->uses++;
    }
    return grant;
}

void osr_grant_release(struct osr_grant *grant)
{
    if (grant != NULL && --grant->uses == 0) {
        osr_policy_subject_destroy(grant->own_subject);
        release_policy(grant->of);
        free(grant);
    }
}

bool osr_grant_allows(const struct osr_grant *grant, enum osr_action action, struct osr_part part)
{
    return grant != NULL && osr_policy_allows(grant->subject, action, part);
}

bool osr_grant_reads_all(const struct osr_grant *grant)
{
    return grant != NULL && grant->reads_all;
}

bool osr_grant_writes_all(const struct osr_grant *grant)
{
    return grant != NULL && grant->writes_all;
}

static void forget_members(struct osr_access *access)
{
    size_t cursor = 0;
    struct osr_slice who;
    void *subject;
    while (osr_map_next(access->members, &cursor, &who, &subject)) {
        osr_map_remove(access->members, who);
        osr_policy_subject_destroy(subject);
    }
}

/* ---- life ---- */

struct osr_access *osr_access_create(const struct osr_access_options *options)
{
    struct osr_access *access = osr_alloc(sizeof(*access));
    uint64_t seed;
    osr_secret_random(&seed, sizeof(seed));
    access->options = *options;
    access->cluster = osr_strdup(options->cluster);
    access->policy = count_policy(options->policy);
    access->policy_revision = 1;
    access->revoked = osr_map_create(seed);
    access->members = osr_map_create(seed);
    access->revoked_revision = UINT64_MAX;
    return access;
}

void osr_access_destroy(struct osr_access *access)
{
    if (access == NULL) {
        return;
    }
    forget_members(access);
    osr_map_destroy(access->members);
    release_policy(access->policy);
    osr_map_destroy(access->revoked);
    free(access->cluster);
    free(access);
}

void osr_access_replace_policy(struct osr_access *access, struct osr_policy *policy)
{
    forget_members(access);
    release_policy(access->policy);
    access->policy = count_policy(policy);
    access->policy_revision++;
}

const struct osr_policy *osr_access_policy(const struct osr_access *access)
{
    return access->policy->policy;
}

/* ---- revocations ---- */

static uint64_t credentials_revision(const struct osr_access *access)
{
    const struct osr_credentials *credentials = access->options.credentials;
    return credentials != NULL ? osr_credentials_revision(credentials) : 0;
}

static void note_revocation(void *context, const struct osr_credential *credential)
{
    struct osr_access *access = context;
    const char *who = credential->revocation.who;
    if (begins_with(who, "instance:")) {
        osr_map_put(access->revoked, osr_slice_text(who), access);
    }
}

static void forget_revocations(struct osr_access *access)
{
    size_t cursor = 0;
    struct osr_slice who;
    void *value;
    while (osr_map_next(access->revoked, &cursor, &who, &value)) {
        osr_map_remove(access->revoked, who);
    }
}

static bool is_revoked_instance(struct osr_access *access, const char *who)
{
    uint64_t revision = credentials_revision(access);
    if (access->revoked_revision != revision && access->options.credentials != NULL) {
        forget_revocations(access);
        osr_credentials_walk(access->options.credentials, OSR_CREDENTIAL_REVOCATION,
                             note_revocation, access);
        access->revoked_revision = revision;
    }
    return osr_map_get(access->revoked, osr_slice_text(who)) != NULL;
}

bool osr_access_is_revoked(struct osr_access *access, const char *who)
{
    return is_revoked_instance(access, who);
}

/* ---- looking an identity up ---- */

static uint64_t now_ms(const struct osr_access *access)
{
    return access->options.time_ms(access->options.context);
}

/* Roles are given that a reload may take out of the policy: then they are good for nothing. */
static int find_subject_of(const struct osr_access *access, const char *const *roles, size_t count,
                           struct osr_policy_subject **ret_subject, struct osr_err *err)
{
    int code = osr_policy_subject_of_roles(access->policy->policy, roles, count, ret_subject, err);
    if (code != 0) {
        err->code = OSR_PERMISSION_DENIED;
        return OSR_PERMISSION_DENIED;
    }
    return 0;
}

static int find_own_subject(struct osr_access *access, const struct osr_role_names *roles,
                            struct osr_policy_subject **ret_subject, struct osr_err *err)
{
    return roles->count > 0 ? find_subject_of(access, roles->names, roles->count, ret_subject, err)
                            : 0;
}

static int look_up_token(struct osr_access *access, struct osr_identity *identity,
                         struct osr_policy_subject **ret_subject, struct osr_err *err)
{
    struct osr_credential_identity found;
    int code = osr_credentials_check_again(access->options.credentials, identity->credential_id,
                                           now_ms(access), &found, err);
    if (code != 0) {
        return code;
    }
    identity->expires_ms = found.expires_ms;
    return find_own_subject(access, found.roles, ret_subject, err);
}

static int check_certificate(struct osr_access *access, const struct osr_identity *identity,
                             struct osr_err *err)
{
    const struct osr_credentials *credentials = access->options.credentials;
    bool is_revoked =
        identity->serial[0] != '\0' && credentials != NULL &&
        osr_credentials_is_revoked(credentials, identity->serial, &identity->authority);
    if (is_revoked || is_revoked_instance(access, identity->who)) {
        osr_err_set(err, OSR_UNAUTHENTICATED, "the certificate of %s was revoked", identity->who);
        osr_err_hint(err, "it has to join the cluster anew, with a new key");
        return OSR_UNAUTHENTICATED;
    }
    return 0;
}

/* The roles of a member's record, where the config does not name it; NULL: it has none. */
static const struct osr_role_names *roles_of_member(const struct osr_access *access,
                                                    const char *who)
{
    const struct osr_credentials *credentials = access->options.credentials;
    if (credentials == NULL || !begins_with(who, instance_kind) ||
        osr_policy_names(access->policy->policy, who)) {
        return NULL;
    }
    const struct osr_credential *found =
        osr_credentials_find(credentials, OSR_CREDENTIAL_MEMBER, who + strlen(instance_kind));
    return found != NULL && found->member.roles.count > 0 ? &found->member.roles : NULL;
}

/* Whoever is a member may link, whatever its roles say of the rest. */
static int find_subject_of_member(const struct osr_access *access,
                                  const struct osr_role_names *roles,
                                  struct osr_policy_subject **ret_subject, struct osr_err *err)
{
    const char *names[OSR_CREDENTIAL_ROLES_MAX + 1] = {"newcomer"};
    memcpy(&names[1], roles->names, roles->count * sizeof(names[0]));
    return find_subject_of(access, names, roles->count + 1, ret_subject, err);
}

int osr_access_member_subject(const struct osr_access *access, const char *who,
                              struct osr_policy_subject **ret_subject, struct osr_err *err)
{
    *ret_subject = NULL;
    const struct osr_role_names *roles = roles_of_member(access, who);
    return roles != NULL ? find_subject_of_member(access, roles, ret_subject, err) : 0;
}

static int look_up(struct osr_access *access, struct osr_identity *identity, struct osr_err *err)
{
    struct osr_policy_subject *own_subject = NULL;
    int code = 0;
    if (identity->credential_id[0] != '\0') {
        code = look_up_token(access, identity, &own_subject, err);
    } else {
        code = check_certificate(access, identity, err);
        if (code == 0) {
            code = osr_access_member_subject(access, identity->who, &own_subject, err);
        }
    }
    if (code != 0) {
        return code;
    }
    osr_grant_release(identity->grant);
    identity->access = access;
    identity->grant = make_grant(access, identity->who, own_subject);
    identity->policy_revision = access->policy_revision;
    identity->credentials_revision = credentials_revision(access);
    return 0;
}

/* Whether it still is as it was looked up; looks it up anew where it is not. */
static int refresh(struct osr_access *access, struct osr_identity *identity, struct osr_err *err)
{
    bool is_current = identity->policy_revision == access->policy_revision &&
                      identity->credentials_revision == credentials_revision(access);
    if (is_current && (identity->expires_ms == 0 || now_ms(access) < identity->expires_ms)) {
        return 0;
    }
    return look_up(access, identity, err);
}

int osr_identity_grant(struct osr_identity *identity, struct osr_grant **ret_grant,
                       struct osr_err *err)
{
    int code = refresh(identity->access, identity, err);
    if (code == 0) {
        *ret_grant = identity->grant;
    }
    return code;
}

/* ---- the audit log ---- */

static void describe_part(char *text, size_t size, struct osr_part part)
{
    snprintf(text, size, "%s:%.*s", osr_part_kind_info(part.kind)->name, (int)part.name.size,
             (const char *)part.name.data);
}

struct note {
    enum osr_audit_kind kind;
    bool allowed;
    const char *action;
    const char *part;
    const char *what;
    const char *why;
};

static int write_note(struct osr_access *access, const struct osr_identity *identity,
                      const struct note *note, struct osr_err *err)
{
    const struct osr_audit_record record = {
        .allowed = note->allowed,
        .who = identity->who,
        .from = identity->from,
        .action = note->action,
        .part = note->part,
        .what = note->what,
        .why = note->why,
    };
    struct osr_audit *audit = access->options.audit;
    return audit == NULL ? 0 : osr_audit_note(audit, note->kind, &record, err);
}

/* An identity's coming in; `err` says why not, or is NULL. */
static int note_login(struct osr_access *access, const struct osr_identity *identity,
                      const char *what, struct osr_err *err, struct osr_err *ret_err)
{
    const struct note note = {.kind = OSR_AUDIT_LOGIN,
                              .allowed = err == NULL,
                              .action = "login",
                              .part = "instance:",
                              .what = what,
                              .why = err == NULL ? "" : err->message};
    int code = write_note(access, identity, &note, ret_err);
    if (code != 0 || err == NULL) {
        return code;
    }
    *ret_err = *err;
    return (int)err->code;
}

int osr_access_note_refusal(struct osr_access *access, const struct osr_identity *identity,
                            enum osr_action action, struct osr_part part, const char *what,
                            struct osr_err *err)
{
    char text[OSR_AUDIT_TEXT_BYTES_MAX];
    struct osr_err failure;
    describe_part(text, sizeof(text), part);
    const struct note note = {.kind = OSR_AUDIT_DOCUMENTS,
                              .action = osr_action_info(action)->name,
                              .part = text,
                              .what = what,
                              .why = err->message};
    if (write_note(access, identity, &note, &failure) != 0) {
        *err = failure;
    }
    return (int)err->code;
}

/* Of what was allowed: that which changes who may do what, or costs much; documents where all is to
 * be noted. */
static bool is_noted(const struct osr_access *access, enum osr_action action,
                     enum osr_audit_kind *ret_kind)
{
    switch (action) {
    case OSR_ACTION_TRUST:
    case OSR_ACTION_OPERATE:
    case OSR_ACTION_AUDIT:
        *ret_kind = OSR_AUDIT_TRUST;
        return access->options.audit != NULL;
    case OSR_ACTION_READ:
    case OSR_ACTION_WRITE:
    case OSR_ACTION_APPEND:
        *ret_kind = OSR_AUDIT_DOCUMENTS;
        return access->options.audit != NULL && osr_audit_is_of_all(access->options.audit);
    default:
        return false;
    }
}

static int note_allowed(struct osr_access *access, const struct osr_identity *identity,
                        enum osr_action action, struct osr_part part, const char *what,
                        struct osr_err *err)
{
    struct note note = {
        .allowed = true, .action = osr_action_info(action)->name, .what = what, .why = ""};
    if (!is_noted(access, action, &note.kind)) {
        return 0;
    }
    char text[OSR_AUDIT_TEXT_BYTES_MAX];
    describe_part(text, sizeof(text), part);
    note.part = text;
    return write_note(access, identity, &note, err);
}

/* ---- who somebody is ---- */

static const char *name_for_people(const struct osr_identity *identity)
{
    return identity->who[0] != '\0' ? identity->who : "another user of this machine";
}

/* "tcp://10.0.0.7:4711" -> "tcp://10.0.0.7": who connects again is still the same. */
static void take_address(struct osr_identity *identity, const char *url)
{
    snprintf(identity->from, sizeof(identity->from), "%s", url);
    char *port = strrchr(identity->from, ':');
    if (!begins_with(url, "unix:") && port != NULL && strchr(port, ']') == NULL) {
        *port = '\0';
    }
}

void osr_access_become(struct osr_identity *identity, const char *who)
{
    assert(strlen(who) < sizeof(identity->who));
    memmove(identity->who, who, strlen(who) + 1);
    identity->credential_id[0] = '\0';
    identity->expires_ms = 0;
    identity->policy_revision = 0; /* looked up when it is asked for */
}

/* "<kind>:<name>", which may be longer than a policy's names are. */
static int name_identity(struct osr_identity *identity, const char *kind, const char *name,
                         struct osr_err *err)
{
    int size =
        name[0] != '\0' ? snprintf(identity->who, sizeof(identity->who), "%s%s", kind, name) : 0;
    if (size > 0 && size <= OSR_POLICY_NAME_BYTES_MAX) {
        return 0;
    }
    return (int)osr_err_set(err, OSR_UNAUTHENTICATED,
                            "the name that the connection shows has %zu bytes; 1 to %zu are taken",
                            strlen(name), OSR_POLICY_NAME_BYTES_MAX - strlen(kind));
}

static int identify_certificate(const struct osr_access *access, const struct osr_tls_peer *peer,
                                struct osr_identity *identity, struct osr_err *err)
{
    snprintf(identity->serial, sizeof(identity->serial), "%s", peer->serial);
    identity->authority = peer->authority;
    if (peer->who[0] == '\0') {
        return name_identity(identity, "subject:", peer->subject, err);
    }
    if (strcmp(peer->cluster, access->cluster) != 0) {
        return (int)osr_err_set(err, OSR_WRONG_CLUSTER,
                                "the certificate is of cluster '%s', this instance of '%s'",
                                peer->cluster, access->cluster);
    }
    if (!begins_with(peer->who, "instance:") && !begins_with(peer->who, "user:")) {
        return (int)osr_err_set(err, OSR_UNAUTHENTICATED,
                                "the certificate is of '%s'; they are of instances and users",
                                peer->who);
    }
    return name_identity(identity, "", peer->who, err);
}

static int identify_peer(const struct osr_access *access, const struct osr_tls_peer *peer,
                         struct osr_identity *identity, struct osr_err *err)
{
    switch (peer->proof) {
    case OSR_TLS_PROOF_CERTIFICATE:
        return identify_certificate(access, peer, identity, err);
    case OSR_TLS_PROOF_KEY:
        return name_identity(identity, "key:", peer->who, err);
    case OSR_TLS_PROOF_NONE:
    case OSR_TLS_PROOF_PINNED:
        break;
    }
    identity->needs_approval = true;
    return name_identity(identity, "", OSR_WHO_ANONYMOUS, err);
}

static const char *name_in_plaintext(const struct osr_connection *connection)
{
    struct osr_socket_owner owner = osr_connection_owner(connection);
    if (owner.known) {
        return owner.uid == 0 || owner.uid == geteuid() ? OSR_WHO_ADMIN : "";
    }
    return osr_connection_is_local(connection) ? OSR_WHO_LOCAL : OSR_WHO_ANONYMOUS;
}

int osr_access_identify(struct osr_access *access, const struct osr_connection *connection,
                        unsigned methods, struct osr_identity *ret_identity, struct osr_err *err)
{
    const struct osr_tls_peer *peer = osr_connection_peer(connection);
    struct osr_identity identity = {.access = access, .methods = methods};
    int code = 0;
    take_address(&identity, osr_connection_url(connection));
    if (peer == NULL) {
        osr_access_become(&identity, name_in_plaintext(connection));
    } else {
        code = identify_peer(access, peer, &identity, err);
    }
    if (code == 0) {
        code = look_up(access, &identity, err);
    }
    if (code != 0) {
        struct osr_err why = *err;
        code = note_login(access, &identity, "handshake", &why, err);
        identity.serial[0] = '\0';
        osr_access_become(&identity, "");
    }
    *ret_identity = identity;
    return code;
}

int osr_access_take_token(struct osr_access *access, struct osr_identity *identity,
                          struct osr_slice token, struct osr_err *err)
{
    struct osr_credential_identity found;
    struct osr_identity taken = {.access = access, .methods = identity->methods};
    struct osr_err why;
    if (access->options.credentials == NULL) {
        return (int)osr_err_set(err, OSR_UNAUTHENTICATED, "no token is known here");
    }
    int code =
        osr_credentials_check(access->options.credentials, token, now_ms(access), &found, &why);
    if (code == 0) {
        code = osr_methods_check_token(identity->methods, found.is_login, &why);
    }
    if (code != 0) {
        return note_login(access, identity, "token", &why, err);
    }
    snprintf(taken.who, sizeof(taken.who), "%s", found.who);
    snprintf(taken.from, sizeof(taken.from), "%s", identity->from);
    snprintf(taken.credential_id, sizeof(taken.credential_id), "%s", found.id);
    taken.needs_approval = identity->needs_approval;
    if (look_up(access, &taken, &why) != 0) {
        return note_login(access, &taken, "token", &why, err);
    }
    if (note_login(access, &taken, "token", NULL, err) != 0) {
        osr_identity_done(&taken);
        return (int)err->code;
    }
    osr_identity_done(identity);
    *identity = taken;
    return 0;
}

/* Whether what the connection shows leaves open that it is this instance. */
static int check_instance(const struct osr_access *access, const struct osr_identity *identity,
                          const char *who, struct osr_err *err)
{
    const struct osr_access_options *options = &access->options;
    const char *instance = strchr(who, ':') + 1;
    bool is_named = begins_with(identity->who, "instance:") ||
                    begins_with(identity->who, "user:") || begins_with(identity->who, "token:");
    if (is_named && strcmp(identity->who, who) != 0) {
        return (int)osr_err_set(err, OSR_UNAUTHENTICATED,
                                "the connection is of %s, and the link of %s", identity->who, who);
    }
    bool is_approved =
        options->is_approved != NULL && options->is_approved(options->context, instance);
    if (identity->needs_approval && !is_approved) {
        osr_err_set(err, OSR_UNAUTHENTICATED,
                    "%s shows no certificate that is believed here, and is not approved", who);
        osr_err_hint(err, "let it join the cluster, or put its id under `approved` on both sides");
        return OSR_UNAUTHENTICATED;
    }
    return 0;
}

int osr_access_take_instance(struct osr_access *access, struct osr_identity *identity,
                             const char *instance, struct osr_err *err)
{
    char who[sizeof(identity->who)];
    struct osr_err why;
    snprintf(who, sizeof(who), "instance:%s", instance);
    int code = check_instance(access, identity, who, &why);
    if (code == 0) {
        osr_access_become(identity, who);
        code = look_up(access, identity, &why);
    }
    if (code != 0) {
        return note_login(access, identity, "HELLO_PROOF", &why, err);
    }
    code = osr_access_check(access, identity, OSR_ACTION_LINK, osr_part(OSR_PART_INSTANCE, ""),
                            "HELLO_PROOF", err);
    return code != 0 ? code : note_login(access, identity, "HELLO_PROOF", NULL, err);
}

void osr_identity_copy(struct osr_identity *ret_identity, const struct osr_identity *identity)
{
    *ret_identity = *identity;
    osr_grant_hold(identity->grant);
}

void osr_identity_done(struct osr_identity *identity)
{
    osr_grant_release(identity->grant);
    *identity = (struct osr_identity){0};
}

bool osr_identity_has_certificate(const struct osr_identity *identity)
{
    return identity->serial[0] != '\0' && identity->credential_id[0] == '\0';
}

/* ---- what they may do ---- */

static void refuse(const struct osr_identity *identity, enum osr_action action,
                   struct osr_part part, const char *what, struct osr_err *err)
{
    const char *action_name = osr_action_info(action)->name;
    char text[OSR_POLICY_NAME_BYTES_MAX];
    describe_part(text, sizeof(text), part);
    osr_err_set(err, OSR_PERMISSION_DENIED, "%s may not use %s: it takes '%s' on %s",
                name_for_people(identity), what, action_name, text);
    if (strchr(identity->who, ':') != NULL) {
        osr_err_hint(err, "`osiris access check %s %s %s` explains why", identity->who, action_name,
                     text);
    } else {
        osr_err_hint(err, "show who you are (a certificate, a token, a password), or use the "
                          "socket in the data folder, as the user of osirisd or as root");
    }
}

static int check(struct osr_access *access, struct osr_identity *identity, enum osr_action action,
                 struct osr_part part, const char *what, bool is_some, struct osr_err *err)
{
    int code = refresh(access, identity, err);
    const struct osr_policy_subject *subject = code == 0 ? identity->grant->subject : NULL;
    bool allows = is_some ? osr_policy_allows_some(subject, action, part.kind)
                          : osr_policy_allows(subject, action, part);
    if (allows) {
        return note_allowed(access, identity, action, part, what, err);
    }
    if (code == 0) {
        refuse(identity, action, part, what, err);
    }
    return osr_access_note_refusal(access, identity, action, part, what, err);
}

int osr_access_check(struct osr_access *access, struct osr_identity *identity,
                     enum osr_action action, struct osr_part part, const char *what,
                     struct osr_err *err)
{
    return check(access, identity, action, part, what, false, err);
}

int osr_access_check_some(struct osr_access *access, struct osr_identity *identity,
                          enum osr_action action, enum osr_part_kind kind, const char *what,
                          struct osr_err *err)
{
    return check(access, identity, action, osr_part(kind, "*"), what, true, err);
}

bool osr_access_allows(struct osr_access *access, struct osr_identity *identity,
                       enum osr_action action, struct osr_part part)
{
    struct osr_err err;
    return refresh(access, identity, &err) == 0 && osr_grant_allows(identity->grant, action, part);
}

/* For as long as policy and credentials stay as they are. A member with a role that the policy does
 * not have may do nothing. */
static const struct osr_policy_subject *subject_of_instance(struct osr_access *access,
                                                            const char *who)
{
    const struct osr_policy *policy = access->policy->policy;
    const struct osr_role_names *roles = roles_of_member(access, who);
    if (roles == NULL) {
        return osr_policy_subject(policy, who);
    }
    if (access->members_policy_revision != access->policy_revision ||
        access->members_credentials_revision != credentials_revision(access)) {
        forget_members(access);
        access->members_policy_revision = access->policy_revision;
        access->members_credentials_revision = credentials_revision(access);
    }
    struct osr_policy_subject *subject = osr_map_get(access->members, osr_slice_text(who));
    struct osr_err err;
    if (subject == NULL && find_subject_of_member(access, roles, &subject, &err) == 0) {
        osr_map_put(access->members, osr_slice_text(who), subject);
    }
    return subject;
}

bool osr_access_instance_may(struct osr_access *access, const char *instance,
                             enum osr_action action, const char *stream)
{
    const struct osr_access_options *options = &access->options;
    char who[OSR_POLICY_NAME_BYTES_MAX + 1];
    snprintf(who, sizeof(who), "%s%s", instance_kind, instance);
    if (is_revoked_instance(access, who)) {
        return false;
    }
    bool leads_trust = action == OSR_ACTION_LEAD && options->is_authority != NULL &&
                       strcmp(stream, osr_feed_stream_name(OSR_STREAM_TRUST)) == 0 &&
                       options->is_authority(options->context, instance);
    return leads_trust || osr_policy_allows(subject_of_instance(access, who), action,
                                            osr_part(OSR_PART_STREAM, stream));
}
