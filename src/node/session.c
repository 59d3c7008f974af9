#include "node/session_internal.h"

#include <assert.h>

#include "wire/http_refusal.h"

enum {
    READ_BYTES = 256 << 10,
    SECRET_FRAME_BYTES_MAX = 64 << 10, /* longer ones with a secret are refused (operations.c) */
};

/* Output */

size_t osr_session_queued(const struct osr_session *session)
{
    if (session->connection == NULL) {
        return osr_rpc_link_queued(session);
    }
    return session->output.size + osr_connection_queued(session->connection);
}

void osr_session_drop(struct osr_session *session, bool reset)
{
    if (session->state == SESSION_CLOSED) {
        return;
    }
    session->state = SESSION_CLOSED;
    osr_buffer_done(&session->output);
    if (session->connection != NULL) {
        osr_connection_close(session->connection, reset);
    } else {
        osr_rpc_link_close(session, reset);
    }
}

void osr_session_send(struct osr_session *session, const Osr__Frame *frame)
{
    if (session->state == SESSION_CLOSED) {
        return;
    }
    if (session->state == SESSION_RPC) {
        osr_session_rpc_send(frame);
        return;
    }
    if (session->connection == NULL) {
        osr_rpc_link_send(session, frame);
    } else {
        osr_stream_write(session->stream.codec, frame, &session->output);
        osr_session_mark_dirty(session);
        osr_session_count_unread(session);
    }
    if (session->is_message) {
        osr_session_flush(session); /* each frame is a message */
    }
    if (session->state == SESSION_LINK && osr_session_queued(session) > OSR_LINK_OUTPUT_BYTES_MAX) {
        osr_trace(session->sessions->trace, OSR_LEVEL_WARNING,
                  "%s: closed: it does not read what it asks for", session->url);
        osr_session_drop(session, true);
    }
}

void osr_session_error(struct osr_session *session, uint64_t request_id,
                       const struct osr_err *error)
{
    if (session->state == SESSION_RPC) {
        osr_session_rpc_error(request_id, error);
        return;
    }
    Osr__Frame frame = OSR__FRAME__INIT;
    Osr__Error message = OSR__ERROR__INIT;
    osr_error_message(&message, error);
    frame.request_id = request_id;
    frame.end = true;
    osr_frame_set_body(&frame, OSR__FRAME__BODY_ERROR, &message.base);
    osr_session_send(session, &frame);
}

void osr_session_flush(struct osr_session *session)
{
    if (session->state == SESSION_RPC) {
        osr_session_rpc_flush(session);
        return;
    }
    if (session->output.size == 0 || session->state == SESSION_CLOSED) {
        return;
    }
    session->handed_over += session->output.size;
    osr_connection_write(session->connection, &session->output);
}

void osr_session_close(struct osr_session *session)
{
    osr_session_flush(session);
    osr_session_drop(session, false);
}

void osr_session_refuse(struct osr_session *session, uint64_t request_id,
                        const struct osr_err *error)
{
    if (session->state == SESSION_CLOSED) {
        return;
    }
    osr_trace(session->sessions->trace, OSR_LEVEL_WARNING, "%s: refused: %s (%s)", session->url,
              error->message, osr_code_info(error->code)->name);
    if (session->state == SESSION_RPC) {
        osr_session_rpc_refuse(session, error);
    } else if (session->state != SESSION_SEED) { /* which has no ear for it */
        osr_session_error(session, request_id, error);
    }
    osr_session_close(session);
}

static bool is_full(const struct osr_session *session)
{
    return osr_session_queued(session) > OSR_CLIENT_OUTPUT_BYTES;
}

bool osr_session_is_full(const struct osr_session *session, uint64_t request_id)
{
    return is_full(session) ||
           (session->state == SESSION_RPC && osr_session_rpc_is_full(request_id));
}

/* Input */

bool osr_session_is_held(const struct osr_session *session)
{
    const struct osr_sessions *sessions = session->sessions;
    switch (session->state) {
    case SESSION_LINK:
        return sessions->hold_links && session->purpose == OSR__LINK_PURPOSE__FOR_FEEDS;
    case SESSION_FRESH:
    case SESSION_CLIENT:
    case SESSION_RPC:
    case SESSION_SEED:
        return sessions->hold_clients || session->requests >= OSR_SESSION_REQUESTS_MAX ||
               session->queries >= OSR_SESSION_QUERIES_MAX ||
               sessions->request_bytes >= OSR_REQUEST_BYTES_MAX || is_full(session);
    case SESSION_DIALLING:
    case SESSION_CLOSED:
        break;
    }
    return false;
}

