#include "base/random.h"

#include <assert.h>

/* splitmix64: spreads a seed over the state, as the authors of xoshiro advise. */
static uint64_t spread(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void osr_random_init(struct osr_random *random, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++) {
        random->state[i] = spread(&seed);
    }
}

static uint64_t rotate_left(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

uint64_t osr_random_u64(struct osr_random *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t osr_random_below(struct osr_random *random, uint64_t limit)
{
    assert(limit > 0);
    /* Numbers in the incomplete last run of `limit` would favour small results. */
    uint64_t incomplete = (UINT64_MAX % limit + 1) % limit;
    uint64_t number;
    do {
        number = osr_random_u64(random);
    } while (number > UINT64_MAX - incomplete);
    return number % limit;
}

bool osr_random_chance(struct osr_random *random, double probability)
{
    return (double)(osr_random_u64(random) >> 11) * 0x1p-53 < probability;
}

void osr_random_fill(struct osr_random *random, void *data, size_t size)
{
    uint8_t *bytes = data;
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++) {
        if (i % 8 == 0) {
            number = osr_random_u64(random);
        }
        bytes[i] = (uint8_t)(number >> (i % 8 * 8));
    }
}
