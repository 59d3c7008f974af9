/* What the journal makes of the core's outputs, on a real loop and a real disk that can be told
 * to be full or to fail. */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/journal.h"

enum { RELEASES_MAX = 64, ANSWERS_MAX = 512, UPDATES_MAX = 16 };

/* The system's disk, with faults on demand. */
struct faulty_disk {
    struct osr_disk disk; /* first */
    struct osr_disk_ops ops;
    atomic_bool is_full; /* no room for another segment */
    atomic_bool fails;   /* writes inside a segment */
    atomic_uint syncs;
};

static struct faulty_disk faulty;

static int faulty_zero(struct osr_disk *disk, struct osr_file *file, uint64_t size,
                       struct osr_err *err)
{
    (void)disk;
    if (faulty.is_full) {
        return osr_err_set(err, OSR_DISK_FULL, "no room");
    }
    return osr_disk_system()->ops->zero(osr_disk_system(), file, size, err);
}

static int faulty_write(struct osr_disk *disk, struct osr_file *file, uint64_t offset,
                        const void *data, size_t size, struct osr_err *err)
{
    (void)disk;
    if (faulty.fails) {
        return osr_err_set(err, OSR_IO, "the disk is gone");
    }
    return osr_disk_system()->ops->write(osr_disk_system(), file, offset, data, size, err);
}

static int faulty_sync(struct osr_disk *disk, struct osr_file *file, struct osr_err *err)
{
    (void)disk;
    faulty.syncs++;
    return osr_disk_system()->ops->sync(osr_disk_system(), file, err);
}

/* One feed as its writer keeps it. */
struct feed {
    struct osr_feed_id id;
    struct osr_public_key key;
    uint64_t sequence;
    struct osr_hash chain;
};

struct release {
    uint64_t first;
    size_t count; /* 0: none but the ordinal */
    uint32_t log_id;
    uint64_t ordinal;
};

struct fixture {
    uv_loop_t loop;
    char folder[64];
    struct osr_keys *keys;
    struct osr_wal_options wal;
    struct osr_journal *journal;
    const struct osr_feed_restored *restored;
    size_t restored_count;

    size_t answers; /* of all kinds */
    enum osr_code stored[ANSWERS_MAX];
    size_t stored_count;
    struct osr_signature signature;
    bool is_valid;
    struct osr_buffer updates[UPDATES_MAX]; /* packed; empty: nothing was read */
    size_t update_bytes[UPDATES_MAX];
    size_t update_count;
    struct release releases[RELEASES_MAX];
    size_t release_count;
    size_t failures;
    enum osr_code fact_code;
    struct osr_buffer facts;

    struct feed own;
    struct feed other;
};

static void on_stored(void *context, uint64_t ticket, enum osr_code code)
{
    struct fixture *fixture = context;
    assert_int_equal(ticket, fixture->stored_count); /* in the order of submission */
    fixture->stored[fixture->stored_count++] = code;
    fixture->answers++;
}

static void on_signed(void *context, uint64_t ticket, const struct osr_signature *signature)
{
    struct fixture *fixture = context;
    (void)ticket;
    fixture->signature = *signature;
    fixture->answers++;
}

static void on_verified(void *context, uint64_t ticket, bool valid)
{
    struct fixture *fixture = context;
    (void)ticket;
    fixture->is_valid = valid;
    fixture->answers++;
}

static void on_read(void *context, uint64_t ticket, Osr__Update *update, size_t bytes)
{
    struct fixture *fixture = context;
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
    struct fixture *fixture = context;
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
    struct fixture *fixture = context;
    assert_int_equal(err->code, OSR_IO);
    fixture->failures++;
    fixture->answers++;
}

static void open_journal(struct fixture *fixture)
{
    struct osr_journal_handler handler = {on_stored,  on_signed,  on_verified, on_read,
                                          on_release, on_failure, fixture};
    char *folder = osr_format("%s/log", fixture->folder);
    struct osr_journal_options options = {
        .folder = folder, .disk = &faulty.disk, .keys = fixture->keys, .wal = fixture->wal};
    struct osr_err err;
    int code = osr_journal_open(&fixture->loop, &options, &handler, &fixture->journal,
                                &fixture->restored, &fixture->restored_count, &err);
    free(folder);
    if (code != 0) {
        fail_msg("%s", err.message);
    }
    fixture->stored_count = 0;
    fixture->release_count = 0;
    fixture->update_count = 0;
}

