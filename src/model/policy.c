/* Building makes the answers: for each set of roles that a member has, and each narrowest pattern
 * of names in rules, which actions are allowed there. A question finds the pattern. */
#include "model/policy_internal.h"

#include <assert.h>
#include <stdlib.h>

#include "base/map.h"

/* -- names in rules -- */

static void sort_names(struct osr_policy *policy, enum osr_part_kind kind)
{
    struct osr_pattern *patterns = osr_alloc((policy->rule_count + 1) * sizeof(*patterns));
    size_t count = 0;

    for (size_t i = 0; i < policy->rule_count; i++) {
        if ((policy->rules[i].kinds >> kind & 1) != 0) {
            patterns[count++] = policy->rules[i].pattern;
        }
    }
    policy->names[kind] = osr_patterns_create(patterns, count);
    policy->first[kind] = policy->allowed_count;
    policy->allowed_count += osr_patterns_count(policy->names[kind]) + 1; /* the first: none */
    free(patterns);
}

/* -- subjects -- */

/* What the rules of some roles say, for each pattern. */
struct verdicts {
    uint16_t *allow;
    uint16_t *deny;
};

static void apply_rule(const struct osr_policy *policy, const struct osr_policy_rule *rule,
                       struct verdicts *verdicts)
{
    uint16_t *bits = rule->allows ? verdicts->allow : verdicts->deny;

    for (size_t kind = 0; kind < OSR_PART_KIND_COUNT; kind++) {
        if ((rule->kinds >> kind & 1) != 0) {
            size_t pattern = osr_patterns_index(policy->names[kind], &rule->pattern);
            bits[policy->first[kind] + pattern] |= rule->actions;
        }
    }
}

/* Hands down from wider patterns to narrower ones, and draws the conclusion. */
static void conclude(struct osr_policy_subject *subject, enum osr_part_kind kind,
                     const struct verdicts *verdicts)
{
    const struct osr_patterns *names = subject->policy->names[kind];
    size_t first = subject->policy->first[kind];
    uint16_t *allow = verdicts->allow + first;
    uint16_t *deny = verdicts->deny + first;

    for (size_t i = 1; i <= osr_patterns_count(names); i++) {
        size_t parent = osr_patterns_parent(names, i);
        allow[i] |= allow[parent];
        deny[i] |= deny[parent];
        subject->allowed[first + i] = (uint16_t)(allow[i] & ~deny[i]);
        subject->allows_some[kind] |= subject->allowed[first + i];
    }
}

static struct osr_policy_subject *make_subject(const struct osr_policy *policy,
                                               const struct osr_role_set *roles)
{
    struct osr_policy_subject *subject =
        osr_alloc(sizeof(*subject) + policy->allowed_count * sizeof(subject->allowed[0]));
    struct verdicts verdicts = {
        .allow = osr_alloc(policy->allowed_count * sizeof(*verdicts.allow)),
        .deny = osr_alloc(policy->allowed_count * sizeof(*verdicts.deny)),
    };

    subject->policy = policy;
    subject->roles = *roles;
    for (size_t i = 0; i < policy->rule_count; i++) {
        if (osr_role_set_has(roles, policy->rules[i].role)) {
            apply_rule(policy, &policy->rules[i], &verdicts);
        }
    }
    for (size_t kind = 0; kind < OSR_PART_KIND_COUNT; kind++) {
        conclude(subject, (enum osr_part_kind)kind, &verdicts);
    }
    free(verdicts.deny);
    free(verdicts.allow);
    return subject;
}

/* -- members -- */

static void sort_members(struct osr_policy *policy)
{
    struct osr_pattern *patterns = osr_alloc((policy->member_count + 1) * sizeof(*patterns));

    for (size_t i = 0; i < policy->member_count; i++) {
        patterns[i] = policy->members[i].pattern;
    }
    policy->identities = osr_patterns_create(patterns, policy->member_count);
    free(patterns);
}

static struct osr_role_set roles_of(const struct osr_policy_member *member)
{
    struct osr_role_set roles = {0};

    for (size_t i = 0; i < member->grant_count; i++) {
        osr_role_set_add(&roles, member->grants[i].role);
    }
    return roles;
}

/* Members with the same roles share a subject. */
static struct osr_policy_subject *share_subject(struct osr_policy *policy, struct osr_map *made,
                                                const struct osr_role_set *roles)
{
    struct osr_slice key = osr_slice(roles, sizeof(*roles));
    struct osr_policy_subject *subject = osr_map_get(made, key);

    if (subject == NULL) {
        subject = make_subject(policy, roles);
        policy->subjects[policy->subject_count++] = subject;
        osr_map_put(made, key, subject);
    }
    return subject;
}

/* No two members are the same, and so no two of them have the same pattern. */
static void make_subjects(struct osr_policy *policy)
{
    size_t count = policy->member_count + 1;
    struct osr_map *made = osr_map_create(0); /* from a set of roles; nobody else chooses keys */

    policy->member_of = osr_alloc(count * sizeof(const struct osr_policy_member *));
    policy->subject_of = osr_alloc(count * sizeof(struct osr_policy_subject *));
    policy->subjects = osr_alloc(count * sizeof(struct osr_policy_subject *));
    for (size_t i = 0; i < policy->member_count; i++) {
        const struct osr_policy_member *member = &policy->members[i];
        struct osr_role_set roles = roles_of(member);
        size_t pattern = osr_patterns_index(policy->identities, &member->pattern);
        policy->member_of[pattern] = member;
        policy->subject_of[pattern] = share_subject(policy, made, &roles);
    }
    osr_map_destroy(made);
}

