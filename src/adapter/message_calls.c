#include "adapter/message_call.h"

#include <assert.h>
#include <stdlib.h>

/* ---- life ---- */

static size_t count_of(const struct osr_message_calls *calls)
{
    return calls->waiting.count + calls->running.count + calls->ending.count + calls->failed.count;
}

/* The bus is read while there is room. */
static void update_reading(struct osr_message_calls *calls)
{
    bool has_room =
        count_of(calls) < OSR_MESSAGE_CALLS_MAX && calls->body_bytes < OSR_MESSAGE_CALLS_BYTES_MAX;
    if (calls->is_closing || has_room == calls->is_reading) {
        return;
    }
    calls->is_reading = has_room;
    osr_bus_read(calls->bus, has_room);
}

static struct osr_message_call *first_with_replies(const struct osr_message_list *list)
{
    struct osr_message_call *call = list->first;
    while (call != NULL && call->first_reply == NULL) {
        call = call->next;
    }
    return call;
}

/* Looks from the beginning each time: what one of them says may close others. */
static void go_on_writing_all(struct osr_message_calls *calls)
{
    struct osr_message_call *call;
    do {
        call = first_with_replies(&calls->ending);
        call = call != NULL ? call : first_with_replies(&calls->running);
        if (call != NULL) {
            osr_message_call_go_on(call);
        }
    } while (call != NULL && call->first_reply == NULL);
}

/* ---- bodies ---- */

static bool accept_next(struct osr_message_calls *calls)
{
    struct osr_message_call *call = calls->waiting.first;
    if (call == NULL || calls->running.count + calls->ending.count >= OSR_MESSAGE_CALLS_MAX) {
        return false;
    }
    osr_message_list_remove(&calls->waiting, call);
    osr_message_list_append(&calls->running, call);
    calls->at_hand = call;
    calls->on_accept(calls->context, &call->base);
    return true;
}

/* A call that closes is at hand no more. */
static void give_bodies(struct osr_message_calls *calls)
{
    while (!calls->is_closing && (calls->at_hand != NULL || accept_next(calls))) {
        struct osr_message_call *call = calls->at_hand;
        if (call == NULL) {
            continue;
        }
        if (!call->read_wanted) {
            return;
        }
        osr_message_call_give(call);
    }
}

/* ---- the end of a call ---- */

static void on_pause_over(uv_timer_t *pause)
{
    struct osr_message_calls *calls = pause->data;
    while (calls->failed.first != NULL) {
        struct osr_message_call *call = calls->failed.first;
        osr_message_list_remove(&calls->failed, call);
        osr_message_list_append(&calls->waiting, call);
    }
    give_bodies(calls);
}

static void try_again_later(struct osr_message_call *call)
{
    struct osr_message_calls *calls = call->calls;
    osr_message_call_rewind(call);
    call->is_second = true;
    osr_message_list_append(&calls->failed, call);
    if (!uv_is_active((uv_handle_t *)&calls->pause)) {
        uv_timer_start(&calls->pause, on_pause_over, OSR_MESSAGE_CALLS_RETRY_MS, 0);
    }
}

/* Its connection is gone; the message stays, or goes. */
static void settle(struct osr_message_call *call)
{
    struct osr_message_calls *calls = call->calls;
    bool has_failed = call->result.code != OSR_OK;
    bool is_ours = !calls->is_closing && !osr_message_call_is_past(call);
    if (has_failed && is_ours && !call->is_second) {
        try_again_later(call);
        return;
    }
    if (has_failed && is_ours) {
        osr_trace(calls->trace, OSR_LEVEL_WARNING, "a request is given up at the second time: %s",
                  call->result.message);
    }
    if (is_ours && call->delivery != 0) {
        osr_bus_acknowledge(calls->bus, call->delivery);
    }
    osr_message_call_destroy(call);
}

static void end_calls(struct osr_message_calls *calls)
{
    struct osr_message_call *next;
    for (struct osr_message_call *call = calls->ending.first; call != NULL; call = next) {
        next = call->next;
        if (call->first_reply != NULL) {
            continue;
        }
        osr_message_list_remove(&calls->ending, call);
        if (call->base.handler != NULL) {
            call->base.handler->on_close(call->base.context, &call->base, &call->result);
        }
        settle(call);
    }
}

/* ---- the bus's events ---- */

static void on_message(void *context, struct osr_bus *bus, const struct osr_bus_message *message)
{
    struct osr_message_calls *calls = context;
    (void)bus;
    if (calls->is_closing) {
        return;
    }
    osr_message_list_append(&calls->waiting, osr_message_call_create(calls, message));
    give_bodies(calls);
    update_reading(calls);
}

static void on_up(void *context, struct osr_bus *bus)
{
    struct osr_message_calls *calls = context;
    osr_listener_report(&calls->base, NULL);
    osr_trace(calls->trace, OSR_LEVEL_INFO, "%s: takes requests", osr_bus_url(bus));
}

/* Those that have not begun, and will come again. */
static void forget_unbegun(struct osr_message_list *list)
{
    struct osr_message_call *next;
    for (struct osr_message_call *call = list->first; call != NULL; call = next) {
        next = call->next;
        if (call->delivery != 0) {
            osr_message_list_remove(list, call);
            osr_message_call_destroy(call);
        }
    }
}

