/* osiris -- the command line. Finds the command, runs it, and says how it went: the exit status is
 * that of the error's code (base/error.h). */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bin/command.h"
#include "bin/display.h"

/* What was asked for on the command line. */
struct request {
    const struct osr_command *command; /* NULL: help of a group, or of all */
    const char *group;
    struct osr_arguments arguments;
};

/* Messages may carry what others wrote: nothing in them may steer the terminal. */
static void report(const struct osr_err *err)
{
    struct osr_buffer line = {0};
    osr_buffer_add_format(&line, "osiris: %s: ", osr_code_info(err->code)->name);
    osr_display_clean(&line, osr_slice_text(err->message), OSR_DISPLAY_ONE_LINE);
    if (err->hint[0] != '\0') {
        osr_buffer_add_text(&line, "\n  hint: ");
        osr_display_clean(&line, osr_slice_text(err->hint), OSR_DISPLAY_ONE_LINE);
    }
    fprintf(stderr, "%.*s\n", (int)line.size, (const char *)line.data);
    osr_buffer_done(&line);
}

static int refuse_command(const char *typed, struct osr_err *err)
{
    const char *meant = osr_command_suggest(typed);
    osr_err_set(err, OSR_INVALID_ARGUMENT, "no such command: '%s'", typed);
    if (meant != NULL) {
        osr_err_hint(err, "did you mean '%s'?", meant);
    } else {
        osr_err_hint(err, "osiris --help lists the commands");
    }
    return OSR_INVALID_ARGUMENT;
}

/* The word in argv[0] begins a command's name, and the next one may end it; global options may
 * stand in between. Leaves the name's last word in argv[0]. */
static int find_command(struct request *request, int *argc, char ***argv, struct osr_err *err)
{
    const char *first = (*argv)[0];
    request->command = osr_command_find(first);
    if (!osr_command_is_group(first)) {
        return request->command != NULL ? OSR_OK : refuse_command(first, err);
    }

    request->group = first;
    int rest_count = *argc;
    char **rest = *argv;
    struct osr_arguments ignored = {0};
    bool has_more =
        osr_arguments_read_global(&ignored, &rest_count, &rest, NULL) == OSR_OK && rest_count > 0;
    if (!has_more) {
        return OSR_OK;
    }
    char *name = osr_format("%s %s", first, rest[0]);
    const struct osr_command *longer = osr_command_find(name);
    int code = OSR_OK;
    if (longer != NULL) {
        request->command = longer;
        code = osr_arguments_read_global(&request->arguments, argc, argv, err);
    } else if (request->command == NULL) {
        code = refuse_command(name, err);
    }
    free(name);
    return code;
}

static int check_operands(const struct request *request, struct osr_err *err)
{
    const struct osr_command *command = request->command;
    int count = request->arguments.operand_count;
    if (count >= command->operands_min && count <= command->operands_max) {
        return OSR_OK;
    }
    bool is_few = count < command->operands_min;
    osr_err_set(err, OSR_INVALID_ARGUMENT, "too %s arguments; wanted is: osiris %s%s%s",
                is_few ? "few" : "many", command->name, command->operands[0] != '\0' ? " " : "",
                command->operands);
    osr_err_hint(err, "%sosiris %s --help says more", is_few ? "" : "quote what has spaces in it; ",
                 command->name);
    return OSR_INVALID_ARGUMENT;
}

static int read_request(struct request *request, int argc, char **argv, struct osr_err *err)
{
    int code = osr_arguments_read_global(&request->arguments, &argc, &argv, err);
    if (code != OSR_OK || argc == 0) {
        return code;
    }
    code = find_command(request, &argc, &argv, err);
    if (code != OSR_OK) {
        return code;
    }
    static const struct osr_flag_help no_flags[] = {{OSR_FLAG_NONE, NULL}};
    const struct osr_flag_help *flags =
        request->command != NULL ? request->command->flags : no_flags;
    return osr_arguments_read(&request->arguments, flags, argc, argv, err);
}

static void write_help(const struct request *request, struct osr_output *out)
{
    struct osr_buffer text = {0};
    if (request->command != NULL) {
        osr_help_write_command(&text, request->command);
    } else {
        osr_help_write(&text, request->group);
    }
    osr_output_add(out, osr_buffer_slice(&text));
    osr_buffer_done(&text);
}

static int run_command(struct osr_context *context, const struct request *request,
                       struct osr_err *err)
{
    int code = check_operands(request, err);
    if (code == OSR_OK) {
        code = osr_context_init(context, &request->arguments, err);
    }
    if (code == OSR_OK) {
        code = request->command->run(context, &request->arguments, err);
    }
    return code;
}

static int refuse_missing_command(const struct request *request, struct osr_err *err)
{
    if (request->group != NULL) {
        osr_err_set(err, OSR_INVALID_ARGUMENT, "which command of '%s'?", request->group);
        osr_err_hint(err, "osiris %s --help lists them", request->group);
    } else {
        osr_err_set(err, OSR_INVALID_ARGUMENT, "which command?");
        osr_err_hint(err, "osiris --help lists them");
    }
    return OSR_INVALID_ARGUMENT;
}

static int run(struct osr_context *context, int argc, char **argv, struct osr_err *err)
{
    struct request request = {0};
    int code = read_request(&request, argc, argv, err);
    if (code != OSR_OK) {
        return code;
    }
    if (osr_arguments_has(&request.arguments, OSR_FLAG_HELP)) {
        write_help(&request, &context->out);
    } else if (osr_arguments_has(&request.arguments, OSR_FLAG_VERSION)) {
        osr_output_add_text(&context->out, "osiris " OSR_VERSION "\n");
    } else if (request.command == NULL) {
        return refuse_missing_command(&request, err);
    } else {
        code = run_command(context, &request, err);
    }
    return code;
}

/* A descriptor that is closed at the start would be given to the next file opened: to a socket,
 * which output would then be written to. */
static void open_standard_files(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    close(fd);
}

int main(int argc, char **argv)
{
    open_standard_files();
    signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error of write() */

    struct osr_context context = {0};
    osr_output_init(&context.out, STDOUT_FILENO);
    struct osr_err err = {0};
    int code = run(&context, argc, argv, &err);
    /* What was gathered before an error is good output; where it cannot be written, that is the
     * error which led to all others. */
    if (osr_output_flush(&context.out, NULL) != OSR_OK) {
        err = context.out.failure;
        code = err.code;
    }
    if (context.out.reader_gone) {
        code = OSR_OK;
    }
    if (code != OSR_OK) {
        report(&err);
    }
    osr_context_done(&context);
    return code == OSR_OK ? context.exit_status : osr_code_info((enum osr_code)code)->exit_status;
}
