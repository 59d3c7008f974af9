/* status, feeds, feeds resend, rebuild: commands about an instance itself. */
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "adapter/clock.h"
#include "base/text.h"
#include "bin/command.h"
#include "bin/display.h"
#include "bin/progress.h"
#include "bin/table.h"

/* ---- status ---- */

static const struct osr_column peer_columns[] = {{"PEER", OSR_COLUMN_WHOLE},
                                                 {"NAME", OSR_COLUMN_OPTIONAL},
                                                 {"STATE", OSR_COLUMN_WHOLE},
                                                 {"INSTANCE", OSR_COLUMN_OPTIONAL},
                                                 {"LAST ERROR", OSR_COLUMN_OPTIONAL}};

static void write_peers(struct osr_output *out, const Osr__StatusResponse *status)
{
    struct osr_table table;
    osr_table_init(&table, peer_columns, sizeof(peer_columns) / sizeof(peer_columns[0]), out);
    for (size_t i = 0; i < status->n_peers; i++) {
        const Osr__PeerStatus *peer = status->peers[i];
        osr_table_add_text(&table, peer->url);
        osr_table_add_text(&table, peer->name);
        osr_table_add_text(&table, peer->state);
        osr_table_add_text(&table, peer->instance);
        osr_table_add_text(&table, peer->last_error);
    }
    if (status->n_peers > 0) {
        osr_output_add_text(out, "\n");
    }
    osr_table_finish(&table);
}

static const struct osr_column events_columns[] = {{"EVENTS", OSR_COLUMN_WHOLE},
                                                   {"STATE", OSR_COLUMN_WHOLE},
                                                   {"POSITION", OSR_COLUMN_RIGHT},
                                                   {"BEHIND", OSR_COLUMN_RIGHT},
                                                   {"LAST ERROR", OSR_COLUMN_OPTIONAL}};

static void write_events(struct osr_output *out, const Osr__StatusResponse *status)
{
    struct osr_table table;
    osr_table_init(&table, events_columns, sizeof(events_columns) / sizeof(events_columns[0]), out);
    for (size_t i = 0; i < status->n_events; i++) {
        const Osr__EventsStatus *events = status->events[i];
        osr_table_add_text(&table, events->url);
        osr_table_add_text(&table, events->up ? "up" : "down");
        osr_table_add_number(&table, events->position);
        osr_table_add_number(&table, events->lag);
        osr_table_add_text(&table, events->last_error);
    }
    if (status->n_events > 0) {
        osr_output_add_text(out, "\n");
    }
    osr_table_finish(&table);
}

static void write_status(struct osr_output *out, const Osr__StatusResponse *status)
{
    char text[OSR_DURATION_CHARS];
    osr_output_add_field(out, "name", status->name);
    osr_output_add_field(out, "instance", status->instance);
    osr_output_add_field(out, "cluster", status->cluster);
    osr_output_add_field(out, "version", status->version);
    osr_output_add_field(out, "up", osr_duration_write(text, status->uptime_ms));
    osr_output_add_field(out, "data", status->data_folder);
    for (size_t i = 0; i < status->n_listeners; i++) {
        osr_output_add_field(out, i == 0 ? "listens" : "", status->listeners[i]);
    }
    for (size_t i = 0; i < status->n_listeners_down; i++) {
        osr_output_add_field(out, "not there", status->listeners_down[i]);
    }
    osr_output_add_field(out, "documents", osr_display_number(text, status->documents));
    osr_output_add_field(out, "entries", osr_display_number(text, status->entries));
    osr_output_add_field(out, "log", osr_display_size(text, status->log_bytes));
    osr_output_add_field(out, "storage", status->storage);
    if (status->projection_lag > 0) {
        osr_output_add_field(out, "not indexed", osr_display_number(text, status->projection_lag));
    }
    write_peers(out, status);
    write_events(out, status);
}

static int on_status(void *context, const ProtobufCMessage *reply)
{
    struct osr_context *run = context;
    if (run->json) {
        osr_output_add_message(&run->out, reply);
    } else {
        write_status(&run->out, (const Osr__StatusResponse *)reply);
    }
    return run->out.failure.code;
}

