#include "adapter/bus_retry.h"

#include "adapter/bus.h"
#include "adapter/keys.h"

void osr_bus_retry_init(struct osr_bus_retry *retry)
{
    uint64_t seed;

    osr_secret_random(&seed, sizeof(seed));
    osr_random_init(&retry->random, seed);
    retry->longest_ms = OSR_BUS_RETRY_MS_MIN;
}

uint64_t osr_bus_retry_next_ms(struct osr_bus_retry *retry, uint64_t up_ms)
{
    if (up_ms >= OSR_BUS_RETRY_MS_MAX) {
        retry->longest_ms = OSR_BUS_RETRY_MS_MIN;
    }
    uint64_t pause_ms = 1 + osr_random_below(&retry->random, retry->longest_ms);
    uint32_t doubled_ms = 2 * retry->longest_ms;
    retry->longest_ms = doubled_ms < OSR_BUS_RETRY_MS_MAX ? doubled_ms : OSR_BUS_RETRY_MS_MAX;
    return pause_ms;
}
