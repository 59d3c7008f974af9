/* datagram_receiving.c -- the other direction of a datagram pipe: pieces are put together at their
 * offsets, however they come; what came is acknowledged by packet numbers. */
#include "adapter/datagram_internal.h"

enum {
    /* So many packets are acknowledged at once. */
    UNACKED_MAX = 2,
    /* The window is offered anew when so much more of it is free. */
    WINDOW_STEP_BYTES = OSR_PIPE_WINDOW_BYTES / 8,
};

void osr_receiving_init(struct osr_receiving *receiving)
{
    *receiving = (struct osr_receiving){.offered = OSR_PIPE_WINDOW_BYTES};
}

void osr_receiving_done(struct osr_receiving *receiving)
{
    osr_byte_ring_done(&receiving->bytes);
    osr_ranges_done(&receiving->pieces);
    osr_ranges_done(&receiving->numbers);
}

/* ---- a packet's number ---- */

bool osr_receiving_wants(const struct osr_receiving *receiving, const struct osr_packet *packet)
{
    if (packet->number < receiving->numbers_floor ||
        osr_ranges_has(&receiving->numbers, packet->number)) {
        return false;
    }
    if (receiving->pieces.count < OSR_PIPE_GAPS_MAX) {
        return true;
    }
    for (size_t i = 0; i < packet->piece_count; i++) {
        if (packet->pieces[i].offset > receiving->ready) {
            return false;
        }
    }
    return true;
}

static uint64_t expected_number(const struct osr_receiving *receiving)
{
    const struct osr_ranges *numbers = &receiving->numbers;
    return numbers->count > 0 ? numbers->items[numbers->count - 1].end : 0;
}

static void note_number(struct osr_receiving *receiving, uint64_t number)
{
    struct osr_ranges *numbers = &receiving->numbers;
    osr_ranges_add(numbers, number, number + 1);
    if (numbers->count > OSR_PIPE_RANGES_MAX) {
        receiving->numbers_floor = numbers->items[0].end;
        osr_ranges_remove(numbers, numbers->items[0].begin, numbers->items[0].end);
    }
}

void osr_receiving_note(struct osr_receiving *receiving, uint64_t now_us,
                        const struct osr_packet *packet)
{
    uint64_t expected = expected_number(receiving);
    if (packet->number >= expected) {
        receiving->largest_us = now_us;
    }
    note_number(receiving, packet->number);
    if ((packet->parts & OSR_PACKET_ASKS_FOR_ACK) == 0) {
        return;
    }
    receiving->unacked++;
    bool is_urgent = packet->number != expected || receiving->unacked >= UNACKED_MAX;
    if (is_urgent) {
        receiving->ack_us = now_us;
    } else if (receiving->unacked == 1) {
        receiving->ack_us = now_us + OSR_ACK_DELAY_US_MAX;
    }
}

void osr_receiving_add_ack(struct osr_receiving *receiving, uint64_t now_us,
                           struct osr_packet_writer *writer)
{
    uint64_t delay_us = now_us - receiving->largest_us;
    struct osr_packet_writer half = *writer; /* the other one is for what is to be sent */
    half.capacity = writer->capacity / 2;
    if (osr_packet_add_ack(&half, &receiving->numbers, delay_us)) {
        writer->size = half.size;
        receiving->unacked = 0;
    }
}

/* ---- its bytes ---- */

static int check_piece(const struct osr_receiving *receiving, const struct osr_packet_piece *piece,
                       struct osr_err *err)
{
    uint64_t end = piece->offset + piece->bytes.size;
    if (end > receiving->offered) {
        return osr_err_set(err, OSR_MALFORMED, "piece of a stream beyond its window");
    }
    if (receiving->has_end && end > receiving->end) {
        return osr_err_set(err, OSR_MALFORMED, "piece of a stream behind its end");
    }
    return 0;
}

/* Only what is not there yet: the first of two texts counts. */
static void put_new_bytes(struct osr_receiving *receiving, const struct osr_packet_piece *piece)
{
    uint64_t end = piece->offset + piece->bytes.size;
    uint64_t at = piece->offset > receiving->ready ? piece->offset : receiving->ready;
    struct osr_range gap;
    while (osr_ranges_next_gap(&receiving->pieces, &at, end, &gap)) {
        const uint8_t *bytes = piece->bytes.data + (gap.begin - piece->offset);
        osr_byte_ring_put(&receiving->bytes, gap.begin,
                          osr_slice(bytes, (size_t)(gap.end - gap.begin)));
    }
}

static void take_piece(struct osr_receiving *receiving, const struct osr_packet_piece *piece)
{
    uint64_t end = piece->offset + piece->bytes.size;
    if (end <= receiving->ready) {
        return;
    }
    uint64_t highest = end > receiving->highest ? end : receiving->highest;
    osr_byte_ring_reserve(&receiving->bytes, receiving->read, receiving->highest, highest);
    receiving->highest = highest;
    put_new_bytes(receiving, piece);
    if (piece->offset > receiving->ready) {
        osr_ranges_add(&receiving->pieces, piece->offset, end);
        return;
    }
    receiving->ready = end;
    osr_ranges_remove(&receiving->pieces, 0, end);
    const struct osr_ranges *pieces = &receiving->pieces;
    if (pieces->count > 0 && pieces->items[0].begin == end) {
        receiving->ready = pieces->items[0].end;
        osr_ranges_remove(&receiving->pieces, 0, receiving->ready);
    }
}

static int take_end(struct osr_receiving *receiving, uint64_t end, struct osr_err *err)
{
    bool is_another = receiving->has_end && receiving->end != end;
    if (is_another || end < receiving->highest || end > receiving->offered) {
        return osr_err_set(err, OSR_MALFORMED, "end of a stream where it cannot be");
    }
    receiving->has_end = true;
    receiving->end = end;
    return 0;
}

int osr_receiving_take(struct osr_receiving *receiving, const struct osr_packet *packet,
                       struct osr_err *err)
{
    for (size_t i = 0; i < packet->piece_count; i++) {
        int code = check_piece(receiving, &packet->pieces[i], err);
        if (code != 0) {
            return code;
        }
        take_piece(receiving, &packet->pieces[i]);
    }
    if ((packet->parts & OSR_PACKET_END) != 0) {
        return take_end(receiving, packet->end, err);
    }
    return 0;
}

/* ---- our owner takes them ---- */

size_t osr_receiving_read(struct osr_receiving *receiving, void *data, size_t bytes_max)
{
    uint64_t there = receiving->ready - receiving->read;
    size_t size = there < bytes_max ? (size_t)there : bytes_max;
    osr_byte_ring_get(&receiving->bytes, receiving->read, data, size);
    receiving->read += size;
    if (size > 0 && receiving->read == receiving->highest) {
        osr_byte_ring_rest(&receiving->bytes, OSR_PIPE_IDLE_RING_BYTES);
    }
    if (receiving->read + OSR_PIPE_WINDOW_BYTES - receiving->offered >= WINDOW_STEP_BYTES) {
        receiving->is_window_due = !receiving->has_end;
    }
    return size;
}

bool osr_receiving_add_window(struct osr_receiving *receiving, struct osr_packet_writer *writer)
{
    uint64_t offset = receiving->read + OSR_PIPE_WINDOW_BYTES;
    if (!receiving->is_window_due || !osr_packet_add_window(writer, offset)) {
        return false;
    }
    receiving->is_window_due = false;
    receiving->offered = offset;
    return true;
}
