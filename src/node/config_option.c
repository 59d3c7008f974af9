#include "node/config_option.h"

#include <stdlib.h>

#include "base/text.h"
#include "model/identity.h"
#include "model/limits.h"

#define AT(field)   .offset = offsetof(struct osr_config, field)
#define LIST(field) AT(field), .count_offset = offsetof(struct osr_config, field##_count)

const struct osr_option osr_options[OSR_OPTION_COUNT] = {
    {"data", OSR_OPTION_PATH, AT(data), .argument = "DIR",
     .help = "folder for all that this instance keeps; made if it is\n"
             "not there [$OSIRIS_DATA, else ~/.local/share/osiris]"},
    {"name", OSR_OPTION_NAME, AT(name), .max = OSR_NAME_BYTES_MAX, .argument = "NAME",
     .help = "what people call this instance [the machine's name]"},
    {"cluster", OSR_OPTION_NAME, AT(cluster), .max = OSR_CLUSTER_BYTES_MAX, .argument = "NAME",
     .help = "instances talk only to others of the same cluster\n"
             "[osiris]"},
    {"listen", OSR_OPTION_URLS, LIST(listen), .max = OSR_CONFIG_LISTENERS_MAX, .argument = "URL",
     .help = "accept connections (gRPC, JSON, protobuf) at\n"
             "tls://HOST:PORT or, for this machine alone, at\n"
             "tcp://127.0.0.1:PORT; other instances also by\n"
             "udp://HOST:PORT, zmq://HOST:PORT, and through a broker\n"
             "by mqtts:// or amqps://[USER@]BROKER/ADDRESS.\n"
             "?for=clients takes requests of ordinary clients there.\n"
             "?peer=seed lets in programs that know UPDATE_KB alone.\n"
             "Local commands need none: they use DIR/osiris.sock"},
    {"peer", OSR_OPTION_URLS, LIST(peer), .max = OSR_PEERS_MAX, .argument = "URL",
     .help = "keep in step with the instance at tls://, grpcs://,\n"
             "udp:// or zmq://HOST:PORT, mqtts:// or\n"
             "amqps://[USER@]BROKER/ADDRESS (?id=ID: that one alone,\n"
             "whoever was found there before); with ?peer=seed, send\n"
             "every entry to a program that knows UPDATE_KB alone"},
    {"follow-file", OSR_OPTION_PATHS, LIST(follow_file), .max = OSR_CONFIG_FOLLOW_FILES_MAX,
     .argument = "FILE", .help = "import a JSON array, and what is added to it later"},
    {"mirror", OSR_OPTION_PATH, AT(mirror), .argument = "FILE",
     .help = "keep a JSON array of the data of all documents in FILE"},
    {"insecure", OSR_OPTION_BOOLEAN, AT(insecure),
     .help = "allow unencrypted listeners that other machines can\n"
             "reach"},
    {"approved", OSR_OPTION_INSTANCES, LIST(approved), .max = OSR_CONFIG_APPROVED_MAX,
     .argument = "ID",
     .help = "let in this instance by its id where a listener or peer\n"
             "says ?auth=pin; both sides approve each other once"},
    {"audit", OSR_OPTION_AUDIT, AT(audit_all), .argument = "WHAT",
     .help = "changes, or all: allowed reads and writes of documents\n"
             "are noted too [changes]"},
    {"ledger", OSR_OPTION_LEDGER, AT(ledger), .argument = "HOW",
     .help = "found, or join: where this instance belongs to no ledger\n"
             "yet, it begins one, or waits to be added to the others'\n"
             "[found]; rejoin, once: gives up what it has of one, and\n"
             "waits likewise"},
    {"log-level", OSR_OPTION_LEVEL, AT(log_level), .argument = "LEVEL",
     .help = "error, warning, info or trace [info]"},
    {"connections-max", OSR_OPTION_NUMBER, AT(connections_max), .min = 8,
     .max = OSR_CONNECTIONS_MAX, .argument = "N", .help = "connections at a time [4096]"},
    {"heartbeat-ms", OSR_OPTION_NUMBER, AT(heartbeat_ms), .min = 10, .max = 3600000,
     .argument = "N", .help = "silence on a link before it is tested [2000]"},
    {"retry-ms", OSR_OPTION_NUMBER, AT(retry_ms), .min = 10, .max = 3600000, .argument = "N",
     .help = "time without an answer before entries are sent again\n"
             "[2000]"},
    {"log-segment-mb", OSR_OPTION_NUMBER, AT(log_segment_mb), .min = 4, .max = 1024,
     .argument = "N", .help = "size of the largest file of the log [64]"},
    {"mirror-ms", OSR_OPTION_NUMBER, AT(mirror_ms), .min = 10, .max = 3600000, .argument = "N",
     .help = "time between two versions of the mirror, at least [500]"},
};

/* -- finding one -- */

