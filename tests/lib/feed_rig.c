#include "lib/feed_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/keyed_hash.h"

/* ---- what is put out ---- */

static void say(void *context, enum osr_level level, const char *line)
{
    (void)level;
    struct rig *rig = context;
    osr_buffer_add_text(&rig->said, line);
    osr_buffer_add_u8(&rig->said, '\n');
}

static Osr__Frame *copy_frame(const Osr__Frame *frame)
{
    size_t size = osr__frame__get_packed_size(frame);
    uint8_t *bytes = osr_alloc(size + 1);
    osr__frame__pack(frame, bytes);
    Osr__Frame *copy = osr__frame__unpack(NULL, size, bytes);
    free(bytes);
    assert_non_null(copy);
    return copy;
}

static void store_records(struct rig *rig, const struct osr_batch *batch)
{
    if (strcmp(batch->feed.origin, rig->log_feed) != 0 ||
        strcmp(batch->feed.stream, osr_feed_stream_name(rig->log_stream)) != 0) {
        return;
    }
    assert_int_equal(batch->first, rig->record_count + 1);
    for (size_t i = 0; i < batch->count; i++) {
        struct osr_slice record = osr_batch_record(batch, i);
        struct osr_buffer *kept = &rig->records[rig->record_count++];
        kept->size = 0;
        osr_buffer_add(kept, record.data, record.size);
    }
}

static void queue_answer(struct rig *rig, const struct osr_feed_event *event)
{
    assert_true(rig->answer_count < OUTPUTS_MAX);
    rig->answers[rig->answer_count++] = *event;
}

static void answer_store(struct rig *rig, uint64_t ticket)
{
    if (!rig->hold_stores) {
        queue_answer(
            rig, &(struct osr_feed_event){.type = OSR_FEED_STORED,
                                          .stored = {.ticket = ticket, .code = rig->store_code}});
    }
}

static void note_feed(struct seen *seen, const struct osr_feed_id *id)
{
    memcpy(seen->feed, id->origin, sizeof(seen->feed));
    memcpy(seen->stream, id->stream, sizeof(seen->stream));
}

static void note_output(struct rig *rig, struct osr_feed_output *output)
{
    assert_true(rig->seen_count < OUTPUTS_MAX);
    struct seen *seen = &rig->seen[rig->seen_count++];
    *seen = (struct seen){.output = *output};
    switch (output->type) {
    case OSR_FEED_OUT_STORE:
        note_feed(seen, &output->store.batch->feed);
        if (rig->store_code == OSR_OK) {
            store_records(rig, output->store.batch);
        }
        answer_store(rig, output->store.ticket);
        break;
    case OSR_FEED_OUT_TRUNCATE:
        note_feed(seen, output->truncate.feed);
        answer_store(rig, output->truncate.ticket);
        break;
    case OSR_FEED_OUT_SIGN:
        if (!rig->hold_signs) {
            queue_answer(
                rig, &(struct osr_feed_event){.type = OSR_FEED_SIGNED,
                                              .is_signed = {.ticket = output->sign.ticket,
                                                            .signature = keyed_hash_sign(
                                                                &rig->key, output->sign.message)}});
        }
        break;
    case OSR_FEED_OUT_VERIFY: {
        struct osr_signature good =
            keyed_hash_sign(&output->verify.public_key, output->verify.message);
        bool valid = memcmp(&good, &output->verify.signature, sizeof(good)) == 0;
        if (!rig->hold_verifies) {
            queue_answer(rig, &(struct osr_feed_event){
                                  .type = OSR_FEED_VERIFIED,
                                  .verified = {.ticket = output->verify.ticket, .valid = valid}});
        }
        break;
    }
    case OSR_FEED_OUT_COMMIT:
        note_feed(seen, output->commit.feed);
        break;
    case OSR_FEED_OUT_WRITTEN:
        seen->code = output->written.code;
        break;
    case OSR_FEED_OUT_SEND:
        seen->frame = copy_frame(output->send.frame);
        break;
    case OSR_FEED_OUT_CLOSE:
        seen->code = output->close.err->code;
        break;
    default:
        break;
    }
}

