#include "node/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "node/access_config.h"
#include "node/config_option.h"
#include "node/config_yaml.h"

/* Those that are no options. */
static const char access_key[] = "access";
static const char events_key[] = "events";

struct reader {
    struct osr_config_yaml yaml;
    struct osr_config *config;
    bool seen[OSR_OPTION_COUNT];
    bool seen_events;
};

static int refuse(struct reader *reader, const char *key, const char *why)
{
    return osr_config_yaml_refuse(&reader->yaml, key, why);
}

static int refuse_unknown(struct reader *reader, const char *key)
{
    struct osr_text_guess guess = osr_text_guess(key);

    osr_text_guess_offer(&guess, access_key);
    osr_text_guess_offer(&guess, events_key);
    const char *nearest = guess.nearest != NULL ? guess.nearest : osr_option_nearest(key);
    refuse(reader, key, "unknown key");
    if (nearest != NULL) {
        osr_err_hint(reader->yaml.err, "did you mean '%s'?", nearest);
    } else {
        osr_err_hint(reader->yaml.err, "`osirisd --help` lists the keys: each flag is one");
    }
    return OSR_CONFIG;
}

/* -- values -- */

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strcmp(text, *words) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_number(const char *text)
{
    char *end;

    if (strspn(text, "0123456789+-.eE_xo") != strlen(text) || strpbrk(text, "0123456789") == NULL) {
        return false;
    }
    strtod(text, &end);
    return *end == '\0';
}

enum value_type { VALUE_NOTHING, VALUE_BOOLEAN, VALUE_NUMBER, VALUE_TEXT };

/* What YAML takes a scalar for: only without quotes is it anything else than text. */
static enum value_type type_of(const yaml_event_t *event, const char *text)
{
    static const char *const nothings[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const booleans[] = {"true", "True", "TRUE", "false", "False", "FALSE", "yes",
                                           "Yes",  "YES",  "no",   "No",    "NO",    "on",    "On",
                                           "ON",   "off",  "Off",  "OFF",   NULL};

    if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) {
        return VALUE_TEXT;
    }
    if (is_one_of(text, nothings)) {
        return VALUE_NOTHING;
    }
    if (is_one_of(text, booleans)) {
        return VALUE_BOOLEAN;
    }
    return is_number(text) ? VALUE_NUMBER : VALUE_TEXT;
}

static enum value_type type_wanted(const struct osr_option *option)
{
    if (option->kind == OSR_OPTION_BOOLEAN) {
        return VALUE_BOOLEAN;
    }
    return option->kind == OSR_OPTION_NUMBER ? VALUE_NUMBER : VALUE_TEXT;
}

static int refuse_type(struct reader *reader, const struct osr_option *option,
                       enum value_type found)
{
    static const char *const names[] = {[VALUE_NOTHING] = "nothing",
                                        [VALUE_BOOLEAN] = "true or false",
                                        [VALUE_NUMBER] = "a number",
                                        [VALUE_TEXT] = "a text"};
    enum value_type wanted = type_wanted(option);

    osr_err_set(reader->yaml.err, OSR_CONFIG, "%s:%zu: %s: expected %s, found %s",
                reader->yaml.path, osr_config_yaml_line(&reader->yaml), option->name, names[wanted],
                names[found]);
    if (wanted == VALUE_TEXT && found != VALUE_NOTHING) {
        osr_err_hint(reader->yaml.err, "put it in quotes if it is meant as text");
    } else if (wanted != VALUE_TEXT && found == VALUE_TEXT) {
        osr_err_hint(reader->yaml.err, "write it without quotes");
    }
    return OSR_CONFIG;
}

/* The current event is the scalar. */
static int read_scalar(struct reader *reader, const struct osr_option *option)
{
    const char *text = osr_config_yaml_text(&reader->yaml);
    if (text == NULL) {
        return refuse(reader, option->name, "the value has a NUL inside");
    }
    enum value_type type = type_of(&reader->yaml.events.event, text);
    if (type != type_wanted(option)) {
        return refuse_type(reader, option, type);
    }
    if (osr_option_set(option, reader->config, text, reader->yaml.err) != 0) {
        return osr_config_yaml_blame(&reader->yaml, osr_config_yaml_line(&reader->yaml),
                                     option->name);
    }
    return 0;
}

static int read_sequence(struct reader *reader, const struct osr_option *option)
{
    if (!osr_option_is_list(option)) {
        return refuse(reader, option->name, "takes one value, not a list");
    }
    for (;;) {
        int code = osr_config_yaml_next(&reader->yaml, option->name);
        if (code != 0) {
            return code;
        }
        if (reader->yaml.events.event.type == YAML_SEQUENCE_END_EVENT) {
            return 0;
        }
        if (reader->yaml.events.event.type != YAML_SCALAR_EVENT) {
            return refuse(reader, option->name, "lists and mappings cannot stand inside a list");
        }
        code = read_scalar(reader, option);
        if (code != 0) {
            return code;
        }
    }
}

