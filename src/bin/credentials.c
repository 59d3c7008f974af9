/* token, user and invite list|revoke: what people and programs come in with. */
#include <stdlib.h>

#include "bin/command.h"
#include "bin/display.h"
#include "bin/password.h"
#include "bin/table.h"

/* ---- lists ---- */

static const struct osr_column credential_columns[] = {
    {"ID", OSR_COLUMN_WHOLE | OSR_COLUMN_OPTIONAL},
    {"NAME", OSR_COLUMN_OPTIONAL},
    {"ROLES", OSR_COLUMN_OPTIONAL},
    {"STATE", 0},
    {"CREATED", OSR_COLUMN_OPTIONAL},
    {"BY", OSR_COLUMN_OPTIONAL},
    {"EXPIRES", OSR_COLUMN_OPTIONAL}};

static void add_roles(struct osr_table *table, const Osr__Credential *credential)
{
    struct osr_buffer roles = {0};
    for (size_t i = 0; i < credential->n_roles; i++) {
        osr_buffer_add_format(&roles, "%s%s", i > 0 ? ", " : "", credential->roles[i]);
    }
    osr_table_add(table, osr_buffer_slice(&roles));
    osr_buffer_done(&roles);
}

static void add_row(struct osr_table *table, const Osr__Credential *credential)
{
    char time[OSR_DISPLAY_TIME_CHARS];
    bool is_user = strcmp(credential->kind, "user") == 0;
    osr_table_add_text(table, is_user ? "" : credential->id);
    osr_table_add_text(table,
                       is_user && credential->name[0] == '\0' ? credential->id : credential->name);
    add_roles(table, credential);
    osr_table_add_text(table, credential->state);
    osr_table_add_text(table, osr_display_time(time, credential->created_ms));
    osr_table_add_text(table, credential->created_by);
    osr_table_add_text(table, osr_display_time(time, credential->expires_ms));
}

static int on_credentials(void *context, const ProtobufCMessage *reply)
{
    struct osr_context *run = context;
    const Osr__CredentialsResponse *response = (const Osr__CredentialsResponse *)reply;
    struct osr_table table;
    osr_table_init(&table, credential_columns,
                   sizeof(credential_columns) / sizeof(credential_columns[0]), &run->out);
    for (size_t i = 0; i < response->n_credentials; i++) {
        if (run->json) {
            osr_output_add_message(&run->out, &response->credentials[i]->base);
        } else {
            add_row(&table, response->credentials[i]);
        }
    }
    osr_table_finish(&table);
    return run->out.failure.code;
}

static int call_list(struct osr_context *context, const char *kind, osr_on_reply *on_reply,
                     void *on_reply_context, struct osr_err *err)
{
    Osr__CredentialsRequest request = OSR__CREDENTIALS_REQUEST__INIT;
    request.kind = (char *)kind;
    return osr_context_call(context, "credentials", &request.base, on_reply, on_reply_context, err);
}

int osr_run_token_list(struct osr_context *context, const struct osr_arguments *arguments,
                       struct osr_err *err)
{
    (void)arguments;
    return call_list(context, "token", on_credentials, context, err);
}

int osr_run_user_list(struct osr_context *context, const struct osr_arguments *arguments,
                      struct osr_err *err)
{
    (void)arguments;
    return call_list(context, "user", on_credentials, context, err);
}

int osr_run_invite_list(struct osr_context *context, const struct osr_arguments *arguments,
                        struct osr_err *err)
{
    (void)arguments;
    return call_list(context, "invitation", on_credentials, context, err);
}

/* ---- revoking ---- */

static int on_revoked(void *context, const ProtobufCMessage *reply)
{
    (void)reply;
    struct osr_context *run = context;
    if (!run->json) {
        osr_output_add_text(&run->out, "revoked\n");
    }
    return run->out.failure.code;
}

int osr_run_token_revoke(struct osr_context *context, const struct osr_arguments *arguments,
                         struct osr_err *err)
{
    Osr__RevokeRequest request = OSR__REVOKE_REQUEST__INIT;
    request.what_case = OSR__REVOKE_REQUEST__WHAT_TOKEN;
    request.token = arguments->operands[0];
    return osr_context_call(context, "revoke", &request.base, on_revoked, context, err);
}

int osr_run_invite_revoke(struct osr_context *context, const struct osr_arguments *arguments,
                          struct osr_err *err)
{
    Osr__RevokeRequest request = OSR__REVOKE_REQUEST__INIT;
    request.what_case = OSR__REVOKE_REQUEST__WHAT_INVITATION;
    request.invitation = arguments->operands[0];
    return osr_context_call(context, "revoke", &request.base, on_revoked, context, err);
}

/* ---- token create ---- */

static int on_token(void *context, const ProtobufCMessage *reply)
{
    struct osr_context *run = context;
    if (run->json) {
        osr_output_add_message(&run->out, reply);
    } else {
        osr_output_add_format(&run->out, "%s\n", ((const Osr__CreateTokenResponse *)reply)->token);
    }
    return run->out.failure.code;
}

/* *ret_roles has room for OSR_REPEATED_MAX. */
static int read_roles(const struct osr_arguments *arguments, const char **roles, size_t *ret_count,
                      struct osr_err *err)
{
    *ret_count = osr_arguments_list(arguments, OSR_FLAG_ROLE, roles);
    if (*ret_count == 0) {
        osr_err_set(err, OSR_INVALID_ARGUMENT, "--role says what may be done with it");
        osr_err_hint(err, "roles that are always there: reader, editor, administrator, peer");
        return OSR_INVALID_ARGUMENT;
    }
    return OSR_OK;
}

