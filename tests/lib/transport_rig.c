#include "lib/transport_rig.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "adapter/message_connection.h"

static struct transport_rig *current; /* one test at a time */

/* ---- what the ends see ---- */

static struct transport_end *end_of(void *context)
{
    assert_false(current->in_call); /* "no callback is called from within a function" */
    return context;
}

static void on_open(void *context, struct osr_connection *connection)
{
    struct transport_end *end = end_of(context);
    assert_ptr_equal(end->connection, connection);
    end->opens++;
}

static uint8_t *on_room(void *context, size_t suggested, size_t *ret_size)
{
    (void)suggested;
    struct transport_end *end = end_of(context);
    *ret_size = sizeof(end->room);
    return end->room;
}

static void on_read(void *context, struct osr_connection *connection, size_t size)
{
    struct transport_end *end = end_of(context);
    assert_in_range(size, 1, sizeof(end->room));
    osr_buffer_add(&end->received, end->room, size);
    if (end->pause_after > 0 && end->received.size >= end->pause_after) {
        osr_connection_read(connection, false);
    }
}

static void on_end(void *context, struct osr_connection *connection)
{
    (void)connection;
    end_of(context)->ends++;
}

/* Comes from within osr_connection_flush, too. */
static void on_drain(void *context, struct osr_connection *connection)
{
    struct transport_end *end = context;
    assert_int_equal(osr_connection_queued(connection), 0);
    end->drains++;
}

static void on_close(void *context, struct osr_connection *connection, const struct osr_err *err)
{
    struct transport_end *end = end_of(context);
    assert_ptr_equal(end->connection, connection);
    end->connection = NULL;
    end->closes++;
    end->close_err = *err;
}

const struct osr_connection_handler rig_handler = {
    .on_open = on_open,
    .on_room = on_room,
    .on_read = on_read,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_close = on_close,
};

const struct osr_connection_handler rig_plain_handler = {
    .on_open = on_open, .on_room = on_room, .on_read = on_read, .on_close = on_close};

static void on_accept(void *context, struct osr_connection *connection)
{
    struct transport_rig *rig = context;
    if (rig->refuses) {
        osr_connection_close(connection, true);
        return;
    }
    assert_null(rig->server.connection);
    rig->server.connection = connection;
    osr_connection_accept(connection, &rig_handler, &rig->server);
}

/* ---- life ---- */

static struct transport_rig *create(void **state)
{
    struct transport_rig *rig = osr_alloc(sizeof(*rig));
    signal(SIGPIPE, SIG_IGN); /* as every program with a loop does */
    uv_loop_init(&rig->loop);
    scratch_create(rig->folder);
    current = rig;
    *state = rig;
    return rig;
}

int rig_set_up_tcp(void **state)
{
    struct transport_rig *rig = create(state);
    snprintf(rig->address, sizeof(rig->address), "tcp://127.0.0.1:0");
    return 0;
}

int rig_set_up_unix(void **state)
{
    struct transport_rig *rig = create(state);
    snprintf(rig->address, sizeof(rig->address), "unix://%s/s", rig->folder);
    return 0;
}

struct osr_tls_options rig_tls_options(const struct transport_rig *rig, bool is_server)
{
    struct osr_tls_options options =
        osr_party_options(is_server, is_server ? &rig->server_party : &rig->client_party);
    options.authorities_pem = osr_buffer_slice(&rig->authority.certificate);
    options.proofs = 1u << OSR_TLS_PROOF_CERTIFICATE;
    options.is_datagram = strncmp(rig->address, "udp:", 4) == 0;
    return options;
}

void rig_secure(struct osr_tls_context **context, const struct osr_tls_options *options)
{
    struct osr_err err;
    osr_tls_context_release(*context);
    *context = NULL;
    assert_int_equal(osr_tls_context_create(options, context, &err), 0);
}

static void create_security(struct transport_rig *rig)
{
    rig->authority = osr_party_authority("lab");
    rig->server_party =
        osr_party_of(&rig->authority, "lab", "instance:abcdefghijklmnopqrstuvwxyz234567");
    rig->client_party = osr_party_of(&rig->authority, "lab", "user:ana");
    struct osr_tls_options options = rig_tls_options(rig, true);
    rig_secure(&rig->server_security, &options);
    options = rig_tls_options(rig, false);
    rig_secure(&rig->client_security, &options);
}

int rig_set_up_tls(void **state)
{
    struct transport_rig *rig = create(state);
    snprintf(rig->address, sizeof(rig->address), "tls://127.0.0.1:0");
    create_security(rig);
    return 0;
}

int rig_set_up_udp(void **state)
{
    struct transport_rig *rig = create(state);
    snprintf(rig->address, sizeof(rig->address), "udp://127.0.0.1:0");
    create_security(rig);
    return 0;
}

int rig_set_up_messages(void **state)
{
    struct transport_rig *rig = create(state);
    snprintf(rig->address, sizeof(rig->address), "mqtt://simulated:1883/osiris/rig");
    rig->broker = osr_sim_bus_create(1);
    return 0;
}

int rig_set_up_messages_tls(void **state)
{
    rig_set_up_messages(state);
    create_security(*state);
    return 0;
}

static void reset(struct transport_end *end)
{
    if (end->connection != NULL) {
        osr_connection_close(end->connection, true);
    }
}

