/* The transport on real sockets of this machine: both ends on one loop. */
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "adapter/transport.h"
#include "lib/dialling.h"

enum { TIMEOUT_MS = 5000, BIG_BYTES = 8 << 20 };

/* One end of a connection, and what it saw. */
struct end {
    struct osr_connection *connection; /* NULL after on_close */
    struct osr_buffer received;
    int opens, ends, drains, closes;
    struct osr_err close_err;
    uint8_t room[65536];
};

struct fixture {
    uv_loop_t loop;
    struct osr_listener *listener;
    struct end client;
    struct end server;
    char folder[64];
    bool refuse;  /* the server closes what it accepts */
    bool in_call; /* a function of the transport is running */
    bool timed_out;
};

static struct fixture *current; /* one test at a time */

/* -- names -- */

/* These two need no name server; every other name is the system's business. */
#define NAME_OF_TWO     "two-addresses.test"
#define NAME_THAT_HANGS "hangs.test"

static sem_t hanging, may_go_on; /* of looks at NAME_THAT_HANGS */

typedef int look_up(const char *, const char *, const struct addrinfo *, struct addrinfo **);

/* Stands in for the C library's. */
int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                struct addrinfo **ret_addresses)
{
    static look_up *system_look_up;
    if (system_look_up == NULL)
        *(void **)&system_look_up = dlsym(RTLD_NEXT, "getaddrinfo");
    if (host == NULL)
        return system_look_up(host, port, hints, ret_addresses);
    if (strcmp(host, NAME_THAT_HANGS) == 0) {
        sem_post(&hanging);
        sem_wait(&may_go_on);
        return EAI_AGAIN;
    }
    if (strcmp(host, NAME_OF_TWO) != 0)
        return system_look_up(host, port, hints, ret_addresses);
    /* Nobody listens at the first. */
    int result = system_look_up("127.0.0.2", port, hints, ret_addresses);
    return result != 0 ? result
                       : system_look_up("127.0.0.1", port, hints, &(*ret_addresses)->ai_next);
}

static struct end *end_of(void *context)
{
    assert_false(current->in_call); /* "no callback is called from within a function" */
    return context;
}

static void on_open(void *context, struct osr_connection *connection)
{
    struct end *end = end_of(context);
    assert_ptr_equal(end->connection, connection);
    end->opens++;
}

static uint8_t *on_room(void *context, size_t suggested, size_t *ret_size)
{
    (void)suggested;
    struct end *end = end_of(context);
    *ret_size = sizeof end->room;
    return end->room;
}

static void on_read(void *context, struct osr_connection *connection, size_t size)
{
    (void)connection;
    struct end *end = end_of(context);
    osr_buffer_add(&end->received, end->room, size);
}

static void on_end(void *context, struct osr_connection *connection)
{
    (void)connection;
    end_of(context)->ends++;
}

static void on_drain(void *context, struct osr_connection *connection)
{
    assert_int_equal(osr_connection_queued(connection), 0);
    end_of(context)->drains++;
}

static void on_close(void *context, struct osr_connection *connection, const struct osr_err *err)
{
    struct end *end = end_of(context);
    assert_ptr_equal(end->connection, connection);
    end->connection = NULL;
    end->closes++;
    end->close_err = *err;
}

static const struct osr_connection_handler handler = {
    .on_open = on_open,
    .on_room = on_room,
    .on_read = on_read,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_close = on_close,
};

/* The same without the two that may be NULL. */
static const struct osr_connection_handler plain_handler = {
    .on_open = on_open, .on_room = on_room, .on_read = on_read, .on_close = on_close};

static void on_accept(void *context, struct osr_connection *connection)
{
    struct fixture *fixture = context;

    if (fixture->refuse) {
        osr_connection_close(connection, true);
        return;
    }
    assert_null(fixture->server.connection);
    fixture->server.connection = connection;
    osr_connection_accept(connection, &handler, &fixture->server);
}

/* -- steps -- */

static void on_timeout(uv_timer_t *timer)
{
    ((struct fixture *)timer->data)->timed_out = true;
}

