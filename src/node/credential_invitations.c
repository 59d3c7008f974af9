/* Invitations among the credentials: made once, used once, and revoked before that. */
#include <stdio.h>

#include "node/credentials_internal.h"

int osr_credentials_create_invitation(struct osr_credentials *credentials,
                                      const struct osr_invitation_order *order, uint64_t now_ms,
                                      struct osr_token *ret_token, struct osr_credential_done done,
                                      struct osr_err *err)
{
    int code = osr_credential_check_name("role", order->role, OSR_POLICY_NAME_BYTES_MAX, err);
    if (code == 0) {
        code = osr_credential_check_who(order->created_by, err);
    }
    if (code == 0) {
        code = osr_credential_check_expiry(order->expires_ms, now_ms, err);
    }
    if (code == 0) {
        code = osr_credential_store_make_room(credentials->store, OSR_CREDENTIAL_INVITATION, now_ms,
                                              err);
    }
    if (code != 0) {
        return code;
    }
    char id[OSR_SECRET_ID_CHARS + 1];
    osr_credentials_make_token(credentials, ret_token);
    osr_token_id_text(id, ret_token);
    struct osr_credential credential = {
        .kind = OSR_CREDENTIAL_INVITATION,
        .invitation = {.id = id,
                       .hash = osr_token_hash(ret_token),
                       .role = order->role,
                       .created_by = order->created_by,
                       .created_ms = now_ms,
                       .expires_ms = order->expires_ms,
                       .used_by = "",
                       .revoked_by = ""},
    };
    osr_credential_store_put(credentials->store, &credential, OSR_WHEN_DURABLE, done);
    return 0;
}

/* 0: it can be used. */
static int check_invitation(const struct osr_credentials *credentials,
                            const struct osr_credential *credential, uint64_t now_ms,
                            struct osr_err *err)
{
    const struct osr_invitation_record *invitation = &credential->invitation;
    if (invitation->used_ms != 0) {
        osr_credential_refuse_used(invitation, OSR_UNAUTHENTICATED, err);
        osr_err_hint(err, "is that this instance, then it has joined: start its osirisd; else "
                          "`osiris invite`, where the CA is, makes another");
        return OSR_UNAUTHENTICATED;
    }
    if (invitation->revoked_ms != 0) {
        return osr_credential_refuse_revoked("invitation", invitation->id, invitation->revoked_ms,
                                             err);
    }
    if (osr_credential_store_is_changing(credentials->store, credential)) {
        return osr_err_set(err, OSR_UNAUTHENTICATED, "the invitation %s is being used",
                           invitation->id);
    }
    if (invitation->expires_ms <= now_ms) {
        return osr_credential_refuse_expired("invitation", invitation->id, invitation->expires_ms,
                                             err);
    }
    return 0;
}

static int find_invitation(const struct osr_credentials *credentials, const struct osr_token *token,
                           const struct osr_credential **ret_credential, struct osr_err *err)
{
    char id[OSR_SECRET_ID_CHARS + 1];
    osr_token_id_text(id, token);
    if (memcmp(&token->cluster, &credentials->cluster, sizeof(token->cluster)) != 0) {
        osr_err_set(err, OSR_WRONG_CLUSTER, "the invitation %s is one of another cluster", id);
        return OSR_WRONG_CLUSTER;
    }
    const struct osr_credential *found =
        osr_credentials_find(credentials, OSR_CREDENTIAL_INVITATION, id);
    if (found == NULL || !osr_token_matches(token, &found->invitation.hash)) {
        osr_err_set(err, OSR_UNAUTHENTICATED, "the invitation %s is unknown here", id);
        return OSR_UNAUTHENTICATED;
    }
    *ret_credential = found;
    return 0;
}

int osr_credentials_check_invitation(const struct osr_credentials *credentials,
                                     const struct osr_token *token, uint64_t now_ms,
                                     struct osr_err *err)
{
    const struct osr_credential *credential;
    int code = find_invitation(credentials, token, &credential, err);
    return code != 0 ? code : check_invitation(credentials, credential, now_ms, err);
}

int osr_credentials_use_invitation(struct osr_credentials *credentials,
                                   const struct osr_token *token, const char *used_by,
                                   uint64_t now_ms, char *role, struct osr_credential_done done,
                                   struct osr_err *err)
{
    const struct osr_credential *credential;
    int code = find_invitation(credentials, token, &credential, err);
    if (code == 0) {
        code = osr_credential_check_who(used_by, err);
    }
    if (code == 0) {
        code = check_invitation(credentials, credential, now_ms, err);
    }
    if (code != 0) {
        return code;
    }
    struct osr_credential used = *credential;
    used.invitation.used_by = used_by;
    used.invitation.used_ms = now_ms;
    snprintf(role, OSR_POLICY_NAME_BYTES_MAX + 1, "%s", used.invitation.role);
    osr_credential_store_put(credentials->store, &used, OSR_WHEN_DURABLE, done);
    return 0;
}

int osr_credentials_revoke_invitation(struct osr_credentials *credentials, const char *id,
                                      const char *revoked_by, uint64_t now_ms,
                                      struct osr_credential_done done, struct osr_err *err)
{
    const struct osr_credential *credential =
        osr_credentials_find(credentials, OSR_CREDENTIAL_INVITATION, id);
    if (credential == NULL) {
        return osr_credential_refuse_unknown_id("invitation", id, err);
    }
    int code = osr_credential_check_who(revoked_by, err);
    if (code != 0) {
        return code;
    }
    struct osr_credential revoked = *credential;
    if (revoked.invitation.used_ms != 0) {
        osr_credential_refuse_used(&revoked.invitation, OSR_INVALID_ARGUMENT, err);
        osr_err_hint(err, "`osiris ca revoke --instance ID` shuts out who used it");
        return OSR_INVALID_ARGUMENT;
    }
    if (revoked.invitation.revoked_ms == 0) {
        if (osr_credential_store_is_changing(credentials->store, credential)) {
            return osr_err_set(err, OSR_BUSY, "the invitation %s is being used", id);
        }
        revoked.invitation.revoked_by = revoked_by;
        revoked.invitation.revoked_ms = now_ms;
    }
    osr_credential_store_put(credentials->store, &revoked, OSR_AT_ONCE, done);
    return 0;
}
