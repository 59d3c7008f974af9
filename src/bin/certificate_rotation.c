/* ca rotate: another CA in the place of the cluster's, step by step. */
#include <stdio.h>
#include <stdlib.h>

#include "adapter/clock.h"
#include "base/fields.h"
#include "bin/command.h"
#include "bin/display.h"
#include "bin/launch.h"
#include "model/limits.h"

/* ---- who would be left behind ---- */

/* Members that have no certificate of the new CA. */
struct laggards {
    size_t count;
    struct osr_buffer names; /* of the first ones */
};

enum { LAGGARDS_NAMED_MAX = 5 };

static int on_members(void *context, const ProtobufCMessage *reply)
{
    const Osr__CredentialsResponse *response = (const Osr__CredentialsResponse *)reply;
    struct laggards *laggards = context;
    for (size_t i = 0; i < response->n_credentials; i++) {
        const Osr__Credential *member = response->credentials[i];
        if (strcmp(member->state, "old ca's") != 0) {
            continue;
        }
        if (laggards->count < LAGGARDS_NAMED_MAX) {
            char *name =
                osr_format("%s%s (%s)", laggards->count > 0 ? ", " : "", member->id, member->name);
            osr_buffer_add_text(&laggards->names, name);
            free(name);
        }
        laggards->count++;
    }
    return OSR_OK;
}

static int refuse_laggards(const struct laggards *laggards, struct osr_err *err)
{
    osr_err_set(err, OSR_IN_USE, "%zu have no certificate of the new CA yet: %.*s%s",
                laggards->count, (int)laggards->names.size, (const char *)laggards->names.data,
                laggards->count > LAGGARDS_NAMED_MAX ? ", ..." : "");
    osr_err_hint(err, "osiris renew on each; osiris ca revoke --instance ID for one that is gone; "
                      "with --force they have to join again");
    return OSR_IN_USE;
}

/* Whoever has a certificate of the old CA alone would be let in by nobody any more. */
static int check_laggards(struct osr_context *context, const struct osr_arguments *arguments,
                          struct osr_err *err)
{
    (void)arguments;
    struct laggards laggards = {0};
    Osr__CredentialsRequest request = OSR__CREDENTIALS_REQUEST__INIT;
    request.kind = (char *)"member";
    int code = osr_context_call(context, "credentials", &request.base, on_members, &laggards, err);
    if (code != OSR_OK) {
        osr_err_prefix(err, "which members have no certificate of the new CA is not known");
        osr_err_hint(err, "start the instance, whose log says it; --force ends the rotation all "
                          "the same");
    } else if (laggards.count > 0) {
        code = refuse_laggards(&laggards, err);
    }
    osr_buffer_done(&laggards.names);
    return code;
}

/* ---- who has not heard of it yet ---- */

/* When the next CA, if there is one, is believed by every member that is linked. */
static int read_heard(const struct osr_arguments *arguments, uint64_t *ret_heard_ms,
                      struct osr_err *err)
{
    struct osr_daemon_words words = {0};
    struct osr_buffer lines = {0};
    *ret_heard_ms = 0;
    osr_daemon_add(&words, "ca-list");
    osr_daemon_add_flags(&words, arguments);
    int code = osr_daemon_set_up(&words, osr_slice(NULL, 0), &lines, err);
    struct osr_slice rest = osr_buffer_slice(&lines), line;
    while (code == OSR_OK && osr_fields_next_line(&rest, &line)) {
        struct osr_fields fields;
        code = osr_fields_read(line, &fields, err);
        if (code == OSR_OK) {
            uint64_t heard_ms = strtoull(osr_fields_get(&fields, "heard_ms"), NULL, 10);
            *ret_heard_ms = heard_ms > *ret_heard_ms ? heard_ms : *ret_heard_ms;
            osr_fields_done(&fields);
        }
    }
    osr_buffer_done(&lines);
    return code;
}

struct others {
    char own[OSR_INSTANCE_CHARS + 1];
    size_t count;
};

static int on_status(void *context, const ProtobufCMessage *reply)
{
    struct others *others = context;
    const Osr__StatusResponse *response = (const Osr__StatusResponse *)reply;
    snprintf(others->own, sizeof(others->own), "%s", response->instance);
    return OSR_OK;
}

