/* What UDP as a kind of connection does beyond what every kind promises (test_transport.c): whom it
 * believes where a datagram comes from, what strangers cost, and how it ends. Through a relay the
 * test sees all datagrams, and plays what NATs and attackers do with them. */
#include "lib/transport_rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <openssl/ssl3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "adapter/address.h"
#include "adapter/dtls.h"
#include "adapter/gate.h"
#include "adapter/keys.h"
#include "adapter/udp_internal.h"

enum {
    DATAGRAM_BYTES = 64 << 10,
    STARTS = 100 * 1000, /* OSIRIS_STARTS says another number */
    STARTS_AT_ONCE = 64,
    /* Outstanding memory of OpenSSL that is nobody's in particular. */
    SLACK_BYTES = 256 << 10,
    /* What one may hold whose handshake comes to no end. */
    HALF_OPEN_BYTES = 320 << 10,
};

/* ---- OpenSSL's memory ---- */

static size_t outstanding; /* bytes */

static void *count_alloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    size_t *block = malloc(sizeof(max_align_t) + size);
    if (block == NULL) {
        return NULL;
    }
    *block = size;
    outstanding += size;
    return (char *)block + sizeof(max_align_t);
}

static void count_free(void *data, const char *file, int line)
{
    (void)file, (void)line;
    if (data != NULL) {
        size_t *block = (size_t *)(void *)((char *)data - sizeof(max_align_t));
        outstanding -= *block;
        free(block);
    }
}

static void *count_realloc(void *data, size_t size, const char *file, int line)
{
    if (data == NULL) {
        return count_alloc(size, file, line);
    }
    if (size == 0) {
        count_free(data, file, line);
        return NULL;
    }
    size_t old_size = *(size_t *)(void *)((char *)data - sizeof(max_align_t));
    void *moved = count_alloc(size, file, line);
    if (moved != NULL) {
        memcpy(moved, data, old_size < size ? old_size : size);
        count_free(data, file, line);
    }
    return moved;
}

/* ---- a relay between client and listener ---- */

/* The client dials `near`; what it says goes on from `far`, or from where the test wants. */
struct relay {
    struct transport_rig *rig;
    uv_poll_t polls[2]; /* near, far */
    int near, far;
    struct sockaddr_in listener;
    struct sockaddr_in client; /* as it was heard last */
    int detour;                /* the next datagram of the client comes from this socket; -1: far */
    uint8_t last[DATAGRAM_BYTES]; /* of the client's datagrams */
    size_t last_size;
    size_t to_client;    /* datagrams */
    size_t answers_left; /* so many more go to the client */
};

static int bound_socket(struct sockaddr_in *ret_address)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    if (ret_address != NULL) {
        *ret_address = address;
    }
    return fd;
}

