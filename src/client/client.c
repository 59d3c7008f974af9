/* One connection, a map from a call's number to the call, and a protocol that makes bytes of
 * requests and replies of bytes (client_internal.h). */
#include "client/client_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "adapter/clock.h"
#include "base/map.h"
#include "client/wakeup.h"

enum { RECEIVE_BYTES = 64 << 10 };

/* ---- calls ---- */

static struct osr_slice call_key(const uint64_t *number)
{
    return osr_slice(number, sizeof(*number));
}

struct osr_client_call *osr_client_find_call(const struct osr_client *client, uint64_t number)
{
    return osr_map_get(client->calls, call_key(&number));
}

size_t osr_client_outstanding(const struct osr_client *client)
{
    return osr_map_count(client->calls);
}

static void forget_call(struct osr_client *client, struct osr_client_call *call)
{
    client->protocol->forget(client->state, call);
    osr_map_remove(client->calls, call_key(&call->number));
    free(call);
}

void osr_client_cancel(struct osr_client *client, uint64_t number)
{
    struct osr_client_call *call = osr_client_find_call(client, number);
    if (call != NULL) {
        forget_call(client, call);
    }
}

bool osr_client_tell_reply(struct osr_client *client, struct osr_client_call *call,
                           struct osr_slice reply)
{
    client->delivering = true;
    int stop = call->handler.on_reply(call->handler.context, reply);
    client->delivering = false;
    if (stop != 0) {
        forget_call(client, call);
    }
    return stop == 0;
}

void osr_client_tell_end(struct osr_client *client, struct osr_client_call *call,
                         const struct osr_client_failure *failure)
{
    const struct osr_client_handler handler = call->handler;
    forget_call(client, call);
    client->delivering = true;
    handler.on_end(handler.context, failure);
    client->delivering = false;
}

void osr_client_tell_error(struct osr_client *client, struct osr_client_call *call,
                           const struct osr_err *err)
{
    const struct osr_client_failure failure = {.err = *err};
    osr_client_tell_end(client, call, &failure);
}

int osr_client_err_late(struct osr_err *err)
{
    osr_err_set(err, OSR_TIMEOUT, "the instance did not answer in time");
    osr_err_hint(err, "what was asked for may have been done all the same");
    return OSR_TIMEOUT;
}

/* ---- the connection's end ---- */

static int fail_with_earlier(const struct osr_client *client, struct osr_err *err)
{
    if (err != NULL) {
        *err = client->failure.err;
    }
    return client->failure.err.code;
}

static bool has_failed(const struct osr_client *client)
{
    return client->failure.err.code != OSR_OK;
}

/* The connection is of no more use: every call under way ends with what stands in `failure`. */
static int end_connection(struct osr_client *client, struct osr_err *err)
{
    assert(has_failed(client));
    size_t cursor = 0;
    struct osr_slice number;
    void *call;
    while (osr_map_next(client->calls, &cursor, &number, &call)) {
        osr_client_tell_end(client, call, &client->failure);
    }
    return fail_with_earlier(client, err);
}

static void set_connection_lost(struct osr_client *client, int errno_value)
{
    struct osr_err *err = &client->failure.err;
    if (errno_value == 0 || errno_value == ECONNRESET || errno_value == EPIPE) {
        osr_err_set(err, OSR_UNAVAILABLE, "the instance closed the connection");
    } else {
        osr_err_errno(err, OSR_IO, errno_value, "connection to the instance");
    }
    osr_err_hint(err, "see what osirisd has to say, then try again");
}

/* ---- bytes ---- */

static bool is_transient(int errno_value)
{
    return errno_value == EAGAIN || errno_value == EWOULDBLOCK || errno_value == EINTR;
}

static bool has_unsent(const struct osr_client *client)
{
    return client->unsent.size > client->unsent_at;
}

