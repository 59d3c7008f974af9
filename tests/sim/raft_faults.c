#include "sim/raft_faults.h"

#include "sim/raft_checks.h"
#include "sim/raft_member.h"
#include "sim/raft_network.h"
#include "sim/raft_operator.h"

#include <assert.h>
#include <inttypes.h>

enum {
    MEND_US_MIN = 20000,
    PAUSE_US_MAX = 700000,
    HOLD_US_MAX = 400000,
    REPLAY_US_MAX = 100000,  /* until all of it has come */
    OUTPUTS_MAX = 60,        /* before a crash in the midst of a step */
    HUNTED_OUTPUTS_MAX = 40, /* of a new leader, before it crashes */
    STALL_US = 2000000, /* without anything committed: then it is left alone until something is */
};

void raft_faults_crash(struct raft_world *world, struct raft_member *member)
{
    if (raft_member_is_up(member)) {
        if (raft_chance(world, 0.5)) {
            raft_network_forget(world->network, member->place, member->life);
        }
        raft_member_crash(member, raft_chance(world, 0.6));
        raft_world_after(world, 1000, world->settings.down_us_max, RAFT_RESTART, member->place);
    }
}

static void crash_all(struct raft_world *world)
{
    world->counters.crashes_of_all++;
    for (size_t i = 0; i < world->member_count; i++) {
        raft_faults_crash(world, world->members[i]);
    }
}

static void divide(struct raft_world *world)
{
    uint64_t side = osr_random_u64(&world->random);
    world->counters.partitions++;
    raft_world_say(world, "---- the network falls apart ----");
    for (uint32_t from = 0; from < RAFT_MEMBERS_EVER; from++) {
        for (uint32_t to = 0; to < RAFT_MEMBERS_EVER; to++) {
            if ((side >> from & 1) != (side >> to & 1)) {
                raft_network_cut(world->network, from, to);
            }
        }
    }
}

/* For a while of its own. */
static void isolate(struct raft_world *world, const struct raft_member *member)
{
    raft_world_say(world, "---- m%" PRIu64 " is cut off ----", member->id);
    world->counters.isolations++;
    raft_network_isolate(world->network, member->place,
                         world->now_us +
                             raft_between(world, MEND_US_MIN, world->settings.mend_us_max));
}

/* Nothing gets in, or out. */
static void cut_off(struct raft_world *world, const struct raft_member *member, bool in, bool out)
{
    raft_world_say(world, "---- m%" PRIu64 " hears %s and is heard by %s ----", member->id,
                   in ? "nobody" : "all", out ? "nobody" : "all");
    for (uint32_t other = 0; other < RAFT_MEMBERS_EVER; other++) {
        if (in) {
            raft_network_cut(world->network, other, member->place);
        }
        if (out) {
            raft_network_cut(world->network, member->place, other);
        }
    }
}

static void cut_one_way(struct raft_world *world)
{
    const struct raft_member *from = raft_world_any_member(world);
    const struct raft_member *to = raft_world_any_member(world);
    world->counters.one_way_cuts++;
    raft_world_say(world, "---- nothing gets from m%" PRIu64 " to m%" PRIu64 " ----", from->id,
                   to->id);
    raft_network_cut(world->network, from->place, to->place);
}

static void replay(struct raft_world *world, const struct raft_member *member)
{
    raft_world_say(world, "---- m%" PRIu64 " hears again what it has heard ----", member->id);
    raft_network_replay(world, member->place, REPLAY_US_MAX);
}

/* A disk is lost only where no change of the members is under way: the operator holds still
 * before, and has some time for changes after. */
static void rest_before_rot(struct raft_world *world, const struct raft_member *member)
{
    if (world->now_us < world->operator_rests_until_us + RAFT_SETTLED_US) {
        return;
    }
    world->operator_rests_until_us = world->now_us + 2 * RAFT_SETTLED_US;
    raft_world_after(world, RAFT_SETTLED_US, 2 * RAFT_SETTLED_US, RAFT_MEND, member->place)
        ->number = RAFT_FAULT_ROT;
}

