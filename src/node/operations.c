#include "node/operations.h"

#include <stdlib.h>

#include "adapter/keys.h"
#include "core/cluster_settings.h"
#include "model/limits.h"
#include "node/operation_handlers.h"
#include "node/permission.h"

enum {
    /* A request that names something: nothing in it is longer than a query. */
    NAMING_BYTES_MAX = 8 << 10,
    /* A request with one document: its data, and room for escapes in the rest. */
    DOCUMENT_BYTES_MAX = OSR_DATA_BYTES_MAX + (256 << 10),
    /* A request with a value of the ledger: as base64, in JSON, and what stands beside it. */
    VALUE_BYTES_MAX = OSR_KV_VALUE_BYTES_MAX / 3 * 4 + NAMING_BYTES_MAX,
    /* A request with a certificate signing request in it. */
    CERTIFICATE_BYTES_MAX = 64 << 10,
    /* A request with a policy: as JSON each byte may take six. */
    POLICY_BYTES_MAX = 6 * OSR_CLUSTER_ACCESS_BYTES_MAX + NAMING_BYTES_MAX,
};

struct operation {
    Osr__Frame__BodyCase request;
    Osr__Frame__BodyCase reply;
    struct osr_permission permission;
    size_t request_bytes_max; /* on the wire */
    osr_operation_handler *handle;
};

