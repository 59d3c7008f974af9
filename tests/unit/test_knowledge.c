/* The knowledge base on a real loop, a real journal and a real store. In the core's place stands
 * one that stores each write as a batch of its own and commits it when it is stored. */
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "model/limits.h"
#include "node/knowledge.h"

#define OWN   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

enum { START_MS = 1000000, WRITES_MAX = 8192 };

struct feed {
    struct osr_feed_id id;
    uint64_t sequence;
};

/* A batch that was handed to the log: ticket i is the ith one. */
struct stored {
    struct feed *feed;
    uint64_t token; /* 0: not of a write */
    uint64_t first;
    uint64_t last;
    struct osr_time first_time;
};

/* Of a write, when the log is copied as a crash would leave it. */
enum moment { MOMENT_NONE, MOMENT_WRITE, MOMENT_STORED };

struct fixture {
    uv_loop_t loop;
    char folder[64];
    struct osr_keys *keys;
    struct osr_journal *journal;
    struct osr_knowledge *knowledge;
    struct osr_err state; /* of the projection */
    uint64_t now_ms;

    /* The core. */
    struct feed own;
    struct feed other;
    struct osr_time clock;
    struct stored stored[WRITES_MAX];
    size_t stored_count;
    bool holds_other;      /* the other feed's batches are not committed */
    enum osr_code refusal; /* what the next write gets; OK: it is taken */
    enum moment copies_at; /* to `copy`, once */
};

/* ---- the core ---- */

static void commit(struct fixture *fixture, const struct feed *feed, uint64_t first, uint64_t last)
{
    struct osr_feed_output output = {.type = OSR_FEED_OUT_COMMIT};
    output.commit.feed = &feed->id;
    output.commit.first = first;
    output.commit.last = last;
    osr_journal_carry_out(fixture->journal, &output);
}

static void copy_log(struct fixture *fixture, enum moment moment)
{
    if (fixture->copies_at == moment) {
        char *command = osr_format("cp -r %s/log %s/copy", fixture->folder, fixture->folder);
        assert_int_equal(system(command), 0);
        free(command);
        fixture->copies_at = MOMENT_NONE;
    }
}

static void on_stored(void *context, uint64_t ticket, enum osr_code code)
{
    struct fixture *fixture = context;
    copy_log(fixture, MOMENT_STORED);
    const struct stored *stored = &fixture->stored[ticket];
    if (stored->feed == &fixture->other && fixture->holds_other) {
        return;
    }
    if (code == OSR_OK) {
        commit(fixture, stored->feed, stored->first, stored->last);
    }
    if (stored->token != 0) {
        osr_knowledge_written(fixture->knowledge, stored->token, code, stored->first,
                              stored->first_time, 0);
    }
}

static void add_entry(struct fixture *fixture, struct osr_batch *batch,
                      const struct osr_feed_put *put, struct osr_time time)
{
    static const struct osr_hash chain;
    (void)fixture;
    osr_buffer_add(&batch->bytes, chain.bytes, sizeof(chain.bytes));
    osr_entry_encode(&batch->bytes, time, put->operation, put->document);
    osr_batch_close_entry(batch);
}

static void store(struct fixture *fixture, struct feed *feed, uint64_t token,
                  const struct osr_feed_put *puts, size_t count)
{
    struct osr_batch batch = {.feed = feed->id, .first = feed->sequence + 1};
    struct stored *stored = &fixture->stored[fixture->stored_count];
    *stored = (struct stored){.feed = feed, .token = token, .first = feed->sequence + 1};
    stored->first_time = (struct osr_time){fixture->clock.ms, fixture->clock.logical + 1};
    for (size_t i = 0; i < count; i++) {
        fixture->clock.logical++;
        add_entry(fixture, &batch, &puts[i], fixture->clock);
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
    struct fixture *fixture = context;
    (void)acks, (void)timeout_ms;
    copy_log(fixture, MOMENT_WRITE);
    if (fixture->refusal != OSR_OK) {
        enum osr_code code = fixture->refusal;
        fixture->refusal = OSR_OK;
        osr_knowledge_written(fixture->knowledge, token, code, 0, (struct osr_time){0}, 0);
        return;
    }
    store(fixture, &fixture->own, token, puts, count);
}

/* ---- open and close ---- */

static void on_release(void *context, const struct osr_batch *batch, uint32_t log_id,
                       uint64_t last_ordinal)
{
    struct fixture *fixture = context;
    osr_knowledge_released(fixture->knowledge, batch, log_id, last_ordinal);
}

static void on_failure(void *context, const struct osr_err *err)
{
    (void)context;
    fail_msg("the log failed: %s", err->message);
}

static void on_state(void *context, const struct osr_err *err)
{
    struct fixture *fixture = context;
    fixture->state = *err;
}

static uint64_t on_time(void *context)
{
    const struct fixture *fixture = context;
    return fixture->now_ms;
}

static void open_all(struct fixture *fixture)
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
        .instance = OWN,
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
        struct osr_feed_output output = {.type = OSR_FEED_OUT_COMMIT};
        output.commit.feed = &restored[i].id;
        output.commit.last = restored[i].sequence;
        osr_journal_carry_out(fixture->journal, &output);
    }
    fixture->stored_count = 0;
}

static void close_all(struct fixture *fixture)
{
    osr_knowledge_close(fixture->knowledge);
    osr_journal_close(fixture->journal);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
}

static void reopen(struct fixture *fixture)
{
    close_all(fixture);
    open_all(fixture);
}

