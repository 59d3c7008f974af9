/* The feed core alone, driven event by event: what it does with peers that break the rules, and
 * with a disk that is full. Peers are played by the test; keys are keyed hashes, answered at
 * once unless a test holds them back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/feed.h"
#include "model/limits.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    OUTPUTS_MAX = 2048,
    RECORDS_MAX = 512,
    WINDOW_BYTES = 4096,
    BATCH_BYTES = 1024,
    RETRY_MS = 100,
    HEARTBEAT_MS = 1000,
    SILENCE_MS = 5000,
    PEERS_MAX = 8,
    OWN_NUMBER = 1, /* what our key and boot are made of; puppets have others */
};

#define TIME_MS 1767225600000u

/* ---- keys ---- */

static struct osr_public_key key_of(uint8_t number)
{
    struct osr_public_key key;
    memset(key.bytes, number, sizeof(key.bytes));
    return key;
}

static struct osr_signature sign(const struct osr_public_key *key, struct osr_slice message)
{
    struct osr_signature signature = {{0}};
    const struct osr_slice pieces[] = {osr_slice(key->bytes, sizeof(key->bytes)), message};
    struct osr_hash hash = osr_sha256(pieces, 2);
    memcpy(signature.bytes, hash.bytes, sizeof(hash.bytes));
    return signature;
}

/* ---- the core and everything around it ---- */

/* What was put out, with what it pointed to. */
struct seen {
    struct osr_feed_output output;
    Osr__Frame *frame; /* of SEND; freed with the rig */
    enum osr_code code;
    char feed[OSR_INSTANCE_CHARS + 1];
};

struct rig {
    struct osr_feed *core;
    struct osr_public_key key;
    uint64_t now_ms;
    uint64_t time_ms;
    struct seen seen[OUTPUTS_MAX];
    size_t seen_count;
    /* A log of the records of one feed, the own one unless a test says otherwise. */
    char log_feed[OSR_INSTANCE_CHARS + 1];
    struct osr_buffer records[RECORDS_MAX];
    size_t record_count;
    struct osr_arena *arena;
    struct osr_buffer said; /* trace */
    /* What the world answers. */
    bool hold_stores; /* nothing, until the test releases an answer */
    bool hold_signs;
    bool hold_verifies;
    bool hold_reads;
    enum osr_code store_code;
    /* To be answered, in order. */
    struct osr_feed_event answers[OUTPUTS_MAX];
    size_t answer_count;
    size_t answered;
};

static void say(void *context, enum osr_level level, const char *line)
{
    (void)level;
    struct rig *rig = context;
    osr_buffer_add_text(&rig->said, line);
    osr_buffer_add_u8(&rig->said, '\n');
}

