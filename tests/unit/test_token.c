/* Tokens and invitations as text: what is written is read, and nothing else is. */
#include "model/token.h"

#include "base/random.h"
#include "base/text.h"
#include "model/form.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { PREFIX = 5, SECRET_WINDOW = 6 };

/* Whatever could stand in the place of a character: all of base32, its neighbours, and others. */
static const char replacements[] = "abcdefghijklmnopqrstuvwxyz234567"
                                   "0189_-. \n=+/!A\x7f\x80\xff";

static struct osr_token random_token(uint64_t seed)
{
    struct osr_random random;
    struct osr_token token;
    osr_random_init(&random, seed);
    osr_random_fill(&random, &token, sizeof(token));
    return token;
}

/* What is said of a text must not hold any piece of it, its first letters aside. */
static void assert_keeps_secret(const char *said, const char *text)
{
    for (size_t i = PREFIX; i + SECRET_WINDOW <= strlen(text); i++) {
        char window[SECRET_WINDOW + 1];
        snprintf(window, sizeof(window), "%s", text + i);
        if (strstr(said, window) != NULL) {
            fail_msg("\"%s\" repeats what it must not", said);
        }
    }
}

static void assert_message(const struct osr_err *err, const char *part)
{
    if (strstr(err->message, part) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err->message, part);
    }
}

/* Either reader, refusing: `code`, nothing set, nothing repeated. */
static int read_as(bool is_invitation, struct osr_slice text, struct osr_err *err)
{
    if (!is_invitation) {
        struct osr_token token;
        struct osr_token before;
        memset(&token, 0x5a, sizeof(token));
        before = token;
        int code = osr_token_read(text, NULL, &token, err);
        assert_true(code == 0 || memcmp(&token, &before, sizeof(token)) == 0);
        return code;
    }
    struct osr_invitation invitation = {.address_count = 0};
    int code = osr_invitation_read(text, &invitation, err);
    assert_true((code == 0) == (invitation.address_count > 0));
    osr_invitation_done(&invitation);
    return code;
}

static void assert_refused(bool is_invitation, const char *text, size_t size, const char *why)
{
    struct osr_err err = {0};
    int code = read_as(is_invitation, osr_slice(text, size), &err);
    if (code != OSR_INVALID_ARGUMENT) {
        fail_msg("taken, or refused with %d: %.*s", code, (int)size, text);
    }
    assert_int_equal(err.code, code);
    assert_message(&err, why);
    char *copy = osr_format("%.*s", (int)size, text);
    assert_keeps_secret(err.message, copy);
    assert_keeps_secret(err.hint, copy);
    free(copy);
}

static char *token_text(const struct osr_token *token)
{
    char *text = osr_alloc(OSR_TOKEN_TEXT_MAX);
    osr_token_write(text, token);
    assert_int_equal(strlen(text), OSR_TOKEN_TEXT_MAX - 1);
    return text;
}

static struct osr_invitation sample_invitation(char **addresses, size_t count)
{
    struct osr_invitation invitation = {.token = random_token(3), .address_count = count};
    memset(invitation.ca_fingerprint.bytes, 0xca, sizeof(invitation.ca_fingerprint.bytes));
    memcpy(invitation.addresses, addresses, count * sizeof(*addresses));
    return invitation;
}

static char *invitation_text(const struct osr_invitation *invitation)
{
    struct osr_buffer text = {0};
    osr_invitation_write(&text, invitation);
    assert_true(text.size < OSR_INVITATION_TEXT_MAX);
    osr_buffer_add_u8(&text, '\0');
    return (char *)text.data;
}

static char *sample_text(bool is_invitation)
{
    char *addresses[] = {"tls://10.0.0.7:12346", "tls://kitchen.local:12346?codec=json"};
    struct osr_token token = random_token(1);
    struct osr_invitation invitation = sample_invitation(addresses, COUNT(addresses));
    return is_invitation ? invitation_text(&invitation) : token_text(&token);
}

