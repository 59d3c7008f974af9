/* credentials_internal.h -- what the kinds of credentials share: tokens and users (credentials.c),
 * invitations (credential_invitations.c), members and revocations (credential_certificates.c). For
 * these and credential_checks.c alone. */
#ifndef OSR_NODE_CREDENTIALS_INTERNAL_H
#define OSR_NODE_CREDENTIALS_INTERNAL_H

#include "node/credentials.h"

struct osr_credentials {
    struct osr_cluster_tag cluster;
    void (*random)(void *data, size_t size);
    struct osr_credential_store *store;
    struct osr_logins *logins;
    uint64_t revision;
};

/* credentials.c */
void osr_credentials_make_token(const struct osr_credentials *credentials, struct osr_token *token);

/* credential_checks.c */
/* What is asked for, or INVALID_ARGUMENT. `what`: "token", "role". */
int osr_credential_check_name(const char *what, const char *name, size_t size_max,
                              struct osr_err *err);
int osr_credential_check_roles(const struct osr_role_names *roles, struct osr_err *err);
int osr_credential_check_who(const char *who, struct osr_err *err);
int osr_credential_check_expiry(uint64_t expires_ms, uint64_t now_ms, struct osr_err *err);
/* Who names one to change or remove: NOT_FOUND. `what`: "token", "invitation". */
int osr_credential_refuse_unknown_id(const char *what, const char *id, struct osr_err *err);
/* Who shows one: UNAUTHENTICATED, with where another is to be had. Unknown is also one whose id is
 * known and whose secret is not: nobody learns which ids there are. */
int osr_credential_refuse_unknown_token(const char *id, struct osr_err *err);
int osr_credential_refuse_expired(const char *what, const char *id, uint64_t expires_ms,
                                  struct osr_err *err);
int osr_credential_refuse_revoked(const char *what, const char *id, uint64_t revoked_ms,
                                  struct osr_err *err);
/* With the code given: who shows it again, or who wants it revoked. */
int osr_credential_refuse_used(const struct osr_invitation_record *invitation, enum osr_code code,
                               struct osr_err *err);

#endif