int rig_tear_down(void **state)
{
    struct transport_rig *rig = *state;
    osr_listener_close(rig->listener);
    reset(&rig->client);
    reset(&rig->server);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    osr_sim_bus_destroy(rig->broker);
    osr_buffer_done(&rig->client.received);
    osr_buffer_done(&rig->server.received);
    osr_tls_context_release(rig->server_security);
    osr_tls_context_release(rig->client_security);
    osr_party_done(&rig->authority);
    osr_party_done(&rig->server_party);
    osr_party_done(&rig->client_party);
    assert_int_equal(rmdir(rig->folder), 0); /* sockets were unlinked */
    free(rig);
    return 0;
}

/* ---- driving ---- */

struct osr_url rig_url(const char *text)
{
    struct osr_url url;
    struct osr_err err;
    assert_int_equal(osr_url_parse(text, &url, &err), 0);
    return url;
}

/* The port carries no messages as they are, but beneath TLS. */
static bool is_bare(const struct transport_rig *rig)
{
    return rig->broker != NULL && rig->server_security == NULL;
}

int rig_try_listen(struct transport_rig *rig, const char *text, struct osr_listener **ret_listener,
                   struct osr_err *err)
{
    struct osr_url url = rig_url(text);
    rig->in_call = true;
    int code = (is_bare(rig) ? osr_message_listen : osr_transport_listen)(
        &rig->loop, &url, rig->server_security, on_accept, rig, ret_listener, err);
    rig->in_call = false;
    return code;
}

void rig_listen(struct transport_rig *rig)
{
    struct osr_err err;
    assert_int_equal(rig_try_listen(rig, rig->address, &rig->listener, &err), 0);
}

char *rig_stop_listening(struct transport_rig *rig)
{
    char *url = osr_strdup(osr_listener_url(rig->listener));
    osr_listener_close(rig->listener);
    rig->listener = NULL;
    rig_turn(rig, 1);
    return url;
}

void rig_dial(struct transport_rig *rig, const char *text,
              const struct osr_connection_handler *handler)
{
    struct osr_url url = rig_url(text);
    struct osr_err err;
    struct transport_end *client = &rig->client;
    rig->in_call = true;
    int code = is_bare(rig)
                   ? osr_message_dial(&rig->loop, &url, RIG_DIAL_MS, handler, client,
                                      &client->connection, &err)
                   : osr_transport_dial(&rig->loop, &url, rig->client_security, RIG_DIAL_MS,
                                        handler, client, &client->connection, &err);
    rig->in_call = false;
    assert_int_equal(code, 0);
}

void rig_dial_listener(struct transport_rig *rig)
{
    rig_dial(rig, osr_listener_url(rig->listener), &rig_handler);
}

void rig_connect(struct transport_rig *rig)
{
    rig_listen(rig);
    rig_dial_listener(rig);
    rig_run_until(rig, rig->client.opens == 1 && rig->server.connection != NULL);
}

void rig_send(struct transport_rig *rig, struct transport_end *end, const void *data, size_t size)
{
    struct osr_buffer buffer = {0};
    osr_buffer_add(&buffer, data, size);
    rig->in_call = true;
    osr_connection_write(end->connection, &buffer);
    rig->in_call = false;
    assert_int_equal(buffer.size, 0);
    assert_null(buffer.data);
}

void rig_read(struct transport_rig *rig, struct transport_end *end, bool on)
{
    rig->in_call = true;
    osr_connection_read(end->connection, on);
    rig->in_call = false;
}

void rig_end(struct transport_rig *rig, struct transport_end *end)
{
    rig->in_call = true;
    osr_connection_end(end->connection);
    rig->in_call = false;
}

void rig_close(struct transport_rig *rig, struct transport_end *end, bool reset_it)
{
    rig->in_call = true;
    osr_connection_close(end->connection, reset_it);
    rig->in_call = false;
}

void rig_turn(struct transport_rig *rig, int turns)
{
    for (int i = 0; i < turns; i++) {
        uv_run(&rig->loop, UV_RUN_NOWAIT);
    }
}

static void on_timeout(uv_timer_t *timer)
{
    ((struct transport_rig *)timer->data)->timed_out = true;
}

void rig_timer_start(struct transport_rig *rig, uv_timer_t *timer)
{
    rig->timed_out = false;
    uv_timer_init(&rig->loop, timer);
    timer->data = rig;
    uv_timer_start(timer, on_timeout, RIG_WAIT_MS, 0);
}

void rig_timer_stop(struct transport_rig *rig, uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, NULL);
    rig_turn(rig, 1);
}

/* ---- looking ---- */

void assert_received(const struct transport_end *end, const char *text)
{
    assert_true(osr_slice_equal(osr_buffer_slice(&end->received), osr_slice_text(text)));
}

uint8_t *rig_big_bytes(void)
{
    uint8_t *bytes = osr_alloc(RIG_BIG_BYTES);
    for (size_t i = 0; i < RIG_BIG_BYTES; i++) {
        bytes[i] = (uint8_t)(i * 31 + (i >> 8) * 7);
    }
    return bytes;
}

void assert_received_bytes(const struct transport_end *end, const uint8_t *bytes)
{
    assert_int_equal(end->received.size, RIG_BIG_BYTES);
    assert_memory_equal(end->received.data, bytes, RIG_BIG_BYTES);
}
