/* Choosing whom to ask for a feed, and asking.
 *
 * One peer is asked for each feed, the provider: its origin where that is linked, else whoever
 * holds most. It is changed when its link goes, when it holds nothing new and another does,
 * and when nothing comes for retry_ms although it says it holds more.
 *
 * We always ask from the durable cursor, once nothing received is on its way to the log any
 * more: so the provider knows exactly what is in flight, and whatever was lost, doubled or
 * rolled back is mended in one way. */
#include "core/feed_internal.h"

#include <assert.h>

/* ---- who holds what ---- */

/* How far a peer that is up holds the feed, as it says. */
static uint64_t held_by(const struct osr_feed *core, const struct replica *replica,
                        const struct peer *peer)
{
    uint64_t claimed = replica->own != NULL ? osr_feed_own_claim_of(replica->own, peer) : 0;
    return claimed > 0 ? claimed : osr_feed_holding(core, replica, peer)->sequence;
}

static bool holds_it(const struct osr_feed *core, const struct replica *replica,
                     const struct peer *peer)
{
    return osr_feed_holding(core, replica, peer)->stated || held_by(core, replica, peer) > 0;
}

static bool may_provide(const struct replica *replica, const struct peer *peer)
{
    return peer != NULL && peer->state == PEER_UP && !osr_feed_channel(replica, peer)->forked;
}

static bool is_origin(const struct replica *replica, const struct peer *peer)
{
    return strcmp(peer->instance, replica->id.origin) == 0;
}

static bool has_more(const struct osr_feed *core, const struct replica *replica,
                     const struct peer *peer)
{
    return held_by(core, replica, peer) > replica->received;
}

void osr_feed_follow_report_fork(struct osr_feed *core, struct replica *replica, struct peer *peer,
                                 uint64_t sequence)
{
    struct channel *channel = osr_feed_channel(replica, peer);
    if (channel->forked) {
        return; /* said once */
    }
    channel->forked = true;
    struct osr_err err;
    osr_err_set(&err, OSR_FORKED, "feed %s/%s: what is held here at %llu is not what you hold",
                replica->id.stream, replica->id.origin, (unsigned long long)sequence);
    osr_err_hint(&err, "its origin wrote on from an old copy of its data folder");
    osr_feed_say(core, OSR_LEVEL_ERROR, "%s: forked at or before %llu: %s holds another branch",
                 replica->label, (unsigned long long)sequence, peer->label);
    osr_feed_send_error(core, peer->number, &err);
    if (replica->own != NULL) {
        osr_feed_own_claim_forked(core, replica->own, peer);
    }
    if (replica->provider == peer) {
        replica->provider = NULL;
    }
}

void osr_feed_follow_claim(struct osr_feed *core, struct peer *peer, const struct claim *claim)
{
    /* Of a leader that has no leave only what is held already is spoken of. */
    struct replica *replica = osr_feed_access_may_lead(core, &claim->feed)
                                  ? osr_feed_replica_need(core, &claim->feed, peer)
                                  : osr_feed_replica_find(core, &claim->feed);
    if (replica == NULL) {
        return;
    }
    const struct osr_feed_head *head = &replica->head;
    if (claim->has_chain && claim->sequence == head->sequence && !replica->restoring &&
        !osr_hash_equal(&claim->chain, &head->chain)) {
        osr_feed_follow_report_fork(core, replica, peer, claim->sequence);
        return;
    }
    if (replica->own != NULL && claim->sequence > head->sequence) {
        osr_feed_own_claim_take(core, replica->own, peer, claim->sequence);
        osr_feed_follow_review(core, replica);
        return;
    }
    struct holding *holding = osr_feed_holding(core, replica, peer);
    bool progress = !holding->stated || claim->sequence > holding->sequence;
    if (progress) {
        *holding = (struct holding){.stated = true, .sequence = claim->sequence};
    }
    osr_feed_lead_acked(core, replica, peer, claim->sequence);
    if (replica->own != NULL && progress) {
        osr_feed_own_acked(core, replica->own);
    }
    osr_feed_follow_review(core, replica);
}

/* ---- asking ---- */

static void ask(struct osr_feed *core, struct replica *replica)
{
    assert(OSR_GUARD_CURSOR_DURABLE == 0 || replica->receipts.count == 0);
    uint64_t from = 1 + (OSR_GUARD_CURSOR_DURABLE ? replica->head.sequence : replica->received);
    replica->asked_ms = core->now_ms;
    replica->progress_ms = core->now_ms;
    replica->gap = false;
    osr_feed_say(core, OSR_LEVEL_TRACE, "%s: ask %s from %llu on", replica->label,
                 replica->provider->label, (unsigned long long)from);
    osr_feed_send_fetch(core, replica->provider, replica, from);
    osr_feed_arm(core, core->now_ms + osr_feed_retry_ms(core, replica->attempts));
}

