/* datagram_flight.c -- the packets under way of a datagram pipe: acknowledged, lost, timed out (RFC
 * 9002). What they carried is told what has become of it. */
#include "adapter/datagram_internal.h"

#include <stdlib.h>

enum {
    SENT_CAPACITY_MIN = 64,
    /* Numbers are skipped this far apart, plus up to as much again. */
    SKIP_PACKETS = 256,
    LOST_AFTER_PACKETS = 3, /* RFC 9002, 6.1.1 */
    PROBES_A_TIMEOUT = 2,
    TIMEOUT_US_MAX = 1000 * 1000, /* no further doubling */
    COLLAPSE_TIMEOUTS = 3,        /* RFC 9002, 7.6.1 */
};

void osr_flight_init(struct osr_flight *flight, size_t packets_max)
{
    enum { PACKETS_MAX = OSR_PIPE_WINDOW_BYTES / OSR_DATAGRAM_BYTES_MIN };
    *flight = (struct osr_flight){
        .packets_max = packets_max > 0 ? packets_max : PACKETS_MAX,
        .skipped_number = UINT64_MAX,
        .skip_countdown = SKIP_PACKETS,
        .loss_deadline_us = UINT64_MAX,
    };
}

void osr_flight_done(struct osr_flight *flight)
{
    free(flight->sent);
}

uint64_t osr_flight_take_number(struct osr_datagram_pipe *pipe)
{
    struct osr_flight *flight = &pipe->flight;
    if (flight->skip_countdown == 0) {
        flight->skip_countdown = SKIP_PACKETS + osr_random_below(&pipe->random, SKIP_PACKETS);
        flight->skipped_number = flight->next_number++;
    }
    flight->skip_countdown--;
    return flight->next_number++;
}

/* ---- packets under way ---- */

static struct osr_sent *sent_at(const struct osr_flight *flight, uint64_t index)
{
    return &flight->sent[index & (flight->sent_capacity - 1)];
}

static size_t sent_count(const struct osr_flight *flight)
{
    return (size_t)(flight->sent_behind - flight->sent_first);
}

static struct osr_sent *add_sent(struct osr_flight *flight)
{
    if (sent_count(flight) == flight->sent_capacity) {
        size_t capacity =
            flight->sent_capacity == 0 ? SENT_CAPACITY_MIN : flight->sent_capacity * 2;
        struct osr_sent *sent = osr_alloc_unset(capacity * sizeof(sent[0]));
        for (uint64_t i = flight->sent_first; i < flight->sent_behind; i++) {
            sent[i & (capacity - 1)] = *sent_at(flight, i);
        }
        free(flight->sent);
        flight->sent = sent;
        flight->sent_capacity = capacity;
    }
    return sent_at(flight, flight->sent_behind++);
}

bool osr_flight_has_room(const struct osr_flight *flight)
{
    return sent_count(flight) < flight->packets_max;
}

void osr_flight_add(struct osr_datagram_pipe *pipe, uint64_t now_us, struct osr_sent sent)
{
    struct osr_flight *flight = &pipe->flight;
    if (pipe->congestion.in_flight == 0) {
        flight->progress_us = now_us;
    }
    *add_sent(flight) = sent;
    flight->packets_sent++;
    osr_congestion_note_sent(&pipe->congestion, now_us, sent.bytes);
}

static void drop_resolved(struct osr_flight *flight)
{
    while (flight->sent_first < flight->sent_behind &&
           sent_at(flight, flight->sent_first)->state != OSR_SENT_UNDER_WAY) {
        flight->sent_first++;
    }
}

