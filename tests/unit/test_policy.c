#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/policy.h"

#define BIT(action) (1u << OSR_ACTION_##action)

static struct osr_policy_builder *begin(void)
{
    struct osr_policy_builder *builder = osr_policy_builder_create();
    osr_policy_add_defaults(builder);
    return builder;
}

static void add_role(struct osr_policy_builder *builder, const char *role)
{
    assert_int_equal(osr_policy_add_role(builder, role, NULL), 0);
}

static void allow(struct osr_policy_builder *builder, const char *role, unsigned actions,
                  const char *part)
{
    assert_int_equal(osr_policy_add_rule(builder, role, true, actions, part, "f:1", NULL), 0);
}

static void deny(struct osr_policy_builder *builder, const char *role, unsigned actions,
                 const char *part)
{
    assert_int_equal(osr_policy_add_rule(builder, role, false, actions, part, "f:2", NULL), 0);
}

/* `roles` ends with NULL. */
static void add_member(struct osr_policy_builder *builder, const char *who,
                       const char *const *roles)
{
    assert_int_equal(osr_policy_add_member(builder, who, NULL), 0);
    for (; *roles != NULL; roles++) {
        assert_int_equal(osr_policy_give_role(builder, who, *roles, "f:3", NULL), 0);
    }
}

#define ADD_MEMBER(builder, who, ...)                                                              \
    add_member(builder, who, (const char *const[]){__VA_ARGS__, NULL})

static bool may(const struct osr_policy *policy, const char *who, enum osr_action action,
                const char *part_text)
{
    struct osr_part part;
    struct osr_buffer text = {0};

    assert_int_equal(osr_part_parse(part_text, &part, NULL), 0);
    bool answer = osr_policy_allows(osr_policy_subject(policy, who), action, part);
    assert_int_equal(osr_policy_explain(policy, who, action, part, &text), answer);
    osr_buffer_done(&text);
    return answer;
}

/* -- answers -- */

static struct osr_policy *make_notes(void)
{
    struct osr_policy_builder *builder = begin();

    add_role(builder, "editor-of-notes");
    allow(builder, "editor-of-notes", BIT(READ) | BIT(WRITE), "collection:notes*");
    deny(builder, "editor-of-notes", BIT(WRITE), "collection:notes-archive");
    ADD_MEMBER(builder, "user:ana", "editor-of-notes");
    return osr_policy_build(builder);
}

static const struct {
    const char *who;
    enum osr_action action;
    const char *part;
    bool is_allowed;
} notes_answers[] = {
    {"user:ana", OSR_ACTION_READ, "collection:notes", true}, /* a rest of nothing */
    {"user:ana", OSR_ACTION_READ, "collection:notes-archive", true},
    {"user:ana", OSR_ACTION_WRITE, "collection:notes-archive", false},
    {"user:ana", OSR_ACTION_WRITE, "collection:notes-archives", true},
    {"user:ana", OSR_ACTION_WRITE, "collection:notes-archiv", true},
    {"user:ana", OSR_ACTION_WRITE, "collection:notes*", true},
    {"user:ana", OSR_ACTION_WRITE, "collection:note", false},
    {"user:ana", OSR_ACTION_WRITE, "key:notes", false},
    {"user:ana", OSR_ACTION_APPEND, "collection:notes", false},
    {"user:an", OSR_ACTION_READ, "collection:notes", false},
    {"user:anas", OSR_ACTION_READ, "collection:notes", false},
    {"token:ana", OSR_ACTION_READ, "collection:notes", false},
    {"", OSR_ACTION_READ, "collection:notes", false},
};

/* Allowed where a rule says so and none denies it; denied everywhere else. */
static void policy_answers_by_its_rules(void **state)
{
    (void)state;
    struct osr_policy *policy = make_notes();

    for (size_t i = 0; i < sizeof(notes_answers) / sizeof(notes_answers[0]); i++) {
        assert_int_equal(
            may(policy, notes_answers[i].who, notes_answers[i].action, notes_answers[i].part),
            notes_answers[i].is_allowed);
    }
    osr_policy_destroy(policy);
}

/* Whichever role and whichever width it comes from, what one rule denies no other allows. */
static void policy_denial_beats_allowance_of_another_role(void **state)
{
    (void)state;
    struct osr_policy_builder *builder = begin();

    add_role(builder, "no-drafts");
    deny(builder, "no-drafts", BIT(READ), "collection:drafts*");
    add_role(builder, "one-draft");
    allow(builder, "one-draft", BIT(READ), "collection:drafts-mine");
    ADD_MEMBER(builder, "user:ana", "one-draft", "no-drafts", "reader");
    struct osr_policy *policy = osr_policy_build(builder);

    assert_false(may(policy, "user:ana", OSR_ACTION_READ, "collection:drafts-mine"));
    assert_true(may(policy, "user:ana", OSR_ACTION_READ, "collection:notes"));
    osr_policy_destroy(policy);
}

