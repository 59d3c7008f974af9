/* The operation `feeds_resend`: sends a peer what it was sent before. */
#include <inttypes.h>
#include <stdlib.h>

#include "node/operation_handlers.h"

static const struct osr_session *find_link(const struct osr_sessions *sessions, const char *peer)
{
    for (size_t i = 0; i < osr_sessions_link_count(sessions); i++) {
        const struct osr_session *session = osr_sessions_link(sessions, i);
        if (osr_session_purpose(session) != OSR__LINK_PURPOSE__FOR_FEEDS) {
            continue;
        }
        if (strcmp(osr_session_instance(session), peer) == 0 ||
            strcmp(osr_session_url(session), peer) == 0 ||
            strcmp(osr_session_peer_name(session), peer) == 0) {
            return session;
        }
    }
    return NULL;
}

static void find_own_feed(const struct osr_feed *feed, struct osr_feed_info *ret_info)
{
    for (size_t i = 0; i < osr_feed_count(feed); i++) {
        struct osr_feed_info info;
        osr_feed_info(feed, i, &info);
        if (info.own && info.stream == OSR_STREAM_KB) {
            *ret_info = info;
        }
    }
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

static uint64_t entries_of_kb(const struct osr_feed *feed)
{
    uint64_t count = 0;
    for (size_t i = 0; i < osr_feed_count(feed); i++) {
        struct osr_feed_info info;
        osr_feed_info(feed, i, &info);
        count += info.stream == OSR_STREAM_KB ? info.sequence : 0;
    }
    return count;
}

/* Links: by sequence */

static int resend_to_link(const struct osr_services *services, const struct osr_session *session,
                          uint64_t from, uint64_t *ret_entries, struct osr_err *err)
{
    struct osr_feed_info own = {0};
    find_own_feed(services->feed, &own);
    int code = check_from(from, &own, err);
    if (code == 0) {
        services->resend(services->context, osr_session_number(session), from);
        *ret_entries = own.sequence + 1 - from;
    }
    return code;
}

/* Seed peers: by position, which is to be found first. They get the entries of all feeds that came
 * behind this one of our own; from 1 on that is all, also where nothing is our own. */

struct rewinding {
    struct osr_log_search search; /* first */
    struct osr_log_place place;   /* of the entry to send first */
    struct osr_feed_info own;
    struct osr_seed_peer *seed; /* there as long as the operations are */
    struct osr_call *call;
};

static void reply(struct osr_call *call, uint64_t entries)
{
    Osr__ResendResponse response = OSR__RESEND_RESPONSE__INIT;
    response.entries = entries;
    osr_call_reply(call, &response.base);
}

static void on_found(struct osr_log_search *search)
{
    struct rewinding *rewinding = (struct rewinding *)search;
    uint64_t from = rewinding->place.sequence;
    if (rewinding->place.ordinal == 0) {
        struct osr_err err;
        osr_err_set(&err, OSR_IO, "entry %" PRIu64 " cannot be read", from);
        osr_call_fail(rewinding->call, &err);
    } else {
        osr_seed_peer_resend(rewinding->seed, rewinding->place.ordinal, rewinding->own.id.origin,
                             from);
        reply(rewinding->call, rewinding->own.sequence + 1 - from);
    }
    free(rewinding);
}

static void find_and_resend(struct osr_operations *operations, struct osr_call *call,
                            struct osr_seed_peer *seed, uint64_t from,
                            const struct osr_feed_info *own)
{
    struct rewinding *rewinding = osr_alloc(sizeof(*rewinding));
    rewinding->own = *own;
    rewinding->place = (struct osr_log_place){.feed = &rewinding->own.id, .sequence = from};
    rewinding->seed = seed;
    rewinding->call = call;
    rewinding->search.places = &rewinding->place;
    rewinding->search.count = 1;
    rewinding->search.done = on_found;
    osr_call_await(call, NULL);
    osr_log_finder_submit(operations->finder, &rewinding->search);
}

static void resend_to_seed(struct osr_operations *operations, struct osr_call *call,
                           struct osr_seed_peer *seed, uint64_t from)
{
    const struct osr_services *services = operations->services;
    struct osr_feed_info own = {0};
    struct osr_err err;
    if (from == 1) {
        osr_seed_peer_resend(seed, 1, services->instance, 1);
        reply(call, entries_of_kb(services->feed));
        return;
    }
    find_own_feed(services->feed, &own);
    if (check_from(from, &own, &err) != 0) {
        osr_call_fail(call, &err);
    } else {
        find_and_resend(operations, call, seed, from, &own);
    }
}

void osr_operation_feeds_resend(struct osr_operations *operations, struct osr_call *call,
                                const Osr__Frame *frame)
{
    const struct osr_services *services = operations->services;
    const Osr__ResendRequest *request = frame->feeds_resend;
    struct osr_seed_peer *seed = osr_neighbours_find_seed(services->neighbours, request->peer);
    const struct osr_session *session = find_link(services->sessions, request->peer);
    uint64_t entries = 0;
    struct osr_err err;
    if (session == NULL && seed != NULL) {
        resend_to_seed(operations, call, seed, request->from_sequence);
        return;
    }
    if (session == NULL) {
        osr_err_set(&err, OSR_NOT_FOUND, "no peer %s is connected", request->peer);
        osr_err_hint(&err, "`osiris status` lists the peers");
    }
    if (session == NULL ||
        resend_to_link(services, session, request->from_sequence, &entries, &err) != 0) {
        osr_call_fail(call, &err);
    } else {
        reply(call, entries);
    }
}
