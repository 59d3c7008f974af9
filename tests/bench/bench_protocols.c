/* bench_protocols.c -- asks for documents in one of the protocols that tools/bench protocols
 * compares, as fast as a server answers.
 *
 * usage: bench_protocols grpc|json|protobuf|http SECONDS CONNECTIONS OUTSTANDING PORT
 *
 * Keeps OUTSTANDING calls under way on each of CONNECTIONS; http can have but one. Prints calls a
 * second and bytes a call without the warm-up, calls in all with it, and, with one outstanding,
 * percentiles of the time from asking until the answer is there. */
#include <inttypes.h>
#include <llhttp.h>

#include "bench.h"
#include "bench_documents.h"
#include "bench_loop.h"
#include "wire/grpc.h"
#include "wire/stream.h"

enum {
    WARM_UP_MS = 500,
    CONNECT_MS = 5000,
    PRODUCE_BYTES = 256 << 10,
    CONNECTIONS_MAX = 4096,
    DIALS_MAX = 32, /* at a time: a transport looks up no more than so many names */
    MESSAGE_BYTES_MAX = 1 << 20,
};

/* One connection, with the state of the protocol that is spoken on it. */
struct link {
    struct osr_connection *connection;
    struct osr_buffer output;
    size_t outstanding;
    uint64_t asked_ns; /* when the latest call was */
    struct osr_grpc *grpc;
    struct osr_stream stream;
    llhttp_t http;
    size_t body_bytes; /* of the HTTP answer that is coming */
};

struct protocol {
    const char *name;
    void (*begin)(struct link *link);
    void (*ask)(struct link *link, char *id);
    /* Tells of each whole answer with on_answer. */
    void (*receive)(struct link *link, struct osr_slice bytes);
};

struct count {
    uint64_t calls;
    uint64_t bytes_sent;
    uint64_t bytes_received;
};

/* One run a process: all links share these. */
static uv_loop_t *loop;
static const struct protocol *protocol;
static struct osr_url url;
static size_t connections_wanted, connections_dialled;
static size_t outstanding_wanted;
static struct count now, at_warm_up_end;
static uint64_t warm_up_end_ns;
static unsigned last_document;
static uint64_t samples[BENCH_SAMPLES_MAX];
static size_t sample_count;

static void fail(const char *what)
{
    fprintf(stderr, "bench_protocols: %s\n", what);
    exit(1);
}

/* Whatever is shorter than the document cannot hold it: an error. */
static void on_answer(struct link *link, size_t size)
{
    if (size < BENCH_ITEM_BYTES) {
        fail("an answer without the document");
    }
    now.calls++;
    link->outstanding--;
    if (outstanding_wanted == 1 && warm_up_end_ns != 0 && sample_count < BENCH_SAMPLES_MAX) {
        samples[sample_count++] = bench_now_ns() - link->asked_ns;
    }
}

/* ---- gRPC ---- */

static void on_message(void *context, struct osr_grpc_call *call, struct osr_slice message)
{
    (void)call;
    on_answer(context, message.size);
}

static void on_end(void *context, struct osr_grpc_call *call, const struct osr_grpc_end *end)
{
    (void)context;
    (void)call;
    if (end->code != OSR_GRPC_OK) {
        fail("a call has failed");
    }
}

static void begin_grpc(struct link *link)
{
    const struct osr_grpc_options options = {.message_bytes_max = MESSAGE_BYTES_MAX};
    const struct osr_grpc_handler handler = {
        .on_message = on_message, .on_end = on_end, .context = link};
    link->grpc = osr_grpc_create(&options, &handler, uv_now(loop));
}

static void ask_grpc(struct link *link, char *id)
{
    static const char path[] = "/osiris.v1.Knowledge/Get";
    const struct osr_grpc_head head = {.path = osr_slice(path, sizeof(path) - 1),
                                       .authority = osr_slice_text("localhost"),
                                       .deadline_ms = UINT64_MAX};
    Osr__GetRequest request = OSR__GET_REQUEST__INIT;
    struct osr_grpc_call *call;
    struct osr_err err;
    if (osr_grpc_start(link->grpc, &head, NULL, &call, &err) != 0) {
        fail(err.message);
    }
    request.id = id;
    osr_message_encode(OSR_CODEC_PROTOBUF, &request.base, osr_grpc_message_begin(call));
    osr_grpc_message_end(call);
    osr_grpc_half_close(call);
}

