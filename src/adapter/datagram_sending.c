/* datagram_sending.c -- our direction's bytes: what is written stays until it is acknowledged; what
 * a lost packet carried goes into a new one. */
#include "adapter/datagram_internal.h"

#include <assert.h>
#include <stdlib.h>

enum {
    /* Numbers are skipped this far apart, plus up to as much again. */
    SKIP_PACKETS = 256,
    /* From the second time-out in a row packets are small: large ones may not arrive any more. */
    TIMEOUTS_SMALL = 2,
};

void osr_sending_init(struct osr_datagram_pipe *pipe, size_t packets_max)
{
    enum { PACKETS_MAX = OSR_PIPE_WINDOW_BYTES / OSR_DATAGRAM_BYTES_MIN };
    pipe->sending = (struct osr_sending){
        .window = OSR_PIPE_WINDOW_BYTES,
        .packets_max = packets_max > 0 ? packets_max : PACKETS_MAX,
        .skipped_number = UINT64_MAX,
        .skip_countdown = SKIP_PACKETS,
        .loss_deadline_us = UINT64_MAX,
    };
}

void osr_sending_done(struct osr_sending *sending)
{
    osr_byte_ring_done(&sending->bytes);
    osr_ranges_done(&sending->acked);
    osr_ranges_done(&sending->lost);
    free(sending->sent);
}

uint64_t osr_sending_take_number(struct osr_datagram_pipe *pipe)
{
    struct osr_sending *sending = &pipe->sending;
    if (sending->skip_countdown == 0) {
        sending->skip_countdown = SKIP_PACKETS + osr_random_below(&pipe->random, SKIP_PACKETS);
        sending->skipped_number = sending->next_number++;
    }
    sending->skip_countdown--;
    return sending->next_number++;
}

/* ---- the stream ---- */

void osr_datagram_pipe_write(struct osr_datagram_pipe *pipe, struct osr_slice bytes)
{
    struct osr_sending *sending = &pipe->sending;
    assert(!sending->has_end);
    uint64_t end = sending->end + bytes.size;
    osr_byte_ring_reserve(&sending->bytes, sending->base, sending->end, end);
    osr_byte_ring_put(&sending->bytes, sending->end, bytes);
    sending->end = end;
}

void osr_datagram_pipe_end(struct osr_datagram_pipe *pipe)
{
    struct osr_sending *sending = &pipe->sending;
    if (!sending->has_end) {
        sending->has_end = true;
        sending->is_end_due = true;
    }
}

size_t osr_datagram_pipe_queued(const struct osr_datagram_pipe *pipe)
{
    return (size_t)(pipe->sending.end - pipe->sending.base);
}

bool osr_datagram_pipe_end_has_arrived(const struct osr_datagram_pipe *pipe)
{
    return pipe->sending.is_end_acked && pipe->sending.base == pipe->sending.end;
}

static bool has_bytes_to_send(const struct osr_sending *sending)
{
    return sending->lost.count > 0 ||
           (sending->next < sending->end && sending->next < sending->window);
}

static bool is_end_sendable(const struct osr_sending *sending)
{
    return sending->is_end_due && sending->next == sending->end;
}

void osr_sending_note_acked(struct osr_sending *sending, uint64_t begin, uint64_t end)
{
    uint64_t from = begin > sending->base ? begin : sending->base;
    if (from >= end) {
        return;
    }
    osr_ranges_remove(&sending->lost, from, end);
    osr_ranges_add(&sending->acked, from, end);
    if (sending->acked.items[0].begin > sending->base) {
        return;
    }
    sending->base = sending->acked.items[0].end;
    osr_ranges_remove(&sending->acked, 0, sending->base);
    if (sending->base == sending->end) {
        osr_byte_ring_rest(&sending->bytes, OSR_PIPE_IDLE_RING_BYTES);
    }
}

