/* cluster_set, cluster_settings, access_set, access_show: what all members of the ledger obey.
 *
 * What is set is answered once this member has applied it, and in force here at the end of the same
 * turn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/limits.h"
#include "node/access_config.h"
#include "node/agreed.h"
#include "node/ledger.h"
#include "node/operation_handlers.h"

/* What came of a command that was not simply done. */
static void fail(struct osr_call *call, const struct osr_agreed *agreed, const char *look)
{
    struct osr_err err;
    if (agreed->code == OSR_TIMEOUT) {
        osr_err_set(&err, OSR_TIMEOUT, "nobody knows whether it was set, or will be: %s",
                    agreed->err != NULL ? agreed->err->message : "its time was over");
        osr_err_hint(&err, "`%s` shows it", look);
    } else if (agreed->err != NULL) {
        err = *agreed->err;
    } else {
        osr_err_set(&err, agreed->code, "nothing was set: %s", osr_code_info(agreed->code)->text);
    }
    osr_call_fail(call, &err);
}

static int encode(struct osr_slice key, struct osr_slice value, struct osr_buffer *command,
                  struct osr_err *err)
{
    const struct osr_kv_write write = {.is_remove = value.size == 0, .key = key, .value = value};
    return osr_cluster_encode(&write, command, err);
}

static void propose(struct osr_call *call, const struct osr_buffer *command, uint32_t timeout_ms,
                    osr_agreed_done *done)
{
    struct osr_agreement *agreement = call->services->agreement;
    osr_call_await(call, NULL);
    osr_call_await_agreed(call,
                          agreement->propose(agreement, OSR_MACHINE_CLUSTER, OSR_CLUSTER_VERSION,
                                             osr_buffer_slice(command), timeout_ms, done, call));
}

/* ---- settings ---- */

static void on_set(void *context, const struct osr_agreed *agreed)
{
    Osr__ClusterSetResponse response = OSR__CLUSTER_SET_RESPONSE__INIT;
    if (agreed->code != OSR_OK) {
        fail(context, agreed, "osiris cluster settings");
        return;
    }
    response.index = agreed->index;
    osr_call_reply(context, &response.base);
}

static int prepare_set(const struct osr_call *call, const Osr__ClusterSetRequest *request,
                       struct osr_buffer *command, uint32_t *ret_timeout_ms, struct osr_err *err)
{
    char *key = osr_format(OSR_CLUSTER_SETTING_PREFIX "%s", request->name);
    int code = osr_operation_timeout(request->timeout_ms, ret_timeout_ms, err);
    if (code == 0) {
        code = encode(osr_slice_text(key), osr_slice_text(request->value), command, err);
    }
    if (code == 0) {
        code = osr_operation_note(call, "CLUSTER_SET", key, request->value, err);
    }
    free(key);
    return code;
}

void osr_operation_cluster_set(struct osr_operations *operations, struct osr_call *call,
                               const Osr__Frame *frame)
{
    struct osr_buffer command = {0};
    uint32_t timeout_ms;
    struct osr_err err;
    (void)operations;
    if (prepare_set(call, frame->cluster_set, &command, &timeout_ms, &err) == 0) {
        propose(call, &command, timeout_ms, on_set);
    } else {
        osr_call_fail(call, &err);
    }
    osr_buffer_done(&command);
}

void osr_operation_cluster_settings(struct osr_operations *operations, struct osr_call *call,
                                    const Osr__Frame *frame)
{
    struct osr_agreement *agreement = operations->services->agreement;
    struct osr_values *values = agreement->values(agreement, OSR_MACHINE_CLUSTER);
    Osr__ClusterSettingsResponse response = OSR__CLUSTER_SETTINGS_RESPONSE__INIT;
    Osr__ClusterSetting settings[OSR_CLUSTER_SETTING_COUNT];
    Osr__ClusterSetting *rows[OSR_CLUSTER_SETTING_COUNT];
    struct osr_buffer texts[OSR_CLUSTER_SETTING_COUNT] = {0};
    (void)frame;
    for (size_t i = 0; i < OSR_CLUSTER_SETTING_COUNT; i++) {
        const struct osr_cluster_setting_info *info =
            osr_cluster_setting_info((enum osr_cluster_setting)i);
        rows[i] = &settings[i];
        osr__cluster_setting__init(&settings[i]);
        settings[i].by_default =
            !osr_cluster_setting_get(values, (enum osr_cluster_setting)i, &texts[i]);
        osr_buffer_add_u8(&texts[i], '\0');
        settings[i].name = (char *)info->name;
        settings[i].meaning = (char *)info->meaning;
        settings[i].value = (char *)texts[i].data;
    }
    response.n_settings = OSR_CLUSTER_SETTING_COUNT;
    response.settings = rows;
    osr_call_reply(call, &response.base);
    for (size_t i = 0; i < OSR_CLUSTER_SETTING_COUNT; i++) {
        osr_buffer_done(&texts[i]);
    }
}

