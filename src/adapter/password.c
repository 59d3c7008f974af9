/* libargon2 wipes the memory that it worked in (FLAG_clear_internal_memory is set, and not
 * exported: nobody can clear it), and compares in constant time. */
#include "adapter/password.h"

#include <argon2.h>
#include <stdio.h>
#include <string.h>

#include "adapter/keys.h"
#include "base/text.h"

enum { SALT_BYTES = 16, HASH_BYTES = 32 };

/* What a hash costs to make; stands in its text. */
struct costs {
    uint32_t memory_kib;
    uint32_t passes;
    uint32_t lanes;
};

/* False where the text does not begin as ours do. What follows is read by libargon2. */
static bool read_costs(const char *text, struct costs *ret_costs)
{
    struct costs costs;
    char written[OSR_PASSWORD_HASH_TEXT_MAX];
    int size;

    if (strnlen(text, OSR_PASSWORD_HASH_TEXT_MAX) == OSR_PASSWORD_HASH_TEXT_MAX ||
        sscanf(text, "$argon2id$v=19$m=%9u,t=%9u,p=%9u$", &costs.memory_kib, &costs.passes,
               &costs.lanes) != 3) {
        return false;
    }
    /* What sscanf is lenient about is not written as it was read. */
    size = snprintf(written, sizeof(written), "$argon2id$v=19$m=%u,t=%u,p=%u$", costs.memory_kib,
                    costs.passes, costs.lanes);
    if (strncmp(text, written, (size_t)size) != 0) {
        return false;
    }
    *ret_costs = costs;
    return true;
}

static int check_costs(const struct costs *costs, struct osr_err *err)
{
    if (costs->memory_kib > OSR_PASSWORD_MEMORY_KIB_MAX ||
        costs->passes > OSR_PASSWORD_PASSES_MAX || costs->lanes > OSR_PASSWORD_LANES_MAX) {
        return (int)osr_err_set(err, OSR_CORRUPT,
                                "the stored password's hash asks for %u KiB, %u passes, %u lanes; "
                                "at most %d, %d, %d are worked with",
                                costs->memory_kib, costs->passes, costs->lanes,
                                OSR_PASSWORD_MEMORY_KIB_MAX, OSR_PASSWORD_PASSES_MAX,
                                OSR_PASSWORD_LANES_MAX);
    }
    return 0;
}

static int check_new(struct osr_slice password, struct osr_err *err)
{
    if (password.size < OSR_PASSWORD_BYTES_MIN || password.size > OSR_PASSWORD_BYTES_MAX) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                                "a password has %d to %d bytes, this one %zu",
                                OSR_PASSWORD_BYTES_MIN, OSR_PASSWORD_BYTES_MAX, password.size);
    }
    if (!osr_utf8_is_valid(password)) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "the password is no UTF-8");
    }
    return 0;
}

static int fail(int result, struct osr_err *err)
{
    if (result == ARGON2_MEMORY_ALLOCATION_ERROR || result == ARGON2_THREAD_FAIL) {
        return (int)osr_err_set(err, OSR_BUSY, "no memory to hash a password: %s",
                                argon2_error_message(result));
    }
    return (int)osr_err_set(err, OSR_CORRUPT, "the stored password's hash is damaged: %s",
                            argon2_error_message(result));
}

int osr_password_hash(struct osr_slice password, char *text, struct osr_err *err)
{
    uint8_t salt[SALT_BYTES];
    int code = check_new(password, err);

    if (code != 0) {
        return code;
    }
    osr_secret_random(salt, sizeof(salt));
    int result = argon2id_hash_encoded(OSR_PASSWORD_PASSES, OSR_PASSWORD_MEMORY_KIB,
                                       OSR_PASSWORD_LANES, password.data, password.size, salt,
                                       sizeof(salt), HASH_BYTES, text, OSR_PASSWORD_HASH_TEXT_MAX);
    return result == ARGON2_OK ? 0 : fail(result, err);
}

/* Too long to be anybody's, and for the thread. Decided by the password alone, so that it says
 * nothing about the account. */
static bool is_hopeless(struct osr_slice password)
{
    return password.size > OSR_PASSWORD_BYTES_MAX;
}

int osr_password_verify(struct osr_slice password, const char *text, struct osr_err *err)
{
    struct costs costs;
    int result = ARGON2_VERIFY_MISMATCH;

    if (!read_costs(text, &costs)) {
        return (int)osr_err_set(err, OSR_CORRUPT, "the stored password's hash is none of ours");
    }
    int code = check_costs(&costs, err);
    if (code != 0) {
        return code;
    }
    if (!is_hopeless(password)) {
        result = argon2id_verify(text, password.data, password.size);
    }
    if (result == ARGON2_VERIFY_MISMATCH) {
        return (int)osr_err_set(err, OSR_UNAUTHENTICATED, "the password is not right");
    }
    return result == ARGON2_OK ? 0 : fail(result, err);
}

void osr_password_pretend(struct osr_slice password)
{
    static const uint8_t salt[SALT_BYTES];
    uint8_t hash[HASH_BYTES];

    if (is_hopeless(password)) {
        return;
    }
    /* Whether it succeeds is all the same: there is nothing to compare with. */
    argon2id_hash_raw(OSR_PASSWORD_PASSES, OSR_PASSWORD_MEMORY_KIB, OSR_PASSWORD_LANES,
                      password.data, password.size, salt, sizeof(salt), hash, sizeof(hash));
    explicit_bzero(hash, sizeof(hash));
}

bool osr_password_is_weak(const char *text)
{
    struct costs costs;

    return !read_costs(text, &costs) || costs.memory_kib < OSR_PASSWORD_MEMORY_KIB ||
           costs.passes < OSR_PASSWORD_PASSES || costs.lanes < OSR_PASSWORD_LANES;
}
