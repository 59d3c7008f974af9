#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/config.h"
#include "node/config_file.h"

static int parse(const char *text, struct osr_config *config, struct osr_err *err)
{
    return osr_config_file_parse("f.yaml", osr_slice_text(text), config, err);
}

/* Takes the file, which must be right. */
static struct osr_config parse_right(const char *text)
{
    struct osr_config config = {0};
    struct osr_err err = {0};

    int code = parse(text, &config, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(code, 0);
    return config;
}

static bool may(const struct osr_config *config, const char *who, enum osr_action action,
                const char *text)
{
    struct osr_part part;
    assert_int_equal(osr_part_parse(text, &part, NULL), 0);
    return osr_policy_allows(osr_policy_subject(config->access, who), action, part);
}

static const char example[] = "name: library\n"
                              "access:\n"
                              "  roles:\n"
                              "    editor-of-notes:\n"
                              "      - allow: [read, write]\n"
                              "        on: \"collection:notes*\"\n"
                              "      - deny: write\n"
                              "        on: \"collection:notes-archive\"\n"
                              "  members:\n"
                              "    \"user:ana\": [editor-of-notes, seed]\n"
                              "    \"instance:*\": [peer]\n"
                              "cluster: home\n";

/* The example of the documentation means what it says, and the keys around it are read. */
static void access_config_makes_a_policy(void **state)
{
    (void)state;
    struct osr_config config = parse_right(example);

    assert_string_equal(config.name, "library");
    assert_string_equal(config.cluster, "home");
    assert_true(may(&config, "user:ana", OSR_ACTION_READ, "collection:notes-archive"));
    assert_true(may(&config, "user:ana", OSR_ACTION_WRITE, "collection:notes"));
    assert_false(may(&config, "user:ana", OSR_ACTION_WRITE, "collection:notes-archive"));
    assert_true(may(&config, "user:ana", OSR_ACTION_APPEND, "collection:other"));
    assert_false(may(&config, "user:ana", OSR_ACTION_READ, "collection:other"));
    assert_false(may(&config, "user:bob", OSR_ACTION_READ, "collection:notes"));
    assert_true(may(&config, "instance:x", OSR_ACTION_LEAD, "stream:kb"));
    assert_true(may(&config, "admin", OSR_ACTION_TRUST, "instance:"));
    osr_config_done(&config);
}

/* One instance is shut out by name, another may say whom to trust; all others are peers. */
static void access_config_counts_the_most_specific_member(void **state)
{
    (void)state;
    struct osr_config config = parse_right("access:\n"
                                           "  members:\n"
                                           "    \"instance:*\": peer\n"
                                           "    \"instance:lost\": []\n"
                                           "    \"instance:ca\": [peer, authority]\n");

    assert_true(may(&config, "instance:x", OSR_ACTION_LINK, "instance:"));
    assert_false(may(&config, "instance:x", OSR_ACTION_LEAD, "stream:trust"));
    assert_false(may(&config, "instance:lost", OSR_ACTION_LINK, "instance:"));
    assert_true(may(&config, "instance:ca", OSR_ACTION_LEAD, "stream:trust"));
    assert_true(osr_policy_names(config.access, "instance:lost"));
    assert_false(osr_policy_names(config.access, "instance:x"));
    osr_config_done(&config);
}

/* An explanation names the lines of the file. */
static void access_config_remembers_its_lines(void **state)
{
    (void)state;
    struct osr_config config = parse_right(example);
    struct osr_buffer text = {0};

    assert_false(osr_policy_explain(config.access, "user:ana", OSR_ACTION_WRITE,
                                    osr_part(OSR_PART_COLLECTION, "notes-archive"), &text));
    osr_buffer_add_u8(&text, 0);
    assert_string_equal(text.data,
                        "user:ana has the role editor-of-notes (f.yaml:10)\n"
                        "user:ana has the role seed (f.yaml:10)\n"
                        "role editor-of-notes allows write on collection:notes* (f.yaml:6)\n"
                        "role editor-of-notes denies write on collection:notes-archive (f.yaml:8)\n"
                        "denied: what one rule denies no other can allow\n");
    osr_buffer_done(&text);
    osr_config_done(&config);
}

/* Members may stand above the roles that they have, keys of a rule in any order, and a rule may be
 * about several parts. */
static void access_config_takes_any_order(void **state)
{
    (void)state;
    struct osr_config config = parse_right("access:\n"
                                           "  members: {'user:ana': r}\n"
                                           "  roles:\n"
                                           "    r:\n"
                                           "    - on: ['collection:a', 'key:b*']\n"
                                           "      allow: read\n"
                                           "    empty: []\n");

    assert_true(may(&config, "user:ana", OSR_ACTION_READ, "collection:a"));
    assert_true(may(&config, "user:ana", OSR_ACTION_READ, "key:bb"));
    assert_false(may(&config, "user:ana", OSR_ACTION_READ, "key:a"));
    osr_config_done(&config);
}

/* A member that is given nothing has nothing, whatever it had by default; the others stay. */
static void access_config_takes_defaults_away(void **state)
{
    (void)state;
    struct osr_config config = parse_right("access:\n  members:\n    local: []\n");

    assert_false(may(&config, "local", OSR_ACTION_READ, "collection:a"));
    assert_true(may(&config, "seed", OSR_ACTION_APPEND, "collection:a"));
    osr_config_done(&config);
}

/* Without the section, or with nothing in it, the defaults hold. */
static void access_config_has_defaults(void **state)
{
    (void)state;
    char program[] = "osirisd";
    char data[] = "--data=/d";
    char *argv[] = {program, data};
    struct osr_config config = parse_right("access: {}\n");
    enum osr_config_action action;

    assert_true(may(&config, "local", OSR_ACTION_WRITE, "collection:a"));
    osr_config_done(&config);
    assert_int_equal(osr_config_read(2, argv, &config, &action, NULL), 0);
    assert_true(may(&config, "local", OSR_ACTION_WRITE, "collection:a"));
    assert_false(may(&config, "user:ana", OSR_ACTION_READ, "collection:a"));
    osr_config_done(&config);
}

/* The file that --config names is the policy of the instance. */
static void access_config_comes_with_the_file(void **state)
{
    (void)state;
    char path[] = "/tmp/osiris-access-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, example, sizeof(example) - 1), sizeof(example) - 1);
    close(fd);
    char program[] = "osirisd";
    char data[] = "--data=/d";
    char *flag = osr_format("--config=%s", path);
    char *argv[] = {program, data, flag};
    struct osr_config config;
    enum osr_config_action action;

    int code = osr_config_read(3, argv, &config, &action, NULL);
    unlink(path);
    free(flag);
    assert_int_equal(code, 0);
    assert_true(may(&config, "user:ana", OSR_ACTION_WRITE, "collection:notes"));
    osr_config_done(&config);
}

#define ROLE(rule)     "access:\n  roles:\n    mine:\n      - " rule "\n"
#define MEMBER(member) "access:\n  roles: {mine: []}\n  members:\n    " member "\n"
#define RULES_FORM     "takes a list of rules, as `- allow: read` with `on: ...` below"

static const struct {
    const char *text;
    const char *message;
    const char *hint;
} bad_sections[] = {
    {"acces: {}\n", "f.yaml:1: acces: unknown key", "did you mean 'access'?"},
    {"access: {}\naccess: {}\n", "f.yaml:2: access: the key is there twice", ""},
    {"access:\n", "f.yaml:1: access: takes `roles` and `members`", ""},
    {"access: [roles]\n", "f.yaml:1: access: takes `roles` and `members`", ""},
    {"access:\n  rolls: {}\n", "f.yaml:2: rolls: unknown key", "did you mean 'roles'?"},
    {"access:\n  users: {}\n", "f.yaml:2: users: unknown key", ""},
    {"access:\n  [roles]: {}\n", "f.yaml:2: access: a key must be a word", ""},
    {"access:\n  \"rol\\0es\": {}\n", "f.yaml:2: access: the value has a NUL inside", ""},
    {"access:\n  roles: {}\n  roles: {}\n", "f.yaml:3: roles: the key is there twice", ""},
    {"access:\n  members: {}\n  members: {}\n", "f.yaml:3: members: the key is there twice", ""},
    {"access:\n  roles: mine\n", "f.yaml:2: roles: takes names of roles, and the rules of each",
     ""},
    {"access:\n  members: [admin]\n", "f.yaml:2: members: takes identities, and the roles of each",
     ""},
    {"access:\n  roles: &r {}\n", "f.yaml:2: roles: aliases, anchors and tags are not used here",
     ""},

    {"access:\n  roles:\n    a b: []\n",
     "f.yaml:3: roles: 'a b': a role's name has letters, digits, '-', '_' and '.'", ""},
    {"access:\n  roles:\n    reader: []\n",
     "f.yaml:3: roles: the role 'reader' is the same in every policy",
     "make a role of another name"},
    {"access:\n  roles:\n    mine: []\n    mine: []\n",
     "f.yaml:4: roles: the role 'mine' is there twice", ""},
    {"access:\n  roles:\n    mine: read\n", "f.yaml:3: mine: " RULES_FORM, ""},
    {ROLE("allow"), "f.yaml:4: mine: " RULES_FORM, ""},
    {ROLE("{allow: read}"), "f.yaml:4: mine: a rule has `on`: the parts that it is about", ""},
    {ROLE("{on: 'key:a'}"), "f.yaml:4: mine: a rule has either `allow` or `deny`", ""},
    {ROLE("{allow: read, deny: write, on: 'key:a'}"),
     "f.yaml:4: mine: a rule has either `allow` or `deny`", ""},
    {ROLE("{allow: read, allow: write, on: 'key:a'}"), "f.yaml:4: allow: the key is there twice",
     ""},
    {ROLE("{alow: read, on: 'key:a'}"), "f.yaml:4: alow: unknown key", "did you mean 'allow'?"},
    {ROLE("{allow: [], on: 'key:a'}"), "f.yaml:4: allow: the list is empty", ""},
    {ROLE("{allow: [[read]], on: 'key:a'}"),
     "f.yaml:4: allow: lists and mappings cannot stand inside a list", ""},
    {ROLE("{allow: {read: write}, on: 'key:a'}"),
     "f.yaml:4: allow: takes a word, or a list of words", ""},
    {ROLE("{allow: \"re\\0ad\", on: 'key:a'}"), "f.yaml:4: allow: the value has a NUL inside", ""},
    {ROLE("allow:\n        - read\n        - wirte\n        on: 'key:a'"),
     "f.yaml:6: allow: no action is called 'wirte'", "did you mean 'write'?"},
    {ROLE("deny: fly\n        on: 'key:a'"), "f.yaml:4: deny: no action is called 'fly'",
     "actions are link follow lead append read write vote observe operate trust audit"},
    {ROLE("allow: read\n        on: ['key:a',\n          'colection:b']"),
     "f.yaml:6: on: no kind of part is called 'colection'", "did you mean 'collection'?"},
    {ROLE("allow: follow\n        on: collection:b"),
     "f.yaml:5: on: 'follow' is never asked about 'collection:b'", "it goes with stream:"},

    {MEMBER("ana: mine"), "f.yaml:4: members: no identity is called 'ana'",
     "a member is local, seed, anonymous, or a kind, a ':' and a name, as in user:ana or "
     "instance:*"},
    {MEMBER("instanse:*: mine"), "f.yaml:4: members: no kind of identity is called 'instanse'",
     "did you mean 'instance'?"},
    {MEMBER("admin: mine"), "f.yaml:4: members: 'admin' is an administrator in every policy",
     "leave it out"},
    {MEMBER("local: mine\n    local: mine"), "f.yaml:5: members: the member 'local' is there twice",
     ""},
    {MEMBER("local: [reader,\n      mnie]"), "f.yaml:5: local: no role is called 'mnie'",
     "did you mean 'mine'?"},
    {MEMBER("local: [mine, mine]"), "f.yaml:4: local: 'local' is given the role 'mine' twice", ""},
    {MEMBER("local: {mine: mine}"), "f.yaml:4: local: takes a word, or a list of words", ""},
    {MEMBER("local: *mine"), "f.yaml:4: local: aliases, anchors and tags are not used here", ""},
    {"access:\n  members:\n    local: [reader\n",
     "f.yaml:4: not YAML: did not find expected ',' or ']' while parsing a flow sequence",
     "indent with spaces alone; put a value with special characters in quotes"},
};

/* Each mistake is refused with file, line, key, and what was probably meant. */
static void access_config_errors_name_file_line_and_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad_sections) / sizeof(bad_sections[0]); i++) {
        struct osr_config config = {0};
        struct osr_err err = {0};

        assert_int_equal(parse(bad_sections[i].text, &config, &err), OSR_CONFIG);
        assert_int_equal(err.code, OSR_CONFIG);
        assert_string_equal(err.message, bad_sections[i].message);
        assert_string_equal(err.hint, bad_sections[i].hint);
        osr_config_done(&config);
    }
}

