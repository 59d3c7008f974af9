#include "adapter/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "adapter/address.h"
#include "adapter/clock.h"
#include "adapter/name_question.h"

enum {
    /* A Unix listener whose backlog is full (EAGAIN) is tried again after this. */
    BACKLOG_PAUSE_MS = 10,
};

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
    };
    socklen_t size;
};

struct osr_dial {
    const struct osr_url *url;
    uint64_t deadline_ms;
    struct osr_name_question *question; /* under way, or NULL */
    int answered_fd;                    /* readable once it is answered; -1: nothing was asked */
    struct address addresses[OSR_DIAL_ADDRESSES_MAX];
    size_t address_count;
    size_t next;              /* the first address that was not tried */
    int fd;                   /* being connected to the one before that; -1: none is */
    uint64_t fd_deadline_ms;  /* after which the next one is tried */
    uint64_t backlog_over_ms; /* no attempt before; 0: now */
    int failure;              /* errno of the last attempt */
};

static bool is_unix(const struct osr_dial *dial)
{
    return strcmp(dial->url->scheme, "unix") == 0;
}

/* ---- addresses ---- */

static struct address *add_address(struct osr_dial *dial)
{
    return &dial->addresses[dial->address_count++];
}

static bool add_number(struct osr_dial *dial)
{
    struct address v4 = {.size = sizeof(v4.v4)};
    struct address v6 = {.size = sizeof(v6.v6)};
    if (inet_pton(AF_INET, dial->url->host, &v4.v4.sin_addr) == 1) {
        v4.v4.sin_family = AF_INET;
        v4.v4.sin_port = htons(dial->url->port);
        *add_address(dial) = v4;
        return true;
    }
    if (inet_pton(AF_INET6, dial->url->host, &v6.v6.sin6_addr) == 1) {
        v6.v6.sin6_family = AF_INET6;
        v6.v6.sin6_port = htons(dial->url->port);
        *add_address(dial) = v6;
        return true;
    }
    return false;
}

static void on_answered(void *context)
{
    const struct osr_dial *dial = context;
    eventfd_write(dial->answered_fd, 1);
}

static int ask_for_name(struct osr_dial *dial, struct osr_err *err)
{
    dial->answered_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (dial->answered_fd < 0) {
        return (int)osr_err_errno(err, OSR_UNAVAILABLE, errno, "cannot look up %s",
                                  dial->url->host);
    }
    return osr_name_question_ask(dial->url->host, dial->url->port, on_answered, dial,
                                 &dial->question, err);
}

static int take_answer(struct osr_dial *dial, struct osr_err *err)
{
    struct addrinfo *answers;
    struct osr_name_question *question = dial->question;
    dial->question = NULL;
    int code = osr_name_question_take(question, &answers, err);
    if (code != OSR_OK) {
        return code;
    }
    for (const struct addrinfo *answer = answers;
         answer != NULL && dial->address_count < OSR_DIAL_ADDRESSES_MAX; answer = answer->ai_next) {
        struct address *address = add_address(dial);
        address->size = answer->ai_addrlen;
        memcpy(&address->any, answer->ai_addr, answer->ai_addrlen);
    }
    freeaddrinfo(answers);
    return OSR_OK;
}

static int find_addresses(struct osr_dial *dial, struct osr_err *err)
{
    if (is_unix(dial)) {
        struct address *address = add_address(dial);
        address->size = sizeof(address->local);
        return osr_address_unix(dial->url->host, &address->local, err);
    }
    return add_number(dial) ? OSR_OK : ask_for_name(dial, err);
}

/* ---- attempts ---- */

static void end_attempt(struct osr_dial *dial, int errno_value)
{
    dial->failure = errno_value;
    close(dial->fd);
    dial->fd = -1;
}

static void begin_attempt(struct osr_dial *dial, uint64_t now_ms)
{
    size_t untried = dial->address_count - dial->next;
    const struct address *address = &dial->addresses[dial->next++];
    dial->fd_deadline_ms = now_ms + (dial->deadline_ms - now_ms) / untried;
    dial->fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (dial->fd < 0) {
        dial->failure = errno;
        return;
    }
    if (connect(dial->fd, &address->any, address->size) == 0 || errno == EINPROGRESS ||
        errno == EINTR) {
        return;
    }
    bool is_backlog_full = errno == EAGAIN;
    end_attempt(dial, is_backlog_full ? ETIMEDOUT : errno);
    if (is_backlog_full) {
        dial->next--;
        dial->backlog_over_ms = now_ms + BACKLOG_PAUSE_MS;
    }
}

