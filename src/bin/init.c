/* init, invite: the first instance of a cluster, and letting others in. */
#include <stdlib.h>

#include "base/fields.h"
#include "bin/command.h"
#include "bin/daemon.h"
#include "bin/display.h"
#include "bin/launch.h"
#include "model/speakable.h"
#include "model/token.h"

/* ---- invite ---- */

static int on_invite(void *context, const ProtobufCMessage *reply)
{
    struct osr_context *run = context;
    const Osr__InviteResponse *response = (const Osr__InviteResponse *)reply;
    char expires[OSR_DISPLAY_TIME_CHARS];
    if (run->json) {
        osr_output_add_message(&run->out, reply);
        return run->out.failure.code;
    }
    osr_output_add_format(&run->out, "osiris join %s\n", response->invitation);
    if (run->out.is_terminal) {
        osr_output_add_format(&run->out,
                              "\nRun this on the machine that is to join: once, until %s.\n",
                              osr_display_time(expires, response->expires_ms));
    }
    return run->out.failure.code;
}

static int call_invite(struct osr_context *context, const struct osr_arguments *arguments,
                       osr_on_reply *on_reply, void *on_reply_context, struct osr_err *err)
{
    const char *addresses[OSR_REPEATED_MAX];
    const char *role = arguments->values[OSR_FLAG_ROLE];
    Osr__InviteRequest request = OSR__INVITE_REQUEST__INIT;
    request.role = (char *)(role != NULL ? role : "");
    request.n_addresses = osr_arguments_list(arguments, OSR_FLAG_ADDRESS, addresses);
    request.addresses = (char **)addresses;
    int code = osr_arguments_span(arguments, OSR_FLAG_EXPIRES, &request.expires_ms, err);
    if (code != OSR_OK) {
        return code;
    }
    return osr_context_call(context, "invite", &request.base, on_reply, on_reply_context, err);
}

int osr_run_invite(struct osr_context *context, const struct osr_arguments *arguments,
                   struct osr_err *err)
{
    return call_invite(context, arguments, on_invite, context, err);
}

/* ---- init ---- */

/* What is shown in the end. */
struct outcome {
    struct osr_context *context;
    char *data;
    char *instance;
    char *name, *cluster, *listens; /* known once it runs; else NULL */
    char *invitation;               /* NULL: none was made */
    struct osr_err why_none;
    uint64_t expires_ms;
    char *start; /* what starts it, where that is not done; NULL: it runs */
};

static int on_init_status(void *context, const ProtobufCMessage *reply)
{
    struct outcome *outcome = context;
    const Osr__StatusResponse *status = (const Osr__StatusResponse *)reply;
    struct osr_buffer listens = {0};
    for (size_t i = 0; i < status->n_listeners; i++) {
        if (strncmp(status->listeners[i], "unix:", 5) != 0) { /* that is for this machine alone */
            osr_buffer_add_format(&listens, "%s%s", listens.size > 0 ? " " : "",
                                  status->listeners[i]);
        }
    }
    osr_buffer_add_u8(&listens, '\0');
    free(outcome->data);
    outcome->data = osr_strdup(status->data_folder);
    free(outcome->instance);
    outcome->instance = osr_strdup(status->instance);
    outcome->name = osr_strdup(status->name);
    outcome->cluster = osr_strdup(status->cluster);
    outcome->listens = (char *)listens.data;
    return OSR_OK;
}

static int ask_status(struct outcome *outcome, struct osr_err *err)
{
    Osr__StatusRequest request = OSR__STATUS_REQUEST__INIT;
    return osr_context_call(outcome->context, "status", &request.base, on_init_status, outcome,
                            err);
}

static int on_init_invitation(void *context, const ProtobufCMessage *reply)
{
    struct outcome *outcome = context;
    const Osr__InviteResponse *response = (const Osr__InviteResponse *)reply;
    outcome->invitation = osr_strdup(response->invitation);
    outcome->expires_ms = response->expires_ms;
    return OSR_OK;
}

static void write_json(const struct outcome *outcome, const char *speakable)
{
    struct osr_buffer line = {0};
    osr_fields_begin(&line);
    osr_fields_add(&line, "instance", outcome->instance);
    osr_fields_add(&line, "id", speakable);
    osr_fields_add(&line, "name", outcome->name);
    osr_fields_add(&line, "cluster", outcome->cluster);
    osr_fields_add(&line, "data_folder", outcome->data);
    osr_fields_add(&line, "listeners", outcome->listens);
    osr_fields_add(&line, "start", outcome->start);
    osr_fields_add(&line, "invitation", outcome->invitation);
    osr_fields_end(&line);
    osr_output_add_lines(&outcome->context->out, osr_buffer_slice(&line));
    osr_buffer_done(&line);
}

static void write_fields(const struct outcome *outcome, const char *speakable)
{
    struct osr_output *out = &outcome->context->out;
    osr_output_add_field(out, "id", speakable);
    if (outcome->name != NULL) {
        osr_output_add_field(out, "name", outcome->name);
        osr_output_add_field(out, "cluster", outcome->cluster);
        osr_output_add_field(out, "listens", outcome->listens);
    }
    osr_output_add_field(out, "data", outcome->data);
}