/* Runs the loop until the condition holds; fails after TIMEOUT_MS. */
#define run_until(fixture, condition)                                                              \
    do {                                                                                           \
        uv_timer_t timer;                                                                          \
        (fixture)->timed_out = false;                                                              \
        uv_timer_init(&(fixture)->loop, &timer);                                                   \
        timer.data = (fixture);                                                                    \
        uv_timer_start(&timer, on_timeout, TIMEOUT_MS, 0);                                         \
        while (!(condition) && !(fixture)->timed_out)                                              \
            uv_run(&(fixture)->loop, UV_RUN_ONCE);                                                 \
        uv_close((uv_handle_t *)&timer, NULL);                                                     \
        uv_run(&(fixture)->loop, UV_RUN_NOWAIT);                                                   \
        assert_true(condition);                                                                    \
    } while (0)

static struct osr_url url_of(const char *text)
{
    struct osr_url url;
    struct osr_err err;

    assert_int_equal(osr_url_parse(text, &url, &err), 0);
    return url;
}

static int try_listen(struct fixture *fixture, const char *text, struct osr_listener **ret_listener,
                      struct osr_err *err)
{
    struct osr_url url = url_of(text);
    fixture->in_call = true;
    int code = osr_transport_listen(&fixture->loop, &url, NULL, on_accept, fixture, ret_listener, err);
    fixture->in_call = false;
    return code;
}

static void listen_at(struct fixture *fixture, const char *text)
{
    struct osr_err err;
    assert_int_equal(try_listen(fixture, text, &fixture->listener, &err), 0);
}

static void dial(struct fixture *fixture, const char *text,
                 const struct osr_connection_handler *client_handler)
{
    struct osr_url url = url_of(text);
    struct osr_err err;

    fixture->in_call = true;
    assert_int_equal(osr_transport_dial(&fixture->loop, &url, NULL, 1000, client_handler,
                                        &fixture->client, &fixture->client.connection, &err),
                     0);
    fixture->in_call = false;
}

/* A listener, a client, and the server's end of the two. */
static void connect_pair(struct fixture *fixture)
{
    listen_at(fixture, "tcp://127.0.0.1:0");
    dial(fixture, osr_listener_url(fixture->listener), &handler);
    run_until(fixture, fixture->client.opens == 1 && fixture->server.connection != NULL);
}

static void send_bytes(struct fixture *fixture, struct end *end, const void *data, size_t size)
{
    struct osr_buffer buffer = {0};

    osr_buffer_add(&buffer, data, size);
    fixture->in_call = true;
    osr_connection_write(end->connection, &buffer);
    fixture->in_call = false;
    assert_int_equal(buffer.size, 0);
    assert_null(buffer.data);
}

static void close_end(struct fixture *fixture, struct end *end, bool reset)
{
    fixture->in_call = true;
    osr_connection_close(end->connection, reset);
    fixture->in_call = false;
}

static void half_close(struct fixture *fixture, struct end *end)
{
    fixture->in_call = true;
    osr_connection_end(end->connection);
    fixture->in_call = false;
}

static void assert_received(const struct end *end, const char *text)
{
    assert_true(osr_slice_equal(osr_buffer_slice(&end->received), osr_slice_text(text)));
}

/* Bytes that differ from place to place. */
static uint8_t *big_pattern(void)
{
    uint8_t *bytes = osr_alloc(BIG_BYTES);
    for (size_t i = 0; i < BIG_BYTES; i++)
        bytes[i] = (uint8_t)(i * 31 + (i >> 8) * 7);
    return bytes;
}

