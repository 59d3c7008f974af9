#include "sim/run_options.h"

#include "sim/violation.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_line(void *context, enum osr_level level, const char *line)
{
    (void)context;
    (void)level;
    puts(line);
}

static uint64_t read_number(const char *program, const char *text)
{
    char *end;
    uint64_t number = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0') {
        fprintf(stderr, "%s: %s is not a number\n", program, text);
        exit(2);
    }
    return number;
}

static _Noreturn void print_usage(const char *program, bool has_mutants)
{
    fprintf(stderr, "usage: %s [--seeds N] [--first S] [--events N] [--trace] [--must-fail]%s\n",
            program, has_mutants ? " [--mutate NAME] [--list]" : "");
    exit(2);
}

void sim_run_options_read(struct sim_run_options *options, const char *program, bool has_mutants,
                          int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--seeds") == 0 && has_value) {
            options->seeds = read_number(program, argv[++i]);
        } else if (strcmp(argv[i], "--first") == 0 && has_value) {
            options->first = read_number(program, argv[++i]);
        } else if (strcmp(argv[i], "--events") == 0 && has_value) {
            options->events = read_number(program, argv[++i]);
        } else if (strcmp(argv[i], "--mutate") == 0 && has_value && has_mutants) {
            options->mutate = argv[++i];
        } else if (strcmp(argv[i], "--list") == 0 && has_mutants) {
            options->list = true;
        } else if (strcmp(argv[i], "--trace") == 0) {
            options->trace = (struct osr_trace){.write = print_line, .level = OSR_LEVEL_TRACE};
        } else if (strcmp(argv[i], "--must-fail") == 0) {
            options->must_fail = true;
            sim_expect_violation();
        } else {
            print_usage(program, has_mutants);
        }
    }
}

void sim_print_counter(const char *name, uint64_t sum, uint64_t least)
{
    printf("%-24s %14" PRIu64 " %12" PRIu64 "\n", name, sum, least);
}
