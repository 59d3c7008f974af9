#include "sim/violation.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES_MAX = 512 };

static const char *program_in_hand;
static uint64_t seed_in_hand;
static uint64_t events_in_hand;
static bool violation_is_expected;
static const char *expected_words = "";

void sim_set_run(const char *program, uint64_t seed, uint64_t events)
{
    program_in_hand = program;
    seed_in_hand = seed;
    events_in_hand = events;
}

void sim_expect_violation(void)
{
    violation_is_expected = true;
}

void sim_expect_words(const char *words)
{
    expected_words = words;
}

void sim_violation(const char *format, ...)
{
    char text[TEXT_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (violation_is_expected && strstr(text, expected_words) == NULL) {
        exit(1);
    }
    fflush(stdout);
    fprintf(stderr, "seed %" PRIu64 ": VIOLATION: %s\n", seed_in_hand, text);
    if (!violation_is_expected) {
        fprintf(stderr,
                "replay with: %s --first %" PRIu64 " --seeds 1 --events %" PRIu64 " --trace\n",
                program_in_hand, seed_in_hand, events_in_hand);
    }
    exit(violation_is_expected ? 0 : 1);
}
