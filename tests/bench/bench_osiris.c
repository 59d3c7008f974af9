/* bench_osiris.c -- drives a leader and looks at its follower.
 *
 * usage: bench_osiris rate SECONDS WINDOW LEADER_URL FOLLOWER_URL
 *        bench_osiris latency SECONDS LEADER_URL FOLLOWER_URL
 *
 * rate: keeps WINDOW puts outstanding for SECONDS, then waits until all are visible at the
 * follower. latency: one put at a time; from sending it until kb_get finds it at the follower. */
#include <string.h>
#include <unistd.h>

#include "adapter/clock.h"
#include "bench.h"
#include "client/client.h"
#include "wire/codec.h"

enum { CALL_TIMEOUT_MS = 60000 };

static void check(int code, const struct osr_err *err)
{
    if (code != 0) {
        fprintf(stderr, "bench_osiris: %s: %s\n", osr_code_info(err->code)->name, err->message);
        exit(1);
    }
}

static struct osr_client *dial(const char *text)
{
    struct osr_target *target = osr_alloc(sizeof(*target)); /* lives as long as the process */
    struct osr_client *client;
    struct osr_err err;
    check(osr_target_url(text, target, &err), &err);
    check(osr_client_open(target, 5000, &client, &err), &err);
    return client;
}

/* Until at most `count` calls are under way. */
static void run(struct osr_client *client, size_t count)
{
    uint64_t deadline_ms = osr_monotonic_ms() + CALL_TIMEOUT_MS;
    struct osr_err err;
    while (osr_client_outstanding(client) > count) {
        check(osr_client_step(client, NULL, 0, deadline_ms, &err), &err);
        if (osr_monotonic_ms() >= deadline_ms) {
            check(osr_client_err_late(&err), &err);
        }
    }
}

/* What is asked for, encoded, and what came. */
struct call {
    const struct osr_method *method;
    struct osr_buffer request;
    ProtobufCMessage *reply; /* the last one */
    bool is_found;
};

static void call_init(struct call *call, const char *method, const ProtobufCMessage *request)
{
    *call = (struct call){.method = osr_method_by_name(method)};
    osr_message_encode(OSR_CODEC_PROTOBUF, request, &call->request);
}

static void call_done(struct call *call)
{
    if (call->reply != NULL) {
        protobuf_c_message_free_unpacked(call->reply, NULL);
    }
    osr_buffer_done(&call->request);
}

static int on_reply(void *context, struct osr_slice reply)
{
    struct call *call = context;
    if (call->reply != NULL) {
        protobuf_c_message_free_unpacked(call->reply, NULL);
    }
    call->reply =
        protobuf_c_message_unpack(call->method->reply_descriptor, NULL, reply.size, reply.data);
    return 0;
}

static void on_end(void *context, const struct osr_client_failure *failure)
{
    struct call *call = context;
    call->is_found = failure == NULL;
    if (failure != NULL && failure->err.code != OSR_NOT_FOUND) {
        check(failure->err.code, &failure->err);
    }
}

static void begin(struct osr_client *client, struct call *call)
{
    const struct osr_client_handler handler = {on_reply, on_end, call};
    uint64_t number;
    struct osr_err err;
    check(osr_client_send(client, call->method, osr_buffer_slice(&call->request), UINT64_MAX,
                          &handler, &number, &err),
          &err);
}

static void call_and_wait(struct osr_client *client, struct call *call)
{
    begin(client, call);
    run(client, 0);
}

/* A put of 256 bytes: a JSON string of 254 characters. */
static void put_init(struct call *put)
{
    char data[BENCH_ITEM_BYTES];
    Osr__Json json = OSR__JSON__INIT;
    Osr__Document document = OSR__DOCUMENT__INIT;
    Osr__PutRequest request = OSR__PUT_REQUEST__INIT;
    memset(data, 'x', sizeof(data));
    data[0] = data[sizeof(data) - 1] = '"';
    json.text.data = (uint8_t *)data;
    json.text.len = sizeof(data);
    document.data = &json;
    request.document = &document;
    call_init(put, "kb_put", &request.base);
}

/* The furthest that the follower has any feed committed. */
static uint64_t follower_sequence(struct osr_client *follower)
{
    Osr__FeedsRequest request = OSR__FEEDS_REQUEST__INIT;
    uint64_t sequence = 0;
    struct call call;
    call_init(&call, "feeds", &request.base);
    call_and_wait(follower, &call);
    const Osr__FeedsResponse *response = (const Osr__FeedsResponse *)call.reply;
    for (size_t i = 0; i < response->n_feeds; i++) {
        if (response->feeds[i]->sequence > sequence) {
            sequence = response->feeds[i]->sequence;
        }
    }
    call_done(&call);
    return sequence;
}

static void measure_rate(double seconds, size_t window, struct osr_client *leader,
                         struct osr_client *follower)
{
    struct call put;
    uint64_t items = 0;
    uint64_t began = bench_now_ns();

    put_init(&put);
    while (bench_seconds_since(began) < seconds) {
        while (osr_client_outstanding(leader) < window) {
            begin(leader, &put);
            items++;
        }
        run(leader, window - window / 4);
    }
    run(leader, 0);
    double leader_s = bench_seconds_since(began);
    uint64_t sequence = ((const Osr__PutResponse *)put.reply)->sequence;
    while (follower_sequence(follower) < sequence) {
        usleep(200);
    }
    bench_print_rate(items, leader_s, bench_seconds_since(began));
    call_done(&put);
}

static bool is_visible(struct osr_client *follower, char *id)
{
    Osr__GetRequest request = OSR__GET_REQUEST__INIT;
    struct call call;
    request.id = id;
    call_init(&call, "kb_get", &request.base);
    call_and_wait(follower, &call);
    bool is_found = call.is_found;
    call_done(&call);
    return is_found;
}

static void measure_latency(double seconds, struct osr_client *leader, struct osr_client *follower)
{
    static uint64_t samples[BENCH_SAMPLES_MAX];
    size_t count = 0;
    struct call put;
    uint64_t began = bench_now_ns();

    put_init(&put);
    while (count < BENCH_SAMPLES_MAX && bench_seconds_since(began) < seconds) {
        uint64_t sent = bench_now_ns();
        call_and_wait(leader, &put);
        while (!is_visible(follower, ((const Osr__PutResponse *)put.reply)->id)) {
        }
        samples[count++] = bench_now_ns() - sent;
        usleep(BENCH_PAUSE_US);
    }
    bench_print_latency(samples, count);
    call_done(&put);
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "rate") == 0) {
        measure_rate(atof(argv[2]), (size_t)atol(argv[3]), dial(argv[4]), dial(argv[5]));
    } else if (argc == 5 && strcmp(argv[1], "latency") == 0) {
        measure_latency(atof(argv[2]), dial(argv[3]), dial(argv[4]));
    } else {
        fprintf(stderr, "usage: bench_osiris rate SECONDS WINDOW LEADER FOLLOWER\n"
                        "       bench_osiris latency SECONDS LEADER FOLLOWER\n");
        return 64;
    }
    return 0;
}
