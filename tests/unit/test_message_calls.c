/* Requests that come as messages: each a connection, over a broker that is simulated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "adapter/message_calls.h"
#include "lib/sim_bus.h"

enum {
    TURNS_MAX = 20000, /* until what is awaited has not happened */
    CONNECTIONS_MAX = 400,
    ROOM_BYTES = 64 << 10, /* read at a time, so that a body may take several */
    REPLIES_KEPT = 16,
};

#define QUEUE "osiris/kb" /* as sim_bus.h names that of requests */
#define URL   "mqtt://127.0.0.1/osiris/kb?for=clients&as=robot"

/* One connection that was accepted, as those above see it. */
struct asked {
    struct osr_connection *connection; /* NULL: closed */
    struct osr_buffer body;
    bool is_ended;
    int drains;
    struct osr_err result; /* of on_close */
};

struct sent {
    char to[64];
    char text[256];
    size_t size;
    char content_type[64];
    char correlation[64];
};

struct rig {
    uv_loop_t loop;
    struct osr_sim_bus *broker;
    struct osr_listener *listener;
    struct osr_trace trace;
    char last_line[512]; /* of the log */
    struct asked asked[CONNECTIONS_MAX];
    size_t count;
    bool stops_reading; /* what is accepted from now on, at its first bytes */
    struct sent sent[REPLIES_KEPT];
    size_t sent_count;
    size_t sent_bytes;
    uint8_t room[ROOM_BYTES];
};

static struct rig *the_rig; /* on_room is told of the connection's context alone */

/* ---- those above ---- */

static uint8_t *on_room(void *context, size_t suggested, size_t *ret_size)
{
    (void)context;
    (void)suggested;
    *ret_size = sizeof(the_rig->room);
    return the_rig->room;
}

static void on_read(void *context, struct osr_connection *connection, size_t size)
{
    struct asked *asked = context;
    osr_buffer_add(&asked->body, the_rig->room, size);
    if (the_rig->stops_reading) {
        osr_connection_read(connection, false);
    }
}

static void on_end(void *context, struct osr_connection *connection)
{
    (void)connection;
    ((struct asked *)context)->is_ended = true;
}

static void on_drain(void *context, struct osr_connection *connection)
{
    (void)connection;
    ((struct asked *)context)->drains++;
}

static void on_close(void *context, struct osr_connection *connection, const struct osr_err *err)
{
    struct asked *asked = context;
    assert_ptr_equal(asked->connection, connection);
    asked->connection = NULL;
    asked->result = *err;
}

static const struct osr_connection_handler handler = {
    .on_room = on_room,
    .on_read = on_read,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_close = on_close,
};

static void on_accept(void *context, struct osr_connection *connection)
{
    struct rig *rig = context;
    assert_true(rig->count < CONNECTIONS_MAX);
    struct asked *asked = &rig->asked[rig->count++];
    asked->connection = connection;
    osr_connection_accept(connection, &handler, asked);
}

/* ---- the rig ---- */

static void on_line(void *context, enum osr_level level, const char *line)
{
    struct rig *rig = context;
    if (level <= OSR_LEVEL_WARNING) {
        snprintf(rig->last_line, sizeof(rig->last_line), "%s", line);
    }
}

static void copy_bytes(char *text, size_t size, struct osr_slice bytes)
{
    snprintf(text, size, "%.*s", (int)bytes.size, (const char *)bytes.data);
}

static void see(void *context, const char *queue, const struct osr_bus_message *message)
{
    struct rig *rig = context;
    struct sent *sent = &rig->sent[rig->sent_count++ % REPLIES_KEPT];
    snprintf(sent->to, sizeof(sent->to), "%s", queue);
    copy_bytes(sent->text, sizeof(sent->text), message->body);
    copy_bytes(sent->correlation, sizeof(sent->correlation), message->correlation);
    snprintf(sent->content_type, sizeof(sent->content_type), "%s", message->content_type);
    sent->size = message->body.size;
    rig->sent_bytes += message->body.size;
}

