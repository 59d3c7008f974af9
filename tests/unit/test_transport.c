/* What every kind of connection promises: each case runs over TCP, a Unix socket, TLS and UDP, on
 * real sockets of this machine, and over messages through a simulated broker, bare and with TLS
 * over them. What is one kind's alone is in test_tcp.c, test_tls_connection.c,
 * test_udp.c and test_message_connection.c. */
#include "lib/transport_rig.h"

#include <stdlib.h>

/* What one end writes the other reads, in order, in both directions. */
static void bytes_go_both_ways(void **state)
{
    struct transport_rig *rig = *state;
    rig_connect(rig);
    rig_send(rig, &rig->client, "question ", 9);
    rig_send(rig, &rig->client, "mark", 4);
    rig_send(rig, &rig->server, "answer", 6);
    rig_run_until(rig, rig->server.received.size == 13 && rig->client.received.size == 6);
    assert_received(&rig->server, "question mark");
    assert_received(&rig->client, "answer");
    rig_run_until(rig, rig->client.drains >= 1 && rig->server.drains >= 1);
}

/* What is written before the dial succeeds goes out once it has. */
static void what_is_written_while_dialling_is_kept(void **state)
{
    struct transport_rig *rig = *state;
    rig_listen(rig);
    rig_dial_listener(rig);
    rig_send(rig, &rig->client, "early", 5);
    assert_int_equal(osr_connection_queued(rig->client.connection), 5);
    rig_run_until(rig, rig->server.received.size == 5);
    assert_received(&rig->server, "early");
    rig_run_until(rig, osr_connection_queued(rig->client.connection) == 0);
}

/* A write larger than any socket buffer arrives whole, both ways at a time, and the queues are
 * empty after it. */
static void more_than_the_socket_takes_arrives_whole(void **state)
{
    struct transport_rig *rig = *state;
    uint8_t *bytes = rig_big_bytes();
    rig_connect(rig);
    for (size_t at = 0; at < RIG_BIG_BYTES; at += RIG_BIG_BYTES / 512) {
        rig_send(rig, &rig->client, bytes + at, RIG_BIG_BYTES / 512);
    }
    rig_send(rig, &rig->server, bytes, RIG_BIG_BYTES);
    rig_run_until(rig, rig->server.received.size == RIG_BIG_BYTES &&
                           rig->client.received.size == RIG_BIG_BYTES);
    assert_received_bytes(&rig->server, bytes);
    assert_received_bytes(&rig->client, bytes);
    rig_run_until(rig, rig->client.drains >= 1 && rig->server.drains >= 1);
    free(bytes);
}

/* A connection that is not read holds the writer back; read again, all arrives. */
static void back_pressure_keeps_bytes_queued(void **state)
{
    struct transport_rig *rig = *state;
    uint8_t *bytes = rig_big_bytes();
    rig_connect(rig);
    rig_read(rig, &rig->server, false);
    rig_send(rig, &rig->client, bytes, RIG_BIG_BYTES);
    rig_turn(rig, 50);
    assert_int_equal(rig->server.received.size, 0);
    assert_true(osr_connection_queued(rig->client.connection) > 0);
    rig_read(rig, &rig->server, true);
    rig_run_until(rig, rig->server.received.size == RIG_BIG_BYTES);
    assert_received_bytes(&rig->server, bytes);
    free(bytes);
}

/* Who stops reading from within on_read gets nothing more, though more has come; what has come is
 * given when reading is resumed. */
static void reading_stops_at_once(void **state)
{
    struct transport_rig *rig = *state;
    uint8_t *bytes = rig_big_bytes();
    rig_connect(rig);
    rig->server.pause_after = 1;
    rig_send(rig, &rig->client, bytes, 4 * sizeof(rig->server.room));
    rig_run_until(rig, rig->server.received.size > 0);
    size_t first = rig->server.received.size;
    rig_turn(rig, 50);
    assert_int_equal(rig->server.received.size, first);
    rig->server.pause_after = 0;
    rig_read(rig, &rig->server, true);
    rig_run_until(rig, rig->server.received.size == 4 * sizeof(rig->server.room));
    assert_memory_equal(rig->server.received.data, bytes, 4 * sizeof(rig->server.room));
    free(bytes);
}

/* The end of what came is told after all of it, also where reading was stopped in between. */
static void the_end_waits_for_what_was_not_read(void **state)
{
    struct transport_rig *rig = *state;
    uint8_t *bytes = rig_big_bytes();
    rig_connect(rig);
    rig->server.pause_after = 1;
    rig_send(rig, &rig->client, bytes, 2 * sizeof(rig->server.room));
    rig_end(rig, &rig->client);
    rig_run_until(rig, rig->server.received.size > 0);
    rig_turn(rig, 50);
    assert_int_equal(rig->server.ends, 0);
    rig->server.pause_after = 0;
    rig_read(rig, &rig->server, true);
    rig_run_until(rig, rig->server.ends == 1);
    assert_int_equal(rig->server.received.size, 2 * sizeof(rig->server.room));
    free(bytes);
}

