#include "lib/knowledge_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/journal_outputs.h"

/* ---- the core ---- */

void kb_commit(struct kb_fixture *fixture, const struct kb_feed *feed, uint64_t first,
               uint64_t last)
{
    put_out_commit(fixture->journal, &feed->id, first, last);
}

static void copy_log(struct kb_fixture *fixture, enum moment moment)
{
    if (fixture->copies_at == moment) {
        scratch_run(fixture->folder, "cp -r log copy");
        fixture->copies_at = MOMENT_NONE;
    }
}

static void on_stored(void *context, uint64_t ticket, enum osr_code code)
{
    struct kb_fixture *fixture = context;
    copy_log(fixture, MOMENT_STORED);
    const struct stored *stored = &fixture->stored[ticket];
    if (stored->feed == &fixture->other && fixture->holds_other) {
        return;
    }
    if (code == OSR_OK) {
        kb_commit(fixture, stored->feed, stored->first, stored->last);
    }
    if (stored->token != 0) {
        osr_knowledge_written(fixture->knowledge, stored->token, code, stored->first,
                              stored->first_time, 0);
    }
}

static void add_entry(struct osr_batch *batch, const struct osr_feed_put *put, struct osr_time time)
{
    static const struct osr_hash chain;
    osr_buffer_add(&batch->bytes, chain.bytes, sizeof(chain.bytes));
    osr_entry_encode(&batch->bytes, time, put->operation, put->document);
    osr_batch_close_entry(batch);
}

void kb_store(struct kb_fixture *fixture, struct kb_feed *feed, uint64_t token,
              const struct osr_feed_put *puts, size_t count)
{
    struct osr_batch batch = {.feed = feed->id, .first = feed->sequence + 1};
    struct stored *stored = &fixture->stored[fixture->stored_count];
    *stored = (struct stored){.feed = feed, .token = token, .first = feed->sequence + 1};
    stored->first_time = (struct osr_time){fixture->clock.ms, fixture->clock.logical + 1};
    for (size_t i = 0; i < count; i++) {
        fixture->clock.logical++;
        add_entry(&batch, &puts[i], fixture->clock);
    }
    feed->sequence += count;
    stored->last = feed->sequence;
    struct osr_feed_output output = {.type = OSR_FEED_OUT_STORE};
    output.store.ticket = fixture->stored_count++;
    output.store.batch = &batch;
    osr_journal_carry_out(fixture->journal, &output);
}

static void on_write(void *context, uint64_t token, const struct osr_feed_put *puts, size_t count,
                     uint32_t acks, uint32_t timeout_ms)
{
    struct kb_fixture *fixture = context;
    (void)acks, (void)timeout_ms;
    copy_log(fixture, MOMENT_WRITE);
    if (fixture->refusal != OSR_OK) {
        enum osr_code code = fixture->refusal;
        fixture->refusal = OSR_OK;
        osr_knowledge_written(fixture->knowledge, token, code, 0, (struct osr_time){0}, 0);
        return;
    }
    kb_store(fixture, &fixture->own, token, puts, count);
}

/* ---- open and close ---- */

static void on_release(void *context, const struct osr_batch *batch, uint32_t log_id,
                       uint64_t last_ordinal)
{
    struct kb_fixture *fixture = context;
    osr_knowledge_released(fixture->knowledge, batch, log_id, last_ordinal);
}

static void on_failure(void *context, const struct osr_err *err)
{
    (void)context;
    fail_msg("the log failed: %s", err->message);
}

static void on_state(void *context, const struct osr_err *err)
{
    struct kb_fixture *fixture = context;
    fixture->state = *err;
}

static uint64_t on_time(void *context)
{
    const struct kb_fixture *fixture = context;
    return fixture->now_ms;
}

void kb_open(struct kb_fixture *fixture)
{
    struct osr_journal_handler handler = {
        .on_stored = on_stored,
        .on_release = on_release,
        .on_failure = on_failure,
        .context = fixture,
    };
    char *folder = osr_format("%s/log", fixture->folder);
    struct osr_journal_options journal_options = {
        .folder = folder,
        .keys = fixture->keys,
        .wal = {.segment_bytes_min = 1 << 20, .segment_bytes_max = 1 << 20},
    };
    const struct osr_feed_restored *restored;
    size_t count;
    struct osr_err err;
    if (osr_journal_open(&fixture->loop, &journal_options, &handler, &fixture->journal, &restored,
                         &count, &err) != 0) {
        fail_msg("%s", err.message);
    }
    free(folder);
    struct osr_knowledge_options options = {
        .folder = fixture->folder,
        .instance = KB_OWN,
        .journal = fixture->journal,
        .write = on_write,
        .on_state = on_state,
        .time_ms = on_time,
        .context = fixture,
    };
    if (osr_knowledge_open(&fixture->loop, &options, &fixture->knowledge, &err) != 0) {
        fail_msg("%s", err.message);
    }
    for (size_t i = 0; i < count; i++) {
        put_out_commit(fixture->journal, &restored[i].id, 0, restored[i].sequence);
    }
    fixture->stored_count = 0;
}

