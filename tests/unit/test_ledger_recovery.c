/* How a ledger's records, met one after the other at open, become what its core starts with:
 * entries in spans, behind cuts and bases, with gaps that a compaction left; and what is refused.
 */
#include "node/ledger_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct walk {
    struct osr_ledger_recovered recovered;
    struct osr_err err;
    uint64_t ordinal;
    char spans[256];
};

static int set_up(void **state)
{
    *state = osr_alloc(sizeof(struct walk));
    return 0;
}

static int tear_down(void **state)
{
    struct walk *walk = *state;
    osr_ledger_recovered_done(&walk->recovered);
    free(walk);
    return 0;
}

static int visit(struct walk *walk, struct osr_wal_record *record)
{
    record->ordinal = ++walk->ordinal;
    return osr_ledger_recovered_visit(&walk->recovered, record, &walk->err);
}

/* Visits the records of a store, one by one. */
static int visit_store(struct walk *walk, const struct osr_ledger_store *store)
{
    struct osr_wal_record records[1 + OSR_LEDGER_RECORDS_MORE];
    struct osr_buffer payloads = {0};
    size_t count = osr_ledger_records_make(store, records, &payloads);
    int code = 0;
    for (size_t i = 0; i < count && code == 0; i++) {
        code = visit(walk, &records[i]);
    }
    osr_buffer_done(&payloads);
    return code;
}

static int visit_entry(struct walk *walk, uint64_t index, uint64_t term, enum osr_raft_kind kind)
{
    struct osr_raft_entry entry = {.index = index, .term = term, .kind = kind};
    char payload[24];
    snprintf(payload, sizeof(payload), "entry %llu", (unsigned long long)index);
    entry.payload = osr_slice_text(payload);
    struct osr_ledger_store store = {.truncate_after = UINT64_MAX, .entries = &entry, .count = 1};
    return visit_store(walk, &store);
}

/* Commands first .. last, which must be taken. */
static void entries(struct walk *walk, uint64_t first, uint64_t last, uint64_t term)
{
    for (uint64_t index = first; index <= last; index++) {
        assert_int_equal(visit_entry(walk, index, term, OSR_RAFT_COMMAND), 0);
    }
}

static void truncate_after(struct walk *walk, uint64_t index)
{
    struct osr_ledger_store store = {.truncate_after = index};
    assert_int_equal(visit_store(walk, &store), 0);
}

static void base(struct walk *walk, uint64_t index, uint64_t term)
{
    struct osr_ledger_store store = {
        .truncate_after = UINT64_MAX, .base = index, .base_term = term};
    assert_int_equal(visit_store(walk, &store), 0);
}

static int vote(struct walk *walk, uint64_t term, uint64_t candidate)
{
    struct osr_raft_vote vote = {term, candidate};
    struct osr_ledger_store store = {.vote = &vote, .truncate_after = UINT64_MAX};
    return visit_store(walk, &store);
}

/* "first:term " of each span. */
static const char *spans(struct walk *walk)
{
    size_t size = 0;
    walk->spans[0] = '\0';
    for (size_t i = 0; i < walk->recovered.span_count; i++) {
        const struct osr_raft_span *span = &walk->recovered.spans[i];
        size += (size_t)snprintf(walk->spans + size, sizeof(walk->spans) - size, "%llu:%llu ",
                                 (unsigned long long)span->first, (unsigned long long)span->term);
    }
    return walk->spans;
}

static void assert_stands(struct walk *walk, uint64_t base_index, uint64_t base_term, uint64_t last,
                          const char *expected_spans)
{
    assert_int_equal(osr_ledger_recovered_check(&walk->recovered, &walk->err), 0);
    assert_int_equal(walk->recovered.base, base_index);
    assert_int_equal(walk->recovered.base_term, base_term);
    assert_int_equal(walk->recovered.last, last);
    assert_string_equal(spans(walk), expected_spans);
}

/* A log without anything of a ledger is an empty one. */
static void ledger_begins_empty(void **state)
{
    struct walk *walk = *state;
    assert_stands(walk, 0, 0, 0, "");
    assert_int_equal(walk->recovered.vote.term, 0);
}

/* Entries of one term are one span; the newest vote counts. */
static void ledger_has_spans_and_the_newest_vote(void **state)
{
    struct walk *walk = *state;
    assert_int_equal(vote(walk, 1, 7), 0);
    entries(walk, 1, 5, 1);
    assert_int_equal(vote(walk, 3, 0), 0);
    entries(walk, 6, 6, 3);
    assert_int_equal(vote(walk, 3, 9), 0);
    entries(walk, 7, 20, 4);
    assert_stands(walk, 0, 0, 20, "1:1 6:3 7:4 ");
    assert_int_equal(walk->recovered.vote.term, 3);
    assert_int_equal(walk->recovered.vote.candidate, 9);
}

