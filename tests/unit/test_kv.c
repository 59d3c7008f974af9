/* test_kv.c -- the replicated map, as a state machine on values in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "core/kv.h"
#include "lib/memory_values.h"

struct fixture {
    struct memory_values memory;
    struct osr_buffer command;
    struct osr_buffer reply;
    struct osr_buffer value;
    uint64_t index; /* of the last command */
};

static int set_up(void **state)
{
    struct fixture *fixture = osr_alloc(sizeof(*fixture));

    memory_values_init(&fixture->memory);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    memory_values_done(&fixture->memory);
    osr_buffer_done(&fixture->command);
    osr_buffer_done(&fixture->reply);
    osr_buffer_done(&fixture->value);
    free(fixture);
    return 0;
}

/* ---- what the tests say ---- */

static enum osr_code apply_bytes(struct fixture *fixture, struct osr_slice bytes)
{
    struct osr_command command = {.index = ++fixture->index, .version = 1, .bytes = bytes};

    fixture->reply.size = 0;
    return osr_kv_machine.apply(osr_kv_machine.context, &fixture->memory.values, &command,
                                &fixture->reply);
}

static enum osr_code apply(struct fixture *fixture, const struct osr_kv_write *write)
{
    fixture->command.size = 0;
    assert_int_equal(osr_kv_encode(write, &fixture->command, NULL), 0);
    return apply_bytes(fixture, osr_buffer_slice(&fixture->command));
}

static enum osr_code put(struct fixture *fixture, const char *key, const char *value)
{
    return apply(fixture, &(struct osr_kv_write){.key = osr_slice_text(key),
                                                 .value = osr_slice_text(value)});
}

static enum osr_code put_expecting(struct fixture *fixture, const char *key, const char *value,
                                   uint64_t expected)
{
    return apply(fixture, &(struct osr_kv_write){.has_expected = true,
                                                 .expected = expected,
                                                 .key = osr_slice_text(key),
                                                 .value = osr_slice_text(value)});
}

static enum osr_code take_away(struct fixture *fixture, const char *key)
{
    return apply(fixture, &(struct osr_kv_write){.is_remove = true, .key = osr_slice_text(key)});
}

static void assert_reply(const struct fixture *fixture, uint64_t index, uint64_t version)
{
    struct osr_kv_reply reply;

    assert_int_equal(osr_kv_decode_reply(osr_buffer_slice(&fixture->reply), &reply), 0);
    assert_int_equal(reply.index, index);
    assert_int_equal(reply.version, version);
}

static void assert_found(struct fixture *fixture, const char *key, const char *value,
                         uint64_t index, uint64_t version)
{
    struct osr_kv_found found;

    fixture->value.size = 0;
    osr_buffer_add_text(&fixture->value, "kept ");
    assert_true(osr_kv_get(&fixture->memory.values, osr_slice_text(key), &fixture->value, &found));
    assert_memory_equal(fixture->value.data, "kept ", 5);
    assert_true(osr_slice_equal(found.value, osr_slice_text(value)));
    assert_int_equal(found.index, index);
    assert_int_equal(found.version, version);
}

static void assert_absent(struct fixture *fixture, const char *key)
{
    struct osr_kv_found found;
    size_t before = fixture->value.size;

    assert_false(osr_kv_get(&fixture->memory.values, osr_slice_text(key), &fixture->value, &found));
    assert_int_equal(fixture->value.size, before);
}

/* ---- tests ---- */

/* What was put is found, with the index of its last write and how often it was written. */
static void kv_keeps_what_was_put(void **state)
{
    struct fixture *fixture = *state;

    assert_absent(fixture, "a");
    assert_int_equal(put(fixture, "a", "one"), OSR_OK);
    assert_reply(fixture, 1, 1);
    assert_int_equal(put(fixture, "b", ""), OSR_OK);
    assert_int_equal(put(fixture, "a", "two"), OSR_OK);
    assert_reply(fixture, 3, 2);
    assert_found(fixture, "a", "two", 3, 2);
    assert_found(fixture, "b", "", 2, 1);
}