static int on_others(void *context, const ProtobufCMessage *reply)
{
    const Osr__CredentialsResponse *response = (const Osr__CredentialsResponse *)reply;
    struct others *others = context;
    for (size_t i = 0; i < response->n_credentials; i++) {
        const Osr__Credential *member = response->credentials[i];
        bool is_let_in =
            strcmp(member->state, "revoked") != 0 && strcmp(member->state, "expired") != 0;
        others->count += is_let_in && strcmp(member->id, others->own) != 0;
    }
    return OSR_OK;
}

static int count_others(struct osr_context *context, size_t *ret_count, struct osr_err *err)
{
    struct others others = {0};
    Osr__StatusRequest status = OSR__STATUS_REQUEST__INIT;
    Osr__CredentialsRequest request = OSR__CREDENTIALS_REQUEST__INIT;
    request.kind = (char *)"member";
    int code = osr_context_call(context, "status", &status.base, on_status, &others, err);
    if (code == OSR_OK) {
        code = osr_context_call(context, "credentials", &request.base, on_others, &others, err);
    }
    *ret_count = others.count;
    return code;
}

/* Whoever does not believe the next CA yet would lose the links with who has a certificate of it.
 */
static int check_heard(struct osr_context *context, const struct osr_arguments *arguments,
                       struct osr_err *err)
{
    char when[OSR_DISPLAY_TIME_CHARS];
    uint64_t heard_ms;
    size_t count;
    int code = read_heard(arguments, &heard_ms, err);
    if (code != OSR_OK || heard_ms <= osr_wall_ms()) {
        return code;
    }
    if (count_others(context, &count, err) != OSR_OK) {
        osr_err_prefix(err, "which members have not heard of the next CA is not known");
        osr_err_hint(err, "start the instance, whose log says it; --force switches all the same");
        return err->code;
    }
    if (count > 0) {
        osr_display_time(when, heard_ms);
        osr_err_set(err, OSR_IN_USE,
                    "some of %zu other members may not have heard of the next CA yet: all that are "
                    "linked have by %s",
                    count, when);
        osr_err_hint(err,
                     "wait until then; --force switches now, where each has said osiris renew");
        return OSR_IN_USE;
    }
    return OSR_OK;
}

/* ---- the steps ---- */

static const struct rotation {
    const char *step;
    const char *mode; /* of osirisd setup */
    int (*check)(struct osr_context *context, const struct osr_arguments *arguments,
                 struct osr_err *err); /* whether others are ready for it; NULL: they need not be */
    const char *next;
} rotations[] = {
    {"begin", "ca-begin", NULL,
     "The next CA is believed here. Linked members take it over by themselves within an hour and\n"
     "a half, or by osiris renew there; osiris ca list there shows it. When all have it:\n"
     "osiris ca rotate switch\n"},
    {"switch", "ca-switch", check_heard,
     "What is issued from now on is the next CA's. Linked members renew by themselves within an\n"
     "hour and a half, or by osiris renew there. When osiris ca list shows none as \"old ca's\":\n"
     "osiris ca rotate end\n"},
    {"end", "ca-end", check_laggards,
     "The old CA is believed no longer here, and by the members as they next hear of it.\n"},
};

static const struct rotation *find_rotation(const char *step)
{
    for (size_t i = 0; i < sizeof(rotations) / sizeof(rotations[0]); i++) {
        if (strcmp(rotations[i].step, step) == 0) {
            return &rotations[i];
        }
    }
    return NULL;
}

int osr_run_ca_rotate(struct osr_context *context, const struct osr_arguments *arguments,
                      struct osr_err *err)
{
    const struct rotation *rotation = find_rotation(arguments->operands[0]);
    struct osr_daemon_words words = {0};
    int code = OSR_OK;
    if (rotation == NULL) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT,
                           "a rotation has the steps begin, switch and end; '%s' is none",
                           arguments->operands[0]);
    }
    if (rotation->check != NULL && !osr_arguments_has(arguments, OSR_FLAG_FORCE)) {
        code = rotation->check(context, arguments, err);
    }
    if (code == OSR_OK) {
        osr_daemon_add(&words, rotation->mode);
        code = osr_launch_change(context, &words, arguments, osr_slice(NULL, 0), err);
    }
    if (code == OSR_OK && !context->json) {
        osr_output_add_text(&context->out, rotation->next);
    }
    return code;
}
