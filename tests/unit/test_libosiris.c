/* libosiris as its users have it, the shared library and the one header, against an instance that
 * answers as a test wants it (lib/frames_instance.h).
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include <osiris/osiris.h>

#include "lib/frames_instance.h"
#include "model/limits.h"

/* ---- the instance ---- */

static void reply_document(struct frames_instance *instance, uint64_t request_id)
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
    frames_instance_reply(instance, request_id, OSR__FRAME__BODY_KB_GET_REPLY, &response.base,
                          true);
}

static void reply_put(struct frames_instance *instance, uint64_t request_id)
{
    Osr__PutResponse response = OSR__PUT_RESPONSE__INIT;
    response.id = (char *)"made";
    response.sequence = 7;
    frames_instance_reply(instance, request_id, OSR__FRAME__BODY_KB_PUT_REPLY, &response.base,
                          true);
}

static void reply_list(struct frames_instance *instance, uint64_t request_id, bool end)
{
    Osr__ListResponse response = OSR__LIST_RESPONSE__INIT;
    frames_instance_reply(instance, request_id, OSR__FRAME__BODY_KB_LIST_REPLY, &response.base,
                          end);
}

struct fixture {
    struct frames_instance instance;
    struct osiris_client *client;
    struct osiris_error error;
};

static void begin(struct fixture *fixture, frames_serve *serve)
{
    frames_instance_start(&fixture->instance, OSR_CODEC_JSON, serve);
    assert_int_equal(osiris_open(fixture->instance.url, &fixture->client, &fixture->error),
                     OSIRIS_OK);
    assert_int_equal(osiris_connect(fixture->client, &fixture->error), OSIRIS_OK);
}

