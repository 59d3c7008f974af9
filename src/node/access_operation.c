/* access_check: who may do what, and why. */
#include <string.h>

#include "node/operation_handlers.h"

/* Users and tokens may bring roles of their own, in place of what the config says of their names.
 */
struct own_roles {
    const char *name; /* of the token */
    const struct osr_role_names *roles;
};

static void find_token(void *context, const struct osr_credential *credential)
{
    struct own_roles *own = context;
    const struct osr_token_record *token = &credential->token;
    if (strcmp(token->name, own->name) == 0 && token->revoked_ms == 0) {
        own->roles = &token->roles;
    }
}

const struct osr_role_names *osr_operation_own_roles(const struct osr_services *services,
                                                     const char *who)
{
    struct own_roles own = {0};
    if (strncmp(who, "user:", strlen("user:")) == 0) {
        const struct osr_credential *user =
            osr_credentials_find(services->credentials, OSR_CREDENTIAL_USER, who + strlen("user:"));
        own.roles = user != NULL ? &user->user.roles : NULL;
    } else if (strncmp(who, "token:", strlen("token:")) == 0) {
        own.name = who + strlen("token:");
        osr_credentials_walk(services->credentials, OSR_CREDENTIAL_TOKEN, find_token, &own);
    }
    return own.roles != NULL && own.roles->count > 0 ? own.roles : NULL;
}

static const char *name_behind(const char *kind, const char *who)
{
    size_t size = strlen(kind);
    return strncmp(who, kind, size) == 0 ? who + size : NULL;
}

/* What is so whatever the rules say; false: they decide. */
static bool explain_exception(const struct osr_services *services, const char *who,
                              enum osr_action action, struct osr_part part, bool *ret_allowed,
                              struct osr_buffer *text)
{
    const char *instance = name_behind("instance:", who);
    const char *name = name_behind("user:", who);
    const struct osr_credential *user =
        name != NULL ? osr_credentials_find(services->credentials, OSR_CREDENTIAL_USER, name)
                     : NULL;
    bool is_trust =
        action == OSR_ACTION_LEAD && part.kind == OSR_PART_STREAM &&
        osr_slice_equal(part.name, osr_slice_text(osr_feed_stream_name(OSR_STREAM_TRUST)));
    *ret_allowed = false;
    if (osr_access_is_revoked(services->access, who)) {
        osr_buffer_add_text(text, "denied: its certificate was revoked, or all of them\n");
    } else if (user != NULL && user->user.is_disabled) {
        osr_buffer_add_text(text, "denied: the user is disabled\n");
    } else if (instance != NULL && is_trust &&
               osr_security_is_authority(services->security, instance)) {
        *ret_allowed = true;
        osr_buffer_add_text(text, "allowed: a CA that is believed names it as its own instance\n");
    } else if (action == OSR_ACTION_LEAD && osr_access_is_unknown(services->access, who)) {
        osr_buffer_add_text(text, "denied: neither the CA nor the config tells of this instance\n");
    } else {
        return false;
    }
    return true;
}

static int explain(const struct osr_services *services, const Osr__CheckAccessRequest *request,
                   bool *ret_allowed, struct osr_buffer *text, struct osr_err *err)
{
    const struct osr_policy *policy = osr_access_policy(services->access);
    const struct osr_role_names *own = osr_operation_own_roles(services, request->who);
    struct osr_policy_subject *subject = NULL;
    enum osr_action action;
    struct osr_part part;
    int code = osr_policy_check_who(request->who, err);
    if (code == 0) {
        code = osr_action_parse(request->action, &action, err);
    }
    if (code == 0) {
        code = osr_part_parse(request->part, &part, err);
    }
    if (code == 0 && explain_exception(services, request->who, action, part, ret_allowed, text)) {
        osr_buffer_add_u8(text, '\0');
        return 0;
    }
    if (code == 0 && own != NULL) {
        code = osr_policy_subject_of_roles(policy, own->names, own->count, &subject, err);
    } else if (code == 0) {
        code = osr_access_member_subject(services->access, request->who, &subject, err);
    }
    if (code != 0) {
        return code;
    }
    *ret_allowed = subject != NULL ? osr_policy_explain_subject(subject, action, part, text)
                                   : osr_policy_explain(policy, request->who, action, part, text);
    osr_policy_subject_destroy(subject);
    osr_buffer_add_u8(text, '\0');
    return 0;
}

void osr_operation_access_check(struct osr_operations *operations, struct osr_call *call,
                                const Osr__Frame *frame)
{
    Osr__CheckAccessResponse response = OSR__CHECK_ACCESS_RESPONSE__INIT;
    struct osr_buffer text = {0};
    bool is_allowed = false;
    struct osr_err err;
    if (explain(operations->services, frame->access_check, &is_allowed, &text, &err) != 0) {
        osr_call_fail(call, &err);
    } else {
        response.allowed = is_allowed;
        response.explanation = (char *)text.data;
        osr_call_reply(call, &response.base);
    }
    osr_buffer_done(&text);
}
