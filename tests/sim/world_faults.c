/* What fails in a simulated cluster, and is mended again: processes, machines, disks, clocks, the
 * network, and leave. */
#include "sim/world_parts.h"

#include <inttypes.h>

/* ---- crashes ---- */

void world_crash(struct world *world, uint32_t instance)
{
    bool power_cut = osr_random_chance(&world->random, 0.6);
    world->counters.crashes++;
    world->counters.power_cuts += power_cut;
    osr_trace(&world->trace, OSR_LEVEL_INFO, "[n%u] ---- %s ----", instance,
              power_cut ? "power cut" : "killed");
    world_cut_links(world, instance);
    sim_instance_stop(world->participants[instance].instance, power_cut);
    world_after(world, 1000, world->quiet ? 10000 : 1500000,
                (struct world_event){.type = WORLD_RESTART, .instance = instance});
}

void world_restart(struct world *world, uint32_t index)
{
    struct sim_instance *instance = world->participants[index].instance;
    if (sim_instance_is_up(instance)) {
        return;
    }
    struct osr_sim_disk *disk = sim_instance_disk(instance);
    if (!world->quiet && osr_random_chance(&world->random, 0.05)) {
        osr_sim_disk_crash_at(disk, world_between(world, 1, 6));
    }
    osr_trace(&world->trace, OSR_LEVEL_INFO, "[n%u] ---- starts ----", index);
    if (sim_instance_start(instance)) {
        return;
    }
    world->counters.crashes_in_log += osr_sim_disk_is_down(disk);
    osr_sim_disk_power_cut(disk);
    world_after(world, 10000, 100000,
                (struct world_event){.type = WORLD_RESTART, .instance = index});
}

/* ---- faults ---- */

static void partition(struct world *world)
{
    bool side[SIM_INSTANCES_MAX];
    for (size_t i = 0; i < world->count; i++) {
        side[i] = osr_random_chance(&world->random, 0.5);
    }
    for (size_t i = 0; i < world->count; i++) {
        for (size_t k = 0; k < world->count; k++) {
            world->blocked[i][k] = side[i] != side[k];
        }
    }
    world->counters.partitions++;
    osr_trace(&world->trace, OSR_LEVEL_INFO, "---- the network falls apart ----");
}

static void cut_one_way(struct world *world)
{
    size_t from = osr_random_below(&world->random, world->count);
    size_t to = osr_random_below(&world->random, world->count);
    world->blocked[from][to] = true;
    world->counters.one_way_cuts++;
    osr_trace(&world->trace, OSR_LEVEL_INFO, "---- nothing gets from n%zu to n%zu ----", from, to);
}

void world_jump_clock(struct world *world, uint32_t instance)
{
    static const int64_t reach_ms[] = {100, 5000, 600000, 86400000};
    int64_t reach = reach_ms[osr_random_below(&world->random, 4)];
    int64_t jump = (int64_t)osr_random_below(&world->random, (uint64_t)(2 * reach)) - reach;
    world->participants[instance].clock_offset_ms += jump;
    world->counters.clock_jumps++;
    osr_trace(&world->trace, OSR_LEVEL_INFO, "[n%u] ---- clock jumps by %" PRId64 " ms ----",
              instance, jump);
}

static void fill_disk(struct world *world, uint32_t instance)
{
    struct osr_sim_disk *disk = sim_instance_disk(world->participants[instance].instance);
    osr_sim_disk_set_capacity(disk, osr_sim_disk_used(disk) + world_between(world, 0, 20000));
    world->counters.disk_full_episodes++;
    osr_trace(&world->trace, OSR_LEVEL_INFO, "[n%u] ---- disk is filling up ----", instance);
}

enum fault {
    FAULT_CRASH,
    FAULT_CRASH_IN_LOG,
    FAULT_SYNC,
    FAULT_PARTITION,
    FAULT_ONE_WAY,
    FAULT_CLOCK,
    FAULT_DISK_FULL,
    FAULT_SLOW_DISK,
    FAULT_RESEND,
    FAULT_LEAVE,
    FAULT_COUNT,
};

