/* datagram_network.h -- two datagram pipes and a network between them that loses, doubles,
 * reorders, delays, queues and cuts off large datagrams, in virtual time and by a seed. */
#ifndef OSR_TESTS_SIM_DATAGRAM_NETWORK_H
#define OSR_TESTS_SIM_DATAGRAM_NETWORK_H

#include "adapter/datagram_pipe.h"
#include "base/heap.h"
#include "base/random.h"

enum { NETWORK_OVERHEAD_BYTES = 60 };

struct network_faults {
    double loss;
    double doubles;
    double reorders;
    uint64_t delay_us;       /* one way */
    uint64_t bytes_a_second; /* 0: no limit */
    size_t queue_bytes;
    size_t datagram_bytes_max; /* larger ones vanish */
};

struct network_side {
    struct osr_datagram_pipe *pipe;
    struct osr_heap arrivals; /* at this side */
    uint64_t free_us;         /* when its link out has sent all that was queued */
    /* The stream that it sends, and what came of the other's. */
    uint64_t written;
    uint64_t to_write;
    uint64_t received;
    bool has_ended;
    bool is_trying;    /* an address */
    unsigned switched; /* addresses taken */
};

struct network_counters {
    uint64_t sent, lost, doubled, reordered, too_large, overflowed, forged, switched;
};

struct network {
    uint64_t seed;
    uint64_t now_us;
    struct osr_random random;
    struct network_faults faults;
    struct network_side sides[2];
    bool is_moved;  /* side 0 has another address, the old one is dead */
    double forges;  /* packets of side 0 that come from an address that is not its own, first */
    unsigned stuck; /* steps without time */
    size_t memory_bytes; /* the most that a pipe held */
    struct network_counters counters;
};

void network_begin(struct network *network, uint64_t seed, const struct network_faults *faults);
void network_end(struct network *network);
/* Goes on until both streams have arrived whole, or until that time. True: they have. */
bool network_run(struct network *network, uint64_t until_us);
/* Goes on until that time, whatever has arrived. */
void network_pass(struct network *network, uint64_t until_us);
void network_finish_streams(struct network *network); /* both sides end theirs */
bool network_is_done(const struct network *network);

/* Prints what is wrong, with the seed, and ends the process: with 0 after
 * network_expect_violation. */
void network_check(const struct network *network, bool is_right, const char *what);
void network_expect_violation(void);

#endif
