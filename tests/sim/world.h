/* world.h -- a simulated cluster: time, network, faults and people who write.
 *
 * One seed decides all: topology, delays, losses, crashes, what is written. Events wait in a
 * heap by time; each is carried out alone, so a run is the same every time. */
#ifndef OSR_TESTS_WORLD_H
#define OSR_TESTS_WORLD_H

#include "base/random.h"
#include "core/feed.h"
#include "sim/history.h"

/* Counted over a run, to show that it was one. */
#define WORLD_COUNTERS(X)                                                                          \
    X(events)                                                                                      \
    X(crashes)                                                                                     \
    X(crashes_in_log)                                                                              \
    X(power_cuts)                                                                                  \
    X(torn_writes)                                                                                 \
    X(partitions)                                                                                  \
    X(one_way_cuts)                                                                                \
    X(frames)                                                                                      \
    X(drops)                                                                                       \
    X(duplicates)                                                                                  \
    X(reorders)                                                                                    \
    X(links)                                                                                       \
    X(half_open_links)                                                                             \
    X(clock_jumps)                                                                                 \
    X(forgeries)                                                                                   \
    X(resends_asked)                                                                               \
    X(leaves_withdrawn)                                                                            \
    X(disk_full_episodes)                                                                          \
    X(stores_refused)                                                                              \
    X(slow_disks)                                                                                  \
    X(entries)                                                                                     \
    X(entries_of_trust)                                                                            \
    X(writes)                                                                                      \
    X(writes_with_acks)                                                                            \
    X(acks_reached)                                                                                \
    X(acks_timed_out)                                                                              \
    X(relayed_batches)

struct world_counters {
#define WORLD_COUNTER_FIELD(name) uint64_t name;
    WORLD_COUNTERS(WORLD_COUNTER_FIELD)
#undef WORLD_COUNTER_FIELD
};

/* What happens next, and to whom. */
enum world_event_type {
    WORLD_LOG,      /* the log thread takes its next step */
    WORLD_SIGNED,   /* ticket; bytes: signature */
    WORLD_VERIFIED, /* ticket; flag: valid */
    WORLD_READ,     /* ticket; bytes: struct sim_read */
    WORLD_TICK,
    WORLD_FLUSH,
    WORLD_FRAME,     /* link; bytes: a packed Frame */
    WORLD_LINK_UP,   /* link */
    WORLD_LINK_DOWN, /* link */
    WORLD_RESTART,
    /* Of nobody in particular. */
    WORLD_DIAL,
    WORLD_WRITE,
    WORLD_FAULT,
    WORLD_MEND, /* link: which fault ends */
};

struct world_event {
    uint64_t at_us;
    uint64_t order; /* of two at the same time, the one scheduled first */
    enum world_event_type type;
    uint32_t instance;
    uint32_t life; /* of the instance; an event for an earlier one is void. 0: any */
    uint32_t link;
    uint64_t ticket;
    bool flag;
    uint8_t *bytes; /* freed with the event */
    size_t size;
};

struct world;

/* One run; ends the program where something must not happen. */
void world_run(uint64_t seed, uint64_t events, const struct osr_trace *trace,
               struct world_counters *ret_counters);

/* ---- for instances ---- */

struct osr_random *world_random(struct world *world);
uint64_t world_now_us(const struct world *world);
struct history *world_history(struct world *world);
struct world_counters *world_counters(struct world *world);
const struct osr_trace *world_trace(const struct world *world);
/* With delay_us from now; `event` is copied, its bytes are taken. */
void world_schedule(struct world *world, uint64_t delay_us, const struct world_event *event);
void world_send(struct world *world, uint32_t from, uint32_t link, const Osr__Frame *frame);
void world_close(struct world *world, uint32_t from, uint32_t link);
uint32_t world_other_end(const struct world *world, uint32_t from, uint32_t link);
/* The instance stops here and now, or the whole machine does. */
void world_crash(struct world *world, uint32_t instance);
/* Somebody on the way changes batches: being accused of that is fair. */
bool world_has_forger(const struct world *world);
/* The number of a feed, and back. */
size_t world_feed(const struct world *world, const struct osr_feed_id *id);
size_t world_feed_named(const struct world *world, const char *origin, const char *stream);
struct osr_feed_id world_feed_id(const struct world *world, size_t feed);
/* How many instances other than the origin have this entry where no crash can take it. */
size_t world_count_durable(const struct world *world, size_t feed, uint64_t sequence);
/* Answer to a write; writes are named by their token. */
void world_written(struct world *world, uint32_t instance, uint64_t token, enum osr_code code,
                   uint64_t first, uint32_t acks);
/* In ms since 1970, as this instance sees it. */
uint64_t world_clock_ms(const struct world *world, uint32_t instance);

/* A uniform delay. */
static inline uint64_t world_between(struct world *world, uint64_t low, uint64_t high)
{
    return low + osr_random_below(world_random(world), high - low + 1);
}

#endif
