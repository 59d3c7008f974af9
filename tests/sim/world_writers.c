/* People who write to the instances of a simulated cluster, and what they are answered. */
#include "sim/world_parts.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    PUTS_MAX = 60,
    DATA_BYTES_MAX = 3000,
};

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

void world_write_some(struct world *world)
{
    static struct put_parts parts[PUTS_MAX];
    if (world->quiet) {
        return;
    }
    world_after(world, 1, 2 * world->write_us, (struct world_event){.type = WORLD_WRITE});
    uint32_t instance = (uint32_t)osr_random_below(&world->random, world->count);
    if (!world_is_up(world, instance) || world->write_count == WRITES_MAX) {
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
    struct osr_feed_write write = {.stream = world_any_stream(world),
                                   .token = world->write_count++,
                                   .puts = puts,
                                   .count = count,
                                   .acks = acks,
                                   .timeout_ms = (uint32_t)world_between(world, 50, 800)};
    world->writes[write.token] =
        (struct pending_write){.instance = instance,
                               .stream = write.stream,
                               .life = sim_instance_life(world->participants[instance].instance),
                               .acks = acks,
                               .count = count};
    world->counters.writes++;
    sim_instance_write(world->participants[instance].instance, &write);
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
    size_t feed = sim_feed(instance, write->stream);
    uint64_t last = first + write->count - 1;
    if ((code != OSR_OK && code != OSR_TIMEOUT) || first == 0 ||
        last > history_length(world->history, feed)) {
        sim_violation("n%u answers %s to a write of %" PRIu64 "..%" PRIu64 " of %s"
                      ", but committed %" PRIu64,
                      instance, osr_code_info(code)->name, first, last, sim_feed_name(feed),
                      history_length(world->history, feed));
    }
    size_t holders = world_count_durable(world, feed, last);
    if (acks > holders || (code == OSR_OK && acks < write->acks)) {
        sim_violation("n%u says that %u followers hold up to %" PRIu64 " of %s, of %u "
                      "wanted; %zu do",
                      instance, acks, last, sim_feed_name(feed), write->acks, holders);
    }
    if (write->acks > 0) {
        *(code == OSR_OK ? &world->counters.acks_reached : &world->counters.acks_timed_out) += 1;
    }
}

void world_check_writes(const struct world *world)
{
    for (uint64_t i = 0; i < world->write_count; i++) {
        const struct pending_write *write = &world->writes[i];
        const struct sim_instance *instance = world->participants[write->instance].instance;
        if (!write->answered && write->life == sim_instance_life(instance)) {
            sim_violation("n%u never answered a write", write->instance);
        }
    }
}
