/* All sessions of an instance: their number, their time-outs, what is written at the end of a
 * round of the loop. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "adapter/keys.h"
#include "node/session_internal.h"

enum {
    SWEEP_MS = 250,
    DIAL_TIMEOUT_MS = 10 * 1000,
    ARENA_BYTES_KEPT = 256 << 10, /* of the frame last decoded */
};

/* Registry */

struct osr_session *osr_session_create(struct osr_sessions *sessions, enum osr_session_state state,
                                       enum osr_codec codec)
{
    struct osr_session *session = osr_alloc(sizeof(*session));
    session->sessions = sessions;
    session->state = state;
    session->number = ++sessions->last_number;
    session->unread.reader = &session->reader;
    osr_stream_init(&session->stream, codec, state == SESSION_DIALLING, 0);
    session->next = sessions->first;
    if (session->next != NULL) {
        session->next->previous = session;
    }
    sessions->first = session;
    sessions->count++;
    return session;
}

static void forget_link(struct osr_sessions *sessions, const struct osr_session *session)
{
    for (size_t i = 0; i < sessions->link_count; i++) {
        if (sessions->links[i] == session) {
            sessions->links[i] = sessions->links[--sessions->link_count];
            return;
        }
    }
}

static void forget_dirty(struct osr_sessions *sessions, const struct osr_session *session)
{
    struct osr_session **link = &sessions->first_dirty;
    while (*link != NULL && *link != session) {
        link = &(*link)->next_dirty;
    }
    if (*link != NULL) {
        *link = session->next_dirty;
    }
}

/* Links have limits of their own, and wait for nobody. */
static size_t unread_by(const struct osr_session *session)
{
    if (session->connection == NULL || session->state == SESSION_LINK || session->child != NULL) {
        return 0;
    }
    size_t bytes = osr_session_queued(session);
    if (session->state == SESSION_RPC) {
        bytes += osr_grpc_queue_memory(session->grpc) - osr_rpc_links_memory(session);
    }
    return bytes;
}

static void set_unread(struct osr_session *session, size_t bytes)
{
    struct osr_sessions *sessions = session->sessions;
    sessions->unread += bytes - session->unread.bytes;
    osr_reply_memory_hold(sessions->replies, &session->unread, bytes);
}

void osr_session_destroy(struct osr_session *session)
{
    struct osr_sessions *sessions = session->sessions;
    assert(session->calls == NULL);
    forget_link(sessions, session);
    if (session->is_dirty) {
        forget_dirty(sessions, session);
    }
    if (session->previous != NULL) {
        session->previous->next = session->next;
    } else {
        sessions->first = session->next;
    }
    if (session->next != NULL) {
        session->next->previous = session->previous;
    }
    sessions->count--;
    sessions->message_count -= session->is_message;
    set_unread(session, 0);
    sessions->input -= session->input;
    sessions->request_bytes -= session->request_bytes;
    osr_stream_done(&session->stream);
    osr_buffer_done(&session->output);
    osr_secret_buffer_done(&session->bearer_token);
    osr_identity_done(&session->bearer);
    osr_identity_done(&session->identity);
    free(session);
}

/* Turns of the loop */

void osr_session_mark_dirty(struct osr_session *session)
{
    if (session->is_dirty) {
        return;
    }
    session->is_dirty = true;
    session->next_dirty = session->sessions->first_dirty;
    session->sessions->first_dirty = session;
}

static void write_out(struct osr_session *session)
{
    osr_session_flush(session);
    if (session->state != SESSION_CLOSED && session->connection != NULL) {
        osr_connection_flush(session->connection);
    }
    osr_session_count_unread(session);
}

void osr_sessions_flush(struct osr_sessions *sessions)
{
    /* Links first: followers sync while clients read what was said to them. */
    for (size_t i = 0; i < sessions->link_count; i++) {
        write_out(sessions->links[i]);
    }
    while (sessions->first_dirty != NULL) {
        struct osr_session *session = sessions->first_dirty;
        sessions->first_dirty = session->next_dirty;
        session->is_dirty = false;
        write_out(session);
    }
    osr_reply_memory_go_on(sessions->replies);
}

