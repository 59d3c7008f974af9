/* test_cluster_settings.c -- what Osiris agrees on itself, as a state machine on values in memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/cluster_settings.h"
#include "lib/memory_values.h"

#define REVOCATION "credential/revocation:aa:01"

struct fixture {
    struct memory_values memory;
    struct osr_cluster_handler handler;
    struct osr_machine machine;
    struct osr_buffer command;
    struct osr_buffer changed; /* keys that were told, each with a space behind it */
    size_t restored_count;
    uint64_t index;
    struct osr_err err;
};

static void on_changed(void *context, struct osr_slice key)
{
    struct fixture *fixture = context;

    osr_buffer_add(&fixture->changed, key.data, key.size);
    osr_buffer_add_u8(&fixture->changed, ' ');
}

static void on_restored(void *context)
{
    ((struct fixture *)context)->restored_count++;
}

static int set_up(void **state)
{
    struct fixture *fixture = osr_alloc(sizeof(*fixture));

    memory_values_init(&fixture->memory);
    fixture->handler = (struct osr_cluster_handler){on_changed, on_restored, fixture};
    fixture->machine = osr_cluster_machine(&fixture->handler);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    memory_values_done(&fixture->memory);
    osr_buffer_done(&fixture->command);
    osr_buffer_done(&fixture->changed);
    free(fixture);
    return 0;
}

/* ---- what the tests say ---- */

/* As a member's command comes, whether osr_cluster_encode would make it or not. */
static enum osr_code apply(struct fixture *fixture, const struct osr_kv_write *write)
{
    struct osr_buffer reply = {0};

    fixture->command.size = 0;
    assert_int_equal(osr_kv_encode(write, &fixture->command, NULL), 0);
    const struct osr_command command = {
        .index = ++fixture->index, .version = 1, .bytes = osr_buffer_slice(&fixture->command)};
    enum osr_code code =
        fixture->machine.apply(fixture->machine.context, &fixture->memory.values, &command, &reply);
    osr_buffer_done(&reply);
    fixture->command.size = 0;
    assert_int_equal(osr_cluster_encode(write, &fixture->command, &fixture->err) == 0,
                     code == OSR_OK || code == OSR_CONFLICT);
    return code;
}

static enum osr_code put(struct fixture *fixture, const char *key, const char *value)
{
    return apply(fixture, &(struct osr_kv_write){.key = osr_slice_text(key),
                                                 .value = osr_slice_text(value)});
}

static enum osr_code take_away(struct fixture *fixture, const char *key)
{
    return apply(fixture, &(struct osr_kv_write){.is_remove = true, .key = osr_slice_text(key)});
}

static void assert_changed(struct fixture *fixture, const char *keys)
{
    osr_buffer_add_u8(&fixture->changed, '\0');
    assert_string_equal((const char *)fixture->changed.data, keys);
    fixture->changed.size = 0;
}

static void assert_setting(struct fixture *fixture, enum osr_cluster_setting setting, bool is_set,
                           const char *value)
{
    struct osr_buffer found = {0};

    assert_int_equal(osr_cluster_setting_get(&fixture->memory.values, setting, &found), is_set);
    assert_true(osr_slice_equal(osr_buffer_slice(&found), osr_slice_text(value)));
    osr_buffer_done(&found);
}

/* ---- tests ---- */

/* What is set holds, what is taken away is the default again, and each is told. */
static void setting_is_set_and_taken_away(void **state)
{
    struct fixture *fixture = *state;

    assert_setting(fixture, OSR_CLUSTER_SETTING_JOIN, false, "automatic");
    assert_int_equal(put(fixture, "setting/join", "by-hand"), OSR_OK);
    assert_setting(fixture, OSR_CLUSTER_SETTING_JOIN, true, "by-hand");
    assert_true(osr_cluster_joins_by_hand(&fixture->memory.values));
    assert_int_equal(put(fixture, "setting/voters-max", "3"), OSR_OK);
    assert_int_equal(osr_cluster_voters_max(&fixture->memory.values), 3);
    assert_int_equal(take_away(fixture, "setting/join"), OSR_OK);
    assert_false(osr_cluster_joins_by_hand(&fixture->memory.values));
    assert_changed(fixture, "setting/join setting/voters-max setting/join ");
}

/* A ledger without this machine is one where nothing is set. */
static void no_values_are_defaults(void **state)
{
    (void)state;
    assert_false(osr_cluster_joins_by_hand(NULL));
    assert_int_equal(osr_cluster_voters_max(NULL), 7);
}

/* The default of each setting is one of its values. */
static void defaults_are_values(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < OSR_CLUSTER_SETTING_COUNT; i++) {
        const struct osr_cluster_setting_info *info =
            osr_cluster_setting_info((enum osr_cluster_setting)i);
        char *key = osr_format(OSR_CLUSTER_SETTING_PREFIX "%s", info->name);
        assert_int_equal(put(fixture, key, info->by_default), OSR_OK);
        free(key);
    }
}

