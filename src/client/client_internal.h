/* client_internal.h -- what the client (client.c) and the protocols that it may speak share:
 * frames (client_frames.c), gRPC (client_grpc.c). For these alone. */
#ifndef OSR_CLIENT_CLIENT_INTERNAL_H
#define OSR_CLIENT_CLIENT_INTERNAL_H

#include "client/client.h"
#include "client/wakeup.h"

struct osr_client_call {
    uint64_t request_id;
    osr_client_reply *on_reply;
    void *context;
    void *protocol_call; /* the protocol's own */
};

/* Bytes to requests and replies. What ends the connection is set in client->failure. */
struct osr_client_protocol {
    int (*create)(struct osr_client *client, const struct osr_url *url, void **ret_state,
                  struct osr_err *err);
    void (*destroy)(void *state);
    /* Makes bytes of a request. */
    int (*send)(void *state, struct osr_client_call *call, Osr__Frame *request,
                struct osr_err *err);
    /* The call is about to go; nothing may be told to it any more. */
    void (*forget)(void *state, struct osr_client_call *call);
    /* Room for bytes that come; then how many came. */
    uint8_t *(*room)(void *state, size_t size);
    void (*received)(void *state, size_t size);
    /* Handles one piece of what was received; *ret_any tells whether there was one. */
    int (*handle)(void *state, bool *ret_any);
    /* Appends bytes that wait to be sent. */
    void (*produce)(void *state, struct osr_buffer *unsent);
    /* When to call `handle` though nothing has come (osr_monotonic_ms); UINT64_MAX: never. */
    uint64_t (*deadline_ms)(const void *state);
};

extern const struct osr_client_protocol osr_client_frames;
extern const struct osr_client_protocol osr_client_grpc;

struct osr_client {
    int fd;
    struct osr_wakeup interrupt;
    const struct osr_client_protocol *protocol;
    void *state;
    struct osr_buffer unsent;
    size_t unsent_at;      /* bytes at the front of `unsent` that have been sent */
    struct osr_map *calls; /* request_id -> struct osr_client_call */
    uint64_t last_request_id;
    bool delivering;        /* an on_reply is being called */
    bool is_unprocessed;    /* what it is told of was surely not looked at */
    struct osr_err failure; /* what ended the connection; code OK while it stands */
};

/* NULL where no call has this id any more: it was cancelled. */
struct osr_client_call *osr_client_find_call(const struct osr_client *client, uint64_t request_id);
/* Tells one call about a reply or an error; ends it where that was the last. */
void osr_client_deliver(struct osr_client *client, struct osr_client_call *call,
                        const Osr__Frame *frame, const struct osr_err *err);

#endif
