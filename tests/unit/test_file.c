/* The contract of adapter/file.h, on the system's disk and on the simulated one; then what the
 * simulated one does beyond it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "adapter/file.h"
#include "lib/sim_disk.h"

struct fixture {
    struct osr_disk *disk;
    struct osr_sim_disk *sim; /* NULL on the system's disk */
    char folder[64];          /* there, and empty */
    struct osr_err err;
};

static int setup_system(void **state)
{
    struct fixture *fixture = osr_alloc(sizeof(*fixture));

    fixture->disk = osr_disk_system();
    snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/osiris-file-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    *state = fixture;
    return 0;
}

static int setup_sim(void **state)
{
    struct fixture *fixture = osr_alloc(sizeof(*fixture));

    fixture->sim = osr_sim_disk_create(7);
    fixture->disk = osr_sim_disk_port(fixture->sim);
    snprintf(fixture->folder, sizeof(fixture->folder), "folder");
    assert_int_equal(fixture->disk->ops->make_folder(fixture->disk, fixture->folder, NULL), 0);
    assert_int_equal(fixture->disk->ops->sync_folder(fixture->disk, ".", NULL), 0);
    *state = fixture;
    return 0;
}

static char *path_in(const struct fixture *fixture, const char *name)
{
    return osr_format("%s/%s", fixture->folder, name);
}

static void remove_file(void *context, const char *name)
{
    char *path = path_in(context, name);

    remove(path);
    free(path);
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    if (fixture->sim == NULL) {
        fixture->disk->ops->list(fixture->disk, fixture->folder, remove_file, fixture, NULL);
        rmdir(fixture->folder);
    }
    osr_sim_disk_destroy(fixture->sim);
    free(fixture);
    return 0;
}

static struct osr_file *open_file(struct fixture *fixture, const char *name, bool create)
{
    char *path = path_in(fixture, name);
    struct osr_file *file = NULL;

    assert_int_equal(fixture->disk->ops->open(fixture->disk, path, create, &file, &fixture->err),
                     0);
    free(path);
    return file;
}

static int open_code(struct fixture *fixture, const char *name, bool create)
{
    char *path = path_in(fixture, name);
    struct osr_file *file = NULL;
    int code = fixture->disk->ops->open(fixture->disk, path, create, &file, &fixture->err);

    assert_null(file);
    free(path);
    return code;
}

static void close_file(struct fixture *fixture, struct osr_file *file)
{
    fixture->disk->ops->close(fixture->disk, file);
}

static void write_text(struct fixture *fixture, struct osr_file *file, uint64_t offset,
                       const char *text)
{
    assert_int_equal(
        fixture->disk->ops->write(fixture->disk, file, offset, text, strlen(text), &fixture->err),
        0);
}

static void assert_text(struct fixture *fixture, struct osr_file *file, uint64_t offset,
                        const char *text)
{
    char found[64];
    size_t size;

    assert_int_equal(fixture->disk->ops->read(fixture->disk, file, offset, found, strlen(text),
                                              &size, &fixture->err),
                     0);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(found, text, size);
}

static uint64_t size_of(struct fixture *fixture, struct osr_file *file)
{
    uint64_t size = UINT64_MAX;

    assert_int_equal(fixture->disk->ops->size(fixture->disk, file, &size, &fixture->err), 0);
    return size;
}

static void sync_file(struct fixture *fixture, struct osr_file *file)
{
    assert_int_equal(fixture->disk->ops->sync(fixture->disk, file, &fixture->err), 0);
}

static void sync_folder(struct fixture *fixture)
{
    assert_int_equal(fixture->disk->ops->sync_folder(fixture->disk, fixture->folder, &fixture->err),
                     0);
}

/* What is written is read, also beyond the end and over what was there. */
static void file_gives_back_what_was_written(void **state)
{
    struct fixture *fixture = *state;
    struct osr_file *file = open_file(fixture, "a", true);

    write_text(fixture, file, 0, "hello world");
    write_text(fixture, file, 6, "there");
    write_text(fixture, file, 1000, "end");
    assert_text(fixture, file, 0, "hello there");
    assert_text(fixture, file, 1000, "end");
    assert_int_equal(size_of(fixture, file), 1003);
    sync_file(fixture, file);
    close_file(fixture, file);

    file = open_file(fixture, "a", false);
    assert_text(fixture, file, 0, "hello there");
    close_file(fixture, file);
}