/* The first packet with that number or a higher one. */
static uint64_t find_sent(const struct osr_flight *flight, uint64_t number)
{
    uint64_t low = flight->sent_first;
    uint64_t high = flight->sent_behind;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (sent_at(flight, middle)->number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* What it carried goes again. */
static void send_again(struct osr_datagram_pipe *pipe, const struct osr_sent *sent)
{
    if ((sent->parts & OSR_PACKET_PIECE) != 0) {
        osr_sending_note_lost(&pipe->sending, sent->offset, sent->offset + sent->length);
    }
    if ((sent->parts & OSR_PACKET_END) != 0) {
        osr_sending_note_end_lost(&pipe->sending);
    }
    if ((sent->parts & OSR_PACKET_WINDOW) != 0) {
        pipe->receiving.is_window_due = !pipe->receiving.has_end;
    }
}

/* ---- lost ---- */

static void fall_back(struct osr_datagram_pipe *pipe)
{
    osr_congestion_resize(&pipe->congestion, osr_datagram_search_bytes(&pipe->search));
}

static void lose(struct osr_datagram_pipe *pipe, uint64_t now_us, struct osr_sent *sent)
{
    sent->state = OSR_SENT_LOST;
    if ((sent->parts & OSR_SENT_PROBE) != 0) {
        osr_congestion_note_gone(&pipe->congestion, sent->bytes);
        osr_datagram_search_note_probe_end(&pipe->search, now_us, sent->bytes, false);
        return;
    }
    pipe->flight.packets_lost++;
    send_again(pipe, sent);
    osr_congestion_note_lost(&pipe->congestion, now_us, sent->sent_us, sent->bytes);
    if (osr_datagram_search_note_lost(&pipe->search, now_us, sent->bytes)) {
        fall_back(pipe);
    }
}

/* Packets lost one after the other, by when they were sent. */
struct loss_run {
    bool is_on;
    uint64_t begin_us;
    uint64_t longest_us;
};

static void note_in_run(struct loss_run *run, const struct osr_sent *sent)
{
    if (sent->state == OSR_SENT_ACKED) {
        run->is_on = false;
    } else if (!run->is_on) {
        run->is_on = true;
        run->begin_us = sent->sent_us;
    } else if (sent->sent_us - run->begin_us > run->longest_us) {
        run->longest_us = sent->sent_us - run->begin_us;
    }
}

/* Those before the highest that was acknowledged: lost, or soon. */
static void detect_lost(struct osr_datagram_pipe *pipe, uint64_t now_us)
{
    struct osr_flight *flight = &pipe->flight;
    uint64_t patience_us = osr_congestion_loss_us(&pipe->congestion);
    struct loss_run run = {0};
    flight->loss_deadline_us = UINT64_MAX;
    for (uint64_t i = flight->sent_first; i < flight->sent_behind; i++) {
        struct osr_sent *sent = sent_at(flight, i);
        if (sent->number >= flight->acked_behind) {
            break;
        }
        if (sent->state == OSR_SENT_UNDER_WAY) {
            bool is_behind = flight->acked_behind - sent->number > LOST_AFTER_PACKETS;
            if (is_behind || sent->sent_us + patience_us <= now_us) {
                lose(pipe, now_us, sent);
            } else if (sent->sent_us + patience_us < flight->loss_deadline_us) {
                flight->loss_deadline_us = sent->sent_us + patience_us;
            }
        } else if (sent->state == OSR_SENT_ACKED) {
            osr_datagram_search_note_acked(&pipe->search, sent->bytes);
        }
        if (sent->state != OSR_SENT_UNDER_WAY) {
            note_in_run(&run, sent);
        }
    }
    drop_resolved(flight);
    if (run.longest_us > COLLAPSE_TIMEOUTS * osr_congestion_timeout_us(&pipe->congestion)) {
        osr_congestion_collapse(&pipe->congestion);
    }
}

/* ---- acknowledged ---- */

static void take_one_ack(struct osr_datagram_pipe *pipe, uint64_t now_us, struct osr_sent *sent)
{
    if (sent->state == OSR_SENT_UNDER_WAY) {
        osr_congestion_note_acked(&pipe->congestion, sent->sent_us, sent->bytes);
    }
    sent->state = OSR_SENT_ACKED;
    if ((sent->parts & OSR_PACKET_PIECE) != 0) {
        osr_sending_note_acked(&pipe->sending, sent->offset, sent->offset + sent->length);
    }
    if ((sent->parts & OSR_PACKET_END) != 0) {
        osr_sending_note_end_acked(&pipe->sending);
    }
    if ((sent->parts & OSR_SENT_PROBE) != 0) {
        osr_datagram_search_note_probe_end(&pipe->search, now_us, sent->bytes, true);
        osr_congestion_resize(&pipe->congestion, osr_datagram_search_bytes(&pipe->search));
    }
}

/* Returns how many of the range had not been acknowledged before. */
static size_t take_range(struct osr_datagram_pipe *pipe, uint64_t now_us, struct osr_range range)
{
    struct osr_flight *flight = &pipe->flight;
    size_t news = 0;
    for (uint64_t i = find_sent(flight, range.begin); i < flight->sent_behind; i++) {
        struct osr_sent *sent = sent_at(flight, i);
        if (sent->number >= range.end) {
            break;
        }
        if (sent->state != OSR_SENT_ACKED) {
            take_one_ack(pipe, now_us, sent);
            news++;
        }
    }
    return news;
}

static int check_ack(const struct osr_flight *flight, const struct osr_packet_ack *ack,
                     struct osr_err *err)
{
    bool is_future = ack->ranges[0].end > flight->next_number;
    for (size_t i = 0; i < ack->range_count && !is_future; i++) {
        const struct osr_range *range = &ack->ranges[i];
        is_future = range->begin <= flight->skipped_number && flight->skipped_number < range->end;
    }
    if (is_future) {
        return osr_err_set(err, OSR_MALFORMED, "acknowledgement of a packet that was never sent");
    }
    return 0;
}

/* The highest number gives the round trip, if it is new. */
static void measure(struct osr_datagram_pipe *pipe, uint64_t now_us,
                    const struct osr_packet_ack *ack)
{
    uint64_t number = ack->ranges[0].end - 1;
    uint64_t index = find_sent(&pipe->flight, number);
    if (index == pipe->flight.sent_behind) {
        return;
    }
    const struct osr_sent *sent = sent_at(&pipe->flight, index);
    if (sent->number == number && sent->state == OSR_SENT_UNDER_WAY) {
        osr_congestion_note_round_trip(&pipe->congestion, now_us - sent->sent_us, ack->delay_us);
    }
}

int osr_flight_take_ack(struct osr_datagram_pipe *pipe, uint64_t now_us,
                        const struct osr_packet_ack *ack, struct osr_err *err)
{
    struct osr_flight *flight = &pipe->flight;
    int code = check_ack(flight, ack, err);
    if (code != 0) {
        return code;
    }
    measure(pipe, now_us, ack);
    size_t news = 0;
    for (size_t i = 0; i < ack->range_count; i++) {
        news += take_range(pipe, now_us, ack->ranges[i]);
    }
    if (news == 0) {
        return 0;
    }
    if (ack->ranges[0].end > flight->acked_behind) {
        flight->acked_behind = ack->ranges[0].end;
    }
    flight->progress_us = now_us;
    flight->timeouts = 0;
    flight->probes_due = 0;
    detect_lost(pipe, now_us);
    return 0;
}

/* ---- time ---- */

/* Doubled with each one in a row, up to a bound: a path that is back is soon noticed. */
static uint64_t timeout_deadline_us(const struct osr_datagram_pipe *pipe)
{
    uint64_t timeout_us = osr_congestion_timeout_us(&pipe->congestion);
    for (unsigned i = 0; i < pipe->flight.timeouts && timeout_us < TIMEOUT_US_MAX; i++) {
        timeout_us *= 2;
    }
    return pipe->congestion.sent_us + timeout_us;
}

static uint64_t silence_deadline_us(const struct osr_flight *flight)
{
    return flight->progress_us + (uint64_t)OSR_PIPE_SILENCE_MS * 1000;
}

uint64_t osr_flight_deadline_us(const struct osr_datagram_pipe *pipe)
{
    const struct osr_flight *flight = &pipe->flight;
    if (pipe->congestion.in_flight == 0) {
        return UINT64_MAX;
    }
    uint64_t deadline_us = silence_deadline_us(flight);
    uint64_t next_us = flight->loss_deadline_us;
    if (next_us == UINT64_MAX) {
        next_us = timeout_deadline_us(pipe);
    }
    return next_us < deadline_us ? next_us : deadline_us;
}

/* No answer: what went first goes again, and shows with the next acknowledgement what was lost. */
static void time_out(struct osr_datagram_pipe *pipe, uint64_t now_us)
{
    struct osr_flight *flight = &pipe->flight;
    flight->timeouts++;
    flight->probes_due = PROBES_A_TIMEOUT;
    unsigned again = 0;
    for (uint64_t i = flight->sent_first; i < flight->sent_behind && again < PROBES_A_TIMEOUT;
         i++) {
        struct osr_sent *sent = sent_at(flight, i);
        if (sent->state != OSR_SENT_UNDER_WAY) {
            continue;
        }
        again++;
        if (osr_flight_has_room(flight)) {
            send_again(pipe, sent);
        } else {
            lose(pipe, now_us, sent);
        }
    }
    drop_resolved(flight);
}

int osr_flight_pass_time(struct osr_datagram_pipe *pipe, uint64_t now_us, struct osr_err *err)
{
    struct osr_flight *flight = &pipe->flight;
    if (pipe->congestion.in_flight == 0) {
        return 0;
    }
    if (now_us >= silence_deadline_us(flight)) {
        return osr_err_set(err, OSR_TIMEOUT, "nothing was acknowledged for %d s",
                           OSR_PIPE_SILENCE_MS / 1000);
    }
    if (now_us >= flight->loss_deadline_us) {
        detect_lost(pipe, now_us);
    }
    if (pipe->congestion.in_flight > 0 && flight->loss_deadline_us == UINT64_MAX &&
        now_us >= timeout_deadline_us(pipe)) {
        time_out(pipe, now_us);
    }
    return 0;
}

void osr_flight_begin_anew(struct osr_datagram_pipe *pipe, uint64_t now_us)
{
    struct osr_flight *flight = &pipe->flight;
    for (uint64_t i = flight->sent_first; i < flight->sent_behind; i++) {
        struct osr_sent *sent = sent_at(flight, i);
        if (sent->state == OSR_SENT_UNDER_WAY) {
            sent->state = OSR_SENT_LOST;
            send_again(pipe, sent);
        }
    }
    drop_resolved(flight);
    flight->timeouts = 0;
    flight->probes_due = 0;
    flight->loss_deadline_us = UINT64_MAX;
    osr_datagram_search_init(&pipe->search, now_us);
    osr_congestion_init(&pipe->congestion, osr_datagram_search_bytes(&pipe->search));
}
