/* Queries of the knowledge base: lists, searches, watchers and the digest. */
#include "lib/knowledge_fixture.h"
#include "lib/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/query.h"

/* A list is in the order of creation, whatever its length, from a place and to a length, of one
 * collection or of all. */
static void knowledge_lists(void **state)
{
    struct kb_fixture *fixture = *state;
    kb_put_many(fixture, 1000);
    struct answer all = kb_list(fixture, "", "", 0);
    assert_int_equal(all.code, OSR_OK);
    assert_true(all.ids_ascend);
    struct osr_buffer expected = {0};
    for (int i = 0; i < 1000; i++) {
        osr_buffer_add_format(&expected, "n%d ", i);
    }
    assert_true(osr_slice_equal(osr_buffer_slice(&all.text), osr_buffer_slice(&expected)));
    osr_buffer_done(&expected);
    osr_buffer_done(&all.text);

    struct answer some = kb_list(fixture, "", "tens", 3);
    assert_string_equal(answer_text(&some), "n0 n10 n20 ");
    struct answer next = kb_list(fixture, some.last_id, "tens", 2);
    assert_string_equal(answer_text(&next), "n30 n40 ");
    osr_buffer_done(&some.text);
    osr_buffer_done(&next.text);
}

/* A paused list waits; a cancelled one says nothing any more. */
static void knowledge_pauses_and_cancels_a_list(void **state)
{
    struct kb_fixture *fixture = *state;
    kb_put_many(fixture, 400);
    struct answer answer = ANSWER_INIT;
    answer.pause_after = 5;
    answer.query = osr_knowledge_list(fixture->knowledge, NULL, "", "", 0, answer_note, &answer);
    kb_wait_for_replies(fixture, &answer, 5);
    loop_idle(&fixture->loop, 20);
    assert_int_equal(answer.replies, 5);
    answer.pause_after = 300;
    osr_query_pause(answer.query, false);
    kb_wait_for_replies(fixture, &answer, 300);
    osr_query_cancel(answer.query);
    kb_count(fixture);
    assert_int_equal(answer.replies, 300);
    assert_false(answer.is_done);
    osr_buffer_done(&answer.text);
}

/* A search finds what was written before it was asked. */
static void knowledge_searches(void **state)
{
    struct kb_fixture *fixture = *state;
    kb_write_text(fixture, OSR_WRITE_PUT, "", "the quick brown fox");
    kb_write_text(fixture, OSR_WRITE_PUT, "", "the lazy dog");
    struct answer answer = ANSWER_INIT;
    osr_knowledge_search(fixture->knowledge, NULL, "quick", 20, answer_note, &answer);
    kb_finish(fixture, &answer);
    assert_int_equal(answer.code, OSR_OK);
    assert_string_equal(answer_text(&answer), "the quick brown fox ");
    osr_buffer_done(&answer.text);
}

/* A watcher gets what was, then what comes, deletions too; and only of its collection. */
static void knowledge_is_watched(void **state)
{
    struct kb_fixture *fixture = *state;
    struct draft one;
    Osr__Document *document = draft_document(&one, "a", "x");
    document->collection = (char *)(uintptr_t) "tens";
    kb_write(fixture, OSR_WRITE_PUT, document);
    kb_write_text(fixture, OSR_WRITE_PUT, "b", "y");

    struct answer all = ANSWER_INIT;
    struct answer tens = ANSWER_INIT;
    struct answer live = ANSWER_INIT;
    all.query = osr_knowledge_watch(fixture->knowledge, NULL, 1, "", answer_note, &all);
    tens.query = osr_knowledge_watch(fixture->knowledge, NULL, 1, "tens", answer_note, &tens);
    live.query = osr_knowledge_watch(fixture->knowledge, NULL, 0, "", answer_note, &live);
    kb_write_text(fixture, OSR_WRITE_DELETE, "a", NULL);
    kb_wait_for_replies(fixture, &all, 3);
    kb_wait_for_replies(fixture, &tens, 2);
    kb_wait_for_replies(fixture, &live, 1);
    assert_string_equal(answer_text(&all), "x y -a ");
    assert_string_equal(answer_text(&tens), "x -a ");
    assert_string_equal(answer_text(&live), "-a ");
    assert_int_equal(live.total, 3); /* its sequence */

    struct answer resumed = ANSWER_INIT;
    resumed.query =
        osr_knowledge_watch(fixture->knowledge, NULL, live.position + 1, "", answer_note, &resumed);
    kb_write_text(fixture, OSR_WRITE_PUT, "c", "z");
    kb_wait_for_replies(fixture, &resumed, 1);
    assert_string_equal(answer_text(&resumed), "z ");
    struct answer *answers[] = {&all, &tens, &live, &resumed};
    for (size_t i = 0; i < 4; i++) {
        osr_query_cancel(answers[i]->query);
        osr_buffer_done(&answers[i]->text);
    }
}

