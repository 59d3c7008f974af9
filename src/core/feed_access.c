/* Whose feeds are taken, and who is given them: asked of the owner (struct osr_feed_access). The
 * own feeds are always led. */
#include "core/feed_internal.h"

bool osr_feed_access_may_lead(const struct osr_feed *core, const struct osr_feed_id *feed)
{
    const struct osr_feed_access *access = &core->options.access;
    return access->may_lead == NULL || strcmp(feed->origin, core->instance) == 0 ||
           access->may_lead(access->context, feed->origin, feed->stream);
}

bool osr_feed_access_may_follow(const struct osr_feed *core, const struct peer *peer,
                                const struct osr_feed_id *feed)
{
    const struct osr_feed_access *access = &core->options.access;
    return access->may_follow == NULL ||
           access->may_follow(access->context, peer->instance, feed->stream);
}

static void review_followers(struct osr_feed *core, struct replica *replica)
{
    for (uint32_t i = 0; i < core->options.peers_max; i++) {
        struct peer *peer = core->peers[i];
        if (peer != NULL && peer->state == PEER_UP &&
            !osr_feed_access_may_follow(core, peer, &replica->id)) {
            osr_feed_lead_refuse(core, replica, peer);
        }
    }
}

void osr_feed_access_review(struct osr_feed *core)
{
    for (size_t i = 0; i < core->replica_count; i++) {
        osr_feed_follow_review(core, core->replicas[i]);
        review_followers(core, core->replicas[i]);
    }
}
