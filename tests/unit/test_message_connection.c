/* What is particular to connections over messages, through a simulated broker that does what real
 * ones do at their worst; what they share with all others is in test_transport.c. */
#include "lib/transport_rig.h"

#include <stdlib.h>

#include "adapter/gate.h"
#include "adapter/message_connection.h"
#include "adapter/message_packet.h"

#define INBOX "osiris/rig/in"

/* ---- what goes by ---- */

/* Outlives the test that looks: of connections that are closed after it there is more to see. */
static struct watcher {
    size_t counts[OSR_MESSAGE_TYPE_COUNT];
    uint32_t reset_code;              /* of the last RESET */
    size_t busy;                      /* RESETs that said so */
    uint8_t id[OSR_MESSAGE_ID_BYTES]; /* of the last OPEN */
    char last_queue[64];
} watcher;

static void see(void *context, const char *queue, const struct osr_bus_message *message)
{
    (void)context;
    struct osr_message_packet packet;
    struct osr_err err;
    if (osr_message_packet_decode(message->body, &packet, &err) != 0) {
        return;
    }
    watcher.counts[packet.type]++;
    snprintf(watcher.last_queue, sizeof(watcher.last_queue), "%s", queue);
    if (packet.type == OSR_MESSAGE_OPEN) {
        memcpy(watcher.id, packet.id, sizeof(packet.id));
    } else if (packet.type == OSR_MESSAGE_RESET) {
        watcher.reset_code = packet.code;
        watcher.busy += packet.code == OSR_BUSY;
    }
}

static void watch(struct transport_rig *rig)
{
    memset(&watcher, 0, sizeof(watcher));
    osr_sim_bus_watch(rig->broker, see, NULL);
}

/* To the listener, from whomever. */
static void forge(struct transport_rig *rig, const char *peer, struct osr_message_packet packet)
{
    struct osr_buffer message = {0};
    osr_message_packet_encode(&packet, &message);
    osr_sim_bus_forge(
        rig->broker, INBOX,
        &(struct osr_bus_message){.address = peer, .body = osr_buffer_slice(&message)});
    osr_buffer_done(&message);
}

static void forge_open(struct transport_rig *rig, const char *peer, uint32_t number)
{
    struct osr_message_packet packet = {.type = OSR_MESSAGE_OPEN};
    osr_put_u32(packet.id, number);
    forge(rig, peer, packet);
}

static void set_faults(struct transport_rig *rig, struct osr_sim_bus_faults faults)
{
    osr_sim_bus_set_faults(rig->broker, &faults);
}

/* Greetings are over: nothing is under way. */
static void connect_quietly(struct transport_rig *rig)
{
    rig_connect(rig);
    rig_send(rig, &rig->client, "hello", 5);
    rig_run_until(rig, rig->server.received.size == 5);
    rig_turn(rig, 10);
}

static void send_pieces(struct transport_rig *rig, int count)
{
    for (int i = 0; i < count; i++) {
        rig_send(rig, &rig->client, "piece", 5);
        rig_turn(rig, 3);
    }
}

/* ---- what brokers do ---- */

/* Doubles and messages of long ago change nothing. */
static void doubles_change_nothing(void **state)
{
    struct transport_rig *rig = *state;
    connect_quietly(rig);
    set_faults(rig, (struct osr_sim_bus_faults){.doubles = 0.5, .repeats_old = 0.5});
    send_pieces(rig, 100);
    rig_send(rig, &rig->server, "answer", 6);
    rig_run_until(rig, rig->server.received.size == 505 && rig->client.received.size == 6);
}

/* A loss in the middle closes both ends, soon, as something that may be tried again. */
static void a_gap_closes_both_ends(void **state)
{
    struct transport_rig *rig = *state;
    connect_quietly(rig);
    set_faults(rig, (struct osr_sim_bus_faults){.loses = 1});
    send_pieces(rig, 1);
    set_faults(rig, (struct osr_sim_bus_faults){0});
    send_pieces(rig, 1);
    rig_run_until(rig, rig->server.closes == 1 && rig->client.closes == 1);
    assert_int_equal(rig->server.close_err.code, OSR_UNAVAILABLE);
    assert_int_equal(rig->client.close_err.code, OSR_UNAVAILABLE);
    assert_int_equal(rig->server.received.size, 5); /* nothing from behind the gap */
}