void kb_close(struct kb_fixture *fixture)
{
    osr_knowledge_close(fixture->knowledge);
    osr_journal_close(fixture->journal);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
}

void kb_reopen(struct kb_fixture *fixture)
{
    kb_close(fixture);
    kb_open(fixture);
}

int kb_set_up(void **state)
{
    struct kb_fixture *fixture = osr_alloc(sizeof(*fixture));
    struct osr_err err;
    scratch_create(fixture->folder);
    uv_loop_init(&fixture->loop);
    assert_int_equal(osr_keys_open(fixture->folder, &fixture->keys, &err), 0);
    assert_int_equal(osr_feed_id_make(&fixture->own.id, KB_OWN, "kb", 1, &err), 0);
    assert_int_equal(osr_feed_id_make(&fixture->other.id, KB_OTHER, "kb", 1, &err), 0);
    fixture->now_ms = START_MS;
    fixture->clock.ms = START_MS;
    kb_open(fixture);
    *state = fixture;
    return 0;
}

int kb_tear_down(void **state)
{
    struct kb_fixture *fixture = *state;
    kb_close(fixture);
    osr_keys_close(fixture->keys);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    scratch_remove(fixture->folder);
    free(fixture);
    return 0;
}

/* ---- writing ---- */

void outcome_note(void *context, const struct osr_write_result *result)
{
    struct outcome *outcome = context;
    assert_false(outcome->is_done);
    outcome->is_done = true;
    outcome->result = *result;
    snprintf(outcome->id, sizeof(outcome->id), "%s", result->id);
    outcome->result.id = outcome->id;
}

void kb_wait_for(struct kb_fixture *fixture, const bool *flag)
{
    while (!*flag) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
}

Osr__Document *draft_document(struct draft *draft, const char *id, const char *data)
{
    *draft = (struct draft){OSR__DOCUMENT__INIT, OSR__JSON__INIT, OSR__SOURCE__INIT, "", "", {{0}}};
    snprintf(draft->id, sizeof(draft->id), "%s", id);
    draft->document.id = draft->id;
    if (data != NULL) {
        snprintf(draft->text, sizeof(draft->text), "\"%s\"", data);
        draft->data.text = (ProtobufCBinaryData){strlen(draft->text), (uint8_t *)draft->text};
        draft->document.data = &draft->data;
    }
    return &draft->document;
}

void draft_add_source(struct draft *draft, const char *name, uint64_t occurrence)
{
    struct osr_slice text = osr_slice_text(draft->text);
    draft->digest = osr_sha256(&text, 1);
    draft->source.name = (char *)(uintptr_t)name;
    draft->source.digest = (ProtobufCBinaryData){OSR_SHA256_SIZE, draft->digest.bytes};
    draft->source.occurrence = occurrence;
    draft->document.source = &draft->source;
}

void kb_begin_write(struct kb_fixture *fixture, enum osr_write_mode mode, Osr__Document *document,
                    struct outcome *outcome)
{
    *outcome = (struct outcome){0};
    osr_knowledge_write(fixture->knowledge, NULL, mode, &document, 1, 0, 0, outcome_note, outcome);
}

struct outcome kb_write(struct kb_fixture *fixture, enum osr_write_mode mode,
                        Osr__Document *document)
{
    struct outcome outcome;
    kb_begin_write(fixture, mode, document, &outcome);
    kb_wait_for(fixture, &outcome.is_done);
    return outcome;
}

struct outcome kb_write_text(struct kb_fixture *fixture, enum osr_write_mode mode, const char *id,
                             const char *data)
{
    struct draft one;
    return kb_write(fixture, mode, draft_document(&one, id, data));
}

void kb_put_many(struct kb_fixture *fixture, size_t count)
{
    struct outcome *outcomes = osr_alloc(count * sizeof(*outcomes));
    struct draft one;
    for (size_t i = 0; i < count; i++) {
        char data[32];
        snprintf(data, sizeof(data), "n%zu", i);
        Osr__Document *document = draft_document(&one, "", data);
        document->collection = (char *)(uintptr_t)(i % 10 == 0 ? "tens" : "");
        kb_begin_write(fixture, OSR_WRITE_PUT, document, &outcomes[i]);
    }
    for (size_t i = 0; i < count; i++) {
        kb_wait_for(fixture, &outcomes[i].is_done);
    }
    free(outcomes);
}

