#include "adapter/datagram_congestion.h"

#include "adapter/datagram_pipe.h"

#include <assert.h>

enum {
    WINDOW_PACKETS_FIRST = 10,
    WINDOW_PACKETS_MIN = 2,
    /* What the other side takes, and its packets' heads: more is never under way. */
    WINDOW_BYTES_MAX = OSR_PIPE_WINDOW_BYTES * 2,
    BURST_PACKETS = 16,
    /* What a coarse timer of the owner misses is made up for. */
    BURST_NS_MIN = 1000 * 1000,
    TIMER_US = 1000,
    ROUND_TRIP_US_FIRST = 333 * 1000,
    /* Fewer packets than that in a queue are none. */
    QUEUE_PACKETS_MIN = 3,
};

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t window_min(const struct osr_congestion *congestion)
{
    return congestion->packet_bytes * WINDOW_PACKETS_MIN;
}

void osr_congestion_init(struct osr_congestion *congestion, size_t packet_bytes)
{
    *congestion = (struct osr_congestion){
        .packet_bytes = packet_bytes,
        .window = packet_bytes * WINDOW_PACKETS_FIRST,
        .threshold = UINT64_MAX,
        .smoothed_us = ROUND_TRIP_US_FIRST,
        .variance_us = ROUND_TRIP_US_FIRST / 2,
        .least_us = UINT64_MAX,
    };
}

void osr_congestion_resize(struct osr_congestion *congestion, size_t packet_bytes)
{
    congestion->packet_bytes = packet_bytes;
    congestion->window = most(congestion->window, window_min(congestion));
}

/* ---- pacing ---- */

/* How long `bytes` take at the pace: a quarter faster than the window in each round trip, as the
 * window would never be used up otherwise; twice as fast in slow start, where it doubles. */
static uint64_t pace_ns(const struct osr_congestion *congestion, uint64_t bytes)
{
    if (!congestion->has_round_trip) {
        return 0;
    }
    uint64_t a_round_trip = congestion->window < congestion->threshold
                                ? congestion->window * 2
                                : congestion->window + congestion->window / 4;
    return bytes * congestion->smoothed_us * 1000 / a_round_trip;
}

uint64_t osr_congestion_release_us(const struct osr_congestion *congestion)
{
    if (congestion->in_flight + congestion->packet_bytes > congestion->window) {
        return UINT64_MAX;
    }
    return (congestion->release_ns + 999) / 1000;
}

static void note_pace(struct osr_congestion *congestion, uint64_t now_us, size_t bytes)
{
    uint64_t burst_ns =
        most(pace_ns(congestion, congestion->packet_bytes * BURST_PACKETS), BURST_NS_MIN);
    uint64_t now_ns = now_us * 1000;
    uint64_t earliest_ns = now_ns > burst_ns ? now_ns - burst_ns : 0;
    congestion->release_ns = most(congestion->release_ns, earliest_ns) + pace_ns(congestion, bytes);
}

void osr_congestion_note_sent(struct osr_congestion *congestion, uint64_t now_us, size_t bytes)
{
    /* What was learned before a pause need not hold any more (RFC 5681, 4.1). */
    if (congestion->in_flight == 0 &&
        now_us - congestion->sent_us > osr_congestion_timeout_us(congestion)) {
        congestion->window =
            least(congestion->window, congestion->packet_bytes * WINDOW_PACKETS_FIRST);
    }
    note_pace(congestion, now_us, bytes);
    congestion->in_flight += bytes;
    congestion->sent_us = now_us;
}

/* ---- the round trip ---- */

void osr_congestion_note_round_trip(struct osr_congestion *congestion, uint64_t round_trip_us,
                                    uint64_t delay_us)
{
    congestion->latest_us = most(round_trip_us, 1);
    congestion->least_us = least(congestion->least_us, congestion->latest_us);
    if (!congestion->has_round_trip) {
        congestion->has_round_trip = true;
        congestion->smoothed_us = congestion->latest_us;
        congestion->variance_us = congestion->latest_us / 2;
        return;
    }
    uint64_t delay = least(delay_us, OSR_ACK_DELAY_US_MAX);
    uint64_t adjusted = congestion->latest_us;
    if (adjusted >= congestion->least_us + delay) {
        adjusted -= delay;
    }
    uint64_t smoothed = congestion->smoothed_us;
    uint64_t difference = smoothed > adjusted ? smoothed - adjusted : adjusted - smoothed;
    congestion->variance_us = (3 * congestion->variance_us + difference) / 4;
    congestion->smoothed_us = most((7 * smoothed + adjusted) / 8, 1);
}

uint64_t osr_congestion_loss_us(const struct osr_congestion *congestion)
{
    return most(most(congestion->smoothed_us, congestion->latest_us) * 9 / 8, TIMER_US);
}

uint64_t osr_congestion_timeout_us(const struct osr_congestion *congestion)
{
    return congestion->smoothed_us + most(4 * congestion->variance_us, TIMER_US) +
           OSR_ACK_DELAY_US_MAX;
}

/* ---- the window ---- */

void osr_congestion_note_gone(struct osr_congestion *congestion, size_t bytes)
{
    assert(congestion->in_flight >= bytes);
    congestion->in_flight -= bytes;
}

void osr_congestion_note_acked(struct osr_congestion *congestion, uint64_t sent_us, size_t bytes)
{
    osr_congestion_note_gone(congestion, bytes);
    if (sent_us < congestion->reduced_us || !congestion->is_full ||
        congestion->window >= WINDOW_BYTES_MAX) {
        return;
    }
    if (congestion->window < congestion->threshold) {
        congestion->window += bytes;
        return;
    }
    congestion->grown += bytes;
    if (congestion->grown >= congestion->window) {
        congestion->grown -= congestion->window;
        congestion->window += congestion->packet_bytes;
    }
}

/* By how much the round trip is longer than it can be, so much of the window waits somewhere. */
static bool is_queue_seen(const struct osr_congestion *congestion)
{
    uint64_t waiting_us = congestion->smoothed_us > congestion->least_us
                              ? congestion->smoothed_us - congestion->least_us
                              : 0;
    uint64_t waiting = congestion->window * waiting_us / congestion->smoothed_us;
    return waiting >= (uint64_t)congestion->packet_bytes * QUEUE_PACKETS_MIN;
}

void osr_congestion_note_lost(struct osr_congestion *congestion, uint64_t now_us, uint64_t sent_us,
                              size_t bytes)
{
    osr_congestion_note_gone(congestion, bytes);
    if (sent_us < congestion->reduced_us) {
        return;
    }
    congestion->reduced_us = now_us;
    uint64_t reduced =
        is_queue_seen(congestion) ? congestion->window / 2 : congestion->window / 8 * 7;
    congestion->window = most(reduced, window_min(congestion));
    congestion->threshold = congestion->window;
    congestion->grown = 0;
}

void osr_congestion_collapse(struct osr_congestion *congestion)
{
    congestion->window = window_min(congestion);
    congestion->reduced_us = 0;
    congestion->least_us = congestion->latest_us; /* the path may be another one now */
}
