/* test_store_files.c -- what can befall the projection's files: foreign, damaged, too new, no room.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/store_fixture.h"

/* ---- files ---- */

static void write_file(const struct store_fixture *fixture, const char *name, const char *text)
{
    char path[128];
    fixture_path(path, sizeof(path), fixture, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void assert_open_fails(struct store_fixture *fixture, enum osr_code code, const char *hint)
{
    struct osr_err err = {0};
    assert_int_equal(fixture_open_store(fixture, &err), code);
    assert_null(fixture->store);
    assert_int_equal(err.code, code);
    if (strstr(err.hint, hint) == NULL) {
        fail_msg("hint is: %s", err.hint);
    }
}

/* A text file and another program's database are refused and stay as they are, even when
 * the projection is made anew. */
static void open_refuses_foreign_files(void **state)
{
    struct store_fixture *fixture = *state;
    struct osr_err err;
    const char *const names[] = {"documents.db", "search.db"};
    for (size_t i = 0; i < 2; i++) {
        write_file(fixture, names[i],
                   "Dear diary, this is no database at all. And yet it is long "
                   "enough to have a header of one hundred bytes or so.");
        long size = fixture_file_size(fixture, names[i]);
        assert_open_fails(fixture, OSR_FOREIGN_FILE, "move it away");
        assert_int_equal(osr_store_set_aside(fixture->folder, &err), OSR_FOREIGN_FILE);
        assert_int_equal(fixture_file_size(fixture, names[i]), size);
        fixture_remove_files(fixture);

        write_file(fixture, names[i], "short");
        assert_open_fails(fixture, OSR_FOREIGN_FILE, "move it away");
        fixture_remove_files(fixture);

        char path[128];
        fixture_path(path, sizeof(path), fixture, names[i]);
        sqlite3 *db = NULL;
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        sqlite3_exec(db, "CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)", NULL, NULL,
                     NULL);
        sqlite3_close(db);
        assert_open_fails(fixture, OSR_FOREIGN_FILE, "move it away");
        assert_int_equal(fixture_ask_file(fixture, names[i], "SELECT x FROM theirs"), 1);
        fixture_remove_files(fixture);
    }
    /* One of ours in the other's place. */
    fixture_open(fixture);
    fixture_close(fixture);
    fixture_copy_file(fixture, "documents.db", "search.db");
    assert_open_fails(fixture, OSR_FOREIGN_FILE, "move it away");
}

/* A file that was cut off or overwritten is CORRUPT and names the way out, which works. */
static void open_refuses_damaged_files(void **state)
{
    struct store_fixture *fixture = *state;
    fixture_open(fixture);
    for (int i = 0; i < 500; i++) {
        char id[16];
        snprintf(id, sizeof(id), "d%03d", i);
        fixture_log_text(fixture, id, "text");
    }
    fixture_apply_all(fixture);
    fixture_close(fixture);
    char path[128];
    fixture_path(path, sizeof(path), fixture, "documents.db");
    long whole = fixture_file_size(fixture, "documents.db");
    const long sizes[] = {whole - 4096, 5000, 99, 16, 0};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_int_equal(truncate(path, sizes[i]), 0);
        assert_open_fails(fixture, OSR_CORRUPT, "osiris rebuild");
        assert_int_equal(fixture_file_size(fixture, "documents.db"), sizes[i]);
    }
    struct osr_err err;
    assert_int_equal(osr_store_set_aside(fixture->folder, &err), 0);
    assert_int_equal(fixture_file_size(fixture, "documents.db.old"), 0);
    fixture_open(fixture);
    assert_int_equal(fixture_file_size(fixture, "documents.db.old"), -1);
    assert_int_equal(osr_store_applied(fixture->store), 0);
    fixture_apply_all(fixture);
    fixture_index_all(fixture);
    assert_int_equal(fixture_count_visible(fixture), 500);
}

/* A damaged page is reported when it is met, with the way out, and apply rolls back. */
static void queries_report_damaged_pages(void **state)
{
    struct store_fixture *fixture = *state;
    for (int i = 0; i < 3000; i++) {
        char id[16];
        snprintf(id, sizeof(id), "d%04d", i);
        fixture_log_put(fixture, 1, 100 + (uint64_t)i, id, NULL);
    }
    fixture_apply_all(fixture);
    fixture_close(fixture);
    char path[128];
    fixture_path(path, sizeof(path), fixture, "documents.db");
    int root = fixture_ask_file(fixture, "documents.db",
                                "SELECT rootpage FROM sqlite_schema WHERE name = 'documents'");
    int file = open(path, O_WRONLY);
    char rubbish[4096];
    memset(rubbish, 0xa5, sizeof(rubbish));
    assert_int_equal(pwrite(file, rubbish, sizeof(rubbish), (off_t)(root - 1) * 4096), 4096);
    close(file);

    fixture_open(fixture);
    struct osr_err err = {0};
    struct listed listed = {0};
    assert_int_equal(osr_store_list(fixture->reader, osr_slice_text(""), osr_slice_text(""),
                                    FIXTURE_NOW_MS, 0, collect_row, &listed, &err),
                     OSR_CORRUPT);
    assert_non_null(strstr(err.hint, "osiris rebuild"));
    listed_done(&listed);
    fixture_log_put(fixture, 1, 9000, "e", NULL);
    uint64_t applied = osr_store_applied(fixture->store);
    assert_int_equal(fixture_apply_some(fixture, 10, 0, &err), OSR_CORRUPT);
    assert_int_equal(osr_store_applied(fixture->store), applied);
}

/* Files of our own with an older schema are brought up to date, with a newer one refused. */
static void open_migrates_old_and_refuses_new_schemas(void **state)
{
    struct store_fixture *fixture = *state;
    char path[128];
    fixture_path(path, sizeof(path), fixture, "documents.db");
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_exec(db, "PRAGMA application_id=0x4f736944; PRAGMA user_version=0; VACUUM", NULL, NULL,
                 NULL);
    sqlite3_close(db);
    fixture_open(fixture);
    fixture_log_text(fixture, "x", "text");
    fixture_apply_all(fixture);
    assert_list(fixture, "", "", 0, "x");
    fixture_close(fixture);
    assert_true(fixture_ask_file(fixture, "documents.db", "PRAGMA user_version") >= 1);

    fixture_ask_file(fixture, "documents.db", "PRAGMA user_version=9999");
    assert_open_fails(fixture, OSR_UNSUPPORTED_VERSION, "osiris rebuild");
    assert_int_equal(fixture_ask_file(fixture, "documents.db", "SELECT count(*) FROM documents"),
                     1);
}

/* A draft left by a crash while the files were made is made again, and a journal that lost
 * its file is not taken for the new one's. */
static void open_survives_a_crash_in_creation(void **state)
{
    struct store_fixture *fixture = *state;
    write_file(fixture, "documents.db.new", "half a file");
    write_file(fixture, "search.db.new-journal", "half a journal");
    write_file(fixture, "documents.db-wal", "an orphan");
    fixture_open(fixture);
    fixture_log_text(fixture, "x", "text");
    fixture_apply_all(fixture);
    assert_list(fixture, "", "", 0, "x");
    assert_int_equal(fixture_file_size(fixture, "documents.db.new"), -1);
}

/* Without the right to write nothing is opened, and the error says so. */
static void open_reports_a_read_only_folder(void **state)
{
    struct store_fixture *fixture = *state;
    bool is_root = geteuid() == 0;
    struct osr_err err;
    assert_int_equal(chmod(fixture->folder, 0555), 0);
    if (is_root) {
        assert_int_equal(seteuid(65534), 0);
    }
    int code = fixture_open_store(fixture, &err);
    if (is_root) {
        assert_int_equal(seteuid(0), 0);
    }
    assert_int_equal(chmod(fixture->folder, 0755), 0);
    assert_int_equal(code, OSR_IO);

    fixture_open(fixture);
    fixture_close(fixture);
    char path[128];
    fixture_path(path, sizeof(path), fixture, "documents.db");
    assert_int_equal(chmod(path, 0444), 0);
    assert_int_equal(chmod(fixture->folder, 0555), 0);
    if (is_root) {
        assert_int_equal(seteuid(65534), 0);
    }
    code = fixture_open_store(fixture, &err);
    if (is_root) {
        assert_int_equal(seteuid(0), 0);
    }
    assert_int_equal(chmod(fixture->folder, 0755), 0);
    assert_int_equal(code, OSR_IO);
}

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A full disk halts apply and index without a trace; both go on when there is room. */
static void full_disk_halts_and_goes_on(void **state)
{
    struct store_fixture *fixture = *state;
    signal(SIGXFSZ, SIG_IGN);
    char id[16];
    struct osr_err err = {0};
    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof(id), "a%05d", i);
        fixture_log_text(fixture, id, "small");
    }
    fixture_apply_all(fixture);
    fixture_index_all(fixture);
    for (int i = 0; i < 4000; i++) {
        snprintf(id, sizeof(id), "b%05d", i);
        fixture_log_text(fixture, id, "larger");
    }
    limit_file_size(100000);
    assert_int_equal(fixture_apply_some(fixture, 10000, 0, &err), OSR_DISK_FULL);
    assert_int_equal(osr_store_applied(fixture->store), 100);
    assert_int_equal(fixture_count_visible(fixture), 100);
    limit_file_size(RLIM_INFINITY);
    fixture_apply_all(fixture);
    assert_int_equal(fixture_count_visible(fixture), 4100);

    uint64_t left = 0;
    limit_file_size(20000);
    int code = 0;
    for (int i = 0; code == 0 && i < 100; i++) {
        code = osr_store_index(fixture->store, 4000, &left, &err);
    }
    assert_int_equal(code, OSR_DISK_FULL);
    limit_file_size(RLIM_INFINITY);
    fixture_index_all(fixture);
    assert_int_equal(fixture_ask_file(fixture, "search.db",
                                      "SELECT count(*) FROM search WHERE search MATCH 'larger'"),
                     4000);
}

