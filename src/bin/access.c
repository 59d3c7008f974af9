/* login, whoami, access check, reload: who one is, and what one may do. */
#include <stdlib.h>

#include "base/fields.h"
#include "base/url.h"
#include "bin/command.h"
#include "bin/display.h"
#include "bin/login.h"
#include "bin/password.h"

/* ---- login ---- */

struct login {
    struct osr_context *context;
    const char *url;
    struct osr_err err; /* why the token could not be kept */
};

static int on_login(void *context, const ProtobufCMessage *reply)
{
    struct login *login = context;
    const Osr__LoginResponse *response = (const Osr__LoginResponse *)reply;
    struct osr_output *out = &login->context->out;
    char expires[OSR_DISPLAY_TIME_CHARS];
    char *path;
    int code = osr_login_store(login->url, response->token, &path, &login->err);
    if (code != OSR_OK) {
        return code;
    }
    osr_display_time(expires, response->expires_ms);
    if (login->context->json) {
        struct osr_buffer line = {0};
        osr_fields_begin(&line);
        osr_fields_add(&line, "token_file", path);
        osr_fields_add(&line, "expires", expires);
        osr_fields_end(&line);
        osr_output_add_lines(out, osr_buffer_slice(&line));
        osr_buffer_done(&line);
    } else {
        osr_output_add_format(out, "logged in until %s; kept in %s for --to %s\n", expires, path,
                              login->url);
    }
    free(path);
    return out->failure.code;
}

int osr_run_login(struct osr_context *context, const struct osr_arguments *arguments,
                  struct osr_err *err)
{
    struct login login = {.context = context, .url = arguments->operands[0]};
    struct osiris_trust trust = osr_context_trust(arguments);
    Osr__LoginRequest request = OSR__LOGIN_REQUEST__INIT;
    char *password = NULL;
    struct osr_url url;
    trust.token = NULL; /* an old one is not what lets one in here */

    /* Opening takes a folder, too, which has no place here. */
    int code = osr_url_parse(login.url, &url, err);
    if (code == OSR_OK) {
        code = osr_context_turn_to(context, login.url, &trust, err);
    }
    if (code == OSR_OK) {
        code = osr_context_connect(context, err); /* before anybody types a password in vain */
    }
    if (code == OSR_OK) {
        code = osr_password_read(arguments->values[OSR_FLAG_PASSWORD_FILE], arguments->operands[1],
                                 false, &password, err);
    }
    if (code == OSR_OK) {
        request.user = arguments->operands[1];
        request.password = password;
        code = osr_context_call(context, "login", &request.base, on_login, &login, err);
    }
    if (login.err.code != OSR_OK) {
        *err = login.err;
    }
    osr_password_done(password);
    return code;
}

/* ---- whoami ---- */

static int on_whoami(void *context, const ProtobufCMessage *reply)
{
    struct osr_context *run = context;
    const Osr__AuthenticateResponse *response = (const Osr__AuthenticateResponse *)reply;
    char expires[OSR_DISPLAY_TIME_CHARS];
    if (run->json) {
        osr_output_add_message(&run->out, reply);
        return run->out.failure.code;
    }
    osr_output_add_field(&run->out, "who", response->who);
    for (size_t i = 0; i < response->n_roles; i++) {
        osr_output_add_field(&run->out, i == 0 ? "roles" : "", response->roles[i]);
    }
    if (response->expires_ms > 0) {
        osr_output_add_field(&run->out, "until", osr_display_time(expires, response->expires_ms));
    }
    return run->out.failure.code;
}

int osr_run_whoami(struct osr_context *context, const struct osr_arguments *arguments,
                   struct osr_err *err)
{
    (void)arguments;
    Osr__AuthenticateRequest request = OSR__AUTHENTICATE_REQUEST__INIT;
    return osr_context_call(context, "authenticate", &request.base, on_whoami, context, err);
}

/* ---- access check ---- */

static int on_access(void *context, const ProtobufCMessage *reply)
{
    struct osr_context *run = context;
    const Osr__CheckAccessResponse *response = (const Osr__CheckAccessResponse *)reply;
    if (run->json) {
        osr_output_add_message(&run->out, reply);
    } else {
        struct osr_buffer text = {0};
        osr_display_clean(&text, osr_slice_text(response->explanation), OSR_DISPLAY_LINES);
        if (text.size == 0 || text.data[text.size - 1] != '\n') {
            osr_buffer_add_text(&text, "\n");
        }
        osr_output_add(&run->out, osr_buffer_slice(&text));
        osr_buffer_done(&text);
    }
    if (!response->allowed) {
        run->exit_status = osr_code_info(OSR_PERMISSION_DENIED)->exit_status;
    }
    return run->out.failure.code;
}

int osr_run_access_check(struct osr_context *context, const struct osr_arguments *arguments,
                         struct osr_err *err)
{
    Osr__CheckAccessRequest request = OSR__CHECK_ACCESS_REQUEST__INIT;
    request.who = arguments->operands[0];
    request.action = arguments->operands[1];
    request.part = arguments->operands[2];
    return osr_context_call(context, "access_check", &request.base, on_access, context, err);
}

/* ---- reload ---- */

static int on_reload(void *context, const ProtobufCMessage *reply)
{
    struct osr_context *run = context;
    const Osr__ReloadResponse *response = (const Osr__ReloadResponse *)reply;
    if (run->json) {
        osr_output_add_message(&run->out, reply);
        return run->out.failure.code;
    }
    for (size_t i = 0; i < response->n_changed; i++) {
        osr_output_add_format(&run->out, "%s\n", response->changed[i]);
    }
    for (size_t i = 0; i < response->n_restart; i++) {
        osr_output_add_format(&run->out, "%s: has changed, and needs a restart of osirisd\n",
                              response->restart[i]);
    }
    if (response->n_changed == 0 && response->n_restart == 0) {
        osr_output_add_text(&run->out, "nothing has changed\n");
    }
    return run->out.failure.code;
}

int osr_run_reload(struct osr_context *context, const struct osr_arguments *arguments,
                   struct osr_err *err)
{
    (void)arguments;
    Osr__ReloadRequest request = OSR__RELOAD_REQUEST__INIT;
    return osr_context_call(context, "reload", &request.base, on_reload, context, err);
}