/* wait_ms 0: as it is now. */
static int call_status(struct osr_context *context, uint32_t wait_ms, struct osr_err *err)
{
    enum { REPLY_GRACE_MS = 2000 };
    Osr__StatusRequest request = OSR__STATUS_REQUEST__INIT;
    request.wait = wait_ms > 0;
    request.timeout_ms = wait_ms;
    if (wait_ms > 0) {
        context->timeout_ms = wait_ms + REPLY_GRACE_MS;
    }
    return osr_context_call(context, "status", &request.base, on_status, context, err);
}

/* An instance that is starting, or starting again, is not there yet: that is what the wait is
 * for, and so each attempt is one that says for how long there is left to wait. */
static int wait_for_status(struct osr_context *context, uint32_t wait_ms, struct osr_err *err)
{
    enum { PAUSE_MS = 50 };
    uint64_t deadline_ms = osr_monotonic_ms() + wait_ms;
    osiris_set_retries(context->client, 1, 0);
    for (;;) {
        uint64_t now_ms = osr_monotonic_ms();
        uint32_t left_ms = now_ms < deadline_ms ? (uint32_t)(deadline_ms - now_ms) : 1;
        int code = call_status(context, left_ms, err);
        bool may_come = code == OSR_UNAVAILABLE || code == OSR_BUSY;
        if (!may_come || left_ms <= PAUSE_MS) {
            return code;
        }
        struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
}

int osr_run_status(struct osr_context *context, const struct osr_arguments *arguments,
                   struct osr_err *err)
{
    uint32_t wait_ms;
    int code = osr_arguments_seconds(arguments, OSR_FLAG_WAIT, 0, &wait_ms, err);
    if (code != OSR_OK) {
        return code;
    }
    return wait_ms == 0 ? call_status(context, 0, err) : wait_for_status(context, wait_ms, err);
}

/* ---- feeds ---- */

static const struct osr_column feed_columns[] = {
    {"FEED", OSR_COLUMN_WHOLE},
    {"LAST", OSR_COLUMN_RIGHT | OSR_COLUMN_WHOLE},
    {"KNOWN", OSR_COLUMN_RIGHT | OSR_COLUMN_WHOLE},
    {"FOLLOWER", 0},
    {"STATE", OSR_COLUMN_OPTIONAL},
    {"HOLDS", OSR_COLUMN_RIGHT},
    {"BEHIND", OSR_COLUMN_RIGHT},
    {"FOR", OSR_COLUMN_RIGHT},
    {"DOUBLES", OSR_COLUMN_RIGHT | OSR_COLUMN_OPTIONAL}};

/* "name/kb", or the start of the instance's id where it has no name; "/kb@2" in its second epoch.
 */
static void add_feed_cells(struct osr_table *table, const Osr__FeedStatus *feed)
{
    char *epoch = feed->epoch > 1 ? osr_format("@%" PRIu64, feed->epoch) : osr_strdup("");
    char *name = osr_format("%.32s/%s%s%s", feed->name[0] != '\0' ? feed->name : feed->origin,
                            feed->stream, epoch, feed->leads ? " *" : "");
    osr_table_add_text(table, name);
    osr_table_add_number(table, feed->sequence);
    osr_table_add_number(table, feed->known_sequence);
    free(name);
    free(epoch);
}

static void add_empty(struct osr_table *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        osr_table_add_text(table, "");
    }
}

static const char *follower_name(const Osr__FollowerStatus *follower)
{
    if (follower->name[0] != '\0') {
        return follower->name;
    }
    return follower->peer[0] != '\0' ? follower->peer : follower->instance;
}

static void add_follower_cells(struct osr_table *table, const Osr__FollowerStatus *follower)
{
    char text[OSR_DURATION_CHARS];
    osr_table_add_text(table, follower_name(follower));
    osr_table_add_text(table, follower->connected ? "up" : "away");
    osr_table_add_number(table, follower->acked);
    osr_table_add_number(table, follower->lag_entries);
    osr_table_add_text(table,
                       follower->lag_ms > 0 ? osr_duration_write(text, follower->lag_ms) : "-");
    if (follower->doubles > 0) {
        osr_table_add_number(table, follower->doubles);
    } else {
        osr_table_add_text(table, "");
    }
}

