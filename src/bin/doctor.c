/* doctor: what is wrong with an instance, and what mends it. What its folder shows is looked at by
 * osirisd; who it reaches, and who reaches it, the instance says itself.
 *
 * The exit status is 0 where all is well, 1 with warnings alone, 2 with errors. */
#include <stdlib.h>

#include "base/fields.h"
#include "bin/command.h"
#include "bin/daemon.h"
#include "bin/display.h"
#include "bin/probe.h"

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
        osr_output_add_lines(out, osr_buffer_slice(&line));
    } else {
        osr_buffer_add_format(&line, "%-7s  %-11s  ", level, check);
        osr_display_clean(&line, osr_slice_text(text), OSR_DISPLAY_ONE_LINE);
        if (mend[0] != '\0') {
            osr_buffer_add_format(&line, "\n%22smend: ", "");
            osr_display_clean(&line, osr_slice_text(mend), OSR_DISPLAY_ONE_LINE);
        }
        osr_buffer_add_text(&line, "\n");
        osr_output_add(out, osr_buffer_slice(&line));
    }
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

static const char see_that_it_runs[] =
    "see that it runs, that no firewall is between, and that it lets this instance in: there, "
    "osiris doctor and osiris audit --denied";
static const char see_that_it_takes_us[] =
    "see that the broker runs, and lets this instance in; osirisd's log says more";
static const char see_to_both[] =
    "see that the broker runs, and lets this instance in, and that the other one listens there; "
    "osirisd's log says more";

static const char *mend_of_link(const Osr__PeerStatus *peer)
{
    struct osr_url url;
    bool is_broker = osr_url_parse(peer->url, &url, NULL) == OSR_OK && osr_url_is_broker(&url);
    return is_broker ? see_to_both : see_that_it_runs;
}

/* The instance that is asked. */
struct asked {
    struct osr_context *context;
    bool is_elsewhere; /* not on this machine: nobody can try for it */
};

/* A peer that is not dialled now, for it has come to us. That it cannot be reached matters once it
 * does not. Only a stream is tried: of the others a connection would say nothing. */
static void show_one_way(const struct asked *asked, const Osr__PeerStatus *peer)
{
    struct osr_url url;
    struct osr_err err = {0};
    bool is_tried = !asked->is_elsewhere && osr_url_parse(peer->url, &url, NULL) == OSR_OK &&
                    osr_url_is_stream(&url);
    bool is_well = !is_tried || osr_probe(&url, &err) == OSR_OK;
    const char *tried = !is_tried ? ""
                        : is_well ? ", and is reached from here"
                                  : ", and is not reached from here: ";
    char *text =
        osr_format("%s reaches this instance%s%s", peer->url, tried, is_well ? "" : err.message);
    show(asked->context, is_well ? "ok" : "warning", "peer", text, is_well ? "" : see_that_it_runs);
    free(text);
}

static void show_peer(const struct asked *asked, const Osr__PeerStatus *peer)
{
    bool is_up = strcmp(peer->state, "up") == 0 || strcmp(peer->state, "seed") == 0;
    char *text;
    if (is_up && peer->dialled && peer->name[0] == '\0' && peer->instance[0] != '\0') {
        show_one_way(asked, peer);
        return;
    }
    if (is_up) {
        const char *name = peer->name[0] != '\0' ? peer->name : peer->instance;
        text = osr_format("%s is %s %s", name[0] != '\0' ? name : "a seed program",
                          peer->dialled ? "reached from here, at"
                                        : "linked, and reaches this "
                                          "instance from",
                          peer->url);
    } else {
        text = osr_format("%s is %s%s%s", peer->url, peer->state,
                          peer->last_error[0] != '\0' ? ": " : "", peer->last_error);
    }
    show(asked->context, is_up ? "ok" : "error", "peer", text, is_up ? "" : mend_of_link(peer));
    free(text);
}

static void show_events(const struct asked *asked, const Osr__EventsStatus *events)
{
    char *text = events->up
                     ? osr_format("published at %s", events->url)
                     : osr_format("not published at %s%s%s", events->url,
                                  events->last_error[0] != '\0' ? ": " : "", events->last_error);
    show(asked->context, events->up ? "ok" : "error", "events", text,
         events->up ? "" : "see that the broker runs, and lets this instance publish there");
    free(text);
}

static int on_status(void *ask, const ProtobufCMessage *reply)
{
    const struct asked *asked = ask;
    struct osr_context *context = asked->context;
    const Osr__StatusResponse *status = (const Osr__StatusResponse *)reply;
    bool is_well = strcmp(status->storage, "ok") == 0;
    show(context, "ok", "instance", "runs, and answers", "");
    show(context, is_well ? "ok" : "error", "storage", status->storage,
         is_well ? "" : "mend what it names; the log of osirisd may say more");
    for (size_t i = 0; i < status->n_listeners_down; i++) {
        show(context, "error", "listener", status->listeners_down[i], see_that_it_takes_us);
    }
    for (size_t i = 0; i < status->n_peers; i++) {
        show_peer(asked, status->peers[i]);
    }
    for (size_t i = 0; i < status->n_events; i++) {
        show_events(asked, status->events[i]);
    }
    return context->out.failure.code;
}

static int look_at_instance(struct asked *asked, struct osr_err *err)
{
    struct osr_context *context = asked->context;
    Osr__StatusRequest request = OSR__STATUS_REQUEST__INIT;
    struct osr_err failure = {0};
    osiris_set_retries(context->client, 1, 0);
    int code = osr_context_call(context, "status", &request.base, on_status, asked, &failure);
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
    struct asked asked = {context, osr_arguments_has(arguments, OSR_FLAG_TO)};
    int code = OSR_OK;
    if (!asked.is_elsewhere) {
        code = look_at_folder(context, arguments, err);
    }
    return code != OSR_OK ? code : look_at_instance(&asked, err);
}
