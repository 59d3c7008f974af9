/* Sessions that are links to other instances: whether there is room for one more, whose they are,
 * and what may come over them: replication, what members of the ledger say to each other, and one
 * request, to renew a certificate. */
#include <assert.h>
#include <stdio.h>

#include "node/session_internal.h"

/* Of a HELLO that is looked at while others wait: names no feeds. */
enum { LEDGER_HELLO_BYTES_MAX = 1024 };

/* Becoming one */

/* How many links are for the same. */
static size_t count_links_for_same(const struct osr_session *session)
{
    const struct osr_sessions *sessions = session->sessions;
    size_t count = 0;
    for (size_t i = 0; i < sessions->link_count; i++) {
        count += sessions->links[i]->purpose == session->purpose;
    }
    return count;
}

/* How many links are of who this one is of; 0 where that may be anybody. */
static size_t count_links_of_same(const struct osr_session *session)
{
    const struct osr_sessions *sessions = session->sessions;
    size_t count = 0;
    if (!osr_identity_names_one(&session->identity)) {
        return 0;
    }
    for (size_t i = 0; i < sessions->link_count; i++) {
        count += strcmp(sessions->links[i]->identity.who, session->identity.who) == 0;
    }
    return count;
}

static int check_room_for_link(const struct osr_session *session, struct osr_err *err)
{
    bool is_for_ledger = session->purpose == OSR__LINK_PURPOSE__FOR_LEDGER;
    size_t most = is_for_ledger ? OSR_LEDGER_LINKS_MAX : OSR_PEERS_MAX;
    if (count_links_for_same(session) >= most) {
        osr_err_set(err, OSR_BUSY, "no more than %zu links to other instances%s", most,
                    is_for_ledger ? " for the ledger" : "");
        osr_err_hint(err, "link to another instance of the cluster, or try again later");
        return OSR_BUSY;
    }
    if (count_links_of_same(session) >= OSR_LINKS_OF_ONE_MAX) {
        osr_err_set(err, OSR_BUSY, "no more than %d links of %s", OSR_LINKS_OF_ONE_MAX,
                    session->identity.who);
        osr_err_hint(err, "close those that are not needed, or try again in 10 s");
        return OSR_BUSY;
    }
    return 0;
}

void osr_session_become_link(struct osr_session *session)
{
    struct osr_sessions *sessions = session->sessions;
    struct osr_err err;
    if (check_room_for_link(session, &err) != 0) {
        osr_session_refuse(session, 0, &err);
        return;
    }
    session->state = SESSION_LINK;
    sessions->links[sessions->link_count++] = session;
    osr_trace(sessions->trace, OSR_LEVEL_TRACE, "%s: is a link", session->url);
    sessions->handler.on_link(sessions->handler.context, session);
}

static bool is_hello_for_ledger(struct osr_arena *arena, struct osr_slice bytes)
{
    Osr__Frame *frame;
    uint64_t request_id;
    osr_arena_reset(arena);
    bool is_hello =
        osr_frame_decode(OSR_CODEC_PROTOBUF, bytes, arena, &frame, &request_id, NULL) == 0 &&
        frame->body_case == OSR__FRAME__BODY_HELLO &&
        frame->hello->purpose == OSR__LINK_PURPOSE__FOR_LEDGER;
    osr_arena_wipe(arena); /* it may be a request with a secret */
    return is_hello;
}

bool osr_session_begins_for_ledger(struct osr_session *session)
{
    struct osr_stream *stream = &session->stream;
    struct osr_slice bytes;
    struct osr_err err;
    if (session->state != SESSION_FRESH || session->begins_otherwise || session->seeds_allowed ||
        !stream->codec_known || stream->codec != OSR_CODEC_PROTOBUF) {
        return false;
    }
    assert(stream->consumed == 0); /* nothing has been given out yet */
    int code = osr_stream_next(stream, &bytes, &err);
    if (code == 0 && bytes.size == 0) {
        return false; /* the rest of it may come */
    }
    session->begins_otherwise = code != 0 || bytes.size > LEDGER_HELLO_BYTES_MAX ||
                                !is_hello_for_ledger(session->sessions->arena, bytes);
    stream->consumed = 0; /* this was a look */
    return !session->begins_otherwise;
}

/* Over gRPC the method has said it already. */
static int take_purpose(struct osr_session *session, const Osr__Hello *hello, struct osr_err *err)
{
    bool is_known = hello->purpose == OSR__LINK_PURPOSE__FOR_FEEDS ||
                    hello->purpose == OSR__LINK_PURPOSE__FOR_LEDGER;
    if (!is_known) {
        return (int)osr_err_set(err, OSR_UNSUPPORTED_VERSION, "HELLO: purpose %d is not known",
                                (int)hello->purpose);
    }
    if (session->connection == NULL && hello->purpose != session->purpose) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                                "HELLO: the call is for another purpose");
    }
    session->purpose = hello->purpose;
    return 0;
}

