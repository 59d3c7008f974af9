/* How instances come into the cluster: `invite` makes what lets one in, with the addresses where it
 * is to ask; `join` takes it, once, and gives a certificate for it. At the CA's instance alone;
 * others say who to ask. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapter/clock.h"
#include "node/issuing.h"
#include "node/join_proof.h"
#include "node/listener_methods.h"
#include "node/operation_handlers.h"

enum {
    DAY_MS = 24 * 60 * 60 * 1000,
    INVITATION_DAYS_MAX = 30, /* who has one may come in: it is not to lie about for long */
};

/* Who joins gets this role unless the invitation says another; policies give it to "instance:*". */
static const char role_of_members[] = "peer";

/* -- invite -- */

/* An invitation under way. Wiped. */
struct inviting {
    struct osr_call *call;
    struct osr_invitation invitation;
    uint64_t expires_ms;
};

static void destroy_inviting(struct inviting *inviting)
{
    osr_invitation_done(&inviting->invitation);
    free(inviting);
}

static void on_invited(void *context, enum osr_code code)
{
    struct inviting *inviting = context;
    Osr__InviteResponse response = OSR__INVITE_RESPONSE__INIT;
    struct osr_buffer text = {0};
    char id[OSR_SECRET_ID_CHARS + 1];
    struct osr_err err;
    if (code != OSR_OK) {
        osr_err_set(&err, code, "the invitation could not be stored: %s",
                    osr_code_info(code)->text);
        osr_call_fail(inviting->call, &err);
        destroy_inviting(inviting);
        return;
    }
    osr_invitation_write(&text, &inviting->invitation);
    osr_buffer_add_u8(&text, '\0');
    osr_token_id_text(id, &inviting->invitation.token);
    response.invitation = (char *)text.data;
    response.id = id;
    response.expires_ms = inviting->expires_ms;
    osr_call_reply(inviting->call, &response.base);
    osr_secret_buffer_done(&text);
    destroy_inviting(inviting);
}

static void add_address(struct osr_invitation *invitation, const char *url)
{
    if (invitation->address_count < OSR_INVITATION_ADDRESSES_MAX &&
        strlen(url) <= OSR_INVITATION_ADDRESS_BYTES_MAX) {
        invitation->addresses[invitation->address_count++] = osr_strdup(url);
    }
}

/* "tls://0.0.0.0:7400" is no address to dial: those of this machine's interfaces are. */
static void add_interfaces(struct osr_invitation *invitation, const char *scheme, unsigned port)
{
    uv_interface_address_t *interfaces;
    int count;
    if (uv_interface_addresses(&interfaces, &count) != 0) {
        return;
    }
    for (int i = 0; i < count; i++) {
        char host[INET6_ADDRSTRLEN];
        char url[OSR_INVITATION_ADDRESS_BYTES_MAX + 1];
        bool is_ipv4 = interfaces[i].address.address4.sin_family == AF_INET;
        if (interfaces[i].is_internal || !is_ipv4 ||
            uv_ip4_name(&interfaces[i].address.address4, host, sizeof(host)) != 0) {
            continue;
        }
        snprintf(url, sizeof(url), "%s://%s:%u", scheme, host, port);
        add_address(invitation, url);
    }
    uv_free_interface_addresses(interfaces, count);
}

