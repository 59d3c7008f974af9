/* Leave in a simulated cluster: whose feeds an instance takes, and whom it gives them. Each has its
 * own mind, which may change at any time, as news of it travels. */
#include "sim/instance_parts.h"

static bool may_lead(void *context, const char *origin, const char *stream)
{
    const struct sim_instance *instance = context;
    return !instance->barred_leaders[world_feed_named(instance->world, origin, stream)];
}

static bool may_follow(void *context, const char *follower, const char *stream)
{
    const struct sim_instance *instance = context;
    return !instance->barred_followers[world_feed_named(instance->world, follower, stream)];
}

struct osr_feed_access sim_instance_access(struct sim_instance *instance)
{
    return (struct osr_feed_access){may_lead, may_follow, instance};
}

/* How far it has taken a feed: what was taken with leave is finished without. */
static uint64_t received(const struct sim_instance *instance, size_t feed)
{
    struct osr_feed_info info;
    for (size_t i = 0; i < osr_feed_count(instance->core); i++) {
        osr_feed_info(instance->core, i, &info);
        if (world_feed(instance->world, &info.id) == feed) {
            return info.received;
        }
    }
    return 0;
}

static void tell_core(struct sim_instance *instance)
{
    struct osr_feed_event event = {.type = OSR_FEED_ACCESS_CHANGED};
    sim_instance_step(instance, &event);
}

void sim_instance_bar_leader(struct sim_instance *instance, size_t feed)
{
    if (!instance->barred_leaders[feed]) {
        instance->barred_leaders[feed] = true;
        instance->barred_behind[feed] = received(instance, feed);
    }
    tell_core(instance);
}

void sim_instance_bar_follower(struct sim_instance *instance, size_t follower,
                               enum osr_feed_stream stream)
{
    instance->barred_followers[sim_feed(follower, stream)] = true;
    tell_core(instance);
}

void sim_instance_bar_nobody(struct sim_instance *instance)
{
    memset(instance->barred_leaders, 0, sizeof(instance->barred_leaders));
    memset(instance->barred_followers, 0, sizeof(instance->barred_followers));
    if (instance->core != NULL) {
        tell_core(instance);
    }
}

void sim_instance_check_leave_of(const struct sim_instance *instance, size_t feed, uint64_t last)
{
    if (instance->barred_leaders[feed] && last > instance->barred_behind[feed]) {
        sim_violation("%s commits %llu of %s, which may not lead here since %llu", instance->name,
                      (unsigned long long)last, sim_feed_name(feed),
                      (unsigned long long)instance->barred_behind[feed]);
    }
}

void sim_instance_check_leave_to(const struct sim_instance *instance, uint32_t link,
                                 enum osr_feed_stream stream)
{
    uint32_t follower = world_other_end(instance->world, instance->index, link);
    if (instance->barred_followers[sim_feed(follower, stream)]) {
        sim_violation("%s sends entries of %s to n%u, which may not follow", instance->name,
                      osr_feed_stream_name(stream), follower);
    }
}

bool sim_instance_bars_followers(const struct sim_instance *instance)
{
    for (size_t i = 0; i < SIM_FEEDS_MAX; i++) {
        if (instance->barred_followers[i]) {
            return true;
        }
    }
    return false;
}
