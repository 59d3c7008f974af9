/* libosiris as its users have it, the shared library and the one header, against an instance that
 * answers as a test wants it: a thread of the test, on a Unix socket, which speaks frames of JSON.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include <osiris/osiris.h>

#include "model/limits.h"
#include "wire/stream.h"

/* ---- the instance ---- */

struct server {
    int fd; /* of the connection that stands */
    struct osr_stream stream;
    struct osr_arena *arena;
    int connections; /* so far, this one included */
    atomic_int requests;
    atomic_int closed; /* connections */
    uint64_t held_id;  /* for a test's own use */
};

static void server_send(struct server *server, const Osr__Frame *frame)
{
    struct osr_buffer buffer = {0};
    osr_stream_write(OSR_CODEC_JSON, frame, &buffer);
    ssize_t sent = send(server->fd, buffer.data, buffer.size, MSG_NOSIGNAL);
    (void)sent; /* the client may have gone */
    osr_buffer_done(&buffer);
}

static void reply_error(struct server *server, uint64_t request_id, Osr__Code code)
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

static void reply_document(struct server *server, uint64_t request_id)
{
    static char *tags[] = {(char *)"a", (char *)"b"};
    static uint8_t text[] = {'[', '1', '.', '1', '0', ']'};
    Osr__Json data = OSR__JSON__INIT;
    data.text.data = text;
    data.text.len = sizeof(text);
    Osr__Version version = OSR__VERSION__INIT;
    version.time_ms = 1700;
    version.origin = (char *)"origin";
    Osr__Document document = OSR__DOCUMENT__INIT;
    document.id = (char *)"x";
    document.kind = (char *)"note";
    document.data = &data;
    document.n_tags = 2;
    document.tags = tags;
    document.version = &version;
    Osr__GetResponse response = OSR__GET_RESPONSE__INIT;
    response.document = &document;
    Osr__Frame frame = OSR__FRAME__INIT;
    frame.request_id = request_id;
    frame.end = true;
    frame.body_case = OSR__FRAME__BODY_KB_GET_REPLY;
    frame.kb_get_reply = &response;
    server_send(server, &frame);
}

static void reply_put(struct server *server, uint64_t request_id)
{
    Osr__PutResponse response = OSR__PUT_RESPONSE__INIT;
    response.id = (char *)"made";
    response.sequence = 7;
    Osr__Frame frame = OSR__FRAME__INIT;
    frame.request_id = request_id;
    frame.end = true;
    frame.body_case = OSR__FRAME__BODY_KB_PUT_REPLY;
    frame.kb_put_reply = &response;
    server_send(server, &frame);
}

static void reply_list(struct server *server, uint64_t request_id, bool end)
{
    Osr__ListResponse response = OSR__LIST_RESPONSE__INIT;
    Osr__Frame frame = OSR__FRAME__INIT;
    frame.request_id = request_id;
    frame.end = end;
    frame.body_case = OSR__FRAME__BODY_KB_LIST_REPLY;
    frame.kb_list_reply = &response;
    server_send(server, &frame);
}

/* Answers one request. False: hang up. */
typedef bool serve_request(struct server *server, const Osr__Frame *request);

struct fixture {
    char folder[32];
    char path[64];
    int listener;
    pthread_t thread;
    serve_request *serve;
    struct server server;
    struct osiris_client *client;
    struct osiris_error error;
};

/* NULL where the client has closed. */
static const Osr__Frame *receive(struct server *server)
{
    for (;;) {
        struct osr_slice bytes;
        if (osr_stream_next(&server->stream, &bytes, NULL) != OSR_OK) {
            return NULL;
        }
        if (bytes.size > 0) {
            Osr__Frame *frame;
            uint64_t request_id;
            osr_arena_reset(server->arena);
            int code =
                osr_frame_decode(OSR_CODEC_JSON, bytes, server->arena, &frame, &request_id, NULL);
            return code == OSR_OK ? frame : NULL;
        }
        char piece[4096];
        ssize_t got = recv(server->fd, piece, sizeof(piece), 0);
        if (got <= 0) {
            return NULL;
        }
        osr_stream_add(&server->stream, piece, (size_t)got);
    }
}

