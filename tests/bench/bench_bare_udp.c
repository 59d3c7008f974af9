/* bench_bare_udp.c -- the system's own rate of UDP datagrams, and that of stop-and-wait, which
 * sends the next one when the last one is acknowledged; bench_bare.h says how it is called. PLACE:
 * LISTEN:TARGET, two ports of this machine: TARGET is LISTEN, or a relay that leads there.
 *
 * With BARE_STOP_AND_WAIT in the environment each datagram is acknowledged by one of a byte, and
 * sent again when twice the shortest time that an acknowledgement took has passed. */
#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "bench_bare.h"

enum { SOCKET_BYTES = 4 << 20, RETRY_MS_FIRST = 1000 };

static int sender, receiver;
static int stops_and_waits;
static uint64_t shortest_ns = (uint64_t)RETRY_MS_FIRST * 1000000 / 2;

static struct sockaddr_in address_of(const char *port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)atoi(port)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int make_socket(void)
{
    int bytes = SOCKET_BYTES;
    int made = socket(AF_INET, SOCK_DGRAM, 0);
    bare_check(made >= 0, "socket");
    setsockopt(made, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
    setsockopt(made, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
    return made;
}

static void open_sockets(const char *place)
{
    const char *colon = strchr(place, ':');
    bare_check(colon != NULL, place);
    struct sockaddr_in listens = address_of(place), target = address_of(colon + 1);
    receiver = make_socket();
    sender = make_socket();
    bare_check(bind(receiver, (struct sockaddr *)&listens, sizeof(listens)) == 0, "bind");
    bare_check(connect(sender, (struct sockaddr *)&target, sizeof(target)) == 0, "connect");
    stops_and_waits = getenv("BARE_STOP_AND_WAIT") != NULL;
}

/* False: it is time to send again. */
static int wait_for_acknowledgement(uint64_t number)
{
    uint64_t began_ns = bench_now_ns(), wait_ns = 2 * shortest_ns, acknowledged;
    struct pollfd readable = {.fd = sender, .events = POLLIN};
    for (;;) {
        uint64_t past_ns = bench_now_ns() - began_ns;
        if (past_ns >= wait_ns) {
            return 0;
        }
        struct timespec left = {.tv_sec = (time_t)((wait_ns - past_ns) / 1000000000),
                                .tv_nsec = (long)((wait_ns - past_ns) % 1000000000)};
        if (ppoll(&readable, 1, &left, NULL) == 1 &&
            recv(sender, &acknowledged, sizeof(acknowledged), 0) == sizeof(acknowledged) &&
            acknowledged == number) {
            uint64_t took_ns = bench_now_ns() - began_ns;
            shortest_ns = took_ns < shortest_ns ? took_ns : shortest_ns;
            return 1;
        }
    }
}

static void send_message(const void *message, size_t size)
{
    uint64_t number; /* its time names it */
    memcpy(&number, message, sizeof(number));
    do {
        bare_check(send(sender, message, size, 0) == (ssize_t)size, "send");
    } while (stops_and_waits && !wait_for_acknowledgement(number));
}

static void receive(void)
{
    static char message[BARE_BYTES_MAX];
    uint64_t last = 0, number;
    for (;;) {
        struct sockaddr_in from;
        socklen_t from_size = sizeof(from);
        ssize_t size =
            recvfrom(receiver, message, sizeof(message), 0, (struct sockaddr *)&from, &from_size);
        bare_check(size >= (ssize_t)sizeof(number), "recv");
        memcpy(&number, message, sizeof(number));
        if (stops_and_waits) {
            sendto(receiver, &number, sizeof(number), 0, (struct sockaddr *)&from, from_size);
        }
        if (number != last) {
            bare_received(message, (size_t)size);
        }
        last = number;
    }
}

int main(int argc, char **argv)
{
    static const struct bare_carrier carrier = {open_sockets, send_message, receive};
    return bare_main(argc, argv, &carrier);
}