static bool is_append(const Osr__Frame *frame)
{
    return frame->body_case == OSR__FRAME__BODY_UPDATE_KB && frame->request_id == 0;
}

/* The first frame decides what an accepted connection is. False where it is refused. */
static bool settle_state(struct osr_session *session, const Osr__Frame *frame)
{
    if (frame->body_case == OSR__FRAME__BODY_HELLO) {
        return osr_session_accept_link(session, frame);
    }
    if (session->connection == NULL) {
        struct osr_err err;
        osr_err_set(&err, OSR_INVALID_ARGUMENT, "a link begins with HELLO");
        osr_session_refuse(session, frame->request_id, &err);
        return false;
    }
    session->state = SESSION_CLIENT;
    if (is_append(frame) && session->seeds_allowed) {
        session->state = SESSION_SEED;
        osr_access_become(&session->identity, OSR_WHO_SEED);
    }
    return true;
}

/* What only those are let in for who have said nothing else, whatever else they may do. */
static int check_append(struct osr_session *session, const Osr__UpdateKb *update,
                        struct osr_err *err)
{
    static const char what[] = "UPDATE_KB without request_id";
    struct osr_access *access = session->sessions->access;
    struct osr_part part = osr_part(OSR_PART_COLLECTION, update->collection);
    if (session->state == SESSION_SEED) {
        return osr_access_check(access, &session->identity, OSR_ACTION_APPEND, part, what, err);
    }
    osr_err_set(err, OSR_PERMISSION_DENIED, "%s is for seed programs", what);
    osr_err_hint(err, "give the message a request_id, or listen with ?peer=seed");
    return osr_access_note_refusal(access, &session->identity, OSR_ACTION_APPEND, part, what, err);
}

static void handle_append(struct osr_session *session, const Osr__Frame *frame)
{
    struct osr_sessions *sessions = session->sessions;
    struct osr_err err;
    if (check_append(session, frame->update_kb, &err) != 0) {
        osr_session_error(session, 0, &err);
    } else {
        sessions->handler.on_append(sessions->handler.context, session, frame->update_kb);
    }
}

static void handle_request(struct osr_session *session, Osr__Frame *frame, size_t size)
{
    struct osr_err err;
    if (session->state == SESSION_LINK &&
        osr_session_check_link_request(session, frame, &err) != 0) {
        osr_session_error(session, frame->request_id, &err);
    } else {
        const struct osr_session_handler *handler = &session->sessions->handler;
        handler->on_request(handler->context, session, &session->identity, frame, size);
    }
}

static void handle_frame(struct osr_session *session, Osr__Frame *frame, size_t size)
{
    if (session->state == SESSION_FRESH && !settle_state(session, frame)) {
        return;
    }
    if (osr_session_is_of_link(session, frame)) {
        osr_session_handle_link(session, frame);
    } else if (is_append(frame) && !session->is_message) {
        handle_append(session, frame);
    } else {
        handle_request(session, frame, size);
    }
}

/* A request that cannot be read is that request's failure, where it is known which one it is
 * and where the next frame begins; on a link nothing may be passed over. */
static bool is_survivable(const struct osr_session *session, int code)
{
    if (code == OSR_UNKNOWN_TYPE) {
        return session->state == SESSION_CLIENT || session->state == SESSION_LINK;
    }
    return code == OSR_INVALID_ARGUMENT && session->state == SESSION_CLIENT;
}

bool osr_session_is_secret(Osr__Frame__BodyCase request)
{
    return request == OSR__FRAME__BODY_LOGIN || request == OSR__FRAME__BODY_AUTHENTICATE ||
           request == OSR__FRAME__BODY_JOIN || request == OSR__FRAME__BODY_USER_PUT;
}

/* The bytes lie in memory of ours: the room of all, or what the session has received. */
void osr_session_wipe_request(struct osr_session *session, struct osr_slice bytes)
{
    struct osr_sessions *sessions = session->sessions;
    explicit_bzero((uint8_t *)bytes.data, bytes.size);
    osr_arena_wipe(sessions->arena);
    sessions->room_has_secret = true;
}