static void *run_server(void *context)
{
    struct fixture *fixture = context;
    struct server *server = &fixture->server;
    while ((server->fd = accept(fixture->listener, NULL, NULL)) >= 0) {
        server->connections++;
        osr_stream_init(&server->stream, OSR_CODEC_JSON, true, 0);
        server->arena = osr_arena_create(0, OSR_DECODE_BYTES_MAX);
        const Osr__Frame *request;
        do {
            request = receive(server);
            server->requests += request != NULL;
        } while (request != NULL && fixture->serve(server, request));
        close(server->fd);
        server->closed++;
        osr_arena_destroy(server->arena);
        osr_stream_done(&server->stream);
    }
    return NULL;
}

static void begin(struct fixture *fixture, serve_request *serve)
{
    *fixture = (struct fixture){.serve = serve};
    strcpy(fixture->folder, "/tmp/osiris-test-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->path, sizeof(fixture->path), "%s/socket", fixture->folder);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, fixture->path);
    fixture->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fixture->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fixture->listener, 8), 0);
    assert_int_equal(pthread_create(&fixture->thread, NULL, run_server, fixture), 0);
    char url[128];
    snprintf(url, sizeof(url), "unix://%s?codec=json", fixture->path);
    assert_int_equal(osiris_connect(url, &fixture->client, &fixture->error), OSIRIS_OK);
}

static void end(struct fixture *fixture)
{
    assert_int_equal(osiris_close(fixture->client), OSIRIS_OK);
    shutdown(fixture->listener, SHUT_RDWR);
    assert_int_equal(pthread_join(fixture->thread, NULL), 0);
    close(fixture->listener);
    unlink(fixture->path);
    rmdir(fixture->folder);
}

static int call_get(struct fixture *fixture)
{
    return osiris_call(fixture->client, "kb_get", "{\"id\":\"x\"}", NULL, &fixture->error);
}

static int call_put(struct fixture *fixture, const char *source)
{
    const struct osiris_document document = {.data = "1", .source = source};
    return osiris_put(fixture->client, &document, NULL, &fixture->error);
}

/* What came for one call. */
struct outcome {
    struct fixture *fixture;
    int replies;
    int ends;
    enum osiris_code code;
    uint64_t call;
};

static int on_reply(void *context, const char *reply, size_t size)
{
    struct outcome *outcome = context;
    assert_int_equal(strlen(reply), size);
    outcome->replies++;
    return 0;
}

static void on_end(void *context, const struct osiris_error *error)
{
    struct outcome *outcome = context;
    outcome->ends++;
    outcome->code = error == NULL ? OSIRIS_OK : error->code;
}

static void start_get(struct fixture *fixture, struct outcome *outcome)
{
    outcome->fixture = fixture;
    assert_int_equal(osiris_start(fixture->client, "kb_get", "{\"id\":\"x\"}", on_reply, on_end,
                                  outcome, &outcome->call, NULL),
                     OSIRIS_OK);
}

/* ---- calls ---- */

static bool serve_documents(struct server *server, const Osr__Frame *request)
{
    switch (request->body_case) {
    case OSR__FRAME__BODY_KB_GET:
        reply_document(server, request->request_id);
        return true;
    case OSR__FRAME__BODY_KB_PUT:
        reply_put(server, request->request_id);
        return true;
    case OSR__FRAME__BODY_KB_LIST:
        reply_list(server, request->request_id, false);
        reply_list(server, request->request_id, true);
        return true;
    default:
        return false;
    }
}

/* A call by name gives JSON, numbers as they were written. */
static void call_gives_json(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, serve_documents);
    char *reply;
    assert_int_equal(osiris_call(fixture.client, "kb_get", "{\"id\":\"x\"}", &reply, NULL),
                     OSIRIS_OK);
    assert_non_null(strstr(reply, "\"data\":[1.10]"));
    osiris_free(reply);
    end(&fixture);
}

/* A document that was got is whole, and outlives the call and the client. */
static void document_is_kept(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, serve_documents);
    struct osiris_document *document;
    assert_int_equal(osiris_get(fixture.client, "x", &document, NULL), OSIRIS_OK);
    end(&fixture);
    assert_string_equal(document->id, "x");
    assert_string_equal(document->kind, "note");
    assert_string_equal(document->collection, "");
    assert_string_equal(document->data, "[1.10]");
    assert_int_equal(document->tag_count, 2);
    assert_string_equal(document->tags[1], "b");
    assert_string_equal(document->origin, "origin");
    assert_int_equal(document->written_ms, 1700);
    osiris_document_free(document);
}

