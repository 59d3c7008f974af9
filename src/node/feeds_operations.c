/* The operations `feeds` and `feeds_followers`: each feed, or one of them, each follower, and how
 * far it lags behind.
 *
 * What is in memory is written down at once; when the entries were made that followers lack is
 * found out by a thread (node/log_finder.h). Reports are made one at a time, those that wait
 * cost nothing but their call: stops many callers from holding many of them in memory. */
#include <stdio.h>
#include <stdlib.h>

#include "adapter/clock.h"
#include "model/limits.h"
#include "node/operation_handlers.h"

/* What one FollowerStatus or FeedStatus points to. */
struct follower_parts {
    Osr__FollowerStatus status;
    struct osr_follower_info info;
    char peer[OSR_URL_TEXT_MAX];
};
struct feed_parts {
    Osr__FeedStatus status;
    struct osr_feed_info info;
    char name[OSR_NAME_BYTES_MAX + 1];
    struct follower_parts *followers;
    Osr__FollowerStatus **pointers;
};

struct report {
    struct osr_log_search search; /* first */
    struct osr_operations *operations;
    struct osr_call *call;
    struct feed_parts *feeds;
    Osr__FeedStatus **pointers;
    size_t count;
    bool is_of_one;
    struct osr_log_place *places;  /* of the first entry that somebody lacks ... */
    Osr__FollowerStatus **lagging; /* ... who is this one */
    size_t lagging_count;
};

/* A call that waits for its report. */
struct osr_feeds_waiter {
    struct osr_feeds_waiter *next;
    struct osr_call *call; /* owns it */
    size_t feed;           /* its index; EVERY_FEED */
};
#define EVERY_FEED SIZE_MAX

/* Followers */

static void fill_lag(struct report *report, const struct osr_feed_info *feed,
                     Osr__FollowerStatus *status)
{
    if (status->acked >= feed->sequence) {
        return;
    }
    status->lag_entries = feed->sequence - status->acked;
    size_t count = ++report->lagging_count;
    report->places = osr_realloc(report->places, count * sizeof(report->places[0]));
    report->lagging = osr_realloc(report->lagging, count * sizeof(report->lagging[0]));
    report->places[count - 1] =
        (struct osr_log_place){.feed = &feed->id, .sequence = status->acked + 1};
    report->lagging[count - 1] = status;
}

static void fill_follower(struct report *report, const struct osr_feed_info *feed,
                          struct follower_parts *parts)
{
    const struct osr_sessions *sessions = report->operations->services->sessions;
    const struct osr_follower_info *info = &parts->info;
    Osr__FollowerStatus *status = &parts->status;
    osr__follower_status__init(status);
    status->instance = (char *)info->instance;
    status->name = (char *)info->name;
    status->connected = info->peer != UINT32_MAX;
    const struct osr_session *session =
        status->connected ? osr_sessions_find_link(sessions, info->peer) : NULL;
    if (session != NULL) {
        snprintf(parts->peer, sizeof(parts->peer), "%s", osr_session_url(session));
        status->peer = parts->peer;
    }
    status->acked = info->acked;
    fill_lag(report, feed, status);
}

static void fill_seed(struct report *report, const struct osr_feed_info *feed,
                      const struct osr_seed_peer *seed, struct follower_parts *parts)
{
    Osr__FollowerStatus *status = &parts->status;
    struct osr_seed_peer_status seed_status;
    osr_seed_peer_status(seed, &seed_status);
    osr__follower_status__init(status);
    snprintf(parts->peer, sizeof(parts->peer), "%s", seed_status.url);
    status->peer = parts->peer;
    status->connected = seed_status.connected;
    status->acked = osr_seed_cursor_held(seed_status.cursor, feed->id.origin);
    status->doubles = feed->own ? seed_status.cursor->doubles : 0;
    fill_lag(report, feed, status);
}

/* Feeds */