static void write_next(const struct outcome *outcome)
{
    struct osr_output *out = &outcome->context->out;
    char expires[OSR_DISPLAY_TIME_CHARS];
    if (outcome->start != NULL) {
        osr_output_add_format(out, "\nStart it:\n  %s\n", outcome->start);
    } else if (outcome->invitation != NULL) {
        osr_output_add_format(out,
                              "\nIt runs. On the machine that is to join, once, until %s:\n"
                              "  osiris join %s\n",
                              osr_display_time(expires, outcome->expires_ms), outcome->invitation);
    } else {
        osr_output_add_format(out, "\nIt runs. It invites nobody, for %s:\n%s\n",
                              outcome->why_none.message, outcome->why_none.hint);
    }
}

static void write_outcome(const struct outcome *outcome)
{
    char speakable[OSR_SPEAKABLE_CHARS + 1];
    osr_speakable_write(speakable, outcome->instance);
    if (outcome->context->json) {
        write_json(outcome, speakable);
        return;
    }
    write_fields(outcome, speakable);
    write_next(outcome);
}

static void outcome_done(struct outcome *outcome)
{
    if (outcome->invitation != NULL) {
        explicit_bzero(outcome->invitation, strlen(outcome->invitation));
    }
    free(outcome->invitation);
    free(outcome->data);
    free(outcome->instance);
    free(outcome->name);
    free(outcome->cluster);
    free(outcome->listens);
    free(outcome->start);
}

static int set_up(struct outcome *outcome, const struct osr_arguments *arguments,
                  struct osr_err *err)
{
    struct osr_daemon_words words = {0};
    struct osr_buffer line = {0};
    struct osr_fields fields;

    osr_daemon_add(&words, "init");
    osr_daemon_add_flags(&words, arguments);
    int code = osr_daemon_set_up(&words, osr_slice(NULL, 0), &line, err);
    if (code == OSR_OK) {
        code = osr_fields_read(osr_buffer_slice(&line), &fields, err);
    }
    osr_buffer_done(&line);
    if (code != OSR_OK) {
        return code;
    }
    outcome->data = osr_strdup(osr_fields_get(&fields, "data"));
    outcome->instance = osr_strdup(osr_fields_get(&fields, "instance"));
    osr_fields_done(&fields);
    return OSR_OK;
}

static int start(struct outcome *outcome, const struct osr_arguments *arguments,
                 struct osr_err *err)
{
    const char *by_system = osr_launch_by_system(outcome->data);
    if (by_system != NULL) {
        outcome->start = osr_strdup(by_system);
    } else if (osr_arguments_has(arguments, OSR_FLAG_NO_START)) {
        outcome->start = osr_format("osirisd --data %s", outcome->data);
    }
    return outcome->start != NULL ? OSR_OK : osr_launch(outcome->context, outcome->data, err);
}

/* One that runs already was set up before: what is asked for must be what it is. */
static int check_is_meant(const struct outcome *outcome, const struct osr_arguments *arguments,
                          struct osr_err *err)
{
    const char *name = arguments->values[OSR_FLAG_NAME];
    const char *cluster = arguments->values[OSR_FLAG_CLUSTER];
    if ((name != NULL && strcmp(name, outcome->name) != 0) ||
        (cluster != NULL && strcmp(cluster, outcome->cluster) != 0)) {
        osr_err_set(err, OSR_IN_USE, "\"%s\" of the cluster \"%s\" runs here already",
                    outcome->name, outcome->cluster);
        osr_err_hint(err, "choose another folder with --data DIR");
        return OSR_IN_USE;
    }
    return OSR_OK;
}

/* A member has no CA, and makes no invitations: that is told, and no failure. */
static int invite_next(struct outcome *outcome, const struct osr_arguments *arguments,
                       struct osr_err *err)
{
    int code = call_invite(outcome->context, arguments, on_init_invitation, outcome, err);
    if (code == OSR_CONFIG) {
        outcome->why_none = *err;
        return OSR_OK;
    }
    if (code == OSR_OK) {
        return OSR_OK;
    }
    return osr_err_prefix(err, "the instance runs, but no invitation could be made");
}

static int make_ready(struct outcome *outcome, const struct osr_arguments *arguments,
                      struct osr_err *err)
{
    int code = OSR_OK;
    if (!osr_launch_is_running(outcome->context)) {
        code = set_up(outcome, arguments, err);
        if (code == OSR_OK) {
            code = start(outcome, arguments, err);
        }
    }
    if (code != OSR_OK || outcome->start != NULL) {
        return code;
    }
    code = ask_status(outcome, err);
    if (code == OSR_OK) {
        code = check_is_meant(outcome, arguments, err);
    }
    return code != OSR_OK ? code : invite_next(outcome, arguments, err);
}

/* What is mistyped in the invitation is told before anything is made. */
static int check_invitation(const struct osr_arguments *arguments, struct osr_err *err)
{
    const char *addresses[OSR_REPEATED_MAX];
    uint64_t expires_ms;
    int code = osr_arguments_span(arguments, OSR_FLAG_EXPIRES, &expires_ms, err);
    size_t count = osr_arguments_list(arguments, OSR_FLAG_ADDRESS, addresses);
    for (size_t i = 0; code == OSR_OK && i < count; i++) {
        code = osr_invitation_check_address(addresses[i], err);
    }
    return code;
}

int osr_run_init(struct osr_context *context, const struct osr_arguments *arguments,
                 struct osr_err *err)
{
    struct outcome outcome = {.context = context};
    if (osr_arguments_has(arguments, OSR_FLAG_TO)) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT,
                           "an instance is made on its own machine: --data, not --to");
    }
    int code = check_invitation(arguments, err);
    if (code == OSR_OK) {
        code = make_ready(&outcome, arguments, err);
    }
    if (code == OSR_OK) {
        write_outcome(&outcome);
    }
    outcome_done(&outcome);
    return code;
}
