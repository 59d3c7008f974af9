/* HTTP/2 and gRPC: whatever comes, each call ends once, what comes out is whole frames, and the
 * memory that a peer can make us hold goes back to nothing.
 *
 * The input's first byte says which side is tested and how; the second seeds what the handlers do.
 * The rest is bytes as they come, or a list of frames in short form: so that most of them get past
 * the checks of lengths and header blocks. */
#include "fuzz.h"

#include "base/random.h"
#include "lib/http2_frames.h"
#include "wire/grpc.h"

enum {
    MESSAGE_BYTES_MAX = 4096,
    MEMORY_BYTES_MAX = 1 << 20,
    OUTPUT_BYTES_MAX = 4096,
    CALLS_STARTED = 3, /* by a client */
};

/* Bits of the first byte. */
enum {
    AS_CLIENT = 1,
    WITH_PREFACE = 2,
    IN_SHORT_FORM = 4,
    PIECES_SHIFT = 3,
};

struct fuzzed {
    struct osr_grpc *grpc;
    struct osr_random random;
    struct osr_buffer output;
    uint64_t now_ms;
    size_t begun;
    size_t ended;
};

static bool chance(struct fuzzed *fuzzed, unsigned one_in)
{
    return osr_random_below(&fuzzed->random, one_in) == 0;
}

static void send_something(struct fuzzed *fuzzed, struct osr_grpc_call *call)
{
    size_t size = osr_random_below(&fuzzed->random, 3000);
    struct osr_buffer *message = osr_grpc_message_begin(call);
    memset(osr_buffer_reserve(message, size), 'm', size);
    message->size += size;
    osr_grpc_message_end(call);
}

static void end_somehow(struct fuzzed *fuzzed, struct osr_grpc_call *call, bool is_client)
{
    static const struct osr_grpc_metadata metadata = {{(const uint8_t *)"x-bin", 5},
                                                      {(const uint8_t *)"\0\1", 2}};
    uint64_t any = osr_random_below(&fuzzed->random, OSR_GRPC_CODE_COUNT);
    enum osr_grpc_code code = (enum osr_grpc_code)any;
    if (chance(fuzzed, 3)) {
        osr_grpc_cancel(call, code, "cancelled");
    } else if (is_client) {
        osr_grpc_half_close(call);
    } else {
        struct osr_grpc_end end = {.code = code,
                                   .message = osr_slice_text("words"),
                                   .details = osr_slice("d", 1),
                                   .metadata = &metadata,
                                   .metadata_count = 1};
        osr_grpc_finish(call, &end);
    }
}

/* What a handler may do, whenever it is called. */
static void act(struct fuzzed *fuzzed, struct osr_grpc_call *call)
{
    bool is_client = osr_grpc_call_user(call) == fuzzed;
    osr_grpc_hold(call, chance(fuzzed, 4));
    if (chance(fuzzed, 2) && !osr_grpc_is_full(call)) {
        send_something(fuzzed, call);
    }
    if (chance(fuzzed, 4)) {
        end_somehow(fuzzed, call, is_client);
    }
    if (chance(fuzzed, 200)) {
        osr_grpc_shut(fuzzed->grpc, OSR_GRPC_INTERNAL, "enough");
    }
    if (chance(fuzzed, 50)) {
        osr_grpc_drain(fuzzed->grpc, fuzzed->now_ms);
    }
}

static void on_call(void *context, struct osr_grpc_call *call, const struct osr_grpc_head *head)
{
    struct fuzzed *fuzzed = context;
    MUST(head->path.size > 0 && head->path.size <= OSR_GRPC_PATH_BYTES_MAX);
    MUST(head->metadata_count <= OSR_GRPC_METADATA_MAX);
    fuzzed->begun++;
    act(fuzzed, call);
}

