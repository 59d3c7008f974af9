#include "model/clock.h"

#include "model/limits.h"

int osr_time_compare(struct osr_time a, struct osr_time b)
{
    if (a.ms != b.ms) {
        return a.ms < b.ms ? -1 : 1;
    }
    if (a.logical != b.logical) {
        return a.logical < b.logical ? -1 : 1;
    }
    return 0;
}

struct osr_time osr_clock_tick(struct osr_clock *clock, uint64_t physical_ms)
{
    if (physical_ms > clock->last.ms) {
        clock->last = (struct osr_time){.ms = physical_ms};
    } else if (clock->last.logical < UINT32_MAX) {
        clock->last.logical++;
    } else {
        clock->last = (struct osr_time){.ms = clock->last.ms + 1};
    }
    return clock->last;
}

void osr_clock_observe(struct osr_clock *clock, struct osr_time time, uint64_t physical_ms)
{
    uint64_t limit_ms = physical_ms > UINT64_MAX - OSR_CLOCK_DRIFT_MAX_MS
                            ? UINT64_MAX
                            : physical_ms + OSR_CLOCK_DRIFT_MAX_MS;
    if (time.ms > limit_ms) {
        time = (struct osr_time){.ms = limit_ms};
    }
    if (osr_time_compare(time, clock->last) > 0) {
        clock->last = time;
    }
}
