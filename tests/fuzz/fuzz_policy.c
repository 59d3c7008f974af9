/* Random policies, and questions at every edge of their rules: each answer is that of a walk over
 * all rules as they were written, explained or not. */
#include "fuzz.h"

#include "model/policy.h"

enum { RULES_MAX = 16, MEMBERS_MAX = 12, TEXT_MAX = 24, ROLES = 4, BYTE_IN_NO_RULE = 1 };

/* What was added, as it was written. */
struct rule {
    unsigned role;
    bool allows;
    unsigned actions;
    char part[TEXT_MAX];
};

struct member {
    char who[TEXT_MAX];
    unsigned roles; /* bits */
};

struct model {
    struct rule rules[RULES_MAX];
    size_t rule_count;
    struct member members[MEMBERS_MAX];
    size_t member_count;
    struct osr_policy_builder *builder;
};

static const char *const roles[ROLES] = {"a", "b", "c", "d"};
static const char *const identities[] = {
    "local",    "seed",       "anonymous", "user:", "user:a", "user:ab",
    "user:abb", "instance:a", "token:a",   "admin", ""};

/* -- input -- */

struct input {
    const uint8_t *data;
    size_t size;
};

static unsigned take(struct input *input, unsigned limit)
{
    if (input->size == 0) {
        return 0;
    }
    input->size--;
    return *input->data++ % limit;
}

/* A few letters, so that names meet; a byte over 127 and a '*' among them. */
static void take_text(struct input *input, const char *const *starts, size_t start_count,
                      char *text)
{
    static const char *const letters[] = {"a", "b", "*", "\xc3\xbf"};
    unsigned length = take(input, 5);

    strcpy(text, starts[take(input, (unsigned)start_count)]);
    for (unsigned i = 0; i < length; i++) {
        strcat(text, letters[take(input, 4)]);
    }
    if (take(input, 2) == 1) {
        strcat(text, "*");
    }
}

/* -- the policy -- */

/* The one that was added under this name. */
static struct member *find_member(struct model *model, const char *who)
{
    size_t i = 0;
    while (strcmp(model->members[i].who, who) != 0) {
        i++;
        MUST(i < model->member_count);
    }
    return &model->members[i];
}

/* Whatever was refused leaves a reason. */
static bool was_taken(int code, const struct osr_err *err)
{
    MUST(code == 0 || ((int)err->code == code && err->message[0] != '\0'));
    return code == 0;
}

static void add_rule(struct model *model, struct input *input)
{
    static const char *const starts[] = {"collection:", "key:", "instance:", "stream:", "", "kye:"};
    struct rule *rule = &model->rules[model->rule_count];
    struct osr_err err = {0};

    rule->role = take(input, ROLES);
    rule->allows = take(input, 3) > 0;
    rule->actions = 1u << take(input, OSR_ACTION_COUNT) | 1u << take(input, OSR_ACTION_COUNT);
    take_text(input, starts, sizeof(starts) / sizeof(starts[0]), rule->part);
    int code = osr_policy_add_rule(model->builder, roles[rule->role], rule->allows, rule->actions,
                                   rule->part, "here", &err);
    model->rule_count += was_taken(code, &err);
}

/* A role of one that is there already, or of a new one; or a new one without roles. */
static void add_member(struct model *model, struct input *input)
{
    static const char *const starts[] = {"user:", "instance:", "local", "anonymous", "usr:"};
    struct member *member = &model->members[model->member_count];
    struct osr_err err = {0};

    take_text(input, starts, sizeof(starts) / sizeof(starts[0]), member->who);
    member->roles = 0;
    int code = osr_policy_add_member(model->builder, member->who, &err);
    if (was_taken(code, &err)) {
        model->member_count++;
    } else if (code == OSR_ALREADY_EXISTS) {
        member = find_member(model, member->who);
    } else {
        return;
    }
    unsigned role = take(input, ROLES + 1);
    if (role < ROLES) {
        code = osr_policy_give_role(model->builder, member->who, roles[role], "here", &err);
        MUST(was_taken(code, &err) == ((member->roles >> role & 1) == 0));
        member->roles |= 1u << role;
    }
}

static struct osr_policy *make_policy(struct model *model, struct input *input)
{
    model->builder = osr_policy_builder_create();
    for (size_t i = 0; i < ROLES; i++) {
        MUST(osr_policy_add_role(model->builder, roles[i], NULL) == 0);
    }
    while (input->size > 0 && model->rule_count < RULES_MAX && model->member_count < MEMBERS_MAX) {
        if (take(input, 3) > 0) {
            add_rule(model, input);
        } else {
            add_member(model, input);
        }
    }
    return osr_policy_build(model->builder);
}

/* -- the oracle: the sentences of policy.h, one rule after the other -- */

static bool covers(const char *written, struct osr_slice text)
{
    size_t size = strlen(written);
    if (size > 0 && written[size - 1] == '*') {
        return text.size >= size - 1 && memcmp(text.data, written, size - 1) == 0;
    }
    return text.size == size && memcmp(text.data, written, size) == 0;
}

static bool is_pattern(const struct member *member)
{
    return member->who[strlen(member->who) - 1] == '*';
}

