#include "adapter/amqp_confirms.h"

#include <assert.h>

static uint64_t *word_of(struct osr_amqp_confirms *confirms, uint64_t number)
{
    return &confirms->early[number % OSR_AMQP_UNCONFIRMED_MAX / 64];
}

static uint64_t bit_of(uint64_t number)
{
    return UINT64_C(1) << number % 64;
}

bool osr_amqp_confirms_are_full(const struct osr_amqp_confirms *confirms)
{
    return confirms->published - confirms->confirmed == OSR_AMQP_UNCONFIRMED_MAX;
}

void osr_amqp_confirms_publish(struct osr_amqp_confirms *confirms)
{
    assert(!osr_amqp_confirms_are_full(confirms));
    confirms->published++;
}

bool osr_amqp_confirms_take(struct osr_amqp_confirms *confirms, uint64_t tag, bool is_multiple)
{
    uint64_t before = confirms->confirmed;
    uint64_t number = is_multiple && tag == 0 ? confirms->published : tag;

    if (number <= confirms->confirmed || number > confirms->published) {
        return false;
    }
    *word_of(confirms, number) |= bit_of(number);
    for (uint64_t next = confirms->confirmed + 1; next <= confirms->published; next++) {
        bool is_covered = is_multiple && next <= number;
        if (!is_covered && (*word_of(confirms, next) & bit_of(next)) == 0) {
            break;
        }
        *word_of(confirms, next) &= ~bit_of(next);
        confirms->confirmed = next;
    }
    return confirms->confirmed > before;
}