/* A cut takes spans back, in their middle too; one behind the end changes nothing. */
static void ledger_is_cut(void **state)
{
    struct walk *walk = *state;
    entries(walk, 1, 10, 1);
    entries(walk, 11, 20, 2);
    truncate_after(walk, 20);
    assert_stands(walk, 0, 0, 20, "1:1 11:2 ");
    truncate_after(walk, 15);
    assert_stands(walk, 0, 0, 15, "1:1 11:2 ");
    truncate_after(walk, 10);
    assert_stands(walk, 0, 0, 10, "1:1 ");
    entries(walk, 11, 12, 5);
    assert_stands(walk, 0, 0, 12, "1:1 11:5 ");
    truncate_after(walk, 0);
    assert_stands(walk, 0, 0, 0, "");
    entries(walk, 1, 1, 1);
    assert_stands(walk, 0, 0, 1, "1:1 ");
}

/* A base takes what is in front of it, in a span's middle too; a lower one changes nothing. */
static void ledger_gets_a_base(void **state)
{
    struct walk *walk = *state;
    entries(walk, 1, 10, 1);
    entries(walk, 11, 20, 2);
    entries(walk, 21, 30, 3);
    base(walk, 4, 1);
    assert_stands(walk, 4, 1, 30, "5:1 11:2 21:3 ");
    base(walk, 15, 2);
    assert_stands(walk, 15, 2, 30, "16:2 21:3 ");
    base(walk, 4, 1);
    assert_stands(walk, 15, 2, 30, "16:2 21:3 ");
    base(walk, 20, 2);
    assert_stands(walk, 20, 2, 30, "21:3 ");
    base(walk, 30, 3);
    assert_stands(walk, 30, 3, 30, "");
    entries(walk, 31, 31, 3);
    assert_stands(walk, 30, 3, 31, "31:3 ");
}

/* A snapshot from another member stands for all that the log has, and for more. */
static void ledger_begins_behind_a_snapshot(void **state)
{
    struct walk *walk = *state;
    entries(walk, 1, 10, 1);
    struct osr_ledger_store store = {.truncate_after = 0, .base = 100, .base_term = 6};
    assert_int_equal(visit_store(walk, &store), 0);
    assert_stands(walk, 100, 6, 100, "");
    entries(walk, 101, 110, 6);
    truncate_after(walk, 50);
    assert_stands(walk, 100, 6, 100, "");
}

/* What a compaction took away leaves a gap, until the record comes that voids what is around it. */
static void ledger_has_gaps_that_are_explained(void **state)
{
    struct walk *walk = *state;
    entries(walk, 61, 100, 2); /* 1 .. 60 are below the base */
    assert_int_equal(osr_ledger_recovered_check(&walk->recovered, &walk->err), OSR_CORRUPT);
    base(walk, 80, 2);
    assert_stands(walk, 80, 2, 100, "81:2 ");

    entries(walk, 111, 120, 3); /* 101 .. 110 are behind the cut */
    assert_int_equal(osr_ledger_recovered_check(&walk->recovered, &walk->err), OSR_CORRUPT);
    entries(walk, 126, 130, 3); /* and 121 .. 125 */
    truncate_after(walk, 105);
    assert_int_equal(osr_ledger_recovered_check(&walk->recovered, &walk->err), OSR_CORRUPT);
    entries(walk, 110, 112, 4);
    truncate_after(walk, 100);
    assert_stands(walk, 80, 2, 100, "81:2 ");
    entries(walk, 101, 101, 4);
    assert_stands(walk, 80, 2, 101, "81:2 101:4 ");
}

/* A gap that nothing explains is damage, and the advice is to join anew. */
static void ledger_refuses_missing_entries(void **state)
{
    struct walk *walk = *state;
    entries(walk, 1, 10, 1);
    entries(walk, 13, 20, 1);
    base(walk, 10, 1);
    assert_int_equal(osr_ledger_recovered_check(&walk->recovered, &walk->err), OSR_CORRUPT);
    assert_string_equal(walk->err.message, "the ledger's entries from 11 on are missing");
    assert_non_null(strstr(walk->err.hint, "osiris cluster remove"));
    base(walk, 12, 1);
    assert_stands(walk, 12, 1, 20, "13:1 ");
}

/* Configurations come with their content, as long as neither a cut nor a base takes them. */
static void ledger_keeps_configurations(void **state)
{
    struct walk *walk = *state;
    for (uint64_t index = 1; index <= 9; index++) {
        enum osr_raft_kind kind = index % 2 == 1 ? OSR_RAFT_CONFIGURATION : OSR_RAFT_NOTHING;
        assert_int_equal(visit_entry(walk, index, 1, kind), 0);
    }
    truncate_after(walk, 7);
    base(walk, 3, 1);
    assert_int_equal(walk->recovered.configuration_count, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct osr_raft_entry *entry = &walk->recovered.configurations[i];
        char expected[24];
        snprintf(expected, sizeof(expected), "entry %llu", (unsigned long long)entry->index);
        assert_int_equal(entry->index, 5 + 2 * i);
        assert_int_equal(entry->kind, OSR_RAFT_CONFIGURATION);
        assert_true(osr_slice_equal(entry->payload, osr_slice_text(expected)));
    }
}

