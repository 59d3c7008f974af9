#include "lib/grpc_side.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static void write_metadata(char *text, size_t room, const struct osr_grpc_metadata *items,
                           size_t count)
{
    size_t used = 0;
    for (size_t i = 0; i < count && used < room; i++) {
        int size = snprintf(text + used, room - used, "%.*s=%.*s;", (int)items[i].name.size,
                            (const char *)items[i].name.data, (int)items[i].value.size,
                            (const char *)items[i].value.data);
        used += (size_t)size;
    }
}

static void write_slice(char *text, size_t room, struct osr_slice slice)
{
    snprintf(text, room, "%.*s", (int)slice.size, slice.size > 0 ? (const char *)slice.data : "");
}

static void on_call(void *context, struct osr_grpc_call *call, const struct osr_grpc_head *head)
{
    struct grpc_side *side = context;
    assert(side->count < GRPC_SIDE_CALLS_MAX);
    struct grpc_heard *heard = &side->heard[side->count++];
    heard->side = side;
    heard->call = call;
    heard->deadline_ms = head->deadline_ms;
    write_slice(heard->path, sizeof(heard->path), head->path);
    write_metadata(heard->headers, sizeof(heard->headers), head->metadata, head->metadata_count);
    osr_grpc_call_set_user(call, heard);
    if (side->service.on_call != NULL) {
        side->service.on_call(heard);
    }
}

static void on_headers(void *context, struct osr_grpc_call *call,
                       const struct osr_grpc_metadata *metadata, size_t count)
{
    (void)context;
    struct grpc_heard *heard = osr_grpc_call_user(call);
    assert(heard->ends == 0);
    write_metadata(heard->headers, sizeof(heard->headers), metadata, count);
}

static void on_message(void *context, struct osr_grpc_call *call, struct osr_slice message)
{
    struct grpc_side *side = context;
    struct grpc_heard *heard = osr_grpc_call_user(call);
    assert(heard->ends == 0 && heard->half_closes == 0);
    heard->messages++;
    heard->message_bytes += message.size;
    heard->last_message.size = 0;
    osr_buffer_add(&heard->last_message, message.data, message.size);
    if (side->service.on_message != NULL) {
        side->service.on_message(heard, message);
    }
}

static void on_half_close(void *context, struct osr_grpc_call *call)
{
    struct grpc_side *side = context;
    struct grpc_heard *heard = osr_grpc_call_user(call);
    assert(heard->ends == 0);
    heard->half_closes++;
    if (side->service.on_half_close != NULL) {
        side->service.on_half_close(heard);
    }
}

static void on_room(void *context, struct osr_grpc_call *call)
{
    struct grpc_side *side = context;
    struct grpc_heard *heard = osr_grpc_call_user(call);
    assert(heard->ends == 0 && !osr_grpc_is_full(call));
    heard->rooms++;
    if (side->service.on_room != NULL) {
        side->service.on_room(heard);
    }
}

static void on_end(void *context, struct osr_grpc_call *call, const struct osr_grpc_end *end)
{
    struct grpc_side *side = context;
    struct grpc_heard *heard = osr_grpc_call_user(call);
    side->ends++;
    heard->ends++;
    heard->end = *end;
    write_slice(heard->message, sizeof(heard->message), end->message);
    write_slice(heard->details, sizeof(heard->details), end->details);
    write_metadata(heard->trailers, sizeof(heard->trailers), end->metadata, end->metadata_count);
    if (side->service.on_end != NULL) {
        side->service.on_end(heard);
    }
    heard->call = NULL;
}

static void on_going_away(void *context)
{
    struct grpc_side *side = context;
    side->going_away++;
}

struct grpc_side *grpc_side_create(const struct osr_grpc_options *options)
{
    struct grpc_side *side = osr_alloc(sizeof(*side));
    struct osr_grpc_handler handler = {
        .on_call = on_call,
        .on_headers = on_headers,
        .on_message = on_message,
        .on_half_close = on_half_close,
        .on_room = on_room,
        .on_end = on_end,
        .on_going_away = on_going_away,
        .context = side,
    };
    struct osr_grpc_options copy = *options;
    if (copy.message_bytes_max == 0) {
        copy.message_bytes_max = GRPC_SIDE_MESSAGE_BYTES_MAX;
    }
    side->grpc = osr_grpc_create(&copy, &handler, GRPC_SIDE_NOW_MS);
    return side;
}