/* After a half-close the other direction still works; when both have ended, both close well. */
static void a_half_close_lets_the_answer_through(void **state)
{
    struct transport_rig *rig = *state;
    rig_connect(rig);
    rig_send(rig, &rig->client, "last words", 10);
    rig_end(rig, &rig->client);
    rig_run_until(rig, rig->server.ends == 1);
    assert_received(&rig->server, "last words");
    rig_send(rig, &rig->server, "heard", 5);
    rig_end(rig, &rig->server);
    rig_run_until(rig, rig->client.closes == 1 && rig->server.closes == 1);
    assert_received(&rig->client, "heard");
    assert_int_equal(rig->client.ends, 1);
    assert_int_equal(rig->client.close_err.code, OSR_OK);
    assert_int_equal(rig->server.close_err.code, OSR_OK);
}

/* A half-close of a connection that is not up yet comes behind what was written. */
static void a_half_close_while_dialling_waits_for_what_is_queued(void **state)
{
    struct transport_rig *rig = *state;
    rig_listen(rig);
    rig_dial_listener(rig);
    rig_send(rig, &rig->client, "all", 3);
    rig_end(rig, &rig->client);
    rig_run_until(rig, rig->server.ends == 1);
    assert_received(&rig->server, "all");
    rig_close(rig, &rig->server, false);
    rig_run_until(rig, rig->client.closes == 1 && rig->server.closes == 1);
    assert_int_equal(rig->client.close_err.code, OSR_OK);
}

/* A close sends what is queued first, though the other side floods and is not read. */
static void a_close_delivers_what_is_queued(void **state)
{
    struct transport_rig *rig = *state;
    uint8_t *bytes = rig_big_bytes();
    rig_connect(rig);
    rig_send(rig, &rig->client, "hello", 5);
    rig_run_until(rig, rig->server.received.size == 5); /* up on both sides */
    rig_send(rig, &rig->client, bytes, RIG_BIG_BYTES);  /* not read before the close */
    rig_send(rig, &rig->server, "why it ends", 11);
    rig_close(rig, &rig->server, false);
    rig_run_until(rig, rig->client.ends == 1);
    assert_received(&rig->client, "why it ends");
    rig_close(rig, &rig->client, false);
    rig_run_until(rig, rig->client.closes == 1 && rig->server.closes == 1);
    assert_int_equal(rig->server.close_err.code, OSR_OK);
    free(bytes);
}

/* A handler without on_end closes when the other side has ended. */
static void without_on_end_it_closes_by_itself(void **state)
{
    struct transport_rig *rig = *state;
    rig_listen(rig);
    rig_dial(rig, osr_listener_url(rig->listener), &rig_plain_handler);
    rig_run_until(rig, rig->server.connection != NULL && rig->client.opens == 1);
    rig_end(rig, &rig->server);
    rig_run_until(rig, rig->client.closes == 1 && rig->server.closes == 1);
    assert_int_equal(rig->client.close_err.code, OSR_OK);
    assert_int_equal(rig->server.close_err.code, OSR_OK);
}

/* After a close nothing but on_close comes, once, however often it is closed. */
static void after_a_close_only_on_close_comes(void **state)
{
    struct transport_rig *rig = *state;
    rig_connect(rig);
    rig_send(rig, &rig->client, "hello", 5);
    rig_run_until(rig, rig->server.received.size == 5);
    rig_send(rig, &rig->client, "unheard", 7);
    rig_close(rig, &rig->server, false);
    rig_close(rig, &rig->server, false);
    rig_run_until(rig, rig->client.ends == 1);
    rig_close(rig, &rig->client, false);
    rig_run_until(rig, rig->client.closes == 1 && rig->server.closes == 1);
    assert_received(&rig->server, "hello");
    assert_int_equal(rig->server.ends, 0);
}

/* A close with reset is seen as a failure by the other side. */
static void a_reset_is_no_orderly_end(void **state)
{
    struct transport_rig *rig = *state;
    rig_connect(rig);
    rig_send(rig, &rig->client, "hello", 5);
    rig_run_until(rig, rig->server.received.size == 5);
    rig_close(rig, &rig->client, true);
    rig_run_until(rig, rig->client.closes == 1);
    assert_int_equal(rig->client.close_err.code, OSR_CANCELLED);
}

/* Where nobody listens on_close says so, once, and later. */
static void a_dial_says_that_nobody_listens(void **state)
{
    struct transport_rig *rig = *state;
    rig_listen(rig);
    char *url = rig_stop_listening(rig);
    rig_dial(rig, url, &rig_handler);
    rig_run_until(rig, rig->client.closes == 1);
    assert_int_equal(rig->client.opens, 0);
    assert_int_equal(rig->client.close_err.code, OSR_UNAVAILABLE);
    assert_non_null(strstr(rig->client.close_err.message, "nobody listens"));
    free(url);
}

