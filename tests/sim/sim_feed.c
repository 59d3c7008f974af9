/* sim_feed.c -- runs simulated clusters, one for each seed:
 *     sim_feed [--seeds N] [--first S] [--events N] [--trace] [--must-fail]
 * Ends with status 1 and the seed at the first violation; with --must-fail with status 1 where
 * there is none. */
#include "sim/run_options.h"
#include "sim/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum { EVENTS_DEFAULT = 5000 };

struct totals {
    struct world_counters sum;
    struct world_counters least;
};

static void add_run(struct totals *totals, const struct world_counters *run, bool first)
{
#define ADD(name)                                                                                  \
    totals->sum.name += run->name;                                                                 \
    totals->least.name = first || run->name < totals->least.name ? run->name : totals->least.name;
    WORLD_COUNTERS(ADD)
#undef ADD
}

static void print_totals(const struct totals *totals, uint64_t runs, double seconds)
{
    printf("%-24s %14s %12s\n", "", "all runs", "least a run");
#define PRINT(name) sim_print_counter(#name, totals->sum.name, totals->least.name);
    WORLD_COUNTERS(PRINT)
#undef PRINT
    printf("%" PRIu64 " runs, no violation, all converged; %.1f s, %.1f runs a second\n", runs,
           seconds, (double)runs / seconds);
}

int main(int argc, char **argv)
{
    struct sim_run_options options = {.seeds = 100, .first = 1, .events = EVENTS_DEFAULT};
    sim_run_options_read(&options, "sim_feed", false, argc, argv);
    struct totals totals = {0};
    struct timespec begin;
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (uint64_t i = 0; i < options.seeds; i++) {
        struct world_counters run;
        world_run(options.first + i, options.events, &options.trace, &run);
        add_run(&totals, &run, i == 0);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds =
        (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    if (options.must_fail) {
        printf("not noticed in %" PRIu64 " seeds\n", options.seeds);
        return 1;
    }
    print_totals(&totals, options.seeds, seconds);
    return 0;
}
