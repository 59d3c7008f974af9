/* Tokens, revocations, what there is of credentials, who may do what, and the reload. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapter/clock.h"
#include "base/text.h"
#include "node/agreed.h"
#include "node/ledger.h"
#include "node/members.h"
#include "node/operation_handlers.h"

/* For ever is what 0 says; what is longer than this is a mistyped unit. */
static const uint64_t token_ms_max = 10ull * 366 * 24 * 60 * 60 * 1000;

/* -- what several operations need -- */

int osr_operation_note(const struct osr_call *call, const char *what, const char *part,
                       const char *why, struct osr_err *err)
{
    const struct osr_audit_record record = {
        .allowed = true,
        .who = call->identity.who,
        .from = call->identity.from,
        .action = osr_action_info(OSR_ACTION_TRUST)->name,
        .part = part,
        .what = what,
        .why = why,
    };
    return osr_audit_note(call->services->audit, OSR_AUDIT_TRUST, &record, err);
}

int osr_operation_roles(const struct osr_services *services, char *const *roles, size_t count,
                        struct osr_role_names *ret_roles, struct osr_err *err)
{
    struct osr_policy_subject *subject = NULL;
    if (count > OSR_CREDENTIAL_ROLES_MAX) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "%zu roles; at most %d can be given",
                                count, OSR_CREDENTIAL_ROLES_MAX);
    }
    ret_roles->count = count;
    for (size_t i = 0; i < count; i++) {
        ret_roles->names[i] = roles[i];
    }
    int code = osr_policy_subject_of_roles(osr_access_policy(services->access), ret_roles->names,
                                           count, &subject, err);
    osr_policy_subject_destroy(code == 0 ? subject : NULL);
    return code;
}

int osr_operation_expiry(uint64_t lasts_ms, uint64_t max_ms, uint64_t *ret_expires_ms,
                         struct osr_err *err)
{
    if (lasts_ms > max_ms) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                                "expires_ms is %" PRIu64 "; at most %" PRIu64 " is taken", lasts_ms,
                                max_ms);
    }
    *ret_expires_ms = osr_wall_ms() + lasts_ms;
    return 0;
}

static void refuse_unstored(struct osr_err *err, enum osr_code code)
{
    osr_err_set(err, code, "it could not be stored: %s", osr_code_info(code)->text);
}

static void fail_unstored(struct osr_call *call, enum osr_code code)
{
    struct osr_err err;
    refuse_unstored(&err, code);
    osr_call_fail(call, &err);
}

/* -- a new token -- */

struct token_creation {
    struct osr_call *call;
    char text[OSR_TOKEN_TEXT_MAX]; /* wiped once it was shown */
};

static void show_token(struct token_creation *creation)
{
    Osr__CreateTokenResponse response = OSR__CREATE_TOKEN_RESPONSE__INIT;
    char id[OSR_SECRET_ID_CHARS + 1] = "";
    struct osr_token token;
    if (osr_token_read(osr_slice_text(creation->text), NULL, &token, NULL) == 0) {
        osr_token_id_text(id, &token);
        explicit_bzero(&token, sizeof(token));
    }
    response.token = creation->text;
    response.id = id;
    osr_call_reply(creation->call, &response.base);
}

static void on_token_stored(void *context, enum osr_code code)
{
    struct token_creation *creation = context;
    if (code == OSR_OK) {
        show_token(creation);
    } else {
        fail_unstored(creation->call, code);
    }
    explicit_bzero(creation, sizeof(*creation));
    free(creation);
}

static int create_token(const struct osr_services *services, struct token_creation *creation,
                        const Osr__CreateTokenRequest *request, struct osr_err *err)
{
    struct osr_token_order order = {.name = request->name,
                                    .created_by = creation->call->identity.who};
    char part[sizeof("token:") + OSR_CREDENTIAL_NAME_BYTES_MAX];
    int code = osr_operation_roles(services, request->roles, request->n_roles, &order.roles, err);
    if (code == 0 && request->expires_ms != 0) {
        code = osr_operation_expiry(request->expires_ms, token_ms_max, &order.expires_ms, err);
    }
    if (code == 0) {
        snprintf(part, sizeof(part), "token:%s", request->name);
        code = osr_operation_note(creation->call, "TOKEN_CREATE", part, "", err);
    }
    if (code != 0) {
        return code;
    }
    const struct osr_credential_done done = {on_token_stored, creation};
    return osr_credentials_create_token(services->credentials, &order, osr_wall_ms(),
                                        creation->text, done, err);
}

