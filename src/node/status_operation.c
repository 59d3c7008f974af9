/* `status`, at once or when everything known is held. */
#include <stdio.h>
#include <stdlib.h>

#include "model/limits.h"
#include "node/operation_handlers.h"

struct osr_status_waiter {
    struct osr_status_waiter *next;
    struct osr_call *call;
    uint64_t deadline_ms;
};

enum {
    WAIT_LOOK_MS = 20, /* how often those who wait are looked after */
    /* Of the config, members, accepted, seed peers. */
    PEERS_SHOWN_MAX = 3 * OSR_PEERS_MAX + OSR_PEER_MEMBERS_MAX,
};

/* What a StatusResponse points to. */
struct status_parts {
    Osr__StatusResponse response;
    char *listeners[OSR_CONFIG_LISTENERS_MAX + 1];
    char *listeners_down[OSR_CONFIG_LISTENERS_MAX + 1];
    Osr__PeerStatus peers[PEERS_SHOWN_MAX];
    Osr__PeerStatus *peer_pointers[PEERS_SHOWN_MAX];
    Osr__EventsStatus events[OSR_EVENTS_TARGETS_MAX];
    Osr__EventsStatus *events_pointers[OSR_EVENTS_TARGETS_MAX];
    char storage[OSR_ERR_MESSAGE_MAX + OSR_ERR_HINT_MAX + sizeof("; ")];
};

static void add_peer(struct status_parts *parts, const Osr__PeerStatus *status)
{
    size_t index = parts->response.n_peers++;
    parts->peers[index] = *status;
    parts->peer_pointers[index] = &parts->peers[index];
}

/* Dialled ones peers.h has told of. Those for the ledger `cluster members` tells of. */
static void add_accepted_links(const struct osr_sessions *sessions, struct status_parts *parts)
{
    for (size_t i = 0; i < osr_sessions_link_count(sessions); i++) {
        const struct osr_session *session = osr_sessions_link(sessions, i);
        bool is_for_feeds = osr_session_purpose(session) == OSR__LINK_PURPOSE__FOR_FEEDS;
        if (osr_session_user(session) != NULL || !is_for_feeds) {
            continue;
        }
        Osr__PeerStatus status = OSR__PEER_STATUS__INIT;
        status.url = (char *)osr_session_url(session);
        status.instance = (char *)osr_session_instance(session);
        status.name = (char *)osr_session_peer_name(session);
        status.state = status.instance[0] != '\0' ? "up" : "greeting";
        add_peer(parts, &status);
    }
}

static void add_seed_peers(const struct osr_neighbours *neighbours, struct status_parts *parts)
{
    for (size_t i = 0; i < osr_neighbours_seed_count(neighbours); i++) {
        struct osr_seed_peer_status seed;
        osr_seed_peer_status(osr_neighbours_seed(neighbours, i), &seed);
        Osr__PeerStatus status = OSR__PEER_STATUS__INIT;
        status.url = (char *)seed.url;
        status.state = "seed";
        status.dialled = true;
        status.last_error = (char *)seed.last_error;
        status.retry_ms = seed.retry_ms;
        add_peer(parts, &status);
    }
}

static void add_peers(const struct osr_services *services, struct status_parts *parts)
{
    parts->response.peers = parts->peer_pointers;
    for (size_t i = 0; i < osr_peers_count(services->peers); i++) {
        Osr__PeerStatus status;
        osr_peers_status(services->peers, i, &status);
        add_peer(parts, &status);
    }
    add_accepted_links(services->sessions, parts);
    add_seed_peers(services->neighbours, parts);
}

static void add_events(const struct osr_neighbours *neighbours, struct status_parts *parts)
{
    parts->response.events = parts->events_pointers;
    for (size_t i = 0; i < osr_neighbours_events_count(neighbours); i++) {
        struct osr_events_status events;
        osr_events_status(osr_neighbours_events(neighbours, i), &events);
        Osr__EventsStatus *status = &parts->events[i];
        osr__events_status__init(status);
        status->url = (char *)events.url;
        status->up = events.is_up;
        status->last_error = (char *)events.last_error;
        status->position = events.position;
        status->lag = events.lag;
        parts->events_pointers[parts->response.n_events++] = status;
    }
}

static void describe_storage(const struct osr_services *services, struct status_parts *parts)
{
    const struct osr_err *projection = services->storage;
    parts->response.storage = parts->storage;
    if (osr_journal_is_full(services->journal)) {
        snprintf(parts->storage, sizeof(parts->storage),
                 "the disk is full: nothing can be written until there is room");
    } else if (projection->code != OSR_OK) {
        snprintf(parts->storage, sizeof(parts->storage), "%s%s%s", projection->message,
                 projection->hint[0] != '\0' ? "; " : "", projection->hint);
    } else {
        snprintf(parts->storage, sizeof(parts->storage), "ok");
    }
}

static uint64_t entries_held(const struct osr_feed *feed)
{
    uint64_t entries = 0;
    for (size_t i = 0; i < osr_feed_count(feed); i++) {
        struct osr_feed_info info;
        osr_feed_info(feed, i, &info);
        entries += info.stream == OSR_STREAM_KB ? info.sequence : 0;
    }
    return entries;
}

