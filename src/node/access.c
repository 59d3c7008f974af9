#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adapter/keys.h"
#include "base/text.h"
#include "model/identity.h"
#include "node/access_internal.h"
#include "node/listener_methods.h"

/* ---- life ---- */

struct osr_access *osr_access_create(const struct osr_access_options *options)
{
    struct osr_access *access = osr_alloc(sizeof(*access));
    uint64_t seed;
    osr_secret_random(&seed, sizeof(seed));
    access->options = *options;
    access->cluster = osr_strdup(options->cluster);
    access->policy = osr_counted_policy_create(options->policy);
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
    osr_access_forget_members(access);
    osr_map_destroy(access->members);
    osr_counted_policy_release(access->policy);
    osr_map_destroy(access->revoked);
    free(access->cluster);
    free(access);
}

void osr_access_replace_policy(struct osr_access *access, struct osr_policy *policy)
{
    osr_access_forget_members(access);
    osr_counted_policy_release(access->policy);
    access->policy = osr_counted_policy_create(policy);
    access->policy_revision++;
}

const struct osr_policy *osr_access_policy(const struct osr_access *access)
{
    return osr_counted_policy_get(access->policy);
}

uint64_t osr_access_now_ms(const struct osr_access *access)
{
    return access->options.time_ms(access->options.context);
}

/* ---- the audit log ---- */

/* Keys are any bytes: what is no text in them is not shown as it is. */
static void describe_part(char *text, size_t size, struct osr_part part)
{
    size_t at = (size_t)snprintf(text, size, "%s:", osr_part_kind_info(part.kind)->name);
    for (size_t i = 0; i < part.name.size && at + 1 < size; i++) {
        text[at++] = part.name.data[i] != '\0' ? (char)part.name.data[i] : '?';
    }
    text[at] = '\0';
    osr_text_make_plain(text, size);
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

/* "tcp://10.0.0.7:4711" -> "tcp://10.0.0.7": who connects again is still the same. An address at a
 * broker stays whole. */
static void take_address(struct osr_identity *identity, const char *url)
{
    snprintf(identity->from, sizeof(identity->from), "%s", url);
    char *port = strrchr(identity->from, ':');
    bool is_unix = strncmp(url, "unix:", strlen("unix:")) == 0;
    if (!is_unix && port != NULL && strpbrk(port, "]/") == NULL) {
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
    identity->expires_ms = peer->expires_s * 1000;
    if (peer->who[0] == '\0') {
        return name_identity(identity, "subject:", peer->subject, err);
    }
    if (strcmp(peer->cluster, access->cluster) != 0) {
        return (int)osr_err_set(err, OSR_WRONG_CLUSTER,
                                "the certificate is of cluster '%s', this instance of '%s'",
                                peer->cluster, access->cluster);
    }
    if (osr_who_name(peer->who, OSR_KIND_INSTANCE) == NULL &&
        osr_who_name(peer->who, OSR_KIND_USER) == NULL) {
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

static int identify_client(const char *client, struct osr_identity *identity, struct osr_err *err)
{
    return client[0] != '\0' ? name_identity(identity, OSR_KIND_CLIENT, client, err)
                             : name_identity(identity, "", OSR_WHO_ANONYMOUS, err);
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
    const char *client = osr_connection_client(connection);
    struct osr_identity identity = {.access = access, .methods = methods};
    int code = 0;
    take_address(&identity, osr_connection_url(connection));
    if (client != NULL) {
        code = identify_client(client, &identity, err);
    } else if (peer == NULL) {
        osr_access_become(&identity, name_in_plaintext(connection));
    } else {
        code = identify_peer(access, peer, &identity, err);
    }
    if (code == 0) {
        code = osr_access_look_up(access, &identity, err);
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
    int code = osr_credentials_check(access->options.credentials, token, osr_access_now_ms(access),
                                     &found, &why);
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
    if (osr_access_look_up(access, &taken, &why) != 0) {
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

bool osr_identity_names_one(const struct osr_identity *identity)
{
    return osr_who_name(identity->who, OSR_KIND_INSTANCE) != NULL ||
           osr_who_name(identity->who, OSR_KIND_USER) != NULL ||
           osr_who_name(identity->who, OSR_KIND_TOKEN) != NULL;
}

/* Whether what the connection shows leaves open that it is this instance. */
static int check_instance(const struct osr_access *access, const struct osr_identity *identity,
                          const char *who, struct osr_err *err)
{
    if (osr_identity_names_one(identity) && strcmp(identity->who, who) != 0) {
        return (int)osr_err_set(err, OSR_UNAUTHENTICATED,
                                "the connection is of %s, and the link of %s", identity->who, who);
    }
    return osr_access_check_approval(access, identity, who, err);
}

int osr_access_check_hello(struct osr_access *access, struct osr_identity *identity,
                           struct osr_err *err)
{
    struct osr_err why;
    bool is_stranger = identity->needs_approval && strcmp(identity->who, OSR_WHO_ANONYMOUS) == 0;
    if (is_stranger && osr_methods_check_pin(identity->methods, &why) != 0) {
        return note_login(access, identity, "HELLO", &why, err);
    }
    return osr_access_check(access, identity, OSR_ACTION_LINK, osr_part(OSR_PART_INSTANCE, ""),
                            "HELLO", err);
}

int osr_access_take_instance(struct osr_access *access, struct osr_identity *identity,
                             const char *instance, struct osr_err *err)
{
    char who[sizeof(identity->who)];
    struct osr_err why;
    snprintf(who, sizeof(who), OSR_KIND_INSTANCE "%s", instance);
    int code = check_instance(access, identity, who, &why);
    if (code == 0) {
        osr_access_become(identity, who);
        code = osr_access_look_up(access, identity, &why);
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
        osr_err_hint(err, "there, its administrator is told why by `osiris access check %s %s %s`",
                     identity->who, action_name, text);
    } else {
        osr_err_hint(err, "show who you are (a certificate, a token, a password), or use the "
                          "socket in the data folder, as the user of osirisd or as root");
    }
}

static int check(struct osr_access *access, struct osr_identity *identity, enum osr_action action,
                 struct osr_part part, const char *what, bool is_some, struct osr_err *err)
{
    int code = osr_access_refresh(access, identity, err);
    const struct osr_grant *grant = code == 0 ? identity->grant : NULL;
    bool allows = is_some ? osr_grant_allows_some(grant, action, part.kind)
                          : osr_grant_allows(grant, action, part);
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
    return osr_access_refresh(access, identity, &err) == 0 &&
           osr_grant_allows(identity->grant, action, part);
}

bool osr_access_instance_may(struct osr_access *access, const char *instance,
                             enum osr_action action, const char *stream)
{
    const struct osr_access_options *options = &access->options;
    char who[OSR_POLICY_NAME_BYTES_MAX + 1];
    snprintf(who, sizeof(who), OSR_KIND_INSTANCE "%s", instance);
    if (osr_access_is_revoked(access, who) ||
        (action == OSR_ACTION_LEAD && osr_access_is_unknown(access, who))) {
        return false;
    }
    bool leads_trust = action == OSR_ACTION_LEAD && options->is_authority != NULL &&
                       strcmp(stream, osr_feed_stream_name(OSR_STREAM_TRUST)) == 0 &&
                       options->is_authority(options->context, instance);
    return leads_trust || osr_policy_allows(osr_access_subject_of_instance(access, who), action,
                                            osr_part(OSR_PART_STREAM, stream));
}
