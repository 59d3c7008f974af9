/* config_option.h -- the table of all options, and setting one from text: what flags and the
 * config file share. */
#ifndef OSR_NODE_CONFIG_OPTION_H
#define OSR_NODE_CONFIG_OPTION_H

#include "node/config.h"

enum osr_option_kind {
    OSR_OPTION_PATH,
    OSR_OPTION_NAME,
    OSR_OPTION_BOOLEAN,
    OSR_OPTION_NUMBER,
    OSR_OPTION_LEVEL,
    OSR_OPTION_AUDIT,     /* a boolean: "all" or "changes" */
    OSR_OPTION_LEDGER,    /* "found" or "join" */
    OSR_OPTION_URLS,      /* a list */
    OSR_OPTION_PATHS,     /* a list */
    OSR_OPTION_INSTANCES, /* a list of their ids */
};

struct osr_option {
    const char *name; /* without the dashes of the flag */
    enum osr_option_kind kind;
    size_t offset;        /* of the field in struct osr_config */
    size_t count_offset;  /* of a list's count */
    uint32_t min;         /* of a number; the least and most that is given to it */
    uint32_t max;         /* of a number, or of a list's length */
    const char *argument; /* as --help calls it */
    const char *help;     /* lines separated by newlines */
};

enum { OSR_OPTION_COUNT = 17 };
extern const struct osr_option osr_options[OSR_OPTION_COUNT];

const struct osr_option *osr_option_find(const char *name); /* NULL: there is none */
/* The name that was probably meant; NULL where none is near. */
const char *osr_option_nearest(const char *name);
bool osr_option_is_list(const struct osr_option *option);

/* Sets the value, or adds one to a list. The message says what is wrong with the value alone:
 * where it stands is the caller's to put in front. */
int osr_option_set(const struct osr_option *option, struct osr_config *config, const char *text,
                   struct osr_err *err);
void osr_option_clear(const struct osr_option *option, struct osr_config *config);
/* Whether both say the same under this name. */
bool osr_option_is_equal(const struct osr_option *option, const struct osr_config *a,
                         const struct osr_config *b);

#endif
