/* bench_osiris.c -- drives a leader and looks at its follower.
 *
 * usage: bench_osiris rate SECONDS WINDOW LEADER_URL FOLLOWER_URL
 *        bench_osiris latency SECONDS LEADER_URL FOLLOWER_URL
 *
 * rate: keeps WINDOW puts outstanding for SECONDS, then waits until all are visible at the
 * follower. latency: one put at a time; from sending it until kb_get finds it at the follower. */
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "client/client.h"

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
    struct osr_url url;
    struct osr_client *client;
    struct osr_err err;
    check(osr_url_parse(text, &url, &err), &err);
    check(osr_client_connect(&url, 5000, &client, &err), &err);
    return client;
}

/* A put of 256 bytes: a JSON string of 254 characters. */
struct put {
    char data[BENCH_ITEM_BYTES];
    Osr__Json json;
    Osr__Document document;
    Osr__PutRequest request;
    Osr__Frame frame;
};

static void put_init(struct put *put)
{
    memset(put->data, 'x', sizeof(put->data));
    put->data[0] = put->data[sizeof(put->data) - 1] = '"';
    osr__json__init(&put->json);
    put->json.text.data = (uint8_t *)put->data;
    put->json.text.len = sizeof(put->data);
    osr__document__init(&put->document);
    put->document.data = &put->json;
    osr__put_request__init(&put->request);
    put->request.document = &put->document;
    osr__frame__init(&put->frame);
    put->frame.body_case = OSR__FRAME__BODY_KB_PUT;
    put->frame.kb_put = &put->request;
}

struct written {
    char id[64];
    uint64_t sequence;
};

static int on_written(void *context, const Osr__Frame *frame, const struct osr_err *err)
{
    struct written *written = context;
    if (err != NULL) {
        check(err->code, err);
    }
    written->sequence = frame->kb_put_reply->sequence;
    snprintf(written->id, sizeof(written->id), "%s", frame->kb_put_reply->id);
    return 0;
}

/* The furthest that the follower has any feed committed. */
static int on_feeds(void *context, const Osr__Frame *frame, const struct osr_err *err)
{
    uint64_t *sequence = context;
    if (err != NULL) {
        check(err->code, err);
    }
    for (size_t i = 0; i < frame->feeds_reply->n_feeds; i++) {
        if (frame->feeds_reply->feeds[i]->sequence > *sequence) {
            *sequence = frame->feeds_reply->feeds[i]->sequence;
        }
    }
    return 0;
}

static uint64_t follower_sequence(struct osr_client *follower)
{
    Osr__FeedsRequest request = OSR__FEEDS_REQUEST__INIT;
    Osr__Frame frame = OSR__FRAME__INIT;
    uint64_t sequence = 0;
    struct osr_err err;
    frame.body_case = OSR__FRAME__BODY_FEEDS;
    frame.feeds = &request;
    check(osr_client_call(follower, &frame, on_feeds, &sequence, CALL_TIMEOUT_MS, &err), &err);
    return sequence;
}

static void measure_rate(double seconds, size_t window, struct osr_client *leader,
                         struct osr_client *follower)
{
    struct put put;
    struct written written = {0};
    struct osr_err err;
    uint64_t items = 0;
    uint64_t began = bench_now_ns();

    put_init(&put);
    while (bench_seconds_since(began) < seconds) {
        while (osr_client_outstanding(leader) < window) {
            check(osr_client_send(leader, &put.frame, on_written, &written, &err), &err);
            items++;
        }
        check(osr_client_run(leader, window - window / 4, CALL_TIMEOUT_MS, &err), &err);
    }
    check(osr_client_run(leader, 0, CALL_TIMEOUT_MS, &err), &err);
    double leader_s = bench_seconds_since(began);
    while (follower_sequence(follower) < written.sequence) {
        usleep(200);
    }
    bench_print_rate(items, leader_s, bench_seconds_since(began));
}

static int on_found(void *context, const Osr__Frame *frame, const struct osr_err *err)
{
    bool *found = context;
    if (err != NULL && err->code != OSR_NOT_FOUND) {
        check(err->code, err);
    }
    *found = frame != NULL;
    return 0;
}

static bool is_visible(struct osr_client *follower, char *id)
{
    Osr__GetRequest request = OSR__GET_REQUEST__INIT;
    Osr__Frame frame = OSR__FRAME__INIT;
    bool found = false;
    struct osr_err err;
    request.id = id;
    frame.body_case = OSR__FRAME__BODY_KB_GET;
    frame.kb_get = &request;
    int code = osr_client_call(follower, &frame, on_found, &found, CALL_TIMEOUT_MS, &err);
    if (code != OSR_NOT_FOUND) {
        check(code, &err);
    }
    return found;
}

static void measure_latency(double seconds, struct osr_client *leader, struct osr_client *follower)
{
    static uint64_t samples[BENCH_SAMPLES_MAX];
    size_t count = 0;
    struct put put;
    struct written written = {0};
    struct osr_err err;
    uint64_t began = bench_now_ns();

    put_init(&put);
    while (count < BENCH_SAMPLES_MAX && bench_seconds_since(began) < seconds) {
        uint64_t sent = bench_now_ns();
        check(osr_client_call(leader, &put.frame, on_written, &written, CALL_TIMEOUT_MS, &err),
              &err);
        while (!is_visible(follower, written.id)) {
        }
        samples[count++] = bench_now_ns() - sent;
        usleep(BENCH_PAUSE_US);
    }
    bench_print_latency(samples, count);
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
