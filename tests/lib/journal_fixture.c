#include "lib/journal_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/journal_outputs.h"
#include "node/ledger_log.h"

/* ---- what the journal answers ---- */

static void on_stored(void *context, uint64_t ticket, enum osr_code code)
{
    struct journal_fixture *fixture = context;
    assert_int_equal(ticket, fixture->stored_count); /* in the order of submission */
    fixture->stored[fixture->stored_count++] = code;
    fixture->answers++;
}

static void on_signed(void *context, uint64_t ticket, const struct osr_signature *signature)
{
    struct journal_fixture *fixture = context;
    (void)ticket;
    fixture->signature = *signature;
    fixture->answers++;
}

static void on_verified(void *context, uint64_t ticket, bool valid)
{
    struct journal_fixture *fixture = context;
    (void)ticket;
    fixture->is_valid = valid;
    fixture->answers++;
}

static void on_read(void *context, uint64_t ticket, Osr__Update *update, size_t bytes)
{
    struct journal_fixture *fixture = context;
    (void)ticket;
    size_t i = fixture->update_count++;
    fixture->update_bytes[i] = bytes;
    if (update != NULL) {
        struct osr_buffer *buffer = &fixture->updates[i];
        size_t size = osr__update__get_packed_size(update);
        buffer->size = osr__update__pack(update, osr_buffer_reserve(buffer, size));
    }
    fixture->answers++;
}

static void on_release(void *context, const struct osr_batch *batch, uint32_t log_id,
                       uint64_t last_ordinal)
{
    struct journal_fixture *fixture = context;
    if (log_id >= OSR_LEDGER_LOG_FIRST) {
        assert_null(batch);
        assert_true(last_ordinal > fixture->passed);
        fixture->passed = last_ordinal;
        assert_int_equal(last_ordinal, osr_journal_released(fixture->journal));
        return;
    }
    assert_true(fixture->release_count < RELEASES_MAX);
    fixture->releases[fixture->release_count++] = (struct release){
        .first = batch != NULL ? batch->first : 0,
        .count = batch != NULL ? batch->count : 0,
        .log_id = log_id,
        .ordinal = last_ordinal,
    };
    assert_int_equal(last_ordinal, osr_journal_released(fixture->journal));
}

static void on_failure(void *context, const struct osr_err *err)
{
    struct journal_fixture *fixture = context;
    assert_int_equal(err->code, OSR_IO);
    fixture->failures++;
    fixture->answers++;
}

/* ---- open and close ---- */

static void on_trace(void *context, enum osr_level level, const char *line)
{
    struct journal_fixture *fixture = context;
    if (level <= OSR_LEVEL_WARNING) {
        fixture->warnings++;
        snprintf(fixture->warning, sizeof(fixture->warning), "%s", line);
    }
}

int journal_try_open(struct journal_fixture *fixture, struct osr_err *err)
{
    struct osr_journal_handler handler = {on_stored,  on_signed,  on_verified, on_read,
                                          on_release, on_failure, fixture};
    char *folder = osr_format("%s/log", fixture->folder);
    struct osr_journal_options options = {
        .folder = folder, .disk = &fixture->disk.disk, .keys = fixture->keys, .wal = fixture->wal};
    options.trace = (struct osr_trace){on_trace, fixture, OSR_LEVEL_WARNING};
    fixture->stored_count = 0;
    fixture->release_count = 0;
    fixture->update_count = 0;
    fixture->passed = 0;
    int code = osr_journal_open(&fixture->loop, &options, &handler, &fixture->journal,
                                &fixture->restored, &fixture->restored_count, err);
    free(folder);
    if (code != 0) {
        uv_run(&fixture->loop, UV_RUN_DEFAULT);
    }
    fixture->ledger.journal = fixture->journal;
    return code;
}

static void journal_open(struct journal_fixture *fixture)
{
    struct osr_err err;
    if (journal_try_open(fixture, &err) != 0) {
        fail_msg("%s", err.message);
    }
}

void journal_close(struct journal_fixture *fixture)
{
    osr_journal_close(fixture->journal);
    fixture->journal = NULL;
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
}

void journal_reopen(struct journal_fixture *fixture)
{
    journal_close(fixture);
    journal_open(fixture);
}

void journal_feed_init(struct journal_feed *feed, const char *origin, uint8_t key)
{
    struct osr_err err;
    memset(feed, 0, sizeof(*feed));
    assert_int_equal(osr_feed_id_make(&feed->id, origin, "kb", 1, &err), 0);
    memset(feed->key.bytes, key, sizeof(feed->key.bytes));
}

int journal_set_up(void **state)
{
    struct journal_fixture *fixture = osr_alloc(sizeof(*fixture));
    struct osr_err err;
    faulty_disk_init(&fixture->disk);
    scratch_create(fixture->folder);
    uv_loop_init(&fixture->loop);
    assert_int_equal(osr_keys_open(fixture->folder, &fixture->keys, &err), 0);
    fixture->wal.segment_bytes_min = 256 << 10;
    fixture->wal.segment_bytes_max = 256 << 10;
    journal_feed_init(&fixture->own, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1);
    journal_feed_init(&fixture->other, "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", 2);
    ledger_writer_init(&fixture->ledger, &fixture->loop, NULL);
    journal_open(fixture);
    *state = fixture;
    return 0;
}

