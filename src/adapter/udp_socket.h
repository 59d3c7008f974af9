/* udp_socket.h -- a UDP socket that connections share: a listener's with all that it has accepted,
 * or a dialled one's own. Datagrams come and go many at a time.
 *
 * Outgoing ones are gathered in one place for all sockets of a thread: room -> put, and again ->
 * flush before anything else is done with another socket. What the system does not take at once is
 * held; what is put while is_blocked is lost, so that strangers who are answered pile up nothing.
 *
 * A socket bound to all addresses of the machine answers from the one that was written to: that is
 * where others expect the answer from.
 *
 * Not fragmented on the way: what is too large for the path is lost, which is how its size is
 * found. Who is called by it may release it: nothing more is called then.
 *
 * Threads: the loop's only. */
#ifndef OSR_ADAPTER_UDP_SOCKET_H
#define OSR_ADAPTER_UDP_SOCKET_H

#include <netinet/in.h>
#include <uv.h>

#include "adapter/datagram_pipe.h"

struct osr_udp_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t size;
    /* Which of our addresses it wrote to, so that it is answered from there, too: of a socket that
     * is bound to all of them; else unspecified. Not compared. */
    union {
        struct in_addr v4;
        struct in6_addr v6;
    } here;
};

struct osr_udp_address osr_udp_address(const struct sockaddr *address);
bool osr_udp_address_equal(const struct osr_udp_address *a, const struct osr_udp_address *b);

struct osr_udp_socket;

struct osr_udp_socket_handler {
    void (*on_datagram)(void *context, const struct osr_udp_address *from,
                        struct osr_slice datagram);
    /* All that had come was handed over, or more may be put: time to answer. */
    void (*on_turn)(void *context);
    /* The system has heard that something did not get there, as anybody can say. */
    void (*on_error)(void *context, const struct osr_udp_address *to, int errno_value);
};

/* `address` NULL: any free port of that family. Returns 0 or an errno. */
int osr_udp_socket_open(uv_loop_t *loop, sa_family_t family, const struct osr_udp_address *address,
                        const struct osr_udp_socket_handler *handler, void *context,
                        struct osr_udp_socket **ret_socket);
void osr_udp_socket_release(struct osr_udp_socket *udp); /* NULL is a no-op */
struct osr_udp_address osr_udp_socket_address(const struct osr_udp_socket *udp);

uint8_t *osr_udp_socket_room(struct osr_udp_socket *udp); /* OSR_DATAGRAM_BYTES_MAX */
void osr_udp_socket_put(struct osr_udp_socket *udp, const struct osr_udp_address *to, size_t size);
void osr_udp_socket_flush(struct osr_udp_socket *udp);
bool osr_udp_socket_is_blocked(const struct osr_udp_socket *udp);

#endif
