/* Versions, of which one wins whatever their order, and the clock that their times come from. */
#include "lib/full_document.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/random.h"
#include "model/limits.h"
#include "model/version.h"

/* One version as its entry gives it: itself, and those that it names. */
struct written_version {
    uint64_t time_ms;
    const char *origin;
    int supersedes[3]; /* indexes of others, -1: none; beyond the set: never comes */
};

enum { VERSIONS_MAX = 5 };

static struct osr_version version_of(const struct written_version *written, int index, int count)
{
    struct osr_version version = {.time = {.ms = 999}};
    snprintf(version.origin, sizeof(version.origin), "%s", VECTOR_ORIGIN);
    if (index < count) {
        version.time.ms = written[index].time_ms;
        snprintf(version.origin, sizeof(version.origin), "%s", written[index].origin);
    }
    return version;
}

static struct osr_version_state *find_state(struct osr_version_state *states, size_t *count,
                                            const struct osr_version *version)
{
    for (size_t i = 0; i < *count; i++) {
        if (osr_version_compare(&states[i].version, version) == 0) {
            return &states[i];
        }
    }
    states[*count] = (struct osr_version_state){.version = *version};
    return &states[(*count)++];
}

/* The index of the version that wins after all came in `order`; the states are built as
 * anybody who hears of versions one by one would build them. */
static int winner_in_order(const struct written_version *written, int count, const int *order)
{
    struct osr_version_state states[2 * VERSIONS_MAX] = {0};
    size_t state_count = 0;
    for (int i = 0; i < count; i++) {
        const struct written_version *now = &written[order[i]];
        struct osr_version self = version_of(written, order[i], count);
        find_state(states, &state_count, &self)->known = true;
        for (size_t k = 0; k < 3; k++) {
            if (now->supersedes[k] >= 0) {
                struct osr_version named = version_of(written, now->supersedes[k], count);
                find_state(states, &state_count, &named)->superseded = true;
            }
        }
    }
    int winner = osr_version_winner(states, state_count);
    assert_true(winner >= 0);
    for (int i = 0; i < count; i++) {
        struct osr_version version = version_of(written, i, count);
        if (osr_version_compare(&states[winner].version, &version) == 0) {
            return i;
        }
    }
    return -1;
}

static void assert_winner_in_all_orders(const struct written_version *written, int count,
                                        int *order, int fixed, int expected)
{
    if (fixed == count) {
        assert_int_equal(winner_in_order(written, count, order), expected);
        return;
    }
    for (int i = fixed; i < count; i++) {
        int swap = order[fixed];
        order[fixed] = order[i];
        order[i] = swap;
        assert_winner_in_all_orders(written, count, order, fixed + 1, expected);
        order[i] = order[fixed];
        order[fixed] = swap;
    }
}

static void assert_winner(const struct written_version *written, int count, int expected)
{
    int order[VERSIONS_MAX];
    for (int i = 0; i < count; i++) {
        order[i] = i;
    }
    assert_winner_in_all_orders(written, count, order, 0, expected);
}

/* In whatever order versions come, the same one wins, and it is the one that the rule says. */
static void version_winner_is_independent_of_order(void **state)
{
    (void)state;
    const struct written_version concurrent[] = {{10, VECTOR_ORIGIN, {-1, -1, -1}},
                                                 {30, VECTOR_ORIGIN, {-1, -1, -1}},
                                                 {20, VECTOR_OTHER, {-1, -1, -1}}};
    assert_winner(concurrent, 3, 1);

    const struct written_version same_time[] = {{10, VECTOR_ORIGIN, {-1, -1, -1}},
                                                {10, VECTOR_OTHER, {-1, -1, -1}}};
    assert_winner(same_time, 2, 0); /* "r..." is behind "5..." */

    /* Named by one with an older clock: the clock does not save it. */
    const struct written_version old_clock[] = {{50, VECTOR_ORIGIN, {-1, -1, -1}},
                                                {10, VECTOR_OTHER, {0, -1, -1}},
                                                {5, VECTOR_ORIGIN, {1, -1, -1}}};
    assert_winner(old_clock, 3, 2);

    /* Two branches from one version, then a version that joins them. */
    const struct written_version joined[] = {{10, VECTOR_ORIGIN, {-1, -1, -1}},
                                             {20, VECTOR_ORIGIN, {0, -1, -1}},
                                             {30, VECTOR_OTHER, {0, -1, -1}},
                                             {25, VECTOR_OTHER, {1, 2, -1}}};
    assert_winner(joined, 4, 3);
    assert_winner(joined, 3, 2);

    /* Names a version that never comes. */
    const struct written_version unknown[] = {{10, VECTOR_ORIGIN, {7, -1, -1}},
                                              {9, VECTOR_OTHER, {8, 7, -1}}};
    assert_winner(unknown, 2, 0);

    /* Circles: of one, of two beside a third, and one that holds all. */
    const struct written_version itself[] = {{10, VECTOR_ORIGIN, {0, -1, -1}}};
    assert_winner(itself, 1, 0);
    const struct written_version beside[] = {{50, VECTOR_ORIGIN, {1, -1, -1}},
                                             {60, VECTOR_OTHER, {0, -1, -1}},
                                             {5, VECTOR_OTHER, {-1, -1, -1}}};
    assert_winner(beside, 3, 2);
    const struct written_version all[] = {{10, VECTOR_ORIGIN, {1, -1, -1}},
                                          {30, VECTOR_OTHER, {2, -1, -1}},
                                          {20, VECTOR_ORIGIN, {3, -1, -1}},
                                          {15, VECTOR_ORIGIN, {4, -1, -1}},
                                          {12, VECTOR_OTHER, {0, -1, -1}}};
    assert_winner(all, 5, 1);
}

