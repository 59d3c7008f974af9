#include "node/config.h"

#include <stdlib.h>
#include <unistd.h>

#include "adapter/address.h"
#include "adapter/folder.h"
#include "adapter/same_file.h"
#include "base/text.h"
#include "model/limits.h"
#include "node/access_config.h"
#include "node/config_addresses.h"
#include "node/config_file.h"
#include "node/config_option.h"

/* -- flags -- */

/* One flag as it stands on the command line. */
struct flag {
    const struct osr_option *option;
    const char *value;
};

struct command_line {
    struct flag *flags; /* room for one an argument */
    size_t count;
    const char *file; /* of --config */
    enum osr_config_action action;
};

/* A flag being taken apart. */
struct argument {
    char name[64];     /* cut if longer: no option is */
    const char *value; /* behind '=', or NULL */
};

static int refuse_flag(struct osr_err *err, const char *name, const char *why)
{
    osr_err_set(err, OSR_INVALID_ARGUMENT, "--%s: %s", name, why);
    osr_err_hint(err, "see osirisd --help");
    return OSR_INVALID_ARGUMENT;
}

static int refuse_unknown_flag(struct osr_err *err, const char *name)
{
    const char *nearest = osr_option_nearest(name);

    refuse_flag(err, name, "unknown flag");
    if (nearest != NULL) {
        osr_err_hint(err, "did you mean '--%s'?", nearest);
    }
    return OSR_INVALID_ARGUMENT;
}

static int refuse_word(struct osr_err *err, const char *word)
{
    osr_err_set(err, OSR_INVALID_ARGUMENT, "unexpected argument '%.100s'", word);
    osr_err_hint(err, "values follow flags, as in --data DIR; see osirisd --help");
    return OSR_INVALID_ARGUMENT;
}

static struct argument take_apart(const char *text)
{
    struct argument argument = {.value = strchr(text, '=')};
    size_t size = argument.value != NULL ? (size_t)(argument.value - text) : strlen(text);

    if (size >= sizeof argument.name) {
        size = sizeof argument.name - 1;
    }
    memcpy(argument.name, text, size);
    argument.name[size] = '\0';
    if (argument.value != NULL) {
        argument.value++;
    }
    return argument;
}

/* The value behind '=', or the next argument. */
static int take_value(const struct argument *argument, int argc, char *const *argv, int *at,
                      const char **ret_value, struct osr_err *err)
{
    if (argument->value != NULL) {
        *ret_value = argument->value;
        return 0;
    }
    if (*at + 1 >= argc) {
        return refuse_flag(err, argument->name, "a value must follow");
    }
    *ret_value = argv[++*at];
    return 0;
}

static bool was_given(const struct command_line *line, const struct osr_option *option)
{
    for (size_t i = 0; i < line->count; i++) {
        if (line->flags[i].option == option) {
            return true;
        }
    }
    return false;
}

static int read_option(struct command_line *line, const struct argument *argument, int argc,
                       char *const *argv, int *at, struct osr_err *err)
{
    const struct osr_option *option = osr_option_find(argument->name);
    const char *value = "true";
    int code = 0;

    if (option == NULL) {
        return refuse_unknown_flag(err, argument->name);
    }
    if (!osr_option_is_list(option) && was_given(line, option)) {
        return refuse_flag(err, option->name, "given twice");
    }
    if (option->kind != OSR_OPTION_BOOLEAN) {
        code = take_value(argument, argc, argv, at, &value, err);
    } else if (argument->value != NULL) {
        value = argument->value;
    }
    if (code == 0) {
        line->flags[line->count++] = (struct flag){option, value};
    }
    return code;
}

static int read_argument(struct command_line *line, int argc, char *const *argv, int *at,
                         struct osr_err *err)
{
    const char *text = argv[*at];

