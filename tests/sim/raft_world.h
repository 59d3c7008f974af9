/* raft_world.h -- a simulated ledger: time, what is drawn by the seed, and what its parts know of
 * one another.
 *
 *     raft_world.c     time, and a run from its beginning to its end
 *     raft_settings.c  what the seed decides beforehand: limits, speeds, how much fails
 *     raft_network.c   messages on their way
 *     raft_member.c    one member: its core, its state machine
 *     raft_disk.c      its log thread and its files, on raft_store.c: what is durable
 *     raft_clients.c   people who read and write, and the history of what they saw
 *     raft_operator.c  somebody who adds, removes and replaces members
 *     raft_faults.c    what fails, and is mended again
 *     raft_checks.c    what must hold after every step; what is committed, in raft_checks_commit.c;
 *                      what is said, in raft_checks_said.c
 *     linear.c         whether the history can be explained
 *
 * One seed decides all. What is to happen waits in a heap by time; each is carried out alone, so a
 * run is the same every time. */
#ifndef OSR_TESTS_RAFT_WORLD_H
#define OSR_TESTS_RAFT_WORLD_H

#include "base/heap.h"
#include "base/random.h"
#include "core/raft.h"
#include "sim/raft_settings.h"

enum { RAFT_MEMBERS_EVER = 24 }; /* in one run, replaced ones with them */

/* Counted over a run, to show that it was one. */
#define RAFT_COUNTERS(X)                                                                           \
    X(events)                                                                                      \
    X(simulated_ms)                                                                                \
    X(crashes)                                                                                     \
    X(power_cuts)                                                                                  \
    X(crashes_in_step)                                                                             \
    X(crashes_of_all)                                                                              \
    X(torn_tails)                                                                                  \
    X(rotten_tails)                                                                                \
    X(lost_syncs)                                                                                  \
    X(pauses)                                                                                      \
    X(partitions)                                                                                  \
    X(isolations)                                                                                  \
    X(one_way_cuts)                                                                                \
    X(bursts)                                                                                      \
    X(messages)                                                                                    \
    X(drops)                                                                                       \
    X(duplicates)                                                                                  \
    X(late_doubles)                                                                                \
    X(replays)                                                                                     \
    X(reorders)                                                                                    \
    X(leaders)                                                                                     \
    X(leaders_hunted)                                                                              \
    X(transfers)                                                                                   \
    X(changes)                                                                                     \
    X(removals)                                                                                    \
    X(removals_of_leader)                                                                          \
    X(members_ever)                                                                                \
    X(truncations)                                                                                 \
    X(snapshots_made)                                                                              \
    X(snapshots_installed)                                                                         \
    X(snapshots_damaged)                                                                           \
    X(chunks)                                                                                      \
    X(fetches)                                                                                     \
    X(disk_full_episodes)                                                                          \
    X(stores_refused)                                                                              \
    X(slow_disks)                                                                                  \
    X(rotten_disks)                                                                                \
    X(entries_committed)                                                                           \
    X(operations)                                                                                  \
    X(reads)                                                                                       \
    X(outcomes_unknown)                                                                            \
    X(cancelled)                                                                                   \
    X(histories_undecided)

struct raft_counters {
#define RAFT_COUNTER_FIELD(name) uint64_t name;
    RAFT_COUNTERS(RAFT_COUNTER_FIELD)
#undef RAFT_COUNTER_FIELD
};

enum raft_happening_type {
    /* Of one life of a member: void if it has crashed meanwhile, late if it is paused. */
    RAFT_TICK,
    RAFT_FLUSH,
    RAFT_REQUEST,       /* number: operation */
    RAFT_APPLIED,       /* number: index */
    RAFT_UNREACHABLE,   /* number: member */
    RAFT_DISK_WRITE,    /* the log thread takes what waits */
    RAFT_DISK_SYNC,     /* and has it durable */
    RAFT_FETCHED,       /* body: struct raft_fetch */
    RAFT_CHUNK_READ,    /* body: struct raft_chunk */
    RAFT_CHUNK_WRITTEN, /* number: ticket */
    RAFT_HUNTED,        /* it crashes now */
    RAFT_OPERATOR_AT,   /* something is wanted of it, if it leads */
    RAFT_SNAPSHOT_MADE, /* body: struct raft_snapshot */
    /* Of a member, in whatever life it is. */
    RAFT_ARRIVAL, /* body: struct osr_raft_message; number: sender; second: its life */
    RAFT_RESTART,
    RAFT_RETIRE, /* its machine is switched off for good, if nobody needs it */
    /* Of nobody in particular. */
    RAFT_CLIENT,   /* number: client */
    RAFT_REPLY,    /* number: operation */
    RAFT_PATIENCE, /* of a client: number: operation */
    RAFT_OPERATOR,
    RAFT_FAULT,
    RAFT_MEND, /* number: which fault ends */
};

struct raft_happening {
    struct osr_heap_item due; /* first, so that the heap's item is the happening */
    enum raft_happening_type type;
    uint32_t member; /* by its place in raft_world.members */
    uint32_t life;
    uint64_t number;
    uint64_t second; /* another, as the type says */
    void *body;      /* freed with it */
};

struct raft_member;
struct raft_network;
struct raft_clients;
struct raft_checks;

struct raft_world {
    struct osr_random random;
    struct raft_settings settings;
    struct osr_trace trace;
    struct raft_counters counters;
    uint64_t now_us;
    uint64_t order; /* of happenings at the same time */
    struct osr_heap happenings;
    struct raft_member *members[RAFT_MEMBERS_EVER]; /* id - 1 */
    size_t member_count;
    struct raft_network *network;
    struct raft_clients *clients;
    struct raft_checks *checks;
    bool is_quiet;                               /* nothing fails any more */
    bool is_hunting;                             /* whoever comes to lead is crashed soon */
    struct osr_raft_configuration configuration; /* the newest that anybody has applied */
    uint64_t configured_at;                      /* its index */
    uint64_t changed_us; /* when a change of the members was asked for last */
    uint64_t operator_rests_until_us;
    uint64_t progress;    /* entries committed, as the faults last looked */
    uint64_t progress_us; /* and when they were others */
};

/* One run; ends the program where something happens that must not. */
void raft_world_run(uint64_t seed, uint64_t events, const struct osr_trace *trace,
                    struct raft_counters *ret_counters);

/* ---- for the parts ---- */

/* Uniform, both ends included. */
static inline uint64_t raft_between(struct raft_world *world, uint64_t low, uint64_t high)
{
    return low + osr_random_below(&world->random, high - low + 1);
}
static inline bool raft_chance(struct raft_world *world, double probability)
{
    return osr_random_chance(&world->random, probability);
}

/* Something is to happen after a delay; the caller fills in the rest of it. `member`'s present
 * life is noted. */
struct raft_happening *raft_world_at(struct raft_world *world, uint64_t at_us,
                                     enum raft_happening_type type, uint32_t member);
struct raft_happening *raft_world_after(struct raft_world *world, uint64_t low_us, uint64_t high_us,
                                        enum raft_happening_type type, uint32_t member);
/* A line of the trace, about a member or, without one, about all. */
#define raft_world_say(world, ...) osr_trace(&(world)->trace, OSR_LEVEL_INFO, __VA_ARGS__)
/* A new machine; it starts a little later. */
struct raft_member *raft_world_add_member(struct raft_world *world, bool is_founder);
/* Who leads, as far as it believes itself: one of them at random, NULL: nobody. */
struct raft_member *raft_world_any_leader(struct raft_world *world);
struct raft_member *raft_world_any_member(struct raft_world *world); /* not a retired one */

#endif