static void send_some(struct osr_client *client)
{
    struct osr_buffer *unsent = &client->unsent;
    if (client->fd < 0) {
        return;
    }
    client->protocol->produce(client->state, unsent);
    if (!has_unsent(client)) {
        return;
    }
    ssize_t sent = send(client->fd, unsent->data + client->unsent_at,
                        unsent->size - client->unsent_at, MSG_NOSIGNAL);
    if (sent < 0 && is_transient(errno)) {
        return;
    }
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) {
        /* What made the instance hang up may still stand in the input: it explains more. */
        unsent->size = client->unsent_at = 0;
        return;
    }
    if (sent < 0) {
        set_connection_lost(client, errno);
        return;
    }
    client->unsent_at += (size_t)sent;
    /* Moving bytes to the front costs no more than sending them did. */
    if (client->unsent_at >= unsent->size / 2) {
        osr_buffer_consume(unsent, client->unsent_at);
        client->unsent_at = 0;
    }
}

static void receive_some(struct osr_client *client)
{
    uint8_t *room = client->protocol->room(client->state, RECEIVE_BYTES);
    ssize_t received = recv(client->fd, room, RECEIVE_BYTES, 0);
    if (received > 0) {
        client->protocol->received(client->state, (size_t)received);
    } else if (received == 0) {
        set_connection_lost(client, 0);
    } else if (!is_transient(errno)) {
        set_connection_lost(client, errno);
    }
}

/* ---- connecting ---- */

static void end_dial(struct osr_client *client)
{
    osr_dial_destroy(client->dial);
    client->dial = NULL;
}

/* Goes on with the connection that is being made. */
static int advance_dial(struct osr_client *client, struct osr_err *err)
{
    int code = osr_dial_step(client->dial, &client->fd, err);
    if (code != OSR_OK) {
        end_dial(client);
        osr_target_explain(client->target, err);
    } else if (client->fd >= 0) {
        end_dial(client);
        send_some(client);
    }
    return code;
}

static int start_dial(struct osr_client *client, uint32_t timeout_ms, struct osr_err *err)
{
    int code = osr_dial_start(&client->target->url, timeout_ms, &client->dial, err);
    return code == OSR_OK ? advance_dial(client, err) : code;
}

/* tcp:// speaks frames, and so does what names their encoding; all else gRPC. */
static const struct osr_client_protocol *protocol_of(const struct osr_url *url)
{
    bool is_frames = strcmp(url->scheme, "tcp") == 0 || osr_url_parameter(url, "codec") != NULL;
    return is_frames ? &osr_client_frames : &osr_client_grpc;
}

int osr_client_open(const struct osr_target *target, uint32_t timeout_ms,
                    struct osr_client **ret_client, struct osr_err *err)
{
    struct osr_client *client = osr_alloc(sizeof(*client));
    client->target = target;
    client->fd = -1;
    client->protocol = protocol_of(&target->url);
    /* The keys are our own counter: nobody else can choose colliding ones. */
    client->calls = osr_map_create(0);
    int code = client->protocol->create(client, &target->url, &client->state, err);
    if (code != OSR_OK) {
        goto fail_create;
    }
    code = start_dial(client, timeout_ms, err);
    if (code != OSR_OK) {
        goto fail_dial;
    }
    *ret_client = client;
    return OSR_OK;

fail_dial:
    client->protocol->destroy(client->state);
fail_create:
    osr_map_destroy(client->calls);
    free(client);
    return code;
}

void osr_client_close(struct osr_client *client)
{
    if (client == NULL) {
        return;
    }
    client->failure.err.code = OSR_CANCELLED; /* nobody is told of what ends now */
    client->protocol->destroy(client->state);
    osr_dial_destroy(client->dial);
    if (client->fd >= 0) {
        close(client->fd);
    }
    size_t cursor = 0;
    struct osr_slice number;
    void *call;
    while (osr_map_next(client->calls, &cursor, &number, &call)) {
        free(call);
    }
    osr_map_destroy(client->calls);
    osr_buffer_done(&client->unsent);
    free(client);
}