/* A dial that is called off is closed once, without having opened. */
static void a_dial_can_be_called_off(void **state)
{
    struct transport_rig *rig = *state;
    rig_listen(rig);
    rig_dial_listener(rig);
    rig_close(rig, &rig->client, false);
    rig_run_until(rig, rig->client.closes == 1);
    assert_int_equal(rig->client.opens, 0);
    assert_int_equal(rig->client.close_err.code, OSR_CANCELLED);
}

/* A listener may refuse a connection before it has a handler. */
static void a_listener_may_refuse(void **state)
{
    struct transport_rig *rig = *state;
    rig->refuses = true;
    rig_listen(rig);
    rig_dial_listener(rig);
    rig_send(rig, &rig->client, "hello", 5);
    rig_run_until(rig, rig->client.closes == 1 || rig->client.ends == 1);
    assert_int_equal(rig->client.received.size, 0);
}

/* A listener says where it listens: a URL that can be dialled. */
static void a_listener_says_where(void **state)
{
    struct transport_rig *rig = *state;
    rig_listen(rig);
    struct osr_url wanted = rig_url(rig->address);
    struct osr_url bound = rig_url(osr_listener_url(rig->listener));
    assert_string_equal(bound.scheme, wanted.scheme);
    assert_string_equal(bound.host, wanted.host);
    assert_true(strcmp(bound.scheme, "unix") == 0 || bound.port != 0);
}

/* Both ends know that they are on one machine, unless somebody stands between them, and what they
 * are called. */
static void both_ends_know_each_other(void **state)
{
    struct transport_rig *rig = *state;
    rig_connect(rig);
    struct osr_url listener = rig_url(osr_listener_url(rig->listener));
    bool is_direct = rig->broker == NULL;
    assert_int_equal(osr_connection_is_local(rig->client.connection), is_direct);
    assert_int_equal(osr_connection_is_local(rig->server.connection), is_direct);
    assert_string_equal(osr_connection_url(rig->client.connection), listener.text);
    size_t scheme = strlen(listener.scheme);
    assert_memory_equal(osr_connection_url(rig->server.connection), listener.scheme, scheme);
}

/* ---- each over each kind ---- */

static const struct {
    const char *name;
    CMFixtureFunction set_up;
} kinds[] = {
    {"tcp", rig_set_up_tcp},           {"unix", rig_set_up_unix},
    {"tls", rig_set_up_tls},           {"udp", rig_set_up_udp},
    {"messages", rig_set_up_messages}, {"messages_tls", rig_set_up_messages_tls},
};

static const struct {
    const char *name;
    CMUnitTestFunction run;
} cases[] = {
#define CASE(function)                                                                             \
    {                                                                                              \
#function, function                                                                        \
    }
    CASE(bytes_go_both_ways),
    CASE(what_is_written_while_dialling_is_kept),
    CASE(more_than_the_socket_takes_arrives_whole),
    CASE(back_pressure_keeps_bytes_queued),
    CASE(reading_stops_at_once),
    CASE(the_end_waits_for_what_was_not_read),
    CASE(a_half_close_lets_the_answer_through),
    CASE(a_half_close_while_dialling_waits_for_what_is_queued),
    CASE(a_close_delivers_what_is_queued),
    CASE(without_on_end_it_closes_by_itself),
    CASE(after_a_close_only_on_close_comes),
    CASE(a_reset_is_no_orderly_end),
    CASE(a_dial_says_that_nobody_listens),
    CASE(a_dial_can_be_called_off),
    CASE(a_listener_may_refuse),
    CASE(a_listener_says_where),
    CASE(both_ends_know_each_other),
};

enum {
    KIND_COUNT = sizeof(kinds) / sizeof(kinds[0]),
    CASE_COUNT = sizeof(cases) / sizeof(cases[0]),
    TEST_COUNT = KIND_COUNT * CASE_COUNT,
};

int main(void)
{
    struct CMUnitTest tests[TEST_COUNT];
    char *names[TEST_COUNT];
    for (size_t i = 0; i < TEST_COUNT; i++) {
        size_t kind = i / CASE_COUNT;
        size_t at = i % CASE_COUNT;
        names[i] = osr_format("%s_%s", kinds[kind].name, cases[at].name);
        tests[i] = (struct CMUnitTest){
            .name = names[i],
            .test_func = cases[at].run,
            .setup_func = kinds[kind].set_up,
            .teardown_func = rig_tear_down,
        };
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (size_t i = 0; i < TEST_COUNT; i++) {
        free(names[i]);
    }
    return failed;
}
