/* What comes into the knowledge base from files and from the wire as data without an id: each thing
 * is stored once for each time that it came. */
#include "lib/knowledge_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct outcome import(struct kb_fixture *fixture, size_t count)
{
    struct draft *drafts = osr_alloc(count * sizeof(*drafts));
    Osr__Document **documents = osr_alloc(count * sizeof(Osr__Document *));
    for (size_t i = 0; i < count; i++) {
        char data[32];
        snprintf(data, sizeof(data), "line %zu", i);
        documents[i] = draft_document(&drafts[i], "", data);
        draft_add_source(&drafts[i], "file", 1);
    }
    struct outcome outcome = {0};
    osr_knowledge_write(fixture->knowledge, NULL, OSR_WRITE_IMPORT, documents, count, 0, 0,
                        outcome_note, &outcome);
    kb_wait_for(fixture, &outcome.is_done);
    free(drafts);
    free(documents);
    return outcome;
}

/* What was imported before is passed over, also half of a request, and after a restart. */
static void knowledge_imports_once(void **state)
{
    struct kb_fixture *fixture = *state;
    struct outcome first = import(fixture, 500);
    assert_int_equal(first.result.code, OSR_OK);
    assert_int_equal(first.result.written, 500);
    assert_int_equal(first.result.sequence, 500);
    struct outcome again = import(fixture, 700);
    assert_int_equal(again.result.written, 200);
    assert_int_equal(again.result.existed, 500);
    kb_reopen(fixture);
    struct outcome after = import(fixture, 700);
    assert_int_equal(after.result.written, 0);
    assert_int_equal(after.result.existed, 700);
    assert_int_equal(kb_count(fixture), 700);
}

/* The same thing twice in one request is one document. */
static void knowledge_imports_equal_sources_of_one_request_once(void **state)
{
    struct kb_fixture *fixture = *state;
    struct draft drafts[3];
    Osr__Document *documents[3];
    for (size_t i = 0; i < 3; i++) {
        documents[i] = draft_document(&drafts[i], "", "same");
        draft_add_source(&drafts[i], "file", 1);
    }
    struct outcome outcome = {0};
    osr_knowledge_write(fixture->knowledge, NULL, OSR_WRITE_IMPORT, documents, 3, 0, 0,
                        outcome_note, &outcome);
    kb_wait_for(fixture, &outcome.is_done);
    assert_int_equal(outcome.result.code, OSR_OK);
    assert_int_equal(outcome.result.written, 1);
    assert_int_equal(outcome.result.existed, 2);
}

/* A document that was taken away does not come back with the next import of its file. */
static void knowledge_does_not_bring_back_what_was_deleted(void **state)
{
    struct kb_fixture *fixture = *state;
    struct outcome first = import(fixture, 1);
    struct outcome removal = kb_write_text(fixture, OSR_WRITE_DELETE, first.id, NULL);
    assert_int_equal(removal.result.code, OSR_OK);
    assert_int_equal(import(fixture, 1).result.existed, 1);
    assert_int_equal(kb_get_code(fixture, first.id), OSR_NOT_FOUND);
}

static struct outcome arrive(struct kb_fixture *fixture, const char *data)
{
    struct outcome outcome = {0};
    char *text = osr_format("\"%s\"", data);
    osr_knowledge_write_arrival(fixture->knowledge, osr_slice_text(text), outcome_note, &outcome);
    free(text);
    kb_wait_for(fixture, &outcome.is_done);
    return outcome;
}

static uint64_t occurrence_of(struct kb_fixture *fixture, const char *id)
{
    struct answer answer = kb_get(fixture, id);
    assert_int_equal(answer.code, OSR_OK);
    osr_buffer_done(&answer.text);
    return answer.occurrence;
}

/* Equal data that arrives again is another document each time, also after a restart. */
static void knowledge_counts_arrivals(void **state)
{
    struct kb_fixture *fixture = *state;
    for (uint64_t i = 1; i <= 3; i++) {
        struct outcome outcome = arrive(fixture, "hello");
        assert_int_equal(outcome.result.code, OSR_OK);
        assert_int_equal(outcome.result.written, 1);
        assert_int_equal(occurrence_of(fixture, outcome.id), i);
    }
    kb_reopen(fixture);
    assert_int_equal(occurrence_of(fixture, arrive(fixture, "hello").id), 4);
    kb_count(fixture); /* now the facts are projected, and forgotten in memory */
    assert_int_equal(occurrence_of(fixture, arrive(fixture, "hello").id), 5);
    assert_int_equal(occurrence_of(fixture, arrive(fixture, "other").id), 1);
}

/* Arrivals of equal data in one burst are told apart, in their order. */
static void knowledge_counts_a_burst_of_arrivals(void **state)
{
    struct kb_fixture *fixture = *state;
    struct outcome outcomes[10] = {0};
    for (size_t i = 0; i < 10; i++) {
        osr_knowledge_write_arrival(fixture->knowledge, osr_slice_text("\"x\""), outcome_note,
                                    &outcomes[i]);
    }
    for (size_t i = 0; i < 10; i++) {
        kb_wait_for(fixture, &outcomes[i].is_done);
        assert_int_equal(occurrence_of(fixture, outcomes[i].id), i + 1);
    }
}

