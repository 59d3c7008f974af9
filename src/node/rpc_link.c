/* Links between instances that stand on a call instead of a connection of their own: of
 * osiris.v1.Replication/Link for feeds, of osiris.v1.Consensus/Link for the ledger. Each message is
 * a frame. To the rest of the node they are sessions like others.
 *
 * A link that was dialled has a connection with this one call; an accepted one may share it with
 * other calls. What comes is framed again, so that it waits where frames of other sessions wait. */
#include <stdio.h>
#include <stdlib.h>

#include "model/limits.h"
#include "node/rpc.h"

/* By what the link is for. */
static const char *const link_paths[] = {
    [OSR__LINK_PURPOSE__FOR_FEEDS] = "/osiris.v1.Replication/Link",
    [OSR__LINK_PURPOSE__FOR_LEDGER] = "/osiris.v1.Consensus/Link",
};

/* From our end of a link to the other's: past it the call is cut off. */
enum { CLOSE_MS = 3000 };

struct link_rpc {
    struct osr_rpc rpc;          /* first; its session is the connection's */
    struct osr_session *session; /* the link; NULL: it has gone */
};

/* ---- what the node does with such a session ---- */

void osr_rpc_link_send(struct osr_session *session, const Osr__Frame *frame)
{
    struct osr_rpc *rpc = session->carrier;
    if (rpc == NULL || rpc->call == NULL) {
        return;
    }
    struct osr_buffer *buffer = osr_rpc_message_begin(rpc);
    osr_frame_encode(OSR_CODEC_PROTOBUF, frame, buffer);
    osr_rpc_message_end(rpc);
}

struct osr_slice osr_rpc_link_binding(const struct osr_session *session)
{
    return osr_connection_binding(session->carrier->session->connection);
}

size_t osr_rpc_link_queued(const struct osr_session *session)
{
    const struct osr_rpc *rpc = session->carrier;
    return rpc != NULL && rpc->call != NULL ? osr_grpc_queued(rpc->call) : 0;
}

size_t osr_rpc_links_memory(const struct osr_session *connection)
{
    const struct osr_sessions *sessions = connection->sessions;
    size_t total = 0;
    for (size_t i = 0; i < sessions->link_count; i++) {
        const struct osr_rpc *rpc = sessions->links[i]->carrier;
        if (rpc != NULL && rpc->session == connection && rpc->call != NULL) {
            total += osr_grpc_call_queue_memory(rpc->call);
        }
    }
    return total;
}

void osr_rpc_link_read(struct osr_session *session, bool on)
{
    const struct osr_rpc *rpc = session->carrier;
    if (rpc != NULL && rpc->call != NULL) {
        osr_grpc_hold(rpc->call, !on);
        osr_session_mark_dirty(rpc->session);
    }
}

void osr_rpc_link_close(struct osr_session *session, bool reset)
{
    struct osr_rpc *rpc = session->carrier;
    if (rpc == NULL) {
        osr_session_drop(session->parent, true); /* still dialling */
        return;
    }
    if (rpc->call == NULL) {
        return;
    }
    if (reset) {
        osr_grpc_cancel(rpc->call, OSR_GRPC_CANCELLED, "the link was closed");
    } else if (session->user != NULL) {
        osr_grpc_half_close(rpc->call);
    } else {
        osr_rpc_finish(rpc, NULL);
    }
    osr_session_mark_dirty(rpc->session);
}

void osr_rpc_link_pass_time(struct osr_session *session, uint32_t passed_ms)
{
    session->stalled_ms += passed_ms;
    if (session->stalled_ms >= CLOSE_MS) {
        osr_rpc_link_close(session, true);
    }
}

/* ---- what the other end does ---- */

static void on_message(struct osr_rpc *rpc, struct osr_slice bytes)
{
    struct osr_session *session = ((struct link_rpc *)rpc)->session;
    if (session->state == SESSION_CLOSED) {
        return;
    }
    uint8_t length[4];
    osr_put_u32(length, (uint32_t)bytes.size);
    osr_stream_add(&session->stream, length, sizeof(length));
    osr_stream_add(&session->stream, bytes.data, bytes.size);
    osr_session_process(session);
}

static void on_half_close(struct osr_rpc *rpc)
{
    struct osr_session *session = ((struct link_rpc *)rpc)->session;
    session->is_ended = true;
    osr_session_process(session);
}

