/* The client against instances that answer as a test wants it: a thread of the test, on a Unix
 * socket, with the same stream of frames. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/client.h"
#include "model/limits.h"
#include "wire/stream.h"

enum { TIMEOUT_MS = 20000 };

/* ---- the instance ---- */

struct server {
    int fd;
    struct osr_stream stream;
    struct osr_arena *arena;
};

/* The next request; NULL where the client has closed. */
static Osr__Frame *server_receive(struct server *server)
{
    for (;;) {
        struct osr_slice bytes;
        if (osr_stream_next(&server->stream, &bytes, NULL) != OSR_OK)
            return NULL;
        if (bytes.size > 0) {
            Osr__Frame *frame;
            uint64_t request_id;
            osr_arena_reset(server->arena);
            int code = osr_frame_decode(server->stream.codec, bytes, server->arena, &frame,
                                        &request_id, NULL);
            return code == OSR_OK ? frame : NULL;
        }
        char piece[4096];
        ssize_t got = recv(server->fd, piece, sizeof(piece), 0);
        if (got <= 0)
            return NULL;
        osr_stream_add(&server->stream, piece, (size_t)got);
    }
}

static void server_send_bytes(struct server *server, const void *data, size_t size)
{
    ssize_t sent = send(server->fd, data, size, MSG_NOSIGNAL);
    (void)sent; /* the client may have gone: that is what some tests are about */
}

static void server_send(struct server *server, const Osr__Frame *frame)
{
    struct osr_buffer buffer = {0};
    osr_stream_write(server->stream.codec, frame, &buffer);
    server_send_bytes(server, buffer.data, buffer.size);
    osr_buffer_done(&buffer);
}

static void server_reply_digest(struct server *server, uint64_t request_id, uint64_t documents,
                                bool end)
{
    Osr__DigestResponse response = OSR__DIGEST_RESPONSE__INIT;
    response.documents = documents;
    Osr__Frame frame = OSR__FRAME__INIT;
    frame.request_id = request_id;
    frame.end = end;
    frame.body_case = OSR__FRAME__BODY_KB_DIGEST_REPLY;
    frame.kb_digest_reply = &response;
    server_send(server, &frame);
}

static void server_reply_error(struct server *server, uint64_t request_id, Osr__Code code)
{
    Osr__Error error = OSR__ERROR__INIT;
    error.code = code;
    error.message = (char *)"as wanted";
    error.hint = (char *)"do that";
    Osr__Frame frame = OSR__FRAME__INIT;
    frame.request_id = request_id;
    frame.end = true;
    frame.body_case = OSR__FRAME__BODY_ERROR;
    frame.error = &error;
    server_send(server, &frame);
}

/* ---- a client that is connected to it ---- */

struct fixture {
    char folder[32];
    char path[64];
    struct osr_url url;
    int listener;
    pthread_t thread;
    void (*serve)(struct server *server);
    struct osr_client *client;
};

static void *run_server(void *context)
{
    struct fixture *fixture = context;
    struct server server = {.fd = accept(fixture->listener, NULL, NULL)};
    osr_stream_init(&server.stream, OSR_CODEC_JSON, false, 0);
    server.arena = osr_arena_create(0, OSR_DECODE_BYTES_MAX);
    fixture->serve(&server);
    close(server.fd);
    osr_arena_destroy(server.arena);
    osr_stream_done(&server.stream);
    return NULL;
}

static void connect_to(struct fixture *fixture, const char *parameters,
                       void (*serve)(struct server *server))
{
    fixture->serve = serve;
    strcpy(fixture->folder, "/tmp/osiris-test-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->path, sizeof(fixture->path), "%s/socket", fixture->folder);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, fixture->path);
    fixture->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fixture->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fixture->listener, 1), 0);
    assert_int_equal(pthread_create(&fixture->thread, NULL, run_server, fixture), 0);

    char url[128];
    snprintf(url, sizeof(url), "unix://%s%s", fixture->path, parameters);
    assert_int_equal(osr_url_parse(url, &fixture->url, NULL), OSR_OK);
    assert_int_equal(osr_client_connect(&fixture->url, TIMEOUT_MS, &fixture->client, NULL), OSR_OK);
}