static void count_done(void *context, const struct osr_write_result *result)
{
    size_t *done = context;
    assert_int_equal(result->code, OSR_OK);
    ++*done;
}

/* Arrivals that come faster than they are written make it busy before one is refused, and lost. */
static void knowledge_is_busy_with_arrivals(void **state)
{
    enum { ARRIVALS_MAX = 64 };
    struct kb_fixture *fixture = *state;
    struct osr_buffer text = {0};
    size_t sent = 0;
    size_t done = 0;
    osr_buffer_add_format(&text, "\"%0*d\"", 512 << 10, 0);
    while (!osr_knowledge_is_busy(fixture->knowledge)) {
        assert_true(sent++ < ARRIVALS_MAX);
        osr_knowledge_write_arrival(fixture->knowledge, osr_buffer_slice(&text), count_done, &done);
    }
    while (done < sent) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    assert_false(osr_knowledge_is_busy(fixture->knowledge));
    osr_buffer_done(&text);
}

/* Takes the log back to the copy that `fixture->copies_at` made; the projection is made anew. */
static void go_back_to_copy(struct kb_fixture *fixture)
{
    kb_close(fixture);
    scratch_run(fixture->folder, "rm -r log documents.db* search.db* && mv copy log");
    kb_open(fixture);
    fixture->own.sequence = osr_wal_last_index(osr_journal_wal(fixture->journal), 1);
}

/* Whatever of an arrival is in the log when the process is killed, the next one of equal data is
 * stored; and what the followed file has of both is there once. */
static void knowledge_keeps_the_arrival_after_a_crash(void **state)
{
    static const enum moment moments[] = {MOMENT_WRITE, MOMENT_STORED};
    struct kb_fixture *fixture = *state;
    for (size_t i = 0; i < 2; i++) {
        char text[2] = {(char)('a' + i), '\0'};
        fixture->copies_at = moments[i];
        arrive(fixture, text);
        assert_int_equal(fixture->copies_at, MOMENT_NONE);
        go_back_to_copy(fixture);
        bool is_stored = moments[i] == MOMENT_STORED;

        struct outcome next = arrive(fixture, text);
        assert_int_equal(next.result.written, 1);
        assert_int_equal(occurrence_of(fixture, next.id), 2);
        struct draft one;
        Osr__Document *document = draft_document(&one, "", text);
        draft_add_source(&one, OSR_SEED_SOURCE, 1);
        struct outcome by_file = kb_write(fixture, OSR_WRITE_IMPORT, document);
        assert_int_equal(by_file.result.existed, is_stored);
        draft_add_source(&one, OSR_SEED_SOURCE, 2);
        assert_int_equal(kb_write(fixture, OSR_WRITE_IMPORT, document).result.existed, 1);
    }
}

/* An arrival that cannot be stored is lost alone, and what follows it is stored. */
static void knowledge_stores_the_arrival_after_a_refused_one(void **state)
{
    struct kb_fixture *fixture = *state;
    arrive(fixture, "hello");
    fixture->refusal = OSR_DISK_FULL;
    assert_int_equal(arrive(fixture, "hello").result.code, OSR_DISK_FULL);
    assert_int_equal(arrive(fixture, "hello").result.written, 1);
    kb_reopen(fixture);
    assert_int_equal(arrive(fixture, "hello").result.written, 1);
}

/* What came by wire and what a followed file holds is one: the nth of equal data. */
static void knowledge_merges_arrivals_with_a_followed_file(void **state)
{
    struct kb_fixture *fixture = *state;
    struct outcome by_wire = arrive(fixture, "hello");
    struct draft one;
    Osr__Document *document = draft_document(&one, "", "hello");
    draft_add_source(&one, OSR_SEED_SOURCE, 1);
    struct outcome by_file = kb_write(fixture, OSR_WRITE_IMPORT, document);
    assert_int_equal(by_file.result.existed, 1);
    assert_string_equal(by_file.id, by_wire.id);

    draft_add_source(&one, OSR_SEED_SOURCE, 2);
    assert_int_equal(kb_write(fixture, OSR_WRITE_IMPORT, document).result.written, 1);
    struct outcome second = arrive(fixture, "hello");
    assert_int_equal(second.result.code, OSR_OK);
    assert_int_equal(second.result.existed, 1);
    assert_int_equal(arrive(fixture, "hello").result.written, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kb_set_up, kb_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(knowledge_imports_once),
        TEST(knowledge_imports_equal_sources_of_one_request_once),
        TEST(knowledge_does_not_bring_back_what_was_deleted),
        TEST(knowledge_counts_arrivals),
        TEST(knowledge_counts_a_burst_of_arrivals),
        TEST(knowledge_is_busy_with_arrivals),
        TEST(knowledge_keeps_the_arrival_after_a_crash),
        TEST(knowledge_stores_the_arrival_after_a_refused_one),
        TEST(knowledge_merges_arrivals_with_a_followed_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
