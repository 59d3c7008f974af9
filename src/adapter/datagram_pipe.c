#include "adapter/datagram_internal.h"

#include <assert.h>
#include <stdlib.h>

struct osr_datagram_pipe *osr_datagram_pipe_create(const struct osr_datagram_pipe_options *options)
{
    assert(options->overhead < OSR_DATAGRAM_BYTES_MIN / 2);
    struct osr_datagram_pipe *pipe = osr_alloc(sizeof(*pipe));
    pipe->overhead = options->overhead;
    osr_random_init(&pipe->random, options->seed);
    osr_datagram_search_init(&pipe->search, options->now_us);
    osr_congestion_init(&pipe->congestion, osr_datagram_search_bytes(&pipe->search));
    osr_sending_init(pipe, options->packets_max);
    osr_receiving_init(&pipe->receiving);
    return pipe;
}

void osr_datagram_pipe_destroy(struct osr_datagram_pipe *pipe)
{
    if (pipe == NULL) {
        return;
    }
    osr_sending_done(&pipe->sending);
    osr_receiving_done(&pipe->receiving);
    free(pipe);
}

/* ---- packets in ---- */

int osr_datagram_pipe_receive(struct osr_datagram_pipe *pipe, uint64_t now_us,
                              enum osr_pipe_path from, struct osr_slice bytes, struct osr_err *err)
{
    struct osr_packet packet;
    int code = osr_packet_decode(bytes, &packet, err);
    if (code != 0 || !osr_receiving_wants(&pipe->receiving, &packet)) {
        return code;
    }
    code = osr_receiving_take(&pipe->receiving, &packet, err);
    if (code != 0) {
        return code;
    }
    osr_receiving_note(&pipe->receiving, now_us, &packet);
    if ((packet.parts & OSR_PACKET_ACK) != 0) {
        code = osr_flight_take_ack(pipe, now_us, &packet.ack, err);
        if (code != 0) {
            return code;
        }
    }
    if ((packet.parts & OSR_PACKET_WINDOW) != 0 && packet.window > pipe->sending.window) {
        pipe->sending.window = packet.window;
    }
    osr_trial_note(pipe, now_us, from, &packet);
    return 0;
}

/* ---- packets out ---- */

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
    uint64_t number = osr_sending_take_number(pipe);
    osr_packet_begin(&writer, packet, bytes - pipe->overhead, number);
    osr_sending_fill_probe(pipe, now_us, number, &writer);
    return writer.size;
}

static bool is_pong_due(const struct osr_datagram_pipe *pipe)
{
    return pipe->trial.is_pong_due && pipe->trial.pong_to == OSR_PIPE_PRESENT;
}

static size_t produce_regular(struct osr_datagram_pipe *pipe, uint64_t now_us, uint8_t *packet)
{
    struct osr_receiving *receiving = &pipe->receiving;
    bool is_ack_due = receiving->unacked > 0 && receiving->ack_us <= now_us;
    bool is_more_due = osr_sending_due_us(pipe) <= now_us;
    osr_sending_note_held_back(pipe, is_more_due);
    if (!is_ack_due && !is_more_due && !is_pong_due(pipe)) {
        return 0;
    }
    struct osr_packet_writer writer;
    uint64_t number = osr_sending_take_number(pipe);
    osr_packet_begin(&writer, packet, osr_sending_datagram_bytes(pipe) - pipe->overhead, number);
    if (receiving->unacked > 0) {
        osr_receiving_add_ack(receiving, now_us, &writer);
    }
    if (is_pong_due(pipe)) {
        pipe->trial.is_pong_due = !osr_packet_add_pong(&writer, pipe->trial.pong);
    }
    if (is_more_due) {
        osr_sending_fill(pipe, now_us, number, &writer);
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
    deadline_us = earlier(deadline_us, osr_sending_due_us(pipe));
    return earlier(deadline_us, osr_flight_deadline_us(pipe));
}

int osr_datagram_pipe_pass_time(struct osr_datagram_pipe *pipe, uint64_t now_us,
                                struct osr_err *err)
{
    return osr_flight_pass_time(pipe, now_us, err);
}

/* ---- the stream ---- */

size_t osr_datagram_pipe_read(struct osr_datagram_pipe *pipe, void *data, size_t bytes_max)
{
    return osr_receiving_read(&pipe->receiving, data, bytes_max);
}

bool osr_datagram_pipe_peer_has_ended(const struct osr_datagram_pipe *pipe)
{
    return pipe->receiving.has_end && pipe->receiving.read == pipe->receiving.end;
}

void osr_datagram_pipe_state(const struct osr_datagram_pipe *pipe,
                             struct osr_datagram_pipe_state *ret_state)
{
    const struct osr_sending *sending = &pipe->sending;
    const struct osr_receiving *receiving = &pipe->receiving;
    size_t ranges = sending->acked.capacity + sending->lost.capacity + receiving->pieces.capacity +
                    receiving->numbers.capacity;
    *ret_state = (struct osr_datagram_pipe_state){
        .datagram_bytes = osr_datagram_search_bytes(&pipe->search),
        .window_bytes = pipe->congestion.window,
        .round_trip_us = pipe->congestion.has_round_trip ? pipe->congestion.smoothed_us : 0,
        .packets_sent = sending->packets_sent,
        .packets_lost = sending->packets_lost,
        .memory_bytes = sizeof(*pipe) + sending->bytes.capacity + receiving->bytes.capacity +
                        ranges * sizeof(struct osr_range) +
                        sending->sent_capacity * sizeof(struct osr_sent),
    };
}
