#include "sim/world_parts.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CRASHES_MIN = 3,          /* a run with fewer is none */
    QUIET_US_MAX = 120000000, /* to converge in, once nothing fails any more */
    QUIET_CHECK_US = 50000,
    MAIN_US_MAX = 600000000, /* stops a run in which too little happens */
};

/* 2026-01-01, so that clocks may go back a good way. */
#define EPOCH_MS 1767225600000u

/* ---- what instances ask for ---- */

struct osr_random *world_random(struct world *world)
{
    return &world->random;
}

uint64_t world_now_us(const struct world *world)
{
    return world->now_us;
}

struct history *world_history(struct world *world)
{
    return world->history;
}

struct world_counters *world_counters(struct world *world)
{
    return &world->counters;
}

const struct osr_trace *world_trace(const struct world *world)
{
    return &world->trace;
}

uint64_t world_clock_ms(const struct world *world, uint32_t instance)
{
    return (uint64_t)((int64_t)(EPOCH_MS + world->now_us / 1000) +
                      world->participants[instance].clock_offset_ms);
}

static size_t find_instance(const struct world *world, const char *id)
{
    for (size_t i = 0; i < world->count; i++) {
        if (strcmp(sim_instance_id(world->participants[i].instance), id) == 0) {
            return i;
        }
    }
    sim_violation("an instance named %s appears", id);
}

size_t world_feed_named(const struct world *world, const char *origin, const char *stream)
{
    enum osr_feed_stream known;
    if (!osr_feed_stream_find(stream, &known)) {
        sim_violation("a stream named %s appears", stream);
    }
    return sim_feed(find_instance(world, origin), known);
}

size_t world_feed(const struct world *world, const struct osr_feed_id *id)
{
    return world_feed_named(world, id->origin, id->stream);
}

struct osr_feed_id world_feed_id(const struct world *world, size_t feed)
{
    const struct sim_instance *origin = world->participants[sim_feed_origin(feed)].instance;
    struct osr_feed_id id;
    int code = osr_feed_id_make(&id, sim_instance_id(origin),
                                osr_feed_stream_name(sim_feed_stream(feed)), 1, NULL);
    assert(code == 0);
    return id;
}

size_t world_count_durable(const struct world *world, size_t feed, uint64_t sequence)
{
    size_t count = 0;
    for (size_t i = 0; i < world->count; i++) {
        count += i != sim_feed_origin(feed) &&
                 sim_instance_durable(world->participants[i].instance, feed) >= sequence;
    }
    return count;
}

static size_t count_feeds(const struct world *world)
{
    return world->count * OSR_STREAM_COUNT;
}

void world_schedule(struct world *world, uint64_t delay_us, const struct world_event *event)
{
    struct world_event timed = *event;
    timed.at_us = world->now_us + delay_us;
    timed.order = ++world->order_last;
    event_heap_add(&world->events, &timed);
}

/* ---- what the other parts ask for ---- */

bool world_is_up(const struct world *world, uint32_t instance)
{
    return sim_instance_is_up(world->participants[instance].instance);
}

enum osr_feed_stream world_any_stream(struct world *world)
{
    return (enum osr_feed_stream)osr_random_below(&world->random, OSR_STREAM_COUNT);
}

void world_after(struct world *world, uint64_t low_us, uint64_t high_us, struct world_event event)
{
    world_schedule(world, world_between(world, low_us, high_us), &event);
}

/* ---- how it begins ---- */

static void add_pair(struct world *world, size_t a, size_t b)
{
    uint32_t index = (uint32_t)world->pair_count++;
    world->pairs[index] = (struct pair){(uint32_t)a, (uint32_t)b};
    world_after(world, 1, 100000, (struct world_event){.type = WORLD_DIAL, .link = index});
}

