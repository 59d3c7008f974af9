#include "sim/world.h"

#include "sim/instance.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CRASHES_MIN = 3,          /* a run with fewer is none */
    QUIET_US_MAX = 120000000, /* to converge in, once nothing fails any more */
    QUIET_CHECK_US = 50000,
    MAIN_US_MAX = 600000000, /* stops a run in which too little happens */
    LINKS_MAX = 4096,
    WRITES_MAX = 65536,
    PUTS_MAX = 60,
    DATA_BYTES_MAX = 3000,
};

/* 2026-01-01, so that clocks may go back a good way. */
#define EPOCH_MS 1767225600000u

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
    uint32_t life;
    uint32_t acks;
    size_t count;
    bool answered;
};

struct participant {
    struct sim_instance *instance;
    int64_t clock_offset_ms;
    uint64_t down_since_us;
};

struct world {
    struct osr_random random;
    struct osr_trace trace;
    struct world_counters counters;
    uint64_t now_us;
    bool quiet; /* nothing fails any more */

    struct world_event *heap;
    size_t heap_count;
    size_t heap_capacity;
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

size_t world_origin(const struct world *world, const char *instance_id)
{
    for (size_t i = 0; i < world->count; i++) {
        if (strcmp(sim_instance_id(world->participants[i].instance), instance_id) == 0) {
            return i;
        }
    }
    sim_violation("an instance named %s appears", instance_id);
}

size_t world_count_durable(const struct world *world, size_t origin, uint64_t sequence)
{
    size_t count = 0;
    for (size_t i = 0; i < world->count; i++) {
        count += i != origin &&
                 sim_instance_durable(world->participants[i].instance, origin) >= sequence;
    }
    return count;
}

/* ---- events, in a heap ---- */

static bool is_earlier(const struct world_event *a, const struct world_event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void swap_events(struct world_event *a, struct world_event *b)
{
    struct world_event kept = *a;
    *a = *b;
    *b = kept;
}

void world_schedule(struct world *world, uint64_t delay_us, const struct world_event *event)
{
    if (world->heap_count == world->heap_capacity) {
        world->heap_capacity = world->heap_capacity > 0 ? 2 * world->heap_capacity : 256;
        world->heap = osr_realloc(world->heap, world->heap_capacity * sizeof(world->heap[0]));
    }
    size_t i = world->heap_count++;
    world->heap[i] = *event;
    world->heap[i].at_us = world->now_us + delay_us;
    world->heap[i].order = ++world->order_last;
    for (; i > 0 && is_earlier(&world->heap[i], &world->heap[(i - 1) / 2]); i = (i - 1) / 2) {
        swap_events(&world->heap[i], &world->heap[(i - 1) / 2]);
    }
}

static struct world_event take_event(struct world *world)
{
    assert(world->heap_count > 0);
    struct world_event first = world->heap[0];
    world->heap[0] = world->heap[--world->heap_count];
    size_t i = 0;
    while (true) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2; child++) {
            if (child < world->heap_count && is_earlier(&world->heap[child], &world->heap[least])) {
                least = child;
            }
        }
        if (least == i) {
            return first;
        }
        swap_events(&world->heap[i], &world->heap[least]);
        i = least;
    }
}

static void after(struct world *world, uint64_t low_us, uint64_t high_us, struct world_event event)
{
    world_schedule(world, world_between(world, low_us, high_us), &event);
}

/* ---- links ---- */

static bool is_up(const struct world *world, uint32_t instance)
{
    return sim_instance_is_up(world->participants[instance].instance);
}

static int side_of(const struct link *link, uint32_t instance)
{
    return link->ends[0] == instance ? 0 : 1;
}

static bool is_linked(const struct world *world, const struct pair *pair)
{
    for (uint32_t i = 0; i < world->link_count; i++) {
        const struct link *link = &world->links[i];
        bool same = (link->ends[0] == pair->a && link->ends[1] == pair->b) ||
                    (link->ends[0] == pair->b && link->ends[1] == pair->a);
        if (same && link->up[0] && link->up[1]) {
            return true;
        }
    }
    return false;
}

static void open_link(struct world *world, uint32_t dialler, uint32_t other)
{
    if (world->link_count == LINKS_MAX) {
        return;
    }
    uint32_t number = world->link_count++;
    struct link *link = &world->links[number];
    *link = (struct link){.ends = {dialler, other}, .up = {true, true}};
    world->counters.links++;
    for (int side = 0; side < 2; side++) {
        link->lives[side] = sim_instance_life(world->participants[link->ends[side]].instance);
        after(world, 1, world->latency_us,
              (struct world_event){.type = WORLD_LINK_UP,
                                   .instance = link->ends[side],
                                   .life = link->lives[side],
                                   .link = number,
                                   .flag = side == 0});
    }
}

