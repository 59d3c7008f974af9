/* amqp_confirms.h -- which published messages a broker has confirmed, in whatever order it does so:
 * everything up to `confirmed`, and some of what comes after. No I/O. */
#ifndef OSR_ADAPTER_AMQP_CONFIRMS_H
#define OSR_ADAPTER_AMQP_CONFIRMS_H

#include <stdbool.h>
#include <stdint.h>

/* Published and not confirmed: past it nothing more is published until the broker has come after,
 * so that a slow one is met by a queue of ours that is bounded. A power of two. */
enum { OSR_AMQP_UNCONFIRMED_MAX = 4096 };

/* Messages are numbered from 1. Invariant: confirmed <= published <= confirmed + UNCONFIRMED_MAX.
 * A zeroed one is valid. */
struct osr_amqp_confirms {
    uint64_t published;
    uint64_t confirmed;
    uint64_t early[OSR_AMQP_UNCONFIRMED_MAX / 64]; /* a bit for each that came before its turn */
};

bool osr_amqp_confirms_are_full(const struct osr_amqp_confirms *confirms);
void osr_amqp_confirms_publish(struct osr_amqp_confirms *confirms); /* not while they are full */
/* basic.ack: of one, or of all up to it (of all at all where `tag` is 0). What was confirmed before
 * or never published is ignored. Whether `confirmed` has grown. */
bool osr_amqp_confirms_take(struct osr_amqp_confirms *confirms, uint64_t tag, bool is_multiple);

#endif
