/* link.h -- a gRPC connection of wire/grpc.h on a connection of adapter/transport.h, as the test
 * server and the test client need it: bytes go both ways, what is due is carried out in time.
 *
 * Writing: before the loop waits, what the gRPC side has to say goes out, up to LINK_QUEUE_BYTES
 * that the peer has not taken. Handlers of calls may thus simply use the functions of calls. */
#ifndef OSR_INTEROP_LINK_H
#define OSR_INTEROP_LINK_H

#include "adapter/transport.h"
#include "wire/grpc.h"

enum {
    LINK_QUEUE_BYTES = 256 << 10, /* a peer that does not read: no more is produced for it */
    LINK_WRITE_BYTES = 64 << 10,  /* one piece */
};

struct link;

/* A link's owner: told once, when the connection is closed; the link is freed after. */
typedef void link_closed(void *context, struct link *link);

/* Both take the options and the handler as osr_grpc_create does. */
struct link *link_accept(uv_loop_t *loop, struct osr_connection *connection,
                         const struct osr_grpc_options *options,
                         const struct osr_grpc_handler *handler, link_closed *on_closed,
                         void *context);
int link_dial(uv_loop_t *loop, const char *url, const struct osr_grpc_options *options,
              const struct osr_grpc_handler *handler, link_closed *on_closed, void *context,
              struct link **ret_link, struct osr_err *err);
/* Lives as long as the link. */
struct osr_grpc *link_grpc(struct link *link);

#endif