static void disconnect(struct fixture *fixture)
{
    osr_client_close(fixture->client);
    assert_int_equal(pthread_join(fixture->thread, NULL), 0);
    close(fixture->listener);
    unlink(fixture->path);
    rmdir(fixture->folder);
}

/* What came for one call. */
struct outcome {
    int replies;
    uint64_t documents; /* of the replies, summed up */
    bool ended;
    int cancel_after; /* replies; 0: never */
    struct osr_err err;
};

static int on_reply(void *context, const Osr__Frame *frame, const struct osr_err *err)
{
    struct outcome *outcome = context;
    if (err != NULL) {
        outcome->err = *err;
        return 0;
    }
    assert_int_equal(frame->body_case, OSR__FRAME__BODY_KB_DIGEST_REPLY);
    outcome->replies++;
    outcome->documents += frame->kb_digest_reply->documents;
    outcome->ended = frame->end;
    return outcome->replies == outcome->cancel_after ? 77 : 0;
}

static int send_digest(struct fixture *fixture, struct outcome *outcome)
{
    Osr__DigestRequest request = OSR__DIGEST_REQUEST__INIT;
    Osr__Frame frame = OSR__FRAME__INIT;
    frame.body_case = OSR__FRAME__BODY_KB_DIGEST;
    frame.kb_digest = &request;
    return osr_client_send(fixture->client, &frame, on_reply, outcome, NULL);
}

static int call_digest(struct fixture *fixture, struct outcome *outcome, uint32_t timeout_ms,
                       struct osr_err *err)
{
    Osr__DigestRequest request = OSR__DIGEST_REQUEST__INIT;
    Osr__Frame frame = OSR__FRAME__INIT;
    frame.body_case = OSR__FRAME__BODY_KB_DIGEST;
    frame.kb_digest = &request;
    return osr_client_call(fixture->client, &frame, on_reply, outcome, timeout_ms, err);
}

/* ---- tests ---- */

static void serve_three_replies(struct server *server)
{
    const Osr__Frame *request;
    while ((request = server_receive(server)) != NULL) {
        uint64_t id = request->request_id;
        server_reply_digest(server, id + 1000, 100, true); /* nobody asked for it */
        for (uint64_t i = 1; i <= 3; i++)
            server_reply_digest(server, id, i, i == 3);
    }
}

/* A call gets all of its replies, in either encoding, and another one can follow. */
static void call_gets_its_replies(void **state)
{
    (void)state;
    static const char *const encodings[] = {"?codec=json", "?codec=protobuf"};
    for (size_t i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++) {
        struct fixture fixture = {0};
        connect_to(&fixture, encodings[i], serve_three_replies);
        for (int round = 0; round < 2; round++) {
            struct outcome outcome = {0};
            assert_int_equal(call_digest(&fixture, &outcome, TIMEOUT_MS, NULL), OSR_OK);
            assert_int_equal(outcome.replies, 3);
            assert_int_equal(outcome.documents, 6);
            assert_true(outcome.ended);
        }
        disconnect(&fixture);
    }
}

static void serve_pairs_backwards(struct server *server)
{
    uint64_t first = 0;
    const Osr__Frame *request;
    while ((request = server_receive(server)) != NULL) {
        if (first == 0) {
            first = request->request_id;
            continue;
        }
        server_reply_digest(server, request->request_id, 2, true);
        server_reply_digest(server, first, 1, true);
        first = 0;
    }
}

/* Calls are under way side by side, and each reply finds its own, whatever the order. */
static void replies_find_their_calls(void **state)
{
    (void)state;
    struct fixture fixture = {0};
    connect_to(&fixture, "?codec=json", serve_pairs_backwards);
    struct outcome outcomes[OSR_CLIENT_OUTSTANDING_MAX] = {0};
    for (size_t i = 0; i < OSR_CLIENT_OUTSTANDING_MAX; i++)
        assert_int_equal(send_digest(&fixture, &outcomes[i]), OSR_OK);
    struct outcome one_more = {0};
    assert_int_equal(send_digest(&fixture, &one_more), OSR_BUSY);
    assert_int_equal(osr_client_run(fixture.client, 10, TIMEOUT_MS, NULL), OSR_OK);
    assert_int_equal(osr_client_outstanding(fixture.client), 10);
    assert_int_equal(osr_client_run(fixture.client, 0, TIMEOUT_MS, NULL), OSR_OK);
    for (size_t i = 0; i < OSR_CLIENT_OUTSTANDING_MAX; i++)
        assert_int_equal(outcomes[i].documents, i % 2 == 0 ? 1 : 2);
    disconnect(&fixture);
}

