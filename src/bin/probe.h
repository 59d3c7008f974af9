/* probe.h -- whether somebody listens at an address: a TCP connection that is closed at once. */
#ifndef OSR_BIN_PROBE_H
#define OSR_BIN_PROBE_H

#include "base/error.h"
#include "base/url.h"

/* At one of the addresses that the host's name has. UNAVAILABLE: at none, and why. Waits for some
 * seconds at most. Of URLs with host and port. */
int osr_probe(const struct osr_url *url, struct osr_err *err);

#endif