static void on_headers(void *context, struct osr_grpc_call *call,
                       const struct osr_grpc_metadata *metadata, size_t count)
{
    (void)metadata;
    MUST(count <= OSR_GRPC_METADATA_MAX);
    act(context, call);
}

static void on_message(void *context, struct osr_grpc_call *call, struct osr_slice message)
{
    MUST(message.size <= MESSAGE_BYTES_MAX);
    act(context, call);
}

static void on_half_close(void *context, struct osr_grpc_call *call)
{
    act(context, call);
}

static void on_room(void *context, struct osr_grpc_call *call)
{
    MUST(!osr_grpc_is_full(call));
    act(context, call);
}

static void on_end(void *context, struct osr_grpc_call *call, const struct osr_grpc_end *end)
{
    struct fuzzed *fuzzed = context;
    (void)call;
    MUST(end->code >= OSR_GRPC_OK && end->code < OSR_GRPC_CODE_COUNT);
    fuzzed->ended++;
    MUST(fuzzed->ended <= fuzzed->begun);
}

/* Takes what is to be written: whole frames, after the client's magic. */
static void take_output(struct fuzzed *fuzzed)
{
    struct osr_slice bytes;
    struct http2_frame frame;
    fuzzed->output.size = 0;
    if (!osr_grpc_produce(fuzzed->grpc, &fuzzed->output, OUTPUT_BYTES_MAX)) {
        return;
    }
    enum { MAGIC_BYTES = 24 };
    bytes = osr_buffer_slice(&fuzzed->output);
    if (bytes.data[0] == 'P') {
        bytes = osr_slice(bytes.data + MAGIC_BYTES, bytes.size - MAGIC_BYTES);
    }
    while (http2_next_frame(&bytes, &frame)) {
    }
    MUST(bytes.size == 0);
}

static void give(struct fuzzed *fuzzed, struct osr_slice bytes, size_t piece)
{
    int code = 0;
    while (bytes.size > 0 && code == 0) {
        size_t size = bytes.size < piece ? bytes.size : piece;
        code = osr_grpc_receive(fuzzed->grpc, osr_slice(bytes.data, size), fuzzed->now_ms, NULL);
        bytes = osr_slice(bytes.data + size, bytes.size - size);
        if (chance(fuzzed, 2)) {
            take_output(fuzzed);
        }
        if (chance(fuzzed, 8)) {
            fuzzed->now_ms += osr_random_below(&fuzzed->random, 2000);
            osr_grpc_tick(fuzzed->grpc, fuzzed->now_ms);
        }
    }
}

static void start_calls(struct fuzzed *fuzzed)
{
    for (int i = 0; i < CALLS_STARTED; i++) {
        struct osr_grpc_call *call = NULL;
        struct osr_grpc_head head = {.path = osr_slice_text("/a/b"),
                                     .deadline_ms = i == 0 ? fuzzed->now_ms + 5000 : UINT64_MAX};
        if (osr_grpc_start(fuzzed->grpc, &head, fuzzed, &call, NULL) == 0) {
            fuzzed->begun++;
            act(fuzzed, call);
        }
    }
}

/* Fields that a header block in short form names by a byte each. */
static const char *const known_fields[][2] = {
    {":method", "POST"},
    {":scheme", "http"},
    {":path", "/test.Echo/Call"},
    {":authority", "test"},
    {"content-type", "application/grpc"},
    {"te", "trailers"},
    {":status", "200"},
    {"grpc-status", "0"},
    {"grpc-status", "7"},
    {"grpc-message", "a%20b%"},
    {"grpc-timeout", "1S"},
    {"grpc-timeout", "9999999999H"},
    {"grpc-encoding", "gzip"},
    {"grpc-encoding", "snappy"},
    {"grpc-accept-encoding", "identity, gzip"},
    {"x-text", "value"},
    {"x-data-bin", "AAECAw,BA=="},
    {"x-data-bin", "?"},
    {"grpc-status-details-bin", "CAU"},
    {"content-length", "5"},
    {"X-Upper", "x"},
    {":status", "103"},
    {":method", "GET"},
    {"connection", "close"},
};