static void serve_errors(struct server *server)
{
    const Osr__Frame *request;
    while ((request = server_receive(server)) != NULL)
        server_reply_error(server, request->request_id, OSR__CODE__NOT_FOUND);
}

/* An error ends its call alone, with message and hint; the connection goes on. */
static void error_ends_one_call(void **state)
{
    (void)state;
    struct fixture fixture = {0};
    connect_to(&fixture, "?codec=json", serve_errors);
    for (int round = 0; round < 2; round++) {
        struct outcome outcome = {0};
        struct osr_err err;
        assert_int_equal(call_digest(&fixture, &outcome, TIMEOUT_MS, &err), OSR_NOT_FOUND);
        assert_string_equal(err.message, "as wanted");
        assert_string_equal(err.hint, "do that");
        assert_int_equal(outcome.err.code, OSR_OK); /* a call's on_reply sees frames only */
    }
    disconnect(&fixture);
}

static void serve_one_then_hang_up(struct server *server)
{
    const Osr__Frame *request = server_receive(server);
    server_reply_digest(server, request->request_id, 1, true);
    server_receive(server);
}

/* A connection that breaks ends every call under way, and every later one. */
static void lost_connection_ends_all_calls(void **state)
{
    (void)state;
    struct fixture fixture = {0};
    connect_to(&fixture, "?codec=json", serve_one_then_hang_up);
    struct outcome outcomes[3] = {0};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(send_digest(&fixture, &outcomes[i]), OSR_OK);
    assert_int_equal(osr_client_run(fixture.client, 0, TIMEOUT_MS, NULL), OSR_UNAVAILABLE);
    assert_int_equal(osr_client_outstanding(fixture.client), 0);
    assert_int_equal(outcomes[0].err.code, OSR_OK);
    assert_int_equal(outcomes[0].replies, 1);
    assert_int_equal(outcomes[1].err.code, OSR_UNAVAILABLE);
    assert_int_equal(outcomes[2].err.code, OSR_UNAVAILABLE);
    assert_int_equal(send_digest(&fixture, &outcomes[0]), OSR_UNAVAILABLE);
    assert_int_equal(osr_client_run(fixture.client, 0, TIMEOUT_MS, NULL), OSR_UNAVAILABLE);
    disconnect(&fixture);
}

static void serve_refusal(struct server *server)
{
    server_receive(server);
    server_reply_error(server, 0, OSR__CODE__BUSY);
}

/* An error that answers no call tells why the connection ends. */
static void error_without_a_call_is_why(void **state)
{
    (void)state;
    struct fixture fixture = {0};
    connect_to(&fixture, "?codec=json", serve_refusal);
    struct outcome outcome = {0};
    struct osr_err err;
    assert_int_equal(call_digest(&fixture, &outcome, TIMEOUT_MS, &err), OSR_BUSY);
    assert_string_equal(err.message, "as wanted");
    disconnect(&fixture);
}

