/* The index of what is not projected yet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/recent.h"

static const uint64_t hash_key[2] = {1, 2};

static bool add(struct osr_recent *recent, const char *id, uint64_t index)
{
    struct osr_position position = {1, index};
    return osr_recent_add(recent, osr_slice_text(id), position, index);
}

static size_t find(const struct osr_recent *recent, const char *id, struct osr_position *positions,
                   size_t max)
{
    return osr_recent_find(recent, osr_slice_text(id), positions, max);
}

/* All entries of a document are found, newest first, and nothing of another. */
static void recent_finds_newest_first(void **state)
{
    struct osr_recent *recent = osr_recent_create(hash_key);
    struct osr_position positions[4];
    (void)state;
    add(recent, "a", 1);
    add(recent, "b", 2);
    add(recent, "a", 3);
    assert_int_equal(find(recent, "a", positions, 4), 2);
    assert_int_equal(positions[0].index, 3);
    assert_int_equal(positions[1].index, 1);
    assert_int_equal(find(recent, "c", positions, 4), 0);
    osr_recent_destroy(recent);
}

/* Who has room for fewer than there are is told that there are more. */
static void recent_says_that_there_are_more(void **state)
{
    struct osr_recent *recent = osr_recent_create(hash_key);
    struct osr_position positions[2];
    (void)state;
    for (uint64_t i = 1; i <= 5; i++) {
        add(recent, "a", i);
    }
    assert_int_equal(find(recent, "a", positions, 2), 3);
    assert_int_equal(positions[1].index, 4);
    osr_recent_destroy(recent);
}

/* Entries come and go for a long time; at each moment exactly those that are in are found. */
static void recent_forgets_what_is_evicted(void **state)
{
    enum { ALL = 20000, KEPT = 3000 };
    struct osr_recent *recent = osr_recent_create(hash_key);
    struct osr_position position;
    char id[16];
    (void)state;
    for (uint64_t i = 1; i <= ALL; i++) {
        snprintf(id, sizeof(id), "d%d", (int)i);
        assert_true(add(recent, id, i));
        assert_int_equal(find(recent, id, &position, 1), 1);
        if (i > KEPT) {
            snprintf(id, sizeof(id), "d%d", (int)(i - KEPT));
            assert_int_equal(find(recent, id, &position, 1), 1);
            assert_int_equal(position.index, i - KEPT);
            osr_recent_evict(recent, i - KEPT);
            assert_int_equal(find(recent, id, &position, 1), 0);
            assert_int_equal(osr_recent_count(recent), KEPT);
        }
    }
    osr_recent_clear(recent);
    assert_int_equal(find(recent, id, &position, 1), 0);
    osr_recent_destroy(recent);
}

/* It does not grow without end. */
static void recent_refuses_when_full(void **state)
{
    struct osr_recent *recent = osr_recent_create(hash_key);
    (void)state;
    for (uint64_t i = 1; i <= OSR_RECENT_ENTRIES_MAX; i++) {
        assert_true(add(recent, "a", i));
    }
    assert_false(add(recent, "a", OSR_RECENT_ENTRIES_MAX + 1));
    osr_recent_destroy(recent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recent_finds_newest_first),
        cmocka_unit_test(recent_says_that_there_are_more),
        cmocka_unit_test(recent_forgets_what_is_evicted),
        cmocka_unit_test(recent_refuses_when_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
