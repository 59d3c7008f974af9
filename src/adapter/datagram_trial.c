/* datagram_trial.c -- the peer's packets come from another address: somebody who only repeats them
 * from there would draw ours, so it has to show first that it reads what is sent there. */
#include "adapter/datagram_internal.h"

/* Tries are this far apart at least, also where the round trip is very short. */
enum { PING_US_MIN = 10 * 1000 };

void osr_datagram_pipe_try_path(struct osr_datagram_pipe *pipe, uint64_t now_us,
                                const uint8_t *nonce)
{
    struct osr_path_trial *trial = &pipe->trial;
    trial->is_on = true;
    trial->is_ping_due = true;
    trial->pinged_us = now_us;
    memcpy(trial->nonce, nonce, OSR_PIPE_NONCE_BYTES);
}

bool osr_datagram_pipe_take_path(struct osr_datagram_pipe *pipe)
{
    bool has_switched = pipe->trial.has_switched;
    pipe->trial.has_switched = false;
    return has_switched;
}

static bool is_answer(const struct osr_path_trial *trial, enum osr_pipe_path from,
                      const struct osr_packet *packet)
{
    if (!trial->is_on || from != OSR_PIPE_TRIED) {
        return false;
    }
    bool is_nonce = (packet->parts & OSR_PACKET_PONG) != 0 &&
                    memcmp(packet->pong, trial->nonce, OSR_PIPE_NONCE_BYTES) == 0;
    return is_nonce || !OSR_GUARD_PATH_NONCE;
}

static void switch_path(struct osr_datagram_pipe *pipe, uint64_t now_us)
{
    pipe->trial.is_on = false;
    pipe->trial.is_ping_due = false;
    pipe->trial.has_switched = true;
    pipe->trial.pong_to = OSR_PIPE_PRESENT;
    osr_flight_begin_anew(pipe, now_us);
}

static bool is_round_trip_over(const struct osr_datagram_pipe *pipe, uint64_t now_us)
{
    uint64_t round_trip_us = pipe->congestion.smoothed_us;
    uint64_t pause_us = round_trip_us > PING_US_MIN ? round_trip_us : PING_US_MIN;
    return now_us - pipe->trial.pinged_us >= pause_us;
}

void osr_trial_note(struct osr_datagram_pipe *pipe, uint64_t now_us, enum osr_pipe_path from,
                    const struct osr_packet *packet)
{
    struct osr_path_trial *trial = &pipe->trial;
    if ((packet->parts & OSR_PACKET_PING) != 0) {
        trial->is_pong_due = true;
        trial->pong_to = from;
        memcpy(trial->pong, packet->ping, OSR_PIPE_NONCE_BYTES);
    }
    if (is_answer(trial, from, packet)) {
        switch_path(pipe, now_us);
    } else if (trial->is_on && from == OSR_PIPE_TRIED && is_round_trip_over(pipe, now_us)) {
        trial->is_ping_due = true;
        trial->pinged_us = now_us;
    }
}

bool osr_trial_fill(struct osr_datagram_pipe *pipe, uint8_t *packet, size_t *ret_size)
{
    struct osr_path_trial *trial = &pipe->trial;
    bool is_pong_due = trial->is_pong_due && trial->pong_to == OSR_PIPE_TRIED;
    if (!trial->is_ping_due && !is_pong_due) {
        return false;
    }
    struct osr_packet_writer writer;
    osr_packet_begin(&writer, packet, OSR_DATAGRAM_BYTES_MIN - pipe->overhead,
                     osr_flight_take_number(pipe));
    if (trial->is_ping_due) {
        trial->is_ping_due = !osr_packet_add_ping(&writer, trial->nonce);
    }
    if (is_pong_due) {
        trial->is_pong_due = !osr_packet_add_pong(&writer, trial->pong);
    }
    *ret_size = writer.size;
    return true;
}
