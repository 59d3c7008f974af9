/* zmq_frames.h -- messages of several frames, into and out of libzmq's sockets.
 *
 * What stands before the last frame, the body, is the head: whose it is, a reply's envelope, an
 * event's topic. Heads are kept as text of this form: for each frame a byte with its size, then its
 * bytes. */
#ifndef OSR_ADAPTER_ZMQ_FRAMES_H
#define OSR_ADAPTER_ZMQ_FRAMES_H

#include <zmq.h>

#include "base/bytes.h"

enum { OSR_ZMQ_HEAD_BYTES_MAX = 512 }; /* the next frame makes a message one that nobody wants */

struct osr_zmq_frames {
    uint8_t head[OSR_ZMQ_HEAD_BYTES_MAX];
    size_t head_size;
    bool is_odd;    /* the head is over the limit */
    uint64_t bytes; /* what all of them are counted for (zmq_unread.h) */
    zmq_msg_t body;
};

/* One frame, into an initialised message, without waiting; false: none is there. */
bool osr_zmq_receive_frame(void *socket, zmq_msg_t *frame);
/* Takes the next one, whole, without waiting; false: none is there. Close the body behind it. */
bool osr_zmq_receive(void *socket, struct osr_zmq_frames *ret_frames);

enum osr_zmq_result { OSR_ZMQ_SENT, OSR_ZMQ_FULL, OSR_ZMQ_GONE };

/* Without waiting. SENT: the body's content has been taken over. FULL: its peer takes no more now;
 * GONE: there is no such peer. */
enum osr_zmq_result osr_zmq_send(void *socket, struct osr_slice head, zmq_msg_t *body);

/* Takes a head's first frame off. False where there is none. */
bool osr_zmq_head_next(struct osr_slice *head, struct osr_slice *ret_frame);
/* False where a frame is over 255 bytes, or the whole over OSR_ZMQ_HEAD_BYTES_MAX. */
bool osr_zmq_head_add(uint8_t head[OSR_ZMQ_HEAD_BYTES_MAX], size_t *size, struct osr_slice frame);

#endif
