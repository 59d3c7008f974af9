#include "node/issue_limit.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/random.h"

struct osr_issue_limit {
    uint64_t hash_key[2];
    uint64_t paid_ms[OSR_ISSUE_PLACES]; /* until when what was taken is paid for by waiting */
};

struct osr_issue_limit *osr_issue_limit_create(uint64_t seed)
{
    struct osr_issue_limit *limit = osr_alloc(sizeof(*limit));
    struct osr_random random;
    osr_random_init(&random, seed);
    limit->hash_key[0] = osr_random_u64(&random);
    limit->hash_key[1] = osr_random_u64(&random);
    return limit;
}

void osr_issue_limit_destroy(struct osr_issue_limit *limit)
{
    free(limit);
}

uint64_t osr_issue_limit_take(struct osr_issue_limit *limit, const char *who, uint64_t cost_ms,
                              uint64_t now_ms)
{
    uint64_t hash = osr_siphash(limit->hash_key, osr_slice_text(who));
    uint64_t *paid_ms = &limit->paid_ms[hash % OSR_ISSUE_PLACES];
    uint64_t next_ms = (*paid_ms > now_ms ? *paid_ms : now_ms) + cost_ms;
    if (next_ms > now_ms + OSR_ISSUE_AHEAD_MS) {
        return next_ms - now_ms - OSR_ISSUE_AHEAD_MS;
    }
    *paid_ms = next_ms;
    return 0;
}
