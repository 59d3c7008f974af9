#include "adapter/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "adapter/address.h"
#include "adapter/clock.h"

/* Waits until a connect under way is decided. Returns 0 or an errno. */
static int await_connect(int fd, uint64_t deadline_ms)
{
    for (;;) {
        uint64_t now_ms = osr_monotonic_ms();
        if (now_ms >= deadline_ms) {
            return ETIMEDOUT;
        }
        struct pollfd waited = {.fd = fd, .events = POLLOUT};
        int ready = poll(&waited, 1, (int)(deadline_ms - now_ms));
        if (ready < 0 && errno != EINTR) {
            return errno;
        }
        if (ready > 0) {
            break;
        }
    }
    int result = 0;
    socklen_t size = sizeof result;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &size) < 0) {
        return errno;
    }
    return result;
}

/* Connects, trying again where a Unix listener's backlog is full (EAGAIN). */
static int connect_until(int fd, const struct sockaddr *address, socklen_t size,
                         uint64_t deadline_ms)
{
    enum { BACKLOG_PAUSE_MS = 10 };

    for (;;) {
        if (connect(fd, address, size) == 0) {
            return 0;
        }
        if (errno == EINPROGRESS || errno == EINTR) {
            return await_connect(fd, deadline_ms);
        }
        if (errno != EAGAIN) {
            return errno;
        }
        if (osr_monotonic_ms() + BACKLOG_PAUSE_MS >= deadline_ms) {
            return ETIMEDOUT;
        }
        poll(NULL, 0, BACKLOG_PAUSE_MS);
    }
}

static int make_blocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0) {
        return errno;
    }
    return 0;
}

/* Returns 0 or an errno; *ret_fd is untouched on failure. */
static int dial_address(const struct sockaddr *address, socklen_t size, uint64_t deadline_ms,
                        int *ret_fd)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return errno;
    }
    int result = connect_until(fd, address, size, deadline_ms);
    if (result == 0 && osr_address_is_own(fd)) {
        result = ECONNREFUSED;
    }
    if (result != 0) {
        goto fail_close;
    }
    if (address->sa_family != AF_UNIX) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    result = make_blocking(fd);
    if (result != 0) {
        goto fail_close;
    }
    *ret_fd = fd;
    return 0;

fail_close:
    close(fd);
    return result;
}

static int dial_unix(const struct osr_url *url, uint64_t deadline_ms, int *ret_fd,
                     struct osr_err *err)
{
    struct sockaddr_un address;
    int code = osr_address_unix(url->host, &address, err);
    if (code != 0) {
        return code;
    }
    int result =
        dial_address((const struct sockaddr *)&address, sizeof address, deadline_ms, ret_fd);
    return result == 0 ? 0 : (int)osr_address_connect_error(err, result, url->text, true);
}

static int dial_tcp(const struct osr_url *url, uint64_t deadline_ms, int *ret_fd,
                    struct osr_err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *addresses = NULL;
    char port[8];

    snprintf(port, sizeof port, "%u", url->port);
    int gai_error = getaddrinfo(url->host, port, &hints, &addresses);
    if (gai_error != 0) {
        return (int)osr_address_name_error(err, url->host, gai_error == EAI_NONAME,
                                           gai_strerror(gai_error));
    }

    int result = ECONNREFUSED;
    for (const struct addrinfo *at = addresses; at != NULL; at = at->ai_next) {
        result = dial_address(at->ai_addr, at->ai_addrlen, deadline_ms, ret_fd);
        if (result == 0) {
            break;
        }
    }
    freeaddrinfo(addresses);
    return result == 0 ? 0 : (int)osr_address_connect_error(err, result, url->text, false);
}

int osr_dial_blocking(const struct osr_url *url, uint32_t timeout_ms, int *ret_fd,
                      struct osr_err *err)
{
    uint64_t deadline_ms = osr_monotonic_ms() + timeout_ms;

    if (strcmp(url->scheme, "unix") == 0) {
        return dial_unix(url, deadline_ms, ret_fd, err);
    }
    return dial_tcp(url, deadline_ms, ret_fd, err);
}