/* Of several members that cover an identity the most specific one counts, and no other adds to it.
 */
static void policy_counts_the_most_specific_member_alone(void **state)
{
    (void)state;
    struct osr_policy_builder *builder = begin();

    add_role(builder, "guest");
    allow(builder, "guest", BIT(APPEND), "collection:guest-book");
    ADD_MEMBER(builder, "user:*", "guest");
    ADD_MEMBER(builder, "user:ops-*", "reader");
    ADD_MEMBER(builder, "user:ops-ana", "editor");
    struct osr_policy *policy = osr_policy_build(builder);

    assert_true(may(policy, "user:bob", OSR_ACTION_APPEND, "collection:guest-book"));
    assert_false(may(policy, "user:bob", OSR_ACTION_READ, "collection:notes"));
    assert_false(may(policy, "user:ops-bob", OSR_ACTION_APPEND, "collection:guest-book"));
    assert_true(may(policy, "user:ops-bob", OSR_ACTION_READ, "collection:notes"));
    assert_false(may(policy, "user:ops-bob", OSR_ACTION_WRITE, "collection:notes"));
    assert_false(may(policy, "user:ops-ana", OSR_ACTION_APPEND, "collection:guest-book"));
    assert_true(may(policy, "user:ops-ana", OSR_ACTION_WRITE, "collection:notes"));
    osr_policy_destroy(policy);
}

/* One of many is shut out by name, while the others keep what they have by default. */
static void policy_member_without_roles_shuts_out(void **state)
{
    (void)state;
    struct osr_policy_builder *builder = begin();

    ADD_MEMBER(builder, "instance:lost", NULL);
    struct osr_policy *policy = osr_policy_build(builder);

    assert_false(may(policy, "instance:lost", OSR_ACTION_LINK, "instance:"));
    assert_false(may(policy, "instance:lost", OSR_ACTION_LEAD, "stream:kb"));
    assert_true(may(policy, "instance:losts", OSR_ACTION_LEAD, "stream:kb"));
    assert_true(may(policy, "instance:los", OSR_ACTION_LEAD, "stream:kb"));
    osr_policy_destroy(policy);
}

/* A name and the pattern that begins with all of it are two members, and the name is the narrower.
 */
static void policy_tells_a_name_from_its_pattern(void **state)
{
    (void)state;
    struct osr_policy_builder *builder = begin();

    ADD_MEMBER(builder, "user:ana", "reader");
    ADD_MEMBER(builder, "user:ana*", "seed");
    struct osr_policy *policy = osr_policy_build(builder);

    assert_true(may(policy, "user:ana", OSR_ACTION_READ, "collection:notes"));
    assert_false(may(policy, "user:ana", OSR_ACTION_APPEND, "collection:notes"));
    assert_false(may(policy, "user:anas", OSR_ACTION_READ, "collection:notes"));
    assert_true(may(policy, "user:anas", OSR_ACTION_APPEND, "collection:notes"));
    assert_true(osr_policy_names(policy, "user:ana"));
    assert_false(osr_policy_names(policy, "user:anas"));
    assert_false(osr_policy_names(policy, "user:ana*"));
    assert_false(osr_policy_names(policy, "user:bob"));
    assert_false(osr_policy_names(policy, "instance:x"));
    osr_policy_destroy(policy);
}

/* The stream of trust is led by those alone who are given that role; peers follow it. */
static void policy_gives_trust_to_authorities(void **state)
{
    (void)state;
    struct osr_policy_builder *builder = begin();

    ADD_MEMBER(builder, "instance:ca", "peer", "authority");
    struct osr_policy *policy = osr_policy_build(builder);

    assert_true(may(policy, "instance:ca", OSR_ACTION_LEAD, "stream:trust"));
    assert_true(may(policy, "instance:ca", OSR_ACTION_LEAD, "stream:kb"));
    assert_false(may(policy, "instance:x", OSR_ACTION_LEAD, "stream:trust"));
    assert_true(may(policy, "instance:x", OSR_ACTION_FOLLOW, "stream:trust"));
    osr_policy_destroy(policy);
}

