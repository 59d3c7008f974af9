/* amqp_bus.c -- the loop's side of an AMQP bus (bus.h): hands mail to its thread (amqp_thread.h),
 * and calls the handler with what comes from there. No call here blocks. */
#include "adapter/bus.h"

#include <assert.h>
#include <stdlib.h>

#include "adapter/amqp_thread.h"

enum {
    /* For a thread whose socket was shut down to see that; then it is left to itself. */
    AFTER_CUT_MS = 250,
};

struct amqp_bus {
    struct osr_bus base;
    enum osr_bus_role role;
    struct osr_trace trace;
    struct osr_amqp_thread *thread;
    struct osr_amqp_post *post; /* the thread's */
    uv_poll_t from_thread;
    uv_timer_t close_timer;
    int open_handles;
    uint64_t session;               /* the last that came up */
    uint64_t sent;                  /* in it */
    struct osr_amqp_mail_list held; /* messages that wait for osr_bus_read */
    bool is_reading;
    bool is_closing;
    bool is_cut;
};

static struct amqp_bus *bus_of(struct osr_bus *base)
{
    return (struct amqp_bus *)base;
}

/* ---- the end ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct amqp_bus *bus = handle->data;
    if (--bus->open_handles > 0) {
        return;
    }
    /* The thread's last act wakes this handle, which is why it was closed first. */
    osr_amqp_thread_release(bus->thread);
    bus->base.handler->on_close(bus->base.context, &bus->base);
    osr_amqp_mail_list_clear(&bus->held);
    free(bus->base.url);
    free(bus);
}

static void close_handles(struct amqp_bus *bus)
{
    if (!uv_is_closing((uv_handle_t *)&bus->from_thread)) {
        uv_close((uv_handle_t *)&bus->from_thread, on_handle_closed);
        uv_close((uv_handle_t *)&bus->close_timer, on_handle_closed);
    }
}

static void on_close_timer(uv_timer_t *timer)
{
    struct amqp_bus *bus = timer->data;
    if (!bus->is_cut) {
        bus->is_cut = true;
        osr_amqp_post_cut(bus->post);
        uv_timer_start(timer, on_close_timer, AFTER_CUT_MS, 0);
    } else {
        close_handles(bus);
    }
}

static void close_bus(struct osr_bus *base)
{
    struct amqp_bus *bus = bus_of(base);
    if (bus->is_closing) {
        return;
    }
    bus->is_closing = true;
    base->is_up = false;
    osr_amqp_post_stop(bus->post);
    uv_timer_start(&bus->close_timer, on_close_timer, OSR_BUS_CLOSE_MS, 0);
}

/* ---- what the thread tells ---- */

static void take_up(struct amqp_bus *bus, uint64_t session)
{
    bus->session = session;
    bus->sent = 0;
    bus->base.is_up = true;
    bus->base.handler->on_up(bus->base.context, &bus->base);
}

/* Messages that were not handed on yet are the broker's to give again, or lost. */
static void drop_held(struct amqp_bus *bus)
{
    size_t bytes = bus->held.bytes;
    osr_amqp_mail_list_clear(&bus->held);
    osr_amqp_post_let_go(bus->post, bytes);
}

static void take_down(struct amqp_bus *bus, const struct osr_err *err)
{
    drop_held(bus);
    bus->base.is_up = false;
    bus->base.handler->on_down(bus->base.context, &bus->base, err);
}

static void log_notice(const struct amqp_bus *bus, const struct osr_err *notice)
{
    osr_trace(&bus->trace, OSR_LEVEL_WARNING, "%s: %s%s%s", bus->base.url, notice->message,
              notice->hint[0] != '\0' ? "; " : "", notice->hint);
}

static void take_word(struct amqp_bus *bus, const struct osr_amqp_mail *mail)
{
    const struct osr_bus_handler *handler = bus->base.handler;
    void *context = bus->base.context;

    switch (mail->kind) {
    case OSR_AMQP_UP:
        take_up(bus, mail->number);
        break;
    case OSR_AMQP_DOWN:
        take_down(bus, mail->err);
        break;
    case OSR_AMQP_CONFIRMED:
        if (handler->on_confirmed != NULL) {
            handler->on_confirmed(context, &bus->base, mail->number);
        }
        break;
    case OSR_AMQP_GONE:
        if (handler->on_gone != NULL) {
            handler->on_gone(context, &bus->base, mail->message.address);
        }
        break;
    case OSR_AMQP_NOTICE:
        log_notice(bus, mail->err);
        break;
    case OSR_AMQP_DRAINED:
        if (handler->on_drain != NULL) {
            handler->on_drain(context, &bus->base);
        }
        break;
    case OSR_AMQP_MESSAGE:
    case OSR_AMQP_PUBLISH:
    case OSR_AMQP_ACKNOWLEDGE:
        assert(false);
    }
}

