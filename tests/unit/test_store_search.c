/* test_store_search.c -- full-text search, its index and its snippets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <unistd.h>

#include "adapter/search_text.h"
#include "lib/store_fixture.h"
#include "model/limits.h"

/* ---- search ---- */

static void set_up_words(struct store_fixture *fixture)
{
    fixture_log_text(fixture, "1", "El niño aprendió a leer");
    fixture_log_text(fixture, "2", "la niña lee mucho, mucho");
    fixture_log_text(fixture, "3", "reading is reading \\\"quoted\\\" text");
    fixture_log_text(fixture, "4", "C++ and well-known user@example.com");
    fixture_apply_all(fixture);
    fixture_index_all(fixture);
}

/* Words are found whatever their accents and case, and all must occur. */
static void search_ignores_accents_and_case(void **state)
{
    struct store_fixture *fixture = *state;
    set_up_words(fixture);
    assert_search(fixture, "nino", "1");
    assert_search(fixture, "NIÑO", "1");
    assert_search(fixture, "aprendio niño", "1");
    assert_search(fixture, "niño mucho", "");
    assert_search(fixture, "niño OR mucho", "2 1");
    assert_search(fixture, "nobody", "");
}

/* Phrases, beginnings of words, and operators are understood. */
static void search_reads_phrases_and_prefixes(void **state)
{
    struct store_fixture *fixture = *state;
    set_up_words(fixture);
    assert_search(fixture, "\"a leer\"", "1");
    assert_search(fixture, "\"leer a\"", "");
    assert_search(fixture, "le* niñ* NOT mucho", "1");
    assert_search(fixture, "mucho NOT lee", "");
    assert_search(fixture, "NEAR(niño leer, 3)", "1");
}

/* What FTS5 cannot read is taken as plain words; nothing breaks out of them. */
static void search_takes_hostile_queries_as_words(void **state)
{
    struct store_fixture *fixture = *state;
    set_up_words(fixture);
    assert_search(fixture, "C++", "4");
    assert_search(fixture, "well-known", "4");
    assert_search(fixture, "user@example.com", "4");
    assert_search(fixture, "\"quoted", "3");
    assert_search(fixture, "secret:quoted", "");
    assert_search(fixture, "secret : quoted", "");
    const char *const hostile[] = {"",       " ",        "\"",      "\"\"\"",   "*",     "*reads",
                                   "(((",    ")",        "NEAR(",   "AND",      "NOT a", "a NOT",
                                   "text :", "- - -",    "^",       "{a b}: c", "a + ",  "; DROP",
                                   "\t\n",   "'' OR ''", "rank: x", "\\",       "%",     "…"};
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        struct listed listed = {0};
        struct osr_err err = {0};
        int code = osr_store_search(fixture->reader, osr_slice_text(hostile[i]), FIXTURE_NOW_MS, 10,
                                    collect_hit, &listed, &err);
        if (code != 0) {
            fail_msg("%s: %s", hostile[i], err.message);
        }
        listed_done(&listed);
    }
    char deep[OSR_QUERY_BYTES_MAX + 1];
    memset(deep, '(', sizeof(deep));
    deep[OSR_QUERY_BYTES_MAX] = '\0';
    assert_search(fixture, deep, "");
}

/* Strings at any depth, the kind and the tags are searched; names and numbers are not. */
static void search_covers_values_kind_and_tags(void **state)
{
    struct store_fixture *fixture = *state;
    const char *json = "{\"member\":[{\"deep\":\"inner \\u00e9t\\u00e9\"},\"odd \\ud800 end\"],"
                       "\"number\":12345}";
    Osr__Document document = OSR__DOCUMENT__INIT;
    Osr__Json data = OSR__JSON__INIT;
    char *tags[] = {"label"};
    data.text = (ProtobufCBinaryData){strlen(json), (uint8_t *)(uintptr_t)json};
    document.id = "x";
    document.data = &data;
    document.kind = "memo";
    document.n_tags = 1;
    document.tags = tags;
    document.author = "somebody";
    fixture_log_entry(fixture, 1, (struct osr_time){1, 0}, OSR__OPERATION__PUT, &document);
    fixture_apply_all(fixture);
    fixture_index_all(fixture);
    assert_search(fixture, "inner ete odd end memo label", "x");
    assert_search(fixture, "member", "");
    assert_search(fixture, "12345", "");
    assert_search(fixture, "somebody", "");
}

static enum osr_store_next pass_over_b(void *context, const struct osr_store_row *row, double rank,
                                       struct osr_slice snippet)
{
    return osr_slice_equal(row->id, osr_slice_text("b")) ? OSR_STORE_PASS_OVER
                                                         : collect_hit(context, row, rank, snippet);
}

