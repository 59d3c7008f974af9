/* test_model.c -- entries, hashes, versions, clocks, ids and the checks of documents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/text.h"
#include "model/digest.h"
#include "model/entry.h"
#include "model/limits.h"
#include "model/version.h"

/* Fixed by tests/unit/entry_vectors.py, which knows nothing of this code. */
#define ORIGIN "r5vrib3obxtwpwgd2ikwdc2fh36amgmb"
#define OTHER  "5nkur7xahzjagsmnnuv2fdxydsydxlnb"
#define ID     "01hf8000000000000000000001"
#define DATA   "{\"text\":\"El niño aprendió 12345678901234567890\"}"

enum { ARENA_KEEP = 1 << 16, ARENA_CAP = 1 << 20 };

static void assert_hash(struct osr_hash hash, const char *hex)
{
    char text[2 * OSR_SHA256_SIZE + 1];
    osr_hex_encode(text, osr_slice(hash.bytes, sizeof(hash.bytes)));
    assert_string_equal(text, hex);
}

static struct osr_hash hash_of(struct osr_slice bytes)
{
    return osr_sha256(&bytes, 1);
}

static ProtobufCBinaryData bytes_of(const char *text)
{
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text};
}

/* A document with every field set, and what it points to. */
struct full_document {
    Osr__Document document;
    Osr__Json data;
    char *tags[2];
    Osr__Version version;
    Osr__Version *supersedes[1];
    Osr__Source source;
    struct osr_hash digest;
};

static void full_document_init(struct full_document *full)
{
    osr__json__init(&full->data);
    full->data.text = bytes_of(DATA);
    full->tags[0] = "spanish";
    full->tags[1] = "numbers";
    osr__version__init(&full->version);
    full->version.time_ms = 1700000000001;
    full->version.time_logical = 2;
    full->version.origin = ORIGIN;
    full->supersedes[0] = &full->version;
    full->digest = hash_of(osr_slice_text(DATA));
    osr__source__init(&full->source);
    full->source.name = "kb_a.json";
    full->source.position = 7;
    full->source.digest = (ProtobufCBinaryData){OSR_SHA256_SIZE, full->digest.bytes};
    full->source.occurrence = 1;
    osr__document__init(&full->document);
    full->document.id = ID;
    full->document.collection = "facts";
    full->document.kind = "note";
    full->document.data = &full->data;
    full->document.n_tags = 2;
    full->document.tags = full->tags;
    full->document.author = "ada";
    full->document.time_ms = 1700000000000;
    full->document.n_supersedes = 1;
    full->document.supersedes = full->supersedes;
    full->document.expires_ms = 1800000000000;
    full->document.source = &full->source;
}

static struct osr_feed_id kb_feed(void)
{
    struct osr_feed_id feed;
    assert_int_equal(osr_feed_id_make(&feed, ORIGIN, "kb", 1, NULL), 0);
    return feed;
}

/* ---- entries ---- */

/* Two entries hash, chain and are signed as the second opinion says. */
static void entry_hashes_match_vectors(void **state)
{
    (void)state;
    struct full_document full;
    full_document_init(&full);
    struct osr_feed_id feed = kb_feed();
    struct osr_hash chain = {{0}};

    struct osr_buffer stored = {0};
    osr_entry_encode(&stored, (struct osr_time){1700000000002, 3}, OSR__OPERATION__PUT,
                     &full.document);
    assert_int_equal(stored.size, 278);
    struct osr_hash entry = osr_entry_hash(&feed, 1, osr_buffer_slice(&stored));
    assert_hash(entry, "6a1d5d0f9095d25b058eb17ae6c3a65aad77cc14365e84f275f55dc6e569decf");
    chain = osr_chain_next(&chain, &entry);
    assert_hash(chain, "d772d306f1abf8bc81e4a22184397b35c9953a3e7c9952ea0c9de94fe0403bad");

    Osr__Document gone = OSR__DOCUMENT__INIT;
    gone.id = ID;
    stored.size = 0;
    osr_entry_encode(&stored, (struct osr_time){1700000000004, 0}, OSR__OPERATION__DELETE, &gone);
    assert_int_equal(stored.size, 85);
    entry = osr_entry_hash(&feed, 2, osr_buffer_slice(&stored));
    assert_hash(entry, "60168440e8cac643472dc41cb2d1a6c9036d41472e1c2b28e55cf9931350f553");
    chain = osr_chain_next(&chain, &entry);
    assert_hash(chain, "6d34c07d8b3873ceb5888698bb9b599ede8dcfb30e19801ec757a0f851e42c66");

    struct osr_buffer head = {0};
    osr_head_message(&head, "main", &feed, 2, &chain);
    assert_hash(hash_of(osr_buffer_slice(&head)),
                "0430e4d3149950e5e65ff1db000f28a3a605d920f927753b4aa6448167609cc9");
    osr_buffer_done(&head);
    osr_buffer_done(&stored);
}

static bool documents_equal(const Osr__Document *decoded, const Osr__Document *document)
{
    size_t size = osr__document__get_packed_size(document);
    uint8_t *expected = osr_alloc(size + 1);
    uint8_t *actual = osr_alloc(size + 1);
    osr__document__pack(document, expected);
    bool equal = osr__document__get_packed_size(decoded) == size;
    if (equal) {
        osr__document__pack(decoded, actual);
        equal = memcmp(expected, actual, size) == 0;
    }
    free(expected);
    free(actual);
    return equal;
}

