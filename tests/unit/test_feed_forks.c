/* The feed core and feeds that forked: two histories of one feed, both signed. */
#include "lib/feed_puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* Two histories of one feed, both signed: the peer that holds the other one is told, and the
 * rest goes on. */
static void feed_reports_a_fork(void **state)
{
    struct rig *rig = *state;
    struct puppet origin = puppet_joined(rig, 2, 5, 2);
    puppet_joined(rig, 3, 6, 0);
    struct sent *other = sent_make(&origin.key, "kb", 1, 2, 20, TIME_MS, origin.chain);
    puppet_send_next(rig, &origin, 2);
    puppet_send_batch(rig, 6, other);
    assert_error_sent(rig, 6, OSR_FORKED);
    assert_open(rig);
    puppet_send_next(rig, &origin, 1);
    assert_commit(rig, 1, origin.id, 3, 3);
    free(other);
}

/* The own feed forked: a peer holds entries that do not follow on ours. It is told, not closed, and
 * writing goes on. */
static void feed_writes_on_when_its_own_feed_forked(void **state)
{
    struct rig *rig = *state;
    rig_write_one(rig, 1);
    struct puppet self = puppet_make(OWN_NUMBER, 5);
    free(puppet_next_batch(&self, 1, 20)); /* not what the test wrote */
    struct puppet peer = puppet_joined(rig, 3, 6, 0);
    puppet_ack_of(rig, &peer, self.id, "kb", 2);
    rig_forget(rig);
    rig_write_one(rig, 2);
    assert_none(rig, OSR_FEED_OUT_STORE);
    struct sent *other = puppet_next_batch(&self, 1, 10);
    puppet_send_batch(rig, 6, other);
    assert_error_sent(rig, 6, OSR_FORKED);
    assert_open(rig);
    assert_written(rig, 0, OSR_OK, 2);
    free(other);
}

/* A peer whose HELLO shows another chain at our sequence holds another branch: it is told, and not
 * asked for that feed. */
static void feed_reports_a_fork_seen_in_hello(void **state)
{
    struct rig *rig = *state;
    struct puppet origin = puppet_joined(rig, 2, 5, 2);
    puppet_send_next(rig, &origin, 2);
    rig_link_down(rig, 5);
    rig_forget(rig);
    struct puppet relay = puppet_make(3, 6);
    uint8_t other_chain[OSR_SHA256_SIZE] = {1};
    Osr__FeedHead head = feed_head(origin.id, "kb", 2);
    head.chain = (ProtobufCBinaryData){sizeof(other_chain), other_chain};
    puppet_join_holding(rig, &relay, head);
    assert_error_sent(rig, 6, OSR_FORKED);
    assert_not_sent(rig, 6, OSR__FRAME__BODY_FETCH);
    assert_open(rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(feed_reports_a_fork),
        TEST(feed_writes_on_when_its_own_feed_forked),
        TEST(feed_reports_a_fork_seen_in_hello),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
