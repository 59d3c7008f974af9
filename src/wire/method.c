#include "wire/method.h"

#define METHOD(service, name, frame, request, reply, client_streams, server_streams)               \
    {                                                                                              \
        "/osiris.v1." service "/" name, OSR__FRAME__BODY_##frame,                                  \
            OSR__FRAME__BODY_##frame##_REPLY, &osr__##request##__descriptor,                       \
            &osr__##reply##__descriptor, client_streams, server_streams                            \
    }
#define UNARY(service, name, frame, request, reply)                                                \
    METHOD(service, name, frame, request, reply, false, false)
#define SERVER_STREAM(service, name, frame, request, reply)                                        \
    METHOD(service, name, frame, request, reply, false, true)
#define CLIENT_STREAM(service, name, frame, request, reply)                                        \
    METHOD(service, name, frame, request, reply, true, false)

/* The most common first: they are looked for one by one. */
static const struct osr_method methods[] = {
    UNARY("Knowledge", "Get", KB_GET, get_request, get_response),
    UNARY("Knowledge", "Put", KB_PUT, put_request, put_response),
    UNARY("Knowledge", "Update", KB_UPDATE, update_request, put_response),
    UNARY("Knowledge", "Delete", KB_DELETE, delete_request, put_response),
    CLIENT_STREAM("Knowledge", "Import", KB_IMPORT, import_request, import_response),
    SERVER_STREAM("Knowledge", "List", KB_LIST, list_request, list_response),
    SERVER_STREAM("Knowledge", "Export", KB_LIST, list_request, list_response),
    SERVER_STREAM("Knowledge", "Search", KB_SEARCH, search_request, search_response),
    SERVER_STREAM("Knowledge", "History", KB_HISTORY, history_request, history_response),
    SERVER_STREAM("Knowledge", "Watch", KB_WATCH, watch_request, watch_response),
    UNARY("Values", "Get", KV_GET, get_value_request, get_value_response),
    UNARY("Values", "Put", KV_PUT, put_value_request, put_value_response),
    UNARY("Values", "Remove", KV_DEL, remove_value_request, remove_value_response),
    UNARY("Instance", "Digest", KB_DIGEST, digest_request, digest_response),
    UNARY("Instance", "Status", STATUS, status_request, status_response),
    UNARY("Instance", "Feeds", FEEDS, feeds_request, feeds_response),
    UNARY("Instance", "Followers", FEEDS_FOLLOWERS, followers_request, followers_response),
    UNARY("Instance", "Resend", FEEDS_RESEND, resend_request, resend_response),
    SERVER_STREAM("Instance", "Rebuild", REBUILD, rebuild_request, rebuild_response),
    UNARY("Cluster", "Status", CLUSTER_STATUS, cluster_status_request, cluster_status_response),
    UNARY("Cluster", "Change", CLUSTER_CHANGE, cluster_change_request, cluster_change_response),
    UNARY("Cluster", "Transfer", CLUSTER_TRANSFER, cluster_transfer_request,
          cluster_transfer_response),
    UNARY("Cluster", "Set", CLUSTER_SET, cluster_set_request, cluster_set_response),
    UNARY("Cluster", "Settings", CLUSTER_SETTINGS, cluster_settings_request,
          cluster_settings_response),
    UNARY("Cluster", "SetAccess", ACCESS_SET, set_access_request, set_access_response),
    UNARY("Cluster", "ShowAccess", ACCESS_SHOW, show_access_request, show_access_response),
    UNARY("Trust", "Login", LOGIN, login_request, login_response),
    UNARY("Trust", "Authenticate", AUTHENTICATE, authenticate_request, authenticate_response),
    UNARY("Trust", "Join", JOIN, join_request, join_response),
    UNARY("Trust", "Renew", RENEW, renew_request, renew_response),
    UNARY("Trust", "Invite", INVITE, invite_request, invite_response),
    UNARY("Trust", "Issue", ISSUE, issue_request, issue_response),
    UNARY("Trust", "CreateToken", TOKEN_CREATE, create_token_request, create_token_response),
    UNARY("Trust", "PutUser", USER_PUT, put_user_request, put_user_response),
    UNARY("Trust", "Revoke", REVOKE, revoke_request, revoke_response),
    UNARY("Trust", "Credentials", CREDENTIALS, credentials_request, credentials_response),
    UNARY("Trust", "CheckAccess", ACCESS_CHECK, check_access_request, check_access_response),
    UNARY("Trust", "RenewOwn", RENEW_OWN, renew_own_request, renew_own_response),
    SERVER_STREAM("Trust", "Audit", AUDIT, audit_request, audit_response),
    SERVER_STREAM("Trust", "Written", WRITTEN, written_request, written_response),
    UNARY("Trust", "Reload", RELOAD, reload_request, reload_response),
};

enum { METHOD_COUNT = sizeof(methods) / sizeof(methods[0]) };

const struct osr_method *osr_method_by_path(struct osr_slice path)
{
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        if (osr_slice_equal(path, osr_slice_text(methods[i].path))) {
            return &methods[i];
        }
    }
    return NULL;
}

const struct osr_method *osr_method_by_request(Osr__Frame__BodyCase request)
{
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        if (methods[i].request == request) {
            return &methods[i];
        }
    }
    return NULL;
}

const struct osr_method *osr_method_by_name(const char *name)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(&osr__frame__descriptor, name);
    return field == NULL ? NULL : osr_method_by_request((Osr__Frame__BodyCase)field->id);
}
