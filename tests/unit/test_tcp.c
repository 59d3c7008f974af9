/* What TCP and Unix sockets do beyond what every kind of connection promises (test_transport.c):
 * names and addresses, ports, socket files, and the dial of the client. */
#include "lib/transport_rig.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/dialling.h"

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
    if (system_look_up == NULL) {
        *(void **)&system_look_up = dlsym(RTLD_NEXT, "getaddrinfo");
    }
    if (host == NULL) {
        return system_look_up(host, port, hints, ret_addresses);
    }
    if (strcmp(host, NAME_THAT_HANGS) == 0) {
        sem_post(&hanging);
        sem_wait(&may_go_on);
        return EAI_AGAIN;
    }
    if (strcmp(host, NAME_OF_TWO) != 0) {
        return system_look_up(host, port, hints, ret_addresses);
    }
    /* Nobody listens at the first. */
    int result = system_look_up("127.0.0.2", port, hints, ret_addresses);
    return result != 0 ? result
                       : system_look_up("127.0.0.1", port, hints, &(*ret_addresses)->ai_next);
}

/* -- tests -- */

/* What is written in one turn of the loop goes out as one piece. */
static void tcp_writes_what_came_together_at_once(void **state)
{
    struct transport_rig *rig = *state;

    rig_connect(rig);
    rig_send(rig, &rig->client, "question ", 9);
    rig_send(rig, &rig->client, "mark", 4);
    rig_run_until(rig, rig->server.received.size == 13);
    assert_int_equal(rig->client.drains, 1);
}

/* A close with reset is seen as a failure by the other side. */
static void tcp_reset_is_no_orderly_end(void **state)
{
    struct transport_rig *rig = *state;

    rig_connect(rig);
    rig_close(rig, &rig->client, true);
    rig_run_until(rig, rig->client.closes == 1 && rig->server.closes == 1);
    assert_int_equal(rig->client.close_err.code, OSR_CANCELLED);
    assert_int_equal(rig->server.ends, 0);
    assert_int_equal(rig->server.close_err.code, OSR_UNAVAILABLE);
}

/* A dial that nobody answers ends with the time-out. */
static void tcp_dial_times_out(void **state)
{
    struct transport_rig *rig = *state;
    struct osr_url url = rig_url("tcp://192.0.2.1:9"); /* TEST-NET-1: nobody answers */
    struct osr_err err;

    assert_int_equal(osr_transport_dial(&rig->loop, &url, NULL, 30, &rig_handler, &rig->client,
                                        &rig->client.connection, &err),
                     0);
    rig_run_until(rig, rig->client.closes == 1);
    assert_true(rig->client.close_err.code == OSR_TIMEOUT ||
                rig->client.close_err.code == OSR_UNAVAILABLE); /* no network at all */
}

/* Every address that a name has is tried until one answers. */
static void tcp_dial_tries_all_addresses_of_a_name(void **state)
{
    struct transport_rig *rig = *state;
    char url[64];

    rig_listen(rig);
    snprintf(url, sizeof(url), "tcp://" NAME_OF_TWO "%s",
             strrchr(osr_listener_url(rig->listener), ':'));
    rig_dial(rig, url, &rig_handler);
    rig_run_until(rig, rig->client.opens == 1 && rig->server.connection != NULL);
    assert_int_equal(rig->client.closes, 0); /* the dead address is no news */
}

/* Where none of them answers that is said, once, after the last. */
static void tcp_dial_gives_up_after_the_last_address(void **state)
{
    struct transport_rig *rig = *state;
    char url[64];

    rig_listen(rig);
    snprintf(url, sizeof(url), "tcp://" NAME_OF_TWO "%s",
             strrchr(osr_listener_url(rig->listener), ':'));
    osr_listener_close(rig->listener);
    rig->listener = NULL;
    uv_run(&rig->loop, UV_RUN_NOWAIT);
    rig_dial(rig, url, &rig_handler);
    rig_run_until(rig, rig->client.closes == 1);
    assert_int_equal(rig->client.opens, 0);
    assert_int_equal(rig->client.close_err.code, OSR_UNAVAILABLE);
}

