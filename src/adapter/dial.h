/* dial.h -- a connected socket for callers without a loop: the client library.
 *
 * Every address that a name has is tried in turn until one answers or the time is over.
 *
 * Failures: INVALID_ARGUMENT for a name that does not exist or a socket path over the system's
 * limit, UNAVAILABLE where nobody listens, PERMISSION_DENIED where the system says no, TIMEOUT.
 * The hint says what to look at next. */
#ifndef OSR_ADAPTER_DIAL_H
#define OSR_ADAPTER_DIAL_H

#include "base/error.h"
#include "base/url.h"

/* Blocks for at most timeout_ms, apart from the system's name look-up, which cannot be
 * interrupted. The socket is in blocking mode, closed on exec, and without Nagle's delay; it
 * is the caller's to close. */
int osr_dial_blocking(const struct osr_url *url, uint32_t timeout_ms, int *ret_fd,
                      struct osr_err *err);

#endif
