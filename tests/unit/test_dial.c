/* The client's dial: several addresses, names that hang, the time limit; never a wait within. */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "adapter/clock.h"
#include "lib/dialling.h"

/* ---- the system's look-up, as the test wants it ---- */

static sem_t let_go;

static struct addrinfo *answer_of(const char *address, const char *port, struct addrinfo *next)
{
    struct addrinfo *answer = calloc(1, sizeof(*answer));
    struct sockaddr_in *place = calloc(1, sizeof(*place));
    assert_true(answer != NULL && place != NULL);
    place->sin_family = AF_INET;
    place->sin_port = htons((uint16_t)atoi(port));
    inet_pton(AF_INET, address, &place->sin_addr);
    answer->ai_addr = (struct sockaddr *)place;
    answer->ai_addrlen = sizeof(*place);
    answer->ai_next = next;
    return answer;
}

/* Stands in for the system's. "hangs" waits for the test, "two" has two addresses. */
int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                struct addrinfo **ret_addresses)
{
    (void)hints;
    if (strcmp(host, "hangs") == 0) {
        sem_wait(&let_go);
        return EAI_AGAIN;
    }
    if (strcmp(host, "two") == 0) {
        *ret_addresses = answer_of("127.0.0.2", port, answer_of("127.0.0.1", port, NULL));
        return 0;
    }
    return EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *addresses)
{
    while (addresses != NULL) {
        struct addrinfo *next = addresses->ai_next;
        free(addresses->ai_addr);
        free(addresses);
        addresses = next;
    }
}

/* ---- listeners ---- */

static struct sockaddr_in place_of(const char *address, uint16_t port)
{
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, address, &place.sin_addr);
    return place;
}

/* Port 0: any; *ret_port: which. */
static int listen_at(const char *address, uint16_t port, int backlog, uint16_t *ret_port)
{
    struct sockaddr_in place = place_of(address, port);
    socklen_t size = sizeof(place);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&place, sizeof(place)), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&place, &size), 0);
    *ret_port = ntohs(place.sin_port);
    return fd;
}

/* A listener that answers no more: its queue is full, and the system drops what comes. */
struct deaf {
    int fd;
    int queued[8];
};

static void make_deaf(struct deaf *deaf, const char *address, uint16_t port)
{
    uint16_t same_port;
    deaf->fd = listen_at(address, port, 0, &same_port);
    struct sockaddr_in place = place_of(address, same_port);
    for (size_t i = 0; i < sizeof(deaf->queued) / sizeof(deaf->queued[0]); i++) {
        deaf->queued[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(deaf->queued[i], (struct sockaddr *)&place, sizeof(place));
    }
}

static void end_deaf(const struct deaf *deaf)
{
    close(deaf->fd);
    for (size_t i = 0; i < sizeof(deaf->queued) / sizeof(deaf->queued[0]); i++) {
        close(deaf->queued[i]);
    }
}

static struct osr_url url_of(const char *host, uint16_t port)
{
    char text[64];
    struct osr_url url;
    snprintf(text, sizeof(text), "grpc://%s:%u", host, port);
    assert_int_equal(osr_url_parse(text, &url, NULL), OSR_OK);
    return url;
}

/* ---- tests ---- */

/* An address that swallows packets gets its share of the time; then comes the next one. */
static void next_address_is_tried_in_time(void **state)
{
    (void)state;
    struct deaf deaf;
    uint16_t port;
    int fd = -1;
    int listener = listen_at("127.0.0.1", 0, 8, &port);
    make_deaf(&deaf, "127.0.0.2", port);
    struct osr_url url = url_of("two", port);
    uint64_t began_ms = osr_monotonic_ms();
    assert_int_equal(dial_and_wait(&url, 600, &fd, NULL), OSR_OK);
    uint64_t took_ms = osr_monotonic_ms() - began_ms;
    assert_in_range(took_ms, 280, 590);
    close(fd);
    end_deaf(&deaf);
    close(listener);
}

/* Where nobody answers the dial ends when its time is over. */
static void silence_ends_in_time(void **state)
{
    (void)state;
    struct deaf deaf;
    uint16_t port;
    struct osr_err err;
    int fd = -1;
    close(listen_at("127.0.0.1", 0, 8, &port));
    make_deaf(&deaf, "127.0.0.1", port);
    struct osr_url url = url_of("127.0.0.1", port);
    uint64_t began_ms = osr_monotonic_ms();
    assert_int_equal(dial_and_wait(&url, 100, &fd, &err), OSR_TIMEOUT);
    assert_in_range(osr_monotonic_ms() - began_ms, 100, 2000);
    assert_string_not_equal(err.hint, "");
    assert_int_equal(fd, -1);
    end_deaf(&deaf);
}

/* A name server that does not answer holds nobody up, and who gives up leaves the question behind.
 */
static void hanging_name_holds_nobody_up(void **state)
{
    (void)state;
    struct osr_url url = url_of("hangs", 1);
    struct osr_dial *dial;
    int fd = -1;
    assert_int_equal(osr_dial_start(&url, 60000, &dial, NULL), OSR_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(osr_dial_step(dial, &fd, NULL), OSR_OK);
        assert_int_equal(fd, -1);
    }
    osr_dial_destroy(dial);
    assert_int_equal(dial_and_wait(&url, 50, &fd, NULL), OSR_TIMEOUT);
    sem_post(&let_go);
    sem_post(&let_go);
}

/* A name that does not exist is wrong; where nobody listens is told as such. */
static void failures_are_told(void **state)
{
    (void)state;
    uint16_t port;
    struct osr_err err;
    int fd = -1;
    close(listen_at("127.0.0.1", 0, 8, &port));
    struct osr_url nowhere = url_of("nowhere", port);
    struct osr_url free_port = url_of("127.0.0.1", port);
    struct osr_url free_ports = url_of("two", port);
    assert_int_equal(dial_and_wait(&nowhere, 5000, &fd, &err), OSR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "nowhere"));
    assert_int_equal(dial_and_wait(&free_port, 5000, &fd, &err), OSR_UNAVAILABLE);
    assert_int_equal(dial_and_wait(&free_ports, 5000, &fd, &err), OSR_UNAVAILABLE);
    assert_int_equal(fd, -1);
}

int main(void)
{
    sem_init(&let_go, 0, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(next_address_is_tried_in_time),
        cmocka_unit_test(silence_ends_in_time),
        cmocka_unit_test(hanging_name_holds_nobody_up),
        cmocka_unit_test(failures_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
