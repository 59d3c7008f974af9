/* A connection: bytes in and out, time, and its end. */
#include "wire/grpc_internal.h"

#include <stdlib.h>

/* Between the notice that the server drains and the GOAWAY that names its last stream, if the
 * client does not answer the PING between them: calls on their way are still taken. */
enum { DRAIN_NOTICE_MS = 1000 };

/* ---- queues of calls ---- */

void osr_grpc_enqueue(struct osr_grpc_call *call, enum osr_grpc_queue_kind kind)
{
    struct osr_grpc_queue *queue = &call->grpc->queues[kind];
    if (call->is_queued[kind]) {
        return;
    }
    call->is_queued[kind] = true;
    call->queue_next[kind] = NULL;
    if (queue->last != NULL) {
        queue->last->queue_next[kind] = call;
    } else {
        queue->first = call;
    }
    queue->last = call;
}

/* Handles those that stand in the queue now; handlers may put calls in it anew. */
static bool settle(struct osr_grpc *grpc, enum osr_grpc_queue_kind kind,
                   void (*settle_call)(struct osr_grpc_call *call))
{
    struct osr_grpc_call *call = grpc->queues[kind].first;
    bool is_any = call != NULL;
    grpc->queues[kind] = (struct osr_grpc_queue){0};
    while (call != NULL) {
        struct osr_grpc_call *next = call->queue_next[kind];
        call->is_queued[kind] = false;
        settle_call(call);
        call = next;
    }
    return is_any;
}

static bool settle_due(struct osr_grpc *grpc)
{
    return settle(grpc, OSR_GRPC_QUEUE_DUE, osr_grpc_call_settle);
}

/* ---- the end of a connection ---- */

static void end_all_calls(struct osr_grpc *grpc)
{
    for (struct osr_grpc_call *call = grpc->calls; call != NULL; call = call->next) {
        call->is_closed = true;
        osr_grpc_call_end(call, OSR_GRPC_UNAVAILABLE, grpc->why,
                          !grpc->options.is_server && !call->is_open);
        osr_grpc_enqueue(call, OSR_GRPC_QUEUE_DUE);
    }
}

void osr_grpc_end_all(struct osr_grpc *grpc, struct osr_slice why)
{
    size_t size = why.size < OSR_GRPC_WHY_BYTES_MAX ? why.size : OSR_GRPC_WHY_BYTES_MAX;
    grpc->is_shut = true;
    memcpy(grpc->why, why.data, size);
    grpc->why[size] = '\0';
    end_all_calls(grpc);
}

const char *osr_grpc_why(const struct osr_grpc *grpc)
{
    return grpc->is_shut ? grpc->why : NULL;
}

/* GOAWAY, written by hand: after a fatal error nghttp2's session may only be deleted. */
static void write_goaway(struct osr_grpc *grpc, uint32_t http2_error)
{
    struct osr_buffer *buffer = &grpc->last_words;
    size_t words_size = strlen(grpc->why);
    int32_t last_stream_id = nghttp2_session_get_last_proc_stream_id(grpc->session);
    osr_buffer_add_u8(buffer, 0);
    osr_buffer_add_u8(buffer, 0);
    osr_buffer_add_u8(buffer, (uint8_t)(8 + words_size));
    osr_buffer_add_u8(buffer, NGHTTP2_GOAWAY);
    osr_buffer_add_u8(buffer, NGHTTP2_FLAG_NONE);
    osr_buffer_add_u32(buffer, 0);
    osr_buffer_add_u32(buffer, grpc->options.is_server ? (uint32_t)last_stream_id : 0);
    osr_buffer_add_u32(buffer, http2_error);
    osr_buffer_add(buffer, grpc->why, words_size);
}

void osr_grpc_break(struct osr_grpc *grpc, uint32_t http2_error, const char *words)
{
    if (grpc->is_shut) {
        return;
    }
    osr_grpc_end_all(grpc, osr_slice_text(words));
    write_goaway(grpc, http2_error);
}

static void break_by_flood(struct osr_grpc *grpc, const char *words)
{
    osr_grpc_break(grpc, NGHTTP2_ENHANCE_YOUR_CALM, words);
}

/* What GOAWAY says to the peer's HTTP/2. */
static uint32_t http2_error_of(enum osr_grpc_code code)
{
    switch (code) {
    case OSR_GRPC_RESOURCE_EXHAUSTED:
        return NGHTTP2_ENHANCE_YOUR_CALM;
    case OSR_GRPC_PERMISSION_DENIED:
    case OSR_GRPC_UNAUTHENTICATED:
        return NGHTTP2_INADEQUATE_SECURITY;
    case OSR_GRPC_INTERNAL:
        return NGHTTP2_INTERNAL_ERROR;
    default:
        return NGHTTP2_NO_ERROR;
    }
}

void osr_grpc_shut(struct osr_grpc *grpc, enum osr_grpc_code code, const char *message)
{
    osr_grpc_break(grpc, http2_error_of(code), message);
}

/* ---- create and destroy ---- */