/* Terms never go back, of votes neither; no index comes twice. */
static void ledger_refuses_what_goes_back(void **state)
{
    struct walk *walk = *state;
    entries(walk, 1, 3, 5);
    assert_int_equal(visit_entry(walk, 3, 5, OSR_RAFT_COMMAND), OSR_CORRUPT);
    assert_int_equal(visit_entry(walk, 4, 4, OSR_RAFT_COMMAND), OSR_CORRUPT);
    assert_int_equal(visit_entry(walk, 9, 4, OSR_RAFT_COMMAND), OSR_CORRUPT);
    assert_int_equal(vote(walk, 6, 1), 0);
    assert_int_equal(vote(walk, 5, 2), OSR_CORRUPT);
    base(walk, 10, 8);
    assert_int_equal(visit_entry(walk, 11, 7, OSR_RAFT_COMMAND), OSR_CORRUPT);
    entries(walk, 11, 11, 8);
    assert_stands(walk, 10, 8, 11, "11:8 ");
}

/* Once there is anything of a later ledger, what was of the one before it is nothing. */
static void ledger_that_was_given_up_is_passed_over(void **state)
{
    struct walk *walk = *state;
    struct osr_raft_vote first = {3, 4};
    struct osr_ledger_store store = {
        .log_id = OSR_LEDGER_LOG_FIRST + 1, .vote = &first, .truncate_after = UINT64_MAX};
    assert_int_equal(vote(walk, 9, 1), 0);
    entries(walk, 5, 20, 9); /* with a gap that is nobody's concern then */
    assert_int_equal(visit_store(walk, &store), 0);
    assert_int_equal(walk->recovered.log_id, OSR_LEDGER_LOG_FIRST + 1);
    assert_int_equal(walk->recovered.vote.term, 3);
    base(walk, 21, 10);
    assert_stands(walk, 0, 0, 0, "");
}

/* Payloads that nobody wrote are damage; those of a later format are left to a later version. */
static void ledger_refuses_payloads_that_make_no_sense(void **state)
{
    static const struct {
        enum osr_wal_type type;
        uint8_t format;
        uint32_t log;
        size_t size;
        uint8_t payload[16];
        int code;
    } cases[] = {
        {OSR_WAL_VOTE, 1, 0, 15, {0}, OSR_CORRUPT},
        {OSR_WAL_VOTE, 1, 0, 0, {0}, OSR_CORRUPT},
        {OSR_WAL_VOTE, 2, 0, 16, {0}, OSR_UNSUPPORTED_VERSION},
        {OSR_WAL_BASE, 1, 0, 7, {0}, OSR_CORRUPT},
        {OSR_WAL_BASE, 1, 0, 8, {0}, OSR_CORRUPT}, /* term 0 */
        {OSR_WAL_BASE, 1, 0, 9, {[7] = 1}, OSR_CORRUPT},
        {OSR_WAL_BASE, 2, 0, 8, {[7] = 1}, OSR_UNSUPPORTED_VERSION},
        {OSR_WAL_ENTRY, 1, 0, 8, {[7] = 1}, OSR_CORRUPT},
        {OSR_WAL_ENTRY, 1, 0, 9, {[8] = OSR_RAFT_COMMAND}, OSR_CORRUPT}, /* term 0 */
        {OSR_WAL_ENTRY, 1, 0, 9, {[7] = 1, [8] = 0}, OSR_CORRUPT},
        {OSR_WAL_ENTRY, 1, 0, 9, {[7] = 1, [8] = 4}, OSR_CORRUPT},
        {OSR_WAL_ENTRY, 2, 0, 9, {[7] = 1, [8] = OSR_RAFT_COMMAND}, OSR_UNSUPPORTED_VERSION},
        {OSR_WAL_HEAD, 1, 0, 0, {0}, OSR_CORRUPT},
        {OSR_WAL_LOG, 1, 0, 0, {0}, OSR_CORRUPT},
        {OSR_WAL_VOTE, 1, 1 << 16, 16, {0}, OSR_UNSUPPORTED_VERSION}, /* of tasks, perhaps */
        {OSR_WAL_ENTRY, 1, 0, 9, {[7] = 1, [8] = OSR_RAFT_COMMAND}, 0},
    };
    struct walk *walk = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct osr_wal_record record = {
            .type = cases[i].type,
            .format = cases[i].format,
            .log_id = OSR_LEDGER_LOG_FIRST + cases[i].log,
            .index = 1,
            .payload = osr_slice(cases[i].payload, cases[i].size),
        };
        assert_int_equal(visit(walk, &record), cases[i].code);
        if (cases[i].code != 0) {
            char *place = osr_format("record %zu of the log", i + 1);
            assert_non_null(strstr(walk->err.message, place));
            free(place);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ledger_begins_empty),
        TEST(ledger_has_spans_and_the_newest_vote),
        TEST(ledger_is_cut),
        TEST(ledger_gets_a_base),
        TEST(ledger_begins_behind_a_snapshot),
        TEST(ledger_has_gaps_that_are_explained),
        TEST(ledger_refuses_missing_entries),
        TEST(ledger_keeps_configurations),
        TEST(ledger_refuses_what_goes_back),
        TEST(ledger_that_was_given_up_is_passed_over),
        TEST(ledger_refuses_payloads_that_make_no_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