    if (strcmp(text, "-h") == 0 || strcmp(text, "--help") == 0) {
        line->action = OSR_CONFIG_SHOW_HELP;
        return 0;
    }
    if (strcmp(text, "-V") == 0 || strcmp(text, "--version") == 0) {
        line->action = OSR_CONFIG_SHOW_VERSION;
        return 0;
    }
    if (strncmp(text, "--", 2) != 0 || text[2] == '\0') {
        return refuse_word(err, text);
    }

    struct argument argument = take_apart(text + 2);
    if (strcmp(argument.name, "config") != 0) {
        return read_option(line, &argument, argc, argv, at, err);
    }
    if (line->file != NULL) {
        return refuse_flag(err, "config", "given twice");
    }
    return take_value(&argument, argc, argv, at, &line->file, err);
}

static int read_command_line(struct command_line *line, int argc, char *const *argv,
                             struct osr_err *err)
{
    for (int at = 1; at < argc && line->action == OSR_CONFIG_RUN; at++) {
        int code = read_argument(line, argc, argv, &at, err);
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

static int apply_flags(const struct command_line *line, struct osr_config *config,
                       struct osr_err *err)
{
    for (size_t i = 0; i < line->count; i++) {
        osr_option_clear(line->flags[i].option, config);
    }
    for (size_t i = 0; i < line->count; i++) {
        const struct flag *flag = &line->flags[i];
        int code = osr_option_set(flag->option, config, flag->value, err);
        if (code != 0) {
            return osr_err_prefix(err, "--%s", flag->option->name);
        }
    }
    return 0;
}

/* -- defaults -- */

/* The machine's name, if it can be an instance's. */
static char *default_name(void)
{
    char name[OSR_NAME_BYTES_MAX + 1] = "";

    if (gethostname(name, sizeof name) != 0) {
        return osr_strdup("osiris");
    }
    name[sizeof name - 1] = '\0';
    struct osr_slice text = osr_slice_text(name);
    bool is_usable = text.size > 0 && osr_utf8_is_valid(text) && osr_text_is_plain(text);
    return osr_strdup(is_usable ? name : "osiris");
}

static int fill_in_defaults(struct osr_config *config, struct osr_err *err)
{
    if (config->name == NULL) {
        config->name = default_name();
    }
    if (config->cluster == NULL) {
        config->cluster = osr_strdup("osiris");
    }
    config->has_access = config->access != NULL;
    if (!config->has_access) {
        config->access = osr_access_config_default();
    }
    return config->data == NULL ? osr_folder_default(&config->data, err) : 0;
}

/* -- checks -- */

bool osr_config_is_seed(const struct osr_url *url)
{
    const char *peer = osr_url_parameter(url, "peer");
    return peer != NULL && strcmp(peer, "seed") == 0;
}

static int check_followed(const struct osr_config *config, size_t index, struct osr_err *err)
{
    const char *file = config->follow_file[index];

    for (size_t i = 0; i < index; i++) {
        if (osr_file_is_same(file, config->follow_file[i])) {
            osr_err_set(err, OSR_CONFIG, "follow-file: %s is the same file as %s", file,
                        config->follow_file[i]);
            osr_err_hint(err, "name each file once");
            return OSR_CONFIG;
        }
    }
    if (config->mirror != NULL && osr_file_is_same(config->mirror, file)) {
        return (int)osr_err_set(err, OSR_CONFIG,
                                "mirror: %s is the followed file %s: it would follow itself",
                                config->mirror, file);
    }
    return 0;
}

static int check_files(const struct osr_config *config, struct osr_err *err)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < config->follow_file_count; i++) {
        code = check_followed(config, i, err);
    }
    return code;
}

/* The socket within must be reachable by its path, which is part of a URL. */
static int check_data(const struct osr_config *config, struct osr_err *err)
{
    struct sockaddr_un address;

    if (strchr(config->data, '?') != NULL) {
        return (int)osr_err_set(err, OSR_CONFIG, "data: the path may not have a '?': %s",
                                config->data);
    }
    char *path = osr_format("%s/%s", config->data, OSR_SOCKET_NAME);
    int code = osr_address_unix(path, &address, err);

    free(path);
    return code != 0 ? (int)osr_err_prefix(err, "data") : 0;
}

