/* sim_raft.c -- runs simulated ledgers, one for each seed:
 *     sim_raft [--seeds N] [--first S] [--events N] [--trace] [--must-fail]
 *     sim_raft_mutable ... [--mutate NAME | --list]
 * the latter without one of the core's guards (raft_guards.h), or just naming them.
 * Ends with status 1 and the seed at the first violation; with --must-fail with status 1 where
 * there is none; after --mutate only what the guard stands against counts as one. */
#include "core/raft_guards.h"
#include "sim/raft_world.h"
#include "sim/run_options.h"
#include "sim/violation.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_DEFAULT = 5000 };

#ifdef OSR_RAFT_MUTABLE
static const bool has_mutants = true;

/* What the simulation says, in part, where a guard is missing: what it stands against, not what
 * may follow from that in the end. */
static const char *const words[OSR_RAFT_GUARD_COUNT] = {
    [OSR_RAFT_GUARD_OWN_TERM_COMMIT] = "could lead without it",
    [OSR_RAFT_GUARD_LEADER_NOTHING] = "the leader does not commit",
    [OSR_RAFT_GUARD_PRE_VOTE_TERM] = "nobody leads",
    [OSR_RAFT_GUARD_VOTE_DURABLE] = "durable is its vote for",
    [OSR_RAFT_GUARD_ONE_VOTE] = "votes twice in term",
    [OSR_RAFT_GUARD_LOG_UP_TO_DATE] = "leader completeness",
    [OSR_RAFT_GUARD_ELECTION_DURABLE] = "stands for election with",
    [OSR_RAFT_GUARD_OWN_MATCH_DURABLE] = "which no majority of",
    [OSR_RAFT_GUARD_ACK_DURABLE] = ", durable are",
    [OSR_RAFT_GUARD_ACK_MATCHED] = "which is another than its leader",
    [OSR_RAFT_GUARD_COMMIT_MATCHED] = "state machine safety",
    [OSR_RAFT_GUARD_STALE_REPLY] = "which has another there, or none",
    [OSR_RAFT_GUARD_CONFIGURATION_ROLLBACK] = "goes by the configuration of entry",
    [OSR_RAFT_GUARD_ONE_CHANGE] = "and the change of entry",
    [OSR_RAFT_GUARD_CHANGE_OWN_TERM] = "and changes the members",
    [OSR_RAFT_GUARD_READ_QUORUM] = "was acknowledged before",
    [OSR_RAFT_GUARD_READ_OWN_TERM] = "was acknowledged before",
    [OSR_RAFT_GUARD_FULL_STEPS_DOWN] = "leads on, and there was no room",
    [OSR_RAFT_GUARD_FULL_FORGETS] = "memory and disk differ",
    [OSR_RAFT_GUARD_TRUNCATE_CONFLICT_ONLY] = "and stores the same again",
    [OSR_RAFT_GUARD_SNAPSHOT_BEHIND] = "and installs a snapshot at",
    [OSR_RAFT_GUARD_SNAPSHOT_IDENTITY] = "that is not the bytes of one",
    [OSR_RAFT_GUARD_MESSAGE_LIMIT] = "bytes in one message",
    [OSR_RAFT_GUARD_CHECK_QUORUM] = "still leads, and has heard",
    [OSR_RAFT_GUARD_LEASE] = "and has heard its leader",
};

static void leave_out(const char *name)
{
    enum osr_raft_guard guard;
    if (!osr_raft_guard_parse(name, &guard)) {
        fprintf(stderr, "sim_raft: there is no guard %s\n", name);
        exit(2);
    }
    osr_raft_guards_off = UINT32_C(1) << guard;
    assert(words[guard] != NULL);
    sim_expect_words(words[guard]);
}

static void print_guards(void)
{
    for (unsigned i = 0; i < OSR_RAFT_GUARD_COUNT; i++) {
        puts(osr_raft_guard_name((enum osr_raft_guard)i));
    }
}
#else
static const bool has_mutants = false;

static void leave_out(const char *name)
{
    (void)name;
}

static void print_guards(void)
{
}
#endif

struct totals {
    struct raft_counters sum;
    struct raft_counters least;
};

static void add_run(struct totals *totals, const struct raft_counters *run, bool is_first)
{
#define ADD(name)                                                                                  \
    totals->sum.name += run->name;                                                                 \
    totals->least.name =                                                                           \
        is_first || run->name < totals->least.name ? run->name : totals->least.name;
    RAFT_COUNTERS(ADD)
#undef ADD
}

static void print_totals(const struct totals *totals, uint64_t runs, double seconds)
{
    printf("%-24s %14s %12s\n", "", "all runs", "least a run");
#define PRINT(name) sim_print_counter(#name, totals->sum.name, totals->least.name);
    RAFT_COUNTERS(PRINT)
#undef PRINT
    const struct raft_counters *sum = &totals->sum;
    printf("%" PRIu64 " runs with %" PRIu64 " torn records, %" PRIu64 " lost syncs, %" PRIu64
           " rotten tails, %" PRIu64 " rotten disks: no violation, all converged; "
           "%.1f s, %.1f ms a run\n",
           runs, sum->torn_tails, sum->lost_syncs, sum->rotten_tails, sum->rotten_disks, seconds,
           1000 * seconds / (double)runs);
}

static void run(const struct sim_run_options *options)
{
    struct totals totals = {0};
    struct timespec begin;
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (uint64_t i = 0; i < options->seeds; i++) {
        struct raft_counters counters;
        raft_world_run(options->first + i, options->events, &options->trace, &counters);
        add_run(&totals, &counters, i == 0);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    print_totals(&totals, options->seeds,
                 (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
}

/* ---- where a guard is missing ---- */

/* In a process of its own, which another violation than the one that is looked for may end; then
 * the next goes on behind that seed. */
static int run_until_noticed(const struct sim_run_options *options)
{
    struct raft_counters counters;
    uint64_t end = options->first + options->seeds;
    uint64_t *seed =
        mmap(NULL, sizeof(*seed), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert(seed != MAP_FAILED);
    for (*seed = options->first; *seed < end; ++*seed) {
        pid_t child = fork();
        if (child == 0) {
            for (; *seed < end; ++*seed) {
                raft_world_run(*seed, options->events, &options->trace, &counters);
            }
            exit(1);
        }
        int status;
        if (waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
            return 0;
        }
    }
    printf("not noticed in %" PRIu64 " seeds\n", options->seeds);
    return 1;
}

int main(int argc, char **argv)
{
    struct sim_run_options options = {.seeds = 100, .first = 1, .events = EVENTS_DEFAULT};
    sim_run_options_read(&options, "sim_raft", has_mutants, argc, argv);
    if (options.list) {
        print_guards();
        return 0;
    }
    if (options.mutate != NULL) {
        leave_out(options.mutate);
    }
    if (options.must_fail) {
        return run_until_noticed(&options);
    }
    run(&options);
    return 0;
}
