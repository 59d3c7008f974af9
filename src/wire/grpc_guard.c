#include "wire/grpc_guard.h"

#include "wire/grpc.h"

enum { TOKEN = 1000 };

struct bucket {
    uint64_t burst;
    uint64_t rate; /* tokens a second: thousandths of a token a millisecond */
    const char *words;
};

static const struct bucket buckets[] = {
    [OSR_GRPC_FLOOD_RESETS] = {OSR_GRPC_RESETS_BURST, OSR_GRPC_RESETS_RATE, "too_many_resets"},
    [OSR_GRPC_FLOOD_PINGS] = {OSR_GRPC_PINGS_MAX, OSR_GRPC_PINGS_RATE, "too_many_pings"},
    [OSR_GRPC_FLOOD_EMPTY_FRAMES] = {OSR_GRPC_EMPTY_FRAMES_BURST, OSR_GRPC_EMPTY_FRAMES_RATE,
                                     "too_many_empty_frames"},
};
_Static_assert(sizeof(buckets) / sizeof(buckets[0]) == OSR_GRPC_FLOOD_COUNT,
               "a bucket for each flood");

static void pay_back(uint64_t *spent, uint64_t amount)
{
    *spent -= amount < *spent ? amount : *spent;
}

static void let_time_pass(struct osr_grpc_guard *guard, uint64_t now_ms)
{
    if (now_ms <= guard->refilled_ms) {
        return;
    }
    uint64_t passed_ms = now_ms - guard->refilled_ms;
    guard->refilled_ms = now_ms;
    for (int i = 0; i < OSR_GRPC_FLOOD_COUNT; i++) {
        uint64_t filling_ms = buckets[i].burst * TOKEN / buckets[i].rate + 1;
        pay_back(&guard->spent[i],
                 (passed_ms < filling_ms ? passed_ms : filling_ms) * buckets[i].rate);
    }
}

bool osr_grpc_guard_take(struct osr_grpc_guard *guard, enum osr_grpc_flood flood, uint64_t now_ms)
{
    let_time_pass(guard, now_ms);
    guard->spent[flood] += TOKEN;
    return guard->spent[flood] <= buckets[flood].burst * TOKEN;
}

void osr_grpc_guard_give(struct osr_grpc_guard *guard, enum osr_grpc_flood flood, unsigned tokens)
{
    pay_back(&guard->spent[flood], (uint64_t)tokens * TOKEN);
}

void osr_grpc_guard_refill(struct osr_grpc_guard *guard, enum osr_grpc_flood flood)
{
    guard->spent[flood] = 0;
}

const char *osr_grpc_guard_words(enum osr_grpc_flood flood)
{
    return buckets[flood].words;
}
