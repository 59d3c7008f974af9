/* Collects roles, rules and members, and checks each; what comes of them: policy.c. */
#include "model/policy_internal.h"

#include <assert.h>
#include <stdlib.h>

/* A policy that is not asked yet. */
struct osr_policy_builder {
    struct osr_policy *policy;
};

/* -- the defaults -- */

#define MAY(action)  (1u << OSR_ACTION_##action)
#define MAY_ANYTHING ((1u << OSR_ACTION_COUNT) - 1)

static const struct {
    const char *role;
    unsigned actions;
    const char *part;
} default_rules[] = {
    {"administrator", MAY_ANYTHING, "*"},
    {"editor", MAY(READ) | MAY(WRITE), "collection:*"},
    {"editor", MAY(READ) | MAY(WRITE), "key:*"},
    {"editor", MAY(OBSERVE), "instance:"},
    {"editor", MAY(OBSERVE), "stream:*"},
    {"reader", MAY(READ), "collection:*"},
    {"reader", MAY(READ), "key:*"},
    {"reader", MAY(OBSERVE), "instance:"},
    {"reader", MAY(OBSERVE) | MAY(FOLLOW), "stream:*"}, /* of instances that add nothing */
    {"peer", MAY(LINK) | MAY(VOTE), "instance:"},
    {"peer", MAY(FOLLOW), "stream:*"},
    {"peer", MAY(LEAD), "stream:kb"},
    {"authority", MAY(LEAD), "stream:trust"}, /* where the CA does not say whose that stream is */
    {"seed", MAY(APPEND), "collection:*"},
    {"newcomer", MAY(LINK), "instance:"}, /* who goes on as an instance or not at all */
};

static const struct {
    const char *who;
    const char *role;
} default_grants[] = {
    {OSR_WHO_ADMIN, "administrator"}, {OSR_WHO_LOCAL, "editor"},       {OSR_WHO_LOCAL, "newcomer"},
    {OSR_WHO_SEED, "seed"},           {OSR_WHO_ANONYMOUS, "newcomer"}, {"key:*", "newcomer"},
    {"subject:*", "newcomer"},        {"instance:*", "peer"},
};

static const char by_default[] = "by default";

/* -- roles -- */

/* The role's index, or the count where it is none. */
static size_t search_role(const struct osr_policy *policy, const char *name)
{
    size_t i = 0;
    while (i < policy->role_count && strcmp(policy->roles[i].name, name) != 0) {
        i++;
    }
    return i;
}

int osr_policy_find_role(const struct osr_policy *policy, const char *name, size_t *ret_role,
                         struct osr_err *err)
{
    size_t role = search_role(policy, name);
    if (role < policy->role_count) {
        *ret_role = role;
        return 0;
    }
    struct osr_text_guess guess = osr_text_guess(name);
    for (size_t i = 0; i < policy->role_count; i++) {
        osr_text_guess_offer(&guess, policy->roles[i].name);
    }
    return osr_policy_refuse_word(err, OSR_NOT_FOUND, "role", &guess,
                                  "every policy has administrator, editor, reader, peer, "
                                  "authority, seed and newcomer; others stand in the "
                                  "config, under access");
}

static void put_role(struct osr_policy *policy, const char *name, bool is_default)
{
    policy->roles = osr_realloc(policy->roles, (policy->role_count + 1) * sizeof(*policy->roles));
    policy->roles[policy->role_count++] =
        (struct osr_policy_role){.name = osr_strdup(name), .is_default = is_default};
}

static int check_role_name(const char *name, struct osr_err *err)
{
    size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

    if (size == 0 || name[size] != '\0') {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                                "'%.100s': a role's name has letters, digits, '-', '_' and '.'",
                                name);
    }
    if (size > OSR_POLICY_NAME_BYTES_MAX) {
        return (int)osr_err_set(err, OSR_TOO_LARGE, "'%.40s...': longer than %d bytes", name,
                                OSR_POLICY_NAME_BYTES_MAX);
    }
    return 0;
}

/* The defaults stay as they are. */
static int check_role_is_made(const struct osr_policy_role *role, struct osr_err *err)
{
    if (!role->is_default) {
        return 0;
    }
    osr_err_set(err, OSR_ALREADY_EXISTS, "the role '%s' is the same in every policy", role->name);
    osr_err_hint(err, "make a role of another name");
    return OSR_ALREADY_EXISTS;
}

static int check_role_is_new(const struct osr_policy *policy, const char *name, struct osr_err *err)
{
    size_t role = search_role(policy, name);

    if (role < policy->role_count) {
        int code = check_role_is_made(&policy->roles[role], err);
        return code != 0 ? code
                         : (int)osr_err_set(err, OSR_ALREADY_EXISTS, "the role '%s' is there twice",
                                            name);
    }
    if (policy->role_count == OSR_POLICY_ROLES_MAX) {
        return (int)osr_err_set(err, OSR_TOO_LARGE, "more than %d roles", OSR_POLICY_ROLES_MAX);
    }
    return 0;
}

