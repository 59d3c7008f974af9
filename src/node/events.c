#include "node/events.h"

#include <assert.h>
#include <stdlib.h>

#include "adapter/bus.h"
#include "base/sha256.h"
#include "base/text.h"
#include "node/client_keys.h"
#include "node/event_cursor.h"
#include "node/event_message.h"

/* A message that is not confirmed yet. */
struct sent {
    uint64_t position; /* of its entry */
    size_t bytes;
};

struct osr_events {
    struct osr_events_options options;
    struct osr_bus_keys *keys; /* NULL where the carrier has none */
    struct osr_bus *bus;
    struct osr_event_cursor *cursor;
    struct osr_query *query; /* NULL while nothing is read, as while the bus is down */
    uv_timer_t timer;        /* until it is read again */
    uint64_t read_to;        /* ordinal of the last entry that was read */
    struct osr_buffer body;  /* of the message that is made */

    /* A ring. Message i of it has the bus's number `confirmed` + 1 + i. */
    struct sent window[OSR_EVENTS_WINDOW_MESSAGES];
    size_t window_first;
    size_t window_count;
    size_t window_bytes;
    uint64_t confirmed;

    struct osr_err error; /* why the bus went down; code OK: it did not */
    bool is_stopping;
    int holds; /* bus, timer: while any of them is open, the memory stays */
};

static void release(struct osr_events *events)
{
    if (--events->holds > 0) {
        return;
    }
    osr_client_keys_free(events->keys);
    osr_buffer_done(&events->body);
    free(events);
}

/* -- the window -- */

static bool has_room(const struct osr_events *events)
{
    return events->window_count < OSR_EVENTS_WINDOW_MESSAGES &&
           events->window_bytes < OSR_EVENTS_WINDOW_BYTES && !osr_bus_is_full(events->bus);
}

static void add_sent(struct osr_events *events, uint64_t position, size_t bytes)
{
    assert(events->window_count < OSR_EVENTS_WINDOW_MESSAGES);
    size_t last = (events->window_first + events->window_count) % OSR_EVENTS_WINDOW_MESSAGES;
    events->window[last] = (struct sent){position, bytes};
    events->window_count++;
    events->window_bytes += bytes;
}

static void take_confirmed(struct osr_events *events)
{
    const struct sent *sent = &events->window[events->window_first];
    events->window_bytes -= sent->bytes;
    events->window_first = (events->window_first + 1) % OSR_EVENTS_WINDOW_MESSAGES;
    events->window_count--;
    events->confirmed++;
    osr_event_cursor_advance(events->cursor, sent->position, true);
}

static void empty_window(struct osr_events *events)
{
    events->window_first = 0;
    events->window_count = 0;
    events->window_bytes = 0;
    events->confirmed = 0;
}

/* What was read behind the last message, and was not wanted, is done with as well. */
static void pass_over(struct osr_events *events)
{
    if (events->window_count == 0 && events->read_to > osr_event_cursor_position(events->cursor)) {
        osr_event_cursor_advance(events->cursor, events->read_to, false);
    }
}

/* -- the changes -- */

static void start_reading(struct osr_events *events);

static void on_read_again(uv_timer_t *timer)
{
    start_reading(timer->data);
}

static void publish(struct osr_events *events, const struct osr_query_reply *change)
{
    const struct osr_events_target *target = events->options.target;
    struct osr_event_topic topic;
    osr_event_topic(change->document->collection, &topic);
    osr_buffer_clear(&events->body);
    osr_event_message(target->codec, change, &events->body);
    const struct osr_bus_message message = {
        .address = topic.text,
        .body = osr_buffer_slice(&events->body),
        .content_type = osr_event_content_type(target->codec),
    };
    osr_bus_send(events->bus, &message);
    add_sent(events, change->position, events->body.size);
}

static void on_last_reply(struct osr_events *events, const struct osr_err *err)
{
    events->query = NULL;
    if (err != NULL) {
        osr_trace(events->options.trace, OSR_LEVEL_WARNING, "%s: cannot read changes: %s",
                  osr_bus_url(events->bus), err->message);
    }
    uv_timer_start(&events->timer, on_read_again, OSR_EVENTS_READ_RETRY_MS, 0);
}

static void on_reply(void *context, const struct osr_query_reply *reply)
{
    struct osr_events *events = context;
    if (reply->last) {
        on_last_reply(events, reply->err);
        return;
    }
    events->read_to = reply->position;
    if (!osr_events_target_wants(events->options.target, reply->document->collection)) {
        pass_over(events);
        return;
    }
    publish(events, reply);
    if (!has_room(events)) {
        osr_query_pause(events->query, true);
    }
}

/* From behind what is confirmed, or in the window. */
static void start_reading(struct osr_events *events)
{
    uint64_t from = events->read_to + 1;
    events->query =
        osr_knowledge_watch(events->options.knowledge, NULL, from, "", on_reply, events);
    if (!has_room(events)) {
        osr_query_pause(events->query, true);
    }
}

static void stop_reading(struct osr_events *events)
{
    uv_timer_stop(&events->timer);
    if (events->query != NULL) {
        osr_query_cancel(events->query);
    }
    events->query = NULL;
}

