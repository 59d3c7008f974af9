/* interop_server.c -- grpc.testing.TestService (testing.proto) on our gRPC layer, for the clients
 * of others.
 *
 * usage: interop_server [unix://PATH] [OPTION=NUMBER...]
 *
 *   port           of 127.0.0.1; any free one if not given. It is printed: "listening on URL"
 *   drain_every    each connection is drained (GOAWAY) after so many calls
 *   keepalive_ms   until an idle connection gets PING, and then as long until GOAWAY
 *   message_bytes  the largest request, 4 MiB if not given
 *
 * Standard error gets one line for each call's end: its path, status, and "local" where the call
 * ended before it was answered. SIGTERM drains all connections and ends with status 0. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapter/clock.h"
#include "link.h"
#include "testing.pb-c.h"

enum {
    MESSAGE_BYTES_MAX = 4 << 20, /* as other implementations have it */
    RESPONSE_BYTES_MAX = 64 << 20,
    /* Responses that one call has asked for and not yet got; past it, it is held. */
    RESPONSES_QUEUED_MAX = 16,
    MICROSECONDS_A_MS = 1000,
};

#define ECHO_INITIAL  "x-grpc-test-echo-initial"
#define ECHO_TRAILING "x-grpc-test-echo-trailing-bin"

typedef Grpc__Testing__SimpleRequest simple_request;
typedef Grpc__Testing__StreamingOutputCallRequest streaming_output_request;
typedef Grpc__Testing__StreamingInputCallRequest streaming_input_request;

struct server {
    uv_loop_t loop;
    struct osr_listener *listener;
    uv_signal_t on_sigterm;
    struct osr_grpc_options options;
    uint32_t drain_every; /* 0: never */
    struct client *clients;
};

/* One connection. */
struct client {
    struct server *server;
    struct link *link;
    uint32_t calls_begun;
    struct client *next;
};

struct response {
    size_t size;
    uint64_t interval_ms;
    bool is_compressed;
};

/* One call. What it still has to send stands in `responses`, oldest at response_first. */
struct test_call {
    struct osr_grpc_call *call;
    struct client *client;
    const struct method *method;
    struct osr_buffer trailing; /* what ECHO_TRAILING has brought */
    bool has_trailing;
    struct response *responses;
    size_t response_first;
    size_t response_count;
    size_t response_capacity;
    uv_timer_t interval; /* until the next response; active while one is waited for */
    bool interval_passed;
    bool half_closed;
    bool is_finished;
    uint64_t received_bytes; /* of payloads */
};

/* One row of the service. */
struct method {
    const char *path;
    void (*on_message)(struct test_call *test, struct osr_slice message);
    void (*on_half_close)(struct test_call *test);
};

/* ---- ending a call ---- */

static void finish(struct test_call *test, enum osr_grpc_code code, const char *message)
{
    if (test->is_finished) {
        return;
    }
    test->is_finished = true;
    uv_timer_stop(&test->interval);
    struct osr_grpc_metadata trailing = {
        .name = osr_slice_text(ECHO_TRAILING),
        .value = osr_buffer_slice(&test->trailing),
    };
    struct osr_grpc_end end = {
        .code = code,
        .message = osr_slice_text(message),
        .metadata = &trailing,
        .metadata_count = test->has_trailing ? 1 : 0,
    };
    osr_grpc_finish(test->call, &end);
}

static void finish_as_asked(struct test_call *test, const Grpc__Testing__EchoStatus *status)
{
    finish(test, (enum osr_grpc_code)status->code, status->message);
}

static void finish_malformed(struct test_call *test)
{
    finish(test, OSR_GRPC_INTERNAL, "the request is not what the method takes");
}

/* ---- responses ---- */

/* SimpleResponse and StreamingOutputCallResponse are the same bytes: a payload as field 1. */
static void send_payload(struct test_call *test, size_t size)
{
    Grpc__Testing__Payload payload = GRPC__TESTING__PAYLOAD__INIT;
    Grpc__Testing__SimpleResponse response = GRPC__TESTING__SIMPLE_RESPONSE__INIT;
    uint8_t *body = osr_alloc(size + 1);
    payload.body = (ProtobufCBinaryData){.len = size, .data = body};
    response.payload = &payload;
    struct osr_buffer *buffer = osr_grpc_message_begin(test->call);
    size_t packed = grpc__testing__simple_response__get_packed_size(&response);
    grpc__testing__simple_response__pack(&response, osr_buffer_reserve(buffer, packed));
    buffer->size += packed;
    osr_grpc_message_end(test->call);
    free(body);
}

