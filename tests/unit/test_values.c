/* test_values.c -- ordered values: the twin in memory and the one on disk, by one contract; then
 * what the one on disk does between memory and file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/loop.h"
#include "lib/memory_values.h"
#include "lib/values_fixture.h"

/* ---- the contract ---- */

struct twin {
    struct osr_values *values;
    struct memory_values memory;
    struct values_fixture *file; /* NULL: in memory */
    struct osr_buffer key;
    struct osr_buffer value;
};

static int set_up_memory(void **state)
{
    struct twin *twin = osr_alloc(sizeof(*twin));

    memory_values_init(&twin->memory);
    twin->values = &twin->memory.values;
    *state = twin;
    return 0;
}

static int set_up_file(void **state)
{
    set_up_memory(state);
    struct twin *twin = *state;

    twin->file = values_fixture_create();
    values_open(twin->file);
    twin->values = &twin->file->machine.values;
    return 0;
}

static int tear_down_twin(void **state)
{
    struct twin *twin = *state;

    if (twin->file != NULL) {
        values_fixture_destroy(twin->file);
    }
    memory_values_done(&twin->memory);
    osr_buffer_done(&twin->key);
    osr_buffer_done(&twin->value);
    free(twin);
    return 0;
}

/* What is pending is written; the twin in memory has nothing of that kind. */
static void settle(struct twin *twin)
{
    if (twin->file != NULL) {
        twin->file->index++;
        values_flush(twin->file);
    }
}

static void put(struct twin *twin, struct osr_slice key, struct osr_slice value)
{
    twin->values->put(twin->values, key, value);
}

static void put_text(struct twin *twin, const char *key, const char *value)
{
    put(twin, osr_slice_text(key), osr_slice_text(value));
}

static void assert_value(struct twin *twin, const char *key, const char *value)
{
    twin->value.size = 0;
    osr_buffer_add_text(&twin->value, "kept ");
    assert_true(twin->values->get(twin->values, osr_slice_text(key), &twin->value));
    assert_int_equal(twin->value.size, 5 + strlen(value));
    assert_memory_equal(twin->value.data, "kept ", 5);
    assert_memory_equal(twin->value.data + 5, value, strlen(value));
}

static void assert_none(struct twin *twin, const char *key)
{
    size_t before = twin->value.size;

    assert_false(twin->values->get(twin->values, osr_slice_text(key), &twin->value));
    assert_int_equal(twin->value.size, before);
}

static void assert_next(struct twin *twin, const char *from, const char *key, const char *value)
{
    twin->key.size = 0;
    twin->value.size = 0;
    osr_buffer_add_text(&twin->key, "k");
    osr_buffer_add_text(&twin->value, "v");
    assert_true(twin->values->next(twin->values, osr_slice_text(from), &twin->key, &twin->value));
    assert_int_equal(twin->key.size, 1 + strlen(key));
    assert_memory_equal(twin->key.data + 1, key, strlen(key));
    assert_int_equal(twin->value.size, 1 + strlen(value));
    assert_memory_equal(twin->value.data + 1, value, strlen(value));
}

static void assert_end(struct twin *twin, const char *from)
{
    size_t before = twin->key.size + twin->value.size;

    assert_false(twin->values->next(twin->values, osr_slice_text(from), &twin->key, &twin->value));
    assert_int_equal(twin->key.size + twin->value.size, before);
}

/* What was put last is what is found, before it is written and after that. */
static void values_keep_what_was_put(void **state)
{
    struct twin *twin = *state;

    assert_none(twin, "a");
    put_text(twin, "a", "one");
    put_text(twin, "b", "");
    assert_value(twin, "a", "one");
    settle(twin);
    assert_value(twin, "a", "one");
    assert_value(twin, "b", "");
    put_text(twin, "a", "a longer one");
    assert_value(twin, "a", "a longer one");
    put_text(twin, "a", "2");
    assert_value(twin, "a", "2");
    settle(twin);
    assert_value(twin, "a", "2");
    assert_none(twin, "aa");
    assert_none(twin, "");
}