int osr_policy_add_role(struct osr_policy_builder *builder, const char *role, struct osr_err *err)
{
    int code = check_role_name(role, err);
    if (code == 0) {
        code = check_role_is_new(builder->policy, role, err);
    }
    if (code == 0) {
        put_role(builder->policy, role, false);
    }
    return code;
}

/* -- rules -- */

/* The pattern of `rule` lies in `part`, which is copied. */
static void put_rule(struct osr_policy *policy, struct osr_policy_rule rule, const char *part,
                     const char *where)
{
    rule.part = osr_strdup(part);
    rule.pattern.text.data =
        (const uint8_t *)rule.part + ((const char *)rule.pattern.text.data - part);
    rule.where = osr_strdup(where);
    policy->rules = osr_realloc(policy->rules, (policy->rule_count + 1) * sizeof(*policy->rules));
    policy->rules[policy->rule_count++] = rule;
}

/* Names the kinds of parts that the action is asked about. */
static int refuse_action(const struct osr_action_info *action, const char *part,
                         struct osr_err *err)
{
    struct osr_buffer kinds = {0};

    for (size_t i = 0; i < OSR_PART_KIND_COUNT; i++) {
        if ((action->kinds >> i & 1) != 0) {
            osr_buffer_add_format(&kinds, "%s%s:", kinds.size > 0 ? ", " : "",
                                  osr_part_kind_info((enum osr_part_kind)i)->name);
        }
    }
    osr_err_set(err, OSR_INVALID_ARGUMENT, "'%s' is never asked about '%.100s'", action->name,
                part);
    osr_err_hint(err, "it goes with %.*s", (int)kinds.size, (const char *)kinds.data);
    osr_buffer_done(&kinds);
    return OSR_INVALID_ARGUMENT;
}

/* A rule that no question ever meets is a mistake: a 'deny' would deny nothing. */
static int check_actions(const struct osr_policy_rule *rule, const char *part, struct osr_err *err)
{
    for (size_t i = 0; i < OSR_ACTION_COUNT; i++) {
        const struct osr_action_info *action = osr_action_info((enum osr_action)i);
        if ((rule->actions >> i & 1) != 0 && (action->kinds & rule->kinds) == 0) {
            return refuse_action(action, part, err);
        }
    }
    return 0;
}

int osr_policy_add_rule(struct osr_policy_builder *builder, const char *role, bool allows,
                        unsigned actions, const char *part, const char *where, struct osr_err *err)
{
    assert(actions != 0 && actions <= MAY_ANYTHING);
    struct osr_policy *policy = builder->policy;
    struct osr_policy_rule rule = {.allows = allows, .actions = (uint16_t)actions};
    int code = osr_policy_find_role(policy, role, &rule.role, err);

    if (code == 0) {
        code = check_role_is_made(&policy->roles[rule.role], err);
    }
    if (code == 0) {
        code = osr_policy_read_part(part, &rule.kinds, &rule.pattern, err);
    }
    if (code == 0) {
        code = check_actions(&rule, part, err);
    }
    if (code == 0 && policy->rule_count == OSR_POLICY_RULES_MAX) {
        code = (int)osr_err_set(err, OSR_TOO_LARGE, "more than %d rules", OSR_POLICY_RULES_MAX);
    }
    if (code == 0) {
        put_rule(policy, rule, part, where);
    }
    return code;
}

/* -- members -- */

static struct osr_policy_member *search_member(const struct osr_policy *policy, const char *who)
{
    for (size_t i = 0; i < policy->member_count; i++) {
        if (strcmp(policy->members[i].who, who) == 0) {
            return &policy->members[i];
        }
    }
    return NULL;
}

/* The pattern lies in `who`, from its beginning. */
static struct osr_policy_member *put_member(struct osr_policy *policy, const char *who,
                                            struct osr_pattern pattern, bool is_default)
{
    struct osr_policy_member member = {
        .who = osr_strdup(who), .pattern = pattern, .is_default = is_default};

    member.pattern.text.data = (const uint8_t *)member.who;
    policy->members =
        osr_realloc(policy->members, (policy->member_count + 1) * sizeof(*policy->members));
    policy->members[policy->member_count] = member;
    return &policy->members[policy->member_count++];
}

static void put_grant(struct osr_policy *policy, struct osr_policy_member *member, size_t role,
                      const char *where)
{
    member->grants =
        osr_realloc(member->grants, (member->grant_count + 1) * sizeof(*member->grants));
    member->grants[member->grant_count++] =
        (struct osr_policy_grant){.role = role, .where = osr_strdup(where)};
    policy->grant_count++;
}

void osr_policy_clear_grants(struct osr_policy *policy, struct osr_policy_member *member)
{
    policy->grant_count -= member->grant_count;
    for (size_t i = 0; i < member->grant_count; i++) {
        free(member->grants[i].where);
    }
    free(member->grants);
    member->grants = NULL;
    member->grant_count = 0;
}

