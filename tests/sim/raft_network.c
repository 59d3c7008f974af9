#include "sim/raft_network.h"

#include "sim/raft_member.h"

#include <stdlib.h>

enum {
    LATENESS = 20,                /* of what is overtaken, in latencies */
    LATE_DOUBLE_US_MAX = 2000000, /* of a message that comes once more, when much has changed */
    KEPT_MAX = 256,               /* messages of which one may come once more at any time */
};

#define STORM_LOSS 0.7

struct raft_network {
    uint32_t cut[RAFT_MEMBERS_EVER];       /* to whom nothing gets, a bit each */
    uint32_t forgotten[RAFT_MEMBERS_EVER]; /* what was sent up to this life */
    uint64_t isolated_until_us[RAFT_MEMBERS_EVER];
    uint64_t held_until_us[RAFT_MEMBERS_EVER];
    uint64_t last_us[RAFT_MEMBERS_EVER][RAFT_MEMBERS_EVER]; /* the last arrival, from and to */
    bool is_storm;
    struct osr_raft_message *kept[KEPT_MAX]; /* the latest of them, a ring */
    size_t kept_ever;
};

_Static_assert(RAFT_MEMBERS_EVER <= 32, "one bit a member");

struct raft_network *raft_network_create(void)
{
    return osr_alloc(sizeof(struct raft_network));
}

void raft_network_destroy(struct raft_network *network)
{
    for (size_t i = 0; i < KEPT_MAX; i++) {
        free(network->kept[i]);
    }
    free(network);
}

/* ---- parcels ---- */

/* A message, and behind it in the same memory what it points to. */

enum { HEAD_BYTES = (sizeof(struct osr_raft_message) + 15) / 16 * 16 };

static uint8_t *copy_bytes(uint8_t *at, struct osr_slice *bytes)
{
    if (bytes->size > 0) {
        memcpy(at, bytes->data, bytes->size);
    }
    bytes->data = at;
    return at + bytes->size;
}

static struct osr_raft_message *pack_append(const struct osr_raft_message *message)
{
    size_t count = message->append.count;
    size_t payloads = 0;
    for (size_t i = 0; i < count; i++) {
        payloads += message->append.entries[i].payload.size;
    }
    uint8_t *parcel =
        osr_alloc_unset(HEAD_BYTES + count * sizeof(struct osr_raft_entry) + payloads);
    struct osr_raft_message *copy = (void *)parcel;
    struct osr_raft_entry *entries = (void *)(parcel + HEAD_BYTES);
    uint8_t *at = parcel + HEAD_BYTES + count * sizeof(*entries);
    *copy = *message;
    copy->append.entries = entries;
    for (size_t i = 0; i < count; i++) {
        entries[i] = message->append.entries[i];
        entries[i].token = 0;
        at = copy_bytes(at, &entries[i].payload);
    }
    return copy;
}

static struct osr_raft_message *pack_snapshot(const struct osr_raft_message *message)
{
    uint8_t *parcel = osr_alloc_unset(HEAD_BYTES + sizeof(struct osr_raft_snapshot) +
                                      message->snapshot.chunk.size);
    struct osr_raft_message *copy = (void *)parcel;
    struct osr_raft_snapshot *snapshot = (void *)(parcel + HEAD_BYTES);
    *copy = *message;
    *snapshot = *message->snapshot.snapshot;
    if (message->snapshot.offset > 0) {
        snapshot->configuration.count = 0; /* is not sent */
    }
    copy->snapshot.snapshot = snapshot;
    copy_bytes(parcel + HEAD_BYTES + sizeof(*snapshot), &copy->snapshot.chunk);
    return copy;
}

static struct osr_raft_message *pack(const struct osr_raft_message *message)
{
    if (message->type == OSR_RAFT_APPEND) {
        return pack_append(message);
    }
    if (message->type == OSR_RAFT_SNAPSHOT) {
        return pack_snapshot(message);
    }
    struct osr_raft_message *copy = osr_alloc_unset(sizeof(*copy));
    *copy = *message;
    return copy;
}

/* ---- on the way ---- */

