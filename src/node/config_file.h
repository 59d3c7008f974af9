/* config_file.h -- the YAML file: one flat mapping from an option's name to its value or, for
 * lists, values; `access` and `events` alone are nested (node/access_config.h,
 * node/events_config.h). Of YAML only this much is let in: aliases, anchors, tags, nesting and
 * further documents are refused. Every error names file, line and key. */
#ifndef OSR_NODE_CONFIG_FILE_H
#define OSR_NODE_CONFIG_FILE_H

#include "node/config.h"

/* Sets in `config` what the file says. On failure some of it may be set already. */
int osr_config_file_read(const char *path, struct osr_config *config, struct osr_err *err);
/* The same for text that was read; `path` is for messages. */
int osr_config_file_parse(const char *path, struct osr_slice text, struct osr_config *config,
                          struct osr_err *err);

#endif
