/* sim_datagram.c -- runs two datagram pipes over a bad network, once for each seed, and measures
 * what is carried where every twentieth packet is lost:
 *     sim_datagram [--seeds N] [--first S] [--must-fail]
 * Ends with status 1 and the seed at the first violation; with --must-fail with status 1 where
 * there is none. */
#include "sim/datagram_network.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SECOND_US UINT64_C(1000000)
#define HOUR_US   (3600 * SECOND_US)

static const size_t payloads[] = {548, 1232, 1472, 8972, 65507};

enum { PAYLOADS = sizeof(payloads) / sizeof(payloads[0]) };

struct totals {
    uint64_t runs, bytes, packets_lost;
    uint64_t hours_of_silence, narrower, moved, forged_runs;
    size_t memory_bytes;
    struct network_counters network;
};

static size_t any_payload(struct osr_random *random)
{
    return payloads[osr_random_below(random, PAYLOADS)];
}

static struct network_faults any_faults(struct osr_random *random)
{
    struct network_faults faults = {
        .loss = (double)osr_random_below(random, 31) / 100,
        .doubles = (double)osr_random_below(random, 11) / 100,
        .reorders = (double)osr_random_below(random, 11) / 100,
        .delay_us = 10 + osr_random_below(random, 50 * 1000),
        .datagram_bytes_max = any_payload(random),
    };
    if (osr_random_chance(random, 0.5)) {
        faults.bytes_a_second = 100000 + osr_random_below(random, 10 * 1000 * 1000);
        faults.queue_bytes = 32768 + osr_random_below(random, 200000);
    }
    return faults;
}

static void write_streams(struct network *network)
{
    for (size_t i = 0; i < 2; i++) {
        network->sides[i].to_write += osr_random_below(&network->random, 400 * 1000);
    }
}

/* The network behaves from now on: all has to arrive. */
static void run_quiet(struct network *network)
{
    network->faults.loss = 0;
    network->faults.doubles = 0;
    network->faults.reorders = 0;
    network->forges = 0;
    bool is_done = network_run(network, network->now_us + 300 * SECOND_US);
    network_check(network, is_done, "not all has arrived in the quiet phase");
}

static void pass_an_hour(struct network *network, struct totals *totals)
{
    run_quiet(network);
    network_pass(network, network->now_us + HOUR_US);
    totals->hours_of_silence++;
}

static void change_something(struct network *network, struct totals *totals)
{
    switch (osr_random_below(&network->random, 4)) {
    case 0:
        pass_an_hour(network, totals);
        break;
    case 1:
        network->faults.datagram_bytes_max = any_payload(&network->random);
        totals->narrower++;
        break;
    case 2:
        network->is_moved = true;
        network->sides[0].to_write += 1000; /* who moves and is silent cannot be found */
        totals->moved++;
        break;
    default:
        network->forges = 0.2;
        totals->forged_runs++;
        break;
    }
}

static void check_ends(struct network *network)
{
    network_finish_streams(network);
    network_pass(network, network->now_us + 10 * SECOND_US);
    for (size_t i = 0; i < 2; i++) {
        const struct network_side *side = &network->sides[i];
        network_check(network, osr_datagram_pipe_end_has_arrived(side->pipe),
                      "an end has not arrived");
        network_check(network, osr_datagram_pipe_peer_has_ended(side->pipe),
                      "a stream has not ended");
        network_check(network, osr_datagram_pipe_deadline_us(side->pipe) == UINT64_MAX,
                      "a pipe without anything to do has a deadline");
    }
}

static void add_run(struct totals *totals, const struct network *network)
{
    totals->runs++;
    for (size_t i = 0; i < 2; i++) {
        struct osr_datagram_pipe_state state;
        osr_datagram_pipe_state(network->sides[i].pipe, &state);
        totals->packets_lost += state.packets_lost;
        totals->bytes += network->sides[i].received;
    }
    if (network->memory_bytes > totals->memory_bytes) {
        totals->memory_bytes = network->memory_bytes;
    }
    totals->network.sent += network->counters.sent;
    totals->network.lost += network->counters.lost;
    totals->network.doubled += network->counters.doubled;
    totals->network.reordered += network->counters.reordered;
    totals->network.too_large += network->counters.too_large;
    totals->network.overflowed += network->counters.overflowed;
    totals->network.forged += network->counters.forged;
    totals->network.switched += network->counters.switched;
}

static void run_seed(uint64_t seed, struct totals *totals)
{
    struct osr_random random;
    osr_random_init(&random, seed);
    struct network_faults faults = any_faults(&random);
    struct network network;
    network_begin(&network, seed, &faults);
    for (int phase = 0; phase < 3; phase++) {
        write_streams(&network);
        network_run(&network, network.now_us + osr_random_below(&random, 2 * SECOND_US));
        change_something(&network, totals);
    }
    run_quiet(&network);
    check_ends(&network);
    add_run(totals, &network);
    network_end(&network);
}

