/* nghttp2's session: what it tells of frames that came and went, and which of them are floods. */
#include "wire/grpc_internal.h"

#include <assert.h>
#include <malloc.h>
#include <stdlib.h>

enum {
    /* What each HEADERS or DATA that we send allows: WINDOW_UPDATE for the stream and for the
     * connection. */
    EMPTY_FRAMES_EARNED = 2,
    FRAME_HEADER_BYTES = 9, /* RFC 9113, 4.1 */
};

static struct osr_grpc_call *call_of(struct osr_grpc *grpc, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(grpc->session, stream_id);
}

/* ---- draining ---- */

static const uint8_t drain_ping[8] = "osrdrain";

void osr_grpc_session_ping_to_drain(struct osr_grpc *grpc)
{
    nghttp2_submit_ping(grpc->session, NGHTTP2_FLAG_NONE, drain_ping);
}

void osr_grpc_session_finish_drain(struct osr_grpc *grpc)
{
    if (!grpc->is_drain_final) {
        grpc->is_drain_final = true;
        nghttp2_submit_goaway(grpc->session, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(grpc->session),
                              NGHTTP2_NO_ERROR, NULL, 0);
    }
}

/* ---- what came ---- */

static int verdict(const struct osr_grpc *grpc)
{
    return grpc->is_shut ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static void spend(struct osr_grpc *grpc, enum osr_grpc_flood flood)
{
    if (!osr_grpc_guard_take(&grpc->guard, flood, grpc->now_ms)) {
        osr_grpc_break(grpc, NGHTTP2_ENHANCE_YOUR_CALM, osr_grpc_guard_words(flood));
    }
}

/* A reset costs the peer nothing, and us the work on the call: unless that was answered. */
static enum osr_grpc_flood flood_of_reset(struct osr_grpc *grpc, int32_t stream_id)
{
    const struct osr_grpc_call *call = call_of(grpc, stream_id);
    return call == NULL || call->is_sent ? OSR_GRPC_FLOOD_EMPTY_FRAMES : OSR_GRPC_FLOOD_RESETS;
}

/* nghttp2 passes PRIORITY over unread where the old priorities are off. */
static void check_priority(struct osr_grpc *grpc, const nghttp2_frame_hd *hd)
{
    enum { PRIORITY_BYTES = 5 };
    if (hd->stream_id == 0) {
        osr_grpc_break(grpc, NGHTTP2_PROTOCOL_ERROR, "PRIORITY: stream_id == 0");
    } else if (hd->length != PRIORITY_BYTES) {
        osr_grpc_break(grpc, NGHTTP2_FRAME_SIZE_ERROR, "PRIORITY: wrong length");
    }
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *context)
{
    (void)session;
    struct osr_grpc *grpc = context;
    switch (hd->type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_CONTINUATION:
        break;
    case NGHTTP2_DATA:
        grpc->is_data_empty = true; /* paid back where it proves to be of use */
        spend(grpc, OSR_GRPC_FLOOD_EMPTY_FRAMES);
        break;
    case NGHTTP2_PING:
        spend(grpc, (hd->flags & NGHTTP2_FLAG_ACK) != 0 ? OSR_GRPC_FLOOD_EMPTY_FRAMES
                                                        : OSR_GRPC_FLOOD_PINGS);
        break;
    case NGHTTP2_PRIORITY:
        check_priority(grpc, hd);
        spend(grpc, OSR_GRPC_FLOOD_EMPTY_FRAMES);
        break;
    case NGHTTP2_RST_STREAM:
        spend(grpc, flood_of_reset(grpc, hd->stream_id));
        break;
    default:
        spend(grpc, OSR_GRPC_FLOOD_EMPTY_FRAMES);
        break;
    }
    return verdict(grpc);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct osr_grpc *grpc = context;
    osr_grpc_block_reset(&grpc->block);
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        if (osr_grpc_is_over_budget(grpc)) {
            nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                      NGHTTP2_REFUSED_STREAM);
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        }
        struct osr_grpc_call *call = osr_grpc_call_create(grpc);
        call->stream_id = frame->hd.stream_id;
        nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, call);
    }
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *context)
{
    (void)flags;
    struct osr_grpc *grpc = context;
    osr_grpc_block_add(&grpc->block, osr_slice(name, name_size), osr_slice(value, value_size));
    if (grpc->block.bytes <= OSR_GRPC_HEADERS_HARD_BYTES) {
        return 0;
    }
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                              NGHTTP2_ENHANCE_YOUR_CALM);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void take_client_headers(struct osr_grpc_call *call, const nghttp2_frame *frame)
{
    const struct osr_grpc_block *block = &call->grpc->block;
    bool is_end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    bool is_interim = !call->has_headers && block->http_status >= 100 && block->http_status < 200;
    if (is_end) {
        osr_grpc_call_take_trailers(call);
    } else if (!is_interim) {
        osr_grpc_call_take_response(call);
    }
}

static void take_server_headers(struct osr_grpc_call *call, const nghttp2_frame *frame)
{
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        osr_grpc_call_take_request(call);
    }
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        osr_grpc_call_take_half_close(call);
    }
}

