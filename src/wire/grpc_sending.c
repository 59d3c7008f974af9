/* What this side says: messages pulled from a queue by nghttp2, headers and trailers around them.
 */
#include "wire/grpc_internal.h"

#include <assert.h>

/* What the sending queue may keep once it is empty. */
enum { QUEUE_KEEP_BYTES = 2 * OSR_GRPC_CALL_QUEUE_BYTES };

/* ---- the queue, and what nghttp2 takes of it ---- */

void osr_grpc_call_drop_queue(struct osr_grpc_call *call)
{
    call->grpc->queued_bytes -= call->queue_ready - call->queue_sent;
    osr_buffer_done(&call->queue);
    call->queue_sent = 0;
    call->queue_ready = 0;
    call->message_begin = 0;
    call->is_cut = false;
    osr_grpc_call_count_bytes(call);
}

bool osr_grpc_call_may_send(const struct osr_grpc_call *call)
{
    return !call->is_finished && !call->is_ending && !call->is_closed && !call->grpc->is_shut;
}

static void submit_trailers(struct osr_grpc_call *call)
{
    struct osr_grpc *grpc = call->grpc;
    grpc->fields.count = 0;
    osr_grpc_fields_add_code(&grpc->fields, call->code);
    osr_grpc_fields_add_list(&grpc->fields, &call->trailers);
    nghttp2_submit_trailer(grpc->session, call->stream_id, grpc->fields.items, grpc->fields.count);
}

/* nghttp2 asks for the next DATA frame; osr_grpc_call_write brings the bytes. */
static ssize_t read_queue(nghttp2_session *session, int32_t stream_id, uint8_t *buffer,
                          size_t bytes_max, uint32_t *flags, nghttp2_data_source *source,
                          void *context)
{
    (void)session;
    (void)stream_id;
    (void)buffer;
    (void)context;
    struct osr_grpc_call *call = source->ptr;
    size_t left = call->queue_ready - call->queue_sent;
    size_t size = left < bytes_max ? left : bytes_max;
    if (size == 0 && !call->is_finished) {
        call->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (size == left && call->is_finished) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (osr_grpc_call_is_server(call)) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            submit_trailers(call);
        }
    }
    return (ssize_t)size;
}

void osr_grpc_call_write(struct osr_grpc_call *call, size_t size, struct osr_buffer *output)
{
    assert(size <= call->queue_ready - call->queue_sent);
    if (size > 0) {
        osr_buffer_add(output, call->queue.data + call->queue_sent, size);
    }
    call->queue_sent += size;
    call->grpc->queued_bytes -= size;
    call->is_cut = call->queue_sent < call->queue_ready;
    if (!call->is_cut && !call->is_building) {
        osr_buffer_clear(&call->queue);
        call->queue_sent = 0;
        call->queue_ready = 0;
        if (call->queue.capacity > QUEUE_KEEP_BYTES) {
            osr_buffer_done(&call->queue);
            osr_grpc_call_count_bytes(call);
        }
    }
    if (call->was_full && !osr_grpc_is_full(call)) {
        osr_grpc_enqueue(call, OSR_GRPC_QUEUE_ROOM);
    }
}

static void add_grpc_fields(struct osr_grpc_fields *fields)
{
    osr_grpc_fields_add_static(fields, "content-type", "application/grpc");
    osr_grpc_fields_add_static(fields, "grpc-accept-encoding", OSR_GRPC_ACCEPT_ENCODING);
}

static void add_encoding(struct osr_grpc_call *call, struct osr_grpc_fields *fields)
{
    call->send_encoding = OSR_GRPC_GZIP;
    osr_grpc_fields_add_static(fields, "grpc-encoding",
                               osr_grpc_encoding_name(call->send_encoding));
}