static void send_due(struct test_call *test);

static void on_interval(uv_timer_t *timer)
{
    struct test_call *test = timer->data;
    test->interval_passed = true;
    send_due(test);
}

static bool is_due(struct test_call *test, const struct response *response)
{
    if (response->interval_ms == 0 || test->interval_passed) {
        return true;
    }
    if (!uv_is_active((uv_handle_t *)&test->interval)) {
        uv_timer_start(&test->interval, on_interval, response->interval_ms, 0);
    }
    return false;
}

/* Sends what there is room and time for; ends the call once nothing can follow. */
static void send_due(struct test_call *test)
{
    while (!test->is_finished && test->response_first < test->response_count) {
        const struct response *response = &test->responses[test->response_first];
        if (osr_grpc_is_full(test->call) || !is_due(test, response)) {
            break;
        }
        test->interval_passed = false;
        test->response_first++;
        osr_grpc_call_compress(test->call, response->is_compressed);
        send_payload(test, response->size);
    }
    size_t queued = test->response_count - test->response_first;
    if (queued == 0 && test->half_closed) {
        finish(test, OSR_GRPC_OK, "");
    }
    if (!test->is_finished) {
        osr_grpc_hold(test->call, queued > RESPONSES_QUEUED_MAX);
    }
}

static void queue_response(struct test_call *test, int32_t size, uint64_t interval_ms,
                           const Grpc__Testing__BoolValue *compressed)
{
    if (size < 0 || size > RESPONSE_BYTES_MAX) {
        finish(test, OSR_GRPC_INVALID_ARGUMENT, "no response has such a size");
        return;
    }
    if (test->response_first == test->response_count) {
        test->response_first = test->response_count = 0;
    }
    if (test->response_count == test->response_capacity) {
        test->response_capacity = test->response_capacity * 2 + RESPONSES_QUEUED_MAX;
        test->responses =
            osr_realloc(test->responses, test->response_capacity * sizeof(*test->responses));
    }
    test->responses[test->response_count++] = (struct response){
        .size = (size_t)size,
        .interval_ms = interval_ms,
        .is_compressed = compressed != NULL && compressed->value,
    };
}

/* ---- the methods ---- */

/* False (and the call is ended) where the request says one thing and came as the other. */
static bool compression_is_as_expected(struct test_call *test,
                                       const Grpc__Testing__BoolValue *expected)
{
    if (expected == NULL || expected->value == osr_grpc_message_was_compressed(test->call)) {
        return true;
    }
    finish(test, OSR_GRPC_INVALID_ARGUMENT, "compressed otherwise than the request says");
    return false;
}

static void on_empty_message(struct test_call *test, struct osr_slice message)
{
    (void)message;
    osr_grpc_message_begin(test->call);
    osr_grpc_message_end(test->call);
}

static void on_unary_message(struct test_call *test, struct osr_slice message)
{
    simple_request *request =
        grpc__testing__simple_request__unpack(NULL, message.size, message.data);
    if (request == NULL) {
        finish_malformed(test);
    } else if (compression_is_as_expected(test, request->expect_compressed)) {
        if (request->response_status != NULL && request->response_status->code != 0) {
            finish_as_asked(test, request->response_status);
        } else {
            queue_response(test, request->response_size, 0, request->response_compressed);
        }
    }
    grpc__testing__simple_request__free_unpacked(request, NULL);
}

static void on_output_message(struct test_call *test, struct osr_slice message)
{
    streaming_output_request *request =
        grpc__testing__streaming_output_call_request__unpack(NULL, message.size, message.data);
    if (request == NULL) {
        finish_malformed(test);
    } else if (request->response_status != NULL && request->response_status->code != 0) {
        finish_as_asked(test, request->response_status);
    } else {
        for (size_t i = 0; i < request->n_response_parameters && !test->is_finished; i++) {
            const Grpc__Testing__ResponseParameters *wanted = request->response_parameters[i];
            uint64_t interval_us = wanted->interval_us > 0 ? (uint64_t)wanted->interval_us : 0;
            queue_response(test, wanted->size,
                           (interval_us + MICROSECONDS_A_MS - 1) / MICROSECONDS_A_MS,
                           wanted->compressed);
        }
        send_due(test);
    }
    grpc__testing__streaming_output_call_request__free_unpacked(request, NULL);
}

