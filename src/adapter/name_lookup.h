/* name_lookup.h -- finds the addresses of a name (name_question.h), and tells a loop. (libuv would
 * wait for its own at the end.)
 *
 * Threads: the loop's only. */
#ifndef OSR_ADAPTER_NAME_LOOKUP_H
#define OSR_ADAPTER_NAME_LOOKUP_H

#include <netdb.h>
#include <uv.h>

#include "base/error.h"

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
