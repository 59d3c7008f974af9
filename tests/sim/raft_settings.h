/* raft_settings.h -- what a seed decides before a run begins. */
#ifndef OSR_TESTS_RAFT_SETTINGS_H
#define OSR_TESTS_RAFT_SETTINGS_H

#include "base/random.h"
#include "core/raft.h"

/* X(NAME): what can fail; how often, each seed decides, so that some runs have much of one thing.
 */
#define RAFT_FAULTS(X)                                                                             \
    X(CRASH)                                                                                       \
    X(CRASH_LEADER)                                                                                \
    X(CRASH_IN_STEP)                                                                               \
    X(HUNT)                                                                                        \
    X(CRASH_ALL)                                                                                   \
    X(PAUSE)                                                                                       \
    X(PARTITION)                                                                                   \
    X(ISOLATE_LEADER)                                                                              \
    X(ONE_WAY)                                                                                     \
    X(MUTE)                                                                                        \
    X(BURST)                                                                                       \
    X(STORM)                                                                                       \
    X(REPLAY)                                                                                      \
    X(DISK_FULL)                                                                                   \
    X(SLOW_DISK)                                                                                   \
    X(LOST_SYNC)                                                                                   \
    X(ROT)

enum raft_fault {
#define RAFT_FAULT_ENUM(NAME) RAFT_FAULT_##NAME,
    RAFT_FAULTS(RAFT_FAULT_ENUM)
#undef RAFT_FAULT_ENUM
        RAFT_FAULT_COUNT
};

struct raft_settings {
    struct osr_raft_options core; /* but member, seed and trace */
    size_t members;               /* wanted; the operator sees to it */
    size_t clients;
    size_t keys;
    double reads;       /* share of what the clients do */
    uint64_t think_us;  /* of a client between two operations, on average */
    size_t ballast_max; /* of commands and, for each key, of snapshots */
    /* Network. */
    uint64_t latency_us;
    double loss;
    double duplication;
    double late_doubles;
    double replays; /* share of messages that may come once more at any time */
    double reordering;
    /* Members. */
    uint64_t write_us_max;
    uint64_t sync_us_max;
    uint64_t flush_us_max;
    uint64_t apply_us_max;
    uint64_t snapshot_entries; /* applied since the last one; then another is made */
    bool has_real_log;         /* under the members' disks */
    bool keeps_state;          /* beside the snapshot, further on */
    uint64_t clock_skew;       /* in thousandths, either way */
    /* Faults. */
    uint64_t fault_us;    /* between two, on average */
    uint64_t mend_us_max; /* until one is mended */
    uint64_t down_us_max; /* until a crashed member starts again */
    uint64_t operator_us;
    double transfers; /* share of what the operator does that is not needed */
    double haste;     /* chance that a new leader is to change the members at once */
    unsigned weights[RAFT_FAULT_COUNT];
};

void raft_settings_draw(struct raft_settings *settings, struct osr_random *random);
/* By the weights. */
enum raft_fault raft_settings_any_fault(const struct raft_settings *settings,
                                        struct osr_random *random);

#endif