/* To a broker elsewhere the changes themselves would go in plaintext. */
static int check_events(const struct osr_config *config, const struct osr_url *url,
                        struct osr_err *err)
{
    bool is_encrypted = !osr_url_is_broker(url) || osr_url_is_broker_secure(url);
    if (config->insecure || is_encrypted || osr_url_is_loopback(url)) {
        return 0;
    }
    osr_err_set(err, OSR_CONFIG,
                "events: %s: everybody on the way to the broker could read all that changes",
                url->text);
    osr_err_hint(err, "use %ss://, or write `insecure: true` if the network is trusted",
                 url->scheme);
    return OSR_CONFIG;
}

static int check_whole(const struct osr_config *config, struct osr_err *err)
{
    int code = check_data(config, err);
    for (size_t i = 0; code == 0 && i < config->listen_count; i++) {
        code = osr_config_check_listener(config, &config->listen[i], err);
        code =
            code == 0 ? osr_config_check_broker(config, "listen", &config->listen[i], err) : code;
    }
    for (size_t i = 0; code == 0 && i < config->peer_count; i++) {
        code = osr_config_check_peer(&config->peer[i], err);
        code = code == 0 ? osr_config_check_broker(config, "peer", &config->peer[i], err) : code;
    }
    for (size_t i = 0; code == 0 && i < config->events.target_count; i++) {
        const struct osr_url *url = &config->events.targets[i].url;
        code = check_events(config, url, err);
        code = code == 0 ? osr_config_check_broker(config, "events", url, err) : code;
    }
    return code != 0 ? code : check_files(config, err);
}

/* -- the whole -- */

static const char *folder_given(const struct command_line *line)
{
    for (size_t i = 0; i < line->count; i++) {
        if (strcmp(line->flags[i].option->name, "data") == 0) {
            return line->flags[i].value;
        }
    }
    return NULL;
}

/* The file of the data folder, if there is one. It stands for this folder and no other. */
static int read_file_of_folder(const struct command_line *line, struct osr_config *config,
                               struct osr_err *err)
{
    const char *given = folder_given(line);
    char *folder = NULL;
    int code = given == NULL ? osr_folder_default(&folder, err) : 0;
    if (code != 0) {
        return code;
    }

    char *path = osr_format("%s/" OSR_CONFIG_FILE_NAME, given != NULL ? given : folder);
    if (access(path, F_OK) == 0) {
        code = osr_config_file_read(path, config, err);
        if (code == 0 && config->data != NULL) {
            osr_err_set(err, OSR_CONFIG, "%s: data: a file in a data folder is for this folder",
                        path);
            osr_err_hint(err, "take the key out; --data and OSIRIS_DATA name the folder");
            code = OSR_CONFIG;
        }
    }
    free(path);
    free(folder);
    return code;
}

static int read_config(const struct command_line *line, struct osr_config *config,
                       struct osr_err *err)
{
    int code = line->file == NULL ? read_file_of_folder(line, config, err)
                                  : osr_config_file_read(line->file, config, err);
    if (code == 0) {
        code = apply_flags(line, config, err);
    }
    if (code == 0) {
        code = fill_in_defaults(config, err);
    }
    return code != 0 ? code : check_whole(config, err);
}

int osr_config_read(int argc, char *const *argv, struct osr_config *ret_config,
                    enum osr_config_action *ret_action, struct osr_err *err)
{
    struct osr_config config = {
        .argc = argc,
        .argv = argv,
        .log_segment_mb = 64,
        .heartbeat_ms = 2000,
        .retry_ms = 2000,
        .connections_max = OSR_CONNECTIONS_MAX,
        .mirror_ms = 500,
        .log_level = OSR_LEVEL_INFO,
    };
    struct command_line line = {.flags = osr_alloc((size_t)argc * sizeof *line.flags)};

