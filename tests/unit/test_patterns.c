#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "model/patterns.h"

enum { TEXTS_MAX = 300 };

static struct osr_pattern pattern_of(const char *text)
{
    size_t size = strlen(text);
    bool is_prefix = size > 0 && text[size - 1] == '*';
    return (struct osr_pattern){osr_slice(text, size - is_prefix), is_prefix};
}

static struct osr_patterns *make(const char *const *texts, size_t count)
{
    struct osr_pattern patterns[TEXTS_MAX] = {0};

    for (size_t i = 0; i < count; i++) {
        patterns[i] = pattern_of(texts[i]);
    }
    return osr_patterns_create(patterns, count);
}

static size_t index_of(const struct osr_patterns *set, const char *text)
{
    struct osr_pattern pattern = pattern_of(text);
    return osr_patterns_index(set, &pattern);
}

static const char *const texts[] = {"b", "a*", "ab", "ab*", "abc*", "ac", "b\xff*", "b\xff\xff"};

static struct osr_patterns *make_texts(void)
{
    return make(texts, sizeof(texts) / sizeof(texts[0]));
}

/* What narrowest pattern covers a name; NULL: none. */
static const struct {
    const char *name;
    const char *narrowest;
} found[] = {
    {"", NULL},
    {"A", NULL},
    {"a", "a*"},
    {"aa", "a*"},
    {"ab", "ab"},
    {"aba", "ab*"},
    {"abb\xff", "ab*"},
    {"abc", "abc*"},
    {"abcd", "abc*"},
    {"abd", "ab*"},
    {"ac", "ac"},
    {"ac\x01", "a*"},
    {"ad", "a*"},
    {"a\xff\xff", "a*"},
    {"b", "b"},
    {"b\x01", NULL},
    {"ba", NULL},
    {"b\xff", "b\xff*"},
    {"b\xff"
     "a",
     "b\xff*"},
    {"b\xff\xff", "b\xff\xff"},
    {"b\xff\xff\x01", "b\xff*"},
    {"c", NULL},
    {"\xff", NULL},
};

/* The narrowest of the names and prefixes that cover a name is found, at every edge. */
static void patterns_find_the_narrowest(void **state)
{
    (void)state;
    struct osr_patterns *set = make_texts();

    for (size_t i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
        size_t expected = found[i].narrowest == NULL ? 0 : index_of(set, found[i].narrowest);
        assert_int_equal(osr_patterns_find(set, osr_slice_text(found[i].name)), expected);
    }
    osr_patterns_destroy(set);
}

/* A parent is the narrowest that covers the whole child, and comes before it. */
static void patterns_know_their_parents(void **state)
{
    (void)state;
    struct osr_patterns *set = make_texts();
    static const char *const parents[][2] = {
        {"ab", "ab*"}, {"abc*", "ab*"}, {"ab*", "a*"}, {"ac", "a*"}, {"b\xff\xff", "b\xff*"}};

    for (size_t i = 0; i < sizeof(parents) / sizeof(parents[0]); i++) {
        size_t child = index_of(set, parents[i][0]);
        assert_int_equal(osr_patterns_parent(set, child), index_of(set, parents[i][1]));
        assert_true(osr_patterns_parent(set, child) < child);
    }
    assert_int_equal(osr_patterns_parent(set, index_of(set, "a*")), 0);
    assert_int_equal(osr_patterns_parent(set, index_of(set, "b")), 0);
    osr_patterns_destroy(set);
}

/* One that is given twice counts once. */
static void patterns_count_each_once(void **state)
{
    (void)state;
    static const char *const twice[] = {"a", "a*", "a", "a*"};
    struct osr_patterns *set = make(twice, 4);

    assert_int_equal(osr_patterns_count(set), 2);
    osr_patterns_destroy(set);
}

/* A set of none covers nothing; the empty prefix covers all. */
static void patterns_may_be_none_or_all(void **state)
{
    (void)state;
    static const char *const all[] = {"*"};
    struct osr_patterns *set = make(NULL, 0);

    assert_int_equal(osr_patterns_find(set, osr_slice_text("a")), 0);
    assert_int_equal(osr_patterns_find(set, osr_slice(NULL, 0)), 0);
    osr_patterns_destroy(set);
    set = make(all, 1);
    assert_int_equal(osr_patterns_find(set, osr_slice_text("a")), 1);
    assert_int_equal(osr_patterns_find(set, osr_slice(NULL, 0)), 1);
    osr_patterns_destroy(set);
}

/* The longest pattern is told from names that are longer, and much longer. */
static void patterns_tell_long_names_apart(void **state)
{
    (void)state;
    enum { NAME_BYTES = 70000 };
    static uint8_t name[NAME_BYTES];
    struct osr_pattern exact = {osr_slice(name, OSR_PATTERN_BYTES_MAX), false};
    struct osr_pattern prefix = {osr_slice(name, OSR_PATTERN_BYTES_MAX), true};

    memset(name, 'a', sizeof(name));
    struct osr_patterns *set = osr_patterns_create(&exact, 1);
    assert_int_equal(osr_patterns_find(set, osr_slice(name, OSR_PATTERN_BYTES_MAX - 1)), 0);
    assert_int_equal(osr_patterns_find(set, osr_slice(name, OSR_PATTERN_BYTES_MAX)), 1);
    assert_int_equal(osr_patterns_find(set, osr_slice(name, OSR_PATTERN_BYTES_MAX + 1)), 0);
    assert_int_equal(osr_patterns_find(set, osr_slice(name, NAME_BYTES)), 0);
    osr_patterns_destroy(set);
    set = osr_patterns_create(&prefix, 1);
    assert_int_equal(osr_patterns_find(set, osr_slice(name, OSR_PATTERN_BYTES_MAX - 1)), 0);
    assert_int_equal(osr_patterns_find(set, osr_slice(name, NAME_BYTES)), 1);
    osr_patterns_destroy(set);
}

/* Prefixes within one another, as deep as they can be. */
static void patterns_nest_deeply(void **state)
{
    (void)state;
    uint8_t name[OSR_PATTERN_BYTES_MAX + 1];
    struct osr_pattern patterns[OSR_PATTERN_BYTES_MAX + 1];

    memset(name, 'a', sizeof(name));
    for (size_t i = 0; i <= OSR_PATTERN_BYTES_MAX; i++) {
        patterns[i] = (struct osr_pattern){osr_slice(name, i), true};
    }
    struct osr_patterns *set = osr_patterns_create(patterns, OSR_PATTERN_BYTES_MAX + 1);
    for (size_t i = 0; i <= OSR_PATTERN_BYTES_MAX; i++) {
        uint8_t asked[OSR_PATTERN_BYTES_MAX + 1];
        memcpy(asked, name, sizeof(asked));
        asked[i] = 'b';
        assert_int_equal(osr_patterns_find(set, osr_slice(asked, i + 1)), i + 1);
    }
    osr_patterns_destroy(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_find_the_narrowest),
        cmocka_unit_test(patterns_know_their_parents),
        cmocka_unit_test(patterns_count_each_once),
        cmocka_unit_test(patterns_may_be_none_or_all),
        cmocka_unit_test(patterns_tell_long_names_apart),
        cmocka_unit_test(patterns_nest_deeply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