/* Text of up to size_max - 1 letters, some of two bytes. */
static char *random_text(struct osr_random *random, struct osr_arena *arena, size_t size_max)
{
    uint8_t text[256];
    size_t size = osr_random_below(random, size_max);
    for (size_t i = 0; i < size; i++) {
        text[i] = (uint8_t)('a' + osr_random_below(random, 26));
    }
    if (size >= 2 && osr_random_chance(random, 0.5)) {
        memcpy(text, "ñ", 2);
    }
    return osr_arena_text(arena, osr_slice(text, size));
}

static Osr__Document *random_document(struct osr_random *random, struct osr_arena *arena)
{
    Osr__Document *document = osr_arena_take(arena, sizeof(*document));
    osr__document__init(document);
    document->id = random_text(random, arena, OSR_ID_BYTES_MAX);
    document->collection = random_text(random, arena, OSR_COLLECTION_BYTES_MAX);
    document->kind = random_text(random, arena, OSR_KIND_BYTES_MAX);
    document->author = random_text(random, arena, OSR_AUTHOR_BYTES_MAX);
    document->time_ms = osr_random_u64(random);
    document->expires_ms = osr_random_u64(random);
    if (osr_random_chance(random, 0.8)) {
        document->data = osr_arena_take(arena, sizeof(*document->data));
        osr__json__init(document->data);
        document->data->text = bytes_of(random_text(random, arena, 256));
    }
    document->n_tags = osr_random_below(random, OSR_TAGS_MAX + 1);
    document->tags = osr_arena_take(arena, OSR_TAGS_MAX * sizeof(document->tags[0]));
    for (size_t i = 0; i < document->n_tags; i++) {
        document->tags[i] = random_text(random, arena, OSR_TAG_BYTES_MAX);
    }
    document->n_supersedes = osr_random_below(random, OSR_SUPERSEDES_MAX + 1);
    document->supersedes =
        osr_arena_take(arena, OSR_SUPERSEDES_MAX * sizeof(document->supersedes[0]));
    for (size_t i = 0; i < document->n_supersedes; i++) {
        Osr__Version *version = osr_arena_take(arena, sizeof(*version));
        osr__version__init(version);
        version->time_ms = osr_random_u64(random);
        version->time_logical = (uint32_t)osr_random_u64(random);
        version->origin = ORIGIN;
        document->supersedes[i] = version;
    }
    if (osr_random_chance(random, 0.5)) {
        document->source = osr_arena_take(arena, sizeof(*document->source));
        osr__source__init(document->source);
        document->source->name = random_text(random, arena, 256);
        document->source->position = osr_random_u64(random);
        document->source->digest.data = osr_arena_take(arena, OSR_SHA256_SIZE);
        document->source->digest.len = OSR_SHA256_SIZE;
        osr_random_fill(random, document->source->digest.data, OSR_SHA256_SIZE);
        document->source->occurrence = 1 + osr_random_below(random, 9);
    }
    return document;
}

/* What was encoded is decoded to the same, field by field. */
static void entry_round_trip_keeps_all(void **state)
{
    (void)state;
    struct osr_random random;
    osr_random_init(&random, 4711);
    struct osr_arena *made = osr_arena_create(ARENA_KEEP, ARENA_CAP);
    struct osr_arena *read = osr_arena_create(ARENA_KEEP, ARENA_CAP);
    struct osr_buffer stored = {0};
    for (int round = 0; round < 2000; round++) {
        osr_arena_reset(made);
        osr_arena_reset(read);
        stored.size = 0;
        const Osr__Document *document = random_document(&random, made);
        struct osr_time time = {osr_random_u64(&random), (uint32_t)osr_random_u64(&random)};
        Osr__Operation operation = (Osr__Operation)(1 + osr_random_below(&random, 2));
        osr_entry_encode(&stored, time, operation, document);

        Osr__Entry *entry = NULL;
        struct osr_err err;
        assert_int_equal(osr_entry_decode(osr_buffer_slice(&stored), 17, read, &entry, &err), 0);
        assert_int_equal(entry->format, OSR_ENTRY_FORMAT);
        assert_int_equal(entry->sequence, 17);
        assert_int_equal(entry->time_ms, time.ms);
        assert_int_equal(entry->time_logical, time.logical);
        assert_int_equal(entry->operation, operation);
        assert_true(documents_equal(entry->document, document));
    }
    osr_buffer_done(&stored);
    osr_arena_destroy(read);
    osr_arena_destroy(made);
}

/* Every prefix of an entry, and the entry with a byte more, is CORRUPT; ret_entry stays. */
static void entry_decode_refuses_cut_and_trailing_bytes(void **state)
{
    (void)state;
    struct full_document full;
    full_document_init(&full);
    struct osr_buffer stored = {0};
    osr_entry_encode(&stored, (struct osr_time){1, 0}, OSR__OPERATION__PUT, &full.document);
    osr_buffer_add_u8(&stored, 0);
    struct osr_arena *arena = osr_arena_create(ARENA_KEEP, ARENA_CAP);
    for (size_t size = 0; size <= stored.size; size++) {
        osr_arena_reset(arena);
        Osr__Entry *entry = NULL;
        struct osr_err err;
        int code = osr_entry_decode(osr_slice(stored.data, size), 1, arena, &entry, &err);
        assert_int_equal(code, size == stored.size - 1 ? 0 : OSR_CORRUPT);
        assert_true((entry != NULL) == (code == 0));
    }
    osr_arena_destroy(arena);
    osr_buffer_done(&stored);
}

