/* clock.h -- the machine's clocks, for those who may read them: not the cores. */
#ifndef OSR_ADAPTER_CLOCK_H
#define OSR_ADAPTER_CLOCK_H

#include <stdint.h>

uint64_t osr_monotonic_ms(void); /* never goes back; since some point in the past */
uint64_t osr_wall_ms(void);      /* since 1970-01-01 UTC; may jump */

#endif
