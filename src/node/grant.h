/* grant.h -- what a policy gives to one identity, as it was when that was looked up (access.h).
 *
 * A reload brings another policy while requests of the old one are still under way. So both are
 * counted: a grant is there until its last holder lets go, its policy until no grant of it is left.
 *
 * Threads: the loop's counts. Any may ask a grant while the loop's holds it. */
#ifndef OSR_NODE_GRANT_H
#define OSR_NODE_GRANT_H

#include "model/policy.h"

/* ---- a policy ---- */

struct osr_counted_policy;

/* Takes the policy; for its maker to release. */
struct osr_counted_policy *osr_counted_policy_create(struct osr_policy *policy);
void osr_counted_policy_release(struct osr_counted_policy *counted);
const struct osr_policy *osr_counted_policy_get(const struct osr_counted_policy *counted);

/* ---- its answers to one identity ---- */

struct osr_grant;

/* What the policy gives to `who`, or to `own_subject` where that is not NULL: of this policy, and
 * the grant's from now on. For its maker to release. */
struct osr_grant *osr_grant_create(struct osr_counted_policy *of, const char *who,
                                   struct osr_policy_subject *own_subject);
struct osr_grant *osr_grant_hold(struct osr_grant *grant); /* NULL: NULL */
void osr_grant_release(struct osr_grant *grant);           /* NULL is a no-op */

/* NULL may do nothing: an instance that does something for itself asks nobody. */
bool osr_grant_allows(const struct osr_grant *grant, enum osr_action action, struct osr_part part);
/* Whether there is any such part at all. */
bool osr_grant_allows_some(const struct osr_grant *grant, enum osr_action action,
                           enum osr_part_kind kind);
/* Every collection, whatever it is called: rows need not be looked at one by one. */
bool osr_grant_reads_all(const struct osr_grant *grant);
bool osr_grant_writes_all(const struct osr_grant *grant);

#endif