/* The digest tells a knowledge base from one with another winner. */
static void knowledge_has_a_digest(void **state)
{
    struct kb_fixture *fixture = *state;
    kb_write_text(fixture, OSR_WRITE_PUT, "a", "1");
    struct osr_hash first = kb_digest(fixture);
    kb_write_text(fixture, OSR_WRITE_PUT, "a", "2");
    struct osr_hash second = kb_digest(fixture);
    assert_false(osr_hash_equal(&first, &second));
}

/* What is under way at the end is told so, and nothing leaks. */
static void knowledge_ends_what_is_under_way(void **state)
{
    struct kb_fixture *fixture = *state;
    kb_put_many(fixture, 300);
    struct answer answers[4];
    struct outcome outcomes[2] = {0};
    struct draft one;
    for (size_t i = 0; i < 4; i++) {
        answers[i] = (struct answer)ANSWER_INIT;
    }
    osr_knowledge_watch(fixture->knowledge, NULL, 0, "", answer_note, &answers[0]);
    answers[1].pause_after = 1;
    answers[1].query =
        osr_knowledge_list(fixture->knowledge, NULL, "", "", 0, answer_note, &answers[1]);
    kb_wait_for_replies(fixture, &answers[1], 1);
    osr_knowledge_search(fixture->knowledge, NULL, "nothing", 20, answer_note, &answers[2]);
    osr_knowledge_rebuild(fixture->knowledge, answer_note, &answers[3]);
    kb_begin_write(fixture, OSR_WRITE_PUT, draft_document(&one, "a", "1"), &outcomes[0]);
    osr_knowledge_write_arrival(fixture->knowledge, osr_slice_text("1"), outcome_note,
                                &outcomes[1]);
    kb_reopen(fixture);
    for (size_t i = 0; i < 4; i++) {
        assert_true(answers[i].is_done);
        assert_int_equal(answers[i].code, OSR_CANCELLED);
        osr_buffer_done(&answers[i].text);
    }
    assert_int_equal(outcomes[0].result.code, OSR_CANCELLED);
    assert_int_equal(outcomes[1].result.code, OSR_CANCELLED);
}

/* More queries than anybody needs are refused, and the others are answered. */
static void knowledge_refuses_too_many_queries(void **state)
{
    enum { COUNT = OSR_QUERIES_MAX + 50 };
    struct kb_fixture *fixture = *state;
    struct answer *answers = osr_alloc(COUNT * sizeof(*answers));
    size_t busy = 0;
    for (size_t i = 0; i < COUNT; i++) {
        answers[i] = (struct answer)ANSWER_INIT;
        answers[i].query =
            osr_knowledge_watch(fixture->knowledge, NULL, 0, "", answer_note, &answers[i]);
    }
    kb_wait_for(fixture, &answers[COUNT - 1].is_done);
    osr_query_cancel(answers[0].query); /* leaves its place to the next one */
    kb_count(fixture);
    for (size_t i = 1; i < COUNT; i++) {
        if (answers[i].is_done) {
            assert_int_equal(answers[i].code, OSR_BUSY);
            busy++;
        } else {
            osr_query_cancel(answers[i].query);
        }
    }
    assert_int_equal(busy, COUNT - OSR_QUERIES_MAX);
    free(answers);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kb_set_up, kb_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(knowledge_lists),
        TEST(knowledge_pauses_and_cancels_a_list),
        TEST(knowledge_searches),
        TEST(knowledge_is_watched),
        TEST(knowledge_has_a_digest),
        TEST(knowledge_ends_what_is_under_way),
        TEST(knowledge_refuses_too_many_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