static void turn(struct rig *rig, int turns)
{
    for (int i = 0; i < turns; i++) {
        uv_run(&rig->loop, UV_RUN_NOWAIT);
    }
}

#define run_until(rig, condition)                                                                  \
    do {                                                                                           \
        for (int turns = 0; !(condition) && turns < TURNS_MAX; turns++) {                          \
            uv_run(&(rig)->loop, UV_RUN_NOWAIT);                                                   \
            uv_sleep(turns > TURNS_MAX / 10 ? 1 : 0);                                              \
        }                                                                                          \
        assert_true(condition);                                                                    \
    } while (0)

static void listen_at(struct rig *rig, const char *text)
{
    struct osr_url url;
    struct osr_err err;
    assert_int_equal(osr_url_parse(text, &url, &err), 0);
    assert_int_equal(osr_message_calls_listen(&rig->loop, &url, "instance", NULL, &rig->trace,
                                              on_accept, rig, &rig->listener, &err),
                     0);
    turn(rig, 20); /* it is up */
}

static int set_up(void **state)
{
    struct rig *rig = osr_alloc(sizeof(*rig));
    the_rig = rig;
    uv_loop_init(&rig->loop);
    rig->trace = (struct osr_trace){on_line, rig, OSR_LEVEL_TRACE};
    rig->broker = osr_sim_bus_create(1);
    osr_sim_bus_watch(rig->broker, see, rig);
    listen_at(rig, URL);
    *state = rig;
    return 0;
}

static void stop(struct rig *rig)
{
    osr_listener_close(rig->listener);
    for (size_t i = 0; i < rig->count; i++) {
        if (rig->asked[i].connection != NULL) {
            osr_connection_close(rig->asked[i].connection, false);
        }
    }
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    for (size_t i = 0; i < rig->count; i++) {
        assert_null(rig->asked[i].connection);
        osr_buffer_done(&rig->asked[i].body);
    }
    rig->count = 0;
    memset(rig->asked, 0, sizeof(rig->asked));
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    stop(rig);
    osr_sim_bus_destroy(rig->broker);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    free(rig);
    return 0;
}

/* ---- driving ---- */

static void ask(struct rig *rig, const char *body, const char *reply_to)
{
    const struct osr_bus_message message = {
        .body = osr_slice_text(body), .reply_to = reply_to, .correlation = osr_slice_text("42")};
    osr_sim_bus_forge(rig->broker, QUEUE, &message);
}

static struct asked *ask_and_wait(struct rig *rig, const char *body, const char *reply_to)
{
    size_t count = rig->count;
    ask(rig, body, reply_to);
    run_until(rig, rig->count > count && rig->asked[count].is_ended);
    return &rig->asked[count];
}

static void answer(struct rig *rig, const struct asked *asked, const void *data, size_t size)
{
    struct osr_buffer buffer = {0};
    (void)rig;
    osr_buffer_add(&buffer, data, size);
    osr_connection_write(asked->connection, &buffer);
    assert_null(buffer.data);
}

static void answer_text(struct rig *rig, const struct asked *asked, const char *text)
{
    answer(rig, asked, text, strlen(text));
}

static void finish(struct rig *rig, struct asked *asked, bool in_good_order)
{
    osr_connection_close(asked->connection, !in_good_order);
    run_until(rig, asked->connection == NULL);
}

/* The broker restarts: what was not acknowledged comes again. */
static void restart_broker(struct rig *rig)
{
    osr_sim_bus_go_down(rig->broker);
    turn(rig, 20);
    osr_sim_bus_go_up(rig->broker);
    for (int i = 0; i < 60; i++) {
        uv_sleep(1);
        turn(rig, 2);
    }
}

static void assert_body(const struct asked *asked, const char *text)
{
    assert_int_equal(asked->body.size, strlen(text));
    assert_memory_equal(asked->body.data, text, asked->body.size);
}

/* ---- tests ---- */

