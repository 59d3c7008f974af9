/* client.h -- calls operations of an instance: one call = one request, one or many replies.
 *
 * Blocking, one thread, no loop of its own. Several calls may be under way: osr_client_send
 * queues them, osr_client_run delivers replies until a condition holds. What is
 * spoken underneath is nobody else's business: gRPC over unix:// and grpc://, frames over tcp://.
 *
 * Failures: an ERROR of the instance ends the one call that it answers. A broken connection, an
 * ERROR that answers no call, or bytes that are no frame end all of them, and every later
 * osr_client_send and osr_client_run fails with the same error. */
#ifndef OSR_CLIENT_CLIENT_H
#define OSR_CLIENT_CLIENT_H

#include "base/error.h"
#include "base/url.h"
#include "model/message.h"

/* Calls under way on one connection: keeps what waits to be sent and answered within bounds. */
enum { OSR_CLIENT_OUTSTANDING_MAX = 4096 };

struct osr_client;

/* Connects within timeout_ms. UNAVAILABLE with a hint where nobody listens. With ?codec=json or
 * ?codec=protobuf in the URL frames are spoken, also over unix://. */
int osr_client_connect(const struct osr_url *url, uint32_t timeout_ms,
                       struct osr_client **ret_client, struct osr_err *err);
/* NULL is a no-op. Calls under way are forgotten: their on_reply is not called. */
void osr_client_close(struct osr_client *client);

/* Called for each reply, the last one with frame->end or with err set (frame NULL): the
 * server's ERROR, or what ended the connection. Frames live until the return. Non-zero
 * cancels the call: no further replies come. May send, but not run. */
typedef int osr_client_reply(void *context, const Osr__Frame *frame, const struct osr_err *err);

/* Queues a request; the frame (its request_id is set here) stays the caller's and is read before
 * the return. BUSY where OSR_CLIENT_OUTSTANDING_MAX calls are under way. */
int osr_client_send(struct osr_client *client, Osr__Frame *request, osr_client_reply *on_reply,
                    void *context, struct osr_err *err);
size_t osr_client_outstanding(const struct osr_client *client);

/* Sends and receives until at most `outstanding` calls are under way, or timeout_ms (0: none)
 * passes without a byte (TIMEOUT), or osr_client_interrupt is called (CANCELLED, once: running
 * again goes on). Errors of single calls are told to their on_reply alone. */
int osr_client_run(struct osr_client *client, size_t outstanding, uint32_t timeout_ms,
                   struct osr_err *err);
/* Sends and receives until fd can be read, or fails as osr_client_run does. */
int osr_client_run_until_readable(struct osr_client *client, int fd, uint32_t timeout_ms,
                                  struct osr_err *err);
/* For callers with a loop and timers of their own: handles what has come, or else waits once, until
 * bytes come or go, fd (-1: none) can be read, or deadline_ms (osr_monotonic_ms; UINT64_MAX: none)
 * is past. Fails where the connection is lost, or with CANCELLED. */
int osr_client_step(struct osr_client *client, int fd, uint64_t deadline_ms, struct osr_err *err);
/* With no call under way: takes in all that has come, without waiting. False where the connection
 * turns out to be of no more use: a request is better not sent over it. */
bool osr_client_is_alive(struct osr_client *client);
/* Makes the run under way, or else the next one, return. Safe in a signal handler. */
void osr_client_interrupt(struct osr_client *client);

/* The most common case: send, run until the last reply. on_reply (NULL: nobody looks) gets frames
 * only; the first error is the return value. Where on_reply returns non-zero, that is returned
 * as it is, and err is untouched. No other call may be under way. */
int osr_client_call(struct osr_client *client, Osr__Frame *request, osr_client_reply *on_reply,
                    void *context, uint32_t timeout_ms, struct osr_err *err);

/* Forgets a call that was sent with this request_id, if it is under way still: its on_reply is not
 * called again. Not from within that on_reply, which returns non-zero for it. */
void osr_client_cancel(struct osr_client *client, uint64_t request_id);
/* Within an on_reply with an error: the instance has surely not looked at the request. */
bool osr_client_is_unprocessed(const struct osr_client *client);

#endif
