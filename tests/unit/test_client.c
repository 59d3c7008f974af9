/* One connection of the client against instances that answer as a test wants it
 * (lib/frames_instance.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "adapter/clock.h"
#include "client/client.h"
#include "lib/frames_instance.h"
#include "model/limits.h"

enum { TIMEOUT_MS = 20000 };

struct fixture {
    struct frames_instance instance;
    struct osr_target target;
    struct osr_client *client;
    struct osr_err err; /* of the step that failed */
};

static void begin(struct fixture *fixture, enum osr_codec codec, frames_serve *serve)
{
    frames_instance_start(&fixture->instance, codec, serve);
    assert_int_equal(osr_target_url(fixture->instance.url, &fixture->target, NULL), OSR_OK);
    assert_int_equal(osr_client_open(&fixture->target, TIMEOUT_MS, &fixture->client, NULL), OSR_OK);
}

static void end(struct fixture *fixture)
{
    osr_client_close(fixture->client);
    osr_target_done(&fixture->target);
    frames_instance_stop(&fixture->instance);
}

/* What came for one call. */
struct outcome {
    int replies;
    uint64_t documents; /* of the replies, summed up */
    int ends;
    int stop_after; /* replies; 0: never */
    struct osr_err err;
    uint64_t number;
};

static int on_reply(void *context, struct osr_slice reply)
{
    struct outcome *outcome = context;
    Osr__DigestResponse *response = osr__digest_response__unpack(NULL, reply.size, reply.data);
    assert_non_null(response);
    outcome->replies++;
    outcome->documents += response->documents;
    osr__digest_response__free_unpacked(response, NULL);
    return outcome->replies == outcome->stop_after;
}

static void on_end(void *context, const struct osr_client_failure *failure)
{
    struct outcome *outcome = context;
    outcome->ends++;
    if (failure != NULL) {
        outcome->err = failure->err;
    }
}

static int send_request(struct fixture *fixture, const char *method, struct osr_slice request,
                        struct outcome *outcome)
{
    const struct osr_client_handler handler = {on_reply, on_end, outcome};
    return osr_client_send(fixture->client, osr_method_by_name(method), request, UINT64_MAX,
                           &handler, &outcome->number, NULL);
}

static int send_digest(struct fixture *fixture, struct outcome *outcome)
{
    return send_request(fixture, "kb_digest", osr_slice("", 0), outcome);
}

/* Until at most `count` calls are under way. */
static int run(struct fixture *fixture, size_t count)
{
    uint64_t deadline_ms = osr_monotonic_ms() + TIMEOUT_MS;
    int code = OSR_OK;
    while (code == OSR_OK && osr_client_outstanding(fixture->client) > count) {
        assert_true(osr_monotonic_ms() < deadline_ms);
        code = osr_client_step(fixture->client, NULL, 0, deadline_ms, &fixture->err);
    }
    return code;
}

static int call_digest(struct fixture *fixture, struct outcome *outcome)
{
    int code = send_digest(fixture, outcome);
    return code == OSR_OK ? run(fixture, 0) : code;
}

static void reply_digest(struct frames_instance *instance, uint64_t request_id, uint64_t documents,
                         bool is_last)
{
    Osr__DigestResponse response = OSR__DIGEST_RESPONSE__INIT;
    response.documents = documents;
    frames_instance_reply(instance, request_id, OSR__FRAME__BODY_KB_DIGEST_REPLY, &response.base,
                          is_last);
}

/* ---- tests ---- */

static bool serve_three_replies(struct frames_instance *instance, const Osr__Frame *request)
{
    uint64_t id = request->request_id;
    reply_digest(instance, id + 1000, 100, true); /* nobody asked for it */
    for (uint64_t i = 1; i <= 3; i++) {
        reply_digest(instance, id, i, i == 3);
    }
    return true;
}