/* A message is a connection: its body, its end, and who the address's clients are. */
static void call_is_a_connection(void **state)
{
    struct rig *rig = *state;
    const struct asked *asked = ask_and_wait(rig, "{}", NULL);
    assert_body(asked, "{}");
    assert_string_equal(osr_connection_client(asked->connection), "robot");
    assert_false(osr_connection_is_local(asked->connection));
    assert_null(osr_connection_peer(asked->connection));
    assert_string_equal(osr_connection_url(asked->connection),
                        "mqtt://127.0.0.1:1883/osiris/kb?for=clients");
}

/* Each piece goes out by itself, with the message's correlation and its codec's media type. */
static void call_replies_to_where_the_message_says(void **state)
{
    struct rig *rig = *state;
    static const uint8_t protobuf[] = {0, 0, 0, 1, 8};
    struct asked *asked = ask_and_wait(rig, "{}", "back/to/me");
    answer_text(rig, asked, "{\"type\":\"X\"}\n");
    answer_text(rig, asked, "---\ntype: X\n...\n");
    answer(rig, asked, protobuf, sizeof(protobuf));
    finish(rig, asked, true);
    assert_int_equal(rig->sent_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(rig->sent[i].to, "back/to/me");
        assert_string_equal(rig->sent[i].correlation, "42");
    }
    assert_string_equal(rig->sent[0].text, "{\"type\":\"X\"}\n");
    assert_string_equal(rig->sent[0].content_type, "application/json");
    assert_string_equal(rig->sent[1].content_type, "application/yaml");
    assert_string_equal(rig->sent[2].content_type, "application/x-protobuf");
    assert_int_equal(asked->result.code, OSR_OK);
}

/* Who gives no address gets no reply, and what he asks for is done. */
static void call_without_reply_to_drops_replies(void **state)
{
    struct rig *rig = *state;
    struct asked *asked = ask_and_wait(rig, "{}", NULL);
    answer_text(rig, asked, "{}");
    assert_int_equal(osr_connection_queued(asked->connection), 0);
    finish(rig, asked, true);
    assert_int_equal(rig->sent_count, 0);
    restart_broker(rig);
    assert_int_equal(rig->count, 1);
}

/* Before its connection has closed, the broker keeps a message; behind that it does not. */
static void call_is_acknowledged_when_it_closes(void **state)
{
    struct rig *rig = *state;
    struct asked *done = ask_and_wait(rig, "done", "a/1");
    struct asked *open = ask_and_wait(rig, "open", "a/2");
    answer_text(rig, open, "{}");
    finish(rig, done, true);
    restart_broker(rig);
    run_until(rig, rig->count == 3 && rig->asked[2].is_ended);
    assert_body(&rig->asked[2], "open");
}

/* What the broker gives again while the first is under way is done again; the first's replies, and
 * its acknowledgement, are of another time. */
static void call_of_another_time_says_nothing(void **state)
{
    struct rig *rig = *state;
    struct asked *first = ask_and_wait(rig, "{}", "a/1");
    restart_broker(rig);
    run_until(rig, rig->count == 2 && rig->asked[1].is_ended);
    answer_text(rig, first, "of another time");
    finish(rig, first, true);
    assert_int_equal(rig->sent_count, 0);
    answer_text(rig, &rig->asked[1], "{}");
    finish(rig, &rig->asked[1], true);
    assert_int_equal(rig->sent_count, 1);
    restart_broker(rig);
    assert_int_equal(rig->count, 2);
}

/* Nothing is acknowledged once the listener is closed: who comes next does what was not done. */
static void call_comes_again_after_a_restart(void **state)
{
    struct rig *rig = *state;
    struct asked *asked = ask_and_wait(rig, "{}", "a/1");
    answer_text(rig, asked, "{}");
    stop(rig);
    listen_at(rig, URL);
    run_until(rig, rig->count == 1 && rig->asked[0].is_ended);
    assert_body(&rig->asked[0], "{}");
}