static void add_feed_rows(struct osr_table *table, const Osr__FeedStatus *feed)
{
    enum { FEED_CELLS = 3, FOLLOWER_CELLS = 6 };
    _Static_assert(FEED_CELLS + FOLLOWER_CELLS == sizeof(feed_columns) / sizeof(feed_columns[0]),
                   "a row has a cell for each column");
    add_feed_cells(table, feed);
    if (feed->n_followers == 0) {
        add_empty(table, FOLLOWER_CELLS);
    }
    for (size_t i = 0; i < feed->n_followers; i++) {
        if (i > 0) {
            add_empty(table, FEED_CELLS);
        }
        add_follower_cells(table, feed->followers[i]);
    }
}

static int on_feeds(void *context, const ProtobufCMessage *reply)
{
    struct osr_context *run = context;
    const Osr__FeedsResponse *response = (const Osr__FeedsResponse *)reply;
    struct osr_table table;
    osr_table_init(&table, feed_columns, sizeof(feed_columns) / sizeof(feed_columns[0]), &run->out);
    for (size_t i = 0; i < response->n_feeds; i++) {
        if (run->json) {
            osr_output_add_message(&run->out, &response->feeds[i]->base);
        } else {
            add_feed_rows(&table, response->feeds[i]);
        }
    }
    osr_table_finish(&table);
    return run->out.failure.code;
}

int osr_run_feeds(struct osr_context *context, const struct osr_arguments *arguments,
                  struct osr_err *err)
{
    (void)arguments;
    Osr__FeedsRequest request = OSR__FEEDS_REQUEST__INIT;
    return osr_context_call(context, "feeds", &request.base, on_feeds, context, err);
}

/* ---- feeds resend ---- */

static int on_resend(void *context, const ProtobufCMessage *reply)
{
    struct osr_context *run = context;
    if (run->json) {
        osr_output_add_message(&run->out, reply);
    } else {
        osr_output_add_format(&run->out, "%" PRIu64 " entries will be sent again\n",
                              ((const Osr__ResendResponse *)reply)->entries);
    }
    return run->out.failure.code;
}

int osr_run_feeds_resend(struct osr_context *context, const struct osr_arguments *arguments,
                         struct osr_err *err)
{
    if (!osr_arguments_has(arguments, OSR_FLAG_FROM)) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "--from N says where to begin; 1: all");
    }
    Osr__ResendRequest request = OSR__RESEND_REQUEST__INIT;
    request.peer = arguments->operands[0];
    int code =
        osr_arguments_number(arguments, OSR_FLAG_FROM, 0, UINT64_MAX, &request.from_sequence, err);
    if (code != OSR_OK) {
        return code;
    }
    return osr_context_call(context, "feeds_resend", &request.base, on_resend, context, err);
}

/* ---- rebuild ---- */

struct rebuild {
    struct osr_context *context;
    struct osr_progress progress;
    uint64_t done;
};

static int on_rebuild(void *context, const ProtobufCMessage *reply)
{
    struct rebuild *rebuild = context;
    const Osr__RebuildResponse *response = (const Osr__RebuildResponse *)reply;
    rebuild->done = response->done;
    osr_progress_show(&rebuild->progress, response->done, response->total, response->done);
    if (rebuild->context->json) {
        osr_output_add_message(&rebuild->context->out, reply);
    }
    return osr_output_flush(&rebuild->context->out, NULL);
}

int osr_run_rebuild(struct osr_context *context, const struct osr_arguments *arguments,
                    struct osr_err *err)
{
    (void)arguments;
    Osr__RebuildRequest request = OSR__REBUILD_REQUEST__INIT;
    struct rebuild rebuild = {.context = context};
    osr_progress_begin(&rebuild.progress, "records");
    int code = osr_context_call(context, "rebuild", &request.base, on_rebuild, &rebuild, err);
    osr_progress_end(&rebuild.progress);
    if (code == OSR_OK && !context->json) {
        char number[OSR_DISPLAY_NUMBER_CHARS], duration[OSR_DURATION_CHARS];
        osr_output_add_format(
            &context->out, "%s records in %s\n", osr_display_number(number, rebuild.done),
            osr_duration_write(duration, osr_progress_elapsed_ms(&rebuild.progress)));
    }
    return code;
}