void osr_operation_token_create(struct osr_operations *operations, struct osr_call *call,
                                const Osr__Frame *frame)
{
    struct token_creation *creation = osr_alloc(sizeof(*creation));
    struct osr_err err;
    creation->call = call;
    osr_call_await(call, NULL);
    if (create_token(operations->services, creation, frame->token_create, &err) != 0) {
        osr_call_fail(call, &err);
        free(creation);
    }
}

/* -- taking a right away -- */

enum { AGREE_MS = 5000 }; /* in which a majority is to have heard of a revocation */

/* Once all that it takes is stored, and agreed on where that says whom it reaches. */
struct revoking {
    struct osr_call *call;
    size_t under_way;                        /* changes, and 1 until all have begun */
    struct osr_err err;                      /* of the last one that failed; code OK: none did */
    bool is_local;                           /* it reaches nobody else */
    char who[OSR_POLICY_NAME_BYTES_MAX + 1]; /* whose certificate it was; "": not known */
};

static void on_revoked(void *context, enum osr_code code)
{
    struct revoking *revoking = context;
    Osr__RevokeResponse response = OSR__REVOKE_RESPONSE__INIT;
    if (code != OSR_OK) {
        refuse_unstored(&revoking->err, code);
    }
    if (--revoking->under_way > 0) {
        return;
    }
    if (revoking->err.code == OSR_OK) {
        response.local = revoking->is_local;
        response.who = revoking->who;
        osr_call_reply(revoking->call, &response.base);
    } else {
        osr_call_fail(revoking->call, &revoking->err);
    }
    free(revoking);
}

static struct osr_credential_done await_one(struct revoking *revoking)
{
    revoking->under_way++;
    return (struct osr_credential_done){on_revoked, revoking};
}

/* Where a change could not begin, its end is not told. */
static int give_up_one(struct revoking *revoking, int code)
{
    revoking->under_way -= code != 0;
    return code;
}

/* Whose certificate this is: then his feeds are refused as well. Known of members, and of who is
 * linked to us; else "". */
static void find_holder(const struct osr_services *services, const char *serial,
                        char who[OSR_POLICY_NAME_BYTES_MAX + 1])
{
    who[0] = '\0';
    if (osr_members_find_holder(services->credentials, serial, who)) {
        return;
    }
    for (size_t i = 0; i < osr_sessions_link_count(services->sessions); i++) {
        const struct osr_identity *identity =
            osr_session_identity(osr_sessions_link(services->sessions, i));
        if (strcmp(identity->serial, serial) == 0) {
            snprintf(who, OSR_POLICY_NAME_BYTES_MAX + 1, "%s", identity->who);
            return;
        }
    }
}

/* As certificates have it: upper-case hexadecimal. */
static int normalise_serial(const char *text, char *serial, struct osr_err *err)
{
    size_t size = strlen(text);
    bool is_serial = size > 0 && size < OSR_SERIAL_TEXT_MAX;
    for (size_t i = 0; is_serial && i <= size; i++) {
        bool is_lower = text[i] >= 'a' && text[i] <= 'f';
        serial[i] = (char)(is_lower ? text[i] - 'a' + 'A' : text[i]);
        is_serial = i == size || osr_hex_value((uint8_t)text[i]) >= 0;
    }
    if (is_serial) {
        return 0;
    }
    osr_err_set(err, OSR_INVALID_ARGUMENT, "'%.60s' is no certificate's serial number", text);
    osr_err_hint(err, "`openssl x509 -in FILE -noout -serial` shows it");
    return OSR_INVALID_ARGUMENT;
}

static void on_agreed(void *context, const struct osr_agreed *agreed)
{
    struct revoking *revoking = context;
    /* CONFLICT: it has been agreed on before. */
    revoking->is_local |= agreed->code != OSR_OK && agreed->code != OSR_CONFLICT;
    on_revoked(revoking, OSR_OK);
}

