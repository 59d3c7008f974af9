/* The feed core that leads a feed of its own in more than one stream. */
#include "lib/feed_puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void write_into(struct rig *rig, enum osr_feed_stream stream, uint64_t token, uint32_t acks)
{
    rig->stream = stream;
    rig_write(rig, token, 1, 10, acks);
}

static void flush_into(struct rig *rig, enum osr_feed_stream stream, uint64_t token)
{
    write_into(rig, stream, token, 0);
    rig_flush(rig);
}

/* The answer to a write; NULL: there is none yet. */
static const struct seen *find_written(struct rig *rig, uint64_t token)
{
    for (size_t i = 0; i < rig_count(rig, OSR_FEED_OUT_WRITTEN); i++) {
        const struct seen *seen = rig_find(rig, OSR_FEED_OUT_WRITTEN, i);
        if (seen->output.written.token == token) {
            return seen;
        }
    }
    return NULL;
}

static void assert_waits(struct rig *rig, uint64_t token)
{
    assert_null(find_written(rig, token));
}

static void assert_answered(struct rig *rig, uint64_t token, enum osr_code code, uint64_t first)
{
    const struct seen *seen = find_written(rig, token);
    assert_non_null(seen);
    assert_int_equal(seen->code, code);
    assert_int_equal(seen->output.written.first, first);
}

static void assert_commit_of(struct rig *rig, size_t nth, const char *feed, const char *stream,
                             uint64_t first, uint64_t last)
{
    assert_commit(rig, nth, feed, first, last);
    assert_string_equal(rig_find(rig, OSR_FEED_OUT_COMMIT, nth)->stream, stream);
}

/* How many frames of a kind about that stream were sent to a peer. */
static size_t count_sent(struct rig *rig, uint32_t peer, Osr__Frame__BodyCase body,
                         const char *stream)
{
    size_t count = 0;
    for (size_t i = 0; i < rig_count(rig, OSR_FEED_OUT_SEND); i++) {
        const struct seen *seen = rig_find(rig, OSR_FEED_OUT_SEND, i);
        if (seen->output.send.peer != peer || seen->frame->body_case != body) {
            continue;
        }
        const char *about = body == OSR__FRAME__BODY_ACK     ? seen->frame->ack->stream
                            : body == OSR__FRAME__BODY_FETCH ? seen->frame->fetch->stream
                                                             : seen->frame->update->stream;
        count += strcmp(about, stream) == 0;
    }
    return count;
}

/* A peer that speaks of trust. */
static struct puppet puppet_of_trust(uint8_t number, uint32_t link)
{
    struct puppet puppet = puppet_make(number, link);
    puppet.stream = "trust";
    return puppet;
}

/* ---- writing ---- */

/* One flush sends off a batch of each stream; each counts from 1 and is committed when it is
 * stored, whichever is first. No two entries of an origin have the same time. */
static void feed_writes_into_two_streams_side_by_side(void **state)
{
    struct rig *rig = *state;
    const char *self = osr_feed_instance(rig->core);
    rig->hold_stores = true;
    write_into(rig, OSR_STREAM_KB, 1, 0);
    flush_into(rig, OSR_STREAM_TRUST, 2);
    assert_int_equal(rig_count(rig, OSR_FEED_OUT_STORE), 2);
    assert_string_equal(rig_find(rig, OSR_FEED_OUT_STORE, 0)->stream, "kb");
    assert_string_equal(rig_find(rig, OSR_FEED_OUT_STORE, 1)->stream, "trust");

    rig_release_store(rig, 1);
    assert_commit_of(rig, 0, self, "trust", 1, 1);
    assert_answered(rig, 2, OSR_OK, 1);
    assert_waits(rig, 1);
    rig_release_store(rig, 0);
    assert_commit_of(rig, 1, self, "kb", 1, 1);
    assert_answered(rig, 1, OSR_OK, 1);
    assert_int_not_equal(osr_time_compare(find_written(rig, 1)->output.written.first_time,
                                          find_written(rig, 2)->output.written.first_time),
                         0);
}

/* What waits to be stored counts together: a write into one stream is refused where another has
 * filled the room, and makes no feed. */