static void close_journal(struct fixture *fixture)
{
    osr_journal_close(fixture->journal);
    fixture->journal = NULL;
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
}

static void reopen_journal(struct fixture *fixture)
{
    close_journal(fixture);
    open_journal(fixture);
}

static int remove_one(const char *path, const struct stat *status, int flag, struct FTW *walk)
{
    (void)status, (void)flag, (void)walk;
    return remove(path);
}

static void init_feed(struct feed *feed, const char *origin, uint8_t key)
{
    struct osr_err err;
    memset(feed, 0, sizeof(*feed));
    assert_int_equal(osr_feed_id_make(&feed->id, origin, "kb", 1, &err), 0);
    memset(feed->key.bytes, key, sizeof(feed->key.bytes));
}

static int setup(void **state)
{
    struct fixture *fixture = osr_alloc(sizeof(*fixture));
    struct osr_err err;
    faulty.ops = *osr_disk_system()->ops;
    faulty.ops.zero = faulty_zero;
    faulty.ops.write = faulty_write;
    faulty.ops.sync = faulty_sync;
    faulty.disk.ops = &faulty.ops;
    faulty.is_full = false;
    faulty.fails = false;
    faulty.syncs = 0;

    snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/osiris-journal-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    uv_loop_init(&fixture->loop);
    assert_int_equal(osr_keys_open(fixture->folder, &fixture->keys, &err), 0);
    fixture->wal.segment_bytes_min = 256 << 10;
    fixture->wal.segment_bytes_max = 256 << 10;
    init_feed(&fixture->own, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1);
    init_feed(&fixture->other, "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", 2);
    open_journal(fixture);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    close_journal(fixture);
    osr_keys_close(fixture->keys);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    for (size_t i = 0; i < UPDATES_MAX; i++) {
        osr_buffer_done(&fixture->updates[i]);
    }
    osr_buffer_done(&fixture->facts);
    nftw(fixture->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(fixture);
    return 0;
}

/* Runs the loop until there are that many answers since the last time. */
static void run(struct fixture *fixture, size_t answers)
{
    while (fixture->answers < answers) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    assert_int_equal(fixture->answers, answers);
    fixture->answers = 0;
}

static void add_entry(struct feed *feed, struct osr_batch *batch, size_t data_size)
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

static struct osr_signature signature_of(uint64_t sequence)
{
    struct osr_signature signature;
    memset(signature.bytes, (int)(sequence & 0xff), sizeof(signature.bytes));
    return signature;
}

/* Puts out STORE with so many new entries, and perhaps a head; its ticket is how many STOREs were
 * put out before it. */
static void store_sized(struct fixture *fixture, struct feed *feed, size_t count, uint64_t head,
                        uint64_t ticket, size_t data_size)
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
    output.store.head_signature = signature_of(head);
    osr_journal_carry_out(fixture->journal, &output);
    assert_null(batch.bytes.data); /* taken */
}

static void store(struct fixture *fixture, struct feed *feed, size_t count, uint64_t head,
                  uint64_t ticket)
{
    store_sized(fixture, feed, count, head, ticket, 20);
}

static void commit(struct fixture *fixture, const struct feed *feed, uint64_t first, uint64_t last)
{
    struct osr_feed_output output = {.type = OSR_FEED_OUT_COMMIT};
    output.commit.feed = &feed->id;
    output.commit.first = first;
    output.commit.last = last;
    osr_journal_carry_out(fixture->journal, &output);
}

static void truncate_feed(struct fixture *fixture, const struct feed *feed, uint64_t sequence,
                          uint64_t ticket)
{
    struct osr_feed_output output = {.type = OSR_FEED_OUT_TRUNCATE};
    output.truncate.ticket = ticket;
    output.truncate.feed = &feed->id;
    output.truncate.sequence = sequence;
    osr_journal_carry_out(fixture->journal, &output);
}

static void put_fact(struct fixture *fixture, const char *key, const char *value)
{
    osr_journal_fact(fixture->journal, key, osr_slice_text(value), NULL, NULL);
}

