#include "rpc.h"

#include <stdio.h>
#include <stdlib.h>

#include "adapter/clock.h"

/* ---- what the layer tells ---- */

static void on_headers(void *context, struct osr_grpc_call *call,
                       const struct osr_grpc_metadata *metadata, size_t count)
{
    (void)context;
    struct rpc *rpc = osr_grpc_call_user(call);
    for (size_t i = 0; i < count; i++) {
        osr_grpc_metadata_list_add(&rpc->headers, metadata[i].name, metadata[i].value);
    }
}

static void on_message(void *context, struct osr_grpc_call *call, struct osr_slice message)
{
    (void)context;
    struct rpc *rpc = osr_grpc_call_user(call);
    rpc->messages = osr_realloc(rpc->messages, (rpc->message_count + 1) * sizeof(*rpc->messages));
    struct rpc_message *received = &rpc->messages[rpc->message_count++];
    *received = (struct rpc_message){.was_compressed = osr_grpc_message_was_compressed(call)};
    osr_buffer_add(&received->bytes, message.data, message.size);
}

static void on_end(void *context, struct osr_grpc_call *call, const struct osr_grpc_end *end)
{
    (void)context;
    struct rpc *rpc = osr_grpc_call_user(call);
    rpc->call = NULL;
    rpc->has_ended = true;
    rpc->code = end->code;
    rpc->message = osr_format("%.*s", (int)end->message.size, (const char *)end->message.data);
    rpc->is_local = end->is_local;
    rpc->is_unprocessed = end->is_unprocessed;
    for (size_t i = 0; i < end->metadata_count; i++) {
        osr_grpc_metadata_list_add(&rpc->trailers, end->metadata[i].name, end->metadata[i].value);
    }
}

static void on_going_away(void *context)
{
    struct channel *channel = context;
    channel->is_going_away = true;
}

static void on_link_closed(void *context, struct link *link)
{
    (void)link;
    struct channel *channel = context;
    channel->link = NULL;
}

/* ---- the channel ---- */

void channel_open(struct channel *channel, const char *url, size_t message_bytes_max,
                  uint32_t keepalive_ms)
{
    *channel = (struct channel){.url = url};
    uv_loop_init(&channel->loop);
    struct osr_grpc_options options = {
        .message_bytes_max = message_bytes_max,
        .keepalive_ms = keepalive_ms,
        .keepalive_wait_ms = keepalive_ms,
    };
    struct osr_grpc_handler handler = {
        .on_headers = on_headers,
        .on_message = on_message,
        .on_end = on_end,
        .on_going_away = on_going_away,
        .context = channel,
    };
    struct osr_err err = {0};
    if (link_dial(&channel->loop, url, &options, &handler, on_link_closed, channel, &channel->link,
                  &err) != 0) {
        fprintf(stderr, "%s\n", err.message);
        exit(EXIT_FAILURE);
    }
}

void channel_close(struct channel *channel)
{
    if (channel->link != NULL) {
        osr_grpc_shut(link_grpc(channel->link), OSR_GRPC_OK, "");
    }
    uv_run(&channel->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&channel->loop) != 0) {
        fprintf(stderr, "the loop still has handles\n");
        exit(EXIT_FAILURE);
    }
}

static void on_idle_passed(uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, NULL);
}

void channel_idle(struct channel *channel, uint64_t duration_ms)
{
    uv_timer_t timer;
    uv_timer_init(&channel->loop, &timer);
    uv_timer_start(&timer, on_idle_passed, duration_ms, 0);
    while (!uv_is_closing((uv_handle_t *)&timer)) {
        uv_run(&channel->loop, UV_RUN_ONCE);
    }
    uv_run(&channel->loop, UV_RUN_NOWAIT); /* the timer is gone after */
}

/* ---- calls ---- */

static void end_unsent(struct rpc *rpc, const struct osr_err *err)
{
    rpc->has_ended = true;
    rpc->code = OSR_GRPC_UNAVAILABLE;
    rpc->message = osr_strdup(err->message);
    rpc->is_local = true;
    rpc->is_unprocessed = true;
}

bool rpc_try(struct rpc *rpc, struct channel *channel, const char *path, uint64_t timeout_ms,
             const struct osr_grpc_metadata *metadata, size_t metadata_count)
{
    *rpc = (struct rpc){.channel = channel};
    struct osr_err err = {0};
    if (channel->link == NULL) {
        osr_err_set(&err, OSR_UNAVAILABLE, "the connection is closed");
        end_unsent(rpc, &err);
        return true;
    }
    struct osr_grpc_head head = {
        .path = osr_slice_text(path),
        .authority = osr_slice_text("interop.test"),
        .deadline_ms = timeout_ms == 0 ? UINT64_MAX : osr_monotonic_ms() + timeout_ms,
        .metadata = metadata,
        .metadata_count = metadata_count,
    };
    int code = osr_grpc_start(link_grpc(channel->link), &head, rpc, &rpc->call, &err);
    if (code != 0 && code != OSR_BUSY) {
        end_unsent(rpc, &err);
    }
    return code != OSR_BUSY;
}

void rpc_start(struct rpc *rpc, struct channel *channel, const char *path, uint64_t timeout_ms,
               const struct osr_grpc_metadata *metadata, size_t metadata_count)
{
    while (!rpc_try(rpc, channel, path, timeout_ms, metadata, metadata_count)) {
        uv_run(&channel->loop, UV_RUN_ONCE);
    }
}

void rpc_send(struct rpc *rpc, struct osr_slice message, bool is_compressed)
{
    while (!rpc->has_ended && osr_grpc_is_full(rpc->call)) {
        uv_run(&rpc->channel->loop, UV_RUN_ONCE);
    }
    if (rpc->has_ended) {
        return;
    }
    osr_grpc_call_compress(rpc->call, is_compressed);
    struct osr_buffer *buffer = osr_grpc_message_begin(rpc->call);
    osr_buffer_add(buffer, message.data, message.size);
    osr_grpc_message_end(rpc->call);
}

void rpc_half_close(struct rpc *rpc)
{
    if (!rpc->has_ended) {
        osr_grpc_half_close(rpc->call);
    }
}

const struct rpc_message *rpc_receive(struct rpc *rpc)
{
    while (!rpc->has_ended && rpc->messages_taken == rpc->message_count) {
        uv_run(&rpc->channel->loop, UV_RUN_ONCE);
    }
    return rpc->messages_taken < rpc->message_count ? &rpc->messages[rpc->messages_taken++] : NULL;
}

void rpc_wait_end(struct rpc *rpc)
{
    while (!rpc->has_ended) {
        uv_run(&rpc->channel->loop, UV_RUN_ONCE);
    }
}

void rpc_done(struct rpc *rpc)
{
    if (!rpc->has_ended) {
        osr_grpc_cancel(rpc->call, OSR_GRPC_CANCELLED, "no longer wanted");
        rpc_wait_end(rpc);
    }
    for (size_t i = 0; i < rpc->message_count; i++) {
        osr_buffer_done(&rpc->messages[i].bytes);
    }
    free(rpc->messages);
    free(rpc->message);
    osr_grpc_metadata_list_done(&rpc->headers);
    osr_grpc_metadata_list_done(&rpc->trailers);
}