/* A '*' stands for any rest at the end alone, and everywhere else for itself. */
static void policy_star_inside_is_itself(void **state)
{
    (void)state;
    struct osr_policy_builder *builder = begin();

    add_role(builder, "stars");
    allow(builder, "stars", BIT(READ), "collection:a*c");
    allow(builder, "stars", BIT(READ), "key:**");
    ADD_MEMBER(builder, "user:a*b", "stars");
    struct osr_policy *policy = osr_policy_build(builder);

    assert_true(may(policy, "user:a*b", OSR_ACTION_READ, "collection:a*c"));
    assert_false(may(policy, "user:a*b", OSR_ACTION_READ, "collection:abc"));
    assert_true(may(policy, "user:a*b", OSR_ACTION_READ, "key:*x"));
    assert_false(may(policy, "user:a*b", OSR_ACTION_READ, "key:x"));
    assert_false(may(policy, "user:axb", OSR_ACTION_READ, "collection:a*c"));
    osr_policy_destroy(policy);
}

/* Names of questions are bytes; none ends them, and the longest are no shorter ones. */
static void policy_takes_names_of_any_bytes(void **state)
{
    (void)state;
    struct osr_policy *policy = make_notes();
    const struct osr_policy_subject *ana = osr_policy_subject(policy, "user:ana");
    static const char archive[] = "notes-archive"; /* asked with its NUL */
    char name[1000] = "notes";
    struct osr_part part = {OSR_PART_COLLECTION, osr_slice(archive, sizeof(archive))};

    assert_true(osr_policy_allows(ana, OSR_ACTION_WRITE, part));
    part.name.size--;
    assert_false(osr_policy_allows(ana, OSR_ACTION_WRITE, part));
    memset(name + 5, 0xff, sizeof(name) - 5);
    part.name = osr_slice(name, sizeof(name));
    assert_true(osr_policy_allows(ana, OSR_ACTION_WRITE, part));
    part.name = osr_slice(NULL, 0);
    assert_false(osr_policy_allows(ana, OSR_ACTION_READ, part));
    osr_policy_destroy(policy);
}

/* A list is opened to who may see one row of it, and to nobody else. */
static void policy_knows_whether_anything_of_a_kind_is_allowed(void **state)
{
    (void)state;
    struct osr_policy_builder *builder = begin();

    add_role(builder, "narrow");
    allow(builder, "narrow", BIT(READ), "collection:a");
    add_role(builder, "nothing-left");
    allow(builder, "nothing-left", BIT(READ), "key:a*");
    allow(builder, "nothing-left", BIT(READ), "key:b");
    deny(builder, "nothing-left", BIT(READ), "key:*");
    add_role(builder, "all-but-one");
    allow(builder, "all-but-one", BIT(READ), "*");
    deny(builder, "all-but-one", BIT(READ), "task:image");
    struct osr_policy *policy = osr_policy_build(builder);
    const char *const roles[] = {"narrow", "nothing-left"};
    const char *const wide[] = {"all-but-one"};
    struct osr_policy_subject *subject = NULL;

    assert_int_equal(osr_policy_subject_of_roles(policy, roles, 2, &subject, NULL), 0);
    assert_true(osr_policy_allows_some(subject, OSR_ACTION_READ, OSR_PART_COLLECTION));
    assert_false(osr_policy_allows_some(subject, OSR_ACTION_WRITE, OSR_PART_COLLECTION));
    assert_false(osr_policy_allows_some(subject, OSR_ACTION_READ, OSR_PART_KEY));
    assert_false(osr_policy_allows_some(subject, OSR_ACTION_READ, OSR_PART_TASK));
    assert_false(osr_policy_allows_some(NULL, OSR_ACTION_READ, OSR_PART_COLLECTION));
    osr_policy_subject_destroy(subject);
    assert_int_equal(osr_policy_subject_of_roles(policy, wide, 1, &subject, NULL), 0);
    assert_true(osr_policy_allows_some(subject, OSR_ACTION_READ, OSR_PART_TASK));
    assert_true(osr_policy_allows_some(subject, OSR_ACTION_READ, OSR_PART_KEY));
    osr_policy_subject_destroy(subject);
    osr_policy_destroy(policy);
}

