/* What every bus promises (adapter/bus.h). Without an environment it runs against the simulated
 * twin (lib/sim_bus.h); with OSIRIS_BUS_URL, as mqtt://127.0.0.1:1883/contract, against the broker
 * there, under addresses that are made up anew for each case; with zmq://127.0.0.1:0 between
 * sockets of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "adapter/bus.h"
#include "lib/sim_bus.h"

enum {
    WAIT_MS = 30 * 1000, /* for a condition: a broker's disk may be slow */
    QUIET_MS = 300,      /* for something that must not come */
    MESSAGES_MAX = 4096,
    BIG_BYTES = 1 << 20,
    PEERS = 3,
};

/* ---- both ends and what they saw ---- */

struct seen {
    char *address;
    char *content_type;
    char *reply_to;
    struct osr_buffer body;
    struct osr_buffer correlation;
    uint64_t delivery;
};

struct rig;

struct end {
    struct rig *rig;
    struct osr_bus *bus; /* NULL after on_close */
    struct osr_bus_keys *keys;
    struct seen *seen;
    size_t count;
    int ups, downs, drains, closes;
    uint64_t confirmed;
    enum osr_code down_code;
    bool closes_when_up, closes_at_message; /* from within the callback */
};

struct rig {
    uv_loop_t loop;
    struct osr_sim_bus *broker; /* NULL: a real one */
    const char *given;          /* OSIRIS_BUS_URL */
    char url[OSR_URL_TEXT_MAX];
    char dialled[OSR_URL_TEXT_MAX];
    struct end listener;
    struct end diallers[PEERS];
    struct end other; /* of requests */
    bool in_call;
    bool timed_out;
};

static void on_up(void *context, struct osr_bus *bus)
{
    struct end *end = context;
    assert_false(end->rig->in_call);
    assert_true(osr_bus_is_up(bus));
    end->confirmed = 0;
    end->ups++;
    if (end->closes_when_up) {
        osr_bus_close(bus);
    }
}

static void on_down(void *context, struct osr_bus *bus, const struct osr_err *err)
{
    struct end *end = context;
    assert_false(end->rig->in_call);
    assert_false(osr_bus_is_up(bus));
    assert_true(err->message[0] != '\0');
    end->down_code = err->code;
    end->downs++;
}

static char *copy_text(const char *text)
{
    return text != NULL ? osr_strdup(text) : NULL;
}

static void on_message(void *context, struct osr_bus *bus, const struct osr_bus_message *message)
{
    struct end *end = context;
    assert_false(end->rig->in_call);
    assert_int_equal(end->closes, 0);
    assert_in_range(end->count, 0, MESSAGES_MAX - 1);
    osr_bus_vouch(bus, message->address); /* nothing that would show it goes on behind these */
    struct seen *seen = &end->seen[end->count++];
    seen->address = copy_text(message->address);
    seen->content_type = copy_text(message->content_type);
    seen->reply_to = copy_text(message->reply_to);
    seen->delivery = message->delivery;
    osr_buffer_add(&seen->body, message->body.data, message->body.size);
    if (message->correlation.size > 0) {
        osr_buffer_add(&seen->correlation, message->correlation.data, message->correlation.size);
    }
    if (end->closes_at_message) {
        end->closes_at_message = false;
        osr_bus_close(bus);
    }
}

static void on_confirmed(void *context, struct osr_bus *bus, uint64_t number)
{
    struct end *end = context;
    (void)bus;
    assert_false(end->rig->in_call);
    assert_in_range(number, end->confirmed + 1, MESSAGES_MAX);
    end->confirmed = number;
}

static void on_gone(void *context, struct osr_bus *bus, const char *address)
{
    struct end *end = context;
    (void)bus;
    assert_false(end->rig->in_call);
    assert_non_null(address);
}

static void on_drain(void *context, struct osr_bus *bus)
{
    struct end *end = context;
    assert_false(end->rig->in_call);
    assert_false(osr_bus_is_full(bus));
    end->drains++;
}

static void on_close(void *context, struct osr_bus *bus)
{
    struct end *end = context;
    assert_false(end->rig->in_call);
    assert_ptr_equal(end->bus, bus);
    end->closes++;
    end->bus = NULL;
}

