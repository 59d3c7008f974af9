#include "adapter/address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

int osr_address_unix(const char *path, struct sockaddr_un *ret_address, struct osr_err *err)
{
    size_t size = strlen(path);
    size_t size_max = sizeof ret_address->sun_path - 1;

    if (size > size_max) {
        osr_err_set(err, OSR_INVALID_ARGUMENT,
                    "socket path of %zu bytes is over the system's limit of %zu: %s", size,
                    size_max, path);
        osr_err_hint(err, "use a shorter path: a data folder nearer to the root, for example "
                          "--data /var/lib/osiris, or a symbolic link to the long one");
        return OSR_INVALID_ARGUMENT;
    }
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret_address->sun_path, path, size + 1);
    return 0;
}

static bool is_loopback_v4(uint32_t address)
{
    return ntohl(address) >> 24 == IN_LOOPBACKNET;
}

bool osr_address_is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        return is_loopback_v4(v4.sin_addr.s_addr);
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
            uint32_t inner;
            memcpy(&inner, v6.sin6_addr.s6_addr + 12, sizeof inner);
            return is_loopback_v4(inner);
        }
        return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
    }
    return false;
}

static uint64_t network_of_v4(const uint8_t *bytes)
{
    return 0xffffull << 32 | osr_get_u32(bytes);
}

uint64_t osr_address_network(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        const uint8_t *bytes = v6.sin6_addr.s6_addr;
        return IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) ? network_of_v4(bytes + 12) : osr_get_u64(bytes);
    }
    assert(address->sa_family == AF_INET);
    struct sockaddr_in v4;
    memcpy(&v4, address, sizeof v4);
    return network_of_v4((const uint8_t *)&v4.sin_addr.s_addr);
}

uint16_t osr_address_port(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof(v6));
        return ntohs(v6.sin6_port);
    }
    assert(address->sa_family == AF_INET);
    struct sockaddr_in v4;
    memcpy(&v4, address, sizeof(v4));
    return ntohs(v4.sin_port);
}

char *osr_address_url(const struct sockaddr *address)
{
    char host[INET6_ADDRSTRLEN] = "?";
    uint16_t port = osr_address_port(address);

    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof(v6));
        inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof(host));
        return osr_format("tcp://[%s]:%u", host, port);
    }
    struct sockaddr_in v4;
    memcpy(&v4, address, sizeof(v4));
    inet_ntop(AF_INET, &v4.sin_addr, host, sizeof(host));
    return osr_format("tcp://%s:%u", host, port);
}

enum osr_code osr_address_connect_error(struct osr_err *err, int errno_value, const char *url,
                                        bool is_unix)
{
    const char *start = "is osirisd running? Start it with: osirisd --data DIR";

    switch (errno_value) {
    case ETIMEDOUT:
        osr_err_set(err, OSR_TIMEOUT, "no answer from %s in time", url);
        osr_err_hint(err, "check host, port and firewall");
        return OSR_TIMEOUT;
    case EACCES:
    case EPERM:
        osr_err_errno(err, OSR_PERMISSION_DENIED, errno_value, "cannot connect to %s", url);
        if (is_unix) {
            osr_err_hint(err, "only root and the user that runs osirisd may use its socket");
        }
        return OSR_PERMISSION_DENIED;
    case ENOENT:
    case ECONNREFUSED:
        osr_err_set(err, OSR_UNAVAILABLE, "nobody listens at %s", url);
        osr_err_hint(err, "%s", start);
        return OSR_UNAVAILABLE;
    default:
        osr_err_errno(err, OSR_UNAVAILABLE, errno_value, "cannot connect to %s", url);
        return OSR_UNAVAILABLE;
    }
}

enum osr_code osr_address_name_error(struct osr_err *err, const char *host, bool unknown,
                                     const char *reason)
{
    /* A resolver that cannot be asked may be asked again; a name that is not there is wrong. */
    enum osr_code code = unknown ? OSR_INVALID_ARGUMENT : OSR_UNAVAILABLE;

    osr_err_set(err, code, "no address for host %s: %s", host, reason);
    osr_err_hint(err, "check the name, or give the address itself");
    return code;
}

/* ---- listening ---- */

static const struct addrinfo *choose_address(const struct addrinfo *addresses)
{
    for (const struct addrinfo *at = addresses; at != NULL; at = at->ai_next) {
        if (at->ai_family == AF_INET) {
            return at;
        }
    }
    return addresses;
}

int osr_address_to_listen(const struct osr_url *url, struct sockaddr_storage *ret_address,
                          socklen_t *ret_size, struct osr_err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *addresses;
    char port[8];

    snprintf(port, sizeof(port), "%u", url->port);
    int result = getaddrinfo(url->host, port, &hints, &addresses);
    if (result != 0) {
        return (int)osr_address_name_error(err, url->host, result == EAI_NONAME,
                                           gai_strerror(result));
    }
    const struct addrinfo *chosen = choose_address(addresses);
    memcpy(ret_address, chosen->ai_addr, chosen->ai_addrlen);
    *ret_size = chosen->ai_addrlen;
    freeaddrinfo(addresses);
    return 0;
}

enum osr_code osr_address_bind_error(struct osr_err *err, int errno_value,
                                     const struct osr_url *url)
{
    enum osr_code code = osr_err_errno(err, OSR_IO, errno_value, "cannot listen at %s", url->text);
    bool is_udp = strcmp(url->scheme, "udp") == 0;

    if (errno_value == EADDRINUSE) {
        osr_err_hint(err,
                     "another program listens there: stop it, or choose another port; "
                     "`ss -ln%cp` shows who it is",
                     is_udp ? 'u' : 't');
    } else if (errno_value == EADDRNOTAVAIL) {
        osr_err_hint(err,
                     "this machine does not have that address; `ip address` shows those it has");
    } else if (errno_value == EACCES) {
        osr_err_hint(err, "ports below 1024 need root; choose a higher one");
    }
    return code;
}

char *osr_address_bound_url(const struct osr_url *url, const struct sockaddr *bound)
{
    char *address = osr_address_url(bound);
    char *whole =
        osr_format("%s%s%s", url->scheme, strchr(address, ':'), strchrnul(url->text, '?'));
    free(address);
    return whole;
}

bool osr_address_is_own(int fd)
{
    struct sockaddr_storage own = {0};
    struct sockaddr_storage other = {0};
    socklen_t own_size = sizeof own;
    socklen_t other_size = sizeof other;

    return getsockname(fd, (struct sockaddr *)&own, &own_size) == 0 &&
           getpeername(fd, (struct sockaddr *)&other, &other_size) == 0 &&
           own.ss_family != AF_UNIX && own_size == other_size &&
           memcmp(&own, &other, own_size) == 0;
}
