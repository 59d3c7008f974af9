/* events_config.h -- the section `events` of the config file: where changes of the knowledge base
 * are published for ordinary clients, and which; docs/clients.md describes it for those who write
 * it. Nothing is published without it.
 *
 *     events:
 *       - to: mqtts://osiris@broker.example/osiris/events?password_file=/etc/osiris/broker
 *         collections: [notes, "tasks-*"]
 *         codec: yaml
 *         from: start
 *
 * Wherever words are listed, one may stand alone. Errors name file, line and key. */
#ifndef OSR_NODE_EVENTS_CONFIG_H
#define OSR_NODE_EVENTS_CONFIG_H

#include "base/url.h"
#include "node/config_yaml.h"
#include "wire/codec.h"

enum {
    OSR_EVENTS_TARGETS_MAX = 8,        /* each reads the log, and may hold a window of messages */
    OSR_EVENTS_COLLECTIONS_MAX = 1024, /* of one target: each change is compared with them */
};

struct osr_events_target {
    struct osr_url url;
    enum osr_codec codec;
    bool is_from_start; /* all that the log holds; else what comes after the first start */
    /* Names, and prefixes where a '*' is the last character. None: all collections. */
    char **collections;
    size_t collection_count;
};

struct osr_events_config {
    struct osr_events_target *targets;
    size_t target_count;
};

/* Reads the value of `key`, the next event of the file, to its end into an empty one. On failure
 * some of it may be set already. */
int osr_events_config_read(struct osr_config_yaml *yaml, const char *key,
                           struct osr_events_config *config);
void osr_events_config_done(struct osr_events_config *config); /* frees; empty and valid after */
bool osr_events_config_is_equal(const struct osr_events_config *a,
                                const struct osr_events_config *b);

/* Whether changes of this collection go there. */
bool osr_events_target_wants(const struct osr_events_target *target, const char *collection);
/* The URL without what says how to get there and what is sent: what a cursor, and a broker's memory
 * of us, are about. To be freed. */
char *osr_events_target_place(const struct osr_events_target *target);

#endif
