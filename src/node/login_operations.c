/* Passwords and who shows a token: `login`, `authenticate`, `user_put`.
 *
 * A password is hashed and compared on the thread of security.h, one at a time. How often one may
 * be tried is core/attempts.h's; that there is no such user is not told from a wrong password,
 * neither by the answer nor by its time. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapter/clock.h"
#include "adapter/password.h"
#include "node/listener_methods.h"
#include "node/operation_handlers.h"

enum {
    /* Of all callers, for the thread, a second's work: stops many at once from keeping everybody
     * waiting. One caller has few of them, by core/attempts.h. */
    LOGINS_WAITING_MAX = 32,
    /* Apart from these, so that no flood of logins keeps the owner from changing a password. */
    USERS_WAITING_MAX = 32,
};

/* A password on its way to the thread and back. Wiped. */
struct password_job {
    struct osr_file_job job; /* first */
    struct osr_operations *operations;
    struct osr_call *call;
    char user[OSR_CREDENTIAL_NAME_BYTES_MAX + 1];
    char password[OSR_PASSWORD_BYTES_MAX + 1];
    char hash[OSR_PASSWORD_HASH_TEXT_MAX]; /* to compare with, or made; empty: no such user */
    struct osr_role_names roles;           /* of a user who is put; their texts are owned */
    bool is_disabled;
    int code;
    struct osr_err err;
};

/* What a decoded message held lies in memory that others use next. */
static void wipe_text(char *text)
{
    explicit_bzero(text, strlen(text));
}

static void destroy_job(struct password_job *job)
{
    for (size_t i = 0; i < job->roles.count; i++) {
        free((char *)job->roles.names[i]);
    }
    explicit_bzero(job, sizeof(*job));
    free(job);
}

static int check_password_size(const char *password, struct osr_err *err)
{
    if (strlen(password) <= OSR_PASSWORD_BYTES_MAX) {
        return 0;
    }
    return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "a password has at most %d bytes",
                            OSR_PASSWORD_BYTES_MAX);
}

static int check_user_size(const char *user, struct osr_err *err)
{
    if (user[0] != '\0' && strlen(user) <= OSR_CREDENTIAL_NAME_BYTES_MAX) {
        return 0;
    }
    return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "a user's name has 1 to %d bytes",
                            OSR_CREDENTIAL_NAME_BYTES_MAX);
}

static int refuse_waiting(int count, struct osr_err *err)
{
    osr_err_set(err, OSR_BUSY, "%d passwords wait for their turn", count);
    osr_err_hint(err, "try again in 2 s");
    return OSR_BUSY;
}

/* -- login -- */

/* In the audit log, by the name that was given: whether there is such a user is not said. */
static int note_login(const struct osr_call *call, const char *user, const char *why,
                      struct osr_err *err)
{
    char who[sizeof("user:") + OSR_CREDENTIAL_NAME_BYTES_MAX];
    snprintf(who, sizeof(who), "user:%s", user);
    const struct osr_audit_record record = {
        .allowed = why == NULL,
        .who = who,
        .from = call->identity.from,
        .action = "login",
        .part = "instance:",
        .what = "LOGIN",
        .why = why != NULL ? why : "",
    };
    return osr_audit_note(call->services->audit, OSR_AUDIT_LOGIN, &record, err);
}

static void refuse_login(struct osr_call *call, const char *user)
{
    struct osr_err err;
    if (note_login(call, user, "wrong user or password", &err) == 0) {
        osr_err_set(&err, OSR_UNAUTHENTICATED, "wrong user or password");
    }
    osr_call_fail(call, &err);
}

/* Noted before it is done, and as allowed only where it is. */
static int log_in(const struct password_job *job, char *token, uint64_t *ret_expires_ms,
                  struct osr_err *err)
{
    struct osr_credentials *credentials = job->call->services->credentials;
    int code = note_login(job->call, job->user, NULL, err);
    return code != 0 ? code
                     : osr_credentials_login(credentials, job->user, job->hash, osr_wall_ms(),
                                             token, ret_expires_ms, err);
}

static void answer_login(struct password_job *job)
{
    struct osr_call *call = job->call;
    Osr__LoginResponse response = OSR__LOGIN_RESPONSE__INIT;
    char token[OSR_TOKEN_TEXT_MAX];
    struct osr_err err;
    if (osr_credentials_check_login(call->services->credentials, job->user, job->hash, &err) != 0) {
        refuse_login(call, job->user); /* the user was changed meanwhile, or is disabled */
    } else if (log_in(job, token, &response.expires_ms, &err) != 0) {
        osr_call_fail(call, &err);
    } else {
        response.token = token;
        osr_call_reply(call, &response.base);
        explicit_bzero(token, sizeof(token));
    }
}

