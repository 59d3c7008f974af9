#include "adapter/udp_socket.h"

#include <assert.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/thread_room.h"

enum {
    RECEIVED_AT_ONCE = 32, /* datagrams by one system call */
    /* Such calls before others have their turn: stops a flood from keeping the loop. */
    CALLS_A_TURN = 4,
    /* Errors that are looked at in a turn: stops a flood of ICMP from keeping it. */
    ERRORS_A_TURN = 16,
    SENT_AT_ONCE = 32,
    SENT_BYTES = 256 << 10,
    /* Asked for; the system may give less. */
    SOCKET_BUFFER_BYTES = 4 << 20,
};

struct osr_udp_socket {
    uv_poll_t poll;
    int fd;
    size_t holders; /* its owner, and on_poll while it runs */
    const struct osr_udp_socket_handler *handler;
    void *context;
    /* What the system did not take: each datagram behind its address and size. */
    struct osr_buffer held;
    bool is_everywhere; /* bound to all addresses of the machine */
    bool is_blocked;
};

/* What stands beside a datagram: the address at which it came, or from which it goes. */
struct beside {
    _Alignas(struct cmsghdr) uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/* Datagrams of one socket, one behind the other in `bytes`. */
struct batch {
    const struct osr_udp_socket *owner;
    size_t count;
    size_t used;
    size_t sizes[SENT_AT_ONCE];
    struct osr_udp_address addresses[SENT_AT_ONCE];
    uint8_t bytes[SENT_BYTES + OSR_DATAGRAM_BYTES_MAX];
};

/* What goes out of this thread; NULL: nothing ever did. */
static _Thread_local struct batch *outgoing;

/* Datagrams that come in, as many at a time as the system gives. */
struct arrivals {
    struct osr_udp_address addresses[RECEIVED_AT_ONCE];
    uint8_t rooms[RECEIVED_AT_ONCE][OSR_DATAGRAM_BYTES_MAX];
};

/* ---- addresses ---- */

struct osr_udp_address osr_udp_address(const struct sockaddr *address)
{
    struct osr_udp_address copy = {0};
    copy.size = address->sa_family == AF_INET6 ? sizeof(copy.v6) : sizeof(copy.v4);
    memcpy(&copy.any, address, copy.size);
    return copy;
}

bool osr_udp_address_equal(const struct osr_udp_address *a, const struct osr_udp_address *b)
{
    return a->size == b->size && memcmp(&a->any, &b->any, a->size) == 0;
}

static bool is_unspecified(const struct osr_udp_address *address)
{
    return address->any.sa_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr)
                                              : address->v4.sin_addr.s_addr == htonl(INADDR_ANY);
}

/* ---- our own address, beside a datagram ---- */

static void put_beside(struct msghdr *message, struct beside *beside, int level, int type,
                       const void *info, size_t size)
{
    message->msg_control = beside->bytes;
    message->msg_controllen = CMSG_SPACE(size);
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(header), info, size);
}

static void set_source(struct msghdr *message, struct beside *beside,
                       const struct osr_udp_address *to)
{
    if (to->any.sa_family == AF_INET6) {
        struct in6_pktinfo info = {.ipi6_addr = to->here.v6};
        put_beside(message, beside, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
    } else {
        struct in_pktinfo info = {.ipi_spec_dst = to->here.v4};
        put_beside(message, beside, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
    }
}

static void note_here(struct msghdr *message, struct osr_udp_address *from)
{
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL; at = CMSG_NXTHDR(message, at)) {
        if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(at), sizeof(info));
            from->here.v4 = info.ipi_spec_dst;
        } else if (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(at), sizeof(info));
            from->here.v6 = info.ipi6_addr;
        }
    }
}

/* ---- sending ---- */

static void watch(struct osr_udp_socket *udp);

static void hold_rest(struct osr_udp_socket *udp, const struct batch *batch, size_t sent,
                      const uint8_t *bytes)
{
    for (size_t i = sent; i < batch->count; i++) {
        osr_buffer_add(&udp->held, &batch->addresses[i], sizeof(batch->addresses[i]));
        osr_buffer_add_u32(&udp->held, (uint32_t)batch->sizes[i]);
        osr_buffer_add(&udp->held, bytes, batch->sizes[i]);
        bytes += batch->sizes[i];
    }
    udp->is_blocked = true;
    watch(udp);
}

/* One that is refused for itself (too large, no way there) counts as lost. */
static bool is_full(int errno_value)
{
    return errno_value == EAGAIN || errno_value == ENOBUFS;
}