/* After a rebuild everything is there again from the log; readers notice by themselves. */
static void rebuild_begins_anew(void **state)
{
    struct store_fixture *fixture = *state;
    fixture_log_text(fixture, "x", "text");
    fixture_log_fact(fixture, "key", "value");
    fixture_apply_all(fixture);
    fixture_index_all(fixture);
    assert_search(fixture, "text", "x");
    fixture_rebuild(fixture);
    assert_list(fixture, "", "", 0, "");
    assert_search(fixture, "text", "");
    assert_int_equal(fixture_file_size(fixture, "documents.db.old"), -1);
    fixture_apply_all(fixture);
    fixture_index_all(fixture);
    assert_list(fixture, "", "", 0, "x");
    assert_search(fixture, "text", "x");
}

/* A reader without files fails, and closing nothing is fine. */
static void reader_needs_files(void **state)
{
    struct store_fixture *fixture = *state;
    struct osr_err err = {0};
    assert_int_equal(
        osr_store_reader_open(fixture->folder, &fixture->bodies, &fixture->reader, &err), OSR_IO);
    assert_null(fixture->reader);
    osr_store_reader_close(NULL);
    osr_store_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(open_refuses_foreign_files, fixture_set_up_log,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(open_refuses_damaged_files, fixture_set_up_log,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(queries_report_damaged_pages, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(open_migrates_old_and_refuses_new_schemas,
                                        fixture_set_up_log, fixture_tear_down),
        cmocka_unit_test_setup_teardown(open_survives_a_crash_in_creation, fixture_set_up_log,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(open_reports_a_read_only_folder, fixture_set_up_log,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(full_disk_halts_and_goes_on, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(rebuild_begins_anew, fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(reader_needs_files, fixture_set_up_log, fixture_tear_down),
    };
    return cmocka_run_group_tests_name("store_files", tests, NULL, NULL);
}
