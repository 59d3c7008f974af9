/* What the peer says: requests and responses checked, messages given to the handler, or kept. */
#include "wire/grpc_internal.h"

#include <assert.h>

/* A stream's window is given back in pieces of so many bytes: one look-up for many messages. */
enum { CONSUME_BYTES = OSR_GRPC_CALL_WINDOW_BYTES / 8 };

/* ---- messages ---- */

static bool may_receive(const struct osr_grpc_call *call)
{
    return call->is_told && !call->is_ending &&
           !(osr_grpc_call_is_server(call) && call->is_finished);
}

static bool has_kept(const struct osr_grpc_call *call)
{
    return call->kept_taken < call->kept.size;
}

static void drop_kept(struct osr_grpc_call *call)
{
    osr_buffer_done(&call->kept);
    call->kept_taken = 0;
    osr_grpc_call_count_bytes(call);
}

/* A client's call that has its trailers goes on to take what it has kept. */
static bool takes_messages(const struct osr_grpc_call *call)
{
    return !call->is_held && !call->is_ended &&
           (may_receive(call) || (call->is_ending && !call->ending.is_local));
}

/* Gives the messages in *data to the handler until it holds the call or ends it. */
static void deliver(struct osr_grpc_call *call, struct osr_slice *data)
{
    struct osr_grpc_handler *handler = &call->grpc->handler;
    while (takes_messages(call)) {
        struct osr_slice message;
        bool is_found;
        const char *why = "";
        enum osr_grpc_code code =
            osr_grpc_reader_next(&call->reader, data, &message, &is_found, &why);
        if (code != OSR_GRPC_OK && call->is_ending) {
            osr_grpc_call_override_ending(call, code, why);
            return;
        }
        if (code != OSR_GRPC_OK) {
            osr_grpc_call_fail(call, code, why);
            return;
        }
        if (!is_found) {
            return;
        }
        handler->on_message(handler->context, call, message);
    }
}

static void give_window_back(struct osr_grpc_call *call, size_t bytes_min)
{
    if (call->unconsumed >= bytes_min && !call->is_closed && !call->is_remote_closed) {
        nghttp2_session_consume_stream(call->grpc->session, call->stream_id, call->unconsumed);
        call->unconsumed = 0;
    }
}

static void check_budget(struct osr_grpc_call *call)
{
    size_t before = call->bytes;
    osr_grpc_call_count_bytes(call);
    if (call->bytes > before && osr_grpc_is_over_budget(call->grpc)) {
        osr_grpc_call_fail(call, OSR_GRPC_RESOURCE_EXHAUSTED, "too much is under way");
    }
}

void osr_grpc_call_take_data(struct osr_grpc_call *call, struct osr_slice data)
{
    call->unconsumed += data.size;
    if (!may_receive(call)) {
        give_window_back(call, CONSUME_BYTES);
        return;
    }
    if (!has_kept(call)) {
        deliver(call, &data);
    }
    if (data.size > 0 && may_receive(call)) {
        osr_buffer_add(&call->kept, data.data, data.size);
    }
    if (!call->is_held) {
        give_window_back(call, CONSUME_BYTES);
    }
    if (may_receive(call)) {
        check_budget(call);
    }
}

static void deliver_kept(struct osr_grpc_call *call)
{
    struct osr_slice data =
        osr_slice(call->kept.data + call->kept_taken, call->kept.size - call->kept_taken);
    deliver(call, &data);
    call->kept_taken = call->kept.size - data.size;
    if (!has_kept(call) || !(may_receive(call) || takes_messages(call) || call->is_held)) {
        drop_kept(call);
    }
}

static void tell_half_close(struct osr_grpc_call *call)
{
    struct osr_grpc_handler *handler = &call->grpc->handler;
    if (osr_grpc_reader_is_partial(&call->reader)) {
        osr_grpc_call_fail(call, OSR_GRPC_INTERNAL, "the request ended within a message");
        return;
    }
    call->is_half_close_told = true;
    if (handler->on_half_close != NULL) {
        handler->on_half_close(handler->context, call);
    }
}

