/* Passwords and their stored hashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <argon2.h>
#include <cmocka.h>
#include <dlfcn.h>

#include "adapter/password.h"

/* ---- libargon2, looked at while it works ---- */

static struct work {
    unsigned hashes;
    uint32_t passes, memory_kib, lanes; /* of the last one */
    size_t password_size;
} work;

/* Stands in for the library's, and calls it. */
int argon2id_hash_raw(uint32_t passes, uint32_t memory_kib, uint32_t lanes, const void *password,
                      size_t password_size, const void *salt, size_t salt_size, void *hash,
                      size_t hash_size)
{
    static int (*real)(uint32_t, uint32_t, uint32_t, const void *, size_t, const void *, size_t,
                       void *, size_t);
    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "argon2id_hash_raw");
    }
    work = (struct work){work.hashes + 1, passes, memory_kib, lanes, password_size};
    return real(passes, memory_kib, lanes, password, password_size, salt, salt_size, hash,
                hash_size);
}

/* Likewise; the costs are those in the text. */
int argon2id_verify(const char *text, const void *password, size_t password_size)
{
    static int (*real)(const char *, const void *, size_t);
    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "argon2id_verify");
    }
    work = (struct work){.hashes = work.hashes + 1, .password_size = password_size};
    sscanf(text, "$argon2id$v=19$m=%u,t=%u,p=%u$", &work.memory_kib, &work.passes, &work.lanes);
    return real(text, password, password_size);
}

static int verify(const char *password, const char *text)
{
    return osr_password_verify(osr_slice_text(password), text, NULL);
}

/* RFC 9106, section 5.3: the library computes Argon2id as the RFC does. */
static void password_library_follows_the_rfc(void **state)
{
    static const uint8_t expected[] = {0x0d, 0x64, 0x0d, 0xf5, 0x8d, 0x78, 0x76, 0x6c,
                                       0x08, 0xc0, 0x37, 0xa3, 0x4a, 0x8b, 0x53, 0xc9,
                                       0xd0, 0x1e, 0xf0, 0x45, 0x2d, 0x75, 0xb6, 0x5e,
                                       0xb5, 0x25, 0x20, 0xe9, 0x6b, 0x01, 0xe6, 0x59};
    uint8_t password[32];
    uint8_t salt[16];
    uint8_t secret[8];
    uint8_t data[12];
    uint8_t hash[32];
    argon2_context context = {
        .out = hash,
        .outlen = sizeof(hash),
        .pwd = memset(password, 1, sizeof(password)),
        .pwdlen = sizeof(password),
        .salt = memset(salt, 2, sizeof(salt)),
        .saltlen = sizeof(salt),
        .secret = memset(secret, 3, sizeof(secret)),
        .secretlen = sizeof(secret),
        .ad = memset(data, 4, sizeof(data)),
        .adlen = sizeof(data),
        .t_cost = 3,
        .m_cost = 32,
        .lanes = 4,
        .threads = 4,
        .version = ARGON2_VERSION_13,
    };
    (void)state;
    assert_int_equal(argon2id_ctx(&context), ARGON2_OK);
    assert_memory_equal(hash, expected, sizeof(hash));
}

/* Hashes made by Argon2's reference program (its own test vectors), at other costs than ours. */
static void password_hashes_made_elsewhere_verify(void **state)
{
    static const char *const texts[] = {
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(verify("password", texts[i]), 0);
        assert_int_equal(verify("Password", texts[i]), OSR_UNAUTHENTICATED);
    }
}

/* A hash verifies its password and no other; two of one password differ. */
static void password_hash_verifies_its_password(void **state)
{
    const char *right = "gr\303\274n und wei\303\237";
    char first[OSR_PASSWORD_HASH_TEXT_MAX];
    char second[OSR_PASSWORD_HASH_TEXT_MAX];
    (void)state;
    assert_int_equal(osr_password_hash(osr_slice_text(right), first, NULL), 0);
    assert_int_equal(osr_password_hash(osr_slice_text(right), second, NULL), 0);
    assert_string_not_equal(first, second);
    assert_memory_equal(first, "$argon2id$v=19$m=19456,t=2,p=1$", 31);
    assert_int_equal(verify(right, first), 0);
    assert_int_equal(verify(right, second), 0);
    assert_int_equal(verify("gr\303\274n und wei", first), OSR_UNAUTHENTICATED);
    assert_int_equal(verify("", first), OSR_UNAUTHENTICATED);
    assert_false(osr_password_is_weak(first));
}

/* The first and the last length that is taken; nothing beyond, and no bytes that are no text. */
static void password_length_is_limited(void **state)
{
    char text[OSR_PASSWORD_HASH_TEXT_MAX];
    char password[OSR_PASSWORD_BYTES_MAX + 1];
    (void)state;
    memset(password, 'x', sizeof(password));
    assert_int_equal(osr_password_hash(osr_slice(password, 7), text, NULL), OSR_INVALID_ARGUMENT);
    assert_int_equal(osr_password_hash(osr_slice(password, sizeof(password)), text, NULL),
                     OSR_INVALID_ARGUMENT);
    assert_int_equal(osr_password_hash(osr_slice_text("caf\351 noir"), text, NULL),
                     OSR_INVALID_ARGUMENT);
    assert_int_equal(osr_password_hash(osr_slice(password, 8), text, NULL), 0);
    assert_int_equal(osr_password_hash(osr_slice(password, sizeof(password) - 1), text, NULL), 0);
    assert_int_equal(osr_password_verify(osr_slice(password, sizeof(password) - 1), text, NULL), 0);
    assert_int_equal(osr_password_verify(osr_slice(password, sizeof(password)), text, NULL),
                     OSR_UNAUTHENTICATED);
}