/* What was removed is gone, wherever it stood, and may come again. */
static void values_are_removed(void **state)
{
    struct twin *twin = *state;

    put_text(twin, "a", "one");
    put_text(twin, "b", "two");
    settle(twin);
    twin->values->remove(twin->values, osr_slice_text("a"));
    twin->values->remove(twin->values, osr_slice_text("never there"));
    assert_none(twin, "a");
    assert_next(twin, "", "b", "two");
    settle(twin);
    assert_none(twin, "a");
    assert_next(twin, "", "b", "two");
    put_text(twin, "a", "again");
    assert_value(twin, "a", "again");
    twin->values->remove(twin->values, osr_slice_text("a"));
    put_text(twin, "a", "and again");
    settle(twin);
    assert_value(twin, "a", "and again");
}

/* Keys come in the order of their bytes, as numbers without a sign, shorter ones first. */
static void values_are_walked_in_order(void **state)
{
    struct twin *twin = *state;

    assert_end(twin, "");
    put_text(twin, "b", "3");
    put_text(twin, "\xff", "5");
    put_text(twin, "a", "1");
    settle(twin);
    put_text(twin, "b\x01", "4");
    put_text(twin, "abc", "2");
    assert_next(twin, "", "a", "1");
    assert_next(twin, "a", "a", "1");
    assert_next(twin, "aa", "abc", "2");
    assert_next(twin, "abd", "b", "3");
    assert_next(twin, "b\x01", "b\x01", "4");
    assert_next(twin, "b\x01\x01", "\xff", "5");
    assert_end(twin, "\xff\x01");
}

/* The longest key, the largest value, and a walk that goes on behind them. */
static void values_take_up_to_their_limits(void **state)
{
    struct twin *twin = *state;
    uint8_t *bytes = osr_alloc(OSR_VALUE_BYTES_MAX);
    struct osr_slice key = osr_slice(bytes, OSR_VALUE_KEY_BYTES_MAX);

    memset(bytes, 'x', OSR_VALUE_BYTES_MAX);
    for (int i = 0; i < 2; i++) {
        put(twin, key, osr_slice(bytes, OSR_VALUE_BYTES_MAX));
        twin->value.size = 0;
        assert_true(twin->values->get(twin->values, key, &twin->value));
        assert_int_equal(twin->value.size, OSR_VALUE_BYTES_MAX);
        assert_memory_equal(twin->value.data, bytes, OSR_VALUE_BYTES_MAX);
        settle(twin);
        assert_false(twin->values->get(twin->values, osr_slice(bytes, key.size + 1), &twin->value));
        assert_false(
            twin->values->get(twin->values, osr_slice(bytes, 10 * key.size), &twin->value));
    }
    bytes[key.size] = 0;
    assert_false(
        twin->values->next(twin->values, osr_slice(bytes, key.size + 1), &twin->key, &twin->value));
    assert_false(twin->values->next(twin->values, osr_slice(bytes, 10 * key.size), &twin->key,
                                    &twin->value));
    free(bytes);
}

/* ---- between memory and file ---- */