void grpc_side_destroy(struct grpc_side *side)
{
    osr_grpc_destroy(side->grpc);
    for (size_t i = 0; i < side->count; i++) {
        assert(side->heard[i].ends == 1); /* the contract: exactly once, in every test */
        osr_buffer_done(&side->heard[i].last_message);
    }
    free(side);
}

struct grpc_heard *grpc_side_start(struct grpc_side *side, const struct osr_grpc_head *head)
{
    assert(side->count < GRPC_SIDE_CALLS_MAX);
    struct grpc_heard *heard = &side->heard[side->count];
    heard->side = side;
    if (osr_grpc_start(side->grpc, head, heard, &heard->call, NULL) != 0) {
        return NULL;
    }
    side->count++;
    return heard;
}

struct grpc_heard *grpc_side_call(struct grpc_side *side)
{
    struct osr_grpc_head head = {.path = osr_slice_text("/test.Echo/Call"),
                                 .deadline_ms = UINT64_MAX};
    return grpc_side_start(side, &head);
}

void grpc_send(struct grpc_heard *heard, struct osr_slice message)
{
    osr_buffer_add(osr_grpc_message_begin(heard->call), message.data, message.size);
    osr_grpc_message_end(heard->call);
}

void grpc_send_text(struct grpc_heard *heard, const char *text)
{
    grpc_send(heard, osr_slice_text(text));
}

void grpc_echo(struct grpc_heard *heard, struct osr_slice message)
{
    grpc_send(heard, message);
}

void grpc_finish_ok(struct grpc_heard *heard)
{
    osr_grpc_finish(heard->call, &(struct osr_grpc_end){.code = OSR_GRPC_OK});
}

void grpc_hold(struct grpc_heard *heard)
{
    osr_grpc_hold(heard->call, true);
}

struct grpc_pair grpc_pair_create(const struct osr_grpc_options *server,
                                  const struct osr_grpc_options *client)
{
    struct osr_grpc_options server_options =
        server != NULL ? *server : (struct osr_grpc_options){0};
    server_options.is_server = true;
    struct grpc_pair pair = {
        .server = grpc_side_create(&server_options),
        .client = grpc_side_create(client != NULL ? client : &(struct osr_grpc_options){0}),
        .now_ms = GRPC_SIDE_NOW_MS,
        .piece = SIZE_MAX,
        .portion = 256 << 10,
    };
    pair.server->service.on_message = grpc_echo;
    pair.server->service.on_half_close = grpc_finish_ok;
    return pair;
}

void grpc_pair_destroy(struct grpc_pair *pair)
{
    grpc_side_destroy(pair->client);
    grpc_side_destroy(pair->server);
}

static void give(struct grpc_pair *pair, struct grpc_side *to, struct osr_slice bytes)
{
    while (bytes.size > 0 && !to->has_failed) {
        size_t size = bytes.size < pair->piece ? bytes.size : pair->piece;
        to->has_failed =
            osr_grpc_receive(to->grpc, osr_slice(bytes.data, size), pair->now_ms, NULL) != 0;
        bytes = osr_slice(bytes.data + size, bytes.size - size);
    }
}

bool grpc_pair_move(struct grpc_pair *pair, struct grpc_side *from, struct grpc_side *to)
{
    struct osr_buffer bytes = {0};
    bool is_any = osr_grpc_produce(from->grpc, &bytes, pair->portion);
    assert(is_any == (bytes.size > 0));
    give(pair, to, osr_buffer_slice(&bytes));
    osr_buffer_done(&bytes);
    return is_any;
}

void grpc_pair_run(struct grpc_pair *pair)
{
    bool is_any = true;
    while (is_any) {
        bool is_sent = grpc_pair_move(pair, pair->client, pair->server);
        is_any = grpc_pair_move(pair, pair->server, pair->client) || is_sent;
    }
    assert(!osr_grpc_has_output(pair->client->grpc) && !osr_grpc_has_output(pair->server->grpc));
}

void grpc_pair_pass(struct grpc_pair *pair, uint64_t ms)
{
    pair->now_ms += ms;
    osr_grpc_tick(pair->client->grpc, pair->now_ms);
    osr_grpc_tick(pair->server->grpc, pair->now_ms);
    grpc_pair_run(pair);
}
