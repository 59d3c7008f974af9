#include "bin/probe.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WAIT_MS = 2000 }; /* for each address */

/* 0, or an error number. */
static int await_connection(int fd)
{
    struct pollfd wanted = {.fd = fd, .events = POLLOUT};
    int result = 0;
    socklen_t size = sizeof(result);

    if (poll(&wanted, 1, WAIT_MS) != 1) {
        return ETIMEDOUT;
    }
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &size) == 0 ? result : errno;
}

static int connect_to(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    int result = connect(fd, address->ai_addr, address->ai_addrlen) == 0 ? 0 : errno;
    if (result == EINPROGRESS) {
        result = await_connection(fd);
    }
    close(fd);
    return result;
}

int osr_probe(const struct osr_url *url, struct osr_err *err)
{
    const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;
    char port[8];
    int result = EADDRNOTAVAIL;

    snprintf(port, sizeof(port), "%u", url->port);
    int found = getaddrinfo(url->host, port, &wanted, &addresses);
    if (found != 0) {
        return osr_err_set(err, OSR_UNAVAILABLE, "%s: %s", url->host, gai_strerror(found));
    }
    for (const struct addrinfo *at = addresses; at != NULL && result != 0; at = at->ai_next) {
        result = connect_to(at);
    }
    freeaddrinfo(addresses);
    return result == 0 ? OSR_OK
                       : (int)osr_err_errno(err, OSR_UNAVAILABLE, result, "cannot connect");
}