/* Bytes that are flipped at random either fail or are encoded again as they were. */
static void entry_decode_survives_flipped_bytes(void **state)
{
    (void)state;
    struct full_document full;
    full_document_init(&full);
    struct osr_buffer stored = {0};
    osr_entry_encode(&stored, (struct osr_time){1, 0}, OSR__OPERATION__PUT, &full.document);
    struct osr_buffer flipped = {0};
    struct osr_buffer again = {0};
    struct osr_arena *arena = osr_arena_create(ARENA_KEEP, ARENA_CAP);
    struct osr_random random;
    osr_random_init(&random, 99);
    int refused = 0;
    for (int round = 0; round < 20000; round++) {
        flipped.size = 0;
        osr_buffer_add(&flipped, stored.data, stored.size);
        flipped.data[osr_random_below(&random, stored.size)] = (uint8_t)osr_random_u64(&random);
        osr_arena_reset(arena);
        Osr__Entry *entry = NULL;
        struct osr_err err;
        if (osr_entry_decode(osr_buffer_slice(&flipped), 1, arena, &entry, &err) != 0) {
            refused++;
            continue;
        }
        again.size = 0;
        osr_entry_encode(&again, (struct osr_time){entry->time_ms, entry->time_logical},
                         entry->operation, entry->document);
        assert_true(osr_slice_equal(osr_buffer_slice(&again), osr_buffer_slice(&flipped)));
    }
    assert_in_range(refused, 1000, 19000);
    osr_arena_destroy(arena);
    osr_buffer_done(&again);
    osr_buffer_done(&flipped);
    osr_buffer_done(&stored);
}

/* An entry that would unfold beyond the arena's cap is TOO_LARGE, not a crash. */
static void entry_decode_stops_at_arena_cap(void **state)
{
    (void)state;
    struct full_document full;
    full_document_init(&full);
    struct osr_buffer stored = {0};
    osr_entry_encode(&stored, (struct osr_time){1, 0}, OSR__OPERATION__PUT, &full.document);
    for (size_t cap = 0; cap < 800; cap += 16) {
        struct osr_arena *arena = osr_arena_create(0, cap);
        Osr__Entry *entry = NULL;
        struct osr_err err = {0};
        int code = osr_entry_decode(osr_buffer_slice(&stored), 1, arena, &entry, &err);
        assert_true(code == 0 || code == OSR_TOO_LARGE);
        assert_true(cap > 0 || code == OSR_TOO_LARGE);
        osr_arena_destroy(arena);
    }
    osr_buffer_done(&stored);
}

/* Each part of an entry and of its place changes its hash. */
static void entry_hash_covers_place_and_content(void **state)
{
    (void)state;
    struct full_document full;
    full_document_init(&full);
    struct osr_feed_id feed = kb_feed();
    struct osr_buffer stored = {0};
    osr_entry_encode(&stored, (struct osr_time){1, 0}, OSR__OPERATION__PUT, &full.document);
    struct osr_slice slice = osr_buffer_slice(&stored);
    struct osr_hash hash = osr_entry_hash(&feed, 5, slice);

    struct osr_feed_id other_epoch = feed;
    other_epoch.epoch = 2;
    struct osr_feed_id other_origin;
    assert_int_equal(osr_feed_id_make(&other_origin, OTHER, "kb", 1, NULL), 0);
    struct osr_hash changed[] = {
        osr_entry_hash(&other_epoch, 5, slice),
        osr_entry_hash(&other_origin, 5, slice),
        osr_entry_hash(&feed, 6, slice),
    };
    for (size_t i = 0; i < sizeof(changed) / sizeof(changed[0]); i++) {
        assert_false(osr_hash_equal(&hash, &changed[i]));
    }
    for (size_t i = 0; i < stored.size; i++) {
        stored.data[i] ^= 1;
        struct osr_hash flipped = osr_entry_hash(&feed, 5, slice);
        assert_false(osr_hash_equal(&hash, &flipped));
        stored.data[i] ^= 1;
    }
    osr_buffer_done(&stored);
}

/* An entry of a peer is refused for its format, operation, document and stray version. */
static void entry_check_names_the_fault(void **state)
{
    (void)state;
    struct full_document full;
    full_document_init(&full);
    Osr__Entry entry = OSR__ENTRY__INIT;
    entry.format = OSR_ENTRY_FORMAT;
    entry.operation = OSR__OPERATION__PUT;
    entry.document = &full.document;
    struct osr_err err;
    assert_int_equal(osr_entry_check(&entry, &err), 0);

    entry.format = OSR_ENTRY_FORMAT + 1;
    assert_int_equal(osr_entry_check(&entry, &err), OSR_UNSUPPORTED_VERSION);
    entry.format = OSR_ENTRY_FORMAT;
    entry.operation = (Osr__Operation)3;
    assert_int_equal(osr_entry_check(&entry, &err), OSR_INVALID_ARGUMENT);
    entry.operation = OSR__OPERATION__PUT;
    entry.document = NULL;
    assert_int_equal(osr_entry_check(&entry, &err), OSR_INVALID_ARGUMENT);
    entry.document = &full.document;
    full.document.version = &full.version;
    assert_int_equal(osr_entry_check(&entry, &err), OSR_INVALID_ARGUMENT);
    full.document.version = NULL;
    entry.time_ms = OSR_TIME_MS_MAX;
    full.version.time_ms = OSR_TIME_MS_MAX;
    assert_int_equal(osr_entry_check(&entry, &err), 0);
    full.version.time_ms++;
    assert_int_equal(osr_entry_check(&entry, &err), OSR_INVALID_ARGUMENT);
    full.version.time_ms = 1;
    entry.time_ms++;
    assert_int_equal(osr_entry_check(&entry, &err), OSR_INVALID_ARGUMENT);
    entry.time_ms = 1;
    full.document.id = "";
    assert_int_equal(osr_entry_check(&entry, &err), OSR_INVALID_ARGUMENT);
}