static bool has_said(struct rig *rig, const char *text)
{
    osr_buffer_add_u8(&rig->said, 0);
    bool found = strstr((const char *)rig->said.data, text) != NULL;
    rig->said.size--;
    return found;
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
    if (strcmp(batch->feed.origin, rig->log_feed) != 0) {
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

static void note_output(struct rig *rig, struct osr_feed_output *output)
{
    assert_true(rig->seen_count < OUTPUTS_MAX);
    struct seen *seen = &rig->seen[rig->seen_count++];
    *seen = (struct seen){.output = *output};
    switch (output->type) {
    case OSR_FEED_OUT_STORE:
        memcpy(seen->feed, output->store.batch->feed.origin, sizeof(seen->feed));
        if (rig->store_code == OSR_OK) {
            store_records(rig, output->store.batch);
        }
        answer_store(rig, output->store.ticket);
        break;
    case OSR_FEED_OUT_TRUNCATE:
        memcpy(seen->feed, output->truncate.feed->origin, sizeof(seen->feed));
        answer_store(rig, output->truncate.ticket);
        break;
    case OSR_FEED_OUT_SIGN:
        if (!rig->hold_signs) {
            queue_answer(rig,
                         &(struct osr_feed_event){
                             .type = OSR_FEED_SIGNED,
                             .is_signed = {.ticket = output->sign.ticket,
                                           .signature = sign(&rig->key, output->sign.message)}});
        }
        break;
    case OSR_FEED_OUT_VERIFY: {
        struct osr_signature good = sign(&output->verify.public_key, output->verify.message);
        bool valid = memcmp(&good, &output->verify.signature, sizeof(good)) == 0;
        if (!rig->hold_verifies) {
            queue_answer(rig, &(struct osr_feed_event){
                                  .type = OSR_FEED_VERIFIED,
                                  .verified = {.ticket = output->verify.ticket, .valid = valid}});
        }
        break;
    }
    case OSR_FEED_OUT_COMMIT:
        memcpy(seen->feed, output->commit.feed->origin, sizeof(seen->feed));
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

static void step(struct rig *rig, const struct osr_feed_event *event);

static void answer_read(struct rig *rig, const struct osr_feed_output *output)
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
    step(rig, &(struct osr_feed_event){
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
            answer_read(rig, &output);
        }
    }
}

/* One event, and all answers that follow from it. */
static void step(struct rig *rig, const struct osr_feed_event *event)
{
    step_once(rig, event);
    while (rig->answered < rig->answer_count) {
        struct osr_feed_event answer = rig->answers[rig->answered++];
        step_once(rig, &answer);
    }
    rig->answer_count = 0;
    rig->answered = 0;
}

/* The nth output of a type; NULL where there are fewer. */
static struct seen *find_output(struct rig *rig, enum osr_feed_output_type type, size_t nth)
{
    for (size_t i = 0; i < rig->seen_count; i++) {
        if (rig->seen[i].output.type == type && nth-- == 0) {
            return &rig->seen[i];
        }
    }
    return NULL;
}

/* ---- answers that were held back ---- */

static void release_store(struct rig *rig, size_t nth)
{
    const struct seen *store = find_output(rig, OSR_FEED_OUT_STORE, nth);
    assert_non_null(store);
    step(rig, &(struct osr_feed_event){.type = OSR_FEED_STORED,
                                       .stored = {.ticket = store->output.store.ticket}});
}

static void release_sign(struct rig *rig, size_t nth)
{
    const struct seen *wanted = find_output(rig, OSR_FEED_OUT_SIGN, nth);
    assert_non_null(wanted);
    step(rig, &(struct osr_feed_event){.type = OSR_FEED_SIGNED,
                                       .is_signed = {.ticket = wanted->output.sign.ticket}});
}

static void release_verify(struct rig *rig, size_t nth)
{
    const struct seen *verify = find_output(rig, OSR_FEED_OUT_VERIFY, nth);
    assert_non_null(verify);
    step(rig, &(struct osr_feed_event){
                  .type = OSR_FEED_VERIFIED,
                  .verified = {.ticket = verify->output.verify.ticket, .valid = true}});
}

static void forget_outputs(struct rig *rig)
{
    for (size_t i = 0; i < rig->seen_count; i++) {
        if (rig->seen[i].frame != NULL) {
            osr__frame__free_unpacked(rig->seen[i].frame, NULL);
        }
    }
    rig->seen_count = 0;
}

static struct rig *rig_create_stopped(uint32_t peers_max)
{
    struct rig *rig = osr_alloc(sizeof(*rig));
    rig->key = key_of(OWN_NUMBER);
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
    options.trace = (struct osr_trace){.write = say, .context = rig, .level = OSR_LEVEL_TRACE};
    struct osr_err err;
    assert_int_equal(osr_feed_create(&options, &rig->core, &err), 0);
    memcpy(rig->log_feed, osr_feed_instance(rig->core), sizeof(rig->log_feed));
    return rig;
}

static void start_with(struct rig *rig, const struct osr_feed_restored *feeds, size_t count)
{
    step(rig, &(struct osr_feed_event){.type = OSR_FEED_START,
                                       .start = {.feeds = feeds, .count = count}});
}

static struct rig *rig_create(void)
{
    struct rig *rig = rig_create_stopped(PEERS_MAX);
    start_with(rig, NULL, 0);
    forget_outputs(rig);
    return rig;
}

static void rig_destroy(struct rig *rig)
{
    forget_outputs(rig);
    osr_feed_destroy(rig->core);
    osr_arena_destroy(rig->arena);
    osr_buffer_done(&rig->said);
    for (size_t i = 0; i < RECORDS_MAX; i++) {
        osr_buffer_done(&rig->records[i]);
    }
    free(rig);
}

static int set_up(void **state)
{
    *state = rig_create();
    return 0;
}

/* For tests that say what the log gives back. */
static int set_up_stopped(void **state)
{
    *state = rig_create_stopped(PEERS_MAX);
    return 0;
}

static int tear_down(void **state)
{
    rig_destroy(*state);
    return 0;
}

static void advance(struct rig *rig, uint64_t ms)
{
    uint64_t end_ms = rig->now_ms + ms;
    while (osr_feed_deadline_ms(rig->core) <= end_ms) {
        uint64_t deadline_ms = osr_feed_deadline_ms(rig->core);
        if (deadline_ms > rig->now_ms) {
            rig->time_ms += deadline_ms - rig->now_ms;
            rig->now_ms = deadline_ms;
        }
        step(rig, &(struct osr_feed_event){.type = OSR_FEED_TICK});
    }
    rig->time_ms += end_ms - rig->now_ms;
    rig->now_ms = end_ms;
}

/* ---- looking at outputs ---- */

static size_t count_outputs(struct rig *rig, enum osr_feed_output_type type)
{
    size_t count = 0;
    while (find_output(rig, type, count) != NULL) {
        count++;
    }
    return count;
}

/* The last frame of a kind sent to a peer; NULL: none. */
static const Osr__Frame *find_frame(struct rig *rig, uint32_t peer, Osr__Frame__BodyCase body)
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

static void assert_none(struct rig *rig, enum osr_feed_output_type type)
{
    assert_null(find_output(rig, type, 0));
}

static void assert_not_sent(struct rig *rig, uint32_t peer, Osr__Frame__BodyCase body)
{
    assert_null(find_frame(rig, peer, body));
}

/* The last ERROR sent to a peer. */
static void assert_told(struct rig *rig, uint32_t peer, enum osr_code code)
{
    const Osr__Frame *frame = find_frame(rig, peer, OSR__FRAME__BODY_ERROR);
    assert_non_null(frame);
    assert_int_equal(frame->error->code, code);
    assert_true(frame->error->message[0] != '\0');
}

static void assert_closed(struct rig *rig, uint32_t peer, enum osr_code code)
{
    const struct seen *close = find_output(rig, OSR_FEED_OUT_CLOSE, 0);
    assert_non_null(close);
    assert_int_equal(close->output.close.peer, peer);
    assert_int_equal(close->code, code);
    assert_told(rig, peer, code);
}

static void assert_open(struct rig *rig)
{
    assert_none(rig, OSR_FEED_OUT_CLOSE);
}

/* The nth write to be answered: how, and with which first sequence (0: it has none). */
static void assert_written(struct rig *rig, size_t nth, enum osr_code code, uint64_t first)
{
    const struct seen *written = find_output(rig, OSR_FEED_OUT_WRITTEN, nth);
    assert_non_null(written);
    assert_int_equal(written->code, code);
    assert_int_equal(written->output.written.first, first);
}

/* The nth COMMIT is of these entries of that feed. */
static void assert_commit(struct rig *rig, size_t nth, const char *feed, uint64_t first,
                          uint64_t last)
{
    const struct seen *commit = find_output(rig, OSR_FEED_OUT_COMMIT, nth);
    assert_non_null(commit);
    assert_string_equal(commit->feed, feed);
    assert_int_equal(commit->output.commit.first, first);
    assert_int_equal(commit->output.commit.last, last);
}

static void assert_acked(struct rig *rig, uint32_t peer, uint64_t sequence)
{
    const Osr__Frame *frame = find_frame(rig, peer, OSR__FRAME__BODY_ACK);
    assert_non_null(frame);
    assert_int_equal(frame->ack->sequence, sequence);
}

static void assert_fetched(struct rig *rig, uint32_t peer, uint64_t from)
{
    const Osr__Frame *frame = find_frame(rig, peer, OSR__FRAME__BODY_FETCH);
    assert_non_null(frame);
    assert_int_equal(frame->fetch->from_sequence, from);
}

/* The last UPDATE sent to a peer begins there. */
static void assert_sent_from(struct rig *rig, uint32_t peer, uint64_t first)
{
    const Osr__Frame *frame = find_frame(rig, peer, OSR__FRAME__BODY_UPDATE);
    assert_non_null(frame);
    assert_int_equal(frame->update->first_sequence, first);
}

/* ---- writing ---- */

static void write_with(struct rig *rig, uint64_t token, size_t count, size_t bytes, uint32_t acks)
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
    step(rig,
         &(struct osr_feed_event){
             .type = OSR_FEED_WRITE,
             .write = {
                 .token = token, .puts = puts, .count = count, .acks = acks, .timeout_ms = 1000}});
    free(text);
}

static void flush(struct rig *rig)
{
    step(rig, &(struct osr_feed_event){.type = OSR_FEED_FLUSH});
}

static void write_one(struct rig *rig, uint64_t token)
{
    write_with(rig, token, 1, 10, 0);
    flush(rig);
}

/* ---- a peer, played by the test ---- */

struct puppet {
    uint32_t link;
    struct osr_public_key key;
    uint8_t boot;
    uint8_t nonce;
    char id[OSR_INSTANCE_CHARS + 1];
    const char *cluster;
    /* Its own feed, as it was sent so far. */
    struct osr_hash chain;
    uint64_t sequence;
};

static struct puppet make_puppet(uint8_t number, uint32_t link)
{
    struct puppet puppet = {.link = link,
                            .key = key_of(number),
                            .boot = number,
                            .nonce = (uint8_t)(100 + link),
                            .cluster = "test"};
    osr_instance_id(puppet.id, &puppet.key);
    return puppet;
}

static Osr__Frame make_frame(Osr__Frame__BodyCase body)
{
    Osr__Frame frame;
    osr__frame__init(&frame);
    frame.body_case = body;
    return frame;
}

static void deliver(struct rig *rig, uint32_t link, const Osr__Frame *frame)
{
    step(rig,
         &(struct osr_feed_event){.type = OSR_FEED_FRAME, .frame = {.peer = link, .frame = frame}});
}

static void link_up(struct rig *rig, uint32_t link, bool dialled)
{
    struct osr_feed_event event = {.type = OSR_FEED_PEER_UP,
                                   .peer_up = {.peer = link, .dialled = dialled}};
    memset(event.peer_up.nonce, (int)(200 + link), OSR_NONCE_SIZE);
    step(rig, &event);
}

static void link_down(struct rig *rig, uint32_t link)
{
    step(rig, &(struct osr_feed_event){.type = OSR_FEED_PEER_DOWN, .peer_down = {.peer = link}});
}

static void send_hello(struct rig *rig, const struct puppet *puppet, Osr__FeedHead **held,
                       size_t held_count)
{
    uint8_t nonce[OSR_NONCE_SIZE];
    uint8_t boot[OSR_BOOT_SIZE];
    memset(nonce, puppet->nonce, sizeof(nonce));
    memset(boot, puppet->boot, sizeof(boot));
    Osr__Hello hello;
    osr__hello__init(&hello);
    hello.protocol = 1;
    hello.entry_format = OSR_ENTRY_FORMAT;
    hello.cluster = (char *)(uintptr_t)puppet->cluster;
    hello.instance = (char *)(uintptr_t)puppet->id;
    hello.name = "puppet";
    hello.nonce = (ProtobufCBinaryData){sizeof(nonce), nonce};
    hello.boot = (ProtobufCBinaryData){sizeof(boot), boot};
    hello.held = held;
    hello.n_held = held_count;
    Osr__Frame frame = make_frame(OSR__FRAME__BODY_HELLO);
    frame.hello = &hello;
    deliver(rig, puppet->link, &frame);
}

/* Links a puppet as far as its HELLO, which speaks of no feeds. */
static void greet(struct rig *rig, const struct puppet *puppet, bool dialled)
{
    link_up(rig, puppet->link, dialled);
    send_hello(rig, puppet, NULL, 0);
}

static void send_proof(struct rig *rig, const struct puppet *puppet)
{
    uint8_t own_nonce[OSR_NONCE_SIZE];
    uint8_t their_nonce[OSR_NONCE_SIZE];
    memset(own_nonce, puppet->nonce, sizeof(own_nonce));
    memset(their_nonce, (int)(200 + puppet->link), sizeof(their_nonce));
    struct osr_buffer message = {0};
    osr_proof_message(&message, puppet->id, own_nonce, osr_feed_instance(rig->core), their_nonce,
                      osr_slice(NULL, 0));
    struct osr_signature signature = sign(&puppet->key, osr_buffer_slice(&message));
    osr_buffer_done(&message);
    Osr__HelloProof proof;
    osr__hello_proof__init(&proof);
    struct osr_public_key key = puppet->key;
    proof.public_key = (ProtobufCBinaryData){sizeof(key.bytes), key.bytes};
    proof.signature = (ProtobufCBinaryData){sizeof(signature.bytes), signature.bytes};
    Osr__Frame frame = make_frame(OSR__FRAME__BODY_HELLO_PROOF);
    frame.hello_proof = &proof;
    deliver(rig, puppet->link, &frame);
}

static Osr__FeedHead make_held(const char *origin, uint64_t sequence)
{
    Osr__FeedHead held;
    osr__feed_head__init(&held);
    held.origin = (char *)(uintptr_t)origin;
    held.stream = "kb";
    held.epoch = 1;
    held.sequence = sequence;
    return held;
}

/* Links a puppet that says it holds this much of a feed. */
static void join_holding(struct rig *rig, const struct puppet *puppet, Osr__FeedHead head)
{
    Osr__FeedHead *held[] = {&head};
    link_up(rig, puppet->link, true);
    send_hello(rig, puppet, held, 1);
    send_proof(rig, puppet);
}

/* Links a puppet that holds its own feed up to `sequence`. */
static void join(struct rig *rig, const struct puppet *puppet, uint64_t sequence)
{
    join_holding(rig, puppet, make_held(puppet->id, sequence));
}

/* Links a puppet that says it holds our own feed up to `sequence`. */
static void join_claiming(struct rig *rig, const struct puppet *puppet, uint64_t sequence)
{
    join_holding(rig, puppet, make_held(osr_feed_instance(rig->core), sequence));
}

static void send_ack_of(struct rig *rig, const struct puppet *puppet, const char *origin,
                        const char *stream, uint64_t sequence)
{
    Osr__Ack ack;
    osr__ack__init(&ack);
    ack.origin = (char *)(uintptr_t)origin;
    ack.stream = (char *)(uintptr_t)stream;
    ack.epoch = 1;
    ack.sequence = sequence;
    Osr__Frame frame = make_frame(OSR__FRAME__BODY_ACK);
    frame.ack = &ack;
    deliver(rig, puppet->link, &frame);
}

static void send_ack(struct rig *rig, const struct puppet *puppet, uint64_t sequence)
{
    send_ack_of(rig, puppet, osr_feed_instance(rig->core), "kb", sequence);
}

static void send_fetch_of(struct rig *rig, const struct puppet *puppet, const char *origin,
                          uint64_t from)
{
    Osr__Fetch fetch;
    osr__fetch__init(&fetch);
    fetch.origin = (char *)(uintptr_t)origin;
    fetch.stream = "kb";
    fetch.epoch = 1;
    fetch.from_sequence = from;
    Osr__Frame frame = make_frame(OSR__FRAME__BODY_FETCH);
    frame.fetch = &fetch;
    deliver(rig, puppet->link, &frame);
}

static void send_fetch(struct rig *rig, const struct puppet *puppet, uint64_t from)
{
    send_fetch_of(rig, puppet, osr_feed_instance(rig->core), from);
}

/* A batch as a peer sends it; everything may be changed before it is delivered. */
enum { BATCH_ENTRIES_MAX = 16 };
struct sent {
    Osr__Update update;
    Osr__Entry entries[BATCH_ENTRIES_MAX];
    Osr__Entry *pointers[BATCH_ENTRIES_MAX];
    Osr__Document documents[BATCH_ENTRIES_MAX];
    Osr__Json data;
    uint8_t text[2048];
    struct osr_public_key key;
    struct osr_hash chain;
    struct osr_signature signature;
    struct osr_feed_id feed;
};

/* The entries' chain from what came before, and the origin's signature over its end. */
static void seal(struct sent *sent, struct osr_hash chain)
{
    struct osr_buffer buffer = {0};
    for (size_t i = 0; i < sent->update.n_entries; i++) {
        const Osr__Entry *entry = &sent->entries[i];
        buffer.size = 0;
        osr_entry_encode(&buffer, (struct osr_time){entry->time_ms, entry->time_logical},
                         entry->operation, entry->document);
        struct osr_hash hash =
            osr_entry_hash(&sent->feed, entry->sequence, osr_buffer_slice(&buffer));
        chain = osr_chain_next(&chain, &hash);
    }
    sent->chain = chain;
    buffer.size = 0;
    uint64_t last = sent->update.first_sequence + sent->update.n_entries - 1;
    osr_head_message(&buffer, "test", &sent->feed, last, &chain);
    sent->signature = sign(&sent->key, osr_buffer_slice(&buffer));
    osr_buffer_done(&buffer);
}

static struct sent *make_batch_of(const struct osr_public_key *key, uint64_t first, size_t count,
                                  size_t bytes, uint64_t time_ms, struct osr_hash chain)
{
    struct sent *sent = osr_alloc(sizeof(*sent));
    sent->key = *key;
    sent->feed = (struct osr_feed_id){.stream = "kb", .epoch = 1};
    osr_instance_id(sent->feed.origin, key);
    osr__update__init(&sent->update);
    sent->update.origin = sent->feed.origin;
    sent->update.stream = sent->feed.stream;
    sent->update.epoch = 1;
    sent->update.first_sequence = first;
    sent->update.n_entries = count;
    sent->update.entries = sent->pointers;
    memset(sent->text, '1', sizeof(sent->text));
    osr__json__init(&sent->data);
    sent->data.text = (ProtobufCBinaryData){bytes, sent->text};
    for (size_t i = 0; i < count; i++) {
        osr__document__init(&sent->documents[i]);
        sent->documents[i].id = "d";
        sent->documents[i].data = &sent->data;
        osr__entry__init(&sent->entries[i]);
        sent->entries[i].format = OSR_ENTRY_FORMAT;
        sent->entries[i].sequence = first + i;
        sent->entries[i].time_ms = time_ms;
        sent->entries[i].time_logical = (uint32_t)(first + i);
        sent->entries[i].operation = OSR__OPERATION__PUT;
        sent->entries[i].document = &sent->documents[i];
        sent->pointers[i] = &sent->entries[i];
    }
    seal(sent, chain);
    sent->update.chain = (ProtobufCBinaryData){sizeof(sent->chain.bytes), sent->chain.bytes};
    sent->update.signature =
        (ProtobufCBinaryData){sizeof(sent->signature.bytes), sent->signature.bytes};
    sent->update.public_key = (ProtobufCBinaryData){sizeof(sent->key.bytes), sent->key.bytes};
    return sent;
}

/* The next entries of the puppet's own feed. */
static struct sent *next_batch(struct puppet *puppet, size_t count, size_t bytes)
{
    struct sent *sent =
        make_batch_of(&puppet->key, puppet->sequence + 1, count, bytes, TIME_MS, puppet->chain);
    puppet->sequence += count;
    puppet->chain = sent->chain;
    return sent;
}

static void send_batch(struct rig *rig, uint32_t link, struct sent *sent)
{
    Osr__Frame frame = make_frame(OSR__FRAME__BODY_UPDATE);
    frame.update = &sent->update;
    deliver(rig, link, &frame);
}

static void send_next(struct rig *rig, struct puppet *puppet, size_t count)
{
    struct sent *sent = next_batch(puppet, count, 10);
    send_batch(rig, puppet->link, sent);
    free(sent);
}

/* ---- writing and leading ---- */

/* A write is answered once its batch is stored, signed and committed, not before. */
static void feed_answers_write_after_store_and_signature(void **state)
{
    struct rig *rig = *state;
    rig->hold_signs = true;
    write_one(rig, 7);
    assert_non_null(find_output(rig, OSR_FEED_OUT_STORE, 0));
    assert_none(rig, OSR_FEED_OUT_WRITTEN);
    release_sign(rig, 0);
    assert_commit(rig, 0, osr_feed_instance(rig->core), 1, 1);
    const struct seen *written = find_output(rig, OSR_FEED_OUT_WRITTEN, 0);
    assert_int_equal(written->output.written.token, 7);
    assert_int_equal(written->code, OSR_OK);
    assert_int_equal(written->output.written.first, 1);
}

/* A write larger than a batch becomes several, and is answered once, at the last. */
static void feed_spreads_a_large_write_over_batches(void **state)
{
    struct rig *rig = *state;
    write_with(rig, 7, 8, 300, 0);
    flush(rig);
    assert_true(count_outputs(rig, OSR_FEED_OUT_STORE) > 2);
    assert_int_equal(count_outputs(rig, OSR_FEED_OUT_WRITTEN), 1);
    assert_written(rig, 0, OSR_OK, 1);
    assert_int_equal(rig->record_count, 8);
}

/* An entry larger than a batch is alone in its batch. */
static void feed_gives_a_huge_entry_a_batch_of_its_own(void **state)
{
    struct rig *rig = *state;
    write_with(rig, 1, 1, 10, 0);
    write_with(rig, 2, 1, 3 * BATCH_BYTES, 0);
    write_with(rig, 3, 1, 10, 0);
    flush(rig);
    assert_commit(rig, 0, osr_feed_instance(rig->core), 1, 1);
    assert_commit(rig, 1, osr_feed_instance(rig->core), 2, 2);
    assert_commit(rig, 2, osr_feed_instance(rig->core), 3, 3);
}

/* Writes beyond the limit of what may be pending are refused, and accepted again later. */
static void feed_refuses_writes_over_the_backlog(void **state)
{
    struct rig *rig = *state;
    write_with(rig, 1, 1, 5 * BATCH_BYTES, 0);
    write_with(rig, 2, 1, 10, 0);
    assert_written(rig, 0, OSR_BUSY, 0);
    flush(rig);
    assert_int_equal(osr_feed_backlog(rig->core), 0);
    forget_outputs(rig);
    write_one(rig, 3);
    assert_written(rig, 0, OSR_OK, 2);
}

/* With the disk full every write that is not stored is told so, and the next entry that can be
 * stored gets the sequence that the first of them would have had. */
static void feed_stands_where_it_stood_when_the_disk_is_full(void **state)
{
    struct rig *rig = *state;
    write_one(rig, 1);
    rig->store_code = OSR_DISK_FULL;
    forget_outputs(rig);
    write_with(rig, 2, 2, 10, 0);
    write_with(rig, 3, 1, 10, 0);
    flush(rig);
    assert_int_equal(count_outputs(rig, OSR_FEED_OUT_WRITTEN), 2);
    assert_written(rig, 0, OSR_DISK_FULL, 0);
    assert_written(rig, 1, OSR_DISK_FULL, 0);
    rig->store_code = OSR_OK;
    forget_outputs(rig);
    write_one(rig, 4);
    assert_written(rig, 0, OSR_OK, 2);
}

/* What a follower asked for is read, sent with the origin's key, and goes on as the feed grows. */
static void feed_sends_what_was_fetched(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    write_one(rig, 1);
    join(rig, &puppet, 0);
    send_fetch(rig, &puppet, 1);
    const Osr__Frame *frame = find_frame(rig, 5, OSR__FRAME__BODY_UPDATE);
    assert_non_null(frame);
    assert_int_equal(frame->update->first_sequence, 1);
    assert_string_equal(frame->update->origin, osr_feed_instance(rig->core));
    assert_memory_equal(frame->update->public_key.data, rig->key.bytes, sizeof(rig->key.bytes));
    send_ack(rig, &puppet, 1);
    write_one(rig, 2);
    assert_sent_from(rig, 5, 2);
}

/* What is not acknowledged is sent again from the first entry that is missing. */
static void feed_sends_again_what_is_not_acknowledged(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    join(rig, &puppet, 0);
    send_fetch(rig, &puppet, 1);
    write_one(rig, 1);
    write_one(rig, 2);
    send_ack(rig, &puppet, 1);
    forget_outputs(rig);
    advance(rig, RETRY_MS - 1);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_UPDATE);
    advance(rig, 2);
    assert_sent_from(rig, 5, 2);
    assert_true(has_said(rig, "sending again from 2"));
}

/* A follower that acknowledges nothing is sent a window and no more, however much is written. */
static void feed_keeps_within_the_window(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    join(rig, &puppet, 0);
    send_fetch(rig, &puppet, 1);
    for (uint64_t i = 0; i < 20; i++) {
        write_with(rig, i, 1, 900, 0);
        flush(rig);
    }
    size_t sent = 0;
    for (size_t i = 0; i < rig->seen_count; i++) {
        sent +=
            rig->seen[i].frame != NULL && rig->seen[i].frame->body_case == OSR__FRAME__BODY_UPDATE;
    }
    assert_int_equal(sent, 5); /* the window is passed by at most one batch */
}

/* FETCH after FETCH does not queue up reads. */
static void feed_bounds_reads_under_way(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    write_one(rig, 1);
    join(rig, &puppet, 0);
    rig->hold_reads = true;
    for (int i = 0; i < 50; i++) {
        send_fetch(rig, &puppet, 1);
    }
    assert_int_equal(count_outputs(rig, OSR_FEED_OUT_READ), 2);
}

/* Nobody is sent what he did not ask for, and what he wants no more. */
static void feed_sends_nothing_unasked(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    join(rig, &puppet, 0);
    write_one(rig, 1);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_UPDATE);
    assert_acked(rig, 5, 1);
    send_fetch(rig, &puppet, 2);
    send_fetch(rig, &puppet, 0);
    write_one(rig, 2);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_UPDATE);
}