static void trim_all_input(struct osr_sessions *sessions)
{
    for (struct osr_session *session = sessions->first; session != NULL; session = session->next) {
        osr_session_trim_input(session);
    }
}

static struct osr_session *largest_input(const struct osr_sessions *sessions)
{
    struct osr_session *largest = sessions->first;
    for (struct osr_session *session = largest; session != NULL; session = session->next) {
        if (session->input > largest->input) {
            largest = session;
        }
    }
    return largest;
}

void osr_sessions_spare_memory(struct osr_sessions *sessions)
{
    if (sessions->input <= OSR_INPUT_BYTES_MAX) {
        return;
    }
    trim_all_input(sessions);
    if (sessions->input <= OSR_INPUT_BYTES_MAX) {
        return;
    }
    struct osr_session *largest = largest_input(sessions);
    struct osr_err err;
    osr_err_set(&err, OSR_BUSY, "too many incomplete frames at once");
    osr_err_hint(&err, "try again later");
    osr_session_refuse(largest, 0, &err);
    osr_session_release_input(largest);
}

static struct osr_session *largest_unread(const struct osr_sessions *sessions)
{
    struct osr_session *largest = sessions->first;
    for (struct osr_session *session = largest; session != NULL; session = session->next) {
        if (session->unread.bytes > largest->unread.bytes) {
            largest = session;
        }
    }
    return largest;
}

/* Also one that is closing in good order: what it still has to read counts like the rest. */
static void drop_unread(struct osr_session *session, const char *why)
{
    osr_trace(session->sessions->trace, OSR_LEVEL_WARNING, "%s: closed: %s", session->url, why);
    osr_session_drop(session, true);
    osr_connection_close(session->connection, true);
    set_unread(session, 0);
}

void osr_session_count_unread(struct osr_session *session)
{
    struct osr_sessions *sessions = session->sessions;
    set_unread(session, unread_by(session));
    while (sessions->unread > OSR_OUTPUT_BYTES_MAX) {
        drop_unread(largest_unread(sessions), "too much waits to be read, most of it by this one");
    }
}

static bool is_in_the_way(const struct osr_session *session)
{
    return session->unread.bytes > 0 &&
           osr_reply_memory_waits_for(session->sessions->replies, &session->reader);
}

static struct osr_session *largest_in_the_way(const struct osr_sessions *sessions)
{
    struct osr_session *largest = NULL;
    for (struct osr_session *session = sessions->first; session != NULL; session = session->next) {
        if (is_in_the_way(session) &&
            (largest == NULL || session->reader.bytes > largest->reader.bytes)) {
            largest = session;
        }
    }
    return largest;
}

/* Where others wait for the memory: who has stopped reading goes, and if that is not enough, who
 * holds most of it. */
static void make_room_for_replies(struct osr_sessions *sessions)
{
    size_t freed = 0;
    for (struct osr_session *session = sessions->first; session != NULL; session = session->next) {
        if (session->stalled_ms >= OSR_REPLY_WAIT_MS && is_in_the_way(session)) {
            freed += session->reader.bytes;
            drop_unread(session, "it has read nothing for a while, and others wait for the memory");
        }
    }
    struct osr_session *largest;
    while (freed < OSR_REPLY_FREED_BYTES && (largest = largest_in_the_way(sessions)) != NULL) {
        freed += largest->reader.bytes;
        drop_unread(largest, "it reads too slowly, and others wait for the memory");
    }
}

void osr_sessions_resume(struct osr_sessions *sessions, bool hold_clients, bool hold_links)
{
    bool unchanged = hold_clients == sessions->hold_clients && hold_links == sessions->hold_links;
    if (unchanged && !sessions->resume_wanted) {
        return;
    }
    sessions->hold_clients = hold_clients;
    sessions->hold_links = hold_links;
    sessions->resume_wanted = false;
    for (struct osr_session *session = sessions->first; session != NULL; session = session->next) {
        if (session->state != SESSION_DIALLING && session->state != SESSION_CLOSED) {
            osr_session_process(session);
        }
    }
}

