/* test_values_dump.c -- dumps of values, and files made of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/memory_values.h"
#include "lib/values_fixture.h"

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

static void add_record(struct osr_buffer *bytes, uint16_t machine, struct osr_slice key,
                       struct osr_slice value)
{
    osr_buffer_add_u16(bytes, machine);
    osr_buffer_add_u16(bytes, (uint16_t)key.size);
    osr_buffer_add_u32(bytes, (uint32_t)value.size);
    osr_buffer_add(bytes, key.data, key.size);
    osr_buffer_add(bytes, value.data, value.size);
}

/* ---- dumps ---- */

/* Of what is on disk, all machines after each other, records as the header says. */
static void dump_gives_what_is_on_disk(void **state)
{
    struct values_fixture *fixture = *state;
    static const uint8_t wanted[] = {0, 1, 0, 1,   0,   0, 0, 2, 'z', '1', '2', 0, 2, 0,   2,  0,
                                     0, 0, 0, 'a', 'b', 0, 2, 0, 1,   0,   0,   0, 1, 'b', 'v'};
    struct osr_buffer bytes = {0};
    uint64_t index;

    values_dump(fixture, &bytes, &index);
    assert_int_equal(index, 0);
    assert_int_equal(bytes.size, 0);
    values_put(fixture, "b", "v");
    values_put(fixture, "ab", "");
    osr_values_file_put(fixture->file, 1, osr_slice_text("z"), osr_slice_text("12"));
    fixture->index = 5;
    values_flush(fixture);
    values_put(fixture, "not", "yet");
    values_advance(fixture);
    values_dump(fixture, &bytes, &index);
    assert_int_equal(index, 5);
    assert_int_equal(bytes.size, sizeof(wanted));
    assert_memory_equal(bytes.data, wanted, sizeof(wanted));
    osr_buffer_done(&bytes);
}

/* What a thread reads, and what it found. */
struct reading {
    struct osr_values_dump *dump;
    struct osr_buffer bytes;
    int code;
};

static void read_slowly(void *context)
{
    struct reading *reading = context;
    size_t before;

    do {
        before = reading->bytes.size;
        reading->code = osr_values_dump_read(reading->dump, 500, &reading->bytes, NULL);
        uv_sleep(1);
    } while (reading->code == 0 && reading->bytes.size > before);
}

static void assert_dump_is_of(const struct osr_buffer *bytes, uint64_t index)
{
    struct osr_buffer wanted = {0};
    struct osr_buffer from = {0};
    struct osr_buffer key = {0};
    struct osr_buffer value = {0};
    struct memory_values memory;

    memory_values_init(&memory);
    for (uint64_t i = 1; i <= index; i++) {
        values_apply(&memory.values, i);
    }
    while (memory.values.next(&memory.values, osr_buffer_slice(&from), &key, &value)) {
        add_record(&wanted, 2, osr_buffer_slice(&key), osr_buffer_slice(&value));
        from.size = 0;
        osr_buffer_add(&from, key.data, key.size);
        osr_buffer_add_u8(&from, 0);
        key.size = 0;
        value.size = 0;
    }
    assert_true(osr_slice_equal(osr_buffer_slice(bytes), osr_buffer_slice(&wanted)));
    memory_values_done(&memory);
    osr_buffer_done(&wanted);
    osr_buffer_done(&from);
    osr_buffer_done(&key);
    osr_buffer_done(&value);
}

/* A dump that a thread reads while values change and are flushed shows them as they stood. */
static void dump_stands_still_while_values_change(void **state)
{
    struct values_fixture *fixture = *state;
    struct reading reading = {0};
    uint64_t index;
    int flushed_before;
    uv_thread_t thread;

    values_apply_up_to(fixture, 1000);
    values_flush(fixture);
    assert_int_equal(osr_values_dump_open(fixture->file, &reading.dump, &index, &fixture->err), 0);
    assert_int_equal(index, 1000);
    flushed_before = fixture->flushed_count;
    assert_int_equal(uv_thread_create(&thread, read_slowly, &reading), 0);
    for (int i = 0; i < 10; i++) {
        values_apply_up_to(fixture, fixture->index + 100);
        values_flush(fixture);
        values_assert(fixture, "not there", NULL); /* looked for on disk, beside the dump */
    }
    assert_in_range(fixture->flushed_count - flushed_before, 10, 1000);
    assert_int_equal(uv_thread_join(&thread), 0);
    assert_int_equal(reading.code, 0);
    osr_values_dump_close(reading.dump);
    assert_dump_is_of(&reading.bytes, 1000);
    values_assert_history(fixture);
    osr_buffer_done(&reading.bytes);
}

/* ---- loads ---- */

static char *folder_of(const struct values_fixture *fixture)
{
    return osr_format("%s/ledger", fixture->folder);
}

static struct osr_values_load *begin_load(struct values_fixture *fixture)
{
    char *folder = folder_of(fixture);
    struct osr_values_load *load = NULL;

