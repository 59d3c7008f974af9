/* arguments.h -- the words of a command line: options with their values, and operands.
 *
 * An option means the same wherever it is taken, so each has one row (name, letter, what its
 * value is called) in arguments.c; a command says which ones it takes, and what for. */
#ifndef OSR_BIN_ARGUMENTS_H
#define OSR_BIN_ARGUMENTS_H

#include "base/bytes.h"
#include "base/error.h"
#include "model/limits.h"

enum osr_flag {
    OSR_FLAG_NONE, /* ends a command's list */
    /* Global: before the command's name or behind it. */
    OSR_FLAG_DATA,
    OSR_FLAG_TO,
    OSR_FLAG_CA,
    OSR_FLAG_CERT,
    OSR_FLAG_KEY,
    OSR_FLAG_SHARED_KEY,
    OSR_FLAG_TOKEN_FILE,
    OSR_FLAG_OUTPUT,
    OSR_FLAG_TIMEOUT,
    OSR_FLAG_HELP,
    OSR_FLAG_VERSION,
    /* Of single commands. */
    OSR_FLAG_ACKS,
    OSR_FLAG_ADDRESS,
    OSR_FLAG_AUTHOR,
    OSR_FLAG_CLUSTER,
    OSR_FLAG_COLLECTION,
    OSR_FLAG_DAYS,
    OSR_FLAG_DENIED,
    OSR_FLAG_EXPECT,
    OSR_FLAG_EXPIRES,
    OSR_FLAG_FILE,
    OSR_FLAG_FOLLOW,
    OSR_FLAG_FORCE,
    OSR_FLAG_FORMAT,
    OSR_FLAG_FROM,
    OSR_FLAG_FULL,
    OSR_FLAG_HOST,
    OSR_FLAG_ID,
    OSR_FLAG_INSTANCE,
    OSR_FLAG_JSON,
    OSR_FLAG_KIND,
    OSR_FLAG_LEARNER,
    OSR_FLAG_LIMIT,
    OSR_FLAG_LISTEN,
    OSR_FLAG_LOCAL,
    OSR_FLAG_NAME,
    OSR_FLAG_NO_START,
    OSR_FLAG_OUT,
    OSR_FLAG_PASSWORD_FILE,
    OSR_FLAG_REQUEST,
    OSR_FLAG_ROLE,
    OSR_FLAG_SECRET_FILE,
    OSR_FLAG_SINCE,
    OSR_FLAG_SOURCE,
    OSR_FLAG_TAG,
    OSR_FLAG_WAIT,
    OSR_FLAG_WHO,
    OSR_FLAG_WRITTEN_BY,
    OSR_FLAG_YES,
    OSR_FLAG_COUNT
};

struct osr_flag_name {
    const char *name;
    char letter;       /* 0: none */
    const char *value; /* what its value is called; NULL: it takes none */
};
const struct osr_flag_name *osr_flag_name(enum osr_flag flag);

/* One option of a command, and what it does there. */
struct osr_flag_help {
    enum osr_flag flag;
    const char *help;
};
extern const struct osr_flag_help osr_global_flags[]; /* ends with OSR_FLAG_NONE */

/* Options that may be repeated, but for --tag: --role, --address, --listen, --host. */
enum { OSR_REPEATED_MAX = 32 };

struct osr_arguments {
    /* As given last; "" for one without a value; NULL where it was not given. */
    const char *values[OSR_FLAG_COUNT];
    struct {
        enum osr_flag flag;
        const char *value;
    } repeated[OSR_REPEATED_MAX]; /* in the order given */
    size_t repeated_count;
    const char *tags[OSR_TAGS_MAX]; /* --tag may be repeated; empty ones are left out */
    size_t tag_count;
    char **operands;
    int operand_count;
};

/* Reads the global options in front of the next word, and moves *argc and *argv to that word. */
int osr_arguments_read_global(struct osr_arguments *arguments, int *argc, char ***argv,
                              struct osr_err *err);
/* Reads all that stands behind a command's name: its options, global ones, operands, in any order.
 * argv[0] is passed over, and argv is put into another order. */
int osr_arguments_read(struct osr_arguments *arguments, const struct osr_flag_help *flags, int argc,
                       char **argv, struct osr_err *err);

static inline bool osr_arguments_has(const struct osr_arguments *arguments, enum osr_flag flag)
{
    return arguments->values[flag] != NULL;
}

/* The values of options, checked. What was not given gives `otherwise`. */
int osr_arguments_number(const struct osr_arguments *arguments, enum osr_flag flag,
                         uint64_t otherwise, uint64_t max, uint64_t *ret_number,
                         struct osr_err *err);
/* Seconds, with decimals where wanted, as milliseconds: above 0, at most 30 days. */
int osr_arguments_seconds(const struct osr_arguments *arguments, enum osr_flag flag,
                          uint32_t otherwise_ms, uint32_t *ret_ms, struct osr_err *err);
/* A point in time: "90s", "15m", "12h", "7d", "2w" from now on; or 2031-12-31 or
 * 2031-12-31T23:59:59Z, in UTC. Not given: 0. */
int osr_arguments_time(const struct osr_arguments *arguments, enum osr_flag flag, uint64_t *ret_ms,
                       struct osr_err *err);
/* The same in the past: "90s" ago, a date. */
int osr_arguments_past(const struct osr_arguments *arguments, enum osr_flag flag, uint64_t *ret_ms,
                       struct osr_err *err);
/* The same as a span from now on, which lies ahead. */
int osr_arguments_span(const struct osr_arguments *arguments, enum osr_flag flag, uint64_t *ret_ms,
                       struct osr_err *err);
/* All values of an option that may be repeated; `values` has room for OSR_REPEATED_MAX. Returns how
 * many there are. */
size_t osr_arguments_list(const struct osr_arguments *arguments, enum osr_flag flag,
                          const char **values);
/* The index of the value in `choices`, which ends with NULL. Not given: 0. */
int osr_arguments_choice(const struct osr_arguments *arguments, enum osr_flag flag,
                         const char *const *choices, size_t *ret_index, struct osr_err *err);

#endif