/* A connection that breaks is made once more, and then the message is let go with a line. */
static void call_that_breaks_comes_once_more(void **state)
{
    struct rig *rig = *state;
    finish(rig, ask_and_wait(rig, "{}", "a/1"), false);
    assert_int_equal(rig->asked[0].result.code, OSR_CANCELLED);
    assert_string_equal(rig->last_line, "");
    run_until(rig, rig->count == 2 && rig->asked[1].is_ended);
    assert_body(&rig->asked[1], "{}");
    finish(rig, &rig->asked[1], false);
    turn(rig, 10);
    assert_non_null(strstr(rig->last_line, "given up"));
    restart_broker(rig);
    assert_int_equal(rig->count, 2);
}

/* As many as there is room for; one more waits until one of them has gone. */
static void call_waits_where_there_are_many(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < OSR_MESSAGE_CALLS_MAX + 1; i++) {
        ask(rig, "{}", NULL);
    }
    run_until(rig, rig->count == OSR_MESSAGE_CALLS_MAX);
    turn(rig, 50);
    assert_int_equal(rig->count, OSR_MESSAGE_CALLS_MAX);
    finish(rig, &rig->asked[7], true);
    run_until(rig, rig->count == OSR_MESSAGE_CALLS_MAX + 1);
}

/* Large bodies take the bus's time before they take the memory. */
static void call_waits_where_bodies_are_large(void **state)
{
    enum { BODY_BYTES = 8 << 20, COUNT = 8 };
    struct rig *rig = *state;
    char *body = osr_alloc(BODY_BYTES + 1);
    memset(body, 'x', BODY_BYTES);
    for (int i = 0; i < COUNT; i++) {
        ask(rig, body, NULL);
    }
    free(body);
    run_until(rig, rig->count == 4 && rig->asked[3].is_ended);
    turn(rig, 50);
    assert_int_equal(rig->count, OSR_MESSAGE_CALLS_BYTES_MAX / BODY_BYTES);
    assert_int_equal(rig->asked[0].body.size, BODY_BYTES);
    finish(rig, &rig->asked[0], true);
    run_until(rig, rig->count == 5);
}

/* A body that is not taken holds up those behind it, so that their order stays. */
static void calls_keep_their_order(void **state)
{
    struct rig *rig = *state;
    rig->stops_reading = true;
    ask(rig, "first", NULL);
    ask(rig, "second", NULL);
    run_until(rig, rig->count == 1 && rig->asked[0].body.size > 0);
    turn(rig, 50);
    assert_int_equal(rig->count, 1);
    assert_false(rig->asked[0].is_ended);
    rig->stops_reading = false;
    osr_connection_read(rig->asked[0].connection, true);
    assert_int_equal(rig->count, 1); /* not from within */
    run_until(rig, rig->count == 2 && rig->asked[1].is_ended);
    assert_true(rig->asked[0].is_ended);
    assert_body(&rig->asked[1], "second");
}

/* Who answers is not waited for. */
static void calls_are_under_way_together(void **state)
{
    struct rig *rig = *state;
    ask_and_wait(rig, "slow", NULL);
    struct asked *quick = ask_and_wait(rig, "quick", "a/1");
    answer_text(rig, quick, "{}");
    finish(rig, quick, true);
    assert_int_equal(rig->sent_count, 1);
    assert_non_null(rig->asked[0].connection);
}

/* Where the bus is full replies wait with the call, in order, and it is told when they have gone;
 * closing waits for them, and the acknowledgement with it. */
static void call_waits_for_a_full_bus(void **state)
{
    enum { PIECE_BYTES = 1 << 20, PIECES = 8 };
    struct rig *rig = *state;
    struct asked *asked = ask_and_wait(rig, "{}", QUEUE "/elsewhere");
    uint8_t *piece = osr_alloc(PIECE_BYTES);
    piece[0] = '{';
    osr_sim_bus_stall(rig->broker, true);
    for (int i = 0; i < PIECES; i++) {
        answer(rig, asked, piece, PIECE_BYTES);
    }
    free(piece);
    size_t sent = rig->sent_count;
    assert_true(sent * PIECE_BYTES > OSR_BUS_QUEUE_BYTES);
    assert_true(sent < PIECES);
    assert_int_equal(osr_connection_queued(asked->connection), (PIECES - sent) * PIECE_BYTES);
    turn(rig, 50);
    assert_int_equal(asked->drains, 0);
    osr_sim_bus_stall(rig->broker, false);
    run_until(rig, asked->drains == 1);
    assert_int_equal(rig->sent_count, PIECES);
    assert_int_equal(osr_connection_queued(asked->connection), 0);
    finish(rig, asked, true);
}