/* A read over the end gives what there is, one behind it nothing. */
static void file_reads_less_only_at_the_end(void **state)
{
    struct fixture *fixture = *state;
    struct osr_file *file = open_file(fixture, "a", true);
    char found[16];
    size_t size;

    write_text(fixture, file, 0, "four");
    assert_int_equal(fixture->disk->ops->read(fixture->disk, file, 2, found, sizeof(found), &size,
                                              &fixture->err),
                     0);
    assert_int_equal(size, 2);
    assert_memory_equal(found, "ur", 2);
    assert_int_equal(fixture->disk->ops->read(fixture->disk, file, 4, found, sizeof(found), &size,
                                              &fixture->err),
                     0);
    assert_int_equal(size, 0);
    close_file(fixture, file);
}

/* Open tells a file that is there from one that is not. */
static void file_open_creates_only_what_is_not_there(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(open_code(fixture, "a", false), OSR_NOT_FOUND);
    close_file(fixture, open_file(fixture, "a", true));
    assert_int_equal(open_code(fixture, "a", true), OSR_ALREADY_EXISTS);
    close_file(fixture, open_file(fixture, "a", false));
    assert_int_equal(open_code(fixture, "none/a", false), OSR_NOT_FOUND);
}

/* Zero fills a file up to the size. */
static void file_zero_fills(void **state)
{
    struct fixture *fixture = *state;
    struct osr_file *file = open_file(fixture, "a", true);
    uint64_t size = (3 << 20) + 4096; /* more than one piece, and a part of one */
    uint8_t last = 1;
    size_t read;

    write_text(fixture, file, 0, "something");
    assert_int_equal(fixture->disk->ops->zero(fixture->disk, file, size, &fixture->err), 0);
    assert_int_equal(size_of(fixture, file), size);
    assert_int_equal(
        fixture->disk->ops->read(fixture->disk, file, size - 1, &last, 1, &read, &fixture->err), 0);
    assert_int_equal(last, 0);
    assert_int_equal(
        fixture->disk->ops->read(fixture->disk, file, 0, &last, 1, &read, &fixture->err), 0);
    assert_int_equal(last, 0);
    close_file(fixture, file);
}

/* A cut file ends there; what is written behind its end later has zeros in front of it. */
static void file_cut_leaves_the_beginning(void **state)
{
    struct fixture *fixture = *state;
    struct osr_file *file = open_file(fixture, "a", true);
    char found[16];
    size_t size;

    write_text(fixture, file, 0, "hello world");
    sync_file(fixture, file);
    assert_int_equal(fixture->disk->ops->cut(fixture->disk, file, 5, &fixture->err), 0);
    assert_int_equal(size_of(fixture, file), 5);
    write_text(fixture, file, 7, "!");
    sync_file(fixture, file);
    assert_int_equal(fixture->disk->ops->read(fixture->disk, file, 0, found, sizeof(found), &size,
                                              &fixture->err),
                     0);
    assert_int_equal(size, 8);
    assert_memory_equal(found, "hello\0\0!", 8);
    close_file(fixture, file);
}

/* Rename replaces what stands under the new name; the content moves with it. */
static void file_rename_replaces(void **state)
{
    struct fixture *fixture = *state;
    struct osr_file *file = open_file(fixture, "a", true);
    char *a = path_in(fixture, "a");
    char *b = path_in(fixture, "b");

    write_text(fixture, file, 0, "from a");
    close_file(fixture, file);
    close_file(fixture, open_file(fixture, "b", true));
    assert_int_equal(fixture->disk->ops->rename(fixture->disk, a, b, &fixture->err), 0);
    sync_folder(fixture);
    assert_int_equal(open_code(fixture, "a", false), OSR_NOT_FOUND);
    file = open_file(fixture, "b", false);
    assert_text(fixture, file, 0, "from a");
    close_file(fixture, file);
    assert_int_equal(fixture->disk->ops->rename(fixture->disk, a, b, &fixture->err), OSR_NOT_FOUND);
    free(a);
    free(b);
}

