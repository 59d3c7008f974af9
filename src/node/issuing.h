/* issuing.h -- what the operations that give a certificate of the cluster's CA have in common
 * (certificate_operations.c, join_operations.c).
 *
 * Happy path: the instance has the CA, the certificate is made, its line goes to the audit log and
 * its serial number to all members, and only then it is given: a revocation finds all that are out.
 *
 * The loop's only. */
#ifndef OSR_NODE_ISSUING_H
#define OSR_NODE_ISSUING_H

#include "node/members.h"
#include "node/operations.h"

/* Whether the CA is here. CONFIG: it is not; the hint says who to ask. */
int osr_issuing_check(const struct osr_services *services, struct osr_err *err);
/* The CA that issues, by its fingerprint. */
struct osr_hash osr_issuing_authority(const struct osr_services *services);
/* All CAs that are believed, as PEM; the caller's. */
char *osr_issuing_authorities(const struct osr_services *services);

struct osr_issuing_order {
    const char *request_pem;
    const char *who;     /* UNAUTHENTICATED where that was revoked */
    const char *subject; /* cut to what X.509 takes */
    char *const *names;
    size_t name_count;
    struct osr_slice follows_pem; /* as in struct osr_authority_order */
    uint32_t days;                /* likewise */
};

/* Appends the certificate with the CA's behind it, as text that ends with NUL. */
int osr_issuing_make(const struct osr_services *services, const struct osr_issuing_order *wanted,
                     struct osr_buffer *pem, struct osr_err *err);

/* ---- of what was made: `pem` is as osr_issuing_make left it ---- */

/* Its serial number, OSR_SERIAL_TEXT_MAX bytes. */
void osr_issuing_serial(const struct osr_buffer *pem, char *serial);
/* For the audit log: whose certificate, and its serial number, which a revocation asks for. */
int osr_issuing_note(const struct osr_call *call, const char *what, const char *who,
                     const struct osr_buffer *pem, struct osr_err *err);
/* For all members, where it is of one. `news` says who, name, role and invited_by, and gets the
 * rest; `done` as in osr_members_note. */
int osr_issuing_note_member(const struct osr_services *services, struct osr_member_news *news,
                            const struct osr_buffer *pem, struct osr_credential_done done,
                            struct osr_err *err);

#endif