static void begin_response(struct osr_grpc_call *call)
{
    struct osr_grpc *grpc = call->grpc;
    struct osr_grpc_fields *fields = &grpc->fields;
    fields->count = 0;
    osr_grpc_fields_add_static(fields, ":status", "200");
    add_grpc_fields(fields);
    if (call->compresses && call->accepts_gzip) {
        add_encoding(call, fields);
    }
    osr_grpc_fields_add_list(fields, &call->headers);
    nghttp2_data_provider provider = {.source.ptr = call, .read_callback = read_queue};
    nghttp2_submit_response(grpc->session, call->stream_id, fields->items, fields->count,
                            &provider);
}

static void add_timeout(struct osr_grpc_call *call, struct osr_grpc_fields *fields)
{
    struct osr_grpc *grpc = call->grpc;
    uint64_t deadline_ms = call->deadline.key;
    if (call->deadline.place == 0) {
        return;
    }
    grpc->scratch.size = 0;
    osr_grpc_timeout_write(&grpc->scratch,
                           deadline_ms > grpc->now_ms ? deadline_ms - grpc->now_ms : 1);
    osr_grpc_fields_add(fields, "grpc-timeout", osr_buffer_slice(&grpc->scratch), false);
}

/* A server that is not known to read gzip is asked to only where the call's owner says so. */
static bool request_is_compressed(const struct osr_grpc_call *call)
{
    const struct osr_grpc *grpc = call->grpc;
    bool may = grpc->is_peer_accept_known ? grpc->peer_accepts_gzip : call->is_compress_set;
    return call->compresses && may;
}

static void begin_request(struct osr_grpc_call *call)
{
    struct osr_grpc *grpc = call->grpc;
    struct osr_grpc_fields *fields = &grpc->fields;
    fields->count = 0;
    osr_grpc_fields_add_static(fields, ":method", "POST");
    osr_grpc_fields_add_static(fields, ":scheme", grpc->options.is_secure ? "https" : "http");
    osr_grpc_fields_add(fields, ":path", osr_buffer_slice(&call->path), true);
    osr_grpc_fields_add(fields, ":authority", osr_buffer_slice(&call->authority), true);
    osr_grpc_fields_add_static(fields, "te", "trailers");
    add_grpc_fields(fields);
    osr_grpc_fields_add_static(fields, "user-agent", grpc->options.user_agent);
    if (request_is_compressed(call)) {
        add_encoding(call, fields);
    }
    add_timeout(call, fields);
    osr_grpc_fields_add_list(fields, &call->headers);
    nghttp2_data_provider provider = {.source.ptr = call, .read_callback = read_queue};
    int32_t id =
        nghttp2_submit_request(grpc->session, NULL, fields->items, fields->count, &provider, call);
    if (id > 0) {
        call->stream_id = id;
        return;
    }
    /* A connection has 2^30 of them. */
    call->is_closed = true;
    grpc->is_going_away = true;
    osr_grpc_call_end(call, OSR_GRPC_UNAVAILABLE, "the connection has no stream left", true);
}

void osr_grpc_call_begin_sending(struct osr_grpc_call *call)
{
    if (call->is_begun) {
        return;
    }
    call->is_begun = true;
    if (osr_grpc_call_is_server(call)) {
        begin_response(call);
    } else {
        begin_request(call);
    }
}

static void wake_sending(struct osr_grpc_call *call)
{
    if (call->is_deferred) {
        call->is_deferred = false;
        nghttp2_session_resume_data(call->grpc->session, call->stream_id);
    }
}

struct osr_buffer *osr_grpc_message_begin(struct osr_grpc_call *call)
{
    assert(!call->is_building);
    call->is_building = true;
    if (call->queue_sent > call->queue.size / 2) {
        osr_buffer_consume(&call->queue, call->queue_sent);
        call->queue_ready -= call->queue_sent;
        call->queue_sent = 0;
    }
    call->message_begin = osr_grpc_prefix_begin(&call->queue);
    return &call->queue;
}

