/* members.h -- the record of each member, kept up as the CA issues certificates: which roles the
 * instance was invited to, and the serial number by which its certificate can be revoked.
 *
 * The loop's only. */
#ifndef OSR_NODE_MEMBERS_H
#define OSR_NODE_MEMBERS_H

#include "node/credentials.h"

/* A certificate that was issued. */
struct osr_member_news {
    const char *who;        /* of another kind than "instance:<id>": there is nothing to note */
    const char *name;       /* "": as it was */
    const char *role;       /* "": as they were */
    const char *invited_by; /* "": as it was */
    struct osr_slice certificate_pem;
    struct osr_hash authority; /* fingerprint of the CA */
};

/* Notes it; `done` as in credentials.h, also where there is nothing to note. */
int osr_members_note(struct osr_credentials *credentials, const struct osr_member_news *news,
                     uint64_t now_ms, struct osr_credential_done done, struct osr_err *err);

/* Whose newest certificate it is, as "instance:<id>"; false: none's. */
bool osr_members_find_holder(const struct osr_credentials *credentials, const char *serial,
                             char who[OSR_POLICY_NAME_BYTES_MAX + 1]);

#endif