/* A look-up that hangs holds nobody up: the dial times out or is called off, and the loop comes to
 * its end with the look-up still under way. */
static void tcp_dial_leaves_a_hanging_look_up_behind(void **state)
{
    struct transport_rig *rig = *state;
    struct osr_url url = rig_url("tcp://" NAME_THAT_HANGS ":1");
    struct osr_err err;

    assert_int_equal(osr_transport_dial(&rig->loop, &url, NULL, 30, &rig_handler, &rig->client,
                                        &rig->client.connection, &err),
                     0);
    rig_run_until(rig, rig->client.closes == 1);
    assert_int_equal(rig->client.close_err.code, OSR_TIMEOUT);
    rig_dial(rig, url.text, &rig_handler);
    sem_wait(&hanging);
    sem_wait(&hanging);
    rig_close(rig, &rig->client, false);
    rig_run_until(rig, rig->client.closes == 2);
    assert_int_equal(rig->client.close_err.code, OSR_CANCELLED);
    uv_timer_t timer;
    rig_timer_start(rig, &timer);
    uv_unref((uv_handle_t *)&timer);
    uv_run(&rig->loop, UV_RUN_DEFAULT); /* would wait for what is under way */
    assert_false(rig->timed_out);
    rig_timer_stop(rig, &timer);
    sem_post(&may_go_on); /* their answers find nobody */
    sem_post(&may_go_on);
}

/* A name that does not exist is the caller's mistake. */
static void tcp_dial_refuses_an_unknown_name(void **state)
{
    struct transport_rig *rig = *state;

    rig_dial(rig, "tcp://no-such-host.invalid:1", &rig_handler);
    rig_run_until(rig, rig->client.closes == 1);
    assert_non_null(strstr(rig->client.close_err.message, "no address"));
}

/* A port that is taken is IN_USE, with what to do about it. */
static void tcp_listen_says_that_the_port_is_taken(void **state)
{
    struct transport_rig *rig = *state;
    struct osr_listener *second = NULL;
    struct osr_err err;

    rig_listen(rig);
    assert_int_equal(rig_try_listen(rig, osr_listener_url(rig->listener), &second, &err),
                     OSR_IN_USE);
    assert_null(second);
    assert_non_null(strstr(err.message, "127.0.0.1"));
    assert_non_null(strstr(err.hint, "another port"));
}

/* The parameters of a listener stay in its address. */
static void tcp_listener_keeps_its_parameters(void **state)
{
    struct transport_rig *rig = *state;

    strcpy(rig->address, "tcp://127.0.0.1:0?peer=seed");
    rig_listen(rig);
    assert_non_null(strstr(osr_listener_url(rig->listener), "?peer=seed"));
    assert_null(strstr(osr_listener_url(rig->listener), ":0?"));
}