/* Zero, an errno, or EINPROGRESS. */
static int outcome_of_attempt(const struct osr_dial *dial, uint64_t now_ms)
{
    struct pollfd waited = {.fd = dial->fd, .events = POLLOUT};
    if (poll(&waited, 1, 0) <= 0) {
        return now_ms < dial->fd_deadline_ms ? EINPROGRESS : ETIMEDOUT;
    }
    int result = 0;
    socklen_t size = sizeof(result);
    if (getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &result, &size) < 0) {
        return errno;
    }
    return result == 0 && osr_address_is_own(dial->fd) ? ECONNREFUSED : result;
}

static int give_socket(struct osr_dial *dial)
{
    int fd = dial->fd;
    dial->fd = -1;
    if (!is_unix(dial)) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    return fd;
}

static int fail(const struct osr_dial *dial, struct osr_err *err)
{
    return (int)osr_address_connect_error(err, dial->failure, dial->url->text, is_unix(dial));
}

/* One attempt after the other, as far as they get without waiting. */
static int try_addresses(struct osr_dial *dial, int *ret_fd, struct osr_err *err)
{
    for (;;) {
        uint64_t now_ms = osr_monotonic_ms();
        if (dial->fd >= 0) {
            int outcome = outcome_of_attempt(dial, now_ms);
            if (outcome == 0) {
                *ret_fd = give_socket(dial);
                return OSR_OK;
            }
            if (outcome == EINPROGRESS) {
                return OSR_OK;
            }
            end_attempt(dial, outcome);
        }
        if (now_ms >= dial->deadline_ms || dial->next == dial->address_count) {
            return fail(dial, err);
        }
        if (now_ms < dial->backlog_over_ms) {
            return OSR_OK;
        }
        begin_attempt(dial, now_ms);
    }
}

/* ---- the dial ---- */

int osr_dial_start(const struct osr_url *url, uint32_t timeout_ms, struct osr_dial **ret_dial,
                   struct osr_err *err)
{
    struct osr_dial *dial = osr_alloc(sizeof(*dial));
    dial->url = url;
    dial->deadline_ms = osr_monotonic_ms() + timeout_ms;
    dial->answered_fd = dial->fd = -1;
    dial->failure = ETIMEDOUT;
    int code = find_addresses(dial, err);
    if (code != OSR_OK) {
        osr_dial_destroy(dial);
        return code;
    }
    *ret_dial = dial;
    return OSR_OK;
}

void osr_dial_destroy(struct osr_dial *dial)
{
    if (dial == NULL) {
        return;
    }
    osr_name_question_drop(dial->question);
    if (dial->answered_fd >= 0) {
        close(dial->answered_fd);
    }
    if (dial->fd >= 0) {
        close(dial->fd);
    }
    free(dial);
}

struct pollfd osr_dial_wait(const struct osr_dial *dial, uint64_t *ret_until_ms)
{
    if (dial->question != NULL) {
        *ret_until_ms = dial->deadline_ms;
        return (struct pollfd){.fd = dial->answered_fd, .events = POLLIN};
    }
    *ret_until_ms = dial->fd >= 0 ? dial->fd_deadline_ms : dial->backlog_over_ms;
    return (struct pollfd){.fd = dial->fd, .events = POLLOUT};
}

int osr_dial_step(struct osr_dial *dial, int *ret_fd, struct osr_err *err)
{
    *ret_fd = -1;
    if (dial->question != NULL) {
        eventfd_t answers;
        if (eventfd_read(dial->answered_fd, &answers) != 0) {
            return osr_monotonic_ms() < dial->deadline_ms ? OSR_OK : fail(dial, err);
        }
        int code = take_answer(dial, err);
        if (code != OSR_OK) {
            return code;
        }
    }
    return try_addresses(dial, ret_fd, err);
}
