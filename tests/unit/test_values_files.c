/* test_values_files.c -- what can befall a file of values: a crash, a full disk, damage, somebody
 * else's file in its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "adapter/values_disk.h"
#include "lib/values_fixture.h"

static int set_up(void **state)
{
    struct values_fixture *fixture = values_fixture_create();

    signal(SIGXFSZ, SIG_IGN);
    values_open(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    values_fixture_destroy(*state);
    return 0;
}

static void reopen(struct values_fixture *fixture)
{
    values_close(fixture);
    values_open(fixture);
}

static off_t size_of(const struct values_fixture *fixture)
{
    char *path = values_path(fixture);
    struct stat file;

    assert_int_equal(stat(path, &file), 0);
    free(path);
    return file.st_size;
}

/* ---- crashes ---- */

/* What a child does until it is killed: never idle, never done. */
static void write_for_ever(struct values_fixture *fixture)
{
    values_open(fixture);
    for (;;) {
        values_apply_up_to(fixture, fixture->index + 1);
        if (fixture->index % 20 == 0) {
            osr_values_file_flush(fixture->file);
        }
        uv_run(&fixture->loop, UV_RUN_NOWAIT);
    }
}

/* Killed at any moment, the file stands at an index, with just the values that this index makes. */
static void file_agrees_with_its_index_after_a_crash(void **state)
{
    enum { ROUNDS = 15 };
    struct values_fixture *fixture = *state;
    int moved = 0;

    values_close(fixture);
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t before = fixture->index;
        pid_t child = fork();
        if (child == 0) {
            write_for_ever(fixture);
        }
        usleep((useconds_t)(20000 + 3700 * round));
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        values_open(fixture);
        assert_in_range(fixture->index, before, before + 1000000);
        moved += fixture->index > before;
        values_assert_history(fixture);
        values_close(fixture);
    }
    assert_in_range(moved, ROUNDS / 2, ROUNDS);
}

/* A copy that is made while the file is written, and a dump holds its pages, is a good one. */
static void file_can_be_copied_under_a_dump(void **state)
{
    struct values_fixture *fixture = *state;
    struct osr_values_dump *dump;
    uint64_t index;

    for (int round = 0; round < 10; round++) {
        struct values_fixture *copy = values_fixture_create();
        values_apply_up_to(fixture, fixture->index + 1500);
        values_flush(fixture);
        assert_int_equal(osr_values_dump_open(fixture->file, &dump, &index, &fixture->err), 0);
        values_apply_up_to(fixture, fixture->index + 1500);
        osr_values_file_flush(fixture->file);
        char *command = osr_format("cp -r ledger %s/", copy->folder);
        scratch_run(fixture->folder, command);
        free(command);
        osr_values_dump_close(dump);
        values_open(copy);
        assert_true(copy->index == index || copy->index == fixture->index);
        values_assert_history(copy);
        values_fixture_destroy(copy);
    }
}

/* ---- room ---- */

/* The same values again and again need no more room: no reader of the loop's stays open. */
static void file_does_not_grow_by_rewriting(void **state)
{
    struct values_fixture *fixture = *state;
    char value[16];

    for (int i = 0; i < 100; i++) {
        for (int j = 0; j < 100; j++) {
            char key[16];
            snprintf(key, sizeof(key), "key %d", j);
            snprintf(value, sizeof(value), "%d", i);
            values_put(fixture, key, value);
            values_assert(fixture, key, value);
        }
        values_advance(fixture);
        values_flush(fixture);
        values_assert(fixture, "key 50", value);
        values_assert(fixture, "none", NULL);
    }
    assert_in_range(size_of(fixture), 1, 256 << 10);
}

static void put_large(struct values_fixture *fixture, int count)
{
    uint8_t *bytes = osr_alloc(OSR_VALUES_VALUE_BYTES_MAX);
    char key[24];

    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof(key), "large %d", i);
        osr_values_file_put(fixture->file, 2, osr_slice_text(key),
                            osr_slice(bytes, OSR_VALUES_VALUE_BYTES_MAX));
    }
    values_advance(fixture);
    free(bytes);
}

static void run_for(struct values_fixture *fixture, unsigned ms)
{
    uint64_t end = uv_hrtime() + (uint64_t)ms * 1000000;

    while (uv_hrtime() < end) {
        uv_run(&fixture->loop, UV_RUN_NOWAIT);
        uv_sleep(1);
    }
}

/* On a full disk all stays in memory and can be read, busy is said at the limit, and when there is
 * room all gets to disk. */
