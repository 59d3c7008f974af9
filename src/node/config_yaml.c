#include "node/config_yaml.h"

#include <string.h>

int osr_config_yaml_open(struct osr_config_yaml *yaml, const char *path, struct osr_slice text,
                         struct osr_err *err)
{
    yaml->path = path;
    yaml->err = err;
    if (!osr_yaml_events_open(&yaml->events, text)) {
        return (int)osr_err_set(err, OSR_INTERNAL, "cannot start the YAML parser");
    }
    return 0;
}

void osr_config_yaml_close(struct osr_config_yaml *yaml)
{
    osr_yaml_events_close(&yaml->events);
}

size_t osr_config_yaml_line(const struct osr_config_yaml *yaml)
{
    return osr_yaml_events_place(&yaml->events).line;
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

static int refuse_syntax(struct osr_config_yaml *yaml, const struct osr_yaml_problem *problem)
{
    osr_err_set(yaml->err, OSR_CONFIG, "%s:%zu: not YAML: %s%s%s", yaml->path, problem->place.line,
                problem->what, problem->context[0] != '\0' ? " " : "", problem->context);
    osr_err_hint(yaml->err, "indent with spaces alone; put a value with special characters "
                            "in quotes");
    return OSR_CONFIG;
}

int osr_config_yaml_next(struct osr_config_yaml *yaml, const char *key)
{
    struct osr_yaml_problem problem;
    if (!osr_yaml_events_next(&yaml->events, &problem)) {
        return refuse_syntax(yaml, &problem);
    }
    if (osr_yaml_events_anchor(&yaml->events) != NULL ||
        osr_yaml_events_tag(&yaml->events) != NULL) {
        return osr_config_yaml_refuse(yaml, key, "aliases, anchors and tags are not used here");
    }
    return 0;
}

const char *osr_config_yaml_text(const struct osr_config_yaml *yaml)
{
    struct osr_slice text = osr_yaml_events_text(&yaml->events);
    return memchr(text.data, '\0', text.size) == NULL ? (const char *)text.data : NULL;
}