static void add_header_block(struct osr_buffer *frames, unsigned flags, uint32_t stream_id,
                             struct osr_slice names)
{
    enum { KNOWN = sizeof(known_fields) / sizeof(known_fields[0]) };
    struct osr_buffer block = {0};
    if (names.size == 0) {
        http2_add_fields(&block, http2_grpc_request);
    }
    for (size_t i = 0; i < names.size; i++) {
        const char *const *field = known_fields[names.data[i] % KNOWN];
        http2_add_field(&block, field[0], osr_slice_text(field[1]));
    }
    http2_add_frame(frames, HTTP2_HEADERS, flags | HTTP2_END_HEADERS, stream_id,
                    osr_buffer_slice(&block));
    osr_buffer_done(&block);
}

/* A frame in short form: type, flags, stream, length (a byte each), payload. */
static void expand(struct osr_slice input, struct osr_buffer *frames)
{
    enum { SHORT_HEADER_BYTES = 4 };
    while (input.size >= SHORT_HEADER_BYTES) {
        const uint8_t *at = input.data;
        size_t size =
            at[3] < input.size - SHORT_HEADER_BYTES ? at[3] : input.size - SHORT_HEADER_BYTES;
        struct osr_slice payload = osr_slice(at + SHORT_HEADER_BYTES, size);
        if (at[0] == HTTP2_HEADERS) {
            add_header_block(frames, at[1], at[2], payload);
        } else {
            http2_add_frame(frames, at[0], at[1], at[2], payload);
        }
        input = osr_slice(payload.data + size, input.size - SHORT_HEADER_BYTES - size);
    }
}

static void add_preface(struct osr_buffer *bytes, bool is_client)
{
    if (!is_client) {
        http2_add_magic(bytes);
    }
    http2_add_frame(bytes, HTTP2_SETTINGS, 0, 0, osr_slice(NULL, 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    unsigned mode = data[0];
    bool is_client = (mode & AS_CLIENT) != 0;
    struct fuzzed fuzzed = {.now_ms = 1000};
    struct osr_grpc_budget budget = {.bytes_max = MEMORY_BYTES_MAX};
    struct osr_grpc_options options = {.is_server = !is_client,
                                       .message_bytes_max = MESSAGE_BYTES_MAX,
                                       .compresses = true,
                                       .budget = &budget};
    struct osr_grpc_handler handler = {.on_call = on_call,
                                       .on_headers = on_headers,
                                       .on_message = on_message,
                                       .on_half_close = on_half_close,
                                       .on_room = on_room,
                                       .on_end = on_end,
                                       .context = &fuzzed};
    osr_random_init(&fuzzed.random, data[1]);
    fuzzed.grpc = osr_grpc_create(&options, &handler, fuzzed.now_ms);
    struct osr_buffer bytes = {0};
    if ((mode & WITH_PREFACE) != 0) {
        add_preface(&bytes, is_client);
    }
    if ((mode & IN_SHORT_FORM) != 0) {
        expand(osr_slice(data + 2, size - 2), &bytes);
    } else {
        osr_buffer_add(&bytes, data + 2, size - 2);
    }
    if (is_client) {
        start_calls(&fuzzed);
        take_output(&fuzzed);
    }
    give(&fuzzed, osr_buffer_slice(&bytes),
         (mode >> PIECES_SHIFT) == 0 ? SIZE_MAX : mode >> PIECES_SHIFT);
    take_output(&fuzzed);
    osr_grpc_destroy(fuzzed.grpc);
    osr_grpc_budget_done(&budget);
    MUST(fuzzed.ended == fuzzed.begun);
    MUST(budget.bytes == 0);
    osr_buffer_done(&fuzzed.output);
    osr_buffer_done(&bytes);
    return 0;
}