/* A write tells what was written. */
static void put_tells_the_id(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, serve_documents);
    const struct osiris_document document = {.data = "{ \"a\" : 1 }"};
    struct osiris_written written;
    assert_int_equal(osiris_put(fixture.client, &document, &written, NULL), OSIRIS_OK);
    assert_string_equal(written.id, "made");
    assert_int_equal(written.sequence, 7);
    assert_int_equal(written.existed, 0);
    end(&fixture);
}

static bool serve_not_found(struct server *server, const Osr__Frame *request)
{
    reply_error(server, request->request_id, OSR__CODE__NOT_FOUND);
    return true;
}

/* An error has its number, name and class, what happened and what to do, and is not tried again. */
static void error_is_told_whole(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, serve_not_found);
    assert_int_equal(call_get(&fixture), OSIRIS_NOT_FOUND);
    assert_int_equal(fixture.error.code, OSIRIS_NOT_FOUND);
    assert_int_equal(fixture.error.error_class, OSIRIS_CLASS_CALLER);
    assert_string_equal(fixture.error.name, "NOT_FOUND");
    assert_string_equal(fixture.error.message, "as wanted");
    assert_string_equal(fixture.error.hint, "do that");
    assert_int_equal(fixture.server.requests, 1);
    end(&fixture);
}

static int stop_at_once(void *context, const char *reply, size_t size)
{
    (void)reply;
    (void)size;
    ++*(int *)context;
    return -5;
}

/* A callback that has enough gets its own value back, and no further replies. */
static void stream_can_be_stopped(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, serve_documents);
    int replies = 0;
    assert_int_equal(osiris_stream(fixture.client, "kb_list", NULL, stop_at_once, &replies, NULL),
                     -5);
    assert_int_equal(replies, 1);
    struct outcome outcome = {0};
    assert_int_equal(osiris_stream(fixture.client, "kb_list", NULL, on_reply, &outcome, NULL),
                     OSIRIS_OK);
    assert_int_equal(outcome.replies, 2);
    end(&fixture);
}

/* ---- several at once ---- */

static bool serve_pairs_backwards(struct server *server, const Osr__Frame *request)
{
    if (server->held_id == 0) {
        server->held_id = request->request_id;
        return true;
    }
    reply_document(server, request->request_id);
    reply_error(server, server->held_id, OSR__CODE__NOT_FOUND);
    server->held_id = 0;
    return true;
}

/* Calls are under way side by side, each has its own end, and a waited one may be among them. */
static void calls_go_side_by_side(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, serve_pairs_backwards);
    struct outcome outcomes[3] = {0};
    for (size_t i = 0; i < 3; i++) {
        start_get(&fixture, &outcomes[i]);
    }
    assert_int_equal(osiris_calls(fixture.client), 3);
    assert_int_equal(call_get(&fixture), OSIRIS_OK); /* the fourth */
    assert_int_equal(osiris_run(fixture.client, 0, 0, NULL), OSIRIS_OK);
    assert_int_equal(osiris_calls(fixture.client), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(outcomes[i].ends, 1);
        assert_int_equal(outcomes[i].code, i % 2 == 0 ? OSIRIS_NOT_FOUND : OSIRIS_OK);
        assert_int_equal(outcomes[i].replies, i % 2 == 0 ? 0 : 1);
    }
    end(&fixture);
}

static bool serve_silence(struct server *server, const Osr__Frame *request)
{
    (void)server;
    (void)request;
    return true;
}

/* More calls than may be under way are refused, and none of the others suffers. */
static void calls_are_limited(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, serve_silence);
    static struct outcome outcomes[OSIRIS_CALLS_MAX];
    memset(outcomes, 0, sizeof(outcomes));
    for (size_t i = 0; i < OSIRIS_CALLS_MAX; i++) {
        start_get(&fixture, &outcomes[i]);
    }
    assert_int_equal(osiris_start(fixture.client, "status", NULL, NULL, NULL, NULL, NULL, NULL),
                     OSIRIS_BUSY);
    end(&fixture);
    for (size_t i = 0; i < OSIRIS_CALLS_MAX; i++) {
        assert_int_equal(outcomes[i].ends, 1);
        assert_int_equal(outcomes[i].code, OSIRIS_CANCELLED);
    }
}

