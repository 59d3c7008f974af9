#include "sim/raft_operator.h"

#include "sim/raft_clients.h"
#include "sim/raft_member.h"

#include <inttypes.h>

enum {
    RETIRE_US_MAX = 500000,
    HASTE_US_MAX = 5000, /* from an election to a change of the members, now and then */
};

static const uint64_t token = RAFT_CLIENT_TOKEN_MAX + 1;

static bool is_named(const struct osr_raft_configuration *configuration, uint64_t id)
{
    return osr_raft_configuration_find(configuration, id) != NULL;
}

/* ---- what may be lost ---- */

/* They name the same members, and the same of them vote. */
static bool is_same(const struct osr_raft_configuration *a, const struct osr_raft_configuration *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        if (a->members[i].id != b->members[i].id ||
            a->members[i].standing != b->members[i].standing) {
            return false;
        }
    }
    return a->count == b->count;
}

/* All members that are left go by the newest committed configuration. */
static bool is_settled(const struct raft_world *world)
{
    const struct osr_raft_configuration *committed = &world->configuration;
    for (size_t i = 0; i < committed->count; i++) {
        const struct raft_member *member = world->members[committed->members[i].id - 1];
        struct osr_raft_configuration own;
        raft_member_configuration(member, &own);
        if (raft_member_is_lost(member) || !is_same(&own, committed)) {
            return false;
        }
    }
    return world->now_us >= world->changed_us + RAFT_SETTLED_US;
}

bool raft_operator_can_lose(const struct raft_world *world, const struct raft_member *lost)
{
    const struct osr_raft_configuration *configuration = &world->configuration;
    size_t voters = 0;
    size_t living = 0;
    for (size_t i = 0; i < configuration->count; i++) {
        const struct osr_raft_member *member = &configuration->members[i];
        /* A learner may be promoted before anybody notices that it is gone. */
        bool is_to_vote = member->id == lost->id && member->is_promoted;
        voters += member->standing == OSR_RAFT_VOTER || is_to_vote;
        living += member->standing == OSR_RAFT_VOTER && member->id != lost->id;
    }
    return 2 * living > voters && world->member_count < RAFT_MEMBERS_EVER && is_settled(world);
}

/* ---- changes ---- */

static void change(struct raft_member *leader, const struct osr_raft_change *change)
{
    static const char *const words[] = {[OSR_RAFT_ADD] = "add",
                                        [OSR_RAFT_PROMOTE] = "promote",
                                        [OSR_RAFT_REMOVE] = "remove",
                                        [OSR_RAFT_UPDATE] = "update"};
    leader->world->changed_us = leader->world->now_us;
    raft_world_say(leader->world, "---- m%" PRIu64 " is to %s m%" PRIu64 " ----", leader->id,
                   words[change->type], change->member.id);
    raft_member_change(leader, token, change);
}

static void set_context(struct raft_world *world, struct osr_raft_member *member)
{
    member->context_size = (uint16_t)raft_between(world, 0, 40);
    memset(member->context, (int)raft_between(world, 'a', 'z'), member->context_size);
}

static void add(struct raft_world *world, struct raft_member *leader)
{
    struct raft_member *added = raft_world_add_member(world, false);
    struct osr_raft_change addition = {.type = OSR_RAFT_ADD,
                                       .member = {.id = added->id,
                                                  .standing = OSR_RAFT_LEARNER,
                                                  .is_promoted = raft_chance(world, 0.8)}};
    set_context(world, &addition.member);
    change(leader, &addition);
}

static void remove_member(struct raft_world *world, struct raft_member *leader, uint64_t id)
{
    change(leader, &(struct osr_raft_change){.type = OSR_RAFT_REMOVE, .member = {.id = id}});
    world->counters.removals_of_leader += id == leader->id;
}

/* One that was to be added and has not come to be: it is there, and in no configuration. */
static struct raft_member *find_stranger(struct raft_world *world,
                                         const struct osr_raft_configuration *configuration)
{
    for (size_t i = 0; i < world->member_count; i++) {
        struct raft_member *member = world->members[i];
        if (!raft_member_is_lost(member) && !member->has_belonged &&
            !is_named(configuration, member->id)) {
            return member;
        }
    }
    return NULL;
}

static void add_somebody(struct raft_world *world, struct raft_member *leader)
{
    const struct raft_member *stranger = find_stranger(world, osr_raft_members(leader->core));
    if (stranger == NULL) {
        if (world->member_count < RAFT_MEMBERS_EVER) {
            add(world, leader);
        }
        return;
    }
    change(leader, &(struct osr_raft_change){.type = OSR_RAFT_ADD,
                                             .member = {.id = stranger->id,
                                                        .standing = OSR_RAFT_LEARNER,
                                                        .is_promoted = raft_chance(world, 0.8)}});
}

