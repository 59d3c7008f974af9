/* The knowledge base and its projection: after restarts, where its files are lost, damaged, full or
 * foreign, and while it is made anew. */
#include "lib/knowledge_fixture.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmocka.h>

/* After a restart everything is there, also where the projection has lost its files. */
static void knowledge_comes_back(void **state)
{
    struct kb_fixture *fixture = *state;
    kb_put_many(fixture, 200);
    kb_write_text(fixture, OSR_WRITE_PUT, "a", "1");
    kb_write_text(fixture, OSR_WRITE_PUT, "a", "2");
    struct osr_hash digest = kb_digest(fixture);
    kb_reopen(fixture);
    assert_get(fixture, "a", "2 ");
    struct osr_hash after = kb_digest(fixture);
    assert_true(osr_hash_equal(&digest, &after));

    kb_close(fixture);
    scratch_run(fixture->folder, "rm *.db*");
    kb_open(fixture);
    assert_get(fixture, "a", "2 ");
    after = kb_digest(fixture);
    assert_true(osr_hash_equal(&digest, &after));
    assert_int_equal(kb_count(fixture), 201);
    kb_write_text(fixture, OSR_WRITE_PUT, "a", "3");
    struct answer history = kb_history(fixture, "a");
    assert_string_equal(answer_text(&history), "3 2 1 ");
    assert_int_equal(history.superseded, 2);
    osr_buffer_done(&history.text);
}

/* A rebuild gives the same, and those who ask meanwhile get right answers. */
static void knowledge_is_rebuilt(void **state)
{
    struct kb_fixture *fixture = *state;
    kb_put_many(fixture, 1000);
    kb_write_text(fixture, OSR_WRITE_PUT, "a", "1");
    struct osr_hash before = kb_digest(fixture);
    struct answer rebuilding = ANSWER_INIT;
    struct answer again = ANSWER_INIT;
    osr_knowledge_rebuild(fixture->knowledge, answer_note, &rebuilding);
    osr_knowledge_rebuild(fixture->knowledge, answer_note, &again);
    kb_write_text(fixture, OSR_WRITE_PUT, "a", "2");
    assert_get(fixture, "a", "2 ");
    kb_finish(fixture, &rebuilding);
    kb_finish(fixture, &again);
    assert_int_equal(rebuilding.code, OSR_OK);
    assert_int_equal(rebuilding.position, rebuilding.total);
    assert_int_equal(again.code, OSR_IN_USE);
    struct osr_hash after = kb_digest(fixture);
    assert_false(osr_hash_equal(&before, &after));
    assert_int_equal(kb_rebuild(fixture), OSR_OK);
    struct osr_hash last = kb_digest(fixture);
    assert_true(osr_hash_equal(&after, &last));
    assert_int_equal(kb_count(fixture), 1001);
}

static void overwrite(struct kb_fixture *fixture, const char *name, long offset, const char *text)
{
    char *path = osr_format("%s/%s", fixture->folder, name);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    for (int i = 0; i < 100; i++) {
        assert_true(fputs(text, file) >= 0);
    }
    assert_int_equal(fclose(file), 0);
    free(path);
}

/* A damaged projection keeps nobody from writing; who reads is told what to do; a rebuild does it.
 */
