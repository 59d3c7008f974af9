/* The linearizability check of the simulations: known histories, and many small ones against trying
 * every order. */
#include "sim/linear.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NEVER UINT64_MAX

enum { OPERATIONS_MAX = 6, HISTORIES = 40000 };

static struct linear_operation put(uint64_t value, uint64_t called, uint64_t returned)
{
    return (struct linear_operation){
        .type = LINEAR_WRITE, .value = value, .called = called, .returned = returned};
}

static struct linear_operation get(uint64_t value, uint64_t called, uint64_t returned)
{
    return (struct linear_operation){
        .type = LINEAR_READ, .value = value, .called = called, .returned = returned};
}

static struct linear_operation erase(bool is_done, uint64_t called, uint64_t returned)
{
    return (struct linear_operation){
        .type = LINEAR_DELETE, .is_done = is_done, .called = called, .returned = returned};
}

static struct linear_operation set(uint64_t expected, uint64_t value, bool is_done, uint64_t called,
                                   uint64_t returned)
{
    return (struct linear_operation){.type = LINEAR_COMPARE_AND_SET,
                                     .expected = expected,
                                     .value = value,
                                     .is_done = is_done,
                                     .called = called,
                                     .returned = returned};
}

#define check(verdict, ...)                                                                        \
    do {                                                                                           \
        struct linear_operation history[] = {__VA_ARGS__};                                         \
        assert_int_equal(linear_check(history, sizeof(history) / sizeof(history[0])), verdict);    \
    } while (false)

/* One thing after the other. */
static void linear_follows_a_single_client(void **state)
{
    (void)state;
    check(LINEAR_YES, get(0, 1, 2), put(7, 3, 4), get(7, 5, 6), erase(true, 7, 8),
          erase(false, 9, 10), set(0, 8, true, 11, 12), set(0, 9, false, 13, 14), get(8, 15, 16));
    check(LINEAR_NO, put(7, 1, 2), erase(false, 3, 4));
    check(LINEAR_NO, put(7, 1, 2), set(6, 8, true, 3, 4));
    check(LINEAR_NO, put(7, 1, 2), set(7, 8, false, 3, 4));
}

/* What was read after a write returned must not be older. */
static void linear_notices_a_stale_read(void **state)
{
    (void)state;
    check(LINEAR_NO, put(1, 1, 2), put(2, 3, 4), get(1, 5, 6));
    check(LINEAR_YES, put(1, 1, 2), put(2, 3, 6), get(1, 4, 5));
    check(LINEAR_NO, put(1, 1, 2), put(2, 3, 10), get(2, 4, 5), get(1, 6, 7));
}

/* Nobody knows whether it was done: it may be, once, at any time after its call. */
static void linear_lets_an_unknown_outcome_be_either(void **state)
{
    (void)state;
    check(LINEAR_YES, put(1, 1, 2), put(2, 3, NEVER), get(1, 4, 5));
    check(LINEAR_YES, put(1, 1, 2), put(2, 3, NEVER), get(1, 4, 5), get(2, 6, 7));
    check(LINEAR_NO, put(1, 1, 2), put(2, 3, NEVER), get(2, 4, 5), get(1, 6, 7));
    check(LINEAR_NO, get(2, 1, 2), put(2, 3, NEVER));
    check(LINEAR_YES, put(1, 1, 2), set(1, 2, false, 3, NEVER), get(2, 4, 5));
    check(LINEAR_YES, put(1, 1, 2), erase(false, 3, NEVER), get(1, 4, 5), get(0, 6, 7));
}

/* Equal values written twice are two writes. */
static void linear_does_not_take_a_write_too_early(void **state)
{
    (void)state;
    check(LINEAR_YES, put(1, 1, 2), put(1, 3, 10), put(2, 4, 5), get(2, 6, 7), get(1, 8, 9));
    check(LINEAR_YES, put(1, 1, 2), set(1, 1, true, 3, 10), get(1, 4, 5));
}

/* ---- against trying every order ---- */

static bool fits(const struct linear_operation *operation, uint64_t *value)
{
    bool is_known = operation->returned != NEVER;
    bool is_done;
    switch (operation->type) {
    case LINEAR_WRITE:
        *value = operation->value;
        return true;
    case LINEAR_READ:
        return *value == operation->value;
    case LINEAR_DELETE:
        is_done = *value != 0;
        *value = 0;
        break;
    default:
        is_done = *value == operation->expected;
        *value = is_done ? operation->value : *value;
        break;
    }
    return !is_known || is_done == operation->is_done;
}

static bool try_all(const struct linear_operation *operations, size_t count, unsigned done,
                    uint64_t value)
{
    bool is_complete = true;
    uint64_t returned = NEVER;
    for (size_t i = 0; i < count; i++) {
        if ((done >> i & 1) == 0 && operations[i].returned != NEVER) {
            is_complete = false;
            returned = operations[i].returned < returned ? operations[i].returned : returned;
        }
    }
    for (size_t i = 0; i < count && !is_complete; i++) {
        uint64_t after = value;
        if ((done >> i & 1) == 0 && operations[i].called < returned &&
            fits(&operations[i], &after) && try_all(operations, count, done | 1u << i, after)) {
            return true;
        }
    }
    return is_complete;
}

static struct linear_operation draw(struct osr_random *random)
{
    struct linear_operation operation = {
        .type = (enum linear_type)osr_random_below(random, 4),
        .is_done = osr_random_chance(random, 0.5),
        .expected = osr_random_below(random, 3),
        .value = osr_random_below(random, 3),
    };
    if (operation.type == LINEAR_WRITE || operation.type == LINEAR_COMPARE_AND_SET) {
        operation.value = 1 + osr_random_below(random, 2);
    }
    return operation;
}

/* Calls and returns in a random order; a read always returns. */
static size_t draw_history(struct osr_random *random, struct linear_operation *operations)
{
    size_t count = 1 + osr_random_below(random, OPERATIONS_MAX);
    for (size_t i = 0; i < count; i++) {
        operations[i] = draw(random);
        operations[i].called = 100 * osr_random_below(random, 20) + i;
        operations[i].returned =
            operations[i].called + 100 * osr_random_below(random, 12) + OPERATIONS_MAX;
        if (operations[i].type != LINEAR_READ && osr_random_chance(random, 0.2)) {
            operations[i].returned = NEVER;
        }
    }
    return count;
}

/* Same verdict, whatever the history. */
static void linear_agrees_with_trying_every_order(void **state)
{
    (void)state;
    struct osr_random random;
    osr_random_init(&random, 1);
    size_t verdicts[2] = {0};
    for (size_t i = 0; i < HISTORIES; i++) {
        struct linear_operation operations[OPERATIONS_MAX];
        size_t count = draw_history(&random, operations);
        bool is_explained = try_all(operations, count, 0, 0);
        assert_int_equal(linear_check(operations, count), is_explained ? LINEAR_YES : LINEAR_NO);
        verdicts[is_explained]++;
    }
    assert_true(verdicts[0] > HISTORIES / 10);
    assert_true(verdicts[1] > HISTORIES / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_follows_a_single_client),
        cmocka_unit_test(linear_notices_a_stale_read),
        cmocka_unit_test(linear_lets_an_unknown_outcome_be_either),
        cmocka_unit_test(linear_does_not_take_a_write_too_early),
        cmocka_unit_test(linear_agrees_with_trying_every_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