/* A feed that is not held cannot be had; the link stays. */
static void feed_says_what_it_does_not_hold(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    struct puppet stranger = make_puppet(3, 6);
    join(rig, &puppet, 0);
    send_fetch_of(rig, &puppet, stranger.id, 1);
    assert_told(rig, 5, OSR_NOT_FOUND);
    assert_open(rig);
}

/* On demand a follower is sent again what it has acknowledged long ago. */
static void feed_rewinds_on_demand(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    join(rig, &puppet, 0);
    send_fetch(rig, &puppet, 1);
    write_one(rig, 1);
    send_ack(rig, &puppet, 1);
    forget_outputs(rig);
    step(rig, &(struct osr_feed_event){.type = OSR_FEED_RESEND,
                                       .resend = {.peer = 5, .from_sequence = 1}});
    assert_sent_from(rig, 5, 1);
}

/* ---- waiting for followers ---- */

/* A write that wants a follower is answered by the ACK that reaches it, not by an earlier one. */
static void feed_waits_for_the_ack_that_reaches_the_write(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    join(rig, &puppet, 0);
    write_with(rig, 1, 2, 10, 1);
    flush(rig);
    send_ack(rig, &puppet, 1);
    assert_none(rig, OSR_FEED_OUT_WRITTEN);
    send_ack(rig, &puppet, 2);
    assert_written(rig, 0, OSR_OK, 1);
    assert_int_equal(find_output(rig, OSR_FEED_OUT_WRITTEN, 0)->output.written.acks, 1);
}

