/* credentials: what there is of them, for people to look at. */
#include <stdio.h>
#include <stdlib.h>

#include "adapter/clock.h"
#include "base/text.h"
#include "node/operation_handlers.h"

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