/* A section of very many members is refused, not obeyed without end. */
static void access_config_has_limits(void **state)
{
    (void)state;
    struct osr_buffer text = {0};
    struct osr_config config = {0};
    struct osr_err err = {0};

    osr_buffer_add_text(&text, "access:\n  members:\n");
    for (int i = 0; i <= OSR_POLICY_MEMBERS_MAX; i++) {
        osr_buffer_add_format(&text, "    user:%d: reader\n", i);
    }
    assert_int_equal(osr_config_file_parse("f.yaml", osr_buffer_slice(&text), &config, &err),
                     OSR_CONFIG);
    assert_non_null(strstr(err.message, ": members: more than 4096 members"));
    osr_buffer_done(&text);
    osr_config_done(&config);
}

/* Every example of docs/access.md is a config file that is taken. */
static void access_config_takes_the_documented_examples(void **state)
{
    (void)state;
    struct osr_buffer page = {0};
    FILE *file = fopen(OSR_SOURCE_FOLDER "/docs/access.md", "re");
    size_t examples = 0;

    assert_non_null(file);
    for (int byte = fgetc(file); byte != EOF; byte = fgetc(file)) {
        osr_buffer_add_u8(&page, (uint8_t)byte);
    }
    fclose(file);
    osr_buffer_add_u8(&page, 0);
    for (char *at = strstr((char *)page.data, "```yaml\n"); at != NULL;
         at = strstr(at, "```yaml\n")) {
        at += strlen("```yaml\n");
        char *end = strstr(at, "```");
        assert_non_null(end);
        *end = '\0';
        struct osr_config config = parse_right(at);
        assert_non_null(config.access);
        osr_config_done(&config);
        at = end + 1;
        examples++;
    }
    assert_true(examples > 0);
    osr_buffer_done(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(access_config_makes_a_policy),
        cmocka_unit_test(access_config_counts_the_most_specific_member),
        cmocka_unit_test(access_config_remembers_its_lines),
        cmocka_unit_test(access_config_takes_any_order),
        cmocka_unit_test(access_config_takes_defaults_away),
        cmocka_unit_test(access_config_has_defaults),
        cmocka_unit_test(access_config_comes_with_the_file),
        cmocka_unit_test(access_config_errors_name_file_line_and_key),
        cmocka_unit_test(access_config_has_limits),
        cmocka_unit_test(access_config_takes_the_documented_examples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