static void add_listeners(const struct osr_services *services, struct status_parts *parts)
{
    Osr__StatusResponse *response = &parts->response;
    response->listeners = parts->listeners;
    response->listeners_down = parts->listeners_down;
    for (size_t i = 0; i < services->listener_count; i++) {
        const struct osr_listener *listener = services->listeners[i];
        const struct osr_err *down = osr_listener_down(listener);
        parts->listeners[response->n_listeners++] = (char *)osr_listener_url(listener);
        if (down != NULL) {
            parts->listeners_down[response->n_listeners_down++] = (char *)down->message;
        }
    }
}

static void fill_status(const struct osr_services *services, struct status_parts *parts)
{
    Osr__StatusResponse *response = &parts->response;
    osr__status_response__init(response);
    response->instance = (char *)services->instance;
    response->name = services->config->name;
    response->cluster = services->config->cluster;
    response->version = OSR_VERSION;
    response->uptime_ms = uv_now(services->loop) - services->start_ms;
    response->data_folder = services->config->data;
    add_listeners(services, parts);
    response->entries = entries_held(services->feed);
    response->log_bytes = osr_wal_bytes(osr_journal_wal(services->journal));
    response->projection_lag = osr_knowledge_lag(services->knowledge);
    add_peers(services, parts);
    add_events(services->neighbours, parts);
    describe_storage(services, parts);
}

/* The count of documents is what takes time: the rest is filled in when it is there. */
static void on_count(void *context, const struct osr_query_reply *reply)
{
    struct osr_call *call = context;
    const struct osr_services *services = call->services;
    call->query = NULL;
    struct status_parts *parts = osr_alloc(sizeof(*parts));
    fill_status(services, parts);
    /* What is wrong with the projection is told as such, and is no reason to tell nothing. */
    if (reply->err == NULL) {
        parts->response.documents = reply->count;
    } else if (services->storage->code == OSR_OK) {
        parts->response.storage = (char *)reply->err->message;
    }
    osr_call_reply(call, &parts->response.base);
    free(parts);
}

static void answer_status(struct osr_call *call)
{
    osr_call_await(call, osr_knowledge_count(call->services->knowledge, on_count, call));
}

/* Every feed known here is held to its known end, and can be searched. */
static bool is_caught_up(const struct osr_services *services)
{
    if (!osr_peers_are_tried(services->peers) || osr_knowledge_lag(services->knowledge) > 0) {
        return false;
    }
    for (size_t i = 0; i < osr_feed_count(services->feed); i++) {
        struct osr_feed_info info;
        osr_feed_info(services->feed, i, &info);
        if (info.sequence < info.known) {
            return false;
        }
    }
    return true;
}

/* True where the waiter has been answered, or nobody waits any more. */
static bool answer_waiter(struct osr_call *call, uint64_t deadline_ms)
{
    const struct osr_services *services = call->services;
    bool is_gone = call->session == NULL;
    if (!is_gone && is_caught_up(services)) {
        answer_status(call);
        return true;
    }
    if (!is_gone && uv_now(services->loop) < deadline_ms) {
        return false;
    }
    struct osr_err err;
    osr_err_set(&err, OSR_TIMEOUT, "not every known entry is here and searchable yet");
    osr_err_hint(&err, "see `osiris feeds` and `osiris status`");
    osr_call_fail(call, &err);
    return true;
}

static void on_wait_timer(uv_timer_t *timer)
{
    struct osr_operations *operations = timer->data;
    struct osr_status_waiter **link = &operations->waiters;
    while (*link != NULL) {
        struct osr_status_waiter *waiter = *link;
        if (!answer_waiter(waiter->call, waiter->deadline_ms)) {
            link = &waiter->next;
            continue;
        }
        *link = waiter->next;
        free(waiter);
    }
    if (operations->waiters == NULL) {
        uv_timer_stop(timer);
    }
}

static void wait_for_all(struct osr_operations *operations, struct osr_call *call,
                         uint32_t timeout_ms)
{
    struct osr_status_waiter *waiter = osr_alloc(sizeof(*waiter));
    waiter->call = call;
    waiter->deadline_ms = uv_now(operations->services->loop) + timeout_ms;
    waiter->next = operations->waiters;
    operations->waiters = waiter;
    uv_timer_start(&operations->wait_timer, on_wait_timer, 0, WAIT_LOOK_MS);
}

void osr_status_waiters_drop(struct osr_operations *operations)
{
    struct osr_status_waiter *waiter;
    struct osr_err err;
    osr_err_set(&err, OSR_CANCELLED, "the instance is going away");
    while ((waiter = operations->waiters) != NULL) {
        operations->waiters = waiter->next;
        osr_call_fail(waiter->call, &err);
        free(waiter);
    }
}

void osr_operation_status(struct osr_operations *operations, struct osr_call *call,
                          const Osr__Frame *frame)
{
    uint32_t timeout_ms;
    struct osr_err err;
    if (!frame->status->wait) {
        answer_status(call);
    } else if (osr_operation_timeout(frame->status->timeout_ms, &timeout_ms, &err) != 0) {
        osr_call_fail(call, &err);
    } else {
        wait_for_all(operations, call, timeout_ms);
    }
}