void osr_feed_follow_stop(struct osr_feed *core, struct replica *replica, struct peer *peer)
{
    struct channel *channel = osr_feed_channel(replica, peer);
    bool just_said =
        channel->stopped_ms > 0 && core->now_ms < channel->stopped_ms + core->options.retry_ms;
    if (peer->state != PEER_UP || just_said) {
        return;
    }
    channel->stopped_ms = core->now_ms;
    osr_feed_send_fetch(core, peer, replica, 0);
}

static void ask_new(struct osr_feed *core, struct replica *replica, struct peer *provider)
{
    if (replica->provider != NULL && replica->provider != provider) {
        osr_feed_follow_stop(core, replica, replica->provider);
    }
    replica->provider = provider;
    ask(core, replica);
}

/* The origin, else whoever holds most; NULL: nobody holds it. */
static struct peer *best_provider(const struct osr_feed *core, const struct replica *replica)
{
    struct peer *best = NULL;
    for (uint32_t i = 0; i < core->options.peers_max; i++) {
        struct peer *peer = core->peers[i];
        if (!may_provide(replica, peer) || !holds_it(core, replica, peer)) {
            continue;
        }
        if (is_origin(replica, peer)) {
            return peer;
        }
        if (best == NULL || held_by(core, replica, peer) > held_by(core, replica, best)) {
            best = peer;
        }
    }
    return best;
}

/* The next one after the provider that holds more than we do; the same if it is alone. */
static struct peer *next_provider(const struct osr_feed *core, const struct replica *replica)
{
    for (uint32_t i = 1; i <= core->options.peers_max; i++) {
        struct peer *peer = core->peers[(replica->provider->slot + i) % core->options.peers_max];
        if (may_provide(replica, peer) && has_more(core, replica, peer)) {
            return peer;
        }
    }
    return replica->provider;
}

/* The provider that should be asked now instead of the present one, or that one. */
static struct peer *choose_provider(const struct osr_feed *core, const struct replica *replica)
{
    struct peer *provider = replica->provider;
    if (may_provide(replica, provider)) {
        if (is_origin(replica, provider) || has_more(core, replica, provider)) {
            return provider;
        }
        struct peer *best = best_provider(core, replica);
        bool better = best != NULL && (is_origin(replica, best) || has_more(core, replica, best));
        return better ? best : provider;
    }
    return best_provider(core, replica);
}

static void retry(struct osr_feed *core, struct replica *replica)
{
    if (!has_more(core, replica, replica->provider)) {
        return;
    }
    uint64_t retry_at_ms = replica->progress_ms + osr_feed_retry_ms(core, replica->attempts);
    if (core->now_ms < retry_at_ms) {
        osr_feed_arm(core, retry_at_ms);
        return;
    }
    if (replica->attempts < OSR_FEED_ATTEMPTS_MAX) {
        replica->attempts++;
    }
    ask_new(core, replica, next_provider(core, replica));
}

static void stop_asking(struct osr_feed *core, struct replica *replica)
{
    if (replica->provider != NULL) {
        osr_feed_follow_stop(core, replica, replica->provider);
        replica->provider = NULL;
    }
}

/* An own feed is asked for only while a peer claims more of it: false where none does. */
static bool review_own(struct osr_feed *core, struct replica *replica)
{
    osr_feed_own_claim_review(core, replica->own);
    if (osr_feed_own_claim_is_open(core, replica->own)) {
        return true;
    }
    stop_asking(core, replica);
    return false;
}

void osr_feed_follow_review(struct osr_feed *core, struct replica *replica)
{
    if (replica->state != REPLICA_LIVE || replica->restoring || replica->receipts.count > 0) {
        return;
    }
    if (core->now_ms < replica->blocked_until_ms) {
        osr_feed_arm(core, replica->blocked_until_ms);
        return;
    }
    if (!osr_feed_access_may_lead(core, &replica->id)) {
        stop_asking(core, replica);
        return;
    }
    if (replica->own != NULL && (!review_own(core, replica) || replica->own->sealing)) {
        return;
    }
    struct peer *provider = choose_provider(core, replica);
    if (provider == NULL) {
        replica->provider = NULL;
    } else if (provider != replica->provider) {
        replica->attempts = 0;
        ask_new(core, replica, provider);
    } else if (replica->gap && core->now_ms >= replica->asked_ms + core->options.retry_ms / 2) {
        ask(core, replica);
    } else {
        if (replica->gap) {
            osr_feed_arm(core, replica->asked_ms + core->options.retry_ms / 2);
        }
        retry(core, replica);
    }
}

void osr_feed_follow_peer_down(struct osr_feed *core, struct replica *replica, struct peer *peer)
{
    if (replica->provider == peer) {
        replica->provider = NULL;
        osr_feed_follow_review(core, replica);
    }
}