void world_mend(struct world *world, const struct world_event *event)
{
    struct sim_instance *target = world->participants[event->instance].instance;
    switch ((enum fault)event->link) {
    case FAULT_PARTITION:
    case FAULT_ONE_WAY:
        world_heal_network(world);
        break;
    case FAULT_DISK_FULL:
        osr_sim_disk_set_capacity(sim_instance_disk(target), UINT64_MAX);
        break;
    case FAULT_SLOW_DISK:
        sim_instance_set_slow(target, false);
        break;
    case FAULT_LEAVE:
        sim_instance_bar_nobody(target);
        break;
    default:
        break;
    }
}

static void ask_for_resend(struct world *world, uint32_t instance)
{
    struct sim_instance *target = world->participants[instance].instance;
    if (!sim_instance_is_up(target) || world->link_count == 0) {
        return;
    }
    uint64_t length = history_length(world->history, sim_feed(instance, OSR_STREAM_KB));
    sim_instance_resend(target, (uint32_t)osr_random_below(&world->random, world->link_count),
                        1 + osr_random_below(&world->random, length + 1));
    world->counters.resends_asked++;
}

/* One instance has no leave of another any more in one stream: to lead, or to follow. */
static void withdraw_leave(struct world *world, uint32_t instance)
{
    struct sim_instance *target = world->participants[instance].instance;
    uint64_t other = (instance + world_between(world, 1, world->count - 1)) % world->count;
    enum osr_feed_stream stream = world_any_stream(world);
    bool leads = osr_random_chance(&world->random, 0.5);
    if (!sim_instance_is_up(target)) {
        return;
    }
    osr_trace(&world->trace, OSR_LEVEL_INFO, "[n%u] ---- n%llu may not %s %s here ----", instance,
              (unsigned long long)other, leads ? "lead" : "follow", osr_feed_stream_name(stream));
    world->counters.leaves_withdrawn++;
    if (leads) {
        sim_instance_bar_leader(target, sim_feed(other, stream));
    } else {
        sim_instance_bar_follower(target, other, stream);
    }
}

static void begin_fault(struct world *world, enum fault fault, uint32_t instance)
{
    struct sim_instance *target = world->participants[instance].instance;
    switch (fault) {
    case FAULT_CRASH:
        if (sim_instance_is_up(target)) {
            world_crash(world, instance);
        }
        break;
    case FAULT_CRASH_IN_LOG:
        if (sim_instance_is_up(target)) {
            osr_sim_disk_crash_at(sim_instance_disk(target), world_between(world, 1, 12));
        }
        break;
    case FAULT_SYNC:
        if (sim_instance_is_up(target)) {
            osr_sim_disk_fail_sync(sim_instance_disk(target), world_between(world, 1, 4));
        }
        break;
    case FAULT_PARTITION:
        partition(world);
        break;
    case FAULT_ONE_WAY:
        cut_one_way(world);
        break;
    case FAULT_CLOCK:
        world_jump_clock(world, instance);
        break;
    case FAULT_DISK_FULL:
        fill_disk(world, instance);
        break;
    case FAULT_SLOW_DISK:
        sim_instance_set_slow(target, true);
        world->counters.slow_disks++;
        break;
    case FAULT_RESEND:
        ask_for_resend(world, instance);
        break;
    case FAULT_LEAVE:
        withdraw_leave(world, instance);
        break;
    case FAULT_COUNT:
        break;
    }
}

void world_next_fault(struct world *world)
{
    if (world->quiet) {
        return;
    }
    enum fault fault = (enum fault)osr_random_below(&world->random, FAULT_COUNT);
    uint32_t instance = (uint32_t)osr_random_below(&world->random, world->count);
    begin_fault(world, fault, instance);
    world_after(
        world, 20000, 1500000,
        (struct world_event){.type = WORLD_MEND, .link = (uint32_t)fault, .instance = instance});
    world_after(world, world->fault_us / 4, 2 * world->fault_us,
                (struct world_event){.type = WORLD_FAULT});
}
