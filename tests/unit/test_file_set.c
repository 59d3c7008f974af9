#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "adapter/private_file.h"
#include "lib/sim_disk.h"
#include "node/file_set.h"

static const char *const names[] = {"a", "b", "c"};
enum { NAMES = sizeof(names) / sizeof(names[0]), SIZE_MAX_BYTES = 4096 };

/* Over one sector, so that a half-written one can be told from a whole one. */
enum { CONTENT_BYTES = 3 * OSR_SIM_DISK_SECTOR_BYTES / 2 };

struct fixture {
    struct osr_sim_disk *disk;
    struct osr_file_set set;
    struct osr_err err;
};

/* What each file holds: one letter over and over, '.' where there is none. */
struct content {
    char files[NAMES + 1];
};

static const struct content old_content = {"xy."};
static const struct content new_content = {"X.Z"};

static int change_to(struct fixture *fixture, struct content content)
{
    uint8_t bytes[NAMES][CONTENT_BYTES];
    struct osr_file_change changes[NAMES];
    int code = osr_file_set_settle(&fixture->set, &fixture->err);

    for (size_t i = 0; i < NAMES; i++) {
        memset(bytes[i], content.files[i], CONTENT_BYTES);
        changes[i] = (struct osr_file_change){
            .name = names[i],
            .content = osr_slice(bytes[i], content.files[i] == '.' ? 0 : CONTENT_BYTES),
        };
    }
    return code != 0 ? code : osr_file_set_change(&fixture->set, changes, NAMES, &fixture->err);
}

static char letter_of(const struct osr_buffer *content)
{
    assert_int_equal(content->size, CONTENT_BYTES);
    for (size_t i = 1; i < content->size; i++) {
        assert_int_equal(content->data[i], content->data[0]);
    }
    return (char)content->data[0];
}

static struct content read_content(struct fixture *fixture)
{
    struct content content = {0};

    assert_int_equal(osr_file_set_settle(&fixture->set, &fixture->err), 0);
    for (size_t i = 0; i < NAMES; i++) {
        struct osr_buffer bytes = {0};
        int code = osr_file_set_read(&fixture->set, names[i], SIZE_MAX_BYTES, OSR_PRIVATE_SECRET,
                                     &bytes, &fixture->err);
        assert_true(code == 0 || code == OSR_NOT_FOUND);
        content.files[i] = (char)(code == 0 ? letter_of(&bytes) : '.');
        osr_buffer_done(&bytes);
    }
    return content;
}

/* The old files are there, and all is safe. */
static struct fixture *open_fixture(uint64_t seed)
{
    struct fixture *fixture = osr_alloc(sizeof(*fixture));

    fixture->disk = osr_sim_disk_create(seed);
    osr_sim_disk_make_folder(fixture->disk, "data");
    fixture->set = (struct osr_file_set){
        .disk = osr_sim_disk_port(fixture->disk),
        .parent = "data",
        .folder = "data/set",
        .names = names,
        .name_count = NAMES,
    };
    assert_int_equal(change_to(fixture, old_content), 0);
    return fixture;
}

static void close_fixture(struct fixture *fixture)
{
    osr_sim_disk_destroy(fixture->disk);
    free(fixture);
}

static int set_up(void **state)
{
    *state = open_fixture(1);
    return 0;
}

static int tear_down(void **state)
{
    close_fixture(*state);
    return 0;
}

static void count_name(void *context, const char *name)
{
    size_t *count = context;

    assert_non_null(strchr("abc", name[0]));
    assert_int_equal(name[1], '\0'); /* no "a.new", no list */
    (*count)++;
}

/* It is the old state or the new one, and nothing else is in the folder. */
static void assert_old_or_new(struct fixture *fixture)
{
    struct content content = read_content(fixture);
    bool is_old = strcmp(content.files, old_content.files) == 0;
    struct osr_disk *port = fixture->set.disk;
    size_t count = 0;

    if (!is_old && strcmp(content.files, new_content.files) != 0) {
        fail_msg("neither old nor new: \"%s\"", content.files);
    }
    assert_int_equal(port->ops->list(port, "data/set", count_name, &count, &fixture->err), 0);
    assert_int_equal(count, 2);
}