static void serve_noise(struct server *server)
{
    server_receive(server);
    static const char noise[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    server_send_bytes(server, noise, sizeof(noise));
    server_receive(server);
}

/* What is no frame is refused, and does not hang the caller. */
static void noise_is_refused(void **state)
{
    (void)state;
    static const char *const encodings[] = {"?codec=json", "?codec=protobuf"};
    for (size_t i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++) {
        struct fixture fixture = {0};
        connect_to(&fixture, encodings[i], serve_noise);
        struct outcome outcome = {0};
        int code = call_digest(&fixture, &outcome, TIMEOUT_MS, NULL);
        assert_true(code == OSR_MALFORMED || code == OSR_TOO_LARGE);
        disconnect(&fixture);
    }
}

static void serve_unknown_type(struct server *server)
{
    const Osr__Frame *request;
    while ((request = server_receive(server)) != NULL) {
        char text[64];
        int size = snprintf(text, sizeof(text), "{\"type\":\"NEWS\",\"request_id\":%u}\n",
                            (unsigned)request->request_id);
        server_send_bytes(server, text, (size_t)size);
    }
}

/* An instance that is newer than the client costs the call, not the connection. */
static void unknown_type_ends_one_call(void **state)
{
    (void)state;
    struct fixture fixture = {0};
    connect_to(&fixture, "?codec=json", serve_unknown_type);
    struct outcome outcome = {0};
    assert_int_equal(call_digest(&fixture, &outcome, TIMEOUT_MS, NULL), OSR_UNKNOWN_TYPE);
    assert_int_equal(call_digest(&fixture, &outcome, TIMEOUT_MS, NULL), OSR_UNKNOWN_TYPE);
    disconnect(&fixture);
}

static void serve_silence(struct server *server)
{
    while (server_receive(server) != NULL) {
    }
}

/* Silence ends with TIMEOUT; a call that timed out gets no reply later. */
static void silence_times_out(void **state)
{
    (void)state;
    struct fixture fixture = {0};
    connect_to(&fixture, "?codec=json", serve_silence);
    struct outcome outcome = {0};
    assert_int_equal(call_digest(&fixture, &outcome, 50, NULL), OSR_TIMEOUT);
    assert_int_equal(osr_client_outstanding(fixture.client), 0);
    disconnect(&fixture);
}

/* An interrupt ends the run once, also one that came before it; then it goes on. */
static void interrupt_ends_one_run(void **state)
{
    (void)state;
    struct fixture fixture = {0};
    connect_to(&fixture, "?codec=json", serve_pairs_backwards);
    struct outcome outcomes[2] = {0};
    assert_int_equal(send_digest(&fixture, &outcomes[0]), OSR_OK);
    osr_client_interrupt(fixture.client);
    osr_client_interrupt(fixture.client);
    assert_int_equal(osr_client_run(fixture.client, 0, TIMEOUT_MS, NULL), OSR_CANCELLED);
    assert_int_equal(osr_client_outstanding(fixture.client), 1);
    assert_int_equal(send_digest(&fixture, &outcomes[1]), OSR_OK);
    assert_int_equal(osr_client_run(fixture.client, 0, TIMEOUT_MS, NULL), OSR_OK);
    assert_int_equal(outcomes[0].documents, 1);
    disconnect(&fixture);
}

/* A caller that has enough gets its own value back, and no further replies. */
static void cancelled_call_gets_no_more(void **state)
{
    (void)state;
    struct fixture fixture = {0};
    connect_to(&fixture, "?codec=json", serve_three_replies);
    struct outcome outcome = {.cancel_after = 1};
    assert_int_equal(call_digest(&fixture, &outcome, TIMEOUT_MS, NULL), 77);
    assert_int_equal(outcome.replies, 1);
    struct outcome next = {0};
    assert_int_equal(call_digest(&fixture, &next, TIMEOUT_MS, NULL), OSR_OK);
    assert_int_equal(next.documents, 6);
    assert_int_equal(outcome.replies, 1);
    disconnect(&fixture);
}

static void serve_ping(struct server *server)
{
    uint64_t request_id = server_receive(server)->request_id;
    Osr__Ping ping = OSR__PING__INIT;
    ping.nonce = 42;
    Osr__Frame frame = OSR__FRAME__INIT;
    frame.body_case = OSR__FRAME__BODY_PING;
    frame.ping = &ping;
    server_send(server, &frame);
    const Osr__Frame *pong = server_receive(server);
    bool is_answer = pong != NULL && pong->body_case == OSR__FRAME__BODY_PONG;
    server_reply_digest(server, request_id, is_answer ? pong->pong->nonce : 0, true);
}

/* A client that waits answers heartbeats, or long waits would lose it the connection. */
static void ping_is_answered(void **state)
{
    (void)state;
    struct fixture fixture = {0};
    connect_to(&fixture, "?codec=json", serve_ping);
    struct outcome outcome = {0};
    assert_int_equal(call_digest(&fixture, &outcome, TIMEOUT_MS, NULL), OSR_OK);
    assert_int_equal(outcome.documents, 42);
    disconnect(&fixture);
}

static void serve_slow_reader(struct server *server)
{
    usleep(50000);
    serve_pairs_backwards(server);
}

/* Requests that are larger than what the socket takes go out bit by bit. */
static void large_requests_go_out_in_parts(void **state)
{
    (void)state;
    struct fixture fixture = {0};
    connect_to(&fixture, "?codec=json", serve_slow_reader);
    enum { TEXT_BYTES = 1 << 20, CALLS = 6 };
    struct osr_buffer text = {0};
    memset(osr_buffer_reserve(&text, TEXT_BYTES), '1', TEXT_BYTES);
    text.size = TEXT_BYTES;
    struct outcome outcomes[CALLS] = {0};
    for (size_t i = 0; i < CALLS; i++) {
        Osr__Json data = OSR__JSON__INIT;
        data.text.data = text.data;
        data.text.len = text.size;
        Osr__UpdateKb update = OSR__UPDATE_KB__INIT;
        update.data = &data;
        Osr__Frame frame = OSR__FRAME__INIT;
        frame.body_case = OSR__FRAME__BODY_UPDATE_KB;
        frame.update_kb = &update;
        assert_int_equal(osr_client_send(fixture.client, &frame, on_reply, &outcomes[i], NULL),
                         OSR_OK);
    }
    osr_buffer_done(&text);
    assert_int_equal(osr_client_run(fixture.client, 0, TIMEOUT_MS, NULL), OSR_OK);
    for (size_t i = 0; i < CALLS; i++)
        assert_int_equal(outcomes[i].documents, i % 2 == 0 ? 1 : 2);
    disconnect(&fixture);
}

/* While the caller waits for its input, replies are taken; then the input is there. */
static void waiting_for_input_serves_calls(void **state)
{
    (void)state;
    struct fixture fixture = {0};
    connect_to(&fixture, "?codec=json", serve_three_replies);
    int input[2];
    assert_int_equal(pipe(input), 0);
    struct outcome outcome = {0};
    assert_int_equal(send_digest(&fixture, &outcome), OSR_OK);
    assert_int_equal(osr_client_run_until_readable(fixture.client, input[0], 300, NULL),
                     OSR_TIMEOUT);
    assert_int_equal(outcome.replies, 3);
    assert_int_equal(write(input[1], "x", 1), 1);
    assert_int_equal(osr_client_run_until_readable(fixture.client, input[0], TIMEOUT_MS, NULL),
                     OSR_OK);
    close(input[0]);
    close(input[1]);
    disconnect(&fixture);
}

/* Where nobody listens there is an error at once, with a hint. */
static void nobody_there_is_unavailable(void **state)
{
    (void)state;
    struct osr_url url;
    struct osr_client *client = NULL;
    struct osr_err err;
    assert_int_equal(osr_url_parse("unix:///tmp/osiris-no-such-socket", &url, NULL), OSR_OK);
    assert_int_equal(osr_client_connect(&url, TIMEOUT_MS, &client, &err), OSR_UNAVAILABLE);
    assert_null(client);
    assert_string_not_equal(err.hint, "");
    osr_client_close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(call_gets_its_replies),
        cmocka_unit_test(replies_find_their_calls),
        cmocka_unit_test(error_ends_one_call),
        cmocka_unit_test(lost_connection_ends_all_calls),
        cmocka_unit_test(error_without_a_call_is_why),
        cmocka_unit_test(noise_is_refused),
        cmocka_unit_test(unknown_type_ends_one_call),
        cmocka_unit_test(silence_times_out),
        cmocka_unit_test(interrupt_ends_one_run),
        cmocka_unit_test(cancelled_call_gets_no_more),
        cmocka_unit_test(ping_is_answered),
        cmocka_unit_test(large_requests_go_out_in_parts),
        cmocka_unit_test(waiting_for_input_serves_calls),
        cmocka_unit_test(nobody_there_is_unavailable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