/* A cancelled call ends at once, and only that one. */
static void cancelled_call_ends(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, serve_pairs_backwards);
    struct outcome first = {0}, second = {0};
    start_get(&fixture, &first);
    start_get(&fixture, &second);
    assert_int_equal(osiris_cancel(fixture.client, first.call, NULL), OSIRIS_OK);
    assert_int_equal(first.ends, 1);
    assert_int_equal(first.code, OSIRIS_CANCELLED);
    assert_int_equal(osiris_cancel(fixture.client, first.call, NULL), OSIRIS_NOT_FOUND);
    assert_int_equal(osiris_run(fixture.client, 0, 0, NULL), OSIRIS_OK);
    assert_int_equal(second.code, OSIRIS_OK);
    assert_int_equal(first.ends, 1);
    end(&fixture);
}

static void start_another(void *context, const struct osiris_error *error)
{
    struct outcome *outcome = context;
    on_end(context, error);
    if (outcome->ends < 3) {
        assert_int_equal(osiris_start(outcome->fixture->client, "kb_get", NULL, on_reply,
                                      start_another, outcome, NULL, NULL),
                         OSIRIS_OK);
    }
}

static int cancel_itself(void *context, const char *reply, size_t size)
{
    struct outcome *outcome = context;
    on_reply(context, reply, size);
    assert_int_equal(osiris_cancel(outcome->fixture->client, outcome->call, NULL), OSIRIS_OK);
    assert_int_equal(outcome->ends, 0);
    return 0;
}

/* Callbacks may start calls and cancel them, also their own. */
static void callbacks_start_and_cancel(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, serve_documents);
    struct outcome outcome = {.fixture = &fixture};
    start_another(&outcome, NULL);
    assert_int_equal(osiris_run(fixture.client, 0, 0, NULL), OSIRIS_OK);
    assert_int_equal(outcome.ends, 3);
    assert_int_equal(outcome.replies, 2);

    struct outcome own = {.fixture = &fixture};
    assert_int_equal(
        osiris_start(fixture.client, "kb_list", NULL, cancel_itself, on_end, &own, &own.call, NULL),
        OSIRIS_OK);
    assert_int_equal(osiris_run(fixture.client, 0, 0, NULL), OSIRIS_OK);
    assert_int_equal(own.replies, 1);
    assert_int_equal(own.ends, 1);
    assert_int_equal(own.code, OSIRIS_CANCELLED);
    end(&fixture);
}

/* ---- further attempts ---- */

static bool serve_after_two_refusals(struct server *server, const Osr__Frame *request)
{
    if (server->requests <= 2) {
        reply_error(server, request->request_id, OSR__CODE__BUSY);
        return true;
    }
    return serve_documents(server, request);
}

/* An instance that refuses twice is asked a third time, also to write: it has done nothing. */
static void refused_call_is_repeated(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, serve_after_two_refusals);
    assert_int_equal(call_put(&fixture, NULL), OSIRIS_OK);
    assert_int_equal(fixture.server.requests, 3);
    assert_int_equal(fixture.server.connections, 1);
    end(&fixture);
}

static bool serve_busy(struct server *server, const Osr__Frame *request)
{
    reply_error(server, request->request_id, OSR__CODE__BUSY);
    return true;
}

/* The caller sets how often and how long it is tried. */
static void attempts_are_limited(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, serve_busy);
    osiris_set_retries(fixture.client, 1, 15000);
    assert_int_equal(call_get(&fixture), OSIRIS_BUSY);
    assert_string_equal(fixture.error.message, "as wanted");
    assert_int_equal(fixture.server.requests, 1);
    osiris_set_retries(fixture.client, 3, 15000);
    assert_int_equal(call_get(&fixture), OSIRIS_BUSY);
    assert_string_equal(fixture.error.message, "after 3 attempts: as wanted");
    assert_int_equal(fixture.error.error_class, OSIRIS_CLASS_RETRY);
    assert_int_equal(fixture.server.requests, 4);
    /* Pauses of at least 50 and 100 ms: the third attempt would begin too late. */
    osiris_set_retries(fixture.client, 100, 149);
    assert_int_equal(call_get(&fixture), OSIRIS_BUSY);
    assert_in_range(fixture.server.requests, 5, 6);
    end(&fixture);
}

