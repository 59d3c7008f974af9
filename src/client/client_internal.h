/* client_internal.h -- what the client (client.c) and the protocols that it may speak share:
 * frames (client_frames.c), gRPC (client_grpc.c). For these alone. */
#ifndef OSR_CLIENT_CLIENT_INTERNAL_H
#define OSR_CLIENT_CLIENT_INTERNAL_H

#include "adapter/dial.h"
#include "client/channel.h"
#include "client/client.h"

struct osr_client_call {
    uint64_t number; /* the request_id of frames */
    const struct osr_method *method;
    uint64_t deadline_ms; /* UINT64_MAX: none */
    struct osr_client_handler handler;
    void *protocol_call; /* the protocol's own */
};

/* Bytes to requests and replies. What ends the connection is set in client->failure. */
struct osr_client_protocol {
    int (*create)(struct osr_client *client, void **ret_state, struct osr_err *err);
    void (*destroy)(void *state);
    /* Makes bytes of a request. */
    int (*send)(void *state, struct osr_client_call *call, struct osr_slice request,
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
    /* The instance has let us in, as far as it says so. */
    bool (*is_ready)(const void *state);
};

extern const struct osr_client_protocol osr_client_frames;
extern const struct osr_client_protocol osr_client_grpc;

struct osr_client {
    const struct osr_target *target;
    struct osr_tls_context *security; /* NULL: plaintext */
    struct osr_dial *dial;            /* NULL once it is connected, or has failed */
    struct osr_channel *channel;      /* NULL: not connected */
    bool is_checked;         /* requests may go out: the instance is one that is believed */
    uint64_t connect_end_ms; /* to be ready by then (osr_monotonic_ms) */
    const struct osr_client_protocol *protocol;
    void *state;
    struct osr_map *calls; /* number -> struct osr_client_call */
    uint64_t last_number;
    bool delivering;                   /* a handler is being called */
    struct osr_client_failure failure; /* what ended the connection; code OK while it stands */
};

/* NULL where no call has this number any more: it was cancelled. */
struct osr_client_call *osr_client_find_call(const struct osr_client *client, uint64_t number);
/* False where the call is gone after: no more was wanted. */
bool osr_client_tell_reply(struct osr_client *client, struct osr_client_call *call,
                           struct osr_slice reply);
/* The call is gone after. NULL: all went well. */
void osr_client_tell_end(struct osr_client *client, struct osr_client_call *call,
                         const struct osr_client_failure *failure);
void osr_client_tell_error(struct osr_client *client, struct osr_client_call *call,
                           const struct osr_err *err);

#endif