static void on_agreed_besides(void *context, const struct osr_agreed *agreed)
{
    (void)context;
    (void)agreed;
}

/* What is in force here is told to the members of the ledger. The CA's instance tells everybody
 * anyway, and need not wait for them. */
static void agree_on(struct revoking *revoking, const struct osr_revocation_record *revocation)
{
    const struct osr_services *services = revoking->call->services;
    const struct osr_credential *made =
        osr_credentials_find_revocation(services->credentials, revocation);
    bool leads = osr_trust_feed_leads(services->trust);
    bool has_others = osr_ledger_member_count(services->ledger) > 1;
    revoking->is_local |= !leads && !has_others;
    if (!has_others || made == NULL) {
        return;
    }
    if (leads) {
        osr_agreed_propose_revocation(services->agreed, made, AGREE_MS, on_agreed_besides, NULL);
    } else {
        revoking->under_way++;
        osr_agreed_propose_revocation(services->agreed, made, AGREE_MS, on_agreed, revoking);
    }
}

/* Of each CA in the text: a serial number does not say whose it is. */
static int revoke_under(struct revoking *revoking, struct osr_slice authorities,
                        struct osr_revocation_record *revocation, struct osr_err *err)
{
    struct osr_credentials *credentials = revoking->call->services->credentials;
    struct osr_slice authority;
    int code = 0;
    while (code == 0 && osr_certificate_next(&authorities, &authority)) {
        revocation->authority = osr_trust_fingerprint(authority);
        code = osr_credentials_revoke_certificate(credentials, revocation, osr_wall_ms(),
                                                  await_one(revoking), err);
        code = give_up_one(revoking, code);
        if (code == 0) {
            agree_on(revoking, revocation);
        }
    }
    return code;
}

static int revoke_certificate(struct revoking *revoking, const char *text, struct osr_err *err)
{
    const struct osr_services *services = revoking->call->services;
    const struct osr_trust *trust = osr_security_trust(services->security);
    char serial[OSR_SERIAL_TEXT_MAX];
    int code = normalise_serial(text, serial, err);
    if (code != 0) {
        return code;
    }
    if (!osr_trust_has(trust, OSR_TRUST_AUTHORITIES)) {
        return (int)osr_err_set(err, OSR_CONFIG, "this instance believes no CA");
    }
    find_holder(services, serial, revoking->who);
    struct osr_revocation_record revocation = {
        .serial = serial,
        .who = revoking->who,
        .revoked_by = revoking->call->identity.who,
    };
    return revoke_under(revoking, osr_trust_text(trust, OSR_TRUST_AUTHORITIES), &revocation, err);
}

static int revoke_instance(struct revoking *revoking, const char *instance, struct osr_err *err)
{
    const struct osr_services *services = revoking->call->services;
    if (strcmp(instance, services->instance) == 0) {
        osr_err_set(err, OSR_INVALID_ARGUMENT, "this instance cannot revoke itself");
        osr_err_hint(err, "say it at another instance, or rotate the CA");
        return OSR_INVALID_ARGUMENT;
    }
    int code = osr_credentials_revoke_instance(services->credentials, instance,
                                               revoking->call->identity.who, osr_wall_ms(),
                                               await_one(revoking), err);
    if (code == 0) {
        char who[sizeof("instance:") + OSR_INSTANCE_CHARS];
        snprintf(who, sizeof(who), "instance:%s", instance);
        agree_on(revoking, &(struct osr_revocation_record){.serial = "", .who = who});
    }
    return give_up_one(revoking, code);
}

/* The kind and the text of what is to be revoked; false: the request names nothing. */
static bool name_of(const Osr__RevokeRequest *request, const char **ret_kind, const char **ret_name)
{
    switch (request->what_case) {
    case OSR__REVOKE_REQUEST__WHAT_TOKEN:
        *ret_kind = "token";
        *ret_name = request->token;
        return true;
    case OSR__REVOKE_REQUEST__WHAT_INVITATION:
        *ret_kind = "invitation";
        *ret_name = request->invitation;
        return true;
    case OSR__REVOKE_REQUEST__WHAT_USER:
        *ret_kind = "user";
        *ret_name = request->user;
        return true;
    case OSR__REVOKE_REQUEST__WHAT_CERTIFICATE:
        *ret_kind = "certificate";
        *ret_name = request->certificate;
        return true;
    case OSR__REVOKE_REQUEST__WHAT_INSTANCE:
        *ret_kind = "instance";
        *ret_name = request->instance;
        return true;
    default:
        return false;
    }
}

