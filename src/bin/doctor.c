/* doctor: what is wrong with an instance, and what mends it. What its folder shows is looked at by
 * osirisd; who it reaches, and who reaches it, the instance says itself.
 *
 * The exit status is 0 where all is well, 1 with warnings alone, 2 with errors. */
#include <stdlib.h>

#include "base/fields.h"
#include "bin/command.h"
#include "bin/daemon.h"
#include "bin/display.h"

enum { STATUS_WARNING = 1, STATUS_ERROR = 2 };

static void count(struct osr_context *context, const char *level)
{
    int status = strcmp(level, "error") == 0     ? STATUS_ERROR
                 : strcmp(level, "warning") == 0 ? STATUS_WARNING
                                                 : 0;
    if (status > context->exit_status) {
        context->exit_status = status;
    }
}

static void show(struct osr_context *context, const char *level, const char *check,
                 const char *text, const char *mend)
{
    struct osr_output *out = &context->out;
    struct osr_buffer line = {0};
    count(context, level);
    if (context->json) {
        osr_fields_begin(&line);
        osr_fields_add(&line, "level", level);
        osr_fields_add(&line, "check", check);
        osr_fields_add(&line, "text", text);
        osr_fields_add(&line, "mend", mend);
        osr_fields_end(&line);
    } else {
        osr_buffer_add_format(&line, "%-7s  %-11s  ", level, check);
        osr_display_clean(&line, osr_slice_text(text), OSR_DISPLAY_ONE_LINE);
        if (mend[0] != '\0') {
            osr_buffer_add_format(&line, "\n%22smend: ", "");
            osr_display_clean(&line, osr_slice_text(mend), OSR_DISPLAY_ONE_LINE);
        }
        osr_buffer_add_text(&line, "\n");
    }
    osr_output_add(out, osr_buffer_slice(&line));
    osr_buffer_done(&line);
}

/* ---- the folder ---- */

static int show_line(struct osr_context *context, struct osr_slice line, struct osr_err *err)
{
    struct osr_fields finding;
    int code = osr_fields_read(line, &finding, err);
    if (code != OSR_OK) {
        return code;
    }
    show(context, osr_fields_get(&finding, "level"), osr_fields_get(&finding, "check"),
         osr_fields_get(&finding, "text"), osr_fields_get(&finding, "mend"));
    osr_fields_done(&finding);
    return OSR_OK;
}

/* A config that cannot be read is a finding as well; only without osirisd nothing can be said. */
static int look_at_folder(struct osr_context *context, const struct osr_arguments *arguments,
                          struct osr_err *err)
{
    struct osr_daemon_words words = {0};
    struct osr_buffer lines = {0};
    struct osr_err failure = {0};
    osr_daemon_add(&words, "doctor");
    osr_daemon_add_flags(&words, arguments);
    int code = osr_daemon_set_up(&words, osr_slice(NULL, 0), &lines, &failure);
    struct osr_slice rest = osr_buffer_slice(&lines), line;
    if (code == OSR_UNAVAILABLE || code == OSR_INTERNAL) {
        *err = failure;
    } else if (code != OSR_OK) {
        show(context, "error", "config", failure.message, failure.hint);
        code = OSR_OK;
    } else {
        while (code == OSR_OK && osr_fields_next_line(&rest, &line)) {
            code = show_line(context, line, err);
        }
    }
    osr_buffer_done(&lines);
    return code;
}

/* ---- the instance ---- */

static void show_peer(struct osr_context *context, const Osr__PeerStatus *peer)
{
    const char *name = peer->name[0] != '\0' ? peer->name : peer->instance;
    bool is_up = strcmp(peer->state, "up") == 0 || strcmp(peer->state, "seed") == 0;
    const char *direction = peer->dialled ? "reached from here" : "reaches this instance";
    char *text = is_up ? osr_format("%s %s %s", peer->url, direction, name)
                       : osr_format("%s is %s%s%s", peer->url, peer->state,
                                    peer->last_error[0] != '\0' ? ": " : "", peer->last_error);
    show(context, is_up ? "ok" : "error", "peer", text,
         is_up ? "" : "see that it runs and no firewall is between: osiris doctor there");
    free(text);
}

static int on_status(void *run, const ProtobufCMessage *reply)
{
    struct osr_context *context = run;
    const Osr__StatusResponse *status = (const Osr__StatusResponse *)reply;
    bool is_well = strcmp(status->storage, "ok") == 0;
    show(context, "ok", "instance", "runs, and answers", "");
    show(context, is_well ? "ok" : "error", "storage", status->storage,
         is_well ? "" : "see the log of osirisd");
    for (size_t i = 0; i < status->n_peers; i++) {
        show_peer(context, status->peers[i]);
    }
    return context->out.failure.code;
}

static int look_at_instance(struct osr_context *context, struct osr_err *err)
{
    Osr__StatusRequest request = OSR__STATUS_REQUEST__INIT;
    struct osr_err failure = {0};
    osiris_set_retries(context->client, 1, 0);
    int code = osr_context_call(context, "status", &request.base, on_status, context, &failure);
    if (code == OSR_UNAVAILABLE) {
        show(context, "warning", "instance", failure.message, failure.hint);
        return OSR_OK;
    }
    if (code != OSR_OK && err != NULL) {
        *err = failure;
    }
    return code;
}

int osr_run_doctor(struct osr_context *context, const struct osr_arguments *arguments,
                   struct osr_err *err)
{
    int code = OSR_OK;
    if (!osr_arguments_has(arguments, OSR_FLAG_TO)) {
        code = look_at_folder(context, arguments, err);
    }
    return code != OSR_OK ? code : look_at_instance(context, err);
}
