/* One connection, a map from request_id to the call that waits for it, a protocol that makes bytes
 * of requests and replies of bytes (client_internal.h), and a
 * pipe that osr_client_interrupt writes to (wakeup.h). */
#include "client/client_internal.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "adapter/clock.h"
#include "adapter/dial.h"
#include "base/map.h"

enum { RECEIVE_BYTES = 64 << 10 };

/* tcp:// speaks frames, and so does what names their encoding; all else gRPC. */
static const struct osr_client_protocol *protocol_of(const struct osr_url *url)
{
    bool is_frames = strcmp(url->scheme, "tcp") == 0 || osr_url_parameter(url, "codec") != NULL;
    return is_frames ? &osr_client_frames : &osr_client_grpc;
}

int osr_client_connect(const struct osr_url *url, uint32_t timeout_ms,
                       struct osr_client **ret_client, struct osr_err *err)
{
    struct osr_wakeup interrupt;
    int code = osr_wakeup_open(&interrupt, err);
    if (code != OSR_OK) {
        return code;
    }

    int fd;
    code = osr_dial_blocking(url, timeout_ms, &fd, err);
    if (code != OSR_OK) {
        goto fail_dial;
    }

    struct osr_client *client = osr_alloc(sizeof(*client));
    client->fd = fd;
    client->interrupt = interrupt;
    client->protocol = protocol_of(url);
    /* The keys are our own counter: nobody else can choose colliding ones. */
    client->calls = osr_map_create(0);
    code = client->protocol->create(client, url, &client->state, err);
    if (code != OSR_OK) {
        goto fail_create;
    }
    *ret_client = client;
    return OSR_OK;

fail_create:
    osr_map_destroy(client->calls);
    free(client);
    close(fd);
fail_dial:
    osr_wakeup_close(&interrupt);
    return code;
}

void osr_client_close(struct osr_client *client)
{
    if (client == NULL) {
        return;
    }
    client->failure.code = OSR_CANCELLED; /* nobody is told of what ends now */
    client->protocol->destroy(client->state);
    close(client->fd);
    osr_wakeup_close(&client->interrupt);
    size_t cursor = 0;
    struct osr_slice request_id;
    void *call;
    while (osr_map_next(client->calls, &cursor, &request_id, &call)) {
        free(call);
    }
    osr_map_destroy(client->calls);
    osr_buffer_done(&client->unsent);
    free(client);
}

void osr_client_interrupt(struct osr_client *client)
{
    osr_wakeup_raise(&client->interrupt);
}

size_t osr_client_outstanding(const struct osr_client *client)
{
    return osr_map_count(client->calls);
}

static struct osr_slice call_key(const uint64_t *request_id)
{
    return osr_slice(request_id, sizeof(*request_id));
}

struct osr_client_call *osr_client_find_call(const struct osr_client *client, uint64_t request_id)
{
    return osr_map_get(client->calls, call_key(&request_id));
}

static void forget_call(struct osr_client *client, struct osr_client_call *call)
{
    client->protocol->forget(client->state, call);
    osr_map_remove(client->calls, call_key(&call->request_id));
    free(call);
}

void osr_client_deliver(struct osr_client *client, struct osr_client_call *call,
                        const Osr__Frame *frame, const struct osr_err *err)
{
    uint64_t request_id = call->request_id;
    client->delivering = true;
    int cancelled = call->on_reply(call->context, frame, err);
    client->delivering = false;
    client->is_unprocessed = false;
    if (cancelled != 0 || err != NULL || frame->end) {
        forget_call(client, osr_client_find_call(client, request_id));
    }
}

void osr_client_cancel(struct osr_client *client, uint64_t request_id)
{
    struct osr_client_call *call = osr_client_find_call(client, request_id);
    if (call != NULL) {
        forget_call(client, call);
    }
}