static void work_login(struct osr_file_job *file_job)
{
    struct password_job *job = (struct password_job *)file_job;
    struct osr_slice password = osr_slice_text(job->password);
    if (job->hash[0] == '\0') {
        osr_password_pretend(password);
        job->code = OSR_UNAUTHENTICATED;
        return;
    }
    job->code = osr_password_verify(password, job->hash, &job->err);
}

static void done_login(struct osr_file_job *file_job)
{
    struct password_job *job = (struct password_job *)file_job;
    struct osr_attempts *attempts = job->operations->attempts;
    const char *from = job->call->identity.from;
    job->operations->logins_waiting--;
    if (job->code == 0) {
        osr_attempts_succeed(attempts, job->user, from, osr_monotonic_ms());
        answer_login(job);
    } else if (job->code == OSR_UNAUTHENTICATED) {
        refuse_login(job->call, job->user);
    } else {
        osr_attempts_forget(attempts, job->user, from);
        osr_call_fail(job->call, &job->err);
    }
    destroy_job(job);
}

/* Whether this listener takes passwords at all: before one is looked at. */
static int check_listener(const struct osr_call *call, const char *user, struct osr_err *err)
{
    int code = osr_methods_check_login(call->identity.methods, err);
    struct osr_err failure;
    if (code != 0 && note_login(call, user, err->message, &failure) != 0) {
        *err = failure;
    }
    return code != 0 ? (int)err->code : 0;
}

static int begin_attempt(struct osr_operations *operations, const struct osr_call *call,
                         const Osr__LoginRequest *request, struct osr_err *err)
{
    int code = check_user_size(request->user, err);
    if (code == 0) {
        code = check_password_size(request->password, err);
    }
    if (code == 0) {
        code = check_listener(call, request->user, err);
    }
    if (code != 0) {
        return code;
    }
    if (operations->logins_waiting == LOGINS_WAITING_MAX) {
        return refuse_waiting(LOGINS_WAITING_MAX, err);
    }
    uint64_t wait_ms = osr_attempts_begin(operations->attempts, request->user, call->identity.from,
                                          osr_monotonic_ms());
    if (wait_ms == 0) {
        return 0;
    }
    code = note_login(call, request->user, "too many wrong passwords", err);
    if (code == 0) {
        osr_err_set(err, OSR_BUSY, "too many wrong passwords");
        osr_err_hint(err, "try again in %" PRIu64 " s", (wait_ms + 999) / 1000);
    }
    return OSR_BUSY;
}

static void submit_login(struct osr_operations *operations, struct osr_call *call,
                         const Osr__LoginRequest *request)
{
    const struct osr_services *services = operations->services;
    const struct osr_credential *user =
        osr_credentials_find(services->credentials, OSR_CREDENTIAL_USER, request->user);
    struct password_job *job = osr_alloc(sizeof(*job));
    job->job.work = work_login;
    job->job.done = done_login;
    job->operations = operations;
    job->call = call;
    snprintf(job->user, sizeof(job->user), "%s", request->user);
    snprintf(job->password, sizeof(job->password), "%s", request->password);
    if (user != NULL) {
        snprintf(job->hash, sizeof(job->hash), "%s", user->user.password_hash);
    }
    operations->logins_waiting++;
    osr_file_worker_submit(osr_security_worker(services->security), &job->job);
}

void osr_operation_login(struct osr_operations *operations, struct osr_call *call,
                         const Osr__Frame *frame)
{
    struct osr_err err;
    osr_call_await(call, NULL);
    if (begin_attempt(operations, call, frame->login, &err) == 0) {
        submit_login(operations, call, frame->login);
    } else {
        osr_call_fail(call, &err);
    }
    wipe_text(frame->login->password);
}

/* -- whose connection it is -- */

static void reply_identity(struct osr_call *call, const struct osr_identity *identity)
{
    Osr__AuthenticateResponse response = OSR__AUTHENTICATE_RESPONSE__INIT;
    struct osr_credential_identity found = {.roles = NULL};
    response.who = (char *)identity->who;
    response.expires_ms = identity->expires_ms;
    if (identity->credential_id[0] != '\0' &&
        osr_credentials_check_again(call->services->credentials, identity->credential_id,
                                    osr_wall_ms(), &found, NULL) == 0) {
        response.n_roles = found.roles->count;
        response.roles = (char **)(void *)found.roles->names;
    }
    osr_call_reply(call, &response.base);
}

/* Without a token it asks who the connection's is, which may have come to an end. */
static int authenticate(struct osr_access *access, struct osr_identity *identity, const char *token,
                        struct osr_err *err)
{
    struct osr_grant *grant;
    return token[0] == '\0' ? osr_identity_grant(identity, &grant, err)
                            : osr_access_take_token(access, identity, osr_slice_text(token), err);
}

/* Each call of gRPC shows its own token with its metadata: here it may try another one, which
 * changes nothing for others. */
