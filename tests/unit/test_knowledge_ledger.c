/* The knowledge base beside a ledger in the same log: whoever walks the log for documents passes
 * over the ledger's records, which are many. */
#include "lib/knowledge_fixture.h"
#include "lib/ledger_writer.h"
#include "lib/loop.h"
#include "node/knowledge_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { DOCUMENTS = 20, ENTRIES = 300 };

static struct ledger_writer writer;

static int set_up(void **state)
{
    int result = kb_set_up(state);
    struct kb_fixture *fixture = *state;
    ledger_writer_init(&writer, &fixture->loop, fixture->journal);
    return result;
}

static void reopen(struct kb_fixture *fixture)
{
    kb_reopen(fixture);
    writer.journal = fixture->journal;
}

/* Documents d0, d1, ... with entries of the ledger in front of each and behind the last. */
static void write_between(struct kb_fixture *fixture)
{
    for (int i = 0; i < DOCUMENTS; i++) {
        char id[8];
        snprintf(id, sizeof(id), "d%d", i);
        ledger_store(&writer, ENTRIES);
        kb_write_text(fixture, OSR_WRITE_PUT, id, "word");
    }
    ledger_store(&writer, ENTRIES);
}

static uint64_t last_ordinal(const struct kb_fixture *fixture)
{
    return osr_wal_last_ordinal(osr_journal_wal(fixture->journal));
}

static uint64_t applied(const struct kb_fixture *fixture)
{
    return osr_projection_applied(fixture->knowledge->projection);
}

static void assert_all_there(struct kb_fixture *fixture)
{
    struct answer hits = ANSWER_INIT;
    assert_int_equal(kb_count(fixture), DOCUMENTS);
    osr_knowledge_search(fixture->knowledge, NULL, "word", 1000, answer_note, &hits);
    kb_finish(fixture, &hits);
    assert_int_equal(hits.replies, DOCUMENTS);
    osr_buffer_done(&hits.text);
    assert_get(fixture, "d7", "word ");
    assert_int_equal(fixture->state.code, OSR_OK);
}

/* Documents between a ledger's entries are projected, also from the log's beginning, after a
 * restart and by a rebuild. */
static void knowledge_passes_over_a_ledger(void **state)
{
    struct kb_fixture *fixture = *state;
    write_between(fixture);
    assert_all_there(fixture);
    struct osr_hash digest = kb_digest(fixture);
    reopen(fixture);
    assert_all_there(fixture);
    kb_close(fixture);
    scratch_run(fixture->folder, "rm *.db*");
    kb_open(fixture);
    assert_all_there(fixture);
    assert_int_equal(kb_rebuild(fixture), OSR_OK);
    assert_all_there(fixture);
    struct osr_hash after = kb_digest(fixture);
    assert_true(osr_hash_equal(&digest, &after));
}

/* The projection's position gets behind the ledger's records at once, without a step of its own,
 * and nothing counts as not yet projected. */
static void projection_is_not_kept_busy_by_a_ledger(void **state)
{
    struct kb_fixture *fixture = *state;
    ledger_store(&writer, ENTRIES);
    assert_int_equal(applied(fixture), ENTRIES);
    write_between(fixture);
    assert_all_there(fixture);
    loop_idle(&fixture->loop, 50);
    for (int i = 0; i < 5; i++) {
        ledger_store(&writer, ENTRIES);
        assert_int_equal(applied(fixture), last_ordinal(fixture));
        assert_int_equal(osr_knowledge_lag(fixture->knowledge), 0);
    }
    kb_write_text(fixture, OSR_WRITE_PUT, "d0", "word");
    ledger_store(&writer, ENTRIES);
    assert_in_range(osr_knowledge_lag(fixture->knowledge), 1, ENTRIES);
    assert_all_there(fixture); /* waits until it is projected */
    assert_int_equal(applied(fixture), last_ordinal(fixture));
    assert_int_equal(osr_knowledge_lag(fixture->knowledge), 0);
}

static bool is_ready;

static void on_ready(struct osr_projection_wait *wait, const struct osr_err *err)
{
    (void)wait;
    assert_null(err);
    is_ready = true;
}

/* A ledger that never rests does not put off the full-text index: it is ready before anyone
 * searches. */
static void index_is_brought_forward_beside_a_ledger(void **state)
{
    struct kb_fixture *fixture = *state;
    kb_write_text(fixture, OSR_WRITE_PUT, "a", "word");
    for (int i = 0; i < 60; i++) {
        ledger_store(&writer, 1);
        loop_idle(&fixture->loop, 5);
    }
    struct osr_projection_wait wait = {.is_search = true, .ready = on_ready};
    is_ready = false;
    osr_projection_await(fixture->knowledge->projection, &wait);
    assert_true(is_ready); /* at once */
}

/* A watcher sees documents alone, those that were and those that come, and may begin anywhere. */
static void watcher_passes_over_a_ledger(void **state)
{
    struct kb_fixture *fixture = *state;
    struct answer all = ANSWER_INIT;
    struct answer some = ANSWER_INIT;
    write_between(fixture);
    all.query = osr_knowledge_watch(fixture->knowledge, NULL, 1, "", answer_note, &all);
    uint64_t middle = (uint64_t)DOCUMENTS / 2 * (ENTRIES + 1) + ENTRIES / 2;
    some.query = osr_knowledge_watch(fixture->knowledge, NULL, middle, "", answer_note, &some);
    kb_wait_for_replies(fixture, &all, DOCUMENTS);
    kb_wait_for_replies(fixture, &some, DOCUMENTS / 2);
    ledger_store(&writer, ENTRIES);
    kb_write_text(fixture, OSR_WRITE_PUT, "e", "late");
    ledger_store(&writer, ENTRIES);
    kb_wait_for_replies(fixture, &all, DOCUMENTS + 1);
    kb_wait_for_replies(fixture, &some, DOCUMENTS / 2 + 1);
    assert_string_equal(all.last_id, "e");
    osr_query_cancel(all.query);
    osr_query_cancel(some.query);
    osr_buffer_done(&all.text);
    osr_buffer_done(&some.text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, kb_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(knowledge_passes_over_a_ledger),
        TEST(projection_is_not_kept_busy_by_a_ledger),
        TEST(index_is_brought_forward_beside_a_ledger),
        TEST(watcher_passes_over_a_ledger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
