#include "node/id_maker.h"

#include "adapter/keys.h"

/* The next number, big-endian. */
static void count_up(uint8_t random[OSR_ID_RANDOM_SIZE])
{
    for (size_t i = OSR_ID_RANDOM_SIZE; i-- > 0;) {
        if (++random[i] != 0) {
            return;
        }
    }
}

void osr_id_maker_next(struct osr_id_maker *maker, uint64_t time_ms, char *id)
{
    if (time_ms > maker->time_ms) {
        maker->time_ms = time_ms;
        osr_secret_random(maker->random, sizeof(maker->random));
        maker->random[0] &= 0x7f; /* room to count up */
    } else {
        count_up(maker->random);
    }
    osr_document_id_make(id, maker->time_ms, maker->random);
}