static const struct osr_bus_handler handler = {
    .on_up = on_up,
    .on_down = on_down,
    .on_message = on_message,
    .on_confirmed = on_confirmed,
    .on_gone = on_gone,
    .on_drain = on_drain,
    .on_close = on_close,
};

/* ---- driving ---- */

static void on_timeout(uv_timer_t *timer)
{
    ((struct rig *)timer->data)->timed_out = true;
}

static void start_timer(struct rig *rig, uv_timer_t *timer, uint64_t ms)
{
    rig->timed_out = false;
    uv_timer_init(&rig->loop, timer);
    timer->data = rig;
    uv_timer_start(timer, on_timeout, ms, 0);
}

static void stop_timer(struct rig *rig, uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, NULL);
    uv_run(&rig->loop, UV_RUN_NOWAIT);
}

#define run_until(rig, condition)                                                                  \
    do {                                                                                           \
        uv_timer_t timer;                                                                          \
        start_timer((rig), &timer, WAIT_MS);                                                       \
        while (!(condition) && !(rig)->timed_out) {                                                \
            uv_run(&(rig)->loop, UV_RUN_ONCE);                                                     \
        }                                                                                          \
        stop_timer((rig), &timer);                                                                 \
        assert_true(condition);                                                                    \
    } while (0)

static void run_quietly(struct rig *rig)
{
    uv_timer_t timer;
    start_timer(rig, &timer, QUIET_MS);
    while (!rig->timed_out) {
        uv_run(&rig->loop, UV_RUN_ONCE);
    }
    stop_timer(rig, &timer);
}

static bool is_zmq(const struct rig *rig)
{
    return strncmp(rig->url, "zmq:", 4) == 0;
}

static bool is_amqp(const struct rig *rig)
{
    return strncmp(rig->url, "amqp", 4) == 0;
}

/* Its library acknowledges requests by itself. */
static bool is_real_mqtt(const struct rig *rig)
{
    return strncmp(rig->url, "mqtt", 4) == 0 && rig->broker == NULL;
}

static void parse(const char *text, struct osr_url *ret_url)
{
    struct osr_err err;
    if (osr_url_parse(text, ret_url, &err) != 0) {
        fail_msg("%s", err.message);
    }
}

/* CURVE for those that ordinary clients meet. */
static struct osr_bus_keys *make_keys(void)
{
    struct osr_bus_keys *keys = osr_alloc(sizeof(*keys));
    assert_int_equal(getrandom(keys->secret, sizeof(keys->secret), 0), sizeof(keys->secret));
    return keys;
}

static void open_at(struct rig *rig, struct end *end, enum osr_bus_role role, const char *text)
{
    struct osr_url url;
    struct osr_err err;
    bool is_for_clients = role == OSR_BUS_CLIENTS || role == OSR_BUS_EVENTS;
    parse(text, &url);
    if (is_for_clients && is_zmq(rig) && end->keys == NULL) {
        end->keys = make_keys();
    }
    char *name = osr_format("contract-%s", url.address);
    const struct osr_bus_options options = {
        .loop = &rig->loop,
        .url = &url,
        .role = role,
        .name = is_for_clients ? name : NULL,
        .keys = end->keys,
    };
    end->rig = rig;
    end->closes = 0;
    rig->in_call = true;
    int code = osr_bus_open(&options, &handler, end, &end->bus, &err);
    rig->in_call = false;
    free(name);
    if (code != 0) {
        fail_msg("%s", err.message);
    }
}

static void open_up(struct rig *rig, struct end *end, enum osr_bus_role role, const char *text)
{
    int ups = end->ups;
    open_at(rig, end, role, text);
    assert_false(osr_bus_is_up(end->bus));
    run_until(rig, end->ups == ups + 1);
}

/* The listener is there first, as it knows the port. */
static void open_listener(struct rig *rig)
{
    open_up(rig, &rig->listener, OSR_BUS_LISTENER, rig->url);
    snprintf(rig->dialled, sizeof(rig->dialled), "%s",
             is_zmq(rig) ? osr_bus_url(rig->listener.bus) : rig->url);
}

