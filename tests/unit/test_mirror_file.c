#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/scratch.h"
#include "node/mirror_file.h"

static int set_up(void **state)
{
    *state = scratch_file_create("kb.json");
    return 0;
}

/* Removes all files in the folder and returns how many there were. */
static int remove_all(const char *folder)
{
    DIR *listing = opendir(folder);
    const struct dirent *entry;
    int count = 0;

    while ((entry = readdir(listing)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        char *path = osr_format("%s/%s", folder, entry->d_name);
        assert_int_equal(unlink(path), 0);
        free(path);
        count++;
    }
    closedir(listing);
    return count;
}

static int tear_down(void **state)
{
    struct scratch_file *fixture = *state;

    remove_all(fixture->folder);
    assert_int_equal(rmdir(fixture->folder), 0);
    free(fixture);
    return 0;
}

static void put_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void assert_file(const char *path, const char *text)
{
    char found[256] = "";
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    size_t size = fread(found, 1, sizeof found - 1, file);
    fclose(file);
    assert_int_equal(size, strlen(text));
    assert_string_equal(found, text);
}

static void write_text(struct osr_mirror_file *file, const struct scratch_file *fixture,
                       const char *text)
{
    struct osr_err err;
    assert_int_equal(osr_mirror_file_write(file, fixture->path, osr_slice_text(text), &err), 0);
}

/* Until the commit the old file stands; after it the new one, with the old one's mode. */
static void mirror_replaces_the_file_at_once(void **state)
{
    const struct scratch_file *fixture = *state;
    struct osr_mirror_file file = {0};
    struct osr_err err;
    struct stat present;

    put_file(fixture->path, "[1]", 0644);
    write_text(&file, fixture, "[1");
    write_text(&file, fixture, ",2]");
    assert_file(fixture->path, "[1]");
    assert_int_equal(osr_mirror_file_commit(&file, fixture->path, &err), 0);
    assert_file(fixture->path, "[1,2]");
    assert_int_equal(stat(fixture->path, &present), 0);
    assert_int_equal(present.st_mode & 0777, 0644);
    assert_int_equal(remove_all(fixture->folder), 1);
}

/* A new mirror is for its owner alone. */
static void mirror_is_private_when_new(void **state)
{
    const struct scratch_file *fixture = *state;
    struct osr_mirror_file file = {0};
    struct osr_err err;
    struct stat present;

    write_text(&file, fixture, "[]");
    assert_int_equal(osr_mirror_file_commit(&file, fixture->path, &err), 0);
    assert_int_equal(stat(fixture->path, &present), 0);
    assert_int_equal(present.st_mode & 0777, 0600);
}

/* What is given up leaves nothing behind. */
static void mirror_leaves_nothing_when_abandoned(void **state)
{
    const struct scratch_file *fixture = *state;
    struct osr_mirror_file file = {0};

    write_text(&file, fixture, "[1");
    osr_mirror_file_abandon(&file, fixture->path);
    osr_mirror_file_abandon(&file, fixture->path);
    assert_int_equal(remove_all(fixture->folder), 0);
}

/* A folder that is not there is an error with the path in it. */
static void mirror_says_where_it_cannot_write(void **state)
{
    (void)state;
    struct osr_mirror_file file = {0};
    struct osr_err err;

    assert_int_equal(
        osr_mirror_file_write(&file, "/nonexistent/kb.json", osr_slice_text("[]"), &err), OSR_IO);
    assert_non_null(strstr(err.message, "/nonexistent/kb.json.new"));
    assert_false(file.is_open);
}

/* An array, however written, is a mirror; so is no file. */
static void mirror_takes_over_an_array(void **state)
{
    const struct scratch_file *fixture = *state;
    char *aside = NULL;
    struct osr_err err;

    assert_int_equal(osr_mirror_file_check(fixture->path, &aside, &err), 0);
    assert_null(aside);
    put_file(fixture->path, " [ 1, {\"a\": []} ]\n", 0600);
    assert_int_equal(osr_mirror_file_check(fixture->path, &aside, &err), 0);
    assert_null(aside);
    assert_file(fixture->path, " [ 1, {\"a\": []} ]\n");
}

/* Anything else is set aside with every byte, under a name of its own each time. */
static void mirror_sets_a_corrupt_file_aside(void **state)
{
    static const char *const texts[] = {"", "[1,", "{\"a\":1}", "not JSON", "[1]]"};
    const struct scratch_file *fixture = *state;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char *aside = NULL;
        struct osr_err err;
        put_file(fixture->path, texts[i], 0600);
        assert_int_equal(osr_mirror_file_check(fixture->path, &aside, &err), 0);
        assert_non_null(aside);
        assert_non_null(strstr(aside, "kb.json.corrupt-2"));
        assert_file(aside, texts[i]);
        assert_int_equal(access(fixture->path, F_OK), -1);
        free(aside);
    }
    assert_int_equal(remove_all(fixture->folder), 5);
}

/* A folder in the mirror's place is left alone. */
static void mirror_refuses_a_folder(void **state)
{
    const struct scratch_file *fixture = *state;
    char *aside = NULL;
    struct osr_err err;

    assert_int_equal(osr_mirror_file_check(fixture->folder, &aside, &err), OSR_FOREIGN_FILE);
    assert_null(aside);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(mirror_replaces_the_file_at_once),
        TEST(mirror_is_private_when_new),
        TEST(mirror_leaves_nothing_when_abandoned),
        TEST(mirror_says_where_it_cannot_write),
        TEST(mirror_takes_over_an_array),
        TEST(mirror_sets_a_corrupt_file_aside),
        TEST(mirror_refuses_a_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
