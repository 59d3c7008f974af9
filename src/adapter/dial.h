/* dial.h -- a connected socket for callers without a loop: the client library.
 *
 * A dial never blocks: it says what to wait for, and goes on when that has happened. A host's name
 * is looked up beside the caller (name_question.h); every address that it has is tried in turn,
 * each for its share of the time that is left, so that one that swallows packets does not use up
 * all.
 *
 * Happy path: start -> (wait as osr_dial_wait says -> step)... -> a socket.
 *
 * Failures: INVALID_ARGUMENT for a name that does not exist or a socket path over the system's
 * limit, UNAVAILABLE where nobody listens, PERMISSION_DENIED where the system says no, TIMEOUT.
 * The hint says what to look at next. */
#ifndef OSR_ADAPTER_DIAL_H
#define OSR_ADAPTER_DIAL_H

#include <poll.h>

#include "base/error.h"
#include "base/url.h"

/* Of one name; what it has beyond them is not tried. */
enum { OSR_DIAL_ADDRESSES_MAX = 16 };

struct osr_dial;

/* `url` must outlive the dial. */
int osr_dial_start(const struct osr_url *url, uint32_t timeout_ms, struct osr_dial **ret_dial,
                   struct osr_err *err);
void osr_dial_destroy(struct osr_dial *dial); /* NULL is a no-op */

/* What poll() is to wait for (fd -1: for the time alone), and until when at most
 * (osr_monotonic_ms), before the next step. */
struct pollfd osr_dial_wait(const struct osr_dial *dial, uint64_t *ret_until_ms);
/* Goes on without waiting. *ret_fd: the socket, connected, not blocking, closed on exec, without
 * Nagle's delay, and the caller's to close; -1: wait again. After a socket or a failure nothing but
 * osr_dial_destroy. */
int osr_dial_step(struct osr_dial *dial, int *ret_fd, struct osr_err *err);

#endif