static int setup(void **state)
{
    struct fixture *fixture = osr_alloc(sizeof(*fixture));
    struct osr_err err;
    snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/osiris-knowledge-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    uv_loop_init(&fixture->loop);
    assert_int_equal(osr_keys_open(fixture->folder, &fixture->keys, &err), 0);
    assert_int_equal(osr_feed_id_make(&fixture->own.id, OWN, "kb", 1, &err), 0);
    assert_int_equal(osr_feed_id_make(&fixture->other.id, OTHER, "kb", 1, &err), 0);
    fixture->now_ms = START_MS;
    fixture->clock.ms = START_MS;
    open_all(fixture);
    *state = fixture;
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int flag, struct FTW *walk)
{
    (void)status, (void)flag, (void)walk;
    return remove(path);
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    close_all(fixture);
    osr_keys_close(fixture->keys);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    nftw(fixture->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(fixture);
    return 0;
}

/* ---- writing ---- */

struct outcome {
    bool is_done;
    struct osr_write_result result;
    char id[OSR_ID_BYTES_MAX + 1];
};

static void on_done(void *context, const struct osr_write_result *result)
{
    struct outcome *outcome = context;
    assert_false(outcome->is_done);
    outcome->is_done = true;
    outcome->result = *result;
    snprintf(outcome->id, sizeof(outcome->id), "%s", result->id);
    outcome->result.id = outcome->id;
}

static void wait_for(struct fixture *fixture, const bool *flag)
{
    while (!*flag) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
}

/* A document on the stack of its writer. */
struct draft {
    Osr__Document document;
    Osr__Json data;
    Osr__Source source;
    char id[OSR_ID_BYTES_MAX + 1];
    char text[64];
    struct osr_hash digest;
};

static Osr__Document *draft(struct draft *draft, const char *id, const char *data)
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

static void add_source(struct draft *draft, const char *name, uint64_t occurrence)
{
    struct osr_slice text = osr_slice_text(draft->text);
    draft->digest = osr_sha256(&text, 1);
    draft->source.name = (char *)(uintptr_t)name;
    draft->source.digest = (ProtobufCBinaryData){OSR_SHA256_SIZE, draft->digest.bytes};
    draft->source.occurrence = occurrence;
    draft->document.source = &draft->source;
}

static void begin_write(struct fixture *fixture, enum osr_write_mode mode, Osr__Document *document,
                        struct outcome *outcome)
{
    *outcome = (struct outcome){0};
    osr_knowledge_write(fixture->knowledge, mode, &document, 1, 0, 0, on_done, outcome);
}

static struct outcome write_document(struct fixture *fixture, enum osr_write_mode mode,
                                     Osr__Document *document)
{
    struct outcome outcome;
    begin_write(fixture, mode, document, &outcome);
    wait_for(fixture, &outcome.is_done);
    return outcome;
}

static struct outcome write_text(struct fixture *fixture, enum osr_write_mode mode, const char *id,
                                 const char *data)
{
    struct draft one;
    return write_document(fixture, mode, draft(&one, id, data));
}

/* ---- asking ---- */

/* Everything a query replied, as text: one "DATA " for each document, "-ID " for a deletion. */
struct answer {
    struct osr_query *query;
    bool is_done;
    enum osr_code code;
    char hint[OSR_ERR_HINT_MAX];
    struct osr_buffer text;
    size_t replies;
    size_t pause_after; /* replies; 0: never */
    char last_id[OSR_ID_BYTES_MAX + 1];
    bool ids_ascend;
    uint64_t position;
    uint64_t total;
    uint64_t count;
    size_t winners;
    size_t superseded;
    struct osr_hash digest;
    struct osr_version version;
    size_t supersedes; /* of the last document */
    uint64_t occurrence;
};

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

static void on_reply(void *context, const struct osr_query_reply *reply)
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

static void init_answer(struct answer *answer)
{
    *answer = (struct answer){.ids_ascend = true};
}

static const char *text_of(struct answer *answer)
{
    osr_buffer_add(&answer->text, "", 1);
    answer->text.size--;
    return (const char *)answer->text.data;
}

static void finish(struct fixture *fixture, struct answer *answer)
{
    wait_for(fixture, &answer->is_done);
}

static void expect_get(struct fixture *fixture, const char *id, const char *data)
{
    struct answer answer;
    init_answer(&answer);
    osr_knowledge_get(fixture->knowledge, id, on_reply, &answer);
    finish(fixture, &answer);
    assert_int_equal(answer.code, OSR_OK);
    assert_string_equal(text_of(&answer), data);
    osr_buffer_done(&answer.text);
}

static enum osr_code get_code(struct fixture *fixture, const char *id)
{
    struct answer answer;
    init_answer(&answer);
    osr_knowledge_get(fixture->knowledge, id, on_reply, &answer);
    finish(fixture, &answer);
    osr_buffer_done(&answer.text);
    return answer.code;
}

/* The answer's text is to be freed. */
static struct answer ask_history(struct fixture *fixture, const char *id)
{
    struct answer answer;
    init_answer(&answer);
    osr_knowledge_history(fixture->knowledge, id, on_reply, &answer);
    finish(fixture, &answer);
    return answer;
}

static struct answer ask_list(struct fixture *fixture, const char *after_id, const char *collection,
                              uint64_t limit)
{
    struct answer answer;
    init_answer(&answer);
    osr_knowledge_list(fixture->knowledge, after_id, collection, limit, on_reply, &answer);
    finish(fixture, &answer);
    return answer;
}

static struct osr_hash ask_digest(struct fixture *fixture)
{
    struct answer answer;
    struct osr_digest_feed feed = {.feed = fixture->own.id, .sequence = fixture->own.sequence};
    init_answer(&answer);
    osr_knowledge_digest(fixture->knowledge, &feed, 1, on_reply, &answer);
    finish(fixture, &answer);
    assert_int_equal(answer.code, OSR_OK);
    return answer.digest;
}

static uint64_t ask_count(struct fixture *fixture)
{
    struct answer answer;
    init_answer(&answer);
    osr_knowledge_count(fixture->knowledge, on_reply, &answer);
    finish(fixture, &answer);
    assert_int_equal(answer.code, OSR_OK);
    return answer.count;
}

static enum osr_code rebuild(struct fixture *fixture)
{
    struct answer answer;
    init_answer(&answer);
    osr_knowledge_rebuild(fixture->knowledge, on_reply, &answer);
    finish(fixture, &answer);
    if (answer.code == OSR_OK) {
        assert_int_equal(answer.position, answer.total);
    }
    return answer.code;
}

/* ---- tests ---- */

/* A document is made, read, changed and taken away; its history tells. */
static void knowledge_keeps_a_document_through_its_life(void **state)
{
    struct fixture *fixture = *state;
    struct outcome put = write_text(fixture, OSR_WRITE_PUT, "", "one");
    assert_int_equal(put.result.code, OSR_OK);
    assert_int_equal(strlen(put.id), OSR_MADE_ID_CHARS);
    assert_int_equal(put.result.sequence, 1);
    assert_int_equal(put.result.version.time.ms, START_MS);
    assert_string_equal(put.result.version.origin, OWN);
    expect_get(fixture, put.id, "one ");

    struct outcome update = write_text(fixture, OSR_WRITE_UPDATE, put.id, "two");
    assert_int_equal(update.result.code, OSR_OK);
    assert_string_equal(update.id, put.id);
    expect_get(fixture, put.id, "two ");

    struct outcome removal = write_text(fixture, OSR_WRITE_DELETE, put.id, NULL);
    assert_int_equal(removal.result.code, OSR_OK);
    assert_int_equal(get_code(fixture, put.id), OSR_NOT_FOUND);
    assert_int_equal(write_text(fixture, OSR_WRITE_UPDATE, put.id, "x").result.code, OSR_NOT_FOUND);
    assert_int_equal(write_text(fixture, OSR_WRITE_DELETE, put.id, NULL).result.code,
                     OSR_NOT_FOUND);

    struct answer history = ask_history(fixture, put.id);
    char *expected = osr_format("-%s two one ", put.id);
    assert_string_equal(text_of(&history), expected);
    assert_int_equal(history.winners, 1);
    assert_int_equal(history.superseded, 2);
    osr_buffer_done(&history.text);
    free(expected);
}

/* What nobody wrote is not found, whoever asks. */
static void knowledge_does_not_find_what_is_not_there(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(get_code(fixture, "nothing"), OSR_NOT_FOUND);
    assert_int_equal(ask_history(fixture, "nothing").code, OSR_NOT_FOUND);
    assert_int_equal(write_text(fixture, OSR_WRITE_UPDATE, "nothing", "x").result.code,
                     OSR_NOT_FOUND);
    assert_int_equal(ask_count(fixture), 0);
}

/* Writes to one id that come in one burst see each other: each supersedes the one before. */
static void knowledge_chains_a_burst_of_writes_to_one_id(void **state)
{
    enum { COUNT = 100 };
    struct fixture *fixture = *state;
    struct outcome outcomes[COUNT];
    struct draft one;
    for (int i = 0; i < COUNT; i++) {
        char data[32];
        snprintf(data, sizeof(data), "v%d", i);
        begin_write(fixture, OSR_WRITE_PUT, draft(&one, "hot", data), &outcomes[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        wait_for(fixture, &outcomes[i].is_done);
        assert_int_equal(outcomes[i].result.code, OSR_OK);
        assert_int_equal(outcomes[i].result.sequence, i + 1); /* in the order of the calls */
    }
    expect_get(fixture, "hot", "v99 ");
    struct answer history = ask_history(fixture, "hot");
    assert_int_equal(history.replies, COUNT);
    assert_int_equal(history.superseded, COUNT - 1);
    osr_buffer_done(&history.text);
}

/* A document can be got as soon as its write is answered, long before it is projected. */
static void knowledge_gives_what_is_not_projected_yet(void **state)
{
    struct fixture *fixture = *state;
    size_t ahead = 0;
    for (int i = 0; i < 50; i++) {
        char data[32];
        snprintf(data, sizeof(data), "v%d", i);
        struct outcome put = write_text(fixture, OSR_WRITE_PUT, "", data);
        struct answer answer;
        init_answer(&answer);
        osr_knowledge_get(fixture->knowledge, put.id, on_reply, &answer);
        ahead += osr_knowledge_lag(fixture->knowledge) > 0;
        finish(fixture, &answer);
        assert_int_equal(answer.code, OSR_OK);
        osr_buffer_done(&answer.text);
    }
    assert_true(ahead > 0);
}

/* A write is not answered before it can be read, also where another feed's unverified entries
 * stand before it in the log. */
static void knowledge_answers_a_write_when_it_can_be_read(void **state)
{
    struct fixture *fixture = *state;
    struct draft one;
    struct osr_feed_put put = {OSR__OPERATION__PUT, draft(&one, "theirs", "x")};
    fixture->holds_other = true;
    store(fixture, &fixture->other, 0, &put, 1);

    struct outcome outcome;
    begin_write(fixture, OSR_WRITE_PUT, draft(&one, "ours", "y"), &outcome);
    for (int i = 0; i < 30; i++) {
        usleep(1000);
        uv_run(&fixture->loop, UV_RUN_NOWAIT);
    }
    assert_false(outcome.is_done);
    commit(fixture, &fixture->other, 1, 1);
    wait_for(fixture, &outcome.is_done);
    expect_get(fixture, "ours", "y ");
    expect_get(fixture, "theirs", "x ");
}

static struct outcome import(struct fixture *fixture, size_t count)
{
    struct draft *drafts = osr_alloc(count * sizeof(*drafts));
    Osr__Document **documents = osr_alloc(count * sizeof(Osr__Document *));
    for (size_t i = 0; i < count; i++) {
        char data[32];
        snprintf(data, sizeof(data), "line %zu", i);
        documents[i] = draft(&drafts[i], "", data);
        add_source(&drafts[i], "file", 1);
    }
    struct outcome outcome = {0};
    osr_knowledge_write(fixture->knowledge, OSR_WRITE_IMPORT, documents, count, 0, 0, on_done,
                        &outcome);
    wait_for(fixture, &outcome.is_done);
    free(drafts);
    free(documents);
    return outcome;
}

/* What was imported before is passed over, also half of a request, and after a restart. */
static void knowledge_imports_once(void **state)
{
    struct fixture *fixture = *state;
    struct outcome first = import(fixture, 500);
    assert_int_equal(first.result.code, OSR_OK);
    assert_int_equal(first.result.written, 500);
    assert_int_equal(first.result.sequence, 500);
    struct outcome again = import(fixture, 700);
    assert_int_equal(again.result.written, 200);
    assert_int_equal(again.result.existed, 500);
    reopen(fixture);
    struct outcome after = import(fixture, 700);
    assert_int_equal(after.result.written, 0);
    assert_int_equal(after.result.existed, 700);
    assert_int_equal(ask_count(fixture), 700);
}

/* The same thing twice in one request is one document. */
static void knowledge_imports_equal_sources_of_one_request_once(void **state)
{
    struct fixture *fixture = *state;
    struct draft drafts[3];
    Osr__Document *documents[3];
    for (size_t i = 0; i < 3; i++) {
        documents[i] = draft(&drafts[i], "", "same");
        add_source(&drafts[i], "file", 1);
    }
    struct outcome outcome = {0};
    osr_knowledge_write(fixture->knowledge, OSR_WRITE_IMPORT, documents, 3, 0, 0, on_done,
                        &outcome);
    wait_for(fixture, &outcome.is_done);
    assert_int_equal(outcome.result.code, OSR_OK);
    assert_int_equal(outcome.result.written, 1);
    assert_int_equal(outcome.result.existed, 2);
}

/* A document that was taken away does not come back with the next import of its file. */
static void knowledge_does_not_bring_back_what_was_deleted(void **state)
{
    struct fixture *fixture = *state;
    struct outcome first = import(fixture, 1);
    struct outcome removal = write_text(fixture, OSR_WRITE_DELETE, first.id, NULL);
    assert_int_equal(removal.result.code, OSR_OK);
    assert_int_equal(import(fixture, 1).result.existed, 1);
    assert_int_equal(get_code(fixture, first.id), OSR_NOT_FOUND);
}

/* A write that the core refuses is answered with its code, and those behind it go on. */
static void knowledge_passes_on_a_refusal(void **state)
{
    struct fixture *fixture = *state;
    struct draft one;
    struct outcome first;
    struct outcome second;
    fixture->refusal = OSR_BUSY;
    begin_write(fixture, OSR_WRITE_PUT, draft(&one, "a", "1"), &first);
    begin_write(fixture, OSR_WRITE_PUT, draft(&one, "a", "2"), &second);
    wait_for(fixture, &second.is_done);
    assert_int_equal(first.result.code, OSR_BUSY);
    assert_int_equal(first.result.written, 0);
    assert_int_equal(second.result.code, OSR_OK);
    expect_get(fixture, "a", "2 ");

    fixture->refusal = OSR_DISK_FULL;
    assert_int_equal(write_text(fixture, OSR_WRITE_PUT, "", "3").result.code, OSR_DISK_FULL);
}

/* Versions of two instances: the newer one wins, a new one supersedes both. */
static void knowledge_joins_concurrent_versions(void **state)
{
    struct fixture *fixture = *state;
    struct draft one;
    write_text(fixture, OSR_WRITE_PUT, "a", "ours");
    struct osr_feed_put put = {OSR__OPERATION__PUT, draft(&one, "a", "theirs")};
    uint64_t lag = osr_knowledge_lag(fixture->knowledge);
    store(fixture, &fixture->other, 0, &put, 1);
    while (osr_knowledge_lag(fixture->knowledge) <= lag) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
        lag = osr_knowledge_lag(fixture->knowledge) == 0 ? 0 : lag;
    }
    expect_get(fixture, "a", "theirs ");
    struct answer history = ask_history(fixture, "a");
    assert_int_equal(history.superseded, 0);
    assert_int_equal(history.replies, 2);
    osr_buffer_done(&history.text);

    write_text(fixture, OSR_WRITE_PUT, "a", "joined");
    expect_get(fixture, "a", "joined ");
    history = ask_history(fixture, "a");
    assert_string_equal(text_of(&history), "joined theirs ours ");
    assert_int_equal(history.superseded, 2);
    osr_buffer_done(&history.text);
}

/* An expired document is hidden from those who ask; only a delete takes it away. */
static void knowledge_hides_what_has_expired(void **state)
{
    struct fixture *fixture = *state;
    struct draft one;
    Osr__Document *document = draft(&one, "a", "x");
    document->expires_ms = START_MS + 10;
    write_document(fixture, OSR_WRITE_PUT, document);
    expect_get(fixture, "a", "x ");
    assert_int_equal(ask_count(fixture), 1);

    fixture->now_ms = START_MS + 10;
    assert_int_equal(get_code(fixture, "a"), OSR_NOT_FOUND);
    assert_int_equal(ask_count(fixture), 0);
    struct answer list = ask_list(fixture, "", "", 0);
    assert_int_equal(list.text.size, 0);
    assert_int_equal(write_text(fixture, OSR_WRITE_UPDATE, "a", "y").result.code, OSR_NOT_FOUND);
    assert_int_equal(write_text(fixture, OSR_WRITE_DELETE, "a", NULL).result.code, OSR_OK);
}

static void put_many(struct fixture *fixture, size_t count)
{
    struct outcome *outcomes = osr_alloc(count * sizeof(*outcomes));
    struct draft one;
    for (size_t i = 0; i < count; i++) {
        char data[32];
        snprintf(data, sizeof(data), "n%zu", i);
        Osr__Document *document = draft(&one, "", data);
        document->collection = (char *)(uintptr_t)(i % 10 == 0 ? "tens" : "");
        begin_write(fixture, OSR_WRITE_PUT, document, &outcomes[i]);
    }
    for (size_t i = 0; i < count; i++) {
        wait_for(fixture, &outcomes[i].is_done);
    }
    free(outcomes);
}

/* A list is in the order of creation, whatever its length, from a place and to a length, of one
 * collection or of all. */
static void knowledge_lists(void **state)
{
    struct fixture *fixture = *state;
    put_many(fixture, 1000);
    struct answer all = ask_list(fixture, "", "", 0);
    assert_int_equal(all.code, OSR_OK);
    assert_true(all.ids_ascend);
    struct osr_buffer expected = {0};
    for (int i = 0; i < 1000; i++) {
        osr_buffer_add_format(&expected, "n%d ", i);
    }
    assert_true(osr_slice_equal(osr_buffer_slice(&all.text), osr_buffer_slice(&expected)));
    osr_buffer_done(&expected);
    osr_buffer_done(&all.text);

    struct answer some = ask_list(fixture, "", "tens", 3);
    assert_string_equal(text_of(&some), "n0 n10 n20 ");
    struct answer next = ask_list(fixture, some.last_id, "tens", 2);
    assert_string_equal(text_of(&next), "n30 n40 ");
    osr_buffer_done(&some.text);
    osr_buffer_done(&next.text);
}

/* A paused list waits; a cancelled one says nothing any more. */
static void knowledge_pauses_and_cancels_a_list(void **state)
{
    struct fixture *fixture = *state;
    put_many(fixture, 400);
    struct answer answer;
    init_answer(&answer);
    answer.pause_after = 5;
    answer.query = osr_knowledge_list(fixture->knowledge, "", "", 0, on_reply, &answer);
    while (answer.replies < 5) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    for (int i = 0; i < 20; i++) {
        usleep(1000);
        uv_run(&fixture->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(answer.replies, 5);
    answer.pause_after = 300;
    osr_query_pause(answer.query, false);
    while (answer.replies < 300) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    osr_query_cancel(answer.query);
    ask_count(fixture);
    assert_int_equal(answer.replies, 300);
    assert_false(answer.is_done);
    osr_buffer_done(&answer.text);
}

/* A search finds what was written before it was asked. */
static void knowledge_searches(void **state)
{
    struct fixture *fixture = *state;
    write_text(fixture, OSR_WRITE_PUT, "", "the quick brown fox");
    write_text(fixture, OSR_WRITE_PUT, "", "the lazy dog");
    struct answer answer;
    init_answer(&answer);
    osr_knowledge_search(fixture->knowledge, "quick", 20, on_reply, &answer);
    finish(fixture, &answer);
    assert_int_equal(answer.code, OSR_OK);
    assert_string_equal(text_of(&answer), "the quick brown fox ");
    osr_buffer_done(&answer.text);
}

/* A watcher gets what was, then what comes, deletions too; and only of its collection. */
static void knowledge_is_watched(void **state)
{
    struct fixture *fixture = *state;
    struct draft one;
    Osr__Document *document = draft(&one, "a", "x");
    document->collection = (char *)(uintptr_t) "tens";
    write_document(fixture, OSR_WRITE_PUT, document);
    write_text(fixture, OSR_WRITE_PUT, "b", "y");

    struct answer all;
    struct answer tens;
    struct answer live;
    init_answer(&all);
    init_answer(&tens);
    init_answer(&live);
    all.query = osr_knowledge_watch(fixture->knowledge, 1, "", on_reply, &all);
    tens.query = osr_knowledge_watch(fixture->knowledge, 1, "tens", on_reply, &tens);
    live.query = osr_knowledge_watch(fixture->knowledge, 0, "", on_reply, &live);
    write_text(fixture, OSR_WRITE_DELETE, "a", NULL);
    while (all.replies < 3 || tens.replies < 2 || live.replies < 1) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    assert_string_equal(text_of(&all), "x y -a ");
    assert_string_equal(text_of(&tens), "x -a ");
    assert_string_equal(text_of(&live), "-a ");
    assert_int_equal(live.total, 3); /* its sequence */

    struct answer resumed;
    init_answer(&resumed);
    resumed.query =
        osr_knowledge_watch(fixture->knowledge, live.position + 1, "", on_reply, &resumed);
    write_text(fixture, OSR_WRITE_PUT, "c", "z");
    while (resumed.replies < 1) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    assert_string_equal(text_of(&resumed), "z ");
    struct answer *answers[] = {&all, &tens, &live, &resumed};
    for (size_t i = 0; i < 4; i++) {
        osr_query_cancel(answers[i]->query);
        osr_buffer_done(&answers[i]->text);
    }
}

/* After a restart everything is there, also where the projection has lost its files. */
static void knowledge_comes_back(void **state)
{
    struct fixture *fixture = *state;
    put_many(fixture, 200);
    write_text(fixture, OSR_WRITE_PUT, "a", "1");
    write_text(fixture, OSR_WRITE_PUT, "a", "2");
    struct osr_hash digest = ask_digest(fixture);
    reopen(fixture);
    expect_get(fixture, "a", "2 ");
    struct osr_hash after = ask_digest(fixture);
    assert_true(osr_hash_equal(&digest, &after));

    close_all(fixture);
    char *command = osr_format("rm %s/*.db*", fixture->folder);
    assert_int_equal(system(command), 0);
    free(command);
    open_all(fixture);
    expect_get(fixture, "a", "2 ");
    after = ask_digest(fixture);
    assert_true(osr_hash_equal(&digest, &after));
    assert_int_equal(ask_count(fixture), 201);
    write_text(fixture, OSR_WRITE_PUT, "a", "3");
    struct answer history = ask_history(fixture, "a");
    assert_string_equal(text_of(&history), "3 2 1 ");
    assert_int_equal(history.superseded, 2);
    osr_buffer_done(&history.text);
}

/* The digest tells a knowledge base from one with another winner. */
static void knowledge_has_a_digest(void **state)
{
    struct fixture *fixture = *state;
    write_text(fixture, OSR_WRITE_PUT, "a", "1");
    struct osr_hash first = ask_digest(fixture);
    write_text(fixture, OSR_WRITE_PUT, "a", "2");
    struct osr_hash second = ask_digest(fixture);
    assert_false(osr_hash_equal(&first, &second));
}

/* A rebuild gives the same, and those who ask meanwhile get right answers. */
static void knowledge_is_rebuilt(void **state)
{
    struct fixture *fixture = *state;
    put_many(fixture, 1000);
    write_text(fixture, OSR_WRITE_PUT, "a", "1");
    struct osr_hash before = ask_digest(fixture);
    struct answer rebuilding;
    struct answer again;
    init_answer(&rebuilding);
    init_answer(&again);
    osr_knowledge_rebuild(fixture->knowledge, on_reply, &rebuilding);
    osr_knowledge_rebuild(fixture->knowledge, on_reply, &again);
    write_text(fixture, OSR_WRITE_PUT, "a", "2");
    expect_get(fixture, "a", "2 ");
    finish(fixture, &rebuilding);
    finish(fixture, &again);
    assert_int_equal(rebuilding.code, OSR_OK);
    assert_int_equal(rebuilding.position, rebuilding.total);
    assert_int_equal(again.code, OSR_IN_USE);
    struct osr_hash after = ask_digest(fixture);
    assert_false(osr_hash_equal(&before, &after));
    assert_int_equal(rebuild(fixture), OSR_OK);
    struct osr_hash last = ask_digest(fixture);
    assert_true(osr_hash_equal(&after, &last));
    assert_int_equal(ask_count(fixture), 1001);
}

static void overwrite(struct fixture *fixture, const char *name, long offset, const char *text)
{
    char *path = osr_format("%s/%s", fixture->folder, name);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    for (int i = 0; i < 100; i++) {
        assert_true(fputs(text, file) >= 0);
    }
    assert_int_equal(fclose(file), 0);
    free(path);
}

/* A damaged projection keeps nobody from writing; who reads is told what to do; a rebuild does it.
 */
static void knowledge_survives_a_damaged_projection(void **state)
{
    struct fixture *fixture = *state;
    put_many(fixture, 100);
    write_text(fixture, OSR_WRITE_PUT, "a", "1");
    ask_count(fixture);
    close_all(fixture);
    overwrite(fixture, "documents.db", 100, "damage");
    open_all(fixture);

    struct answer answer;
    init_answer(&answer);
    osr_knowledge_get(fixture->knowledge, "a", on_reply, &answer);
    finish(fixture, &answer);
    assert_int_equal(answer.code, OSR_CORRUPT);
    assert_non_null(strstr(answer.hint, "osiris rebuild"));
    assert_int_equal(fixture->state.code, OSR_CORRUPT);
    assert_int_equal(ask_list(fixture, "", "", 0).code, OSR_CORRUPT);
    struct outcome put = write_text(fixture, OSR_WRITE_PUT, "", "new");
    assert_int_equal(put.result.code, OSR_OK);
    assert_int_equal(write_text(fixture, OSR_WRITE_PUT, "a", "2").result.code, OSR_CORRUPT);

    assert_int_equal(rebuild(fixture), OSR_OK);
    assert_int_equal(fixture->state.code, OSR_OK);
    expect_get(fixture, "a", "1 ");
    expect_get(fixture, put.id, "new ");
    assert_int_equal(ask_count(fixture), 102);
}

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Without room the projection stands still alone: who writes and gets notices nothing, who lists
 * gets what there is, and with room it catches up. */
static void knowledge_goes_on_without_room_for_the_projection(void **state)
{
    struct fixture *fixture = *state;
    size_t written = 0;
    signal(SIGXFSZ, SIG_IGN);
    limit_file_size((1 << 20) + (64 << 10)); /* more than the log's segments need */
    while (fixture->state.code == OSR_OK && written < 50000) {
        put_many(fixture, 100);
        ask_count(fixture);
        written += 100;
    }
    assert_int_equal(fixture->state.code, OSR_DISK_FULL);
    write_text(fixture, OSR_WRITE_PUT, "a", "1");
    expect_get(fixture, "a", "1 ");
    assert_int_equal(ask_list(fixture, "b", "", 1).code, OSR_OK);
    struct answer answer;
    init_answer(&answer);
    osr_knowledge_digest(fixture->knowledge, NULL, 0, on_reply, &answer);
    finish(fixture, &answer);
    assert_int_equal(answer.code, OSR_DISK_FULL);
    assert_true(osr_knowledge_lag(fixture->knowledge) > 0);

    limit_file_size(RLIM_INFINITY);
    while (fixture->state.code != OSR_OK) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    assert_int_equal(ask_count(fixture), written + 1);
    expect_get(fixture, "a", "1 ");
}

/* A foreign file in the projection's place is left alone, also by a rebuild. */
static void knowledge_leaves_a_foreign_file_alone(void **state)
{
    struct fixture *fixture = *state;
    write_text(fixture, OSR_WRITE_PUT, "a", "1");
    ask_count(fixture);
    close_all(fixture);
    overwrite(fixture, "documents.db", 0, "my diary ");
    open_all(fixture);
    assert_int_equal(get_code(fixture, "a"), OSR_FOREIGN_FILE);
    assert_int_equal(rebuild(fixture), OSR_FOREIGN_FILE);
    assert_int_equal(get_code(fixture, "a"), OSR_FOREIGN_FILE);

    char *from = osr_format("%s/documents.db", fixture->folder);
    char *to = osr_format("%s/diary", fixture->folder);
    assert_int_equal(rename(from, to), 0);
    free(from);
    free(to);
    assert_int_equal(rebuild(fixture), OSR_OK);
    expect_get(fixture, "a", "1 ");
}

/* A log that has lost its end is noticed, for the projection knows more than there is. */
static void knowledge_notices_a_log_that_lost_its_end(void **state)
{
    struct fixture *fixture = *state;
    write_text(fixture, OSR_WRITE_PUT, "a", "1");
    ask_count(fixture);
    close_all(fixture);
    char *command = osr_format("rm -r %s/log", fixture->folder);
    assert_int_equal(system(command), 0);
    free(command);
    open_all(fixture);
    assert_int_equal(fixture->state.code, OSR_CORRUPT);
    assert_int_equal(get_code(fixture, "a"), OSR_CORRUPT);
}

static struct outcome arrive(struct fixture *fixture, const char *data)
{
    struct outcome outcome = {0};
    char *text = osr_format("\"%s\"", data);
    osr_knowledge_write_arrival(fixture->knowledge, osr_slice_text(text), on_done, &outcome);
    free(text);
    wait_for(fixture, &outcome.is_done);
    return outcome;
}

static uint64_t occurrence_of(struct fixture *fixture, const char *id)
{
    struct answer answer;
    init_answer(&answer);
    osr_knowledge_get(fixture->knowledge, id, on_reply, &answer);
    finish(fixture, &answer);
    assert_int_equal(answer.code, OSR_OK);
    osr_buffer_done(&answer.text);
    return answer.occurrence;
}

/* Equal data that arrives again is another document each time, also after a restart. */
static void knowledge_counts_arrivals(void **state)
{
    struct fixture *fixture = *state;
    for (uint64_t i = 1; i <= 3; i++) {
        struct outcome outcome = arrive(fixture, "hello");
        assert_int_equal(outcome.result.code, OSR_OK);
        assert_int_equal(outcome.result.written, 1);
        assert_int_equal(occurrence_of(fixture, outcome.id), i);
    }
    reopen(fixture);
    assert_int_equal(occurrence_of(fixture, arrive(fixture, "hello").id), 4);
    ask_count(fixture); /* now the facts are projected, and forgotten in memory */
    assert_int_equal(occurrence_of(fixture, arrive(fixture, "hello").id), 5);
    assert_int_equal(occurrence_of(fixture, arrive(fixture, "other").id), 1);
}

/* Arrivals of equal data in one burst are told apart, in their order. */
static void knowledge_counts_a_burst_of_arrivals(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcomes[10] = {0};
    for (size_t i = 0; i < 10; i++) {
        osr_knowledge_write_arrival(fixture->knowledge, osr_slice_text("\"x\""), on_done,
                                    &outcomes[i]);
    }
    for (size_t i = 0; i < 10; i++) {
        wait_for(fixture, &outcomes[i].is_done);
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
    struct fixture *fixture = *state;
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
static void go_back_to_copy(struct fixture *fixture)
{
    const char *folder = fixture->folder;
    close_all(fixture);
    char *command = osr_format("rm -r %s/log %s/documents.db* %s/search.db* && mv %s/copy %s/log",
                               folder, folder, folder, folder, folder);
    assert_int_equal(system(command), 0);
    free(command);
    open_all(fixture);
    fixture->own.sequence = osr_wal_last_index(osr_journal_wal(fixture->journal), 1);
}

/* Whatever of an arrival is in the log when the process is killed, the next one of equal data is
 * stored; and what the followed file has of both is there once. */
static void knowledge_keeps_the_arrival_after_a_crash(void **state)
{
    static const enum moment moments[] = {MOMENT_WRITE, MOMENT_STORED};
    struct fixture *fixture = *state;
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
        Osr__Document *document = draft(&one, "", text);
        add_source(&one, OSR_SEED_SOURCE, 1);
        struct outcome by_file = write_document(fixture, OSR_WRITE_IMPORT, document);
        assert_int_equal(by_file.result.existed, is_stored);
        add_source(&one, OSR_SEED_SOURCE, 2);
        assert_int_equal(write_document(fixture, OSR_WRITE_IMPORT, document).result.existed, 1);
    }
}

/* An arrival that cannot be stored is lost alone, and what follows it is stored. */
static void knowledge_stores_the_arrival_after_a_refused_one(void **state)
{
    struct fixture *fixture = *state;
    arrive(fixture, "hello");
    fixture->refusal = OSR_DISK_FULL;
    assert_int_equal(arrive(fixture, "hello").result.code, OSR_DISK_FULL);
    assert_int_equal(arrive(fixture, "hello").result.written, 1);
    reopen(fixture);
    assert_int_equal(arrive(fixture, "hello").result.written, 1);
}

/* What came by wire and what a followed file holds is one: the nth of equal data. */
static void knowledge_merges_arrivals_with_a_followed_file(void **state)
{
    struct fixture *fixture = *state;
    struct outcome by_wire = arrive(fixture, "hello");
    struct draft one;
    Osr__Document *document = draft(&one, "", "hello");
    add_source(&one, OSR_SEED_SOURCE, 1);
    struct outcome by_file = write_document(fixture, OSR_WRITE_IMPORT, document);
    assert_int_equal(by_file.result.existed, 1);
    assert_string_equal(by_file.id, by_wire.id);

    add_source(&one, OSR_SEED_SOURCE, 2);
    assert_int_equal(write_document(fixture, OSR_WRITE_IMPORT, document).result.written, 1);
    struct outcome second = arrive(fixture, "hello");
    assert_int_equal(second.result.code, OSR_OK);
    assert_int_equal(second.result.existed, 1);
    assert_int_equal(arrive(fixture, "hello").result.written, 1);
}

/* What is under way at the end is told so, and nothing leaks. */
static void knowledge_ends_what_is_under_way(void **state)
{
    struct fixture *fixture = *state;
    put_many(fixture, 300);
    struct answer answers[4];
    struct outcome outcomes[2] = {0};
    struct draft one;
    for (size_t i = 0; i < 4; i++) {
        init_answer(&answers[i]);
    }
    osr_knowledge_watch(fixture->knowledge, 0, "", on_reply, &answers[0]);
    answers[1].pause_after = 1;
    answers[1].query = osr_knowledge_list(fixture->knowledge, "", "", 0, on_reply, &answers[1]);
    while (answers[1].replies == 0) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    osr_knowledge_search(fixture->knowledge, "nothing", 20, on_reply, &answers[2]);
    osr_knowledge_rebuild(fixture->knowledge, on_reply, &answers[3]);
    begin_write(fixture, OSR_WRITE_PUT, draft(&one, "a", "1"), &outcomes[0]);
    osr_knowledge_write_arrival(fixture->knowledge, osr_slice_text("1"), on_done, &outcomes[1]);
    reopen(fixture);
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
    enum { COUNT = 300 };
    struct fixture *fixture = *state;
    struct answer *answers = osr_alloc(COUNT * sizeof(*answers));
    size_t busy = 0;
    for (size_t i = 0; i < COUNT; i++) {
        init_answer(&answers[i]);
        answers[i].query = osr_knowledge_watch(fixture->knowledge, 0, "", on_reply, &answers[i]);
    }
    ask_count(fixture);
    for (size_t i = 0; i < COUNT; i++) {
        if (answers[i].is_done) {
            assert_int_equal(answers[i].code, OSR_BUSY);
            busy++;
        } else {
            osr_query_cancel(answers[i].query);
        }
    }
    assert_int_equal(busy, COUNT - 256);
    free(answers);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(knowledge_keeps_a_document_through_its_life),
        TEST(knowledge_does_not_find_what_is_not_there),
        TEST(knowledge_chains_a_burst_of_writes_to_one_id),
        TEST(knowledge_gives_what_is_not_projected_yet),
        TEST(knowledge_answers_a_write_when_it_can_be_read),
        TEST(knowledge_imports_once),
        TEST(knowledge_imports_equal_sources_of_one_request_once),
        TEST(knowledge_does_not_bring_back_what_was_deleted),
        TEST(knowledge_passes_on_a_refusal),
        TEST(knowledge_joins_concurrent_versions),
        TEST(knowledge_hides_what_has_expired),
        TEST(knowledge_lists),
        TEST(knowledge_pauses_and_cancels_a_list),
        TEST(knowledge_searches),
        TEST(knowledge_is_watched),
        TEST(knowledge_comes_back),
        TEST(knowledge_has_a_digest),
        TEST(knowledge_is_rebuilt),
        TEST(knowledge_survives_a_damaged_projection),
        TEST(knowledge_goes_on_without_room_for_the_projection),
        TEST(knowledge_leaves_a_foreign_file_alone),
        TEST(knowledge_notices_a_log_that_lost_its_end),
        TEST(knowledge_counts_arrivals),
        TEST(knowledge_counts_a_burst_of_arrivals),
        TEST(knowledge_is_busy_with_arrivals),
        TEST(knowledge_keeps_the_arrival_after_a_crash),
        TEST(knowledge_stores_the_arrival_after_a_refused_one),
        TEST(knowledge_merges_arrivals_with_a_followed_file),
        TEST(knowledge_ends_what_is_under_way),
        TEST(knowledge_refuses_too_many_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