/* Dials along one line of the topology, and again after a while. */
static void dial(struct world *world, uint32_t pair_index)
{
    const struct pair *pair = &world->pairs[pair_index];
    bool reachable = !world->blocked[pair->a][pair->b] && !world->blocked[pair->b][pair->a];
    bool want_second = !world->quiet && osr_random_chance(&world->random, 0.03);
    if (is_up(world, pair->a) && is_up(world, pair->b) && reachable &&
        (want_second || !is_linked(world, pair))) {
        bool forward = osr_random_chance(&world->random, 0.5);
        open_link(world, forward ? pair->a : pair->b, forward ? pair->b : pair->a);
    }
    after(world, 50000, 250000, (struct world_event){.type = WORLD_DIAL, .link = pair_index});
}

static void tell_down(struct world *world, uint32_t number, int side, uint64_t delay_us)
{
    const struct link *link = &world->links[number];
    const struct world_event event = {.type = WORLD_LINK_DOWN,
                                      .instance = link->ends[side],
                                      .life = link->lives[side],
                                      .link = number};
    world_schedule(world, delay_us, &event);
}

/* The other side learns of it, unless the news is lost: then it falls silent. */
static void tell_other_side(struct world *world, uint32_t number, int side)
{
    const struct link *link = &world->links[number];
    bool lost = world->blocked[link->ends[side]][link->ends[1 - side]] ||
                (!world->quiet && osr_random_chance(&world->random, 0.2));
    if (lost) {
        world->counters.half_open_links++;
    } else {
        tell_down(world, number, 1 - side, world_between(world, 1, 2 * world->latency_us));
    }
}

void world_close(struct world *world, uint32_t from, uint32_t number)
{
    struct link *link = &world->links[number];
    int side = side_of(link, from);
    tell_down(world, number, side, 0);
    tell_other_side(world, number, side);
}

bool world_has_forger(const struct world *world)
{
    return world->has_forger;
}

/* Changes one byte of a batch's signature or chain value; doing it again undoes it. */
static void flip(const Osr__Frame *frame, uint64_t which)
{
    ProtobufCBinaryData *const fields[] = {&frame->update->signature, &frame->update->chain};
    fields[which]->data[0] ^= 1;
}

static void deliver_later(struct world *world, uint32_t to, uint32_t life, uint32_t number,
                          const Osr__Frame *frame, uint64_t delay_us)
{
    size_t size = osr__frame__get_packed_size(frame);
    uint8_t *bytes = osr_alloc(size);
    osr__frame__pack(frame, bytes);
    const struct world_event event = {.type = WORLD_FRAME,
                                      .instance = to,
                                      .life = life,
                                      .link = number,
                                      .bytes = bytes,
                                      .size = size};
    world_schedule(world, delay_us, &event);
}

void world_send(struct world *world, uint32_t from, uint32_t number, const Osr__Frame *frame)
{
    const struct link *link = &world->links[number];
    int side = side_of(link, from);
    uint32_t to = link->ends[1 - side];
    world->counters.frames++;
    if (world->blocked[from][to] || osr_random_chance(&world->random, world->loss)) {
        world->counters.drops++;
        return;
    }
    /* In order unless it is to be overtaken: the same delay for all. */
    uint64_t delay_us = world->latency_us;
    if (osr_random_chance(&world->random, world->reordering)) {
        world->counters.reorders++;
        delay_us += world_between(world, 1, 4 * world->latency_us);
    }
    bool forged = frame->body_case == OSR__FRAME__BODY_UPDATE &&
                  osr_random_chance(&world->random, world->forgery);
    uint64_t field = osr_random_below(&world->random, 2);
    if (forged) {
        world->counters.forgeries++;
        flip(frame, field);
    }
    deliver_later(world, to, link->lives[1 - side], number, frame, delay_us);
    if (forged) {
        flip(frame, field);
    }
    if (osr_random_chance(&world->random, world->duplication)) {
        world->counters.duplicates++;
        deliver_later(world, to, link->lives[1 - side], number, frame,
                      delay_us + world_between(world, 1, 8 * world->latency_us));
    }
}