static void send_batch(struct osr_udp_socket *udp, struct batch *batch)
{
    struct mmsghdr messages[SENT_AT_ONCE] = {0};
    struct iovec pieces[SENT_AT_ONCE];
    struct beside besides[SENT_AT_ONCE];
    uint8_t *at = batch->bytes;
    size_t sent = 0;
    bool was_refused = false; /* once, which may have been news of one that went before */

    for (size_t i = 0; i < batch->count; i++) {
        pieces[i] = (struct iovec){at, batch->sizes[i]};
        messages[i].msg_hdr = (struct msghdr){.msg_name = &batch->addresses[i].any,
                                              .msg_namelen = batch->addresses[i].size,
                                              .msg_iov = &pieces[i],
                                              .msg_iovlen = 1};
        if (udp->is_everywhere) {
            set_source(&messages[i].msg_hdr, &besides[i], &batch->addresses[i]);
        }
        at += batch->sizes[i];
    }
    while (sent < batch->count) {
        int result = sendmmsg(udp->fd, messages + sent, (unsigned)(batch->count - sent), 0);
        if (result < 0 && is_full(errno)) {
            hold_rest(udp, batch, sent, pieces[sent].iov_base);
            return;
        }
        if (result > 0) {
            sent += (size_t)result;
            was_refused = false;
        } else {
            sent += was_refused ? 1 : 0;
            was_refused = !was_refused;
        }
    }
}

uint8_t *osr_udp_socket_room(struct osr_udp_socket *udp)
{
    static _Thread_local uint8_t *room;
    outgoing = osr_thread_room(&room, sizeof(*outgoing));
    assert(outgoing->count == 0 || outgoing->owner == udp);
    outgoing->owner = udp;
    return outgoing->bytes + outgoing->used;
}

void osr_udp_socket_put(struct osr_udp_socket *udp, const struct osr_udp_address *to, size_t size)
{
    assert(outgoing->owner == udp && size <= OSR_DATAGRAM_BYTES_MAX);
    outgoing->addresses[outgoing->count] = *to;
    outgoing->sizes[outgoing->count] = size;
    outgoing->count++;
    outgoing->used += size;
    if (outgoing->count == SENT_AT_ONCE || outgoing->used >= SENT_BYTES) {
        osr_udp_socket_flush(udp);
    }
}

void osr_udp_socket_flush(struct osr_udp_socket *udp)
{
    if (outgoing == NULL || outgoing->count == 0) {
        return;
    }
    assert(outgoing->owner == udp);
    if (!udp->is_blocked) {
        send_batch(udp, outgoing);
    }
    outgoing->count = 0;
    outgoing->used = 0;
}

bool osr_udp_socket_is_blocked(const struct osr_udp_socket *udp)
{
    return udp->is_blocked;
}

/* What is held goes first, in its order. */
static void send_held(struct osr_udp_socket *udp)
{
    struct osr_buffer held = udp->held;
    struct osr_udp_address address;

    udp->held = (struct osr_buffer){0};
    udp->is_blocked = false;
    for (size_t at = 0; at < held.size;) {
        memcpy(&address, held.data + at, sizeof(address));
        size_t size = osr_get_u32(held.data + at + sizeof(address));
        at += sizeof(address) + sizeof(uint32_t);
        memcpy(osr_udp_socket_room(udp), held.data + at, size);
        osr_udp_socket_put(udp, &address, size);
        at += size;
    }
    osr_udp_socket_flush(udp);
    osr_buffer_done(&held);
}

/* ---- receiving ---- */

/* Called from on_poll, which is a holder: somebody else is one still. */
static bool is_heard(const struct osr_udp_socket *udp)
{
    return udp->holders > 1;
}

/* False: there was no more. */
static bool receive_some(struct osr_udp_socket *udp)
{
    static _Thread_local uint8_t *room;
    struct arrivals *arrivals = osr_thread_room(&room, sizeof(*arrivals));
    struct osr_udp_address *addresses = arrivals->addresses;
    struct mmsghdr messages[RECEIVED_AT_ONCE] = {0};
    struct iovec pieces[RECEIVED_AT_ONCE];
    struct beside besides[RECEIVED_AT_ONCE] = {0};

    for (size_t i = 0; i < RECEIVED_AT_ONCE; i++) {
        addresses[i] = (struct osr_udp_address){0};
        pieces[i] = (struct iovec){arrivals->rooms[i], sizeof(arrivals->rooms[i])};
        messages[i].msg_hdr = (struct msghdr){.msg_name = &addresses[i].any,
                                              .msg_namelen = sizeof(addresses[i].v6),
                                              .msg_iov = &pieces[i],
                                              .msg_iovlen = 1,
                                              .msg_control = besides[i].bytes,
                                              .msg_controllen = sizeof(besides[i].bytes)};
    }
    int count = recvmmsg(udp->fd, messages, RECEIVED_AT_ONCE, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count && is_heard(udp); i++) {
        addresses[i].size = messages[i].msg_hdr.msg_namelen;
        note_here(&messages[i].msg_hdr, &addresses[i]);
        if ((messages[i].msg_hdr.msg_flags & MSG_TRUNC) == 0) {
            udp->handler->on_datagram(udp->context, &addresses[i],
                                      osr_slice(arrivals->rooms[i], messages[i].msg_len));
        }
    }
    return count == RECEIVED_AT_ONCE;
}

