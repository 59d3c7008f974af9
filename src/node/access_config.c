#include "node/access_config.h"

#include <stdlib.h>

#include "node/config_words.h"

/* Kept until all roles are known. */
struct member {
    char *who;
    struct osr_config_words roles;
};

struct rule {
    struct osr_config_words allow;
    struct osr_config_words deny;
    struct osr_config_words on;
    size_t line;
};

struct section {
    struct osr_config_yaml *yaml;
    struct osr_policy_builder *builder;
    struct member *members;
    size_t member_count;
    bool has_roles;
    bool has_members;
};

static int refuse(struct section *section, const char *key, const char *why)
{
    return osr_config_yaml_refuse(section->yaml, key, why);
}

/* -- roles and their rules -- */

static int read_rule_words(void *context, const struct osr_config_word *key, void *into)
{
    static const char *const known[] = {"allow", "deny", "on", NULL};
    struct section *section = context;
    struct rule *rule = into;
    struct osr_config_words *const words[] = {&rule->allow, &rule->deny, &rule->on};

    for (size_t i = 0; known[i] != NULL; i++) {
        if (strcmp(key->text, known[i]) != 0) {
            continue;
        }
        if (words[i]->count > 0) {
            return refuse(section, key->text, "the key is there twice");
        }
        int code = osr_config_words_read(section->yaml, key->text, words[i]);
        return code == 0 && words[i]->count == 0 ? refuse(section, key->text, "the list is empty")
                                                 : code;
    }
    return osr_config_key_refuse(section->yaml, key->text, known);
}

static int check_rule(struct section *section, const char *role, const struct rule *rule)
{
    struct osr_err *err = section->yaml->err;

    if ((rule->allow.count > 0) == (rule->deny.count > 0)) {
        osr_err_set(err, OSR_CONFIG, "a rule has either `allow` or `deny`");
    } else if (rule->on.count == 0) {
        osr_err_set(err, OSR_CONFIG, "a rule has `on`: the parts that it is about");
    } else {
        return 0;
    }
    return osr_config_yaml_blame(section->yaml, rule->line, role);
}

static int read_actions(struct section *section, const char *key,
                        const struct osr_config_words *words, unsigned *ret_actions)
{
    *ret_actions = 0;
    for (size_t i = 0; i < words->count; i++) {
        enum osr_action action;
        if (osr_action_parse(words->items[i].text, &action, section->yaml->err) != 0) {
            return osr_config_yaml_blame(section->yaml, words->items[i].line, key);
        }
        *ret_actions |= 1u << action;
    }
    return 0;
}

static int add_rule(struct section *section, const char *role, const struct rule *rule)
{
    bool allows = rule->allow.count > 0;
    unsigned actions;
    int code = allows ? read_actions(section, "allow", &rule->allow, &actions)
                      : read_actions(section, "deny", &rule->deny, &actions);

    for (size_t i = 0; code == 0 && i < rule->on.count; i++) {
        const struct osr_config_word *part = &rule->on.items[i];
        char *where = osr_format("%s:%zu", section->yaml->path, part->line);
        if (osr_policy_add_rule(section->builder, role, allows, actions, part->text, where,
                                section->yaml->err) != 0) {
            code = osr_config_yaml_blame(section->yaml, part->line, "on");
        }
        free(where);
    }
    return code;
}

/* Its mapping has begun. */
static int read_rule(struct section *section, const char *role)
{
    struct rule rule = {.line = osr_config_yaml_line(section->yaml)};
    int code = osr_config_mapping_read(section->yaml, role, read_rule_words, section, &rule);

    if (code == 0) {
        code = check_rule(section, role, &rule);
    }
    if (code == 0) {
        code = add_rule(section, role, &rule);
    }
    osr_config_words_done(&rule.allow);
    osr_config_words_done(&rule.deny);
    osr_config_words_done(&rule.on);
    return code;
}

static int read_rules(struct section *section, const char *role)
{
    static const char form[] = "takes a list of rules, as `- allow: read` with `on: ...` below";
    int code = osr_config_yaml_next(section->yaml, role);

    if (code == 0 && section->yaml->events.event.type != YAML_SEQUENCE_START_EVENT) {
        return refuse(section, role, form);
    }
    while (code == 0) {
        code = osr_config_yaml_next(section->yaml, role);
        if (code != 0 || section->yaml->events.event.type == YAML_SEQUENCE_END_EVENT) {
            return code;
        }
        code = section->yaml->events.event.type == YAML_MAPPING_START_EVENT
                   ? read_rule(section, role)
                   : refuse(section, role, form);
    }
    return code;
}

static int read_role(void *context, const struct osr_config_word *key, void *into)
{
    struct section *section = context;
    (void)into;
    if (osr_policy_add_role(section->builder, key->text, section->yaml->err) != 0) {
        return osr_config_yaml_blame(section->yaml, key->line, "roles");
    }
    return read_rules(section, key->text);
}

/* -- members -- */