/* The loss of the last message is found, too, though nothing comes behind it. */
static void a_lost_tail_is_found(void **state)
{
    struct transport_rig *rig = *state;
    connect_quietly(rig);
    set_faults(rig, (struct osr_sim_bus_faults){.loses = 1});
    send_pieces(rig, 1);
    set_faults(rig, (struct osr_sim_bus_faults){0});
    rig_run_until(rig, rig->server.closes == 1 && rig->client.closes == 1);
    assert_int_equal(rig->client.close_err.code, OSR_UNAVAILABLE);
}

/* Another order ends the connection rather than mix up its bytes. */
static void another_order_closes_it(void **state)
{
    struct transport_rig *rig = *state;
    connect_quietly(rig);
    osr_sim_bus_stall(rig->broker, true);
    set_faults(rig, (struct osr_sim_bus_faults){.reorders = 1});
    send_pieces(rig, 8);
    osr_sim_bus_stall(rig->broker, false);
    rig_run_until(rig, rig->server.closes == 1 && rig->client.closes == 1);
    assert_int_equal(rig->server.close_err.code, OSR_UNAVAILABLE);
    assert_int_equal(rig->server.received.size, 5);
}

/* A broker that goes down closes what goes through it; the listener stays, says so, and takes new
 * ones when the broker is back. */
struct news {
    int ups, downs;
};

static void on_change(void *context, struct osr_listener *listener, const struct osr_err *err)
{
    struct news *news = context;
    assert_ptr_equal(osr_listener_down(listener) != NULL, err != NULL);
    news->ups += err == NULL;
    news->downs += err != NULL;
}

static void a_listener_outlives_its_broker(void **state)
{
    struct transport_rig *rig = *state;
    struct news news = {0};
    osr_sim_bus_go_down(rig->broker);
    rig_listen(rig); /* no error */
    osr_listener_watch(rig->listener, on_change, &news);
    assert_non_null(osr_listener_down(rig->listener));
    rig_run_until(rig, news.downs == 1);
    osr_sim_bus_go_up(rig->broker);
    rig_run_until(rig, news.ups == 1);
    assert_null(osr_listener_down(rig->listener));
    rig_dial_listener(rig);
    rig_run_until(rig, rig->client.opens == 1 && rig->server.connection != NULL);
    osr_sim_bus_go_down(rig->broker);
    rig_run_until(rig, rig->server.closes == 1 && rig->client.closes == 1 && news.downs == 2);
    assert_int_equal(rig->server.close_err.code, OSR_UNAVAILABLE);
    assert_int_equal(rig->client.close_err.code, OSR_UNAVAILABLE);
    osr_sim_bus_go_up(rig->broker);
    rig_run_until(rig, news.ups == 2);
    rig->client.opens = 0;
    rig_dial_listener(rig);
    rig_run_until(rig, rig->client.opens == 1 && rig->server.connection != NULL);
    osr_listener_watch(rig->listener, NULL, NULL);
}

/* A broker that is not there fails the dial, and says what could not be reached. */
static void a_dial_says_that_the_broker_is_away(void **state)
{
    struct transport_rig *rig = *state;
    osr_sim_bus_go_down(rig->broker);
    rig_dial(rig, rig->address, &rig_handler);
    rig_run_until(rig, rig->client.closes == 1);
    assert_int_equal(rig->client.close_err.code, OSR_UNAVAILABLE);
    assert_non_null(strstr(rig->client.close_err.message, "broker"));
}

/* Where nobody answers and the broker does not say so either, the dial's time runs out. */
static void a_dial_that_nobody_answers_times_out(void **state)
{
    struct transport_rig *rig = *state;
    set_faults(rig, (struct osr_sim_bus_faults){.hides_gone = true});
    rig_dial(rig, rig->address, &rig_handler);
    rig_run_until(rig, rig->client.closes == 1);
    assert_int_equal(rig->client.close_err.code, OSR_TIMEOUT);
    assert_int_equal(rig->client.opens, 0);
}

