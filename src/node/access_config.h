/* access_config.h -- the section `access` of the config file: roles with their rules, and who has
 * them; docs/access.md describes it for those who write it.
 *
 *     access:
 *       roles:
 *         editor-of-notes:
 *           - allow: [read, write]
 *             on: "collection:notes*"
 *           - deny: write
 *             on: "collection:notes-archive"
 *       members:
 *         "user:ana": [editor-of-notes, reader]
 *
 * Wherever words are listed, one may stand alone. Members may come before the roles that they are
 * given. Errors are the policy's (model/policy.h), with file, line and key in front of them. */
#ifndef OSR_NODE_ACCESS_CONFIG_H
#define OSR_NODE_ACCESS_CONFIG_H

#include "model/policy.h"
#include "node/config_yaml.h"

/* Reads the value of `key`, which is the current event, up to its end. On failure *ret_policy is
 * untouched. */
int osr_access_config_read(struct osr_config_yaml *yaml, const char *key,
                           struct osr_policy **ret_policy);
/* The same of text that holds nothing but the section's value; `path` is for messages. */
int osr_access_config_parse(const char *path, struct osr_slice text, struct osr_policy **ret_policy,
                            struct osr_err *err);
/* What holds where there is no such section. */
struct osr_policy *osr_access_config_default(void);

#endif