/* A call gets all of its replies, in either encoding, and another one can follow. */
static void call_gets_its_replies(void **state)
{
    (void)state;
    for (int codec = 0; codec < OSR_CODEC_COUNT; codec++) {
        struct fixture fixture;
        begin(&fixture, (enum osr_codec)codec, serve_three_replies);
        for (int round = 0; round < 2; round++) {
            struct outcome outcome = {0};
            assert_int_equal(call_digest(&fixture, &outcome), OSR_OK);
            assert_int_equal(outcome.replies, 3);
            assert_int_equal(outcome.documents, 6);
            assert_int_equal(outcome.ends, 1);
            assert_int_equal(outcome.err.code, OSR_OK);
        }
        end(&fixture);
    }
}

static bool serve_pairs_backwards(struct frames_instance *instance, const Osr__Frame *request)
{
    if (instance->held_id == 0) {
        instance->held_id = request->request_id;
        return true;
    }
    reply_digest(instance, request->request_id, 2, true);
    reply_digest(instance, instance->held_id, 1, true);
    instance->held_id = 0;
    return true;
}

/* Calls are under way side by side, and each reply finds its own, whatever the order. */
static void replies_find_their_calls(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, OSR_CODEC_JSON, serve_pairs_backwards);
    static struct outcome outcomes[OSR_CLIENT_OUTSTANDING_MAX];
    memset(outcomes, 0, sizeof(outcomes));
    for (size_t i = 0; i < OSR_CLIENT_OUTSTANDING_MAX; i++) {
        assert_int_equal(send_digest(&fixture, &outcomes[i]), OSR_OK);
    }
    struct outcome one_more = {0};
    assert_int_equal(send_digest(&fixture, &one_more), OSR_BUSY);
    assert_int_equal(run(&fixture, 10), OSR_OK);
    assert_int_equal(osr_client_outstanding(fixture.client), 10);
    assert_int_equal(run(&fixture, 0), OSR_OK);
    for (size_t i = 0; i < OSR_CLIENT_OUTSTANDING_MAX; i++) {
        assert_int_equal(outcomes[i].documents, i % 2 == 0 ? 1 : 2);
    }
    end(&fixture);
}

static bool serve_errors(struct frames_instance *instance, const Osr__Frame *request)
{
    frames_instance_reply_error(instance, request->request_id, OSR__CODE__NOT_FOUND);
    return true;
}

/* An error ends its call alone, with message and hint; the connection goes on. */
static void error_ends_one_call(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, OSR_CODEC_JSON, serve_errors);
    for (int round = 0; round < 2; round++) {
        struct outcome outcome = {0};
        assert_int_equal(call_digest(&fixture, &outcome), OSR_OK);
        assert_int_equal(outcome.ends, 1);
        assert_int_equal(outcome.err.code, OSR_NOT_FOUND);
        assert_string_equal(outcome.err.message, "as wanted");
        assert_string_equal(outcome.err.hint, "do that");
    }
    end(&fixture);
}

static bool serve_one_then_hang_up(struct frames_instance *instance, const Osr__Frame *request)
{
    if (instance->requests > 1) {
        return false;
    }
    reply_digest(instance, request->request_id, 1, true);
    return true;
}

/* A connection that breaks ends every call under way, and every later one. */
static void lost_connection_ends_all_calls(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, OSR_CODEC_JSON, serve_one_then_hang_up);
    struct outcome outcomes[3] = {0};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(send_digest(&fixture, &outcomes[i]), OSR_OK);
    }
    assert_int_equal(run(&fixture, 0), OSR_UNAVAILABLE);
    assert_int_equal(osr_client_outstanding(fixture.client), 0);
    assert_int_equal(outcomes[0].err.code, OSR_OK);
    assert_int_equal(outcomes[0].replies, 1);
    assert_int_equal(outcomes[1].err.code, OSR_UNAVAILABLE);
    assert_int_equal(outcomes[2].err.code, OSR_UNAVAILABLE);
    assert_false(osr_client_is_alive(fixture.client));
    assert_int_equal(send_digest(&fixture, &outcomes[0]), OSR_UNAVAILABLE);
    end(&fixture);
}

static bool serve_refusal(struct frames_instance *instance, const Osr__Frame *request)
{
    (void)request;
    frames_instance_reply_error(instance, 0, OSR__CODE__BUSY);
    return true;
}