static void on_input_message(struct test_call *test, struct osr_slice message)
{
    streaming_input_request *request =
        grpc__testing__streaming_input_call_request__unpack(NULL, message.size, message.data);
    if (request == NULL) {
        finish_malformed(test);
    } else if (compression_is_as_expected(test, request->expect_compressed)) {
        test->received_bytes += request->payload != NULL ? request->payload->body.len : 0;
    }
    grpc__testing__streaming_input_call_request__free_unpacked(request, NULL);
}

static void on_input_half_close(struct test_call *test)
{
    Grpc__Testing__StreamingInputCallResponse response =
        GRPC__TESTING__STREAMING_INPUT_CALL_RESPONSE__INIT;
    response.aggregated_payload_size = (int32_t)test->received_bytes;
    struct osr_buffer *buffer = osr_grpc_message_begin(test->call);
    size_t packed = grpc__testing__streaming_input_call_response__get_packed_size(&response);
    grpc__testing__streaming_input_call_response__pack(&response,
                                                       osr_buffer_reserve(buffer, packed));
    buffer->size += packed;
    osr_grpc_message_end(test->call);
    send_due(test);
}

/* UnimplementedCall is not in it, as the published descriptions ask. */
static const struct method methods[] = {
    {"/grpc.testing.TestService/EmptyCall", on_empty_message, send_due},
    {"/grpc.testing.TestService/UnaryCall", on_unary_message, send_due},
    {"/grpc.testing.TestService/StreamingOutputCall", on_output_message, send_due},
    {"/grpc.testing.TestService/StreamingInputCall", on_input_message, on_input_half_close},
    {"/grpc.testing.TestService/FullDuplexCall", on_output_message, send_due},
};

static const struct method *find_method(struct osr_slice path)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (osr_slice_equal(path, osr_slice_text(methods[i].path))) {
            return &methods[i];
        }
    }
    return NULL;
}

/* ---- what the layer tells ---- */

static void echo_metadata(struct test_call *test, const struct osr_grpc_head *head)
{
    const struct osr_grpc_metadata *initial =
        osr_grpc_metadata_find(head->metadata, head->metadata_count, ECHO_INITIAL);
    if (initial != NULL) {
        osr_grpc_set_headers(test->call, initial, 1);
    }
    const struct osr_grpc_metadata *trailing =
        osr_grpc_metadata_find(head->metadata, head->metadata_count, ECHO_TRAILING);
    if (trailing != NULL) {
        test->has_trailing = true;
        osr_buffer_add(&test->trailing, trailing->value.data, trailing->value.size);
    }
}

static void on_call(void *context, struct osr_grpc_call *call, const struct osr_grpc_head *head)
{
    struct client *client = context;
    struct test_call *test = osr_alloc(sizeof(*test));
    test->call = call;
    test->client = client;
    test->method = find_method(head->path);
    uv_timer_init(&client->server->loop, &test->interval);
    test->interval.data = test;
    osr_grpc_call_set_user(call, test);
    echo_metadata(test, head);
    if (test->method == NULL) {
        finish(test, OSR_GRPC_UNIMPLEMENTED, "there is no such method");
    }
    client->calls_begun++;
    if (client->calls_begun == client->server->drain_every) {
        osr_grpc_drain(link_grpc(client->link), osr_monotonic_ms());
    }
}

static void on_message(void *context, struct osr_grpc_call *call, struct osr_slice message)
{
    (void)context;
    struct test_call *test = osr_grpc_call_user(call);
    if (!test->is_finished) {
        test->method->on_message(test, message);
    }
}

static void on_half_close(void *context, struct osr_grpc_call *call)
{
    (void)context;
    struct test_call *test = osr_grpc_call_user(call);
    test->half_closed = true;
    if (!test->is_finished) {
        test->method->on_half_close(test);
    }
}