static void go_on(struct osr_events *events)
{
    if (events->query != NULL && has_room(events)) {
        osr_query_pause(events->query, false);
    }
}

/* -- the bus -- */

static void on_up(void *context, struct osr_bus *bus)
{
    struct osr_events *events = context;
    if (events->is_stopping) {
        return;
    }
    events->error = (struct osr_err){0};
    osr_trace(events->options.trace, OSR_LEVEL_INFO, "%s: publishes events", osr_bus_url(bus));
    stop_reading(events);
    empty_window(events);
    events->read_to = osr_event_cursor_position(events->cursor);
    start_reading(events);
}

static void on_down(void *context, struct osr_bus *bus, const struct osr_err *err)
{
    struct osr_events *events = context;
    if (events->is_stopping) {
        return;
    }
    events->error = *err;
    osr_trace(events->options.trace, OSR_LEVEL_WARNING, "%s: no events go out: %s%s%s",
              osr_bus_url(bus), err->message, err->hint[0] != '\0' ? "; " : "", err->hint);
    stop_reading(events);
    empty_window(events);
    events->read_to = osr_event_cursor_position(events->cursor);
}

/* Nothing is taken from a place of events. */
static void on_message(void *context, struct osr_bus *bus, const struct osr_bus_message *message)
{
    (void)context, (void)bus, (void)message;
}

static void on_confirmed(void *context, struct osr_bus *bus, uint64_t number)
{
    struct osr_events *events = context;
    (void)bus;
    if (events->is_stopping) {
        return;
    }
    while (events->window_count > 0 && events->confirmed < number) {
        take_confirmed(events);
    }
    pass_over(events);
    go_on(events);
}

static void on_drain(void *context, struct osr_bus *bus)
{
    (void)bus;
    go_on(context);
}

static void on_close(void *context, struct osr_bus *bus)
{
    (void)bus;
    release(context);
}

/* -- life -- */

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

/* A broker that keeps something for a name keeps it for this instance and this place. */
static char *bus_name(const struct osr_events_options *options)
{
    enum { HASH_BYTES = 6 };
    char *place = osr_events_target_place(options->target);
    struct osr_slice text = osr_slice_text(place);
    struct osr_hash hash = osr_sha256(&text, 1);
    char digits[2 * HASH_BYTES + 1];
    osr_hex_encode(digits, osr_slice(hash.bytes, HASH_BYTES));
    free(place);
    return osr_format("%s-%s", options->instance, digits);
}

static int read_keys(struct osr_events *events, struct osr_err *err)
{
    bool has_keys = strcmp(events->options.target->url.scheme, "zmq") == 0;
    return has_keys ? osr_client_keys_read(events->options.data_folder, &events->keys, err) : 0;
}

static int open_bus(struct osr_events *events, struct osr_err *err)
{
    static const struct osr_bus_handler handler = {.on_up = on_up,
                                                   .on_down = on_down,
                                                   .on_message = on_message,
                                                   .on_confirmed = on_confirmed,
                                                   .on_drain = on_drain,
                                                   .on_close = on_close};
    char *name = bus_name(&events->options);
    const struct osr_bus_options options = {
        .loop = events->options.loop,
        .url = &events->options.target->url,
        .role = OSR_BUS_EVENTS,
        .name = name,
        .keys = events->keys,
        .trace = events->options.trace,
    };
    int code = osr_bus_open(&options, &handler, events, &events->bus, err);
    events->holds += code == 0;
    free(name);
    return code;
}

int osr_events_start(const struct osr_events_options *options, struct osr_events **ret_events,
                     struct osr_err *err)
{
    struct osr_events *events = osr_alloc(sizeof(*events));
    events->options = *options;
    uv_timer_init(options->loop, &events->timer);
    events->timer.data = events;
    events->holds = 1;
    int code = osr_event_cursor_open(options->loop, options->journal, options->target,
                                     &events->cursor, err);
    if (code == 0) {
        code = read_keys(events, err);
    }
    if (code == 0) {
        code = open_bus(events, err);
    }
    if (code != 0) {
        osr_err_prefix(err, "events");
        osr_events_stop(events);
        return code;
    }
    *ret_events = events;
    return 0;
}

void osr_events_stop(struct osr_events *events)
{
    if (events == NULL) {
        return;
    }
    events->is_stopping = true;
    stop_reading(events);
    osr_event_cursor_close(events->cursor);
    events->cursor = NULL;
    if (events->bus != NULL) {
        osr_bus_close(events->bus);
    }
    uv_close((uv_handle_t *)&events->timer, on_timer_closed);
}

/* Records of the log that were not read yet. Some may be no changes: only who has read them knows,
 * and he has told all when he is idle. */
static uint64_t unread(const struct osr_events *events)
{
    uint64_t released = osr_journal_released(events->options.journal);
    bool has_all = events->query != NULL && osr_query_is_idle(events->query);
    return has_all || released < events->read_to ? 0 : released - events->read_to;
}

void osr_events_status(const struct osr_events *events, struct osr_events_status *ret_status)
{
    ret_status->url = osr_bus_url(events->bus);
    ret_status->is_up = osr_bus_is_up(events->bus);
    ret_status->last_error = events->error.message;
    ret_status->position = osr_event_cursor_position(events->cursor);
    ret_status->lag = events->window_count + unread(events);
}