static int set_up(void **state)
{
    struct values_fixture *fixture = values_fixture_create();

    values_open(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    values_fixture_destroy(*state);
    return 0;
}

static void reopen(struct values_fixture *fixture)
{
    values_close(fixture);
    values_open(fixture);
}

/* A new file stands at 0, and afterwards where it was left. */
static void file_stands_where_it_was_left(void **state)
{
    struct values_fixture *fixture = *state;

    assert_int_equal(fixture->index, 0);
    reopen(fixture);
    assert_int_equal(fixture->index, 0);
    values_put(fixture, "a", "one");
    osr_values_file_advance(fixture->file, fixture->index = 7);
    reopen(fixture);
    assert_int_equal(fixture->index, 7);
    values_assert(fixture, "a", "one");
    osr_values_file_advance(fixture->file, fixture->index = 9); /* with nothing changed */
    reopen(fixture);
    assert_int_equal(fixture->index, 9);
}

/* What no index stands for yet does not get to disk: the log brings it again. */
static void file_takes_no_halves(void **state)
{
    struct values_fixture *fixture = *state;

    values_put(fixture, "a", "one");
    values_advance(fixture);
    values_flush(fixture);
    values_put(fixture, "a", "two");
    osr_values_file_flush(fixture->file);
    loop_idle(&fixture->loop, 50);
    assert_int_equal(fixture->flushed, 1);
    reopen(fixture);
    assert_int_equal(fixture->index, 1);
    values_assert(fixture, "a", "one");
}

/* A change is written a while later by itself, and a flush is done though there is nothing. */
static void file_is_flushed_in_time(void **state)
{
    struct values_fixture *fixture = *state;
    int count;

    values_put(fixture, "a", "one");
    values_advance(fixture);
    loop_idle(&fixture->loop, 20);
    assert_int_equal(fixture->flushed_count, 0);
    while (fixture->flushed_count == 0) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    assert_int_equal(fixture->flushed, 1);
    count = fixture->flushed_count;
    osr_values_file_flush(fixture->file);
    uv_run(&fixture->loop, UV_RUN_ONCE);
    assert_int_equal(fixture->flushed_count, count + 1);
    assert_int_equal(fixture->flushed, 1);
}

/* Machines do not see each other's values, nor what the file says of itself. */
static void file_keeps_machines_apart(void **state)
{
    struct values_fixture *fixture = *state;
    struct machine_values other = fixture->machine;
    struct osr_buffer key = {0};

    other.machine = 1;
    for (int i = 0; i < 2; i++) {
        assert_false(other.values.next(&other.values, osr_slice("", 0), &key, &key));
        values_put(fixture, "a", "of machine 2");
        assert_false(other.values.get(&other.values, osr_slice_text("a"), &key));
        assert_false(other.values.next(&other.values, osr_slice("", 0), &key, &key));
        fixture->index++;
        values_flush(fixture);
    }
    other.values.put(&other.values, osr_slice_text("z"), osr_slice_text("of machine 1"));
    other.values.remove(&other.values, osr_slice_text("a"));
    values_assert(fixture, "a", "of machine 2");
    values_assert(fixture, "z", NULL);
    osr_buffer_done(&key);
}

/* Memory's limit is told, goes on being told while nothing is written, and ends with room. */
static void file_says_when_it_is_busy(void **state)
{
    struct values_fixture *fixture = *state;
    uint8_t *bytes = osr_alloc(OSR_VALUE_BYTES_MAX);
    char key[16];
    int count = 0;

    while (!osr_values_file_is_busy(fixture->file)) {
        snprintf(key, sizeof(key), "%d", count++);
        osr_values_file_put(fixture->file, 2, osr_slice_text(key),
                            osr_slice(bytes, OSR_VALUE_BYTES_MAX));
    }
    assert_in_range(count, 60, 65);
    assert_int_equal(fixture->room_count, 0);
    values_advance(fixture);
    assert_true(osr_values_file_is_busy(fixture->file));
    values_flush(fixture);
    assert_int_equal(fixture->room_count, 1);
    for (count = 0; !osr_values_file_is_busy(fixture->file); count++) {
        snprintf(key, sizeof(key), "many%d", count);
        values_put(fixture, key, "");
    }
    assert_in_range(count, OSR_VALUES_PENDING_COUNT_MAX, OSR_VALUES_PENDING_COUNT_MAX + 1);
    values_advance(fixture);
    values_flush(fixture);
    assert_int_equal(fixture->room_count, 2);
    free(bytes);
}

/* What a burst has left of memory is no reason to write small changes one by one: they gather. */
static void small_changes_gather_after_a_burst(void **state)
{
    struct values_fixture *fixture = *state;
    char key[16];
    int before;

    for (int burst = 0; burst < 2; burst++) { /* for what is pending, and what is being written */
        for (int i = 0; i < 20000; i++) {
            snprintf(key, sizeof(key), "burst%d", i);
            values_put(fixture, key, "x");
        }
        values_advance(fixture);
        values_flush(fixture);
    }
    before = fixture->flushed_count;
    for (int i = 0; i < 100; i++) {
        values_put(fixture, "small", "x");
        values_advance(fixture);
        usleep(1000);
        uv_run(&fixture->loop, UV_RUN_NOWAIT);
    }
    assert_in_range(fixture->flushed_count - before, 0, 20);
}

#define ON_BOTH(test)                                                                              \
    cmocka_unit_test_setup_teardown(test, set_up_memory, tear_down_twin),                          \
        cmocka_unit_test_setup_teardown(test, set_up_file, tear_down_twin)
#define ON_FILE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(values_keep_what_was_put),      ON_BOTH(values_are_removed),
        ON_BOTH(values_are_walked_in_order),    ON_BOTH(values_take_up_to_their_limits),
        ON_FILE(file_stands_where_it_was_left), ON_FILE(file_takes_no_halves),
        ON_FILE(file_is_flushed_in_time),       ON_FILE(file_keeps_machines_apart),
        ON_FILE(file_says_when_it_is_busy),     ON_FILE(small_changes_gather_after_a_burst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