/* A removed file is gone, and removing it again says so; an open one can still be read. */
static void file_remove_takes_the_name(void **state)
{
    struct fixture *fixture = *state;
    struct osr_file *file = open_file(fixture, "a", true);
    char *a = path_in(fixture, "a");

    write_text(fixture, file, 0, "still here");
    assert_int_equal(fixture->disk->ops->remove(fixture->disk, a, &fixture->err), 0);
    sync_folder(fixture);
    assert_int_equal(open_code(fixture, "a", false), OSR_NOT_FOUND);
    assert_int_equal(fixture->disk->ops->remove(fixture->disk, a, &fixture->err), OSR_NOT_FOUND);
    assert_text(fixture, file, 0, "still here");
    close_file(fixture, file);
    free(a);
}

/* A folder is made once; making it again is no error; a file in its place is one. */
static void file_folder_is_made_once(void **state)
{
    struct fixture *fixture = *state;
    struct osr_disk *disk = fixture->disk;
    char *folder = path_in(fixture, "inner");
    char *file = path_in(fixture, "file");

    assert_int_equal(disk->ops->make_folder(disk, folder, &fixture->err), 0);
    assert_int_equal(disk->ops->make_folder(disk, folder, &fixture->err), 0);
    assert_int_equal(disk->ops->sync_folder(disk, folder, &fixture->err), 0);
    close_file(fixture, open_file(fixture, "file", true));
    assert_int_equal(disk->ops->make_folder(disk, file, &fixture->err), OSR_ALREADY_EXISTS);
    free(folder);
    free(file);
}

static void add_name(void *context, const char *name)
{
    osr_buffer_add_format(context, "%s ", name);
}

/* A list has the names in order, and a folder that is not there has none. */
static void file_list_is_sorted(void **state)
{
    struct fixture *fixture = *state;
    struct osr_buffer names = {0};
    char *none = path_in(fixture, "none");

    close_file(fixture, open_file(fixture, "b", true));
    close_file(fixture, open_file(fixture, "c", true));
    close_file(fixture, open_file(fixture, "a", true));
    assert_int_equal(
        fixture->disk->ops->list(fixture->disk, fixture->folder, add_name, &names, &fixture->err),
        0);
    assert_true(osr_slice_equal(osr_buffer_slice(&names), osr_slice_text("a b c ")));
    assert_int_equal(fixture->disk->ops->list(fixture->disk, none, add_name, &names, &fixture->err),
                     OSR_NOT_FOUND);
    osr_buffer_done(&names);
    free(none);
}

/* Writes "old" and syncs it, then "new", sector by sector, and does not. */
static struct osr_file *write_old_and_new(struct fixture *fixture)
{
    struct osr_file *file = open_file(fixture, "a", true);

    for (uint64_t sector = 0; sector < 64; sector++)
        write_text(fixture, file, sector * OSR_SIM_DISK_SECTOR_BYTES, "old");
    sync_file(fixture, file);
    sync_folder(fixture);
    for (uint64_t sector = 0; sector < 64; sector++)
        write_text(fixture, file, sector * OSR_SIM_DISK_SECTOR_BYTES, "new");
    return file;
}

static int count_new(struct fixture *fixture)
{
    struct osr_slice content = osr_sim_disk_content(fixture->sim, "folder/a");
    int count = 0;

    for (size_t at = 0; at < content.size; at += OSR_SIM_DISK_SECTOR_BYTES) {
        bool is_new = memcmp(content.data + at, "new", 3) == 0;
        assert_true(is_new || memcmp(content.data + at, "old", 3) == 0);
        count += is_new;
    }
    return count;
}

