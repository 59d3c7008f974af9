/* client.h -- calls methods of an instance over one connection: one call = one request, one or many
 * replies, as encoded protobuf messages.
 *
 * Never blocks but in osr_client_step, which waits for whatever comes first. What is spoken
 * underneath is nobody else's business: gRPC over unix://, grpc:// and grpcs://, frames over tcp://
 * and tls://.
 *
 * Happy path: open -> send -> step ... -> on_reply for each reply -> on_end(NULL). Requests may be
 * sent while the connection is still being made.
 *
 * Failures: an error of the instance ends the one call that it answers. A connection that cannot be
 * made or is lost, an error that answers no call, or bytes that make no sense end all of them, and
 * every later osr_client_send and osr_client_step fails with the same error.
 *
 * One thread. Handlers may cancel calls other than their own, and no more. */
#ifndef OSR_CLIENT_CLIENT_H
#define OSR_CLIENT_CLIENT_H

#include <poll.h>

#include "client/target.h"
#include "wire/method.h"

enum {
    /* Calls under way on one connection: keeps what waits to be sent and answered within bounds. */
    OSR_CLIENT_OUTSTANDING_MAX = 4096,
    /* Descriptors of others that osr_client_step looks at. */
    OSR_CLIENT_OTHERS_MAX = 2,
};

struct osr_client;

/* Begins to connect, which may take timeout_ms: the TLS handshake included, and the answer to a
 * token over frames, before which no request goes out. With ?codec=json, protobuf or yaml in the
 * URL frames are spoken, also over unix://. The target must outlive the client; its trust is needed
 * no longer. */
int osr_client_open(const struct osr_target *target, uint32_t timeout_ms,
                    struct osr_client **ret_client, struct osr_err *err);
/* NULL is a no-op. Calls under way are forgotten: nobody is told of them. */
void osr_client_close(struct osr_client *client);
bool osr_client_is_connected(const struct osr_client *client); /* requests go out */

/* Why a call ended other than well. */
struct osr_client_failure {
    struct osr_err err;
    bool is_unprocessed;     /* the instance has surely not looked at the request */
    uint32_t retry_after_ms; /* it asks to be left alone for so long; 0: it does not say */
};

struct osr_client_handler {
    /* The reply lives until the return. Non-zero: no more is wanted, the call is forgotten. */
    int (*on_reply)(void *context, struct osr_slice reply);
    /* After the last reply; NULL where all went well. */
    void (*on_end)(void *context, const struct osr_client_failure *failure);
    void *context;
};

/* The request is copied. deadline_ms (osr_monotonic_ms; UINT64_MAX: none): the instance is told of
 * it where the method has one reply, and gives up then; later ends the call with TIMEOUT. BUSY
 * where OSR_CLIENT_OUTSTANDING_MAX calls are under way. */
int osr_client_send(struct osr_client *client, const struct osr_method *method,
                    struct osr_slice request, uint64_t deadline_ms,
                    const struct osr_client_handler *handler, uint64_t *ret_number,
                    struct osr_err *err);
/* Forgets a call, if it is under way still. */
void osr_client_cancel(struct osr_client *client, uint64_t number);
size_t osr_client_outstanding(const struct osr_client *client);

/* Handles what has come, or else waits once: until bytes come or go, one of `others` (count at most
 * OSR_CLIENT_OTHERS_MAX; their revents are set) is ready, or deadline_ms is past. Fails where the
 * connection is lost. */
int osr_client_step(struct osr_client *client, struct pollfd *others, size_t count,
                    uint64_t deadline_ms, struct osr_err *err);
/* With no call under way: takes in all that has come, without waiting. False where the connection
 * turns out to be of no more use: a request is better not sent over it. */
bool osr_client_is_alive(struct osr_client *client);

/* TIMEOUT, in the words for a call whose deadline has passed. */
int osr_client_err_late(struct osr_err *err);

#endif
