/* run_options.h -- what a simulation is told to do, and what it says at its end. */
#ifndef OSR_TESTS_RUN_OPTIONS_H
#define OSR_TESTS_RUN_OPTIONS_H

#include "base/trace.h"

#include <stdbool.h>
#include <stdint.h>

struct sim_run_options {
    uint64_t seeds;
    uint64_t first;
    uint64_t events;
    bool must_fail;
    const char *mutate; /* name of the guard to leave out; NULL: none */
    bool list;          /* the guards' names, and nothing else */
    struct osr_trace trace;
};

/* Reads [--seeds N] [--first S] [--events N] [--trace] [--must-fail] and, where there are mutants,
 * [--mutate NAME] [--list] over what stands in *options; ends the program where they are wrong. */
void sim_run_options_read(struct sim_run_options *options, const char *program, bool has_mutants,
                          int argc, char **argv);
/* Of one number that is counted: in all runs together and in the run with least of it. */
void sim_print_counter(const char *name, uint64_t sum, uint64_t least);

#endif
