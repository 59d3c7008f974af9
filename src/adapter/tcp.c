#include "adapter/tcp.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "adapter/address.h"
#include "base/thread_room.h"

enum {
    /* Pieces and bytes given to one writev. What libuv has taken counts as queued until all of it
     * is written, so not too much: a slow reader is to be told from one that reads nothing. */
    WRITE_PIECES_MAX = 128,
    WRITE_BYTES_MAX = 256 << 10,
    QUEUE_PIECES_MIN = 8,
    IGNORED_AT_ONCE = 16 << 10,
};

/* -- life -- */

void osr_tcp_open_stream(struct osr_tcp *connection)
{
    int result = connection->is_unix ? uv_pipe_init(connection->loop, &connection->pipe, 0)
                                     : uv_tcp_init(connection->loop, &connection->tcp);
    assert(result == 0); /* no socket is made yet */
    connection->handle.data = connection;
    connection->handles_open++;
}

static void drop_queue(struct osr_tcp *connection)
{
    for (size_t i = 0; i < connection->queue_count; i++) {
        osr_buffer_done(&connection->queue[connection->queue_first + i]);
    }
    connection->queue_first = 0;
    connection->queue_count = 0;
    connection->written = 0;
    connection->queued = 0;
}

void osr_tcp_handle_closed(uv_handle_t *handle)
{
    struct osr_tcp *connection = handle->data;

    if (--connection->handles_open > 0) {
        return;
    }
    osr_connection_finish(&connection->base);
    drop_queue(connection);
    osr_tcp_dial_free(connection->dial);
    free(connection->queue);
    free(connection);
}

static void close_handles(struct osr_tcp *connection)
{
    if (connection->gone) {
        return;
    }
    connection->gone = true;
    /* Already closing where the dialler is about to try its next address. */
    if (!uv_is_closing(&connection->handle)) {
        uv_close(&connection->handle, osr_tcp_handle_closed);
    }
    uv_close((uv_handle_t *)&connection->flush, osr_tcp_handle_closed);
    uv_close((uv_handle_t *)&connection->timer, osr_tcp_handle_closed);
}

void osr_tcp_fail(struct osr_tcp *connection, const struct osr_err *err)
{
    osr_connection_note_failure(&connection->base, err);
    close_handles(connection);
}

/* Makes the close a reset: the other side's socket does not linger in TIME_WAIT either. */
static void reset_on_close(struct osr_tcp *connection)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    uv_os_fd_t fd;

    if (!connection->is_unix && uv_fileno(&connection->handle, &fd) == 0) {
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
}

static void note_status(struct osr_tcp *connection, int status, const char *what)
{
    struct osr_err err;
    enum osr_code code = status == UV_ETIMEDOUT ? OSR_TIMEOUT : OSR_UNAVAILABLE;

    osr_err_set(&err, code, "%s: %s: %s", connection->base.url, what, uv_strerror(status));
    osr_connection_note_failure(&connection->base, &err);
}

/* -- writing -- */

/* Points `pieces` at what waits; returns how many, and their bytes in *ret_size. */
static unsigned gather(const struct osr_tcp *connection, uv_buf_t *pieces, size_t *ret_size)
{
    unsigned count = 0;
    size_t size = 0;
    size_t skip = connection->written;

    while (count < connection->queue_count && count < WRITE_PIECES_MAX && size < WRITE_BYTES_MAX) {
        const struct osr_buffer *piece = &connection->queue[connection->queue_first + count];
        size_t length = piece->size - skip;
        size_t room = WRITE_BYTES_MAX - size;
        pieces[count].base = (char *)piece->data + skip;
        pieces[count].len = length < room ? length : room;
        size += pieces[count].len;
        skip = 0;
        count++;
    }
    *ret_size = size;
    return count;
}

static void consume(struct osr_tcp *connection, size_t size)
{
    connection->queued -= size;
    connection->written += size;
    while (connection->queue_count > 0) {
        struct osr_buffer *oldest = &connection->queue[connection->queue_first];
        if (connection->written < oldest->size) {
            return;
        }
        connection->written -= oldest->size;
        osr_buffer_done(oldest);
        connection->queue_first++;
        connection->queue_count--;
    }
    connection->queue_first = 0;
    assert(connection->written == 0 && connection->queued == 0);
}

static void on_deadline(uv_timer_t *timer)
{
    struct osr_tcp *connection = timer->data;

    if (connection->queued > 0) {
        struct osr_err err;
        osr_err_set(&err, OSR_TIMEOUT, "%s: %zu bytes were not taken in time", connection->base.url,
                    connection->queued);
        osr_connection_note_failure(&connection->base, &err);
        reset_on_close(connection);
    }
    close_handles(connection);
}