/* One follower that says it twice is one follower. */
static void feed_counts_each_follower_once(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    join(rig, &puppet, 0);
    write_with(rig, 1, 1, 10, 2);
    flush(rig);
    send_ack(rig, &puppet, 1);
    link_down(rig, 5);
    puppet.link = 6;
    join(rig, &puppet, 0);
    send_ack(rig, &puppet, 1);
    assert_none(rig, OSR_FEED_OUT_WRITTEN);
    advance(rig, 1000);
    assert_written(rig, 0, OSR_TIMEOUT, 1);
}

/* An ACK beyond the end of the own feed counts for nothing, not even for later writes; the peer
 * is asked to show what it claims, and when it cannot the feed goes on without. */
static void feed_counts_no_ack_beyond_the_end(void **state)
{
    struct rig *rig = *state;
    struct puppet liar = make_puppet(2, 5);
    join(rig, &liar, 0);
    write_one(rig, 1);
    send_ack(rig, &liar, 1000);
    assert_fetched(rig, 5, 2);
    forget_outputs(rig);
    write_with(rig, 2, 1, 10, 1);
    flush(rig);
    assert_none(rig, OSR_FEED_OUT_STORE); /* it may be true */
    for (uint64_t ms = 0; ms < SILENCE_MS; ms += HEARTBEAT_MS) {
        send_ack(rig, &liar, 1001);
        advance(rig, HEARTBEAT_MS);
    }
    assert_true(has_said(rig, "going on without"));
    assert_written(rig, 0, OSR_TIMEOUT, 2);
    assert_int_equal(find_output(rig, OSR_FEED_OUT_WRITTEN, 0)->output.written.acks, 0);
}

/* ---- following ---- */

/* A batch is acknowledged after it is stored and verified, whichever comes last. */
static void feed_acknowledges_after_store_and_verification(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    join(rig, &puppet, 1);
    forget_outputs(rig);
    rig->hold_stores = true;
    send_next(rig, &puppet, 1);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_ACK);
    release_store(rig, 0);
    assert_acked(rig, 5, 1);
    assert_commit(rig, 0, puppet.id, 1, 1);
    rig->hold_stores = false;
    rig->hold_verifies = true;
    forget_outputs(rig);
    send_next(rig, &puppet, 1);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_ACK);
    release_verify(rig, 0);
    assert_acked(rig, 5, 2);
}

/* A batch that comes again is stored once, and acknowledged again. */
static void feed_drops_a_replayed_batch(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    join(rig, &puppet, 2);
    struct sent *sent = next_batch(&puppet, 2, 10);
    send_batch(rig, 5, sent);
    forget_outputs(rig);
    send_batch(rig, 5, sent);
    assert_none(rig, OSR_FEED_OUT_STORE);
    assert_acked(rig, 5, 2);
    assert_open(rig);
    free(sent);
}

/* Of a batch that overlaps what is held only the new part is stored. */
static void feed_takes_the_new_part_of_a_batch(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    join(rig, &puppet, 4);
    send_next(rig, &puppet, 2);
    forget_outputs(rig);
    struct puppet again = make_puppet(2, 5);
    struct sent *sent = next_batch(&again, 4, 10);
    send_batch(rig, 5, sent);
    assert_commit(rig, 0, puppet.id, 3, 4);
    free(sent);
}

/* Where entries are missing nothing is stored, and what is missing is asked for. */
static void feed_asks_again_at_a_gap(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    join(rig, &puppet, 9);
    send_next(rig, &puppet, 2);
    free(next_batch(&puppet, 2, 10)); /* lost */
    forget_outputs(rig);
    send_next(rig, &puppet, 2);
    assert_none(rig, OSR_FEED_OUT_STORE);
    advance(rig, RETRY_MS);
    assert_fetched(rig, 5, 3);
    assert_open(rig);
}

/* A FETCH that was lost is sent again while the peer is known to hold more. */
static void feed_asks_again_when_nothing_comes(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    join(rig, &puppet, 3);
    assert_fetched(rig, 5, 1);
    forget_outputs(rig);
    advance(rig, RETRY_MS + 1);
    assert_fetched(rig, 5, 1);
}

/* When the provider delivers nothing, another that holds more is asked; the first is told. */
static void feed_changes_a_provider_that_delivers_nothing(void **state)
{
    struct rig *rig = *state;
    struct puppet origin = make_puppet(2, 5);
    struct puppet relay = make_puppet(3, 6);
    join(rig, &origin, 3);
    join(rig, &relay, 0);
    send_ack_of(rig, &relay, origin.id, "kb", 3);
    forget_outputs(rig);
    advance(rig, RETRY_MS + 1);
    assert_fetched(rig, 6, 1);
    assert_fetched(rig, 5, 0);
}

/* What a relay sends is taken like what the origin sends. */
static void feed_follows_through_a_relay(void **state)
{
    struct rig *rig = *state;
    struct puppet origin = make_puppet(2, 5);
    struct puppet relay = make_puppet(3, 6);
    join(rig, &relay, 0);
    send_ack_of(rig, &relay, origin.id, "kb", 2);
    assert_fetched(rig, 6, 1);
    origin.link = relay.link;
    send_next(rig, &origin, 2);
    assert_commit(rig, 0, origin.id, 1, 2);
}

/* With the disk full a follower goes back to what is durable, and asks for the rest later. */
static void feed_asks_from_the_durable_cursor_after_disk_full(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    join(rig, &puppet, 4);
    send_next(rig, &puppet, 2);
    rig->store_code = OSR_DISK_FULL;
    forget_outputs(rig);
    send_next(rig, &puppet, 2);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_FETCH);
    rig->store_code = OSR_OK;
    advance(rig, RETRY_MS);
    assert_fetched(rig, 5, 3);
}

/* A batch that is in the log already stays there when the one behind it finds no room. */
static void feed_keeps_what_was_stored_before_disk_full(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    join(rig, &puppet, 4);
    rig->hold_verifies = true;
    send_next(rig, &puppet, 2);
    rig->store_code = OSR_DISK_FULL;
    send_next(rig, &puppet, 2);
    rig->store_code = OSR_OK;
    size_t verifies = count_outputs(rig, OSR_FEED_OUT_VERIFY);
    for (size_t i = 0; i < verifies; i++) {
        release_verify(rig, i);
    }
    assert_commit(rig, 0, puppet.id, 1, 2);
    forget_outputs(rig);
    rig->hold_verifies = false;
    advance(rig, RETRY_MS);
    assert_fetched(rig, 5, 3);
}

/* An entry from far in the future is kept, but moves our clock by five minutes at most. */
static void feed_clock_is_not_dragged_into_the_future(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    join(rig, &puppet, 1);
    struct sent *sent = make_batch_of(&puppet.key, 1, 1, 10, TIME_MS + 86400000, puppet.chain);
    send_batch(rig, 5, sent);
    assert_commit(rig, 0, puppet.id, 1, 1);
    write_one(rig, 1);
    const struct seen *written = find_output(rig, OSR_FEED_OUT_WRITTEN, 0);
    assert_true(written->output.written.first_time.ms <= TIME_MS + OSR_CLOCK_DRIFT_MAX_MS);
    assert_true(written->output.written.first_time.ms > TIME_MS);
    free(sent);
}

/* ---- peers that break the rules ---- */

/* Sends one batch that was tampered with, and expects the link to be closed with this code. */
static void assert_batch_refused(void (*tamper)(struct sent *), enum osr_code code)
{
    struct rig *rig = rig_create();
    struct puppet puppet = make_puppet(2, 5);
    join(rig, &puppet, 3);
    forget_outputs(rig);
    struct sent *sent = next_batch(&puppet, 3, 10);
    tamper(sent);
    send_batch(rig, 5, sent);
    assert_closed(rig, 5, code);
    assert_none(rig, OSR_FEED_OUT_COMMIT);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_ACK);
    free(sent);
    rig_destroy(rig);
}

static void forge_chain(struct sent *sent)
{
    sent->chain.bytes[0] ^= 1;
}

static void forge_entry(struct sent *sent)
{
    sent->text[0] = '2';
}

static void forge_order(struct sent *sent)
{
    sent->entries[1].sequence = 3;
}

static void forge_key(struct sent *sent)
{
    sent->key = key_of(9);
}

static void forge_stream(struct sent *sent)
{
    sent->update.stream = "secrets";
}

static void forge_origin(struct sent *sent)
{
    sent->update.origin = "../../etc/passwd";
}

static void forge_epoch(struct sent *sent)
{
    sent->update.epoch = 0;
}

static void forge_first(struct sent *sent)
{
    sent->update.first_sequence = UINT64_MAX - 1;
}

static void cut_signature(struct sent *sent)
{
    sent->update.signature.len = 63;
}

static void empty_batch(struct sent *sent)
{
    sent->update.n_entries = 0;
}

static void use_a_time_twice(struct sent *sent)
{
    sent->entries[2].time_logical = sent->entries[1].time_logical;
    seal(sent, (struct osr_hash){{0}});
}

static void lose_document(struct sent *sent)
{
    sent->entries[2].document = NULL;
}

static void unknown_format(struct sent *sent)
{
    sent->entries[0].format = 99;
}

/* Entries that do not hash to the chain value given are refused. */
static void feed_refuses_a_forged_hash(void **state)
{
    (void)state;
    assert_batch_refused(forge_chain, OSR_BAD_HASH);
    assert_batch_refused(forge_entry, OSR_BAD_HASH);
}

/* A batch under another key than the origin's is refused. */
static void feed_refuses_a_foreign_key(void **state)
{
    (void)state;
    assert_batch_refused(forge_key, OSR_BAD_SIGNATURE);
}

/* Fields that no peer may send are refused, each with its code. */
static void feed_refuses_malformed_batches(void **state)
{
    (void)state;
    assert_batch_refused(forge_order, OSR_SEQUENCE_GAP);
    assert_batch_refused(forge_stream, OSR_INVALID_ARGUMENT);
    assert_batch_refused(forge_origin, OSR_INVALID_ARGUMENT);
    assert_batch_refused(forge_epoch, OSR_INVALID_ARGUMENT);
    assert_batch_refused(forge_first, OSR_INVALID_ARGUMENT);
    assert_batch_refused(cut_signature, OSR_INVALID_ARGUMENT);
    assert_batch_refused(empty_batch, OSR_TOO_LARGE);
    assert_batch_refused(use_a_time_twice, OSR_INVALID_ARGUMENT);
    assert_batch_refused(lose_document, OSR_INVALID_ARGUMENT);
    assert_batch_refused(unknown_format, OSR_UNSUPPORTED_VERSION);
}