static void handle_bytes(struct osr_session *session, struct osr_slice bytes)
{
    struct osr_sessions *sessions = session->sessions;
    Osr__Frame *frame;
    uint64_t request_id = 0;
    struct osr_err err;
    osr_arena_reset(sessions->arena);
    int code =
        osr_frame_decode(session->stream.codec, bytes, sessions->arena, &frame, &request_id, &err);
    if (code == 0) {
        bool is_secret = osr_session_is_secret(frame->body_case);
        handle_frame(session, frame, bytes.size);
        if (is_secret) {
            osr_session_wipe_request(session, bytes);
        }
        return;
    }
    osr_session_wipe_request(session, bytes); /* whatever it was meant to be */
    if (session->state == SESSION_FRESH && code != OSR_MALFORMED) {
        session->state = SESSION_CLIENT; /* speaks our language, if with an accent */
    }
    if (is_survivable(session, code)) {
        osr_session_error(session, request_id, &err);
    } else {
        osr_session_refuse(session, request_id, &err);
    }
}

/* The other end has ended its direction: answer what is under way, then go too. */
static void finish_if_ended(struct osr_session *session)
{
    if (!session->is_ended || session->state == SESSION_CLOSED) {
        return;
    }
    if (session->requests > 0 || osr_session_is_held(session)) {
        return;
    }
    if (osr_stream_is_partial(&session->stream)) {
        struct osr_err err;
        osr_err_set(&err, OSR_MALFORMED, "the connection ended inside a frame");
        osr_session_refuse(session, 0, &err);
        return;
    }
    osr_session_close(session);
}

static void update_reading(struct osr_session *session)
{
    bool reading =
        session->state != SESSION_CLOSED && !session->is_ended && !osr_session_is_held(session);
    if (reading == session->is_reading) {
        return;
    }
    session->is_reading = reading;
    if (session->connection != NULL) {
        osr_connection_read(session->connection, reading);
    } else {
        osr_rpc_link_read(session, reading);
    }
}

static void count_input(struct osr_session *session)
{
    struct osr_sessions *sessions = session->sessions;
    size_t input = session->stream.input.capacity + session->line_bytes;
    sessions->input = sessions->input - session->input + input;
    session->input = input;
}

/* Replaces the memory of what was received and not handled by `room`, which may be empty, and
 * gives what was there before. */
static struct osr_buffer exchange_input(struct osr_session *session, struct osr_buffer room)
{
    struct osr_stream *stream = &session->stream;
    struct osr_buffer before = stream->input;
    room.size = 0;
    stream->input = room;
    osr_stream_add(stream, before.data + stream->consumed, before.size - stream->consumed);
    stream->consumed = 0;
    count_input(session);
    return before;
}

void osr_session_release_input(struct osr_session *session)
{
    osr_stream_done(&session->stream);
    count_input(session);
}

void osr_session_trim_input(struct osr_session *session)
{
    size_t needed = session->stream.input.size - session->stream.consumed;
    if (session->stream.input.capacity / 2 > needed) {
        struct osr_buffer before = exchange_input(session, (struct osr_buffer){0});
        osr_buffer_wipe(&before);
    }
}

/* How long the next frame may take; counted down by osr_sessions_pass_time. */
static void set_patience(struct osr_session *session, bool frame_came)
{
    if (session->state == SESSION_FRESH) {
        return; /* set once, when it connected */
    }
    if (!osr_stream_is_partial(&session->stream)) {
        session->patience_ms = 0;
    } else if (frame_came || session->patience_ms == 0) {
        session->patience_ms = OSR_FRAME_REST_MS;
    }
}

void osr_session_process(struct osr_session *session)
{
    if (session->state == SESSION_RPC) {
        osr_session_rpc_process(session);
        count_input(session);
        return;
    }
    bool frame_came = false;
    while (session->state != SESSION_CLOSED &&
           (!osr_session_is_held(session) || osr_session_begins_for_ledger(session))) {
        struct osr_slice bytes;
        struct osr_err err;
        if (osr_stream_next(&session->stream, &bytes, &err) != 0) {
            osr_session_refuse(session, 0, &err);
            break;
        }
        if (bytes.size == 0) {
            break;
        }
        frame_came = true;
        handle_bytes(session, bytes);
    }
    finish_if_ended(session);
    if (session->state == SESSION_CLOSED) {
        osr_session_release_input(session);
        return;
    }
    count_input(session);
    set_patience(session, frame_came);
    update_reading(session);
}