/* A removed key is gone, and begins anew with version 1; removing none is told by version 0. */
static void kv_removes(void **state)
{
    struct fixture *fixture = *state;

    put(fixture, "a", "one");
    put(fixture, "a", "two");
    assert_int_equal(take_away(fixture, "a"), OSR_OK);
    assert_reply(fixture, 2, 2);
    assert_absent(fixture, "a");
    assert_int_equal(take_away(fixture, "a"), OSR_OK);
    assert_reply(fixture, 0, 0);
    put(fixture, "a", "three");
    assert_reply(fixture, 5, 1);
}

/* A write that expects its key in another state changes nothing, and is told how the key stands. */
static void kv_refuses_unexpected_states(void **state)
{
    struct fixture *fixture = *state;
    struct osr_kv_write removal = {.is_remove = true, .has_expected = true, .expected = 9};

    removal.key = osr_slice_text("a");
    assert_int_equal(put_expecting(fixture, "a", "one", 7), OSR_CONFLICT);
    assert_reply(fixture, 0, 0);
    assert_absent(fixture, "a");
    assert_int_equal(put_expecting(fixture, "a", "one", 0), OSR_OK);
    assert_reply(fixture, 2, 1);
    assert_int_equal(put_expecting(fixture, "a", "two", 0), OSR_CONFLICT);
    assert_reply(fixture, 2, 1);
    assert_int_equal(put_expecting(fixture, "a", "two", 2), OSR_OK);
    assert_int_equal(apply(fixture, &removal), OSR_CONFLICT);
    assert_found(fixture, "a", "two", 4, 2);
    removal.expected = 4;
    assert_int_equal(apply(fixture, &removal), OSR_OK);
    assert_int_equal(apply(fixture, &removal), OSR_CONFLICT);
    removal.expected = 0;
    assert_int_equal(apply(fixture, &removal), OSR_OK);
    assert_reply(fixture, 0, 0);
}

/* A snapshot may bring anything: what is no value is not there. */
static void kv_passes_over_what_is_no_value(void **state)
{
    struct fixture *fixture = *state;
    struct osr_values *values = &fixture->memory.values;

    values->put(values, osr_slice_text("k"), osr_slice_text("too short"));
    assert_absent(fixture, "k");
    values->put(values, osr_slice_text("k"), osr_slice_text(""));
    assert_absent(fixture, "k");
}

/* Any bytes are a key or a value, up to the limits and not beyond. */
static void kv_takes_keys_and_values_up_to_their_limits(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *bytes = osr_alloc(OSR_VALUE_BYTES_MAX);
    struct osr_kv_write write = {.key = osr_slice(bytes, OSR_VALUE_KEY_BYTES_MAX),
                                 .value = osr_slice(bytes, OSR_KV_VALUE_BYTES_MAX)};
    struct osr_kv_found found;

    assert_int_equal(apply(fixture, &write), OSR_OK);
    assert_in_range(fixture->command.size, OSR_KV_VALUE_BYTES_MAX, OSR_COMMAND_BYTES_MAX);
    assert_true(osr_kv_get(&fixture->memory.values, write.key, &fixture->value, &found));
    assert_true(osr_slice_equal(found.value, write.value));
    write.value.size++;
    assert_int_equal(osr_kv_encode(&write, &fixture->command, NULL), OSR_TOO_LARGE);
    write.value.size = 0;
    write.key.size++;
    assert_int_equal(osr_kv_encode(&write, &fixture->command, NULL), OSR_TOO_LARGE);
    write.key.size = 0;
    assert_int_equal(osr_kv_encode(&write, &fixture->command, NULL), OSR_INVALID_ARGUMENT);
    write = (struct osr_kv_write){.key = osr_slice_text("a"), .expected = 1};
    assert_int_equal(osr_kv_encode(&write, &fixture->command, NULL), OSR_INVALID_ARGUMENT);
    write = (struct osr_kv_write){
        .is_remove = true, .key = osr_slice_text("a"), .value = osr_slice_text("b")};
    assert_int_equal(osr_kv_encode(&write, &fixture->command, NULL), OSR_INVALID_ARGUMENT);
    free(bytes);
}

