/* datagram_pipe.h -- bytes in order over datagrams that get lost, doubled and reordered. No socket,
 * no clock, no cryptography: who owns it gives the time, and packets that were authenticated and
 * decrypted; each packet that it makes goes into one datagram. Both sides run the same code.
 *
 * A packet has a number that is never used again, and holds pieces of the stream (offset, bytes),
 * acknowledgements (ranges of packet numbers), how far the other side may send, the end of a
 * direction, PING and PONG with a nonce, and padding where the path is probed for its datagram
 * size. The form is written down in proto/protocol.md. What is lost is found by its number (RFC
 * 9002: three later ones acknowledged, or a time-out), and its pieces go into new packets; a sender
 * keeps within a congestion window (RFC 5681, with one reduction a round trip) and spreads it over
 * the round trip (RFC 8085, 3.1); the receiver keeps what came too early, within its window.
 *
 * Path: begins with packets that fit where datagrams of 576 bytes do, and probes larger ones (RFC
 * 8899); where large ones stop to arrive it falls back. A packet that comes from another address
 * counts, but is answered at the old one, until a PING's nonce that was sent to the new one comes
 * back from there.
 *
 * Failures: MALFORMED: the peer breaks the form or its limits (more than was offered, two different
 * texts at one offset are not compared: the first one counts; an acknowledgement of what was never
 * sent); TIMEOUT: nothing was acknowledged for OSR_PIPE_SILENCE_MS though something should have
 * been. Both end it for good. */
#ifndef OSR_ADAPTER_DATAGRAM_PIPE_H
#define OSR_ADAPTER_DATAGRAM_PIPE_H

#include "base/bytes.h"
#include "base/error.h"

enum {
    /* UDP payloads that are tried, DTLS and our header included: the least that always fits, and
     * the most (one DTLS record). */
    OSR_DATAGRAM_BYTES_MIN = 548,
    OSR_DATAGRAM_BYTES_MAX = 16 << 10,
    /* Received and not yet read, and what came too early: what the other side may send beyond what
     * was read. */
    OSR_PIPE_WINDOW_BYTES = 4 << 20,
    /* Gaps in what was received: past it a packet with a piece behind another gap is dropped and
     * not acknowledged, so that it comes again. Stops a peer that sends every second byte. */
    OSR_PIPE_GAPS_MAX = 4096,
    OSR_PIPE_RANGES_MAX = 64, /* of packet numbers, in one acknowledgement */
    OSR_PIPE_SILENCE_MS = 15 * 1000,
    OSR_PIPE_NONCE_BYTES = 8,
};

struct osr_datagram_pipe;

struct osr_datagram_pipe_options {
    uint64_t seed;      /* for jitter and nonces of probes: random in a process, fixed in a test */
    uint64_t now_us;    /* monotonic, as everywhere below */
    size_t overhead;    /* of a datagram's bytes, what its owner adds around a packet */
    size_t packets_max; /* sent and not acknowledged; 0: a default fit for OSR_PIPE_WINDOW_BYTES */
};

struct osr_datagram_pipe *osr_datagram_pipe_create(const struct osr_datagram_pipe_options *options);
void osr_datagram_pipe_destroy(struct osr_datagram_pipe *pipe); /* NULL is a no-op */

/* ---- packets ---- */

/* Where a packet came from, and where one is to go: the address in use, or the one that is tried.
 */
enum osr_pipe_path { OSR_PIPE_PRESENT, OSR_PIPE_TRIED };

/* One packet from the peer. */
int osr_datagram_pipe_receive(struct osr_datagram_pipe *pipe, uint64_t now_us,
                              enum osr_pipe_path from, struct osr_slice packet,
                              struct osr_err *err);
/* The next packet that may be sent now, into `packet` (OSR_DATAGRAM_BYTES_MAX bytes); 0: none. */
size_t osr_datagram_pipe_produce(struct osr_datagram_pipe *pipe, uint64_t now_us, uint8_t *packet,
                                 enum osr_pipe_path *ret_to);
/* When to call osr_datagram_pipe_pass_time and then produce until there is none, if nothing happens
 * before; UINT64_MAX: never. Packets that came, writing, reading and ending change it: something
 * may be due at once after them (0, or a time that is over). */
uint64_t osr_datagram_pipe_deadline_us(const struct osr_datagram_pipe *pipe);
int osr_datagram_pipe_pass_time(struct osr_datagram_pipe *pipe, uint64_t now_us,
                                struct osr_err *err);

/* ---- the stream ---- */

void osr_datagram_pipe_write(struct osr_datagram_pipe *pipe, struct osr_slice bytes); /* copied */
void osr_datagram_pipe_end(
    struct osr_datagram_pipe *pipe); /* of our direction, behind all written */
size_t osr_datagram_pipe_queued(const struct osr_datagram_pipe *pipe); /* not yet acknowledged */
size_t osr_datagram_pipe_read(struct osr_datagram_pipe *pipe, void *data, size_t bytes_max);
/* The other direction has ended, and all of it was read. */
bool osr_datagram_pipe_peer_has_ended(const struct osr_datagram_pipe *pipe);
/* Our end has been acknowledged, with all before it. */
bool osr_datagram_pipe_end_has_arrived(const struct osr_datagram_pipe *pipe);

/* ---- the path ---- */

/* Packets come from another address, which is not used yet: a PING with this nonce
 * (OSR_PIPE_NONCE_BYTES, random) goes to OSR_PIPE_TRIED, and again with the next of them, at most
 * once a round trip. Another trial replaces it. */
void osr_datagram_pipe_try_path(struct osr_datagram_pipe *pipe, uint64_t now_us,
                                const uint8_t *nonce);
/* True once after its PONG came from there: that is the present one now; window, round trip and
 * datagram size begin anew. */
bool osr_datagram_pipe_take_path(struct osr_datagram_pipe *pipe);

struct osr_datagram_pipe_state {
    size_t datagram_bytes; /* found for the path, overhead included */
    uint64_t window_bytes; /* that may be under way */
    uint64_t round_trip_us;
    uint64_t packets_sent, packets_lost;
    size_t memory_bytes; /* held now */
};
void osr_datagram_pipe_state(const struct osr_datagram_pipe *pipe,
                             struct osr_datagram_pipe_state *ret_state);

#endif
