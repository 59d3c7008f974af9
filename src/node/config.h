/* config.h -- what an instance is told at its start, by flags and by a YAML file.
 *
 * A key of the file and a flag have one name and one meaning: one row of the table in
 * config_option.c. A flag that is given replaces what the file says under that name, lists
 * included. Two keys are no options: `access`, in node/access_config.h, and `events`, in
 * node/events_config.h. Nothing is guessed: an unknown, doubled or ill-typed key is refused with
 * file, line and key.
 *
 * Failures: INVALID_ARGUMENT for flags, CONFIG for the file and for what does not go together. */
#ifndef OSR_NODE_CONFIG_H
#define OSR_NODE_CONFIG_H

#include "base/sha256.h"
#include "base/trace.h"
#include "base/url.h"
#include "model/policy.h"
#include "node/events_config.h"

enum {
    OSR_CONFIG_FILE_BYTES_MAX = 1 << 20, /* stops a wrong file from being read to its end */
    OSR_CONFIG_PATH_BYTES_MAX = 1000,    /* paths are part of keys, which have a limit */
    OSR_CONFIG_LISTENERS_MAX = 16,
    OSR_CONFIG_FOLLOW_FILES_MAX = 16,
    OSR_CONFIG_APPROVED_MAX = 256, /* each is compared with who links */
};

/* What an instance does that belongs to no ledger yet. */
enum osr_config_ledger {
    OSR_CONFIG_LEDGER_FOUND, /* begins one, as its only voter */
    OSR_CONFIG_LEDGER_JOIN,  /* waits until a member adds it */
    /* Gives up what it has of a ledger, at this start, and waits until a member adds it. */
    OSR_CONFIG_LEDGER_REJOIN,
};

struct osr_config {
    char *data;             /* folder of all that the instance keeps */
    char *name;             /* of the instance, for people */
    char *cluster;          /* instances of different clusters do not talk */
    struct osr_url *listen; /* beside DIR/osiris.sock; the seed listeners, too */
    size_t listen_count;
    struct osr_url *peer; /* the seed peers, too */
    size_t peer_count;
    char **follow_file;
    size_t follow_file_count;
    char *mirror;  /* NULL: none */
    bool insecure; /* plaintext listeners may be reached from other machines */
    /* Instances that are let in by their id, without a certificate that is believed. Whole ids:
     * what is shorter could be made by somebody else, with patience. */
    char **approved;
    size_t approved_count;
    bool audit_all; /* allowed reads and writes of documents are noted, too */
    enum osr_config_ledger ledger;

    uint32_t log_segment_mb;         /* of the largest segment */
    uint32_t heartbeat_ms;           /* of silence on a link before a PING */
    uint32_t retry_ms;               /* without an acknowledgement before entries are sent again */
    uint32_t connections_max;        /* of all kinds */
    uint32_t mirror_ms;              /* between two versions of the mirror, at least */
    enum osr_level log_level;        /* of what is written to stderr */
    struct osr_policy *access;       /* who may do what: the section `access`, and the defaults */
    bool has_access;                 /* there is such a section */
    struct osr_events_config events; /* what is published, and where: the section `events` */

    /* From what it was read: the process's own arguments, which a reload reads again, and the
     * hash of the file (zeroes: none). */
    int argc;
    char *const *argv;
    struct osr_hash file;
};

enum osr_config_action { OSR_CONFIG_RUN, OSR_CONFIG_SHOW_HELP, OSR_CONFIG_SHOW_VERSION };

#define OSR_CONFIG_FILE_NAME "osirisd.yaml" /* in the data folder */

/* Reads flags, then the file that --config names, or else the data folder's own if there is one,
 * fills in defaults, checks the whole. On failure, or where help or version is wanted, *ret_config
 * is untouched. */
int osr_config_read(int argc, char *const *argv, struct osr_config *ret_config,
                    enum osr_config_action *ret_action, struct osr_err *err);
/* The same once more, for a reload: argv must still be there. */
int osr_config_read_again(const struct osr_config *config, struct osr_config *ret_config,
                          struct osr_err *err);
void osr_config_done(struct osr_config *config); /* frees what it holds; zeroed after */

/* The text of --help; to be freed. */
char *osr_config_help(void);

/* A peer or listener for programs that know UPDATE_KB alone (?peer=seed). */
bool osr_config_is_seed(const struct osr_url *url);

#endif