/* A forged signature is found out beside the store: what was stored is cut off again, nothing
 * is shown or acknowledged, and the feed goes on from an honest peer. */
static void feed_cuts_off_a_forged_signature(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    join(rig, &puppet, 3);
    send_next(rig, &puppet, 1);
    forget_outputs(rig);
    struct sent *sent = next_batch(&puppet, 2, 10);
    struct osr_signature good = sent->signature;
    sent->signature.bytes[3] ^= 1;
    send_batch(rig, 5, sent);
    const struct seen *truncate = find_output(rig, OSR_FEED_OUT_TRUNCATE, 0);
    assert_non_null(truncate);
    assert_string_equal(truncate->feed, puppet.id);
    assert_int_equal(truncate->output.truncate.sequence, 1);
    assert_closed(rig, 5, OSR_BAD_SIGNATURE);
    assert_none(rig, OSR_FEED_OUT_COMMIT);
    link_down(rig, 5);
    puppet.link = 6;
    join(rig, &puppet, 3);
    assert_fetched(rig, 6, 2);
    sent->signature = good;
    send_batch(rig, 6, sent);
    assert_commit(rig, 0, puppet.id, 2, 3);
    free(sent);
}

/* A peer that sends two windows beyond what is acknowledged is closed. */
static void feed_closes_a_flood_over_the_window(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    join(rig, &puppet, 100);
    rig->hold_stores = true;
    const size_t entry_bytes = 1000;
    for (size_t i = 0; i < 3 * WINDOW_BYTES / entry_bytes; i++) {
        struct sent *sent = next_batch(&puppet, 1, entry_bytes);
        send_batch(rig, 5, sent);
        free(sent);
    }
    assert_closed(rig, 5, OSR_FLOW_CONTROL);
    assert_true(count_outputs(rig, OSR_FEED_OUT_STORE) <= 2 * WINDOW_BYTES / entry_bytes + 1);
}

/* Nothing about feeds is taken from a peer that has not proved who it is. */
static void feed_refuses_update_before_proof(void **state)
{
    (void)state;
    for (int with_hello = 0; with_hello < 2; with_hello++) {
        struct rig *rig = rig_create();
        struct puppet puppet = make_puppet(2, 5);
        link_up(rig, 5, false);
        if (with_hello) {
            send_hello(rig, &puppet, NULL, 0);
        }
        send_next(rig, &puppet, 1);
        assert_closed(rig, 5, OSR_UNAUTHENTICATED);
        assert_none(rig, OSR_FEED_OUT_STORE);
        rig_destroy(rig);
    }
}

/* A peer that says whom it is and cannot prove it is refused. */
static void feed_refuses_a_forged_proof(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    greet(rig, &puppet, false);
    puppet.nonce ^= 1; /* signs another link's nonce: a proof replayed from there */
    send_proof(rig, &puppet);
    assert_closed(rig, 5, OSR_UNAUTHENTICATED);
    assert_none(rig, OSR_FEED_OUT_IDENTIFIED);
}

/* Another's id with one's own key is refused. */
static void feed_refuses_a_stolen_id(void **state)
{
    struct rig *rig = *state;
    struct puppet victim = make_puppet(2, 5);
    struct puppet thief = make_puppet(3, 5);
    memcpy(thief.id, victim.id, sizeof(thief.id));
    greet(rig, &thief, false);
    send_proof(rig, &thief);
    assert_closed(rig, 5, OSR_UNAUTHENTICATED);
}

/* What a peer may say while its proof is being verified is kept, and takes effect after. */
static void feed_keeps_what_is_said_while_a_proof_is_verified(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    write_one(rig, 1);
    greet(rig, &puppet, false);
    rig->hold_verifies = true;
    send_proof(rig, &puppet);
    send_fetch(rig, &puppet, 1);
    assert_open(rig);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_UPDATE);
    release_verify(rig, 0);
    assert_non_null(find_frame(rig, 5, OSR__FRAME__BODY_UPDATE));
}

/* Clusters are kept apart by name. */
static void feed_refuses_another_cluster(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    puppet.cluster = "other";
    greet(rig, &puppet, false);
    assert_closed(rig, 5, OSR_WRONG_CLUSTER);
}

/* An instance that dials itself is told so. */
static void feed_refuses_itself(void **state)
{
    struct rig *rig = *state;
    struct puppet mirror = make_puppet(OWN_NUMBER, 5); /* own key, own boot */
    greet(rig, &mirror, true);
    assert_closed(rig, 5, OSR_INVALID_ARGUMENT);
    assert_true(has_said(rig, "the instance itself"));
}

/* A second process with our own identity is refused. */
static void feed_refuses_its_own_identity_in_another_process(void **state)
{
    struct rig *rig = *state;
    struct puppet twin = make_puppet(OWN_NUMBER, 5);
    twin.boot = 9;
    greet(rig, &twin, true);
    assert_closed(rig, 5, OSR_DUPLICATE_IDENTITY);
}

/* Of two processes with one identity the second is refused while the first is alive. */
static void feed_refuses_a_second_process_of_a_peer(void **state)
{
    struct rig *rig = *state;
    struct puppet first = make_puppet(2, 5);
    struct puppet second = make_puppet(2, 6);
    second.boot = 9;
    join(rig, &first, 0);
    join(rig, &second, 0);
    assert_closed(rig, 6, OSR_DUPLICATE_IDENTITY);
}

/* A peer that was restarted takes the place of its old link once that has fallen silent. */
static void feed_lets_a_restarted_peer_replace_its_silent_link(void **state)
{
    struct rig *rig = *state;
    struct puppet first = make_puppet(2, 5);
    struct puppet second = make_puppet(2, 6);
    second.boot = 9;
    join(rig, &first, 0);
    advance(rig, 2 * HEARTBEAT_MS + 1);
    forget_outputs(rig);
    join(rig, &second, 0);
    assert_closed(rig, 5, OSR_CANCELLED);
    assert_non_null(find_output(rig, OSR_FEED_OUT_IDENTIFIED, 0));
}

/* Which of two links to one process stays depends on who dialled and on the ids alone, so that
 * both sides keep the same one. */
static void feed_keeps_the_link_that_the_smaller_id_dialled(void **state)
{
    (void)state;
    for (int dialled_first = 0; dialled_first < 2; dialled_first++) {
        struct rig *rig = rig_create();
        struct puppet first = make_puppet(2, 5);
        struct puppet second = make_puppet(2, 6);
        greet(rig, &first, dialled_first);
        send_proof(rig, &first);
        greet(rig, &second, !dialled_first);
        send_proof(rig, &second);
        bool we_are_smaller = strcmp(osr_feed_instance(rig->core), first.id) < 0;
        bool first_stays = we_are_smaller == dialled_first;
        assert_closed(rig, first_stays ? 6 : 5, OSR_CANCELLED);
        rig_destroy(rig);
    }
}

/* A HELLO that names more feeds than an instance can hold is refused. */
static void feed_refuses_too_many_held_feeds(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    Osr__FeedHead head = make_held(puppet.id, 1);
    Osr__FeedHead **held = osr_alloc((OSR_FEEDS_MAX + 1) * sizeof(held[0]));
    for (size_t i = 0; i <= OSR_FEEDS_MAX; i++) {
        held[i] = &head;
    }
    link_up(rig, 5, false);
    send_hello(rig, &puppet, held, OSR_FEEDS_MAX + 1);
    assert_closed(rig, 5, OSR_TOO_LARGE);
    free(held);
}

/* The number-th of many feeds whose origins nobody has ever seen. */
static struct osr_feed_id make_up_feed(size_t number)
{
    struct osr_feed_id feed = {.stream = "kb", .epoch = 1};
    memset(feed.origin, 'a', OSR_INSTANCE_CHARS);
    for (size_t k = 0; k < 4; k++, number /= 26) {
        feed.origin[k] = (char)('a' + number % 26);
    }
    return feed;
}

static void tell_of_made_up_feeds(struct rig *rig, const struct puppet *puppet, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        send_ack_of(rig, puppet, make_up_feed(i).origin, "kb", 1);
        forget_outputs(rig);
    }
}

/* Made-up origins fill their part of the table of feeds, and leave room for a peer's own. */
static void feed_bounds_the_feeds_it_holds(void **state)
{
    struct rig *rig = *state;
    struct puppet liar = make_puppet(2, 5);
    join(rig, &liar, 0);
    tell_of_made_up_feeds(rig, &liar, OSR_FEEDS_MAX + 10);
    assert_int_equal(osr_feed_count(rig->core), OSR_FEEDS_TOLD_MAX);
    struct puppet honest = make_puppet(3, 6);
    join(rig, &honest, 1);
    assert_int_equal(osr_feed_count(rig->core), OSR_FEEDS_TOLD_MAX + 1);
    assert_fetched(rig, 6, 1);
}

/* Feeds that are known by name alone go with the link that told of them. */
static void feed_forgets_rumours(void **state)
{
    struct rig *rig = *state;
    struct puppet liar = make_puppet(2, 5);
    struct puppet other = make_puppet(3, 6);
    join(rig, &liar, 0);
    join(rig, &other, 0);
    size_t before = osr_feed_count(rig->core);
    tell_of_made_up_feeds(rig, &liar, 20);
    tell_of_made_up_feeds(rig, &other, 5);
    assert_int_equal(osr_feed_count(rig->core), before + 20);
    link_down(rig, 5);
    assert_int_equal(osr_feed_count(rig->core), before + 5);
    link_down(rig, 6);
    assert_int_equal(osr_feed_count(rig->core), before);
}

/* Statements about feeds that cannot be are refused. */
static void feed_refuses_statements_about_impossible_feeds(void **state)
{
    (void)state;
    const struct {
        const char *origin;
        const char *stream;
    } cases[] = {{"", "kb"}, {"ABC", "kb"}, {NULL, "secrets"}, {NULL, ""}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rig *rig = rig_create();
        struct puppet puppet = make_puppet(2, 5);
        join(rig, &puppet, 0);
        send_ack_of(rig, &puppet, cases[i].origin != NULL ? cases[i].origin : puppet.id,
                    cases[i].stream, 1);
        assert_closed(rig, 5, OSR_INVALID_ARGUMENT);
        rig_destroy(rig);
    }
}