/* Something that has to be done first: a lost member goes, a missing one comes. */
static bool act_on_need(struct raft_world *world, struct raft_member *leader,
                        const struct osr_raft_configuration *configuration)
{
    for (size_t i = 0; i < configuration->count; i++) {
        if (raft_member_is_lost(world->members[configuration->members[i].id - 1])) {
            remove_member(world, leader, configuration->members[i].id);
            return true;
        }
    }
    if (configuration->count < world->settings.members) {
        add_somebody(world, leader);
        return true;
    }
    return false;
}

static void promote_somebody(struct raft_member *leader,
                             const struct osr_raft_configuration *configuration)
{
    for (size_t i = 0; i < configuration->count; i++) {
        if (configuration->members[i].standing == OSR_RAFT_LEARNER) {
            change(leader,
                   &(struct osr_raft_change){.type = OSR_RAFT_PROMOTE,
                                             .member = {.id = configuration->members[i].id}});
            return;
        }
    }
}

static void transfer(struct raft_world *world, struct raft_member *leader, uint64_t target)
{
    raft_world_say(world, "---- m%" PRIu64 " is to hand over to m%" PRIu64 " ----", leader->id,
                   target);
    raft_member_transfer(leader, token, target);
}

static void update(struct raft_world *world, struct raft_member *leader,
                   const struct osr_raft_member *member)
{
    struct osr_raft_change update = {.type = OSR_RAFT_UPDATE, .member = *member};
    set_context(world, &update.member);
    change(leader, &update);
}

static void act_at_will(struct raft_world *world, struct raft_member *leader,
                        const struct osr_raft_configuration *configuration)
{
    const struct osr_raft_member *any =
        &configuration->members[osr_random_below(&world->random, configuration->count)];
    if (raft_chance(world, world->settings.transfers)) {
        transfer(world, leader, raft_chance(world, 0.3) ? 0 : any->id);
        return;
    }
    switch (osr_random_below(&world->random, 5)) {
    case 0:
        remove_member(world, leader, any->id);
        break;
    case 1:
        remove_member(world, leader, leader->id);
        break;
    case 2:
        promote_somebody(leader, configuration);
        break;
    case 3:
        if (configuration->count <= world->settings.members) {
            add_somebody(world, leader);
        }
        break;
    default:
        update(world, leader, any);
        break;
    }
}

/* Whoever was in a committed configuration and is in no newer one. */
static void look_for_the_removed(struct raft_world *world)
{
    for (size_t i = 0; i < world->member_count; i++) {
        struct raft_member *member = world->members[i];
        bool is_in = is_named(&world->configuration, member->id);
        if (member->has_belonged && !is_in && !member->is_removed) {
            member->is_removed = true;
            world->counters.removals++;
            if (raft_chance(world, 0.7)) {
                raft_world_after(world, 1, RETIRE_US_MAX, RAFT_RETIRE, member->place);
            }
        }
    }
}

static void act_on(struct raft_world *world, struct raft_member *leader)
{
    struct osr_raft_configuration configuration = *osr_raft_members(leader->core);
    if (world->now_us >= world->operator_rests_until_us &&
        !act_on_need(world, leader, &configuration)) {
        act_at_will(world, leader, &configuration);
    }
}

void raft_operator_act(struct raft_world *world)
{
    if (world->is_quiet) {
        return;
    }
    look_for_the_removed(world);
    struct raft_member *leader = raft_world_any_leader(world);
    if (leader != NULL) {
        act_on(world, leader);
    }
    raft_world_after(world, world->settings.operator_us / 4, 2 * world->settings.operator_us,
                     RAFT_OPERATOR, 0);
}

void raft_operator_see_leader(struct raft_world *world, const struct raft_member *leader)
{
    if (raft_chance(world, world->settings.haste)) {
        raft_world_after(world, 1, HASTE_US_MAX, RAFT_OPERATOR_AT, leader->place);
    }
}

void raft_operator_act_at(struct raft_member *member)
{
    if (!member->world->is_quiet && raft_member_leads(member)) {
        act_on(member->world, member);
    }
}

void raft_operator_retire(struct raft_world *world, struct raft_member *member)
{
    raft_world_say(world, "---- m%" PRIu64 " is switched off for good ----", member->id);
    raft_member_crash(member, true);
    member->is_retired = true;
}

/* ---- answers ---- */

void raft_operator_applied(struct raft_member *member)
{
    struct raft_world *world = member->world;
    const struct osr_raft_configuration *configuration = &member->state.configuration;
    for (size_t i = 0; i < configuration->count; i++) {
        world->members[configuration->members[i].id - 1]->has_belonged = true;
    }
    if (member->state.applied > world->configured_at) {
        world->counters.changes += world->configured_at > 0; /* the first one is the founding */
        world->configured_at = member->state.applied;
        world->configuration = *configuration;
    }
}

void raft_operator_transferred(struct raft_member *member, enum osr_code code)
{
    member->world->counters.transfers += code == OSR_OK;
}
