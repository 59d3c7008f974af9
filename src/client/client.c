/* One connection, a map from a call's number to the call, and a protocol that makes bytes of
 * requests and replies of bytes (client_internal.h). */
#include "client/client_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

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

/* Requests are on their way, or would be. */
static bool is_ready(const struct osr_client *client)
{
    return client->is_checked && client->protocol->is_ready(client->state);
}

/* The connection is of no more use: every call under way ends with what stands in `failure`. */
static int end_connection(struct osr_client *client, struct osr_err *err)
{
    assert(has_failed(client));
    client->failure.is_unprocessed = !is_ready(client); /* nothing was sent yet */
    size_t cursor = 0;
    struct osr_slice number;
    void *call;
    while (osr_map_next(client->calls, &cursor, &number, &call)) {
        osr_client_tell_end(client, call, &client->failure);
    }
    return fail_with_earlier(client, err);
}

/* ---- bytes ---- */

static void produce(struct osr_client *client)
{
    struct osr_buffer *output = client->is_checked ? osr_channel_output(client->channel) : NULL;
    if (output != NULL) {
        client->protocol->produce(client->state, output);
    }
}

static void send_some(struct osr_client *client)
{
    if (client->channel != NULL) {
        produce(client);
        osr_channel_send(client->channel, &client->failure.err);
    }
}

/* Nothing that a caller wants to say is said before. */
static int check_instance(struct osr_client *client, struct osr_err *err)
{
    if (client->is_checked || !osr_channel_is_up(client->channel)) {
        return OSR_OK;
    }
    int code =
        osr_client_trust_check_server(&client->target->url, osr_channel_peer(client->channel), err);
    client->is_checked = code == OSR_OK;
    return code;
}

static int receive_piece(struct osr_client *client, struct osr_err *err)
{
    size_t size;
    uint8_t *room = client->protocol->room(client->state, RECEIVE_BYTES);
    int code = osr_channel_receive(client->channel, room, RECEIVE_BYTES, &size, err);
    if (code == OSR_OK) {
        code = check_instance(client, err);
    }
    if (code == OSR_OK && size > 0) {
        client->protocol->received(client->state, size);
    }
    return code;
}

static void receive_some(struct osr_client *client)
{
    int code;
    do {
        code = receive_piece(client, &client->failure.err);
    } while (code == OSR_OK && osr_channel_has_more(client->channel));
}

/* ---- connecting ---- */

static void end_dial(struct osr_client *client)
{
    osr_dial_destroy(client->dial);
    client->dial = NULL;
}

/* The socket moves to the client. */
static void open_channel(struct osr_client *client, int fd)
{
    client->channel = osr_channel_create(fd, client->security);
    client->is_checked = client->security == NULL; /* else by what the handshake shows */
    send_some(client);
}

/* Goes on with the connection that is being made. */
static int advance_dial(struct osr_client *client, struct osr_err *err)
{
    int fd;
    int code = osr_dial_step(client->dial, &fd, err);
    if (code != OSR_OK) {
        end_dial(client);
        osr_target_explain(client->target, err);
    } else if (fd >= 0) {
        end_dial(client);
        open_channel(client, fd);
    }
    return code;
}

static int start_dial(struct osr_client *client, uint32_t timeout_ms, struct osr_err *err)
{
    client->connect_end_ms = osr_monotonic_ms() + timeout_ms;
    int code = osr_dial_start(&client->target->url, timeout_ms, &client->dial, err);
    return code == OSR_OK ? advance_dial(client, err) : code;
}

int osr_client_open(const struct osr_target *target, uint32_t timeout_ms,
                    struct osr_client **ret_client, struct osr_err *err)
{
    struct osr_tls_context *security;
    int code = osr_client_trust_security(target->trust, &target->url, &security, err);
    if (code != OSR_OK) {
        return code;
    }
    struct osr_client *client = osr_alloc(sizeof(*client));
    client->target = target;
    client->security = osr_tls_context_hold(security);
    client->protocol =
        osr_target_speaks_frames(&target->url) ? &osr_client_frames : &osr_client_grpc;
    /* The keys are our own counter: nobody else can choose colliding ones. */
    client->calls = osr_map_create(0);
    code = client->protocol->create(client, &client->state, err);
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
    osr_tls_context_release(client->security);
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
    osr_channel_destroy(client->channel);
    size_t cursor = 0;
    struct osr_slice number;
    void *call;
    while (osr_map_next(client->calls, &cursor, &number, &call)) {
        free(call);
    }
    osr_map_destroy(client->calls);
    osr_tls_context_release(client->security);
    free(client);
}

bool osr_client_is_connected(const struct osr_client *client)
{
    return is_ready(client) && !has_failed(client);
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
    produce(client);
    *ret_until_ms = client->protocol->deadline_ms(client->state);
    if (!is_ready(client) && client->connect_end_ms < *ret_until_ms) {
        *ret_until_ms = client->connect_end_ms;
    }
    return osr_channel_wait(client->channel);
}

/* Whoever answers the dial may still be silent, or no instance at all. */
static void end_late_greeting(struct osr_client *client)
{
    struct osr_err *err = &client->failure.err;
    if (client->channel == NULL || is_ready(client) || has_failed(client) ||
        osr_monotonic_ms() < client->connect_end_ms) {
        return;
    }
    osr_err_set(err, OSR_TIMEOUT, "%s: connected, but %s", client->target->url.text,
                client->is_checked ? "the token was not answered"
                                   : "the TLS handshake was not answered");
    osr_err_hint(err, "see whether osirisd listens there, and what it has to say");
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
        advance_dial(client, &client->failure.err);
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
    end_late_greeting(client);
    return has_failed(client) ? end_connection(client, err) : OSR_OK;
}

bool osr_client_is_alive(struct osr_client *client)
{
    assert(!client->delivering && osr_map_count(client->calls) == 0);
    end_late_greeting(client);
    while (client->dial == NULL && !has_failed(client)) {
        bool any;
        if (client->protocol->handle(client->state, &any) != OSR_OK) {
            break;
        }
        struct pollfd readable = osr_channel_wait(client->channel);
        readable.events = POLLIN;
        if (!any && poll(&readable, 1, 0) <= 0) {
            return true;
        }
        if (!any) {
            receive_some(client); /* a loss stands in client->failure */
        }
    }
    return !has_failed(client);
}
