#include "lib/values_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "lib/memory_values.h"

/* ---- the port, on a file ---- */

static struct machine_values *machine_of(struct osr_values *values)
{
    return (struct machine_values *)values;
}

static bool machine_get(struct osr_values *values, struct osr_slice key, struct osr_buffer *value)
{
    return osr_values_file_get(machine_of(values)->file, machine_of(values)->machine, key, value);
}

static void machine_put(struct osr_values *values, struct osr_slice key, struct osr_slice value)
{
    osr_values_file_put(machine_of(values)->file, machine_of(values)->machine, key, value);
}

static void machine_remove(struct osr_values *values, struct osr_slice key)
{
    osr_values_file_remove(machine_of(values)->file, machine_of(values)->machine, key);
}

static bool machine_next(struct osr_values *values, struct osr_slice from, struct osr_buffer *key,
                         struct osr_buffer *value)
{
    return osr_values_file_next(machine_of(values)->file, machine_of(values)->machine, from, key,
                                value);
}

/* ---- the handler ---- */

static void on_flushed(void *context, uint64_t index)
{
    struct values_fixture *fixture = context;

    assert_in_range(index, fixture->flushed, fixture->index);
    fixture->flushed = index;
    fixture->flushed_count++;
}

static void on_room(void *context)
{
    struct values_fixture *fixture = context;

    assert_false(osr_values_file_is_busy(fixture->file));
    fixture->room_count++;
}

static void on_failure(void *context, const struct osr_err *err)
{
    struct values_fixture *fixture = context;

    fixture->failure = err->code;
    fixture->failure_count++;
}

static void on_line(void *context, enum osr_level level, const char *line)
{
    struct values_fixture *fixture = context;

    (void)line;
    fixture->warnings += level == OSR_LEVEL_WARNING;
}

/* ---- life ---- */

struct values_fixture *values_fixture_create(void)
{
    struct values_fixture *fixture = osr_alloc(sizeof(*fixture));

    uv_loop_init(&fixture->loop);
    scratch_create(fixture->folder);
    return fixture;
}

void values_fixture_destroy(struct values_fixture *fixture)
{
    values_close(fixture);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    scratch_remove(fixture->folder);
    free(fixture);
}

int values_open_code(struct values_fixture *fixture)
{
    const struct osr_values_file_handler handler = {on_flushed, on_room, on_failure, fixture};
    const struct osr_trace trace = {
        .write = on_line, .context = fixture, .level = OSR_LEVEL_WARNING};
    char *folder = osr_format("%s/ledger", fixture->folder);
    int code = osr_values_file_open(&fixture->loop, folder, &handler, &trace, &fixture->file,
                                    &fixture->index, &fixture->err);

    free(folder);
    fixture->flushed = fixture->index;
    fixture->machine = (struct machine_values){
        .values = {machine_get, machine_put, machine_remove, machine_next},
        .file = fixture->file,
        .machine = 2,
    };
    return code;
}

void values_open(struct values_fixture *fixture)
{
    if (values_open_code(fixture) != 0) {
        fail_msg("%s", fixture->err.message);
    }
}

void values_close(struct values_fixture *fixture)
{
    osr_values_file_close(fixture->file);
    fixture->file = NULL;
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
}

char *values_path(const struct values_fixture *fixture)
{
    return osr_format("%s/ledger/values.mdb", fixture->folder);
}

/* ---- values ---- */

void values_put(struct values_fixture *fixture, const char *key, const char *value)
{
    machine_put(&fixture->machine.values, osr_slice_text(key), osr_slice_text(value));
}

void values_assert(struct values_fixture *fixture, const char *key, const char *value)
{
    struct osr_buffer found = {0};
    bool is_there = machine_get(&fixture->machine.values, osr_slice_text(key), &found);

    assert_int_equal(is_there, value != NULL);
    if (value != NULL && !osr_slice_equal(osr_buffer_slice(&found), osr_slice_text(value))) {
        fail_msg("%s is %.*s and not %s", key, (int)found.size, (const char *)found.data, value);
    }
    osr_buffer_done(&found);
}

