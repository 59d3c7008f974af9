/* The knowledge base: documents are written, read, changed and taken away. */
#include "lib/knowledge_fixture.h"
#include "lib/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* A document is made, read, changed and taken away; its history tells. */
static void knowledge_keeps_a_document_through_its_life(void **state)
{
    struct kb_fixture *fixture = *state;
    struct outcome put = kb_write_text(fixture, OSR_WRITE_PUT, "", "one");
    assert_int_equal(put.result.code, OSR_OK);
    assert_int_equal(strlen(put.id), OSR_MADE_ID_CHARS);
    assert_int_equal(put.result.sequence, 1);
    assert_int_equal(put.result.version.time.ms, START_MS);
    assert_string_equal(put.result.version.origin, KB_OWN);
    assert_get(fixture, put.id, "one ");

    struct outcome update = kb_write_text(fixture, OSR_WRITE_UPDATE, put.id, "two");
    assert_int_equal(update.result.code, OSR_OK);
    assert_string_equal(update.id, put.id);
    assert_get(fixture, put.id, "two ");

    struct outcome removal = kb_write_text(fixture, OSR_WRITE_DELETE, put.id, NULL);
    assert_int_equal(removal.result.code, OSR_OK);
    assert_int_equal(kb_get_code(fixture, put.id), OSR_NOT_FOUND);
    assert_int_equal(kb_write_text(fixture, OSR_WRITE_UPDATE, put.id, "x").result.code,
                     OSR_NOT_FOUND);
    assert_int_equal(kb_write_text(fixture, OSR_WRITE_DELETE, put.id, NULL).result.code,
                     OSR_NOT_FOUND);

    struct answer history = kb_history(fixture, put.id);
    char *expected = osr_format("-%s two one ", put.id);
    assert_string_equal(answer_text(&history), expected);
    assert_int_equal(history.winners, 1);
    assert_int_equal(history.superseded, 2);
    osr_buffer_done(&history.text);
    free(expected);
}

/* What nobody wrote is not found, whoever asks. */
static void knowledge_does_not_find_what_is_not_there(void **state)
{
    struct kb_fixture *fixture = *state;
    assert_int_equal(kb_get_code(fixture, "nothing"), OSR_NOT_FOUND);
    assert_int_equal(kb_history(fixture, "nothing").code, OSR_NOT_FOUND);
    assert_int_equal(kb_write_text(fixture, OSR_WRITE_UPDATE, "nothing", "x").result.code,
                     OSR_NOT_FOUND);
    assert_int_equal(kb_count(fixture), 0);
}