/* A batch gives back each record, and can be used again after clear and done. */
static void batch_keeps_records(void **state)
{
    (void)state;
    struct full_document full;
    full_document_init(&full);
    struct osr_batch batch = {.feed = kb_feed(), .first = 10};
    for (int use = 0; use < 3; use++) {
        for (uint32_t i = 0; i < 100; i++) {
            struct osr_hash chain = {{(uint8_t)i}};
            osr_buffer_add(&batch.bytes, chain.bytes, sizeof(chain.bytes));
            osr_entry_encode(&batch.bytes, (struct osr_time){1, i}, OSR__OPERATION__PUT,
                             &full.document);
            osr_batch_close_entry(&batch);
        }
        assert_int_equal(batch.count, 100);
        assert_int_equal(osr_batch_last(&batch), batch.first + 99);
        for (uint32_t i = 0; i < 100; i++) {
            struct osr_slice record = osr_batch_record(&batch, i);
            assert_int_equal(record.data[0], i);
            struct osr_slice stored = osr_record_stored(record);
            assert_int_equal(stored.size, 278);
            assert_int_equal(osr_get_u32(stored.data + 8), i);
        }
        if (use == 0) {
            osr_batch_clear(&batch);
        } else {
            osr_batch_done(&batch);
        }
        assert_int_equal(batch.count, 0);
        assert_int_equal(batch.bytes.size, 0);
    }
}

/* ---- versions ---- */

/* One version as its entry gives it: itself, and those that it names. */
struct written_version {
    uint64_t time_ms;
    const char *origin;
    int supersedes[3]; /* indexes of others, -1: none; beyond the set: never comes */
};

enum { VERSIONS_MAX = 5 };

static struct osr_version version_of(const struct written_version *written, int index, int count)
{
    struct osr_version version = {.time = {.ms = 999}};
    snprintf(version.origin, sizeof(version.origin), "%s", ORIGIN);
    if (index < count) {
        version.time.ms = written[index].time_ms;
        snprintf(version.origin, sizeof(version.origin), "%s", written[index].origin);
    }
    return version;
}

static struct osr_version_state *find_state(struct osr_version_state *states, size_t *count,
                                            const struct osr_version *version)
{
    for (size_t i = 0; i < *count; i++) {
        if (osr_version_compare(&states[i].version, version) == 0) {
            return &states[i];
        }
    }
    states[*count] = (struct osr_version_state){.version = *version};
    return &states[(*count)++];
}

/* The index of the version that wins after all came in `order`; the states are built as
 * anybody who hears of versions one by one would build them. */
static int winner_in_order(const struct written_version *written, int count, const int *order)
{
    struct osr_version_state states[2 * VERSIONS_MAX] = {0};
    size_t state_count = 0;
    for (int i = 0; i < count; i++) {
        const struct written_version *now = &written[order[i]];
        struct osr_version self = version_of(written, order[i], count);
        find_state(states, &state_count, &self)->known = true;
        for (size_t k = 0; k < 3; k++) {
            if (now->supersedes[k] >= 0) {
                struct osr_version named = version_of(written, now->supersedes[k], count);
                find_state(states, &state_count, &named)->superseded = true;
            }
        }
    }
    int winner = osr_version_winner(states, state_count);
    assert_true(winner >= 0);
    for (int i = 0; i < count; i++) {
        struct osr_version version = version_of(written, i, count);
        if (osr_version_compare(&states[winner].version, &version) == 0) {
            return i;
        }
    }
    return -1;
}

static void assert_winner_in_all_orders(const struct written_version *written, int count,
                                        int *order, int fixed, int expected)
{
    if (fixed == count) {
        assert_int_equal(winner_in_order(written, count, order), expected);
        return;
    }
    for (int i = fixed; i < count; i++) {
        int swap = order[fixed];
        order[fixed] = order[i];
        order[i] = swap;
        assert_winner_in_all_orders(written, count, order, fixed + 1, expected);
        order[i] = order[fixed];
        order[fixed] = swap;
    }
}

static void assert_winner(const struct written_version *written, int count, int expected)
{
    int order[VERSIONS_MAX];
    for (int i = 0; i < count; i++) {
        order[i] = i;
    }
    assert_winner_in_all_orders(written, count, order, 0, expected);
}