int osr_run_token_create(struct osr_context *context, const struct osr_arguments *arguments,
                         struct osr_err *err)
{
    const char *roles[OSR_REPEATED_MAX];
    Osr__CreateTokenRequest request = OSR__CREATE_TOKEN_REQUEST__INIT;
    request.name = arguments->operands[0];
    request.roles = (char **)roles;
    int code = read_roles(arguments, roles, &request.n_roles, err);
    if (code == OSR_OK) {
        code = osr_arguments_span(arguments, OSR_FLAG_EXPIRES, &request.expires_ms, err);
    }
    if (code != OSR_OK) {
        return code;
    }
    return osr_context_call(context, "token_create", &request.base, on_token, context, err);
}

/* ---- users ---- */

static int on_user_put(void *context, const ProtobufCMessage *reply)
{
    (void)context, (void)reply;
    return OSR_OK;
}

/* What a user is now; a change says all of it anew. */
struct user {
    const char *name;
    bool is_found;
    bool is_disabled;
    char *roles[OSR_REPEATED_MAX];
    size_t role_count;
};

static void user_done(struct user *user)
{
    for (size_t i = 0; i < user->role_count; i++) {
        free(user->roles[i]);
    }
}

static int on_users(void *context, const ProtobufCMessage *reply)
{
    struct user *user = context;
    const Osr__CredentialsResponse *response = (const Osr__CredentialsResponse *)reply;
    for (size_t i = 0; i < response->n_credentials; i++) {
        const Osr__Credential *found = response->credentials[i];
        if (strcmp(found->id, user->name) != 0 && strcmp(found->name, user->name) != 0) {
            continue;
        }
        user->is_found = true;
        user->is_disabled = strcmp(found->state, "disabled") == 0;
        for (size_t j = 0; j < found->n_roles && user->role_count < OSR_REPEATED_MAX; j++) {
            user->roles[user->role_count++] = osr_strdup(found->roles[j]);
        }
        return OSR_OK;
    }
    return OSR_OK;
}

static int find_user(struct osr_context *context, struct user *user, struct osr_err *err)
{
    int code = call_list(context, "user", on_users, user, err);
    if (code == OSR_OK && !user->is_found) {
        code = osr_err_set(err, OSR_NOT_FOUND, "there is no user \"%s\"", user->name);
    }
    return code;
}

/* password NULL: as it is. */
static int put_user(struct osr_context *context, const struct user *user, char *password,
                    struct osr_err *err)
{
    Osr__PutUserRequest request = OSR__PUT_USER_REQUEST__INIT;
    request.user = (char *)user->name;
    request.password = password != NULL ? password : request.password;
    request.roles = (char **)user->roles;
    request.n_roles = user->role_count;
    request.disabled = user->is_disabled;
    return osr_context_call(context, "user_put", &request.base, on_user_put, NULL, err);
}

int osr_run_user_add(struct osr_context *context, const struct osr_arguments *arguments,
                     struct osr_err *err)
{
    struct user user = {.name = arguments->operands[0]};
    struct user known = {.name = user.name};
    char *password = NULL;
    int code = read_roles(arguments, (const char **)user.roles, &user.role_count, err);
    if (code == OSR_OK) {
        code = call_list(context, "user", on_users, &known, err);
        user_done(&known);
    }
    if (code == OSR_OK && known.is_found) {
        osr_err_set(err, OSR_ALREADY_EXISTS, "there is a user \"%s\"", user.name);
        osr_err_hint(err, "osiris user password, disable and enable change one");
        code = OSR_ALREADY_EXISTS;
    }
    if (code == OSR_OK) {
        code = osr_password_read(arguments->values[OSR_FLAG_PASSWORD_FILE], user.name, true,
                                 &password, err);
    }
    if (code == OSR_OK) {
        code = put_user(context, &user, password, err);
    }
    osr_password_done(password);
    return code;
}

int osr_run_user_password(struct osr_context *context, const struct osr_arguments *arguments,
                          struct osr_err *err)
{
    struct user user = {.name = arguments->operands[0]};
    char *password = NULL;
    int code = find_user(context, &user, err);
    if (code == OSR_OK) {
        code = osr_password_read(arguments->values[OSR_FLAG_PASSWORD_FILE], user.name, true,
                                 &password, err);
    }
    if (code == OSR_OK) {
        code = put_user(context, &user, password, err);
    }
    osr_password_done(password);
    user_done(&user);
    return code;
}

static int set_disabled(struct osr_context *context, const char *name, bool is_disabled,
                        struct osr_err *err)
{
    struct user user = {.name = name};
    int code = find_user(context, &user, err);
    if (code == OSR_OK) {
        user.is_disabled = is_disabled;
        code = put_user(context, &user, NULL, err);
    }
    user_done(&user);
    return code;
}

int osr_run_user_disable(struct osr_context *context, const struct osr_arguments *arguments,
                         struct osr_err *err)
{
    return set_disabled(context, arguments->operands[0], true, err);
}

int osr_run_user_enable(struct osr_context *context, const struct osr_arguments *arguments,
                        struct osr_err *err)
{
    return set_disabled(context, arguments->operands[0], false, err);
}