/* An error that answers no call tells why the connection ends. */
static void error_without_a_call_is_why(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, OSR_CODEC_JSON, serve_refusal);
    struct outcome outcome = {0};
    assert_int_equal(call_digest(&fixture, &outcome), OSR_BUSY);
    assert_string_equal(fixture.err.message, "as wanted");
    assert_string_equal(outcome.err.message, "as wanted");
    end(&fixture);
}

static bool serve_noise(struct frames_instance *instance, const Osr__Frame *request)
{
    static const char noise[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    (void)request;
    frames_instance_send_bytes(instance, noise, sizeof(noise));
    return true;
}

/* What is no frame is refused, and does not hang the caller. */
static void noise_is_refused(void **state)
{
    (void)state;
    for (int codec = 0; codec < OSR_CODEC_COUNT; codec++) {
        struct fixture fixture;
        begin(&fixture, (enum osr_codec)codec, serve_noise);
        struct outcome outcome = {0};
        int code = call_digest(&fixture, &outcome);
        assert_true(code == OSR_MALFORMED || code == OSR_TOO_LARGE);
        end(&fixture);
    }
}

static bool serve_unknown_type(struct frames_instance *instance, const Osr__Frame *request)
{
    char text[64];
    int size = snprintf(text, sizeof(text), "{\"type\":\"NEWS\",\"request_id\":%u}\n",
                        (unsigned)request->request_id);
    frames_instance_send_bytes(instance, text, (size_t)size);
    return true;
}

static bool serve_another_reply(struct frames_instance *instance, const Osr__Frame *request)
{
    Osr__GetResponse response = OSR__GET_RESPONSE__INIT;
    frames_instance_reply(instance, request->request_id, OSR__FRAME__BODY_KB_GET_REPLY,
                          &response.base, true);
    return true;
}

/* An instance that is newer than the client, or confused, costs the call, not the connection. */
static void wrong_reply_ends_one_call(void **state)
{
    (void)state;
    static const struct {
        frames_serve *serve;
        enum osr_code code;
    } cases[] = {{serve_unknown_type, OSR_UNKNOWN_TYPE}, {serve_another_reply, OSR_INTERNAL}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture fixture;
        begin(&fixture, OSR_CODEC_JSON, cases[i].serve);
        for (int round = 0; round < 2; round++) {
            struct outcome outcome = {0};
            assert_int_equal(call_digest(&fixture, &outcome), OSR_OK);
            assert_int_equal(outcome.err.code, cases[i].code);
            assert_int_equal(outcome.replies, 0);
        }
        end(&fixture);
    }
}

/* Who has enough gets no further replies, and no end; so does who cancels. */
static void unwanted_call_gets_no_more(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, OSR_CODEC_JSON, serve_three_replies);
    struct outcome outcome = {.stop_after = 1}, cancelled = {0}, next = {0};
    assert_int_equal(send_digest(&fixture, &cancelled), OSR_OK);
    osr_client_cancel(fixture.client, cancelled.number);
    assert_int_equal(call_digest(&fixture, &outcome), OSR_OK);
    assert_int_equal(call_digest(&fixture, &next), OSR_OK);
    assert_int_equal(next.documents, 6);
    assert_int_equal(outcome.replies, 1);
    assert_int_equal(outcome.ends, 0);
    assert_int_equal(cancelled.replies + cancelled.ends, 0);
    end(&fixture);
}

static bool serve_ping(struct frames_instance *instance, const Osr__Frame *request)
{
    if (request->body_case == OSR__FRAME__BODY_PONG) {
        reply_digest(instance, instance->held_id, request->pong->nonce, true);
        return true;
    }
    Osr__Ping ping = OSR__PING__INIT;
    ping.nonce = 42;
    instance->held_id = request->request_id;
    frames_instance_reply(instance, 0, OSR__FRAME__BODY_PING, &ping.base, false);
    return true;
}

/* A client that waits answers heartbeats, or long waits would lose it the connection. */
static void ping_is_answered(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, OSR_CODEC_JSON, serve_ping);
    struct outcome outcome = {0};
    assert_int_equal(call_digest(&fixture, &outcome), OSR_OK);
    assert_int_equal(outcome.documents, 42);
    end(&fixture);
}

