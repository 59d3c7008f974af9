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
    osr_sending_init(&pipe->sending);
    osr_flight_init(&pipe->flight, options->packets_max);
    osr_receiving_init(&pipe->receiving);
    return pipe;
}

void osr_datagram_pipe_destroy(struct osr_datagram_pipe *pipe)
{
    if (pipe == NULL) {
        return;
    }
    osr_sending_done(&pipe->sending);
    osr_flight_done(&pipe->flight);
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
    const struct osr_flight *flight = &pipe->flight;
    const struct osr_receiving *receiving = &pipe->receiving;
    size_t ranges = sending->acked.capacity + sending->lost.capacity + receiving->pieces.capacity +
                    receiving->numbers.capacity;
    *ret_state = (struct osr_datagram_pipe_state){
        .datagram_bytes = osr_datagram_search_bytes(&pipe->search),
        .window_bytes = pipe->congestion.window,
        .round_trip_us = pipe->congestion.has_round_trip ? pipe->congestion.smoothed_us : 0,
        .packets_sent = flight->packets_sent,
        .packets_lost = flight->packets_lost,
        .memory_bytes = sizeof(*pipe) + sending->bytes.capacity + receiving->bytes.capacity +
                        ranges * sizeof(struct osr_range) +
                        flight->sent_capacity * sizeof(struct osr_sent),
    };
}