/* ---- crashes ---- */

void world_crash(struct world *world, uint32_t instance)
{
    struct participant *participant = &world->participants[instance];
    bool power_cut = osr_random_chance(&world->random, 0.6);
    world->counters.crashes++;
    world->counters.power_cuts += power_cut;
    osr_trace(&world->trace, OSR_LEVEL_INFO, "[n%u] ---- %s ----", instance,
              power_cut ? "power cut" : "killed");
    for (uint32_t i = 0; i < world->link_count; i++) {
        struct link *link = &world->links[i];
        int side = side_of(link, instance);
        if (link->ends[side] == instance && link->up[side]) {
            link->up[side] = false;
            tell_other_side(world, i, side);
        }
    }
    sim_instance_stop(participant->instance, power_cut);
    participant->down_since_us = world->now_us;
    after(world, 1000, world->quiet ? 10000 : 1500000,
          (struct world_event){.type = WORLD_RESTART, .instance = instance});
}

static void restart(struct world *world, uint32_t index)
{
    struct sim_instance *instance = world->participants[index].instance;
    if (sim_instance_is_up(instance)) {
        return;
    }
    struct osr_sim_disk *disk = sim_instance_disk(instance);
    if (!world->quiet && osr_random_chance(&world->random, 0.05)) {
        osr_sim_disk_crash_at(disk, world_between(world, 1, 6));
    }
    osr_trace(&world->trace, OSR_LEVEL_INFO, "[n%u] ---- starts ----", index);
    if (sim_instance_start(instance)) {
        return;
    }
    world->counters.crashes_in_log += osr_sim_disk_is_down(disk);
    osr_sim_disk_power_cut(disk);
    after(world, 10000, 100000, (struct world_event){.type = WORLD_RESTART, .instance = index});
}

/* ---- faults ---- */

static void heal_network(struct world *world)
{
    memset(world->blocked, 0, sizeof(world->blocked));
}

static void partition(struct world *world)
{
    bool side[SIM_INSTANCES_MAX];
    for (size_t i = 0; i < world->count; i++) {
        side[i] = osr_random_chance(&world->random, 0.5);
    }
    for (size_t i = 0; i < world->count; i++) {
        for (size_t k = 0; k < world->count; k++) {
            world->blocked[i][k] = side[i] != side[k];
        }
    }
    world->counters.partitions++;
    osr_trace(&world->trace, OSR_LEVEL_INFO, "---- the network falls apart ----");
}

static void cut_one_way(struct world *world)
{
    size_t from = osr_random_below(&world->random, world->count);
    size_t to = osr_random_below(&world->random, world->count);
    world->blocked[from][to] = true;
    world->counters.one_way_cuts++;
    osr_trace(&world->trace, OSR_LEVEL_INFO, "---- nothing gets from n%zu to n%zu ----", from, to);
}

static void jump_clock(struct world *world, uint32_t instance)
{
    static const int64_t reach_ms[] = {100, 5000, 600000, 86400000};
    int64_t reach = reach_ms[osr_random_below(&world->random, 4)];
    int64_t jump = (int64_t)osr_random_below(&world->random, (uint64_t)(2 * reach)) - reach;
    world->participants[instance].clock_offset_ms += jump;
    world->counters.clock_jumps++;
    osr_trace(&world->trace, OSR_LEVEL_INFO, "[n%u] ---- clock jumps by %" PRId64 " ms ----",
              instance, jump);
}

static void fill_disk(struct world *world, uint32_t instance)
{
    struct osr_sim_disk *disk = sim_instance_disk(world->participants[instance].instance);
    osr_sim_disk_set_capacity(disk, osr_sim_disk_used(disk) + world_between(world, 0, 20000));
    world->counters.disk_full_episodes++;
    osr_trace(&world->trace, OSR_LEVEL_INFO, "[n%u] ---- disk is filling up ----", instance);
}

enum fault {
    FAULT_CRASH,
    FAULT_CRASH_IN_LOG,
    FAULT_SYNC,
    FAULT_PARTITION,
    FAULT_ONE_WAY,
    FAULT_CLOCK,
    FAULT_DISK_FULL,
    FAULT_SLOW_DISK,
    FAULT_RESEND,
    FAULT_COUNT,
};

