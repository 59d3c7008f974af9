/* raft_message.h -- messages of the Raft core as frames (proto/osiris/v1/consensus.proto), there
 * and back.
 *
 * What comes is checked for shape alone: that exactly one body is there, kinds are known, a
 * snapshot's configuration decodes. Whether it makes sense is the core's to say. */
#ifndef OSR_NODE_RAFT_MESSAGE_H
#define OSR_NODE_RAFT_MESSAGE_H

#include "core/raft.h"
#include "model/message.h"

/* Room for one message on its way, used again and again. Zeroed: empty and valid. */
struct osr_raft_room {
    struct osr_raft_entry *entries;
    size_t capacity;
    struct osr_raft_snapshot snapshot;
    struct osr_buffer bytes;
    Osr__RaftEntry *messages;
    Osr__RaftEntry **pointers;
};
void osr_raft_room_done(struct osr_raft_room *room);

/* Hands a frame that holds the message to `take`; it lives until that returns, and payloads are
 * not copied for it. */
void osr_raft_message_write(struct osr_raft_room *room, const char *ledger,
                            const struct osr_raft_message *message,
                            void (*take)(void *context, const Osr__Frame *frame), void *context);
/* *ret_message points into the frame and the room. MALFORMED, INVALID_ARGUMENT. */
int osr_raft_message_read(struct osr_raft_room *room, const Osr__Raft *raft,
                          struct osr_raft_message *ret_message, struct osr_err *err);

#endif
