#include "node/seed_peer.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "adapter/transport.h"
#include "node/seed_message.h"

enum state {
    READING, /* waits for the next entry that can be sent */
    PAUSING, /* before it dials */
    DIALLING,
    SENDING,
    SETTLING,  /* sent; the program reads and stores */
    ENDING,    /* half-closed; the program's end says that it is delivered */
    DELIVERED, /* it came; the connection goes */
    SAVING,    /* the cursor */
    REWINDING, /* what is under way is dropped first */
};

struct osr_seed_peer {
    struct osr_seed_peer_options options;
    char *key; /* of the cursor's fact */
    uint32_t settle_ms;
    bool skips_arrivals;

    enum state state;
    bool is_saving; /* the fact is under way */
    struct osr_seed_cursor cursor;
    struct osr_query *query; /* NULL while it is to be started again */
    uv_timer_t timer;
    struct osr_connection *connection;
    const char *reset_why; /* we have reset the connection; NULL: not so */
    uint8_t ignored[256];  /* what the program may say */

    /* The message under way and the entry that it is made from. */
    struct osr_buffer message;
    uint64_t position;
    char origin[OSR_INSTANCE_CHARS + 1];
    uint64_t sequence;
    bool may_have_arrived;

    bool error_told;
    uint32_t retry_ms;    /* the last pause; 0: none since the last delivery */
    struct osr_err error; /* of the last attempt; code OK: it went well */

    uint64_t rewind_position;
    char rewind_origin[OSR_INSTANCE_CHARS + 1];
    uint64_t rewind_sequence;

    bool stopping;
    int holds; /* timer, connection, fact: while any of them is open, the memory stays */
};

static void release(struct osr_seed_peer *peer)
{
    if (--peer->holds > 0) {
        return;
    }
    osr_seed_cursor_done(&peer->cursor);
    osr_buffer_done(&peer->message);
    free(peer->key);
    free(peer);
}

static const char *url_text(const struct osr_seed_peer *peer)
{
    return peer->options.url->text;
}

static void dial(struct osr_seed_peer *peer);
static void save(struct osr_seed_peer *peer);
static void start_reading(struct osr_seed_peer *peer);

/* -- pauses -- */

static void on_pause_over(uv_timer_t *timer)
{
    dial(timer->data);
}

/* The program may be restarted after each message: only when it stays away it is told. */
static void note_error(struct osr_seed_peer *peer, const struct osr_err *err)
{
    peer->error = *err;
    if (peer->error_told || peer->retry_ms < OSR_SEED_RETRY_MS_MAX) {
        return;
    }
    peer->error_told = true;
    osr_trace(peer->options.trace, OSR_LEVEL_WARNING, "cannot deliver: %s; trying again",
              err->message);
}

static void note_delivery(struct osr_seed_peer *peer)
{
    if (peer->error_told) {
        osr_trace(peer->options.trace, OSR_LEVEL_INFO, "%s: delivers again", url_text(peer));
    }
    peer->error_told = false;
    peer->error = (struct osr_err){0};
    peer->retry_ms = 0;
}

static void retry(struct osr_seed_peer *peer, const struct osr_err *err)
{
    uint32_t doubled = peer->retry_ms * 2;

    if (doubled < OSR_SEED_RETRY_MS_MIN) {
        doubled = OSR_SEED_RETRY_MS_MIN;
    }
    peer->retry_ms = doubled < OSR_SEED_RETRY_MS_MAX ? doubled : OSR_SEED_RETRY_MS_MAX;
    note_error(peer, err);
    peer->state = PAUSING;
    uv_timer_start(&peer->timer, on_pause_over, peer->retry_ms, 0);
}

/* -- the connection -- */

/* Not in good order, lest the program's port be kept from being bound again. */
static void reset(struct osr_seed_peer *peer, const char *why)
{
    peer->reset_why = why;
    osr_connection_close(peer->connection, true);
}

static void on_no_end(uv_timer_t *timer)
{
    reset(timer->data, "the program does not close the connection");
}

static void on_settled(uv_timer_t *timer)
{
    struct osr_seed_peer *peer = timer->data;

    peer->state = ENDING;
    osr_connection_end(peer->connection);
    uv_timer_start(&peer->timer, on_no_end, OSR_SEED_END_MS, 0);
}

static void on_open(void *context, struct osr_connection *connection)
{
    struct osr_seed_peer *peer = context;
    struct osr_buffer message = {0};

    if (peer->may_have_arrived) {
        peer->cursor.doubles++;
    }
    peer->may_have_arrived = true;
    peer->state = SENDING;
    osr_buffer_add(&message, peer->message.data, peer->message.size);
    osr_connection_write(connection, &message);
}

static uint8_t *on_room(void *context, size_t suggested, size_t *ret_size)
{
    struct osr_seed_peer *peer = context;
    (void)suggested;
    *ret_size = sizeof peer->ignored;
    return peer->ignored;
}