static int read_value(struct reader *reader, const struct osr_option *option)
{
    int code = osr_config_yaml_next(&reader->yaml, option->name);
    if (code != 0) {
        return code;
    }
    switch (reader->yaml.events.event.type) {
    case YAML_SCALAR_EVENT:
        return read_scalar(reader, option);
    case YAML_SEQUENCE_START_EVENT:
        return read_sequence(reader, option);
    default:
        return refuse(reader, option->name, "a mapping cannot stand here");
    }
}

/* -- the file -- */

static int read_access(struct reader *reader)
{
    if (reader->config->access != NULL) {
        return refuse(reader, access_key, "the key is there twice");
    }
    return osr_access_config_read(&reader->yaml, access_key, &reader->config->access);
}

static int read_events(struct reader *reader)
{
    if (reader->seen_events) {
        return refuse(reader, events_key, "the key is there twice");
    }
    reader->seen_events = true;
    return osr_events_config_read(&reader->yaml, events_key, &reader->config->events);
}

/* The current event is the key. */
static int read_pair(struct reader *reader)
{
    if (reader->yaml.events.event.type != YAML_SCALAR_EVENT) {
        return refuse(reader, NULL, "a key must be a word");
    }
    const char *key = osr_config_yaml_text(&reader->yaml);
    if (key != NULL && strcmp(key, access_key) == 0) {
        return read_access(reader);
    }
    if (key != NULL && strcmp(key, events_key) == 0) {
        return read_events(reader);
    }
    const struct osr_option *option = key == NULL ? NULL : osr_option_find(key);
    if (option == NULL) {
        return refuse_unknown(reader, (const char *)reader->yaml.events.event.data.scalar.value);
    }

    size_t row = (size_t)(option - osr_options);
    if (reader->seen[row]) {
        return refuse(reader, option->name, "the key is there twice");
    }
    reader->seen[row] = true;
    return read_value(reader, option);
}

static int read_mapping(struct reader *reader)
{
    for (;;) {
        int code = osr_config_yaml_next(&reader->yaml, NULL);
        if (code != 0) {
            return code;
        }
        if (reader->yaml.events.event.type == YAML_MAPPING_END_EVENT) {
            return 0;
        }
        code = read_pair(reader);
        if (code != 0) {
            return code;
        }
    }
}

/* Up to and including the first document; a file of comments alone has none. */
static int read_document(struct reader *reader)
{
    int code = osr_config_yaml_next(&reader->yaml, NULL); /* the stream's start */
    if (code == 0) {
        code = osr_config_yaml_next(&reader->yaml, NULL);
    }
    if (code != 0 || reader->yaml.events.event.type == YAML_STREAM_END_EVENT) {
        return code;
    }
    code = osr_config_yaml_next(&reader->yaml, NULL); /* behind the document's start */
    if (code != 0) {
        return code;
    }
    if (reader->yaml.events.event.type != YAML_MAPPING_START_EVENT) {
        return refuse(reader, NULL, "expected lines of the form `key: value`");
    }
    code = read_mapping(reader);
    if (code == 0) {
        code = osr_config_yaml_next(&reader->yaml, NULL); /* the document's end */
    }
    if (code == 0) {
        code = osr_config_yaml_next(&reader->yaml, NULL);
    }
    if (code == 0 && reader->yaml.events.event.type != YAML_STREAM_END_EVENT) {
        return refuse(reader, NULL, "a second document begins here");
    }
    return code;
}

int osr_config_file_parse(const char *path, struct osr_slice text, struct osr_config *config,
                          struct osr_err *err)
{
    struct reader reader = {.config = config};

    if (text.size > OSR_CONFIG_FILE_BYTES_MAX) {
        return (int)osr_err_set(err, OSR_CONFIG, "%s: longer than 1 MiB: not a config file", path);
    }
    int code = osr_config_yaml_open(&reader.yaml, path, text, err);
    if (code == 0) {
        code = read_document(&reader);
        osr_config_yaml_close(&reader.yaml);
    }
    config->file = osr_sha256(&text, 1);
    return code;
}

/* Appends the file's bytes, one more than the limit at most. Returns 0 or an errno. */
static int read_bytes(int fd, struct osr_buffer *buffer)
{
    while (buffer->size <= OSR_CONFIG_FILE_BYTES_MAX) {
        size_t room = OSR_CONFIG_FILE_BYTES_MAX + 1 - buffer->size;
        ssize_t size = read(fd, osr_buffer_reserve(buffer, room), room);
        if (size < 0 && errno != EINTR) {
            return errno;
        }
        if (size == 0) {
            return 0;
        }
        if (size > 0) {
            buffer->size += (size_t)size;
        }
    }
    return 0;
}

static int refuse_unreadable(const char *path, int errno_value, struct osr_err *err)
{
    osr_err_errno(err, OSR_CONFIG, errno_value, "cannot read the config file %s", path);
    osr_err_hint(err, "check the path given with --config");
    return OSR_CONFIG;
}

int osr_config_file_read(const char *path, struct osr_config *config, struct osr_err *err)
{
    struct osr_buffer text = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return refuse_unreadable(path, errno, err);
    }
    int result = read_bytes(fd, &text);
    close(fd);
    int code = result != 0 ? refuse_unreadable(path, result, err)
                           : osr_config_file_parse(path, osr_buffer_slice(&text), config, err);
    osr_buffer_done(&text);
    return code;
}