static struct sockaddr_in address_of(const struct osr_listener *listener)
{
    struct osr_url url = rig_url(osr_listener_url(listener));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(url.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void send_to(int fd, const struct sockaddr_in *to, const void *data, size_t size)
{
    sendto(fd, data, size, 0, (const struct sockaddr *)to, sizeof(*to));
}

static void on_near(uv_poll_t *poll, int status, int events)
{
    struct relay *relay = poll->data;
    socklen_t size = sizeof(relay->client);
    ssize_t got;
    (void)status, (void)events;
    while ((got = recvfrom(relay->near, relay->last, sizeof(relay->last), 0,
                           (struct sockaddr *)&relay->client, &size)) > 0) {
        relay->last_size = (size_t)got;
        send_to(relay->detour >= 0 ? relay->detour : relay->far, &relay->listener, relay->last,
                relay->last_size);
        relay->detour = -1;
    }
}

static void on_far(uv_poll_t *poll, int status, int events)
{
    static uint8_t datagram[DATAGRAM_BYTES];
    struct relay *relay = poll->data;
    ssize_t got;
    (void)status, (void)events;
    while ((got = recv(relay->far, datagram, sizeof(datagram), 0)) > 0) {
        if (relay->answers_left > 0) {
            send_to(relay->near, &relay->client, datagram, (size_t)got);
            relay->to_client++;
            relay->answers_left--;
        }
    }
}

static void watch(struct relay *relay, size_t i)
{
    uv_poll_init(&relay->rig->loop, &relay->polls[i], i == 0 ? relay->near : relay->far);
    relay->polls[i].data = relay;
    uv_poll_start(&relay->polls[i], UV_READABLE, i == 0 ? on_near : on_far);
}

static void relay_open(struct relay *relay, struct transport_rig *rig, char *ret_url,
                       size_t url_size)
{
    struct sockaddr_in near;
    *relay = (struct relay){.rig = rig, .detour = -1, .answers_left = SIZE_MAX};
    relay->near = bound_socket(&near);
    relay->far = bound_socket(NULL);
    watch(relay, 0);
    watch(relay, 1);
    relay->listener = address_of(rig->listener);
    snprintf(ret_url, url_size, "udp://127.0.0.1:%u", ntohs(near.sin_port));
}

/* A listener, and a client of it that dials the relay. */
static void relay_connect(struct relay *relay, struct transport_rig *rig)
{
    char url[64];
    rig_listen(rig);
    relay_open(relay, rig, url, sizeof(url));
    rig_dial(rig, url, &rig_handler);
    rig_send(rig, &rig->client, "first", 5);
    rig_run_until(rig, rig->client.opens == 1 && rig->server.received.size == 5);
}

/* The client is seen at another port from now on; what goes to the old one is lost. */
static void relay_rebind(struct relay *relay)
{
    uv_close((uv_handle_t *)&relay->polls[1], NULL);
    rig_turn(relay->rig, 1);
    close(relay->far);
    relay->far = bound_socket(NULL);
    watch(relay, 1);
}

static void relay_done(struct relay *relay)
{
    uv_close((uv_handle_t *)&relay->polls[0], NULL);
    uv_close((uv_handle_t *)&relay->polls[1], NULL);
    rig_turn(relay->rig, 1);
    close(relay->near);
    close(relay->far);
}

static size_t count_datagrams(int fd, size_t *ret_bytes)
{
    static uint8_t datagram[DATAGRAM_BYTES];
    size_t count = 0;
    ssize_t got;
    *ret_bytes = 0;
    while ((got = recv(fd, datagram, sizeof(datagram), 0)) > 0) {
        *ret_bytes += (size_t)got;
        count++;
    }
    return count;
}

/* ---- where datagrams come from ---- */

/* A NAT gives the client another port: bytes go on both ways, in order, without a new handshake. */
static void the_address_of_the_peer_may_change(void **state)
{
    struct transport_rig *rig = *state;
    struct relay relay;
    relay_connect(&relay, rig);
    for (size_t i = 1; i <= 3; i++) {
        relay_rebind(&relay);
        rig_send(rig, &rig->client, "moved", 5);
        rig_run_until(rig, rig->server.received.size == 5 + 5 * i);
        rig_send(rig, &rig->server, "found", 5);
        rig_run_until(rig, rig->client.received.size == 5 * i);
    }
    assert_received(&rig->client, "foundfoundfound");
    assert_int_equal(rig->client.closes + rig->server.closes, 0);
    relay_done(&relay);
}

/* A large transfer under way goes on, too. */
static void a_transfer_survives_a_change_of_address(void **state)
{
    struct transport_rig *rig = *state;
    struct relay relay;
    uint8_t *bytes = rig_big_bytes();
    relay_connect(&relay, rig);
    osr_buffer_clear(&rig->server.received);
    rig_send(rig, &rig->client, bytes, RIG_BIG_BYTES);
    rig_run_until(rig, rig->server.received.size > RIG_BIG_BYTES / 4);
    relay_rebind(&relay);
    rig_run_until(rig, rig->server.received.size == RIG_BIG_BYTES);
    assert_received_bytes(&rig->server, bytes);
    relay_done(&relay);
    free(bytes);
}

/* A datagram of the client that somebody else sends once more changes nothing: it gets no answer,
 * and the bytes go on to where they went before. */
static void a_replayed_datagram_moves_nothing(void **state)
{
    struct transport_rig *rig = *state;
    struct relay relay;
    size_t bytes;
    relay_connect(&relay, rig);
    int thief = bound_socket(NULL);
    for (int i = 0; i < 100; i++) {
        send_to(thief, &relay.listener, relay.last, relay.last_size);
    }
    rig_send(rig, &rig->server, "for the client", 14);
    rig_run_until(rig, rig->client.received.size == 14);
    rig_send(rig, &rig->client, " more", 5);
    rig_run_until(rig, rig->server.received.size == 10);
    assert_received(&rig->server, "first more");
    assert_int_equal(count_datagrams(thief, &bytes), 0);
    close(thief);
    relay_done(&relay);
}

/* Who delivers a datagram of the client's before it comes by itself is asked whether it is there,
 * which it cannot answer; the bytes still go to the client. */
static void a_stolen_datagram_moves_nothing(void **state)
{
    struct transport_rig *rig = *state;
    struct relay relay;
    uint8_t *bytes = rig_big_bytes();
    size_t stolen;
    relay_connect(&relay, rig);
    int thief = bound_socket(NULL);
    relay.detour = thief;
    rig_send(rig, &rig->client, "stolen", 6);
    rig_run_until(rig, rig->server.received.size == 11 && relay.detour < 0);
    rig_send(rig, &rig->server, bytes, RIG_BIG_BYTES);
    rig_run_until(rig, rig->client.received.size == RIG_BIG_BYTES);
    assert_received_bytes(&rig->client, bytes);
    count_datagrams(thief, &stolen);
    assert_in_range(stolen, 1, 64 * OSR_DATAGRAM_BYTES_MIN);
    close(thief);
    relay_done(&relay);
    free(bytes);
}

/* Whatever strangers send to a connection's id, or to the listener, nothing comes of it. */
static void garbage_changes_nothing(void **state)
{
    struct transport_rig *rig = *state;
    struct relay relay;
    relay_connect(&relay, rig);
    int stranger = bound_socket(NULL);
    for (int i = 0; i < 2000; i++) {
        uint8_t garbage[600];
        osr_secret_random(garbage, sizeof(garbage));
        size_t kept = (size_t)i % 40;
        memcpy(garbage, relay.last, kept < relay.last_size ? kept : relay.last_size);
        send_to(stranger, &relay.listener, garbage, (size_t)i % sizeof(garbage));
        if (i % STARTS_AT_ONCE == 0) {
            rig_turn(rig, 2);
        }
    }
    rig_send(rig, &rig->client, " last", 5);
    rig_run_until(rig, rig->server.received.size == 10);
    assert_received(&rig->server, "first last");
    close(stranger);
    relay_done(&relay);
}

/* ---- strangers ---- */

/* The datagram with which a client begins. */
static size_t make_start(struct osr_dtls *client, const uint8_t *id, uint8_t *datagram)
{
    static const uint8_t nobody[OSR_UDP_ID_BYTES];
    size_t header = osr_udp_header(datagram, OSR_UDP_FIRST, nobody, id);
    return header + osr_dtls_produce(client, datagram + header);
}

/* However many say hello without a cookie: nothing is kept of them, and a client still gets in. */
static void handshake_starts_cost_nothing(void **state)
{
    struct transport_rig *rig = *state;
    uint8_t hello[OSR_DATAGRAM_BYTES_MIN];
    struct osr_dtls *client = osr_dtls_create(rig->client_security);
    uint8_t id[OSR_UDP_ID_BYTES] = {1};
    size_t size = make_start(client, id, hello);
    rig_listen(rig);
    struct sockaddr_in listener = address_of(rig->listener);
    int stranger = bound_socket(NULL);
    size_t answers = 0;
    size_t bytes;
    size_t before = 0;
    const char *wanted = getenv("OSIRIS_STARTS");
    size_t starts = wanted != NULL ? strtoul(wanted, NULL, 10) : STARTS;
    for (size_t i = 0; i < starts; i++) {
        osr_put_u32(hello + 1 + OSR_UDP_ID_BYTES, (uint32_t)i + 1); /* each names another id */
        send_to(stranger, &listener, hello, size);
        if (i % STARTS_AT_ONCE == STARTS_AT_ONCE - 1) {
            rig_turn(rig, 2);
            answers += count_datagrams(stranger, &bytes);
        }
        before = i == starts / 100 ? outstanding : before;
    }
    assert_true(answers > starts / 2);
    assert_null(rig->server.connection);
    assert_true(outstanding < before + SLACK_BYTES);
    rig_dial_listener(rig);
    rig_run_until(rig, rig->client.opens == 1);
    osr_dtls_destroy(client);
    close(stranger);
}

enum { TRIES = 2 * OSR_GATE_UNDER_WAY_MAX };

/* What a listener has handed over. */
struct doorman {
    size_t accepted, closed;
    struct osr_connection *connections[TRIES];
};

static uint8_t *no_room(void *context, size_t suggested, size_t *ret_size)
{
    static uint8_t room[16];
    (void)context, (void)suggested;
    *ret_size = sizeof(room);
    return room;
}

static void count_close(void *context, struct osr_connection *connection, const struct osr_err *err)
{
    struct doorman *doorman = context;
    (void)err;
    for (size_t i = 0; i < doorman->accepted; i++) {
        if (doorman->connections[i] == connection) {
            doorman->connections[i] = NULL;
        }
    }
    doorman->closed++;
}

static void count_accept(void *context, struct osr_connection *connection)
{
    static const struct osr_connection_handler handler = {.on_room = no_room,
                                                          .on_close = count_close};
    struct doorman *doorman = context;
    doorman->connections[doorman->accepted++] = connection;
    osr_connection_accept(connection, &handler, context);
}

static void doorman_listen(struct doorman *doorman, struct transport_rig *rig,
                           struct osr_listener **ret_listener)
{
    struct osr_url url = rig_url(rig->address);
    struct osr_err err;
    assert_int_equal(osr_transport_listen(&rig->loop, &url, rig->server_security, count_accept,
                                          doorman, ret_listener, &err),
                     0);
}

/* Of the rig's listener. */
static void doorman_done(struct doorman *doorman, struct transport_rig *rig)
{
    for (size_t i = 0; i < doorman->accepted; i++) {
        if (doorman->connections[i] != NULL) {
            osr_connection_close(doorman->connections[i], true);
        }
    }
    rig_run_until(rig, doorman->closed == doorman->accepted);
    osr_listener_close(rig->listener);
    rig->listener = NULL;
}

/* One that says hello twice, with its cookie, and nothing more. */
static void start_and_stop(struct transport_rig *rig, int fd, const struct sockaddr_in *listener,
                           uint32_t number)
{
    uint8_t datagram[OSR_DATAGRAM_BYTES_MIN];
    uint8_t id[OSR_UDP_ID_BYTES] = {1};
    struct osr_dtls *client = osr_dtls_create(rig->client_security);
    osr_put_u32(id + 4, number);
    send_to(fd, listener, datagram, make_start(client, id, datagram));
    ssize_t size = -1;
    for (int i = 0; i < 100 && size < 0; i++) {
        rig_turn(rig, 1);
        size = recv(fd, datagram, sizeof(datagram), 0);
    }
    assert_in_range(size, OSR_UDP_FIRST_BYTES + 1, sizeof(datagram));
    assert_int_equal(osr_dtls_receive(client,
                                      osr_slice(datagram + OSR_UDP_FIRST_BYTES,
                                                (size_t)size - OSR_UDP_FIRST_BYTES),
                                      NULL),
                     0);
    uint8_t again[OSR_DATAGRAM_BYTES_MIN];
    send_to(fd, listener, again, make_start(client, id, again));
    rig_turn(rig, 1);
    osr_dtls_destroy(client);
}

/* Through cookies strangers get no further than the gate: at most so many handshakes are under way
 * at a time. */
static void half_open_ones_are_limited(void **state)
{
    struct transport_rig *rig = *state;
    struct doorman doorman = {0};
    struct osr_gate *gate = osr_gate_create(1);
    doorman_listen(&doorman, rig, &rig->listener);
    osr_listener_guard(rig->listener, gate);
    struct sockaddr_in listener = address_of(rig->listener);
    for (uint32_t i = 0; i < TRIES; i++) {
        int fd = bound_socket(NULL);
        start_and_stop(rig, fd, &listener, i);
        close(fd);
    }
    struct osr_gate_refusals refusals = osr_gate_take_refusals(gate);
    assert_int_equal(doorman.accepted + refusals.turned_away, TRIES);
    rig_run_until(rig, doorman.accepted - doorman.closed <= OSR_GATE_UNDER_WAY_MAX);
    doorman_done(&doorman, rig);
    osr_gate_destroy(gate);
}

/* A fragment of a message that is `total` bytes long, as it says. */
static void send_fragment(int fd, const struct sockaddr_in *listener, const uint8_t *id,
                          uint8_t number, uint32_t total)
{
    enum { FRAGMENT_BYTES = 8, MESSAGE_HEADER_BYTES = 12 };
    static const uint8_t nobody[OSR_UDP_ID_BYTES];
    uint8_t datagram[128] = {0};
    uint8_t *record = datagram + osr_udp_header(datagram, OSR_UDP_FIRST, nobody, id);
    memcpy(record, (const uint8_t[]){22, 0xfe, 0xfd}, 3);
    record[10] = number;
    record[12] = MESSAGE_HEADER_BYTES + FRAGMENT_BYTES;
    uint8_t *message = record + 13;
    osr_put_u32(message, total);
    message[0] = SSL3_MT_CLIENT_KEY_EXCHANGE;
    message[5] = number;
    message[11] = FRAGMENT_BYTES;
    send_to(fd, listener, datagram,
            (size_t)(message - datagram) + MESSAGE_HEADER_BYTES + FRAGMENT_BYTES);
}

/* Those who have shown a cookie and then send the first fragments of large messages have little
 * set aside for them, and none of them who claims more than there can be. */
static void fragments_that_never_complete_cost_little(void **state)
{
    enum { CLIENTS = 16, FRAGMENTS = 20 };
    static const uint32_t claims[] = {OSR_DTLS_CERTIFICATES_BYTES_MAX,
                                      OSR_TLS_HANDSHAKE_BYTES_MAX - 1};
    struct transport_rig *rig = *state;
    struct doorman doorman = {0};
    doorman_listen(&doorman, rig, &rig->listener);
    struct sockaddr_in listener = address_of(rig->listener);
    size_t before = outstanding;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        uint8_t id[OSR_UDP_ID_BYTES] = {1};
        int fd = bound_socket(NULL);
        start_and_stop(rig, fd, &listener, i);
        osr_put_u32(id + 4, i);
        rig_turn(rig, 2);
        for (uint8_t number = 3; number < FRAGMENTS; number++) {
            send_fragment(fd, &listener, id, number, claims[i % 2]);
        }
        rig_turn(rig, 2);
        close(fd);
    }
    rig_run_until(rig, doorman.accepted == CLIENTS && doorman.closed == CLIENTS / 2);
    size_t half_open = CLIENTS / 2;
    assert_in_range(outstanding - before, half_open * OSR_DTLS_CERTIFICATES_BYTES_MAX,
                    half_open * HALF_OPEN_BYTES);
    doorman_done(&doorman, rig);
}

/* A NAT gives the client another port in the middle of the handshake, where the listener does not
 * hear it: it begins anew, long before its time is over. */
static void a_handshake_survives_a_change_of_address(void **state)
{
    enum { DIAL_MS = 60 * 1000, ANSWERS = 3 }; /* a cookie, and some of the listener's part */
    struct transport_rig *rig = *state;
    struct relay relay;
    struct doorman doorman = {0};
    char text[64];
    struct osr_err err;
    doorman_listen(&doorman, rig, &rig->listener);
    relay_open(&relay, rig, text, sizeof(text));
    struct osr_url url = rig_url(text);
    assert_int_equal(osr_transport_dial(&rig->loop, &url, rig->client_security, DIAL_MS,
                                        &rig_handler, &rig->client, &rig->client.connection, &err),
                     0);
    relay.answers_left = ANSWERS;
    rig_run_until(rig, relay.to_client == ANSWERS);
    relay_rebind(&relay);
    relay.answers_left = SIZE_MAX;
    assert_int_equal(rig->client.opens, 0);
    rig_run_until(rig, rig->client.opens == 1);
    assert_int_equal(doorman.accepted, 2);
    relay_done(&relay);
    doorman_done(&doorman, rig);
}

/* ---- how it ends ---- */

/* A reset is heard at the other end at once, and not by its silence. */
static void a_reset_is_heard(void **state)
{
    struct transport_rig *rig = *state;
    rig_connect(rig);
    rig_send(rig, &rig->client, "hello", 5);
    rig_run_until(rig, rig->server.received.size == 5);
    rig_close(rig, &rig->client, true);
    rig_run_until(rig, rig->server.closes == 1);
    assert_int_equal(rig->server.close_err.code, OSR_UNAVAILABLE);
    assert_non_null(strstr(rig->server.close_err.message, "reset by the other side"));
}

/* A listener that has been restarted knows no old connection, and says so: the client need not wait
 * for a silence to end. */
static void a_restarted_listener_is_noticed(void **state)
{
    struct transport_rig *rig = *state;
    struct relay relay;
    struct doorman doorman = {0};
    struct osr_listener *restarted;
    relay_connect(&relay, rig);
    doorman_listen(&doorman, rig, &restarted);
    relay.listener = address_of(restarted);
    rig_send(rig, &rig->client, "anybody there?", 14);
    rig_run_until(rig, rig->client.closes == 1);
    assert_int_equal(rig->client.close_err.code, OSR_UNAVAILABLE);
    assert_non_null(strstr(rig->client.close_err.message, "there no more"));
    osr_listener_close(restarted);
    relay_done(&relay);
}

/* A client that was killed, and so says nothing, is noticed where its machine says that nobody is
 * there. */
static void a_killed_client_is_noticed(void **state)
{
    struct transport_rig *rig = *state;
    struct relay relay;
    relay_connect(&relay, rig);
    relay_rebind(&relay); /* nobody is at the old port any more */
    rig_send(rig, &rig->server, "anybody there?", 14);
    rig_run_until(rig, rig->server.closes == 1);
    assert_int_equal(rig->server.close_err.code, OSR_UNAVAILABLE);
    assert_non_null(strstr(rig->server.close_err.message, "there no more"));
    relay_done(&relay);
}

/* Who says so and is not the listener is not believed, as the listener goes on answering. */
static void a_false_alarm_changes_nothing(void **state)
{
    struct transport_rig *rig = *state;
    struct relay relay;
    uint8_t alarm[OSR_UDP_LATER_BYTES];
    relay_connect(&relay, rig);
    osr_udp_header(alarm, OSR_UDP_UNKNOWN, relay.last + 1, NULL);
    for (int i = 0; i < 10; i++) {
        rig_send(rig, &rig->client, "x", 1);
        send_to(relay.near, &relay.client, alarm, sizeof(alarm));
        rig_run_until(rig, rig->server.received.size == 6 + (size_t)i);
    }
    uint64_t until_ms = uv_now(&rig->loop) + 2 * OSR_UDP_DOUBT_MS;
    rig_run_until(rig, uv_now(&rig->loop) >= until_ms);
    assert_int_equal(rig->client.closes + rig->server.closes, 0);
    relay_done(&relay);
}

/* Both are told why nobody was let in. */
static void a_foreign_certificate_is_told(void **state)
{
    struct transport_rig *rig = *state;
    struct osr_party other = osr_party_authority("lab");
    struct osr_tls_options options = rig_tls_options(rig, true);
    options.authorities_pem = osr_buffer_slice(&other.certificate);
    rig_secure(&rig->server_security, &options);
    rig_listen(rig);
    rig_dial_listener(rig);
    rig_run_until(rig, rig->client.closes == 1 && rig->server.closes == 1);
    assert_int_equal(rig->server.close_err.code, OSR_UNAUTHENTICATED);
    assert_int_equal(rig->client.close_err.code, OSR_UNAUTHENTICATED);
    assert_non_null(strstr(rig->client.close_err.message, "does not believe the CA"));
    assert_int_equal(rig->client.opens, 0);
    osr_party_done(&other);
}

/* Where something listens that never answers the dial gives up in its time. */
static void silence_ends_a_dial(void **state)
{
    struct transport_rig *rig = *state;
    struct sockaddr_in address;
    char url[64];
    int silent = bound_socket(&address);
    snprintf(url, sizeof(url), "udp://127.0.0.1:%u", ntohs(address.sin_port));
    rig_dial(rig, url, &rig_handler);
    rig_run_until(rig, rig->client.closes == 1);
    assert_int_equal(rig->client.close_err.code, OSR_TIMEOUT);
    assert_non_null(strstr(rig->client.close_err.message, "no answer from"));
    close(silent);
}

/* Over IPv6 as over IPv4. */
static void it_speaks_ipv6(void **state)
{
    struct transport_rig *rig = *state;
    snprintf(rig->address, sizeof(rig->address), "udp://[::1]:0");
    rig_connect(rig);
    rig_send(rig, &rig->client, "hello", 5);
    rig_run_until(rig, rig->server.received.size == 5);
    assert_true(osr_connection_is_local(rig->server.connection));
    assert_non_null(strstr(osr_connection_url(rig->server.connection), "udp://[::1]:"));
}

/* A listener at all addresses answers from the one that was dialled: from another one the client
 * would not take it. */
static void it_answers_from_where_it_was_called(void **state)
{
    static const char *const places[][2] = {{"udp://0.0.0.0:0", "127.0.0.2"},
                                            {"udp://[::]:0", "127.0.0.3"}};
    struct transport_rig *rig = *state;
    for (size_t i = 0; i < 2; i++) {
        char url[64];
        snprintf(rig->address, sizeof(rig->address), "%s", places[i][0]);
        rig_listen(rig);
        snprintf(url, sizeof(url), "udp://%s:%u", places[i][1],
                 rig_url(osr_listener_url(rig->listener)).port);
        rig_dial(rig, url, &rig_handler);
        rig_run_until(rig, rig->client.opens == (int)i + 1);
        rig_close(rig, &rig->client, true);
        rig_run_until(rig, rig->client.closes == (int)i + 1 && rig->server.closes == (int)i + 1);
        free(rig_stop_listening(rig));
    }
}

/* Whoever has shown who it is has a name and a binding, the same on both sides. */
static void both_know_each_other(void **state)
{
    struct transport_rig *rig = *state;
    rig_listen(rig);
    rig_dial_listener(rig);
    assert_null(osr_connection_peer(rig->client.connection));
    rig_send(rig, &rig->client, "hello", 5);
    rig_run_until(rig, rig->server.received.size == 5);
    struct osr_slice ours = osr_connection_binding(rig->client.connection);
    assert_int_equal(ours.size, OSR_TLS_BINDING_SIZE);
    assert_true(osr_slice_equal(ours, osr_connection_binding(rig->server.connection)));
    assert_string_equal(osr_connection_peer(rig->server.connection)->who, "user:ana");
    assert_true(osr_connection_is_secure(rig->server.connection));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_set_up_udp, rig_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_address_of_the_peer_may_change),
        TEST(a_transfer_survives_a_change_of_address),
        TEST(a_replayed_datagram_moves_nothing),
        TEST(a_stolen_datagram_moves_nothing),
        TEST(garbage_changes_nothing),
        TEST(handshake_starts_cost_nothing),
        TEST(half_open_ones_are_limited),
        TEST(fragments_that_never_complete_cost_little),
        TEST(a_handshake_survives_a_change_of_address),
        TEST(a_reset_is_heard),
        TEST(a_restarted_listener_is_noticed),
        TEST(a_killed_client_is_noticed),
        TEST(a_false_alarm_changes_nothing),
        TEST(a_foreign_certificate_is_told),
        TEST(silence_ends_a_dial),
        TEST(it_speaks_ipv6),
        TEST(it_answers_from_where_it_was_called),
        TEST(both_know_each_other),
    };
    if (CRYPTO_set_mem_functions(count_alloc, count_realloc, count_free) != 1) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