static void receive_grpc(struct link *link, struct osr_slice bytes)
{
    struct osr_err err;
    if (osr_grpc_receive(link->grpc, bytes, uv_now(loop), &err) != 0) {
        fail(err.message);
    }
}

/* ---- frames ---- */

static void begin_json(struct link *link)
{
    osr_stream_init(&link->stream, OSR_CODEC_JSON, true, 0);
}

static void begin_protobuf(struct link *link)
{
    osr_stream_init(&link->stream, OSR_CODEC_PROTOBUF, true, 0);
}

static void ask_frame(struct link *link, char *id)
{
    static uint64_t last_request;
    Osr__GetRequest request = OSR__GET_REQUEST__INIT;
    Osr__Frame frame = OSR__FRAME__INIT;
    request.id = id;
    frame.request_id = ++last_request;
    frame.body_case = OSR__FRAME__BODY_KB_GET;
    frame.kb_get = &request;
    osr_stream_write(link->stream.codec, &frame, &link->output);
}

static void receive_frames(struct link *link, struct osr_slice bytes)
{
    struct osr_slice frame;
    struct osr_err err;
    osr_stream_add(&link->stream, bytes.data, bytes.size);
    do {
        if (osr_stream_next(&link->stream, &frame, &err) != 0) {
            fail(err.message);
        }
        if (frame.size > 0) {
            on_answer(link, frame.size);
        }
    } while (frame.size > 0);
}

/* ---- HTTP/1.1 ---- */

static int on_body(llhttp_t *http, const char *data, size_t size)
{
    struct link *link = http->data;
    (void)data;
    link->body_bytes += size;
    return 0;
}

static int on_complete(llhttp_t *http)
{
    struct link *link = http->data;
    if (http->status_code != 200) {
        fail("an HTTP status other than 200");
    }
    on_answer(link, link->body_bytes);
    link->body_bytes = 0;
    return 0;
}

static void begin_http(struct link *link)
{
    static llhttp_settings_t settings;
    llhttp_settings_init(&settings);
    settings.on_body = on_body;
    settings.on_message_complete = on_complete;
    llhttp_init(&link->http, HTTP_RESPONSE, &settings);
    link->http.data = link;
}

/* With the headers that no client leaves out. */
static void ask_http(struct link *link, char *id)
{
    osr_buffer_add_format(&link->output,
                          "GET " BENCH_HTTP_PATH "%s HTTP/1.1\r\nHost: localhost\r\n"
                          "User-Agent: bench\r\nAccept: application/json\r\n\r\n",
                          id);
}

static void receive_http(struct link *link, struct osr_slice bytes)
{
    if (llhttp_execute(&link->http, (const char *)bytes.data, bytes.size) != HPE_OK) {
        fail(llhttp_get_error_reason(&link->http));
    }
}

static const struct protocol protocols[] = {
    {"grpc", begin_grpc, ask_grpc, receive_grpc},
    {"json", begin_json, ask_frame, receive_frames},
    {"protobuf", begin_protobuf, ask_frame, receive_frames},
    {"http", begin_http, ask_http, receive_http},
};

/* ---- connections ---- */

static void write_out(struct link *link)
{
    if (link->grpc != NULL) {
        while (osr_grpc_produce(link->grpc, &link->output, PRODUCE_BYTES)) {
        }
    }
    if (link->output.size > 0) {
        now.bytes_sent += link->output.size;
        osr_connection_write(link->connection, &link->output);
        osr_connection_flush(link->connection);
    }
}