/* A connection over the limit gets its answer and no session. */

static void forget(void *context, struct osr_connection *connection, const struct osr_err *err)
{
    (void)context;
    (void)connection;
    (void)err;
}

static void turn_away(struct osr_sessions *sessions, struct osr_connection *connection)
{
    static const struct osr_connection_handler handler = {.on_close = forget};
    struct osr_err err;
    osr_err_set(&err, OSR_BUSY, "no more than %u connections at a time", sessions->connections_max);
    osr_err_hint(&err, "try again later");
    Osr__Frame frame = OSR__FRAME__INIT;
    Osr__Error message = OSR__ERROR__INIT;
    osr_error_message(&message, &err);
    frame.end = true;
    osr_frame_set_body(&frame, OSR__FRAME__BODY_ERROR, &message.base);
    struct osr_buffer bytes = {0};
    osr_stream_write(OSR_CODEC_JSON, &frame, &bytes);
    osr_connection_accept(connection, &handler, sessions); /* read from only while it closes */
    osr_connection_write(connection, &bytes);
    osr_connection_close(connection, false);
    sessions->turned_away++;
}

void osr_sessions_accept(struct osr_sessions *sessions, struct osr_connection *connection,
                         bool seeds_allowed, unsigned methods)
{
    bool is_message = osr_connection_client(connection) != NULL;
    if (!is_message && sessions->count - sessions->message_count >= sessions->connections_max) {
        turn_away(sessions, connection);
        return;
    }
    struct osr_session *session = osr_session_create(sessions, SESSION_FRESH, OSR_CODEC_JSON);
    session->connection = connection;
    session->seeds_allowed = seeds_allowed;
    session->is_message = is_message;
    sessions->message_count += is_message;
    session->methods = methods;
    session->patience_ms = OSR_FIRST_FRAME_MS;
    session->is_reading = true;
    snprintf(session->url, sizeof(session->url), "%s", osr_connection_url(connection));
    osr_connection_accept(connection, &osr_session_connection_handler, session);
    osr_trace(sessions->trace, OSR_LEVEL_TRACE, "%s: connected", session->url);
}

static int dial_connection(struct osr_session *session, const struct osr_url *url,
                           struct osr_tls_context *security, struct osr_err *err)
{
    return osr_transport_dial(session->sessions->loop, url, security, DIAL_TIMEOUT_MS,
                              &osr_session_connection_handler, session, &session->connection, err);
}

int osr_sessions_dial(struct osr_sessions *sessions, const struct osr_url *url,
                      Osr__LinkPurpose purpose, struct osr_tls_context *security,
                      enum osr_codec codec, void *user, struct osr_session **ret_session,
                      struct osr_err *err)
{
    bool is_rpc = osr_url_is_rpc(url);
    struct osr_session *session =
        osr_session_create(sessions, SESSION_DIALLING, is_rpc ? OSR_CODEC_PROTOBUF : codec);
    session->purpose = purpose;
    session->user = user;
    snprintf(session->url, sizeof(session->url), "%s", url->text);
    int code = is_rpc ? osr_rpc_link_dial(session, url, security, dial_connection, err)
                      : dial_connection(session, url, security, err);
    if (code != 0) {
        osr_session_destroy(session);
        return code;
    }
    *ret_session = session;
    return 0;
}

/* Also makes that those who are quiet hold no policy that has been replaced. */
void osr_sessions_review(struct osr_sessions *sessions)
{
    struct osr_session *next;
    for (struct osr_session *session = sessions->first; session != NULL; session = next) {
        struct osr_err err;
        next = session->next;
        if (session->identity.access == NULL) {
            continue; /* it has not shown yet who it is */
        }
        bool may_link = osr_access_allows(sessions->access, &session->identity, OSR_ACTION_LINK,
                                          osr_part(OSR_PART_INSTANCE, ""));
        if (session->state == SESSION_LINK && !may_link &&
            osr_session_check_link(session, &err) != 0) {
            osr_session_refuse(session, 0, &err);
        }
    }
}