/* ---- rates ---- */

/* Bytes a second that one side sends for 20 seconds. */
static uint64_t measure(const struct network_faults *faults, uint64_t seed)
{
    struct network network;
    network_begin(&network, seed, faults);
    network.sides[0].to_write = UINT64_C(1) << 40;
    uint64_t begin_us = network.now_us;
    network_run(&network, begin_us + 20 * SECOND_US);
    uint64_t rate = network.sides[1].received / 20;
    struct osr_datagram_pipe_state state;
    osr_datagram_pipe_state(network.sides[0].pipe, &state);
    network_check(&network, state.datagram_bytes == 1452, "another datagram size was found");
    network_end(&network);
    return rate;
}

/* The same of a sender that waits for each packet's acknowledgement, and sends it again two round
 * trips after it was lost. */
static uint64_t measure_stop_and_wait(const struct network_faults *faults, uint64_t seed)
{
    struct osr_random random;
    osr_random_init(&random, seed);
    size_t payload = faults->datagram_bytes_max - NETWORK_OVERHEAD_BYTES;
    uint64_t bytes = 0;
    for (uint64_t at_us = 0; at_us < 20 * SECOND_US;) {
        bool is_lost =
            osr_random_chance(&random, faults->loss) || osr_random_chance(&random, faults->loss);
        at_us += faults->delay_us * (is_lost ? 4 : 2);
        bytes += is_lost ? 0 : payload;
    }
    return bytes / 20;
}

static void compare_rates(void)
{
    struct network_faults faults = {
        .loss = 0.05, .delay_us = 10 * 1000, .datagram_bytes_max = 1472};
    uint64_t ours = measure(&faults, 1);
    uint64_t others = measure_stop_and_wait(&faults, 1);
    printf("5 %% lost, 20 ms: %" PRIu64 " bytes a second, stop-and-wait %" PRIu64 ": %.1f times\n",
           ours, others, (double)ours / (double)others);
    struct network_faults link = {.delay_us = 10 * 1000,
                                  .datagram_bytes_max = 1472,
                                  .bytes_a_second = 12500000,
                                  .queue_bytes = 125000};
    uint64_t rate = measure(&link, 1);
    printf("100 Mbit/s, 20 ms, a queue of 10 ms: %" PRIu64 " bytes a second, %.0f %%\n", rate,
           100 * (double)rate / (double)link.bytes_a_second);
    if (ours < 10 * others || rate < link.bytes_a_second / 10 * 7) {
        printf("that is too slow\n");
        exit(1);
    }
}

/* ---- */

static uint64_t read_number(const char *text)
{
    char *end;
    uint64_t number = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0') {
        fprintf(stderr, "sim_datagram: %s is not a number\n", text);
        exit(2);
    }
    return number;
}

static void print_totals(const struct totals *totals)
{
    const struct network_counters *network = &totals->network;
    printf("%" PRIu64 " runs, %" PRIu64 " bytes arrived as they were sent; a pipe held %zu bytes "
           "at most\n",
           totals->runs, totals->bytes, totals->memory_bytes);
    printf("datagrams: %" PRIu64 " sent, %" PRIu64 " lost, %" PRIu64 " doubled, %" PRIu64
           " reordered, %" PRIu64 " too large, %" PRIu64 " over a queue, %" PRIu64 " forged\n",
           network->sent, network->lost, network->doubled, network->reordered, network->too_large,
           network->overflowed, network->forged);
    printf("packets that the pipes thought lost: %" PRIu64 "; hours of silence: %" PRIu64
           ", other datagram sizes: %" PRIu64 ", moves: %" PRIu64 " (taken: %" PRIu64
           "), runs with forged addresses: %" PRIu64 "\n",
           totals->packets_lost, totals->hours_of_silence, totals->narrower, totals->moved,
           network->switched, totals->forged_runs);
}

int main(int argc, char **argv)
{
    uint64_t seeds = 100;
    uint64_t first = 1;
    bool must_fail = false;
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--seeds") == 0 && has_value) {
            seeds = read_number(argv[++i]);
        } else if (strcmp(argv[i], "--first") == 0 && has_value) {
            first = read_number(argv[++i]);
        } else if (strcmp(argv[i], "--must-fail") == 0) {
            must_fail = true;
            network_expect_violation();
        } else {
            fprintf(stderr, "usage: sim_datagram [--seeds N] [--first S] [--must-fail]\n");
            return 2;
        }
    }
    struct totals totals = {0};
    for (uint64_t i = 0; i < seeds; i++) {
        run_seed(first + i, &totals);
    }
    if (must_fail) {
        printf("not noticed in %" PRIu64 " seeds\n", seeds);
        return 1;
    }
    print_totals(&totals);
    compare_rates();
    return 0;
}