static void open_both(struct rig *rig)
{
    open_listener(rig);
    open_up(rig, &rig->diallers[0], OSR_BUS_DIALLER, rig->dialled);
}

/* The same place with another address: of a broker, and told apart by `part`. */
static void url_beside(const struct rig *rig, const char *part, char *ret_text)
{
    struct osr_url url;
    parse(rig->url, &url);
    if (url.address[0] == '\0') {
        snprintf(ret_text, OSR_URL_TEXT_MAX, "%s", rig->url);
        return;
    }
    const char *behind = strchrnul(rig->url, '?');
    snprintf(ret_text, OSR_URL_TEXT_MAX, "%.*s%s%s", (int)(behind - rig->url), rig->url, part,
             behind);
}

static void close_bus(struct rig *rig, struct end *end)
{
    rig->in_call = true;
    osr_bus_close(end->bus);
    rig->in_call = false;
    run_until(rig, end->closes == 1);
}

static uint64_t send_message(struct end *end, const struct osr_bus_message *message)
{
    end->rig->in_call = true;
    uint64_t number = osr_bus_send(end->bus, message);
    end->rig->in_call = false;
    return number;
}

static uint64_t send_text(struct end *end, const char *address, const char *text)
{
    return send_message(
        end, &(struct osr_bus_message){.address = address, .body = osr_slice_text(text)});
}

static void send_number(struct end *end, const char *address, uint32_t number)
{
    uint8_t body[4];
    osr_put_u32(body, number);
    send_message(end, &(struct osr_bus_message){.address = address, .body = osr_slice(body, 4)});
}

static void assert_numbers(const struct end *end, size_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(end->seen[first + i].body.size, 4);
        assert_int_equal(osr_get_u32(end->seen[first + i].body.data), i);
    }
}

static void assert_text(const struct seen *seen, const char *text)
{
    assert_true(osr_slice_equal(osr_buffer_slice(&seen->body), osr_slice_text(text)));
}

/* ---- life ---- */

static void make_up_url(struct rig *rig)
{
    unsigned salt = 0;
    assert_int_equal(getrandom(&salt, sizeof(salt), 0), sizeof(salt));
    snprintf(rig->url, sizeof(rig->url), "%s",
             rig->given != NULL ? rig->given : "mqtt://simulated/contract");
    char *part = osr_format("/%08x", salt);
    char text[OSR_URL_TEXT_MAX];
    url_beside(rig, part, text);
    memcpy(rig->url, text, sizeof(rig->url));
    free(part);
}

static struct end *end_at(struct rig *rig, size_t i)
{
    return i == 0 ? &rig->listener : i == 1 ? &rig->other : &rig->diallers[i - 2];
}

static int set_up(void **state)
{
    struct rig *rig = osr_alloc(sizeof(*rig));
    uv_loop_init(&rig->loop);
    rig->given = getenv("OSIRIS_BUS_URL");
    make_up_url(rig);
    if (rig->given == NULL) {
        rig->broker = osr_sim_bus_create(1);
    }
    for (size_t i = 0; i < PEERS + 2; i++) {
        end_at(rig, i)->seen = osr_alloc(MESSAGES_MAX * sizeof(struct seen));
    }
    *state = rig;
    return 0;
}

static void forget(struct end *end)
{
    for (size_t i = 0; i < end->count; i++) {
        free(end->seen[i].address);
        free(end->seen[i].content_type);
        free(end->seen[i].reply_to);
        osr_buffer_done(&end->seen[i].body);
        osr_buffer_done(&end->seen[i].correlation);
    }
    free(end->seen);
    free(end->keys);
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    for (size_t i = 0; i < PEERS + 2; i++) {
        if (end_at(rig, i)->bus != NULL) {
            close_bus(rig, end_at(rig, i));
        }
    }
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    osr_sim_bus_destroy(rig->broker);
    for (size_t i = 0; i < PEERS + 2; i++) {
        forget(end_at(rig, i));
    }
    free(rig);
    return 0;
}

/* ---- links: listener and dialler ---- */