static void feed_counts_the_backlog_of_all_streams(void **state)
{
    struct rig *rig = *state;
    rig_write(rig, 1, 1, 5 * BATCH_BYTES, 0);
    size_t backlog = osr_feed_backlog(rig->core);
    assert_true(backlog > 5 * BATCH_BYTES);
    write_into(rig, OSR_STREAM_TRUST, 2, 0);
    assert_answered(rig, 2, OSR_BUSY, 0);
    assert_int_equal(osr_feed_count(rig->core), 1);
    rig_flush(rig);
    assert_int_equal(osr_feed_backlog(rig->core), 0);
    flush_into(rig, OSR_STREAM_TRUST, 3);
    assert_answered(rig, 3, OSR_OK, 1);
}

/* A batch of one stream that finds no room is given up; that of the other is not. */
static void feed_gives_up_the_batch_of_one_stream(void **state)
{
    struct rig *rig = *state;
    rig->hold_stores = true;
    write_into(rig, OSR_STREAM_KB, 1, 0);
    flush_into(rig, OSR_STREAM_TRUST, 2);
    uint64_t ticket = rig_find(rig, OSR_FEED_OUT_STORE, 1)->output.store.ticket;
    rig_step(rig, &(struct osr_feed_event){.type = OSR_FEED_STORED,
                                           .stored = {.ticket = ticket, .code = OSR_DISK_FULL}});
    assert_answered(rig, 2, OSR_DISK_FULL, 0);
    rig_release_store(rig, 0);
    assert_answered(rig, 1, OSR_OK, 1);
    rig->hold_stores = false;
    flush_into(rig, OSR_STREAM_TRUST, 3);
    assert_answered(rig, 3, OSR_OK, 1);
}

/* A follower's ACK of one stream is none of the other. In each, who waits in vain is told in time.
 */
static void feed_waits_for_acks_of_the_same_stream(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_joined(rig, 2, 5, 0);
    write_into(rig, OSR_STREAM_KB, 1, 1);
    write_into(rig, OSR_STREAM_TRUST, 2, 1);
    rig_flush(rig);
    puppet_ack(rig, &puppet, 1);
    assert_answered(rig, 1, OSR_OK, 1);
    assert_waits(rig, 2);
    puppet.stream = "trust";
    puppet_ack(rig, &puppet, 1);
    assert_answered(rig, 2, OSR_OK, 1);

    write_into(rig, OSR_STREAM_KB, 3, 1);
    write_into(rig, OSR_STREAM_TRUST, 4, 1);
    rig_flush(rig);
    rig_advance(rig, 1000);
    assert_answered(rig, 3, OSR_TIMEOUT, 2);
    assert_answered(rig, 4, OSR_TIMEOUT, 2);
}

/* ---- what peers are told ---- */

/* A stream into which nothing was written is not spoken of. What is written into it then is told to
 * those who are linked, and in HELLO to those who come. */
static void feed_speaks_of_a_stream_once_it_has_entries(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_joined(rig, 2, 5, 0);
    assert_int_equal(rig_find_frame(rig, 5, OSR__FRAME__BODY_HELLO)->hello->n_held, 1);
    for (int i = 0; i < 5; i++) { /* statements are repeated */
        rig_advance(rig, HEARTBEAT_MS);
        puppet_ack(rig, &puppet, 0);
    }
    assert_int_equal(count_sent(rig, 5, OSR__FRAME__BODY_ACK, "trust"), 0);

    flush_into(rig, OSR_STREAM_TRUST, 1);
    assert_int_equal(count_sent(rig, 5, OSR__FRAME__BODY_ACK, "trust"), 1);
    assert_acked(rig, 5, 1);
    puppet_joined(rig, 3, 6, 0);
    const Osr__Hello *hello = rig_find_frame(rig, 6, OSR__FRAME__BODY_HELLO)->hello;
    bool is_told = false;
    for (size_t i = 0; i < hello->n_held; i++) {
        is_told |= strcmp(hello->held[i]->stream, "trust") == 0 && hello->held[i]->sequence == 1;
    }
    assert_true(is_told);
}