/* Many tokens come back as they were. */
static void token_goes_there_and_back(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct osr_token token = random_token(seed);
        struct osr_token again;
        struct osr_err err;
        char *text = token_text(&token);
        assert_memory_equal(text, "osrt_", PREFIX);
        assert_int_equal(osr_token_read(osr_slice_text(text), &token.cluster, &again, &err), 0);
        assert_memory_equal(&again, &token, sizeof(token));
        free(text);
    }
}

static void assert_same_when_spread(bool is_invitation, const char *text, const char *separator)
{
    struct osr_buffer spread = {0};
    struct osr_err err;
    for (size_t i = 0; text[i] != '\0'; i++) {
        uint8_t character = (uint8_t)text[i];
        osr_buffer_add_u8(&spread, (uint8_t)(i % 2 == 0 ? toupper(character) : character));
        if (i % 7 == 0) {
            osr_buffer_add_text(&spread, separator);
        }
    }
    assert_int_equal(read_as(is_invitation, osr_buffer_slice(&spread), &err), 0);
    osr_buffer_done(&spread);
}

/* Mail programs break lines, people put hyphens in, telephones begin with a capital. */
static void texts_are_read_however_they_were_broken(void **state)
{
    (void)state;
    static const char *const separators[] = {"", "-", ".", " ", "\t", "\r\n", "\n- "};
    for (size_t i = 0; i < 2 * COUNT(separators); i++) {
        bool is_invitation = i % 2 == 1;
        char *text = sample_text(is_invitation);
        assert_same_when_spread(is_invitation, text, separators[i / 2]);
        free(text);
    }
}

/* No character can be another one without its being told, whatever it is and wherever. */
static void texts_with_one_wrong_character_are_refused(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        char *text = sample_text(kind == 1);
        size_t size = strlen(text);
        for (size_t i = 0; i < size; i++) {
            char right = text[i];
            for (const char *wrong = replacements; *wrong != '\0'; wrong++) {
                if (*wrong == right || tolower((unsigned char)*wrong) == right) {
                    continue;
                }
                text[i] = *wrong;
                assert_refused(kind == 1, text, size, kind == 1 ? "invitation" : "token");
            }
            text[i] = right;
        }
        assert_int_equal(read_as(kind == 1, osr_slice(text, size), NULL), 0);
        free(text);
    }
}

/* A wrong character is told as what it is, not as a wrong secret. */
static void texts_with_one_wrong_character_are_mistyped(void **state)
{
    (void)state;
    char *token = sample_text(false);
    for (size_t i = PREFIX; token[i] != '\0'; i++) {
        char right = token[i];
        token[i] = right == 'q' ? 'r' : 'q';
        assert_refused(false, token, strlen(token), "mistyped: its check is wrong");
        token[i] = '1';
        assert_refused(false, token, strlen(token), "mistyped: its character");
        token[i] = right;
    }
    free(token);
}

/* Wherever it ends too early: it says so as soon as its first letters are there. */
static void texts_cut_anywhere_are_cut_short(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        char *text = sample_text(kind == 1);
        assert_refused(kind == 1, text, 0, "empty");
        for (size_t size = 1; size < strlen(text); size++) {
            assert_refused(kind == 1, text, size, size < PREFIX ? "begin with osr" : "cut short");
        }
        free(text);
    }
}

/* Characters put in, left out, and two swapped. */
static void texts_with_characters_moved_are_refused(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        char *text = sample_text(kind == 1);
        size_t size = strlen(text);
        char *changed = osr_alloc(size + 2);
        for (size_t i = 0; i < size; i++) {
            memcpy(changed, text, i);
            memcpy(changed + i, text + i + 1, size - i - 1);
            assert_refused(kind == 1, changed, size - 1, "");
            changed[i] = 'k';
            memcpy(changed + i + 1, text + i, size - i);
            assert_refused(kind == 1, changed, size + 1, "");
            for (size_t j = i + 1; j < size && j < i + 9; j++) {
                memcpy(changed, text, size);
                changed[i] = text[j];
                changed[j] = text[i];
                if (text[i] != text[j]) {
                    assert_refused(kind == 1, changed, size, "");
                }
            }
        }
        free(changed);
        free(text);
    }
}