/* In whatever order versions come, the same one wins, and it is the one that the rule says. */
static void version_winner_is_independent_of_order(void **state)
{
    (void)state;
    const struct written_version concurrent[] = {
        {10, ORIGIN, {-1, -1, -1}}, {30, ORIGIN, {-1, -1, -1}}, {20, OTHER, {-1, -1, -1}}};
    assert_winner(concurrent, 3, 1);

    const struct written_version same_time[] = {{10, ORIGIN, {-1, -1, -1}},
                                                {10, OTHER, {-1, -1, -1}}};
    assert_winner(same_time, 2, 0); /* "r..." is behind "5..." */

    /* Named by one with an older clock: the clock does not save it. */
    const struct written_version old_clock[] = {
        {50, ORIGIN, {-1, -1, -1}}, {10, OTHER, {0, -1, -1}}, {5, ORIGIN, {1, -1, -1}}};
    assert_winner(old_clock, 3, 2);

    /* Two branches from one version, then a version that joins them. */
    const struct written_version joined[] = {{10, ORIGIN, {-1, -1, -1}},
                                             {20, ORIGIN, {0, -1, -1}},
                                             {30, OTHER, {0, -1, -1}},
                                             {25, OTHER, {1, 2, -1}}};
    assert_winner(joined, 4, 3);
    assert_winner(joined, 3, 2);

    /* Names a version that never comes. */
    const struct written_version unknown[] = {{10, ORIGIN, {7, -1, -1}}, {9, OTHER, {8, 7, -1}}};
    assert_winner(unknown, 2, 0);

    /* Circles: of one, of two beside a third, and one that holds all. */
    const struct written_version itself[] = {{10, ORIGIN, {0, -1, -1}}};
    assert_winner(itself, 1, 0);
    const struct written_version beside[] = {
        {50, ORIGIN, {1, -1, -1}}, {60, OTHER, {0, -1, -1}}, {5, OTHER, {-1, -1, -1}}};
    assert_winner(beside, 3, 2);
    const struct written_version all[] = {{10, ORIGIN, {1, -1, -1}},
                                          {30, OTHER, {2, -1, -1}},
                                          {20, ORIGIN, {3, -1, -1}},
                                          {15, ORIGIN, {4, -1, -1}},
                                          {12, OTHER, {0, -1, -1}}};
    assert_winner(all, 5, 1);
}

/* Random sets of five: every order gives the winner of the first. */
static void version_winner_of_random_sets_is_stable(void **state)
{
    (void)state;
    struct osr_random random;
    osr_random_init(&random, 7);
    for (int round = 0; round < 200; round++) {
        struct written_version written[VERSIONS_MAX];
        for (int i = 0; i < VERSIONS_MAX; i++) {
            written[i].time_ms = 10 * (uint64_t)i + osr_random_below(&random, 10);
            written[i].origin = osr_random_chance(&random, 0.5) ? ORIGIN : OTHER;
            for (int k = 0; k < 3; k++) {
                written[i].supersedes[k] = (int)osr_random_below(&random, VERSIONS_MAX + 2) - 1;
                if (osr_random_chance(&random, 0.6)) {
                    written[i].supersedes[k] = -1;
                }
            }
        }
        const int order[] = {0, 1, 2, 3, 4};
        assert_winner(written, VERSIONS_MAX, winner_in_order(written, VERSIONS_MAX, order));
    }
}

/* Only versions that are known win; with none there is no winner. */
static void version_winner_must_be_known(void **state)
{
    (void)state;
    struct osr_version_state states[] = {
        {.version = {.time = {.ms = 100}}, .known = false},
        {.version = {.time = {.ms = 1}}, .known = true, .superseded = true},
    };
    assert_int_equal(osr_version_winner(states, 0), -1);
    assert_int_equal(osr_version_winner(states, 1), -1);
    assert_int_equal(osr_version_winner(states, 2), 1);
}

/* ---- the clock ---- */

static void assert_time(struct osr_time time, uint64_t ms, uint32_t logical)
{
    assert_int_equal(time.ms, ms);
    assert_int_equal(time.logical, logical);
}

/* Ticks follow physical time, and count where it stands still or goes back. */
static void clock_tick_never_goes_back(void **state)
{
    (void)state;
    struct osr_clock clock = {0};
    assert_time(osr_clock_tick(&clock, 1000), 1000, 0);
    assert_time(osr_clock_tick(&clock, 1000), 1000, 1);
    assert_time(osr_clock_tick(&clock, 10), 1000, 2);
    assert_time(osr_clock_tick(&clock, 1001), 1001, 0);
    clock.last.logical = UINT32_MAX;
    assert_time(osr_clock_tick(&clock, 1001), 1002, 0);
}

/* What happens after an entry was seen has a later time than it. */
static void clock_observe_puts_later_events_behind(void **state)
{
    (void)state;
    struct osr_clock clock = {0};
    osr_clock_observe(&clock, (struct osr_time){2000, 7}, 1000);
    assert_time(osr_clock_tick(&clock, 1000), 2000, 8);
    osr_clock_observe(&clock, (struct osr_time){1500, 99}, 1000);
    assert_time(osr_clock_tick(&clock, 1000), 2000, 9);
}

/* A far future is followed for five minutes and no more, and does not add up. */
static void clock_observe_stops_at_drift_limit(void **state)
{
    (void)state;
    struct osr_clock clock = {0};
    uint64_t limit_ms = 1000 + OSR_CLOCK_DRIFT_MAX_MS;
    osr_clock_observe(&clock, (struct osr_time){limit_ms, 4}, 1000);
    assert_time(clock.last, limit_ms, 4);
    osr_clock_observe(&clock, (struct osr_time){limit_ms + 1, 4}, 1000);
    osr_clock_observe(&clock, (struct osr_time){UINT64_MAX, UINT32_MAX}, 1000);
    assert_time(clock.last, limit_ms, 4);
    osr_clock_observe(&clock, (struct osr_time){UINT64_MAX, 1}, UINT64_MAX - 1);
    assert_time(clock.last, UINT64_MAX, 1);
}

/* ---- ids ---- */

