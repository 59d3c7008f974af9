#include "sim/raft_world.h"

#include "sim/raft_checks.h"
#include "sim/raft_clients.h"
#include "sim/raft_faults.h"
#include "sim/raft_member.h"
#include "sim/raft_network.h"
#include "sim/raft_operator.h"
#include "sim/violation.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
    CRASHES_MIN = 3,         /* a run with fewer is none */
    CHANGES_MIN = 1,         /* likewise */
    MAIN_US_MAX = 300000000, /* stops a run in which too little happens */
    LEADER_TIMEOUTS = 60,    /* election time-outs of quiet within which somebody must lead */
    QUIET_TIMEOUTS = 200,    /* and within which all must settle, but for what has to be copied */
    QUIET_CHECK_US = 10000,
    TICK_LATE_US_MAX = 10000, /* of what waits when a pause ends */
    LAST_OPERATIONS = 2,      /* of each client, once all has settled */
    ORDER_BITS = 24,          /* of a happening's key; the others are its time */
};

/* ---- time ---- */

struct raft_happening *raft_world_at(struct raft_world *world, uint64_t at_us,
                                     enum raft_happening_type type, uint32_t member)
{
    struct raft_happening *happening = osr_alloc(sizeof(*happening));
    happening->type = type;
    happening->member = member;
    happening->life = member < world->member_count ? world->members[member]->life : 0;
    uint64_t order = world->order++ & ((UINT64_C(1) << ORDER_BITS) - 1);
    osr_heap_put(&world->happenings, &happening->due, at_us << ORDER_BITS | order);
    return happening;
}

struct raft_happening *raft_world_after(struct raft_world *world, uint64_t low_us, uint64_t high_us,
                                        enum raft_happening_type type, uint32_t member)
{
    return raft_world_at(world, world->now_us + raft_between(world, low_us, high_us), type, member);
}

static void put_off(struct raft_world *world, struct raft_happening *happening, uint64_t until_us)
{
    uint64_t order = world->order++ & ((UINT64_C(1) << ORDER_BITS) - 1);
    osr_heap_put(&world->happenings, &happening->due, until_us << ORDER_BITS | order);
}

/* All comes in its order then, but for the tick, which may come behind some of it. */
static uint64_t end_of_pause(struct raft_world *world, const struct raft_member *member,
                             const struct raft_happening *happening)
{
    uint64_t late_us = happening->type == RAFT_TICK ? raft_between(world, 0, TICK_LATE_US_MAX) : 0;
    return member->paused_until_us + late_us;
}

static void release(struct raft_happening *happening)
{
    if (happening->type == RAFT_SNAPSHOT_MADE) {
        raft_snapshot_done(happening->body);
    }
    free(happening->body);
    free(happening);
}

/* ---- members ---- */

struct raft_member *raft_world_add_member(struct raft_world *world, bool is_founder)
{
    assert(world->member_count < RAFT_MEMBERS_EVER);
    uint32_t place = (uint32_t)world->member_count;
    struct raft_member *member = raft_member_create(world, place, is_founder);
    world->members[world->member_count++] = member;
    world->counters.members_ever++;
    raft_world_after(world, 1, 20000, RAFT_RESTART, place);
    return member;
}

struct raft_member *raft_world_any_leader(struct raft_world *world)
{
    struct raft_member *any = NULL;
    uint64_t count = 0;
    for (size_t i = 0; i < world->member_count; i++) {
        struct raft_member *member = world->members[i];
        if (!raft_member_is_paused(member) && raft_member_leads(member)) {
            any = osr_random_below(&world->random, ++count) == 0 ? member : any;
        }
    }
    return any;
}

struct raft_member *raft_world_any_member(struct raft_world *world)
{
    struct raft_member *any = world->members[0];
    uint64_t count = 0;
    for (size_t i = 0; i < world->member_count; i++) {
        struct raft_member *member = world->members[i];
        if (!raft_member_is_lost(member)) {
            any = osr_random_below(&world->random, ++count) == 0 ? member : any;
        }
    }
    return any;
}

/* ---- what happens ---- */

static void restart(struct raft_member *member)
{
    if (!raft_member_is_up(member) && !raft_member_is_lost(member)) {
        raft_member_start(member);
    }
}

