#include "model/speakable.h"

#include <stdio.h>

#include "base/text.h"

enum {
    GROUP_CHARS = 4,
    GROUPS = 3,
    ID_CHARS = GROUPS * GROUP_CHARS,
    CHARS = ID_CHARS + 1, /* with the check, without the hyphens */
};
_Static_assert(CHARS + GROUPS == OSR_SPEAKABLE_CHARS, "a hyphen behind each group");

/* Times x in GF(32). */
static unsigned shift(unsigned element)
{
    enum { CARRY = 1 << 5, POLYNOMIAL = 1 << 5 | 1 << 2 | 1 };
    element <<= 1;
    return (element & CARRY) != 0 ? element ^ POLYNOMIAL : element;
}

static char check_of(const char *id)
{
    unsigned sum = 0;
    for (size_t i = 0; i < ID_CHARS; i++) {
        sum = shift(sum ^ (unsigned)osr_base32_value((uint8_t)id[i]));
    }
    return "abcdefghijklmnopqrstuvwxyz234567"[sum];
}

void osr_speakable_write(char *text, const char *instance)
{
    snprintf(text, OSR_SPEAKABLE_CHARS + 1, "%.4s-%.4s-%.4s-%c", instance, instance + GROUP_CHARS,
             instance + (size_t)2 * GROUP_CHARS, check_of(instance));
}

/* Drops what stands between, and the case. False: there are too many characters, or others than
 * those of base32. */
static bool collect_characters(const char *text, char *characters)
{
    size_t count = 0;
    for (; *text != '\0'; text++) {
        bool is_upper = *text >= 'A' && *text <= 'Z';
        char character = (char)(is_upper ? *text - 'A' + 'a' : *text);
        if (character == '-' || character == ' ' || character == '\t' || character == '\n') {
            continue;
        }
        if (count == OSR_INSTANCE_CHARS || osr_base32_value((uint8_t)character) < 0) {
            return false;
        }
        characters[count++] = character;
    }
    characters[count] = '\0';
    return true;
}

/* Which group alone differs, 1 to GROUPS; 0: none does, or more than one. */
static size_t lone_difference(const char *characters, const char *instance)
{
    size_t found = 0;
    for (size_t i = 0; i < GROUPS; i++) {
        size_t at = i * GROUP_CHARS;
        if (memcmp(characters + at, instance + at, GROUP_CHARS) != 0) {
            if (found != 0) {
                return 0;
            }
            found = i + 1;
        }
    }
    return found;
}

static int refuse_check(const char *characters, const char *instance, struct osr_err *err)
{
    size_t group = lone_difference(characters, instance);
    if (group != 0) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT,
                           "the id is mistyped: look at its group %zu, \"%.4s\"", group,
                           characters + (group - 1) * GROUP_CHARS);
    }
    return osr_err_set(err, OSR_INVALID_ARGUMENT,
                       "the id is mistyped: \"%c\" at its end does not fit to the rest",
                       characters[ID_CHARS]);
}

int osr_speakable_check(const char *text, const char *instance, struct osr_err *err)
{
    char characters[OSR_INSTANCE_CHARS + 1] = "";
    size_t size = collect_characters(text, characters) ? strlen(characters) : 0;
    if (size != CHARS && size != OSR_INSTANCE_CHARS) {
        osr_err_set(err, OSR_INVALID_ARGUMENT, "this is no id of an instance");
        osr_err_hint(err, "one looks like kxq4-72mn-b3ta-w, or has %d letters and digits",
                     OSR_INSTANCE_CHARS);
        return OSR_INVALID_ARGUMENT;
    }
    if (size == CHARS && check_of(characters) != characters[ID_CHARS]) {
        return refuse_check(characters, instance, err);
    }
    if (memcmp(characters, instance, size == CHARS ? (size_t)ID_CHARS : size) != 0) {
        return osr_err_set(err, OSR_NOT_FOUND, "this is the id of another instance");
    }
    return 0;
}

bool osr_speakable_means(const char *text, const char *instance)
{
    char characters[OSR_INSTANCE_CHARS + 1] = "";
    size_t size = collect_characters(text, characters) ? strlen(characters) : 0;
    if (size == 0) {
        return false;
    }
    bool is_speakable = size == CHARS && characters[ID_CHARS] == check_of(instance);
    return memcmp(characters, instance, is_speakable ? (size_t)ID_CHARS : size) == 0;
}