void rig_answer_read(struct rig *rig, const struct osr_feed_output *output)
{
    osr_arena_reset(rig->arena);
    Osr__Update update;
    osr__update__init(&update);
    update.n_entries = (size_t)(output->read.last - output->read.first + 1);
    update.entries = osr_arena_take(rig->arena, update.n_entries * sizeof(update.entries[0]));
    size_t bytes = 0;
    for (size_t i = 0; i < update.n_entries; i++) {
        size_t index = (size_t)output->read.first - 1 + i;
        struct osr_slice record = osr_buffer_slice(&rig->records[index]);
        assert_int_equal(osr_entry_decode(osr_record_stored(record), index + 1, rig->arena,
                                          &update.entries[i], NULL),
                         0);
        bytes += record.size;
    }
    struct osr_hash chain = output->read.last_chain;
    struct osr_signature signature = output->read.last_signature;
    update.chain = (ProtobufCBinaryData){sizeof(chain.bytes), chain.bytes};
    update.signature = (ProtobufCBinaryData){sizeof(signature.bytes), signature.bytes};
    rig_step(rig,
             &(struct osr_feed_event){
                 .type = OSR_FEED_READ_DONE,
                 .read_done = {.ticket = output->read.ticket, .update = &update, .bytes = bytes}});
}

static void step_once(struct rig *rig, const struct osr_feed_event *event)
{
    struct osr_feed_event timed = *event;
    timed.now_ms = rig->now_ms;
    timed.time_ms = rig->time_ms;
    struct osr_feed_outputs outputs;
    size_t first = rig->seen_count;
    osr_feed_step(rig->core, &timed, &outputs);
    for (size_t i = 0; i < outputs.count; i++) {
        note_output(rig, &outputs.items[i]);
    }
    size_t end = rig->seen_count;
    for (size_t i = first; i < end; i++) {
        if (rig->seen[i].output.type == OSR_FEED_OUT_READ && !rig->hold_reads) {
            struct osr_feed_output output = rig->seen[i].output;
            rig_answer_read(rig, &output);
        }
    }
}

void rig_step(struct rig *rig, const struct osr_feed_event *event)
{
    step_once(rig, event);
    while (rig->answered < rig->answer_count) {
        struct osr_feed_event answer = rig->answers[rig->answered++];
        step_once(rig, &answer);
    }
    rig->answer_count = 0;
    rig->answered = 0;
}

/* ---- answers that were held back ---- */

void rig_release_store(struct rig *rig, size_t nth)
{
    const struct seen *store = rig_find(rig, OSR_FEED_OUT_STORE, nth);
    assert_non_null(store);
    rig_step(rig, &(struct osr_feed_event){.type = OSR_FEED_STORED,
                                           .stored = {.ticket = store->output.store.ticket}});
}

void rig_release_sign(struct rig *rig, size_t nth)
{
    const struct seen *wanted = rig_find(rig, OSR_FEED_OUT_SIGN, nth);
    assert_non_null(wanted);
    rig_step(rig, &(struct osr_feed_event){.type = OSR_FEED_SIGNED,
                                           .is_signed = {.ticket = wanted->output.sign.ticket}});
}

void rig_release_verify(struct rig *rig, size_t nth)
{
    const struct seen *verify = rig_find(rig, OSR_FEED_OUT_VERIFY, nth);
    assert_non_null(verify);
    rig_step(rig, &(struct osr_feed_event){
                      .type = OSR_FEED_VERIFIED,
                      .verified = {.ticket = verify->output.verify.ticket, .valid = true}});
}

/* ---- create and destroy ---- */

static bool is_barred(const struct rig *rig, const char *barred, const char *who,
                      const char *stream)
{
    bool is_about_it = rig->barred_stream == NULL || strcmp(stream, rig->barred_stream) == 0;
    return is_about_it && strcmp(who, barred) == 0;
}

static bool may_lead(void *context, const char *origin, const char *stream)
{
    const struct rig *rig = context;
    return !is_barred(rig, rig->no_leader, origin, stream);
}

static bool may_follow(void *context, const char *instance, const char *stream)
{
    const struct rig *rig = context;
    return !is_barred(rig, rig->no_follower, instance, stream);
}

struct rig *rig_create_stopped(uint32_t peers_max)
{
    struct rig *rig = osr_alloc(sizeof(*rig));
    rig->key = keyed_hash_key(OWN_NUMBER);
    rig->now_ms = 1000;
    rig->time_ms = TIME_MS;
    rig->arena = osr_arena_create(1 << 16, 16 << 20);
    struct osr_feed_options options;
    osr_feed_options_init(&options);
    options.cluster = "test";
    options.name = "subject";
    options.public_key = rig->key;
    memset(options.boot, OWN_NUMBER, sizeof(options.boot));
    options.peers_max = peers_max;
    options.window_bytes = WINDOW_BYTES;
    options.batch_bytes = BATCH_BYTES;
    options.pending_bytes_max = 4 * BATCH_BYTES;
    options.retry_ms = RETRY_MS;
    options.heartbeat_ms = HEARTBEAT_MS;
    options.silence_ms = SILENCE_MS;
    options.access = (struct osr_feed_access){may_lead, may_follow, rig};
    options.trace = (struct osr_trace){.write = say, .context = rig, .level = OSR_LEVEL_TRACE};
    struct osr_err err;
    assert_int_equal(osr_feed_create(&options, &rig->core, &err), 0);
    memcpy(rig->log_feed, osr_feed_instance(rig->core), sizeof(rig->log_feed));
    return rig;
}