/* What the visitor passes over takes no place among the hits that are wanted. */
static void search_passes_over_without_counting(void **state)
{
    struct store_fixture *fixture = *state;
    fixture_log_text(fixture, "a", "cat and a lot of other words that are no animals at all here");
    fixture_log_text(fixture, "b", "cat cat cat");
    fixture_log_text(fixture, "c", "cat and dog and some");
    fixture_apply_all(fixture);
    fixture_index_all(fixture);
    struct listed listed = {0};
    assert_int_equal(osr_store_search(fixture->reader, osr_slice_text("cat"), FIXTURE_NOW_MS, 2,
                                      pass_over_b, &listed, NULL),
                     0);
    assert_text(&listed.ids, "c a");
    listed_done(&listed);
}

/* More of what was asked for ranks higher; the limit cuts from below. */
static void search_ranks_best_first(void **state)
{
    struct store_fixture *fixture = *state;
    fixture_log_text(fixture, "a", "cat and a lot of other words that are no animals at all here");
    fixture_log_text(fixture, "b", "cat cat cat");
    fixture_log_text(fixture, "c", "cat and dog and some");
    fixture_log_text(fixture, "d", "nothing");
    fixture_log_text(fixture, "e", "nothing else");
    fixture_apply_all(fixture);
    fixture_index_all(fixture);
    assert_search(fixture, "cat", "b c a");
    struct listed listed = {0};
    assert_int_equal(osr_store_search(fixture->reader, osr_slice_text("cat"), FIXTURE_NOW_MS, 2,
                                      collect_hit, &listed, NULL),
                     0);
    assert_text(&listed.ids, "b c");
    listed_done(&listed);
}

/* A snippet shows the text as it is, with the matches marked, prefixes and phrases too. */
static void search_marks_matches_in_snippets(void **state)
{
    struct store_fixture *fixture = *state;
    set_up_words(fixture);
    fixture_log_text(fixture, "5", "first line\\nsecond line");
    fixture_apply_all(fixture);
    fixture_index_all(fixture);
    assert_snippet(fixture, "nino", "El **niño** aprendió a leer\n");
    assert_snippet(fixture, "apren* \"a leer\"", "El niño **aprendió** **a leer**\n");
    assert_snippet(fixture, "quoted", "reading is reading \"**quoted**\" text\n");
    assert_snippet(fixture, "second", "first line **second** line\n");
}

/* A version that the index has, but that no longer wins, does not show. */
static void search_never_shows_what_was_replaced(void **state)
{
    struct store_fixture *fixture = *state;
    fixture_log_text(fixture, "x", "before");
    fixture_apply_all(fixture);
    fixture_index_all(fixture);
    fixture_log_text(fixture, "x", "after");
    fixture_apply_all(fixture);
    assert_search(fixture, "before", "");
    assert_search(fixture, "after", "");
    fixture_index_all(fixture);
    assert_search(fixture, "before", "");
    assert_search(fixture, "after", "x");
}

/* What the log has compacted away is neither found nor in the way. */
static void search_survives_compacted_bodies(void **state)
{
    struct store_fixture *fixture = *state;
    fixture_log_text(fixture, "x", "before");
    fixture_apply_all(fixture);
    fixture_index_all(fixture);
    fixture_log_text(fixture, "x", "after");
    fixture_apply_all(fixture);
    fixture->records[0].stored.size = 0;
    fixture_index_all(fixture);
    assert_search(fixture, "before", "");
    assert_search(fixture, "after", "x");
}

/* A search.db that is missing is filled again from the documents, also beside new writes. */
static void index_is_filled_again_when_missing(void **state)
{
    struct store_fixture *fixture = *state;
    char id[16];
    for (int i = 0; i < 200; i++) {
        snprintf(id, sizeof(id), "d%03d", i);
        fixture_log_text(fixture, id, "old");
    }
    fixture_apply_all(fixture);
    fixture_index_all(fixture);
    fixture_log_text(fixture, "d150", "old more"); /* trims what the index has */
    fixture_apply_all(fixture);
    fixture_close(fixture);
    char path[128];
    fixture_path(path, sizeof(path), fixture, "search.db");
    assert_int_equal(unlink(path), 0);
    fixture_open(fixture);

    uint64_t left = 0;
    assert_int_equal(osr_store_index(fixture->store, 100, &left, NULL), 0);
    assert_int_equal(left, 100);
    fixture_log_text(fixture, "d010", "new"); /* already walked */
    fixture_log_text(fixture, "d190", "new"); /* not yet */
    fixture_apply_all(fixture);
    fixture_index_all(fixture);
    assert_search(fixture, "new", "d010 d190");
    assert_search(fixture, "more", "d150");
    assert_int_equal(fixture_ask_file(fixture, "search.db",
                                      "SELECT count(*) FROM search WHERE search MATCH 'old'"),
                     198);
}

/* Documents that a power cut took further back than the index are not taken in as they were
 * then: the index waits until they are where it is. */