/* A command's bytes, which are kept in logs: they may not change. */
static void kv_commands_have_one_form(void **state)
{
    struct fixture *fixture = *state;
    static const uint8_t form[] = {1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 0, 2, 'k', 'y', 'v'};

    osr_kv_encode(&(struct osr_kv_write){.has_expected = true,
                                         .expected = 0x0102030405060708,
                                         .key = osr_slice_text("ky"),
                                         .value = osr_slice_text("v")},
                  &fixture->command, NULL);
    assert_int_equal(fixture->command.size, sizeof(form));
    assert_memory_equal(fixture->command.data, form, sizeof(form));
}

/* What no command can be changes nothing, whoever proposed it. */
static void kv_refuses_malformed_commands(void **state)
{
    struct fixture *fixture = *state;
    static const uint8_t good[] = {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'k', 'v'};
    static const struct {
        size_t at;
        uint8_t byte;
        enum osr_code code;
    } changes[] = {
        {0, 0, OSR_MALFORMED},         {0, 3, OSR_MALFORMED},        {0, 2, OSR_INVALID_ARGUMENT},
        {1, 2, OSR_MALFORMED},         {10, 1, OSR_MALFORMED},       {11, 3, OSR_MALFORMED},
        {11, 0, OSR_INVALID_ARGUMENT}, {9, 1, OSR_INVALID_ARGUMENT},
    };

    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        uint8_t bad[sizeof(good)];
        memcpy(bad, good, sizeof(good));
        bad[changes[i].at] = changes[i].byte;
        assert_int_equal(apply_bytes(fixture, osr_slice(bad, sizeof(bad))), changes[i].code);
        assert_int_equal(fixture->reply.size, 0);
    }
    for (size_t size = 0; size < 13; size++) {
        assert_int_equal(apply_bytes(fixture, osr_slice(good, size)), OSR_MALFORMED);
    }
    assert_int_equal(fixture->memory.count, 0);
    assert_int_equal(apply_bytes(fixture, osr_slice(good, sizeof(good))), OSR_OK);
    assert_found(fixture, "k", "v", fixture->index, 1);
}

/* Random bytes are refused or are a command: many of these expect a state that is not. */
static void kv_survives_random_commands(void **state)
{
    struct fixture *fixture = *state;
    struct osr_random random;
    uint8_t bytes[40];
    int refused = 0;

    osr_random_init(&random, 6);
    for (int i = 0; i < 20000; i++) {
        size_t size = osr_random_below(&random, sizeof(bytes));
        osr_random_fill(&random, bytes, sizeof(bytes));
        bytes[0] = (uint8_t)osr_random_below(&random, 4);
        bytes[1] = (uint8_t)osr_random_below(&random, 3);
        bytes[10] = 0;
        bytes[11] = (uint8_t)osr_random_below(&random, 32);
        refused += apply_bytes(fixture, osr_slice(bytes, size)) == OSR_CONFLICT;
    }
    assert_in_range(refused, 100, 19000);
}

/* A reply of another size is none. */
static void kv_refuses_malformed_replies(void **state)
{
    struct osr_kv_reply reply;
    uint8_t bytes[17] = {0};

    (void)state;
    assert_int_equal(osr_kv_decode_reply(osr_slice(bytes, 15), &reply), OSR_MALFORMED);
    assert_int_equal(osr_kv_decode_reply(osr_slice(bytes, 16), &reply), 0);
    assert_int_equal(osr_kv_decode_reply(osr_slice(bytes, 17), &reply), OSR_MALFORMED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(kv_passes_over_what_is_no_value),
        TEST(kv_keeps_what_was_put),
        TEST(kv_removes),
        TEST(kv_refuses_unexpected_states),
        TEST(kv_takes_keys_and_values_up_to_their_limits),
        TEST(kv_commands_have_one_form),
        TEST(kv_refuses_malformed_commands),
        TEST(kv_survives_random_commands),
        TEST(kv_refuses_malformed_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
