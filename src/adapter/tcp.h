/* tcp.h -- a connection by TCP or a Unix socket from within: what dialling (tcp_dial.c),
 * listening (tcp_listen.c) and moving bytes (tcp.c) share. For these three alone, but for
 * osr_tcp_dial and osr_tcp_listen.
 *
 * Life of a connection: made -> (dialling) -> up -> gone. Each direction of an up one ends on
 * its own: reading with the other side's FIN, writing with our shutdown. When both have
 * ended, or on a failure, the handles are closed ("gone"), and the last one's close callback
 * calls on_close and frees.
 *
 * Invariants: `queued` is the sum of what stands in `queue` less `written`; a write request is
 * under way iff in_flight > 0; while something waits to be written and none is under way,
 * `flush` is active. */
#ifndef OSR_ADAPTER_TCP_H
#define OSR_ADAPTER_TCP_H

#include "adapter/connection.h"

enum {
    OSR_TCP_KEEPALIVE_S = 60,
    OSR_TCP_BACKLOG = 512,
};

struct osr_tcp_dial; /* tcp_dial.c's */

struct osr_tcp {
    struct osr_connection base; /* first */
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    uv_idle_t flush;  /* runs before the loop waits: one writev for all that came meanwhile */
    uv_timer_t timer; /* of dialling, later of closing */
    int handles_open;
    uv_loop_t *loop;
    bool is_unix;
    struct osr_tcp_dial *dial; /* NULL unless dialling */

    bool up;
    bool closing; /* osr_connection_close was called: the handler gets on_close alone */
    bool gone;    /* handles are being closed */

    size_t ignored; /* bytes that came after the close */

    bool read_wanted;
    bool read_ended;

    bool end_wanted; /* half-close once all is written */
    bool shutdown_begun;
    bool write_ended;
    bool write_failed;
    struct osr_buffer *queue; /* pieces not yet written, oldest at queue_first */
    size_t queue_first;
    size_t queue_count;
    size_t queue_capacity;
    size_t written;   /* bytes of the oldest piece */
    size_t queued;    /* bytes */
    size_t in_flight; /* bytes of `write` */
    uv_write_t write;
    uv_shutdown_t shutdown;
};

/* Promises as osr_transport_dial. */
int osr_tcp_dial(uv_loop_t *loop, const struct osr_url *url, uint32_t timeout_ms,
                 const struct osr_connection_handler *handler, void *context,
                 struct osr_connection **ret_connection, struct osr_err *err);

/* Promises as osr_transport_listen. */
int osr_tcp_listen(uv_loop_t *loop, const struct osr_url *url, struct osr_tls_context *security,
                   void (*on_accept)(void *context, struct osr_connection *connection),
                   void *context, struct osr_listener **ret_listener, struct osr_err *err);

/* A connection with its handles open. `url` is copied. */
struct osr_tcp *osr_tcp_make(uv_loop_t *loop, bool is_unix, const char *url);
/* The stream is connected: options are set, reading and writing begin. */
void osr_tcp_up(struct osr_tcp *connection);
/* Ends it with an error; later ones are ignored. */
void osr_tcp_fail(struct osr_tcp *connection, const struct osr_err *err);
/* (Re)makes the stream handle: at first, and for each further address that is tried. */
void osr_tcp_open_stream(struct osr_tcp *connection);
/* Close callback of each handle. */
void osr_tcp_handle_closed(uv_handle_t *handle);
/* Frees what tcp_dial.c holds; NULL is a no-op. */
void osr_tcp_dial_free(struct osr_tcp_dial *dial);

#endif
