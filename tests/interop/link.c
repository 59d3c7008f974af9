#include "link.h"

#include <stdio.h>
#include <stdlib.h>

#include "adapter/clock.h"

enum { DIAL_MS = 10 * 1000 };

struct link {
    uv_loop_t *loop;
    struct osr_connection *connection; /* NULL once it is closed */
    struct osr_grpc *grpc;
    uv_prepare_t before_wait;
    uv_timer_t due;
    int handles_open;
    bool is_up;
    bool has_failed; /* only its last words are still to be written */
    link_closed *on_closed;
    void *context;
    uint8_t room[LINK_WRITE_BYTES];
};

struct osr_grpc *link_grpc(struct link *link)
{
    return link->grpc;
}

static void write_output(struct link *link)
{
    while (osr_connection_queued(link->connection) < LINK_QUEUE_BYTES) {
        struct osr_buffer piece = {0};
        if (!osr_grpc_produce(link->grpc, &piece, LINK_WRITE_BYTES)) {
            osr_buffer_done(&piece);
            break;
        }
        osr_connection_write(link->connection, &piece);
    }
}

static void on_due(uv_timer_t *timer)
{
    struct link *link = timer->data;
    osr_grpc_tick(link->grpc, osr_monotonic_ms());
}

static void arm_timer(struct link *link)
{
    uint64_t deadline_ms = osr_grpc_deadline_ms(link->grpc);
    if (deadline_ms == UINT64_MAX) {
        uv_timer_stop(&link->due);
        return;
    }
    uint64_t now_ms = osr_monotonic_ms();
    uv_update_time(link->loop);
    uv_timer_start(&link->due, on_due, deadline_ms > now_ms ? deadline_ms - now_ms : 0, 0);
}

static void on_before_wait(uv_prepare_t *prepare)
{
    struct link *link = prepare->data;
    if (!link->is_up) {
        return;
    }
    write_output(link);
    bool is_over = link->has_failed || osr_grpc_is_over(link->grpc);
    if (is_over && !osr_grpc_has_output(link->grpc)) {
        link->is_up = false;
        uv_timer_stop(&link->due);
        osr_connection_close(link->connection, false);
        return;
    }
    arm_timer(link);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct link *link = handle->data;
    if (--link->handles_open == 0) {
        free(link);
    }
}

/* ---- the transport's side ---- */

static void on_open(void *context, struct osr_connection *connection)
{
    (void)connection;
    struct link *link = context;
    link->is_up = true;
}

static uint8_t *on_room(void *context, size_t suggested, size_t *ret_size)
{
    (void)suggested;
    struct link *link = context;
    *ret_size = sizeof(link->room);
    return link->room;
}

static void on_read(void *context, struct osr_connection *connection, size_t size)
{
    (void)connection;
    struct link *link = context;
    if (link->has_failed) {
        return;
    }
    struct osr_err err = {0};
    if (osr_grpc_receive(link->grpc, osr_slice(link->room, size), osr_monotonic_ms(), &err) != 0) {
        fprintf(stderr, "connection ends: %s\n", err.message);
        link->has_failed = true;
    }
}

static void on_close(void *context, struct osr_connection *connection, const struct osr_err *err)
{
    (void)connection;
    (void)err;
    struct link *link = context;
    link->connection = NULL;
    link->is_up = false;
    osr_grpc_destroy(link->grpc);
    link->grpc = NULL;
    link->on_closed(link->context, link);
    uv_close((uv_handle_t *)&link->before_wait, on_handle_closed);
    uv_close((uv_handle_t *)&link->due, on_handle_closed);
}

static const struct osr_connection_handler connection_handler = {
    .on_open = on_open,
    .on_room = on_room,
    .on_read = on_read,
    .on_close = on_close,
};

/* ---- making one ---- */

static struct link *make(uv_loop_t *loop, const struct osr_grpc_options *options,
                         const struct osr_grpc_handler *handler, link_closed *on_closed,
                         void *context)
{
    struct link *link = osr_alloc(sizeof(*link));
    link->loop = loop;
    link->grpc = osr_grpc_create(options, handler, osr_monotonic_ms());
    link->on_closed = on_closed;
    link->context = context;
    uv_prepare_init(loop, &link->before_wait);
    uv_timer_init(loop, &link->due);
    link->before_wait.data = link;
    link->due.data = link;
    link->handles_open = 2;
    uv_prepare_start(&link->before_wait, on_before_wait);
    return link;
}

struct link *link_accept(uv_loop_t *loop, struct osr_connection *connection,
                         const struct osr_grpc_options *options,
                         const struct osr_grpc_handler *handler, link_closed *on_closed,
                         void *context)
{
    struct link *link = make(loop, options, handler, on_closed, context);
    link->connection = connection;
    link->is_up = true;
    osr_connection_accept(connection, &connection_handler, link);
    return link;
}

int link_dial(uv_loop_t *loop, const char *url_text, const struct osr_grpc_options *options,
              const struct osr_grpc_handler *handler, link_closed *on_closed, void *context,
              struct link **ret_link, struct osr_err *err)
{
    struct osr_url url;
    if (osr_url_parse(url_text, &url, err) != 0) {
        return err->code;
    }
    struct link *link = make(loop, options, handler, on_closed, context);
    if (osr_transport_dial(loop, &url, NULL, DIAL_MS, &connection_handler, link, &link->connection,
                           err) != 0) {
        osr_grpc_destroy(link->grpc);
        uv_close((uv_handle_t *)&link->before_wait, on_handle_closed);
        uv_close((uv_handle_t *)&link->due, on_handle_closed);
        return err->code;
    }
    *ret_link = link;
    return 0;
}
