/* The feed core and batches that break the rules: forged, malformed, or too many. */
#include "lib/feed_puppet.h"
#include "lib/keyed_hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* Sends one batch that was tampered with, and expects the link to be closed with this code. */
static void assert_batch_refused(void (*tamper)(struct sent *), enum osr_code code)
{
    struct rig *rig = rig_create();
    struct puppet puppet = puppet_joined(rig, 2, 5, 3);
    rig_forget(rig);
    struct sent *sent = puppet_next_batch(&puppet, 3, 10);
    tamper(sent);
    puppet_send_batch(rig, 5, sent);
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
    sent->key = keyed_hash_key(9);
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
    sent_seal(sent, (struct osr_hash){{0}});
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
    struct puppet puppet = puppet_joined(rig, 2, 5, 3);
    puppet_send_next(rig, &puppet, 1);
    rig_forget(rig);
    struct sent *sent = puppet_next_batch(&puppet, 2, 10);
    struct osr_signature good = sent->signature;
    sent->signature.bytes[3] ^= 1;
    puppet_send_batch(rig, 5, sent);
    const struct seen *truncate = rig_find(rig, OSR_FEED_OUT_TRUNCATE, 0);
    assert_non_null(truncate);
    assert_string_equal(truncate->feed, puppet.id);
    assert_int_equal(truncate->output.truncate.sequence, 1);
    assert_closed(rig, 5, OSR_BAD_SIGNATURE);
    assert_none(rig, OSR_FEED_OUT_COMMIT);
    rig_link_down(rig, 5);
    puppet.link = 6;
    puppet_join(rig, &puppet, 3);
    assert_fetched(rig, 6, 2);
    sent->signature = good;
    puppet_send_batch(rig, 6, sent);
    assert_commit(rig, 0, puppet.id, 2, 3);
    free(sent);
}

/* A peer that sends two windows beyond what is acknowledged is closed. */
static void feed_closes_a_flood_over_the_window(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_joined(rig, 2, 5, 100);
    rig->hold_stores = true;
    const size_t entry_bytes = 1000;
    for (size_t i = 0; i < 3 * WINDOW_BYTES / entry_bytes; i++) {
        struct sent *sent = puppet_next_batch(&puppet, 1, entry_bytes);
        puppet_send_batch(rig, 5, sent);
        free(sent);
    }
    assert_closed(rig, 5, OSR_FLOW_CONTROL);
    assert_true(rig_count(rig, OSR_FEED_OUT_STORE) <= 2 * WINDOW_BYTES / entry_bytes + 1);
}

/* Where the disk is too full even to cut a forged batch off, that is tried again; until then
 * nothing is taken for the feed. */
static void feed_cuts_again_when_the_disk_was_full(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_joined(rig, 2, 5, 1);
    struct sent *sent = puppet_next_batch(&puppet, 1, 10);
    sent->signature.bytes[0] ^= 1;
    rig->hold_stores = true;
    puppet_send_batch(rig, 5, sent);
    const struct seen *truncate = rig_find(rig, OSR_FEED_OUT_TRUNCATE, 0);
    assert_non_null(truncate);
    rig_step(rig, &(struct osr_feed_event){.type = OSR_FEED_STORED,
                                           .stored = {.ticket = truncate->output.truncate.ticket,
                                                      .code = OSR_DISK_FULL}});
    rig->hold_stores = false;
    rig_link_down(rig, 5);
    rig_forget(rig);
    puppet.link = 6;
    puppet_join(rig, &puppet, 1);
    assert_not_sent(rig, 6, OSR__FRAME__BODY_FETCH);
    rig_advance(rig, RETRY_MS);
    assert_int_equal(rig_count(rig, OSR_FEED_OUT_TRUNCATE), 1);
    assert_fetched(rig, 6, 1);
    free(sent);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(feed_refuses_a_forged_hash),
        cmocka_unit_test(feed_refuses_a_foreign_key),
        cmocka_unit_test(feed_refuses_malformed_batches),
        TEST(feed_cuts_off_a_forged_signature),
        TEST(feed_closes_a_flood_over_the_window),
        TEST(feed_cuts_again_when_the_disk_was_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
