/* message_link.h -- bytes in order over messages that may be lost, doubled and reordered: one side
 * of a connection. No bus and no clock: packets (message_packet.h) go in and come out. Both sides
 * run the same code.
 *
 * Happy path: the dialler's OPEN, the listener's ACCEPT; DATA with a number that counts up from 1
 * in each direction; CREDIT, as what came is read; END, which has the number behind the last DATA.
 *
 * A double is dropped. A gap, or another order, ends the link (UNAVAILABLE): nothing is sent again;
 * who stands above begins anew, and knows what it has to send then. Of a lost tail a PROBE tells,
 * which says up to which number was sent; its reply renews a CREDIT that was lost.
 *
 * Back-pressure: the other side sends no further than was offered: bytes beyond what was read
 * (what a side that does not read costs it), and numbers beyond what has come (what a broker has to
 * keep for us at a time: many of them drop what is over a thousand messages). The window begins
 * small and doubles as it is read, so that one who is not listened to cannot fill a whole one. */
#ifndef OSR_ADAPTER_MESSAGE_LINK_H
#define OSR_ADAPTER_MESSAGE_LINK_H

#include "adapter/message_packet.h"

enum {
    OSR_MESSAGE_WINDOW_BYTES_MIN = 64 << 10,
    OSR_MESSAGE_WINDOW_BYTES = 1 << 20,
    OSR_MESSAGE_WINDOW_NUMBERS = 256,
};

struct osr_message_link;

/* A dialler begins with OPEN; who was opened is up at once, and has received that packet (else
 * NULL). */
struct osr_message_link *osr_message_link_create(const uint8_t id[OSR_MESSAGE_ID_BYTES],
                                                 const struct osr_message_packet *open);
void osr_message_link_destroy(struct osr_message_link *link); /* NULL is a no-op */

/* One with the link's id. UNAVAILABLE: something is missing, or the other side has reset it;
 * FLOW_CONTROL, MALFORMED: the other side breaks the rules. The link is over then. */
int osr_message_link_receive(struct osr_message_link *link, const struct osr_message_packet *packet,
                             struct osr_err *err);
/* Appends the next packet to be sent; false: there is none now. */
bool osr_message_link_produce(struct osr_message_link *link, struct osr_buffer *ret_message);

/* Takes the buffer's bytes; it is empty after. Not after the end. */
void osr_message_link_write(struct osr_message_link *link, struct osr_buffer *buffer);
void osr_message_link_end(struct osr_message_link *link);
size_t osr_message_link_queued(const struct osr_message_link *link); /* bytes not yet produced */
/* Copies what has come, and lets the other side send as much more. */
size_t osr_message_link_read(struct osr_message_link *link, uint8_t *room, size_t size);
size_t osr_message_link_unread(const struct osr_message_link *link); /* bytes */

/* Asks whether the other side is there, and has all; unless it was asked already. */
void osr_message_link_probe(struct osr_message_link *link);
bool osr_message_link_is_probing(const struct osr_message_link *link); /* no reply yet */

bool osr_message_link_is_up(const struct osr_message_link *link);
bool osr_message_link_is_acknowledged(const struct osr_message_link *link); /* all that was sent */
bool osr_message_link_has_ended(const struct osr_message_link *link);       /* END was produced */
bool osr_message_link_peer_has_ended(const struct osr_message_link *link);  /* and all is read */

#endif
