/* access_internal.h -- what the parts of access.h share, for them alone:
 *   access.c         who somebody is by what is shown, the checks, and what is noted of both
 *   access_lookup.c  what an identity rests on: records, revocations, approvals */
#ifndef OSR_NODE_ACCESS_INTERNAL_H
#define OSR_NODE_ACCESS_INTERNAL_H

#include "base/map.h"
#include "node/access.h"

/* How an identity begins that is one's own. */
#define OSR_KIND_INSTANCE "instance:"
#define OSR_KIND_USER     "user:"
#define OSR_KIND_TOKEN    "token:"
#define OSR_KIND_CLIENT   "client:"

struct osr_access {
    struct osr_access_options options;
    char *cluster;
    struct osr_counted_policy *policy;
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

/* ---- access.c ---- */

uint64_t osr_access_now_ms(const struct osr_access *access); /* since 1970 */

/* ---- access_lookup.c ---- */

/* "instance:abc" -> "abc"; NULL where it is of another kind. */
const char *osr_who_name(const char *who, const char *kind);
/* Gives the identity the grant that it has as of now. Fails as osr_access_check with
 * UNAUTHENTICATED or PERMISSION_DENIED; then the identity keeps the one it had. */
int osr_access_look_up(struct osr_access *access, struct osr_identity *identity,
                       struct osr_err *err);
/* The same unless it still is as it was looked up. */
int osr_access_refresh(struct osr_access *access, struct osr_identity *identity,
                       struct osr_err *err);
/* UNAUTHENTICATED: `who` is an instance that nothing but its approved id would let in over the
 * identity's connection, and it is not approved. */
int osr_access_check_approval(const struct osr_access *access, const struct osr_identity *identity,
                              const char *who, struct osr_err *err);
/* What an instance may do, for as long as policy and credentials stay as they are. NULL: nothing.
 */
const struct osr_policy_subject *osr_access_subject_of_instance(struct osr_access *access,
                                                                const char *who);
/* Before the policy goes of which they are. */
void osr_access_forget_members(struct osr_access *access);

#endif
