/* violation.h -- how a simulation ends where something happens that must not: with the seed, what
 * it was, and the command that shows it again. */
#ifndef OSR_TESTS_VIOLATION_H
#define OSR_TESTS_VIOLATION_H

#include <stdint.h>

/* The run in hand: `program` and its options replay it. */
void sim_set_run(const char *program, uint64_t seed, uint64_t events);
/* A violation is what is wanted: a guard is missing. */
void sim_expect_violation(void);
/* And it has to say these words: another one shows nothing about that guard, and is not printed.
 * They live on. */
void sim_expect_words(const char *words);
/* Ends the program: with status 1, or 0 where a violation was expected. */
_Noreturn void sim_violation(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