/* The other side may have said why before it went: what it sent is still read. */
static void on_write_failed(struct osr_tcp *connection, int status)
{
    connection->write_failed = true;
    uv_idle_stop(&connection->flush);
    drop_queue(connection);
    note_status(connection, status, "cannot write");
    if (connection->closing || connection->read_ended || !connection->read_wanted) {
        close_handles(connection);
    } else {
        uv_timer_start(&connection->timer, on_deadline, OSR_CONNECTION_CLOSE_MS, 0);
    }
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    struct osr_tcp *connection = request->handle->data;

    if (connection->gone) {
        return;
    }
    connection->write_ended = true;
    if (status < 0 && status != UV_ENOTCONN) {
        on_write_failed(connection, status);
    } else if (connection->read_ended) {
        close_handles(connection);
    }
}

static void on_all_written(struct osr_tcp *connection, bool wrote)
{
    const struct osr_connection_handler *handler = connection->base.handler;

    if (wrote && !connection->closing && handler->on_drain != NULL) {
        handler->on_drain(connection->base.context, &connection->base);
    }
    if (connection->gone || !connection->end_wanted || connection->shutdown_begun ||
        connection->queue_count > 0) {
        return;
    }
    connection->shutdown_begun = true;
    int result = uv_shutdown(&connection->shutdown, &connection->stream, on_shutdown);
    if (result < 0) {
        on_write_failed(connection, result);
    }
}

static void write_queue(struct osr_tcp *connection);

static void on_written(uv_write_t *request, int status)
{
    struct osr_tcp *connection = request->handle->data;
    size_t size = connection->in_flight;

    connection->in_flight = 0;
    if (connection->gone) {
        return;
    }
    if (status < 0) {
        on_write_failed(connection, status);
        return;
    }
    consume(connection, size);
    write_queue(connection);
}

/* Writes until all is written or the socket is full; in that case on_written goes on. */
static void write_queue(struct osr_tcp *connection)
{
    uv_buf_t pieces[WRITE_PIECES_MAX];
    size_t size;
    unsigned count;

    uv_idle_stop(&connection->flush);
    while ((count = gather(connection, pieces, &size)) > 0) {
        int result = uv_try_write(&connection->stream, pieces, count);
        if (result > 0) {
            consume(connection, (size_t)result);
        }
        if (result == (int)size) {
            continue;
        }
        if (result >= 0 || result == UV_EAGAIN) {
            count = gather(connection, pieces, &connection->in_flight);
            result = uv_write(&connection->write, &connection->stream, pieces, count, on_written);
        }
        if (result < 0) {
            connection->in_flight = 0;
            on_write_failed(connection, result);
        }
        return;
    }
    on_all_written(connection, true);
}

static void on_flush(uv_idle_t *idle)
{
    struct osr_tcp *connection = idle->data;

    if (connection->queue_count > 0) {
        write_queue(connection);
    } else {
        uv_idle_stop(&connection->flush);
        on_all_written(connection, false);
    }
}

static void schedule_flush(struct osr_tcp *connection)
{
    bool is_wanted =
        connection->queue_count > 0 || (connection->end_wanted && !connection->shutdown_begun);
    if (connection->up && is_wanted && connection->in_flight == 0) {
        uv_idle_start(&connection->flush, on_flush);
    }
}

/* A place at the queue's end: the front's free places are used up before it grows. */
static struct osr_buffer *queue_place(struct osr_tcp *connection)
{
    if (connection->queue_first + connection->queue_count == connection->queue_capacity) {
        if (connection->queue_first > connection->queue_capacity / 2) {
            memmove(connection->queue, connection->queue + connection->queue_first,
                    connection->queue_count * sizeof *connection->queue);
            connection->queue_first = 0;
        } else {
            size_t capacity = connection->queue_capacity * 2;
            connection->queue_capacity = capacity < QUEUE_PIECES_MIN ? QUEUE_PIECES_MIN : capacity;
            connection->queue = osr_realloc(connection->queue,
                                            connection->queue_capacity * sizeof *connection->queue);
        }
    }
    return &connection->queue[connection->queue_first + connection->queue_count++];
}

static void tcp_write(struct osr_connection *base, struct osr_buffer *buffer)
{
    struct osr_tcp *connection = (struct osr_tcp *)base;

    if (connection->gone || connection->closing || connection->write_failed || buffer->size == 0) {
        osr_buffer_done(buffer);
        return;
    }
    assert(!connection->end_wanted);
    connection->queued += buffer->size;
    *queue_place(connection) = *buffer;
    *buffer = (struct osr_buffer){0};
    schedule_flush(connection);
}

static void tcp_flush(struct osr_connection *base)
{
    struct osr_tcp *connection = (struct osr_tcp *)base;

    if (uv_is_active((uv_handle_t *)&connection->flush)) {
        on_flush(&connection->flush);
    }
}