static int take_away_named(struct revoking *revoking, const Osr__RevokeRequest *request,
                           const char *name, struct osr_err *err)
{
    struct osr_credentials *credentials = revoking->call->services->credentials;
    const char *by = revoking->call->identity.who;
    uint64_t now_ms = osr_wall_ms();
    switch (request->what_case) {
    case OSR__REVOKE_REQUEST__WHAT_TOKEN:
        return give_up_one(revoking, osr_credentials_revoke_token(credentials, name, by, now_ms,
                                                                  await_one(revoking), err));
    case OSR__REVOKE_REQUEST__WHAT_INVITATION:
        return give_up_one(revoking, osr_credentials_revoke_invitation(
                                         credentials, name, by, now_ms, await_one(revoking), err));
    case OSR__REVOKE_REQUEST__WHAT_USER:
        return give_up_one(
            revoking, osr_credentials_remove_user(credentials, name, await_one(revoking), err));
    case OSR__REVOKE_REQUEST__WHAT_INSTANCE:
        return revoke_instance(revoking, name, err);
    default:
        return revoke_certificate(revoking, name, err);
    }
}

static int take_away(struct revoking *revoking, const Osr__RevokeRequest *request,
                     struct osr_err *err)
{
    const char *kind = NULL;
    const char *name = NULL;
    char part[OSR_AUDIT_TEXT_BYTES_MAX];
    if (!name_of(request, &kind, &name)) {
        return (int)osr_err_set(
            err, OSR_INVALID_ARGUMENT,
            "a token, an invitation, a user, a certificate or an instance is missing");
    }
    snprintf(part, sizeof(part), "%s:%s", kind, name);
    int code = osr_operation_note(revoking->call, "REVOKE", part, "", err);
    return code != 0 ? code : take_away_named(revoking, request, name, err);
}

void osr_operation_revoke(struct osr_operations *operations, struct osr_call *call,
                          const Osr__Frame *frame)
{
    const struct osr_services *services = operations->services;
    struct revoking *revoking = osr_alloc(sizeof(*revoking));
    struct osr_err err;
    revoking->call = call;
    revoking->under_way = 1;
    osr_call_await(call, NULL);
    if (take_away(revoking, frame->revoke, &err) != 0) {
        revoking->err = err;
    }
    /* In force already, though perhaps not stored yet. */
    services->on_revoked(services->context);
    on_revoked(revoking, OSR_OK);
}

/* -- what there is -- */

/* One row, with the texts that are made for it. */
struct row {
    Osr__Credential message;
    struct osr_role_names roles;
    char state[OSR_CREDENTIAL_WHO_BYTES_MAX + OSR_TIME_CHARS + sizeof("used by  at ")];
};

struct listing {
    Osr__Credential **rows;
    size_t count, capacity;
    uint64_t now_ms;
    struct osr_access *access;
    const struct osr_trust *trust;
};

static struct row *add_row(struct listing *listing, const struct osr_role_names *roles)
{
    struct row *row = osr_alloc(sizeof(*row));
    if (listing->count == listing->capacity) {
        listing->capacity = 2 * listing->capacity + 16;
        listing->rows = osr_realloc(listing->rows, listing->capacity * sizeof(Osr__Credential *));
    }
    listing->rows[listing->count++] = &row->message;
    osr__credential__init(&row->message);
    if (roles != NULL) {
        row->roles = *roles;
        row->message.n_roles = row->roles.count;
        row->message.roles = (char **)(void *)row->roles.names;
    }
    row->message.state = row->state;
    return row;
}

static void describe_end(struct row *row, const char *how, const char *who, uint64_t at_ms)
{
    char time[OSR_TIME_CHARS + 1];
    osr_time_write(time, at_ms / 1000);
    snprintf(row->state, sizeof(row->state), "%s by %s at %s", how, who, time);
}