static void set_defaults(struct osr_grpc_options *options)
{
    if (options->calls_max == 0) {
        options->calls_max = OSR_GRPC_CALLS_MAX;
    }
    if (options->keepalive_ms == 0) {
        options->keepalive_ms =
            options->is_server ? OSR_GRPC_KEEPALIVE_MS : OSR_GRPC_CLIENT_KEEPALIVE_MS;
    }
    if (options->keepalive_wait_ms == 0) {
        options->keepalive_wait_ms = OSR_GRPC_KEEPALIVE_WAIT_MS;
    }
    if (options->user_agent == NULL) {
        options->user_agent = "osiris/" OSR_VERSION;
    }
}

struct osr_grpc *osr_grpc_create(const struct osr_grpc_options *options,
                                 const struct osr_grpc_handler *handler, uint64_t now_ms)
{
    struct osr_grpc *grpc = osr_alloc(sizeof(*grpc));
    grpc->options = *options;
    set_defaults(&grpc->options);
    grpc->handler = *handler;
    grpc->now_ms = now_ms;
    grpc->created_ms = now_ms;
    grpc->received_ms = now_ms;
    grpc->memory.bytes_max = OSR_GRPC_BYTES_MAX;
    osr_grpc_session_create(grpc);
    return grpc;
}

void osr_grpc_destroy(struct osr_grpc *grpc)
{
    if (grpc == NULL) {
        return;
    }
    osr_grpc_end_all(grpc, osr_slice_text("the connection is gone"));
    for (struct osr_grpc_call *call = grpc->calls; call != NULL; call = call->next) {
        osr_grpc_call_abandon(call);
    }
    while (settle_due(grpc)) {
    }
    nghttp2_session_del(grpc->session);
    while (grpc->calls != NULL) {
        osr_grpc_call_destroy(grpc->calls);
    }
    osr_grpc_budget_done(&grpc->memory);
    osr_heap_done(&grpc->deadlines);
    osr_grpc_block_done(&grpc->block);
    osr_grpc_fields_done(&grpc->fields);
    osr_buffer_done(&grpc->scratch);
    osr_buffer_done(&grpc->last_words);
    free(grpc);
}

/* ---- bytes in ---- */

static void break_by_session(struct osr_grpc *grpc, ssize_t result)
{
    switch (result) {
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
        osr_grpc_break(grpc, NGHTTP2_PROTOCOL_ERROR, "bad client preface");
        break;
    case NGHTTP2_ERR_FLOODED:
        break_by_flood(grpc, "too_many_acks");
        break;
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
        break_by_flood(grpc, "too_many_continuations");
        break;
    default:
        osr_grpc_break(grpc, NGHTTP2_INTERNAL_ERROR, nghttp2_strerror((int)result));
        break;
    }
}

static void give_window_back(struct osr_grpc *grpc)
{
    if (grpc->unconsumed > 0 && !grpc->is_shut) {
        nghttp2_session_consume_connection(grpc->session, grpc->unconsumed);
    }
    grpc->unconsumed = 0;
}

int osr_grpc_receive(struct osr_grpc *grpc, struct osr_slice bytes, uint64_t now_ms,
                     struct osr_err *err)
{
    grpc->now_ms = now_ms;
    settle_due(grpc);
    if (bytes.size > 0) {
        grpc->received_ms = now_ms;
        grpc->is_ping_out = false;
    }
    if (bytes.size > 0 && !grpc->is_shut) {
        ssize_t result = nghttp2_session_mem_recv(grpc->session, bytes.data, bytes.size);
        if (result < 0) {
            break_by_session(grpc, result);
        }
    }
    give_window_back(grpc);
    settle_due(grpc);
    if (grpc->is_shut) {
        return osr_err_set(err, OSR_UNAVAILABLE, "the connection cannot go on: %s", grpc->why);
    }
    return 0;
}

/* ---- bytes out ---- */

static void produce_frames(struct osr_grpc *grpc)
{
    while (!grpc->is_shut && grpc->output->size < grpc->output_end) {
        const uint8_t *data = NULL;
        ssize_t size = nghttp2_session_mem_send(grpc->session, &data);
        if (size > 0) {
            osr_buffer_add(grpc->output, data, (size_t)size);
            continue;
        }
        if (size < 0) {
            break_by_session(grpc, size);
            return;
        }
        bool is_paused = grpc->output->size >= grpc->output_end;
        /* Only now that all that was queued is written may the queues be filled again: else one
         * call could keep the others waiting. */
        if (is_paused ||
            !(settle_due(grpc) || settle(grpc, OSR_GRPC_QUEUE_ROOM, osr_grpc_call_settle_room))) {
            return;
        }
    }
}

bool osr_grpc_produce(struct osr_grpc *grpc, struct osr_buffer *output, size_t bytes_max)
{
    size_t begin = output->size;
    settle_due(grpc);
    grpc->output = output;
    grpc->output_end = begin + bytes_max;
    produce_frames(grpc);
    grpc->output = NULL;
    if (grpc->is_shut) {
        osr_buffer_add(output, grpc->last_words.data, grpc->last_words.size);
        osr_buffer_done(&grpc->last_words);
        settle_due(grpc);
    }
    return output->size > begin;
}