static uint64_t arrival_us(struct raft_world *world, uint32_t from, uint32_t to)
{
    struct raft_network *network = world->network;
    uint64_t latency = world->settings.latency_us;
    if (raft_chance(world, world->settings.reordering) && !world->is_quiet) {
        world->counters.reorders++;
        return world->now_us + raft_between(world, latency, LATENESS * latency);
    }
    uint64_t at = world->now_us + raft_between(world, latency / 4, latency);
    if (at < network->held_until_us[from]) {
        at = network->held_until_us[from];
    }
    if (at < network->last_us[from][to]) {
        at = network->last_us[from][to];
    }
    network->last_us[from][to] = at;
    return at;
}

static bool is_lost(struct raft_world *world)
{
    return !world->is_quiet && (raft_chance(world, world->settings.loss) ||
                                (world->network->is_storm && raft_chance(world, STORM_LOSS)));
}

static void arrive(struct raft_world *world, uint64_t at_us, uint32_t to,
                   const struct osr_raft_message *message)
{
    struct raft_happening *arrival = raft_world_at(world, at_us, RAFT_ARRIVAL, to);
    arrival->body = pack(message);
    arrival->number = message->from;
    arrival->second = world->members[message->from - 1]->life;
}

static bool is_cut(const struct raft_world *world, uint32_t from, uint32_t to)
{
    const struct raft_network *network = world->network;
    return (network->cut[from] >> to & 1) != 0 ||
           network->isolated_until_us[from] > world->now_us ||
           network->isolated_until_us[to] > world->now_us;
}

bool raft_network_delivers(const struct raft_world *world, const struct raft_happening *arrival)
{
    uint32_t from = (uint32_t)arrival->number - 1;
    return arrival->second > world->network->forgotten[from] &&
           !is_cut(world, from, arrival->member);
}

static void send_once(struct raft_world *world, uint32_t from, uint32_t to,
                      const struct osr_raft_message *message)
{
    if (is_cut(world, from, to) || is_lost(world)) {
        world->counters.drops++;
        if (raft_chance(world, 0.3)) {
            raft_world_after(world, 100, 50000, RAFT_UNREACHABLE, from)->number = message->to;
        }
        return;
    }
    arrive(world, arrival_us(world, from, to), to, message);
}

static void keep(struct raft_network *network, const struct osr_raft_message *message)
{
    struct osr_raft_message **place = &network->kept[network->kept_ever++ % KEPT_MAX];
    free(*place);
    *place = pack(message);
}

void raft_network_send(struct raft_world *world, uint32_t from,
                       const struct osr_raft_message *message)
{
    uint32_t to = (uint32_t)message->to - 1;
    world->counters.messages++;
    send_once(world, from, to, message);
    if (raft_chance(world, world->settings.duplication) && !world->is_quiet) {
        world->counters.duplicates++;
        send_once(world, from, to, message);
    }
    if (raft_chance(world, world->settings.late_doubles) && !world->is_quiet) {
        world->counters.late_doubles++;
        arrive(world, world->now_us + raft_between(world, 0, LATE_DOUBLE_US_MAX), to, message);
    }
    if (raft_chance(world, world->settings.replays)) {
        keep(world->network, message);
    }
}

/* ---- faults ---- */

void raft_network_forget(struct raft_network *network, uint32_t from, uint32_t life)
{
    network->forgotten[from] = life;
}

void raft_network_cut(struct raft_network *network, uint32_t from, uint32_t to)
{
    network->cut[from] |= UINT32_C(1) << to;
}

void raft_network_isolate(struct raft_network *network, uint32_t member, uint64_t until_us)
{
    network->isolated_until_us[member] = until_us;
}

void raft_network_hold(struct raft_network *network, uint32_t from, uint64_t until_us)
{
    network->held_until_us[from] = until_us;
}

void raft_network_replay(struct raft_world *world, uint32_t to, uint64_t within_us)
{
    for (size_t i = 0; i < KEPT_MAX; i++) {
        const struct osr_raft_message *kept = world->network->kept[i];
        if (kept != NULL && kept->to == to + 1) {
            world->counters.replays++;
            arrive(world, world->now_us + raft_between(world, 0, within_us), to, kept);
        }
    }
}

void raft_network_set_storm(struct raft_network *network, bool is_storm)
{
    network->is_storm = is_storm;
}

void raft_network_heal(struct raft_network *network)
{
    memset(network->cut, 0, sizeof(network->cut));
    memset(network->isolated_until_us, 0, sizeof(network->isolated_until_us));
}