void values_advance(struct values_fixture *fixture)
{
    osr_values_file_advance(fixture->file, ++fixture->index);
}

void values_flush(struct values_fixture *fixture)
{
    osr_values_file_advance(fixture->file, fixture->index);
    osr_values_file_flush(fixture->file);
    do {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    } while (fixture->flushed < fixture->index && fixture->failure_count == 0);
}

static void assert_found(struct osr_values *values, struct osr_slice key, struct osr_slice value)
{
    struct osr_buffer found = {0};

    assert_true(values->get(values, key, &found));
    assert_true(osr_slice_equal(osr_buffer_slice(&found), value));
    osr_buffer_done(&found);
}

void values_assert_same(struct osr_values *one, struct osr_values *other)
{
    struct osr_buffer keys[2] = {0};
    struct osr_buffer values[2] = {0};
    struct osr_buffer from = {0};
    bool is_there;

    do {
        keys[0].size = keys[1].size = values[0].size = values[1].size = 0;
        is_there = one->next(one, osr_buffer_slice(&from), &keys[0], &values[0]);
        assert_int_equal(other->next(other, osr_buffer_slice(&from), &keys[1], &values[1]),
                         is_there);
        assert_true(osr_slice_equal(osr_buffer_slice(&keys[0]), osr_buffer_slice(&keys[1])));
        assert_true(osr_slice_equal(osr_buffer_slice(&values[0]), osr_buffer_slice(&values[1])));
        if (is_there) {
            assert_found(other, osr_buffer_slice(&keys[0]), osr_buffer_slice(&values[0]));
        }
        from.size = 0;
        osr_buffer_add(&from, keys[0].data, keys[0].size);
        osr_buffer_add_u8(&from, 0);
    } while (is_there);
    for (int i = 0; i < 2; i++) {
        osr_buffer_done(&keys[i]);
        osr_buffer_done(&values[i]);
    }
    osr_buffer_done(&from);
}

/* ---- a history ---- */

enum {
    HISTORY_KEYS = 300,
    SMALL_VALUE_MAX = 500,
    LARGE_VALUE_MAX = 9000, /* more than a page */
    DUMP_PIECE = 100,
};

void values_apply(struct osr_values *values, uint64_t index)
{
    struct osr_random random;
    uint8_t value[LARGE_VALUE_MAX];
    char key[24];
    size_t size;

    osr_random_init(&random, index);
    snprintf(key, sizeof(key), "key %d", (int)osr_random_below(&random, HISTORY_KEYS));
    size = osr_random_below(&random, index % 10 == 0 ? LARGE_VALUE_MAX : SMALL_VALUE_MAX);
    if (index % 7 == 0) {
        values->remove(values, osr_slice_text(key));
        return;
    }
    osr_random_fill(&random, value, size);
    values->put(values, osr_slice_text(key), osr_slice(value, size));
}

void values_apply_up_to(struct values_fixture *fixture, uint64_t index)
{
    while (fixture->index < index) {
        values_apply(&fixture->machine.values, fixture->index + 1);
        values_advance(fixture);
    }
}

void values_assert_history(struct values_fixture *fixture)
{
    struct memory_values memory;

    memory_values_init(&memory);
    for (uint64_t index = 1; index <= fixture->index; index++) {
        values_apply(&memory.values, index);
    }
    values_assert_same(&memory.values, &fixture->machine.values);
    memory_values_done(&memory);
}

/* ---- dumps ---- */

void values_dump(struct values_fixture *fixture, struct osr_buffer *bytes, uint64_t *ret_index)
{
    struct osr_values_dump *dump;
    size_t before;

    assert_int_equal(osr_values_dump_open(fixture->file, &dump, ret_index, &fixture->err), 0);
    do {
        before = bytes->size;
        assert_int_equal(osr_values_dump_read(dump, DUMP_PIECE, bytes, &fixture->err), 0);
    } while (bytes->size - before >= DUMP_PIECE);
    osr_values_dump_close(dump);
}