/* ---- who may do what ---- */

static void on_access_set(void *context, const struct osr_agreed *agreed)
{
    struct osr_call *call = context;
    Osr__SetAccessResponse response = OSR__SET_ACCESS_RESPONSE__INIT;
    if (agreed->code != OSR_OK) {
        fail(call, agreed, "osiris access show");
        return;
    }
    response.index = agreed->index;
    response.own_file = osr_agreed_policy_source(call->services->agreed) == OSR_POLICY_OWN_FILE;
    osr_call_reply(call, &response.base);
}

/* Roles that somebody brings count instead of what the policy says of the name. */
static const struct osr_role_names *roles_brought(const struct osr_services *services,
                                                  const struct osr_policy *policy, const char *who)
{
    const struct osr_role_names *own = osr_operation_own_roles(services, who);
    bool is_instance = strncmp(who, "instance:", strlen("instance:")) == 0;
    if (own != NULL || !is_instance || osr_policy_names(policy, who)) {
        return own;
    }
    const struct osr_credential *member = osr_credentials_find(
        services->credentials, OSR_CREDENTIAL_MEMBER, who + strlen("instance:"));
    return member != NULL && member->member.roles.count > 0 ? &member->member.roles : NULL;
}

static bool allows(const struct osr_services *services, const struct osr_policy *policy,
                   const char *who, enum osr_action action)
{
    const struct osr_role_names *roles = roles_brought(services, policy, who);
    const struct osr_part instance = osr_part(OSR_PART_INSTANCE, "");
    struct osr_policy_subject *subject = NULL;
    struct osr_err err;
    if (roles == NULL) {
        return osr_policy_allows(osr_policy_subject(policy, who), action, instance);
    }
    if (osr_policy_subject_of_roles(policy, roles->names, roles->count, &subject, &err) != 0) {
        return false;
    }
    bool is_allowed = osr_policy_allows(subject, action, instance);
    osr_policy_subject_destroy(subject);
    return is_allowed;
}

/* Whether it could do so up to now, and not by the new policy. */
static bool loses(const struct osr_services *services, const struct osr_policy *policy,
                  const char *who, enum osr_action action)
{
    return allows(services, osr_access_policy(services->access), who, action) &&
           !allows(services, policy, who, action);
}

static int refuse_loss(const char *who, const char *what, struct osr_err *err)
{
    osr_err_set(err, OSR_INVALID_ARGUMENT, "by this policy %s could not %s any more", who, what);
    osr_err_hint(err, "--yes sets it all the same; mend it then by a section `access` in the "
                      "config file of each instance, which goes first");
    return OSR_INVALID_ARGUMENT;
}

static int check_members(const struct osr_services *services, const struct osr_policy *policy,
                         struct osr_err *err)
{
    struct osr_arena *arena = osr_arena_create(0, OSR_DECODE_BYTES_MAX);
    Osr__ClusterStatusResponse status = OSR__CLUSTER_STATUS_RESPONSE__INIT;
    int code = 0;
    osr_ledger_status(services->ledger, arena, &status);
    for (size_t i = 0; code == 0 && i < status.n_members; i++) {
        char *who = osr_format("instance:%s", status.members[i]->instance);
        if (loses(services, policy, who, OSR_ACTION_LINK) ||
            loses(services, policy, who, OSR_ACTION_VOTE)) {
            code = refuse_loss(status.members[i]->name, "link and vote", err);
        }
        free(who);
    }
    osr_arena_destroy(arena);
    return code;
}

