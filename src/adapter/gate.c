#include "adapter/gate.h"

#include <assert.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/random.h"

enum { SECOND_US = 1000 * 1000 };

/* How much of an allowance is used up, as the time at which all of it is there again. */
struct allowance {
    uint64_t free_us;
};

struct rate {
    uint64_t interval_us;
    uint64_t burst_us;
};

#define RATE(a_second, burst)                                                                      \
    {                                                                                              \
        SECOND_US / (a_second), (uint64_t)SECOND_US / (a_second) * (burst)                         \
    }

static const struct rate address_rate = RATE(OSR_GATE_ADDRESS_RATE, OSR_GATE_ADDRESS_BURST);
static const struct rate strangers_rate = RATE(OSR_GATE_STRANGERS_RATE, OSR_GATE_STRANGERS_BURST);

struct place {
    struct allowance allowance;
    uint32_t under_way;
};

struct known {
    uint64_t address;
    uint32_t connections;
    struct allowance allowance;
};

struct osr_gate {
    uint64_t hash_key[2];
    struct place places[OSR_GATE_PLACES];
    struct allowance strangers;
    struct known known[OSR_GATE_KNOWN_MAX];
    size_t known_count;
    struct osr_visitor *oldest, *newest; /* under way */
    size_t under_way;
    struct osr_gate_refusals refusals;
};

struct osr_gate *osr_gate_create(uint64_t seed)
{
    struct osr_gate *gate = osr_alloc(sizeof(*gate));
    struct osr_random random;
    osr_random_init(&random, seed);
    gate->hash_key[0] = osr_random_u64(&random);
    gate->hash_key[1] = osr_random_u64(&random);
    return gate;
}

void osr_gate_destroy(struct osr_gate *gate)
{
    if (gate != NULL) {
        assert(gate->under_way == 0 && gate->known_count == 0);
        free(gate);
    }
}

/* ---- how often ---- */

static uint64_t wait_us(const struct allowance *allowance, const struct rate *rate, uint64_t now_us)
{
    uint64_t used_us = allowance->free_us > now_us ? allowance->free_us - now_us : 0;
    uint64_t wanted_us = used_us + rate->interval_us;
    return wanted_us > rate->burst_us ? wanted_us - rate->burst_us : 0;
}

static void use(struct allowance *allowance, const struct rate *rate, uint64_t now_us)
{
    uint64_t since_us = allowance->free_us > now_us ? allowance->free_us : now_us;
    allowance->free_us = since_us + rate->interval_us;
}

static uint32_t place_of(const struct osr_gate *gate, uint64_t address)
{
    uint64_t hash = osr_siphash(gate->hash_key, osr_slice(&address, sizeof(address)));
    return (uint32_t)(hash % OSR_GATE_PLACES);
}

static struct known *find_known(struct osr_gate *gate, uint64_t address)
{
    for (size_t i = 0; i < gate->known_count; i++) {
        if (gate->known[i].address == address) {
            return &gate->known[i];
        }
    }
    return NULL;
}

uint64_t osr_gate_knock(struct osr_gate *gate, uint64_t address, uint64_t now_ms)
{
    const uint64_t now_us = now_ms * 1000;
    if (gate == NULL) {
        return 0;
    }
    struct known *known = find_known(gate, address);
    struct allowance *own =
        known != NULL ? &known->allowance : &gate->places[place_of(gate, address)].allowance;
    uint64_t longest_us = wait_us(own, &address_rate, now_us);
    if (known == NULL) {
        uint64_t strangers_us = wait_us(&gate->strangers, &strangers_rate, now_us);
        longest_us = longest_us > strangers_us ? longest_us : strangers_us;
    }
    if (longest_us > OSR_GATE_WAIT_MS_MAX * 1000ull) {
        gate->refusals.turned_away++;
        return OSR_GATE_CLOSED;
    }
    use(own, &address_rate, now_us);
    if (known == NULL) {
        use(&gate->strangers, &strangers_rate, now_us);
    }
    return (longest_us + 999) / 1000;
}

/* ---- how many at a time ---- */

static void take_out(struct osr_gate *gate, struct osr_visitor *visitor)
{
    *(visitor->older != NULL ? &visitor->older->newer : &gate->oldest) = visitor->newer;
    *(visitor->newer != NULL ? &visitor->newer->older : &gate->newest) = visitor->older;
    gate->under_way--;
    gate->places[visitor->place].under_way--;
    visitor->state = OSR_VISITOR_AWAY;
}

static struct osr_visitor *oldest_of_the_most(const struct osr_gate *gate)
{
    struct osr_visitor *found = gate->oldest;
    for (struct osr_visitor *visitor = found; visitor != NULL; visitor = visitor->newer) {
        if (gate->places[visitor->place].under_way > gate->places[found->place].under_way) {
            found = visitor;
        }
    }
    return found;
}

struct osr_visitor *osr_gate_begin(struct osr_gate *gate, struct osr_visitor *visitor,
                                   uint64_t address)
{
    struct osr_visitor *leaves = NULL;
    if (gate == NULL) {
        return NULL;
    }
    assert(visitor->state == OSR_VISITOR_AWAY);
    uint32_t place = place_of(gate, address);
    gate->places[place].under_way++;
    if (gate->under_way == OSR_GATE_UNDER_WAY_MAX) {
        leaves = oldest_of_the_most(gate);
        take_out(gate, leaves);
        gate->refusals.crowded_out++;
    }
    *visitor = (struct osr_visitor){
        .older = gate->newest, .address = address, .place = place, .state = OSR_VISITOR_UNDER_WAY};
    *(gate->newest != NULL ? &gate->newest->newer : &gate->oldest) = visitor;
    gate->newest = visitor;
    gate->under_way++;
    return leaves;
}

/* ---- who is known ---- */

void osr_gate_pass(struct osr_gate *gate, struct osr_visitor *visitor, bool is_known)
{
    if (gate == NULL) {
        return;
    }
    assert(visitor->state == OSR_VISITOR_UNDER_WAY);
    take_out(gate, visitor);
    if (!is_known) {
        return;
    }
    struct known *known = find_known(gate, visitor->address);
    if (known == NULL && gate->known_count < OSR_GATE_KNOWN_MAX) {
        known = &gate->known[gate->known_count++];
        *known = (struct known){.address = visitor->address};
    }
    if (known != NULL) {
        known->connections++;
        visitor->state = OSR_VISITOR_KNOWN;
    }
}

static void forget_known(struct osr_gate *gate, uint64_t address)
{
    struct known *known = find_known(gate, address);
    if (--known->connections == 0) {
        *known = gate->known[--gate->known_count];
    }
}

void osr_gate_leave(struct osr_gate *gate, struct osr_visitor *visitor)
{
    if (visitor->state == OSR_VISITOR_UNDER_WAY) {
        take_out(gate, visitor);
    } else if (visitor->state == OSR_VISITOR_KNOWN) {
        forget_known(gate, visitor->address);
        visitor->state = OSR_VISITOR_AWAY;
    }
}

struct osr_gate_refusals osr_gate_take_refusals(struct osr_gate *gate)
{
    struct osr_gate_refusals refusals = gate->refusals;
    gate->refusals = (struct osr_gate_refusals){0};
    return refusals;
}
