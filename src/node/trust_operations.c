/* token_create and reload, and what operations on credentials have in common. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapter/clock.h"
#include "node/operation_handlers.h"

/* For ever is what 0 says; what is longer than this is a mistyped unit. */
static const uint64_t token_ms_max = 10ull * 366 * 24 * 60 * 60 * 1000;

/* -- what several operations need -- */

int osr_operation_note(const struct osr_call *call, const char *what, const char *part,
                       const char *why, struct osr_err *err)
{
    const struct osr_audit_record record = {
        .allowed = true,
        .who = call->identity.who,
        .from = call->identity.from,
        .action = osr_action_info(OSR_ACTION_TRUST)->name,
        .part = part,
        .what = what,
        .why = why,
    };
    return osr_audit_note(call->services->audit, OSR_AUDIT_TRUST, &record, err);
}

int osr_operation_roles(const struct osr_services *services, char *const *roles, size_t count,
                        struct osr_role_names *ret_roles, struct osr_err *err)
{
    struct osr_policy_subject *subject = NULL;
    if (count > OSR_CREDENTIAL_ROLES_MAX) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "%zu roles; at most %d can be given",
                                count, OSR_CREDENTIAL_ROLES_MAX);
    }
    ret_roles->count = count;
    for (size_t i = 0; i < count; i++) {
        ret_roles->names[i] = roles[i];
    }
    int code = osr_policy_subject_of_roles(osr_access_policy(services->access), ret_roles->names,
                                           count, &subject, err);
    osr_policy_subject_destroy(code == 0 ? subject : NULL);
    return code;
}

int osr_operation_expiry(uint64_t lasts_ms, uint64_t max_ms, uint64_t *ret_expires_ms,
                         struct osr_err *err)
{
    if (lasts_ms > max_ms) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                                "expires_ms is %" PRIu64 "; at most %" PRIu64 " is taken", lasts_ms,
                                max_ms);
    }
    *ret_expires_ms = osr_wall_ms() + lasts_ms;
    return 0;
}

void osr_operation_refuse_unstored(struct osr_err *err, enum osr_code code)
{
    osr_err_set(err, code, "it could not be stored: %s", osr_code_info(code)->text);
}

static void fail_unstored(struct osr_call *call, enum osr_code code)
{
    struct osr_err err;
    osr_operation_refuse_unstored(&err, code);
    osr_call_fail(call, &err);
}

/* -- a new token -- */

struct token_creation {
    struct osr_call *call;
    char text[OSR_TOKEN_TEXT_MAX]; /* wiped once it was shown */
};

static void show_token(struct token_creation *creation)
{
    Osr__CreateTokenResponse response = OSR__CREATE_TOKEN_RESPONSE__INIT;
    char id[OSR_SECRET_ID_CHARS + 1] = "";
    struct osr_token token;
    if (osr_token_read(osr_slice_text(creation->text), NULL, &token, NULL) == 0) {
        osr_token_id_text(id, &token);
        explicit_bzero(&token, sizeof(token));
    }
    response.token = creation->text;
    response.id = id;
    osr_call_reply(creation->call, &response.base);
}

static void on_token_stored(void *context, enum osr_code code)
{
    struct token_creation *creation = context;
    if (code == OSR_OK) {
        show_token(creation);
    } else {
        fail_unstored(creation->call, code);
    }
    explicit_bzero(creation, sizeof(*creation));
    free(creation);
}

static int create_token(const struct osr_services *services, struct token_creation *creation,
                        const Osr__CreateTokenRequest *request, struct osr_err *err)
{
    struct osr_token_order order = {.name = request->name,
                                    .created_by = creation->call->identity.who};
    char part[sizeof("token:") + OSR_CREDENTIAL_NAME_BYTES_MAX];
    int code = osr_operation_roles(services, request->roles, request->n_roles, &order.roles, err);
    if (code == 0 && request->expires_ms != 0) {
        code = osr_operation_expiry(request->expires_ms, token_ms_max, &order.expires_ms, err);
    }
    if (code == 0) {
        snprintf(part, sizeof(part), "token:%s", request->name);
        code = osr_operation_note(creation->call, "TOKEN_CREATE", part, "", err);
    }
    if (code != 0) {
        return code;
    }
    const struct osr_credential_done done = {on_token_stored, creation};
    return osr_credentials_create_token(services->credentials, &order, osr_wall_ms(),
                                        creation->text, done, err);
}

void osr_operation_token_create(struct osr_operations *operations, struct osr_call *call,
                                const Osr__Frame *frame)
{
    struct token_creation *creation = osr_alloc(sizeof(*creation));
    struct osr_err err;
    creation->call = call;
    osr_call_await(call, NULL);
    if (create_token(operations->services, creation, frame->token_create, &err) != 0) {
        osr_call_fail(call, &err);
        free(creation);
    }
}

/* -- reload -- */

static void on_reloaded(void *context, const struct osr_security_changes *changes,
                        const struct osr_err *err)
{
    Osr__ReloadResponse response = OSR__RELOAD_RESPONSE__INIT;
    if (changes == NULL) {
        osr_call_fail(context, err);
        return;
    }
    response.n_changed = changes->changed_count;
    response.changed = (char **)(void *)changes->changed;
    response.n_restart = changes->restart_count;
    response.restart = (char **)(void *)changes->restart;
    osr_call_reply(context, &response.base);
}

/* That it was asked for stands in the audit log already: it takes `operate`. */
void osr_operation_reload(struct osr_operations *operations, struct osr_call *call,
                          const Osr__Frame *frame)
{
    struct osr_err err;
    (void)frame;
    osr_call_await(call, NULL);
    if (osr_security_reload(operations->services->security, on_reloaded, call, &err) != 0) {
        osr_call_fail(call, &err);
    }
}