static int set_up(void **state)
{
    struct fixture *fixture = osr_alloc(sizeof *fixture);

    uv_loop_init(&fixture->loop);
    snprintf(fixture->folder, sizeof fixture->folder, "/tmp/osiris-tcp-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    current = fixture;
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    osr_listener_close(fixture->listener);
    if (fixture->client.connection != NULL)
        osr_connection_close(fixture->client.connection, true);
    if (fixture->server.connection != NULL)
        osr_connection_close(fixture->server.connection, true);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    osr_buffer_done(&fixture->client.received);
    osr_buffer_done(&fixture->server.received);
    assert_int_equal(rmdir(fixture->folder), 0); /* sockets were unlinked */
    free(fixture);
    return 0;
}

/* -- tests -- */

/* What one end writes the other reads, in order, in both directions. */
static void tcp_carries_bytes_both_ways(void **state)
{
    struct fixture *fixture = *state;

    connect_pair(fixture);
    send_bytes(fixture, &fixture->client, "question ", 9);
    send_bytes(fixture, &fixture->client, "mark", 4);
    send_bytes(fixture, &fixture->server, "answer", 6);
    run_until(fixture, fixture->server.received.size == 13 && fixture->client.received.size == 6);
    assert_received(&fixture->server, "question mark");
    assert_received(&fixture->client, "answer");
    assert_int_equal(fixture->client.drains, 1); /* two writes, one writev */
}

/* What is written before the dial succeeds goes out once it has. */
static void tcp_keeps_what_is_written_while_dialling(void **state)
{
    struct fixture *fixture = *state;

    listen_at(fixture, "tcp://127.0.0.1:0");
    dial(fixture, osr_listener_url(fixture->listener), &handler);
    send_bytes(fixture, &fixture->client, "early", 5);
    assert_int_equal(osr_connection_queued(fixture->client.connection), 5);
    run_until(fixture, fixture->server.received.size == 5);
}

/* A write larger than any socket buffer arrives whole, and the queue is empty after it. */
static void tcp_writes_more_than_the_socket_takes(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *bytes = big_pattern();

    connect_pair(fixture);
    for (size_t at = 0; at < BIG_BYTES; at += BIG_BYTES / 512)
        send_bytes(fixture, &fixture->client, bytes + at, BIG_BYTES / 512);
    run_until(fixture, fixture->server.received.size == BIG_BYTES);
    assert_memory_equal(fixture->server.received.data, bytes, BIG_BYTES);
    run_until(fixture, fixture->client.drains == 1);
    free(bytes);
}

/* A connection that is not read holds the writer back; read again, all arrives. */
static void tcp_back_pressure_keeps_bytes_queued(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *bytes = big_pattern();

    connect_pair(fixture);
    osr_connection_read(fixture->server.connection, false);
    send_bytes(fixture, &fixture->client, bytes, BIG_BYTES);
    for (int i = 0; i < 50; i++)
        uv_run(&fixture->loop, UV_RUN_NOWAIT);
    assert_int_equal(fixture->server.received.size, 0);
    assert_true(osr_connection_queued(fixture->client.connection) > 0);
    osr_connection_read(fixture->server.connection, true);
    run_until(fixture, fixture->server.received.size == BIG_BYTES);
    free(bytes);
}

/* After a half-close the other direction still works; when both have ended, both close well. */
static void tcp_half_close_lets_the_answer_through(void **state)
{
    struct fixture *fixture = *state;

    connect_pair(fixture);
    send_bytes(fixture, &fixture->client, "last words", 10);
    half_close(fixture, &fixture->client);
    run_until(fixture, fixture->server.ends == 1);
    assert_received(&fixture->server, "last words");
    send_bytes(fixture, &fixture->server, "heard", 5);
    half_close(fixture, &fixture->server);
    run_until(fixture, fixture->client.closes == 1 && fixture->server.closes == 1);
    assert_received(&fixture->client, "heard");
    assert_int_equal(fixture->client.ends, 1);
    assert_int_equal(fixture->client.close_err.code, OSR_OK);
    assert_int_equal(fixture->server.close_err.code, OSR_OK);
}

/* A close sends what is queued first, though the other side floods and is not read. */
static void tcp_close_delivers_what_is_queued(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *bytes = big_pattern();

    connect_pair(fixture);
    send_bytes(fixture, &fixture->client, bytes, BIG_BYTES); /* not read before the close */
    send_bytes(fixture, &fixture->server, "why it ends", 11);
    close_end(fixture, &fixture->server, false);
    run_until(fixture, fixture->client.ends == 1);
    assert_received(&fixture->client, "why it ends");
    close_end(fixture, &fixture->client, false);
    run_until(fixture, fixture->client.closes == 1 && fixture->server.closes == 1);
    assert_int_equal(fixture->server.close_err.code, OSR_OK);
    free(bytes);
}

/* A handler without on_end closes when the other side has ended. */
static void tcp_closes_by_itself_without_on_end(void **state)
{
    struct fixture *fixture = *state;

    listen_at(fixture, "tcp://127.0.0.1:0");
    dial(fixture, osr_listener_url(fixture->listener), &plain_handler);
    run_until(fixture, fixture->server.connection != NULL);
    half_close(fixture, &fixture->server);
    run_until(fixture, fixture->client.closes == 1 && fixture->server.closes == 1);
    assert_int_equal(fixture->client.close_err.code, OSR_OK);
}

/* A close with reset is seen as a failure by the other side. */
static void tcp_reset_is_no_orderly_end(void **state)
{
    struct fixture *fixture = *state;

    connect_pair(fixture);
    close_end(fixture, &fixture->client, true);
    run_until(fixture, fixture->client.closes == 1 && fixture->server.closes == 1);
    assert_int_equal(fixture->client.close_err.code, OSR_CANCELLED);
    assert_int_equal(fixture->server.ends, 0);
    assert_int_equal(fixture->server.close_err.code, OSR_UNAVAILABLE);
}

/* Where nobody listens on_close says so, once, and later. */
static void tcp_dial_says_that_nobody_listens(void **state)
{
    struct fixture *fixture = *state;

    listen_at(fixture, "tcp://127.0.0.1:0");
    char *url = osr_strdup(osr_listener_url(fixture->listener));
    osr_listener_close(fixture->listener);
    fixture->listener = NULL;
    uv_run(&fixture->loop, UV_RUN_NOWAIT);
    dial(fixture, url, &handler);
    run_until(fixture, fixture->client.closes == 1);
    assert_int_equal(fixture->client.opens, 0);
    assert_int_equal(fixture->client.close_err.code, OSR_UNAVAILABLE);
    assert_non_null(strstr(fixture->client.close_err.message, "nobody listens"));
    free(url);
}

/* A dial that is called off is closed once, without having opened. */
static void tcp_dial_can_be_called_off(void **state)
{
    struct fixture *fixture = *state;

    listen_at(fixture, "tcp://127.0.0.1:0");
    dial(fixture, osr_listener_url(fixture->listener), &handler);
    close_end(fixture, &fixture->client, false);
    run_until(fixture, fixture->client.closes == 1);
    assert_int_equal(fixture->client.opens, 0);
    assert_int_equal(fixture->client.close_err.code, OSR_CANCELLED);
}

/* A dial that nobody answers ends with the time-out. */
static void tcp_dial_times_out(void **state)
{
    struct fixture *fixture = *state;
    struct osr_url url = url_of("tcp://192.0.2.1:9"); /* TEST-NET-1: nobody answers */
    struct osr_err err;

    assert_int_equal(osr_transport_dial(&fixture->loop, &url, NULL, 30, &handler, &fixture->client,
                                        &fixture->client.connection, &err),
                     0);
    run_until(fixture, fixture->client.closes == 1);
    assert_true(fixture->client.close_err.code == OSR_TIMEOUT ||
                fixture->client.close_err.code == OSR_UNAVAILABLE); /* no network at all */
}

/* Every address that a name has is tried until one answers. */
static void tcp_dial_tries_all_addresses_of_a_name(void **state)
{
    struct fixture *fixture = *state;
    char url[64];

    listen_at(fixture, "tcp://127.0.0.1:0");
    snprintf(url, sizeof url, "tcp://" NAME_OF_TWO "%s",
             strrchr(osr_listener_url(fixture->listener), ':'));
    dial(fixture, url, &handler);
    run_until(fixture, fixture->client.opens == 1 && fixture->server.connection != NULL);
    assert_int_equal(fixture->client.closes, 0); /* the dead address is no news */
}

/* Where none of them answers that is said, once, after the last. */
static void tcp_dial_gives_up_after_the_last_address(void **state)
{
    struct fixture *fixture = *state;
    char url[64];

    listen_at(fixture, "tcp://127.0.0.1:0");
    snprintf(url, sizeof url, "tcp://" NAME_OF_TWO "%s",
             strrchr(osr_listener_url(fixture->listener), ':'));
    osr_listener_close(fixture->listener);
    fixture->listener = NULL;
    uv_run(&fixture->loop, UV_RUN_NOWAIT);
    dial(fixture, url, &handler);
    run_until(fixture, fixture->client.closes == 1);
    assert_int_equal(fixture->client.opens, 0);
    assert_int_equal(fixture->client.close_err.code, OSR_UNAVAILABLE);
}

/* A look-up that hangs holds nobody up: the dial times out or is called off, and the loop comes to
 * its end with the look-up still under way. */
static void tcp_dial_leaves_a_hanging_look_up_behind(void **state)
{
    struct fixture *fixture = *state;
    struct osr_url url = url_of("tcp://" NAME_THAT_HANGS ":1");
    struct osr_err err;

    assert_int_equal(osr_transport_dial(&fixture->loop, &url, NULL, 30, &handler, &fixture->client,
                                        &fixture->client.connection, &err),
                     0);
    run_until(fixture, fixture->client.closes == 1);
    assert_int_equal(fixture->client.close_err.code, OSR_TIMEOUT);
    dial(fixture, url.text, &handler);
    sem_wait(&hanging);
    sem_wait(&hanging);
    close_end(fixture, &fixture->client, false);
    run_until(fixture, fixture->client.closes == 2);
    assert_int_equal(fixture->client.close_err.code, OSR_CANCELLED);
    uv_timer_t timer;
    fixture->timed_out = false;
    uv_timer_init(&fixture->loop, &timer);
    timer.data = fixture;
    uv_timer_start(&timer, on_timeout, TIMEOUT_MS, 0);
    uv_unref((uv_handle_t *)&timer);
    uv_run(&fixture->loop, UV_RUN_DEFAULT); /* would wait for what is under way */
    assert_false(fixture->timed_out);
    uv_close((uv_handle_t *)&timer, NULL);
    sem_post(&may_go_on); /* their answers find nobody */
    sem_post(&may_go_on);
}

/* A name that does not exist is the caller's mistake. */
static void tcp_dial_refuses_an_unknown_name(void **state)
{
    struct fixture *fixture = *state;

    dial(fixture, "tcp://no-such-host.invalid:1", &handler);
    run_until(fixture, fixture->client.closes == 1);
    assert_non_null(strstr(fixture->client.close_err.message, "no address"));
}

/* A port that is taken is IN_USE, with what to do about it. */
static void tcp_listen_says_that_the_port_is_taken(void **state)
{
    struct fixture *fixture = *state;
    struct osr_listener *second = NULL;
    struct osr_err err;

    listen_at(fixture, "tcp://127.0.0.1:0");
    assert_int_equal(try_listen(fixture, osr_listener_url(fixture->listener), &second, &err),
                     OSR_IN_USE);
    assert_null(second);
    assert_non_null(strstr(err.message, "127.0.0.1"));
    assert_non_null(strstr(err.hint, "another port"));
}

/* The parameters of a listener stay in its address. */
static void tcp_listener_keeps_its_parameters(void **state)
{
    struct fixture *fixture = *state;

    listen_at(fixture, "tcp://127.0.0.1:0?peer=seed");
    assert_non_null(strstr(osr_listener_url(fixture->listener), "?peer=seed"));
    assert_null(strstr(osr_listener_url(fixture->listener), ":0?"));
}

/* A listener may refuse a connection before it has a handler. */
static void tcp_listener_may_refuse(void **state)
{
    struct fixture *fixture = *state;

    fixture->refuse = true;
    listen_at(fixture, "tcp://127.0.0.1:0");
    dial(fixture, osr_listener_url(fixture->listener), &handler);
    run_until(fixture, fixture->client.closes == 1);
    assert_int_equal(fixture->client.close_err.code, OSR_UNAVAILABLE);
}

static char *socket_url(const struct fixture *fixture)
{
    return osr_format("unix://%s/s", fixture->folder);
}

/* A Unix socket tells who is at the other end, and is for its owner alone. */
static void unix_socket_knows_its_peer(void **state)
{
    struct fixture *fixture = *state;
    char *url = socket_url(fixture);
    struct stat file;

    listen_at(fixture, url);
    assert_int_equal(stat(url + strlen("unix://"), &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);
    dial(fixture, url, &handler);
    run_until(fixture, fixture->server.connection != NULL && fixture->client.opens == 1);
    struct osr_credentials peer = osr_connection_credentials(fixture->server.connection);
    assert_true(peer.known);
    assert_int_equal(peer.uid, getuid());
    assert_int_equal(peer.pid, getpid());
    assert_true(osr_connection_is_local(fixture->server.connection));
    free(url);
}

/* The socket of a process that was killed is replaced; that of a running one is not. */
static void unix_socket_left_behind_is_replaced(void **state)
{
    struct fixture *fixture = *state;
    char *url = socket_url(fixture);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct osr_listener *second = NULL;
    struct osr_err err;

    snprintf(address.sun_path, sizeof address.sun_path, "%s/s", fixture->folder);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd); /* as a kill does: the file stays */
    listen_at(fixture, url);
    dial(fixture, url, &handler);
    run_until(fixture, fixture->client.opens == 1 && fixture->server.connection != NULL);
    fixture->refuse = true; /* what looks whether anybody answers is no client */
    assert_int_equal(try_listen(fixture, url, &second, &err), OSR_IN_USE);
    free(url);
}

/* A file that is no socket is left where it is. */
static void unix_listen_refuses_a_foreign_file(void **state)
{
    struct fixture *fixture = *state;
    char *url = socket_url(fixture);
    const char *path = url + strlen("unix://");
    struct osr_listener *listener = NULL;
    struct osr_err err;
    int fd = open(path, O_CREAT | O_WRONLY, 0600);

    assert_int_equal(write(fd, "data", 4), 4);
    close(fd);
    assert_int_equal(try_listen(fixture, url, &listener, &err), OSR_FOREIGN_FILE);
    assert_int_equal(unlink(path), 0);
    free(url);
}

/* A path that the system would cut is refused on both sides. */
static void unix_path_too_long_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char text[200];
    struct osr_url url;
    struct osr_listener *listener = NULL;
    struct osr_connection *connection = NULL;
    struct osr_err err;
    int fd;

    snprintf(text, sizeof text, "unix://%s/%0100d", fixture->folder, 0);
    url = url_of(text);
    assert_int_equal(try_listen(fixture, text, &listener, &err), OSR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "limit of 107"));
    assert_non_null(strstr(err.hint, "--data"));
    assert_int_equal(osr_transport_dial(&fixture->loop, &url, NULL, 1000, &handler, &fixture->client,
                                        &connection, &err),
                     OSR_INVALID_ARGUMENT);
    assert_int_equal(dial_and_wait(&url, 1000, &fd, &err), OSR_INVALID_ARGUMENT);
}