static void on_fact(void *context, const char *key, struct osr_slice value)
{
    struct fixture *fixture = context;
    osr_buffer_add_format(&fixture->facts, "%s=%.*s ", key, (int)value.size,
                          (const char *)value.data);
}

static const char *facts(struct fixture *fixture, const char *prefix)
{
    fixture->facts.size = 0;
    osr_journal_facts(fixture->journal, prefix, on_fact, fixture);
    osr_buffer_add(&fixture->facts, "", 1);
    return (const char *)fixture->facts.data;
}

/* After a restart the core is told where each feed stands, and facts have their newest value. */
static void journal_restores_feeds_and_facts(void **state)
{
    struct fixture *fixture = *state;
    store(fixture, &fixture->own, 3, 0, 0);
    struct osr_hash chain_at_3 = fixture->own.chain;
    store(fixture, &fixture->own, 2, 3, 1);
    store(fixture, &fixture->other, 4, 4, 2);
    put_fact(fixture, "pin:a", "old");
    put_fact(fixture, "pin:a", "new");
    put_fact(fixture, "pin:b", "gone");
    put_fact(fixture, "pin:b", "");
    put_fact(fixture, "seen:0", "7");
    run(fixture, 3);
    reopen_journal(fixture);

    assert_int_equal(fixture->restored_count, 2);
    const struct osr_feed_restored *own = &fixture->restored[0];
    assert_true(osr_feed_id_equal(&own->id, &fixture->own.id));
    assert_memory_equal(&own->public_key, &fixture->own.key, sizeof(own->public_key));
    assert_int_equal(own->sequence, 5);
    assert_true(osr_hash_equal(&own->chain, &fixture->own.chain));
    assert_int_equal(own->time.ms, 1005);
    assert_int_equal(own->time.logical, 5);
    assert_int_equal(own->head_sequence, 3);
    assert_true(osr_hash_equal(&own->head_chain, &chain_at_3));
    struct osr_signature expected = signature_of(3);
    assert_memory_equal(&own->head_signature, &expected, sizeof(expected));
    const struct osr_feed_restored *other = &fixture->restored[1];
    assert_int_equal(other->sequence, 4);
    assert_int_equal(other->head_sequence, 4);
    assert_true(osr_hash_equal(&other->head_chain, &fixture->other.chain));

    assert_string_equal(facts(fixture, "pin:"), "pin:a=new ");
    assert_string_equal(facts(fixture, "seen:"), ""); /* the projection has them */
}

/* What was cut off before the restart is not there after it; the head before it counts again. */
static void journal_restores_the_head_before_a_cut(void **state)
{
    struct fixture *fixture = *state;
    store(fixture, &fixture->other, 2, 2, 0);
    struct osr_hash chain_at_2 = fixture->other.chain;
    store(fixture, &fixture->other, 3, 5, 1);
    truncate_feed(fixture, &fixture->other, 2, 2);
    run(fixture, 3);
    reopen_journal(fixture);

    assert_int_equal(fixture->restored_count, 1);
    const struct osr_feed_restored *restored = &fixture->restored[0];
    assert_int_equal(restored->sequence, 2);
    assert_true(osr_hash_equal(&restored->chain, &chain_at_2));
    assert_int_equal(restored->time.ms, 1002);
    assert_int_equal(restored->head_sequence, 2);
    assert_true(osr_hash_equal(&restored->head_chain, &chain_at_2));
}

/* Where the last head turns out to be forged those before it count: they are restored too, newest
 * first, as many as may stand unverified in the log, and none that was cut off. */
