/* zmq_outbox.h -- what libzmq has not taken yet: a queue for each peer, so that one who does not
 * read holds up nobody else. */
#ifndef OSR_ADAPTER_ZMQ_OUTBOX_H
#define OSR_ADAPTER_ZMQ_OUTBOX_H

#include "base/bytes.h"

enum {
    /* One peer's; past it, or without any movement for so long, all of its is dropped: stops one
     * who does not read from taking the memory. */
    OSR_ZMQ_PEER_BYTES_MAX = 16 << 20,
    OSR_ZMQ_PEER_STALL_MS = 10 * 1000,
};

struct osr_zmq_outbox;

struct osr_zmq_outbox *osr_zmq_outbox_create(void);
void osr_zmq_outbox_destroy(struct osr_zmq_outbox *outbox); /* NULL is a no-op */

/* `peer`: whose queue it is (may be empty where there is one alone); `head` as in zmq_frames.h. All
 * is copied. */
void osr_zmq_outbox_add(struct osr_zmq_outbox *outbox, struct osr_slice peer, struct osr_slice head,
                        struct osr_slice body, uint64_t now_ms);
/* Hands over what is taken now. True: something was, or has been dropped. `gone` gets the peers
 * that are not there, as a head (zmq_frames.h). */
bool osr_zmq_outbox_send(struct osr_zmq_outbox *outbox, void *socket, uint64_t now_ms,
                         struct osr_buffer *gone);
/* Gives up the peers that are over their limits, and adds them to `gone`. */
void osr_zmq_outbox_check(struct osr_zmq_outbox *outbox, uint64_t now_ms, struct osr_buffer *gone);

size_t osr_zmq_outbox_bytes(const struct osr_zmq_outbox *outbox);
size_t osr_zmq_outbox_count(const struct osr_zmq_outbox *outbox); /* messages */
/* For how long the one queue has not moved; 0 where nothing waits in it. */
uint64_t osr_zmq_outbox_stalled_ms(const struct osr_zmq_outbox *outbox, uint64_t now_ms);

#endif