static size_t tcp_queued(const struct osr_connection *base)
{
    const struct osr_tcp *connection = (const struct osr_tcp *)base;

    return connection->gone ? 0 : connection->queued;
}

static void tcp_end(struct osr_connection *base)
{
    struct osr_tcp *connection = (struct osr_tcp *)base;

    if (connection->gone || connection->write_failed || connection->end_wanted) {
        return;
    }
    connection->end_wanted = true;
    schedule_flush(connection);
}

/* -- reading -- */

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_room)
{
    struct osr_tcp *connection = handle->data;

    if (connection->closing) {
        /* Read and thrown away until the other side closes, too. */
        static _Thread_local uint8_t *ignored;
        *ret_room = uv_buf_init(osr_thread_room(&ignored, IGNORED_AT_ONCE), IGNORED_AT_ONCE);
        return;
    }
    size_t size = 0;
    uint8_t *room = connection->base.handler->on_room(connection->base.context, suggested, &size);
    assert(room != NULL && size > 0);
    ret_room->base = (char *)room;
    ret_room->len = size;
}

static void on_read_ended(struct osr_tcp *connection)
{
    bool tells = !connection->closing && !connection->write_failed;

    connection->read_ended = true;
    uv_read_stop(&connection->stream);
    if (tells) {
        osr_connection_tell_end(&connection->base);
    }
    if (connection->write_ended || connection->write_failed) {
        close_handles(connection);
    }
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *room)
{
    struct osr_tcp *connection = stream->data;
    (void)room;

    if (size > 0) {
        if (!connection->closing) {
            connection->base.handler->on_read(connection->base.context, &connection->base,
                                              (size_t)size);
        } else if ((connection->ignored += (size_t)size) > OSR_CONNECTION_CLOSE_BYTES) {
            close_handles(connection);
        }
    } else if (size == UV_EOF) {
        on_read_ended(connection);
    } else if (size < 0) {
        note_status(connection, (int)size, "cannot read");
        close_handles(connection);
    }
}

static void apply_reading(struct osr_tcp *connection)
{
    if (!connection->up || connection->gone || connection->read_ended) {
        return;
    }
    if (connection->read_wanted || connection->closing) {
        uv_read_start(&connection->stream, on_room, on_read);
    } else {
        uv_read_stop(&connection->stream);
    }
}

static void tcp_read(struct osr_connection *base, bool on)
{
    struct osr_tcp *connection = (struct osr_tcp *)base;

    connection->read_wanted = on;
    apply_reading(connection);
}

/* -- opening and closing -- */

void osr_tcp_up(struct osr_tcp *connection)
{
    connection->up = true;
    uv_timer_stop(&connection->timer);
    if (!connection->is_unix) {
        uv_tcp_nodelay(&connection->tcp, 1);
        uv_tcp_keepalive(&connection->tcp, 1, OSR_TCP_KEEPALIVE_S);
    }
    apply_reading(connection);
    schedule_flush(connection);
}

static void tcp_accept(struct osr_connection *base)
{
    osr_tcp_up((struct osr_tcp *)base);
}

static void close_at_once(struct osr_tcp *connection)
{
    struct osr_err err;

    reset_on_close(connection);
    osr_err_set(&err, OSR_CANCELLED, "%s: closed from this side", connection->base.url);
    osr_tcp_fail(connection, &err);
}

static void tcp_close(struct osr_connection *base, bool reset)
{
    struct osr_tcp *connection = (struct osr_tcp *)base;

    if (connection->gone || (connection->closing && !reset)) {
        return;
    }
    connection->closing = true;
    if (reset || !connection->up) {
        close_at_once(connection);
    } else if (connection->write_failed || (connection->read_ended && connection->write_ended)) {
        close_handles(connection);
    } else {
        connection->end_wanted = true;
        apply_reading(connection);
        schedule_flush(connection);
        uv_timer_start(&connection->timer, on_deadline, OSR_CONNECTION_CLOSE_MS, 0);
    }
}

static const struct osr_connection_kind tcp_kind = {
    .accept = tcp_accept,
    .write = tcp_write,
    .flush = tcp_flush,
    .queued = tcp_queued,
    .read = tcp_read,
    .end = tcp_end,
    .close = tcp_close,
};

struct osr_tcp *osr_tcp_make(uv_loop_t *loop, bool is_unix, const char *url)
{
    struct osr_tcp *connection = osr_alloc(sizeof *connection);

    connection->base.kind = &tcp_kind;
    connection->base.url = osr_strdup(url);
    connection->loop = loop;
    connection->is_unix = is_unix;
    connection->read_wanted = true;
    osr_tcp_open_stream(connection);
    uv_idle_init(loop, &connection->flush);
    connection->flush.data = connection;
    uv_timer_init(loop, &connection->timer);
    connection->timer.data = connection;
    connection->handles_open += 2;
    return connection;
}
