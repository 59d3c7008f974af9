/* What TLS as a kind of connection does beyond what every kind promises (test_transport.c): its
 * handshake, who the other side is, and ends that are none. Who is let in, and what happens to
 * records, is in test_tls.c and test_tls_records.c. */
#include "lib/transport_rig.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "adapter/tls_connection.h"
#include "lib/dialling.h"

enum {
    SHORT_MS = 50,
    SOME_MS = 500, /* enough for a dial on a busy machine */
};

/* Stands in for libuv's: nobody waits ten seconds for a handshake here. */
int uv_timer_start(uv_timer_t *timer, uv_timer_cb callback, uint64_t timeout_ms, uint64_t repeat_ms)
{
    static int (*start)(uv_timer_t *, uv_timer_cb, uint64_t, uint64_t);
    if (start == NULL) {
        *(void **)&start = dlsym(RTLD_NEXT, "uv_timer_start");
    }
    return start(timer, callback, timeout_ms == OSR_CONNECTION_HANDSHAKE_MS ? SHORT_MS : timeout_ms,
                 repeat_ms);
}

/* ---- a client by hand ---- */

/* It can do what a connection never does: stop in the middle of something. */
struct hand {
    int fd;
    struct osr_tls *tls;
};

static struct hand hand_connect(struct transport_rig *rig)
{
    struct osr_url url = rig_url(osr_listener_url(rig->listener));
    struct osr_err err;
    struct hand hand = {.tls = osr_tls_create(rig->client_security)};
    assert_int_equal(dial_and_wait(&url, RIG_DIAL_MS, &hand.fd, &err), 0);
    return hand;
}

static void hand_cut(struct hand *hand)
{
    close(hand->fd);
    hand->fd = -1;
}

static void hand_done(struct hand *hand)
{
    if (hand->fd >= 0) {
        hand_cut(hand);
    }
    osr_tls_destroy(hand->tls);
}

static void hand_send(const struct hand *hand, size_t bytes_max)
{
    struct osr_buffer output = {0};
    if (osr_tls_produce(hand->tls, &output)) {
        size_t size = output.size < bytes_max ? output.size : bytes_max;
        assert_int_equal(send(hand->fd, output.data, size, MSG_NOSIGNAL), size);
    }
    osr_buffer_done(&output);
}