/* Time */

/* A link on a call is watched over by the core's heartbeat alone. */
static void check_stall(struct osr_session *session, uint32_t passed_ms)
{
    if (session->connection == NULL) {
        return;
    }
    size_t waiting = osr_connection_queued(session->connection);
    uint64_t taken = session->handed_over - waiting;
    if (waiting == 0 || taken != session->taken) {
        session->taken = taken;
        session->stalled_ms = 0;
        return;
    }
    session->stalled_ms += passed_ms;
    if (session->stalled_ms < OSR_WRITE_STALL_MS) {
        return;
    }
    osr_trace(session->sessions->trace, OSR_LEVEL_WARNING,
              "%s: closed: it has read nothing for %d s", session->url, OSR_WRITE_STALL_MS / 1000);
    osr_session_drop(session, true);
}

/* Nobody is blamed for time in which we would not have listened. Handshakes have a time of their
 * own. */
static void check_patience(struct osr_session *session, uint32_t passed_ms)
{
    if (session->patience_ms == 0 || osr_session_is_held(session) ||
        osr_session_shakes_hands(session)) {
        return;
    }
    if (session->patience_ms > passed_ms) {
        session->patience_ms -= passed_ms;
        return;
    }
    struct osr_err err;
    if (session->state == SESSION_FRESH) {
        osr_err_set(&err, OSR_TIMEOUT, "no frame within %d s", OSR_FIRST_FRAME_MS / 1000);
    } else {
        osr_err_set(&err, OSR_TIMEOUT, "a frame was not complete within %d s",
                    OSR_FRAME_REST_MS / 1000);
    }
    osr_session_refuse(session, 0, &err);
}

static void tell_turned_away(struct osr_sessions *sessions)
{
    if (sessions->turned_away > 0) {
        osr_trace(sessions->trace, OSR_LEVEL_WARNING,
                  "%u connections turned away: there are %u already", sessions->turned_away,
                  sessions->connections_max);
    }
    sessions->turned_away = 0;
}

/* In sums: one line for each would be what the flood is after. */
static void tell_refused_handshakes(struct osr_sessions *sessions, uint32_t passed_ms)
{
    if (sessions->gate_quiet_ms > passed_ms) {
        sessions->gate_quiet_ms -= passed_ms;
        return;
    }
    struct osr_gate_refusals refusals = osr_gate_take_refusals(sessions->gate);
    sessions->gate_quiet_ms =
        refusals.turned_away > 0 || refusals.crowded_out > 0 ? OSR_GATE_TELL_MS : 0;
    if (refusals.turned_away > 0) {
        osr_trace(
            sessions->trace, OSR_LEVEL_WARNING,
            "%u connections turned away: at most %d TLS handshakes a second from one address, "
            "%d from all that are not known",
            refusals.turned_away, OSR_GATE_ADDRESS_RATE, OSR_GATE_STRANGERS_RATE);
    }
    if (refusals.crowded_out > 0) {
        osr_trace(sessions->sums, OSR_LEVEL_WARNING,
                  "%u TLS handshakes given up for later ones: at most %d are under way at a time",
                  refusals.crowded_out, OSR_GATE_UNDER_WAY_MAX);
    }
}

void osr_sessions_pass_time(struct osr_sessions *sessions, uint32_t passed_ms)
{
    for (struct osr_session *session = sessions->first; session != NULL; session = session->next) {
        if (session->state != SESSION_DIALLING && session->state != SESSION_CLOSED) {
            check_patience(session, passed_ms);
            check_stall(session, passed_ms);
            osr_session_trim_input(session);
            if (session->state == SESSION_RPC) {
                osr_session_rpc_tick(session);
            }
        } else if (session->carrier != NULL) {
            osr_rpc_link_pass_time(session, passed_ms);
        }
        osr_session_count_unread(session);
    }
    osr_reply_memory_pass_time(sessions->replies, passed_ms);
    make_room_for_replies(sessions);
    tell_turned_away(sessions);
    tell_refused_handshakes(sessions, passed_ms);
}