static void journal_restores_the_heads_before_the_last(void **state)
{
    enum { BATCHES = OSR_FEED_UNVERIFIED_MAX + 10, CUT = 5 };
    struct fixture *fixture = *state;
    struct osr_hash chains[BATCHES + 2];
    for (size_t i = 1; i <= BATCHES; i++) {
        store(fixture, &fixture->other, 1, i, i - 1);
        chains[i] = fixture->other.chain;
    }
    truncate_feed(fixture, &fixture->other, BATCHES - CUT, BATCHES);
    fixture->other.sequence = BATCHES - CUT;
    fixture->other.chain = chains[BATCHES - CUT];
    store(fixture, &fixture->other, 1, BATCHES - CUT + 1, BATCHES + 1);
    run(fixture, BATCHES + 2);
    reopen_journal(fixture);

    const struct osr_feed_restored *restored = &fixture->restored[0];
    assert_int_equal(restored->head_sequence, BATCHES - CUT + 1);
    assert_int_equal(restored->older_head_count, OSR_FEED_UNVERIFIED_MAX);
    for (size_t i = 0; i < restored->older_head_count; i++) {
        const struct osr_feed_head *head = &restored->older_heads[i];
        struct osr_signature signature = signature_of(head->sequence);
        assert_int_equal(head->sequence, BATCHES - CUT - i);
        assert_true(osr_hash_equal(&head->chain, &chains[head->sequence]));
        assert_memory_equal(&head->signature, &signature, sizeof(signature));
    }
}

static struct osr_feed *create_core(void)
{
    struct osr_feed_options options;
    struct osr_feed *core;
    struct osr_err err;
    osr_feed_options_init(&options);
    options.cluster = "test";
    options.name = "test";
    assert_int_equal(osr_feed_create(&options, &core, &err), 0);
    return core;
}

/* Steps the core, which says that it wants one signature verified, or one feed cut. */
static struct osr_feed_output step_core(struct osr_feed *core, struct osr_feed_event *event)
{
    struct osr_feed_outputs outputs;
    struct osr_feed_output wanted = {.type = OSR_FEED_OUT_COMMIT};
    osr_feed_step(core, event, &outputs);
    for (size_t i = 0; i < outputs.count; i++) {
        const struct osr_feed_output *output = &outputs.items[i];
        if (output->type == OSR_FEED_OUT_VERIFY || output->type == OSR_FEED_OUT_TRUNCATE) {
            assert_int_equal(wanted.type, OSR_FEED_OUT_COMMIT);
            wanted = *output;
        }
    }
    return wanted;
}

/* A crash before a forged batch was cut off costs what is behind the head before it, no more. */
static void journal_restores_what_a_forged_head_leaves(void **state)
{
    struct fixture *fixture = *state;
    store(fixture, &fixture->other, 3, 3, 0);
    store(fixture, &fixture->other, 2, 5, 1);
    store(fixture, &fixture->other, 4, 9, 2);
    run(fixture, 3);
    reopen_journal(fixture);

    struct osr_feed *core = create_core();
    struct osr_feed_event start = {.type = OSR_FEED_START,
                                   .start = {fixture->restored, fixture->restored_count}};
    struct osr_feed_output wanted = step_core(core, &start);
    for (uint64_t head = 9; head >= 5; head -= 4) {
        struct osr_signature signature = signature_of(head);
        assert_int_equal(wanted.type, OSR_FEED_OUT_VERIFY);
        assert_memory_equal(&wanted.verify.signature, &signature, sizeof(signature));
        bool is_forged = head == 9;
        struct osr_feed_event verified = {.type = OSR_FEED_VERIFIED,
                                          .verified = {wanted.verify.ticket, !is_forged}};
        wanted = step_core(core, &verified);
    }
    assert_int_equal(wanted.type, OSR_FEED_OUT_TRUNCATE);
    assert_int_equal(wanted.truncate.sequence, 5);
    osr_feed_destroy(core);
}

/* A feed of which nothing is left is none to the core, but its log id stays its own. */
static void journal_forgets_a_feed_that_was_cut_whole(void **state)
{
    struct fixture *fixture = *state;
    store(fixture, &fixture->other, 2, 2, 0);
    truncate_feed(fixture, &fixture->other, 0, 1);
    run(fixture, 2);
    reopen_journal(fixture);
    assert_int_equal(fixture->restored_count, 0);

    init_feed(&fixture->other, "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", 2);
    store(fixture, &fixture->other, 1, 1, 0);
    run(fixture, 1);
    assert_int_equal(fixture->stored[0], OSR_OK);
    assert_string_equal(osr_journal_feed(fixture->journal, 1)->origin, fixture->other.id.origin);
    assert_null(osr_journal_feed(fixture->journal, 2));
}

