/* clock.h -- the machine's clocks, for those who may read them: not the cores. */
#ifndef OSR_ADAPTER_CLOCK_H
#define OSR_ADAPTER_CLOCK_H

#include <stdint.h>

uint64_t osr_monotonic_ms(void); /* never goes back; since some point in the past */
uint64_t osr_monotonic_ns(void); /* the same clock */
uint64_t osr_wall_ms(void);      /* since 1970-01-01 UTC; may jump */

/* Sleeps for as long as has passed since then, at most so long: who works in pieces on a thread of
 * the background, and rests after each, leaves half of the disk to others. */
void osr_rest_since(uint64_t began_ns, uint64_t most_ns);

#endif
