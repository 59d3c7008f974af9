#include "sim/raft_settings.h"

/* Shares of runs in which ... */
#define SUCCESSIONS 0.1 /* leaders are short-lived */
#define DIVISIONS   0.2 /* the network falls apart again and again */
#define HANDOVERS   0.1 /* leadership is handed over again and again */

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
        [RAFT_FAULT_REPLAY] = 2,    [RAFT_FAULT_LOST_SYNC] = 2,
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

/* Leaders that follow one another quickly, each with entries that few have: so that an entry of an
 * old term comes to be on a majority of members and is lost again (Raft paper, figure 8). */
static void draw_successions(struct raft_settings *settings, struct osr_random *random)
{
    settings->members = osr_random_chance(random, 0.7) ? 3 : 5;
    settings->core.election_timeout_ms = 40;
    settings->core.heartbeat_ms = 10;
    settings->core.message_bytes_max = 1; /* one entry each */
    settings->core.window_messages = 1;
    settings->reads = 0.1;
    settings->think_us = 2000;
    settings->clients = 6;
    settings->latency_us = between(random, 100, 2000);
    settings->sync_us_max = between(random, 100, 2000);
    settings->loss = 0.01 * (double)between(random, 0, 10);
    settings->fault_us = 1000 * (uint64_t)settings->core.election_timeout_ms;
    settings->mend_us_max = between(random, 6, 20) * settings->fault_us;
    settings->down_us_max = between(random, 3, 12) * settings->fault_us;
    settings->transfers = 0;
    memset(settings->weights, 0, sizeof(settings->weights));
    settings->weights[RAFT_FAULT_CRASH_LEADER] = 1;
    settings->weights[RAFT_FAULT_HUNT] = 4;
    settings->weights[RAFT_FAULT_STORM] = 1;
}

/* Leaders that go on with a few for a while, are led by others, and lead again while some lag
 * behind: so that what was acknowledged to them the first time is not there the second time. */
static void draw_divisions(struct raft_settings *settings, struct osr_random *random)
{
    settings->members = 5;
    settings->core.pending_entries_max = 64;
    settings->reads = 0.1;
    settings->think_us = 2000;
    settings->clients = 6;
    settings->replays = 0.3;
    settings->operator_us = between(random, 20000, 60000);
    settings->transfers = 0.95;
    settings->fault_us =
        between(random, 1, 3) * 1000 * (uint64_t)settings->core.election_timeout_ms;
    settings->mend_us_max = 2 * settings->fault_us;
    settings->down_us_max = 1500000;
    memset(settings->weights, 0, sizeof(settings->weights));
    settings->weights[RAFT_FAULT_CRASH] = 2;
    settings->weights[RAFT_FAULT_CRASH_LEADER] = 3;
    settings->weights[RAFT_FAULT_PARTITION] = 4;
    settings->weights[RAFT_FAULT_SLOW_DISK] = 2;
    settings->weights[RAFT_FAULT_REPLAY] = 2;
}

/* Members that are told to stand while others do so by themselves, or while their leader does not
 * hear of it: so that a voter is asked by two in one term, and two lead at once. */
static void draw_handovers(struct raft_settings *settings, struct osr_random *random)
{
    settings->members = osr_random_chance(random, 0.5) ? 3 : 5;
    settings->core.election_timeout_ms = 40;
    settings->core.heartbeat_ms = (uint32_t)between(random, 5, 15);
    settings->reads = 0.5;
    settings->think_us = 2000;
    settings->clients = 6;
    settings->operator_us = between(random, 20000, 60000);
    settings->transfers = 0.9;
    settings->haste = 0.3;
    settings->fault_us = 1000 * (uint64_t)settings->core.election_timeout_ms;
    memset(settings->weights, 0, sizeof(settings->weights));
    settings->weights[RAFT_FAULT_CRASH] = 1;
    settings->weights[RAFT_FAULT_PAUSE] = 2;
    settings->weights[RAFT_FAULT_ISOLATE_LEADER] = 2;
    settings->weights[RAFT_FAULT_ONE_WAY] = 3;
    settings->weights[RAFT_FAULT_BURST] = 6;
    settings->weights[RAFT_FAULT_SLOW_DISK] = 1;
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
    settings->replays = osr_random_chance(random, 0.3) ? 0.1 * (double)between(random, 1, 5) : 0;
    settings->reordering = 0.01 * (double)osr_random_below(random, 10);
    settings->write_us_max = between(random, 20, 500);
    settings->sync_us_max = between(random, 100, 8000);
    settings->flush_us_max = between(random, 1, 3000);
    settings->apply_us_max = between(random, 10, 3000);
    settings->snapshot_entries =
        osr_random_chance(random, 0.1) ? UINT64_MAX : small_to(random, 5, 150);
    settings->has_real_log = osr_random_chance(random, 0.25);
    settings->keeps_state = osr_random_chance(random, 0.5);
    settings->clock_skew = between(random, 0, osr_random_chance(random, 0.2) ? 300 : 100);
    if (osr_random_chance(random, SUCCESSIONS)) {
        draw_successions(settings, random);
    } else if (osr_random_chance(random, DIVISIONS)) {
        draw_divisions(settings, random);
    } else if (osr_random_chance(random, HANDOVERS)) {
        draw_handovers(settings, random);
    }
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