/* A frame that has no place between instances is refused. */
static void feed_refuses_other_frames(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    join(rig, &puppet, 0);
    const Osr__Frame frame = make_frame(OSR__FRAME__BODY__NOT_SET);
    deliver(rig, 5, &frame);
    assert_closed(rig, 5, OSR_UNKNOWN_TYPE);
}

/* One link more than there is room for is refused; the others go on. */
static void feed_refuses_links_over_the_limit(void **state)
{
    (void)state;
    struct rig *rig = rig_create_stopped(1);
    start_with(rig, NULL, 0);
    struct puppet puppet = make_puppet(2, 5);
    join(rig, &puppet, 0);
    forget_outputs(rig);
    link_up(rig, 6, false);
    assert_closed(rig, 6, OSR_BUSY);
    send_ack(rig, &puppet, 0);
    assert_int_equal(count_outputs(rig, OSR_FEED_OUT_CLOSE), 1);
    rig_destroy(rig);
}

/* A link on which nothing is heard is asked, then closed; so is one that never proves itself. */
static void feed_closes_silent_links(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    join(rig, &puppet, 0);
    link_up(rig, 6, false);
    forget_outputs(rig);
    advance(rig, HEARTBEAT_MS + 1);
    assert_non_null(find_frame(rig, 5, OSR__FRAME__BODY_PING));
    assert_open(rig);
    advance(rig, SILENCE_MS);
    assert_int_equal(count_outputs(rig, OSR_FEED_OUT_CLOSE), 2);
    assert_int_equal(find_output(rig, OSR_FEED_OUT_CLOSE, 0)->code, OSR_TIMEOUT);
    assert_int_equal(find_output(rig, OSR_FEED_OUT_CLOSE, 1)->code, OSR_TIMEOUT);
}

/* ---- restart ---- */

/* What the log of a follower gave back: two batches of a puppet's feed. */
struct restored_batches {
    struct sent *older;
    struct sent *newer;
    struct osr_feed_head older_head;
    struct osr_feed_restored feed;
};

static struct restored_batches restore_two(struct puppet *puppet)
{
    struct restored_batches batches = {0};
    batches.older = next_batch(puppet, 2, 10);
    batches.newer = next_batch(puppet, 2, 10);
    batches.older_head = (struct osr_feed_head){2, batches.older->chain, batches.older->signature};
    batches.feed = (struct osr_feed_restored){.id = batches.newer->feed,
                                              .public_key = puppet->key,
                                              .sequence = 4,
                                              .chain = batches.newer->chain,
                                              .time = {TIME_MS, 4},
                                              .head_sequence = 4,
                                              .head_chain = batches.newer->chain,
                                              .head_signature = batches.newer->signature};
    return batches;
}

static void free_restored(struct restored_batches *batches)
{
    free(batches->older);
    free(batches->newer);
}

/* A restored feed is verified, shown once, and asked for from its end. */
static void feed_continues_where_the_log_ends(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    struct restored_batches batches = restore_two(&puppet);
    start_with(rig, &batches.feed, 1);
    assert_commit(rig, 0, osr_feed_instance(rig->core), 0, 0);
    assert_commit(rig, 1, puppet.id, 0, 4);
    join(rig, &puppet, 6);
    assert_fetched(rig, 5, 5);
    send_next(rig, &puppet, 2);
    assert_commit(rig, 2, puppet.id, 5, 6);
    free_restored(&batches);
}

/* A log that is full of feeds, none of which is our own because the key was replaced, is taken as
 * it is, with the own feed beside it. HELLO names as many as it may, the own first; the rest is
 * said once the link is up. Of more feeds than that nobody may tell. */
static void feed_has_room_for_its_own_beside_a_full_log(void **state)
{
    struct rig *rig = *state;
    struct puppet origin = make_puppet(2, 5);
    struct restored_batches batches = restore_two(&origin);
    struct osr_feed_restored *feeds = osr_alloc(OSR_FEEDS_MAX * sizeof(feeds[0]));
    for (size_t i = 0; i < OSR_FEEDS_MAX - 1; i++) {
        feeds[i].id = make_up_feed(i);
    }
    feeds[OSR_FEEDS_MAX - 1] = batches.feed;
    start_with(rig, feeds, OSR_FEEDS_MAX);
    assert_int_equal(osr_feed_count(rig->core), OSR_FEEDS_MAX + 1);
    assert_int_equal(count_outputs(rig, OSR_FEED_OUT_COMMIT), OSR_FEEDS_MAX + 1);
    forget_outputs(rig);
    write_one(rig, 1);
    assert_written(rig, 0, OSR_OK, 1);

    struct puppet peer = make_puppet(3, 6);
    join(rig, &peer, 1);
    const Osr__Hello *hello = find_frame(rig, 6, OSR__FRAME__BODY_HELLO)->hello;
    assert_int_equal(hello->n_held, OSR_FEEDS_MAX);
    assert_string_equal(hello->held[0]->origin, osr_feed_instance(rig->core));
    const Osr__Ack *ack = find_frame(rig, 6, OSR__FRAME__BODY_ACK)->ack;
    assert_string_equal(ack->origin, origin.id);
    assert_int_equal(ack->sequence, 4);
    assert_int_equal(osr_feed_count(rig->core), OSR_FEEDS_MAX + 1);
    assert_open(rig);
    free(feeds);
    free_restored(&batches);
}

/* A foreign tail without a signature is cut off. */
static void feed_cuts_an_unsigned_tail(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    struct restored_batches batches = restore_two(&puppet);
    batches.feed.head_sequence = 2;
    batches.feed.head_chain = batches.older->chain;
    batches.feed.head_signature = batches.older->signature;
    start_with(rig, &batches.feed, 1);
    const struct seen *truncate = find_output(rig, OSR_FEED_OUT_TRUNCATE, 0);
    assert_non_null(truncate);
    assert_int_equal(truncate->output.truncate.sequence, 2);
    assert_commit(rig, 1, puppet.id, 0, 2);
    free_restored(&batches);
}

/* A crash may come between a forged batch and its being cut off: what was good before it is kept,
 * for it was acknowledged. */
static void feed_falls_back_to_the_last_good_head(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    struct restored_batches batches = restore_two(&puppet);
    batches.feed.head_signature.bytes[0] ^= 1;
    batches.feed.older_heads = &batches.older_head;
    batches.feed.older_head_count = 1;
    start_with(rig, &batches.feed, 1);
    assert_int_equal(find_output(rig, OSR_FEED_OUT_TRUNCATE, 0)->output.truncate.sequence, 2);
    assert_commit(rig, 1, puppet.id, 0, 2);
    free_restored(&batches);
}

/* The own tail is signed again after a crash, and only then offered. */
static void feed_signs_its_own_tail_again(void **state)
{
    struct rig *rig = *state;
    struct puppet self = make_puppet(OWN_NUMBER, 5);
    struct restored_batches batches = restore_two(&self);
    batches.feed.head_sequence = 0;
    rig->hold_signs = true;
    start_with(rig, &batches.feed, 1);
    assert_none(rig, OSR_FEED_OUT_COMMIT);
    assert_non_null(find_output(rig, OSR_FEED_OUT_SIGN, 0));
    rig->hold_signs = false;
    write_one(rig, 1);
    assert_none(rig, OSR_FEED_OUT_STORE);
    rig->record_count = 4;
    release_sign(rig, 0);
    assert_commit(rig, 0, self.id, 0, 4);
    assert_commit(rig, 1, self.id, 5, 5);
    const struct seen *store = find_output(rig, OSR_FEED_OUT_STORE, 0);
    assert_int_equal(store->output.store.head_sequence, 4);
    const struct seen *written = find_output(rig, OSR_FEED_OUT_WRITTEN, 0);
    struct osr_time last = {TIME_MS, 4};
    assert_true(osr_time_compare(written->output.written.first_time, last) > 0);
    free_restored(&batches);
}

/* An instance whose folder was restored from a backup takes back from a peer what it had written
 * since, before it writes on: no sequence is used twice. */
static void feed_fetches_its_own_lost_tail_before_it_writes(void **state)
{
    struct rig *rig = *state;
    struct puppet self = make_puppet(OWN_NUMBER, 5);
    struct restored_batches batches = restore_two(&self);
    struct puppet peer = make_puppet(3, 6);
    join_claiming(rig, &peer, 4);
    assert_fetched(rig, 6, 1);
    write_one(rig, 1);
    assert_none(rig, OSR_FEED_OUT_STORE);
    for (int i = 0; i < 2; i++) { /* slowly, but surely */
        advance(rig, SILENCE_MS / 2);
        send_ack(rig, &peer, 4);
        assert_none(rig, OSR_FEED_OUT_WRITTEN);
        send_batch(rig, 6, i == 0 ? batches.older : batches.newer);
        advance(rig, SILENCE_MS / 2 - 1);
        send_ack(rig, &peer, 4);
    }
    assert_written(rig, 0, OSR_OK, 5);
    free_restored(&batches);
}

/* Writes one entry, and says how long it waits to be stored while the peer is linked. */
static uint64_t time_a_write(struct rig *rig, const struct puppet *peer)
{
    const uint64_t pace_ms = HEARTBEAT_MS / 4;
    uint64_t begin_ms = rig->now_ms;
    forget_outputs(rig);
    write_one(rig, 1);
    while (find_output(rig, OSR_FEED_OUT_STORE, 0) == NULL) {
        assert_true(rig->now_ms < begin_ms + 10 * SILENCE_MS);
        advance(rig, pace_ms);
        send_ack(rig, peer, 0); /* it is not silent */
    }
    return rig->now_ms - begin_ms;
}

/* Writes wait once for a peer that claims more of our own feed than there is and does not show
 * it, not again whenever it links anew. */
static void feed_waits_once_for_a_claim_that_is_not_shown(void **state)
{
    struct rig *rig = *state;
    struct puppet liar = make_puppet(2, 5);
    join_claiming(rig, &liar, 1000);
    assert_fetched(rig, 5, 1);
    assert_in_range(time_a_write(rig, &liar), SILENCE_MS, SILENCE_MS + HEARTBEAT_MS);
    for (int i = 0; i < 3; i++) {
        link_down(rig, liar.link);
        liar.link++;
        forget_outputs(rig);
        join_claiming(rig, &liar, 1000 - (uint64_t)i);
        assert_not_sent(rig, liar.link, OSR__FRAME__BODY_FETCH);
        assert_int_equal(time_a_write(rig, &liar), 0);
    }
}