void osr_session_request_begins(struct osr_session *session, size_t bytes)
{
    session->requests++;
    session->request_bytes += bytes;
    session->sessions->request_bytes += bytes;
}

void osr_session_request_shrinks(struct osr_session *session, size_t bytes)
{
    struct osr_sessions *sessions = session->sessions;
    assert(session->request_bytes >= bytes);
    if (sessions->request_bytes >= OSR_REQUEST_BYTES_MAX) {
        sessions->resume_wanted = true;
    }
    session->request_bytes -= bytes;
    sessions->request_bytes -= bytes;
}

void osr_session_request_ends(struct osr_session *session, size_t bytes)
{
    assert(session->requests > 0);
    osr_session_request_shrinks(session, bytes);
    if (!session->is_reading) {
        session->sessions->resume_wanted = true;
    }
    session->requests--;
}

void osr_session_query_begins(struct osr_session *session)
{
    session->queries++;
}

void osr_session_query_ends(struct osr_session *session)
{
    assert(session->queries > 0);
    session->queries--;
}

struct osr_call **osr_session_calls(struct osr_session *session)
{
    return &session->calls;
}

struct osr_reply_reader *osr_session_reader(struct osr_session *session)
{
    return &session->reader;
}

/* The connection's events */

/* Who is at the other end, once that has shown it. False where it is refused. */
static bool identify(struct osr_session *session)
{
    struct osr_err err;
    if (session->identity.access != NULL) {
        return true;
    }
    if (osr_access_identify(session->sessions->access, session->connection, session->methods,
                            &session->identity, &err) != 0) {
        osr_session_refuse(session, 0, &err);
        return false;
    }
    osr_trace(session->sessions->trace, OSR_LEVEL_TRACE, "%s: is %s", session->url,
              session->identity.who[0] != '\0' ? session->identity.who : "nobody");
    return true;
}

static void on_open(void *context, struct osr_connection *connection)
{
    struct osr_session *session = context;
    (void)connection;
    session->is_reading = true;
    if (!identify(session)) {
        return;
    }
    if (session->child != NULL) {
        osr_rpc_link_open(session);
    } else {
        osr_session_become_link(session);
    }
}

static uint8_t *on_room(void *context, size_t suggested, size_t *ret_size)
{
    const struct osr_session *session = context;
    (void)suggested;
    *ret_size = READ_BYTES;
    return osr_buffer_reserve(&session->sessions->room, READ_BYTES);
}

/* What was read may have held a secret, or the beginning or end of a frame that does; copies of
 * these are looked after elsewhere (wire/stream.h). */
static void tidy_room(struct osr_session *session, size_t size)
{
    struct osr_sessions *sessions = session->sessions;
    const struct osr_stream *stream = &session->stream;
    bool may_go_on = osr_stream_is_partial(stream) &&
                     stream->input.size - stream->consumed <= SECRET_FRAME_BYTES_MAX;
    bool is_there = sessions->room.data != NULL; /* not where a closed session took it along */
    if (is_there && (sessions->room_has_secret || may_go_on)) {
        explicit_bzero(sessions->room.data, size);
    }
    sessions->room_has_secret = false;
}

/* Lends the session the room of all, in which the next `size` bytes lie, so that of these only
 * what does not make a whole frame is copied. */
static void process_lent(struct osr_session *session, size_t size)
{
    struct osr_sessions *sessions = session->sessions;
    struct osr_buffer own = exchange_input(session, sessions->room);
    session->stream.input.size = size;
    sessions->room = (struct osr_buffer){0};
    osr_session_process(session);
    sessions->room = exchange_input(session, own);
    sessions->room.size = 0;
}

/* Nothing has been received yet. */
static bool is_untouched(const struct osr_session *session)
{
    return session->state == SESSION_FRESH && !osr_stream_is_partial(&session->stream);
}

/* Its caller waits for an answer that it can show. */
static void refuse_http(struct osr_session *session)
{
    osr_trace(session->sessions->trace, OSR_LEVEL_WARNING, "%s: refused: plain HTTP", session->url);
    osr_http_write_refusal(&session->output);
    osr_session_close(session);
}