/* No message has the password in it. */
static void password_is_in_no_message(void **state)
{
    const char *wrong = "hunter2hunter2";
    char text[OSR_PASSWORD_HASH_TEXT_MAX];
    struct osr_err err;
    (void)state;
    assert_int_equal(osr_password_hash(osr_slice_text("hunter\377hunter"), text, &err),
                     OSR_INVALID_ARGUMENT);
    assert_null(strstr(err.message, "hunter"));
    assert_int_equal(osr_password_hash(osr_slice_text("something else"), text, NULL), 0);
    assert_int_equal(osr_password_verify(osr_slice_text(wrong), text, &err), OSR_UNAUTHENTICATED);
    assert_null(strstr(err.message, "hunter"));
    assert_null(strstr(err.message, text + 31));
}

#define TAIL "$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"

/* Stored text that was altered is refused before it costs memory, passes or threads. */
static void password_altered_hashes_are_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "password",
        "$argon2id$v=19$m=65537,t=2,p=1" TAIL,
        "$argon2id$v=19$m=4194304,t=2,p=1" TAIL,
        "$argon2id$v=19$m=256,t=9,p=1" TAIL,
        "$argon2id$v=19$m=256,t=4294967297,p=1" TAIL,
        "$argon2id$v=19$m=256,t=2,p=5" TAIL,
        "$argon2id$v=19$m=256,t=2,p=0" TAIL,
        "$argon2id$v=19$m=256,t=0,p=1" TAIL,
        "$argon2id$v=19$m=1,t=2,p=1" TAIL,
        "$argon2id$v=19$m=+256,t=2,p=1" TAIL,
        "$argon2id$v=19$m=-1,t=2,p=1" TAIL,
        "$argon2id$v=19$m= 256,t=2,p=1" TAIL,
        "$argon2id$v=19$m=0256,t=2,p=1" TAIL,
        "$argon2id$v=16$m=256,t=2,p=1" TAIL,
        "$argon2i$v=19$m=256,t=2,p=1" TAIL,
        "$argon2d$v=19$m=256,t=2,p=1" TAIL,
        "$argon2id$v=19$m=256,t=2,p=1",
        "$argon2id$v=19$m=256,t=2,p=1$",
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ",
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$",
        "$argon2id$v=19$m=256,t=2,p=1$c2$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=1" TAIL "$",
        "$argon2id$v=19$m=256,t=2,p=1" TAIL TAIL TAIL,
    };
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (verify("password", texts[i]) != OSR_CORRUPT) {
            fail_msg("not refused: %s", texts[i]);
        }
    }
    /* Less work than it was made with: read, and no match. */
    assert_int_equal(verify("password", "$argon2id$v=19$m=128,t=2,p=1" TAIL), OSR_UNAUTHENTICATED);
    assert_int_equal(verify("password", "$argon2id$v=19$m=256,t=1,p=1" TAIL), OSR_UNAUTHENTICATED);
}

/* Hashes made with lower costs than today's are known as such. */
static void password_of_lower_costs_is_weak(void **state)
{
    (void)state;
    assert_true(osr_password_is_weak("$argon2id$v=19$m=256,t=2,p=1" TAIL));
    assert_true(osr_password_is_weak("$argon2id$v=19$m=65536,t=1,p=1" TAIL));
    assert_true(osr_password_is_weak("no hash"));
    assert_false(osr_password_is_weak("$argon2id$v=19$m=65536,t=2,p=1" TAIL));
}

/* For an account that is not there the same work is done as for one that is: one hash, of the same
 * password, at the costs at which passwords are stored. */
static void password_pretends_with_the_same_work(void **state)
{
    static const char *const passwords[] = {"", "short", "something long enough"};
    char stored[OSR_PASSWORD_HASH_TEXT_MAX];
    (void)state;
    assert_int_equal(osr_password_hash(osr_slice_text("the password"), stored, NULL), 0);
    for (size_t i = 0; i < sizeof(passwords) / sizeof(passwords[0]); i++) {
        struct osr_slice password = osr_slice_text(passwords[i]);
        work = (struct work){0};
        osr_password_pretend(password);
        struct work pretended = work;
        work = (struct work){0};
        assert_int_equal(osr_password_verify(password, stored, NULL), OSR_UNAUTHENTICATED);
        assert_int_equal(pretended.hashes, 1);
        assert_memory_equal(&pretended, &work, sizeof(work));
    }
}

/* What is too long to be anybody's costs no work, whether there is an account or not. */
static void password_that_is_too_long_costs_nothing(void **state)
{
    char password[OSR_PASSWORD_BYTES_MAX + 1] = "";
    char stored[OSR_PASSWORD_HASH_TEXT_MAX];
    (void)state;
    assert_int_equal(osr_password_hash(osr_slice_text("the password"), stored, NULL), 0);
    work = (struct work){0};
    osr_password_pretend(osr_slice(password, sizeof(password)));
    assert_int_equal(osr_password_verify(osr_slice(password, sizeof(password)), stored, NULL),
                     OSR_UNAUTHENTICATED);
    assert_int_equal(work.hashes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(password_library_follows_the_rfc),
        cmocka_unit_test(password_hashes_made_elsewhere_verify),
        cmocka_unit_test(password_hash_verifies_its_password),
        cmocka_unit_test(password_length_is_limited),
        cmocka_unit_test(password_is_in_no_message),
        cmocka_unit_test(password_altered_hashes_are_refused),
        cmocka_unit_test(password_of_lower_costs_is_weak),
        cmocka_unit_test(password_pretends_with_the_same_work),
        cmocka_unit_test(password_that_is_too_long_costs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
