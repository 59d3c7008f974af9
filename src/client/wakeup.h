/* wakeup.h -- a pipe that ends a wait in poll(), so that a signal is never missed between a look at
 * a flag and the wait. */
#ifndef OSR_CLIENT_WAKEUP_H
#define OSR_CLIENT_WAKEUP_H

#include "base/bytes.h"
#include "base/error.h"

struct osr_wakeup {
    int read_fd; /* to wait for: readable once it was raised */
    int write_fd;
};

int osr_wakeup_open(struct osr_wakeup *ret_wakeup, struct osr_err *err);
void osr_wakeup_close(struct osr_wakeup *wakeup);
void osr_wakeup_raise(const struct osr_wakeup *wakeup); /* safe in a signal handler */
/* Whether it was raised, however often, since it was last taken. */
bool osr_wakeup_take(const struct osr_wakeup *wakeup);

/* What poll() takes for a time on the scale of osr_monotonic_ms; UINT64_MAX: for ever. */
int osr_wakeup_timeout(uint64_t deadline_ms);

#endif
