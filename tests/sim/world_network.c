/* The network of a simulated cluster: links that come and go, frames that are lost, doubled,
 * overtaken or changed on their way. */
#include "sim/world_parts.h"

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
        world_after(world, 1, world->latency_us,
                    (struct world_event){.type = WORLD_LINK_UP,
                                         .instance = link->ends[side],
                                         .life = link->lives[side],
                                         .link = number,
                                         .flag = side == 0});
    }
}

void world_dial(struct world *world, uint32_t pair_index)
{
    const struct pair *pair = &world->pairs[pair_index];
    bool reachable = !world->blocked[pair->a][pair->b] && !world->blocked[pair->b][pair->a];
    bool want_second = !world->quiet && osr_random_chance(&world->random, 0.03);
    if (world_is_up(world, pair->a) && world_is_up(world, pair->b) && reachable &&
        (want_second || !is_linked(world, pair))) {
        bool forward = osr_random_chance(&world->random, 0.5);
        open_link(world, forward ? pair->a : pair->b, forward ? pair->b : pair->a);
    }
    world_after(world, 50000, 250000, (struct world_event){.type = WORLD_DIAL, .link = pair_index});
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

uint32_t world_other_end(const struct world *world, uint32_t from, uint32_t number)
{
    const struct link *link = &world->links[number];
    return link->ends[1 - side_of(link, from)];
}

void world_cut_links(struct world *world, uint32_t instance)
{
    for (uint32_t i = 0; i < world->link_count; i++) {
        struct link *link = &world->links[i];
        int side = side_of(link, instance);
        if (link->ends[side] == instance && link->up[side]) {
            link->up[side] = false;
            tell_other_side(world, i, side);
        }
    }
}

bool world_concerns_a_dead_link(struct world *world, const struct world_event *event)
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

void world_heal_network(struct world *world)
{
    memset(world->blocked, 0, sizeof(world->blocked));
}

/* ---- frames ---- */

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