/* What a dialler sends the listener gets with the dialler's address, and answers there. */
static void messages_go_both_ways(void **state)
{
    struct rig *rig = *state;
    open_both(rig);
    send_text(&rig->diallers[0], NULL, "question");
    run_until(rig, rig->listener.count == 1);
    assert_text(&rig->listener.seen[0], "question");
    assert_true(rig->listener.seen[0].address[0] != '\0');
    send_text(&rig->listener, rig->listener.seen[0].address, "answer");
    run_until(rig, rig->diallers[0].count == 1);
    assert_text(&rig->diallers[0].seen[0], "answer");
}

/* Each dialler gets what is for it alone, and the listener can tell them apart. */
static void diallers_are_told_apart(void **state)
{
    struct rig *rig = *state;
    open_listener(rig);
    for (size_t i = 0; i < PEERS; i++) {
        open_up(rig, &rig->diallers[i], OSR_BUS_DIALLER, rig->dialled);
        send_number(&rig->diallers[i], NULL, (uint32_t)i);
        run_until(rig, rig->listener.count == i + 1);
    }
    for (size_t i = 0; i < PEERS; i++) {
        const struct seen *seen = &rig->listener.seen[i];
        char *text = osr_format("for %u", osr_get_u32(seen->body.data));
        send_text(&rig->listener, seen->address, text);
        free(text);
    }
    for (size_t i = 0; i < PEERS; i++) {
        char *text = osr_format("for %zu", i);
        run_until(rig, rig->diallers[i].count == 1);
        assert_text(&rig->diallers[i].seen[0], text);
        free(text);
    }
}

/* A good broker keeps the order of many messages, in both directions at a time. */
static void many_messages_keep_their_order(void **state)
{
    enum { COUNT = 1000 };
    struct rig *rig = *state;
    open_both(rig);
    send_text(&rig->diallers[0], NULL, "who I am");
    run_until(rig, rig->listener.count == 1);
    for (uint32_t i = 0; i < COUNT; i++) {
        send_number(&rig->diallers[0], NULL, i);
        send_number(&rig->listener, rig->listener.seen[0].address, i);
        if (i % 100 == 99) { /* no broker's queue is to run over */
            run_until(rig, rig->listener.count == i + 2 && rig->diallers[0].count == i + 1);
        }
    }
    assert_numbers(&rig->listener, 1, COUNT);
    assert_numbers(&rig->diallers[0], 0, COUNT);
}

static uint8_t *big_bytes(size_t size)
{
    uint8_t *bytes = osr_alloc_unset(size);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(i * 31 + (i >> 8) * 7);
    }
    return bytes;
}

/* A megabyte, and bytes of every kind in it, arrive as they were sent; an empty one, too. */
static void a_big_message_arrives_whole(void **state)
{
    struct rig *rig = *state;
    uint8_t *bytes = big_bytes(BIG_BYTES);
    open_both(rig);
    send_message(&rig->diallers[0], &(struct osr_bus_message){.body = osr_slice(bytes, BIG_BYTES)});
    send_message(&rig->diallers[0], &(struct osr_bus_message){.body = osr_slice(bytes, 0)});
    run_until(rig, rig->listener.count == 2);
    assert_int_equal(rig->listener.seen[0].body.size, BIG_BYTES);
    assert_memory_equal(rig->listener.seen[0].body.data, bytes, BIG_BYTES);
    assert_int_equal(rig->listener.seen[1].body.size, 0);
    free(bytes);
}

/* One over the limit is dropped as it comes; the next one is taken. */
static void a_message_over_the_limit_is_dropped(void **state)
{
    struct rig *rig = *state;
    size_t size = OSR_BUS_MESSAGE_BYTES_MAX + 1;
    uint8_t *bytes = big_bytes(size);
    open_both(rig);
    send_message(&rig->diallers[0], &(struct osr_bus_message){.body = osr_slice(bytes, size)});
    send_text(&rig->diallers[0], NULL, "next");
    run_until(rig, rig->listener.count == 1);
    assert_text(&rig->listener.seen[0], "next");
    free(bytes);
}