static void mend(struct world *world, enum fault fault, uint32_t instance)
{
    struct sim_instance *target = world->participants[instance].instance;
    switch (fault) {
    case FAULT_PARTITION:
    case FAULT_ONE_WAY:
        heal_network(world);
        break;
    case FAULT_DISK_FULL:
        osr_sim_disk_set_capacity(sim_instance_disk(target), UINT64_MAX);
        break;
    case FAULT_SLOW_DISK:
        sim_instance_set_slow(target, false);
        break;
    default:
        break;
    }
}

static void ask_for_resend(struct world *world, uint32_t instance)
{
    struct sim_instance *target = world->participants[instance].instance;
    if (!sim_instance_is_up(target) || world->link_count == 0) {
        return;
    }
    uint64_t length = history_length(world->history, instance);
    sim_instance_resend(target, (uint32_t)osr_random_below(&world->random, world->link_count),
                        1 + osr_random_below(&world->random, length + 1));
    world->counters.resends_asked++;
}

static void begin_fault(struct world *world, enum fault fault, uint32_t instance)
{
    struct sim_instance *target = world->participants[instance].instance;
    switch (fault) {
    case FAULT_CRASH:
        if (sim_instance_is_up(target)) {
            world_crash(world, instance);
        }
        break;
    case FAULT_CRASH_IN_LOG:
        if (sim_instance_is_up(target)) {
            osr_sim_disk_crash_at(sim_instance_disk(target), world_between(world, 1, 12));
        }
        break;
    case FAULT_SYNC:
        if (sim_instance_is_up(target)) {
            osr_sim_disk_fail_sync(sim_instance_disk(target), world_between(world, 1, 4));
        }
        break;
    case FAULT_PARTITION:
        partition(world);
        break;
    case FAULT_ONE_WAY:
        cut_one_way(world);
        break;
    case FAULT_CLOCK:
        jump_clock(world, instance);
        break;
    case FAULT_DISK_FULL:
        fill_disk(world, instance);
        break;
    case FAULT_SLOW_DISK:
        sim_instance_set_slow(target, true);
        world->counters.slow_disks++;
        break;
    case FAULT_RESEND:
        ask_for_resend(world, instance);
        break;
    case FAULT_COUNT:
        break;
    }
}

static void next_fault(struct world *world)
{
    if (world->quiet) {
        return;
    }
    enum fault fault = (enum fault)osr_random_below(&world->random, FAULT_COUNT);
    uint32_t instance = (uint32_t)osr_random_below(&world->random, world->count);
    begin_fault(world, fault, instance);
    after(world, 20000, 1500000,
          (struct world_event){.type = WORLD_MEND, .link = (uint32_t)fault, .instance = instance});
    after(world, world->fault_us / 4, 2 * world->fault_us,
          (struct world_event){.type = WORLD_FAULT});
}

/* ---- people who write ---- */

/* What one put needs besides the document. */
struct put_parts {
    char id[8];
    char text[DATA_BYTES_MAX + 16];
    Osr__Document document;
    Osr__Json data;
    Osr__Version versions[2];
    Osr__Version *supersedes[2];
    char origins[2][OSR_INSTANCE_CHARS + 1];
};

static void add_supersedes(struct put_parts *parts, const struct osr_version *version)
{
    size_t n = parts->document.n_supersedes++;
    osr__version__init(&parts->versions[n]);
    memcpy(parts->origins[n], version->origin, sizeof(parts->origins[n]));
    parts->versions[n].time_ms = version->time.ms;
    parts->versions[n].time_logical = version->time.logical;
    parts->versions[n].origin = parts->origins[n];
    parts->supersedes[n] = &parts->versions[n];
    parts->document.supersedes = parts->supersedes;
}

static struct osr_feed_put make_put(struct world *world, uint32_t instance, struct put_parts *parts)
{
    size_t document = osr_random_below(&world->random, SIM_DOCUMENTS);
    store_document_id(parts->id, sizeof(parts->id), document);
    osr__document__init(&parts->document);
    parts->document.id = parts->id;
    struct osr_version winner;
    if (osr_random_chance(&world->random, 0.6) &&
        store_winner(sim_instance_store(world->participants[instance].instance), document,
                     &winner)) {
        add_supersedes(parts, &winner);
    }
    if (osr_random_chance(&world->random, 0.1)) {
        parts->document.expires_ms = world_clock_ms(world, instance) + 1000;
    }
    if (osr_random_chance(&world->random, 0.15)) {
        return (struct osr_feed_put){OSR__OPERATION__DELETE, &parts->document};
    }
    bool large = osr_random_chance(&world->random, 0.01);
    size_t size = osr_random_below(&world->random, large ? DATA_BYTES_MAX : 80) + 1;
    parts->text[0] = '"';
    memset(parts->text + 1, 'x', size);
    parts->text[size + 1] = '"';
    osr__json__init(&parts->data);
    parts->data.text = (ProtobufCBinaryData){size + 2, (uint8_t *)parts->text};
    parts->document.data = &parts->data;
    return (struct osr_feed_put){OSR__OPERATION__PUT, &parts->document};
}