/* The dial of the client reaches listeners of both kinds, without blocking. */
static void client_dial_connects(void **state)
{
    struct fixture *fixture = *state;
    char *path_url = socket_url(fixture);
    struct osr_err err;
    int fd = -1;

    listen_at(fixture, path_url);
    struct osr_url url = url_of(path_url);
    assert_int_equal(dial_and_wait(&url, 1000, &fd, &err), 0);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    close(fd);
    osr_listener_close(fixture->listener);
    listen_at(fixture, "tcp://127.0.0.1:0");
    url = url_of(osr_listener_url(fixture->listener));
    assert_int_equal(dial_and_wait(&url, 1000, &fd, &err), 0);
    assert_int_equal(write(fd, "hello", 5), 5);
    run_until(fixture, fixture->server.received.size == 5);
    close(fd);
    run_until(fixture, fixture->server.ends == 1);
    free(path_url);
}

/* Where nobody listens the dial of the client says so and what to do. */
static void client_dial_says_that_nobody_listens(void **state)
{
    struct fixture *fixture = *state;
    char *path_url = socket_url(fixture);
    struct osr_url url = url_of(path_url);
    struct osr_err err;
    int fd = -1;

    assert_int_equal(dial_and_wait(&url, 1000, &fd, &err), OSR_UNAVAILABLE);
    assert_int_equal(fd, -1);
    assert_non_null(strstr(err.hint, "osirisd --data"));
    free(path_url);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(tcp_carries_bytes_both_ways),
        TEST(tcp_keeps_what_is_written_while_dialling),
        TEST(tcp_writes_more_than_the_socket_takes),
        TEST(tcp_back_pressure_keeps_bytes_queued),
        TEST(tcp_half_close_lets_the_answer_through),
        TEST(tcp_close_delivers_what_is_queued),
        TEST(tcp_closes_by_itself_without_on_end),
        TEST(tcp_reset_is_no_orderly_end),
        TEST(tcp_dial_says_that_nobody_listens),
        TEST(tcp_dial_can_be_called_off),
        TEST(tcp_dial_times_out),
        TEST(tcp_dial_tries_all_addresses_of_a_name),
        TEST(tcp_dial_gives_up_after_the_last_address),
        TEST(tcp_dial_leaves_a_hanging_look_up_behind),
        TEST(tcp_dial_refuses_an_unknown_name),
        TEST(tcp_listen_says_that_the_port_is_taken),
        TEST(tcp_listener_keeps_its_parameters),
        TEST(tcp_listener_may_refuse),
        TEST(unix_socket_knows_its_peer),
        TEST(unix_socket_left_behind_is_replaced),
        TEST(unix_listen_refuses_a_foreign_file),
        TEST(unix_path_too_long_is_refused),
        TEST(client_dial_connects),
        TEST(client_dial_says_that_nobody_listens),
    };
    sem_init(&hanging, 0, 0);
    sem_init(&may_go_on, 0, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
