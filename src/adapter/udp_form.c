#include "adapter/udp_form.h"

bool osr_udp_read_header(struct osr_slice bytes, struct osr_udp_datagram *ret_datagram)
{
    if (bytes.size < OSR_UDP_LATER_BYTES) {
        return false;
    }
    uint8_t form = bytes.data[0];
    size_t header = form == OSR_UDP_FIRST ? OSR_UDP_FIRST_BYTES : OSR_UDP_LATER_BYTES;
    if (form < OSR_UDP_FIRST || form > OSR_UDP_UNKNOWN || bytes.size < header ||
        (bytes.size == header) != (form == OSR_UDP_UNKNOWN)) {
        return false;
    }
    *ret_datagram = (struct osr_udp_datagram){
        .form = form,
        .receiver = bytes.data + 1,
        .sender = form == OSR_UDP_FIRST ? bytes.data + 1 + OSR_UDP_ID_BYTES : NULL,
        .records = osr_slice(bytes.data + header, bytes.size - header),
    };
    return true;
}

size_t osr_udp_header(uint8_t *datagram, enum osr_udp_form form, const uint8_t *receiver,
                      const uint8_t *sender)
{
    datagram[0] = (uint8_t)form;
    memcpy(datagram + 1, receiver, OSR_UDP_ID_BYTES);
    if (form != OSR_UDP_FIRST) {
        return OSR_UDP_LATER_BYTES;
    }
    memcpy(datagram + 1 + OSR_UDP_ID_BYTES, sender, OSR_UDP_ID_BYTES);
    return OSR_UDP_FIRST_BYTES;
}