/* The carrier says what it has taken over, and the numbers count from 1. */
static void what_is_sent_is_confirmed(void **state)
{
    struct rig *rig = *state;
    open_both(rig);
    for (uint64_t i = 1; i <= 20; i++) {
        assert_int_equal(send_text(&rig->diallers[0], NULL, "text"), i);
    }
    run_until(rig, rig->diallers[0].confirmed == 20 && rig->listener.count == 20);
}

/* While reading is off little comes; once on again, all of it, in order. */
static void reading_can_be_stopped(void **state)
{
    enum { COUNT = 900 };
    struct rig *rig = *state;
    open_both(rig);
    rig->in_call = true;
    osr_bus_read(rig->listener.bus, false);
    rig->in_call = false;
    for (uint32_t i = 0; i < COUNT; i++) {
        send_number(&rig->diallers[0], NULL, i);
    }
    run_quietly(rig);
    assert_in_range(rig->listener.count, 0, OSR_BUS_UNACKNOWLEDGED_MAX);
    rig->in_call = true;
    osr_bus_read(rig->listener.bus, true);
    rig->in_call = false;
    run_until(rig, rig->listener.count == COUNT);
    assert_numbers(&rig->listener, 0, COUNT);
}

/* Who sends faster than the carrier takes is told so, and when it may go on; nothing is lost. */
static void a_full_bus_drains(void **state)
{
    enum { PIECE = 64 << 10, COUNT = (28 << 20) / PIECE };
    struct rig *rig = *state;
    uint8_t *bytes = big_bytes(PIECE);
    size_t sent = 0;
    open_both(rig);
    while (sent < COUNT && !osr_bus_is_full(rig->diallers[0].bus)) {
        send_message(&rig->diallers[0], &(struct osr_bus_message){.body = osr_slice(bytes, PIECE)});
        sent++;
    }
    if (rig->broker != NULL) {
        assert_true(osr_bus_is_full(rig->diallers[0].bus));
    }
    if (osr_bus_is_full(rig->diallers[0].bus)) { /* a real one may be faster than we are */
        run_until(rig, rig->diallers[0].drains == 1);
    }
    run_until(rig, rig->listener.count == sent);
    assert_memory_equal(rig->listener.seen[sent - 1].body.data, bytes, PIECE);
    free(bytes);
}

/* A close lets out what is queued; on_close is the last call, and comes once. */
static void a_close_lets_out_what_is_queued(void **state)
{
    enum { COUNT = 100 };
    struct rig *rig = *state;
    open_both(rig);
    for (uint32_t i = 0; i < COUNT; i++) {
        send_number(&rig->diallers[0], NULL, i);
    }
    close_bus(rig, &rig->diallers[0]);
    run_until(rig, rig->listener.count == COUNT);
    assert_numbers(&rig->listener, 0, COUNT);
    assert_int_equal(rig->diallers[0].downs, 0);
    run_quietly(rig);
    assert_int_equal(rig->diallers[0].closes, 1);
}

/* A bus may be closed before it is up, and what is sent then goes nowhere. */
static void a_bus_may_be_closed_before_it_is_up(void **state)
{
    struct rig *rig = *state;
    open_at(rig, &rig->listener, OSR_BUS_LISTENER, rig->url);
    assert_int_equal(send_text(&rig->listener, "p1", "nowhere"), 0);
    close_bus(rig, &rig->listener);
    assert_int_equal(rig->listener.ups, 0);
}

/* A bus may be closed from within its callbacks, too: what comes before on_close is let go. */
static void a_bus_may_be_closed_from_within(void **state)
{
    struct rig *rig = *state;
    open_both(rig);
    rig->diallers[1].closes_when_up = true;
    open_at(rig, &rig->diallers[1], OSR_BUS_DIALLER, rig->dialled);
    run_until(rig, rig->diallers[1].closes == 1);
    assert_int_equal(rig->diallers[1].downs, 0);
    rig->listener.closes_at_message = true;
    send_text(&rig->diallers[0], NULL, "one");
    send_text(&rig->diallers[0], NULL, "two");
    run_until(rig, rig->listener.closes == 1);
    assert_in_range(rig->listener.count, 1, 2);
}