/* What one sends while the other does not read stays with the sender, not in the broker. */
static void a_broker_keeps_little(void **state)
{
    struct transport_rig *rig = *state;
    uint8_t *bytes = rig_big_bytes();
    rig_connect(rig);
    rig_read(rig, &rig->server, false);
    rig_send(rig, &rig->client, bytes, RIG_BIG_BYTES);
    rig_turn(rig, 200);
    assert_true(osr_connection_queued(rig->client.connection) > RIG_BIG_BYTES / 2);
    rig_read(rig, &rig->server, true);
    rig_run_until(rig, rig->server.received.size == RIG_BIG_BYTES);
    assert_received_bytes(&rig->server, bytes);
    assert_in_range(osr_sim_bus_queued_bytes_max(rig->broker), 1, 3 << 20);
    assert_in_range(osr_sim_bus_queued_messages_max(rig->broker), 1, 500);
    free(bytes);
}

/* ---- what others do who may send there ---- */

/* Garbage is nobody's, and disturbs nobody. */
static void garbage_is_ignored(void **state)
{
    struct transport_rig *rig = *state;
    connect_quietly(rig);
    for (int i = 0; i < 100; i++) {
        osr_sim_bus_forge(
            rig->broker, INBOX,
            &(struct osr_bus_message){.address = "p1", .body = osr_slice_text("{\"hello\": 1}")});
    }
    osr_sim_bus_forge(rig->broker, INBOX, &(struct osr_bus_message){.body = osr_slice("", 0)});
    send_pieces(rig, 1);
    rig_run_until(rig, rig->server.received.size == 10);
}

/* What comes for a connection that is not there is answered with a reset, not too often; resets
 * are not answered, lest two sides go on for ever. */
static void an_unknown_connection_is_reset(void **state)
{
    struct transport_rig *rig = *state;
    connect_quietly(rig);
    watch(rig);
    struct osr_message_packet packet = {
        .type = OSR_MESSAGE_DATA, .number = 7, .bytes = osr_slice("x", 1)};
    forge(rig, "p1", packet);
    rig_run_until(rig, watcher.counts[OSR_MESSAGE_RESET] == 1);
    assert_int_equal(watcher.reset_code, OSR_NOT_FOUND);
    assert_string_equal(watcher.last_queue, "osiris/rig/out/p1");
    packet.type = OSR_MESSAGE_RESET;
    forge(rig, "p1", packet);
    packet.type = OSR_MESSAGE_CREDIT;
    forge(rig, "p1", packet);
    rig_turn(rig, 10);
    assert_int_equal(watcher.counts[OSR_MESSAGE_RESET], 1);
    packet.type = OSR_MESSAGE_PROBE;
    for (int i = 0; i < 10 * OSR_MESSAGE_RESETS_RATE; i++) {
        forge(rig, "p1", packet);
    }
    rig_turn(rig, 50);
    assert_in_range(watcher.counts[OSR_MESSAGE_RESET], 2, 2 * OSR_MESSAGE_RESETS_RATE);
    assert_int_equal(rig->client.closes, 0);
}

/* Who guesses a connection's id but comes from elsewhere is not heard. */
static void another_peer_cannot_speak_for_it(void **state)
{
    struct transport_rig *rig = *state;
    rig_listen(rig);
    rig_run_until(rig, osr_listener_down(rig->listener) == NULL);
    watch(rig);
    rig_dial_listener(rig);
    rig_run_until(rig, rig->client.opens == 1 && rig->server.connection != NULL);
    struct osr_message_packet packet = {.type = OSR_MESSAGE_RESET, .code = OSR_CANCELLED};
    memcpy(packet.id, watcher.id, sizeof(packet.id));
    forge(rig, "somebody", packet);
    packet.type = OSR_MESSAGE_DATA;
    packet.number = 1;
    packet.bytes = osr_slice("forged", 6);
    forge(rig, "somebody", packet);
    rig_turn(rig, 20);
    send_pieces(rig, 1);
    rig_run_until(rig, rig->server.received.size == 5);
    assert_received(&rig->server, "piece");
}