void osr_sending_note_lost(struct osr_sending *sending, uint64_t begin, uint64_t end)
{
    uint64_t at = begin > sending->base ? begin : sending->base;
    struct osr_range gap;
    while (OSR_GUARD_LOST_PIECES && osr_ranges_next_gap(&sending->acked, &at, end, &gap)) {
        osr_ranges_add(&sending->lost, gap.begin, gap.end);
    }
}

/* ---- into packets ---- */

uint64_t osr_sending_due_us(const struct osr_datagram_pipe *pipe)
{
    const struct osr_sending *sending = &pipe->sending;
    if (sending->probes_due > 0) {
        return 0;
    }
    bool has_any =
        has_bytes_to_send(sending) || is_end_sendable(sending) || pipe->receiving.is_window_due;
    if (!has_any || !osr_flight_has_room(sending)) {
        return UINT64_MAX;
    }
    return osr_congestion_release_us(&pipe->congestion);
}

void osr_sending_note_held_back(struct osr_datagram_pipe *pipe, bool is_sending)
{
    if (!is_sending) {
        pipe->congestion.is_full =
            has_bytes_to_send(&pipe->sending) && osr_flight_has_room(&pipe->sending);
    }
}

size_t osr_sending_datagram_bytes(const struct osr_datagram_pipe *pipe)
{
    return pipe->sending.timeouts >= TIMEOUTS_SMALL ? OSR_DATAGRAM_BYTES_MIN
                                                    : osr_datagram_search_bytes(&pipe->search);
}

/* What was lost first, then what was never sent. */
static bool add_piece(struct osr_sending *sending, struct osr_packet_writer *writer,
                      struct osr_sent *sent)
{
    bool is_again = sending->lost.count > 0;
    uint64_t begin = is_again ? sending->lost.items[0].begin : sending->next;
    uint64_t end = sending->end < sending->window ? sending->end : sending->window;
    if (is_again) {
        end = sending->lost.items[0].end;
    }
    if (begin >= end) {
        return false;
    }
    size_t size = osr_packet_room_for_piece(writer, begin, (size_t)(end - begin));
    if (size == 0) {
        return false;
    }
    osr_byte_ring_get(&sending->bytes, begin, osr_packet_add_piece(writer, begin, size), size);
    if (is_again) {
        osr_ranges_remove(&sending->lost, begin, begin + size);
    } else {
        sending->next += size;
    }
    sent->offset = begin;
    sent->length = (uint32_t)size;
    return true;
}

void osr_sending_fill(struct osr_datagram_pipe *pipe, uint64_t now_us, uint64_t number,
                      struct osr_packet_writer *writer)
{
    struct osr_sending *sending = &pipe->sending;
    struct osr_sent sent = {.number = number, .sent_us = now_us};
    unsigned parts = 0;
    if (osr_receiving_add_window(&pipe->receiving, writer)) {
        parts |= OSR_PACKET_WINDOW;
    }
    if (add_piece(sending, writer, &sent)) {
        parts |= OSR_PACKET_PIECE;
    }
    if (is_end_sendable(sending) && osr_packet_add_end(writer, sending->end)) {
        sending->is_end_due = false;
        parts |= OSR_PACKET_END;
    }
    if (parts == 0) {
        writer->capacity = writer->size + 1;
        osr_packet_add_padding(writer);
        parts |= OSR_PACKET_PADDING;
    }
    sent.bytes = (uint16_t)(writer->size + pipe->overhead);
    sent.parts = (uint8_t)parts;
    if (sending->probes_due > 0) {
        sending->probes_due--;
    }
    osr_flight_add(pipe, now_us, sent);
}

void osr_sending_fill_probe(struct osr_datagram_pipe *pipe, uint64_t now_us, uint64_t number,
                            struct osr_packet_writer *writer)
{
    osr_packet_add_padding(writer);
    struct osr_sent sent = {
        .number = number,
        .sent_us = now_us,
        .bytes = (uint16_t)(writer->size + pipe->overhead),
        .parts = OSR_PACKET_PADDING | OSR_SENT_PROBE,
    };
    osr_datagram_search_note_probe(&pipe->search);
    osr_flight_add(pipe, now_us, sent);
}