bool osr_client_is_connected(const struct osr_client *client)
{
    return client->fd >= 0 && !has_failed(client);
}

/* ---- requests ---- */

int osr_client_send(struct osr_client *client, const struct osr_method *method,
                    struct osr_slice request, uint64_t deadline_ms,
                    const struct osr_client_handler *handler, uint64_t *ret_number,
                    struct osr_err *err)
{
    assert(!client->delivering);
    if (has_failed(client)) {
        return fail_with_earlier(client, err);
    }
    if (osr_map_count(client->calls) >= OSR_CLIENT_OUTSTANDING_MAX) {
        return (int)osr_err_set(err, OSR_BUSY, "%d calls are under way",
                                OSR_CLIENT_OUTSTANDING_MAX);
    }

    struct osr_client_call *call = osr_alloc(sizeof(*call));
    call->number = ++client->last_number;
    call->method = method;
    call->deadline_ms = deadline_ms;
    call->handler = *handler;
    int code = client->protocol->send(client->state, call, request, err);
    if (code != OSR_OK) {
        free(call);
        return code;
    }
    osr_map_put(client->calls, call_key(&call->number), call);
    *ret_number = call->number;
    /* The instance can begin while the caller prepares more. A failure is told by the next step. */
    send_some(client);
    return OSR_OK;
}

/* ---- steps ---- */

/* What a wait is for, on the connection's side. */
static struct pollfd own_wait(struct osr_client *client, uint64_t *ret_until_ms)
{
    if (client->dial != NULL) {
        return osr_dial_wait(client->dial, ret_until_ms);
    }
    client->protocol->produce(client->state, &client->unsent);
    *ret_until_ms = client->protocol->deadline_ms(client->state);
    return (struct pollfd){.fd = client->fd,
                           .events = (short)(POLLIN | (has_unsent(client) ? POLLOUT : 0))};
}

static void move_bytes(struct osr_client *client, short events)
{
    if ((events & POLLOUT) != 0) {
        send_some(client);
    }
    if ((events & ~POLLOUT) != 0 && !has_failed(client)) {
        receive_some(client);
    }
}

/* Waits for something to happen and carries it out; a failure stands in client->failure. */
static void wait_once(struct osr_client *client, struct pollfd *others, size_t count,
                      uint64_t deadline_ms)
{
    struct pollfd waited[1 + OSR_CLIENT_OTHERS_MAX];
    uint64_t until_ms;
    waited[0] = own_wait(client, &until_ms);
    for (size_t i = 0; i < count; i++) {
        waited[1 + i] = others[i];
    }
    until_ms = until_ms < deadline_ms ? until_ms : deadline_ms;
    int ready = poll(waited, (nfds_t)(1 + count), osr_wakeup_timeout(until_ms));
    if (ready < 0 && errno != EINTR) {
        osr_err_errno(&client->failure.err, OSR_INTERNAL, errno, "poll");
    }
    if (ready < 0) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        others[i].revents = waited[1 + i].revents;
    }
    if (client->dial != NULL) {
        client->failure.is_unprocessed =
            advance_dial(client, &client->failure.err) != OSR_OK; /* nothing was sent */
    } else {
        move_bytes(client, waited[0].revents);
    }
}

int osr_client_step(struct osr_client *client, struct pollfd *others, size_t count,
                    uint64_t deadline_ms, struct osr_err *err)
{
    assert(!client->delivering && count <= OSR_CLIENT_OTHERS_MAX);
    bool any = false;
    if (!has_failed(client)) {
        client->protocol->handle(client->state, &any);
    }
    if (!has_failed(client) && !any) {
        wait_once(client, others, count, deadline_ms);
    }
    return has_failed(client) ? end_connection(client, err) : OSR_OK;
}

bool osr_client_is_alive(struct osr_client *client)
{
    assert(!client->delivering && osr_map_count(client->calls) == 0);
    while (client->dial == NULL && !has_failed(client)) {
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
    return !has_failed(client);
}