/* A token's scope is the roles that are named, and must be roles. */
static void policy_makes_subjects_of_roles(void **state)
{
    (void)state;
    struct osr_policy *policy = make_notes();
    const char *const roles[] = {"reader", "seed"};
    const char *const wrong[] = {"reader", "seeed"};
    struct osr_policy_subject *subject = NULL;
    struct osr_err err;

    assert_int_equal(osr_policy_subject_of_roles(policy, wrong, 2, &subject, &err), OSR_NOT_FOUND);
    assert_null(subject);
    assert_string_equal(err.message, "no role is called 'seeed'");
    assert_string_equal(err.hint, "did you mean 'seed'?");
    assert_int_equal(osr_policy_subject_of_roles(policy, roles, 2, &subject, &err), 0);
    struct osr_part part = osr_part(OSR_PART_COLLECTION, "x");
    assert_true(osr_policy_allows(subject, OSR_ACTION_READ, part));
    assert_true(osr_policy_allows(subject, OSR_ACTION_APPEND, part));
    assert_false(osr_policy_allows(subject, OSR_ACTION_WRITE, part));
    osr_policy_subject_destroy(subject);
    osr_policy_destroy(policy);
}

/* -- defaults -- */

static const struct {
    const char *part;
    enum osr_action action;
    const char *who; /* of those below, ended by spaces */
} default_answers[] = {
    {"instance:", OSR_ACTION_LINK, "admin local anonymous instance:x key:k subject:s "},
    {"stream:kb", OSR_ACTION_FOLLOW, "admin instance:x "},
    {"stream:kb", OSR_ACTION_LEAD, "admin instance:x "},
    {"stream:trust", OSR_ACTION_FOLLOW, "admin instance:x "},
    {"stream:trust", OSR_ACTION_LEAD, "admin "},
    {"collection:x", OSR_ACTION_APPEND, "admin seed "},
    {"collection:x", OSR_ACTION_READ, "admin local "},
    {"collection:x", OSR_ACTION_WRITE, "admin local "},
    {"key:x", OSR_ACTION_READ, "admin local "},
    {"key:x", OSR_ACTION_WRITE, "admin local "},
    {"task:x", OSR_ACTION_READ, "admin "},
    {"task:x", OSR_ACTION_WRITE, "admin "},
    {"instance:", OSR_ACTION_VOTE, "admin instance:x "},
    {"instance:", OSR_ACTION_OBSERVE, "admin local "},
    {"stream:kb", OSR_ACTION_OBSERVE, "admin local "},
    {"instance:", OSR_ACTION_OPERATE, "admin "},
    {"stream:kb", OSR_ACTION_OPERATE, "admin "},
    {"instance:", OSR_ACTION_TRUST, "admin "},
    {"instance:", OSR_ACTION_AUDIT, "admin "},
};

/* The whole matrix of what nobody had to configure: every action, on every kind of part that it is
 * asked about, for every kind of identity. */
static void policy_has_defaults(void **state)
{
    (void)state;
    static const char *const whos[] = {"admin",    "local",      "seed",  "anonymous", "instance:x",
                                       "user:ana", "token:auto", "key:k", "subject:s"};
    struct osr_policy *policy = osr_policy_build(begin());
    unsigned asked[OSR_ACTION_COUNT] = {0};

    for (size_t i = 0; i < sizeof(default_answers) / sizeof(default_answers[0]); i++) {
        struct osr_part part;
        assert_int_equal(osr_part_parse(default_answers[i].part, &part, NULL), 0);
        asked[default_answers[i].action] |= 1u << part.kind;
        for (size_t j = 0; j < sizeof(whos) / sizeof(whos[0]); j++) {
            char word[32];
            snprintf(word, sizeof(word), "%s ", whos[j]);
            assert_int_equal(
                may(policy, whos[j], default_answers[i].action, default_answers[i].part),
                strstr(default_answers[i].who, word) != NULL);
        }
    }
    for (size_t i = 0; i < OSR_ACTION_COUNT; i++) {
        assert_int_equal(asked[i], osr_action_info((enum osr_action)i)->kinds);
    }
    osr_policy_destroy(policy);
}

/* What a member says replaces what it had by default, nothing included; other defaults stay. */
static void policy_member_replaces_its_default(void **state)
{
    (void)state;
    struct osr_policy_builder *builder = begin();

    ADD_MEMBER(builder, "local", "reader");
    ADD_MEMBER(builder, "instance:*", NULL);
    struct osr_policy *policy = osr_policy_build(builder);

    assert_true(may(policy, "local", OSR_ACTION_READ, "collection:x"));
    assert_false(may(policy, "local", OSR_ACTION_WRITE, "collection:x"));
    assert_false(may(policy, "instance:x", OSR_ACTION_LINK, "instance:"));
    assert_true(may(policy, "anonymous", OSR_ACTION_LINK, "instance:"));
    osr_policy_destroy(policy);
}

