/* Calls of the contract's operations.
 *
 * Happy path: a call's message becomes a frame, as if it had come as one, with the call as its
 * request_id; replies to that id become messages and the call's end.
 *
 * Back-pressure: what one client may have under way is limited as for frames, but the connection
 * is read on, because what the other end has taken is said there too: requests beyond the
 * limits wait in line, and count as the session's input and against OSR_RPC_BYTES_MAX. */
#include <stdlib.h>
#include <strings.h>

#include "adapter/authority.h"
#include "node/rpc.h"
#include "wire/method.h"

/* A connection may have so much in line whatever the others have there: who writes little is not
 * turned away because of those who write much. */
enum { LINE_OWN_BYTES = 16 << 10 };

/* It goes when the other end and the operation are both done with it. */
struct osr_rpc_operation {
    struct osr_rpc rpc; /* first */
    struct osr_rpc_operation *next, *previous;
    struct osr_rpc_operation *next_in_line;
    const struct osr_method *method;
    struct osr_identity identity; /* of the connection, or of the token that came with the call */
    struct osr_buffer waiting;    /* the request, while it is in line */
    bool is_in_line;
    bool is_under_way; /* the operation has not given its last reply */
    bool has_request;  /* at least one has come */
    bool is_half_closed;
    Osr__ImportResponse sum; /* of a client's stream */
};

static struct osr_rpc_operation *operation_of(uint64_t request_id)
{
    return (struct osr_rpc_operation *)(uintptr_t)request_id;
}

static uint64_t id_of(const struct osr_rpc_operation *operation)
{
    return (uint64_t)(uintptr_t)operation;
}

static void destroy(struct osr_rpc_operation *operation)
{
    struct osr_session *session = operation->rpc.session;
    session->sessions->rpc_budget.bytes -= operation->waiting.capacity;
    *(operation->previous != NULL ? &operation->previous->next : &session->operations) =
        operation->next;
    if (operation->next != NULL) {
        operation->next->previous = operation->previous;
    }
    osr_buffer_wipe(&operation->waiting);
    osr_identity_done(&operation->identity);
    free(operation);
}

static void destroy_if_done(struct osr_rpc_operation *operation)
{
    if (operation->rpc.call == NULL && !operation->is_under_way && !operation->is_in_line) {
        destroy(operation);
    }
}

/* ---- requests ---- */

static void handle(struct osr_rpc_operation *operation, struct osr_slice bytes)
{
    struct osr_session *session = operation->rpc.session;
    struct osr_sessions *sessions = session->sessions;
    ProtobufCMessage *message;
    struct osr_err err;
    osr_arena_reset(sessions->arena);
    if (osr_message_decode(OSR_CODEC_PROTOBUF, operation->method->request_descriptor, bytes,
                           sessions->arena, &message, &err) != 0) {
        osr_session_wipe_request(session, bytes);
        osr_rpc_finish(&operation->rpc, &err);
        return;
    }
    Osr__Frame frame = OSR__FRAME__INIT;
    frame.request_id = id_of(operation);
    osr_frame_set_body(&frame, operation->method->request, message);
    operation->is_under_way = true;
    bool is_secret = osr_session_is_secret(frame.body_case);
    sessions->handler.on_request(sessions->handler.context, session, &operation->identity, &frame,
                                 bytes.size);
    if (is_secret) {
        osr_session_wipe_request(session, bytes);
    }
}

static bool has_room_in_line(const struct osr_session *session, size_t bytes)
{
    const struct osr_grpc_budget *budget = &session->sessions->rpc_budget;
    return budget->bytes + bytes <= budget->bytes_max ||
           session->line_bytes + bytes <= LINE_OWN_BYTES;
}

static void join_line(struct osr_rpc_operation *operation, struct osr_slice bytes)
{
    struct osr_session *session = operation->rpc.session;
    struct osr_err err;
    if (!has_room_in_line(session, bytes.size)) {
        osr_err_set(&err, OSR_BUSY, "too many requests wait to be handled");
        osr_err_hint(&err, "try again later");
        osr_rpc_finish(&operation->rpc, &err);
        return;
    }
    osr_buffer_add(&operation->waiting, bytes.data, bytes.size);
    session->line_bytes += operation->waiting.capacity;
    session->sessions->rpc_budget.bytes += operation->waiting.capacity;
    operation->is_in_line = true;
    operation->next_in_line = NULL;
    *(session->line_last != NULL ? &session->line_last->next_in_line : &session->line) = operation;
    session->line_last = operation;
}

static struct osr_rpc_operation *leave_line(struct osr_session *session)
{
    struct osr_rpc_operation *operation = session->line;
    session->line = operation->next_in_line;
    if (session->line == NULL) {
        session->line_last = NULL;
    }
    session->line_bytes -= operation->waiting.capacity;
    session->sessions->rpc_budget.bytes -= operation->waiting.capacity;
    operation->is_in_line = false;
    return operation;
}

