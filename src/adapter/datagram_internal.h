/* datagram_internal.h -- what the files of the datagram pipe share. Each calls only those that
 * stand below it here:
 *
 *   datagram_pipe.c        makes and destroys it; one packet in, its figures
 *   datagram_outgoing.c    the next packet out, and when
 *   datagram_trial.c       the other address
 *   datagram_flight.c      the packets that are under way: acknowledged, lost, timed out
 *   datagram_sending.c     our direction's bytes, which they carry
 *   datagram_receiving.c   the other direction's bytes, what to acknowledge, how much to offer
 *   datagram_congestion.h  how much may be under way, and when
 *   datagram_search.h      how large a datagram may be
 *   datagram_packet.h      the form of a packet */
#ifndef OSR_ADAPTER_DATAGRAM_INTERNAL_H
#define OSR_ADAPTER_DATAGRAM_INTERNAL_H

#include "adapter/datagram_congestion.h"
#include "adapter/datagram_packet.h"
#include "adapter/datagram_pipe.h"
#include "adapter/datagram_search.h"
#include "base/byte_ring.h"
#include "base/random.h"
#include "base/ranges.h"

/* Guards that the simulation must miss when they are gone: building with -Dmutate=NAME turns
 * OSR_GUARD_NAME off. */
#ifdef OSR_MUTATE_LOST_PIECES
#define OSR_GUARD_LOST_PIECES 0
#else
#define OSR_GUARD_LOST_PIECES 1 /* what a lost packet carried is sent again */
#endif
#ifdef OSR_MUTATE_PATH_NONCE
#define OSR_GUARD_PATH_NONCE 0
#else
#define OSR_GUARD_PATH_NONCE 1 /* an address is used only after the nonce has come back from it */
#endif

enum {
    /* Rings of a pipe with nothing in them are given back if they are larger; smaller ones when
     * they have not been needed for a while, as a transfer empties and fills them all the time. */
    OSR_PIPE_IDLE_RING_BYTES = 1 << 20,
};

/* Of osr_sent.parts: a packet of a larger size than was found, with PADDING alone. */
enum { OSR_SENT_PROBE = 1 << 7 };

enum osr_sent_state { OSR_SENT_UNDER_WAY, OSR_SENT_ACKED, OSR_SENT_LOST };

/* A packet that asked for an acknowledgement. */
struct osr_sent {
    uint64_t number;
    uint64_t sent_us;
    uint64_t offset; /* of its piece */
    uint32_t length;
    uint16_t bytes; /* of the datagram */
    uint8_t parts;  /* enum osr_packet_part, without ACK, PING and PONG */
    uint8_t state;  /* enum osr_sent_state */
};
_Static_assert(sizeof(struct osr_sent) == 32, "there are thousands of them");
_Static_assert(OSR_DATAGRAM_BYTES_MAX <= UINT16_MAX, "of a datagram");

/* Our direction. Invariants: base <= next <= end, next <= window; each byte of base..next is in
 * `acked`, in `lost`, or in a packet under way (after a time-out in both of the last). */
struct osr_sending {
    struct osr_byte_ring bytes; /* base..end */
    uint64_t base;              /* acknowledged up to it */
    uint64_t next;              /* never sent from it on */
    uint64_t end;               /* written up to it */
    uint64_t window;            /* the peer takes up to it */
    struct osr_ranges acked;    /* behind base */
    struct osr_ranges lost;     /* to be sent again */
    bool has_end;
    bool is_end_due;
    bool is_end_acked;
};

/* The packets that ask for an acknowledgement, and the numbers of all. */
struct osr_flight {
    /* Those under way, and resolved ones between them, by rising number; a ring. */
    struct osr_sent *sent;
    size_t sent_capacity; /* 0 or a power of two */
    uint64_t sent_first;  /* counted from the pipe's beginning */
    uint64_t sent_behind;
    size_t packets_max;

    uint64_t next_number;
    uint64_t skipped_number;   /* never sent: who acknowledges it has not received what it says */
    uint64_t skip_countdown;   /* packets until the next one is skipped */
    uint64_t acked_behind;     /* the highest number acknowledged, plus 1 */
    uint64_t loss_deadline_us; /* the next packet under way counts as lost then */
    uint64_t progress_us;      /* something new was acknowledged, or the first was sent */
    unsigned timeouts;         /* in a row */
    unsigned probes_due;       /* packets to be sent whatever the window says */
    uint64_t packets_sent;
    uint64_t packets_lost;
};

/* The other direction. Invariants: read <= ready <= highest <= offered <= read + window. */
struct osr_receiving {
    struct osr_byte_ring bytes; /* read..highest */
    uint64_t read;              /* taken by our owner up to it */
    uint64_t ready;             /* without a gap up to it */
    uint64_t highest;
    uint64_t offered;         /* the peer may send up to it */
    struct osr_ranges pieces; /* behind ready */
    bool is_window_due;
    bool has_end;
    uint64_t end;

