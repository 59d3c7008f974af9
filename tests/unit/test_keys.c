#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "adapter/keys.h"
#include "lib/scratch.h"

static int set_up(void **state)
{
    *state = scratch_file_create("identity.key");
    return 0;
}

static int tear_down(void **state)
{
    struct scratch_file *fixture = *state;

    unlink(fixture->path);
    rmdir(fixture->path);
    assert_int_equal(rmdir(fixture->folder), 0); /* nothing else was left in there */
    free(fixture);
    return 0;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static struct osr_keys *open_keys(const struct scratch_file *fixture)
{
    struct osr_keys *keys = NULL;
    struct osr_err err;

    assert_int_equal(osr_keys_open(fixture->folder, &keys, &err), 0);
    return keys;
}

static void assert_refused(const struct scratch_file *fixture, enum osr_code code,
                           const char *message, const char *hint)
{
    struct osr_keys *keys = NULL;
    struct osr_err err;

    assert_int_equal(osr_keys_open(fixture->folder, &keys, &err), code);
    assert_null(keys);
    assert_non_null(strstr(err.message, message));
    assert_non_null(strstr(err.hint, hint));
}

/* The first start makes a key that only its owner can read; the next finds the same one. */
static void keys_are_made_once(void **state)
{
    const struct scratch_file *fixture = *state;
    struct osr_keys *first = open_keys(fixture);
    struct osr_keys *second = open_keys(fixture);
    struct stat file;

    assert_int_equal(stat(fixture->path, &file), 0);
    assert_int_equal(file.st_mode & 07777, 0600);
    assert_memory_equal(osr_keys_public(first), osr_keys_public(second),
                        sizeof(struct osr_public_key));
    osr_keys_close(first);
    osr_keys_close(second);
}

/* A signature holds for its message and its key, and for nothing else. */
static void keys_sign_and_verify(void **state)
{
    const struct scratch_file *fixture = *state;
    struct osr_keys *keys = open_keys(fixture);
    struct osr_public_key other = *osr_keys_public(keys);
    struct osr_slice message = osr_slice_text("a head");
    struct osr_signature signature = osr_keys_sign(keys, message);

    assert_true(osr_keys_verify(osr_keys_public(keys), message, &signature));
    assert_false(osr_keys_verify(osr_keys_public(keys), osr_slice_text("a heap"), &signature));
    other.bytes[5] ^= 1;
    assert_false(osr_keys_verify(&other, message, &signature));
    signature.bytes[0] ^= 1;
    assert_false(osr_keys_verify(osr_keys_public(keys), message, &signature));
    osr_keys_close(keys);
}

/* RFC 8032, section 7.1, test 2: the algorithm is the standard one. */
static void keys_verify_the_standard_vector(void **state)
{
    (void)state;
    const struct osr_public_key key = {{0x3d, 0x40, 0x17, 0xc3, 0xe8, 0x43, 0x89, 0x5a,
                                        0x92, 0xb7, 0x0a, 0xa7, 0x4d, 0x1b, 0x7e, 0xbc,
                                        0x9c, 0x98, 0x2c, 0xcf, 0x2e, 0xc4, 0x96, 0x8c,
                                        0xc0, 0xcd, 0x55, 0xf1, 0x2a, 0xf4, 0x66, 0x0c}};
    const struct osr_signature signature = {
        {0x92, 0xa0, 0x09, 0xa9, 0xf0, 0xd4, 0xca, 0xb8, 0x72, 0x0e, 0x82, 0x0b, 0x5f,
         0x64, 0x25, 0x40, 0xa2, 0xb2, 0x7b, 0x54, 0x16, 0x50, 0x3f, 0x8f, 0xb3, 0x76,
         0x22, 0x23, 0xeb, 0xdb, 0x69, 0xda, 0x08, 0x5a, 0xc1, 0xe4, 0x3e, 0x15, 0x99,
         0x6e, 0x45, 0x8f, 0x36, 0x13, 0xd0, 0xf1, 0x1d, 0x8c, 0x38, 0x7b, 0x2e, 0xae,
         0xb4, 0x30, 0x2a, 0xee, 0xb0, 0x0d, 0x29, 0x16, 0x12, 0xbb, 0x0c, 0x00}};

    assert_true(osr_keys_verify(&key, osr_slice("\x72", 1), &signature));
}

/* A key that others can read is refused, with the command that mends it. */
static void keys_open_to_others_are_refused(void **state)
{
    const struct scratch_file *fixture = *state;
    char hint[128];

    osr_keys_close(open_keys(fixture));
    assert_int_equal(chmod(fixture->path, 0640), 0);
    snprintf(hint, sizeof hint, "chmod 600 %s", fixture->path);
    assert_refused(fixture, OSR_PERMISSION_DENIED, "is open to other users (mode 0640)", hint);
}

/* An empty file is not taken for "no key yet", and stays as it is. */
static void keys_do_not_replace_an_empty_file(void **state)
{
    const struct scratch_file *fixture = *state;
    struct stat file;

    write_file(fixture->path, "", 0600);
    assert_refused(fixture, OSR_CORRUPT, "is empty", "restore it from a backup");
    assert_int_equal(stat(fixture->path, &file), 0);
    assert_int_equal(file.st_size, 0);
}

/* Text that is no key, a key of another kind, an encrypted key: all are refused. */
static void keys_refuse_foreign_files(void **state)
{
    static const char *const encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
        "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjSIOigzYDqnAICCAAw\n"
        "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEKlNFH2B2fDkvV5R+hqghDEEQK+4\n"
        "bEyl+eOf2W5AtqAm4L8ORjdIdS76V46sTCCjEvrlYmCr7T46M1scndwNd9rdkgyO\n"
        "FMP09hBl4lguAsxAYII=\n"
        "-----END ENCRYPTED PRIVATE KEY-----\n";
    static const char *const x25519 =
        "-----BEGIN PRIVATE KEY-----\n"
        "MC4CAQAwBQYDK2VuBCIEIFhbXhVOG7zZqSkI19j13q1kMTObcGgXjAGGhVsaLK5I\n"
        "-----END PRIVATE KEY-----\n";
    const struct scratch_file *fixture = *state;

    write_file(fixture->path, "not a key\n", 0600);
    assert_refused(fixture, OSR_FOREIGN_FILE, "no unencrypted private key", "restore it");
    write_file(fixture->path, encrypted, 0600);
    assert_refused(fixture, OSR_FOREIGN_FILE, "no unencrypted private key", "restore it");
    write_file(fixture->path, x25519, 0600);
    assert_refused(fixture, OSR_FOREIGN_FILE, "another kind than Ed25519", "restore it");
}

/* A file far longer than a key is not read to its end. */
static void keys_refuse_a_long_file(void **state)
{
    const struct scratch_file *fixture = *state;
    char text[5000];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    write_file(fixture->path, text, 0600);
    assert_refused(fixture, OSR_FOREIGN_FILE, "too long", "restore it");
}

/* A folder or a FIFO in the key's place is refused at once. */
static void keys_refuse_what_is_no_file(void **state)
{
    const struct scratch_file *fixture = *state;

    assert_int_equal(mkfifo(fixture->path, 0600), 0);
    assert_refused(fixture, OSR_FOREIGN_FILE, "is not a file", "mv ");
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(mkdir(fixture->path, 0700), 0);
    assert_refused(fixture, OSR_FOREIGN_FILE, "is not a file", "mv ");
}

/* What a crash in the middle of making a key left behind is no obstacle. */
static void keys_pass_over_a_half_written_one(void **state)
{
    const struct scratch_file *fixture = *state;
    char temporary[128];

    snprintf(temporary, sizeof temporary, "%s.new", fixture->path);
    write_file(temporary, "-----BEGIN PRIV", 0600);
    osr_keys_close(open_keys(fixture));
    assert_int_equal(access(temporary, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_are_made_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_sign_and_verify, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_open_to_others_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_do_not_replace_an_empty_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_refuse_foreign_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_refuse_a_long_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_refuse_what_is_no_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_pass_over_a_half_written_one, set_up, tear_down),
        cmocka_unit_test(keys_verify_the_standard_vector),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