/* Two tokens one after the other, a book, nothing but blanks, and what was meant for elsewhere. */
static void texts_that_are_something_else_are_told(void **state)
{
    (void)state;
    char *token = sample_text(false);
    char *invitation = sample_text(true);
    char *twice = osr_format("%s%s", token, token + PREFIX);
    char *book = osr_alloc_unset(OSR_INVITATION_TEXT_MAX + 1);
    memset(book, 'a', OSR_INVITATION_TEXT_MAX + 1);
    memcpy(book, "osri_", PREFIX);

    assert_refused(false, twice, strlen(twice), "none has more than 69");
    assert_refused(true, book, OSR_INVITATION_TEXT_MAX + 1, "it has 4097 bytes");
    assert_refused(true, book, OSR_INVITATION_TEXT_MAX, "none has more than");
    assert_refused(false, " \n-.", 4, "empty");
    assert_refused(false, invitation, strlen(invitation), "an invitation, for `osiris join`");
    assert_refused(true, token, strlen(token), "a token, which clients show");
    assert_refused(false, "eyJhbGciOiJIUzI1NiJ9", 20, "those begin with osrt_");
    free(book);
    free(twice);
    free(invitation);
    free(token);
}

/* A whole token of another cluster is told from a mistyped one. */
static void token_of_another_cluster_is_told(void **state)
{
    (void)state;
    struct osr_cluster_tag ours = osr_cluster_tag("main");
    struct osr_cluster_tag theirs = osr_cluster_tag("mail");
    struct osr_token token = random_token(1);
    struct osr_token read;
    struct osr_err err;
    token.cluster = theirs;
    char *text = token_text(&token);
    assert_int_equal(osr_token_read(osr_slice_text(text), &ours, &read, &err), OSR_WRONG_CLUSTER);
    assert_keeps_secret(err.message, text);
    assert_int_equal(osr_token_read(osr_slice_text(text), &theirs, &read, &err), 0);
    text[PREFIX] = text[PREFIX] == 'a' ? 'b' : 'a';
    assert_int_equal(osr_token_read(osr_slice_text(text), &ours, &read, &err),
                     OSR_INVALID_ARGUMENT);
    free(text);
}

/* What the issuer keeps fits to the token, and to none that differs in anything. */
static void token_matches_its_hash_alone(void **state)
{
    (void)state;
    struct osr_token token = random_token(1);
    struct osr_hash hash = osr_token_hash(&token);
    assert_true(osr_token_matches(&token, &hash));
    for (size_t i = 0; i < sizeof(token); i++) {
        struct osr_token other = token;
        ((uint8_t *)&other)[i] ^= 1;
        assert_false(osr_token_matches(&other, &hash));
    }
    for (size_t i = 0; i < sizeof(hash); i++) {
        struct osr_hash other = hash;
        other.bytes[i] ^= 0x80;
        assert_false(osr_token_matches(&token, &other));
    }
}

/* Its id is what lists and logs call it. */
static void token_id_is_hexadecimal(void **state)
{
    (void)state;
    struct osr_token token = {.id = {0x00, 0x9f, 0xff, 1, 2, 3, 4, 5}};
    char text[OSR_SECRET_ID_CHARS + 1];
    osr_token_id_text(text, &token);
    assert_string_equal(text, "009fff0102030405");
}