static void describe_validity(struct row *row, uint64_t expires_ms, uint64_t now_ms)
{
    bool is_over = expires_ms != 0 && now_ms >= expires_ms;
    snprintf(row->state, sizeof(row->state), "%s", is_over ? "expired" : "good");
}

static void show_row_of_token(struct listing *listing, const struct osr_token_record *token)
{
    struct row *row = add_row(listing, &token->roles);
    row->message.kind = "token";
    row->message.id = (char *)token->id;
    row->message.name = (char *)token->name;
    row->message.created_ms = token->created_ms;
    row->message.created_by = (char *)token->created_by;
    row->message.expires_ms = token->expires_ms;
    if (token->revoked_ms != 0) {
        describe_end(row, "revoked", token->revoked_by, token->revoked_ms);
    } else {
        describe_validity(row, token->expires_ms, listing->now_ms);
    }
}

static void show_row_of_user(struct listing *listing, const struct osr_user_record *user)
{
    struct row *row = add_row(listing, &user->roles);
    row->message.kind = "user";
    row->message.id = row->message.name = (char *)user->name;
    row->message.created_ms = user->created_ms;
    snprintf(row->state, sizeof(row->state), "%s", user->is_disabled ? "disabled" : "good");
}

static void show_row_of_invitation(struct listing *listing,
                                   const struct osr_invitation_record *invitation)
{
    const struct osr_role_names roles = {.names = {invitation->role}, .count = 1};
    struct row *row = add_row(listing, &roles);
    row->message.kind = "invitation";
    row->message.id = (char *)invitation->id;
    row->message.created_ms = invitation->created_ms;
    row->message.created_by = (char *)invitation->created_by;
    row->message.expires_ms = invitation->expires_ms;
    if (invitation->used_ms != 0) {
        describe_end(row, "used", invitation->used_by, invitation->used_ms);
    } else if (invitation->revoked_ms != 0) {
        describe_end(row, "revoked", invitation->revoked_by, invitation->revoked_ms);
    } else {
        describe_validity(row, invitation->expires_ms, listing->now_ms);
    }
}

static void show_row_of_revocation(struct listing *listing,
                                   const struct osr_revocation_record *revocation)
{
    struct row *row = add_row(listing, NULL);
    bool is_of_identity = revocation->serial[0] == '\0';
    row->message.kind = "revocation";
    row->message.id = (char *)(is_of_identity ? revocation->who : revocation->serial);
    row->message.name = (char *)revocation->who;
    row->message.created_ms = revocation->revoked_ms;
    row->message.created_by = (char *)revocation->revoked_by;
    row->message.expires_ms = revocation->expires_ms;
    snprintf(row->state, sizeof(row->state), "revoked");
}

/* During a rotation: who has no certificate of the CA that issues now. Known where it is. */
static bool is_of_old_authority(const struct listing *listing,
                                const struct osr_member_record *member)
{
    const struct osr_trust *trust = listing->trust;
    if (!osr_trust_has(trust, OSR_TRUST_CA_CERTIFICATE)) {
        return false;
    }
    struct osr_hash present =
        osr_trust_fingerprint(osr_trust_text(trust, OSR_TRUST_CA_CERTIFICATE));
    return !osr_hash_equal(&present, &member->authority);
}

static void show_row_of_member(struct listing *listing, const struct osr_member_record *member)
{
    char who[OSR_POLICY_NAME_BYTES_MAX + 1];
    struct row *row = add_row(listing, &member->roles);
    row->message.kind = "member";
    row->message.id = (char *)member->instance;
    row->message.name = (char *)member->name;
    row->message.serial = (char *)member->serial;
    row->message.created_ms = member->joined_ms;
    row->message.created_by = (char *)member->invited_by;
    row->message.expires_ms = member->expires_ms;
    snprintf(who, sizeof(who), "instance:%s", member->instance);
    if (osr_access_is_revoked(listing->access, who)) {
        snprintf(row->state, sizeof(row->state), "revoked");
        return;
    }
    describe_validity(row, member->expires_ms, listing->now_ms);
    if (strcmp(row->state, "good") == 0 && is_of_old_authority(listing, member)) {
        snprintf(row->state, sizeof(row->state), "old ca's");
    }
}