    assert_int_equal(osr_values_load_create(folder, &load, &fixture->err), 0);
    free(folder);
    return load;
}

static void add(struct values_fixture *fixture, struct osr_values_load *load, const uint8_t *data,
                size_t size)
{
    assert_int_equal(osr_values_load_add(load, osr_slice(data, size), &fixture->err), 0);
}

/* In place of what is there. */
static void take(struct values_fixture *fixture, struct osr_values_load *load, uint64_t index)
{
    assert_int_equal(osr_values_load_finish(load, index, &fixture->err), 0);
    fixture->index = fixture->flushed = index;
    assert_int_equal(osr_values_file_replace(fixture->file, load, &fixture->err), 0);
}

static void assert_content(struct values_fixture *fixture, const struct osr_buffer *wanted,
                           uint64_t wanted_index)
{
    struct osr_buffer bytes = {0};
    uint64_t index;

    values_dump(fixture, &bytes, &index);
    assert_int_equal(index, wanted_index);
    assert_true(osr_slice_equal(osr_buffer_slice(&bytes), osr_buffer_slice(wanted)));
    osr_buffer_done(&bytes);
}

/* What a dump gave makes the same file again, wherever its bytes are cut. */
static void load_takes_a_dump_cut_anywhere(void **state)
{
    struct values_fixture *fixture = *state;
    struct osr_buffer bytes = {0};
    struct osr_values_load *load;

    add_record(&bytes, 1, osr_slice_text("a"), osr_slice_text("of machine 1"));
    add_record(&bytes, 2, osr_slice_text("a"), osr_slice("", 0));
    add_record(&bytes, 2, osr_slice_text("a longer key"), osr_slice_text("value"));
    for (size_t cut = 0; cut <= bytes.size; cut++) {
        load = begin_load(fixture);
        add(fixture, load, bytes.data, cut);
        add(fixture, load, bytes.data + cut, bytes.size - cut);
        take(fixture, load, 10 + cut);
        assert_content(fixture, &bytes, 10 + cut);
    }
    load = begin_load(fixture);
    for (size_t i = 0; i < bytes.size; i++) {
        add(fixture, load, bytes.data + i, 1);
    }
    take(fixture, load, 999);
    assert_content(fixture, &bytes, 999);
    values_assert(fixture, "a longer key", "value");
    osr_buffer_done(&bytes);
}

/* A larger one, in pieces, goes through several transactions, and comes back as it was. */
static void load_takes_a_large_dump(void **state)
{
    enum { VALUES = 60000, PIECE = 100000 };
    struct values_fixture *fixture = *state;
    struct osr_buffer bytes = {0};
    uint8_t value[200] = {0};
    struct osr_values_load *load = begin_load(fixture);

    for (uint32_t i = 0; i < VALUES; i++) {
        uint8_t key[4];
        osr_put_u32(key, i);
        osr_put_u32(value, i * 7);
        add_record(&bytes, 2, osr_slice(key, 4), osr_slice(value, sizeof(value)));
    }
    for (size_t at = 0; at < bytes.size; at += PIECE) {
        add(fixture, load, bytes.data + at, bytes.size - at < PIECE ? bytes.size - at : PIECE);
    }
    take(fixture, load, 1);
    assert_content(fixture, &bytes, 1);
    values_close(fixture);
    values_open(fixture);
    assert_content(fixture, &bytes, 1);
    osr_buffer_done(&bytes);
}

static enum osr_code load_code(struct values_fixture *fixture, const struct osr_buffer *bytes)
{
    struct osr_values_load *load = begin_load(fixture);
    int code = osr_values_load_add(load, osr_buffer_slice(bytes), &fixture->err);

    if (code == 0) {
        code = osr_values_load_finish(load, 5, &fixture->err);
    } else {
        assert_int_equal(osr_values_load_finish(load, 5, NULL), OSR_IO);
    }
    osr_values_load_destroy(load);
    return code;
}

/* Bytes that no dump gives are refused, and nothing of them is left. */
static void load_refuses_what_is_no_dump(void **state)
{
    struct values_fixture *fixture = *state;
    struct osr_buffer good = {0};
    struct osr_buffer bad = {0};
    uint8_t long_key[OSR_VALUES_KEY_BYTES_MAX + 1] = {1};
    struct osr_values_load *load;

    add_record(&good, 2, osr_slice_text("b"), osr_slice_text("value"));
    assert_int_equal(load_code(fixture, &good), 0);
    for (size_t size = 1; size < good.size; size++) {
        bad.size = 0;
        osr_buffer_add(&bad, good.data, size);
        assert_int_equal(load_code(fixture, &bad), OSR_CORRUPT);
    }
    for (int i = 0; i < 6; i++) {
        struct osr_slice key = i == 0 ? osr_slice("", 0) : osr_slice_text(i == 1 ? "a" : "b");
        if (i == 2) {
            key = osr_slice(long_key, sizeof(long_key));
        }
        bad.size = 0;
        osr_buffer_add(&bad, good.data, good.size);
        add_record(&bad, i == 4 ? 0 : i == 5 ? 1 : 2, key, osr_slice_text("v"));
        assert_int_equal(load_code(fixture, &bad), OSR_CORRUPT);
    }
    bad.size = 0;
    add_record(&bad, 2, osr_slice_text("b"), osr_slice("", 0));
    osr_put_u32(bad.data + 4, OSR_VALUES_VALUE_BYTES_MAX + 1);
    load = begin_load(fixture);
    assert_int_equal(osr_values_load_add(load, osr_buffer_slice(&bad), &fixture->err), OSR_CORRUPT);
    osr_values_load_destroy(load); /* refused before it was gathered */
    scratch_run(fixture->folder, "test $(ls ledger | wc -l) = 2"); /* the file and its lock */
    osr_buffer_done(&good);
    osr_buffer_done(&bad);
}