/* ---- errors ---- */

static bool take_error(struct osr_udp_socket *udp, struct osr_udp_address *ret_to, int *ret_errno)
{
    union {
        struct cmsghdr header;
        uint8_t bytes[512];
    } control;
    uint8_t unused[1];
    struct iovec piece = {unused, sizeof(unused)};
    *ret_to = (struct osr_udp_address){0};
    struct msghdr message = {.msg_name = &ret_to->any,
                             .msg_namelen = sizeof(ret_to->v6),
                             .msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};

    if (recvmsg(udp->fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) {
        return false;
    }
    ret_to->size = message.msg_namelen;
    *ret_errno = 0;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(&message); at != NULL; at = CMSG_NXTHDR(&message, at)) {
        if ((at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_RECVERR) ||
            (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_RECVERR)) {
            struct sock_extended_err error;
            memcpy(&error, CMSG_DATA(at), sizeof(error));
            *ret_errno = (int)error.ee_errno;
        }
    }
    return true;
}

static void take_errors(struct osr_udp_socket *udp)
{
    struct osr_udp_address to;
    int errno_value;
    int told = 0;
    int pending = 0;
    socklen_t size = sizeof(pending);

    while (is_heard(udp) && take_error(udp, &to, &errno_value)) {
        if (errno_value != 0 && told < ERRORS_A_TURN) {
            told++;
            udp->handler->on_error(udp->context, &to, errno_value);
        }
    }
    getsockopt(udp->fd, SOL_SOCKET, SO_ERROR, &pending, &size); /* takes it away */
}

/* ---- the loop ---- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct osr_udp_socket *udp = poll->data;

    udp->holders++;
    if (status < 0) { /* libuv has stopped watching it */
        take_errors(udp);
        watch(udp);
    }
    if ((events & UV_WRITABLE) != 0 && udp->is_blocked) {
        send_held(udp);
        watch(udp);
    }
    bool is_more = status < 0 || (events & UV_READABLE) != 0;
    for (int calls = 0; is_more && calls < CALLS_A_TURN && is_heard(udp); calls++) {
        is_more = receive_some(udp);
        if (is_heard(udp)) {
            udp->handler->on_turn(udp->context);
        }
    }
    if ((events & UV_WRITABLE) != 0 && is_heard(udp)) {
        udp->handler->on_turn(udp->context);
    }
    osr_udp_socket_release(udp);
}

static void watch(struct osr_udp_socket *udp)
{
    if (!uv_is_closing((uv_handle_t *)&udp->poll)) {
        uv_poll_start(&udp->poll, UV_READABLE | (udp->is_blocked ? UV_WRITABLE : 0), on_poll);
    }
}

/* ---- life ---- */

static void set_options(const struct osr_udp_socket *udp, sa_family_t family)
{
    const int on = 1;
    const int probe = IP_PMTUDISC_PROBE;
    const int buffer = SOCKET_BUFFER_BYTES;

    setsockopt(udp->fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
    setsockopt(udp->fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
    setsockopt(udp->fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof(probe));
    if (family == AF_INET6) {
        setsockopt(udp->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe, sizeof(probe));
    }
    if (udp->is_everywhere && family == AF_INET6) {
        setsockopt(udp->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
    } else if (udp->is_everywhere) {
        setsockopt(udp->fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
    }
    setsockopt(udp->fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
    if (family == AF_INET6) {
        setsockopt(udp->fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on));
    }
}

int osr_udp_socket_open(uv_loop_t *loop, sa_family_t family, const struct osr_udp_address *address,
                        const struct osr_udp_socket_handler *handler, void *context,
                        struct osr_udp_socket **ret_socket)
{
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return errno;
    }
    struct osr_udp_socket *udp = osr_alloc(sizeof(*udp));
    udp->fd = fd;
    udp->holders = 1;
    udp->handler = handler;
    udp->context = context;
    udp->is_everywhere = address != NULL && is_unspecified(address);
    udp->poll.data = udp;
    set_options(udp, family);
    int code = address != NULL && bind(fd, &address->any, address->size) < 0 ? errno : 0;
    if (code == 0) {
        code = -uv_poll_init(loop, &udp->poll, fd);
    }
    if (code != 0) {
        close(fd);
        free(udp);
        return code;
    }
    watch(udp);
    *ret_socket = udp;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct osr_udp_socket *udp = handle->data;
    osr_buffer_done(&udp->held);
    free(udp);
}

void osr_udp_socket_release(struct osr_udp_socket *udp)
{
    if (udp == NULL || --udp->holders > 0) {
        return;
    }
    uv_close((uv_handle_t *)&udp->poll, on_closed);
    close(udp->fd);
}

struct osr_udp_address osr_udp_socket_address(const struct osr_udp_socket *udp)
{
    struct osr_udp_address address = {.size = sizeof(address.v6)};
    getsockname(udp->fd, &address.any, &address.size);
    return address;
}
