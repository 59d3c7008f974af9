/* bench_relay.c -- a path that loses datagrams and takes its time, between one sender and a port of
 * this machine; each way the same.
 *
 * usage: bench_relay LISTEN_PORT TARGET_PORT LOSS_PERCENT DELAY_US */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/random.h"
#include "bench.h"

enum { DATAGRAM_BYTES_MAX = 2048, UNDER_WAY_MAX = 1 << 14, SOCKET_BYTES = 4 << 20 };

struct datagram {
    uint64_t due_ns;
    int to_target;
    size_t size;
    uint8_t bytes[DATAGRAM_BYTES_MAX];
};

/* A ring, in the order in which they came, which is that in which they are due. */
static struct datagram under_way[UNDER_WAY_MAX];
static size_t first, count;
static int outer, inner; /* towards the sender, and the target */
static struct sockaddr_in sender;
static struct osr_random random_numbers;

static struct sockaddr_in address_of(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void check(int ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static int make_socket(int port, int is_listener)
{
    int bytes = SOCKET_BYTES;
    int made = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = address_of(port);
    struct sockaddr *at = (struct sockaddr *)&address;
    check(made >= 0, "socket");
    setsockopt(made, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
    int code = is_listener ? bind(made, at, sizeof(address)) : connect(made, at, sizeof(address));
    check(code == 0, "address");
    return made;
}

static void take_in(int from, int to_target, double loss, uint64_t delay_ns)
{
    struct sockaddr_in address;
    while (count < UNDER_WAY_MAX) {
        struct datagram *datagram = &under_way[(first + count) % UNDER_WAY_MAX];
        socklen_t size = sizeof(address);
        ssize_t got = recvfrom(from, datagram->bytes, sizeof(datagram->bytes), 0,
                               (struct sockaddr *)&address, &size);
        if (got < 0) {
            return;
        }
        if (to_target) {
            sender = address;
        }
        if (osr_random_chance(&random_numbers, loss)) {
            continue;
        }
        datagram->due_ns = bench_now_ns() + delay_ns;
        datagram->to_target = to_target;
        datagram->size = (size_t)got;
        count++;
    }
}

static void let_out(void)
{
    uint64_t now_ns = bench_now_ns();
    while (count > 0 && under_way[first].due_ns <= now_ns) {
        const struct datagram *datagram = &under_way[first];
        if (datagram->to_target) {
            send(inner, datagram->bytes, datagram->size, 0);
        } else {
            sendto(outer, datagram->bytes, datagram->size, 0, (struct sockaddr *)&sender,
                   sizeof(sender));
        }
        first = (first + 1) % UNDER_WAY_MAX;
        count--;
    }
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: %s LISTEN_PORT TARGET_PORT LOSS_PERCENT DELAY_US\n", argv[0]);
        return 64;
    }
    double loss = strtod(argv[3], NULL) / 100;
    uint64_t delay_ns = strtoull(argv[4], NULL, 10) * 1000;
    outer = make_socket(atoi(argv[1]), 1);
    inner = make_socket(atoi(argv[2]), 0);
    osr_random_init(&random_numbers, 1);
    for (;;) {
        struct pollfd readable[] = {{.fd = outer, .events = POLLIN},
                                    {.fd = inner, .events = POLLIN}};
        uint64_t now_ns = bench_now_ns(), due_ns = count > 0 ? under_way[first].due_ns : 0;
        struct timespec wait = {.tv_nsec = due_ns > now_ns ? (long)(due_ns - now_ns) : 0};
        ppoll(readable, 2, count > 0 ? &wait : NULL, NULL);
        take_in(outer, 1, loss, delay_ns);
        take_in(inner, 0, loss, delay_ns);
        let_out();
    }
}