const struct osr_option *osr_option_find(const char *name)
{
    for (size_t i = 0; i < OSR_OPTION_COUNT; i++) {
        if (strcmp(osr_options[i].name, name) == 0) {
            return &osr_options[i];
        }
    }
    return NULL;
}

const char *osr_option_nearest(const char *name)
{
    struct osr_text_guess guess = osr_text_guess(name);

    for (size_t i = 0; i < OSR_OPTION_COUNT; i++) {
        osr_text_guess_offer(&guess, osr_options[i].name);
    }
    return guess.nearest;
}

bool osr_option_is_list(const struct osr_option *option)
{
    return option->kind == OSR_OPTION_URLS || option->kind == OSR_OPTION_PATHS ||
           option->kind == OSR_OPTION_INSTANCES;
}

/* -- setting one -- */

static void *field_of(const struct osr_option *option, struct osr_config *config)
{
    return (char *)config + option->offset;
}

static size_t *count_of(const struct osr_option *option, struct osr_config *config)
{
    return (size_t *)(void *)((char *)config + option->count_offset);
}

static int refuse(struct osr_err *err, const char *why)
{
    return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "%s", why);
}

static int check_path(const char *text, struct osr_err *err)
{
    if (text[0] == '\0') {
        return refuse(err, "the path is empty");
    }
    if (strlen(text) > OSR_CONFIG_PATH_BYTES_MAX) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "the path is longer than %d bytes",
                                OSR_CONFIG_PATH_BYTES_MAX);
    }
    return 0;
}

static void set_text(char **field, const char *text)
{
    free(*field);
    *field = osr_strdup(text);
}

static int set_path(char **field, const char *text, struct osr_err *err)
{
    int code = check_path(text, err);
    if (code == 0) {
        set_text(field, text);
    }
    return code;
}

static int set_name(const struct osr_option *option, char **field, const char *text,
                    struct osr_err *err)
{
    if (text[0] == '\0') {
        return refuse(err, "the name is empty");
    }
    if (strlen(text) > option->max) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "the name is longer than %u bytes",
                                option->max);
    }
    set_text(field, text);
    return 0;
}

static int set_boolean(bool *field, const char *text, struct osr_err *err)
{
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
        return refuse(err, "expected true or false");
    }
    *field = text[0] == 't';
    return 0;
}

static int set_number(const struct osr_option *option, uint32_t *field, const char *text,
                      struct osr_err *err)
{
    uint64_t number = 0;
    const char *at = text;

    while (*at >= '0' && *at <= '9' && number <= option->max) {
        number = number * 10 + (uint64_t)(*at++ - '0');
    }
    if (at == text || *at != '\0' || number < option->min || number > option->max) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                                "expected a whole number from %u to %u, found '%.40s'", option->min,
                                option->max, text);
    }
    *field = (uint32_t)number;
    return 0;
}

static int set_level(enum osr_level *field, const char *text, struct osr_err *err)
{
    static const char *const names[] = {[OSR_LEVEL_ERROR] = "error",
                                        [OSR_LEVEL_WARNING] = "warning",
                                        [OSR_LEVEL_INFO] = "info",
                                        [OSR_LEVEL_TRACE] = "trace"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], text) == 0) {
            *field = (enum osr_level)i;
            return 0;
        }
    }
    return (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                            "expected error, warning, info or trace, found '%.40s'", text);
}

static int set_audit(bool *field, const char *text, struct osr_err *err)
{
    if (strcmp(text, "all") != 0 && strcmp(text, "changes") != 0) {
        return refuse(err, "expected all or changes");
    }
    *field = text[0] == 'a';
    return 0;
}

static int set_ledger(enum osr_config_ledger *field, const char *text, struct osr_err *err)
{
    static const char *const words[] = {
        [OSR_CONFIG_LEDGER_FOUND] = "found",
        [OSR_CONFIG_LEDGER_JOIN] = "join",
        [OSR_CONFIG_LEDGER_REJOIN] = "rejoin",
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(text, words[i]) == 0) {
            *field = (enum osr_config_ledger)i;
            return 0;
        }
    }
    return refuse(err, "expected found, join or rejoin");
}

static int refuse_twice(struct osr_err *err, const char *text)
{
    return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "'%.200s' is given twice", text);
}

static int add_url(struct osr_url **list, size_t *count, const char *text, struct osr_err *err)
{
    struct osr_url url;
    int code = osr_url_parse(text, &url, err);
    if (code != 0) {
        return code;
    }
    for (size_t i = 0; i < *count; i++) {
        if (strcmp((*list)[i].text, text) == 0) {
            return refuse_twice(err, text);
        }
    }
    *list = osr_realloc(*list, (*count + 1) * sizeof **list);
    (*list)[(*count)++] = url;
    return 0;
}

static int add_text(char ***list, size_t *count, const char *text, struct osr_err *err)
{
    for (size_t i = 0; i < *count; i++) {
        if (strcmp((*list)[i], text) == 0) {
            return refuse_twice(err, text);
        }
    }
    *list = osr_realloc(*list, (*count + 1) * sizeof **list);
    (*list)[(*count)++] = osr_strdup(text);
    return 0;
}

