#include "adapter/amqp_session.h"

#include <amqp.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "adapter/amqp_arrival.h"
#include "adapter/amqp_confirms.h"
#include "adapter/amqp_connect.h"
#include "adapter/amqp_failure.h"
#include "adapter/amqp_topology.h"
#include "adapter/clock.h"

enum {
    /* In one go, before the other direction has its turn. */
    PUBLISH_BYTES_MAX = 256 << 10,
    READ_FRAMES_MAX = 512,
    /* The library sends heartbeats when it is called only. */
    CALL_LIBRARY_MS = OSR_AMQP_HEARTBEAT_S * 1000 / 4,
    /* Between two lines in the log about messages that are not taken: whoever sends many must not
     * fill the log. */
    NOTICE_MS = 10 * 1000,
    GOOD_BYE_S = 1,
};

struct session {
    struct osr_amqp_session_options options;
    amqp_connection_state_t connection;
    /* Our own duplicate: the library closes its socket when it likes, and another's would then have
     * the number. */
    int socket;
    struct osr_amqp_topology topology;
    struct osr_amqp_assembly assembly;
    struct osr_amqp_confirms confirms;
    uint64_t first_delivery; /* the number before that of this session's first message */
    uint64_t acknowledged;   /* up to this one, of links */
    bool is_blocked;
    bool is_lost;     /* there is nobody to say good-bye to */
    uint64_t refused; /* messages since the last notice */
    uint64_t notice_due_ms;
};

/* ---- what comes ---- */

static void post_error(struct session *session, enum osr_amqp_mail_kind kind,
                       const struct osr_err *err)
{
    osr_amqp_post_deliver(session->options.post, osr_amqp_mail_create_error(kind, err));
}

static void take_message(struct session *session, struct osr_amqp_mail *mail)
{
    mail->number += session->first_delivery;
    if (session->options.role == OSR_BUS_CLIENTS) {
        mail->message.delivery = mail->number;
    }
    *session->options.deliveries = mail->number;
    osr_amqp_post_deliver(session->options.post, mail);
}

/* The broker is to forget it, or it would come again for ever. */
static int refuse_message(struct session *session, uint64_t tag, const char *why)
{
    uint64_t now_ms = osr_monotonic_ms();
    session->refused++;
    if (now_ms >= session->notice_due_ms) {
        struct osr_err notice;
        osr_err_set(&notice, OSR_MALFORMED, "%llu messages were not taken, of the last: %s",
                    (unsigned long long)session->refused, why);
        post_error(session, OSR_AMQP_NOTICE, &notice);
        session->refused = 0;
        session->notice_due_ms = now_ms + NOTICE_MS;
    }
    return amqp_basic_reject(session->connection, OSR_AMQP_CHANNEL, tag, 0);
}

static void take_return(struct session *session, const char *queue)
{
    const struct osr_bus_message gone = {
        .address = session->options.role == OSR_BUS_DIALLER ? "" : queue,
    };
    osr_amqp_post_deliver(session->options.post,
                          osr_amqp_mail_create_message(OSR_AMQP_GONE, &gone));
}

static void take_confirm(struct session *session, uint64_t tag, bool is_multiple)
{
    if (osr_amqp_confirms_take(&session->confirms, tag, is_multiple)) {
        osr_amqp_post_deliver(
            session->options.post,
            osr_amqp_mail_create(OSR_AMQP_CONFIRMED, session->confirms.confirmed));
    }
}

static void take_blocked(struct session *session, bool is_blocked, const char *why)
{
    struct osr_err notice;
    session->is_blocked = is_blocked;
    osr_amqp_post_set_blocked(session->options.post, is_blocked);
    if (is_blocked) {
        osr_err_set(&notice, OSR_BUSY, "the broker takes no messages for now: %s", why);
        osr_err_hint(&notice, "rabbitmqctl status names the alarm; it goes on by itself");
    } else {
        osr_err_set(&notice, OSR_BUSY, "the broker takes messages again");
    }
    post_error(session, OSR_AMQP_NOTICE, &notice);
}