static bool is_wildcard(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

/* Who joins has neither certificate nor key yet, as who shows a token. */
static bool takes_newcomers(const struct osr_url *url)
{
    const unsigned without_tls = 1u << OSR_METHOD_TOKEN | 1u << OSR_METHOD_PASSWORD;
    return osr_url_is_secure(url) && osr_url_is_stream(url) &&
           (osr_methods_of(url) & without_tls) != 0;
}

/* Where this instance listens with TLS; loopback only where there is nothing else. */
static void add_listeners(const struct osr_services *services, struct osr_invitation *invitation,
                          bool loopback)
{
    for (size_t i = 0; i < services->listener_count; i++) {
        struct osr_url url;
        char text[OSR_URL_TEXT_MAX];
        if (osr_url_parse(osr_listener_url(services->listeners[i]), &url, NULL) != 0 ||
            !takes_newcomers(&url)) {
            continue;
        }
        if (is_wildcard(url.host)) {
            add_interfaces(invitation, url.scheme, url.port);
            url.host[0] = '\0';
        }
        if (osr_url_is_loopback(&url) == loopback && url.host[0] != '\0') {
            bool is_ipv6 = strchr(url.host, ':') != NULL;
            snprintf(text, sizeof(text), is_ipv6 ? "%s://[%s]:%u" : "%s://%s:%u", url.scheme,
                     url.host, url.port);
            add_address(invitation, text);
        }
    }
}

static int name_addresses(const struct osr_services *services, const Osr__InviteRequest *request,
                          struct osr_invitation *invitation, struct osr_err *err)
{
    for (size_t i = 0; i < request->n_addresses; i++) {
        int code = osr_invitation_check_address(request->addresses[i], err);
        if (code != 0) {
            return code;
        }
        add_address(invitation, request->addresses[i]);
    }
    if (invitation->address_count == 0) {
        add_listeners(services, invitation, false);
    }
    if (invitation->address_count == 0) {
        add_listeners(services, invitation, true);
    }
    if (invitation->address_count > 0) {
        return 0;
    }
    osr_err_set(err, OSR_CONFIG,
                "nobody could come: this instance listens nowhere with TLS, to whom "
                "has no certificate yet");
    osr_err_hint(err,
                 "listen at tls://0.0.0.0:7400, if with auth= then with token or password in it; "
                 "or name addresses");
    return OSR_CONFIG;
}

static int invite(struct inviting *inviting, const Osr__InviteRequest *request, struct osr_err *err)
{
    const struct osr_call *call = inviting->call;
    const struct osr_services *services = call->services;
    uint64_t lasts_ms = request->expires_ms != 0 ? request->expires_ms : DAY_MS;
    const char *role = request->role[0] != '\0' ? request->role : role_of_members;
    struct osr_role_names roles;
    int code = osr_issuing_check(services, err);
    if (code == 0) {
        code = osr_operation_roles(services, (char **)&role, 1, &roles, err);
    }
    if (code == 0) {
        code = osr_operation_expiry(lasts_ms, (uint64_t)INVITATION_DAYS_MAX * DAY_MS,
                                    &inviting->expires_ms, err);
    }
    if (code == 0) {
        code = name_addresses(services, request, &inviting->invitation, err);
    }
    if (code == 0) {
        code = osr_operation_note(call, "INVITE", "", inviting->invitation.addresses[0], err);
    }
    if (code != 0) {
        return code;
    }
    inviting->invitation.ca_fingerprint = osr_issuing_authority(services);
    const struct osr_invitation_order order = {
        .role = role, .expires_ms = inviting->expires_ms, .created_by = call->identity.who};
    return osr_credentials_create_invitation(
        services->credentials, &order, osr_wall_ms(), &inviting->invitation.token,
        (struct osr_credential_done){on_invited, inviting}, err);
}

void osr_operation_invite(struct osr_operations *operations, struct osr_call *call,
                          const Osr__Frame *frame)
{
    struct inviting *inviting = osr_alloc(sizeof(*inviting));
    struct osr_err err;
    (void)operations;
    inviting->call = call;
    osr_call_await(call, NULL);
    if (invite(inviting, frame->invite, &err) != 0) {
        osr_call_fail(call, &err);
        destroy_inviting(inviting);
    }
}

/* -- join -- */

/* Somebody who joins. */
struct joining {
    struct osr_call *call;
    struct osr_buffer pem; /* given once the invitation is known to be used, and the member noted */
    char who[sizeof("instance:") + OSR_INSTANCE_CHARS];
    char name[OSR_NAME_BYTES_MAX + 1];
    char role[OSR_POLICY_NAME_BYTES_MAX + 1];
    char invitation[OSR_SECRET_ID_CHARS + 1]; /* its id */
};

static void destroy_joining(struct joining *joining)
{
    osr_buffer_done(&joining->pem);
    free(joining);
}

/* The others that who joins may link to; this one is reached already. */
static size_t list_peers(const struct osr_config *config, char **peers)
{
    size_t count = 0;
    for (size_t i = 0; i < config->peer_count; i++) {
        if (osr_url_is_secure(&config->peer[i]) && !osr_url_is_loopback(&config->peer[i])) {
            peers[count++] = config->peer[i].text;
        }
    }
    return count;
}

static void fail_joining(struct joining *joining, const struct osr_err *err)
{
    osr_call_fail(joining->call, err);
    destroy_joining(joining);
}

static void let_join(struct joining *joining)
{
    const struct osr_services *services = joining->call->services;
    Osr__JoinResponse response = OSR__JOIN_RESPONSE__INIT;
    char **peers = osr_alloc((services->config->peer_count + 1) * sizeof(*peers));
    response.cluster = services->config->cluster;
    response.certificate_pem = (char *)joining->pem.data;
    response.authorities_pem = osr_issuing_authorities(services);
    response.instance = (char *)services->instance;
    response.peers = peers;
    response.n_peers = list_peers(services->config, peers);
    osr_call_reply(joining->call, &response.base);
    free(response.authorities_pem);
    free(peers);
    destroy_joining(joining);
}

static void on_member_noted(void *context, enum osr_code code)
{
    struct joining *joining = context;
    struct osr_err err;
    if (code == OSR_OK) {
        let_join(joining);
        return;
    }
    osr_err_set(&err, code, "the new member could not be stored, and the invitation is used: %s",
                osr_code_info(code)->text);
    osr_err_hint(&err, "make another one: `osiris invite`");
    fail_joining(joining, &err);
}

/* Without the record it would have other roles than it was invited to. */
static void on_joined(void *context, enum osr_code code)
{
    struct joining *joining = context;
    const struct osr_services *services = joining->call->services;
    struct osr_err err;
    if (code != OSR_OK) {
        osr_err_set(&err, code, "that the invitation is used could not be stored: %s",
                    osr_code_info(code)->text);
        fail_joining(joining, &err);
        return;
    }
    const struct osr_credential *invitation =
        osr_credentials_find(services->credentials, OSR_CREDENTIAL_INVITATION, joining->invitation);
    struct osr_member_news news = {
        .who = joining->who,
        .name = joining->name,
        .role = joining->role,
        .invited_by = invitation != NULL ? invitation->invitation.created_by : "",
    };
    if (osr_issuing_note_member(services, &news, &joining->pem,
                                (struct osr_credential_done){on_member_noted, joining},
                                &err) != 0) {
        fail_joining(joining, &err);
    }
}

static int check_proof(const Osr__JoinRequest *request, const struct osr_token *token,
                       struct osr_err *err)
{
    struct osr_public_key key;
    struct osr_signature signature;
    char id[OSR_INSTANCE_CHARS + 1];
    if (request->public_key.len != sizeof(key.bytes) ||
        request->signature.len != sizeof(signature.bytes)) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                                "public_key has %zu bytes and signature %zu", sizeof(key.bytes),
                                sizeof(signature.bytes));
    }
    memcpy(key.bytes, request->public_key.data, sizeof(key.bytes));
    memcpy(signature.bytes, request->signature.data, sizeof(signature.bytes));
    osr_instance_id(id, &key);
    if (strcmp(id, request->instance) != 0) {
        return (int)osr_err_set(err, OSR_BAD_SIGNATURE, "the key is not that of the instance %.40s",
                                request->instance);
    }
    struct osr_buffer message = {0};
    osr_join_proof_message(&message, osr_slice_text(request->request_pem), token);
    bool is_valid = osr_keys_verify(&key, osr_buffer_slice(&message), &signature);
    osr_buffer_done(&message);
    return is_valid ? 0
                    : (int)osr_err_set(err, OSR_BAD_SIGNATURE,
                                       "the signature is not the instance's, for this request");
}