static void index_waits_for_documents_taken_back(void **state)
{
    struct store_fixture *fixture = *state;
    char id[16];
    for (int i = 0; i < 50; i++) {
        snprintf(id, sizeof(id), "d%03d", i);
        fixture_log_text(fixture, id, "old");
        fixture_apply_all(fixture);
        fixture_index_all(fixture);
    }
    fixture_close(fixture);
    fixture_copy_file(fixture, "documents.db", "documents.copy");
    fixture_open(fixture);
    fixture_log_text(fixture, "d040", "new");
    fixture_apply_all(fixture);
    fixture_close(fixture);

    char path[128];
    fixture_path(path, sizeof(path), fixture, "search.db");
    assert_int_equal(unlink(path), 0);
    uint64_t left = 0;
    fixture_open(fixture);
    assert_int_equal(osr_store_index(fixture->store, 5, &left, NULL), 0);
    assert_int_equal(left, 45);
    fixture_close(fixture);

    fixture_copy_file(fixture, "documents.copy", "documents.db");
    fixture_open(fixture);
    assert_int_equal(osr_store_index(fixture->store, 100, &left, NULL), 0);
    assert_int_equal(left, 45);
    fixture_apply_all(fixture);
    fixture_index_all(fixture);
    assert_search(fixture, "new", "d040");
    assert_int_equal(fixture_ask_file(fixture, "search.db",
                                      "SELECT count(*) FROM search WHERE search MATCH 'old'"),
                     49);
}

/* ---- snippets by themselves ---- */

static void assert_snippet_of(const char *text, const struct osr_search_match *matches,
                              size_t count, const char *expected)
{
    struct osr_buffer snippet = {0};
    osr_search_snippet(&snippet, osr_slice_text(text), matches, count);
    assert_text(&snippet, expected);
    osr_buffer_done(&snippet);
}

/* Matches that touch or overlap are marked once each, without losing text. */
static void snippet_marks_overlaps(void **state)
{
    (void)state;
    const struct osr_search_match matches[] = {{0, 3}, {2, 5}, {2, 4}, {6, 8}};
    assert_snippet_of("abcdefgh", matches, 4, "**abc****de**f**gh**");
    assert_snippet_of("abc", NULL, 0, "abc");
    assert_snippet_of("", NULL, 0, "");
}

/* Long texts are cut around the best place, never within a character. */
static void snippet_is_cut_between_characters(void **state)
{
    (void)state;
    struct osr_buffer text = {0};
    for (int i = 0; i < 600; i++) {
        osr_buffer_add_text(&text, "ñ");
    }
    for (size_t at = 0; at < text.size; at += 2) {
        struct osr_search_match match = {at, at + 2};
        struct osr_buffer snippet = {0};
        osr_search_snippet(&snippet, osr_buffer_slice(&text), &match, 1);
        assert_in_range(snippet.size, 20, OSR_SEARCH_SNIPPET_BYTES + 4 + 6);
        size_t marks = 0;
        for (size_t i = 0; i < snippet.size; i++) {
            marks += snippet.data[i] == '*';
        }
        assert_int_equal(marks, 4);
        osr_buffer_add_u8(&snippet, 0);
        size_t letters = 0;
        for (const char *c = strstr((const char *)snippet.data, "ñ"); c != NULL;
             c = strstr(c + 1, "ñ")) {
            letters++;
        }
        size_t cuts = strncmp((const char *)snippet.data, "…", 3) == 0;
        cuts += strcmp((const char *)snippet.data + snippet.size - 4, "…") == 0;
        assert_int_equal(snippet.size - 1, 2 * letters + 4 + 3 * cuts);
        osr_buffer_done(&snippet);
    }
    osr_buffer_done(&text);
}

/* The place with the most matches is shown. */
static void snippet_shows_the_best_place(void **state)
{
    (void)state;
    char text[2001];
    memset(text, ' ', sizeof(text));
    text[2000] = '\0';
    memcpy(text + 10, "one", 3);
    memcpy(text + 1500, "one two three", 13);
    const struct osr_search_match matches[] = {{10, 13}, {1500, 1503}, {1504, 1507}, {1508, 1513}};
    struct osr_buffer snippet = {0};
    osr_search_snippet(&snippet, osr_slice_text(text), matches, 4);
    osr_buffer_add_u8(&snippet, 0);
    assert_non_null(strstr((const char *)snippet.data, "**one** **two** **three**"));
    osr_buffer_done(&snippet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(search_ignores_accents_and_case, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(search_reads_phrases_and_prefixes, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(search_takes_hostile_queries_as_words, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(search_covers_values_kind_and_tags, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(search_passes_over_without_counting, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(search_ranks_best_first, fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(search_marks_matches_in_snippets, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(search_never_shows_what_was_replaced, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(search_survives_compacted_bodies, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(index_is_filled_again_when_missing, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(index_waits_for_documents_taken_back, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test(snippet_marks_overlaps),
        cmocka_unit_test(snippet_is_cut_between_characters),
        cmocka_unit_test(snippet_shows_the_best_place),
    };
    return cmocka_run_group_tests_name("store_search", tests, NULL, NULL);
}
