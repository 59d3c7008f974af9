/* config_yaml.h -- YAML as the config file has it, one event after the other: no aliases, anchors
 * or tags, and an error names file, line and key. Under node/config_file and node/access_config. */
#ifndef OSR_NODE_CONFIG_YAML_H
#define OSR_NODE_CONFIG_YAML_H

#include "base/error.h"
#include "base/yaml_events.h"

/* Fields are read, not written, by who uses it. */
struct osr_config_yaml {
    const char *path; /* for messages */
    struct osr_err *err;
    struct osr_yaml_events events;
};

/* The path and the text stay the caller's and must outlive it. CONFIG on failure, here and below,
 * but for INTERNAL where there is no memory for a parser. */
int osr_config_yaml_open(struct osr_config_yaml *yaml, const char *path, struct osr_slice text,
                         struct osr_err *err);
void osr_config_yaml_close(struct osr_config_yaml *yaml);
/* Makes the next event the current one. `key` is for messages; NULL: between keys. */
int osr_config_yaml_next(struct osr_config_yaml *yaml, const char *key);

size_t osr_config_yaml_line(const struct osr_config_yaml *yaml); /* of the current event */
/* The current scalar's text; NULL where it has a NUL inside. */
const char *osr_config_yaml_text(const struct osr_config_yaml *yaml);
/* Of the current event; returns CONFIG. `key` may be NULL. */
int osr_config_yaml_refuse(struct osr_config_yaml *yaml, const char *key, const char *why);
/* Puts file, line and key in front of what `err` says already; returns CONFIG. */
int osr_config_yaml_blame(struct osr_config_yaml *yaml, size_t line, const char *key);

#endif