/* What it had acknowledged is damaged; it notices when it starts, and must not go on. */
static void rot(struct raft_world *world, struct raft_member *member)
{
    world->operator_rests_until_us = world->now_us;
    if (member->is_removed || !raft_operator_can_lose(world, member)) {
        return;
    }
    raft_world_say(world, "---- the disk of m%" PRIu64 " has rotten ----", member->id);
    raft_member_crash(member, false);
    member->is_rotten = raft_store_rot(raft_disk_store_of(member->disk), &world->random);
    world->counters.rotten_disks += member->is_rotten;
    raft_world_after(world, 1, 1, RAFT_RESTART, member->place);
}

static void fill_disk(struct raft_world *world, struct raft_member *member)
{
    raft_world_say(world, "---- the disk of m%" PRIu64 " is full ----", member->id);
    world->counters.disk_full_episodes++;
    raft_disk_set_full(member->disk, true);
}

/* False: it is none of the network. */
static bool begin_on_network(struct raft_world *world, enum raft_fault fault,
                             const struct raft_member *member, const struct raft_member *leader)
{
    bool is_deaf;
    switch (fault) {
    case RAFT_FAULT_PARTITION:
        divide(world);
        return true;
    case RAFT_FAULT_ISOLATE_LEADER:
        isolate(world, leader != NULL ? leader : member);
        return true;
    case RAFT_FAULT_ONE_WAY:
        cut_one_way(world);
        return true;
    case RAFT_FAULT_MUTE:
        is_deaf = raft_chance(world, 0.5);
        world->counters.one_way_cuts++;
        cut_off(world, member, is_deaf, !is_deaf);
        return true;
    case RAFT_FAULT_BURST:
        world->counters.bursts++;
        raft_network_hold(world->network, member->place,
                          world->now_us + raft_between(world, 1000, HOLD_US_MAX));
        return true;
    case RAFT_FAULT_STORM:
        raft_network_set_storm(world->network, true);
        return true;
    case RAFT_FAULT_REPLAY:
        replay(world, leader != NULL ? leader : member);
        return true;
    default:
        return false;
    }
}

static bool begin_on_disk(struct raft_world *world, enum raft_fault fault,
                          struct raft_member *member, struct raft_member *leader)
{
    switch (fault) {
    case RAFT_FAULT_DISK_FULL:
        fill_disk(world, leader != NULL && raft_chance(world, 0.4) ? leader : member);
        return true;
    case RAFT_FAULT_SLOW_DISK:
        world->counters.slow_disks++;
        raft_disk_set_slow(member->disk, true);
        return true;
    case RAFT_FAULT_LOST_SYNC:
        raft_disk_set_failing(member->disk, true);
        return true;
    case RAFT_FAULT_ROT:
        rest_before_rot(world, member);
        return true;
    default:
        return false;
    }
}

static void begin_on_process(struct raft_world *world, enum raft_fault fault,
                             struct raft_member *member, struct raft_member *leader)
{
    switch (fault) {
    case RAFT_FAULT_CRASH:
        raft_faults_crash(world, member);
        break;
    case RAFT_FAULT_CRASH_LEADER:
        raft_faults_crash(world, leader != NULL ? leader : member);
        break;
    case RAFT_FAULT_CRASH_IN_STEP:
        member = leader != NULL && raft_chance(world, 0.5) ? leader : member;
        member->crash_after = (unsigned)raft_between(world, 1, OUTPUTS_MAX);
        break;
    case RAFT_FAULT_HUNT:
        raft_world_say(world, "---- leaders do not live long ----");
        world->is_hunting = true;
        break;
    case RAFT_FAULT_CRASH_ALL:
        crash_all(world);
        break;
    case RAFT_FAULT_PAUSE:
        member = leader != NULL && raft_chance(world, 0.5) ? leader : member;
        raft_member_pause(member, world->now_us + raft_between(world, 1000, PAUSE_US_MAX));
        break;
    default:
        assert(false);
    }
}