static bool owes_half_close(const struct osr_grpc_call *call)
{
    return osr_grpc_call_is_server(call) && call->is_remote_closed && !call->is_half_close_told &&
           may_receive(call);
}

bool osr_grpc_call_settle_received(struct osr_grpc_call *call)
{
    if (call->is_ending && call->ending.is_local) {
        drop_kept(call);
    }
    if (has_kept(call) && !call->is_held) {
        deliver_kept(call);
        give_window_back(call, 1);
    }
    if (!has_kept(call) && owes_half_close(call) && !call->is_held) {
        tell_half_close(call);
    }
    return !has_kept(call);
}

void osr_grpc_call_abandon(struct osr_grpc_call *call)
{
    if (has_kept(call)) {
        drop_kept(call);
        osr_grpc_call_override_ending(call, OSR_GRPC_UNAVAILABLE, "the connection is gone");
    }
    osr_grpc_enqueue(call, OSR_GRPC_QUEUE_DUE);
}

void osr_grpc_call_take_half_close(struct osr_grpc_call *call)
{
    call->is_remote_closed = true;
    if (!osr_grpc_call_is_server(call)) {
        osr_grpc_call_end(call, osr_grpc_code_from_http(call->http_status),
                          "the server ended the call without a status", false);
    }
    osr_grpc_call_settle(call);
}

void osr_grpc_hold(struct osr_grpc_call *call, bool hold)
{
    if (call->is_held == hold) {
        return;
    }
    call->is_held = hold;
    if (hold) {
        return;
    }
    if (has_kept(call) || owes_half_close(call)) {
        osr_grpc_enqueue(call, OSR_GRPC_QUEUE_DUE);
    } else {
        give_window_back(call, 1);
    }
}

/* ---- requests and responses ---- */

/* Answers a request that is none of gRPC's. */
static void refuse_http(struct osr_grpc_call *call, const char *status)
{
    struct osr_grpc *grpc = call->grpc;
    grpc->fields.count = 0;
    osr_grpc_fields_add_static(&grpc->fields, ":status", status);
    osr_grpc_fields_add_static(&grpc->fields, "allow", "POST");
    osr_grpc_fields_add_static(&grpc->fields, "accept", "application/grpc");
    call->is_begun = true;
    call->is_finished = true;
    nghttp2_submit_response(grpc->session, call->stream_id, grpc->fields.items, grpc->fields.count,
                            NULL);
}

/* What is wrong with a gRPC request before anybody looks at its messages. */
static enum osr_grpc_code check_request(const struct osr_grpc_block *block, const char **ret_why)
{
    if (block->bytes > OSR_GRPC_HEADERS_SOFT_BYTES) {
        *ret_why = "the header list is too long";
        return OSR_GRPC_RESOURCE_EXHAUSTED;
    }
    if (block->has_long_path || block->path.size == 0 || block->path.data[0] != '/') {
        *ret_why = "the path names no method";
        return OSR_GRPC_UNIMPLEMENTED;
    }
    if (block->has_bad_timeout) {
        *ret_why = "malformed grpc-timeout";
        return OSR_GRPC_INTERNAL;
    }
    if (block->has_bad_metadata) {
        *ret_why = "malformed metadata";
        return OSR_GRPC_INTERNAL;
    }
    if (block->encoding == OSR_GRPC_ENCODING_UNKNOWN) {
        *ret_why = "unknown grpc-encoding";
        return OSR_GRPC_UNIMPLEMENTED;
    }
    if (block->timeout_ms == 0) {
        *ret_why = "deadline exceeded";
        return OSR_GRPC_DEADLINE_EXCEEDED;
    }
    return OSR_GRPC_OK;
}

