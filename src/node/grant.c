#include "node/grant.h"

#include <stdlib.h>

struct osr_counted_policy {
    struct osr_policy *policy;
    size_t uses;
};

struct osr_grant {
    size_t uses;
    struct osr_counted_policy *of;
    const struct osr_policy_subject *subject;
    struct osr_policy_subject *own_subject; /* NULL: the subject is the policy's */
    bool reads_all;
    bool writes_all;
};

struct osr_counted_policy *osr_counted_policy_create(struct osr_policy *policy)
{
    struct osr_counted_policy *counted = osr_alloc(sizeof(*counted));
    *counted = (struct osr_counted_policy){policy, 1};
    return counted;
}

void osr_counted_policy_release(struct osr_counted_policy *counted)
{
    if (--counted->uses == 0) {
        osr_policy_destroy(counted->policy);
        free(counted);
    }
}

const struct osr_policy *osr_counted_policy_get(const struct osr_counted_policy *counted)
{
    return counted->policy;
}

struct osr_grant *osr_grant_create(struct osr_counted_policy *of, const char *who,
                                   struct osr_policy_subject *own_subject)
{
    struct osr_grant *grant = osr_alloc(sizeof(*grant));
    grant->uses = 1;
    grant->of = of;
    grant->of->uses++;
    grant->own_subject = own_subject;
    grant->subject = own_subject != NULL ? own_subject : osr_policy_subject(of->policy, who);
    grant->reads_all = osr_policy_allows_all(grant->subject, OSR_ACTION_READ, OSR_PART_COLLECTION);
    grant->writes_all =
        osr_policy_allows_all(grant->subject, OSR_ACTION_WRITE, OSR_PART_COLLECTION);
    return grant;
}

struct osr_grant *osr_grant_hold(struct osr_grant *grant)
{
    if (grant != NULL) {
        grant->uses++;
    }
    return grant;
}

void osr_grant_release(struct osr_grant *grant)
{
    if (grant != NULL && --grant->uses == 0) {
        osr_policy_subject_destroy(grant->own_subject);
        osr_counted_policy_release(grant->of);
        free(grant);
    }
}

bool osr_grant_allows(const struct osr_grant *grant, enum osr_action action, struct osr_part part)
{
    return grant != NULL && osr_policy_allows(grant->subject, action, part);
}

bool osr_grant_allows_some(const struct osr_grant *grant, enum osr_action action,
                           enum osr_part_kind kind)
{
    return grant != NULL && osr_policy_allows_some(grant->subject, action, kind);
}

bool osr_grant_reads_all(const struct osr_grant *grant)
{
    return grant != NULL && grant->reads_all;
}

bool osr_grant_writes_all(const struct osr_grant *grant)
{
    return grant != NULL && grant->writes_all;
}
