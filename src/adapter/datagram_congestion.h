/* datagram_congestion.h -- how much a datagram pipe may have under way, and how fast it goes out:
 * round trip and time-outs as in RFC 9002, slow start and a window that grows by one packet a round
 * trip as in RFC 5681, shrinking once a round trip at most, and pacing (RFC 8085, 3.1).
 *
 * A loss halves the window where packets wait in a queue on the way; where the round trip shows
 * that none does, it says little about congestion (radio, a bad cable), and costs an eighth (as TCP
 * Veno, Fu and Liew 2003). */
#ifndef OSR_ADAPTER_DATAGRAM_CONGESTION_H
#define OSR_ADAPTER_DATAGRAM_CONGESTION_H

#include "base/bytes.h"

enum {
    OSR_ACK_DELAY_US_MAX = 5 * 1000, /* an acknowledgement waits so long for company at most */
};

struct osr_congestion {
    size_t packet_bytes; /* of a full datagram */
    uint64_t in_flight;  /* bytes sent, neither acknowledged nor lost */
    uint64_t window;     /* bytes that may be */
    uint64_t threshold;  /* bytes: slow start ends here */
    uint64_t grown;      /* bytes acknowledged towards the next growth behind the threshold */
    uint64_t reduced_us; /* losses of packets sent before it have been answered */
    uint64_t sent_us;    /* the last time */
    bool is_full;        /* there was more to send than it allowed */
    uint64_t release_ns; /* when pacing lets the next packet go */

    bool has_round_trip;
    uint64_t latest_us;
    uint64_t smoothed_us;
    uint64_t variance_us;
    uint64_t least_us;
};

void osr_congestion_init(struct osr_congestion *congestion, size_t packet_bytes);
void osr_congestion_resize(struct osr_congestion *congestion, size_t packet_bytes);

/* When a full packet may go; UINT64_MAX: not before something else happens. */
uint64_t osr_congestion_release_us(const struct osr_congestion *congestion);
void osr_congestion_note_sent(struct osr_congestion *congestion, uint64_t now_us, size_t bytes);
void osr_congestion_note_round_trip(struct osr_congestion *congestion, uint64_t round_trip_us,
                                    uint64_t delay_us);
void osr_congestion_note_acked(struct osr_congestion *congestion, uint64_t sent_us, size_t bytes);
/* Gone, but no sign of congestion: it was too large, or its path is no longer used. */
void osr_congestion_note_gone(struct osr_congestion *congestion, size_t bytes);
void osr_congestion_note_lost(struct osr_congestion *congestion, uint64_t now_us, uint64_t sent_us,
                              size_t bytes);
/* All that was sent for several time-outs is lost. */
void osr_congestion_collapse(struct osr_congestion *congestion);

/* How long after a later one's acknowledgement a packet counts as lost. */
uint64_t osr_congestion_loss_us(const struct osr_congestion *congestion);
/* How long after the last packet an acknowledgement should have come. */
uint64_t osr_congestion_timeout_us(const struct osr_congestion *congestion);

#endif