#define ROW(NAME, REPLY, scope, action, bytes_max, handler)                                        \
    {                                                                                              \
        OSR__FRAME__BODY_##NAME, OSR__FRAME__BODY_##REPLY,                                         \
            {OSR_SCOPE_##scope, OSR_ACTION_##action}, bytes_max, handler                           \
    }
/* Of an operation for those who have shown nothing yet. */
#define OPEN_ROW(NAME, bytes_max, handler)                                                         \
    {                                                                                              \
        OSR__FRAME__BODY_##NAME, OSR__FRAME__BODY_##NAME##_REPLY, {.scope = OSR_SCOPE_NONE},       \
            bytes_max, handler                                                                     \
    }

/* Names are those of the frame's members: osr_frame_type. */
static const struct operation operations_table[] = {
    ROW(UPDATE_KB, KB_PUT_REPLY, DOCUMENTS, WRITE, DOCUMENT_BYTES_MAX, osr_operation_update_kb),
    ROW(KB_PUT, KB_PUT_REPLY, DOCUMENTS, WRITE, DOCUMENT_BYTES_MAX, osr_operation_kb_put),
    ROW(KB_UPDATE, KB_UPDATE_REPLY, DOCUMENTS, WRITE, DOCUMENT_BYTES_MAX, osr_operation_kb_update),
    ROW(KB_DELETE, KB_DELETE_REPLY, SOME_COLLECTION, WRITE, NAMING_BYTES_MAX,
        osr_operation_kb_delete),
    ROW(KB_IMPORT, KB_IMPORT_REPLY, DOCUMENTS, WRITE, OSR_FRAME_BYTES_MAX, osr_operation_kb_import),
    ROW(KB_GET, KB_GET_REPLY, SOME_COLLECTION, READ, NAMING_BYTES_MAX, osr_operation_kb_get),
    ROW(KB_LIST, KB_LIST_REPLY, COLLECTION, READ, NAMING_BYTES_MAX, osr_operation_kb_list),
    ROW(KB_SEARCH, KB_SEARCH_REPLY, SOME_COLLECTION, READ, NAMING_BYTES_MAX,
        osr_operation_kb_search),
    ROW(KB_HISTORY, KB_HISTORY_REPLY, SOME_COLLECTION, READ, NAMING_BYTES_MAX,
        osr_operation_kb_history),
    ROW(KB_WATCH, KB_WATCH_REPLY, COLLECTION, READ, NAMING_BYTES_MAX, osr_operation_kb_watch),
    ROW(KB_DIGEST, KB_DIGEST_REPLY, INSTANCE, OBSERVE, NAMING_BYTES_MAX, osr_operation_kb_digest),
    ROW(STATUS, STATUS_REPLY, INSTANCE, OBSERVE, NAMING_BYTES_MAX, osr_operation_status),
    ROW(FEEDS, FEEDS_REPLY, INSTANCE, OBSERVE, NAMING_BYTES_MAX, osr_operation_feeds),
    ROW(FEEDS_RESEND, FEEDS_RESEND_REPLY, INSTANCE, OPERATE, NAMING_BYTES_MAX,
        osr_operation_feeds_resend),
    ROW(FEEDS_FOLLOWERS, FEEDS_FOLLOWERS_REPLY, INSTANCE, OBSERVE, NAMING_BYTES_MAX,
        osr_operation_feeds_followers),
    ROW(REBUILD, REBUILD_REPLY, INSTANCE, OPERATE, NAMING_BYTES_MAX, osr_operation_rebuild),
    OPEN_ROW(LOGIN, NAMING_BYTES_MAX, osr_operation_login),
    OPEN_ROW(AUTHENTICATE, NAMING_BYTES_MAX, osr_operation_authenticate),
    OPEN_ROW(JOIN, CERTIFICATE_BYTES_MAX, osr_operation_join),
    {OSR__FRAME__BODY_RENEW,
     OSR__FRAME__BODY_RENEW_REPLY,
     {.scope = OSR_SCOPE_CERTIFICATE},
     CERTIFICATE_BYTES_MAX,
     osr_operation_renew},
    ROW(INVITE, INVITE_REPLY, INSTANCE, TRUST, NAMING_BYTES_MAX, osr_operation_invite),
    ROW(ISSUE, ISSUE_REPLY, INSTANCE, TRUST, CERTIFICATE_BYTES_MAX, osr_operation_issue),
    ROW(TOKEN_CREATE, TOKEN_CREATE_REPLY, INSTANCE, TRUST, NAMING_BYTES_MAX,
        osr_operation_token_create),
    ROW(USER_PUT, USER_PUT_REPLY, INSTANCE, TRUST, NAMING_BYTES_MAX, osr_operation_user_put),
    ROW(REVOKE, REVOKE_REPLY, INSTANCE, TRUST, NAMING_BYTES_MAX, osr_operation_revoke),
    ROW(CREDENTIALS, CREDENTIALS_REPLY, INSTANCE, TRUST, NAMING_BYTES_MAX,
        osr_operation_credentials),
    ROW(ACCESS_CHECK, ACCESS_CHECK_REPLY, INSTANCE, TRUST, NAMING_BYTES_MAX,
        osr_operation_access_check),
    ROW(AUDIT, AUDIT_REPLY, INSTANCE, AUDIT, NAMING_BYTES_MAX, osr_operation_audit),
    ROW(RELOAD, RELOAD_REPLY, INSTANCE, OPERATE, NAMING_BYTES_MAX, osr_operation_reload),
    ROW(WRITTEN, WRITTEN_REPLY, INSTANCE, AUDIT, NAMING_BYTES_MAX, osr_operation_written),
    ROW(RENEW_OWN, RENEW_OWN_REPLY, INSTANCE, TRUST, NAMING_BYTES_MAX, osr_operation_renew_own),
    ROW(KV_GET, KV_GET_REPLY, KEY, READ, NAMING_BYTES_MAX, osr_operation_kv_get),
    ROW(KV_PUT, KV_PUT_REPLY, KEY, WRITE, VALUE_BYTES_MAX, osr_operation_kv_put),
    ROW(KV_DEL, KV_DEL_REPLY, KEY, WRITE, NAMING_BYTES_MAX, osr_operation_kv_del),
    ROW(CLUSTER_STATUS, CLUSTER_STATUS_REPLY, INSTANCE, OBSERVE, NAMING_BYTES_MAX,
        osr_operation_cluster_status),
    ROW(CLUSTER_CHANGE, CLUSTER_CHANGE_REPLY, INSTANCE, OPERATE, NAMING_BYTES_MAX,
        osr_operation_cluster_change),
    ROW(CLUSTER_TRANSFER, CLUSTER_TRANSFER_REPLY, INSTANCE, OPERATE, NAMING_BYTES_MAX,
        osr_operation_cluster_transfer),
    ROW(CLUSTER_SET, CLUSTER_SET_REPLY, INSTANCE, OPERATE, NAMING_BYTES_MAX,
        osr_operation_cluster_set),
    ROW(CLUSTER_SETTINGS, CLUSTER_SETTINGS_REPLY, INSTANCE, OBSERVE, NAMING_BYTES_MAX,
        osr_operation_cluster_settings),
    ROW(ACCESS_SET, ACCESS_SET_REPLY, INSTANCE, TRUST, POLICY_BYTES_MAX, osr_operation_access_set),
    ROW(ACCESS_SHOW, ACCESS_SHOW_REPLY, INSTANCE, TRUST, NAMING_BYTES_MAX,
        osr_operation_access_show),
};

/* In the contract a request and its reply stand side by side, in five runs of members; UPDATE_KB
 * stands alone. What comes behind ACCESS_SHOW_REPLY, or between the runs, needs a row and a run. */
#define RUN(FIRST, LAST) ((OSR__FRAME__BODY_##LAST##_REPLY - OSR__FRAME__BODY_##FIRST + 1) / 2)
enum {
    OPERATION_COUNT = sizeof(operations_table) / sizeof(operations_table[0]),
    CONTRACT_COUNT = 1 + RUN(KB_PUT, KB_DIGEST) + RUN(STATUS, FEEDS_FOLLOWERS) +
                     RUN(LOGIN, RENEW_OWN) + RUN(KV_GET, KV_DEL) + RUN(CLUSTER_STATUS, ACCESS_SHOW),
};
_Static_assert((int)OPERATION_COUNT == (int)CONTRACT_COUNT, "a row for each operation");

static int find_operation(const Osr__Frame *frame, const struct operation **ret_operation,
                          struct osr_err *err)
{
    for (size_t i = 0; i < OPERATION_COUNT; i++) {
        if (operations_table[i].request == frame->body_case) {
            *ret_operation = &operations_table[i];
            return 0;
        }
    }
    const char *type = osr_frame_type(frame);
    return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "%s is no request",
                            type[0] != '\0' ? type : "a frame without a message");
}

