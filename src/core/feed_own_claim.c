/* What peers claim to hold of an own feed behind its end: entries that we lost (a folder restored
 * from a backup), or a lie.
 *
 * Writes into it wait for them, for a sequence must not be used twice; the peer is asked to show
 * them. How long is remembered by instance, not by link. Each has silence_ms for its first claim.
 * Once that is used up, on however many links, what it claimed counts no more; a larger claim may
 * be true and is waited for again, half as long each time. So who shows nothing holds up our writes
 * for less than twice silence_ms, whatever it claims and however often it links anew. While
 * entries come from anybody no time runs: they are signed by us, and there is an end to them. */
#include "core/feed_internal.h"

static struct own_claim *claim_by(const struct own *own, const struct peer *peer)
{
    return &peer->party->own_claims[own->replica->stream];
}

void osr_feed_own_claims_init(const struct osr_feed *core, struct party *party)
{
    for (size_t i = 0; i < OSR_STREAM_COUNT; i++) {
        party->own_claims[i] = (struct own_claim){.granted_ms = core->options.silence_ms,
                                                  .left_ms = core->options.silence_ms};
    }
}

static uint64_t deadline_ms(const struct own_claim *claim)
{
    return claim->since_ms + claim->left_ms;
}

static void pause_claim(const struct osr_feed *core, struct own_claim *claim)
{
    if (claim->sequence == 0) {
        return;
    }
    uint64_t deadline = deadline_ms(claim);
    claim->left_ms = deadline > core->now_ms ? deadline - core->now_ms : 0;
    claim->sequence = 0;
}

void osr_feed_own_claims_pause(const struct osr_feed *core, struct party *party)
{
    for (size_t i = 0; i < OSR_STREAM_COUNT; i++) {
        pause_claim(core, &party->own_claims[i]);
    }
}

/* What it claims is not believed any more: only a larger claim counts again. */
static void refuse(const struct osr_feed *core, struct own_claim *claim)
{
    claim->refused = claim->sequence;
    pause_claim(core, claim);
}

void osr_feed_own_claim_take(struct osr_feed *core, const struct own *own, struct peer *peer,
                             uint64_t sequence)
{
    struct own_claim *claim = claim_by(own, peer);
    bool may_show = claim->granted_ms > 0 && !osr_feed_channel(own->replica, peer)->forked;
    if (!may_show || sequence <= claim->refused || sequence <= claim->sequence) {
        return;
    }
    if (claim->sequence == 0) {
        claim->since_ms = core->now_ms;
    }
    claim->sequence = sequence;
    osr_feed_say(core, OSR_LEVEL_WARNING, "%s: %s says it holds %llu of our own feed, we hold %llu",
                 own->replica->label, peer->label, (unsigned long long)sequence,
                 (unsigned long long)own->replica->head.sequence);
}

/* It had its time. */
static void give_up(const struct osr_feed *core, const struct own *own, const struct peer *peer)
{
    struct own_claim *claim = claim_by(own, peer);
    osr_feed_say(core, OSR_LEVEL_ERROR,
                 "%s: %s does not show the entries up to %llu that it says it holds: "
                 "going on without",
                 own->replica->label, peer->label, (unsigned long long)claim->sequence);
    refuse(core, claim);
    claim->granted_ms /= 2;
    claim->left_ms = claim->granted_ms;
}

void osr_feed_own_claim_review(struct osr_feed *core, const struct own *own)
{
    const struct replica *replica = own->replica;
    for (uint32_t i = 0; i < core->options.peers_max; i++) {
        const struct peer *peer = core->peers[i];
        uint64_t sequence = osr_feed_own_claim_of(own, peer);
        if (sequence == 0) {
            continue;
        }
        struct own_claim *claim = claim_by(own, peer);
        if (sequence <= replica->head.sequence) {
            *osr_feed_holding(core, replica, peer) =
                (struct holding){.stated = true, .sequence = sequence};
            pause_claim(core, claim);
        } else if (core->now_ms >= deadline_ms(claim)) {
            give_up(core, own, peer);
        } else {
            osr_feed_arm(core, deadline_ms(claim));
        }
    }
}

void osr_feed_own_claim_shown(struct osr_feed *core, const struct own *own)
{
    for (size_t i = 0; i < core->party_count; i++) {
        core->parties[i].own_claims[own->replica->stream].since_ms = core->now_ms;
    }
}

void osr_feed_own_claim_forked(const struct osr_feed *core, const struct own *own,
                               struct peer *peer)
{
    if (osr_feed_own_claim_of(own, peer) > 0) {
        refuse(core, claim_by(own, peer));
    }
}

bool osr_feed_own_claim_is_open(const struct osr_feed *core, const struct own *own)
{
    for (uint32_t i = 0; i < core->options.peers_max; i++) {
        if (osr_feed_own_claim_of(own, core->peers[i]) > own->replica->head.sequence) {
            return true;
        }
    }
    return false;
}
