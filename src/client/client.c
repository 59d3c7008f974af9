/* One connection, a map from request_id to the call that waits for it, a buffer of bytes to be
 * sent, a stream of bytes received, and a pipe that osr_client_interrupt writes to, so that a
 * signal is never missed between a look at a flag and the wait in poll(). */
#include "client/client.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "adapter/clock.h"
#include "adapter/dial.h"
#include "base/map.h"
#include "model/limits.h"
#include "wire/stream.h"

enum { RECEIVE_BYTES = 64 << 10, ARENA_KEEP_BYTES = 1 << 20 };

struct call {
    uint64_t request_id;
    osr_client_reply *on_reply;
    void *context;
};

struct osr_client {
    int fd;
    int interrupt_read, interrupt_write;
    enum osr_codec codec;
    struct osr_stream received;
    struct osr_buffer unsent;
    size_t unsent_at;        /* bytes at the front of `unsent` that have been sent */
    struct osr_arena *arena; /* of the frame being delivered */
    struct osr_map *calls;   /* request_id -> struct call */
    uint64_t last_request_id;
    bool delivering;        /* an on_reply is being called */
    struct osr_err failure; /* what ended the connection; code OK while it stands */
};

static int codec_of(const struct osr_url *url, enum osr_codec *ret_codec, struct osr_err *err)
{
    const char *name = osr_url_parameter(url, "codec");
    if (name == NULL || strcmp(name, "protobuf") == 0) {
        *ret_codec = OSR_CODEC_PROTOBUF;
    } else if (strcmp(name, "json") == 0) {
        *ret_codec = OSR_CODEC_JSON;
    } else {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "%s: codec is json or protobuf", url->text);
    }
    return OSR_OK;
}

int osr_client_connect(const struct osr_url *url, uint32_t timeout_ms,
                       struct osr_client **ret_client, struct osr_err *err)
{
    enum osr_codec codec = OSR_CODEC_PROTOBUF;
    int code = codec_of(url, &codec, err);
    if (code != OSR_OK) {
        return code;
    }