/* The name of a feed's origin, as far as it has told us. */
static const char *origin_name(const struct osr_services *services, const char *origin)
{
    if (strcmp(origin, services->instance) == 0) {
        return services->config->name;
    }
    for (size_t i = 0; i < osr_sessions_link_count(services->sessions); i++) {
        const struct osr_session *session = osr_sessions_link(services->sessions, i);
        if (strcmp(osr_session_instance(session), origin) == 0) {
            return osr_session_peer_name(session);
        }
    }
    return "";
}

/* Peers that know UPDATE_KB alone are sent nothing else. */
static size_t count_seeds(const struct osr_services *services, const struct osr_feed_info *feed)
{
    return feed->stream == OSR_STREAM_KB ? osr_neighbours_seed_count(services->neighbours) : 0;
}

static void fill_followers(struct report *report, size_t index, struct feed_parts *parts)
{
    const struct osr_services *services = report->operations->services;
    size_t links = osr_feed_follower_count(services->feed, index);
    size_t count = links + count_seeds(services, &parts->info);
    parts->followers = osr_alloc((count + 1) * sizeof(parts->followers[0]));
    parts->pointers = osr_alloc((count + 1) * sizeof(parts->pointers[0]));
    for (size_t i = 0; i < count; i++) {
        struct follower_parts *follower = &parts->followers[i];
        parts->pointers[i] = &follower->status;
        if (i < links) {
            osr_feed_follower_info(services->feed, index, i, &follower->info);
            fill_follower(report, &parts->info, follower);
        } else {
            fill_seed(report, &parts->info, osr_neighbours_seed(services->neighbours, i - links),
                      follower);
        }
    }
    parts->status.followers = parts->pointers;
    parts->status.n_followers = count;
}

static void fill_feed(struct report *report, size_t index, struct feed_parts *parts)
{
    const struct osr_services *services = report->operations->services;
    Osr__FeedStatus *status = &parts->status;
    struct osr_feed_info *info = &parts->info;
    osr__feed_status__init(status);
    osr_feed_info(services->feed, index, info);
    snprintf(parts->name, sizeof(parts->name), "%s", origin_name(services, info->id.origin));
    status->origin = info->id.origin;
    status->name = parts->name;
    status->stream = info->id.stream;
    status->epoch = info->id.epoch;
    status->sequence = info->sequence;
    status->known_sequence = info->known;
    status->leads = info->own;
    fill_followers(report, index, parts);
}

/* Reports */

static struct report *make_report(struct osr_operations *operations,
                                  const struct osr_feeds_waiter *waiter)
{
    struct report *report = osr_alloc(sizeof(*report));
    report->operations = operations;
    report->call = waiter->call;
    report->is_of_one = waiter->feed != EVERY_FEED;
    size_t first = report->is_of_one ? waiter->feed : 0;
    report->count = report->is_of_one ? 1 : osr_feed_count(operations->services->feed);
    report->feeds = osr_alloc((report->count + 1) * sizeof(report->feeds[0]));
    report->pointers = osr_alloc((report->count + 1) * sizeof(report->pointers[0]));
    for (size_t i = 0; i < report->count; i++) {
        fill_feed(report, first + i, &report->feeds[i]);
        report->pointers[i] = &report->feeds[i].status;
    }
    return report;
}

static void destroy_report(struct report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        free(report->feeds[i].pointers);
        free(report->feeds[i].followers);
    }
    free(report->feeds);
    free(report->pointers);
    free(report->places);
    free(report->lagging);
    free(report);
}

static uint64_t age_ms(uint64_t time_ms)
{
    uint64_t now_ms = osr_wall_ms();
    return time_ms == 0 || time_ms > now_ms ? 0 : now_ms - time_ms;
}

static void reply_all(const struct report *report)
{
    Osr__FeedsResponse response = OSR__FEEDS_RESPONSE__INIT;
    response.feeds = report->pointers;
    response.n_feeds = report->count;
    osr_call_reply(report->call, &response.base);
}

