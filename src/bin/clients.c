/* client add, list, remove, key: who is let in over ZeroMQ. The keys lie in the instance's folder,
 * which osirisd alone touches; one that runs has read them when it started. */
#include "adapter/authority.h"
#include "base/fields.h"
#include "bin/command.h"
#include "bin/display.h"
#include "bin/launch.h"

/* One line of `osirisd setup client-...`: the fields that are there, with a blank between. */
static int show_line(struct osr_context *context, struct osr_slice line, struct osr_err *err)
{
    static const char *const names[] = {"name", "key", "secret"};
    struct osr_fields fields;
    const char *blank = "";
    int code = osr_fields_read(line, &fields, err);

    if (code != OSR_OK) {
        return code;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = osr_fields_get(&fields, names[i]);
        if (value[0] != '\0') {
            osr_output_add_format(&context->out, "%s%s", blank, value);
            blank = " ";
        }
    }
    osr_output_add_format(&context->out, "\n");
    osr_fields_done(&fields);
    return context->out.failure.code;
}

static int show_lines(struct osr_context *context, struct osr_slice rest, struct osr_err *err)
{
    struct osr_slice line;
    int code = OSR_OK;

    if (context->json) {
        osr_output_add_lines(&context->out, rest);
        return OSR_OK;
    }
    while (code == OSR_OK && osr_fields_next_line(&rest, &line)) {
        code = show_line(context, line, err);
    }
    return code;
}

/* Runs `osirisd setup MODE NAME` with `input`, and shows what it says. */
static int run_mode(struct osr_context *context, const struct osr_arguments *arguments,
                    const char *mode, const char *input, struct osr_err *err)
{
    struct osr_daemon_words words = {0};
    struct osr_buffer lines = {0};

    if (osr_arguments_has(arguments, OSR_FLAG_TO)) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT,
                           "this is done on the instance's own machine: --data, not --to");
    }
    osr_daemon_add(&words, mode);
    if (arguments->operand_count > 0) {
        osr_daemon_add(&words, arguments->operands[0]);
    }
    osr_daemon_add_flags(&words, arguments);
    int code = osr_daemon_set_up(&words, osr_slice_text(input), &lines, err);
    if (code == OSR_OK) {
        code = show_lines(context, osr_buffer_slice(&lines), err);
    }
    osr_secret_buffer_done(&lines);
    return code;
}

int osr_run_client_add(struct osr_context *context, const struct osr_arguments *arguments,
                       struct osr_err *err)
{
    const char *key = arguments->operand_count > 1 ? arguments->operands[1] : "";
    return run_mode(context, arguments, "client-add", key, err);
}

int osr_run_client_list(struct osr_context *context, const struct osr_arguments *arguments,
                        struct osr_err *err)
{
    return run_mode(context, arguments, "client-list", "", err);
}

int osr_run_client_remove(struct osr_context *context, const struct osr_arguments *arguments,
                          struct osr_err *err)
{
    return run_mode(context, arguments, "client-remove", "", err);
}

int osr_run_client_key(struct osr_context *context, const struct osr_arguments *arguments,
                       struct osr_err *err)
{
    return run_mode(context, arguments, "client-key", "", err);
}