static bool serve_from_second_connection(struct server *server, const Osr__Frame *request)
{
    return server->connections > 1 && serve_documents(server, request);
}

/* A read that a broken connection took along is sent again over a new one. */
static void lost_read_is_repeated(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, serve_from_second_connection);
    assert_int_equal(call_get(&fixture), OSIRIS_OK);
    assert_int_equal(fixture.server.requests, 2);
    assert_int_equal(fixture.server.connections, 2);
    end(&fixture);
}

/* A put that a broken connection took along may have been written: it is not sent again, unless its
 * source makes it known. */
static void lost_put_is_repeated_by_source_alone(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, serve_from_second_connection);
    assert_int_equal(call_put(&fixture, NULL), OSIRIS_UNAVAILABLE);
    assert_int_equal(fixture.server.requests, 1);
    end(&fixture);
    begin(&fixture, serve_from_second_connection);
    assert_int_equal(call_put(&fixture, "journal"), OSIRIS_OK);
    assert_int_equal(fixture.server.requests, 2);
    end(&fixture);
}

static bool serve_one_a_connection(struct server *server, const Osr__Frame *request)
{
    serve_documents(server, request);
    return false;
}

/* A connection that was closed while nobody used it costs nothing, not even a put. */
static void idle_loss_is_noticed_before_sending(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, serve_one_a_connection);
    osiris_set_retries(fixture.client, 1, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(call_put(&fixture, NULL), OSIRIS_OK);
        while (fixture.server.closed <= i) {
            usleep(1000);
        }
    }
    end(&fixture);
}

static bool serve_half_a_list(struct server *server, const Osr__Frame *request)
{
    reply_list(server, request->request_id, false);
    return false;
}

/* A stream that breaks after its first reply is not begun again: replies would come twice. */
static void broken_stream_is_not_repeated(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, serve_half_a_list);
    struct outcome outcome = {0};
    assert_int_equal(osiris_stream(fixture.client, "kb_list", NULL, on_reply, &outcome, NULL),
                     OSIRIS_UNAVAILABLE);
    assert_int_equal(outcome.replies, 1);
    assert_int_equal(fixture.server.requests, 1);
    end(&fixture);
}

/* ---- time-outs, interrupts ---- */

/* Silence ends a call with TIMEOUT; a run that is over before its calls leaves them alone. */
static void silence_times_out(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, serve_silence);
    struct outcome outcome = {0};
    start_get(&fixture, &outcome);
    osiris_set_timeout(fixture.client, 50);
    assert_int_equal(call_get(&fixture), OSIRIS_TIMEOUT);
    assert_int_equal(osiris_run(fixture.client, 0, 20, NULL), OSIRIS_TIMEOUT);
    assert_int_equal(outcome.ends, 0);
    assert_int_equal(osiris_calls(fixture.client), 1);
    end(&fixture);
}

static struct osiris_client *interrupted;

static void on_alarm(int signal_number)
{
    (void)signal_number;
    osiris_interrupt(interrupted);
}

/* An interrupt from a signal handler ends the wait, whenever it comes, and only one. */
static void interrupt_ends_one_wait(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, serve_silence);
    interrupted = fixture.client;
    signal(SIGALRM, on_alarm);
    const struct itimerval soon = {.it_value = {.tv_usec = 50000}};
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    assert_int_equal(call_get(&fixture), OSIRIS_CANCELLED);
    signal(SIGALRM, SIG_DFL);
    assert_int_equal(osiris_calls(fixture.client), 0);

    osiris_interrupt(fixture.client);
    assert_int_equal(call_get(&fixture), OSIRIS_CANCELLED);
    osiris_set_timeout(fixture.client, 50);
    assert_int_equal(call_get(&fixture), OSIRIS_TIMEOUT);
    end(&fixture);
}

/* An interrupt also ends the pause before another attempt. */
static void interrupt_ends_a_pause(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, serve_busy);
    osiris_set_retries(fixture.client, 1000, 1000 * 1000);
    osiris_set_timeout(fixture.client, 0);
    interrupted = fixture.client;
    signal(SIGALRM, on_alarm);
    const struct itimerval soon = {.it_value = {.tv_usec = 300000}};
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    assert_int_equal(call_get(&fixture), OSIRIS_CANCELLED);
    signal(SIGALRM, SIG_DFL);
    end(&fixture);
}

/* ---- wrong use ---- */