/* What is lent to those who do not show who they are is not lent to those who do. */
static void policy_anonymous_is_no_fallback(void **state)
{
    (void)state;
    struct osr_policy_builder *builder = begin();

    ADD_MEMBER(builder, "anonymous", "reader");
    struct osr_policy *policy = osr_policy_build(builder);

    assert_true(may(policy, "anonymous", OSR_ACTION_READ, "collection:x"));
    assert_false(may(policy, "user:ana", OSR_ACTION_READ, "collection:x"));
    assert_false(may(policy, "instance:x", OSR_ACTION_READ, "collection:x"));
    osr_policy_destroy(policy);
}

/* -- what is refused -- */

static const struct {
    const char *part;
    unsigned actions;
    const char *message;
    const char *hint;
} bad_rules[] = {
    {"", BIT(READ), "'': a part is a kind, a ':' and a name",
     "as in collection:notes, stream:kb, key:/config/x, task:image, instance:"},
    {"notes", BIT(READ), "'notes': a part is a kind, a ':' and a name",
     "as in collection:notes, stream:kb, key:/config/x, task:image, instance:"},
    {"colection:notes", BIT(READ), "no kind of part is called 'colection'",
     "did you mean 'collection'?"},
    {"user:ana", BIT(READ), "no kind of part is called 'user'",
     "kinds of parts are instance stream collection key task"},
    {":notes", BIT(READ), "no kind of part is called ''",
     "kinds of parts are instance stream collection key task"},
    {"collection:", BIT(READ), "'collection:': the name is missing behind the ':'", ""},
    {"instance:x", BIT(LINK), "'instance:x': such a part has no name: nothing follows the ':'", ""},
    {"collection:a\nb", BIT(READ), "'collection:a?b': not UTF-8, or with control characters", ""},
    {"collection:\xff", BIT(READ), NULL, ""},
    {"stream:kb", BIT(FOLLOW) | BIT(WRITE), "'write' is never asked about 'stream:kb'",
     "it goes with collection:, key:, task:"},
    {"collection:kb", BIT(FOLLOW), "'follow' is never asked about 'collection:kb'",
     "it goes with stream:"},
};

/* A rule that would never speak is refused, with what was probably meant. */
static void policy_refuses_rules_that_never_speak(void **state)
{
    (void)state;
    struct osr_policy_builder *builder = begin();

    add_role(builder, "r");
    for (size_t i = 0; i < sizeof(bad_rules) / sizeof(bad_rules[0]); i++) {
        struct osr_err err = {0};
        assert_int_equal(osr_policy_add_rule(builder, "r", true, bad_rules[i].actions,
                                             bad_rules[i].part, "f:1", &err),
                         OSR_INVALID_ARGUMENT);
        if (bad_rules[i].message != NULL) {
            assert_string_equal(err.message, bad_rules[i].message);
        }
        assert_string_equal(err.hint, bad_rules[i].hint);
    }
    osr_policy_builder_destroy(builder);
}

static const struct {
    const char *who;
    enum osr_code code;
    const char *message;
    const char *hint;
} bad_members[] = {
    {"ana", OSR_INVALID_ARGUMENT, "no identity is called 'ana'",
     "a member is local, seed, anonymous, or a kind, a ':' and a name, as in user:ana or "
     "instance:*"},
    {"anonymos", OSR_INVALID_ARGUMENT, "no identity is called 'anonymos'",
     "did you mean 'anonymous'?"},
    {"*", OSR_INVALID_ARGUMENT, "no identity is called '*'",
     "a member is local, seed, anonymous, or a kind, a ':' and a name, as in user:ana or "
     "instance:*"},
    {"local*", OSR_INVALID_ARGUMENT, "no identity is called 'local*'", "did you mean 'local'?"},
    {"usr:ana", OSR_INVALID_ARGUMENT, "no kind of identity is called 'usr'",
     "did you mean 'user'?"},
    {"*:ana", OSR_INVALID_ARGUMENT, "no kind of identity is called '*'",
     "kinds of identities are user instance key token subject client"},
    {"user:", OSR_INVALID_ARGUMENT, "'user:': the name is missing behind the ':'", ""},
    {"admin", OSR_ALREADY_EXISTS, "'admin' is an administrator in every policy", "leave it out"},
    {"user:twice", OSR_ALREADY_EXISTS, "the member 'user:twice' is there twice", ""},
};

/* A member that nobody could ever be is refused, and so is one that is there. */
static void policy_refuses_members_that_are_none(void **state)
{
    (void)state;
    struct osr_policy_builder *builder = begin();

    ADD_MEMBER(builder, "user:twice", NULL);
    for (size_t i = 0; i < sizeof(bad_members) / sizeof(bad_members[0]); i++) {
        struct osr_err err = {0};
        assert_int_equal(osr_policy_add_member(builder, bad_members[i].who, &err),
                         bad_members[i].code);
        assert_string_equal(err.message, bad_members[i].message);
        assert_string_equal(err.hint, bad_members[i].hint);
    }
    osr_policy_builder_destroy(builder);
}