static void knowledge_survives_a_damaged_projection(void **state)
{
    struct kb_fixture *fixture = *state;
    kb_put_many(fixture, 100);
    kb_write_text(fixture, OSR_WRITE_PUT, "a", "1");
    kb_count(fixture);
    kb_close(fixture);
    overwrite(fixture, "documents.db", 100, "damage");
    kb_open(fixture);

    struct answer answer = kb_get(fixture, "a");
    assert_int_equal(answer.code, OSR_CORRUPT);
    assert_non_null(strstr(answer.hint, "osiris rebuild"));
    assert_int_equal(fixture->state.code, OSR_CORRUPT);
    assert_int_equal(kb_list(fixture, "", "", 0).code, OSR_CORRUPT);
    struct outcome put = kb_write_text(fixture, OSR_WRITE_PUT, "", "new");
    assert_int_equal(put.result.code, OSR_OK);
    assert_int_equal(kb_write_text(fixture, OSR_WRITE_PUT, "a", "2").result.code, OSR_CORRUPT);

    assert_int_equal(kb_rebuild(fixture), OSR_OK);
    assert_int_equal(fixture->state.code, OSR_OK);
    assert_get(fixture, "a", "1 ");
    assert_get(fixture, put.id, "new ");
    assert_int_equal(kb_count(fixture), 102);
}

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Without room the projection stands still alone: who writes and gets notices nothing, who lists
 * gets what there is, and with room it catches up. */
static void knowledge_goes_on_without_room_for_the_projection(void **state)
{
    struct kb_fixture *fixture = *state;
    size_t written = 0;
    signal(SIGXFSZ, SIG_IGN);
    limit_file_size((1 << 20) + (64 << 10)); /* more than the log's segments need */
    while (fixture->state.code == OSR_OK && written < 50000) {
        kb_put_many(fixture, 100);
        kb_count(fixture);
        written += 100;
    }
    assert_int_equal(fixture->state.code, OSR_DISK_FULL);
    kb_write_text(fixture, OSR_WRITE_PUT, "a", "1");
    assert_get(fixture, "a", "1 ");
    assert_int_equal(kb_list(fixture, "b", "", 1).code, OSR_OK);
    struct answer answer = ANSWER_INIT;
    osr_knowledge_digest(fixture->knowledge, NULL, 0, answer_note, &answer);
    kb_finish(fixture, &answer);
    assert_int_equal(answer.code, OSR_DISK_FULL);
    assert_true(osr_knowledge_lag(fixture->knowledge) > 0);

    limit_file_size(RLIM_INFINITY);
    while (fixture->state.code != OSR_OK) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    assert_int_equal(kb_count(fixture), written + 1);
    assert_get(fixture, "a", "1 ");
}

/* A foreign file in the projection's place is left alone, also by a rebuild. */
static void knowledge_leaves_a_foreign_file_alone(void **state)
{
    struct kb_fixture *fixture = *state;
    kb_write_text(fixture, OSR_WRITE_PUT, "a", "1");
    kb_count(fixture);
    kb_close(fixture);
    overwrite(fixture, "documents.db", 0, "my diary ");
    kb_open(fixture);
    assert_int_equal(kb_get_code(fixture, "a"), OSR_FOREIGN_FILE);
    assert_int_equal(kb_rebuild(fixture), OSR_FOREIGN_FILE);
    assert_int_equal(kb_get_code(fixture, "a"), OSR_FOREIGN_FILE);

    scratch_run(fixture->folder, "mv documents.db diary");
    assert_int_equal(kb_rebuild(fixture), OSR_OK);
    assert_get(fixture, "a", "1 ");
}

/* A log that has lost its end is noticed, for the projection knows more than there is. */
static void knowledge_notices_a_log_that_lost_its_end(void **state)
{
    struct kb_fixture *fixture = *state;
    kb_write_text(fixture, OSR_WRITE_PUT, "a", "1");
    kb_count(fixture);
    kb_close(fixture);
    scratch_run(fixture->folder, "rm -r log");
    kb_open(fixture);
    assert_int_equal(fixture->state.code, OSR_CORRUPT);
    assert_int_equal(kb_get_code(fixture, "a"), OSR_CORRUPT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kb_set_up, kb_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(knowledge_comes_back),
        TEST(knowledge_is_rebuilt),
        TEST(knowledge_survives_a_damaged_projection),
        TEST(knowledge_goes_on_without_room_for_the_projection),
        TEST(knowledge_leaves_a_foreign_file_alone),
        TEST(knowledge_notices_a_log_that_lost_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