static void on_read(void *context, struct osr_connection *connection, size_t size)
{
    (void)context, (void)connection, (void)size;
}

static void on_drain(void *context, struct osr_connection *connection)
{
    struct osr_seed_peer *peer = context;
    (void)connection;

    peer->state = SETTLING;
    uv_timer_start(&peer->timer, on_settled, peer->settle_ms, 0);
}

static void on_end(void *context, struct osr_connection *connection)
{
    struct osr_seed_peer *peer = context;
    (void)connection;

    if (peer->state == ENDING) {
        peer->state = DELIVERED;
    } else {
        reset(peer, "the program closed the connection too early");
    }
}

static void rewind_cursor(struct osr_seed_peer *peer);

static void on_attempt_over(struct osr_seed_peer *peer, const struct osr_err *err)
{
    struct osr_err own;

    if (peer->reset_why != NULL) {
        osr_err_set(&own, OSR_UNAVAILABLE, "%s: %s", url_text(peer), peer->reset_why);
        err = &own;
    }
    if (peer->state == REWINDING) {
        rewind_cursor(peer);
    } else if (peer->state == DELIVERED && err->code == OSR_OK) {
        save(peer);
    } else {
        retry(peer, err);
    }
}

static void on_close(void *context, struct osr_connection *connection, const struct osr_err *err)
{
    struct osr_seed_peer *peer = context;
    (void)connection;

    peer->connection = NULL;
    if (!peer->stopping) {
        uv_timer_stop(&peer->timer);
        on_attempt_over(peer, err);
    }
    release(peer);
}

static void dial(struct osr_seed_peer *peer)
{
    static const struct osr_connection_handler handler = {.on_open = on_open,
                                                          .on_room = on_room,
                                                          .on_read = on_read,
                                                          .on_end = on_end,
                                                          .on_drain = on_drain,
                                                          .on_close = on_close};
    struct osr_err err;

    peer->state = DIALLING;
    peer->reset_why = NULL;
    if (osr_transport_dial(peer->options.loop, peer->options.url, NULL, OSR_SEED_DIAL_MS, &handler,
                           peer, &peer->connection, &err) == 0) {
        peer->holds++;
    } else {
        retry(peer, &err);
    }
}

/* -- the cursor -- */

static void on_save_again(uv_timer_t *timer)
{
    save(timer->data);
}

static void go_on(struct osr_seed_peer *peer, enum osr_code code)
{
    if (peer->state == REWINDING) {
        rewind_cursor(peer);
    } else if (code != OSR_OK) {
        uv_timer_start(&peer->timer, on_save_again, OSR_SEED_RETRY_MS_MAX, 0);
    } else if (peer->query == NULL) {
        start_reading(peer);
    } else {
        peer->state = READING;
        osr_query_pause(peer->query, false);
    }
}

static void on_saved(void *context, enum osr_code code)
{
    struct osr_seed_peer *peer = context;

    peer->is_saving = false;
    if (!peer->stopping) {
        go_on(peer, code);
    }
    release(peer);
}

/* Durable before the next message goes out: else a restart would send this one again. */
static void save(struct osr_seed_peer *peer)
{
    struct osr_buffer value = {0};

    if (peer->state == DELIVERED) {
        osr_seed_cursor_advance(&peer->cursor, peer->position, peer->origin, peer->sequence);
        peer->may_have_arrived = false;
        note_delivery(peer);
    }
    peer->state = SAVING;
    peer->is_saving = true;
    peer->holds++;
    osr_seed_cursor_encode(&peer->cursor, &value);
    osr_journal_fact(peer->options.journal, peer->key, osr_buffer_slice(&value), on_saved, peer);
    osr_buffer_done(&value);
}

/* -- the entries -- */

static void on_read_again(uv_timer_t *timer)
{
    start_reading(timer->data);
}

static bool came_from_a_seed(const Osr__Document *document)
{
    return document->source != NULL && strcmp(document->source->name, OSR_SEED_SOURCE) == 0;
}

/* True where there is a message to send; else the entry is passed over. */
static bool make_message(struct osr_seed_peer *peer, const struct osr_query_reply *reply)
{
    const Osr__Document *document = reply->document;

    if (reply->operation != OSR__OPERATION__PUT ||
        (peer->skips_arrivals && came_from_a_seed(document))) {
        return false;
    }
    peer->message.size = 0;
    if (osr_seed_message(&peer->message,
                         osr_slice(document->data->text.data, document->data->text.len))) {
        return true;
    }
    peer->cursor.skipped++;
    osr_trace(peer->options.trace, OSR_LEVEL_WARNING,
              "%s: document %s is skipped: its message would be over %d bytes", url_text(peer),
              document->id, OSR_SEED_MESSAGE_BYTES_MAX);
    return false;
}

