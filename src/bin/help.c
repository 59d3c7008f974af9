/* Finding commands by what was typed, and saying what they do. */
#include <stdio.h>

#include "base/text.h"
#include "bin/command.h"

const struct osr_command *osr_command_find(const char *name)
{
    for (size_t i = 0; i < osr_command_count; i++) {
        if (strcmp(osr_commands[i].name, name) == 0) {
            return &osr_commands[i];
        }
    }
    return NULL;
}

static bool is_in_group(const struct osr_command *command, const char *group)
{
    size_t size = strlen(group);
    return strncmp(command->name, group, size) == 0 && command->name[size] == ' ';
}

bool osr_command_is_group(const char *word)
{
    for (size_t i = 0; i < osr_command_count; i++) {
        if (is_in_group(&osr_commands[i], word)) {
            return true;
        }
    }
    return false;
}

/* Also compares with the last word alone: `osiris serach` means `kb search`. */
static size_t distance_to_command(const char *typed, const char *name)
{
    size_t whole = osr_text_distance(typed, name);
    const char *space = strrchr(name, ' ');
    size_t last = space == NULL ? whole : osr_text_distance(typed, space + 1);
    return whole < last ? whole : last;
}

const char *osr_command_suggest(const char *name)
{
    enum { DISTANCE_MAX = 2 };
    const char *best = NULL;
    size_t best_distance = DISTANCE_MAX + 1;
    for (size_t i = 0; i < osr_command_count; i++) {
        size_t distance = distance_to_command(name, osr_commands[i].name);
        if (distance < best_distance) {
            best_distance = distance;
            best = osr_commands[i].name;
        }
    }
    return best;
}

/* Help of several lines stands below its first one. */
static void write_flag(struct osr_buffer *buffer, const struct osr_flag_help *flag)
{
    enum { HELP_COLUMN = 26 };
    const struct osr_flag_name *name = osr_flag_name(flag->flag);
    char left[64];
    int width =
        snprintf(left, sizeof(left), "  %c%c%c --%s%s%s", name->letter != 0 ? '-' : ' ',
                 name->letter != 0 ? name->letter : ' ', name->letter != 0 ? ',' : ' ', name->name,
                 name->value != NULL ? " " : "", name->value != NULL ? name->value : "");
    osr_buffer_add_format(buffer, "%-*s", HELP_COLUMN, left);
    if (width >= HELP_COLUMN) {
        osr_buffer_add_format(buffer, "\n%*s", HELP_COLUMN, "");
    }
    for (const char *line = flag->help;;) {
        const char *end = strchrnul(line, '\n');
        osr_buffer_add(buffer, line, (size_t)(end - line));
        osr_buffer_add_u8(buffer, '\n');
        if (*end == '\0') {
            break;
        }
        osr_buffer_add_format(buffer, "%*s", HELP_COLUMN, "");
        line = end + 1;
    }
}

static void write_flags(struct osr_buffer *buffer, const char *title,
                        const struct osr_flag_help *flags)
{
    if (flags->flag == OSR_FLAG_NONE) {
        return;
    }
    osr_buffer_add_format(buffer, "\n%s\n", title);
    for (; flags->flag != OSR_FLAG_NONE; flags++) {
        write_flag(buffer, flags);
    }
}

void osr_help_write_command(struct osr_buffer *buffer, const struct osr_command *command)
{
    osr_buffer_add_format(buffer, "usage: osiris %s%s%s%s\n\n%s", command->name,
                          command->flags->flag != OSR_FLAG_NONE ? " [OPTIONS]" : "",
                          command->operands[0] != '\0' ? " " : "", command->operands,
                          command->description);
    write_flags(buffer, "Options:", command->flags);
    write_flags(buffer, "Options of every command:", osr_global_flags);
}

void osr_help_write(struct osr_buffer *buffer, const char *group)
{
    if (group == NULL) {
        osr_buffer_add_text(
            buffer, "usage: osiris [OPTIONS] COMMAND\n\n"
                    "Talks to an Osiris instance: reads and writes the knowledge base that it\n"
                    "shares with others. The first one is made with `osiris init`.\n");
    } else {
        osr_buffer_add_format(buffer, "usage: osiris [OPTIONS] %s COMMAND\n", group);
    }
    osr_buffer_add_text(buffer, "\nCommands:\n");
    for (size_t i = 0; i < osr_command_count; i++) {
        const struct osr_command *command = &osr_commands[i];
        if (group == NULL || is_in_group(command, group)) {
            osr_buffer_add_format(buffer, "  %-16s  %s\n", command->name, command->summary);
        }
    }
    write_flags(buffer, "Options of every command:", osr_global_flags);
    if (group == NULL) {
        osr_buffer_add_text(buffer, "\nExamples:\n"
                                    "  osiris kb add 'The build needs libuv 1.44'\n"
                                    "  osiris kb search libuv\n"
                                    "  osiris kb add --help\n");
    } else {
        osr_buffer_add_format(
            buffer, "\nosiris %s COMMAND --help says more of each, with examples.\n", group);
    }
    osr_buffer_add_text(buffer, "\nThe manual: man osiris\n");
}