static void reply_one(const struct report *report)
{
    Osr__FollowersResponse response = OSR__FOLLOWERS_RESPONSE__INIT;
    response.feed = report->pointers[0];
    osr_call_reply(report->call, &response.base);
}

static void report_next(struct osr_operations *operations);

static void on_found(struct osr_log_search *search)
{
    struct report *report = (struct report *)search;
    struct osr_operations *operations = report->operations;
    for (size_t i = 0; i < report->lagging_count; i++) {
        report->lagging[i]->lag_ms = age_ms(report->places[i].time_ms);
    }
    if (report->is_of_one) {
        reply_one(report);
    } else {
        reply_all(report);
    }
    destroy_report(report);
    report_next(operations);
}

/* Who has waited longest and is still there; NULL: nobody waits. */
static struct osr_feeds_waiter *next_waiter(struct osr_operations *operations)
{
    struct osr_feeds_waiter *waiter;
    while ((waiter = operations->feeds_waiters) != NULL) {
        struct osr_call *call = waiter->call;
        operations->feeds_waiters = waiter->next;
        if (call->session != NULL) {
            return waiter;
        }
        struct osr_err gone;
        osr_err_set(&gone, OSR_CANCELLED, "the caller has gone");
        osr_call_fail(call, &gone);
    }
    return NULL;
}

static void report_next(struct osr_operations *operations)
{
    const struct osr_feeds_waiter *waiter = next_waiter(operations);
    operations->is_reporting_feeds = waiter != NULL;
    if (waiter == NULL) {
        return;
    }
    struct report *report = make_report(operations, waiter);
    report->search.places = report->places;
    report->search.count = report->lagging_count;
    report->search.done = on_found;
    osr_log_finder_submit(operations->finder, &report->search);
}

static void await_report(struct osr_operations *operations, struct osr_call *call, size_t feed)
{
    struct osr_feeds_waiter *waiter = osr_alloc(sizeof(*waiter));
    waiter->call = call;
    waiter->feed = feed;
    call->operation = waiter;
    if (operations->feeds_waiters == NULL) {
        operations->feeds_waiters = waiter;
    } else {
        operations->last_feeds_waiter->next = waiter;
    }
    operations->last_feeds_waiter = waiter;
    osr_call_await(call, NULL);
    if (!operations->is_reporting_feeds) {
        report_next(operations);
    }
}

/* Requests */

void osr_operation_feeds(struct osr_operations *operations, struct osr_call *call,
                         const Osr__Frame *frame)
{
    (void)frame;
    await_report(operations, call, EVERY_FEED);
}

/* What an empty field stands for is filled in; of several epochs the latest is found. */
static int find_feed(const struct osr_services *services, const Osr__FollowersRequest *request,
                     size_t *ret_index, struct osr_err *err)
{
    const char *origin = request->origin[0] != '\0' ? request->origin : services->instance;
    const char *stream =
        request->stream[0] != '\0' ? request->stream : osr_feed_stream_name(OSR_STREAM_KB);
    uint64_t latest = 0;
    for (size_t i = 0; i < osr_feed_count(services->feed); i++) {
        struct osr_feed_info info;
        osr_feed_info(services->feed, i, &info);
        bool is_named = strcmp(info.id.origin, origin) == 0 &&
                        strcmp(info.id.stream, stream) == 0 &&
                        (request->epoch == 0 || request->epoch == info.id.epoch);
        if (is_named && info.id.epoch > latest) {
            latest = info.id.epoch;
            *ret_index = i;
        }
    }
    return latest != 0 ? 0
                       : (int)osr_err_set(err, OSR_NOT_FOUND, "no such feed of %s is held", origin);
}

void osr_operation_feeds_followers(struct osr_operations *operations, struct osr_call *call,
                                   const Osr__Frame *frame)
{
    size_t feed = 0;
    struct osr_err err;
    if (find_feed(operations->services, frame->feeds_followers, &feed, &err) != 0) {
        osr_call_fail(call, &err);
    } else {
        await_report(operations, call, feed);
    }
}