static void on_reply(void *context, const struct osr_query_reply *reply)
{
    struct osr_seed_peer *peer = context;

    if (reply->last) {
        peer->query = NULL;
        if (reply->err != NULL) {
            osr_trace(peer->options.trace, OSR_LEVEL_WARNING, "%s: cannot read entries: %s",
                      url_text(peer), reply->err->message);
        }
        if (peer->state == READING) {
            uv_timer_start(&peer->timer, on_read_again, OSR_SEED_RETRY_MS_MAX, 0);
        }
        return;
    }
    assert(peer->state == READING);
    if (!make_message(peer, reply)) {
        osr_seed_cursor_advance(&peer->cursor, reply->position, reply->feed->origin,
                                reply->sequence);
        return;
    }
    peer->position = reply->position;
    snprintf(peer->origin, sizeof peer->origin, "%s", reply->feed->origin);
    peer->sequence = reply->sequence;
    osr_query_pause(peer->query, true);
    dial(peer);
}

static void start_reading(struct osr_seed_peer *peer)
{
    peer->state = READING;
    peer->query = osr_knowledge_watch(peer->options.knowledge, NULL, peer->cursor.position + 1, "",
                                      on_reply, peer);
}

/* -- sending again -- */

/* Nothing is under way any more. */
static void rewind_cursor(struct osr_seed_peer *peer)
{
    osr_seed_cursor_rewind(&peer->cursor, peer->rewind_position, peer->rewind_origin,
                           peer->rewind_sequence);
    peer->may_have_arrived = false;
    save(peer); /* which starts to read anew, for there is no query */
}

void osr_seed_peer_resend(struct osr_seed_peer *peer, uint64_t position, const char *origin,
                          uint64_t sequence)
{
    assert(position > 0 && !peer->stopping);
    peer->rewind_position = position;
    snprintf(peer->rewind_origin, sizeof peer->rewind_origin, "%s", origin);
    peer->rewind_sequence = sequence;
    peer->state = REWINDING;
    uv_timer_stop(&peer->timer);
    if (peer->query != NULL) {
        osr_query_cancel(peer->query);
    }
    peer->query = NULL;
    if (peer->connection != NULL) {
        reset(peer, "sending again from an earlier entry");
    } else if (!peer->is_saving) {
        rewind_cursor(peer);
    }
}

/* -- life -- */

static void read_cursor(void *context, const char *key, struct osr_slice value)
{
    struct osr_seed_peer *peer = context;

    if (strcmp(key, peer->key) == 0 &&
        osr_seed_cursor_decode(&peer->cursor, value, &peer->error) != 0) {
        osr_err_prefix(&peer->error, "%s", key);
    }
}

static uint32_t settle_ms_of(const struct osr_url *url)
{
    const char *text = osr_url_parameter(url, "settle_ms");
    return text != NULL ? (uint32_t)strtoul(text, NULL, 10) : OSR_SEED_SETTLE_MS;
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

int osr_seed_peer_start(const struct osr_seed_peer_options *options,
                        struct osr_seed_peer **ret_peer, struct osr_err *err)
{
    const char *arrivals = osr_url_parameter(options->url, "arrivals");
    struct osr_seed_peer *peer = osr_alloc(sizeof *peer);

    peer->options = *options;
    peer->key = osr_seed_cursor_key(options->url);
    peer->settle_ms = settle_ms_of(options->url);
    peer->skips_arrivals = arrivals != NULL && strcmp(arrivals, "no") == 0;
    uv_timer_init(options->loop, &peer->timer);
    peer->timer.data = peer;
    peer->holds = 1;
    osr_journal_facts(options->journal, peer->key, read_cursor, peer);
    if (peer->error.code != OSR_OK) {
        *err = peer->error;
        osr_seed_peer_stop(peer);
        return (int)err->code;
    }
    start_reading(peer);
    *ret_peer = peer;
    return 0;
}

void osr_seed_peer_stop(struct osr_seed_peer *peer)
{
    if (peer == NULL) {
        return;
    }
    peer->stopping = true;
    if (peer->query != NULL) {
        osr_query_cancel(peer->query);
    }
    peer->query = NULL;
    if (peer->connection != NULL) {
        osr_connection_close(peer->connection, true);
    }
    uv_close((uv_handle_t *)&peer->timer, on_timer_closed);
}

void osr_seed_peer_status(const struct osr_seed_peer *peer, struct osr_seed_peer_status *ret_status)
{
    ret_status->url = url_text(peer);
    ret_status->connected = peer->error.code == OSR_OK;
    ret_status->cursor = &peer->cursor;
    ret_status->last_error = peer->error.message;
    ret_status->retry_ms = peer->state == PAUSING ? uv_timer_get_due_in(&peer->timer) : 0;
}