static void happen_to_all(struct raft_world *world, const struct raft_happening *happening)
{
    switch (happening->type) {
    case RAFT_RESTART:
        restart(world->members[happening->member]);
        break;
    case RAFT_RETIRE:
        raft_operator_retire(world, world->members[happening->member]);
        break;
    case RAFT_OPERATOR:
        raft_operator_act(world);
        break;
    case RAFT_FAULT:
        raft_faults_next(world);
        break;
    case RAFT_MEND:
        raft_faults_mend(world, happening);
        break;
    default:
        raft_clients_handle(world, happening);
        break;
    }
}

static void happen_to(struct raft_member *member, const struct raft_happening *happening)
{
    bool is_void = happening->type == RAFT_ARRIVAL
                       ? !raft_network_delivers(member->world, happening)
                       : happening->life != member->life;
    if (raft_member_is_up(member) && !is_void) {
        raft_member_handle(member, happening);
    }
}

static void next(struct raft_world *world)
{
    struct osr_heap_item *due = osr_heap_first(&world->happenings);
    struct raft_happening *happening = (struct raft_happening *)due;
    world->now_us = due->key >> ORDER_BITS;
    osr_heap_remove(&world->happenings, due);
    if (happening->type >= RAFT_RESTART) {
        happen_to_all(world, happening);
    } else {
        struct raft_member *member = world->members[happening->member];
        if (raft_member_is_paused(member)) {
            put_off(world, happening, end_of_pause(world, member, happening));
            return;
        }
        happen_to(member, happening);
    }
    release(happening);
}

/* A ledger of one, with nobody who asks for anything, has nothing to wait for. */
static void pass_time(struct raft_world *world, uint64_t until_us)
{
    if (world->happenings.count > 0) {
        next(world);
    } else {
        world->now_us = until_us;
    }
}

/* ---- a run ---- */

static struct raft_world *create(uint64_t seed, const struct osr_trace *trace)
{
    struct raft_world *world = osr_alloc(sizeof(*world));
    osr_random_init(&world->random, seed);
    raft_settings_draw(&world->settings, &world->random);
    world->trace = *trace;
    world->network = raft_network_create();
    world->checks = raft_checks_create();
    world->clients = raft_clients_create(world);
    raft_world_add_member(world, true);
    raft_world_after(world, 1000, 100000, RAFT_OPERATOR, 0);
    raft_world_after(world, 100000, 300000, RAFT_FAULT, 0);
    return world;
}

static void destroy(struct raft_world *world)
{
    for (size_t i = 0; i < world->member_count; i++) {
        raft_member_destroy(world->members[i]);
    }
    for (size_t i = 0; i < world->happenings.count; i++) {
        release((struct raft_happening *)world->happenings.items[i]);
    }
    osr_heap_done(&world->happenings);
    raft_clients_destroy(world->clients);
    raft_checks_destroy(world->checks);
    raft_network_destroy(world->network);
    free(world);
}

static bool is_enough(const struct raft_world *world, uint64_t events)
{
    return world->counters.events >= events && world->counters.crashes >= CRASHES_MIN &&
           world->counters.changes >= CHANGES_MIN;
}

/* Who belongs to the ledger according to its leader; NULL: nobody leads, or more than one. */
static struct raft_member *find_leader(const struct raft_world *world)
{
    struct raft_member *leader = NULL;
    uint64_t term = 0;
    for (size_t i = 0; i < world->member_count; i++) {
        struct osr_raft_info info;
        if (raft_member_leads(world->members[i])) {
            osr_raft_info(world->members[i]->core, &info);
            leader = info.term > term ? world->members[i] : leader;
            term = info.term > term ? info.term : term;
        }
    }
    return leader;
}

/* One leads, its whole log is committed, and all members have applied it. */
static bool has_converged(const struct raft_world *world)
{
    const struct raft_member *leader = find_leader(world);
    if (leader == NULL) {
        return false;
    }
    struct osr_raft_info info;
    osr_raft_info(leader->core, &info);
    const struct osr_raft_configuration *configuration = osr_raft_members(leader->core);
    for (size_t i = 0; i < configuration->count; i++) {
        const struct raft_member *member = world->members[configuration->members[i].id - 1];
        if (!raft_member_is_lost(member) &&
            (!raft_member_is_up(member) || member->state.applied != info.last)) {
            return false;
        }
    }
    return info.commit == info.last;
}