static int end(struct session *session, const char *why, struct osr_err *err)
{
    char *text = osr_url_place(session->options.url);
    osr_err_set(err, OSR_UNAVAILABLE, "%s: %s", text, why);
    free(text);
    return OSR_UNAVAILABLE;
}

/* Whoever gives us a queue to answer to can make it refuse everything, which is no reason to go
 * down for all others: as good as read by nobody. Other queues and exchanges are ours or a
 * listener's. */
static int take_nack(struct session *session, uint64_t tag, bool is_multiple, struct osr_err *err)
{
    enum osr_bus_role role = session->options.role;
    if (role == OSR_BUS_LISTENER || role == OSR_BUS_CLIENTS) {
        take_confirm(session, tag, is_multiple);
        return 0;
    }
    return end(session, "the broker could not take over a message", err);
}

static int take_close(struct session *session, const amqp_method_t *method, struct osr_err *err)
{
    if (method->id == AMQP_CONNECTION_CLOSE_METHOD) {
        amqp_connection_close_ok_t nothing = {0};
        amqp_send_method(session->connection, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &nothing);
        session->is_lost = true;
    }
    return osr_amqp_close_failure(session->options.url, "the broker ends it", method, err);
}

static int take_frame(struct session *session, const amqp_frame_t *frame, struct osr_err *err)
{
    const struct osr_url *url = session->options.url;
    int status = AMQP_STATUS_OK;
    struct osr_amqp_arrival arrival =
        osr_amqp_assembly_take(&session->assembly, session->options.role, frame);

    switch (arrival.kind) {
    case OSR_AMQP_ARRIVED_NOTHING:
        break;
    case OSR_AMQP_ARRIVED_MESSAGE:
        take_message(session, arrival.mail);
        break;
    case OSR_AMQP_ARRIVED_REFUSED:
        status = refuse_message(session, arrival.tag, arrival.text);
        break;
    case OSR_AMQP_ARRIVED_RETURN:
        take_return(session, arrival.text);
        break;
    case OSR_AMQP_ARRIVED_CONFIRM:
        take_confirm(session, arrival.tag, arrival.is_multiple);
        break;
    case OSR_AMQP_ARRIVED_BLOCKED:
        take_blocked(session, true, arrival.text);
        break;
    case OSR_AMQP_ARRIVED_UNBLOCKED:
        take_blocked(session, false, NULL);
        break;
    case OSR_AMQP_ARRIVED_NACK:
        return take_nack(session, arrival.tag, arrival.is_multiple, err);
    case OSR_AMQP_ARRIVED_CANCEL:
        return end(session, "the queue was deleted at the broker", err);
    case OSR_AMQP_ARRIVED_CLOSE:
        return take_close(session, &frame->payload.method, err);
    case OSR_AMQP_ARRIVED_GARBAGE:
        return end(session, "the broker breaks the protocol", err);
    }
    return status == AMQP_STATUS_OK ? 0 : osr_amqp_status_failure(url, "cannot send", status, err);
}

/* All that is there, but for a limit; *ret_more: there may be more. */
static int read_frames(struct session *session, bool *ret_more, struct osr_err *err)
{
    const struct timeval at_once = {0};
    amqp_frame_t frame;

    for (int i = 0; i < READ_FRAMES_MAX; i++) {
        int status = amqp_simple_wait_frame_noblock(session->connection, &frame, &at_once);
        if (status == AMQP_STATUS_TIMEOUT) {
            *ret_more = false;
            return 0;
        }
        if (status != AMQP_STATUS_OK) {
            session->is_lost = true;
            return osr_amqp_status_failure(session->options.url, "lost the broker", status, err);
        }
        int code = take_frame(session, &frame, err);
        amqp_maybe_release_buffers(session->connection);
        if (code != 0) {
            return code;
        }
    }
    *ret_more = true;
    return 0;
}

/* ---- what goes ---- */

