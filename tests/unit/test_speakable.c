/* Ids as people read them out: a slip is told, and never names an instance. */
#include "model/speakable.h"

#include "base/random.h"
#include "base/text.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define INSTANCE     "p3ultq7g2efodxons3anof66scwxrzpd"
#define OTHER        "fphfoicires62k2xcho2pu2z4v7dipkg"

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

static void speak(char *text, const char *instance)
{
    osr_speakable_write(text, instance);
    assert_int_equal(strlen(text), OSR_SPEAKABLE_CHARS);
}

static int check(const char *text, struct osr_err *err)
{
    return osr_speakable_check(text, INSTANCE, err);
}

/* Its groups are the id's first characters. */
static void speakable_shows_the_front_of_the_id(void **state)
{
    (void)state;
    char text[OSR_SPEAKABLE_CHARS + 1];
    speak(text, INSTANCE);
    assert_memory_equal(text, "p3ul-tq7g-2efo-", 15);
    speak(text, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_string_equal(text, "aaaa-aaaa-aaaa-a");
}

/* Any instance's own text names it, in any case and however it is grouped, and so does the id. */
static void speakable_names_its_instance(void **state)
{
    (void)state;
    struct osr_random random;
    osr_random_init(&random, 1);
    for (int round = 0; round < 500; round++) {
        uint8_t bytes[20];
        char id[OSR_INSTANCE_CHARS + 1];
        char text[OSR_SPEAKABLE_CHARS + 1];
        osr_random_fill(&random, bytes, sizeof(bytes));
        osr_base32_encode(id, osr_slice(bytes, sizeof(bytes)));
        speak(text, id);
        assert_int_equal(osr_speakable_check(text, id, NULL), 0);
        assert_int_equal(osr_speakable_check(id, id, NULL), 0);
        for (size_t i = 0; text[i] != '\0'; i++) {
            text[i] = (char)(text[i] == '-' ? ' ' : toupper((unsigned char)text[i]));
        }
        assert_int_equal(osr_speakable_check(text, id, NULL), 0);
    }
    assert_int_equal(check(" p3ultq7g2efo DXON-s3anof66\tscwxrzpd\n", NULL), 0);
}

static void assert_slip_told(const char *text)
{
    struct osr_err err;
    if (check(text, &err) != OSR_INVALID_ARGUMENT) {
        fail_msg("\"%s\" is taken", text);
    }
    assert_non_null(strstr(err.message, "mistyped"));
}

/* Every single wrong character is found. */
static void speakable_finds_a_wrong_character(void **state)
{
    (void)state;
    char text[OSR_SPEAKABLE_CHARS + 1];
    speak(text, INSTANCE);
    for (size_t i = 0; i < OSR_SPEAKABLE_CHARS; i++) {
        char right = text[i];
        for (const char *wrong = alphabet; right != '-' && *wrong != '\0'; wrong++) {
            text[i] = *wrong;
            if (*wrong != right) {
                assert_slip_told(text);
            }
        }
        text[i] = right;
    }
    assert_int_equal(check(text, NULL), 0);
}

/* Every swap of two characters is found, wherever they stand. */
static void speakable_finds_a_swap(void **state)
{
    (void)state;
    char text[OSR_SPEAKABLE_CHARS + 1];
    speak(text, INSTANCE);
    for (size_t i = 0; i < OSR_SPEAKABLE_CHARS; i++) {
        for (size_t j = i + 1; j < OSR_SPEAKABLE_CHARS; j++) {
            char a = text[i], b = text[j];
            text[i] = b;
            text[j] = a;
            if (a != b && a != '-' && b != '-') {
                assert_slip_told(text);
            }
            text[i] = a;
            text[j] = b;
        }
    }
}

/* The group to look at is named where only one is wrong, else the end. */
static void speakable_names_the_wrong_group(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        const char *says;
    } cases[] = {{1, "group 1"}, {5, "group 2"}, {13, "group 3"}, {15, "at its end"}};
    char text[OSR_SPEAKABLE_CHARS + 1];
    struct osr_err err;
    for (size_t i = 0; i < COUNT(cases); i++) {
        speak(text, INSTANCE);
        text[cases[i].at] = text[cases[i].at] == 'k' ? 'm' : 'k';
        assert_int_equal(check(text, &err), OSR_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, cases[i].says));
    }
    speak(text, INSTANCE);
    text[0] = 'k';
    text[5] = 'k';
    assert_int_equal(check(text, &err), OSR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "at its end"));
}

/* Another instance's is told from a slip, in either form. */
static void speakable_tells_another_instance(void **state)
{
    (void)state;
    char text[OSR_SPEAKABLE_CHARS + 1];
    speak(text, OTHER);
    assert_int_equal(check(text, NULL), OSR_NOT_FOUND);
    assert_int_equal(check(OTHER, NULL), OSR_NOT_FOUND);
    assert_int_equal(check("p3ultq7g2efodxons3anof66scwxrzpe", NULL), OSR_NOT_FOUND);
}

/* What is neither form is told so. */
static void speakable_refuses_other_texts(void **state)
{
    (void)state;
    static const char *const refused[] = {"",
                                          " - ",
                                          "p3ul",
                                          "p3ul-tq7g-2efo",
                                          "p3ul-tq7g-2efo-aa",
                                          "p3ul-tq7g-2ef0-a",
                                          "p3ul_tq7g_2efo_a",
                                          "p3ultq7g2efodxons3anof66scwxrzp",
                                          "p3ultq7g2efodxons3anof66scwxrzpdd",
                                          "p3ul-tq7g-2efo-\xc3\xa9"};
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct osr_err err;
        assert_int_equal(check(refused[i], &err), OSR_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, "no id"));
    }
}

/* Meant is an instance by either form, and by the beginning of its id, however it is typed. */
static void speakable_means_by_a_beginning(void **state)
{
    (void)state;
    char text[OSR_SPEAKABLE_CHARS + 1];
    speak(text, INSTANCE);
    assert_true(osr_speakable_means(text, INSTANCE));
    assert_true(osr_speakable_means(INSTANCE, INSTANCE));
    assert_true(osr_speakable_means("p", INSTANCE));
    assert_true(osr_speakable_means("P3UL-tq7g 2efodx", INSTANCE));
    text[0] = 'k';
    static const char *const others[] = {
        "", "-", "q", "p3um", OTHER, "p3ul!", "P3ULTQ7G2EFO7", "p3ultq7g2efodxons3anof66scwxrzpdd"};
    assert_false(osr_speakable_means(text, INSTANCE));
    for (size_t i = 0; i < COUNT(others); i++) {
        assert_false(osr_speakable_means(others[i], INSTANCE));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speakable_shows_the_front_of_the_id),
        cmocka_unit_test(speakable_names_its_instance),
        cmocka_unit_test(speakable_finds_a_wrong_character),
        cmocka_unit_test(speakable_finds_a_swap),
        cmocka_unit_test(speakable_names_the_wrong_group),
        cmocka_unit_test(speakable_tells_another_instance),
        cmocka_unit_test(speakable_refuses_other_texts),
        cmocka_unit_test(speakable_means_by_a_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