static uint64_t saturated_sum(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

void osr_grpc_call_take_request(struct osr_grpc_call *call)
{
    struct osr_grpc *grpc = call->grpc;
    const struct osr_grpc_block *block = &grpc->block;
    if (!block->is_post || (!block->is_grpc && block->bytes <= OSR_GRPC_HEADERS_SOFT_BYTES)) {
        refuse_http(call, block->is_post ? "415" : "405");
        return;
    }
    const char *why = "";
    enum osr_grpc_code code = check_request(block, &why);
    if (code != OSR_GRPC_OK) {
        osr_grpc_call_fail(call, code, why);
        return;
    }
    call->accepts_gzip = block->accepts_gzip;
    call->compresses = grpc->options.compresses;
    call->reader.encoding = block->encoding;
    osr_grpc_call_set_deadline(call, saturated_sum(grpc->now_ms, block->timeout_ms));
    call->is_told = true;
    grpc->told_count++;
    struct osr_grpc_head head = {
        .path = osr_buffer_slice(&block->path),
        .authority = osr_buffer_slice(&block->authority),
        .deadline_ms = osr_grpc_call_deadline_ms(call),
        .metadata = block->metadata.items,
        .metadata_count = block->metadata.count,
    };
    grpc->handler.on_call(grpc->handler.context, call, &head);
}

void osr_grpc_call_take_response(struct osr_grpc_call *call)
{
    struct osr_grpc *grpc = call->grpc;
    const struct osr_grpc_block *block = &grpc->block;
    call->has_headers = true;
    call->http_status = block->http_status;
    call->reader.encoding = block->encoding;
    if (block->has_accept) {
        grpc->is_peer_accept_known = true;
        grpc->peer_accepts_gzip = block->accepts_gzip;
    }
    if (block->bytes > OSR_GRPC_HEADERS_SOFT_BYTES) {
        osr_grpc_call_fail(call, OSR_GRPC_RESOURCE_EXHAUSTED, "the header list is too long");
    } else if (block->http_status != 200 || !block->is_grpc) {
        osr_grpc_call_fail(call, osr_grpc_code_from_http(block->http_status),
                           "the server does not speak gRPC");
    } else if (grpc->handler.on_headers != NULL && !call->is_ending) {
        grpc->handler.on_headers(grpc->handler.context, call, block->metadata.items,
                                 block->metadata.count);
    }
}

static void swap_buffers(struct osr_buffer *a, struct osr_buffer *b)
{
    struct osr_buffer kept = *a;
    *a = *b;
    *b = kept;
}

/* The status in the server's words. */
static void take_ending(struct osr_grpc_call *call)
{
    struct osr_grpc_block *block = &call->grpc->block;
    struct osr_grpc_ending *ending = &call->ending;
    osr_grpc_call_set_ending(call, block->code);
    swap_buffers(&ending->message, &block->message);
    swap_buffers(&ending->details, &block->details);
    struct osr_grpc_metadata_list metadata = ending->metadata;
    ending->metadata = block->metadata;
    block->metadata = metadata;
}

void osr_grpc_call_take_trailers(struct osr_grpc_call *call)
{
    const struct osr_grpc_block *block = &call->grpc->block;
    call->is_remote_closed = true;
    if (!call->has_headers) {
        call->http_status = block->http_status;
    }
    if (!call->is_ending) {
        if (block->bytes > OSR_GRPC_HEADERS_SOFT_BYTES) {
            osr_grpc_call_end(call, OSR_GRPC_RESOURCE_EXHAUSTED, "the header list is too long",
                              false);
        } else if (block->has_code) {
            take_ending(call);
        } else {
            osr_grpc_call_end(call, osr_grpc_code_from_http(call->http_status),
                              "the server ended the call without a status", false);
        }
    }
    if (!call->is_sent && call->is_begun) {
        osr_grpc_call_drop_queue(call);
        osr_grpc_call_reset(call, NGHTTP2_NO_ERROR); /* nobody will read what we had to say */
    }
    osr_grpc_call_settle(call);
}
