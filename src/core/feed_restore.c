/* What the log gave back at the start is believed only as far as a signature reaches: the
 * last head of each feed is verified again, a tail behind it is cut off, and the own
 * feeds are signed again. Until then a feed is neither offered nor asked for. */
#include "core/feed_internal.h"

static void sign_own(struct osr_feed *core, struct replica *replica)
{
    struct operation *operation;
    uint64_t ticket = osr_feed_operation_begin(core, OPERATION_SIGN_RESTORED, &operation);
    operation->replica = replica;
    struct osr_feed_output *output = osr_feed_put_out(core, OSR_FEED_OUT_SIGN);
    output->sign.ticket = ticket;
    output->sign.message = osr_feed_head_message(core, replica, &replica->head);
}

static void restore_own(struct osr_feed *core, struct replica *replica,
                        const struct osr_feed_restored *restored)
{
    replica->restoring = true;
    /* Not capped, unlike what peers say: an own time is never used twice. */
    if (osr_time_compare(restored->time, core->clock.last) > 0) {
        core->clock.last = restored->time;
    }
    replica->head.sequence = restored->sequence;
    replica->head.chain = restored->chain;
    replica->head_time = restored->time;
    replica->own->head_stored = restored->head_sequence;
    osr_feed_replica_roll_back(replica);
    if (restored->sequence == 0) {
        osr_feed_restore_finish(core, replica);
        return;
    }
    osr_feed_say(core, OSR_LEVEL_INFO, "%s: restored up to %llu, signed up to %llu: signing again",
                 replica->label, (unsigned long long)restored->sequence,
                 (unsigned long long)restored->head_sequence);
    replica->state = REPLICA_CHECKING;
    sign_own(core, replica);
}

static void verify_head(struct osr_feed *core, struct replica *replica)
{
    replica->state = REPLICA_CHECKING;
    struct operation *operation;
    uint64_t ticket = osr_feed_operation_begin(core, OPERATION_VERIFY_RESTORED, &operation);
    operation->replica = replica;
    struct osr_feed_output *output = osr_feed_put_out(core, OSR_FEED_OUT_VERIFY);
    output->verify.ticket = ticket;
    output->verify.message = osr_feed_head_message(core, replica, &replica->head);
    output->verify.public_key = replica->public_key;
    output->verify.signature = replica->head.signature;
}

static void restore_foreign(struct osr_feed *core, struct replica *replica,
                            const struct osr_feed_restored *restored)
{
    replica->restoring = true;
    replica->public_key = restored->public_key;
    replica->restored_sequence = restored->sequence;
    osr_clock_observe(&core->clock, restored->time, core->time_ms);
    osr_feed_say(core, OSR_LEVEL_INFO, "%s: restored up to %llu, signed up to %llu", replica->label,
                 (unsigned long long)restored->sequence,
                 (unsigned long long)restored->head_sequence);
    if (restored->head_sequence == 0) {
        osr_feed_restore_verified(core, replica, true);
        return;
    }
    replica->head = (struct osr_feed_head){restored->head_sequence, restored->head_chain,
                                           restored->head_signature};
    for (size_t i = 0; i < restored->older_head_count; i++) {
        *(struct osr_feed_head *)osr_queue_push(&replica->older_heads) = restored->older_heads[i];
    }
    if (restored->head_sequence == restored->sequence) {
        replica->head_time = restored->time;
    }
    verify_head(core, replica);
}

void osr_feed_restore(struct osr_feed *core, const struct osr_feed_restored *feeds, size_t count)
{
    static const struct osr_feed_restored empty;
    const struct osr_feed_restored *own[OSR_STREAM_COUNT] = {[OSR_STREAM_KB] = &empty};
    for (size_t i = 0; i < count; i++) {
        struct replica *replica = osr_feed_replica_need(core, &feeds[i].id, NULL);
        if (replica->own != NULL) {
            own[replica->stream] = &feeds[i];
        } else {
            restore_foreign(core, replica, &feeds[i]);
        }
    }
    for (size_t i = 0; i < OSR_STREAM_COUNT; i++) {
        if (own[i] != NULL) {
            restore_own(core, core->own[i].replica, own[i]);
        }
    }
}

/* The head is forged: the one before it may be good. False where there is none. */
static bool fall_back(struct osr_feed *core, struct replica *replica)
{
    osr_feed_say(core, OSR_LEVEL_ERROR, "%s: the signature of head %llu in the log is not good",
                 replica->label, (unsigned long long)replica->head.sequence);
    const struct osr_feed_head *older = osr_queue_front(&replica->older_heads);
    replica->head = older != NULL ? *older : (struct osr_feed_head){0};
    replica->head_time = (struct osr_time){0};
    if (older != NULL) {
        osr_queue_pop(&replica->older_heads);
    }
    return older != NULL;
}

void osr_feed_restore_verified(struct osr_feed *core, struct replica *replica, bool valid)
{
    if (!valid && fall_back(core, replica)) {
        verify_head(core, replica);
        return;
    }
    osr_queue_done(&replica->older_heads);
    osr_feed_replica_roll_back(replica);
    if (replica->restored_sequence > replica->head.sequence) {
        osr_feed_receive_cut(core, replica);
    } else {
        osr_feed_restore_finish(core, replica);
    }
}

void osr_feed_restore_signed(struct osr_feed *core, struct replica *replica,
                             const struct osr_signature *signature)
{
    replica->head.signature = *signature;
    osr_feed_restore_finish(core, replica);
}

void osr_feed_restore_finish(struct osr_feed *core, struct replica *replica)
{
    replica->state = REPLICA_LIVE;
    replica->restoring = false;
    osr_feed_say(core, OSR_LEVEL_INFO, "%s: good up to %llu", replica->label,
                 (unsigned long long)replica->head.sequence);
    osr_feed_put_out_commit(core, replica, 0, replica->head.sequence);
    osr_feed_lead_committed(core, replica);
    osr_feed_follow_review(core, replica);
}
