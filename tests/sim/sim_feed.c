/* sim_feed.c -- runs simulated clusters, one for each seed:
 *     sim_feed [--seeds N] [--first S] [--events N] [--trace] [--must-fail]
 * Ends with status 1 and the seed at the first violation; with --must-fail with status 1 where
 * there is none. */
#include "sim/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { EVENTS_DEFAULT = 5000 };

static void print_line(void *context, enum osr_level level, const char *line)
{
    (void)context;
    (void)level;
    puts(line);
}

static uint64_t read_number(const char *text)
{
    char *end;
    uint64_t number = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0') {
        fprintf(stderr, "sim_feed: %s is not a number\n", text);
        exit(2);
    }
    return number;
}

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
    printf("%-20s %14s %12s\n", "", "all runs", "least a run");
#define PRINT(name)                                                                                \
    printf("%-20s %14" PRIu64 " %12" PRIu64 "\n", #name, totals->sum.name, totals->least.name);
    WORLD_COUNTERS(PRINT)
#undef PRINT
    printf("%" PRIu64 " runs, no violation, all converged; %.1f s, %.1f runs a second\n", runs,
           seconds, (double)runs / seconds);
}

int main(int argc, char **argv)
{
    uint64_t seeds = 100;
    uint64_t first = 1;
    uint64_t events = EVENTS_DEFAULT;
    bool must_fail = false;
    struct osr_trace trace = {0};
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--seeds") == 0 && has_value) {
            seeds = read_number(argv[++i]);
        } else if (strcmp(argv[i], "--first") == 0 && has_value) {
            first = read_number(argv[++i]);
        } else if (strcmp(argv[i], "--events") == 0 && has_value) {
            events = read_number(argv[++i]);
        } else if (strcmp(argv[i], "--trace") == 0) {
            trace = (struct osr_trace){.write = print_line, .level = OSR_LEVEL_TRACE};
        } else if (strcmp(argv[i], "--must-fail") == 0) {
            must_fail = true;
            sim_expect_violation();
        } else {
            fprintf(stderr, "usage: sim_feed [--seeds N] [--first S] [--events N] [--trace] "
                            "[--must-fail]\n");
            return 2;
        }
    }
    struct totals totals = {0};
    struct timespec begin;
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (uint64_t i = 0; i < seeds; i++) {
        struct world_counters run;
        world_run(first + i, events, &trace, &run);
        add_run(&totals, &run, i == 0);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds =
        (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    if (must_fail) {
        printf("not noticed in %" PRIu64 " seeds\n", seeds);
        return 1;
    }
    print_totals(&totals, seeds, seconds);
    return 0;
}