void osr_operation_authenticate(struct osr_operations *operations, struct osr_call *call,
                                const Osr__Frame *frame)
{
    char *token = frame->authenticate->token;
    struct osr_identity *identity =
        osr_session_is_rpc(call->session) ? &call->identity : osr_session_identity(call->session);
    struct osr_err err;
    if (authenticate(operations->services->access, identity, token, &err) != 0) {
        osr_call_fail(call, &err);
    } else {
        reply_identity(call, identity);
    }
    wipe_text(token);
}

/* -- users -- */

static void on_user_stored(void *context, enum osr_code code)
{
    struct osr_call *call = context;
    Osr__PutUserResponse response = OSR__PUT_USER_RESPONSE__INIT;
    struct osr_err err;
    if (code == OSR_OK) {
        osr_call_reply(call, &response.base);
        return;
    }
    osr_err_set(&err, code, "the user could not be stored: %s", osr_code_info(code)->text);
    osr_call_fail(call, &err);
}

static int put_user(struct password_job *job, struct osr_err *err)
{
    struct osr_call *call = job->call;
    const struct osr_services *services = job->operations->services;
    char part[sizeof("user:") + OSR_CREDENTIAL_NAME_BYTES_MAX];
    const struct osr_credential *before =
        osr_credentials_find(services->credentials, OSR_CREDENTIAL_USER, job->user);
    const struct osr_user_record user = {
        .name = job->user,
        .password_hash =
            job->hash[0] == '\0' && before != NULL ? before->user.password_hash : job->hash,
        .roles = job->roles,
        .created_ms = before != NULL ? before->user.created_ms : osr_wall_ms(),
        .is_disabled = job->is_disabled,
    };
    if (user.password_hash[0] == '\0') {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "%s is new, and needs a password",
                                job->user);
    }
    snprintf(part, sizeof(part), "user:%s", job->user);
    int code = osr_operation_note(call, "USER_PUT", part, job->is_disabled ? "disabled" : "", err);
    if (code != 0) {
        return code;
    }
    const struct osr_credential_done done = {on_user_stored, call};
    return osr_credentials_put_user(services->credentials, &user, osr_wall_ms(), done, err);
}

static void work_user(struct osr_file_job *file_job)
{
    struct password_job *job = (struct password_job *)file_job;
    job->code = osr_password_hash(osr_slice_text(job->password), job->hash, &job->err);
}

/* Also where there was no password to hash. */
static void done_user(struct osr_file_job *file_job)
{
    struct password_job *job = (struct password_job *)file_job;
    const struct osr_services *services = job->operations->services;
    int code = job->code;
    job->operations->users_waiting--;
    if (code == 0) {
        code = put_user(job, &job->err);
    }
    if (code != 0) {
        osr_call_fail(job->call, &job->err);
    } else {
        services->on_revoked(services->context); /* disabled, or with fewer roles */
    }
    destroy_job(job);
}

static int check_user(const struct osr_operations *operations, const Osr__PutUserRequest *request,
                      struct osr_role_names *ret_roles, struct osr_err *err)
{
    if (operations->users_waiting == USERS_WAITING_MAX) {
        return refuse_waiting(USERS_WAITING_MAX, err);
    }
    int code = check_user_size(request->user, err);
    if (code == 0) {
        code = check_password_size(request->password, err);
    }
    return code != 0 ? code
                     : osr_operation_roles(operations->services, request->roles, request->n_roles,
                                           ret_roles, err);
}

static void submit_user(struct osr_operations *operations, struct osr_call *call,
                        const Osr__PutUserRequest *request, const struct osr_role_names *roles)
{
    struct password_job *job = osr_alloc(sizeof(*job));
    job->job.work = work_user;
    job->job.done = done_user;
    job->operations = operations;
    job->call = call;
    snprintf(job->user, sizeof(job->user), "%s", request->user);
    snprintf(job->password, sizeof(job->password), "%s", request->password);
    job->is_disabled = request->disabled;
    job->roles.count = roles->count;
    for (size_t i = 0; i < roles->count; i++) {
        job->roles.names[i] = osr_strdup(roles->names[i]);
    }
    operations->users_waiting++;
    if (job->password[0] == '\0') {
        done_user(&job->job);
    } else {
        osr_file_worker_submit(osr_security_worker(operations->services->security), &job->job);
    }
}

void osr_operation_user_put(struct osr_operations *operations, struct osr_call *call,
                            const Osr__Frame *frame)
{
    const Osr__PutUserRequest *request = frame->user_put;
    struct osr_role_names roles;
    struct osr_err err;
    osr_call_await(call, NULL);
    if (check_user(operations, request, &roles, &err) == 0) {
        submit_user(operations, call, request, &roles);
    } else {
        osr_call_fail(call, &err);
    }
    wipe_text(request->password);
}