static void choose_topology(struct world *world)
{
    uint64_t topology = osr_random_below(&world->random, 4);
    for (size_t i = 1; i < world->count; i++) {
        switch (topology) {
        case 0: /* everybody with everybody */
            for (size_t k = 0; k < i; k++) {
                add_pair(world, k, i);
            }
            break;
        case 1: /* a star */
            add_pair(world, 0, i);
            break;
        default: /* a line, or a ring */
            add_pair(world, i - 1, i);
            break;
        }
    }
    if (topology == 3 && world->count > 2) {
        add_pair(world, world->count - 1, 0);
    }
}

static struct sim_options choose_options(struct world *world)
{
    uint32_t batch_bytes = (uint32_t)world_between(world, 300, 4000);
    return (struct sim_options){.batch_bytes = batch_bytes,
                                .window_bytes = batch_bytes * (uint32_t)world_between(world, 1, 8),
                                .retry_ms = (uint32_t)world_between(world, 50, 200),
                                .heartbeat_ms = 300,
                                .silence_ms = 1000,
                                .sync_us_max = world_between(world, 200, 8000)};
}

static struct world *world_create(uint64_t seed, const struct osr_trace *trace)
{
    struct world *world = osr_alloc(sizeof(*world));
    osr_random_init(&world->random, seed);
    world->trace = *trace;
    world->history = history_create();
    world->count = world_between(world, 2, SIM_INSTANCES_MAX);
    world->loss = 0.01 * (double)osr_random_below(&world->random, 12);
    world->duplication = 0.01 * (double)osr_random_below(&world->random, 8);
    world->reordering = 0.01 * (double)osr_random_below(&world->random, 12);
    world->has_forger = osr_random_chance(&world->random, 0.12);
    world->forgery = world->has_forger ? 0.01 : 0;
    world->latency_us = world_between(world, 100, 20000);
    world->write_us = world_between(world, 4000, 30000);
    world->fault_us = world_between(world, 100000, 600000);
    const struct sim_options options = choose_options(world);
    for (uint32_t i = 0; i < world->count; i++) {
        world->participants[i].instance = sim_instance_create(world, i, seed, &options);
        world_jump_clock(world, i);
        world_after(world, 1, 50000, (struct world_event){.type = WORLD_RESTART, .instance = i});
    }
    choose_topology(world);
    world_after(world, 10000, 20000, (struct world_event){.type = WORLD_WRITE});
    world_after(world, 300000, 500000, (struct world_event){.type = WORLD_FAULT});
    return world;
}

static void world_destroy(struct world *world)
{
    for (size_t i = 0; i < world->count; i++) {
        sim_instance_destroy(world->participants[i].instance);
    }
    event_heap_done(&world->events);
    history_destroy(world->history);
    free(world);
}

/* ---- events ---- */

static void handle(struct world *world, const struct world_event *event)
{
    struct sim_instance *instance = world->participants[event->instance].instance;
    switch (event->type) {
    case WORLD_DIAL:
        world_dial(world, event->link);
        return;
    case WORLD_WRITE:
        world_write_some(world);
        return;
    case WORLD_FAULT:
        world_next_fault(world);
        return;
    case WORLD_MEND:
        world_mend(world, event);
        return;
    case WORLD_RESTART:
        world_restart(world, event->instance);
        return;
    default:
        break;
    }
    bool dead = world_concerns_a_dead_link(world, event);
    if (!dead && sim_instance_is_up(instance) && event->life == sim_instance_life(instance)) {
        sim_instance_handle(instance, event);
    }
}

static void next_event(struct world *world)
{
    struct world_event event = event_heap_take(&world->events);
    world->now_us = event.at_us;
    world->counters.events++;
    handle(world, &event);
    free(event.bytes);
}

/* ---- a run ---- */

static bool has_converged(const struct world *world)
{
    for (size_t i = 0; i < world->count; i++) {
        if (!world_is_up(world, (uint32_t)i)) {
            return false;
        }
        for (size_t feed = 0; feed < count_feeds(world); feed++) {
            if (store_applied(sim_instance_store(world->participants[i].instance), feed) !=
                history_length(world->history, feed)) {
                return false;
            }
        }
    }
    return true;
}

