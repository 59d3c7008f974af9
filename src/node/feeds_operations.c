/* Operations on feeds: `feeds` and `feeds_resend`. */
#include <inttypes.h>
#include <stdlib.h>

#include "adapter/clock.h"
#include "model/limits.h"
#include "node/operation_handlers.h"

/* The log that holds a feed; 0: none. */
static uint32_t find_log(struct osr_journal *journal, const struct osr_feed_id *feed)
{
    const struct osr_feed_id *found;
    for (uint32_t log_id = 1; (found = osr_journal_feed(journal, log_id)) != NULL; log_id++) {
        if (osr_feed_id_equal(found, feed)) {
            return log_id;
        }
    }
    return 0;
}

/* When an entry was made; 0 where it cannot be read. */
static uint64_t entry_time_ms(struct osr_journal *journal, const struct osr_feed_id *feed,
                              uint64_t sequence)
{
    uint32_t log_id = find_log(journal, feed);
    struct osr_buffer record = {0};
    struct osr_err err;
    uint64_t time_ms = 0;
    if (log_id != 0 &&
        osr_wal_read_one(osr_journal_wal(journal), log_id, sequence, &record, &err) == 0) {
        time_ms = osr_get_u64(osr_record_stored(osr_buffer_slice(&record)).data);
    }
    osr_buffer_done(&record);
    return time_ms;
}

static uint64_t age_ms(uint64_t time_ms)
{
    uint64_t now_ms = osr_wall_ms();
    return time_ms == 0 || time_ms > now_ms ? 0 : now_ms - time_ms;
}

/* What one FollowerStatus or FeedStatus points to. */
struct follower_parts {
    Osr__FollowerStatus status;
    struct osr_follower_info info;
};
struct feed_parts {
    Osr__FeedStatus status;
    struct osr_feed_info info;
    struct follower_parts *followers;
    Osr__FollowerStatus **pointers;
};

static void fill_lag(const struct osr_services *services, const struct osr_feed_info *feed,
                     Osr__FollowerStatus *status)
{
    if (status->acked >= feed->sequence) {
        return;
    }
    status->lag_entries = feed->sequence - status->acked;
    status->lag_ms = age_ms(entry_time_ms(services->journal, &feed->id, status->acked + 1));
}

static void fill_follower(const struct osr_services *services, const struct osr_feed_info *feed,
                          struct follower_parts *parts)
{
    const struct osr_follower_info *info = &parts->info;
    Osr__FollowerStatus *status = &parts->status;
    osr__follower_status__init(status);
    status->instance = (char *)info->instance;
    status->name = (char *)info->name;
    status->connected = info->peer != UINT32_MAX;
    const struct osr_session *session =
        status->connected ? osr_sessions_find_link(services->sessions, info->peer) : NULL;
    if (session != NULL) {
        status->peer = (char *)osr_session_url(session);
    }
    status->acked = info->acked;
    fill_lag(services, feed, status);
}

static void fill_seed(const struct osr_services *services, const struct osr_feed_info *feed,
                      const struct osr_seed_peer *seed, Osr__FollowerStatus *status)
{
    struct osr_seed_peer_status seed_status;
    osr_seed_peer_status(seed, &seed_status);
    osr__follower_status__init(status);
    status->peer = (char *)seed_status.url;
    status->connected = seed_status.connected;
    status->acked = osr_seed_cursor_held(seed_status.cursor, feed->id.origin);
    status->doubles = feed->own ? seed_status.cursor->doubles : 0;
    fill_lag(services, feed, status);
}

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

static void fill_feed(const struct osr_services *services, size_t index, struct feed_parts *parts)
{
    Osr__FeedStatus *status = &parts->status;
    struct osr_feed_info *info = &parts->info;
    osr__feed_status__init(status);
    osr_feed_info(services->feed, index, info);
    status->origin = info->id.origin;
    status->name = (char *)origin_name(services, info->id.origin);
    status->stream = info->id.stream;
    status->epoch = info->id.epoch;
    status->sequence = info->sequence;
    status->known_sequence = info->known;
    status->leads = info->own;
    size_t links = osr_feed_follower_count(services->feed, index);
    size_t count = links + osr_neighbours_seed_count(services->neighbours);
    parts->followers = osr_alloc((count + 1) * sizeof(parts->followers[0]));
    parts->pointers = osr_alloc((count + 1) * sizeof(parts->pointers[0]));
    for (size_t i = 0; i < count; i++) {
        struct follower_parts *follower = &parts->followers[i];
        parts->pointers[i] = &follower->status;
        if (i < links) {
            osr_feed_follower_info(services->feed, index, i, &follower->info);
            fill_follower(services, info, follower);
        } else {
            fill_seed(services, info, osr_neighbours_seed(services->neighbours, i - links),
                      &follower->status);
        }
    }
    status->followers = parts->pointers;
    status->n_followers = count;
}

