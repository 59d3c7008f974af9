/* bench_bare.h -- what a carrier's own library does with messages of one size, with nothing of
 * Osiris around it: a sender and a receiver in one process, through the broker where there is one.
 *
 * usage of each program: bench_bare_NAME rate|latency SECONDS BYTES WINDOW PLACE
 *
 * rate: at most WINDOW messages are under way; those that have come are counted. latency: one at a
 * time, from sending it until it has come. */
#ifndef OSR_TESTS_BENCH_BARE_H
#define OSR_TESTS_BENCH_BARE_H

#include "bench.h"

/* A message bears the time of its sending, and is never shorter. */
enum { BARE_BYTES_MIN = sizeof(uint64_t), BARE_BYTES_MAX = 1 << 20 };

struct bare_carrier {
    void (*open)(const char *place);
    void (*send)(const void *message, size_t size);
    /* On a thread of its own, for ever: calls bare_received for each message. NULL: a thread of the
     * library does. */
    void (*receive)(void);
};

int bare_main(int argc, char **argv, const struct bare_carrier *carrier);
void bare_received(const void *message, size_t size);
/* Ends the process where `ok` is false. */
void bare_check(int ok, const char *what);

#endif
