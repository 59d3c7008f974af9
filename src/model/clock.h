/* clock.h -- hybrid logical time (Kulkarni et al., "Logical Physical Clocks", 2014).
 * No clock is read here: physical time is an input. */
#ifndef OSR_MODEL_CLOCK_H
#define OSR_MODEL_CLOCK_H

#include "base/bytes.h"

struct osr_time {
    uint64_t ms;
    uint32_t logical;
};

int osr_time_compare(struct osr_time a, struct osr_time b);

struct osr_clock {
    struct osr_time last; /* never goes back */
};

/* The time of a new event: after all that was ticked or observed. */
struct osr_time osr_clock_tick(struct osr_clock *clock, uint64_t physical_ms);
/* Takes note of a time from elsewhere, but goes at most OSR_CLOCK_DRIFT_MAX_MS past
 * physical time for it. */
void osr_clock_observe(struct osr_clock *clock, struct osr_time time, uint64_t physical_ms);

#endif
