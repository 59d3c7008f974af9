/* What an origin wrote, read from the log. */
#include "lib/knowledge_fixture.h"
#include "lib/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* The other origin writes documents, each of its text and called by it; from within one batch. */
static void other_writes(struct kb_fixture *fixture, const char *const *texts, size_t count)
{
    struct draft *drafts = osr_alloc(count * sizeof(*drafts));
    struct osr_feed_put *puts = osr_alloc(count * sizeof(*puts));
    for (size_t i = 0; i < count; i++) {
        puts[i] = (struct osr_feed_put){OSR__OPERATION__PUT,
                                        draft_document(&drafts[i], texts[i], texts[i])};
    }
    kb_store(fixture, &fixture->other, 0, puts, count);
    free(puts);
    free(drafts);
    kb_write_text(fixture, OSR_WRITE_PUT, "behind", "mine"); /* what is before it is released */
}

static void other_writes_one(struct kb_fixture *fixture, const char *text)
{
    other_writes(fixture, &text, 1);
}

static struct answer written_by(struct kb_fixture *fixture, const struct osr_origin_wanted *wanted)
{
    struct answer answer = ANSWER_INIT;
    osr_knowledge_of_origin(fixture->knowledge, NULL, wanted, answer_note, &answer);
    kb_finish(fixture, &answer);
    assert_int_equal(answer.code, OSR_OK);
    return answer;
}

static void assert_written(struct kb_fixture *fixture, const struct osr_origin_wanted *wanted,
                           const char *expected)
{
    struct answer answer = written_by(fixture, wanted);
    assert_string_equal(answer_text(&answer), expected);
    osr_buffer_done(&answer.text);
}

/* Everything that it wrote, in its order, also what is superseded by now; and nothing of others. */
static void origin_wrote_what_it_alone_wrote(void **state)
{
    struct kb_fixture *fixture = *state;
    const struct osr_origin_wanted other = {.origin = KB_OTHER};
    kb_write_text(fixture, OSR_WRITE_PUT, "a", "mine");
    assert_written(fixture, &other, "");
    other_writes_one(fixture, "x");
    kb_write_text(fixture, OSR_WRITE_PUT, "x", "mine, too");
    kb_write_text(fixture, OSR_WRITE_DELETE, "x", NULL);
    other_writes_one(fixture, "y");
    assert_written(fixture, &other, "x y ");
    const struct osr_origin_wanted own = {.origin = KB_OWN};
    assert_written(fixture, &own, "mine mine mine, too -x mine ");
}

/* It begins at a position or a time, ends at a count, and says where each entry stands. */
static void origin_is_asked_for_a_part(void **state)
{
    struct kb_fixture *fixture = *state;
    static const char *const texts[] = {"a", "b", "c"};
    other_writes(fixture, texts, 3);
    struct answer first =
        written_by(fixture, &(struct osr_origin_wanted){.origin = KB_OTHER, .limit = 1});
    assert_string_equal(answer_text(&first), "a ");
    assert_int_equal(first.total, 1); /* its sequence */
    struct osr_origin_wanted behind = {.origin = KB_OTHER, .from_position = first.position + 1};
    assert_written(fixture, &behind, "b c ");
    behind.limit = 1;
    assert_written(fixture, &behind, "b ");
    behind.from_position = UINT64_MAX;
    assert_written(fixture, &behind, "");
    osr_buffer_done(&first.text);

    fixture->clock.ms += 1000;
    uint64_t later_ms = fixture->clock.ms;
    other_writes_one(fixture, "d");
    assert_written(fixture, &(struct osr_origin_wanted){.origin = KB_OTHER, .from_ms = later_ms},
                   "d ");
}

/* It comes to an end, although the origin writes on while the reader takes its time. */
static void origin_ends_where_it_stood(void **state)
{
    struct kb_fixture *fixture = *state;
    static const char *const texts[] = {"a", "b", "c"};
    const struct osr_origin_wanted wanted = {.origin = KB_OTHER};
    other_writes(fixture, texts, 3);
    struct answer answer = ANSWER_INIT;
    answer.pause_after = 1;
    answer.query = osr_knowledge_of_origin(fixture->knowledge, NULL, &wanted, answer_note, &answer);
    kb_wait_for_replies(fixture, &answer, 1);
    other_writes_one(fixture, "d");
    osr_query_pause(answer.query, false);
    kb_finish(fixture, &answer);
    assert_string_equal(answer_text(&answer), "a b c ");
    osr_buffer_done(&answer.text);
}

/* One of many chunks, and one that is far behind what others wrote. */
static void origin_wrote_much_and_others_more(void **state)
{
    enum { COUNT = 5000 };
    struct kb_fixture *fixture = *state;
    const struct osr_origin_wanted other = {.origin = KB_OTHER};
    char(*names)[16] = osr_alloc(COUNT * sizeof(names[0]));
    const char **texts = osr_alloc(COUNT * sizeof(texts[0]));
    struct osr_buffer expected = {0};
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof(names[i]), "w%zu", i);
        osr_buffer_add_format(&expected, "%s ", names[i]);
        texts[i] = names[i];
    }
    kb_put_many(fixture, COUNT);
    other_writes(fixture, texts, COUNT);
    struct answer all = written_by(fixture, &other);
    assert_true(osr_slice_equal(osr_buffer_slice(&all.text), osr_buffer_slice(&expected)));
    osr_buffer_done(&all.text);
    osr_buffer_done(&expected);
    free(texts);
    free(names);
}

/* After a restart it is the same. */
static void origin_is_found_again(void **state)
{
    struct kb_fixture *fixture = *state;
    other_writes_one(fixture, "x");
    kb_reopen(fixture);
    assert_written(fixture, &(struct osr_origin_wanted){.origin = KB_OTHER}, "x ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kb_set_up, kb_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(origin_wrote_what_it_alone_wrote),
        TEST(origin_is_asked_for_a_part),
        TEST(origin_ends_where_it_stood),
        TEST(origin_wrote_much_and_others_more),
        TEST(origin_is_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