static void assert_survives_full_disk(struct values_fixture *fixture,
                                      void (*make_room)(struct values_fixture *fixture))
{
    uint64_t before = fixture->flushed;

    put_large(fixture, 8);
    run_for(fixture, 300);
    assert_int_equal(fixture->flushed, before);
    assert_int_equal(fixture->warnings, 1);
    values_put(fixture, "more", "of it");
    put_large(fixture, 70);
    assert_true(osr_values_file_is_busy(fixture->file));
    run_for(fixture, 1200);
    assert_int_equal(fixture->flushed, before);
    assert_int_equal(fixture->warnings, 1);
    assert_int_equal(fixture->failure_count, 0);
    assert_int_equal(fixture->room_count, 0);
    values_assert(fixture, "more", "of it");
    values_assert(fixture, "small", "value");
    make_room(fixture);
    values_flush(fixture);
    assert_int_equal(fixture->room_count, 1);
    reopen(fixture);
    assert_int_equal(fixture->index, before + 2);
    values_assert(fixture, "more", "of it");
    values_assert(fixture, "small", "value");
}

static void limit_files(rlim_t size)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void lift_limit(struct values_fixture *fixture)
{
    (void)fixture;
    limit_files(RLIM_INFINITY);
}

static void assert_waits_for_room(struct values_fixture *fixture, rlim_t left)
{
    values_put(fixture, "small", "value");
    values_advance(fixture);
    values_flush(fixture);
    limit_files((rlim_t)size_of(fixture) + left);
    assert_survives_full_disk(fixture, lift_limit);
}

/* By a limit on the size of files, which a write meets within a page. */
static void file_waits_for_room(void **state)
{
    assert_waits_for_room(*state, 100500);
}

/* The same with nothing left. */
static void file_waits_for_any_room(void **state)
{
    assert_waits_for_room(*state, 0);
}

static void enlarge_disk(struct values_fixture *fixture)
{
    assert_int_equal(mount("tmpfs", fixture->folder, "tmpfs", MS_REMOUNT, "size=200m"), 0);
}

/* By a disk that is full, where the system lets the test have one. */
static void file_waits_for_room_on_its_disk(void **state)
{
    struct values_fixture *fixture = *state;

    values_close(fixture);
    if (mount("tmpfs", fixture->folder, "tmpfs", 0, "size=300k") != 0) {
        skip();
    }
    values_open(fixture);
    values_put(fixture, "small", "value");
    values_advance(fixture);
    values_flush(fixture);
    assert_survives_full_disk(fixture, enlarge_disk);
    values_close(fixture);
    assert_int_equal(umount(fixture->folder), 0);
}

/* A file that cannot be made for lack of room says so, and leaves nothing that is in the way. */
static void file_is_made_when_there_is_room(void **state)
{
    struct values_fixture *fixture = *state;

    values_close(fixture);
    scratch_run(fixture->folder, "rm -r ledger");
    limit_files(5000);
    assert_int_equal(values_open_code(fixture), OSR_DISK_FULL);
    limit_files(RLIM_INFINITY);
    values_open(fixture);
    assert_int_equal(fixture->index, 0);
}