/* Whoever proposes it: it is refused, changes nothing, and nobody is told. */
static void unknown_is_refused(void **state)
{
    static const struct {
        const char *key;
        const char *value;
    } wrong[] = {
        {"setting/joins", "by-hand"}, {"setting/", "1"},      {"setting/join", "perhaps"},
        {"setting/join", ""},         {"setting/join", "by"}, {"setting/voters-max", "0"},
        {"setting/voters-max", "8"},  {"settings", "1"},      {"acces", "roles: {}"},
        {"access/", "roles: {}"},     {"access", "\xff\xfe"}, {"credential/", "x"},
        {"credential/token:1", "x"},  {REVOCATION, ""},       {"credential/revocation:a b", "x"},
        {"credential/member:1", "x"}, {"\x01", "x"},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(put(fixture, wrong[i].key, wrong[i].value), OSR_INVALID_ARGUMENT);
    }
    assert_int_equal(take_away(fixture, "setting/joins"), OSR_INVALID_ARGUMENT);
    assert_int_equal(fixture->memory.count, 0);
    assert_changed(fixture, "");
}

/* Bytes that are no command at all neither. */
static void malformed_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct osr_buffer reply = {0};
    const struct osr_command command = {
        .index = 1, .version = 1, .bytes = osr_slice_text("no command")};

    assert_int_equal(
        fixture->machine.apply(fixture->machine.context, &fixture->memory.values, &command, &reply),
        OSR_MALFORMED);
    assert_changed(fixture, "");
    osr_buffer_done(&reply);
}

/* What each setting means fits behind the names of all, on a terminal of 80 columns. */
static void meanings_fit_a_terminal(void **state)
{
    (void)state;
    for (size_t i = 0; i < OSR_CLUSTER_SETTING_COUNT; i++) {
        const struct osr_cluster_setting_info *info =
            osr_cluster_setting_info((enum osr_cluster_setting)i);
        assert_in_range(strlen(info->name), 1, 11);
        assert_in_range(strlen(info->meaning), 1, 80 - 12);
    }
}

/* Who mistyped is told what was probably meant; what is like nothing, where to look. */
static void mistyped_is_told(void **state)
{
    struct fixture *fixture = *state;

    put(fixture, "setting/voter-max", "3");
    assert_non_null(strstr(fixture->err.hint, "voters-max"));
    put(fixture, "setting/join", "byhand");
    assert_non_null(strstr(fixture->err.hint, "by-hand"));
    put(fixture, "setting/foo", "bar");
    assert_string_equal(fixture->err.hint, "`osiris cluster settings` lists them");
}

/* A revocation stays as it was said first, and stays. */
static void revocation_is_never_taken_back(void **state)
{
    struct fixture *fixture = *state;
    struct osr_kv_write again = {
        .has_expected = true, .key = osr_slice_text(REVOCATION), .value = osr_slice_text("second")};

    assert_int_equal(put(fixture, REVOCATION, "first"), OSR_OK);
    assert_int_equal(apply(fixture, &again), OSR_CONFLICT);
    assert_int_equal(take_away(fixture, REVOCATION), OSR_INVALID_ARGUMENT);
    assert_int_equal(fixture->memory.count, 1);
    assert_changed(fixture, REVOCATION " ");
}

/* No member fills the others' memory. */
static void too_large_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char *text = osr_alloc(OSR_CLUSTER_ACCESS_BYTES_MAX + 2);

    memset(text, '#', OSR_CLUSTER_ACCESS_BYTES_MAX + 1);
    assert_int_equal(put(fixture, "access", text), OSR_TOO_LARGE);
    assert_int_equal(put(fixture, REVOCATION, text), OSR_TOO_LARGE);
    text[OSR_CLUSTER_ACCESS_BYTES_MAX] = '\0';
    assert_int_equal(put(fixture, "access", text), OSR_OK);
    free(text);
}

/* A policy is kept whatever its words mean: an older member may not know them yet. */
static void policy_is_not_understood(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(put(fixture, "access", "roles: {unheard: of}"), OSR_OK);
    assert_int_equal(take_away(fixture, "access"), OSR_OK);
    assert_changed(fixture, "access access ");
}

/* Where all values are others, it is told as well. */
static void restored_is_told(void **state)
{
    struct fixture *fixture = *state;

    fixture->machine.restored(fixture->machine.context, &fixture->memory.values);
    assert_int_equal(fixture->restored_count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(setting_is_set_and_taken_away),
        TEST(meanings_fit_a_terminal),
        TEST(no_values_are_defaults),
        TEST(defaults_are_values),
        TEST(unknown_is_refused),
        TEST(malformed_is_refused),
        TEST(mistyped_is_told),
        TEST(revocation_is_never_taken_back),
        TEST(too_large_is_refused),
        TEST(policy_is_not_understood),
        TEST(restored_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
