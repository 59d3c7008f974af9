/* caller.h -- calls of an instance that outlive a connection. Each is sent, and where that is safe
 * (retry.h) sent again after a pause, over a connection that is made when it is needed; each has a
 * time-out of its own. libosiris stands on this.
 *
 * Happy path: osr_caller_start -> osr_caller_run -> on_reply for each reply -> on_end(NULL). Errors
 * of calls are told to on_end alone, never from within osr_caller_start.
 *
 * One thread. Handlers may start and cancel calls, but neither run nor close. */
#ifndef OSR_CLIENT_CALLER_H
#define OSR_CLIENT_CALLER_H

#include "client/target.h"
#include "wire/method.h"

/* Under way at once. Below what one gRPC connection may carry, so that none waits for another. */
enum { OSR_CALLER_CALLS_MAX = 1000 };

struct osr_caller;

struct osr_caller_limits {
    /* Without a reply, from the start or from the last one on; attempts and pauses included. A
     * call that is late ends with TIMEOUT. 0: none. */
    uint32_t timeout_ms;
    uint32_t attempts_max; /* at least 1, the first one */
    uint32_t retry_ms_max; /* from the start on: no attempt begins later */
};

/* Lives until the return. Non-zero: no more is wanted, the call ends with CANCELLED. */
typedef int osr_caller_reply(void *context, struct osr_slice reply);

struct osr_caller_handler {
    osr_caller_reply *on_reply;
    /* Exactly once; err is NULL where all went well. */
    void (*on_end)(void *context, const struct osr_err *err);
    void *context;
};

/* What is asked for: a message of the method's request type, encoded as protobuf. */
struct osr_caller_request {
    const struct osr_method *method;
    struct osr_buffer message;
};

/* No connection is made yet. The target moves to the caller, on success only. */
int osr_caller_open(struct osr_target *target, struct osr_caller **ret_caller, struct osr_err *err);
/* Ends calls under way with CANCELLED. NULL is a no-op. */
void osr_caller_close(struct osr_caller *caller);
/* For connections that are made from now on, in place of what there was; one on which no call is
 * under way is given up. The trust, which was made for the same URL, moves to the caller. */
void osr_caller_set_trust(struct osr_caller *caller, struct osr_client_trust *trust);
const struct osr_url *osr_caller_url(const struct osr_caller *caller);
/* Makes a connection where none stands, in one attempt of at most timeout_ms (0: the longest that
 * is waited). CANCELLED after osr_caller_interrupt. */
int osr_caller_connect(struct osr_caller *caller, uint32_t timeout_ms, struct osr_err *err);

/* request->message moves to the caller, whether this fails or not. INVALID_ARGUMENT where a secret
 * would go to another machine in plaintext. */
int osr_caller_start(struct osr_caller *caller, struct osr_caller_request *request,
                     const struct osr_caller_limits *limits,
                     const struct osr_caller_handler *handler, uint64_t *ret_number,
                     struct osr_err *err);
/* Ends a call with CANCELLED; false where none under way has this number. */
bool osr_caller_cancel(struct osr_caller *caller, uint64_t number);
size_t osr_caller_count(const struct osr_caller *caller);
bool osr_caller_is_telling(const struct osr_caller *caller); /* a handler is being called */

/* Until at most `count` calls are under way; TIMEOUT after timeout_ms (0: none), CANCELLED after
 * osr_caller_interrupt. Neither ends a call. */
int osr_caller_run(struct osr_caller *caller, size_t count, uint32_t timeout_ms,
                   struct osr_err *err);
/* The same, until fd can be read. */
int osr_caller_run_until_readable(struct osr_caller *caller, int fd, uint32_t timeout_ms,
                                  struct osr_err *err);
/* Makes the wait under way, or else the next one, return. Safe in a signal handler. */
void osr_caller_interrupt(struct osr_caller *caller);

/* One call from its start to its end, while others go on. What on_reply returns other than zero is
 * returned as it is, and err is untouched. */
int osr_caller_call(struct osr_caller *caller, struct osr_caller_request *request,
                    const struct osr_caller_limits *limits, osr_caller_reply *on_reply,
                    void *context, struct osr_err *err);

#endif
