/* cluster set, cluster settings, access set, access show: what all members of the ledger obey. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "bin/command.h"
#include "bin/display.h"
#include "bin/input.h"

enum { POLICY_BYTES_MAX = 64 << 10 }; /* as core/cluster_settings.h has it */

/* ---- settings ---- */

static int on_set(void *context, const ProtobufCMessage *reply)
{
    struct osr_context *run = context;
    if (run->json) {
        osr_output_add_message(&run->out, reply);
    } else {
        osr_output_add_text(&run->out, "set\n");
    }
    return run->out.failure.code;
}

int osr_run_cluster_set(struct osr_context *context, const struct osr_arguments *arguments,
                        struct osr_err *err)
{
    Osr__ClusterSetRequest request = OSR__CLUSTER_SET_REQUEST__INIT;
    request.name = arguments->operands[0];
    request.value = arguments->operands[1];
    request.timeout_ms = context->acks_timeout_ms;
    context->timeout_ms = osr_context_write_timeout_ms(context);
    return osr_context_call(context, "cluster_set", &request.base, on_set, context, err);
}

/* What it means stands below its value. */
static void write_setting(struct osr_output *out, const Osr__ClusterSetting *setting)
{
    char *value = osr_format("%s%s", setting->value, setting->by_default ? " (by default)" : "");
    osr_output_add_field(out, setting->name, value);
    osr_output_add_field(out, "", setting->meaning);
    free(value);
}

static int on_settings(void *context, const ProtobufCMessage *reply)
{
    struct osr_context *run = context;
    const Osr__ClusterSettingsResponse *response = (const Osr__ClusterSettingsResponse *)reply;
    for (size_t i = 0; i < response->n_settings; i++) {
        if (run->json) {
            osr_output_add_message(&run->out, &response->settings[i]->base);
        } else {
            write_setting(&run->out, response->settings[i]);
        }
    }
    return run->out.failure.code;
}

int osr_run_cluster_settings(struct osr_context *context, const struct osr_arguments *arguments,
                             struct osr_err *err)
{
    Osr__ClusterSettingsRequest request = OSR__CLUSTER_SETTINGS_REQUEST__INIT;
    (void)arguments;
    return osr_context_call(context, "cluster_settings", &request.base, on_settings, context, err);
}

/* ---- who may do what ---- */

static int on_access_set(void *context, const ProtobufCMessage *reply)
{
    struct osr_context *run = context;
    const Osr__SetAccessResponse *response = (const Osr__SetAccessResponse *)reply;
    if (run->json) {
        osr_output_add_message(&run->out, reply);
    } else {
        osr_output_add_text(&run->out, response->own_file
                                           ? "set; this instance obeys the section access of its "
                                             "own config file all the same\n"
                                           : "set\n");
    }
    return run->out.failure.code;
}

static int read_policy(const char *file, struct osr_buffer *text, struct osr_err *err)
{
    int code = osr_input_read(file, "a policy", POLICY_BYTES_MAX, text, err);
    if (code == OSR_OK && (!osr_utf8_is_valid(osr_buffer_slice(text)) ||
                           (text->size > 0 && memchr(text->data, '\0', text->size) != NULL))) {
        code = (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "%s: not text in UTF-8", file);
    }
    osr_buffer_add_u8(text, '\0');
    return code;
}

int osr_run_access_set(struct osr_context *context, const struct osr_arguments *arguments,
                       struct osr_err *err)
{
    Osr__SetAccessRequest request = OSR__SET_ACCESS_REQUEST__INIT;
    struct osr_buffer text = {0};
    int code = read_policy(arguments->operands[0], &text, err);
    if (code == OSR_OK) {
        request.yaml = (char *)text.data;
        request.even_if_shut_out = osr_arguments_has(arguments, OSR_FLAG_YES);
        request.timeout_ms = context->acks_timeout_ms;
        context->timeout_ms = osr_context_write_timeout_ms(context);
        code = osr_context_call(context, "access_set", &request.base, on_access_set, context, err);
    }
    osr_buffer_done(&text);
    return code;
}

/* A comment, so that what is shown can be set again. */
static const char *comment_on(const Osr__ShowAccessResponse *response)
{
    if (strcmp(response->in_force, "own-file") == 0) {
        return response->index != 0
                   ? "# agreed; this instance obeys the section access of its own config file\n"
                   : "# nothing is agreed; this instance obeys its own config file\n";
    }
    if (response->index == 0) {
        return "# nothing is agreed; the defaults hold here\n";
    }
    return strcmp(response->in_force, "agreed") == 0
               ? "# agreed, and in force here\n"
               : "# agreed; this instance could not read it, and its log says why\n";
}

static int on_access_show(void *context, const ProtobufCMessage *reply)
{
    struct osr_context *run = context;
    const Osr__ShowAccessResponse *response = (const Osr__ShowAccessResponse *)reply;
    if (run->json) {
        osr_output_add_message(&run->out, reply);
        return run->out.failure.code;
    }
    struct osr_buffer text = {0};
    osr_display_clean(&text, osr_slice_text(response->yaml), OSR_DISPLAY_LINES);
    osr_output_add_text(&run->out, comment_on(response));
    osr_output_add(&run->out, osr_buffer_slice(&text));
    if (text.size > 0 && text.data[text.size - 1] != '\n') {
        osr_output_add_text(&run->out, "\n");
    }
    osr_buffer_done(&text);
    return run->out.failure.code;
}

int osr_run_access_show(struct osr_context *context, const struct osr_arguments *arguments,
                        struct osr_err *err)
{
    Osr__ShowAccessRequest request = OSR__SHOW_ACCESS_REQUEST__INIT;
    (void)arguments;
    return osr_context_call(context, "access_show", &request.base, on_access_show, context, err);
}
