#include "sim/datagram_network.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    QUEUED_BYTES_MAX = 1 << 20, /* a writer waits beyond it */
    READ_BYTES = 64 << 10,
};

struct datagram {
    struct osr_heap_item due;
    enum osr_pipe_path from;
    size_t size;
    uint8_t bytes[];
};

static bool is_violation_expected;

void network_expect_violation(void)
{
    is_violation_expected = true;
}

void network_check(const struct network *network, bool is_right, const char *what)
{
    if (!is_right) {
        printf("seed %" PRIu64 ", %" PRIu64 " us: %s\n", network->seed, network->now_us, what);
        exit(is_violation_expected ? 0 : 1);
    }
}

void network_begin(struct network *network, uint64_t seed, const struct network_faults *faults)
{
    *network = (struct network){.seed = seed, .now_us = 1000 * 1000, .faults = *faults};
    osr_random_init(&network->random, seed);
    for (size_t i = 0; i < 2; i++) {
        struct osr_datagram_pipe_options options = {
            .seed = osr_random_u64(&network->random),
            .now_us = network->now_us,
            .overhead = NETWORK_OVERHEAD_BYTES,
        };
        network->sides[i].pipe = osr_datagram_pipe_create(&options);
    }
}

void network_end(struct network *network)
{
    for (size_t i = 0; i < 2; i++) {
        struct network_side *side = &network->sides[i];
        struct osr_heap_item *first;
        while ((first = osr_heap_first(&side->arrivals)) != NULL) {
            osr_heap_remove(&side->arrivals, first);
            free((char *)first - offsetof(struct datagram, due));
        }
        osr_heap_done(&side->arrivals);
        osr_datagram_pipe_destroy(side->pipe);
    }
}

/* ---- the streams ---- */

static uint8_t byte_at(size_t side, uint64_t offset)
{
    return (uint8_t)(((offset + side) * UINT64_C(2654435761)) >> 11);
}

static void write_more(struct network *network, size_t index)
{
    struct network_side *side = &network->sides[index];
    while (side->written < side->to_write &&
           osr_datagram_pipe_queued(side->pipe) < QUEUED_BYTES_MAX) {
        uint8_t bytes[4096];
        uint64_t left = side->to_write - side->written;
        size_t size = 1 + osr_random_below(&network->random, sizeof(bytes));
        size = left < size ? (size_t)left : size;
        for (size_t i = 0; i < size; i++) {
            bytes[i] = byte_at(index, side->written + i);
        }
        osr_datagram_pipe_write(side->pipe, osr_slice(bytes, size));
        side->written += size;
    }
}

static void read_all(struct network *network, size_t index)
{
    static uint8_t bytes[READ_BYTES];
    struct network_side *side = &network->sides[index];
    size_t size;
    while ((size = osr_datagram_pipe_read(side->pipe, bytes, sizeof(bytes))) > 0) {
        for (size_t i = 0; i < size; i++) {
            bool is_right = bytes[i] == byte_at(1 - index, side->received + i);
            network_check(network, is_right, "a byte differs from what was sent");
        }
        side->received += size;
    }
    side->has_ended = osr_datagram_pipe_peer_has_ended(side->pipe);
    network_check(network, side->received <= network->sides[1 - index].written,
                  "more was read than written");
}

void network_finish_streams(struct network *network)
{
    for (size_t i = 0; i < 2; i++) {
        network_check(network, network->sides[i].written == network->sides[i].to_write,
                      "a stream is ended before all of it was written");
        osr_datagram_pipe_end(network->sides[i].pipe);
    }
}

bool network_is_done(const struct network *network)
{
    for (size_t i = 0; i < 2; i++) {
        const struct network_side *side = &network->sides[i];
        if (side->written < side->to_write || osr_datagram_pipe_queued(side->pipe) > 0 ||
            side->received < network->sides[1 - i].to_write) {
            return false;
        }
    }
    return true;
}

/* ---- the network ---- */

static void deliver_later(struct network *network, size_t to, uint64_t at_us,
                          enum osr_pipe_path from, const uint8_t *bytes, size_t size)
{
    struct datagram *datagram = osr_alloc_unset(sizeof(*datagram) + size);
    datagram->due = (struct osr_heap_item){0};
    datagram->from = from;
    datagram->size = size;
    memcpy(datagram->bytes, bytes, size);
    osr_heap_put(&network->sides[to].arrivals, &datagram->due, at_us);
}

/* When it leaves the queue; false: there is no room in it. */
static bool pass_queue(struct network *network, size_t from, size_t size, uint64_t *ret_us)
{
    struct network_side *side = &network->sides[from];
    *ret_us = network->now_us;
    if (network->faults.bytes_a_second == 0) {
        return true;
    }
    uint64_t free_us = side->free_us > network->now_us ? side->free_us : network->now_us;
    uint64_t queued = (free_us - network->now_us) * network->faults.bytes_a_second / 1000000;
    if (queued + size > network->faults.queue_bytes) {
        return false;
    }
    side->free_us = free_us + size * 1000000 / network->faults.bytes_a_second;
    *ret_us = side->free_us;
    return true;
}

/* The address that side 1 sees, or sends to, is one where side 0 is not. */
static bool is_nobody_there(const struct network *network, size_t from, enum osr_pipe_path to)
{
    if (from == 0) {
        return false;
    }
    bool is_old = network->sides[1].switched == 0 && to == OSR_PIPE_PRESENT;
    return network->is_moved ? is_old : to == OSR_PIPE_TRIED;
}

static enum osr_pipe_path seen_from(const struct network *network, size_t from)
{
    bool is_new = from == 0 && network->is_moved && network->sides[1].switched == 0;
    return is_new ? OSR_PIPE_TRIED : OSR_PIPE_PRESENT;
}