static int prepare(struct joining *joining, const Osr__JoinRequest *request,
                   const struct osr_token *token, const char *who, struct osr_err *err)
{
    const struct osr_services *services = joining->call->services;
    const struct osr_issuing_order order = {
        .request_pem = request->request_pem,
        .who = who,
        .subject = request->name[0] != '\0' ? request->name : request->instance,
    };
    /* Before the work of a certificate, and its line in the audit log: every member has an
     * invitation that is used. */
    int code = osr_credentials_check_invitation(services->credentials, token, osr_wall_ms(), err);
    if (code == 0) {
        code = check_proof(request, token, err);
    }
    if (code == 0) {
        code = osr_issuing_make(services, &order, &joining->pem, err);
    }
    return code != 0 ? code : osr_issuing_note(joining->call, "JOIN", who, &joining->pem, err);
}

static int note_refused_join(const struct osr_call *call, const char *who, struct osr_err *err)
{
    const struct osr_audit_record record = {
        .allowed = false,
        .who = who,
        .from = call->identity.from,
        .action = osr_action_info(OSR_ACTION_TRUST)->name,
        .part = "instance:",
        .what = "JOIN",
        .why = err->message,
    };
    struct osr_err failure;
    if (osr_audit_note(call->services->audit, OSR_AUDIT_LOGIN, &record, &failure) != 0) {
        *err = failure;
    }
    return (int)err->code;
}

static int join(struct joining *joining, const Osr__JoinRequest *request, struct osr_err *err)
{
    const struct osr_call *call = joining->call;
    const struct osr_services *services = call->services;
    const struct osr_cluster_tag cluster = osr_cluster_tag(services->config->cluster);
    const struct osr_credential_done done = {on_joined, joining};
    struct osr_token token;
    int code = osr_issuing_check(services, err);
    if (code == 0 && !osr_instance_id_is_valid(request->instance)) {
        code = (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "'%.40s' is no instance's id",
                                request->instance);
    }
    if (code == 0) {
        code = osr_token_read(osr_slice_text(request->invitation), &cluster, &token, err);
    }
    if (code != 0) {
        return code;
    }
    snprintf(joining->who, sizeof(joining->who), "instance:%s", request->instance);
    snprintf(joining->name, sizeof(joining->name), "%s", request->name);
    osr_token_id_text(joining->invitation, &token);
    code = prepare(joining, request, &token, joining->who, err);
    if (code == 0) {
        code = osr_credentials_use_invitation(services->credentials, &token, joining->who,
                                              osr_wall_ms(), joining->role, done, err);
    }
    explicit_bzero(&token, sizeof(token));
    return code != 0 ? note_refused_join(call, joining->who, err) : 0;
}

void osr_operation_join(struct osr_operations *operations, struct osr_call *call,
                        const Osr__Frame *frame)
{
    struct joining *joining = osr_alloc(sizeof(*joining));
    struct osr_err err;
    (void)operations;
    joining->call = call;
    osr_call_await(call, NULL);
    if (join(joining, frame->join, &err) != 0) {
        osr_call_fail(call, &err);
        destroy_joining(joining);
    }
    explicit_bzero(frame->join->invitation, strlen(frame->join->invitation));
}