int journal_tear_down(void **state)
{
    struct journal_fixture *fixture = *state;
    journal_close(fixture);
    osr_keys_close(fixture->keys);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    for (size_t i = 0; i < UPDATES_MAX; i++) {
        osr_buffer_done(&fixture->updates[i]);
    }
    osr_buffer_done(&fixture->facts);
    ledger_writer_done(&fixture->ledger);
    scratch_remove(fixture->folder);
    free(fixture);
    return 0;
}

void journal_run(struct journal_fixture *fixture, size_t answers)
{
    while (fixture->answers < answers) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    assert_int_equal(fixture->answers, answers);
    fixture->answers = 0;
}

/* ---- what the core puts out ---- */

static void add_entry(struct journal_feed *feed, struct osr_batch *batch, size_t data_size)
{
    char id[32];
    char *data = osr_format("\"%0*llu\"", (int)data_size, (unsigned long long)feed->sequence);
    Osr__Json json = OSR__JSON__INIT;
    Osr__Document document = OSR__DOCUMENT__INIT;
    snprintf(id, sizeof(id), "d%llu", (unsigned long long)++feed->sequence);
    json.text = (ProtobufCBinaryData){strlen(data), (uint8_t *)data};
    document.id = id;
    document.data = &json;

    size_t begin = batch->bytes.size;
    osr_buffer_add(&batch->bytes, feed->chain.bytes, OSR_SHA256_SIZE);
    struct osr_time time = {1000 + feed->sequence, (uint32_t)feed->sequence};
    osr_entry_encode(&batch->bytes, time, OSR__OPERATION__PUT, &document);
    struct osr_slice record = osr_slice(batch->bytes.data + begin, batch->bytes.size - begin);
    struct osr_hash hash = osr_entry_hash(&feed->id, feed->sequence, osr_record_stored(record));
    feed->chain = osr_chain_next(&feed->chain, &hash);
    memcpy(batch->bytes.data + begin, feed->chain.bytes, OSR_SHA256_SIZE);
    osr_batch_close_entry(batch);
    free(data);
}

struct osr_signature journal_signature(uint64_t sequence)
{
    struct osr_signature signature;
    memset(signature.bytes, (int)(sequence & 0xff), sizeof(signature.bytes));
    return signature;
}

void journal_store_sized(struct journal_fixture *fixture, struct journal_feed *feed, size_t count,
                         uint64_t head, uint64_t ticket, size_t data_size)
{
    struct osr_batch batch = {.feed = feed->id, .first = feed->sequence + 1};
    for (size_t i = 0; i < count; i++) {
        add_entry(feed, &batch, data_size);
    }
    struct osr_feed_output output = {.type = OSR_FEED_OUT_STORE};
    output.store.ticket = ticket;
    output.store.batch = &batch;
    output.store.public_key = feed->key;
    output.store.head_sequence = head;
    output.store.head_signature = journal_signature(head);
    osr_journal_carry_out(fixture->journal, &output);
    assert_null(batch.bytes.data); /* taken */
}

void journal_store(struct journal_fixture *fixture, struct journal_feed *feed, size_t count,
                   uint64_t head, uint64_t ticket)
{
    journal_store_sized(fixture, feed, count, head, ticket, 20);
}

void journal_commit(struct journal_fixture *fixture, const struct journal_feed *feed,
                    uint64_t first, uint64_t last)
{
    put_out_commit(fixture->journal, &feed->id, first, last);
}

void journal_truncate(struct journal_fixture *fixture, const struct journal_feed *feed,
                      uint64_t sequence, uint64_t ticket)
{
    struct osr_feed_output output = {.type = OSR_FEED_OUT_TRUNCATE};
    output.truncate.ticket = ticket;
    output.truncate.feed = &feed->id;
    output.truncate.sequence = sequence;
    osr_journal_carry_out(fixture->journal, &output);
}

/* ---- facts ---- */

void journal_put_fact(struct journal_fixture *fixture, const char *key, const char *value)
{
    osr_journal_fact(fixture->journal, key, osr_slice_text(value), NULL, NULL);
}

static void on_fact(void *context, const char *key, struct osr_slice value)
{
    struct journal_fixture *fixture = context;
    osr_buffer_add_format(&fixture->facts, "%s=%.*s ", key, (int)value.size,
                          (const char *)value.data);
}

const char *journal_facts(struct journal_fixture *fixture, const char *prefix)
{
    fixture->facts.size = 0;
    osr_journal_facts(fixture->journal, prefix, on_fact, fixture);
    osr_buffer_add(&fixture->facts, "", 1);
    return (const char *)fixture->facts.data;
}
