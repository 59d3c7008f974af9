/* logs.h -- which feed a log id of the physical log stands for.
 *
 * An id is given to a feed with its first STORE; a LOG record that says so goes into the log in
 * the same append as the first entries. Feeds are never forgotten: what is got here lives as
 * long as the table.
 *
 * Threads: the loop's adds and finds; any thread gets by id. */
#ifndef OSR_NODE_LOGS_H
#define OSR_NODE_LOGS_H

#include "adapter/wal.h"
#include "model/identity.h"
#include "model/limits.h"

struct osr_append;

struct osr_log {
    uint32_t id; /* 1.. */
    struct osr_feed_id feed;
    struct osr_public_key public_key;

    /* The loop's. */
    bool is_restoring; /* entries from before the start, which the core has not committed yet */
    struct osr_append *first; /* its batches in memory, oldest first: tail.h */
    struct osr_append *last;

    /* The log thread's. */
    bool is_declared; /* its LOG record is in the log */
    bool is_refused;  /* its last batch found no room: those built on it cannot be stored */
};

enum { OSR_LOGS_MAX = OSR_FEEDS_MAX + 64 * OSR_STREAM_COUNT };

struct osr_logs;

struct osr_logs *osr_logs_create(uint64_t seed);
void osr_logs_destroy(struct osr_logs *logs); /* NULL is a no-op */
struct osr_log *osr_logs_find(const struct osr_logs *logs, const struct osr_feed_id *feed);
/* The core holds at most OSR_FEEDS_MAX feeds, and the own ones, of keys that were replaced too:
 * asserted. */
struct osr_log *osr_logs_add(struct osr_logs *logs, const struct osr_feed_id *feed,
                             const struct osr_public_key *public_key);
struct osr_log *osr_logs_get(const struct osr_logs *logs, uint32_t id); /* NULL: unknown */

/* Payload of a LOG record. */
enum {
    OSR_LOG_FORMAT = 1,
    OSR_LOG_PAYLOAD_SIZE = OSR_INSTANCE_CHARS + OSR_STREAM_CHARS_MAX + 1 + 8 + OSR_PUBLIC_KEY_SIZE
};
void osr_log_encode(const struct osr_log *log, uint8_t payload[OSR_LOG_PAYLOAD_SIZE]);
/* Adds the log that a record read at open speaks of. */
int osr_logs_restore(struct osr_logs *logs, const struct osr_wal_record *record,
                     struct osr_err *err);

#endif