void osr_grpc_message_end(struct osr_grpc_call *call)
{
    assert(call->is_building);
    call->is_building = false;
    if (!osr_grpc_call_may_send(call)) {
        call->queue.size = call->queue_ready; /* nobody is there to take it */
        return;
    }
    osr_grpc_call_begin_sending(call);
    osr_grpc_prefix_end(&call->queue, call->message_begin,
                        call->compresses ? call->send_encoding : OSR_GRPC_IDENTITY);
    call->grpc->queued_bytes += call->queue.size - call->queue_ready;
    call->queue_ready = call->queue.size;
    osr_grpc_call_count_bytes(call);
    call->was_full = osr_grpc_is_full(call);
    wake_sending(call);
}

bool osr_grpc_is_full(const struct osr_grpc_call *call)
{
    const struct osr_grpc *grpc = call->grpc;
    size_t queued = call->queue_ready - call->queue_sent;
    return queued >= OSR_GRPC_CALL_QUEUE_BYTES ||
           (queued > 0 && grpc->queued_bytes >= OSR_GRPC_QUEUE_BYTES);
}

size_t osr_grpc_queued(const struct osr_grpc_call *call)
{
    return call->queue_ready - call->queue_sent;
}

/* Metadata as it will stand in header fields. What may not be sent is left out: the peer would
 * reset the stream for it. */
static void render_metadata(struct osr_grpc_call *call, struct osr_grpc_metadata_list *list,
                            const struct osr_grpc_metadata *items, size_t count)
{
    struct osr_buffer *text = &call->grpc->scratch;
    for (size_t i = 0; i < count; i++) {
        if (osr_grpc_metadata_is_valid(&items[i])) {
            text->size = 0;
            osr_grpc_metadata_write(text, &items[i]);
            osr_grpc_metadata_list_add(list, items[i].name, osr_buffer_slice(text));
        }
    }
}

void osr_grpc_set_headers(struct osr_grpc_call *call, const struct osr_grpc_metadata *metadata,
                          size_t count)
{
    if (!call->is_begun) {
        osr_grpc_metadata_list_clear(&call->headers);
        render_metadata(call, &call->headers, metadata, count);
    }
}

static void render_trailers(struct osr_grpc_call *call, const struct osr_grpc_end *end)
{
    struct osr_buffer *text = &call->grpc->scratch;
    call->code = end->code;
    if (end->message.size > 0) {
        text->size = 0;
        osr_grpc_message_text_write(text, end->message);
        osr_grpc_metadata_list_add(&call->trailers, osr_slice_text("grpc-message"),
                                   osr_buffer_slice(text));
    }
    if (end->details.size > 0) {
        struct osr_grpc_metadata details = {osr_slice_text("grpc-status-details-bin"),
                                            end->details};
        text->size = 0;
        osr_grpc_metadata_write(text, &details);
        osr_grpc_metadata_list_add(&call->trailers, details.name, osr_buffer_slice(text));
    }
    render_metadata(call, &call->trailers, end->metadata, end->metadata_count);
}

static void submit_trailers_only(struct osr_grpc_call *call)
{
    struct osr_grpc *grpc = call->grpc;
    struct osr_grpc_fields *fields = &grpc->fields;
    fields->count = 0;
    osr_grpc_fields_add_static(fields, ":status", "200");
    add_grpc_fields(fields);
    osr_grpc_fields_add_code(fields, call->code);
    osr_grpc_fields_add_list(fields, &call->trailers);
    nghttp2_submit_response(grpc->session, call->stream_id, fields->items, fields->count, NULL);
}

static void send_end(struct osr_grpc_call *call, const struct osr_grpc_end *end)
{
    render_trailers(call, end);
    call->is_finished = true;
    bool is_immediate = !call->is_begun && end->code != OSR_GRPC_OK && call->headers.count == 0;
    if (is_immediate) {
        call->is_begun = true;
        submit_trailers_only(call);
    } else {
        osr_grpc_call_begin_sending(call);
        wake_sending(call);
    }
}

void osr_grpc_finish(struct osr_grpc_call *call, const struct osr_grpc_end *end)
{
    assert(osr_grpc_call_is_server(call) && !call->is_building);
    if (osr_grpc_call_may_send(call)) {
        send_end(call, end);
    }
}

