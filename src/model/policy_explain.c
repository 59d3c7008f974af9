/* The answer for people. It walks all roles and rules and uses none of what building made, so that
 * the two check each other. */
#include "model/policy_internal.h"

static bool speaks(const struct osr_policy_rule *rule, enum osr_action action, struct osr_part part)
{
    return (rule->actions >> action & 1) != 0 && (rule->kinds >> part.kind & 1) != 0 &&
           osr_pattern_covers(&rule->pattern, part.name);
}

static void add_rule(struct osr_buffer *text, const struct osr_policy *policy,
                     const struct osr_policy_rule *rule, enum osr_action action)
{
    osr_buffer_add_format(text, "role %s %s %s on %s (%s)\n", policy->roles[rule->role].name,
                          rule->allows ? "allows" : "denies", osr_action_info(action)->name,
                          rule->part, rule->where);
}

static bool add_answer(struct osr_buffer *text, size_t allowing, size_t denying)
{
    if (denying > 0) {
        osr_buffer_add_text(text, allowing > 0 ? "denied: what one rule denies no other can allow\n"
                                               : "denied: by rule\n");
        return false;
    }
    osr_buffer_add_text(text, allowing > 0 ? "allowed\n" : "denied: no rule allows it\n");
    return allowing > 0;
}

static bool explain_roles(const struct osr_policy *policy, const struct osr_role_set *roles,
                          enum osr_action action, struct osr_part part, struct osr_buffer *text)
{
    size_t allowing = 0;
    size_t denying = 0;

    for (size_t i = 0; i < policy->rule_count; i++) {
        const struct osr_policy_rule *rule = &policy->rules[i];
        if (osr_role_set_has(roles, rule->role) && speaks(rule, action, part)) {
            add_rule(text, policy, rule, action);
            allowing += rule->allows;
            denying += !rule->allows;
        }
    }
    return add_answer(text, allowing, denying);
}

bool osr_policy_explain_subject(const struct osr_policy_subject *subject, enum osr_action action,
                                struct osr_part part, struct osr_buffer *text)
{
    return explain_roles(subject->policy, &subject->roles, action, part, text);
}

static void add_grants(struct osr_buffer *text, const struct osr_policy *policy,
                       const struct osr_policy_member *member, struct osr_role_set *roles)
{
    for (size_t i = 0; i < member->grant_count; i++) {
        const struct osr_policy_grant *grant = &member->grants[i];
        osr_buffer_add_format(text, "%s has the role %s (%s)\n", member->who,
                              policy->roles[grant->role].name, grant->where);
        osr_role_set_add(roles, grant->role);
    }
}

bool osr_policy_explain(const struct osr_policy *policy, const char *who, enum osr_action action,
                        struct osr_part part, struct osr_buffer *text)
{
    struct osr_role_set roles = {0};
    size_t size_before = text->size;

    for (size_t i = 0; i < policy->member_count; i++) {
        if (osr_pattern_covers(&policy->members[i].pattern, osr_slice_text(who))) {
            add_grants(text, policy, &policy->members[i], &roles);
        }
    }
    if (text->size == size_before) {
        osr_buffer_add_text(text, "no role: no member that has one is or covers this identity\n");
    }
    return explain_roles(policy, &roles, action, part, text);
}