static bool serve_slowly(struct frames_instance *instance, const Osr__Frame *request)
{
    Osr__SearchResponse response = OSR__SEARCH_RESPONSE__INIT;
    if (instance->requests == 1) {
        usleep(50000);
    }
    frames_instance_reply(instance, request->request_id, OSR__FRAME__BODY_KB_SEARCH_REPLY,
                          &response.base, true);
    return true;
}

/* Requests that are larger than what the socket takes go out bit by bit, whole. */
static void large_requests_go_out_in_parts(void **state)
{
    (void)state;
    enum { TEXT_BYTES = 1 << 20, CALLS = 6 };
    struct fixture fixture;
    begin(&fixture, OSR_CODEC_PROTOBUF, serve_slowly);
    static char text[TEXT_BYTES + 1];
    memset(text, 'x', TEXT_BYTES);
    Osr__SearchRequest search = OSR__SEARCH_REQUEST__INIT;
    search.query = text;
    struct osr_buffer request = {0};
    osr_message_encode(OSR_CODEC_PROTOBUF, &search.base, &request);
    struct outcome outcomes[CALLS] = {0};
    for (size_t i = 0; i < CALLS; i++) {
        assert_int_equal(
            send_request(&fixture, "kb_search", osr_buffer_slice(&request), &outcomes[i]), OSR_OK);
    }
    osr_buffer_done(&request);
    assert_int_equal(run(&fixture, 0), OSR_OK);
    for (size_t i = 0; i < CALLS; i++) {
        assert_int_equal(outcomes[i].replies, 1);
    }
    end(&fixture);
}

static bool serve_silence(struct frames_instance *instance, const Osr__Frame *request)
{
    (void)instance;
    (void)request;
    return true;
}

/* A step ends when a descriptor of others is ready, and says so, or when its time is over. */
static void step_waits_for_others_too(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, OSR_CODEC_JSON, serve_silence);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct outcome outcome = {0};
    assert_int_equal(send_digest(&fixture, &outcome), OSR_OK);
    struct pollfd other = {.fd = ends[0], .events = POLLIN};
    uint64_t soon_ms = osr_monotonic_ms() + 20;
    assert_int_equal(osr_client_step(fixture.client, &other, 1, soon_ms, NULL), OSR_OK);
    assert_int_equal(other.revents, 0);
    assert_true(osr_monotonic_ms() >= soon_ms);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(osr_client_step(fixture.client, &other, 1, UINT64_MAX, NULL), OSR_OK);
    assert_int_equal(other.revents, POLLIN);
    close(ends[0]);
    close(ends[1]);
    end(&fixture);
}

/* Where nobody listens there is an error at once, with a hint. */
static void nobody_there_is_unavailable(void **state)
{
    (void)state;
    struct osr_target target;
    struct osr_client *client = NULL;
    struct osr_err err;
    assert_int_equal(osr_target_url("unix:///tmp/osiris-no-such-socket", &target, NULL), OSR_OK);
    assert_int_equal(osr_client_open(&target, TIMEOUT_MS, &client, &err), OSR_UNAVAILABLE);
    assert_null(client);
    assert_string_not_equal(err.hint, "");
    osr_client_close(client);
    osr_target_done(&target);
}

/* What carries datagrams or messages is a way between instances, and no client's. */
static void only_streams_are_called(void **state)
{
    (void)state;
    static const char *const others[] = {"udp://127.0.0.1:7400", "zmq://127.0.0.1:7401",
                                         "mqtts://broker/osiris", "amqp://broker/osiris"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct osr_target target;
        struct osr_err err;
        assert_int_equal(osr_target_url(others[i], &target, &err), OSR_INVALID_ARGUMENT);
        assert_string_not_equal(err.hint, "");
    }
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
        cmocka_unit_test(wrong_reply_ends_one_call),
        cmocka_unit_test(unwanted_call_gets_no_more),
        cmocka_unit_test(ping_is_answered),
        cmocka_unit_test(large_requests_go_out_in_parts),
        cmocka_unit_test(step_waits_for_others_too),
        cmocka_unit_test(nobody_there_is_unavailable),
        cmocka_unit_test(only_streams_are_called),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
