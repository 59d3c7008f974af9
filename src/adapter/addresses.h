/* addresses.h -- the addresses that a name stands for, each to be tried in turn. The struct lies in
 * whoever dials; zeroed, it has none.
 *
 * Happy path: osr_addresses_look_up -> on_found -> osr_addresses_next, until one answers
 * -> osr_addresses_done; then a name may be looked up again.
 *
 * Threads: the loop's only. */
#ifndef OSR_ADAPTER_ADDRESSES_H
#define OSR_ADAPTER_ADDRESSES_H

#include "adapter/name_lookup.h"

/* `err` NULL: there is at least one; else why there is none. */
typedef void osr_addresses_found(void *context, const struct osr_err *err);

struct osr_addresses {
    struct osr_name_lookup *lookup; /* under way, or NULL */
    osr_addresses_found *on_found;
    void *context;
    struct addrinfo *all;
    const struct addrinfo *next; /* NULL: none is left */
};

/* `on_found` is called later than this returns, unless it fails or osr_addresses_done comes before.
 */
int osr_addresses_look_up(struct osr_addresses *addresses, uv_loop_t *loop, const char *host,
                          uint16_t port, osr_addresses_found *on_found, void *context,
                          struct osr_err *err);
/* Not yet tried. */
size_t osr_addresses_left(const struct osr_addresses *addresses);
/* The next to be tried, there until osr_addresses_done; NULL: none is left. */
const struct addrinfo *osr_addresses_next(struct osr_addresses *addresses);
/* Calls off the look-up where one is under way. Run the loop once more. Again: a no-op. */
void osr_addresses_done(struct osr_addresses *addresses);

#endif