void rig_start(struct rig *rig, const struct osr_feed_restored *feeds, size_t count)
{
    rig_step(rig, &(struct osr_feed_event){.type = OSR_FEED_START,
                                           .start = {.feeds = feeds, .count = count}});
}

struct rig *rig_create(void)
{
    struct rig *rig = rig_create_stopped(PEERS_MAX);
    rig_start(rig, NULL, 0);
    rig_forget(rig);
    return rig;
}

void rig_destroy(struct rig *rig)
{
    rig_forget(rig);
    osr_feed_destroy(rig->core);
    osr_arena_destroy(rig->arena);
    osr_buffer_done(&rig->said);
    for (size_t i = 0; i < RECORDS_MAX; i++) {
        osr_buffer_done(&rig->records[i]);
    }
    free(rig);
}

int rig_set_up(void **state)
{
    *state = rig_create();
    return 0;
}

int rig_set_up_stopped(void **state)
{
    *state = rig_create_stopped(PEERS_MAX);
    return 0;
}

int rig_tear_down(void **state)
{
    rig_destroy(*state);
    return 0;
}

/* ---- driving ---- */

void rig_advance(struct rig *rig, uint64_t ms)
{
    uint64_t end_ms = rig->now_ms + ms;
    while (osr_feed_deadline_ms(rig->core) <= end_ms) {
        uint64_t deadline_ms = osr_feed_deadline_ms(rig->core);
        if (deadline_ms > rig->now_ms) {
            rig->time_ms += deadline_ms - rig->now_ms;
            rig->now_ms = deadline_ms;
        }
        rig_step(rig, &(struct osr_feed_event){.type = OSR_FEED_TICK});
    }
    rig->time_ms += end_ms - rig->now_ms;
    rig->now_ms = end_ms;
}

void rig_write(struct rig *rig, uint64_t token, size_t count, size_t bytes, uint32_t acks)
{
    Osr__Document document;
    osr__document__init(&document);
    document.id = "d";
    Osr__Json data;
    osr__json__init(&data);
    uint8_t *text = osr_alloc(bytes + 2);
    memset(text, '1', bytes + 2);
    data.text = (ProtobufCBinaryData){bytes + 2, text};
    document.data = &data;
    struct osr_feed_put puts[64];
    for (size_t i = 0; i < count; i++) {
        puts[i] = (struct osr_feed_put){OSR__OPERATION__PUT, &document};
    }
    rig_step(rig, &(struct osr_feed_event){.type = OSR_FEED_WRITE,
                                           .write = {.stream = rig->stream,
                                                     .token = token,
                                                     .puts = puts,
                                                     .count = count,
                                                     .acks = acks,
                                                     .timeout_ms = 1000}});
    free(text);
}

void rig_flush(struct rig *rig)
{
    rig_step(rig, &(struct osr_feed_event){.type = OSR_FEED_FLUSH});
}

void rig_write_one(struct rig *rig, uint64_t token)
{
    rig_write(rig, token, 1, 10, 0);
    rig_flush(rig);
}

void rig_link_up(struct rig *rig, uint32_t link, bool dialled)
{
    struct osr_feed_event event = {
        .type = OSR_FEED_PEER_UP,
        .peer_up = {
            .peer = link, .dialled = dialled, .purpose = rig->purpose, .binding = rig->binding}};
    memset(event.peer_up.nonce, (int)(200 + link), OSR_NONCE_SIZE);
    rig_step(rig, &event);
}

void rig_link_down(struct rig *rig, uint32_t link)
{
    rig_step(rig,
             &(struct osr_feed_event){.type = OSR_FEED_PEER_DOWN, .peer_down = {.peer = link}});
}

static void bar(struct rig *rig, char *barred, const char *instance)
{
    snprintf(barred, OSR_INSTANCE_CHARS + 1, "%s", instance != NULL ? instance : "");
    rig_step(rig, &(struct osr_feed_event){.type = OSR_FEED_ACCESS_CHANGED});
}

void rig_bar_leader(struct rig *rig, const char *instance)
{
    bar(rig, rig->no_leader, instance);
}

void rig_bar_follower(struct rig *rig, const char *instance)
{
    bar(rig, rig->no_follower, instance);
}