/* The ids of instances and their proofs are as the second opinion says. */
static void identity_matches_vectors(void **state)
{
    (void)state;
    struct osr_public_key key;
    for (size_t i = 0; i < sizeof(key.bytes); i++) {
        key.bytes[i] = (uint8_t)i;
    }
    char id[OSR_INSTANCE_CHARS + 1];
    osr_instance_id(id, &key);
    assert_string_equal(id, ORIGIN);
    memset(key.bytes, 0, sizeof(key.bytes));
    osr_instance_id(id, &key);
    assert_string_equal(id, OTHER);

    uint8_t own_nonce[OSR_NONCE_SIZE];
    uint8_t other_nonce[OSR_NONCE_SIZE];
    memset(own_nonce, 0x11, sizeof(own_nonce));
    memset(other_nonce, 0x22, sizeof(other_nonce));
    struct osr_buffer proof = {0};
    osr_proof_message(&proof, ORIGIN, own_nonce, OTHER, other_nonce, osr_slice_text("bound"));
    assert_hash(hash_of(osr_buffer_slice(&proof)),
                "0300ec637b9996a1dac9d11962d995dd2e1421cc7970d2ac5b5ef11899a9c4e8");
    osr_buffer_done(&proof);
}

/* Only 32 characters of the alphabet are an instance id. */
static void identity_checks_form_of_ids(void **state)
{
    (void)state;
    assert_true(osr_instance_id_is_valid(ORIGIN));
    assert_false(osr_instance_id_is_valid(""));
    assert_false(osr_instance_id_is_valid("r5vrib3obxtwpwgd2ikwdc2fh36amgm"));
    assert_false(osr_instance_id_is_valid(ORIGIN "a"));
    assert_false(osr_instance_id_is_valid("R5vrib3obxtwpwgd2ikwdc2fh36amgmb"));
    assert_false(osr_instance_id_is_valid("15vrib3obxtwpwgd2ikwdc2fh36amgmb"));
}

/* A feed needs a valid origin, a known stream and an epoch; feeds sort by all three. */
static void feed_id_is_checked_and_ordered(void **state)
{
    (void)state;
    struct osr_feed_id a;
    struct osr_feed_id b;
    struct osr_err err;
    assert_int_equal(osr_feed_id_make(&a, "me", "kb", 1, &err), OSR_INVALID_ARGUMENT);
    assert_int_equal(osr_feed_id_make(&a, ORIGIN, "kbb", 1, &err), OSR_INVALID_ARGUMENT);
    assert_int_equal(osr_feed_id_make(&a, ORIGIN, "kb", 0, &err), OSR_INVALID_ARGUMENT);
    assert_int_equal(osr_feed_id_make(&a, ORIGIN, "kb", 1, &err), 0);
    assert_int_equal(osr_feed_id_make(&b, ORIGIN, "kb", 2, &err), 0);
    assert_true(osr_feed_id_compare(&a, &b) < 0);
    assert_true(osr_feed_id_compare(&b, &a) > 0);
    assert_false(osr_feed_id_equal(&a, &b));
    assert_int_equal(osr_feed_id_make(&b, OTHER, "kb", 9, &err), 0);
    assert_true(osr_feed_id_compare(&b, &a) < 0);
    b = a;
    assert_true(osr_feed_id_equal(&a, &b));
}

/* A made id is a ULID: as the second opinion says, and later times sort behind. */
static void document_id_is_time_ordered(void **state)
{
    (void)state;
    char id[OSR_MADE_ID_CHARS + 1];
    const uint8_t counted[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    osr_document_id_make(id, 1700000000000, counted);
    assert_string_equal(id, "01hf7yat00000g40r40m30e209");

    struct osr_random random;
    osr_random_init(&random, 3);
    char last[OSR_MADE_ID_CHARS + 1] = "";
    for (uint64_t time_ms = 1; time_ms < 1ull << 48; time_ms += 1 + time_ms / 3) {
        uint8_t bytes[10];
        osr_random_fill(&random, bytes, sizeof(bytes));
        osr_document_id_make(id, time_ms, bytes);
        assert_true(strcmp(last, id) < 0);
        memcpy(last, id, sizeof(last));
    }
}

/* The id of an imported document is as the second opinion says, and each part changes it
 * but the position. */
static void document_id_from_source_finds_it_again(void **state)
{
    (void)state;
    struct full_document full;
    full_document_init(&full);
    char id[OSR_SOURCE_ID_CHARS + 1];
    char other[OSR_SOURCE_ID_CHARS + 1];
    osr_document_id_from_source(id, ORIGIN, &full.source);
    assert_string_equal(id, "sqse7lvybyb2y44cd4q6crtq6dbusci7e");

    full.source.position = 12;
    osr_document_id_from_source(other, ORIGIN, &full.source);
    assert_string_equal(id, other);
    osr_document_id_from_source(other, OTHER, &full.source);
    assert_string_not_equal(id, other);
    full.source.occurrence = 2;
    osr_document_id_from_source(other, ORIGIN, &full.source);
    assert_string_not_equal(id, other);
    full.source.occurrence = 1;
    full.source.name = "kb_b.json";
    osr_document_id_from_source(other, ORIGIN, &full.source);
    assert_string_not_equal(id, other);
    full.source.name = "kb_a.json";
    full.digest.bytes[31] ^= 1;
    osr_document_id_from_source(other, ORIGIN, &full.source);
    assert_string_not_equal(id, other);
}

/* ---- the checks of a document ---- */

static int check(const Osr__Document *document)
{
    struct osr_err err;
    return osr_document_check(document, OSR__OPERATION__PUT, true, &err);
}

/* Text fields: their limit passes, a byte more does not; nor do control characters and
 * what is not UTF-8. */
static void document_check_holds_texts(void **state)
{
    (void)state;
    struct full_document full;
    full_document_init(&full);
    Osr__Document *document = &full.document;
    const struct {
        char **field;
        size_t size_max;
    } texts[] = {
        {&document->id, OSR_ID_BYTES_MAX},     {&document->collection, OSR_COLLECTION_BYTES_MAX},
        {&document->kind, OSR_KIND_BYTES_MAX}, {&document->author, OSR_AUTHOR_BYTES_MAX},
        {&full.tags[1], OSR_TAG_BYTES_MAX},    {&full.source.name, OSR_SOURCE_NAME_BYTES_MAX},
    };
    char long_text[300];
    memset(long_text, 'x', sizeof(long_text));
    assert_int_equal(check(document), 0);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char *kept = *texts[i].field;
        *texts[i].field = long_text;
        long_text[texts[i].size_max] = '\0';
        assert_int_equal(check(document), 0);
        long_text[texts[i].size_max] = 'x';
        long_text[texts[i].size_max + 1] = '\0';
        assert_int_equal(check(document), OSR_TOO_LARGE);
        long_text[texts[i].size_max + 1] = 'x';
        *texts[i].field = "ab\xff";
        assert_int_equal(check(document), OSR_MALFORMED);
        *texts[i].field = "a\nb";
        assert_int_equal(check(document), OSR_INVALID_ARGUMENT);
        *texts[i].field = kept;
        assert_int_equal(check(document), 0);
    }
}