static void write_some(struct world *world)
{
    static struct put_parts parts[PUTS_MAX];
    if (world->quiet) {
        return;
    }
    after(world, 1, 2 * world->write_us, (struct world_event){.type = WORLD_WRITE});
    uint32_t instance = (uint32_t)osr_random_below(&world->random, world->count);
    if (!is_up(world, instance) || world->write_count == WRITES_MAX) {
        return;
    }
    struct osr_feed_put puts[PUTS_MAX];
    bool many = osr_random_chance(&world->random, 0.05);
    size_t count = 1 + osr_random_below(&world->random, many ? PUTS_MAX : 4);
    for (size_t i = 0; i < count; i++) {
        puts[i] = make_put(world, instance, &parts[i]);
    }
    uint32_t acks = 0;
    if (osr_random_chance(&world->random, 0.3)) {
        acks = 1 + (uint32_t)osr_random_below(&world->random, world->count);
        world->counters.writes_with_acks++;
    }
    uint64_t token = world->write_count++;
    world->writes[token] =
        (struct pending_write){.instance = instance,
                               .life = sim_instance_life(world->participants[instance].instance),
                               .acks = acks,
                               .count = count};
    world->counters.writes++;
    uint32_t timeout_ms = (uint32_t)world_between(world, 50, 800);
    sim_instance_write(world->participants[instance].instance, token, puts, count, acks,
                       timeout_ms);
}

void world_written(struct world *world, uint32_t instance, uint64_t token, enum osr_code code,
                   uint64_t first, uint32_t acks)
{
    struct pending_write *write = &world->writes[token];
    if (write->answered || write->instance != instance) {
        sim_violation("n%u answers a write twice", instance);
    }
    write->answered = true;
    if (code == OSR_DISK_FULL || code == OSR_BUSY) {
        return;
    }
    uint64_t last = first + write->count - 1;
    if ((code != OSR_OK && code != OSR_TIMEOUT) || first == 0 ||
        last > history_length(world->history, instance)) {
        sim_violation("n%u answers %s to a write of %" PRIu64 "..%" PRIu64
                      ", but committed %" PRIu64,
                      instance, osr_code_info(code)->name, first, last,
                      history_length(world->history, instance));
    }
    size_t holders = world_count_durable(world, instance, last);
    if (acks > holders || (code == OSR_OK && acks < write->acks)) {
        sim_violation("n%u says that %u followers hold its entries up to %" PRIu64 ", of %u "
                      "wanted; %zu do",
                      instance, acks, last, write->acks, holders);
    }
    if (write->acks > 0) {
        *(code == OSR_OK ? &world->counters.acks_reached : &world->counters.acks_timed_out) += 1;
    }
}

/* ---- a run ---- */

static void add_pair(struct world *world, size_t a, size_t b)
{
    uint32_t index = (uint32_t)world->pair_count++;
    world->pairs[index] = (struct pair){(uint32_t)a, (uint32_t)b};
    after(world, 1, 100000, (struct world_event){.type = WORLD_DIAL, .link = index});
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
        jump_clock(world, i);
        after(world, 1, 50000, (struct world_event){.type = WORLD_RESTART, .instance = i});
    }
    choose_topology(world);
    after(world, 10000, 20000, (struct world_event){.type = WORLD_WRITE});
    after(world, 300000, 500000, (struct world_event){.type = WORLD_FAULT});
    return world;
}

static void world_destroy(struct world *world)
{
    for (size_t i = 0; i < world->count; i++) {
        sim_instance_destroy(world->participants[i].instance);
    }
    while (world->heap_count > 0) {
        free(take_event(world).bytes);
    }
    history_destroy(world->history);
    free(world->heap);
    free(world);
}

/* An event of a link happens only while that link is up on that side. */
static bool concerns_a_dead_link(struct world *world, const struct world_event *event)
{
    if (event->type != WORLD_FRAME && event->type != WORLD_LINK_DOWN &&
        event->type != WORLD_LINK_UP) {
        return false;
    }
    struct link *link = &world->links[event->link];
    int side = side_of(link, event->instance);
    bool dead = !link->up[side];
    if (event->type == WORLD_LINK_DOWN) {
        link->up[side] = false;
    }
    return dead;
}