/* A batch that waits for its signature holds back those behind it in the log. */
static void journal_releases_in_the_order_of_the_log(void **state)
{
    struct fixture *fixture = *state;
    store(fixture, &fixture->own, 2, 0, 0);
    put_fact(fixture, "pin:a", "1");
    store(fixture, &fixture->other, 3, 3, 1);
    run(fixture, 2);
    commit(fixture, &fixture->other, 1, 3);
    assert_int_equal(fixture->release_count, 0);
    commit(fixture, &fixture->own, 1, 2);

    assert_int_equal(fixture->release_count, 2);
    assert_int_equal(fixture->releases[0].log_id, 1);
    assert_int_equal(fixture->releases[0].count, 2);
    assert_int_equal(fixture->releases[0].ordinal, 3); /* LOG and two entries */
    assert_int_equal(fixture->releases[1].log_id, 2);
    assert_int_equal(fixture->releases[1].first, 1);
    assert_int_equal(fixture->releases[1].count, 3);
    assert_int_equal(fixture->releases[1].ordinal, 9); /* fact, LOG, three entries, HEAD */
}

/* A fact with nothing before it is released as soon as it is durable. */
static void journal_releases_a_fact_alone(void **state)
{
    struct fixture *fixture = *state;
    put_fact(fixture, "pin:a", "1");
    while (fixture->release_count == 0) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    assert_int_equal(fixture->releases[0].count, 0);
    assert_int_equal(fixture->releases[0].ordinal, 1);
}

/* Entries that are cut off are never shown, and what is behind them only once the cut is in
 * the log. */
static void journal_passes_over_what_is_cut(void **state)
{
    struct fixture *fixture = *state;
    store(fixture, &fixture->own, 2, 0, 0);
    store(fixture, &fixture->other, 3, 3, 1);
    run(fixture, 2);
    commit(fixture, &fixture->other, 1, 3);
    truncate_feed(fixture, &fixture->own, 0, 2);
    assert_int_equal(fixture->release_count, 0);
    run(fixture, 1);
    while (fixture->release_count < 2) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    assert_int_equal(fixture->release_count, 2);
    assert_int_equal(fixture->releases[0].log_id, 2);
    assert_int_equal(fixture->releases[0].count, 3);
    assert_int_equal(fixture->releases[1].count, 0);
    assert_int_equal(fixture->releases[1].ordinal, 9); /* TRUNCATE */
}

/* What the log held at open counts when the core has checked every feed of it; new entries wait. */
static void journal_releases_restored_entries_when_all_are_committed(void **state)
{
    struct fixture *fixture = *state;
    store(fixture, &fixture->own, 2, 0, 0);
    store(fixture, &fixture->other, 3, 3, 1);
    run(fixture, 2);
    reopen_journal(fixture);
    assert_int_equal(osr_journal_released(fixture->journal), 0);

    store(fixture, &fixture->own, 1, 0, 0);
    run(fixture, 1);
    commit(fixture, &fixture->own, 0, 2);
    commit(fixture, &fixture->own, 3, 3);
    assert_int_equal(fixture->release_count, 0);
    commit(fixture, &fixture->other, 0, 3);
    assert_int_equal(fixture->release_count, 2);
    assert_int_equal(fixture->releases[0].count, 0);
    assert_int_equal(fixture->releases[0].ordinal, 8);
    assert_int_equal(fixture->releases[1].first, 3);
    assert_int_equal(fixture->releases[1].ordinal, 9);
}

/* Many batches that come at once share a few syncs. */
static void journal_groups_commits(void **state)
{
    struct fixture *fixture = *state;
    enum { COUNT = 200 };
    for (size_t i = 0; i < COUNT; i++) {
        store(fixture, &fixture->own, 1, i, i);
    }
    run(fixture, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(fixture->stored[i], OSR_OK);
    }
    assert_in_range(faulty.syncs, 1, COUNT / 4);
}

