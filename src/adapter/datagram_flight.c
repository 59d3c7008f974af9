/* datagram_flight.c -- the packets under way of a datagram pipe: acknowledged, lost, timed out (RFC
 * 9002). */
#include "adapter/datagram_internal.h"

#include <stdlib.h>

enum {
    SENT_CAPACITY_MIN = 64,
    LOST_AFTER_PACKETS = 3, /* RFC 9002, 6.1.1 */
    PROBES_A_TIMEOUT = 2,
    TIMEOUT_US_MAX = 1000 * 1000, /* no further doubling */
    COLLAPSE_TIMEOUTS = 3,        /* RFC 9002, 7.6.1 */
};

/* ---- packets under way ---- */

static struct osr_sent *sent_at(const struct osr_sending *sending, uint64_t index)
{
    return &sending->sent[index & (sending->sent_capacity - 1)];
}

static size_t sent_count(const struct osr_sending *sending)
{
    return (size_t)(sending->sent_behind - sending->sent_first);
}

static struct osr_sent *add_sent(struct osr_sending *sending)
{
    if (sent_count(sending) == sending->sent_capacity) {
        size_t capacity =
            sending->sent_capacity == 0 ? SENT_CAPACITY_MIN : sending->sent_capacity * 2;
        struct osr_sent *sent = osr_alloc_unset(capacity * sizeof(sent[0]));
        for (uint64_t i = sending->sent_first; i < sending->sent_behind; i++) {
            sent[i & (capacity - 1)] = *sent_at(sending, i);
        }
        free(sending->sent);
        sending->sent = sent;
        sending->sent_capacity = capacity;
    }
    return sent_at(sending, sending->sent_behind++);
}

bool osr_flight_has_room(const struct osr_sending *sending)
{
    return sent_count(sending) < sending->packets_max;
}

void osr_flight_add(struct osr_datagram_pipe *pipe, uint64_t now_us, struct osr_sent sent)
{
    struct osr_sending *sending = &pipe->sending;
    if (pipe->congestion.in_flight == 0) {
        sending->progress_us = now_us;
    }
    *add_sent(sending) = sent;
    sending->packets_sent++;
    osr_congestion_note_sent(&pipe->congestion, now_us, sent.bytes);
}

static void drop_resolved(struct osr_sending *sending)
{
    while (sending->sent_first < sending->sent_behind &&
           sent_at(sending, sending->sent_first)->state != OSR_SENT_UNDER_WAY) {
        sending->sent_first++;
    }
}