bool osr_client_is_unprocessed(const struct osr_client *client)
{
    return client->is_unprocessed;
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
        osr_client_deliver(client, call, NULL, &client->failure);
    }
    return fail_with_earlier(client, err);
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
    client->protocol->produce(client->state, unsent);
    if (unsent->size == client->unsent_at) {
        return OSR_OK;
    }
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

    struct osr_client_call *call = osr_alloc(sizeof(*call));
    call->request_id = ++client->last_request_id;
    call->on_reply = on_reply;
    call->context = context;
    int code = client->protocol->send(client->state, call, request, err);
    if (code != OSR_OK) {
        free(call);
        return code;
    }
    osr_map_put(client->calls, call_key(&call->request_id), call);
    /* The instance can begin while the caller prepares more. A failure is told by the next run. */
    send_some(client);
    return OSR_OK;
}

static int receive_some(struct osr_client *client)
{
    uint8_t *room = client->protocol->room(client->state, RECEIVE_BYTES);
    ssize_t received = recv(client->fd, room, RECEIVE_BYTES, MSG_DONTWAIT);
    if (received > 0) {
        client->protocol->received(client->state, (size_t)received);
    } else if (received == 0) {
        return set_connection_lost(client, 0);
    } else if (!is_transient(errno)) {
        return set_connection_lost(client, errno);
    }
    return OSR_OK;
}

/* What one wait is for, and what came of it. */
struct waiting {
    int extra_fd; /* -1: none */
    bool extra_readable;
    bool moved; /* bytes went out or came in */
};

/* Waits for something to happen and carries it out. Errors other than CANCELLED and TIMEOUT are
 * in client->failure too. */
static int wait_once(struct osr_client *client, struct waiting *waiting, uint64_t deadline_ms,
                     struct osr_err *err)
{
    client->protocol->produce(client->state, &client->unsent);
    uint64_t due_ms = client->protocol->deadline_ms(client->state);
    uint64_t until_ms = due_ms < deadline_ms ? due_ms : deadline_ms;
    bool has_unsent = client->unsent.size > client->unsent_at;
    struct pollfd fds[3] = {
        {.fd = client->interrupt.read_fd, .events = POLLIN},
        {.fd = client->fd, .events = (short)(POLLIN | (has_unsent ? POLLOUT : 0))},
        {.fd = waiting->extra_fd, .events = POLLIN}, /* poll() passes over -1 */
    };
    int ready = poll(fds, 3, osr_wakeup_timeout(until_ms));
    if (ready < 0) {
        if (errno == EINTR) {
            return OSR_OK;
        }
        osr_err_errno(&client->failure, OSR_INTERNAL, errno, "poll");
        return end_connection(client, err);
    }
    if (ready == 0 && due_ms < deadline_ms) {
        return OSR_OK;
    }
    if (ready == 0) {
        return osr_err_set(err, OSR_TIMEOUT, "the instance did not answer in time");
    }
    if (fds[0].revents != 0) {
        osr_wakeup_take(&client->interrupt);
        return osr_err_set(err, OSR_CANCELLED, "interrupted");
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
        if (client->protocol->handle(client->state, &any) != OSR_OK) {
            return end_connection(client, err);
        }
        if (any) {
            continue;
        }
        int code = wait_once(client, &waiting, deadline_ms, err);
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

int osr_client_step(struct osr_client *client, int fd, uint64_t deadline_ms, struct osr_err *err)
{
    assert(!client->delivering);
    bool any = false;
    if (client->failure.code != OSR_OK || client->protocol->handle(client->state, &any) != OSR_OK) {
        return end_connection(client, err);
    }
    if (any) {
        return OSR_OK;
    }
    struct waiting waiting = {.extra_fd = fd};
    int code = wait_once(client, &waiting, deadline_ms, err);
    return code == OSR_TIMEOUT ? OSR_OK : code;
}

bool osr_client_is_alive(struct osr_client *client)
{
    assert(!client->delivering && osr_map_count(client->calls) == 0);
    while (client->failure.code == OSR_OK) {
        bool any;
        if (client->protocol->handle(client->state, &any) != OSR_OK) {
            break;
        }
        struct pollfd readable = {.fd = client->fd, .events = POLLIN};
        if (!any && poll(&readable, 1, 0) <= 0) {
            return true;
        }
        if (!any) {
            receive_some(client); /* a loss stands in client->failure */
        }
    }
    return false;
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
    osr_client_cancel(client, request->request_id);
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