/* Hands on the messages held. Those of links are acknowledged together, for that: the broker gives
 * the next ones, so that no more than OSR_BUS_UNACKNOWLEDGED_MAX are ever here. */
static void hand_on(struct amqp_bus *bus)
{
    uint64_t session = bus->session;
    uint64_t last = 0;
    size_t bytes = 0;

    while (bus->is_reading && !bus->is_closing && bus->held.first != NULL) {
        struct osr_amqp_mail *mail = osr_amqp_mail_list_take(&bus->held);
        last = mail->number;
        bytes += osr_amqp_mail_bytes(mail);
        bus->base.handler->on_message(bus->base.context, &bus->base, &mail->message);
        osr_amqp_mail_destroy(mail);
    }
    osr_amqp_post_let_go(bus->post, bytes);
    if (last != 0 && bus->role != OSR_BUS_CLIENTS) {
        osr_amqp_post_acknowledge_up_to(bus->post, session, last);
    }
}

static void take_mail(struct amqp_bus *bus)
{
    struct osr_amqp_mail_list mails = osr_amqp_post_take_all(bus->post);
    struct osr_amqp_mail *mail;

    hand_on(bus);
    while (!bus->is_closing && (mail = osr_amqp_mail_list_take(&mails)) != NULL) {
        if (mail->kind == OSR_AMQP_MESSAGE) {
            osr_amqp_mail_list_add(&bus->held, mail);
        } else {
            hand_on(bus); /* in the order of the thread's telling */
            if (!bus->is_closing) {
                take_word(bus, mail);
            }
            osr_amqp_mail_destroy(mail);
        }
    }
    hand_on(bus);
    osr_amqp_mail_list_clear(&mails);
}

static void on_woken(uv_poll_t *poll, int status, int events)
{
    struct amqp_bus *bus = poll->data;
    (void)status;
    (void)events;
    take_mail(bus);
    if (bus->is_closing && osr_amqp_thread_has_ended(bus->thread)) {
        close_handles(bus);
    }
}

/* ---- what the loop asks ---- */

static uint64_t send_message(struct osr_bus *base, const struct osr_bus_message *message)
{
    struct amqp_bus *bus = bus_of(base);
    assert(message->correlation.size <= OSR_BUS_CORRELATION_BYTES_MAX);
    osr_amqp_post_send(bus->post, bus->session,
                       osr_amqp_mail_create_message(OSR_AMQP_PUBLISH, message));
    return ++bus->sent;
}

static bool is_full(const struct osr_bus *base)
{
    return osr_amqp_post_is_full(((const struct amqp_bus *)base)->post);
}

static void set_reading(struct osr_bus *base, bool is_on)
{
    struct amqp_bus *bus = bus_of(base);
    bus->is_reading = is_on;
    if (is_on && bus->held.first != NULL) {
        osr_amqp_post_wake_loop(bus->post); /* no callback from within this call */
    }
}

static void acknowledge(struct osr_bus *base, uint64_t delivery)
{
    struct amqp_bus *bus = bus_of(base);
    if (delivery != 0) {
        osr_amqp_post_send(bus->post, bus->session,
                           osr_amqp_mail_create(OSR_AMQP_ACKNOWLEDGE, delivery));
    }
}

static int open_bus(const struct osr_bus_options *options, struct osr_bus **ret_bus,
                    struct osr_err *err)
{
    struct amqp_bus *bus = osr_alloc(sizeof(*bus));
    int code = osr_amqp_thread_start(options->url, options->role, &bus->thread, err);
    if (code != 0) {
        free(bus);
        return code;
    }
    bus->base.kind = &osr_amqp_bus_kind;
    bus->base.url = osr_url_place(options->url);
    bus->post = osr_amqp_thread_post(bus->thread);
    bus->role = options->role;
    if (options->trace != NULL) {
        bus->trace = *options->trace;
    }
    bus->is_reading = true;
    bus->open_handles = 2;
    uv_timer_init(options->loop, &bus->close_timer);
    bus->close_timer.data = bus;
    if (uv_poll_init(options->loop, &bus->from_thread, osr_amqp_post_loop_fd(bus->post)) != 0) {
        abort(); /* an eventfd is always fit for it */
    }
    bus->from_thread.data = bus;
    uv_poll_start(&bus->from_thread, UV_READABLE, on_woken);
    *ret_bus = &bus->base;
    return 0;
}

const struct osr_bus_kind osr_amqp_bus_kind = {
    .open = open_bus,
    .close = close_bus,
    .send = send_message,
    .is_full = is_full,
    .read = set_reading,
    .acknowledge = acknowledge,
};
