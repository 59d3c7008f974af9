/* world_parts.h -- what the parts of a simulated cluster know of one another: time and the run
 * (world.c), the network (world_network.c), what fails (world_faults.c), and people who write
 * (world_writers.c). */
#ifndef OSR_TESTS_WORLD_PARTS_H
#define OSR_TESTS_WORLD_PARTS_H

#include "sim/event_heap.h"
#include "sim/instance.h"
#include "sim/world.h"

enum {
    LINKS_MAX = 4096,
    WRITES_MAX = 65536,
};

/* A connection: up on each side or not; both sides learn of its end at their own time. */
struct link {
    uint32_t ends[2];
    uint32_t lives[2];
    bool up[2];
};

/* A line of the topology along which instances dial. */
struct pair {
    uint32_t a;
    uint32_t b;
};

struct pending_write {
    uint32_t instance;
    enum osr_feed_stream stream;
    uint32_t life;
    uint32_t acks;
    size_t count;
    bool answered;
};

struct participant {
    struct sim_instance *instance;
    int64_t clock_offset_ms;
};

struct world {
    struct osr_random random;
    struct osr_trace trace;
    struct world_counters counters;
    uint64_t now_us;
    bool quiet; /* nothing fails any more */

    struct event_heap events;
    uint64_t order_last;

    size_t count; /* of instances */
    struct participant participants[SIM_INSTANCES_MAX];
    struct history *history;

    struct pair pairs[SIM_INSTANCES_MAX * SIM_INSTANCES_MAX];
    size_t pair_count;
    struct link links[LINKS_MAX];
    uint32_t link_count;
    bool blocked[SIM_INSTANCES_MAX][SIM_INSTANCES_MAX]; /* from, to */
    double loss;
    double duplication;
    double reordering;
    double forgery; /* of batches on their way */
    bool has_forger;
    uint64_t latency_us;
    uint64_t write_us;
    uint64_t fault_us;

    struct pending_write writes[WRITES_MAX];
    uint64_t write_count;
};

/* ---- world.c ---- */

bool world_is_up(const struct world *world, uint32_t instance);
enum osr_feed_stream world_any_stream(struct world *world);
/* After a delay between the two. */
void world_after(struct world *world, uint64_t low_us, uint64_t high_us, struct world_event event);

/* ---- world_network.c ---- */

/* Dials along one line of the topology, and again after a while. */
void world_dial(struct world *world, uint32_t pair_index);
/* All links of an instance that stops; the other sides learn of it, or do not. */
void world_cut_links(struct world *world, uint32_t instance);
/* An event of a link happens only while that link is up on that side. */
bool world_concerns_a_dead_link(struct world *world, const struct world_event *event);
void world_heal_network(struct world *world);

/* ---- world_faults.c ---- */

void world_restart(struct world *world, uint32_t index);
void world_jump_clock(struct world *world, uint32_t instance);
/* WORLD_FAULT and WORLD_MEND. */
void world_next_fault(struct world *world);
void world_mend(struct world *world, const struct world_event *event);

/* ---- world_writers.c ---- */

void world_write_some(struct world *world);
/* Every write was answered, unless the instance has died. */
void world_check_writes(const struct world *world);

#endif