/* -- changes -- */

/* Files are put, replaced and removed together. */
static void file_set_changes_together(void **state)
{
    struct fixture *fixture = *state;

    assert_string_equal(read_content(fixture).files, old_content.files);
    assert_int_equal(change_to(fixture, new_content), 0);
    assert_string_equal(read_content(fixture).files, new_content.files);
    osr_sim_disk_power_cut(fixture->disk);
    assert_string_equal(read_content(fixture).files, new_content.files);
}

/* The folder itself is there after a power cut, not only what is in it. */
static void file_set_makes_its_folder_for_good(void **state)
{
    struct fixture *fixture = *state;
    struct osr_disk *port = fixture->set.disk;
    size_t count = 0;

    osr_sim_disk_power_cut(fixture->disk);
    assert_int_equal(port->ops->list(port, "data/set", count_name, &count, &fixture->err), 0);
    assert_int_equal(count, 2);
}

/* An empty file and one that is too long are told apart from one that is not there. */
static void file_set_reads_whole_files(void **state)
{
    struct fixture *fixture = *state;
    struct osr_buffer bytes = {0};

    assert_int_equal(osr_file_set_read(&fixture->set, "c", SIZE_MAX_BYTES, OSR_PRIVATE_SECRET,
                                       &bytes, &fixture->err),
                     OSR_NOT_FOUND);
    assert_int_equal(osr_file_set_read(&fixture->set, "a", CONTENT_BYTES - 1, OSR_PRIVATE_SECRET,
                                       &bytes, &fixture->err),
                     OSR_TOO_LARGE);
    osr_sim_disk_put(fixture->disk, "data/set/a", osr_slice(NULL, 0));
    assert_int_equal(osr_file_set_read(&fixture->set, "a", SIZE_MAX_BYTES, OSR_PRIVATE_SECRET,
                                       &bytes, &fixture->err),
                     OSR_CORRUPT);
    assert_int_equal(bytes.size, 0);
    osr_buffer_done(&bytes);
}

/* A list of changes that this program did not make is not followed, and not removed. */
static void file_set_refuses_a_foreign_list(void **state)
{
    static const char *const lists[] = {
        "osiris change 2\n+a\n", "+a\n",     "osiris change 1\n+../x\n",
        "osiris change 1\n+a",   "osiris",   "osiris change 1\n*a\n",
        "osiris change 1\n\n",   "\n\n\n\n", "osiris change 1\n+aa\n",
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        osr_sim_disk_put(fixture->disk, "data/set/change", osr_slice_text(lists[i]));
        osr_sim_disk_put(fixture->disk, "data/x.new", osr_slice_text("x"));
        assert_int_equal(osr_file_set_settle(&fixture->set, &fixture->err), OSR_FOREIGN_FILE);
        assert_non_null(strstr(fixture->err.hint, "mv data/set/change"));
        assert_non_null(osr_sim_disk_content(fixture->disk, "data/x.new").data);
        assert_non_null(osr_sim_disk_content(fixture->disk, "data/set/change").data);
    }
}

/* -- crashes -- */

enum ending { POWER_CUT, KILL, ENDINGS };

static void restart(struct fixture *fixture, enum ending ending)
{
    if (ending == POWER_CUT) {
        osr_sim_disk_power_cut(fixture->disk);
    } else {
        osr_sim_disk_kill(fixture->disk);
    }
}

/* Crashes at this step of the change; false: it has fewer. What a power cut takes goes by `seed`.
 */
static bool crash_once(enum ending ending, uint64_t seed, uint64_t step)
{
    struct fixture *fixture = open_fixture(seed);

    osr_sim_disk_crash_at(fixture->disk, step);
    int code = change_to(fixture, new_content);
    bool has_crashed = osr_sim_disk_is_down(fixture->disk);
    assert_int_equal(code == 0, !has_crashed);
    restart(fixture, ending);
    assert_old_or_new(fixture);
    close_fixture(fixture);
    return has_crashed;
}

/* Wherever it crashes, and whatever the disk keeps of what was not synced, afterwards there is the
 * old state or the new one. */
