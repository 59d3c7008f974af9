/* sim_raft.c -- runs simulated ledgers, one for each seed:
 *     sim_raft [--seeds N] [--first S] [--events N] [--trace] [--must-fail]
 *     sim_raft_mutable ... [--mutate NAME | --list]
 * the latter without one of the core's guards (raft_guards.h), or just naming them.
 * Ends with status 1 and the seed at the first violation; with --must-fail with status 1 where
 * there is none. */
#include "core/raft_guards.h"
#include "sim/raft_world.h"
#include "sim/run_options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { EVENTS_DEFAULT = 5000 };

#ifdef OSR_RAFT_MUTABLE
static const bool has_mutants = true;

static void leave_out(const char *name)
{
    enum osr_raft_guard guard;
    if (!osr_raft_guard_parse(name, &guard)) {
        fprintf(stderr, "sim_raft: there is no guard %s\n", name);
        exit(2);
    }
    osr_raft_guards_off = UINT32_C(1) << guard;
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
    printf("%" PRIu64 " runs, no violation, all converged; %.1f s, %.1f ms a run\n", runs, seconds,
           1000 * seconds / (double)runs);
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
    struct totals totals = {0};
    struct timespec begin;
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (uint64_t i = 0; i < options.seeds; i++) {
        struct raft_counters run;
        raft_world_run(options.first + i, options.events, &options.trace, &run);
        add_run(&totals, &run, i == 0);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (options.must_fail) {
        printf("not noticed in %" PRIu64 " seeds\n", options.seeds);
        return 1;
    }
    print_totals(&totals, options.seeds,
                 (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
    return 0;
}
