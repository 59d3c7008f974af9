#define OPENSSL_SUPPRESS_DEPRECATED /* a source of random numbers of our own */
#include "lib/known_numbers.h"

#include <openssl/rand.h>
#include <stdlib.h>

#include "base/random.h"

static struct osr_random numbers;

static int give_numbers(unsigned char *data, int size)
{
    osr_random_fill(&numbers, data, (size_t)size);
    return 1;
}

static int numbers_are_there(void)
{
    return 1;
}

void osr_known_numbers_restart(void)
{
    static const RAND_METHOD known_numbers = {
        .bytes = give_numbers,
        .pseudorand = give_numbers,
        .status = numbers_are_there,
    };
    osr_random_init(&numbers, 1);
    if (RAND_set_rand_method(&known_numbers) != 1) {
        abort();
    }
}
