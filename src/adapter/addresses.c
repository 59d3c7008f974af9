#include "adapter/addresses.h"

static void on_looked_up(void *context, struct addrinfo *found, const struct osr_err *err)
{
    struct osr_addresses *addresses = context;
    addresses->lookup = NULL;
    addresses->all = found;
    addresses->next = found;
    addresses->on_found(addresses->context, found != NULL ? NULL : err);
}

int osr_addresses_look_up(struct osr_addresses *addresses, uv_loop_t *loop, const char *host,
                          uint16_t port, osr_addresses_found *on_found, void *context,
                          struct osr_err *err)
{
    addresses->on_found = on_found;
    addresses->context = context;
    return osr_name_lookup_start(loop, host, port, on_looked_up, addresses, &addresses->lookup,
                                 err);
}

size_t osr_addresses_left(const struct osr_addresses *addresses)
{
    size_t left = 0;
    for (const struct addrinfo *at = addresses->next; at != NULL; at = at->ai_next) {
        left++;
    }
    return left;
}

const struct addrinfo *osr_addresses_next(struct osr_addresses *addresses)
{
    const struct addrinfo *next = addresses->next;
    if (next != NULL) {
        addresses->next = next->ai_next;
    }
    return next;
}

void osr_addresses_done(struct osr_addresses *addresses)
{
    osr_name_lookup_cancel(addresses->lookup);
    if (addresses->all != NULL) {
        freeaddrinfo(addresses->all);
    }
    *addresses = (struct osr_addresses){0};
}