static int check_size(const struct operation *operation, const Osr__Frame *frame, size_t size,
                      struct osr_err *err)
{
    if (size <= operation->request_bytes_max) {
        return 0;
    }
    return (int)osr_err_set(err, OSR_TOO_LARGE, "%s of %zu bytes; at most %zu are taken",
                            osr_frame_type(frame), size, operation->request_bytes_max);
}

/* The one place where it is decided whether a request is let in. */
static int admit(const struct osr_services *services, struct osr_identity *identity,
                 const Osr__Frame *frame, size_t size, const struct operation **ret_operation,
                 struct osr_err *err)
{
    int code = find_operation(frame, ret_operation, err);
    if (code == 0) {
        code = osr_permission_check(services->access, identity, (*ret_operation)->permission, frame,
                                    err);
    }
    if (code == 0) {
        code = check_size(*ret_operation, frame, size, err);
    }
    return code;
}

void osr_operations_request(struct osr_operations *operations, struct osr_session *session,
                            struct osr_identity *identity, const Osr__Frame *frame, size_t size)
{
    const struct operation *operation = NULL;
    struct osr_err err;
    if (admit(operations->services, identity, frame, size, &operation, &err) != 0) {
        osr_session_error(session, frame->request_id, &err);
        return;
    }
    struct osr_call *call = osr_call_create(session, identity, frame, operation->reply, size);
    call->services = operations->services;
    operation->handle(operations, call, frame);
}

int osr_operation_timeout(uint32_t asked_ms, uint32_t *ret_timeout_ms, struct osr_err *err)
{
    if (asked_ms > OSR_WAIT_MAX_MS) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "timeout_ms is %u; at most %d is taken",
                                asked_ms, OSR_WAIT_MAX_MS);
    }
    *ret_timeout_ms = asked_ms != 0 ? asked_ms : OSR_WAIT_DEFAULT_MS;
    return 0;
}

int osr_operations_create(const struct osr_services *services,
                          struct osr_operations **ret_operations, struct osr_err *err)
{
    struct osr_operations *operations = osr_alloc(sizeof(*operations));
    operations->services = services;
    int code = osr_log_finder_create(services->loop, services->journal, &operations->finder, err);
    if (code != 0) {
        free(operations);
        return code;
    }
    int status = uv_timer_init(services->loop, &operations->wait_timer);
    if (status != 0) {
        osr_log_finder_destroy(operations->finder);
        free(operations);
        return (int)osr_err_errno(err, OSR_INTERNAL, -status, "cannot make a timer");
    }
    operations->wait_timer.data = operations;
    uint64_t seed;
    osr_secret_random(&seed, sizeof(seed));
    operations->attempts = osr_attempts_create(seed);
    operations->issue_limit = osr_issue_limit_create(seed);
    *ret_operations = operations;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void osr_operations_destroy(struct osr_operations *operations)
{
    if (operations == NULL) {
        return;
    }
    osr_status_waiters_drop(operations);
    osr_log_finder_destroy(operations->finder);
    osr_attempts_destroy(operations->attempts);
    osr_issue_limit_destroy(operations->issue_limit);
    uv_close((uv_handle_t *)&operations->wait_timer, on_timer_closed);
}
