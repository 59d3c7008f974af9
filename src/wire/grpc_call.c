/* One call: its memory, and how it ends. */
#include "wire/grpc_internal.h"

#include <assert.h>
#include <stdlib.h>

enum {
    /* Calls kept for the next ones, and bytes that each of their buffers may keep: so a call costs
     * no malloc, and what was once busy little memory. */
    POOL_CALLS_MAX = 512,
    POOL_BUFFER_BYTES_MAX = 1 << 10,
};

/* ---- memory ---- */

static void pool_buffer(struct osr_buffer *buffer)
{
    if (buffer->capacity > POOL_BUFFER_BYTES_MAX) {
        osr_buffer_done(buffer);
    }
    osr_buffer_clear(buffer);
}

static void pool_list(struct osr_grpc_metadata_list *list)
{
    if (list->bytes.capacity > POOL_BUFFER_BYTES_MAX) {
        osr_grpc_metadata_list_done(list);
    }
    osr_grpc_metadata_list_clear(list);
}

static void free_call(struct osr_grpc_call *call)
{
    osr_buffer_done(&call->queue);
    osr_grpc_metadata_list_done(&call->headers);
    osr_grpc_metadata_list_done(&call->trailers);
    osr_buffer_done(&call->path);
    osr_buffer_done(&call->authority);
    osr_grpc_reader_done(&call->reader);
    osr_buffer_done(&call->kept);
    osr_buffer_done(&call->ending.message);
    osr_buffer_done(&call->ending.details);
    osr_grpc_metadata_list_done(&call->ending.metadata);
    free(call);
}

/* As new, but for the memory of its buffers. */
static void clear_call(struct osr_grpc_call *call)
{
    pool_buffer(&call->queue);
    pool_list(&call->headers);
    pool_list(&call->trailers);
    pool_buffer(&call->path);
    pool_buffer(&call->authority);
    pool_buffer(&call->reader.partial);
    pool_buffer(&call->reader.inflated);
    pool_buffer(&call->kept);
    pool_buffer(&call->ending.message);
    pool_buffer(&call->ending.details);
    pool_list(&call->ending.metadata);
    *call = (struct osr_grpc_call){
        .queue = call->queue,
        .headers = call->headers,
        .trailers = call->trailers,
        .path = call->path,
        .authority = call->authority,
        .reader = {.partial = call->reader.partial, .inflated = call->reader.inflated},
        .kept = call->kept,
        .ending = {.message = call->ending.message,
                   .details = call->ending.details,
                   .metadata = call->ending.metadata},
    };
}

void osr_grpc_budget_done(struct osr_grpc_budget *budget)
{
    while (budget->pool != NULL) {
        struct osr_grpc_call *call = budget->pool;
        budget->pool = call->next;
        free_call(call);
    }
    budget->pool_count = 0;
}

static struct osr_grpc_budget *pool_of(struct osr_grpc *grpc)
{
    return grpc->options.budget != NULL ? grpc->options.budget : &grpc->memory;
}

struct osr_grpc_call *osr_grpc_call_create(struct osr_grpc *grpc)
{
    struct osr_grpc_budget *pool = pool_of(grpc);
    struct osr_grpc_call *call = pool->pool;
    if (call != NULL) {
        pool->pool = call->next;
        pool->pool_count--;
    } else {
        call = osr_alloc(sizeof(*call));
    }
    call->grpc = grpc;
    call->reader.bytes_max = grpc->options.message_bytes_max;
    call->previous = NULL;
    call->next = grpc->calls;
    if (call->next != NULL) {
        call->next->previous = call;
    }
    grpc->calls = call;
    grpc->call_count++;
    osr_grpc_call_count_bytes(call);
    return call;
}

static void set_bytes(struct osr_grpc_call *call, size_t bytes, size_t queue_memory)
{
    struct osr_grpc *grpc = call->grpc;
    grpc->queue_memory += queue_memory - call->queue_memory;
    call->queue_memory = queue_memory;
    grpc->memory.bytes += bytes - call->bytes;
    if (grpc->options.budget != NULL) {
        grpc->options.budget->bytes += bytes - call->bytes;
    }
    call->bytes = bytes;
}

