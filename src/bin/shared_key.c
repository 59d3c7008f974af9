/* key add, list, show, remove: keys that all instances of a cluster share, for TLS without
 * certificates. They lie in the instance's folder, which osirisd alone touches. */
#include <stdlib.h>

#include "adapter/authority.h"
#include "base/fields.h"
#include "bin/command.h"
#include "bin/display.h"
#include "bin/launch.h"
#include "bin/secret_input.h"

enum { SECRET_FILE_BYTES_MAX = 4096 };

/* The lines of `osirisd setup key-list`, of all keys or of one with its secret. */
static int list(const struct osr_arguments *arguments, const char *name, struct osr_buffer *lines,
                struct osr_err *err)
{
    struct osr_daemon_words words = {0};
    osr_daemon_add(&words, "key-list");
    if (name != NULL) {
        osr_daemon_add(&words, name);
    }
    osr_daemon_add_flags(&words, arguments);
    return osr_daemon_set_up(&words, osr_slice(NULL, 0), lines, err);
}

static int show(struct osr_context *context, struct osr_slice line, struct osr_err *err)
{
    struct osr_fields fields;
    int code = osr_fields_read(line, &fields, err);
    if (code != OSR_OK) {
        return code;
    }
    const char *secret = osr_fields_get(&fields, "secret");
    osr_output_add_format(&context->out, "%s%s%s\n", osr_fields_get(&fields, "name"),
                          secret[0] != '\0' ? " " : "", secret);
    osr_fields_done(&fields);
    return context->out.failure.code;
}

static int show_all(struct osr_context *context, const struct osr_arguments *arguments,
                    const char *name, struct osr_err *err)
{
    struct osr_buffer lines = {0};
    int code = list(arguments, name, &lines, err);
    struct osr_slice rest = osr_buffer_slice(&lines), line;
    if (code == OSR_OK && rest.size == 0 && name != NULL) {
        code = osr_err_set(err, OSR_NOT_FOUND, "there is no key \"%s\"", name);
    }
    if (code == OSR_OK && context->json) {
        osr_output_add_lines(&context->out, rest);
    } else {
        while (code == OSR_OK && osr_fields_next_line(&rest, &line)) {
            code = show(context, line, err);
        }
    }
    osr_secret_buffer_done(&lines);
    return code;
}

int osr_run_key_list(struct osr_context *context, const struct osr_arguments *arguments,
                     struct osr_err *err)
{
    return show_all(context, arguments, NULL, err);
}

int osr_run_key_show(struct osr_context *context, const struct osr_arguments *arguments,
                     struct osr_err *err)
{
    return show_all(context, arguments, arguments->operands[0], err);
}

/* As `key show` writes it: what stands behind the name. A secret alone is taken as well. */
static struct osr_slice secret_in(struct osr_slice text)
{
    const uint8_t *blank = text.size > 0 ? memchr(text.data, ' ', text.size) : NULL;
    return blank == NULL ? text : osr_slice(blank + 1, text.size - (size_t)(blank + 1 - text.data));
}

int osr_run_key_add(struct osr_context *context, const struct osr_arguments *arguments,
                    struct osr_err *err)
{
    const char *file = arguments->values[OSR_FLAG_SECRET_FILE];
    struct osr_daemon_words words = {0};
    struct osr_buffer secret = {0};
    int code = file == NULL
                   ? OSR_OK
                   : osr_secret_input(file, "shared key", SECRET_FILE_BYTES_MAX, &secret, err);
    if (code == OSR_OK) {
        osr_daemon_add(&words, "key-add");
        osr_daemon_add(&words, arguments->operands[0]);
        code = osr_launch_change(context, &words, arguments, secret_in(osr_buffer_slice(&secret)),
                                 err);
    }
    osr_secret_buffer_done(&secret);
    return code != OSR_OK || file != NULL
               ? code
               : show_all(context, arguments, arguments->operands[0], err);
}

int osr_run_key_remove(struct osr_context *context, const struct osr_arguments *arguments,
                       struct osr_err *err)
{
    struct osr_daemon_words words = {0};
    osr_daemon_add(&words, "key-remove");
    osr_daemon_add(&words, arguments->operands[0]);
    return osr_launch_change(context, &words, arguments, osr_slice(NULL, 0), err);
}