/* Roles: names that are none, those that are there, and the defaults, which stay as they are. */
static void policy_refuses_roles_that_are_none(void **state)
{
    (void)state;
    struct osr_policy_builder *builder = begin();
    struct osr_err err;

    add_role(builder, "mine");
    assert_int_equal(osr_policy_add_role(builder, "", &err), OSR_INVALID_ARGUMENT);
    assert_int_equal(osr_policy_add_role(builder, "a b", &err), OSR_INVALID_ARGUMENT);
    assert_int_equal(osr_policy_add_role(builder, "mine", &err), OSR_ALREADY_EXISTS);
    assert_string_equal(err.message, "the role 'mine' is there twice");
    assert_int_equal(osr_policy_add_role(builder, "reader", &err), OSR_ALREADY_EXISTS);
    assert_string_equal(err.message, "the role 'reader' is the same in every policy");
    assert_int_equal(osr_policy_add_rule(builder, "reader", true, BIT(READ), "key:*", "f:1", &err),
                     OSR_ALREADY_EXISTS);
    assert_int_equal(osr_policy_add_rule(builder, "mien", true, BIT(READ), "key:*", "f:1", &err),
                     OSR_NOT_FOUND);
    assert_string_equal(err.hint, "did you mean 'mine'?");
    assert_int_equal(osr_policy_give_role(builder, "user:ana", "mine", "f:1", &err), OSR_NOT_FOUND);
    assert_int_equal(osr_policy_give_role(builder, "local", "mine", "f:1", &err), OSR_NOT_FOUND);
    ADD_MEMBER(builder, "user:ana", "mine");
    assert_int_equal(osr_policy_give_role(builder, "user:ana", "mine", "f:1", &err),
                     OSR_ALREADY_EXISTS);
    assert_string_equal(err.message, "'user:ana' is given the role 'mine' twice");
    osr_policy_builder_destroy(builder);
}

/* Each limit holds, and what was added up to it still works. */
static void policy_has_limits(void **state)
{
    (void)state;
    struct osr_policy_builder *builder = osr_policy_builder_create();
    char text[OSR_POLICY_NAME_BYTES_MAX + 2];
    struct osr_err err;

    for (int i = 0; i < OSR_POLICY_ROLES_MAX; i++) {
        snprintf(text, sizeof(text), "r%d", i);
        add_role(builder, text);
    }
    assert_int_equal(osr_policy_add_role(builder, "more", &err), OSR_TOO_LARGE);
    for (int i = 0; i < OSR_POLICY_RULES_MAX; i++) {
        snprintf(text, sizeof(text), "collection:%d", i);
        allow(builder, "r0", BIT(READ), text);
    }
    assert_int_equal(osr_policy_add_rule(builder, "r0", true, BIT(READ), "key:a", "", &err),
                     OSR_TOO_LARGE);
    for (int i = 0; i < OSR_POLICY_MEMBERS_MAX; i++) {
        snprintf(text, sizeof(text), "user:%d", i);
        ADD_MEMBER(builder, text, "r0", "r1", "r2", "r3");
    }
    assert_int_equal(osr_policy_add_member(builder, "user:more", &err), OSR_TOO_LARGE);
    assert_int_equal(osr_policy_give_role(builder, "user:0", "r4", "", &err), OSR_TOO_LARGE);
    struct osr_policy *policy = osr_policy_build(builder);
    assert_true(may(policy, "user:4095", OSR_ACTION_READ, "collection:4095"));
    assert_false(may(policy, "user:4096", OSR_ACTION_READ, "collection:4095"));
    assert_false(may(policy, "user:4095", OSR_ACTION_READ, "collection:4096"));
    osr_policy_destroy(policy);
}