static void fill(struct link *link)
{
    while (link->outstanding < outstanding_wanted) {
        char id[BENCH_ID_CHARS + 1];
        bench_document_id(last_document++ % BENCH_DOCUMENTS, id);
        link->outstanding++;
        link->asked_ns = bench_now_ns();
        protocol->ask(link, id);
    }
    write_out(link);
}

static void on_read(void *context, struct osr_connection *connection, size_t size)
{
    struct link *link = context;
    (void)connection;
    now.bytes_received += size;
    protocol->receive(link, osr_slice(bench_room, size));
    fill(link);
}

static void on_close(void *context, struct osr_connection *connection, const struct osr_err *err)
{
    (void)context;
    (void)connection;
    fail(err->code == OSR_OK ? "the server has closed a connection" : err->message);
}

static void dial_another(void);

static void on_open(void *context, struct osr_connection *connection)
{
    osr_connection_read(connection, true);
    fill(context);
    dial_another();
}

/* Unless there are enough. */
static void dial_another(void)
{
    static const struct osr_connection_handler handler = {
        .on_open = on_open, .on_room = bench_give_room, .on_read = on_read, .on_close = on_close};
    struct osr_err err;
    if (connections_dialled == connections_wanted) {
        return;
    }
    struct link *link = osr_alloc(sizeof(*link));
    connections_dialled++;
    protocol->begin(link);
    if (osr_transport_dial(loop, &url, NULL, CONNECT_MS, &handler, link, &link->connection, &err) !=
        0) {
        fail(err.message);
    }
}

/* ---- the run ---- */

static void on_warm_up_end(uv_timer_t *timer)
{
    (void)timer;
    at_warm_up_end = now;
    warm_up_end_ns = bench_now_ns();
}

/* The process goes with all that it holds. */
static void on_run_end(uv_timer_t *timer)
{
    uint64_t calls = now.calls - at_warm_up_end.calls;
    (void)timer;
    if (calls == 0) {
        fail("no calls");
    }
    printf("calls=%" PRIu64 " calls_s=%.0f request_bytes=%.1f reply_bytes=%.1f\n", now.calls,
           (double)calls / bench_seconds_since(warm_up_end_ns),
           (double)(now.bytes_sent - at_warm_up_end.bytes_sent) / (double)calls,
           (double)(now.bytes_received - at_warm_up_end.bytes_received) / (double)calls);
    if (outstanding_wanted == 1) {
        bench_print_latency(samples, sample_count);
    }
    exit(0);
}

static const struct protocol *find_protocol(const char *name)
{
    for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
        if (strcmp(protocols[i].name, name) == 0) {
            return &protocols[i];
        }
    }
    fail("no such protocol");
    return NULL;
}

int main(int argc, char **argv)
{
    struct osr_err err;
    uv_timer_t warm_up, run;
    if (argc != 6) {
        fprintf(stderr, "usage: bench_protocols grpc|json|protobuf|http SECONDS CONNECTIONS "
                        "OUTSTANDING PORT\n");
        return 64;
    }
    loop = uv_default_loop();
    protocol = find_protocol(argv[1]);
    uint64_t run_ms = (uint64_t)(atof(argv[2]) * 1000);
    connections_wanted = (size_t)atol(argv[3]);
    outstanding_wanted = (size_t)atol(argv[4]);
    if (connections_wanted == 0 || connections_wanted > CONNECTIONS_MAX ||
        outstanding_wanted == 0 ||
        (strcmp(protocol->name, "http") == 0 && outstanding_wanted > 1)) {
        fail("so many calls cannot be outstanding");
    }
    char *text = osr_format("tcp://127.0.0.1:%s", argv[5]);
    if (osr_url_parse(text, &url, &err) != 0) {
        fail(err.message);
    }
    for (size_t i = 0; i < DIALS_MAX; i++) {
        dial_another();
    }
    uv_timer_init(loop, &warm_up);
    uv_timer_init(loop, &run);
    uv_timer_start(&warm_up, on_warm_up_end, WARM_UP_MS, 0);
    uv_timer_start(&run, on_run_end, WARM_UP_MS + run_ms, 0);
    return uv_run(loop, UV_RUN_DEFAULT);
}
