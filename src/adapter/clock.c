#include "adapter/clock.h"

#include <time.h>

uint64_t osr_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t osr_monotonic_ms(void)
{
    return osr_monotonic_ns() / 1000000;
}

uint64_t osr_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void osr_rest_since(uint64_t began_ns, uint64_t most_ns)
{
    uint64_t rest_ns = osr_monotonic_ns() - began_ns;

    if (rest_ns > most_ns) {
        rest_ns = most_ns;
    }
    nanosleep(&(struct timespec){.tv_sec = (time_t)(rest_ns / 1000000000),
                                 .tv_nsec = (long)(rest_ns % 1000000000)},
              NULL);
}