Osr__Frame frame_of(Osr__Frame__BodyCase body)
{
    Osr__Frame frame;
    osr__frame__init(&frame);
    frame.body_case = body;
    return frame;
}

void rig_deliver(struct rig *rig, uint32_t link, const Osr__Frame *frame)
{
    rig_step(rig, &(struct osr_feed_event){.type = OSR_FEED_FRAME,
                                           .frame = {.peer = link, .frame = frame}});
}

/* ---- looking at outputs ---- */

struct seen *rig_find(struct rig *rig, enum osr_feed_output_type type, size_t nth)
{
    for (size_t i = 0; i < rig->seen_count; i++) {
        if (rig->seen[i].output.type == type && nth-- == 0) {
            return &rig->seen[i];
        }
    }
    return NULL;
}

size_t rig_count(struct rig *rig, enum osr_feed_output_type type)
{
    size_t count = 0;
    while (rig_find(rig, type, count) != NULL) {
        count++;
    }
    return count;
}

const Osr__Frame *rig_find_frame(struct rig *rig, uint32_t peer, Osr__Frame__BodyCase body)
{
    for (size_t i = rig->seen_count; i > 0; i--) {
        const struct seen *seen = &rig->seen[i - 1];
        if (seen->frame != NULL && seen->output.send.peer == peer &&
            seen->frame->body_case == body) {
            return seen->frame;
        }
    }
    return NULL;
}

bool rig_has_said(struct rig *rig, const char *text)
{
    osr_buffer_add_u8(&rig->said, 0);
    bool found = strstr((const char *)rig->said.data, text) != NULL;
    rig->said.size--;
    return found;
}

void rig_forget(struct rig *rig)
{
    for (size_t i = 0; i < rig->seen_count; i++) {
        if (rig->seen[i].frame != NULL) {
            osr__frame__free_unpacked(rig->seen[i].frame, NULL);
        }
    }
    rig->seen_count = 0;
}

void assert_none(struct rig *rig, enum osr_feed_output_type type)
{
    assert_null(rig_find(rig, type, 0));
}

void assert_not_sent(struct rig *rig, uint32_t peer, Osr__Frame__BodyCase body)
{
    assert_null(rig_find_frame(rig, peer, body));
}

void assert_error_sent(struct rig *rig, uint32_t peer, enum osr_code code)
{
    const Osr__Frame *frame = rig_find_frame(rig, peer, OSR__FRAME__BODY_ERROR);
    assert_non_null(frame);
    assert_int_equal(frame->error->code, code);
    assert_true(frame->error->message[0] != '\0');
}

void assert_closed(struct rig *rig, uint32_t peer, enum osr_code code)
{
    const struct seen *close = rig_find(rig, OSR_FEED_OUT_CLOSE, 0);
    assert_non_null(close);
    assert_int_equal(close->output.close.peer, peer);
    assert_int_equal(close->code, code);
    assert_error_sent(rig, peer, code);
}

void assert_open(struct rig *rig)
{
    assert_none(rig, OSR_FEED_OUT_CLOSE);
}

void assert_written(struct rig *rig, size_t nth, enum osr_code code, uint64_t first)
{
    const struct seen *written = rig_find(rig, OSR_FEED_OUT_WRITTEN, nth);
    assert_non_null(written);
    assert_int_equal(written->code, code);
    assert_int_equal(written->output.written.first, first);
}

void assert_commit(struct rig *rig, size_t nth, const char *feed, uint64_t first, uint64_t last)
{
    const struct seen *commit = rig_find(rig, OSR_FEED_OUT_COMMIT, nth);
    assert_non_null(commit);
    assert_string_equal(commit->feed, feed);
    assert_int_equal(commit->output.commit.first, first);
    assert_int_equal(commit->output.commit.last, last);
}

void assert_acked(struct rig *rig, uint32_t peer, uint64_t sequence)
{
    const Osr__Frame *frame = rig_find_frame(rig, peer, OSR__FRAME__BODY_ACK);
    assert_non_null(frame);
    assert_int_equal(frame->ack->sequence, sequence);
}

void assert_fetched(struct rig *rig, uint32_t peer, uint64_t from)
{
    const Osr__Frame *frame = rig_find_frame(rig, peer, OSR__FRAME__BODY_FETCH);
    assert_non_null(frame);
    assert_int_equal(frame->fetch->from_sequence, from);
}

void assert_sent_from(struct rig *rig, uint32_t peer, uint64_t first)
{
    const Osr__Frame *frame = rig_find_frame(rig, peer, OSR__FRAME__BODY_UPDATE);
    assert_non_null(frame);
    assert_int_equal(frame->update->first_sequence, first);
}
