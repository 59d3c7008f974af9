/* The answer for people. It walks all members and rules and uses none of what building made, so
 * that the two check each other. */
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

/* The most specific of those that cover it, or NULL. Among patterns that cover one name the longer
 * text is the narrower one, and an exact name is at least as long as any of them. */
static const struct osr_policy_member *find_member(const struct osr_policy *policy,
                                                   struct osr_slice who)
{
    const struct osr_policy_member *found = NULL;

    for (size_t i = 0; i < policy->member_count; i++) {
        const struct osr_policy_member *member = &policy->members[i];
        if (osr_pattern_covers(&member->pattern, who) &&
            (found == NULL || !member->pattern.is_prefix ||
             (found->pattern.is_prefix && member->pattern.text.size > found->pattern.text.size))) {
            found = member;
        }
    }
    return found;
}

static void add_overridden(struct osr_buffer *text, const struct osr_policy *policy,
                           const struct osr_policy_member *member, struct osr_slice who)
{
    for (size_t i = 0; i < policy->member_count; i++) {
        const struct osr_policy_member *wider = &policy->members[i];
        if (wider != member && osr_pattern_covers(&wider->pattern, who)) {
            osr_buffer_add_format(text, "%s is more specific than %s, whose roles do not count\n",
                                  member->who, wider->who);
        }
    }
}

static void add_grants(struct osr_buffer *text, const struct osr_policy *policy,
                       const struct osr_policy_member *member, struct osr_role_set *roles)
{
    if (member->grant_count == 0) {
        osr_buffer_add_format(text, "%s has no role\n", member->who);
    }
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
    const struct osr_policy_member *member = find_member(policy, osr_slice_text(who));

    if (member != NULL) {
        add_overridden(text, policy, member, osr_slice_text(who));
        add_grants(text, policy, member, &roles);
    } else {
        osr_buffer_add_text(text, "no role: no member is or covers this identity\n");
    }
    return explain_roles(policy, &roles, action, part, text);
}