/* A listener that was closed can be opened again at the same address, and is heard there. */
static void a_listener_can_be_opened_again(void **state)
{
    struct rig *rig = *state;
    open_both(rig);
    close_bus(rig, &rig->diallers[0]);
    close_bus(rig, &rig->listener);
    rig->listener.ups = rig->diallers[0].ups = 0;
    open_both(rig);
    send_text(&rig->diallers[0], NULL, "again");
    run_until(rig, rig->listener.count == 1);
    assert_text(&rig->listener.seen[0], "again");
}

/* What was meant for a session that is over does not reach the next one's dialler. */
static void another_dialler_does_not_get_the_olds(void **state)
{
    struct rig *rig = *state;
    open_both(rig);
    send_text(&rig->diallers[0], NULL, "old");
    run_until(rig, rig->listener.count == 1);
    close_bus(rig, &rig->diallers[0]);
    send_text(&rig->listener, rig->listener.seen[0].address, "for the old one");
    open_up(rig, &rig->diallers[1], OSR_BUS_DIALLER, rig->dialled);
    send_text(&rig->diallers[1], NULL, "new");
    run_until(rig, rig->listener.count == 2);
    send_text(&rig->listener, rig->listener.seen[1].address, "for the new one");
    run_until(rig, rig->diallers[1].count == 1);
    assert_text(&rig->diallers[1].seen[0], "for the new one");
}

/* A broker that is not there is no error of the open: on_down says so, once, and the bus goes on
 * trying; a close ends that. */
static void a_broker_that_is_not_there_is_told(void **state)
{
    struct rig *rig = *state;
    struct osr_url url;
    parse(rig->url, &url);
    if (is_zmq(rig)) {
        skip(); /* it is its own */
    }
    if (rig->broker != NULL) {
        osr_sim_bus_go_down(rig->broker);
    }
    char *text = osr_format("%s://127.0.0.1:1/nowhere", url.scheme);
    open_at(rig, &rig->listener, OSR_BUS_LISTENER, text);
    open_at(rig, &rig->diallers[0], OSR_BUS_DIALLER, text);
    run_until(rig, rig->listener.downs == 1 && rig->diallers[0].downs == 1);
    assert_int_equal(rig->listener.down_code, OSR_UNAVAILABLE);
    run_quietly(rig);
    assert_int_equal(rig->listener.downs, 1);
    assert_int_equal(rig->diallers[0].downs, 1);
    free(text);
}

/* ---- requests of ordinary clients ---- */

/* Somebody who sends requests and takes the replies: another place for requests plays it. */
static void open_requests(struct rig *rig, struct osr_url *ret_requests,
                          struct osr_url *ret_replies)
{
    if (is_zmq(rig)) {
        skip(); /* its requests come by DEALER sockets alone: the end-to-end tests */
    }
    char text[OSR_URL_TEXT_MAX];
    url_beside(rig, "/replies", text);
    parse(text, ret_replies);
    open_up(rig, &rig->other, OSR_BUS_CLIENTS, text);
    url_beside(rig, "/requests", text);
    parse(text, ret_requests);
    open_up(rig, &rig->listener, OSR_BUS_CLIENTS, text);
}

static void send_request(struct rig *rig, const struct osr_url *requests,
                         const struct osr_url *replies, const char *text)
{
    send_message(&rig->other, &(struct osr_bus_message){.address = requests->address,
                                                        .body = osr_slice_text(text),
                                                        .content_type = "application/json",
                                                        .reply_to = replies->address,
                                                        .correlation = osr_slice_text("number 7")});
}

static void acknowledge(struct end *end, uint64_t delivery)
{
    end->rig->in_call = true;
    osr_bus_acknowledge(end->bus, delivery);
    end->rig->in_call = false;
}