/* An empty id passes only where Osiris makes one. */
static void document_check_needs_an_id(void **state)
{
    (void)state;
    struct full_document full;
    full_document_init(&full);
    full.document.id = "";
    struct osr_err err;
    assert_int_equal(osr_document_check(&full.document, OSR__OPERATION__PUT, false, &err), 0);
    assert_int_equal(osr_document_check(&full.document, OSR__OPERATION__PUT, true, &err),
                     OSR_INVALID_ARGUMENT);
}

/* As many tags and superseded versions as allowed pass, one more does not. */
static void document_check_counts(void **state)
{
    (void)state;
    struct full_document full;
    full_document_init(&full);
    char *tags[OSR_TAGS_MAX + 1];
    for (size_t i = 0; i <= OSR_TAGS_MAX; i++) {
        tags[i] = "tag";
    }
    full.document.tags = tags;
    full.document.n_tags = OSR_TAGS_MAX;
    assert_int_equal(check(&full.document), 0);
    full.document.n_tags++;
    assert_int_equal(check(&full.document), OSR_TOO_LARGE);
    full.document.n_tags = 0;

    Osr__Version *supersedes[OSR_SUPERSEDES_MAX + 1];
    for (size_t i = 0; i <= OSR_SUPERSEDES_MAX; i++) {
        supersedes[i] = &full.version;
    }
    full.document.supersedes = supersedes;
    full.document.n_supersedes = OSR_SUPERSEDES_MAX;
    assert_int_equal(check(&full.document), 0);
    full.document.n_supersedes++;
    assert_int_equal(check(&full.document), OSR_TOO_LARGE);
    full.document.n_supersedes = 1;
    full.version.origin = "nobody";
    assert_int_equal(check(&full.document), OSR_INVALID_ARGUMENT);
}

/* A source has a digest of 32 bytes, and counts from 1. */
static void document_check_holds_source(void **state)
{
    (void)state;
    struct full_document full;
    full_document_init(&full);
    full.source.digest.len = OSR_SHA256_SIZE - 1;
    assert_int_equal(check(&full.document), OSR_INVALID_ARGUMENT);
    full.source.digest.len = OSR_SHA256_SIZE;
    full.source.occurrence = 0;
    assert_int_equal(check(&full.document), OSR_INVALID_ARGUMENT);
}

static int check_data(const char *text)
{
    struct full_document full;
    full_document_init(&full);
    full.data.text = bytes_of(text);
    return check(&full.document);
}

/* Data is one JSON value; white space stands within strings alone, and it is not too deep. */
static void document_check_wants_compact_json(void **state)
{
    (void)state;
    const char *const good[] = {"1",
                                "null",
                                "\"\"",
                                "\" a b \"",
                                "[]",
                                "{\"a b\":[1,\"c d\",{}]}",
                                "[\" \\\" \",\" \"]",
                                "{\"a\":1,\"a\":1.10}",
                                "\"\\u0000\\ud800\""};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(check_data(good[i]), 0);
    }
    const char *const spaced[] = {" 1",       "1 ",          "1\n",        "[ ]",
                                  "[1, 2]",   "{\"a\": 1}",  "{\"a\" :1}", "{ \"a\":1}",
                                  "[\"a\" ]", "[\"a\",\t1]", "{\"a\":1 }", "[\"a\" ,\" \"]"};
    for (size_t i = 0; i < sizeof(spaced) / sizeof(spaced[0]); i++) {
        assert_int_equal(check_data(spaced[i]), OSR_MALFORMED);
    }
    const char *const bad[] = {"", "{", "[1,]", "1 2", "tru", "\"\xff\"", "\"\n\"", "01"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(check_data(bad[i]), OSR_MALFORMED);
    }
    char deep[2 * (OSR_DATA_DEPTH_MAX + 1) + 1] = {0};
    memset(deep, '[', OSR_DATA_DEPTH_MAX);
    memset(deep + OSR_DATA_DEPTH_MAX, ']', OSR_DATA_DEPTH_MAX);
    assert_int_equal(check_data(deep), 0);
    memset(deep, '[', OSR_DATA_DEPTH_MAX + 1);
    memset(deep + OSR_DATA_DEPTH_MAX + 1, ']', OSR_DATA_DEPTH_MAX + 1);
    assert_int_equal(check_data(deep), OSR_TOO_LARGE);
}