static void say_what_is_missing(const struct world *world)
{
    for (size_t i = 0; i < world->count; i++) {
        for (size_t feed = 0; feed < count_feeds(world); feed++) {
            fprintf(stderr, "n%zu shows %" PRIu64 " of %" PRIu64 " of %s%s\n", i,
                    store_applied(sim_instance_store(world->participants[i].instance), feed),
                    history_length(world->history, feed), sim_feed_name(feed),
                    world_is_up(world, (uint32_t)i) ? "" : " (down)");
        }
    }
}

static void check_digests(const struct world *world)
{
    struct osr_feed_id feeds[SIM_FEEDS_MAX];
    size_t count = count_feeds(world);
    for (size_t i = 0; i < count; i++) {
        feeds[i] = world_feed_id(world, i);
    }
    struct osr_hash first =
        store_digest(sim_instance_store(world->participants[0].instance), feeds, count);
    for (size_t i = 1; i < world->count; i++) {
        struct osr_hash digest =
            store_digest(sim_instance_store(world->participants[i].instance), feeds, count);
        if (!osr_hash_equal(&first, &digest)) {
            sim_violation("n0 and n%zu hold the same and have different digests", i);
        }
    }
}

/* Nothing fails any more: everybody must come to hold everything. */
static void run_quiet_phase(struct world *world)
{
    osr_trace(&world->trace, OSR_LEVEL_INFO, "---- quiet ----");
    world->quiet = true;
    world_heal_network(world);
    world->loss = world->duplication = world->reordering = world->forgery = 0;
    for (uint32_t i = 0; i < world->count; i++) {
        struct sim_instance *instance = world->participants[i].instance;
        osr_sim_disk_set_capacity(sim_instance_disk(instance), UINT64_MAX);
        osr_sim_disk_crash_at(sim_instance_disk(instance), 0);
        osr_sim_disk_fail_sync(sim_instance_disk(instance), 0);
        sim_instance_set_slow(instance, false);
        sim_instance_bar_nobody(instance);
        world_after(world, 1, 10000, (struct world_event){.type = WORLD_RESTART, .instance = i});
    }
    /* Long enough for writes that wait to be answered. */
    uint64_t least_us = world->now_us + 1000000;
    uint64_t end_us = world->now_us + QUIET_US_MAX;
    uint64_t check_us = least_us;
    while (world->now_us < least_us || !has_converged(world)) {
        if (world->now_us > end_us) {
            say_what_is_missing(world);
            sim_violation("no convergence within %d s of quiet", QUIET_US_MAX / 1000000);
        }
        check_us += QUIET_CHECK_US;
        while (world->now_us < check_us) {
            next_event(world);
        }
    }
    check_digests(world);
    world_check_writes(world);
}

static void count_entries(struct world *world)
{
    for (size_t i = 0; i < world->count; i++) {
        for (size_t stream = 0; stream < OSR_STREAM_COUNT; stream++) {
            size_t feed = sim_feed(i, (enum osr_feed_stream)stream);
            world->counters.entries += history_length(world->history, feed);
        }
        world->counters.entries_of_trust +=
            history_length(world->history, sim_feed(i, OSR_STREAM_TRUST));
    }
}

void world_run(uint64_t seed, uint64_t events, const struct osr_trace *trace,
               struct world_counters *ret_counters)
{
    sim_set_run("sim_feed", seed, events);
    struct world *world = world_create(seed, trace);
    while (world->counters.events < events || world->counters.crashes < CRASHES_MIN) {
        if (world->now_us > MAIN_US_MAX) {
            sim_violation("too little happens in %d s", MAIN_US_MAX / 1000000);
        }
        next_event(world);
    }
    run_quiet_phase(world);
    for (size_t i = 0; i < world->count; i++) {
        const struct osr_sim_disk_counts *counts =
            osr_sim_disk_counts(sim_instance_disk(world->participants[i].instance));
        world->counters.torn_writes += counts->sectors_dropped;
    }
    count_entries(world);
    *ret_counters = world->counters;
    world_destroy(world);
}