static void show_credential(void *context, const struct osr_credential *credential)
{
    struct listing *listing = context;
    switch (credential->kind) {
    case OSR_CREDENTIAL_TOKEN:
        show_row_of_token(listing, &credential->token);
        break;
    case OSR_CREDENTIAL_USER:
        show_row_of_user(listing, &credential->user);
        break;
    case OSR_CREDENTIAL_INVITATION:
        show_row_of_invitation(listing, &credential->invitation);
        break;
    case OSR_CREDENTIAL_REVOCATION:
        show_row_of_revocation(listing, &credential->revocation);
        break;
    case OSR_CREDENTIAL_MEMBER:
        show_row_of_member(listing, &credential->member);
        break;
    case OSR_CREDENTIAL_KIND_COUNT:
        break;
    }
}

/* The kind of this name, or all of them for an empty one. */
static int list_kinds(const struct osr_services *services, const char *name,
                      struct listing *listing, struct osr_err *err)
{
    static const char *const names[OSR_CREDENTIAL_KIND_COUNT] = {
        [OSR_CREDENTIAL_TOKEN] = "token",           [OSR_CREDENTIAL_USER] = "user",
        [OSR_CREDENTIAL_INVITATION] = "invitation", [OSR_CREDENTIAL_REVOCATION] = "revocation",
        [OSR_CREDENTIAL_MEMBER] = "member",
    };
    bool is_known = name[0] == '\0';
    for (int kind = 0; kind < OSR_CREDENTIAL_KIND_COUNT; kind++) {
        if (name[0] == '\0' || strcmp(name, names[kind]) == 0) {
            is_known = true;
            osr_credentials_walk(services->credentials, (enum osr_credential_kind)kind,
                                 show_credential, listing);
        }
    }
    if (is_known) {
        return 0;
    }
    return (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                            "'%.40s' is no kind: token, user, invitation, revocation or member",
                            name);
}

void osr_operation_credentials(struct osr_operations *operations, struct osr_call *call,
                               const Osr__Frame *frame)
{
    Osr__CredentialsResponse response = OSR__CREDENTIALS_RESPONSE__INIT;
    struct listing listing = {.now_ms = osr_wall_ms(),
                              .access = operations->services->access,
                              .trust = osr_security_trust(operations->services->security)};
    struct osr_err err;
    if (list_kinds(operations->services, frame->credentials->kind, &listing, &err) != 0) {
        osr_call_fail(call, &err);
    } else {
        response.n_credentials = listing.count;
        response.credentials = listing.rows;
        osr_call_reply(call, &response.base);
    }
    for (size_t i = 0; i < listing.count; i++) {
        free(listing.rows[i]); /* the message is the row's first field */
    }
    free(listing.rows);
}

/* -- who may do what -- */

/* Users and tokens may bring roles of their own, in place of what the config says of their names.
 */
struct own_roles {
    const char *name; /* of the token */
    const struct osr_role_names *roles;
};

static void find_token(void *context, const struct osr_credential *credential)
{
    struct own_roles *own = context;
    const struct osr_token_record *token = &credential->token;
    if (strcmp(token->name, own->name) == 0 && token->revoked_ms == 0) {
        own->roles = &token->roles;
    }
}

const struct osr_role_names *osr_operation_own_roles(const struct osr_services *services,
                                                     const char *who)
{
    struct own_roles own = {0};
    if (strncmp(who, "user:", strlen("user:")) == 0) {
        const struct osr_credential *user =
            osr_credentials_find(services->credentials, OSR_CREDENTIAL_USER, who + strlen("user:"));
        own.roles = user != NULL ? &user->user.roles : NULL;
    } else if (strncmp(who, "token:", strlen("token:")) == 0) {
        own.name = who + strlen("token:");
        osr_credentials_walk(services->credentials, OSR_CREDENTIAL_TOKEN, find_token, &own);
    }
    return own.roles != NULL && own.roles->count > 0 ? own.roles : NULL;
}

static const char *name_behind(const char *kind, const char *who)
{
    size_t size = strlen(kind);
    return strncmp(who, kind, size) == 0 ? who + size : NULL;
}