/* What is not of this session, or was never delivered, the broker would take for a breach. */
static int acknowledge(struct session *session, uint64_t number, bool is_multiple)
{
    if (number <= session->first_delivery || number > *session->options.deliveries) {
        return AMQP_STATUS_OK;
    }
    return amqp_basic_ack(session->connection, OSR_AMQP_CHANNEL, number - session->first_delivery,
                          is_multiple);
}

/* Of events: parts separated by '.'. */
static void format_topic(char text[OSR_BUS_ADDRESS_BYTES_MAX + 1], const char *address)
{
    snprintf(text, OSR_BUS_ADDRESS_BYTES_MAX + 1, "%s", address);
    for (char *slash = strchr(text, '/'); slash != NULL; slash = strchr(slash, '/')) {
        *slash = '.';
    }
}

static amqp_basic_properties_t properties_of(const struct session *session,
                                             const struct osr_bus_message *message)
{
    bool is_event = session->options.role == OSR_BUS_EVENTS;
    const char *reply_to =
        session->options.role == OSR_BUS_DIALLER ? session->topology.queue : message->reply_to;
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
        .delivery_mode = is_event ? AMQP_DELIVERY_PERSISTENT : AMQP_DELIVERY_NONPERSISTENT,
    };
    if (reply_to != NULL) {
        properties._flags |= AMQP_BASIC_REPLY_TO_FLAG;
        properties.reply_to = amqp_cstring_bytes(reply_to);
    }
    if (message->content_type != NULL) {
        properties._flags |= AMQP_BASIC_CONTENT_TYPE_FLAG;
        properties.content_type = amqp_cstring_bytes(message->content_type);
    }
    if (message->correlation.size > 0) {
        properties._flags |= AMQP_BASIC_CORRELATION_ID_FLAG;
        properties.correlation_id =
            (amqp_bytes_t){message->correlation.size, (void *)message->correlation.data};
    }
    return properties;
}

static int publish(struct session *session, const struct osr_bus_message *message)
{
    char topic[OSR_BUS_ADDRESS_BYTES_MAX + 1];
    const char *exchange = ""; /* the broker's own, which brings a message to the queue named */
    const char *key = message->address;
    bool is_event = session->options.role == OSR_BUS_EVENTS;
    const amqp_basic_properties_t properties = properties_of(session, message);

    if (is_event) {
        exchange = session->options.url->address;
        format_topic(topic, message->address);
        key = topic;
    } else if (session->options.role == OSR_BUS_DIALLER) {
        key = session->topology.target;
    }
    osr_amqp_confirms_publish(&session->confirms);
    return amqp_basic_publish(session->connection, OSR_AMQP_CHANNEL, amqp_cstring_bytes(exchange),
                              amqp_cstring_bytes(key), !is_event, 0, &properties,
                              (amqp_bytes_t){message->body.size, (void *)message->body.data});
}

static bool may_publish(const struct session *session)
{
    return !session->is_blocked && !osr_amqp_confirms_are_full(&session->confirms);
}

static void set_cork(const struct session *session, int is_corked)
{
    setsockopt(session->socket, IPPROTO_TCP, TCP_CORK, &is_corked, sizeof(is_corked));
}

/* Several messages to a packet: the library sends each in three pieces, and leaves the last of a
 * long one waiting for more. */
static int send_mail(struct session *session, struct osr_err *err)
{
    int status = AMQP_STATUS_OK;
    size_t bytes = 0;

    set_cork(session, 1);
    while (status == AMQP_STATUS_OK && bytes < PUBLISH_BYTES_MAX && may_publish(session)) {
        struct osr_amqp_mail *mail = osr_amqp_post_take(session->options.post);
        if (mail == NULL) {
            break;
        }
        bytes += osr_amqp_mail_bytes(mail);
        status = mail->kind == OSR_AMQP_ACKNOWLEDGE ? acknowledge(session, mail->number, false)
                                                    : publish(session, &mail->message);
        osr_amqp_mail_destroy(mail);
    }
    set_cork(session, 0);
    return status == AMQP_STATUS_OK
               ? 0
               : osr_amqp_status_failure(session->options.url, "cannot send", status, err);
}