static int wait_within(void *context, const char *reply, size_t size)
{
    struct fixture *fixture = context;
    (void)reply;
    (void)size;
    assert_int_equal(call_get(fixture), OSIRIS_INVALID_ARGUMENT);
    assert_int_equal(osiris_run(fixture->client, 0, 0, NULL), OSIRIS_INVALID_ARGUMENT);
    assert_int_equal(osiris_close(fixture->client), OSIRIS_INVALID_ARGUMENT);
    return 0;
}

/* Wrong use is an error that says what is wrong; nothing is sent. */
static void wrong_use_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, serve_documents);
    struct osiris_client *client = fixture.client;
    struct osiris_error *error = &fixture.error;
    char *reply = NULL;
    assert_int_equal(osiris_call(NULL, "status", NULL, NULL, error), OSIRIS_INVALID_ARGUMENT);
    assert_int_equal(osiris_call(client, "kb_fly", NULL, &reply, error), OSIRIS_UNKNOWN_TYPE);
    assert_int_equal(osiris_call(client, NULL, NULL, &reply, error), OSIRIS_UNKNOWN_TYPE);
    assert_int_equal(osiris_call(client, "hello", NULL, &reply, error), OSIRIS_UNKNOWN_TYPE);
    assert_int_equal(osiris_call(client, "kb_get", "{", &reply, error), OSIRIS_MALFORMED);
    assert_int_equal(osiris_call(client, "kb_list", NULL, &reply, error), OSIRIS_INVALID_ARGUMENT);
    assert_null(reply);
    const struct osiris_document empty = {0};
    const struct osiris_document broken = {.data = "{"};
    const struct osiris_document counted = {.data = "1", .tag_count = 1};
    assert_int_equal(osiris_put(client, &empty, NULL, error), OSIRIS_INVALID_ARGUMENT);
    assert_int_equal(osiris_put(client, &broken, NULL, error), OSIRIS_MALFORMED);
    assert_int_equal(osiris_put(client, &counted, NULL, error), OSIRIS_INVALID_ARGUMENT);
    assert_int_equal(osiris_list(client, NULL, NULL, 0, NULL, NULL, error),
                     OSIRIS_INVALID_ARGUMENT);
    assert_int_equal(fixture.server.requests, 0);
    assert_int_equal(osiris_stream(client, "kb_list", NULL, wait_within, &fixture, error),
                     OSIRIS_OK);
    assert_int_equal(osiris_close(NULL), OSIRIS_OK);
    osiris_document_free(NULL);
    end(&fixture);
}

/* A connection that cannot be made is told at once, with what to do. */
static void nobody_there_is_told(void **state)
{
    (void)state;
    struct osiris_client *client = NULL;
    struct osiris_error error;
    assert_int_equal(osiris_connect("/nonexistent/folder", &client, &error), OSIRIS_UNAVAILABLE);
    assert_non_null(strstr(error.hint, "osirisd --data /nonexistent/folder"));
    assert_int_equal(osiris_connect("http://localhost/", &client, &error),
                     OSIRIS_UNSUPPORTED_VERSION);
    assert_int_equal(osiris_connect("grpc://", &client, NULL), OSIRIS_INVALID_ARGUMENT);
    assert_null(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(call_gives_json),
        cmocka_unit_test(document_is_kept),
        cmocka_unit_test(put_tells_the_id),
        cmocka_unit_test(error_is_told_whole),
        cmocka_unit_test(stream_can_be_stopped),
        cmocka_unit_test(calls_go_side_by_side),
        cmocka_unit_test(calls_are_limited),
        cmocka_unit_test(cancelled_call_ends),
        cmocka_unit_test(callbacks_start_and_cancel),
        cmocka_unit_test(refused_call_is_repeated),
        cmocka_unit_test(attempts_are_limited),
        cmocka_unit_test(lost_read_is_repeated),
        cmocka_unit_test(lost_put_is_repeated_by_source_alone),
        cmocka_unit_test(idle_loss_is_noticed_before_sending),
        cmocka_unit_test(broken_stream_is_not_repeated),
        cmocka_unit_test(silence_times_out),
        cmocka_unit_test(interrupt_ends_one_wait),
        cmocka_unit_test(interrupt_ends_a_pause),
        cmocka_unit_test(wrong_use_is_refused),
        cmocka_unit_test(nobody_there_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
