/* udp_form.h -- what stands around the DTLS records of a datagram of udp.h:
 *
 *     datagram := form | receiver's id | sender's id, in form 1 alone | records, none in form 3
 *
 * Written down in proto/protocol.md. No socket, no state. */
#ifndef OSR_ADAPTER_UDP_FORM_H
#define OSR_ADAPTER_UDP_FORM_H

#include "adapter/udp.h"

enum osr_udp_form {
    OSR_UDP_FIRST = 1, /* names its sender's id, too */
    OSR_UDP_LATER = 2,
    OSR_UDP_UNKNOWN = 3, /* the answer of a listener to an id that it does not know: no records */
};

enum {
    OSR_UDP_LATER_BYTES = 1 + OSR_UDP_ID_BYTES,
    OSR_UDP_FIRST_BYTES = 1 + 2 * OSR_UDP_ID_BYTES,
};

/* Slices and ids lie in the datagram. */
struct osr_udp_datagram {
    enum osr_udp_form form;
    const uint8_t *receiver; /* id, zeroes for a listener; of OSR_UDP_UNKNOWN the unknown one */
    const uint8_t *sender;   /* id, zeroes: not chosen yet; of OSR_UDP_FIRST alone, else NULL */
    struct osr_slice records;
};

/* False: it has no form that there is. */
bool osr_udp_read_header(struct osr_slice bytes, struct osr_udp_datagram *ret_datagram);
/* Returns its size: OSR_UDP_FIRST_BYTES or OSR_UDP_LATER_BYTES. `sender` is of OSR_UDP_FIRST. */
size_t osr_udp_header(uint8_t *datagram, enum osr_udp_form form, const uint8_t *receiver,
                      const uint8_t *sender);

#endif