/* A Unix socket tells who is at the other end, and is for its owner alone. */
static void unix_socket_knows_its_peer(void **state)
{
    struct transport_rig *rig = *state;
    const char *url = rig->address;
    struct stat file;

    rig_listen(rig);
    assert_int_equal(stat(url + strlen("unix://"), &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);
    rig_dial(rig, url, &rig_handler);
    rig_run_until(rig, rig->server.connection != NULL && rig->client.opens == 1);
    struct osr_socket_owner peer = osr_connection_owner(rig->server.connection);
    assert_true(peer.known);
    assert_int_equal(peer.uid, getuid());
    assert_int_equal(peer.pid, getpid());
    assert_true(osr_connection_is_local(rig->server.connection));
}

/* The socket of a process that was killed is replaced; that of a running one is not. */
static void unix_socket_left_behind_is_replaced(void **state)
{
    struct transport_rig *rig = *state;
    const char *url = rig->address;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct osr_listener *second = NULL;
    struct osr_err err;

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", rig->folder);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd); /* as a kill does: the file stays */
    rig_listen(rig);
    rig_dial(rig, url, &rig_handler);
    rig_run_until(rig, rig->client.opens == 1 && rig->server.connection != NULL);
    rig->refuses = true; /* what looks whether anybody answers is no client */
    assert_int_equal(rig_try_listen(rig, url, &second, &err), OSR_IN_USE);
}

/* A file that is no socket is left where it is. */
static void unix_listen_refuses_a_foreign_file(void **state)
{
    struct transport_rig *rig = *state;
    const char *url = rig->address;
    const char *path = url + strlen("unix://");
    struct osr_listener *listener = NULL;
    struct osr_err err;
    int fd = open(path, O_CREAT | O_WRONLY, 0600);

    assert_int_equal(write(fd, "data", 4), 4);
    close(fd);
    assert_int_equal(rig_try_listen(rig, url, &listener, &err), OSR_FOREIGN_FILE);
    assert_int_equal(unlink(path), 0);
}

/* A path that the system would cut is refused on both sides. */
static void unix_path_too_long_is_refused(void **state)
{
    struct transport_rig *rig = *state;
    char text[200];
    struct osr_url url;
    struct osr_listener *listener = NULL;
    struct osr_connection *connection = NULL;
    struct osr_err err;
    int fd;

    snprintf(text, sizeof(text), "unix://%s/%0100d", rig->folder, 0);
    url = rig_url(text);
    assert_int_equal(rig_try_listen(rig, text, &listener, &err), OSR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "limit of 107"));
    assert_non_null(strstr(err.hint, "--data"));
    assert_int_equal(osr_transport_dial(&rig->loop, &url, NULL, 1000, &rig_handler, &rig->client,
                                        &connection, &err),
                     OSR_INVALID_ARGUMENT);
    assert_int_equal(dial_and_wait(&url, 1000, &fd, &err), OSR_INVALID_ARGUMENT);
}

/* The dial of the client reaches listeners of both kinds, without blocking. */
static void client_dial_connects(void **state)
{
    struct transport_rig *rig = *state;
    const char *path_url = rig->address;
    struct osr_err err;
    int fd = -1;

    rig_listen(rig);
    struct osr_url url = rig_url(path_url);
    assert_int_equal(dial_and_wait(&url, 1000, &fd, &err), 0);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    close(fd);
    osr_listener_close(rig->listener);
    strcpy(rig->address, "tcp://127.0.0.1:0");
    rig_listen(rig);
    url = rig_url(osr_listener_url(rig->listener));
    assert_int_equal(dial_and_wait(&url, 1000, &fd, &err), 0);
    assert_int_equal(write(fd, "hello", 5), 5);
    rig_run_until(rig, rig->server.received.size == 5);
    close(fd);
    rig_run_until(rig, rig->server.ends == 1);
}

/* Where nobody listens the dial of the client says so and what to do. */
static void client_dial_says_that_nobody_listens(void **state)
{
    struct transport_rig *rig = *state;
    const char *path_url = rig->address;
    struct osr_url url = rig_url(path_url);
    struct osr_err err;
    int fd = -1;

    assert_int_equal(dial_and_wait(&url, 1000, &fd, &err), OSR_UNAVAILABLE);
    assert_int_equal(fd, -1);
    assert_non_null(strstr(err.hint, "osirisd --data"));
}

int main(void)
{
#define TCP(name)  cmocka_unit_test_setup_teardown(name, rig_set_up_tcp, rig_tear_down)
#define UNIX(name) cmocka_unit_test_setup_teardown(name, rig_set_up_unix, rig_tear_down)
    const struct CMUnitTest tests[] = {
        TCP(tcp_writes_what_came_together_at_once),
        TCP(tcp_reset_is_no_orderly_end),
        TCP(tcp_dial_times_out),
        TCP(tcp_dial_tries_all_addresses_of_a_name),
        TCP(tcp_dial_gives_up_after_the_last_address),
        TCP(tcp_dial_leaves_a_hanging_look_up_behind),
        TCP(tcp_dial_refuses_an_unknown_name),
        TCP(tcp_listen_says_that_the_port_is_taken),
        TCP(tcp_listener_keeps_its_parameters),
        UNIX(unix_socket_knows_its_peer),
        UNIX(unix_socket_left_behind_is_replaced),
        UNIX(unix_listen_refuses_a_foreign_file),
        UNIX(unix_path_too_long_is_refused),
        UNIX(client_dial_connects),
        UNIX(client_dial_says_that_nobody_listens),
    };
    sem_init(&hanging, 0, 0);
    sem_init(&may_go_on, 0, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