static void take_headers(struct osr_grpc *grpc, const nghttp2_frame *frame)
{
    struct osr_grpc_call *call = call_of(grpc, frame->hd.stream_id);
    if (call == NULL) {
        return;
    }
    if (grpc->options.is_server) {
        take_server_headers(call, frame);
    } else {
        take_client_headers(call, frame);
    }
}

static void take_end_of_data(struct osr_grpc *grpc, const nghttp2_frame *frame)
{
    struct osr_grpc_call *call = call_of(grpc, frame->hd.stream_id);
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) {
        return;
    }
    if (grpc->is_data_empty) {
        osr_grpc_guard_give(&grpc->guard, OSR_GRPC_FLOOD_EMPTY_FRAMES, 1);
    }
    if (call != NULL) {
        osr_grpc_call_take_half_close(call);
    }
}

/* A server that goes away has surely not looked at the calls after the last one it names. */
static void take_goaway(struct osr_grpc *grpc, int32_t last_stream_id)
{
    if (grpc->options.is_server) {
        return;
    }
    bool is_news = !grpc->is_going_away;
    grpc->is_going_away = true;
    for (struct osr_grpc_call *call = grpc->calls; call != NULL; call = call->next) {
        if (call->stream_id == 0) {
            osr_grpc_call_fail(call, OSR_GRPC_UNAVAILABLE, "the server is going away");
            call->ending.is_unprocessed = true;
        } else if (call->stream_id > last_stream_id) {
            osr_grpc_call_end(call, OSR_GRPC_UNAVAILABLE, "the server is going away", true);
        }
    }
    if (is_news && grpc->handler.on_going_away != NULL) {
        grpc->handler.on_going_away(grpc->handler.context);
    }
}

static void take_ping(struct osr_grpc *grpc, const nghttp2_frame *frame)
{
    bool is_drain_answer = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0 && grpc->is_draining &&
                           memcmp(frame->ping.opaque_data, drain_ping, sizeof(drain_ping)) == 0;
    if (is_drain_answer) {
        osr_grpc_session_finish_drain(grpc);
    }
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    (void)session;
    struct osr_grpc *grpc = context;
    switch (frame->hd.type) {
    case NGHTTP2_SETTINGS:
        grpc->has_settings = true;
        break;
    case NGHTTP2_HEADERS:
        take_headers(grpc, frame);
        break;
    case NGHTTP2_DATA:
        take_end_of_data(grpc, frame);
        break;
    case NGHTTP2_PING:
        take_ping(grpc, frame);
        break;
    case NGHTTP2_GOAWAY:
        take_goaway(grpc, frame->goaway.last_stream_id);
        break;
    default:
        break;
    }
    return verdict(grpc);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data,
                   size_t size, void *context)
{
    (void)session;
    (void)flags;
    struct osr_grpc *grpc = context;
    struct osr_grpc_call *call = call_of(grpc, stream_id);
    grpc->unconsumed += size;
    if (grpc->is_data_empty) {
        grpc->is_data_empty = false;
        osr_grpc_guard_give(&grpc->guard, OSR_GRPC_FLOOD_EMPTY_FRAMES, 1);
    }
    if (call != NULL) {
        osr_grpc_call_take_data(call, osr_slice(data, size));
    }
    return verdict(grpc);
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t http2_error,
                           void *context)
{
    (void)session;
    struct osr_grpc *grpc = context;
    struct osr_grpc_call *call = call_of(grpc, stream_id);
    if (call != NULL) {
        osr_grpc_call_close(call, http2_error);
    }
    return 0;
}

/* ---- what went ---- */

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *header,
                        size_t size, nghttp2_data_source *source, void *context)
{
    (void)session;
    (void)frame;
    struct osr_grpc *grpc = context;
    osr_buffer_add(grpc->output, header, FRAME_HEADER_BYTES);
    osr_grpc_call_write(source->ptr, size, grpc->output);
    return grpc->output->size >= grpc->output_end ? NGHTTP2_ERR_PAUSE : 0;
}

static void note_end_of_stream(struct osr_grpc *grpc, struct osr_grpc_call *call)
{
    call->is_sent = true;
    if (grpc->options.is_server && !call->is_remote_closed) {
        nghttp2_submit_rst_stream(grpc->session, NGHTTP2_FLAG_NONE, call->stream_id,
                                  NGHTTP2_NO_ERROR);
    }
}

static void note_call_frame(struct osr_grpc *grpc, const nghttp2_frame *frame)
{
    struct osr_grpc_call *call = call_of(grpc, frame->hd.stream_id);
    osr_grpc_guard_refill(&grpc->guard, OSR_GRPC_FLOOD_PINGS);
    osr_grpc_guard_give(&grpc->guard, OSR_GRPC_FLOOD_EMPTY_FRAMES, EMPTY_FRAMES_EARNED);
    if (call == NULL) {
        return;
    }
    call->is_open = true;
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        note_end_of_stream(grpc, call);
    }
}

/* Resets that the peer has made us send cost it as much as its own: else it could have us begin
 * calls without end, never over the limit of those under way ("MadeYouReset"). A call that is
 * refused was not begun. */