    int interrupt_pipe[2];
    if (pipe2(interrupt_pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
        return osr_err_errno(err, OSR_IO, errno, "cannot make a pipe");
    }

    int fd;
    code = osr_dial_blocking(url, timeout_ms, &fd, err);
    if (code != OSR_OK) {
        goto fail_dial;
    }

    struct osr_client *client = osr_alloc(sizeof(*client));
    client->fd = fd;
    client->interrupt_read = interrupt_pipe[0];
    client->interrupt_write = interrupt_pipe[1];
    client->codec = codec;
    osr_stream_init(&client->received, codec, true, OSR_FRAME_BYTES_MAX);
    client->arena = osr_arena_create(ARENA_KEEP_BYTES, OSR_DECODE_BYTES_MAX);
    /* The keys are our own counter: nobody else can choose colliding ones. */
    client->calls = osr_map_create(0);
    *ret_client = client;
    return OSR_OK;

fail_dial:
    close(interrupt_pipe[0]);
    close(interrupt_pipe[1]);
    return code;
}

void osr_client_close(struct osr_client *client)
{
    if (client == NULL) {
        return;
    }
    close(client->fd);
    close(client->interrupt_read);
    close(client->interrupt_write);
    size_t cursor = 0;
    struct osr_slice request_id;
    void *call;
    while (osr_map_next(client->calls, &cursor, &request_id, &call)) {
        free(call);
    }
    osr_map_destroy(client->calls);
    osr_arena_destroy(client->arena);
    osr_stream_done(&client->received);
    osr_buffer_done(&client->unsent);
    free(client);
}

void osr_client_interrupt(struct osr_client *client)
{
    int saved_errno = errno;
    /* A full pipe has interrupts enough in it. */
    ssize_t written = write(client->interrupt_write, "!", 1);
    (void)written;
    errno = saved_errno;
}

size_t osr_client_outstanding(const struct osr_client *client)
{
    return osr_map_count(client->calls);
}

static struct osr_slice call_key(const uint64_t *request_id)
{
    return osr_slice(request_id, sizeof(*request_id));
}

/* NULL where no call has this id any more: it was cancelled. */
static struct call *find_call(const struct osr_client *client, uint64_t request_id)
{
    return osr_map_get(client->calls, call_key(&request_id));
}

static void forget_call(struct osr_client *client, struct call *call)
{
    osr_map_remove(client->calls, call_key(&call->request_id));
    free(call);
}

/* Tells one call about a reply or an error; ends it where that was the last. */
static void deliver(struct osr_client *client, struct call *call, const Osr__Frame *frame,
                    const struct osr_err *err)
{
    uint64_t request_id = call->request_id;
    client->delivering = true;
    int cancelled = call->on_reply(call->context, frame, err);
    client->delivering = false;
    if (cancelled != 0 || err != NULL || frame->end) {
        forget_call(client, find_call(client, request_id));
    }
}

static int fail_with_earlier(const struct osr_client *client, struct osr_err *err)
{
    if (err != NULL) {
        *err = client->failure;
    }
    return client->failure.code;
}

/* The connection is of no more use: every call under way ends with what stands in `failure`. */
static int end_connection(struct osr_client *client, struct osr_err *err)
{
    assert(client->failure.code != OSR_OK);
    size_t cursor = 0;
    struct osr_slice request_id;
    void *call;
    while (osr_map_next(client->calls, &cursor, &request_id, &call)) {
        deliver(client, call, NULL, &client->failure);
    }
    return fail_with_earlier(client, err);
}

static void error_of_frame(const Osr__Error *error, struct osr_err *ret_err)
{
    enum osr_code code = error->code == OSR__CODE__OK ? OSR_INTERNAL : (enum osr_code)error->code;
    osr_err_set(ret_err, code, "%s", error->message);
    if (error->hint[0] != '\0') {
        osr_err_hint(ret_err, "%s", error->hint);
    }
}

static void answer_ping(struct osr_client *client, const Osr__Ping *ping)
{
    Osr__Pong pong = OSR__PONG__INIT;
    pong.nonce = ping->nonce;
    Osr__Frame frame = OSR__FRAME__INIT;
    frame.body_case = OSR__FRAME__BODY_PONG;
    frame.pong = &pong;
    osr_stream_write(client->codec, &frame, &client->unsent);
}

/* Handles one frame. Anything but OK is in client->failure. */
static int handle_frame(struct osr_client *client, const Osr__Frame *frame)
{
    if (frame->body_case == OSR__FRAME__BODY_PING) {
        answer_ping(client, frame->ping);
        return OSR_OK;
    }
    bool is_error = frame->body_case == OSR__FRAME__BODY_ERROR;
    if (is_error && frame->request_id == 0) {
        error_of_frame(frame->error, &client->failure);
        return client->failure.code;
    }
    struct call *call = find_call(client, frame->request_id);
    if (call == NULL) {
        return OSR_OK; /* cancelled, or nothing that a caller asked for */
    }
    struct osr_err err;
    if (is_error) {
        error_of_frame(frame->error, &err);
        deliver(client, call, NULL, &err);
    } else {
        deliver(client, call, frame, NULL);
    }
    return OSR_OK;
}

/* An instance newer than this client may send types that it does not know: that ends the one
 * call which it answers, if it answers one. */
static void handle_unknown_type(struct osr_client *client, uint64_t request_id,
                                const struct osr_err *err)
{
    struct call *call = find_call(client, request_id);
    if (call != NULL) {
        deliver(client, call, NULL, err);
    }
}

/* Takes the next whole frame out of what was received; *ret_any tells whether there was one. */
static int handle_next(struct osr_client *client, bool *ret_any)
{
    struct osr_slice bytes;
    int code = osr_stream_next(&client->received, &bytes, &client->failure);
    *ret_any = code == OSR_OK && bytes.size > 0;
    if (!*ret_any) {
        return code;
    }
    osr_arena_reset(client->arena);
    Osr__Frame *frame;
    uint64_t request_id = 0;
    struct osr_err err;
    code = osr_frame_decode(client->codec, bytes, client->arena, &frame, &request_id, &err);
    if (code == OSR_UNKNOWN_TYPE) {
        handle_unknown_type(client, request_id, &err);
        return OSR_OK;
    }
    if (code != OSR_OK) {
        client->failure = err;
        return osr_err_prefix(&client->failure, "a reply of the instance");
    }
    return handle_frame(client, frame);
}

static bool is_transient(int errno_value)
{
    return errno_value == EAGAIN || errno_value == EWOULDBLOCK || errno_value == EINTR;
}

static int set_connection_lost(struct osr_client *client, int errno_value)
{
    if (errno_value == 0 || errno_value == ECONNRESET || errno_value == EPIPE) {
        osr_err_set(&client->failure, OSR_UNAVAILABLE, "the instance closed the connection");
    } else {
        osr_err_errno(&client->failure, OSR_IO, errno_value, "connection to the instance");
    }
    osr_err_hint(&client->failure, "see what osirisd has to say, then try again");
    return client->failure.code;
}

static int send_some(struct osr_client *client)
{
    struct osr_buffer *unsent = &client->unsent;
    ssize_t sent = send(client->fd, unsent->data + client->unsent_at,
                        unsent->size - client->unsent_at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
        if (is_transient(errno)) {
            return OSR_OK;
        }
        /* What made the instance hang up may still stand in the input: it explains more. */
        if (errno == EPIPE || errno == ECONNRESET) {
            unsent->size = client->unsent_at = 0;
            return OSR_OK;
        }
        return set_connection_lost(client, errno);
    }
    client->unsent_at += (size_t)sent;
    /* Moving bytes to the front costs no more than sending them did. */
    if (client->unsent_at >= unsent->size / 2) {
        osr_buffer_consume(unsent, client->unsent_at);
        client->unsent_at = 0;
    }
    return OSR_OK;
}

int osr_client_send(struct osr_client *client, Osr__Frame *request, osr_client_reply *on_reply,
                    void *context, struct osr_err *err)
{
    if (client->failure.code != OSR_OK) {
        return fail_with_earlier(client, err);
    }
    if (osr_map_count(client->calls) >= OSR_CLIENT_OUTSTANDING_MAX) {
        return osr_err_set(err, OSR_BUSY, "%d calls are under way", OSR_CLIENT_OUTSTANDING_MAX);
    }

    struct call *call = osr_alloc(sizeof(*call));
    call->request_id = ++client->last_request_id;
    call->on_reply = on_reply;
    call->context = context;
    osr_map_put(client->calls, call_key(&call->request_id), call);

    request->request_id = call->request_id;
    osr_stream_write(client->codec, request, &client->unsent);
    /* The instance can begin while the caller prepares more. A failure is told by the next run. */
    send_some(client);
    return OSR_OK;
}

static int receive_some(struct osr_client *client)
{
    struct osr_buffer *input = &client->received.input;
    uint8_t *room = osr_buffer_reserve(input, RECEIVE_BYTES);
    ssize_t received = recv(client->fd, room, RECEIVE_BYTES, MSG_DONTWAIT);
    if (received > 0) {
        input->size += (size_t)received;
    } else if (received == 0) {
        return set_connection_lost(client, 0);
    } else if (!is_transient(errno)) {
        return set_connection_lost(client, errno);
    }
    return OSR_OK;
}

/* -1: for ever. */
static int poll_timeout(uint64_t deadline_ms, uint64_t now)
{
    if (deadline_ms == UINT64_MAX) {
        return -1;
    }
    uint64_t left = deadline_ms > now ? deadline_ms - now : 0;
    return left > INT32_MAX ? INT32_MAX : (int)left;
}

static int take_interrupt(const struct osr_client *client, struct osr_err *err)
{
    char bytes[64];
    while (read(client->interrupt_read, bytes, sizeof(bytes)) > 0) {
    }
    return osr_err_set(err, OSR_CANCELLED, "interrupted");
}

/* What one wait is for, and what came of it. */
struct waiting {
    int extra_fd; /* -1: none */
    bool extra_readable;
    bool moved; /* bytes went out or came in */
};

/* Waits for something to happen and carries it out. Errors other than CANCELLED and TIMEOUT are
 * in client->failure too. */
static int wait_once(struct osr_client *client, struct waiting *waiting, int timeout,
                     struct osr_err *err)
{
    bool has_unsent = client->unsent.size > client->unsent_at;
    struct pollfd fds[3] = {
        {.fd = client->interrupt_read, .events = POLLIN},
        {.fd = client->fd, .events = (short)(POLLIN | (has_unsent ? POLLOUT : 0))},
        {.fd = waiting->extra_fd, .events = POLLIN}, /* poll() passes over -1 */
    };
    int ready = poll(fds, 3, timeout);
    if (ready < 0) {
        if (errno == EINTR) {
            return OSR_OK;
        }
        osr_err_errno(&client->failure, OSR_INTERNAL, errno, "poll");
        return end_connection(client, err);
    }
    if (ready == 0) {
        return osr_err_set(err, OSR_TIMEOUT, "the instance did not answer in time");
    }
    if (fds[0].revents != 0) {
        return take_interrupt(client, err);
    }
    waiting->moved = fds[1].revents != 0;
    waiting->extra_readable = fds[2].revents != 0;
    if ((fds[1].revents & POLLOUT) != 0 && send_some(client) != OSR_OK) {
        return end_connection(client, err);
    }
    if ((fds[1].revents & ~POLLOUT) != 0 && receive_some(client) != OSR_OK) {
        return end_connection(client, err);
    }
    return OSR_OK;
}

/* Runs until at most `outstanding` calls are under way or, if extra_fd is not -1, until that can
 * be read. */
static int run(struct osr_client *client, size_t outstanding, int extra_fd, uint32_t timeout_ms,
               struct osr_err *err)
{
    assert(!client->delivering);
    if (client->failure.code != OSR_OK) {
        return end_connection(client, err);
    }
    struct waiting waiting = {.extra_fd = extra_fd};
    uint64_t deadline_ms = timeout_ms == 0 ? UINT64_MAX : osr_monotonic_ms() + timeout_ms;
    while (extra_fd >= 0 ? !waiting.extra_readable : osr_map_count(client->calls) > outstanding) {
        bool any;
        if (handle_next(client, &any) != OSR_OK) {
            return end_connection(client, err);
        }
        if (any) {
            continue;
        }
        uint64_t now = deadline_ms == UINT64_MAX ? 0 : osr_monotonic_ms();
        int code = wait_once(client, &waiting, poll_timeout(deadline_ms, now), err);
        if (code != OSR_OK) {
            return code;
        }
        if (waiting.moved && timeout_ms != 0 && extra_fd < 0) {
            deadline_ms = osr_monotonic_ms() + timeout_ms;
        }
    }
    return OSR_OK;
}

int osr_client_run(struct osr_client *client, size_t outstanding, uint32_t timeout_ms,
                   struct osr_err *err)
{
    return run(client, outstanding, -1, timeout_ms, err);
}

int osr_client_run_until_readable(struct osr_client *client, int fd, uint32_t timeout_ms,
                                  struct osr_err *err)
{
    return run(client, 0, fd, timeout_ms, err);
}

/* osr_client_call's own reply handler: keeps the error apart from the frames. */
struct single_call {
    osr_client_reply *on_reply;
    void *context;
    int cancelled; /* what on_reply returned */
    struct osr_err error;
};

static int on_single_reply(void *context, const Osr__Frame *frame, const struct osr_err *err)
{
    struct single_call *single = context;
    if (err != NULL) {
        single->error = *err;
        return 0;
    }
    if (single->on_reply != NULL) {
        single->cancelled = single->on_reply(single->context, frame, NULL);
    }
    return single->cancelled;
}

int osr_client_call(struct osr_client *client, Osr__Frame *request, osr_client_reply *on_reply,
                    void *context, uint32_t timeout_ms, struct osr_err *err)
{
    assert(osr_client_outstanding(client) == 0);
    struct single_call single = {.on_reply = on_reply, .context = context};
    int code = osr_client_send(client, request, on_single_reply, &single, err);
    if (code != OSR_OK) {
        return code;
    }
    code = osr_client_run(client, 0, timeout_ms, err);
    /* TIMEOUT or CANCELLED leave the call under way, but `single` goes with this function. */
    struct call *call = find_call(client, request->request_id);
    if (call != NULL) {
        forget_call(client, call);
    }
    if (code != OSR_OK) {
        return code;
    }
    if (single.cancelled != 0) {
        return single.cancelled;
    }
    if (single.error.code != OSR_OK && err != NULL) {
        *err = single.error;
    }
    return single.error.code;
}