/* The longest names are taken, longer ones are not. */
static void policy_names_have_a_greatest_length(void **state)
{
    (void)state;
    struct osr_policy_builder *builder = begin();
    char role[OSR_POLICY_NAME_BYTES_MAX + 2];
    char part[OSR_POLICY_NAME_BYTES_MAX + 2] = "collection:";
    char who[OSR_POLICY_NAME_BYTES_MAX + 2] = "user:";

    memset(role, 'a', sizeof(role) - 1);
    role[sizeof(role) - 1] = '\0';
    memset(part + strlen(part), 'a', sizeof(part) - 1 - strlen(part));
    memset(who + strlen(who), 'a', sizeof(who) - 1 - strlen(who));
    assert_int_equal(osr_policy_add_role(builder, role, NULL), OSR_TOO_LARGE);
    assert_int_equal(osr_policy_add_member(builder, who, NULL), OSR_TOO_LARGE);
    add_role(builder, role + 1);
    assert_int_equal(osr_policy_add_rule(builder, role + 1, true, BIT(READ), part, "f:1", NULL),
                     OSR_TOO_LARGE);
    part[OSR_POLICY_NAME_BYTES_MAX] = '\0';
    who[OSR_POLICY_NAME_BYTES_MAX] = '\0';
    allow(builder, role + 1, BIT(READ), part);
    ADD_MEMBER(builder, who, role + 1);
    struct osr_policy *policy = osr_policy_build(builder);
    assert_true(may(policy, who, OSR_ACTION_READ, part));
    osr_policy_destroy(policy);
}

/* Actions are read by name. */
static void policy_reads_actions(void **state)
{
    (void)state;
    enum osr_action action = OSR_ACTION_COUNT;
    struct osr_err err;

    for (size_t i = 0; i < OSR_ACTION_COUNT; i++) {
        assert_int_equal(osr_action_parse(osr_action_info((enum osr_action)i)->name, &action, &err),
                         0);
        assert_int_equal(action, i);
    }
    assert_int_equal(osr_action_parse("wirte", &action, &err), OSR_INVALID_ARGUMENT);
    assert_string_equal(err.message, "no action is called 'wirte'");
    assert_string_equal(err.hint, "did you mean 'write'?");
    assert_int_equal(osr_action_parse("fly", &action, &err), OSR_INVALID_ARGUMENT);
    assert_string_equal(err.hint, "actions are link follow lead append read write vote observe "
                                  "operate trust audit");
}

/* -- for people -- */

struct explanation {
    const char *who;
    enum osr_action action;
    const char *part;
    const char *text;
};

static void assert_explained(const struct osr_policy *policy, const struct explanation *expected)
{
    struct osr_buffer text = {0};
    struct osr_part part;

    assert_int_equal(osr_part_parse(expected->part, &part, NULL), 0);
    osr_policy_explain(policy, expected->who, expected->action, part, &text);
    osr_buffer_add_u8(&text, 0);
    assert_string_equal(text.data, expected->text);
    osr_buffer_done(&text);
}

static const struct explanation explanations[] = {
    {"user:ana", OSR_ACTION_WRITE, "collection:notes-archive",
     "user:ana has the role editor-of-notes (f:3)\n"
     "role editor-of-notes allows write on collection:notes* (f:1)\n"
     "role editor-of-notes denies write on collection:notes-archive (f:2)\n"
     "denied: what one rule denies no other can allow\n"},
    {"user:ana", OSR_ACTION_READ, "collection:notes-archive",
     "user:ana has the role editor-of-notes (f:3)\n"
     "role editor-of-notes allows read on collection:notes* (f:1)\n"
     "allowed\n"},
    {"user:ana", OSR_ACTION_READ, "collection:x",
     "user:ana has the role editor-of-notes (f:3)\n"
     "denied: no rule allows it\n"},
    {"user:bob", OSR_ACTION_READ, "collection:notes",
     "no role: no member is or covers this identity\n"
     "denied: no rule allows it\n"},
    {"instance:x", OSR_ACTION_LEAD, "stream:kb",
     "instance:* has the role peer (by default)\n"
     "role peer allows lead on stream:kb (by default)\n"
     "allowed\n"},
};

/* Each role that is had and each rule that speaks has its line; what follows from them is last. */
static void policy_explains_its_answers(void **state)
{
    (void)state;
    struct osr_policy *policy = make_notes();

    for (size_t i = 0; i < sizeof(explanations) / sizeof(explanations[0]); i++) {
        assert_explained(policy, &explanations[i]);
    }
    osr_policy_destroy(policy);
}

static const struct explanation explanations_of_overrides[] = {
    {"user:ops-ana", OSR_ACTION_READ, "collection:notes",
     "user:ops-ana is more specific than user:*, whose roles do not count\n"
     "user:ops-ana is more specific than user:ops-*, whose roles do not count\n"
     "user:ops-ana has no role\n"
     "denied: no rule allows it\n"},
    {"user:ops-bob", OSR_ACTION_READ, "collection:notes",
     "user:ops-* is more specific than user:*, whose roles do not count\n"
     "user:ops-* has the role reader (f:3)\n"
     "role reader allows read on collection:* (by default)\n"
     "allowed\n"},
    {"user:bob", OSR_ACTION_READ, "collection:notes",
     "user:* has the role seed (f:3)\n"
     "denied: no rule allows it\n"},
};