void osr_grpc_half_close(struct osr_grpc_call *call)
{
    assert(!osr_grpc_call_is_server(call) && !call->is_building);
    if (osr_grpc_call_may_send(call)) {
        osr_grpc_call_begin_sending(call);
        call->is_finished = true;
        wake_sending(call);
    }
}

void osr_grpc_call_settle_room(struct osr_grpc_call *call)
{
    struct osr_grpc_handler *handler = &call->grpc->handler;
    if (call->was_full && osr_grpc_call_may_send(call) && !osr_grpc_is_full(call)) {
        call->was_full = false;
        if (handler->on_room != NULL) {
            handler->on_room(handler->context, call);
        }
    }
    osr_grpc_call_destroy_if_unused(call);
}

/* ---- an end that was not planned ---- */

void osr_grpc_call_reset(struct osr_grpc_call *call, uint32_t http2_error)
{
    nghttp2_submit_rst_stream(call->grpc->session, NGHTTP2_FLAG_NONE, call->stream_id, http2_error);
}

/* Trailers can still follow what is written: no message is cut, and a window is open (nghttp2
 * asks for the end of DATA only then). */
static bool can_still_say(const struct osr_grpc_call *call)
{
    nghttp2_session *session = call->grpc->session;
    return !call->is_finished && !call->is_cut && !call->is_building &&
           nghttp2_session_get_remote_window_size(session) > 0 &&
           nghttp2_session_get_stream_remote_window_size(session, call->stream_id) > 0;
}

static void tell_client(struct osr_grpc_call *call, enum osr_grpc_code code, const char *message)
{
    struct osr_grpc_end end = {.code = code, .message = osr_slice_text(message)};
    if (!call->is_begun || can_still_say(call)) {
        osr_grpc_call_drop_queue(call);
        send_end(call, &end);
    } else if (!call->is_sent) {
        osr_grpc_call_drop_queue(call);
        osr_grpc_call_reset(call, NGHTTP2_CANCEL);
    }
}

static void tell_server(struct osr_grpc_call *call)
{
    if (call->is_begun) {
        osr_grpc_call_drop_queue(call);
        osr_grpc_call_reset(call, NGHTTP2_CANCEL);
    } else {
        call->is_begun = true;
        call->is_closed = true; /* nghttp2 never knew of it */
    }
}

void osr_grpc_call_tell_peer(struct osr_grpc_call *call, enum osr_grpc_code code,
                             const char *message)
{
    if (osr_grpc_call_is_server(call)) {
        tell_client(call, code, message);
    } else {
        tell_server(call);
    }
}

/* ---- a client's call begins ---- */

int osr_grpc_start(struct osr_grpc *grpc, const struct osr_grpc_head *head, void *user,
                   struct osr_grpc_call **ret_call, struct osr_err *err)
{
    assert(!grpc->options.is_server);
    if (grpc->is_going_away || grpc->is_shut || grpc->is_draining) {
        return osr_err_set(err, OSR_UNAVAILABLE, "the connection takes no more calls");
    }
    if (grpc->call_count >= grpc->options.calls_max) {
        return osr_err_set(err, OSR_BUSY, "%zu calls are under way already", grpc->call_count);
    }
    struct osr_grpc_call *call = osr_grpc_call_create(grpc);
    call->is_told = true;
    grpc->told_count++;
    call->user = user;
    call->compresses = grpc->options.compresses;
    osr_buffer_add(&call->path, head->path.data, head->path.size);
    if (head->authority.size > 0) {
        osr_buffer_add(&call->authority, head->authority.data, head->authority.size);
    } else {
        osr_buffer_add_text(&call->authority, "localhost");
    }
    render_metadata(call, &call->headers, head->metadata, head->metadata_count);
    osr_grpc_call_set_deadline(call, head->deadline_ms);
    osr_grpc_enqueue(call, OSR_GRPC_QUEUE_DUE); /* HEADERS go even if no message follows */
    *ret_call = call;
    return 0;
}