/* With any number of addresses of any length. */
static void invitation_goes_there_and_back(void **state)
{
    (void)state;
    char longest[OSR_INVITATION_ADDRESS_BYTES_MAX + 1] = "";
    memset(longest, 'x', sizeof(longest) - 1);
    char *addresses[] = {"a",     longest, "tls://[::1]:12346", longest, longest, "b",
                         longest, longest};
    _Static_assert(COUNT(addresses) == OSR_INVITATION_ADDRESSES_MAX, "as many as there can be");
    for (size_t count = 1; count <= COUNT(addresses); count++) {
        struct osr_invitation invitation = sample_invitation(addresses, count);
        struct osr_invitation again;
        struct osr_err err;
        char *text = invitation_text(&invitation);
        assert_int_equal(osr_invitation_read(osr_slice_text(text), &again, &err), 0);
        assert_memory_equal(&again.token, &invitation.token, sizeof(again.token));
        assert_true(osr_hash_equal(&again.ca_fingerprint, &invitation.ca_fingerprint));
        assert_int_equal(again.address_count, count);
        for (size_t i = 0; i < count; i++) {
            assert_string_equal(again.addresses[i], addresses[i]);
        }
        osr_invitation_done(&again);
        free(text);
    }
}

/* It is written behind what is in the buffer. */
static void invitation_is_appended(void **state)
{
    (void)state;
    char *addresses[] = {"tls://a:1"};
    struct osr_invitation invitation = sample_invitation(addresses, 1);
    struct osr_buffer text = {0};
    osr_buffer_add_text(&text, "osiris join ");
    osr_invitation_write(&text, &invitation);
    char *alone = invitation_text(&invitation);
    char *expected = osr_format("osiris join %s", alone);
    assert_true(osr_slice_equal(osr_buffer_slice(&text), osr_slice_text(expected)));
    osr_buffer_done(&text);
    free(expected);
    free(alone);
}

/* When it is done with, neither secret nor addresses are left. */
static void invitation_is_wiped(void **state)
{
    (void)state;
    static const struct osr_invitation empty;
    struct osr_invitation invitation;
    char *text = sample_text(true);
    assert_int_equal(osr_invitation_read(osr_slice_text(text), &invitation, NULL), 0);
    osr_invitation_done(&invitation);
    assert_memory_equal(&invitation, &empty, sizeof(empty));
    osr_invitation_done(&invitation);
    free(text);
}

/* ---- texts whose check is right all the same ---- */

/* Any bytes, with a right check: what a newer Osiris, or somebody clever, may write. */
static char *sealed(const char *prefix, struct osr_slice content)
{
    const struct osr_slice pieces[] = {OSR_FORM_TAG("osiris check 1"), osr_slice_text(prefix),
                                       content};
    struct osr_hash check = osr_sha256(pieces, COUNT(pieces));
    struct osr_buffer bytes = {0};
    osr_buffer_add(&bytes, content.data, content.size);
    osr_buffer_add(&bytes, check.bytes, 4);
    char *text = osr_alloc(PREFIX + bytes.size * 2 + 1);
    memcpy(text, prefix, PREFIX);
    osr_base32_encode(text + PREFIX, osr_buffer_slice(&bytes));
    osr_buffer_done(&bytes);
    return text;
}

static void assert_content_refused(bool is_invitation, struct osr_slice content, const char *why)
{
    char *text = sealed(is_invitation ? "osri_" : "osrt_", content);
    assert_refused(is_invitation, text, strlen(text), why);
    free(text);
}

/* A right check does not make a token of another length one. */
static void token_of_another_length_is_refused(void **state)
{
    (void)state;
    static const uint8_t content[36];
    for (size_t size = 0; size < sizeof(content); size++) {
        assert_content_refused(false, osr_slice(content, size),
                               size == 0 ? "cut short" : "not as Osiris writes them");
    }
    char *text = sealed("osrt_", osr_slice(content, sizeof(content)));
    assert_int_equal(read_as(false, osr_slice_text(text), NULL), 0);
    free(text);
}

