#include "sim/raft_settings.h"

static uint64_t between(struct osr_random *random, uint64_t low, uint64_t high)
{
    return low + osr_random_below(random, high - low + 1);
}

/* Small numbers more often than large ones: the limits are to be met. */
static uint32_t small_to(struct osr_random *random, uint64_t low, uint64_t high)
{
    return (uint32_t)between(random, low, between(random, low, high));
}

static void draw_core(struct osr_raft_options *core, struct osr_random *random)
{
    osr_raft_options_init(core);
    core->election_timeout_ms = (uint32_t)between(random, 40, 150);
    core->heartbeat_ms =
        (uint32_t)between(random, core->election_timeout_ms / 8 + 1, core->election_timeout_ms / 3);
    core->command_bytes_max = small_to(random, 64, 500);
    core->message_bytes_max = small_to(random, 20, 3000);
    core->window_messages = small_to(random, 1, 8);
    core->window_bytes = core->message_bytes_max * small_to(random, 1, 8);
    core->pending_bytes_max = core->command_bytes_max * small_to(random, 1, 40);
    core->pending_entries_max = small_to(random, 1, 64);
    core->reads_max = small_to(random, 1, 16);
    core->apply_bytes = small_to(random, 64, 4000);
    core->cache_bytes = small_to(random, 64, 8000);
    core->chunk_bytes = small_to(random, 16, 800);
    core->caught_up_entries = small_to(random, 0, 20);
}

static void draw_faults(struct raft_settings *settings, struct osr_random *random)
{
    static const unsigned weights[RAFT_FAULT_COUNT] = {
        [RAFT_FAULT_CRASH] = 4,     [RAFT_FAULT_CRASH_LEADER] = 3, [RAFT_FAULT_CRASH_IN_STEP] = 3,
        [RAFT_FAULT_HUNT] = 2,      [RAFT_FAULT_CRASH_ALL] = 1,    [RAFT_FAULT_PAUSE] = 2,
        [RAFT_FAULT_PARTITION] = 3, [RAFT_FAULT_MUTE] = 2,         [RAFT_FAULT_ISOLATE_LEADER] = 3,
        [RAFT_FAULT_ONE_WAY] = 2,   [RAFT_FAULT_BURST] = 2,        [RAFT_FAULT_STORM] = 1,
        [RAFT_FAULT_DISK_FULL] = 2, [RAFT_FAULT_SLOW_DISK] = 2,    [RAFT_FAULT_ROT] = 1,
    };
    static const unsigned factors[] = {0, 0, 1, 1, 2, 6}; /* some not at all, some much */
    for (size_t i = 0; i < RAFT_FAULT_COUNT; i++) {
        settings->weights[i] =
            weights[i] * factors[osr_random_below(random, sizeof(factors) / sizeof(factors[0]))];
    }
    settings->weights[RAFT_FAULT_CRASH]++; /* a run without is none */
    /* Few members must be left alone now and then, or nothing at all happens. */
    uint64_t timeout_us = 1000 * (uint64_t)settings->core.election_timeout_ms;
    settings->fault_us = timeout_us * between(random, 1, 5) * (settings->members < 3 ? 2 : 1);
    settings->mend_us_max = between(random, 100000, 1200000);
    settings->down_us_max = between(random, 20000, 800000);
    settings->haste = osr_random_chance(random, 0.3) ? 0.7 : 0;
    settings->operator_us = between(random, 30000, 1000000);
    settings->transfers = 0.1 * (double)between(random, 0, 8);
}

void raft_settings_draw(struct raft_settings *settings, struct osr_random *random)
{
    static const size_t members[] = {1, 2, 3, 3, 3, 4, 5, 5, 6, OSR_RAFT_VOTERS_MAX};
    draw_core(&settings->core, random);
    settings->members = members[osr_random_below(random, sizeof(members) / sizeof(members[0]))];
    draw_faults(settings, random);
    settings->clients = between(random, 2, 6);
    settings->keys = between(random, 3, 24);
    settings->reads = 0.1 * (double)between(random, 1, 7);
    settings->think_us = between(random, 2000, 60000);
    settings->ballast_max = small_to(random, 0, 300);
    settings->latency_us = between(random, 100, 6000);
    settings->loss = 0.01 * (double)osr_random_below(random, 8);
    settings->duplication = 0.01 * (double)osr_random_below(random, 6);
    settings->late_doubles = 0.01 * (double)osr_random_below(random, 4);
    settings->reordering = 0.01 * (double)osr_random_below(random, 10);
    settings->write_us_max = between(random, 20, 500);
    settings->sync_us_max = between(random, 100, 8000);
    settings->flush_us_max = between(random, 1, 3000);
    settings->apply_us_max = between(random, 10, 3000);
    settings->snapshot_entries =
        osr_random_chance(random, 0.1) ? UINT64_MAX : small_to(random, 5, 150);
    settings->has_real_log = osr_random_chance(random, 0.04);
    settings->keeps_state = osr_random_chance(random, 0.5);
    settings->clock_skew = between(random, 0, osr_random_chance(random, 0.2) ? 300 : 100);
}

enum raft_fault raft_settings_any_fault(const struct raft_settings *settings,
                                        struct osr_random *random)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < RAFT_FAULT_COUNT; i++) {
        sum += settings->weights[i];
    }
    uint64_t drawn = osr_random_below(random, sum);
    size_t fault = 0;
    while (drawn >= settings->weights[fault]) {
        drawn -= settings->weights[fault++];
    }
    return (enum raft_fault)fault;
}