/* A power cut leaves each sector old or new; over some cuts all, none and some are met. */
static void sim_power_cut_tears_what_was_not_synced(void **state)
{
    struct fixture *fixture = *state;
    bool all = false;
    bool none = false;
    bool some = false;

    for (int i = 0; i < 50; i++) {
        int count;
        char *path = path_in(fixture, "a");
        struct osr_file *file = write_old_and_new(fixture);
        osr_sim_disk_power_cut(fixture->sim);
        close_file(fixture, file);
        count = count_new(fixture);
        all = all || count == 64;
        none = none || count == 0;
        some = some || (count > 0 && count < 64);
        assert_int_equal(fixture->disk->ops->remove(fixture->disk, path, NULL), 0);
        sync_folder(fixture);
        free(path);
    }
    assert_true(all && none && some);
}

/* A power cut leaves a file cut or whole, until the cut is synced. */
static void sim_power_cut_may_undo_a_cut(void **state)
{
    struct fixture *fixture = *state;
    bool undone = false;
    bool done = false;

    for (int i = 0; i < 50; i++) {
        char *path = path_in(fixture, "a");
        struct osr_file *file = open_file(fixture, "a", true);
        write_text(fixture, file, 0, "hello world");
        sync_file(fixture, file);
        sync_folder(fixture);
        assert_int_equal(fixture->disk->ops->cut(fixture->disk, file, 5, &fixture->err), 0);
        if (i % 2 == 0) {
            sync_file(fixture, file);
        }
        osr_sim_disk_power_cut(fixture->sim);
        close_file(fixture, file);
        size_t size = osr_sim_disk_content(fixture->sim, "folder/a").size;
        assert_true(size == 5 || (size == 11 && i % 2 == 1));
        done = done || (size == 5 && i % 2 == 1);
        undone = undone || size == 11;
        assert_int_equal(fixture->disk->ops->remove(fixture->disk, path, NULL), 0);
        sync_folder(fixture);
        free(path);
    }
    assert_true(done && undone);
}

/* A killed process loses nothing that it wrote, but a power cut after it may. */
static void sim_kill_keeps_what_was_written(void **state)
{
    struct fixture *fixture = *state;
    struct osr_file *file = write_old_and_new(fixture);

    osr_sim_disk_kill(fixture->sim);
    assert_int_equal(fixture->disk->ops->sync(fixture->disk, file, &fixture->err),
                     OSR_SIM_DISK_DOWN);
    close_file(fixture, file);
    assert_int_equal(count_new(fixture), 64);
}

/* A file whose folder was not synced may be gone after a power cut, or may be there. */
static void sim_power_cut_may_take_names(void **state)
{
    struct fixture *fixture = *state;
    bool lost = false;
    bool kept = false;

    for (int i = 0; i < 50; i++) {
        char *name = osr_format("file%d", i);
        char *path = path_in(fixture, name);
        close_file(fixture, open_file(fixture, name, true));
        osr_sim_disk_power_cut(fixture->sim);
        if (fixture->disk->ops->remove(fixture->disk, path, NULL) == 0)
            kept = true;
        else
            lost = true;
        free(path);
        free(name);
    }
    assert_true(lost && kept);
}

/* A failed sync goes on showing what the disk has lost. */
static void sim_failed_sync_forgets(void **state)
{
    struct fixture *fixture = *state;
    struct osr_file *file = write_old_and_new(fixture);

    osr_sim_disk_fail_sync(fixture->sim, 1);
    assert_int_equal(fixture->disk->ops->sync(fixture->disk, file, &fixture->err), OSR_IO);
    sync_file(fixture, file);
    assert_int_equal(count_new(fixture), 64);
    osr_sim_disk_power_cut(fixture->sim);
    close_file(fixture, file);
    assert_int_equal(count_new(fixture), 0);
}

/* The crash comes at the step asked for, and everything after it fails until restart. */
static void sim_crash_comes_at_its_step(void **state)
{
    struct fixture *fixture = *state;
    struct osr_file *file = open_file(fixture, "a", true);

    osr_sim_disk_crash_at(fixture->sim, 2);
    write_text(fixture, file, 0, "first");
    assert_false(osr_sim_disk_is_down(fixture->sim));
    assert_int_equal(fixture->disk->ops->sync(fixture->disk, file, &fixture->err),
                     OSR_SIM_DISK_DOWN);
    assert_true(osr_sim_disk_is_down(fixture->sim));
    assert_int_equal(open_code(fixture, "a", false), OSR_SIM_DISK_DOWN);
    close_file(fixture, file);
    osr_sim_disk_kill(fixture->sim);
    close_file(fixture, open_file(fixture, "a", false));
}

