/* Entries: how they are stored, hashed, decoded and checked; and batches of them. */
#include "lib/full_document.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "model/limits.h"

enum { ARENA_KEEP = 1 << 16, ARENA_CAP = 1 << 20 };

/* Two entries hash, chain and are signed as the second opinion says. */
static void entry_hashes_match_vectors(void **state)
{
    (void)state;
    struct full_document full;
    full_document_init(&full);
    struct osr_feed_id feed = vector_feed();
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
    gone.id = VECTOR_ID;
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
        document->data->text = text_bytes(random_text(random, arena, 256));
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
        version->origin = VECTOR_ORIGIN;
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

/* As a put at the time 1. */
static void store_full_document(struct osr_buffer *stored)
{
    struct full_document full;
    full_document_init(&full);
    osr_entry_encode(stored, (struct osr_time){1, 0}, OSR__OPERATION__PUT, &full.document);
}

/* Every prefix of an entry, and the entry with a byte more, is CORRUPT; ret_entry stays. */
static void entry_decode_refuses_cut_and_trailing_bytes(void **state)
{
    (void)state;
    struct osr_buffer stored = {0};
    store_full_document(&stored);
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
    struct osr_buffer stored = {0};
    store_full_document(&stored);
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
    struct osr_buffer stored = {0};
    store_full_document(&stored);
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
    struct osr_feed_id feed = vector_feed();
    struct osr_buffer stored = {0};
    store_full_document(&stored);
    struct osr_slice slice = osr_buffer_slice(&stored);
    struct osr_hash hash = osr_entry_hash(&feed, 5, slice);

    struct osr_feed_id other_epoch = feed;
    other_epoch.epoch = 2;
    struct osr_feed_id other_origin;
    assert_int_equal(osr_feed_id_make(&other_origin, VECTOR_OTHER, "kb", 1, NULL), 0);
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
    struct osr_batch batch = {.feed = vector_feed(), .first = 10};
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