    struct osr_ranges numbers; /* of packets received; the highest ranges */
    uint64_t numbers_floor;    /* below it none is taken any more */
    uint64_t largest_us;       /* when the highest number came */
    size_t unacked;            /* packets that ask for an acknowledgement */
    uint64_t ack_us;           /* when it is to be sent, if unacked > 0 */
};

/* The other address. */
struct osr_path_trial {
    bool is_on;
    bool is_ping_due;
    bool has_switched; /* and our owner has not asked yet */
    uint8_t nonce[OSR_PIPE_NONCE_BYTES];
    uint64_t pinged_us;

    bool is_pong_due;
    enum osr_pipe_path pong_to;
    uint8_t pong[OSR_PIPE_NONCE_BYTES];
};

struct osr_datagram_pipe {
    size_t overhead;
    struct osr_random random;
    struct osr_congestion congestion;
    struct osr_datagram_search search;
    struct osr_sending sending;
    struct osr_flight flight;
    struct osr_receiving receiving;
    struct osr_path_trial trial;
};

/* ---- datagram_flight.c ---- */

void osr_flight_init(struct osr_flight *flight, size_t packets_max);
void osr_flight_done(struct osr_flight *flight);
uint64_t osr_flight_take_number(struct osr_datagram_pipe *pipe);
/* Another one may be under way. */
bool osr_flight_has_room(const struct osr_flight *flight);
void osr_flight_add(struct osr_datagram_pipe *pipe, uint64_t now_us, struct osr_sent sent);
int osr_flight_take_ack(struct osr_datagram_pipe *pipe, uint64_t now_us,
                        const struct osr_packet_ack *ack, struct osr_err *err);
uint64_t osr_flight_deadline_us(const struct osr_datagram_pipe *pipe);
int osr_flight_pass_time(struct osr_datagram_pipe *pipe, uint64_t now_us, struct osr_err *err);
/* All that is under way goes again, over another path. */
void osr_flight_begin_anew(struct osr_datagram_pipe *pipe, uint64_t now_us);

/* ---- datagram_sending.c ---- */

void osr_sending_init(struct osr_sending *sending);
void osr_sending_done(struct osr_sending *sending);
bool osr_sending_has_bytes(const struct osr_sending *sending); /* that the peer takes now */
bool osr_sending_has_end(const struct osr_sending *sending);   /* to be sent, all else was sent */
/* What was lost first, then what was never sent; false: there is nothing, or no room for it. */
bool osr_sending_add_piece(struct osr_sending *sending, struct osr_packet_writer *writer,
                           struct osr_range *ret_piece);
bool osr_sending_add_end(struct osr_sending *sending, struct osr_packet_writer *writer);
/* Bytes that a packet carried: at most what was sent. */
void osr_sending_note_acked(struct osr_sending *sending, uint64_t begin, uint64_t end);
/* What of them has not been acknowledged in the meantime goes again. */
void osr_sending_note_lost(struct osr_sending *sending, uint64_t begin, uint64_t end);
void osr_sending_note_end_acked(struct osr_sending *sending);
void osr_sending_note_end_lost(struct osr_sending *sending);

/* ---- datagram_receiving.c ---- */

void osr_receiving_init(struct osr_receiving *receiving);
void osr_receiving_done(struct osr_receiving *receiving);
/* False: it has come before, or there is no room for what it brings now; it is not looked at. */
bool osr_receiving_wants(const struct osr_receiving *receiving, const struct osr_packet *packet);
/* Its pieces and its end, if it is wanted. */
int osr_receiving_take(struct osr_receiving *receiving, const struct osr_packet *packet,
                       struct osr_err *err);
/* That it has come. */
void osr_receiving_note(struct osr_receiving *receiving, uint64_t now_us,
                        const struct osr_packet *packet);
void osr_receiving_add_ack(struct osr_receiving *receiving, uint64_t now_us,
                           struct osr_packet_writer *writer);
bool osr_receiving_add_window(struct osr_receiving *receiving, struct osr_packet_writer *writer);
size_t osr_receiving_read(struct osr_receiving *receiving, void *data, size_t bytes_max);

/* ---- datagram_trial.c ---- */

void osr_trial_note(struct osr_datagram_pipe *pipe, uint64_t now_us, enum osr_pipe_path from,
                    const struct osr_packet *packet);
/* A packet with our PING for the other address, or the PONG for it; false: none is due. */
bool osr_trial_fill(struct osr_datagram_pipe *pipe, uint8_t *packet, size_t *ret_size);

#endif
