/* Sessions whose other end speaks gRPC (wire/grpc.h): an accepted connection that begins with
 * HTTP/2's preface is one, whatever listener it came to, and a link that was dialled by
 * grpc:// stands on one. Here is the connection; what its calls do is in rpc_*.c. */
#include "model/limits.h"
#include "node/rpc.h"

enum {
    PRODUCE_BYTES = 256 << 10,
    /* Handed to the connection and not yet taken: past it calls keep what they have to say. */
    CONNECTION_BYTES_MAX = 1 << 20,
};

bool osr_session_begins_rpc(struct osr_slice bytes)
{
    static const char preface[] = "PRI * HTTP/2.0";
    size_t size = bytes.size < sizeof(preface) - 1 ? bytes.size : sizeof(preface) - 1;
    return size > 0 && memcmp(bytes.data, preface, size) == 0;
}

/* ---- calls ---- */

void osr_rpc_init(struct osr_rpc *rpc, const struct osr_rpc_kind *kind, struct osr_session *session,
                  struct osr_grpc_call *call)
{
    rpc->kind = kind;
    rpc->session = session;
    rpc->call = call;
    osr_grpc_call_set_user(call, rpc);
}

struct osr_buffer *osr_rpc_message_begin(struct osr_rpc *rpc)
{
    return osr_grpc_message_begin(rpc->call);
}

void osr_rpc_message_end(struct osr_rpc *rpc)
{
    osr_grpc_message_end(rpc->call);
    osr_session_mark_dirty(rpc->session);
}

static void finish(struct osr_rpc *rpc, const struct osr_grpc_end *end)
{
    if (rpc->call != NULL) {
        osr_grpc_finish(rpc->call, end);
        osr_session_mark_dirty(rpc->session);
    }
}

void osr_rpc_finish(struct osr_rpc *rpc, const struct osr_err *err)
{
    if (err == NULL) {
        finish(rpc, &(struct osr_grpc_end){.code = OSR_GRPC_OK});
        return;
    }
    struct osr_buffer details = {0};
    osr_grpc_details_write(&details, err);
    finish(rpc, &(struct osr_grpc_end){
                    .code = (enum osr_grpc_code)osr_code_info(err->code)->grpc_status,
                    .message = osr_slice_text(err->message),
                    .details = osr_buffer_slice(&details),
                });
    osr_buffer_done(&details);
}

void osr_rpc_refuse(struct osr_rpc *rpc, enum osr_grpc_code code, const char *message)
{
    finish(rpc, &(struct osr_grpc_end){.code = code, .message = osr_slice_text(message)});
}

/* ---- the connection's events ---- */

static void on_call(void *context, struct osr_grpc_call *call, const struct osr_grpc_head *head)
{
    struct osr_session *session = context;
    if (osr_rpc_operation_take(session, call, head) || osr_rpc_link_take(session, call, head) ||
        osr_rpc_service_take(session, call, head->path)) {
        return;
    }
    osr_grpc_finish(call, &(struct osr_grpc_end){
                              .code = OSR_GRPC_UNIMPLEMENTED,
                              .message = osr_slice_text("there is no such method"),
                          });
}

/* NULL: it was refused at once. */
static struct osr_rpc *rpc_of(struct osr_grpc_call *call)
{
    return osr_grpc_call_user(call);
}

static void on_message(void *context, struct osr_grpc_call *call, struct osr_slice bytes)
{
    struct osr_rpc *rpc = rpc_of(call);
    (void)context;
    if (rpc != NULL) {
        rpc->kind->on_message(rpc, bytes);
    }
}

static void on_half_close(void *context, struct osr_grpc_call *call)
{
    struct osr_rpc *rpc = rpc_of(call);
    (void)context;
    if (rpc != NULL && rpc->kind->on_half_close != NULL) {
        rpc->kind->on_half_close(rpc);
    } else if (rpc != NULL) {
        osr_rpc_finish(rpc, NULL);
    }
}

static void on_room(void *context, struct osr_grpc_call *call)
{
    struct osr_rpc *rpc = rpc_of(call);
    (void)context;
    if (rpc != NULL && rpc->kind->on_room != NULL) {
        rpc->kind->on_room(rpc);
    }
}

static void on_end(void *context, struct osr_grpc_call *call, const struct osr_grpc_end *end)
{
    struct osr_rpc *rpc = rpc_of(call);
    (void)context;
    if (rpc != NULL) {
        rpc->call = NULL;
        rpc->kind->on_end(rpc, end);
    }
}

/* ---- the connection ---- */

void osr_session_rpc_begin(struct osr_session *session, bool is_server)
{
    const struct osr_grpc_options options = {
        .is_server = is_server,
        .message_bytes_max = OSR_FRAME_BYTES_MAX,
        .budget = is_server ? &session->sessions->rpc_budget : NULL,
    };
    const struct osr_grpc_handler handler = {
        .on_call = on_call,
        .on_message = on_message,
        .on_half_close = on_half_close,
        .on_room = on_room,
        .on_end = on_end,
        .context = session,
    };
    session->state = SESSION_RPC;
    session->patience_ms = 0; /* the layer has its own */
    session->grpc = osr_grpc_create(&options, &handler, uv_now(session->sessions->loop));
}

void osr_session_rpc_read(struct osr_session *session, struct osr_slice bytes)
{
    struct osr_err err;
    osr_grpc_receive(session->grpc, bytes, uv_now(session->sessions->loop), &err);
    osr_session_mark_dirty(session); /* what cannot go on is over at the next flush */
}

static void close_behind_last_words(struct osr_session *session)
{
    const char *why = osr_grpc_why(session->grpc);
    if (why != NULL && session->state != SESSION_CLOSED) {
        osr_trace(session->sessions->trace, OSR_LEVEL_WARNING, "%s: gRPC connection closed: %s",
                  session->url, why);
    }
    osr_session_drop(session, false);
}

void osr_session_rpc_flush(struct osr_session *session)
{
    while (osr_connection_queued(session->connection) < CONNECTION_BYTES_MAX &&
           osr_grpc_produce(session->grpc, &session->output, PRODUCE_BYTES)) {
        session->handed_over += session->output.size;
        osr_connection_write(session->connection, &session->output);
    }
    if (osr_grpc_is_over(session->grpc) && !osr_grpc_has_output(session->grpc)) {
        close_behind_last_words(session);
    }
}

void osr_session_rpc_tick(struct osr_session *session)
{
    uint64_t now_ms = uv_now(session->sessions->loop);
    if (osr_grpc_deadline_ms(session->grpc) <= now_ms) {
        osr_grpc_tick(session->grpc, now_ms);
        osr_session_mark_dirty(session);
    }
}

void osr_session_rpc_drain(struct osr_session *session)
{
    osr_rpc_operations_drain(session);
    osr_grpc_drain(session->grpc, uv_now(session->sessions->loop));
    osr_session_mark_dirty(session);
}

void osr_session_rpc_refuse(struct osr_session *session, const struct osr_err *error)
{
    osr_grpc_shut(session->grpc, (enum osr_grpc_code)osr_code_info(error->code)->grpc_status,
                  error->message);
    osr_session_rpc_flush(session);
}

void osr_session_rpc_end(struct osr_session *session)
{
    osr_grpc_destroy(session->grpc);
    session->grpc = NULL;
    osr_rpc_operations_abandon(session);
}