/* ---- replacing ---- */

static void wait_for_flushed(struct values_fixture *fixture)
{
    int before = fixture->flushed_count;

    while (fixture->flushed_count == before) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
}

/* A finished one, of one value. */
static struct osr_values_load *make_load(struct values_fixture *fixture, uint64_t index)
{
    struct osr_values_load *load = begin_load(fixture);
    struct osr_buffer bytes = {0};

    add_record(&bytes, 2, osr_slice_text("new"), osr_slice_text("value"));
    add(fixture, load, bytes.data, bytes.size);
    osr_buffer_done(&bytes);
    assert_int_equal(osr_values_load_finish(load, index, &fixture->err), 0);
    return load;
}

static void assert_replaced(struct values_fixture *fixture, uint64_t index)
{
    struct osr_buffer wanted = {0};

    add_record(&wanted, 2, osr_slice_text("new"), osr_slice_text("value"));
    assert_content(fixture, &wanted, index);
    values_assert(fixture, "new", "value");
    values_assert(fixture, "half", NULL);
    values_assert(fixture, "key 1", NULL);
    osr_buffer_done(&wanted);
}

/* Old values are gone with all that was pending, be it on its way to disk; new ones can be changed
 * at once, and are there after a restart. */
static void replace_drops_what_was_there(void **state)
{
    enum { ROUNDS = 24, INDEX = 1000000 };
    struct values_fixture *fixture = *state;

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct osr_values_load *load = make_load(fixture, INDEX + round * 10);
        values_apply_up_to(fixture, fixture->index + 300);
        osr_values_file_flush(fixture->file);
        values_apply_up_to(fixture, fixture->index + 10);
        values_put(fixture, "half", "way");
        uv_sleep(round % 4); /* the thread has not begun, is at it, is done */
        fixture->index = fixture->flushed = INDEX + round * 10;
        assert_int_equal(osr_values_file_replace(fixture->file, load, &fixture->err), 0);
        wait_for_flushed(fixture);
        assert_replaced(fixture, INDEX + round * 10);
        values_put(fixture, "behind", "it");
        values_advance(fixture);
        values_flush(fixture);
        values_close(fixture);
        values_open(fixture);
        assert_int_equal(fixture->index, INDEX + round * 10 + 1);
        values_assert(fixture, "behind", "it");
        values_assert(fixture, "new", "value");
    }
    assert_int_equal(fixture->failure_count, 0);
}

/* A file that was busy has room again behind a replacement, and on_flushed tells the new index. */
static void replace_makes_room(void **state)
{
    struct values_fixture *fixture = *state;
    struct osr_values_load *load = begin_load(fixture);
    char key[16];

    for (int i = 0; !osr_values_file_is_busy(fixture->file); i++) {
        snprintf(key, sizeof(key), "%d", i);
        values_put(fixture, key, "");
    }
    take(fixture, load, 3);
    assert_false(osr_values_file_is_busy(fixture->file));
    wait_for_flushed(fixture);
    assert_int_equal(fixture->flushed, 3);
    assert_int_equal(fixture->room_count, 0);
}

/* A load that was not put in its place, and half of one, leave nothing. */
static void load_given_up_leaves_nothing(void **state)
{
    struct values_fixture *fixture = *state;
    struct osr_values_load *load = begin_load(fixture);

    osr_values_load_destroy(load);
    load = begin_load(fixture);
    assert_int_equal(osr_values_load_finish(load, 4, &fixture->err), 0);
    osr_values_load_destroy(load);
    scratch_run(fixture->folder, "test $(ls ledger | wc -l) = 2");
    values_close(fixture);
    scratch_run(fixture->folder, "echo half >ledger/values.new.mdb");
    values_open(fixture);
    assert_int_equal(fixture->index, 0);
    scratch_run(fixture->folder, "test $(ls ledger | wc -l) = 2");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(dump_gives_what_is_on_disk),
        TEST(dump_stands_still_while_values_change),
        TEST(load_takes_a_dump_cut_anywhere),
        TEST(load_takes_a_large_dump),
        TEST(load_refuses_what_is_no_dump),
        TEST(replace_drops_what_was_there),
        TEST(replace_makes_room),
        TEST(load_given_up_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
