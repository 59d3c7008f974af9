/* datagram_packet.h -- the form of one packet of a datagram pipe (datagram_pipe.h), as bytes.
 *
 *     packet := number part*
 *     part   := PADDING 0 | any bytes, up to the packet's end: asks for an acknowledgement
 *             | PIECE   1 | offset | size | so many bytes of the stream
 *             | ACK     2 | largest | delay | count | first | (gap | length) count times
 *             | WINDOW  3 | offset: the stream may be sent up to it
 *             | END     4 | offset: the stream has so many bytes
 *             | PING    5 | nonce, 8 bytes: comes back in a PONG
 *             | PONG    6 | nonce, 8 bytes
 *
 * A part begins with one byte. Numbers are those of RFC 9000, section 16: the first byte's upper
 * two bits say how long one is (1, 2, 4, 8 bytes), the rest is its value, big-endian; the shortest
 * form is sent, any is taken. ACK is as in RFC 9000, 19.3: `largest` down to `largest - first` have
 * been received, then the `gap + 1` numbers below have not, then `length + 1` numbers have, and so
 * on; `delay`, in microseconds, is how long `largest` waited for it. PIECE, WINDOW, END and PADDING
 * ask for an acknowledgement, the others do not. Of one packet's parts each stands in it once at
 * most, but PIECE, which may do so four times.
 *
 * Failures: MALFORMED: a form that no packet has. */
#ifndef OSR_ADAPTER_DATAGRAM_PACKET_H
#define OSR_ADAPTER_DATAGRAM_PACKET_H

#include "adapter/datagram_pipe.h"
#include "base/ranges.h"

enum { OSR_PACKET_PIECES_MAX = 4 };

#define OSR_PACKET_NUMBER_MAX ((UINT64_C(1) << 62) - 1)

/* What stands in a packet: a set of these. */
enum osr_packet_part {
    OSR_PACKET_PADDING = 1 << 0,
    OSR_PACKET_PIECE = 1 << 1,
    OSR_PACKET_ACK = 1 << 2,
    OSR_PACKET_WINDOW = 1 << 3,
    OSR_PACKET_END = 1 << 4,
    OSR_PACKET_PING = 1 << 5,
    OSR_PACKET_PONG = 1 << 6,
    OSR_PACKET_ASKS_FOR_ACK =
        OSR_PACKET_PADDING | OSR_PACKET_PIECE | OSR_PACKET_WINDOW | OSR_PACKET_END,
};

struct osr_packet_piece {
    uint64_t offset;
    struct osr_slice bytes; /* in the packet */
};

struct osr_packet_ack {
    uint64_t delay_us;
    struct osr_range ranges[OSR_PIPE_RANGES_MAX]; /* falling; at least one */
    size_t range_count;
};

struct osr_packet {
    uint64_t number;
    unsigned parts; /* the fields below hold for those that are in it */
    struct osr_packet_piece pieces[OSR_PACKET_PIECES_MAX];
    size_t piece_count;
    struct osr_packet_ack ack;
    uint64_t window;
    uint64_t end;
    uint8_t ping[OSR_PIPE_NONCE_BYTES];
    uint8_t pong[OSR_PIPE_NONCE_BYTES];
};

/* Slices of *ret_packet lie in `bytes`. */
int osr_packet_decode(struct osr_slice bytes, struct osr_packet *ret_packet, struct osr_err *err);

/* ---- making one ---- */

/* Where the next part goes. What does not fit is not added, and the function says so. */
struct osr_packet_writer {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

void osr_packet_begin(struct osr_packet_writer *writer, uint8_t *data, size_t capacity,
                      uint64_t number);
/* The ranges of packet numbers, rising as in a set; the highest that fit, at least one. */
bool osr_packet_add_ack(struct osr_packet_writer *writer, const struct osr_ranges *received,
                        uint64_t delay_us);
bool osr_packet_add_window(struct osr_packet_writer *writer, uint64_t offset);
bool osr_packet_add_end(struct osr_packet_writer *writer, uint64_t offset);
bool osr_packet_add_ping(struct osr_packet_writer *writer, const uint8_t *nonce);
bool osr_packet_add_pong(struct osr_packet_writer *writer, const uint8_t *nonce);
/* How many bytes of a piece at `offset` fit, of `size`. */
size_t osr_packet_room_for_piece(const struct osr_packet_writer *writer, uint64_t offset,
                                 size_t size);
/* Returns where its bytes go, which have to fit. */
uint8_t *osr_packet_add_piece(struct osr_packet_writer *writer, uint64_t offset, size_t size);
void osr_packet_add_padding(
    struct osr_packet_writer *writer); /* up to the capacity; one byte left */

#endif
