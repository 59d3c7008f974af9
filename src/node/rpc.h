/* rpc.h -- calls of a session that speaks gRPC. Each is of one kind: an operation of the contract
 * (rpc_operation.c), one of gRPC's own services (rpc_service.c), a link between instances
 * (rpc_link.c). For these and session_rpc.c alone.
 *
 * A call begins when its kind takes it and is the kind's to free, once on_end was called. */
#ifndef OSR_NODE_RPC_H
#define OSR_NODE_RPC_H

#include "node/session_internal.h"

struct osr_rpc;

struct osr_rpc_kind {
    void (*on_message)(struct osr_rpc *rpc, struct osr_slice bytes);
    void (*on_half_close)(struct osr_rpc *rpc); /* NULL: the call is finished well */
    void (*on_room)(struct osr_rpc *rpc);       /* may be NULL */
    void (*on_end)(struct osr_rpc *rpc, const struct osr_grpc_end *end); /* rpc->call is NULL */
};

struct osr_rpc {
    const struct osr_rpc_kind *kind;
    struct osr_session *session;
    struct osr_grpc_call *call; /* NULL: it has ended */
};

/* Each takes the calls to its paths, or refuses them, and returns true; of other calls it knows
 * nothing. */
bool osr_rpc_operation_take(struct osr_session *session, struct osr_grpc_call *call,
                            const struct osr_grpc_head *head);
bool osr_rpc_service_take(struct osr_session *session, struct osr_grpc_call *call,
                          struct osr_slice path);
bool osr_rpc_link_take(struct osr_session *session, struct osr_grpc_call *call,
                       const struct osr_grpc_head *head);
/* Whose call it is: one that shows a token is the token's or nobody's, never the connection's.
 * Fails as osr_access_take_token; *ret_identity held nothing before, and does not where that
 * happens. */
int osr_rpc_identify(struct osr_session *session, const struct osr_grpc_head *head,
                     struct osr_identity *ret_identity, struct osr_err *err);

/* The call becomes the kind's. */
void osr_rpc_init(struct osr_rpc *rpc, const struct osr_rpc_kind *kind, struct osr_session *session,
                  struct osr_grpc_call *call);
/* A message: append it to the buffer between the two. The call has not ended. */
struct osr_buffer *osr_rpc_message_begin(struct osr_rpc *rpc);
void osr_rpc_message_end(struct osr_rpc *rpc);
/* The end of a server's call, if it has not ended; err NULL: it went well. */
void osr_rpc_finish(struct osr_rpc *rpc, const struct osr_err *err);
/* Ends it for a mistake that no error code of ours stands for. */
void osr_rpc_refuse(struct osr_rpc *rpc, enum osr_grpc_code code, const char *message);

#endif
