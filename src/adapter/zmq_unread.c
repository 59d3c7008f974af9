#include "adapter/zmq_unread.h"

#include "adapter/received_bytes.h"

void osr_zmq_unread_take(struct osr_zmq_unread *unread, uint64_t bytes)
{
    unread->taken += bytes;
}

uint64_t osr_zmq_unread_measure(struct osr_zmq_unread *unread, int fd)
{
    uint64_t received = osr_received_bytes(fd);

    if (unread->taken > received) {
        unread->taken = received; /* frames are counted for more than they are */
    }
    return received - unread->taken;
}