static void on_down(void *context, struct osr_bus *bus, const struct osr_err *err)
{
    struct osr_message_calls *calls = context;
    calls->times_down++;
    osr_listener_report(&calls->base, err);
    osr_trace(calls->trace, OSR_LEVEL_WARNING, "%s: takes no requests: %s%s%s", osr_bus_url(bus),
              err->message, err->hint[0] != '\0' ? "; " : "", err->hint);
    forget_unbegun(&calls->waiting);
    forget_unbegun(&calls->failed);
    go_on_writing_all(calls);
    update_reading(calls);
}

static void forget_reader(struct osr_message_list *list, const char *address)
{
    for (struct osr_message_call *call = list->first; call != NULL; call = call->next) {
        if (call->reply_to != NULL && strcmp(call->reply_to, address) == 0) {
            free(call->reply_to);
            call->reply_to = NULL;
        }
    }
}

static void on_gone(void *context, struct osr_bus *bus, const char *address)
{
    struct osr_message_calls *calls = context;
    (void)bus;
    forget_reader(&calls->waiting, address);
    forget_reader(&calls->failed, address);
    forget_reader(&calls->running, address);
    forget_reader(&calls->ending, address);
    go_on_writing_all(calls);
}

static void on_drain(void *context, struct osr_bus *bus)
{
    (void)bus;
    go_on_writing_all(context);
}

/* ---- the listener ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct osr_message_calls *calls = handle->data;
    if (--calls->handles_open == 0) {
        free(calls->as);
        free(calls->base.url);
        free(calls);
    }
}

/* When neither the bus nor what came by it is there any more. */
static void free_if_done(struct osr_message_calls *calls)
{
    if (calls->bus != NULL || count_of(calls) > 0 ||
        uv_is_closing((const uv_handle_t *)&calls->turn)) {
        return;
    }
    uv_close((uv_handle_t *)&calls->turn, on_handle_closed);
    uv_close((uv_handle_t *)&calls->pause, on_handle_closed);
}

static void on_turn(uv_idle_t *turn)
{
    struct osr_message_calls *calls = turn->data;
    uv_idle_stop(turn);
    end_calls(calls);
    give_bodies(calls);
    update_reading(calls);
    free_if_done(calls);
}

void osr_message_calls_schedule(struct osr_message_calls *calls)
{
    uv_idle_start(&calls->turn, on_turn);
}

static void on_close(void *context, struct osr_bus *bus)
{
    struct osr_message_calls *calls = context;
    (void)bus;
    calls->bus = NULL;
    free_if_done(calls);
}

static void forget_all(struct osr_message_list *list)
{
    while (list->first != NULL) {
        struct osr_message_call *call = list->first;
        osr_message_list_remove(list, call);
        osr_message_call_destroy(call);
    }
}

static void drop_all_replies(const struct osr_message_list *list)
{
    for (struct osr_message_call *call = list->first; call != NULL; call = call->next) {
        osr_message_call_drop_replies(call);
    }
}

static void calls_close(struct osr_listener *listener)
{
    struct osr_message_calls *calls = (struct osr_message_calls *)listener;
    calls->is_closing = true;
    uv_timer_stop(&calls->pause);
    forget_all(&calls->waiting);
    forget_all(&calls->failed);
    drop_all_replies(&calls->running);
    drop_all_replies(&calls->ending);
    osr_bus_close(calls->bus);
    osr_message_calls_schedule(calls);
}

static void calls_secure(struct osr_listener *listener, struct osr_tls_context *security)
{
    (void)listener;
    (void)security; /* has none of its own: the bus does */
}

static void calls_guard(struct osr_listener *listener, struct osr_gate *gate)
{
    (void)listener;
    (void)gate; /* nobody shakes hands here */
}

static const struct osr_listener_kind calls_kind = {
    .close = calls_close,
    .secure = calls_secure,
    .guard = calls_guard,
};

int osr_message_calls_listen(uv_loop_t *loop, const struct osr_url *url, const char *name,
                             const struct osr_bus_keys *keys, const struct osr_trace *trace,
                             void (*on_accept)(void *context, struct osr_connection *connection),
                             void *context, struct osr_listener **ret_listener, struct osr_err *err)
{
    static const struct osr_bus_handler handler = {
        .on_up = on_up,
        .on_down = on_down,
        .on_message = on_message,
        .on_gone = on_gone,
        .on_drain = on_drain,
        .on_close = on_close,
    };
    const struct osr_bus_options options = {
        .loop = loop,
        .url = url,
        .role = OSR_BUS_CLIENTS,
        .name = name,
        .keys = keys,
        .trace = trace,
    };
    const char *as = osr_url_parameter(url, "as");
    struct osr_message_calls *calls = osr_alloc(sizeof(*calls));
    int code = osr_bus_open(&options, &handler, calls, &calls->bus, err);
    if (code != 0) {
        free(calls);
        return code;
    }
    calls->base.kind = &calls_kind;
    calls->base.url = osr_format("%s?for=clients", osr_bus_url(calls->bus));
    calls->as = as != NULL ? osr_strdup(as) : NULL;
    calls->trace = trace;
    calls->on_accept = on_accept;
    calls->context = context;
    calls->is_reading = true;
    osr_err_set(&calls->base.down, OSR_UNAVAILABLE, "%s: not yet there", calls->base.url);
    int result = uv_idle_init(loop, &calls->turn) | uv_timer_init(loop, &calls->pause);
    assert(result == 0); /* they only fill in their handles */
    calls->turn.data = calls->pause.data = calls;
    calls->handles_open = 2;
    *ret_listener = &calls->base;
    return 0;
}