/* Who links anew before its time is up gets no more time by that. */
static void feed_counts_the_wait_for_a_claim_across_links(void **state)
{
    struct rig *rig = *state;
    struct puppet liar = make_puppet(2, 5);
    for (int i = 0; i < 2; i++) {
        join_claiming(rig, &liar, 1000);
        advance(rig, SILENCE_MS / 2 - 1);
        assert_false(has_said(rig, "going on without"));
        link_down(rig, liar.link);
        advance(rig, SILENCE_MS); /* does not count: nothing waits for who is gone */
        liar.link++;
    }
    join_claiming(rig, &liar, 1000);
    assert_true(time_a_write(rig, &liar) < HEARTBEAT_MS);
    assert_true(has_said(rig, "going on without"));
}

/* A larger claim than the one that was not shown may be true: it is waited for again, and what is
 * shown of it is taken. */
static void feed_takes_a_larger_claim_after_one_that_was_not_shown(void **state)
{
    struct rig *rig = *state;
    struct puppet self = make_puppet(OWN_NUMBER, 5);
    struct restored_batches batches = restore_two(&self);
    struct puppet peer = make_puppet(3, 6);
    join_claiming(rig, &peer, 2);
    advance(rig, SILENCE_MS / 2);
    send_ack(rig, &peer, 2);
    advance(rig, SILENCE_MS / 2);
    assert_true(has_said(rig, "going on without"));
    forget_outputs(rig);
    send_ack(rig, &peer, 4);
    assert_fetched(rig, 6, 1);
    write_one(rig, 1);
    assert_none(rig, OSR_FEED_OUT_STORE);
    send_batch(rig, 6, batches.older);
    send_batch(rig, 6, batches.newer);
    assert_written(rig, 0, OSR_OK, 5);
    free_restored(&batches);
}

/* Who claims a little more each time is waited for less each time: in all less than twice. */
static void feed_bounds_the_wait_for_growing_claims(void **state)
{
    struct rig *rig = *state;
    struct puppet liar = make_puppet(2, 5);
    uint64_t waited_ms = 0;
    for (uint64_t i = 0; i < 30; i++, liar.link++) {
        join_claiming(rig, &liar, 1000 + i);
        uint64_t pace_ms = HEARTBEAT_MS / 4; /* how exactly a wait is measured */
        uint64_t ms = time_a_write(rig, &liar);
        waited_ms += ms > pace_ms ? ms - pace_ms : 0;
        link_down(rig, liar.link);
    }
    assert_in_range(waited_ms, SILENCE_MS, 2 * SILENCE_MS);
}

/* While entries of ours that were lost come from one peer, others that could show them too do not
 * lose their claims: they are asked when that one goes. */
static void feed_keeps_other_claims_while_its_lost_tail_comes(void **state)
{
    (void)state;
    for (uint32_t leaving = 6; leaving <= 7; leaving++) {
        struct rig *rig = rig_create();
        struct puppet self = make_puppet(OWN_NUMBER, 5);
        struct restored_batches batches = restore_two(&self);
        const struct puppet peers[] = {make_puppet(3, 6), make_puppet(4, 7)};
        join_claiming(rig, &peers[0], 4);
        join_claiming(rig, &peers[1], 4);
        write_one(rig, 1);
        for (int i = 0; i < 2; i++) {
            advance(rig, SILENCE_MS * 2 / 3);
            send_ack(rig, &peers[0], 4);
            send_ack(rig, &peers[1], 4);
            send_batch(rig, leaving, batches.older);
        }
        link_down(rig, leaving);
        forget_outputs(rig);
        advance(rig, (uint64_t)RETRY_MS << 4);
        uint32_t staying = 6 + 7 - leaving;
        assert_fetched(rig, staying, 3);
        assert_none(rig, OSR_FEED_OUT_STORE);
        send_batch(rig, staying, batches.newer);
        assert_written(rig, 0, OSR_OK, 5);
        free_restored(&batches);
        rig_destroy(rig);
    }
}

/* A full disk here is not the fault of a peer that shows what it claims: no time runs. */
static void feed_keeps_claims_while_its_disk_is_full(void **state)
{
    struct rig *rig = *state;
    struct puppet self = make_puppet(OWN_NUMBER, 5);
    struct restored_batches batches = restore_two(&self);
    struct puppet peer = make_puppet(3, 6);
    join_claiming(rig, &peer, 4);
    rig->store_code = OSR_DISK_FULL;
    for (int i = 0; i < 4; i++) {
        send_batch(rig, 6, batches.older);
        advance(rig, SILENCE_MS / 2);
    }
    rig->store_code = OSR_OK;
    write_one(rig, 1);
    send_batch(rig, 6, batches.older);
    send_batch(rig, 6, batches.newer);
    assert_written(rig, 0, OSR_OK, 5);
    free_restored(&batches);
}

/* A peer that has shown another branch of our own feed need not show it again on each link. */
static void feed_asks_once_for_another_branch_of_its_own(void **state)
{
    struct rig *rig = *state;
    write_one(rig, 1);
    struct puppet self = make_puppet(OWN_NUMBER, 5);
    free(next_batch(&self, 1, 20)); /* not what the test wrote */
    struct puppet peer = make_puppet(3, 6);
    join_claiming(rig, &peer, 2);
    assert_fetched(rig, 6, 2);
    struct sent *other = next_batch(&self, 1, 10);
    send_batch(rig, 6, other);
    assert_told(rig, 6, OSR_FORKED);
    link_down(rig, 6);
    forget_outputs(rig);
    peer.link = 7;
    join_claiming(rig, &peer, 2);
    assert_not_sent(rig, 7, OSR__FRAME__BODY_FETCH);
    assert_int_equal(time_a_write(rig, &peer), 0);
    free(other);
}

/* Two histories of one feed, both signed: the peer that holds the other one is told, and the
 * rest goes on. */
static void feed_reports_a_fork(void **state)
{
    struct rig *rig = *state;
    struct puppet origin = make_puppet(2, 5);
    struct puppet relay = make_puppet(3, 6);
    join(rig, &origin, 2);
    join(rig, &relay, 0);
    struct sent *other = make_batch_of(&origin.key, 1, 2, 20, TIME_MS, origin.chain);
    send_next(rig, &origin, 2);
    send_batch(rig, 6, other);
    assert_told(rig, 6, OSR_FORKED);
    assert_open(rig);
    send_next(rig, &origin, 1);
    assert_commit(rig, 1, origin.id, 3, 3);
    free(other);
}

/* The own feed forked: a peer holds entries that do not follow on ours. It is told, not closed, and
 * writing goes on. */
static void feed_writes_on_when_its_own_feed_forked(void **state)
{
    struct rig *rig = *state;
    write_one(rig, 1);
    struct puppet self = make_puppet(OWN_NUMBER, 5);
    free(next_batch(&self, 1, 20)); /* not what the test wrote */
    struct puppet peer = make_puppet(3, 6);
    join(rig, &peer, 0);
    send_ack_of(rig, &peer, self.id, "kb", 2);
    forget_outputs(rig);
    write_one(rig, 2);
    assert_none(rig, OSR_FEED_OUT_STORE);
    struct sent *other = next_batch(&self, 1, 10);
    send_batch(rig, 6, other);
    assert_told(rig, 6, OSR_FORKED);
    assert_open(rig);
    assert_written(rig, 0, OSR_OK, 2);
    free(other);
}

/* A peer whose HELLO shows another chain at our sequence holds another branch: it is told, and not
 * asked for that feed. */
static void feed_reports_a_fork_seen_in_hello(void **state)
{
    struct rig *rig = *state;
    struct puppet origin = make_puppet(2, 5);
    join(rig, &origin, 2);
    send_next(rig, &origin, 2);
    link_down(rig, 5);
    forget_outputs(rig);
    struct puppet relay = make_puppet(3, 6);
    uint8_t other_chain[OSR_SHA256_SIZE] = {1};
    Osr__FeedHead head = make_held(origin.id, 2);
    head.chain = (ProtobufCBinaryData){sizeof(other_chain), other_chain};
    join_holding(rig, &relay, head);
    assert_told(rig, 6, OSR_FORKED);
    assert_not_sent(rig, 6, OSR__FRAME__BODY_FETCH);
    assert_open(rig);
}

/* Where the disk is too full even to cut a forged batch off, that is tried again; until then
 * nothing is taken for the feed. */
static void feed_cuts_again_when_the_disk_was_full(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    join(rig, &puppet, 1);
    struct sent *sent = next_batch(&puppet, 1, 10);
    sent->signature.bytes[0] ^= 1;
    rig->hold_stores = true;
    send_batch(rig, 5, sent);
    const struct seen *truncate = find_output(rig, OSR_FEED_OUT_TRUNCATE, 0);
    assert_non_null(truncate);
    step(rig, &(struct osr_feed_event){
                  .type = OSR_FEED_STORED,
                  .stored = {.ticket = truncate->output.truncate.ticket, .code = OSR_DISK_FULL}});
    rig->hold_stores = false;
    link_down(rig, 5);
    forget_outputs(rig);
    puppet.link = 6;
    join(rig, &puppet, 1);
    assert_not_sent(rig, 6, OSR__FRAME__BODY_FETCH);
    advance(rig, RETRY_MS);
    assert_int_equal(count_outputs(rig, OSR_FEED_OUT_TRUNCATE), 1);
    assert_fetched(rig, 6, 1);
    free(sent);
}

/* A read that gives nothing is tried again after a while. */
static void feed_reads_again_what_could_not_be_read(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    write_one(rig, 1);
    join(rig, &puppet, 0);
    rig->hold_reads = true;
    send_fetch(rig, &puppet, 1);
    const struct seen *read = find_output(rig, OSR_FEED_OUT_READ, 0);
    step(rig, &(struct osr_feed_event){.type = OSR_FEED_READ_DONE,
                                       .read_done = {.ticket = read->output.read.ticket}});
    assert_int_equal(count_outputs(rig, OSR_FEED_OUT_READ), 1);
    rig->hold_reads = false;
    advance(rig, RETRY_MS);
    assert_non_null(find_frame(rig, 5, OSR__FRAME__BODY_UPDATE));
}

/* What comes for a read that was overtaken by a FETCH is not sent. */
static void feed_drops_a_read_that_was_rewound(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    write_one(rig, 1);
    write_one(rig, 2);
    join(rig, &puppet, 0);
    rig->hold_reads = true;
    send_fetch(rig, &puppet, 2);
    struct osr_feed_output read = find_output(rig, OSR_FEED_OUT_READ, 0)->output;
    send_fetch(rig, &puppet, 1);
    answer_read(rig, &read);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_UPDATE);
}