bool osr_grpc_has_output(const struct osr_grpc *grpc)
{
    if (grpc->queues[OSR_GRPC_QUEUE_DUE].first != NULL || grpc->last_words.size > 0) {
        return true;
    }
    return !grpc->is_shut && (grpc->queues[OSR_GRPC_QUEUE_ROOM].first != NULL ||
                              nghttp2_session_want_write(grpc->session) != 0);
}

bool osr_grpc_is_over(const struct osr_grpc *grpc)
{
    return !osr_grpc_has_output(grpc) &&
           (grpc->is_shut || nghttp2_session_want_read(grpc->session) == 0);
}

/* ---- time ---- */

static bool is_watched(const struct osr_grpc *grpc)
{
    return grpc->has_settings && (grpc->options.is_server || grpc->told_count > 0);
}

/* When silence is to be broken, or has lasted too long. */
static uint64_t silence_deadline_ms(const struct osr_grpc *grpc)
{
    if (!grpc->has_settings) {
        return grpc->created_ms + OSR_GRPC_PREFACE_MS; /* however slowly it drips in */
    }
    if (grpc->is_ping_out) {
        return grpc->ping_ms + grpc->options.keepalive_wait_ms;
    }
    return is_watched(grpc) ? grpc->received_ms + grpc->options.keepalive_ms : UINT64_MAX;
}

static uint64_t drain_deadline_ms(const struct osr_grpc *grpc)
{
    if (!grpc->is_draining) {
        return UINT64_MAX;
    }
    return grpc->drain_ms + (grpc->is_drain_final ? OSR_GRPC_DRAIN_MS : DRAIN_NOTICE_MS);
}

uint64_t osr_grpc_deadline_ms(const struct osr_grpc *grpc)
{
    if (grpc->queues[OSR_GRPC_QUEUE_DUE].first != NULL) {
        return grpc->now_ms;
    }
    if (grpc->is_shut) {
        return UINT64_MAX;
    }
    uint64_t earliest_ms = silence_deadline_ms(grpc);
    uint64_t drain_ms = drain_deadline_ms(grpc);
    const struct osr_heap_item *call = osr_heap_first(&grpc->deadlines);
    earliest_ms = drain_ms < earliest_ms ? drain_ms : earliest_ms;
    return call != NULL && call->key < earliest_ms ? call->key : earliest_ms;
}

static struct osr_grpc_call *call_with(struct osr_heap_item *deadline)
{
    return (struct osr_grpc_call *)((char *)deadline - offsetof(struct osr_grpc_call, deadline));
}

static void expire_calls(struct osr_grpc *grpc)
{
    for (;;) {
        struct osr_heap_item *first = osr_heap_first(&grpc->deadlines);
        if (first == NULL || first->key > grpc->now_ms) {
            return;
        }
        osr_grpc_call_fail(call_with(first), OSR_GRPC_DEADLINE_EXCEEDED, "deadline exceeded");
    }
}

static void break_silence(struct osr_grpc *grpc)
{
    if (grpc->now_ms < silence_deadline_ms(grpc)) {
        return;
    }
    if (!grpc->has_settings) {
        osr_grpc_break(grpc, NGHTTP2_SETTINGS_TIMEOUT, "no preface came");
    } else if (grpc->is_ping_out) {
        osr_grpc_break(grpc, NGHTTP2_NO_ERROR, "keepalive was not answered");
    } else {
        grpc->is_ping_out = true;
        grpc->ping_ms = grpc->now_ms;
        nghttp2_submit_ping(grpc->session, NGHTTP2_FLAG_NONE, NULL);
    }
}

static void go_on_draining(struct osr_grpc *grpc)
{
    if (grpc->now_ms < drain_deadline_ms(grpc)) {
        return;
    }
    if (grpc->is_drain_final) {
        osr_grpc_break(grpc, NGHTTP2_NO_ERROR, "the call did not end while draining");
    } else {
        osr_grpc_session_finish_drain(grpc);
    }
}

void osr_grpc_tick(struct osr_grpc *grpc, uint64_t now_ms)
{
    grpc->now_ms = now_ms;
    if (!grpc->is_shut) {
        expire_calls(grpc);
        break_silence(grpc);
        go_on_draining(grpc);
    }
    settle_due(grpc);
}

void osr_grpc_drain(struct osr_grpc *grpc, uint64_t now_ms)
{
    if (grpc->is_draining || grpc->is_shut) {
        return;
    }
    grpc->now_ms = now_ms;
    grpc->is_draining = true;
    grpc->drain_ms = now_ms;
    if (grpc->options.is_server && grpc->told_count > 0) {
        nghttp2_submit_shutdown_notice(grpc->session);
        osr_grpc_session_ping_to_drain(grpc);
    } else { /* a call on its way to an idle server was not taken, as the GOAWAY says */
        osr_grpc_session_finish_drain(grpc);
    }
}

size_t osr_grpc_call_count(const struct osr_grpc *grpc)
{
    return grpc->told_count;
}