static int read_member(void *context, const struct osr_config_word *key, void *into)
{
    struct section *section = context;
    (void)into;
    if (osr_policy_add_member(section->builder, key->text, section->yaml->err) != 0) {
        return osr_config_yaml_blame(section->yaml, key->line, "members");
    }
    section->members =
        osr_realloc(section->members, (section->member_count + 1) * sizeof(*section->members));
    struct member *member = &section->members[section->member_count++];
    *member = (struct member){.who = osr_strdup(key->text)};
    return osr_config_words_read(section->yaml, key->text, &member->roles);
}

static int give_roles(struct section *section, const struct member *member)
{
    int code = 0;

    for (size_t i = 0; code == 0 && i < member->roles.count; i++) {
        const struct osr_config_word *role = &member->roles.items[i];
        char *where = osr_format("%s:%zu", section->yaml->path, role->line);
        if (osr_policy_give_role(section->builder, member->who, role->text, where,
                                 section->yaml->err) != 0) {
            code = osr_config_yaml_blame(section->yaml, role->line, member->who);
        }
        free(where);
    }
    return code;
}

static int give_all_roles(struct section *section)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < section->member_count; i++) {
        code = give_roles(section, &section->members[i]);
    }
    return code;
}

static void forget_members(struct section *section)
{
    for (size_t i = 0; i < section->member_count; i++) {
        free(section->members[i].who);
        osr_config_words_done(&section->members[i].roles);
    }
    free(section->members);
}

/* -- the section -- */

static int read_once(struct section *section, const char *key, bool *seen, const char *form,
                     osr_config_pair_fn *read)
{
    if (*seen) {
        return refuse(section, key, "the key is there twice");
    }
    *seen = true;
    int code = osr_config_mapping_begin(section->yaml, key, form);
    return code != 0 ? code : osr_config_mapping_read(section->yaml, key, read, section, NULL);
}

static int read_half(void *context, const struct osr_config_word *key, void *into)
{
    static const char *const known[] = {"roles", "members", NULL};
    struct section *section = context;

    (void)into;
    if (strcmp(key->text, "roles") == 0) {
        return read_once(section, key->text, &section->has_roles,
                         "takes names of roles, and the rules of each", read_role);
    }
    if (strcmp(key->text, "members") == 0) {
        return read_once(section, key->text, &section->has_members,
                         "takes identities, and the roles of each", read_member);
    }
    return osr_config_key_refuse(section->yaml, key->text, known);
}

int osr_access_config_read(struct osr_config_yaml *yaml, const char *key,
                           struct osr_policy **ret_policy)
{
    struct section section = {.yaml = yaml, .builder = osr_policy_builder_create()};

    osr_policy_add_defaults(section.builder);
    int code = osr_config_mapping_begin(yaml, key, "takes `roles` and `members`");
    if (code == 0) {
        code = osr_config_mapping_read(yaml, key, read_half, &section, NULL);
    }
    if (code == 0) {
        code = give_all_roles(&section);
    }
    if (code == 0) {
        *ret_policy = osr_policy_build(section.builder);
    } else {
        osr_policy_builder_destroy(section.builder);
    }
    forget_members(&section);
    return code;
}

/* Up to and including the only document. */
static int read_alone(struct osr_config_yaml *yaml, struct osr_policy **ret_policy)
{
    int code = osr_config_yaml_next(yaml, NULL); /* the stream's start */
    if (code == 0) {
        code = osr_config_yaml_next(yaml, NULL);
    }
    if (code == 0 && yaml->events.event.type == YAML_STREAM_END_EVENT) {
        return osr_config_yaml_refuse(yaml, NULL, "there is neither `roles` nor `members`");
    }
    if (code == 0) {
        code = osr_access_config_read(yaml, "access", ret_policy);
    }
    return code;
}

static int read_end(struct osr_config_yaml *yaml)
{
    int code = osr_config_yaml_next(yaml, NULL); /* the document's end */
    if (code == 0) {
        code = osr_config_yaml_next(yaml, NULL);
    }
    if (code == 0 && yaml->events.event.type != YAML_STREAM_END_EVENT) {
        return osr_config_yaml_refuse(yaml, NULL, "a second document begins here");
    }
    return code;
}

int osr_access_config_parse(const char *path, struct osr_slice text, struct osr_policy **ret_policy,
                            struct osr_err *err)
{
    struct osr_config_yaml yaml;
    struct osr_policy *policy = NULL;
    int code = osr_config_yaml_open(&yaml, path, text, err);
    if (code != 0) {
        return code;
    }
    code = read_alone(&yaml, &policy);
    if (code == 0) {
        code = read_end(&yaml);
    }
    osr_config_yaml_close(&yaml);
    if (code == 0) {
        *ret_policy = policy;
    } else {
        osr_policy_destroy(policy);
    }
    return code;
}

struct osr_policy *osr_access_config_default(void)
{
    struct osr_policy_builder *builder = osr_policy_builder_create();
    osr_policy_add_defaults(builder);
    return osr_policy_build(builder);
}