/* No room refuses a batch and those built on it, and nothing else; with room it goes on. */
static void journal_refuses_what_finds_no_room(void **state)
{
    struct fixture *fixture = *state;
    store(fixture, &fixture->own, 1, 0, 0);
    run(fixture, 1);
    faulty.is_full = true;
    struct feed before = fixture->own;
    for (size_t i = 1; i < 16; i++) { /* a segment holds four of them, and one may be ready */
        store_sized(fixture, &fixture->own, 1, 0, i, 60000);
    }
    store(fixture, &fixture->other, 1, 1, 16);
    run(fixture, 16);
    size_t stored = 1;
    while (fixture->stored[stored] == OSR_OK) {
        stored++;
    }
    assert_in_range(stored, 4, 9);
    for (size_t i = stored; i < 16; i++) {
        assert_int_equal(fixture->stored[i], OSR_DISK_FULL);
    }
    assert_int_equal(fixture->stored[16], OSR_OK); /* the small one still fits */
    assert_false(osr_journal_is_full(fixture->journal));
    assert_int_equal(osr_wal_last_index(osr_journal_wal(fixture->journal), 1), stored);
    assert_int_equal(fixture->failures, 0);

    faulty.is_full = false;
    fixture->own = before;
    fixture->own.sequence = stored;
    store_sized(fixture, &fixture->own, 1, 0, 17, 60000);
    run(fixture, 1);
    assert_int_equal(fixture->stored[17], OSR_OK);
}