/* Neither who sets it nor a member of the ledger is to be lost by a slip. */
static int check_losses(const struct osr_call *call, const struct osr_policy *policy,
                        struct osr_err *err)
{
    const char *who = call->identity.who;
    if (loses(call->services, policy, who, OSR_ACTION_TRUST)) {
        return refuse_loss(who, "set a policy", err);
    }
    return check_members(call->services, policy, err);
}

static int check_policy(const struct osr_call *call, const Osr__SetAccessRequest *request,
                        struct osr_err *err)
{
    struct osr_policy *policy = NULL;
    int code = 0;
    if (request->yaml[0] == '\0') {
        policy = osr_access_config_default();
    } else {
        code = osr_access_config_parse("access", osr_slice_text(request->yaml), &policy, err);
    }
    if (code != 0) {
        err->code = OSR_INVALID_ARGUMENT; /* whatever it is in a config file */
        return OSR_INVALID_ARGUMENT;
    }
    if (!request->even_if_shut_out) {
        code = check_losses(call, policy, err);
    }
    osr_policy_destroy(policy);
    return code;
}

/* Which one, so that it can be told from others. */
static int note_policy(const struct osr_call *call, struct osr_slice text, struct osr_err *err)
{
    char why[OSR_AUDIT_TEXT_BYTES_MAX] = "taken away";
    if (text.size > 0) {
        struct osr_hash hash = osr_sha256(&text, 1);
        char hexadecimal[2 * OSR_SHA256_SIZE + 1];
        osr_hex_encode(hexadecimal, osr_slice(hash.bytes, sizeof(hash.bytes)));
        snprintf(why, sizeof(why), "SHA-256 %s", hexadecimal);
    }
    return osr_operation_note(call, "ACCESS_SET", "policy:", why, err);
}

static int prepare_access(const struct osr_call *call, const Osr__SetAccessRequest *request,
                          struct osr_buffer *command, uint32_t *ret_timeout_ms, struct osr_err *err)
{
    int code = osr_operation_timeout(request->timeout_ms, ret_timeout_ms, err);
    if (code == 0) {
        code = encode(osr_slice_text(OSR_CLUSTER_ACCESS_KEY), osr_slice_text(request->yaml),
                      command, err);
    }
    if (code == 0) {
        code = check_policy(call, request, err);
    }
    if (code == 0) {
        code = note_policy(call, osr_slice_text(request->yaml), err);
    }
    return code;
}

void osr_operation_access_set(struct osr_operations *operations, struct osr_call *call,
                              const Osr__Frame *frame)
{
    struct osr_buffer command = {0};
    uint32_t timeout_ms;
    struct osr_err err;
    (void)operations;
    if (prepare_access(call, frame->access_set, &command, &timeout_ms, &err) == 0) {
        propose(call, &command, timeout_ms, on_access_set);
    } else {
        osr_call_fail(call, &err);
    }
    osr_buffer_done(&command);
}

static const char *name_of(enum osr_policy_source source)
{
    switch (source) {
    case OSR_POLICY_OWN_FILE:
        return "own-file";
    case OSR_POLICY_AGREED:
        return "agreed";
    case OSR_POLICY_DEFAULT:
        break;
    }
    return "default";
}

void osr_operation_access_show(struct osr_operations *operations, struct osr_call *call,
                               const Osr__Frame *frame)
{
    const struct osr_services *services = operations->services;
    struct osr_values *values =
        services->agreement->values(services->agreement, OSR_MACHINE_CLUSTER);
    Osr__ShowAccessResponse response = OSR__SHOW_ACCESS_RESPONSE__INIT;
    struct osr_buffer buffer = {0};
    struct osr_kv_found found;
    char *yaml = NULL;
    (void)frame;
    if (osr_kv_get(values, osr_slice_text(OSR_CLUSTER_ACCESS_KEY), &buffer, &found)) {
        yaml = osr_format("%.*s", (int)found.value.size, (const char *)found.value.data);
        response.index = found.index;
        response.yaml = yaml;
    }
    response.in_force = (char *)name_of(osr_agreed_policy_source(services->agreed));
    osr_call_reply(call, &response.base);
    free(yaml);
    osr_buffer_done(&buffer);
}