static void file_set_survives_crashes(void **state)
{
    (void)state;
    for (enum ending ending = POWER_CUT; ending < ENDINGS; ending++) {
        for (uint64_t seed = 1; seed <= 64; seed++) {
            uint64_t step = 1;
            while (crash_once(ending, seed, step)) {
                step++;
            }
            assert_true(step > 15); /* else hardly anything was tried */
        }
    }
}

/* The same for the settling that follows a crash; false: it has fewer steps. */
static bool crash_twice(uint64_t seed, uint64_t step, uint64_t settle_step)
{
    struct fixture *fixture = open_fixture(seed);

    osr_sim_disk_crash_at(fixture->disk, step);
    change_to(fixture, new_content);
    osr_sim_disk_power_cut(fixture->disk);
    osr_sim_disk_crash_at(fixture->disk, settle_step);
    osr_file_set_settle(&fixture->set, &fixture->err);
    bool has_crashed = osr_sim_disk_is_down(fixture->disk);
    osr_sim_disk_power_cut(fixture->disk);
    assert_old_or_new(fixture);
    close_fixture(fixture);
    return has_crashed;
}

/* What a crash interrupted is finished even if finishing it crashes too. */
static void file_set_survives_crashes_while_it_settles(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        for (uint64_t step = 1; step <= 30; step++) {
            uint64_t settle_step = 1;
            while (crash_twice(seed, step, settle_step)) {
                settle_step++;
            }
        }
    }
}

/* -- disks that fail -- */

/* A change that finds no room changes nothing, and can be made once there is some. */
static void file_set_survives_a_full_disk(void **state)
{
    struct fixture *fixture = *state;
    uint64_t used = osr_sim_disk_used(fixture->disk);
    size_t failures = 0;

    for (uint64_t room = 0;; room += 64) {
        osr_sim_disk_set_capacity(fixture->disk, used + room);
        int code = change_to(fixture, new_content);
        if (code == 0) {
            break;
        }
        assert_int_equal(code, OSR_DISK_FULL);
        assert_string_equal(read_content(fixture).files, old_content.files);
        failures++;
    }
    assert_true(failures >= 2 * CONTENT_BYTES / 64);
    assert_string_equal(read_content(fixture).files, new_content.files);
}

/* Lets the nth write or sync fail; false: the change has fewer. */
static bool fail_once(void (*set_fault)(struct osr_sim_disk *disk, uint64_t nth), uint64_t nth)
{
    struct fixture *fixture = open_fixture(nth);

    set_fault(fixture->disk, nth);
    int code = change_to(fixture, new_content);
    set_fault(fixture->disk, 0);
    bool has_failed = osr_sim_disk_counts(fixture->disk)->faults > 0;
    assert_int_equal(code == 0, !has_failed);
    assert_old_or_new(fixture);
    osr_sim_disk_power_cut(fixture->disk);
    assert_old_or_new(fixture);
    close_fixture(fixture);
    return has_failed;
}

/* A disk that fails once leaves the old state or the new one. */
static void file_set_survives_failing_writes(void **state)
{
    uint64_t writes = 1;
    uint64_t syncs = 1;

    (void)state;
    while (fail_once(osr_sim_disk_fail_write, writes)) {
        writes++;
    }
    while (fail_once(osr_sim_disk_fail_sync, syncs)) {
        syncs++;
    }
    assert_int_equal(writes, 4); /* two files and the list, and one that was not reached */
    assert_int_equal(syncs, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(file_set_changes_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(file_set_makes_its_folder_for_good, set_up, tear_down),
        cmocka_unit_test_setup_teardown(file_set_reads_whole_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(file_set_refuses_a_foreign_list, set_up, tear_down),
        cmocka_unit_test(file_set_survives_crashes),
        cmocka_unit_test(file_set_survives_crashes_while_it_settles),
        cmocka_unit_test_setup_teardown(file_set_survives_a_full_disk, set_up, tear_down),
        cmocka_unit_test(file_set_survives_failing_writes),
    };

    return cmocka_run_group_tests_name("file_set", tests, NULL, NULL);
}
