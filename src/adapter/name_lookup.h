/* name_lookup.h -- finds the addresses of a name without holding anybody up.
 *
 * The system's look-up blocks, may take minutes where a name server does not answer, and cannot be
 * interrupted. So each has a thread of its own, which is left behind where nobody waits for it any
 * more: it ends by itself, or with the process. (libuv waits for its own at the end.)
 *
 * Threads: the loop's only. */
#ifndef OSR_ADAPTER_NAME_LOOKUP_H
#define OSR_ADAPTER_NAME_LOOKUP_H

#include <netdb.h>
#include <uv.h>

#include "base/error.h"

enum {
    /* Under way in the process, those left behind included: stops a name that hangs and is dialled
     * again and again from using up threads. */
    OSR_NAME_LOOKUPS_MAX = 64,
};

struct osr_name_lookup;

/* Called on the loop's thread with the addresses, which are the receiver's to free
 * (freeaddrinfo), or with NULL and what went wrong. */
typedef void osr_name_lookup_done(void *context, struct addrinfo *addresses,
                                  const struct osr_err *err);

int osr_name_lookup_start(uv_loop_t *loop, const char *host, uint16_t port,
                          osr_name_lookup_done *done, void *context,
                          struct osr_name_lookup **ret_lookup, struct osr_err *err);
/* Calls it off; not after `done`. Run the loop once more. NULL is a no-op. */
void osr_name_lookup_cancel(struct osr_name_lookup *lookup);

#endif