static rlim_t address_space_used(void)
{
    unsigned long pages = 0;
    FILE *sizes = fopen("/proc/self/statm", "r");

    assert_non_null(sizes);
    assert_int_equal(fscanf(sizes, "%lu", &pages), 1);
    fclose(sizes);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* Where the system gives less address space, the file is open nevertheless. */
static void file_is_mapped_into_what_there_is(void **state)
{
    struct values_fixture *fixture = *state;
    struct rlimit before;
    struct rlimit limit;
    int code;

    values_apply_up_to(fixture, 100);
    values_close(fixture);
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    limit = before;
    limit.rlim_cur = address_space_used() + (1 << 30);
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
    code = values_open_code(fixture);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(code, 0);
    values_assert_history(fixture);
}

/* ---- foreign and damaged files ---- */

static void assert_refused(struct values_fixture *fixture, enum osr_code code)
{
    off_t size = size_of(fixture);

    assert_int_equal(values_open_code(fixture), code);
    assert_null(fixture->file);
    assert_non_null(strstr(fixture->err.message, "values.mdb"));
    assert_int_equal(size_of(fixture), size);
}

static void make_lmdb(const char *path, const char *key)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val name = {strlen(key), (void *)key};

    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &name, &name, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

/* Somebody's text, another program's LMDB file: refused, and left as they are. */
static void foreign_files_are_refused(void **state)
{
    struct values_fixture *fixture = *state;
    char *path = values_path(fixture);

    values_close(fixture);
    scratch_run(fixture->folder, "echo short >ledger/values.mdb");
    assert_refused(fixture, OSR_FOREIGN_FILE);
    assert_non_null(strstr(fixture->err.hint, "mv "));
    scratch_run(fixture->folder, "seq 100000 >ledger/values.mdb");
    assert_refused(fixture, OSR_FOREIGN_FILE);
    scratch_run(fixture->folder, "rm ledger/*");
    make_lmdb(path, "theirs");
    assert_refused(fixture, OSR_FOREIGN_FILE);
    scratch_run(fixture->folder, "rm ledger/*");
    values_open(fixture);
    free(path);
}

/* A later version's file is refused as such. */
static void later_formats_are_refused(void **state)
{
    struct values_fixture *fixture = *state;
    static const uint8_t later[OSR_VALUES_ABOUT_SIZE] = "OSIRISVA\0\0\0\2";
    struct osr_values_batch batch;
    struct osr_values_disk disk = {0};
    struct osr_values_key key;
    char *path = values_path(fixture);

    values_close(fixture);
    assert_int_equal(osr_values_disk_open(&disk, path, OSR_VALUES_EXISTING, NULL), 0);
    assert_int_equal(osr_values_batch_begin(&batch, &disk, NULL), 0);
    assert_int_equal(osr_values_batch_put(&batch, osr_values_key(&key, 0, osr_slice_text("about")),
                                          osr_slice(later, sizeof(later)), NULL),
                     0);
    assert_int_equal(osr_values_batch_commit(&batch, NULL), 0);
    osr_values_disk_close(&disk);
    assert_refused(fixture, OSR_UNSUPPORTED_VERSION);
    free(path);
    scratch_run(fixture->folder, "rm ledger/*");
}

/* A file that somebody cut anywhere is refused and left so, or lacks nothing: never a crash. */
static void cut_files_are_refused(void **state)
{
    struct values_fixture *fixture = *state;
    char *path = values_path(fixture);
    off_t size;
    int refused = 0;

    values_apply_up_to(fixture, 2000);
    values_flush(fixture);
    values_close(fixture);
    scratch_run(fixture->folder, "cp ledger/values.mdb whole");
    size = size_of(fixture);
    for (off_t cut = 0; cut < size; cut += cut < 4096 ? 37 : 3001) {
        int code;
        scratch_run(fixture->folder, "cp whole ledger/values.mdb");
        assert_int_equal(truncate(path, cut), 0);
        code = values_open_code(fixture);
        refused += code != 0;
        if (code == 0) {
            values_assert_history(fixture);
            values_close(fixture);
        } else {
            assert_true(code == OSR_CORRUPT || (cut < 20 && code == OSR_FOREIGN_FILE));
            assert_int_equal(size_of(fixture), cut);
        }
    }
    assert_in_range(refused, 100, 100000);
    free(path);
}

static off_t find_in_file(const char *path, const char *text)
{
    struct osr_buffer bytes = {0};
    FILE *file = fopen(path, "r");
    struct stat status;
    const uint8_t *found;

    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &status), 0);
    assert_int_equal(
        fread(osr_buffer_reserve(&bytes, (size_t)status.st_size), 1, (size_t)status.st_size, file),
        status.st_size);
    fclose(file);
    found = memmem(bytes.data, (size_t)status.st_size, text, strlen(text));
    assert_non_null(found);
    off_t at = found - bytes.data;
    osr_buffer_done(&bytes);
    return at;
}

/* A value that rotted stops this member, once, and is given to nobody. */
static void rotten_values_are_noticed(void **state)
{
    struct values_fixture *fixture = *state;
    struct osr_buffer found = {0};
    char *path = values_path(fixture);
    int fd;

    values_put(fixture, "key", "a value that nobody else has");
    values_put(fixture, "other", "value");
    values_advance(fixture);
    values_flush(fixture);
    fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "b", 1, find_in_file(path, "a value that nobody")), 1);
    close(fd);
    values_assert(fixture, "other", "value");
    assert_int_equal(fixture->failure_count, 0);
    values_assert(fixture, "key", NULL);
    assert_int_equal(fixture->failure_count, 1);
    assert_int_equal(fixture->failure, OSR_CORRUPT);
    assert_false(osr_values_file_next(fixture->file, 2, osr_slice("", 0), &found, &found));
    assert_int_equal(fixture->failure_count, 1);
    osr_buffer_done(&found);
    free(path);
}

/* Only its owner may read a file of values. */
static void file_is_its_owners_alone(void **state)
{
    struct values_fixture *fixture = *state;
    char *path = values_path(fixture);
    struct stat file;

    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 07777, 0600);
    free(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(file_agrees_with_its_index_after_a_crash),
        TEST(file_can_be_copied_under_a_dump),
        TEST(file_does_not_grow_by_rewriting),
        TEST(file_waits_for_room),
        TEST(file_waits_for_any_room),
        TEST(file_waits_for_room_on_its_disk),
        TEST(file_is_made_when_there_is_room),
        TEST(file_is_mapped_into_what_there_is),
        TEST(foreign_files_are_refused),
        TEST(later_formats_are_refused),
        TEST(cut_files_are_refused),
        TEST(rotten_values_are_noticed),
        TEST(file_is_its_owners_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