/* A request comes with all its properties, and the reply goes where it says. */
static void a_request_is_replied_to(void **state)
{
    struct rig *rig = *state;
    struct osr_url requests, replies;
    open_requests(rig, &requests, &replies);
    send_request(rig, &requests, &replies, "how many?");
    run_until(rig, rig->listener.count == 1);
    const struct seen *seen = &rig->listener.seen[0];
    assert_text(seen, "how many?");
    assert_string_equal(seen->content_type, "application/json");
    assert_string_equal(seen->reply_to, replies.address);
    assert_true(osr_slice_equal(osr_buffer_slice(&seen->correlation), osr_slice_text("number 7")));
    assert_int_not_equal(seen->delivery, 0);
    send_message(&rig->listener,
                 &(struct osr_bus_message){.address = seen->reply_to,
                                           .body = osr_slice_text("four"),
                                           .correlation = osr_buffer_slice(&seen->correlation)});
    acknowledge(&rig->listener, seen->delivery);
    run_until(rig, rig->other.count == 1);
    assert_text(&rig->other.seen[0], "four");
    assert_true(osr_slice_equal(osr_buffer_slice(&rig->other.seen[0].correlation),
                                osr_slice_text("number 7")));
    acknowledge(&rig->other, rig->other.seen[0].delivery);
}

/* What was not acknowledged comes again to who takes requests there next; what was does not. */
static void what_is_not_acknowledged_comes_again(void **state)
{
    struct rig *rig = *state;
    struct osr_url requests, replies;
    if (is_real_mqtt(rig)) {
        skip(); /* PUBACK means received, not stored */
    }
    open_requests(rig, &requests, &replies);
    send_request(rig, &requests, &replies, "done");
    send_request(rig, &requests, &replies, "not done");
    run_until(rig, rig->listener.count == 2);
    acknowledge(&rig->listener, rig->listener.seen[0].delivery);
    run_quietly(rig);
    close_bus(rig, &rig->listener);
    open_up(rig, &rig->listener, OSR_BUS_CLIENTS, requests.text);
    acknowledge(&rig->listener, rig->listener.seen[1].delivery); /* the old time's: a no-op */
    run_until(rig, rig->listener.count == 3);
    assert_text(&rig->listener.seen[2], "not done");
    acknowledge(&rig->listener, rig->listener.seen[2].delivery);
    run_quietly(rig);
    assert_int_equal(rig->listener.count, 3);
}

/* Requests that come while nobody takes them wait. */
static void requests_wait_for_who_takes_them(void **state)
{
    struct rig *rig = *state;
    struct osr_url requests, replies;
    open_requests(rig, &requests, &replies);
    close_bus(rig, &rig->listener);
    send_request(rig, &requests, &replies, "anybody there?");
    run_until(rig, rig->other.confirmed == 1);
    open_up(rig, &rig->listener, OSR_BUS_CLIENTS, requests.text);
    run_until(rig, rig->listener.count == 1);
    assert_text(&rig->listener.seen[0], "anybody there?");
    acknowledge(&rig->listener, rig->listener.seen[0].delivery);
}

/* Not more than so many at a time are given out, and the rest as they are acknowledged. */
static void requests_under_way_are_limited(void **state)
{
    enum { COUNT = OSR_BUS_UNACKNOWLEDGED_MAX + 50 };
    struct rig *rig = *state;
    struct osr_url requests, replies;
    open_requests(rig, &requests, &replies);
    for (int i = 0; i < COUNT; i++) {
        send_request(rig, &requests, &replies, "request");
    }
    run_until(rig, rig->listener.count == OSR_BUS_UNACKNOWLEDGED_MAX);
    run_quietly(rig);
    assert_int_equal(rig->listener.count, OSR_BUS_UNACKNOWLEDGED_MAX);
    for (size_t i = OSR_BUS_UNACKNOWLEDGED_MAX; i > 0; i--) { /* in any order */
        acknowledge(&rig->listener, rig->listener.seen[i - 1].delivery);
    }
    run_until(rig, rig->listener.count == COUNT);
    for (size_t i = OSR_BUS_UNACKNOWLEDGED_MAX; i < COUNT; i++) {
        acknowledge(&rig->listener, rig->listener.seen[i].delivery);
    }
}

/* ---- events ---- */