static int add_path(char ***list, size_t *count, const char *text, struct osr_err *err)
{
    int code = check_path(text, err);
    return code != 0 ? code : add_text(list, count, text, err);
}

static int add_instance(char ***list, size_t *count, const char *text, struct osr_err *err)
{
    if (!osr_instance_id_is_valid(text)) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                                "'%.40s' is no instance's id, which has %d characters", text,
                                OSR_INSTANCE_CHARS);
    }
    return add_text(list, count, text, err);
}

int osr_option_set(const struct osr_option *option, struct osr_config *config, const char *text,
                   struct osr_err *err)
{
    struct osr_slice bytes = osr_slice_text(text);
    void *field = field_of(option, config);

    if (!osr_utf8_is_valid(bytes) || !osr_text_is_plain(bytes)) {
        return refuse(err, "the value is not UTF-8, or has control characters");
    }
    if (osr_option_is_list(option) && *count_of(option, config) == option->max) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "more than %u of them", option->max);
    }

    switch (option->kind) {
    case OSR_OPTION_PATH:
        return set_path(field, text, err);
    case OSR_OPTION_NAME:
        return set_name(option, field, text, err);
    case OSR_OPTION_BOOLEAN:
        return set_boolean(field, text, err);
    case OSR_OPTION_NUMBER:
        return set_number(option, field, text, err);
    case OSR_OPTION_LEVEL:
        return set_level(field, text, err);
    case OSR_OPTION_AUDIT:
        return set_audit(field, text, err);
    case OSR_OPTION_LEDGER:
        return set_ledger(field, text, err);
    case OSR_OPTION_URLS:
        return add_url(field, count_of(option, config), text, err);
    case OSR_OPTION_PATHS:
        return add_path(field, count_of(option, config), text, err);
    case OSR_OPTION_INSTANCES:
        return add_instance(field, count_of(option, config), text, err);
    }
    abort(); /* a row of the table without a kind */
}

static void clear_texts(char ***list, size_t *count)
{
    for (size_t i = 0; i < *count; i++) {
        free((*list)[i]);
    }
    free(*list);
    *list = NULL;
    *count = 0;
}

static void clear_urls(struct osr_url **list, size_t *count)
{
    free(*list);
    *list = NULL;
    *count = 0;
}

void osr_option_clear(const struct osr_option *option, struct osr_config *config)
{
    void *field = field_of(option, config);

    if (option->kind == OSR_OPTION_PATHS || option->kind == OSR_OPTION_INSTANCES) {
        clear_texts(field, count_of(option, config));
    } else if (option->kind == OSR_OPTION_URLS) {
        clear_urls(field, count_of(option, config));
    } else if (option->kind == OSR_OPTION_PATH || option->kind == OSR_OPTION_NAME) {
        char **text = field;
        free(*text);
        *text = NULL;
    }
}

/* -- comparing -- */

static bool texts_are_equal(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool text_lists_are_equal(char *const *a, char *const *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(a[i], b[i]) != 0) {
            return false;
        }
    }
    return true;
}

static bool url_lists_are_equal(const struct osr_url *a, const struct osr_url *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(a[i].text, b[i].text) != 0) {
            return false;
        }
    }
    return true;
}

static const void *value_of(const struct osr_option *option, const struct osr_config *config)
{
    return (const char *)config + option->offset;
}

static size_t length_of(const struct osr_option *option, const struct osr_config *config)
{
    return *(const size_t *)(const void *)((const char *)config + option->count_offset);
}

bool osr_option_is_equal(const struct osr_option *option, const struct osr_config *a,
                         const struct osr_config *b)
{
    const void *left = value_of(option, a);
    const void *right = value_of(option, b);

    if (osr_option_is_list(option) && length_of(option, a) != length_of(option, b)) {
        return false;
    }
    switch (option->kind) {
    case OSR_OPTION_PATH:
    case OSR_OPTION_NAME:
        return texts_are_equal(*(char *const *)left, *(char *const *)right);
    case OSR_OPTION_BOOLEAN:
    case OSR_OPTION_AUDIT:
        return *(const bool *)left == *(const bool *)right;
    case OSR_OPTION_NUMBER:
        return *(const uint32_t *)left == *(const uint32_t *)right;
    case OSR_OPTION_LEVEL:
        return *(const enum osr_level *)left == *(const enum osr_level *)right;
    case OSR_OPTION_LEDGER:
        return *(const enum osr_config_ledger *)left == *(const enum osr_config_ledger *)right;
    case OSR_OPTION_URLS:
        return url_lists_are_equal(*(struct osr_url *const *)left, *(struct osr_url *const *)right,
                                   length_of(option, a));
    case OSR_OPTION_PATHS:
    case OSR_OPTION_INSTANCES:
        return text_lists_are_equal(*(char *const *const *)left, *(char *const *const *)right,
                                    length_of(option, a));
    }
    abort(); /* a row of the table without a kind */
}