/* A hint that the peer is gone is only that: it is asked, and answers. */
static void a_forged_hint_closes_nothing(void **state)
{
    struct transport_rig *rig = *state;
    connect_quietly(rig);
    watch(rig);
    osr_sim_bus_forge_gone(rig->broker, INBOX, "p2");
    osr_sim_bus_forge_gone(rig->broker, INBOX, "p2");
    osr_sim_bus_forge_gone(rig->broker, INBOX, "nobody");
    rig_run_until(rig, watcher.counts[OSR_MESSAGE_PROBE_REPLY] == 1);
    assert_int_equal(watcher.counts[OSR_MESSAGE_PROBE], 1);
    send_pieces(rig, 1);
    rig_run_until(rig, rig->server.received.size == 10);
}

/* A peer that is gone and says nothing more is found by the hint. */
static void a_true_hint_closes_it(void **state)
{
    struct transport_rig *rig = *state;
    connect_quietly(rig);
    set_faults(rig, (struct osr_sim_bus_faults){.loses = 1});
    osr_sim_bus_forge_gone(rig->broker, INBOX, "p2");
    rig_run_until(rig, rig->server.closes == 1);
    assert_int_equal(rig->server.close_err.code, OSR_UNAVAILABLE);
}

/* Made-up connections end at a limit, the next is told that it is too many, and all memory is given
 * back. */
static struct {
    struct osr_connection *accepted[OSR_MESSAGE_CONNECTIONS_MAX];
    size_t count;
    size_t closed;
} crowd;

static void on_crowd_close(void *context, struct osr_connection *connection,
                           const struct osr_err *err)
{
    (void)context;
    (void)connection;
    (void)err;
    crowd.closed++;
}

static const struct osr_connection_handler crowd_handler = {.on_close = on_crowd_close};

static void on_crowd(void *context, struct osr_connection *connection)
{
    (void)context;
    assert_in_range(crowd.count, 0, OSR_MESSAGE_CONNECTIONS_MAX - 1);
    crowd.accepted[crowd.count++] = connection;
    osr_connection_accept(connection, &crowd_handler, NULL);
    osr_connection_read(connection, false);
}

static void a_flood_of_opens_ends_at_a_limit(void **state)
{
    struct transport_rig *rig = *state;
    struct osr_listener *listener;
    struct osr_err err;
    struct osr_url url = rig_url(rig->address);
    assert_int_equal(osr_message_listen(&rig->loop, &url, NULL, on_crowd, NULL, &listener, &err),
                     0);
    rig_run_until(rig, osr_listener_down(listener) == NULL);
    watch(rig);
    crowd.count = crowd.closed = 0;
    for (uint32_t i = 0; i < OSR_MESSAGE_CONNECTIONS_MAX + 10; i++) {
        forge_open(rig, "somebody", i);
    }
    rig_run_until(rig, crowd.count == OSR_MESSAGE_CONNECTIONS_MAX &&
                           watcher.counts[OSR_MESSAGE_RESET] == 10);
    assert_int_equal(watcher.reset_code, OSR_BUSY);
    for (size_t i = 0; i < crowd.count; i++) {
        osr_connection_close(crowd.accepted[i], true);
    }
    osr_listener_close(listener);
    rig_run_until(rig, crowd.closed == OSR_MESSAGE_CONNECTIONS_MAX &&
                           osr_sim_bus_open_count(rig->broker) == 0);
}

/* Those that the gate turns away cost no more words than others that are nobody's: a flood of them
 * would fill the broker's queue, and bring the listener down with all that it carries. */