static void say_state(const struct raft_world *world)
{
    static const char *const roles[] = {"follower", "pre-candidate", "candidate", "leader"};
    for (size_t i = 0; i < world->member_count; i++) {
        const struct raft_member *member = world->members[i];
        struct osr_raft_info info = {0};
        if (raft_member_is_up(member)) {
            osr_raft_info(member->core, &info);
        }
        raft_world_say(world,
                       "m%" PRIu64 " %s%s: %s, term %" PRIu64 ", leader m%" PRIu64 ", last %" PRIu64
                       ", durable %" PRIu64 ", committed %" PRIu64 ", applied %" PRIu64
                       ", configuration of %" PRIu64,
                       member->id, raft_member_is_up(member) ? "up" : "down",
                       member->is_removed ? " (removed)" : "", roles[info.role], info.term,
                       info.leader, info.last, info.durable, info.commit, member->state.applied,
                       info.configured_at);
    }
}

typedef bool settled(const struct raft_world *world);

static void wait_until(struct raft_world *world, settled *is_settled, uint64_t patience_us,
                       const char *what)
{
    uint64_t end_us = world->now_us + patience_us;
    uint64_t check_us = world->now_us;
    while (!is_settled(world)) {
        if (world->now_us > end_us) {
            say_state(world);
            sim_violation("%s after %" PRIu64 " ms of quiet", what, patience_us / 1000);
        }
        check_us += QUIET_CHECK_US;
        while (world->now_us < check_us) {
            pass_time(world, check_us);
        }
    }
}

static bool has_leader(const struct raft_world *world)
{
    return find_leader(world) != NULL;
}

/* A member that has nothing may have to be given the whole log, an entry a message. */
static uint64_t time_to_copy_us(const struct raft_world *world)
{
    const struct raft_settings *settings = &world->settings;
    return raft_checks_committed(world->checks) *
           (2 * settings->latency_us + settings->write_us_max + settings->sync_us_max +
            settings->apply_us_max);
}

static bool has_no_operations(const struct raft_world *world)
{
    return raft_clients_are_done(world->clients) && has_converged(world);
}

/* And something of its own with it. */
static bool has_committed_all(const struct raft_world *world)
{
    const struct raft_member *leader = find_leader(world);
    struct osr_raft_info info = {0};
    if (leader != NULL) {
        osr_raft_info(leader->core, &info);
    }
    return leader != NULL && info.commit == info.last &&
           raft_checks_committed_term(world->checks) == info.term;
}

static void check_states(const struct raft_world *world)
{
    const struct raft_member *leader = find_leader(world);
    const struct osr_raft_configuration *configuration = osr_raft_members(leader->core);
    for (size_t i = 0; i < configuration->count; i++) {
        const struct raft_member *member = world->members[configuration->members[i].id - 1];
        if (!raft_member_is_lost(member) &&
            memcmp(member->state.values, leader->state.values, sizeof(member->state.values)) != 0) {
            sim_violation("m%" PRIu64 " and m%" PRIu64 " have applied the same and differ",
                          member->id, leader->id);
        }
    }
}

/* Nothing fails any more. First nobody asks for anything new, so that the ledger has to settle by
 * itself; then all that the clients ask for must be done. */
static void run_quiet_phase(struct raft_world *world)
{
    raft_world_say(world, "---- quiet ----");
    world->is_quiet = true;
    raft_faults_end(world);
    raft_clients_pause(world->clients);
    uint64_t timeout_us = 1000 * (uint64_t)world->settings.core.election_timeout_ms;
    wait_until(world, has_leader, LEADER_TIMEOUTS * timeout_us, "nobody leads");
    uint64_t patience_us = QUIET_TIMEOUTS * timeout_us + time_to_copy_us(world);
    wait_until(world, has_committed_all, patience_us, "the leader does not commit");
    wait_until(world, has_no_operations, patience_us, "members differ");
    raft_clients_finish(world, LAST_OPERATIONS);
    wait_until(world, has_no_operations, patience_us, "operations are not answered");
    check_states(world);
    raft_clients_check(world);
}

void raft_world_run(uint64_t seed, uint64_t events, const struct osr_trace *trace,
                    struct raft_counters *ret_counters)
{
    sim_set_run("sim_raft", seed, events);
    struct raft_world *world = create(seed, trace);
    while (!is_enough(world, events)) {
        if (world->now_us > MAIN_US_MAX) {
            say_state(world);
            sim_violation("too little happens in %d s", MAIN_US_MAX / 1000000);
        }
        next(world);
    }
    run_quiet_phase(world);
    world->counters.entries_committed = raft_checks_committed(world->checks);
    world->counters.simulated_ms = world->now_us / 1000;
    *ret_counters = world->counters;
    destroy(world);
}