    int code = read_command_line(&line, argc, argv, err);
    if (code == 0 && line.action == OSR_CONFIG_RUN) {
        code = read_config(&line, &config, err);
    }
    free(line.flags);
    if (code != 0 || line.action != OSR_CONFIG_RUN) {
        osr_config_done(&config);
    } else {
        *ret_config = config;
    }
    if (code == 0) {
        *ret_action = line.action;
    }
    return code;
}

int osr_config_read_again(const struct osr_config *config, struct osr_config *ret_config,
                          struct osr_err *err)
{
    enum osr_config_action action;

    return osr_config_read(config->argc, config->argv, ret_config, &action, err);
}

void osr_config_done(struct osr_config *config)
{
    for (size_t i = 0; i < OSR_OPTION_COUNT; i++) {
        osr_option_clear(&osr_options[i], config);
    }
    osr_policy_destroy(config->access);
    osr_events_config_done(&config->events);
    *config = (struct osr_config){0};
}

/* -- help -- */

/* "  --listen URL       what it does", further lines of it below. */
static void add_option_help(struct osr_buffer *text, const struct osr_option *option)
{
    enum { COLUMN = 24 };
    char *flag =
        osr_format("  --%s %s", option->name, option->argument != NULL ? option->argument : "");

    osr_buffer_add_format(text, "%-*s", COLUMN, flag);
    free(flag);
    for (const char *line = option->help; *line != '\0';) {
        int size = (int)strcspn(line, "\n");
        osr_buffer_add_format(text, "%.*s\n", size, line);
        line += size;
        if (*line == '\n') {
            line++;
            osr_buffer_add_format(text, "%*s", COLUMN, "");
        }
    }
}

static const char usage[] =
    "osirisd: one instance of Osiris, which keeps a knowledge base in step with\n"
    "others.\n"
    "\n"
    "Usage: osirisd [--data DIR] [--name NAME] [--config FILE] [--listen URL]...\n"
    "               [--peer URL]... [--follow-file FILE]... [--mirror FILE]\n"
    "\n"
    "Options; each is also a key of the config file, by the same name:\n";

static const char usage_end[] =
    "\n"
    "  --config FILE         a YAML file; a flag replaces what the file says under\n"
    "                        its name, lists included [DIR/osirisd.yaml, if it is\n"
    "                        there]\n"
    "  -h, --help            this text\n"
    "  -V, --version         the version\n"
    "\n"
    "Examples:\n"
    "  osirisd --data ~/a --listen tcp://127.0.0.1:12346\n"
    "  osirisd --data ~/b --peer tcp://127.0.0.1:12346\n"
    "  osirisd --data ~/c --listen 'tcp://127.0.0.1:12347?peer=seed' \\\n"
    "          --follow-file kb_a.json --peer 'tcp://127.0.0.1:12348?peer=seed'\n"
    "\n"
    "A config file:\n"
    "  name: library\n"
    "  listen: [tcp://127.0.0.1:12346]\n"
    "  peer:\n"
    "    - tcp://desk.example:12346\n"
    "Two of its keys are no flags: `access` (who may do what) and `events` (what is\n"
    "published at brokers); see osiris-config(5).\n"
    "\n"
    "Exit status: 0 stopped as asked; 64 wrong usage; 65 damaged or foreign data;\n"
    "70 defect; 73 disk full; 74 read or write failed; 75 already in use;\n"
    "77 permission denied; 78 wrong configuration.\n";

char *osr_config_help(void)
{
    struct osr_buffer text = {0};

    osr_buffer_add_text(&text, usage);
    for (size_t i = 0; i < OSR_OPTION_COUNT; i++) {
        add_option_help(&text, &osr_options[i]);
    }
    osr_buffer_add(&text, usage_end, sizeof usage_end); /* with its NUL */
    return (char *)text.data;
}