static void a_flood_at_the_gate_is_not_echoed(void **state)
{
    struct transport_rig *rig = *state;
    struct osr_gate *gate = osr_gate_create(1);
    struct osr_listener *listener;
    struct osr_err err;
    struct osr_url url = rig_url(rig->address);
    assert_int_equal(
        osr_message_listen(&rig->loop, &url, rig->server_security, on_crowd, NULL, &listener, &err),
        0);
    osr_listener_guard(listener, gate);
    rig_run_until(rig, osr_listener_down(listener) == NULL);
    watch(rig);
    crowd.count = crowd.closed = 0;
    for (uint32_t i = 0; i < 5 * OSR_GATE_STRANGERS_RATE; i++) {
        char peer[16];
        snprintf(peer, sizeof(peer), "p%u", i);
        forge_open(rig, peer, i);
    }
    rig_turn(rig, 10);
    uint32_t turned_away = osr_gate_take_refusals(gate).turned_away;
    assert_in_range(turned_away, 4 * OSR_MESSAGE_RESETS_RATE, UINT32_MAX);
    assert_int_equal(crowd.count + turned_away, 5 * OSR_GATE_STRANGERS_RATE);
    /* On a slow machine others are given up meanwhile, which is CANCELLED. */
    assert_in_range(watcher.busy, 1, 2 * OSR_MESSAGE_RESETS_RATE);
    for (size_t i = 0; i < crowd.count; i++) {
        osr_connection_close(crowd.accepted[i], true);
    }
    osr_listener_close(listener);
    rig_run_until(rig, crowd.closed == crowd.count && osr_sim_bus_open_count(rig->broker) == 0);
    osr_gate_destroy(gate);
}

/* ---- closing ---- */

/* A listener that is closed takes nobody new; who is there already stays. */
static void connections_outlive_the_listener(void **state)
{
    struct transport_rig *rig = *state;
    connect_quietly(rig);
    free(rig_stop_listening(rig));
    send_pieces(rig, 1);
    rig_run_until(rig, rig->server.received.size == 10);
    watch(rig);
    forge_open(rig, "p9", 1);
    rig_run_until(rig, watcher.counts[OSR_MESSAGE_RESET] == 1);
    rig_close(rig, &rig->client, false);
    rig_run_until(rig, rig->server.ends == 1);
    rig_close(rig, &rig->server, false);
    rig_run_until(rig, rig->server.closes == 1 && rig->client.closes == 1);
    rig_run_until(rig, osr_sim_bus_open_count(rig->broker) == 0);
}

/* A close does not wait for a broker that takes nothing. */
static void a_close_does_not_wait_for_a_stalled_broker(void **state)
{
    struct transport_rig *rig = *state;
    connect_quietly(rig);
    osr_sim_bus_stall(rig->broker, true);
    send_pieces(rig, 1);
    rig_close(rig, &rig->client, false);
    rig_run_until(rig, rig->client.closes == 1);
    osr_sim_bus_stall(rig->broker, false);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, rig_set_up_messages, rig_tear_down)
#define TLS_CASE(function)                                                                         \
    {                                                                                              \
        "tls_" #function, function, rig_set_up_messages_tls, rig_tear_down, NULL                   \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(doubles_change_nothing),
        TLS_CASE(doubles_change_nothing),
        CASE(a_gap_closes_both_ends),
        TLS_CASE(a_gap_closes_both_ends),
        CASE(a_lost_tail_is_found),
        CASE(another_order_closes_it),
        CASE(a_listener_outlives_its_broker),
        TLS_CASE(a_listener_outlives_its_broker),
        CASE(a_dial_says_that_the_broker_is_away),
        CASE(a_dial_that_nobody_answers_times_out),
        CASE(a_broker_keeps_little),
        TLS_CASE(a_broker_keeps_little),
        CASE(garbage_is_ignored),
        CASE(an_unknown_connection_is_reset),
        CASE(another_peer_cannot_speak_for_it),
        CASE(a_forged_hint_closes_nothing),
        CASE(a_true_hint_closes_it),
        CASE(a_flood_of_opens_ends_at_a_limit),
        TLS_CASE(a_flood_at_the_gate_is_not_echoed),
        CASE(connections_outlive_the_listener),
        CASE(a_close_does_not_wait_for_a_stalled_broker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