static void end(struct fixture *fixture)
{
    assert_int_equal(osiris_close(fixture->client), OSIRIS_OK);
    frames_instance_stop(&fixture->instance);
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

static bool serve_documents(struct frames_instance *instance, const Osr__Frame *request)
{
    switch (request->body_case) {
    case OSR__FRAME__BODY_KB_GET:
        reply_document(instance, request->request_id);
        return true;
    case OSR__FRAME__BODY_KB_PUT:
        reply_put(instance, request->request_id);
        return true;
    case OSR__FRAME__BODY_KB_LIST:
        reply_list(instance, request->request_id, false);
        reply_list(instance, request->request_id, true);
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

static bool serve_not_found(struct frames_instance *instance, const Osr__Frame *request)
{
    frames_instance_reply_error(instance, request->request_id, OSR__CODE__NOT_FOUND);
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
    assert_int_equal(fixture.instance.requests, 1);
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

static bool serve_pairs_backwards(struct frames_instance *instance, const Osr__Frame *request)
{
    if (instance->held_id == 0) {
        instance->held_id = request->request_id;
        return true;
    }
    reply_document(instance, request->request_id);
    frames_instance_reply_error(instance, instance->held_id, OSR__CODE__NOT_FOUND);
    instance->held_id = 0;
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

static bool serve_silence(struct frames_instance *instance, const Osr__Frame *request)
{
    (void)instance;
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

static int on_protobuf(void *context, const char *reply, size_t size)
{
    struct outcome *outcome = context;
    Osr__GetResponse *response = osr__get_response__unpack(NULL, size, (const uint8_t *)reply);
    assert_non_null(response);
    assert_string_equal(response->document->id, "x");
    osr__get_response__free_unpacked(response, NULL);
    outcome->replies++;
    return 0;
}

/* A call may also go by messages as generated code makes and reads them. */
static void call_goes_by_protobuf(void **state)
{
    (void)state;
    static const char request[] = {0x0a, 1, 'x'}; /* GetRequest.id */
    struct fixture fixture;
    begin(&fixture, serve_documents);
    struct outcome outcome = {0}, broken = {0};
    assert_int_equal(osiris_start_protobuf(fixture.client, "kb_get", request, sizeof(request),
                                           on_protobuf, on_end, &outcome, &outcome.call, NULL),
                     OSIRIS_OK);
    assert_int_equal(osiris_start_protobuf(fixture.client, "kb_get", request, 2, on_protobuf,
                                           on_end, &broken, &broken.call, NULL),
                     OSIRIS_OK);
    assert_int_equal(
        osiris_start_protobuf(fixture.client, "kb_fly", NULL, 0, NULL, NULL, NULL, NULL, NULL),
        OSIRIS_UNKNOWN_TYPE);
    assert_int_equal(osiris_run(fixture.client, 0, 0, NULL), OSIRIS_OK);
    assert_int_equal(outcome.replies, 1);
    assert_int_equal(outcome.code, OSIRIS_OK);
    assert_int_equal(broken.ends, 1);
    assert_int_equal(broken.code, OSIRIS_MALFORMED);
    end(&fixture);
}

/* While a program waits for its input, replies are told; then the input is there. */
static void waiting_for_input_serves_calls(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, serve_documents);
    int input[2];
    assert_int_equal(pipe(input), 0);
    struct outcome outcome = {0};
    start_get(&fixture, &outcome);
    assert_int_equal(osiris_run_until_readable(fixture.client, input[0], 300, NULL),
                     OSIRIS_TIMEOUT);
    assert_int_equal(outcome.ends, 1);
    assert_int_equal(write(input[1], "x", 1), 1);
    assert_int_equal(osiris_run_until_readable(fixture.client, input[0], 0, NULL), OSIRIS_OK);
    osiris_interrupt(fixture.client);
    close(input[1]);
    assert_int_equal(osiris_run_until_readable(fixture.client, input[0], 0, NULL),
                     OSIRIS_CANCELLED);
    close(input[0]);
    end(&fixture);
}

/* ---- further attempts ---- */

static bool serve_after_two_refusals(struct frames_instance *instance, const Osr__Frame *request)
{
    if (instance->requests <= 2) {
        frames_instance_reply_error(instance, request->request_id, OSR__CODE__BUSY);
        return true;
    }
    return serve_documents(instance, request);
}

/* An instance that refuses twice is asked a third time, also to write: it has done nothing. */
static void refused_call_is_repeated(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, serve_after_two_refusals);
    assert_int_equal(call_put(&fixture, NULL), OSIRIS_OK);
    assert_int_equal(fixture.instance.requests, 3);
    assert_int_equal(fixture.instance.connections, 1);
    end(&fixture);
}

static bool serve_busy(struct frames_instance *instance, const Osr__Frame *request)
{
    frames_instance_reply_error(instance, request->request_id, OSR__CODE__BUSY);
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
    assert_int_equal(fixture.instance.requests, 1);
    osiris_set_retries(fixture.client, 3, 15000);
    assert_int_equal(call_get(&fixture), OSIRIS_BUSY);
    assert_string_equal(fixture.error.message, "after 3 attempts: as wanted");
    assert_int_equal(fixture.error.error_class, OSIRIS_CLASS_RETRY);
    assert_int_equal(fixture.instance.requests, 4);
    /* Pauses of at least 50 and 100 ms: the third attempt would begin too late. */
    osiris_set_retries(fixture.client, 100, 149);
    assert_int_equal(call_get(&fixture), OSIRIS_BUSY);
    assert_in_range(fixture.instance.requests, 5, 6);
    end(&fixture);
}

static bool serve_from_second_connection(struct frames_instance *instance,
                                         const Osr__Frame *request)
{
    return instance->connections > 1 && serve_documents(instance, request);
}

/* A read that a broken connection took along is sent again over a new one. */
static void lost_read_is_repeated(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, serve_from_second_connection);
    assert_int_equal(call_get(&fixture), OSIRIS_OK);
    assert_int_equal(fixture.instance.requests, 2);
    assert_int_equal(fixture.instance.connections, 2);
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
    assert_int_equal(fixture.instance.requests, 1);
    end(&fixture);
    begin(&fixture, serve_from_second_connection);
    assert_int_equal(call_put(&fixture, "journal"), OSIRIS_OK);
    assert_int_equal(fixture.instance.requests, 2);
    end(&fixture);
}

static bool serve_one_a_connection(struct frames_instance *instance, const Osr__Frame *request)
{
    serve_documents(instance, request);
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
        while (fixture.instance.closed <= i) {
            usleep(1000);
        }
    }
    end(&fixture);
}

static bool serve_half_a_list(struct frames_instance *instance, const Osr__Frame *request)
{
    reply_list(instance, request->request_id, false);
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
    assert_int_equal(fixture.instance.requests, 1);
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

/* A socket whose queue is full: who connects to it waits. */
struct deaf {
    char path[64];
    int fd;
    int queued;
};

static void make_deaf(struct deaf *deaf)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(deaf->path, sizeof(deaf->path), "/tmp/osiris-test-deaf-%d", (int)getpid());
    strcpy(address.sun_path, deaf->path);
    deaf->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    deaf->queued = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(deaf->fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(deaf->fd, 0), 0);
    assert_int_equal(connect(deaf->queued, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void end_deaf(const struct deaf *deaf)
{
    close(deaf->queued);
    close(deaf->fd);
    unlink(deaf->path);
}

/* Connecting keeps to the time-out, and an interrupt ends it, in a call as well. */
static void connecting_is_no_wait_for_ever(void **state)
{
    (void)state;
    struct deaf deaf;
    struct osiris_error error;
    struct osiris_client *client;
    char url[80];
    make_deaf(&deaf);
    snprintf(url, sizeof(url), "unix://%s", deaf.path);
    assert_int_equal(osiris_open(url, &client, NULL), OSIRIS_OK);
    osiris_set_timeout(client, 50);
    assert_int_equal(osiris_connect(client, &error), OSIRIS_TIMEOUT);
    assert_int_equal(osiris_call(client, "status", NULL, NULL, &error), OSIRIS_TIMEOUT);
    assert_string_equal(error.message, "the instance did not answer in time");

    osiris_set_timeout(client, 0);
    interrupted = client;
    signal(SIGALRM, on_alarm);
    const struct itimerval soon = {.it_value = {.tv_usec = 50000}};
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    assert_int_equal(osiris_connect(client, &error), OSIRIS_CANCELLED);
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    assert_int_equal(osiris_call(client, "status", NULL, NULL, &error), OSIRIS_CANCELLED);
    signal(SIGALRM, SIG_DFL);
    osiris_close(client);
    end_deaf(&deaf);
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
    assert_int_equal(fixture.instance.requests, 0);
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
    assert_int_equal(osiris_open("/nonexistent/folder", &client, &error), OSIRIS_OK);
    assert_int_equal(osiris_connect(client, &error), OSIRIS_UNAVAILABLE);
    assert_non_null(strstr(error.hint, "osirisd --data /nonexistent/folder"));
    osiris_close(client);
    client = NULL;
    assert_int_equal(osiris_open("http://localhost/", &client, &error), OSIRIS_UNSUPPORTED_VERSION);
    assert_int_equal(osiris_open("grpc://", &client, NULL), OSIRIS_INVALID_ARGUMENT);
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
        cmocka_unit_test(call_goes_by_protobuf),
        cmocka_unit_test(waiting_for_input_serves_calls),
        cmocka_unit_test(refused_call_is_repeated),
        cmocka_unit_test(attempts_are_limited),
        cmocka_unit_test(lost_read_is_repeated),
        cmocka_unit_test(lost_put_is_repeated_by_source_alone),
        cmocka_unit_test(idle_loss_is_noticed_before_sending),
        cmocka_unit_test(broken_stream_is_not_repeated),
        cmocka_unit_test(silence_times_out),
        cmocka_unit_test(interrupt_ends_one_wait),
        cmocka_unit_test(interrupt_ends_a_pause),
        cmocka_unit_test(connecting_is_no_wait_for_ever),
        cmocka_unit_test(wrong_use_is_refused),
        cmocka_unit_test(nobody_there_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