/* ---- asking ---- */

static void add_document(struct answer *answer, const struct osr_query_reply *reply)
{
    const Osr__Document *document = reply->document;
    if (document->data != NULL) {
        const ProtobufCBinaryData *text = &document->data->text;
        osr_buffer_add(&answer->text, text->data + 1, text->len - 2);
    } else {
        osr_buffer_add_format(&answer->text, "-%s", document->id);
    }
    osr_buffer_add_text(&answer->text, " ");
    answer->ids_ascend = answer->ids_ascend && strcmp(answer->last_id, document->id) < 0;
    snprintf(answer->last_id, sizeof(answer->last_id), "%s", document->id);
    answer->version = osr_version_from_message(document->version);
    answer->supersedes = document->n_supersedes;
    answer->occurrence = document->source != NULL ? document->source->occurrence : 0;
}

void answer_note(void *context, const struct osr_query_reply *reply)
{
    struct answer *answer = context;
    assert_false(answer->is_done);
    if (reply->err != NULL) {
        answer->code = reply->err->code;
        snprintf(answer->hint, sizeof(answer->hint), "%s", reply->err->hint);
        assert_true(reply->last);
    } else {
        answer->winners += reply->winner;
        answer->superseded += reply->superseded;
        answer->position = reply->position;
        answer->total = reply->sequence;
        answer->count = reply->count;
        if (reply->digest != NULL) {
            answer->digest = *reply->digest;
        }
        if (reply->document != NULL) {
            add_document(answer, reply);
        }
    }
    answer->replies++;
    answer->is_done = reply->last;
    if (!reply->last && answer->replies == answer->pause_after) {
        osr_query_pause(answer->query, true);
    }
}

const char *answer_text(struct answer *answer)
{
    osr_buffer_add(&answer->text, "", 1);
    answer->text.size--;
    return (const char *)answer->text.data;
}

void kb_finish(struct kb_fixture *fixture, struct answer *answer)
{
    kb_wait_for(fixture, &answer->is_done);
}

void kb_wait_for_replies(struct kb_fixture *fixture, const struct answer *answer, size_t count)
{
    while (answer->replies < count) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
}

struct answer kb_get(struct kb_fixture *fixture, const char *id)
{
    struct answer answer = ANSWER_INIT;
    osr_knowledge_get(fixture->knowledge, NULL, id, answer_note, &answer);
    kb_finish(fixture, &answer);
    return answer;
}

struct answer kb_history(struct kb_fixture *fixture, const char *id)
{
    struct answer answer = ANSWER_INIT;
    osr_knowledge_history(fixture->knowledge, NULL, id, answer_note, &answer);
    kb_finish(fixture, &answer);
    return answer;
}

struct answer kb_list(struct kb_fixture *fixture, const char *after_id, const char *collection,
                      uint64_t limit)
{
    struct answer answer = ANSWER_INIT;
    osr_knowledge_list(fixture->knowledge, NULL, after_id, collection, limit, answer_note, &answer);
    kb_finish(fixture, &answer);
    return answer;
}

void assert_get(struct kb_fixture *fixture, const char *id, const char *data)
{
    struct answer answer = kb_get(fixture, id);
    assert_int_equal(answer.code, OSR_OK);
    assert_string_equal(answer_text(&answer), data);
    osr_buffer_done(&answer.text);
}

enum osr_code kb_get_code(struct kb_fixture *fixture, const char *id)
{
    struct answer answer = kb_get(fixture, id);
    osr_buffer_done(&answer.text);
    return answer.code;
}

struct osr_hash kb_digest(struct kb_fixture *fixture)
{
    struct answer answer = ANSWER_INIT;
    struct osr_digest_feed feed = {.feed = fixture->own.id, .sequence = fixture->own.sequence};

    osr_knowledge_digest(fixture->knowledge, &feed, 1, answer_note, &answer);
    kb_finish(fixture, &answer);
    assert_int_equal(answer.code, OSR_OK);
    return answer.digest;
}

uint64_t kb_count(struct kb_fixture *fixture)
{
    struct answer answer = ANSWER_INIT;
    osr_knowledge_count(fixture->knowledge, answer_note, &answer);
    kb_finish(fixture, &answer);
    assert_int_equal(answer.code, OSR_OK);
    return answer.count;
}

enum osr_code kb_rebuild(struct kb_fixture *fixture)
{
    struct answer answer = ANSWER_INIT;
    osr_knowledge_rebuild(fixture->knowledge, answer_note, &answer);
    kb_finish(fixture, &answer);
    if (answer.code == OSR_OK) {
        assert_int_equal(answer.position, answer.total);
    }
    return answer.code;
}