/* The first packet with that number or a higher one. */
static uint64_t find_sent(const struct osr_sending *sending, uint64_t number)
{
    uint64_t low = sending->sent_first;
    uint64_t high = sending->sent_behind;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (sent_at(sending, middle)->number < number) {
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
    if ((sent->parts & OSR_PACKET_END) != 0 && !pipe->sending.is_end_acked) {
        pipe->sending.is_end_due = true;
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
    pipe->sending.packets_lost++;
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
    struct osr_sending *sending = &pipe->sending;
    uint64_t patience_us = osr_congestion_loss_us(&pipe->congestion);
    struct loss_run run = {0};
    sending->loss_deadline_us = UINT64_MAX;
    for (uint64_t i = sending->sent_first; i < sending->sent_behind; i++) {
        struct osr_sent *sent = sent_at(sending, i);
        if (sent->number >= sending->acked_behind) {
            break;
        }
        if (sent->state == OSR_SENT_UNDER_WAY) {
            bool is_behind = sending->acked_behind - sent->number > LOST_AFTER_PACKETS;
            if (is_behind || sent->sent_us + patience_us <= now_us) {
                lose(pipe, now_us, sent);
            } else if (sent->sent_us + patience_us < sending->loss_deadline_us) {
                sending->loss_deadline_us = sent->sent_us + patience_us;
            }
        } else if (sent->state == OSR_SENT_ACKED) {
            osr_datagram_search_note_acked(&pipe->search, sent->bytes);
        }
        if (sent->state != OSR_SENT_UNDER_WAY) {
            note_in_run(&run, sent);
        }
    }
    drop_resolved(sending);
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
        pipe->sending.is_end_acked = true;
        pipe->sending.is_end_due = false;
    }
    if ((sent->parts & OSR_SENT_PROBE) != 0) {
        osr_datagram_search_note_probe_end(&pipe->search, now_us, sent->bytes, true);
        osr_congestion_resize(&pipe->congestion, osr_datagram_search_bytes(&pipe->search));
    }
}

/* Returns how many of the range had not been acknowledged before. */
static size_t take_range(struct osr_datagram_pipe *pipe, uint64_t now_us, struct osr_range range)
{
    struct osr_sending *sending = &pipe->sending;
    size_t news = 0;
    for (uint64_t i = find_sent(sending, range.begin); i < sending->sent_behind; i++) {
        struct osr_sent *sent = sent_at(sending, i);
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

static int check_ack(const struct osr_sending *sending, const struct osr_packet_ack *ack,
                     struct osr_err *err)
{
    bool is_future = ack->ranges[0].end > sending->next_number;
    for (size_t i = 0; i < ack->range_count && !is_future; i++) {
        const struct osr_range *range = &ack->ranges[i];
        is_future = range->begin <= sending->skipped_number && sending->skipped_number < range->end;
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
    uint64_t index = find_sent(&pipe->sending, number);
    if (index == pipe->sending.sent_behind) {
        return;
    }
    const struct osr_sent *sent = sent_at(&pipe->sending, index);
    if (sent->number == number && sent->state == OSR_SENT_UNDER_WAY) {
        osr_congestion_note_round_trip(&pipe->congestion, now_us - sent->sent_us, ack->delay_us);
    }
}

int osr_flight_take_ack(struct osr_datagram_pipe *pipe, uint64_t now_us,
                        const struct osr_packet_ack *ack, struct osr_err *err)
{
    struct osr_sending *sending = &pipe->sending;
    int code = check_ack(sending, ack, err);
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
    if (ack->ranges[0].end > sending->acked_behind) {
        sending->acked_behind = ack->ranges[0].end;
    }
    sending->progress_us = now_us;
    sending->timeouts = 0;
    sending->probes_due = 0;
    detect_lost(pipe, now_us);
    return 0;
}

/* ---- time ---- */

/* Doubled with each one in a row, up to a bound: a path that is back is soon noticed. */
static uint64_t timeout_deadline_us(const struct osr_datagram_pipe *pipe)
{
    uint64_t timeout_us = osr_congestion_timeout_us(&pipe->congestion);
    for (unsigned i = 0; i < pipe->sending.timeouts && timeout_us < TIMEOUT_US_MAX; i++) {
        timeout_us *= 2;
    }
    return pipe->congestion.sent_us + timeout_us;
}

static uint64_t silence_deadline_us(const struct osr_sending *sending)
{
    return sending->progress_us + (uint64_t)OSR_PIPE_SILENCE_MS * 1000;
}

uint64_t osr_flight_deadline_us(const struct osr_datagram_pipe *pipe)
{
    const struct osr_sending *sending = &pipe->sending;
    if (pipe->congestion.in_flight == 0) {
        return UINT64_MAX;
    }
    uint64_t deadline_us = silence_deadline_us(sending);
    uint64_t next_us = sending->loss_deadline_us;
    if (next_us == UINT64_MAX) {
        next_us = timeout_deadline_us(pipe);
    }
    return next_us < deadline_us ? next_us : deadline_us;
}

/* No answer: what went first goes again, and shows with the next acknowledgement what was lost. */
static void time_out(struct osr_datagram_pipe *pipe, uint64_t now_us)
{
    struct osr_sending *sending = &pipe->sending;
    sending->timeouts++;
    sending->probes_due = PROBES_A_TIMEOUT;
    unsigned again = 0;
    for (uint64_t i = sending->sent_first; i < sending->sent_behind && again < PROBES_A_TIMEOUT;
         i++) {
        struct osr_sent *sent = sent_at(sending, i);
        if (sent->state != OSR_SENT_UNDER_WAY) {
            continue;
        }
        again++;
        if (osr_flight_has_room(sending)) {
            send_again(pipe, sent);
        } else {
            lose(pipe, now_us, sent);
        }
    }
    drop_resolved(sending);
}

int osr_flight_pass_time(struct osr_datagram_pipe *pipe, uint64_t now_us, struct osr_err *err)
{
    struct osr_sending *sending = &pipe->sending;
    if (pipe->congestion.in_flight == 0) {
        return 0;
    }
    if (now_us >= silence_deadline_us(sending)) {
        return osr_err_set(err, OSR_TIMEOUT, "nothing was acknowledged for %d s",
                           OSR_PIPE_SILENCE_MS / 1000);
    }
    if (now_us >= sending->loss_deadline_us) {
        detect_lost(pipe, now_us);
    }
    if (pipe->congestion.in_flight > 0 && sending->loss_deadline_us == UINT64_MAX &&
        now_us >= timeout_deadline_us(pipe)) {
        time_out(pipe, now_us);
    }
    return 0;
}

void osr_flight_begin_anew(struct osr_datagram_pipe *pipe, uint64_t now_us)
{
    struct osr_sending *sending = &pipe->sending;
    for (uint64_t i = sending->sent_first; i < sending->sent_behind; i++) {
        struct osr_sent *sent = sent_at(sending, i);
        if (sent->state == OSR_SENT_UNDER_WAY) {
            sent->state = OSR_SENT_LOST;
            send_again(pipe, sent);
        }
    }
    drop_resolved(sending);
    sending->timeouts = 0;
    sending->probes_due = 0;
    sending->loss_deadline_us = UINT64_MAX;
    osr_datagram_search_init(&pipe->search, now_us);
    osr_congestion_init(&pipe->congestion, osr_datagram_search_bytes(&pipe->search));
}