static int acknowledge_links(struct session *session, uint64_t number, struct osr_err *err)
{
    if (number <= session->acknowledged) {
        return 0;
    }
    session->acknowledged = number;
    int status = acknowledge(session, number, true);
    return status == AMQP_STATUS_OK
               ? 0
               : osr_amqp_status_failure(session->options.url, "cannot send", status, err);
}

/* ---- both ---- */

/* Until something can be done, at most `timeout_ms`. Whether what is posted can be sent without
 * blocking. */
static bool wait_for_work(struct session *session, const struct osr_amqp_post_state *state,
                          int timeout_ms)
{
    bool wants_send = state->has_mail && may_publish(session);
    short events = (short)((state->may_deliver ? POLLIN : 0) | (wants_send ? POLLOUT : 0));
    struct pollfd waits[] = {
        {.fd = events != 0 ? session->socket : -1, .events = events},
        {.fd = osr_amqp_post_thread_fd(session->options.post), .events = POLLIN},
    };
    poll(waits, sizeof(waits) / sizeof(waits[0]), timeout_ms);
    if (waits[1].revents != 0) {
        osr_amqp_post_clear_thread_fd(session->options.post);
    }
    return (waits[0].revents & POLLOUT) != 0;
}

/* Until it is asked to stop and all mail is out. */
static int exchange(struct session *session, struct osr_err *err)
{
    int code = 0;
    while (code == 0) {
        bool has_more = false;
        struct osr_amqp_post_state state = osr_amqp_post_look(session->options.post);
        if (state.is_overfull) {
            return end(session, "the broker takes too little of what is to go out", err);
        }
        if (state.is_stopping && !state.has_mail) {
            return 0;
        }
        if (state.may_deliver) {
            code = read_frames(session, &has_more, err);
        }
        if (code == 0) {
            code = acknowledge_links(session, state.acknowledged, err);
        }
        if (code == 0 && wait_for_work(session, &state, has_more ? 0 : CALL_LIBRARY_MS)) {
            code = send_mail(session, err);
        }
    }
    bool is_overfull = osr_amqp_post_look(session->options.post).is_overfull;
    return is_overfull ? end(session, "the broker takes too little of what is to go out", err)
                       : code;
}

static int run(struct session *session, bool *ret_was_up, struct osr_err *err)
{
    const struct osr_amqp_session_options *options = &session->options;
    int code = osr_amqp_topology_declare(session->connection, options->url, options->role,
                                         &session->topology, err);
    if (code != 0) {
        return code;
    }
    uint64_t number = osr_amqp_post_begin_session(options->post);
    osr_amqp_post_deliver(options->post, osr_amqp_mail_create(OSR_AMQP_UP, number));
    *ret_was_up = true;
    return exchange(session, err);
}

static void say_good_bye(const struct session *session)
{
    const struct timeval soon = {.tv_sec = GOOD_BYE_S};
    if (!session->is_lost) {
        amqp_set_rpc_timeout(session->connection, &soon);
        amqp_connection_close(session->connection, AMQP_REPLY_SUCCESS);
    }
}

int osr_amqp_session_run(const struct osr_amqp_session_options *options, bool *ret_was_up,
                         struct osr_err *err)
{
    struct session session = {.options = *options, .first_delivery = *options->deliveries};
    int code = osr_amqp_connect(options->url, options->login, &session.connection, err);
    if (code != 0) {
        return code;
    }
    session.socket = fcntl(amqp_get_sockfd(session.connection), F_DUPFD_CLOEXEC, 0);
    if (session.socket < 0) {
        code = (int)osr_err_errno(err, OSR_UNAVAILABLE, errno, "cannot keep the broker's socket");
    } else {
        osr_amqp_post_set_socket(options->post, session.socket);
        code = run(&session, ret_was_up, err);
        say_good_bye(&session);
        osr_amqp_post_end_session(options->post);
        close(session.socket);
    }
    amqp_destroy_connection(session.connection);
    osr_amqp_assembly_done(&session.assembly);
    return code;
}
