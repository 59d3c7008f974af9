/* rpc.h -- calls of the test client, one after another as a reader expects them: start, send,
 * wait. Waiting runs the loop; how long the whole program may take is its caller's business.
 *
 * A struct rpc stays where it is from its start to rpc_done: the layer points to it. */
#ifndef OSR_INTEROP_RPC_H
#define OSR_INTEROP_RPC_H

#include "link.h"

/* The way to one server. */
struct channel {
    uv_loop_t loop;
    const char *url;
    struct link *link; /* NULL once the connection is closed */
    bool is_going_away;
};

/* message_bytes_max: of an answer. Exits where the address is none. */
void channel_open(struct channel *channel, const char *url, size_t message_bytes_max,
                  uint32_t keepalive_ms);
void channel_close(struct channel *channel);
/* Runs the loop for so long. */
void channel_idle(struct channel *channel, uint64_t duration_ms);

/* A message that came. */
struct rpc_message {
    struct osr_buffer bytes;
    bool was_compressed;
};

struct rpc {
    struct channel *channel;
    struct osr_grpc_call *call; /* NULL once it has ended */
    struct osr_grpc_metadata_list headers;
    struct rpc_message *messages;
    size_t message_count;
    size_t messages_taken;
    bool has_ended;
    enum osr_grpc_code code;
    char *message;
    bool is_local;
    bool is_unprocessed;
    struct osr_grpc_metadata_list trailers;
};

/* timeout_ms: 0 is none. Where the layer takes no call, it has ended: UNAVAILABLE, unprocessed;
 * where too many are under way, `false`. */
bool rpc_try(struct rpc *rpc, struct channel *channel, const char *path, uint64_t timeout_ms,
             const struct osr_grpc_metadata *metadata, size_t metadata_count);
/* Waits while too many calls are under way. */
void rpc_start(struct rpc *rpc, struct channel *channel, const char *path, uint64_t timeout_ms,
               const struct osr_grpc_metadata *metadata, size_t metadata_count);
void rpc_send(struct rpc *rpc, struct osr_slice message, bool is_compressed);
void rpc_half_close(struct rpc *rpc);
/* The next message; it lives until the next is waited for. NULL: the call ended without one. */
const struct rpc_message *rpc_receive(struct rpc *rpc);
void rpc_wait_end(struct rpc *rpc);
void rpc_done(struct rpc *rpc); /* cancels a call that has not ended */

#endif
