/* message_packet.h -- the form of what message links (message_link.h) send each other: one packet
 * is one message of a bus. It is written down in proto/protocol.md, "Messages".
 *
 *     version (1 byte: 1), type (1), connection id (16), then by type, integers big-endian:
 *     OPEN, ACCEPT, CREDIT   credit
 *     DATA                   number (8), 1..OSR_MESSAGE_PIECE_BYTES bytes
 *     END                    number (8)
 *     RESET                  code (4)
 *     PROBE                  nonce (8), number of the last one sent (8)
 *     PROBE_REPLY            nonce (8), credit
 *     credit = bytes (8), numbers (8): how far the other side may send, counted from the
 *              beginning; received (8): the last number that has come */
#ifndef OSR_ADAPTER_MESSAGE_PACKET_H
#define OSR_ADAPTER_MESSAGE_PACKET_H

#include "base/bytes.h"
#include "base/error.h"

enum {
    OSR_MESSAGE_VERSION = 1,
    OSR_MESSAGE_ID_BYTES = 16,
    OSR_MESSAGE_HEADER_BYTES = 2 + OSR_MESSAGE_ID_BYTES,
    OSR_MESSAGE_PIECE_BYTES = 64 << 10, /* of the stream, in one DATA */
};

enum osr_message_type {
    OSR_MESSAGE_OPEN = 1,
    OSR_MESSAGE_ACCEPT,
    OSR_MESSAGE_DATA,
    OSR_MESSAGE_CREDIT,
    OSR_MESSAGE_END,
    OSR_MESSAGE_RESET,
    OSR_MESSAGE_PROBE,
    OSR_MESSAGE_PROBE_REPLY,
    OSR_MESSAGE_TYPE_COUNT,
};

struct osr_message_packet {
    enum osr_message_type type;
    uint8_t id[OSR_MESSAGE_ID_BYTES];
    /* Those of its type; the others are 0. */
    uint64_t number;
    struct osr_slice bytes;
    struct osr_message_credit {
        uint64_t bytes;
        uint64_t numbers;
        uint64_t received;
    } credit;
    uint64_t nonce;
    uint32_t code; /* an enum osr_code of the other side's; any number */
};

/* MALFORMED: no packet of this version. What it points to is the message's. */
int osr_message_packet_decode(struct osr_slice message, struct osr_message_packet *ret_packet,
                              struct osr_err *err);
void osr_message_packet_encode(const struct osr_message_packet *packet,
                               struct osr_buffer *ret_message); /* appends */

#endif