/* Writes to one id that come in one burst see each other: each supersedes the one before. */
static void knowledge_chains_a_burst_of_writes_to_one_id(void **state)
{
    enum { COUNT = 100 };
    struct kb_fixture *fixture = *state;
    struct outcome outcomes[COUNT];
    struct draft one;
    for (int i = 0; i < COUNT; i++) {
        char data[32];
        snprintf(data, sizeof(data), "v%d", i);
        kb_begin_write(fixture, OSR_WRITE_PUT, draft_document(&one, "hot", data), &outcomes[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        kb_wait_for(fixture, &outcomes[i].is_done);
        assert_int_equal(outcomes[i].result.code, OSR_OK);
        assert_int_equal(outcomes[i].result.sequence, i + 1); /* in the order of the calls */
    }
    assert_get(fixture, "hot", "v99 ");
    struct answer history = kb_history(fixture, "hot");
    assert_int_equal(history.replies, COUNT);
    assert_int_equal(history.superseded, COUNT - 1);
    osr_buffer_done(&history.text);
}

/* A document can be got as soon as its write is answered, long before it is projected. */
static void knowledge_gives_what_is_not_projected_yet(void **state)
{
    struct kb_fixture *fixture = *state;
    size_t ahead = 0;
    for (int i = 0; i < 50; i++) {
        char data[32];
        snprintf(data, sizeof(data), "v%d", i);
        struct outcome put = kb_write_text(fixture, OSR_WRITE_PUT, "", data);
        struct answer answer = ANSWER_INIT;
        osr_knowledge_get(fixture->knowledge, NULL, put.id, answer_note, &answer);
        ahead += osr_knowledge_lag(fixture->knowledge) > 0;
        kb_finish(fixture, &answer);
        assert_int_equal(answer.code, OSR_OK);
        osr_buffer_done(&answer.text);
    }
    assert_true(ahead > 0);
}

/* A write is not answered before it can be read, also where another feed's unverified entries
 * stand before it in the log. */
static void knowledge_answers_a_write_when_it_can_be_read(void **state)
{
    struct kb_fixture *fixture = *state;
    struct draft one;
    struct osr_feed_put put = {OSR__OPERATION__PUT, draft_document(&one, "theirs", "x")};
    fixture->holds_other = true;
    kb_store(fixture, &fixture->other, 0, &put, 1);

    struct outcome outcome;
    kb_begin_write(fixture, OSR_WRITE_PUT, draft_document(&one, "ours", "y"), &outcome);
    loop_idle(&fixture->loop, 30);
    assert_false(outcome.is_done);
    kb_commit(fixture, &fixture->other, 1, 1);
    kb_wait_for(fixture, &outcome.is_done);
    assert_get(fixture, "ours", "y ");
    assert_get(fixture, "theirs", "x ");
}

/* A write that the core refuses is answered with its code, and those behind it go on. */
static void knowledge_passes_on_a_refusal(void **state)
{
    struct kb_fixture *fixture = *state;
    struct draft one;
    struct outcome first;
    struct outcome second;
    fixture->refusal = OSR_BUSY;
    kb_begin_write(fixture, OSR_WRITE_PUT, draft_document(&one, "a", "1"), &first);
    kb_begin_write(fixture, OSR_WRITE_PUT, draft_document(&one, "a", "2"), &second);
    kb_wait_for(fixture, &second.is_done);
    assert_int_equal(first.result.code, OSR_BUSY);
    assert_int_equal(first.result.written, 0);
    assert_int_equal(second.result.code, OSR_OK);
    assert_get(fixture, "a", "2 ");

    fixture->refusal = OSR_DISK_FULL;
    assert_int_equal(kb_write_text(fixture, OSR_WRITE_PUT, "", "3").result.code, OSR_DISK_FULL);
}

/* Versions of two instances: the newer one wins, a new one supersedes both. */
static void knowledge_joins_concurrent_versions(void **state)
{
    struct kb_fixture *fixture = *state;
    struct draft one;
    kb_write_text(fixture, OSR_WRITE_PUT, "a", "ours");
    struct osr_feed_put put = {OSR__OPERATION__PUT, draft_document(&one, "a", "theirs")};
    uint64_t lag = osr_knowledge_lag(fixture->knowledge);
    kb_store(fixture, &fixture->other, 0, &put, 1);
    while (osr_knowledge_lag(fixture->knowledge) <= lag) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
        lag = osr_knowledge_lag(fixture->knowledge) == 0 ? 0 : lag;
    }
    assert_get(fixture, "a", "theirs ");
    struct answer history = kb_history(fixture, "a");
    assert_int_equal(history.superseded, 0);
    assert_int_equal(history.replies, 2);
    osr_buffer_done(&history.text);

    kb_write_text(fixture, OSR_WRITE_PUT, "a", "joined");
    assert_get(fixture, "a", "joined ");
    history = kb_history(fixture, "a");
    assert_string_equal(answer_text(&history), "joined theirs ours ");
    assert_int_equal(history.superseded, 2);
    osr_buffer_done(&history.text);
}

/* An expired document is hidden from those who ask; only a delete takes it away. */
static void knowledge_hides_what_has_expired(void **state)
{
    struct kb_fixture *fixture = *state;
    struct draft one;
    Osr__Document *document = draft_document(&one, "a", "x");
    document->expires_ms = START_MS + 10;
    kb_write(fixture, OSR_WRITE_PUT, document);
    assert_get(fixture, "a", "x ");
    assert_int_equal(kb_count(fixture), 1);

    fixture->now_ms = START_MS + 10;
    assert_int_equal(kb_get_code(fixture, "a"), OSR_NOT_FOUND);
    assert_int_equal(kb_count(fixture), 0);
    struct answer list = kb_list(fixture, "", "", 0);
    assert_int_equal(list.text.size, 0);
    assert_int_equal(kb_write_text(fixture, OSR_WRITE_UPDATE, "a", "y").result.code, OSR_NOT_FOUND);
    assert_int_equal(kb_write_text(fixture, OSR_WRITE_DELETE, "a", NULL).result.code, OSR_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kb_set_up, kb_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(knowledge_keeps_a_document_through_its_life),
        TEST(knowledge_does_not_find_what_is_not_there),
        TEST(knowledge_chains_a_burst_of_writes_to_one_id),
        TEST(knowledge_gives_what_is_not_projected_yet),
        TEST(knowledge_answers_a_write_when_it_can_be_read),
        TEST(knowledge_passes_on_a_refusal),
        TEST(knowledge_joins_concurrent_versions),
        TEST(knowledge_hides_what_has_expired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