static void on_read(void *context, struct osr_connection *connection, size_t size)
{
    struct osr_session *session = context;
    struct osr_slice bytes = osr_slice(session->sessions->room.data, size);
    (void)connection;
    osr_stream_recognise(&session->stream, bytes); /* it may be refused in the next moment */
    if (is_untouched(session) && !session->is_message && osr_session_begins_rpc(bytes)) {
        osr_session_rpc_begin(session, true);
    }
    if (is_untouched(session) && !session->is_message && osr_http_is_request(bytes)) {
        refuse_http(session);
    } else if (!identify(session)) {
        return;
    } else if (session->state == SESSION_RPC) {
        osr_session_rpc_read(session, bytes);
        count_input(session);
        if (session->sessions->rpc_budget.bytes > OSR_RPC_BYTES_MAX) {
            osr_session_flush(session); /* refusals of many connections do not pile up */
        }
    } else if (osr_stream_is_partial(&session->stream)) {
        osr_stream_add(&session->stream, session->sessions->room.data, size);
        osr_session_process(session);
    } else {
        process_lent(session, size);
    }
    tidy_room(session, size);
    osr_sessions_spare_memory(session->sessions);
}

static void on_end(void *context, struct osr_connection *connection)
{
    struct osr_session *session = context;
    (void)connection;
    session->is_ended = true;
    session->is_reading = false;
    if (session->state == SESSION_RPC) {
        osr_session_drop(session, false); /* nobody is there to take what is left */
        return;
    }
    session->sessions->handler.on_end(session->sessions->handler.context, session);
    osr_session_process(session);
}

static void on_drain(void *context, struct osr_connection *connection)
{
    struct osr_session *session = context;
    (void)connection;
    if (session->state == SESSION_RPC) {
        osr_session_mark_dirty(session); /* the layer may have more */
    } else {
        session->sessions->handler.on_drain(session->sessions->handler.context, session);
    }
    osr_session_count_unread(session);
    osr_session_process(session);
}

void osr_session_gone(struct osr_session *session, const struct osr_err *err)
{
    struct osr_sessions *sessions = session->sessions;
    osr_trace(sessions->trace, OSR_LEVEL_TRACE, "%s: gone: %s", session->url,
              err->code == OSR_OK ? "in good order" : err->message);
    session->state = SESSION_CLOSED;
    sessions->handler.on_closed(sessions->handler.context, session, err);
    osr_session_destroy(session);
}

bool osr_session_shakes_hands(const struct osr_session *session)
{
    return session->state == SESSION_FRESH &&
           session->connection != NULL && /* a link on a gRPC call has none of its own */
           osr_connection_is_secure(session->connection) &&
           osr_connection_peer(session->connection) == NULL;
}

/* Somebody who came to a TLS listener and got no further: the owner wants to know who, and why.
 * Who had to go for others is told of in sums (sessions.c). */
static bool is_failed_handshake(const struct osr_session *session, const struct osr_err *err)
{
    return osr_session_shakes_hands(session) && err->code != OSR_OK && err->code != OSR_CANCELLED &&
           err->code != OSR_BUSY;
}

static void on_close(void *context, struct osr_connection *connection, const struct osr_err *err)
{
    struct osr_session *session = context;
    (void)connection;
    if (is_failed_handshake(session, err)) {
        osr_trace(session->sessions->trace, OSR_LEVEL_WARNING, "refused: %s (%s)", err->message,
                  osr_code_info(err->code)->name);
    }
    session->state = SESSION_CLOSED;
    if (session->child != NULL) {
        osr_rpc_link_gone(session, err);
    }
    if (session->grpc != NULL) {
        osr_session_rpc_end(session);
    }
    osr_session_gone(session, err);
}

const struct osr_connection_handler osr_session_connection_handler = {
    .on_open = on_open,
    .on_room = on_room,
    .on_read = on_read,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_close = on_close,
};

uint32_t osr_session_number(const struct osr_session *session)
{
    return session->number;
}

bool osr_session_is_open(const struct osr_session *session)
{
    return session->state != SESSION_DIALLING && session->state != SESSION_CLOSED;
}

bool osr_session_is_rpc(const struct osr_session *session)
{
    return session->state == SESSION_RPC;
}

bool osr_session_is_message(const struct osr_session *session)
{
    return session->is_message;
}

struct osr_identity *osr_session_identity(struct osr_session *session)
{
    return &session->identity;
}

struct osr_slice osr_session_binding(const struct osr_session *session)
{
    return session->connection != NULL ? osr_connection_binding(session->connection)
                                       : osr_rpc_link_binding(session);
}

const char *osr_session_url(const struct osr_session *session)
{
    return session->url;
}

void *osr_session_user(const struct osr_session *session)
{
    return session->user;
}