static void hand_receive(const struct hand *hand)
{
    uint8_t bytes[16384];
    struct osr_err err;
    ssize_t size = recv(hand->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (size > 0) {
        assert_int_equal(osr_tls_receive(hand->tls, osr_slice(bytes, (size_t)size), &err), 0);
    }
}

static bool hand_is_up(const struct hand *hand)
{
    hand_send(hand, SIZE_MAX);
    hand_receive(hand);
    hand_send(hand, SIZE_MAX);
    return osr_tls_is_up(hand->tls);
}

/* A client by hand that is up, and the server has read `text` of it. */
static struct hand hand_say(struct transport_rig *rig, const char *text)
{
    rig_listen(rig);
    struct hand hand = hand_connect(rig);
    rig_run_until(rig, hand_is_up(&hand));
    osr_tls_write(hand.tls, osr_slice_text(text));
    hand_send(&hand, SIZE_MAX);
    rig_run_until(rig, rig->server.received.size == strlen(text));
    return hand;
}

/* ---- who is there ---- */

/* A connection is handed over before anybody knows who it is; afterwards both ends know of each
 * other, and have the same binding, which no other connection has. */
static void peer_is_known_after_the_handshake(void **state)
{
    struct transport_rig *rig = *state;
    rig_listen(rig);
    rig_dial_listener(rig);
    assert_null(osr_connection_peer(rig->client.connection));
    rig_run_until(rig, rig->server.connection != NULL);
    assert_null(osr_connection_peer(rig->server.connection));
    assert_int_equal(osr_connection_binding(rig->server.connection).size, 0);
    rig_run_until(rig, rig->client.opens == 1);
    rig_send(rig, &rig->client, "hello", 5);
    rig_run_until(rig, rig->server.received.size == 5);

    const struct osr_tls_peer *client = osr_connection_peer(rig->server.connection);
    assert_non_null(client);
    assert_string_equal(client->cluster, "lab");
    assert_string_equal(client->who, "user:ana");
    const struct osr_tls_peer *server = osr_connection_peer(rig->client.connection);
    assert_memory_equal(server->who, "instance:", strlen("instance:"));
    struct osr_slice binding = osr_connection_binding(rig->client.connection);
    assert_int_equal(binding.size, OSR_TLS_BINDING_SIZE);
    assert_true(osr_slice_equal(binding, osr_connection_binding(rig->server.connection)));
}

/* What the server writes before the handshake is done goes out once it is. */
static void server_may_write_before_the_handshake(void **state)
{
    struct transport_rig *rig = *state;
    rig_listen(rig);
    rig_dial_listener(rig);
    rig_run_until(rig, rig->server.connection != NULL);
    assert_null(osr_connection_peer(rig->server.connection));
    rig_send(rig, &rig->server, "welcome", 7);
    assert_true(osr_connection_queued(rig->server.connection) >= 7);
    rig_run_until(rig, rig->client.received.size == 7);
    assert_received(&rig->client, "welcome");
}

/* Reading may be off from the start: the handshake is done all the same, and nothing is lost. */
static void handshake_is_done_without_reading(void **state)
{
    struct transport_rig *rig = *state;
    rig_listen(rig);
    rig_dial_listener(rig);
    rig_read(rig, &rig->client, false);
    rig_run_until(rig, rig->server.connection != NULL);
    rig_read(rig, &rig->server, false);
    rig_send(rig, &rig->client, "hello", 5);
    rig_run_until(rig, osr_connection_peer(rig->server.connection) != NULL);
    rig_turn(rig, 20);
    assert_int_equal(rig->server.received.size, 0);
    rig_read(rig, &rig->server, true);
    rig_run_until(rig, rig->server.received.size == 5);
}

/* ---- handshakes that fail ---- */

/* Who connects and says nothing is not kept. */
static void half_open_handshake_times_out(void **state)
{
    struct transport_rig *rig = *state;
    rig_listen(rig);
    struct hand hand = hand_connect(rig);
    rig_run_until(rig, rig->server.closes == 1);
    assert_int_equal(rig->server.close_err.code, OSR_TIMEOUT);
    assert_non_null(strstr(rig->server.close_err.message, "handshake"));
    hand_done(&hand);
}

/* The same for who stops in the middle of his first message. */
static void half_a_hello_times_out(void **state)
{
    struct transport_rig *rig = *state;
    rig_listen(rig);
    struct hand hand = hand_connect(rig);
    hand_send(&hand, 40);
    rig_run_until(rig, rig->server.closes == 1);
    assert_int_equal(rig->server.close_err.code, OSR_TIMEOUT);
    hand_done(&hand);
}

/* A handshake that is cut off is no good end, and never a connection. */
static void truncated_handshake_fails(void **state)
{
    struct transport_rig *rig = *state;
    rig_listen(rig);
    struct hand hand = hand_connect(rig);
    hand_send(&hand, 40);
    hand_cut(&hand);
    rig_run_until(rig, rig->server.closes == 1);
    assert_int_equal(rig->server.close_err.code, OSR_MALFORMED);
    assert_non_null(strstr(rig->server.close_err.message, "in the middle of the TLS handshake"));
    assert_int_equal(rig->server.received.size, 0);
    hand_done(&hand);
}

/* A client that does not believe the server says why, and the server learns of it. */
static void client_says_why_it_does_not_believe(void **state)
{
    struct transport_rig *rig = *state;
    struct osr_party stranger = osr_party_authority("elsewhere");
    struct osr_tls_options options = rig_tls_options(rig, false);
    options.authorities_pem = osr_buffer_slice(&stranger.certificate);
    rig_secure(&rig->client_security, &options);
    rig_listen(rig);
    rig_dial_listener(rig);
    rig_run_until(rig, rig->client.closes == 1 && rig->server.closes == 1);
    assert_int_equal(rig->client.opens, 0);
    assert_int_equal(rig->client.close_err.code, OSR_UNAUTHENTICATED);
    assert_non_null(strstr(rig->client.close_err.message, "tls://127.0.0.1"));
    assert_int_not_equal(rig->server.close_err.code, OSR_OK);
    assert_int_equal(rig->server.received.size, 0);
    osr_party_done(&stranger);
}

/* A client whose certificate is refused is told, though it was up before the server had looked at
 * it; nothing that it wrote is read. */
static void refused_client_is_told_why(void **state)
{
    struct transport_rig *rig = *state;
    struct osr_party authority = osr_party_authority("elsewhere");
    struct osr_party stranger = osr_party_of(&authority, "lab", "user:ana");
    struct osr_tls_options options = osr_party_options(false, &stranger);
    options.authorities_pem = osr_buffer_slice(&rig->authority.certificate);
    options.proofs = 1u << OSR_TLS_PROOF_CERTIFICATE;
    rig_secure(&rig->client_security, &options);
    rig_listen(rig);
    rig_dial_listener(rig);
    rig_send(rig, &rig->client, "let me in", 9);
    rig_run_until(rig, rig->client.closes == 1 && rig->server.closes == 1);
    assert_int_equal(rig->client.close_err.code, OSR_UNAUTHENTICATED);
    assert_int_equal(rig->server.close_err.code, OSR_UNAUTHENTICATED);
    assert_int_equal(rig->server.received.size, 0);
    osr_party_done(&stranger);
    osr_party_done(&authority);
}

/* A listener that speaks no TLS, and its address for one who believes that it does; to be freed. */
static char *listen_in_plaintext(struct transport_rig *rig)
{
    osr_tls_context_release(rig->server_security);
    rig->server_security = NULL;
    strcpy(rig->address, "tcp://127.0.0.1:0");
    rig_listen(rig);
    return osr_format("tls%s", strchr(osr_listener_url(rig->listener), ':'));
}

/* A port that speaks no TLS is said to speak none. */
static void plaintext_port_is_told_from_tls(void **state)
{
    struct transport_rig *rig = *state;
    char *url = listen_in_plaintext(rig);
    rig_dial(rig, url, &rig_handler);
    rig_run_until(rig, rig->server.received.size > 0);
    rig_send(rig, &rig->server, "{\"error\":\"what?\"}\n", 18);
    rig_run_until(rig, rig->client.closes == 1);
    assert_int_equal(rig->client.opens, 0);
    assert_int_not_equal(rig->client.close_err.code, OSR_OK);
    assert_non_null(strstr(rig->client.close_err.message, "TLS"));
    free(url);
}

/* A port that takes the connection and never answers costs the dial's time and no more. */
static void silent_port_times_out(void **state)
{
    struct transport_rig *rig = *state;
    char *text = listen_in_plaintext(rig);
    struct osr_url url = rig_url(text);
    struct osr_err err;
    assert_int_equal(osr_transport_dial(&rig->loop, &url, rig->client_security, SOME_MS,
                                        &rig_handler, &rig->client, &rig->client.connection, &err),
                     0);
    rig_run_until(rig, rig->server.ends == 1);
    rig_close(rig, &rig->server, false);
    rig_run_until(rig, rig->client.closes == 1);
    assert_int_equal(rig->client.close_err.code, OSR_TIMEOUT);
    free(text);
}

/* Who speaks no TLS to the port is refused, and the listener goes on. */
static void plaintext_client_is_refused(void **state)
{
    struct transport_rig *rig = *state;
    rig_listen(rig);
    struct hand hand = hand_connect(rig);
    static const char request[] = "GET / HTTP/1.1\r\nHost: osiris\r\n\r\n";
    assert_int_equal(send(hand.fd, request, sizeof(request) - 1, MSG_NOSIGNAL),
                     sizeof(request) - 1);
    rig_run_until(rig, rig->server.closes == 1);
    assert_int_not_equal(rig->server.close_err.code, OSR_OK);
    assert_int_equal(rig->server.received.size, 0);
    rig_dial_listener(rig);
    rig_run_until(rig, rig->client.opens == 1);
    hand_done(&hand);
}

/* ---- ends ---- */

/* A stream that is cut without close_notify fails, for its end may be missing; what came before
 * counts. */
static void stream_cut_without_close_notify_fails(void **state)
{
    struct transport_rig *rig = *state;
    struct hand hand = hand_say(rig, "half a sen");
    hand_cut(&hand);
    rig_run_until(rig, rig->server.closes == 1);
    assert_received(&rig->server, "half a sen");
    assert_int_equal(rig->server.ends, 0);
    assert_int_equal(rig->server.close_err.code, OSR_MALFORMED);
    assert_non_null(strstr(rig->server.close_err.message, "cut off"));
    hand_done(&hand);
}

/* A reset is told as what it is. */
static void reset_is_seen_as_a_failure(void **state)
{
    struct transport_rig *rig = *state;
    rig_connect(rig);
    rig_send(rig, &rig->client, "hello", 5);
    rig_run_until(rig, rig->server.received.size == 5);
    rig_close(rig, &rig->client, true);
    rig_run_until(rig, rig->client.closes == 1 && rig->server.closes == 1);
    assert_int_equal(rig->server.ends, 0);
    assert_int_equal(rig->server.close_err.code, OSR_UNAVAILABLE);
}

/* Who says that he has ended and keeps the socket open all the same is not waited for. */
static void end_does_not_wait_for_the_carriers_end(void **state)
{
    struct transport_rig *rig = *state;
    struct hand hand = hand_say(rig, "bye");
    osr_tls_end(hand.tls);
    hand_send(&hand, SIZE_MAX);
    rig_run_until(rig, rig->server.ends == 1);
    rig_end(rig, &rig->server);
    rig_run_until(rig, rig->server.closes == 1);
    assert_int_equal(rig->server.close_err.code, OSR_OK);
    hand_done(&hand);
}

/* A dial that is called off during the handshake has never opened. */
static void dial_is_called_off_during_the_handshake(void **state)
{
    struct transport_rig *rig = *state;
    char *url = listen_in_plaintext(rig);
    rig_dial(rig, url, &rig_handler);
    rig_send(rig, &rig->client, "never sent", 10);
    rig_run_until(rig, rig->server.received.size > 0); /* its first message */
    rig_close(rig, &rig->client, false);
    rig_run_until(rig, rig->server.ends == 1);
    rig_close(rig, &rig->server, false);
    rig_run_until(rig, rig->client.closes == 1 && rig->server.closes == 1);
    assert_int_equal(rig->client.opens, 0);
    assert_int_equal(rig->client.close_err.code, OSR_CANCELLED);
    free(url);
}

/* A server may close what it accepted before the handshake. */
static void server_closes_before_the_handshake(void **state)
{
    struct transport_rig *rig = *state;
    rig_listen(rig);
    struct hand hand = hand_connect(rig);
    rig_run_until(rig, rig->server.connection != NULL);
    rig_close(rig, &rig->server, false);
    hand_cut(&hand);
    rig_run_until(rig, rig->server.closes == 1);
    assert_int_equal(rig->server.close_err.code, OSR_CANCELLED);
    hand_done(&hand);
}

/* ---- reload ---- */

/* A listener's new certificate and authority count for those who connect from then on; connections
 * that are up keep theirs. */
static void reload_leaves_connections_up(void **state)
{
    struct transport_rig *rig = *state;
    rig_connect(rig);
    rig_send(rig, &rig->client, "hello", 5);
    rig_run_until(rig, rig->server.received.size == 5);

    struct osr_party authority = osr_party_authority("lab");
    struct osr_party party =
        osr_party_of(&authority, "lab", "instance:abcdefghijklmnopqrstuvwxyz234567");
    struct osr_tls_options options = osr_party_options(true, &party);
    options.authorities_pem = osr_buffer_slice(&rig->authority.certificate);
    options.proofs = 1u << OSR_TLS_PROOF_CERTIFICATE;
    rig_secure(&rig->server_security, &options);
    osr_listener_secure(rig->listener, rig->server_security);

    rig_send(rig, &rig->client, " again", 6);
    rig_send(rig, &rig->server, "still here", 10);
    rig_run_until(rig, rig->server.received.size == 11 && rig->client.received.size == 10);
    rig_close(rig, &rig->client, false);
    rig_run_until(rig, rig->client.closes == 1 && rig->server.ends == 1);
    rig_close(rig, &rig->server, false);
    rig_run_until(rig, rig->server.closes == 1);

    rig_dial_listener(rig);
    rig_run_until(rig, rig->client.closes == 2 && rig->server.closes == 2);
    assert_int_equal(rig->client.close_err.code, OSR_UNAUTHENTICATED);

    options = rig_tls_options(rig, false);
    options.authorities_pem = osr_buffer_slice(&authority.certificate);
    rig_secure(&rig->client_security, &options);
    rig_dial_listener(rig);
    rig_run_until(rig, rig->client.opens == 2);
    osr_party_done(&party);
    osr_party_done(&authority);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up_tls, rig_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(peer_is_known_after_the_handshake),
        TEST(server_may_write_before_the_handshake),
        TEST(handshake_is_done_without_reading),
        TEST(half_open_handshake_times_out),
        TEST(half_a_hello_times_out),
        TEST(truncated_handshake_fails),
        TEST(client_says_why_it_does_not_believe),
        TEST(refused_client_is_told_why),
        TEST(plaintext_port_is_told_from_tls),
        TEST(silent_port_times_out),
        TEST(plaintext_client_is_refused),
        TEST(stream_cut_without_close_notify_fails),
        TEST(reset_is_seen_as_a_failure),
        TEST(end_does_not_wait_for_the_carriers_end),
        TEST(dial_is_called_off_during_the_handshake),
        TEST(server_closes_before_the_handshake),
        TEST(reload_leaves_connections_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
