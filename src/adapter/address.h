/* address.h -- what the socket code of this room shares: addresses as the system wants them
 * and as people read them. */
#ifndef OSR_ADAPTER_ADDRESS_H
#define OSR_ADAPTER_ADDRESS_H

#include <sys/socket.h>
#include <sys/un.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/url.h"

/* Refuses a path that does not fit (107 bytes on Linux), which libuv would cut silently. */
int osr_address_unix(const char *path, struct sockaddr_un *ret_address, struct osr_err *err);

/* 127.0.0.0/8, ::1, and the former inside IPv6. */
bool osr_address_is_loopback(const struct sockaddr *address);

/* What one person has one of: an IPv4 address (also inside IPv6), a /64 network of IPv6. */
uint64_t osr_address_network(const struct sockaddr *address);

/* Of an IPv4 or IPv6 address. */
uint16_t osr_address_port(const struct sockaddr *address);

/* "tcp://192.0.2.1:12346", "tcp://[2001:db8::1]:12346"; to be freed. */
char *osr_address_url(const struct sockaddr *address);

/* Sets the error for a connect that failed with this errno, with a hint on what to do. */
enum osr_code osr_address_connect_error(struct osr_err *err, int errno_value, const char *url,
                                        bool is_unix);

/* The same for a host name whose address was not found; `unknown`: there is no such name. */
enum osr_code osr_address_name_error(struct osr_err *err, const char *host, bool unknown,
                                     const char *reason);

/* Where a URL's host and port are to be listened at. A name may stand for several addresses
 * (localhost: ::1 and 127.0.0.1): this is one of them, an IPv4 one if there is any, because the
 * oldest peers know no other. */
int osr_address_to_listen(const struct osr_url *url, struct sockaddr_storage *ret_address,
                          socklen_t *ret_size, struct osr_err *err);
/* Sets the error for a bind that failed with this errno, with a hint on what to do. */
enum osr_code osr_address_bind_error(struct osr_err *err, int errno_value,
                                     const struct osr_url *url);
/* The URL with the address as it was bound, and its parameters as they were given; to be freed. */
char *osr_address_bound_url(const struct osr_url *url, const struct sockaddr *bound);

/* True where a socket is connected to itself: a dial to a free port of the range from which
 * the system takes the dialling side's can hit its own, and would keep the listener that
 * belongs there from starting. */
bool osr_address_is_own(int fd);

#endif