static void note_reset(struct osr_grpc *grpc, uint32_t http2_error)
{
    if (http2_error != NGHTTP2_NO_ERROR && http2_error != NGHTTP2_CANCEL &&
        http2_error != NGHTTP2_REFUSED_STREAM) {
        spend(grpc, OSR_GRPC_FLOOD_RESETS);
    }
}

/* nghttp2's own GOAWAY: the peer broke HTTP/2's rules, and it says which. */
static void note_goaway(struct osr_grpc *grpc, const nghttp2_goaway *goaway)
{
    if (goaway->error_code == NGHTTP2_NO_ERROR) {
        return;
    }
    osr_grpc_end_all(grpc, goaway->opaque_data_len > 0
                               ? osr_slice(goaway->opaque_data, goaway->opaque_data_len)
                               : osr_slice_text("the peer broke HTTP/2's rules"));
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    (void)session;
    struct osr_grpc *grpc = context;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        note_call_frame(grpc, frame);
        break;
    case NGHTTP2_RST_STREAM:
        note_reset(grpc, frame->rst_stream.error_code);
        break;
    case NGHTTP2_GOAWAY:
        note_goaway(grpc, &frame->goaway);
        break;
    default:
        break;
    }
    return 0; /* else nghttp2 would keep the frame's bytes, which are given out only after this */
}

/* A header block that is too large to be sent: the peer must not wait for it. */
static int on_frame_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int why,
                             void *context)
{
    (void)context;
    bool is_answer =
        frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat != NGHTTP2_HCAT_REQUEST;
    if (is_answer && why != NGHTTP2_ERR_STREAM_CLOSING && why != NGHTTP2_ERR_STREAM_CLOSED) {
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                  NGHTTP2_INTERNAL_ERROR);
    }
    return 0;
}

/* ---- the session ---- */

/* nghttp2's memory comes from where all does: to be without any ends the process, so that its
 * functions fail for no reason that could be handled. */
static void *take_memory(size_t size, void *context)
{
    (void)context;
    return osr_alloc_unset(size);
}

/* Wiped: headers with tokens have lain in it. */
static void give_memory_back(void *memory, void *context)
{
    (void)context;
    if (memory != NULL) {
        explicit_bzero(memory, malloc_usable_size(memory));
    }
    free(memory);
}

static void *take_zeroed_memory(size_t count, size_t size, void *context)
{
    (void)context;
    return osr_alloc(count * size);
}

static void *resize_memory(void *memory, size_t size, void *context)
{
    (void)context;
    return osr_realloc(memory, size);
}

static nghttp2_session_callbacks *create_callbacks(void)
{
    nghttp2_session_callbacks *callbacks = NULL;
    int result = nghttp2_session_callbacks_new(&callbacks);
    assert(result == 0);
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_sent);
    return callbacks;
}

static nghttp2_option *create_session_options(void)
{
    enum { DEFLATE_TABLE_BYTES = 1 << 10 }; /* our own fields are few */
    nghttp2_option *option = NULL;
    int result = nghttp2_option_new(&option);
    assert(result == 0);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_continuations(option, OSR_GRPC_CONTINUATIONS_MAX);
    nghttp2_option_set_max_outbound_ack(option, OSR_GRPC_ACKS_QUEUED_MAX);
    nghttp2_option_set_max_settings(option, OSR_GRPC_SETTINGS_MAX);
    nghttp2_option_set_max_deflate_dynamic_table_size(option, DEFLATE_TABLE_BYTES);
    /* nghttp2's own bucket reads the clock; ours (grpc_guard) is given it. */
    nghttp2_option_set_stream_reset_rate_limit(option, UINT64_MAX, UINT64_MAX);
    return option;
}

static void submit_settings(struct osr_grpc *grpc)
{
    nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, OSR_GRPC_CALL_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, OSR_GRPC_HEADERS_SOFT_BYTES},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}, /* their tree is a target and of no use */
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
    };
    if (grpc->options.is_server) {
        settings[3] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
                                               grpc->options.calls_max};
    }
    int result = nghttp2_submit_settings(grpc->session, NGHTTP2_FLAG_NONE, settings,
                                         sizeof(settings) / sizeof(settings[0]));
    assert(result == 0);
    result = nghttp2_session_set_local_window_size(grpc->session, NGHTTP2_FLAG_NONE, 0,
                                                   OSR_GRPC_WINDOW_BYTES);
    assert(result == 0);
}

void osr_grpc_session_create(struct osr_grpc *grpc)
{
    nghttp2_session_callbacks *callbacks = create_callbacks();
    nghttp2_option *option = create_session_options();
    nghttp2_mem memory = {NULL, take_memory, give_memory_back, take_zeroed_memory, resize_memory};
    int result =
        grpc->options.is_server
            ? nghttp2_session_server_new3(&grpc->session, callbacks, grpc, option, &memory)
            : nghttp2_session_client_new3(&grpc->session, callbacks, grpc, option, &memory);
    assert(result == 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    submit_settings(grpc);
}