/* Batches whose signatures are not verified yet are bounded in number, so that a restart can look
 * behind all of them; what is over is asked for again. */
static void feed_bounds_unverified_batches(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    join(rig, &puppet, OSR_FEED_UNVERIFIED_MAX + 1);
    rig->hold_verifies = true;
    for (int i = 0; i <= OSR_FEED_UNVERIFIED_MAX; i++) {
        send_next(rig, &puppet, 1);
    }
    assert_int_equal(count_outputs(rig, OSR_FEED_OUT_STORE), OSR_FEED_UNVERIFIED_MAX);
    assert_open(rig);
}

/* Instances that come and go are forgotten, the longest gone first. */
static void feed_bounds_the_instances_it_remembers(void **state)
{
    struct rig *rig = *state;
    uint32_t link = 10;
    for (int i = 0; i < 300; i++, link++) {
        struct puppet puppet = make_puppet(0, link);
        puppet.key.bytes[0] = (uint8_t)i;
        puppet.key.bytes[1] = (uint8_t)(i >> 8);
        osr_instance_id(puppet.id, &puppet.key);
        join(rig, &puppet, 0);
        send_ack(rig, &puppet, 0);
        rig->now_ms++;
        link_down(rig, link);
        forget_outputs(rig);
    }
    assert_int_equal(osr_feed_follower_count(rig->core, 0), 256);
}

/* Feeds and followers as `feeds` and `status` show them. */
static void feed_tells_who_holds_what(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = make_puppet(2, 5);
    join(rig, &puppet, 7);
    send_fetch(rig, &puppet, 1);
    write_one(rig, 1);
    write_one(rig, 2);
    send_ack(rig, &puppet, 1);
    struct osr_feed_info info;
    osr_feed_info(rig->core, 0, &info);
    assert_true(info.own);
    assert_int_equal(info.sequence, 2);
    osr_feed_info(rig->core, 1, &info);
    assert_string_equal(info.id.origin, puppet.id);
    assert_int_equal(info.sequence, 0);
    assert_int_equal(info.known, 7);
    assert_int_equal(osr_feed_follower_count(rig->core, 0), 1);
    struct osr_follower_info follower;
    osr_feed_follower_info(rig->core, 0, 0, &follower);
    assert_string_equal(follower.instance, puppet.id);
    assert_string_equal(follower.name, "puppet");
    assert_int_equal(follower.peer, 5);
    assert_int_equal(follower.acked, 1);
    assert_int_equal(follower.sent, 2);
    link_down(rig, 5);
    osr_feed_follower_info(rig->core, 0, 0, &follower);
    assert_int_equal(follower.peer, UINT32_MAX);
}

/* Sends one HELLO that was tampered with. */
static void assert_hello_refused(void (*tamper)(Osr__Hello *), enum osr_code code)
{
    struct rig *rig = rig_create();
    struct puppet puppet = make_puppet(2, 5);
    uint8_t bytes[OSR_NONCE_SIZE] = {7};
    Osr__Hello hello;
    osr__hello__init(&hello);
    hello.protocol = 1;
    hello.entry_format = OSR_ENTRY_FORMAT;
    hello.cluster = "test";
    hello.instance = puppet.id;
    hello.nonce = (ProtobufCBinaryData){OSR_NONCE_SIZE, bytes};
    hello.boot = (ProtobufCBinaryData){OSR_BOOT_SIZE, bytes};
    tamper(&hello);
    Osr__Frame frame = make_frame(OSR__FRAME__BODY_HELLO);
    frame.hello = &hello;
    link_up(rig, 5, false);
    deliver(rig, 5, &frame);
    assert_closed(rig, 5, code);
    rig_destroy(rig);
}

static void newer_protocol(Osr__Hello *hello)
{
    hello->protocol = 2;
}

static void no_entry_format(Osr__Hello *hello)
{
    hello->entry_format = 0;
}

static void short_nonce(Osr__Hello *hello)
{
    hello->nonce.len = 31;
}

static void no_boot(Osr__Hello *hello)
{
    hello->boot = (ProtobufCBinaryData){0, NULL};
}

static void bad_instance(Osr__Hello *hello)
{
    hello->instance = "NOT AN ID";
}

static void control_in_name(Osr__Hello *hello)
{
    hello->name = "a\nb";
}

static void long_name(Osr__Hello *hello)
{
    static char name[OSR_NAME_BYTES_MAX + 2];
    memset(name, 'n', sizeof(name) - 1);
    hello->name = name;
}

/* A HELLO whose fields may not be so is refused, each with its code. */
static void feed_refuses_malformed_hello(void **state)
{
    (void)state;
    assert_hello_refused(newer_protocol, OSR_UNSUPPORTED_VERSION);
    assert_hello_refused(no_entry_format, OSR_UNSUPPORTED_VERSION);
    assert_hello_refused(short_nonce, OSR_INVALID_ARGUMENT);
    assert_hello_refused(no_boot, OSR_INVALID_ARGUMENT);
    assert_hello_refused(bad_instance, OSR_INVALID_ARGUMENT);
    assert_hello_refused(control_in_name, OSR_INVALID_ARGUMENT);
    assert_hello_refused(long_name, OSR_INVALID_ARGUMENT);
}

/* Options that cannot work are refused where they are given. */
static void feed_refuses_options_that_cannot_work(void **state)
{
    (void)state;
    struct osr_feed_options good;
    osr_feed_options_init(&good);
    good.cluster = "test";
    good.name = "subject";
    struct osr_feed_options cases[] = {good, good, good, good, good};
    cases[0].peers_max = 0;
    cases[1].batch_bytes = OSR_BATCH_BYTES_MAX + 1;
    cases[2].window_bytes = good.batch_bytes - 1;
    cases[3].silence_ms = 2 * good.heartbeat_ms;
    char name[OSR_NAME_BYTES_MAX + 2] = {0};
    memset(name, 'n', sizeof(name) - 1);
    cases[4].name = name;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct osr_feed *core = NULL;
        struct osr_err err;
        assert_int_equal(osr_feed_create(&cases[i], &core, &err), OSR_CONFIG);
        assert_null(core);
    }
    osr_feed_destroy(NULL);
}

#define TEST(name)         cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define RESTART_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_stopped, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(feed_answers_write_after_store_and_signature),
        TEST(feed_spreads_a_large_write_over_batches),
        TEST(feed_gives_a_huge_entry_a_batch_of_its_own),
        TEST(feed_refuses_writes_over_the_backlog),
        TEST(feed_stands_where_it_stood_when_the_disk_is_full),
        TEST(feed_sends_what_was_fetched),
        TEST(feed_sends_again_what_is_not_acknowledged),
        TEST(feed_keeps_within_the_window),
        TEST(feed_bounds_reads_under_way),
        TEST(feed_sends_nothing_unasked),
        TEST(feed_says_what_it_does_not_hold),
        TEST(feed_rewinds_on_demand),
        TEST(feed_waits_for_the_ack_that_reaches_the_write),
        TEST(feed_counts_each_follower_once),
        TEST(feed_counts_no_ack_beyond_the_end),
        TEST(feed_acknowledges_after_store_and_verification),
        TEST(feed_drops_a_replayed_batch),
        TEST(feed_takes_the_new_part_of_a_batch),
        TEST(feed_asks_again_at_a_gap),
        TEST(feed_asks_again_when_nothing_comes),
        TEST(feed_changes_a_provider_that_delivers_nothing),
        TEST(feed_follows_through_a_relay),
        TEST(feed_asks_from_the_durable_cursor_after_disk_full),
        TEST(feed_keeps_what_was_stored_before_disk_full),
        TEST(feed_clock_is_not_dragged_into_the_future),
        cmocka_unit_test(feed_refuses_a_forged_hash),
        cmocka_unit_test(feed_refuses_a_foreign_key),
        cmocka_unit_test(feed_refuses_malformed_batches),
        TEST(feed_cuts_off_a_forged_signature),
        TEST(feed_closes_a_flood_over_the_window),
        cmocka_unit_test(feed_refuses_update_before_proof),
        TEST(feed_refuses_a_forged_proof),
        TEST(feed_refuses_a_stolen_id),
        TEST(feed_keeps_what_is_said_while_a_proof_is_verified),
        TEST(feed_refuses_another_cluster),
        TEST(feed_refuses_itself),
        TEST(feed_refuses_its_own_identity_in_another_process),
        TEST(feed_refuses_a_second_process_of_a_peer),
        TEST(feed_lets_a_restarted_peer_replace_its_silent_link),
        cmocka_unit_test(feed_keeps_the_link_that_the_smaller_id_dialled),
        TEST(feed_refuses_too_many_held_feeds),
        TEST(feed_bounds_the_feeds_it_holds),
        TEST(feed_forgets_rumours),
        cmocka_unit_test(feed_refuses_statements_about_impossible_feeds),
        TEST(feed_refuses_other_frames),
        cmocka_unit_test(feed_refuses_links_over_the_limit),
        TEST(feed_closes_silent_links),
        RESTART_TEST(feed_continues_where_the_log_ends),
        RESTART_TEST(feed_has_room_for_its_own_beside_a_full_log),
        RESTART_TEST(feed_cuts_an_unsigned_tail),
        RESTART_TEST(feed_falls_back_to_the_last_good_head),
        RESTART_TEST(feed_signs_its_own_tail_again),
        TEST(feed_fetches_its_own_lost_tail_before_it_writes),
        TEST(feed_waits_once_for_a_claim_that_is_not_shown),
        TEST(feed_counts_the_wait_for_a_claim_across_links),
        TEST(feed_takes_a_larger_claim_after_one_that_was_not_shown),
        TEST(feed_bounds_the_wait_for_growing_claims),
        cmocka_unit_test(feed_keeps_other_claims_while_its_lost_tail_comes),
        TEST(feed_keeps_claims_while_its_disk_is_full),
        TEST(feed_asks_once_for_another_branch_of_its_own),
        TEST(feed_reports_a_fork),
        TEST(feed_writes_on_when_its_own_feed_forked),
        TEST(feed_reports_a_fork_seen_in_hello),
        TEST(feed_cuts_again_when_the_disk_was_full),
        TEST(feed_reads_again_what_could_not_be_read),
        TEST(feed_drops_a_read_that_was_rewound),
        TEST(feed_bounds_unverified_batches),
        TEST(feed_bounds_the_instances_it_remembers),
        TEST(feed_tells_who_holds_what),
        cmocka_unit_test(feed_refuses_malformed_hello),
        cmocka_unit_test(feed_refuses_options_that_cannot_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