bool osr_grpc_is_over_budget(const struct osr_grpc *grpc)
{
    const struct osr_grpc_budget *shared = grpc->options.budget;
    return grpc->memory.bytes > grpc->memory.bytes_max ||
           (shared != NULL && shared->bytes > shared->bytes_max &&
            grpc->memory.bytes > OSR_GRPC_OWN_BYTES);
}

void osr_grpc_call_count_bytes(struct osr_grpc_call *call)
{
    set_bytes(call,
              OSR_GRPC_CALL_BYTES + call->reader.partial.capacity + call->reader.inflated.capacity +
                  call->kept.capacity,
              call->queue.capacity);
}

size_t osr_grpc_queue_memory(const struct osr_grpc *grpc)
{
    return grpc->queue_memory;
}

size_t osr_grpc_call_queue_memory(const struct osr_grpc_call *call)
{
    return call->queue_memory;
}

void osr_grpc_call_destroy(struct osr_grpc_call *call)
{
    struct osr_grpc *grpc = call->grpc;
    call->is_building = false;
    grpc->queued_bytes -= osr_grpc_queued(call);
    set_bytes(call, 0, 0);
    osr_heap_remove(&grpc->deadlines, &call->deadline);
    if (call->previous != NULL) {
        call->previous->next = call->next;
    } else {
        grpc->calls = call->next;
    }
    if (call->next != NULL) {
        call->next->previous = call->previous;
    }
    grpc->call_count--;
    struct osr_grpc_budget *pool = pool_of(grpc);
    if (pool->pool_count >= POOL_CALLS_MAX) {
        free_call(call);
        return;
    }
    clear_call(call);
    call->next = pool->pool;
    pool->pool = call;
    pool->pool_count++;
}

void osr_grpc_call_destroy_if_unused(struct osr_grpc_call *call)
{
    bool is_queued = call->is_queued[OSR_GRPC_QUEUE_DUE] || call->is_queued[OSR_GRPC_QUEUE_ROOM];
    if (call->is_closed && (call->is_ended || !call->is_told) && !is_queued) {
        osr_grpc_call_destroy(call);
    }
}

/* ---- the end ---- */

void osr_grpc_call_set_deadline(struct osr_grpc_call *call, uint64_t deadline_ms)
{
    if (deadline_ms != UINT64_MAX) {
        osr_heap_put(&call->grpc->deadlines, &call->deadline, deadline_ms);
    }
}

void osr_grpc_call_set_ending(struct osr_grpc_call *call, enum osr_grpc_code code)
{
    call->is_ending = true;
    call->ending.code = code;
    osr_heap_remove(&call->grpc->deadlines, &call->deadline);
}

void osr_grpc_call_end(struct osr_grpc_call *call, enum osr_grpc_code code, const char *message,
                       bool is_unprocessed)
{
    if (call->is_ending) {
        return;
    }
    osr_grpc_call_set_ending(call, code);
    call->ending.is_local = true;
    call->ending.is_unprocessed = is_unprocessed;
    osr_buffer_add_text(&call->ending.message, message);
    osr_grpc_enqueue(call, OSR_GRPC_QUEUE_DUE);
}

void osr_grpc_call_fail(struct osr_grpc_call *call, enum osr_grpc_code code, const char *message)
{
    if (call->is_ending) {
        return;
    }
    osr_grpc_call_end(call, code, message, false);
    if (call->is_closed || call->grpc->is_shut) {
        return;
    }
    osr_grpc_call_tell_peer(call, code, message);
}

void osr_grpc_cancel(struct osr_grpc_call *call, enum osr_grpc_code code, const char *message)
{
    assert(!call->is_building);
    osr_grpc_call_fail(call, code, message);
}