bool osr_session_accept_link(struct osr_session *session, const Osr__Frame *hello)
{
    struct osr_err err;
    if (session->is_message) {
        osr_err_set(&err, OSR_INVALID_ARGUMENT, "HELLO where requests come as messages");
        osr_err_hint(&err, "instances link through a listener without for=clients");
        osr_session_refuse(session, hello->request_id, &err);
        return false;
    }
    if (take_purpose(session, hello->hello, &err) != 0 ||
        osr_access_check_hello(session->sessions->access, &session->identity, &err) != 0) {
        osr_session_refuse(session, hello->request_id, &err);
        return false;
    }
    osr_session_become_link(session);
    return session->state == SESSION_LINK;
}

Osr__LinkPurpose osr_session_purpose(const struct osr_session *session)
{
    return session->purpose;
}

/* Who is at the other end */

int osr_session_identify(struct osr_session *session, const char *instance, const char *name,
                         struct osr_err *err)
{
    snprintf(session->instance, sizeof(session->instance), "%s", instance);
    snprintf(session->name, sizeof(session->name), "%s", name);
    struct osr_access *access = session->sessions->access;
    int code = osr_access_take_instance(access, &session->identity, instance, err);
    if (code == 0 && session->purpose == OSR__LINK_PURPOSE__FOR_LEDGER) {
        code = osr_access_check(access, &session->identity, OSR_ACTION_VOTE,
                                osr_part(OSR_PART_INSTANCE, ""), "HELLO_PROOF", err);
    }
    return code;
}

const char *osr_session_instance(const struct osr_session *session)
{
    return session->instance;
}

const char *osr_session_peer_name(const struct osr_session *session)
{
    return session->name;
}

/* Frames */

int osr_session_check_link(struct osr_session *session, struct osr_err *err)
{
    bool is_dialled = session->user != NULL;
    if (is_dialled && session->instance[0] == '\0') {
        return 0; /* we wanted it, and have not heard yet who it is */
    }
    return osr_access_check(session->sessions->access, &session->identity, OSR_ACTION_LINK,
                            osr_part(OSR_PART_INSTANCE, ""),
                            session->instance[0] == '\0' ? "HELLO" : "a link", err);
}

static bool is_replication(const Osr__Frame *frame)
{
    return frame->body_case >= OSR__FRAME__BODY_HELLO && frame->body_case <= OSR__FRAME__BODY_ERROR;
}

/* What members of the ledger say to each other. */
static bool is_of_ledger(const Osr__Frame *frame)
{
    return frame->body_case >= OSR__FRAME__BODY_MEMBER &&
           frame->body_case <= OSR__FRAME__BODY_LEDGER_ANSWER;
}

/* What a link may be answered beside an ERROR. */
static bool is_reply_to_link(const struct osr_session *session, const Osr__Frame *frame)
{
    return session->state == SESSION_LINK && frame->body_case == OSR__FRAME__BODY_RENEW_REPLY;
}

bool osr_session_is_of_link(const struct osr_session *session, const Osr__Frame *frame)
{
    return is_replication(frame) || is_of_ledger(frame) || is_reply_to_link(session, frame);
}

/* Whether it is too early for what only a member may say. The other side may have seen our proof
 * before we have seen through its own: what it says of itself then, it will say again. */
static int check_is_shown(const struct osr_session *session, const Osr__Frame *frame,
                          struct osr_err *err)
{
    bool is_early = is_of_ledger(frame) && session->instance[0] == '\0';
    if (!is_early || frame->body_case == OSR__FRAME__BODY_MEMBER) {
        return 0;
    }
    osr_err_set(err, OSR_INVALID_ARGUMENT, "%s before HELLO_PROOF and MEMBER",
                osr_frame_type(frame));
    return OSR_INVALID_ARGUMENT;
}

void osr_session_handle_link(struct osr_session *session, const Osr__Frame *frame)
{
    struct osr_sessions *sessions = session->sessions;
    struct osr_err err;
    if (session->state != SESSION_LINK) {
        osr_err_set(&err, OSR_INVALID_ARGUMENT, "%s outside a link between instances",
                    osr_frame_type(frame));
        osr_err_hint(&err, "a link begins with HELLO as the first frame of the connection");
        osr_session_refuse(session, frame->request_id, &err);
    } else if (osr_session_check_link(session, &err) != 0 ||
               check_is_shown(session, frame, &err) != 0) {
        osr_session_refuse(session, frame->request_id, &err);
    } else if (!is_of_ledger(frame) || session->instance[0] != '\0') {
        sessions->handler.on_link_frame(sessions->handler.context, session, frame);
    }
}

int osr_session_check_link_request(struct osr_session *session, const Osr__Frame *frame,
                                   struct osr_err *err)
{
    const char *what = osr_frame_type(frame);
    if (frame->body_case != OSR__FRAME__BODY_RENEW || session->instance[0] == '\0') {
        osr_err_set(err, OSR_PERMISSION_DENIED, "%s on a link between instances", what);
        osr_err_hint(err, "ask over a connection of its own");
        return osr_access_note_refusal(session->sessions->access, &session->identity,
                                       OSR_ACTION_LINK, osr_part(OSR_PART_INSTANCE, ""), what, err);
    }
    if (session->requests > 0) { /* stops them from piling up: a link is not held back for these */
        osr_err_set(err, OSR_BUSY, "a %s is under way on this link", what);
        osr_err_hint(err, "wait for its answer");
        return OSR_BUSY;
    }
    return osr_session_check_link(session, err);
}
