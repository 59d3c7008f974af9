/* Who is let in over ZeroMQ, as it lies in an instance's folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "adapter/zmq_keys.h"
#include "lib/scratch.h"
#include "node/client_keys.h"

struct rig {
    char folder[SCRATCH_PATH_MAX];
    struct osr_bus_keys *keys;
    struct osr_err err;
};

static int set_up(void **state)
{
    struct rig *rig = osr_alloc(sizeof(*rig));
    scratch_create(rig->folder);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    osr_client_keys_free(rig->keys);
    scratch_remove(rig->folder);
    free(rig);
    return 0;
}

static int read_keys(struct rig *rig)
{
    osr_client_keys_free(rig->keys);
    rig->keys = NULL;
    return osr_client_keys_read(rig->folder, &rig->keys, &rig->err);
}

static int add(struct rig *rig, const char *name, const char *key, struct osr_buffer *secret)
{
    return osr_client_keys_add(rig->folder, name, osr_slice_text(key), secret, &rig->err);
}

static void make_key(char public_text[OSR_CURVE_KEY_CHARS + 1])
{
    uint8_t secret[OSR_BUS_KEY_BYTES];
    uint8_t public_key[OSR_BUS_KEY_BYTES];
    osr_curve_pair_make(secret, public_key);
    osr_curve_key_write(public_key, public_text);
}

/* The server's key is made once, and stays. */
static void server_key_stays(void **state)
{
    struct rig *rig = *state;
    uint8_t first[OSR_BUS_KEY_BYTES];
    assert_int_equal(read_keys(rig), 0);
    assert_int_equal(rig->keys->client_count, 0);
    memcpy(first, rig->keys->secret, sizeof(first));
    assert_int_equal(read_keys(rig), 0);
    assert_memory_equal(first, rig->keys->secret, sizeof(first));
}

/* A client's own key is taken as it is; of a pair that is made, the secret one is given out, and
 * the public one kept. */
static void added_clients_are_read(void **state)
{
    struct rig *rig = *state;
    struct osr_buffer secret = {0};
    char own[OSR_CURVE_KEY_CHARS + 1];
    char kept[OSR_CURVE_KEY_CHARS + 1];
    uint8_t secret_key[OSR_BUS_KEY_BYTES];
    uint8_t public_key[OSR_BUS_KEY_BYTES];
    make_key(own);
    assert_int_equal(add(rig, "a.own", own, &secret), 0);
    assert_int_equal(secret.size, 0);
    assert_int_equal(add(rig, "made", "", &secret), 0);
    assert_true(osr_curve_key_read(osr_buffer_slice(&secret), secret_key));
    osr_curve_public(secret_key, public_key);
    assert_int_equal(read_keys(rig), 0);
    assert_int_equal(rig->keys->client_count, 2);
    assert_string_equal(rig->keys->clients[0].name, "a.own");
    osr_curve_key_write(rig->keys->clients[0].key, kept);
    assert_string_equal(kept, own);
    assert_string_equal(rig->keys->clients[1].name, "made");
    assert_memory_equal(rig->keys->clients[1].key, public_key, sizeof(public_key));
    osr_buffer_wipe(&secret);
}

/* Neither a name nor a key is anybody else's. */
static void names_and_keys_are_unlike(void **state)
{
    struct rig *rig = *state;
    struct osr_buffer secret = {0};
    char one[OSR_CURVE_KEY_CHARS + 1];
    char two[OSR_CURVE_KEY_CHARS + 1];
    make_key(one);
    make_key(two);
    assert_int_equal(add(rig, "one", one, &secret), 0);
    assert_int_equal(add(rig, "one", two, &secret), OSR_ALREADY_EXISTS);
    assert_int_equal(add(rig, "two", one, &secret), OSR_ALREADY_EXISTS);
    assert_int_equal(add(rig, "two", two, &secret), 0);
}

/* A name becomes a file's: what could be another path is none. */
static void names_that_are_none_are_refused(void **state)
{
    struct rig *rig = *state;
    static const char *const wrong[] = {"", ".", "..", "../x", "a/b", "a b", ".hidden", "\xc3\xb1"};
    struct osr_buffer secret = {0};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(add(rig, wrong[i], "", &secret), OSR_INVALID_ARGUMENT);
        assert_int_equal(osr_client_keys_remove(rig->folder, wrong[i], &rig->err),
                         OSR_INVALID_ARGUMENT);
    }
    osr_buffer_wipe(&secret);
}

/* One that is removed is let in no more, and its name is free. */
static void removed_client_is_gone(void **state)
{
    struct rig *rig = *state;
    struct osr_buffer secret = {0};
    char key[OSR_CURVE_KEY_CHARS + 1];
    make_key(key);
    assert_int_equal(osr_client_keys_remove(rig->folder, "one", &rig->err), OSR_NOT_FOUND);
    assert_int_equal(add(rig, "one", key, &secret), 0);
    assert_int_equal(osr_client_keys_remove(rig->folder, "one", &rig->err), 0);
    assert_int_equal(read_keys(rig), 0);
    assert_int_equal(rig->keys->client_count, 0);
    assert_int_equal(add(rig, "one", key, &secret), 0);
}

/* Files that are no keys, twice the same key, and keys that others can write or read are refused,
 * with the file's name; what ends in nothing of ours is passed over. */
static void damaged_folders_are_refused(void **state)
{
    struct rig *rig = *state;
    struct osr_buffer secret = {0};
    char key[OSR_CURVE_KEY_CHARS + 1];
    make_key(key);
    assert_int_equal(add(rig, "one", key, &secret), 0);
    scratch_run(rig->folder, "touch trust/zmq/clients/one.key.new trust/zmq/clients/README");
    assert_int_equal(read_keys(rig), 0);
    scratch_run(rig->folder, "cp -p trust/zmq/clients/one.key trust/zmq/clients/two.key");
    assert_int_equal(read_keys(rig), OSR_CONFIG);
    scratch_run(rig->folder, "echo no-key >trust/zmq/clients/two.key");
    assert_int_equal(read_keys(rig), OSR_CONFIG);
    assert_non_null(strstr(rig->err.message, "two.key"));
    scratch_run(rig->folder, "rm trust/zmq/clients/two.key; chmod 666 trust/zmq/clients/one.key");
    assert_int_equal(read_keys(rig), OSR_PERMISSION_DENIED);
    scratch_run(rig->folder, "chmod 600 trust/zmq/clients/one.key; chmod 640 trust/zmq/server.key");
    assert_int_equal(read_keys(rig), OSR_PERMISSION_DENIED);
    scratch_run(rig->folder, "chmod 600 trust/zmq/server.key");
    assert_int_equal(read_keys(rig), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(server_key_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(added_clients_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_and_keys_are_unlike, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_that_are_none_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(removed_client_is_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged_folders_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