/* Who asks for one stream is sent that one. To be sent a peer everything again is about kb. */
static void feed_sends_the_stream_that_is_asked_for(void **state)
{
    struct rig *rig = *state;
    rig->log_stream = OSR_STREAM_TRUST;
    struct puppet puppet = puppet_of_trust(2, 5);
    puppet_join(rig, &puppet, 0);
    puppet_fetch(rig, &puppet, 1); /* nothing is there yet */
    assert_error_sent(rig, 5, OSR_NOT_FOUND);
    flush_into(rig, OSR_STREAM_KB, 1);
    flush_into(rig, OSR_STREAM_TRUST, 2);
    puppet_fetch(rig, &puppet, 1);
    assert_int_equal(count_sent(rig, 5, OSR__FRAME__BODY_UPDATE, "trust"), 1);
    assert_int_equal(count_sent(rig, 5, OSR__FRAME__BODY_UPDATE, "kb"), 0);
    puppet_ack(rig, &puppet, 1);
    rig_forget(rig);
    rig_step(rig, &(struct osr_feed_event){.type = OSR_FEED_RESEND,
                                           .resend = {.peer = 5, .from_sequence = 1}});
    assert_not_sent(rig, 5, OSR__FRAME__BODY_UPDATE);
}

/* ---- after a restart ---- */

/* What the log has of each stream is signed again, and each goes on where it stood. */
static void feed_goes_on_with_both_streams_after_a_restart(void **state)
{
    struct rig *rig = *state;
    struct puppet self = puppet_make(OWN_NUMBER, 5);
    struct puppet self_of_trust = puppet_of_trust(OWN_NUMBER, 5);
    struct restored_batches kb = restored_two(&self);
    struct restored_batches trust = restored_two(&self_of_trust);
    struct osr_feed_restored feeds[] = {trust.feed, kb.feed};
    feeds[0].time.logical = 40;
    rig_start(rig, feeds, 2);
    assert_int_equal(rig_count(rig, OSR_FEED_OUT_SIGN), 2);
    assert_commit_of(rig, 0, self.id, "kb", 0, 4);
    assert_commit_of(rig, 1, self.id, "trust", 0, 4);
    assert_int_equal(osr_feed_count(rig->core), 2);
    for (size_t i = 0; i < 2; i++) {
        struct osr_feed_info info;
        osr_feed_info(rig->core, i, &info);
        assert_true(info.own);
        assert_int_equal(info.stream, i == 0 ? OSR_STREAM_KB : OSR_STREAM_TRUST);
        assert_int_equal(info.sequence, 4);
    }
    rig->record_count = 4;
    write_into(rig, OSR_STREAM_KB, 1, 0);
    flush_into(rig, OSR_STREAM_TRUST, 2);
    assert_answered(rig, 1, OSR_OK, 5);
    assert_answered(rig, 2, OSR_OK, 5);
    struct osr_time last = {TIME_MS, 40};
    assert_true(osr_time_compare(find_written(rig, 1)->output.written.first_time, last) > 0);
    restored_done(&kb);
    restored_done(&trust);
}

/* An own feed that the log knows only in another stream leaves that of kb empty, and there. */
static void feed_has_its_kb_beside_a_log_of_trust(void **state)
{
    struct rig *rig = *state;
    struct puppet self = puppet_of_trust(OWN_NUMBER, 5);
    struct restored_batches trust = restored_two(&self);
    rig_start(rig, &trust.feed, 1);
    assert_commit_of(rig, 0, self.id, "kb", 0, 0);
    assert_commit_of(rig, 1, self.id, "trust", 0, 4);
    flush_into(rig, OSR_STREAM_KB, 1);
    assert_answered(rig, 1, OSR_OK, 1);
    restored_done(&trust);
}

/* Entries of one stream that were lost stop writes into that one until a peer has shown them, and
 * not into the other: either way round. */
static void feed_waits_for_a_lost_tail_in_its_stream_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < OSR_STREAM_COUNT; i++) {
        enum osr_feed_stream lost = (enum osr_feed_stream)i;
        enum osr_feed_stream whole = lost == OSR_STREAM_KB ? OSR_STREAM_TRUST : OSR_STREAM_KB;
        struct rig *rig = rig_create();
        rig->log_stream = lost;
        struct puppet self = puppet_make(OWN_NUMBER, 5);
        struct puppet peer = puppet_make(3, 6);
        self.stream = peer.stream = osr_feed_stream_name(lost);
        struct restored_batches batches = restored_two(&self);
        puppet_join_claiming(rig, &peer, 4);
        assert_fetched(rig, 6, 1);
        assert_int_equal(count_sent(rig, 6, OSR__FRAME__BODY_FETCH, peer.stream), 1);
        flush_into(rig, lost, 1);
        flush_into(rig, whole, 2);
        assert_answered(rig, 2, OSR_OK, 1);
        assert_waits(rig, 1);
        puppet_send_batch(rig, 6, batches.older);
        puppet_send_batch(rig, 6, batches.newer);
        assert_answered(rig, 1, OSR_OK, 5);
        restored_done(&batches);
        rig_destroy(rig);
    }
}