/* Events are confirmed in their order, whether anybody takes them or not. */
static void events_are_confirmed(void **state)
{
    struct rig *rig = *state;
    open_up(rig, &rig->other, OSR_BUS_EVENTS, rig->url);
    for (int i = 0; i < 100; i++) {
        send_message(&rig->other, &(struct osr_bus_message){.address = "office/people/ana",
                                                            .body = osr_slice_text("{}"),
                                                            .content_type = "application/json"});
    }
    run_until(rig, rig->other.confirmed == 100);
    assert_int_equal(rig->other.downs, 0);
}

/* An event stands below the publisher's address. */
static void events_stand_below_the_address(void **state)
{
    struct rig *rig = *state;
    char text[OSR_URL_TEXT_MAX];
    if (is_zmq(rig) || is_amqp(rig)) {
        skip(); /* only ordinary clients can take them: the end-to-end tests */
    }
    url_beside(rig, "/office/people", text);
    open_up(rig, &rig->listener, OSR_BUS_CLIENTS, text);
    open_up(rig, &rig->other, OSR_BUS_EVENTS, rig->url);
    send_text(&rig->other, "office/people", "{\"name\":\"Ana\"}");
    send_text(&rig->other, "office/rooms", "{}");
    run_until(rig, rig->other.confirmed == 2 && rig->listener.count == 1);
    assert_text(&rig->listener.seen[0], "{\"name\":\"Ana\"}");
}

/* ---- what only the simulated broker does when told to ---- */

/* A broker that goes away and comes back: told both times, and declared anew; diallers stay down.
 */
static void a_listener_comes_back_with_its_broker(void **state)
{
    struct rig *rig = *state;
    if (rig->broker == NULL) {
        skip(); /* the end-to-end tests kill a real one */
    }
    open_both(rig);
    osr_sim_bus_go_down(rig->broker);
    run_until(rig, rig->listener.downs == 1 && rig->diallers[0].downs == 1);
    osr_sim_bus_go_up(rig->broker);
    run_until(rig, rig->listener.ups == 2);
    run_quietly(rig);
    assert_int_equal(rig->diallers[0].ups, 1);
    open_up(rig, &rig->diallers[1], OSR_BUS_DIALLER, rig->dialled);
    send_text(&rig->diallers[1], NULL, "back");
    run_until(rig, rig->listener.count == 1);
}

/* A broker that takes nothing makes the bus go down before it takes the memory. */
static void a_stalled_broker_takes_no_memory(void **state)
{
    struct rig *rig = *state;
    if (rig->broker == NULL) {
        skip(); /* the end-to-end tests stop a real one */
    }
    uint8_t *bytes = big_bytes(BIG_BYTES);
    open_both(rig);
    osr_sim_bus_stall(rig->broker, true);
    for (int i = 0; i < OSR_BUS_QUEUE_BYTES_MAX / BIG_BYTES + 2; i++) {
        send_message(&rig->diallers[0],
                     &(struct osr_bus_message){.body = osr_slice(bytes, BIG_BYTES)});
    }
    run_until(rig, rig->diallers[0].downs == 1);
    assert_false(osr_bus_is_up(rig->diallers[0].bus));
    free(bytes);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(messages_go_both_ways),
        CASE(diallers_are_told_apart),
        CASE(many_messages_keep_their_order),
        CASE(a_big_message_arrives_whole),
        CASE(a_message_over_the_limit_is_dropped),
        CASE(what_is_sent_is_confirmed),
        CASE(reading_can_be_stopped),
        CASE(a_full_bus_drains),
        CASE(a_close_lets_out_what_is_queued),
        CASE(a_bus_may_be_closed_before_it_is_up),
        CASE(a_bus_may_be_closed_from_within),
        CASE(a_listener_can_be_opened_again),
        CASE(another_dialler_does_not_get_the_olds),
        CASE(a_broker_that_is_not_there_is_told),
        CASE(a_request_is_replied_to),
        CASE(what_is_not_acknowledged_comes_again),
        CASE(requests_wait_for_who_takes_them),
        CASE(requests_under_way_are_limited),
        CASE(events_are_confirmed),
        CASE(events_stand_below_the_address),
        CASE(a_listener_comes_back_with_its_broker),
        CASE(a_stalled_broker_takes_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