void osr_session_rpc_process(struct osr_session *session)
{
    while (session->line != NULL && !osr_session_is_held(session)) {
        struct osr_rpc_operation *operation = leave_line(session);
        struct osr_buffer request = operation->waiting;
        operation->waiting = (struct osr_buffer){0};
        if (operation->rpc.call != NULL) {
            handle(operation, osr_buffer_slice(&request));
        } else {
            destroy_if_done(operation);
        }
        osr_buffer_wipe(&request);
    }
}

/* The operation has given its last reply: who stands in line may be handled now. The session was
 * never stopped from reading, so nothing else would bring it back. */
static void end_work(struct osr_rpc_operation *operation)
{
    struct osr_session *session = operation->rpc.session;
    operation->is_under_way = false;
    session->sessions->resume_wanted |= session->line != NULL;
}

/* ---- replies ---- */

static void send_message(struct osr_rpc_operation *operation, const ProtobufCMessage *message)
{
    if (operation->rpc.call == NULL) {
        return;
    }
    struct osr_buffer *buffer = osr_rpc_message_begin(&operation->rpc);
    osr_message_encode(OSR_CODEC_PROTOBUF, message, buffer);
    osr_rpc_message_end(&operation->rpc);
    osr_session_count_unread(operation->rpc.session);
}

static void answer_stream(struct osr_rpc_operation *operation)
{
    send_message(operation, &operation->sum.base);
    osr_rpc_finish(&operation->rpc, NULL);
}

/* A client's stream is answered once, when it has ended. */
static void add_up(struct osr_rpc_operation *operation, const Osr__ImportResponse *response)
{
    operation->sum.imported += response->imported;
    operation->sum.existed += response->existed;
    if (response->sequence > 0) {
        operation->sum.sequence = response->sequence;
    }
    if (operation->rpc.call == NULL) {
        return;
    }
    if (operation->is_half_closed) {
        answer_stream(operation);
    } else {
        osr_grpc_hold(operation->rpc.call, false);
        osr_session_mark_dirty(operation->rpc.session); /* what was held back comes at the flush */
    }
}

void osr_session_rpc_send(const Osr__Frame *frame)
{
    struct osr_rpc_operation *operation = operation_of(frame->request_id);
    if (frame->end) {
        end_work(operation);
    }
    if (operation->method->client_streams) {
        add_up(operation, frame->kb_import_reply);
    } else {
        send_message(operation, osr_frame_body(frame));
        if (frame->end) {
            osr_rpc_finish(&operation->rpc, NULL);
        }
    }
    destroy_if_done(operation);
}

void osr_session_rpc_error(uint64_t request_id, const struct osr_err *error)
{
    struct osr_rpc_operation *operation = operation_of(request_id);
    end_work(operation);
    osr_rpc_finish(&operation->rpc, error);
    destroy_if_done(operation);
}

bool osr_session_rpc_is_full(uint64_t request_id)
{
    const struct osr_rpc_operation *operation = operation_of(request_id);
    return operation->rpc.call != NULL && osr_grpc_is_full(operation->rpc.call);
}

/* ---- what the other end does ---- */

static void on_message(struct osr_rpc *rpc, struct osr_slice bytes)
{
    struct osr_rpc_operation *operation = (struct osr_rpc_operation *)rpc;
    if (operation->has_request && !operation->method->client_streams) {
        osr_rpc_refuse(rpc, OSR_GRPC_INTERNAL, "one request was expected, and there are more");
        return;
    }
    operation->has_request = true;
    if (operation->method->client_streams) {
        osr_grpc_hold(rpc->call, true); /* one at a time */
    }
    if (rpc->session->line != NULL || osr_session_is_held(rpc->session)) {
        join_line(operation, bytes);
    } else {
        handle(operation, bytes);
    }
}

static void on_half_close(struct osr_rpc *rpc)
{
    struct osr_rpc_operation *operation = (struct osr_rpc_operation *)rpc;
    operation->is_half_closed = true;
    bool is_busy = operation->is_under_way || operation->is_in_line;
    if (operation->method->client_streams && !is_busy) {
        answer_stream(operation);
    } else if (!operation->has_request) {
        osr_rpc_refuse(rpc, OSR_GRPC_INTERNAL, "a request was expected, and there is none");
    }
}

static void on_room(struct osr_rpc *rpc)
{
    const struct osr_rpc_operation *operation = (const struct osr_rpc_operation *)rpc;
    const struct osr_session_handler *handler = &rpc->session->sessions->handler;
    if (operation->is_under_way) {
        handler->on_room(handler->context, rpc->session, id_of(operation));
    }
}

