/* datagram_outgoing.c -- the next packet of a datagram pipe: a probe of the path, or what is to be
 * acknowledged and sent, as soon as the congestion window lets it. */
#include "adapter/datagram_internal.h"

enum {
    /* From the second time-out in a row packets are small: large ones may not arrive any more. */
    TIMEOUTS_SMALL = 2,
};

/* ---- probes ---- */

/* The path is probed while there is traffic on it, and once a round trip is known. */
static size_t probe_bytes(const struct osr_datagram_pipe *pipe, uint64_t now_us)
{
    bool is_used = pipe->congestion.in_flight > 0 && pipe->congestion.has_round_trip;
    return is_used ? osr_datagram_search_probe_bytes(&pipe->search, now_us) : 0;
}

static size_t produce_probe(struct osr_datagram_pipe *pipe, uint64_t now_us, size_t bytes,
                            uint8_t *packet)
{
    struct osr_packet_writer writer;
    uint64_t number = osr_flight_take_number(pipe);
    osr_packet_begin(&writer, packet, bytes - pipe->overhead, number);
    osr_packet_add_padding(&writer);
    struct osr_sent sent = {
        .number = number,
        .sent_us = now_us,
        .bytes = (uint16_t)(writer.size + pipe->overhead),
        .parts = OSR_PACKET_PADDING | OSR_SENT_PROBE,
    };
    osr_datagram_search_note_probe(&pipe->search);
    osr_flight_add(pipe, now_us, sent);
    return writer.size;
}

/* ---- what is to be sent ---- */

/* When the next packet that asks for an acknowledgement may go; UINT64_MAX: there is none. */
static uint64_t content_due_us(const struct osr_datagram_pipe *pipe)
{
    const struct osr_sending *sending = &pipe->sending;
    if (pipe->flight.probes_due > 0) {
        return 0;
    }
    bool has_any = osr_sending_has_bytes(sending) || osr_sending_has_end(sending) ||
                   pipe->receiving.is_window_due;
    if (!has_any || !osr_flight_has_room(&pipe->flight)) {
        return UINT64_MAX;
    }
    return osr_congestion_release_us(&pipe->congestion);
}

/* Whether there would be more to send than the window allows: only then it grows. */
static void note_held_back(struct osr_datagram_pipe *pipe)
{
    pipe->congestion.is_full =
        osr_sending_has_bytes(&pipe->sending) && osr_flight_has_room(&pipe->flight);
}

static size_t datagram_bytes(const struct osr_datagram_pipe *pipe)
{
    return pipe->flight.timeouts >= TIMEOUTS_SMALL ? OSR_DATAGRAM_BYTES_MIN
                                                   : osr_datagram_search_bytes(&pipe->search);
}

/* At least something that asks for an acknowledgement. */
static void add_content(struct osr_datagram_pipe *pipe, uint64_t now_us, uint64_t number,
                        struct osr_packet_writer *writer)
{
    struct osr_range piece = {0, 0};
    unsigned parts = 0;
    if (osr_receiving_add_window(&pipe->receiving, writer)) {
        parts |= OSR_PACKET_WINDOW;
    }
    if (osr_sending_add_piece(&pipe->sending, writer, &piece)) {
        parts |= OSR_PACKET_PIECE;
    }
    if (osr_sending_add_end(&pipe->sending, writer)) {
        parts |= OSR_PACKET_END;
    }
    if (parts == 0) {
        writer->capacity = writer->size + 1;
        osr_packet_add_padding(writer);
        parts |= OSR_PACKET_PADDING;
    }
    struct osr_flight *flight = &pipe->flight;
    if (flight->probes_due > 0) {
        flight->probes_due--;
    }
    struct osr_sent sent = {
        .number = number,
        .sent_us = now_us,
        .offset = piece.begin,
        .length = (uint32_t)(piece.end - piece.begin),
        .bytes = (uint16_t)(writer->size + pipe->overhead),
        .parts = (uint8_t)parts,
    };
    osr_flight_add(pipe, now_us, sent);
}

/* ---- packets ---- */

static bool is_pong_due(const struct osr_datagram_pipe *pipe)
{
    return pipe->trial.is_pong_due && pipe->trial.pong_to == OSR_PIPE_PRESENT;
}

static size_t produce_regular(struct osr_datagram_pipe *pipe, uint64_t now_us, uint8_t *packet)
{
    struct osr_receiving *receiving = &pipe->receiving;
    bool is_ack_due = receiving->unacked > 0 && receiving->ack_us <= now_us;
    bool is_content_due = content_due_us(pipe) <= now_us;
    if (!is_content_due) {
        note_held_back(pipe);
    }
    if (!is_ack_due && !is_content_due && !is_pong_due(pipe)) {
        return 0;
    }
    struct osr_packet_writer writer;
    uint64_t number = osr_flight_take_number(pipe);
    osr_packet_begin(&writer, packet, datagram_bytes(pipe) - pipe->overhead, number);
    if (receiving->unacked > 0) {
        osr_receiving_add_ack(receiving, now_us, &writer);
    }
    if (is_pong_due(pipe)) {
        pipe->trial.is_pong_due = !osr_packet_add_pong(&writer, pipe->trial.pong);
    }
    if (is_content_due) {
        add_content(pipe, now_us, number, &writer);
    }
    return writer.size;
}

size_t osr_datagram_pipe_produce(struct osr_datagram_pipe *pipe, uint64_t now_us, uint8_t *packet,
                                 enum osr_pipe_path *ret_to)
{
    size_t size;
    if (osr_trial_fill(pipe, packet, &size)) {
        *ret_to = OSR_PIPE_TRIED;
        return size;
    }
    *ret_to = OSR_PIPE_PRESENT;
    size_t probe = probe_bytes(pipe, now_us);
    return probe > 0 ? produce_probe(pipe, now_us, probe, packet)
                     : produce_regular(pipe, now_us, packet);
}

/* ---- time ---- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t osr_datagram_pipe_deadline_us(const struct osr_datagram_pipe *pipe)
{
    if (pipe->trial.is_ping_due || pipe->trial.is_pong_due) {
        return 0;
    }
    uint64_t deadline_us = pipe->receiving.unacked > 0 ? pipe->receiving.ack_us : UINT64_MAX;
    deadline_us = earlier(deadline_us, content_due_us(pipe));
    return earlier(deadline_us, osr_flight_deadline_us(pipe));
}

int osr_datagram_pipe_pass_time(struct osr_datagram_pipe *pipe, uint64_t now_us,
                                struct osr_err *err)
{
    return osr_flight_pass_time(pipe, now_us, err);
}