/* A write that fails inside a segment is the end: it is said once, and nothing is answered. */
static void journal_ends_with_a_failed_write(void **state)
{
    struct fixture *fixture = *state;
    faulty.fails = true;
    store(fixture, &fixture->own, 1, 0, 0);
    store(fixture, &fixture->own, 1, 0, 1);
    run(fixture, 1);
    for (int i = 0; i < 20; i++) {
        usleep(1000);
        uv_run(&fixture->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(fixture->failures, 1);
    assert_int_equal(fixture->stored_count, 0);
    assert_int_equal(fixture->release_count, 0);
}

/* Signatures are made with the instance's key, and verified. */
static void journal_signs_and_verifies(void **state)
{
    struct fixture *fixture = *state;
    struct osr_feed_output sign = {.type = OSR_FEED_OUT_SIGN};
    sign.sign.message = osr_slice_text("message");
    osr_journal_carry_out(fixture->journal, &sign);
    run(fixture, 1);

    struct osr_feed_output verify = {.type = OSR_FEED_OUT_VERIFY};
    verify.verify.message = osr_slice_text("message");
    verify.verify.public_key = *osr_keys_public(fixture->keys);
    verify.verify.signature = fixture->signature;
    osr_journal_carry_out(fixture->journal, &verify);
    run(fixture, 1);
    assert_true(fixture->is_valid);

    verify.verify.message = osr_slice_text("another");
    osr_journal_carry_out(fixture->journal, &verify);
    run(fixture, 1);
    assert_false(fixture->is_valid);
}

static void read_feed(struct fixture *fixture, const struct feed *feed, uint64_t first,
                      size_t bytes_max)
{
    struct osr_feed_output output = {.type = OSR_FEED_OUT_READ};
    output.read.feed = &feed->id;
    output.read.first = first;
    output.read.last = feed->sequence;
    output.read.bytes_max = bytes_max;
    output.read.last_chain = feed->chain;
    output.read.last_signature = signature_of(feed->sequence);
    osr_journal_carry_out(fixture->journal, &output);
    size_t before = fixture->update_count;
    osr_journal_end_turn(fixture->journal);
    run(fixture, 1);
    assert_int_equal(fixture->update_count, before + 1);
}

static Osr__Update *update_at(const struct fixture *fixture, size_t i)
{
    return osr__update__unpack(NULL, fixture->updates[i].size, fixture->updates[i].data);
}

/* A follower gets whole groups up to a signed head; one that is larger than asked is given whole,
 * and the newest head comes from the core. */
static void journal_reads_up_to_a_head(void **state)
{
    struct fixture *fixture = *state;
    store(fixture, &fixture->own, 10, 0, 0);
    store(fixture, &fixture->own, 10, 10, 1);
    store(fixture, &fixture->own, 10, 20, 2);
    run(fixture, 3);
    commit(fixture, &fixture->own, 1, 30);

    read_feed(fixture, &fixture->own, 1, 1);
    Osr__Update *update = update_at(fixture, 0);
    assert_int_equal(update->n_entries, 10);
    assert_int_equal(update->first_sequence, 1);
    assert_int_equal(update->entries[9]->sequence, 10);
    assert_string_equal(update->entries[9]->document->id, "d10");
    assert_int_equal(update->signature.data[0], 10);
    assert_memory_equal(update->public_key.data, fixture->own.key.bytes, OSR_PUBLIC_KEY_SIZE);
    size_t group_bytes = fixture->update_bytes[0];
    osr__update__free_unpacked(update, NULL);

    read_feed(fixture, &fixture->own, 1, 2 * group_bytes + group_bytes / 2);
    update = update_at(fixture, 1);
    assert_int_equal(update->n_entries, 20);
    assert_int_equal(update->signature.data[0], 20);
    osr__update__free_unpacked(update, NULL);

    read_feed(fixture, &fixture->own, 15, 1 << 20);
    update = update_at(fixture, 2);
    assert_int_equal(update->n_entries, 16);
    assert_int_equal(update->signature.data[0], 30);
    assert_memory_equal(update->chain.data, fixture->own.chain.bytes, OSR_SHA256_SIZE);
    osr__update__free_unpacked(update, NULL);
}

/* What is read from memory and what is read from the log, after a restart, are the same. */
static void journal_reads_alike_from_memory_and_log(void **state)
{
    struct fixture *fixture = *state;
    static const uint64_t firsts[] = {1, 4, 17, 20, 21};
    static const size_t bytes[] = {1, 900, 1 << 20};
    store(fixture, &fixture->own, 10, 0, 0);
    store(fixture, &fixture->other, 5, 5, 1);
    store(fixture, &fixture->own, 10, 10, 2);
    store(fixture, &fixture->own, 4, 20, 3);
    run(fixture, 4);
    commit(fixture, &fixture->own, 1, 24);
    for (size_t i = 0; i < 15; i++) {
        read_feed(fixture, &fixture->own, firsts[i / 3], bytes[i % 3]);
    }
    struct osr_buffer from_memory[15];
    memcpy(from_memory, fixture->updates, sizeof(from_memory));
    memset(fixture->updates, 0, sizeof(fixture->updates));

    reopen_journal(fixture);
    commit(fixture, &fixture->own, 0, 24);
    commit(fixture, &fixture->other, 0, 5);
    for (size_t i = 0; i < 15; i++) {
        read_feed(fixture, &fixture->own, firsts[i / 3], bytes[i % 3]);
        assert_true(from_memory[i].size > 0);
        assert_true(osr_slice_equal(osr_buffer_slice(&from_memory[i]),
                                    osr_buffer_slice(&fixture->updates[i])));
        osr_buffer_done(&from_memory[i]);
    }
}

static void on_fact_done(void *context, enum osr_code code)
{
    struct fixture *fixture = context;
    fixture->fact_code = code;
    fixture->answers++;
}

/* A fact is answered when it is durable, and can be asked for from then on. */
static void journal_answers_a_fact(void **state)
{
    struct fixture *fixture = *state;
    fixture->fact_code = OSR_INTERNAL;
    osr_journal_fact(fixture->journal, "cursor:x", osr_slice_text("12"), on_fact_done, fixture);
    assert_string_equal(facts(fixture, "cursor:"), "");
    run(fixture, 1);
    assert_int_equal(fixture->fact_code, OSR_OK);
    assert_string_equal(facts(fixture, "cursor:"), "cursor:x=12 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(journal_restores_feeds_and_facts, setup, teardown),
        cmocka_unit_test_setup_teardown(journal_restores_the_head_before_a_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(journal_restores_the_heads_before_the_last, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(journal_restores_what_a_forged_head_leaves, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(journal_forgets_a_feed_that_was_cut_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(journal_releases_in_the_order_of_the_log, setup, teardown),
        cmocka_unit_test_setup_teardown(journal_releases_a_fact_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(journal_passes_over_what_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(journal_releases_restored_entries_when_all_are_committed,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(journal_groups_commits, setup, teardown),
        cmocka_unit_test_setup_teardown(journal_refuses_what_finds_no_room, setup, teardown),
        cmocka_unit_test_setup_teardown(journal_ends_with_a_failed_write, setup, teardown),
        cmocka_unit_test_setup_teardown(journal_signs_and_verifies, setup, teardown),
        cmocka_unit_test_setup_teardown(journal_reads_up_to_a_head, setup, teardown),
        cmocka_unit_test_setup_teardown(journal_reads_alike_from_memory_and_log, setup, teardown),
        cmocka_unit_test_setup_teardown(journal_answers_a_fact, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
