#include "lib/ledger_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* Entries of one store, which live until it is answered. */
struct ledger_lent {
    struct ledger_lent *next;
    struct ledger_writer *writer;
    struct osr_raft_entry *entries;
    uint8_t *payloads;
};

void ledger_writer_init(struct ledger_writer *writer, uv_loop_t *loop, struct osr_journal *journal)
{
    memset(writer, 0, sizeof(*writer));
    writer->loop = loop;
    writer->journal = journal;
    writer->term = 1;
    writer->kind = OSR_RAFT_COMMAND;
    writer->payload_size = 256;
}

/* Whoever looks at them later does so in vain. */
static void free_first(struct ledger_writer *writer)
{
    struct ledger_lent *lent = writer->lent;
    writer->lent = lent->next;
    free(lent->payloads);
    free(lent->entries);
    free(lent);
}

void ledger_writer_done(struct ledger_writer *writer)
{
    while (writer->lent != NULL) {
        free_first(writer);
    }
}

/* ---- storing ---- */

static void fill(uint8_t *payload, size_t size, uint64_t index, uint64_t term)
{
    for (size_t i = 0; i < size; i++) {
        payload[i] = (uint8_t)((index >> 8 * (i % 3)) + term + i);
    }
}

static void on_stored(void *context, uint64_t ticket, enum osr_code code)
{
    struct ledger_lent *lent = context;
    struct ledger_writer *writer = lent->writer;
    assert_int_equal(ticket, writer->answered);
    assert_true(writer->answered < LEDGER_ANSWERS_MAX);
    writer->codes[writer->answered++] = code;
    assert_ptr_equal(lent, writer->lent);
    free_first(writer);
    if (writer->on_answer != NULL) {
        writer->on_answer(writer, code);
    }
}

static struct ledger_lent *lend(struct ledger_writer *writer, size_t count)
{
    struct ledger_lent *lent = osr_alloc(sizeof(*lent));
    struct ledger_lent **end = &writer->lent;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = lent;
    lent->writer = writer;
    lent->entries = osr_alloc((count + 1) * sizeof(lent->entries[0]));
    lent->payloads = osr_alloc(count * writer->payload_size + 1);
    for (size_t i = 0; i < count; i++) {
        uint8_t *payload = lent->payloads + i * writer->payload_size;
        uint64_t index = ++writer->last;
        fill(payload, writer->payload_size, index, writer->term);
        lent->entries[i] = (struct osr_raft_entry){
            .index = index,
            .term = writer->term,
            .kind = writer->kind,
            .payload = osr_slice(payload, writer->payload_size),
        };
    }
    return lent;
}

void ledger_put_with(struct ledger_writer *writer, const struct osr_ledger_store *store,
                     size_t count)
{
    struct osr_ledger_store whole = *store;
    if (store->truncate_after < writer->last) {
        writer->last = store->truncate_after;
    }
    if (store->base > writer->last) {
        writer->last = store->base;
    }
    struct ledger_lent *lent = lend(writer, count);
    whole.entries = lent->entries;
    whole.count = count;
    whole.done = on_stored;
    whole.context = lent;
    whole.ticket = writer->put++;
    osr_journal_ledger_store(writer->journal, &whole);
}

void ledger_put(struct ledger_writer *writer, size_t count)
{
    const struct osr_ledger_store store = {.truncate_after = UINT64_MAX};
    ledger_put_with(writer, &store, count);
}

void ledger_vote(struct ledger_writer *writer, uint64_t term, uint64_t candidate)
{
    const struct osr_raft_vote vote = {term, candidate};
    const struct osr_ledger_store store = {.vote = &vote, .truncate_after = UINT64_MAX};
    ledger_put_with(writer, &store, 0);
}

void ledger_truncate(struct ledger_writer *writer, uint64_t index, size_t count)
{
    const struct osr_ledger_store store = {.truncate_after = index};
    ledger_put_with(writer, &store, count);
}

void ledger_base(struct ledger_writer *writer, uint64_t index, uint64_t term)
{
    const struct osr_ledger_store store = {
        .truncate_after = UINT64_MAX, .base = index, .base_term = term};
    ledger_put_with(writer, &store, 0);
}

void ledger_await(struct ledger_writer *writer)
{
    while (writer->answered < writer->put) {
        uv_run(writer->loop, UV_RUN_ONCE);
    }
}

void ledger_store(struct ledger_writer *writer, size_t count)
{
    ledger_put(writer, count);
    ledger_await(writer);
    assert_int_equal(writer->codes[writer->answered - 1], OSR_OK);
}

/* ---- reading ---- */

static void check(const struct ledger_writer *writer, const struct osr_raft_entry *entry)
{
    uint8_t *expected = osr_alloc(writer->payload_size + 1);
    fill(expected, writer->payload_size, entry->index, entry->term);
    assert_int_equal(entry->kind, writer->kind);
    assert_int_equal(entry->token, 0);
    assert_true(osr_slice_equal(entry->payload, osr_slice(expected, writer->payload_size)));
    free(expected);
}

static void on_read(void *context, uint64_t ticket, const struct osr_raft_entry *entries,
                    size_t count)
{
    struct ledger_writer *writer = context;
    assert_true(count <= LEDGER_READ_MAX);
    writer->is_read = true;
    writer->read_count = count;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(entries[i].index, ticket + i);
        check(writer, &entries[i]);
        writer->read[i] = entries[i];
    }
}

void ledger_read(struct ledger_writer *writer, uint64_t first, uint64_t last, size_t bytes_max)
{
    const struct osr_ledger_read read = {
        .first = first,
        .last = last,
        .bytes_max = bytes_max,
        .done = on_read,
        .context = writer,
        .ticket = first,
    };
    writer->is_read = false;
    osr_journal_ledger_read(writer->journal, &read);
    while (!writer->is_read) {
        uv_run(writer->loop, UV_RUN_ONCE);
    }
}

void ledger_read_all(struct ledger_writer *writer, uint64_t first)
{
    while (first <= writer->last) {
        ledger_read(writer, first, writer->last, 64 << 10);
        assert_true(writer->read_count > 0);
        first += writer->read_count;
    }
}