/* What is so whatever the rules say; false: they decide. */
static bool explain_exception(const struct osr_services *services, const char *who,
                              enum osr_action action, struct osr_part part, bool *ret_allowed,
                              struct osr_buffer *text)
{
    const char *instance = name_behind("instance:", who);
    const char *name = name_behind("user:", who);
    const struct osr_credential *user =
        name != NULL ? osr_credentials_find(services->credentials, OSR_CREDENTIAL_USER, name)
                     : NULL;
    bool is_trust =
        action == OSR_ACTION_LEAD && part.kind == OSR_PART_STREAM &&
        osr_slice_equal(part.name, osr_slice_text(osr_feed_stream_name(OSR_STREAM_TRUST)));
    *ret_allowed = false;
    if (osr_access_is_revoked(services->access, who)) {
        osr_buffer_add_text(text, "denied: its certificate was revoked, or all of them\n");
    } else if (user != NULL && user->user.is_disabled) {
        osr_buffer_add_text(text, "denied: the user is disabled\n");
    } else if (instance != NULL && is_trust &&
               osr_security_is_authority(services->security, instance)) {
        *ret_allowed = true;
        osr_buffer_add_text(text, "allowed: a CA that is believed names it as its own instance\n");
    } else if (action == OSR_ACTION_LEAD && osr_access_is_unknown(services->access, who)) {
        osr_buffer_add_text(text, "denied: neither the CA nor the config tells of this instance\n");
    } else {
        return false;
    }
    return true;
}

static int explain(const struct osr_services *services, const Osr__CheckAccessRequest *request,
                   bool *ret_allowed, struct osr_buffer *text, struct osr_err *err)
{
    const struct osr_policy *policy = osr_access_policy(services->access);
    const struct osr_role_names *own = osr_operation_own_roles(services, request->who);
    struct osr_policy_subject *subject = NULL;
    enum osr_action action;
    struct osr_part part;
    int code = osr_policy_check_who(request->who, err);
    if (code == 0) {
        code = osr_action_parse(request->action, &action, err);
    }
    if (code == 0) {
        code = osr_part_parse(request->part, &part, err);
    }
    if (code == 0 && explain_exception(services, request->who, action, part, ret_allowed, text)) {
        osr_buffer_add_u8(text, '\0');
        return 0;
    }
    if (code == 0 && own != NULL) {
        code = osr_policy_subject_of_roles(policy, own->names, own->count, &subject, err);
    } else if (code == 0) {
        code = osr_access_member_subject(services->access, request->who, &subject, err);
    }
    if (code != 0) {
        return code;
    }
    *ret_allowed = subject != NULL ? osr_policy_explain_subject(subject, action, part, text)
                                   : osr_policy_explain(policy, request->who, action, part, text);
    osr_policy_subject_destroy(subject);
    osr_buffer_add_u8(text, '\0');
    return 0;
}

void osr_operation_access_check(struct osr_operations *operations, struct osr_call *call,
                                const Osr__Frame *frame)
{
    Osr__CheckAccessResponse response = OSR__CHECK_ACCESS_RESPONSE__INIT;
    struct osr_buffer text = {0};
    bool is_allowed = false;
    struct osr_err err;
    if (explain(operations->services, frame->access_check, &is_allowed, &text, &err) != 0) {
        osr_call_fail(call, &err);
    } else {
        response.allowed = is_allowed;
        response.explanation = (char *)text.data;
        osr_call_reply(call, &response.base);
    }
    osr_buffer_done(&text);
}

/* -- reload -- */

static void on_reloaded(void *context, const struct osr_security_changes *changes,
                        const struct osr_err *err)
{
    Osr__ReloadResponse response = OSR__RELOAD_RESPONSE__INIT;
    if (changes == NULL) {
        osr_call_fail(context, err);
        return;
    }
    response.n_changed = changes->changed_count;
    response.changed = (char **)(void *)changes->changed;
    response.n_restart = changes->restart_count;
    response.restart = (char **)(void *)changes->restart;
    osr_call_reply(context, &response.base);
}

/* That it was asked for stands in the audit log already: it takes `operate`. */
void osr_operation_reload(struct osr_operations *operations, struct osr_call *call,
                          const Osr__Frame *frame)
{
    struct osr_err err;
    (void)frame;
    osr_call_await(call, NULL);
    if (osr_security_reload(operations->services->security, on_reloaded, call, &err) != 0) {
        osr_call_fail(call, &err);
    }
}
