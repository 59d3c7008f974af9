/* history.h -- what was ever committed in a simulated cluster: the truth that instances are
 * measured against.
 *
 * Every feed has one history, written by its origin's commits and never changed. What an
 * instance applies must be a prefix of it; instances that hold the same heads must show the same
 * content. A violation ends the program with the seed and the command that replays it. */
#ifndef OSR_TESTS_HISTORY_H
#define OSR_TESTS_HISTORY_H

#include "model/identity.h"

enum { SIM_INSTANCES_MAX = 7 };

struct history;

struct history *history_create(void);
void history_destroy(struct history *history);
/* The origin committed an entry: new, or the same as ever. */
void history_commit(struct history *history, size_t origin, uint64_t sequence,
                    const struct osr_hash *chain);
/* Somebody applies or holds an entry: it must be the origin's. */
void history_check(const struct history *history, size_t origin, uint64_t sequence,
                   const struct osr_hash *chain, const char *who);
uint64_t history_length(const struct history *history, size_t origin);
/* Whoever holds these heads shows this content. */
void history_check_content(struct history *history, uint64_t heads, uint64_t content,
                           const char *who);

/* The seed of the run in hand, for sim_violation. */
void sim_set_seed(uint64_t seed, uint64_t events);
/* A violation is what is wanted: a guard is missing. */
void sim_expect_violation(void);
/* Says what must not happen, how to see it again, and ends the program: with status 1, or 0 where
 * it was expected. */
_Noreturn void sim_violation(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