static void on_room(void *context, struct osr_grpc_call *call)
{
    (void)context;
    send_due(osr_grpc_call_user(call));
}

static void on_interval_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_end(void *context, struct osr_grpc_call *call, const struct osr_grpc_end *end)
{
    (void)context;
    struct test_call *test = osr_grpc_call_user(call);
    fprintf(stderr, "%s: %s%s\n", test->method != NULL ? test->method->path : "unknown method",
            osr_grpc_code_name((int)end->code), end->is_local ? " local" : "");
    osr_buffer_done(&test->trailing);
    free(test->responses);
    uv_close((uv_handle_t *)&test->interval, on_interval_closed);
}

/* ---- connections ---- */

static void on_link_closed(void *context, struct link *link)
{
    (void)link;
    struct client *client = context;
    struct client **at = &client->server->clients;
    while (*at != client) {
        at = &(*at)->next;
    }
    *at = client->next;
    free(client);
}

static void on_accept(void *context, struct osr_connection *connection)
{
    struct server *server = context;
    struct client *client = osr_alloc(sizeof(*client));
    client->server = server;
    client->next = server->clients;
    server->clients = client;
    struct osr_grpc_handler handler = {
        .on_call = on_call,
        .on_message = on_message,
        .on_half_close = on_half_close,
        .on_room = on_room,
        .on_end = on_end,
        .context = client,
    };
    client->link =
        link_accept(&server->loop, connection, &server->options, &handler, on_link_closed, client);
}

static void on_sigterm(uv_signal_t *signal, int number)
{
    (void)number;
    struct server *server = signal->data;
    osr_listener_close(server->listener);
    uv_close((uv_handle_t *)signal, NULL);
    for (struct client *client = server->clients; client != NULL; client = client->next) {
        osr_grpc_drain(link_grpc(client->link), osr_monotonic_ms());
    }
}

/* ---- the program ---- */

/* The number that stands behind NAME= among the arguments; `otherwise` where none does. */
static uint32_t option(char **arguments, const char *name, uint32_t otherwise)
{
    size_t length = strlen(name);
    for (char **at = arguments; *at != NULL; at++) {
        if (strncmp(*at, name, length) == 0 && (*at)[length] == '=') {
            return (uint32_t)strtoul(*at + length + 1, NULL, 10);
        }
    }
    return otherwise;
}

/* At a Unix socket where the first argument is its URL, else at 127.0.0.1. */
static int listen_as_told(struct server *server, char **arguments, struct osr_err *err)
{
    char text[OSR_URL_TEXT_MAX];
    struct osr_url url;
    const char *first = arguments[1] != NULL ? arguments[1] : "";
    if (strncmp(first, "unix:", strlen("unix:")) == 0) {
        snprintf(text, sizeof(text), "%s", first);
    } else {
        snprintf(text, sizeof(text), "tcp://127.0.0.1:%u", option(arguments, "port", 0));
    }
    if (osr_url_parse(text, &url, err) != 0) {
        return err->code;
    }
    return osr_transport_listen(&server->loop, &url, NULL, on_accept, server, &server->listener,
                                err);
}

int main(int count, char **arguments)
{
    (void)count;
    struct server server = {
        .drain_every = option(arguments, "drain_every", 0),
        .options =
            {
                .is_server = true,
                .message_bytes_max = option(arguments, "message_bytes", MESSAGE_BYTES_MAX),
                .keepalive_ms = option(arguments, "keepalive_ms", 0),
                .keepalive_wait_ms = option(arguments, "keepalive_ms", 0),
            },
    };
    uv_loop_init(&server.loop);
    signal(SIGPIPE, SIG_IGN);
    uv_signal_init(&server.loop, &server.on_sigterm);
    server.on_sigterm.data = &server;
    uv_signal_start(&server.on_sigterm, on_sigterm, SIGTERM);
    struct osr_err err = {0};
    if (listen_as_told(&server, arguments, &err) != 0) {
        fprintf(stderr, "interop_server: %s\n", err.message);
        return EXIT_FAILURE;
    }
    printf("listening on %s\n", osr_listener_url(server.listener));
    fflush(stdout);
    uv_run(&server.loop, UV_RUN_DEFAULT);
    return uv_loop_close(&server.loop) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
