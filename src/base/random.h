/* random.h -- seeded random numbers (xoshiro256**), the same on every machine: for
 * simulations, jitter and map keys. Not for secrets: those come from adapter/keys.h. */
#ifndef OSR_BASE_RANDOM_H
#define OSR_BASE_RANDOM_H

#include "base/bytes.h"

struct osr_random {
    uint64_t state[4];
};

void osr_random_init(struct osr_random *random, uint64_t seed);
uint64_t osr_random_u64(struct osr_random *random);
uint64_t osr_random_below(struct osr_random *random, uint64_t limit); /* 0..limit-1; limit > 0 */
bool osr_random_chance(struct osr_random *random, double probability);
void osr_random_fill(struct osr_random *random, void *data, size_t size);

#endif