/* -- the whole -- */

void osr_policy_finish(struct osr_policy *policy)
{
    for (size_t kind = 0; kind < OSR_PART_KIND_COUNT; kind++) {
        sort_names(policy, (enum osr_part_kind)kind);
    }
    sort_members(policy);
    make_subjects(policy);
}

static void destroy_members(struct osr_policy *policy)
{
    for (size_t i = 0; i < policy->member_count; i++) {
        osr_policy_clear_grants(policy, &policy->members[i]);
        free(policy->members[i].who);
    }
    free(policy->members);
}

static void destroy_rules(struct osr_policy *policy)
{
    for (size_t i = 0; i < policy->rule_count; i++) {
        free(policy->rules[i].part);
        free(policy->rules[i].where);
    }
    free(policy->rules);
}

static void destroy_roles(struct osr_policy *policy)
{
    for (size_t i = 0; i < policy->role_count; i++) {
        free(policy->roles[i].name);
    }
    free(policy->roles);
}

void osr_policy_destroy(struct osr_policy *policy)
{
    if (policy == NULL) {
        return;
    }
    for (size_t i = 0; i < policy->subject_count; i++) {
        free(policy->subjects[i]);
    }
    free(policy->subjects);
    free(policy->subject_of);
    free(policy->member_of);
    osr_patterns_destroy(policy->identities);
    for (size_t kind = 0; kind < OSR_PART_KIND_COUNT; kind++) {
        osr_patterns_destroy(policy->names[kind]);
    }
    destroy_members(policy);
    destroy_rules(policy);
    destroy_roles(policy);
    free(policy);
}

/* -- asking -- */

const struct osr_policy_subject *osr_policy_subject(const struct osr_policy *policy,
                                                    const char *who)
{
    return policy->subject_of[osr_patterns_find(policy->identities, osr_slice_text(who))];
}

bool osr_policy_names(const struct osr_policy *policy, const char *who)
{
    const struct osr_policy_member *member =
        policy->member_of[osr_patterns_find(policy->identities, osr_slice_text(who))];
    return member != NULL && !member->pattern.is_prefix;
}

int osr_policy_subject_of_roles(const struct osr_policy *policy, const char *const *roles,
                                size_t count, struct osr_policy_subject **ret_subject,
                                struct osr_err *err)
{
    struct osr_role_set set = {0};

    for (size_t i = 0; i < count; i++) {
        size_t role = 0;
        int code = osr_policy_find_role(policy, roles[i], &role, err);
        if (code != 0) {
            return code;
        }
        osr_role_set_add(&set, role);
    }
    *ret_subject = make_subject(policy, &set);
    return 0;
}

void osr_policy_subject_destroy(struct osr_policy_subject *subject)
{
    free(subject);
}

bool osr_policy_allows(const struct osr_policy_subject *subject, enum osr_action action,
                       struct osr_part part)
{
    assert((unsigned)action < OSR_ACTION_COUNT && (unsigned)part.kind < OSR_PART_KIND_COUNT);
    if (subject == NULL) {
        return false;
    }
    const struct osr_policy *policy = subject->policy;
    size_t pattern = osr_patterns_find(policy->names[part.kind], part.name);
    return (subject->allowed[policy->first[part.kind] + pattern] >> action & 1) != 0;
}

bool osr_policy_allows_some(const struct osr_policy_subject *subject, enum osr_action action,
                            enum osr_part_kind kind)
{
    assert((unsigned)action < OSR_ACTION_COUNT && (unsigned)kind < OSR_PART_KIND_COUNT);
    return subject != NULL && (subject->allows_some[kind] >> action & 1) != 0;
}

/* Some rule is about every name. */
static bool is_every_name_covered(const struct osr_policy *policy, enum osr_part_kind kind)
{
    for (size_t i = 0; i < policy->rule_count; i++) {
        const struct osr_policy_rule *rule = &policy->rules[i];
        if ((rule->kinds >> kind & 1) != 0 && rule->pattern.is_prefix &&
            rule->pattern.text.size == 0) {
            return true;
        }
    }
    return false;
}

bool osr_policy_allows_all(const struct osr_policy_subject *subject, enum osr_action action,
                           enum osr_part_kind kind)
{
    assert((unsigned)action < OSR_ACTION_COUNT && (unsigned)kind < OSR_PART_KIND_COUNT);
    if (!osr_policy_allows_some(subject, action, kind)) {
        return false;
    }
    const struct osr_policy *policy = subject->policy;
    const uint16_t *allowed = &subject->allowed[policy->first[kind]];
    for (size_t i = 1; i <= osr_patterns_count(policy->names[kind]); i++) {
        if ((allowed[i] >> action & 1) == 0) {
            return false;
        }
    }
    return is_every_name_covered(policy, kind);
}