/* What a peer did not show of one stream does not make its word count less in the other. */
static void feed_judges_claims_in_each_stream_alone(void **state)
{
    struct rig *rig = *state;
    struct puppet peer = puppet_of_trust(3, 6);
    puppet_join_claiming(rig, &peer, 1000);
    rig_advance(rig, SILENCE_MS / 2);
    puppet_ack(rig, &peer, 1000);
    rig_advance(rig, SILENCE_MS / 2);
    assert_true(rig_has_said(rig, "going on without"));
    flush_into(rig, OSR_STREAM_TRUST, 1);
    assert_answered(rig, 1, OSR_OK, 1);

    peer.stream = "kb";
    puppet_ack(rig, &peer, 4);
    flush_into(rig, OSR_STREAM_KB, 2);
    assert_waits(rig, 2);
    rig_advance(rig, SILENCE_MS - HEARTBEAT_MS);
    assert_waits(rig, 2);
}

/* ---- leave ---- */

/* An origin that may lead kb and not trust is followed in kb; what it says and sends of trust is
 * dropped, and the link stays. */
static void feed_takes_of_an_origin_what_it_may_lead(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_make(2, 5);
    struct puppet same_of_trust = puppet_of_trust(2, 5);
    rig->barred_stream = "trust";
    rig_bar_leader(rig, puppet.id);
    puppet_join(rig, &puppet, 0);
    puppet_ack_of(rig, &puppet, puppet.id, "trust", 3);
    puppet_send_next(rig, &same_of_trust, 3);
    puppet_send_next(rig, &puppet, 2);
    rig_advance(rig, HEARTBEAT_MS);
    assert_int_equal(rig_count(rig, OSR_FEED_OUT_COMMIT), 1);
    assert_commit_of(rig, 0, puppet.id, "kb", 1, 2);
    assert_int_equal(count_sent(rig, 5, OSR__FRAME__BODY_FETCH, "trust"), 0);
    assert_int_equal(osr_feed_count(rig->core), 2); /* the own one, and its kb */
    assert_open(rig);

    rig_bar_leader(rig, NULL);
    puppet_ack_of(rig, &puppet, puppet.id, "trust", 3);
    assert_int_equal(count_sent(rig, 5, OSR__FRAME__BODY_FETCH, "trust"), 1);
}

/* Who may follow kb and not trust is given the one, and told of the other. */
static void feed_gives_a_follower_the_streams_it_may_follow(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_following(rig, 2, 5);
    rig->barred_stream = "trust";
    rig_bar_follower(rig, puppet.id);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_ERROR);
    flush_into(rig, OSR_STREAM_TRUST, 1);
    puppet.stream = "trust";
    puppet_fetch(rig, &puppet, 1);
    assert_error_sent(rig, 5, OSR_PERMISSION_DENIED);
    flush_into(rig, OSR_STREAM_KB, 2);
    assert_int_equal(count_sent(rig, 5, OSR__FRAME__BODY_UPDATE, "kb"), 1);
    assert_int_equal(count_sent(rig, 5, OSR__FRAME__BODY_UPDATE, "trust"), 0);
    assert_open(rig);
}

#define TEST(name)         cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)
#define RESTART_TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up_stopped, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(feed_writes_into_two_streams_side_by_side),
        TEST(feed_counts_the_backlog_of_all_streams),
        TEST(feed_gives_up_the_batch_of_one_stream),
        TEST(feed_waits_for_acks_of_the_same_stream),
        TEST(feed_speaks_of_a_stream_once_it_has_entries),
        TEST(feed_sends_the_stream_that_is_asked_for),
        RESTART_TEST(feed_goes_on_with_both_streams_after_a_restart),
        RESTART_TEST(feed_has_its_kb_beside_a_log_of_trust),
        cmocka_unit_test(feed_waits_for_a_lost_tail_in_its_stream_alone),
        TEST(feed_judges_claims_in_each_stream_alone),
        TEST(feed_takes_of_an_origin_what_it_may_lead),
        TEST(feed_gives_a_follower_the_streams_it_may_follow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