void osr_operation_feeds(struct osr_operations *operations, struct osr_call *call,
                         const Osr__Frame *frame)
{
    (void)frame;
    const struct osr_services *services = operations->services;
    size_t count = osr_feed_count(services->feed);
    struct feed_parts *parts = osr_alloc((count + 1) * sizeof(*parts));
    Osr__FeedStatus **pointers = osr_alloc((count + 1) * sizeof(pointers[0]));
    for (size_t i = 0; i < count; i++) {
        fill_feed(services, i, &parts[i]);
        pointers[i] = &parts[i].status;
    }
    Osr__FeedsResponse response = OSR__FEEDS_RESPONSE__INIT;
    response.feeds = pointers;
    response.n_feeds = count;
    osr_call_reply(call, &response.base);
    for (size_t i = 0; i < count; i++) {
        free(parts[i].pointers);
        free(parts[i].followers);
    }
    free(pointers);
    free(parts);
}

/* feeds resend */

static const struct osr_session *find_link(const struct osr_sessions *sessions, const char *peer)
{
    for (size_t i = 0; i < osr_sessions_link_count(sessions); i++) {
        const struct osr_session *session = osr_sessions_link(sessions, i);
        if (strcmp(osr_session_instance(session), peer) == 0 ||
            strcmp(osr_session_url(session), peer) == 0 ||
            strcmp(osr_session_peer_name(session), peer) == 0) {
            return session;
        }
    }
    return NULL;
}

/* Untouched where this instance has written nothing yet. */
static void find_own_feed(const struct osr_feed *feed, struct osr_feed_info *ret_info)
{
    for (size_t i = 0; i < osr_feed_count(feed); i++) {
        struct osr_feed_info info;
        osr_feed_info(feed, i, &info);
        if (info.own) {
            *ret_info = info;
        }
    }
}

static int take_ordinal(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    (void)err;
    *(uint64_t *)context = record->ordinal;
    return OSR_CANCELLED; /* one is enough */
}

/* Where an entry stands in this instance's order; 0 where it cannot be read. */
static uint64_t find_position(struct osr_journal *journal, const struct osr_feed_id *feed,
                              uint64_t sequence)
{
    uint32_t log_id = find_log(journal, feed);
    uint64_t position = 0;
    struct osr_err err;
    if (log_id != 0) {
        (void)osr_wal_read(osr_journal_wal(journal), log_id, sequence, take_ordinal, &position,
                           &err);
    }
    return position;
}

static int check_from(uint64_t from, const struct osr_feed_info *own, struct osr_err *err)
{
    if (from >= 1 && from <= own->sequence) {
        return 0;
    }
    return (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                            "from_sequence is %" PRIu64 "; this instance's feed has 1 to %" PRIu64,
                            from, own->sequence);
}

static uint64_t entries_in_all_feeds(const struct osr_feed *feed)
{
    uint64_t count = 0;
    for (size_t i = 0; i < osr_feed_count(feed); i++) {
        struct osr_feed_info info;
        osr_feed_info(feed, i, &info);
        count += info.sequence;
    }
    return count;
}

/* A seed peer gets the entries of all feeds that came behind this one of our own; from 1 on that
 * is all, also where nothing is our own. */
static int resend_to_seed(const struct osr_services *services, struct osr_seed_peer *seed,
                          uint64_t from, const struct osr_feed_info *own, uint64_t *ret_entries,
                          struct osr_err *err)
{
    if (from == 1) {
        osr_seed_peer_resend(seed, 1, services->instance, 1);
        *ret_entries = entries_in_all_feeds(services->feed);
        return 0;
    }
    int code = check_from(from, own, err);
    if (code != 0) {
        return code;
    }
    uint64_t position = find_position(services->journal, &own->id, from);
    if (position == 0) {
        return (int)osr_err_set(err, OSR_IO, "entry %" PRIu64 " cannot be read", from);
    }
    osr_seed_peer_resend(seed, position, own->id.origin, from);
    *ret_entries = own->sequence + 1 - from;
    return 0;
}

static int resend_to_link(const struct osr_services *services, const struct osr_session *session,
                          uint64_t from, const struct osr_feed_info *own, uint64_t *ret_entries,
                          struct osr_err *err)
{
    int code = check_from(from, own, err);
    if (code != 0) {
        return code;
    }
    services->resend(services->context, osr_session_number(session), from);
    *ret_entries = own->sequence + 1 - from;
    return 0;
}

static int resend(const struct osr_services *services, const Osr__ResendRequest *request,
                  uint64_t *ret_entries, struct osr_err *err)
{
    uint64_t from = request->from_sequence;
    struct osr_feed_info own = {0};
    find_own_feed(services->feed, &own);
    const struct osr_session *session = find_link(services->sessions, request->peer);
    if (session != NULL) {
        return resend_to_link(services, session, from, &own, ret_entries, err);
    }
    struct osr_seed_peer *seed = osr_neighbours_find_seed(services->neighbours, request->peer);
    if (seed != NULL) {
        return resend_to_seed(services, seed, from, &own, ret_entries, err);
    }
    osr_err_set(err, OSR_NOT_FOUND, "no peer %s is connected", request->peer);
    osr_err_hint(err, "`osiris status` lists the peers");
    return OSR_NOT_FOUND;
}

void osr_operation_feeds_resend(struct osr_operations *operations, struct osr_call *call,
                                const Osr__Frame *frame)
{
    struct osr_err err;
    Osr__ResendResponse response = OSR__RESEND_RESPONSE__INIT;
    if (resend(operations->services, frame->feeds_resend, &response.entries, &err) != 0) {
        osr_call_fail(call, &err);
    } else {
        osr_call_reply(call, &response.base);
    }
}