static void call_closes_when_its_replies_have_gone(void **state)
{
    enum { PIECE_BYTES = 3 << 20 };
    struct rig *rig = *state;
    struct asked *asked = ask_and_wait(rig, "{}", "a/1");
    uint8_t *piece = osr_alloc(PIECE_BYTES);
    piece[0] = '{';
    osr_sim_bus_stall(rig->broker, true);
    for (int i = 0; i < 3; i++) {
        answer(rig, asked, piece, PIECE_BYTES);
    }
    free(piece);
    osr_connection_close(asked->connection, false);
    turn(rig, 50);
    assert_non_null(asked->connection);
    osr_sim_bus_stall(rig->broker, false);
    run_until(rig, asked->connection == NULL);
    assert_int_equal(asked->result.code, OSR_OK);
    assert_int_equal(rig->sent_bytes, 3 * PIECE_BYTES);
}

/* A client that is gone is told nothing more, and nothing waits for it. */
static void call_of_a_client_that_is_gone_goes_on(void **state)
{
    struct rig *rig = *state;
    struct asked *gone = ask_and_wait(rig, "{}", "a/1");
    struct asked *there = ask_and_wait(rig, "{}", "a/2");
    osr_sim_bus_forge_gone(rig->broker, QUEUE, "a/1");
    answer_text(rig, gone, "{}");
    answer_text(rig, there, "{}");
    assert_int_equal(rig->sent_count, 1);
    assert_string_equal(rig->sent[0].to, "a/2");
    finish(rig, gone, true);
    restart_broker(rig);
    run_until(rig, rig->count == 3);
    turn(rig, 50);
    assert_int_equal(rig->count, 3); /* that of the other, which was not done */
}

/* Without `as` it is whom the carrier has made sure of, else nobody. */
static void call_is_of_whom_the_carrier_names(void **state)
{
    struct rig *rig = *state;
    stop(rig);
    listen_at(rig, "amqp://127.0.0.1/osiris/kb?for=clients");
    osr_sim_bus_forge(rig->broker, QUEUE, &(struct osr_bus_message){.sender = "ana"});
    osr_sim_bus_forge(rig->broker, QUEUE, &(struct osr_bus_message){.sender = NULL});
    run_until(rig, rig->count == 2 && rig->asked[1].is_ended);
    assert_string_equal(osr_connection_client(rig->asked[0].connection), "ana");
    assert_string_equal(osr_connection_client(rig->asked[1].connection), "");
}

/* Who all of them are is the config's to say, whatever the carrier names. */
static void call_is_of_whom_the_config_names(void **state)
{
    struct rig *rig = *state;
    osr_sim_bus_forge(rig->broker, QUEUE, &(struct osr_bus_message){.sender = "eve"});
    run_until(rig, rig->count == 1);
    assert_string_equal(osr_connection_client(rig->asked[0].connection), "robot");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(call_is_a_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(call_replies_to_where_the_message_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(call_without_reply_to_drops_replies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(call_is_acknowledged_when_it_closes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(call_of_another_time_says_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(call_comes_again_after_a_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(call_that_breaks_comes_once_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(call_waits_where_there_are_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(call_waits_where_bodies_are_large, set_up, tear_down),
        cmocka_unit_test_setup_teardown(calls_keep_their_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(calls_are_under_way_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(call_waits_for_a_full_bus, set_up, tear_down),
        cmocka_unit_test_setup_teardown(call_closes_when_its_replies_have_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(call_of_a_client_that_is_gone_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(call_is_of_whom_the_carrier_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(call_is_of_whom_the_config_names, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