static void forget_session(struct link_rpc *link, const struct osr_err *err)
{
    struct osr_session *session = link->session;
    link->session = NULL;
    if (session != NULL) {
        session->carrier = NULL;
        osr_session_gone(session, err);
    }
}

static void on_end(struct osr_rpc *rpc, const struct osr_grpc_end *end)
{
    struct link_rpc *link = (struct link_rpc *)rpc;
    struct osr_session *connection = rpc->session;
    struct osr_err err = {.code = OSR_OK};
    if (end->code != OSR_GRPC_OK && end->code != OSR_GRPC_CANCELLED) {
        osr_grpc_error_read((int)end->code, end->message, end->details, &err);
    }
    forget_session(link, &err);
    free(link);
    if (connection->child != NULL) {
        connection->child = NULL;
        osr_session_drop(connection, false);
    }
}

static const struct osr_rpc_kind link_kind = {
    .on_message = on_message, .on_half_close = on_half_close, .on_end = on_end};

static void carry(struct osr_session *session, struct osr_session *connection,
                  struct osr_grpc_call *call)
{
    struct link_rpc *link = osr_alloc(sizeof(*link));
    osr_rpc_init(&link->rpc, &link_kind, connection, call);
    link->session = session;
    session->carrier = &link->rpc;
    osr_grpc_call_limit(call, OSR_FRAME_BYTES_MAX);
}

/* ---- accepted ---- */

static bool find_purpose(struct osr_slice path, Osr__LinkPurpose *ret_purpose)
{
    for (size_t i = 0; i < sizeof(link_paths) / sizeof(link_paths[0]); i++) {
        if (osr_slice_equal(path, osr_slice_text(link_paths[i]))) {
            *ret_purpose = (Osr__LinkPurpose)i;
            return true;
        }
    }
    return false;
}

bool osr_rpc_link_take(struct osr_session *connection, struct osr_grpc_call *call,
                       const struct osr_grpc_head *head)
{
    struct osr_identity identity;
    Osr__LinkPurpose purpose;
    struct osr_err err;
    if (!find_purpose(head->path, &purpose)) {
        return false;
    }
    if (osr_rpc_identify(connection, head, &identity, &err) != 0) {
        osr_rpc_finish(&(struct osr_rpc){.session = connection, .call = call}, &err);
        return true;
    }
    struct osr_session *session =
        osr_session_create(connection->sessions, SESSION_FRESH, OSR_CODEC_PROTOBUF);
    session->purpose = purpose;
    session->identity = identity;
    snprintf(session->url, sizeof(session->url), "%s", connection->url);
    session->patience_ms = OSR_FIRST_FRAME_MS;
    session->is_reading = true;
    carry(session, connection, call);
    return true;
}

/* ---- dialled ---- */

int osr_rpc_link_dial(struct osr_session *session, const struct osr_url *url,
                      struct osr_tls_context *security,
                      int (*dial)(struct osr_session *connection, const struct osr_url *url,
                                  struct osr_tls_context *security, struct osr_err *err),
                      struct osr_err *err)
{
    struct osr_session *connection =
        osr_session_create(session->sessions, SESSION_DIALLING, OSR_CODEC_PROTOBUF);
    snprintf(connection->url, sizeof(connection->url), "%s", url->text);
    connection->child = session;
    session->parent = connection;
    int code = dial(connection, url, security, err);
    if (code != 0) {
        osr_session_destroy(connection);
    }
    return code;
}

void osr_rpc_link_open(struct osr_session *connection)
{
    struct osr_session *session = connection->child;
    struct osr_grpc_call *call;
    struct osr_err err;
    const struct osr_grpc_head head = {
        .path = osr_slice_text(link_paths[session->purpose]),
        .authority = osr_slice_text("osiris"),
        .deadline_ms = UINT64_MAX,
    };
    osr_session_rpc_begin(connection, false);
    if (osr_grpc_start(connection->grpc, &head, NULL, &call, &err) != 0) {
        osr_session_drop(connection, true); /* on_close tells the link */
        return;
    }
    carry(session, connection, call);
    osr_identity_copy(&session->identity, &connection->identity);
    session->is_reading = true;
    osr_session_become_link(session);
    osr_session_mark_dirty(connection);
}

void osr_rpc_link_gone(struct osr_session *connection, const struct osr_err *err)
{
    struct osr_session *session = connection->child;
    connection->child = NULL;
    if (session->carrier != NULL) {
        forget_session((struct link_rpc *)session->carrier, err);
    } else {
        osr_session_gone(session, err);
    }
}