/* A default that is spoken of for the first time, or nothing, may stand there. */
static int check_member_is_new(const struct osr_policy *policy,
                               const struct osr_policy_member *there, const char *who,
                               struct osr_err *err)
{
    if (there != NULL && there->is_default && strcmp(who, OSR_WHO_ADMIN) == 0) {
        osr_err_set(err, OSR_ALREADY_EXISTS, "'%s' is an administrator in every policy", who);
        osr_err_hint(err, "leave it out");
        return OSR_ALREADY_EXISTS;
    }
    if (there != NULL && !there->is_default) {
        return (int)osr_err_set(err, OSR_ALREADY_EXISTS, "the member '%s' is there twice", who);
    }
    if (there == NULL && policy->member_count == OSR_POLICY_MEMBERS_MAX) {
        return (int)osr_err_set(err, OSR_TOO_LARGE, "more than %d members", OSR_POLICY_MEMBERS_MAX);
    }
    return 0;
}

int osr_policy_add_member(struct osr_policy_builder *builder, const char *who, struct osr_err *err)
{
    struct osr_policy *policy = builder->policy;
    struct osr_policy_member *there = search_member(policy, who);
    struct osr_pattern pattern;
    int code = osr_policy_read_member(who, &pattern, err);

    if (code == 0) {
        code = check_member_is_new(policy, there, who, err);
    }
    if (code == 0 && there == NULL) {
        put_member(policy, who, pattern, false);
    } else if (code == 0) {
        osr_policy_clear_grants(policy, there);
        there->is_default = false;
    }
    return code;
}

static int check_grant_is_new(const struct osr_policy *policy,
                              const struct osr_policy_member *member, size_t role,
                              struct osr_err *err)
{
    for (size_t i = 0; i < member->grant_count; i++) {
        if (member->grants[i].role == role) {
            return (int)osr_err_set(err, OSR_ALREADY_EXISTS, "'%s' is given the role '%s' twice",
                                    member->who, policy->roles[role].name);
        }
    }
    if (policy->grant_count == OSR_POLICY_GRANTS_MAX) {
        return (int)osr_err_set(err, OSR_TOO_LARGE, "roles are given more than %d times",
                                OSR_POLICY_GRANTS_MAX);
    }
    return 0;
}

int osr_policy_give_role(struct osr_policy_builder *builder, const char *who, const char *role,
                         const char *where, struct osr_err *err)
{
    struct osr_policy *policy = builder->policy;
    struct osr_policy_member *member = search_member(policy, who);
    size_t found = 0;

    if (member == NULL || member->is_default) {
        return (int)osr_err_set(err, OSR_NOT_FOUND, "'%.100s' has not been added", who);
    }
    int code = osr_policy_find_role(policy, role, &found, err);
    if (code == 0) {
        code = check_grant_is_new(policy, member, found, err);
    }
    if (code == 0) {
        put_grant(policy, member, found, where);
    }
    return code;
}

/* -- the whole -- */

static void put_default_rule(struct osr_policy *policy, const char *role, unsigned actions,
                             const char *part)
{
    struct osr_policy_rule rule = {.allows = true, .actions = (uint16_t)actions};

    rule.role = search_role(policy, role);
    if (rule.role == policy->role_count) {
        put_role(policy, role, true);
    }
    int code = osr_policy_read_part(part, &rule.kinds, &rule.pattern, NULL);
    assert(code == 0);
    put_rule(policy, rule, part, by_default);
}

static void put_default_grant(struct osr_policy *policy, const char *who, const char *role)
{
    struct osr_policy_member *member = search_member(policy, who);
    struct osr_pattern pattern;
    size_t found = search_role(policy, role);

    if (member == NULL) {
        int code = osr_policy_read_member(who, &pattern, NULL);
        assert(code == 0);
        member = put_member(policy, who, pattern, true);
    }
    assert(found < policy->role_count);
    put_grant(policy, member, found, by_default);
}

void osr_policy_add_defaults(struct osr_policy_builder *builder)
{
    assert(builder->policy->role_count == 0 && builder->policy->member_count == 0);
    for (size_t i = 0; i < sizeof(default_rules) / sizeof(default_rules[0]); i++) {
        put_default_rule(builder->policy, default_rules[i].role, default_rules[i].actions,
                         default_rules[i].part);
    }
    for (size_t i = 0; i < sizeof(default_grants) / sizeof(default_grants[0]); i++) {
        put_default_grant(builder->policy, default_grants[i].who, default_grants[i].role);
    }
}

struct osr_policy_builder *osr_policy_builder_create(void)
{
    struct osr_policy_builder *builder = osr_alloc(sizeof(*builder));
    builder->policy = osr_alloc(sizeof(*builder->policy));
    return builder;
}

void osr_policy_builder_destroy(struct osr_policy_builder *builder)
{
    if (builder == NULL) {
        return;
    }
    osr_policy_destroy(builder->policy);
    free(builder);
}

struct osr_policy *osr_policy_build(struct osr_policy_builder *builder)
{
    struct osr_policy *policy = builder->policy;
    free(builder);
    osr_policy_finish(policy);
    return policy;
}
