/* Ids of instances, feeds and documents, and the digest of what is held. */
#include "lib/full_document.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "model/digest.h"

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
    assert_string_equal(id, VECTOR_ORIGIN);
    memset(key.bytes, 0, sizeof(key.bytes));
    osr_instance_id(id, &key);
    assert_string_equal(id, VECTOR_OTHER);

    uint8_t own_nonce[OSR_NONCE_SIZE];
    uint8_t other_nonce[OSR_NONCE_SIZE];
    memset(own_nonce, 0x11, sizeof(own_nonce));
    memset(other_nonce, 0x22, sizeof(other_nonce));
    struct osr_buffer proof = {0};
    osr_proof_message(&proof, VECTOR_ORIGIN, own_nonce, VECTOR_OTHER, other_nonce,
                      osr_slice_text("bound"));
    assert_hash(hash_of(osr_buffer_slice(&proof)),
                "0300ec637b9996a1dac9d11962d995dd2e1421cc7970d2ac5b5ef11899a9c4e8");
    osr_buffer_done(&proof);
}

/* Only 32 characters of the alphabet are an instance id. */
static void identity_checks_form_of_ids(void **state)
{
    (void)state;
    assert_true(osr_instance_id_is_valid(VECTOR_ORIGIN));
    assert_false(osr_instance_id_is_valid(""));
    assert_false(osr_instance_id_is_valid("r5vrib3obxtwpwgd2ikwdc2fh36amgm"));
    assert_false(osr_instance_id_is_valid(VECTOR_ORIGIN "a"));
    assert_false(osr_instance_id_is_valid("R5vrib3obxtwpwgd2ikwdc2fh36amgmb"));
    assert_false(osr_instance_id_is_valid("15vrib3obxtwpwgd2ikwdc2fh36amgmb"));
}

/* Each stream is found by its name, under which its feeds go, and no other name is. */
static void streams_are_found_by_name(void **state)
{
    (void)state;
    enum osr_feed_stream found = OSR_STREAM_COUNT;
    struct osr_feed_id id;
    for (size_t i = 0; i < OSR_STREAM_COUNT; i++) {
        const char *name = osr_feed_stream_name((enum osr_feed_stream)i);
        assert_true(osr_feed_stream_find(name, &found));
        assert_int_equal(found, i);
        assert_int_equal(osr_feed_id_make(&id, VECTOR_ORIGIN, name, 1, NULL), 0);
        assert_string_equal(id.stream, name);
    }
    assert_string_equal(osr_feed_stream_name(OSR_STREAM_KB), "kb");
    assert_string_equal(osr_feed_stream_name(OSR_STREAM_TRUST), "trust");
    assert_false(osr_feed_stream_find("", &found));
    assert_false(osr_feed_stream_find("trus", &found));
    assert_false(osr_feed_stream_find("KB", &found));
}

/* A feed needs a valid origin, a known stream and an epoch; feeds sort by all three. */
static void feed_id_is_checked_and_ordered(void **state)
{
    (void)state;
    struct osr_feed_id a;
    struct osr_feed_id b;
    struct osr_err err;
    assert_int_equal(osr_feed_id_make(&a, "me", "kb", 1, &err), OSR_INVALID_ARGUMENT);
    assert_int_equal(osr_feed_id_make(&a, VECTOR_ORIGIN, "kbb", 1, &err), OSR_INVALID_ARGUMENT);
    assert_int_equal(osr_feed_id_make(&a, VECTOR_ORIGIN, "kb", 0, &err), OSR_INVALID_ARGUMENT);
    assert_int_equal(osr_feed_id_make(&a, VECTOR_ORIGIN, "kb", 1, &err), 0);
    assert_int_equal(osr_feed_id_make(&b, VECTOR_ORIGIN, "kb", 2, &err), 0);
    assert_true(osr_feed_id_compare(&a, &b) < 0);
    assert_true(osr_feed_id_compare(&b, &a) > 0);
    assert_false(osr_feed_id_equal(&a, &b));
    assert_int_equal(osr_feed_id_make(&b, VECTOR_OTHER, "kb", 9, &err), 0);
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
    osr_document_id_from_source(id, VECTOR_ORIGIN, &full.source);
    assert_string_equal(id, "sqse7lvybyb2y44cd4q6crtq6dbusci7e");

    full.source.position = 12;
    osr_document_id_from_source(other, VECTOR_ORIGIN, &full.source);
    assert_string_equal(id, other);
    osr_document_id_from_source(other, VECTOR_OTHER, &full.source);
    assert_string_not_equal(id, other);
    full.source.occurrence = 2;
    osr_document_id_from_source(other, VECTOR_ORIGIN, &full.source);
    assert_string_not_equal(id, other);
    full.source.occurrence = 1;
    full.source.name = "kb_b.json";
    osr_document_id_from_source(other, VECTOR_ORIGIN, &full.source);
    assert_string_not_equal(id, other);
    full.source.name = "kb_a.json";
    full.digest.bytes[31] ^= 1;
    osr_document_id_from_source(other, VECTOR_ORIGIN, &full.source);
    assert_string_not_equal(id, other);
}

/* ---- the digest ---- */

/* The digest is as the second opinion says, in whatever order the feeds are given. */
static void digest_matches_vectors(void **state)
{
    (void)state;
    struct osr_digest_feed feeds[3] = {{.sequence = 2}, {.sequence = 5}, {.sequence = 0}};
    assert_int_equal(osr_feed_id_make(&feeds[0].feed, VECTOR_ORIGIN, "kb", 1, NULL), 0);
    assert_int_equal(osr_feed_id_make(&feeds[1].feed, VECTOR_OTHER, "kb", 1, NULL), 0);
    assert_int_equal(osr_feed_id_make(&feeds[2].feed, VECTOR_OTHER, "kb", 2, NULL), 0);
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
        struct osr_version first = {.time = {10, 1}, .origin = VECTOR_ORIGIN};
        struct osr_version second = {.time = {11, 0}, .origin = VECTOR_OTHER};
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
        cmocka_unit_test(identity_matches_vectors),
        cmocka_unit_test(identity_checks_form_of_ids),
        cmocka_unit_test(streams_are_found_by_name),
        cmocka_unit_test(feed_id_is_checked_and_ordered),
        cmocka_unit_test(document_id_is_time_ordered),
        cmocka_unit_test(document_id_from_source_finds_it_again),
        cmocka_unit_test(digest_matches_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
