#include "node/config_yaml.h"

#include <string.h>

int osr_config_yaml_open(struct osr_config_yaml *yaml, const char *path, struct osr_slice text,
                         struct osr_err *err)
{
    *yaml = (struct osr_config_yaml){.path = path, .text = text, .err = err};
    if (!yaml_parser_initialize(&yaml->parser)) {
        return (int)osr_err_set(err, OSR_INTERNAL, "cannot start the YAML parser");
    }
    yaml_parser_set_input_string(&yaml->parser, text.data, text.size);
    return 0;
}

void osr_config_yaml_close(struct osr_config_yaml *yaml)
{
    if (yaml->has_event) {
        yaml_event_delete(&yaml->event);
    }
    yaml_parser_delete(&yaml->parser);
}

size_t osr_config_yaml_line(const struct osr_config_yaml *yaml)
{
    return yaml->event.start_mark.line + 1;
}

int osr_config_yaml_refuse(struct osr_config_yaml *yaml, const char *key, const char *why)
{
    if (key == NULL) {
        return (int)osr_err_set(yaml->err, OSR_CONFIG, "%s:%zu: %s", yaml->path,
                                osr_config_yaml_line(yaml), why);
    }
    return (int)osr_err_set(yaml->err, OSR_CONFIG, "%s:%zu: %.40s: %s", yaml->path,
                            osr_config_yaml_line(yaml), key, why);
}

int osr_config_yaml_blame(struct osr_config_yaml *yaml, size_t line, const char *key)
{
    osr_err_prefix(yaml->err, "%s:%zu: %.40s", yaml->path, line, key);
    if (yaml->err != NULL) {
        yaml->err->code = OSR_CONFIG;
    }
    return OSR_CONFIG;
}

/* Where the parser stumbled. Of bytes that are no text it knows the offset alone. */
static size_t problem_line(const struct osr_config_yaml *yaml)
{
    const yaml_parser_t *parser = &yaml->parser;
    size_t line = 1;

    if (parser->error != YAML_READER_ERROR) {
        return parser->problem_mark.line + 1;
    }
    for (size_t i = 0; i < parser->problem_offset && i < yaml->text.size; i++) {
        line += yaml->text.data[i] == '\n';
    }
    return line;
}

static int refuse_syntax(struct osr_config_yaml *yaml)
{
    const yaml_parser_t *parser = &yaml->parser;
    size_t line = problem_line(yaml);

    osr_err_set(yaml->err, OSR_CONFIG, "%s:%zu: not YAML: %s%s%s", yaml->path, line,
                parser->problem != NULL ? parser->problem : "unreadable",
                parser->context != NULL ? " " : "", parser->context != NULL ? parser->context : "");
    osr_err_hint(yaml->err, "indent with spaces alone; put a value with special characters "
                            "in quotes");
    return OSR_CONFIG;
}

static bool has_property(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.anchor != NULL || event->data.sequence_start.tag != NULL;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.anchor != NULL || event->data.mapping_start.tag != NULL;
    default:
        return event->type == YAML_ALIAS_EVENT;
    }
}

int osr_config_yaml_next(struct osr_config_yaml *yaml, const char *key)
{
    if (yaml->has_event) {
        yaml_event_delete(&yaml->event);
    }
    yaml->has_event = false;
    if (!yaml_parser_parse(&yaml->parser, &yaml->event)) {
        return refuse_syntax(yaml);
    }
    yaml->has_event = true;
    if (has_property(&yaml->event)) {
        return osr_config_yaml_refuse(yaml, key, "aliases, anchors and tags are not used here");
    }
    return 0;
}

const char *osr_config_yaml_text(const struct osr_config_yaml *yaml)
{
    const char *text = (const char *)yaml->event.data.scalar.value;
    return strlen(text) == yaml->event.data.scalar.length ? text : NULL;
}