/* Each wider member that the one that counts overrides has its line. */
static void policy_explains_what_is_overridden(void **state)
{
    (void)state;
    struct osr_policy_builder *builder = begin();

    ADD_MEMBER(builder, "user:ops-ana", NULL);
    ADD_MEMBER(builder, "user:*", "seed");
    ADD_MEMBER(builder, "user:ops-*", "reader");
    struct osr_policy *policy = osr_policy_build(builder);
    for (size_t i = 0; i < sizeof(explanations_of_overrides) / sizeof(struct explanation); i++) {
        assert_explained(policy, &explanations_of_overrides[i]);
    }
    osr_policy_destroy(policy);
}

/* A subject made of roles is explained without saying who has them. */
static void policy_explains_subjects_of_roles(void **state)
{
    (void)state;
    struct osr_policy_builder *builder = begin();
    const char *const roles[] = {"shut"};
    struct osr_policy_subject *subject = NULL;
    struct osr_buffer text = {0};

    add_role(builder, "shut");
    deny(builder, "shut", BIT(READ), "*");
    struct osr_policy *policy = osr_policy_build(builder);
    assert_int_equal(osr_policy_subject_of_roles(policy, roles, 1, &subject, NULL), 0);
    assert_false(
        osr_policy_explain_subject(subject, OSR_ACTION_READ, osr_part(OSR_PART_KEY, "k"), &text));
    osr_buffer_add_u8(&text, 0);
    assert_string_equal(text.data, "role shut denies read on * (f:2)\ndenied: by rule\n");
    osr_buffer_done(&text);
    osr_policy_subject_destroy(subject);
    osr_policy_destroy(policy);
}

/* docs/access.md has a row for each action, kind of part, identity and kind of identity, with what
 * it means. */
static void policy_is_documented(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        const char *meaning;
    } rows[] = {
#define ACTION_ROW(name, text, kinds, meaning)        {text, meaning},
#define PART_KIND_ROW(name, text, has_names, meaning) {text ":", meaning},
#define IDENTITY_ROW(name, text, meaning)             {text, meaning},
#define IDENTITY_KIND_ROW(text, meaning)              {text ":", meaning},
        OSR_ACTIONS(ACTION_ROW) OSR_PART_KINDS(PART_KIND_ROW) OSR_IDENTITIES(IDENTITY_ROW)
            OSR_IDENTITY_KINDS(IDENTITY_KIND_ROW)};
    struct osr_buffer page = {0};
    FILE *file = fopen(OSR_SOURCE_FOLDER "/docs/access.md", "re");

    assert_non_null(file);
    for (int byte = fgetc(file); byte != EOF; byte = fgetc(file)) {
        osr_buffer_add_u8(&page, (uint8_t)byte);
    }
    fclose(file);
    osr_buffer_add_u8(&page, 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *row = osr_format("\n| `%s` | %s |", rows[i].word, rows[i].meaning);
        if (strstr((const char *)page.data, row) == NULL) {
            fail_msg("docs/access.md lacks the row:%s", row);
        }
        free(row);
    }
    osr_buffer_done(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policy_answers_by_its_rules),
        cmocka_unit_test(policy_denial_beats_allowance_of_another_role),
        cmocka_unit_test(policy_counts_the_most_specific_member_alone),
        cmocka_unit_test(policy_member_without_roles_shuts_out),
        cmocka_unit_test(policy_tells_a_name_from_its_pattern),
        cmocka_unit_test(policy_gives_trust_to_authorities),
        cmocka_unit_test(policy_star_inside_is_itself),
        cmocka_unit_test(policy_takes_names_of_any_bytes),
        cmocka_unit_test(policy_knows_whether_anything_of_a_kind_is_allowed),
        cmocka_unit_test(policy_makes_subjects_of_roles),
        cmocka_unit_test(policy_has_defaults),
        cmocka_unit_test(policy_member_replaces_its_default),
        cmocka_unit_test(policy_anonymous_is_no_fallback),
        cmocka_unit_test(policy_refuses_rules_that_never_speak),
        cmocka_unit_test(policy_refuses_members_that_are_none),
        cmocka_unit_test(policy_refuses_roles_that_are_none),
        cmocka_unit_test(policy_has_limits),
        cmocka_unit_test(policy_names_have_a_greatest_length),
        cmocka_unit_test(policy_reads_actions),
        cmocka_unit_test(policy_explains_its_answers),
        cmocka_unit_test(policy_explains_what_is_overridden),
        cmocka_unit_test(policy_explains_subjects_of_roles),
        cmocka_unit_test(policy_is_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