static void on_end(struct osr_rpc *rpc, const struct osr_grpc_end *end)
{
    struct osr_rpc_operation *operation = (struct osr_rpc_operation *)rpc;
    const struct osr_session_handler *handler = &rpc->session->sessions->handler;
    (void)end;
    if (operation->is_under_way &&
        handler->on_cancelled(handler->context, rpc->session, id_of(operation))) {
        end_work(operation);
    }
    destroy_if_done(operation);
}

/* ---- whose call it is ---- */

/* The value of "authorization", or an empty slice; *ret_count: how often it is there. */
static struct osr_slice find_authorization(const struct osr_grpc_head *head, size_t *ret_count)
{
    struct osr_slice value = {0};
    *ret_count = 0;
    for (size_t i = 0; i < head->metadata_count; i++) {
        if (osr_slice_equal(head->metadata[i].name, osr_slice_text("authorization"))) {
            value = head->metadata[i].value;
            ++*ret_count;
        }
    }
    return value;
}

/* The token's identity becomes the session's bearer, unless it is that already. */
static int take_bearer(struct osr_session *session, struct osr_slice token, struct osr_err *err)
{
    struct osr_grant *grant;
    if (session->bearer.access != NULL &&
        osr_slice_equal(token, osr_buffer_slice(&session->bearer_token)) &&
        osr_identity_grant(&session->bearer, &grant, err) == 0) {
        return 0;
    }
    struct osr_identity bearer;
    osr_identity_copy(&bearer, &session->identity);
    int code = osr_access_take_token(session->sessions->access, &bearer, token, err);
    if (code != 0) {
        osr_identity_done(&bearer);
        return code;
    }
    osr_identity_done(&session->bearer);
    session->bearer = bearer;
    osr_secret_buffer_done(&session->bearer_token);
    osr_buffer_add(&session->bearer_token, token.data, token.size);
    return 0;
}

int osr_rpc_identify(struct osr_session *session, const struct osr_grpc_head *head,
                     struct osr_identity *ret_identity, struct osr_err *err)
{
    static const char scheme[] = "Bearer ";
    const size_t scheme_size = sizeof(scheme) - 1;
    size_t count;
    struct osr_slice value = find_authorization(head, &count);
    if (count == 0) {
        osr_identity_copy(ret_identity, &session->identity);
        return 0;
    }
    session->sessions->room_has_secret = true;
    if (count > 1 || value.size < scheme_size ||
        strncasecmp((const char *)value.data, scheme, scheme_size) != 0) {
        osr_err_set(err, OSR_UNAUTHENTICATED, "the metadata 'authorization' are no token");
        osr_err_hint(err, "authorization: Bearer osrt_...");
        return OSR_UNAUTHENTICATED;
    }
    struct osr_slice token = osr_slice(value.data + scheme_size, value.size - scheme_size);
    int code = take_bearer(session, token, err);
    if (code == 0) {
        osr_identity_copy(ret_identity, &session->bearer);
    }
    return code;
}

bool osr_rpc_operation_take(struct osr_session *session, struct osr_grpc_call *call,
                            const struct osr_grpc_head *head)
{
    static const struct osr_rpc_kind kind = {.on_message = on_message,
                                             .on_half_close = on_half_close,
                                             .on_room = on_room,
                                             .on_end = on_end};
    const struct osr_method *method = osr_method_by_path(head->path);
    struct osr_identity identity;
    struct osr_err err;
    if (method == NULL) {
        return false;
    }
    if (osr_rpc_identify(session, head, &identity, &err) != 0) {
        osr_rpc_finish(&(struct osr_rpc){.session = session, .call = call}, &err);
        return true;
    }
    struct osr_rpc_operation *operation = osr_alloc(sizeof(*operation));
    osr_rpc_init(&operation->rpc, &kind, session, call);
    operation->method = method;
    operation->identity = identity;
    osr__import_response__init(&operation->sum);
    operation->next = session->operations;
    if (operation->next != NULL) {
        operation->next->previous = operation;
    }
    session->operations = operation;
    return true;
}

void osr_rpc_operations_drain(struct osr_session *session)
{
    struct osr_err err;
    osr_err_set(&err, OSR_UNAVAILABLE, "the instance is closing");
    struct osr_rpc_operation *operation = session->operations;
    /* What may go on for as long as its caller likes. */
    for (; operation != NULL; operation = operation->next) {
        if (operation->method->request == OSR__FRAME__BODY_KB_WATCH ||
            operation->method->request == OSR__FRAME__BODY_AUDIT) {
            osr_rpc_finish(&operation->rpc, &err);
        }
    }
}

void osr_rpc_operations_abandon(struct osr_session *session)
{
    while (session->operations != NULL) {
        destroy(session->operations);
    }
}