/* One MiB of data passes, a byte more does not. */
static void document_check_limits_data(void **state)
{
    (void)state;
    struct full_document full;
    full_document_init(&full);
    uint8_t *text = osr_alloc(OSR_DATA_BYTES_MAX + 1);
    memset(text, '7', OSR_DATA_BYTES_MAX + 1);
    full.data.text = (ProtobufCBinaryData){OSR_DATA_BYTES_MAX, text};
    assert_int_equal(check(&full.document), 0);
    full.data.text.len++;
    assert_int_equal(check(&full.document), OSR_TOO_LARGE);
    free(text);
}

/* A put has data, a delete has none. */
static void document_check_wants_data_in_puts_only(void **state)
{
    (void)state;
    struct full_document full;
    full_document_init(&full);
    struct osr_err err;
    assert_int_equal(osr_document_check(&full.document, OSR__OPERATION__DELETE, true, &err),
                     OSR_INVALID_ARGUMENT);
    full.document.data = NULL;
    assert_int_equal(osr_document_check(&full.document, OSR__OPERATION__DELETE, true, &err), 0);
    assert_int_equal(osr_document_check(&full.document, OSR__OPERATION__PUT, true, &err),
                     OSR_INVALID_ARGUMENT);
}

/* ---- the digest ---- */

/* The digest is as the second opinion says, in whatever order the feeds are given. */
static void digest_matches_vectors(void **state)
{
    (void)state;
    struct osr_digest_feed feeds[3] = {{.sequence = 2}, {.sequence = 5}, {.sequence = 0}};
    assert_int_equal(osr_feed_id_make(&feeds[0].feed, ORIGIN, "kb", 1, NULL), 0);
    assert_int_equal(osr_feed_id_make(&feeds[1].feed, OTHER, "kb", 1, NULL), 0);
    assert_int_equal(osr_feed_id_make(&feeds[2].feed, OTHER, "kb", 2, NULL), 0);
    const uint8_t chain[] = {0x6d, 0x34, 0xc0, 0x7d, 0x8b, 0x38, 0x73, 0xce, 0xb5, 0x88, 0x86,
                             0x98, 0xbb, 0x9b, 0x59, 0x9e, 0xde, 0x8d, 0xcf, 0xb3, 0x0e, 0x19,
                             0x80, 0x1e, 0xc7, 0x57, 0xa0, 0xf8, 0x51, 0xe4, 0x2c, 0x66};
    memcpy(feeds[0].chain.bytes, chain, sizeof(chain));
    memset(feeds[1].chain.bytes, 7, OSR_SHA256_SIZE);
    for (int round = 0; round < 2; round++) {
        struct osr_digest_feed last = feeds[2];
        feeds[2] = feeds[0];
        feeds[0] = last;
        struct osr_digest *digest = osr_digest_create(feeds, 3);
        struct osr_version first = {.time = {10, 1}, .origin = ORIGIN};
        struct osr_version second = {.time = {11, 0}, .origin = OTHER};
        osr_digest_add(digest, osr_slice_text("a"), &first, OSR__OPERATION__PUT);
        osr_digest_add(digest, osr_slice_text("aa"), &second, OSR__OPERATION__DELETE);
        assert_hash(osr_digest_finish(digest),
                    "f0ea62c922749f8287d5c4e2352030cfc3cf25aa720292b7fedfa7d904aa36c0");
        osr_digest_destroy(digest);
    }
    struct osr_digest *empty = osr_digest_create(NULL, 0);
    assert_hash(osr_digest_finish(empty),
                "57f8d7d60ea035d612f97b28d994e414195fe205a63c151010eb9821310cef56");
    osr_digest_destroy(empty);
    osr_digest_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entry_hashes_match_vectors),
        cmocka_unit_test(entry_round_trip_keeps_all),
        cmocka_unit_test(entry_decode_refuses_cut_and_trailing_bytes),
        cmocka_unit_test(entry_decode_survives_flipped_bytes),
        cmocka_unit_test(entry_decode_stops_at_arena_cap),
        cmocka_unit_test(entry_hash_covers_place_and_content),
        cmocka_unit_test(entry_check_names_the_fault),
        cmocka_unit_test(batch_keeps_records),
        cmocka_unit_test(version_winner_is_independent_of_order),
        cmocka_unit_test(version_winner_of_random_sets_is_stable),
        cmocka_unit_test(version_winner_must_be_known),
        cmocka_unit_test(clock_tick_never_goes_back),
        cmocka_unit_test(clock_observe_puts_later_events_behind),
        cmocka_unit_test(clock_observe_stops_at_drift_limit),
        cmocka_unit_test(identity_matches_vectors),
        cmocka_unit_test(identity_checks_form_of_ids),
        cmocka_unit_test(feed_id_is_checked_and_ordered),
        cmocka_unit_test(document_id_is_time_ordered),
        cmocka_unit_test(document_id_from_source_finds_it_again),
        cmocka_unit_test(document_check_holds_texts),
        cmocka_unit_test(document_check_needs_an_id),
        cmocka_unit_test(document_check_counts),
        cmocka_unit_test(document_check_holds_source),
        cmocka_unit_test(document_check_wants_compact_json),
        cmocka_unit_test(document_check_limits_data),
        cmocka_unit_test(document_check_wants_data_in_puts_only),
        cmocka_unit_test(digest_matches_vectors),
    };
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
