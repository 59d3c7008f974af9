/* zmq_unread.h -- how much a connection of libzmq's has brought that nobody has taken from libzmq
 * yet. libzmq keeps a message's frames until the last one has come, and its own limits count whole
 * messages and single frames: nothing of it stops a message without an end. What has come the
 * kernel knows; what was taken is counted here. */
#ifndef OSR_ADAPTER_ZMQ_UNREAD_H
#define OSR_ADAPTER_ZMQ_UNREAD_H

#include <stdint.h>

enum {
    /* Of a message that is not whole yet, of one connection: stops one without an end from taking
     * the memory. */
    OSR_ZMQ_UNFINISHED_BYTES_MAX = 32 << 20,
    /* The same of a link's peer that has not shown who it is, and has no reason to send more than
     * its window (message_link.h). A frame that is empty has two bytes, and costs libzmq 64: so
     * many of them are 64 MB. */
    OSR_ZMQ_UNPROVEN_BYTES_MAX = 2 << 20,
    /* What a frame is counted for besides its content: more than what CURVE and ZMTP put around it,
     * which makes up for their commands, of which nobody tells. */
    OSR_ZMQ_FRAME_BYTES = 64,
};

/* Zeroed: of a connection that begins. */
struct osr_zmq_unread {
    uint64_t taken;
};

void osr_zmq_unread_take(struct osr_zmq_unread *unread, uint64_t bytes);
/* What it is now, of the connection with this descriptor. */
uint64_t osr_zmq_unread_measure(struct osr_zmq_unread *unread, int fd);

#endif