/* Nor contents that are none: the number of addresses, their lengths, what is in them. */
static void invitation_with_wrong_addresses_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *addresses;
        size_t size;
        bool is_right;
    } cases[] = {
        {"\x01\x01"
         "a",
         3, true},
        {"\x02\x01"
         "a\x02"
         "bc",
         6, true},
        {"", 0, false},
        {"\x00", 1, false},
        {"\x01\x00", 2, false},
        {"\x01\x02"
         "a",
         3, false},
        {"\x01\x01"
         "ab",
         4, false},
        {"\x02\x01"
         "a",
         3, false},
        {"\x01\x01\n", 3, false},
        {"\x01\x01\x00", 3, false},
        {"\x01\x02\xc3(", 4, false},
        {"\x09\x01"
         "a\x01"
         "a\x01"
         "a\x01"
         "a\x01"
         "a\x01"
         "a\x01"
         "a\x01"
         "a\x01"
         "a",
         19, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint8_t content[128] = {1};
        memcpy(content + 69, cases[i].addresses, cases[i].size);
        char *text = sealed("osri_", osr_slice(content, 69 + cases[i].size));
        if (cases[i].is_right) {
            assert_int_equal(read_as(true, osr_slice_text(text), NULL), 0);
        } else {
            assert_refused(true, text, strlen(text), "not as Osiris writes them");
        }
        free(text);
    }
}

/* A newer one says that it is newer, whatever its length. */
static void invitation_of_a_newer_version_is_told(void **state)
{
    (void)state;
    for (size_t size = 1; size < 100; size += 7) {
        uint8_t content[100] = {2};
        struct osr_err err;
        char *text = sealed("osri_", osr_slice(content, size));
        assert_int_equal(read_as(true, osr_slice_text(text), &err), OSR_UNSUPPORTED_VERSION);
        assert_message(&err, "version 2");
        text[PREFIX + 6] = text[PREFIX + 6] == 'k' ? 'm' : 'k';
        assert_refused(true, text, strlen(text), "mistyped: its check is wrong");
        free(text);
    }
}

/* The check is one for its kind: no token can be made an invitation by its first letters. */
static void check_belongs_to_the_kind(void **state)
{
    (void)state;
    char *token = sample_text(false);
    char *invitation = sample_text(true);
    memcpy(token, "osri_", PREFIX);
    assert_refused(true, token, strlen(token), "");
    uint8_t content[36] = {1};
    char *sealed_otherwise = sealed("osri_", osr_slice(content, sizeof(content)));
    memcpy(sealed_otherwise, "osrt_", PREFIX);
    assert_refused(false, sealed_otherwise, strlen(sealed_otherwise), "its check is wrong");
    free(sealed_otherwise);
    free(invitation);
    free(token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_goes_there_and_back),
        cmocka_unit_test(texts_are_read_however_they_were_broken),
        cmocka_unit_test(texts_with_one_wrong_character_are_refused),
        cmocka_unit_test(texts_with_one_wrong_character_are_mistyped),
        cmocka_unit_test(texts_cut_anywhere_are_cut_short),
        cmocka_unit_test(texts_with_characters_moved_are_refused),
        cmocka_unit_test(texts_that_are_something_else_are_told),
        cmocka_unit_test(token_of_another_cluster_is_told),
        cmocka_unit_test(token_matches_its_hash_alone),
        cmocka_unit_test(token_id_is_hexadecimal),
        cmocka_unit_test(invitation_goes_there_and_back),
        cmocka_unit_test(invitation_is_appended),
        cmocka_unit_test(invitation_is_wiped),
        cmocka_unit_test(token_of_another_length_is_refused),
        cmocka_unit_test(invitation_with_wrong_addresses_is_refused),
        cmocka_unit_test(invitation_of_a_newer_version_is_told),
        cmocka_unit_test(check_belongs_to_the_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