static void carry(struct network *network, size_t from, enum osr_pipe_path to, const uint8_t *bytes,
                  size_t size)
{
    const struct network_faults *faults = &network->faults;
    struct network_counters *counters = &network->counters;
    struct osr_random *random = &network->random;
    uint64_t at_us;
    counters->sent++;
    if (size + NETWORK_OVERHEAD_BYTES > faults->datagram_bytes_max) {
        counters->too_large++;
    } else if (is_nobody_there(network, from, to) || osr_random_chance(random, faults->loss)) {
        counters->lost++;
    } else if (!pass_queue(network, from, size + NETWORK_OVERHEAD_BYTES, &at_us)) {
        counters->overflowed++;
    } else {
        at_us += faults->delay_us;
        enum osr_pipe_path seen = seen_from(network, from);
        if (from == 0 && osr_random_chance(random, network->forges)) {
            counters->forged++;
            deliver_later(network, 1, at_us - 1, OSR_PIPE_TRIED, bytes, size);
        }
        if (osr_random_chance(random, faults->doubles)) {
            counters->doubled++;
            deliver_later(network, 1 - from, at_us + osr_random_below(random, 5000), seen, bytes,
                          size);
        }
        if (osr_random_chance(random, faults->reorders)) {
            counters->reordered++;
            at_us += osr_random_below(random, 10 * 1000);
        }
        deliver_later(network, 1 - from, at_us, seen, bytes, size);
    }
}

static void send_all(struct network *network, size_t index)
{
    uint8_t packet[OSR_DATAGRAM_BYTES_MAX];
    enum osr_pipe_path to;
    size_t size;
    struct network_side *side = &network->sides[index];
    while ((size = osr_datagram_pipe_produce(side->pipe, network->now_us, packet, &to)) > 0) {
        network_check(network, size + NETWORK_OVERHEAD_BYTES <= OSR_DATAGRAM_BYTES_MAX,
                      "a packet is larger than any datagram");
        carry(network, index, to, packet, size);
    }
}

static void receive_one(struct network *network, size_t index)
{
    struct network_side *side = &network->sides[index];
    struct osr_heap_item *first = osr_heap_first(&side->arrivals);
    osr_heap_remove(&side->arrivals, first);
    struct datagram *datagram = (struct datagram *)((char *)first - offsetof(struct datagram, due));
    if (datagram->from == OSR_PIPE_TRIED && !side->is_trying) {
        uint8_t nonce[OSR_PIPE_NONCE_BYTES];
        osr_random_fill(&network->random, nonce, sizeof(nonce));
        osr_datagram_pipe_try_path(side->pipe, network->now_us, nonce);
        side->is_trying = true;
    }
    /* After the switch what still comes marked as tried is from the present one. */
    enum osr_pipe_path from = side->switched > 0 ? OSR_PIPE_PRESENT : datagram->from;
    struct osr_err err = {0};
    int code = osr_datagram_pipe_receive(side->pipe, network->now_us, from,
                                         osr_slice(datagram->bytes, datagram->size), &err);
    network_check(network, code == 0, err.message);
    free(datagram);
    if (osr_datagram_pipe_take_path(side->pipe)) {
        side->switched++;
        network->counters.switched++;
        network_check(network, network->is_moved, "a forged address was taken");
    }
}

static void note_memory(struct network *network, size_t index)
{
    struct osr_datagram_pipe_state state;
    osr_datagram_pipe_state(network->sides[index].pipe, &state);
    if (state.memory_bytes > network->memory_bytes) {
        network->memory_bytes = state.memory_bytes;
    }
    network_check(network, state.memory_bytes <= 2 * OSR_PIPE_WINDOW_BYTES + (1 << 20),
                  "a pipe holds too much memory");
}

static uint64_t next_event_us(const struct network *network)
{
    uint64_t next_us = UINT64_MAX;
    for (size_t i = 0; i < 2; i++) {
        const struct network_side *side = &network->sides[i];
        uint64_t deadline_us = osr_datagram_pipe_deadline_us(side->pipe);
        const struct osr_heap_item *first = osr_heap_first(&side->arrivals);
        next_us = deadline_us < next_us ? deadline_us : next_us;
        next_us = first != NULL && first->key < next_us ? first->key : next_us;
    }
    return next_us;
}

static void step_side(struct network *network, size_t index)
{
    struct network_side *side = &network->sides[index];
    const struct osr_heap_item *first;
    while ((first = osr_heap_first(&side->arrivals)) != NULL && first->key <= network->now_us) {
        receive_one(network, index);
    }
    struct osr_err err = {0};
    int code = osr_datagram_pipe_pass_time(side->pipe, network->now_us, &err);
    network_check(network, code == 0, err.message);
    read_all(network, index);
    write_more(network, index);
    send_all(network, index);
    note_memory(network, index);
}

/* False: nothing more happens until then. */
static bool step(struct network *network, uint64_t until_us)
{
    uint64_t next_us = next_event_us(network);
    if (next_us > until_us) {
        network->now_us = until_us;
        return false;
    }
    network->stuck = next_us > network->now_us ? 0 : network->stuck + 1;
    network_check(network, network->stuck < 1000, "time does not pass");
    network->now_us = next_us > network->now_us ? next_us : network->now_us;
    step_side(network, 0);
    step_side(network, 1);
    return true;
}

bool network_run(struct network *network, uint64_t until_us)
{
    step_side(network, 0);
    step_side(network, 1);
    while (!network_is_done(network)) {
        if (!step(network, until_us)) {
            return false;
        }
    }
    return true;
}

void network_pass(struct network *network, uint64_t until_us)
{
    step_side(network, 0);
    step_side(network, 1);
    while (step(network, until_us)) {
    }
}