/* Counts turns, not the clock: time in which the loop stood still is nobody's fault. */
static void on_sweep(uv_timer_t *timer)
{
    osr_sessions_pass_time(timer->data, SWEEP_MS);
}

/* All of them */

int osr_sessions_create(uv_loop_t *loop, const struct osr_session_handler *handler,
                        struct osr_access *access, uint32_t connections_max,
                        const struct osr_trace *trace, struct osr_sessions **ret_sessions,
                        struct osr_err *err)
{
    struct osr_sessions *sessions = osr_alloc(sizeof(*sessions));
    sessions->loop = loop;
    sessions->handler = *handler;
    sessions->access = access;
    sessions->trace = trace;
    sessions->sums = trace;
    sessions->connections_max = connections_max;
    sessions->rpc_budget.bytes_max = OSR_RPC_BYTES_MAX;
    sessions->replies = osr_reply_memory_create();
    sessions->arena = osr_arena_create(ARENA_BYTES_KEPT, OSR_DECODE_BYTES_MAX);
    int status = uv_timer_init(loop, &sessions->sweep);
    if (status == 0) {
        status = uv_timer_start(&sessions->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    }
    if (status != 0) {
        osr_reply_memory_destroy(sessions->replies);
        osr_arena_destroy(sessions->arena);
        free(sessions);
        return (int)osr_err_errno(err, OSR_INTERNAL, -status, "cannot start a timer");
    }
    sessions->sweep.data = sessions;
    uint64_t seed;
    osr_secret_random(&seed, sizeof(seed));
    sessions->gate = osr_gate_create(seed);
    *ret_sessions = sessions;
    return 0;
}

void osr_sessions_shut(struct osr_sessions *sessions)
{
    osr_rpc_services_shut(sessions);
    for (struct osr_session *session = sessions->first; session != NULL; session = session->next) {
        if (session->state == SESSION_RPC) {
            osr_session_rpc_drain(session);
        } else {
            osr_session_close(session);
        }
    }
}

void osr_sessions_tell_sums(struct osr_sessions *sessions, const struct osr_trace *trace)
{
    sessions->sums = trace;
}

struct osr_gate *osr_sessions_gate(const struct osr_sessions *sessions)
{
    return sessions->gate;
}

size_t osr_sessions_count(const struct osr_sessions *sessions)
{
    return sessions->count;
}

struct osr_reply_memory *osr_sessions_replies(const struct osr_sessions *sessions)
{
    return sessions->replies;
}

static void on_sweep_closed(uv_handle_t *handle)
{
    struct osr_sessions *sessions = handle->data;
    osr_rpc_services_done(sessions);
    osr_grpc_budget_done(&sessions->rpc_budget);
    osr_reply_memory_destroy(sessions->replies);
    osr_gate_destroy(sessions->gate);
    osr_buffer_wipe(&sessions->room);
    osr_arena_destroy(sessions->arena);
    free(sessions);
}

void osr_sessions_destroy(struct osr_sessions *sessions)
{
    if (sessions == NULL) {
        return;
    }
    assert(sessions->count == 0);
    uv_close((uv_handle_t *)&sessions->sweep, on_sweep_closed);
}

size_t osr_sessions_link_count(const struct osr_sessions *sessions)
{
    return sessions->link_count;
}

struct osr_session *osr_sessions_link(const struct osr_sessions *sessions, size_t index)
{
    assert(index < sessions->link_count);
    return sessions->links[index];
}

uint32_t osr_sessions_last_number(const struct osr_sessions *sessions)
{
    return sessions->last_number;
}

struct osr_session *osr_sessions_find_link(const struct osr_sessions *sessions, uint32_t number)
{
    for (size_t i = 0; i < sessions->link_count; i++) {
        if (sessions->links[i]->number == number) {
            return sessions->links[i];
        }
    }
    return NULL;
}