/* Why a stream without trailers is gone, for whom it was ours to hear. */
static void end_by_reset(struct osr_grpc_call *call, uint32_t http2_error)
{
    bool is_late = call->deadline.place > 0 && call->deadline.key <= call->grpc->now_ms;
    if (is_late) {
        osr_grpc_call_end(call, OSR_GRPC_DEADLINE_EXCEEDED, "deadline exceeded", false);
    } else if (osr_grpc_call_is_server(call) && http2_error == NGHTTP2_NO_ERROR) {
        osr_grpc_call_end(call, OSR_GRPC_CANCELLED, "the client reset the stream", false);
    } else {
        osr_grpc_call_end(call, osr_grpc_code_from_reset(http2_error), "the stream was reset",
                          http2_error == NGHTTP2_REFUSED_STREAM);
    }
}

void osr_grpc_call_close(struct osr_grpc_call *call, uint32_t http2_error)
{
    call->is_closed = true;
    if (!call->is_ending && osr_grpc_call_is_server(call) && call->is_sent) {
        osr_grpc_call_set_ending(call, call->code);
    } else if (!call->is_ending) {
        end_by_reset(call, http2_error);
    }
    osr_grpc_call_settle(call);
}

/* The server's own words are not all: its last messages turn out to be broken. */
void osr_grpc_call_override_ending(struct osr_grpc_call *call, enum osr_grpc_code code,
                                   const char *why)
{
    struct osr_grpc_ending *ending = &call->ending;
    ending->code = code;
    ending->is_local = true;
    ending->message.size = 0;
    osr_buffer_add_text(&ending->message, why);
}

static void tell_end(struct osr_grpc_call *call)
{
    struct osr_grpc_ending *ending = &call->ending;
    bool is_cut_short = !ending->is_local && ending->code == OSR_GRPC_OK &&
                        !osr_grpc_call_is_server(call) && osr_grpc_reader_is_partial(&call->reader);
    if (is_cut_short) {
        osr_grpc_call_override_ending(call, OSR_GRPC_INTERNAL, "the call ended within a message");
    }
    struct osr_grpc_end end = {
        .code = ending->code,
        .message = osr_buffer_slice(&ending->message),
        .details = osr_buffer_slice(&ending->details),
        .metadata = ending->metadata.items,
        .metadata_count = ending->metadata.count,
        .is_local = ending->is_local,
        .is_unprocessed = ending->is_unprocessed,
    };
    call->is_ended = true;
    call->grpc->told_count--;
    call->grpc->handler.on_end(call->grpc->handler.context, call, &end);
}

/* ---- what is due ---- */

void osr_grpc_call_settle(struct osr_grpc_call *call)
{
    if (!osr_grpc_call_is_server(call) && osr_grpc_call_may_send(call)) {
        osr_grpc_call_begin_sending(call);
    }
    if (call->is_told && !call->is_ended) {
        bool is_all_taken = osr_grpc_call_settle_received(call);
        if (is_all_taken && call->is_ending && !call->is_ended) {
            tell_end(call);
        }
    }
    osr_grpc_call_destroy_if_unused(call);
}

/* ---- small things ---- */

void osr_grpc_call_set_user(struct osr_grpc_call *call, void *user)
{
    call->user = user;
}

void *osr_grpc_call_user(const struct osr_grpc_call *call)
{
    return call->user;
}

void osr_grpc_call_limit(struct osr_grpc_call *call, size_t message_bytes_max)
{
    call->reader.bytes_max = message_bytes_max;
}

void osr_grpc_call_compress(struct osr_grpc_call *call, bool on)
{
    call->compresses = on;
    call->is_compress_set = true;
}

bool osr_grpc_message_was_compressed(const struct osr_grpc_call *call)
{
    return call->reader.was_compressed;
}

uint64_t osr_grpc_call_deadline_ms(const struct osr_grpc_call *call)
{
    return call->deadline.place > 0 ? call->deadline.key : UINT64_MAX;
}