/* Bits: those of the exact name, else of the longest that covers it. */
static unsigned roles_of(const struct model *model, const char *who)
{
    const struct member *longest = NULL;

    for (size_t i = 0; i < model->member_count; i++) {
        const struct member *member = &model->members[i];
        if (strcmp(member->who, who) == 0 && !is_pattern(member)) {
            return member->roles;
        }
        if (covers(member->who, osr_slice_text(who)) &&
            (longest == NULL || strlen(member->who) > strlen(longest->who))) {
            longest = member;
        }
    }
    return longest != NULL ? longest->roles : 0;
}

static bool is_named(const struct model *model, const char *who)
{
    for (size_t i = 0; i < model->member_count; i++) {
        if (strcmp(model->members[i].who, who) == 0 && !is_pattern(&model->members[i])) {
            return true;
        }
    }
    return false;
}

static bool is_allowed(const struct model *model, const char *who, enum osr_action action,
                       struct osr_part part)
{
    struct osr_buffer text = {0};
    unsigned has = roles_of(model, who);
    bool allows = false;
    bool denies = false;

    osr_buffer_add_format(&text, "%s:", osr_part_kind_info(part.kind)->name);
    osr_buffer_add(&text, part.name.data, part.name.size);
    for (size_t i = 0; i < model->rule_count; i++) {
        const struct rule *rule = &model->rules[i];
        if ((has >> rule->role & 1) != 0 && (rule->actions >> action & 1) != 0 &&
            covers(rule->part, osr_buffer_slice(&text))) {
            allows |= rule->allows;
            denies |= !rule->allows;
        }
    }
    osr_buffer_done(&text);
    return allows && !denies;
}

/* -- questions -- */

static bool explains(const struct osr_policy *policy, const char *who, enum osr_action action,
                     struct osr_part part)
{
    static const char allowed[] = "\nallowed\n";
    struct osr_buffer text = {0};
    bool answer = osr_policy_explain(policy, who, action, part, &text);
    size_t end = sizeof(allowed) - 1;

    MUST(text.size > end);
    MUST((memcmp(text.data + text.size - end, allowed, end) == 0) == answer);
    osr_buffer_done(&text);
    return answer;
}

static bool ask(const struct model *model, const struct osr_policy *policy, const char *who,
                enum osr_action action, struct osr_part part)
{
    const struct osr_policy_subject *subject = osr_policy_subject(policy, who);
    bool answer = osr_policy_allows(subject, action, part);

    MUST(answer == is_allowed(model, who, action, part));
    MUST(answer == explains(policy, who, action, part));
    MUST(!answer || osr_policy_allows_some(subject, action, part.kind));
    return answer;
}

/* Asks for a name in every kind of part, and notes in which it is allowed. */
static void ask_kinds(const struct model *model, const struct osr_policy *policy, const char *who,
                      enum osr_action action, struct osr_slice name, unsigned *kinds)
{
    for (size_t i = 0; i < OSR_PART_KIND_COUNT; i++) {
        struct osr_part part = {(enum osr_part_kind)i, name};
        *kinds |= (unsigned)ask(model, policy, who, action, part) << i;
    }
}

/* What the rule names, a byte less, a byte more, and the name as it is written. Whatever is allowed
 * at all, is so at what some rule names or just behind it. */
static void ask_around(const struct model *model, const struct osr_policy *policy, const char *who,
                       enum osr_action action, const char *part, unsigned *kinds)
{
    const char *colon = strchr(part, ':');
    const char *written = colon != NULL ? colon + 1 : part;
    size_t size = strlen(written);
    char name[TEXT_MAX + 1];

    ask_kinds(model, policy, who, action, osr_slice(written, size), kinds);
    size -= size > 0 && written[size - 1] == '*';
    ask_kinds(model, policy, who, action, osr_slice(written, size), kinds);
    ask_kinds(model, policy, who, action, osr_slice(written, size - (size > 0)), kinds);
    memcpy(name, written, size);
    name[size] = BYTE_IN_NO_RULE;
    ask_kinds(model, policy, who, action, osr_slice(name, size + 1), kinds);
}

static void ask_all(const struct model *model, const struct osr_policy *policy, const char *who,
                    enum osr_action action)
{
    const struct osr_policy_subject *subject = osr_policy_subject(policy, who);
    unsigned kinds = 0;

    MUST(osr_policy_names(policy, who) == is_named(model, who));
    for (size_t i = 0; i < model->rule_count; i++) {
        ask_around(model, policy, who, action, model->rules[i].part, &kinds);
    }
    for (size_t i = 0; i < OSR_PART_KIND_COUNT; i++) {
        MUST(osr_policy_allows_some(subject, action, (enum osr_part_kind)i) == (kinds >> i & 1));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { ASKED = 3, IDENTITIES = sizeof(identities) / sizeof(identities[0]) };
    struct input input = {data, size};
    struct model model = {.rule_count = 0};
    enum osr_action action = (enum osr_action)take(&input, OSR_ACTION_COUNT);
    unsigned first = take(&input, IDENTITIES);
    struct osr_policy *policy = make_policy(&model, &input);

    for (unsigned i = 0; i < ASKED; i++) {
        ask_all(&model, policy, identities[(first + i) % IDENTITIES], action);
    }
    osr_policy_destroy(policy);
    return 0;
}