/* Random sets of five: every order gives the winner of the first. */
static void version_winner_of_random_sets_is_stable(void **state)
{
    (void)state;
    struct osr_random random;
    osr_random_init(&random, 7);
    for (int round = 0; round < 200; round++) {
        struct written_version written[VERSIONS_MAX];
        for (int i = 0; i < VERSIONS_MAX; i++) {
            written[i].time_ms = 10 * (uint64_t)i + osr_random_below(&random, 10);
            written[i].origin = osr_random_chance(&random, 0.5) ? VECTOR_ORIGIN : VECTOR_OTHER;
            for (int k = 0; k < 3; k++) {
                written[i].supersedes[k] = (int)osr_random_below(&random, VERSIONS_MAX + 2) - 1;
                if (osr_random_chance(&random, 0.6)) {
                    written[i].supersedes[k] = -1;
                }
            }
        }
        const int order[] = {0, 1, 2, 3, 4};
        assert_winner(written, VERSIONS_MAX, winner_in_order(written, VERSIONS_MAX, order));
    }
}

/* Only versions that are known win; with none there is no winner. */
static void version_winner_must_be_known(void **state)
{
    (void)state;
    struct osr_version_state states[] = {
        {.version = {.time = {.ms = 100}}, .known = false},
        {.version = {.time = {.ms = 1}}, .known = true, .superseded = true},
    };
    assert_int_equal(osr_version_winner(states, 0), -1);
    assert_int_equal(osr_version_winner(states, 1), -1);
    assert_int_equal(osr_version_winner(states, 2), 1);
}

/* ---- the clock ---- */

static void assert_time(struct osr_time time, uint64_t ms, uint32_t logical)
{
    assert_int_equal(time.ms, ms);
    assert_int_equal(time.logical, logical);
}

/* Ticks follow physical time, and count where it stands still or goes back. */
static void clock_tick_never_goes_back(void **state)
{
    (void)state;
    struct osr_clock clock = {0};
    assert_time(osr_clock_tick(&clock, 1000), 1000, 0);
    assert_time(osr_clock_tick(&clock, 1000), 1000, 1);
    assert_time(osr_clock_tick(&clock, 10), 1000, 2);
    assert_time(osr_clock_tick(&clock, 1001), 1001, 0);
    clock.last.logical = UINT32_MAX;
    assert_time(osr_clock_tick(&clock, 1001), 1002, 0);
}

/* What happens after an entry was seen has a later time than it. */
static void clock_observe_puts_later_events_behind(void **state)
{
    (void)state;
    struct osr_clock clock = {0};
    osr_clock_observe(&clock, (struct osr_time){2000, 7}, 1000);
    assert_time(osr_clock_tick(&clock, 1000), 2000, 8);
    osr_clock_observe(&clock, (struct osr_time){1500, 99}, 1000);
    assert_time(osr_clock_tick(&clock, 1000), 2000, 9);
}

/* A far future is followed for five minutes and no more, and does not add up. */
static void clock_observe_stops_at_drift_limit(void **state)
{
    (void)state;
    struct osr_clock clock = {0};
    uint64_t limit_ms = 1000 + OSR_CLOCK_DRIFT_MAX_MS;
    osr_clock_observe(&clock, (struct osr_time){limit_ms, 4}, 1000);
    assert_time(clock.last, limit_ms, 4);
    osr_clock_observe(&clock, (struct osr_time){limit_ms + 1, 4}, 1000);
    osr_clock_observe(&clock, (struct osr_time){UINT64_MAX, UINT32_MAX}, 1000);
    assert_time(clock.last, limit_ms, 4);
    osr_clock_observe(&clock, (struct osr_time){UINT64_MAX, 1}, UINT64_MAX - 1);
    assert_time(clock.last, UINT64_MAX, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_winner_is_independent_of_order),
        cmocka_unit_test(version_winner_of_random_sets_is_stable),
        cmocka_unit_test(version_winner_must_be_known),
        cmocka_unit_test(clock_tick_never_goes_back),
        cmocka_unit_test(clock_observe_puts_later_events_behind),
        cmocka_unit_test(clock_observe_stops_at_drift_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