static void begin(struct raft_world *world, enum raft_fault fault)
{
    struct raft_member *member = raft_world_any_member(world);
    struct raft_member *leader = raft_world_any_leader(world);
    if (!begin_on_network(world, fault, member, leader) &&
        !begin_on_disk(world, fault, member, leader)) {
        begin_on_process(world, fault, member, leader);
    }
}

void raft_faults_mend(struct raft_world *world, const struct raft_happening *happening)
{
    switch ((enum raft_fault)happening->number) {
    case RAFT_FAULT_PARTITION:
    case RAFT_FAULT_ISOLATE_LEADER:
    case RAFT_FAULT_ONE_WAY:
    case RAFT_FAULT_MUTE:
        raft_network_heal(world->network);
        break;
    case RAFT_FAULT_STORM:
        raft_network_set_storm(world->network, false);
        break;
    case RAFT_FAULT_HUNT:
        world->is_hunting = false;
        break;
    case RAFT_FAULT_DISK_FULL:
    case RAFT_FAULT_SLOW_DISK:
        for (size_t i = 0; i < world->member_count; i++) {
            raft_disk_set_full(world->members[i]->disk, false);
            raft_disk_set_slow(world->members[i]->disk, false);
        }
        break;
    case RAFT_FAULT_ROT:
        if (!world->is_quiet) {
            rot(world, world->members[happening->member]);
        }
        break;
    default:
        break;
    }
}

/* So much fails that the ledger does not get anywhere. */
static bool is_stalled(struct raft_world *world)
{
    uint64_t committed = raft_checks_committed(world->checks);
    if (committed != world->progress) {
        world->progress = committed;
        world->progress_us = world->now_us;
    }
    return world->now_us > world->progress_us + STALL_US;
}

static void hunt(struct raft_world *world, struct raft_member *leader)
{
    uint64_t round_us = 3 * (world->settings.latency_us + world->settings.sync_us_max);
    world->counters.leaders_hunted++;
    switch (osr_random_below(&world->random, 3)) {
    case 0:
        leader->crash_after = (unsigned)raft_between(world, 1, HUNTED_OUTPUTS_MAX);
        break;
    case 1:
        raft_world_after(world, 1, round_us, RAFT_HUNTED, leader->place);
        break;
    default:
        isolate(world, leader);
        break;
    }
}

void raft_faults_see_leader(struct raft_world *world, struct raft_member *leader)
{
    if (world->is_quiet) {
        return;
    }
    if (world->settings.replays > 0 && raft_chance(world, 0.5)) {
        replay(world, leader);
    }
    if (world->is_hunting && leader->crash_after == 0 && raft_chance(world, 0.7)) {
        hunt(world, leader);
    }
}

void raft_faults_next(struct raft_world *world)
{
    if (world->is_quiet) {
        return;
    }
    if (!is_stalled(world)) {
        enum raft_fault fault = raft_settings_any_fault(&world->settings, &world->random);
        begin(world, fault);
        if (fault != RAFT_FAULT_ROT) {
            raft_world_after(world, MEND_US_MIN, world->settings.mend_us_max, RAFT_MEND, 0)
                ->number = fault;
        }
    }
    raft_world_after(world, world->settings.fault_us / 8, 2 * world->settings.fault_us, RAFT_FAULT,
                     0);
}

void raft_faults_end(struct raft_world *world)
{
    raft_network_heal(world->network);
    raft_network_set_storm(world->network, false);
    world->is_hunting = false;
    for (uint32_t i = 0; i < world->member_count; i++) {
        struct raft_member *member = world->members[i];
        raft_disk_set_full(member->disk, false);
        raft_disk_set_slow(member->disk, false);
        raft_disk_set_failing(member->disk, false);
        raft_network_hold(world->network, i, 0);
        member->crash_after = 0;
        raft_world_after(world, 1, 10000, RAFT_RESTART, i);
    }
}