static void handle(struct world *world, const struct world_event *event)
{
    struct sim_instance *instance = world->participants[event->instance].instance;
    switch (event->type) {
    case WORLD_DIAL:
        dial(world, event->link);
        return;
    case WORLD_WRITE:
        write_some(world);
        return;
    case WORLD_FAULT:
        next_fault(world);
        return;
    case WORLD_MEND:
        mend(world, (enum fault)event->link, event->instance);
        return;
    case WORLD_RESTART:
        restart(world, event->instance);
        return;
    default:
        break;
    }
    bool dead = concerns_a_dead_link(world, event);
    if (!dead && sim_instance_is_up(instance) && event->life == sim_instance_life(instance)) {
        sim_instance_handle(instance, event);
    }
}

static void next_event(struct world *world)
{
    struct world_event event = take_event(world);
    world->now_us = event.at_us;
    world->counters.events++;
    handle(world, &event);
    free(event.bytes);
}

static bool has_converged(const struct world *world)
{
    for (size_t i = 0; i < world->count; i++) {
        if (!is_up(world, (uint32_t)i)) {
            return false;
        }
        for (size_t origin = 0; origin < world->count; origin++) {
            if (store_applied(sim_instance_store(world->participants[i].instance), origin) !=
                history_length(world->history, origin)) {
                return false;
            }
        }
    }
    return true;
}

static void say_what_is_missing(const struct world *world)
{
    for (size_t i = 0; i < world->count; i++) {
        for (size_t origin = 0; origin < world->count; origin++) {
            fprintf(stderr, "n%zu shows %" PRIu64 " of %" PRIu64 " of n%zu%s\n", i,
                    store_applied(sim_instance_store(world->participants[i].instance), origin),
                    history_length(world->history, origin), origin,
                    is_up(world, (uint32_t)i) ? "" : " (down)");
        }
    }
}

static void check_digests(const struct world *world)
{
    struct osr_feed_id feeds[SIM_INSTANCES_MAX];
    for (size_t i = 0; i < world->count; i++) {
        feeds[i] = (struct osr_feed_id){.stream = "kb", .epoch = 1};
        memcpy(feeds[i].origin, sim_instance_id(world->participants[i].instance),
               OSR_INSTANCE_CHARS);
    }
    struct osr_hash first =
        store_digest(sim_instance_store(world->participants[0].instance), feeds, world->count);
    for (size_t i = 1; i < world->count; i++) {
        struct osr_hash digest =
            store_digest(sim_instance_store(world->participants[i].instance), feeds, world->count);
        if (!osr_hash_equal(&first, &digest)) {
            sim_violation("n0 and n%zu hold the same and have different digests", i);
        }
    }
}

static void check_writes(const struct world *world)
{
    for (uint64_t i = 0; i < world->write_count; i++) {
        const struct pending_write *write = &world->writes[i];
        const struct sim_instance *instance = world->participants[write->instance].instance;
        if (!write->answered && write->life == sim_instance_life(instance)) {
            sim_violation("n%u never answered a write", write->instance);
        }
    }
}

/* Nothing fails any more: everybody must come to hold everything. */
static void run_quiet_phase(struct world *world)
{
    osr_trace(&world->trace, OSR_LEVEL_INFO, "---- quiet ----");
    world->quiet = true;
    heal_network(world);
    world->loss = world->duplication = world->reordering = world->forgery = 0;
    for (uint32_t i = 0; i < world->count; i++) {
        struct sim_instance *instance = world->participants[i].instance;
        osr_sim_disk_set_capacity(sim_instance_disk(instance), UINT64_MAX);
        osr_sim_disk_crash_at(sim_instance_disk(instance), 0);
        osr_sim_disk_fail_sync(sim_instance_disk(instance), 0);
        sim_instance_set_slow(instance, false);
        after(world, 1, 10000, (struct world_event){.type = WORLD_RESTART, .instance = i});
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
    check_writes(world);
}

void world_run(uint64_t seed, uint64_t events, const struct osr_trace *trace,
               struct world_counters *ret_counters)
{
    sim_set_seed(seed, events);
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
        world->counters.entries += history_length(world->history, i);
    }
    *ret_counters = world->counters;
    world_destroy(world);
}