/* There is no room beyond the capacity, but there is within what a file has. */
static void sim_disk_runs_full(void **state)
{
    struct fixture *fixture = *state;
    struct osr_file *file = open_file(fixture, "a", true);

    osr_sim_disk_set_capacity(fixture->sim, 1000);
    assert_int_equal(fixture->disk->ops->zero(fixture->disk, file, 1000, &fixture->err), 0);
    assert_int_equal(fixture->disk->ops->write(fixture->disk, file, 999, "ab", 2, &fixture->err),
                     OSR_DISK_FULL);
    write_text(fixture, file, 998, "ab");
    close_file(fixture, file);
}

/* The same seed and calls give the same disk. */
static void sim_disk_repeats_itself(void **state)
{
    uint8_t contents[2][64];

    (void)state;
    for (int run = 0; run < 2; run++) {
        struct fixture fixture = {.sim = osr_sim_disk_create(42), .folder = "folder"};
        struct osr_file *file;
        fixture.disk = osr_sim_disk_port(fixture.sim);
        fixture.disk->ops->make_folder(fixture.disk, "folder", NULL);
        fixture.disk->ops->sync_folder(fixture.disk, ".", NULL);
        file = write_old_and_new(&fixture);
        osr_sim_disk_power_cut(fixture.sim);
        close_file(&fixture, file);
        for (size_t i = 0; i < 64; i++)
            contents[run][i] =
                osr_sim_disk_content(fixture.sim, "folder/a").data[i * OSR_SIM_DISK_SECTOR_BYTES];
        osr_sim_disk_destroy(fixture.sim);
    }
    assert_memory_equal(contents[0], contents[1], sizeof(contents[0]));
}

/* A folder is locked until its lock is closed; others are told so, and files in it stay usable. */
static void file_folder_is_locked_by_one(void **state)
{
    struct fixture *fixture = *state;
    const struct osr_disk_ops *ops = fixture->disk->ops;
    struct osr_file *lock = NULL;
    struct osr_file *second = NULL;

    assert_int_equal(ops->lock_folder(fixture->disk, fixture->folder, 0, &lock, &fixture->err), 0);
    assert_int_equal(ops->lock_folder(fixture->disk, fixture->folder, 30, &second, &fixture->err),
                     OSR_BUSY);
    assert_null(second);
    ops->close(fixture->disk, open_file(fixture, "a", true));
    ops->close(fixture->disk, lock);
    assert_int_equal(ops->lock_folder(fixture->disk, fixture->folder, 0, &second, &fixture->err),
                     0);
    ops->close(fixture->disk, second);
}

#define ON_BOTH(test)                                                                              \
    {"system: " #test, test, setup_system, teardown, NULL},                                        \
    {                                                                                              \
        "sim: " #test, test, setup_sim, teardown, NULL                                             \
    }
#define ON_SIM(test) cmocka_unit_test_setup_teardown(test, setup_sim, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(file_gives_back_what_was_written),
        ON_BOTH(file_reads_less_only_at_the_end),
        ON_BOTH(file_open_creates_only_what_is_not_there),
        ON_BOTH(file_zero_fills),
        ON_BOTH(file_cut_leaves_the_beginning),
        ON_BOTH(file_rename_replaces),
        ON_BOTH(file_remove_takes_the_name),
        ON_BOTH(file_folder_is_made_once),
        ON_BOTH(file_list_is_sorted),
        ON_BOTH(file_folder_is_locked_by_one),
        ON_SIM(sim_power_cut_tears_what_was_not_synced),
        ON_SIM(sim_power_cut_may_undo_a_cut),
        ON_SIM(sim_kill_keeps_what_was_written),
        ON_SIM(sim_power_cut_may_take_names),
        ON_SIM(sim_failed_sync_forgets),
        ON_SIM(sim_crash_comes_at_its_step),
        ON_SIM(sim_disk_runs_full),
        cmocka_unit_test(sim_disk_repeats_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
