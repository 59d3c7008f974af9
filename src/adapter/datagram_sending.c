/* datagram_sending.c -- our direction's bytes: what is written stays until it is acknowledged; what
 * a lost packet carried goes into a new one. */
#include "adapter/datagram_internal.h"

#include <assert.h>

void osr_sending_init(struct osr_sending *sending)
{
    *sending = (struct osr_sending){.window = OSR_PIPE_WINDOW_BYTES};
}

void osr_sending_done(struct osr_sending *sending)
{
    osr_byte_ring_done(&sending->bytes);
    osr_ranges_done(&sending->acked);
    osr_ranges_done(&sending->lost);
}

/* ---- our owner writes ---- */

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

/* ---- what has become of it ---- */

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

void osr_sending_note_end_acked(struct osr_sending *sending)
{
    sending->is_end_acked = true;
    sending->is_end_due = false;
}

void osr_sending_note_end_lost(struct osr_sending *sending)
{
    sending->is_end_due = !sending->is_end_acked;
}

/* ---- into packets ---- */

bool osr_sending_has_bytes(const struct osr_sending *sending)
{
    return sending->lost.count > 0 ||
           (sending->next < sending->end && sending->next < sending->window);
}

bool osr_sending_has_end(const struct osr_sending *sending)
{
    return sending->is_end_due && sending->next == sending->end;
}

bool osr_sending_add_piece(struct osr_sending *sending, struct osr_packet_writer *writer,
                           struct osr_range *ret_piece)
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
    *ret_piece = (struct osr_range){begin, begin + size};
    return true;
}

bool osr_sending_add_end(struct osr_sending *sending, struct osr_packet_writer *writer)
{
    if (!osr_sending_has_end(sending) || !osr_packet_add_end(writer, sending->end)) {
        return false;
    }
    sending->is_end_due = false;
    return true;
}
