/* access_lookup.c -- what an identity rests on: the record of a token, of a user or of a member, a
 * certificate that nobody has revoked, an approved id. And what it is given by that.
 *
 * All of it may change at any time. What is found is good as long as two numbers, the revisions of
 * policy and credentials, stay as they were, and looked for again where they did not. */
#include <string.h>

#include "node/access_internal.h"

const char *osr_who_name(const char *who, const char *kind)
{
    size_t size = strlen(kind);
    return strncmp(who, kind, size) == 0 ? who + size : NULL;
}

static uint64_t credentials_revision(const struct osr_access *access)
{
    const struct osr_credentials *credentials = access->options.credentials;
    return credentials != NULL ? osr_credentials_revision(credentials) : 0;
}

/* ---- revocations ---- */

static void note_revocation(void *context, const struct osr_credential *credential)
{
    struct osr_access *access = context;
    const char *who = credential->revocation.who;
    if (osr_who_name(who, OSR_KIND_INSTANCE) != NULL) {
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

bool osr_access_is_revoked(struct osr_access *access, const char *who)
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

/* ---- looking an identity up ---- */

/* Roles are given that a reload may take out of the policy: then they are good for nothing. */
static int find_subject_of(const struct osr_access *access, const char *const *roles, size_t count,
                           struct osr_policy_subject **ret_subject, struct osr_err *err)
{
    int code =
        osr_policy_subject_of_roles(osr_access_policy(access), roles, count, ret_subject, err);
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
                                           osr_access_now_ms(access), &found, err);
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
    if (is_revoked || osr_access_is_revoked(access, identity->who)) {
        osr_err_set(err, OSR_UNAUTHENTICATED, "the certificate of %s was revoked", identity->who);
        osr_err_hint(err, "it has to join the cluster anew, with a new key");
        return OSR_UNAUTHENTICATED;
    }
    if (identity->expires_ms != 0 && osr_access_now_ms(access) >= identity->expires_ms) {
        osr_err_set(err, OSR_UNAUTHENTICATED, "the certificate of %s has expired", identity->who);
        osr_err_hint(err, "connect again with a new one");
        return OSR_UNAUTHENTICATED;
    }
    return 0;
}

/* A certificate goes with the user whose name is in it, where there is such a user. */
static int check_user(const struct osr_access *access, const struct osr_identity *identity,
                      struct osr_err *err)
{
    const struct osr_credentials *credentials = access->options.credentials;
    const char *name = osr_who_name(identity->who, OSR_KIND_USER);
    if (credentials == NULL || name == NULL) {
        return 0;
    }
    const struct osr_credential *found =
        osr_credentials_find(credentials, OSR_CREDENTIAL_USER, name);
    if (found == NULL || !found->user.is_disabled) {
        return 0;
    }
    osr_err_set(err, OSR_UNAUTHENTICATED, "the user %s is disabled", name);
    osr_err_hint(err, "`osiris user enable %s` lets the user in again", name);
    return OSR_UNAUTHENTICATED;
}

int osr_access_check_approval(const struct osr_access *access, const struct osr_identity *identity,
                              const char *who, struct osr_err *err)
{
    const struct osr_access_options *options = &access->options;
    const char *instance = osr_who_name(who, OSR_KIND_INSTANCE);
    if (!identity->needs_approval || instance == NULL) {
        return 0;
    }
    if (options->is_approved != NULL && options->is_approved(options->context, instance)) {
        return 0;
    }
    osr_err_set(err, OSR_UNAUTHENTICATED,
                "%s shows no certificate that is believed here, and is not approved", who);
    osr_err_hint(err, "let it join the cluster, or put its id under `approved` on both sides");
    return OSR_UNAUTHENTICATED;
}

/* Whether what the connection has shown still lets it in. */
static int check_shown(struct osr_access *access, const struct osr_identity *identity,
                       struct osr_err *err)
{
    int code = check_certificate(access, identity, err);
    if (code == 0) {
        code = check_user(access, identity, err);
    }
    return code != 0 ? code : osr_access_check_approval(access, identity, identity->who, err);
}

/* The roles of a member's record, where the config does not name it; NULL: it has none. */
static const struct osr_role_names *roles_of_member(const struct osr_access *access,
                                                    const char *who)
{
    const struct osr_credentials *credentials = access->options.credentials;
    const char *instance = osr_who_name(who, OSR_KIND_INSTANCE);
    if (credentials == NULL || instance == NULL ||
        osr_policy_names(osr_access_policy(access), who)) {
        return NULL;
    }
    const struct osr_credential *found =
        osr_credentials_find(credentials, OSR_CREDENTIAL_MEMBER, instance);
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

/* The roles of a user's record, which a password gives as well as a certificate; NULL: there is
 * none. */
static const struct osr_role_names *roles_of_user(const struct osr_access *access, const char *who)
{
    const struct osr_credentials *credentials = access->options.credentials;
    const char *name = osr_who_name(who, OSR_KIND_USER);
    if (credentials == NULL || name == NULL) {
        return NULL;
    }
    const struct osr_credential *found =
        osr_credentials_find(credentials, OSR_CREDENTIAL_USER, name);
    return found != NULL && found->user.roles.count > 0 ? &found->user.roles : NULL;
}

/* *ret_subject becomes NULL where no record says more than the policy. */
static int find_recorded_subject(const struct osr_access *access, const char *who,
                                 struct osr_policy_subject **ret_subject, struct osr_err *err)
{
    const struct osr_role_names *roles = roles_of_user(access, who);
    *ret_subject = NULL;
    return roles != NULL ? find_subject_of(access, roles->names, roles->count, ret_subject, err)
                         : osr_access_member_subject(access, who, ret_subject, err);
}

int osr_access_look_up(struct osr_access *access, struct osr_identity *identity,
                       struct osr_err *err)
{
    struct osr_policy_subject *own_subject = NULL;
    int code = 0;
    if (identity->credential_id[0] != '\0') {
        code = look_up_token(access, identity, &own_subject, err);
    } else {
        code = check_shown(access, identity, err);
        if (code == 0) {
            code = find_recorded_subject(access, identity->who, &own_subject, err);
        }
    }
    if (code != 0) {
        return code;
    }
    osr_grant_release(identity->grant);
    identity->access = access;
    identity->grant = osr_grant_create(access->policy, identity->who, own_subject);
    identity->policy_revision = access->policy_revision;
    identity->credentials_revision = credentials_revision(access);
    return 0;
}

int osr_access_refresh(struct osr_access *access, struct osr_identity *identity,
                       struct osr_err *err)
{
    bool is_current = identity->policy_revision == access->policy_revision &&
                      identity->credentials_revision == credentials_revision(access);
    if (is_current &&
        (identity->expires_ms == 0 || osr_access_now_ms(access) < identity->expires_ms)) {
        return 0;
    }
    return osr_access_look_up(access, identity, err);
}

int osr_identity_grant(struct osr_identity *identity, struct osr_grant **ret_grant,
                       struct osr_err *err)
{
    int code = osr_access_refresh(identity->access, identity, err);
    if (code == 0) {
        *ret_grant = identity->grant;
    }
    return code;
}

/* ---- instances ---- */

void osr_access_forget_members(struct osr_access *access)
{
    size_t cursor = 0;
    struct osr_slice who;
    void *subject;
    while (osr_map_next(access->members, &cursor, &who, &subject)) {
        osr_map_remove(access->members, who);
        osr_policy_subject_destroy(subject);
    }
}

/* A member with a role that the policy does not have may do nothing. */
const struct osr_policy_subject *osr_access_subject_of_instance(struct osr_access *access,
                                                                const char *who)
{
    const struct osr_policy *policy = osr_access_policy(access);
    const struct osr_role_names *roles = roles_of_member(access, who);
    if (roles == NULL) {
        return osr_policy_subject(policy, who);
    }
    if (access->members_policy_revision != access->policy_revision ||
        access->members_credentials_revision != credentials_revision(access)) {
        osr_access_forget_members(access);
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

bool osr_access_is_unknown(const struct osr_access *access, const char *who)
{
    const struct osr_access_options *options = &access->options;
    void *context = options->context;
    const char *instance = osr_who_name(who, OSR_KIND_INSTANCE);
    if (instance == NULL || options->knows_members == NULL || !options->knows_members(context) ||
        osr_policy_names(osr_access_policy(access), who) || roles_of_member(access, who) != NULL) {
        return false;
    }
    bool is_authority = options->is_authority != NULL && options->is_authority(context, instance);
    bool is_approved = options->is_approved != NULL && options->is_approved(context, instance);
    return !is_authority && !is_approved;
}
